//! Chunks that a member sealed and signed, honest and hostile.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_base::{Digest, Incarnation, Timestamp, decode, limits::MAX_DEPS};
use vereda_crypto::{
    ChunkKeyScope, DeviceKey, DocumentEpochKey, Nonce24, Signed, commitment, context, derive_actor, derive_chunk_key,
    hash, open, seal,
};
use vereda_document::Refusal;
use vereda_protocol::Chunk;
use vereda_records::{Record, RecordType, Value};

use super::*;

struct Author {
    key: DeviceKey,
    keys: ChunkKeys,
    rng: ChaCha20Rng,
    open: OpenDocument,
}

const DOCUMENT: ChainId = ChainId([7; 32]);
const INCARNATION: Incarnation = Incarnation(3);

fn keys() -> ChunkKeys {
    let key = || DocumentEpochKey::make(&mut ChaCha20Rng::seed_from_u64(5));
    ChunkKeys { epoch: key(), first: key() }
}

impl Author {
    /// A member who created the document.
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = DeviceKey::generate(&mut rng);
        let actor = derive_actor(key.device_id(), INCARNATION, DOCUMENT);
        let (replica, change) = Replica::create(actor, RecordType::Case, Timestamp(1_000)).unwrap();
        let mut open = OpenDocument::with(DOCUMENT, replica);
        open.note_edit(&change);
        Self { key, keys: keys(), rng, open }
    }

    fn set(&mut self, field: &str, value: &str) {
        let before = self.open.replica.hydrate().unwrap();
        let after = before.clone().with(field, Value::text(value));
        let changes = self.open.replica.reconcile(&before, &after, Timestamp(2_000)).unwrap();
        changes.iter().for_each(|change| self.open.note_edit(change));
    }

    fn seal(&mut self, seq: u64, prev: Option<Link>) -> Chunk {
        self.seal_all(seq, prev).remove(0)
    }

    fn seal_all(&mut self, seq: u64, prev: Option<Link>) -> Vec<Chunk> {
        let inputs = SealInputs {
            key: &self.key,
            incarnation: INCARNATION,
            epoch: 0,
            keys: &self.keys,
            cites: Vec::new(),
            seq,
            prev,
        };
        self.open.seal_edits(inputs, &mut self.rng).unwrap()
    }

    /// Signs another header over the same body, sealed anew as a member can who holds the key.
    fn forge(&mut self, chunk: &Chunk, change: impl FnOnce(&mut Header)) -> Chunk {
        let mut header = header(chunk);
        let scope = scope(&header);
        let key = derive_chunk_key(&self.keys.epoch, &scope);
        let body = open(&key, &Nonce24(*header.nonce), &header.associated_data(), &chunk.ciphertext).unwrap();
        change(&mut header);
        let ciphertext = seal(&key, &Nonce24(*header.nonce), &header.associated_data(), &body);
        header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
        Chunk { header: Signed::sign(&self.key, &header).unwrap(), ciphertext }
    }
}

fn scope(header: &Header) -> ChunkKeyScope {
    ChunkKeyScope {
        suite: header.suite,
        kind: 0,
        document: header.document,
        device: header.device,
        incarnation: header.incarnation,
        seq: header.seq,
        epoch: header.epoch,
    }
}

fn header(chunk: &Chunk) -> Header {
    decode(chunk.header.bytes(), vereda_base::limits::MAX_HEADER_BYTES).unwrap()
}

fn reader() -> OpenDocument {
    OpenDocument::empty(DOCUMENT, derive_actor(vereda_base::DeviceId([1; 32]), INCARNATION, DOCUMENT))
}

fn take(reader: &mut OpenDocument, chunk: &Chunk) -> Result<(), ChunkFault> {
    let header = header(chunk);
    reader.take_chunk(chunk, &header, derive_actor(header.device, header.incarnation, DOCUMENT), &keys())
}

fn shown(document: &OpenDocument) -> Record {
    document.replica.hydrate().unwrap()
}

#[test]
fn what_one_member_seals_another_reads_with_its_author() {
    let mut author = Author::new(1);
    author.set("name", "Samir");
    let first = author.seal(0, None);
    author.set("name", "Samira");
    let second = author.seal(1, Some(header(&first).link()));
    assert_eq!(header(&second).deps, [header(&first).link()]);
    let mut reader = reader();
    assert!(matches!(take(&mut reader, &second), Err(ChunkFault::Missing { .. })));
    take(&mut reader, &first).unwrap();
    take(&mut reader, &second).unwrap();
    assert_eq!(shown(&reader), shown(&author.open));
    let actor = derive_actor(author.key.device_id(), INCARNATION, DOCUMENT);
    assert_eq!(reader.author(&actor), Some(author.key.device_id()));
}

#[test]
fn a_hostile_chunk_of_a_member_is_refused_and_the_reader_goes_on() {
    let mut author = Author::new(2);
    author.set("name", "Samir");
    let first = author.seal(0, None);
    author.set("name", "Samira");
    let honest = author.seal(1, Some(header(&first).link()));
    let mut reader = reader();
    take(&mut reader, &first).unwrap();
    let before = shown(&reader);

    let root = author.forge(&honest, |header| header.ops_root = Digest([9; 32]));
    assert_eq!(take(&mut reader, &root), Err(ChunkFault::OpsRoot));
    let key = author.forge(&honest, |header| header.commitment = commitment(&vereda_crypto::Key32::new([9; 32])));
    assert_eq!(take(&mut reader, &key), Err(ChunkFault::Commitment));
    let count = author.forge(&honest, |header| header.change_count = 2);
    assert!(matches!(take(&mut reader, &count), Err(ChunkFault::Refused(Refusal::Count { .. }))));
    let place = author.forge(&honest, |header| header.first_change += 1);
    assert!(matches!(take(&mut reader, &place), Err(ChunkFault::Refused(_))));
    let mut bytes = honest.clone();
    bytes.ciphertext[40] ^= 1;
    assert!(matches!(take(&mut reader, &bytes), Err(ChunkFault::Open(_))));
    let mut other = Author::new(3);
    other.set("name", "Omar");
    let rival = other.seal(0, None);
    assert!(matches!(take(&mut reader, &rival), Err(ChunkFault::Refused(_))), "a second creation");

    assert_eq!(shown(&reader), before);
    take(&mut reader, &honest).unwrap();
    assert_eq!(shown(&reader), shown(&author.open));
}

#[test]
fn a_dependency_that_the_header_does_not_name_is_refused() {
    let mut author = Author::new(4);
    author.set("name", "Samir");
    let first = author.seal(0, None);
    let mut reader = reader();
    take(&mut reader, &first).unwrap();
    let mut other = Author::new(5);
    other.open = OpenDocument::empty(DOCUMENT, derive_actor(other.key.device_id(), INCARNATION, DOCUMENT));
    take(&mut other.open, &first).unwrap();
    other.set("name", "Samira");
    let second = other.seal(0, None);
    assert_eq!(header(&second).deps, [header(&first).link()]);
    let hidden = other.forge(&second, |header| header.deps = Vec::new());
    assert!(matches!(take(&mut reader, &hidden), Err(ChunkFault::Refused(Refusal::OutsideClosure { .. }))));
    take(&mut reader, &second).unwrap();
}

/// A member who holds what a document began with.
fn member(seed: u64, first: &Chunk) -> Author {
    let mut member = Author::new(seed);
    member.open = OpenDocument::empty(DOCUMENT, derive_actor(member.key.device_id(), INCARNATION, DOCUMENT));
    take(&mut member.open, first).unwrap();
    member
}

/// What members write apart, each the field of his number.
fn apart(first: &Chunk, numbers: std::ops::Range<u64>) -> Vec<Chunk> {
    let write = |number: u64| {
        let mut member = member(100 + number, first);
        member.set(&format!("field_{number}"), "apart");
        member.seal(0, None)
    };
    numbers.map(write).collect()
}

#[test]
fn what_150_members_wrote_apart_one_edit_brings_together() {
    let first = Author::new(1).seal(0, None);
    let chunks = apart(&first, 0..150);
    let mut last = member(1_000, &first);
    chunks.iter().for_each(|chunk| take(&mut last.open, chunk).unwrap());
    last.set("name", "together");
    let together = last.seal(0, None);
    assert_eq!(header(&together).deps.len(), 150);
    last.set("name", "on");
    let on = last.seal(1, Some(header(&together).link()));
    assert_eq!(header(&on).deps, [header(&together).link()]);

    let mut reader = reader();
    let all = std::iter::once(&first).chain(&chunks).chain([&together, &on]);
    all.for_each(|chunk| take(&mut reader, chunk).unwrap());
    assert_eq!(shown(&reader), shown(&last.open));
}

#[test]
fn what_more_wrote_apart_than_a_header_may_name_an_edit_brings_together_in_several_chunks() {
    let first = Author::new(1).seal(0, None);
    let chunks = apart(&first, 0..800);
    let mut last = member(1_000, &first);
    chunks.iter().for_each(|chunk| take(&mut last.open, chunk).unwrap());
    last.set("name", "together");
    last.set("name", "on");
    let together = last.seal_all(0, None);
    let deps: Vec<usize> = together.iter().map(|chunk| header(chunk).deps.len()).collect();
    assert_eq!(deps, [MAX_DEPS, MAX_DEPS, 800 - 2 * MAX_DEPS + 2], "{deps:?}");

    let mut reader = reader();
    let all = std::iter::once(&first).chain(&chunks).chain(&together);
    all.for_each(|chunk| take(&mut reader, chunk).unwrap());
    assert_eq!(shown(&reader), shown(&last.open));
    assert_eq!(reader.replica.heads().len(), 1);
}

#[test]
fn edits_that_bring_together_more_than_a_header_may_name_between_them_are_sealed_apart() {
    let first = Author::new(1).seal(0, None);
    let chunks = apart(&first, 0..500);
    let (some, others) = chunks.split_at(250);
    let mut last = member(1_000, &first);
    for (number, part) in [some, others].into_iter().enumerate() {
        part.iter().for_each(|chunk| take(&mut last.open, chunk).unwrap());
        last.set("name", &number.to_string());
    }
    last.set("name", "on");
    let together = last.seal_all(0, None);
    assert_eq!(together.iter().map(|chunk| header(chunk).deps.len()).collect::<Vec<_>>(), [250, 251]);
    let mut reader = reader();
    let all = std::iter::once(&first).chain(&chunks).chain(&together);
    all.for_each(|chunk| take(&mut reader, chunk).unwrap());
    assert_eq!(shown(&reader), shown(&last.open));
}

#[test]
fn a_header_holds_as_many_deps_and_cites_as_are_allowed() {
    let mut author = Author::new(1);
    let mut full = header(&author.seal(0, None));
    let id = |number: usize| {
        let mut id = [255; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    };
    full.deps = (0..MAX_DEPS).map(|number| Link(id(number))).collect();
    let cite = |number| vereda_policy::Cite { chain: ChainId(id(number)), head: vereda_base::OpId(id(number)) };
    full.cites = (0..vereda_base::limits::MAX_CITES).map(cite).collect();
    (full.seq, full.first_change, full.epoch) = (u64::MAX, u64::MAX, u64::MAX);
    assert!(vereda_base::encode(&full).len() <= vereda_base::limits::MAX_HEADER_BYTES);
}

#[test]
fn a_saved_document_knows_its_chunks_without_reading_them() {
    let mut author = Author::new(1);
    let mut chunks = vec![author.seal(0, None)];
    for seq in 1..4 {
        author.set("name", &seq.to_string());
        let prev = header(chunks.last().unwrap()).link();
        chunks.push(author.seal(seq, Some(prev)));
    }
    let mut live = reader();
    chunks[..3].iter().for_each(|chunk| take(&mut live, chunk).unwrap());
    let index = decode(&vereda_base::encode(live.index()), 1 << 20).unwrap();
    let actor = live.replica.actor();
    let mut saved = OpenDocument::saved(DOCUMENT, actor, &live.replica.save(), index).unwrap().unwrap();
    let of_author = derive_actor(author.key.device_id(), INCARNATION, DOCUMENT);
    assert_eq!((saved.author(&of_author), &saved.clocks), (live.author(&of_author), &live.clocks));
    assert!(saved.has_chunk(&header(&chunks[2]).link()) && !saved.has_chunk(&header(&chunks[3]).link()));
    for open in [&mut live, &mut saved] {
        take(open, &chunks[3]).unwrap();
    }
    assert_eq!((shown(&saved), saved.clocks), (shown(&author.open), live.clocks));
}
