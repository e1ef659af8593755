//! Too much of anything.

use vereda_adversary::{
    Office, forge,
    office::{op_refused, refused},
};
use vereda_base::{ChainId, Digest, Incarnation, Link, OpId, limits};
use vereda_policy::{Adopt, Beacon, Body, Cite, Discard, Frontier, Revoke, Role};
use vereda_protocol::{ChunkOutcome, Down, Goodbye, RefusalCode, Up};
use vereda_sync::people::{NOW, link_of};

#[test]
fn a_frame_longer_than_any_may_be_ends_the_session_and_a_long_one_does_not() {
    let mut office = Office::open();
    let case = office.case(office.team);
    let mut attacker = office.join(office.team, Role::Editor);
    attacker.line.say_bytes(vec![3; limits::MAX_FRAME_BYTES + 1]);
    assert_eq!(attacker.line.end(), Goodbye::Violation);
    let chunk = office.manager.person.chunk(case, 0, None, &[], limits::MAX_CIPHERTEXT_BYTES);
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
}

fn key_of(index: usize) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&(index as u64).to_be_bytes());
    key
}

#[test]
fn a_frontier_of_more_leaves_than_any_may_have_is_refused() {
    let mut office = Office::open();
    let worker = office.join(office.team, Role::Editor).person.user();
    let (team, user) = (office.team, office.manager.person.user());
    let revoke = |frontier| Body::Revoke(Revoke { subject: worker, keeps: None, successor: None, frontier });
    let too_many = Frontier { root: Digest([1; 32]), count: limits::MAX_FRONTIER_LEAVES as u32 + 1 };
    let put = office.manager.person.draft(team, revoke(too_many));
    assert_eq!(office.manager.line.put(&put), op_refused(RefusalCode::TooLarge));
    office.remove_as_manager(team, &[user], revoke).unwrap();
}

#[test]
fn lists_longer_than_any_may_be_are_refused_by_name() {
    let mut office = Office::open();
    let (agency, case) = (office.agency, office.case(office.team));
    let heads = |count: usize| (0..count).map(|key| Cite { chain: ChainId(key_of(key)), head: OpId([1; 32]) });
    let beacon = |count| Body::Beacon(Beacon { time: NOW, heads: heads(count).collect() });
    let put = office.manager.person.draft(agency, beacon(limits::MAX_LIST + 1));
    assert_eq!(office.manager.line.put(&put), op_refused(RefusalCode::TooLarge));
    let put = office.manager.person.draft(agency, beacon(limits::MAX_LIST));
    assert_eq!(office.manager.line.put(&put), op_refused(RefusalCode::UnknownPolicy), "of what is not of the agency");

    let chunks: Vec<Link> = (0..=limits::MAX_NAMED).map(|key| Link(key_of(key))).collect();
    let discard = |chunks: Vec<Link>, reason| {
        Body::Discard(Discard { chunks, documents: Vec::new(), sealed_reason: vec![0; reason] })
    };
    let adopt = Body::Adopt(Adopt { chunks: chunks.clone(), documents: Vec::new() });
    for body in [adopt, discard(chunks.clone(), 0), discard(chunks[..1].to_vec(), limits::MAX_SEALED_TEXT_BYTES + 1)] {
        let put = office.manager.person.draft(case, body);
        assert_eq!(office.manager.line.put(&put), op_refused(RefusalCode::TooLarge));
    }
}

#[test]
fn an_operation_with_more_cites_than_any_may_have_is_refused() {
    let mut office = Office::open();
    let mut put = office.manager.person.draft(office.team, forge::grant(office.manager.person.user(), Role::Reader));
    let honest = put.clone();
    let many: Vec<Cite> =
        (0..=limits::MAX_CITES).map(|key| Cite { chain: ChainId(key_of(key)), head: OpId([1; 32]) }).collect();
    put = forge::changed(&office.manager.person, &put, |op| op.cites = many);
    assert_eq!(office.manager.line.put(&put), op_refused(RefusalCode::TooLarge));
    office.put_as_manager(&honest);
}

#[test]
fn a_chunk_with_more_deps_changes_or_bytes_than_any_may_have_is_refused() {
    let mut office = Office::open();
    let case = office.case(office.team);
    let mut author = office.join(office.team, Role::Editor);
    office.brief(&mut author);
    let honest = author.person.header(case, 0, None, &[], 300);
    let mut deps = honest.clone();
    deps.deps = (0..=limits::MAX_DEPS).map(|key| Link(key_of(key))).collect();
    let mut changes = honest.clone();
    changes.change_count = limits::MAX_CHANGES_PER_CHUNK as u32 + 1;
    let long = author.person.chunk(case, 0, None, &[], limits::MAX_CIPHERTEXT_BYTES + 1);
    for chunk in [author.person.seal(&deps, 300), author.person.seal(&changes, 300), long] {
        let link = link_of(&chunk);
        author.line.say(&Up::PutChunk(chunk));
        // What cannot even be read as a frame ends the session.
        let said = author.line.hear_until(|down| match down {
            Down::ChunkResult { link: of, outcome } if *of == link => Some(Ok(outcome.clone())),
            Down::Goodbye(why) => Some(Err(*why)),
            _ => None,
        });
        assert!(said == Ok(refused(RefusalCode::TooLarge)) || said == Err(Goodbye::Violation), "{said:?}");
        office.reconnect(&mut author);
    }
    assert_eq!(author.line.put_chunk(&author.person.seal(&honest, 300)), ChunkOutcome::Durable);
}

#[test]
fn whoever_asks_for_more_at_once_than_may_be_named_is_ended() {
    let mut office = Office::open();
    let (chain, removal) = (office.team, OpId([1; 32]));
    let keys = |count: usize| (0..count).map(|key| Digest(key_of(key))).collect::<Vec<_>>();
    let links = |count: usize| (0..count).map(|key| Link(key_of(key))).collect::<Vec<_>>();
    let mut attacker = office.join(office.team, Role::Reader);
    for message in [
        Up::AskLeaves { chain, removal, keys: keys(limits::MAX_NAMED + 1) },
        Up::AskReview(links(limits::MAX_NAMED + 1)),
    ] {
        attacker.line.say(&message);
        assert_eq!(attacker.line.end(), Goodbye::Violation);
        office.reconnect(&mut attacker);
    }
    attacker.line.say(&Up::AskReview(links(limits::MAX_NAMED)));
    attacker.line.say(&Up::AskLeaves { chain, removal, keys: keys(limits::MAX_NAMED) });
    attacker.fence();
}

#[test]
fn a_device_that_begins_anew_without_end_is_refused_at_the_bound_and_everybody_goes_on() {
    let mut office = Office::open();
    let (case, other) = (office.case(office.team), office.case(office.team));
    let mut attacker = office.join(office.team, Role::Editor);
    office.brief(&mut attacker);
    let incarnation = attacker.person.incarnation;
    let begin = |attacker: &mut vereda_adversary::office::Member, case, number: usize| {
        attacker.person.incarnation = Incarnation(incarnation.0 + number as u64);
        let chunk = attacker.person.chunk(case, 0, None, &[], 300);
        (attacker.line.put_chunk(&chunk), chunk)
    };
    let (_, first) = begin(&mut attacker, case, 0);
    for number in 1..limits::MAX_INCARNATIONS {
        assert_eq!(begin(&mut attacker, case, number).0, ChunkOutcome::Durable);
    }
    let refusal = refused(RefusalCode::TooManyIncarnations);
    assert_eq!(begin(&mut attacker, case, limits::MAX_INCARNATIONS).0, refusal);
    assert_eq!(begin(&mut attacker, case, 1_000_000).0, refusal);
    // What he began goes on, as he does elsewhere, linked anew, and everybody else.
    assert_eq!(begin(&mut attacker, other, limits::MAX_INCARNATIONS).0, ChunkOutcome::Durable);
    attacker.person.incarnation = incarnation;
    let next = attacker.person.chunk(case, 1, Some(link_of(&first)), &[], 300);
    assert_eq!(attacker.line.put_chunk(&next), ChunkOutcome::Durable);
    let mut anew = office.add_device(&mut attacker, vereda_policy::DeviceKind::Full);
    office.brief(&mut anew);
    let chunk = anew.person.chunk(case, 0, None, &[], 300);
    assert_eq!(anew.line.put_chunk(&chunk), ChunkOutcome::Durable);
    office.write(case, 0, None);
}
