//! What the frontiers of removals say: leaves that came, leaves that are asked for, and what follows for who relied on
//! what a removal ended.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Digest, OpId, limits};
use vereda_policy::{Chains, Frontier, FrontierTree, Leaf, LeafAnswer, Place, Reliance, verify_all_leaves};
use vereda_protocol::{Leaves, Up};

use super::{
    config::{Amount, Bound},
    holding::Order,
    machine::{DeviceMachine, Halt},
    store::{DeviceStore, StoreError},
    tables::{Awaited, Held, LEAVES, WAITING_LEAVES, WANTED_LEAVES, WHOLE_FRONTIERS, load, load_all, save},
    tally::{Kept, Room},
};

/// Leaves asked for in one message: the answer, with all its proofs, must fit one frame.
const MAX_ASKED: usize = limits::MAX_NAMED / 4;

/// Requests for leaves that are not answered at a time: what they bring waits in the relay's memory.
const MAX_DUE: u32 = 2;

/// What a frontier says of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// There is a leaf.
    Leaf(Leaf),
    /// There surely is none.
    Nothing,
    /// It is not known here.
    Unknown,
}

impl Said {
    /// Says whether something at a place stands by it; `None` where that is not known.
    pub(super) fn reaches(&self, seq: u64, id: Digest) -> Option<bool> {
        match self {
            Self::Leaf(leaf) => Some(leaf.seq > seq || (leaf.seq == seq && leaf.id == id)),
            Self::Nothing => Some(false),
            Self::Unknown => None,
        }
    }
}

/// Whether something stands by the frontiers of the removals that it relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reliant {
    Stands,
    /// One of them does not reach that far, and was given its receipt after this was here: so it stands all the same.
    Held(Reliance),
    /// One of them does not reach that far. With one that came here after this, if there is such.
    Beyond(Option<Reliance>),
    /// One of them is not known.
    Waits(Awaited),
}

impl Reliant {
    pub(super) const fn stands(&self) -> bool {
        matches!(self, Self::Stands | Self::Held(_))
    }

    pub(super) const fn is_beyond(&self) -> bool {
        matches!(self, Self::Beyond(_))
    }

    /// A removal that does not name what the relay had handed over before it.
    pub(super) const fn severing(&self) -> Option<Reliance> {
        match self {
            Self::Held(reliance) | Self::Beyond(Some(reliance)) => Some(*reliance),
            Self::Stands | Self::Beyond(None) | Self::Waits(_) => None,
        }
    }
}

/// What was made where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) place: Place,
    pub(super) seq: u64,
    /// The link, or the operation's id.
    pub(super) id: Digest,
    /// Since when it is here with the relay's word that it stands.
    pub(super) held: Option<Held>,
}

/// Leaves whose removal is not here yet.
#[derive(Debug, Encode, Decode)]
#[cbor(array)]
struct WaitingLeaves {
    #[n(0)]
    removal: OpId,
    #[n(1)]
    leaves: Leaves,
}

/// A leaf, or that there is none.
#[derive(Debug, Encode, Decode)]
#[cbor(array)]
struct LeafRow {
    #[n(0)]
    leaf: Option<Leaf>,
}

/// A leaf that is to be asked for.
#[derive(Debug, Clone, Copy, Encode, Decode)]
#[cbor(array)]
struct WantedRow {
    #[n(0)]
    chain: ChainId,
    #[n(1)]
    removal: OpId,
    #[n(2)]
    place: Place,
}

impl DeviceMachine {
    /// Takes leaves that the relay hands out with a removal; those that come before it wait.
    pub(super) fn take_frontier(
        &mut self,
        chain: ChainId,
        removal: OpId,
        leaves: Leaves,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let state = self.shelf.find(&*store, &chain)?;
        let Some(seq) = state.as_ref().and_then(|state| state.seq_of(&removal)) else {
            // One entry with all of them, or several that each begin with another.
            let first = match &leaves {
                Leaves::All(_) => Digest([0; 32]),
                Leaves::Some(leaves) => leaves.first().map_or(Digest([0; 32]), |proven| proven.leaf.key),
                Leaves::Range(range) => range.leaves.first().map_or(Digest([0; 32]), |leaf| leaf.key),
            };
            let row = vereda_base::encode(&WaitingLeaves { removal, leaves });
            let (group, key) = (chain.as_bytes().as_slice(), leaf_key(&removal, &first));
            let kept = Kept { table: WAITING_LEAVES, group, key: &key, value: &row };
            // What finds no room is asked for when it is needed.
            self.keep_within(&kept, self.config.limits.keep.waiting_wraps, store)?;
            return Ok(());
        };
        // A removal that is void says nothing.
        let Some(frontier) = state.and_then(|state| state.removal(seq).map(|removal| removal.frontier)) else {
            return Ok(());
        };
        match leaves {
            Leaves::All(leaves) => {
                verify_all_leaves(&frontier, &leaves).map_err(|_| Halt::Violation)?;
                let mut is_whole = true;
                for leaf in &leaves {
                    is_whole &= self.keep_leaf(&removal, leaf.key, Some(*leaf), store)? == Room::Kept;
                }
                if !is_whole {
                    // Of a leaf that is not kept it must not seem that there is none: it is asked for.
                    return Ok(());
                }
                store.put(WHOLE_FRONTIERS, &[], &removal.0, &[])?;
                for (key, row) in load_all::<WantedRow>(&*store, WANTED_LEAVES, Some(chain.as_bytes()))? {
                    if row.removal == removal {
                        self.answer(&key, &row, store)?;
                    }
                }
            }
            Leaves::Some(leaves) => {
                if leaves.iter().any(|proven| !proven.holds(&frontier)) {
                    return Err(Halt::Violation);
                }
                for proven in &leaves {
                    self.keep_leaf(&removal, proven.leaf.key, Some(proven.leaf), store)?;
                }
            }
            Leaves::Range(range) => {
                if !range.holds(&frontier) {
                    return Err(Halt::Violation);
                }
                for leaf in &range.leaves {
                    self.keep_leaf(&removal, leaf.key, Some(*leaf), store)?;
                }
            }
        }
        Ok(())
    }

    /// Takes up the leaves that waited for an operation of a chain.
    pub(super) fn retry_leaves(&mut self, chain: &ChainId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        for (key, row) in load_all::<WaitingLeaves>(&*store, WAITING_LEAVES, Some(chain.as_bytes()))? {
            self.release(WAITING_LEAVES, chain.as_bytes(), &key, store)?;
            self.take_frontier(*chain, row.removal, row.leaves, store)?;
        }
        Ok(())
    }

    /// Takes the relay's answers to [`Up::AskLeaves`].
    pub(super) fn take_leaves(
        &mut self,
        chain: ChainId,
        removal: OpId,
        answers: &[(Digest, LeafAnswer)],
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        if let Some(session) = self.session() {
            session.leaves_due = session.leaves_due.saturating_sub(1);
        }
        self.leaves_wanted = true;
        let state = self.shelf.find(&*store, &chain)?;
        let found = state.and_then(|state| state.removals().iter().find(|known| known.op == removal).copied());
        let Some(frontier) = found.map(|removal| removal.frontier) else {
            // It became void since it was asked for.
            return self.ask_leaves(store);
        };
        for (key, answer) in answers {
            let leaf = answer.verify(&frontier, key).map_err(|_| Halt::Violation)?;
            if load::<WantedRow>(&*store, WANTED_LEAVES, &leaf_key(&removal, key))?.is_some() {
                self.keep_leaf(&removal, *key, leaf, store)?;
            }
        }
        self.work_woken(store)
    }

    /// Judges by the frontiers of the removals that something relies on.
    pub(super) fn reliant(
        &self,
        view: &dyn Chains,
        store: &dyn DeviceStore,
        relies: &[Reliance],
        made: &Made,
    ) -> Result<Reliant, StoreError> {
        let key = made.place.key();
        let (mut unknown, mut severing, mut is_beyond) = (None, None, false);
        for reliance in relies {
            let frontier = reliance.frontier(view);
            match self.said(store, &reliance.removal, frontier.as_ref(), &key)?.reaches(made.seq, made.id) {
                Some(true) => {}
                Some(false) => {
                    let order = self.order_of(view, store, reliance, made)?;
                    is_beyond |= order != Order::Before;
                    if order != Order::After {
                        severing = severing.or(Some(*reliance));
                    }
                }
                None => {
                    let Reliance { chain, removal, .. } = *reliance;
                    unknown.get_or_insert(Awaited::Leaf { chain, removal, key });
                }
            }
        }
        Ok(match (is_beyond, unknown, severing) {
            (true, _, severing) => Reliant::Beyond(severing),
            (false, Some(unknown), _) => Reliant::Waits(unknown),
            (false, None, Some(reliance)) => Reliant::Held(reliance),
            (false, None, None) => Reliant::Stands,
        })
    }

    /// Finds what a removal's frontier says of a place.
    pub(super) fn said(
        &self,
        store: &dyn DeviceStore,
        removal: &OpId,
        frontier: Option<&Frontier>,
        key: &Digest,
    ) -> Result<Said, StoreError> {
        if let Some(row) = load::<LeafRow>(store, LEAVES, &leaf_key(removal, key))? {
            return Ok(row.leaf.map_or(Said::Nothing, Said::Leaf));
        }
        let is_empty = frontier.is_some_and(|frontier| *frontier == FrontierTree::new([]).frontier());
        let is_whole = is_empty || store.get(WHOLE_FRONTIERS, &removal.0)?.is_some();
        Ok(if is_whole { Said::Nothing } else { Said::Unknown })
    }

    /// Has a leaf asked for, once everything visible is stored.
    pub(super) fn want_leaf(
        &mut self,
        chain: ChainId,
        removal: OpId,
        place: Place,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        self.leaves_wanted = true;
        let (key, row) = (leaf_key(&removal, &place.key()), WantedRow { chain, removal, place });
        save(store, WANTED_LEAVES, chain.as_bytes(), &key, &row)
    }

    /// Asks for the leaves that are wanted and were not asked for in this session.
    pub(super) fn ask_leaves(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        if !self.leaves_wanted || !self.session().is_some_and(|session| session.caught_up) {
            return Ok(());
        }
        self.leaves_wanted = false;
        let mut open: std::collections::BTreeMap<(ChainId, OpId), Vec<Digest>> = std::collections::BTreeMap::new();
        for (_, row) in load_all::<WantedRow>(&*store, WANTED_LEAVES, None)? {
            let key = row.place.key();
            if self.session().is_some_and(|session| !session.asked.contains(&(row.removal, key))) {
                open.entry((row.chain, row.removal)).or_default().push(key);
            }
        }
        for ((chain, removal), keys) in open {
            for keys in keys.chunks(MAX_ASKED) {
                let Some(session) = self.session().filter(|session| session.leaves_due < MAX_DUE) else {
                    // The others once these are answered.
                    return Ok(());
                };
                session.leaves_due += 1;
                session.asked.extend(keys.iter().map(|key| (removal, *key)));
                self.send(&Up::AskLeaves { chain, removal, keys: keys.to_vec() })?;
            }
        }
        Ok(())
    }

    fn keep_leaf(
        &mut self,
        removal: &OpId,
        key: Digest,
        leaf: Option<Leaf>,
        store: &mut dyn DeviceStore,
    ) -> Result<Room, Halt> {
        let (place, value) = (leaf_key(removal, &key), vereda_base::encode(&LeafRow { leaf }));
        let wanted = load::<WantedRow>(&*store, WANTED_LEAVES, &place)?;
        // What is wanted is kept: there is no more of it than of what this device holds itself.
        let unbounded = Bound { group: None, whole: Amount { rows: u64::MAX, bytes: u64::MAX } };
        let bound = if wanted.is_some() { unbounded } else { self.config.limits.keep.leaves };
        let room =
            self.keep_within(&Kept { table: LEAVES, group: &removal.0, key: &place, value: &value }, bound, store)?;
        if let Some(row) = wanted {
            self.answer(&place, &row, store)?;
        }
        Ok(room)
    }

    /// Waits for no leaf of a removal that is void.
    pub(super) fn forget_void_wants(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        for (key, row) in load_all::<WantedRow>(&*store, WANTED_LEAVES, None)? {
            let state = self.shelf.find(&*store, &row.chain)?;
            if !state.is_some_and(|state| state.removals().iter().any(|known| known.op == row.removal)) {
                self.answer(&key, &row, store)?;
            }
        }
        Ok(())
    }

    /// A leaf that was wanted is known: what waited for it is taken up, and what is stored there is judged again.
    fn answer(&mut self, key: &[u8], row: &WantedRow, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        store.delete(WANTED_LEAVES, key)?;
        let WantedRow { chain, removal, place } = *row;
        self.woken.insert(Awaited::Leaf { chain, removal, key: place.key() });
        self.unsettled.places.insert(place);
        Ok(())
    }
}

fn leaf_key(removal: &OpId, key: &Digest) -> Vec<u8> {
    [removal.0, key.0].concat()
}
