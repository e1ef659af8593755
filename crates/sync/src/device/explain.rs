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
        Awaited, BACKFILL, BackfillRow, GAPS, OUTBOX, QUARANTINE, QuarantinedChunk, REFUSED, RefusedRow, UNKEPT,
        WAITING_CHUNKS, WaitingChunk, chunk_id, load, load_all,
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
    /// Chunks made here await a Manager's decision.
    InReview {
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
        if let Some(state) = explain_refused(&load_all(store, REFUSED, group)?) {
            return Ok(state);
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
    (!rows.is_empty()).then(|| SyncState::InReview { chunks: amount(rows.len()) })
}

fn explain_waiting(rows: &[(Vec<u8>, WaitingChunk)]) -> Option<SyncState> {
    let chunks = amount(rows.len());
    let chain = rows.iter().find_map(|(_, row)| match row.awaited {
        Awaited::Policy(chain) => Some(chain),
        Awaited::Chunk(_) => None,
    });
    match chain {
        Some(chain) => Some(SyncState::WaitingForPolicy { chain, chunks }),
        None => (chunks > 0).then_some(SyncState::WaitingForChunks { chunks }),
    }
}

fn amount(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
