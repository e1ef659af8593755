//! Whether a chunk may stand: the relay's checks (protocol.md §6).

use vereda_base::{DeviceId, Link, Timestamp, limits};
use vereda_crypto::{Verified, VerifyError, context, hash};
use vereda_policy::{Authorized, Chains, ContentRefusal, authorize_content};
use vereda_protocol::{Chunk, Header, RefusalCode};

use super::{
    chains::{ChainCache, View},
    store::{RelayStore, StoreError},
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
    /// It stands already.
    Known,
    /// Refused.
    Refused(RefusalCode),
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
    sender: &DeviceId,
    header: &Verified<Header>,
    chunk: Chunk,
    now: Timestamp,
) -> Result<Admittance, StoreError> {
    let link = header.value().link();
    if let Err(code) = check_form(sender, header.value(), &chunk) {
        return Ok(Admittance::Refused(code));
    }
    if store.chunk_at(&header.value().document, &link)?.is_some() {
        return Ok(Admittance::Known);
    }
    let view = chains.view(store);
    let authorized = authorize_content(&view, header, Some(now));
    let ledger = check_cites(&view, sender, &header.value().cites)?;
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    let header = match authorized {
        Ok(header) => header,
        Err(refusal) => return Ok(Admittance::Refused(code_of(&refusal))),
    };
    let in_place = check_place(store, header.value())?;
    let complete = check_deps(store, header.value())?;
    if let Err(code) = ledger.and(in_place).and(complete) {
        return Ok(Admittance::Refused(code));
    }
    Ok(Admittance::New(Box::new(AcceptedChunk::new(header, chunk))))
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
    let whole = usize::try_from(header.ciphertext_len).is_ok_and(|length| length == chunk.ciphertext.len())
        && header.ciphertext_hash.0 == hash(context::CIPHERTEXT, &[&chunk.ciphertext]);
    if !whole || !header.deps.is_sorted_by(|a, b| a < b) || header.change_count == 0 || header.first_change == 0 {
        return Err(RefusalCode::Malformed);
    }
    if header.device == *sender { Ok(()) } else { Err(RefusalCode::NotAuthorized) }
}

/// Who once relied on a head never relies on an older one, in whatever document.
pub(super) fn check_cites(
    view: &View<'_>,
    device: &DeviceId,
    cites: &[vereda_policy::Cite],
) -> Result<Result<(), RefusalCode>, StoreError> {
    for cite in cites {
        let seq = view.chain(&cite.chain).and_then(|state| state.seq_of(&cite.head));
        let Some(seq) = seq else { return Ok(Err(RefusalCode::UnknownPolicy)) };
        if view.store().cited(device, &cite.chain)?.is_some_and(|known| seq < known) {
            return Ok(Err(RefusalCode::CiteRegressed));
        }
    }
    Ok(Ok(()))
}

/// Contiguous per device, incarnation and document.
fn check_place(store: &dyn RelayStore, header: &Header) -> Result<Result<(), RefusalCode>, StoreError> {
    let newest = store.version(&header.device, header.incarnation, &header.document)?;
    let due = newest.map_or(0, |(seq, _)| seq.saturating_add(1));
    if header.seq < due {
        return Ok(Err(RefusalCode::Fork));
    }
    if header.seq > due {
        return Ok(Err(RefusalCode::NotContiguous));
    }
    Ok(match (newest, header.prev) {
        (Some((_, newest)), Some(prev)) if prev == newest => Ok(()),
        (Some(_), Some(_)) => Err(RefusalCode::Fork),
        (Some(_), None) => Err(RefusalCode::NotContiguous),
        (None, None) => Ok(()),
        // Continues what an earlier incarnation left.
        (None, Some(prev)) => match store.chunk_at(&header.document, &prev)? {
            Some(_) => Ok(()),
            None => Err(RefusalCode::NotContiguous),
        },
    })
}

fn check_deps(store: &dyn RelayStore, header: &Header) -> Result<Result<(), RefusalCode>, StoreError> {
    for dep in &header.deps {
        if store.chunk_at(&header.document, dep)?.is_none() {
            return Ok(Err(RefusalCode::MissingDeps));
        }
    }
    Ok(Ok(()))
}

const fn code_of(refusal: &ContentRefusal) -> RefusalCode {
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
