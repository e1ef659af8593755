//! Every acknowledged edit is in the history, as it was acknowledged. With convergence: in every replica.

use std::collections::BTreeMap;

use vereda_base::ChainId;

use super::Rebuilt;
use crate::{breach::Checker, world::World};

/// Looks each acknowledged edit up by its change.
pub(crate) fn check(world: &mut World, rebuilt: &BTreeMap<ChainId, Rebuilt>) {
    let mut lost = Vec::new();
    for edit in &world.model.acknowledged {
        let place = edit.expected.place();
        let (who, case) = (edit.who, edit.case);
        let Some(rebuilt) = rebuilt.get(&case) else {
            lost.push(format!("case {case} of person {who} is gone, with the edit of {place}"));
            continue;
        };
        let written = edit.change.and_then(|change| rebuilt.written.get(&change));
        match written {
            None => lost.push(format!("the edit of {place} by person {who} in case {case} is lost")),
            Some(written) if !edit.expected.is_found_in(written) => {
                lost.push(format!("the edit of {place} by person {who} in case {case} is there otherwise"));
            }
            Some(_) => {}
        }
    }
    for what in lost.into_iter().take(4) {
        world.breach(Checker::Acknowledged, what);
    }
}
