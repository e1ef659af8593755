//! Turning away what is in review.

use vereda_base::{ChainId, Link, encode, limits::MAX_NAMED};
use vereda_policy::{Body, Discard};
use vereda_sync::device::DeviceStore;

use crate::{
    access::{About, DecideError, Hindrance, SealTextError, seal_text},
    device::{Ambient, Device, DeviceError},
};

/// What turning away takes.
#[derive(Debug, Clone)]
pub struct DiscardRequest {
    /// The document.
    pub document: ChainId,
    /// Why; readable for whoever reads the document, and the author as far as he still does.
    pub reason: String,
}

/// Why nothing was turned away; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum DiscardError {
    /// Nothing of it is in review.
    #[error("nothing of {document} is in review here")]
    NotInReview {
        /// The document.
        document: ChainId,
    },
    /// It was decided on here.
    #[error("{document} was decided on here already: it becomes final when the relay is reached")]
    Pending {
        /// The document.
        document: ChainId,
    },
    /// Nobody here decides on it.
    #[error("{document} belongs to no team or agency that this device knows")]
    NoOwner {
        /// The document.
        document: ChainId,
    },
    /// No reason is given.
    #[error("say why: whoever wrote it is told")]
    NoReason,
    /// The reason cannot be sealed.
    #[error(transparent)]
    Reason(#[from] SealTextError),
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Turns away all that is in review of one document, with a reason. Final when the relay is reached; it then never
    /// stands for anybody, and stays with its author only.
    ///
    /// # Errors
    /// [`DiscardError`] by cause; nothing is kept then.
    pub fn discard_review(&mut self, ambient: &mut Ambient<'_>, request: &DiscardRequest) -> Result<(), DiscardError> {
        let document = request.document;
        let reason = request.reason.trim();
        if reason.is_empty() {
            return Err(DiscardError::NoReason);
        }
        if self.reviews_decided().map_err(DecideError::from)?.contains_key(&document) {
            return Err(DiscardError::Pending { document });
        }
        let begun = self.begun().map_err(DecideError::from)?;
        let begun = begun.iter().find(|begun| begun.document == document);
        let chain = match begun {
            Some(begun) => self.deciding_owner(begun, ambient.now.wall).ok_or(DiscardError::NoOwner { document })?,
            None => document,
        };
        let links = self.links_in_review(&document).map_err(DecideError::from)?;
        if begun.is_none() && links.is_empty() {
            return Err(DiscardError::NotInReview { document });
        }
        let state = self.chain(&chain).ok_or(Hindrance::Unknown { chain }).map_err(DecideError::from)?;
        let sealed = seal_text(&self.keyring, &state, About::Reason, &encode(&reason.to_owned()), ambient.rng)?;
        let body = |chunks: &[Link], documents: Vec<ChainId>| {
            Body::Discard(Discard { chunks: chunks.to_vec(), documents, sealed_reason: sealed.clone() })
        };
        let decisions = match begun {
            Some(_) => vec![(chain, body(&[], vec![document]))],
            None => links.chunks(MAX_NAMED).map(|chunks| (chain, body(chunks, Vec::new()))).collect(),
        };
        Ok(self.decide(ambient, decisions)?)
    }
}

impl From<DeviceError> for DiscardError {
    fn from(error: DeviceError) -> Self {
        Self::Decide(error.into())
    }
}
