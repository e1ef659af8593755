//! What two people write into one case: the changes that bodies, replicas and chunks are made of.

use anyhow::{Context as _, Result};
use vereda_base::{ActorBytes, Timestamp};
use vereda_document::{Edit, Expect, LocalChange, ParsedChunk, Replica, frame};
use vereda_records::{Attachment, DateRange, EntryId, FieldPath, RecordType, Value};

use crate::world::START;

/// A case as two people wrote it.
#[derive(Debug, Clone)]
pub struct Story {
    /// The rows of changes, each the content of one chunk, in the order in which they were made: creation and first
    /// answers; two edits; edits by the second author, who had seen the first row only; an edit by the first author, who
    /// had seen everything.
    pub rows: [Row; 4],
    /// The first author's replica in the end.
    pub replica: Replica,
}

/// Changes by one author in a row.
#[derive(Debug, Clone)]
pub struct Row {
    /// What both sides know before it.
    pub context: frame::Context,
    /// Seq of the first change.
    pub first_seq: u64,
    /// The changes.
    pub changes: Vec<LocalChange>,
}

impl Story {
    /// Writes it.
    ///
    /// # Errors
    /// If an edit is refused.
    pub fn write(first_author: ActorBytes, second_author: ActorBytes) -> Result<Self> {
        let (mut replica, created) = Replica::create(first_author, RecordType::Case, time(0))?;
        let mut changes = vec![created];
        changes.extend(replica.edit(&answers()?, time(1))?);
        let first = Row::of(&replica, first_author, changes)?;
        let mut other = Replica::empty(second_author);
        first.apply(&mut other)?;

        let changes = edit_each(
            &mut replica,
            2,
            &[
                Edit::Set { path: field("name"), value: Value::text("Amina B.") },
                Edit::Rewrite {
                    path: field("notes"),
                    before: "Came alone.".into(),
                    after: "Came alone, at night.".into(),
                },
            ],
        )?;
        let second = Row::of(&replica, first_author, changes)?;
        let changes = edit_each(
            &mut other,
            4,
            &[
                Edit::Set { path: field("name"), value: Value::text("Aminah") },
                Edit::Pick { path: field("needs"), choice: "shelter".into(), picked: true },
                Edit::PutEntry { field: "siblings".into(), entry: EntryId([2; 16]), order: "b".into() },
            ],
        )?;
        let concurrent = Row::of(&other, second_author, changes)?;
        concurrent.apply(&mut replica)?;
        let edit = Edit::Settle { path: field("name"), value: Value::text("Amina") };
        let changes = edit_each(&mut replica, 8, &[edit])?;
        let last = Row::of(&replica, first_author, changes)?;
        Ok(Self { rows: [first, second, concurrent, last], replica })
    }

    /// Goes on with what takes far fewer bytes than it stands for.
    ///
    /// # Errors
    /// If it is refused.
    pub fn repeating(&self) -> Result<Row> {
        let mut replica = self.replica.clone();
        let edit = Edit::Set { path: field("name"), value: Value::text("=".repeat(18_000)) };
        let changes = edit_each(&mut replica, 9, &[edit])?;
        Row::of(&replica, replica.actor(), changes)
    }
}

impl Row {
    fn of(replica: &Replica, author: ActorBytes, changes: Vec<LocalChange>) -> Result<Self> {
        let first_seq = changes.first().context("no change")?.seq;
        Ok(Self { context: replica.context(author, first_seq), first_seq, changes })
    }

    /// Makes the body of a chunk.
    ///
    /// # Errors
    /// If one chunk cannot hold it.
    pub fn body(&self, compression: frame::Compression) -> Result<Vec<u8>> {
        let raw: Vec<&[u8]> = self.changes.iter().map(|change| change.bytes.as_slice()).collect();
        Ok(frame::encode(&raw, &self.context, compression)?)
    }

    /// Lists the hashes of the changes.
    pub fn hashes(&self) -> Vec<[u8; 32]> {
        self.changes.iter().map(|change| change.hash).collect()
    }

    fn apply(&self, replica: &mut Replica) -> Result<()> {
        let body = self.body(frame::Compression::Smallest)?;
        let count = u32::try_from(self.changes.len())?;
        admit(replica, &body, self.context.author, self.first_seq, count).map(|_| ())
    }
}

/// Reads a body as a device does that knows everything it builds on, and takes it into a replica.
///
/// # Errors
/// If it is refused.
pub fn admit(replica: &mut Replica, body: &[u8], actor: ActorBytes, first_seq: u64, count: u32) -> Result<ParsedChunk> {
    let known = replica.clone();
    let expect =
        Expect { context: known.context(actor, first_seq), first_seq, count, closure: &|hash| known.has_change(hash) };
    let chunk = ParsedChunk::parse(body, &expect)?;
    replica.apply(&chunk)?;
    Ok(chunk)
}

/// Makes one change of each edit, a second apart.
fn edit_each(replica: &mut Replica, from_seconds: i64, edits: &[Edit]) -> Result<Vec<LocalChange>> {
    let mut changes = Vec::new();
    for (edit, seconds) in edits.iter().zip(from_seconds..) {
        changes.extend(replica.edit(std::slice::from_ref(edit), time(seconds))?);
    }
    Ok(changes)
}

/// An answer of each kind.
fn answers() -> Result<Vec<Edit>> {
    let set = |name: &str, value: Value| Edit::Set { path: field(name), value };
    let day = |text: &str| text.parse().context("a day");
    let entry = EntryId([1; 16]);
    let photo = Attachment {
        content: vereda_base::Digest([0xab; 32]),
        media_type: "image/jpeg".into(),
        size_bytes: 48_211,
        name: "arrival.jpg".into(),
        attached_at: time(1),
        note: String::new(),
    };
    Ok(vec![
        set("name", Value::text("Amina")),
        set("notes", Value::LongText("Came alone.".into())),
        set("age", Value::Integer(7)),
        set("weight", Value::Decimal("21.50".parse()?)),
        set("registered", Value::Boolean(true)),
        set("born", Value::Date(day("2019-03-04")?)),
        set("met_at", Value::DateTime(time(-90))),
        set("stay", Value::DateRange(DateRange { from: Some(day("2026-09-01")?), to: None })),
        set("sex", Value::choice("female")),
        set("needs", Value::Choices(["food".to_owned(), "health".to_owned()].into())),
        set("household", Value::Tally([("girls".to_owned(), 2), ("boys".to_owned(), 1)].into())),
        set("place", Value::Location("so.banadir".into())),
        set("photos", Value::Attachments([(EntryId([7; 16]), photo)].into())),
        set("alias", Value::Deleted),
        Edit::PutEntry { field: "siblings".into(), entry, order: "a".into() },
        Edit::Set { path: FieldPath::within("siblings", entry, "age"), value: Value::Integer(3) },
        Edit::FormVersion { form: "intake".into(), version: 4 },
    ])
}

fn field(name: &str) -> FieldPath {
    FieldPath::field(name)
}

const fn time(seconds: i64) -> Timestamp {
    Timestamp(START.0 + 1_000 * seconds)
}
