//! Removals: what they must name, who hears of them, and what a removed device still gets.

use vereda_base::{ChainId, Digest, OpId};
use vereda_policy::{Body, DeviceKind, FrontierTree, LeafAnswer, Place, Revoke, Role, verify_all_leaves};
use vereda_protocol::{
    Chunk, ChunkOutcome, Down, Leaves, OfferedLeaf, OpOutcome, PolicyEntry, Position, RefusalCode, Up,
};
use vereda_sync::people::{Person, Put, link_of, nothing_stands};
use vereda_sync::relay::{RelayStore, SessionId, StoreError, store::Entry};

use super::room::{Room, assert_appended, chunks, entries, learn, op_ids, remove, revoke};

/// A team with a Manager and a worker, who wrote in two cases of the team.
struct Team {
    room: Room,
    manager: Person,
    manager_id: SessionId,
    worker: Person,
    worker_id: SessionId,
    agency: ChainId,
    team: ChainId,
    cases: [ChainId; 2],
    written: Vec<Chunk>,
}

impl Team {
    fn new() -> Self {
        let (mut room, mut manager, manager_id, agency) = Room::founded();
        let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
        assert_appended(&room.put(manager_id, &team));
        let team = team.chain();
        let (mut worker, worker_id) = room.join((&mut manager, manager_id), team, Role::Editor, 2);
        let first = room.case((&mut manager, manager_id), team);
        let second = room.case((&mut manager, manager_id), team);
        learn(&mut worker, &room.take(worker_id));
        let chunk = worker.chunk(first, 0, None, &[], 300);
        let next = worker.chunk(first, 1, Some(link_of(&chunk)), &[link_of(&chunk)], 300);
        let other = worker.chunk(second, 0, None, &[], 300);
        let written = vec![chunk, next, other];
        for chunk in &written {
            assert_eq!(room.put_chunk(worker_id, chunk), ChunkOutcome::Durable);
        }
        room.take(manager_id);
        room.take(worker_id);
        Self { room, manager, manager_id, worker, worker_id, agency, team, cases: [first, second], written }
    }

    fn revoke(&mut self) -> (Put, Vec<OfferedLeaf>) {
        let (team, subject) = (self.team, self.worker.user());
        remove(&mut self.room, (&mut self.manager, self.manager_id), &|person, frontier| {
            person.draft(team, Body::Revoke(Revoke { subject, keeps: None, successor: None, frontier }))
        })
    }
}

fn leaves(downs: &[Down]) -> Vec<(OpId, Leaves)> {
    let of = |entry: PolicyEntry| match entry {
        PolicyEntry::Frontier { removal, leaves, .. } => Some((removal, leaves)),
        _ => None,
    };
    entries(downs).into_iter().filter_map(of).collect()
}

#[test]
fn a_removal_from_a_group_names_all_that_its_devices_wrote() {
    let mut t = Team::new();
    let (_, offered) = t.revoke();
    let (device, incarnation) = (t.worker.device(), t.worker.incarnation);
    let content = |document: ChainId, last: &Chunk, seq| OfferedLeaf {
        place: Place::Content { document, device, incarnation },
        seq,
        id: Digest(link_of(last).0),
    };
    for leaf in [content(t.cases[0], &t.written[1], 1), content(t.cases[1], &t.written[2], 0)] {
        assert!(offered.contains(&leaf), "{leaf:?} is missing");
    }
    let chains: Vec<ChainId> = offered.iter().map(|leaf| leaf.place.chain()).collect();
    assert_eq!(offered.len(), 4, "two cases, the user's chain and the acceptance in the team's: {offered:?}");
    assert!(chains.contains(&t.team) && chains.contains(&t.worker.user()));
}

#[test]
fn a_removal_from_a_document_names_what_was_written_in_that_document_alone() {
    let mut t = Team::new();
    let case = t.cases[0];
    let grant = t.manager.grant(case, t.manager.user(), Role::Manager);
    assert_appended(&t.room.put(t.manager_id, &grant));
    let team = t.team;
    let (_, offered) = remove(&mut t.room, (&mut t.manager, t.manager_id), &|person, frontier| {
        person.draft(case, Body::Revoke(Revoke { subject: team, keeps: None, successor: None, frontier }))
    });
    assert!(offered.iter().all(|leaf| leaf.place.chain() == case), "{offered:?}");
    assert!(offered.iter().any(|leaf| leaf.place.device() == t.worker.device()));
    assert!(offered.iter().any(|leaf| leaf.place.device() == t.manager.device()), "the Manager is in the team too");
}

#[test]
fn what_came_in_between_is_offered_anew() {
    let mut t = Team::new();
    let sign = |t: &Team, frontier| {
        let (subject, keeps, successor) = (t.worker.user(), None, None);
        t.manager.draft(t.team, Body::Revoke(Revoke { subject, keeps, successor, frontier }))
    };
    let first = sign(&t, nothing_stands());
    let OpOutcome::FrontierMoved(offered) = t.room.put(t.manager_id, &first) else { panic!("expected an offer") };
    let signed = sign(&t, FrontierTree::new(offered.iter().map(OfferedLeaf::leaf)).frontier());
    let late = t.worker.chunk(t.cases[1], 1, Some(link_of(&t.written[2])), &[], 300);
    assert_eq!(t.room.put_chunk(t.worker_id, &late), ChunkOutcome::Durable);
    let OpOutcome::FrontierMoved(offered) = t.room.put(t.manager_id, &signed) else { panic!("expected an offer") };
    assert!(offered.iter().any(|leaf| leaf.id == Digest(link_of(&late).0)));
    let signed = sign(&t, FrontierTree::new(offered.iter().map(OfferedLeaf::leaf)).frontier());
    assert_appended(&t.room.put(t.manager_id, &signed));
}

#[test]
fn leaves_follow_the_removal_live_and_from_the_log() {
    let mut t = Team::new();
    let (reader, reader_id) = t.room.join((&mut t.manager, t.manager_id), t.agency, Role::Reader, 3);
    t.room.take(reader_id);
    let (put, offered) = t.revoke();
    let frontier = FrontierTree::new(offered.iter().map(OfferedLeaf::leaf)).frontier();
    let own = leaves(&t.room.take(t.manager_id));
    let [(removal, Leaves::All(all))] = own.as_slice() else { panic!("{own:?}") };
    assert_eq!(*removal, put.id());
    verify_all_leaves(&frontier, all).unwrap();
    // Whoever may not read the cases gets the leaves of what he may see, with their proofs.
    let live = leaves(&t.room.take(reader_id));
    let [(_, Leaves::Some(some))] = live.as_slice() else { panic!("{live:?}") };
    assert!(some.iter().all(|proven| proven.holds(&frontier)));
    let hidden: Vec<Digest> =
        offered.iter().filter(|leaf| t.cases.contains(&leaf.place.chain())).map(|leaf| leaf.place.key()).collect();
    assert_eq!((some.len(), hidden.len()), (2, 2));
    assert!(some.iter().all(|proven| !hidden.contains(&proven.leaf.key)));
    let again = t.room.connect_member(&reader);
    assert_eq!(leaves(&t.room.pull(again, 0, 0)), live);
}

#[test]
fn a_backfill_holds_the_leaves_of_that_document() {
    let mut t = Team::new();
    let (put, _) = t.revoke();
    let (late, late_id) = t.room.join((&mut t.manager, t.manager_id), t.team, Role::Editor, 3);
    let upto = t.room.store.end().unwrap();
    t.room.take(late_id);
    t.room.up(late_id, Up::Backfill { document: t.cases[1], after: Position(0), upto });
    let downs = t.room.take(late_id);
    let found = leaves(&downs);
    let [(removal, Leaves::Some(some))] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((*removal, some.len()), (put.id(), 1));
    assert_eq!(some[0].leaf.id, Digest(link_of(&t.written[2]).0));
    assert_eq!(chunks(&downs).len(), 1);
    drop(late);
}

#[test]
fn a_question_for_leaves_is_answered_with_proofs() {
    let mut t = Team::new();
    let (put, offered) = t.revoke();
    let frontier = FrontierTree::new(offered.iter().map(OfferedLeaf::leaf)).frontier();
    let (present, absent) = (offered[0].place.key(), Digest([77; 32]));
    let ask = |room: &mut Room, id, removal, keys: Vec<Digest>, chain| {
        room.take(id);
        room.up(id, Up::AskLeaves { chain, removal, keys });
        let down = room.take(id);
        let [Down::Leaves { answers, .. }] = down.as_slice() else { panic!("{down:?}") };
        answers.clone()
    };
    let answers = ask(&mut t.room, t.manager_id, put.id(), vec![absent, present], t.team);
    let verified: Vec<_> =
        answers.iter().map(|(key, answer): &(Digest, LeafAnswer)| answer.verify(&frontier, key)).collect();
    assert_eq!(verified, [Ok(None), Ok(Some(offered[0].leaf()))]);
    assert_eq!(ask(&mut t.room, t.manager_id, OpId([9; 32]), vec![present], t.team), []);
    assert_eq!(ask(&mut t.room, t.manager_id, put.id(), vec![present], t.agency), []);
}

#[test]
fn the_removed_hears_of_it_and_then_of_nothing_more() {
    let mut t = Team::new();
    let (put, _) = t.revoke();
    let live = t.room.take(t.worker_id);
    assert_eq!(op_ids(&live), [put.id()]);
    assert_eq!(leaves(&live), []);
    let chunk = t.manager.chunk(t.cases[0], 0, None, &[], 300);
    assert_eq!(t.room.put_chunk(t.manager_id, &chunk), ChunkOutcome::Refused(RefusalCode::StaleEpoch));
    super::room::rotate(&mut t.room, (&mut t.manager, t.manager_id), t.cases[0]);
    let chunk = t.manager.chunk(t.cases[0], 0, None, &[], 300);
    assert_eq!(t.room.put_chunk(t.manager_id, &chunk), ChunkOutcome::Durable);
    let invite = t.manager.invite(t.agency, Role::Reader, 9, vereda_base::Timestamp(i64::MAX));
    assert_appended(&t.room.put(t.manager_id, &invite));
    assert_eq!(t.room.take(t.worker_id), []);
    // The same from the log.
    let again = t.room.connect_member(&t.worker);
    let downs = t.room.pull(again, 0, 0);
    let served = op_ids(&downs);
    assert!(served.contains(&put.id()) && !served.contains(&invite.id()));
    assert_eq!(served.last(), Some(&put.id()));
    assert_eq!(chunks(&downs), []);
    assert_eq!(t.room.goodbye(again), None);
}

#[test]
fn a_device_taken_from_its_user_hears_of_it_while_the_others_go_on() {
    let mut t = Team::new();
    let (add, mut phone) = t.worker.add_device(12, DeviceKind::Full);
    assert_appended(&t.room.put(t.worker_id, &add));
    phone.learn(&add.op);
    let phone_id = t.room.connect_member(&phone);
    t.room.pull(phone_id, 0, 0);
    let (user, device) = (t.worker.user(), phone.device());
    let (put, offered) = remove(&mut t.room, (&mut t.worker, t.worker_id), &|person, frontier| {
        person.draft_removal(user, device, &[], frontier)
    });
    assert_eq!(offered, [], "the phone wrote nothing");
    assert_eq!(op_ids(&t.room.take(phone_id)), [put.id()]);
    let beacon = t.manager.beacon(t.agency, t.manager.now);
    assert_appended(&t.room.put(t.manager_id, &beacon));
    assert_eq!(op_ids(&t.room.take(t.worker_id)), [beacon.id()]);
    assert_eq!(t.room.take(phone_id), []);
    let unknown = t.room.connect_member(&Person::new(99));
    assert_eq!(t.room.goodbye(unknown), Some(vereda_protocol::Goodbye::UnknownDevice));
}

#[test]
fn a_recovery_key_sees_policy_and_its_own_wraps() {
    let mut t = Team::new();
    let (add, mut printed) = t.worker.add_device(13, DeviceKind::Recovery);
    assert_appended(&t.room.put(t.worker_id, &add));
    printed.learn(&add.op);
    let target = vereda_policy::Target { recipient: Digest(printed.device().0), epoch: 0 };
    let repair = t.worker.repair(t.worker.user(), &[target]);
    assert_appended(&t.room.put(t.worker_id, &repair));
    printed.learn(&repair.op);
    let id = t.room.connect_member(&printed);
    let downs = t.room.pull(id, 0, 0);
    let wraps: Vec<Digest> = entries(&downs)
        .iter()
        .filter_map(|entry| match entry {
            PolicyEntry::Wrap { wrap, .. } => Some(wrap.recipient),
            _ => None,
        })
        .collect();
    assert_eq!(wraps, [Digest(printed.device().0)]);
    assert_eq!(chunks(&downs), []);
    let served = op_ids(&downs);
    assert!(served.contains(&add.id()) && !served.contains(&OpId(t.cases[0].0)));
    // It adds a device in its user's name.
    let (add, _) = printed.add_device(14, DeviceKind::Full);
    assert_appended(&t.room.put(id, &add));
}

#[test]
fn a_commit_that_fails_leaves_neither_removal_nor_leaves() {
    let mut t = Team::new();
    let (team, subject) = (t.team, t.worker.user());
    let sign =
        |frontier| t.manager.draft(team, Body::Revoke(Revoke { subject, keeps: None, successor: None, frontier }));
    let OpOutcome::FrontierMoved(offered) = t.room.put(t.manager_id, &sign(nothing_stands())) else { panic!() };
    let put = sign(FrontierTree::new(offered.iter().map(OfferedLeaf::leaf)).frontier());
    let end = t.room.store.end().unwrap();
    t.room.up_only(t.manager_id, Up::PutOp { request: 9, op: put.op.signed().clone(), wraps: Vec::new() });
    assert_eq!(t.room.store.end().unwrap(), Position(end.0 + 2));
    assert!(matches!(t.room.store.entry(Position(end.0 + 2)), Ok(Some(Entry::Frontier { .. }))));
    t.room.store.fail_next_commit(StoreError::Full);
    assert_eq!(t.room.settle(), Some(StoreError::Full));
    assert_eq!(t.room.store.end().unwrap(), end);
    assert_eq!(t.room.store.frontiers_naming(&t.cases[0]), Ok(Vec::new()));
    // And the same is appended later.
    let id = t.room.connect_member(&t.manager);
    t.room.pull(id, end.0, end.0);
    assert_appended(&t.room.put(id, &put));
}

#[test]
fn whoever_leaves_by_himself_needs_nobody() {
    let mut t = Team::new();
    let (team, user) = (t.team, t.worker.user());
    let left = revoke(&mut t.room, (&mut t.worker, t.worker_id), team, user);
    assert_eq!(op_ids(&t.room.take(t.manager_id)), [left.id()]);
}

/// Asks for the pages of an offer, the first being asked for from `from`.
fn pages(room: &mut Room, id: SessionId, request: u64, from: u64) -> Vec<Vec<OfferedLeaf>> {
    let (mut pages, mut from) = (Vec::new(), from);
    loop {
        room.up(id, Up::AskOffer { request, from });
        let downs = room.take(id);
        let page = downs.into_iter().find_map(|down| match down {
            Down::Offer { request: of, from: at, leaves } if (of, at) == (request, from) => Some(leaves),
            _ => None,
        });
        let page = page.expect("a page");
        if page.is_empty() {
            return pages;
        }
        from += page.len() as u64;
        pages.push(page);
    }
}

#[test]
fn a_removal_of_more_places_than_fit_a_frame_is_offered_in_pages_and_reaches_every_reader() {
    let cases = 8_400;
    let mut t = Team::new();
    for _ in 0..cases {
        let put = t.worker.create_case(t.team);
        assert_appended(&t.room.put(t.worker_id, &put));
    }
    // They read on however long it takes.
    for id in [t.manager_id, t.worker_id] {
        t.room.up(id, Up::Credit(1 << 30));
        t.room.take(id);
    }
    let (reader, reader_id) = t.room.join((&mut t.manager, t.manager_id), t.agency, Role::Reader, 3);
    let (_, colleague_id) = t.room.join((&mut t.manager, t.manager_id), t.team, Role::Reader, 4);
    for id in [reader_id, colleague_id] {
        t.room.up(id, Up::Credit(1 << 30));
        t.room.take(id);
    }
    let sign = |t: &Team, frontier| {
        let (subject, keeps, successor) = (t.worker.user(), None, None);
        t.manager.draft(t.team, Body::Revoke(Revoke { subject, keeps, successor, frontier }))
    };
    let first = sign(&t, nothing_stands());
    let OpOutcome::FrontierPaged(offered) = t.room.put(t.manager_id, &first) else { panic!("expected an offer") };
    let request = 9;
    assert_eq!(pages(&mut t.room, t.worker_id, request, 0), Vec::<Vec<OfferedLeaf>>::new(), "it is another's");
    assert_eq!(pages(&mut t.room, t.manager_id, request + 1, 0), Vec::<Vec<OfferedLeaf>>::new());
    let pages_of_it = pages(&mut t.room, t.manager_id, request, 0);
    let leaves_of_it: Vec<OfferedLeaf> = pages_of_it.concat();
    assert_eq!(leaves_of_it.len(), cases + 4);
    assert!(leaves_of_it.is_sorted_by_key(|leaf| leaf.place.key()));
    let tree = FrontierTree::new(leaves_of_it.iter().map(OfferedLeaf::leaf));
    assert_eq!(tree.frontier(), offered);
    assert_eq!(pages(&mut t.room, t.manager_id, request, 0), Vec::<Vec<OfferedLeaf>>::new(), "it was handed out");
    let put = sign(&t, offered);
    assert_appended(&t.room.put(t.manager_id, &put));
    // Who reads the cases is served all of it, others what they may see; nobody is let go for it.
    let check = |downs: &[Down], count: usize| {
        let mut keys = std::collections::BTreeSet::new();
        for (removal, leaves) in leaves(downs) {
            assert_eq!(removal, put.id());
            match leaves {
                Leaves::All(_) => panic!("that fits no frame"),
                Leaves::Some(some) => {
                    keys.extend(some.iter().filter(|one| one.holds(&offered)).map(|one| one.leaf.key))
                }
                Leaves::Range(range) => {
                    assert!(range.holds(&offered));
                    keys.extend(range.leaves.iter().map(|leaf| leaf.key));
                }
            }
        }
        assert_eq!(keys.len(), count);
        assert!(!downs.iter().any(|down| matches!(down, Down::Goodbye(_))));
    };
    check(&t.room.take(t.manager_id), cases + 4);
    check(&t.room.take(colleague_id), cases + 4);
    check(&t.room.take(reader_id), 2);
    let again = t.room.connect_member(&reader);
    t.room.up(again, Up::Credit(1 << 30));
    check(&t.room.pull(again, 0, 0), 2);
}
