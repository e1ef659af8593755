//! The checkers. Each looks at the world and says what is wrong; each is proven by a mutation that it flags.

pub mod acknowledged;
pub mod agreement;
pub mod backdated;
pub mod convergence;
pub mod cursors;
pub mod entitlement;
pub mod naming;
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
    let mut cases = world.model.cases();
    // What a document began with may be in review where nobody is left who decides on it: a section for the one who was put
    // out alone.
    cases.retain(|case| world.model.is_begun(case) || world.can_decide(case));
    let rebuilt = rebuild(world, cases);
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

/// Runs the checkers that hold whatever the relay says, and those that hold again where it stopped lying.
pub(crate) fn all_where_the_relay_lied(world: &mut World) {
    // What a document began with may be in a history that ended: then nothing of it shows anywhere.
    let begun: Vec<ChainId> = world.model.cases().into_iter().filter(|case| world.model.is_begun(case)).collect();
    let rebuilt = rebuild(world, begun);
    secrecy::check(world);
    reading::check_sealings(world);
    backdated::check(world);
    naming::check(world, &rebuilt);
    acknowledged::check_where_the_relay_lied(world, &rebuilt);
}

fn rebuild(world: &mut World, cases: Vec<ChainId>) -> BTreeMap<ChainId, Rebuilt> {
    let mut rebuilt: BTreeMap<ChainId, Rebuilt> = BTreeMap::new();
    for case in cases {
        match Rebuilt::of(world, &case) {
            Ok(found) => {
                rebuilt.insert(case, found);
            }
            Err(breach) => world.breaches.push(breach),
        }
    }
    rebuilt
}
