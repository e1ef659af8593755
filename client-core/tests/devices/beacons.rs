//! Beacons: how old is what a device knows, as far as others say.

use std::time::Duration;

use vereda_policy::Role;

use super::world::World;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Days go by with devices online, hour by hour.
fn days_pass(world: &mut World, days: u32) {
    for _ in 0..days * 12 {
        world.pass(Duration::from_secs(2 * 3_600));
        world.settle();
    }
}

#[test]
fn managers_devices_sign_beacons_for_one_another_and_no_more_than_needed() {
    let mut world = World::new(130);
    let (amina, team) = world.found();
    world.connect(amina);
    let (_, agency) = world.devices[amina].home().unwrap();
    let managers: Vec<_> = (0..3).map(|_| world.join(amina, agency, Role::Manager, "Manager")).collect();
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let began = world.devices[berta].beacon(world.now.wall).unwrap();
    assert!(began.device.is_none() && began.days == 0 && !began.is_too_old);
    days_pass(&mut world, 4);
    let now = world.now.wall;
    let signers: Vec<_> = [&[amina], managers.as_slice()].concat();
    for device in signers.iter().chain([&berta]) {
        let beacon = world.devices[*device].beacon(now).unwrap();
        assert!(beacon.days <= 1 && !beacon.is_too_old, "device {device}: {beacon:?}");
        assert!(beacon.device.is_some_and(|by| by != world.devices[*device].id()));
        assert!(world.devices[*device].relay_faults().unwrap().is_empty());
    }
    assert_ne!(world.devices[berta].beacon(now).unwrap().device, Some(world.devices[berta].id()));
}

#[test]
fn whoever_hears_of_no_manager_for_a_week_is_warned() {
    let mut world = World::new(131);
    let (amina, team) = world.found();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    days_pass(&mut world, 3);
    world.cut(amina);
    days_pass(&mut world, 6);
    assert!(!world.devices[berta].beacon(world.now.wall).unwrap().is_too_old);
    world.pass(DAY * 2);
    let beacon = world.devices[berta].beacon(world.now.wall).unwrap();
    assert!(beacon.is_too_old && beacon.days > beacon.limit && beacon.limit == 7, "{beacon:?}");
    // The only Manager's only device has nobody to hear of.
    assert!(!world.devices[amina].beacon(world.now.wall).unwrap().is_too_old);
    world.connect(amina);
    world.settle();
    assert!(!world.devices[berta].beacon(world.now.wall).unwrap().is_too_old);
}

#[test]
fn a_beacon_that_the_relay_refuses_is_not_signed_again_at_once() {
    let mut world = World::new(132);
    let (amina, team) = world.found();
    world.connect(amina);
    let (_, agency) = world.devices[amina].home().unwrap();
    let early = world.copy_relay();
    world.join(amina, team, Role::Editor, "Berta");
    for device in 0..world.devices.len() {
        world.cut(device);
    }
    // The beacon names a head that the relay no longer knows.
    world.set_relay_back(early);
    world.pass(DAY * 2);
    world.connect(amina);
    world.pass(Duration::from_secs(60));
    // Comes to rest, as it would not if it went on.
    world.settle();
    assert!(world.devices[amina].relay_faults().unwrap().iter().any(|fault| fault.fault == "rolled_back"));
    assert!(world.ops_of(&agency).iter().all(|op| !matches!(op.body, vereda_policy::Body::Beacon(_))));
}
