//! Every message and every variant of its parts, each as the first frame of a session.

use anyhow::{Result, bail};
use vereda_base::{ChainId, Link, OpId};
use vereda_crypto::Signature;
use vereda_protocol::{
    ChunkOutcome, Credential, Down, Goodbye, Leaves, Logged, OfferedLeaf, OpOutcome, Opening, Packer, PolicyEntry,
    Position, RefusalCode, Unpacker, Up, decode_down, decode_up, encode_down, encode_up, founding_credential,
};

use super::{Format, frontiers, proofs::auth_of};
use crate::{vector::Vector, world::World};

pub(super) const FORMAT: Format = Format {
    name: "frames",
    about: "Messages without packing, one frame each, with the message in canonical CBOR. Those that carry operations \
            and chunks are in sessions.json",
    make,
    read,
};

const UP: &str = "sent by a device";
const DOWN: &str = "sent by a relay";

const REFUSALS: [RefusalCode; 20] = [
    RefusalCode::Malformed,
    RefusalCode::BadSignature,
    RefusalCode::Unsupported,
    RefusalCode::NotAuthorized,
    RefusalCode::UnknownPolicy,
    RefusalCode::NotContiguous,
    RefusalCode::MissingDeps,
    RefusalCode::StaleEpoch,
    RefusalCode::Fork,
    RefusalCode::CiteRegressed,
    RefusalCode::InviteSpent,
    RefusalCode::TooLarge,
    RefusalCode::Repeated,
    RefusalCode::DependsOnUnadopted,
    RefusalCode::Discarded,
    RefusalCode::ReviewClosed,
    RefusalCode::Outdated,
    RefusalCode::NobodyLeft,
    RefusalCode::Erased,
    RefusalCode::TooManyIncarnations,
];

const GOODBYES: [Goodbye; 10] = [
    Goodbye::NoCommonVersion,
    Goodbye::BadAuth,
    Goodbye::UnknownDevice,
    Goodbye::InviteSpent,
    Goodbye::FoundingSpent,
    Goodbye::Violation,
    Goodbye::ShuttingDown,
    Goodbye::StorageFailure,
    Goodbye::Superseded,
    Goodbye::TooLate,
];

fn make() -> Result<Vec<Vector>> {
    let mut vectors = Vec::new();
    for (name, message) in ups()? {
        vectors.push(up(&name, &message)?);
    }
    for (name, message) in downs() {
        vectors.push(down(&name, &message)?);
    }
    Ok(vectors)
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let (frame, mut unpacker) = (vector.bytes("bytes")?, Unpacker::new());
        let now = match vector.about.as_str() {
            UP => up(&vector.name, &decode_up(frame, &mut unpacker)?)?,
            DOWN => down(&vector.name, &decode_down(frame, &mut unpacker)?)?,
            other => bail!("unknown direction {other:?}"),
        };
        if let Some(difference) = vector.difference(&now) {
            bail!("{difference}");
        }
    }
    Ok(())
}

fn up(name: &str, message: &Up) -> Result<Vector> {
    let frame = encode_up(message, &mut Packer::new())?;
    Ok(Vector::new(name, UP).with("message", vereda_base::encode(message)).with("bytes", frame))
}

fn down(name: &str, message: &Down) -> Result<Vector> {
    let frame = encode_down(message, &mut Packer::new())?;
    Ok(Vector::new(name, DOWN).with("message", vereda_base::encode(message)).with("bytes", frame))
}

fn ups() -> Result<Vec<(String, Up)>> {
    let world = World::new()?;
    let opening = Opening { relay: world.relay.device_id(), relay_epoch: 7, challenge: [0xd1; 32] };
    let proof = Signature([0xd3; 64]);
    let auth = |credential| Up::Auth(auth_of(&world, &opening, credential));
    let mut first_contact = auth_of(&world, &opening, Credential::Member);
    first_contact.relay_epoch = None;
    let founding = founding_credential(&opening, &world.chipo.key.device_id(), &[0xd4; 32]);
    let op = Logged::Op { chain: world.team, op: OpId([0xd6; 32]) };
    let chunk = Logged::Chunk { document: world.case, link: Link([0xd7; 32]) };
    let named = [
        ("auth of a member", auth(Credential::Member)),
        ("auth at first contact", Up::Auth(first_contact)),
        ("auth of a founder", auth(founding)),
        ("auth by invite", auth(Credential::Invite { chain: world.team, invite: world.invite, proof })),
        ("pull from nothing", Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] }),
        ("pull", Up::Pull { policy: Position(127), content: Position(u64::MAX), lasts: vec![] }),
        ("pull after an operation", pull_after(vec![op])),
        ("pull after a chunk", pull_after(vec![chunk])),
        ("pull after both", pull_after(vec![chunk, op])),
        ("backfill", Up::Backfill { document: world.case, after: Position(0), upto: Position(128) }),
        ("credit", Up::Credit(300)),
        ("ask leaves", Up::AskLeaves { chain: world.team, removal: OpId([0xd8; 32]), keys: vec![frontiers::absent()] }),
        ("ask review", Up::AskReview(vec![Link([0xd7; 32]), Link([0xd9; 32])])),
        ("ask offer", Up::AskOffer { request: 4, from: 2_048 }),
    ];
    Ok(named.into_iter().map(|(name, message)| (name.to_owned(), message)).collect())
}

fn pull_after(lasts: Vec<Logged>) -> Up {
    Up::Pull { policy: Position(3), content: Position(128), lasts }
}

fn downs() -> Vec<(String, Down)> {
    let (head, link) = (OpId([0xd6; 32]), Link([0xd7; 32]));
    let mut named = vec![
        ("no policy".to_owned(), Down::Policy { entries: vec![], cursor: Position(5) }),
        ("no content".to_owned(), Down::Content { chunks: vec![], cursor: Position(6) }),
        ("caught up".to_owned(), Down::CaughtUp { cursor: Position(7) }),
        ("head moved".to_owned(), Down::OpResult { request: 1, outcome: OpOutcome::HeadMoved(head) }),
        ("durable".to_owned(), Down::ChunkResult { link, outcome: ChunkOutcome::Durable }),
        ("in review".to_owned(), Down::ChunkResult { link, outcome: ChunkOutcome::InReview }),
        ("credit to a device".to_owned(), Down::Credit(1 << 21)),
        ("operation in review".to_owned(), Down::OpResult { request: 3, outcome: OpOutcome::InReview }),
        ("frontier moved".to_owned(), Down::OpResult { request: 4, outcome: OpOutcome::FrontierMoved(offered()) }),
        ("leaves".to_owned(), leaves()),
        ("frontier paged".to_owned(), Down::OpResult { request: 5, outcome: paged() }),
        ("offer".to_owned(), Down::Offer { request: 5, from: 2_048, leaves: offered() }),
        ("range of leaves".to_owned(), range()),
    ];
    for code in REFUSALS {
        let outcome = OpOutcome::Refused(code);
        named.push((format!("operation refused: {code}"), Down::OpResult { request: 2, outcome }));
        let outcome = ChunkOutcome::Refused(code);
        named.push((format!("chunk refused: {code}"), Down::ChunkResult { link, outcome }));
    }
    named.extend(GOODBYES.map(|why| (format!("goodbye: {why}"), Down::Goodbye(why))));
    named
}

/// What a relay offers to whoever signs a frontier.
fn offered() -> Vec<OfferedLeaf> {
    let offer =
        |(place, leaf): (vereda_policy::Place, vereda_policy::Leaf)| OfferedLeaf { place, seq: leaf.seq, id: leaf.id };
    frontiers::places().into_iter().zip(frontiers::leaves()).map(offer).collect()
}

/// What a relay says where all that fits no frame.
fn paged() -> OpOutcome {
    OpOutcome::FrontierPaged(frontiers::tree().frontier())
}

/// Leaves that follow one another, as they come with a removal.
fn range() -> Down {
    let (chain, removal) = (ChainId([0x81; 32]), OpId([0xd8; 32]));
    let range = frontiers::tree().prove_range(1, 2).map(Leaves::Range);
    let entries = range.map(|leaves| PolicyEntry::Frontier { chain, removal, leaves });
    Down::Policy { entries: entries.into_iter().collect(), cursor: Position(8) }
}

/// An answer for each place.
fn leaves() -> Down {
    let tree = frontiers::tree();
    let keys = frontiers::places().into_iter().map(|place| place.key());
    let answers = keys.map(|key| (key, tree.prove(&key))).collect();
    Down::Leaves { chain: ChainId([0x81; 32]), removal: OpId([0xd8; 32]), answers }
}
