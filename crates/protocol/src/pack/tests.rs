//! Round trips through the packed form, and what it costs.

use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_base::{ChainId, Digest, Incarnation, Link, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Signature, Signed, context, hash, merkle};
use vereda_policy::{Body, Cite, Grant, Op, Receipt, Role, SUITE, Wrap, WrapProof, WrappedKey};

use super::{Packer, Unpacker};
use crate::{
    Chunk, ChunkKind, Down, FrameError, Header, Logged, MAX_LASTS, PolicyEntry, Position, Up, decode_down, decode_up,
    encode_down, encode_up,
};

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[seed; 32])
}

fn id(seed: u8) -> [u8; 32] {
    hash(context::LINK, &[&[seed]])
}

fn chunk(document: u8, seq: u64, deps: &[Link], cites: &[u8], body: usize) -> Chunk {
    let mut rng = ChaCha20Rng::seed_from_u64(seq + u64::from(document) * 1_000);
    let mut draw = || *vereda_crypto::Key32::make(&mut rng).expose();
    let ciphertext = vec![7; body];
    let header = Header {
        suite: SUITE,
        kind: ChunkKind::Changes,
        document: ChainId(id(document)),
        epoch: 0,
        device: key(1).device_id(),
        incarnation: Incarnation(0x1234_5678_9abc_def0),
        seq,
        prev: deps.first().copied(),
        deps: deps.to_vec(),
        cites: cites.iter().map(|c| Cite { chain: ChainId(id(*c)), head: OpId(id(*c)) }).collect(),
        first_change: seq * 20 + 1,
        change_count: 20,
        ciphertext_len: body as u32,
        ciphertext_hash: Digest(hash(context::CIPHERTEXT, &[&ciphertext])),
        commitment: Digest(draw()),
        nonce: <[u8; 24]>::try_from(&draw()[..24]).unwrap().into(),
        ops_root: Digest(draw()),
    };
    Chunk { header: Signed::sign(&key(1), &header).unwrap(), ciphertext }
}

fn link_of(chunk: &Chunk) -> Link {
    chunk.header.clone().verify().unwrap().value().link()
}

/// Sends messages through one session and gives the frames' lengths.
fn up(messages: &[Up]) -> Vec<usize> {
    let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
    let check = |message: &Up| {
        let frame = encode_up(message, &mut packer).unwrap();
        assert_eq!(decode_up(&frame, &mut unpacker).as_ref(), Ok(message));
        frame.len()
    };
    messages.iter().map(check).collect()
}

#[test]
fn a_chunk_header_costs_at_most_220_bytes_once_its_device_is_known() {
    let first = chunk(1, 0, &[], &[1, 90, 91, 92], 1_000);
    let other_document = chunk(2, 0, &[], &[2, 90, 91, 92], 1_000);
    let next = chunk(1, 1, &[link_of(&first)], &[1, 90, 91, 92], 1_000);
    let elsewhere = chunk(1, 2, &[Link(id(200))], &[1, 90, 91, 92], 1_000);
    let canonical = first.header.bytes().len() + 64;
    let lengths = up(&[first, other_document, next, elsewhere].map(Up::PutChunk));
    let overhead: Vec<usize> = lengths.iter().map(|length| length - 1_000).collect();
    println!(
        "canonical {canonical} B; packed: first {}, new document {}, next {}, unknown dep {} B",
        overhead[0], overhead[1], overhead[2], overhead[3]
    );
    assert!(canonical > 550);
    assert!(overhead[1] <= 220 && overhead[2] <= 185 && overhead[3] <= 220, "{overhead:?}");
}

#[test]
fn a_stored_chunk_reads_back_bit_for_bit_and_costs_at_most_390_bytes() {
    let chunk = chunk(1, 3, &[Link(id(200))], &[1, 90, 91, 92], 1_000);
    let bytes = crate::encode_chunk(&chunk);
    assert!(bytes.len() <= 1_000 + 390, "{}", bytes.len());
    assert_eq!(crate::decode_chunk(&bytes), Ok(chunk));
}

fn op(seq: u64, body: Body) -> Signed<Op> {
    let op = Op {
        suite: SUITE,
        chain: (seq > 0).then_some(ChainId(id(1))),
        seq,
        prev: (seq > 0).then_some(OpId(id(2))),
        device: key(1).device_id(),
        cites: vec![Cite { chain: ChainId(id(3)), head: OpId(id(4)) }],
        body,
    };
    Signed::sign(&key(1), &op).unwrap()
}

fn receipt(op: &Signed<Op>, seq: u64, time: i64) -> Signed<Receipt> {
    let id = OpId(hash(context::OP_ID, &[op.bytes()]));
    let receipt = Receipt {
        suite: SUITE,
        relay: key(9).device_id(),
        relay_epoch: 77,
        chain: ChainId(self::id(1)),
        seq,
        op: id,
        time: Timestamp(time),
    };
    Signed::sign(&key(9), &receipt).unwrap()
}

#[test]
fn operations_receipts_and_wraps_travel_and_a_receipt_costs_at_most_80_bytes() {
    let grant = |role| Body::Grant(Grant { subject: ChainId(id(3)), role, expires: None, sealed_purpose: None });
    let entries: Vec<PolicyEntry> = (1..4)
        .map(|seq| {
            let op = op(seq, grant(Role::Editor));
            let receipt = receipt(&op, seq, 1_700_000_000_000 + seq as i64 * 40);
            PolicyEntry::Op { op, receipt }
        })
        .chain([
            PolicyEntry::Wrap {
                chain: ChainId(id(1)),
                op: OpId(id(2)),
                wrap: Wrap { recipient: Digest(id(3)), recipient_epoch: 0, key: WrappedKey::Group(vec![5; 72]) },
                proof: WrapProof { index: 1, path: merkle::prove(&[Digest(id(7)), Digest(id(8))], 1).unwrap() },
            },
            PolicyEntry::Visible { document: ChainId(id(1)), upto: Position(700) },
        ])
        .collect();
    let whole = Down::Policy { entries: entries.clone(), cursor: Position(9) };
    let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
    let frame = encode_down(&whole, &mut packer).unwrap();
    assert_eq!(decode_down(&frame, &mut unpacker), Ok(whole));
    let one = Down::Policy { entries: entries[2..3].to_vec(), cursor: Position(10) };
    let frame = encode_down(&one, &mut packer).unwrap();
    let PolicyEntry::Op { op, .. } = &entries[2] else { panic!("an op") };
    println!("operation of {} B with its receipt, seen before: {} B", op.bytes().len() + 64, frame.len());
    assert_eq!(decode_down(&frame, &mut unpacker), Ok(one));
    assert!(frame.len() <= 64 + 80 + 40, "{}", frame.len());
}

#[test]
fn what_cannot_be_rebuilt_travels_spelled_out() {
    let mut wrong_hash = chunk(1, 0, &[], &[1], 300);
    wrong_hash.ciphertext[0] ^= 1;
    let garbage = Chunk { header: Signed::from_parts(vec![0xff; 40], Signature([1; 64])), ciphertext: vec![1, 2, 3] };
    let odd_op =
        Up::PutOp { request: 1, op: Signed::from_parts(vec![0x18, 7, 0, 0], Signature([1; 64])), wraps: Vec::new() };
    up(&[Up::PutChunk(wrong_hash), Up::PutChunk(garbage), odd_op]);
}

#[test]
fn other_forms_of_a_message_are_refused() {
    let check = |bytes: &[u8], expected: &dyn Fn(&FrameError) -> bool| {
        let error = decode_up(bytes, &mut Unpacker::new()).unwrap_err();
        assert!(expected(&error), "{bytes:?}: {error}");
    };
    let malformed = |error: &FrameError| matches!(error, FrameError::Malformed { .. });
    let not_canonical = |error: &FrameError| matches!(error, FrameError::NotCanonical { .. });
    check(&[], &malformed);
    check(&[99], &malformed);
    check(&[1, 0x80, 0, 5], &not_canonical);
    check(&[1, 4, 5, 0], &malformed);
    check(&[4, 7, 0, 0], &malformed);
    let twice = encode_up(&Up::PutChunk(chunk(1, 0, &[], &[1], 300)), &mut Packer::new()).unwrap();
    let mut unpacker = Unpacker::new();
    decode_up(&twice, &mut unpacker).unwrap();
    assert!(matches!(decode_up(&twice, &mut unpacker), Err(FrameError::NotCanonical { .. })));
    let long = vec![0; vereda_base::limits::MAX_FRAME_BYTES + 1];
    check(&long, &|error| matches!(error, FrameError::TooLong { .. }));
}

#[test]
fn an_idle_session_allocates_no_table() {
    let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
    let pull = Up::Pull { policy: Position(5), content: Position(9), lasts: vec![] };
    decode_up(&encode_up(&pull, &mut packer).unwrap(), &mut unpacker).unwrap();
    assert!(packer.0.table.is_empty() && unpacker.0.table.is_empty());
}

#[test]
fn a_pull_names_what_was_handed_over_last_or_nothing() {
    let (chain, document) = (ChainId(id(1)), ChainId(id(2)));
    let (op, chunk) = (Logged::Op { chain, op: OpId(id(3)) }, Logged::Chunk { document, link: Link(id(4)) });
    for lasts in [vec![], vec![op], vec![chunk], vec![op, chunk], vec![chunk; MAX_LASTS]] {
        let pull = Up::Pull { policy: Position(5), content: Position(9), lasts };
        let frame = encode_up(&pull, &mut Packer::new()).unwrap();
        assert_eq!(decode_up(&frame, &mut Unpacker::new()).unwrap(), pull);
        let long = [frame.as_slice(), &[7]].concat();
        assert!(decode_up(&long, &mut Unpacker::new()).is_err());
    }
    let many = Up::Pull { policy: Position(5), content: Position(9), lasts: vec![chunk; MAX_LASTS + 1] };
    let frame = encode_up(&many, &mut Packer::new()).unwrap();
    assert!(matches!(decode_up(&frame, &mut Unpacker::new()), Err(FrameError::Malformed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_sequence_of_chunks_is_rebuilt_bit_for_bit(
        shape in prop::collection::vec((0u8..6, 0u64..9, prop::collection::vec(0u8..20, 0..4), 0usize..400), 1..30)
    ) {
        let chunks: Vec<Up> = shape
            .iter()
            .map(|(document, seq, deps, body)| {
                let deps: Vec<Link> = deps.iter().map(|dep| Link(id(*dep))).collect();
                Up::PutChunk(chunk(*document, *seq, &deps, &[*document, 90], *body))
            })
            .collect();
        up(&chunks);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), flips in prop::collection::vec((0usize..900, any::<u8>()), 0..4)) {
        let _ = decode_up(&bytes, &mut Unpacker::new());
        let _ = decode_down(&bytes, &mut Unpacker::new());
        let mut frame = encode_up(&Up::PutChunk(chunk(1, 3, &[Link(id(4))], &[1, 2], 300)), &mut Packer::new()).unwrap();
        for (at, with) in flips {
            if let Some(byte) = frame.get_mut(at) { *byte ^= with; }
        }
        let mut unpacker = Unpacker::new();
        if let Ok(message) = decode_up(&frame, &mut unpacker) {
            prop_assert_eq!(encode_up(&message, &mut Packer::new()), Ok(frame));
        }
    }
}
