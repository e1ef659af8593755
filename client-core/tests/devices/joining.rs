//! Founding, inviting, joining, and the keys that follow.

use std::time::Duration;

use serde_json::json;
use vereda_base::OpId;
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    identity::JoinError,
};
use vereda_policy::Role;

use super::world::World;

#[test]
fn a_founder_works_before_the_relay_was_ever_reached() {
    let mut world = World::new(1);
    let (amina, _) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir", "perpetrator_count": 9}));
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samir"));
    assert_eq!(world.devices[amina].show_case(&case).unwrap().sync.state, "saved");
    world.connect(amina);
    let status = world.devices[amina].status().unwrap();
    assert!(status.settled, "{status:?}");
    assert_eq!(status.membership, "member");
    assert_eq!(status.person.as_deref(), Some("Amina"));
    assert_eq!(world.devices[amina].show_case(&case).unwrap().sync.state, "synced");
}

#[test]
fn who_joins_by_a_link_gets_keys_configuration_names_and_cases() {
    let mut world = World::new(2);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    world.settle();
    assert_eq!(world.field(berta, &case, "name_first"), json!("Samir"));
    assert!(world.devices[berta].show_configuration().is_some());
    for device in [amina, berta] {
        let people = world.devices[device].people().unwrap();
        let names: Vec<_> = people.teams[0].people.iter().filter_map(|person| person.name.clone()).collect();
        assert_eq!(names, ["Amina", "Berta"], "device {device}");
        assert_eq!(people.name.as_deref(), Some("Child Aid"));
        assert_eq!(people.teams[0].name.as_deref(), Some("North"));
    }
    let digests = world.digests();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn who_joins_while_no_colleague_is_online_waits_for_the_key() {
    let mut world = World::new(3);
    let (amina, team) = world.found();
    world.connect(amina);
    let link = world.invite(amina, team, Role::Editor);
    world.cut(amina);
    let berta = world.add_device();
    world.on(berta, |device, ambient| device.join(ambient, &link, "Berta")).unwrap();
    world.connect(berta);
    assert_eq!(world.devices[berta].status().unwrap().membership, "waiting_for_key");
    world.connect(amina);
    assert_eq!(world.devices[berta].status().unwrap().membership, "member");
}

#[test]
fn a_colleague_passes_the_key_on_when_the_inviter_stays_away() {
    let mut world = World::new(4);
    let (amina, team) = world.found();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let link = world.invite(amina, team, Role::Editor);
    world.cut(amina);
    let carlos = world.add_device();
    world.on(carlos, |device, ambient| device.join(ambient, &link, "Carlos")).unwrap();
    world.connect(carlos);
    assert_eq!(world.devices[carlos].status().unwrap().membership, "waiting_for_key");
    assert!(world.devices[berta].poll_work().is_some());
    world.pass(Duration::from_secs(60));
    world.settle();
    assert_eq!(world.devices[carlos].status().unwrap().membership, "member");
}

#[test]
fn an_invite_is_good_for_one_person() {
    let mut world = World::new(5);
    let (amina, team) = world.found();
    world.connect(amina);
    let link = world.invite(amina, team, Role::Editor);
    let berta = world.add_device();
    world.on(berta, |device, ambient| device.join(ambient, &link, "Berta")).unwrap();
    world.connect(berta);
    let mallory = world.add_device();
    world.on(mallory, |device, ambient| device.join(ambient, &link, "Mallory")).unwrap();
    world.connect(mallory);
    let status = world.devices[mallory].status().unwrap();
    assert_eq!(status.membership, "pending");
    let reason = status.connection.reason.unwrap();
    assert!(reason.contains("invite is expired or already used"), "{reason}");
}

#[test]
fn whoever_came_with_a_used_invite_comes_in_with_a_new_one() {
    let mut world = World::new(11);
    let (amina, team) = world.found();
    world.connect(amina);
    let used = world.invite(amina, team, Role::Editor);
    let berta = world.add_device();
    world.on(berta, |device, ambient| device.join(ambient, &used, "Berta")).unwrap();
    world.connect(berta);
    let carlos = world.add_device();
    let user = world.on(carlos, |device, ambient| device.join(ambient, &used, "Carlos")).unwrap();
    world.connect(carlos);
    assert_eq!(world.devices[carlos].status().unwrap().membership, "pending");
    world.cut(carlos);
    let fresh = world.invite(amina, team, Role::Editor);
    assert_eq!(world.on(carlos, |device, ambient| device.join(ambient, &fresh, "Carlos")).unwrap(), user);
    world.connect(carlos);
    world.settle();
    let status = world.devices[carlos].status().unwrap();
    assert_eq!(status.membership, "member");
    assert!(status.settled && status.pending_operations == 0, "{status:?}");
}

#[test]
fn a_relay_that_holds_back_what_an_invite_promised_is_told_nothing_and_it_is_said_after_a_restart() {
    let mut world = World::new(8);
    let (amina, team) = world.found();
    world.connect(amina);
    let mut link = world.invite(amina, team, Role::Editor);
    let (_, agency) = world.devices[amina].home().unwrap();
    let head = link.heads.iter_mut().find(|cite| cite.chain == agency).unwrap();
    head.head = OpId([7; 32]);
    let berta = world.add_device();
    world.on(berta, |device, ambient| device.join(ambient, &link, "Berta")).unwrap();
    world.connect(berta);
    let check = |world: &World| {
        let connection = world.devices[berta].status().unwrap().connection;
        let reason = connection.reason.unwrap_or_default();
        assert!(connection.state == "offline" && reason.contains("promised"), "{}: {reason}", connection.state);
        let people = world.devices[amina].people().unwrap();
        let names: Vec<_> = people.teams[0].people.iter().filter_map(|person| person.name.as_deref()).collect();
        assert_eq!(names, ["Amina"], "it entered no name");
    };
    check(&world);
    world.crash(berta);
    check(&world);
    world.connect(berta);
    check(&world);
}

#[test]
fn a_colleague_joins_a_second_team_and_no_team_twice() {
    let mut world = World::new(7);
    let (amina, north) = world.found();
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    world.connect(amina);
    let fields = json!({"name_first": "Samir"});
    let case = world.on(amina, |device, ambient| {
        let answers = PlainEdit { set: serde_json::from_value(fields).unwrap(), ..PlainEdit::default() };
        device.create_case(ambient, &CreateCase { team: Some(north), answers }).unwrap()
    });
    let carmen = world.join(amina, south, Role::Editor, "Carmen");
    world.settle();
    assert!(world.devices[carmen].show_case(&case).is_err());
    let link = world.invite(amina, north, Role::Editor);
    let user = world.on(carmen, |device, ambient| device.join(ambient, &link, "Another name")).unwrap();
    world.settle();
    assert_eq!(world.devices[carmen].home().unwrap().0, user);
    assert_eq!(world.field(carmen, &case, "name_first"), json!("Samir"));
    assert_eq!(world.devices[carmen].people().unwrap().teams.iter().filter(|team| team.is_own).count(), 2);
    assert!(world.devices[carmen].status().unwrap().settled);
    let again = world.on(carmen, |device, ambient| device.join(ambient, &link, "Carmen"));
    assert!(matches!(again, Err(JoinError::Member)), "{again:?}");
}

#[test]
fn people_invited_into_the_agency_read_its_books_and_no_case_of_a_team() {
    let mut world = World::new(6);
    let (amina, _) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let (_, agency) = world.devices[amina].home().unwrap();
    let carlos = world.join(amina, agency, Role::Manager, "Carlos");
    assert_eq!(world.devices[carlos].status().unwrap().membership, "member");
    assert!(world.devices[carlos].show_configuration().is_some());
    assert!(world.devices[carlos].show_case(&case).is_err());
    assert_eq!(world.devices[carlos].list_cases(None).unwrap().len(), 0);
}

/// The device learnt of so many frames before it died; the relay had worked off all that the device had sent.
fn dies_after(world: &mut World, device: usize, frames: usize) {
    world.deafen_after(device, frames);
    world.connect(device);
    world.crash(device);
    world.connect(device);
    world.pass(Duration::from_secs(10));
    world.settle();
    let status = world.devices[device].status().unwrap();
    assert_eq!((status.membership, status.settled), ("member", true), "after {frames} frames: {status:?}");
    assert_eq!((status.pending_operations, status.pending_documents), (0, 0), "after {frames} frames");
}

#[test]
fn a_founder_whose_device_dies_before_it_hears_that_the_agency_stands_goes_on_as_its_founder() {
    for frames in 0..8 {
        let mut world = World::new(40);
        let (amina, team) = world.found();
        let case = world.create_case(amina, json!({"name_first": "Samir"}));
        dies_after(&mut world, amina, frames);
        let berta = world.join(amina, team, Role::Editor, "Berta");
        world.settle();
        assert_eq!(world.field(berta, &case, "name_first"), json!("Samir"), "after {frames} frames");
    }
}

#[test]
fn who_joins_and_dies_before_he_hears_of_it_has_joined_once() {
    for frames in 0..12 {
        let mut world = World::new(41);
        let (amina, team) = world.found();
        let case = world.create_case(amina, json!({"name_first": "Samir"}));
        world.connect(amina);
        let link = world.invite(amina, team, Role::Editor);
        let berta = world.add_device();
        world.on(berta, |device, ambient| device.join(ambient, &link, "Berta")).unwrap();
        dies_after(&mut world, berta, frames);
        assert_eq!(world.field(berta, &case, "name_first"), json!("Samir"), "after {frames} frames");
        let people = world.devices[amina].people().unwrap();
        assert_eq!(people.teams[0].people.len(), 2, "after {frames} frames");
        let digests = world.digests();
        assert_eq!(digests[0], digests[1], "after {frames} frames");
    }
}
