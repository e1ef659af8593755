//! How often documents are read and written while devices work: as often as there is something new, whatever the number
//! of documents.

use serde_json::json;
use vereda_base::ChainId;
use vereda_policy::Role;
use vereda_records::{RecordType, starter::child_protection};
use vereda_sync::device::Table;

use super::world::World;

/// More than a device keeps in memory.
const CASES: usize = 60;
/// The configuration and the directory.
const BOOKS: u64 = 2;

fn with_cases(seed: u64, cases: usize) -> (World, usize, ChainId, Vec<ChainId>) {
    let mut world = World::new(seed);
    let (amina, team) = world.found();
    world.connect(amina);
    let create = |number| world.create_case(amina, json!({"name_first": format!("Samir {number}"), "age": 9}));
    let cases = (0..cases).map(create).collect();
    world.settle();
    (world, amina, team, cases)
}

fn puts(world: &World, device: usize, table: &'static str) -> usize {
    world.devices[device].store().puts.borrow().get(&Table(table)).copied().unwrap_or_default()
}

#[test]
fn starting_and_connecting_again_reads_no_document_but_the_books() {
    let (mut world, amina, team, _) = with_cases(41, 6);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    for device in [amina, berta] {
        world.crash(device);
        world.connect(device);
        world.cut(device);
        world.connect(device);
        assert!(world.devices[device].status().unwrap().settled);
        assert_eq!(world.devices[device].documents_read(), BOOKS);
        assert_eq!(world.devices[device].list_cases(None).unwrap().len(), 6);
    }
}

#[test]
fn lines_show_the_columns_of_the_newest_configuration_and_are_made_anew_once() {
    let (mut world, amina, team, cases) = with_cases(42, 6);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let titles = |world: &World, device: usize| -> Vec<String> {
        world.devices[device].list_cases(None).unwrap().into_iter().map(|line| line.title).collect()
    };
    assert!(titles(&world, berta).iter().all(|title| title.starts_with("Samir")));
    let mut configuration = child_protection().clone();
    let list = configuration.lists.iter_mut().find(|list| list.record_type == RecordType::Case).unwrap();
    list.title = vec!["name_last".into()];
    for case in &cases {
        world.edit_case(amina, case, json!({"set": {"name_last": "Saleh"}}));
    }
    world.settle();
    world.cut(berta);
    world.on(amina, |device, ambient| device.apply_configuration(ambient, configuration)).unwrap();
    world.settle();
    assert_eq!(titles(&world, amina), vec!["Saleh"; 6]);
    // The device that was away takes the new columns in and dies before it has made all lines anew.
    world.on(berta, |device, ambient| device.go_online(ambient)).unwrap();
    world.settle_until(|world| titles(world, berta).contains(&"Saleh".to_owned()));
    world.crash(berta);
    world.settle();
    assert_eq!(titles(&world, berta), vec!["Saleh"; 6]);
    world.crash(berta);
    world.connect(berta);
    assert_eq!(world.devices[berta].documents_read(), BOOKS);
}

#[test]
fn meeting_again_reads_each_document_twice_at_most_and_own_edits_leave_first() {
    let (mut world, amina, team, cases) = with_cases(43, CASES);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    for device in [amina, berta] {
        world.cut(device);
        for case in &cases {
            world.edit_case(device, case, json!({"set": {"name_first": format!("of {device}")}}));
        }
    }
    let before: Vec<u64> = world.devices.iter().map(|device| device.documents_read()).collect();
    let lines = puts(&world, berta, "client projections");
    world.unsealed_at_news = 0;
    world.connect(amina);
    world.connect(berta);
    assert_eq!(world.unsealed_at_news, 0, "own edits wait while others' are taken in");
    for (device, before) in before.into_iter().enumerate() {
        let read = world.devices[device].documents_read() - before;
        assert!(read <= 2 * CASES as u64, "{read} documents read of {CASES}");
    }
    // Once what was sealed here is noted, once what others wrote is shown.
    assert!(puts(&world, berta, "client projections") - lines <= 2 * CASES);
    let digests = world.digests();
    assert_eq!(digests[amina], digests[berta]);
}

#[test]
fn a_new_device_reads_saves_and_lists_each_document_once() {
    let (mut world, amina, team, cases) = with_cases(44, CASES);
    for case in &cases {
        world.edit_case(amina, case, json!({"set": {"age": 10}}));
        world.settle();
    }
    let berta = world.join(amina, team, Role::Editor, "Berta");
    assert_eq!(world.devices[berta].list_cases(None).unwrap().len(), CASES);
    let documents = CASES + BOOKS as usize;
    let read = world.devices[berta].documents_read();
    let (saved, lines) = (puts(&world, berta, "client snapshots"), puts(&world, berta, "client projections"));
    // The directory grows while the device joins.
    assert!(read <= documents as u64 + 2, "{read} documents read of {documents}");
    assert!(saved <= documents + 2, "{saved} replicas saved of {documents}");
    assert!(lines <= documents + 4, "{lines} lines written of {documents}");
}
