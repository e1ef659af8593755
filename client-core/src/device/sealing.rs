//! Edits on their way out: sealed into chunks when they can be sent.

use vereda_base::ChainId;
use vereda_sync::device::{DeviceStore, EnqueueError};

use super::{Ambient, Device, DeviceError};
use crate::{document::SealInputs, tables::EDITS};

impl<S: DeviceStore> Device<S> {
    /// Seals the edits of up to `most` documents and queues the chunks; commits.
    pub(super) fn seal_all(&mut self, ambient: &mut Ambient<'_>, most: usize) -> Result<(), DeviceError> {
        let documents: Vec<ChainId> = self.unsealed.difference(&self.unsealable).take(most).copied().collect();
        let mut has_sealed = false;
        for document in documents {
            has_sealed |= self.seal(&document, ambient)?;
        }
        if has_sealed { self.commit() } else { Ok(()) }
    }

    /// Says whether some edits could be sealed now.
    pub(super) fn may_seal(&self) -> bool {
        self.unsealed.iter().any(|document| !self.unsealable.contains(document))
    }

    /// Seals the edits of a document; the caller commits. What policy or keys do not allow now stays as it is.
    fn seal(&mut self, id: &ChainId, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        self.unsealable.insert(*id);
        let Some(epoch) = self.chain(id).and_then(|state| Some(state.newest_epoch()?.number)) else { return Ok(false) };
        let Some(keys) = self.chunk_keys(id, epoch) else { return Ok(false) };
        let machine = self.machine.as_ref().ok_or(DeviceError::NoAgency)?;
        let Some(cites) = machine.cites(&self.store, id)? else {
            tracing::info!(document = %id, "edits wait: no right to write as far as is known");
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
        self.unsealed.remove(id);
        self.unsealable.remove(id);
        Ok(true)
    }
}

/// Key of an edit's row.
pub(super) fn edit_key(document: &ChainId, seq: u64) -> [u8; 40] {
    let mut key = [0; 40];
    let bytes = document.0.into_iter().chain(seq.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    key
}
