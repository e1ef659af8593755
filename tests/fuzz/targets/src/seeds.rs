//! Golden bytes as the first inputs of every target.

use vereda_vectors::{Part, VERSION, Vector, check::load, committed, formats::format};

use crate::sequence;

/// Lists the inputs that a target begins with. Parts of golden files, and whole sessions.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "signed_operation" | "authorization" => parts("operations", &["bytes"]),
        "receipt" => parts("receipts", &["bytes"]),
        "chunk_header" => parts("chunks", &["bytes"]),
        "fork_proof" => parts("forks", &["bytes"]),
        "wrap_list" => vectors("wraps").iter().map(|vector| joined(vector, &["wrap ", "proof ", "bytes"])).collect(),
        "up_session" | "down_session" => {
            let mut inputs = frames(target.starts_with("up"));
            inputs.extend(parts("frames", &["bytes"]).iter().map(|frame| sequence::join([frame.as_slice()])));
            inputs
        }
        // What follows an honest opening: the vectors' own opening answers another challenge.
        "relay_session" => frames(true).iter().map(|input| behind(0, &skip(input, 1))).collect(),
        "device_session" => frames(false).iter().map(|input| behind(0, &skip(input, 2))).collect(),
        "stored_chunk" => parts("chunks", &["stored"]),
        "unpad_body" => parts("padding", &["bytes"]),
        "merkle_proof" => parts("merkle", &["proof"]),
        "public_keys" => parts("keys", &["wrapping key", "wrap key pair, public", "device id"]),
        "body" => vectors("bodies")
            .iter()
            .zip(0u8..)
            .flat_map(|(vector, row)| ["bytes", "compressed"].map(|form| behind(row, &of(vector, form))))
            .collect(),
        "saved_replica" => parts("replicas", &["bytes"]),
        "configuration" => vec![small_configuration()],
        "links" => vectors("links")
            .iter()
            .map(|vector| vector.text("link").map(|text| text.as_bytes().to_vec()).unwrap_or_default())
            .collect(),
        "sealed_text" => parts("texts", &["bytes"]),
        "primero_export" => vec![PRIMERO.to_vec()],
        _ => [
            parts("operations", &["bytes"]),
            parts("proofs", &["bytes"]),
            parts("wrapping", &["info"]),
            frontier_parts(),
        ]
        .concat(),
    }
}

/// A small export as Primero writes it.
const PRIMERO: &[u8] = br#"{"FormSection":[{"unique_id":"basic","parent_form":"case","name_i18n":{"en":"Basic"},
"fields_attributes":[{"name":"name","type":"text_field","display_name_i18n":{"en":"Name"}},
{"name":"sex","type":"select_box","option_strings_source":"lookup lookup-gender","display_name_i18n":{"en":"Sex"}}]}],
"Lookup":[{"unique_id":"lookup-gender","lookup_values_i18n":[{"id":"f","display_text":{"en":"Female"}}]}],
"Location":[{"location_code":"SO","admin_level":0,"name_i18n":{"en":"Somalia"}}],"Role":[{"unique_id":"r",
"name":"R","permissions":{"case":["read"]}}],"PrimeroModule":[{"unique_id":"m","name":"CP"}]}"#;

/// Frontiers, leaves, places and answers.
fn frontier_parts() -> Vec<Vec<u8>> {
    let all = vectors("frontiers").into_iter().flat_map(|vector| vector.parts);
    all.filter_map(|(_, part)| match part {
        Part::Bytes(bytes) => Some(bytes),
        _ => None,
    })
    .collect()
}

fn small_configuration() -> Vec<u8> {
    let mut configuration = vereda_records::starter::child_protection().clone();
    configuration.forms.truncate(2);
    configuration.lookups.truncate(2);
    configuration.to_json()
}

fn vectors(name: &str) -> Vec<Vector> {
    let format = format(name).expect("a format of that name");
    load(&committed(), VERSION, format).expect("committed golden bytes")
}

fn parts(name: &str, wanted: &[&str]) -> Vec<Vec<u8>> {
    let vectors = vectors(name);
    let parts = vectors.iter().flat_map(|vector| &vector.parts);
    let wanted = parts.filter_map(|(name, part)| match part {
        Part::Bytes(bytes) if wanted.contains(&name.as_str()) => Some(bytes.clone()),
        _ => None,
    });
    wanted.collect()
}

fn of(vector: &Vector, part: &str) -> Vec<u8> {
    vector.bytes(part).map(<[u8]>::to_vec).unwrap_or_default()
}

fn joined(vector: &Vector, prefixes: &[&str]) -> Vec<u8> {
    sequence::join(prefixes.iter().flat_map(|prefix| vector.all_bytes(prefix)))
}

fn frames(up: bool) -> Vec<Vec<u8>> {
    let wanted = if up { "up" } else { "down" };
    let sessions = vectors("sessions");
    sessions.iter().filter(|vector| vector.name == wanted).map(|vector| joined(vector, &["frame "])).collect()
}

fn skip(input: &[u8], count: usize) -> Vec<u8> {
    sequence::join(sequence::split(input).into_iter().skip(count))
}

fn behind(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}
