//! Whether an author may write content: the policy side of a chunk's header (protocol.md §6).

use vereda_base::{ChainId, DeviceId, Link, OpId, Timestamp, limits};
use vereda_crypto::Verified;

use crate::{Authorized, ChainKind, Chains, Cite, Evaluator, Heads, Moment, Role, SUITE, Waiting, is_stale};

/// What policy reads of a header of content.
pub trait Content {
    /// Tells the suite.
    fn suite(&self) -> u8;
    /// Names the document.
    fn document(&self) -> ChainId;
    /// Names the author.
    fn device(&self) -> DeviceId;
    /// Tells the key epoch that it is sealed under.
    fn epoch(&self) -> u64;
    /// Lists the policy heads that the author relied on, the document's own among them.
    fn cites(&self) -> &[Cite];
}

/// Decides whether content may stand: its author is at least Editor at the heads cited and it is sealed under an epoch
/// of the document known there. With `now`, as a relay asks it, the author must be Editor at the newest heads too, and
/// the epoch the newest and not stale.
///
/// On which removals it relies is another question: [`crate::content_reliance`]. What was adopted needs none of this:
/// [`adopt_content`].
///
/// # Errors
/// [`ContentRefusal`]; of these, [`ContentRefusal::Waiting`] proves nothing against the content.
pub fn authorize_content<T: Content + Clone>(
    view: &dyn Chains,
    header: &Verified<T>,
    now: Option<Timestamp>,
) -> Result<Authorized<T>, ContentRefusal> {
    let content = header.value();
    let document = content.document();
    check_cites(content)?;
    let cited = Heads::cited(view, content.cites(), None)?;
    let state = view.chain(&document).ok_or(ContentRefusal::DocumentNotCited { document })?;
    let seq = cited.seq_in(&state).ok_or(ContentRefusal::DocumentNotCited { document })?;
    if state.kind() != ChainKind::Document {
        return Err(ContentRefusal::NotADocument { chain: document });
    }
    if state.is_erased() {
        return Err(ContentRefusal::Erased { document });
    }
    let check = |at: &Heads, moment| {
        let found = Evaluator::new(view, content.device(), at).role(&document);
        if found >= Some(Role::Editor) { Ok(()) } else { Err(ContentRefusal::NoAuthority { found, moment }) }
    };
    check(&cited, Moment::Cited)?;
    if now.is_some() {
        check(&Heads::newest(now), Moment::Now)?;
    }
    let newest = state.newest_epoch().map_or(0, |epoch| epoch.number);
    let found = content.epoch();
    if state.epoch(found).is_none_or(|epoch| epoch.from_seq > seq) {
        return Err(ContentRefusal::NoEpoch { found, newest });
    }
    if now.is_some() && (found < newest || is_stale(view, &document, now)) {
        return Err(ContentRefusal::StaleEpoch { found, newest });
    }
    Ok(Authorized::new(header.clone()))
}

/// Takes content for allowed because it was adopted under its link, whatever its author's rights.
///
/// # Errors
/// [`ContentRefusal::NotAdopted`] if its document's chain does not say so here.
pub fn adopt_content<T: Content + Clone>(
    view: &dyn Chains,
    header: &Verified<T>,
    link: &Link,
) -> Result<Authorized<T>, ContentRefusal> {
    let document = header.value().document();
    let adopted = view.chain(&document).is_some_and(|state| state.is_adopted(link) && !state.is_erased());
    if adopted { Ok(Authorized::new(header.clone())) } else { Err(ContentRefusal::NotAdopted { document }) }
}

fn check_cites(content: &impl Content) -> Result<(), ContentRefusal> {
    let cites = content.cites();
    if content.suite() != SUITE {
        return Err(ContentRefusal::Suite { found: content.suite() });
    }
    if cites.len() > limits::MAX_CITES {
        return Err(ContentRefusal::TooManyCites { found: cites.len() });
    }
    if cites.is_sorted_by(|a, b| a.chain < b.chain) { Ok(()) } else { Err(ContentRefusal::CitesNotSorted) }
}

/// Why content may not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentRefusal {
    /// A head it relies on is unknown here; it proves nothing against it.
    #[error("waiting for operation {head} of chain {chain}")]
    Waiting {
        /// The chain.
        chain: ChainId,
        /// The operation.
        head: OpId,
    },
    /// Made under another suite.
    #[error("content of suite {found}")]
    Suite {
        /// The suite found.
        found: u8,
    },
    /// More cites than allowed.
    #[error("{found} cites where at most {} are allowed", limits::MAX_CITES)]
    TooManyCites {
        /// How many.
        found: usize,
    },
    /// The cites are not sorted, or name a chain twice.
    #[error("cites not sorted, or one twice")]
    CitesNotSorted,
    /// The document's own head is not cited.
    #[error("head of document {document} is not cited")]
    DocumentNotCited {
        /// The document.
        document: ChainId,
    },
    /// The chain is no document's.
    #[error("chain {chain} is no document")]
    NotADocument {
        /// The chain.
        chain: ChainId,
    },
    /// The author is no Editor. At [`Moment::Now`] alone it is honest work that goes to review.
    #[error("content needs Editor, {moment} the author has {found:?}")]
    NoAuthority {
        /// The author's role.
        found: Option<Role>,
        /// As of when.
        moment: Moment,
    },
    /// There is no such epoch at the heads cited.
    #[error("no epoch {found} at the heads cited, the newest is {newest}")]
    NoEpoch {
        /// The epoch named.
        found: u64,
        /// The newest.
        newest: u64,
    },
    /// Sealed under an epoch that is not the newest, or under one that somebody holds who has left.
    #[error("sealed under epoch {found}, which is stale; the newest is {newest}")]
    StaleEpoch {
        /// The epoch named.
        found: u64,
        /// The newest.
        newest: u64,
    },
    /// Nobody adopted it, as far as is known.
    #[error("nothing of document {document} was adopted under this link")]
    NotAdopted {
        /// The document.
        document: ChainId,
    },
    /// The document was erased.
    #[error("document {document} was erased")]
    Erased {
        /// The document.
        document: ChainId,
    },
}

impl From<Waiting> for ContentRefusal {
    fn from(Waiting { chain, head }: Waiting) -> Self {
        Self::Waiting { chain, head }
    }
}
