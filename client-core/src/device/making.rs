//! What use cases are made of: chains begun, intents stated, edits written.

use rand_core::CryptoRng;
use vereda_base::{ActorBytes, ChainId, DeviceId};
use vereda_crypto::derive_actor;
use vereda_document::{LocalChange, Replica};
use vereda_policy::{Body, Chains, Create, DocumentKind, Draft, Member, Parent, Wrap};
use vereda_records::{Record, RecordType};
use vereda_sync::device::{DeviceStore, IntentId};

use super::{Ambient, Device, DeviceError, DocumentError, sealing::edit_key};
use crate::{
    document::OpenDocument,
    keyring::{Keyring, NewEpoch, make_document_epoch},
    tables::EDITS,
};

impl<S: DeviceStore> Device<S> {
    /// Asks something of the chains that are known.
    pub(crate) fn view<T>(&self, ask: impl FnOnce(&dyn Chains, DeviceId) -> T) -> T {
        match &self.machine {
            Some(machine) => ask(&machine.chains(&self.store), self.id()),
            None => ask(&vereda_policy::ChainMap::new(), self.id()),
        }
    }

    /// Begins a chain: drafts and signs its first operation, queues it with its wraps, keeps its key. The caller commits.
    pub(crate) fn begin_chain(
        &mut self,
        ambient: &mut Ambient<'_>,
        made: NewEpoch,
        create: impl FnOnce([u8; 16], vereda_policy::Epoch) -> Create,
    ) -> Result<ChainId, DeviceError> {
        let create = create(draw_nonce(ambient.rng), made.epoch);
        let (key, now) = (self.keys.signing.clone(), Some(ambient.now.wall));
        let op = self.view(|view, device| Draft::new(view, device, now).sign_create(&key, create))?;
        let chain = vereda_policy::chain_of(op.value());
        self.enqueue_create(&op, made.wraps)?;
        self.keyring.keep(&mut self.store, chain, 0, made.key)?;
        Ok(chain)
    }

    /// Begins a document and its replica, with the creating change as its first edit. The caller commits.
    pub(crate) fn begin_document(
        &mut self,
        ambient: &mut Ambient<'_>,
        kind: DocumentKind,
        record_type: RecordType,
        parents: Vec<Parent>,
        members: Vec<Member>,
    ) -> Result<ChainId, DeviceError> {
        let subjects: Vec<ChainId> = members.iter().map(|member| member.subject).collect();
        let epoch =
            self.with_keyring(ambient, |keyring, view, rng| make_document_epoch(keyring, view, &subjects, rng))?;
        let document =
            self.begin_chain(ambient, epoch, |nonce, epoch| Create::document(kind, nonce, parents, members, epoch))?;
        let (replica, change) = Replica::create(self.actor(&document), record_type, ambient.now.wall)
            .map_err(|error| DocumentError::Edit { document, error })?;
        let mut open = OpenDocument::with(document, replica);
        open.note_author(self.actor(&document), self.id());
        open.note_edit(&change);
        self.adopt(open);
        self.keep_edit(&document, &change)?;
        Ok(document)
    }

    /// Calls with keyring and chains.
    pub(crate) fn with_keyring<T, E: Into<DeviceError>>(
        &self,
        ambient: &mut Ambient<'_>,
        call: impl FnOnce(&Keyring, &dyn Chains, &mut dyn CryptoRng) -> Result<T, E>,
    ) -> Result<T, DeviceError> {
        self.view(|view, _| call(&self.keyring, view, ambient.rng)).map_err(Into::into)
    }

    /// Writes what differs between two states of a document's record as one edit, durable with the next commit; `None`
    /// where nothing differs.
    pub(crate) fn write_record(
        &mut self,
        ambient: &mut Ambient<'_>,
        document: &ChainId,
        before: &Record,
        after: &Record,
    ) -> Result<Option<LocalChange>, DeviceError> {
        let at = ambient.now.wall;
        self.write(document, |replica| replica.reconcile(before, after, at))
    }

    /// Writes to a document's replica, durable with the next commit; returns the last change, `None` where there is none.
    pub(crate) fn write(
        &mut self,
        document: &ChainId,
        write: impl FnOnce(&mut Replica) -> Result<Vec<LocalChange>, vereda_document::EditError>,
    ) -> Result<Option<LocalChange>, DeviceError> {
        self.created_document(document)?;
        if self.is_eclipsed(document) {
            return Err(DocumentError::Eclipsed { document: *document }.into());
        }
        let open = self.opened(document)?;
        let written = write(&mut open.replica);
        let changes = written.map_err(|error| DocumentError::Edit { document: *document, error })?;
        changes.iter().for_each(|change| open.note_edit(change));
        changes.iter().try_for_each(|change| self.keep_edit(document, change))?;
        Ok(changes.into_iter().next_back())
    }

    /// States what shall be done to a chain: signed when the relay is reached. The caller commits.
    pub(crate) fn intend(&mut self, chain: ChainId, body: Body, wraps: Vec<Wrap>) -> Result<IntentId, DeviceError> {
        if matches!(body, Body::Revoke(_) | Body::Expire(_) | Body::RemoveDevice(_) | Body::Assign(_)) {
            self.rotations.ended.insert(chain);
        }
        self.enqueue_intent(chain, body, wraps)
    }

    /// This device's actor in a document.
    pub(crate) fn actor(&self, document: &ChainId) -> ActorBytes {
        derive_actor(self.id(), self.incarnation, *document)
    }

    pub(super) fn keep_edit(&mut self, document: &ChainId, change: &LocalChange) -> Result<(), DeviceError> {
        self.store.put(EDITS, document.as_bytes(), &edit_key(document, change.seq), &change.bytes)?;
        self.unsealed.insert(*document);
        self.unsealable.remove(document);
        Ok(self.note_reliance(document)?)
    }
}

/// Draws what makes two otherwise equal chains differ.
pub(crate) fn draw_nonce(rng: &mut (impl CryptoRng + ?Sized)) -> [u8; 16] {
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    nonce
}
