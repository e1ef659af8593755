//! The relay and the devices hold the same chains and chunks, and the relay all that it ever committed.

use std::collections::BTreeSet;

use vereda_base::{ChainId, Link};
use vereda_policy::op_id_of_bytes;
use vereda_protocol::Position;
use vereda_sync::{
    device::tables,
    relay::{
        RelayStore,
        store::{Entry, StoredChain},
    },
};

use super::rows;
use crate::{breach::Checker, world::World};

/// Checks that the relay's disk holds what was committed before it died.
pub(crate) fn check_relay_kept(world: &mut World) {
    let disk = &world.relay_disk;
    let mut wrong = Vec::new();
    if disk.end() != Ok(Position(world.model.log.len() as u64)) {
        wrong.push(format!("the relay committed {} entries and holds {:?}", world.model.log.len(), disk.end()));
    }
    for (document, link) in &world.model.promised {
        if !matches!(disk.chunk_at(document, link), Ok(Some(_))) {
            wrong.push(format!("chunk {link} was acknowledged and is gone from the relay"));
        }
    }
    for what in wrong.into_iter().take(3) {
        world.breach(Checker::Agreement, what);
    }
}

/// Compares chains and chunks of the relay and of every device.
pub(crate) fn check(world: &mut World) {
    check_relay_kept(world);
    check_log(world);
    for who in 0..world.people.len() {
        let mut wrong = Vec::new();
        check_chains(world, who, &mut wrong);
        check_chunks(world, who, &mut wrong);
        for what in wrong.into_iter().take(3) {
            world.breach(Checker::Agreement, format!("device {who}: {what}"));
        }
    }
}

/// Receipts of a chain are contiguous and never run back; the log is what was committed.
fn check_log(world: &mut World) {
    let mut newest = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    for (position, known) in (1..).zip(&world.model.log) {
        let found = world.relay_disk.entry(Position(position));
        // What was in review loses what it held once it is decided on.
        let may_go = matches!(known, Some(Entry::Review { .. } | Entry::ReviewDocument { .. }) | None);
        if found.as_ref() != Ok(known) && !(may_go && found == Ok(None)) {
            wrong.push(format!("entry {position} of the relay's log is not what was committed"));
        }
        let Some(Entry::Op { receipt, .. }) = known else { continue };
        let Ok(receipt) = receipt.clone().verify() else {
            wrong.push(format!("the receipt at {position} does not verify"));
            continue;
        };
        let receipt = receipt.value();
        let before = newest.insert(receipt.chain, (receipt.seq, receipt.time));
        let follows = match before {
            None => receipt.seq == 0,
            Some((seq, time)) => receipt.seq == seq + 1 && receipt.time >= time,
        };
        if !follows {
            wrong.push(format!("the receipt at {position} does not follow the one before in its chain"));
        }
    }
    for what in wrong.into_iter().take(3) {
        world.breach(Checker::Agreement, what);
    }
}

fn check_chains(world: &World, who: usize, wrong: &mut Vec<String>) {
    let Some(disk) = world.people.get(who).and_then(|person| person.device.as_ref()).map(|device| device.store())
    else {
        return;
    };
    for (key, _) in rows::list(disk, tables::CHAINS, None) {
        let Ok(chain) = key.try_into().map(ChainId) else { continue };
        let here = rows::ops(disk, &chain);
        let ids: Vec<_> = here.iter().map(|row| op_id_of_bytes(row.op.bytes())).collect();
        let there: Vec<_> = match world.relay_disk.chain(&chain) {
            Ok(Some(StoredChain { ops, .. })) => ops.iter().map(|op| op_id_of_bytes(op.op.bytes())).collect(),
            _ => Vec::new(),
        };
        let is_kept_out = ids.len() == 1 && there.is_empty() && world.model.awaits_or_missed(&chain);
        let follows_all = world.follows(who, &chain);
        let is_same = if follows_all { ids == there } else { there.starts_with(&ids) };
        if !is_same && !is_kept_out {
            wrong.push(format!("{} operations of chain {chain}, {} at the relay", ids.len(), there.len()));
        }
        if here.iter().any(|row| row.receipt.is_none()) && !is_kept_out {
            wrong.push(format!("an operation of chain {chain} has no receipt"));
        }
        if here.iter().any(|row| row.is_void) {
            wrong.push(format!("an operation of chain {chain} has no effect"));
        }
    }
}

fn check_chunks(world: &World, who: usize, wrong: &mut Vec<String>) {
    let Some(disk) = world.people.get(who).and_then(|person| person.device.as_ref()).map(|device| device.store())
    else {
        return;
    };
    for document in world.model.documents.keys() {
        if !world.reads(who, document) || world.model.is_erased(document) {
            continue;
        }
        let there: BTreeSet<Link> =
            world.model.chunks.get(document).into_iter().flatten().map(|logged| logged.header.link()).collect();
        let here = rows::standing(disk, document);
        if here != there {
            let (more, less) = (here.difference(&there).count(), there.difference(&here).count());
            wrong.push(format!("of document {document}, {less} chunks of the relay lack and {more} are too many"));
        }
    }
}
