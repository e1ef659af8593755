//! The frames of two whole sessions' directions, packed: what travelled before shortens what follows.

use anyhow::{Context as _, Result, bail, ensure};
use minicbor::bytes::ByteArray;
use vereda_base::limits::MAX_FRAME_BYTES;
use vereda_crypto::{Signature, context};
use vereda_policy::{LeafAnswer, ProvenLeaf};
use vereda_protocol::{
    ChunkOutcome, Credential, Down, Leaves, OpOutcome, Opening, Packer, PolicyEntry, Position, Unpacker, Up,
    WelcomeFields, decode_down, decode_up, encode_down, encode_up, welcome_message,
};

use super::{Format, chunks, frontiers, proofs::auth_of};
use crate::{
    vector::Vector,
    world::{Event, START, World},
};

pub(super) const FORMAT: Format = Format {
    name: "sessions",
    about: "The first frames of a session, all of one direction in order through one packer, each with its message in \
            canonical CBOR",
    make,
    read,
};

const UP: &str = "up";
const DOWN: &str = "down";

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let mut packer = Packer::new();
    let mut up = Vector::new(UP, "what a device sends");
    for (index, message) in up_messages(&world)?.iter().enumerate() {
        up = add(up, index, vereda_base::encode(message), encode_up(message, &mut packer)?);
    }
    let mut packer = Packer::new();
    let mut down = Vector::new(DOWN, "what a relay sends");
    for (index, message) in down_messages(&world)?.iter().enumerate() {
        down = add(down, index, vereda_base::encode(message), encode_down(message, &mut packer)?);
    }
    Ok(vec![up, down])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let (mut unpacker, mut packer) = (Unpacker::new(), Packer::new());
        let (frames, messages) = (vector.all_bytes("frame "), vector.all_bytes("message "));
        ensure!(frames.count() == messages.count(), "frames and messages differ in number");
        for (index, frame) in vector.all_bytes("frame ").enumerate() {
            let context = || format!("session {:?}, frame {index}", vector.name);
            let (message, again) = match vector.name.as_str() {
                UP => {
                    let message = decode_up(frame, &mut unpacker).with_context(context)?;
                    (vereda_base::encode(&message), encode_up(&message, &mut packer)?)
                }
                DOWN => {
                    let message = decode_down(frame, &mut unpacker).with_context(context)?;
                    (vereda_base::encode(&message), encode_down(&message, &mut packer)?)
                }
                other => bail!("unknown vector {other:?}"),
            };
            vector.expect(&format!("message {index}"), message)?;
            ensure!(again == frame, "{}: packed otherwise now", context());
        }
    }
    Ok(())
}

fn add(vector: Vector, index: usize, message: Vec<u8>, frame: Vec<u8>) -> Vector {
    debug_assert!(message.len() <= 4 * MAX_FRAME_BYTES);
    vector.with(format!("message {index}"), message).with(format!("frame {index}"), frame)
}

fn opening(world: &World) -> Opening {
    Opening { relay: world.relay.device_id(), relay_epoch: 7, challenge: [0xd1; 32] }
}

fn up_messages(world: &World) -> Result<Vec<Up>> {
    let mut messages = vec![
        Up::Auth(auth_of(world, &opening(world), Credential::Member)),
        Up::Pull { policy: Position(3), content: Position(0), lasts: vec![] },
    ];
    for (request, name) in (1..).zip(["create case", "repair team", "grant", "rotate"]) {
        let event = world.event(name)?;
        let wraps = event.wraps.iter().map(|(wrap, _)| wrap.clone()).collect();
        messages.push(Up::PutOp { request, op: event.op.signed().clone(), wraps });
    }
    messages.extend(chunks::chunks(world)?.into_iter().map(Up::PutChunk));
    messages.push(Up::Backfill { document: world.case, after: Position(2), upto: Position(9) });
    messages.push(Up::Credit(1 << 20));
    Ok(messages)
}

fn down_messages(world: &World) -> Result<Vec<Down>> {
    let opening = opening(world);
    let fields = WelcomeFields {
        device: world.chipo.key.device_id(),
        nonce: [0xd2; 32],
        version: 1,
        time: START,
        held: 3,
        end: Position(260),
    };
    let signature: Signature = world.relay.sign(context::WELCOME_SIGNATURE, &welcome_message(&opening, &fields));
    let names = ["create team", "invite", "accept", "repair team", "create case"];
    let entries = names.into_iter().map(|name| Ok(entries_of(world.event(name)?))).collect::<Result<Vec<_>>>()?;
    let mut chunks = chunks::chunks(world)?;
    let later = chunks.split_off(2);
    let links = later.iter().map(|chunk| Ok(chunk.header.clone().verify()?.value().link()));
    let results = links
        .map(|link: Result<_>| Ok(Down::ChunkResult { link: link?, outcome: ChunkOutcome::Durable }))
        .collect::<Result<Vec<_>>>()?;
    let removal = world.event("assign")?;
    let mut removed = entries_of(removal);
    for leaves in [Leaves::All(frontiers::leaves()), Leaves::Some(proven())] {
        removed.push(PolicyEntry::Frontier { chain: removal.op.chain(), removal: removal.op.id(), leaves });
    }
    let create = world.event("create incident")?;
    let review = vec![
        PolicyEntry::Review { chunk: chunks.first().context("no chunk")?.clone(), received: START },
        PolicyEntry::ReviewDocument {
            create: create.op.signed().clone(),
            wraps: create.wraps.clone(),
            received: START,
        },
    ];
    let visible = PolicyEntry::Visible { document: world.case, upto: Position(11) };
    let grant = world.event("grant")?;
    let mut messages = vec![
        Down::Challenge {
            versions: vec![1],
            relay: opening.relay,
            relay_epoch: opening.relay_epoch,
            challenge: ByteArray::from(opening.challenge),
        },
        Down::Welcome { version: fields.version, time: fields.time, held: fields.held, end: fields.end, signature },
        Down::Policy { entries: entries.concat(), cursor: Position(12) },
        Down::Policy { entries: vec![visible], cursor: Position(13) },
        Down::Content { chunks, cursor: Position(15) },
        Down::CaughtUp { cursor: Position(16) },
        Down::BackfillPart { document: world.case, entries: entries_of(grant), chunks: later, cursor: Position(9) },
        Down::OpResult { request: 3, outcome: OpOutcome::Appended(grant.receipt.clone()) },
    ];
    messages.extend(results);
    messages.push(Down::Policy { entries: removed, cursor: Position(18) });
    messages.push(Down::Policy { entries: review, cursor: Position(19) });
    Ok(messages)
}

/// The leaves of a frontier, each with its proof.
fn proven() -> Vec<ProvenLeaf> {
    let tree = frontiers::tree();
    let present = |leaf: &vereda_policy::Leaf| match tree.prove(&leaf.key) {
        LeafAnswer::Present(proven) => Some(proven),
        LeafAnswer::Absent { .. } => None,
    };
    tree.leaves().iter().filter_map(present).collect()
}

fn entries_of(event: &Event) -> Vec<PolicyEntry> {
    let (chain, op) = (event.op.chain(), event.op.id());
    let mut entries = vec![PolicyEntry::Op { op: event.op.signed().clone(), receipt: event.receipt.clone() }];
    entries.extend(event.wraps.iter().map(|(wrap, proof)| PolicyEntry::Wrap {
        chain,
        op,
        wrap: wrap.clone(),
        proof: proof.clone(),
    }));
    entries
}
