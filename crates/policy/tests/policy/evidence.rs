//! Receipts, forks, cites over time, wraps.

use vereda_base::{Digest, Timestamp, decode, encode};
use vereda_crypto::{Verified, context};
use vereda_policy::{
    AppendContext, Authorized, Chains, Cite, CiteLedger, CiteRegress, Draft, ForkProof, Forker, LedgerError, NoFork,
    Op, OpRefusal, Receipt, ReceiptRefusal, Role, Waiting, Wrap, WrapRefusal, WrappedKey, authorize,
    check_cites_advance, check_receipt, check_wraps, detect_device_fork, detect_relay_fork, receipt_time, verify_wrap,
    wrap_list,
};

use crate::world::{START, World, case_of, grant, key, wrapped};

const RELAY: u8 = 99;

fn receipt(op: &Authorized<Op>, time: Timestamp) -> Verified<Receipt> {
    sign(RELAY, Receipt::for_op(op, key(RELAY).device_id(), 1, time))
}

fn sign(relay: u8, receipt: Receipt) -> Verified<Receipt> {
    Verified::sign(&key(relay), Receipt { relay: key(relay).device_id(), ..receipt }).unwrap()
}

/// The `Create` of the case, as Chipo made it.
fn authorized_case(world: &World) -> Authorized<Op> {
    let mut before = world.chains.clone();
    before.remove(&world.case);
    let draft = Draft::new(&before, world.chipo.device(), None);
    let op = draft.sign_create(&world.chipo.key, wrapped(case_of(world.first_team))).unwrap();
    authorize(&before, &op, &AppendContext::unreceipted()).unwrap()
}

fn granted(world: &World, role: Role) -> Authorized<Op> {
    let op = world.draft(&world.bashir.key, &world.case, grant(world.dina.user, role));
    authorize(&world.chains, &op, &AppendContext::relay(START)).unwrap()
}

#[test]
fn a_receipt_speaks_for_one_operation_of_the_known_relay() {
    let world = World::found();
    let relay = key(RELAY).device_id();
    let op = granted(&world, Role::Reader);
    let state = world.chains.chain(&world.case).unwrap();
    let good = receipt(&op, START);
    let check = |receipt: &Verified<Receipt>| check_receipt(&relay, receipt, op.verified(), Some(&state));
    let checked = check(&good).unwrap();
    assert_eq!((checked.op(), checked.time()), (op.id(), START));
    assert!(authorize(&world.chains, op.verified(), &AppendContext::device(&checked)).is_ok());

    let other = granted(&world, Role::Editor);
    let refused = authorize(&world.chains, other.verified(), &AppendContext::device(&checked));
    assert_eq!(refused, Err(OpRefusal::OtherReceipt { op: other.id() }));
    let refusal = ReceiptRefusal::OtherOp { expected: op.id(), found: other.id() };
    assert_eq!(check(&receipt(&other, START)), Err(refusal));
    let moved = Receipt { seq: 2, ..*good.value() };
    let refusal = ReceiptRefusal::OtherOp { expected: op.id(), found: op.id() };
    assert_eq!(check(&sign(RELAY, moved)), Err(refusal));
    let refusal = ReceiptRefusal::OtherRelay { expected: relay, found: key(98).device_id() };
    assert_eq!(check(&sign(98, *good.value())), Err(refusal));
    let suite = Receipt { suite: 2, ..*good.value() };
    assert_eq!(check(&sign(RELAY, suite)), Err(ReceiptRefusal::Suite { found: 2 }));
    let early = Timestamp(START.0 - 1);
    let refusal = ReceiptRefusal::TimeRegress { seq: 1, found: early };
    assert_eq!(check(&receipt(&op, early)), Err(refusal));
    assert_eq!(receipt_time(Some(&state), early), START);

    let mut longer = state.as_ref().clone();
    longer.apply(&op, Some(START)).unwrap();
    let create = authorized_case(&world);
    let late = Receipt { chain: world.case, seq: 0, op: create.id(), time: Timestamp(START.0 + 1), ..*good.value() };
    let refusal = ReceiptRefusal::TimeRegress { seq: 0, found: late.time };
    assert_eq!(check_receipt(&relay, &sign(RELAY, late), create.verified(), Some(&longer)), Err(refusal));
    let same = Receipt { time: START, ..late };
    assert!(check_receipt(&relay, &sign(RELAY, same), create.verified(), Some(&longer)).is_ok());
}

#[test]
fn a_relay_that_receipts_two_operations_for_one_place_is_convicted() {
    let world = World::found();
    let (reader, editor) = (granted(&world, Role::Reader), granted(&world, Role::Editor));
    let (a, b) = (receipt(&reader, START), receipt(&editor, START));
    assert_eq!(detect_relay_fork(&a, &a), None);
    assert_eq!(detect_relay_fork(&a, &receipt(&reader, Timestamp(START.0 + 1))), None);
    assert_eq!(detect_relay_fork(&a, &sign(98, *b.value())), None);
    assert_eq!(detect_relay_fork(&a, &sign(RELAY, Receipt { seq: 2, ..*b.value() })), None);
    let proof = detect_relay_fork(&a, &b).unwrap();
    let read: ForkProof = decode(&encode(&proof), 4_096).unwrap();
    let expected = Forker::Relay { relay: key(RELAY).device_id(), chain: world.case, seq: 1 };
    assert_eq!(read.verify(), Ok(expected));
    let nothing = ForkProof::Relay { a: a.signed().clone(), b: a.signed().clone() };
    assert_eq!(nothing.verify(), Err(NoFork));
}

#[test]
fn a_device_that_signs_two_operations_after_one_is_convicted() {
    let world = World::found();
    let (reader, editor) = (granted(&world, Role::Reader), granted(&world, Role::Editor));
    let (a, b) = (reader.verified(), editor.verified());
    assert_eq!(detect_device_fork(a, a), None);
    let expected = Forker::Device { device: world.bashir.device(), chain: world.case, seq: 1 };
    assert_eq!(detect_device_fork(a, b).unwrap().verify(), Ok(expected));
    let other = Op { device: world.amina.device(), ..b.value().clone() };
    let by_another = Verified::sign(&world.amina.key, other).unwrap();
    assert_eq!(detect_device_fork(a, &by_another), None);
    let first = authorized_case(&world);
    let body = Op { cites: vec![], ..first.value().clone() };
    assert_eq!(detect_device_fork(first.verified(), &Verified::sign(&world.chipo.key, body).unwrap()), None);
    let forged = ForkProof::Device {
        a: a.signed().clone(),
        b: vereda_crypto::Signed::from_parts(b.bytes().to_vec(), key(3).sign(context::OP_SIGNATURE, b.bytes())),
    };
    assert_eq!(forged.verify(), Err(NoFork));
}

#[test]
fn a_device_never_relies_on_older_policy_than_before() {
    let mut world = World::found();
    let (team, amina) = (world.first_team, world.amina.key.clone());
    let cite = |world: &World| vec![Cite { chain: team, head: world.chains.chain(&team).unwrap().head() }];
    let old = cite(&world);
    world.append(&amina, &team, grant(world.dina.user, Role::Reader)).unwrap();
    let new = cite(&world);
    let device = world.chipo.device();
    let mut ledger = CiteLedger::new();
    ledger.advance(&world.chains, &device, &old).unwrap();
    ledger.advance(&world.chains, &device, &new).unwrap();
    ledger.advance(&world.chains, &device, &[]).unwrap();
    assert_eq!(ledger.newest(&device, &team), Some(1));
    let regress = Err(LedgerError::Regress(CiteRegress { chain: team, known: 1, found: 0 }));
    assert_eq!(ledger.check(&world.chains, &device, &old), regress);
    assert_eq!(ledger.advance(&world.chains, &device, &old), regress);
    assert_eq!(ledger.check(&world.chains, &world.dina.device(), &old), Ok(()));
    assert_eq!(check_cites_advance(&world.chains, &new, &old), regress);
    assert_eq!(check_cites_advance(&world.chains, &old, &new), Ok(()));
    let unknown = Cite { head: vereda_base::OpId([1; 32]), ..new[0] };
    let waiting = Err(LedgerError::Waiting(Waiting { chain: team, head: unknown.head }));
    assert_eq!(ledger.check(&world.chains, &device, &[unknown]), waiting);
}

#[test]
fn each_recipient_proves_its_own_wrap_from_the_list() {
    let wrap = |n: u8| Wrap { recipient: Digest([n; 32]), recipient_epoch: 0, key: WrappedKey::Group(vec![n; 72]) };
    let (list, proven) = wrap_list([3, 1, 2, 0, 4].map(wrap).to_vec());
    let wraps: Vec<Wrap> = proven.iter().map(|(wrap, _)| wrap.clone()).collect();
    assert_eq!(wraps, [0, 1, 2, 3, 4].map(wrap));
    let proofs = check_wraps(&list, &wraps).unwrap();
    for (index, (wrap, proof)) in proven.iter().enumerate() {
        assert_eq!(verify_wrap(&list, wrap, proof), Ok(()));
        assert_eq!(&proofs[index], proof);
        let other = &proven[(index + 1) % proven.len()];
        assert_eq!(verify_wrap(&list, wrap, &other.1), Err(WrapRefusal::OtherList));
        assert_eq!(verify_wrap(&list, &other.0, proof), Err(WrapRefusal::OtherList));
    }
    assert_eq!(check_wraps(&list, &wraps[1..]), Err(WrapRefusal::Count { expected: 5, found: 4 }));
    let swapped: Vec<Wrap> = wraps.iter().rev().cloned().collect();
    assert_eq!(check_wraps(&list, &swapped), Err(WrapRefusal::NotSorted));
    let changed: Vec<Wrap> = (1..6).map(wrap).collect();
    assert_eq!(check_wraps(&list, &changed), Err(WrapRefusal::OtherList));
    let long = Wrap { key: WrappedKey::Hpke(vec![0; 2_049]), ..wrap(0) };
    let refusal = WrapRefusal::TooLong { found: 2_049, max: 2_048 };
    assert_eq!(verify_wrap(&list, &long, &proven[0].1), Err(refusal));
}
