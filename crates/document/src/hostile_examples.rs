//! Changes as an attacker would make them, one kind each: for tests that show the harm and the refusal. Not part of any
//! program.

use vereda_base::{ActorBytes, Timestamp};
use vereda_records::{FieldPath, Value};

use crate::{
    Edit, Replica,
    anatomy::{Action, Anatomy, Key, OpRef, Operation, enclose},
    frame::{Compression, Context},
    shape::{ROOTS, Root},
    varint::{write_length, write_prefixed, write_signed, write_unsigned},
};

/// A kind of attack by someone who may write to the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// A first counter so large that the next edit of whoever applies it panics.
    ExtremeStartOp,
    /// A first counter a little too large: counters run out early.
    InflatedStartOp,
    /// Two changes with one seq in a batch: the whole batch fails.
    RepeatedSeq,
    /// A seq left out.
    SkippedSeq,
    /// A change under the actor of someone else.
    ForeignActor,
    /// A dependency that nobody has: the change is parked in silence.
    MissingDependency,
    /// A change beside its author's own history instead of behind it.
    Detached,
    /// The root maps made again: what stood in the old ones vanishes.
    RootsAgain,
    /// A text made over another: it vanishes.
    TextOverText,
    /// A put that says it saw what its author did not see, and so hides it.
    UnseenOverwritten,
    /// A put that overwrites nothing where something stood: a conflict out of nothing.
    NothingOverwritten,
    /// An element inserted behind one that no text has.
    UnknownElement,
    /// An element inserted behind one of another text.
    ElementOfAnotherText,
    /// An operation on an object that nobody made.
    UnknownObject,
    /// An operation of a kind that we do not write: a counter's increment.
    ForeignAction,
    /// A few bytes that stand for a million operations.
    EndlessRows,
    /// A message and bytes behind the columns.
    MessageAndExtraBytes,
    /// A column marked as deflated.
    DeflatedColumn,
    /// A change with the checksum of another.
    WrongChecksum,
}

/// Every attack.
pub const ATTACKS: [Attack; 19] = [
    Attack::ExtremeStartOp,
    Attack::InflatedStartOp,
    Attack::RepeatedSeq,
    Attack::SkippedSeq,
    Attack::ForeignActor,
    Attack::MissingDependency,
    Attack::Detached,
    Attack::RootsAgain,
    Attack::TextOverText,
    Attack::UnseenOverwritten,
    Attack::NothingOverwritten,
    Attack::UnknownElement,
    Attack::ElementOfAnotherText,
    Attack::UnknownObject,
    Attack::ForeignAction,
    Attack::EndlessRows,
    Attack::MessageAndExtraBytes,
    Attack::DeflatedColumn,
    Attack::WrongChecksum,
];

/// What an attacker sends.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// What both sides know before it.
    pub context: Context,
    /// Seq of the first change, as his header would announce it.
    pub first_seq: u64,
    /// Raw bytes of the changes.
    pub changes: Vec<Vec<u8>>,
}

impl Hostile {
    /// Makes a chunk body of the changes, without any check of ours.
    pub fn body(&self) -> Vec<u8> {
        let checked = crate::frame::encode(&self.changes, &self.context, Compression::Smallest);
        checked.unwrap_or_else(|_| {
            let mut frame = vec![0];
            write_length(&mut frame, self.changes.len());
            for change in &self.changes {
                write_prefixed(&mut frame, content(change));
            }
            let mut body = vec![0];
            write_length(&mut body, frame.len());
            body.extend(frame);
            body
        })
    }
}

fn content(change: &[u8]) -> &[u8] {
    let mut reader = crate::varint::Reader::new(change);
    let content = reader.take(9).and_then(|_| reader.prefixed());
    content.unwrap_or_default()
}

const NAME: &str = "name";
const NOTES: &str = "notes";
const OTHER_NOTES: &str = "other_notes";

/// Prepares a document so that every attack has something to harm: a name, and two long texts.
pub fn prepare(victim: &mut Replica) -> Option<crate::LocalChange> {
    let set = |field: &str, value| Edit::Set { path: FieldPath::field(field), value };
    let edits = [
        set(NAME, Value::text("Amina")),
        set(NOTES, Value::LongText("seen at the gate".into())),
        set(OTHER_NOTES, Value::LongText("else".into())),
    ];
    victim.edit(&edits, Timestamp(0)).ok()?.pop()
}

/// Makes an attack on a prepared document, by an attacker who has not written to it yet; none where the document is not
/// prepared.
pub fn attack(kind: Attack, victim: &Replica, attacker: ActorBytes) -> Option<Hostile> {
    let mut own = Replica::load(&victim.save(), attacker).ok()?;
    let mut next = |value: &str| {
        let path = FieldPath::field(NAME);
        own.edit(&[Edit::Set { path, value: Value::text(value) }], Timestamp(1_000)).ok()?.pop()
    };
    let first = next("first")?;
    let second = next("second")?;
    let mut anatomy = Anatomy::read(&first.bytes).ok()?;
    let mut later = Anatomy::read(&second.bytes).ok()?;
    let honest = anatomy.clone();
    let mut changes = Vec::new();
    match kind {
        Attack::ExtremeStartOp => anatomy.start_op = u64::from(u32::MAX),
        Attack::InflatedStartOp => anatomy.start_op += 1_000,
        Attack::RepeatedSeq => {
            later.seq = 1;
            changes = vec![honest.write().0, later.write().0];
        }
        Attack::SkippedSeq => anatomy.seq = 2,
        Attack::ForeignActor => anatomy.actor = ActorBytes([0xfe; 16]),
        Attack::MissingDependency => anatomy.deps = vec![[0xab; 32]],
        Attack::Detached => {
            later.deps.clone_from(&honest.deps);
            later.start_op = honest.start_op;
            later.operations.clone_from(&honest.operations);
            changes = vec![honest.write().0, later.write().0];
        }
        Attack::RootsAgain => anatomy.operations = ROOTS.map(make).into(),
        Attack::TextOverText => *operation(&mut anatomy)? = text_over_text(victim, &honest)?,
        Attack::UnseenOverwritten => {
            // As an author who had seen only the creating change.
            let summary = victim.changes().into_iter().next()?;
            let created = Anatomy::read(&victim.change_bytes(&summary.hash)?).ok()?;
            anatomy.deps = vec![summary.hash];
            anatomy.start_op = created.max_op() + 1;
            anatomy.operations.first_mut()?.replaces.iter_mut().for_each(|replaced| replaced.counter = 2);
        }
        Attack::NothingOverwritten => operation(&mut anatomy)?.replaces.clear(),
        Attack::UnknownElement => *operation(&mut anatomy)? = insert(victim, NOTES, None)?,
        Attack::ElementOfAnotherText => *operation(&mut anatomy)? = insert(victim, NOTES, Some(OTHER_NOTES))?,
        Attack::UnknownObject => operation(&mut anatomy)?.object = Some(OpRef { actor: 1, counter: 9 }),
        Attack::ForeignAction => changes = vec![with_byte(&honest.write().0, &[0x7f, 1, 0x7f, 0x66], &[0x7f, 5])?],
        Attack::EndlessRows => changes = vec![endless_rows(&honest, 1 << 20)],
        Attack::MessageAndExtraBytes => changes = vec![message_and_extra_bytes(&honest)?],
        Attack::DeflatedColumn => changes = vec![with_byte(&honest.write().0, &[0x57, 6], &[0x5f, 6])?],
        Attack::WrongChecksum => {
            let (mut raw, _) = honest.write();
            raw.get_mut(4..8)?.fill(0);
            changes = vec![raw];
        }
    }
    if changes.is_empty() {
        changes.push(anatomy.write().0);
    }
    Some(Hostile { context: victim.context(attacker, 1), first_seq: 1, changes })
}

fn operation(anatomy: &mut Anatomy) -> Option<&mut Operation> {
    anatomy.operations.last_mut()
}

fn make(root: Root) -> Operation {
    let key = Key::Map(root.name().into());
    Operation {
        object: None,
        key,
        insert: false,
        action: Action::MakeMap,
        meta: 0,
        value: Vec::new(),
        replaces: Vec::new(),
    }
}

/// Finds the creator's operation that made a text, as a reference from a change of another.
fn made_text(victim: &Replica, field: &str) -> Option<(OpRef, Operation)> {
    for summary in victim.changes() {
        let anatomy = Anatomy::read(&victim.change_bytes(&summary.hash)?).ok()?;
        for (operation, counter) in anatomy.operations.iter().zip(anatomy.start_op..) {
            if operation.action == Action::MakeText && matches!(&operation.key, Key::Map(key) if **key == *field) {
                return Some((OpRef { actor: 1, counter }, operation.clone()));
            }
        }
    }
    None
}

fn text_over_text(victim: &Replica, honest: &Anatomy) -> Option<Operation> {
    let (reference, mut operation) = made_text(victim, NOTES)?;
    let object = honest.operations.last()?.object?;
    operation.object = Some(OpRef { actor: object.actor, counter: operation.object?.counter });
    operation.replaces = vec![reference];
    Some(operation)
}

fn insert(victim: &Replica, field: &str, behind_first_of: Option<&str>) -> Option<Operation> {
    let (text, _) = made_text(victim, field)?;
    let element = match behind_first_of {
        // The first character is the operation after the one that makes the text.
        Some(other) => OpRef { actor: 1, counter: made_text(victim, other)?.0.counter + 1 },
        // The creating change's first operation is no element.
        None => OpRef { actor: 1, counter: 1 },
    };
    Some(Operation {
        object: Some(text),
        key: Key::Element(element),
        insert: true,
        action: Action::Put,
        meta: (1 << 4) | 6,
        value: b"x".to_vec(),
        replaces: Vec::new(),
    })
}

/// Exchanges bytes of a change and gives it the checksum that fits.
fn with_byte(raw: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut content = content(raw).to_vec();
    let at = content.windows(from.len()).rposition(|window| window == from)?;
    content.get_mut(at..at + to.len())?.copy_from_slice(to);
    Some(enclose(&content).0)
}

fn header(anatomy: &Anatomy, message: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    write_length(&mut content, anatomy.deps.len());
    for dep in &anatomy.deps {
        content.extend_from_slice(dep);
    }
    write_prefixed(&mut content, &anatomy.actor.0);
    write_unsigned(&mut content, anatomy.seq);
    write_unsigned(&mut content, anatomy.start_op);
    write_signed(&mut content, anatomy.time);
    write_prefixed(&mut content, message);
    write_length(&mut content, anatomy.others.len());
    for other in &anatomy.others {
        write_prefixed(&mut content, &other.0);
    }
    content
}

/// Makes a change of less than two hundred bytes that stands for so many puts of one key.
pub(crate) fn endless_rows(anatomy: &Anatomy, rows: i64) -> Vec<u8> {
    let run = |value: &[u8]| {
        let mut column = Vec::new();
        write_signed(&mut column, rows);
        column.extend_from_slice(value);
        column
    };
    let mut inserts = Vec::new();
    write_unsigned(&mut inserts, rows.cast_unsigned());
    let columns = [(0x15, run(&[1, b'k'])), (0x34, inserts), (0x42, run(&[1])), (0x56, run(&[0])), (0x70, run(&[0]))];
    let mut content = header(anatomy, &[]);
    write_length(&mut content, columns.len());
    for (spec, column) in &columns {
        write_unsigned(&mut content, *spec);
        write_length(&mut content, column.len());
    }
    for (_, column) in &columns {
        content.extend_from_slice(column);
    }
    enclose(&content).0
}

fn message_and_extra_bytes(anatomy: &Anatomy) -> Option<Vec<u8>> {
    let (raw, _) = anatomy.write();
    let rest = content(&raw).get(header(anatomy, &[]).len()..)?;
    let mut content = header(anatomy, b"call home");
    content.extend_from_slice(rest);
    content.extend_from_slice(&[0; 64]);
    Some(enclose(&content).0)
}
