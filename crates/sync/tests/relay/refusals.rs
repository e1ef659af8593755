//! What a refusal tells whoever does not see the chain: nothing.

use vereda_base::{ChainId, OpId};
use vereda_crypto::Verified;
use vereda_policy::{BadRotate, Body, Cite, EpochFault, Expire, Op, Revoke, Role, SUITE};
use vereda_protocol::{OpOutcome, RefusalCode};
use vereda_sync::people::{Person, Put, nothing_stands};
use vereda_sync::relay::SessionId;

use super::room::{Room, assert_appended, learn, refused, revoke};

const NOTHING: OpOutcome = OpOutcome::Refused(RefusalCode::NotAuthorized);

/// An operation at a place in a document of which only the id is known: that is its first operation too.
fn probe(by: &Person, document: ChainId, seq: u64, body: Body) -> Put {
    let op = Op {
        suite: SUITE,
        chain: Some(document),
        seq,
        prev: Some(OpId(document.0)),
        device: by.device(),
        cites: Vec::<Cite>::new(),
        body,
    };
    Put { op: Verified::sign(&by.key, op).unwrap(), wraps: Vec::new() }
}

/// What somebody asks of a document by decisions that make no sense, or that only some may make.
fn probes(by: &Person, document: ChainId, subjects: &[ChainId]) -> Vec<Put> {
    let revoke = |subject| Revoke { subject, keeps: None, successor: None, frontier: nothing_stands() };
    let bad = |epoch| Body::BadRotate(BadRotate { epoch, fault: EpochFault::Wrap });
    let mut bodies: Vec<Body> = subjects.iter().map(|subject| Body::Revoke(revoke(*subject))).collect();
    bodies
        .extend(subjects.iter().map(|subject| Body::Expire(Expire { subject: *subject, frontier: nothing_stands() })));
    bodies.extend([bad(0), bad(1), Body::Erase]);
    let puts = bodies.into_iter().flat_map(|body| [1, 2, 9].map(|seq| probe(by, document, seq, body.clone())));
    puts.collect()
}

/// A team with a worker who has a section of her own, and somebody of another team.
struct Closed {
    room: Room,
    manager: Person,
    desk: SessionId,
    worker: Person,
    line: SessionId,
    nosy: Person,
    ear: SessionId,
    team: ChainId,
    section: ChainId,
}

impl Closed {
    fn new() -> Self {
        let (mut room, mut manager, desk, agency) = Room::founded();
        let [team, other] = [0; 2].map(|_| {
            let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
            assert_appended(&room.put(desk, &team));
            team.chain()
        });
        let (mut worker, line) = room.join((&mut manager, desk), team, Role::Manager, 2);
        learn(&mut worker, &room.take(line));
        let (mut nosy, ear) = room.join((&mut manager, desk), other, Role::Reader, 3);
        learn(&mut nosy, &room.take(ear));
        learn(&mut worker, &room.take(line));
        let section = worker.create_section(team, Role::Manager);
        assert_appended(&room.put(line, &section));
        learn(&mut manager, &room.take(desk));
        let section = section.chain();
        Self { room, manager, desk, worker, line, nosy, ear, team, section }
    }

    fn ask(&mut self, document: ChainId) -> Vec<OpOutcome> {
        let subjects = [self.worker.user(), self.manager.user(), self.nosy.user()];
        let puts = probes(&self.nosy, document, &subjects);
        puts.iter().map(|put| self.room.put(self.ear, put)).collect()
    }
}

#[test]
fn whoever_knows_the_id_of_a_closed_section_is_told_nothing_of_it_by_refusals() {
    let mut closed = Closed::new();
    let section = closed.section;
    let answers = closed.ask(section);
    assert_eq!(answers, vec![NOTHING; answers.len()]);
    let unknown = closed.ask(ChainId([9; 32]));
    assert_eq!(unknown, answers, "as of one that is none");
    // Nor whether it was begun, or erased meanwhile, by what he would write into it.
    let mut by_id = closed.nosy.clone();
    by_id.chains = closed.worker.chains.clone();
    let chunk = by_id.chunk(section, 0, None, &[], 300);
    assert_eq!(closed.room.put_chunk(closed.ear, &chunk), refused(RefusalCode::NotAuthorized));
    let erase = closed.worker.draft(section, Body::Erase);
    assert_appended(&closed.room.put(closed.line, &erase));
    assert_eq!(closed.room.put_chunk(closed.ear, &chunk), refused(RefusalCode::NotAuthorized));
    assert_eq!(closed.ask(section), answers);
}

#[test]
fn whoever_sees_a_chain_is_told_what_is_wrong_with_his_decision() {
    let mut closed = Closed::new();
    let (section, alone) = (closed.section, closed.worker.user());
    let revoke = |subject| Revoke { subject, keeps: None, successor: None, frontier: nothing_stands() };
    let leaves = closed.worker.draft(section, Body::Revoke(revoke(alone)));
    assert_eq!(closed.room.put(closed.line, &leaves), OpOutcome::Refused(RefusalCode::NobodyLeft));
    let nobody = closed.manager.draft(section, Body::Revoke(revoke(closed.nosy.user())));
    assert_eq!(closed.room.put(closed.desk, &nobody), OpOutcome::Refused(RefusalCode::Repeated), "he governs it");
}

#[test]
fn whoever_lost_his_role_is_told_that_he_may_not_and_nothing_of_what_became_of_it() {
    let mut closed = Closed::new();
    let case = closed.room.case((&mut closed.manager, closed.desk), closed.team);
    learn(&mut closed.worker, &closed.room.take(closed.line));
    let grant = closed.manager.grant(case, closed.nosy.user(), Role::Editor);
    assert_appended(&closed.room.put(closed.desk, &grant));
    learn(&mut closed.nosy, &closed.room.take(closed.ear));
    let user = closed.nosy.user();
    revoke(&mut closed.room, (&mut closed.manager, closed.desk), case, user);
    let answers = closed.ask(case);
    assert_eq!(answers, vec![NOTHING; answers.len()]);
}
