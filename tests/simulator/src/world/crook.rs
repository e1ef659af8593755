//! What a relay that lies keeps in mind.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Link, OpId};
use vereda_protocol::{Chunk, Header, PolicyEntry};

use crate::{draw::Draw, model::Model, relay_disk::RelayDisk};

/// A removal that is withheld from some.
#[derive(Debug, Clone)]
pub(crate) struct Withholding {
    pub(crate) chain: ChainId,
    pub(crate) seq: u64,
    pub(crate) from: BTreeSet<usize>,
    /// Until then, in the world's milliseconds.
    pub(crate) until: u64,
    /// With all that follows in its chain.
    pub(crate) is_tail: bool,
}

/// A chunk that the relay hands on although it took it from nobody entitled.
#[derive(Debug, Clone)]
pub(crate) struct Smuggled {
    pub(crate) header: Header,
    pub(crate) chunk: Chunk,
}

/// The relay's intentions, and what came of them.
pub(crate) struct Crook {
    pub(crate) draw: Draw,
    /// It stops lying when faults end.
    pub(crate) ends: bool,
    pub(crate) is_over: bool,
    /// Removals that it decided on, by operation; those that it lets pass have nobody in them.
    pub(crate) withheld: BTreeMap<OpId, Withholding>,
    /// Operations that each device lacks by its doing.
    pub(crate) lacking: BTreeSet<(usize, OpId)>,
    /// Entries held back from each device, in order.
    pub(crate) kept: BTreeMap<usize, Vec<PolicyEntry>>,
    /// People who were put out and go on writing, with the relay's help.
    pub(crate) accomplices: BTreeSet<usize>,
    /// What they wrote since, and what others built on it, in order.
    pub(crate) smuggled: BTreeMap<Link, Smuggled>,
    pub(crate) order: Vec<Link>,
    /// Which of that each person was handed on the present connection.
    pub(crate) told: BTreeSet<(usize, u64, Link)>,
    /// An earlier disk, and what was known of it.
    pub(crate) saved: Option<(RelayDisk, Model)>,
    /// By how much it dates receipts back, in milliseconds.
    pub(crate) dates_back_ms: u64,
    /// It forked, or went back, already.
    pub(crate) is_done: bool,
    /// Histories that ended.
    pub(crate) ended: Vec<Model>,
    /// When each device last read each document, or was in each group, by any history.
    pub(crate) last_read_ms: BTreeMap<(ChainId, DeviceId), u64>,
    /// When each group last held each document.
    pub(crate) last_held_ms: BTreeMap<(ChainId, ChainId), u64>,
    /// What each device was told since it started.
    pub(crate) events: BTreeMap<usize, BTreeSet<&'static str>>,
}

impl Crook {
    /// Draws intentions.
    pub(crate) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 5);
        let ends = draw.chance(600);
        Self {
            draw,
            ends,
            is_over: false,
            withheld: BTreeMap::new(),
            lacking: BTreeSet::new(),
            kept: BTreeMap::new(),
            accomplices: BTreeSet::new(),
            smuggled: BTreeMap::new(),
            order: Vec::new(),
            told: BTreeSet::new(),
            saved: None,
            dates_back_ms: 0,
            is_done: false,
            ended: Vec::new(),
            last_read_ms: BTreeMap::new(),
            last_held_ms: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// Says whether something builds on what was smuggled.
    pub(crate) fn is_tainted(&self, header: &Header) -> bool {
        let before = header.prev.filter(|_| header.seq > 0);
        header.deps.iter().chain(&before).any(|on| self.smuggled.contains_key(on))
    }
}
