//! Roles for a time: nobody makes his own last longer, nor gives others what does.

use vereda_base::{ChainId, Timestamp};
use vereda_policy::{
    Assign, Body, DocumentKind, Grant, Invite, Member, Moment, OpRefusal, Parent, ParentAuthority, Revoke, Role, Term,
};

use crate::world::{Person, START, World, begin, document_epoch, frontier, grant, key, member};

const END: Timestamp = Timestamp(START.0 + 100);

fn grant_until(subject: ChainId, role: Role, expires: Timestamp) -> Body {
    Body::Grant(Grant { subject, role, expires: Some(expires), sealed_purpose: None })
}

fn assign(gives: Vec<Member>, parents: Option<Vec<Parent>>) -> Body {
    Body::Assign(Assign { gives, takes: Vec::new(), parents, sections: Vec::new(), frontier: frontier() })
}

fn invite() -> Body {
    Body::Invite(Invite { key: key(50).device_id(), role: Role::Reader, expires: END })
}

/// Offers to a relay what a person drafts himself.
fn offer(world: &World, by: &Person, chain: &ChainId, body: Body) -> Result<(), OpRefusal> {
    let op = world.draft(&by.key, chain, body);
    vereda_policy::authorize(&world.chains, &op, &vereda_policy::AppendContext::relay(START)).map(|_| ())
}

fn outlasts(chain: ChainId, given: Term) -> Result<(), OpRefusal> {
    Err(OpRefusal::Outlasts { chain, given, until: Some(END), moment: Moment::Cited })
}

#[test]
fn whoever_is_manager_for_a_time_gives_himself_and_others_no_role_that_lasts_longer() {
    let mut world = World::found();
    let (case, bashir, dina) = (world.case, world.bashir.clone(), world.dina.clone());
    world.append(&bashir.key, &case, grant_until(dina.user, Role::Manager, END)).unwrap();
    for role in [Role::Reader, Role::Manager] {
        assert_eq!(offer(&world, &dina, &case, grant(dina.user, role)), outlasts(case, Term::Lasting));
        let later = Timestamp(END.0 + 1);
        let longer = grant_until(dina.user, role, later);
        assert_eq!(offer(&world, &dina, &case, longer), outlasts(case, Term::Until(later)));
        assert_eq!(offer(&world, &dina, &case, grant_until(dina.user, role, END)), Ok(()));
        let given = assign(vec![member(dina.user, role)], None);
        assert_eq!(offer(&world, &dina, &case, given), outlasts(case, Term::Lasting));
    }
    // A device judges the same, by the heads that are cited.
    let op = world.draft(&dina.key, &case, grant(dina.user, Role::Manager));
    assert!(vereda_policy::authorize(&world.chains, &op, &vereda_policy::AppendContext::relay(START)).is_err());
    // What takes a role only, he may.
    let lowered = Revoke { subject: dina.user, keeps: Some(Role::Reader), successor: None, frontier: frontier() };
    world.append(&dina.key, &case, Body::Revoke(lowered)).unwrap();
    let held =
        world.state(&case).members().iter().find(|held| held.subject == dina.user && held.until_seq.is_none()).copied();
    assert_eq!(held.unwrap().expires, Some(END));
}

#[test]
fn the_most_lasting_of_a_givers_roles_counts() {
    let mut world = World::found();
    let (case, bashir, amina) = (world.case, world.bashir.clone(), world.amina.clone());
    // Bashir is Manager of the case for a time by himself, and without end by his team.
    world.append(&amina.key, &case, grant_until(bashir.user, Role::Manager, END)).unwrap();
    world.append(&bashir.key, &case, grant(bashir.user, Role::Reader)).unwrap();
    let forced = world.offer(&bashir.key, &case, grant(bashir.user, Role::Editor), &[bashir.user]);
    assert_eq!(forced, outlasts(case, Term::Lasting), "by what he cites he is Manager for a time");
    // Of a higher role for a time and a lower one without end only what suffices counts.
    world.append(&bashir.key, &case, grant(world.chipo.user, Role::Editor)).unwrap();
    let (chipo, end) = (world.chipo.clone(), END);
    world.append(&bashir.key, &case, grant_until(chipo.user, Role::Manager, end)).unwrap();
    assert_eq!(offer(&world, &chipo, &case, grant(chipo.user, Role::Manager)), outlasts(case, Term::Lasting));
}

#[test]
fn a_manager_of_a_group_for_a_time_lets_nobody_in_for_longer() {
    let mut world = World::found();
    let (team, agency, case) = (world.first_team, world.agency, world.case);
    let (amina, dina) = (world.amina.clone(), world.dina.clone());
    for group in [team, agency] {
        world.append(&amina.key, &group, grant_until(dina.user, Role::Manager, END)).unwrap();
        assert_eq!(offer(&world, &dina, &group, invite()), outlasts(group, Term::Lasting));
        assert_eq!(offer(&world, &dina, &group, grant(dina.user, Role::Reader)), outlasts(group, Term::Lasting));
        assert_eq!(offer(&world, &dina, &group, grant_until(dina.user, Role::Manager, END)), Ok(()));
    }
    // Nor into what the group governs, and he gives it no parent.
    assert_eq!(offer(&world, &dina, &case, grant(dina.user, Role::Reader)), outlasts(case, Term::Lasting));
    assert_eq!(offer(&world, &dina, &case, invite()), outlasts(case, Term::Lasting));
    let full = |chain| Parent { chain, authority: ParentAuthority::Full };
    let mut parents = vec![full(team), full(dina.user)];
    parents.sort();
    assert_eq!(offer(&world, &dina, &case, assign(vec![], Some(parents))), outlasts(case, Term::Lasting));
    assert_eq!(offer(&world, &dina, &case, assign(vec![], Some(vec![full(team)]))), Ok(()), "which gives nothing");
    let revoked =
        |successor| Body::Revoke(Revoke { subject: amina.user, keeps: None, successor, frontier: frontier() });
    assert_eq!(offer(&world, &dina, &agency, revoked(Some(dina.user))), outlasts(agency, Term::Lasting));
    assert_eq!(offer(&world, &dina, &agency, revoked(None)), Err(OpRefusal::LastManager { agency }));
}

#[test]
fn an_invite_is_not_taken_up_where_whoever_made_it_is_manager_for_a_time_by_then() {
    let mut world = World::found();
    let (team, amina, dina) = (world.first_team, world.amina.clone(), world.dina.clone());
    world.append(&amina.key, &team, grant(dina.user, Role::Manager)).unwrap();
    let made = world.append(&dina.key, &team, invite()).unwrap();
    let ends = Revoke { subject: dina.user, keeps: None, successor: None, frontier: frontier() };
    world.append(&amina.key, &team, grant_until(dina.user, Role::Manager, END)).unwrap();
    let eva = crate::world::join(&mut world.chains, 60);
    let id = vereda_policy::op_id(made.value());
    let accept = || Body::Accept(vereda_policy::Accept::with_key(id, eva.user, eva.device(), &key(50)));
    assert_eq!(offer(&world, &eva, &team, accept()), Ok(()));
    world.append(&amina.key, &team, Body::Revoke(ends)).unwrap();
    world.append(&amina.key, &team, grant_until(dina.user, Role::Manager, END)).unwrap();
    assert_eq!(offer(&world, &eva, &team, accept()), Err(OpRefusal::InviterGone { invite: id }));
}

#[test]
fn whoever_belongs_to_a_team_for_a_time_begins_documents_all_the_same() {
    let mut world = World::found();
    let (team, amina, dina) = (world.first_team, world.amina.clone(), world.dina.clone());
    world.append(&amina.key, &team, grant_until(dina.user, Role::Editor, END)).unwrap();
    let parents = vec![Parent { chain: team, authority: ParentAuthority::Full }];
    let create = vereda_policy::Create::document(
        DocumentKind::Case,
        [8; 16],
        parents,
        vec![member(team, Role::Manager)],
        document_epoch(),
    );
    let case = begin(&mut world.chains, &dina.key, create);
    assert!(world.chains.iter().any(|state| state.id() == case));
}
