//! Who may do what in a chain, at given heads (protocol.md §2). Pure and total.

use std::{collections::BTreeMap, sync::Arc};

use vereda_base::{ChainId, DeviceId};

use crate::{
    ChainKind, ChainState, Chains, DeviceKind, DeviceStanding, DocumentKind, Heads, InviteEnd, Need, Parent,
    ParentAuthority, Role,
};

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

    /// Tells the heads that it evaluates at.
    pub(crate) const fn heads(&self) -> &'a Heads {
        self.at
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
    /// a matter of roles, and as far as [`Need::Removing`] asks for an agency (see [`Self::governs_user`]).
    pub fn role_for(&mut self, chain: &ChainId, need: Need) -> Option<Role> {
        match need {
            Need::Founding | Need::Invitation => None,
            Need::Member(_) => self.membership(chain),
            Need::Authority(_) => self.authority(chain),
            Need::Content(_) => self.role(chain),
            Need::Ending(_) => self.ending(chain),
            Need::Erasing(_) if self.is_section(chain) => self.ending(chain),
            Need::Erasing(_) => self.authority(chain),
            Need::OwnDevice | Need::Removing => self.is_device(chain).then_some(Role::Manager),
        }
    }

    /// Says whether the device belongs to a user, as a recovery key too.
    pub fn is_device(&self, user: &ChainId) -> bool {
        let Some(state) = self.view.chain(user).filter(|state| state.kind() == ChainKind::User) else { return false };
        let Some(seq) = self.at.seq_in(&state) else { return false };
        state.device(&self.device).is_some_and(|standing| self.at.counts_device(user, standing, seq))
    }

    /// Says whether the device is Manager of an agency among `groups` that a user belongs to, directly or by one of its
    /// teams among them, and that he once joined himself, or one of its teams: by an invite, or because he began it.
    /// Otherwise anybody could begin an agency, name somebody its member and take his devices from him.
    pub fn governs_user(&mut self, user: &ChainId, groups: &[ChainId]) -> bool {
        let known = |kind| -> Vec<Arc<ChainState>> {
            groups.iter().filter_map(|group| self.view.chain(group)).filter(|state| state.kind() == kind).collect()
        };
        let (teams, agencies) = (known(ChainKind::Team), known(ChainKind::Agency));
        agencies.into_iter().any(|agency| {
            let id = agency.id();
            let mut of_agency: Vec<_> = teams.iter().filter(|team| self.is_team_of(team, &id)).cloned().collect();
            of_agency.push(agency);
            of_agency.iter().any(|group| self.has_member(group, user))
                && of_agency.iter().any(|group| self.has_joined(group, user))
                && self.membership(&id) == Some(Role::Manager)
        })
    }

    /// Says whether a team belongs to an agency at the heads.
    pub(crate) fn is_team_of(&self, team: &ChainState, agency: &ChainId) -> bool {
        let full = |parent: &&Parent| parent.chain == *agency && parent.authority == ParentAuthority::Full;
        self.at.seq_in(team).is_some_and(|seq| team.parents_at(seq).any(|parent| full(&parent)))
    }

    /// Says whether a user is named a member at the heads. That he left since does not count: it takes nothing from the
    /// author.
    pub(crate) fn has_member(&self, state: &ChainState, user: &ChainId) -> bool {
        let Some(seq) = self.at.seq_in(state) else { return false };
        state.members().iter().any(|member| member.subject == *user && member.stands_at(seq, self.at.now()))
    }

    /// Says whether a user took an invite to a group up, or began it.
    pub(crate) fn has_joined(&self, state: &ChainState, user: &ChainId) -> bool {
        let Some(seq) = self.at.seq_in(state) else { return false };
        let accepted = |end: Option<InviteEnd>| matches!(end, Some(InviteEnd::Accepted { user: by, seq: at }) if by == *user && at <= seq);
        state.invites().iter().any(|invite| accepted(invite.end))
            || self.view.chain(user).is_some_and(|user| user.device(&state.creator()).is_some())
    }

    /// Lists the parents of a chain at the heads.
    pub(crate) fn parents(&self, state: &ChainState) -> Vec<Parent> {
        self.at.seq_in(state).map_or_else(Vec::new, |seq| self.at.parents(state, seq).copied().collect())
    }

    fn is_section(&self, chain: &ChainId) -> bool {
        self.view.chain(chain).is_some_and(|state| state.document_kind() == Some(DocumentKind::Section))
    }

    fn ending(&mut self, chain: &ChainId) -> Option<Role> {
        let state = self.view.chain(chain)?;
        if self.manages_above(&state, ParentAuthority::RevokeOnly) {
            return Some(Role::Manager);
        }
        self.authority(chain)
    }

    fn membership_in(&mut self, state: &ChainState) -> Option<Role> {
        if let Some(known) = self.memberships.get(&state.id()) {
            return *known;
        }
        let found = self.at.seq_in(state).and_then(|seq| match state.kind() {
            ChainKind::User => {
                let counts = |standing: &&DeviceStanding| {
                    standing.kind == DeviceKind::Full && self.at.counts_device(&state.id(), standing, seq)
                };
                state.device(&self.device).filter(counts).map(|_| Role::Manager)
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
            if best >= Some(member.role) || !self.at.counts_member(&state.id(), member, seq) {
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
        let found =
            self.membership_in(state) == Some(Role::Manager) || self.manages_above(state, ParentAuthority::Full);
        if state.kind() != ChainKind::Document {
            self.managed.insert(state.id(), found);
        }
        found
    }

    /// Says whether the device is Manager of a parent with at least this authority.
    fn manages_above(&mut self, state: &ChainState, least: ParentAuthority) -> bool {
        let Some(seq) = self.at.seq_in(state) else { return false };
        let parents: Vec<Parent> =
            self.at.parents(state, seq).filter(|parent| parent.authority >= least).copied().collect();
        parents.iter().any(|parent| {
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
