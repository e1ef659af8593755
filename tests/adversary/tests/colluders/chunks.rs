//! Chunks that the relay changed, moved, made up, or let somebody make who may not.

use vereda_adversary::{Stage, Victim, forge, line::header_of};
use vereda_base::{Digest, Incarnation, limits};
use vereda_crypto::{Signature, Signed, context, hash};
use vereda_policy::Role;
use vereda_protocol::Chunk;
use vereda_sync::{
    device::QuarantineReason::{self, BadCiphertext, BadHeader, CiteRegressed, Fork, NotAuthorized},
    people::link_of,
};

/// Serves chunks one after the other; gives why the last was set aside, if it was. The first of the case is honest.
fn set_aside(stage: &Stage, chunk: &Chunk) -> (Victim, Option<QuarantineReason>) {
    let mut victim = Victim::of(stage);
    victim.content(&[chunk]);
    let reason = victim.set_aside(&header_of(chunk).document).last().copied();
    assert_eq!(victim.disconnects(), [], "the device goes on");
    (victim, reason)
}

#[test]
fn ciphertexts_that_the_relay_swapped_are_set_aside_and_their_own_are_not() {
    let mut stage = Stage::set();
    let one = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let two = stage.amina.chunk(stage.case, 0, None, &[], 400);
    let mut victim = Victim::of(&stage);
    let swapped = [
        Chunk { header: one.header.clone(), ciphertext: two.ciphertext.clone() },
        Chunk { header: two.header.clone(), ciphertext: one.ciphertext.clone() },
    ];
    victim.content(&[&swapped[0], &swapped[1]]);
    assert_eq!(victim.set_aside(&stage.case), [BadCiphertext, BadCiphertext]);
    assert!(victim.stored(&stage.case).is_empty());
    let mut victim = Victim::of(&stage);
    victim.content(&[&one, &two]);
    assert!(victim.has(&one) && victim.has(&two));
}

#[test]
fn a_header_that_was_changed_or_signed_by_another_is_set_aside() {
    let mut stage = Stage::set();
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let by_another = forge::rewritten(&stage.amina, &honest, |_| ());
    let lies = [
        forge::tampered(&honest, |header| header.first_change += 1),
        Chunk { header: Signed::from_parts(honest.header.bytes().to_vec(), Signature([1; 64])), ..honest.clone() },
        Chunk {
            header: Signed::from_parts(honest.header.bytes().to_vec(), *by_another.header.signature()),
            ..honest.clone()
        },
    ];
    for lie in lies {
        assert_eq!(set_aside(&stage, &lie).1, Some(BadHeader));
    }
    assert!(set_aside(&stage, &honest).0.has(&honest));
}

#[test]
fn a_chunk_that_the_relay_moved_to_another_case_is_set_aside_there() {
    let mut stage = Stage::set();
    let other = stage.begin_case();
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let moved = forge::tampered(&honest, |header| header.document = other);
    assert_eq!(set_aside(&stage, &moved).1, Some(BadHeader));
    assert!(set_aside(&stage, &honest).0.has(&honest));
}

#[test]
fn a_chunk_by_a_reader_or_a_stranger_is_set_aside_whatever_the_relay_took() {
    let mut stage = Stage::set();
    let mut reader = vereda_sync::people::Person::new(40);
    let user = reader.create_user();
    stage.admit(&user);
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let by = |stage: &Stage, reader: &mut vereda_sync::people::Person| {
        reader.chains = stage.relay.chains.clone();
        let cites = forge::cites(reader, &[stage.case, stage.team, reader.user()]);
        forge::rewritten(reader, &honest, |header| header.cites = cites)
    };
    let stranger = by(&stage, &mut reader);
    assert_eq!(set_aside(&stage, &stranger).1, Some(NotAuthorized));
    let grant = stage.amina.draft(stage.team, forge::grant(reader.user(), Role::Reader));
    stage.admit(&grant);
    let by_reader = by(&stage, &mut reader);
    assert_eq!(set_aside(&stage, &by_reader).1, Some(NotAuthorized));
    let grant = stage.amina.draft(stage.team, forge::grant(reader.user(), Role::Editor));
    stage.admit(&grant);
    let by_editor = by(&stage, &mut reader);
    assert!(set_aside(&stage, &by_editor).0.has(&by_editor));
}

#[test]
fn two_chunks_at_one_place_convict_their_author_and_nothing_more_of_his_is_taken() {
    let mut stage = Stage::set();
    let one = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let two = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let next = stage.bashir.chunk(stage.case, 1, Some(link_of(&one)), &[], 300);
    let mut victim = Victim::of(&stage);
    victim.content(&[&one, &two, &next]);
    assert_eq!(victim.set_aside(&stage.case).first(), Some(&Fork));
    assert!(victim.has(&one) && !victim.has(&two) && !victim.has(&next));
    let others = stage.amina.chunk(stage.case, 0, None, &[link_of(&one)], 300);
    victim.content(&[&others]);
    assert!(victim.has(&others), "everybody else's is");
    let mut victim = Victim::of(&stage);
    victim.content(&[&one, &next]);
    assert!(victim.has(&next));
}

#[test]
fn a_chunk_whose_predecessor_the_relay_holds_back_waits_for_it() {
    let mut stage = Stage::set();
    let one = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let two = stage.bashir.chunk(stage.case, 1, Some(link_of(&one)), &[link_of(&one)], 300);
    let mut victim = Victim::of(&stage);
    victim.content(&[&two]);
    assert!(!victim.has(&two));
    victim.content(&[&one]);
    assert!(victim.has(&one) && victim.has(&two));
}

#[test]
fn a_chunk_served_again_or_under_another_nonce_is_there_once() {
    let mut stage = Stage::set();
    let one = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let again = forge::rewritten(&stage.bashir, &one, |header| header.nonce = [8; 24].into());
    assert_eq!(link_of(&one), link_of(&again));
    let mut victim = Victim::of(&stage);
    victim.content(&[&one, &one, &again]);
    assert_eq!(victim.stored(&stage.case), [link_of(&one)]);
    assert!(victim.set_aside(&stage.case).is_empty());
}

#[test]
fn a_chunk_that_cites_older_policy_than_its_author_used_before_is_set_aside() {
    let mut stage = Stage::set();
    let old = stage.bashir.chunk(stage.case, 1, None, &[], 300);
    let grant = stage.amina.draft(stage.case, forge::grant(stage.chipo.user(), Role::Reader));
    stage.admit(&grant);
    let newer = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let back = forge::rewritten(&stage.bashir, &old, |header| header.prev = Some(link_of(&newer)));
    let onward = stage.bashir.chunk(stage.case, 1, Some(link_of(&newer)), &[], 300);
    let mut victim = Victim::of(&stage);
    victim.content(&[&newer, &back]);
    assert_eq!(victim.set_aside(&stage.case), [CiteRegressed]);
    let mut victim = Victim::of(&stage);
    victim.content(&[&newer, &onward]);
    assert!(victim.has(&onward));
}

#[test]
fn what_this_version_does_not_know_such_as_a_snapshot_is_set_aside_whoever_signed_it() {
    let mut stage = Stage::set();
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    // An array of 17 begins with the suite and the kind.
    let mut bytes = honest.header.bytes().to_vec();
    assert_eq!(bytes[..3], [0x91, 1, 0]);
    bytes[2] = 1;
    let signature = stage.bashir.key.sign(context::CHUNK_HEADER_SIGNATURE, &bytes);
    let snapshot = Chunk { header: Signed::from_parts(bytes, signature), ..honest.clone() };
    let mut victim = Victim::of(&stage);
    victim.content(&[&snapshot]);
    assert!(victim.stored(&stage.case).is_empty());
    let mut victim = Victim::of(&stage);
    victim.content(&[&honest]);
    assert!(victim.has(&honest));
}

#[test]
fn an_epoch_that_was_never_begun_is_none_to_seal_under() {
    let mut stage = Stage::set();
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let ahead = forge::rewritten(&stage.bashir, &honest, |header| header.epoch = 5);
    let (victim, _) = set_aside(&stage, &ahead);
    assert!(!victim.has(&ahead));
    assert!(set_aside(&stage, &honest).0.has(&honest));
}

#[test]
fn lists_out_of_order_and_counts_out_of_bounds_are_set_aside() {
    let mut stage = Stage::set();
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let changes: [fn(&mut vereda_protocol::Header); 4] = [
        |header| header.change_count = 0,
        |header| header.change_count = u32::MAX,
        |header| header.cites.reverse(),
        |header| header.first_change = 0,
    ];
    for change in changes {
        let chunk = forge::rewritten(&stage.bashir, &honest, change);
        let (victim, reason) = set_aside(&stage, &chunk);
        assert!(!victim.has(&chunk) && reason.is_some(), "{:?}", header_of(&chunk));
    }
    assert!(set_aside(&stage, &honest).0.has(&honest));
}

#[test]
fn chunks_that_wait_for_ever_are_kept_up_to_a_bound_and_the_rest_goes_on() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let nothing = vereda_base::Link([9; 32]);
    for at in 0..600 {
        let chunk = stage.bashir.chunk(stage.case, 0, None, &[nothing], 300);
        let incarnation = Incarnation(1_000 + at);
        let chunk = forge::rewritten(&stage.bashir, &chunk, |header| header.incarnation = incarnation);
        victim.content(&[&chunk]);
    }
    let vereda_sync::device::SyncState::Overfull { .. } = victim.explain(&stage.case) else {
        panic!("{:?}", victim.explain(&stage.case))
    };
    let honest = stage.amina.chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&honest]);
    assert!(victim.has(&honest) && victim.disconnects().is_empty());
}

#[test]
fn a_ciphertext_of_the_right_hash_and_another_length_is_set_aside() {
    let mut stage = Stage::set();
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let lie = forge::rewritten(&stage.bashir, &honest, |header| header.ciphertext_len = 299);
    assert_eq!(set_aside(&stage, &lie).1, Some(BadCiphertext));
    let lie = forge::rewritten(&stage.bashir, &honest, |header| {
        header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[b"else"]));
    });
    assert_eq!(set_aside(&stage, &lie).1, Some(BadCiphertext));
    assert!(set_aside(&stage, &honest).0.has(&honest));
}

#[test]
fn more_incarnations_than_any_device_may_begin_are_set_aside_though_the_relay_took_them() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let first = stage.bashir.incarnation.0;
    let mut chunks = Vec::new();
    for number in 0..limits::MAX_INCARNATIONS as u64 + 2 {
        stage.bashir.incarnation = Incarnation(first + number);
        chunks.push(stage.bashir.chunk(stage.case, 0, None, &[], 300));
    }
    victim.content(&chunks.iter().collect::<Vec<_>>());
    assert_eq!(victim.stored(&stage.case).len(), limits::MAX_INCARNATIONS);
    assert_eq!(victim.set_aside(&stage.case), [QuarantineReason::TooManyIncarnations; 2]);
    let honest = stage.amina.chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&honest]);
    assert!(victim.has(&honest) && victim.disconnects().is_empty());
}
