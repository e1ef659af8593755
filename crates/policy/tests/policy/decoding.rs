//! Operations from bytes.

use proptest::prelude::*;
use vereda_base::encode;
use vereda_crypto::{Signable, Signed};
use vereda_policy::{BodyCode, Op, OpDecodeError, decode_op, verify_op};

use crate::world::{World, grant, key};

fn good() -> Vec<u8> {
    let world = World::found();
    let body = grant(world.dina.user, vereda_policy::Role::Reader);
    encode(world.draft(&world.bashir.key, &world.case, body).signed())
}

/// Signs bytes as an operation of Bashir's, whatever they say.
fn sign(payload: Vec<u8>) -> Signed<Op> {
    let signature = key(2).sign(Op::CONTEXT, &payload);
    Signed::from_parts(payload, signature)
}

/// An operation of Bashir's with this suite and this body code.
fn op_with(suite: u8, code: u8) -> Vec<u8> {
    let mut bytes = vec![0x87, suite, 0xf6, 0, 0xf6, 0x58, 32];
    bytes.extend(key(2).device_id().0);
    bytes.extend([0x80, 0x82, code, 0x81, 0x81, 0]);
    bytes
}

#[test]
fn an_operation_reads_back() {
    let bytes = good();
    assert_eq!(encode(decode_op(&bytes).unwrap().signed()), bytes);
}

#[test]
fn what_a_newer_version_made_is_told_apart_from_what_is_broken() {
    for (code, name) in [(18, "Resume"), (19, "body 19"), (20, "body 20")] {
        let error = verify_op(sign(op_with(1, code))).unwrap_err();
        assert_eq!(error, OpDecodeError::UnknownBody { code: BodyCode(u32::from(code)) });
        assert!(error.needs_update() && error.to_string().contains(name), "{error}");
    }
    let error = verify_op(sign(op_with(2, 0))).unwrap_err();
    assert_eq!(error, OpDecodeError::UnknownSuite { found: 2 });
    for code in 0..18 {
        let error = verify_op(sign(op_with(1, code))).unwrap_err();
        assert!(matches!(error, OpDecodeError::Malformed(_)), "{error}");
    }
    assert!(!verify_op(sign(vec![])).unwrap_err().needs_update());
}

#[test]
fn an_unknown_body_counts_only_with_its_authors_signature() {
    let forged = Signed::from_parts(op_with(1, 18), key(3).sign(Op::CONTEXT, &op_with(1, 18)));
    assert_eq!(verify_op(forged), Err(OpDecodeError::Signature { device: key(2).device_id() }));
}

#[test]
fn a_changed_byte_is_refused() {
    let bytes = good();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(decode_op(&changed).is_err(), "{index}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400, at in 0usize..400) {
        let _ = decode_op(&bytes);
        let _ = verify_op(sign(bytes.clone()));
        let mut payload = op_with(1, 3);
        let at = at.min(payload.len());
        payload.splice(at..(at + cut).min(payload.len()).max(at), bytes.iter().copied().take(9));
        let _ = verify_op(sign(payload));
    }
}
