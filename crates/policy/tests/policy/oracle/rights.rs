//! Rights by trying every way.

use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_policy::{ChainKind, DeviceKind, Parent, ParentAuthority, Role};

use super::{Oracle, Seen, State, Twist, Ways};

/// From the highest.
const ROLES: [Role; 3] = [Role::Manager, Role::Editor, Role::Reader];

/// As of when.
#[derive(Clone)]
pub struct At {
    pub seen: Seen,
    pub now: Option<Timestamp>,
    /// The chain whose own removals do not count: they follow what is asked about.
    pub own: Option<ChainId>,
}

impl At {
    pub const fn seen(seen: Seen) -> Self {
        Self { seen, now: None, own: None }
    }
}

/// The best role to which there is such a way.
pub fn best(way: impl Fn(Role) -> Ways, fits: impl Fn(&Ways) -> bool) -> Option<Role> {
    ROLES.into_iter().find(|role| fits(&way(*role)))
}

impl Oracle {
    pub fn at(&self, chain: &ChainId, at: &At) -> Option<&State> {
        let count = at.seen.get(chain)?;
        self.chains.get(chain)?.get(count - 1).map(|entry| &entry.state)
    }

    /// On which removal something rests that stood at the heads: the first since after which it does not.
    fn rests(&self, chain: &ChainId, at: &At, stands: impl Fn(&State) -> bool) -> Ways {
        if at.own == Some(*chain) && !self.is(Twist::OwnChainIsReliedOn) {
            return Ways::lasting();
        }
        let mut since = self.chains[chain].iter().enumerate().skip(at.seen[chain]);
        let ended = since.find(|(_, entry)| !stands(&entry.state));
        ended.map_or_else(Ways::lasting, |(seq, _)| Ways::until((*chain, seq as u64)))
    }

    pub(super) fn kind(&self, chain: &ChainId) -> Option<ChainKind> {
        self.newest(chain).map(|state| state.kind)
    }

    /// By being a device of a user, a recovery key counted or not.
    pub fn device(&self, device: DeviceId, user: ChainId, at: &At, recovery: bool) -> Ways {
        let recovery = recovery || self.is(Twist::RecoveryKeyIsMember);
        let kind = self.at(&user, at).and_then(|state| state.devices.get(&device));
        if !kind.is_some_and(|kind| recovery || *kind == DeviceKind::Full) {
            return Ways::none();
        }
        self.rests(&user, at, |state| state.devices.contains_key(&device))
    }

    /// By roles of at least this one in a chain and in all below it on the way to the device.
    pub fn member(&self, device: DeviceId, chain: ChainId, least: Role, at: &At) -> Ways {
        let Some(state) = self.at(&chain, at) else { return Ways::none() };
        if state.kind == ChainKind::User {
            return self.device(device, chain, at, false);
        }
        let mut ways = Ways::none();
        for (key, expires) in &state.holds {
            let passed = at.now.is_some_and(|now| expires.is_some_and(|expires| expires <= now));
            let lower = self.kind(&key.1).is_some_and(|kind| kind < state.kind || self.is(Twist::AnyKindIsMember));
            if key.2 < least || (passed && !self.is(Twist::ExpiredRolesCount)) || !lower {
                continue;
            }
            let below = if self.is(Twist::RoleIsNotBoundedBelow) { Role::Reader } else { least };
            ways = ways.or(|| {
                let rests = self.rests(&chain, at, |state| state.holds.contains_key(key));
                rests.and(|| self.member(device, key.1, below, at))
            });
        }
        ways
    }

    /// The parents there are, and on what each rests.
    pub fn parents(&self, chain: ChainId, at: &At) -> Vec<(Parent, Ways)> {
        let Some(state) = self.at(&chain, at) else { return vec![] };
        let rests = |parent: &Parent| self.rests(&chain, at, |state| state.parents.contains(parent));
        state.parents.iter().map(|parent| (*parent, rests(parent))).collect()
    }

    fn may_be_parent(&self, parent: ChainId, of: ChainId) -> bool {
        match (self.kind(&parent), self.kind(&of)) {
            (Some(ChainKind::Agency), Some(ChainKind::Team)) => true,
            (Some(parent), Some(ChainKind::Document)) => parent != ChainKind::Document,
            _ => false,
        }
    }

    /// By being Manager in a parent with at least this authority.
    pub fn above(&self, device: DeviceId, chain: ChainId, least: ParentAuthority, at: &At) -> Ways {
        let least = if self.is(Twist::RevokeOnlyIsFull) { ParentAuthority::RevokeOnly.min(least) } else { least };
        let mut ways = Ways::none();
        for (parent, rests) in self.parents(chain, at) {
            if parent.authority >= least && self.may_be_parent(parent.chain, chain) {
                ways = ways.or(|| rests.and(|| self.manages(device, parent.chain, at)));
            }
        }
        ways
    }

    pub fn manages(&self, device: DeviceId, chain: ChainId, at: &At) -> Ways {
        let own = self.member(device, chain, Role::Manager, at);
        own.or(|| self.above(device, chain, ParentAuthority::Full, at))
    }

    pub fn authority(&self, device: DeviceId, chain: ChainId, least: Role, at: &At) -> Ways {
        self.member(device, chain, least, at).or(|| self.manages(device, chain, at))
    }

    pub fn content(&self, device: DeviceId, chain: ChainId, least: Role, at: &At) -> Ways {
        let authority = || self.authority(device, chain, least, at);
        if self.is(Twist::AuthorityGivesContent) {
            return authority();
        }
        self.member(device, chain, Role::Reader, at).and(authority)
    }

    pub fn covers(&self, device: DeviceId, parents: &[(Parent, Ways)], subject: ChainId, at: &At) -> Ways {
        if self.is(Twist::DocumentsArePutBeforeAnybody) {
            return Ways::lasting();
        }
        let mut ways = match self.kind(&subject) {
            Some(ChainKind::User) => self.member(device, subject, Role::Reader, at),
            _ => Ways::none(),
        };
        for (parent, rests) in parents {
            if parent.authority == ParentAuthority::None {
                continue;
            }
            let is_group = matches!(self.kind(&parent.chain), Some(ChainKind::Team | ChainKind::Agency));
            let holds = || Ways::when(parent.chain == subject).and(|| self.content(device, subject, Role::Editor, at));
            let manages = || Ways::when(is_group).and(|| self.manages(device, parent.chain, at));
            ways = ways.or(|| rests.clone().and(|| holds().or(manages)));
        }
        ways
    }

    /// By being Manager of a team or agency that has a say.
    pub fn manages_group_above(&self, device: DeviceId, parents: &[(Parent, Ways)], at: &At) -> Ways {
        let mut ways = Ways::none();
        for (parent, rests) in parents {
            let is_group = matches!(self.kind(&parent.chain), Some(ChainKind::Team | ChainKind::Agency));
            if is_group && parent.authority != ParentAuthority::None {
                ways = ways.or(|| rests.clone().and(|| self.manages(device, parent.chain, at)));
            }
        }
        ways
    }

    /// Whether who made an invite may still invite: by his own chain as it is, and the others as they are cited there.
    pub fn inviter_stands(&self, chain: ChainId, invite: &OpId, now: Option<Timestamp>) -> bool {
        let entries = &self.chains[&chain];
        let made = entries.iter().find(|entry| entry.id == *invite).unwrap();
        let counting = entries.iter().filter(|entry| !entry.is_void).flat_map(|entry| &entry.op.cites);
        let mut seen = Seen::new();
        for cite in counting.filter(|cite| made.op.cites.iter().any(|relied| relied.chain == cite.chain)) {
            let count = self.chains[&cite.chain].iter().position(|entry| entry.id == cite.head).unwrap() + 1;
            seen.entry(cite.chain).and_modify(|known| *known = count.max(*known)).or_insert(count);
        }
        seen.insert(chain, entries.len());
        let invites = |at: &At| {
            let above = || self.manages_group_above(made.op.device, &self.parents(chain, at), at);
            let free = self.kind(&chain) != Some(ChainKind::Document) || self.is(Twist::AnyManagerBringsInOutsiders);
            self.manages(made.op.device, chain, at).and(|| Ways::when(free).or(above)).are_any()
        };
        // Whoever takes it up stays without end.
        let end = |now| if self.is(Twist::InviteOutlastsItsGiver) { now } else { Some(Timestamp(i64::MAX)) };
        let cited = At { now: end(None), ..At::seen(seen) };
        invites(&cited) && now.is_none_or(|now| invites(&self.now(end(Some(now)))))
    }

    /// By being Manager of an agency that is cited and that a user belongs to and once joined.
    pub fn governs(&self, device: DeviceId, user: ChainId, cited: &[ChainId], at: &At) -> Ways {
        let of_kind = |kind| cited.iter().copied().filter(move |chain| self.kind(chain) == Some(kind));
        let mut ways = Ways::none();
        for agency in of_kind(ChainKind::Agency) {
            let full = Parent { chain: agency, authority: ParentAuthority::Full };
            let teams = of_kind(ChainKind::Team)
                .filter(|team| self.at(team, at).is_some_and(|state| state.parents.contains(&full)));
            let groups: Vec<&State> = teams.chain([agency]).filter_map(|chain| self.at(&chain, at)).collect();
            let passed = |until: &Option<Timestamp>| at.now.is_some_and(|now| until.is_some_and(|until| until <= now));
            let named = |state: &&State| state.holds.iter().any(|(key, until)| key.1 == user && !passed(until));
            let was_device =
                |device: DeviceId| self.chains[&user].iter().any(|entry| entry.state.devices.contains_key(&device));
            let joined = |state: &&State| {
                state.joined.contains(&user) || was_device(state.creator) || self.is(Twist::UnjoinedAreGoverned)
            };
            if groups.iter().any(named) && groups.iter().any(joined) {
                ways = ways.or(|| self.member(device, agency, Role::Manager, at));
            }
        }
        ways
    }
}
