//! Members who write one case apart, on as many stores as they may have, so that nobody else's edit could name all that it
//! builds on.

use serde_json::json;
use vereda_adversary::{line::header_of, town::Town};
use vereda_base::{
    ChainId, Digest, Incarnation, Timestamp,
    limits::{MAX_DEPS, MAX_INCARNATIONS},
};
use vereda_crypto::{
    ChunkKeyScope, DocumentEpochKey, Key32, Nonce24, Signed, commitment, context, derive_actor, derive_chunk_key, hash,
    open, ops_root,
    padding::{pad, unpad},
    seal,
    sealed::TAG_BYTES,
};
use vereda_document::{
    Edit, Expect, ParsedChunk, Replica,
    frame::{Compression, encode},
};
use vereda_policy::Role;
use vereda_protocol::{Chunk, Header};
use vereda_records::{FieldPath, Value};
use vereda_sync::{people::Person, relay::store::Entry};

const CROWD: usize = MAX_DEPS / MAX_INCARNATIONS + 1;

/// Derives the key of a chunk from its epoch's.
pub fn chunk_key(key: &Key32, header: &Header) -> Key32 {
    let scope = ChunkKeyScope {
        suite: header.suite,
        kind: 0,
        document: header.document,
        device: header.device,
        incarnation: header.incarnation,
        seq: header.seq,
        epoch: header.epoch,
    };
    derive_chunk_key(&DocumentEpochKey::from_key(key.clone()), &scope)
}

/// Reads the first chunk of a case, with its key.
fn replica_of(chunk: &Chunk, key: &Key32, actor: vereda_base::ActorBytes) -> Replica {
    let header = header_of(chunk);
    let opened =
        open(&chunk_key(key, &header), &Nonce24(*header.nonce), &header.associated_data(), &chunk.ciphertext).unwrap();
    let mut replica = Replica::empty(actor);
    let author = derive_actor(header.device, header.incarnation, header.document);
    let expect = Expect {
        context: replica.context(author, header.first_change),
        first_seq: header.first_change,
        count: header.change_count,
        closure: &|_| false,
    };
    replica.apply(&ParsedChunk::parse(unpad(&opened).unwrap(), &expect).unwrap()).unwrap();
    replica
}

/// Names a case under an incarnation of a member's own, on top of its first chunk alone.
fn apart(author: &mut Person, first: &Chunk, key: &Key32, number: u64) -> Chunk {
    let below = header_of(first);
    let mut header = author.header(below.document, 0, None, &[below.link()], 1);
    header.incarnation = Incarnation(number);
    let actor = derive_actor(header.device, header.incarnation, header.document);
    let mut replica = replica_of(first, key, actor);
    let context = replica.context(actor, 1);
    let value = Value::text(format!("{number} of {}", header.device));
    let edit = Edit::Set { path: FieldPath::field("name_first"), value };
    let made = replica.edit(&[edit], Timestamp(1_000)).unwrap().remove(0);
    let body = pad(&encode(&[&made.bytes], &context, Compression::default()).unwrap()).unwrap();
    let chunk_key = chunk_key(key, &header);
    header.ops_root = ops_root(&DocumentEpochKey::from_key(key.clone()), &[made.hash]);
    header.commitment = commitment(&chunk_key);
    header.ciphertext_len = u32::try_from(body.len() + TAG_BYTES).unwrap();
    header.ciphertext_hash = Digest([0; 32]);
    let ciphertext = seal(&chunk_key, &Nonce24(*header.nonce), &header.associated_data(), &body);
    header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
    Chunk { header: Signed::sign(&author.key, &header).unwrap(), ciphertext }
}

fn chunks_of(town: &Town, case: &ChainId) -> Vec<Chunk> {
    let chunk = |entry| match entry {
        Entry::Chunk(chunk) if header_of(&chunk).document == *case => Some(chunk),
        _ => None,
    };
    town.entries().into_iter().filter_map(chunk).collect()
}

#[test]
fn a_case_that_was_written_apart_more_often_than_a_chunk_can_name_is_still_written_by_all() {
    let (mut town, team) = Town::found();
    let colleague = town.join(team, Role::Editor, "Chipo");
    let crowd: Vec<usize> = (0..CROWD).map(|number| town.join(team, Role::Editor, &format!("B{number}"))).collect();
    let case = town.create_case(0, "Ana");
    let [first] = &chunks_of(&town, &case)[..] else { panic!("one chunk") };
    for member in crowd {
        let (mut author, key) = (town.insider(member), town.keys(member)[&(case, 0)].clone());
        town.cut(member);
        let chunks: Vec<Chunk> =
            (0..MAX_INCARNATIONS as u64).map(|number| apart(&mut author, first, &key, number)).collect();
        town.push_by_hand(&author, &chunks);
    }
    town.settle();
    let before = chunks_of(&town, &case).len();
    assert!(before > MAX_DEPS);
    let conflicts = |town: &mut Town, device: usize| town.devices[device].conflicts_of(&case).unwrap();
    let [conflict] = &conflicts(&mut town, colleague)[..] else { panic!("one conflict") };
    assert_eq!(conflict.values.len(), before - 1);

    town.on(colleague, |device, ambient| device.resolve_conflict(ambient, &case, "name_first", &json!("Ana B.")))
        .unwrap();
    town.settle();
    let written: Vec<Header> = chunks_of(&town, &case)[before..].iter().map(header_of).collect();
    assert_eq!(written.len(), 2, "one that joins, one with the edit");
    assert!(written.iter().all(|header| header.deps.len() <= MAX_DEPS));
    for device in [0, colleague] {
        assert_eq!(town.name(device, &case), "Ana B.");
        assert!(conflicts(&mut town, device).is_empty());
    }
    town.rename(0, &case, "Ana C.");
    let last = header_of(chunks_of(&town, &case).last().unwrap());
    assert_eq!(last.deps, [written[1].link()], "one head is left");
    assert_eq!(town.name(colleague, &case), "Ana C.");
}
