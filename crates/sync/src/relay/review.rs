//! The review lane: work whose author's rights ended before it came (access.md, "Review").

use std::{sync::Arc, time::Duration};

use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{
    AppendContext, Authorized, ChainState, Chains, Cite, Op, Retention, Wrap, WrapProof, authorize, authorize_content,
    content_ended, op_ended,
};
use vereda_protocol::{Chunk, Header, RefusalCode};

use super::{
    admit::{AcceptedChunk, Admittance, Home, check_cites, code_of, of_late, outcome_of},
    chains::{ChainCache, View},
    effect::RelayConfig,
    sequence::{Lane, check_place},
    store::{Entry, RelayStore, ReviewStanding, ReviewedDocument, StoreError},
};

/// Days after a removal for which the lane takes work, where its agency never said.
const REVIEW_DAYS: u32 = 90;

/// Checks a chunk whose author was entitled to it until `ended`, or relies on a removal since. Reads only.
pub(super) fn check_chunk(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    config: &RelayConfig,
    agency: Option<ChainId>,
    ended: Option<Timestamp>,
    accepted: AcceptedChunk,
    now: Timestamp,
) -> Result<Admittance, StoreError> {
    let header = accepted.header();
    if let Err(code) = check_place(store, header, Lane::Review)? {
        return Ok(Admittance::refused(code));
    }
    let view = chains.view(store);
    let is_open = is_open(&view, agency.as_ref(), ended, now);
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
    // Whoever is named in it by himself has a role there that nothing ended: it is its beginning that came late.
    let late = op_ended(&view, &create, &AppendContext::relay(now), now).unwrap_or_default();
    let ended = content_ended(&begun, header.value(), now).unwrap_or_default().max(late);
    let document = header.value().document;
    // The head of the new document itself is in no chain that stands.
    let cites: Vec<Cite> = header.value().cites.iter().filter(|cite| cite.chain != document).copied().collect();
    let agency = super::sight::owners(&view, create.value()).iter().find_map(|owner| view.known(owner)?.agency);
    let home = Home { agency, document: None, is_founding: false };
    let ledger = check_cites(&view, &header.value().device, home, &cites)?;
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    match (authorized, of_late(ledger)) {
        (Ok(header), Ok(())) => {
            check_chunk(chains, store, config, agency, ended, AcceptedChunk::new(header, chunk), now)
        }
        (Err(refusal), _) => Ok(Admittance::refused(code_of(&refusal))),
        (_, Err(code)) => Ok(Admittance::refused(code)),
    }
}

/// Says whether the lane takes something of a device whose rights ended then.
pub(super) fn is_open(view: &View<'_>, agency: Option<&ChainId>, ended: Option<Timestamp>, now: Timestamp) -> bool {
    let days = agency.and_then(|agency| view.chain(agency)?.retention(Retention::Review)).unwrap_or(REVIEW_DAYS);
    let open_for = Duration::from_secs(u64::from(days) * 24 * 3_600);
    ended.is_some_and(|ended| now < ended.saturating_add(open_for))
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
