//! Each device's edits stand in the history in the order in which they were acknowledged, A, B, A included.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vereda_base::ChainId;
use vereda_crypto::derive_actor;

use super::Rebuilt;
use crate::{breach::Checker, intent::Expected, world::World};

/// Compares orders: of changes with what disks made durable, of values with what the application shows.
pub(crate) fn check(world: &mut World, rebuilt: &BTreeMap<ChainId, Rebuilt>) {
    for (case, rebuilt) in rebuilt {
        for who in 0..world.people.len() {
            check_changes(world, case, rebuilt, who);
        }
        check_shown(world, case);
    }
}

fn check_changes(world: &mut World, case: &ChainId, rebuilt: &Rebuilt, who: usize) {
    let Some(person) = world.people.get(who) else { return };
    let Some(device) = person.id else { return };
    let actor = derive_actor(device, person.incarnation, *case);
    let found = rebuilt.by_actor.get(&actor.0).map(Vec::as_slice).unwrap_or_default();
    let durable = world.model.durable.get(&(who, *case)).map(Vec::as_slice).unwrap_or_default();
    if found != durable {
        let what = format!(
            "{} changes of device {who} in case {case} were made durable, and {} are there, or in another order",
            durable.len(),
            found.len()
        );
        world.breach(Checker::Order, what);
        return;
    }
    let of_both = world.model.acknowledged.iter().filter(|edit| edit.who == who && edit.case == *case);
    let places = of_both.filter_map(|edit| found.iter().position(|change| Some(*change) == edit.change));
    if !places.is_sorted_by(|a, b| a < b) {
        world.breach(Checker::Order, format!("edits of device {who} in case {case} stand in another order"));
    }
}

/// Looks at the history as a person sees it, on the last device that has the case.
fn check_shown(world: &mut World, case: &ChainId) {
    let Some((shower, history)) = (0..world.people.len()).rev().find_map(|who| {
        let history = world.call(who, |device, _| device.case_history(case, None).ok()).flatten()?;
        Some((who, history))
    }) else {
        return;
    };
    for who in 0..world.people.len() {
        let device = world.people.get(who).and_then(|person| person.id);
        let mut expected: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
        let own = world.model.acknowledged.iter().filter(|edit| edit.who == who && edit.case == *case);
        for edit in own {
            if let Expected::Set { place, value } = &edit.expected {
                expected.entry(place).or_default().push(value);
            }
        }
        let mut wrong = None;
        for (place, values) in expected {
            let shown = history.iter().filter(|entry| entry.author.device == device && entry.place == place);
            let shown: Vec<&Json> = shown.map(|entry| &entry.value).collect();
            // Edits whose acknowledgement was lost, and settled conflicts, may stand between.
            let mut rest = shown.iter();
            if !values.iter().all(|value| rest.any(|shown| shown == value)) {
                wrong = Some(place.to_owned());
            }
        }
        if let Some(place) = wrong {
            let what =
                format!("device {shower} shows edits of {place} by device {who} in case {case} in another order");
            world.breach(Checker::Order, what);
        }
    }
}
