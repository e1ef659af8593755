//! Why is this document not synced yet: one answer.

use vereda_base::{ChainId, ChunkId, Timestamp};
use vereda_protocol::{Position, RefusalCode};

use super::{
    effect::Disconnect,
    gaps::GapRow,
    machine::DeviceMachine,
    outbox::OutboxItem,
    session::Phase,
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, BACKFILL, BackfillRow, Cause, EXCLUDED, ExcludedRow, GAPS, OUTBOX, QUARANTINE, QuarantinedChunk,
        REFUSED, RESEAL, RefusedRow, ResealRow, UNKEPT, WAITING_CHUNKS, WaitingChunk, chunk_id, load, load_all,
    },
};

/// One answer per document, the most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// Everything of it is at the relay, and everything the relay had is here.
    Acknowledged,
    /// Chunks break a rule and are set aside.
    Quarantined {
        /// How many.
        chunks: u32,
        /// The first of them.
        first: ChunkId,
    },
    /// The relay refused chunks made here.
    Refused {
        /// How many.
        chunks: u32,
        /// Why the first was refused.
        code: RefusalCode,
    },
    /// The key or the cites of chunks made here are superseded: they are to be sealed again.
    NeedsResealing {
        /// How many.
        chunks: u32,
    },
    /// Chunks made here await a Manager's decision.
    InReview {
        /// How many.
        chunks: u32,
    },
    /// The operation that begins the document awaits a Manager's decision.
    OpInReview,
    /// Chunks made here can not stand: their edits are to be made again.
    NeedsRemaking {
        /// How many.
        chunks: u32,
    },
    /// Chunks of others do not stand, since their authors' rights had ended; they are kept and not shown.
    Excluded {
        /// How many.
        chunks: u32,
    },
    /// The relay refused the operation that begins the document.
    OpRefused {
        /// Why.
        code: RefusalCode,
    },
    /// Chunks rely on policy that is unknown here.
    WaitingForPolicy {
        /// The chain whose news are missing.
        chain: ChainId,
        /// How many chunks wait.
        chunks: u32,
    },
    /// It is not known yet whether chunks came before their author's rights ended: the relay is asked.
    WaitingForFrontier {
        /// The chain of the operation that ended them.
        chain: ChainId,
        /// How many chunks wait.
        chunks: u32,
    },
    /// Chunks build on others that are not here yet.
    WaitingForChunks {
        /// How many wait.
        chunks: u32,
    },
    /// More of it waits than this device keeps: the rest is fetched again once there is room.
    Overfull {
        /// How many wait.
        chunks: u32,
    },
    /// It became visible lately, and its earlier chunks are being fetched.
    Backfilling {
        /// Stored up to here.
        after: Position,
        /// The end.
        upto: Position,
    },
    /// Made here and not sent: there is no connection.
    Offline {
        /// Chunks that wait.
        chunks: u32,
        /// Since when there was no connection; `None` if there never was one since the start.
        since: Option<Timestamp>,
        /// Why.
        reason: Disconnect,
    },
    /// Made here; it waits for its turn.
    NotSent {
        /// Chunks that wait.
        chunks: u32,
    },
    /// Made here and sent; the relay has not confirmed it yet.
    Sent {
        /// Chunks sent and not confirmed.
        chunks: u32,
    },
    /// Nothing of it is known here.
    Unknown,
}

impl DeviceMachine {
    /// Tells why a document is not synced yet: the most pressing cause there is.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn explain(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<SyncState, StoreError> {
        let group = Some(document.as_bytes().as_slice());
        let quarantined = load_all::<QuarantinedChunk>(store, QUARANTINE, group)?;
        if let Some((first, _)) = quarantined.first() {
            let unkept = load::<u64>(store, UNKEPT, document.as_bytes())?.unwrap_or_default();
            let chunks = amount(quarantined.len()).saturating_add(u32::try_from(unkept).unwrap_or(u32::MAX));
            return Ok(SyncState::Quarantined { chunks, first: chunk_id(first) });
        }
        let excluded = load_all::<ExcludedRow>(store, EXCLUDED, group)?;
        let remade = |row: &&(Vec<u8>, ExcludedRow)| row.1.own && matches!(row.1.cause, Cause::Rights | Cause::BuiltOn);
        let to_remake = amount(excluded.iter().filter(remade).count());
        if to_remake > 0 {
            return Ok(SyncState::NeedsRemaking { chunks: to_remake });
        }
        if let Some(state) = explain_refused(&load_all(store, REFUSED, group)?) {
            return Ok(state);
        }
        let held = load_all::<ResealRow>(store, RESEAL, group)?;
        if !held.is_empty() {
            return Ok(SyncState::NeedsResealing { chunks: amount(held.len()) });
        }
        let waiting = load_all(store, WAITING_CHUNKS, group)?;
        if let Some(gap) = load::<GapRow>(store, GAPS, document.as_bytes())? {
            let dropped = u32::try_from(gap.chunks).unwrap_or(u32::MAX);
            return Ok(SyncState::Overfull { chunks: amount(waiting.len()).saturating_add(dropped) });
        }
        if let Some(state) = explain_waiting(&waiting) {
            return Ok(state);
        }
        if let Some(BackfillRow { after, upto, .. }) = load(store, BACKFILL, document.as_bytes())? {
            return Ok(SyncState::Backfilling { after, upto });
        }
        if let Some(state) = self.explain_outbox(&load_all(store, OUTBOX, group)?) {
            return Ok(state);
        }
        let foreign = amount(excluded.iter().filter(|(_, row)| !row.own).count());
        if foreign > 0 {
            return Ok(SyncState::Excluded { chunks: foreign });
        }
        let known = self.shelf.find(store, document)?.is_some();
        Ok(if known { SyncState::Acknowledged } else { SyncState::Unknown })
    }

    /// Explains what was made here and is not at the relay yet.
    fn explain_outbox(&self, items: &[(Vec<u8>, OutboxItem)]) -> Option<SyncState> {
        let first = items.first()?;
        let chunks = amount(items.iter().filter(|(_, item)| matches!(item, OutboxItem::Chunk { .. })).count());
        let Phase::Session(session) = &self.phase else {
            return Some(SyncState::Offline { chunks, since: self.offline_since, reason: self.last_reason });
        };
        let sent =
            |key: &[u8]| key.try_into().is_ok_and(|key| session.in_flight.contains_key(&u64::from_be_bytes(key)));
        let all_sent = sent(&first.0) && items.iter().all(|(key, _)| sent(key));
        Some(if all_sent { SyncState::Sent { chunks } } else { SyncState::NotSent { chunks } })
    }
}

fn explain_refused(rows: &[(Vec<u8>, RefusedRow)]) -> Option<SyncState> {
    if let Some(code) = rows.iter().filter(|(_, row)| row.is_op).find_map(|(_, row)| row.code) {
        return Some(SyncState::OpRefused { code });
    }
    let refused = || rows.iter().filter_map(|(_, row)| row.code);
    if let Some(code) = refused().next() {
        return Some(SyncState::Refused { chunks: amount(refused().count()), code });
    }
    if rows.iter().any(|(_, row)| row.is_op) {
        return Some(SyncState::OpInReview);
    }
    (!rows.is_empty()).then(|| SyncState::InReview { chunks: amount(rows.len()) })
}

fn explain_waiting(rows: &[(Vec<u8>, WaitingChunk)]) -> Option<SyncState> {
    let chunks = amount(rows.len());
    let awaited = || rows.iter().map(|(_, row)| row.awaited);
    let policy = awaited().find_map(|awaited| match awaited {
        Awaited::Policy(chain) => Some(SyncState::WaitingForPolicy { chain, chunks }),
        _ => None,
    });
    let leaf = || {
        awaited().find_map(|awaited| match awaited {
            Awaited::Leaf { chain, .. } => Some(SyncState::WaitingForFrontier { chain, chunks }),
            _ => None,
        })
    };
    policy.or_else(leaf).or_else(|| (chunks > 0).then_some(SyncState::WaitingForChunks { chunks }))
}

fn amount(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
