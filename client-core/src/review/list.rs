//! Listing what awaits a decision.

use serde::Serialize;
use vereda_base::{ChainId, Timestamp, decode, limits::MAX_OP_BYTES};
use vereda_policy::{Body, Create, DocumentKind, Op, chain_of, owners};
use vereda_sync::device::{DeviceStore, Review, ReviewDocument};

use super::WorkView;
use crate::{
    access::SubjectView,
    device::{Device, DeviceError},
    directory::{AuthorView, FindError, fitting, only_one},
    document::{ChunkKeys, OpenDocument},
};

/// What kind of document is in review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewedKind {
    /// A case.
    Case,
    /// A section of a case.
    Section,
    /// Anything else.
    Other,
}

/// A document with work in review.
#[derive(Debug, Clone, Serialize)]
pub struct ReviewView {
    /// The document.
    pub document: ChainId,
    /// What it is.
    pub kind: ReviewedKind,
    /// Its name, as far as known: of a new one as its author wrote it.
    pub title: Option<String>,
    /// It was begun meanwhile: all of it awaits a decision.
    pub is_new: bool,
    /// The team or agency that decides on a new document.
    pub owner: Option<SubjectView>,
    /// Who began a new document: proven.
    pub begun_by: Option<AuthorView>,
    /// When the relay received the first of it, in milliseconds since 1970 by the relay's clock.
    pub received: Timestamp,
    /// `adopt` or `discard` where that was decided on this device and is not final yet.
    pub decided: Option<&'static str>,
    /// What was written, each after what it builds on.
    pub works: Vec<WorkView>,
}

/// A document begun meanwhile, taken apart.
pub(super) struct Begun {
    pub(super) document: ChainId,
    pub(super) op: Op,
    pub(super) create: Create,
}

impl Begun {
    pub(super) fn read(found: &ReviewDocument) -> Option<Self> {
        let op: Op = decode(found.create.bytes(), MAX_OP_BYTES).ok()?;
        let Body::Create(create) = op.body.clone() else { return None };
        Some(Self { document: chain_of(&op), op, create })
    }
}

impl<S: DeviceStore> Device<S> {
    /// Lists what awaits a decision that this device's person may make, as the relay told it: by document, those received
    /// first before the others.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn reviews(&mut self) -> Result<Vec<ReviewView>, DeviceError> {
        let mut views = Vec::new();
        for found in self.begun_in_review()? {
            views.extend(self.view_begun(&found)?);
        }
        let begun: Vec<ChainId> = views.iter().map(|view| view.document).collect();
        for (document, works) in self.works_in_review()? {
            if !begun.contains(&document) {
                views.push(self.view_reviewed(document, &works)?);
            }
        }
        let decided = self.reviews_decided()?;
        for view in &mut views {
            view.decided = decided.get(&view.document).copied();
        }
        views.sort_by_key(|view| (view.received, view.document));
        Ok(views)
    }

    /// Finds a document in review by any beginning of its id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_review(&self, text: &str) -> Result<ChainId, FindError> {
        let mut documents: Vec<ChainId> = self.works_in_review()?.into_iter().map(|(document, _)| document).collect();
        let begun = self.begun_in_review()?;
        documents.extend(begun.iter().filter_map(|found| Some(Begun::read(found)?.document)));
        documents.sort_unstable();
        documents.dedup();
        let wanted = text.to_lowercase();
        only_one("document in review", fitting(documents, &wanted))
    }

    /// Lists the documents begun meanwhile.
    pub(super) fn begun_in_review(&self) -> Result<Vec<ReviewDocument>, vereda_sync::device::StoreError> {
        self.machine.as_ref().map_or(Ok(Vec::new()), |machine| machine.review_documents(&self.store))
    }

    /// Lists the chunks in review by document.
    pub(super) fn works_in_review(&self) -> Result<Vec<(ChainId, Vec<Review>)>, vereda_sync::device::StoreError> {
        let Some(machine) = &self.machine else { return Ok(Vec::new()) };
        let mut by_document: Vec<(ChainId, Vec<Review>)> = Vec::new();
        for review in machine.reviews(&self.store)? {
            match by_document.last_mut().filter(|(document, _)| *document == review.document) {
                Some((_, works)) => works.push(review),
                None => by_document.push((review.document, vec![review])),
            }
        }
        Ok(by_document)
    }

    fn view_reviewed(&mut self, document: ChainId, works: &[Review]) -> Result<ReviewView, DeviceError> {
        let kind = self.chain(&document).and_then(|state| state.document_kind());
        let title = self.record(&document).ok().and_then(|record| self.title_of(&record));
        let scratch = self.load_apart(&document)?;
        let works = self.view_works(scratch, works, |device, epoch| device.chunk_keys(&document, epoch));
        Ok(ReviewView {
            document,
            kind: kind_of(kind),
            title,
            is_new: false,
            owner: None,
            begun_by: None,
            decided: None,
            received: works.iter().map(|work| work.received).min().unwrap_or_default(),
            works,
        })
    }

    fn view_begun(&mut self, found: &ReviewDocument) -> Result<Option<ReviewView>, DeviceError> {
        let Some(Begun { document, op, create }) = Begun::read(found) else { return Ok(None) };
        let open = |wrap| self.view(|view, _| self.keyring.open_first(view, &op, wrap));
        let first = found.wraps.iter().find_map(open).map(vereda_crypto::DocumentEpochKey::from_key);
        let keys = |_: &Self, epoch: u64| {
            let first = first.clone().filter(|_| epoch == 0)?;
            Some(ChunkKeys { epoch: first.clone(), first })
        };
        let scratch = OpenDocument::empty(document, self.actor(&document));
        let (works, record) = self.view_works_and_record(scratch, &found.chunks, keys);
        let owner = self.view(|view, _| owners(view, &create)).first().map(|owner| self.subject_view(owner));
        Ok(Some(ReviewView {
            document,
            kind: kind_of(create.document),
            title: record.and_then(|record| self.title_of(&record)),
            is_new: true,
            owner,
            begun_by: Some(self.author_view(Some(op.device))),
            received: found.received,
            decided: None,
            works,
        }))
    }

    /// Names a record as lists do.
    pub(super) fn title_of(&self, record: &vereda_records::Record) -> Option<String> {
        let title = vereda_records::summarize(&self.books.configuration, record).title;
        (!title.is_empty()).then_some(title)
    }
}

const fn kind_of(kind: Option<DocumentKind>) -> ReviewedKind {
    match kind {
        Some(DocumentKind::Case) => ReviewedKind::Case,
        Some(DocumentKind::Section) => ReviewedKind::Section,
        _ => ReviewedKind::Other,
    }
}
