//! Authority once more, the naive way: lists every path over the bare operations, with no state, no memory and no
//! cleverness. Shares nothing with the crate but the types of operations.

use std::collections::BTreeMap;

use vereda_base::{ChainId, DeviceId, OpId};
use vereda_policy::{Body, ChainKind, Op, Parent, ParentAuthority, Role};

/// All operations of all chains, with their ids.
#[derive(Clone, Default)]
pub struct Oracle {
    pub chains: BTreeMap<ChainId, Vec<(OpId, Op)>>,
}

/// How many operations of each chain are seen; a chain that is not named is not used.
pub type Seen = BTreeMap<ChainId, usize>;

impl Oracle {
    pub fn all(&self) -> Seen {
        self.chains.iter().map(|(chain, ops)| (*chain, ops.len())).collect()
    }

    pub fn membership(&self, device: DeviceId, chain: ChainId, seen: &Seen) -> Option<Role> {
        self.paths(device, chain, seen).iter().map(|path| *path.iter().min().unwrap()).max()
    }

    pub fn authority(&self, device: DeviceId, chain: ChainId, seen: &Seen) -> Option<Role> {
        let mut roles: Vec<Role> = self.membership(device, chain, seen).into_iter().collect();
        let parents = match self.seen(chain, seen).first().map(|(_, op)| &op.body) {
            Some(Body::Create(create)) => create.parents.clone(),
            _ => vec![],
        };
        for parent in parents {
            let full = parent.authority == ParentAuthority::Full;
            if full && self.authority(device, parent.chain, seen) == Some(Role::Manager) {
                roles.push(Role::Manager);
            }
        }
        roles.into_iter().max()
    }

    pub fn role(&self, device: DeviceId, chain: ChainId, seen: &Seen) -> Option<Role> {
        let membership = self.membership(device, chain, seen)?;
        Some(membership.max(self.authority(device, chain, seen).unwrap()))
    }

    /// Whether a device may put a document with these parents before a member.
    pub fn covers(&self, device: DeviceId, parents: &[Parent], subject: ChainId, seen: &Seen) -> bool {
        let kind = |chain| match self.chains.get(&chain).and_then(|ops| ops.first()).map(|(_, op)| &op.body) {
            Some(Body::Create(create)) => create.kind,
            other => unreachable!("{other:?}"),
        };
        let own = kind(subject) == ChainKind::User && self.membership(device, subject, seen).is_some();
        own || parents.iter().any(|parent| {
            let (chain, has_a_say) = (parent.chain, parent.authority != ParentAuthority::None);
            let holds = chain == subject && self.role(device, chain, seen) >= Some(Role::Editor);
            let manages = kind(chain) != ChainKind::User && self.authority(device, chain, seen) == Some(Role::Manager);
            has_a_say && (holds || manages)
        })
    }

    /// What may be put before whom: everything but a `Grant` in a document is nobody's list.
    pub fn covers_body(&self, device: DeviceId, chain: ChainId, body: &Body, seen: &Seen) -> bool {
        let Body::Create(create) = &self.chains[&chain][0].1.body else { unreachable!() };
        match body {
            Body::Grant(grant) if create.kind == ChainKind::Document => {
                self.covers(device, &create.parents, grant.subject, seen)
            }
            _ => true,
        }
    }

    /// The roles along every path from the chain to the device.
    fn paths(&self, device: DeviceId, chain: ChainId, seen: &Seen) -> Vec<Vec<Role>> {
        let mut paths = vec![];
        for (_, op) in self.seen(chain, seen) {
            match &op.body {
                Body::Create(create) if create.kind == ChainKind::User && op.device == device => {
                    paths.push(vec![Role::Manager]);
                }
                Body::Create(create) => {
                    for member in &create.members {
                        paths.extend(self.through(member.subject, member.role, device, seen));
                    }
                }
                Body::AddDevice(add) if add.device == device => paths.push(vec![Role::Manager]),
                Body::Grant(grant) => paths.extend(self.through(grant.subject, grant.role, device, seen)),
                Body::Accept(accept) => {
                    let invite = self.chains[&chain].iter().find(|(id, _)| *id == accept.invite);
                    let Some((_, Op { body: Body::Invite(invite), .. })) = invite else { unreachable!() };
                    paths.extend(self.through(accept.user, invite.role, device, seen));
                }
                _ => {}
            }
        }
        paths
    }

    fn through(&self, subject: ChainId, role: Role, device: DeviceId, seen: &Seen) -> Vec<Vec<Role>> {
        let mut paths = self.paths(device, subject, seen);
        paths.iter_mut().for_each(|path| path.push(role));
        paths
    }

    fn seen(&self, chain: ChainId, seen: &Seen) -> &[(OpId, Op)] {
        let count = seen.get(&chain).copied().unwrap_or(0);
        self.chains.get(&chain).map_or(&[], |ops| &ops[..count])
    }
}
