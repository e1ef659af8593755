//! Links that people pass on.

use anyhow::{Result, bail, ensure};
use vereda_base::{Sensitive, Timestamp};
use vereda_client_core::link::{FoundingLink, InviteLink, RelayAddress};
use vereda_policy::Cite;

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

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let relay = RelayAddress { url: "wss://relay.example.org/v1?a=1&b=%20+".into(), key: world.relay.device_id() };
    let founding = FoundingLink { relay: relay.clone(), secret: Sensitive::new([0xe1; 32]) };
    let cite = |chain| Ok(Cite { chain, head: head(&world.chains, &chain)? });
    let invite = InviteLink {
        relay,
        agency: world.agency,
        chain: world.team,
        invite: world.invite,
        secret: Sensitive::new(*world.invite_secret.expose()),
        expires: Timestamp(START.0 + 3_600_000),
        heads: [world.agency, world.amina.user].into_iter().map(cite).collect::<Result<_>>()?,
    };
    Ok(vec![found(&founding), join(&invite)?])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let text = vector.text("link")?;
        let now = match vector.name.as_str() {
            FOUND => found(&text.parse()?),
            JOIN => join(&text.parse()?)?,
            other => bail!("unknown vector {other:?}"),
        };
        if let Some(difference) = vector.difference(&now) {
            bail!("{difference}");
        }
        // Scanners and people change the case of ids.
        ensure!(text.to_ascii_lowercase().parse::<InviteLink>().is_ok() == (vector.name == JOIN), "case matters");
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
    let heads = link.heads.iter().zip(0..);
    let vector = heads.fold(vector, |vector, (cite, index)| {
        vector.with(format!("chain {index}"), cite.chain.0).with(format!("head {index}"), cite.head.0)
    });
    Ok(vector.with_text("link", link.expose()))
}
