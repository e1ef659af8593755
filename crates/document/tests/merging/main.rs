//! Replicas that were apart: they meet in one state, in whatever order they hear of one another, and nobody's words are
//! lost in silence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

mod convergence;
mod device;
mod heads;
mod remade;

use std::collections::BTreeMap;

use device::{Device, devices, meet};
use vereda_base::{ActorBytes, Timestamp};
use vereda_document::{Edit, Place, Replica, difference};
use vereda_records::{Attachment, Entry, EntryId, FieldPath, Record, RecordType, Value};

const AT: Timestamp = Timestamp(1_700_000_000_000);

fn entry(id: u8) -> Entry {
    Entry::new(EntryId([id; 16]), format!("{id}"))
}

fn long(text: &str) -> Value {
    Value::LongText(text.to_owned())
}

fn everything() -> Record {
    let day = |text: &str| text.parse().unwrap();
    let attachment = Attachment {
        content: vereda_base::Digest([5; 32]),
        media_type: "image/jpeg".into(),
        size_bytes: 40_000,
        name: "صورة.jpg".into(),
        attached_at: AT,
        note: String::new(),
    };
    let member = entry(3)
        .with("name", Value::text("علي"))
        .with("story", long("قصة\n👨‍👩‍👧"))
        .with("needs", Value::Choices(["food".to_owned(), "a/b".to_owned()].into()));
    let mut record = Record::new(RecordType::Incident)
        .with("name", Value::text("Amina أمينة"))
        .with("notes", long("a\nb"))
        .with("empty_notes", long(""))
        .with("age", Value::Integer(-4))
        .with("weight", Value::Decimal("12.5".parse().unwrap()))
        .with("alone", Value::Boolean(true))
        .with("born", Value::Date(day("2012-02-29")))
        .with("seen_at", Value::DateTime(Timestamp(1_700_000_000_123)))
        .with("stay", Value::DateRange(vereda_records::DateRange { from: Some(day("2020-01-01")), to: None }))
        .with("sex", Value::choice("female"))
        .with("concerns", Value::Choices(["separated".to_owned(), "لاجئ".to_owned()].into()))
        .with("no_concerns", Value::Choices([].into()))
        .with("tally", Value::Tally([("boys".to_owned(), 2), ("girls".to_owned(), 0)].into()))
        .with("place", Value::Location("IQG01".into()))
        .with("members", Value::Subform(vec![entry(2), member]))
        .with("services", Value::Subform(Vec::new()))
        .with("photos", Value::Attachments([(EntryId([8; 16]), attachment)].into()))
        .with("gone", Value::Deleted);
    record.form_versions.insert("basic".into(), 3);
    record
}

#[test]
fn a_record_reads_back_as_it_was_written_and_writing_it_again_writes_nothing() {
    let (mut replica, _) = Replica::create(ActorBytes([1; 16]), RecordType::Incident, AT).unwrap();
    let before = replica.hydrate().unwrap();
    let mut record = everything();
    replica.reconcile(&before, &record, AT).unwrap().pop().unwrap();
    // Taking away what was never answered writes nothing.
    record.fields.remove("gone");
    assert_eq!(replica.hydrate().unwrap(), record);
    assert_eq!(replica.reconcile(&record, &record, AT).unwrap(), []);
    let all: Vec<Edit> = difference(&before, &record);
    assert_eq!(replica.edit(&all, AT).unwrap(), [], "equal values make no change");
    let reloaded = Replica::load(&replica.save(), ActorBytes([2; 16])).unwrap();
    assert_eq!(reloaded.hydrate().unwrap(), record);
    assert!(reloaded.conflicts().is_empty());
}

#[test]
fn a_text_rewritten_on_top_of_one_that_does_not_stand_is_written_whole() {
    let (mut replica, _) = Replica::create(ActorBytes([1; 16]), RecordType::Incident, AT).unwrap();
    let empty = replica.hydrate().unwrap();
    let shown = empty.clone().with("notes", long("seen on Monday"));
    let edited = empty.with("notes", long("seen on Monday and well"));
    replica.reconcile(&shown, &edited, AT).unwrap().pop().unwrap();
    assert_eq!(replica.hydrate().unwrap(), edited);
}

#[test]
fn an_answer_that_a_later_state_lacks_is_taken_away_of_whatever_kind() {
    let (mut replica, _) = Replica::create(ActorBytes([1; 16]), RecordType::Incident, AT).unwrap();
    let empty = replica.hydrate().unwrap();
    replica.reconcile(&empty, &everything(), AT).unwrap();
    let full = replica.hydrate().unwrap();
    replica.reconcile(&full, &empty, AT).unwrap();
    let after = replica.hydrate().unwrap();
    assert!(after.fields.values().all(|value| *value == Value::Deleted), "{after:?}");
    assert_eq!(after.fields.len(), full.fields.len());
}

#[test]
fn an_answer_changes_its_kind_and_back() {
    let [mut device] = devices(|_| {});
    for value in [long("text"), Value::text("line"), Value::Choices(["a".to_owned()].into()), Value::Integer(1)] {
        device.set("changing", value.clone());
        assert_eq!(device.answer("changing"), Some(value));
    }
    device.set("changing", long("again"));
    assert_eq!(device.answer("changing"), Some(long("again")));
}

#[test]
fn edits_to_a_then_b_then_a_again_stay_in_order() {
    let [mut a, mut b] = devices(|_| {});
    for name in ["A", "B", "A"] {
        a.set("name", Value::text(name));
    }
    assert_eq!(a.made.len(), 3);
    meet(&mut a, &mut b);
    assert_eq!(b.answer("name"), Some(Value::text("A")));
    let history = b.replica.history(&FieldPath::field("name"));
    let values: Vec<_> = history.iter().map(|entry| entry.value.clone()).collect();
    assert_eq!(values, [Value::text("A"), Value::text("B"), Value::text("A")]);
    assert!(history.iter().all(|entry| entry.actor == a.replica.actor() && entry.time == AT));
    assert_eq!(history.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn different_values_are_a_conflict_until_resolved_and_equal_ones_are_none() {
    let [mut a, mut b] = devices(|_| {});
    a.set("name", Value::text("Amina"));
    b.set("name", Value::text("Aminah"));
    a.set("age", Value::Integer(4));
    b.set("age", Value::Integer(4));
    meet(&mut a, &mut b);
    let conflicts = a.replica.conflicts();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].place, Place::Answer(FieldPath::field("name")));
    let values: BTreeMap<_, _> = conflicts[0].values.iter().map(|value| (value.actor.0, value.value.clone())).collect();
    assert_eq!(values, BTreeMap::from([([1; 16], Value::text("Amina")), ([2; 16], Value::text("Aminah"))]));
    let shown = conflicts[0].values.last().unwrap().value.clone();
    assert_eq!(a.answer("name"), Some(shown.clone()));
    // Also where the shown value is the right one.
    a.made.clear();
    a.made.extend(a.replica.resolve(&conflicts[0].place, shown.clone(), AT).unwrap());
    meet(&mut a, &mut b);
    assert!(b.replica.conflicts().is_empty());
    assert_eq!(b.answer("name"), Some(shown.clone()));
    let settled = b.replica.history(&FieldPath::field("name")).pop().unwrap();
    assert_eq!((settled.value, settled.actor), (shown, a.replica.actor()));
}

#[test]
fn taking_away_and_changing_at_the_same_time_is_a_conflict() {
    let [mut a, mut b] = devices(|creator| creator.set("name", Value::text("Amina")));
    a.set("name", Value::Deleted);
    b.set("name", Value::text("Aminah"));
    meet(&mut a, &mut b);
    let values: Vec<_> = a.replica.conflicts()[0].values.iter().map(|value| value.value.clone()).collect();
    assert!(values.contains(&Value::Deleted) && values.contains(&Value::text("Aminah")), "{values:?}");
}

#[test]
fn choices_counts_and_texts_merge_part_by_part_also_while_taken_away() {
    let choices = |codes: &[&str]| Value::Choices(codes.iter().map(|code| (*code).to_owned()).collect());
    let [mut a, mut b] = devices(|creator| {
        creator.set("concerns", choices(&["x", "y"]));
        creator.set("other", choices(&["x"]));
        creator.set("notes", long("one two"));
    });
    let path = FieldPath::field("concerns");
    a.edit(&[Edit::Pick { path: path.clone(), choice: "z".into(), picked: true }]);
    b.edit(&[Edit::Pick { path, choice: "x".into(), picked: false }]);
    a.set("other", Value::Deleted);
    b.edit(&[Edit::Pick { path: FieldPath::field("other"), choice: "new".into(), picked: true }]);
    a.set("notes", Value::Deleted);
    b.splice(7, 0, " three");
    meet(&mut a, &mut b);
    assert_eq!(a.answer("concerns"), Some(choices(&["y", "z"])));
    assert_eq!(a.answer("other"), Some(choices(&["new"])));
    assert_eq!(a.answer("notes"), Some(long(" three")));
}

#[test]
fn entries_of_a_subform_merge_and_an_edit_outlives_a_removal_at_the_same_time() {
    let members = |entries: Vec<Entry>| Value::Subform(entries);
    let [mut a, mut b] = devices(|creator| creator.set("members", members(vec![entry(1), entry(2)])));
    let within = |id: u8, field: &str| FieldPath::within("members", EntryId([id; 16]), field);
    let remove = |id: u8| Edit::RemoveEntry { field: "members".into(), entry: EntryId([id; 16]) };
    let set = |id: u8, field: &str, value: &str| Edit::Set { path: within(id, field), value: Value::text(value) };
    let put = |id: u8| Edit::PutEntry { field: "members".into(), entry: EntryId([id; 16]), order: id.to_string() };
    a.edit(&[put(3), set(3, "name", "Ali")]);
    b.edit(&[put(4), set(4, "name", "Sara")]);
    a.edit(&[set(1, "name", "Omar")]);
    b.edit(&[set(1, "age", "7")]);
    a.edit(&[remove(2)]);
    b.edit(&[set(2, "name", "Zain")]);
    meet(&mut a, &mut b);
    let named = |id: u8, field: &str, value: &str| entry(id).with(field, Value::text(value));
    let first = named(1, "name", "Omar").with("age", Value::text("7"));
    let expected = vec![first, named(2, "name", "Zain"), named(3, "name", "Ali"), named(4, "name", "Sara")];
    assert_eq!(a.record().entries("members"), expected);
    let conflicts = a.replica.conflicts();
    let place = Place::Entry { field: "members".into(), entry: EntryId([2; 16]) };
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].place, place);
    b.made.clear();
    b.made.extend(b.replica.resolve(&place, Value::Deleted, AT).unwrap());
    meet(&mut a, &mut b);
    assert_eq!(a.record().entries("members").len(), 3);
    assert!(a.replica.conflicts().is_empty());
}

#[test]
fn a_removed_entry_comes_back_with_its_answers() {
    let [mut a] = devices(|creator| {
        creator.set("members", Value::Subform(vec![entry(1).with("name", Value::text("Omar"))]));
    });
    let (field, id) = ("members".to_owned(), EntryId([1; 16]));
    a.edit(&[Edit::RemoveEntry { field: field.clone(), entry: id }]);
    assert!(a.record().entries("members").is_empty());
    a.edit(&[Edit::PutEntry { field, entry: id, order: "1".into() }]);
    assert_eq!(a.record().entries("members"), [entry(1).with("name", Value::text("Omar"))]);
}

#[test]
fn a_text_in_arabic_and_with_emoji_merges_character_by_character() {
    let [mut a, mut b] = devices(|creator| creator.set("notes", long("شوهدت أمينة 👨‍👩‍👧 عند البوابة")));
    let text = |device: &Device| match device.answer("notes") {
        Some(Value::LongText(text)) => text,
        other => panic!("{other:?}"),
    };
    let length = text(&a).chars().count();
    a.splice(0, 0, "اليوم ");
    b.splice(length, 0, " 🙏");
    b.splice(6, 5, "مريم");
    meet(&mut a, &mut b);
    assert_eq!(text(&a), "اليوم شوهدت مريم 👨‍👩‍👧 عند البوابة 🙏");
    assert!(a.replica.conflicts().is_empty());
}

#[test]
fn two_texts_begun_at_the_same_time_are_both_shown_and_none_is_lost_when_settled() {
    let [mut a, mut b, mut c] = devices(|_| {});
    a.set("notes", long("mine"));
    b.set("notes", long("theirs"));
    meet(&mut a, &mut b);
    c.hear(&a);
    c.hear(&b);
    let conflict = a.replica.conflicts().pop().unwrap();
    let values: Vec<_> = conflict.values.iter().map(|value| value.value.clone()).collect();
    assert!(values.contains(&long("mine")) && values.contains(&long("theirs")));
    assert_eq!(a.answer("notes"), values.last().cloned());
    // One settles it while another still writes.
    let longer = match &values[1] {
        Value::LongText(text) => text.chars().count(),
        other => panic!("{other:?}"),
    };
    a.made.clear();
    a.made.extend(a.replica.resolve(&conflict.place, long("mine and theirs"), AT).unwrap());
    assert!(a.replica.conflicts().is_empty());
    assert_eq!(a.answer("notes"), Some(long("mine and theirs")));
    let settled = a.replica.history(&FieldPath::field("notes")).pop().unwrap();
    assert_eq!((settled.value, settled.actor), (long("mine and theirs"), a.replica.actor()));
    c.splice(longer, 0, " and more");
    meet(&mut a, &mut c);
    let Some(Value::LongText(text)) = a.answer("notes") else { panic!() };
    assert!(text.contains(" and more"), "{text}");
}

#[test]
fn a_text_settled_as_it_is_shown_stands_in_the_history_as_it_was_settled() {
    let [mut a, mut b] = devices(|_| {});
    a.set("notes", long("mine"));
    b.set("notes", long("theirs"));
    meet(&mut a, &mut b);
    let conflict = a.replica.conflicts().pop().unwrap();
    let shown = conflict.values.last().unwrap().value.clone();
    a.replica.resolve(&conflict.place, shown.clone(), AT).unwrap();
    let written: Vec<_> = a.replica.history(&FieldPath::field("notes")).into_iter().map(|entry| entry.value).collect();
    assert_eq!(written.len(), 3, "{written:?}");
    assert_eq!(written.last(), Some(&shown));
}

#[test]
fn equal_texts_begun_at_the_same_time_stay_no_conflict_when_one_is_edited() {
    let [mut a, mut b] = devices(|_| {});
    a.set("notes", long("same"));
    b.set("notes", long("same"));
    meet(&mut a, &mut b);
    assert!(a.replica.conflicts().is_empty());
    a.made.clear();
    a.splice(4, 0, " again");
    meet(&mut a, &mut b);
    assert_eq!(b.answer("notes"), Some(long("same again")));
    assert!(b.replica.conflicts().is_empty());
}

#[test]
fn what_a_person_changed_leaves_alone_what_others_changed_meanwhile() {
    let [mut a, mut b] = devices(|creator| {
        creator.set("name", Value::text("Amina"));
        creator.set("notes", long("one two"));
    });
    let shown = a.record();
    b.set("name", Value::text("Aminah"));
    b.splice(0, 0, "zero ");
    a.hear(&b);
    let mut edited = shown.clone().with("age", Value::Integer(5));
    edited.fields.insert("notes".into(), long("one two three"));
    a.replica.reconcile(&shown, &edited, AT).unwrap().pop().unwrap();
    assert_eq!(a.answer("name"), Some(Value::text("Aminah")));
    assert_eq!(a.answer("notes"), Some(long("zero one two three")));
    assert_eq!(a.answer("age"), Some(Value::Integer(5)));
}

#[test]
fn a_refused_edit_leaves_the_replica_as_it_was() {
    let [mut a] = devices(|_| {});
    let before = a.replica.save();
    let name = |field: &str| Edit::Set { path: FieldPath::field(field), value: Value::text("x") };
    let refused = [
        name("not a name"),
        Edit::Splice { path: FieldPath::field("notes"), at: 5, delete: 0, insert: "x".into() },
        Edit::Set { path: FieldPath::within("members", EntryId([1; 16]), "age"), value: Value::Integer(1) },
        Edit::Set { path: FieldPath::field("huge"), value: Value::text("x".repeat(70_000)) },
        Edit::Pick { path: FieldPath::field("concerns"), choice: "\n".into(), picked: true },
    ];
    for edit in refused {
        assert!(a.replica.edit(&[name("name"), edit.clone()], AT).is_err(), "{edit:?}");
        assert_eq!(a.replica.save(), before);
    }
    assert_eq!(Replica::empty(ActorBytes([1; 16])).edit(&[], AT), Err(vereda_document::EditError::NotCreated));
}

#[test]
fn a_step_on_a_record_does_the_same_to_its_document() {
    let member = entry(3).with("story", long("once"));
    let path = FieldPath::within("members", EntryId([3; 16]), "story");
    let steps = [
        vereda_records::Edit::AddEntry { field: "members".into(), entry: member },
        vereda_records::Edit::Append { path: path.clone(), text: " upon 🙏".into() },
        vereda_records::Edit::Append { path, text: " a time".into() },
        vereda_records::Edit::MoveEntry { field: "members".into(), entry: EntryId([3; 16]), order: "z".into() },
        vereda_records::Edit::Set { path: FieldPath::field("age"), value: Value::Integer(1) },
        vereda_records::Edit::RemoveEntry { field: "members".into(), entry: EntryId([3; 16]) },
    ];
    let [mut device] = devices(|_| {});
    let mut record = device.record();
    for step in &steps {
        device.edit(&Edit::of_step(step));
        vereda_records::edit::apply(&mut record, step).unwrap();
        assert_eq!(device.record(), record, "{step:?}");
    }
}
