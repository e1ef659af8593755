//! Who has access: read off the chain, with the names that are known.

mod people;

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp, decode, limits::MAX_SEALED_TEXT_BYTES};
use vereda_policy::{
    Body, ChainKind, ChainState, DocumentKind, Heads, Membership, Op, Parent, ParentAuthority, membership,
};
use vereda_sync::device::DeviceStore;

use people::Came;
pub use people::ReachedPerson;

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
    /// `person`, `team`, `agency`, `case`, `section`, `document` for any other, or `unknown` where this device does not hold
    /// its chain.
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
    /// This device's person reads it. Who may only end access to a section does not.
    pub is_readable: bool,
    /// Who governs it from above.
    pub governors: Vec<GovernorView>,
    /// Who stands in it, oldest first.
    pub entries: Vec<AccessEntry>,
    /// Invites that are open.
    pub invites: Vec<OpenInvite>,
    /// What was decided on this device and is not final, or failed.
    pub pending: Vec<DecisionView>,
    /// The sections of a case that are known here: those that can be read, and those of which the case tells and to which
    /// this person may end access.
    pub sections: Vec<AccessView>,
    /// Sections of a case of which the case tells, and no more is known here.
    pub closed_sections: Vec<SubjectView>,
    /// Sections to which Managers of the team or agency may end access and that this person does not read. Which case they
    /// are of, only those tell of which their case does.
    pub governs: Vec<SubjectView>,
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
    /// Whose device gave it: proven. Of an invite whoever invited.
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
    pub fn who_has_access(&mut self, chain: &ChainId, now: Timestamp) -> Result<AccessView, WhoError> {
        let mut view = self.access_to(chain, now)?;
        match view.subject.kind {
            "case" => self.add_sections(&mut view, now)?,
            "team" | "agency" => view.governs = self.sections_governed_by(chain)?,
            _ => {}
        }
        Ok(view)
    }

    fn add_sections(&mut self, view: &mut AccessView, now: Timestamp) -> Result<(), WhoError> {
        let case = view.subject.id;
        let mut sections: Vec<(ChainId, Option<String>)> =
            self.sections_of(&case).map_err(DeviceError::from)?.into_iter().map(|section| (section, None)).collect();
        for (section, title) in self.sections_noted_in(&case)? {
            if !sections.iter().any(|(known, _)| *known == section) {
                sections.push((section, title));
            }
        }
        for (section, title) in sections {
            match self.access_to(&section, now) {
                Ok(mut found) => {
                    found.subject.name = found.subject.name.or(title);
                    view.sections.push(found);
                }
                Err(WhoError::Unknown { chain }) => {
                    view.closed_sections.push(SubjectView { id: chain, kind: "section", name: title });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn sections_governed_by(&self, group: &ChainId) -> Result<Vec<SubjectView>, DeviceError> {
        let documents = self.list_chains(ChainKind::Document)?;
        let is_governed = |document: &&ChainId| {
            self.chain(document).is_some_and(|state| {
                let governs = |parent: &Parent| parent.chain == *group && parent.authority != ParentAuthority::None;
                state.document_kind() == Some(DocumentKind::Section) && state.parents().any(governs)
            })
        };
        let closed = documents.iter().filter(is_governed).filter(|section| !self.is_read_here(section));
        Ok(closed.map(|section| self.subject_view(section)).collect())
    }

    /// Says whether this device's person is a member of a chain.
    pub(crate) fn is_read_here(&self, chain: &ChainId) -> bool {
        self.view(|view, device| membership(view, &device, chain, &Heads::newest(None)).is_some())
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
            is_readable: self.is_read_here(chain),
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
            closed_sections: Vec::new(),
            governs: Vec::new(),
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
        let by = self.author_view(op.map(|op| giver(state, op)));
        let since = state.op(held.from_seq).and_then(|record| record.time);
        AccessEntry {
            subject: self.subject_view(&held.subject),
            role: words::role(held.role),
            by_way_of: op.map_or("founding", |op| way(op, held)),
            since,
            by: by.clone(),
            until: held.expires,
            has_expired: held.expires.is_some_and(|expires| expires <= now),
            is_purpose_closed: sealed.is_some() && purpose.is_none(),
            purpose: purpose.as_ref().and_then(|purpose| purpose.purpose.clone()),
            consent: purpose.and_then(|purpose| purpose.consent),
            people: self.people_reached(held, Came { since, by }, now),
        }
    }

    /// Shows what a chain is of, and its name.
    pub(crate) fn subject_view(&self, id: &ChainId) -> SubjectView {
        let kind = match self.chain(id).map(|state| state.kind()) {
            Some(ChainKind::User) => "person",
            Some(ChainKind::Team) => "team",
            Some(ChainKind::Agency) => "agency",
            Some(ChainKind::Document) => match self.chain(id).and_then(|state| state.document_kind()) {
                Some(DocumentKind::Case) => "case",
                Some(DocumentKind::Section) => "section",
                _ => "document",
            },
            None => "unknown",
        };
        SubjectView { id: *id, kind, name: self.place_name(id) }
    }
}

/// Names the device that gave a role: of an invite whoever invited, not who took it up.
fn giver(state: &ChainState, op: &Op) -> DeviceId {
    let invite = match &op.body {
        Body::Accept(accept) => state.invites().iter().find(|invite| invite.op == accept.invite),
        _ => None,
    };
    invite.map_or(op.device, |invite| invite.by)
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
