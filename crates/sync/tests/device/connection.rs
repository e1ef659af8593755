//! Proof of identity, delays, silence.

use std::time::Duration;

use vereda_base::Monotonic;
use vereda_crypto::{Signature, context, verify};
use vereda_protocol::{Credential, Down, Goodbye, Opening, Position, Up, founding_credential, invite_auth_message};
use vereda_sync::device::{DeviceCredential, Disconnect, Effect, Event, Input, SyncState, WakeReason};

use crate::{
    rig::Rig,
    world::{RELAY_EPOCH, START, World, key},
};

#[test]
fn the_first_flight_proves_the_device_pulls_and_begins_the_outbox() {
    let mut rig = Rig::caught_up(World::found());
    rig.lose();
    let chunk = rig.write();
    rig.challenge();
    let auth = rig.take_auth();
    assert_eq!(auth.device, rig.world.chipo.device());
    assert_eq!(auth.credential, Credential::Member);
    assert_eq!(auth.relay_epoch, Some(rig.relay_epoch));
    let end = Position(rig.world.entries.len() as u64);
    let Some(Up::Pull { policy, content, .. }) = rig.sent.pop_front() else { panic!("no pull") };
    assert_eq!((policy, content), (end, end));
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(chunk)));
    assert!(rig.sent.is_empty());
}

#[test]
fn a_founder_and_an_invited_device_say_why_the_relay_should_listen_until_they_belong() {
    let joining = |credential: DeviceCredential| {
        let mut rig = Rig::new(World::found());
        rig.machine.set_credential(credential);
        rig.challenge();
        let first = rig.take_auth().credential;
        rig.welcome();
        rig.catch_up();
        rig.lose();
        rig.sleep();
        rig.challenge_again();
        (first, rig.take_auth().credential)
    };
    let founding = joining(DeviceCredential::Founding([6; 32].into()));
    let world = World::found();
    let opening = Opening { relay: world.relay.device_id(), relay_epoch: RELAY_EPOCH, challenge: [5; 32] };
    let proof = founding_credential(&opening, &world.chipo.device(), &[6; 32]);
    assert_eq!(founding, (proof, Credential::Member));

    let (chain, invite) = (world.team, world.head(&world.team));
    let (first, then) = joining(DeviceCredential::Invite { chain, invite, key: key(50) });
    let Credential::Invite { proof, .. } = first else { panic!("{first:?}") };
    let message = invite_auth_message(&opening, &world.chipo.device(), &chain, &invite);
    verify(context::INVITE_AUTH_SIGNATURE, &key(50).device_id(), &message, &proof).unwrap();
    assert_eq!(then, Credential::Member);
}

#[test]
fn a_relay_with_another_key_is_not_spoken_to() {
    let mut rig = Rig::new(World::found());
    rig.relay_key = 98;
    rig.challenge();
    assert!(rig.sent.is_empty());
    assert_eq!(rig.disconnects(), [Disconnect::RelayIdentity]);
    assert_eq!(rig.orders, [Effect::Close]);
}

#[test]
fn nothing_is_acted_on_before_the_relay_proved_itself() {
    let mut rig = Rig::new(World::found());
    rig.challenge();
    rig.take_auth();
    rig.catch_up();
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
    assert_eq!(rig.machine.list_chains(&rig.store, vereda_policy::ChainKind::User).unwrap(), []);

    let mut rig = Rig::new(World::found());
    rig.challenge();
    rig.take_auth();
    rig.down(&Down::Welcome { version: 1, time: START, held: 0, end: Position(0), signature: Signature([1; 64]) });
    assert_eq!(rig.disconnects(), [Disconnect::RelayIdentity]);
}

#[test]
fn versions_that_do_not_meet_are_said_plainly() {
    let mut rig = Rig::new(World::found());
    rig.input(Input::Start);
    rig.input(Input::Connected);
    let (relay, challenge) = (rig.world.relay.device_id(), [5; 32].into());
    rig.down(&Down::Challenge { versions: vec![900], relay, relay_epoch: 1, challenge });
    assert_eq!(rig.disconnects(), [Disconnect::Version]);
}

#[test]
fn a_relay_that_was_restored_from_a_copy_is_sent_nothing_and_the_state_says_so() {
    let mut rig = Rig::caught_up(World::found());
    rig.write();
    rig.lose();
    rig.relay_epoch += 1;
    rig.challenge();
    assert_eq!(rig.disconnects(), [Disconnect::Lost, Disconnect::RelayRestored]);
    assert!(rig.sent.is_empty());
    let state = rig.machine.explain(&rig.store, &rig.world.case).unwrap();
    assert!(matches!(state, SyncState::Offline { chunks: 1, reason: Disconnect::RelayRestored, .. }), "{state:?}");
}

#[test]
fn a_goodbye_before_the_proof_names_its_cause_but_does_not_end_all_attempts() {
    let mut rig = Rig::new(World::found());
    rig.challenge();
    rig.down(&Down::Goodbye(Goodbye::UnknownDevice));
    assert_eq!(rig.disconnects(), [Disconnect::Goodbye(Goodbye::UnknownDevice)]);
    assert_eq!(rig.machine.poll_timeout().unwrap().1, WakeReason::Reconnect);
}

#[test]
fn nothing_that_is_said_before_the_proof_keeps_a_device_from_the_right_relay() {
    let check = |reason: Disconnect, say: &dyn Fn(&mut Rig)| {
        let mut rig = Rig::caught_up(World::found());
        rig.write();
        rig.lose();
        say(&mut rig);
        assert_eq!(rig.disconnects(), [Disconnect::Lost, reason]);
        let state = rig.machine.explain(&rig.store, &rig.world.case).unwrap();
        assert!(matches!(&state, SyncState::Offline { reason: said, .. } if *said == reason), "{state:?}");
        let (_, wake) = rig.machine.poll_timeout().unwrap();
        assert_eq!(wake, WakeReason::Reconnect, "{reason:?}");
        (rig.relay_key, rig.relay_epoch) = (99, RELAY_EPOCH);
        rig.orders.clear();
        rig.sleep();
        rig.connect_again();
        assert!(rig.machine.is_live(), "{reason:?}");
    };
    let challenge = |versions: Vec<u16>| {
        move |rig: &mut Rig| {
            rig.input(Input::Start);
            rig.input(Input::Connected);
            rig.packer = vereda_protocol::Packer::new();
            let relay = rig.world.relay.device_id();
            rig.down(&Down::Challenge { versions: versions.clone(), relay, relay_epoch: 1, challenge: [5; 32].into() });
        }
    };
    check(Disconnect::RelayIdentity, &|rig| {
        rig.relay_key = 98;
        rig.challenge();
    });
    check(Disconnect::RelayRestored, &|rig| {
        rig.relay_epoch += 1;
        rig.challenge();
    });
    check(Disconnect::Version, &challenge(vec![900]));
    for why in [Goodbye::BadAuth, Goodbye::InviteSpent, Goodbye::FoundingSpent, Goodbye::NoCommonVersion] {
        check(Disconnect::Goodbye(why), &|rig| {
            rig.challenge();
            rig.down(&Down::Goodbye(why));
        });
    }
    check(Disconnect::RelayIdentity, &|rig| {
        rig.challenge();
        let signature = Signature([1; 64]);
        rig.down(&Down::Welcome { version: 1, time: START, held: 0, end: Position(0), signature });
    });
}

#[test]
fn cursors_beyond_the_relays_log_do_not_outlive_the_session_of_the_relay_that_lied() {
    let mut rig = Rig::caught_up(World::found());
    rig.down(&Down::CaughtUp { cursor: Position(u64::MAX) });
    rig.lose();
    rig.sleep();
    let (policy, content) = rig.connect_again();
    assert_eq!((policy, content), (Position(u64::MAX), Position(u64::MAX)));
    assert_eq!(rig.disconnects(), [Disconnect::Lost, Disconnect::LogShorter]);
    rig.orders.clear();
    let mut rig = rig.restart();
    rig.end = Position(1_000);
    let (policy, content) = rig.connect();
    assert_eq!((policy, content), (Position(0), Position(0)), "everything is asked for anew");
    rig.catch_up();
    assert!(rig.machine.is_live() && rig.saw(&Event::CaughtUp));
    let chunk = rig.world.chunk(&rig.world.amina.clone(), 0, None, &[]);
    rig.content(&[&chunk], 1_000);
    assert_eq!(rig.stored().len(), 1);
}

#[test]
fn a_frame_without_entries_moves_no_cursor() {
    let empty = [
        Down::Policy { entries: Vec::new(), cursor: Position(900) },
        Down::Content { chunks: Vec::new(), cursor: Position(900) },
    ];
    for frame in empty {
        let mut rig = Rig::caught_up(World::found());
        rig.down(&frame);
        assert_eq!(rig.disconnects(), [Disconnect::Violation]);
        rig.orders.clear();
        rig.sleep();
        let (policy, content) = rig.connect_again();
        assert!(policy < Position(900) && content < Position(900));
    }
}

#[test]
fn garbage_closes_the_connection_and_loses_nothing() {
    let check = |frame: Vec<u8>| {
        let mut rig = Rig::caught_up(World::found());
        rig.write();
        rig.input(Input::Frame(frame));
        assert_eq!(rig.disconnects(), [Disconnect::Violation]);
        assert_eq!(rig.orders, [Effect::Close]);
        assert_eq!(rig.machine.outbox(&rig.store).unwrap().len(), 1);
        rig.sleep();
        let (policy, _) = rig.connect_again();
        assert_eq!(policy, Position(rig.world.entries.len() as u64));
    };
    check(vec![]);
    check(vec![0xff; 100]);
    check(vec![3; 2 << 20]);
}

#[test]
fn delays_double_up_to_the_ceiling_and_hold_chance_and_a_welcome_resets_them() {
    let mut rig = Rig::new(World::found());
    rig.input(Input::Start);
    let mut delays = Vec::new();
    for _ in 0..14 {
        rig.lose();
        let (at, reason) = rig.machine.poll_timeout().unwrap();
        assert_eq!(reason, WakeReason::Reconnect);
        delays.push(at.0 - rig.now.monotonic.0);
        rig.sleep();
        assert_eq!(rig.orders.pop(), Some(Effect::Connect));
    }
    for (attempt, delay) in delays.iter().enumerate() {
        let whole = Duration::from_secs(1 << attempt.min(10)).min(Duration::from_secs(300));
        assert!(*delay >= whole / 2 && *delay <= whole, "attempt {attempt}: {delay:?}");
    }
    assert!(delays.iter().any(|delay| delay.subsec_nanos() != 0));
    rig.orders.push(Effect::Connect);
    rig.connect_again();
    rig.lose();
    assert!(rig.machine.poll_timeout().unwrap().0.0 - rig.now.monotonic.0 <= Duration::from_secs(1));
}

#[test]
fn a_silent_connection_is_probed_and_then_given_up() {
    let mut rig = Rig::caught_up(World::found());
    assert_eq!(rig.machine.poll_timeout().unwrap().1, WakeReason::Keepalive);
    rig.sleep();
    assert_eq!(rig.orders, [Effect::Probe]);
    rig.input(Input::Alive);
    assert_eq!(rig.machine.poll_timeout().unwrap().1, WakeReason::Keepalive);
    rig.sleep();
    assert_eq!(rig.machine.poll_timeout().unwrap().1, WakeReason::AnswerOverdue);
    rig.sleep();
    assert_eq!(rig.disconnects(), [Disconnect::Silent]);
}

#[test]
fn a_relay_that_never_greets_is_given_up() {
    let mut rig = Rig::new(World::found());
    rig.input(Input::Start);
    rig.input(Input::Connected);
    assert_eq!(rig.machine.poll_timeout().unwrap().1, WakeReason::AnswerOverdue);
    rig.sleep();
    assert_eq!(rig.disconnects(), [Disconnect::Silent]);
}

#[test]
fn going_offline_when_asked_makes_no_further_attempt() {
    let mut rig = Rig::caught_up(World::found());
    rig.input(Input::Stop);
    assert_eq!(rig.events, [Event::Disconnected { reason: Disconnect::Stopped, retry_at: None }]);
    assert_eq!(rig.machine.poll_timeout(), None::<(Monotonic, WakeReason)>);
}

#[test]
fn bytes_worked_off_are_credited_to_the_relay() {
    let mut rig = Rig::caught_up(World::found());
    let mut chunk = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    chunk.ciphertext = vec![1; 600 << 10];
    rig.content(&[&chunk], 100);
    let Some(Up::Credit(bytes)) = rig.sent.pop_front() else { panic!("no credit") };
    assert!(bytes > 600 << 10);
}
