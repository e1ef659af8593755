//! One row for every reason to refuse an operation.

mod beginning;

use minicbor::bytes::ByteArray;
use vereda_base::{ChainId, Digest, OpId, Timestamp, limits};
use vereda_crypto::{DeviceKey, Verified};
use vereda_policy::{
    Accept, AddDevice, AppendContext, Body, BodyCode, ChainKind, ChainMap, Chains, Cite, CiteRegress, Create,
    DeviceKind, DocumentKind, Draft, Grant, Invite, MAX_MEMBERS, MAX_PURPOSE_BYTES, Moment, Op, OpRefusal, Parent,
    ParentAuthority, Part, Repair, Role, Target, WrapList, authorize, op_id,
};

use crate::world::{
    START, World, begin, case_of, document_epoch, grant, group_epoch, key, member, no_wraps, unwrapped, wrapped,
    wrapping_key,
};

const RELAY: AppendContext = AppendContext::relay(START);

#[track_caller]
fn check(world: &World, key: &DeviceKey, op: Op, expected: OpRefusal) {
    check_in(&world.chains, key, op, &RELAY, expected);
}

#[track_caller]
fn check_in(chains: &ChainMap, key: &DeviceKey, op: Op, context: &AppendContext, expected: OpRefusal) {
    let op = Verified::sign(key, op).unwrap();
    assert_eq!(authorize(chains, &op, context), Err(expected));
}

/// An operation by Bashir that would be appended to the case.
fn good(world: &World) -> Op {
    world.draft(&world.bashir.key, &world.case, grant(world.dina.user, Role::Reader)).into_value()
}

fn create(world: &World, author: &DeviceKey, create: Create) -> Op {
    Draft::new(&world.chains, author.device_id(), None).create(wrapped(create)).unwrap()
}

/// That many recipients.
fn targets(count: u32) -> Vec<Target> {
    (0..count).map(|n| Target { recipient: Digest([n as u8; 32]), epoch: 0 }).collect()
}

fn with_body(op: Op, body: Body) -> Op {
    let body = match body {
        Body::Create(create) => Body::Create(unwrapped(create)),
        other => other,
    };
    Op { body, ..op }
}

#[test]
fn the_operation_that_the_rows_vary_is_appended() {
    let world = World::found();
    let op = Verified::sign(&world.bashir.key, good(&world)).unwrap();
    assert_eq!(authorize(&world.chains, &op, &RELAY).unwrap().id(), op_id(op.value()));
}

#[test]
fn an_operation_out_of_place_is_refused() {
    let world = World::found();
    let (head, by) = (world.chains.chain(&world.case).unwrap().head(), &world.bashir.key);
    let op = || good(&world);
    let case = world.case;
    check(&world, by, Op { suite: 2, ..op() }, OpRefusal::Suite { found: 2 });
    check(&world, by, Op { prev: None, ..op() }, OpRefusal::Place { seq: 1 });
    check(&world, by, Op { chain: None, ..op() }, OpRefusal::Place { seq: 1 });
    check(&world, by, Op { seq: 0, ..op() }, OpRefusal::Place { seq: 0 });
    let first = create(&world, &world.chipo.key, case_of(world.first_team));
    check(&world, &world.chipo.key, Op { seq: 1, ..first.clone() }, OpRefusal::Place { seq: 1 });
    check(&world, &world.chipo.key, Op { prev: Some(head), ..first.clone() }, OpRefusal::Place { seq: 0 });
    check(&world, &world.chipo.key, Op { chain: Some(case), ..first.clone() }, OpRefusal::Place { seq: 0 });
    check(&world, &world.chipo.key, first, OpRefusal::Known { seq: 0 });
    let other = OpId([1; 32]);
    check(&world, by, Op { prev: Some(other), ..op() }, OpRefusal::HeadMoved { head, seq: 0 });
    check(&world, by, Op { seq: 2, ..op() }, OpRefusal::Waiting { chain: case, head });
    let unknown = ChainId([1; 32]);
    check(&world, by, Op { chain: Some(unknown), ..op() }, OpRefusal::Waiting { chain: unknown, head });
}

#[test]
fn the_second_of_two_is_told_the_new_head_and_a_retry_that_it_stands() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.key.clone());
    let late = world.draft(&bashir, &case, grant(world.chipo.user, Role::Editor));
    let first = world.append(&bashir, &case, grant(world.dina.user, Role::Reader)).unwrap();
    let head = op_id(first.value());
    assert_eq!(authorize(&world.chains, &late, &RELAY), Err(OpRefusal::HeadMoved { head, seq: 1 }));
    assert_eq!(authorize(&world.chains, &first, &RELAY), Err(OpRefusal::Known { seq: 1 }));
}

#[test]
fn lists_out_of_order_or_bounds_are_refused() {
    let world = World::found();
    let by = &world.bashir.key;
    let op = || good(&world);
    let cite = |n: u8| Cite { chain: ChainId([n; 32]), head: OpId([0; 32]) };
    let cites = |cites: Vec<Cite>| Op { cites, ..op() };
    let not_sorted = |part| OpRefusal::NotSorted { part };
    let too_long = |part, found, max| OpRefusal::TooLong { part, found, max };
    check(&world, by, cites(vec![cite(2), cite(1)]), not_sorted(Part::Cites));
    check(&world, by, cites(vec![cite(1), cite(1)]), not_sorted(Part::Cites));
    check(&world, by, cites((0..9).map(cite).collect()), too_long(Part::Cites, 9, limits::MAX_CITES));
    let own = Cite { chain: world.case, head: OpId([0; 32]) };
    check(&world, by, cites(vec![own]), OpRefusal::CitesItself { chain: world.case });

    let purpose =
        |len| Grant { subject: world.dina.user, role: Role::Reader, expires: None, sealed_purpose: Some(vec![0; len]) };
    let long = with_body(op(), Body::Grant(purpose(MAX_PURPOSE_BYTES + 1)));
    check(&world, by, long, too_long(Part::Purpose, MAX_PURPOSE_BYTES + 1, MAX_PURPOSE_BYTES));
    let wraps = WrapList { root: Digest([0; 32]), count: 257 };
    check(
        &world,
        by,
        with_body(op(), Body::Repair(Repair { epoch: 0, wraps, targets: vec![] })),
        too_long(Part::Wraps, 257, 256),
    );

    let case = |change: &dyn Fn(&mut Create)| {
        let mut body = case_of(world.first_team);
        change(&mut body);
        with_body(create(&world, &world.chipo.key, case_of(world.first_team)), Body::Create(body))
    };
    let by = &world.chipo.key;
    let many = |n: usize| (0..n).map(|n| ChainId([n as u8; 32]));
    let member_of = |chain| member(chain, Role::Reader);
    let parent_of = |chain| Parent { chain, authority: ParentAuthority::None };
    check(&world, by, case(&|c| c.epoch.wraps.count = 257), too_long(Part::Wraps, 257, 256));
    let unsorted = case(&|c| c.members = many(3).rev().map(member_of).collect());
    check(&world, by, unsorted, not_sorted(Part::Members));
    let twice =
        case(&|c| c.members = vec![member(ChainId([1; 32]), Role::Reader), member(ChainId([1; 32]), Role::Editor)]);
    check(&world, by, twice, not_sorted(Part::Members));
    check(&world, by, case(&|c| c.parents = many(3).rev().map(parent_of).collect()), not_sorted(Part::Parents));
    let members = case(&|c| c.members = many(257).map(member_of).collect());
    check(&world, by, members, too_long(Part::Members, 257, MAX_MEMBERS));
    let parents = case(&|c| c.parents = many(257).map(parent_of).collect());
    check(&world, by, parents, too_long(Part::Parents, 257, limits::MAX_LIST));
}

#[test]
fn a_create_of_the_wrong_shape_is_refused() {
    let world = World::found();
    let row = |create: Create, kind: ChainKind, part: Part, change: &dyn Fn(&mut Create)| {
        let mut create = unwrapped(create);
        change(&mut create);
        let op = Op {
            suite: 1,
            chain: None,
            seq: 0,
            prev: None,
            device: world.amina.device(),
            cites: vec![],
            body: Body::Create(create),
        };
        check(&world, &world.amina.key, op, OpRefusal::Shape { kind, part });
    };
    let some = ChainId([1; 32]);
    let parent = |authority| Parent { chain: some, authority };
    let user = || Create::user([0; 16], wrapping_key(), group_epoch());
    let team = || Create::team([0; 16], some, vec![], group_epoch());
    let agency = || Create::agency([0; 16], vec![member(some, Role::Manager)], group_epoch());
    let case = || case_of(some);
    use ChainKind::{Agency, Document, Team, User};
    row(user(), User, Part::DocumentKind, &|c| c.document = Some(DocumentKind::Case));
    row(user(), User, Part::WrappingKey, &|c| c.wrapping_key = None);
    row(user(), User, Part::EpochKey, &|c| c.epoch.public_key = None);
    row(user(), User, Part::PreviousKey, &|c| c.epoch.previous = Some(Digest([0; 32])));
    row(user(), User, Part::Members, &|c| c.members = vec![member(some, Role::Reader)]);
    row(user(), User, Part::Parents, &|c| c.parents = vec![parent(ParentAuthority::Full)]);
    row(team(), Team, Part::WrappingKey, &|c| c.wrapping_key = Some(wrapping_key()));
    row(team(), Team, Part::EpochKey, &|c| c.epoch.public_key = None);
    row(team(), Team, Part::Parents, &|c| c.parents = vec![]);
    row(team(), Team, Part::Parents, &|c| c.parents = vec![parent(ParentAuthority::RevokeOnly)]);
    row(team(), Team, Part::Parents, &|c| {
        c.parents.insert(0, Parent { chain: ChainId([0; 32]), authority: ParentAuthority::Full })
    });
    row(agency(), Agency, Part::Parents, &|c| c.parents = vec![parent(ParentAuthority::Full)]);
    row(agency(), Agency, Part::Members, &|c| c.members = vec![member(some, Role::Editor)]);
    row(agency(), Agency, Part::DocumentKind, &|c| c.document = Some(DocumentKind::Directory));
    row(case(), Document, Part::DocumentKind, &|c| c.document = None);
    row(case(), Document, Part::EpochKey, &|c| c.epoch.public_key = Some(wrapping_key()));
    row(case(), Document, Part::WrappingKey, &|c| c.wrapping_key = Some(wrapping_key()));
    row(case(), Document, Part::Parents, &|c| c.parents = vec![]);
    row(case(), Document, Part::PreviousKey, &|c| c.epoch.previous = Some(Digest([0; 32])));
}

#[test]
fn unknown_or_older_cites_are_refused() {
    let mut world = World::found();
    let (case, team, amina) = (world.case, world.first_team, world.amina.key.clone());
    let head = OpId([1; 32]);
    let mut op = good(&world);
    op.cites[0].head = head;
    let chain = op.cites[0].chain;
    check(&world, &world.bashir.key.clone(), op, OpRefusal::Waiting { chain, head });

    let old = good(&world);
    world.append(&amina, &team, grant(world.dina.user, Role::Reader)).unwrap();
    let by = world.bashir.key.clone();
    world.append(&by, &case, grant(world.dina.user, Role::Reader)).unwrap();
    let state = world.chains.chain(&case).unwrap();
    let late = Op { seq: 2, prev: Some(state.head()), ..old };
    let regress = CiteRegress { chain: team, known: 1, found: 0 };
    check(&world, &by, late, OpRefusal::CiteRegress(regress));
}

#[test]
fn authors_without_the_role_are_refused() {
    let world = World::found();
    let lacking =
        |body, chain, least, found| OpRefusal::NoAuthority { body, chain, least, found, moment: Moment::Cited };
    let manager = Role::Manager;
    let by = |author: &DeviceKey| Op { device: author.device_id(), ..good(&world) };
    let cite_user = |op: Op, user: ChainId| {
        let team = Cite { chain: world.first_team, head: OpId(world.first_team.0) };
        let mut cites = vec![team, Cite { chain: user, head: OpId(user.0) }];
        cites.sort();
        Op { cites, ..op }
    };
    let (case, chipo, dina) = (world.case, &world.chipo, &world.dina);
    let editor = cite_user(by(&chipo.key), chipo.user);
    check(&world, &chipo.key, editor, lacking(BodyCode::GRANT, case, manager, Some(Role::Editor)));
    let outsider = cite_user(by(&dina.key), dina.user);
    check(&world, &dina.key, outsider.clone(), lacking(BodyCode::GRANT, case, manager, None));
    let repair =
        Body::Repair(Repair { epoch: 0, wraps: WrapList { root: Digest([0; 32]), count: 1 }, targets: targets(1) });
    check(&world, &dina.key, with_body(outsider, repair), lacking(BodyCode::REPAIR, case, Role::Reader, None));
    let uncited = Op { cites: vec![], ..good(&world) };
    check(&world, &world.bashir.key, uncited, lacking(BodyCode::GRANT, case, manager, None));

    let foreign = AddDevice::with_key(chipo.user, &key(40), wrapping_key(), DeviceKind::Full);
    let head = OpId(chipo.user.0);
    let op = Op { chain: Some(chipo.user), prev: Some(head), ..by(&dina.key) };
    let op = Op { cites: vec![Cite { chain: dina.user, head: OpId(dina.user.0) }], ..op };
    let refusal = lacking(BodyCode::ADD_DEVICE, chipo.user, manager, None);
    check(&world, &dina.key, with_body(op, Body::AddDevice(foreign)), refusal);

    let team = create(&world, &world.amina.key, Create::team([5; 16], world.agency, vec![], group_epoch()));
    let op = Op { device: chipo.device(), ..cite_user(team, chipo.user) };
    let mut op =
        Op { cites: [op.cites, vec![Cite { chain: world.agency, head: OpId(world.agency.0) }]].concat(), ..op };
    op.cites.sort();
    check(&world, &chipo.key, op, lacking(BodyCode::CREATE, world.agency, manager, None));
    let case = create(&world, &chipo.key, Create { nonce: ByteArray::from([1; 16]), ..case_of(world.first_team) });
    let op = cite_user(Op { device: dina.device(), ..case }, dina.user);
    check(&world, &dina.key, op, lacking(BodyCode::CREATE, world.first_team, Role::Editor, None));
}

#[test]
fn a_role_past_its_time_is_refused_by_the_relay_and_stands_on_devices_until_an_operation_ends_it() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.key.clone());
    let expires = Some(Timestamp(START.0 + 100));
    let body = Grant { subject: world.dina.user, role: Role::Manager, expires, sealed_purpose: None };
    world.append(&bashir, &case, Body::Grant(body)).unwrap();
    let body = Grant { subject: world.dina.user, role: Role::Reader, expires, sealed_purpose: None };
    let op = world.draft(&world.dina.key, &case, Body::Grant(body)).into_value();
    let before = AppendContext::relay(Timestamp(START.0 + 99));
    let signed = Verified::sign(&world.dina.key, op.clone()).unwrap();
    assert!(authorize(&world.chains, &signed, &before).is_ok());
    let after = AppendContext::relay(Timestamp(START.0 + 100));
    let refusal = OpRefusal::NoAuthority {
        body: BodyCode::GRANT,
        chain: case,
        least: Role::Manager,
        found: None,
        moment: Moment::Now,
    };
    check_in(&world.chains, &world.dina.key, op, &after, refusal);
}

#[test]
fn bodies_without_a_place_in_the_chain_are_refused() {
    let world = World::found();
    let chipo = &world.chipo;
    let own = |body: Body| Op {
        suite: 1,
        chain: Some(chipo.user),
        seq: 1,
        prev: Some(OpId(chipo.user.0)),
        device: chipo.device(),
        cites: vec![],
        body,
    };
    let invite = Invite { key: key(50).device_id(), role: Role::Reader, expires: START };
    let accept = Accept::with_key(OpId([0; 32]), chipo.user, chipo.device(), &key(50));
    for body in [grant(world.dina.user, Role::Reader), Body::Invite(invite), Body::Accept(accept)] {
        let refusal = OpRefusal::NotHere { body: body.code(), kind: ChainKind::User };
        check(&world, &chipo.key, own(body), refusal);
    }
    let add = Body::AddDevice(AddDevice::with_key(world.case, &key(40), wrapping_key(), DeviceKind::Full));
    let refusal = OpRefusal::NotHere { body: BodyCode::ADD_DEVICE, kind: ChainKind::Document };
    check(&world, &world.bashir.key, with_body(good(&world), add), refusal);
}

#[test]
fn members_and_parents_of_a_kind_without_a_place_are_refused() {
    let world = World::found();
    let op = |subject| with_body(good(&world), grant(subject, Role::Reader));
    let wrong = |subject, found, kind| OpRefusal::WrongKind { subject, found, kind };
    let (document, team, agency) = (ChainKind::Document, ChainKind::Team, ChainKind::Agency);
    check(&world, &world.bashir.key, op(world.case), wrong(world.case, document, document));
    let unknown = ChainId([1; 32]);
    check(&world, &world.bashir.key, op(unknown), OpRefusal::UnknownSubject { subject: unknown });
    let of_team = world.draft(&world.bashir.key, &world.first_team, grant(world.second_team, Role::Reader));
    check(&world, &world.bashir.key, of_team.into_value(), wrong(world.second_team, team, team));
    let members = vec![member(world.agency, Role::Reader)];
    let of_agency = create(&world, &world.amina.key, Create::team([6; 16], world.agency, members, group_epoch()));
    check(&world, &world.amina.key, of_agency, wrong(world.agency, agency, team));
    let mut of_team = create(&world, &world.bashir.key, case_of(world.first_team));
    of_team.body = Body::Create(Create::team([6; 16], world.first_team, vec![], group_epoch()));
    check(&world, &world.bashir.key, of_team, wrong(world.first_team, team, team));
    let of_case = create(&world, &world.chipo.key, case_of(world.first_team));
    let of_case = with_body(of_case, Body::Create(case_of(world.case)));
    for context in [RELAY, AppendContext::unreceipted()] {
        let refusal = wrong(world.case, document, document);
        check_in(&world.chains, &world.chipo.key, of_case.clone(), &context, refusal);
    }
    for authority in [ParentAuthority::None, ParentAuthority::RevokeOnly] {
        for (chain, refusal) in [
            (unknown, OpRefusal::UnknownSubject { subject: unknown }),
            (world.case, wrong(world.case, document, document)),
        ] {
            let mut body = case_of(world.first_team);
            let good = create(&world, &world.chipo.key, body.clone());
            body.parents.push(Parent { chain, authority });
            body.parents.sort();
            check(&world, &world.chipo.key, with_body(good, Body::Create(body)), refusal);
        }
    }
}

#[test]
fn a_document_gives_nobody_more_than_its_author_has() {
    let world = World::found();
    let mut body = case_of(world.first_team);
    body.members.push(member(world.chipo.user, Role::Manager));
    body.members.sort();
    let op = create(&world, &world.chipo.key, body.clone());
    let (subject, moment) = (world.chipo.user, Moment::Cited);
    let refusal = OpRefusal::AboveAuthor { subject, role: Role::Manager, found: Role::Editor, moment };
    check(&world, &world.chipo.key, op, refusal);
    let op = Verified::sign(&world.bashir.key, create(&world, &world.bashir.key, body.clone())).unwrap();
    assert!(authorize(&world.chains, &op, &RELAY).is_ok());
    body.parents = vec![Parent { chain: world.chipo.user, authority: ParentAuthority::Full }];
    body.members.retain(|member| member.subject == world.chipo.user);
    let op = Verified::sign(&world.chipo.key, create(&world, &world.chipo.key, body)).unwrap();
    assert!(authorize(&world.chains, &op, &RELAY).is_ok());
}

#[test]
fn a_document_under_no_full_parent_needs_an_editor_of_one() {
    let mut world = World::found();
    let (team, bashir) = (world.first_team, world.bashir.key.clone());
    world.append(&bashir, &team, grant(world.dina.user, Role::Reader)).unwrap();
    let parents = vec![Parent { chain: team, authority: ParentAuthority::RevokeOnly }];
    let body = Create { parents, ..case_of(team) };
    let head = world.chains.chain(&team).unwrap().head();
    let mut cites = vec![Cite { chain: team, head }, Cite { chain: world.dina.user, head: OpId(world.dina.user.0) }];
    cites.sort();
    let op = create(&world, &world.chipo.key, body.clone());
    let op = Op { device: world.dina.device(), cites, ..op };
    let (least, found, moment) = (Role::Editor, Some(Role::Reader), Moment::Cited);
    let refusal = OpRefusal::NoAuthority { body: BodyCode::CREATE, chain: team, least, found, moment };
    check(&world, &world.dina.key, op, refusal);
    let key = world.chipo.key.clone();
    begin(&mut world.chains, &key, body);
}

#[test]
fn an_agencys_configuration_is_begun_by_its_managers_only() {
    let mut world = World::found();
    let (agency, amina) = (world.agency, world.amina.key.clone());
    world.append(&amina, &agency, grant(world.dina.user, Role::Editor)).unwrap();
    let parents = vec![Parent { chain: agency, authority: ParentAuthority::Full }];
    let members = vec![member(agency, Role::Reader)];
    let body = Create::document(DocumentKind::Configuration, [0; 16], parents, members, document_epoch());
    let by_editor = with_body(
        create(&world, &world.dina.key, Create { document: Some(DocumentKind::Registry), ..body.clone() }),
        Body::Create(body.clone()),
    );
    let (least, found, moment) = (Role::Manager, Some(Role::Editor), Moment::Cited);
    let refusal = OpRefusal::NoAuthority { body: BodyCode::CREATE, chain: agency, least, found, moment };
    check(&world, &world.dina.key, by_editor, refusal);
    begin(&mut world.chains, &amina, body);
}

#[test]
fn an_agency_without_its_founder_is_refused() {
    let world = World::found();
    let members = vec![member(world.amina.user, Role::Manager)];
    let op = create(&world, &world.amina.key, Create::agency([7; 16], members, group_epoch()));
    let device = world.dina.device();
    let refusal = OpRefusal::NoFounder { device, moment: Moment::Cited };
    check(&world, &world.dina.key, Op { device, ..op.clone() }, refusal);
    // A team that he manages does not make him a founder.
    let bashir = &world.bashir;
    let members = vec![member(world.first_team, Role::Manager)];
    let create = Body::Create(Create::agency([7; 16], members, group_epoch()));
    let device = bashir.device();
    let refusal = OpRefusal::NoFounder { device, moment: Moment::Cited };
    check(&world, &bashir.key, Op { device, cites: good(&world).cites, ..with_body(op, create) }, refusal);
}

#[test]
fn a_device_joins_once_and_by_its_own_will() {
    let mut world = World::found();
    let (user, by) = (world.chipo.user, world.chipo.key.clone());
    let add = |key: &DeviceKey| AddDevice::with_key(user, key, wrapping_key(), DeviceKind::Full);
    world.append(&by, &user, Body::AddDevice(add(&key(40)))).unwrap();
    let op = |add| world.draft(&by, &user, Body::AddDevice(add)).into_value();
    for known in [&by, &key(40)] {
        check(&world, &by, op(add(known)), OpRefusal::DeviceKnown { device: known.device_id() });
    }
    let refusal = OpRefusal::Proof { body: BodyCode::ADD_DEVICE };
    let stolen = AddDevice { device: key(42).device_id(), ..add(&key(41)) };
    check(&world, &by, op(stolen), refusal.clone());
    let elsewhere = AddDevice::with_key(world.dina.user, &key(41), wrapping_key(), DeviceKind::Full);
    check(&world, &by, op(elsewhere), refusal);
}

#[test]
fn an_invite_is_taken_once_in_time_and_by_whoever_holds_its_secret() {
    let mut world = World::found();
    let (team, bashir) = (world.first_team, world.bashir.key.clone());
    let expires = Timestamp(START.0 + 100);
    let invite = Invite { key: key(50).device_id(), role: Role::Editor, expires };
    let invite = op_id(world.append(&bashir, &team, Body::Invite(invite)).unwrap().value());
    let dina = world.dina.clone();
    let by = &dina.key;
    let accept = |invite, key: &DeviceKey| Body::Accept(Accept::with_key(invite, dina.user, dina.device(), key));
    let good = accept(invite, &key(50));
    let op = |body| world.draft(by, &team, body).into_value();

    check(&world, by, op(accept(OpId([1; 32]), &key(50))), OpRefusal::NoInvite { invite: OpId([1; 32]) });
    check(&world, by, op(accept(invite, &key(51))), OpRefusal::Proof { body: BodyCode::ACCEPT });
    let expired = OpRefusal::InviteExpired { invite, expires, time: expires };
    check_in(&world.chains, by, op(good.clone()), &AppendContext::relay(expires), expired);
    let (user, device, moment) = (dina.user, world.amina.device(), Moment::Cited);
    let stolen = Accept::with_key(invite, user, device, &key(50));
    let stolen = Op { device, ..with_body(op(good.clone()), Body::Accept(stolen)) };
    check(&world, &world.amina.key, stolen, OpRefusal::NotOfUser { user, device, moment });
    let uncited = Op { cites: vec![], ..op(good.clone()) };
    check(&world, by, uncited, OpRefusal::NotOfUser { user, device: dina.device(), moment });

    let (user, device) = (world.second_team, dina.device());
    let head = world.chains.chain(&user).unwrap().head();
    let as_team = Body::Accept(Accept::with_key(invite, user, device, &key(50)));
    let mut as_team = with_body(op(good.clone()), as_team);
    as_team.cites.push(Cite { chain: user, head });
    as_team.cites.sort();
    check(&world, by, as_team, OpRefusal::NotOfUser { user, device, moment });

    world.append(by, &team, good).unwrap();
    let again = world.draft(by, &team, accept(invite, &key(50))).into_value();
    check(&world, by, again, OpRefusal::InviteTaken { invite });
}

#[test]
fn a_repair_names_an_epoch_there_is_and_holds_something() {
    let world = World::found();
    let repair_for = |epoch, targets, wraps| with_body(good(&world), Body::Repair(Repair { epoch, targets, wraps }));
    let team = Target { recipient: Digest(world.first_team.0), epoch: 0 };
    let repair = |epoch, wraps: WrapList| repair_for(epoch, vec![team; wraps.count as usize], wraps);
    let one = WrapList { root: Digest([0; 32]), count: 1 };
    let by = &world.bashir.key;
    check(&world, by, repair(1, one), OpRefusal::NoEpoch { found: 1, newest: 0 });
    let refusal = OpRefusal::Shape { kind: ChainKind::Document, part: Part::Wraps };
    check(&world, by, repair(0, no_wraps()), refusal);
    let refusal = OpRefusal::WrapCount { expected: 1, found: 0 };
    check(&world, by, repair_for(0, vec![], one), refusal);
    let outsider = Target { recipient: Digest(world.second_team.0), epoch: 0 };
    for target in [outsider, Target { epoch: 1, ..team }] {
        check(&world, by, repair_for(0, vec![target], one), OpRefusal::Targets { chain: world.case });
    }
    assert!(authorize(&world.chains, &Verified::sign(by, repair(0, one)).unwrap(), &RELAY).is_ok());
}

#[test]
fn a_device_takes_nothing_but_a_create_without_a_receipt() {
    let world = World::found();
    let op = good(&world);
    let refusal = OpRefusal::NoReceipt { op: op_id(&op) };
    check_in(&world.chains, &world.bashir.key, op, &AppendContext::unreceipted(), refusal);
    let body = Create { nonce: ByteArray::from([1; 16]), ..case_of(world.first_team) };
    let op = Verified::sign(&world.chipo.key, create(&world, &world.chipo.key, body)).unwrap();
    assert!(authorize(&world.chains, &op, &AppendContext::unreceipted()).is_ok());
}
