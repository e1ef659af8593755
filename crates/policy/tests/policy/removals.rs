//! Who may end whose access, and what that does.

use vereda_base::{ChainId, Timestamp};
use vereda_crypto::DeviceKey;
use vereda_policy::{
    Accept, AddDevice, Assign, BadRotate, Body, BodyCode, CancelInvite, ChainKind, Create, DeviceKind, Draft,
    DraftError, EpochFault, Expire, Frontier, Grant, Heads, Invite, InviteEnd, MAX_DEVICES, MAX_MEMBERS, Moment,
    OpRefusal, Parent, ParentAuthority, Part, Revoke, Role, authority, cite_governing, entitled, membership, op_id,
    reading_devices, removed_devices,
};

use crate::world::{
    Person, START, World, begin, frontier, grant, group_epoch, join, key, member, remove, revoke, wrapping_key,
};

const NEWEST: Heads = Heads::newest(None);

fn lacking(body: BodyCode, chain: ChainId, least: Role, found: Option<Role>) -> Result<(), OpRefusal> {
    Err(OpRefusal::NoAuthority { body, chain, least, found, moment: Moment::Cited })
}

fn add(user: ChainId, key: &DeviceKey, kind: DeviceKind) -> Body {
    Body::AddDevice(AddDevice::with_key(user, key, wrapping_key(), kind))
}

/// Lets a person take an invite to a group up.
fn invite_in(world: &mut World, by: &Person, group: ChainId, who: &Person, role: Role) {
    let invite = Invite { key: key(50).device_id(), role, expires: Timestamp(START.0 + 1) };
    let invite = op_id(world.append(&by.key, &group, Body::Invite(invite)).unwrap().value());
    let accept = Accept::with_key(invite, who.user, who.device(), &key(50));
    world.append(&who.key, &group, Body::Accept(accept)).unwrap();
}

#[test]
fn a_recovery_key_adds_and_removes_devices_and_nothing_else() {
    let mut world = World::found();
    let (chipo, case, team) = (world.chipo.clone(), world.case, world.first_team);
    let (printed, next) = (key(40), key(41));
    world.append(&chipo.key, &chipo.user, add(chipo.user, &printed, DeviceKind::Recovery)).unwrap();
    for chain in [chipo.user, team, case] {
        assert_eq!(membership(&world.chains, &printed.device_id(), &chain, &NEWEST), None);
        assert_eq!(authority(&world.chains, &printed.device_id(), &chain, &NEWEST), None);
        assert!(!reading_devices(&world.chains, &chain, None).contains(&printed.device_id()));
    }
    assert_eq!(entitled(&world.chains, &chipo.user, None).len(), 2, "it holds the user's key");
    let rotate = world.rotation(&chipo.user);
    let refused = lacking(BodyCode::ROTATE, chipo.user, Role::Reader, None);
    assert_eq!(world.offer(&printed, &chipo.user, rotate, &[]), refused);
    let leave = world.offer(&printed, &team, revoke(chipo.user, None), &[chipo.user]);
    assert_eq!(leave, lacking(BodyCode::REVOKE, team, Role::Manager, None));
    let begins = Create::agency([7; 16], vec![member(chipo.user, Role::Manager)], group_epoch());
    let drafted = Draft::new(&world.chains, printed.device_id(), None).create(begins);
    assert_eq!(drafted, Err(DraftError::NoFounder { device: printed.device_id() }));

    let last = Err(OpRefusal::LastDevice { device: chipo.device() });
    assert_eq!(world.offer(&printed, &chipo.user, remove(chipo.device()), &[]), last);
    world.append(&printed, &chipo.user, add(chipo.user, &next, DeviceKind::Full)).unwrap();
    world.append(&printed, &chipo.user, remove(chipo.device())).unwrap();
    assert_eq!(membership(&world.chains, &next.device_id(), &case, &NEWEST), Some(Role::Editor));
    assert_eq!(membership(&world.chains, &chipo.device(), &case, &NEWEST), None);
    world.append(&next, &chipo.user, remove(printed.device_id())).unwrap();
    let gone = Err(OpRefusal::NoDevice { device: printed.device_id() });
    assert_eq!(world.offer(&next, &chipo.user, remove(printed.device_id()), &[]), gone);
    let known = Err(OpRefusal::DeviceKnown { device: printed.device_id() });
    assert_eq!(world.offer(&next, &chipo.user, add(chipo.user, &printed, DeviceKind::Full), &[]), known);
    let refused = lacking(BodyCode::REMOVE_DEVICE, chipo.user, Role::Manager, None);
    assert_eq!(world.offer(&printed, &chipo.user, remove(next.device_id()), &[]), refused);
}

#[test]
fn a_printed_key_does_not_pass_for_a_full_device() {
    let world = World::found();
    let user = world.chipo.user;
    let mut body = AddDevice::with_key(user, &key(40), wrapping_key(), DeviceKind::Recovery);
    body.kind = DeviceKind::Full;
    let refused = Err(OpRefusal::Proof { body: BodyCode::ADD_DEVICE });
    assert_eq!(world.offer(&world.chipo.key, &user, Body::AddDevice(body), &[]), refused);
}

#[test]
fn a_manager_of_the_agency_removes_devices_of_whoever_joined_it() {
    let mut world = World::found();
    let (amina, bashir, agency, team) = (world.amina.clone(), world.bashir.clone(), world.agency, world.first_team);
    let other = join(&mut world.chains, 70);
    let foreign = begin(
        &mut world.chains,
        &other.key,
        Create::agency([9; 16], vec![member(other.user, Role::Manager)], group_epoch()),
    );
    let eva = join(&mut world.chains, 60);
    let body = remove(eva.device());
    let refused = lacking(BodyCode::REMOVE_DEVICE, eva.user, Role::Manager, None);
    let cited = [agency, team, amina.user];

    // Named, but not by her own will: anybody can do that in an agency of his own.
    world.append(&bashir.key, &team, grant(eva.user, Role::Editor)).unwrap();
    world.append(&other.key, &foreign, grant(eva.user, Role::Editor)).unwrap();
    assert_eq!(world.offer(&amina.key, &eva.user, body.clone(), &cited), refused);
    assert_eq!(world.offer(&other.key, &eva.user, body.clone(), &[foreign, other.user]), refused);
    invite_in(&mut world, &bashir, team, &eva, Role::Editor);

    let rows: [(&str, &Person, Vec<ChainId>, bool); 7] = [
        ("by team, with the team cited", &amina, vec![agency, team, amina.user], true),
        ("without the team", &amina, vec![agency, amina.user], false),
        ("without the agency", &amina, vec![team, amina.user], false),
        ("by another team of the agency", &amina, vec![agency, world.second_team, amina.user], false),
        ("a Manager of the team", &bashir, vec![agency, team, bashir.user], false),
        ("a Manager of another agency, who named her there", &other, vec![foreign, other.user], false),
        ("the same, with her team cited", &other, vec![foreign, team, other.user], false),
    ];
    for (name, by, cited, may) in rows {
        let expected = if may { Ok(()) } else { refused.clone() };
        assert_eq!(world.offer(&by.key, &eva.user, body.clone(), &cited), expected, "{name}");
    }
    let draft = Draft::new(&world.chains, amina.device(), None);
    assert!(draft.append(&eva.user, body.clone()).is_err(), "no groups to look at");
    let groups = [foreign, world.second_team, team, agency];
    let op = draft.with_groups(&groups).sign_append(&amina.key, &eva.user, body).unwrap();
    let mut cites: Vec<ChainId> = op.value().cites.iter().map(|cite| cite.chain).collect();
    let mut expected = vec![agency, team, amina.user];
    cites.sort();
    expected.sort();
    assert_eq!(cites, expected);
    // Her last one, and from above: it may be.
    world.chains.append(&op, &vereda_policy::AppendContext::relay(START)).unwrap();
    assert!(reading_devices(&world.chains, &eva.user, None).is_empty());
}

#[test]
fn whoever_was_moved_to_another_team_is_still_governed() {
    let mut world = World::found();
    let (amina, bashir) = (world.amina.clone(), world.bashir.clone());
    let (agency, first, second) = (world.agency, world.first_team, world.second_team);
    let eva = join(&mut world.chains, 60);
    invite_in(&mut world, &bashir, first, &eva, Role::Editor);
    world.append(&amina.key, &second, grant(eva.user, Role::Editor)).unwrap();
    world.append(&bashir.key, &first, revoke(eva.user, None)).unwrap();
    let cites = cite_governing(&world.chains, &amina.device(), &eva.user, &[agency, first, second], None).unwrap();
    assert_eq!(cites.len(), 4);
    let cited: Vec<ChainId> = cites.iter().map(|cite| cite.chain).collect();
    assert_eq!(world.offer(&amina.key, &eva.user, remove(eva.device()), &cited), Ok(()));
    world.append(&amina.key, &second, revoke(eva.user, None)).unwrap();
    assert_eq!(cite_governing(&world.chains, &amina.device(), &eva.user, &[agency, first, second], None), None);
}

#[test]
fn a_members_roles_are_ended_by_managers_from_above_or_by_himself() {
    let mut world = World::found();
    let (case, team) = (world.case, world.first_team);
    let (amina, bashir, chipo, dina) =
        (world.amina.clone(), world.bashir.clone(), world.chipo.clone(), world.dina.clone());
    world.append(&bashir.key, &case, grant(dina.user, Role::Editor)).unwrap();
    let parents = vec![Parent { chain: team, authority: ParentAuthority::RevokeOnly }];
    let kind = vereda_policy::DocumentKind::Section;
    let body = Create::document(
        kind,
        [3; 16],
        parents,
        vec![member(bashir.user, Role::Manager)],
        crate::world::document_epoch(),
    );
    let section = begin(&mut world.chains, &bashir.key, body);
    world.append(&bashir.key, &section, grant(dina.user, Role::Reader)).unwrap();
    let rows = [
        ("the team's Manager", case, &bashir, vec![team, bashir.user], revoke(dina.user, None), true),
        ("the agency's", case, &amina, vec![team, world.agency, amina.user], revoke(dina.user, None), true),
        ("the same of a section", section, &amina, vec![team, world.agency, amina.user], revoke(dina.user, None), true),
        ("an Editor", case, &chipo, vec![team, chipo.user], revoke(dina.user, None), false),
        ("himself", case, &dina, vec![dina.user], revoke(dina.user, None), true),
        ("himself, of a section", section, &dina, vec![dina.user], revoke(dina.user, None), true),
        ("himself, lowered only", case, &dina, vec![dina.user], revoke(dina.user, Some(Role::Reader)), false),
        ("himself, uncited", case, &dina, vec![], revoke(dina.user, None), false),
        ("another user in his own name", case, &dina, vec![dina.user], revoke(team, None), false),
    ];
    for (name, chain, by, cited, body, may) in rows {
        let found = world.offer(&by.key, &chain, body, &cited);
        assert_eq!(found.is_ok(), may, "{name}: {found:?}");
        assert!(may || matches!(found, Err(OpRefusal::NoAuthority { .. })), "{name}: {found:?}");
    }
    let nothing = Err(OpRefusal::NothingEnds { subject: chipo.user });
    assert_eq!(world.offer(&bashir.key, &case, revoke(chipo.user, None), &[team, bashir.user]), nothing);
    let nothing = Err(OpRefusal::NothingEnds { subject: dina.user });
    let body = revoke(dina.user, Some(Role::Editor));
    assert_eq!(world.offer(&bashir.key, &case, body, &[team, bashir.user]), nothing, "he is no more than that");
    let nobody = Err(OpRefusal::NobodyLeft { document: case });
    world.append(&bashir.key, &case, revoke(dina.user, None)).unwrap();
    assert_eq!(world.offer(&bashir.key, &case, revoke(team, None), &[team, bashir.user]), nobody);
}

#[test]
fn lowering_leaves_a_role_that_lasts_as_long_as_the_higher_one_would_have() {
    let rows = [(Some(100), Some(100)), (None, None)];
    for (granted, left) in rows {
        let mut world = World::found();
        let (case, bashir, dina) = (world.case, world.bashir.clone(), world.dina.clone());
        let at = |after: Option<i64>| after.map(|after| Timestamp(START.0 + after));
        let body = Grant { subject: dina.user, role: Role::Manager, expires: at(granted), sealed_purpose: None };
        world.append(&bashir.key, &case, Body::Grant(body)).unwrap();
        world.append(&bashir.key, &case, revoke(dina.user, Some(Role::Reader))).unwrap();
        let state = world.state(&case);
        let held: Vec<_> = state.members().iter().filter(|held| held.subject == dina.user).collect();
        assert_eq!((held[0].role, held[0].until_seq), (Role::Manager, Some(2)));
        assert_eq!((held[1].role, held[1].until_seq, held[1].expires), (Role::Reader, None, at(left)));
        assert_eq!(state.removal(2).unwrap().frontier, frontier());
        let before = Heads::at_seqs([(case, 1), (dina.user, 0)]);
        assert_eq!(membership(&world.chains, &dina.device(), &case, &before), Some(Role::Manager));
        assert_eq!(membership(&world.chains, &dina.device(), &case, &NEWEST), Some(Role::Reader));
    }
}

#[test]
fn an_agency_keeps_a_manager_without_expiry() {
    let mut world = World::found();
    let (agency, amina, dina) = (world.agency, world.amina.clone(), world.dina.clone());
    let body = |keeps, successor| Body::Revoke(Revoke { subject: amina.user, keeps, successor, frontier: frontier() });
    let last = Err(OpRefusal::LastManager { agency });
    let offer = |world: &World, body| world.offer(&amina.key, &agency, body, &[amina.user]);
    let expires = Some(Timestamp(START.0 + 100));
    let until = Grant { subject: dina.user, role: Role::Manager, expires, sealed_purpose: None };
    world.append(&amina.key, &agency, Body::Grant(until)).unwrap();
    for keeps in [None, Some(Role::Reader), Some(Role::Editor)] {
        assert_eq!(offer(&world, body(keeps, None)), last, "one who stays for a time only is none");
        assert_eq!(offer(&world, body(keeps, Some(amina.user))), last);
        assert_eq!(offer(&world, body(keeps, Some(dina.user))), Ok(()));
    }
    let wrong = OpRefusal::WrongKind { subject: world.case, found: ChainKind::Document, kind: ChainKind::Agency };
    assert_eq!(offer(&world, body(None, Some(world.case))), Err(wrong));
    let team = world.first_team;
    let of_team = Body::Revoke(Revoke {
        subject: world.chipo.user,
        keeps: None,
        successor: Some(dina.user),
        frontier: frontier(),
    });
    let shape = Err(OpRefusal::Shape { kind: ChainKind::Team, part: Part::Members });
    assert_eq!(world.offer(&world.bashir.key, &team, of_team, &[world.bashir.user]), shape);

    world.append(&amina.key, &agency, body(None, Some(dina.user))).unwrap();
    assert_eq!(membership(&world.chains, &amina.device(), &agency, &NEWEST), None);
    assert_eq!(membership(&world.chains, &dina.device(), &agency, &Heads::newest(expires)), Some(Role::Manager));
}

#[test]
fn a_leaving_reader_names_no_successor() {
    let mut world = World::found();
    let (agency, amina, dina) = (world.agency, world.amina.clone(), world.dina.clone());
    world.append(&amina.key, &agency, grant(dina.user, Role::Reader)).unwrap();
    let body = |successor| Body::Revoke(Revoke { subject: dina.user, keeps: None, successor, frontier: frontier() });
    let refused = lacking(BodyCode::REVOKE, agency, Role::Manager, Some(Role::Reader));
    assert_eq!(world.offer(&dina.key, &agency, body(Some(world.chipo.user)), &[dina.user]), refused);
    assert_eq!(world.offer(&dina.key, &agency, body(None), &[dina.user]), Ok(()));
    world.append(&dina.key, &agency, body(None)).unwrap();
}

#[test]
fn an_expiry_is_carried_out_by_an_editor_and_not_before_its_time() {
    let mut world = World::found();
    let (case, bashir, dina) = (world.case, world.bashir.clone(), world.dina.clone());
    let at = |after| Timestamp(START.0 + after);
    for (role, after) in [(Role::Reader, 300), (Role::Editor, 100)] {
        let body = Grant { subject: dina.user, role, expires: Some(at(after)), sealed_purpose: None };
        world.append(&bashir.key, &case, Body::Grant(body)).unwrap();
    }
    let expire = |subject| Body::Expire(Expire { subject, frontier: frontier() });
    let chipo = world.chipo.clone();
    let nothing = |subject| Err(OpRefusal::NothingEnds { subject });
    assert_eq!(world.append_at(&chipo.key, &case, expire(dina.user), at(99)), nothing(dina.user));
    assert_eq!(world.append_at(&chipo.key, &case, expire(world.first_team), at(100)), nothing(world.first_team));
    let by_dina = world.offer(&dina.key, &case, expire(dina.user), &[]);
    assert_eq!(by_dina, nothing(dina.user), "by the relay's clock it is not time");
    world.append_at(&chipo.key, &case, expire(dina.user), at(100)).unwrap();
    let state = world.state(&case);
    let held: Vec<_> =
        state.members().iter().filter(|held| held.subject == dina.user).map(|held| held.until_seq).collect();
    assert_eq!(held, [None, Some(3)], "the Reader's time has not come");
    assert_eq!(state.removals().len(), 1);
    assert_eq!(world.append_at(&chipo.key, &case, expire(dina.user), at(299)), nothing(dina.user));
    world.append_at(&chipo.key, &case, expire(dina.user), at(300)).unwrap();
    let op = world.force(&dina.key, &case, expire(dina.user), &[dina.user]);
    assert!(vereda_policy::authorize(&world.chains, &op, &vereda_policy::AppendContext::relay(at(400))).is_err());
}

fn assign(gives: Vec<(ChainId, Role)>, takes: Vec<ChainId>, parents: Option<Vec<Parent>>) -> Body {
    let mut gives: Vec<_> = gives.into_iter().map(|(subject, role)| member(subject, role)).collect();
    gives.sort();
    Body::Assign(Assign { gives, takes, parents, sections: vec![], frontier: frontier() })
}

#[test]
fn a_document_gets_parents_by_a_manager_of_a_group_above_it_or_as_whoever_begins_one() {
    let mut world = World::found();
    let (case, first, second) = (world.case, world.first_team, world.second_team);
    let (amina, bashir, chipo) = (world.amina.clone(), world.bashir.clone(), world.chipo.clone());
    world.append(&bashir.key, &case, grant(chipo.user, Role::Manager)).unwrap();
    // Chipo is Manager of the case by a grant, and of the other team.
    world.append(&amina.key, &second, grant(chipo.user, Role::Manager)).unwrap();
    let parents = |all: &[(ChainId, ParentAuthority)]| {
        let mut all: Vec<_> =
            all.iter().map(|(chain, authority)| Parent { chain: *chain, authority: *authority }).collect();
        all.sort();
        assign(vec![], vec![], Some(all))
    };
    for authority in [ParentAuthority::RevokeOnly, ParentAuthority::Full] {
        for new in [second, chipo.user] {
            let added = parents(&[(first, ParentAuthority::Full), (new, authority)]);
            let refused = Err(OpRefusal::NoGroup { document: case, moment: Moment::Cited });
            assert_eq!(world.offer(&chipo.key, &case, added.clone(), &[first, second, chipo.user]), refused);
            assert!(Draft::new(&world.chains, chipo.device(), None).append(&case, added).is_err());
        }
    }
    let added = parents(&[(first, ParentAuthority::Full), (second, ParentAuthority::RevokeOnly)]);
    world.append(&bashir.key, &case, added.clone()).unwrap();
    assert_eq!(world.state(&case).parents().count(), 2);

    // What he began for himself alone goes where he could have begun it, and nowhere else.
    let dina = world.dina.clone();
    let own = (dina.user, ParentAuthority::Full);
    let parent = Parent { chain: own.0, authority: own.1 };
    let begun = vereda_policy::Create::document(
        vereda_policy::DocumentKind::Case,
        [77; 16],
        vec![parent],
        vec![member(dina.user, Role::Manager)],
        crate::world::document_epoch(),
    );
    let private = crate::world::begin(&mut world.chains, &dina.key, begun);
    for authority in [ParentAuthority::RevokeOnly, ParentAuthority::Full] {
        let least = if authority == ParentAuthority::Full { Role::Editor } else { Role::Reader };
        let refused = lacking(BodyCode::ASSIGN, first, least, None);
        let added = parents(&[own, (first, authority)]);
        assert_eq!(world.offer(&dina.key, &private, added.clone(), &[first, dina.user]), refused);
        assert!(Draft::new(&world.chains, dina.device(), None).append(&private, added).is_err());
        let added = parents(&[own, (second, authority)]);
        assert!(Draft::new(&world.chains, dina.device(), None).append(&private, added.clone()).is_ok());
        assert_eq!(world.offer(&dina.key, &private, added, &[second, dina.user]), Ok(()));
    }
    world.append(&dina.key, &private, parents(&[own, (second, ParentAuthority::RevokeOnly)])).unwrap();
    // From then on its Managers decide.
    let more = parents(&[own, (second, ParentAuthority::Full)]);
    let refused = Err(OpRefusal::NoGroup { document: private, moment: Moment::Cited });
    assert_eq!(world.offer(&dina.key, &private, more, &[second, dina.user]), refused);
}

#[test]
fn a_case_moves_to_another_team_with_its_parents() {
    let mut world = World::found();
    let (case, first, second) = (world.case, world.first_team, world.second_team);
    let (amina, bashir, dina) = (world.amina.clone(), world.bashir.clone(), world.dina.clone());
    let to_second = vec![Parent { chain: second, authority: ParentAuthority::Full }];
    let moves = assign(vec![(second, Role::Manager)], vec![first], Some(to_second.clone()));
    // Whoever holds a case as Manager alone does not shut his team out.
    world.append(&bashir.key, &case, grant(world.chipo.user, Role::Manager)).unwrap();
    let chipo = world.chipo.clone();
    let own = vec![Parent { chain: chipo.user, authority: ParentAuthority::Full }];
    let shut_out = assign(vec![], vec![first], Some(own));
    let refused = lacking(BodyCode::ASSIGN, first, Role::Manager, Some(Role::Editor));
    assert_eq!(world.offer(&chipo.key, &case, shut_out.clone(), &[first, chipo.user]), refused);
    assert!(Draft::new(&world.chains, chipo.device(), None).append(&case, shut_out).is_err());
    let nobody = assign(vec![], vec![chipo.user, first], None);
    let Body::Assign(mut sorted) = nobody else { unreachable!() };
    sorted.takes.sort();
    let refused = Err(OpRefusal::NobodyLeft { document: case });
    assert_eq!(world.offer(&bashir.key, &case, Body::Assign(sorted), &[first, bashir.user]), refused);
    let nothing = Err(OpRefusal::NothingEnds { subject: second });
    assert_eq!(world.offer(&bashir.key, &case, assign(vec![], vec![second], None), &[first, bashir.user]), nothing);
    let none = Err(OpRefusal::Shape { kind: ChainKind::Document, part: Part::Parents });
    assert_eq!(world.offer(&bashir.key, &case, assign(vec![], vec![], Some(vec![])), &[first, bashir.user]), none);
    let wrong = OpRefusal::WrongKind { subject: case, found: ChainKind::Document, kind: ChainKind::Document };
    let to_itself = assign(vec![], vec![], Some(vec![Parent { chain: case, authority: ParentAuthority::None }]));
    assert_eq!(world.offer(&bashir.key, &case, to_itself, &[first, bashir.user]), Err(wrong));

    let removed = removed_devices(&world.chains, &case, &moves);
    let expected = [&amina, &bashir, &chipo].map(|person| person.device()).into_iter().collect();
    assert_eq!(removed, expected, "the team's, and those who had authority by it");
    world.append(&bashir.key, &case, moves).unwrap();
    let role_of = |person: &Person| membership(&world.chains, &person.device(), &case, &NEWEST);
    assert_eq!([&bashir, &dina].map(role_of), [None, Some(Role::Editor)]);
    let over = |person: &Person, at: &Heads| authority(&world.chains, &person.device(), &case, at);
    assert_eq!([&amina, &bashir].map(|person| over(person, &NEWEST)), [Some(Role::Manager), None]);
    let before = Heads::at_seqs([(case, 1), (first, 0), (bashir.user, 0)]);
    assert_eq!(over(&bashir, &before), Some(Role::Manager));
    let state = world.state(&case);
    assert_eq!(state.parents().collect::<Vec<_>>(), to_second.iter().collect::<Vec<_>>());
    assert_eq!(state.all_parents().len(), 2);
    assert_eq!(state.removals().len(), 1);
}

#[test]
fn a_withdrawn_invite_is_not_taken_up() {
    let mut world = World::found();
    let (team, bashir, dina) = (world.first_team, world.bashir.clone(), world.dina.clone());
    let body = Invite { key: key(50).device_id(), role: Role::Editor, expires: Timestamp(START.0 + 1) };
    let invite = op_id(world.append(&bashir.key, &team, Body::Invite(body)).unwrap().value());
    let cancel = Body::CancelInvite(CancelInvite { invite });
    let refused = lacking(BodyCode::CANCEL_INVITE, team, Role::Manager, Some(Role::Editor));
    assert_eq!(world.offer(&world.chipo.key, &team, cancel.clone(), &[world.chipo.user]), refused);
    world.append(&bashir.key, &team, cancel.clone()).unwrap();
    assert_eq!(world.state(&team).invites()[0].end, Some(InviteEnd::Cancelled { seq: 2 }));
    let cancelled = Err(OpRefusal::InviteCancelled { invite });
    let accept = Accept::with_key(invite, dina.user, dina.device(), &key(50));
    assert_eq!(world.offer(&dina.key, &team, Body::Accept(accept), &[dina.user]), cancelled);
    assert_eq!(world.offer(&bashir.key, &team, cancel, &[bashir.user]), cancelled);
}

#[test]
fn a_removal_names_no_more_leaves_than_are_allowed() {
    let world = World::found();
    let frontier = Frontier { count: 262_145, ..frontier() };
    let long = Err(OpRefusal::TooLong { part: Part::Leaves, found: 262_145, max: 262_144 });
    let subject = world.chipo.user;
    let bodies = [
        Body::Revoke(Revoke { subject, keeps: None, successor: None, frontier }),
        Body::Expire(Expire { subject, frontier }),
        Body::RemoveDevice(vereda_policy::RemoveDevice { device: key(1).device_id(), frontier }),
        Body::Assign(Assign { gives: vec![], takes: vec![], parents: None, sections: vec![], frontier }),
    ];
    for body in bodies {
        assert_eq!(world.offer(&world.bashir.key, &world.case, body, &[]), long);
    }
}

#[test]
fn a_chain_has_room_for_as_many_members_as_one_list_of_wraps() {
    let mut world = World::found();
    let (team, bashir) = (world.first_team, world.bashir.clone());
    let user = |world: &mut World, n: u16| {
        let key = DeviceKey::from_seed(&[[201; 30].as_slice(), &n.to_le_bytes()].concat().try_into().unwrap());
        let nonce = [[7; 14].as_slice(), &n.to_le_bytes()].concat().try_into().unwrap();
        begin(&mut world.chains, &key, Create::user(nonce, wrapping_key(), group_epoch()))
    };
    for n in 2..MAX_MEMBERS as u16 {
        let user = user(&mut world, n);
        world.append(&bashir.key, &team, grant(user, Role::Reader)).unwrap();
    }
    let one_more = user(&mut world, 1);
    let full = Err(OpRefusal::TooLong { part: Part::Members, found: MAX_MEMBERS + 1, max: MAX_MEMBERS });
    assert_eq!(world.offer(&bashir.key, &team, grant(one_more, Role::Reader), &[bashir.user]), full);
    world.append(&bashir.key, &team, grant(world.chipo.user, Role::Manager)).unwrap();
    let bad = BadRotate { epoch: 0, fault: EpochFault::Wrap };
    world.append(&bashir.key, &team, Body::BadRotate(bad)).unwrap();
    let rotation = world.rotation(&team);
    world.append(&bashir.key, &team, rotation).unwrap();
}

#[test]
fn a_user_has_a_bounded_number_of_devices() {
    let mut world = World::found();
    let chipo = world.chipo.clone();
    let device = |n: usize| {
        DeviceKey::from_seed(&[[200; 30].as_slice(), &(n as u16).to_le_bytes()].concat().try_into().unwrap())
    };
    for n in 1..MAX_DEVICES {
        world.append(&chipo.key, &chipo.user, add(chipo.user, &device(n), DeviceKind::Full)).unwrap();
    }
    let one_more = add(chipo.user, &device(MAX_DEVICES), DeviceKind::Full);
    let full = Err(OpRefusal::TooLong { part: Part::Devices, found: MAX_DEVICES + 1, max: MAX_DEVICES });
    assert_eq!(world.offer(&chipo.key, &chipo.user, one_more, &[]), full);
}

#[test]
fn whom_a_case_is_taken_from_is_found_where_a_team_manages_its_own_agency() {
    let mut world = World::found();
    let (team, agency) = (world.first_team, world.agency);
    let (amina, bashir, chipo) = (world.amina.clone(), world.bashir.clone(), world.chipo.clone());
    world.append(&amina.key, &agency, grant(team, Role::Manager)).unwrap();
    let own = vec![Parent { chain: chipo.user, authority: ParentAuthority::Full }];
    let assign = Assign { gives: vec![], takes: vec![], parents: Some(own), sections: vec![], frontier: frontier() };
    let removed = removed_devices(&world.chains, &world.case, &Body::Assign(assign));
    let expected = [&amina, &bashir].map(Person::device).into_iter().collect();
    assert_eq!(removed, expected, "Managers of the team, and of the agency by it; no Editor of the team");
}
