//! The checkers. Each looks at the world and says what is wrong; each is proven by a mutation that it flags.

pub mod acknowledged;
pub mod agreement;
pub mod convergence;
pub mod cursors;
pub mod entitlement;
pub mod order;
pub mod reading;
mod rebuilt;
pub mod rows;
pub mod secrecy;
pub mod stuck;

use std::collections::BTreeMap;

use vereda_base::ChainId;

use crate::world::World;

pub(crate) use rebuilt::Rebuilt;

/// Runs every checker over a world that came to rest, or should have.
pub(crate) fn all(world: &mut World) {
    let mut rebuilt: BTreeMap<ChainId, Rebuilt> = BTreeMap::new();
    for case in world.model.cases() {
        match Rebuilt::of(world, &case) {
            Ok(found) => {
                rebuilt.insert(case, found);
            }
            Err(breach) => world.breaches.push(breach),
        }
    }
    convergence::check(world, &rebuilt);
    acknowledged::check(world, &rebuilt);
    order::check(world, &rebuilt);
    agreement::check(world);
    secrecy::check(world);
    entitlement::check(world);
    cursors::check(world);
    reading::check(world);
    stuck::check(world);
}
