//! What is signed beside operations, receipts and headers: proofs of possession, the messages that open a session.

use anyhow::{Result, bail, ensure};
use minicbor::bytes::ByteArray;
use vereda_base::DeviceId;
use vereda_crypto::{Context, Key32, Signature, context, derive_key, hash, verify};
use vereda_policy::{DeviceKind, InviteProof, JoinProof};
use vereda_protocol::{
    Auth, Credential, Opening, Position, WelcomeFields, auth_message, founding_auth_message, founding_key,
    invite_auth_message, welcome_message,
};

use super::Format;
use crate::{
    vector::Vector,
    world::{START, World},
};

pub(super) const FORMAT: Format = Format {
    name: "proofs",
    about: "Messages in canonical CBOR with their Ed25519 signature over the message's hash under its context",
    make,
    read,
};

const CONTEXTS: [Context; 6] = [
    context::JOIN_SIGNATURE,
    context::INVITE_SIGNATURE,
    context::AUTH_SIGNATURE,
    context::INVITE_AUTH_SIGNATURE,
    context::FOUNDING_AUTH_SIGNATURE,
    context::WELCOME_SIGNATURE,
];

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let (chipo, relay) = (&world.chipo, &world.relay);
    let device = chipo.key.device_id();
    let invite_key = vereda_crypto::DeviceKey::from_seed(
        derive_key(context::INVITE_KEY, &Key32::new(*world.invite_secret.expose()), &[]).expose(),
    );
    let join =
        JoinProof { user: chipo.user, device, wrapping_key: chipo.wrapping.public().clone(), kind: DeviceKind::Full };
    let taken_up = InviteProof { invite: world.invite, user: chipo.user, device };
    let opening = Opening { relay: relay.device_id(), relay_epoch: 7, challenge: [0xd1; 32] };
    let auth = auth_of(&world, &opening, Credential::Member);
    let invited = invite_auth_message(&opening, &device, &world.team, &world.invite);
    let (founder, founding) = (founding_key(&[0xd4; 32]), founding_auth_message(&opening, &device));
    let fields = WelcomeFields { device, nonce: [0xd2; 32], version: 1, time: START, held: 3, end: Position(260) };
    let example = |name: &str, context: Context, signer: &vereda_crypto::DeviceKey, message: Vec<u8>| {
        Vector::new(name, context.as_str())
            .with("signer", signer.device_id().0)
            .with("signed hash", hash(context, &[&message]))
            .with("signature", signer.sign(context, &message).as_bytes())
            .with("bytes", message)
    };
    Ok(vec![
        example("join", context::JOIN_SIGNATURE, &chipo.key, vereda_base::encode(&join)),
        example("invite taken up", context::INVITE_SIGNATURE, &invite_key, vereda_base::encode(&taken_up)),
        example("auth", context::AUTH_SIGNATURE, &chipo.key, auth_message(&opening, &auth)),
        example("auth by invite", context::INVITE_AUTH_SIGNATURE, &invite_key, invited),
        example("auth by founding link", context::FOUNDING_AUTH_SIGNATURE, &founder, founding),
        example("welcome", context::WELCOME_SIGNATURE, relay, welcome_message(&opening, &fields)),
    ])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let Some(context) = CONTEXTS.into_iter().find(|context| context.as_str() == vector.about) else {
            bail!("vector {:?} names no known context", vector.name);
        };
        let (message, signer) = (vector.bytes("bytes")?, DeviceId(vector.array("signer")?));
        let signature = Signature(vector.array("signature")?);
        vector.expect("signed hash", hash(context, &[message]))?;
        verify(context, &signer, message, &signature)?;
        let holds = match vector.name.as_str() {
            "join" => vereda_base::decode::<JoinProof>(message, 4_096)?.holds(&signature),
            "invite taken up" => vereda_base::decode::<InviteProof>(message, 4_096)?.holds(&signer, &signature),
            _ => true,
        };
        ensure!(holds, "vector {:?}: the proof does not hold", vector.name);
    }
    Ok(())
}

/// Makes the proof by which the second person opens a session.
pub(super) fn auth_of(world: &World, opening: &Opening, credential: Credential) -> Auth {
    let mut auth = Auth {
        versions: vec![1],
        device: world.chipo.key.device_id(),
        incarnation: world.chipo.incarnation,
        nonce: ByteArray::from([0xd2; 32]),
        relay_epoch: Some(opening.relay_epoch),
        credential,
        signature: Signature([0; 64]),
    };
    auth.signature = world.chipo.key.sign(context::AUTH_SIGNATURE, &auth_message(opening, &auth));
    auth
}
