//! Every acknowledged edit is in the history, as it was acknowledged; or somebody turned it away, or nobody is left who
//! could decide on it. With convergence: in every replica.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, Incarnation, Link};
use vereda_protocol::Header;

use super::{Rebuilt, naming::Said, rows, secrecy::bears};
use crate::{
    breach::Checker,
    disk::EDITS,
    intent::Expected,
    model::{Acknowledged, change_hash},
    world::World,
};

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stands, or its work was made again.
    Stands,
    /// A Manager turned it away, or erased the case.
    Discarded,
    /// It awaits a decision that nobody left can make.
    Undecidable,
    /// None of these.
    Lost,
}

/// Looks each acknowledged edit up by its change.
pub(crate) fn check(world: &mut World, rebuilt: &BTreeMap<ChainId, Rebuilt>) {
    let discarded = discarded(world);
    let mut lost = Vec::new();
    let (mut turned_away, mut undecidable) = (0, 0);
    for edit in &world.model.acknowledged {
        let place = edit.expected.place();
        let (who, case) = (edit.who, edit.case);
        let written = rebuilt.get(&case).zip(edit.change).and_then(|(rebuilt, change)| rebuilt.written.get(&change));
        match written {
            Some(written) if edit.expected.is_found_in(written) => {}
            Some(_) => lost.push(format!("the edit of {place} by person {who} in case {case} is there otherwise")),
            None => match fate(world, rebuilt.get(&case), edit, &discarded) {
                Fate::Stands => {}
                Fate::Discarded => turned_away += 1,
                Fate::Undecidable => undecidable += 1,
                Fate::Lost => lost.push(format!("the edit of {place} by person {who} in case {case} is lost")),
            },
        }
    }
    world.counts.turned_away += turned_away;
    world.counts.undecidable += undecidable;
    for what in lost.into_iter().take(4) {
        world.breach(Checker::Acknowledged, what);
    }
}

/// Where the relay lied, an edit may also be on its author's device alone, if that shows it as not done or accuses the
/// relay.
pub(crate) fn check_where_the_relay_lied(world: &mut World, rebuilt: &BTreeMap<ChainId, Rebuilt>) {
    let discarded = discarded(world);
    let mut missing = Vec::new();
    for edit in &world.model.acknowledged {
        let written = rebuilt.get(&edit.case).zip(edit.change);
        let written = written.and_then(|(rebuilt, change)| rebuilt.written.get(&change));
        let is_there = written.is_some_and(|written| edit.expected.is_found_in(written));
        if world.is_honest(edit.who)
            && !is_there
            && fate(world, rebuilt.get(&edit.case), edit, &discarded) == Fate::Lost
        {
            missing.push(edit.clone());
        }
    }
    let mut lost = Vec::new();
    for edit in missing {
        let (who, case) = (edit.who, edit.case);
        let how = match kept(world, &edit) {
            Kept::Nowhere => Some("is lost"),
            Kept::AwaitsRemaking if says_synced(world, who, &case) => Some("was to be made again, and nobody says so"),
            Kept::AwaitsRemaking => None,
            Kept::OnDisk => {
                let tells = Said::by(world, who).is_none_or(|said| said.tells(world, who, &case));
                (!tells).then_some("is on its author's device alone, which says nothing")
            }
        };
        let place = edit.expected.place();
        lost.extend(how.map(|how| format!("the edit of {place} by person {who} in case {case} {how}")));
    }
    for what in lost.into_iter().take(4) {
        world.breach(Checker::Acknowledged, what);
    }
}

fn says_synced(world: &mut World, who: usize, case: &ChainId) -> bool {
    let told = world.call(who, |device, _| device.explain(case).ok()).flatten();
    told.is_some_and(|told| told.state == "synced")
}

/// Where an edit is on its author's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// Not at all, or in a chunk alone whose edits are said to have been made again.
    Nowhere,
    /// In a chunk that does not stand, whose edits are to be made again.
    AwaitsRemaking,
    /// Among the edits that were not sealed yet, or in a chunk; as it was made first or made again.
    OnDisk,
}

fn kept(world: &World, edit: &Acknowledged) -> Kept {
    let first = edit.change.map_or(Kept::Nowhere, |change| kept_change(world, edit, edit.incarnation, change));
    if first == Kept::OnDisk {
        return first;
    }
    let later = world.model.made_later(edit.who, edit.incarnation, &edit.case);
    let all = later.iter().map(|(one, change)| kept_change(world, edit, *one, *change)).min();
    let may_hold = later.iter().any(|(_, change)| may_hold(world, edit, change)) || is_overwritten(world, edit);
    first.max(all.filter(|_| may_hold).unwrap_or(Kept::Nowhere))
}

/// Says where a change is on its author's disk.
fn kept_change(world: &World, edit: &Acknowledged, incarnation: Incarnation, change: [u8; 32]) -> Kept {
    let (who, case) = (edit.who, edit.case);
    let Some(changes) = world.model.durable.get(&(who, incarnation, case)) else { return Kept::Nowhere };
    let Some(at) = changes.iter().position(|known| *known == change) else { return Kept::Nowhere };
    let Some(person) = world.people.get(who) else { return Kept::Nowhere };
    let (Some(device), Some(id)) = (person.device.as_ref(), person.id) else { return Kept::Nowhere };
    let seq = at as u64 + 1;
    let holds = |header: &&Header| {
        (header.device, header.incarnation) == (id, incarnation)
            && (header.first_change..header.first_change + u64::from(header.change_count)).contains(&seq)
    };
    if rows::list(device.store(), EDITS, Some(case.as_bytes())).iter().any(|(_, row)| change_hash(row) == change) {
        return Kept::OnDisk;
    }
    let excluded = rows::excluded(device.store(), &case);
    let of_chunk = |header: &Header| match excluded.get(&header.link()) {
        Some(row) if row.is_remade() => Kept::Nowhere,
        Some(row) if row.awaits_remaking() => Kept::AwaitsRemaking,
        _ => Kept::OnDisk,
    };
    rows::headers(device.store(), &case).iter().filter(holds).map(of_chunk).max().unwrap_or(Kept::Nowhere)
}

/// Says whether a later change may hold what an edit wrote: it does not, where that is a text that it does not bear.
fn may_hold(world: &World, edit: &Acknowledged, change: &[u8; 32]) -> bool {
    let raw = world.model.raw.get(change).map(Vec::as_slice).unwrap_or_default();
    edit.expected.own_text().is_none_or(|text| bears(raw, text))
}

/// Collects the chunks that were turned away, with all that builds on them.
fn discarded(world: &World) -> BTreeSet<Link> {
    let mut discarded = world.model.ledger.discarded.clone();
    loop {
        let before = discarded.len();
        for (link, logged) in &world.model.reviewed {
            let header = &logged.header;
            if header.deps.iter().chain(&header.prev).any(|on| discarded.contains(on)) {
                discarded.insert(*link);
            }
        }
        if discarded.len() == before {
            return discarded;
        }
    }
}

fn fate(world: &World, rebuilt: Option<&Rebuilt>, edit: &Acknowledged, discarded: &BTreeSet<Link>) -> Fate {
    let (model, case) = (&world.model, edit.case);
    if model.ledger.discarded_documents.contains(&case) || model.is_erased(&case) {
        return Fate::Discarded;
    }
    if model.awaits_or_missed(&case) {
        return if world.can_decide(&case) { Fate::Lost } else { Fate::Undecidable };
    }
    let of_author = |incarnation: Incarnation, change: Option<[u8; 32]>| {
        fate_of_change(world, edit.who, incarnation, case, change, discarded)
    };
    if let Some(found) = of_author(edit.incarnation, edit.change) {
        return found;
    }
    // It may have been made again under a later incarnation.
    let later = model.made_later(edit.who, edit.incarnation, &case);
    if later.is_empty() {
        return Fate::Lost;
    }
    let stands = |rebuilt: &Rebuilt| rebuilt.written.values().any(|written| edit.expected.is_found_in(written));
    if rebuilt.is_some_and(stands) || is_overwritten(world, edit) {
        return Fate::Stands;
    }
    let mut holding = later.iter().filter(|(_, change)| may_hold(world, edit, change));
    holding.find_map(|(one, change)| of_author(*one, Some(*change))).unwrap_or(Fate::Lost)
}

/// Says whether the same person wrote to the place again before work there was last made again, which shows what it came to.
fn is_overwritten(world: &World, edit: &Acknowledged) -> bool {
    let place = edit.expected.place();
    let touches = |other: &Acknowledged| {
        let there = other.expected.place();
        there == place || there.starts_with(place) || place.starts_with(there) || is_entry_removed(other, edit)
    };
    let last = world.model.incarnations.get(&(edit.who, edit.case)).and_then(|all| all.last());
    let same = |other: &&Acknowledged| (other.who, other.case) == (edit.who, edit.case);
    let own: Vec<&Acknowledged> = world.model.acknowledged.iter().filter(same).collect();
    let at = own.iter().position(|other| other.change == edit.change && other.expected == edit.expected);
    own.iter().skip(at.map_or(0, |at| at + 1)).any(|other| Some(&other.incarnation) != last && touches(other))
}

fn is_entry_removed(other: &Acknowledged, edit: &Acknowledged) -> bool {
    matches!((&other.expected, &edit.expected), (Expected::Removed { place }, Expected::Added { place: of, .. }) if place.starts_with(of.as_str()))
}

/// What became of a change by the chunk that holds it; `None` where none does that is decided on, or can be.
fn fate_of_change(
    world: &World,
    who: usize,
    incarnation: Incarnation,
    case: ChainId,
    change: Option<[u8; 32]>,
    discarded: &BTreeSet<Link>,
) -> Option<Fate> {
    let changes = world.model.durable.get(&(who, incarnation, case))?;
    let seq = changes.iter().position(|known| Some(*known) == change)? as u64 + 1;
    let device = world.people.get(who)?.id?;
    let holds = |header: &&Header| {
        (header.device, header.incarnation, header.document) == (device, incarnation, case)
            && (header.first_change..header.first_change + u64::from(header.change_count)).contains(&seq)
    };
    let own = own_headers(world, who, &case);
    let reviewed = world.model.reviewed.values().map(|logged| &logged.header);
    let links: BTreeSet<Link> = reviewed.chain(&own).filter(holds).map(Header::link).collect();
    if links.iter().any(|link| discarded.contains(link)) {
        return Some(Fate::Discarded);
    }
    let was_adopted = |link: &Link| world.model.links.contains(link) || world.model.ledger.adopted.contains(link);
    let awaits = links.iter().any(|link| world.model.reviewed.contains_key(link) && !was_adopted(link));
    (awaits && !world.can_decide(&case)).then_some(Fate::Undecidable)
}

/// Headers of the chunks of a case that its author's disk holds, whatever became of them.
fn own_headers(world: &World, who: usize, case: &ChainId) -> Vec<Header> {
    let Some(device) = world.people.get(who).and_then(|person| person.device.as_ref()) else { return Vec::new() };
    rows::headers(device.store(), case)
}
