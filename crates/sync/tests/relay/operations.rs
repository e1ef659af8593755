//! What may be appended, and what is refused.

use std::time::Duration;

use vereda_base::{ChainId, Digest, Timestamp};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{Accept, Body, Cite, DeviceKind, Grant, Repair, Role, Target, Wrap, WrappedKey, wrap_list};
use vereda_protocol::{OpOutcome, RefusalCode, Up, founding_credential};
use vereda_sync::people::{NOW, Person, Put};
use vereda_sync::relay::{Input, RelayStore, SessionId, founding_digest, store::Founding};

use super::room::{Room, assert_appended, learn};

fn code(outcome: &OpOutcome) -> Option<RefusalCode> {
    match outcome {
        OpOutcome::Refused(code) => Some(*code),
        _ => None,
    }
}

fn receipt_time(outcome: &OpOutcome) -> Timestamp {
    let OpOutcome::Appended(receipt) = outcome else { panic!("{outcome:?}") };
    receipt.clone().verify().unwrap().value().time
}

#[test]
fn a_retry_gets_the_receipt_it_was_given_before() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    let first = room.put(id, &team);
    assert_appended(&first);
    room.now.wall = NOW.saturating_add(Duration::from_secs(9));
    assert_eq!(room.put(id, &team), first);
}

#[test]
fn receipts_of_a_chain_never_go_back_in_time() {
    let (mut room, mut manager, id, agency) = Room::founded();
    room.now.wall = NOW.saturating_add(Duration::from_secs(100));
    let invite = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    let first = receipt_time(&room.put(id, &invite));
    room.now.wall = NOW;
    let invite = manager.invite(agency, Role::Reader, 6, Timestamp(i64::MAX));
    assert_eq!(receipt_time(&room.put(id, &invite)), first);
}

#[test]
fn the_second_of_two_at_once_is_told_the_new_head() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let mut other = manager.clone();
    let first = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    assert_appended(&room.put(id, &first));
    let second = other.invite(agency, Role::Reader, 6, Timestamp(i64::MAX));
    assert_eq!(room.put(id, &second), OpOutcome::HeadMoved(first.id()));
}

#[test]
fn wraps_must_be_exactly_those_of_the_list() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    let check = |room: &mut Room, change: &dyn Fn(&mut Put)| {
        let mut put = team.clone();
        change(&mut put);
        code(&room.put(id, &put))
    };
    assert_eq!(check(&mut room, &|put| put.wraps.clear()), Some(RefusalCode::Malformed));
    assert_eq!(check(&mut room, &|put| put.wraps[0].recipient = Digest([1; 32])), Some(RefusalCode::Malformed));
    assert_eq!(check(&mut room, &|put| put.wraps.push(put.wraps[0].clone())), Some(RefusalCode::Malformed));
    let invite = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    let with_wraps = Put { wraps: team.wraps.clone(), ..invite };
    assert_eq!(code(&room.put(id, &with_wraps)), Some(RefusalCode::Malformed));
    assert_eq!(check(&mut room, &|_| ()), None);
}

#[test]
fn a_member_is_given_the_key_of_an_epoch_once() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let mut join = |seed| room.join((&mut manager, id), team.chain(), Role::Editor, seed).0.user();
    let [a, b, c] = [join(2), join(3), join(4)];
    let mut repair = |manager: &mut Person, recipients: &[ChainId]| {
        let wrap = |recipient: &ChainId| Wrap {
            recipient: Digest(recipient.0),
            recipient_epoch: 0,
            key: WrappedKey::Group(vec![8; 72]),
        };
        let (list, wraps) = wrap_list(recipients.iter().map(wrap).collect());
        let wraps: Vec<Wrap> = wraps.into_iter().map(|(wrap, _)| wrap).collect();
        let targets = wraps.iter().map(|wrap| Target { recipient: wrap.recipient, epoch: wrap.recipient_epoch });
        let repair = Repair { epoch: 0, wraps: list, targets: targets.collect() };
        let put = Put { wraps, ..manager.draft(team.chain(), Body::Repair(repair)) };
        let outcome = room.put(id, &put);
        if code(&outcome).is_none() {
            manager.learn(&put.op);
        }
        // A retry is answered as the first time.
        assert_eq!(room.put(id, &put), outcome);
        code(&outcome)
    };
    assert_eq!(repair(&mut manager, &[a, b]), None);
    assert_eq!(repair(&mut manager, &[a]), Some(RefusalCode::Repeated));
    assert_eq!(repair(&mut manager, &[b, c]), Some(RefusalCode::Repeated));
    assert_eq!(repair(&mut manager, &[c]), None);
    assert_eq!(repair(&mut manager, &[agency]), Some(RefusalCode::Outdated), "it is no member");
}

#[test]
fn nobody_is_sent_wraps_of_a_chain_that_he_is_no_member_of() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let (worker, _) = room.join((&mut manager, id), agency, Role::Reader, 2);
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    let mut begin = |recipient: Digest| {
        let wrap = Wrap { recipient, ..team.wraps[0].clone() };
        let (list, proven) = wrap_list(vec![wrap]);
        let mut op = team.op.value().clone();
        if let Body::Create(create) = &mut op.body {
            create.epoch.wraps = list;
        }
        let op = Verified::sign(&manager.key, op).unwrap();
        code(&room.put(id, &Put { op, wraps: proven.into_iter().map(|(wrap, _)| wrap).collect() }))
    };
    assert_eq!(begin(Digest(worker.user().0)), Some(RefusalCode::NotAuthorized));
    assert_eq!(begin(Digest(worker.device().0)), Some(RefusalCode::NotAuthorized));
    assert_eq!(begin(Digest(manager.user().0)), None);
}

#[test]
fn forged_foreign_and_unknown_operations_are_refused_by_name() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let invite = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    let mut put_signed = |op: Signed<vereda_policy::Op>| {
        room.take(id);
        room.up(id, Up::PutOp { request: 9, op, wraps: Vec::new() });
        let down = room.take(id);
        let Some(vereda_protocol::Down::OpResult { outcome, .. }) = down.first() else { panic!("{down:?}") };
        code(outcome)
    };
    let bytes = invite.op.bytes().to_vec();
    let forged = Signed::from_parts(bytes.clone(), vereda_crypto::Signature([3; 64]));
    assert_eq!(put_signed(forged), Some(RefusalCode::BadSignature));
    let mut other_suite = bytes.clone();
    other_suite[1] = 9;
    let other_suite = Signed::from_parts(other_suite, *invite.op.signature());
    assert_eq!(put_signed(other_suite), Some(RefusalCode::Unsupported));
    let malformed = Signed::from_parts(bytes[..bytes.len() - 1].to_vec(), *invite.op.signature());
    assert_eq!(put_signed(malformed), Some(RefusalCode::Malformed));
    let foreign = Person::new(8).create_user();
    assert_eq!(code(&room.put(id, &foreign)), Some(RefusalCode::NotAuthorized), "another device's");
}

#[test]
fn a_reader_grants_nothing_and_nobody_founds_without_a_secret() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let (mut reader, reader_id) = room.join((&mut manager, id), agency, Role::Reader, 7);
    learn_all(&mut room, reader_id, &mut reader);
    let state = reader.chains.iter().find(|state| state.id() == agency).unwrap().clone();
    let body = Body::Grant(Grant { subject: reader.user(), role: Role::Manager, expires: None, sealed_purpose: None });
    let cites = vereda_policy::cite_path(
        &reader.chains,
        &reader.device(),
        &agency,
        vereda_policy::Need::Member(Role::Reader),
        None,
    );
    let op = vereda_policy::Op {
        suite: 1,
        chain: Some(agency),
        seq: state.head_seq() + 1,
        prev: Some(state.head()),
        device: reader.device(),
        cites: cites.unwrap(),
        body,
    };
    let op = Verified::sign(&reader.key, op).unwrap();
    let put = Put { op, wraps: Vec::new() };
    assert_eq!(code(&room.put(reader_id, &put)), Some(RefusalCode::NotAuthorized));
    let second_agency = reader.create_agency();
    assert_eq!(code(&room.put(reader_id, &second_agency)), Some(RefusalCode::NotAuthorized));
    let second_user = reader.create_user();
    assert_eq!(code(&room.put(reader_id, &second_user)), Some(RefusalCode::NotAuthorized));
}

#[test]
fn an_invite_that_expired_is_spent_for_whoever_is_connected_already() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let expires = NOW.saturating_add(Duration::from_secs(60));
    let invite = manager.invite(agency, Role::Reader, 5, expires);
    assert_appended(&room.put(id, &invite));
    let mut late = Person::new(6);
    let late_id = room.connect(&late.clone(), |opening| Person::new(6).credential(opening, agency, invite.id(), 5));
    let downs = room.pull(late_id, 0, 0);
    learn(&mut late, &downs);
    let user = late.create_user();
    assert_appended(&room.put(late_id, &user));
    let accept = late.accept(agency, invite.id(), 5);
    let put = Up::PutOp { request: 9, op: accept.op.signed().clone(), wraps: Vec::new() };
    room.take(late_id);
    room.now.wall = expires;
    room.up(late_id, put);
    assert_eq!(room.goodbye(late_id), Some(vereda_protocol::Goodbye::InviteSpent));
    assert!(!room.take(late_id).iter().any(|down| matches!(down, vereda_protocol::Down::OpResult { .. })));
}

/// Lets a second agency be founded on a relay; of its founder's user, it alone, where it goes no further.
fn second_agency(room: &mut Room, seed: u8, with_agency: bool) -> (Person, SessionId, Put) {
    let secret = [40 + seed; 32];
    room.store.set_founding(&founding_digest(&secret), &Founding::Open).unwrap();
    room.store.commit().unwrap();
    let mut founder = Person::new(seed);
    let device = founder.device();
    let id = room.connect(&founder.clone(), |opening| founding_credential(opening, &device, &secret));
    let downs = room.pull(id, 0, 0);
    assert!(super::room::ops(&downs).is_empty());
    let user = founder.create_user();
    assert_appended(&room.put(id, &user));
    if with_agency {
        let agency = founder.create_agency();
        assert_appended(&room.put(id, &agency));
    }
    (founder, id, user)
}

#[test]
fn agencies_of_one_relay_do_not_meet() {
    let (mut room, mut first, first_id, agency) = Room::founded();
    let (second, _, user) = second_agency(&mut room, 2, true);
    let id = room.connect_member(&second);
    let downs = room.pull(id, 0, 0);
    assert_eq!(super::room::ops(&downs).len(), 2, "its own user and agency");
    first.learn(&user.op);
    let grant = Grant { subject: second.user(), role: Role::Reader, expires: None, sealed_purpose: None };
    let grant = first.draft(agency, Body::Grant(grant));
    assert_eq!(code(&room.put(first_id, &grant)), Some(RefusalCode::NotAuthorized));
    // Nor is one told how the other goes on.
    let mut op = grant.op.value().clone();
    op.device = second.device();
    let invite = first.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    assert_appended(&room.put(first_id, &invite));
    let mut moved = |body: Body| {
        op.body = body;
        let put = Put { op: Verified::sign(&second.key, op.clone()).unwrap(), wraps: Vec::new() };
        room.put(id, &put)
    };
    let body = grant.op.value().body.clone();
    assert_eq!(moved(body), OpOutcome::Refused(RefusalCode::NotAuthorized));
    let accept = |invite| {
        Body::Accept(Accept::with_key(invite, second.user(), second.device(), &vereda_sync::people::invite_key(5)))
    };
    assert_eq!(moved(accept(user.id())), OpOutcome::Refused(RefusalCode::NotAuthorized), "no invite");
    assert_eq!(moved(accept(invite.id())), OpOutcome::HeadMoved(invite.id()), "who knows an invite may be joining");
}

/// Signs an operation anew that also relies on another chain.
fn citing(person: &Person, put: &Put, cites: &[Cite]) -> Put {
    let mut op = put.op.value().clone();
    op.cites.extend(cites);
    op.cites.sort_by_key(|cite| cite.chain);
    Put { op: Verified::sign(&person.key, op).unwrap(), wraps: put.wraps.clone() }
}

#[test]
fn nobody_has_others_wait_for_a_chain_of_another_agency() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let (_, _, of_none) = second_agency(&mut room, 2, false);
    let (_, _, of_other) = second_agency(&mut room, 3, true);
    let refused = Some(RefusalCode::NotAuthorized);
    for foreign in [of_none, of_other] {
        let cites = [Cite { chain: foreign.chain(), head: foreign.id() }];
        // A guest: all who belong to the team would wait for his user, and so for the team.
        let invite = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
        assert_appended(&room.put(id, &invite));
        let mut guest = Person::new(5);
        let shown = guest.clone();
        let line = room.connect(&guest, |opening| shown.credential(opening, agency, invite.id(), 5));
        let user = guest.create_user();
        assert_eq!(code(&room.put(line, &citing(&guest, &user, &cites))), refused);
        // A member, by an operation and by a chunk.
        let (device, _) = manager.clone().add_device(6, DeviceKind::Full);
        assert_eq!(code(&room.put(id, &citing(&manager, &device, &cites))), refused);
        let team = manager.clone().create_team(agency, &[(manager.user(), Role::Manager)]);
        assert_eq!(code(&room.put(id, &citing(&manager, &team, &cites))), refused);
        let case = room.case((&mut manager, id), agency);
        let mut header = manager.clone().header(case, 0, None, &[], 40);
        header.cites.extend(&cites);
        header.cites.sort_by_key(|cite| cite.chain);
        let chunk = manager.seal(&header, 40);
        assert_eq!(room.put_chunk(id, &chunk), super::room::refused(RefusalCode::NotAuthorized));
        room.input(Input::Closed(line));
    }
}

#[test]
fn cites_older_than_those_used_before_are_refused() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let mut behind = manager.clone();
    let invite = manager.invite(agency, Role::Reader, 5, Timestamp(i64::MAX));
    assert_appended(&room.put(id, &invite));
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let older = behind.create_team(agency, &[(behind.user(), Role::Editor)]);
    assert_eq!(code(&room.put(id, &older)), Some(RefusalCode::CiteRegressed));
}

fn learn_all(room: &mut Room, id: SessionId, person: &mut Person) {
    let downs = room.take(id);
    learn(person, &downs);
}
