//! Bodies of chunks and saved replicas: whatever is taken in, the replica goes on working.

use std::sync::LazyLock;

use vereda_base::ActorBytes;
use vereda_document::{Edit, Expect, HydrateError, ParsedChunk, Replica, frame};
use vereda_records::{FieldPath, Value};
use vereda_vectors::{
    story::{self, Story},
    world::START,
};

const FIRST: ActorBytes = ActorBytes([0x01; 16]);
const SECOND: ActorBytes = ActorBytes([0x02; 16]);
const READER: ActorBytes = ActorBytes([0x03; 16]);

/// Replicas as they stand before each chunk of the golden bodies.
static BEFORE: LazyLock<Vec<Replica>> = LazyLock::new(|| {
    let story = Story::write(FIRST, SECOND).expect("the story of the golden bytes");
    let mut replica = Replica::empty(READER);
    let mut before = Vec::new();
    for row in &story.rows {
        before.push(replica.clone());
        let body = row.body(frame::Compression::Stored).expect("a golden body");
        let count = u32::try_from(row.changes.len()).expect("a few changes");
        story::admit(&mut replica, &body, row.context.author, row.first_seq, count).expect("a golden chunk");
    }
    before
});

/// Reads the body of a chunk and applies it; the first byte says before which of the golden chunks.
pub fn body(data: &[u8]) {
    let Some((row, body)) = data.split_first() else { return };
    let row = usize::from(*row) % BEFORE.len();
    let Some(before) = BEFORE.get(row) else { return };
    for (author, first_seq) in [(FIRST, [1, 3, 0, 5]), (SECOND, [1, 1, 1, 4])] {
        let Some(first_seq) = first_seq.get(row).copied() else { return };
        let context = before.context(author, first_seq);
        let Ok(raw) = frame::decode(body, &context) else { continue };
        let written = frame::encode(&raw, &context, frame::Compression::Stored).expect("what was read can be written");
        assert_eq!(frame::decode(&written, &context).as_ref(), Ok(&raw));
        let expect = Expect {
            context,
            first_seq,
            count: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            closure: &|hash| before.has_change(hash),
        };
        let Ok(chunk) = ParsedChunk::parse(body, &expect) else { continue };
        let mut replica = before.clone();
        match replica.apply(&chunk) {
            Ok(applied) => {
                assert_eq!(applied.new, raw.len(), "parked in silence");
                go_on(replica);
            }
            Err(vereda_document::Refusal::Panicked) => panic!("a chunk made the document panic"),
            Err(_) => assert_eq!(replica.heads(), before.heads(), "a refused chunk left something behind"),
        }
    }
}

/// Loads a saved replica. A panic within the reader is caught there, and reported as such: it is no failure here.
pub fn saved_replica(data: &[u8]) {
    let Ok(replica) = Replica::load(data, READER) else { return };
    // What is not of our making may not hydrate, but neither that nor saving it may panic.
    let _ = (replica.hydrate(), replica.save(), replica.heads(), replica.full_history(), replica.conflicts());
}

fn go_on(mut replica: Replica) {
    // A type of record that a newer version knows is admitted, and shown as such.
    let read = replica.hydrate();
    assert!(matches!(read, Ok(_) | Err(HydrateError::UnknownType)), "admitted, but no record: {read:?}");
    let edit = Edit::Set { path: FieldPath::field("name"), value: Value::text("goes on") };
    replica.edit(&[edit], START).expect("what was admitted can be edited");
    let again = Replica::load(&replica.save(), READER).expect("what was admitted loads again");
    assert_eq!(again.heads(), replica.heads());
}
