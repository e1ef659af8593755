//! Listing and removing devices, and what a removed one leaves to look through.

use std::time::Duration;

use serde_json::json;
use vereda_base::DeviceId;
use vereda_client_core::{devices::RemoveDeviceError, identity::InviteState};
use vereda_policy::Role;

use super::world::World;

#[test]
fn a_person_sees_his_devices_and_a_manager_everybodys() {
    let mut world = World::new(110);
    let (amina, team) = world.found();
    world.connect(amina);
    let tablet = world.link(amina, "Tablet");
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let phone = world.link(berta, "Phone");
    world.settle();
    let own = world.devices[tablet].own_devices().unwrap();
    let shown: Vec<_> = own.iter().map(|view| (view.device, view.name.as_deref(), view.is_this, view.kind)).collect();
    let ids = [amina, tablet].map(|device| world.devices[device].id());
    assert_eq!(shown, [(ids[0], None, false, "full"), (ids[1], Some("Tablet"), true, "full")]);
    assert!(own.iter().all(|view| view.since.is_some() && view.until.is_none() && !view.is_removed));
    let now = world.now.wall;
    assert_eq!(world.devices[amina].devices(now).unwrap().len(), 4);
    assert_eq!(world.devices[berta].devices(now).unwrap().len(), 2);
    let found = world.devices[amina].find_device(now, "phone").unwrap().unwrap();
    assert_eq!((found.device, found.person.as_deref()), (world.devices[phone].id(), Some("Berta")));
    let named = world.on(berta, |device, ambient| device.name_device(ambient, &found.device, "Old phone"));
    named.unwrap();
    world.settle();
    assert_eq!(world.devices[amina].device_name(&found.device), Some("Old phone"));
}

#[test]
fn who_may_not_remove_a_device_is_told_so_before_anything_is_queued() {
    let mut world = World::new(111);
    let (amina, team) = world.found();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    world.settle();
    let ids = [amina, berta].map(|device| world.devices[device].id());
    let refused = world.on(berta, |device, ambient| device.remove_device(ambient, &ids[0]));
    assert!(matches!(refused, Err(RemoveDeviceError::NotAllowed)), "{refused:?}");
    let refused = world.on(berta, |device, ambient| device.remove_device(ambient, &ids[1]));
    assert!(matches!(refused, Err(RemoveDeviceError::Last)), "{refused:?}");
    let refused = world.on(berta, |device, ambient| device.remove_device(ambient, &DeviceId([7; 32])));
    assert!(matches!(refused, Err(RemoveDeviceError::Unknown)), "{refused:?}");
    assert_eq!(world.devices[berta].status().unwrap().pending_operations, 0);
}

#[test]
fn a_removed_device_is_out_and_what_it_let_in_is_listed() {
    let mut world = World::new(112);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let tablet = world.link(amina, "Tablet");
    let laptop = world.link(tablet, "Laptop");
    let berta = world.join(tablet, team, Role::Editor, "Berta");
    let open = world.invite(tablet, team, Role::Manager);
    let stolen = world.devices[tablet].id();
    world.on(amina, |device, ambient| device.remove_device(ambient, &stolen)).unwrap();
    world.settle();
    let view = world.devices[amina].own_devices().unwrap().into_iter().find(|view| view.device == stolen).unwrap();
    assert!(view.is_removed && view.until.is_some());
    assert!(!world.devices[berta].has_device(&stolen));
    let again = world.on(amina, |device, ambient| device.remove_device(ambient, &stolen));
    assert!(matches!(again, Err(RemoveDeviceError::Removed)), "{again:?}");
    let made = world.devices[amina].made_by(&stolen, world.now.wall).unwrap();
    let devices: Vec<_> = made.devices.iter().map(|device| (device.device, device.stands)).collect();
    assert_eq!(devices, [(world.devices[laptop].id(), true)]);
    let invites: Vec<_> = made.invites.iter().map(|invite| (invite.state, invite.role)).collect();
    assert_eq!(invites, [(InviteState::Accepted, "editor"), (InviteState::Open, "manager")]);
    assert_eq!(made.invites[0].accepted_by_name.as_deref(), Some("Berta"));
    assert_eq!(open.chain, team);
    world.edit_case(amina, &case, json!({"set": {"name_last": "Hassan"}}));
    for _ in 0..10 {
        world.pass(Duration::from_secs(10));
        world.settle();
    }
    assert_eq!(world.field(berta, &case, "name_last"), json!("Hassan"));
    assert!(world.devices[tablet].show_case(&case).is_err(), "what it could read is gone");
    assert!(
        made.grants.is_empty() && world.devices[amina].made_by(&DeviceId([7; 32]), world.now.wall).unwrap().is_empty()
    );
}

#[test]
fn a_manager_of_the_agency_removes_a_colleagues_device() {
    let mut world = World::new(113);
    let (amina, team) = world.found();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let phone = world.link(berta, "Phone");
    world.settle();
    let lost = world.devices[phone].id();
    world.on(amina, |device, ambient| device.remove_device(ambient, &lost)).unwrap();
    world.settle();
    assert!(!world.devices[berta].has_device(&lost));
    assert!(world.devices[berta].has_device(&world.devices[berta].id()));
}
