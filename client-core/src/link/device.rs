//! The two links that bring a further device of a person in: an offer from one of his devices, the answer of the new one.
//! Neither holds a secret.

use std::str::FromStr;

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::{ChainId, DeviceId, OpId};
use vereda_crypto::{Signature, WrapPublicKey};
use vereda_policy::Cite;

use super::{ParseLinkError, Parts, RelayAddress, read_id, write_id, write_url};

const OFFER: &str = "vereda://link?";
const ANSWER: &str = "vereda://linked?";

/// What a new device must know to become one of a person's:
/// `vereda://link?relay=…&key=…&agency=…&user=…&device=…&heads=…&nonce=…`. The nonce has one length and stands last, so that
/// a link cut short anywhere is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DeviceOffer {
    /// The relay.
    #[n(0)]
    pub relay: RelayAddress,
    /// The agency.
    #[n(1)]
    pub agency: ChainId,
    /// The person.
    #[n(2)]
    pub user: ChainId,
    /// The device that offers.
    #[n(3)]
    pub device: DeviceId,
    /// Heads of the person's chain, the agency's and his teams', which the new device checks the relay against.
    #[n(4)]
    pub heads: Vec<Cite>,
    /// Makes offers differ.
    #[n(5)]
    pub nonce: ByteArray<16>,
}

/// A new device's keys, and that it means the person of the offer: `vereda://linked?device=…&wrap=…&proof=…&offer=…&nonce=…`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DeviceAnswer {
    /// The new device.
    #[n(0)]
    pub device: DeviceId,
    /// Its wrapping key.
    #[n(1)]
    pub wrapping_key: WrapPublicKey,
    /// Its signature over a [`vereda_policy::JoinProof`] that names the offer's person.
    #[n(2)]
    pub proof: Signature,
    /// The nonce of the offer that it answers.
    #[n(3)]
    pub offer: ByteArray<16>,
    /// Makes answers differ.
    #[n(4)]
    pub nonce: ByteArray<16>,
}

impl DeviceOffer {
    /// Writes the link.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{OFFER}relay={}&key={}&agency={}&user={}&device={}&heads={}&nonce={}",
            write_url(&self.relay.url),
            write_id(&self.relay.key.0),
            write_id(&self.agency.0),
            write_id(&self.user.0),
            write_id(&self.device.0),
            write_heads(&self.heads),
            write_bytes(&*self.nonce)
        )
    }
}

impl FromStr for DeviceOffer {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        let parts = Parts::of(text, OFFER)?;
        Ok(Self {
            relay: parts.relay()?,
            agency: ChainId(parts.id("agency")?),
            user: ChainId(parts.id("user")?),
            device: DeviceId(parts.id("device")?),
            heads: read_heads(&parts)?,
            nonce: ByteArray::from(parts.array("nonce")?),
        })
    }
}

impl DeviceAnswer {
    /// Writes the link.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{ANSWER}device={}&wrap={}&proof={}&offer={}&nonce={}",
            write_id(&self.device.0),
            write_bytes(self.wrapping_key.as_bytes()),
            write_bytes(self.proof.as_bytes()),
            write_bytes(&*self.offer),
            write_bytes(&*self.nonce)
        )
    }
}

impl FromStr for DeviceAnswer {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        let parts = Parts::of(text, ANSWER)?;
        let wrapping_key = WrapPublicKey::from_bytes(&parts.bytes("wrap")?);
        Ok(Self {
            device: DeviceId(parts.id("device")?),
            wrapping_key: wrapping_key.map_err(|_| ParseLinkError::Malformed { part: "wrap" })?,
            proof: Signature(parts.array("proof")?),
            offer: ByteArray::from(parts.array("offer")?),
            nonce: ByteArray::from(parts.array("nonce")?),
        })
    }
}

impl Parts<'_> {
    pub(super) fn bytes(&self, part: &'static str) -> Result<Vec<u8>, ParseLinkError> {
        let text = self.text(part)?.to_ascii_uppercase();
        data_encoding::BASE32_NOPAD.decode(text.as_bytes()).map_err(|_| ParseLinkError::Malformed { part })
    }

    pub(super) fn array<const N: usize>(&self, part: &'static str) -> Result<[u8; N], ParseLinkError> {
        self.bytes(part)?.try_into().map_err(|_| ParseLinkError::Malformed { part })
    }
}

pub(super) fn write_bytes(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes)
}

/// Writes heads as `CHAIN-HEAD`, separated by dots.
pub(super) fn write_heads(heads: &[Cite]) -> String {
    let head = |cite: &Cite| format!("{}-{}", write_id(&cite.chain.0), write_id(&cite.head.0));
    heads.iter().map(head).collect::<Vec<_>>().join(".")
}

pub(super) fn read_heads(parts: &Parts<'_>) -> Result<Vec<Cite>, ParseLinkError> {
    let head = |item: &str| {
        let (chain, head) = item.split_once('-')?;
        Some(Cite { chain: ChainId(read_id(chain)?), head: OpId(read_id(head)?) })
    };
    let heads = parts.text("heads")?.split('.').filter(|item| !item.is_empty()).map(head);
    heads.collect::<Option<_>>().ok_or(ParseLinkError::Malformed { part: "heads" })
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use vereda_crypto::WrapKeyPair;

    use super::*;

    fn offer() -> DeviceOffer {
        DeviceOffer {
            relay: RelayAddress { url: "wss://relay.example.org/v1?a=1&b=+".into(), key: DeviceId([1; 32]) },
            agency: ChainId([2; 32]),
            user: ChainId([3; 32]),
            device: DeviceId([4; 32]),
            heads: vec![
                Cite { chain: ChainId([2; 32]), head: OpId([6; 32]) },
                Cite { chain: ChainId([3; 32]), head: OpId([8; 32]) },
            ],
            nonce: ByteArray::from([5; 16]),
        }
    }

    fn answer() -> DeviceAnswer {
        let pair = WrapKeyPair::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let (offer, nonce) = (ByteArray::from([5; 16]), ByteArray::from([9; 16]));
        let wrapping_key = pair.public().clone();
        DeviceAnswer { device: DeviceId([7; 32]), wrapping_key, proof: Signature([8; 64]), offer, nonce }
    }

    #[test]
    fn both_links_read_back_from_their_texts() {
        assert_eq!(offer().text().parse(), Ok(offer()));
        assert_eq!(answer().text().parse(), Ok(answer()));
    }

    #[test]
    fn a_link_that_was_cut_short_anywhere_is_refused() {
        let (offer, answer) = (offer().text(), answer().text());
        for len in 0..offer.len() {
            assert!(offer[..len].parse::<DeviceOffer>().is_err(), "cut at {len}");
        }
        for len in (0..answer.len()).step_by(7).chain([answer.len() - 1]) {
            assert!(answer[..len].parse::<DeviceAnswer>().is_err(), "cut at {len}");
        }
    }
}
