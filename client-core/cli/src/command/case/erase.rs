//! `vereda case erase`.

use serde_json::{Value as Json, json};
use vereda_client_core::{
    access::{Erasure, LeftSection, SubjectView, WhyLeft},
    device::{Ambient, Device},
    vault::Vault,
};

use crate::{
    command::{
        Common,
        access::{Told, Wait, decide_and_tell, find_file},
    },
    fault::Outcome,
    views::short,
};

pub(super) fn run(common: &Common, id: &str, wait: &Wait) -> Outcome {
    let act = |device: &mut Device<Vault>, ambient: &mut Ambient<'_>| {
        let document = find_file(device, id)?;
        Ok(device.erase(ambient, &document)?)
    };
    decide_and_tell(common, wait, act, |erasure| tell_erasure(&erasure))
}

/// Tells what is erased, what is left, and who can erase that.
pub(crate) fn tell_erasure(erasure: &Erasure) -> Told {
    let fields = match json!(erasure) {
        Json::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let mut lines = Vec::new();
    if let sections @ 2.. = erasure.erased.len() {
        lines.push(format!("Erased with {} of its sections.", sections.saturating_sub(1)));
    }
    for left in &erasure.left {
        let why = match left.why {
            WhyLeft::NotAllowed => "you have no such right in it",
            WhyLeft::Uncertain => "somebody else than its beginner says that it is of this case",
            WhyLeft::Unknown => "nothing more of it is known on this device",
        };
        lines.push(format!("Left: section {}: {why}. {}", name(left), erasers(left)));
    }
    if !erasure.unplaced.is_empty() {
        lines.push(
            "Closed to you, and of this case or of another; whoever holds one knows (vereda policy show ID):".into(),
        );
        lines.extend(erasure.unplaced.iter().map(|left| format!("  section {}. {}", name(left), erasers(left))));
    }
    Told { fields, lines }
}

fn name(left: &LeftSection) -> String {
    let id = &left.section.id;
    left.section.name.as_ref().map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

fn erasers(left: &LeftSection) -> String {
    let name = |subject: &SubjectView| {
        let name = subject.name.clone().unwrap_or_else(|| short(&subject.id));
        if subject.kind == "person" { name } else { format!("Managers of {name}") }
    };
    let names: Vec<String> = left.erasable_by.iter().map(name).collect();
    format!("Can be erased by: {}; vereda case erase {} --yes", names.join(", "), left.section.id)
}
