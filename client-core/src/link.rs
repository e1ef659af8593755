//! Links that people pass on: to found an agency, to join one. Ids stand in upper-case base32, which a QR code holds
//! in fewer modules than hexadecimal or base64.

mod device;
mod founding;
mod invite;
mod recovery;

pub use device::{DeviceAnswer, DeviceOffer};
pub use founding::FoundingLink;
pub use invite::InviteLink;
pub(crate) use invite::invite_key;
pub use recovery::RecoveryLink;

use std::borrow::Cow;

use minicbor::{Decode, Encode};
use url::{Url, form_urlencoded};
use vereda_base::DeviceId;

/// Where a relay is found and how it proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RelayAddress {
    /// A `ws://` or `wss://` address.
    #[n(0)]
    pub url: String,
    /// The relay's key.
    #[n(1)]
    pub key: DeviceId,
}

impl RelayAddress {
    /// Says whether the network between would see what passes: no TLS, and not on this machine.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        is_exposed(&self.url)
    }
}

/// See [`RelayAddress::is_exposed`]. What is no address is for others to refuse.
pub(crate) fn is_exposed(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = match url.host() {
        // A name that is resolved on this machine by definition (RFC 6761).
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "ws" && !is_here
}

/// Why a text is not a link of this kind. Never holds the text: it carries a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseLinkError {
    /// Another kind of text.
    #[error("not a link that begins with {expected}")]
    OtherKind {
        /// How it should begin.
        expected: &'static str,
    },
    /// A part is missing.
    #[error("the link lacks its part {part:?}: was it copied whole?")]
    Missing {
        /// The part.
        part: &'static str,
    },
    /// A part cannot be read.
    #[error("the link's part {part:?} cannot be read: was it copied whole?")]
    Malformed {
        /// The part.
        part: &'static str,
    },
}

/// The parts of a link after its `?`.
struct Parts<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parts<'a> {
    fn of(text: &'a str, expected: &'static str) -> Result<Self, ParseLinkError> {
        let query = text.trim().strip_prefix(expected).ok_or(ParseLinkError::OtherKind { expected })?;
        Ok(Self(form_urlencoded::parse(query.as_bytes()).collect()))
    }

    fn text(&self, part: &'static str) -> Result<&str, ParseLinkError> {
        let found = self.0.iter().find(|(name, _)| name == part);
        found.map(|(_, value)| value.as_ref()).ok_or(ParseLinkError::Missing { part })
    }

    fn id(&self, part: &'static str) -> Result<[u8; 32], ParseLinkError> {
        read_id(self.text(part)?).ok_or(ParseLinkError::Malformed { part })
    }

    fn relay(&self) -> Result<RelayAddress, ParseLinkError> {
        let url = self.text("relay")?;
        let parsed = Url::parse(url).map_err(|_| ParseLinkError::Malformed { part: "relay" })?;
        if !matches!(parsed.scheme(), "ws" | "wss") || parsed.host_str().is_none() {
            return Err(ParseLinkError::Malformed { part: "relay" });
        }
        Ok(RelayAddress { url: url.to_owned(), key: DeviceId(self.id("key")?) })
    }
}

/// Writes an id in base32 without padding: 52 characters.
fn write_id(id: &[u8; 32]) -> String {
    data_encoding::BASE32_NOPAD.encode(id)
}

/// Reads an id from base32 in either case, or from 64 hexadecimal digits.
fn read_id(text: &str) -> Option<[u8; 32]> {
    let bytes = match text.len() {
        64 => data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
        _ => data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()),
    };
    bytes.ok()?.try_into().ok()
}

/// Escapes only what would end a part: the address stays readable.
fn write_url(url: &str) -> String {
    url.chars().fold(String::with_capacity(url.len()), |mut out, c| {
        match c {
            '%' => out.push_str("%25"),
            '&' => out.push_str("%26"),
            '+' => out.push_str("%2B"),
            '#' => out.push_str("%23"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_address_is_exposed_unless_it_is_on_this_machine() {
        let check = |url: &str, exposed| {
            let address = RelayAddress { url: url.into(), key: DeviceId([0; 32]) };
            assert_eq!(address.is_exposed(), exposed, "{url}");
        };
        for here in ["127.0.0.1:8480", "127.9.9.9", "[::1]:8480", "localhost:1", "relay.localhost"] {
            check(&format!("ws://{here}/sync"), false);
        }
        let abroad = [
            "relay.example.org",
            "10.0.0.5:8480",
            "0.0.0.0",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "127.0.0.1@relay.example.org",
        ];
        for abroad in abroad {
            check(&format!("ws://{abroad}/sync"), true);
            check(&format!("wss://{abroad}/sync"), false);
        }
    }
}
