//! More heads than one change may name: somebody with many devices wrote on each of them apart.

use std::{collections::BTreeSet, sync::OnceLock};

use vereda_base::{ActorBytes, limits::MAX_DEPS};
use vereda_document::{ChangeFault, Edit, Replica};
use vereda_records::{FieldPath, Value};

use crate::{
    AT,
    device::{Device, open, saved},
};

/// So many that they are joined in two steps.
const APART: u16 = 2 * MAX_DEPS as u16;

fn actor(number: u16) -> ActorBytes {
    let mut actor = [7; 16];
    actor[..2].copy_from_slice(&number.to_be_bytes());
    ActorBytes(actor)
}

fn set(field: &str, value: &str) -> Edit {
    Edit::Set { path: FieldPath::field(field), value: Value::text(value) }
}

/// A document before and after so many wrote to it apart, all of them the name, each a field of his own.
fn crowded() -> &'static (Vec<u8>, Vec<u8>) {
    static CROWDED: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    CROWDED.get_or_init(|| {
        let before = saved(|creator| creator.set("name", Value::text("Amina")));
        let mut all = open(&before, actor(u16::MAX));
        for number in 0..APART {
            let mut apart = open(&before, actor(number));
            apart.edit(&[set("name", &format!("{number}")), set(&format!("field_{number}"), "apart")]);
            all.hear(&apart);
        }
        (before, all.replica.save())
    })
}

fn reader(actor: ActorBytes) -> Device {
    open(&crowded().1, actor)
}

#[test]
fn an_edit_joins_the_heads_first_sees_all_that_stood_and_reaches_others() {
    let mut author = reader(actor(60_000));
    assert_eq!(author.replica.heads().len(), usize::from(APART));
    let [conflict] = &author.replica.conflicts()[..] else { panic!("one conflict") };
    assert_eq!(conflict.values.len(), usize::from(APART));
    author.made.extend(author.replica.resolve(&conflict.place, Value::text("Amina"), AT).unwrap());
    assert_eq!(author.made.len(), 3);
    assert!(author.made.iter().all(|change| change.deps.len() <= MAX_DEPS));
    assert_eq!(author.made.iter().map(|change| change.operations).collect::<Vec<_>>(), [0, 0, 1]);

    let mut other = reader(actor(60_001));
    other.hear(&author);
    other.edit(&[set("name", "Samira")]);
    assert_eq!(other.made.len(), 1, "nothing is left to be joined");
    author.hear(&other);
    let saved = Replica::load(&author.replica.save(), actor(60_002)).unwrap();
    for replica in [&author.replica, &other.replica, &saved] {
        assert_eq!(replica.heads(), [other.made[0].hash]);
        assert!(replica.conflicts().is_empty());
        let record = replica.hydrate().unwrap();
        assert_eq!(record.answer("name"), Some(&Value::text("Samira")));
        assert_eq!((0..APART).filter(|number| record.answer(&format!("field_{number}")).is_some()).count(), 768);
        assert_eq!(replica.history(&FieldPath::field("name")).len(), usize::from(APART) + 3);
        assert!(author.made.iter().all(|change| replica.change_bytes(&change.hash) == Some(change.bytes.clone())));
    }
}

#[test]
fn heads_are_joined_by_an_author_who_wrote_before_on_top_of_what_he_wrote() {
    let mut author = open(&crowded().0, actor(60_000));
    author.edit(&[set("name", "his")]);
    let [first] = &author.made[..] else { panic!("one change") };
    let first = first.hash;
    let mut crowd = reader(actor(60_001));
    crowd.hear(&author);
    let mut author = open(&crowd.replica.save(), actor(60_000));
    author.edit(&[set("other", "his again")]);
    assert_eq!(author.made.iter().map(|change| change.seq).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(author.made[0].deps.contains(&first));
    let named: BTreeSet<_> = author.made.iter().flat_map(|change| &change.deps).collect();
    assert!(crowd.replica.heads().iter().all(|head| named.contains(head)));
    crowd.hear(&author);
    assert_eq!(crowd.replica.heads(), author.replica.heads());
    assert_eq!(crowd.replica.conflicts(), author.replica.conflicts());
    assert_eq!(crowd.replica.conflicts()[0].values.len(), usize::from(APART) + 1, "what is in conflict still is");
}

#[test]
fn heads_are_not_joined_where_nothing_is_written() {
    let mut author = reader(actor(60_000));
    let (before, shown) = (author.replica.save(), author.record());
    assert_eq!(author.replica.reconcile(&shown, &shown, AT).unwrap(), []);
    assert!(author.replica.edit(&[set("name", "x"), set("not a name", "x")], AT).is_err());
    assert_eq!(author.replica.save(), before);
}

#[test]
fn a_change_without_operations_that_joins_nothing_is_refused() {
    // Its author, seq 1, operations from 1, no time, message, others or columns; one dependency.
    let one_dependency = [&[1][..], &[5; 32], &[16], &[9; 16], &[2, 9, 0, 0, 0, 0]].concat();
    assert_eq!(vereda_document::LocalChange::read(enclosed(&one_dependency)), Err(ChangeFault::Empty));
    let two = [&[2][..], &[5; 32], &[6; 32], &[16], &[9; 16], &[2, 9, 0, 0, 0, 0]].concat();
    assert_eq!(vereda_document::LocalChange::read(enclosed(&two)).unwrap().operations, 0);
}

/// Puts what comes before a change's content before it.
fn enclosed(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128);
    let hashed = [&[1, length][..], content].concat();
    let checksum = <sha2::Sha256 as sha2::Digest>::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83][..], &checksum[..4], &hashed].concat()
}
