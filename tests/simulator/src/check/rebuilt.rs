//! A case rebuilt from the relay's log alone, as a device would that joined now: the reference for every replica.

use std::collections::BTreeMap;

use vereda_base::ChainId;
use vereda_crypto::{
    ChunkKeyScope, DocumentEpochKey, Key32, Nonce24, commits_to, context, derive_actor, derive_chunk_key, hash, open,
    ops_root, padding::unpad,
};
use vereda_document::{Expect, ParsedChunk, Place, Replica};
use vereda_protocol::Header;
use vereda_records::{FieldPath, Value};

use crate::{
    breach::{Breach, Checker},
    model::LoggedChunk,
    world::{Person, World},
};

/// A rebuilt case.
pub(crate) struct Rebuilt {
    /// Its digest, as devices compute it.
    pub(crate) digest: [u8; 32],
    /// What each change wrote: places and values.
    pub(crate) written: BTreeMap<[u8; 32], Vec<(String, Value)>>,
    /// Every change of each actor, by seq.
    pub(crate) by_actor: BTreeMap<[u8; 16], Vec<[u8; 32]>>,
}

impl Rebuilt {
    /// Opens and applies every chunk of a case in the log.
    pub(crate) fn of(world: &World, case: &ChainId) -> Result<Self, Breach> {
        let failed = |what: &str| Breach { checker: Checker::Agreement, what: format!("case {case}: {what}") };
        // Where the relay forked, an epoch of one number is another in each history, and so is its key.
        let keys_of = |epoch: u64| {
            let held = move |person: &Person| person.hand.with_held(|held| held.key(case, epoch).cloned());
            world.people.iter().filter_map(held).map(DocumentEpochKey::from_key)
        };
        let first = keys_of(0).next().ok_or_else(|| failed("no device ever held its first key"))?;
        let chunks = world.model.chunks.get(case).map(Vec::as_slice).unwrap_or_default();
        let mut replica = Replica::empty(vereda_base::ActorBytes([0xff; 16]));
        for logged in chunks {
            let opens = |key: &DocumentEpochKey| commits_to(&logged.header.commitment, &chunk_key(&logged.header, key));
            let key = keys_of(logged.header.epoch).find(opens);
            let key = key.ok_or_else(|| failed("no device ever held the key of a chunk"))?;
            let chunk = admit(&replica, logged, &key, &first).map_err(failed)?;
            replica.apply(&chunk).map_err(|error| failed(&format!("a chunk does not apply: {error}")))?;
        }
        let record = replica.hydrate().map_err(|error| failed(&format!("no record: {error}")))?;
        let content = serde_json::to_vec(&record).unwrap_or_default();
        let heads = replica.heads();
        let digest = hash(context::REPLICA_DIGEST, &[case.as_bytes(), heads.as_flattened(), &content]);
        let mut written: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in replica.full_history() {
            written.entry(entry.change).or_default().push((name(&entry.place), entry.value));
        }
        let mut by_actor: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut changes = replica.changes();
        changes.sort_by_key(|change| change.seq);
        for change in changes {
            by_actor.entry(change.actor.0).or_default().push(change.hash);
            written.entry(change.hash).or_default();
        }
        Ok(Self { digest, written, by_actor })
    }
}

fn admit(
    replica: &Replica,
    logged: &LoggedChunk,
    key: &DocumentEpochKey,
    first: &DocumentEpochKey,
) -> Result<ParsedChunk, &'static str> {
    let header = &logged.header;
    let padded =
        open(&chunk_key(header, key), &Nonce24(*header.nonce), &header.associated_data(), &logged.chunk.ciphertext)
            .map_err(|_| "a chunk does not open")?;
    let body = unpad(&padded).map_err(|_| "a chunk is not padded")?;
    let actor = derive_actor(header.device, header.incarnation, header.document);
    let context = replica.context(actor, header.first_change);
    let everything = |_: &[u8; 32]| true;
    let expect = Expect { context, first_seq: header.first_change, count: header.change_count, closure: &everything };
    let parsed = ParsedChunk::parse(body, &expect).map_err(|_| "a chunk is not admitted")?;
    if ops_root(first, parsed.hashes()) != header.ops_root {
        return Err("a chunk does not match its ops_root");
    }
    Ok(parsed)
}

/// Derives the key of a chunk from its epoch's.
pub(super) fn chunk_key(header: &Header, key: &DocumentEpochKey) -> Key32 {
    let scope = ChunkKeyScope {
        suite: header.suite,
        kind: 0,
        document: header.document,
        device: header.device,
        incarnation: header.incarnation,
        seq: header.seq,
        epoch: header.epoch,
    };
    derive_chunk_key(key, &scope)
}

/// Writes a place as devices do.
fn name(place: &Place) -> String {
    match place {
        Place::Answer(path) => path.to_string(),
        Place::Member { answer, member } => format!("{answer}/{member}"),
        Place::Entry { field, entry } => FieldPath::entry(field, *entry).to_string(),
        Place::FormVersion { form } => format!("form:{form}"),
    }
}
