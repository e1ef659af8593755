//! The last who had a group's key passed on something else, and left.

use std::time::Duration;

use vereda_adversary::{forge, office::assert_appended, town::Town};
use vereda_base::Digest;
use vereda_client_core::access::RevokeRequest;
use vereda_policy::{Body, Chains, EpochFault, Repair, Role, Target, Wrap, WrappedKey};
use vereda_sync::people::Put;

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
    town.connect(0);
    let own = RevokeRequest { chain: south, subject: holder.user(), successor: None };
    town.on(0, |device, ambient| device.revoke(ambient, own)).unwrap();
    town.pass(Duration::from_secs(60));

    town.connect(chipo);
    town.pass(Duration::from_secs(60));
    let chains = town.chains();
    let state = chains.chain(&south).unwrap();
    assert_eq!(state.standing_members(), [user]);
    assert_eq!(state.epoch(0).unwrap().fault, Some(EpochFault::Wrap));
    let case = town.create_case(chipo, "Ana");
    town.pass(Duration::from_secs(60));
    let link = town.invite(chipo, south, Role::Editor);
    let dayo = town.accept(&link, "Dayo");
    town.pass(Duration::from_secs(60));
    assert_eq!([chipo, dayo].map(|device| town.name(device, &case)), ["Ana"; 2]);
    town.rename(dayo, &case, "Ana D.");
    town.pass(Duration::from_secs(60));
    assert_eq!([chipo, dayo].map(|device| town.name(device, &case)), ["Ana D."; 2]);
    let chains = town.chains();
    let state = chains.chain(&south).unwrap();
    assert_eq!(state.epochs().iter().map(|epoch| epoch.follows).collect::<Vec<_>>(), [None, None]);
    assert_ne!(town.name(0, &case), "Ana D.", "who left reads nothing of it");
}
