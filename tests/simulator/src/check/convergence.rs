//! Every device entitled to a case holds the same of it, and it is what the relay's log gives.

use std::collections::BTreeMap;

use vereda_base::ChainId;

use super::Rebuilt;
use crate::{breach::Checker, world::World};

/// Compares digests.
pub(crate) fn check(world: &mut World, rebuilt: &BTreeMap<ChainId, Rebuilt>) {
    for case in world.model.cases() {
        let Some(expected) = rebuilt.get(&case).map(|rebuilt| rebuilt.digest) else { continue };
        for who in 0..world.people.len() {
            if !world.reads(who, &case) || !world.is_key_in_reach(who, &case) {
                continue;
            }
            let digest = world.call(who, |device, _| device.case_digest(&case));
            match digest {
                Some(Ok(found)) if found.0 == expected => {}
                Some(Ok(_)) => {
                    world.breach(Checker::Convergence, format!("device {who} holds case {case} otherwise"));
                }
                Some(Err(error)) => {
                    world.breach(Checker::Convergence, format!("device {who} cannot open case {case}: {error}"));
                }
                None => world.breach(Checker::Convergence, format!("device {who} is off")),
            }
        }
    }
}
