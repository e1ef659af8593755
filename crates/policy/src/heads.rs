//! As of when policy is asked: the newest heads known, or the heads that an author cited.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, OpId, Timestamp};

use crate::{ChainState, Chains, Cite, DeviceStanding, Membership, Parent};

/// The heads at which policy is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    at: At,
    /// Where only what lasts counts: the removals, by chain and seq, whose effect is left out of account.
    lasting: Option<BTreeSet<(ChainId, u64)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Newest { now: Option<Timestamp> },
    Cited { seqs: BTreeMap<ChainId, u64>, now: Option<Timestamp> },
}

impl Heads {
    /// The newest heads known. With `now`, roles whose time has passed do not count; without, they do until an
    /// operation ends them.
    pub const fn newest(now: Option<Timestamp>) -> Self {
        Self { at: At::Newest { now }, lasting: None }
    }

    /// The heads that an author cites and, for an operation, the place in its own chain that it follows: chain and seq.
    /// No other chain counts on a path.
    ///
    /// # Errors
    /// [`Waiting`] if a head cited is unknown here. That proves nothing: it may be on its way.
    pub fn cited(view: &dyn Chains, cites: &[Cite], own: Option<(ChainId, u64)>) -> Result<Self, Waiting> {
        let mut seqs = BTreeMap::new();
        for Cite { chain, head } in cites {
            let waiting = Waiting { chain: *chain, head: *head };
            let seq = view.chain(chain).and_then(|state| state.seq_of(head)).ok_or(waiting)?;
            seqs.insert(*chain, seq);
        }
        seqs.extend(own);
        Ok(Self { at: At::Cited { seqs, now: None }, lasting: None })
    }

    /// Heads by chain and seq; no other chain counts.
    pub fn at_seqs(seqs: impl IntoIterator<Item = (ChainId, u64)>) -> Self {
        Self { at: At::Cited { seqs: seqs.into_iter().collect(), now: None }, lasting: None }
    }

    /// The same heads, where only what stands to this day counts: roles, devices and parents that no operation has ended
    /// since, as far as is known.
    #[must_use]
    pub fn lasting(&self) -> Self {
        self.lasting_without(BTreeSet::new())
    }

    /// The same, as if these removals, by chain and seq, had not been.
    pub(crate) fn lasting_without(&self, removals: BTreeSet<(ChainId, u64)>) -> Self {
        Self { at: self.at.clone(), lasting: Some(removals) }
    }

    /// The same, as if these removals had not been, and without the roles that had expired by a time.
    pub(crate) fn lasting_until(&self, removals: BTreeSet<(ChainId, u64)>, time: Timestamp) -> Self {
        let at = match &self.at {
            At::Newest { .. } => At::Newest { now: Some(time) },
            At::Cited { seqs, .. } => At::Cited { seqs: seqs.clone(), now: Some(time) },
        };
        Self { at, lasting: Some(removals) }
    }

    /// The same, without the roles that have expired by a time.
    pub(crate) fn reaching(&self, time: Timestamp) -> Self {
        let time = self.now().map_or(time, |now| now.max(time));
        let at = match &self.at {
            At::Newest { .. } => At::Newest { now: Some(time) },
            At::Cited { seqs, .. } => At::Cited { seqs: seqs.clone(), now: Some(time) },
        };
        Self { at, lasting: self.lasting.clone() }
    }

    /// Lists the heads cited; nothing where the newest ones are asked.
    pub fn seqs(&self) -> impl Iterator<Item = (ChainId, u64)> {
        let cited = match &self.at {
            At::Newest { .. } => None,
            At::Cited { seqs, .. } => Some(seqs),
        };
        cited.into_iter().flatten().map(|(chain, seq)| (*chain, *seq))
    }

    /// Says whether a role counts at a head of its chain.
    pub(crate) fn counts_member(&self, chain: &ChainId, member: &Membership, seq: u64) -> bool {
        member.stands_at(seq, self.now()) && self.lasts(chain, member.until_seq)
    }

    /// Says whether a device counts at a head of its user's chain.
    pub(crate) fn counts_device(&self, user: &ChainId, device: &DeviceStanding, seq: u64) -> bool {
        device.stands_at(seq) && self.lasts(user, device.until_seq)
    }

    fn lasts(&self, chain: &ChainId, until: Option<u64>) -> bool {
        match (&self.lasting, until) {
            (Some(without), Some(until)) => without.contains(&(*chain, until)),
            _ => true,
        }
    }

    /// Lists the parents that count at a head of a chain.
    pub(crate) fn parents<'a>(&'a self, state: &'a ChainState, seq: u64) -> impl Iterator<Item = &'a Parent> {
        let standing = state.all_parents().iter().filter(move |standing| standing.stands_at(seq));
        standing.filter(|standing| self.lasts(&state.id(), standing.until_seq)).map(|standing| &standing.parent)
    }

    /// Tells up to which seq a chain is seen; `None` where it does not count.
    pub fn seq_in(&self, state: &ChainState) -> Option<u64> {
        match &self.at {
            At::Newest { .. } => Some(state.head_seq()),
            At::Cited { seqs, .. } => seqs.get(&state.id()).copied(),
        }
    }

    /// Tells the time after which roles have expired by themselves.
    pub const fn now(&self) -> Option<Timestamp> {
        match &self.at {
            At::Newest { now } | At::Cited { now, .. } => *now,
        }
    }
}

/// A head that is relied on and unknown here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("waiting for operation {head} of chain {chain}")]
pub struct Waiting {
    /// The chain.
    pub chain: ChainId,
    /// The operation.
    pub head: OpId,
}
