//! Edits on their way out: sealed into chunks when they can be sent.

use std::collections::BTreeSet;

use vereda_base::ChainId;
use vereda_policy::{Cite, Role, Staleness};
use vereda_sync::device::{DeviceStore, EnqueueError};

use super::{Ambient, Device, DeviceError};
use crate::{
    document::SealInputs,
    tables::{EDITS, RELIANCES},
};

/// Under which key edits are sealed, and the heads they rely on.
pub(super) struct SealedUnder {
    pub(super) epoch: u64,
    pub(super) cites: Vec<Cite>,
}

/// What the outbox refused of a document, and how the document stood then: as long as it does, it is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// Why.
    pub(crate) reason: String,
    head: Option<u64>,
    chunks: u64,
    edits: usize,
}

impl<S: DeviceStore> Device<S> {
    /// Seals the edits of up to `most` documents and queues the chunks; commits.
    pub(super) fn seal_all(&mut self, ambient: &mut Ambient<'_>, most: usize) -> Result<(), DeviceError> {
        let documents: Vec<ChainId> = self.unsealed.difference(&self.unsealable).take(most).copied().collect();
        let now = self.relay_now(ambient);
        let stale: BTreeSet<ChainId> = self.view(|view, _| {
            let mut staleness = Staleness::new(view, Some(now));
            documents.iter().filter(|document| staleness.is_stale(document)).copied().collect()
        });
        let mut has_sealed = false;
        for document in documents {
            self.unsealable.insert(document);
            // What is made anew under another actor is not sealed before.
            if self.remaking.contains_key(&document) || self.is_stuck(&document)? {
                continue;
            }
            if self.is_closed(&document)? {
                self.remaking.entry(document).or_default();
                continue;
            }
            // The right to write ended: what was written before goes to review, by the heads that prove it.
            if self.contact.is_caught_up && self.content_role(&document, now) < Some(Role::Editor) {
                has_sealed |= self.seal_late(&document, ambient)?;
                continue;
            }
            if stale.contains(&document) && !self.renew_before_writing(&document, ambient)? {
                tracing::info!(%document, "edits wait for a new key");
                continue;
            }
            if let Some(under) = self.sealed_now(&document)? {
                has_sealed |= self.seal(&document, under, ambient)?;
            }
        }
        if has_sealed { self.commit() } else { Ok(()) }
    }

    /// Finds the newest key and heads, where rights allow to write.
    fn sealed_now(&self, id: &ChainId) -> Result<Option<SealedUnder>, DeviceError> {
        let Some(epoch) = self.chain(id).and_then(|state| Some(state.newest_epoch()?.number)) else { return Ok(None) };
        let cites = self.cites(id)?;
        if cites.is_none() {
            tracing::info!(document = %id, "edits wait: no right to write as far as is known");
        }
        Ok(cites.map(|cites| SealedUnder { epoch, cites }))
    }

    /// Says whether some edits could be sealed now.
    pub(super) fn may_seal(&self) -> bool {
        self.unsealed.iter().any(|document| !self.unsealable.contains(document))
    }

    /// Seals the edits of a document; the caller commits. What keys or others would not allow stays as it is.
    pub(super) fn seal(
        &mut self,
        id: &ChainId,
        under: SealedUnder,
        ambient: &mut Ambient<'_>,
    ) -> Result<bool, DeviceError> {
        let SealedUnder { epoch, cites } = under;
        let Some(keys) = self.chunk_keys(id, epoch) else {
            self.note_keyless(id);
            return Ok(false);
        };
        let key = self.keys.signing.clone();
        let incarnation = self.incarnation;
        let place = self.next_place(id)?;
        let document = self.opened(id)?;
        let rows: Vec<u64> = document.edits.iter().map(|edit| edit.seq).collect();
        let inputs = SealInputs { key: &key, incarnation, epoch, keys: &keys, cites, seq: place.seq, prev: place.prev };
        let chunks = match document.seal_edits(inputs, ambient.rng) {
            Ok(chunks) => chunks,
            Err(error) => {
                // The replica in memory no longer knows which edits are unsealed.
                self.close(id);
                return Err(DeviceError::Seal { document: *id, error });
            }
        };
        let before = self.chunk_count(id)?;
        for chunk in chunks {
            match self.enqueue_chunk(&chunk) {
                Ok(()) => {}
                Err(DeviceError::Enqueue(error)) if !matches!(error, EnqueueError::Store(_)) => {
                    tracing::warn!(document = %id, %error, "edits wait");
                    self.roll_back();
                    self.unsealable.insert(*id);
                    let stuck = self.stuck_now(id, error.to_string())?;
                    self.stuck.insert(*id, stuck);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        for seq in rows {
            self.store.delete(EDITS, &edit_key(id, seq))?;
        }
        let after = self.chunk_count(id)?;
        if let Some(open) = self.open.get_mut(id).filter(|open| open.taken == before) {
            // Nothing of others came in between: what is open shows all that is stored.
            open.taken = after;
            self.note_shown(id, before, after)?;
        }
        self.save_replayed(id)?;
        self.store.delete(RELIANCES, id.as_bytes())?;
        self.unsealed.remove(id);
        self.unsealable.remove(id);
        self.stuck.remove(id);
        Ok(true)
    }

    /// Says whether the outbox refused what is to be sealed of a document, as it still stands.
    pub(super) fn is_stuck(&self, id: &ChainId) -> Result<bool, DeviceError> {
        let Some(stuck) = self.stuck.get(id) else { return Ok(false) };
        Ok(*stuck == self.stuck_now(id, stuck.reason.clone())?)
    }

    fn stuck_now(&self, id: &ChainId, reason: String) -> Result<Stuck, DeviceError> {
        let head = self.chain(id).map(|state| state.head_seq());
        Ok(Stuck { reason, head, chunks: self.chunk_count(id)?, edits: self.stored_edits(id)?.len() })
    }
}

/// Key of an edit's row.
pub(super) fn edit_key(document: &ChainId, seq: u64) -> [u8; 40] {
    let mut key = [0; 40];
    let bytes = document.0.into_iter().chain(seq.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    key
}
