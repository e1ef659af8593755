//! Whether an operation is taken.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{Assign, Body, ChainKind, Create, DocumentKind, Member, Op, Parent, ParentAuthority, Role};

use super::{At, Oracle, Seen, State, Twist, Ways};

/// Who decides: a relay, by what is now too; or a device, by the relay's word and what is cited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Relay,
    Device,
}

impl Oracle {
    /// Whether an operation of this id is taken at a time.
    pub fn takes(&self, id: ChainId, op: &Op, time: Timestamp, by: By) -> bool {
        let Some(mut seen) = self.cited(op) else { return false };
        let asks_now = by == By::Relay && !self.is(Twist::RightsAreNotAskedNow);
        let asks_cites = !self.is(Twist::RightsAreNotAskedAtTheCites);
        let has_rights = |seen: Seen| {
            (!asks_cites || self.may(op, &At::seen(seen)).are_any())
                && (!asks_now || self.may(op, &self.now(Some(time))).are_any())
        };
        if let Body::Create(create) = &op.body {
            let in_place = op.chain.is_none() && op.seq == 0 && op.prev.is_none() && !self.chains.contains_key(&id);
            if self.holders(create, id).is_some() {
                // Whose document was adopted is not asked for what is unknown to him, nor for what he has now.
                return in_place && self.create_has_shape(create) && self.may(op, &At::seen(seen)).are_any();
            }
            return in_place && self.create_has_shape(create) && self.create_fits(create, by) && has_rights(seen);
        }
        let Some(chain) = op.chain else { return false };
        let Some(entries) = self.chains.get(&chain) else { return false };
        let last = entries.last().unwrap();
        let state = &last.state;
        let in_place = op.seq == entries.len() as u64 && op.prev == Some(last.id) && !seen.contains_key(&chain);
        let counting = entries.iter().filter(|entry| !entry.is_void || self.is(Twist::VoidCitesCount));
        let never_older = counting.flat_map(|entry| &entry.op.cites).all(|cite| {
            seen.get(&cite.chain).is_none_or(|count| *count >= self.count(&cite.chain, cite.head).unwrap())
        });
        seen.insert(chain, entries.len());
        in_place
            && (never_older || self.is(Twist::CitesGoBack))
            && (!state.is_erased || self.is(Twist::ErasedGoesOn))
            && self.makes_sense(chain, state, op, time, by)
            && has_rights(seen)
            && (by == By::Device || self.goes_to_whom_it_may(chain, state, op, time))
    }

    fn count(&self, chain: &ChainId, head: vereda_base::OpId) -> Option<usize> {
        self.chains.get(chain)?.iter().position(|entry| entry.id == head).map(|seq| seq + 1)
    }

    pub(super) fn cited(&self, op: &Op) -> Option<Seen> {
        let named: BTreeSet<ChainId> = op.cites.iter().map(|cite| cite.chain).collect();
        let sorted = named.into_iter().eq(op.cites.iter().map(|cite| cite.chain));
        if op.suite != 1 || !sorted || op.cites.len() > 8 {
            return None;
        }
        op.cites.iter().map(|cite| Some((cite.chain, self.count(&cite.chain, cite.head)?))).collect()
    }

    /// By what an author may do what he does; where he gives a role, by what lasts as long.
    pub(super) fn may(&self, op: &Op, at: &At) -> Ways {
        let parents = op.chain.map(|chain| self.parents(chain, at)).unwrap_or_default();
        let forever = Timestamp(i64::MAX);
        let end = match &op.body {
            Body::Grant(grant) => Some(grant.expires.map_or(forever, |expires| Timestamp(expires.0 - 1))),
            Body::Invite(_) => Some(forever),
            Body::Assign(assign) => {
                let had = |new: &Parent| parents.iter().any(|(old, _)| old.chain == new.chain && *old >= *new);
                let mut raised = assign.parents.iter().flatten().filter(|new| new.authority != ParentAuthority::None);
                (!assign.gives.is_empty() || raised.any(|new| !had(new))).then_some(forever)
            }
            Body::Revoke(revoke) => revoke.successor.map(|_| forever),
            _ => None,
        };
        let free = match &op.body {
            Body::Grant(_) => self.is(Twist::GrantOutlastsItsGiver),
            Body::Assign(_) => self.is(Twist::AssignmentOutlastsItsGiver),
            Body::Invite(_) => self.is(Twist::InviteOutlastsItsGiver),
            _ => self.is(Twist::SuccessorOutlastsHisGiver),
        };
        let now = if free { at.now } else { at.now.max(end) };
        self.entitles(op, &At { now, ..at.clone() })
    }

    /// The table of rights.
    fn entitles(&self, op: &Op, at: &At) -> Ways {
        let device = op.device;
        let Some(chain) = op.chain else {
            let Body::Create(create) = &op.body else { return Ways::none() };
            return self.may_create(device, create, at);
        };
        let Some(kind) = self.kind(&chain) else { return Ways::none() };
        let (is_user, is_document) = (kind == ChainKind::User, kind == ChainKind::Document);
        let in_others = || Ways::when(!is_user);
        let manager = || self.manages(device, chain, at);
        match &op.body {
            Body::Create(_) => Ways::none(),
            Body::AddDevice(_) => Ways::when(is_user).and(|| self.device(device, chain, at, true)),
            Body::RemoveDevice(_) => {
                let cited: Vec<ChainId> = op.cites.iter().map(|cite| cite.chain).collect();
                let own = || self.device(device, chain, at, true);
                Ways::when(is_user).and(|| own().or(|| self.governs(device, chain, &cited, at)))
            }
            Body::Grant(grant) => in_others().and(manager).and(|| {
                if is_document {
                    self.covers(device, &self.parents(chain, at), grant.subject, at)
                } else {
                    Ways::lasting()
                }
            }),
            Body::Invite(_) => in_others().and(manager).and(|| {
                let free = !is_document || self.is(Twist::AnyManagerBringsInOutsiders);
                Ways::when(free).or(|| self.manages_group_above(device, &self.parents(chain, at), at))
            }),
            Body::CancelInvite(_) => in_others().and(manager),
            Body::Revoke(revoke) => {
                let plain = revoke.keeps.is_none() && revoke.successor.is_none();
                let leaves = plain && !self.is(Twist::NobodyLeavesByHimself);
                let own = || Ways::when(leaves).and(|| self.device(device, revoke.subject, at, false));
                let above = || self.above(device, chain, ParentAuthority::RevokeOnly, at);
                in_others().and(|| own().or(manager).or(above))
            }
            Body::Assign(assign) => Ways::when(is_document).and(manager).and(|| {
                let parents = self.parents(chain, at);
                let gives = assign.gives.iter().fold(Ways::lasting(), |ways, member| {
                    ways.and(|| self.covers(device, &parents, member.subject, at))
                });
                let lowers = parents.iter().fold(gives, |ways, (old, _)| {
                    let stays = |new: &Parent| new.chain == old.chain && new.authority >= old.authority;
                    let keeps = assign.parents.as_ref().is_none_or(|parents| parents.iter().any(stays));
                    let free = old.authority == ParentAuthority::None || keeps || self.is(Twist::ParentsAreShutOut);
                    ways.and(|| Ways::when(free).or(|| self.manages(device, old.chain, at)))
                });
                lowers.and(|| self.raises(device, chain, assign, &parents, at))
            }),
            Body::Erase => Ways::when(is_document).and(manager).or(|| {
                let by_kind = self.is_section(chain) && !self.is(Twist::RevokeOnlyErasesNoSection);
                let free = by_kind || self.is(Twist::RevokeOnlyErasesAnything);
                Ways::when(is_document && free).and(|| self.above(device, chain, ParentAuthority::RevokeOnly, at))
            }),
            Body::Expire(_) => {
                let least = if self.is(Twist::ReaderExpires) { Role::Reader } else { Role::Editor };
                in_others().and(|| self.authority(device, chain, least, at))
            }
            Body::Accept(accept) => in_others().and(|| self.device(device, accept.user, at, false)),
            Body::Rotate(_) | Body::Repair(_) | Body::BadRotate(_) => self.member(device, chain, Role::Reader, at),
            Body::Adopt(_) | Body::Discard(_) => self.content(device, chain, Role::Manager, at),
            Body::Beacon(_) | Body::SetRetention(_) => {
                Ways::when(kind == ChainKind::Agency).and(|| self.member(device, chain, Role::Manager, at))
            }
        }
    }

    fn document_kind(&self, chain: ChainId) -> Option<DocumentKind> {
        match &self.chains[&chain].first()?.op.body {
            Body::Create(create) => create.document,
            _ => None,
        }
    }

    fn is_section(&self, chain: ChainId) -> bool {
        self.document_kind(chain) == Some(DocumentKind::Section)
    }

    /// By what somebody gives a document parents, or one of them more to say.
    fn raises(&self, device: DeviceId, document: ChainId, assign: &Assign, before: &[(Parent, Ways)], at: &At) -> Ways {
        let kind = self.document_kind(document);
        let by_kind = matches!(kind, Some(DocumentKind::Configuration | DocumentKind::Directory));
        let least = if by_kind { Role::Manager } else { Role::Editor };
        let had = |new: &Parent| before.iter().any(|(old, _)| old.chain == new.chain && old.authority >= new.authority);
        let with_a_say = assign.parents.iter().flatten().filter(|new| new.authority != ParentAuthority::None);
        let mut raised: Vec<&Parent> = with_a_say.filter(|new| !had(new)).collect();
        if self.is(Twist::AnyManagerGivesParents) {
            raised.clear();
        }
        if raised.is_empty() {
            return Ways::lasting();
        }
        let only_own = || {
            let with_a_say = before.iter().filter(|(old, _)| old.authority != ParentAuthority::None);
            with_a_say.fold(Ways::lasting(), |ways, (old, rests)| {
                let own = || self.device(device, old.chain, at, false);
                ways.and(|| rests.clone().and(own))
            })
        };
        let in_each = || {
            raised.iter().fold(Ways::lasting(), |ways, new| {
                ways.and(|| match new.authority {
                    ParentAuthority::Full => self.content(device, new.chain, least, at),
                    _ => self.authority(device, new.chain, Role::Reader, at),
                })
            })
        };
        let above = self.manages_group_above(device, before, at);
        if by_kind && !self.is(Twist::BooksGoWhereTheirManagerLikes) {
            return above.or(only_own).and(in_each);
        }
        above.or(|| only_own().and(|| if self.is(Twist::OwnDocumentsGoAnywhere) { Ways::lasting() } else { in_each() }))
    }

    fn may_create(&self, device: DeviceId, create: &Create, at: &At) -> Ways {
        match create.kind {
            ChainKind::User => Ways::lasting(),
            ChainKind::Agency => {
                let managers = create.members.iter().filter(|member| member.role == Role::Manager);
                managers.fold(Ways::none(), |ways, one| ways.or(|| self.device(device, one.subject, at, false)))
            }
            ChainKind::Team => {
                let parents = create.parents.iter();
                parents.fold(Ways::lasting(), |ways, parent| ways.and(|| self.manages(device, parent.chain, at)))
            }
            ChainKind::Document => self.may_begin(device, create, at),
        }
    }

    fn may_begin(&self, device: DeviceId, create: &Create, at: &At) -> Ways {
        let least = match create.document {
            Some(DocumentKind::Configuration | DocumentKind::Directory) => Role::Manager,
            _ => Role::Editor,
        };
        let parents: Vec<_> = create.parents.iter().map(|parent| (*parent, Ways::lasting())).collect();
        let holds = |role: Role| {
            let full = create.parents.iter().filter(|parent| parent.authority == ParentAuthority::Full);
            let content = |parent: &Parent| self.content(device, parent.chain, role, at);
            if full.clone().count() > 0 {
                full.fold(Ways::lasting(), |ways, parent| ways.and(|| content(parent)))
            } else {
                create.parents.iter().fold(Ways::none(), |ways, parent| ways.or(|| content(parent)))
            }
        };
        let gives = |held: Role| {
            create.members.iter().fold(Ways::lasting(), |ways, member: &Member| {
                let is_parent = create.parents.iter().any(|parent| parent.chain == member.subject);
                let fits = is_parent || member.role <= held || self.is(Twist::NamesAboveTheAuthor);
                ways.and(|| Ways::when(fits).and(|| self.covers(device, &parents, member.subject, at)))
            })
        };
        let governed = create.parents.iter().filter(|parent| parent.authority == ParentAuthority::RevokeOnly);
        let governed = governed.filter(|_| !self.is(Twist::ForeignersGovern));
        let belongs = governed
            .fold(Ways::lasting(), |ways, parent| ways.and(|| self.authority(device, parent.chain, Role::Reader, at)));
        let roles = [Role::Editor, Role::Manager].into_iter().filter(|role| *role >= least);
        roles.fold(Ways::none(), |ways, role| ways.or(|| holds(role).and(|| gives(role)))).and(|| belongs)
    }

    /// Whether keys go to those only who may have them now.
    fn goes_to_whom_it_may(&self, chain: ChainId, state: &State, op: &Op, time: Timestamp) -> bool {
        if self.is(Twist::KeyGoesToAnybody) {
            return true;
        }
        let due = || self.targets_due(chain, Some(time));
        match &op.body {
            Body::Rotate(rotate) => {
                let is_lost = self.is_lost(chain, Some(time));
                let is_needed = self.is_stale(chain, Some(time)) || is_lost || self.is(Twist::FreshIsRotated);
                let may_begin = rotate.epoch.previous.is_some() || is_lost || self.is(Twist::GroupsBeginAnew);
                is_needed && rotate.epoch.targets == due() && may_begin
            }
            Body::Repair(repair) => {
                let (recipients, due) = (state.recipients(), due());
                repair.targets.iter().all(|target| {
                    let place = recipients.iter().position(|recipient| *recipient == target.recipient);
                    place.is_some_and(|place| due[place] == Some(target.epoch))
                })
            }
            _ => true,
        }
    }
}
