//! When an epoch is stale, whom a new one goes to, and what is to be rotated first.

use vereda_base::{ChainId, Digest, Timestamp};
use vereda_policy::{
    AddDevice, AppendContext, BadRotate, Body, BodyCode, ChainKind, Create, DeviceKind, Epoch, EpochFault, Expire,
    Grant, Moment, OpRefusal, Part, Repair, Role, Rotate, Target, WrapList, authorize, epoch_targets, expired_members,
    is_key_held, is_stale, leads_back, rotations_due, targets_of,
};

use crate::world::{
    Person, START, World, begin, frontier, grant, group_epoch, key, member, no_wraps, remove, revoke, wrapping_key,
};

fn stale(world: &World, chains: &[ChainId]) -> Vec<bool> {
    chains.iter().map(|chain| is_stale(&world.chains, chain, None)).collect()
}

fn due(world: &World, person: &Person, chain: ChainId) -> Vec<ChainId> {
    rotations_due(&world.chains, &person.device(), &chain, None)
}

fn rotate(world: &mut World, person: &Person, chain: ChainId) {
    let body = world.rotation(&chain);
    world.append(&person.key, &chain, body).unwrap();
}

/// Somebody comes and goes.
fn lose(world: &mut World, chain: ChainId) {
    let (amina, dina) = (world.amina.clone(), world.dina.clone());
    world.append(&amina.key, &chain, grant(dina.user, Role::Reader)).unwrap();
    world.append(&amina.key, &chain, revoke(dina.user, None)).unwrap();
}

#[test]
fn whatever_a_lost_device_may_read_is_stale_and_rotated_from_the_top_down() {
    let mut world = World::found();
    let (chipo, bashir, team, case) = (world.chipo.clone(), world.bashir.clone(), world.first_team, world.case);
    let chains = [chipo.user, team, case, world.agency, world.second_team];
    assert_eq!(stale(&world, &chains), [false; 5]);
    let second = key(40);
    let add = AddDevice::with_key(chipo.user, &second, wrapping_key(), DeviceKind::Full);
    world.append(&chipo.key, &chipo.user, Body::AddDevice(add)).unwrap();
    assert_eq!(stale(&world, &chains), [false; 5], "whoever comes takes nothing away");
    world.append(&second, &chipo.user, remove(chipo.device())).unwrap();
    assert_eq!(stale(&world, &chains), [true, true, true, false, false]);
    let lost = Person { key: second, user: chipo.user };
    assert_eq!(due(&world, &lost, case), [chipo.user, team, case]);
    // Another rotates what he is a member of, and is not held up by the rest.
    assert_eq!(due(&world, &bashir, case), [team, case]);
    assert_eq!(due(&world, &world.dina.clone(), world.second_team), []);

    rotate(&mut world, &bashir, team);
    let order = world.state(&team).recipients();
    let targets = epoch_targets(&world.chains, &team, None);
    for (recipient, target) in order.iter().zip(&targets) {
        assert_eq!(*target, (recipient.0 == bashir.user.0).then_some(0), "a stale member gets nothing");
    }
    assert_eq!(stale(&world, &[team, case]), [false, true]);
    rotate(&mut world, &bashir, case);
    assert_eq!(stale(&world, &[chipo.user, team, case]), [true, false, false]);
    // The member who was passed over still has to rotate before he is given the key.
    assert_eq!(due(&world, &lost, case), [chipo.user]);
    let repair = world.repair(&team, &chipo.user);
    let refused = Err(OpRefusal::Targets { chain: team });
    assert_eq!(world.offer(&bashir.key, &team, repair, &[bashir.user]), refused);
    rotate(&mut world, &lost, chipo.user);
    assert_eq!(stale(&world, &[chipo.user, team, case]), [false; 3]);
    let repair = world.repair(&team, &chipo.user);
    world.append(&bashir.key, &team, repair).unwrap();
    assert_eq!(stale(&world, &[chipo.user, team, case]), [false; 3]);
}

#[test]
fn what_a_lost_device_made_the_key_of_is_stale_though_no_wrap_ever_reached_it() {
    let mut world = World::found();
    let (amina, dina, team, case) = (world.amina.clone(), world.dina.clone(), world.first_team, world.case);
    // She is let in, and nobody wrapped the team's key to her; she needs none of it to begin an epoch of its case.
    world.append(&amina.key, &team, grant(dina.user, Role::Editor)).unwrap();
    lose(&mut world, case);
    rotate(&mut world, &dina, case);
    assert_eq!(stale(&world, &[team, case]), [false; 2]);
    let second = key(41);
    let add = AddDevice::with_key(dina.user, &second, wrapping_key(), DeviceKind::Full);
    world.append(&dina.key, &dina.user, Body::AddDevice(add)).unwrap();
    world.append(&second, &dina.user, remove(dina.device())).unwrap();
    rotate(&mut world, &Person { key: second, user: dina.user }, dina.user);
    assert_eq!(stale(&world, &[dina.user, team, case]), [false, false, true]);
    let bashir = world.bashir.clone();
    rotate(&mut world, &bashir, case);
    assert_eq!(stale(&world, &[team, case]), [false; 2]);
}

#[test]
fn a_member_who_rotated_after_a_key_was_wrapped_to_him_makes_it_stale_for_good() {
    let mut world = World::found();
    let (chipo, bashir, team) = (world.chipo.clone(), world.bashir.clone(), world.first_team);
    let second = key(40);
    let add = AddDevice::with_key(chipo.user, &second, wrapping_key(), DeviceKind::Full);
    world.append(&chipo.key, &chipo.user, Body::AddDevice(add)).unwrap();
    world.append(&chipo.key, &chipo.user, remove(second.device_id())).unwrap();
    rotate(&mut world, &chipo, chipo.user);
    assert_eq!(stale(&world, &[team]), [true]);
    let repair = world.repair(&team, &chipo.user);
    world.append(&bashir.key, &team, repair).unwrap();
    assert_eq!(stale(&world, &[team]), [true], "whoever held the old one may still hold this");
    rotate(&mut world, &bashir, team);
    assert_eq!(stale(&world, &[team]), [false]);
}

#[test]
fn whoever_left_leaves_a_stale_chain_even_if_he_came_back() {
    let mut world = World::found();
    let (chipo, bashir, team, case) = (world.chipo.clone(), world.bashir.clone(), world.first_team, world.case);
    world.append(&bashir.key, &team, revoke(chipo.user, Some(Role::Reader))).unwrap();
    assert_eq!(stale(&world, &[team, case]), [false; 2], "he reads as before");
    world.append(&bashir.key, &team, revoke(chipo.user, None)).unwrap();
    assert_eq!(stale(&world, &[team, case]), [true; 2]);
    world.append(&bashir.key, &team, grant(chipo.user, Role::Reader)).unwrap();
    assert_eq!(stale(&world, &[team, case]), [true; 2], "he destroyed the key that he had");
    rotate(&mut world, &bashir, team);
    rotate(&mut world, &bashir, case);
    assert_eq!(stale(&world, &[team, case]), [false; 2]);
    assert_eq!(world.state(&team).newest_epoch().unwrap().newest_target(&Digest(chipo.user.0)), Some(0));
    world.append(&bashir.key, &team, revoke(chipo.user, None)).unwrap();
    rotate(&mut world, &bashir, team);
    rotate(&mut world, &bashir, case);
    assert_eq!(stale(&world, &[team, case]), [false; 2]);
    let left = |target: &vereda_policy::Target| target.recipient == Digest(chipo.user.0);
    assert!(!world.state(&team).newest_epoch().unwrap().targets.iter().any(left));
}

#[test]
fn a_role_that_has_passed_makes_a_chain_stale_by_the_clock() {
    let mut world = World::found();
    let (case, bashir, dina) = (world.case, world.bashir.clone(), world.dina.clone());
    let expires = Timestamp(START.0 + 100);
    let body = Grant { subject: dina.user, role: Role::Reader, expires: Some(expires), sealed_purpose: None };
    world.append(&bashir.key, &case, Body::Grant(body)).unwrap();
    let repair = world.repair(&case, &dina.user);
    world.append(&bashir.key, &case, repair).unwrap();
    let at = |now| is_stale(&world.chains, &case, now);
    assert_eq!([None, Some(Timestamp(expires.0 - 1)), Some(expires)].map(at), [false, false, true]);
    assert_eq!(expired_members(&world.state(&case), Timestamp(expires.0 - 1)), []);
    assert_eq!(expired_members(&world.state(&case), expires), [dina.user]);
    let index = world.state(&case).recipients().iter().position(|one| one.0 == dina.user.0).unwrap();
    assert_eq!(epoch_targets(&world.chains, &case, Some(START))[index], Some(0));
    assert_eq!(epoch_targets(&world.chains, &case, Some(expires))[index], None);
    let expire = Body::Expire(Expire { subject: dina.user, frontier: frontier() });
    world.append_at(&bashir.key, &case, expire, expires).unwrap();
    assert!(is_stale(&world.chains, &case, None));
    rotate(&mut world, &bashir, case);
    assert!(!is_stale(&world.chains, &case, Some(expires)));
}

#[test]
fn an_epoch_that_was_called_bad_is_stale_and_the_next_follows_the_one_before() {
    let mut world = World::found();
    let (bashir, dina, team) = (world.bashir.clone(), world.dina.clone(), world.first_team);
    lose(&mut world, team);
    rotate(&mut world, &bashir, team);
    let bad = |epoch| Body::BadRotate(BadRotate { epoch, fault: EpochFault::Commitment });
    let none = |found| Err(OpRefusal::NoEpoch { found, newest: 1 });
    assert_eq!(world.offer(&bashir.key, &team, bad(2), &[bashir.user]), none(2));
    let (body, least, moment) = (BodyCode::BAD_ROTATE, Role::Reader, Moment::Cited);
    let refused = Err(OpRefusal::NoAuthority { body, chain: team, least, found: None, moment });
    assert_eq!(world.offer(&dina.key, &team, bad(1), &[dina.user]), refused);
    let own = Err(OpRefusal::OwnEpoch { epoch: 1 });
    assert_eq!(world.offer(&bashir.key, &team, bad(1), &[bashir.user]), own);
    let chipo = world.chipo.clone();
    world.append(&chipo.key, &team, bad(1)).unwrap();
    assert_eq!(world.offer(&chipo.key, &team, bad(1), &[chipo.user]), none(1));
    assert_eq!(world.state(&team).epoch(1).unwrap().fault, Some(EpochFault::Commitment));
    assert_eq!(stale(&world, &[team, world.case]), [true; 2]);
    let Body::Rotate(good) = world.rotation(&team) else { unreachable!() };
    assert_eq!(good.follows, 0);
    let on_bad = Body::Rotate(Rotate { follows: 1, ..good });
    let follows = Err(OpRefusal::Follows { found: 1, newest: Some(0) });
    assert_eq!(world.offer(&bashir.key, &team, on_bad, &[bashir.user]), follows);
    rotate(&mut world, &bashir, team);
    assert_eq!(stale(&world, &[team]), [false]);
    assert_eq!(world.state(&team).epoch(2).unwrap().follows, Some(0));
}

#[test]
fn a_new_epoch_of_the_wrong_shape_or_for_others_is_refused() {
    let mut world = World::found();
    let (bashir, team) = (world.bashir.clone(), world.first_team);
    lose(&mut world, team);
    let Body::Rotate(good) = world.rotation(&team) else { unreachable!() };
    let refused = |change: &dyn Fn(&mut Epoch), expected: OpRefusal| {
        let mut rotate = good.clone();
        change(&mut rotate.epoch);
        let found = world.offer(&bashir.key, &team, Body::Rotate(rotate), &[bashir.user]);
        assert_eq!(found, Err(expected));
    };
    let shape = |part| OpRefusal::Shape { kind: ChainKind::Team, part };
    refused(&|epoch| epoch.public_key = None, shape(Part::EpochKey));
    let without_previous = |epoch: &mut Epoch| {
        epoch.previous = None;
        epoch.wraps.count -= 1;
    };
    refused(&without_previous, OpRefusal::Targets { chain: team });
    refused(&|epoch| epoch.targets.push(None), shape(Part::Targets));
    refused(&|epoch| epoch.wraps.count += 1, OpRefusal::WrapCount { expected: 4, found: 3 });
    refused(&|epoch| epoch.targets[0] = Some(1), OpRefusal::Targets { chain: team });
    let passed_over = |epoch: &mut Epoch| {
        epoch.targets[0] = None;
        epoch.wraps.count -= 1;
    };
    refused(&passed_over, OpRefusal::Targets { chain: team });
    // Whoever reads may rotate, and grants nothing by it.
    let body = Body::Rotate(good);
    assert_eq!(world.offer(&world.chipo.key, &team, body.clone(), &[world.chipo.user]), Ok(()));
    let op = world.force(&bashir.key, &team, body, &[bashir.user]);
    let state = world.state(&team);
    let wraps = targets_of(op.value(), Some(&state));
    let mut recipients: Vec<Digest> = [bashir.user, world.chipo.user, team].map(|chain| Digest(chain.0)).to_vec();
    recipients.sort();
    assert_eq!(wraps.iter().map(|target| target.recipient).collect::<Vec<_>>(), recipients);
}

/// A rotation that begins without the key before it.
fn begun_anew(world: &World, chain: ChainId) -> Body {
    let Body::Rotate(Rotate { mut epoch, follows, carries }) = world.rotation(&chain) else { unreachable!() };
    epoch.previous = None;
    epoch.wraps.count -= 1;
    Body::Rotate(Rotate { epoch, follows, carries })
}

#[test]
fn a_group_whose_key_nobody_has_begins_anew_and_its_new_keys_lead_no_further_back() {
    let mut world = World::found();
    let (bashir, dina, team, case) = (world.bashir.clone(), world.dina.clone(), world.first_team, world.case);
    let held = |world: &World, epoch| is_key_held(&world.chains, &team, epoch, Some(START));
    world.append(&bashir.key, &team, grant(dina.user, Role::Manager)).unwrap();
    // All who were ever given the key leave, before anybody passed it on to her.
    let early = [Err(OpRefusal::NotStale { chain: team }), Err(OpRefusal::Targets { chain: team })];
    for (left, refused) in [world.chipo.clone(), bashir].into_iter().zip(early) {
        assert!(held(&world, 0));
        let anew = begun_anew(&world, team);
        assert_eq!(world.offer(&dina.key, &team, anew, &[dina.user]), refused, "those who have the key pass it on");
        world.append(&dina.key, &team, revoke(left.user, None)).unwrap();
    }
    assert!(!held(&world, 0));
    assert_eq!(due(&world, &dina, case), [team, case]);
    let body = begun_anew(&world, team);
    world.append(&dina.key, &team, body).unwrap();
    let state = world.state(&team);
    assert!(held(&world, 1) && !held(&world, 0));
    assert_eq!(stale(&world, &[team]), [false]);
    assert_eq!(state.epoch(1).unwrap().follows, None);
    assert!(!leads_back(&state, 1, 0) && leads_back(&state, 1, 1) && leads_back(&state, 0, 0));
    let guest = world.chipo.user;
    world.append(&dina.key, &team, grant(guest, Role::Reader)).unwrap();
    world.append(&dina.key, &team, revoke(guest, None)).unwrap();
    rotate(&mut world, &dina, team);
    assert!(leads_back(&world.state(&team), 2, 1) && !leads_back(&world.state(&team), 2, 0));
    // A document is of no use without its first key: it never begins anew.
    let document = Err(OpRefusal::Shape { kind: ChainKind::Document, part: Part::PreviousKey });
    assert_eq!(world.offer(&dina.key, &case, begun_anew(&world, case), &[dina.user, team]), document);
}

#[test]
fn a_group_whose_last_holder_passed_on_garbage_begins_anew() {
    let mut world = World::found();
    let (bashir, dina, team) = (world.bashir.clone(), world.dina.clone(), world.first_team);
    let chipo = world.chipo.clone();
    let held = |world: &World| is_key_held(&world.chains, &team, 0, Some(START));
    let bad = |fault| Body::BadRotate(BadRotate { epoch: 0, fault });
    world.append(&bashir.key, &team, grant(dina.user, Role::Manager)).unwrap();
    let repair = world.repair(&team, &dina.user);
    world.append(&bashir.key, &team, repair.clone()).unwrap();
    // Others were given the key: what she says of hers takes it from nobody else.
    world.append(&dina.key, &team, bad(EpochFault::Wrap)).unwrap();
    let anew = begun_anew(&world, team);
    assert!(held(&world));
    let refused = Err(OpRefusal::Targets { chain: team });
    assert_eq!(world.offer(&dina.key, &team, anew.clone(), &[dina.user]), refused);
    world.append(&dina.key, &team, revoke(bashir.user, None)).unwrap();
    assert!(held(&world));
    // Whoever was given garbage too says so of his own, once, until he is given the key anew.
    let said = Err(OpRefusal::NoEpoch { found: 0, newest: 0 });
    assert_eq!(world.offer(&chipo.key, &team, bad(EpochFault::Previous), &[chipo.user]), said);
    assert_eq!(world.offer(&dina.key, &team, bad(EpochFault::Commitment), &[dina.user]), said);
    let mut given_anew = world.clone();
    world.append(&chipo.key, &team, bad(EpochFault::Commitment)).unwrap();
    assert_eq!(world.state(&team).epoch(0).unwrap().fault, Some(EpochFault::Wrap), "what was found first");
    assert!(!held(&world));
    let body = begun_anew(&world, team);
    world.append(&dina.key, &team, body).unwrap();
    assert_eq!(world.state(&team).epoch(1).unwrap().follows, None);

    given_anew.append(&chipo.key, &team, repair).unwrap();
    given_anew.append(&chipo.key, &team, bad(EpochFault::Wrap)).unwrap();
    assert!(held(&given_anew), "what came after she spoke");
    given_anew.append(&dina.key, &team, bad(EpochFault::Wrap)).unwrap();
    assert!(!held(&given_anew));
}

#[test]
fn a_group_whose_last_holder_passed_on_a_key_that_leads_nowhere_begins_anew() {
    let mut world = World::found();
    let (amina, bashir, chipo) = (world.amina.clone(), world.bashir.clone(), world.chipo.clone());
    let (dina, team) = (world.dina.clone(), world.first_team);
    let held = |world: &World, epoch| is_key_held(&world.chains, &team, epoch, Some(START));
    let bad = |fault| Body::BadRotate(BadRotate { epoch: 1, fault });
    lose(&mut world, team);
    world.append(&bashir.key, &team, grant(dina.user, Role::Manager)).unwrap();
    rotate(&mut world, &bashir, team);
    world.append(&dina.key, &team, revoke(bashir.user, None)).unwrap();
    // Another was given the key before: what she says of her own takes it from nobody else.
    world.append(&dina.key, &team, bad(EpochFault::Previous)).unwrap();
    let anew = begun_anew(&world, team);
    assert!(held(&world, 0) && held(&world, 1));
    let refused = Err(OpRefusal::Targets { chain: team });
    assert_eq!(world.offer(&dina.key, &team, anew, &[dina.user]), refused);
    let said = Err(OpRefusal::NoEpoch { found: 1, newest: 1 });
    assert_eq!(world.offer(&dina.key, &team, bad(EpochFault::Previous), &[dina.user]), said);
    // Who comes later has it by what leads back, unless she says that it does not.
    world.append(&dina.key, &team, revoke(chipo.user, None)).unwrap();
    assert!(!held(&world, 0) && held(&world, 1));
    world.append(&dina.key, &team, grant(amina.user, Role::Editor)).unwrap();
    let repair = world.repair(&team, &amina.user);
    world.append(&dina.key, &team, repair).unwrap();
    assert!(held(&world, 0));
    let mut begun = world.clone();
    world.append(&amina.key, &team, bad(EpochFault::Wrap)).unwrap();
    assert!(!held(&world, 0) && held(&world, 1));
    begun.append(&amina.key, &team, bad(EpochFault::Previous)).unwrap();
    assert!(!held(&begun, 0) && held(&begun, 1));
    let body = begun_anew(&begun, team);
    begun.append(&amina.key, &team, body).unwrap();
    let state = begun.state(&team);
    assert_eq!((state.epoch(1).unwrap().follows, state.epoch(2).unwrap().follows), (Some(0), None));
    // The first epoch holds none before it: after somebody called it bad nobody says so.
    let first = |fault| Body::BadRotate(BadRotate { epoch: 0, fault });
    begun.append(&dina.key, &team, first(EpochFault::Wrap)).unwrap();
    let said = Err(OpRefusal::NoEpoch { found: 0, newest: 2 });
    assert_eq!(begun.offer(&dina.key, &team, first(EpochFault::Previous), &[dina.user]), said);
}

#[test]
fn a_lost_phone_that_was_removed_takes_no_key_from_its_user() {
    let mut world = World::found();
    let (bashir, chipo, team) = (world.bashir.clone(), world.chipo.clone(), world.first_team);
    let held = |world: &World, chain, epoch| is_key_held(&world.chains, &chain, epoch, Some(START));
    let phone = key(40);
    let add = AddDevice::with_key(chipo.user, &phone, wrapping_key(), DeviceKind::Full);
    world.append(&chipo.key, &chipo.user, Body::AddDevice(add)).unwrap();
    let target = Target { recipient: Digest(phone.device_id().0), epoch: 0 };
    let wraps = WrapList { count: 1, ..no_wraps() };
    let repair = Repair { epoch: 0, wraps, targets: vec![target] };
    world.append(&chipo.key, &chipo.user, Body::Repair(repair)).unwrap();
    world.append(&bashir.key, &team, revoke(bashir.user, None)).unwrap();
    let bad = || Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap });
    world.append(&phone, &team, bad()).unwrap();
    assert!(!held(&world, team, 0), "a user's devices hold the same");
    // In its user's own chain it speaks for itself alone.
    world.append(&phone, &chipo.user, bad()).unwrap();
    assert!(held(&world, chipo.user, 0));
    world.append(&chipo.key, &chipo.user, remove(phone.device_id())).unwrap();
    assert!(held(&world, team, 0));
}

#[test]
fn an_epoch_is_followed_only_once_it_is_stale() {
    let mut world = World::found();
    let (bashir, team) = (world.bashir.clone(), world.first_team);
    let not_stale = Err(OpRefusal::NotStale { chain: team });
    assert_eq!(world.offer(&bashir.key, &team, world.rotation(&team), &[bashir.user]), not_stale);
    lose(&mut world, team);
    let (first, second) = (world.rotation(&team), world.rotation(&team));
    world.append(&bashir.key, &team, first).unwrap();
    // Of two at once the second comes too late: by what it follows, and made anew by what is stale no more.
    let outdated = Err(OpRefusal::Follows { found: 0, newest: Some(1) });
    assert_eq!(world.offer(&world.chipo.key, &team, second, &[world.chipo.user]), outdated);
    assert_eq!(world.offer(&world.chipo.key, &team, world.rotation(&team), &[world.chipo.user]), not_stale);
}

#[test]
fn an_epoch_that_was_passed_over_is_carried_until_another_leads_back_to_it() {
    let mut world = World::found();
    let (bashir, chipo, team) = (world.bashir.clone(), world.chipo.clone(), world.first_team);
    let bad = |epoch| Body::BadRotate(BadRotate { epoch, fault: EpochFault::Wrap });
    let carrying = |world: &World, carries: &[u64]| {
        let Body::Rotate(mut rotate) = world.rotation(&team) else { unreachable!() };
        rotate.epoch.wraps.count += carries.len() as u32;
        Body::Rotate(Rotate { carries: carries.to_vec(), ..rotate })
    };
    let offer =
        |world: &World, carries: &[u64]| world.offer(&bashir.key, &team, carrying(world, carries), &[bashir.user]);
    lose(&mut world, team);
    rotate(&mut world, &bashir, team);
    world.append(&chipo.key, &team, bad(1)).unwrap();
    assert_eq!(world.state(&team).epochs_to_carry(), [1]);
    assert_eq!(offer(&world, &[0]), Err(OpRefusal::NotPassedOver { found: 0 }), "it is followed");
    assert_eq!(offer(&world, &[7]), Err(OpRefusal::NotPassedOver { found: 7 }));
    assert_eq!(offer(&world, &[1, 1]), Err(OpRefusal::NotSorted { part: Part::Carried }));
    let many: Vec<u64> = (0..9).collect();
    assert_eq!(offer(&world, &many), Err(OpRefusal::TooLong { part: Part::Carried, found: 9, max: 8 }));
    // Whoever has not its key leaves it out, and the next one may hold it still.
    rotate(&mut world, &bashir, team);
    assert_eq!(world.state(&team).epochs_to_carry(), [1]);
    lose(&mut world, team);
    let body = carrying(&world, &[1]);
    let op = world.append(&bashir.key, &team, body).unwrap();
    assert_eq!(world.state(&team).epochs_to_carry(), []);
    assert_eq!(world.state(&team).newest_epoch().unwrap().carries, [1]);
    let mut before = world.chains.clone();
    let own = |target: &vereda_policy::Target| target.recipient.0 == team.0;
    let state = before.remove(&team).unwrap();
    let held: Vec<u64> =
        targets_of(op.value(), Some(&state)).iter().filter(|one| own(one)).map(|one| one.epoch).collect();
    assert_eq!(held, [1, 2], "the one that was passed over, and the one before");
    // What leads back to it is called bad in its turn.
    world.append(&chipo.key, &team, bad(3)).unwrap();
    assert_eq!(world.state(&team).epochs_to_carry(), [1, 3]);
}

#[test]
fn an_adopted_document_is_held_by_whom_the_adoption_names_and_is_stale_at_once() {
    let mut world = World::found();
    let (bashir, team, dina) = (world.bashir.clone(), world.first_team, world.dina.clone());
    let mut body = crate::world::case_of(team);
    body.nonce = [0x44; 16].into();
    body.members = vec![member(team, Role::Editor), member(world.chipo.user, Role::Editor)];
    body.members.sort();
    let chipo = world.chipo.clone();
    let op = vereda_policy::Draft::new(&world.chains, chipo.device(), None);
    let op = op.sign_create(&chipo.key, crate::world::wrapped(body)).unwrap();
    let document = ChainId(vereda_policy::op_id(op.value()).0);
    world.append(&bashir.key, &team, revoke(chipo.user, None)).unwrap();
    let (body, least, moment) = (BodyCode::CREATE, Role::Editor, Moment::Now);
    let refused = OpRefusal::NoAuthority { body, chain: team, least, found: None, moment };
    assert_eq!(authorize(&world.chains, &op, &AppendContext::relay(START)).unwrap_err(), refused);

    let mut holders = vec![member(team, Role::Manager), member(dina.user, Role::Reader)];
    holders.sort();
    let adopted = vereda_policy::AdoptedDocument { document, holders, chunks: vec![] };
    let adopt = Body::Adopt(vereda_policy::Adopt { chunks: vec![], documents: vec![adopted.clone()] });
    world.append(&bashir.key, &team, adopt).unwrap();
    let taken = world.chains.append(&op, &AppendContext::relay(START)).unwrap();
    assert_eq!(taken.adopted(), Some(&adopted));
    let state = world.state(&document);
    let mut standing: Vec<ChainId> = vec![team, dina.user];
    standing.sort();
    assert_eq!(state.standing_members(), standing);
    let wrapped: Vec<Digest> = state.epoch(0).unwrap().targets.iter().map(|target| target.recipient).collect();
    assert!(wrapped.contains(&Digest(chipo.user.0)), "the wraps are those that the author made");
    assert_eq!(stale(&world, &[document]), [true]);
    rotate(&mut world, &bashir, team);
    rotate(&mut world, &bashir, document);
    assert_eq!(stale(&world, &[document]), [false]);
    let ops = [op.value().clone()].map(|op| vereda_policy::ReplayedOp { op, time: Some(START), is_void: false });
    let again = vereda_policy::ChainState::replay(ops, Some(&adopted)).unwrap();
    assert_eq!(again.standing_members(), standing);
    assert_eq!(again.epoch(0), state.epoch(0));
}

#[test]
fn a_group_of_which_nobody_left_is_not_rotated_for_a_chain_that_lacks_nothing() {
    let mut world = World::found();
    let amina = world.amina.clone();
    let members = vec![member(amina.user, Role::Manager)];
    let team = begin(&mut world.chains, &amina.key, Create::team([8; 16], world.agency, members, group_epoch()));
    assert_eq!(due(&world, &amina, team), []);
    assert_eq!(epoch_targets(&world.chains, &amina.user, None), [Some(0)]);
}
