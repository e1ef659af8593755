//! Accounts of policy that nobody gave, or two of one thing.

use vereda_adversary::{Colluder, Stage, Victim, colluder::wrap_entries, forge};
use vereda_base::Digest;
use vereda_crypto::{DeviceKey, Signature, Signed};
use vereda_policy::{Beacon, Body, Chains, DeviceKind, Repair, Revoke, Role, Target};
use vereda_protocol::{Down, OpOutcome, PolicyEntry, Up};
use vereda_sync::{
    device::{Disconnect, Event, RelayFault, SyncState},
    people::{NOW, Put},
};

/// A grant of a reader's role in the case to Chipo himself, by Amina.
fn grant(stage: &Stage, role: Role) -> Put {
    stage.amina.draft(stage.case, forge::grant(stage.chipo.user(), role))
}

#[test]
fn a_relay_that_tells_two_stories_of_one_place_is_convicted_and_not_spoken_to_again() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let [one, two] = [Role::Reader, Role::Editor].map(|role| grant(&stage, role));
    let story = stage.relay.clone();
    victim.policy(stage.admit(&one));
    assert!(victim.obeys(&one) && victim.disconnects().is_empty());
    victim.policy(story.forge(&two));
    let (chain, seq) = (stage.case, 1);
    assert!(victim.saw(&Event::RelayForked { chain, seq }));
    assert_eq!(victim.disconnects(), [Disconnect::RelayForked]);
    assert!(victim.machine.poll_timeout().is_none() && !victim.obeys(&two));
}

#[test]
fn a_grant_that_nobody_signed_is_no_grant() {
    let mut stage = Stage::set();
    let honest = grant(&stage, Role::Reader);
    let forged = Signed::from_parts(honest.op.bytes().to_vec(), Signature([9; 64]));
    let mut victim = Victim::of(&stage);
    victim.policy(vec![PolicyEntry::Op { op: forged, receipt: stage.relay.receipt(&honest) }]);
    assert_eq!(victim.disconnects(), [Disconnect::Violation]);
    assert!(!victim.obeys(&honest));
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.obeys(&honest));
}

#[test]
fn a_grant_by_whoever_may_not_has_no_effect_whatever_the_relay_signs() {
    let mut stage = Stage::set();
    let cites = forge::cites(&stage.bashir, &[stage.team, stage.bashir.user()]);
    let invented = forge::op(&stage.bashir, stage.case, cites, forge::grant(stage.bashir.user(), Role::Manager));
    let mut victim = Victim::of(&stage);
    victim.policy(stage.relay.forge(&invented));
    assert!(victim.saw(&Event::OpQuarantined { chain: stage.case, seq: 1 }));
    assert!(!victim.obeys(&invented));
    let honest = grant(&stage, Role::Reader);
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.obeys(&honest));
}

#[test]
fn a_relay_cannot_make_itself_or_its_friend_a_founder_of_the_agency_that_a_device_knows() {
    // A stranger with an agency of his own, all receipts in order, under the same relay.
    let mut stage = Stage::set();
    let mut stranger = vereda_sync::people::Person::new(40);
    let [user, agency] = [stranger.create_user(), stranger.create_agency()];
    let mut victim = Victim::of(&stage);
    victim.policy([stage.admit(&user), stage.admit(&agency)].concat());
    // His grant over the case cites his own agency as the path.
    stranger.chains = stage.relay.chains.clone();
    let cites = forge::cites(&stranger, &[agency.chain(), stage.team, stranger.user()]);
    let invented = forge::op(&stranger, stage.case, cites, forge::grant(stranger.user(), Role::Manager));
    victim.policy(stage.relay.forge(&invented));
    assert!(!victim.obeys(&invented));
    let chunk = forge::rewritten(&stranger, &stage.amina.chunk(stage.case, 0, None, &[], 300), |header| {
        header.cites = forge::cites(&stranger, &[stage.case, agency.chain(), stranger.user()]);
    });
    victim.content(&[&chunk]);
    assert!(!victim.has(&chunk));
    let honest = stage.amina.chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&honest]);
    assert!(victim.has(&honest));
}

#[test]
fn a_receipt_of_another_relay_or_for_something_else_is_none() {
    let mut stage = Stage::set();
    let honest = grant(&stage, Role::Reader);
    let other = Colluder { key: DeviceKey::from_seed(&[66; 32]), ..stage.relay.clone() };
    let receipts = [
        other.receipt(&honest),
        stage.relay.receipt_with(&honest, |receipt| receipt.seq += 1),
        stage.relay.receipt_with(&honest, |receipt| receipt.chain = stage.team),
        stage.relay.receipt_with(&honest, |receipt| receipt.op.0[0] ^= 1),
        stage.relay.receipt_with(&honest, |receipt| receipt.suite = 9),
        stage.relay.receipt_with(&honest, |receipt| receipt.time.0 -= 1),
    ];
    for receipt in receipts {
        let mut victim = Victim::of(&stage);
        victim.policy(vec![PolicyEntry::Op { op: honest.op.signed().clone(), receipt }]);
        assert_eq!(victim.disconnects(), [Disconnect::Violation]);
        assert!(!victim.obeys(&honest));
    }
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.obeys(&honest));
}

#[test]
fn a_head_that_the_relay_made_up_keeps_what_cites_it_waiting_and_nothing_else() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let honest = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let on_nothing = forge::rewritten(&stage.bashir, &honest, |header| header.cites[0].head.0[0] ^= 1);
    victim.content(&[&on_nothing]);
    assert!(!victim.has(&on_nothing) && victim.disconnects().is_empty());
    let mut victim = Victim::of(&stage);
    victim.content(&[&honest]);
    assert!(victim.has(&honest));
}

/// Ends Bashir's role in the team.
fn revocation(stage: &Stage) -> Put {
    let cites = forge::cites(&stage.amina, &[stage.amina.user()]);
    let frontier = forge::frontier(&[]);
    let revoke = Revoke { subject: stage.bashir.user(), keeps: None, successor: None, frontier };
    forge::op(&stage.amina, stage.team, cites, Body::Revoke(revoke))
}

#[test]
fn a_revocation_that_the_relay_holds_back_shows_as_soon_as_anybody_cites_it() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let revoke = revocation(&stage);
    let withheld = stage.admit(&revoke);
    let chunk = stage.amina.chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&chunk]);
    assert!(!victim.has(&chunk), "it waits for what it cites");
    let waits = SyncState::WaitingForPolicy { chain: stage.team, chunks: 1 };
    assert_eq!(victim.explain(&stage.case), waits);
    victim.policy(withheld);
    assert!(victim.has(&chunk) && victim.obeys(&revoke));
    assert_eq!(victim.explain(&stage.case), SyncState::Acknowledged);
}

#[test]
fn a_revocation_that_the_relay_holds_back_is_named_by_the_next_beacon() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let beacon = |stage: &Stage| {
        let heads = forge::cites(&stage.amina, &[stage.team]);
        stage.amina.draft(stage.agency, Body::Beacon(Beacon { time: NOW, heads }))
    };
    let honest = beacon(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.faults().is_empty(), "nothing is missing");
    let revoke = revocation(&stage);
    let withheld = stage.admit(&revoke);
    let telling = beacon(&stage);
    victim.policy(stage.admit(&telling));
    assert!(victim.saw(&Event::RelayWithholds { chain: stage.team }));
    assert_eq!(victim.faults(), [RelayFault::Withholds { chain: stage.team, head: revoke.id() }]);
    victim.policy(withheld);
    assert!(victim.faults().is_empty());
}

#[test]
fn an_operation_that_cites_older_heads_than_its_chain_did_before_has_no_effect() {
    let mut stage = Stage::set();
    let (old, mut victim) = (stage.amina.clone(), Victim::of(&stage));
    // The team moves on, and the case's chain with it.
    let onward = stage.amina.draft(stage.team, forge::grant(stage.chipo.user(), Role::Manager));
    victim.policy(stage.admit(&onward));
    let newer = grant(&stage, Role::Reader);
    victim.policy(stage.admit(&newer));
    let back = forge::op(
        &stage.amina,
        stage.case,
        forge::cites(&old, &[stage.team, old.user()]),
        forge::grant(stage.chipo.user(), Role::Editor),
    );
    victim.policy(stage.relay.forge(&back));
    assert!(!victim.obeys(&back));
    let mut victim = Victim::new(&stage.relay, &stage.chipo);
    victim.connect(&stage.relay);
    victim.catch_up(&stage.relay);
    let onward = grant(&stage, Role::Editor);
    victim.policy(stage.admit(&onward));
    assert!(victim.obeys(&onward));
}

#[test]
fn a_wrap_that_its_operation_does_not_name_is_not_taken() {
    let mut stage = Stage::set();
    let case = stage.amina.create_case(stage.team);
    let honest = wrap_entries(&case);
    let PolicyEntry::Wrap { chain, op, wrap, proof } = honest[0].clone() else { panic!("a wrap") };
    let other = wrap_entries(&stage.amina.create_case(stage.team))[0].clone();
    let PolicyEntry::Wrap { wrap: foreign, .. } = other else { panic!("a wrap") };
    let entries = stage.admit(&case);
    let lies = [
        vereda_policy::Wrap { recipient: Digest(stage.chipo.user().0), ..wrap.clone() },
        vereda_policy::Wrap { recipient_epoch: 1, ..wrap.clone() },
        vereda_policy::Wrap { key: forge::wrap_to(wrap.recipient, 0).key, ..wrap.clone() },
    ];
    for lie in lies {
        assert_ne!(lie, foreign, "wraps of one author differ by what they are for");
        let mut victim = Victim::of_before(&stage, &entries);
        victim.policy(vec![PolicyEntry::Wrap { chain, op, wrap: lie, proof: proof.clone() }]);
        assert_eq!(victim.disconnects(), [Disconnect::Violation]);
        assert!(victim.machine.wraps(&victim.store, &chain).unwrap().is_empty());
    }
    let mut victim = Victim::of_before(&stage, &entries);
    victim.policy(honest);
    assert_eq!(victim.machine.wraps(&victim.store, &chain).unwrap().len(), 1);
}

#[test]
fn a_repair_by_a_stranger_gives_nobody_a_key() {
    let mut stage = Stage::set();
    let mut stranger = vereda_sync::people::Person::new(40);
    let user = stranger.create_user();
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&user));
    stranger.chains = stage.relay.chains.clone();
    let recipient = Digest(stage.chipo.user().0);
    let (wraps, list) = forge::listed(vec![forge::wrap_to(recipient, 0)]);
    let repair = Body::Repair(Repair { epoch: 0, wraps, targets: vec![Target { recipient, epoch: 0 }] });
    let cites = forge::cites(&stranger, &[stranger.user()]);
    let forged = Put { wraps: list.clone(), ..forge::op(&stranger, stage.team, cites, repair.clone()) };
    victim.policy(stage.relay.forge(&forged));
    assert!(!victim.obeys(&forged) && victim.machine.wraps(&victim.store, &stage.team).unwrap().len() == 3);
    let honest = Put { wraps: list, ..stage.amina.draft(stage.team, repair) };
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.obeys(&honest));
}

#[test]
fn a_receipt_for_another_operation_does_not_answer_for_ones_own() {
    let stage = Stage::set();
    let mut chipo = stage.chipo.clone();
    let [own, other] = [chipo.create_case(stage.team), chipo.create_case(stage.team)];
    let answer = |receipt: Signed<vereda_policy::Receipt>| {
        let mut victim = Victim::of(&stage);
        victim.machine.enqueue_op(&mut victim.store, &own.op, own.wraps.clone()).unwrap();
        victim.commit();
        let Some(Up::PutOp { request, .. }) = victim.sent.pop_front() else { panic!("the operation is sent") };
        victim.hear(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
        victim
    };
    let lied = answer(stage.relay.receipt(&other));
    assert_eq!(lied.disconnects(), [Disconnect::Violation]);
    assert_eq!(lied.machine.outbox(&lied.store).unwrap().len(), 1, "it is still to be sent");
    let told = answer(stage.relay.receipt(&own));
    assert!(told.saw(&Event::OpDone { op: own.id() }));
}

#[test]
fn a_device_is_added_to_a_user_by_a_device_of_his_and_by_nobody_else() {
    let mut stage = Stage::set();
    let new = DeviceKey::from_seed(&[70; 32]);
    let add = vereda_policy::AddDevice::with_key(stage.chipo.user(), &new, forge::wrapping_key(70), DeviceKind::Full);
    let cites = forge::cites(&stage.amina, &[stage.agency, stage.team, stage.amina.user()]);
    let forged = forge::op(&stage.amina, stage.chipo.user(), cites, Body::AddDevice(add.clone()));
    let mut victim = Victim::of(&stage);
    victim.policy(stage.relay.forge(&forged));
    assert!(!victim.obeys(&forged));
    let honest = stage.chipo.draft(stage.chipo.user(), Body::AddDevice(add));
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.obeys(&honest));
    assert!(stage.relay.chains.chain(&stage.chipo.user()).unwrap().device(&new.device_id()).is_some());
}
