//! Files of others and of ours that people hand over.

use vereda_base::ChainId;
use vereda_client_core::{
    access::{About, open_text_under},
    devices::RecoveryKey,
    link::{DeviceAnswer, DeviceOffer, FoundingLink, InviteLink, RecoveryLink},
};
use vereda_crypto::Key32;
use vereda_interchange::primero::import;
use vereda_records::Configuration;

/// Reads a configuration in its JSON form.
pub fn configuration(data: &[u8]) {
    if let Ok(read) = Configuration::from_json(data) {
        let written = read.to_json();
        assert_eq!(Configuration::from_json(&written).as_ref(), Ok(&read));
        let _ = read.check();
    }
}

/// Reads a configuration export of Primero.
pub fn primero_export(data: &[u8]) {
    if let Ok(imported) = import(data) {
        let written = imported.configuration.to_json();
        assert_eq!(Configuration::from_json(&written).as_ref(), Ok(&imported.configuration));
    }
}

/// Reads text as the links that people pass on.
pub fn links(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(link) = text.parse::<FoundingLink>() {
        let written = link.expose();
        assert_eq!(written.parse::<FoundingLink>().map(|again| again.expose()).as_deref(), Ok(written.as_str()));
    }
    if let Ok(link) = text.parse::<InviteLink>() {
        let written = link.expose();
        assert_eq!(written.parse::<InviteLink>().map(|again| again.expose()).as_deref(), Ok(written.as_str()));
    }
    if let Ok(link) = text.parse::<DeviceOffer>() {
        assert_eq!(link.text().parse(), Ok(link));
    }
    if let Ok(link) = text.parse::<DeviceAnswer>() {
        assert_eq!(link.text().parse(), Ok(link));
    }
    if let Ok(link) = text.parse::<RecoveryLink>() {
        assert_eq!(link.text().parse(), Ok(link));
    }
    if let Ok(key) = text.parse::<RecoveryKey>() {
        assert!(key.expose().expose().parse() == Ok(key));
    }
}

/// Reads the sealed text of an operation under the key and in the chain of the golden ones.
pub fn sealed_text(data: &[u8]) {
    for about in [About::Purpose, About::Reason] {
        let opened = open_text_under(|_| Some(Key32::new([0x91; 32])), &ChainId([0x92; 32]), about, data);
        assert!(opened.is_none_or(|text| text.len() <= data.len()));
    }
}
