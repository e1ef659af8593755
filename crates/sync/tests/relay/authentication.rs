//! Who gets a session, and how everyone else is told.

use std::time::Duration;

use vereda_policy::Role;
use vereda_protocol::{Credential, Down, Goodbye, Position, Up, founding_credential};
use vereda_sync::{
    people::{NOW, Person},
    relay::{Input, SessionId, WakeReason},
};

use super::room::{Room, assert_appended, founding, op_ids, revoke};

fn end_of(room: &mut Room, person: &Person, credential: Credential) -> Option<Goodbye> {
    let id = room.connect(person, |_| credential);
    room.goodbye(id)
}

#[test]
fn an_unknown_device_and_a_wrong_founding_secret_get_a_plain_goodbye() {
    let mut room = Room::new();
    let person = Person::new(9);
    assert_eq!(end_of(&mut room, &person, Credential::Member), Some(Goodbye::UnknownDevice));
    let id = room.connect(&person, |opening| founding_credential(opening, &person.device(), &[1; 32]));
    assert_eq!(room.goodbye(id), Some(Goodbye::FoundingSpent));
    assert_eq!(room.machine.session_count(), 0);
}

#[test]
fn a_proof_over_another_challenge_or_by_another_key_is_refused() {
    let (mut room, manager, _, _) = Room::founded();
    let (_, other) = room.open();
    let (id, opening) = room.open();
    room.up(id, Up::Auth(manager.auth(&other, Credential::Member)));
    assert_eq!(room.goodbye(id), Some(Goodbye::BadAuth), "replayed from another connection");
    let (id, _) = room.open();
    let mut auth = manager.auth(&opening, Credential::Member);
    auth.device = Person::new(9).device();
    room.up(id, Up::Auth(auth));
    assert_eq!(room.goodbye(id), Some(Goodbye::BadAuth));
}

#[test]
fn a_device_without_a_common_version_is_told_to_update() {
    let (mut room, manager, _, _) = Room::founded();
    let (id, opening) = room.open();
    let mut auth = manager.auth(&opening, Credential::Member);
    auth.versions = vec![99];
    room.up(id, Up::Auth(auth));
    assert_eq!(room.goodbye(id), Some(Goodbye::NoCommonVersion));
}

#[test]
fn whatever_comes_before_the_proof_or_is_no_frame_is_a_violation() {
    let mut room = Room::new();
    let (id, _) = room.open();
    room.up(id, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
    assert_eq!(room.goodbye(id), Some(Goodbye::Violation));
    let (id, _) = room.open();
    room.input(Input::Frame(id, vec![250, 1, 2, 3]));
    assert_eq!(room.goodbye(id), Some(Goodbye::Violation));
    room.input(Input::Frame(id, vec![250, 1, 2, 3]));
    room.input(Input::Frame(SessionId(77), vec![1]));
    let (id, _) = room.open();
    room.input(Input::Broken(id));
    assert_eq!(room.goodbye(id), Some(Goodbye::Violation));
}

#[test]
fn a_device_that_proves_nothing_in_time_is_let_go() {
    let mut room = Room::new();
    let (id, _) = room.open();
    let (at, reason) = room.machine.poll_timeout().unwrap();
    assert_eq!(reason, WakeReason::AuthOverdue(id));
    room.input(Input::Timeout);
    assert_eq!(room.goodbye(id), None, "too early");
    room.now.monotonic = at;
    room.input(Input::Timeout);
    assert_eq!(room.goodbye(id), Some(Goodbye::TooLate), "it may come again");
    assert_eq!(room.machine.poll_timeout(), None);
}

#[test]
fn a_newer_session_of_a_device_takes_over() {
    let (mut room, manager, old, _) = Room::founded();
    let new = room.connect_member(&manager);
    assert_eq!(room.goodbye(old), Some(Goodbye::Superseded));
    assert!(matches!(room.take(new).first(), Some(Down::Welcome { .. })));
}

#[test]
fn a_late_proof_of_an_older_connection_leaves_the_newer_one_alone() {
    let (mut room, manager, _, _) = Room::founded();
    let (older, opening) = room.open();
    let newer = room.connect_member(&manager);
    room.take(newer);
    room.up(older, Up::Auth(manager.auth(&opening, Credential::Member)));
    assert_eq!(room.goodbye(older), Some(Goodbye::Superseded));
    assert_eq!(room.goodbye(newer), None);
}

#[test]
fn a_founding_secret_founds_one_agency_and_lets_its_founder_back_in() {
    let (mut room, manager, _, _) = Room::founded();
    let other = Person::new(9);
    let id = room.connect(&other, |opening| founding(opening, &other));
    assert_eq!(room.goodbye(id), Some(Goodbye::FoundingSpent));
    let id = room.connect(&manager, |opening| founding(opening, &manager));
    assert!(matches!(room.take(id).first(), Some(Down::Welcome { .. })), "its last answer may have been lost");
}

#[test]
fn a_founding_proof_made_for_another_device_or_another_challenge_founds_nothing() {
    let mut room = Room::new();
    let (founder, thief) = (Person::new(1), Person::new(9));
    let id = room.connect(&thief, |opening| founding(opening, &founder));
    assert_eq!(room.goodbye(id), Some(Goodbye::BadAuth), "overheard and used by another device");
    let (_, other) = room.open();
    let id = room.connect(&founder, |_| founding(&other, &founder));
    assert_eq!(room.goodbye(id), Some(Goodbye::BadAuth), "replayed from another connection");
    let id = room.connect(&founder, |opening| founding(opening, &founder));
    assert!(matches!(room.take(id).first(), Some(Down::Welcome { .. })), "the secret is as good as before");
}

#[test]
fn a_founder_cut_off_between_user_and_agency_goes_on_as_it_pleases() {
    let mut room = Room::new();
    let mut manager = Person::new(1);
    let id = room.connect(&manager, |opening| founding(opening, &Person::new(1)));
    let user = manager.create_user();
    assert_appended(&room.put(id, &user));
    let id = room.connect_member(&manager);
    let agency = manager.create_agency();
    assert_appended(&room.put(id, &agency));
}

#[test]
fn an_invite_lets_one_person_in_until_it_is_taken_or_its_time_is_over() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let expires = NOW.saturating_add(Duration::from_secs(60));
    let invite = manager.invite(agency, Role::Reader, 5, expires);
    assert_appended(&room.put(id, &invite));
    let person = Person::new(6);
    let attempt = |room: &mut Room, seed| {
        let id = room.connect(&person, |opening| person.credential(opening, agency, invite.id(), seed));
        room.goodbye(id)
    };
    assert_eq!(attempt(&mut room, 4), Some(Goodbye::BadAuth), "another secret");
    assert_eq!(attempt(&mut room, 5), None);
    room.now.wall = expires;
    assert_eq!(attempt(&mut room, 5), Some(Goodbye::InviteSpent), "expired");
    room.now.wall = NOW;
    let (_, _) = room.join((&mut manager, id), agency, Role::Reader, 7);
    let spent = manager.chains.iter().find(|state| state.id() == agency).unwrap().invites()[1].op;
    let late = room.connect(&person, |opening| person.credential(opening, agency, spent, 7));
    assert_eq!(room.goodbye(late), Some(Goodbye::InviteSpent), "taken");
}

#[test]
fn a_guest_is_let_go_of_when_his_invite_is_called_off_or_whoever_made_it_is_put_out() {
    let expires = NOW.saturating_add(Duration::from_secs(60));
    let check = |calls_off: bool| {
        let (mut room, mut manager, id, agency) = Room::founded();
        let (mut other, other_id) = room.join((&mut manager, id), agency, Role::Manager, 7);
        let invite = other.invite(agency, Role::Reader, 5, expires);
        assert_appended(&room.put(other_id, &invite));
        manager.learn(&invite.op);
        let person = Person::new(9);
        let guest = room.connect(&person, |opening| person.credential(opening, agency, invite.id(), 5));
        assert_eq!(room.goodbye(guest), None);
        if calls_off {
            let cancel = manager.cancel(agency, invite.id());
            assert_appended(&room.put(id, &cancel));
        } else {
            let user = other.user();
            revoke(&mut room, (&mut manager, id), agency, user);
        }
        assert_eq!(room.goodbye(guest), Some(Goodbye::InviteSpent));
    };
    check(true);
    check(false);
}

#[test]
fn whoever_was_put_out_before_he_knew_that_he_was_in_is_let_in_to_learn_it() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let (person, _) = room.join((&mut manager, id), agency, Role::Reader, 7);
    let invite = manager.chains.iter().find(|state| state.id() == agency).unwrap().invites()[0].op;
    let user = person.user();
    let removal = revoke(&mut room, (&mut manager, id), agency, user);
    // The answer to his acceptance was lost: he shows the invite again.
    let again = room.connect(&person, |opening| person.credential(opening, agency, invite, 7));
    assert_eq!(room.goodbye(again), None);
    let served = room.pull(again, 0, 0);
    assert!(op_ids(&served).contains(&removal.id()), "{served:?}");
    let other = Person::new(8);
    let late = room.connect(&other, |opening| other.credential(opening, agency, invite, 7));
    assert_eq!(room.goodbye(late), Some(Goodbye::InviteSpent), "nobody else by that invite");
}

#[test]
fn everyone_is_told_when_the_relay_stops() {
    let (mut room, _, id, _) = Room::founded();
    let (unproven, _) = room.open();
    room.input(Input::Stop);
    assert_eq!(room.goodbye(id), Some(Goodbye::ShuttingDown));
    assert_eq!(room.goodbye(unproven), Some(Goodbye::ShuttingDown));
    assert_eq!(room.machine.session_count(), 0);
}
