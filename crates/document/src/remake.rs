//! Making changes again that do not stand: under another actor, on top of what stands.

use std::collections::{BTreeMap, BTreeSet};

use automerge::Change;
use vereda_records::Record;

use crate::{
    edit::EditError,
    replica::{LocalChange, Replica, from_seconds},
};

type Hash = [u8; 32];

const REFUSED: EditError = EditError::Document { index: 0 };

impl Replica {
    /// Makes changes of `old` again under this replica's actor, which wrote nothing yet, each as one edit at the time at which
    /// it was made; those that are here are passed over. `old` holds more than stands: the changes, and all that they build on.
    ///
    /// Each writes what its author changed in what he saw, and builds on as much of that as is here. So what he wrote beside
    /// something that does not stand is written all the same, and what others wrote without his seeing it stays beside it.
    /// Where the first of them created the document, it is created again.
    ///
    /// # Errors
    /// [`EditError`]: [`EditError::NotCreated`] where somebody else created the document, and that is not here. The replica
    /// is then as before.
    pub fn remake(&mut self, old: &Self, changes: &BTreeSet<Hash>) -> Result<Vec<LocalChange>, EditError> {
        let known = Known::of(old);
        let mut remade = Remade {
            seen: Self::empty(old.actor()),
            base: Self::empty(self.actor()),
            known: &known,
            taken: BTreeSet::new(),
            made: Vec::new(),
        };
        for change in &known.changes {
            let hash = change.hash().0;
            if changes.contains(&hash) && !self.has_change(&hash) {
                remade.add(change, self)?;
            }
        }
        let made = remade.made;
        let read = |change: &LocalChange| Change::try_from(change.bytes.as_slice()).map_err(|_| REFUSED);
        let new = made.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        self.take(new)?;
        Ok(made)
    }

    /// Takes in changes of another replica, which admitted them.
    fn take(&mut self, changes: Vec<Change>) -> Result<(), EditError> {
        self.document.apply_changes(changes).map_err(|_| REFUSED)?;
        if self.roots.is_none() {
            self.find_roots();
        }
        Ok(())
    }
}

/// All changes of a replica, each behind those it builds on.
struct Known {
    changes: Vec<Change>,
    places: BTreeMap<Hash, usize>,
}

impl Known {
    fn of(replica: &Replica) -> Self {
        let changes = replica.document.get_changes(&[]);
        let places = changes.iter().enumerate().map(|(place, change)| (change.hash().0, place)).collect();
        Self { changes, places }
    }
}

struct Remade<'a> {
    /// What the author saw.
    seen: Replica,
    /// What stands of that, with what was made again.
    base: Replica,
    known: &'a Known,
    /// Places of what is in `seen`.
    taken: BTreeSet<usize>,
    made: Vec<LocalChange>,
}

impl Remade<'_> {
    /// Takes in changes with all that they build on.
    fn see(&mut self, hashes: impl Iterator<Item = Hash>, standing: &Replica) -> Result<(), EditError> {
        let mut open: Vec<usize> = hashes.filter_map(|hash| self.known.places.get(&hash).copied()).collect();
        let mut new = BTreeSet::new();
        while let Some(place) = open.pop() {
            if self.taken.insert(place) {
                new.insert(place);
                let deps = self.known.changes.get(place).into_iter().flat_map(Change::deps);
                open.extend(deps.filter_map(|dep| self.known.places.get(&dep.0)));
            }
        }
        let new: Vec<Change> = new.iter().filter_map(|place| self.known.changes.get(*place)).cloned().collect();
        let stands = |change: &&Change| standing.has_change(&change.hash().0);
        self.base.take(new.iter().filter(stands).cloned().collect())?;
        self.seen.take(new)
    }

    fn add(&mut self, change: &Change, standing: &Replica) -> Result<(), EditError> {
        self.see(change.deps().iter().map(|dep| dep.0), standing)?;
        let from = self.seen.hydrate().ok();
        self.see(std::iter::once(change.hash().0), standing)?;
        let Ok(wanted) = self.seen.hydrate() else { return Err(EditError::NotCreated) };
        let at = from_seconds(change.timestamp());
        if !self.base.is_created() {
            if from.is_some() {
                return Err(EditError::NotCreated);
            }
            let (base, created) = Replica::create(self.base.actor(), wanted.record_type, at)?;
            self.base = base;
            self.made.push(created);
        }
        let from = from.unwrap_or_else(|| Record::new(wanted.record_type));
        self.made.extend(self.base.reconcile(&from, &wanted, at)?);
        Ok(())
    }
}
