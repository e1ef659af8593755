//! Who reads: which devices, which members are entitled to a wrap, and which chains they need to judge for themselves.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};
use vereda_crypto::WrapPublicKey;

use crate::{
    ChainKind, ChainState, Chains, DeviceKind, DeviceStanding, DocumentKind, Heads, ParentAuthority, Role,
    authority::may_be_member, membership,
};

/// Says whether a device may read a document, or a group's epochs, at the newest heads: whether it is a member.
#[must_use]
pub fn may_read(view: &dyn Chains, device: &DeviceId, chain: &ChainId, now: Option<Timestamp>) -> bool {
    membership(view, device, chain, &Heads::newest(now)).is_some()
}

/// Says whether a device's person is a Manager of a group that may at least end roles in a section.
#[must_use]
pub fn governs_section(view: &dyn Chains, device: &DeviceId, document: &ChainState, now: Option<Timestamp>) -> bool {
    let manages = |group: &ChainId| membership(view, device, group, &Heads::newest(now)) == Some(Role::Manager);
    document.document_kind() == Some(DocumentKind::Section)
        && document.parents().any(|parent| parent.authority != ParentAuthority::None && manages(&parent.chain))
}

/// Lists the devices that may read in a chain at the newest heads.
pub fn reading_devices(view: &dyn Chains, chain: &ChainId, now: Option<Timestamp>) -> BTreeSet<DeviceId> {
    let (mut devices, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![*chain]);
    while let Some(id) = open.pop() {
        let Some(state) = view.chain(&id).filter(|_| seen.insert(id)) else { continue };
        let head = state.head_seq();
        let reads = |device: &&DeviceStanding| device.kind == DeviceKind::Full && device.stands_at(head);
        devices.extend(state.devices().iter().filter(reads).map(|device| device.device));
        open.extend(standing_members(view, &state, now));
    }
    devices
}

/// Who a key is wrapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A device, in its user's chain.
    Device(DeviceId),
    /// A user, team or agency.
    Chain(ChainId),
}

impl Subject {
    /// Names it as [`crate::Wrap::recipient`] does.
    pub const fn recipient(&self) -> Digest {
        match self {
            Self::Device(device) => Digest(device.0),
            Self::Chain(chain) => Digest(chain.0),
        }
    }

    /// Finds the public key to wrap to, of the subject's newest epoch; a device's is found in its user's chain.
    pub fn public_key(&self, view: &dyn Chains, chain: &ChainId) -> Option<WrapPublicKey> {
        match self {
            Self::Device(device) => view.chain(chain)?.device(device).map(|standing| standing.wrapping_key.clone()),
            Self::Chain(member) => view.chain(member)?.newest_epoch()?.public_key.clone(),
        }
    }
}

/// Lists who is entitled to a wrap of a chain's newest epoch, each with its own newest epoch (0 for a device), sorted:
/// the standing devices of a user, the standing members of any other chain. A member whose chain is unknown here is
/// left out, as nothing can be wrapped to it.
pub fn entitled(view: &dyn Chains, chain: &ChainId, now: Option<Timestamp>) -> Vec<(Subject, u64)> {
    let Some(state) = view.chain(chain) else { return Vec::new() };
    let head = state.head_seq();
    let devices = state.devices().iter().filter(|device| device.stands_at(head));
    let devices = devices.map(|device| (Subject::Device(device.device), 0));
    let members = standing_members(view, &state, now).into_iter().filter_map(|member| {
        let epoch = view.chain(&member)?.newest_epoch()?.number;
        Some((Subject::Chain(member), epoch))
    });
    devices.chain(members).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Lists who is entitled to a wrap of a chain's newest epoch and has none. `is_wrapped` says whether there is a wrap
/// for a recipient under this epoch of its own: known to whoever holds the wraps beside the chain.
pub fn lacking_wraps(
    view: &dyn Chains,
    chain: &ChainId,
    now: Option<Timestamp>,
    is_wrapped: impl Fn(&Digest, u64) -> bool,
) -> Vec<(Subject, u64)> {
    let mut lacking = entitled(view, chain, now);
    lacking.retain(|(subject, epoch)| !is_wrapped(&subject.recipient(), *epoch));
    lacking
}

/// Lists the users that are members of a chain, directly or through groups, at the newest heads.
pub fn members_of(view: &dyn Chains, chain: &ChainId, now: Option<Timestamp>) -> BTreeSet<ChainId> {
    let (mut users, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![*chain]);
    while let Some(id) = open.pop() {
        let Some(state) = view.chain(&id).filter(|_| seen.insert(id)) else { continue };
        if state.kind() == ChainKind::User {
            users.insert(id);
        }
        open.extend(standing_members(view, &state, now));
    }
    users
}

/// Lists the chains that a device needs to judge a chain's operations and content for itself, that chain included: its
/// members, past ones too, and theirs, in depth; and of all these the parents and whatever their operations cite. The
/// members of a parent are not among them unless something cites them.
pub fn needed_chains(view: &dyn Chains, chain: &ChainId) -> BTreeSet<ChainId> {
    let mut needed = BTreeSet::new();
    let mut members = vec![*chain];
    let mut authors = Vec::new();
    while let Some(id) = members.pop() {
        if !needed.insert(id) {
            continue;
        }
        let Some(state) = view.chain(&id) else { continue };
        members.extend(state.members().iter().map(|member| member.subject));
        authors.extend(above(&state));
    }
    while let Some(id) = authors.pop() {
        if needed.insert(id)
            && let Some(state) = view.chain(&id)
        {
            authors.extend(above(&state));
        }
    }
    needed
}

fn above(state: &ChainState) -> impl Iterator<Item = ChainId> {
    let parents = state.all_parents().iter().map(|standing| standing.parent.chain);
    parents.chain(state.cited().iter().map(|cite| cite.chain))
}

/// Lists the members that stand at the newest head and whose kind has a place there.
fn standing_members(view: &dyn Chains, state: &ChainState, now: Option<Timestamp>) -> BTreeSet<ChainId> {
    let head = state.head_seq();
    let standing = state.members().iter().filter(|member| member.stands_at(head, now)).map(|member| member.subject);
    let fits = |id: &ChainId| view.chain(id).is_some_and(|member| may_be_member(member.kind(), state.kind()));
    standing.filter(fits).collect()
}
