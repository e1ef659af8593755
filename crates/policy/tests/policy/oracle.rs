//! Authority once more, the naive way: lists every path over the bare operations, with no state, no memory and no
//! cleverness. Shares nothing with the crate but the types of operations.

use std::collections::BTreeMap;

use vereda_base::{ChainId, DeviceId, OpId};
use vereda_policy::{Body, ChainKind, Op, ParentAuthority, Role};

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
