//! Keys where people left and came back, or where nobody is left who has one.

use std::time::Duration;

use serde_json::json;
use vereda_base::ChainId;
use vereda_client_core::{
    access::{ReferRequest, RevokeRequest, WithdrawRequest},
    cases::CreateCase,
};
use vereda_policy::Role;
use vereda_sync::device::Table;

use super::world::{World, edit};

fn user(world: &World, device: usize) -> ChainId {
    world.devices[device].home().unwrap().0
}

fn refer(world: &mut World, by: usize, document: ChainId, to: ChainId) {
    let request = ReferRequest {
        document,
        to,
        role: Role::Editor,
        expires: None,
        purpose: None,
        consent: None,
        sections: vec![],
    };
    world.on(by, |device, ambient| device.refer(ambient, &request)).unwrap();
}

fn withdraw(world: &mut World, by: usize, document: ChainId, from: ChainId) {
    world.on(by, |device, ambient| device.withdraw(ambient, WithdrawRequest { document, from })).unwrap();
}

fn revoke(world: &mut World, by: usize, chain: ChainId, whom: usize) {
    let request = RevokeRequest { chain, subject: user(world, whom), successor: None };
    world.on(by, |device, ambient| device.revoke(ambient, request)).unwrap();
}

/// Lets happen what devices leave to others for a while.
fn rest(world: &mut World) {
    for _ in 0..6 {
        world.settle();
        world.pass(Duration::from_secs(30));
    }
    world.settle();
}

/// Amina founds, Berta is in her team, Carmen in another; the case is Amina's team's.
fn office(seed: u64) -> (World, [usize; 3], ChainId, ChainId) {
    let mut world = World::new(seed);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    let other = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let carmen = world.join(amina, other, Role::Editor, "Carmen");
    rest(&mut world);
    (world, [amina, berta, carmen], team, case)
}

#[test]
fn who_is_referred_a_case_again_is_given_its_key_again() {
    let (mut world, [amina, _, carmen], _, case) = office(170);
    let to = user(&world, carmen);
    refer(&mut world, amina, case, to);
    rest(&mut world);
    assert_eq!(world.field(carmen, &case, "name_first"), json!("Samir"));
    withdraw(&mut world, amina, case, to);
    rest(&mut world);
    assert!(world.devices[carmen].show_case(&case).is_err());
    refer(&mut world, amina, case, to);
    rest(&mut world);
    assert_eq!(world.field(carmen, &case, "name_first"), json!("Samir"));
    world.edit_case(carmen, &case, json!({"set": {"name_first": "Samira"}}));
    rest(&mut world);
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samira"));
}

#[test]
fn a_member_without_a_key_is_found_again_by_a_device_that_was_started_anew() {
    let (mut world, [amina, berta, carmen], team, case) = office(171);
    // Berta's device has the referral and was off before it could pass the key on; the one that began it never does.
    world.cut(berta);
    let to = user(&world, carmen);
    refer(&mut world, amina, case, to);
    world.deafen_after(amina, 0);
    world.settle();
    world.cut(amina);
    world.connect(berta);
    world.settle();
    world.cut(berta);
    world.crash(berta);
    assert!(world.devices[carmen].show_case(&case).is_err());
    world.connect(berta);
    rest(&mut world);
    assert_eq!(world.field(carmen, &case, "name_first"), json!("Samir"));
    assert_eq!(world.devices[berta].epochs_of(&team), (1, 1));
}

#[test]
fn a_team_whose_key_nobody_has_begins_anew_and_others_pass_the_keys_of_its_cases_on() {
    let mut world = World::new(172);
    let (amina, team) = world.found();
    let (_, agency) = world.devices[amina].home().unwrap();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    refer(&mut world, amina, case, agency);
    // The only one who has the team's key leaves before anybody else is in it.
    let link = world.invite(amina, team, Role::Editor);
    revoke(&mut world, amina, team, amina);
    rest(&mut world);
    let berta = world.add_device();
    world.on(berta, |device, ambient| device.join(ambient, &link, "Berta")).unwrap();
    world.connect(berta);
    rest(&mut world);
    assert_eq!(world.devices[berta].epochs_of(&team), (2, 1), "what was before nobody can tell her");
    assert_eq!(world.field(berta, &case, "name_first"), json!("Samir"));
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira"}}));
    rest(&mut world);
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samira"));
}

#[test]
fn the_last_who_has_a_cases_key_keeps_it_though_his_team_was_once_given_it() {
    let mut world = World::new(173);
    let (amina, team) = world.found();
    let (_, agency) = world.devices[amina].home().unwrap();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    world.settle();
    world.cut(amina);
    revoke(&mut world, amina, team, amina);
    refer(&mut world, amina, case, agency);
    world.connect(amina);
    rest(&mut world);
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samir"));
    assert!(world.devices[amina].status().unwrap().settled);
}

#[test]
fn who_is_in_no_group_any_more_reads_and_writes_the_case_that_names_him_and_nothing_else() {
    let (mut world, [amina, berta, _], team, case) = office(174);
    let request = CreateCase { team: Some(team), answers: edit(json!({"set": {"name_first": "Rana"}})) };
    let other = world.on(amina, |device, ambient| device.create_case(ambient, &request)).unwrap();
    let to = user(&world, berta);
    refer(&mut world, amina, case, to);
    rest(&mut world);
    revoke(&mut world, amina, team, berta);
    rest(&mut world);
    assert!(world.devices[berta].show_case(&other).is_err());
    world.edit_case(amina, &case, json!({"set": {"name_first": "Samira"}}));
    rest(&mut world);
    // The agency's configuration is not his: what it says of fields does not help him.
    let text = |text: &str| json!({"type": "text", "value": text});
    assert_eq!(world.field(berta, &case, "name_first"), text("Samira"));
    world.edit_case(berta, &case, json!({"set": {"name_last": text("Haddad")}}));
    rest(&mut world);
    assert_eq!(world.devices[berta].explain(&case).unwrap().state, "synced");
    assert_eq!(world.field(amina, &case, "name_last"), json!("Haddad"));
    withdraw(&mut world, amina, case, to);
    rest(&mut world);
    assert!(world.devices[berta].show_case(&case).is_err());
    refer(&mut world, amina, case, to);
    rest(&mut world);
    assert_eq!(world.field(berta, &case, "name_last"), text("Haddad"), "let in again by that alone");
}

#[test]
fn a_key_that_a_process_did_not_come_to_destroying_is_destroyed_after_the_next_start() {
    let (mut world, [amina, _, carmen], _, case) = office(175);
    let to = user(&world, carmen);
    refer(&mut world, amina, case, to);
    rest(&mut world);
    withdraw(&mut world, amina, case, to);
    world.settle_until(|world| !world.devices[carmen].is_settled());
    world.crash(carmen);
    assert_eq!(world.devices[carmen].epochs_of(&case), (1, 1), "she has applied that it ended, and not come to more");
    world.connect(carmen);
    rest(&mut world);
    assert_eq!(world.devices[carmen].epochs_of(&case), (1, 0));
}

#[test]
fn what_was_erased_and_a_process_did_not_come_to_destroying_is_destroyed_after_the_next_start_also_offline() {
    let (mut world, [amina, berta, _], _, case) = office(176);
    world.settle();
    let rows = |world: &World| world.devices[berta].store().memory.committed_rows(Table("client projections"));
    world.devices[berta].show_case(&case).unwrap();
    let before = rows(&world);
    world.on(amina, |device, ambient| device.erase(ambient, &case)).unwrap();
    world.settle_until(|world| world.devices[berta].explain(&case).is_ok_and(|found| found.state == "erased"));
    world.crash(berta);
    assert_eq!(world.devices[berta].explain(&case).unwrap().state, "erased");
    assert_eq!(
        world.devices[berta].epochs_of(&case),
        (1, 1),
        "she has applied that it was erased, and not come to more"
    );
    world.settle();
    assert_eq!(world.devices[berta].epochs_of(&case), (1, 0));
    assert_eq!(rows(&world), before - 1);
    world.connect(berta);
    assert!(world.devices[berta].is_settled());
}
