//! The agency's directory: names of people, teams and the agency, in a sealed document that all members may write.
//!
//! A name counts only if it was written by a device of the person, or of a Manager of the team or agency that bears it.

use std::collections::BTreeMap;

use vereda_base::{ActorBytes, ChainId, DeviceId, Timestamp};
use vereda_document::Place;
use vereda_policy::{ChainKind, Chains, Heads, Role, membership};
use vereda_records::Value;

use crate::document::OpenDocument;

mod people;

pub use people::{AuthorView, FindError, PeopleView, PersonView, TeamView};

const PREFIX: &str = "name_";
/// A name, in characters.
pub const MAX_NAME_CHARS: usize = 200;

/// A name that somebody wrote.
#[derive(Debug, Clone)]
pub(crate) struct WrittenName {
    /// Who bears it.
    pub(crate) chain: ChainId,
    /// The name.
    pub(crate) name: String,
    /// Who wrote it.
    pub(crate) device: DeviceId,
    /// When; with actor and seq, the order among those that count.
    pub(crate) order: (Timestamp, ActorBytes, u64),
}

/// The field that holds a chain's name.
pub(crate) fn field(chain: &ChainId) -> String {
    format!("{PREFIX}{chain}")
}

/// Lists every name ever written.
pub(crate) fn written(document: &OpenDocument) -> Vec<WrittenName> {
    let entries = document.replica.full_history().into_iter().filter_map(|entry| {
        let (Place::Answer(path), Value::Text(name)) = (&entry.place, entry.value) else { return None };
        let chain = path.field.strip_prefix(PREFIX)?.parse().ok()?;
        let device = document.author(&entry.actor)?;
        Some(WrittenName { chain, name, device, order: (entry.time, entry.actor, entry.seq) })
    });
    entries.collect()
}

/// Keeps the newest name of each chain among those whose author may say it.
pub(crate) fn accept(view: &dyn Chains, written: Vec<WrittenName>) -> BTreeMap<ChainId, String> {
    let mut newest: BTreeMap<ChainId, WrittenName> = BTreeMap::new();
    for name in written {
        let is_newer = newest.get(&name.chain).is_none_or(|known| known.order < name.order);
        if is_newer && may_name(view, &name) {
            newest.insert(name.chain, name);
        }
    }
    newest.into_iter().map(|(chain, name)| (chain, name.name)).collect()
}

fn may_name(view: &dyn Chains, name: &WrittenName) -> bool {
    let Some(state) = view.chain(&name.chain) else { return false };
    match state.kind() {
        ChainKind::User => state.device(&name.device).is_some(),
        ChainKind::Team | ChainKind::Agency => {
            membership(view, &name.device, &name.chain, &Heads::newest(None)) == Some(Role::Manager)
        }
        ChainKind::Document => false,
    }
}

/// Says whether a text can be a name.
pub(crate) fn is_name(text: &str) -> bool {
    let trimmed = text.trim();
    !trimmed.is_empty() && trimmed.chars().count() <= MAX_NAME_CHARS && !trimmed.chars().any(char::is_control)
}
