//! What became of this device's own work that came after its rights had ended.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::Serialize;
use vereda_base::{ChainId, Link, OpId, Timestamp, decode, encode, limits::MAX_SEALED_TEXT_BYTES};
use vereda_policy::{Body, ChainState, Decision, Op, owners};
use vereda_sync::device::{DeviceStore, StoreError};

use crate::{
    access::{About, open_text},
    device::{Device, DeviceError},
    directory::AuthorView,
    tables::OWN_REVIEWS,
};

/// How own work stands that was in review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnReviewState {
    /// A Manager has not decided yet.
    InReview,
    /// It was taken in.
    Adopted,
    /// It was turned away; it is kept on this device only.
    TurnedAway,
}

/// Own work in one document that was in review.
#[derive(Debug, Clone, Serialize)]
pub struct OwnReviewView {
    /// The document.
    pub document: ChainId,
    /// Its name, as far as it can be read here.
    pub title: Option<String>,
    /// The document as a whole was begun after the rights had ended.
    pub is_new: bool,
    /// How it stands.
    pub state: OwnReviewState,
    /// How many chunks.
    pub chunks: usize,
    /// Why it was turned away, where that can be read here.
    pub reason: Option<String>,
    /// Who decided, where this device may know.
    pub by: Option<AuthorView>,
    /// When, in milliseconds since 1970 by the relay's clock, where this device may know.
    pub decided: Option<Timestamp>,
}

/// What is kept of an own chunk, or the beginning of a document, that was in review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct OwnReview {
    #[n(0)]
    document: ChainId,
    /// Whether it was taken in, once that was decided.
    #[n(1)]
    adopted: Option<bool>,
}

/// Where a decision stands: who made it, when, and what it says.
struct Found<'a> {
    state: &'a ChainState,
    seq: u64,
    adopted: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Lists own work that was in review, by document and by how it stands.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn own_reviews(&mut self) -> Result<Vec<OwnReviewView>, DeviceError> {
        let mut rows = self.scan_own_reviews()?;
        if let Some(machine) = &self.machine {
            // The note of one may have been lost.
            for (document, link) in machine.own_in_review(&self.store)? {
                rows.entry(link).or_insert(OwnReview { document, adopted: None });
            }
        }
        // Once one chunk of a new document is decided on, so is the document, whoever told this device of it.
        let decided: BTreeMap<ChainId, bool> =
            rows.values().filter_map(|row| Some((row.document, row.adopted?))).collect();
        let mut views: BTreeMap<(ChainId, OwnReviewState), OwnReviewView> = BTreeMap::new();
        for (link, mut row) in rows {
            if link.0 == row.document.0 {
                row.adopted = row.adopted.or(decided.get(&row.document).copied());
            }
            let view = self.view_own(link, row)?;
            let is_new = view.is_new;
            let known = views.entry((view.document, view.state)).or_insert(view);
            known.chunks = known.chunks.saturating_add(usize::from(!is_new));
            known.is_new |= is_new;
        }
        Ok(views.into_values().collect())
    }

    /// Notes, after the machine committed it, that an own chunk is in review, or what became of it.
    pub(crate) fn note_own_review(&mut self, link: Link, document: ChainId, adopted: Option<bool>) {
        let row = encode(&OwnReview { document, adopted });
        let put = self.store.put(OWN_REVIEWS, document.as_bytes(), link.as_bytes(), &row);
        if let Err(error) = put.and_then(|()| self.store.commit()) {
            // As long as it is undecided the machine knows it too.
            self.store.rollback();
            tracing::warn!(%document, %link, %error, "what became of own work was not noted");
        }
    }

    /// Notes that a document begun here is in review: by the operation that begins it.
    pub(crate) fn note_own_document_in_review(&mut self, op: OpId) {
        self.note_own_review(Link(op.0), ChainId(op.0), None);
    }

    /// Notes what became of a document begun here, where it was in review.
    pub(crate) fn note_own_document_decided(&mut self, op: OpId, adopted: bool) {
        if matches!(self.store.get(OWN_REVIEWS, &op.0), Ok(Some(_))) {
            self.note_own_review(Link(op.0), ChainId(op.0), Some(adopted));
        }
    }

    /// Counts the documents with own work that was in review and was taken in, and those with some that was turned away.
    pub(crate) fn count_decided_on_own(&self) -> Result<(usize, usize), StoreError> {
        let (mut adopted, mut turned_away) = (BTreeSet::new(), BTreeSet::new());
        for row in self.scan_own_reviews()?.into_values() {
            match row.adopted {
                Some(true) => drop(adopted.insert(row.document)),
                Some(false) => drop(turned_away.insert(row.document)),
                None => {}
            }
        }
        Ok((adopted.len(), turned_away.len()))
    }

    fn scan_own_reviews(&self) -> Result<BTreeMap<Link, OwnReview>, StoreError> {
        let mut rows = BTreeMap::new();
        self.store.scan(OWN_REVIEWS, None, &mut |key, row| {
            if let (Ok(link), Ok(row)) = (key.try_into(), decode(row, 1 << 10)) {
                rows.insert(Link(link), row);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    fn view_own(&mut self, link: Link, row: OwnReview) -> Result<OwnReviewView, DeviceError> {
        let document = row.document;
        let is_new = link.0 == document.0;
        let title = self.record(&document).ok().and_then(|record| self.title_of(&record));
        let mut view = OwnReviewView {
            document,
            title,
            is_new,
            state: OwnReviewState::InReview,
            chunks: 0,
            reason: None,
            by: None,
            decided: None,
        };
        let state = self.chain(&document);
        let owner = self.deciding_chain(&document)?;
        let found = find(state.as_deref(), owner.as_deref(), &link, &document);
        let adopted = found.as_ref().map(|found| found.adopted).or(row.adopted);
        view.state = match adopted {
            None => OwnReviewState::InReview,
            Some(true) => OwnReviewState::Adopted,
            Some(false) => OwnReviewState::TurnedAway,
        };
        if let Some(found) = found {
            let op = self.operation_at(&found.state.id(), found.seq)?;
            view.decided = found.state.op(found.seq).and_then(|record| record.time);
            view.by = op.as_ref().map(|op| self.author_view(Some(op.device)));
            view.reason = op.and_then(|op| match op.body {
                Body::Discard(discard) => {
                    let bytes = open_text(&self.keyring, found.state, About::Reason, &discard.sealed_reason)?;
                    decode(&bytes, MAX_SEALED_TEXT_BYTES).ok()
                }
                _ => None,
            });
        }
        Ok(view)
    }

    /// Finds the chain in which it is decided on a document as a whole.
    fn deciding_chain(&self, document: &ChainId) -> Result<Option<std::sync::Arc<ChainState>>, StoreError> {
        let Some(op) = self.operation_at(document, 0)? else { return Ok(None) };
        let Body::Create(create) = &op.body else { return Ok(None) };
        let owners = self.view(|view, _| owners(view, create));
        let mut known = owners.iter().filter_map(|owner| self.chain(owner));
        Ok(known.find(|owner| owner.decided_document(document).is_some()))
    }

    fn operation_at(&self, chain: &ChainId, seq: u64) -> Result<Option<Op>, StoreError> {
        let Some(machine) = &self.machine else { return Ok(None) };
        let ops = machine.operations(&self.store, chain)?;
        Ok(usize::try_from(seq).ok().and_then(|seq| ops.into_iter().nth(seq)))
    }
}

/// Finds the decision on a chunk, in its document's chain or on the document as a whole.
fn find<'a>(
    state: Option<&'a ChainState>,
    owner: Option<&'a ChainState>,
    link: &Link,
    document: &ChainId,
) -> Option<Found<'a>> {
    let of_chunk = state.and_then(|state| Some((state, state.decided(link)?)));
    let of_document = || owner.and_then(|owner| Some((owner, owner.decided_document(document)?.decision)));
    let (state, decision) = of_chunk.or_else(of_document)?;
    Some(match decision {
        Decision::Adopted { seq } => Found { state, seq, adopted: true },
        Decision::Discarded { seq } => Found { state, seq, adopted: false },
    })
}
