//! Keys after somebody left: new ones before the next edit, known to those who stayed and to nobody else.

use std::time::Duration;

use serde_json::json;
use vereda_base::ChainId;
use vereda_client_core::access::{ReferRequest, RevokeRequest};
use vereda_policy::{Body, Role};
use vereda_sync::device::Table;

use super::world::{World, edit};

fn user(world: &World, device: usize) -> ChainId {
    world.devices[device].home().unwrap().0
}

fn revoke(world: &mut World, by: usize, chain: ChainId, whom: usize) {
    let subject = user(world, whom);
    let request = RevokeRequest { chain, subject, successor: None };
    world.on(by, |device, ambient| device.revoke(ambient, request)).unwrap();
    rest(world);
}

/// Lets happen what devices leave to others for a while.
fn rest(world: &mut World) {
    for _ in 0..4 {
        world.settle();
        world.pass(Duration::from_secs(30));
    }
    world.settle();
}

/// Three people in a team, with a case that all of them read.
fn three(seed: u64) -> (World, [usize; 3], ChainId, ChainId) {
    let mut world = World::new(seed);
    let (amina, team) = world.found();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let carlos = world.join(amina, team, Role::Editor, "Carlos");
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    rest(&mut world);
    (world, [amina, berta, carlos], team, case)
}

#[test]
fn after_a_member_left_the_team_and_the_next_edit_are_under_keys_that_he_does_not_get() {
    let (mut world, [amina, berta, carlos], team, case) = three(60);
    assert_eq!(world.field(carlos, &case, "name_first"), json!("Samir"));
    revoke(&mut world, amina, team, carlos);
    let epochs = |world: &World, device: usize, chain: &ChainId| world.devices[device].epochs_of(chain);
    assert_eq!(epochs(&world, amina, &team), (2, 2), "the team rotates at once");
    assert_eq!(epochs(&world, amina, &case).0, 1, "a case only when it is written to");
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira"}}));
    rest(&mut world);
    assert_eq!(epochs(&world, amina, &case), (2, 2));
    for device in [amina, berta] {
        assert_eq!(world.field(device, &case, "name_first"), json!("Samira"), "device {device}");
        assert!(world.devices[device].status().unwrap().settled, "device {device}");
    }
    assert!(world.devices[carlos].show_case(&case).is_err(), "nothing of it is left with him");
}

#[test]
fn who_joins_after_a_rotation_reads_what_was_written_before_it() {
    let (mut world, [amina, berta, carlos], team, case) = three(61);
    revoke(&mut world, amina, team, carlos);
    world.edit_case(berta, &case, json!({"set": {"perpetrator_count": 3}}));
    rest(&mut world);
    let dina = world.join(amina, team, Role::Editor, "Dina");
    rest(&mut world);
    assert_eq!(world.field(dina, &case, "name_first"), json!("Samir"));
    assert_eq!(world.field(dina, &case, "perpetrator_count"), json!(3));
    let digests = world.digests();
    assert_eq!((&digests[amina], &digests[berta]), (&digests[berta], &digests[dina]));
}

#[test]
fn edits_sealed_before_a_removal_was_known_are_sealed_again_as_the_same_chunk() {
    let (mut world, [amina, berta, carlos], team, case) = three(62);
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira"}}));
    revoke(&mut world, amina, team, carlos);
    // She is told of the removal only after she has sent what she sealed under the old key.
    world.connect(berta);
    rest(&mut world);
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samira"));
    assert_eq!(world.devices[berta].explain(&case).unwrap().state, "synced");
    let digests = world.digests();
    assert_eq!(digests[amina], digests[berta]);
}

#[test]
fn what_waits_to_be_sealed_again_goes_to_review_as_it_is_where_its_author_is_put_out_first() {
    let (mut world, [amina, berta, carlos], team, case) = three(67);
    // The relay is told of one removal before her edit, and of her own before she has sealed that again.
    for whom in [carlos, berta] {
        let request = RevokeRequest { chain: team, subject: user(&world, whom), successor: None };
        world.on(amina, |device, ambient| device.revoke(ambient, request)).unwrap();
    }
    let request = edit(json!({"set": {"name_first": "Samira"}}));
    world.on(berta, |device, ambient| device.edit_case(ambient, &case, &request)).unwrap();
    let waits = |world: &World| world.devices[berta].store().memory.committed_rows(Table("sync_reseal")) > 0;
    world.settle_until(waits);
    assert!(waits(&world), "{:?}", world.devices[berta].explain(&case));
    rest(&mut world);
    let found = world.devices[amina].reviews().unwrap();
    let places = found.iter().flat_map(|review| &review.works).flat_map(|work| &work.changes);
    assert_eq!(places.map(|change| change.place.as_str()).collect::<Vec<_>>(), ["name_first"]);
    assert!(world.devices[berta].is_settled(), "{:?}", world.devices[berta].explain(&case));
}

#[test]
fn two_who_begin_the_same_epoch_agree_on_one() {
    let (mut world, [amina, berta, carlos], team, case) = three(63);
    world.cut(berta);
    world.cut(amina);
    let subject = user(&world, carlos);
    let request = RevokeRequest { chain: team, subject, successor: None };
    world.on(amina, |device, ambient| device.revoke(ambient, request)).unwrap();
    world.edit_case(amina, &case, json!({"set": {"name_first": "Samira"}}));
    world.edit_case(berta, &case, json!({"set": {"perpetrator_count": 2}}));
    for device in [amina, berta] {
        world.on(device, |device, ambient| device.go_online(ambient)).unwrap();
    }
    rest(&mut world);
    for device in [amina, berta] {
        assert_eq!(world.field(device, &case, "name_first"), json!("Samira"));
        assert_eq!(world.field(device, &case, "perpetrator_count"), json!(2));
        let status = world.devices[device].status().unwrap();
        assert!(status.settled && status.pending_operations == 0, "{status:?}");
    }
    let (begun, held) = world.devices[berta].epochs_of(&case);
    assert_eq!(begun, held);
}

#[test]
fn a_role_whose_time_has_passed_is_ended_first_and_then_the_key_is_renewed() {
    let (mut world, [amina, berta, _], _, case) = three(64);
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    rest(&mut world);
    let dina = world.join(amina, south, Role::Editor, "Dina");
    rest(&mut world);
    let until = world.now.wall.saturating_add(Duration::from_secs(3_600));
    let request = ReferRequest {
        document: case,
        to: user(&world, dina),
        role: Role::Editor,
        expires: Some(until),
        purpose: None,
        consent: None,
        sections: Vec::new(),
    };
    world.on(amina, |device, ambient| device.refer(ambient, &request)).unwrap();
    rest(&mut world);
    assert_eq!(world.field(dina, &case, "name_first"), json!("Samir"));
    let before = world.ops_of(&case).len();
    world.pass(Duration::from_secs(3_600));
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira"}}));
    rest(&mut world);
    let stated: Vec<&str> = world.ops_of(&case)[before..]
        .iter()
        .map(|op| match &op.body {
            Body::Expire(expire) if expire.subject == user(&world, dina) => "expire",
            Body::Rotate(_) => "rotate",
            _ => "other",
        })
        .collect();
    assert_eq!(stated, ["expire", "rotate"]);
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samira"));
    assert!(world.devices[dina].show_case(&case).is_err(), "nothing of it is left with her");
    for device in [amina, berta] {
        assert!(world.devices[device].status().unwrap().settled, "device {device}");
    }
}

#[test]
fn what_the_relay_refuses_is_asked_for_more_and_more_seldom_and_at_once_when_something_changes() {
    let (mut world, [amina, berta, carlos], team, case) = three(73);
    let before = world.copy_relay();
    revoke(&mut world, amina, team, carlos);
    [amina, berta, carlos].into_iter().for_each(|device| world.cut(device));
    let after = world.copy_relay();
    // A relay that lost the removal refuses what rests on it, and cannot say why.
    world.set_relay_back(before);
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira"}}));
    world.connect(berta);
    let asked = |world: &World| world.devices[berta].store().puts.borrow()[&Table("sync_outbox")];
    let mut by_quarter = Vec::new();
    for _ in 0..8 {
        let known = asked(&world);
        for _ in 0..900 {
            world.pass(Duration::from_secs(1));
            world.settle();
        }
        by_quarter.push(asked(&world) - known);
    }
    assert!(by_quarter[0] > 0, "{by_quarter:?}");
    assert!(by_quarter.iter().sum::<usize>() < 60, "{by_quarter:?}");
    assert!(by_quarter[4..].iter().sum::<usize>() < 12, "{by_quarter:?}");
    // The removal is there again.
    world.cut(berta);
    world.set_relay_back(after);
    world.connect(berta);
    for _ in 0..10 {
        world.pass(Duration::from_secs(1));
        world.settle();
    }
    assert_eq!(world.devices[berta].epochs_of(&case), (2, 2));
    assert!(world.devices[berta].status().unwrap().settled);
}
