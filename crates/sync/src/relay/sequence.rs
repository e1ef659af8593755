//! Whether a chunk follows what it says it follows: its place in its sequence, and what it builds on.

use std::collections::BTreeSet;

use vereda_base::{ChainId, Incarnation, Link, limits};
use vereda_policy::Place;
use vereda_protocol::{Header, OfferedLeaf, RefusalCode};

use super::store::{RelayStore, ReviewStanding, StoreError};

/// Where a chunk is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Among what stands: it builds on nothing else.
    Log,
    /// Into review: it may build on what awaits a decision there.
    Review,
}

/// Checks that a chunk is contiguous per device, incarnation and document, that what it builds on is there, and
/// that its device may begin one more incarnation where it begins one. Reads only.
pub(super) fn check_place(
    store: &dyn RelayStore,
    header: &Header,
    lane: Lane,
) -> Result<Result<(), RefusalCode>, StoreError> {
    let stands = store.version(&header.device, header.incarnation, &header.document)?;
    let reviewed = store.reviewed_version(&header.device, header.incarnation, &header.document)?;
    let reviewed = reviewed.filter(|reviewed| stands.is_none_or(|(seq, _)| seq < reviewed.seq));
    if lane == Lane::Log && reviewed.is_some() {
        return Ok(Err(RefusalCode::DependsOnUnadopted));
    }
    let newest = reviewed.map(|reviewed| (reviewed.seq, reviewed.link)).or(stands);
    let continued = match check_sequence(newest, header) {
        Ok(continued) => continued,
        Err(code) => return Ok(Err(code)),
    };
    if reviewed.is_some_and(|reviewed| reviewed.standing == ReviewStanding::Discarded) {
        return Ok(Err(RefusalCode::DependsOnUnadopted));
    }
    let continued = continued.iter().map(|link| (link, RefusalCode::NotContiguous));
    for (link, missing) in continued.chain(header.deps.iter().map(|dep| (dep, RefusalCode::MissingDeps))) {
        if let Err(code) = check_link(store, &header.document, link, lane, missing)? {
            return Ok(Err(code));
        }
    }
    check_incarnations(store, header)
}

/// Checks that a device may begin one more incarnation in a document: what awaits a decision counts, as it may be taken in.
fn check_incarnations(store: &dyn RelayStore, header: &Header) -> Result<Result<(), RefusalCode>, StoreError> {
    if header.seq > 0 {
        return Ok(Ok(()));
    }
    let (device, document) = (header.device, header.document);
    let incarnation = |leaf: OfferedLeaf| match leaf.place {
        Place::Content { incarnation, .. } => Some(incarnation),
        Place::Ops { .. } => None,
    };
    let mut begun: BTreeSet<Incarnation> =
        store.places(&device, Some(&document))?.into_iter().filter_map(incarnation).collect();
    let awaits = store.in_review(&document)?.into_iter().filter(|reviewed| reviewed.device == device);
    begun.extend(awaits.map(|reviewed| reviewed.incarnation));
    let is_new = !begun.contains(&header.incarnation);
    Ok(if is_new && begun.len() >= limits::MAX_INCARNATIONS { Err(RefusalCode::TooManyIncarnations) } else { Ok(()) })
}

/// Checks that a chunk follows the newest of its sequence. At the beginning of one, gives the link that it continues: what
/// an earlier incarnation left.
fn check_sequence(newest: Option<(u64, Link)>, header: &Header) -> Result<Option<Link>, RefusalCode> {
    let due = newest.map_or(0, |(seq, _)| seq.saturating_add(1));
    if header.seq < due {
        return Err(RefusalCode::Fork);
    }
    if header.seq > due {
        return Err(RefusalCode::NotContiguous);
    }
    match (newest, header.prev) {
        (Some((_, newest)), Some(prev)) if prev == newest => Ok(None),
        (Some(_), Some(_)) => Err(RefusalCode::Fork),
        (Some(_), None) => Err(RefusalCode::NotContiguous),
        (None, prev) => Ok(prev),
    }
}

/// Says whether a chunk is there to build on; where nothing is known of it, the refusal is `missing`.
fn check_link(
    store: &dyn RelayStore,
    document: &ChainId,
    link: &Link,
    lane: Lane,
    missing: RefusalCode,
) -> Result<Result<(), RefusalCode>, StoreError> {
    if store.chunk_at(document, link)?.is_some() {
        return Ok(Ok(()));
    }
    let reviewed = store.reviewed(link)?.filter(|reviewed| reviewed.document == *document);
    Ok(match reviewed.map(|reviewed| reviewed.standing) {
        Some(ReviewStanding::Awaits) if lane == Lane::Review => Ok(()),
        Some(_) => Err(RefusalCode::DependsOnUnadopted),
        None => Err(missing),
    })
}
