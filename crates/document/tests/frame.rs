//! What a chunk's body costs, and that it gives the changes back to the byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use automerge::Automerge;
use vereda_base::{ActorBytes, Timestamp};
use vereda_document::{
    Edit, LocalChange, Replica,
    frame::{Compression, Context, FrameError, decode, encode, split},
};
use vereda_records::{EntryId, FieldPath, RecordType, Value};

const AT: i64 = 1_700_000_000_000;

fn document() -> Replica {
    let (mut replica, _) = Replica::create(ActorBytes([0x11; 16]), RecordType::Case, Timestamp(AT)).unwrap();
    let edits: Vec<_> = FIELDS
        .iter()
        .map(|(field, value)| Edit::Set { path: FieldPath::field(*field), value: Value::text(*value) })
        .collect();
    replica.edit(&edits, Timestamp(AT)).unwrap();
    Replica::load(&replica.save(), actor()).unwrap()
}

/// An actor as it is in life: the beginning of a hash.
fn actor() -> ActorBytes {
    let mut bytes = [0; 16];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for byte in &mut bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = state.to_be_bytes()[0];
    }
    ActorBytes(bytes)
}

const FIELDS: [(&str, &str); 10] = [
    ("name_first", "Amina"),
    ("name_last", "Hassan"),
    ("sex", "female"),
    ("nationality", "Syrian"),
    ("address_current", "Camp 4, block C"),
    ("telephone_current", "0770 123 4567"),
    ("risk_level", "high"),
    ("protection_status", "unaccompanied"),
    ("caregiver_name", "Fatima"),
    ("case_notes", "seen at the gate"),
];

/// Twenty one-field edits, as a caseworker makes them in a quarter of an hour.
fn twenty_edits(replica: &mut Replica) -> Vec<LocalChange> {
    let values = ["Aminah", "Hasan", "Block D, tent 12", "0770 555 1234", "medium", "Fatima Hassan", "met her aunt"];
    let mut at = AT;
    (0..20)
        .map(|number: usize| {
            at += 20_000 + i64::try_from(number * 7_919 % 40_000).unwrap();
            let (field, _) = FIELDS[number * 7 % 10];
            let value = format!("{} {number}", values[number % values.len()]);
            let edit = Edit::Set { path: FieldPath::field(field), value: Value::text(value) };
            replica.edit(&[edit], Timestamp(at)).unwrap().pop().unwrap()
        })
        .collect()
}

fn raw(changes: &[LocalChange]) -> Vec<Vec<u8>> {
    changes.iter().map(|change| change.bytes.clone()).collect()
}

fn zstd_of(bytes: &[u8]) -> usize {
    zstd::bulk::compress(bytes, 19).unwrap().len()
}

#[test]
fn twenty_edits_take_less_than_an_eighth_of_their_raw_bytes() {
    let mut replica = document();
    twenty_edits(&mut replica);
    let context = replica.context(actor(), 21);
    let changes = twenty_edits(&mut replica);
    let raw = raw(&changes);
    let document = Automerge::load(&replica.save()).unwrap();
    let hashes = changes.iter().map(|change| automerge::ChangeHash(change.hash));
    let bundle = document.bundle(hashes).unwrap();
    let stored = encode(&raw, &context, Compression::Stored).unwrap();
    let small = encode(&raw, &context, Compression::Smallest).unwrap();
    println!("raw {}, raw+zstd {}", raw.concat().len(), zstd_of(&raw.concat()));
    println!("bundle {}, bundle+zstd {}", bundle.bytes().len(), zstd_of(bundle.bytes()));
    println!("frame {}, frame+zstd {}", stored.len(), small.len());
    assert!(small.len() * 8 < raw.concat().len(), "{} of {}", small.len(), raw.concat().len());
    assert!(small.len() < zstd_of(bundle.bytes()), "{} {}", small.len(), zstd_of(bundle.bytes()));
    assert_eq!(decode(&stored, &context).unwrap(), raw);
    assert_eq!(decode(&small, &context).unwrap(), raw);
}

#[test]
fn every_kind_of_change_that_we_make_comes_back_to_the_byte_from_columns() {
    let mut replica = document();
    let context = replica.context(actor(), 1);
    let mut changes = Vec::new();
    let entry = EntryId([5; 16]);
    let (field, path) = ("members".to_owned(), FieldPath::field("notes"));
    let edits = [
        Edit::Set {
            path: path.clone(), value: Value::LongText("شوهدت أمينة 👨‍👩‍👧 at the gate".repeat(20))
        },
        Edit::Splice { path: path.clone(), at: 3, delete: 200, insert: "🙏 x".into() },
        Edit::Splice { path, at: 0, delete: 1, insert: String::new() },
        Edit::PutEntry { field: field.clone(), entry, order: "1".into() },
        Edit::Set { path: FieldPath::within(&field, entry, "age"), value: Value::Integer(-7) },
        Edit::RemoveEntry { field, entry },
        Edit::Count { path: FieldPath::field("tally"), group: "boys".into(), count: Some(1 << 40) },
        Edit::Set { path: FieldPath::field("name_first"), value: Value::Deleted },
        Edit::Set { path: FieldPath::field("seen"), value: Value::DateTime(Timestamp(-5)) },
        Edit::FormVersion { form: "basic".into(), version: 9 },
    ];
    for edit in &edits {
        changes.push(replica.edit(std::slice::from_ref(edit), Timestamp(AT)).unwrap().pop().unwrap());
    }
    changes.push(replica.edit(&edits[3..5], Timestamp(-AT)).unwrap().pop().unwrap());
    let raw = raw(&changes);
    let body = encode(&raw, &context, Compression::Stored).unwrap();
    // Form, length of two bytes, then the layout.
    assert_eq!(body[3], 1, "fell back to the plain layout");
    assert_eq!(decode(&body, &context).unwrap(), raw);
    for change in &raw {
        let body = encode(&[change], &context, Compression::Smallest).unwrap();
        assert_eq!(decode(&body, &context).unwrap(), std::slice::from_ref(change));
    }
}

#[test]
fn changes_of_several_authors_or_out_of_order_come_back_from_the_plain_layout() {
    let mut replica = document();
    let context = replica.context(actor(), 1);
    let mut raw = raw(&twenty_edits(&mut replica));
    raw.reverse();
    let body = encode(&raw, &context, Compression::Stored).unwrap();
    assert_eq!(body[3], 0);
    assert_eq!(decode(&body, &context).unwrap(), raw);
}

#[test]
fn only_one_spelling_of_a_frame_is_read() {
    let mut replica = document();
    let context = replica.context(actor(), 1);
    let raw = raw(&twenty_edits(&mut replica));
    let mut plain = vec![0, u8::try_from(raw.len()).unwrap()];
    for change in &raw {
        // Behind magic, checksum and kind stand the length and the content.
        plain.extend_from_slice(&change[9..]);
    }
    let mut body = vec![0, u8::try_from(plain.len() & 0x7f).unwrap() | 0x80, u8::try_from(plain.len() >> 7).unwrap()];
    body.extend_from_slice(&plain);
    assert_eq!(decode(&body, &context), Err(FrameError::NotCanonical));
}

#[test]
fn changes_are_split_into_runs_that_chunks_can_hold() {
    assert_eq!(split(&[], 100), Vec::<usize>::new());
    assert_eq!(split(&[(60, 1), (60, 1), (30, 1), (200, 1)], 100), [1, 2, 1]);
    assert_eq!(split(&[(1, 65_536); 9], 1_000), [4, 4, 1]);
    assert_eq!(split(&[(1, 1); 5_000], 1 << 20), [4_096, 904]);
    assert_eq!(
        encode::<Vec<u8>>(&[], &document().context(actor(), 1), Compression::Smallest),
        Err(FrameError::Count { found: 0 })
    );
}

/// The body of one put that claims to overwrite so many operations, which runs of a few bytes name.
fn overwriting(references: u64) -> Vec<u8> {
    let stream = |count: i64, value: u64| {
        let mut bytes = Vec::new();
        leb128(&mut bytes, count.cast_unsigned(), 0x3f);
        leb128(&mut bytes, value, 0x7f);
        bytes
    };
    let mut frame = vec![1, 1, 0, 1];
    let (one, many) = (|value| stream(1, value), |value| stream(1 << 60, value));
    // Sizes, starts, times, deps, forms, objects, keys, replaced, actors, distances, metas.
    let streams =
        [one(1), one(2), one(0), one(1), one(0), one(0), one(0), one(2 + references), many(0), many(1), one(0)];
    for stream in streams {
        frame.push(u8::try_from(stream.len()).unwrap());
        frame.extend_from_slice(&stream);
    }
    frame.extend_from_slice(&[0, 0]);
    [&[0, u8::try_from(frame.len()).unwrap()], &frame[..]].concat()
}

/// Writes an integer; the last byte holds at most `last`, so that it can be read as a signed one.
fn leb128(out: &mut Vec<u8>, mut value: u64, last: u64) {
    while value > last {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn a_few_bytes_cannot_stand_for_references_without_end() {
    let context = document().context(actor(), 1);
    assert!(overwriting(1 << 40).len() < 80);
    assert_eq!(decode(&overwriting(1 << 40), &context), Err(FrameError::TooManyReferences));
    assert_eq!(decode(&overwriting(u64::MAX - 2), &context), Err(FrameError::TooManyReferences));
    assert!(matches!(decode(&overwriting(3), &context), Err(error) if error != FrameError::TooManyReferences));
}

#[test]
fn operations_are_counted_change_by_change_so_that_many_small_changes_cannot_fill_the_memory() {
    let mut replica = document();
    let context = replica.context(actor(), 1);
    let path = FieldPath::field("notes");
    let begin = Edit::Set { path: path.clone(), value: Value::LongText("a".into()) };
    replica.edit(&[begin], Timestamp(AT)).unwrap();
    let context = Context { previous: replica.own_changes(1).first().map(|change| change.hash), ..context };
    let mut changes: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let append = Edit::Append { path: path.clone(), text: "a".repeat(100_000) };
            replica.edit(&[append], Timestamp(AT)).unwrap().pop().unwrap().bytes
        })
        .collect();
    assert_eq!(encode(&changes[..2], &context, Compression::Stored).unwrap()[4], 1, "fell back to the plain layout");
    // What comes after the bound was passed is not even looked at.
    changes.push(b"no change".to_vec());
    assert_eq!(encode(&changes, &context, Compression::Smallest), Err(FrameError::TooManyOperations));
}

/// The same body without the zeros that fill it up.
fn emptied(body: &[u8]) -> Vec<u8> {
    let varint = |bytes: &[u8]| bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    assert!(body[0] >= 2, "is not filled up");
    let inflated = 1 + varint(&body[1..]);
    let length = inflated + varint(&body[inflated..]);
    let bytes = body[inflated..length].iter().rev().fold(0usize, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    let mut stripped = vec![body[0] - 2];
    stripped.extend_from_slice(&body[1..inflated]);
    stripped.extend_from_slice(&body[length..length + bytes]);
    stripped
}

#[test]
fn a_few_bytes_cannot_stand_for_megabytes_or_many_operations() {
    let mut replica = document();
    let context = replica.context(actor(), 1);
    let change = |replica: &mut Replica, edits: &[Edit]| replica.edit(edits, Timestamp(AT)).unwrap().pop().unwrap();
    let path = FieldPath::field("notes");
    // Lines that repeat, and a long text deleted: what people do.
    let repeated = Edit::Set { path: FieldPath::field("other"), value: Value::text("=".repeat(60_000)) };
    let written = Edit::Set { path: path.clone(), value: Value::LongText("how she came here ".repeat(3_000)) };
    let deleted = Edit::Set { path, value: Value::LongText(String::new()) };
    let mut previous = None;
    for edit in [repeated, written, deleted] {
        let context = Context { previous, ..context };
        let made = change(&mut replica, &[edit]);
        previous = Some(made.hash);
        for compression in [Compression::Smallest, Compression::Stored] {
            let body = encode(&[&made.bytes], &context, compression).unwrap();
            assert_eq!(decode(&body, &context).unwrap(), std::slice::from_ref(&made.bytes));
            assert!(body.len() < 60_100, "{}", body.len());
        }
        let body = encode(&[&made.bytes], &context, Compression::Smallest).unwrap();
        assert!((1_000..8_000).contains(&body.len()), "{}", body.len());
        let light = emptied(&body);
        assert!(light.len() < body.len());
        let refused = decode(&light, &context).unwrap_err();
        assert!(
            matches!(
                refused,
                FrameError::TooLight { .. } | FrameError::TooManyOperations | FrameError::TooManyReferences
            ),
            "{refused}"
        );
        let mut touched = body.clone();
        *touched.last_mut().unwrap() = 1;
        assert_eq!(decode(&touched, &context), Err(FrameError::NotCanonical));
    }
}
