//! Erasing a case with its sections, read by whoever erases or not.

use serde_json::json;
use vereda_base::ChainId;
use vereda_client_core::{
    access::{DecideError, EraseError, Erasure, Hindrance, ReferRequest, WhyLeft},
    sections::{CreateSection, Noted},
};
use vereda_policy::{Member, Role};

use super::world::{Team, World, edit, team};

fn begin(world: &mut World, device: usize, case: ChainId, noted: Noted, members: Vec<Member>) -> ChainId {
    let answers = edit(json!({"set": {"name_last": "Sami"}}));
    let request = CreateSection { case, title: "Health".into(), members, noted, answers };
    let section = world.on(device, |device, ambient| device.create_section(ambient, &request)).unwrap();
    world.settle();
    section
}

fn erase(world: &mut World, device: usize, document: &ChainId) -> Result<Erasure, EraseError> {
    let erased = world.on(device, |device, ambient| device.erase(ambient, document));
    world.settle();
    erased
}

fn ids(erasure: &Erasure) -> Vec<ChainId> {
    erasure.erased.iter().map(|subject| subject.id).collect()
}

fn is_refused(erased: &Result<Erasure, EraseError>) -> bool {
    matches!(erased, Err(EraseError::Decide(DecideError::Hindered(Hindrance::NotManager { .. }))))
}

fn assert_gone(world: &mut World, documents: &[ChainId]) {
    for device in 0..world.devices.len() {
        for document in documents {
            assert!(world.devices[device].show_case(document).is_err(), "device {device} shows {document}");
            assert_eq!(world.devices[device].epochs_of(document).1, 0, "device {device} keeps a key of {document}");
        }
    }
}

#[test]
fn a_section_that_an_editor_begins_for_the_managers_team_is_erased_with_its_case() {
    let Team { mut world, amina, berta, team, case } = team(940);
    let readers = vec![Member { subject: team, role: Role::Reader }];
    let section = begin(&mut world, berta, case, Noted::Nothing, readers);
    assert!(world.devices[amina].show_section(&section).is_ok(), "she reads it and has no Manager's role in it");
    let erasure = erase(&mut world, amina, &case).unwrap();
    assert_eq!((ids(&erasure), erasure.left, erasure.unplaced), (vec![section, case], vec![], vec![]));
    assert_gone(&mut world, &[section, case]);
}

#[test]
fn a_section_that_an_editor_keeps_closed_is_erased_with_its_case_where_the_case_tells_of_it() {
    let Team { mut world, amina, berta, case, .. } = team(941);
    let section = begin(&mut world, berta, case, Noted::Title, Vec::new());
    assert!(world.devices[amina].show_section(&section).is_err());
    let erasure = erase(&mut world, amina, &case).unwrap();
    assert_eq!((ids(&erasure), erasure.left, erasure.unplaced), (vec![section, case], vec![], vec![]));
    assert_gone(&mut world, &[section, case]);
}

#[test]
fn a_closed_section_of_which_its_case_does_not_tell_is_listed_and_erased_by_itself() {
    let Team { mut world, amina, berta, team, case } = team(942);
    let section = begin(&mut world, berta, case, Noted::Nothing, Vec::new());
    let erasure = erase(&mut world, amina, &case).unwrap();
    assert_eq!((ids(&erasure), &erasure.left), (vec![case], &vec![]));
    let unplaced: Vec<_> = erasure.unplaced.iter().map(|left| left.section.id).collect();
    let erasers: Vec<_> = erasure.unplaced[0].erasable_by.iter().map(|subject| subject.id).collect();
    assert_eq!((unplaced, erasers), (vec![section], vec![team]));
    assert!(world.devices[berta].show_section(&section).is_ok(), "it stays with whoever holds it");
    assert!(is_refused(&erase(&mut world, berta, &section)), "an Editor erases nothing");
    assert_eq!(ids(&erase(&mut world, amina, &section).unwrap()), [section]);
    assert_gone(&mut world, &[section, case]);
}

#[test]
fn a_section_that_another_team_keeps_is_left_and_who_can_erase_it_is_said() {
    let Team { mut world, amina, berta, team, case } = team(943);
    let readers = vec![Member { subject: team, role: Role::Reader }];
    let section = begin(&mut world, berta, case, Noted::Title, readers);
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    world.settle();
    let carmen = world.join(amina, south, Role::Editor, "Carmen");
    let (carmen_user, _) = world.devices[carmen].home().unwrap();
    // Carmen is Manager of the case by a referral, which takes her nowhere in its section.
    let request = ReferRequest {
        document: case,
        to: carmen_user,
        role: Role::Manager,
        expires: None,
        purpose: None,
        consent: None,
        sections: Vec::new(),
    };
    world.on(amina, |device, ambient| device.refer(ambient, &request)).unwrap();
    world.settle();
    let read =
        begin(&mut world, amina, case, Noted::Nothing, vec![Member { subject: carmen_user, role: Role::Reader }]);
    let (amina_user, _) = world.devices[amina].home().unwrap();
    let erasure = erase(&mut world, carmen, &case).unwrap();
    assert_eq!(ids(&erasure), [case]);
    let left: Vec<_> = erasure.left.iter().map(|left| (left.section.id, left.why)).collect();
    assert_eq!(left, [(read, WhyLeft::NotAllowed), (section, WhyLeft::Unknown)], "of one she is told no more");
    assert!(erasure.left.iter().all(|left| left.section.name.as_deref() == Some("Health")));
    let erasers = |left: usize| erasure.left[left].erasable_by.iter().map(|subject| subject.id).collect::<Vec<_>>();
    assert_eq!((erasers(0), erasers(1)), (vec![team, amina_user], vec![team]));
    assert_gone(&mut world, &[case]);
    assert!(world.devices[amina].show_section(&section).is_ok());
    assert_eq!(ids(&erase(&mut world, amina, &section).unwrap()), [section]);
}

#[test]
fn whoever_is_let_into_a_section_only_does_not_erase_its_case() {
    let Team { mut world, amina, berta: _, case, .. } = team(944);
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    world.settle();
    let carmen = world.join(amina, south, Role::Editor, "Carmen");
    let (carmen_user, _) = world.devices[carmen].home().unwrap();
    let section =
        begin(&mut world, amina, case, Noted::Title, vec![Member { subject: carmen_user, role: Role::Manager }]);
    assert!(world.devices[carmen].show_section(&section).is_ok());
    let erased = erase(&mut world, carmen, &case);
    let unknown = matches!(erased, Err(EraseError::Decide(DecideError::Hindered(Hindrance::Unknown { .. }))));
    assert!(unknown || is_refused(&erased), "{erased:?}");
    assert_eq!(ids(&erase(&mut world, carmen, &section).unwrap()), [section], "the section she may");
    assert!(world.devices[amina].show_case(&case).is_ok());
    assert_gone(&mut world, &[section]);
}

#[test]
fn a_closed_section_that_somebody_else_than_its_beginner_names_in_a_case_is_not_erased_with_it() {
    let Team { mut world, amina, berta, team, case } = team(945);
    let other = world.create_case(amina, json!({"name_first": "Rana"}));
    world.settle();
    let mallory = world.join(amina, team, Role::Editor, "Mallory");
    let section = begin(&mut world, berta, case, Noted::Nothing, Vec::new());
    let field = format!("vereda_section_{section}");
    let path = vereda_records::FieldPath::field(&field);
    let set = vereda_records::Edit::Set { path, value: vereda_records::Value::text("Health") };
    let request = vereda_client_core::cases::plain::PlainEdit { edits: vec![set], ..edit(json!({})) };
    world.on(mallory, |device, ambient| device.edit_case(ambient, &other, &request)).unwrap();
    world.settle();
    let erasure = erase(&mut world, amina, &other).unwrap();
    assert_eq!(ids(&erasure), [other]);
    let left: Vec<_> = erasure.left.iter().map(|left| (left.section.id, left.why)).collect();
    assert_eq!(left, [(section, WhyLeft::Uncertain)]);
    assert!(world.devices[berta].show_section(&section).is_ok());
}
