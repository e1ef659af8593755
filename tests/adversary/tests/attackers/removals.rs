//! What somebody still can do whose rights have ended, and what the remover cannot.

use vereda_adversary::{
    Member, Office, forge,
    office::{assert_appended, refused},
};
use vereda_base::{ChainId, Digest};
use vereda_crypto::{DeviceKey, Signature, Signed};
use vereda_policy::{Body, FrontierTree, Leaf, LeafAnswer, Place, RemoveDevice, Revoke, Role};
use vereda_protocol::{Chunk, ChunkOutcome, Down, Leaves, OfferedLeaf, OpOutcome, PolicyEntry, RefusalCode, Up};
use vereda_sync::people::link_of;

/// A worker who wrote into a case, a colleague who writes too; both know everything.
pub struct Case {
    // Lines are hung up before the relay is stopped: it waits for whoever listens.
    pub worker: Member,
    pub colleague: Member,
    pub office: Office,
    pub case: ChainId,
    pub first: Chunk,
}

impl Case {
    pub fn open() -> Self {
        let mut office = Office::open();
        let mut worker = office.join(office.team, Role::Editor);
        let mut colleague = office.join(office.team, Role::Editor);
        let case = office.case(office.team);
        office.brief(&mut worker);
        office.brief(&mut colleague);
        let first = worker.person.chunk(case, 0, None, &[], 300);
        assert_eq!(worker.line.put_chunk(&first), ChunkOutcome::Durable);
        Self { worker, colleague, office, case, first }
    }

    /// The worker's next chunk, at the heads that he knows.
    pub fn next(&mut self) -> Chunk {
        let link = link_of(&self.first);
        self.worker.person.chunk(self.case, 1, Some(link), &[link], 300)
    }

    /// Ends the worker's role in the team; he comes back and asks for what is new.
    pub fn revoke(&mut self) -> (vereda_sync::people::Put, Vec<Leaf>) {
        let revoked = self.office.revoke(self.office.team, self.worker.person.user(), None);
        self.office.brief(&mut self.colleague);
        self.office.reconnect(&mut self.worker);
        revoked
    }

    /// Gives team and case new keys.
    pub fn rotate(&mut self) {
        self.office.rotate(&[self.office.team, self.case]);
        self.office.brief(&mut self.colleague);
    }
}

#[test]
fn what_a_revoked_member_hands_in_awaits_a_manager_and_reaches_nobody_else() {
    let mut room = Case::open();
    let late = room.next();
    room.revoke();
    assert_eq!(room.worker.line.put_chunk(&late), ChunkOutcome::InReview);
    room.office.manager.line.hear_until(|down| match down {
        Down::Policy { entries, .. } => entries.iter().any(is_review).then_some(()),
        _ => None,
    });
    assert_eq!(room.office.manager.line.reviews(), [link_of(&late)]);
    room.colleague.fence();
    assert!(room.colleague.line.reviews().is_empty() && !room.colleague.line.links().contains(&link_of(&late)));
    room.rotate();
    let honest = room.colleague.person.chunk(room.case, 0, None, &[link_of(&room.first)], 300);
    assert_eq!(room.colleague.line.put_chunk(&honest), ChunkOutcome::Durable);
}

const fn is_review(entry: &PolicyEntry) -> bool {
    matches!(entry, PolicyEntry::Review { .. })
}

#[test]
fn a_revoked_member_is_sent_nothing_that_was_made_afterwards() {
    let mut room = Case::open();
    room.revoke();
    room.rotate();
    room.worker.line.heard.clear();
    let after = room.office.write(room.case, 0, None);
    room.colleague.line.hear_chunk(&after);
    room.worker.fence();
    let asks = Up::Backfill {
        document: room.case,
        after: vereda_protocol::Position(0),
        upto: vereda_protocol::Position(1_000),
    };
    room.office.reconnect(&mut room.worker);
    room.worker.line.say(&asks);
    room.worker.fence();
    assert!(!room.worker.line.links().contains(&link_of(&after)));
    // Wraps of the new keys neither.
    let is_new = |entry: &PolicyEntry| match entry {
        PolicyEntry::Wrap { chain, op, .. } => [room.office.team, room.case].contains(chain) && op.0 != chain.0,
        _ => false,
    };
    assert!(!room.worker.line.entries().iter().any(is_new));
}

#[test]
fn a_member_who_was_made_a_reader_hands_in_for_review_and_goes_on_reading() {
    let mut room = Case::open();
    let late = room.next();
    room.office.revoke(room.office.team, room.worker.person.user(), Some(Role::Reader));
    assert_eq!(room.worker.line.put_chunk(&late), ChunkOutcome::InReview);
    room.office.brief(&mut room.worker);
    let mut header = room.worker.person.header(room.case, 1, Some(link_of(&room.first)), &[], 300);
    header.cites = forge::cites(&room.worker.person, &[room.case, room.office.team, room.worker.person.user()]);
    let as_reader = room.worker.person.seal(&header, 300);
    assert_eq!(room.worker.line.put_chunk(&as_reader), refused(RefusalCode::NotAuthorized));
    room.rotate();
    let written = room.office.write(room.case, 0, None);
    room.worker.line.hear_chunk(&written);
}

#[test]
fn an_operation_that_cites_heads_from_before_its_authors_removal_is_not_appended() {
    let mut office = Office::open();
    let mut leader = office.join(office.team, Role::Manager);
    let case = office.case(office.team);
    office.brief(&mut leader);
    let user = office.manager.person.user();
    let stale = leader.person.draft(case, forge::grant(user, Role::Reader));
    let early = leader.person.draft(case, forge::grant(leader.person.user(), Role::Reader));
    office.put(&mut leader, &early);
    let late = forge::changed(&leader.person, &stale, |op| (op.seq, op.prev) = (2, Some(early.id())));
    office.revoke(office.team, leader.person.user(), None);
    leader.line.say(&Up::PutOp { request: 88, op: late.op.signed().clone(), wraps: Vec::new() });
    assert!(leader.line.is_refused(88));
    let honest = office.manager.person.draft(case, forge::grant(user, Role::Reader));
    office.put_as_manager(&honest);
}

#[test]
fn a_frontier_is_exactly_what_the_relay_has_committed_or_is_not_appended() {
    let mut room = Case::open();
    let (team, worker) = (room.office.team, room.worker.person.user());
    let attempt = |office: &mut Office, leaves: &[Leaf]| {
        let frontier = forge::frontier(leaves);
        let revoke = Revoke { subject: worker, keeps: None, successor: None, frontier };
        let cites = forge::cites(&office.manager.person, &[office.manager.person.user()]);
        let put = forge::op(&office.manager.person, team, cites, Body::Revoke(revoke));
        office.manager.line.put(&put)
    };
    let OpOutcome::FrontierMoved(offer) = attempt(&mut room.office, &[]) else { panic!("an offer") };
    let place = Place::Content {
        document: room.case,
        device: room.worker.person.device(),
        incarnation: room.worker.person.incarnation,
    };
    assert!(offer.contains(&OfferedLeaf { place, seq: 0, id: Digest(link_of(&room.first).0) }), "{offer:?}");
    assert!(offer.iter().all(|leaf| leaf.place.device() == room.worker.person.device()), "nobody else's");
    let leaves: Vec<Leaf> = offer.iter().map(OfferedLeaf::leaf).collect();
    let lies: [fn(&mut Vec<Leaf>); 4] = [
        |leaves| leaves.truncate(leaves.len() - 1),
        |leaves| leaves[0].seq += 1,
        |leaves| leaves[0].id.0[0] ^= 1,
        |leaves| leaves.push(Leaf { key: Digest([0xff; 32]), seq: 0, id: Digest([1; 32]) }),
    ];
    for lie in lies {
        let mut altered = leaves.clone();
        lie(&mut altered);
        assert_eq!(attempt(&mut room.office, &altered), OpOutcome::FrontierMoved(offer.clone()));
    }
    // What comes in between moves it.
    let next = room.next();
    assert_eq!(room.worker.line.put_chunk(&next), ChunkOutcome::Durable);
    let OpOutcome::FrontierMoved(moved) = attempt(&mut room.office, &leaves) else { panic!("it moved") };
    let leaves: Vec<Leaf> = moved.iter().map(OfferedLeaf::leaf).collect();
    assert_appended(&attempt(&mut room.office, &leaves));
}

#[test]
fn who_reads_is_told_of_places_that_he_may_see_and_of_no_others() {
    let mut room = Case::open();
    let other = room.office.other_team();
    let user = room.worker.person.user();
    let theirs = room.office.case(other);
    let grant = room.office.manager.person.grant(theirs, user, Role::Editor);
    room.office.put_as_manager(&grant);
    room.office.brief(&mut room.worker);
    let hidden = room.worker.person.chunk(theirs, 0, None, &[], 300);
    assert_eq!(room.worker.line.put_chunk(&hidden), ChunkOutcome::Durable);
    let (removal, leaves) = room.revoke();
    let key = |chunk: &Chunk| {
        let header = vereda_adversary::line::header_of(chunk);
        Place::Content { document: header.document, device: header.device, incarnation: header.incarnation }.key()
    };
    let [seen, unseen] = [key(&room.first), key(&hidden)];
    let tree = FrontierTree::new(leaves);
    assert!([seen, unseen].iter().all(|key| matches!(tree.prove(key), LeafAnswer::Present(_))));
    let mut outsider = room.office.join(room.office.agency, Role::Reader);
    let mut manager = room.office.join(other, Role::Reader);
    let told = |member: &mut Member| {
        room.office.reconnect(member);
        let leaves = member.line.entries().into_iter().flat_map(|entry| match entry {
            PolicyEntry::Frontier { leaves: Leaves::All(leaves), .. } => leaves,
            PolicyEntry::Frontier { leaves: Leaves::Some(leaves), .. } => leaves.iter().map(|leaf| leaf.leaf).collect(),
            _ => Vec::new(),
        });
        let keys: Vec<Digest> = leaves.map(|leaf| leaf.key).collect();
        [keys.contains(&seen), keys.contains(&unseen)]
    };
    assert_eq!(told(&mut room.colleague), [true, false]);
    assert_eq!(told(&mut manager), [false, true]);
    assert_eq!(told(&mut outsider), [false, false]);
    // Whoever asks must know the place; the answer is proven.
    let keys = vec![seen, Digest([7; 32])];
    let ask = Up::AskLeaves { chain: removal.chain(), removal: removal.id(), keys: keys.clone() };
    room.colleague.line.say(&ask);
    let answers = room.colleague.line.hear_until(|down| match down {
        Down::Leaves { answers, .. } => Some(answers.clone()),
        _ => None,
    });
    assert_eq!(answers, keys.iter().map(|key| (*key, tree.prove(key))).collect::<Vec<_>>());
}

#[test]
fn leaves_of_another_agencys_removal_are_told_to_nobody() {
    let mut room = Case::open();
    let (mut stranger, _) = room.office.found_another();
    let (removal, leaves) = room.revoke();
    let ask = Up::AskLeaves { chain: removal.chain(), removal: removal.id(), keys: vec![leaves[0].key] };
    let answer = |down: &Down| match down {
        Down::Leaves { answers, .. } => Some(answers.len()),
        _ => None,
    };
    stranger.line.say(&ask);
    assert_eq!(stranger.line.hear_until(answer), 0);
    room.colleague.line.say(&ask);
    assert_eq!(room.colleague.line.hear_until(answer), 1);
}

#[test]
fn a_removed_device_hands_in_for_review_and_signs_nothing_else() {
    let mut room = Case::open();
    let late = room.next();
    let second = room.office.add_device(&mut room.worker, vereda_policy::DeviceKind::Full);
    let mut second = second;
    let (user, device) = (room.worker.person.user(), room.worker.person.device());
    let remove = |frontier| Body::RemoveDevice(RemoveDevice { device, frontier });
    room.office.remove(&mut second, user, &[], remove).unwrap();
    room.office.reconnect(&mut room.worker);
    assert_eq!(room.worker.line.put_chunk(&late), ChunkOutcome::InReview);
    room.office.brief(&mut room.worker);
    let cites = forge::cites(&room.worker.person, &[room.office.team, user]);
    let grant = forge::op(&room.worker.person, room.case, cites, forge::grant(user, Role::Manager));
    room.worker.line.say(&Up::PutOp { request: 88, op: grant.op.signed().clone(), wraps: Vec::new() });
    assert!(room.worker.line.is_refused(88));
    let new = DeviceKey::from_seed(&[70; 32]);
    let add = forge::add_device(&second.person, &new, vereda_policy::DeviceKind::Full);
    room.office.put(&mut second, &add);
}

#[test]
fn nobody_tampers_with_a_chunk_on_its_way_to_review() {
    let mut room = Case::open();
    let late = room.next();
    room.revoke();
    let forged = Chunk {
        header: Signed::from_parts(late.header.bytes().to_vec(), Signature([1; 64])),
        ciphertext: late.ciphertext.clone(),
    };
    assert_eq!(room.worker.line.put_chunk(&forged), refused(RefusalCode::BadSignature));
    let by_another = room.colleague.line.put_chunk(&late);
    assert_eq!(by_another, refused(RefusalCode::NotAuthorized), "nor hands in what is not his");
    assert_eq!(room.worker.line.put_chunk(&late), ChunkOutcome::InReview);
    assert_eq!(room.worker.line.put_chunk(&late), ChunkOutcome::InReview, "a retry is answered as the first time");
}

#[test]
fn a_revoked_member_does_not_come_back_by_an_old_invite_but_by_a_new_grant() {
    let mut office = Office::open();
    let person = office.stranger();
    let invite = office.invite(office.team, Role::Editor, 50);
    let mut worker = office.join_by(person, office.team, invite, 50).unwrap();
    let user = worker.person.user();
    office.revoke(office.team, user, None);
    office.brief(&mut worker);
    office.reconnect(&mut worker);
    let accept = worker.person.draft(
        office.team,
        Body::Accept(vereda_policy::Accept::with_key(
            invite,
            user,
            worker.person.device(),
            &vereda_sync::people::invite_key(50),
        )),
    );
    worker.line.say(&Up::PutOp { request: 88, op: accept.op.signed().clone(), wraps: Vec::new() });
    assert!(worker.line.is_refused(88));
    let grant = office.manager.person.grant(office.team, user, Role::Editor);
    office.put_as_manager(&grant);
    let case = office.case(office.team);
    office.brief(&mut worker);
    office.reconnect(&mut worker);
    office.rotate(&[office.team, case]);
    office.brief(&mut worker);
    let again = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&again), ChunkOutcome::Durable);
}
