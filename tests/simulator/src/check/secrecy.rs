//! No planted text in what the relay stores; frames are looked into as they are sent.

use vereda_base::encode;
use vereda_sync::relay::store::Entry;

use crate::{breach::Checker, world::World};

/// Looks through the relay's log.
pub(crate) fn check(world: &mut World) {
    let mark = world.pen.mark().to_owned();
    let bare = world.model.log.iter().flatten().filter(|entry| {
        let bytes = match entry {
            Entry::Op { op, receipt } => [encode(op), encode(receipt)].concat(),
            Entry::Wrap { wrap, proof, .. } => [encode(wrap), encode(proof)].concat(),
            Entry::Chunk(chunk) | Entry::Review { chunk, .. } => encode(chunk),
            Entry::ReviewDocument { create, wraps, .. } => [encode(create), encode(wraps)].concat(),
            Entry::Frontier { .. } => Vec::new(),
        };
        bears(&bytes, &mark)
    });
    let found = bare.count();
    if found > 0 {
        world.breach(Checker::Secrecy, format!("planted text in {found} entries of the relay's log"));
    }
}

/// Says whether bytes bear a mark.
pub fn bears(bytes: &[u8], mark: &str) -> bool {
    let mark = mark.as_bytes();
    let Some(first) = mark.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let Some(found) = rest.get(at..) else { return false };
        if found.starts_with(mark) {
            return true;
        }
        rest = found.get(1..).unwrap_or_default();
    }
    false
}
