//! A device of these tests: a replica, and what it made.

use vereda_base::ActorBytes;
use vereda_document::{
    Edit, Expect, LocalChange, ParsedChunk, Replica,
    frame::{Compression, encode},
};
use vereda_records::{FieldPath, Record, RecordType, Value};

use crate::AT;

/// A device: its replica and the chunks it made, one change each.
pub(crate) struct Device {
    pub(crate) replica: Replica,
    pub(crate) made: Vec<LocalChange>,
}

impl Device {
    pub(crate) fn edit(&mut self, edits: &[Edit]) {
        self.made.extend(self.replica.edit(edits, AT).unwrap());
    }

    pub(crate) fn set(&mut self, field: &str, value: Value) {
        self.edit(&[Edit::Set { path: FieldPath::field(field), value }]);
    }

    pub(crate) fn splice(&mut self, at: usize, delete: usize, insert: &str) {
        let path = FieldPath::field("notes");
        self.edit(&[Edit::Splice { path, at, delete, insert: insert.into() }]);
    }

    /// Takes in what another device made, through the body of a chunk and admission.
    pub(crate) fn hear(&mut self, other: &Self) {
        if let Some(first) = other.made.first() {
            let raw: Vec<_> = other.made.iter().map(|change| &change.bytes).collect();
            let body =
                encode(&raw, &other.replica.context(other.replica.actor(), first.seq), Compression::Smallest).unwrap();
            let known = self.replica.clone();
            let expect = Expect {
                context: known.context(other.replica.actor(), first.seq),
                first_seq: first.seq,
                count: u32::try_from(raw.len()).unwrap(),
                closure: &|hash| known.has_change(hash),
            };
            let chunk = ParsedChunk::parse(&body, &expect).unwrap();
            let hashes: Vec<_> = other.made.iter().map(|change| change.hash).collect();
            assert_eq!(chunk.hashes(), hashes);
            self.replica.apply(&chunk).unwrap();
        }
    }

    pub(crate) fn record(&self) -> Record {
        self.replica.hydrate().unwrap()
    }

    pub(crate) fn answer(&self, field: &str) -> Option<Value> {
        self.record().answer(field).cloned()
    }
}

/// Makes a document with some answers, and devices that all hold it.
pub(crate) fn devices<const N: usize>(prepare: impl FnOnce(&mut Device)) -> [Device; N] {
    let saved = saved(prepare);
    std::array::from_fn(|index| open(&saved, ActorBytes([u8::try_from(index).unwrap() + 1; 16])))
}

/// Makes a document with some answers, and saves it.
pub(crate) fn saved(prepare: impl FnOnce(&mut Device)) -> Vec<u8> {
    let (replica, _) = Replica::create(ActorBytes([1; 16]), RecordType::Case, AT).unwrap();
    let mut creator = Device { replica, made: Vec::new() };
    prepare(&mut creator);
    creator.replica.save()
}

/// Opens a device that holds a saved document.
pub(crate) fn open(saved: &[u8], actor: ActorBytes) -> Device {
    Device { replica: Replica::load(saved, actor).unwrap(), made: Vec::new() }
}

pub(crate) fn meet(a: &mut Device, b: &mut Device) {
    a.hear(b);
    b.hear(a);
    assert_eq!(a.replica.heads(), b.replica.heads());
    assert_eq!(a.record(), b.record());
    assert_eq!(a.replica.conflicts(), b.replica.conflicts());
}
