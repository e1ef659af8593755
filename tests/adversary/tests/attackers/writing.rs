//! Writing without the right, under another's name, elsewhere, or out of order.

use vereda_adversary::{Member, Office, forge, office::refused};
use vereda_base::{ChainId, Digest, Incarnation, Link, OpId};
use vereda_crypto::{Signature, Signed};
use vereda_policy::{Cite, Role, cite_content};
use vereda_protocol::{Chunk, ChunkOutcome, RefusalCode};
use vereda_sync::people::link_of;

fn case_with(role: Role) -> (Office, Member, ChainId) {
    let mut office = Office::open();
    let mut worker = office.join(office.team, role);
    let case = office.case(office.team);
    office.brief(&mut worker);
    (office, worker, case)
}

#[test]
fn a_reader_writes_nothing_and_once_he_is_editor_the_same_is_durable() {
    let (mut office, mut reader, case) = case_with(Role::Reader);
    let mut header = reader.person.header(case, 0, None, &[], 300);
    header.cites = cite_content(&reader.person.chains, &reader.person.device(), &case, Role::Reader, None).unwrap();
    let chunk = reader.person.seal(&header, 300);
    assert_eq!(reader.line.put_chunk(&chunk), refused(RefusalCode::NotAuthorized));
    let grant = office.manager.person.grant(office.team, reader.person.user(), Role::Editor);
    office.put_as_manager(&grant);
    office.brief(&mut reader);
    assert_eq!(reader.line.put_chunk(&chunk), refused(RefusalCode::NotAuthorized), "at the heads that it cites");
    header.cites = cite_content(&reader.person.chains, &reader.person.device(), &case, Role::Editor, None).unwrap();
    assert_eq!(reader.line.put_chunk(&reader.person.seal(&header, 300)), ChunkOutcome::Durable);
}

#[test]
fn an_editor_of_one_team_writes_nothing_into_a_case_of_another() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let other = office.other_team();
    let theirs = office.case(other);
    office.brief(&mut worker);
    let chunk = worker.person.chunk(theirs, 0, None, &[], 300);
    let cites = forge::cites(&worker.person, &[theirs, other, office.team, worker.person.user()]);
    let chunk = forge::rewritten(&worker.person, &chunk, |header| header.cites = cites);
    assert_eq!(worker.line.put_chunk(&chunk), refused(RefusalCode::NotAuthorized));
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
}

#[test]
fn nobody_hands_over_what_another_signed() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let chunk = office.manager.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&chunk), refused(RefusalCode::NotAuthorized));
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
}

#[test]
fn nobody_signs_in_the_name_of_another() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let theirs = office.manager.person.chunk(case, 0, None, &[], 300);
    let own = worker.person.chunk(case, 0, None, &[], 300);
    // The header names the Manager's device, the signature is the worker's.
    let signed = Signed::from_parts(theirs.header.bytes().to_vec(), *own.header.signature());
    let forged = Chunk { header: signed, ciphertext: theirs.ciphertext.clone() };
    assert_eq!(worker.line.put_chunk(&forged), refused(RefusalCode::BadSignature));
    assert_eq!(office.manager.line.put_chunk(&forged), refused(RefusalCode::BadSignature));
    assert_eq!(worker.line.put_chunk(&own), ChunkOutcome::Durable);
}

#[test]
fn any_field_of_a_header_that_is_changed_after_signing_is_refused() {
    let (_office, mut worker, case) = case_with(Role::Editor);
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    let changes: [fn(&mut vereda_protocol::Header); 6] = [
        |header| header.epoch += 1,
        |header| header.seq += 1,
        |header| header.incarnation = Incarnation(9),
        |header| header.ops_root = Digest([1; 32]),
        |header| header.nonce = [1; 24].into(),
        |header| header.deps = vec![Link([1; 32])],
    ];
    for change in changes {
        assert_eq!(worker.line.put_chunk(&forge::tampered(&chunk, change)), refused(RefusalCode::BadSignature));
    }
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
}

#[test]
fn a_chunk_moved_to_another_case_does_not_carry_its_signature_nor_its_authors_right() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let other = office.other_team();
    let theirs = office.case(other);
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    let moved = forge::tampered(&chunk, |header| header.document = theirs);
    assert_eq!(worker.line.put_chunk(&moved), refused(RefusalCode::BadSignature));
    office.brief(&mut worker);
    let cites = forge::cites(&worker.person, &[theirs, other, worker.person.user()]);
    let signed_again = forge::rewritten(&worker.person, &chunk, |header| {
        header.document = theirs;
        header.cites = cites;
    });
    assert_eq!(worker.line.put_chunk(&signed_again), refused(RefusalCode::NotAuthorized));
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
}

#[test]
fn a_chunk_does_not_build_on_chunks_of_another_case() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let second = office.case(office.team);
    office.brief(&mut worker);
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
    let across = worker.person.chunk(second, 0, None, &[link_of(&chunk)], 300);
    assert_eq!(worker.line.put_chunk(&across), refused(RefusalCode::MissingDeps));
    let continued = worker.person.chunk(second, 0, Some(link_of(&chunk)), &[], 300);
    assert_eq!(worker.line.put_chunk(&continued), refused(RefusalCode::NotContiguous));
    let within = worker.person.chunk(second, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&within), ChunkOutcome::Durable);
}

#[test]
fn a_gap_in_a_devices_sequence_is_refused_until_it_is_filled() {
    let (_office, mut worker, case) = case_with(Role::Editor);
    let first = worker.person.chunk(case, 0, None, &[], 300);
    let second = worker.person.chunk(case, 1, Some(link_of(&first)), &[link_of(&first)], 300);
    let third = worker.person.chunk(case, 2, Some(link_of(&second)), &[], 300);
    assert_eq!(worker.line.put_chunk(&first), ChunkOutcome::Durable);
    assert_eq!(worker.line.put_chunk(&third), refused(RefusalCode::NotContiguous));
    assert_eq!(worker.line.put_chunk(&second), ChunkOutcome::Durable);
    assert_eq!(worker.line.put_chunk(&third), ChunkOutcome::Durable);
}

#[test]
fn a_second_chunk_at_a_place_that_is_taken_is_a_fork_and_reaches_nobody() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let first = worker.person.chunk(case, 0, None, &[], 300);
    let other = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&first), ChunkOutcome::Durable);
    assert_eq!(worker.line.put_chunk(&other), refused(RefusalCode::Fork));
    // After one that was never taken.
    let after_other = worker.person.chunk(case, 1, Some(link_of(&other)), &[], 300);
    assert_eq!(worker.line.put_chunk(&after_other), refused(RefusalCode::Fork));
    let after_first = worker.person.chunk(case, 1, Some(link_of(&first)), &[], 300);
    assert_eq!(worker.line.put_chunk(&after_first), ChunkOutcome::Durable);
    office.manager.line.hear_chunk(&after_first);
    assert_eq!(office.manager.line.links(), [link_of(&first), link_of(&after_first)]);
}

#[test]
fn a_chunk_sent_twice_is_acknowledged_twice_and_there_once() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let first = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&first), ChunkOutcome::Durable);
    assert_eq!(worker.line.put_chunk(&first), ChunkOutcome::Durable);
    let second = worker.person.chunk(case, 1, Some(link_of(&first)), &[], 300);
    assert_eq!(worker.line.put_chunk(&second), ChunkOutcome::Durable);
    office.manager.line.hear_chunk(&second);
    assert_eq!(office.manager.line.links(), [link_of(&first), link_of(&second)]);
}

#[test]
fn an_epoch_that_was_never_begun_is_none_to_seal_under() {
    let (_office, mut worker, case) = case_with(Role::Editor);
    let mut header = worker.person.header(case, 0, None, &[], 300);
    header.epoch = 1;
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&header, 300)), refused(RefusalCode::Malformed));
    header.epoch = 0;
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&header, 300)), ChunkOutcome::Durable);
}

#[test]
fn a_head_that_nobody_knows_and_one_older_than_before_prove_nothing() {
    let (mut office, mut worker, case) = case_with(Role::Editor);
    let older = worker.person.header(case, 0, None, &[], 300);
    let mut invented = older.clone();
    invented.cites[0] = Cite { head: OpId([1; 32]), ..invented.cites[0] };
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&invented, 300)), refused(RefusalCode::UnknownPolicy));
    let grant = office.manager.person.grant(case, office.manager.person.user(), Role::Editor);
    office.put_as_manager(&grant);
    office.brief(&mut worker);
    let second = office.case(office.team);
    office.brief(&mut worker);
    let newer = worker.person.chunk(case, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&newer), ChunkOutcome::Durable);
    let mut back = worker.person.header(case, 1, Some(link_of(&newer)), &[], 300);
    back.cites.clone_from(&older.cites);
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&back, 300)), refused(RefusalCode::CiteRegressed));
    let elsewhere = worker.person.chunk(second, 0, None, &[], 300);
    assert_eq!(worker.line.put_chunk(&elsewhere), ChunkOutcome::Durable);
}

#[test]
fn a_ciphertext_other_than_the_one_signed_is_refused() {
    let (_office, mut worker, case) = case_with(Role::Editor);
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    let mut swapped = chunk.clone();
    swapped.ciphertext[7] ^= 1;
    assert_eq!(worker.line.put_chunk(&swapped), refused(RefusalCode::Malformed));
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
}

#[test]
fn a_signature_of_zeros_and_one_by_a_weak_key_are_none() {
    let (_office, mut worker, case) = case_with(Role::Editor);
    let chunk = worker.person.chunk(case, 0, None, &[], 300);
    let nobody = Signed::from_parts(chunk.header.bytes().to_vec(), Signature([0; 64]));
    let forged = Chunk { header: nobody, ciphertext: chunk.ciphertext.clone() };
    assert_eq!(worker.line.put_chunk(&forged), refused(RefusalCode::BadSignature));
    assert_eq!(worker.line.put_chunk(&chunk), ChunkOutcome::Durable);
}
