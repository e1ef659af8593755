//! Adopting what is in review.

use std::collections::BTreeSet;

use vereda_base::{ChainId, Link, Timestamp, limits::MAX_NAMED};
use vereda_policy::{Adopt, AdoptedDocument, Body, ChainState, Member, Role, admitted_holders, owners};
use vereda_sync::device::DeviceStore;

use super::list::Begun;
use crate::{
    access::DecideError,
    device::{Ambient, Device, DeviceError},
};

/// Why nothing was adopted; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
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
    /// Whoever it was begun for is gone, and its owner may let in nobody else.
    #[error("nobody is left for whom {document} was begun: let one of them in again, or turn it away")]
    NobodyLeft {
        /// The document.
        document: ChainId,
    },
    /// Nobody here decides on it.
    #[error("{document} belongs to no team or agency that this device knows")]
    NoOwner {
        /// The document.
        document: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Takes in all that is in review of one document; it then stands for everybody, under its author's name. A document
    /// that was begun meanwhile is held by whom it was begun for, but for its author where he is not of its owner any more.
    /// Final when the relay is reached.
    ///
    /// # Errors
    /// [`AdoptError`] by cause; nothing is kept then.
    pub fn adopt_review(&mut self, ambient: &mut Ambient<'_>, document: &ChainId) -> Result<(), AdoptError> {
        if self.reviews_decided().map_err(DecideError::from)?.contains_key(document) {
            return Err(AdoptError::Pending { document: *document });
        }
        let decisions = self.adoption(document, ambient.now.wall)?;
        Ok(self.decide(ambient, decisions)?)
    }

    /// Takes in all that is in review; tells of how many documents. What nobody is left for is left out, and keeps nothing else
    /// from being taken in.
    ///
    /// # Errors
    /// [`AdoptError`] by cause; nothing is kept then. [`AdoptError::NobodyLeft`] only where there is nothing else.
    pub fn adopt_all_reviews(&mut self, ambient: &mut Ambient<'_>) -> Result<usize, AdoptError> {
        let mut documents: BTreeSet<ChainId> = BTreeSet::new();
        documents.extend(self.begun().map_err(DecideError::from)?.iter().map(|begun| begun.document));
        let works = self.works_in_review().map_err(DeviceError::from).map_err(DecideError::from)?;
        documents.extend(works.iter().map(|(document, _)| *document));
        let decided = self.reviews_decided().map_err(DecideError::from)?;
        documents.retain(|document| !decided.contains_key(document));
        let (mut decisions, mut count, mut left_out) = (Vec::new(), 0, None);
        for document in &documents {
            match self.adoption(document, ambient.now.wall) {
                Ok(found) => {
                    decisions.extend(found);
                    count += 1;
                }
                Err(error @ AdoptError::NobodyLeft { .. }) => left_out = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = left_out.filter(|_| count == 0) {
            return Err(error);
        }
        self.decide(ambient, decisions)?;
        Ok(count)
    }

    fn adoption(&self, document: &ChainId, now: Timestamp) -> Result<Vec<(ChainId, Body)>, AdoptError> {
        let begun = self.begun().map_err(DecideError::from)?;
        if let Some(begun) = begun.iter().find(|begun| begun.document == *document) {
            let owner = self.deciding_owner(begun, now).ok_or(AdoptError::NoOwner { document: *document })?;
            let holders = self.holders_of(begun, &owner);
            if holders.is_empty() {
                return Err(AdoptError::NobodyLeft { document: *document });
            }
            let mut chunks = self.links_in_review(document).map_err(DecideError::from)?;
            // What is left waits in the document's own chain, and is adopted there.
            chunks.truncate(MAX_NAMED);
            let adopted = AdoptedDocument { document: *document, holders, chunks };
            return Ok(vec![(owner, Body::Adopt(Adopt { chunks: Vec::new(), documents: vec![adopted] }))]);
        }
        let links = self.links_in_review(document).map_err(DecideError::from)?;
        if links.is_empty() {
            return Err(AdoptError::NotInReview { document: *document });
        }
        let body = |chunks: &[Link]| Body::Adopt(Adopt { chunks: chunks.to_vec(), documents: Vec::new() });
        Ok(links.chunks(MAX_NAMED).map(|chunks| (*document, body(chunks))).collect())
    }

    /// Lists the documents begun meanwhile.
    pub(super) fn begun(&self) -> Result<Vec<Begun>, DeviceError> {
        Ok(self.begun_in_review()?.iter().filter_map(Begun::read).collect())
    }

    /// Lists the chunks of a document that are in review, sorted.
    pub(super) fn links_in_review(&self, document: &ChainId) -> Result<Vec<Link>, DeviceError> {
        let works = self.works_in_review()?.into_iter().filter(|(of, _)| of == document);
        let links: BTreeSet<Link> = works.flat_map(|(_, works)| works).map(|work| work.link).collect();
        Ok(links.into_iter().collect())
    }

    /// Finds the owner of a document begun meanwhile in whose chain it is decided: one that this device knows.
    pub(super) fn deciding_owner(&self, begun: &Begun, now: Timestamp) -> Option<ChainId> {
        let mut known = self.view(|view, _| owners(view, &begun.create));
        known.retain(|owner| self.chain(owner).is_some());
        let may = |owner: &&ChainId| self.content_role(owner, now) >= Some(Role::Manager);
        known.iter().find(may).or(known.first()).copied()
    }

    fn holders_of(&self, begun: &Begun, owner: &ChainId) -> Vec<Member> {
        let author = self.author_view(Some(begun.op.device)).user;
        let is_gone = |subject: &ChainId| {
            let role = |state: &ChainState| state.role_of(subject, state.head_seq());
            // A user who decides on what a device of his own began, which was removed, stays himself.
            let stays = subject == owner || self.chain(owner).is_some_and(|state| role(&state).is_some());
            Some(*subject) == author && !stays
        };
        let stay: Vec<Member> =
            begun.create.members.iter().filter(|member| !is_gone(&member.subject)).copied().collect();
        let whole = if stay.is_empty() { vec![Member { subject: *owner, role: Role::Editor }] } else { stay };
        self.view(|view, _| admitted_holders(view, &begun.create, owner, &whole))
    }
}
