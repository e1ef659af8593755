//! The review lane: work whose author's rights ended before it came (access.md, "Review").

use std::{sync::Arc, time::Duration};

use vereda_base::{ChainId, DeviceId, Link, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{
    AppendContext, Authorized, ChainState, Chains, Cite, Op, Reliance, Retention, Wrap, WrapProof, authorize,
    authorize_content, content_reliance, op_reliance,
};
use vereda_protocol::{Chunk, Header, RefusalCode};

use super::{
    admit::{AcceptedChunk, Admittance, check_cites, check_incarnations, check_sequence, code_of, of_late, outcome_of},
    chains::{ChainCache, View},
    effect::RelayConfig,
    store::{Entry, RelayStore, ReviewStanding, ReviewedDocument, StoreError},
};

/// Days after a removal for which the lane takes work, where its agency never said.
const REVIEW_DAYS: u32 = 90;

/// By what somebody's rights ended: how long the lane is open to him follows from it.
pub(super) struct Ended<'a> {
    /// Whose [`Retention::Review`] counts.
    pub(super) agency: Option<ChainId>,
    /// The removals that ended them.
    pub(super) reliance: &'a [Reliance],
    /// Where there are none: the chains whose roles have passed by themselves.
    pub(super) cites: &'a [Cite],
}

/// Checks a chunk whose author was entitled to it and is not now, or relies on a removal. Reads only.
pub(super) fn check_chunk(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    config: &RelayConfig,
    ended: &Ended<'_>,
    accepted: AcceptedChunk,
    now: Timestamp,
) -> Result<Admittance, StoreError> {
    let header = accepted.header();
    let follows = check_place(store, header)?;
    let complete = check_deps(store, header)?;
    let counted = check_incarnations(store, header)?;
    if let Err(code) = follows.and(complete).and(counted) {
        return Ok(Admittance::refused(code));
    }
    let view = chains.view(store);
    let is_open = is_open(&view, ended, now);
    if !view.finish(is_open)? || !has_room(store, config, &header.device, accepted.chunk().ciphertext.len())? {
        return Ok(Admittance::refused(RefusalCode::ReviewClosed));
    }
    Ok(Admittance::Review(Box::new(accepted)))
}

/// Checks a chunk in a document that is in review itself. Reads only.
pub(super) fn check_new_document(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    config: &RelayConfig,
    row: &ReviewedDocument,
    header: &Verified<Header>,
    chunk: Chunk,
    now: Timestamp,
) -> Result<Admittance, StoreError> {
    if row.standing != ReviewStanding::Awaits {
        return Ok(Admittance::Answer(outcome_of(row.standing)));
    }
    let (create, _) = read_create(store, row)?;
    let view = chains.view(store);
    let begun = Begun::new(&view, &create)?;
    let authorized = authorize_content(&begun, header, None);
    let mut reliance = content_reliance(&begun, header.value()).unwrap_or_default();
    // Whoever is named in it by himself has a role there that nothing ended: it is its beginning that came late.
    reliance.extend(op_reliance(&view, &create, &AppendContext::relay(now)).unwrap_or_default());
    let document = header.value().document;
    // The head of the new document itself is in no chain that stands.
    let cites: Vec<Cite> = header.value().cites.iter().filter(|cite| cite.chain != document).copied().collect();
    let ledger = check_cites(&view, &header.value().device, None, &cites)?;
    let cites = [cites, create.value().cites.clone()].concat();
    let agency = super::sight::owners(create.value()).iter().find_map(|owner| view.known(owner)?.agency);
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    match (authorized, of_late(ledger)) {
        (Ok(header), Ok(())) => {
            let ended = Ended { agency, reliance: &reliance, cites: &cites };
            check_chunk(chains, store, config, &ended, AcceptedChunk::new(header, chunk), now)
        }
        (Err(refusal), _) => Ok(Admittance::refused(code_of(&refusal))),
        (_, Err(code)) => Ok(Admittance::refused(code)),
    }
}

/// Says whether the lane takes something of a device whose rights have ended.
pub(super) fn is_open(view: &View<'_>, ended: &Ended<'_>, now: Timestamp) -> bool {
    let Ended { agency, reliance, cites } = ended;
    let removed = |reliance: &Reliance| view.chain(&reliance.chain)?.op(reliance.seq)?.time;
    let ended = reliance.iter().filter_map(removed).max().or_else(|| {
        let states = cites.iter().filter_map(|cite| view.chain(&cite.chain));
        states.filter_map(|state| last_expiry(&state, now)).max()
    });
    let days =
        agency.as_ref().and_then(|agency| view.chain(agency)?.retention(Retention::Review)).unwrap_or(REVIEW_DAYS);
    let open_for = Duration::from_secs(u64::from(days) * 24 * 3_600);
    ended.is_some_and(|ended| now < ended.saturating_add(open_for))
}

/// When the last of the roles that have expired did.
fn last_expiry(state: &ChainState, now: Timestamp) -> Option<Timestamp> {
    state.members().iter().filter_map(|member| member.expires).filter(|expires| *expires <= now).max()
}

/// Says whether the lane has room for so many bytes more of a device.
pub(super) fn has_room(
    store: &dyn RelayStore,
    config: &RelayConfig,
    device: &DeviceId,
    bytes: usize,
) -> Result<bool, StoreError> {
    let load = store.review_load(device)?;
    let fits = load.bytes.saturating_add(bytes as u64) <= config.max_review_bytes;
    Ok(load.count < config.max_review_items && fits)
}

/// Contiguous over what stands and what is in review.
fn check_place(store: &dyn RelayStore, header: &Header) -> Result<Result<(), RefusalCode>, StoreError> {
    let stands = store.version(&header.device, header.incarnation, &header.document)?;
    let reviewed = store.reviewed_version(&header.device, header.incarnation, &header.document)?;
    let reviewed = reviewed.filter(|reviewed| stands.is_none_or(|(seq, _)| seq < reviewed.seq));
    let newest = reviewed.map(|reviewed| (reviewed.seq, reviewed.link)).or(stands);
    let prev = match check_sequence(newest, header) {
        Ok(prev) => prev,
        Err(code) => return Ok(Err(code)),
    };
    if reviewed.is_some_and(|reviewed| reviewed.standing == ReviewStanding::Discarded) {
        return Ok(Err(RefusalCode::DependsOnUnadopted));
    }
    match prev {
        Some(prev) => check_dep(store, &header.document, &prev, RefusalCode::NotContiguous),
        None => Ok(Ok(())),
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

fn check_dep(
    store: &dyn RelayStore,
    document: &ChainId,
    dep: &Link,
    missing: RefusalCode,
) -> Result<Result<(), RefusalCode>, StoreError> {
    if store.chunk_at(document, dep)?.is_some() {
        return Ok(Ok(()));
    }
    let reviewed = store.reviewed(dep)?.filter(|reviewed| reviewed.document == *document);
    Ok(match reviewed.map(|reviewed| reviewed.standing) {
        Some(ReviewStanding::Awaits) => Ok(()),
        Some(_) => Err(RefusalCode::DependsOnUnadopted),
        None => Err(missing),
    })
}

/// Wraps, each with its place in its list.
pub(super) type ProvenWraps = Vec<(Wrap, WrapProof)>;

/// Reads the first operation of a document in review, with its wraps.
pub(super) fn read_create(
    store: &dyn RelayStore,
    row: &ReviewedDocument,
) -> Result<(Verified<Op>, ProvenWraps), StoreError> {
    let damaged = StoreError::Damaged { table: "log" };
    match store.entry(row.position)? {
        Some(Entry::ReviewDocument { create, wraps, .. }) => Ok((create.verify().map_err(|_| damaged)?, wraps)),
        _ => Err(damaged),
    }
}

/// The chains, and beside them a document that is in review as if it had begun.
pub(super) struct Begun<'a, 'v> {
    view: &'a View<'v>,
    state: Arc<ChainState>,
}

impl<'a, 'v> Begun<'a, 'v> {
    pub(super) fn new(view: &'a View<'v>, create: &Verified<Op>) -> Result<Self, StoreError> {
        // Its author was entitled to it at the heads cited when it came: what is cited does not change.
        let damaged = StoreError::Damaged { table: "log" };
        let create = authorize(view, create, &AppendContext::unreceipted()).map_err(|_| damaged.clone())?;
        let state = Arc::new(ChainState::begin(&create, None).map_err(|_| damaged)?);
        Ok(Self { view, state })
    }

    /// Takes a chunk for what it was found to be when it came into review.
    pub(super) fn authorize(&self, header: &Verified<Header>) -> Result<Authorized<Header>, StoreError> {
        authorize_content(self, header, None).map_err(|_| StoreError::Damaged { table: "log" })
    }
}

impl Chains for Begun<'_, '_> {
    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>> {
        if *id == self.state.id() { Some(Arc::clone(&self.state)) } else { self.view.chain(id) }
    }
}
