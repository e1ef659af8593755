//! What the author of an operation after the first is entitled to, at some heads.

use vereda_base::ChainId;

use super::{Append, Moment, OpRefusal};
use crate::{Body, BodyCode, ChainKind, ChainState, Evaluator, Need, Role, inviting::manages_group_above, need};

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
                Ok(())
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
            Need::Member(least) | Need::Authority(least) | Need::Content(least) | Need::Ending(least) => least,
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

    fn is_user(&self, chain: &ChainId) -> bool {
        self.view.chain(chain).is_some_and(|state| state.kind() == ChainKind::User)
    }
}
