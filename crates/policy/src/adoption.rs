//! Who decides on a document that was begun by somebody removed meanwhile, and whom he may let in (access.md, "Review").

use vereda_base::{ChainId, OpId};

use crate::{AdoptedDocument, Body, ChainKind, Chains, Create, Decision, Member, Op, Parent, ParentAuthority};

/// Lists the chains that decide on a document that was begun by somebody removed meanwhile. Of the parents with a say these
/// are the teams and agencies or, where there is none of these, the users: nobody brings a document before a group by
/// deciding on it as himself. Among them it is those with full authority or, where there is none such, those that may
/// revoke.
///
/// A parent that is unknown here counts as a group, so ignorance lets nobody decide. Whoever could judge the `Create` knows
/// all of its parents with a say, since they are cited.
pub fn owners(view: &dyn Chains, create: &Create) -> Vec<ChainId> {
    let ranked = |parent: &Parent| Some((rank(view, parent)?, parent.chain));
    let highest = create.parents.iter().filter_map(ranked).map(|(rank, _)| rank).max();
    let parents = create.parents.iter().filter_map(ranked);
    parents.filter(|(rank, _)| Some(*rank) == highest).map(|(_, chain)| chain).collect()
}

/// Orders parents by who decides first: a group before a user, full authority before less. `None` where there is no say.
fn rank(view: &dyn Chains, parent: &Parent) -> Option<(bool, ParentAuthority)> {
    let is_group = match view.chain(&parent.chain).map(|state| state.kind()) {
        Some(ChainKind::Team | ChainKind::Agency) | None => true,
        Some(ChainKind::User) => false,
        Some(ChainKind::Document) => return None,
    };
    (parent.authority != ParentAuthority::None).then_some((is_group, parent.authority))
}

/// Lists those of the holders whom an adoption by `owner` names that it may let in. A team or an agency with full authority
/// lets in anybody, as its Managers may put a document that is there before anybody; one that may only revoke those whom the
/// document was begun for, by no higher role; a user nobody but himself, likewise.
pub fn admitted_holders(view: &dyn Chains, create: &Create, owner: &ChainId, holders: &[Member]) -> Vec<Member> {
    let Some(kind) = view.chain(owner).map(|state| state.kind()) else { return Vec::new() };
    let is_full =
        create.parents.iter().any(|parent| parent.chain == *owner && parent.authority == ParentAuthority::Full);
    let is_named = |holder: &Member| {
        create.members.iter().any(|member| member.subject == holder.subject && member.role >= holder.role)
    };
    let may_hold =
        |holder: &&Member| (kind != ChainKind::User || holder.subject == *owner) && (is_full || is_named(holder));
    holders.iter().filter(may_hold).copied().collect()
}

/// Finds how a document was taken in by an owner of it after its author had been removed.
pub fn find_adoption(view: &dyn Chains, op: &Op, id: OpId) -> Option<AdoptedDocument> {
    let Body::Create(create) = &op.body else { return None };
    let document = ChainId(id.0);
    owners(view, create).into_iter().find_map(|owner| {
        let state = view.chain(&owner)?;
        let decided = state.decided_document(&document)?;
        let Decision::Adopted { .. } = decided.decision else { return None };
        let holders = admitted_holders(view, create, &owner, &decided.adopted.holders);
        (!holders.is_empty()).then(|| AdoptedDocument { holders, ..decided.adopted.clone() })
    })
}
