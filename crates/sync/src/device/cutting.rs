//! The frontier that this device signs with a removal: what it holds itself, or what the relay offers, if that cuts off
//! nothing of it and names no more where this device would know.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, Digest, Link};
use vereda_policy::{
    Body, ChainKind, Chains, Frontier, FrontierTree, Leaf, Op, Place, governs_section, may_read, op_id_of_bytes,
    removed_devices,
};
use vereda_protocol::{Header, OfferedLeaf};

use super::{
    content::{load_by_link, load_chunk},
    frontiers::Made,
    machine::DeviceMachine,
    removals::{last_ops, place_of},
    shelf::{ChainView, list},
    store::{DeviceStore, StoreError},
    tables::{
        CHUNKS, DOCUMENTS, DocumentRow, EXCLUDED, ExcludedRow, LINKS, LinkRow, OPS, OpRow, load, load_all, place_key,
        read,
    },
};

/// What an offer was found to be.
pub(super) enum Offered {
    /// It names what stands here, and what this device cannot see.
    Fits,
    /// It would cut off something that is held here and stands: what it says of the first such places, of some perhaps
    /// nothing.
    CutsOff(Vec<OfferedLeaf>),
    /// It names something that this device would have been handed, and was not, or that is none of the removal's.
    Beyond(OfferedLeaf),
}

impl DeviceMachine {
    /// Fills in the frontier of a removal: of what the relay offered, else of what is held here. Any other body stays as
    /// it is.
    pub(super) fn with_frontier(
        &self,
        chain: &ChainId,
        body: &Body,
        offer: Option<&[OfferedLeaf]>,
        store: &dyn DeviceStore,
    ) -> Result<Body, StoreError> {
        if !is_removal(body) {
            return Ok(body.clone());
        }
        let leaves: Vec<Leaf> = match offer {
            Some(offer) => offer.iter().map(OfferedLeaf::leaf).collect(),
            None => {
                let held = self.held_places(chain, body, store)?;
                held.iter().map(|made| Leaf { key: made.place.key(), seq: made.seq, id: made.id }).collect()
            }
        };
        Ok(set_frontier(body.clone(), FrontierTree::new(leaves).frontier()))
    }

    /// Judges what a relay would have a removal name: it must cut off nothing that is held here and stands, and name nothing
    /// that the relay would have handed over, and did not: whoever is removed could fill that later, with the relay.
    pub(super) fn judge_offer(
        &self,
        chain: &ChainId,
        body: &Body,
        offer: &[OfferedLeaf],
        store: &dyn DeviceStore,
    ) -> Result<Offered, StoreError> {
        const MAX_KEPT: usize = 64;
        let offered: BTreeMap<Place, &OfferedLeaf> = offer.iter().map(|leaf| (leaf.place, leaf)).collect();
        let held = self.held_places(chain, body, store)?;
        let falls_short = |made: &&Made| {
            let reaches = |leaf: &&OfferedLeaf| leaf.seq > made.seq || (leaf.seq == made.seq && leaf.id == made.id);
            !offered.get(&made.place).is_some_and(reaches)
        };
        let short: Vec<&Made> = held.iter().filter(falls_short).take(MAX_KEPT).collect();
        if !short.is_empty() {
            let said = |made: &&Made| offered.get(&made.place).map(|leaf| **leaf);
            return Ok(Offered::CutsOff(short.iter().filter_map(said).collect()));
        }
        let last: BTreeSet<(Place, u64, Digest)> = held.iter().map(|made| (made.place, made.seq, made.id)).collect();
        let view = self.shelf.view(store);
        let devices = removed_devices(&view, chain, body);
        let is_document = view.chain(chain).is_some_and(|state| state.kind() == ChainKind::Document);
        let mut sees = BTreeMap::new();
        let mut beyond = None;
        for leaf in offer.iter().filter(|leaf| !last.contains(&(leaf.place, leaf.seq, leaf.id))) {
            let place = leaf.place;
            let is_named = devices.contains(&place.device()) && (!is_document || place.chain() == *chain);
            let is_content = matches!(place, Place::Content { .. });
            let is_seen = *sees.entry((place.chain(), is_content)).or_insert_with(|| self.sees(&view, &place));
            if !is_named || (is_seen && !self.holds(leaf, store)?) {
                beyond = Some(*leaf);
                break;
            }
        }
        view.finish()?;
        Ok(beyond.map_or(Offered::Fits, Offered::Beyond))
    }

    /// Says whether the relay hands over to this device what is made at a place.
    fn sees(&self, view: &ChainView<'_>, place: &Place) -> bool {
        let chain = place.chain();
        let Some(state) = view.chain(&chain) else { return false };
        if state.kind() != ChainKind::Document {
            return true;
        }
        let now = Some(self.now.wall);
        let reads = may_read(view, &self.device, &chain, now);
        match place {
            // Of what was erased there may be nothing left to hand over; nothing stands in it.
            Place::Content { .. } => reads && !state.is_erased(),
            Place::Ops { .. } => reads || governs_section(view, &self.device, &state, now),
        }
    }

    /// Says whether exactly what a leaf names is held here, whether it stands or not.
    pub(super) fn holds(&self, leaf: &OfferedLeaf, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        match leaf.place {
            Place::Content { document, .. } => {
                let link = Link(leaf.id.0);
                let position = match load::<LinkRow>(store, LINKS, link.as_bytes())? {
                    Some(row) => Some((row.document, row.position)),
                    None => {
                        let row = load::<ExcludedRow>(store, EXCLUDED, link.as_bytes())?;
                        row.and_then(|row| Some((row.document, row.position?)))
                    }
                };
                let Some((_, position)) = position.filter(|(of, _)| *of == document) else { return Ok(false) };
                let Some(chunk) = load_chunk(store, &document, position)? else { return Ok(false) };
                let header: Header = read(CHUNKS, chunk.header.bytes())?;
                Ok(place_of(&header) == leaf.place && header.seq == leaf.seq)
            }
            Place::Ops { chain, device } => {
                let Some(row) = load::<OpRow>(store, OPS, &place_key(&chain, leaf.seq))? else { return Ok(false) };
                let op: Op = read(OPS, row.op.bytes())?;
                let id = op_id_of_bytes(row.op.bytes());
                Ok(row.receipt.is_some() && op.device == device && id.0 == leaf.id.0)
            }
        }
    }

    /// Lists what stands here, and is at the relay, of those whom a removal concerns.
    fn held_places(&self, chain: &ChainId, body: &Body, store: &dyn DeviceStore) -> Result<Vec<Made>, StoreError> {
        let view = self.shelf.view(store);
        let devices = removed_devices(&view, chain, body);
        view.finish()?;
        let kind = self.shelf.find(store, chain)?.map(|state| state.kind());
        let scope = (kind == Some(ChainKind::Document)).then_some(*chain);
        let mut held = Vec::new();
        let rows = match &scope {
            Some(document) => {
                let row = load::<DocumentRow>(store, DOCUMENTS, document.as_bytes())?;
                row.into_iter().map(|row| (*document, row)).collect()
            }
            None => {
                let rows = load_all::<DocumentRow>(store, DOCUMENTS, None)?;
                let id = |key: Vec<u8>| ChainId(key.try_into().unwrap_or([0; 32]));
                rows.into_iter().map(|(key, row)| (id(key), row)).collect::<Vec<_>>()
            }
        };
        for (document, row) in rows {
            for author in row.authors.iter().filter(|author| devices.contains(&author.device)) {
                let place = Place::Content { document, device: author.device, incarnation: author.incarnation };
                let mut last = author.last.map(|link| (author.next_seq.saturating_sub(1), link));
                // Of its own chunks the relay may lack the newest.
                while let Some((seq, link)) = last {
                    let at_relay = load::<LinkRow>(store, LINKS, link.as_bytes())?.is_some_and(|row| row.at_relay);
                    if at_relay {
                        held.push(Made { place, seq, id: Digest(link.0), held: None });
                        break;
                    }
                    let chunk = load_by_link(store, &link)?;
                    let header = chunk.map(|chunk| read::<Header>(CHUNKS, chunk.header.bytes())).transpose()?;
                    last = seq.checked_sub(1).zip(header.and_then(|header| header.prev));
                }
            }
        }
        let ops = last_ops(store, scope.as_ref())?;
        held.extend(ops.into_iter().filter(|made| devices.contains(&made.place.device())));
        Ok(held)
    }

    /// Lists the agencies and teams that are known: by them a Manager governs users.
    pub(super) fn known_groups(&self, store: &dyn DeviceStore) -> Result<Vec<ChainId>, StoreError> {
        let mut groups = list(store, ChainKind::Agency)?;
        groups.extend(list(store, ChainKind::Team)?);
        Ok(groups)
    }
}

/// Says whether a body ends or lowers rights.
pub(super) const fn is_removal(body: &Body) -> bool {
    matches!(body, Body::RemoveDevice(_) | Body::Revoke(_) | Body::Assign(_) | Body::Expire(_))
}

fn set_frontier(mut body: Body, frontier: Frontier) -> Body {
    match &mut body {
        Body::RemoveDevice(remove) => remove.frontier = frontier,
        Body::Revoke(revoke) => revoke.frontier = frontier,
        Body::Assign(assign) => assign.frontier = frontier,
        Body::Expire(expire) => expire.frontier = frontier,
        _ => {}
    }
    body
}
