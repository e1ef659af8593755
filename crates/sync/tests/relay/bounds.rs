//! What ends by itself, and what nobody may take without end.

use std::time::Duration;

use vereda_base::{ChainId, Timestamp};
use vereda_policy::{Body, Grant, Role};
use vereda_protocol::{Down, Goodbye, OpOutcome, PolicyEntry, RefusalCode};
use vereda_sync::{
    people::{NOW, Person, Put},
    relay::{Input, RelayStore, SessionId, WakeReason},
};

use super::room::{Room, assert_appended, entries, learn, op_ids};

const LATER: Duration = Duration::from_secs(60);

fn grant_until(manager: &mut Person, chain: ChainId, subject: ChainId, expires: Timestamp) -> Put {
    let body = Body::Grant(Grant { subject, role: Role::Reader, expires: Some(expires), sealed_purpose: None });
    manager.append(chain, body)
}

/// Lets a person in by an invite and has the user begun.
fn guest(room: &mut Room, chain: ChainId, invite: &Put, seed: u8) -> (Person, SessionId, OpOutcome) {
    let mut person = Person::new(seed);
    let id = room.connect(&Person::new(seed), |opening| Person::new(seed).credential(opening, chain, invite.id(), 5));
    let downs = room.pull(id, 0, 0);
    learn(&mut person, &downs);
    let user = person.create_user();
    let outcome = room.put(id, &user);
    (person, id, outcome)
}

#[test]
fn an_invite_brings_few_users_and_is_forgotten_once_it_was_taken_up() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let invite = manager.invite(agency, Role::Reader, 5, NOW.saturating_add(LATER));
    assert_appended(&room.put(id, &invite));
    let (mut first, first_id, outcome) = guest(&mut room, agency, &invite, 10);
    assert_appended(&outcome);
    for seed in 11..14 {
        assert_appended(&guest(&mut room, agency, &invite, seed).2);
    }
    let (_, late, outcome) = guest(&mut room, agency, &invite, 14);
    assert_eq!(outcome, OpOutcome::Refused(RefusalCode::InviteSpent));
    assert_eq!((room.store.guests(&invite.id()), room.goodbye(late)), (Ok(4), None));
    let accept = first.accept(agency, invite.id(), 5);
    assert_appended(&room.put(first_id, &accept));
    assert_eq!(room.store.guests(&invite.id()), Ok(0));
    assert_eq!(room.goodbye(late), Some(Goodbye::InviteSpent), "another took it up");
    assert_eq!(room.goodbye(first_id), None);
}

#[test]
fn whoever_came_by_an_invite_is_shown_nothing_after_its_time() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let expires = NOW.saturating_add(LATER);
    let invite = manager.invite(agency, Role::Reader, 5, expires);
    assert_appended(&room.put(id, &invite));
    let (_, guest_id, _) = guest(&mut room, agency, &invite, 10);
    room.take(guest_id);
    room.now.wall = expires;
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    assert_eq!(room.goodbye(guest_id), Some(Goodbye::InviteSpent));
    assert_eq!(room.take(guest_id).len(), 1, "the goodbye alone");
}

#[test]
fn an_agency_shows_nothing_more_to_a_session_whose_role_has_run_out() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let expires = NOW.saturating_add(LATER);
    let invite = manager.invite(agency, Role::Reader, 5, expires.saturating_add(LATER));
    assert_appended(&room.put(id, &invite));
    let (person, guest_id, _) = guest(&mut room, agency, &invite, 10);
    let downs = room.take(id);
    learn(&mut manager, &downs);
    let grant = grant_until(&mut manager, agency, person.user(), expires);
    assert_appended(&room.put(id, &grant));
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    assert!(op_ids(&room.take(guest_id)).contains(&team.id()), "while the role stands");
    room.now.wall = expires;
    room.take(guest_id);
    let hidden = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &hidden));
    assert_eq!(room.goodbye(guest_id), None, "it may still hand in what it had not sent");
    assert_eq!(room.take(guest_id), []);
}

#[test]
fn wraps_for_a_team_stop_when_the_role_in_it_has_run_out_while_the_agency_goes_on() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let (reader, reader_id) = room.join((&mut manager, id), agency, Role::Reader, 7);
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let expires = NOW.saturating_add(LATER);
    let grant = grant_until(&mut manager, team.chain(), reader.user(), expires);
    assert_appended(&room.put(id, &grant));
    let wraps =
        |downs: &[Down]| entries(downs).iter().filter(|entry| matches!(entry, PolicyEntry::Wrap { .. })).count();
    room.take(reader_id);
    room.case((&mut manager, id), team.chain());
    assert_eq!(wraps(&room.take(reader_id)), 1);
    room.now.wall = expires;
    room.case((&mut manager, id), team.chain());
    let another = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &another));
    let downs = room.take(reader_id);
    assert_eq!((wraps(&downs), op_ids(&downs)), (0, vec![another.id()]));
}

#[test]
fn a_device_that_asks_for_nothing_in_time_is_let_go() {
    let (mut room, manager, _, _) = Room::founded();
    let id = room.connect_member(&manager);
    let (at, reason) = room.machine.poll_timeout().unwrap();
    assert_eq!(reason, WakeReason::PullOverdue(id));
    room.now.monotonic = at;
    room.input(Input::Timeout);
    assert_eq!(room.goodbye(id), Some(Goodbye::TooLate));
    let id = room.connect_member(&manager);
    room.pull(id, 0, 0);
    assert_eq!(room.machine.poll_timeout(), None);
}
