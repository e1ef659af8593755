//! Who may do what in a chain, at given heads (protocol.md §2). Pure and total.

use std::collections::BTreeMap;

use vereda_base::{ChainId, DeviceId};

use crate::{ChainKind, ChainState, Chains, Heads, Need, ParentAuthority, Role};

/// Tells a device's role in a chain by membership: over all paths from the chain down to the device, the best of the
/// lowest role on the path. In its user's chain a device is Manager. Only a chain of a strictly lower kind counts as a
/// member.
pub fn membership(view: &dyn Chains, device: &DeviceId, chain: &ChainId, at: &Heads) -> Option<Role> {
    Evaluator::new(view, *device, at).membership(chain)
}

/// Tells a device's role over a chain's operations: its membership, or Manager where it has authority as Manager, by
/// either way, in a parent with [`ParentAuthority::Full`].
pub fn authority(view: &dyn Chains, device: &DeviceId, chain: &ChainId, at: &Heads) -> Option<Role> {
    Evaluator::new(view, *device, at).authority(chain)
}

/// Tells a device's role over a chain's content: none without membership, else the better of membership and authority.
/// So Managers from above have authority over operations, but no content.
pub fn role(view: &dyn Chains, device: &DeviceId, chain: &ChainId, at: &Heads) -> Option<Role> {
    Evaluator::new(view, *device, at).role(chain)
}

/// Evaluates many chains for one device at the same heads; what it finds of groups it keeps.
pub struct Evaluator<'a> {
    view: &'a dyn Chains,
    device: DeviceId,
    at: &'a Heads,
    memberships: BTreeMap<ChainId, Option<Role>>,
    managed: BTreeMap<ChainId, bool>,
}

impl<'a> Evaluator<'a> {
    /// Begins an evaluation.
    pub const fn new(view: &'a dyn Chains, device: DeviceId, at: &'a Heads) -> Self {
        Self { view, device, at, memberships: BTreeMap::new(), managed: BTreeMap::new() }
    }

    /// See [`membership`].
    pub fn membership(&mut self, chain: &ChainId) -> Option<Role> {
        let state = self.view.chain(chain)?;
        self.membership_in(&state)
    }

    /// See [`authority`].
    pub fn authority(&mut self, chain: &ChainId) -> Option<Role> {
        let state = self.view.chain(chain)?;
        let manager = self.manages(&state).then_some(Role::Manager);
        manager.or_else(|| self.membership_in(&state))
    }

    /// See [`role`].
    pub fn role(&mut self, chain: &ChainId) -> Option<Role> {
        let membership = self.membership(chain)?;
        Some(self.authority(chain).map_or(membership, |authority| authority.max(membership)))
    }

    /// Tells the role that a need looks at; `None` also for [`Need::Founding`] and [`Need::Invitation`], which are not
    /// a matter of roles.
    pub fn role_for(&mut self, chain: &ChainId, need: Need) -> Option<Role> {
        match need {
            Need::Founding | Need::Invitation => None,
            Need::Member(_) => self.membership(chain),
            Need::Authority(_) => self.authority(chain),
            Need::Content(_) => self.role(chain),
        }
    }

    fn membership_in(&mut self, state: &ChainState) -> Option<Role> {
        if let Some(known) = self.memberships.get(&state.id()) {
            return *known;
        }
        let found = self.at.seq_in(state).and_then(|seq| match state.kind() {
            ChainKind::User => {
                state.device(&self.device).filter(|standing| standing.stands_at(seq)).map(|_| Role::Manager)
            }
            _ => self.best_path(state, seq),
        });
        // Documents are many and nothing's members: only groups are worth keeping.
        if state.kind() != ChainKind::Document {
            self.memberships.insert(state.id(), found);
        }
        found
    }

    fn best_path(&mut self, state: &ChainState, seq: u64) -> Option<Role> {
        let mut best = None;
        for member in state.members() {
            if best >= Some(member.role) || !member.stands_at(seq, self.at.now()) {
                continue;
            }
            let Some(subject) = self.view.chain(&member.subject) else { continue };
            if may_be_member(subject.kind(), state.kind()) {
                best = best.max(self.membership_in(&subject).map(|role| role.min(member.role)));
            }
        }
        best
    }

    fn manages(&mut self, state: &ChainState) -> bool {
        if let Some(known) = self.managed.get(&state.id()) {
            return *known;
        }
        if self.at.seq_in(state).is_none() {
            return false;
        }
        let found = self.membership_in(state) == Some(Role::Manager) || self.manages_parent(state);
        if state.kind() != ChainKind::Document {
            self.managed.insert(state.id(), found);
        }
        found
    }

    fn manages_parent(&mut self, state: &ChainState) -> bool {
        state.parents().iter().filter(|parent| parent.authority == ParentAuthority::Full).any(|parent| {
            self.view
                .chain(&parent.chain)
                .is_some_and(|above| may_be_parent(above.kind(), state.kind()) && self.manages(&above))
        })
    }
}

/// Says whether a chain of one kind may be a member of another: of a strictly lower kind, so there are no cycles.
#[must_use]
pub fn may_be_member(subject: ChainKind, of: ChainKind) -> bool {
    subject < of
}

/// Says whether a chain of one kind may be a parent of another: agencies of teams, all but documents of documents, so
/// there are no cycles.
#[must_use]
pub const fn may_be_parent(parent: ChainKind, of: ChainKind) -> bool {
    match of {
        ChainKind::User | ChainKind::Agency => false,
        ChainKind::Team => matches!(parent, ChainKind::Agency),
        ChainKind::Document => !matches!(parent, ChainKind::Document),
    }
}
