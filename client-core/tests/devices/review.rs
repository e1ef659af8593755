//! Work that came after its author's rights had ended: read, taken in, turned away.

use serde_json::json;
use vereda_base::ChainId;
use vereda_client_core::{
    access::{LowerRequest, ReferRequest, RevokeRequest, WithdrawRequest},
    devices::RemoveDeviceError,
    review::{AdoptError, DiscardError, DiscardRequest, OwnReviewState, ReviewView, ReviewedKind},
    sections::{CreateSection, Noted},
};
use vereda_policy::Role;

use super::world::{World, edit};

struct Removed {
    world: World,
    amina: usize,
    berta: usize,
    dora: usize,
    case: ChainId,
    begun: ChainId,
}

/// Amina founded the agency and began a case of its team; Berta is an Editor in that.
struct Pair {
    world: World,
    amina: usize,
    berta: usize,
    north: ChainId,
    case: ChainId,
}

fn pair(seed: u64) -> Pair {
    let mut world = World::new(seed);
    let (amina, north) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let berta = world.join(amina, north, Role::Editor, "Berta");
    world.settle();
    Pair { world, amina, berta, north, case }
}

/// Berta wrote offline in the case and was lowered to Reader meanwhile: it is in review.
fn lowered(seed: u64) -> Pair {
    let Pair { mut world, amina, berta, north, case } = pair(seed);
    let (subject, _) = world.devices[berta].home().unwrap();
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"name_last": "Haddad"}}));
    let lower = LowerRequest { chain: north, subject, to: Role::Reader };
    world.on(amina, |device, ambient| device.lower(ambient, lower)).unwrap();
    world.settle();
    world.connect(berta);
    Pair { world, amina, berta, north, case }
}

/// Lets somebody write in a case, beside his team.
fn refer(world: &mut World, by: usize, document: ChainId, to: ChainId) {
    let (expires, purpose, consent, sections) = (None, None, None, Vec::new());
    let request = ReferRequest { document, to, role: Role::Editor, expires, purpose, consent, sections };
    world.on(by, |device, ambient| device.refer(ambient, &request)).unwrap();
}

/// Lets happen what devices leave to others for a while.
fn rest(world: &mut World) {
    for _ in 0..4 {
        world.pass(std::time::Duration::from_secs(30));
        world.settle();
    }
}

/// Berta wrote offline, in a case of the team and in a new one, and was removed from the team meanwhile.
fn removed(seed: u64) -> Removed {
    let Pair { mut world, amina, berta, north, case } = pair(seed);
    let dora = world.join(amina, north, Role::Editor, "Dora");
    world.settle();
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira", "name_last": "Haddad"}}));
    let begun = world.create_case(berta, json!({"name_first": "Layla"}));
    let (subject, _) = world.devices[berta].home().unwrap();
    let request = RevokeRequest { chain: north, subject, successor: None };
    world.on(amina, |device, ambient| device.revoke(ambient, request)).unwrap();
    world.settle();
    world.connect(berta);
    world.settle();
    Removed { world, amina, berta, dora, case, begun }
}

fn reviews(world: &mut World, device: usize) -> Vec<ReviewView> {
    world.devices[device].reviews().unwrap()
}

#[test]
fn what_a_removed_colleague_wrote_offline_is_shown_with_what_it_would_change() {
    let Removed { mut world, amina, dora, case, begun, .. } = removed(90);
    assert_eq!(world.field(amina, &case, "name_first"), json!("Samir"), "nothing of it stands");
    let found = reviews(&mut world, amina);
    let edited = found.iter().find(|review| review.document == case).unwrap();
    assert_eq!((edited.kind, edited.is_new, edited.title.as_deref()), (ReviewedKind::Case, false, Some("Samir")));
    let [work] = edited.works.as_slice() else { panic!("{:?}", edited.works) };
    assert_eq!((work.author.name.as_deref(), work.unreadable.as_deref()), (Some("Berta"), None));
    assert!(work.made.is_some() && work.received.0 > 0);
    let mut changes: Vec<_> =
        work.changes.iter().map(|change| (change.place.as_str(), &change.from, &change.to)).collect();
    changes.sort_by_key(|(place, _, _)| *place);
    let (samir, samira, haddad, nothing) = (json!("Samir"), json!("Samira"), json!("Haddad"), json!(null));
    assert_eq!(changes, [("name_first", &samir, &samira), ("name_last", &nothing, &haddad)]);
    let new = found.iter().find(|review| review.document == begun).unwrap();
    assert_eq!((new.is_new, new.title.as_deref()), (true, Some("Layla")));
    assert_eq!(new.begun_by.as_ref().unwrap().name.as_deref(), Some("Berta"));
    assert_eq!(new.owner.as_ref().unwrap().name.as_deref(), Some("North"));
    assert!(reviews(&mut world, dora).is_empty(), "an Editor decides on nothing");
}

#[test]
fn what_is_adopted_stands_for_everybody_under_its_authors_name() {
    let Removed { mut world, amina, berta, dora, case, .. } = removed(91);
    world.cut(amina);
    assert_eq!(world.devices[amina].status().unwrap().to_decide, 2);
    world.on(amina, |device, ambient| device.adopt_review(ambient, &case)).unwrap();
    let shown = reviews(&mut world, amina);
    let decided: Vec<_> = shown.iter().map(|review| (review.document == case, review.decided)).collect();
    assert!(decided.contains(&(true, Some("adopt"))) && decided.contains(&(false, None)), "{decided:?}");
    assert_eq!(world.devices[amina].status().unwrap().to_decide, 1);
    let again = world.on(amina, |device, ambient| device.adopt_review(ambient, &case));
    assert!(matches!(again, Err(AdoptError::Pending { document }) if document == case), "{again:?}");
    let other = DiscardRequest { document: case, reason: "Twice".into() };
    let other = world.on(amina, |device, ambient| device.discard_review(ambient, &other));
    assert!(matches!(other, Err(DiscardError::Pending { document }) if document == case), "{other:?}");
    world.connect(amina);
    assert!(reviews(&mut world, amina).iter().all(|review| review.document != case));
    for device in [amina, dora] {
        assert_eq!(world.field(device, &case, "name_first"), json!("Samira"));
        let history = world.devices[device].case_history(&case, Some("name_first")).unwrap();
        assert_eq!(history.last().unwrap().author.name.as_deref(), Some("Berta"));
    }
    let own = world.devices[berta].own_reviews().unwrap();
    let states: Vec<_> = own.iter().filter(|view| view.document == case).map(|view| view.state).collect();
    assert_eq!(states, [OwnReviewState::Adopted], "{own:?}");
    let again = world.on(amina, |device, ambient| device.adopt_review(ambient, &case));
    assert!(again.is_err());
}

#[test]
fn a_whole_case_that_is_adopted_is_held_by_whom_it_was_begun_for() {
    let Removed { mut world, amina, berta, dora, begun, .. } = removed(93);
    let count = world.on(amina, |device, ambient| device.adopt_all_reviews(ambient)).unwrap();
    assert_eq!(count, 2);
    world.settle();
    assert!(reviews(&mut world, amina).is_empty());
    for device in [amina, dora] {
        let now = world.now.wall;
        let view = world.devices[device].who_has_access(&begun, now).unwrap();
        let holders: Vec<_> = view.entries.iter().filter_map(|entry| entry.subject.name.as_deref()).collect();
        assert_eq!(holders, ["North"], "device {device}");
    }
    let own = world.devices[berta].own_reviews().unwrap();
    assert!(own.iter().all(|view| view.state == OwnReviewState::Adopted), "{own:?}");
}

#[test]
fn a_section_for_nobody_but_its_beginner_who_was_put_out_keeps_nothing_else_from_being_adopted() {
    let Pair { mut world, amina, berta, north, case } = pair(97);
    world.cut(berta);
    let request = CreateSection {
        case,
        title: "Health".into(),
        members: Vec::new(),
        noted: Noted::Nothing,
        answers: edit(json!({"set": {"name_last": "Sami"}})),
    };
    let section = world.on(berta, |device, ambient| device.create_section(ambient, &request)).unwrap();
    let begun = world.create_case(berta, json!({"name_first": "Layla"}));
    let (subject, _) = world.devices[berta].home().unwrap();
    let revoke = RevokeRequest { chain: north, subject, successor: None };
    world.on(amina, |device, ambient| device.revoke(ambient, revoke)).unwrap();
    world.settle();
    world.connect(berta);
    world.settle();
    let count = world.on(amina, |device, ambient| device.adopt_all_reviews(ambient)).unwrap();
    assert_eq!(count, 1);
    world.settle();
    let left = reviews(&mut world, amina);
    assert_eq!(left.iter().map(|review| review.document).collect::<Vec<_>>(), [section]);
    assert!(left.iter().all(|review| review.works.iter().all(|work| work.unreadable.is_some())), "nothing of it opens");
    assert!(world.devices[amina].show_case(&begun).is_ok());
    let again = world.on(amina, |device, ambient| device.adopt_all_reviews(ambient));
    assert!(matches!(again, Err(AdoptError::NobodyLeft { document }) if document == section), "{again:?}");
    let own = world.devices[berta].own_reviews().unwrap();
    assert!(own.iter().any(|view| view.document == section && view.state == OwnReviewState::InReview), "{own:?}");
}

#[test]
fn what_is_turned_away_never_stands_and_its_author_is_told() {
    let Removed { mut world, amina, berta, dora, case, begun } = removed(92);
    let own = world.devices[berta].own_reviews().unwrap();
    assert!(!own.is_empty() && own.iter().all(|view| view.state == OwnReviewState::InReview), "{own:?}");
    let without = DiscardRequest { document: case, reason: " ".into() };
    let refused = world.on(amina, |device, ambient| device.discard_review(ambient, &without));
    assert!(matches!(refused, Err(DiscardError::NoReason)), "{refused:?}");
    for document in [case, begun] {
        let request = DiscardRequest { document, reason: "Recorded twice".into() };
        world.on(amina, |device, ambient| device.discard_review(ambient, &request)).unwrap();
    }
    world.settle();
    assert!(reviews(&mut world, amina).is_empty());
    for device in [amina, dora] {
        assert_eq!(world.field(device, &case, "name_first"), json!("Samir"));
        assert!(world.devices[device].show_case(&begun).is_err());
    }
    world.cut(berta);
    world.connect(berta);
    let own = world.devices[berta].own_reviews().unwrap();
    assert!(own.iter().all(|view| view.state == OwnReviewState::TurnedAway), "{own:?}");
    let status = world.devices[berta].status().unwrap();
    assert_eq!((status.in_review, status.adopted, status.turned_away), (0, 0, 2));
}

#[test]
fn who_was_put_out_is_told_by_whom_and_when_also_after_a_restart() {
    let Removed { mut world, amina, berta, dora, .. } = removed(94);
    for _ in 0..2 {
        let status = world.devices[berta].status().unwrap();
        let ended = status.ended.unwrap();
        assert_eq!((ended.what, ended.by.name.as_deref()), ("role", Some("Amina")));
        assert_eq!(ended.of.unwrap().name.as_deref(), Some("North"));
        assert!(ended.time.is_some());
        assert_eq!((status.membership, status.in_review, status.adopted), ("removed", 2, 0));
        assert_eq!((status.person.as_deref(), status.agency_name.as_deref()), (Some("Berta"), Some("Child Aid")));
        world.crash(berta);
        world.connect(berta);
    }
    let (dora_user, _) = world.devices[dora].home().unwrap();
    assert_eq!(world.devices[berta].name_of(&dora_user), None, "names of colleagues go with the directory");
    assert!(world.devices[amina].status().unwrap().ended.is_none());
}

#[test]
fn work_of_a_removed_device_is_marked_in_review() {
    let Pair { mut world, amina, berta, case, .. } = pair(95);
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"name_first": "Samira"}}));
    let (device, now) = (world.devices[berta].id(), world.now.wall);
    assert!(world.devices[amina].devices(now).unwrap().iter().all(|view| view.may_remove));
    world.on(amina, |own, ambient| own.remove_device(ambient, &device)).unwrap();
    world.settle();
    world.connect(berta);
    let found = reviews(&mut world, amina);
    assert!(found[0].works.iter().all(|work| work.is_device_removed), "{found:?}");
    assert_eq!(world.devices[berta].status().unwrap().ended.unwrap().what, "device");
}

#[test]
fn devices_of_who_left_are_not_offered_for_removal_and_it_is_said_why() {
    let Removed { mut world, amina, berta, .. } = removed(96);
    let (device, now) = (world.devices[berta].id(), world.now.wall);
    let listed = world.devices[amina].devices(now).unwrap();
    let of_berta = listed.iter().find(|view| view.device == device).unwrap();
    assert!(!of_berta.may_remove && !of_berta.is_removed);
    let refused = world.on(amina, |own, ambient| own.remove_device(ambient, &device));
    assert!(matches!(refused, Err(RemoveDeviceError::Left)), "{refused:?}");
}

#[test]
fn an_edit_built_on_a_discarded_one_by_who_was_lowered_since_goes_to_review_and_nothing_is_tried_endlessly() {
    let Pair { mut world, amina, berta, case, .. } = lowered(97);
    let (subject, _) = world.devices[berta].home().unwrap();
    assert_eq!(reviews(&mut world, amina).len(), 1);
    // Let in again for this case, she writes on top of it; that is turned away meanwhile and she is lowered again.
    refer(&mut world, amina, case, subject);
    world.settle();
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"address": "Here"}}));
    let discard = DiscardRequest { document: case, reason: "Recorded twice".into() };
    world.on(amina, |device, ambient| device.discard_review(ambient, &discard)).unwrap();
    let withdraw = WithdrawRequest { document: case, from: subject };
    world.on(amina, |device, ambient| device.withdraw(ambient, withdraw)).unwrap();
    world.settle();
    world.connect(berta);
    world.pass(std::time::Duration::from_secs(60));
    world.settle();
    assert!(world.devices[berta].is_settled(), "{:?}", world.devices[berta].explain(&case));
    let found = reviews(&mut world, amina);
    let [review] = found.as_slice() else { panic!("{found:?} {:?}", world.devices[berta].own_reviews()) };
    let places = review.works.iter().flat_map(|work| &work.changes).map(|change| change.place.as_str());
    assert_eq!(places.collect::<Vec<_>>(), ["address"]);
}

#[test]
fn an_edit_built_on_work_in_review_is_made_again_on_what_stands_under_its_authors_name_and_time() {
    let Pair { mut world, amina, berta, case, .. } = lowered(98);
    let (subject, _) = world.devices[berta].home().unwrap();
    let incarnation = world.devices[berta].store().incarnation;
    // Let in again for this case, she goes on where she was, on top of what is in review.
    refer(&mut world, amina, case, subject);
    world.settle();
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"address": "Here"}}));
    let written = world.now.wall;
    world.pass(std::time::Duration::from_secs(600));
    world.connect(berta);
    rest(&mut world);
    for device in [amina, berta] {
        assert_eq!(world.field(device, &case, "address"), json!("Here"), "device {device}");
        assert_eq!(world.field(device, &case, "name_last"), json!(null), "device {device}: it is in review");
        let history = world.devices[device].case_history(&case, Some("address")).unwrap();
        let last = history.last().unwrap();
        assert_eq!(last.author.name.as_deref(), Some("Berta"));
        assert_eq!(last.time.0 / 1_000, written.0 / 1_000, "when it was written, not when it was made again");
    }
    assert_ne!(world.devices[berta].store().incarnation, incarnation, "with another voice");
    assert!(world.devices[berta].is_settled(), "{:?}", world.devices[berta].explain(&case));
    // What was in review is taken in as it was.
    world.on(amina, |device, ambient| device.adopt_review(ambient, &case)).unwrap();
    rest(&mut world);
    for device in [amina, berta] {
        assert_eq!(world.field(device, &case, "name_last"), json!("Haddad"), "device {device}");
        assert_eq!(world.field(device, &case, "address"), json!("Here"), "device {device}");
    }
    let digests = world.digests();
    assert_eq!(digests[amina], digests[berta]);
}

#[test]
fn whoever_writes_on_after_her_work_was_turned_away_does_so_with_another_voice_and_loses_nothing() {
    let Pair { mut world, amina, berta, case, .. } = lowered(99);
    let (subject, _) = world.devices[berta].home().unwrap();
    let discard = DiscardRequest { document: case, reason: "Recorded twice".into() };
    world.on(amina, |device, ambient| device.discard_review(ambient, &discard)).unwrap();
    world.settle();
    // She hears that it was turned away, is let in again for this case, and writes on, on top of what stands.
    refer(&mut world, amina, case, subject);
    rest(&mut world);
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"address": "Here"}}));
    world.connect(berta);
    rest(&mut world);
    for device in [amina, berta] {
        assert_eq!(world.field(device, &case, "address"), json!("Here"), "device {device}");
        assert_eq!(world.field(device, &case, "name_last"), json!(null), "device {device}: it was turned away");
    }
    assert!(world.devices[berta].is_settled(), "{:?}", world.devices[berta].explain(&case));
}
