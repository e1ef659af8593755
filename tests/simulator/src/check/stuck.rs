//! Nobody is stuck: of every document, each device says that it is synced, or plainly why it will not be.

use vereda_base::ChainId;

use crate::{breach::Checker, world::World};

/// What a device may say of a document at the end.
const PLAIN: [&str; 6] = ["synced", "in_review", "refused", "excluded", "unknown", "waiting_for_key"];

/// Asks every device about each document in which its person wrote.
pub(crate) fn check(world: &mut World) {
    let mut wrong = Vec::new();
    for who in 0..world.people.len() {
        let own = world.model.acknowledged.iter().filter(|edit| edit.who == who).map(|edit| edit.case);
        let own: std::collections::BTreeSet<ChainId> = own.collect();
        for case in own {
            let told = world.call(who, |device, _| device.explain(&case).ok()).flatten();
            let Some(told) = told else { continue };
            let is_decidable = told.state == "in_review" && world.can_decide(&case);
            let is_lacking =
                told.state == "waiting_for_key" && world.reads(who, &case) && world.is_key_in_reach(who, &case);
            // What left with the right to read is out of sight; what was written before is another checker's matter.
            let is_left = told.state == "left" && !world.reads(who, &case);
            let is_erased = told.state == "erased" && world.model.is_erased(&case);
            if !(PLAIN.contains(&told.state) || is_left || is_erased) || is_decidable || is_lacking {
                wrong.push(format!("device {who} says of case {case}: {} ({})", told.state, told.sentence));
            }
        }
    }
    for what in wrong.into_iter().take(4) {
        world.breach(Checker::Stuck, what);
    }
}
