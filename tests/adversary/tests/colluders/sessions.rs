//! Relays that are not the one that was agreed on, or that say again what they said before.

use vereda_adversary::{Colluder, Stage, Victim};

use vereda_crypto::DeviceKey;
use vereda_protocol::{Down, Goodbye, Position};
use vereda_sync::device::Disconnect;

#[test]
fn a_relay_with_another_key_is_sent_no_proof_and_the_right_one_is() {
    let stage = Stage::set();
    let impostor = Colluder { key: DeviceKey::from_seed(&[66; 32]), ..stage.relay.clone() };
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    assert_eq!(victim.greet(&impostor), None);
    assert_eq!(victim.disconnects(), [Disconnect::RelayIdentity]);
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    assert!(victim.greet(&stage.relay).is_some());
}

#[test]
fn a_welcome_of_another_session_proves_nothing_and_its_own_does() {
    let stage = Stage::set();
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    let before = victim.greet(&stage.relay).unwrap();
    victim.lose();
    let after = victim.greet(&stage.relay).unwrap();
    assert_ne!(before.nonce, after.nonce);
    victim.hear(&stage.relay.welcome(&before, Position(1)));
    assert_eq!(victim.disconnects().last(), Some(&Disconnect::RelayIdentity));
    victim.lose();
    let auth = victim.greet(&stage.relay).unwrap();
    victim.hear(&stage.relay.welcome(&auth, Position(1)));
    victim.catch_up(&stage.relay);
    assert_eq!(victim.stored(&stage.case).len(), 0);
    assert!(victim.machine.documents(&victim.store).unwrap().contains(&stage.case));
}

#[test]
fn a_welcome_with_anything_changed_proves_nothing() {
    let stage = Stage::set();
    let changes: [fn(&mut Down); 3] = [
        |down| set(down, |held, _| *held += 1),
        |down| set(down, |_, end| end.0 += 1),
        |down| {
            if let Down::Welcome { time, .. } = down {
                time.0 += 1;
            }
        },
    ];
    for change in changes {
        let mut victim = Victim::new(&stage.relay, &stage.chipo);
        let auth = victim.greet(&stage.relay).unwrap();
        let mut welcome = stage.relay.welcome(&auth, Position(1));
        change(&mut welcome);
        victim.hear(&welcome);
        assert_eq!(victim.disconnects(), [Disconnect::RelayIdentity]);
    }
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    victim.connect(&stage.relay);
    assert_eq!(victim.disconnects(), []);
}

fn set(down: &mut Down, change: impl Fn(&mut u64, &mut Position)) {
    if let Down::Welcome { held, end, .. } = down {
        change(held, end);
    }
}

#[test]
fn nothing_is_acted_on_that_comes_before_the_proof() {
    let stage = Stage::set();
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    victim.greet(&stage.relay).unwrap();
    victim.policy(stage.relay.entries.clone());
    assert_eq!(victim.disconnects(), [Disconnect::Violation]);
    assert!(victim.machine.documents(&victim.store).unwrap().is_empty());
    let mut victim = Victim::of(&stage);
    assert!(victim.machine.documents(&victim.store).unwrap().contains(&stage.case));
    victim.lose();
}

#[test]
fn a_goodbye_from_nobody_in_particular_does_not_keep_a_device_away_for_good() {
    let stage = Stage::set();
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    victim.greet(&stage.relay).unwrap();
    victim.hear(&Down::Goodbye(Goodbye::BadAuth));
    assert!(victim.machine.poll_timeout().is_some(), "it tries again");
    let mut victim = Victim::of(&stage);
    victim.hear(&Down::Goodbye(Goodbye::Superseded));
    assert!(victim.machine.poll_timeout().is_none(), "the proven relay may send it away");
}

#[test]
fn a_relay_restored_from_a_copy_is_told_apart_and_sent_nothing() {
    let stage = Stage::set();
    let mut victim = Victim::of(&stage);
    victim.write(&stage.case);
    victim.lose();
    let restored = Colluder { relay_epoch: 8, ..stage.relay.clone() };
    assert_eq!(victim.greet(&restored), None);
    assert_eq!(victim.disconnects().last(), Some(&Disconnect::RelayRestored));
    victim.lose();
    victim.connect(&stage.relay);
    assert!(victim.machine.is_live());
}

#[test]
fn a_log_that_has_become_shorter_is_noticed_and_everything_is_asked_for_anew() {
    let stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let chunk = stage.bashir.clone().chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&chunk]);
    victim.lose();
    victim.end = Position(3);
    let (policy, _) = victim.connect(&stage.relay);
    assert!(policy > Position(3));
    assert_eq!(victim.disconnects().last(), Some(&Disconnect::LogShorter));
    victim.lose();
    victim.end = Position(1 << 40);
    assert_eq!(victim.connect(&stage.relay), (Position(0), Position(0)));
    assert!(victim.has(&chunk), "what it holds it keeps");
    victim.catch_up(&stage.relay);
    assert!(victim.machine.is_live());
}
