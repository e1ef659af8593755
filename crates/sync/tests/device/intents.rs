//! Intents: signed once the relay is reached, over the heads as they are then.

use vereda_base::OpId;
use vereda_crypto::Signed;
use vereda_policy::{Body, Chains, Op, Role, op_id_of_bytes};
use vereda_protocol::{Down, OpOutcome, Position, RefusalCode, Up};
use vereda_sync::device::{Event, IntentFailure, MemoryStore};

use crate::{
    rig::Rig,
    world::{World, grant},
};

/// Amina's device: she is Manager of agency and team.
fn managing() -> Rig {
    let world = World::found();
    let amina = world.amina.clone();
    let mut rig = Rig::of(world, &amina, MemoryStore::new());
    rig.connect();
    rig.catch_up();
    rig.sent.clear();
    rig.events.clear();
    rig
}

fn taken(rig: &mut Rig) -> (u64, Signed<Op>) {
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
