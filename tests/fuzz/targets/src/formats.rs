//! Files of others and of ours that people hand over.

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
