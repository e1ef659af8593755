//! The frontier that this device signs with a removal: what it holds itself, or what the relay offers, if that cuts off
//! nothing of it.

use std::collections::BTreeMap;

use vereda_base::{ChainId, Digest};
use vereda_policy::{Body, ChainKind, Frontier, FrontierTree, Leaf, Place, removed_devices};
use vereda_protocol::{Header, OfferedLeaf};

use super::{
    content::load_by_link,
    frontiers::Made,
    machine::DeviceMachine,
    removals::last_ops,
    shelf::list,
    store::{DeviceStore, StoreError},
    tables::{CHUNKS, DOCUMENTS, DocumentRow, LINKS, LinkRow, load, load_all, read},
};

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

    /// Finds out whether an offer would cut off something that is held here and stands: what it says of the first such
    /// places, of some perhaps nothing. `None` where it cuts nothing off.
    pub(super) fn cuts_off(
        &self,
        chain: &ChainId,
        body: &Body,
        offer: &[OfferedLeaf],
        store: &dyn DeviceStore,
    ) -> Result<Option<Vec<OfferedLeaf>>, StoreError> {
        const MAX_KEPT: usize = 64;
        let offered: BTreeMap<Place, &OfferedLeaf> = offer.iter().map(|leaf| (leaf.place, leaf)).collect();
        let held = self.held_places(chain, body, store)?;
        let falls_short = |made: &&Made| {
            let reaches = |leaf: &&OfferedLeaf| leaf.seq > made.seq || (leaf.seq == made.seq && leaf.id == made.id);
            !offered.get(&made.place).is_some_and(reaches)
        };
        let short: Vec<&Made> = held.iter().filter(falls_short).take(MAX_KEPT).collect();
        let said = |made: &&Made| offered.get(&made.place).map(|leaf| **leaf);
        Ok((!short.is_empty()).then(|| short.iter().filter_map(said).collect()))
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
                        held.push(Made { place, seq, id: Digest(link.0) });
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
