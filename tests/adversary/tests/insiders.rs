//! Members with real keys who lie about keys, and a former member with all that he could take: against real devices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod insiders {
    mod beacons;
    pub mod crowding;
    mod garbage;
    mod hostage;
    mod passed_over;
}

use std::time::Duration;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_adversary::{
    forge,
    line::header_of,
    office::assert_appended,
    town::{Keys, Town},
};
use vereda_base::{ChainId, Digest};
use vereda_client_core::access::RevokeRequest;
use vereda_crypto::{
    GroupEpochSecret, Key32, WrapInfo, WrapKeyPair, commitment, commits_to, context, hash, open_from_group,
    seal_for_group, unwrap_secret,
};
use vereda_policy::{
    BadRotate, Body, ChainMap, ChainState, Chains, Epoch, EpochFault, EpochState, Role, Rotate, Wrap, WrappedKey,
    epoch_targets, hash_previous,
};
use vereda_protocol::Chunk;
use vereda_sync::{
    people::{NOW, Person, Put},
    relay::store::Entry,
};

/// What a new epoch lies about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Nothing,
    Wrap,
    Commitment,
    Previous,
}

fn scope(parts: &[&[u8]]) -> ChainId {
    ChainId(hash(context::EPOCH_SCOPE, parts))
}

fn scope_of(state: &ChainState, epoch: &EpochState) -> ChainId {
    let (chain, creator) = (state.id(), epoch.creator);
    let parts: [&[u8]; 3] = [chain.as_bytes(), creator.as_bytes(), epoch.commitment.as_bytes()];
    scope(if epoch.number == 0 { &parts[1..] } else { &parts })
}

/// The next epoch of a case, as a member with its keys makes it, but for the lie.
fn next_epoch(author: &Person, keys: &Keys, case: ChainId, lie: Lie) -> Put {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let state = author.chains.chain(&case).unwrap();
    let (number, follows) = (state.epochs().len() as u64, state.epoch_to_follow().unwrap().number);
    let [key, other] = [Key32::new([0x61; 32]), Key32::new([0x62; 32])];
    let committed = commitment(if lie == Lie::Commitment { &other } else { &key });
    let scope = scope(&[case.as_bytes(), author.device().as_bytes(), committed.as_bytes()]);
    let targets = epoch_targets(&author.chains, &case, Some(NOW));
    let mut wraps = Vec::new();
    for (recipient, target) in state.recipients().iter().zip(&targets) {
        // Whoever is stale is given the key by a repair.
        let (group, Some(target)) = (ChainId(recipient.0), *target) else { continue };
        let of_group = author.chains.chain(&group).unwrap();
        let secret = GroupEpochSecret::from_key(keys[&(group, target)].clone());
        let wrap_key = secret.derive_wrap_key(scope_of(&of_group, of_group.epoch(target).unwrap()), target);
        let info = WrapInfo { chain: scope, epoch: number, recipient: recipient.0, recipient_epoch: target };
        let mut sealed = seal_for_group(&wrap_key, &info, &key, &mut rng);
        if lie == Lie::Wrap {
            sealed[40] ^= 1;
        }
        wraps.push(Wrap { recipient: *recipient, recipient_epoch: target, key: WrappedKey::Group(sealed) });
    }
    let seal = GroupEpochSecret::from_key(key).derive_previous_key_seal(case, number);
    let info = WrapInfo { chain: case, epoch: number, recipient: case.0, recipient_epoch: follows };
    let previous = if lie == Lie::Previous { &other } else { &keys[&(case, follows)] };
    let sealed = seal_for_group(&seal, &info, previous, &mut rng);
    let previous = Some(hash_previous(&sealed));
    wraps.push(Wrap { recipient: Digest(case.0), recipient_epoch: follows, key: WrappedKey::Group(sealed) });
    let (list, wraps) = forge::listed(wraps);
    let epoch = Epoch { public_key: None, commitment: committed, wraps: list, previous, targets };
    Put { wraps, ..author.draft(case, Body::Rotate(Rotate { epoch, follows, carries: Vec::new() })) }
}

/// A member begins a new epoch of a case with a lie; what becomes of it, and of the next edit.
fn after(lie: Lie) -> (Option<EpochFault>, bool) {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let colleague = town.join(team, Role::Editor, "Chipo");
    let case = town.create_case(0, "Ana");
    assert!([0, member, colleague].iter().all(|device| town.name(*device, &case) == "Ana"));
    // Whoever wants a new epoch begun calls the present one bad first.
    let mut author = town.insider(member);
    let alarm = author.draft(case, Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap }));
    let keys = town.keys(member);
    town.cut(member);
    assert_appended(&town.put_by_hand(&author, &alarm));
    author.chains = town.chains();
    let number = author.chains.chain(&case).unwrap().epochs().len() as u64;
    assert_appended(&town.put_by_hand(&author, &next_epoch(&author, &keys, case, lie)));
    town.settle();
    for turn in 0..4 {
        town.rename(0, &case, &format!("Ana {turn}"));
        town.pass(Duration::from_secs(60));
    }
    assert_eq!(town.name(colleague, &case), "Ana 3", "{lie:?}: work goes on");
    assert_eq!(town.name(0, &case), "Ana 3");
    let chains = town.chains();
    let state = chains.chain(&case).unwrap();
    let fault = state.epoch(number).unwrap().fault;
    let last = town.entries().into_iter().rev().find_map(chunk_of).unwrap();
    (fault, header_of(&last).epoch == number)
}

fn chunk_of(entry: Entry) -> Option<Chunk> {
    match entry {
        Entry::Chunk(chunk) => Some(chunk),
        _ => None,
    }
}

#[test]
fn an_honest_new_epoch_is_what_everybody_goes_on_with() {
    assert_eq!(after(Lie::Nothing), (None, true));
}

#[test]
fn a_wrap_that_opens_to_nothing_is_called_bad_and_nobody_writes_under_its_epoch() {
    assert_eq!(after(Lie::Wrap), (Some(EpochFault::Wrap), false));
}

#[test]
fn a_commitment_to_another_key_is_called_bad_and_nobody_writes_under_its_epoch() {
    assert_eq!(after(Lie::Commitment), (Some(EpochFault::Commitment), false));
}

#[test]
fn a_previous_key_that_is_another_is_called_bad_and_nobody_writes_under_its_epoch() {
    assert_eq!(after(Lie::Previous), (Some(EpochFault::Previous), false));
}

#[test]
fn a_false_alarm_closes_nothing_to_who_comes_later() {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let case = town.create_case(0, "Ana");
    let mut author = town.insider(member);
    town.cut(member);
    for epoch in 0..2 {
        author.chains = town.chains();
        let alarm = author.draft(case, Body::BadRotate(BadRotate { epoch, fault: EpochFault::Wrap }));
        assert_appended(&town.put_by_hand(&author, &alarm));
        town.settle();
        town.rename(0, &case, &format!("Ana {epoch}"));
        town.pass(Duration::from_secs(60));
    }
    let newcomer = town.join(team, Role::Editor, "Chipo");
    assert_eq!(town.name(newcomer, &case), "Ana 1");
    let chains = town.chains();
    let state = chains.chain(&case).unwrap();
    let newest = state.newest_epoch().unwrap();
    assert_eq!((newest.number, newest.follows, newest.carries.as_slice()), (2, Some(0), [1].as_slice()));
}

/// All keys that somebody comes by who holds these, and has every wrap that there ever was.
fn all_within_reach(mut keys: Keys, own: (&[u8; 32], &WrapKeyPair), chains: &ChainMap, log: &[Entry]) -> Keys {
    loop {
        let before = keys.len();
        for entry in log {
            let Entry::Wrap { chain, op, wrap, .. } = entry else { continue };
            let Some(state) = chains.chain(chain) else { continue };
            let made_by = |epoch: &&EpochState| epoch.wraps.iter().any(|wraps| wraps.op == *op);
            let Some(epoch) = state.epochs().iter().find(made_by) else { continue };
            if let Some((chain, epoch, key)) = opened(&keys, own, chains, (&state, epoch), wrap) {
                keys.insert((chain, epoch), key);
            }
        }
        if keys.len() == before {
            return keys;
        }
    }
}

/// The key that a wrap gives to whoever holds these.
fn opened(
    keys: &Keys,
    (device, pair): (&[u8; 32], &WrapKeyPair),
    chains: &ChainMap,
    (state, epoch): (&ChainState, &EpochState),
    wrap: &Wrap,
) -> Option<(ChainId, u64, Key32)> {
    let (chain, recipient, to) = (state.id(), ChainId(wrap.recipient.0), wrap.recipient_epoch);
    let info = |chain| WrapInfo { chain, epoch: epoch.number, recipient: recipient.0, recipient_epoch: to };
    if recipient == chain {
        let key = GroupEpochSecret::from_key(keys.get(&(chain, epoch.number))?.clone());
        let WrappedKey::Group(sealed) = &wrap.key else { return None };
        let key = open_from_group(&key.derive_previous_key_seal(chain, epoch.number), &info(chain), sealed).ok()?;
        return Some((chain, to, key));
    }
    let info = info(scope_of(state, epoch));
    let key = if recipient.0 == *device {
        let WrappedKey::Hpke(sealed) = &wrap.key else { return None };
        unwrap_secret(pair, &info, sealed).ok()?
    } else {
        let secret = GroupEpochSecret::from_key(keys.get(&(recipient, to))?.clone());
        let group = chains.chain(&recipient)?;
        let scope = scope_of(&group, group.epoch(to)?);
        match &wrap.key {
            WrappedKey::Group(sealed) => open_from_group(&secret.derive_wrap_key(scope, to), &info, sealed).ok()?,
            WrappedKey::Hpke(sealed) => unwrap_secret(&secret.derive_wrap_key_pair(scope, to), &info, sealed).ok()?,
        }
    };
    commits_to(&epoch.commitment, &key).then_some((chain, epoch.number, key))
}

/// Says whether any of these keys opens a chunk.
fn opens(keys: &Keys, chunk: &Chunk) -> bool {
    let header = header_of(chunk);
    keys.values().any(|epoch| commits_to(&header.commitment, &insiders::crowding::chunk_key(epoch, &header)))
}

#[test]
fn a_former_member_with_all_his_keys_and_all_the_traffic_opens_nothing_made_after_his_removal() {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let colleague = town.join(team, Role::Editor, "Chipo");
    let case = town.create_case(0, "Ana");
    town.rename(member, &case, "Ana B.");
    let taken = [member, colleague]
        .map(|device| (town.keys(device), town.insider(device).device().0, town.wrapping_pair(device)));
    let user = town.insider(member).user();
    let before = town.entries().len();
    let revoke = RevokeRequest { chain: team, subject: user, successor: None };
    town.on(0, |device, ambient| device.revoke(ambient, revoke)).unwrap();
    town.settle();
    for turn in 0..4 {
        town.rename(0, &case, &format!("Ana {turn}"));
        town.pass(Duration::from_secs(60));
    }
    let fresh = town.create_case(0, "Berta");
    assert_eq!((town.name(colleague, &case), town.name(colleague, &fresh)), ("Ana 3".into(), "Berta".into()));
    let (chains, log) = (town.chains(), town.entries());
    let chunks = |entries: &[Entry]| -> Vec<Chunk> { entries.iter().cloned().filter_map(chunk_of).collect() };
    let [earlier, later] = [chunks(&log[..before]), chunks(&log[before..])];
    let of_cases = |chunks: &[Chunk]| -> Vec<Chunk> {
        chunks.iter().filter(|chunk| [case, fresh].contains(&header_of(chunk).document)).cloned().collect()
    };
    let (earlier, later) = (of_cases(&earlier), of_cases(&later));
    assert!(earlier.len() >= 2 && later.len() >= 3, "{} and {}", earlier.len(), later.len());
    let [theirs, honest] = taken.map(|(keys, device, pair)| all_within_reach(keys, (&device, &pair), &chains, &log));
    assert!(earlier.iter().all(|chunk| opens(&theirs, chunk)), "what he could read he can read");
    assert!(!later.iter().any(|chunk| opens(&theirs, chunk)), "what came later he cannot");
    assert!(later.iter().all(|chunk| opens(&honest, chunk)), "whoever stayed can");
    assert_ne!(town.name(member, &case), "Ana 3");
}
