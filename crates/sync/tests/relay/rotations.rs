//! Rotations: what the relay takes under which epoch.

use std::time::Duration;

use vereda_base::Digest;
use vereda_policy::{Role, Target, epoch_targets};
use vereda_protocol::{ChunkOutcome, Down, OpOutcome, PolicyEntry, RefusalCode};
use vereda_sync::people::NOW;

use super::room::{Room, assert_appended, entries, learn, refused, revoke, rotate};

#[test]
fn a_chunk_under_a_stale_epoch_is_refused_until_the_whole_way_down_is_rotated() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let (mut worker, worker_id) = room.join((&mut manager, id), team.chain(), Role::Editor, 2);
    let (leaver, _) = room.join((&mut manager, id), team.chain(), Role::Editor, 3);
    let case = room.case((&mut manager, id), team.chain());
    learn(&mut worker, &room.take(worker_id));
    let chunk = worker.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(worker_id, &chunk), ChunkOutcome::Durable);
    revoke(&mut room, (&mut manager, id), team.chain(), leaver.user());
    let stale = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &stale), refused(RefusalCode::StaleEpoch));
    let early = manager.clone().rotate(case);
    assert_appended(&room.put(id, &manager.rotate(team.chain())));
    assert!(matches!(room.put(id, &early), OpOutcome::Refused(RefusalCode::Outdated)));
    assert_eq!(room.put_chunk(id, &stale), refused(RefusalCode::StaleEpoch));
    rotate(&mut room, (&mut manager, id), case);
    assert_eq!(room.put_chunk(id, &stale), refused(RefusalCode::StaleEpoch), "still sealed under the old one");
    let fresh = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &fresh), ChunkOutcome::Durable);
}

#[test]
fn a_role_that_runs_out_makes_the_epoch_stale_by_itself() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let (helper, _) = room.join((&mut manager, id), agency, Role::Reader, 3);
    let case = room.case((&mut manager, id), team.chain());
    let expires = NOW.saturating_add(Duration::from_secs(60));
    let grant = manager.grant_until(team.chain(), helper.user(), Role::Editor, expires);
    assert_appended(&room.put(id, &grant));
    let given = Target { recipient: Digest(helper.user().0), epoch: 0 };
    let repair = manager.repair(team.chain(), &[given]);
    assert_appended(&room.put(id, &repair));
    let first = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &first), ChunkOutcome::Durable);
    room.now.wall = expires;
    let link = vereda_sync::people::link_of(&first);
    let next = manager.chunk(case, 1, Some(link), &[link], 300);
    assert_eq!(room.put_chunk(id, &next), refused(RefusalCode::StaleEpoch));
}

#[test]
fn the_key_before_reaches_all_who_read_the_chain() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let (mut worker, worker_id) = room.join((&mut manager, id), team.chain(), Role::Editor, 2);
    let (leaver, leaver_id) = room.join((&mut manager, id), team.chain(), Role::Editor, 3);
    let (outsider, outsider_id) = room.join((&mut manager, id), agency, Role::Reader, 4);
    let case = room.case((&mut manager, id), team.chain());
    revoke(&mut room, (&mut manager, id), team.chain(), leaver.user());
    for id in [worker_id, leaver_id, outsider_id] {
        room.take(id);
    }
    rotate(&mut room, (&mut manager, id), case);
    let previous = |downs: &[Down]| -> Vec<Digest> {
        let of = |entry: PolicyEntry| match entry {
            PolicyEntry::Wrap { chain, wrap, .. } if wrap.recipient.0 == chain.0 => Some(wrap.recipient),
            _ => None,
        };
        entries(downs).into_iter().filter_map(of).collect()
    };
    let both = [Digest(team.chain().0), Digest(case.0)];
    let live = room.take(worker_id);
    learn(&mut worker, &live);
    assert_eq!(previous(&live), both);
    assert_eq!(previous(&room.take(leaver_id)), []);
    assert_eq!(previous(&room.take(outsider_id)), []);
    let again = room.connect_member(&worker);
    assert_eq!(previous(&room.pull(again, 0, 0)), both);
    let again = room.connect_member(&outsider);
    assert_eq!(previous(&room.pull(again, 0, 0)), []);
}

#[test]
fn wraps_and_previous_key_of_a_rotation_must_be_what_it_says() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let (worker, _) = room.join((&mut manager, id), team.chain(), Role::Editor, 2);
    let fresh = manager.clone().rotate(team.chain());
    assert_eq!(room.put(id, &fresh), OpOutcome::Refused(RefusalCode::Outdated), "nobody has left");
    let (leaver, _) = room.join((&mut manager, id), team.chain(), Role::Editor, 3);
    revoke(&mut room, (&mut manager, id), team.chain(), leaver.user());
    let targets = epoch_targets(&manager.chains, &team.chain(), Some(NOW));
    let mut put = manager.draft_rotation(team.chain(), targets.clone());
    put.wraps.pop();
    assert_eq!(room.put(id, &put), OpOutcome::Refused(RefusalCode::Malformed));
    let none = vec![None; targets.len()];
    let put = manager.draft_rotation(team.chain(), none);
    assert_eq!(room.put(id, &put), OpOutcome::Refused(RefusalCode::Outdated));
    let put = manager.rotate(team.chain());
    assert_appended(&room.put(id, &put));
    let again = Target { recipient: Digest(worker.user().0), epoch: 0 };
    let put = manager.clone().repair(team.chain(), &[again]);
    assert_eq!(room.put(id, &put), OpOutcome::Refused(RefusalCode::Repeated));
    let later = Target { recipient: Digest(worker.user().0), epoch: 1 };
    let put = manager.clone().repair(team.chain(), &[later]);
    assert_eq!(room.put(id, &put), OpOutcome::Refused(RefusalCode::Outdated));
}

#[test]
fn a_repair_of_a_stale_epoch_is_outdated() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let (leaver, _) = room.join((&mut manager, id), team.chain(), Role::Editor, 3);
    let (worker, _) = room.join((&mut manager, id), team.chain(), Role::Editor, 2);
    revoke(&mut room, (&mut manager, id), team.chain(), leaver.user());
    let target = Target { recipient: Digest(worker.user().0), epoch: 0 };
    let put = manager.clone().repair(team.chain(), &[target]);
    assert_eq!(room.put(id, &put), OpOutcome::Refused(RefusalCode::Outdated));
}

#[test]
fn a_group_begins_without_the_key_before_it_only_where_nobody_has_that() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let team = team.chain();
    let (mut worker, worker_id) = room.join((&mut manager, id), team, Role::Editor, 2);
    let begin_anew = |worker: &mut vereda_sync::people::Person| {
        let targets = epoch_targets(&worker.chains, &team, Some(NOW));
        worker.draft_rotation_anew(team, targets)
    };
    let early = begin_anew(&mut worker);
    assert_eq!(room.put(worker_id, &early), OpOutcome::Refused(RefusalCode::Outdated));
    let user = manager.user();
    revoke(&mut room, (&mut manager, id), team, user);
    learn(&mut worker, &room.take(worker_id));
    let anew = begin_anew(&mut worker);
    assert_appended(&room.put(worker_id, &anew));
}
