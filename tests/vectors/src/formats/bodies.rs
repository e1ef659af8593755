//! Bodies of chunks.

use anyhow::{Result, ensure};
use vereda_base::ActorBytes;
use vereda_document::{Replica, frame, frame::Compression};

use super::Format;
use crate::{
    story::{self, Story},
    vector::Vector,
};

pub(super) const FORMAT: Format = Format {
    name: "bodies",
    about: "Bodies of chunks before padding and sealing, stored and compressed, with the raw Automerge changes and their \
            hashes; before it both sides know author, creator and the author's change before it (zeros: none). The compressed bytes follow the compressor's version: where only they differ, and still read, it \
            may be regenerated",
    make,
    read,
};

const FIRST: ActorBytes = ActorBytes([0x01; 16]);
const SECOND: ActorBytes = ActorBytes([0x02; 16]);

fn make() -> Result<Vec<Vector>> {
    let story = Story::write(FIRST, SECOND)?;
    let names = [
        "created and filled",
        "two edits",
        "concurrent edits by another",
        "an edit over both",
        "lines that repeat: filled up with zeros",
    ];
    let repeating = story.repeating()?;
    let mut vectors = Vec::new();
    for (name, row) in names.into_iter().zip(story.rows.iter().chain([&repeating])) {
        let mut vector = Vector::new(name, "a row of changes by one author")
            .with("author", row.context.author.0)
            .with("creator", row.context.creator.0)
            .with("previous", row.context.previous.unwrap_or_default())
            .with_number("first seq", row.first_seq)
            .with("bytes", row.body(Compression::Stored)?)
            .with("compressed", row.body(Compression::Smallest)?);
        for (index, change) in row.changes.iter().enumerate() {
            vector = vector.with(format!("change {index}"), &change.bytes).with(format!("hash {index}"), change.hash);
        }
        vectors.push(vector);
    }
    Ok(vectors)
}

/// Reads each body in both forms, and applies them in order.
fn read(vectors: &[Vector]) -> Result<()> {
    let mut replica = Replica::empty(ActorBytes([0x03; 16]));
    for vector in vectors {
        let (author, first_seq) = (ActorBytes(vector.array("author")?), vector.number("first seq")?);
        let context = replica.context(author, first_seq);
        vector.expect("creator", context.creator.0)?;
        vector.expect("previous", context.previous.unwrap_or_default())?;
        let raw: Vec<&[u8]> = vector.all_bytes("change ").collect();
        for form in ["bytes", "compressed"] {
            let found = frame::decode(vector.bytes(form)?, &context)?;
            ensure!(found == raw, "vector {:?}, part {form:?}: other changes", vector.name);
        }
        vector.expect("bytes", frame::encode(&raw, &context, Compression::Stored)?)?;
        let count = u32::try_from(raw.len())?;
        let chunk = story::admit(&mut replica, vector.bytes("compressed")?, author, first_seq, count)?;
        let hashes: Vec<&[u8]> = vector.all_bytes("hash ").collect();
        ensure!(chunk.hashes() == hashes, "vector {:?}: other hashes", vector.name);
    }
    replica.hydrate()?;
    Ok(())
}
