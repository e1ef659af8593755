use ed25519_dalek::Verifier;
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::context;

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(array)]
struct Note {
    #[n(0)]
    device: DeviceId,
    #[cbor(n(1), with = "minicbor::bytes")]
    text: Vec<u8>,
}

impl Signable for Note {
    const CONTEXT: Context = context::OP_SIGNATURE;
    const MAX_BYTES: usize = 256;

    fn signer(&self) -> DeviceId {
        self.device
    }
}

/// The same bytes under another purpose.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(array)]
struct OtherNote {
    #[n(0)]
    device: DeviceId,
    #[cbor(n(1), with = "minicbor::bytes")]
    text: Vec<u8>,
}

impl Signable for OtherNote {
    const CONTEXT: Context = context::BEACON;
    const MAX_BYTES: usize = 256;

    fn signer(&self) -> DeviceId {
        self.device
    }
}

fn key(seed: u64) -> DeviceKey {
    DeviceKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn note(key: &DeviceKey, text: &[u8]) -> Note {
    Note { device: key.device_id(), text: text.to_vec() }
}

#[test]
fn ed25519_gives_the_known_answer_of_rfc_8032() {
    // RFC 8032 §7.1, TEST 3: guards the library and the byte order of the seed.
    let seed = hex::decode("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7").unwrap();
    let key = DeviceKey::from_seed(&seed.try_into().unwrap());
    assert_eq!(key.device_id().to_string(), "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    assert_eq!(
        hex::encode(key.0.sign(&[0xaf, 0x82]).to_bytes()),
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc\
         027beceea1ec40a"
    );
}

#[test]
fn a_signature_is_over_the_hash_under_its_context_and_is_pinned() {
    let key = DeviceKey::from_seed(&[1; 32]);
    let signature = key.sign(context::OP_SIGNATURE, b"payload");
    let raw = key.0.sign(&hash(context::OP_SIGNATURE, &[b"payload"]));
    assert_eq!(signature.0, raw.to_bytes());
    assert_eq!(
        hex::encode(signature.0),
        "8a3c44a189b4ab5b8dcd053a6c1633529e83977865648ee96e6c34da54249d964b76937306508891bc6b60cfd09f96d4\
         08265b4e3ba9fbbf61522b5602175705"
    );
}

#[test]
fn a_signed_value_is_verified_after_its_journey() {
    let key = key(1);
    let mine = Verified::sign(&key, note(&key, b"hello")).unwrap();
    let bytes = vereda_base::encode(mine.signed());
    let signed: Signed<Note> = vereda_base::decode(&bytes, 1_024).unwrap();
    assert_eq!(signed.digest(context::CHUNK_ID), mine.signed().digest(context::CHUNK_ID));
    let theirs = signed.verify().unwrap();
    assert_eq!(theirs, mine);
    assert_eq!(theirs.value(), &note(&key, b"hello"));
    assert_eq!(theirs.bytes(), vereda_base::encode(theirs.value()));
}

#[test]
fn a_signature_for_one_purpose_is_worthless_for_another() {
    let key = key(1);
    let signed = Signed::sign(&key, &note(&key, b"hello")).unwrap();
    let moved = Signed::<OtherNote>::from_parts(signed.bytes().to_vec(), *signed.signature());
    assert!(matches!(moved.verify(), Err(VerifyError::Signature(_))));
    assert!(verify(context::BEACON, &key.device_id(), signed.bytes(), signed.signature()).is_err());
    assert!(verify(context::OP_SIGNATURE, &key.device_id(), signed.bytes(), signed.signature()).is_ok());
}

#[test]
fn nobody_signs_in_the_name_of_another() {
    let (mine, other) = (key(1), key(2));
    let value = note(&other, b"not me");
    let expected = SignError::OtherSigner { expected: other.device_id(), found: mine.device_id() };
    assert_eq!(Signed::sign(&mine, &value), Err(expected));
    let payload = vereda_base::encode(&value);
    let forged = Signed::<Note>::from_parts(payload.clone(), mine.sign(Note::CONTEXT, &payload));
    assert_eq!(forged.verify(), Err(VerifyError::Signature(SignatureError { device: other.device_id() })));
}

#[test]
fn an_oversized_payload_is_neither_signed_nor_decoded_nor_verified() {
    let key = key(1);
    let long = note(&key, &[0; 256]);
    assert!(matches!(Signed::sign(&key, &long), Err(SignError::Payload(CanonicalError::TooLong { .. }))));
    let payload = vereda_base::encode(&long);
    let signed = Signed::<Note>::from_parts(payload.clone(), key.sign(Note::CONTEXT, &payload));
    assert!(vereda_base::decode::<Signed<Note>>(&vereda_base::encode(&signed), 4_096).is_err());
    assert!(matches!(signed.verify(), Err(VerifyError::Payload(CanonicalError::TooLong { .. }))));
}

#[test]
fn another_spelling_of_a_payload_is_refused_even_if_signed() {
    let key = key(1);
    let mut payload = vereda_base::encode(&note(&key, b"x"));
    payload.push(0);
    let signed = Signed::<Note>::from_parts(payload.clone(), key.sign(Note::CONTEXT, &payload));
    assert!(matches!(signed.verify(), Err(VerifyError::Payload(CanonicalError::NotCanonical { .. }))));
}

#[test]
fn small_order_keys_are_refused_where_lenient_verification_accepts_them() {
    // All eight points of small order have canonical or other encodings here; with R the same point and s = 0 lenient
    // verification accepts a signature over (nearly) any message.
    let small_order = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    let mut lenient = 0;
    for text in small_order {
        let device: DeviceId = text.parse().unwrap();
        for payload in 0..32u8 {
            let mut signature = Signature([0; 64]);
            signature.0[0] = 1; // R is the identity, s is zero
            let message = hash(context::OP_SIGNATURE, &[&[payload]]);
            let point = VerifyingKey::from_bytes(device.as_bytes()).unwrap();
            lenient += u32::from(point.verify(&message, &signature.0.into()).is_ok());
            assert!(verify(context::OP_SIGNATURE, &device, &[payload], &signature).is_err());
        }
    }
    assert!(lenient > 32, "the attack must be real for its refusal to mean something");
}

#[test]
fn bytes_that_are_no_point_are_refused_as_a_key() {
    let device = DeviceId([2; 32]);
    assert!(VerifyingKey::from_bytes(device.as_bytes()).is_err());
    assert_eq!(verify(context::OP_SIGNATURE, &device, b"", &Signature([0; 64])), Err(SignatureError { device }));
}

#[test]
fn a_signature_with_its_scalar_raised_by_the_group_order_is_refused() {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let key = key(3);
    let mut signature = key.sign(context::OP_SIGNATURE, b"payload");
    let mut carry = 0;
    for (byte, add) in signature.0[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(verify(context::OP_SIGNATURE, &key.device_id(), b"payload", &signature).is_err());
}

#[test]
fn a_key_comes_back_from_its_seed_and_debug_shows_nothing_of_it() {
    let key = key(4);
    let seed = key.seed();
    assert_eq!(DeviceKey::from_seed(seed.expose()).device_id(), key.device_id());
    let shown = format!("{key:?}");
    assert_eq!(shown, format!("DeviceKey({:?})", key.device_id()));
    assert!(!shown.contains(&hex::encode(&seed.expose()[..4])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_changed_bit_of_a_signed_value_is_refused(
        text in prop::collection::vec(any::<u8>(), 0..100),
        bits in prop::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let key = key(5);
        let signed = Signed::sign(&key, &note(&key, &text)).unwrap();
        let bytes = vereda_base::encode(&signed);
        for bit in bits {
            let bit = bit.index(bytes.len() * 8);
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let decoded = vereda_base::decode::<Signed<Note>>(&changed, 1_024);
            prop_assert!(!decoded.is_ok_and(|signed| signed.verify().is_ok()), "bit {} of {:02x?}", bit, bytes);
        }
    }

    #[test]
    fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(signed) = vereda_base::decode::<Signed<Note>>(&bytes, 1_024) {
            prop_assert!(signed.verify().is_err());
        }
    }
}
