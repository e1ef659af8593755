//! Each device's edits stand in the history in the order in which they were acknowledged, A, B, A included.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vereda_base::{ChainId, Incarnation};
use vereda_crypto::derive_actor;

use super::Rebuilt;
use crate::{breach::Checker, intent::Expected, model::Acknowledged, world::World};

/// Compares orders: of changes with what disks made durable, of values with what the application shows.
pub(crate) fn check(world: &mut World, rebuilt: &BTreeMap<ChainId, Rebuilt>) {
    for (case, rebuilt) in rebuilt {
        for who in 0..world.people.len() {
            check_changes(world, case, rebuilt, who);
        }
        check_shown(world, case, rebuilt);
    }
}

fn check_changes(world: &mut World, case: &ChainId, rebuilt: &Rebuilt, who: usize) {
    let Some(device) = world.people.get(who).and_then(|person| person.id) else { return };
    let all = world.model.durable.range((who, Incarnation(0), *case)..=(who, Incarnation(u64::MAX), *case));
    let mine: Vec<(Incarnation, Vec<[u8; 32]>)> =
        all.filter(|((_, _, of), _)| of == case).map(|((_, one, _), changes)| (*one, changes.clone())).collect();
    for (incarnation, durable) in mine {
        let actor = derive_actor(device, incarnation, *case);
        let found = rebuilt.by_actor.get(&actor.0).map(Vec::as_slice).unwrap_or_default();
        // What is missing at the end is another checker's matter: it may have been turned away, or made again.
        if !durable.starts_with(found) {
            let what = format!(
                "{} changes of device {who} in case {case} were made durable, and {} are there, or in another order",
                durable.len(),
                found.len()
            );
            world.breach(Checker::Order, what);
            return;
        }
        let is_of = |edit: &&Acknowledged| edit.who == who && edit.case == *case && edit.incarnation == incarnation;
        let of_all = world.model.acknowledged.iter().filter(is_of);
        let places = of_all.filter_map(|edit| found.iter().position(|change| Some(*change) == edit.change));
        if !places.is_sorted_by(|a, b| a < b) {
            world.breach(Checker::Order, format!("edits of device {who} in case {case} stand in another order"));
        }
    }
}

/// Looks at the history as a person sees it, on the last device that has the case and what says how to show it.
fn check_shown(world: &mut World, case: &ChainId, rebuilt: &Rebuilt) {
    let Some((shower, history)) = (0..world.people.len()).rev().find_map(|who| {
        if !world.reads(who, case) || !world.is_key_in_reach(who, case) || !world.reads_configuration(who) {
            return None;
        }
        let history = world.call(who, |device, _| device.case_history(case, None).ok()).flatten()?;
        Some((who, history))
    }) else {
        return;
    };
    for who in 0..world.people.len() {
        let device = world.people.get(who).and_then(|person| person.id);
        let mut expected: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
        let stands = |edit: &&Acknowledged| edit.change.is_some_and(|change| rebuilt.written.contains_key(&change));
        let own = world.model.acknowledged.iter().filter(|edit| edit.who == who && edit.case == *case).filter(stands);
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
