//! Removals: back-dated work, frontiers that lie, operations that cite what has ended.

use vereda_adversary::{Colluder, Stage, Victim, forge, line::header_of};
use vereda_base::Digest;
use vereda_crypto::DeviceKey;
use vereda_policy::{
    AddDevice, AppendContext, Assign, BadRotate, Body, DeviceKind, EpochFault, Leaf, Member, Parent, ParentAuthority,
    Place, RemoveDevice, Revoke, Role,
};
use vereda_protocol::{Chunk, Down, OfferedLeaf, OpOutcome};
use vereda_sync::{
    device::{Disconnect, Event},
    people::{NOW, Person, Put, link_of},
};

use super::frontiers::{leaf_of, place_of};

/// Amina ends Bashir's role in the team, or lowers it; the frontier names these leaves.
pub fn revoke(stage: &Stage, keeps: Option<Role>, leaves: &[Leaf]) -> Put {
    let cites = forge::cites(&stage.amina, &[stage.amina.user()]);
    let frontier = forge::frontier(leaves);
    let revoke = Revoke { subject: stage.bashir.user(), keeps, successor: None, frontier };
    forge::op(&stage.amina, stage.team, cites, Body::Revoke(revoke))
}

/// Bashir's first two chunks in the case, made before anything ended.
pub fn two_chunks(stage: &mut Stage) -> [Chunk; 2] {
    let first = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let second = stage.bashir.chunk(stage.case, 1, Some(link_of(&first)), &[link_of(&first)], 300);
    [first, second]
}

/// Serves a removal with its leaves.
fn serve(victim: &mut Victim, stage: &mut Stage, removal: &Put, leaves: &[Leaf]) {
    let entries = [stage.admit(removal), vec![Colluder::leaves(removal, leaves)]].concat();
    victim.policy(entries);
}

#[test]
fn what_is_held_stands_up_to_the_frontier_and_no_further() {
    for stands in [1, 2] {
        let mut stage = Stage::set();
        let chunks = two_chunks(&mut stage);
        let mut victim = Victim::of(&stage);
        victim.content(&[&chunks[0], &chunks[1]]);
        let leaves = [leaf_of(&chunks[stands - 1])];
        let removal = revoke(&stage, None, &leaves);
        serve(&mut victim, &mut stage, &removal, &leaves);
        assert!(victim.obeys(&removal) && victim.has(&chunks[0]));
        assert_eq!(victim.has(&chunks[1]), stands == 2, "a frontier that names {stands}");
    }
}

#[test]
fn back_dated_work_of_a_revoked_member_does_not_stand_though_the_relay_serves_it() {
    let mut stage = Stage::set();
    let chunks = two_chunks(&mut stage);
    let mut unaware = Victim::of(&stage);
    let mut victim = Victim::of(&stage);
    victim.content(&[&chunks[0]]);
    let leaves = [leaf_of(&chunks[0])];
    let removal = revoke(&stage, None, &leaves);
    serve(&mut victim, &mut stage, &removal, &leaves);
    victim.content(&[&chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]));
    assert_eq!(victim.disconnects(), [], "the author is to blame, not what else the relay serves");
    unaware.content(&[&chunks[0], &chunks[1]]);
    assert!(unaware.has(&chunks[1]), "without the removal it stands");
}

#[test]
fn another_incarnation_or_another_case_is_a_place_that_the_frontier_does_not_name() {
    let mut stage = Stage::set();
    let other_case = stage.begin_case();
    let [first, _] = two_chunks(&mut stage);
    let again = forge::rewritten(&stage.bashir, &first, |header| header.incarnation.0 += 1);
    let elsewhere = stage.bashir.chunk(other_case, 0, None, &[], 300);
    let leaves = [leaf_of(&first)];
    let removal = revoke(&stage, None, &leaves);
    let mut unaware = Victim::of(&stage);
    let mut victim = Victim::of(&stage);
    serve(&mut victim, &mut stage, &removal, &leaves);
    victim.content(&[&first, &again, &elsewhere]);
    assert_eq!([&first, &again, &elsewhere].map(|chunk| victim.has(chunk)), [true, false, false]);
    unaware.content(&[&first, &again, &elsewhere]);
    assert!([&first, &again, &elsewhere].iter().all(|chunk| unaware.has(chunk)));
}

#[test]
fn a_member_who_was_made_a_reader_back_dates_nothing() {
    let mut stage = Stage::set();
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    let leaves = [leaf_of(&chunks[0])];
    let removal = revoke(&stage, Some(Role::Reader), &leaves);
    serve(&mut victim, &mut stage, &removal, &leaves);
    victim.content(&[&chunks[0], &chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]));
}

#[test]
fn a_removed_device_back_dates_nothing_and_the_users_other_device_writes_on() {
    let mut stage = Stage::set();
    let mut second = forge::second_device(&stage.bashir, 60);
    let add = forge::add_device(&stage.bashir, &second.key, DeviceKind::Full);
    stage.admit(&add);
    second.chains = stage.relay.chains.clone();
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    let leaves = [leaf_of(&chunks[0])];
    let frontier = forge::frontier(&leaves);
    let removal =
        second.draft(stage.bashir.user(), Body::RemoveDevice(RemoveDevice { device: stage.bashir.device(), frontier }));
    serve(&mut victim, &mut stage, &removal, &leaves);
    victim.content(&[&chunks[0], &chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]));
    second.chains = stage.relay.chains.clone();
    let written = second.chunk(stage.case, 0, None, &[link_of(&chunks[0])], 300);
    victim.content(&[&written]);
    assert!(victim.has(&written));
}

#[test]
fn a_team_that_lost_a_case_back_dates_nothing_there() {
    let mut stage = Stage::set();
    let other = stage.amina.create_team(stage.agency, &[(stage.amina.user(), Role::Manager)]);
    stage.admit(&other);
    let grant = stage.amina.draft(stage.case, forge::grant(stage.chipo.user(), Role::Reader));
    stage.admit(&grant);
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    victim.content(&[&chunks[0]]);
    let leaves = [leaf_of(&chunks[0])];
    let assign = Assign {
        gives: vec![Member { subject: other.chain(), role: Role::Editor }],
        takes: vec![stage.team],
        parents: Some(vec![Parent { chain: other.chain(), authority: ParentAuthority::Full }]),
        sections: Vec::new(),
        frontier: forge::frontier(&leaves),
    };
    let cites = forge::cites(&stage.amina, &[stage.team, other.chain(), stage.agency, stage.amina.user()]);
    let removal = forge::op(&stage.amina, stage.case, cites, Body::Assign(assign));
    serve(&mut victim, &mut stage, &removal, &leaves);
    assert!(victim.obeys(&removal));
    victim.content(&[&chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]));
    let by_the_new = stage.amina.chunk(stage.case, 0, None, &[link_of(&chunks[0])], 300);
    victim.content(&[&by_the_new]);
    assert!(victim.has(&by_the_new));
}

/// Bashir is Manager of the team; what he knows then.
fn promoted(stage: &mut Stage) -> Person {
    let promote = stage.amina.draft(stage.team, forge::grant(stage.bashir.user(), Role::Manager));
    stage.admit(&promote);
    stage.bashir.clone()
}

#[test]
fn an_operation_that_cites_heads_from_before_its_authors_removal_has_no_effect() {
    for is_named in [false, true] {
        let mut stage = Stage::set();
        let before = promoted(&mut stage);
        let grant = before.draft(stage.case, forge::grant(stage.chipo.user(), Role::Manager));
        let place = Place::Ops { chain: stage.case, device: before.device() };
        let leaves = if is_named { vec![Leaf::new(&place, 1, grant.id())] } else { Vec::new() };
        let mut victim = Victim::of(&stage);
        let removal = revoke(&stage, None, &leaves);
        serve(&mut victim, &mut stage, &removal, &leaves);
        victim.policy(stage.relay.forge(&grant));
        assert_eq!(victim.obeys(&grant), is_named);
        assert_eq!(victim.saw(&Event::OpVoid { chain: stage.case, seq: 1 }), !is_named, "it keeps its place");
    }
}

#[test]
fn what_rests_on_an_operation_that_became_void_falls_with_it() {
    for is_named in [false, true] {
        let mut stage = Stage::set();
        let mut friend = Person::new(40);
        let user = friend.create_user();
        stage.admit(&user);
        let before = promoted(&mut stage);
        let grant = before.draft(stage.case, forge::grant(friend.user(), Role::Editor));
        let mut shadow = stage.relay.chains.clone();
        shadow.append(&grant.op, &AppendContext::relay(NOW)).unwrap();
        friend.chains = shadow;
        let chunk = friend.chunk(stage.case, 0, None, &[], 300);
        // The device hears of the removal last.
        let mut victim = Victim::of(&stage);
        victim.policy(stage.relay.forge(&grant));
        victim.content(&[&chunk]);
        assert!(victim.obeys(&grant) && victim.has(&chunk));
        let place = Place::Ops { chain: stage.case, device: before.device() };
        let leaves = if is_named { vec![Leaf::new(&place, 1, grant.id())] } else { Vec::new() };
        let removal = revoke(&stage, None, &leaves);
        serve(&mut victim, &mut stage, &removal, &leaves);
        assert_eq!((victim.obeys(&grant), victim.has(&chunk)), (is_named, is_named));
        let victim = victim.restart();
        assert_eq!((victim.obeys(&grant), victim.has(&chunk)), (is_named, is_named), "after a restart too");
    }
}

#[test]
fn a_removed_device_and_the_relay_add_no_new_one() {
    let mut stage = Stage::set();
    let mut second = forge::second_device(&stage.bashir, 60);
    let add = forge::add_device(&stage.bashir, &second.key, DeviceKind::Full);
    stage.admit(&add);
    second.chains = stage.relay.chains.clone();
    let (user, thief, new) = (stage.bashir.user(), stage.bashir.clone(), DeviceKey::from_seed(&[70; 32]));
    let remove = RemoveDevice { device: thief.device(), frontier: forge::frontier(&[]) };
    let removal = second.draft(user, Body::RemoveDevice(remove));
    let body = Body::AddDevice(AddDevice::with_key(user, &new, forge::wrapping_key(70), DeviceKind::Full));
    let in_its_place = thief.draft(user, body.clone());
    let mut victim = Victim::of(&stage);
    serve(&mut victim, &mut stage, &removal, &[]);
    // After the removal, it is a device of nobody.
    let after = forge::op(&forge::knowing(&thief, &stage.relay.chains), user, Vec::new(), body.clone());
    victim.policy(stage.relay.forge(&after));
    assert!(!victim.obeys(&after));
    // In the removal's own place the relay has told two stories.
    victim.policy(stage.relay.forge(&in_its_place));
    assert_eq!(victim.disconnects(), [Disconnect::RelayForked]);
    second.chains = stage.relay.chains.clone();
    let honest = second.draft(user, body);
    let mut victim = Victim::of(&stage);
    victim.policy(stage.admit(&honest));
    assert!(victim.obeys(&honest));
}

#[test]
fn a_removed_manager_and_the_relay_put_no_new_device_or_friend_into_a_team() {
    let mut stage = Stage::set();
    let before = promoted(&mut stage);
    let mut friend = Person::new(40);
    let user = friend.create_user();
    stage.admit(&user);
    let mut victim = Victim::of(&stage);
    let removal = revoke(&stage, None, &[]);
    serve(&mut victim, &mut stage, &removal, &[]);
    // In the team's own chain his operation follows the removal, whatever he cites.
    let now = forge::knowing(&before, &stage.relay.chains);
    let cites = forge::cites(&before, &[before.user()]);
    let grant = forge::op(&now, stage.team, cites, forge::grant(friend.user(), Role::Editor));
    victim.policy(stage.relay.forge(&grant));
    assert!(!victim.obeys(&grant));
    friend.chains = stage.relay.chains.clone();
    let cites = forge::cites(&friend, &[stage.case, stage.team, friend.user()]);
    let chunk = stage.amina.chunk(stage.case, 0, None, &[], 300);
    let chunk = forge::rewritten(&friend, &chunk, |header| header.cites = cites);
    victim.content(&[&chunk]);
    assert!(!victim.has(&chunk));
    let mut victim = Victim::of(&stage);
    let honest = stage.amina.draft(stage.team, forge::grant(friend.user(), Role::Editor));
    victim.policy(stage.admit(&honest));
    friend.chains = stage.relay.chains.clone();
    let chunk = friend.chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&chunk]);
    assert!(victim.has(&chunk));
}

#[test]
fn an_expiry_before_its_time_ends_nothing_and_an_invite_after_its_time_lets_nobody_in() {
    let mut stage = Stage::set();
    let later = NOW.saturating_add(std::time::Duration::from_secs(60));
    let grant = stage.amina.draft(stage.case, forge::grant_until(stage.chipo.user(), Role::Manager, later));
    stage.admit(&grant);
    let mut guest = Person::new(40);
    let user = guest.create_user();
    stage.admit(&user);
    let invite = stage.amina.invite(stage.team, Role::Reader, 50, later);
    stage.admit(&invite);
    guest.chains = stage.relay.chains.clone();
    let accept = guest.accept(stage.team, invite.id(), 50);
    let expire = vereda_policy::Expire { subject: stage.chipo.user(), frontier: forge::frontier(&[]) };
    let cites = forge::cites(&stage.amina, &[stage.team, stage.amina.user()]);
    let expire = forge::op(&stage.amina, stage.case, cites, Body::Expire(expire));
    for is_later in [false, true] {
        let mut victim = Victim::of(&stage);
        let relay = Colluder { time: if is_later { later } else { NOW }, ..stage.relay.clone() };
        victim.policy([relay.forge(&expire), relay.forge(&accept)].concat());
        assert_eq!((victim.obeys(&expire), victim.obeys(&accept)), (is_later, !is_later));
    }
}

#[test]
fn a_removed_manager_and_the_relay_let_nobody_in_by_an_invite_made_before() {
    for by_another in [false, true] {
        let mut stage = Stage::set();
        let before = promoted(&mut stage);
        let later = NOW.saturating_add(std::time::Duration::from_secs(3_600));
        let inviter = if by_another { &stage.amina } else { &before };
        let invite = inviter.clone().invite(stage.team, Role::Manager, 50, later);
        stage.admit(&invite);
        let removal = revoke(&stage, None, &[]);
        let mut victim = Victim::of(&stage);
        serve(&mut victim, &mut stage, &removal, &[]);
        let mut friend = Person::new(40);
        let user = friend.create_user();
        friend.chains = stage.relay.chains.clone();
        friend.learn(&user.op);
        let accept = friend.accept(stage.team, invite.id(), 50);
        victim.policy([stage.relay.forge(&user), stage.relay.forge(&accept)].concat());
        assert!(victim.obeys(&removal) && victim.obeys(&invite));
        assert_eq!(victim.obeys(&accept), by_another, "only whoever still may invite lets somebody in");
    }
}

#[test]
fn a_removed_manager_and_the_relay_have_no_grant_or_chunk_signed_for_that_is_yet_to_be_made() {
    let mut stage = Stage::set();
    let before = promoted(&mut stage);
    let mut amina = Victim::of_person(&stage, &stage.amina);
    let body = Revoke { subject: stage.bashir.user(), keeps: None, successor: None, frontier: forge::frontier(&[]) };
    amina.machine.enqueue_intent(&mut amina.store, stage.team, Body::Revoke(body), Vec::new()).unwrap();
    amina.commit();
    let request = amina.take_put().expect("the removal is sent").0;
    let invented = |place| OfferedLeaf { place, seq: u64::MAX, id: Digest([9; 32]) };
    let own = Place::Ops { chain: stage.bashir.user(), device: stage.bashir.device() };
    let offer = vec![
        OfferedLeaf { place: own, seq: 0, id: Digest(stage.bashir.user().0) },
        invented(Place::Ops { chain: stage.case, device: stage.bashir.device() }),
        invented(place_of(&two_chunks(&mut stage)[0])),
    ];
    amina.hear(&Down::OpResult { request, outcome: OpOutcome::FrontierMoved(offer.clone()) });
    let signed = amina.take_put().expect("she signs what she holds").1.verify().unwrap();
    let leaves = [offer[0].leaf()];
    let Body::Revoke(revoke) = &signed.value().body else { panic!("a Revoke") };
    assert_eq!(revoke.frontier, forge::frontier(&leaves), "and nothing that is yet to be made");
    let removal = Put { op: signed, wraps: Vec::new() };
    let mut friend = Person::new(40);
    let user = friend.create_user();
    stage.admit(&user);
    let mut victim = Victim::of(&stage);
    serve(&mut victim, &mut stage, &removal, &leaves);
    assert!(victim.obeys(&removal));
    let grant = before.draft(stage.case, forge::grant(friend.user(), Role::Manager));
    victim.policy(stage.relay.forge(&grant));
    let chunk = before.clone().chunk(stage.case, 0, None, &[], 300);
    victim.content(&[&chunk]);
    assert!(!victim.obeys(&grant) && !victim.has(&chunk));
}

#[test]
fn a_removed_author_and_the_relay_put_no_garbage_in_place_of_what_others_read() {
    for (is_bad, is_removed) in [(true, false), (true, true)] {
        let mut stage = Stage::set();
        let chunk = stage.bashir.chunk(stage.case, 0, None, &[], 300);
        if is_bad {
            let chipo = forge::knowing(&stage.chipo, &stage.relay.chains);
            stage.admit(&chipo.draft(stage.case, Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap })));
        }
        let amina = forge::knowing(&stage.amina, &stage.relay.chains);
        stage.admit(&forge::rotate(&amina, stage.case));
        let mut victim = Victim::of(&stage);
        victim.content(&[&chunk]);
        let author = forge::knowing(&stage.bashir, &stage.relay.chains);
        if is_removed {
            let leaves = [leaf_of(&chunk)];
            let removal = revoke(&stage, None, &leaves);
            serve(&mut victim, &mut stage, &removal, &leaves);
            assert!(victim.obeys(&removal) && victim.has(&chunk));
        }
        // The same link under the next epoch, with whatever he likes in it.
        let mut header = header_of(&chunk);
        header.epoch = 1;
        header.cites = forge::cites(&author, &[stage.case, stage.team, author.user()]);
        header.nonce = [0xee; 24].into();
        let garbage = author.seal(&header, 300);
        assert_eq!(link_of(&garbage), link_of(&chunk));
        victim.content(&[&garbage]);
        let (_, _, stored) = victim.machine.find_chunk(&victim.store, &link_of(&chunk)).unwrap().expect("it stands");
        let is_replaced = stored == garbage;
        assert!(is_replaced || stored == chunk);
        assert_eq!(is_replaced, is_bad && !is_removed, "bad {is_bad}, removed {is_removed}");
    }
}
