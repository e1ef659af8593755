//! Cases on several devices: merging, conflicts, order, crashes, copies.

use serde_json::json;
use vereda_base::Incarnation;
use vereda_policy::Role;

use super::world::World;

fn two() -> (World, usize, usize) {
    let mut world = World::new(11);
    let (amina, team) = world.found();
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    (world, amina, berta)
}

#[test]
fn edits_to_different_fields_merge_and_to_the_same_field_are_a_conflict_until_settled() {
    let (mut world, amina, berta) = two();
    let case = world.create_case(amina, json!({"name_first": "Samir", "perpetrator_count": 9}));
    world.settle();
    for device in [amina, berta] {
        world.cut(device);
    }
    world.edit_case(amina, &case, json!({"set": {"perpetrator_count": 10, "name_first": "Samir A."}}));
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samir B."}}));
    world.connect(amina);
    world.connect(berta);
    let digests = world.digests();
    assert_eq!(digests[amina], digests[berta]);
    assert_eq!(world.field(berta, &case, "perpetrator_count"), json!(10));
    let conflicts = world.devices[amina].conflicts().unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].place, "name_first");
    let mut values: Vec<_> =
        conflicts[0].values.iter().map(|value| (value.author.name.clone().unwrap(), value.value.clone())).collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(values, [("Amina".to_owned(), json!("Samir A.")), ("Berta".to_owned(), json!("Samir B."))]);
    assert_eq!(world.devices[berta].list_cases(None).unwrap()[0].conflicts, 1);

    world
        .on(berta, |device, ambient| device.resolve_conflict(ambient, &case, "name_first", &json!("Samir B.")))
        .unwrap();
    world.settle();
    for device in [amina, berta] {
        assert!(world.devices[device].conflicts().unwrap().is_empty());
        assert_eq!(world.field(device, &case, "name_first"), json!("Samir B."));
    }
}

#[test]
fn a_then_b_then_a_again_stays_in_order_through_crash_and_sync() {
    let (mut world, amina, berta) = two();
    let case = world.create_case(amina, json!({"name_first": "A"}));
    world.settle();
    world.cut(amina);
    world.edit_case(amina, &case, json!({"set": {"name_first": "B"}}));
    world.crash(amina);
    world.edit_case(amina, &case, json!({"set": {"name_first": "A"}}));
    world.crash(amina);
    assert_eq!(world.field(amina, &case, "name_first"), json!("A"));
    world.connect(amina);
    let history = world.devices[berta].case_history(&case, Some("name_first")).unwrap();
    let values: Vec<_> = history.iter().map(|entry| entry.value.clone()).collect();
    assert_eq!(values, [json!("A"), json!("B"), json!("A")]);
    assert!(history.iter().all(|entry| entry.author.name.as_deref() == Some("Amina")));
}

#[test]
fn offline_edits_of_one_case_leave_as_one_chunk() {
    let (mut world, amina, berta) = two();
    let case = world.create_case(amina, json!({"name_first": "A"}));
    world.settle();
    world.cut(amina);
    for age in 1..=20 {
        world.edit_case(amina, &case, json!({"set": {"perpetrator_count": age}}));
    }
    let held = |world: &World, device: usize| {
        world.devices[device].store().memory.committed_rows(vereda_sync::device::tables::CHUNKS)
    };
    let before = held(&world, berta);
    world.connect(amina);
    assert_eq!(held(&world, berta), before + 1);
    assert_eq!(world.field(berta, &case, "perpetrator_count"), json!(20));
}

#[test]
fn what_was_edited_while_online_survives_a_crash_at_any_moment_and_arrives_once() {
    let (mut world, amina, berta) = two();
    let case = world.create_case(amina, json!({"name_first": "A"}));
    for round in 0..6 {
        world.edit_case(amina, &case, json!({"set": {"perpetrator_count": round}, "add": {"notes_written": {"note_text": format!("note {round}")}}}));
        if round % 2 == 0 {
            world.crash(amina);
            world.connect(amina);
        }
        world.settle();
    }
    let digests = world.digests();
    assert_eq!(digests[amina], digests[berta]);
    assert_eq!(world.field(berta, &case, "notes_written").as_array().unwrap().len(), 6);
    assert_eq!(world.field(berta, &case, "perpetrator_count"), json!(5));
}

#[test]
fn a_store_restored_from_a_copy_goes_on_under_a_new_incarnation_with_its_unsent_edits() {
    let (mut world, amina, berta) = two();
    let case = world.create_case(amina, json!({"name_first": "A", "perpetrator_count": 1}));
    world.settle();
    world.cut(amina);
    world.edit_case(amina, &case, json!({"set": {"perpetrator_count": 2}}));
    let mut copy = world.devices[amina].store().clone();
    // The first store goes on and sends; then the copy is put in its place, noticed by the vault.
    world.edit_case(amina, &case, json!({"set": {"name_first": "B"}}));
    world.connect(amina);
    world.cut(amina);
    copy.memory.crash();
    copy.incarnation = Incarnation(77);
    let restored = world.open(copy);
    assert_eq!(world.field(restored, &case, "perpetrator_count"), json!(2));
    world.connect(restored);
    assert!(world.devices[restored].status().unwrap().settled);
    assert_eq!(world.field(restored, &case, "name_first"), json!("B"));
    let digests = world.digests();
    assert_eq!(digests[restored], digests[berta]);
}

#[test]
fn a_copy_put_back_in_place_unnoticed_is_noticed_by_the_relay() {
    let (mut world, amina, berta) = two();
    let case = world.create_case(amina, json!({"name_first": "A", "perpetrator_count": 1}));
    world.settle();
    world.cut(amina);
    world.edit_case(amina, &case, json!({"set": {"perpetrator_count": 2}}));
    let mut copy = world.devices[amina].store().clone();
    world.edit_case(amina, &case, json!({"set": {"name_first": "B"}}));
    world.connect(amina);
    world.cut(amina);
    copy.memory.crash();
    let (incarnation, restored) = (copy.incarnation, world.open(copy));
    world.connect(restored);
    assert_ne!(world.devices[restored].store().incarnation, incarnation);
    assert!(world.devices[restored].status().unwrap().settled);
    assert_eq!(world.field(restored, &case, "name_first"), json!("B"));
    assert_eq!(world.field(restored, &case, "perpetrator_count"), json!(2));
    let digests = world.digests();
    assert_eq!(digests[restored], digests[berta]);
}

#[test]
fn lists_are_rebuilt_from_documents() {
    let (mut world, amina, berta) = two();
    world.create_case(amina, json!({"name_first": "Samir", "perpetrator_count": 9}));
    world.create_case(amina, json!({"name_first": "سارة"}));
    world.settle();
    let titles = |world: &World| {
        let lines = world.devices[berta].list_cases(None).unwrap();
        let mut titles: Vec<_> = lines.into_iter().map(|line| line.title).collect();
        titles.sort();
        titles
    };
    let before = titles(&world);
    assert_eq!(before.len(), 2);
    world.devices[berta].rebuild_lists().unwrap();
    assert!(titles(&world).is_empty());
    world.settle();
    assert_eq!(titles(&world), before);
    let found = world.devices[berta].list_cases(Some("سارة")).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn a_name_is_found_by_whoever_types_it_without_accents_vowel_signs_or_capitals() {
    let (mut world, amina, _) = two();
    world.create_case(amina, json!({"name_first": "Lucía", "name_last": "MUÑOZ"}));
    world.create_case(amina, json!({"name_first": "مُحَمَّد", "name_last": "أحمـــد"}));
    let found = |filter| world.devices[amina].list_cases(Some(filter)).unwrap().len();
    for filter in ["munoz", "Muñoz lucia", "mun\u{303}oz", "محمد", "مـحمد احمد", "أحمد"] {
        assert_eq!(found(filter), 1, "{filter}");
    }
    assert_eq!(["munox", "lucia محمد"].map(found), [0; 2]);
    // What is nothing but signs looks for nothing.
    assert_eq!(["ـ", "\u{301}"].map(found), [2; 2]);
}

#[test]
fn what_breaks_a_rule_of_the_configuration_is_refused_and_changes_nothing() {
    let (mut world, amina, _) = two();
    let case = world.create_case(amina, json!({"name_first": "A", "perpetrator_count": 9}));
    let before = world.devices[amina].case_digest(&case).unwrap();
    for (request, expected) in [
        (json!({"set": {"perpetrator_count": "many"}}), "perpetrator_count"),
        (json!({"set": {"no_such_field": 1}}), "no such field"),
        (json!({"set": {"sex": "neither nor"}}), "sex"),
    ] {
        let edit = super::world::edit(request);
        let error = world.on(amina, |device, ambient| device.edit_case(ambient, &case, &edit)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("neither nor"));
    }
    assert_eq!(world.devices[amina].case_digest(&case).unwrap(), before);
}
