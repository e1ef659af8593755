//! Which groups' epochs are stale: asked with every chunk, so what was found is kept while it holds.

use vereda_base::{ChainId, Timestamp};
use vereda_policy::{Chains, FoundOfGroups, Staleness};

/// What was found of groups. Whoever appends to a group's chain clears it.
#[derive(Debug)]
pub(super) struct StaleGroups {
    groups: FoundOfGroups,
    /// From when to when it holds: roles expire by themselves.
    holds: Option<(Timestamp, Timestamp)>,
}

impl StaleGroups {
    pub(super) const fn new() -> Self {
        Self { groups: FoundOfGroups::new(), holds: None }
    }

    pub(super) fn clear(&mut self) {
        self.groups = FoundOfGroups::new();
        self.holds = None;
    }

    /// Says whether a document's newest epoch is stale.
    pub(super) fn is_stale(&mut self, view: &dyn Chains, document: &ChainId, now: Timestamp) -> bool {
        if self.holds.is_some_and(|(from, until)| now < from || until <= now) {
            self.clear();
        }
        let before = self.groups.count();
        let mut staleness = Staleness::with_groups(view, Some(now), std::mem::take(&mut self.groups));
        let is_stale = staleness.is_stale(document);
        self.groups = staleness.into_groups();
        if self.groups.count() != before {
            // Seldom: a group was asked of for the first time.
            let states = self.groups.groups().filter_map(|group| view.chain(group));
            let expiry = |state: std::sync::Arc<vereda_policy::ChainState>| {
                let standing = state.members().iter().filter(|member| member.until_seq.is_none());
                standing.filter_map(|member| member.expires).filter(|expires| *expires > now).min()
            };
            let until = states.filter_map(expiry).min().unwrap_or(Timestamp(i64::MAX));
            let from = self.holds.map_or(now, |(from, _)| from);
            self.holds = Some((from, until));
        }
        is_stale
    }
}
