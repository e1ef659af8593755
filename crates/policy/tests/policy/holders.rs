//! Before whom a document may be put.

use vereda_base::ChainId;
use vereda_crypto::Verified;
use vereda_policy::{
    AppendContext, Body, Create, Draft, Moment, Op, OpRefusal, Parent, ParentAuthority, Role, authorize,
};

use crate::world::{Person, START, World, case_of, grant, member, wrapped};

const RELAY: AppendContext = AppendContext::relay(START);

#[test]
fn nobody_puts_a_document_before_a_team_or_person_that_he_has_no_say_for() {
    let mut world = World::found();
    let full = |chain| Parent { chain, authority: ParentAuthority::Full };
    let (own, first, second) = (full(world.chipo.user), full(world.first_team), world.second_team);
    let unasked = Parent { chain: second, authority: ParentAuthority::None };
    let create = |author: &Person, body: Create| Draft::new(&world.chains, author.device(), None).create(wrapped(body));
    let refused = |author: &Person, parents: &[Parent], subject: ChainId| {
        let mut body = Create { parents: parents.to_vec(), ..case_of(world.first_team) };
        body.parents.sort();
        // Drafted for himself, as he would not be let to draft the rest.
        body.members = vec![member(author.user, Role::Editor)];
        let op = create(author, body.clone()).unwrap();
        body.members = vec![member(subject, Role::Editor)];
        assert!(create(author, body.clone()).is_err());
        let refusal = OpRefusal::NotCovered { subject, moment: Moment::Cited };
        // A device decides as the relay does, whatever the relay gave a receipt for.
        let op = Verified::sign(&author.key, Op { body: Body::Create(wrapped(body)), ..op }).unwrap();
        for context in [RELAY, AppendContext::unreceipted()] {
            assert_eq!(authorize(&world.chains, &op, &context), Err(refusal.clone()));
        }
    };
    for parents in [&[own][..], &[first], &[own, first], &[first, unasked], &[own, unasked]] {
        refused(&world.chipo, parents, second);
        refused(&world.chipo, parents, world.dina.user);
    }
    refused(&world.bashir, &[full(world.bashir.user)], second);
    refused(&world.amina, &[full(world.amina.user)], second);

    let taken = |author: &Person, parents: Vec<Parent>, subject: ChainId| {
        let members = vec![member(subject, Role::Editor)];
        let op = create(author, Create { parents, members, ..case_of(world.first_team) }).unwrap();
        authorize(&world.chains, &Verified::sign(&author.key, op).unwrap(), &RELAY).unwrap();
    };
    taken(&world.chipo, vec![own], world.chipo.user);
    taken(&world.chipo, vec![first], world.first_team);
    taken(&world.bashir, vec![first], second);
    taken(&world.bashir, vec![first], world.dina.user);

    // Who was made Manager of a document by its team lets in nobody but the team and himself.
    let (case, bashir) = (world.case, world.bashir.key.clone());
    world.append(&bashir, &case, grant(world.chipo.user, Role::Manager)).unwrap();
    let by_chipo =
        |subject| Draft::new(&world.chains, world.chipo.device(), None).append(&case, grant(subject, Role::Reader));
    let op = by_chipo(world.first_team).unwrap();
    authorize(&world.chains, &Verified::sign(&world.chipo.key, op.clone()).unwrap(), &RELAY).unwrap();
    assert!(by_chipo(second).is_err());
    let refusal = OpRefusal::NotCovered { subject: second, moment: Moment::Cited };
    let op = Op { body: grant(second, Role::Reader), ..op };
    assert_eq!(authorize(&world.chains, &Verified::sign(&world.chipo.key, op).unwrap(), &RELAY), Err(refusal));
}
