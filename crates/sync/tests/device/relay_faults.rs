//! What speaks against a relay is noticed, kept and told.

use vereda_base::Timestamp;
use vereda_policy::{Beacon, Body, Chains, Cite, Role};
use vereda_protocol::{ChunkOutcome, Down, Goodbye, Logged, PolicyEntry, Position, Up};
use vereda_sync::device::{Disconnect, Event, RelayFault, SyncState};

use crate::{
    rig::Rig,
    world::{World, grant, link_of},
};

fn faults(rig: &Rig) -> Vec<RelayFault> {
    rig.machine.relay_faults(&rig.store).unwrap()
}

#[test]
fn a_beacon_that_names_an_unknown_head_tells_that_news_are_withheld_until_they_come() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, team, agency, chipo) =
        (rig.world.amina.key.clone(), rig.world.team, rig.world.agency, rig.world.chipo.user);
    let withheld = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    let head = rig.world.head(&team);
    let heads = vec![Cite { chain: team, head }];
    let beacon = rig.world.append(&amina, &agency, Body::Beacon(Beacon { time: Timestamp(5), heads }));
    rig.policy(&[&beacon], 100);
    assert!(rig.saw(&Event::RelayWithholds { chain: team }));
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
    let mut rig = rig.restart();
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
    rig.connect();
    rig.policy(&[&withheld], 101);
    rig.down(&vereda_protocol::Down::CaughtUp { cursor: Position(101) });
    assert_eq!(faults(&rig), []);
    assert_eq!(rig.machine.chains(&rig.store).chain(&team).unwrap().head(), head);
}

#[test]
fn a_beacon_served_with_all_it_names_speaks_against_nobody() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, team, agency, chipo) =
        (rig.world.amina.key.clone(), rig.world.team, rig.world.agency, rig.world.chipo.user);
    let news = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    let heads = vec![Cite { chain: team, head: rig.world.head(&team) }];
    let beacon = rig.world.append(&amina, &agency, Body::Beacon(Beacon { time: Timestamp(5), heads }));
    rig.policy(&[&news, &beacon], 100);
    assert_eq!(faults(&rig), []);
}

#[test]
fn heads_of_an_invite_that_the_relay_does_not_serve_are_noticed() {
    let mut rig = Rig::caught_up(World::found());
    let (team, head) = (rig.world.team, vereda_base::OpId([7; 32]));
    let known = Cite { chain: rig.world.agency, head: rig.world.head(&rig.world.agency) };
    rig.machine.compare_heads(&mut rig.store, &[Cite { chain: team, head }, known]).unwrap();
    rig.commit();
    assert!(rig.saw(&Event::RelayWithholds { chain: team }));
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
}

#[test]
fn a_receipt_that_somebody_else_was_given_for_another_operation_proves_the_fork() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, case, chipo, bashir) =
        (rig.world.amina.key.clone(), rig.world.case, rig.world.chipo.user, rig.world.bashir.user);
    let mut other = rig.world.clone();
    let ours = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    let PolicyEntry::Op { receipt: theirs, .. } = other.append(&amina, &case, grant(bashir, Role::Reader)) else {
        panic!()
    };
    let PolicyEntry::Op { receipt: same, .. } = ours.clone() else { panic!() };
    rig.policy(&[&ours], 100);
    assert!(!rig.machine.compare_receipt(&mut rig.store, &same).unwrap());
    assert_eq!(faults(&rig), []);
    assert!(rig.machine.compare_receipt(&mut rig.store, &theirs).unwrap());
    rig.commit();
    assert!(rig.saw(&Event::RelayForked { chain: case, seq: 1 }));
    assert_eq!(faults(&rig), [RelayFault::Forked { chain: case, seq: 1 }]);
    assert_eq!(rig.disconnects(), [Disconnect::RelayForked]);
}

#[test]
fn a_log_that_became_shorter_is_kept_in_mind() {
    let mut rig = Rig::new(World::found());
    rig.connect();
    rig.catch_up();
    let told = Position(rig.world.entries.len() as u64);
    rig.lose();
    rig.end = Position(3);
    rig.sleep();
    rig.connect_again();
    assert_eq!(faults(&rig), [RelayFault::LogShorter { end: Position(3), told }]);
}

#[test]
fn an_operation_beyond_a_hole_in_its_chain_tells_at_the_next_catch_up_that_what_it_follows_is_withheld() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, team, chipo) = (rig.world.amina.key.clone(), rig.world.team, rig.world.chipo.user);
    let withheld = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    let head = rig.world.head(&team);
    let next = rig.world.append(&amina, &team, grant(chipo, Role::Editor));
    rig.policy(&[&next], 100);
    assert_eq!(faults(&rig), [], "it may yet come");
    rig.down(&Down::CaughtUp { cursor: Position(100) });
    assert!(rig.saw(&Event::RelayWithholds { chain: team }));
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
    rig.policy(&[&withheld], 101);
    assert_eq!(faults(&rig), []);
    assert_eq!(rig.machine.chains(&rig.store).chain(&team).unwrap().head_seq(), 2);
}

#[test]
fn work_that_cites_policy_which_never_came_tells_at_the_next_catch_up_that_it_is_withheld() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, team, case, chipo) =
        (rig.world.amina.key.clone(), rig.world.team, rig.world.case, rig.world.chipo.user);
    let withheld = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    let head = rig.world.head(&team);
    let author = rig.world.amina.clone();
    let chunk = rig.world.chunk(&author, 0, None, &[]);
    rig.down(&Down::Content { chunks: vec![chunk], cursor: Position(100) });
    rig.down(&Down::CaughtUp { cursor: Position(100) });
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::WaitingForPolicy { chain: team, chunks: 1 });
    assert_eq!(faults(&rig), [RelayFault::Withholds { chain: team, head }]);
    rig.policy(&[&withheld], 101);
    assert_eq!(faults(&rig), []);
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::Acknowledged);
}

#[test]
fn an_operation_that_follows_another_than_the_one_given_a_receipt_convicts_the_relay() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, case, chipo, bashir) =
        (rig.world.amina.key.clone(), rig.world.case, rig.world.chipo.user, rig.world.bashir.user);
    let mut other = rig.world.clone();
    let ours = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    other.append(&amina, &case, grant(bashir, Role::Reader));
    let theirs = other.append(&amina, &case, grant(bashir, Role::Editor));
    rig.policy(&[&ours, &theirs], 100);
    assert!(rig.saw(&Event::RelayForked { chain: case, seq: 2 }));
    assert_eq!(faults(&rig), [RelayFault::Forked { chain: case, seq: 2 }]);
    assert_eq!(rig.disconnects(), [Disconnect::RelayForked]);
    // Nothing is sent to it after a restart either.
    let mut rig = rig.restart();
    assert_eq!(faults(&rig), [RelayFault::Forked { chain: case, seq: 2 }]);
    rig.challenge();
    assert!(rig.sent.is_empty(), "{:?}", rig.sent);
    assert_eq!(rig.disconnects(), [Disconnect::RelayForked]);
    assert_eq!(rig.machine.poll_timeout(), None, "no further attempt");
}

#[test]
fn a_relay_that_holds_less_than_it_confirmed_was_set_back_however_long_its_log_is() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    rig.down(&Down::ChunkResult { link: link_of(&chunk), outcome: ChunkOutcome::Durable });
    for (held, lost) in [(1, vec![]), (0, vec![RelayFault::Lost { held: 0, confirmed: 1 }])] {
        rig.lose();
        rig.held = held;
        rig.sleep();
        rig.connect_again();
        assert_eq!(faults(&rig), lost);
    }
    assert_eq!(rig.disconnects().last(), Some(&Disconnect::LogShorter));
    rig.sleep();
    assert_eq!(rig.connect_again(), (Position(0), Position(0)), "everything is asked for anew");
    assert!(rig.machine.is_live(), "and once");
    let is_sent = |up: &Up| matches!(up, Up::PutChunk(again) if *again == chunk);
    assert_eq!(rig.sent.iter().filter(|up| is_sent(up)).count(), 1, "what it lost is sent again");
    rig.down(&Down::ChunkResult { link: link_of(&chunk), outcome: ChunkOutcome::Durable });
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    rig.lose();
    rig.held = 1;
    rig.sleep();
    rig.connect_again();
    assert!(rig.machine.is_live() && rig.sent.iter().all(|up| !is_sent(up)));
}

#[test]
fn a_relay_that_lacks_what_it_handed_over_last_is_named_and_asked_for_everything_anew() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    let (document, link) = (rig.world.case, link_of(&chunk));
    rig.down(&Down::ChunkResult { link, outcome: ChunkOutcome::Durable });
    let end = Position(rig.world.entries.len() as u64);
    for lasts in [vec![Logged::Chunk { document, link }, last_of_policy(&rig)], vec![]] {
        rig.lose();
        rig.sleep();
        rig.challenge_again();
        rig.take_auth();
        let (is_first, cursor) = if lasts.is_empty() { (false, Position(0)) } else { (true, end) };
        assert_eq!(rig.sent.pop_front(), Some(Up::Pull { policy: cursor, content: cursor, lasts }));
        rig.held = 1;
        rig.welcome();
        if is_first {
            assert!(faults(&rig).is_empty());
            rig.down(&Down::Goodbye(Goodbye::Forgotten));
            assert_eq!(rig.disconnects().last(), Some(&Disconnect::LogShorter));
        }
    }
    assert!(rig.machine.is_live());
    assert_eq!(faults(&rig), [RelayFault::Forgot { chain: document }]);
    let is_sent = |up: &Up| matches!(up, Up::PutChunk(again) if *again == chunk);
    assert_eq!(rig.sent.iter().filter(|up| is_sent(up)).count(), 1, "what it may have lost is sent again");
    rig.down(&Down::ChunkResult { link, outcome: ChunkOutcome::Durable });
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    rig.lose();
    rig.sleep();
    rig.connect_again();
    assert!(rig.machine.is_live() && rig.sent.iter().all(|up| !is_sent(up)), "and once");
    assert_eq!(faults(&rig), [RelayFault::Forgot { chain: document }], "it holds as much as it confirmed");
}

#[test]
fn a_relay_is_asked_for_the_last_operation_and_the_last_chunk_whatever_came_after_them() {
    let mut rig = Rig::caught_up(World::found());
    let policy = last_of_policy(&rig);
    assert_eq!(asked(&mut rig), [policy]);
    rig.welcome();
    let chunk = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    rig.content(&[&chunk], rig.world.entries.len() as u64);
    let content = Logged::Chunk { document: rig.world.case, link: link_of(&chunk) };
    assert_eq!(asked(&mut rig), [content, policy]);
    rig.welcome();
    let own = rig.write();
    rig.down(&Down::ChunkResult { link: link_of(&own), outcome: ChunkOutcome::Durable });
    let confirmed = Logged::Chunk { document: rig.world.case, link: link_of(&own) };
    assert_eq!(asked(&mut rig), [confirmed, policy, content]);
    rig.held = 1;
    rig.welcome();
    rig.down(&Down::Goodbye(Goodbye::Forgotten));
    assert_eq!(faults(&rig), [RelayFault::Forgot { chain: rig.world.case }]);
}

/// Connects anew and tells what the relay is asked whether it has it still.
fn asked(rig: &mut Rig) -> Vec<Logged> {
    rig.lose();
    rig.sleep();
    rig.challenge_again();
    rig.take_auth();
    let Some(Up::Pull { lasts, .. }) = rig.sent.pop_front() else { panic!("no pull") };
    lasts
}

/// Names the operation that the relay handed over last.
fn last_of_policy(rig: &Rig) -> Logged {
    let PolicyEntry::Op { op, receipt } = rig.world.entries.last().unwrap().clone() else { panic!("an operation") };
    let chain = receipt.verify().unwrap().value().chain;
    Logged::Op { chain, op: vereda_policy::op_id_of_bytes(op.bytes()) }
}
