//! Decisions on their way: checked, stored, and kept until it is known what became of them.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Timestamp, decode, encode};
use vereda_crypto::Verified;
use vereda_policy::{AppendContext, Body, Draft, Frontier, FrontierTree, OpRefusal, authorize, receipt_time};
use vereda_sync::device::{DeviceStore, IntentId, OutboxItem, StoreError};

use super::{Hindrance, handing_over::Handover};
use crate::{
    device::{Ambient, Device, DeviceError},
    tables::DECISIONS,
};

const MAX_BYTES: usize = 1 << 20;

/// Why no decision was made; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// Policy, as far as it is known here.
    #[error(transparent)]
    Hindered(#[from] Hindrance),
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Why a failed decision was not put away.
#[derive(Debug, thiserror::Error)]
pub enum DismissError {
    /// There is none of this number.
    #[error("no decision of this number failed")]
    NotFailed,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// What is kept of a decision, until it stands in its chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct StoredDecision {
    #[n(0)]
    pub(super) intent: IntentId,
    #[n(1)]
    pub(super) chain: ChainId,
    #[n(2)]
    pub(super) body: Body,
    /// When it was made, by this device's clock.
    #[n(3)]
    pub(super) stated: Timestamp,
    /// Why it will not come to be.
    #[n(4)]
    pub(super) failure: Option<String>,
}

impl<S: DeviceStore> Device<S> {
    /// Checks decisions as the relay would, each by itself, and queues all of them or none; durable when this returns.
    pub(crate) fn decide(&mut self, ambient: &Ambient<'_>, decisions: Vec<(ChainId, Body)>) -> Result<(), DecideError> {
        let now = ambient.now.wall;
        for (chain, body) in &decisions {
            self.check_decision(chain, body, now)?;
        }
        let queued = decisions.into_iter().try_for_each(|(chain, body)| {
            self.queue_decision(chain, body, now)?;
            Ok(())
        });
        self.keep_or_undo(queued)
    }

    /// Commits what was queued, or undoes it where that failed.
    pub(super) fn keep_or_undo(&mut self, queued: Result<(), DeviceError>) -> Result<(), DecideError> {
        let kept = queued.and_then(|()| self.commit());
        if kept.is_err() {
            self.roll_back();
        }
        Ok(kept?)
    }

    /// Says whether a decision would be allowed now, as far as this device knows.
    pub(crate) fn check_decision(&self, chain: &ChainId, body: &Body, now: Timestamp) -> Result<(), Hindrance> {
        self.view(|view, device| {
            let draft = Draft::new(view, device, Some(now)).append(chain, body.clone())?;
            let op = Verified::sign(&self.keys.signing, draft).map_err(|error| Hindrance::Draft(error.into()))?;
            let time = receipt_time(view.chain(chain).as_deref(), now);
            match authorize(view, &op, &AppendContext::relay(time)) {
                // What is missing proves nothing against it.
                Ok(_) | Err(OpRefusal::Waiting { .. }) => Ok(()),
                Err(refusal) => Err(refusal.into()),
            }
        })
    }

    /// Queues a decision that was checked; the caller commits.
    pub(super) fn queue_decision(
        &mut self,
        chain: ChainId,
        body: Body,
        stated: Timestamp,
    ) -> Result<IntentId, DeviceError> {
        let intent = self.intend(chain, body.clone(), Vec::new())?;
        let row = StoredDecision { intent, chain, body, stated, failure: None };
        self.store.put(DECISIONS, chain.as_bytes(), &intent.0.to_be_bytes(), &encode(&row))?;
        Ok(intent)
    }

    /// Notes what became of an intent, after the machine committed it; of others than decisions nothing is kept.
    pub(crate) fn note_fate(&mut self, intent: IntentId, failure: Option<String>) {
        let noted = self.write_fate(intent, failure).and_then(|()| self.store.commit());
        if let Err(error) = noted {
            // It is found out from the chain and the outbox instead, without the reason.
            self.store.rollback();
            tracing::warn!(intent = intent.0, %error, "what became of a decision was not noted");
        }
    }

    fn write_fate(&mut self, intent: IntentId, failure: Option<String>) -> Result<(), StoreError> {
        let key = intent.0.to_be_bytes();
        let Some(row) = self.store.get(DECISIONS, &key)? else { return Ok(()) };
        match (failure, decode::<StoredDecision>(&row, MAX_BYTES)) {
            (Some(failure), Ok(row)) => {
                let row = StoredDecision { failure: Some(failure), ..row };
                self.store.put(DECISIONS, row.chain.as_bytes(), &key, &encode(&row))
            }
            // What stands is told by the chain.
            _ => self.store.delete(DECISIONS, &key),
        }
    }

    /// Puts away a decision that failed, once somebody has seen why.
    ///
    /// # Errors
    /// [`DismissError`] by cause.
    pub fn dismiss_decision(&mut self, decision: u64) -> Result<(), DismissError> {
        let is_failed = self.decisions()?.iter().any(|view| view.decision == decision && view.reason.is_some());
        if !is_failed {
            return Err(DismissError::NotFailed);
        }
        self.store.delete(DECISIONS, &decision.to_be_bytes()).map_err(DeviceError::from)?;
        Ok(self.commit()?)
    }

    /// Lists what is kept of decisions, oldest first, with those that stand in their chains left out.
    pub(super) fn stored_decisions(&self) -> Result<Vec<(StoredDecision, bool)>, StoreError> {
        let mut rows = Vec::new();
        self.store.scan(DECISIONS, None, &mut |_, row| {
            rows.extend(decode::<StoredDecision>(row, MAX_BYTES).ok());
            std::ops::ControlFlow::Continue(())
        })?;
        rows.sort_by_key(|row| row.intent);
        let handed_over: Vec<StoredDecision> =
            self.scan_handovers()?.into_iter().map(Handover::into_decision).collect();
        let queued: Vec<IntentId> = self.outbox()?.iter().filter_map(intent_of).collect();
        let mut found = Vec::new();
        for row in rows {
            let is_pending = queued.contains(&row.intent);
            if is_pending || row.failure.is_some() || !self.stands(&row)? {
                found.push((row, is_pending));
            }
        }
        found.extend(handed_over.into_iter().map(|row| (row, true)));
        Ok(found)
    }

    /// Says whether this device's decision stands in its chain: the note of it may have been lost.
    fn stands(&self, row: &StoredDecision) -> Result<bool, StoreError> {
        let Some(machine) = &self.machine else { return Ok(false) };
        let wanted = without_frontier(row.body.clone());
        let ops = machine.operations(&self.store, &row.chain)?;
        Ok(ops.into_iter().any(|op| op.device == self.id() && without_frontier(op.body) == wanted))
    }
}

/// The frontier of a removal that is still to be signed: the machine fills in the one that the relay agrees to.
pub(crate) fn open_frontier() -> Frontier {
    FrontierTree::new([]).frontier()
}

const fn intent_of(item: &OutboxItem) -> Option<IntentId> {
    match item {
        OutboxItem::Intent { id, .. } => Some(*id),
        OutboxItem::Op { .. } | OutboxItem::Chunk { .. } => None,
    }
}

/// The body as it was when it was decided on.
fn without_frontier(mut body: Body) -> Body {
    match &mut body {
        Body::Revoke(revoke) => revoke.frontier = open_frontier(),
        Body::Assign(assign) => assign.frontier = open_frontier(),
        Body::RemoveDevice(remove) => remove.frontier = open_frontier(),
        Body::Expire(expire) => expire.frontier = open_frontier(),
        _ => {}
    }
    body
}
