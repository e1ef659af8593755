//! The agency's directory: names of people, their devices, teams and the agency, in a sealed document that all members
//! may write.
//!
//! A name counts only if it was written by a device of the person (who or whose device bears it), or of a Manager of the
//! team or agency that bears it.

use std::collections::BTreeMap;

use vereda_base::{ActorBytes, ChainId, DeviceId, Timestamp};
use vereda_document::Place;
use vereda_policy::{ChainKind, ChainState, Chains, Heads, Role, membership};
use vereda_records::Value;

use crate::document::OpenDocument;

mod people;

pub use people::{AuthorView, FindError, PeopleView, PersonView, TeamView};
pub(crate) use people::{fitting, only_one};

const PREFIX: &str = "name_";
const DEVICE_PREFIX: &str = "device_";
/// A name, in characters.
pub const MAX_NAME_CHARS: usize = 200;

/// Who bears a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bearer {
    /// A person, a team or the agency.
    Chain(ChainId),
    /// A person's device.
    Device(DeviceId),
}

/// A name that somebody wrote.
#[derive(Debug, Clone)]
pub(crate) struct WrittenName {
    /// Who bears it.
    pub(crate) bearer: Bearer,
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

/// The field that holds a device's name.
pub(crate) fn device_field(device: &DeviceId) -> String {
    format!("{DEVICE_PREFIX}{device}")
}

fn bearer_of(field: &str) -> Option<Bearer> {
    match field.strip_prefix(PREFIX) {
        Some(chain) => chain.parse().ok().map(Bearer::Chain),
        None => field.strip_prefix(DEVICE_PREFIX)?.parse().ok().map(Bearer::Device),
    }
}

/// Lists every name ever written.
pub(crate) fn written(document: &OpenDocument) -> Vec<WrittenName> {
    let entries = document.replica.full_history().into_iter().filter_map(|entry| {
        let (Place::Answer(path), Value::Text(name)) = (&entry.place, entry.value) else { return None };
        let bearer = bearer_of(&path.field)?;
        let device = document.author(&entry.actor)?;
        Some(WrittenName { bearer, name, device, order: (entry.time, entry.actor, entry.seq) })
    });
    entries.collect()
}

/// Keeps the newest name of each bearer among those that are names and whose author may say it; `users` are the people
/// that are known. Others' devices may write anything: what could move a terminal's cursor or fill a screen is no name.
pub(crate) fn accept(view: &dyn Chains, users: &[ChainId], written: Vec<WrittenName>) -> BTreeMap<Bearer, String> {
    let mut newest: BTreeMap<Bearer, WrittenName> = BTreeMap::new();
    for name in written {
        let is_newer = newest.get(&name.bearer).is_none_or(|known| known.order < name.order);
        if is_newer && is_name(&name.name) && may_name(view, users, &name) {
            newest.insert(name.bearer, name);
        }
    }
    newest.into_iter().map(|(bearer, name)| (bearer, name.name)).collect()
}

fn may_name(view: &dyn Chains, users: &[ChainId], name: &WrittenName) -> bool {
    let chain = match &name.bearer {
        Bearer::Chain(chain) => chain,
        Bearer::Device(device) => {
            let has_both = |state: &ChainState| state.device(device).is_some() && state.device(&name.device).is_some();
            return users.iter().filter_map(|user| view.chain(user)).any(|state| has_both(&state));
        }
    };
    let Some(state) = view.chain(chain) else { return false };
    match state.kind() {
        ChainKind::User => state.device(&name.device).is_some(),
        ChainKind::Team | ChainKind::Agency => {
            membership(view, &name.device, chain, &Heads::newest(None)) == Some(Role::Manager)
        }
        ChainKind::Document => false,
    }
}

/// Says whether a text can be a name.
pub(crate) fn is_name(text: &str) -> bool {
    let trimmed = text.trim();
    !trimmed.is_empty() && trimmed.chars().count() <= MAX_NAME_CHARS && !trimmed.chars().any(moves_text)
}

/// Says whether a character controls a terminal, or turns the direction of the text around it, which can make one name
/// look like another. The marks that right-to-left names need are not among them.
fn moves_text(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use vereda_base::Digest;
    use vereda_crypto::{DeviceKey, WrapKeyPair};
    use vereda_policy::{AppendContext, ChainMap, Create, Draft, Epoch, WrapList, chain_of};

    use super::*;

    fn join(chains: &mut ChainMap, seed: u64) -> (DeviceId, ChainId) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (key, pair) = (DeviceKey::generate(&mut rng), WrapKeyPair::generate(&mut rng));
        let wraps = WrapList { root: Digest([0; 32]), count: 1 };
        let public_key = Some(pair.public().clone());
        let epoch = Epoch { public_key, commitment: Digest([0; 32]), wraps, previous: None, targets: vec![Some(0)] };
        let create = Create::user([0; 16], pair.public().clone(), epoch);
        let op = Draft::new(chains, key.device_id(), None).sign_create(&key, create).unwrap();
        chains.append(&op, &AppendContext::unreceipted()).unwrap();
        (key.device_id(), chain_of(op.value()))
    }

    #[test]
    fn a_name_counts_if_its_bearer_wrote_it_and_it_is_one() {
        let mut chains = ChainMap::new();
        let (amina, chain) = join(&mut chains, 1);
        let (mallory, other) = join(&mut chains, 2);
        let (users, bearer) = ([chain, other], Bearer::Chain(chain));
        let written = |name: &str, device, at| {
            let order = (Timestamp(at), ActorBytes([0; 16]), 1);
            WrittenName { bearer, name: name.to_owned(), device, order }
        };
        let check = |names: &[(&str, DeviceId)], expected: Option<&str>| {
            let names = names.iter().zip(0..).map(|((name, device), at)| written(name, *device, at)).collect();
            assert_eq!(accept(&chains, &users, names).get(&bearer).map(String::as_str), expected);
        };
        check(&[("Amina", amina), ("Amina H.", amina)], Some("Amina H."));
        check(&[("Amina", amina), ("Fool", mallory)], Some("Amina"));
        check(&[("أمينة", amina), ("\u{1b}[2J", amina)], Some("أمينة"));
        check(&[("Amina", amina), (&"x".repeat(MAX_NAME_CHARS + 1), amina), (" ", amina)], Some("Amina"));
        check(&[("\u{202e}anima", amina)], None);
        let of_device = |author| {
            let name = WrittenName { bearer: Bearer::Device(amina), ..written("Phone", author, 1) };
            accept(&chains, &users, vec![name]).get(&Bearer::Device(amina)).cloned()
        };
        assert_eq!((of_device(amina).as_deref(), of_device(mallory)), (Some("Phone"), None));
    }
}
