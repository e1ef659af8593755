//! What removals name: all that there is, or in a history of lies less or more.

use vereda_base::{ChainId, Digest, Incarnation};
use vereda_policy::{Body, ChainKind, Chains, Frontier, FrontierTree, Leaf, Place, removed_devices};

use super::World;
use crate::oracle::Leaves;

/// The only incarnation there is here.
const FIRST: Incarnation = Incarnation(0);

pub const fn frontier_in(body: &mut Body) -> Option<&mut Frontier> {
    match body {
        Body::RemoveDevice(remove) => Some(&mut remove.frontier),
        Body::Revoke(revoke) => Some(&mut revoke.frontier),
        Body::Assign(assign) => Some(&mut assign.frontier),
        Body::Expire(expire) => Some(&mut expire.frontier),
        _ => None,
    }
}

pub fn content_place(document: ChainId, device: vereda_base::DeviceId) -> Place {
    Place::Content { document, device, incarnation: FIRST }
}

impl World {
    /// Lists what is there of those whom a removal concerns.
    fn committed(&self, chain: ChainId, body: &Body) -> Leaves {
        let devices = removed_devices(&self.chains, &chain, body);
        let is_document = self.chains.chain(&chain).is_some_and(|state| state.kind() == ChainKind::Document);
        let mut leaves = Leaves::new();
        for (of, entries) in &self.oracle.chains {
            for entry in entries.iter().filter(|entry| devices.contains(&entry.op.device)) {
                if !is_document || *of == chain {
                    leaves
                        .insert(Place::Ops { chain: *of, device: entry.op.device }, (entry.op.seq, Digest(entry.id.0)));
                }
            }
        }
        for one in self.written.iter().filter(|one| devices.contains(&one.header.device)) {
            if !is_document || one.header.document == chain {
                leaves.insert(content_place(one.header.document, one.header.device), (one.seq, one.link));
            }
        }
        leaves
    }

    /// Gives a removal its frontier.
    pub(super) fn set_frontier(&mut self, chain: ChainId, body: &mut Body) {
        if frontier_in(body).is_none() {
            return;
        }
        let committed = self.committed(chain, body);
        let mut leaves = committed.clone();
        if self.lies && self.below(3) > 0 {
            let places: Vec<Place> = leaves.keys().copied().collect();
            for _ in 0..self.below(4).min(places.len()) {
                let place = self.draw(&places);
                self.lie(place, &mut leaves);
            }
        }
        let leaf = |(place, (seq, id)): (&Place, &(u64, Digest))| Leaf { key: place.key(), seq: *seq, id: *id };
        let tree = FrontierTree::new(leaves.iter().map(leaf));
        let frontier = tree.frontier();
        self.trees.insert(frontier.root, tree);
        self.honest.remove(&frontier.root);
        self.honest.extend((leaves == committed).then_some(frontier.root));
        self.oracle.frontiers.insert(frontier.root, leaves);
        if let Some(place) = frontier_in(body) {
            *place = frontier;
        }
    }

    /// Names less of a place, or nothing, or more than there is. Users, agencies and teams begin in all histories.
    fn lie(&mut self, place: Place, leaves: &mut Leaves) {
        let begins = !self.documents.contains(&place.chain());
        let Some((seq, id)) = leaves.get(&place).copied() else { return };
        match self.below(6) {
            3.. => {
                let more = seq + 1 + self.below(4) as u64;
                leaves.insert(place, (more, Digest([7; 32])));
            }
            0 if !begins => _ = leaves.remove(&place),
            1 if seq > 0 => _ = leaves.insert(place, (seq, Digest([7; 32]))),
            _ if seq > 0 => {
                let lower = self.below(seq as usize) as u64;
                let there = match place {
                    Place::Ops { chain, .. } => self.oracle.chains[&chain].get(lower as usize),
                    Place::Content { .. } => None,
                };
                let id = there.map_or(id, |entry| Digest(entry.id.0));
                leaves.insert(place, (lower, id));
            }
            _ => {}
        }
    }

    /// Whether a removal names all that there was before it.
    pub(super) fn is_honest(&self, body: &Body) -> bool {
        frontier_in(&mut body.clone()).is_none_or(|frontier| self.honest.contains(&frontier.root))
    }
}
