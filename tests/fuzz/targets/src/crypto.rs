//! Padding, proofs of places in trees, public keys.

use vereda_base::{DeviceId, Digest};
use vereda_crypto::{
    Key32, MerkleProof, MerkleTree, Signature, WrapInfo, WrapKeyPair, WrapPublicKey, context, merkle, open_from_group,
    pad, unpad, unwrap_secret, verify,
};

/// Takes a body out of its padding: what comes out has exactly this frame.
pub fn unpad_body(data: &[u8]) {
    if let Ok(body) = unpad(data) {
        assert_eq!(pad(body).as_deref(), Ok(data));
    }
}

/// Reads a proof: it proves nothing that does not stand in the tree.
pub fn merkle_proof(data: &[u8]) {
    let Ok(proof) = vereda_base::decode::<MerkleProof>(data, 4_096) else { return };
    let leaves: Vec<Digest> = (0u8..8).map(|index| merkle::leaf(index.to_string().as_bytes())).collect();
    let root = MerkleTree::new(leaves.clone()).root();
    for (place, leaf) in leaves.iter().enumerate() {
        for (index, count) in [(0, 8), (3, 8), (5, 8), (7, 8), (u64::MAX, u64::MAX), (u64::MAX - 1, u64::MAX), (0, 1)] {
            if merkle::verify(&root, leaf, index, count, &proof) {
                assert_eq!((index, count), (place as u64, 8), "proven at a place where it does not stand");
            }
        }
    }
}

/// Takes bytes as public keys, signatures and wrapped keys.
pub fn public_keys(data: &[u8]) {
    if let Ok(key) = WrapPublicKey::from_bytes(data) {
        assert_eq!(key.as_bytes(), data);
    }
    if let Some(device) = data.first_chunk::<32>() {
        let signature = Signature(data.last_chunk::<64>().copied().unwrap_or([0; 64]));
        let verified = verify(context::OP_SIGNATURE, &DeviceId(*device), b"never signed", &signature);
        assert!(verified.is_err(), "a signature that nobody made");
    }
    let key = Key32::new([1; 32]);
    let info = WrapInfo { chain: vereda_base::ChainId([2; 32]), epoch: 0, recipient: [3; 32], recipient_epoch: 0 };
    assert!(open_from_group(&key, &info, data).is_err());
    assert!(unwrap_secret(&WrapKeyPair::from_seed(&key), &info, data).is_err());
}
