//! As of when policy is asked: the newest heads known, or the heads that an author cited.

use std::collections::BTreeMap;

use vereda_base::{ChainId, OpId, Timestamp};

use crate::{ChainState, Chains, Cite};

/// The heads at which policy is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads(At);

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Newest { now: Option<Timestamp> },
    Cited(BTreeMap<ChainId, u64>),
}

impl Heads {
    /// The newest heads known. With `now`, roles whose time has passed do not count; without, they do until an
    /// operation ends them.
    pub const fn newest(now: Option<Timestamp>) -> Self {
        Self(At::Newest { now })
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
        Ok(Self(At::Cited(seqs)))
    }

    /// Heads by chain and seq; no other chain counts.
    pub fn at_seqs(seqs: impl IntoIterator<Item = (ChainId, u64)>) -> Self {
        Self(At::Cited(seqs.into_iter().collect()))
    }

    /// Tells up to which seq a chain is seen; `None` where it does not count.
    pub fn seq_in(&self, state: &ChainState) -> Option<u64> {
        match &self.0 {
            At::Newest { .. } => Some(state.head_seq()),
            At::Cited(seqs) => seqs.get(&state.id()).copied(),
        }
    }

    /// Tells the time after which roles have expired by themselves.
    pub const fn now(&self) -> Option<Timestamp> {
        match &self.0 {
            At::Newest { now } => *now,
            At::Cited(_) => None,
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
