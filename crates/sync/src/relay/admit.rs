//! Whether a chunk may stand: the relay's checks (protocol.md §6).

use vereda_base::{ChainId, DeviceId, Link, Timestamp, limits};
use vereda_crypto::{Verified, VerifyError, context, hash};
use vereda_policy::{
    Authorized, ChainKind, Chains, ContentRefusal, Evaluator, Heads, Role, authorize_content, content_ended,
    content_reliance, may_read,
};
use vereda_protocol::{Chunk, ChunkOutcome, Header, RefusalCode};

use super::{
    chains::{ChainCache, View},
    effect::RelayConfig,
    review,
    sequence::{Lane, check_place},
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
    let agency = chains.load(store, &content.document)?.and_then(|known| known.agency);
    let view = chains.view(store);
    let authorized = authorize_content(&view, header, None);
    let reliance = content_reliance(&view, content).unwrap_or_default();
    let newest = Heads::newest(Some(now));
    let is_entitled = Evaluator::new(&view, *sender, &newest).role(&content.document) >= Some(Role::Editor);
    let reads = may_read(&view, sender, &content.document, Some(now));
    let epoch = view.chain(&content.document).and_then(|state| Some(state.newest_epoch()?.number));
    let home = Home { agency, document: Some(content.document), is_founding: false };
    let ledger = check_cites(&view, sender, home, &content.cites)?;
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    let accepted = match authorized {
        Ok(header) => AcceptedChunk::new(header, chunk),
        Err(refusal) if reads => return Ok(Admittance::refused(code_of(&refusal))),
        // What is wrong with it tells of a document that he does not see.
        Err(_) => return Ok(Admittance::refused(RefusalCode::NotAuthorized)),
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
        let view = chains.view(store);
        let ended = content_ended(&view, accepted.header(), now).unwrap_or_default();
        let ended = view.finish(ended)?;
        return review::check_chunk(chains, store, config, agency, ended, accepted, now);
    }
    match check_place(store, content, Lane::Log)? {
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

/// Where what cites belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home {
    /// Its agency; of what founds one, the new one.
    pub(super) agency: Option<ChainId>,
    /// The document that it is a chunk of.
    pub(super) document: Option<ChainId>,
    /// It founds the agency, by a user who belongs to none yet.
    pub(super) is_founding: bool,
}

impl Home {
    /// Of an operation of an agency, which may begin a chain. A user stands by himself: his beginning cites nothing.
    pub(super) fn of_op(begins: Option<ChainKind>, agency: Option<ChainId>) -> Self {
        let agency = agency.filter(|_| begins != Some(ChainKind::User));
        Self { agency, document: None, is_founding: begins == Some(ChainKind::Agency) }
    }
}

/// Who once relied on a head never relies on an older one, in whatever document. Besides its own document nothing but groups
/// of its own agency is cited: whoever is handed what cites must be able to see all of it, or he waits for ever.
pub(super) fn check_cites(
    view: &View<'_>,
    device: &DeviceId,
    home: Home,
    cites: &[vereda_policy::Cite],
) -> Result<Result<(), RefusalCode>, StoreError> {
    for cite in cites {
        let Some(known) = view.known(&cite.chain) else { return Ok(Err(RefusalCode::UnknownPolicy)) };
        let Some(seq) = known.state.seq_of(&cite.head) else { return Ok(Err(RefusalCode::UnknownPolicy)) };
        let is_own_user = || known.state.kind() == ChainKind::User && known.state.device(device).is_some();
        let is_home = match known.agency {
            Some(agency) => home.agency == Some(agency),
            None => home.is_founding && is_own_user(),
        };
        if !is_home || (known.state.kind() == ChainKind::Document && home.document != Some(cite.chain)) {
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
