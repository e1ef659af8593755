//! Decisions on what was made after its author's rights had ended: by whom they count, and what they reach.

use vereda_adversary::{Colluder, Stage, Victim, forge};
use vereda_base::{ChainId, Incarnation};
use vereda_crypto::{Signature, Signed};
use vereda_policy::{Adopt, AdoptedDocument, Body, Discard, Member, Role};
use vereda_protocol::{Chunk, PolicyEntry};
use vereda_sync::{
    device::Disconnect,
    people::{NOW, Person, Put, link_of},
};

use super::{
    frontiers::leaf_of,
    removals::{revoke, two_chunks},
};

fn by(stage: &Stage, author: &Person, body: Body) -> Put {
    let author = forge::knowing(author, &stage.relay.chains);
    let cites = forge::cites(&author, &[stage.team, author.user()]);
    forge::op(&author, stage.case, cites, body)
}

fn adopt(chunk: &Chunk) -> Body {
    Body::Adopt(Adopt { chunks: vec![link_of(chunk)], documents: Vec::new() })
}

fn discard(chunk: &Chunk) -> Body {
    Body::Discard(Discard { chunks: vec![link_of(chunk)], documents: Vec::new(), sealed_reason: vec![7; 40] })
}

/// Bashir is revoked after his first chunk; the second came too late. The device knows.
fn too_late() -> (Stage, Victim, [Chunk; 2]) {
    let mut stage = Stage::set();
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    let leaves = [leaf_of(&chunks[0])];
    let removal = revoke(&stage, None, &leaves);
    let entries = [stage.admit(&removal), vec![Colluder::leaves(&removal, &leaves)]].concat();
    victim.policy(entries);
    victim.content(&[&chunks[0], &chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]));
    (stage, victim, chunks)
}

#[test]
fn an_adoption_counts_if_a_manager_signed_it_and_not_if_an_editor_did() {
    let (stage, mut victim, chunks) = too_late();
    let forged = by(&stage, &stage.chipo, adopt(&chunks[1]));
    victim.policy(stage.relay.forge(&forged));
    victim.content(&[&chunks[1]]);
    assert!(!victim.obeys(&forged) && !victim.has(&chunks[1]));

    let (mut stage, mut victim, chunks) = too_late();
    let honest = by(&stage, &stage.amina, adopt(&chunks[1]));
    victim.policy(stage.admit(&honest));
    victim.content(&[&chunks[1]]);
    assert!(victim.has(&chunks[1]));
}

#[test]
fn an_adoption_by_the_revoked_author_himself_counts_for_nothing() {
    let mut stage = Stage::set();
    let promote = stage.amina.draft(stage.team, forge::grant(stage.bashir.user(), Role::Manager));
    stage.admit(&promote);
    let before = stage.bashir.clone();
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    let leaves = [leaf_of(&chunks[0])];
    let removal = revoke(&stage, None, &leaves);
    victim.policy([stage.admit(&removal), vec![Colluder::leaves(&removal, &leaves)]].concat());
    // He adopts his own late work, citing what he was.
    let adopted = before.draft(stage.case, adopt(&chunks[1]));
    victim.policy(stage.relay.forge(&adopted));
    victim.content(&[&chunks[0], &chunks[1]]);
    assert!(!victim.obeys(&adopted) && victim.has(&chunks[0]) && !victim.has(&chunks[1]));
}

#[test]
fn a_discard_takes_nothing_away_that_stands() {
    let (mut stage, mut victim, chunks) = too_late();
    let honest = stage.chipo.chunk(stage.case, 0, None, &[link_of(&chunks[0])], 300);
    let built_on = stage.amina.chunk(stage.case, 0, None, &[link_of(&honest)], 300);
    victim.content(&[&honest, &built_on]);
    assert!(victim.has(&honest) && victim.has(&built_on));
    for chunk in [&chunks[0], &honest, &built_on] {
        let put = by(&stage, &stage.amina, discard(chunk));
        victim.policy(stage.admit(&put));
    }
    assert!(victim.has(&chunks[0]) && victim.has(&honest) && victim.has(&built_on));
    let victim = victim.restart();
    assert!(victim.has(&chunks[0]) && victim.has(&honest) && victim.has(&built_on), "after a restart too");
}

#[test]
fn what_was_decided_stays_decided() {
    let (mut stage, mut victim, chunks) = too_late();
    let turned_away = by(&stage, &stage.amina, discard(&chunks[1]));
    victim.policy(stage.admit(&turned_away));
    let second_thought = by(&stage, &stage.amina, adopt(&chunks[1]));
    victim.policy(stage.relay.forge(&second_thought));
    victim.content(&[&chunks[1]]);
    assert!(victim.obeys(&turned_away) && !victim.obeys(&second_thought) && !victim.has(&chunks[1]));
}

#[test]
fn a_chunk_that_the_relay_shows_for_review_is_one_that_its_author_signed() {
    let (mut stage, _, chunks) = too_late();
    let review = |chunk: Chunk| PolicyEntry::Review { chunk, received: NOW };
    let lies = [
        Chunk {
            header: Signed::from_parts(chunks[1].header.bytes().to_vec(), Signature([1; 64])),
            ..chunks[1].clone()
        },
        Chunk { ciphertext: chunks[0].ciphertext[1..].to_vec(), ..chunks[1].clone() },
    ];
    for lie in lies {
        let mut amina = Victim::of_person(&stage, &stage.amina);
        amina.policy(vec![review(lie)]);
        assert_eq!(amina.disconnects(), [Disconnect::Violation]);
        assert!(amina.machine.reviews(&amina.store).unwrap().is_empty());
    }
    let mut amina = Victim::of_person(&stage, &stage.amina);
    amina.policy(vec![review(chunks[1].clone())]);
    let reviews = amina.machine.reviews(&amina.store).unwrap();
    assert!(reviews.len() == 1 && reviews[0].link == link_of(&chunks[1]));
    assert!(!amina.has(&chunks[1]), "it waits for a decision");
    let put = by(&stage, &stage.amina, discard(&chunks[1]));
    amina.policy(stage.admit(&put));
    assert!(amina.machine.reviews(&amina.store).unwrap().is_empty());
}

#[test]
fn chunks_for_review_without_end_are_kept_up_to_a_bound_and_the_device_goes_on() {
    let (mut stage, _, chunks) = too_late();
    let mut amina = Victim::of_person(&stage, &stage.amina);
    for block in 0..12 {
        let late = |at: u64| {
            let chunk = forge::rewritten(&stage.bashir, &chunks[1], |header| header.incarnation = Incarnation(at));
            PolicyEntry::Review { chunk, received: NOW }
        };
        amina.policy((0..100).map(|at| late(9_000 + block * 100 + at)).collect());
    }
    let kept = amina.machine.reviews(&amina.store).unwrap().len();
    assert!((1_000..=1_024).contains(&kept), "{kept} of 1,200");
    let honest = stage.chipo.chunk(stage.case, 0, None, &[], 300);
    amina.content(&[&honest]);
    assert!(amina.has(&honest) && amina.disconnects().is_empty());
}

#[test]
fn a_case_begun_after_its_authors_removal_enters_only_where_a_manager_of_its_team_lets_it_in() {
    for is_manager in [false, true] {
        let mut stage = Stage::set();
        let mut before = stage.bashir.clone();
        let begun = before.create_case(stage.team);
        let chunk = before.chunk(begun.chain(), 0, None, &[], 300);
        let mut victim = Victim::of(&stage);
        let removal = revoke(&stage, None, &[]);
        victim.policy([stage.admit(&removal), vec![Colluder::leaves(&removal, &[])]].concat());
        let author = if is_manager { &stage.amina } else { &stage.chipo };
        let author = forge::knowing(author, &stage.relay.chains);
        let holders = vec![Member { subject: stage.team, role: Role::Editor }];
        let documents = vec![AdoptedDocument { document: begun.chain(), holders, chunks: vec![link_of(&chunk)] }];
        let adopt = Body::Adopt(Adopt { chunks: vec![], documents });
        let adopt = forge::op(&author, stage.team, forge::cites(&author, &[author.user()]), adopt);
        victim.policy(stage.relay.forge(&adopt));
        victim.policy(stage.relay.forge(&begun));
        victim.content(&[&chunk]);
        assert_eq!(victim.obeys(&adopt), is_manager);
        assert_eq!((victim.obeys(&begun), knows(&victim, begun.chain())), (is_manager, is_manager));
    }
}

#[test]
fn what_a_chain_decides_on_a_document_that_is_not_its_own_closes_nothing() {
    let mut stage = Stage::set();
    let mut before = stage.bashir.clone();
    let begun = before.create_case(stage.team);
    let chunk = before.chunk(begun.chain(), 0, None, &[], 300);
    let removal = revoke(&stage, None, &[]);
    stage.admit(&removal);
    let mut amina = Victim::of_person(&stage, &stage.amina);
    amina.policy(vec![
        PolicyEntry::ReviewDocument { create: begun.op.signed().clone(), wraps: Vec::new(), received: NOW },
        PolicyEntry::Review { chunk, received: NOW },
    ]);
    let waiting = |amina: &Victim| {
        let documents = amina.machine.review_documents(&amina.store).unwrap();
        documents.iter().map(|one| one.chunks.len()).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&amina), [1]);
    let decide = |author: &Person, chain, cited: &[ChainId]| {
        let author = forge::knowing(author, &stage.relay.chains);
        let discard = Discard { chunks: vec![], documents: vec![begun.chain()], sealed_reason: vec![7; 40] };
        forge::op(&author, chain, forge::cites(&author, cited), Body::Discard(discard))
    };
    let of_another = decide(&stage.chipo, stage.chipo.user(), &[]);
    amina.policy(stage.relay.forge(&of_another));
    assert!(amina.obeys(&of_another), "in his own chain he decides");
    assert_eq!(waiting(&amina), [1], "on what is the team's the team does");
    let of_team = decide(&stage.amina, stage.team, &[stage.amina.user()]);
    amina.policy(stage.relay.forge(&of_team));
    assert_eq!(waiting(&amina), [0; 0]);
}

/// Says whether a document is among those that the device lists for its user.
fn knows(victim: &Victim, document: ChainId) -> bool {
    victim.machine.documents(&victim.store).unwrap().contains(&document)
}
