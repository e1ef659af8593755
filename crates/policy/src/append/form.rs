//! What can be seen of an operation by itself: suite, place, bounds, canonical lists, and the shape its kind asks for.

use vereda_base::limits;

use super::{OpRefusal, Part};
use crate::{AdoptedDocument, Assign, Body, ChainKind, Create, Epoch, Frontier, Op, ParentAuthority, Role, SUITE};

/// Bound on a grant's sealed purpose, in bytes.
pub const MAX_PURPOSE_BYTES: usize = limits::MAX_SEALED_TEXT_BYTES;
/// Bound on the members of a chain: a new epoch's key for each, and the one before, are one list of wraps.
pub const MAX_MEMBERS: usize = limits::MAX_LIST - 1;
/// Bound on the devices that a user ever had.
pub const MAX_DEVICES: usize = limits::MAX_LIST - 1;

pub(super) fn check_form(op: &Op) -> Result<(), OpRefusal> {
    if op.suite != SUITE {
        return Err(OpRefusal::Suite { found: op.suite });
    }
    let is_create = matches!(op.body, Body::Create(_));
    let stands_first = op.chain.is_none() && op.prev.is_none() && op.seq == 0;
    let follows = op.chain.is_some() && op.prev.is_some() && op.seq > 0;
    if !(if is_create { stands_first } else { follows }) {
        return Err(OpRefusal::Place { seq: op.seq });
    }
    check_list(Part::Cites, &op.cites, limits::MAX_CITES, |cite| cite.chain)?;
    if let Some(own) = op.cites.iter().find(|cite| Some(cite.chain) == op.chain) {
        return Err(OpRefusal::CitesItself { chain: own.chain });
    }
    match &op.body {
        Body::Create(create) => check_create_form(create),
        Body::Grant(grant) => {
            check_bound(Part::Purpose, grant.sealed_purpose.as_ref().map_or(0, Vec::len), MAX_PURPOSE_BYTES)
        }
        Body::Repair(repair) => {
            check_bound(Part::Wraps, repair.wraps.count as usize, limits::MAX_LIST)?;
            check_list(Part::Targets, &repair.targets, limits::MAX_LIST, |target| *target)?;
            check_count(repair.wraps.count, repair.targets.len())
        }
        Body::Rotate(rotate) => {
            check_bound(Part::Targets, rotate.epoch.targets.len(), MAX_MEMBERS)?;
            check_list(Part::Carried, &rotate.carries, limits::MAX_CARRIED, |epoch| *epoch)?;
            check_bound(Part::Wraps, rotate.epoch.wraps.count as usize, limits::MAX_LIST)?;
            // One more holds the key before it, and one each the keys that were passed over.
            let held = rotate.carries.len().saturating_add(usize::from(rotate.epoch.previous.is_some()));
            check_count(rotate.epoch.wraps.count, count_wrapped(&rotate.epoch).saturating_add(held))
        }
        Body::Revoke(revoke) => check_frontier(&revoke.frontier),
        Body::RemoveDevice(remove) => check_frontier(&remove.frontier),
        Body::Expire(expire) => check_frontier(&expire.frontier),
        Body::Assign(assign) => check_assign_form(assign),
        Body::Adopt(adopt) => {
            check_list(Part::Chunks, &adopt.chunks, limits::MAX_NAMED, |chunk| *chunk)?;
            check_list(Part::Documents, &adopt.documents, limits::MAX_LIST, |adopted| adopted.document)?;
            let holders = |adopted: &AdoptedDocument| {
                check_list(Part::Members, &adopted.holders, MAX_MEMBERS, |member| member.subject)?;
                check_list(Part::Chunks, &adopted.chunks, limits::MAX_NAMED, |chunk| *chunk)
            };
            adopt.documents.iter().try_for_each(holders)
        }
        Body::Discard(discard) => {
            check_list(Part::Chunks, &discard.chunks, limits::MAX_NAMED, |chunk| *chunk)?;
            check_list(Part::Documents, &discard.documents, limits::MAX_NAMED, |document| *document)?;
            check_bound(Part::Reason, discard.sealed_reason.len(), limits::MAX_SEALED_TEXT_BYTES)
        }
        Body::Beacon(beacon) => check_list(Part::Heads, &beacon.heads, limits::MAX_LIST, |cite| cite.chain),
        Body::AddDevice(_)
        | Body::Invite(_)
        | Body::Accept(_)
        | Body::CancelInvite(_)
        | Body::BadRotate(_)
        | Body::SetRetention(_)
        | Body::Erase => Ok(()),
    }
}

fn check_assign_form(assign: &Assign) -> Result<(), OpRefusal> {
    check_list(Part::Members, &assign.gives, MAX_MEMBERS, |member| member.subject)?;
    check_list(Part::Members, &assign.takes, limits::MAX_LIST, |subject| *subject)?;
    check_list(Part::Sections, &assign.sections, limits::MAX_LIST, |fate| fate.section)?;
    if let Some(parents) = &assign.parents {
        check_list(Part::Parents, parents, limits::MAX_LIST, |parent| parent.chain)?;
        if parents.is_empty() {
            return Err(OpRefusal::Shape { kind: ChainKind::Document, part: Part::Parents });
        }
    }
    check_frontier(&assign.frontier)
}

const fn check_frontier(frontier: &Frontier) -> Result<(), OpRefusal> {
    check_bound(Part::Leaves, frontier.count as usize, limits::MAX_FRONTIER_LEAVES)
}

fn check_count(expected: u32, found: usize) -> Result<(), OpRefusal> {
    if expected as usize == found { Ok(()) } else { Err(OpRefusal::WrapCount { expected, found }) }
}

fn count_wrapped(epoch: &Epoch) -> usize {
    epoch.targets.iter().flatten().count()
}

fn check_create_form(create: &Create) -> Result<(), OpRefusal> {
    check_list(Part::Parents, &create.parents, limits::MAX_LIST, |parent| parent.chain)?;
    check_list(Part::Members, &create.members, MAX_MEMBERS, |member| member.subject)?;
    check_bound(Part::Wraps, create.epoch.wraps.count as usize, limits::MAX_LIST)?;
    check_count(create.epoch.wraps.count, count_wrapped(&create.epoch))?;
    let fits = |holds: bool, part| if holds { Ok(()) } else { Err(OpRefusal::Shape { kind: create.kind, part }) };
    let is_user = create.kind == ChainKind::User;
    let is_document = create.kind == ChainKind::Document;
    fits(create.document.is_some() == is_document, Part::DocumentKind)?;
    fits(create.wrapping_key.is_some() == is_user, Part::WrappingKey)?;
    fits(create.epoch.public_key.is_some() != is_document, Part::EpochKey)?;
    fits(create.epoch.previous.is_none(), Part::PreviousKey)?;
    let recipients = if is_user { 1 } else { create.members.len() };
    fits(create.epoch.targets.len() == recipients, Part::Targets)?;
    let members_fit = match create.kind {
        ChainKind::User => create.members.is_empty(),
        ChainKind::Agency => create.members.iter().any(|member| member.role == Role::Manager),
        ChainKind::Team | ChainKind::Document => true,
    };
    fits(members_fit, Part::Members)?;
    let parents_fit = match create.kind {
        ChainKind::User | ChainKind::Agency => create.parents.is_empty(),
        ChainKind::Team => matches!(create.parents.as_slice(), [one] if one.authority == ParentAuthority::Full),
        ChainKind::Document => !create.parents.is_empty(),
    };
    fits(parents_fit, Part::Parents)
}

fn check_list<T, K: Ord>(part: Part, list: &[T], max: usize, key: impl Fn(&T) -> K) -> Result<(), OpRefusal> {
    check_bound(part, list.len(), max)?;
    if list.is_sorted_by(|a, b| key(a) < key(b)) { Ok(()) } else { Err(OpRefusal::NotSorted { part }) }
}

const fn check_bound(part: Part, found: usize, max: usize) -> Result<(), OpRefusal> {
    if found > max { Err(OpRefusal::TooLong { part, found, max }) } else { Ok(()) }
}
