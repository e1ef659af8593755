//! Whose work a removal concerns.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId};

use crate::{
    Body, ChainKind, ChainState, Chains, ParentAuthority, Role,
    authority::{may_be_member, may_be_parent},
};

/// Lists the devices that a removal concerns, recovery keys too, that stand at the newest heads before it or ever stood:
/// their work is what its frontier names. Of `RemoveDevice` that device; of the others all of the subjects, down to users; of
/// an `Assign` that takes authority from parents also those of their Managers. Those who left before are among them, since
/// what they wrote rested on both that has ended: the removal that takes the second away must name it too. Empty for what is
/// no removal.
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
    devices.extend(state.devices().iter().map(|device| device.device));
    for member in members_with(&state, Role::Reader) {
        if fits(view, &member, state.kind()) {
            devices_below(view, &member, devices);
        }
    }
}

/// Whoever is Manager of a chain by authority: its members by roles that are all Manager, and the Managers of its parents
/// with full authority. A team that is Manager of its own agency leads back up no further.
fn managers_of(view: &dyn Chains, chain: &ChainId, devices: &mut BTreeSet<DeviceId>) {
    let Some(state) = view.chain(chain) else { return };
    managers_below(view, &state, devices);
    let parents = state.all_parents().iter().map(|standing| &standing.parent);
    for parent in parents.filter(|parent| parent.authority == ParentAuthority::Full) {
        let above = view.chain(&parent.chain).filter(|above| may_be_parent(above.kind(), state.kind()));
        if above.is_some() {
            managers_of(view, &parent.chain, devices);
        }
    }
}

fn managers_below(view: &dyn Chains, state: &ChainState, devices: &mut BTreeSet<DeviceId>) {
    devices.extend(state.devices().iter().map(|device| device.device));
    for member in members_with(state, Role::Manager) {
        let below = view.chain(&member).filter(|below| may_be_member(below.kind(), state.kind()));
        if let Some(below) = below {
            managers_below(view, &below, devices);
        }
    }
}

fn members_with(state: &ChainState, least: Role) -> BTreeSet<ChainId> {
    let held = state.members().iter().filter(|held| held.role >= least);
    held.map(|held| held.subject).collect()
}

fn fits(view: &dyn Chains, member: &ChainId, of: ChainKind) -> bool {
    view.chain(member).is_some_and(|state| may_be_member(state.kind(), of))
}
