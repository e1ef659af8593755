//! Printed keys.

use serde_json::json;
use vereda_client_core::devices::{RecoveryError, RecoveryKey};
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
