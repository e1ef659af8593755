//! What can go wrong below every use case. Ids and sizes only.

use vereda_base::ChainId;
use vereda_crypto::{SignError, WrapError};
use vereda_document::{EditError, HydrateError, LoadError};
use vereda_policy::DraftError;
use vereda_sync::device::{EnqueueError, StoreError};

use crate::document::{ResealError, SealError};

/// Why a device could not do something, whatever it was.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The store failed; nothing of the call was kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document could not be used.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Policy does not allow it, as far as this device knows.
    #[error("not allowed, as far as this device knows: {0}")]
    Draft(#[from] DraftError),
    /// The outbox does not take it.
    #[error("not taken into the outbox: {0}")]
    Enqueue(#[from] EnqueueError),
    /// A key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// Something could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Edits could not be sealed.
    #[error("edits of document {document} wait: {error}")]
    Seal {
        /// The document.
        document: ChainId,
        /// Why.
        error: SealError,
    },
    /// A chunk could not be sealed again.
    #[error("edits of document {document} wait to be sealed again: {error}")]
    Reseal {
        /// The document.
        document: ChainId,
        /// Why.
        error: ResealError,
    },
    /// The device belongs to no agency yet.
    #[error("this device belongs to no agency yet: found one or join one")]
    NoAgency,
    /// The agency's directory is not here yet.
    #[error("the agency's directory is not here yet: sync first")]
    NoDirectory,
    /// The store could not begin a new incarnation.
    #[error("the store was restored from a copy and cannot go on by itself: {reason}")]
    Renew {
        /// A sentence for people.
        reason: String,
    },
}

/// Why a document could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Nothing of it is known here.
    #[error("document {document} is not known here")]
    Unknown {
        /// The document.
        document: ChainId,
    },
    /// Its key is not here yet.
    #[error("document {document} cannot be opened yet: its key is on its way from a colleague's device")]
    Locked {
        /// The document.
        document: ChainId,
    },
    /// What this device wrote in it before does not open here any more: it goes on under another actor.
    #[error("document {document} holds work of this device whose key is not here: sync first, then write")]
    Eclipsed {
        /// The document.
        document: ChainId,
    },
    /// Its first chunk is not here yet.
    #[error("document {document} is on its way")]
    Empty {
        /// The document.
        document: ChainId,
    },
    /// The program died while it opened this document.
    #[error("document {document} was set aside because the program died while opening it")]
    SetAside {
        /// The document.
        document: ChainId,
    },
    /// The replica stored here does not open.
    #[error("the replica of document {document} does not open: {error}")]
    Load {
        /// The document.
        document: ChainId,
        /// Why.
        error: LoadError,
    },
    /// The document refuses an edit.
    #[error("document {document} refuses the edit: {error}")]
    Edit {
        /// The document.
        document: ChainId,
        /// Why.
        error: EditError,
    },
    /// The document holds no record.
    #[error("document {document} holds no record: {error}")]
    Hydrate {
        /// The document.
        document: ChainId,
        /// Why.
        error: HydrateError,
    },
    /// An edit stored here is not what this device wrote.
    #[error("an edit of document {document} stored here does not apply: {error}")]
    StoredEdit {
        /// The document.
        document: ChainId,
        /// Why.
        error: vereda_document::Refusal,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
