//! The power goes at any write or sync: of a device, with its edits above its real store, and of a relay.
//!
//! Killing a process says nothing about the disk: what it wrote is still in the kernel's cache. Here the real stores lie
//! on a file system layer that loses what was not synced, and everything above them is real too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

#[path = "power/world.rs"]
mod world;

use std::collections::BTreeMap;

use rand_core::Rng;
use serde_json::{Value, json};
use vereda_base::ChainId;

use world::World;

/// Fields that edits go to; each edit has a value of its own.
const FIELDS: [&str; 2] = ["name_first", "name_last"];

/// What was acknowledged, by case and field, in order; and the edit that was under way when the power went.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<(ChainId, &'static str), Vec<String>>,
    under_way: Option<(ChainId, &'static str, String)>,
    count: u32,
}

impl Told {
    /// Edits once; false if the power went.
    fn edit(&mut self, world: &mut World, device: usize, case: &ChainId) -> bool {
        let field = FIELDS[self.count as usize % FIELDS.len()];
        self.count += 1;
        let value = format!("value {}", self.count);
        self.under_way = Some((*case, field, value.clone()));
        let done = world.edit_case(device, case, json!({"set": {field: value}}));
        if done {
            self.under_way = None;
            self.acknowledged.entry((*case, field)).or_default().push(value);
        }
        done
    }

    /// Says what of the acknowledged is not there in its order; takes the edit that was under way as done if it is there.
    fn missing(&mut self, world: &mut World, device: usize) -> usize {
        let mut missing = 0;
        if let Some((case, field, value)) = self.under_way.take()
            && history(world, device, &case, field).last() == Some(&json!(value))
        {
            self.acknowledged.entry((case, field)).or_default().push(value);
        }
        for ((case, field), values) in &self.acknowledged {
            let found = history(world, device, case, field);
            let mut rest = found.iter();
            missing += values.iter().filter(|value| !rest.any(|other| other == value.as_str())).count();
        }
        missing
    }
}

fn history(world: &mut World, device: usize, case: &ChainId, field: &str) -> Vec<Value> {
    let Some(device) = &mut world.devices[device].device else { return Vec::new() };
    // A case whose first write did not reach the disk is not there.
    let history = device.case_history(case, Some(field)).unwrap_or_default();
    history.into_iter().map(|entry| entry.value).collect()
}

/// Edits while the device's power goes again and again; says how many acknowledged edits were ever missing.
fn device_under_cuts(seed: u64, cuts: u32, lying: bool) -> usize {
    let mut world = World::new(seed);
    let amina = world.found();
    world.connect(amina);
    let berta = world.join(amina, "Berta");
    let mut told = Told::default();
    let mut missing = 0;
    let case = world.create_case(amina, json!({"name_first": "first"})).unwrap();
    world.settle();
    world.devices[amina].disk.ignore_syncs(lying);
    for _ in 0..cuts {
        let online = !world.rng.next_u32().is_multiple_of(3);
        if online {
            world.connect(amina);
        }
        let operations = u64::from(world.rng.next_u32() % 40);
        world.devices[amina].disk.lose_power_after(operations);
        while told.edit(&mut world, amina, &case) {
            world.settle();
            if world.devices[amina].disk.is_dark() {
                break;
            }
        }
        // Opening writes too: a device that does not come up for lack of power is tried again without a limit.
        if !world.power_up(amina) {
            return missing + 1;
        }
        missing += told.missing(&mut world, amina);
        if missing > 0 {
            return missing;
        }
    }
    world.reconnect();
    assert_eq!(told.missing(&mut world, berta), 0, "seed {seed}: what was acknowledged does not reach the colleague");
    let digests = world.digests();
    assert_eq!(digests[amina], digests[berta], "seed {seed}");
    missing
}

#[test]
fn edits_acknowledged_before_the_power_goes_are_there_afterwards_and_reach_everybody() {
    for seed in 0..16 {
        assert_eq!(device_under_cuts(seed, 12, false), 0, "seed {seed}");
    }
}

#[test]
fn a_device_whose_disk_does_not_sync_is_found_out() {
    assert!((100..116).any(|seed| device_under_cuts(seed, 12, true) > 0));
}

/// Two devices push while the relay's power goes again and again. Says whether what the relay acknowledged, and only
/// that, made a new device equal to both.
fn relay_under_cuts(seed: u64, cuts: u32, lying: bool) -> bool {
    let mut world = World::new(seed);
    let amina = world.found();
    world.connect(amina);
    let berta = world.join(amina, "Berta");
    let cases = [amina, berta].map(|device| world.create_case(device, json!({"name_first": "first"})).unwrap());
    world.settle();
    let mut told = Told::default();
    world.relay_disk.ignore_syncs(lying);
    for _ in 0..cuts {
        let operations = u64::from(world.rng.next_u32() % 40);
        world.relay_disk.lose_power_after(operations);
        let mut turn = 0;
        while !world.relay_disk.is_dark() {
            let (device, case) = [(amina, cases[0]), (berta, cases[1])][turn % 2];
            assert!(told.edit(&mut world, device, &case));
            world.settle();
            turn += 1;
            if turn > 200 {
                // Nothing reaches the relay any more.
                return false;
            }
        }
        if !world.power_up_relay() {
            return false;
        }
        world.reconnect();
        if !world.is_settled(amina) || !world.is_settled(berta) {
            return false;
        }
    }
    world.relay_disk.ignore_syncs(false);
    // Nobody who holds anything is there to send it again.
    let link = world.invite(amina);
    let carlos = world.join_by(&link, "Carlos");
    world.settle();
    let digests = world.digests();
    digests[carlos] == digests[amina] && digests[carlos] == digests[berta] && told.missing(&mut world, carlos) == 0
}

#[test]
fn what_a_relay_acknowledged_before_its_power_goes_is_there_afterwards() {
    for seed in 0..12 {
        assert!(relay_under_cuts(seed, 10, false), "seed {seed}");
    }
}

#[test]
fn a_relay_whose_disk_does_not_sync_is_found_out() {
    assert!((100..116).any(|seed| !relay_under_cuts(seed, 10, true)));
}
