//! What the author of an operation after the first is entitled to, at some heads.

use vereda_base::ChainId;

use super::{
    Append, Moment, OpRefusal,
    create::{is_book, need_in_parent},
};
use crate::{
    Body, BodyCode, ChainKind, ChainState, Evaluator, Need, Parent, ParentAuthority, Role,
    inviting::manages_group_above, need,
};

impl Append<'_> {
    pub(super) fn check_body_rights(
        &self,
        state: &ChainState,
        evaluator: &mut Evaluator<'_>,
        moment: Moment,
    ) -> Result<(), OpRefusal> {
        self.check_role(state, evaluator, moment)?;
        match &self.op.body {
            Body::Grant(grant) if state.kind() == ChainKind::Document => {
                let parents = evaluator.parents(state);
                self.check_covered(&parents, &grant.subject, evaluator, moment)
            }
            Body::Invite(_) if state.kind() == ChainKind::Document => {
                let may = manages_group_above(self.view, state, evaluator);
                if may { Ok(()) } else { Err(OpRefusal::NoGroup { document: state.id(), moment }) }
            }
            Body::Assign(assign) => {
                let parents = evaluator.parents(state);
                for member in &assign.gives {
                    self.check_covered(&parents, &member.subject, evaluator, moment)?;
                }
                // Nobody shuts out those above him: who takes a parent's authority is Manager of it.
                for chain in assign.lowered_parents(&parents) {
                    let (body, least, found) = (BodyCode::ASSIGN, Role::Manager, evaluator.authority(&chain));
                    if found != Some(least) {
                        return Err(OpRefusal::NoAuthority { body, chain, least, found, moment });
                    }
                }
                self.check_raised(state, &assign.raised_parents(&parents), evaluator, moment)
            }
            Body::Accept(accept) => {
                let (user, device) = (accept.user, self.op.device);
                let is_user = self.view.chain(&user).is_some_and(|state| state.kind() == ChainKind::User);
                if is_user && evaluator.membership(&user).is_some() {
                    return Ok(());
                }
                Err(OpRefusal::NotOfUser { user, device, moment })
            }
            _ => Ok(()),
        }
    }

    /// Checks the author's role against the table.
    fn check_role(&self, state: &ChainState, evaluator: &mut Evaluator<'_>, moment: Moment) -> Result<(), OpRefusal> {
        let (body, chain) = (self.op.body.code(), state.id());
        let need = need(body, state.kind()).ok_or(OpRefusal::NotHere { body, kind: state.kind() })?;
        let least = match need {
            Need::Founding | Need::Invitation => return Ok(()),
            Need::Member(least)
            | Need::Authority(least)
            | Need::Content(least)
            | Need::Ending(least)
            | Need::Erasing(least) => least,
            Need::OwnDevice | Need::Removing => Role::Manager,
        };
        let found = evaluator.role_for(&chain, need);
        if found >= Some(least) {
            return Ok(());
        }
        let may = match (&self.op.body, need) {
            (_, Need::Removing) => {
                let groups: Vec<ChainId> = self.op.cites.iter().map(|cite| cite.chain).collect();
                evaluator.governs_user(&chain, &groups)
            }
            // Whoever leaves needs nobody's leave.
            (Body::Revoke(revoke), _) => {
                let leaves = revoke.keeps.is_none() && revoke.successor.is_none();
                leaves && evaluator.membership(&revoke.subject).is_some() && self.is_user(&revoke.subject)
            }
            _ => false,
        };
        if may { Ok(()) } else { Err(OpRefusal::NoAuthority { body, chain, least, found, moment }) }
    }

    /// Checks who gives a document parents, or one more to say. Whoever is Manager of a team or agency that has a say
    /// there may, as he may bring people in; where nobody has one but the author's own users, he as whoever begins a
    /// document under these parents. Otherwise a Manager of the document by a grant would bring his own groups in, and
    /// anybody could fill the lists of groups that he has nothing to do with. A configuration or directory goes only where he
    /// could have begun one, whatever he manages: else it would pass for that of a group above his. Depends on what is cited
    /// only.
    fn check_raised(
        &self,
        state: &ChainState,
        raised: &[Parent],
        evaluator: &mut Evaluator<'_>,
        moment: Moment,
    ) -> Result<(), OpRefusal> {
        if raised.is_empty() {
            return Ok(());
        }
        let manages_above = manages_group_above(self.view, state, evaluator);
        if manages_above && !is_book(state.document_kind()) {
            return Ok(());
        }
        let parents = evaluator.parents(state);
        let mut with_a_say = parents.iter().filter(|parent| parent.authority != ParentAuthority::None);
        let mut is_own = |parent: &Parent| self.is_user(&parent.chain) && evaluator.membership(&parent.chain).is_some();
        if !manages_above && !with_a_say.all(&mut is_own) {
            return Err(OpRefusal::NoGroup { document: state.id(), moment });
        }
        for Parent { chain, authority } in raised.iter().copied() {
            let need = need_in_parent(state.document_kind(), authority);
            let (Need::Content(least) | Need::Authority(least)) = need else { continue };
            let found = evaluator.role_for(&chain, need);
            if found < Some(least) {
                return Err(OpRefusal::NoAuthority { body: BodyCode::ASSIGN, chain, least, found, moment });
            }
        }
        Ok(())
    }

    fn is_user(&self, chain: &ChainId) -> bool {
        self.view.chain(chain).is_some_and(|state| state.kind() == ChainKind::User)
    }
}
