use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::{Digest as _, Sha256};

use super::*;

const INFO: WrapInfo = WrapInfo { chain: ChainId([1; 32]), epoch: 2, recipient: [3; 32], recipient_epoch: 4 };

fn others() -> [WrapInfo; 4] {
    [
        WrapInfo { chain: ChainId([9; 32]), ..INFO },
        WrapInfo { epoch: 9, ..INFO },
        WrapInfo { recipient: [9; 32], ..INFO },
        WrapInfo { recipient_epoch: 9, ..INFO },
    ]
}

#[test]
fn a_wrapped_secret_opens_for_its_recipient_and_purpose_only() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (pair, other) = (WrapKeyPair::generate(&mut rng), WrapKeyPair::generate(&mut rng));
    let secret = Key32::make(&mut rng);
    let wrapped = wrap(pair.public(), &INFO, &secret, &mut rng).unwrap();
    assert_eq!(wrapped.len(), WRAP_BYTES);
    assert_eq!(WRAP_BYTES, 1_168);
    assert_eq!(unwrap_secret(&pair, &INFO, &wrapped), Ok(secret));
    assert_eq!(unwrap_secret(&other, &INFO, &wrapped), Err(WrapError::Refused));
    for info in others() {
        assert_eq!(unwrap_secret(&pair, &info, &wrapped), Err(WrapError::Refused));
    }
    let short = WrapError::Length { expected: WRAP_BYTES, found: WRAP_BYTES - 1 };
    assert_eq!(unwrap_secret(&pair, &INFO, &wrapped[1..]), Err(short));
    assert!(unwrap_secret(&pair, &INFO, &[&wrapped[..], &[0]].concat()).is_err());
}

#[test]
fn a_secret_sealed_to_a_group_opens_under_its_key_and_purpose_only() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (key, secret) = (Key32::make(&mut rng), Key32::make(&mut rng));
    let sealed = seal_for_group(&key, &INFO, &secret, &mut rng);
    assert_eq!(sealed.len(), GROUP_WRAP_BYTES);
    assert_eq!(GROUP_WRAP_BYTES, 72);
    assert_ne!(sealed, seal_for_group(&key, &INFO, &secret, &mut rng));
    assert_eq!(open_from_group(&key, &INFO, &sealed), Ok(secret));
    assert_eq!(open_from_group(&Key32::make(&mut rng), &INFO, &sealed), Err(WrapError::Refused));
    for info in others() {
        assert_eq!(open_from_group(&key, &info, &sealed), Err(WrapError::Refused));
    }
    let short = WrapError::Length { expected: 72, found: 71 };
    assert_eq!(open_from_group(&key, &INFO, &sealed[1..]), Err(short));
}

#[test]
fn entropy_may_come_through_a_trait_object() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let entropy: &mut dyn CryptoRng = &mut rng;
    let pair = WrapKeyPair::generate(entropy);
    let secret = Key32::make(entropy);
    let wrapped = wrap(pair.public(), &INFO, &secret, entropy).unwrap();
    assert_eq!(unwrap_secret(&pair, &INFO, &wrapped), Ok(secret));
}

#[test]
fn a_public_key_is_a_byte_string_of_a_usable_key() {
    let pair = WrapKeyPair::from_seed(&Key32::new([5; 32]));
    let bytes = vereda_base::encode(pair.public());
    assert_eq!(bytes.len(), 3 + WRAP_PUBLIC_KEY_BYTES);
    assert_eq!(WrapKeyPair::from_seed(pair.seed()).public(), pair.public());
    assert_eq!(vereda_base::decode::<WrapPublicKey>(&bytes, 2_048).as_ref(), Ok(pair.public()));

    let check = |bytes: &[u8]| {
        let refused = WrapError::PublicKey { found: bytes.len() };
        assert_eq!(WrapPublicKey::from_bytes(bytes), Err(refused));
    };
    check(&[]);
    check(&pair.public().as_bytes()[1..]);
    // ML-KEM (FIPS 203 §7.2): coefficients not reduced modulo q are refused.
    check(&[0xff; WRAP_PUBLIC_KEY_BYTES]);
}

#[test]
fn debug_of_a_pair_shows_its_public_half_only() {
    let pair = WrapKeyPair::from_seed(&Key32::new([5; 32]));
    assert_eq!(format!("{pair:?}"), format!("WrapKeyPair({:?})", pair.public()));
}

/// Hands out given bytes, where a published vector fixes the randomness.
struct FixedBytes(std::vec::IntoIter<u8>);

impl rand_core::TryRng for FixedBytes {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        to.fill_with(|| self.0.next().unwrap());
        Ok(())
    }
}

impl rand_core::TryCryptoRng for FixedBytes {}

#[test]
fn x_wing_gives_the_known_answer_of_its_draft() {
    // draft-connolly-cfrg-xwing-kem, appendix C, first vector; key and ciphertext by their SHA-256.
    let check = |bytes: &[u8], digest: &str| assert_eq!(hex::encode(Sha256::digest(bytes)), digest);
    let seed = hex::decode("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26").unwrap();
    let eseed = "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2\
                 35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2";
    let private = PrivateKey::from_bytes(&seed).unwrap();
    let public = XWing::sk_to_pk(&private);
    check(&public.to_bytes(), "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb");
    let mut rng = FixedBytes(hex::decode(eseed).unwrap().into_iter());
    let (secret, encapped) = XWing::encap_with_rng(&public, None, &mut rng).unwrap();
    check(&encapped.to_bytes(), "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33");
    assert_eq!(hex::encode(secret.0), "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384");
    assert_eq!(XWing::decap(&private, None, &encapped).unwrap().0, secret.0);
}

#[test]
fn pairs_and_wraps_are_pinned() {
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let pair = WrapKeyPair::from_seed(&Key32::new([5; 32]));
    assert_eq!(digest(pair.public().as_bytes()), "e9fd8d998eeec506942d35ad55f5b087f3bd05f8a7e11356d714cdf5062f275c");
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let wrapped = wrap(pair.public(), &INFO, &Key32::new([6; 32]), &mut rng).unwrap();
    assert_eq!(digest(&wrapped), "66130c4353a470475f21c761c8ae44a051fdf42b367760997ce43505b5358aa4");
    let sealed = seal_for_group(&Key32::new([5; 32]), &INFO, &Key32::new([6; 32]), &mut rng);
    assert_eq!(digest(&sealed), "9a71bd5c1c23d9e2a77ba1e22f998e3feceefd7f0f8eb9af4c7540cc00593a9b");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_changed_bit_of_a_wrap_is_refused(seed: u64, bit: prop::sample::Index) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let pair = WrapKeyPair::generate(&mut rng);
        let secret = Key32::make(&mut rng);
        let flip = |bytes: &mut [u8]| {
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        };
        let mut wrapped = wrap(pair.public(), &INFO, &secret, &mut rng).unwrap();
        flip(&mut wrapped);
        prop_assert_eq!(unwrap_secret(&pair, &INFO, &wrapped), Err(WrapError::Refused));
        let mut sealed = seal_for_group(&secret, &INFO, &secret, &mut rng);
        flip(&mut sealed);
        prop_assert_eq!(open_from_group(&secret, &INFO, &sealed), Err(WrapError::Refused));
    }
}
