//! Who has access: read off the chain, with the names that are known.

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp, decode, limits::MAX_SEALED_TEXT_BYTES};
use vereda_policy::{Body, ChainKind, ChainState, Chains, Membership, Op, ParentAuthority, Role};
use vereda_sync::device::DeviceStore;

use super::{About, DecisionView, open_text, refer::Purpose};
use crate::{
    device::{Device, DeviceError},
    directory::AuthorView,
    words,
};

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum WhoError {
    /// Nothing of it is known here.
    #[error("{chain} is not known on this device")]
    Unknown {
        /// What was asked for.
        chain: ChainId,
    },
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A person, team, agency or document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectView {
    /// Its id.
    pub id: ChainId,
    /// `person`, `team`, `agency`, `document`, or `unknown` where this device does not hold its chain.
    pub kind: &'static str,
    /// Its name, if known.
    pub name: Option<String>,
}

/// Who has access to a document, or belongs to a team or agency.
#[derive(Debug, Clone, Serialize)]
pub struct AccessView {
    /// The document, team or agency.
    #[serde(flatten)]
    pub subject: SubjectView,
    /// It was erased.
    pub is_erased: bool,
    /// Who governs it from above.
    pub governors: Vec<GovernorView>,
    /// Who stands in it, oldest first.
    pub entries: Vec<AccessEntry>,
    /// Invites that are open.
    pub invites: Vec<OpenInvite>,
    /// What was decided on this device and is not final, or failed.
    pub pending: Vec<DecisionView>,
    /// The sections of a case that are known here.
    pub sections: Vec<AccessView>,
}

/// A team or agency whose Managers have a say.
#[derive(Debug, Clone, Serialize)]
pub struct GovernorView {
    /// The team or agency.
    #[serde(flatten)]
    pub subject: SubjectView,
    /// `full`: its Managers decide who has access; `revoke_only`: they may end it; `none`: nothing.
    pub authority: &'static str,
}

/// One role that stands.
#[derive(Debug, Clone, Serialize)]
pub struct AccessEntry {
    /// Who has it.
    #[serde(flatten)]
    pub subject: SubjectView,
    /// The role.
    pub role: &'static str,
    /// How they came by it: `founding`, `grant`, `invite`, `assignment`, `succession`, `lowering` or `adoption`.
    pub by_way_of: &'static str,
    /// Since when, in milliseconds since 1970 by the relay's clock; `None` while the relay does not have it.
    pub since: Option<Timestamp>,
    /// Whose device gave it: proven.
    pub by: AuthorView,
    /// Until when, in milliseconds since 1970 by the relay's clock; `None` for no end.
    pub until: Option<Timestamp>,
    /// The end has passed.
    pub has_expired: bool,
    /// Why; `None` where nothing was said, or it cannot be read here.
    pub purpose: Option<String>,
    /// Where the consent to it is recorded.
    pub consent: Option<String>,
    /// Something was said, but it cannot be read here.
    pub is_purpose_closed: bool,
    /// The people reached by it; through a team or agency no further than their role in that goes.
    pub people: Vec<ReachedPerson>,
}

/// A person reached by a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachedPerson {
    /// The person.
    pub user: ChainId,
    /// The name, if known.
    pub name: Option<String>,
    /// What the person may do.
    pub role: &'static str,
}

/// An invite that can be taken up.
#[derive(Debug, Clone, Serialize)]
pub struct OpenInvite {
    /// Names it: its one-time key.
    pub invite: DeviceId,
    /// The role offered.
    pub role: &'static str,
    /// Until when, in milliseconds since 1970 by the relay's clock.
    pub expires: Timestamp,
}

impl<S: DeviceStore> Device<S> {
    /// Shows who has access to a document, or belongs to a team or agency, and what is pending; of a case also who has
    /// access to each section that is known here.
    ///
    /// # Errors
    /// [`WhoError`] by cause.
    pub fn who_has_access(&self, chain: &ChainId, now: Timestamp) -> Result<AccessView, WhoError> {
        let mut view = self.access_to(chain, now)?;
        for section in self.sections_of(chain).map_err(DeviceError::from)? {
            match self.access_to(&section, now) {
                Ok(section) => view.sections.push(section),
                Err(WhoError::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(view)
    }

    fn access_to(&self, chain: &ChainId, now: Timestamp) -> Result<AccessView, WhoError> {
        let state = self.chain(chain).ok_or(WhoError::Unknown { chain: *chain })?;
        let ops = match &self.machine {
            Some(machine) => machine.operations(&self.store, chain).map_err(DeviceError::from)?,
            None => Vec::new(),
        };
        let head = state.head_seq();
        let standing = state.members().iter().filter(|held| held.stands_at(head, None));
        let invites = state.invites().iter().filter(|invite| invite.end.is_none() && invite.expires > now);
        let mut pending = self.decisions()?;
        pending.retain(|decision| decision.chain == *chain);
        Ok(AccessView {
            subject: self.subject_view(chain),
            is_erased: state.is_erased(),
            governors: state
                .parents()
                .map(|parent| GovernorView {
                    subject: self.subject_view(&parent.chain),
                    authority: authority_word(parent.authority),
                })
                .collect(),
            entries: standing.map(|held| self.access_entry(&state, &ops, held, now)).collect(),
            invites: invites
                .map(|invite| OpenInvite {
                    invite: invite.key,
                    role: words::role(invite.role),
                    expires: invite.expires,
                })
                .collect(),
            pending,
            sections: Vec::new(),
        })
    }

    fn access_entry(&self, state: &ChainState, ops: &[Op], held: &Membership, now: Timestamp) -> AccessEntry {
        let op = usize::try_from(held.from_seq).ok().and_then(|seq| ops.get(seq));
        let sealed = op.and_then(|op| match &op.body {
            Body::Grant(grant) => grant.sealed_purpose.as_deref(),
            _ => None,
        });
        let opened = sealed.and_then(|sealed| open_text(&self.keyring, state, About::Purpose, sealed));
        let purpose = opened.and_then(|bytes| decode::<Purpose>(&bytes, MAX_SEALED_TEXT_BYTES).ok());
        AccessEntry {
            subject: self.subject_view(&held.subject),
            role: words::role(held.role),
            by_way_of: op.map_or("founding", |op| way(op, held)),
            since: state.op(held.from_seq).and_then(|record| record.time),
            by: self.author_view(op.map(|op| op.device)),
            until: held.expires,
            has_expired: held.expires.is_some_and(|expires| expires <= now),
            is_purpose_closed: sealed.is_some() && purpose.is_none(),
            purpose: purpose.as_ref().and_then(|purpose| purpose.purpose.clone()),
            consent: purpose.and_then(|purpose| purpose.consent),
            people: self.people_reached(&held.subject, held.role, now),
        }
    }

    fn people_reached(&self, subject: &ChainId, role: Role, now: Timestamp) -> Vec<ReachedPerson> {
        let mut reached = Vec::new();
        self.view(|view, _| reach(view, subject, role, now, &mut reached));
        reached.sort_unstable();
        // The best way of each person.
        reached.reverse();
        reached.dedup_by_key(|(user, _)| *user);
        reached.reverse();
        let person = |(user, role): (ChainId, Role)| ReachedPerson {
            user,
            name: self.name_of(&user).map(str::to_owned),
            role: words::role(role),
        };
        reached.into_iter().map(person).collect()
    }

    /// Shows what a chain is of, and its name.
    pub(crate) fn subject_view(&self, id: &ChainId) -> SubjectView {
        let kind = match self.chain(id).map(|state| state.kind()) {
            Some(ChainKind::User) => "person",
            Some(ChainKind::Team) => "team",
            Some(ChainKind::Agency) => "agency",
            Some(ChainKind::Document) => "document",
            None => "unknown",
        };
        SubjectView { id: *id, kind, name: self.name_of(id).map(str::to_owned) }
    }
}

/// Collects the people in a group with what they may do by this way. Members are of lower kinds, so it ends.
fn reach(view: &dyn Chains, subject: &ChainId, role: Role, now: Timestamp, reached: &mut Vec<(ChainId, Role)>) {
    let Some(state) = view.chain(subject) else { return };
    if state.kind() == ChainKind::User {
        reached.push((*subject, role));
        return;
    }
    let head = state.head_seq();
    for member in state.members().iter().filter(|member| member.stands_at(head, Some(now))) {
        reach(view, &member.subject, role.min(member.role), now, reached);
    }
}

fn way(op: &Op, held: &Membership) -> &'static str {
    match &op.body {
        Body::Create(create) if create.members.iter().any(|member| member.subject == held.subject) => "founding",
        Body::Create(_) => "adoption",
        Body::Grant(_) => "grant",
        Body::Accept(_) => "invite",
        Body::Assign(_) => "assignment",
        Body::Revoke(revoke) if revoke.subject == held.subject => "lowering",
        _ => "succession",
    }
}

const fn authority_word(authority: ParentAuthority) -> &'static str {
    match authority {
        ParentAuthority::None => "none",
        ParentAuthority::RevokeOnly => "revoke_only",
        ParentAuthority::Full => "full",
    }
}
