//! Intents: signed once the relay is reached, over the heads as they are then.

use std::time::Duration;

use vereda_base::{ChainId, Digest, Incarnation, OpId};
use vereda_crypto::Signed;
use vereda_policy::{
    Accept, Body, Chains, Create, Frontier, FrontierTree, Invite, Member, Op, Place, RemoveDevice, Revoke, Role,
    op_id_of_bytes,
};
use vereda_protocol::{Down, OfferedLeaf, OpOutcome, PolicyEntry, Position, RefusalCode, Up};
use vereda_sync::device::{Event, IntentFailure, MemoryStore, RelayFault};

use crate::{
    rig::Rig,
    world::{World, grant, group_epoch_for, link_of, tree_of},
};

/// Amina's device: she is Manager of agency and team.
pub fn managing() -> Rig {
    let world = World::found();
    let amina = world.amina.clone();
    let mut rig = Rig::of(world, &amina, MemoryStore::new());
    rig.connect();
    rig.catch_up();
    rig.sent.clear();
    rig.events.clear();
    rig
}

pub fn taken(rig: &mut Rig) -> (u64, Signed<Op>) {
    match rig.sent.pop_front() {
        Some(Up::PutOp { request, op, .. }) => (request, op),
        other => panic!("{other:?}"),
    }
}

fn admitted(rig: &mut Rig, op: &Signed<Op>) -> OpId {
    rig.world.admit(&op.clone().verify().unwrap());
    op_id_of_bytes(op.bytes())
}

#[test]
fn an_intent_is_signed_when_everything_is_here_and_done_when_the_relay_appended_it() {
    let world = World::found();
    let amina = world.amina.clone();
    let mut rig = Rig::of(world, &amina, MemoryStore::new());
    let (case, bashir) = (rig.world.case, rig.world.bashir.user);
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    rig.connect();
    assert!(rig.sent.is_empty());
    rig.catch_up();
    let (request, op) = taken(&mut rig);
    let op_id = admitted(&mut rig, &op);
    let receipt = rig.world.receipt(&op);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert!(rig.saw(&Event::IntentDone { id, op: op_id }));
    assert_eq!(rig.machine.chains(&rig.store).chain(&case), rig.world.chains.chain(&case));
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
}

#[test]
fn an_intent_is_signed_anew_when_another_operation_came_first() {
    let mut rig = managing();
    let (case, bashir, chipo) = (rig.world.case, rig.world.bashir.user, rig.world.chipo.user);
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (request, op) = taken(&mut rig);
    let amina = rig.world.amina.key.clone();
    let news = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(100) });
    assert!(rig.sent.is_empty());
    let head = rig.world.head(&case);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::HeadMoved(head) });
    let (request, again) = taken(&mut rig);
    assert_ne!(op_id_of_bytes(op.bytes()), op_id_of_bytes(again.bytes()));
    let op_id = admitted(&mut rig, &again);
    let receipt = rig.world.receipt(&again);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert!(rig.saw(&Event::IntentDone { id, op: op_id }));
}

#[test]
fn an_intent_that_came_second_waits_for_the_news_before_it_is_signed_anew() {
    let mut rig = managing();
    let (case, bashir, chipo) = (rig.world.case, rig.world.bashir.user, rig.world.chipo.user);
    rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (request, _) = taken(&mut rig);
    let amina = rig.world.amina.key.clone();
    let news = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    let head = rig.world.head(&case);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::HeadMoved(head) });
    assert!(rig.sent.is_empty());
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(100) });
    let (_, op) = taken(&mut rig);
    assert_eq!(op.verify().unwrap().value().prev, Some(head));
}

#[test]
fn an_intent_over_a_document_that_is_not_read_is_signed_anew_once_its_chain_was_fetched() {
    let mut rig = managing();
    let (case, team, amina) = (rig.world.case, rig.world.team, rig.world.amina.clone());
    let (bashir, chipo) = (rig.world.bashir.user, rig.world.chipo.user);
    // Amina leaves the team. Over its case she has authority by the agency; she reads it no more.
    let leaves = rig.world.leaves(&amina, &[]);
    let left = rig.world.revoke(&amina, &team, &leaves);
    rig.policy(&[&left.op, &left.leaves], 100);
    let news = rig.world.append(&amina.key, &case, grant(chipo, Role::Reader));
    let head = rig.world.head(&case);
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (request, _) = taken(&mut rig);
    let upto = Position(200);
    let visible = PolicyEntry::Visible { document: case, upto };
    rig.down(&Down::Policy { entries: vec![visible], cursor: Position(100) });
    assert_eq!(rig.sent.pop_front(), Some(Up::Backfill { document: case, after: Position(0), upto }));
    rig.down(&Down::OpResult { request, outcome: OpOutcome::HeadMoved(head) });
    assert!(rig.sent.is_empty());
    rig.down(&Down::BackfillPart { document: case, entries: vec![news], chunks: Vec::new(), cursor: upto });
    let (request, op) = taken(&mut rig);
    assert_eq!(op.clone().verify().unwrap().value().prev, Some(head));
    let op_id = admitted(&mut rig, &op);
    let receipt = rig.world.receipt(&op);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert!(rig.saw(&Event::IntentDone { id, op: op_id }));
}

#[test]
fn an_intent_whose_answer_was_lost_is_found_done_or_sent_again_as_it_was() {
    let mut rig = managing();
    let (case, bashir) = (rig.world.case, rig.world.bashir.user);
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (_, op) = taken(&mut rig);
    let amina = rig.world.amina.clone();
    rig.lose();

    // The relay never saw it: the same bytes again.
    let mut other = Rig::of(rig.world.clone(), &amina, rig.store.clone());
    other.connect();
    other.catch_up();
    let (_, again) = taken(&mut other);
    assert_eq!(op, again);

    // The relay had appended it.
    let op_id = admitted(&mut rig, &op);
    rig.sleep();
    rig.connect_again();
    rig.catch_up();
    assert!(rig.saw(&Event::IntentDone { id, op: op_id }));
    assert!(rig.sent.is_empty());
}

#[test]
fn an_intent_that_is_no_longer_allowed_fails_with_its_reason() {
    let mut rig = Rig::caught_up(World::found());
    let (case, bashir) = (rig.world.case, rig.world.bashir.user);
    // Chipo is Editor: she may not grant.
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Manager), Vec::new()).unwrap();
    let nowhere = vereda_base::ChainId([1; 32]);
    let other = rig.machine.enqueue_intent(&mut rig.store, nowhere, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    assert!(rig.sent.is_empty());
    assert!(rig.saw(&Event::IntentFailed { id, reason: IntentFailure::NotAllowed }));
    assert!(rig.saw(&Event::IntentFailed { id: other, reason: IntentFailure::UnknownChain }));
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
}

#[test]
fn what_follows_an_intent_waits_for_its_answer() {
    let mut rig = managing();
    let (case, bashir, chipo) = (rig.world.case, rig.world.bashir.user, rig.world.chipo.user);
    let first = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    let second = rig.machine.enqueue_intent(&mut rig.store, case, grant(chipo, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (request, _) = taken(&mut rig);
    assert!(rig.sent.is_empty());
    let code = RefusalCode::NotAuthorized;
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Refused(code) });
    assert!(rig.saw(&Event::IntentFailed { id: first, reason: IntentFailure::Refused(code) }));
    let (_, op) = taken(&mut rig);
    let body = op.verify().unwrap().into_value().body;
    assert!(matches!(body, Body::Grant(grant) if grant.subject == chipo));
    assert!(second > first);
}

#[test]
fn what_was_signed_offline_goes_before_intents_so_that_cites_never_regress() {
    let mut rig = managing();
    rig.lose();
    let (case, team, bashir) = (rig.world.case, rig.world.team, rig.world.bashir.user);
    rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let place = rig.machine.next_place(&rig.store, &case).unwrap();
    let chunk = rig.world.chunk_of(&case, &rig.world.amina, place.incarnation, place.seq, place.prev, &[]);
    rig.machine.enqueue_chunk(&mut rig.store, &chunk).unwrap();
    rig.commit();
    rig.sleep();
    rig.connect_again();
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(chunk)));
    let (amina, chipo) = (rig.world.amina.key.clone(), rig.world.chipo.user);
    let news = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(100) });
    assert!(rig.sent.is_empty());
    rig.catch_up();
    let (_, op) = taken(&mut rig);
    let op = op.verify().unwrap();
    let head = rig.world.head(&team);
    assert!(op.value().cites.iter().any(|cite| cite.chain == team && cite.head == head));
}

#[test]
fn an_intent_signed_before_newer_policy_was_relied_on_is_signed_anew() {
    let mut rig = managing();
    let (case, team, bashir) = (rig.world.case, rig.world.team, rig.world.bashir.user);
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (request, op) = taken(&mut rig);
    let (amina, chipo) = (rig.world.amina.key.clone(), rig.world.chipo.user);
    let news = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(100) });
    let regressed = OpOutcome::Refused(RefusalCode::CiteRegressed);
    rig.down(&Down::OpResult { request, outcome: regressed.clone() });
    let (request, again) = taken(&mut rig);
    assert_ne!(op_id_of_bytes(op.bytes()), op_id_of_bytes(again.bytes()));
    // Nothing newer is known: the refusal stands.
    rig.down(&Down::OpResult { request, outcome: regressed });
    let reason = IntentFailure::Refused(RefusalCode::CiteRegressed);
    assert!(rig.saw(&Event::IntentFailed { id, reason }));
}

pub fn revoking(rig: &Rig) -> Body {
    // Whatever frontier the caller gives.
    let frontier = FrontierTree::new([]).frontier();
    Body::Revoke(Revoke { subject: rig.world.bashir.user, keeps: None, successor: None, frontier })
}

pub fn frontier_of(op: &Signed<Op>) -> Frontier {
    match op.clone().verify().unwrap().into_value().body {
        Body::Revoke(revoke) => revoke.frontier,
        Body::RemoveDevice(remove) => remove.frontier,
        other => panic!("{other:?}"),
    }
}

/// Amina's device, which holds two chunks of Bashir's.
pub fn holding() -> (Rig, [vereda_protocol::Chunk; 2]) {
    let mut rig = managing();
    let bashir = rig.world.bashir.clone();
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let second = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    rig.content(&[&first, &second], 100);
    (rig, [first, second])
}

#[test]
fn a_removal_names_what_is_held_of_whom_it_concerns() {
    let (mut rig, [first, second]) = holding();
    let (team, bashir) = (rig.world.team, rig.world.bashir.clone());
    let body = revoking(&rig);
    let id = rig.machine.enqueue_intent(&mut rig.store, team, body, Vec::new()).unwrap();
    rig.commit();
    let (request, op) = taken(&mut rig);
    let expected = tree_of(&rig.world.leaves(&bashir, &[&first, &second]));
    assert_eq!(frontier_of(&op), expected.frontier());
    let receipt = rig.world.receipt(&op);
    let op_id = admitted(&mut rig, &op);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert!(rig.saw(&Event::IntentDone { id, op: op_id }));
    // Its own leaves it is not told, and asks for what it needs.
    assert_eq!(rig.stored().len(), 2);
}

#[test]
fn a_removal_in_a_document_names_that_document_alone() {
    let (mut rig, [first, second]) = holding();
    let (case, bashir, amina) = (rig.world.case, rig.world.bashir.clone(), rig.world.amina.key.clone());
    let news = rig.world.append(&amina, &case, grant(bashir.user, Role::Editor));
    rig.policy(&[&news], 101);
    let body = revoking(&rig);
    rig.machine.enqueue_intent(&mut rig.store, case, body, Vec::new()).unwrap();
    rig.commit();
    let (_, op) = taken(&mut rig);
    let mut leaves = rig.world.leaves(&bashir, &[&first, &second]);
    leaves.retain(|leaf| leaf.place.chain() == case);
    assert_eq!(leaves.len(), 2);
    assert_eq!(frontier_of(&op), tree_of(&leaves).frontier());
}

#[test]
fn an_offer_that_reaches_further_than_what_is_held_is_signed_once_that_has_come() {
    let (mut rig, [_, second]) = holding();
    let (team, bashir) = (rig.world.team, rig.world.bashir.clone());
    let body = revoking(&rig);
    let id = rig.machine.enqueue_intent(&mut rig.store, team, body, Vec::new()).unwrap();
    rig.commit();
    let (request, first) = taken(&mut rig);
    let third = rig.world.chunk(&bashir, 2, Some(link_of(&second)), &[link_of(&second)]);
    let elsewhere = rig.world.chunk_of(&vereda_base::ChainId([8; 32]), &bashir, Incarnation(1), 0, None, &[]);
    let offer = rig.world.leaves(&bashir, &[&third, &elsewhere]);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::FrontierMoved(offer.clone()) });
    let (request, again) = taken(&mut rig);
    assert_eq!(frontier_of(&again), frontier_of(&first), "what is held, and no more");
    rig.content(&[&third], 101);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::FrontierMoved(offer.clone()) });
    let (_, op) = taken(&mut rig);
    assert_eq!(frontier_of(&op), tree_of(&offer).frontier());
    assert_eq!(rig.machine.relay_faults(&rig.store).unwrap(), []);
    assert_eq!(rig.machine.waits_for_frontier(id), None);
}

#[test]
fn an_offer_that_cuts_off_what_is_held_is_never_signed() {
    let check = |spoil: &dyn Fn(&mut Vec<OfferedLeaf>)| {
        let (mut rig, [_, second]) = holding();
        let (team, bashir) = (rig.world.team, rig.world.bashir.clone());
        let body = revoking(&rig);
        let id = rig.machine.enqueue_intent(&mut rig.store, team, body, Vec::new()).unwrap();
        rig.commit();
        let (request, _) = taken(&mut rig);
        let mut offer = rig.world.leaves(&bashir, &[&second]);
        spoil(&mut offer);
        rig.down(&Down::OpResult { request, outcome: OpOutcome::FrontierMoved(offer) });
        assert!(rig.sent.is_empty());
        assert!(rig.saw(&Event::IntentFailed { id, reason: IntentFailure::CutsOff }));
        assert_eq!(rig.machine.relay_faults(&rig.store).unwrap(), [RelayFault::CutsOff { chain: team }]);
        assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    };
    let is_content = |leaf: &OfferedLeaf| matches!(leaf.place, Place::Content { .. });
    check(&|offer| offer.retain(|leaf| !is_content(leaf)));
    check(&|offer| offer.iter_mut().filter(|leaf| is_content(leaf)).for_each(|leaf| leaf.seq = 0));
    check(&|offer| offer.iter_mut().filter(|leaf| is_content(leaf)).for_each(|leaf| leaf.id = Digest([7; 32])));
    check(&|offer| offer.retain(is_content));
}

#[test]
fn a_manager_removes_a_device_of_a_user_from_above() {
    let mut rig = managing();
    let (bashir, frontier) = (rig.world.bashir.clone(), FrontierTree::new([]).frontier());
    // He joined by an invite: so he consented to be governed.
    let (amina, team, invite_key) = (rig.world.amina.key.clone(), rig.world.team, crate::world::key(40));
    let invite = Invite { key: invite_key.device_id(), role: Role::Reader, expires: crate::rig::wall(900) };
    let invited = rig.world.append(&amina, &team, Body::Invite(invite));
    let accept = Accept::with_key(rig.world.head(&team), bashir.user, bashir.device(), &invite_key);
    let accepted = rig.world.append(&bashir.key, &team, Body::Accept(accept));
    rig.policy(&[&invited, &accepted], 100);
    let body = Body::RemoveDevice(RemoveDevice { device: bashir.device(), frontier });
    let id = rig.machine.enqueue_intent(&mut rig.store, bashir.user, body, Vec::new()).unwrap();
    rig.commit();
    match rig.sent.pop_front() {
        Some(Up::PutOp { op, .. }) => {
            assert_eq!(frontier_of(&op), tree_of(&rig.world.leaves(&bashir, &[])).frontier());
        }
        other => panic!("{other:?} {id:?} {:?}", rig.events),
    }
}

/// A second team, which Chipo is not in, and an invite into it.
fn second_team(rig: &mut Rig) -> (ChainId, PolicyEntry) {
    let world = &mut rig.world;
    let manager = Member { subject: world.amina.user, role: Role::Manager };
    let amina = world.amina.key.clone();
    let team = world.begin(&amina, Create::team([7; 16], world.agency, vec![manager], group_epoch_for(1)));
    (team, world.entries.last().unwrap().clone())
}

fn invited(rig: &mut Rig, team: &ChainId) -> (Body, PolicyEntry) {
    let (amina, chipo, invite_key) = (rig.world.amina.key.clone(), rig.world.chipo.clone(), crate::world::key(40));
    let invite = Invite { key: invite_key.device_id(), role: Role::Editor, expires: crate::rig::wall(900) };
    let entry = rig.world.append(&amina, team, Body::Invite(invite));
    (Body::Accept(Accept::with_key(rig.world.head(team), chipo.user, chipo.device(), &invite_key)), entry)
}

#[test]
fn a_member_takes_up_an_invite_of_which_the_link_came_before_the_relays_news() {
    let mut rig = Rig::caught_up(World::found());
    let (team, begun) = second_team(&mut rig);
    rig.policy(&[&begun], 100);
    let (accept, news) = invited(&mut rig, &team);
    rig.sent.clear();
    rig.machine.enqueue_intent(&mut rig.store, team, accept, Vec::new()).unwrap();
    rig.commit();
    let (request, _) = taken(&mut rig);
    let head = rig.world.head(&team);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::HeadMoved(head) });
    assert!(rig.sent.is_empty());
    rig.policy(&[&news], 101);
    let (request, op) = taken(&mut rig);
    assert_eq!(op.clone().verify().unwrap().value().prev, Some(head));
    let id = admitted(&mut rig, &op);
    let receipt = rig.world.receipt(&op);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert_eq!(rig.machine.chains(&rig.store).chain(&team).unwrap().head(), id);
}

#[test]
fn an_invite_into_a_team_that_is_not_here_yet_waits_for_it_and_not_for_ever() {
    let mut rig = Rig::caught_up(World::found());
    let (team, begun) = second_team(&mut rig);
    let (accept, news) = invited(&mut rig, &team);
    rig.sent.clear();
    let id = rig.machine.enqueue_intent(&mut rig.store, team, accept.clone(), Vec::new()).unwrap();
    rig.commit();
    assert!(rig.sent.is_empty() && rig.events.is_empty(), "{:?}", rig.events);
    let mut other = rig.restart();
    other.connect();
    other.catch_up();
    other.policy(&[&begun, &news], 101);
    let (_, op) = taken(&mut other);
    assert_eq!(op.verify().unwrap().value().body, accept);

    let mut alone = Rig::caught_up(World::found());
    let id_alone = alone.machine.enqueue_intent(&mut alone.store, team, accept, Vec::new()).unwrap();
    alone.commit();
    assert_eq!(id, id_alone);
    let failed = Event::IntentFailed { id, reason: IntentFailure::UnknownChain };
    for _ in 0..5 {
        alone.after(Duration::from_secs(10));
        alone.down(&Down::Credit(1));
    }
    assert!(!alone.saw(&failed));
    alone.sleep();
    assert!(alone.saw(&failed), "{:?}", alone.events);
}

#[test]
fn a_rotation_for_superseded_keys_must_be_made_anew() {
    let mut rig = managing();
    let (case, bashir) = (rig.world.case, rig.world.bashir.user);
    let id = rig.machine.enqueue_intent(&mut rig.store, case, grant(bashir, Role::Reader), Vec::new()).unwrap();
    rig.commit();
    let (request, _) = taken(&mut rig);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Refused(RefusalCode::Outdated) });
    assert!(rig.saw(&Event::IntentFailed { id, reason: IntentFailure::Outdated }));
}
