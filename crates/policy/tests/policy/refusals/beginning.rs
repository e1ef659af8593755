//! What a device does not begin.

use super::*;

#[test]
fn a_device_begins_nothing_that_names_a_chain_unknown_to_it() {
    let world = World::found();
    let (by, unknown) = (&world.chipo.key, ChainId([1; 32]));
    let body = Create { nonce: ByteArray::from([1; 16]), ..case_of(world.first_team) };
    let good = create(&world, by, body);
    let named = |subject| {
        let mut body = case_of(world.first_team);
        body.members = vec![member(subject, Role::Reader)];
        with_body(good.clone(), Body::Create(body))
    };
    let beginning = AppendContext::beginning();
    check_in(&world.chains, by, named(unknown), &beginning, OpRefusal::UnknownSubject { subject: unknown });
    let refusal = OpRefusal::WrongKind { subject: world.case, found: ChainKind::Document, kind: ChainKind::Document };
    check_in(&world.chains, by, named(world.case), &beginning, refusal);
    assert!(authorize(&world.chains, &Verified::sign(by, good).unwrap(), &beginning).is_ok());
}
