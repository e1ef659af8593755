//! Which agency an operation belongs to: one never sees anything of another's.

use vereda_base::{ChainId, Digest};
use vereda_policy::{Body, ChainKind, Create, Op, chain_of};
use vereda_protocol::RefusalCode;

use super::{
    chains::ChainCache,
    session::{Admission, Open},
    store::{Founding, Naming, RelayStore, StoreError},
};

/// User chains that may be begun with one invite. One is enough unless a device is lost before it accepts.
const MAX_GUESTS: u64 = 4;

/// Tells which agency the operation's chain belongs to. All that it names must belong there too: one agency never sees
/// another's.
pub(super) fn find_agency(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    open: &Open,
    op: &Op,
) -> Result<Result<Option<ChainId>, RefusalCode>, StoreError> {
    let refused = Ok(Err(RefusalCode::NotAuthorized));
    let chain = chain_of(op);
    let (own, named): (Option<ChainId>, Vec<ChainId>) = match &op.body {
        Body::Create(create) => match create.kind {
            ChainKind::User => return agency_of_user(store, open),
            ChainKind::Agency => return agency_of_agency(chains, store, open, chain, create),
            ChainKind::Team | ChainKind::Document => {
                let members = create.members.iter().map(|member| member.subject);
                (None, create.parents.iter().map(|parent| parent.chain).chain(members).collect())
            }
        },
        Body::Beacon(beacon) => (Some(chain), beacon.heads.iter().map(|cite| cite.chain).collect()),
        Body::Grant(grant) => (Some(chain), vec![grant.subject]),
        Body::Accept(accept) => (Some(chain), vec![accept.user]),
        Body::AddDevice(add) => {
            // A device of two users would be a way from one agency to another.
            let known = !store.naming(&Digest(add.device.0), Naming::Group)?.is_empty();
            return if known { refused } else { Ok(Ok(agency(chains, store, &chain)?)) };
        }
        Body::Revoke(revoke) => (Some(chain), revoke.successor.into_iter().collect()),
        Body::Assign(assign) => {
            let gives = assign.gives.iter().map(|member| member.subject);
            let parents = assign.parents.iter().flatten().map(|parent| parent.chain);
            (Some(chain), gives.chain(parents).collect())
        }
        Body::Adopt(adopt) => {
            let holders = adopt.documents.iter().flat_map(|adopted| &adopted.holders);
            (Some(chain), holders.map(|member| member.subject).collect())
        }
        Body::RemoveDevice(_)
        | Body::Expire(_)
        | Body::Invite(_)
        | Body::CancelInvite(_)
        | Body::Rotate(_)
        | Body::Repair(_)
        | Body::BadRotate(_)
        | Body::Discard(_)
        | Body::SetRetention(_)
        | Body::Erase => (Some(chain), Vec::new()),
    };
    let mut agencies = Vec::with_capacity(named.len() + 1);
    for chain in own.into_iter().chain(named) {
        agencies.push(agency(chains, store, &chain)?);
    }
    Ok(match agencies.split_first() {
        Some((Some(first), rest)) if rest.iter().all(|agency| *agency == Some(*first)) => Ok(Some(*first)),
        // As of heads that there are not: nobody learns by a beacon what another agency's chains hold.
        _ if matches!(op.body, Body::Beacon(_)) => Err(RefusalCode::UnknownPolicy),
        _ => Err(RefusalCode::NotAuthorized),
    })
}

/// A device makes one user chain, and only where it was let in for that.
fn agency_of_user(store: &dyn RelayStore, open: &Open) -> Result<Result<Option<ChainId>, RefusalCode>, StoreError> {
    if !store.naming(&Digest(open.device.0), Naming::Group)?.is_empty() {
        return Ok(Err(RefusalCode::NotAuthorized));
    }
    Ok(match open.admission {
        // Whoever holds an invite can make devices without end, and must not fill the log with their users.
        Admission::Invited { invite, .. } if store.guests(&invite)? >= MAX_GUESTS => Err(RefusalCode::InviteSpent),
        Admission::Invited { agency, .. } => Ok(Some(agency)),
        Admission::Founder { .. } => Ok(None),
        Admission::Member | Admission::Pending | Admission::Recovery | Admission::Removed => {
            Err(RefusalCode::NotAuthorized)
        }
    })
}

/// An agency is founded with a secret that is not spent, by users that belong to none.
fn agency_of_agency(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    open: &Open,
    agency: ChainId,
    create: &Create,
) -> Result<Result<Option<ChainId>, RefusalCode>, StoreError> {
    let Admission::Founder { secret } = open.admission else { return Ok(Err(RefusalCode::NotAuthorized)) };
    if !matches!(store.founding(&secret)?, Some(Founding::Open | Founding::Claimed(_))) {
        return Ok(Err(RefusalCode::NotAuthorized));
    }
    for member in &create.members {
        if self::agency(chains, store, &member.subject)?.is_some() {
            return Ok(Err(RefusalCode::NotAuthorized));
        }
    }
    Ok(Ok(Some(agency)))
}

fn agency(chains: &mut ChainCache, store: &dyn RelayStore, id: &ChainId) -> Result<Option<ChainId>, StoreError> {
    Ok(chains.load(store, id)?.and_then(|known| known.agency))
}
