//! Authority over what is not read: whoever has it decides on the news, not on what he once held.

use vereda_base::ChainId;
use vereda_policy::{Body, Grant, Role};
use vereda_protocol::{Down, OpOutcome, PolicyEntry, Position, RefusalCode, Up};
use vereda_sync::{
    people::{Person, Put},
    relay::SessionId,
};

use super::room::{Room, assert_appended, chunks, entries, learn, op_ids, revoke, visible};

/// An agency, a team with a case, a worker who is Manager of the team, and the agency's Manager, who has left the team and
/// reads the case no more.
struct Above {
    room: Room,
    manager: Person,
    desk: SessionId,
    worker: Person,
    line: SessionId,
    team: ChainId,
    case: ChainId,
}

impl Above {
    fn new() -> Self {
        let (mut room, mut manager, desk, agency) = Room::founded();
        let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
        assert_appended(&room.put(desk, &team));
        let team = team.chain();
        let (mut worker, line) = room.join((&mut manager, desk), agency, Role::Reader, 2);
        let grant = manager.grant(team, worker.user(), Role::Manager);
        assert_appended(&room.put(desk, &grant));
        learn(&mut worker, &room.take(line));
        let case = room.case((&mut manager, desk), team);
        learn(&mut worker, &room.take(line));
        let left = revoke(&mut room, (&mut worker, line), team, manager.user());
        manager.learn(&left.op);
        room.take(desk);
        Self { room, manager, desk, worker, line, team, case }
    }

    /// The worker decides something on the case, of which the Manager hears nothing.
    fn grow(&mut self) -> Put {
        let grant = self.worker.grant(self.case, self.worker.user(), Role::Reader);
        assert_appended(&self.room.put(self.line, &grant));
        grant
    }
}

fn grant(subject: ChainId, role: Role) -> Body {
    Body::Grant(Grant { subject, role, expires: None, sealed_purpose: None })
}

#[test]
fn whoever_has_authority_over_a_document_that_he_does_not_read_is_handed_what_was_decided_in_it_once_he_decides() {
    let mut above = Above::new();
    let newest = above.grow();
    let written = above.worker.chunk(above.case, 0, None, &[], 10);
    above.room.put_chunk(above.line, &written);
    assert_eq!(above.room.take(above.desk), [], "he reads nothing of it, and is handed nothing");
    let (case, worker) = (above.case, above.worker.user());

    let late = above.manager.draft(case, grant(worker, Role::Editor));
    assert_eq!(above.room.put(above.desk, &late), OpOutcome::HeadMoved(newest.id()));
    let downs = above.room.take(above.desk);
    let [(of, upto)] = visible(&downs)[..] else { panic!("{downs:?}") };
    assert_eq!(of, case);
    above.room.up(above.desk, Up::Backfill { document: case, after: Position(0), upto });
    let downs = above.room.take(above.desk);
    assert!(op_ids(&downs).contains(&newest.id()));
    let is_wrap = |entry: &PolicyEntry| matches!(entry, PolicyEntry::Wrap { .. });
    assert!(!entries(&downs).iter().any(is_wrap) && chunks(&downs).is_empty(), "{downs:?}");
    let end = |down: &Down| matches!(down, Down::BackfillPart { cursor, .. } if *cursor == upto);
    assert!(downs.iter().any(end), "it comes to its end");
    learn(&mut above.manager, &downs);
    let anew = above.manager.append(case, grant(worker, Role::Editor));
    assert_appended(&above.room.put(above.desk, &anew));
}

#[test]
fn whoever_has_no_say_in_a_document_any_more_is_told_so_where_its_chain_has_grown() {
    let mut above = Above::new();
    let mut before = above.worker.clone();
    let (case, team, user) = (above.case, above.team, above.worker.user());
    revoke(&mut above.room, (&mut above.manager, above.desk), team, user);
    let grant_by_manager = above.manager.grant(case, above.manager.user(), Role::Reader);
    assert_appended(&above.room.put(above.desk, &grant_by_manager));
    let late = before.append(case, grant(above.manager.user(), Role::Editor));
    assert_eq!(above.room.put(above.line, &late), OpOutcome::Refused(RefusalCode::NotAuthorized));
    assert_eq!(visible(&above.room.take(above.line)), []);
    // Nor does he get it by asking; what was decided while he belonged to it he has.
    above.room.up(above.line, Up::Backfill { document: case, after: Position(0), upto: Position(u64::MAX) });
    let handed = op_ids(&above.room.take(above.line));
    assert!(!handed.contains(&grant_by_manager.id()), "{handed:?}");
}
