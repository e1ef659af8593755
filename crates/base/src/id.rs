//! 32-byte ids as distinct types, and the incarnation of a device's store.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Decoder, Encode, Encoder, bytes::ByteArray};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Borrows the 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}…)", stringify!($name), hex::encode(self.0).get(..8).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError { found: text.len() })?;
                Ok(Self(bytes))
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self, e: &mut Encoder<W>, _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Ok(Self(*d.decode::<ByteArray<32>>()?))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl crate::LogSafe for $name {}
    };
}

id!(
    /// A device: its Ed25519 public key.
    DeviceId
);
id!(
    /// A policy chain (user, team, agency or document): the id of its first operation.
    ChainId
);
id!(
    /// A policy operation: the hash of its canonical bytes without the signature.
    OpId
);
id!(
    /// A chunk's bytes in transport: the hash of header and signature.
    ChunkId
);
id!(
    /// A chunk's logical identity, independent of epoch and ciphertext (protocol.md §5).
    Link
);
id!(
    /// Any other 32-byte hash: a commitment, a Merkle root, a content hash.
    Digest
);

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 hexadecimal digits, found {found} characters")]
pub struct ParseIdError {
    /// Length of the text found, in bytes.
    pub found: usize,
}

/// One opening of a device's store that may be a copy: drawn at random, so that two restores of one backup differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Incarnation(#[n(0)] pub u64);

impl crate::LogSafe for Incarnation {}

/// An Automerge actor id: the first 16 bytes of hash(device, incarnation, document).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorBytes(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = ChainId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("abc".parse::<ChainId>(), Err(ParseIdError { found: 3 }));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ChainId>(&json).unwrap(), id);
    }

    #[test]
    fn an_id_is_a_byte_string_in_cbor() {
        let bytes = crate::encode(&Link([7; 32]));
        assert_eq!(bytes.get(..2), Some(&[0x58, 32][..]));
        assert_eq!(crate::decode::<Link>(&bytes, 64), Ok(Link([7; 32])));
    }
}
