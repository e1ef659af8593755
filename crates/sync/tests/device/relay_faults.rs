//! What speaks against a relay is noticed, kept and told.

use vereda_base::Timestamp;
use vereda_policy::{Beacon, Body, Chains, Cite, Role};
use vereda_protocol::{PolicyEntry, Position};
use vereda_sync::device::{Disconnect, Event, RelayFault};

use crate::{
    rig::Rig,
    world::{World, grant},
};

fn faults(rig: &Rig) -> Vec<RelayFault> {
    rig.machine.relay_faults(&rig.store).unwrap()
}

#[test]
fn a_beacon_that_names_an_unknown_head_tells_that_news_are_withheld_until_they_come() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, team, agency, chipo) =
        (rig.world.amina.key.clone(), rig.world.team, rig.world.agency, rig.world.chipo.user);
    let withheld = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    let head = rig.world.head(&team);
    let nowhere = vereda_base::ChainId([9; 32]);
    let mut heads = vec![Cite { chain: team, head }, Cite { chain: nowhere, head }];
    heads.sort_unstable();
    let beacon = rig.world.append(&amina, &agency, Body::Beacon(Beacon { time: Timestamp(5), heads }));
    rig.policy(&[&beacon], 100);
    assert!(rig.saw(&Event::RelayWithholds { chain: team }));
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
    let mut rig = rig.restart();
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
    rig.connect();
    rig.policy(&[&withheld], 101);
    rig.down(&vereda_protocol::Down::CaughtUp { cursor: Position(101) });
    assert_eq!(faults(&rig), []);
    assert_eq!(rig.machine.chains(&rig.store).chain(&team).unwrap().head(), head);
}

#[test]
fn a_beacon_served_with_all_it_names_speaks_against_nobody() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, team, agency, chipo) =
        (rig.world.amina.key.clone(), rig.world.team, rig.world.agency, rig.world.chipo.user);
    let news = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    let heads = vec![Cite { chain: team, head: rig.world.head(&team) }];
    let beacon = rig.world.append(&amina, &agency, Body::Beacon(Beacon { time: Timestamp(5), heads }));
    rig.policy(&[&news, &beacon], 100);
    assert_eq!(faults(&rig), []);
}

#[test]
fn heads_of_an_invite_that_the_relay_does_not_serve_are_noticed() {
    let mut rig = Rig::caught_up(World::found());
    let (team, head) = (rig.world.team, vereda_base::OpId([7; 32]));
    let known = Cite { chain: rig.world.agency, head: rig.world.head(&rig.world.agency) };
    rig.machine.compare_heads(&mut rig.store, &[Cite { chain: team, head }, known]).unwrap();
    rig.commit();
    assert!(rig.saw(&Event::RelayWithholds { chain: team }));
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
}

#[test]
fn a_receipt_that_somebody_else_was_given_for_another_operation_proves_the_fork() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, case, chipo, bashir) =
        (rig.world.amina.key.clone(), rig.world.case, rig.world.chipo.user, rig.world.bashir.user);
    let mut other = rig.world.clone();
    let ours = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    let PolicyEntry::Op { receipt: theirs, .. } = other.append(&amina, &case, grant(bashir, Role::Reader)) else {
        panic!()
    };
    let PolicyEntry::Op { receipt: same, .. } = ours.clone() else { panic!() };
    rig.policy(&[&ours], 100);
    assert!(!rig.machine.compare_receipt(&mut rig.store, &same).unwrap());
    assert_eq!(faults(&rig), []);
    assert!(rig.machine.compare_receipt(&mut rig.store, &theirs).unwrap());
    rig.commit();
    assert!(rig.saw(&Event::RelayForked { chain: case, seq: 1 }));
    assert_eq!(faults(&rig), [RelayFault::Forked { chain: case, seq: 1 }]);
    assert_eq!(rig.disconnects(), [Disconnect::RelayForked]);
}

#[test]
fn a_log_that_became_shorter_is_kept_in_mind() {
    let mut rig = Rig::new(World::found());
    rig.connect();
    rig.catch_up();
    let told = Position(rig.world.entries.len() as u64);
    rig.lose();
    rig.end = Position(3);
    rig.sleep();
    rig.connect_again();
    assert_eq!(faults(&rig), [RelayFault::LogShorter { end: Position(3), told }]);
}
