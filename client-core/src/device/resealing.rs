//! Chunks that the relay refused because their key or cites are superseded: sealed again, and sent.

use vereda_base::{ChainId, Link};
use vereda_sync::device::{DeviceStore, EnqueueError, StoreError};

use super::{Ambient, Device, DeviceError};
use crate::document::{Resealing, reseal};

impl<S: DeviceStore> Device<S> {
    /// Finds what waits to be sealed again since before this process.
    pub(super) fn find_resealing(&mut self) -> Result<(), StoreError> {
        if let Some(machine) = &self.machine {
            self.resealing = machine.to_reseal(&self.store)?.into_iter().collect();
        }
        Ok(())
    }

    /// Seals again what waits for it, where the newest key is here and known to nobody who left; commits. Says whether it
    /// did anything.
    pub(super) fn reseal_all(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        if !self.contact.is_caught_up {
            return Ok(false);
        }
        let mut did = false;
        for (document, link) in self.resealing.clone() {
            // Who may write no longer needs no key for it.
            let is_late = self.is_late(&document)?;
            if self.unsealable.contains(&document) && !is_late {
                continue;
            }
            if !is_late && !self.renew_before_writing(&document, ambient)? {
                self.unsealable.insert(document);
                continue;
            }
            match self.reseal_one(&document, &link, ambient) {
                Ok(true) => {
                    self.resealing.remove(&(document, link));
                    did = true;
                }
                Ok(false) => {
                    self.unsealable.insert(document);
                }
                // What others would refuse stays where it is; explained with the document.
                Err(DeviceError::Enqueue(error)) if !matches!(error, EnqueueError::Store(_)) => {
                    tracing::warn!(%document, %link, %error, "not sealed again");
                    self.resealing.remove(&(document, link));
                }
                Err(error) => return Err(error),
            }
        }
        if did {
            self.commit()?;
        }
        Ok(did)
    }

    /// Seals a chunk again; says whether that is done with, or waits for a key or for news.
    fn reseal_one(&mut self, document: &ChainId, link: &Link, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        let Some((_, chunk)) = self.find_chunk(link)? else { return Ok(true) };
        let cites = match self.cites(document)? {
            Some(cites) if !self.is_late(document)? => cites,
            // The role has ended since: it goes to review as it was sealed.
            _ => return self.replace_chunk(&chunk),
        };
        let header = super::loading::read_header(&chunk)?;
        let Some(epoch) = self.chain(document).and_then(|state| Some(state.newest_epoch()?.number)) else {
            return Ok(false);
        };
        let keys = (self.keyring.document_key(document, header.epoch), self.keyring.document_key(document, epoch));
        let (Some(sealed_under), Some(epoch_key)) = keys else { return Ok(false) };
        let again = Resealing { key: &self.keys.signing, epoch, epoch_key: &epoch_key, cites };
        let sealed = reseal(&chunk, &header, &sealed_under, again, ambient.rng);
        let sealed = sealed.map_err(|error| DeviceError::Reseal { document: *document, error })?;
        self.replace_chunk(&sealed)
    }
}
