//! What is printed beside a recovery key: where the relay is, whose key it is. Holds no secret.

use std::str::FromStr;

use vereda_base::ChainId;
use vereda_policy::Cite;

use super::{
    ParseLinkError, Parts, RelayAddress,
    device::{read_heads, write_heads},
    write_id, write_url,
};

const PREFIX: &str = "vereda://recover?";

/// Where a recovery key is good: `vereda://recover?relay=…&key=…&heads=…&agency=…&user=…`. The user has one length and stands
/// last, so that a link cut short anywhere is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryLink {
    /// The relay.
    pub relay: RelayAddress,
    /// Heads that were known when the key was made.
    pub heads: Vec<Cite>,
    /// The agency.
    pub agency: ChainId,
    /// The person.
    pub user: ChainId,
}

impl RecoveryLink {
    /// Writes the link.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{PREFIX}relay={}&key={}&heads={}&agency={}&user={}",
            write_url(&self.relay.url),
            write_id(&self.relay.key.0),
            write_heads(&self.heads),
            write_id(&self.agency.0),
            write_id(&self.user.0)
        )
    }
}

impl FromStr for RecoveryLink {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        let parts = Parts::of(text, PREFIX)?;
        Ok(Self {
            relay: parts.relay()?,
            heads: read_heads(&parts)?,
            agency: ChainId(parts.id("agency")?),
            user: ChainId(parts.id("user")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use vereda_base::{DeviceId, OpId};

    use super::*;

    #[test]
    fn a_recovery_link_reads_back_and_is_refused_cut_short() {
        let relay = RelayAddress { url: "wss://relay.example.org/v1".into(), key: DeviceId([1; 32]) };
        let heads = vec![Cite { chain: ChainId([2; 32]), head: OpId([6; 32]) }];
        let link = RecoveryLink { relay, heads, agency: ChainId([2; 32]), user: ChainId([3; 32]) };
        let text = link.text();
        assert_eq!(text.parse(), Ok(link));
        for len in 0..text.len() {
            assert!(text[..len].parse::<RecoveryLink>().is_err(), "cut at {len}");
        }
    }
}
