//! The link a relay's operator gives to whoever founds an agency there.

use std::str::FromStr;

use vereda_base::Sensitive;

use super::{ParseLinkError, Parts, RelayAddress, write_id, write_url};

const PREFIX: &str = "vereda://found?";

/// Carries the relay's address and key and the operator's secret, good for one agency:
/// `vereda://found?relay=…&key=…&secret=…`.
#[derive(Debug, Clone)]
pub struct FoundingLink {
    /// The relay.
    pub relay: RelayAddress,
    /// Good for one agency.
    pub secret: Sensitive<[u8; 32]>,
}

impl FoundingLink {
    /// Writes the link, secret included.
    pub fn expose(&self) -> String {
        format!(
            "{PREFIX}relay={}&key={}&secret={}",
            write_url(&self.relay.url),
            write_id(&self.relay.key.0),
            write_id(self.secret.expose())
        )
    }
}

impl FromStr for FoundingLink {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        let parts = Parts::of(text, PREFIX)?;
        Ok(Self { relay: parts.relay()?, secret: Sensitive::new(parts.id("secret")?) })
    }
}

#[cfg(test)]
mod tests {
    use vereda_base::DeviceId;

    use super::*;

    #[test]
    fn a_founding_link_reads_back_from_its_text() {
        let relay = RelayAddress { url: "ws://[::1]:8480/v1?a=1&b=+".into(), key: DeviceId([7; 32]) };
        let link = FoundingLink { relay, secret: Sensitive::new([0xc3; 32]) };
        let again: FoundingLink = link.expose().parse().unwrap();
        assert_eq!((again.relay, again.secret.expose()), (link.relay, link.secret.expose()));
    }

    #[test]
    fn what_is_no_founding_link_is_refused_with_the_part_at_fault() {
        let check = |text: &str, error| assert_eq!(text.parse::<FoundingLink>().unwrap_err(), error);
        check("https://example.org", ParseLinkError::OtherKind { expected: PREFIX });
        check("vereda://found?key=aa", ParseLinkError::Missing { part: "relay" });
        check("vereda://found?relay=http://a.b&key=aa", ParseLinkError::Malformed { part: "relay" });
        check("vereda://found?relay=ws://a.b&key=aa", ParseLinkError::Malformed { part: "key" });
    }
}
