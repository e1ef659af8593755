//! No device can open what its person may not read: from every key that it ever held and every wrap that it was ever sent
//! there is no way to the key of a chunk that was appended after it last read the document.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest};
use vereda_crypto::{
    DocumentEpochKey, GroupEpochSecret, Key32, WrapInfo, commitment, commits_to, context, hash, open_from_group,
    unwrap_secret,
};
use vereda_policy::WrappedKey;
use vereda_protocol::Header;

use super::rebuilt::chunk_key;
use crate::{
    breach::Checker,
    keys::HeldKeys,
    knowledge::Sealing,
    model::{LoggedWrap, Model},
    world::{SentWrap, World},
};

/// Keys by chain and epoch.
type Keys = BTreeMap<(ChainId, u64), Key32>;

/// Tries every device on every chunk.
pub(crate) fn check(world: &mut World) {
    let mut wrong = Vec::new();
    for (who, device, held, wraps_sent) in holders(world) {
        let keys = reach(&world.model, &held, &device, Some(wraps_sent));
        let opened = world.model.cases().into_iter().filter_map(|case| opens(&world.model, &keys, &device, &case));
        wrong.extend(opened.map(|what| format!("device {who} {what}")));
    }
    for what in wrong.into_iter().take(4) {
        world.breach(Checker::Reading, what);
    }
}

/// Lists the devices with all keys that they ever held, those of everybody where keys leak, and the wraps that they were sent.
fn holders(world: &World) -> impl Iterator<Item = (usize, DeviceId, HeldKeys, &BTreeSet<SentWrap>)> {
    world.people.iter().enumerate().filter_map(|(who, person)| {
        let mut held = person.hand.held();
        if world.leaks_to(who) {
            world.people.iter().for_each(|other| other.hand.with_held(|keys| held.take_over(keys)));
        }
        Some((who, person.id?, held, &person.wraps_sent))
    })
}

/// Where the relay lies, and hands whoever is with it every wrap: tries every device on every chunk as it was sealed, sent
/// or not. Denied to a device is what was sealed by one that knew that it does not read the document, unless it read it
/// again later, or came into a group that read it then or later: a group's key opens all that the group could read; or was
/// given that very key by what the sealing device knew nothing of, a grant that it was not told of or another history.
pub(crate) fn check_sealings(world: &mut World) {
    let mut wrong = Vec::new();
    for (who, device, held, _) in holders(world) {
        let models = world.crook.ended.iter().chain([&world.model]);
        let keys: Vec<Keys> = models.map(|model| reach(model, &held, &device, None)).collect();
        for sealing in &world.sealings {
            let header = &sealing.header;
            let later = |chain: &ChainId| {
                let last = world.crook.last_read_ms.get(&(*chain, device));
                last.is_some_and(|last| *last > sealing.at_ms)
            };
            let may = header.device == device
                || sealing.readers.devices.contains(&device)
                || later(&header.document)
                || sealing.is_late
                || sealing.readers.groups.iter().any(later)
                || held_later(world, sealing).any(|group| later(&group))
                || was_given_unknown(world, sealing, &device);
            if !may && keys.iter().any(|keys| is_opened(keys, header)) {
                wrong.push(format!(
                    "device {who} opens chunk {} of {} under epoch {} that device {} sealed at {}.{:03} knowing better",
                    header.seq,
                    header.document,
                    header.epoch,
                    sealing.who,
                    sealing.at_ms / 1_000,
                    sealing.at_ms % 1_000
                ));
            }
        }
    }
    for what in wrong.into_iter().take(4) {
        world.breach(Checker::Reading, what);
    }
}

/// Says whether a device was given the key of a chunk's epoch by what the chunk's author knew nothing of: by some history of
/// the relay it read the document under that very epoch, or came into a group that did, and the author never knew of it as a
/// reader, nor of that group as one that reads the document with it in the group. So he knew of no removal.
fn was_given_unknown(world: &World, sealing: &Sealing, device: &DeviceId) -> bool {
    let Sealing { header, commitment, known, known_groups, .. } = sealing;
    if known.contains(&(header.document, *device)) {
        return false;
    }
    let is_same = |model: &&Model| {
        let epoch = model.epoch(&header.document, header.epoch);
        epoch.zip(*commitment).is_some_and(|(epoch, commitment)| epoch.commitment == commitment)
    };
    let reads = |model: &Model| model.read_since_epoch(&header.document, header.epoch).contains(device);
    let mut groups = world.crook.last_held_ms.keys().filter(|(document, _)| *document == header.document);
    let came_in = |(_, group): &(ChainId, ChainId)| {
        let member = (*group, *device);
        world.crook.last_read_ms.contains_key(&member) && !(known.contains(&member) && known_groups.contains(group))
    };
    world.crook.ended.iter().chain([&world.model]).filter(is_same).any(reads) || groups.any(came_in)
}

fn held_later<'a>(world: &'a World, sealing: &'a Sealing) -> impl Iterator<Item = ChainId> + 'a {
    let held = world.crook.last_held_ms.iter();
    let later = held.filter(|((document, _), last)| *document == sealing.header.document && **last > sealing.at_ms);
    later.map(|((_, group), _)| *group)
}

/// A chunk of a case that a device opens and may not.
fn opens(model: &Model, keys: &Keys, device: &DeviceId, case: &ChainId) -> Option<String> {
    let last = model.last_read.get(&(*case, *device));
    let own = |header: &Header| header.device == *device;
    let denied = model.chunks.get(case)?.iter().find(|logged| {
        // What was taken in stands under the key that it was sealed under: it was read by whoever read that epoch.
        let is_adopted = model.reviewed.contains_key(&logged.header.link());
        let since = if is_adopted { model.epoch_began(case, logged.header.epoch) } else { Some(logged.position) };
        let decided = model.deciders.get(&logged.header.link()).is_some_and(|deciders| deciders.contains(device));
        let may = decided || last.zip(since).is_some_and(|(last, since)| *last >= since);
        !may && !own(&logged.header) && is_opened(keys, &logged.header)
    })?;
    let at = denied.position.0;
    Some(match last {
        Some(last) => format!("opens a chunk at {at} of case {case}, which it read up to {} only", last.0),
        None => format!("opens a chunk at {at} of case {case}, which it never read"),
    })
}

fn is_opened(keys: &Keys, header: &Header) -> bool {
    let Some(key) = keys.get(&(header.document, header.epoch)) else { return false };
    commits_to(&header.commitment, &chunk_key(header, &DocumentEpochKey::from_key(key.clone())))
}

/// All keys that come out of what was held and what was sent: every wrap in the log, where that is not known.
fn reach(model: &Model, held: &HeldKeys, device: &DeviceId, sent: Option<&BTreeSet<SentWrap>>) -> Keys {
    let mut keys = held.keys().clone();
    for (chain, epochs) in &model.epochs {
        for (number, epoch) in (0..).zip(epochs) {
            if let Some(key) = held.next(&epoch.commitment) {
                keys.entry((*chain, number)).or_insert_with(|| key.clone());
            }
        }
    }
    loop {
        let before = keys.len();
        let was_sent = |wrap: &&LoggedWrap| {
            sent.is_none_or(|sent| sent.contains(&(wrap.op, wrap.wrap.recipient, wrap.wrap.recipient_epoch)))
        };
        for wrap in model.wraps.iter().filter(was_sent) {
            let is_previous = wrap.wrap.recipient == Digest(wrap.chain.0);
            let gives = (wrap.chain, if is_previous { wrap.wrap.recipient_epoch } else { wrap.epoch });
            if keys.contains_key(&gives) {
                continue;
            }
            let opened =
                if is_previous { open_previous(&keys, wrap) } else { open_wrap(model, &keys, held, device, wrap) };
            let answers =
                |key: &Key32| model.epoch(&gives.0, gives.1).is_some_and(|epoch| epoch.commitment == commitment(key));
            if let Some(key) = opened.filter(answers) {
                keys.insert(gives, key);
            }
        }
        if keys.len() == before {
            return keys;
        }
    }
}

fn open_wrap(model: &Model, keys: &Keys, held: &HeldKeys, device: &DeviceId, wrap: &LoggedWrap) -> Option<Key32> {
    let LoggedWrap { chain, epoch, wrap, .. } = wrap;
    let info = WrapInfo {
        chain: scope(model, chain, *epoch)?,
        epoch: *epoch,
        recipient: wrap.recipient.0,
        recipient_epoch: wrap.recipient_epoch,
    };
    if wrap.recipient.0 == device.0 {
        let WrappedKey::Hpke(bytes) = &wrap.key else { return None };
        return held.pairs().iter().find_map(|pair| unwrap_secret(pair, &info, bytes).ok());
    }
    let group = ChainId(wrap.recipient.0);
    let secret = GroupEpochSecret::from_key(keys.get(&(group, wrap.recipient_epoch))?.clone());
    let scope = scope(model, &group, wrap.recipient_epoch)?;
    match &wrap.key {
        WrappedKey::Hpke(bytes) => {
            unwrap_secret(&secret.derive_wrap_key_pair(scope, wrap.recipient_epoch), &info, bytes).ok()
        }
        WrappedKey::Group(bytes) => {
            open_from_group(&secret.derive_wrap_key(scope, wrap.recipient_epoch), &info, bytes).ok()
        }
    }
}

/// Opens the key of the epoch before, which lies sealed under a key.
fn open_previous(keys: &Keys, LoggedWrap { chain, epoch, wrap, .. }: &LoggedWrap) -> Option<Key32> {
    let WrappedKey::Group(sealed) = &wrap.key else { return None };
    let key = GroupEpochSecret::from_key(keys.get(&(*chain, *epoch))?.clone());
    let follows = wrap.recipient_epoch;
    let info = WrapInfo { chain: *chain, epoch: *epoch, recipient: chain.0, recipient_epoch: follows };
    open_from_group(&key.derive_previous_key_seal(*chain, *epoch), &info, sealed).ok()
}

/// What an epoch is called in what its keys are bound to.
fn scope(model: &Model, chain: &ChainId, number: u64) -> Option<ChainId> {
    let epoch = model.epoch(chain, number)?;
    let own = [epoch.creator.as_bytes().as_slice(), epoch.commitment.as_bytes()];
    let whole = [chain.as_bytes().as_slice(), epoch.creator.as_bytes(), epoch.commitment.as_bytes()];
    Some(ChainId(hash(context::EPOCH_SCOPE, if number == 0 { &own } else { &whole })))
}
