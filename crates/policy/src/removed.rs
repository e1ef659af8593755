//! Whose work a removal concerns.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId};

use crate::{Body, ChainKind, ChainState, Chains, ParentAuthority, Role, authority::may_be_member};

/// Lists the devices that a removal concerns, recovery keys too, as they stand at the newest heads before it: their work is
/// what its frontier names. Of `RemoveDevice` that device; of the others all of the subjects, down to users; of an `Assign`
/// that takes authority from parents also those of their Managers. Empty for what is no removal.
pub fn removed_devices(view: &dyn Chains, chain: &ChainId, body: &Body) -> BTreeSet<DeviceId> {
    let mut devices = BTreeSet::new();
    match body {
        Body::RemoveDevice(remove) => devices.extend([remove.device]),
        Body::Revoke(revoke) => devices_below(view, &revoke.subject, &mut devices),
        Body::Expire(expire) => devices_below(view, &expire.subject, &mut devices),
        Body::Assign(assign) => {
            assign.takes.iter().for_each(|taken| devices_below(view, taken, &mut devices));
            if let Some(state) = view.chain(chain) {
                for parent in assign.lowered_parents(state.parents()) {
                    managers_of(view, &parent, &mut devices);
                }
            }
        }
        _ => {}
    }
    devices
}

fn devices_below(view: &dyn Chains, chain: &ChainId, devices: &mut BTreeSet<DeviceId>) {
    let Some(state) = view.chain(chain) else { return };
    let head = state.head_seq();
    devices.extend(state.devices().iter().filter(|device| device.stands_at(head)).map(|device| device.device));
    for member in members_with(&state, Role::Reader) {
        if fits(view, &member, state.kind()) {
            devices_below(view, &member, devices);
        }
    }
}

fn managers_of(view: &dyn Chains, chain: &ChainId, devices: &mut BTreeSet<DeviceId>) {
    let Some(state) = view.chain(chain) else { return };
    if state.kind() == ChainKind::User {
        return devices_below(view, chain, devices);
    }
    for member in members_with(&state, Role::Manager) {
        if fits(view, &member, state.kind()) {
            managers_of(view, &member, devices);
        }
    }
    for parent in state.parents().filter(|parent| parent.authority == ParentAuthority::Full) {
        managers_of(view, &parent.chain, devices);
    }
}

fn members_with(state: &ChainState, least: Role) -> BTreeSet<ChainId> {
    let head = state.head_seq();
    let held = state.members().iter().filter(|held| held.role >= least && held.stands_at(head, None));
    held.map(|held| held.subject).collect()
}

fn fits(view: &dyn Chains, member: &ChainId, of: ChainKind) -> bool {
    view.chain(member).is_some_and(|state| may_be_member(state.kind(), of))
}
