//! Links that an operator passes on.

use vereda_base::{DeviceId, Sensitive};

/// Writes where a relay is and how it proves itself.
pub(crate) fn relay_link(address: &str, key: &DeviceId) -> String {
    format!("vereda-relay:?relay={}&key={key}", escape(address))
}

/// Writes the link with which one agency can be founded, secret included.
pub(crate) fn founding_link(address: &str, key: &DeviceId, secret: &Sensitive<[u8; 32]>) -> String {
    format!("vereda://found?relay={}&key={key}&secret={}", escape(address), hex::encode(secret.expose()))
}

/// Reads where devices connect: a websocket address, with the path of the relay's endpoint added where there is none.
pub(crate) fn parse_address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("ws://").or_else(|| text.strip_prefix("wss://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        return Err("expected an address such as wss://relay.example.org/sync".to_owned());
    };
    if rest.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#')) {
        return Err("expected an address without spaces, query or fragment".to_owned());
    }
    Ok(match rest.split_once('/') {
        None => format!("{text}/sync"),
        Some((_, "")) => format!("{text}sync"),
        Some(_) => text.to_owned(),
    })
}

/// Escapes a value for a link's query (RFC 3986: all but the unreserved characters).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_founding_link_carries_address_key_and_secret() {
        let link = founding_link("wss://relay.example.org/sync", &DeviceId([1; 32]), &Sensitive::new([2; 32]));
        let expected = format!(
            "vereda://found?relay=wss%3A%2F%2Frelay.example.org%2Fsync&key={}&secret={}",
            "01".repeat(32),
            "02".repeat(32)
        );
        assert_eq!(link, expected);
    }

    #[test]
    fn an_address_is_a_websocket_and_gets_its_path() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(parse_address(text).ok().as_deref(), expected);
        check("ws://127.0.0.1:8480", Some("ws://127.0.0.1:8480/sync"));
        check("wss://relay.example.org/", Some("wss://relay.example.org/sync"));
        check("wss://relay.example.org/vereda/sync", Some("wss://relay.example.org/vereda/sync"));
        check("https://relay.example.org", None);
        check("ws:///sync", None);
        check("ws://a b", None);
    }
}
