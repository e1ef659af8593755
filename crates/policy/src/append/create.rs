//! What the first operation of a chain needs.

use vereda_base::ChainId;

use super::{Append, Moment, OpRefusal};
use crate::{
    BodyCode, ChainKind, Create, DocumentKind, Evaluator, Need, Parent, ParentAuthority, Role,
    authority::{may_be_member, may_be_parent},
};

impl Append<'_> {
    pub(super) fn check_create_rights(
        &self,
        create: &Create,
        evaluator: &mut Evaluator<'_>,
        moment: Moment,
    ) -> Result<(), OpRefusal> {
        match create.kind {
            ChainKind::User => Ok(()),
            ChainKind::Agency => self.check_founder(create, evaluator, moment),
            ChainKind::Team => {
                self.check_parents(create, Need::Authority(Role::Manager), evaluator, moment).map(|_| ())
            }
            ChainKind::Document => self.check_document(create, evaluator, moment),
        }
    }

    /// Checks the kinds of what is named. A device does so only where it depends on the answer, on parents with full
    /// authority, which are cited: of the rest it may not know all, and what has no place has no effect.
    pub(super) fn check_kinds(&self, create: &Create) -> Result<(), OpRefusal> {
        for parent in &create.parents {
            let (subject, kind) = (parent.chain, create.kind);
            let depends_on_it = self.context.names_known || parent.authority == ParentAuthority::Full;
            match self.view.chain(&subject).map(|state| state.kind()) {
                Some(found) if depends_on_it && !may_be_parent(found, kind) => {
                    return Err(OpRefusal::WrongKind { subject, found, kind });
                }
                None if self.context.names_known => return Err(OpRefusal::UnknownSubject { subject }),
                _ => {}
            }
        }
        create.members.iter().try_for_each(|member| self.check_subject(&member.subject, create.kind))
    }

    /// Checks, where the context asks for it, that a chain is known and may be a member of a chain of that kind.
    pub(super) fn check_subject(&self, subject: &ChainId, kind: ChainKind) -> Result<(), OpRefusal> {
        if !self.context.names_known {
            return Ok(());
        }
        let state = self.view.chain(subject).ok_or(OpRefusal::UnknownSubject { subject: *subject })?;
        if may_be_member(state.kind(), kind) {
            return Ok(());
        }
        Err(OpRefusal::WrongKind { subject: *subject, found: state.kind(), kind })
    }

    /// Checks, where the context asks for it, that a chain is known and may be a parent of a chain of that kind.
    pub(super) fn check_parent(&self, parent: &ChainId, kind: ChainKind) -> Result<(), OpRefusal> {
        if !self.context.names_known {
            return Ok(());
        }
        let state = self.view.chain(parent).ok_or(OpRefusal::UnknownSubject { subject: *parent })?;
        if may_be_parent(state.kind(), kind) {
            return Ok(());
        }
        Err(OpRefusal::WrongKind { subject: *parent, found: state.kind(), kind })
    }

    fn check_founder(&self, create: &Create, evaluator: &mut Evaluator<'_>, moment: Moment) -> Result<(), OpRefusal> {
        let founds = create.members.iter().filter(|member| member.role == Role::Manager).any(|member| {
            let is_user = self.view.chain(&member.subject).is_some_and(|state| state.kind() == ChainKind::User);
            is_user && evaluator.membership(&member.subject).is_some()
        });
        if founds { Ok(()) } else { Err(OpRefusal::NoFounder { device: self.op.device, moment }) }
    }

    fn check_document(&self, create: &Create, evaluator: &mut Evaluator<'_>, moment: Moment) -> Result<(), OpRefusal> {
        let held = self.check_parents(create, need_in_parents(create), evaluator, moment)?;
        // Otherwise anybody could fill the lists of those who govern groups that he has nothing to do with.
        for parent in create.parents.iter().filter(|parent| parent.authority == ParentAuthority::RevokeOnly) {
            let found = evaluator.authority(&parent.chain);
            if found.is_none() {
                return Err(refusal(parent.chain, Role::Reader, found, moment));
            }
        }
        for member in &create.members {
            self.check_covered(&create.parents, &member.subject, evaluator, moment)?;
        }
        let is_parent = |subject| create.parents.iter().any(|parent| parent.chain == subject);
        match create.members.iter().find(|member| member.role > held && !is_parent(member.subject)) {
            Some(member) => {
                Err(OpRefusal::AboveAuthor { subject: member.subject, role: member.role, found: held, moment })
            }
            None => Ok(()),
        }
    }

    /// Checks that an author may put a document before a member: it is a user of his own; or a parent that may revoke
    /// there, and he is Editor of it; or he is Manager of a team or agency that is such a parent. Otherwise anybody could
    /// fill the lists of teams that he has nothing to do with. Depends on what is cited only.
    pub(super) fn check_covered(
        &self,
        parents: &[Parent],
        subject: &ChainId,
        evaluator: &mut Evaluator<'_>,
        moment: Moment,
    ) -> Result<(), OpRefusal> {
        let kind = |chain: &ChainId| self.view.chain(chain).map(|state| state.kind());
        if kind(subject) == Some(ChainKind::User) && evaluator.membership(subject).is_some() {
            return Ok(());
        }
        for parent in parents.iter().filter(|parent| parent.authority != ParentAuthority::None) {
            let holds = parent.chain == *subject && evaluator.role(subject) >= Some(Role::Editor);
            let is_group = matches!(kind(&parent.chain), Some(ChainKind::Team | ChainKind::Agency));
            if holds || (is_group && evaluator.authority(&parent.chain) == Some(Role::Manager)) {
                return Ok(());
            }
        }
        Err(OpRefusal::NotCovered { subject: *subject, moment })
    }

    /// Checks the author's role in every parent with full authority or, where there is none such, in one parent. Gives
    /// the lowest, or that one.
    fn check_parents(
        &self,
        create: &Create,
        need: Need,
        evaluator: &mut Evaluator<'_>,
        moment: Moment,
    ) -> Result<Role, OpRefusal> {
        let (Need::Member(least) | Need::Authority(least) | Need::Content(least)) = need else {
            return Ok(Role::Manager);
        };
        let full = || create.parents.iter().filter(|parent| parent.authority == ParentAuthority::Full);
        let (mut lowest, mut best) = (None, None);
        for parent in full() {
            let found = evaluator.role_for(&parent.chain, need);
            let Some(role) = found.filter(|role| *role >= least) else {
                return Err(refusal(parent.chain, least, found, moment));
            };
            lowest = Some(lowest.map_or(role, |lowest: Role| lowest.min(role)));
        }
        if let Some(lowest) = lowest {
            return Ok(lowest);
        }
        for parent in &create.parents {
            if self.view.chain(&parent.chain).is_some_and(|state| may_be_parent(state.kind(), create.kind)) {
                best = best.max(evaluator.role_for(&parent.chain, need));
            }
        }
        let first = create.parents.first().map_or(ChainId([0; 32]), |parent| parent.chain);
        best.filter(|role| *role >= least).ok_or_else(|| refusal(first, least, best, moment))
    }
}

/// What whoever puts a document of his own under a parent with this authority needs there.
pub(crate) const fn need_in_parent(document: Option<DocumentKind>, authority: ParentAuthority) -> Need {
    match authority {
        ParentAuthority::None | ParentAuthority::RevokeOnly => Need::Authority(Role::Reader),
        ParentAuthority::Full => need_of_kind(document),
    }
}

/// What the author of a new document needs in its parents.
pub(crate) const fn need_in_parents(create: &Create) -> Need {
    need_of_kind(create.document)
}

/// Says whether a document speaks for a group: only whoever is Manager over the group's content begins it there.
pub(crate) const fn is_book(document: Option<DocumentKind>) -> bool {
    matches!(document, Some(DocumentKind::Configuration | DocumentKind::Directory))
}

const fn need_of_kind(document: Option<DocumentKind>) -> Need {
    if is_book(document) { Need::Content(Role::Manager) } else { Need::Content(Role::Editor) }
}

const fn refusal(chain: ChainId, least: Role, found: Option<Role>, moment: Moment) -> OpRefusal {
    OpRefusal::NoAuthority { body: BodyCode::CREATE, chain, least, found, moment }
}
