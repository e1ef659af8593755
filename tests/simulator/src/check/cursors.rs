//! No cursor of a device passes an entry of the log that concerns the device and is not stored there.

use std::collections::BTreeSet;

use vereda_base::{ChainId, limits::MAX_HEADER_BYTES};
use vereda_protocol::{Header, Position};
use vereda_sync::device::{DeviceStore, tables};

use super::rows::{self, Backfill};
use crate::{breach::Checker, disk::Disk, world::World};

/// Checks every device that is switched on.
pub(crate) fn check(world: &mut World) {
    (0..world.people.len()).for_each(|who| check_device(world, who));
}

/// Checks one device's disk as it stands.
pub(crate) fn check_device(world: &mut World, who: usize) {
    let Some(person) = world.people.get(who) else { return };
    let Some(disk) = person.device.as_ref().map(|device| device.store()) else { return };
    let Some(meta) = rows::meta(disk) else { return };
    let Some(device) = person.id else { return };
    let backfills = rows::backfills(disk);
    let mut wrong = Vec::new();
    for (document, about) in &world.model.documents {
        // Whoever reads it no longer is not handed the rest of what he had begun to fetch.
        let upto = meta.policy.max(meta.content).max(Position(world.model.log.len() as u64));
        let is_erased = world.model.is_erased(document);
        if is_erased
            || about.position > meta.policy
            || !world.model.reads_throughout(document, &device, meta.policy, upto)
        {
            continue;
        }
        let is_fetched_later = |position: Position| {
            let covers = |row: &Backfill| row.document == *document && row.after < position && position <= row.upto;
            backfills.iter().any(covers)
        };
        if !is_fetched_later(about.position) && !is_known(disk, document) {
            wrong.push(format!("document {document} at {} is passed by the policy cursor", about.position.0));
        }
        let held = held_links(disk, document);
        for logged in world.model.chunks.get(document).into_iter().flatten() {
            if logged.position <= meta.content
                && logged.header.device != device
                && !held.contains(&logged.header.link().0)
                && !is_fetched_later(logged.position)
            {
                wrong.push(format!("a chunk at {} is passed by the content cursor", logged.position.0));
            }
        }
    }
    for what in wrong.into_iter().take(3) {
        world.breach(Checker::Cursors, format!("device {who}: {what}"));
    }
}

fn is_known(disk: &Disk, chain: &ChainId) -> bool {
    let waiting = || rows::list(disk, tables::WAITING_OPS, None).iter().any(|(key, _)| key.starts_with(&chain.0));
    matches!(disk.get(tables::CHAINS, chain.as_bytes()), Ok(Some(_))) || waiting()
}

/// Chunks of a document that are stored, wait or are set aside, by link.
fn held_links(disk: &Disk, document: &ChainId) -> BTreeSet<[u8; 32]> {
    let group = Some(document.as_bytes().as_slice());
    let mut held: BTreeSet<[u8; 32]> = BTreeSet::new();
    for chunk in rows::chunks(disk, document) {
        let header = vereda_base::decode::<Header>(chunk.header.bytes(), MAX_HEADER_BYTES);
        held.extend(header.map(|header| header.link().0));
    }
    // What waits or is set aside is kept whole, with its header in it; rare enough to be counted as held.
    for table in [tables::WAITING_CHUNKS, tables::QUARANTINE] {
        for (_, row) in rows::list(disk, table, group) {
            held.extend(links_within(&row));
        }
    }
    held
}

/// The link of a waiting or quarantined chunk: its row wraps the canonical chunk.
fn links_within(row: &[u8]) -> Option<[u8; 32]> {
    let mut decoder = minicbor::Decoder::new(row);
    let items = decoder.array().ok()??;
    for _ in 0..items {
        let at = decoder.position();
        if let Ok(bytes) = decoder.bytes() {
            let chunk: vereda_protocol::Chunk = vereda_base::decode(bytes, 2 << 20).ok()?;
            let header: Header = vereda_base::decode(chunk.header.bytes(), MAX_HEADER_BYTES).ok()?;
            return Some(header.link().0);
        }
        decoder.set_position(at);
        decoder.skip().ok()?;
    }
    None
}
