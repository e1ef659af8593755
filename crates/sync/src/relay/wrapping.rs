//! Whether the wraps that come with an operation are for whom it says, and for whom they must be.

use vereda_base::Timestamp;
use vereda_policy::{
    Body, ChainState, Chains, Op, Repair, Rotate, Target, Wrap, WrapList, WrapProof, WrappedKey, check_wraps,
    hash_previous, is_stale, targets_of,
};
use vereda_protocol::RefusalCode;

/// Checks the wraps of an operation that follows `state`: they are its list, for exactly those whom it names. A wrap goes to
/// its recipient whether or not he sees the chain: without this anybody could fill the store of any device whose id he
/// knows, of another agency too.
pub(super) fn check_wrapping(
    view: &dyn Chains,
    op: &Op,
    state: Option<&ChainState>,
    wraps: &[Wrap],
    now: Timestamp,
) -> Result<Vec<WrapProof>, RefusalCode> {
    let Some(list) = list_of(&op.body) else {
        return if wraps.is_empty() { Ok(Vec::new()) } else { Err(RefusalCode::Malformed) };
    };
    let proofs = check_wraps(list, wraps).map_err(|_| RefusalCode::Malformed)?;
    let found = wraps.iter().map(|wrap| Target { recipient: wrap.recipient, epoch: wrap.recipient_epoch });
    if !found.eq(targets_of(op, state)) {
        return Err(RefusalCode::NotAuthorized);
    }
    match (&op.body, state) {
        (Body::Rotate(rotate), Some(state)) => check_previous(rotate, state, wraps)?,
        (Body::Repair(repair), Some(state)) => check_repair(view, repair, state, now)?,
        _ => {}
    }
    Ok(proofs)
}

/// Checks that the wrap to the chain itself is the key that the new epoch says it follows. Which wraps there are was
/// compared already; policy says where an epoch may begin without that key.
fn check_previous(rotate: &Rotate, state: &ChainState, wraps: &[Wrap]) -> Result<(), RefusalCode> {
    let mut own = wraps.iter().filter(|wrap| wrap.recipient.0 == state.id().0);
    let fits = own.all(|wrap| match &wrap.key {
        WrappedKey::Group(sealed) if wrap.recipient_epoch == rotate.follows => {
            rotate.epoch.previous == Some(hash_previous(sealed))
        }
        WrappedKey::Group(_) => true,
        WrappedKey::Hpke(_) => false,
    });
    if fits { Ok(()) } else { Err(RefusalCode::Malformed) }
}

/// Checks that a repair is of an epoch in use, and that none of its members was given the key before. Devices do not see one
/// another's wraps and count them: a second one for the same member would be counted for another, who would then be given
/// none.
fn check_repair(view: &dyn Chains, repair: &Repair, state: &ChainState, now: Timestamp) -> Result<(), RefusalCode> {
    let newest = state.newest_epoch().ok_or(RefusalCode::Malformed)?;
    if repair.epoch != newest.number {
        return Err(RefusalCode::Outdated);
    }
    if repair.targets.iter().any(|target| newest.targets.contains(target)) {
        return Err(RefusalCode::Repeated);
    }
    if is_stale(view, &state.id(), Some(now)) { Err(RefusalCode::Outdated) } else { Ok(()) }
}

/// The list of wraps that a body commits to.
const fn list_of(body: &Body) -> Option<&WrapList> {
    match body {
        Body::Create(create) => Some(&create.epoch.wraps),
        Body::Repair(repair) => Some(&repair.wraps),
        Body::Rotate(rotate) => Some(&rotate.epoch.wraps),
        _ => None,
    }
}
