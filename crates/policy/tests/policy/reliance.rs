//! On which removals work relies that was done before its author knew of them.

use vereda_base::{ChainId, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{
    AddDevice, AppendContext, Assign, Body, Chains, DeviceKind, Grant, Op, Parent, ParentAuthority, Reliance, Role,
    cite_content, content_ended, content_reliance, op_reliance,
};

use crate::{
    journeys::Header,
    world::{Person, START, World, frontier, grant, key, member, remove, revoke, wrapping_key},
};

/// A chunk of the case by its author's newest heads.
fn chunk(world: &World, by: &Person) -> Header {
    let cites = cite_content(&world.chains, &by.device(), &world.case, Role::Editor, None).unwrap();
    Header { document: world.case, device: by.device(), epoch: 0, cites }
}

fn relies(world: &World, chunk: &Header) -> Vec<(ChainId, u64)> {
    let found = content_reliance(&world.chains, chunk).unwrap();
    found.iter().map(|one| (one.chain, one.seq)).collect()
}

fn op_relies(world: &World, op: &Verified<Op>) -> Vec<(ChainId, u64)> {
    let found = op_reliance(&world.chains, op, &AppendContext::relay(START)).unwrap();
    found.iter().map(|one| (one.chain, one.seq)).collect()
}

#[test]
fn work_before_a_removal_relies_on_it_and_work_after_a_new_grant_does_not() {
    let mut world = World::found();
    let (team, bashir, chipo) = (world.first_team, world.bashir.clone(), world.chipo.clone());
    let before = chunk(&world, &chipo);
    assert_eq!(relies(&world, &before), []);
    world.append(&bashir.key, &team, revoke(chipo.user, None)).unwrap();
    assert_eq!(relies(&world, &before), [(team, 1)]);
    let relied = content_reliance(&world.chains, &before).unwrap()[0];
    let removal = world.state(&team).op(1).unwrap().id;
    assert_eq!(relied, Reliance { chain: team, seq: 1, removal });
    assert_eq!(relied.frontier(&world.chains), Some(frontier()));
    assert_eq!(relies(&world, &chunk(&world, &bashir)), [], "it is nothing to others");
    world.append(&bashir.key, &team, grant(chipo.user, Role::Editor)).unwrap();
    assert_eq!(relies(&world, &before), [(team, 1)]);
    assert_eq!(relies(&world, &chunk(&world, &chipo)), []);
}

#[test]
fn what_lowers_a_role_counts_only_where_the_rest_is_too_little() {
    for (keeps, relied) in [(Role::Reader, true), (Role::Editor, false)] {
        let mut world = World::found();
        let (case, bashir, chipo) = (world.case, world.bashir.clone(), world.chipo.clone());
        world.append(&bashir.key, &world.first_team.clone(), grant(chipo.user, Role::Manager)).unwrap();
        let before = chunk(&world, &chipo);
        world.append(&bashir.key, &world.first_team.clone(), revoke(chipo.user, Some(keeps))).unwrap();
        // The Editor's role that he had before is his still.
        assert_eq!(!relies(&world, &before).is_empty(), relied, "{keeps:?}");
        assert!(world.chains.chain(&case).is_some());
    }
}

#[test]
fn another_way_that_lasts_needs_nothing_and_of_two_that_ended_the_later_counts() {
    let mut world = World::found();
    let (team, case) = (world.first_team, world.case);
    let (bashir, chipo) = (world.bashir.clone(), world.chipo.clone());
    world.append(&bashir.key, &case, grant(chipo.user, Role::Editor)).unwrap();
    let mut both = chunk(&world, &chipo);
    let head = world.state(&team).head();
    both.cites.push(vereda_policy::Cite { chain: team, head });
    both.cites.sort();
    let by_grant = chunk(&world, &chipo);
    let at = |after| Timestamp(START.0 + after);
    world.append_at(&bashir.key, &team, revoke(chipo.user, None), at(1)).unwrap();
    assert_eq!([&both, &by_grant].map(|one| relies(&world, one)), [vec![], vec![]]);
    world.append_at(&bashir.key, &case, revoke(chipo.user, None), at(2)).unwrap();
    // He worked on by the second when the first had ended: that one does not name what he did meanwhile.
    assert_eq!(relies(&world, &both), [(case, 2)]);
    assert_eq!(relies(&world, &by_grant), [(case, 2)]);
}

#[test]
fn rights_ended_when_the_authors_own_last_way_did_whatever_ends_for_others() {
    let mut world = World::found();
    let (team, case) = (world.first_team, world.case);
    let (bashir, chipo, dina) = (world.bashir.clone(), world.chipo.clone(), world.dina.clone());
    let at = |after| Timestamp(START.0 + after);
    let until =
        |subject, role, expires| Body::Grant(Grant { subject, role, expires: Some(expires), sealed_purpose: None });
    world.append(&bashir.key, &case, until(dina.user, Role::Editor, at(100))).unwrap();
    world.append(&bashir.key, &case, until(world.amina.user, Role::Editor, at(500))).unwrap();
    let by_dina = chunk(&world, &dina);
    world.append(&bashir.key, &case, grant(chipo.user, Role::Editor)).unwrap();
    let mut by_chipo = chunk(&world, &chipo);
    let head = world.state(&team).head();
    by_chipo.cites.push(vereda_policy::Cite { chain: team, head });
    by_chipo.cites.sort();
    let ended = |world: &World, chunk: &Header| content_ended(&world.chains, chunk, at(1_000)).unwrap();
    assert_eq!(ended(&world, &by_dina), Some(at(100)));
    world.append_at(&bashir.key, &team, revoke(chipo.user, None), at(10)).unwrap();
    world.append_at(&bashir.key, &case, revoke(chipo.user, None), at(20)).unwrap();
    assert_eq!(ended(&world, &by_chipo), Some(at(20)), "of two ways the last");
    assert_eq!(ended(&world, &by_dina), Some(at(100)));
    world.append_at(&bashir.key, &case, revoke(dina.user, None), at(30)).unwrap();
    assert_eq!(ended(&world, &by_dina), Some(at(30)), "before it would have expired");
}

#[test]
fn several_removals_on_one_way_must_all_name_it() {
    let mut world = World::found();
    let (team, chipo) = (world.first_team, world.chipo.clone());
    let second = Person { key: key(40), user: chipo.user };
    let add = AddDevice::with_key(chipo.user, &second.key, wrapping_key(), DeviceKind::Full);
    world.append(&chipo.key, &chipo.user, Body::AddDevice(add)).unwrap();
    let chunks = [chunk(&world, &chipo), chunk(&world, &second)];
    world.append(&second.key, &chipo.user, remove(chipo.device())).unwrap();
    assert_eq!([&chunks[0], &chunks[1]].map(|one| relies(&world, one)), [vec![(chipo.user, 2)], vec![]]);
    let bashir = world.bashir.clone();
    world.append(&bashir.key, &team, revoke(chipo.user, None)).unwrap();
    let mut all = vec![(chipo.user, 2), (team, 1)];
    all.sort();
    assert_eq!(relies(&world, &chunks[0]), all);
    assert_eq!(relies(&world, &chunks[1]), [(team, 1)]);
}

#[test]
fn an_operation_relies_on_what_its_authors_rights_came_by_but_not_on_its_own_chain() {
    let mut world = World::found();
    let (team, case, agency) = (world.first_team, world.case, world.agency);
    let (amina, bashir, dina) = (world.amina.clone(), world.bashir.clone(), world.dina.clone());
    let granted = world.append(&bashir.key, &case, grant(dina.user, Role::Reader)).unwrap();
    let from_above = world.draft(&amina.key, &case, grant(dina.user, Role::Editor));
    world.chains.append(&from_above, &AppendContext::relay(START)).unwrap();
    assert_eq!(op_relies(&world, &granted), []);
    world.append(&amina.key, &team, grant(dina.user, Role::Manager)).unwrap();
    world.append(&amina.key, &team, revoke(bashir.user, Some(Role::Editor))).unwrap();
    assert_eq!(op_relies(&world, &granted), [(team, 2)]);
    assert_eq!(op_relies(&world, &from_above), []);
    // The document moves: its chain itself says that both operations came before that.
    let parents = Some(vec![Parent { chain: agency, authority: ParentAuthority::Full }]);
    let gives = vec![member(agency, Role::Manager)];
    let assign = Assign { gives, takes: vec![team], parents, sections: vec![], frontier: frontier() };
    world.append(&amina.key, &case, Body::Assign(assign)).unwrap();
    assert_eq!(op_relies(&world, &from_above), []);
    assert_eq!(op_relies(&world, &granted), [(team, 2)]);
}

#[test]
fn content_by_authority_from_above_relies_on_the_move_that_ended_it() {
    let mut world = World::found();
    let (team, case, agency) = (world.first_team, world.case, world.agency);
    let (amina, bashir) = (world.amina.clone(), world.bashir.clone());
    world.append(&bashir.key, &case, grant(amina.user, Role::Reader)).unwrap();
    let before = chunk(&world, &amina);
    assert_eq!(relies(&world, &before), []);
    let parents = Some(vec![Parent { chain: team, authority: ParentAuthority::RevokeOnly }]);
    let assign = Assign { gives: vec![], takes: vec![], parents, sections: vec![], frontier: frontier() };
    let body = Body::Assign(assign);
    let removed = vereda_policy::removed_devices(&world.chains, &case, &body);
    assert!(removed.contains(&amina.device()), "her work is named by it");
    world.append(&bashir.key, &case, body).unwrap();
    assert_eq!(relies(&world, &before), [(case, 2)]);
    assert!(world.chains.chain(&agency).is_some());
}

#[test]
fn a_device_taken_from_above_stays_taken_when_its_user_leaves_the_team() {
    let mut world = World::found();
    let (team, amina, bashir) = (world.first_team, world.amina.clone(), world.bashir.clone());
    let (agency, eva) = (world.agency, crate::world::join(&mut world.chains, 60));
    let invite =
        vereda_policy::Invite { key: key(50).device_id(), role: Role::Editor, expires: Timestamp(START.0 + 1) };
    let invite = vereda_policy::op_id(world.append(&bashir.key, &team, Body::Invite(invite)).unwrap().value());
    let accept = vereda_policy::Accept::with_key(invite, eva.user, eva.device(), &key(50));
    world.append(&eva.key, &team, Body::Accept(accept)).unwrap();
    let taken = world.force(&amina.key, &eva.user, remove(eva.device()), &[agency, team, amina.user]);
    world.chains.append(&taken, &AppendContext::relay(START)).unwrap();
    world.append(&bashir.key, &team, revoke(eva.user, None)).unwrap();
    assert_eq!(op_relies(&world, &taken), []);
    world.append(&amina.key, &agency, grant(bashir.user, Role::Manager)).unwrap();
    world.append(&bashir.key, &agency, revoke(amina.user, None)).unwrap();
    assert_eq!(op_relies(&world, &taken), [(agency, 2)]);
}

#[test]
fn a_void_operation_keeps_its_place_and_does_nothing() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.clone());
    let op = world.draft(&bashir.key, &case, grant(world.dina.user, Role::Reader));
    let before = world.state(&case);
    let mut state = before.as_ref().clone();
    let id = vereda_policy::op_id(op.value());
    state.apply_void(op.value(), id, Some(START)).unwrap();
    assert_eq!((state.head(), state.head_seq()), (id, 1));
    assert!(state.op(1).unwrap().is_void && !state.op(0).unwrap().is_void);
    assert_eq!((state.members(), state.cited()), (before.members(), before.cited()));
    assert!(state.apply_void(op.value(), id, Some(START)).is_err());
    world.chains.insert(state);
    let next = world.append(&bashir.key, &case, grant(world.dina.user, Role::Editor)).unwrap();
    assert_eq!((next.value().seq, next.value().prev), (2, Some(id)));
    let held: Vec<_> = world.state(&case).members().iter().map(|held| held.from_seq).collect();
    assert_eq!(held, [0, 2]);
}
