//! What a removed device and the relay made after the removal stands on no device that knows of it, but up to the frontier.

use vereda_base::{Digest, Link};
use vereda_policy::Place;
use vereda_protocol::Header;
use vereda_sync::relay::store::Entry;

use super::rows;
use crate::{breach::Checker, world::World};

/// Looks for what was smuggled on every honest device.
pub(crate) fn check(world: &mut World) {
    let mut wrong = Vec::new();
    let accomplices: Vec<_> =
        world.crook.accomplices.iter().filter_map(|who| world.people.get(*who).and_then(|person| person.id)).collect();
    for who in 0..world.people.len() {
        if !world.is_honest(who) {
            continue;
        }
        let Some(person) = world.people.get(who) else { continue };
        let Some(device) = &person.device else { continue };
        for (link, smuggled) in &world.crook.smuggled {
            let header = &smuggled.header;
            let knows = person
                .knowledge
                .readers(&header.document)
                .is_some_and(|readers| !readers.devices.contains(&header.device));
            if accomplices.contains(&header.device)
                && knows
                && rows::standing(device.store(), &header.document).contains(link)
                && !is_within(world, header, link)
            {
                wrong.push(format!("chunk {} of {} stands on device {who}", header.seq, header.document));
            }
        }
    }
    for what in wrong.into_iter().take(4) {
        world.breach(Checker::BackDated, what);
    }
}

/// Says whether some frontier reaches a chunk.
fn is_within(world: &World, header: &Header, link: &Link) -> bool {
    let Header { document, device, incarnation, seq, .. } = *header;
    let key = Place::Content { document, device, incarnation }.key();
    world.model.log.iter().flatten().any(|entry| match entry {
        Entry::Frontier { leaves, .. } => {
            let leaf = leaves.iter().map(|offered| offered.leaf()).find(|leaf| leaf.key == key);
            leaf.is_some_and(|leaf| leaf.seq > seq || (leaf.seq == seq && leaf.id == Digest(link.0)))
        }
        _ => false,
    })
}
