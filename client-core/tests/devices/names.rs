//! Names outlast whoever wrote them.

use std::time::Duration;

use vereda_base::{ChainId, Timestamp};
use vereda_client_core::access::{LowerRequest, RevokeRequest};
use vereda_policy::Role;

use super::world::World;

/// Amina founded the agency and its team and manages both; Berta manages the team beside her, Carmen is in it.
struct Agency {
    world: World,
    amina: usize,
    berta: usize,
    carmen: usize,
    north: ChainId,
}

fn agency(seed: u64) -> Agency {
    let mut world = World::new(seed);
    let (amina, north) = world.found();
    world.connect(amina);
    let berta = world.join(amina, north, Role::Manager, "Berta");
    let carmen = world.join(amina, north, Role::Editor, "Carmen");
    world.settle();
    Agency { world, amina, berta, carmen, north }
}

fn user(world: &World, device: usize) -> ChainId {
    world.devices[device].home().unwrap().0
}

/// Names of the agency, the team and the people as a device shows them.
fn names(world: &World, device: usize, chains: &[ChainId]) -> Vec<Option<String>> {
    chains.iter().map(|chain| world.devices[device].name_of(chain).map(str::to_owned)).collect()
}

#[test]
fn names_stay_when_the_manager_who_gave_them_leaves_team_and_agency() {
    let Agency { mut world, amina, berta, carmen, north } = agency(300);
    let (amina_user, agency) = world.devices[amina].home().unwrap();
    let chains = [agency, north, amina_user, user(&world, berta), user(&world, carmen)];
    let successor = user(&world, berta);
    world.on(amina, |device, ambient| device.leave(ambient, &north, None)).unwrap();
    world.settle();
    world.on(amina, |device, ambient| device.leave(ambient, &agency, Some(successor))).unwrap();
    world.settle();
    let dora = world.join(berta, north, Role::Editor, "Dora");
    world.settle();
    let expected = ["Child Aid", "North", "Amina", "Berta", "Carmen"].map(|name| Some(name.to_owned()));
    for device in [berta, carmen, dora] {
        assert_eq!(names(&world, device, &chains), expected, "device {device}");
        world.crash(device);
        world.connect(device);
        assert_eq!(names(&world, device, &chains), expected, "device {device}, started again");
    }
    let south = world.on(berta, |device, ambient| device.create_team(ambient, "South")).unwrap();
    world.settle();
    // Whoever did not end the membership gives those a turn to renew the keys who are likelier to.
    world.pass(Duration::from_secs(300));
    world.settle();
    for device in [berta, carmen] {
        assert_eq!(world.devices[device].name_of(&south), Some("South"), "device {device}");
        assert_eq!(names(&world, device, &[user(&world, dora)]), [Some("Dora".to_owned())], "device {device}");
    }
}

#[test]
fn names_stay_when_the_manager_who_gave_them_is_put_out_or_lowered() {
    let Agency { mut world, amina, berta, carmen, north } = agency(301);
    let (amina_user, agency) = world.devices[amina].home().unwrap();
    let chains = [agency, north];
    let expected = ["Child Aid", "North"].map(|name| Some(name.to_owned()));
    let successor = Some(user(&world, berta));
    let request = RevokeRequest { chain: agency, subject: amina_user, successor };
    world.on(amina, |device, ambient| device.revoke(ambient, request)).unwrap();
    world.settle();
    assert_eq!(names(&world, carmen, &chains), expected);
    let request = LowerRequest { chain: north, subject: amina_user, to: Role::Editor };
    world.on(berta, |device, ambient| device.lower(ambient, request)).unwrap();
    world.settle();
    for device in [amina, berta, carmen] {
        assert_eq!(names(&world, device, &chains), expected, "device {device}");
    }
}

#[test]
fn a_name_dated_to_the_end_of_time_gives_way_to_the_next_whatever_the_clocks_say() {
    let Agency { mut world, amina, berta, .. } = agency(302);
    let tablet = world.link(amina, "Tablet");
    let now = world.now.wall;
    let named = world.devices[tablet].id();
    for (by, wall, name) in [
        (tablet, Timestamp(i64::MAX / 2), "For ever"),
        (amina, now, "Corrected"),
        // By a clock that is late.
        (tablet, Timestamp(0), "Corrected again"),
    ] {
        world.now.wall = wall;
        world.on(by, |device, ambient| device.name_device(ambient, &named, name)).unwrap();
        world.now.wall = now;
        world.settle();
        for device in [amina, tablet, berta] {
            assert_eq!(world.devices[device].device_name(&named), Some(name), "device {device}");
        }
    }
}

#[test]
fn what_a_removed_device_called_devices_of_its_person_gives_way_to_what_another_says() {
    let Agency { mut world, amina, berta, .. } = agency(303);
    let tablet = world.link(amina, "Tablet");
    let stolen = world.link(amina, "Phone");
    world.settle();
    let (named, lost) = (world.devices[tablet].id(), world.devices[stolen].id());
    for (device, name) in [(named, "Mine"), (lost, "Mine as well")] {
        world.on(stolen, |stolen, ambient| stolen.name_device(ambient, &device, name)).unwrap();
    }
    world.settle();
    assert_eq!(world.devices[berta].device_name(&named), Some("Mine"));
    world.on(amina, |device, ambient| device.remove_device(ambient, &lost)).unwrap();
    world.settle();
    for device in [amina, tablet, berta] {
        assert_eq!(world.devices[device].device_name(&named), Some("Tablet"), "device {device}");
        assert_eq!(world.devices[device].device_name(&lost), Some("Mine as well"), "nobody else says another");
    }
}

#[test]
fn a_persons_name_that_only_a_removed_device_wrote_is_said_again_by_another() {
    let Agency { mut world, amina, berta, carmen, .. } = agency(304);
    let tablet = world.link(berta, "Tablet");
    world.settle();
    let (person, lost) = (user(&world, berta), world.devices[berta].id());
    let held = |world: &World| world.devices[amina].store().memory.committed_rows(vereda_sync::device::tables::CHUNKS);
    let before = held(&world);
    world.on(tablet, |device, ambient| device.remove_device(ambient, &lost)).unwrap();
    for _ in 0..6 {
        world.settle();
        world.pass(Duration::from_secs(30));
    }
    for device in [amina, tablet, carmen] {
        assert_eq!(world.devices[device].name_of(&person), Some("Berta"), "device {device}");
    }
    assert_eq!(held(&world), before + 1);
}
