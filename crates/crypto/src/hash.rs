//! BLAKE3-256 under a context, over parts whose boundaries count.
//!
//! The stream hashed is: one byte for the mode, then the key where there is one, then each part after its length
//! (64 bits, little endian). So neither moving a boundary nor crossing from one mode to another gives an equal stream.

use zeroize::Zeroize;

use crate::{Context, Key32};

/// Hashes parts under a context.
pub fn hash(context: Context, parts: &[&[u8]]) -> [u8; 32] {
    digest(context, Mode::Hash, None, parts)
}

/// Hashes parts under a context and a secret key: whoever lacks the key can neither guess nor check the parts.
pub fn keyed_hash(key: &Key32, context: Context, parts: &[&[u8]]) -> [u8; 32] {
    digest(context, Mode::KeyedHash, Some(key), parts)
}

/// Derives a key from a key. The result tells nothing of `key`, nor of a key derived with other parts or context.
pub fn derive_key(context: Context, key: &Key32, parts: &[&[u8]]) -> Key32 {
    let mut bytes = digest(context, Mode::DeriveKey, Some(key), parts);
    let derived = Key32::new(bytes);
    bytes.zeroize();
    derived
}

/// What a digest is for; part of the stream, so that a public hash never equals a key.
#[derive(Clone, Copy)]
enum Mode {
    Hash = 0,
    KeyedHash = 1,
    DeriveKey = 2,
}

fn digest(context: Context, mode: Mode, key: Option<&Key32>, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context.as_str());
    hasher.update(&[mode as u8]);
    if let Some(key) = key {
        hasher.update(key.expose());
    }
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let result = *hasher.finalize().as_bytes();
    if key.is_some() {
        hasher.zeroize();
    }
    result
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::context;

    #[test]
    fn the_stream_is_blake3_derive_key_over_mode_and_length_prefixed_parts() {
        let mut stream = vec![0];
        stream.extend_from_slice(&2u64.to_le_bytes());
        stream.extend_from_slice(b"ab");
        stream.extend_from_slice(&0u64.to_le_bytes());
        assert_eq!(hash(context::OP_ID, &[b"ab", b""]), blake3::derive_key("vereda v1 op id", &stream));
    }

    #[test]
    fn moved_boundaries_other_contexts_and_other_modes_give_other_hashes() {
        let key = Key32::new([7; 32]);
        let seen = [
            hash(context::OP_ID, &[]),
            hash(context::OP_ID, &[b""]),
            hash(context::OP_ID, &[b"ab", b"c"]),
            hash(context::OP_ID, &[b"a", b"bc"]),
            hash(context::OP_ID, &[b"abc"]),
            hash(context::LINK, &[b"abc"]),
            hash(context::OP_ID, &[&[7; 32], b"abc"]),
            keyed_hash(&key, context::OP_ID, &[b"abc"]),
            keyed_hash(&Key32::new([8; 32]), context::OP_ID, &[b"abc"]),
            *derive_key(context::OP_ID, &key, &[b"abc"]).expose(),
            *derive_key(context::OP_ID, &key, &[]).expose(),
        ];
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    }

    #[test]
    fn hashes_are_pinned() {
        assert_eq!(
            hex::encode(hash(context::OP_ID, &[b"abc"])),
            "2c7af8e5fcd88200eb71d92e5a4607e0aff03fd31b4d3394d5c76d5df1566861"
        );
    }
}
