//! Who may invite, and whether an invite is still good when somebody takes it up.

use vereda_base::Timestamp;

use crate::{
    ChainKind, ChainState, Chains, Cite, Evaluator, Heads, InviteState, Parent, ParentAuthority, Role, Term, Waiting,
};

/// Says whether whoever made an invite may still invite: by all that has ended in this chain, and by the newest heads that
/// this chain cites of those by which he made it. So devices find alike, whatever else each of them knows.
///
/// # Errors
/// [`Waiting`] if a head that was relied on is unknown here.
pub fn invites_still(view: &dyn Chains, state: &ChainState, invite: &InviteState) -> Result<bool, Waiting> {
    let relied = |cite: &&Cite| invite.relies_on.contains(&cite.chain);
    let cites: Vec<Cite> = state.cited().iter().filter(relied).copied().collect();
    let heads = Heads::cited(view, &cites, Some((state.id(), state.head_seq())))?;
    Ok(may_invite(view, state, invite, &heads))
}

/// Says whether whoever made an invite may invite at the newest heads.
pub fn invites_now(view: &dyn Chains, state: &ChainState, invite: &InviteState, now: Timestamp) -> bool {
    may_invite(view, state, invite, &Heads::newest(Some(now)))
}

fn may_invite(view: &dyn Chains, state: &ChainState, invite: &InviteState, heads: &Heads) -> bool {
    // Whoever takes it up stays without end.
    let heads = heads.reaching(Term::Lasting.last());
    let mut evaluator = Evaluator::new(view, invite.by, &heads);
    evaluator.authority(&state.id()) == Some(Role::Manager)
        && (state.kind() != ChainKind::Document || manages_group_above(view, state, &mut evaluator))
}

/// Says whether a device is Manager of a team or agency that has a say over a document: whoever is brought in from outside
/// is let in by one of those.
pub(crate) fn manages_group_above(view: &dyn Chains, document: &ChainState, evaluator: &mut Evaluator<'_>) -> bool {
    evaluator
        .parents(document)
        .iter()
        .filter(|parent| is_group_with_a_say(view, parent))
        .any(|parent| evaluator.authority(&parent.chain) == Some(Role::Manager))
}

/// Says whether a parent is a team or an agency that may at least revoke.
pub(crate) fn is_group_with_a_say(view: &dyn Chains, parent: &Parent) -> bool {
    let kind = view.chain(&parent.chain).map(|state| state.kind());
    parent.authority != ParentAuthority::None && matches!(kind, Some(ChainKind::Team | ChainKind::Agency))
}
