//! What a user meets of whose document part does not open: his own work of before he was put out, or the names of others.

use std::time::Duration;

use vereda_adversary::{office::assert_appended, town::Town};
use vereda_base::ChainId;
use vereda_client_core::{access::RevokeRequest, device::IncarnatedStore};
use vereda_policy::{BadRotate, Body, DocumentKind, EpochFault, Grant, Role};
use vereda_sync::people::Person;

use super::hostage::{assert_unforked, chunks_of, give_alarm, refer};
use crate::Lie;

fn revoke(town: &mut Town, chain: ChainId, subject: ChainId) {
    let request = RevokeRequest { chain, subject, successor: None };
    town.on(0, |device, ambient| device.revoke(ambient, request)).unwrap();
    town.pass(Duration::from_secs(60));
}

fn call_bad(town: &mut Town, author: &mut Person, case: ChainId, epoch: u64) {
    author.chains = town.chains();
    let alarm = author.draft(case, Body::BadRotate(BadRotate { epoch, fault: EpochFault::Wrap }));
    assert_appended(&town.put_by_hand(author, &alarm));
}

/// Documents of which a device says that part is not shown.
fn partly_locked(town: &Town, device: usize) -> usize {
    town.devices[device].status().unwrap().partly_locked
}

#[test]
fn who_is_let_in_again_without_the_key_of_his_own_work_goes_on_under_a_new_incarnation() {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let case = town.create_case(0, "Ana");
    let south = town.on(0, |device, ambient| device.create_team(ambient, "South")).unwrap();
    town.settle();
    let carmen = town.join(south, Role::Editor, "Carmen");
    let user = town.insider(carmen).user();
    let manager = town.insider(0);
    town.cut(0);
    let grant = Grant { subject: user, role: Role::Editor, expires: None, sealed_purpose: None };
    assert_appended(&town.put_by_hand(&manager, &manager.draft(team, Body::Grant(grant))));
    town.connect(0);
    town.pass(Duration::from_secs(60));
    // A false alarm has her begin an epoch of her own.
    town.cut(member);
    let mut author = town.insider(member);
    call_bad(&mut town, &mut author, case, 0);
    town.settle();
    town.rename(carmen, &case, "Ana C.");
    town.pass(Duration::from_secs(60));
    assert_eq!(town.name(0, &case), "Ana C.");
    // Its key went to her team alone, which she leaves for another; after another false alarm the next epoch does not hold it.
    revoke(&mut town, team, user);
    assert!(town.devices[carmen].show_case(&case).is_err());
    town.connect(member);
    town.cut(member);
    give_alarm(&mut town, &mut author, member, case, Lie::Nothing);
    town.settle();
    let before = town.devices[carmen].store().incarnation();
    assert_eq!(partly_locked(&town, carmen), 0, "what is closed altogether is not shown in part");

    refer(&mut town, case, user);
    town.pass(Duration::from_secs(600));
    assert_eq!(town.name(carmen, &case), "Ana", "what opens is shown, without her own");
    assert_eq!(town.devices[carmen].explain(&case).unwrap().state, "waiting_for_key");
    assert_eq!([partly_locked(&town, carmen), partly_locked(&town, 0)], [1, 0]);
    let after = town.devices[carmen].store().incarnation();
    assert_ne!(after, before, "her change numbers of before are taken");
    town.rename(carmen, &case, "Ana again");
    town.pass(Duration::from_secs(60));
    town.restart(carmen);
    assert_eq!(town.name(carmen, &case), "Ana again", "after a restart");
    assert_eq!(partly_locked(&town, carmen), 1);
    town.connect(carmen);
    town.pass(Duration::from_secs(60));
    assert_eq!(town.devices[carmen].store().incarnation(), after, "one is enough");
    assert!(chunks_of(&town, &case).iter().any(|header| header.incarnation == after));
    assert_unforked(&town, &case);

    // Whoever holds the key begins the next epoch: with it her own work of before comes back.
    revoke(&mut town, team, author.user());
    town.rename(0, &case, "Ana 0");
    town.pass(Duration::from_secs(600));
    assert_eq!([0, carmen].map(|device| town.name(device, &case)), ["Ana 0"; 2]);
    assert_eq!(partly_locked(&town, carmen), 0);
    assert_eq!(town.devices[carmen].explain(&case).unwrap().state, "synced");
    let history =
        |town: &mut Town, device: usize| town.devices[device].case_history(&case, Some("name_first")).unwrap().len();
    assert_eq!(history(&mut town, carmen), history(&mut town, 0));
    assert_unforked(&town, &case);
}

#[test]
fn a_directory_part_of_which_nobody_can_open_goes_on_naming_who_comes() {
    let (mut town, team) = Town::found();
    let member = town.join(team, Role::Editor, "Bashir");
    let chains = town.chains();
    let is_directory = |kind| kind == Some(DocumentKind::Directory);
    let directory = chains.iter().find(|state| is_directory(state.document_kind())).unwrap().id();
    let below = chunks_of(&town, &directory)[0].link();
    town.cut(member);
    let mut author = town.insider(member);
    give_alarm(&mut town, &mut author, member, directory, Lie::Wrap);
    let garbage = author.chunk(directory, 0, None, &[below], 300);
    town.push_by_hand(&author, &[garbage]);
    town.settle();

    let chipo = town.join(team, Role::Editor, "Chipo");
    town.pass(Duration::from_secs(600));
    let dayo = town.join(team, Role::Editor, "Dayo");
    town.pass(Duration::from_secs(600));
    let case = town.create_case(chipo, "Ana");
    town.rename(dayo, &case, "Ana D.");
    town.pass(Duration::from_secs(60));
    for device in [0, chipo, dayo] {
        let status = town.devices[device].status().unwrap();
        assert_eq!((status.membership, status.partly_locked, status.settled), ("member", 1, true), "device {device}");
        let history = town.devices[device].case_history(&case, Some("name_first")).unwrap();
        let names: Vec<_> = history.into_iter().map(|entry| entry.author.name).collect();
        assert_eq!(names, [Some("Chipo".to_owned()), Some("Dayo".to_owned())], "device {device}");
    }
    town.restart(dayo);
    let status = town.devices[dayo].status().unwrap();
    assert_eq!((status.person.as_deref(), status.partly_locked), (Some("Dayo"), 1), "after a restart");
}
