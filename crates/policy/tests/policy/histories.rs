//! Random histories of all bodies, by several people in two agencies: after every operation the crate and the oracle agree.
//!
//! `VEREDA_HISTORIES` says how many, `VEREDA_HISTORY` replays the one of a seed.

mod generate;

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Verified};
use vereda_policy::{
    AppendContext, BodyCode, ChainKind, ChainMap, ChainState, Chains, Cite, Create, DeviceKind, Heads, Op, OpRefusal,
    ReplayedOp, Role, authority, cite_content, content_reliance, epoch_targets, is_stale, membership, op_id,
    op_reliance, reading_devices, role, rotations_due,
};

use crate::{
    journeys::Header,
    oracle::{At, Oracle, Seen},
    world::{Person, START, group_epoch, key, member, wrapped, wrapping_key},
};

const HISTORIES: u64 = 2_000;
const STEPS: usize = 60;

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
    /// Content by a device, as it cited: what it relies on is asked again and again.
    written: Vec<Header>,
    /// How many of each body were taken, and how often content relied on something.
    counts: BTreeMap<BodyCode, usize>,
    relied: usize,
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
            written: vec![],
            counts: BTreeMap::new(),
            relied: 0,
        };
        for seed in 1..6 {
            let key = key(seed);
            let user = world.begin(&key, Create::user([seed; 16], wrapping_key(), group_epoch()));
            world.devices.push(key.clone());
            world.people.push(Person { key, user });
        }
        let people = world.people.clone();
        for (n, founder) in [&people[0], &people[1]].into_iter().enumerate() {
            let members = vec![member(founder.user, Role::Manager)];
            let agency = world.begin(&founder.key, Create::agency([n as u8; 16], members, group_epoch()));
            let mut members = vec![member(people[n + 2].user, Role::Manager), member(people[4].user, Role::Editor)];
            members.sort();
            let team = world.begin(&founder.key, Create::team([n as u8; 16], agency, members, group_epoch()));
            world.groups.extend([agency, team]);
        }
        world
    }

    fn begin(&mut self, key: &DeviceKey, create: Create) -> ChainId {
        let op = vereda_policy::Draft::new(&self.chains, key.device_id(), None).create(wrapped(create)).unwrap();
        ChainId(self.offer(key, op).unwrap().0)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.time)
    }

    /// Signs and appends, as a relay does; the oracle must say the same, and learns what was taken.
    fn offer(&mut self, key: &DeviceKey, op: Op) -> Result<OpId, OpRefusal> {
        self.time += 1;
        let time = self.now();
        let signed = Verified::sign(key, op).unwrap();
        let id = op_id(signed.value());
        let expected = self.oracle.takes(ChainId(id.0), signed.value(), time);
        match self.chains.append(&signed, &AppendContext::relay(time)) {
            Ok(taken) => {
                assert!(expected, "the oracle refuses {:?}", signed.value());
                self.oracle.take(taken.id(), taken.value(), time);
                *self.counts.entry(taken.value().body.code()).or_default() += 1;
                Ok(taken.id())
            }
            Err(refusal) => {
                assert!(!expected, "the oracle takes what is refused as {refusal}: {:?}", signed.value());
                Err(refusal)
            }
        }
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
        for (chain, count) in all {
            if seen.len() < 8 && self.below(3) > 0 {
                let at = if self.below(2) == 0 { count } else { 1 + self.below(count) };
                seen.insert(chain, at);
            }
        }
        seen
    }

    /// Asks both everything there is to ask of a random chain and device.
    fn compare(&mut self) {
        let devices: Vec<DeviceId> = self.devices.iter().map(DeviceKey::device_id).collect();
        let chains: Vec<ChainId> = self.oracle.chains.keys().copied().collect();
        let (device, chain) = (self.draw(&devices), self.draw(&chains));
        let seen = self.draw_seen();
        let cites: Vec<Cite> = seen.iter().map(|(chain, count)| self.cite(chain, *count)).collect();
        let heads = Heads::cited(&self.chains, &cites, None).unwrap();
        let at = At::seen(seen);
        self.agree(device, chain, &at, &heads);
        self.agree(device, chain, &At { lasting: Some(BTreeSet::new()), ..at }, &heads.lasting());
        let now = [None, Some(self.now())][self.below(2)];
        let newest = At { now, ..At::seen(self.oracle.all()) };
        self.agree(device, chain, &newest, &Heads::newest(now));
        self.check_keys(chain, now);
        self.check_rotations(device, chain, now);
        self.write(device, now);
        self.check_reliance();
    }

    fn agree(&self, device: DeviceId, chain: ChainId, at: &At, heads: &Heads) {
        let (view, oracle) = (&self.chains, &self.oracle);
        assert_eq!(membership(view, &device, &chain, heads), oracle.membership(device, chain, at));
        assert_eq!(authority(view, &device, &chain, heads), oracle.authority(device, chain, at));
        assert_eq!(role(view, &device, &chain, heads), oracle.role(device, chain, at));
    }

    /// A fresh key is known to nobody but those who stand.
    fn check_keys(&self, chain: ChainId, now: Option<Timestamp>) {
        let (view, oracle) = (&self.chains, &self.oracle);
        let stale = oracle.is_stale(chain, now);
        assert_eq!(is_stale(view, &chain, now), stale);
        assert_eq!(epoch_targets(view, &chain, now), oracle.targets_due(chain, now));
        let readers = oracle.readers(chain, now);
        assert_eq!(reading_devices(view, &chain, now), readers);
        if stale {
            return;
        }
        let newest = (chain, self.chains.chain(&chain).unwrap().newest_epoch().unwrap().number);
        for device in oracle.devices() {
            let printed = || {
                let kinds =
                    oracle.chains.values().filter_map(|entries| entries.last().unwrap().state.devices.get(&device));
                kinds.into_iter().any(|kind| *kind == DeviceKind::Recovery)
            };
            assert!(!oracle.keys(device).contains(&newest) || readers.contains(&device) || printed());
        }
    }

    /// What is due is stale or a group whose key nobody has, the chain last, and nothing that the device has no key of.
    fn check_rotations(&self, device: DeviceId, chain: ChainId, now: Option<Timestamp>) {
        let due = rotations_due(&self.chains, &device, &chain, now);
        let newest = At { now, ..At::seen(self.oracle.all()) };
        let is_lost = |one: &ChainId| {
            let state = self.oracle.newest(one).unwrap();
            state.kind != ChainKind::Document && !self.oracle.is_held(*one, state.good(), now)
        };
        let is_due = |one: &ChainId| self.oracle.is_stale(*one, now) || is_lost(one);
        for (index, one) in due.iter().enumerate() {
            assert!(is_due(one));
            assert!(*one == chain || self.oracle.membership(device, *one, &newest).is_some());
            // Nothing that comes later is wrapped to by what comes before.
            let members = self.oracle.newest(one).unwrap().members();
            assert!(due[index + 1..].iter().all(|later| !members.contains(later)));
        }
        assert_eq!(due.last() == Some(&chain), is_due(&chain));
    }

    /// Cites what a device would, where it may write, and keeps it.
    fn write(&mut self, device: DeviceId, now: Option<Timestamp>) {
        let Some(document) = (!self.documents.is_empty()).then(|| self.draw(&self.documents.clone())) else { return };
        let newest = At { now, ..At::seen(self.oracle.all()) };
        let cites = cite_content(&self.chains, &device, &document, Role::Editor, now);
        assert_eq!(cites.is_some(), self.oracle.writes(device, document, &newest));
        let Some(mut cites) = cites else { return };
        let head = self.chains.chain(&self.groups[1]).unwrap().head();
        if cites.iter().all(|cite| cite.chain != self.groups[1]) {
            cites.push(Cite { chain: self.groups[1], head });
            cites.sort();
        }
        self.written.push(Header { document, device, epoch: 0, cites });
    }

    /// On what earlier content relies: just so much that it would last but for that, and of several ways the longest.
    fn check_reliance(&mut self) {
        if self.written.is_empty() {
            return;
        }
        let content = self.draw(&self.written.clone());
        let relied = content_reliance(&self.chains, &content).unwrap();
        self.relied += usize::from(!relied.is_empty());
        let seen: Seen = content
            .cites
            .iter()
            .map(|cite| (cite.chain, self.chains.chain(&cite.chain).unwrap().seq_of(&cite.head).unwrap() as usize + 1))
            .collect();
        let writes = |without: BTreeSet<(ChainId, u64)>| {
            let at = At { lasting: Some(without), ..At::seen(seen.clone()) };
            self.oracle.writes(content.device, content.document, &at)
        };
        let named: BTreeSet<(ChainId, u64)> = relied.iter().map(|one| (one.chain, one.seq)).collect();
        assert!(writes(named.clone()), "what is relied on is enough");
        for one in &named {
            assert!(!writes(named.iter().filter(|other| *other != one).copied().collect()), "and all of it is needed");
        }
        let time = |(chain, seq): &(ChainId, u64)| self.oracle.chains[chain][*seq as usize].time;
        if let Some(first) = named.iter().map(time).min() {
            let places =
                self.oracle.chains.iter().flat_map(|(chain, ops)| (0..ops.len() as u64).map(|seq| (*chain, seq)));
            assert!(!writes(places.filter(|place| time(place) > first).collect()), "no way lasted longer");
        }
    }

    fn check_replay(&self) {
        for (chain, ops) in &self.oracle.chains {
            let adopted = self.adopted(*chain);
            let replayed =
                ops.iter().map(|one| ReplayedOp { op: one.op.clone(), time: Some(one.time), is_void: false });
            let again = ChainState::replay(replayed, adopted.as_ref()).unwrap();
            assert_eq!(Some(&again), self.chains.chain(chain).as_deref());
            for entry in ops {
                assert_eq!(op_id(&entry.op), entry.id);
            }
        }
    }

    fn adopted(&self, chain: ChainId) -> Option<vereda_policy::AdoptedDocument> {
        let first = &self.oracle.chains[&chain][0].state;
        if !first.epochs[0].is_foreign {
            return None;
        }
        let holders = first.holds.keys().map(|(_, subject, role)| member(*subject, *role)).collect();
        Some(vereda_policy::AdoptedDocument { document: chain, holders, chunks: Vec::new() })
    }

    /// What every device decides of the newest operation of a chain without the relay's word.
    fn check_op_reliance(&mut self, key: &DeviceKey, op: &Op) {
        let signed = Verified::sign(key, op.clone()).unwrap();
        let relied = op_reliance(&self.chains, &signed, &AppendContext::relay(self.now())).unwrap();
        assert_eq!(relied, [], "what was just taken relies on nothing that has ended");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_histories_lead_where_the_oracle_says() {
    let bases: Vec<World> = (0..4).map(World::found).collect();
    let seeds = match number("VEREDA_HISTORY") {
        Some(seed) => seed..seed + 1,
        None => 0..number("VEREDA_HISTORIES").unwrap_or(HISTORIES),
    };
    let count = seeds.end - seeds.start;
    let (mut taken, mut relied, mut adopted) = (BTreeMap::<BodyCode, usize>::new(), 0, 0);
    for seed in seeds {
        let mut world = bases[(seed % 4) as usize].clone();
        world.rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
        let run = std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                world.step();
                world.compare();
            }
            if seed % 50 == 0 {
                world.check_replay();
            }
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("replay this history with VEREDA_HISTORY={seed}");
            std::panic::resume_unwind(panic);
        }
        adopted += world.oracle.chains.values().filter(|ops| ops[0].state.epochs[0].is_foreign).count();
        world.counts.into_iter().for_each(|(code, count)| *taken.entry(code).or_default() += count);
        relied += world.relied;
    }
    eprintln!("{count} histories: {taken:?}, {adopted} documents adopted, content relied on a removal {relied} times");
    if count >= HISTORIES {
        let of_all = (0..=BodyCode::ERASE.0).all(|code| taken.get(&BodyCode(code)).is_some_and(|taken| *taken > 10));
        assert!(of_all && relied > 100 && adopted > 10, "there is too little of something");
    }
}
