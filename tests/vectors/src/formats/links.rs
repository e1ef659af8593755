//! Links that people pass on.

use anyhow::{Result, bail, ensure};
use minicbor::bytes::ByteArray;
use vereda_base::{Sensitive, Timestamp};
use vereda_client_core::{
    devices::{LinkingCode, RecoveryKey},
    link::{DeviceAnswer, DeviceOffer, FoundingLink, InviteLink, RecoveryLink, RelayAddress},
};
use vereda_crypto::{DeviceKey, Key32, WrapKeyPair};
use vereda_policy::{Cite, DeviceKind, JoinProof};

use super::Format;
use crate::{
    vector::Vector,
    world::{START, World, head},
};

pub(super) const FORMAT: Format = Format {
    name: "links",
    about: "Links as they are shown, copied and scanned, and the ids and secrets that they carry",
    make,
    read,
};

const FOUND: &str = "found";
const JOIN: &str = "join";
const OFFER: &str = "link";
const ANSWER: &str = "linked";
const CODE: &str = "linking code";
const RECOVERY: &str = "recover";
const RECOVERY_KEY: &str = "recovery key";

/// A recovery key as it is printed, checksum included.
const PRINTED_KEY: &str = "4F2K-0000-7ABC-1111-ZZZZ-2222-90QR-3333-SHA6";

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let relay = RelayAddress { url: "wss://relay.example.org/v1?a=1&b=%20+".into(), key: world.relay.device_id() };
    let founding = FoundingLink { relay: relay.clone(), secret: Sensitive::new([0xe1; 32]) };
    let cite = |chain| Ok(Cite { chain, head: head(&world.chains, &chain)? });
    let invite = InviteLink {
        relay: relay.clone(),
        agency: world.agency,
        chain: world.team,
        invite: world.invite,
        secret: Sensitive::new(*world.invite_secret.expose()),
        expires: Timestamp(START.0 + 3_600_000),
        heads: [world.agency, world.amina.user].into_iter().map(cite).collect::<Result<_>>()?,
    };
    let heads = invite.heads.clone();
    let recovery =
        RecoveryLink { relay: relay.clone(), heads: heads.clone(), agency: world.agency, user: world.amina.user };
    let linking = DeviceOffer {
        relay,
        agency: world.agency,
        user: world.amina.user,
        device: world.amina.key.device_id(),
        heads,
        nonce: ByteArray::from([0x0f; 16]),
    };
    let linked = answer_to(&linking);
    Ok(vec![
        found(&founding),
        join(&invite)?,
        offer(&linking),
        answer(&linked),
        code(&linking, &linked),
        recover(&recovery),
        recovery_key(&PRINTED_KEY.parse()?),
    ])
}

/// What a new device with fixed keys answers.
fn answer_to(offer: &DeviceOffer) -> DeviceAnswer {
    let (key, pair) = (DeviceKey::from_seed(&[0x1d; 32]), WrapKeyPair::from_seed(&Key32::new([0x1e; 32])));
    let (device, wrapping_key) = (key.device_id(), pair.public().clone());
    let proof = JoinProof { user: offer.user, device, wrapping_key: wrapping_key.clone(), kind: DeviceKind::Full };
    DeviceAnswer {
        device,
        wrapping_key,
        proof: proof.sign(&key),
        offer: offer.nonce,
        nonce: ByteArray::from([0x1f; 16]),
    }
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let text = vector.text("link")?;
        let now = match vector.name.as_str() {
            FOUND => found(&text.parse()?),
            JOIN => join(&text.parse()?)?,
            OFFER => offer(&text.parse()?),
            ANSWER => answer(&text.parse()?),
            CODE => code(&text.parse()?, &vector.text("answer")?.parse()?),
            RECOVERY => recover(&text.parse()?),
            RECOVERY_KEY => recovery_key(&text.parse()?),
            other => bail!("unknown vector {other:?}"),
        };
        if let Some(difference) = vector.difference(&now) {
            bail!("{difference}");
        }
        // Scanners and people change the case of ids.
        let changed = text.to_ascii_lowercase();
        ensure!(changed.parse::<InviteLink>().is_ok() == (vector.name == JOIN), "case matters");
        ensure!(changed.parse::<DeviceAnswer>().is_ok() == (vector.name == ANSWER), "case matters");
        ensure!(changed.parse::<RecoveryKey>().is_ok() == (vector.name == RECOVERY_KEY), "case matters");
    }
    Ok(())
}

fn found(link: &FoundingLink) -> Vector {
    Vector::new(FOUND, "from a relay's operator to whoever founds an agency")
        .with_text("relay", &link.relay.url)
        .with("relay key", link.relay.key.0)
        .with("secret", link.secret.expose())
        .with_text("link", link.expose())
}

fn join(link: &InviteLink) -> Result<Vector> {
    let vector = Vector::new(JOIN, "from a member to whoever shall join")
        .with_text("relay", &link.relay.url)
        .with("relay key", link.relay.key.0)
        .with("agency", link.agency.0)
        .with("chain", link.chain.0)
        .with("invite", link.invite.0)
        .with("secret", link.secret.expose())
        .with_number("expires", u64::try_from(link.expires.0)?);
    Ok(with_heads(vector, &link.heads).with_text("link", link.expose()))
}

fn offer(link: &DeviceOffer) -> Vector {
    let vector = Vector::new(OFFER, "from a device of a person to a new one of his")
        .with_text("relay", &link.relay.url)
        .with("relay key", link.relay.key.0)
        .with("agency", link.agency.0)
        .with("user", link.user.0)
        .with("device", link.device.0)
        .with("nonce", *link.nonce);
    with_heads(vector, &link.heads).with_text("link", link.text())
}

fn answer(link: &DeviceAnswer) -> Vector {
    Vector::new(ANSWER, "from the new device back: its keys, and that it means that person")
        .with("device", link.device.0)
        .with("wrapping key", link.wrapping_key.as_bytes())
        .with("proof", link.proof.as_bytes())
        .with("offer's nonce", *link.offer)
        .with("nonce", *link.nonce)
        .with_text("link", link.text())
}

fn code(offer: &DeviceOffer, answer: &DeviceAnswer) -> Vector {
    Vector::new(CODE, "what both screens show, of both links")
        .with_text("link", offer.text())
        .with_text("answer", answer.text())
        .with_text("code", LinkingCode::of(offer, answer).to_string())
}

fn recover(link: &RecoveryLink) -> Vector {
    let vector = Vector::new(RECOVERY, "printed beside a recovery key: where it is good")
        .with_text("relay", &link.relay.url)
        .with("relay key", link.relay.key.0)
        .with("agency", link.agency.0)
        .with("user", link.user.0);
    with_heads(vector, &link.heads).with_text("link", link.text())
}

fn recovery_key(key: &RecoveryKey) -> Vector {
    Vector::new(RECOVERY_KEY, "a secret on paper, and the device whose keys come from it")
        .with_text("link", key.expose().expose())
        .with("device", key.device().0)
}

fn with_heads(vector: Vector, heads: &[Cite]) -> Vector {
    heads.iter().zip(0..).fold(vector, |vector, (cite, index): (_, usize)| {
        vector.with(format!("chain {index}"), cite.chain.0).with(format!("head {index}"), cite.head.0)
    })
}
