//! The ways by which somebody has a right, each with what it rests on that has ended since.

use std::collections::BTreeSet;

use vereda_base::ChainId;

/// A removal: its chain and its place there.
pub type Removal = (ChainId, u64);

/// None: no right. A way that rests on no removal lasts to this day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways(Vec<BTreeSet<Removal>>);

impl Ways {
    pub const fn none() -> Self {
        Self(vec![])
    }

    pub fn lasting() -> Self {
        Self(vec![BTreeSet::new()])
    }

    pub fn until(removal: Removal) -> Self {
        Self(vec![BTreeSet::from([removal])])
    }

    pub fn when(holds: bool) -> Self {
        if holds { Self::lasting() } else { Self::none() }
    }

    pub fn are_any(&self) -> bool {
        !self.0.is_empty()
    }

    pub fn last(&self) -> bool {
        self.0.iter().any(BTreeSet::is_empty)
    }

    pub fn or(mut self, other: impl FnOnce() -> Self) -> Self {
        if self.last() {
            return Self::lasting();
        }
        self.0.extend(other().0);
        self.shortest()
    }

    pub fn and(self, other: impl FnOnce() -> Self) -> Self {
        if self.0.is_empty() {
            return self;
        }
        let others = other().0;
        let both = self.0.iter().flat_map(|one| others.iter().map(move |other| one.union(other).copied().collect()));
        Self(both.collect()).shortest()
    }

    /// Without those that rest on more than another does.
    fn shortest(self) -> Self {
        let all: BTreeSet<_> = self.0.into_iter().collect();
        let more = |one: &&BTreeSet<Removal>| !all.iter().any(|other| other != *one && other.is_subset(one));
        Self(all.iter().filter(more).cloned().collect())
    }

    /// The way that lasted longest: of two, the one that does not rest on the first removal in which they differ.
    pub fn longest<T: Ord>(&self, time: impl Fn(&Removal) -> T) -> BTreeSet<Removal> {
        let differ = |one: &BTreeSet<Removal>, other: &BTreeSet<Removal>| {
            let first = one.symmetric_difference(other).min_by_key(|removal| time(removal)).copied();
            first.map_or(std::cmp::Ordering::Equal, |first| one.contains(&first).cmp(&other.contains(&first)))
        };
        self.0.iter().min_by(|one, other| differ(one, other)).cloned().unwrap_or_default()
    }
}
