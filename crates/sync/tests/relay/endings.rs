//! Rights that end otherwise than by a revocation: a document that moves, a role whose time has passed.

use std::time::Duration;

use vereda_base::{ChainId, Digest, Link};
use vereda_policy::{
    Assign, Body, Expire, Frontier, Heads, Member, Parent, ParentAuthority, Place, Role, Target, authority,
};
use vereda_protocol::{Chunk, ChunkOutcome, OfferedLeaf, OpOutcome, PolicyEntry, Position, RefusalCode, Up};
use vereda_sync::people::{NOW, Person, link_of, nothing_stands};
use vereda_sync::relay::{RelayStore, SessionId};

use super::room::{Room, assert_appended, chunks, entries, learn, op_ids, refused, remove, rotate, visible};

/// Two teams of one agency, each with a Manager and a worker, and a case of the first.
struct Teams {
    room: Room,
    founder: (Person, SessionId),
    first: (ChainId, Person, SessionId, Person, SessionId),
    second: (ChainId, Person, SessionId, Person, SessionId),
    case: ChainId,
}

impl Teams {
    fn new() -> Self {
        let (mut room, mut founder, founder_id, agency) = Room::founded();
        let mut team = |room: &mut Room, seed: u8| {
            let put = founder.create_team(agency, &[(founder.user(), Role::Manager)]);
            assert_appended(&room.put(founder_id, &put));
            let team = put.chain();
            let (lead, lead_id) = room.join((&mut founder, founder_id), team, Role::Manager, seed);
            let (worker, worker_id) = room.join((&mut founder, founder_id), team, Role::Editor, seed + 1);
            (team, lead, lead_id, worker, worker_id)
        };
        let first = team(&mut room, 10);
        let second = team(&mut room, 20);
        let case = room.case((&mut founder, founder_id), first.0);
        let mut teams = Self { room, founder: (founder, founder_id), first, second, case };
        teams.learn();
        teams
    }

    /// Everybody takes in what the relay handed out.
    fn learn(&mut self) {
        for (_, lead, lead_id, worker, worker_id) in [&mut self.first, &mut self.second] {
            learn(lead, &self.room.take(*lead_id));
            learn(worker, &self.room.take(*worker_id));
        }
        learn(&mut self.founder.0, &self.room.take(self.founder.1));
    }

    fn write(&mut self, seq: u64, prev: Option<Link>) -> Chunk {
        let deps: Vec<Link> = prev.into_iter().collect();
        self.first.3.chunk(self.case, seq, prev, &deps, 300)
    }

    /// The case moves to the second team, which alone has authority over it from then on.
    fn assign(&self, frontier: Frontier) -> Body {
        Body::Assign(Assign {
            gives: vec![Member { subject: self.second.0, role: Role::Editor }],
            takes: vec![self.first.0],
            parents: Some(vec![Parent { chain: self.second.0, authority: ParentAuthority::Full }]),
            sections: Vec::new(),
            frontier,
        })
    }
}

fn names(offered: &[OfferedLeaf], chunk: &Chunk) -> bool {
    offered.iter().any(|leaf| leaf.id == Digest(link_of(chunk).0) && matches!(leaf.place, Place::Content { .. }))
}

#[test]
fn a_case_that_moves_with_its_parents_leaves_those_who_had_it_and_is_there_for_the_others() {
    let mut t = Teams::new();
    let before = t.write(0, None);
    let late = t.write(1, Some(link_of(&before)));
    assert_eq!(t.room.put_chunk(t.first.4, &before), ChunkOutcome::Durable);
    let case = t.case;
    let (assign, founder_id) = (t.assign(nothing_stands()), t.founder.1);
    let sign = |person: &Person, frontier: Frontier| {
        let Body::Assign(assign) = assign.clone() else { unreachable!() };
        person.draft(case, Body::Assign(Assign { frontier, ..assign }))
    };
    // Nothing but exactly what is committed is taken.
    let wrong = sign(&t.founder.0, nothing_stands());
    let OpOutcome::FrontierMoved(offered) = t.room.put(founder_id, &wrong) else { panic!("an offer") };
    assert!(offered.iter().all(|leaf| leaf.place.chain() == case), "{offered:?}");
    assert!(names(&offered, &before), "{offered:?}");
    let (_, offered) = remove(&mut t.room, (&mut t.founder.0, founder_id), &sign);
    assert!(names(&offered, &before));

    // Who has it now is told so, and reads what was there; the late work of who had it awaits a decision.
    let news = t.room.take(t.second.4);
    assert_eq!(visible(&news).iter().map(|(document, _)| *document).collect::<Vec<_>>(), [case]);
    let upto = t.room.store.end().unwrap();
    t.room.up(t.second.4, Up::Backfill { document: case, after: Position(0), upto });
    let downs = t.room.take(t.second.4);
    assert_eq!(chunks(&downs), [before]);
    learn(&mut t.second.3, &downs);
    assert_eq!(t.room.put_chunk(t.first.4, &late), ChunkOutcome::InReview);
    // The old team's Manager decides on nothing there any more, and is told nothing of that work.
    let news = t.room.take(t.first.2);
    learn(&mut t.first.1, &news);
    assert!(!entries(&news).iter().any(|entry| matches!(entry, PolicyEntry::Review { .. })), "{news:?}");
    let newest = Heads::newest(Some(NOW));
    assert_eq!(authority(&t.first.1.chains, &t.first.1.device(), &case, &newest), None);
    // The new team's does, once it was rotated away from those who had it.
    let news = t.room.take(t.second.2);
    learn(&mut t.second.1, &news);
    t.room.up(t.second.2, Up::Backfill { document: case, after: Position(0), upto });
    let downs = t.room.take(t.second.2);
    learn(&mut t.second.1, &downs);
    let (lead, lead_id) = (&mut t.second.1, t.second.2);
    rotate(&mut t.room, (lead, lead_id), case);
    let adopt = t.second.1.adopt(case, &[link_of(&late)]);
    assert_appended(&t.room.put(lead_id, &adopt));
    // Whoever has it no longer is served nothing of that.
    assert!(!op_ids(&t.room.take(t.first.2)).contains(&adopt.id()));
}

#[test]
fn a_role_is_ended_by_anybody_once_its_time_has_passed_by_the_relays_clock_and_not_before() {
    let mut t = Teams::new();
    let (case, guest) = (t.case, t.second.3.user());
    let until = NOW.saturating_add(Duration::from_secs(3_600));
    let grant = t.founder.0.grant_until(case, guest, Role::Editor, until);
    assert_appended(&t.room.put(t.founder.1, &grant));
    let repair = t.founder.0.repair(case, &[Target { recipient: Digest(guest.0), epoch: 0 }]);
    assert_appended(&t.room.put(t.founder.1, &repair));
    t.learn();
    let end = t.room.store.end().unwrap();
    t.room.up(t.second.4, Up::Backfill { document: case, after: Position(0), upto: end });
    let downs = t.room.take(t.second.4);
    learn(&mut t.second.3, &downs);
    let before = t.second.3.chunk(case, 0, None, &[], 300);
    let late = t.second.3.chunk(case, 1, Some(link_of(&before)), &[link_of(&before)], 300);
    assert_eq!(t.room.put_chunk(t.second.4, &before), ChunkOutcome::Durable);

    // A worker of the team carries it out; no clock but the relay's counts.
    let expire = |person: &Person, frontier| person.draft(case, Body::Expire(Expire { subject: guest, frontier }));
    let early = expire(&t.first.3, nothing_stands());
    assert!(matches!(t.room.put(t.first.4, &early), OpOutcome::Refused(_)));
    t.room.now.wall = until;
    // By then the relay takes nothing of him, before anything of it stands in the chain.
    assert_eq!(t.room.put_chunk(t.second.4, &late), ChunkOutcome::InReview);
    let stale = t.first.3.chunk(case, 0, None, &[], 300);
    assert_eq!(t.room.put_chunk(t.first.4, &stale), refused(RefusalCode::StaleEpoch));
    t.first.3.now = until;
    let (put, offered) = remove(&mut t.room, (&mut t.first.3, t.first.4), &expire);
    assert!(names(&offered, &before) && !names(&offered, &late), "{offered:?}");
    let again = expire(&t.first.3, nothing_stands());
    assert!(matches!(t.room.put(t.first.4, &again), OpOutcome::Refused(_)), "it is done");
    assert!(op_ids(&t.room.take(t.first.2)).contains(&put.id()));
    rotate(&mut t.room, (&mut t.first.3, t.first.4), case);
    let fresh = t.first.3.chunk(case, 0, None, &[], 300);
    assert_eq!(t.room.put_chunk(t.first.4, &fresh), ChunkOutcome::Durable);
}
