//! What a device may see, as policy stands now.

use std::collections::BTreeMap;

use vereda_base::{ChainId, Timestamp};
use vereda_policy::{Body, ChainKind, ChainState, Chains, Evaluator, Heads, Need, Op, Role, governs_section, may_read};
use vereda_protocol::{PolicyEntry, Position};

use super::{
    chains::View,
    reach::Tenure,
    removal::StoredFrontier,
    session::{Admission, Open},
    store::{About, Entry, Head, ReviewStanding, StoreError},
};

/// Asks of many entries whether a device may see them.
pub(super) struct Sight<'a, 'v> {
    view: &'a View<'v>,
    open: &'a Open,
    now: Timestamp,
    tenure: Tenure<'a, 'v>,
    /// Counts whoever has authority over a document, read or not.
    is_asked: bool,
    /// Of what documents in review, or with chunks in review, the device may decide.
    decides: BTreeMap<ChainId, bool>,
}

impl<'a, 'v> Sight<'a, 'v> {
    pub(super) const fn new(view: &'a View<'v>, open: &'a Open, now: Timestamp) -> Self {
        Self { view, open, now, tenure: Tenure::new(view, open.device, now), is_asked: false, decides: BTreeMap::new() }
    }

    /// For what a device asks for: whoever has authority over a document sees who has roles in it, though he is handed no
    /// news of it.
    pub(super) const fn asked(view: &'a View<'v>, open: &'a Open, now: Timestamp) -> Self {
        let mut sight = Self::new(view, open, now);
        sight.is_asked = true;
        sight
    }

    /// Says whether an entry is for the device.
    pub(super) fn sees(&mut self, head: &Head) -> Result<bool, StoreError> {
        Ok(match head.about {
            About::Op { chain } => self.sees_op(&chain, head.position),
            About::Wrap { chain, recipient } => {
                // The key before the newest is wrapped to the chain itself. Whoever is in a group by now and does not read
                // what was once wrapped to it gets no key of that; it becomes visible if he ever does.
                // A recovery key is a member nowhere and holds its user's wrap.
                let is_member = self.open.admission == Admission::Member;
                let reads = || may_read(self.view, &self.open.device, &chain, Some(self.now));
                match self.open.is_recipient(&recipient) {
                    true => !is_member || reads(),
                    false => chain.0 == recipient.0 && is_member && reads(),
                }
            }
            About::Chunk { document, device, incarnation } => {
                let own = device == self.open.device && incarnation == self.open.incarnation;
                !own && self.reads(&document)
            }
            About::Frontier { chain } => self.sees_chain(&chain),
            About::Review { document } => self.decides_chunk(&document, head.position)?,
            About::ReviewDocument { document } => self.decides_document(&document)?,
        })
    }

    /// Says whether an operation of a chain is for the device: it sees the chain, or belonged to it at that time.
    pub(super) fn sees_op(&mut self, chain: &ChainId, position: Position) -> bool {
        let is_removed = self.open.admission == Admission::Removed;
        let belonged = self.open.is_member() || is_removed;
        if self.sees_chain(chain) || (belonged && self.tenure.end(chain).is_some_and(|end| position <= end)) {
            return true;
        }
        // Who was put out can judge that only by what else was decided until then, also of people who came meanwhile.
        let group = self.view.known(chain).filter(|known| is_removed && known.state.kind() != ChainKind::Document);
        let agency = group.and_then(|known| known.agency);
        agency.is_some_and(|agency| self.tenure.end_in(&agency).is_some_and(|end| position <= end))
    }

    /// Says whether any entry of a chain can be for the device. Where it says no, none needs to be looked at.
    pub(super) fn sees_any(&mut self, chain: &ChainId) -> Result<bool, StoreError> {
        Ok(self.sees_op(chain, Position(0)) || self.decides_in(chain)?)
    }

    /// Says whether the device may see a chain's operations as they come.
    pub(super) fn sees_chain(&self, chain: &ChainId) -> bool {
        self.view.known(chain).is_some_and(|known| {
            if known.state.kind() == ChainKind::Document {
                let has_authority = || self.is_asked && self.has_authority(chain);
                return self.reads(chain) || self.governs(&known.state) || has_authority();
            }
            known.agency.is_some_and(|agency| self.open.agencies.contains(&agency)) || self.open.reach.contains(chain)
        })
    }

    /// Says whether the device may read a document.
    pub(super) fn reads(&self, document: &ChainId) -> bool {
        let is_document = |chain| self.view.chain(chain).is_some_and(|state| state.kind() == ChainKind::Document);
        self.open.is_member()
            && is_document(document)
            && may_read(self.view, &self.open.device, document, Some(self.now))
    }

    /// Says whether the device may end roles in a section that it does not read: it then sees who has them, nothing else.
    fn governs(&self, document: &ChainState) -> bool {
        self.open.is_member() && governs_section(self.view, &self.open.device, document, Some(self.now))
    }

    /// Says whether the device may decide something in a document's chain by its newest heads, whether it reads it or not.
    pub(super) fn has_authority(&self, document: &ChainId) -> bool {
        let newest = Heads::newest(Some(self.now));
        let mut evaluator = Evaluator::new(self.view, self.open.device, &newest);
        self.open.is_member() && evaluator.role_for(document, Need::Ending(Role::Manager)) == Some(Role::Manager)
    }

    /// Makes entries of a removal's leaves, of the places that the device may see, from an index on. Gives the index to go
    /// on with; `None` at the end.
    pub(super) fn leaves(&self, frontier: &StoredFrontier, from: usize) -> (Vec<PolicyEntry>, Option<usize>) {
        let mut asked = std::collections::BTreeMap::new();
        frontier.entries(from, &mut |chain| *asked.entry(*chain).or_insert_with(|| self.sees_chain(chain)))
    }

    /// Says whether the device may decide on content of a document or a team.
    pub(super) fn decides(&self, chain: &ChainId) -> bool {
        let newest = Heads::newest(Some(self.now));
        self.open.is_member() && Evaluator::new(self.view, self.open.device, &newest).role(chain) == Some(Role::Manager)
    }

    /// Says whether the device may decide on one that begins with this operation.
    pub(super) fn decides_create(&self, create: &Op) -> bool {
        owners(self.view, create).iter().any(|owner| self.decides(owner))
    }

    /// Says whether the device may decide on what is in review of a document, also of one that has not begun.
    pub(super) fn decides_in(&mut self, document: &ChainId) -> Result<bool, StoreError> {
        if let Some(decides) = self.decides.get(document) {
            return Ok(*decides);
        }
        let is_begun = self.view.known(document).is_some();
        let decides = if is_begun { self.decides(document) } else { self.decides_document(document)? };
        self.decides.insert(*document, decides);
        Ok(decides)
    }

    fn decides_chunk(&mut self, document: &ChainId, position: Position) -> Result<bool, StoreError> {
        Ok(self.decides_in(document)? && self.view.store().awaits_decision(document, position)?)
    }

    fn decides_document(&self, document: &ChainId) -> Result<bool, StoreError> {
        let store = self.view.store();
        let Some(row) = store.reviewed_document(document)?.filter(|row| row.standing == ReviewStanding::Awaits) else {
            return Ok(false);
        };
        let Some(Entry::ReviewDocument { create, .. }) = store.entry(row.position)? else {
            return Err(StoreError::Damaged { table: "log" });
        };
        Ok(self.decides_create(&super::chains::read_op(&create)?))
    }
}

/// Lists the chains that own a new document.
pub(super) fn owners(view: &View<'_>, create: &Op) -> Vec<ChainId> {
    match &create.body {
        Body::Create(create) => vereda_policy::owners(view, create),
        _ => Vec::new(),
    }
}
