//! A device stores nothing of a case that it may not read.

use vereda_base::ChainId;
use vereda_sync::device::{Table, tables};

use super::rows;
use crate::{breach::Checker, world::World};

/// What a device stores about chains: rows are of the chain that their key names.
const CHAIN_TABLES: [Table; 4] = [tables::CHAINS, tables::OPS, tables::WAITING_OPS, tables::EVIDENCE];
/// What a device stores about keys and chunks.
const CHUNK_TABLES: [Table; 9] = [
    tables::WRAPS,
    tables::WAITING_WRAPS,
    tables::DOCUMENTS,
    tables::CHUNKS,
    tables::LINKS,
    tables::WAITING_CHUNKS,
    tables::AWAITED,
    tables::QUARANTINE,
    tables::BACKFILL,
];

/// Looks for the ids of foreign cases in every row.
pub(crate) fn check(world: &mut World) {
    for who in 0..world.people.len() {
        let Some(person) = world.people.get(who) else { continue };
        let (Some(device), Some(id)) = (person.device.as_ref(), person.id) else { continue };
        let is_foreign = |case: &ChainId| !world.model.ever_read(case, &id) && !person.made.contains(case);
        let foreign: Vec<ChainId> = world.model.cases().into_iter().filter(is_foreign).collect();
        let unnamed: Vec<ChainId> =
            foreign.iter().filter(|case| !world.model.named.contains(&(**case, id))).copied().collect();
        let mut found = Vec::new();
        let of_chains = CHAIN_TABLES.map(|table| (table, false, &unnamed));
        for (table, is_whole, foreign) in of_chains.into_iter().chain(CHUNK_TABLES.map(|table| (table, true, &foreign)))
        {
            for (key, value) in rows::list(device.store(), table, None) {
                let holds = |case: &&ChainId| contains(&key, case) || (is_whole && contains(&value, case));
                found.extend(foreign.iter().find(holds).map(|case| (table, *case)));
            }
        }
        if let Some((table, case)) = found.first() {
            let what = format!(
                "device {who} stores {} rows of cases it may not read, such as one of {case} in {}",
                found.len(),
                table.0
            );
            world.breach(Checker::Entitlement, what);
        }
    }
}

fn contains(bytes: &[u8], case: &ChainId) -> bool {
    let Some(first) = case.0.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let Some(found) = rest.get(at..) else { return false };
        if found.starts_with(&case.0) {
            return true;
        }
        rest = found.get(1..).unwrap_or_default();
    }
    false
}
