//! Saved replicas.

use anyhow::{Context as _, Result};
use vereda_base::ActorBytes;
use vereda_document::Replica;
use vereda_records::{FieldPath, Value};

use super::Format;
use crate::{story::Story, vector::Vector};

pub(super) const FORMAT: Format = Format {
    name: "replicas",
    about: "Replicas as they are saved: an Automerge document without compression; its heads; what it says",
    make,
    read,
};

const ACTOR: ActorBytes = ActorBytes([0x01; 16]);

fn make() -> Result<Vec<Vector>> {
    let replica = Story::write(ACTOR, ActorBytes([0x02; 16]))?.replica;
    Ok(vec![example("case", "a case by two authors", &replica)?])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let replica = Replica::load(vector.bytes("bytes")?, ACTOR)?;
        let now = example(&vector.name, &vector.about, &replica)?;
        if let Some(difference) = vector.difference(&now) {
            anyhow::bail!("{difference}");
        }
        // What opens must also go on working.
        let edit = vereda_document::Edit::Set { path: FieldPath::field("age"), value: Value::Integer(8) };
        replica.clone().edit(&[edit], crate::world::START)?.pop().context("an edit changed nothing")?;
    }
    Ok(())
}

fn example(name: &str, about: &str, replica: &Replica) -> Result<Vector> {
    Ok(Vector::new(name, about)
        .with("heads", replica.heads().concat())
        .with_text("record", serde_json::to_string(&replica.hydrate()?)?)
        .with("bytes", replica.save()))
}
