//! Chunks, from changes to signed and sealed bytes and back.

use anyhow::{Context as _, Result, ensure};
use minicbor::bytes::ByteArray;
use vereda_base::{Digest, Link, limits};
use vereda_crypto::{
    ChunkKeyScope, DocumentEpochKey, Key32, Nonce24, Signed, commitment, commits_to, context, derive_actor,
    derive_chunk_key, hash, open, ops_root, pad, seal, unpad,
};
use vereda_document::{Replica, frame::Compression};
use vereda_policy::{Cite, Role, SUITE, cite_content};
use vereda_protocol::{Chunk, ChunkKind, Header, decode_chunk, encode_chunk};

use super::Format;
use crate::{
    story::{self, Row, Story},
    vector::Vector,
    world::{Person, World},
};

pub(super) const FORMAT: Format = Format {
    name: "chunks",
    about: "Chunks of one case: keys and changes in; actor, chunk key, associated data, link and id out; the canonical \
            bytes (signed header and ciphertext) and the packed ones that stores keep",
    make,
    read,
};

/// The chunks of one case, in the order in which they were made.
pub(super) fn chunks(world: &World) -> Result<Vec<Chunk>> {
    Ok(case(world)?.into_iter().map(|(_, _, chunk)| chunk).collect())
}

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    case(&world)?.into_iter().map(|(name, about, chunk)| example(name, about, &world.case_key, &chunk)).collect()
}

/// Decodes, verifies and opens each chunk, and applies their changes in order.
fn read(vectors: &[Vector]) -> Result<()> {
    let mut replica: Option<Replica> = None;
    for vector in vectors {
        let max = limits::MAX_HEADER_BYTES + limits::MAX_CIPHERTEXT_BYTES + 256;
        let chunk: Chunk = vereda_base::decode(vector.bytes("bytes")?, max)?;
        let key = DocumentEpochKey::from_key(Key32::new(vector.array("epoch key")?));
        let now = example(&vector.name, &vector.about, &key, &chunk)?;
        if let Some(difference) = vector.difference(&now) {
            anyhow::bail!("{difference}");
        }
        ensure!(decode_chunk(vector.bytes("stored")?)? == chunk, "vector {:?}: stored otherwise", vector.name);
        let header = chunk.header.clone().verify()?.into_value();
        let actor = derive_actor(header.device, header.incarnation, header.document);
        let replica = replica.get_or_insert_with(|| Replica::empty(actor));
        let body = body_of(&chunk, &header, &key)?;
        let parsed = story::admit(replica, &body, actor, header.first_change, header.change_count)?;
        ensure!(ops_root(&key, parsed.hashes()) == header.ops_root, "vector {:?}: other changes", vector.name);
    }
    Ok(())
}

type Named = (&'static str, &'static str, Chunk);

fn case(world: &World) -> Result<Vec<Named>> {
    let actor = |person: &Person| derive_actor(person.key.device_id(), person.incarnation, world.case);
    let story = Story::write(actor(&world.chipo), actor(&world.amina))?;
    let [first_row, second_row, concurrent_row, last_row] = &story.rows;
    let first = sealed(world, &world.chipo, first_row, Place::first(), 1)?;
    let one = Place { seq: 1, prev: Some(first.1), deps: vec![first.1] };
    let second = sealed(world, &world.chipo, second_row, one, 2)?;
    let concurrent = Place { seq: 0, prev: None, deps: vec![first.1] };
    let other = sealed(world, &world.amina, concurrent_row, concurrent, 3)?;
    let mut deps = vec![second.1, other.1];
    deps.sort_unstable();
    let last = sealed(world, &world.chipo, last_row, Place { seq: 2, prev: Some(second.1), deps }, 4)?;
    let one = Place { seq: 1, prev: Some(first.1), deps: vec![first.1] };
    let again = sealed(world, &world.chipo, second_row, one, 5)?;
    ensure!(again.1 == second.1 && again.0 != second.0, "a chunk sealed again has the link of the first");
    Ok(vec![
        ("first", "creates the document", first.0),
        ("second", "builds on the first", second.0),
        ("concurrent", "by another device, beside the second", other.0),
        ("last", "builds on both", last.0),
        ("second again", "the second, sealed again: the same link, another id", again.0),
    ])
}

/// Where a chunk stands.
struct Place {
    seq: u64,
    prev: Option<Link>,
    deps: Vec<Link>,
}

impl Place {
    const fn first() -> Self {
        Self { seq: 0, prev: None, deps: Vec::new() }
    }
}

fn sealed(world: &World, author: &Person, row: &Row, place: Place, nonce: u8) -> Result<(Chunk, Link)> {
    let padded = pad(&row.body(Compression::Stored)?)?;
    let mut header = Header {
        suite: SUITE,
        kind: ChunkKind::Changes,
        document: world.case,
        epoch: 0,
        device: author.key.device_id(),
        incarnation: author.incarnation,
        seq: place.seq,
        prev: place.prev,
        deps: place.deps,
        cites: cites(world, author)?,
        first_change: row.first_seq,
        change_count: u32::try_from(row.changes.len())?,
        ciphertext_len: u32::try_from(padded.len() + vereda_crypto::sealed::TAG_BYTES)?,
        ciphertext_hash: Digest([0; 32]),
        commitment: Digest([0; 32]),
        nonce: ByteArray::from([nonce; 24]),
        ops_root: ops_root(&world.case_key, &row.hashes()),
    };
    let key = chunk_key(&header, &world.case_key);
    header.commitment = commitment(&key);
    let ciphertext = seal(&key, &Nonce24([nonce; 24]), &header.associated_data(), &padded);
    header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
    let link = header.link();
    Ok((Chunk { header: Signed::sign(&author.key, &header)?, ciphertext }, link))
}

fn cites(world: &World, author: &Person) -> Result<Vec<Cite>> {
    let device = author.key.device_id();
    cite_content(&world.chains, &device, &world.case, Role::Editor, None).context("the author may not write")
}

fn chunk_key(header: &Header, epoch_key: &DocumentEpochKey) -> Key32 {
    let scope = ChunkKeyScope {
        suite: header.suite,
        kind: 0,
        document: header.document,
        device: header.device,
        incarnation: header.incarnation,
        seq: header.seq,
        epoch: header.epoch,
    };
    derive_chunk_key(epoch_key, &scope)
}

fn body_of(chunk: &Chunk, header: &Header, epoch_key: &DocumentEpochKey) -> Result<Vec<u8>> {
    let key = chunk_key(header, epoch_key);
    ensure!(commits_to(&header.commitment, &key), "the chunk key is not the one committed to");
    ensure!(hash(context::CIPHERTEXT, &[&chunk.ciphertext]) == header.ciphertext_hash.0, "another ciphertext");
    let padded = open(&key, &Nonce24(*header.nonce), &header.associated_data(), &chunk.ciphertext)?;
    Ok(unpad(&padded)?.to_vec())
}

fn example(name: &str, about: &str, epoch_key: &DocumentEpochKey, chunk: &Chunk) -> Result<Vector> {
    let header = chunk.header.clone().verify()?.into_value();
    Ok(Vector::new(name, about)
        .with("epoch key", epoch_key.key().expose())
        .with("document", header.document.0)
        .with("device", header.device.0)
        .with_number("incarnation", header.incarnation.0)
        .with_number("seq", header.seq)
        .with("actor", derive_actor(header.device, header.incarnation, header.document).0)
        .with("chunk key", chunk_key(&header, epoch_key).expose())
        .with("associated data", header.associated_data())
        .with("body", body_of(chunk, &header, epoch_key)?)
        .with("operations root", header.ops_root.0)
        .with("link", header.link().0)
        .with("id", chunk.id().0)
        .with("bytes", vereda_base::encode(chunk))
        .with("stored", encode_chunk(chunk)))
}
