//! The link that a member passes to whoever shall join.

use std::str::FromStr;

use vereda_base::{ChainId, OpId, Sensitive, Timestamp};
use vereda_crypto::{DeviceKey, Key32, context, derive_key};
use vereda_policy::Cite;

use super::{ParseLinkError, Parts, RelayAddress, read_id, write_id, write_url};

const PREFIX: &str = "vereda://join?";

/// Carries relay, agency, the invite with its secret and expiry, and the heads a new device checks the relay against
/// (protocol.md §3): `vereda://join?relay=…&key=…&agency=…&chain=…&invite=…&expires=…&heads=…&secret=…`. The secret has
/// one length and stands last, so that a link cut short anywhere is noticed.
///
/// `heads` are written as `CHAIN-HEAD`, separated by dots; the agency's own as `HEAD` alone.
#[derive(Debug, Clone)]
pub struct InviteLink {
    /// The relay.
    pub relay: RelayAddress,
    /// The agency.
    pub agency: ChainId,
    /// The chain that takes the newcomer in: a team or the agency.
    pub chain: ChainId,
    /// The `Invite` operation; at the time of writing also the head of `chain`.
    pub invite: OpId,
    /// Signs the acceptance.
    pub secret: Sensitive<[u8; 32]>,
    /// The acceptance must reach the relay before this.
    pub expires: Timestamp,
    /// Heads of the other chains on the inviter's path.
    pub heads: Vec<Cite>,
}

impl InviteLink {
    /// Writes the link, secret included.
    pub fn expose(&self) -> String {
        let head = |cite: &Cite| {
            let head = write_id(&cite.head.0);
            if cite.chain == self.agency { head } else { format!("{}-{head}", write_id(&cite.chain.0)) }
        };
        format!(
            "{PREFIX}relay={}&key={}&agency={}&chain={}&invite={}&expires={}&heads={}&secret={}",
            write_url(&self.relay.url),
            write_id(&self.relay.key.0),
            write_id(&self.agency.0),
            write_id(&self.chain.0),
            write_id(&self.invite.0),
            self.expires.0,
            self.heads.iter().map(head).collect::<Vec<_>>().join("."),
            write_id(self.secret.expose())
        )
    }
}

/// Derives the one-time key of an invite from its secret.
pub(crate) fn invite_key(secret: &[u8; 32]) -> DeviceKey {
    DeviceKey::from_seed(derive_key(context::INVITE_KEY, &Key32::new(*secret), &[]).expose())
}

impl FromStr for InviteLink {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        let parts = Parts::of(text, PREFIX)?;
        let agency = ChainId(parts.id("agency")?);
        let malformed = |part| ParseLinkError::Malformed { part };
        let head = |item: &str| {
            let (chain, head) = match item.split_once('-') {
                Some((chain, head)) => (ChainId(read_id(chain)?), head),
                None => (agency, item),
            };
            Some(Cite { chain, head: OpId(read_id(head)?) })
        };
        let heads = parts.text("heads")?.split('.').filter(|item| !item.is_empty()).map(head);
        Ok(Self {
            relay: parts.relay()?,
            agency,
            chain: ChainId(parts.id("chain")?),
            invite: OpId(parts.id("invite")?),
            secret: Sensitive::new(parts.id("secret")?),
            expires: parts.text("expires")?.parse().map(Timestamp).map_err(|_| malformed("expires"))?,
            heads: heads.collect::<Option<_>>().ok_or(malformed("heads"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use vereda_base::DeviceId;

    use super::*;

    fn link() -> InviteLink {
        InviteLink {
            relay: RelayAddress { url: "wss://relay.example.org/v1".into(), key: DeviceId([1; 32]) },
            agency: ChainId([2; 32]),
            chain: ChainId([3; 32]),
            invite: OpId([4; 32]),
            secret: Sensitive::new([5; 32]),
            expires: Timestamp(1_795_000_000_000),
            heads: vec![
                Cite { chain: ChainId([2; 32]), head: OpId([6; 32]) },
                Cite { chain: ChainId([7; 32]), head: OpId([8; 32]) },
            ],
        }
    }

    #[test]
    fn the_key_of_an_invite_is_derived_from_the_secret_and_is_not_the_secret() {
        let secret = [0xa1; 32];
        let key = invite_key(&secret).device_id();
        assert_ne!(key, DeviceKey::from_seed(&secret).device_id());
        let derived = derive_key(context::INVITE_KEY, &Key32::new(secret), &[]);
        assert_eq!(key, DeviceKey::from_seed(derived.expose()).device_id());
    }

    #[test]
    fn an_invite_link_reads_back_from_its_text() {
        let again: InviteLink = link().expose().parse().unwrap();
        assert_eq!(again.expose(), link().expose());
        assert_eq!((again.heads, again.secret.expose()), (link().heads, link().secret.expose()));
    }

    #[test]
    fn a_link_that_was_cut_short_anywhere_is_refused() {
        let text = link().expose();
        for len in 0..text.len() {
            assert!(text[..len].parse::<InviteLink>().is_err(), "cut at {len}");
        }
    }

    #[test]
    fn debug_of_a_link_does_not_show_its_secret() {
        assert!(!format!("{:?}", link()).contains("[5, 5"));
    }
}
