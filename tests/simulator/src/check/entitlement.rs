//! A device stores nothing of a case that it may not read.

use vereda_base::ChainId;
use vereda_sync::device::tables;

use super::rows;
use crate::{breach::Checker, world::World};

/// Everything that a device stores about chains and chunks.
const TABLES: [vereda_sync::device::Table; 13] = [
    tables::CHAINS,
    tables::OPS,
    tables::WAITING_OPS,
    tables::WRAPS,
    tables::WAITING_WRAPS,
    tables::DOCUMENTS,
    tables::CHUNKS,
    tables::LINKS,
    tables::WAITING_CHUNKS,
    tables::AWAITED,
    tables::QUARANTINE,
    tables::EVIDENCE,
    tables::BACKFILL,
];

/// Looks for the ids of foreign cases in every row.
pub(crate) fn check(world: &mut World) {
    for who in 0..world.people.len() {
        let own = world.teams_of(who);
        let cases = world.model.cases();
        let foreign: Vec<ChainId> =
            cases.into_iter().filter(|(_, document)| !own.contains(&document.holder)).map(|(case, _)| case).collect();
        if foreign.is_empty() || who == 0 {
            continue;
        }
        let Some(device) = world.people.get(who).and_then(|person| person.device.as_ref()) else { continue };
        let mut found = Vec::new();
        for table in TABLES {
            for (key, value) in rows::list(device.store(), table, None) {
                let holds = |case: &&ChainId| contains(&key, case) || contains(&value, case);
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
