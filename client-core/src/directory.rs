//! The agency's directory: names of people, their devices, teams and the agency, in a sealed document that all members
//! may write.
//!
//! A name counts only if it was written by a device of the person (who or whose device bears it), or of a Manager of the
//! team or agency that bears it. What a former Manager wrote, or a device that was removed, counts as long as none of the
//! present ones wrote another, so that no name goes with whoever gave it; a present one's device then says it again. Of
//! several the newest counts: not by any clock, which a device may set to the end of time, but by what its author had seen.

use std::collections::BTreeMap;

use vereda_base::{ActorBytes, ChainId, DeviceId};
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
    /// The counter of the operation, greater than that of every name its author had seen, and the actor: the order among
    /// those that count.
    pub(crate) order: (u64, ActorBytes),
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
        Some(WrittenName { bearer, name, device, order: (entry.counter, entry.actor) })
    });
    entries.collect()
}

/// A name that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcceptedName {
    /// The name.
    pub(crate) name: String,
    /// Whoever wrote it could not write it any more.
    pub(crate) is_of_former: bool,
}

/// By what right a name was written; the better one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Former,
    Present,
}

/// Keeps the newest name of each bearer among those that are names and whose author may say it, or could when nobody who may
/// now says another; `users` are the people that are known. Others' devices may write anything: what could move a terminal's
/// cursor or fill a screen is no name.
pub(crate) fn accept(
    view: &dyn Chains,
    users: &[ChainId],
    written: Vec<WrittenName>,
) -> BTreeMap<Bearer, AcceptedName> {
    let mut newest: BTreeMap<Bearer, (Right, WrittenName)> = BTreeMap::new();
    for name in written {
        if !is_name(&name.name) {
            continue;
        }
        let Some(right) = right_to_name(view, users, &name) else { continue };
        let is_newer = |(known_right, known): &(Right, WrittenName)| (*known_right, known.order) < (right, name.order);
        if newest.get(&name.bearer).is_none_or(is_newer) {
            newest.insert(name.bearer, (right, name));
        }
    }
    let accepted =
        |(right, name): (Right, WrittenName)| AcceptedName { name: name.name, is_of_former: right == Right::Former };
    newest.into_iter().map(|(bearer, found)| (bearer, accepted(found))).collect()
}

fn right_to_name(view: &dyn Chains, users: &[ChainId], name: &WrittenName) -> Option<Right> {
    let chain = match &name.bearer {
        Bearer::Chain(chain) => chain,
        Bearer::Device(device) => {
            let of_both = |state: &ChainState| state.device(device).and_then(|_| of_device(state, &name.device));
            return users.iter().filter_map(|user| view.chain(user)).filter_map(|state| of_both(&state)).max();
        }
    };
    let state = view.chain(chain)?;
    match state.kind() {
        ChainKind::User => of_device(&state, &name.device),
        ChainKind::Team | ChainKind::Agency => {
            if membership(view, &name.device, chain, &Heads::newest(None)) == Some(Role::Manager) {
                return Some(Right::Present);
            }
            was_manager(view, users, &state, &name.device).then_some(Right::Former)
        }
        ChainKind::Document => None,
    }
}

/// Tells by what right a device speaks for its person: whoever has one that was removed does so no more.
fn of_device(user: &ChainState, device: &DeviceId) -> Option<Right> {
    let standing = user.device(device)?;
    Some(if standing.stands_at(user.head_seq()) { Right::Present } else { Right::Former })
}

/// Says whether a device belongs to somebody who is or was Manager of a group, himself or through one of its teams.
fn was_manager(view: &dyn Chains, users: &[ChainId], group: &ChainState, device: &DeviceId) -> bool {
    let managers = group.members().iter().filter(|held| held.role == Role::Manager).map(|held| held.subject);
    managers.into_iter().any(|subject| {
        let of_team = || view.chain(&subject).filter(|state| state.kind() == ChainKind::Team);
        if users.contains(&subject) {
            return view.chain(&subject).is_some_and(|user| user.device(device).is_some());
        }
        // A team's members are people, so this ends.
        of_team().is_some_and(|team| was_manager(view, users, &team, device))
    })
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
            let order = (at, ActorBytes([0; 16]));
            WrittenName { bearer, name: name.to_owned(), device, order }
        };
        let check = |names: &[(&str, DeviceId)], expected: Option<&str>| {
            let names = names.iter().zip(0..).map(|((name, device), at)| written(name, *device, at)).collect();
            assert_eq!(accept(&chains, &users, names).get(&bearer).map(|found| found.name.as_str()), expected);
        };
        check(&[("Amina", amina), ("Amina H.", amina)], Some("Amina H."));
        check(&[("Amina", amina), ("Fool", mallory)], Some("Amina"));
        check(&[("أمينة", amina), ("\u{1b}[2J", amina)], Some("أمينة"));
        check(&[("Amina", amina), (&"x".repeat(MAX_NAME_CHARS + 1), amina), (" ", amina)], Some("Amina"));
        check(&[("\u{202e}anima", amina)], None);
        let same = |name: &str, actor| WrittenName { order: (1, ActorBytes([actor; 16])), ..written(name, amina, 1) };
        for names in [[same("A", 1), same("B", 2)], [same("B", 2), same("A", 1)]] {
            assert_eq!(
                accept(&chains, &users, names.to_vec())[&bearer].name,
                "B",
                "in whatever order they are heard of"
            );
        }
        let of_device = |author| {
            let name = WrittenName { bearer: Bearer::Device(amina), ..written("Phone", author, 1) };
            accept(&chains, &users, vec![name]).remove(&Bearer::Device(amina)).map(|found| found.name)
        };
        assert_eq!((of_device(amina).as_deref(), of_device(mallory)), (Some("Phone"), None));
    }
}
