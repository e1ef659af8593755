//! What is signed when a session begins: one builder for both sides, so that they cannot disagree.

use minicbor::{Encode, bytes::ByteArray};
use vereda_base::{ChainId, DeviceId, Incarnation, OpId, Timestamp, encode};
use vereda_crypto::{DeviceKey, Key32, context, derive_key};

use crate::message::{Auth, Credential, Position};

/// The relay's side of a session's opening, as its challenge said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The relay's key.
    pub relay: DeviceId,
    /// The relay's epoch.
    pub relay_epoch: u64,
    /// The relay's challenge.
    pub challenge: [u8; 32],
}

/// Builds what a device signs under `AUTH_SIGNATURE`: relay key, challenge, and every field of `auth` but the signature.
pub fn auth_message(opening: &Opening, auth: &Auth) -> Vec<u8> {
    encode(&AuthMessage {
        relay: opening.relay,
        challenge: opening.challenge.into(),
        versions: auth.versions.clone(),
        device: auth.device,
        incarnation: auth.incarnation,
        nonce: auth.nonce,
        relay_epoch: auth.relay_epoch,
        credential: auth.credential.clone(),
    })
}

/// Builds what an invite key signs under `INVITE_AUTH_SIGNATURE`: relay key, challenge, device and the invite.
pub fn invite_auth_message(opening: &Opening, device: &DeviceId, chain: &ChainId, invite: &OpId) -> Vec<u8> {
    encode(&InviteAuthMessage {
        relay: opening.relay,
        challenge: opening.challenge.into(),
        device: *device,
        chain: *chain,
        invite: *invite,
    })
}

/// Derives the key with which an agency is founded from the secret in the operator's link. The relay knows its public
/// half.
pub fn founding_key(secret: &[u8; 32]) -> DeviceKey {
    DeviceKey::from_seed(derive_key(context::FOUNDING_KEY, &Key32::new(*secret), &[]).expose())
}

/// Builds what a founding key signs under `FOUNDING_AUTH_SIGNATURE`: relay key, relay epoch, challenge and device.
pub fn founding_auth_message(opening: &Opening, device: &DeviceId) -> Vec<u8> {
    encode(&FoundingAuthMessage {
        relay: opening.relay,
        relay_epoch: opening.relay_epoch,
        challenge: opening.challenge.into(),
        device: *device,
    })
}

/// Proves to one relay, for one challenge and one device, that its holder knows a founding secret.
pub fn founding_credential(opening: &Opening, device: &DeviceId, secret: &[u8; 32]) -> Credential {
    let key = founding_key(secret);
    let proof = key.sign(context::FOUNDING_AUTH_SIGNATURE, &founding_auth_message(opening, device));
    Credential::Founding { key: key.device_id(), proof }
}

/// What the relay says in its welcome, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WelcomeFields {
    /// The device.
    pub device: DeviceId,
    /// The device's nonce.
    pub nonce: [u8; 32],
    /// The version chosen.
    pub version: u16,
    /// The relay's clock.
    pub time: Timestamp,
    /// How many chunks of the device's incarnation the relay holds.
    pub held: u64,
    /// The end of the relay's log.
    pub end: Position,
}

/// Builds what the relay signs under `WELCOME_SIGNATURE`: both nonces, both identities and what the welcome says.
pub fn welcome_message(opening: &Opening, fields: &WelcomeFields) -> Vec<u8> {
    encode(&WelcomeMessage {
        relay: opening.relay,
        relay_epoch: opening.relay_epoch,
        challenge: opening.challenge.into(),
        device: fields.device,
        nonce: fields.nonce.into(),
        version: fields.version,
        time: fields.time,
        held: fields.held,
        end: fields.end,
    })
}

#[derive(Encode)]
#[cbor(array)]
struct AuthMessage {
    #[n(0)]
    relay: DeviceId,
    #[n(1)]
    challenge: ByteArray<32>,
    #[n(2)]
    versions: Vec<u16>,
    #[n(3)]
    device: DeviceId,
    #[n(4)]
    incarnation: Incarnation,
    #[n(5)]
    nonce: ByteArray<32>,
    #[n(6)]
    relay_epoch: Option<u64>,
    #[n(7)]
    credential: Credential,
}

#[derive(Encode)]
#[cbor(array)]
struct InviteAuthMessage {
    #[n(0)]
    relay: DeviceId,
    #[n(1)]
    challenge: ByteArray<32>,
    #[n(2)]
    device: DeviceId,
    #[n(3)]
    chain: ChainId,
    #[n(4)]
    invite: OpId,
}

#[derive(Encode)]
#[cbor(array)]
struct FoundingAuthMessage {
    #[n(0)]
    relay: DeviceId,
    #[n(1)]
    relay_epoch: u64,
    #[n(2)]
    challenge: ByteArray<32>,
    #[n(3)]
    device: DeviceId,
}

#[derive(Encode)]
#[cbor(array)]
struct WelcomeMessage {
    #[n(0)]
    relay: DeviceId,
    #[n(1)]
    relay_epoch: u64,
    #[n(2)]
    challenge: ByteArray<32>,
    #[n(3)]
    device: DeviceId,
    #[n(4)]
    nonce: ByteArray<32>,
    #[n(5)]
    version: u16,
    #[n(6)]
    time: Timestamp,
    #[n(7)]
    held: u64,
    #[n(8)]
    end: Position,
}

#[cfg(test)]
mod tests {
    use vereda_crypto::Signature;

    use super::*;

    #[test]
    fn every_field_of_an_auth_but_the_signature_is_signed() {
        let opening = Opening { relay: DeviceId([1; 32]), relay_epoch: 2, challenge: [3; 32] };
        let auth = Auth {
            versions: vec![1],
            device: DeviceId([4; 32]),
            incarnation: Incarnation(5),
            nonce: [6; 32].into(),
            relay_epoch: None,
            credential: Credential::Member,
            signature: Signature([0; 64]),
        };
        let base = auth_message(&opening, &auth);
        let check = |opening: &Opening, change: &dyn Fn(&mut Auth)| {
            let mut other = auth.clone();
            change(&mut other);
            auth_message(opening, &other) != base
        };
        assert!(check(&Opening { relay: DeviceId([9; 32]), ..opening }, &|_| ()));
        assert!(check(&Opening { challenge: [9; 32], ..opening }, &|_| ()));
        assert!(check(&opening, &|auth| auth.versions = vec![2]));
        assert!(check(&opening, &|auth| auth.device = DeviceId([9; 32])));
        assert!(check(&opening, &|auth| auth.incarnation = Incarnation(9)));
        assert!(check(&opening, &|auth| auth.nonce = [9; 32].into()));
        assert!(check(&opening, &|auth| auth.relay_epoch = Some(2)));
        let founding = founding_credential(&opening, &auth.device, &[9; 32]);
        assert!(check(&opening, &|auth| auth.credential = founding.clone()));
        assert!(!check(&opening, &|auth| auth.signature = Signature([9; 64])));
    }

    #[test]
    fn a_founding_secret_never_travels_and_its_proof_is_good_for_one_relay_epoch_challenge_and_device() {
        let opening = Opening { relay: DeviceId([1; 32]), relay_epoch: 2, challenge: [3; 32] };
        let (device, secret) = (DeviceId([4; 32]), [0xa7; 32]);
        let credential = founding_credential(&opening, &device, &secret);
        let bytes = encode(&credential);
        assert!(!bytes.windows(8).any(|window| window == &secret[..8]));
        let Credential::Founding { key, proof } = credential else { panic!("{credential:?}") };
        let holds = |opening: &Opening, device: &DeviceId| {
            let message = founding_auth_message(opening, device);
            vereda_crypto::verify(context::FOUNDING_AUTH_SIGNATURE, &key, &message, &proof).is_ok()
        };
        assert!(holds(&opening, &device));
        assert!(!holds(&Opening { relay: DeviceId([9; 32]), ..opening }, &device));
        assert!(!holds(&Opening { relay_epoch: 9, ..opening }, &device));
        assert!(!holds(&Opening { challenge: [9; 32], ..opening }, &device));
        assert!(!holds(&opening, &DeviceId([9; 32])));
    }
}
