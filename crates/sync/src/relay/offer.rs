//! What the frontier of a removal is to name, offered to whoever signs it: in one frame, or page by page.

use std::collections::BTreeMap;

use vereda_base::limits::{MAX_FRAME_BYTES, MAX_FRONTIER_LEAVES};
use vereda_protocol::{Down, OfferedLeaf, OpOutcome, RefusalCode};

use super::{machine::RelayMachine, removal, session::SessionId};

/// Most that one offered leaf takes in a frame, in bytes.
const OFFERED_BYTES: usize = 128;
/// Leaves in one page.
const PAGE_LEAVES: usize = 2_048;
/// Leaves held for all sessions that fetch pages: where that is too much, the offer made first gives way.
const MAX_HELD: usize = 2 * MAX_FRONTIER_LEAVES;

/// Offers that are fetched page by page.
#[derive(Debug, Default)]
pub(super) struct Offers {
    held: BTreeMap<SessionId, Offer>,
    made: u64,
}

#[derive(Debug)]
struct Offer {
    request: u64,
    /// Sorted by key.
    leaves: Vec<OfferedLeaf>,
    /// Offers that were made before.
    age: u64,
}

impl Offers {
    /// Holds an offer for a session, in place of an earlier one.
    fn hold(&mut self, id: SessionId, request: u64, leaves: Vec<OfferedLeaf>) {
        self.made = self.made.saturating_add(1);
        self.held.insert(id, Offer { request, leaves, age: self.made });
        while self.held.len() > 1 && self.held.values().map(|offer| offer.leaves.len()).sum::<usize>() > MAX_HELD {
            let oldest = self.held.iter().min_by_key(|(_, offer)| offer.age).map(|(id, _)| *id);
            oldest.and_then(|oldest| self.held.remove(&oldest));
        }
    }

    /// Reads the next page; empty where the offer is not held, or has ended. The last page ends it.
    fn page(&mut self, id: SessionId, request: u64, from: u64) -> Vec<OfferedLeaf> {
        let Some(offer) = self.held.get(&id).filter(|offer| offer.request == request) else { return Vec::new() };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let end = from.saturating_add(PAGE_LEAVES).min(offer.leaves.len());
        let page = offer.leaves.get(from..end).unwrap_or_default().to_vec();
        if end == offer.leaves.len() {
            self.held.remove(&id);
        }
        page
    }

    /// Forgets what a session was offered.
    pub(super) fn forget(&mut self, id: SessionId) {
        self.held.remove(&id);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.held.clear();
    }
}

impl RelayMachine {
    /// Offers what a removal is to name instead of what it named.
    pub(super) fn offer(&mut self, id: SessionId, request: u64, leaves: Vec<OfferedLeaf>) {
        let outcome = if leaves.len() > MAX_FRONTIER_LEAVES {
            OpOutcome::Refused(RefusalCode::TooLarge)
        } else if leaves.len().saturating_mul(OFFERED_BYTES) > MAX_FRAME_BYTES - OFFERED_BYTES {
            let frontier = removal::tree_of(&leaves).frontier();
            self.offers.hold(id, request, leaves);
            OpOutcome::FrontierPaged(frontier)
        } else {
            OpOutcome::FrontierMoved(leaves)
        };
        self.send(id, &Down::OpResult { request, outcome });
    }

    /// Hands out the next page of an offer.
    pub(super) fn hand_out(&mut self, id: SessionId, request: u64, from: u64) {
        let leaves = self.offers.page(id, request, from);
        self.send(id, &Down::Offer { request, from, leaves });
    }
}
