//! The policy lane.

use vereda_base::{Digest, OpId};
use vereda_crypto::Signed;
use vereda_policy::{
    BadRotate, Body, ChainKind, Chains, Create, DocumentKind, Draft, Epoch, EpochFault, Member, Op, Repair, Role,
    Rotate, Target, Wrap, WrappedKey, epoch_targets, hash_previous, op_id_of_bytes, wrap_list,
};
use vereda_protocol::{Down, PolicyEntry, Position};
use vereda_sync::device::{Disconnect, Event};

use crate::{
    rig::Rig,
    world::{World, document_epoch, grant, key, wrap_to},
};

fn entry_of(world: &World, op: &Signed<Op>) -> PolicyEntry {
    PolicyEntry::Op { op: op.clone(), receipt: world.receipt(op) }
}

fn send(rig: &mut Rig, entries: Vec<PolicyEntry>, cursor: u64) {
    rig.down(&Down::Policy { entries, cursor: Position(cursor) });
}

#[test]
fn operations_are_stored_together_with_the_cursor_or_not_at_all() {
    let mut rig = Rig::new(World::found());
    rig.connect();
    let entries = rig.world.entries.clone();
    send(&mut rig, entries[..3].to_vec(), 3);
    let mut rig = rig.restart();
    assert_eq!(rig.machine.list_chains(&rig.store, ChainKind::User).unwrap().len(), 3);
    let (policy, content) = rig.connect();
    assert_eq!((policy, content), (Position(3), Position(0)));

    // The same without a commit in between: neither is there.
    let mut rig = Rig::new(World::found());
    rig.connect();
    rig.down_uncommitted(&Down::Policy { entries: entries[..3].to_vec(), cursor: Position(3) });
    assert_eq!(rig.machine.list_chains(&rig.store, ChainKind::User).unwrap().len(), 3);
    let mut rig = rig.restart();
    assert_eq!(rig.machine.list_chains(&rig.store, ChainKind::User).unwrap(), []);
    assert_eq!(rig.connect().0, Position(0));
}

#[test]
fn a_restarted_device_knows_its_chains() {
    let rig = Rig::caught_up(World::found());
    let case = rig.world.case;
    let rig = rig.restart();
    let view = rig.machine.chains(&rig.store);
    assert_eq!(view.chain(&case), rig.world.chains.chain(&case));
    assert_eq!(rig.machine.documents(&rig.store).unwrap(), [case]);
    view.finish().unwrap();
}

#[test]
fn an_operation_that_comes_before_its_predecessor_waits_for_it() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, case) = (rig.world.bashir.clone(), rig.world.case);
    let chipo = rig.world.chipo.user;
    let amina = rig.world.amina.key.clone();
    let first = rig.world.append(&amina, &case, grant(bashir.user, Role::Reader));
    let second = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    send(&mut rig, vec![second], 100);
    assert_eq!(rig.machine.chains(&rig.store).chain(&case).unwrap().head_seq(), 0);
    send(&mut rig, vec![first], 101);
    assert_eq!(rig.machine.chains(&rig.store).chain(&case).unwrap().head_seq(), 2);
    assert_eq!(rig.disconnects(), []);
}

#[test]
fn an_operation_that_relies_on_an_unknown_chain_waits_for_it() {
    let world = World::found();
    let entries = world.entries.clone();
    let mut rig = Rig::new(world);
    rig.connect();
    // The case before the team, the team before its users.
    let reversed = entries.into_iter().rev().collect();
    send(&mut rig, reversed, 9);
    let case = rig.world.case;
    assert_eq!(rig.machine.chains(&rig.store).chain(&case), rig.world.chains.chain(&case));
}

#[test]
fn what_policy_forbids_has_no_effect_whoever_gives_a_receipt_for_it() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, case) = (rig.world.bashir.clone(), rig.world.case);
    // Signed by an Editor as if he were Manager.
    let op = Op {
        suite: 1,
        chain: Some(case),
        seq: 1,
        prev: Some(rig.world.head(&case)),
        device: bashir.device(),
        cites: Vec::new(),
        body: grant(bashir.user, Role::Manager),
    };
    let op = Signed::sign(&bashir.key, &op).unwrap();
    let entry = entry_of(&rig.world, &op);
    send(&mut rig, vec![entry], 100);
    assert!(rig.saw(&Event::OpQuarantined { chain: case, seq: 1 }));
    assert_eq!(rig.machine.chains(&rig.store).chain(&case).unwrap().head_seq(), 0);
}

#[test]
fn a_receipt_of_another_relay_is_a_breach() {
    let mut rig = Rig::caught_up(World::found());
    rig.world.relay = key(98);
    let amina = rig.world.amina.key.clone();
    let (case, chipo) = (rig.world.case, rig.world.chipo.user);
    let entry = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    send(&mut rig, vec![entry], 100);
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
}

#[test]
fn two_receipts_for_one_place_are_kept_as_evidence_and_end_the_trust() {
    let mut rig = Rig::caught_up(World::found());
    let amina = rig.world.amina.key.clone();
    let (case, chipo, bashir) = (rig.world.case, rig.world.chipo.user, rig.world.bashir.user);
    let mut other = rig.world.clone();
    let one = rig.world.append(&amina, &case, grant(chipo, Role::Reader));
    let two = other.append(&amina, &case, grant(bashir, Role::Reader));
    send(&mut rig, vec![one], 100);
    send(&mut rig, vec![two], 101);
    assert!(rig.saw(&Event::RelayForked { chain: case, seq: 1 }));
    assert_eq!(rig.disconnects(), [Disconnect::RelayForked]);
    assert_eq!(rig.machine.poll_timeout(), None);
}

#[test]
fn a_wrap_is_stored_only_where_its_operation_commits_to_it() {
    let mut rig = Rig::caught_up(World::found());
    let team = rig.world.team;
    let (list, proven) = wrap_list(vec![wrap_to(&rig.world.bashir.user), wrap_to(&team)]);
    let bashir = rig.world.bashir.clone();
    let mut create = rig.world.case_of(10);
    create.members.push(Member { subject: bashir.user, role: Role::Editor });
    create.members.sort_unstable();
    create.epoch = Epoch { wraps: list, targets: vec![Some(0); 2], ..document_epoch() };
    let bashir = bashir.key;
    let chain = rig.world.begin(&bashir, create);
    let op = rig.world.head(&chain);
    let entry = |index: usize| {
        let (wrap, proof) = proven[index].clone();
        PolicyEntry::Wrap { chain, op, wrap, proof }
    };
    // Before its operation it waits.
    send(&mut rig, vec![entry(0)], 100);
    assert_eq!(rig.machine.wraps(&rig.store, &chain).unwrap(), []);
    let create = rig.world.entries.last().unwrap().clone();
    send(&mut rig, vec![create, entry(1)], 101);
    let stored = rig.machine.wraps(&rig.store, &chain).unwrap();
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|stored| stored.op == op && stored.epoch == 0));
    assert!(rig.saw(&Event::WrapStored { chain }));

    let PolicyEntry::Wrap { mut wrap, proof, .. } = entry(0) else { panic!() };
    wrap.recipient = Digest([9; 32]);
    send(&mut rig, vec![PolicyEntry::Wrap { chain, op, wrap, proof }], 102);
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
}

#[test]
fn a_wrap_of_a_repair_belongs_to_the_epoch_that_it_repairs() {
    let mut rig = Rig::caught_up(World::found());
    let (list, proven) = wrap_list(vec![wrap_to(&rig.world.team)]);
    let targets = vec![Target { recipient: Digest(rig.world.team.0), epoch: 0 }];
    let bashir = rig.world.bashir.key.clone();
    let case = rig.world.case;
    let repair = rig.world.append(&bashir, &case, Body::Repair(Repair { epoch: 0, wraps: list, targets }));
    let op = rig.world.head(&case);
    let (wrap, proof) = proven[0].clone();
    send(&mut rig, vec![repair, PolicyEntry::Wrap { chain: case, op, wrap, proof }], 100);
    assert_eq!(rig.machine.wraps(&rig.store, &case).unwrap().len(), 1);
}

#[test]
fn an_operation_of_a_newer_version_stops_its_chain_and_is_kept_for_later() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, case) = (rig.world.amina.clone(), rig.world.case);
    // Body 18 is reserved: a newer version made it.
    let known = Draft::new(&rig.world.chains, amina.device(), None)
        .sign_append(&amina.key, &case, grant(amina.user, Role::Reader))
        .unwrap();
    let mut bytes = known.bytes().to_vec();
    let body = bytes.iter().rposition(|byte| *byte == 3).unwrap();
    let grant_code = bytes.windows(3).position(|window| window == [0x82, 3, 0x81]).map_or(body, |at| at + 1);
    bytes[grant_code] = 18;
    let signature = amina.key.sign(vereda_crypto::context::OP_SIGNATURE, &bytes);
    let op = Signed::<Op>::from_parts(bytes, signature);
    let id: OpId = op_id_of_bytes(op.bytes());
    let receipt = vereda_policy::Receipt {
        suite: 1,
        relay: rig.world.relay.device_id(),
        relay_epoch: rig.relay_epoch,
        chain: case,
        seq: 1,
        op: id,
        time: crate::world::START,
    };
    let receipt = Signed::sign(&rig.world.relay, &receipt).unwrap();
    send(&mut rig, vec![PolicyEntry::Op { op, receipt }], 100);
    assert!(rig.saw(&Event::UpdateNeeded { chain: case }), "{:?}", rig.events);
    assert_eq!(rig.disconnects(), []);
    let mut rig = rig.restart();
    rig.commit();
    assert!(rig.saw(&Event::UpdateNeeded { chain: case }));
}

#[test]
fn a_document_of_another_kind_is_listed_with_the_readable_ones_only_if_it_is_readable() {
    let mut rig = Rig::caught_up(World::found());
    let bashir = rig.world.bashir.clone();
    let parents =
        vec![vereda_policy::Parent { chain: rig.world.team, authority: vereda_policy::ParentAuthority::RevokeOnly }];
    let members = vec![vereda_policy::Member { subject: bashir.user, role: Role::Editor }];
    let create = Create::document(DocumentKind::Section, [3; 16], parents, members, document_epoch());
    let section = rig.world.begin(&bashir.key, create);
    let entry = rig.world.entries.last().unwrap().clone();
    send(&mut rig, vec![entry], 100);
    assert!(rig.machine.chains(&rig.store).chain(&section).is_some());
    assert_eq!(rig.machine.documents(&rig.store).unwrap(), [rig.world.case]);
}

#[test]
fn the_key_before_a_rotation_is_kept_for_all_who_read() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, case, team) = (rig.world.bashir.key.clone(), rig.world.case, rig.world.team);
    let before = Wrap { recipient: Digest(case.0), recipient_epoch: 0, key: WrappedKey::Group(vec![6; 72]) };
    let targets = epoch_targets(&rig.world.chains, &case, None);
    let mut wraps = vec![before.clone()];
    wraps.extend(targets.iter().flatten().map(|_| wrap_to(&team)));
    let (list, proven) = wrap_list(wraps);
    let epoch = Epoch { wraps: list, targets, previous: Some(hash_previous(&[6; 72])), ..document_epoch() };
    let bad = BadRotate { epoch: 0, fault: EpochFault::Wrap };
    let chipo = rig.world.chipo.key.clone();
    let called = rig.world.append(&chipo, &case, Body::BadRotate(bad));
    let rotated = rig.world.append(&bashir, &case, Body::Rotate(Rotate { epoch, follows: 0, carries: vec![] }));
    let op = rig.world.head(&case);
    let (wrap, proof) = proven.into_iter().find(|(wrap, _)| *wrap == before).unwrap();
    send(&mut rig, vec![called, rotated, PolicyEntry::Wrap { chain: case, op, wrap, proof }], 100);
    let stored = rig.machine.wraps(&rig.store, &case).unwrap();
    assert_eq!(stored.iter().map(|stored| (stored.epoch, &stored.wrap)).collect::<Vec<_>>(), [(1, &before)]);
}
