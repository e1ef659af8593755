//! Where the relay lies, every honest device agrees with what its log holds, or says that something is wrong: of the relay,
//! or of the document. It may be silent about nothing but policy that was withheld from it and that nothing builds on.

use std::collections::BTreeSet;

use vereda_base::{ChainId, Link, OpId};
use vereda_policy::op_id_of_bytes;
use vereda_protocol::Goodbye;
use vereda_sync::{
    device::{Disconnect, tables},
    relay::{RelayStore, store::StoredChain},
};

use super::{Rebuilt, rows};
use crate::{breach::Checker, model::ledger::AsOf, world::World};

/// What a device says.
pub(crate) struct Said {
    /// Against the relay.
    accuses: bool,
    connection: String,
}

impl Said {
    /// Asks a device; `None` where it is off.
    pub(crate) fn by(world: &mut World, who: usize) -> Option<Self> {
        let status = world.call(who, |device, _| device.status().ok()).flatten()?;
        let accused = [
            Disconnect::RelayForked,
            Disconnect::RelayIdentity,
            Disconnect::RelayRestored,
            Disconnect::Violation,
            Disconnect::Overfull,
            Disconnect::StoreRestored,
            Disconnect::LogShorter,
        ];
        // Whoever holds receipts of that relay and is not let in by it is told so.
        let turned_away = [Goodbye::BadAuth, Goodbye::UnknownDevice, Goodbye::InviteSpent, Goodbye::FoundingSpent];
        let turned_away = turned_away.map(Disconnect::Goodbye);
        let mut accused = accused.iter().chain(&turned_away);
        let mut is_accusation = |reason: &String| accused.any(|one| one.to_string() == *reason);
        let reason = status.connection.reason;
        let accuses = !status.relay_faults.is_empty() || reason.as_ref().is_some_and(&mut is_accusation);
        Some(Self { accuses, connection: format!("{} {}", status.connection.state, reason.unwrap_or_default()) })
    }

    /// Says whether the device tells that something is amiss with a document.
    pub(crate) fn tells(&self, world: &mut World, who: usize, document: &ChainId) -> bool {
        let told = world.call(who, |device, _| device.explain(document).ok()).flatten();
        self.accuses || told.is_none_or(|told| told.state != "synced")
    }
}

/// Compares every honest device with the log.
pub(crate) fn check(world: &mut World, rebuilt: &std::collections::BTreeMap<ChainId, Rebuilt>) {
    for who in 0..world.people.len() {
        if !world.is_honest(who) {
            continue;
        }
        let Some(said) = Said::by(world, who) else { continue };
        world.counts.named += u64::from(said.accuses);
        let mut wrong = Vec::new();
        check_chains(world, who, &said, &mut wrong);
        check_documents(world, who, &said, rebuilt, &mut wrong);
        for what in wrong.into_iter().take(3) {
            world.breach(Checker::Naming, format!("device {who} ({}) {what}", said.connection));
        }
    }
}

fn check_chains(world: &World, who: usize, said: &Said, wrong: &mut Vec<String>) {
    let Some(disk) = world.people.get(who).and_then(|person| person.device.as_ref()).map(|device| device.store())
    else {
        return;
    };
    let waiting: Vec<Vec<u8>> = rows::list(disk, tables::WAITING_OPS, None).into_iter().map(|(key, _)| key).collect();
    for (key, _) in rows::list(disk, tables::CHAINS, None) {
        let Ok(chain) = key.try_into().map(ChainId) else { continue };
        let received = rows::ops(disk, &chain).into_iter().filter(|row| row.receipt.is_some());
        let here: Vec<OpId> = received.map(|row| op_id_of_bytes(row.op.bytes())).collect();
        let there: Vec<OpId> = match world.relay_disk.chain(&chain) {
            Ok(Some(StoredChain { ops, .. })) => ops.iter().map(|op| op_id_of_bytes(op.op.bytes())).collect(),
            _ => Vec::new(),
        };
        // Of a document that it may not read as far as it knows, a device is told now and then what was decided on its work.
        let follows = world.follows(who, &chain) && world.knows_to_read(who, &chain);
        if said.accuses || here == there || (!follows && there.starts_with(&here)) {
            continue;
        }
        let lacks = |op: &OpId| world.crook.lacking.contains(&(who, *op));
        let is_silent = !waiting.iter().any(|key| key.starts_with(&chain.0));
        if !(there.starts_with(&here) && there.iter().skip(here.len()).all(lacks) && is_silent) {
            let (here, there) = (here.len(), there.len());
            wrong.push(format!("holds {here} operations of chain {chain}, the relay {there}, and says nothing"));
        }
    }
}

fn check_documents(
    world: &mut World,
    who: usize,
    said: &Said,
    rebuilt: &std::collections::BTreeMap<ChainId, Rebuilt>,
    wrong: &mut Vec<String>,
) {
    let documents: Vec<ChainId> = world.model.documents.keys().copied().collect();
    for document in documents {
        if !world.reads(who, &document) || world.model.is_erased(&document) {
            continue;
        }
        let person = world.people.get(who);
        let Some((disk, id)) = person.and_then(|person| Some((person.device.as_ref()?.store(), person.id?))) else {
            return;
        };
        let own = |header: &vereda_protocol::Header| header.device == id;
        let of_log = world.model.chunks.get(&document).into_iter().flatten();
        let there: BTreeSet<Link> = of_log.map(|logged| logged.header.link()).collect();
        let own: BTreeSet<Link> =
            rows::headers(disk, &document).iter().filter(|header| own(header)).map(|header| header.link()).collect();
        let standing = rows::standing(disk, &document);
        let is_more = !standing.is_subset(&there);
        // Whoever is out of every group and named in the document still writes to it; the relay kept that from its log.
        let named = world.model.ledger.readers(&document, AsOf::Ever);
        let is_entitled = |link: &Link| {
            let smuggled = world.crook.smuggled.get(link);
            smuggled.is_some_and(|smuggled| named.contains_key(&smuggled.header.device))
        };
        let counts = |link: &Link| there.contains(link) || !(own.contains(link) || is_entitled(link));
        let here: BTreeSet<Link> = standing.into_iter().filter(counts).collect();
        let is_same = here == there;
        if said.tells(world, who, &document) {
            continue;
        }
        if !is_same {
            let (more, less) = (here.difference(&there).count(), there.difference(&here).count());
            wrong.push(format!("lacks {less} chunks of document {document}, holds {more} too many, and says nothing"));
            continue;
        }
        if is_more {
            continue;
        }
        let Some(expected) = rebuilt.get(&document).map(|rebuilt| rebuilt.digest) else { continue };
        let unsent = world.call(who, |device, _| device.status().map_or(0, |status| status.pending_documents));
        let digest = world.call(who, |device, _| device.case_digest(&document));
        if unsent == Some(0) && !matches!(digest, Some(Ok(found)) if found.0 == expected) {
            wrong.push(format!("shows document {document} otherwise than its chunks say, and says nothing"));
        }
    }
}
