//! What opening costs: as much as is new, not as much as there is.

use serde_json::json;
use vereda_policy::Role;
use vereda_sync::device::Table;

use super::world::World;

fn gets(world: &World, device: usize) -> usize {
    world.devices[device].store().gets.borrow().values().sum()
}

#[test]
fn opening_a_case_reads_the_chunks_that_came_since_it_was_saved_and_no_others() {
    let mut world = World::new(31);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    let read = |world: &mut World| {
        world.crash(berta);
        world.devices[berta].store().gets.borrow_mut().clear();
        world.devices[berta].show_case(&case).unwrap();
        world.devices[berta].store().gets.borrow().get(&Table("sync_chunks")).copied().unwrap_or_default()
    };
    for round in 0..60 {
        world.edit_case(amina, &case, json!({"set": {"name_first": format!("Samir {round}")}}));
        world.settle();
    }
    let found = read(&mut world);
    assert!(found <= 25, "{found} chunks were read of more than 60");

    world.connect(berta);
    world.edit_case(berta, &case, json!({"set": {"age": 9}}));
    world.settle();
    assert!(world.devices[berta].status().unwrap().settled);
    let digests = world.digests();
    assert_eq!(digests[0], digests[1]);
    let history = world.devices[berta].case_history(&case, Some("name_first")).unwrap();
    assert_eq!(history.len(), 61);
    assert!(history.iter().all(|entry| entry.author.name.as_deref() == Some("Amina")));
}

#[test]
fn opening_a_device_reads_no_row_for_each_document() {
    let mut world = World::new(32);
    let (amina, _) = world.found();
    world.connect(amina);
    let mut opening = |cases: usize| {
        for number in 0..cases {
            world.create_case(amina, json!({"name_first": format!("Samir {number}")}));
        }
        world.connect(amina);
        world.devices[amina].store().gets.borrow_mut().clear();
        world.crash(amina);
        assert!(world.devices[amina].list_cases(None).unwrap().len() >= cases);
        gets(&world, amina)
    };
    let (few, many) = (opening(3), opening(20));
    assert_eq!(few, many, "rows read of 3 cases and of 23");
}
