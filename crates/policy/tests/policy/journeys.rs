//! What whole journeys lead to: who reads, who is entitled to keys, what a device needs, what content stands.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::{Context, Signable, Verified, context};
use vereda_policy::{
    Accept, AddDevice, AppendContext, Body, ChainMap, ChainState, Chains, Cite, Content, ContentRefusal, Create,
    DeviceKind, DocumentKind, Draft, DraftError, Grant, Heads, Invite, Moment, OpRefusal, Parent, ParentAuthority,
    Role, Subject, authority, authorize, authorize_content, cite_content, entitled, lacking_wraps, may_read,
    members_of, membership, needed_chains, op_id, reading_devices, role,
};

use crate::world::{START, World, begin, case_of, document_epoch, grant, group_epoch, join, key, member, wrapping_key};

const NEWEST: Heads = Heads::newest(None);

#[test]
fn managers_from_above_have_authority_but_no_content() {
    let world = World::found();
    let (view, case) = (&world.chains, &world.case);
    let check = |device: DeviceId, member, over, content| {
        assert_eq!(membership(view, &device, case, &NEWEST), member);
        assert_eq!(authority(view, &device, case, &NEWEST), over);
        assert_eq!(role(view, &device, case, &NEWEST), content);
    };
    let (editor, manager) = (Some(Role::Editor), Some(Role::Manager));
    check(world.amina.device(), None, manager, None);
    check(world.bashir.device(), manager, manager, manager);
    check(world.chipo.device(), editor, editor, editor);
    check(world.dina.device(), None, None, None);
    assert!(!may_read(view, &world.amina.device(), case, None));
}

#[test]
fn a_reader_who_manages_from_above_writes_content_by_citing_both_paths() {
    let mut world = World::found();
    let (case, bashir, amina) = (world.case, world.bashir.key.clone(), world.amina.clone());
    world.append(&bashir, &case, grant(amina.user, Role::Reader)).unwrap();
    assert_eq!(role(&world.chains, &amina.device(), &case, &NEWEST), Some(Role::Manager));
    let cites = cite_content(&world.chains, &amina.device(), &case, Role::Editor, None).unwrap();
    let chains: BTreeSet<ChainId> = cites.iter().map(|cite| cite.chain).collect();
    assert_eq!(chains, BTreeSet::from([case, amina.user, world.first_team, world.agency]));
}

#[test]
fn a_section_is_closed_to_the_managers_of_a_parent_that_may_only_revoke() {
    let mut world = World::found();
    let parents = vec![Parent { chain: world.first_team, authority: ParentAuthority::RevokeOnly }];
    let members = vec![member(world.chipo.user, Role::Editor)];
    let section = Create::document(DocumentKind::Section, [3; 16], parents, members, document_epoch());
    let section = begin(&mut world.chains, &world.chipo.key, section);
    assert_eq!(authority(&world.chains, &world.bashir.device(), &section, &NEWEST), None);
    let devices = reading_devices(&world.chains, &section, None);
    assert_eq!(devices, BTreeSet::from([world.chipo.device()]));
}

#[test]
fn whoever_joins_by_invite_reads_and_waits_for_a_wrap() {
    let mut world = World::found();
    let (team, bashir) = (world.first_team, world.bashir.key.clone());
    let invite = Invite { key: key(50).device_id(), role: Role::Editor, expires: Timestamp(START.0 + 1) };
    let invite = op_id(world.append(&bashir, &team, Body::Invite(invite)).unwrap().value());
    let eva = join(&mut world.chains, 60);
    assert!(!may_read(&world.chains, &eva.device(), &world.case, None));
    let accept = Accept::with_key(invite, eva.user, eva.device(), &key(50));
    world.append(&eva.key, &team, Body::Accept(accept)).unwrap();
    assert!(may_read(&world.chains, &eva.device(), &world.case, None));
    let users = BTreeSet::from([world.bashir.user, world.chipo.user, eva.user]);
    assert_eq!(members_of(&world.chains, &world.case, None), users);

    let lacking = lacking_wraps(&world.chains, &team, None, |recipient, epoch| epoch == 0 && recipient.0 != eva.user.0);
    assert_eq!(lacking, [(Subject::Chain(eva.user), 0)]);
    assert_eq!(entitled(&world.chains, &world.case, None), [(Subject::Chain(team), 0)]);
    assert_eq!(lacking[0].0.public_key(&world.chains, &team), Some(wrapping_key()));
}

#[test]
fn a_users_devices_are_entitled_to_its_epochs() {
    let mut world = World::found();
    let (user, by) = (world.chipo.user, world.chipo.key.clone());
    let second = key(40);
    world
        .append(&by, &user, Body::AddDevice(AddDevice::with_key(user, &second, wrapping_key(), DeviceKind::Full)))
        .unwrap();
    let expected = BTreeSet::from([by.device_id(), second.device_id()]);
    assert_eq!(reading_devices(&world.chains, &world.case, None).intersection(&expected).count(), 2);
    let subjects: BTreeSet<Subject> = entitled(&world.chains, &user, None).into_iter().map(|(s, _)| s).collect();
    assert_eq!(subjects, expected.into_iter().map(Subject::Device).collect());
    let third = Body::AddDevice(AddDevice::with_key(user, &key(41), wrapping_key(), DeviceKind::Full));
    world.append(&second, &user, third).unwrap();
    assert_eq!(role(&world.chains, &key(41).device_id(), &world.case, &NEWEST), Some(Role::Editor));
}

#[test]
fn a_role_ends_for_the_reader_when_its_time_has_passed() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.key.clone());
    let expires = Timestamp(START.0 + 100);
    let body = Grant { subject: world.dina.user, role: Role::Reader, expires: Some(expires), sealed_purpose: None };
    world.append(&bashir, &case, Body::Grant(body)).unwrap();
    let reads = |now| may_read(&world.chains, &world.dina.device(), &case, now);
    assert!(reads(None) && reads(Some(Timestamp(expires.0 - 1))) && !reads(Some(expires)));
}

#[test]
fn a_grant_never_lowers_and_one_that_adds_nothing_leaves_no_trace() {
    let mut world = World::found();
    let (team, bashir, dina) = (world.first_team, world.bashir.key.clone(), world.dina.clone());
    for body in [Role::Editor, Role::Reader, Role::Editor] {
        world.append(&bashir, &team, grant(dina.user, body)).unwrap();
    }
    assert_eq!(membership(&world.chains, &dina.device(), &team, &NEWEST), Some(Role::Editor));
    let state = world.chains.chain(&team).unwrap();
    assert_eq!(state.members().iter().filter(|member| member.subject == dina.user).count(), 1);
    assert_eq!(state.head_seq(), 3);
}

#[test]
fn a_grant_that_lasts_longer_counts_and_a_shorter_one_does_not() {
    let mut world = World::found();
    let (case, bashir, dina) = (world.case, world.bashir.key.clone(), world.dina.clone());
    for (after, roles) in [(Some(100), 1), (Some(50), 1), (Some(200), 2), (None, 3), (Some(300), 3)] {
        let expires = after.map(|after| Timestamp(START.0 + after));
        let body = Grant { subject: dina.user, role: Role::Reader, expires, sealed_purpose: None };
        world.append(&bashir, &case, Body::Grant(body)).unwrap();
        let state = world.chains.chain(&case).unwrap();
        assert_eq!(state.members().iter().filter(|member| member.subject == dina.user).count(), roles, "{after:?}");
    }
}

#[test]
fn of_several_paths_the_shortest_is_cited() {
    let mut world = World::found();
    let (case, bashir, chipo) = (world.case, world.bashir.key.clone(), world.chipo.clone());
    let cited = |world: &World| -> BTreeSet<ChainId> {
        let cites = cite_content(&world.chains, &chipo.device(), &case, Role::Editor, None).unwrap();
        cites.into_iter().map(|cite| cite.chain).collect()
    };
    assert_eq!(cited(&world), BTreeSet::from([case, world.first_team, chipo.user]));
    world.append(&bashir, &case, grant(chipo.user, Role::Reader)).unwrap();
    assert_eq!(cited(&world), BTreeSet::from([case, world.first_team, chipo.user]));
    world.append(&bashir, &case, grant(chipo.user, Role::Editor)).unwrap();
    assert_eq!(cited(&world), BTreeSet::from([case, chipo.user]));
}

#[test]
fn a_case_takes_little_memory() {
    let world = World::found();
    let state = world.chains.chain(&world.case).unwrap();
    let lists = [
        std::mem::size_of_val(state.ops()),
        std::mem::size_of_val(state.members()),
        std::mem::size_of_val(state.all_parents()),
        std::mem::size_of_val(state.epochs()),
        std::mem::size_of_val(state.cited()),
    ];
    let bytes = size_of::<ChainState>() + lists.iter().sum::<usize>();
    assert!(bytes <= 1_024, "{bytes}");
}

#[test]
fn a_device_that_holds_the_needed_chains_decides_as_the_relay_did() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.key.clone());
    let op = world.draft(&bashir, &case, grant(world.second_team, Role::Reader));
    let needed = needed_chains(&world.chains, &case);
    let [bashir_user, chipo, amina] = [&world.bashir, &world.chipo, &world.amina].map(|person| person.user);
    assert_eq!(needed, BTreeSet::from([case, world.first_team, bashir_user, chipo, world.agency, amina]));
    let mut device = ChainMap::new();
    for id in &needed {
        device.insert(world.chains.chain(id).unwrap().as_ref().clone());
    }
    assert!(authorize(&device, &op, &AppendContext::relay(START)).is_err(), "the member's chain is unknown here");
    let receipt = vereda_policy::Receipt {
        suite: 1,
        relay: key(99).device_id(),
        relay_epoch: 1,
        chain: case,
        seq: 1,
        op: op_id(op.value()),
        time: START,
    };
    let receipt = Verified::sign(&key(99), receipt).unwrap();
    let checked = vereda_policy::check_receipt(&key(99).device_id(), &receipt, &op, None).unwrap();
    device.append(&op, &AppendContext::device(&checked)).unwrap();
    world.chains.append(&op, &AppendContext::relay(START)).unwrap();
    assert_eq!(device.chain(&case), world.chains.chain(&case));
    assert!(needed_chains(&world.chains, &case).contains(&world.dina.user));
}

#[test]
fn an_operation_waits_for_each_chain_it_cites_and_is_then_taken() {
    let world = World::found();
    let op = world.draft(&world.bashir.key, &world.case, grant(world.dina.user, Role::Reader));
    let mut device = ChainMap::new();
    let mut missing = vec![];
    while let Err(refusal) = authorize(&device, &op, &AppendContext::relay(START)) {
        let (OpRefusal::Waiting { chain, .. } | OpRefusal::UnknownSubject { subject: chain }) = refusal else {
            panic!("{refusal}")
        };
        missing.push(chain);
        device.insert(world.chains.chain(&chain).unwrap().as_ref().clone());
    }
    missing.sort();
    let mut expected = vec![world.case, world.first_team, world.bashir.user, world.dina.user];
    expected.sort();
    assert_eq!(missing, expected);
}

#[test]
fn an_author_without_a_path_drafts_nothing() {
    let world = World::found();
    let draft = Draft::new(&world.chains, world.dina.device(), None);
    let body = grant(world.dina.user, Role::Manager);
    let no_path = DraftError::NoPath { body: body.code(), chain: world.case };
    assert_eq!(draft.append(&world.case, body.clone()), Err(no_path));
    let unknown = ChainId([1; 32]);
    assert_eq!(draft.append(&unknown, body), Err(DraftError::UnknownChain { chain: unknown }));
    assert!(matches!(draft.create(case_of(world.first_team)), Err(DraftError::NoPath { .. })));
    let members = vec![member(world.amina.user, Role::Manager)];
    let refused = draft.create(Create::agency([0; 16], members, group_epoch()));
    assert_eq!(refused, Err(DraftError::NoFounder { device: world.dina.device() }));
}

/// Just enough of a chunk's header.
#[derive(Debug, Clone, Encode, Decode)]
#[cbor(array)]
pub struct Header {
    #[n(0)]
    pub document: ChainId,
    #[n(1)]
    pub device: DeviceId,
    #[n(2)]
    pub epoch: u64,
    #[n(3)]
    pub cites: Vec<Cite>,
}

impl Signable for Header {
    const CONTEXT: Context = context::CHUNK_HEADER_SIGNATURE;
    const MAX_BYTES: usize = 4_096;

    fn signer(&self) -> DeviceId {
        self.device
    }
}

impl Content for Header {
    fn suite(&self) -> u8 {
        1
    }
    fn document(&self) -> ChainId {
        self.document
    }
    fn device(&self) -> DeviceId {
        self.device
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }
    fn cites(&self) -> &[Cite] {
        &self.cites
    }
}

#[test]
fn content_stands_by_its_authors_role_at_the_heads_cited_and_for_the_relay_also_now() {
    let mut world = World::found();
    let (case, bashir, dina) = (world.case, world.bashir.key.clone(), world.dina.clone());
    let expires = Some(Timestamp(START.0 + 100));
    let body = Grant { subject: dina.user, role: Role::Editor, expires, sealed_purpose: None };
    world.append(&bashir, &case, Body::Grant(body)).unwrap();
    let cites = cite_content(&world.chains, &dina.device(), &case, Role::Editor, None).unwrap();
    let good = Header { document: case, device: dina.device(), epoch: 0, cites };
    let judge = |header: Header, now| {
        let header = Verified::sign(&dina.key, header).unwrap();
        authorize_content(&world.chains, &header, now).map(|_| ())
    };
    assert_eq!(judge(good.clone(), None), Ok(()));
    assert_eq!(judge(good.clone(), Some(START)), Ok(()));
    let refusal = ContentRefusal::NoAuthority { found: None, moment: Moment::Now };
    assert_eq!(judge(good.clone(), Some(Timestamp(START.0 + 100))), Err(refusal));

    let cite = |change: &dyn Fn(&mut Vec<Cite>)| {
        let mut header = good.clone();
        change(&mut header.cites);
        judge(header, None)
    };
    let not_cited = ContentRefusal::DocumentNotCited { document: case };
    assert_eq!(cite(&|cites| cites.retain(|cite| cite.chain != case)), Err(not_cited));
    let refusal = ContentRefusal::NoAuthority { found: None, moment: Moment::Cited };
    assert_eq!(cite(&|cites| cites.retain(|cite| cite.chain == case)), Err(refusal.clone()));
    let before = |cites: &mut Vec<Cite>| {
        cites.iter_mut().filter(|cite| cite.chain == case).for_each(|cite| cite.head = OpId(case.0));
    };
    assert_eq!(cite(&before), Err(refusal));
    let unknown = OpId([1; 32]);
    let waiting = ContentRefusal::Waiting { chain: good.cites[0].chain, head: unknown };
    assert_eq!(cite(&|cites| cites[0].head = unknown), Err(waiting));
    assert_eq!(cite(&|cites| cites.reverse()), Err(ContentRefusal::CitesNotSorted));
    let many = |cites: &mut Vec<Cite>| cites.resize(9, cites[0]);
    assert_eq!(cite(&many), Err(ContentRefusal::TooManyCites { found: 9 }));
    let refusal = ContentRefusal::NoEpoch { found: 1, newest: 0 };
    assert_eq!(judge(Header { epoch: 1, ..good.clone() }, None), Err(refusal));
    let cites = vec![Cite { chain: dina.user, head: OpId(dina.user.0) }];
    let refusal = ContentRefusal::NotADocument { chain: dina.user };
    assert_eq!(judge(Header { document: dina.user, cites, ..good }, None), Err(refusal));
}

/// Counts how often a chain is looked up.
struct Counting<'a>(&'a ChainMap, AtomicUsize);

impl Chains for Counting<'_> {
    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.chain(id)
    }
}

#[test]
fn authority_in_a_case_of_two_hundred_operations_takes_few_lookups() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.key.clone());
    for n in 0..200 {
        let subject = [world.dina.user, world.second_team][n % 2];
        let role = [Role::Reader, Role::Editor][n / 2 % 2];
        let expires = Some(Timestamp(START.0 + n as i64));
        let body = Grant { subject, role, expires, sealed_purpose: None };
        world.append(&bashir, &case, Body::Grant(body)).unwrap();
    }
    assert_eq!(world.chains.chain(&case).unwrap().head_seq(), 200);
    let op = world.draft(&bashir, &case, grant(world.dina.user, Role::Editor));
    let counting = Counting(&world.chains, AtomicUsize::new(0));
    authorize(&counting, &op, &AppendContext::relay(START)).unwrap();
    let lookups = counting.1.into_inner();
    assert!(lookups < 40, "{lookups}");
}
