//! The review lane: who decides, on what, how much it takes, and who is told.

use vereda_adversary::{
    Member, forge,
    office::{assert_appended, op_refused, refused},
};
use vereda_base::limits::MAX_CIPHERTEXT_BYTES;
use vereda_policy::{Adopt, AdoptedDocument, Body, Discard, Member as Holder, Role};
use vereda_protocol::{Chunk, ChunkOutcome, Down, OpOutcome, PolicyEntry, RefusalCode, Up};
use vereda_sync::people::{Put, link_of};

use super::removals::Case;

fn adopt(chunks: &[&Chunk]) -> Body {
    let mut chunks: Vec<_> = chunks.iter().map(|chunk| link_of(chunk)).collect();
    chunks.sort_unstable();
    Body::Adopt(Adopt { chunks, documents: Vec::new() })
}

fn discard(chunk: &Chunk) -> Body {
    Body::Discard(Discard { chunks: vec![link_of(chunk)], documents: Vec::new(), sealed_reason: vec![7; 40] })
}

/// Two chunks of the revoked worker in review, the second on the first.
fn in_review() -> (Case, [Chunk; 2]) {
    let mut room = Case::open();
    let one = room.next();
    let link = link_of(&one);
    let two = room.worker.person.chunk(room.case, 2, Some(link), &[link], 300);
    room.revoke();
    assert_eq!(room.worker.line.put_chunk(&one), ChunkOutcome::InReview);
    assert_eq!(room.worker.line.put_chunk(&two), ChunkOutcome::InReview);
    (room, [one, two])
}

fn by(member: &Member, room: &Case, body: Body) -> Put {
    let path = [room.office.team, member.person.user()];
    forge::op(&member.person, room.case, forge::cites(&member.person, &path), body)
}

#[test]
fn an_editor_adopts_nothing_and_a_manager_does() {
    let (mut room, [one, two]) = in_review();
    let forged = by(&room.colleague, &room, adopt(&[&one, &two]));
    assert_eq!(room.colleague.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
    room.colleague.fence();
    assert!(!room.colleague.line.links().contains(&link_of(&one)));
    let honest = by(&room.office.manager, &room, adopt(&[&one, &two]));
    room.office.put_as_manager(&honest);
    room.colleague.line.hear_chunk(&two);
    assert!(room.colleague.line.links().contains(&link_of(&one)));
}

#[test]
fn an_editor_discards_nothing_and_a_manager_does() {
    let (mut room, [_, two]) = in_review();
    let forged = by(&room.colleague, &room, discard(&two));
    assert_eq!(room.colleague.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
    let honest = by(&room.office.manager, &room, discard(&two));
    room.office.put_as_manager(&honest);
    room.worker.line.say(&Up::AskReview(vec![link_of(&two)]));
    while room.worker.line.last_outcome(&two) != Some(refused(RefusalCode::Discarded)) {
        room.worker.line.hear().expect("the answer");
    }
}

#[test]
fn an_adoption_names_all_that_its_chunks_build_on_or_is_none() {
    let (mut room, [one, two]) = in_review();
    let without = by(&room.office.manager, &room, adopt(&[&two]));
    let refusal = room.office.manager.line.put(&without);
    assert!(matches!(refusal, OpOutcome::Refused(_)), "{refusal:?}");
    let with = by(&room.office.manager, &room, adopt(&[&one, &two]));
    room.office.put_as_manager(&with);
}

#[test]
fn nobody_adopts_what_never_came_or_decides_twice() {
    let (mut room, [one, two]) = in_review();
    let link = link_of(&two);
    let never = room.worker.person.chunk(room.case, 3, Some(link), &[link], 300);
    let of_nothing = by(&room.office.manager, &room, adopt(&[&never]));
    let refusal = room.office.manager.line.put(&of_nothing);
    assert!(matches!(refusal, OpOutcome::Refused(_)), "{refusal:?}");
    let honest = by(&room.office.manager, &room, adopt(&[&one]));
    room.office.put_as_manager(&honest);
    let again = by(&room.office.manager, &room, discard(&one));
    assert_eq!(room.office.manager.line.put(&again), op_refused(RefusalCode::Repeated));
}

#[test]
fn a_chunk_that_stands_is_not_discarded() {
    let (mut room, [one, _]) = in_review();
    let of_standing = by(&room.office.manager, &room, discard(&room.first.clone()));
    let refusal = room.office.manager.line.put(&of_standing);
    assert!(matches!(refusal, OpOutcome::Refused(_)), "{refusal:?}");
    let of_review = by(&room.office.manager, &room, discard(&one));
    room.office.put_as_manager(&of_review);
}

#[test]
fn a_chunk_in_review_that_a_standing_one_builds_on_is_not_discarded() {
    let (mut room, [one, two]) = in_review();
    let adopted = by(&room.office.manager, &room, adopt(&[&one, &two]));
    room.office.put_as_manager(&adopted);
    let of_adopted = by(&room.office.manager, &room, discard(&one));
    let refusal = room.office.manager.line.put(&of_adopted);
    assert!(matches!(refusal, OpOutcome::Refused(_)), "{refusal:?}");
    room.worker.line.say(&Up::AskReview(vec![link_of(&one)]));
    while room.worker.line.last_outcome(&one) != Some(ChunkOutcome::Durable) {
        room.worker.line.hear().expect("the answer");
    }
}

#[test]
fn an_honest_chunk_on_one_in_review_is_refused_until_that_is_adopted() {
    let (mut room, [one, two]) = in_review();
    room.rotate();
    let on_review = room.colleague.person.chunk(room.case, 0, None, &[link_of(&one)], 300);
    assert_eq!(room.colleague.line.put_chunk(&on_review), refused(RefusalCode::DependsOnUnadopted));
    let honest = by(&room.office.manager, &room, adopt(&[&one, &two]));
    room.office.put_as_manager(&honest);
    assert_eq!(room.colleague.line.put_chunk(&on_review), ChunkOutcome::Durable);
}

#[test]
fn nobody_learns_what_became_of_the_chunks_of_another() {
    let (mut room, [one, two]) = in_review();
    let mut outsider = room.office.join(room.office.agency, Role::Reader);
    for asker in [&mut outsider, &mut room.colleague] {
        asker.line.say(&Up::AskReview(vec![link_of(&one), link_of(&two)]));
        asker.fence();
        for chunk in [&one, &two] {
            let told = asker.line.last_outcome(chunk);
            assert!(!matches!(told, Some(ChunkOutcome::InReview | ChunkOutcome::Durable)), "{told:?}");
        }
    }
    room.worker.line.heard.clear();
    room.worker.line.say(&Up::AskReview(vec![link_of(&one)]));
    while room.worker.line.last_outcome(&one).is_none() {
        room.worker.line.hear().expect("the answer");
    }
    assert_eq!(room.worker.line.last_outcome(&one), Some(ChunkOutcome::InReview));
}

#[test]
fn the_review_lane_takes_so_much_of_a_device_and_no_more() {
    let (mut room, [_, two]) = in_review();
    let mut before = two;
    let mut taken = 2;
    let refusal = loop {
        let link = link_of(&before);
        let next = room.worker.person.chunk(room.case, taken + 1, Some(link), &[link], MAX_CIPHERTEXT_BYTES);
        match room.worker.line.put_chunk(&next) {
            ChunkOutcome::InReview => (before, taken) = (next, taken + 1),
            other => break other,
        }
        assert!(taken < 200, "it takes everything");
    };
    assert_eq!(refusal, refused(RefusalCode::ReviewClosed));
    room.rotate();
    let written = room.office.write(room.case, 0, None);
    room.colleague.line.hear_chunk(&written);
}

#[test]
fn a_case_begun_by_somebody_removed_meanwhile_enters_by_its_team_only() {
    let mut room = Case::open();
    let offline = room.worker.person.create_case(room.office.team);
    let chunk = room.worker.person.chunk(offline.chain(), 0, None, &[], 300);
    room.revoke();
    assert_eq!(room.worker.line.put(&offline), OpOutcome::InReview);
    assert_eq!(room.worker.line.put_chunk(&chunk), ChunkOutcome::InReview);
    let is_of = |entry: &PolicyEntry| matches!(entry, PolicyEntry::ReviewDocument { .. });
    room.office.manager.line.hear_until(|down| match down {
        Down::Policy { entries, .. } => entries.iter().any(is_of).then_some(()),
        _ => None,
    });
    room.colleague.fence();
    assert!(!room.colleague.line.heard_of(&offline.chain()));
    let holders = vec![Holder { subject: room.office.team, role: Role::Editor }];
    let adopt = |document| {
        let documents = vec![AdoptedDocument { document, holders: holders.clone(), chunks: vec![link_of(&chunk)] }];
        Body::Adopt(Adopt { chunks: Vec::new(), documents })
    };
    let cites = forge::cites(&room.colleague.person, &[room.colleague.person.user()]);
    let forged = forge::op(&room.colleague.person, room.office.team, cites, adopt(offline.chain()));
    assert_eq!(room.colleague.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
    let honest = room.office.manager.person.draft(room.office.team, adopt(offline.chain()));
    assert_appended(&room.office.manager.line.put(&honest));
    room.colleague.line.hear_chunk(&chunk);
    assert!(room.colleague.line.heard_of(&offline.chain()));
}
