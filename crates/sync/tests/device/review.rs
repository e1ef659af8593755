//! The review lane: what waits for a decision here, and what of this device waits for one elsewhere.

use vereda_base::{Incarnation, Timestamp};
use vereda_policy::{Adopt, AdoptedDocument, Body, Chains, Discard, Draft, Member, Role};
use vereda_protocol::{Chunk, ChunkOutcome, Down, OpOutcome, PolicyEntry, RefusalCode, Up};
use vereda_sync::device::{Disconnect, Event, Review, SyncState};

use crate::{
    rig::{Rig, wall},
    world::{World, changed, grant, link_of},
};

fn sorted(chunks: &[&Chunk]) -> Vec<vereda_base::Link> {
    let mut links: Vec<_> = chunks.iter().map(|chunk| link_of(chunk)).collect();
    links.sort_unstable();
    links
}

fn discard(chunks: &[&Chunk]) -> Body {
    Body::Discard(Discard { chunks: sorted(chunks), documents: Vec::new(), sealed_reason: vec![1; 40] })
}

fn adopt(chunks: &[&Chunk]) -> Body {
    Body::Adopt(Adopt { chunks: sorted(chunks), documents: Vec::new() })
}

fn outcome(rig: &mut Rig, chunk: &Chunk, outcome: ChunkOutcome) {
    rig.down(&Down::ChunkResult { link: link_of(chunk), outcome });
}

fn review(chunk: &Chunk, received: Timestamp) -> PolicyEntry {
    PolicyEntry::Review { chunk: chunk.clone(), received }
}

fn links(rig: &Rig) -> Vec<vereda_base::Link> {
    rig.machine.reviews(&rig.store).unwrap().into_iter().map(|Review { link, .. }| link).collect()
}

#[test]
fn what_awaits_a_decision_is_listed_in_order_and_goes_when_it_was_decided() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, case, amina) = (rig.world.bashir.clone(), rig.world.case, rig.world.amina.key.clone());
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let second = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    let other = rig.world.chunk_of(&case, &bashir, Incarnation(5), 0, None, &[]);
    rig.policy(&[&review(&other, wall(9)), &review(&second, wall(5)), &review(&first, wall(5))], 100);
    assert!(rig.saw(&Event::ReviewChanged { document: case }));
    assert_eq!(links(&rig), [link_of(&first), link_of(&second), link_of(&other)]);
    assert_eq!(rig.stored(), []);
    let decided = rig.world.append(&amina, &case, adopt(&[&other]));
    rig.policy(&[&decided], 101);
    assert_eq!(links(&rig), [link_of(&first), link_of(&second)]);
    // What builds on something turned away is turned away with it.
    let decided = rig.world.append(&amina, &case, discard(&[&first]));
    rig.policy(&[&decided], 102);
    assert_eq!(links(&rig), []);
    // It is not taken up again.
    rig.policy(&[&review(&first, wall(5))], 103);
    assert_eq!(links(&rig), []);
}

#[test]
fn what_nobody_signed_is_no_review() {
    let mut rig = Rig::caught_up(World::found());
    let mut chunk = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    chunk.ciphertext[0] ^= 1;
    rig.policy(&[&review(&chunk, wall(5))], 100);
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
}

#[test]
fn a_document_begun_meanwhile_is_shown_with_its_chunks_and_enters_by_adoption() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, team, amina) = (rig.world.bashir.clone(), rig.world.team, rig.world.amina.clone());
    let create =
        Draft::new(&rig.world.chains, bashir.device(), None).sign_create(&bashir.key, rig.world.case_of(50)).unwrap();
    let document = vereda_policy::chain_of(create.value());
    let mut begun = rig.world.clone();
    begun.admit(&create);
    let chunk = begun.chunk_of(&document, &bashir, Incarnation(1), 0, None, &[]);
    // Bashir left before the relay saw either.
    let leaves = rig.world.leaves(&bashir, &[]);
    let removed = rig.world.revoke(&bashir, &team, &leaves);
    let entry = PolicyEntry::ReviewDocument { create: create.signed().clone(), wraps: vec![], received: wall(5) };
    rig.policy(&[&removed.op, &removed.leaves, &entry, &review(&chunk, wall(6))], 100);
    let documents = rig.machine.review_documents(&rig.store).unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!((&documents[0].create, documents[0].received), (create.signed(), wall(5)));
    assert_eq!(documents[0].chunks.iter().map(|review| review.link).collect::<Vec<_>>(), [link_of(&chunk)]);

    // Handed out as if it stood, it has never been.
    let forged = PolicyEntry::Op { op: create.signed().clone(), receipt: rig.world.receipt(create.signed()) };
    rig.policy(&[&forged], 101);
    assert!(rig.machine.chains(&rig.store).chain(&document).is_none());

    let holders = vec![Member { subject: team, role: Role::Editor }];
    let documents = vec![AdoptedDocument { document, holders: holders.clone(), chunks: vec![link_of(&chunk)] }];
    let adopted = rig.world.append(&amina.key, &team, Body::Adopt(Adopt { chunks: Vec::new(), documents }));
    let admitted = rig.world.admit(&create);
    rig.policy(&[&adopted, &admitted], 102);
    assert_eq!(rig.machine.review_documents(&rig.store).unwrap(), []);
    assert_eq!(links(&rig), []);
    let state = rig.machine.chains(&rig.store).chain(&document).unwrap();
    assert_eq!(state.standing_members(), [team]);
    assert!(state.is_adopted(&link_of(&chunk)));
    rig.content(&[&chunk], 103);
    assert_eq!(rig.machine.chunk_count(&rig.store, &document).unwrap(), 1);
    let rig = rig.restart();
    assert_eq!(rig.machine.chains(&rig.store).chain(&document), rig.world.chains.chain(&document));
}

#[test]
fn an_own_chunk_in_review_is_asked_for_at_each_connect_until_it_is_decided() {
    let check = |answer: ChunkOutcome, adopted: bool, state: SyncState| {
        let mut rig = Rig::caught_up(World::found());
        let (chunk, case) = (rig.write(), rig.world.case);
        let link = link_of(&chunk);
        outcome(&mut rig, &chunk, ChunkOutcome::InReview);
        assert!(rig.saw(&Event::ChunkInReview { link, document: case }));
        assert_eq!(rig.machine.own_in_review(&rig.store).unwrap(), [(case, link)]);
        let mut rig = rig.restart();
        rig.connect();
        rig.catch_up();
        assert_eq!(rig.sent.pop_back(), Some(Up::AskReview(vec![link])));
        outcome(&mut rig, &chunk, ChunkOutcome::InReview);
        assert_eq!(rig.machine.own_in_review(&rig.store).unwrap(), [(case, link)]);
        outcome(&mut rig, &chunk, answer);
        assert!(rig.saw(&Event::Decided { link, document: case, adopted }));
        assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), state);
        assert_eq!(rig.machine.own_in_review(&rig.store).unwrap(), []);
        assert_eq!(rig.stored().len(), usize::from(adopted));
        let mut rig = rig.restart();
        rig.connect();
        rig.catch_up();
        assert!(rig.sent.is_empty(), "{:?}", rig.sent);
    };
    check(ChunkOutcome::Durable, true, SyncState::Acknowledged);
    let code = RefusalCode::Discarded;
    check(ChunkOutcome::Refused(code), false, SyncState::Refused { chunks: 1, code });
}

#[test]
fn a_decision_in_the_documents_chain_tells_the_author_too() {
    let mut rig = Rig::caught_up(World::found());
    let (first, second) = (rig.write(), rig.write());
    outcome(&mut rig, &first, ChunkOutcome::InReview);
    outcome(&mut rig, &second, ChunkOutcome::InReview);
    let (amina, case) = (rig.world.amina.key.clone(), rig.world.case);
    let decided = rig.world.append(&amina, &case, adopt(&[&first]));
    let turned_away = rig.world.append(&amina, &case, discard(&[&second]));
    rig.policy(&[&decided, &turned_away], 100);
    assert!(rig.saw(&Event::Decided { link: link_of(&first), document: case, adopted: true }));
    assert!(rig.saw(&Event::Decided { link: link_of(&second), document: case, adopted: false }));
    assert_eq!(rig.stored(), [first]);
    assert_eq!(rig.excluded(), [link_of(&second)]);
}

#[test]
fn a_chunk_that_builds_on_one_in_review_is_remade_from_what_stands() {
    let mut rig = Rig::caught_up(World::found());
    let base = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    rig.content(&[&base], 100);
    let (first, second, case) = (rig.write(), rig.write(), rig.world.case);
    outcome(&mut rig, &first, ChunkOutcome::InReview);
    outcome(&mut rig, &second, ChunkOutcome::Refused(RefusalCode::DependsOnUnadopted));
    assert!(rig.saw(&Event::Remake { document: case }) && rig.saw(&Event::Excluded { document: case }));
    assert_eq!(rig.excluded(), sorted(&[&first, &second]));
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::NeedsRemaking { chunks: 1 });
    rig.machine.open_incarnation(&mut rig.store, Incarnation(2)).unwrap();
    rig.machine.drop_own(&mut rig.store, &case, &[link_of(&second)].into()).unwrap();
    rig.commit();
    let remade = rig.write();
    assert_eq!(rig.stored(), [base.clone(), remade.clone()]);
    // The one in review is adopted after all: it stands beside what was made meanwhile.
    let amina = rig.world.amina.key.clone();
    let decided = rig.world.append(&amina, &case, adopt(&[&first]));
    rig.connect_after_incarnation();
    rig.policy(&[&decided], 101);
    assert_eq!(rig.stored(), [base, remade.clone(), first.clone()]);
    assert_eq!(rig.machine.heads(&rig.store, &case).unwrap(), sorted(&[&first, &remade]));
}

#[test]
fn a_document_of_this_device_in_review_is_kept_and_handed_over_again_until_it_is_decided() {
    let mut rig = Rig::caught_up(World::found());
    let chipo = rig.world.chipo.clone();
    let create =
        Draft::new(&rig.world.chains, chipo.device(), None).sign_create(&chipo.key, rig.world.case_of(20)).unwrap();
    let op = rig.machine.enqueue_op(&mut rig.store, &create, Vec::new()).unwrap();
    rig.commit();
    let document = vereda_policy::chain_of(create.value());
    for _ in 0..2 {
        let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!() };
        rig.down(&Down::OpResult { request, outcome: OpOutcome::InReview });
        assert_eq!(rig.machine.explain(&rig.store, &document).unwrap(), SyncState::OpInReview);
        assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
        rig = rig.restart();
        rig.connect();
        rig.catch_up();
    }
    let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!() };
    let receipt = rig.world.receipt(create.signed());
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert!(rig.saw(&Event::OpDone { op }));
    assert_eq!(rig.machine.explain(&rig.store, &document).unwrap(), SyncState::Acknowledged);
}

#[test]
fn a_chunk_that_nobody_could_take_in_keeps_nobody_from_what_comes_after_it() {
    let mut rig = Rig::caught_up(World::found());
    let bashir = rig.world.bashir.clone();
    let good = rig.world.chunk(&bashir, 0, None, &[]);
    let chunk = changed(&good, &bashir.key, |header| header.first_change = u64::MAX);
    rig.policy(&[&review(&chunk, wall(5)), &review(&good, wall(6))], 100);
    assert_eq!(rig.disconnects(), []);
    assert_eq!(links(&rig), [link_of(&good)]);
    // What is not even what its author signed is the relay's doing.
    let mut swapped = good.clone();
    swapped.ciphertext.reverse();
    swapped.ciphertext.push(0);
    rig.policy(&[&review(&swapped, wall(7))], 101);
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
}

#[test]
fn a_document_that_was_taken_in_waits_with_the_decision_for_what_that_rests_on() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, team, amina) = (rig.world.bashir.clone(), rig.world.team, rig.world.amina.clone());
    let create =
        Draft::new(&rig.world.chains, bashir.device(), None).sign_create(&bashir.key, rig.world.case_of(50)).unwrap();
    let document = vereda_policy::chain_of(create.value());
    let leaves = rig.world.leaves(&bashir, &[]);
    let removed = rig.world.revoke(&bashir, &team, &leaves);
    rig.policy(&[&removed.op, &removed.leaves], 100);
    let missing = rig.world.append(&amina.key, &team, grant(amina.user, Role::Manager));
    let holders = vec![Member { subject: team, role: Role::Editor }];
    let documents = vec![AdoptedDocument { document, holders, chunks: Vec::new() }];
    let adopted = rig.world.append(&amina.key, &team, Body::Adopt(Adopt { chunks: Vec::new(), documents }));
    let admitted = rig.world.admit(&create);
    rig.policy(&[&adopted, &admitted], 101);
    assert!(rig.machine.chains(&rig.store).chain(&document).is_none());
    rig.policy(&[&missing], 102);
    let state = rig.machine.chains(&rig.store).chain(&document).unwrap();
    assert_eq!(state.standing_members(), [team]);
}

#[test]
fn an_own_document_that_was_adopted_gets_its_receipt_and_is_held_by_whom_the_adoption_names() {
    let mut rig = Rig::caught_up(World::found());
    let (chipo, amina, team) = (rig.world.chipo.clone(), rig.world.amina.clone(), rig.world.team);
    let create =
        Draft::new(&rig.world.chains, chipo.device(), None).sign_create(&chipo.key, rig.world.case_of(20)).unwrap();
    rig.machine.enqueue_op(&mut rig.store, &create, Vec::new()).unwrap();
    rig.commit();
    let document = vereda_policy::chain_of(create.value());
    let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!() };
    rig.down(&Down::OpResult { request, outcome: OpOutcome::InReview });
    assert_eq!(rig.sent.len(), 0);

    let holders = vec![Member { subject: amina.user, role: Role::Manager }];
    let documents = vec![AdoptedDocument { document, holders, chunks: Vec::new() }];
    let adopted = rig.world.append(&amina.key, &team, Body::Adopt(Adopt { chunks: Vec::new(), documents }));
    rig.policy(&[&adopted], 100);
    let holds = |rig: &Rig| rig.machine.chains(&rig.store).chain(&document).unwrap().standing_members();
    assert_eq!(holds(&rig), [amina.user]);
    let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!("nobody asks for the receipt") };
    let receipt = rig.world.receipt(create.signed());
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    assert!(rig.machine.chains(&rig.store).chain(&document).unwrap().op(0).unwrap().time.is_some());
    let rig = rig.restart();
    assert_eq!(holds(&rig), [amina.user]);
}

#[test]
fn a_chunk_turned_away_is_done_with_where_nobody_said_that_it_was_in_review() {
    let mut rig = Rig::caught_up(World::found());
    let (chunk, case) = (rig.write(), rig.world.case);
    let code = RefusalCode::Discarded;
    outcome(&mut rig, &chunk, ChunkOutcome::Refused(code));
    assert!(rig.saw(&Event::Decided { link: link_of(&chunk), document: case, adopted: false }));
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::Refused { chunks: 1, code });
}

#[test]
fn what_was_taken_in_of_somebody_put_out_stands_on_his_device_though_he_is_not_handed_the_decision() {
    let check = |answers: &[ChunkOutcome]| {
        let mut rig = Rig::caught_up(World::found());
        let (chipo, team) = (rig.world.chipo.clone(), rig.world.team);
        let chunk = rig.write();
        let leaves = rig.world.leaves(&chipo, &[]);
        let removed = rig.world.revoke(&chipo, &team, &leaves);
        rig.policy(&[&removed.op], 100);
        for answer in answers {
            outcome(&mut rig, &chunk, answer.clone());
        }
        // Its frontier was signed before.
        rig.policy(&[&removed.leaves], 101);
        assert_eq!((rig.excluded(), rig.stored()), (vec![], vec![chunk]));
        assert!(!rig.saw(&Event::Remake { document: rig.world.case }));
    };
    check(&[ChunkOutcome::InReview, ChunkOutcome::Durable]);
    check(&[ChunkOutcome::Durable]);
}

#[test]
fn what_was_taken_in_before_its_author_heard_of_his_removal_is_asked_about_and_kept() {
    let check = |answer: ChunkOutcome, is_excluded: bool| {
        let mut rig = Rig::caught_up(World::found());
        let (chipo, team) = (rig.world.chipo.clone(), rig.world.team);
        let chunk = rig.write();
        let leaves = rig.world.leaves(&chipo, &[]);
        let removed = rig.world.revoke(&chipo, &team, &leaves);
        outcome(&mut rig, &chunk, ChunkOutcome::Durable);
        rig.sent.clear();
        rig.policy(&[&removed.op, &removed.leaves], 100);
        let asked = rig.sent.iter().any(|sent| matches!(sent, Up::AskReview(links) if *links == [link_of(&chunk)]));
        assert!(asked, "{:?}", rig.sent);
        outcome(&mut rig, &chunk, answer);
        let expected = if is_excluded { (vec![link_of(&chunk)], vec![]) } else { (vec![], vec![chunk]) };
        assert_eq!((rig.excluded(), rig.stored()), expected);
        assert!(!rig.saw(&Event::Remake { document: rig.world.case }));
    };
    check(ChunkOutcome::Durable, false);
    check(ChunkOutcome::InReview, false);
    check(ChunkOutcome::Refused(RefusalCode::ReviewClosed), true);
}
