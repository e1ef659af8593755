//! Hostile content: each attack is shown to harm a plain Automerge document, and to be refused here while the replica
//! goes on working.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{ActorId, AutoCommit, Automerge, Change, ROOT, ReadDoc, transaction::Transactable};
use vereda_base::{ActorBytes, Timestamp};
use vereda_document::{
    ChangeFault, Edit, Expect, LoadError, ParsedChunk, Refusal, Replica, SavedFault,
    frame::{Compression, Context, FrameError, encode},
    hostile_examples::{ATTACKS, Attack, Hostile, attack, prepare},
};
use vereda_records::{FieldPath, RecordType, Value};

const OWNER: ActorBytes = ActorBytes([1; 16]);
const ATTACKER: ActorBytes = ActorBytes([9; 16]);

fn victim() -> Replica {
    let (mut replica, _) = Replica::create(OWNER, RecordType::Case, Timestamp(0)).unwrap();
    prepare(&mut replica).unwrap();
    replica
}

fn plain(victim: &Replica) -> Automerge {
    Automerge::load(&victim.save()).unwrap().with_actor(ActorId::from(&OWNER.0[..]))
}

fn hostile(kind: Attack) -> (Replica, Hostile) {
    let victim = victim();
    let hostile = attack(kind, &victim, ATTACKER).unwrap();
    (victim, hostile)
}

/// Lets a replica admit or refuse what an attacker sends, his header telling the truth about it.
fn admit(victim: &mut Replica, hostile: &Hostile) -> Result<usize, Refusal> {
    let known = victim.clone();
    let expect = Expect {
        context: hostile.context,
        first_seq: hostile.first_seq,
        count: u32::try_from(hostile.changes.len()).unwrap(),
        closure: &|hash| known.has_change(hash) || *hash == [0xab; 32],
    };
    let chunk = ParsedChunk::parse(&hostile.body(), &expect)?;
    victim.apply(&chunk).map(|applied| applied.new)
}

fn assert_works_on(replica: &mut Replica, before: &Replica) {
    assert_eq!(replica.save(), before.save(), "a refused chunk left something behind");
    let edit = Edit::Set { path: FieldPath::field("name"), value: Value::text("Amina B.") };
    replica.edit(&[edit], Timestamp(2_000)).unwrap().pop().unwrap();
    let reloaded = Replica::load(&replica.save(), OWNER).unwrap();
    assert_eq!(reloaded.hydrate().unwrap().answer("name"), Some(&Value::text("Amina B.")));
}

fn check(kind: Attack, expected: impl Fn(Refusal) -> bool) {
    let (mut victim, hostile) = hostile(kind);
    let before = victim.clone();
    let refusal = admit(&mut victim, &hostile).expect_err("admitted");
    assert!(expected(refusal), "{kind:?}: {refusal:?}");
    assert_works_on(&mut victim, &before);
}

fn fault(refusal: Refusal) -> Option<ChangeFault> {
    match refusal {
        Refusal::Change { fault, .. } => Some(fault),
        _ => None,
    }
}

fn changes(hostile: &Hostile) -> Vec<Change> {
    hostile.changes.iter().map(|raw| Change::from_bytes(raw.clone()).unwrap()).collect()
}

#[test]
fn an_honest_change_of_the_same_author_is_admitted() {
    let mut victim = victim();
    let mut colleague = Replica::load(&victim.save(), ATTACKER).unwrap();
    let edit = Edit::Set { path: FieldPath::field("name"), value: Value::text("Aminah") };
    let change = colleague.edit(&[edit], Timestamp(0)).unwrap().pop().unwrap();
    let honest = Hostile { context: victim.context(ATTACKER, 1), first_seq: 1, changes: vec![change.bytes] };
    assert_eq!(admit(&mut victim, &honest), Ok(1));
    assert_eq!(admit(&mut victim, &honest), Ok(0));
    assert_eq!(victim.hydrate(), colleague.hydrate());
}

#[test]
fn every_attack_is_refused_and_the_replica_goes_on_working() {
    for kind in ATTACKS {
        check(kind, |_| true);
    }
}

#[test]
fn an_extreme_start_op_would_make_the_next_edit_panic() {
    let (victim, hostile) = hostile(Attack::ExtremeStartOp);
    let mut document = plain(&victim);
    document.apply_changes(changes(&hostile)).unwrap();
    let next_edit = catch_unwind(AssertUnwindSafe(|| {
        let mut transaction = document.transaction();
        transaction.put(ROOT, "name", "Amina B.").unwrap();
        transaction.commit();
    }));
    assert!(next_edit.is_err());
    check(Attack::ExtremeStartOp, |refusal| matches!(fault(refusal), Some(ChangeFault::Counter { .. })));
    check(Attack::InflatedStartOp, |refusal| matches!(refusal, Refusal::StartOp { .. }));
}

#[test]
fn a_repeated_seq_would_fail_a_whole_batch() {
    let (victim, hostile) = hostile(Attack::RepeatedSeq);
    assert!(plain(&victim).apply_changes(changes(&hostile)).is_err());
    check(Attack::RepeatedSeq, |refusal| matches!(refusal, Refusal::Sequence { expected: 2, found: 1, .. }));
    check(Attack::SkippedSeq, |refusal| matches!(refusal, Refusal::Sequence { expected: 1, found: 2, .. }));
}

#[test]
fn another_change_at_a_seq_that_stands_is_refused() {
    let mut victim = victim();
    let send = |value: &str, from: &Replica| {
        let mut own = Replica::load(&from.save(), ATTACKER).unwrap();
        let edit = Edit::Set { path: FieldPath::field("name"), value: Value::text(value) };
        let change = own.edit(&[edit], Timestamp(0)).unwrap().pop().unwrap();
        Hostile { context: from.context(ATTACKER, 1), first_seq: 1, changes: vec![change.bytes] }
    };
    let (one, other) = (send("one", &victim), send("other", &victim));
    assert_eq!(admit(&mut victim, &one), Ok(1));
    let before = victim.clone();
    assert_eq!(admit(&mut victim, &other), Err(Refusal::DuplicateSequence { index: 0, seq: 1 }));
    assert_works_on(&mut victim, &before);
}

#[test]
fn a_missing_dependency_would_be_parked_in_silence_and_saved() {
    let (victim, hostile) = hostile(Attack::MissingDependency);
    let mut document = plain(&victim);
    document.apply_changes(changes(&hostile)).unwrap();
    assert_eq!(document.get_heads(), plain(&victim).get_heads(), "not applied, yet no error");
    assert!(document.save().len() > plain(&victim).save().len(), "the orphan is saved");
    check(Attack::MissingDependency, |refusal| matches!(refusal, Refusal::MissingDependency { .. }));

    // The same where the dependency is not among what the chunk says it builds on.
    let (victim, hostile) = self::hostile(Attack::MissingDependency);
    let known = |hash: &[u8; 32]| victim.has_change(hash);
    let context = hostile.context;
    let expect = Expect { context, first_seq: 1, count: 1, closure: &known };
    let refusal = ParsedChunk::parse(&hostile.body(), &expect).err();
    assert_eq!(refusal, Some(Refusal::OutsideClosure { index: 0 }));
}

#[test]
fn a_foreign_actor_would_write_under_another_name() {
    let (victim, hostile) = hostile(Attack::ForeignActor);
    let mut document = plain(&victim);
    document.apply_changes(changes(&hostile)).unwrap();
    assert_ne!(document.get_heads(), plain(&victim).get_heads());
    check(Attack::ForeignActor, |refusal| refusal == Refusal::ForeignActor { index: 0 });
}

#[test]
fn root_maps_made_again_would_hide_everything() {
    let (victim, hostile) = hostile(Attack::RootsAgain);
    let mut document = plain(&victim);
    document.apply_changes(changes(&hostile)).unwrap();
    let (_, fields) = document.get(ROOT, "fields").unwrap().unwrap();
    assert_eq!(document.length(fields), 0);
    check(Attack::RootsAgain, |refusal| refusal == Refusal::Roots { index: 0 });
    check(Attack::TextOverText, |refusal| refusal == Refusal::Roots { index: 0 });
}

#[test]
fn a_change_that_claims_to_have_seen_what_it_did_not_is_refused() {
    check(Attack::UnseenOverwritten, |refusal| matches!(refusal, Refusal::References { .. }));
    check(Attack::NothingOverwritten, |refusal| matches!(refusal, Refusal::References { .. }));
    check(Attack::UnknownObject, |refusal| matches!(refusal, Refusal::Object { .. }));
    check(Attack::Detached, |refusal| refusal == Refusal::Detached { index: 1 });
}

#[test]
fn an_element_of_another_text_would_panic() {
    for kind in [Attack::UnknownElement, Attack::ElementOfAnotherText] {
        let (victim, hostile) = hostile(kind);
        let mut document = plain(&victim);
        assert!(catch_unwind(AssertUnwindSafe(|| document.apply_changes(changes(&hostile)))).is_err(), "{kind:?}");
        check(kind, |refusal| matches!(refusal, Refusal::References { .. }));
    }
}

#[test]
fn a_few_bytes_would_stand_for_a_million_operations() {
    let (_, hostile) = hostile(Attack::EndlessRows);
    assert!(hostile.changes[0].len() < 200);
    assert_eq!(changes(&hostile)[0].len(), 1 << 20);
    check(Attack::EndlessRows, |refusal| matches!(fault(refusal), Some(ChangeFault::TooManyRows { .. })));
}

#[test]
fn what_our_changes_never_hold_is_refused() {
    check(Attack::ForeignAction, |refusal| matches!(fault(refusal), Some(ChangeFault::Action { action: 5 })));
    check(Attack::MessageAndExtraBytes, |refusal| matches!(fault(refusal), Some(ChangeFault::Message { .. })));
    check(Attack::DeflatedColumn, |refusal| fault(refusal) == Some(ChangeFault::Deflated));
}

#[test]
fn a_wrong_checksum_is_not_noticed_by_automerge() {
    let (_, hostile) = hostile(Attack::WrongChecksum);
    assert!(Change::from_bytes(hostile.changes[0].clone()).is_ok());
    // A body holds no checksum to be wrong; a change that brings one is compared.
    let encoded = encode(&hostile.changes, &hostile.context, Compression::Smallest);
    assert_eq!(encoded, Err(FrameError::Change { index: 0, fault: ChangeFault::Checksum }));
}

#[test]
fn a_deflated_change_would_inflate_a_thousandfold() {
    let mut document = AutoCommit::new_with_encoding(automerge::TextEncoding::UnicodeCodePoint)
        .with_actor(ActorId::from(&ATTACKER.0[..]));
    document.put(ROOT, "bomb", "a".repeat(20 << 20)).unwrap();
    document.commit();
    let bomb = document.get_last_local_change().unwrap().bytes().into_owned();
    assert!(bomb.len() < 24 << 10);
    assert!(Change::from_bytes(bomb.clone()).unwrap().raw_bytes().len() > 20 << 20);
    // A body cannot say that a change is deflated; neither can a saved document.
    let hostile = Hostile { context: victim().context(ATTACKER, 1), first_seq: 1, changes: vec![bomb.clone()] };
    let mut victim = victim();
    let before = victim.clone();
    assert!(admit(&mut victim, &hostile).is_err());
    assert_works_on(&mut victim, &before);
    assert_eq!(Replica::load(&bomb, OWNER).err(), Some(LoadError::Saved(SavedFault::NotADocument)));
    let deflated = document.save();
    assert_eq!(Replica::load(&deflated, OWNER).err(), Some(LoadError::Saved(SavedFault::Deflated)));
}

#[test]
fn a_body_that_declares_or_inflates_too_much_is_refused_before_it_is_expanded() {
    let context = victim().context(ATTACKER, 1);
    let check = |body: &[u8], expected: fn(FrameError) -> bool| {
        let expect = Expect { context, first_seq: 1, count: 1, closure: &|_| true };
        let refusal = ParsedChunk::parse(body, &expect).unwrap_err();
        assert!(matches!(refusal, Refusal::Frame(error) if expected(error)), "{refusal:?}");
    };
    let (_, hostile) = hostile(Attack::InflatedStartOp);
    let body = hostile.body();
    check(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f], |error| matches!(error, FrameError::TooLarge { .. }));
    check(&[7, 1, 0], |error| error == FrameError::Unknown { found: 7 });
    check(&[&body[..], &[0]].concat(), |error| matches!(error, FrameError::Inflate { .. }));
    check(&[&body[..], &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]].concat(), |error| {
        matches!(error, FrameError::Inflate { .. })
    });
    check(&body[..body.len() - 1], |error| matches!(error, FrameError::Inflate { .. }));
    check(&[], |error| matches!(error, FrameError::Read(_)));
}

#[test]
fn a_malformed_tail_would_be_swallowed() {
    let victim = victim();
    let mut document = plain(&victim);
    let mut saved = plain(&victim).save();
    saved.extend_from_slice(b"\x85\x6f\x4a\x83 a tail");
    document.load_incremental(&saved).unwrap();
    assert!(Replica::load(&[victim.save(), b"tail".to_vec()].concat(), OWNER).is_err());
}

#[test]
fn orphans_are_never_loaded_or_saved() {
    let (victim, hostile) = hostile(Attack::MissingDependency);
    let with_orphan = [victim.save(), hostile.changes[0].clone()].concat();
    assert!(Automerge::load(&with_orphan).is_ok());
    assert!(matches!(Replica::load(&with_orphan, OWNER), Err(LoadError::Saved(SavedFault::Read(_)))));
}

/// A small generator of our own: mutations must be the same in every run.
fn mutations(bytes: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (below as u64)).unwrap()
    };
    (0..count).map(move |_| {
        let mut mutated = bytes.to_vec();
        for _ in 0..=draw(3) {
            let at = draw(mutated.len());
            match draw(3) {
                0 => mutated[at] ^= 1 << draw(8),
                1 => mutated[at] = u8::try_from(draw(256)).unwrap(),
                _ => {
                    let end = (at + draw(8)).min(mutated.len());
                    mutated.drain(at..end);
                }
            }
            if mutated.is_empty() {
                mutated.push(0);
            }
        }
        mutated
    })
}

#[test]
fn mutated_documents_never_panic_the_program() {
    let saved = victim().save();
    let mut refused = 0;
    for mutated in mutations(&saved, 600) {
        match Replica::load(&mutated, OWNER) {
            Ok(mut replica) => {
                let _ = replica.hydrate();
                let _ = replica.edit(&[], Timestamp(0));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 590, "{refused}");
}

#[test]
fn mutated_bodies_never_panic_and_what_is_admitted_leaves_a_working_replica() {
    let victim = victim();
    let mut colleague = Replica::load(&victim.save(), ATTACKER).unwrap();
    let context = victim.context(ATTACKER, 1);
    let mut raw = Vec::new();
    for number in 0..6 {
        let path = FieldPath::field("notes");
        let edits = [
            Edit::Splice { path, at: number, delete: 1, insert: "é x".into() },
            Edit::Set { path: FieldPath::field("age"), value: Value::Integer(number as i64) },
        ];
        raw.push(colleague.edit(&edits, Timestamp(0)).unwrap().pop().unwrap().bytes);
    }
    let body = encode(&raw, &context, Compression::Stored).unwrap();
    let expect = Expect { context, first_seq: 1, count: 6, closure: &|_| true };
    assert!(ParsedChunk::parse(&body, &expect).is_ok());
    let (mut parsed, mut admitted) = (0, 0);
    for mutated in mutations(&body, 3_000) {
        let Ok(chunk) = ParsedChunk::parse(&mutated, &expect) else { continue };
        parsed += 1;
        let mut replica = victim.clone();
        if replica.apply(&chunk).is_ok() {
            admitted += 1;
            replica.hydrate().unwrap();
            let edit = Edit::Splice { path: FieldPath::field("notes"), at: 0, delete: 0, insert: "new ".into() };
            replica.edit(&[edit], Timestamp(0)).unwrap();
            Replica::load(&replica.save(), OWNER).unwrap();
        } else {
            assert_eq!(replica.heads(), victim.heads());
        }
    }
    // Without the sealed header's hashes, a changed letter of a value is as good as the one before.
    assert!(admitted > 0 && admitted <= parsed, "{admitted} of {parsed}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        mut body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        layout in 0u8..2,
    ) {
        let context = Context { author: ATTACKER, creator: OWNER, previous: None };
        let expect = Expect { context, first_seq: 1, count: 1, closure: &|_| true };
        let _ = ParsedChunk::parse(&body, &expect);
        let _ = Replica::load(&body, OWNER);
        // As a stored body whose declared length is right, so that the frame's own reader sees the bytes.
        body.truncate(120);
        let frame = [&[layout][..], &body].concat();
        let stored = [&[0, u8::try_from(frame.len()).unwrap()][..], &frame].concat();
        let _ = ParsedChunk::parse(&stored, &expect);
    }
}
