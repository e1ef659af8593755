//! Which chunks stand, and how each other one is refused.

use vereda_base::{Incarnation, Link, OpId, Timestamp};
use vereda_crypto::Signature;
use vereda_policy::{Chains, Cite, Role};
use vereda_protocol::{ChunkOutcome, Down, Goodbye, Header, Logged, Position, RefusalCode, Up};
use vereda_sync::people::{Person, link_of};

use super::room::{Room, assert_appended, refused, revoke, rotate};

#[test]
fn a_chunk_is_durable_and_a_retry_is_told_so_again() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let chunk = manager.chunk(case, 0, None, &[], 400);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
    let next = manager.chunk(case, 1, Some(link_of(&chunk)), &[link_of(&chunk)], 400);
    assert_eq!(room.put_chunk(id, &next), ChunkOutcome::Durable);
    let back = room.connect_member(&manager);
    let Some(Down::Welcome { held, .. }) = room.take(back).into_iter().next() else { panic!("a welcome") };
    assert_eq!(held, 2);
}

#[test]
fn whoever_was_handed_what_the_log_lacks_is_told_that_it_is_forgotten() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let chunk = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
    let create = OpId(case.0);
    let known = [Logged::Op { chain: case, op: create }, Logged::Chunk { document: case, link: link_of(&chunk) }];
    let unknown = [
        Logged::Op { chain: agency, op: create },
        Logged::Op { chain: vereda_base::ChainId([9; 32]), op: create },
        Logged::Chunk { document: agency, link: link_of(&chunk) },
        Logged::Chunk { document: case, link: Link([7; 32]) },
    ];
    for (last, is_known) in known.map(|last| (last, true)).into_iter().chain(unknown.map(|last| (last, false))) {
        let id = room.connect_member(&manager);
        room.up(id, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![last] });
        assert_eq!(room.goodbye(id), (!is_known).then_some(Goodbye::Forgotten), "{last:?}");
    }
}

#[test]
fn nobody_learns_by_what_he_names_last_whether_it_is_there() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let north = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &north));
    let (bashir, _) = room.join((&mut manager, id), north.chain(), Role::Editor, 2);
    let (chipo, _) = room.join((&mut manager, id), agency, Role::Reader, 3);
    let case = room.case((&mut manager, id), north.chain());
    let chunk = |room: &mut Room, manager: &mut Person, seq, before: &[Link]| {
        let chunk = manager.chunk(case, seq, before.last().copied(), before, 300);
        assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
        link_of(&chunk)
    };
    let first = chunk(&mut room, &mut manager, 0, &[]);
    let is_forgotten = |room: &mut Room, person: &Person, last| {
        let session = room.connect_member(person);
        room.up(session, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![last] });
        room.goodbye(session) == Some(Goodbye::Forgotten)
    };
    let in_case = |op| Logged::Op { chain: case, op };
    let content = |link| Logged::Chunk { document: case, link };
    let before = [in_case(OpId(case.0)), content(first)];
    for last in before {
        assert!(!is_forgotten(&mut room, &bashir, last), "{last:?} was handed to him");
        assert!(is_forgotten(&mut room, &chipo, last), "{last:?} as if it were not there");
    }
    let put_out = revoke(&mut room, (&mut manager, id), north.chain(), bashir.user());
    rotate(&mut room, (&mut manager, id), case);
    let second = chunk(&mut room, &mut manager, 1, &[first]);
    let rotated = in_case(manager.chains.chain(&case).unwrap().head());
    let ended = Logged::Op { chain: north.chain(), op: put_out.id() };
    for last in before.into_iter().chain([ended]) {
        assert!(!is_forgotten(&mut room, &bashir, last), "what he was handed goes on being known: {last:?}");
    }
    for last in [rotated, content(second)] {
        assert!(is_forgotten(&mut room, &bashir, last), "{last:?} came after he was put out");
    }
    // Let in again, he is asked for nothing anew, whatever he names.
    let grant = manager.grant(north.chain(), bashir.user(), Role::Editor);
    assert_appended(&room.put(id, &grant));
    for last in before.into_iter().chain([ended, rotated, content(second)]) {
        assert!(!is_forgotten(&mut room, &bashir, last), "{last:?}");
    }
}

#[test]
fn each_rule_that_a_chunk_breaks_has_its_refusal() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let other_case = room.case((&mut manager, id), agency);
    let first = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &first), ChunkOutcome::Durable);
    let base = manager.header(case, 1, Some(link_of(&first)), &[link_of(&first)], 300);
    let mut check = |name: &str, expected: RefusalCode, change: &dyn Fn(&mut Header)| {
        let mut header = base.clone();
        change(&mut header);
        assert_eq!(room.put_chunk(id, &manager.seal(&header, 300)), refused(expected), "{name}");
    };
    let unknown = Link([7; 32]);
    check("suite", RefusalCode::Unsupported, &|header| header.suite = 2);
    check("length", RefusalCode::Malformed, &|header| header.ciphertext_len = 299);
    check("hash", RefusalCode::Malformed, &|header| header.ciphertext_hash.0[0] ^= 1);
    check("no changes", RefusalCode::Malformed, &|header| header.change_count = 0);
    check("too many changes", RefusalCode::TooLarge, &|header| header.change_count = 1 << 20);
    check("deps not sorted", RefusalCode::Malformed, &|header| header.deps = vec![unknown; 2]);
    check("too many deps", RefusalCode::TooLarge, &|header| {
        header.deps = vec![unknown; vereda_base::limits::MAX_DEPS + 1]
    });
    check("missing dep", RefusalCode::MissingDeps, &|header| header.deps = vec![unknown]);
    check("document not cited", RefusalCode::Malformed, &|header| header.cites.retain(|cite| cite.chain != case));
    check("unknown head", RefusalCode::UnknownPolicy, &|header| {
        header.cites = vec![Cite { chain: case, head: OpId([1; 32]) }];
    });
    check("no path cited", RefusalCode::NotAuthorized, &|header| header.cites.retain(|cite| cite.chain == case));
    check("unknown epoch", RefusalCode::Malformed, &|header| header.epoch = 4);
    check("gap", RefusalCode::NotContiguous, &|header| header.seq = 2);
    check("no prev", RefusalCode::NotContiguous, &|header| header.prev = None);
    check("fork at a seq", RefusalCode::Fork, &|header| header.seq = 0);
    check("fork by prev", RefusalCode::Fork, &|header| header.prev = Some(unknown));
    check("new incarnation, unknown prev", RefusalCode::NotContiguous, &|header| {
        header.incarnation = Incarnation(1);
        header.seq = 0;
        header.prev = Some(unknown);
    });
    let elsewhere = manager.chunk(other_case, 0, None, &[link_of(&first)], 300);
    assert_eq!(room.put_chunk(id, &elsewhere), refused(RefusalCode::MissingDeps), "dep elsewhere");
    let mut continued = base.clone();
    continued.incarnation = Incarnation(1);
    continued.seq = 0;
    assert_eq!(room.put_chunk(id, &manager.seal(&continued, 300)), ChunkOutcome::Durable, "new incarnation");
    assert_eq!(room.put_chunk(id, &manager.seal(&base, 300)), ChunkOutcome::Durable, "unchanged");
}

#[test]
fn a_forged_chunk_is_refused_and_an_unreadable_one_ends_the_session() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let chunk = manager.chunk(case, 0, None, &[], 300);
    let mut forged = chunk.clone();
    forged.header = vereda_crypto::Signed::from_parts(chunk.header.bytes().to_vec(), Signature([1; 64]));
    room.take(id);
    room.up(id, Up::PutChunk(forged));
    let expected = Down::ChunkResult { link: link_of(&chunk), outcome: refused(RefusalCode::BadSignature) };
    assert_eq!(room.take(id), [expected]);
    let mut unreadable = chunk;
    unreadable.header = vereda_crypto::Signed::from_parts(vec![0x80], Signature([1; 64]));
    room.up(id, Up::PutChunk(unreadable));
    assert_eq!(room.goodbye(id), Some(Goodbye::Violation));
}

#[test]
fn a_reader_writes_nothing_and_nobody_hands_over_the_chunks_of_another() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let (mut reader, reader_id) = room.join((&mut manager, id), agency, Role::Reader, 7);
    let case = room.case((&mut manager, id), agency);
    let downs = room.take(reader_id);
    super::room::learn(&mut reader, &downs);
    let mut header = reader.header(case, 0, None, &[], 300);
    header.cites = vereda_policy::cite_content(&reader.chains, &reader.device(), &case, Role::Reader, None).unwrap();
    assert_eq!(room.put_chunk(reader_id, &reader.seal(&header, 300)), refused(RefusalCode::NotAuthorized));
    let chunk = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(reader_id, &chunk), refused(RefusalCode::NotAuthorized));
}

#[test]
fn a_chunk_that_cites_an_older_head_than_its_device_did_before_is_refused() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let mut behind = manager.clone();
    let invite = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    super::room::assert_appended(&room.put(id, &invite));
    let chunk = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
    let older = behind.chunk(case, 1, Some(link_of(&chunk)), &[link_of(&chunk)], 300);
    assert_eq!(room.put_chunk(id, &older), refused(RefusalCode::CiteRegressed));
    let newest = manager.chunk(case, 1, Some(link_of(&chunk)), &[link_of(&chunk)], 300);
    assert_eq!(room.put_chunk(id, &newest), ChunkOutcome::Durable);
}

#[test]
fn a_document_unknown_here_takes_no_chunk() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = manager.create_case(agency).chain();
    let chunk = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &chunk), refused(RefusalCode::NotAuthorized));
    let stranger = Person::new(9).chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &stranger), refused(RefusalCode::NotAuthorized));
}

#[test]
fn a_device_that_overdraws_its_credit_is_let_go() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let mut prev = None;
    for seq in 0..5 {
        let chunk = manager.chunk(case, seq, prev, prev.as_slice(), 700_000);
        prev = Some(link_of(&chunk));
        room.up_only(id, Up::PutChunk(chunk));
    }
    room.settle();
    assert_eq!(room.goodbye(id), Some(Goodbye::Violation));
    let id = room.connect_member(&manager);
    room.take(id);
    let chunk = manager.chunk(case, 0, None, &[], 700_000);
    assert_eq!(room.put_chunk(id, &chunk), refused(RefusalCode::Fork));
    let chunk = manager.chunk(case, 2, None, &[], 700_000);
    assert_eq!(room.put_chunk(id, &chunk), refused(RefusalCode::NotContiguous));
    assert!(room.take(id).iter().any(|down| matches!(down, Down::Credit(bytes) if *bytes > 1_000_000)));
}
