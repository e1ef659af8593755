//! Random histories of all bodies, by several people in two agencies: after every operation the crate and the oracle agree.
//! In some the relay colludes with those who were removed, and removals name less than there is.
//!
//! `VEREDA_HISTORIES` says how many, `VEREDA_HISTORY` replays the one of a seed:
//! `VEREDA_HISTORIES=100000 cargo test --workspace --test policy random_histories -- --nocapture`.

mod compare;
mod evaluate;
mod frontiers;
mod generate;
mod mutants;
mod tally;
mod tamper;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Verified};
use vereda_policy::{ChainMap, CheckedReceipt, Cite, Create, FrontierTree, Op};

use self::{compare::Written, tally::Tally};
use crate::{
    oracle::{Oracle, Seen},
    world::{Person, START, group_epoch, key, member, wrapped, wrapping_key},
};

const HISTORIES: u64 = 2_000;
/// Steps of a short history.
const STEPS: usize = 30;
/// One history in so many is long: it goes on until so many operations were taken.
const LONG_EVERY: u64 = 10;
const LONG: usize = 150;

/// What both say must be one.
macro_rules! agree {
    ($found:expr, $expected:expr, $($of:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => assert!(
                found == expected,
                "{}: {found:?}, the oracle says {expected:?}: {}",
                super::DISAGREE,
                format!($($of)+)
            ),
        }
    };
}
use agree;

const DISAGREE: &str = "crate and oracle disagree";

/// People, agencies and teams, from which histories go on.
#[derive(Clone)]
pub struct World {
    rng: ChaCha8Rng,
    pub chains: ChainMap,
    pub oracle: Oracle,
    people: Vec<Person>,
    /// Every device, also of nobody.
    devices: Vec<DeviceKey>,
    groups: Vec<ChainId>,
    documents: Vec<ChainId>,
    invites: Vec<(ChainId, OpId)>,
    /// Documents that were begun when their author had no rights any more.
    waiting: Vec<(DeviceKey, Op)>,
    /// Keys of devices that are to be added.
    joining: Vec<DeviceKey>,
    fresh: u32,
    time: i64,
    /// Whether the relay colludes and removals lie.
    lies: bool,
    /// All that was taken, with or without effect, in order.
    arrived: Vec<Arrived>,
    /// The frontiers there are, by root.
    trees: BTreeMap<Digest, FrontierTree>,
    /// Those that named all there was when they were last made.
    honest: BTreeSet<Digest>,
    /// Content by devices, as they cited: what it relies on is asked again and again.
    written: Vec<Written>,
    tally: Tally,
}

/// What the relay handed over.
#[derive(Clone)]
struct Arrived {
    op: Verified<Op>,
    id: OpId,
    time: Timestamp,
    receipt: Option<CheckedReceipt>,
}

impl World {
    fn found(seed: u64) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            chains: ChainMap::new(),
            oracle: Oracle::default(),
            people: vec![],
            devices: vec![key(250)],
            groups: vec![],
            documents: vec![],
            invites: vec![],
            waiting: vec![],
            joining: vec![],
            fresh: 0,
            time: START.0,
            // So that there are receipts for what all histories begin with.
            lies: true,
            arrived: vec![],
            trees: BTreeMap::new(),
            honest: BTreeSet::new(),
            written: vec![],
            tally: Tally::default(),
        };
        for seed in 1..6 {
            let key = key(seed);
            let user = world.begin(&key, Create::user([seed; 16], wrapping_key(), group_epoch()));
            world.devices.push(key.clone());
            world.people.push(Person { key, user });
        }
        let people = world.people.clone();
        for (n, founder) in [&people[0], &people[1]].into_iter().enumerate() {
            let members = vec![member(founder.user, vereda_policy::Role::Manager)];
            let agency = world.begin(&founder.key, Create::agency([n as u8; 16], members, group_epoch()));
            let mut members = vec![
                member(people[n + 2].user, vereda_policy::Role::Manager),
                member(people[4].user, vereda_policy::Role::Editor),
            ];
            members.sort();
            let team = world.begin(&founder.key, Create::team([n as u8; 16], agency, members, group_epoch()));
            world.groups.extend([agency, team]);
        }
        world
    }

    fn begin(&mut self, key: &DeviceKey, create: Create) -> ChainId {
        let op = vereda_policy::Draft::new(&self.chains, key.device_id(), None).create(wrapped(create)).unwrap();
        let id = vereda_policy::chain_of(&op);
        assert!(self.offer(key, op), "what all begins with");
        id
    }

    /// Goes on by a seed.
    fn run(&mut self, seed: u64) {
        self.rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
        self.lies = seed.is_multiple_of(3);
        if seed.is_multiple_of(LONG_EVERY) {
            let end = self.arrived.len() + LONG;
            // Where nobody has rights any more nothing comes: then it is enough.
            for step in 0..8 * LONG {
                if self.arrived.len() >= end {
                    self.tally.long += 1;
                    break;
                }
                self.step();
                if step % 4 == 0 {
                    self.compare();
                }
            }
        } else {
            for step in 0..STEPS {
                self.step();
                if step % 2 == 0 {
                    self.compare();
                }
            }
        }
        if seed.is_multiple_of(50) {
            self.check_replay();
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.time)
    }

    fn key_of(&self, device: DeviceId) -> Option<DeviceKey> {
        self.devices.iter().find(|key| key.device_id() == device).cloned()
    }

    fn below(&mut self, count: usize) -> usize {
        (self.rng.next_u32() as usize) % count
    }

    fn draw<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len());
        from[index].clone()
    }

    fn cite(&self, chain: &ChainId, count: usize) -> Cite {
        Cite { chain: *chain, head: self.oracle.chains[chain][count - 1].id }
    }

    /// Up to eight chains, each at a random head.
    fn draw_seen(&mut self) -> Seen {
        let all: Vec<(ChainId, usize)> = self.oracle.all().into_iter().collect();
        let mut seen = Seen::new();
        let first = self.below(all.len());
        for (chain, count) in all[first..].iter().chain(&all[..first]) {
            if seen.len() < 8 && self.below(3) > 0 {
                let at = if self.below(2) == 0 { *count } else { 1 + self.below(*count) };
                seen.insert(*chain, at);
            }
        }
        seen
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_histories_lead_where_the_oracle_says() {
    let bases: Vec<World> = (0..4).map(World::found).collect();
    let (from, count) = match number("VEREDA_HISTORY") {
        Some(seed) => (seed, 1),
        None => (0, number("VEREDA_HISTORIES").unwrap_or(HISTORIES)),
    };
    let (next, all) = (AtomicU64::new(from), Mutex::new(Tally::default()));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break all.lock().unwrap().add(&tally);
            }
            let mut world = bases[(seed / LONG_EVERY % 4) as usize].clone();
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| world.run(seed))) {
                eprintln!("replay this history with VEREDA_HISTORY={seed}");
                next.store(from + count, Ordering::Relaxed);
                std::panic::resume_unwind(panic);
            }
            world.note_end();
            tally.add(&world.tally);
        }
    };
    std::thread::scope(|scope| [(); 2].map(|()| scope.spawn(work)).map(|thread| thread.join().unwrap()));
    let all = all.into_inner().unwrap();
    eprintln!("{count} histories by seeds from {from} on: {all}");
    if count >= HISTORIES {
        all.check();
    }
}
