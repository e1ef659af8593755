//! Where a device belongs, since when, and what that makes visible.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};
use vereda_policy::{
    ChainKind, ChainState, Chains, Decision, DeviceKind, InviteEnd, Membership, Parent, ParentAuthority,
    ParentStanding, Role, authority::may_be_member, governs_section,
};
use vereda_protocol::{PolicyEntry, Position};

use super::{
    chains::{Known, View, read_op},
    session::Open,
    sight::Sight,
    store::{Entry, Naming, RelayStore, StoreError},
};

/// Beyond every entry.
const FOREVER: Position = Position(u64::MAX);

/// Where a device belongs.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Users, teams and agencies.
    pub(super) groups: BTreeSet<ChainId>,
    /// The agencies of the teams and agencies among them; of whoever is in none, those of the documents that name him.
    pub(super) agencies: BTreeSet<ChainId>,
    /// When the first of the roles by which it belongs there ends by itself.
    pub(super) until: Option<Timestamp>,
    /// It belongs to no team or agency: the agencies are those of documents.
    pub(super) is_by_documents: bool,
    /// It is a recovery key: the agencies are its user's, the groups only the user itself.
    pub(super) is_recovery: bool,
}

impl Reach {
    /// Finds out where a device belongs now.
    pub(super) fn find(view: &View<'_>, device: &DeviceId, now: Timestamp) -> Result<Self, StoreError> {
        let mut reach = Self::default();
        let mut open = vec![Digest(device.0)];
        while let Some(subject) = open.pop() {
            for chain in view.store().naming(&subject, Naming::Group)? {
                let Some(known) = view.known(&chain) else { continue };
                if reach.groups.contains(&chain) || since_subject(&known, &subject, now).is_none() {
                    continue;
                }
                if known.state.kind() != ChainKind::User {
                    reach.agencies.extend(known.agency);
                }
                let own = known.state.device(device).filter(|_| subject.0 == device.0);
                reach.is_recovery |= own.is_some_and(|own| own.kind == DeviceKind::Recovery);
                reach.until = reach.until.into_iter().chain(first_expiry(&known, &subject, now)).min();
                reach.groups.insert(chain);
                open.push(Digest(chain.0));
            }
        }
        if reach.agencies.is_empty() {
            reach.add_documents(view, now)?;
        }
        if reach.is_recovery {
            let is_user =
                |chain: &ChainId| view.known(chain).is_some_and(|known| known.state.kind() == ChainKind::User);
            reach.groups.retain(is_user);
        }
        Ok(reach)
    }
}

impl Reach {
    /// Adds the agencies of the documents that name the device's users: who reads one must be able to judge it, and so sees
    /// the agency's groups. One over which no team or agency ever had a say does not count, nor a role that he gave himself:
    /// by that he would let himself in, or stay in.
    fn add_documents(&mut self, view: &View<'_>, now: Timestamp) -> Result<(), StoreError> {
        for user in &self.groups {
            for document in view.store().naming(&Digest(user.0), Naming::Document)? {
                let subject = Digest(user.0);
                let Some(known) = view.known(&document) else { continue };
                if since_subject(&known, &subject, now).is_none() || !had_group_above(view, &known.state) {
                    continue;
                }
                let (head, members) = (known.state.head_seq(), known.state.members());
                let mut held = members.iter().filter(|held| held.subject == *user && held.stands_at(head, Some(now)));
                if !held.any(|held| is_given(view, &known, held)) {
                    continue;
                }
                self.agencies.extend(known.agency);
                self.is_by_documents = true;
                self.until = self.until.into_iter().chain(first_expiry(&known, &subject, now)).min();
            }
        }
        Ok(())
    }
}

/// Says whether somebody else gave a user his role in a document: by beginning it, by a grant, an adoption or an invite.
fn is_given(view: &View<'_>, known: &Known, role: &Membership) -> bool {
    let is_of_user = |device: &DeviceId| view.chain(&role.subject).is_some_and(|user| user.device(device).is_some());
    let state = &known.state;
    if role.from_seq == 0 {
        let is_adopted = state.epochs().first().is_some_and(|epoch| epoch.is_adopted);
        let Some(by) = (if is_adopted { adopter(view, state) } else { Some(state.creator()) }) else { return false };
        return !is_of_user(&by);
    }
    let accepted =
        |end: Option<InviteEnd>| matches!(end, Some(InviteEnd::Accepted { seq, .. }) if seq == role.from_seq);
    if let Some(invite) = state.invites().iter().find(|invite| accepted(invite.end)) {
        return !is_of_user(&invite.by);
    }
    // Whoever lowers his own role keeps it as he was given it.
    let lowered = |before: &&Membership| before.subject == role.subject && before.until_seq == Some(role.from_seq);
    author_of(view, known, role.from_seq).is_some_and(|by| !is_of_user(&by))
        || state
            .members()
            .iter()
            .filter(lowered)
            .any(|before| before.from_seq < role.from_seq && is_given(view, known, before))
}

/// Names the device that took a document in.
fn adopter(view: &View<'_>, document: &ChainState) -> Option<DeviceId> {
    document.parents_at(0).find_map(|parent| {
        let owner = view.known(&parent.chain)?;
        match owner.state.decided_document(&document.id())?.decision {
            Decision::Adopted { seq } => author_of(view, &owner, seq),
            Decision::Discarded { .. } => None,
        }
    })
}

/// Names the author of an operation.
fn author_of(view: &View<'_>, known: &Known, seq: u64) -> Option<DeviceId> {
    match view.entry(known.position(seq)?)? {
        Entry::Op { op, .. } => read_op(&op).ok().map(|op| op.device),
        _ => None,
    }
}

/// Says whether a team or an agency ever had a say over a document: a parent that may at least revoke there, or gave that up.
fn had_group_above(view: &View<'_>, document: &ChainState) -> bool {
    document.all_parents().iter().any(|standing| is_group_with_a_say(view, &standing.parent))
}

fn is_group_with_a_say(view: &View<'_>, parent: &Parent) -> bool {
    let kind = || view.known(&parent.chain).map(|known| known.state.kind());
    parent.authority != ParentAuthority::None && matches!(kind(), Some(ChainKind::Team | ChainKind::Agency))
}

/// Says whether a device's user ever belonged to a team or an agency.
pub(super) fn once_belonged(store: &dyn RelayStore, device: &DeviceId) -> Result<bool, StoreError> {
    for user in store.naming(&Digest(device.0), Naming::Group)? {
        if !store.naming(&Digest(user.0), Naming::Group)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Finds up to which entry of the log chains were readable for a device; keeps what it found.
pub(super) struct Tenure<'a, 'v> {
    view: &'a View<'v>,
    device: DeviceId,
    now: Timestamp,
    found: BTreeMap<ChainId, Option<(Position, Position)>>,
    agencies: BTreeMap<ChainId, Option<Position>>,
}

impl<'a, 'v> Tenure<'a, 'v> {
    pub(super) const fn new(view: &'a View<'v>, device: DeviceId, now: Timestamp) -> Self {
        Self { view, device, now, found: BTreeMap::new(), agencies: BTreeMap::new() }
    }

    /// Up to which entry the device belonged to the chain, the one that ended it included; `None` where it never did. While
    /// it does there is no end.
    pub(super) fn end(&mut self, chain: &ChainId) -> Option<Position> {
        let known = self.view.known(chain)?;
        if known.state.kind() == ChainKind::User {
            return self.of_device(&known, |_| true).map(|(_, until)| until);
        }
        self.member(&known).map(|(_, until)| until)
    }

    /// Up to which entry the device belonged to a team or agency of this agency, or its user was named in one of its
    /// documents, and so saw all groups of it.
    pub(super) fn end_in(&mut self, agency: &ChainId) -> Option<Position> {
        if let Some(found) = self.agencies.get(agency) {
            return *found;
        }
        let (mut open, mut seen, mut end) = (vec![Digest(self.device.0)], BTreeSet::new(), None);
        while let Some(subject) = open.pop() {
            for group in self.view.named_in(&subject, Naming::Group).into_iter().filter(|group| seen.insert(*group)) {
                let Some(known) = self.view.known(&group) else { continue };
                open.push(Digest(group.0));
                let is_user = known.state.kind() == ChainKind::User;
                let by = if is_user { self.view.named_in(&Digest(group.0), Naming::Document) } else { vec![group] };
                for chain in by {
                    let Some(known) = self.view.known(&chain).filter(|known| known.agency == Some(*agency)) else {
                        continue;
                    };
                    if known.state.kind() != ChainKind::Document {
                        end = end.max(self.end(&chain));
                    } else if had_group_above(self.view, &known.state) {
                        let view = self.view;
                        let given = self.by_members(&known, |role| is_given(view, &known, role));
                        end = end.max(given.map(|(_, until)| until));
                    }
                }
            }
        }
        self.agencies.insert(*agency, end);
        end
    }

    /// Says whether the device ever belonged to a chain by a role of at least this one there.
    pub(super) fn with_role(&mut self, known: &Known, least: Role) -> bool {
        match known.state.kind() {
            ChainKind::User => self.member(known).is_some(),
            _ => self.by_members(known, |member| member.role >= least).is_some(),
        }
    }

    /// From which entry to which the device was a member: of all ways the one that lasted longest.
    fn member(&mut self, known: &Known) -> Option<(Position, Position)> {
        let id = known.state.id();
        if let Some(found) = self.found.get(&id) {
            return *found;
        }
        let found = if known.state.kind() == ChainKind::User {
            self.of_device(known, |kind| kind == DeviceKind::Full)
        } else {
            self.by_members(known, |_| true)
        };
        if known.state.kind() != ChainKind::Document {
            self.found.insert(id, found);
        }
        found
    }

    fn of_device(&self, known: &Known, counts: impl Fn(DeviceKind) -> bool) -> Option<(Position, Position)> {
        let own = known.state.device(&self.device).filter(|own| counts(own.kind))?;
        let until = own.until_seq.map_or(Some(FOREVER), |seq| known.position(seq))?;
        Some((known.position(own.from_seq)?, until))
    }

    fn by_members(&mut self, known: &Known, counts: impl Fn(&Membership) -> bool) -> Option<(Position, Position)> {
        let mut longest: Option<(Position, Position)> = None;
        for member in known.state.members().iter().filter(|member| counts(member)) {
            let Some(subject) = self.view.known(&member.subject) else { continue };
            if !may_be_member(subject.state.kind(), known.state.kind()) {
                continue;
            }
            let Some((from, until)) = self.member(&subject) else { continue };
            let Some((first, last)) = known.position(member.from_seq).zip(self.last(known, member)) else { continue };
            let (from, until) = (from.max(first), until.min(last));
            if from <= until && longest.is_none_or(|(_, longest)| longest < until) {
                longest = Some((from, until));
            }
        }
        longest
    }

    /// The entry that ended a role; where its time has passed by itself, the last before.
    fn last(&self, known: &Known, member: &Membership) -> Option<Position> {
        if let Some(seq) = member.until_seq {
            return known.position(seq);
        }
        let Some(expires) = member.expires.filter(|expires| *expires <= self.now) else { return Some(FOREVER) };
        let before = known.state.ops().iter().rposition(|op| op.time.is_some_and(|time| time < expires))?;
        known.position(before as u64)
    }
}

/// Finds since which entry of the log chains are readable for a device; keeps what it found.
pub(super) struct Since<'a, 'v> {
    view: &'a View<'v>,
    device: DeviceId,
    now: Timestamp,
    found: BTreeMap<ChainId, Option<Position>>,
}

impl<'a, 'v> Since<'a, 'v> {
    pub(super) const fn new(view: &'a View<'v>, device: DeviceId, now: Timestamp) -> Self {
        Self { view, device, now, found: BTreeMap::new() }
    }

    /// Since which entry the device is a member of the chain: over all ways, the first that was complete.
    pub(super) fn member(&mut self, chain: &ChainId) -> Option<Position> {
        if let Some(found) = self.found.get(chain) {
            return *found;
        }
        let known = self.view.known(chain)?;
        let found = if known.state.kind() == ChainKind::User {
            since_subject(&known, &Digest(self.device.0), self.now)
        } else {
            self.by_members(&known)
        };
        // Documents are many and nothing's members.
        if known.state.kind() != ChainKind::Document {
            self.found.insert(*chain, found);
        }
        found
    }

    fn by_members(&mut self, known: &Known) -> Option<Position> {
        let (head, now) = (known.state.head_seq(), self.now);
        let mut earliest = None;
        for member in known.state.members().iter().filter(|member| member.stands_at(head, Some(now))) {
            let Some(subject) = self.view.known(&member.subject) else { continue };
            if !may_be_member(subject.state.kind(), known.state.kind()) {
                continue;
            }
            let since = self.member(&member.subject).zip(known.position(member.from_seq)).map(|(a, b)| a.max(b));
            earliest = match (earliest, since) {
                (Some(a), Some(b)) => Some(Position::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        earliest
    }
}

/// Lists what the operation at `position` made visible for a device, of what was there before: `Visible` entries.
pub(super) fn newly_visible(
    view: &View<'_>,
    open: &Open,
    known: &Known,
    position: Position,
    now: Timestamp,
) -> Result<Vec<PolicyEntry>, StoreError> {
    let upto = open.stream.unserved(position);
    let Some(seq) = known.seq_at(position).filter(|seq| *seq > 0) else { return Ok(Vec::new()) };
    let names = named(open, known, seq).next().is_some()
        || known.state.devices().iter().any(|device| device.from_seq == seq && device.device == open.device);
    let governs = came_over(open, known, seq);
    if upto == Position(0) || !(names || governs) {
        return Ok(Vec::new());
    }
    // What awaits a decision was handed only to those who might decide at that time.
    let mut visible = newly_decided_on(view, open, known, seq, now)?;
    let to_decide = visible.clone();
    let mut since = Since::new(view, open.device, now);
    if known.state.kind() != ChainKind::Document {
        governed_behind(view, open, known.state.id(), now, &mut visible)?;
    } else if governs && governs_section(view, &open.device, &known.state, Some(now)) {
        visible.insert(known.state.id());
    }
    if names && since.member(&known.state.id()) == Some(position) {
        // Whoever comes back has destroyed the group's keys, and finds the wraps of before his time there.
        visible.insert(known.state.id());
        if known.state.kind() != ChainKind::Document {
            behind_groups(view, &mut since, known.state.id(), position, &mut visible)?;
        }
    }
    let existed =
        |chain: &ChainId| to_decide.contains(chain) || view.known(chain).is_some_and(|known| known.first() <= upto);
    // What was streamed on the way here may be gone again: who was put out and let in meanwhile hears of both at once, and
    // destroys keys in between.
    let upto = upto.max(Position(position.0.saturating_sub(1)));
    let entries = visible.into_iter().filter(existed).map(|document| PolicyEntry::Visible { document, upto });
    Ok(entries.collect())
}

/// Lists the members that the operation of a seq named and that a device belongs to.
fn named<'a>(open: &'a Open, known: &'a Known, seq: u64) -> impl Iterator<Item = &'a Membership> {
    let members = known.state.members().iter();
    members.filter(move |member| member.from_seq == seq && open.reach.contains(&member.subject))
}

/// Says whether the operation of a seq put a group that a device belongs to over the chain.
fn came_over(open: &Open, known: &Known, seq: u64) -> bool {
    let came = |standing: &ParentStanding| standing.from_seq == seq && open.reach.contains(&standing.parent.chain);
    known.state.all_parents().iter().any(came)
}

/// Lists the documents with something that awaits a decision, on which a device may decide since the operation of that seq
/// made it, or one that it belongs to, a Manager.
fn newly_decided_on(
    view: &View<'_>,
    open: &Open,
    known: &Known,
    seq: u64,
    now: Timestamp,
) -> Result<BTreeSet<ChainId>, StoreError> {
    let is_manager = named(open, known, seq).any(|member| member.role == Role::Manager);
    let is_user = known.state.kind() == ChainKind::User;
    let (mut found, mut sight) = (BTreeSet::new(), Sight::new(view, open, now));
    if is_manager || came_over(open, known, seq) || is_user {
        for document in view.store().reviewing()? {
            if sight.decides_in(&document)? {
                found.insert(document);
            }
        }
    }
    Ok(found)
}

/// Collects the sections that a device governs by a group in which it got another role, or by one that this is in.
fn governed_behind(
    view: &View<'_>,
    open: &Open,
    group: ChainId,
    now: Timestamp,
    visible: &mut BTreeSet<ChainId>,
) -> Result<(), StoreError> {
    let (mut groups, mut seen) = (vec![group], BTreeSet::from([group]));
    while let Some(group) = groups.pop() {
        let store = view.store();
        groups.extend(store.naming(&Digest(group.0), Naming::Group)?.into_iter().filter(|above| seen.insert(*above)));
        for section in store.naming(&Digest(group.0), Naming::Governed)? {
            let known = view.known(&section);
            if known.is_some_and(|known| governs_section(view, &open.device, &known.state, Some(now))) {
                visible.insert(section);
            }
        }
    }
    Ok(())
}

/// Collects the chains behind a group that the device came to belong to at `position`, and behind every group that it
/// came to belong to by that.
fn behind_groups(
    view: &View<'_>,
    since: &mut Since<'_, '_>,
    group: ChainId,
    position: Position,
    visible: &mut BTreeSet<ChainId>,
) -> Result<(), StoreError> {
    let (mut open, mut seen) = (vec![group], BTreeSet::from([group]));
    while let Some(group) = open.pop() {
        for chain in view.store().naming(&Digest(group.0), Naming::Group)? {
            // Wraps in its chain for this group are new to the device even if it belonged to it by another way.
            if since.member(&chain).is_some() {
                visible.insert(chain);
            }
            if since.member(&chain) == Some(position) && seen.insert(chain) {
                open.push(chain);
            }
        }
        for document in view.store().naming(&Digest(group.0), Naming::Document)? {
            if since.member(&document) == Some(position) {
                visible.insert(document);
            }
        }
    }
    Ok(())
}

/// When the first role of a member that stands in a chain now ends by itself.
fn first_expiry(known: &Known, subject: &Digest, now: Timestamp) -> Option<Timestamp> {
    let head = known.state.head_seq();
    let members = known.state.members().iter();
    let standing = members.filter(|member| member.subject.0 == subject.0 && member.stands_at(head, Some(now)));
    standing.filter_map(|member| member.expires).min()
}

/// Since which entry a chain names a device or a member that stands in it now.
fn since_subject(known: &Known, subject: &Digest, now: Timestamp) -> Option<Position> {
    let head = known.state.head_seq();
    let devices = known.state.devices().iter();
    let as_device = devices.filter(|device| device.device.0 == subject.0 && device.stands_at(head));
    let members = known.state.members().iter();
    let as_member = members.filter(|member| member.subject.0 == subject.0 && member.stands_at(head, Some(now)));
    let seqs = as_device.map(|device| device.from_seq).chain(as_member.map(|member| member.from_seq));
    seqs.min().and_then(|seq| known.position(seq))
}
