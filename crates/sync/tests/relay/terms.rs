//! Roles for a time, at the relay.

use std::time::Duration;

use vereda_policy::{Body, Grant, Role};
use vereda_protocol::{ChunkOutcome, OpOutcome, RefusalCode};
use vereda_sync::people::NOW;

use super::room::{Room, assert_appended, learn};

#[test]
fn a_referral_as_manager_for_an_hour_is_made_no_longer_by_whoever_was_referred_to() {
    let (mut room, mut manager, desk, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(desk, &team));
    let other = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(desk, &other));
    let (mut guest, line) = room.join((&mut manager, desk), other.chain(), Role::Reader, 2);
    let case = room.case((&mut manager, desk), team.chain());
    let expires = NOW.saturating_add(Duration::from_secs(3_600));
    assert_appended(&room.put(desk, &manager.grant_until(case, guest.user(), Role::Manager, expires)));
    learn(&mut guest, &room.take(line));
    guest.chains = manager.chains.clone();
    let (subject, later) = (guest.user(), expires.saturating_add(Duration::from_millis(1)));
    for expires in [None, Some(later)] {
        let itself =
            guest.draft(case, Body::Grant(Grant { subject, role: Role::Manager, expires, sealed_purpose: None }));
        assert_eq!(room.put(line, &itself), OpOutcome::Refused(RefusalCode::NotAuthorized));
    }
    // As long as his own lasts he may, and what he writes then is taken.
    let itself = guest.grant_until(case, subject, Role::Editor, expires);
    assert_appended(&room.put(line, &itself));
    manager.learn(&itself.op);
    let chunk = guest.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(line, &chunk), ChunkOutcome::Durable);
    room.now.wall = expires.saturating_add(Duration::from_secs(30 * 24 * 3_600));
    let link = vereda_sync::people::link_of(&chunk);
    let late = guest.chunk(case, 1, Some(link), &[link], 300);
    let outcome = room.put_chunk(line, &late);
    assert_ne!(outcome, ChunkOutcome::Durable, "a month later nothing more stands by it");
}
