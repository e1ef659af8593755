//! Epochs that leave somebody out, let somebody in, or are over.

use vereda_adversary::{
    Member, Office, forge,
    office::{assert_appended, op_refused, refused},
};
use vereda_policy::{BadRotate, Body, Chains, EpochFault, Role, cite_content, epoch_targets};
use vereda_protocol::{ChunkOutcome, RefusalCode};
use vereda_sync::people::{NOW, Put};

fn office_with(role: Role) -> (Office, Member) {
    let mut office = Office::open();
    let member = office.join(office.team, role);
    (office, member)
}

/// A member calls the first epoch of a case bad, so that the next one is due.
fn call_bad(office: &mut Office, by: &mut Member, case: vereda_base::ChainId) {
    let bad = by.person.draft(case, Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap }));
    office.put(by, &bad);
}

#[test]
fn a_new_epoch_leaves_nobody_out_lets_nobody_in_and_holds_the_key_before() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let case = office.case(office.team);
    office.brief(&mut editor);
    let (fresh, wraps) = forge::rotation(&editor.person, case);
    let cites = forge::cites(&editor.person, &[office.team, editor.person.user()]);
    let put = Put { wraps, ..forge::op(&editor.person, case, cites, Body::Rotate(fresh)) };
    assert_eq!(editor.line.put(&put), op_refused(RefusalCode::Outdated), "nobody left who may hold the key");
    call_bad(&mut office, &mut editor, case);
    let (honest, wraps) = forge::rotation(&editor.person, case);
    let mut attempt = |body: vereda_policy::Rotate, wraps: &[vereda_policy::Wrap]| {
        let cites = forge::cites(&editor.person, &[office.team, editor.person.user()]);
        let put = forge::op(&editor.person, case, cites, Body::Rotate(body));
        editor.line.put(&Put { wraps: wraps.to_vec(), ..put })
    };
    let state = office.chains.chain(&case).unwrap();
    let due = epoch_targets(&office.chains, &case, Some(NOW));
    assert_eq!(due, [Some(0)]);
    let (leaves_out, few) = forge::rotation_to(&state, &[None]);
    assert_eq!(attempt(leaves_out, &few), op_refused(RefusalCode::Outdated));
    let (superseded, old) = forge::rotation_to(&state, &[Some(7)]);
    assert_eq!(attempt(superseded, &old), op_refused(RefusalCode::Outdated), "a key its recipient never had");
    let mut without = honest.clone();
    without.epoch.previous = None;
    assert_eq!(attempt(without, &wraps), op_refused(RefusalCode::Malformed), "without the key before");
    let mut follows = honest.clone();
    follows.follows = 1;
    assert_eq!(attempt(follows, &wraps), op_refused(RefusalCode::Outdated));
    assert_eq!(attempt(honest.clone(), &wraps[..1]), op_refused(RefusalCode::Malformed), "a wrap held back");
    assert_appended(&attempt(honest, &wraps));
}

#[test]
fn who_is_no_member_neither_begins_an_epoch_nor_calls_one_bad() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let mut outsider = office.join(office.agency, Role::Manager);
    let case = office.case(office.team);
    office.brief(&mut editor);
    office.brief(&mut outsider);
    let (rotate, wraps) = forge::rotation(&outsider.person, case);
    let bad = Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Commitment });
    let path = [office.agency, office.team, outsider.person.user()];
    for (body, wraps) in [(bad.clone(), Vec::new()), (Body::Rotate(rotate), wraps)] {
        let put = forge::op(&outsider.person, case, forge::cites(&outsider.person, &path), body);
        assert_eq!(outsider.line.put(&Put { wraps, ..put }), op_refused(RefusalCode::NotAuthorized));
    }
    let called = editor.person.draft(case, bad);
    office.put(&mut editor, &called);
    let rotate = forge::rotate(&editor.person, case);
    office.put(&mut editor, &rotate);
}

#[test]
fn an_epoch_that_was_followed_by_another_takes_nothing_new() {
    let (mut office, mut worker) = office_with(Role::Editor);
    let case = office.case(office.team);
    office.brief(&mut worker);
    let mut header = worker.person.header(case, 0, None, &[], 300);
    call_bad(&mut office, &mut worker, case);
    let rotate = forge::rotate(&worker.person, case);
    office.put(&mut worker, &rotate);
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&header, 300)), refused(RefusalCode::StaleEpoch));
    office.brief(&mut worker);
    header.cites = cite_content(&worker.person.chains, &worker.person.device(), &case, Role::Editor, None).unwrap();
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&header, 300)), refused(RefusalCode::StaleEpoch));
    header.epoch = 1;
    assert_eq!(worker.line.put_chunk(&worker.person.seal(&header, 300)), ChunkOutcome::Durable, "sealed again");
}
