//! Referring a case: access for somebody else, for a time and a purpose.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Timestamp, encode};
use vereda_policy::{Body, ChainKind, DocumentKind, Grant, Role};
use vereda_sync::device::DeviceStore;

use super::{About, DecideError, Hindrance, SealTextError, seal_text};
use crate::device::{Ambient, Device, DeviceError};

/// What referring takes.
#[derive(Debug, Clone)]
pub struct ReferRequest {
    /// The case, or a section by itself.
    pub document: ChainId,
    /// The team or person.
    pub to: ChainId,
    /// What they may do.
    pub role: Role,
    /// When it ends by itself, in milliseconds since 1970; `None` for when it is withdrawn.
    pub expires: Option<Timestamp>,
    /// Why; readable for whoever reads the document.
    pub purpose: Option<String>,
    /// Where the consent to it is recorded; sealed with the purpose.
    pub consent: Option<String>,
    /// Sections of the case that are opened with it, each in a chain of its own; every other stays closed.
    pub sections: Vec<ChainId>,
}

/// Why nothing was referred; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum ReferError {
    /// Teams, agencies and people are not referred.
    #[error("{chain} is no case and no section: a team takes people in by an invite")]
    NotADocument {
        /// What was named.
        chain: ChainId,
    },
    /// A document is nobody to refer to.
    #[error("{chain} is no team and no person that this device knows")]
    Nobody {
        /// What was named.
        chain: ChainId,
    },
    /// Referred to those who hold it.
    #[error("{to} has this role in {document} already, for at least as long")]
    Holds {
        /// Who.
        to: ChainId,
        /// In what.
        document: ChainId,
    },
    /// The end is past.
    #[error("a referral ends in the future")]
    Expiry,
    /// What is named as a section is none of the case.
    #[error("{section} is no section of this case that this device knows")]
    NotASection {
        /// What was named.
        section: ChainId,
    },
    /// The purpose cannot be sealed.
    #[error(transparent)]
    Purpose(#[from] SealTextError),
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

/// What is sealed in a grant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Purpose {
    #[n(0)]
    pub(super) purpose: Option<String>,
    #[n(1)]
    pub(super) consent: Option<String>,
}

impl<S: DeviceStore> Device<S> {
    /// Refers a case with chosen sections: a grant in each of their chains, all of them or none. Final when the relay is
    /// reached; until then listed by [`Self::decisions`].
    ///
    /// # Errors
    /// [`ReferError`] by cause; nothing is kept then.
    pub fn refer(&mut self, ambient: &mut Ambient<'_>, request: &ReferRequest) -> Result<(), ReferError> {
        let (document, to) = (request.document, request.to);
        let state = self.chain(&document).ok_or(Hindrance::Unknown { chain: document }).map_err(DecideError::from)?;
        if state.kind() != ChainKind::Document {
            return Err(ReferError::NotADocument { chain: document });
        }
        if self.chain(&to).is_none_or(|state| state.kind() == ChainKind::Document) {
            return Err(ReferError::Nobody { chain: to });
        }
        if request.expires.is_some_and(|expires| expires <= ambient.now.wall) {
            return Err(ReferError::Expiry);
        }
        let mut decisions = Vec::new();
        if !self.holds_as_much(&document, request, ambient.now.wall) {
            decisions.push((document, self.grant(ambient, &document, request)?));
        } else if request.sections.is_empty() {
            return Err(ReferError::Holds { to, document });
        }
        for section in &request.sections {
            let kind = self.chain(section).and_then(|state| state.document_kind());
            // A case may note what is none of its sections.
            let is_of_case = self.may_be_section_of(section, &document).map_err(DeviceError::from)?;
            if kind != Some(DocumentKind::Section) || !is_of_case {
                return Err(ReferError::NotASection { section: *section });
            }
            if self.holds_as_much(section, request, ambient.now.wall) {
                return Err(ReferError::Holds { to, document: *section });
            }
            decisions.push((*section, self.grant(ambient, section, request)?));
        }
        Ok(self.decide(ambient, decisions)?)
    }

    fn grant(&self, ambient: &mut Ambient<'_>, document: &ChainId, request: &ReferRequest) -> Result<Body, ReferError> {
        let purpose = Purpose { purpose: text(&request.purpose), consent: text(&request.consent) };
        let sealed_purpose = if purpose == (Purpose { purpose: None, consent: None }) {
            None
        } else {
            let state = self.chain(document).ok_or(SealTextError::NoKey { chain: *document })?;
            Some(seal_text(&self.keyring, &state, About::Purpose, &encode(&purpose), ambient.rng)?)
        };
        let (subject, role, expires) = (request.to, request.role, request.expires);
        Ok(Body::Grant(Grant { subject, role, expires, sealed_purpose }))
    }

    fn holds_as_much(&self, document: &ChainId, request: &ReferRequest, now: Timestamp) -> bool {
        let Some(state) = self.chain(document) else { return false };
        let head = state.head_seq();
        state.members().iter().any(|held| {
            let lasts = held.expires.is_none_or(|held| request.expires.is_some_and(|expires| expires <= held));
            held.subject == request.to && held.stands_at(head, Some(now)) && held.role >= request.role && lasts
        })
    }
}

/// A text that says something.
fn text(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl From<DeviceError> for ReferError {
    fn from(error: DeviceError) -> Self {
        Self::Decide(error.into())
    }
}
