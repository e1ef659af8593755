//! What is decided on in the chains, and what else a Manager states there.

use vereda_base::{ChainId, Digest, Link, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{
    Adopt, AdoptedDocument, Beacon, Body, BodyCode, ChainKind, Chains, Cite, Create, Decision, Discard, DocumentKind,
    Moment, OpRefusal, Parent, ParentAuthority, Part, Retention, Role, SetRetention, admitted_holders, adopt_content,
    authorize_content, cite_content, op_id, owners,
};

use crate::{
    journeys::Header,
    world::{Person, START, World, begin, document_epoch, grant, member},
};

const CHUNK: Link = Link([1; 32]);
const OTHER: Link = Link([2; 32]);

fn adopt(chunks: Vec<Link>, documents: Vec<AdoptedDocument>) -> Body {
    Body::Adopt(Adopt { chunks, documents })
}

fn discard(chunks: Vec<Link>, documents: Vec<ChainId>) -> Body {
    Body::Discard(Discard { chunks, documents, sealed_reason: vec![7; 40] })
}

fn adopted(document: ChainId, holder: ChainId) -> AdoptedDocument {
    AdoptedDocument { document, holders: vec![member(holder, Role::Manager)], chunks: vec![] }
}

#[test]
fn chunks_are_decided_on_by_managers_over_content() {
    let world = World::found();
    let (case, team) = (world.case, world.first_team);
    let cited = |person: &Person| vec![team, world.agency, person.user];
    let rows = [
        ("Manager", &world.bashir, None),
        ("Editor", &world.chipo, Some(Some(Role::Editor))),
        ("Manager from above, who reads nothing", &world.amina, Some(None)),
        ("outsider", &world.dina, Some(None)),
    ];
    for (name, by, refused) in rows {
        for body in [adopt(vec![CHUNK], vec![]), discard(vec![CHUNK], vec![])] {
            let (code, least, moment) = (body.code(), Role::Manager, Moment::Cited);
            let expected = match refused {
                Some(found) => Err(OpRefusal::NoAuthority { body: code, chain: case, least, found, moment }),
                None => Ok(()),
            };
            assert_eq!(world.offer(&by.key, &case, body, &cited(by)), expected, "{name}");
        }
    }
}

#[test]
fn a_decision_stands_and_is_not_taken_twice() {
    let mut world = World::found();
    let (case, bashir) = (world.case, world.bashir.clone());
    world.append(&bashir.key, &case, adopt(vec![CHUNK], vec![])).unwrap();
    world.append(&bashir.key, &case, discard(vec![OTHER], vec![])).unwrap();
    let state = world.state(&case);
    assert_eq!(state.decided(&CHUNK), Some(Decision::Adopted { seq: 1 }));
    assert_eq!(state.decided(&OTHER), Some(Decision::Discarded { seq: 2 }));
    assert_eq!((state.is_adopted(&CHUNK), state.is_adopted(&OTHER)), (true, false));
    assert_eq!(state.all_decided().count(), 2);
    let cited = [world.first_team, bashir.user];
    for link in [CHUNK, OTHER] {
        for body in [adopt(vec![link], vec![]), discard(vec![link], vec![])] {
            let decided = Err(OpRefusal::Decided { of: Digest(link.0) });
            assert_eq!(world.offer(&bashir.key, &case, body, &cited), decided);
        }
    }
    let header = Header { document: case, device: world.dina.device(), epoch: 0, cites: vec![] };
    let header = Verified::sign(&world.dina.key, header).unwrap();
    assert!(adopt_content(&world.chains, &header, &CHUNK).is_ok());
    assert!(adopt_content(&world.chains, &header, &OTHER).is_err());
}

#[test]
fn chunks_are_named_in_their_documents_chain_and_documents_in_their_owners() {
    let world = World::found();
    let (case, team, bashir) = (world.case, world.first_team, &world.bashir);
    let document = ChainId([5; 32]);
    let of_document = || adopted(document, team);
    let shape = |kind, part| Err(OpRefusal::Shape { kind, part });
    let (in_document, in_team) = (shape(ChainKind::Document, Part::Chunks), shape(ChainKind::Team, Part::Documents));
    let unsorted = |part| Err(OpRefusal::NotSorted { part });
    let nobody = AdoptedDocument { document, holders: vec![], chunks: vec![] };
    let twice = AdoptedDocument {
        document,
        holders: vec![member(team, Role::Reader), member(team, Role::Editor)],
        chunks: vec![],
    };
    let unknown = adopted(document, ChainId([9; 32]));
    let long = OpRefusal::TooLong { part: Part::Reason, found: 2_049, max: 2_048 };
    let long_reason = Body::Discard(Discard { chunks: vec![CHUNK], documents: vec![], sealed_reason: vec![0; 2_049] });
    let rows = [
        (case, adopt(vec![], vec![]), in_document.clone()),
        (case, adopt(vec![CHUNK], vec![of_document()]), in_document.clone()),
        (case, discard(vec![], vec![document]), in_document),
        (team, adopt(vec![], vec![]), in_team.clone()),
        (team, adopt(vec![CHUNK], vec![]), in_team.clone()),
        (team, discard(vec![CHUNK], vec![document]), in_team),
        (case, adopt(vec![OTHER, CHUNK], vec![]), unsorted(Part::Chunks)),
        (case, discard(vec![CHUNK, CHUNK], vec![]), unsorted(Part::Chunks)),
        (team, adopt(vec![], vec![of_document(), of_document()]), unsorted(Part::Documents)),
        (team, adopt(vec![], vec![twice]), unsorted(Part::Members)),
        (team, adopt(vec![], vec![nobody]), Err(OpRefusal::NobodyLeft { document })),
        (team, adopt(vec![], vec![unknown]), Err(OpRefusal::UnknownSubject { subject: ChainId([9; 32]) })),
        (case, long_reason, Err(long)),
        (team, adopt(vec![], vec![of_document()]), Ok(())),
        (team, discard(vec![], vec![document]), Ok(())),
    ];
    for (chain, body, expected) in rows {
        let cited: Vec<ChainId> = [team, bashir.user].into_iter().filter(|cited| *cited != chain).collect();
        assert_eq!(world.offer(&bashir.key, &chain, body.clone(), &cited), expected, "{body:?}");
    }
}

#[test]
fn a_document_is_taken_in_by_its_owner_only() {
    let mut world = World::found();
    let (bashir, chipo, team) = (world.bashir.clone(), world.chipo.clone(), world.first_team);
    let with = |authority| vec![Parent { chain: team, authority }];
    let members = vec![member(chipo.user, Role::Editor)];
    let create = |world: &World, authority, nonce: u8| {
        let kind = vereda_policy::DocumentKind::Case;
        let body = Create::document(kind, [nonce; 16], with(authority), members.clone(), document_epoch());
        let draft = vereda_policy::Draft::new(&world.chains, chipo.device(), None);
        draft.sign_create(&chipo.key, crate::world::wrapped(body)).unwrap()
    };
    let full = create(&world, ParentAuthority::Full, 1);
    let section = create(&world, ParentAuthority::RevokeOnly, 2);
    for op in [&full, &section] {
        let Body::Create(create) = &op.value().body else { unreachable!() };
        assert_eq!(owners(&world.chains, create), [team]);
    }
    world.append(&bashir.key, &team, crate::world::revoke(chipo.user, None)).unwrap();
    let relay = vereda_policy::AppendContext::relay(START);
    let ids = [&full, &section].map(|op| ChainId(op_id(op.value()).0));
    // The agency is no parent of it.
    let amina = world.amina.clone();
    world.append(&amina.key, &world.agency.clone(), adopt(vec![], vec![adopted(ids[0], team)])).unwrap();
    assert!(vereda_policy::authorize(&world.chains, &full, &relay).is_err());
    let mut documents: Vec<_> = ids.iter().map(|id| adopted(*id, bashir.user)).collect();
    let chipo_too = [member(chipo.user, Role::Reader)];
    documents[1].holders.extend(chipo_too);
    documents[1].holders.sort();
    documents.sort();
    world.append(&bashir.key, &team, adopt(vec![], documents)).unwrap();
    let holders = |op| vereda_policy::authorize(&world.chains, op, &relay).unwrap().adopted().unwrap().holders.clone();
    assert_eq!(holders(&full), [member(bashir.user, Role::Manager)]);
    assert_eq!(holders(&section), chipo_too, "who may only revoke lets in nobody else");
    let by_dina =
        Verified::sign(&world.dina.key, vereda_policy::Op { device: world.dina.device(), ..full.into_value() });
    assert!(
        vereda_policy::authorize(&world.chains, &by_dina.unwrap(), &relay).is_err(),
        "another's is another document"
    );
}

#[test]
fn groups_with_a_say_decide_before_users_and_full_authority_before_less() {
    use ParentAuthority::{Full, None, RevokeOnly};
    let world = World::found();
    let (team, agency, chipo, dina) = (world.first_team, world.agency, world.chipo.user, world.dina.user);
    let unknown = ChainId([9; 32]);
    let rows = [
        (vec![(chipo, Full), (team, RevokeOnly)], vec![team]),
        (vec![(chipo, Full), (team, Full)], vec![team]),
        (vec![(chipo, RevokeOnly), (team, Full), (agency, RevokeOnly)], vec![team]),
        (vec![(chipo, Full), (team, RevokeOnly), (agency, RevokeOnly)], vec![team, agency]),
        (vec![(chipo, Full), (team, None)], vec![chipo]),
        (vec![(chipo, Full), (dina, RevokeOnly)], vec![chipo]),
        (vec![(chipo, RevokeOnly), (dina, RevokeOnly)], vec![chipo, dina]),
        (vec![(chipo, Full), (world.case, RevokeOnly)], vec![chipo]),
        (vec![(team, None)], vec![]),
        // Who does not know what a parent is lets nobody decide in its place.
        (vec![(chipo, Full), (unknown, RevokeOnly)], vec![unknown]),
        (vec![(team, RevokeOnly), (unknown, Full)], vec![unknown]),
    ];
    for (parents, mut expected) in rows {
        let create = begun(&parents, &[(chipo, Role::Manager)], 1);
        expected.sort();
        assert_eq!(owners(&world.chains, &create), expected, "{parents:?}");
        let anybody = [member(team, Role::Reader), member(dina, Role::Reader)];
        assert_eq!(admitted_holders(&world.chains, &create, &unknown, &anybody), []);
    }
}

#[test]
fn nobody_takes_his_own_late_document_in_past_a_group_that_he_was_put_out_of() {
    use ParentAuthority::{Full, RevokeOnly};
    let mut world = World::found();
    let (bashir, chipo, team) = (world.bashir.clone(), world.chipo.clone(), world.first_team);
    let members = [(chipo.user, Role::Manager), (team, Role::Editor)];
    let draft = |world: &World, create| {
        let draft = vereda_policy::Draft::new(&world.chains, chipo.device(), None);
        draft.sign_create(&chipo.key, crate::world::wrapped(create)).unwrap()
    };
    let late = [(Full, RevokeOnly, 1), (Full, Full, 2), (RevokeOnly, RevokeOnly, 3)]
        .map(|(own, of_team, nonce)| draft(&world, begun(&[(chipo.user, own), (team, of_team)], &members, nonce)));
    world.append(&bashir.key, &team, crate::world::revoke(chipo.user, None)).unwrap();
    let mut holders: Vec<_> = members.iter().map(|(subject, role)| member(*subject, *role)).collect();
    holders.sort();
    let mut documents: Vec<_> = late
        .iter()
        .map(|op| AdoptedDocument { document: ChainId(op_id(op.value()).0), holders: holders.clone(), chunks: vec![] })
        .collect();
    documents.sort();
    world.append(&chipo.key, &chipo.user, adopt(vec![], documents.clone())).unwrap();
    let relay = vereda_policy::AppendContext::relay(START);
    let device = vereda_policy::AppendContext::unreceipted();
    for op in &late {
        assert!(vereda_policy::authorize(&world.chains, op, &relay).is_err());
        let taken = vereda_policy::authorize(&world.chains, op, &device).unwrap();
        assert_eq!(taken.adopted(), None);
        let relied = vereda_policy::op_reliance(&world.chains, op, &device).unwrap();
        assert!(relied.iter().any(|relied| relied.chain == team), "the team's removal must name it");
    }
    // The team's Manager may; and whoever is not named gets in only where the team has full authority.
    for adopted in &mut documents {
        adopted.holders = vec![member(team, Role::Editor), member(bashir.user, Role::Manager)];
        adopted.holders.sort();
    }
    world.append(&bashir.key, &team, adopt(vec![], documents.clone())).unwrap();
    let whole = documents[0].holders.clone();
    let named = vec![member(team, Role::Editor)];
    for (op, expected) in late.iter().zip([&named, &whole, &named]) {
        let taken = vereda_policy::authorize(&world.chains, op, &relay).unwrap();
        assert_eq!(&taken.adopted().unwrap().holders, expected);
    }
}

#[test]
fn a_user_lets_nobody_but_himself_into_what_his_removed_device_began() {
    use ParentAuthority::{Full, RevokeOnly};
    let mut world = World::found();
    let (chipo, bashir) = (world.chipo.clone(), world.bashir.clone());
    let second = crate::world::key(77);
    let kind = vereda_policy::DeviceKind::Full;
    let added = vereda_policy::AddDevice::with_key(chipo.user, &second, crate::world::wrapping_key(), kind);
    world.append(&chipo.key, &chipo.user, Body::AddDevice(added)).unwrap();
    let late = [(Full, 1), (RevokeOnly, 2)].map(|(authority, nonce)| {
        let create = begun(&[(chipo.user, authority)], &[(chipo.user, Role::Editor)], nonce);
        let draft = vereda_policy::Draft::new(&world.chains, second.device_id(), None);
        draft.sign_create(&second, crate::world::wrapped(create)).unwrap()
    });
    world.append(&chipo.key, &chipo.user, crate::world::remove(second.device_id())).unwrap();
    let adopted = |op: &Verified<vereda_policy::Op>, role| {
        let mut holders = vec![member(chipo.user, role), member(bashir.user, Role::Reader)];
        holders.sort();
        AdoptedDocument { document: ChainId(op_id(op.value()).0), holders, chunks: vec![] }
    };
    let mut documents = vec![adopted(&late[0], Role::Manager), adopted(&late[1], Role::Editor)];
    documents.sort();
    world.append(&chipo.key, &chipo.user, adopt(vec![], documents)).unwrap();
    for (op, role) in late.iter().zip([Role::Manager, Role::Editor]) {
        let relay = vereda_policy::AppendContext::relay(START);
        let taken = vereda_policy::authorize(&world.chains, op, &relay).unwrap();
        assert_eq!(taken.adopted().unwrap().holders, [member(chipo.user, role)]);
    }
    let Body::Create(create) = &late[1].value().body else { unreachable!() };
    let above = [member(chipo.user, Role::Manager)];
    assert_eq!(admitted_holders(&world.chains, create, &chipo.user, &above), [], "no higher than he was named");
}

/// A case that a person begins under these parents for these members.
fn begun(parents: &[(ChainId, ParentAuthority)], members: &[(ChainId, Role)], nonce: u8) -> Create {
    let mut parents: Vec<_> =
        parents.iter().map(|(chain, authority)| Parent { chain: *chain, authority: *authority }).collect();
    let mut members: Vec<_> = members.iter().map(|(subject, role)| member(*subject, *role)).collect();
    parents.sort();
    members.sort();
    Create::document(vereda_policy::DocumentKind::Case, [nonce; 16], parents, members, document_epoch())
}

#[test]
fn an_agencys_managers_state_what_they_know_and_how_long_things_are_kept() {
    let mut world = World::found();
    let (agency, amina, dina) = (world.agency, world.amina.clone(), world.dina.clone());
    world.append(&amina.key, &agency, grant(dina.user, Role::Editor)).unwrap();
    let head = world.state(&world.first_team).head();
    let heads = vec![Cite { chain: world.first_team, head }];
    let beacon = |seconds, heads: &[Cite]| Body::Beacon(Beacon { time: Timestamp(seconds), heads: heads.to_vec() });
    let keep = |days| Body::SetRetention(SetRetention { what: Retention::Review, days });
    for body in [beacon(5, &heads), keep(30)] {
        let (code, least, found, moment) = (body.code(), Role::Manager, Some(Role::Editor), Moment::Cited);
        let refused = Err(OpRefusal::NoAuthority { body: code, chain: agency, least, found, moment });
        assert_eq!(world.offer(&dina.key, &agency, body.clone(), &[dina.user]), refused);
        let not_here = Err(OpRefusal::NotHere { body: code, kind: ChainKind::Team });
        assert_eq!(world.offer(&amina.key, &world.first_team, body, &[amina.user, agency]), not_here);
    }
    let days = Err(OpRefusal::Shape { kind: ChainKind::Agency, part: Part::Days });
    for wrong in [0, 3_651] {
        assert_eq!(world.offer(&amina.key, &agency, keep(wrong), &[amina.user]), days);
    }
    let twice = [heads[0], heads[0]];
    let unsorted = Err(OpRefusal::NotSorted { part: Part::Heads });
    assert_eq!(world.offer(&amina.key, &agency, beacon(5, &twice), &[amina.user]), unsorted);
    assert_eq!(world.state(&agency).retention(Retention::Review), None);
    for body in [beacon(5, &heads), beacon(9, &[]), keep(30), keep(3_650)] {
        world.append(&amina.key, &agency, body).unwrap();
    }
    let state = world.state(&agency);
    let stated: Vec<_> = state.beacons().iter().map(|beacon| (beacon.device, beacon.seq, beacon.time)).collect();
    assert_eq!(stated, [(amina.device(), 3, Timestamp(9))]);
    assert_eq!(state.retention(Retention::Review), Some(3_650));
    assert_eq!(state.retention(Retention::Beacon), None);
}

#[test]
fn nothing_follows_an_erasure_and_nothing_is_written_any_more() {
    let mut world = World::found();
    let (case, bashir, chipo) = (world.case, world.bashir.clone(), world.chipo.clone());
    let cites = cite_content(&world.chains, &chipo.device(), &case, Role::Editor, None).unwrap();
    let header = Header { document: case, device: chipo.device(), epoch: 0, cites };
    let header = Verified::sign(&chipo.key, header).unwrap();
    assert!(authorize_content(&world.chains, &header, Some(START)).is_ok());
    let (body, least, found, moment) = (BodyCode::ERASE, Role::Manager, Some(Role::Editor), Moment::Cited);
    let refused = Err(OpRefusal::NoAuthority { body, chain: case, least, found, moment });
    assert_eq!(world.offer(&chipo.key, &case, Body::Erase, &[world.first_team, chipo.user]), refused);
    world.append(&bashir.key, &case, Body::Erase).unwrap();
    assert!(world.state(&case).is_erased());
    let erased = Err(OpRefusal::Erased { document: case });
    for body in [grant(world.dina.user, Role::Reader), Body::Erase, world.rotation(&case)] {
        assert_eq!(world.offer(&bashir.key, &case, body, &[world.first_team, bashir.user]), erased);
    }
    for now in [None, Some(START)] {
        let refused = authorize_content(&world.chains, &header, now).unwrap_err();
        assert_eq!(refused, vereda_policy::ContentRefusal::Erased { document: case });
    }
    assert!(world.chains.chain(&case).is_some());
}

#[test]
fn a_section_is_erased_by_those_who_may_end_roles_in_it_and_a_case_by_its_managers_only() {
    let mut world = World::found();
    let (agency, team) = (world.agency, world.first_team);
    let (amina, bashir, chipo, dina) =
        (world.amina.clone(), world.bashir.clone(), world.chipo.clone(), world.dina.clone());
    let parents = vec![Parent { chain: team, authority: ParentAuthority::RevokeOnly }];
    let begun = |kind, nonce| {
        let members = vec![member(chipo.user, Role::Editor)];
        Create::document(kind, [nonce; 16], parents.clone(), members, document_epoch())
    };
    let section = begin(&mut world.chains, &chipo.key, begun(DocumentKind::Section, 3));
    let other = begin(&mut world.chains, &chipo.key, begun(DocumentKind::Section, 4));
    let foreign = begin(&mut world.chains, &chipo.key, begun(DocumentKind::Case, 5));
    let erases =
        |world: &World, by: &Person, document, cited: &[ChainId]| world.offer(&by.key, &document, Body::Erase, cited);
    let case = world.case;
    // An Editor who began it erases nothing; nor does a case that a team may only revoke in fall to the team's Manager.
    assert!(erases(&world, &chipo, section, &[chipo.user, team]).is_err());
    assert!(erases(&world, &dina, section, &[dina.user, world.second_team]).is_err());
    assert!(erases(&world, &bashir, foreign, &[bashir.user, team]).is_err());
    assert_eq!(erases(&world, &bashir, section, &[bashir.user, team]), Ok(()));
    assert_eq!(erases(&world, &amina, other, &[amina.user, agency, team]), Ok(()));
    // As drafted: the path through the parent is found.
    world.append(&bashir.key, &section, Body::Erase).unwrap();
    assert!(world.state(&section).is_erased());
    assert!(world.chains.chain(&case).is_some_and(|case| !case.is_erased()));
    // Who is Manager of a section only has no say in the case.
    let parents = vec![Parent { chain: team, authority: ParentAuthority::RevokeOnly }];
    let members = vec![member(bashir.user, Role::Manager), member(dina.user, Role::Manager)];
    let shared = Create::document(DocumentKind::Section, [6; 16], parents, members, document_epoch());
    let shared = begin(&mut world.chains, &bashir.key, shared);
    assert_eq!(erases(&world, &dina, shared, &[dina.user]), Ok(()));
    assert!(erases(&world, &dina, case, &[dina.user, shared]).is_err());
    assert_eq!(erases(&world, &bashir, case, &[bashir.user, team]), Ok(()));
}
