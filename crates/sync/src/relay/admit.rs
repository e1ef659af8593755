//! Whether a chunk may stand: the relay's checks (protocol.md §6).

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Incarnation, Link, Timestamp, limits};
use vereda_crypto::{Verified, VerifyError, context, hash};
use vereda_policy::{
    Authorized, ChainKind, Chains, ContentRefusal, Evaluator, Heads, Place, Role, authorize_content, content_reliance,
};
use vereda_protocol::{Chunk, ChunkOutcome, Header, OfferedLeaf, RefusalCode};

use super::{
    chains::{ChainCache, View},
    effect::RelayConfig,
    review,
    store::{RelayStore, ReviewStanding, StoreError},
};

/// A chunk that passed every check of the relay. Only this module makes one; a store accepts nothing less.
#[derive(Debug, Clone)]
pub struct AcceptedChunk {
    header: Authorized<Header>,
    link: Link,
    chunk: Chunk,
}

impl AcceptedChunk {
    pub(super) fn new(header: Authorized<Header>, chunk: Chunk) -> Self {
        let link = header.value().link();
        Self { header, link, chunk }
    }

    /// Borrows the header.
    pub const fn header(&self) -> &Header {
        self.header.value()
    }

    /// Tells the chunk's logical identity.
    pub const fn link(&self) -> Link {
        self.link
    }

    /// Borrows the form that travels.
    pub const fn chunk(&self) -> &Chunk {
        &self.chunk
    }

    /// Takes the form that travels.
    pub fn into_chunk(self) -> Chunk {
        self.chunk
    }
}

/// What the checks found.
#[derive(Debug)]
pub(super) enum Admittance {
    /// New, to be appended.
    New(Box<AcceptedChunk>),
    /// New, to be put into review.
    Review(Box<AcceptedChunk>),
    /// Nothing is to be done: it stands, awaits a decision, or is refused.
    Answer(ChunkOutcome),
}

impl Admittance {
    pub(super) const fn refused(code: RefusalCode) -> Self {
        Self::Answer(ChunkOutcome::Refused(code))
    }
}

/// Reads a chunk's header and verifies its signature.
///
/// # Errors
/// The chunk's link with the refusal, or `None` where the header says no link: then the peer broke the protocol.
pub(super) fn verify_header(chunk: &Chunk) -> Result<Verified<Header>, Option<(Link, RefusalCode)>> {
    chunk.header.clone().verify().map_err(|error| match error {
        VerifyError::Payload(_) => None,
        VerifyError::Signature(_) => {
            let header: Result<Header, _> = vereda_base::decode(chunk.header.bytes(), limits::MAX_HEADER_BYTES);
            header.ok().map(|header| (header.link(), RefusalCode::BadSignature))
        }
    })
}

/// Checks a chunk that a device hands over. Reads only.
pub(super) fn check_chunk(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    config: &RelayConfig,
    sender: &DeviceId,
    header: &Verified<Header>,
    chunk: Chunk,
    now: Timestamp,
) -> Result<Admittance, StoreError> {
    let content = header.value();
    if let Err(code) = check_form(sender, content, &chunk) {
        return Ok(Admittance::refused(code));
    }
    let link = content.link();
    if store.chunk_at(&content.document, &link)?.is_some() {
        return Ok(Admittance::Answer(ChunkOutcome::Durable));
    }
    if let Some(reviewed) = store.reviewed(&link)? {
        return Ok(Admittance::Answer(outcome_of(reviewed.standing)));
    }
    if chains.load(store, &content.document)?.is_none()
        && let Some(row) = store.reviewed_document(&content.document)?
    {
        return review::check_new_document(chains, store, config, &row, header, chunk, now);
    }
    let view = chains.view(store);
    let authorized = authorize_content(&view, header, None);
    let reliance = content_reliance(&view, content).unwrap_or_default();
    let newest = Heads::newest(Some(now));
    let is_entitled = Evaluator::new(&view, *sender, &newest).role(&content.document) >= Some(Role::Editor);
    let epoch = view.chain(&content.document).and_then(|state| Some(state.newest_epoch()?.number));
    let ledger = check_cites(&view, sender, Some(content.document), &content.cites)?;
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    let accepted = match authorized {
        Ok(header) => AcceptedChunk::new(header, chunk),
        Err(refusal) => return Ok(Admittance::refused(code_of(&refusal))),
    };
    let is_superseded = epoch.is_some_and(|epoch| content.epoch < epoch);
    if is_entitled && (is_superseded || chains.is_stale(store, &content.document, now)?) {
        return Ok(Admittance::refused(RefusalCode::StaleEpoch));
    }
    let is_late = !is_entitled || !reliance.is_empty();
    if let Err(code) = if is_late { of_late(ledger) } else { ledger } {
        return Ok(Admittance::refused(code));
    }
    if is_late {
        let agency = chains.load(store, &content.document)?.and_then(|known| known.agency);
        let ended = review::Ended { agency, reliance: &reliance, cites: &content.cites };
        return review::check_chunk(chains, store, config, &ended, accepted, now);
    }
    let in_place = check_place(store, content)?;
    let complete = check_deps(store, content)?;
    let counted = check_incarnations(store, content)?;
    match in_place.and(complete).and(counted) {
        Ok(()) => Ok(Admittance::New(Box::new(accepted))),
        Err(code) => Ok(Admittance::refused(code)),
    }
}

/// Tells what a device is answered about something that is in review, or was.
pub(super) const fn outcome_of(standing: ReviewStanding) -> ChunkOutcome {
    match standing {
        ReviewStanding::Awaits => ChunkOutcome::InReview,
        ReviewStanding::Adopted => ChunkOutcome::Durable,
        ReviewStanding::Discarded => ChunkOutcome::Refused(RefusalCode::Discarded),
    }
}

/// Notes what the author of something appended had cited.
pub(super) fn note_cites(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    device: &DeviceId,
    cites: &[vereda_policy::Cite],
) -> Result<(), StoreError> {
    for cite in cites {
        let seq = chains.load(store, &cite.chain)?.and_then(|known| known.state.seq_of(&cite.head));
        let known = store.cited(device, &cite.chain)?;
        if let Some(seq) = seq.filter(|seq| known.is_none_or(|known| known < *seq)) {
            store.set_cited(device, &cite.chain, seq)?;
        }
    }
    Ok(())
}

/// What can be seen of a chunk by itself.
fn check_form(sender: &DeviceId, header: &Header, chunk: &Chunk) -> Result<(), RefusalCode> {
    if header.deps.len() > limits::MAX_DEPS
        || header.cites.len() > limits::MAX_CITES
        || chunk.ciphertext.len() > limits::MAX_CIPHERTEXT_BYTES
        || usize::try_from(header.change_count).is_ok_and(|count| count > limits::MAX_CHANGES_PER_CHUNK)
    {
        return Err(RefusalCode::TooLarge);
    }
    let is_endless = header.first_change.checked_add(u64::from(header.change_count)).is_none();
    let whole = usize::try_from(header.ciphertext_len).is_ok_and(|length| length == chunk.ciphertext.len())
        && header.ciphertext_hash.0 == hash(context::CIPHERTEXT, &[&chunk.ciphertext]);
    if !whole
        || !header.deps.is_sorted_by(|a, b| a < b)
        || header.change_count == 0
        || header.first_change == 0
        || is_endless
    {
        return Err(RefusalCode::Malformed);
    }
    if header.device == *sender { Ok(()) } else { Err(RefusalCode::NotAuthorized) }
}

/// Who once relied on a head never relies on an older one, in whatever document. Besides its own document (`own`) nothing
/// but groups of one agency is cited: whoever is handed what cites must be able to see all of it, or he waits for ever.
pub(super) fn check_cites(
    view: &View<'_>,
    device: &DeviceId,
    own: Option<ChainId>,
    cites: &[vereda_policy::Cite],
) -> Result<Result<(), RefusalCode>, StoreError> {
    let mut agency = None;
    for cite in cites {
        let Some(known) = view.known(&cite.chain) else { return Ok(Err(RefusalCode::UnknownPolicy)) };
        let Some(seq) = known.state.seq_of(&cite.head) else { return Ok(Err(RefusalCode::UnknownPolicy)) };
        let is_foreign = known.agency.is_some_and(|found| *agency.get_or_insert(found) != found);
        if is_foreign || (known.state.kind() == ChainKind::Document && own != Some(cite.chain)) {
            return Ok(Err(RefusalCode::NotAuthorized));
        }
        if view.store().cited(device, &cite.chain)?.is_some_and(|known| seq < known) {
            return Ok(Err(RefusalCode::CiteRegressed));
        }
    }
    Ok(Ok(()))
}

/// What is to be put into review may cite older heads than its author has cited since: there are no newer ones by which he
/// would be entitled to it, and a Manager decides.
pub(super) fn of_late(cites: Result<(), RefusalCode>) -> Result<(), RefusalCode> {
    if cites == Err(RefusalCode::CiteRegressed) { Ok(()) } else { cites }
}

/// Contiguous per device, incarnation and document.
fn check_place(store: &dyn RelayStore, header: &Header) -> Result<Result<(), RefusalCode>, StoreError> {
    let newest = store.version(&header.device, header.incarnation, &header.document)?;
    let reviewed = store.reviewed_version(&header.device, header.incarnation, &header.document)?;
    if reviewed.is_some_and(|reviewed| newest.is_none_or(|(seq, _)| seq < reviewed.seq)) {
        return Ok(Err(RefusalCode::DependsOnUnadopted));
    }
    match check_sequence(newest, header) {
        // Continues what an earlier incarnation left.
        Ok(Some(prev)) => check_dep(store, &header.document, &prev, RefusalCode::NotContiguous),
        Ok(None) => Ok(Ok(())),
        Err(code) => Ok(Err(code)),
    }
}

/// Checks that a device may begin one more incarnation in a document: what awaits a decision counts, as it may be taken in.
pub(super) fn check_incarnations(
    store: &dyn RelayStore,
    header: &Header,
) -> Result<Result<(), RefusalCode>, StoreError> {
    if header.seq > 0 {
        return Ok(Ok(()));
    }
    let (device, document) = (header.device, header.document);
    let incarnation = |leaf: OfferedLeaf| match leaf.place {
        Place::Content { incarnation, .. } => Some(incarnation),
        Place::Ops { .. } => None,
    };
    let mut begun: BTreeSet<Incarnation> =
        store.places(&device, Some(&document))?.into_iter().filter_map(incarnation).collect();
    let awaits = store.in_review(&document)?.into_iter().filter(|reviewed| reviewed.device == device);
    begun.extend(awaits.map(|reviewed| reviewed.incarnation));
    let is_new = !begun.contains(&header.incarnation);
    Ok(if is_new && begun.len() >= limits::MAX_INCARNATIONS { Err(RefusalCode::TooManyIncarnations) } else { Ok(()) })
}

/// Checks that a chunk follows the newest of its sequence. At the beginning of one, gives the link that it continues.
pub(super) fn check_sequence(newest: Option<(u64, Link)>, header: &Header) -> Result<Option<Link>, RefusalCode> {
    let due = newest.map_or(0, |(seq, _)| seq.saturating_add(1));
    if header.seq < due {
        return Err(RefusalCode::Fork);
    }
    if header.seq > due {
        return Err(RefusalCode::NotContiguous);
    }
    match (newest, header.prev) {
        (Some((_, newest)), Some(prev)) if prev == newest => Ok(None),
        (Some(_), Some(_)) => Err(RefusalCode::Fork),
        (Some(_), None) => Err(RefusalCode::NotContiguous),
        (None, prev) => Ok(prev),
    }
}

fn check_deps(store: &dyn RelayStore, header: &Header) -> Result<Result<(), RefusalCode>, StoreError> {
    for dep in &header.deps {
        if let Err(code) = check_dep(store, &header.document, dep, RefusalCode::MissingDeps)? {
            return Ok(Err(code));
        }
    }
    Ok(Ok(()))
}

/// Says whether a chunk stands; where nothing is known of it, the refusal is `missing`.
fn check_dep(
    store: &dyn RelayStore,
    document: &ChainId,
    dep: &Link,
    missing: RefusalCode,
) -> Result<Result<(), RefusalCode>, StoreError> {
    if store.chunk_at(document, dep)?.is_some() {
        return Ok(Ok(()));
    }
    Ok(Err(if store.reviewed(dep)?.is_some() { RefusalCode::DependsOnUnadopted } else { missing }))
}

pub(super) const fn code_of(refusal: &ContentRefusal) -> RefusalCode {
    match refusal {
        ContentRefusal::Waiting { .. } => RefusalCode::UnknownPolicy,
        ContentRefusal::Suite { .. } => RefusalCode::Unsupported,
        ContentRefusal::TooManyCites { .. } => RefusalCode::TooLarge,
        ContentRefusal::CitesNotSorted
        | ContentRefusal::DocumentNotCited { .. }
        | ContentRefusal::NotADocument { .. }
        | ContentRefusal::NoEpoch { .. } => RefusalCode::Malformed,
        ContentRefusal::NoAuthority { .. } | ContentRefusal::NotAdopted { .. } => RefusalCode::NotAuthorized,
        ContentRefusal::Erased { .. } => RefusalCode::Erased,
        ContentRefusal::StaleEpoch { .. } => RefusalCode::StaleEpoch,
    }
}
