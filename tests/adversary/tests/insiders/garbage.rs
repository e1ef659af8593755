//! The last who had a group's key passed on something else, and left.

use std::time::Duration;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_adversary::{forge, office::assert_appended, town::Town};
use vereda_base::{ChainId, Digest};
use vereda_client_core::access::RevokeRequest;
use vereda_crypto::{GroupEpochSecret, Key32, WrapInfo, wrap};
use vereda_policy::{
    Body, Chains, Epoch, EpochFault, Repair, Role, Rotate, Target, Wrap, WrappedKey, epoch_targets, hash_previous,
};
use vereda_sync::people::{NOW, Person, Put};

use crate::scope;

/// A person leaves a group by himself.
fn leave(town: &mut Town, device: usize, chain: ChainId) {
    let own = RevokeRequest { chain, subject: town.insider(device).user(), successor: None };
    town.on(device, |device, ambient| device.revoke(ambient, own)).unwrap();
    town.pass(Duration::from_secs(60));
}

/// Whoever is left in a group writes, brings somebody in, and both read; the group's epochs follow these.
fn assert_goes_on(town: &mut Town, group: ChainId, left: usize, follows: &[Option<u64>]) {
    let case = town.create_case(left, "Ana");
    town.pass(Duration::from_secs(60));
    let link = town.invite(left, group, Role::Editor);
    let dayo = town.accept(&link, "Dayo");
    town.pass(Duration::from_secs(60));
    assert_eq!([left, dayo].map(|device| town.name(device, &case)), ["Ana"; 2]);
    town.rename(dayo, &case, "Ana D.");
    town.pass(Duration::from_secs(60));
    assert_eq!([left, dayo].map(|device| town.name(device, &case)), ["Ana D."; 2]);
    let chains = town.chains();
    let state = chains.chain(&group).unwrap();
    assert_eq!(state.epochs().iter().map(|epoch| epoch.follows).collect::<Vec<_>>(), follows);
    assert_ne!(town.name(0, &case), "Ana D.", "who left reads nothing of it");
}

#[test]
fn a_group_whose_last_holder_passed_on_garbage_begins_anew_and_all_read_what_is_written_after() {
    let (mut town, _) = Town::found();
    let south = town.on(0, |device, ambient| device.create_team(ambient, "South")).unwrap();
    town.settle();
    let link = town.invite(0, south, Role::Manager);
    town.cut(0);
    let chipo = town.accept(&link, "Chipo");
    town.cut(chipo);
    let user = town.insider(chipo).user();
    let holder = town.insider(0);
    let garbage = Wrap { recipient: Digest(user.0), recipient_epoch: 0, key: WrappedKey::Hpke(vec![7; 1_168]) };
    let (list, wraps) = forge::listed(vec![garbage]);
    let target = Target { recipient: Digest(user.0), epoch: 0 };
    let repair = Repair { epoch: 0, wraps: list, targets: vec![target] };
    assert_appended(&town.put_by_hand(&holder, &Put { wraps, ..holder.draft(south, Body::Repair(repair)) }));
    assert_left_alone_and_heard(&mut town, south, chipo, 0, EpochFault::Wrap);
    assert_goes_on(&mut town, south, chipo, &[None, None]);
}

/// Has the founder leave, and whoever is left alone in the group call an epoch bad.
fn assert_left_alone_and_heard(town: &mut Town, group: ChainId, left: usize, epoch: u64, fault: EpochFault) {
    town.connect(0);
    leave(town, 0, group);
    town.connect(left);
    town.pass(Duration::from_secs(60));
    let chains = town.chains();
    let state = chains.chain(&group).unwrap();
    assert_eq!(state.standing_members(), [town.insider(left).user()]);
    assert_eq!(state.epoch(epoch).unwrap().fault, Some(fault));
}

/// The next epoch of a group as its author makes it, but that it holds garbage in place of the key before.
fn next_epoch_without_way_back(author: &Person, group: ChainId) -> Put {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let state = author.chains.chain(&group).unwrap();
    let (number, follows) = (state.epochs().len() as u64, state.epoch_to_follow().unwrap().number);
    let secret = GroupEpochSecret::from_key(Key32::new([0x61; 32]));
    let committed = secret.commitment();
    let scope = scope(&[group.as_bytes(), author.device().as_bytes(), committed.as_bytes()]);
    let targets = epoch_targets(&author.chains, &group, Some(NOW));
    let mut wraps = Vec::new();
    for (recipient, target) in state.recipients().iter().zip(&targets) {
        let target = target.unwrap();
        let user = author.chains.chain(&ChainId(recipient.0)).unwrap();
        let info = WrapInfo { chain: scope, epoch: number, recipient: recipient.0, recipient_epoch: target };
        let key = user.epoch(target).unwrap().public_key.clone().unwrap();
        let key = WrappedKey::Hpke(wrap(&key, &info, secret.key(), &mut rng).unwrap());
        wraps.push(Wrap { recipient: *recipient, recipient_epoch: target, key });
    }
    let garbage = vec![7; 72];
    let previous = Some(hash_previous(&garbage));
    wraps.push(Wrap { recipient: Digest(group.0), recipient_epoch: follows, key: WrappedKey::Group(garbage) });
    let (list, wraps) = forge::listed(wraps);
    let public_key = Some(secret.derive_wrap_key_pair(scope, number).public().clone());
    let epoch = Epoch { public_key, commitment: committed, wraps: list, previous, targets };
    Put { wraps, ..author.draft(group, Body::Rotate(Rotate { epoch, follows, carries: Vec::new() })) }
}

#[test]
fn a_group_whose_last_holder_passed_on_a_key_that_leads_nowhere_begins_anew_and_all_read_what_is_written_after() {
    let (mut town, _) = Town::found();
    let south = town.on(0, |device, ambient| device.create_team(ambient, "South")).unwrap();
    town.settle();
    let bashir = town.join(south, Role::Editor, "Bashir");
    let link = town.invite(0, south, Role::Manager);
    town.cut(0);
    leave(&mut town, bashir, south);
    let chipo = town.accept(&link, "Chipo");
    town.cut(chipo);
    let holder = town.insider(0);
    assert_appended(&town.put_by_hand(&holder, &next_epoch_without_way_back(&holder, south)));
    assert_left_alone_and_heard(&mut town, south, chipo, 1, EpochFault::Previous);
    assert_goes_on(&mut town, south, chipo, &[None, Some(0), None]);
}
