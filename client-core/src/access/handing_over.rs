//! Documents that somebody takes over from all others: he is let in beside them first, and takes over once he has the key.
//!
//! Nobody but a member passes a key on. Were the others put out in one go with his coming in, nobody could ever read the
//! document again.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Digest, Timestamp, decode, encode};
use vereda_policy::Body;
use vereda_sync::device::{DeviceStore, IntentId, OutboxItem, StoreError};

use super::{DecideError, decisions::StoredDecision};
use crate::{
    device::{Ambient, Device, DeviceError},
    tables::HANDOVERS,
};

const MAX_BYTES: usize = 1 << 20;

/// What is to be done once the key was passed on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Handover {
    #[n(0)]
    chain: ChainId,
    /// Who takes over.
    #[n(1)]
    to: ChainId,
    /// What is decided then.
    #[n(2)]
    body: Body,
    /// What lets him in.
    #[n(3)]
    grant: IntentId,
    /// When it was decided, by this device's clock.
    #[n(4)]
    stated: Timestamp,
}

impl Handover {
    /// Shows it as the decision that it becomes.
    pub(super) fn into_decision(self) -> StoredDecision {
        let Self { chain, to: _, body, grant, stated } = self;
        StoredDecision { intent: grant, chain, body, stated, failure: None }
    }
}

impl<S: DeviceStore> Device<S> {
    /// Queues decisions that were checked, and keeps those that wait for `to` to have a key: each of their documents has
    /// a grant among the decisions. Durable when this returns.
    pub(super) fn decide_in_turn(
        &mut self,
        ambient: &Ambient<'_>,
        decisions: Vec<(ChainId, Body)>,
        to: ChainId,
        waiting: Vec<(ChainId, Body)>,
    ) -> Result<(), DecideError> {
        for (chain, body) in &decisions {
            self.check_decision(chain, body, ambient.now.wall)?;
        }
        let queued = self.queue_in_turn(decisions, to, waiting, ambient.now.wall);
        self.keep_or_undo(queued)
    }

    fn queue_in_turn(
        &mut self,
        decisions: Vec<(ChainId, Body)>,
        to: ChainId,
        mut waiting: Vec<(ChainId, Body)>,
        stated: Timestamp,
    ) -> Result<(), DeviceError> {
        for (chain, body) in decisions {
            let intent = self.queue_decision(chain, body, stated)?;
            let Some(index) = waiting.iter().position(|(of, _)| *of == chain) else { continue };
            let (chain, body) = waiting.swap_remove(index);
            let row = encode(&Handover { chain, to, body, grant: intent, stated });
            self.store.put(HANDOVERS, &[], chain.as_bytes(), &row)?;
        }
        Ok(())
    }

    /// Goes on with what waited for a key that was passed on since; commits.
    pub(crate) fn finish_handovers(&mut self) -> Result<(), DeviceError> {
        let mut has_changed = false;
        for row in self.scan_handovers()? {
            if self.has_role_in(&row.to, &row.chain) {
                if !self.has_key_of(&row.to, &row.chain) {
                    continue;
                }
                self.queue_decision(row.chain, row.body, row.stated)?;
            } else if self.is_queued(row.grant)? {
                continue;
            }
            // Where he was not let in, the grant says why.
            self.store.delete(HANDOVERS, row.chain.as_bytes())?;
            has_changed = true;
        }
        if has_changed { self.commit() } else { Ok(()) }
    }

    /// Says whether the key of a chain's newest epoch was passed on to a member.
    pub(super) fn has_key_of(&self, member: &ChainId, chain: &ChainId) -> bool {
        let state = self.chain(chain);
        let epoch = state.as_deref().and_then(|state| state.newest_epoch());
        epoch.is_some_and(|epoch| epoch.newest_target(&Digest(member.0)).is_some())
    }

    pub(super) fn scan_handovers(&self) -> Result<Vec<Handover>, StoreError> {
        let mut rows = Vec::new();
        self.store.scan(HANDOVERS, None, &mut |_, row| {
            rows.extend(decode::<Handover>(row, MAX_BYTES).ok());
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    fn is_queued(&self, intent: IntentId) -> Result<bool, StoreError> {
        let is_it = |item: &OutboxItem| matches!(item, OutboxItem::Intent { id, .. } if *id == intent);
        Ok(self.outbox()?.iter().any(is_it))
    }
}
