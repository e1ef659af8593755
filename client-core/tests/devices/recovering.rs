//! Printed keys.

use std::time::Duration;

use serde_json::json;
use vereda_client_core::devices::{RecoveryError, RecoveryKey, RecoverySheet};
use vereda_policy::Role;

use super::world::World;

#[test]
fn a_recovery_key_is_a_restricted_device_and_is_stored_nowhere() {
    let mut world = World::new(120);
    let (amina, _) = world.found();
    let refused = world.on(amina, |device, ambient| device.make_recovery_key(ambient));
    assert!(matches!(refused, Err(RecoveryError::NotMember)), "{refused:?}");
    world.connect(amina);
    let sheet = world.on(amina, |device, ambient| device.make_recovery_key(ambient)).unwrap();
    world.settle();
    let devices = world.devices[amina].own_devices().unwrap();
    let kinds: Vec<_> = devices.iter().map(|view| view.kind).collect();
    assert_eq!(kinds, ["full", "recovery"]);
    let status = world.devices[amina].status().unwrap();
    assert!(status.settled && status.pending_operations == 0, "{status:?}");
    let text = sheet.key.expose().expose().clone();
    assert!(text.parse::<RecoveryKey>().unwrap() == sheet.key);
    let stored = format!("{:?}", world.devices[amina].store().memory);
    assert!(!stored.contains(&text) && !format!("{sheet:?}").contains(&text));
}

#[test]
fn a_recovery_link_to_another_relay_or_a_vault_in_use_is_refused() {
    let mut world = World::new(121);
    let (amina, team) = world.found();
    world.connect(amina);
    let sheet = world.on(amina, |device, ambient| device.make_recovery_key(ambient)).unwrap();
    world.settle();
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let taken = world.on(berta, |device, ambient| device.begin_recovery(ambient, &sheet.link, &sheet.key).map(|_| ()));
    assert!(matches!(taken, Err(RecoveryError::Taken)), "{taken:?}");
    let phone = world.add_device();
    let of_key = world.on(phone, |device, ambient| device.begin_recovery(ambient, &sheet.link, &sheet.key)).unwrap();
    // The relay was not reached: nothing is in, and the vault belongs to nobody.
    let early = world.on(phone, |device, _| device.finish_recovery(&sheet.link, &of_key, "Phone"));
    assert!(matches!(early, Err(RecoveryError::NotIn)), "{early:?}");
    assert!(world.devices[phone].home().is_none());
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samir"));
}

/// Brings a new vault in with a recovery key: drives the key's own device until it is done.
fn recover(world: &mut World, sheet: &RecoverySheet, name: &str) -> Result<usize, RecoveryError> {
    let new = world.add_device();
    let mut of_key = world.on(new, |device, ambient| device.begin_recovery(ambient, &sheet.link, &sheet.key))?;
    let id = world.devices[new].id();
    world.drive(&mut of_key, |device| device.is_done(&id));
    world.on(new, |device, _| device.finish_recovery(&sheet.link, &of_key, name))?;
    world.connect(new);
    world.settle();
    Ok(new)
}

#[test]
fn whoever_lost_all_devices_comes_back_with_the_printed_key_and_removes_the_lost_one() {
    let mut world = World::new(122);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let sheet = world.on(amina, |device, ambient| device.make_recovery_key(ambient)).unwrap();
    world.settle();
    world.cut(amina);
    let phone = recover(&mut world, &sheet, "Phone").unwrap();
    let status = world.devices[phone].status().unwrap();
    assert_eq!((status.membership, status.person.as_deref()), ("member", Some("Amina")), "{status:?}");
    assert_eq!(world.field(phone, &case, "name_first"), json!("Samir"));
    let lost = world.devices[amina].id();
    world.on(phone, |device, ambient| device.remove_device(ambient, &lost)).unwrap();
    world.settle();
    world.edit_case(phone, &case, json!({"set": {"name_last": "Hassan"}}));
    // New keys come in turns: of the person, of team and agency, of the case.
    for _ in 0..10 {
        world.pass(Duration::from_secs(10));
        world.settle();
    }
    assert_eq!(world.field(berta, &case, "name_last"), json!("Hassan"));
    let kinds: Vec<_> = world.devices[berta].status().unwrap().relay_faults;
    assert!(kinds.is_empty(), "{kinds:?}");
    let own = world.devices[phone].own_devices().unwrap();
    let own: Vec<_> = own.iter().map(|view| (view.kind, view.is_removed)).collect();
    assert_eq!(own, [("full", true), ("recovery", false), ("full", false)]);
}

#[test]
fn a_removed_recovery_key_brings_nobody_in() {
    let mut world = World::new(123);
    let (amina, _) = world.found();
    world.connect(amina);
    let sheet = world.on(amina, |device, ambient| device.make_recovery_key(ambient)).unwrap();
    world.settle();
    world.on(amina, |device, ambient| device.remove_device(ambient, &sheet.key.device())).unwrap();
    world.settle();
    let refused = recover(&mut world, &sheet, "Phone");
    assert!(matches!(refused, Err(RecoveryError::NotIn)), "{refused:?}");
    assert_eq!(world.devices[amina].own_devices().unwrap().len(), 2);
}

#[test]
fn recovering_that_broke_off_is_begun_again() {
    let mut world = World::new(124);
    let (amina, _) = world.found();
    world.connect(amina);
    let sheet = world.on(amina, |device, ambient| device.make_recovery_key(ambient)).unwrap();
    world.settle();
    let phone = world.add_device();
    let id = world.devices[phone].id();
    let mut of_key =
        world.on(phone, |device, ambient| device.begin_recovery(ambient, &sheet.link, &sheet.key)).unwrap();
    world.drive(&mut of_key, |device| device.is_done(&id));
    // The process died before it kept anything.
    world.crash(phone);
    let mut of_key =
        world.on(phone, |device, ambient| device.begin_recovery(ambient, &sheet.link, &sheet.key)).unwrap();
    world.drive(&mut of_key, |device| device.is_done(&id));
    world.on(phone, |device, _| device.finish_recovery(&sheet.link, &of_key, "Phone")).unwrap();
    world.connect(phone);
    world.settle();
    assert_eq!(world.devices[phone].status().unwrap().membership, "member");
    assert_eq!(world.devices[amina].own_devices().unwrap().len(), 3);
}
