//! Every kind of frame, said again: on another connection, for another document, epoch or relay.

use vereda_adversary::{
    Office, forge,
    office::{assert_appended, op_refused, refused},
};
use vereda_policy::Role;
use vereda_protocol::{ChunkOutcome, Credential, Down, Goodbye, OpOutcome, Opening, Position, RefusalCode, Up};
use vereda_sync::people::{Person, Put, link_of};

#[test]
fn a_proof_is_good_for_the_connection_it_was_made_for() {
    let office = Office::open();
    let other = office.line();
    let mut line = office.line();
    let overheard = office.manager.person.auth(&other.opening, Credential::Member);
    assert_eq!(line.enter_with(overheard), Err(Goodbye::BadAuth));
    let mut line = office.line();
    line.enter(&office.manager.person, Credential::Member).unwrap();
}

#[test]
fn a_proof_is_good_for_the_relay_it_was_made_for() {
    let (office, elsewhere) = (Office::open(), Office::open());
    let mut line = office.line();
    // The thief's relay shows the challenge of the real one, so that the victim signs it.
    let lured = Opening { relay: elsewhere.key(), ..line.opening };
    let overheard = office.manager.person.auth(&lured, Credential::Member);
    assert_eq!(line.enter_with(overheard), Err(Goodbye::BadAuth));
    let mut line = office.line();
    line.enter(&office.manager.person, Credential::Member).unwrap();
}

#[test]
fn a_proof_with_anything_changed_is_none() {
    let mut office = Office::open();
    let thief = office.stranger();
    let changes: [fn(&mut vereda_protocol::Auth, &Person); 4] = [
        |auth, thief| auth.device = thief.device(),
        |auth, _| auth.nonce = [9; 32].into(),
        |auth, _| auth.incarnation.0 += 1,
        |auth, _| auth.relay_epoch = Some(1),
    ];
    for change in changes {
        let mut line = office.line();
        let mut auth = office.manager.person.auth(&line.opening, Credential::Member);
        change(&mut auth, &thief);
        assert_eq!(line.enter_with(auth), Err(Goodbye::BadAuth));
    }
    let mut line = office.line();
    line.enter(&office.manager.person, Credential::Member).unwrap();
}

#[test]
fn a_second_proof_on_one_connection_ends_it() {
    let mut office = Office::open();
    let mut line = office.line();
    line.enter(&office.manager.person, Credential::Member).unwrap();
    let thief = office.stranger();
    line.say(&Up::Auth(thief.auth(&line.opening, Credential::Member)));
    assert_eq!(line.end(), Goodbye::Violation);
    let mut line = office.line();
    line.enter(&office.manager.person, Credential::Member).unwrap();
    line.pull();
}

#[test]
fn frames_recorded_on_one_connection_do_nothing_on_another() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Editor);
    let case = office.case(office.team);
    office.brief(&mut worker);
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
    let recorded = worker.line.sent.clone();
    assert!(recorded.len() >= 4, "proof, pull, operations, chunk");
    // From the proof on, and without it.
    for frames in [recorded.clone(), recorded[1..].to_vec()] {
        let mut line = office.line();
        frames.into_iter().for_each(|frame| line.say_bytes(frame));
        assert!(matches!(line.end(), Goodbye::BadAuth | Goodbye::Violation));
        assert!(!line.heard_of(&case));
    }
    // Behind a proof of the thief's own, a member of another team, they are in his name or nobody's.
    let mut thief = office.join(office.agency, Role::Reader);
    for frame in &recorded[2..] {
        thief.line.say_bytes(frame.clone());
    }
    // Its own operation is known, and says so.
    let appended = |down: &Down, own: &Put| match down {
        Down::OpResult { outcome: OpOutcome::Appended(receipt), .. } => {
            receipt.clone().verify().unwrap().value().op != own.id()
        }
        Down::ChunkResult { outcome: ChunkOutcome::Durable, .. } => true,
        _ => false,
    };
    let before = thief.line.heard.len();
    let put = thief.begun.clone();
    thief.line.drain(&put);
    assert!(!thief.line.heard[before..].iter().any(|down| appended(down, &put)));
    let next = worker.person.chunk(case, 1, Some(link_of(&chunk)), &[], 300);
    assert_eq!(worker.line.put_chunk(&next), ChunkOutcome::Durable, "the worker goes on");
}

#[test]
fn an_operation_said_again_gets_the_same_receipt_and_stands_once() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Editor);
    let grant = office.manager.person.grant(office.team, worker.person.user(), Role::Reader);
    let first = office.manager.line.put(&grant);
    assert_appended(&first);
    office.learn(&grant);
    assert_eq!(office.manager.line.put(&grant), first);
    assert_eq!(worker.line.put(&grant), op_refused(RefusalCode::NotAuthorized), "on another's connection");
    office.reconnect(&mut worker);
    let times = worker.line.ops().iter().filter(|op| vereda_policy::op_id_of_bytes(op.bytes()) == grant.id()).count();
    assert_eq!(times, 1);
}

#[test]
fn an_operation_said_in_another_chain_or_place_is_not_signed_for_it() {
    let mut office = Office::open();
    let worker = office.join(office.team, Role::Editor);
    let other = office.other_team();
    let grant = office.manager.person.draft(office.team, forge::grant(worker.person.user(), Role::Manager));
    let moves: [&dyn Fn(&mut vereda_policy::Op); 2] = [&|op| op.chain = Some(other), &|op| op.seq += 1];
    for change in moves {
        let mut op = grant.op.value().clone();
        change(&mut op);
        let moved = vereda_crypto::Signed::from_parts(vereda_base::encode(&op), *grant.op.signature());
        assert_eq!(office.manager.line.put_signed(moved, Vec::new()), op_refused(RefusalCode::BadSignature));
    }
    office.put_as_manager(&grant);
}

#[test]
fn what_was_said_at_one_relay_is_worth_nothing_at_another() {
    let (mut office, mut elsewhere) = (Office::open(), Office::open_with(100));
    let case = office.case(office.team);
    let chunk = office.manager.person.chunk(case, 0, None, &[], 300);
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
    // The other relay's own member hands all of it over there.
    let grant = office.manager.person.draft(office.team, forge::grant(office.manager.person.user(), Role::Reader));
    assert_eq!(elsewhere.manager.line.put(&grant), op_refused(RefusalCode::NotAuthorized));
    assert_eq!(elsewhere.manager.line.put_chunk(&chunk), refused(RefusalCode::NotAuthorized));
    // Its author himself, if he were known there, would refer to chains that are not.
    let own = forge::changed(&elsewhere.manager.person, &grant, |_| ());
    assert_eq!(elsewhere.manager.line.put(&own), op_refused(RefusalCode::NotAuthorized));
    let theirs = forge::rewritten(&elsewhere.manager.person, &chunk, |_| ());
    assert_eq!(elsewhere.manager.line.put_chunk(&theirs), refused(RefusalCode::NotAuthorized));
    let theirs = elsewhere.case(elsewhere.team);
    let honest = elsewhere.manager.person.chunk(theirs, 0, None, &[], 300);
    assert_eq!(elsewhere.manager.line.put_chunk(&honest), ChunkOutcome::Durable);
}

#[test]
fn a_chunk_said_again_on_anothers_connection_is_refused_and_on_ones_own_known() {
    let mut office = Office::open();
    let mut thief = office.join(office.team, Role::Editor);
    let case = office.case(office.team);
    let chunk = office.manager.person.chunk(case, 0, None, &[], 300);
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
    thief.line.hear_chunk(&chunk);
    assert_eq!(thief.line.put_chunk(&chunk), refused(RefusalCode::NotAuthorized));
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
    // Under his own name it is a chunk of his own, at a place of his own.
    office.brief(&mut thief);
    let own = forge::rewritten(&thief.person, &chunk, |header| header.incarnation = thief.person.incarnation);
    assert_ne!(link_of(&own), link_of(&chunk));
}

#[test]
fn asking_again_gives_no_more_than_asking_once() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Editor);
    let other = office.other_team();
    let [ours, theirs] = [office.case(office.team), office.case(other)];
    let chunk = office.manager.person.chunk(ours, 0, None, &[], 300);
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
    worker.line.hear_chunk(&chunk);
    worker.line.heard.clear();
    for _ in 0..3 {
        worker.line.say(&Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
        worker.line.say(&Up::Credit(1));
        worker.line.say(&Up::Backfill { document: theirs, after: Position(0), upto: Position(u64::MAX) });
    }
    worker.fence();
    assert!(!worker.line.heard_of(&theirs));
    let next = office.manager.person.chunk(ours, 1, Some(link_of(&chunk)), &[], 300);
    assert_eq!(office.manager.line.put_chunk(&next), ChunkOutcome::Durable);
    worker.line.hear_chunk(&next);
}
