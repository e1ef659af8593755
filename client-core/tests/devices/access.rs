//! Who has access, and the decisions that change it.

use std::time::Duration;

use serde_json::json;
use vereda_base::{ChainId, Timestamp};
use vereda_client_core::access::{
    AccessEntry, AccessView, AssignError, AssignRequest, DecideError, DecisionState, Hindrance, LowerRequest,
    ReferError, ReferRequest, RetentionKind, RevokeRequest, WithdrawError, WithdrawRequest,
};
use vereda_client_core::sections::{CreateSection, Noted};
use vereda_policy::Role;

use super::world::{World, edit};

fn referral(document: ChainId, to: ChainId) -> ReferRequest {
    ReferRequest {
        document,
        to,
        role: Role::Editor,
        expires: None,
        purpose: Some("Medical care".into()),
        consent: Some("Form 12 of 3 May".into()),
        sections: Vec::new(),
    }
}

fn who(world: &mut World, device: usize, chain: &ChainId) -> AccessView {
    let now = world.now.wall;
    world.devices[device].who_has_access(chain, now).unwrap()
}

fn entry(view: &AccessView, subject: ChainId) -> Option<&AccessEntry> {
    view.entries.iter().find(|entry| entry.subject.id == subject)
}

/// Amina manages the agency and both teams; Berta is in North, Carmen in South.
struct Two {
    world: World,
    amina: usize,
    berta: usize,
    carmen: usize,
    north: ChainId,
    south: ChainId,
    case: ChainId,
}

fn two_teams(seed: u64) -> Two {
    let mut world = World::new(seed);
    let (amina, north) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    world.connect(amina);
    let berta = world.join(amina, north, Role::Editor, "Berta");
    let carmen = world.join(amina, south, Role::Editor, "Carmen");
    world.settle();
    Two { world, amina, berta, carmen, north, south, case }
}

#[test]
fn a_referral_is_pending_until_the_relay_has_it_and_then_opens_the_case_with_its_purpose() {
    let Two { mut world, amina, carmen, north, south, case, .. } = two_teams(60);
    world.cut(amina);
    let until = Timestamp(world.now.wall.0 + 3_600_000);
    let request = ReferRequest { expires: Some(until), ..referral(case, south) };
    world.on(amina, |device, ambient| device.refer(ambient, &request)).unwrap();
    let view = who(&mut world, amina, &case);
    assert_eq!(view.pending.len(), 1);
    let pending = &view.pending[0];
    assert_eq!((pending.action, pending.subject_name.as_deref()), ("grant", Some("South")));
    assert_eq!(pending.state, DecisionState::Pending);
    assert!(entry(&view, south).is_none());
    assert!(world.devices[carmen].show_case(&case).is_err());

    world.connect(amina);
    assert_eq!(world.field(carmen, &case, "name_first"), json!("Samir"));
    for device in [amina, carmen] {
        let view = who(&mut world, device, &case);
        let referred = entry(&view, south).unwrap();
        assert_eq!((referred.by_way_of, referred.role, referred.until), ("grant", "editor", Some(until)));
        assert_eq!(referred.by.name.as_deref(), Some("Amina"));
        assert_eq!(referred.purpose.as_deref(), Some("Medical care"));
        assert_eq!(referred.consent.as_deref(), Some("Form 12 of 3 May"));
        assert!(referred.since.is_some() && !referred.has_expired && !referred.is_purpose_closed);
        assert!(referred.people.iter().any(|person| person.name.as_deref() == Some("Carmen")));
        assert_eq!(entry(&view, north).unwrap().by_way_of, "founding");
        assert_eq!(view.governors[0].authority, "full");
        assert!(view.pending.is_empty(), "{:?}", view.pending);
    }
    assert!(world.devices[amina].decisions().unwrap().is_empty());
}

#[test]
fn who_may_not_refer_is_told_so_at_once_and_nothing_is_kept() {
    let Two { mut world, amina, berta, north, south, case, .. } = two_teams(61);
    let refused = world.on(berta, |device, ambient| device.refer(ambient, &referral(case, south)));
    let hindered = |error: &ReferError| matches!(error, ReferError::Decide(DecideError::Hindered(Hindrance::NotManager { chain })) if *chain == case);
    assert!(hindered(&refused.unwrap_err()));
    assert!(world.devices[berta].decisions().unwrap().is_empty());
    let again = world.on(amina, |device, ambient| device.refer(ambient, &referral(case, north)));
    assert!(matches!(again, Err(ReferError::Holds { to, .. }) if to == north), "{again:?}");
    let past = ReferRequest { expires: Some(Timestamp(1)), ..referral(case, south) };
    assert!(matches!(world.on(amina, |device, ambient| device.refer(ambient, &past)), Err(ReferError::Expiry)));
    let to_itself = world.on(amina, |device, ambient| device.refer(ambient, &referral(case, case)));
    assert!(matches!(to_itself, Err(ReferError::Nobody { .. })), "{to_itself:?}");
    let team = world.on(amina, |device, ambient| device.refer(ambient, &referral(north, south)));
    assert!(matches!(team, Err(ReferError::NotADocument { .. })), "{team:?}");
}

#[test]
fn a_purpose_that_is_too_long_is_refused_before_anything_is_queued() {
    let Two { mut world, amina, south, case, .. } = two_teams(62);
    let long = ReferRequest { purpose: Some("x".repeat(1_900)), ..referral(case, south) };
    let refused = world.on(amina, |device, ambient| device.refer(ambient, &long));
    assert!(matches!(refused, Err(ReferError::Purpose(_))), "{refused:?}");
    let fits = ReferRequest { purpose: Some("x".repeat(1_850)), ..referral(case, south) };
    world.on(amina, |device, ambient| device.refer(ambient, &fits)).unwrap();
    world.settle();
    assert_eq!(entry(&who(&mut world, amina, &case), south).unwrap().purpose.as_ref().unwrap().len(), 1_850);
}

#[test]
fn a_decision_that_comes_too_late_says_why_until_somebody_has_seen_it() {
    let Two { mut world, amina, carmen, south, case, north, .. } = two_teams(63);
    let dora = world.join(amina, north, Role::Manager, "Dora");
    world.settle();
    world.cut(dora);
    world.on(dora, |device, ambient| device.refer(ambient, &referral(case, south))).unwrap();
    world.on(amina, |device, ambient| device.erase(ambient, &case)).unwrap();
    world.settle();
    world.connect(dora);
    let failed = world.devices[dora].decisions().unwrap();
    assert_eq!((failed.len(), failed[0].state), (1, DecisionState::Failed), "{failed:?}");
    assert!(failed[0].reason.as_deref().is_some_and(|reason| !reason.is_empty()));
    assert_eq!(world.devices[dora].status().unwrap().failed_operations, 1);
    world.crash(dora);
    assert_eq!(world.devices[dora].decisions().unwrap()[0].reason, failed[0].reason);
    let number = failed[0].decision;
    world.on(dora, |device, _| device.dismiss_decision(number)).unwrap();
    assert!(world.devices[dora].decisions().unwrap().is_empty());
    assert!(world.devices[dora].dismiss_decision(number).is_err());
    assert!(world.devices[carmen].show_case(&case).is_err());
}

#[test]
fn a_referral_is_withdrawn_and_the_owner_is_not() {
    let Two { mut world, amina, north, south, case, .. } = two_teams(64);
    let owner =
        world.on(amina, |device, ambient| device.withdraw(ambient, WithdrawRequest { document: case, from: north }));
    assert!(matches!(owner, Err(WithdrawError::Owns { .. })), "{owner:?}");
    let none =
        world.on(amina, |device, ambient| device.withdraw(ambient, WithdrawRequest { document: case, from: south }));
    assert!(
        matches!(none, Err(WithdrawError::Decide(DecideError::Hindered(Hindrance::NothingEnds { .. })))),
        "{none:?}"
    );
    world.on(amina, |device, ambient| device.refer(ambient, &referral(case, south))).unwrap();
    world.settle();
    let request = WithdrawRequest { document: case, from: south };
    world.on(amina, |device, ambient| device.withdraw(ambient, request)).unwrap();
    world.settle();
    assert!(entry(&who(&mut world, amina, &case), south).is_none());
}

#[test]
fn a_case_is_transferred_to_another_team_whose_managers_govern_it_from_then_on() {
    let Two { mut world, amina, carmen, north, south, case, .. } = two_teams(65);
    let (user, _) = world.devices[amina].home().unwrap();
    let request = AssignRequest { case, to: user, role: Role::Editor, transfer: true, sections: Vec::new() };
    let to_person = world.on(amina, |device, ambient| device.assign(ambient, &request));
    assert!(matches!(to_person, Err(AssignError::TransferToPerson)), "{to_person:?}");
    let request = AssignRequest { to: south, ..request };
    world.on(amina, |device, ambient| device.assign(ambient, &request)).unwrap();
    world.settle();
    let view = who(&mut world, amina, &case);
    assert_eq!(view.governors.iter().map(|governor| governor.subject.id).collect::<Vec<_>>(), [south]);
    assert!(entry(&view, north).is_none());
    assert_eq!(world.field(carmen, &case, "name_first"), json!("Samir"));
    let again = world.on(amina, |device, ambient| device.assign(ambient, &request));
    assert!(matches!(again, Err(AssignError::Nothing { .. })), "{again:?}");
}

#[test]
fn who_takes_a_case_over_from_all_others_has_its_key_before_they_lose_it() {
    let Two { mut world, amina, berta, south, case, .. } = two_teams(71);
    let dora = world.join(amina, south, Role::Manager, "Dora");
    world.settle();
    world.on(amina, |device, ambient| device.leave(ambient, &south, None)).unwrap();
    world.settle();
    world.cut(amina);
    let section = CreateSection {
        case,
        title: "Health".into(),
        members: Vec::new(),
        noted: Noted::Title,
        answers: edit(json!({"set": {"name_last": "Haddad"}})),
    };
    let section = world.on(amina, |device, ambient| device.create_section(ambient, &section)).unwrap();
    let request = AssignRequest { case, to: south, role: Role::Editor, transfer: true, sections: vec![section] };
    world.on(amina, |device, ambient| device.assign(ambient, &request)).unwrap();
    let pending: Vec<_> =
        world.devices[amina].decisions().unwrap().iter().map(|view| (view.chain, view.action)).collect();
    assert_eq!(pending.len(), 4, "{pending:?}");
    world.connect(amina);
    // Whoever did not begin a team leaves the renewal of its keys to who did, for a while.
    for _ in 0..4 {
        world.pass(Duration::from_secs(60));
        world.settle();
    }
    assert!(world.devices[amina].decisions().unwrap().is_empty(), "{:?}", world.devices[amina].decisions());
    for chain in [case, section] {
        let view = who(&mut world, dora, &chain);
        let holders: Vec<_> = view.entries.iter().map(|entry| entry.subject.id).collect();
        assert_eq!(holders, [south], "{view:?}");
    }
    assert_eq!(world.field(dora, &section, "name_last"), json!("Haddad"));
    world.edit_case(dora, &case, json!({"set": {"name_first": "Samira"}}));
    world.settle();
    assert_eq!(world.field(dora, &case, "name_first"), json!("Samira"));
    assert!(world.devices[dora].status().unwrap().settled);
    for device in [amina, berta] {
        assert_ne!(
            world.devices[device].show_case(&case).ok().map(|view| view.fields["name_first"].clone()),
            Some(json!("Samira"))
        );
    }
}

#[test]
fn a_case_assigned_to_another_worker_leaves_the_one_before() {
    let Two { mut world, amina, berta, north, case, .. } = two_teams(66);
    let dora = world.join(amina, north, Role::Editor, "Dora");
    world.settle();
    let worker = |world: &World, device: usize| world.devices[device].home().unwrap().0;
    let (berta, dora) = (worker(&world, berta), worker(&world, dora));
    for to in [berta, dora] {
        let request = AssignRequest { case, to, role: Role::Editor, transfer: false, sections: Vec::new() };
        world.on(amina, |device, ambient| device.assign(ambient, &request)).unwrap();
        world.settle();
        let view = who(&mut world, amina, &case);
        assert!(entry(&view, to).is_some() && entry(&view, north).is_some(), "{view:?}");
        assert_eq!(view.entries.len(), 2, "{view:?}");
    }
}

#[test]
fn a_member_is_revoked_and_a_last_manager_needs_a_successor() {
    let Two { mut world, amina, berta, north, .. } = two_teams(67);
    let (amina_user, agency) = world.devices[amina].home().unwrap();
    let (berta_user, _) = world.devices[berta].home().unwrap();
    let up = LowerRequest { chain: north, subject: berta_user, to: Role::Manager };
    assert!(world.on(amina, |device, ambient| device.lower(ambient, up)).is_err());
    let revoke = RevokeRequest { chain: north, subject: berta_user, successor: None };
    world.on(amina, |device, ambient| device.revoke(ambient, revoke)).unwrap();
    world.settle();
    assert!(entry(&who(&mut world, amina, &north), berta_user).is_none());
    let again = world.on(amina, |device, ambient| device.revoke(ambient, revoke)).unwrap_err();
    assert!(again.to_string().contains("no role"), "{again}");
    let alone = world.on(amina, |device, ambient| device.leave(ambient, &agency, None)).unwrap_err();
    assert!(alone.to_string().contains("successor"), "{alone}");
    assert_eq!(entry(&who(&mut world, amina, &agency), amina_user).unwrap().role, "manager");
}

#[test]
fn a_member_is_lowered_and_stays_as_a_reader() {
    let Two { mut world, amina, berta, north, case, .. } = two_teams(72);
    let (berta_user, _) = world.devices[berta].home().unwrap();
    let lower = LowerRequest { chain: north, subject: berta_user, to: Role::Reader };
    world.on(amina, |device, ambient| device.lower(ambient, lower)).unwrap();
    world.settle();
    assert_eq!(entry(&who(&mut world, amina, &north), berta_user).unwrap().role, "reader");
    assert_eq!(entry(&who(&mut world, amina, &north), berta_user).unwrap().by_way_of, "lowering");
    assert!(world.on(amina, |device, ambient| device.lower(ambient, lower)).is_err());
    assert_eq!(world.field(berta, &case, "name_first"), json!("Samir"));
}

#[test]
fn who_leaves_a_team_needs_nobodys_leave() {
    let Two { mut world, amina, berta, north, .. } = two_teams(68);
    let (berta_user, agency) = world.devices[berta].home().unwrap();
    let not_in = world.on(berta, |device, ambient| device.leave(ambient, &agency, None)).unwrap_err();
    assert!(not_in.to_string().contains("through a team"), "{not_in}");
    world.on(berta, |device, ambient| device.leave(ambient, &north, None)).unwrap();
    world.settle();
    assert!(entry(&who(&mut world, amina, &north), berta_user).is_none());
}

#[test]
fn an_invite_is_withdrawn_before_anybody_took_it_up() {
    let Two { mut world, amina, berta, north, .. } = two_teams(69);
    let link = world.invite(amina, north, Role::Editor);
    let view = who(&mut world, amina, &north);
    let [open] = view.invites.as_slice() else { panic!("{:?}", view.invites) };
    let key = open.invite;
    assert!(world.on(berta, |device, ambient| device.cancel_invite(ambient, &key)).is_err());
    world.on(amina, |device, ambient| device.cancel_invite(ambient, &key)).unwrap();
    world.settle();
    assert!(who(&mut world, amina, &north).invites.is_empty());
    assert!(world.on(amina, |device, ambient| device.cancel_invite(ambient, &key)).is_err());
    let eva = world.add_device();
    world.on(eva, |device, ambient| device.join(ambient, &link, "Eva")).unwrap();
    world.connect(eva);
    assert_eq!(world.devices[eva].status().unwrap().membership, "pending");
}

#[test]
fn only_an_agencys_manager_sets_how_long_review_is_open() {
    let Two { mut world, amina, berta, .. } = two_teams(70);
    let set = |world: &mut World, device: usize, days| {
        let set = world.on(device, |device, ambient| device.set_retention(ambient, RetentionKind::Review, days));
        world.settle();
        set.map_err(|error| error.to_string())
    };
    assert!(set(&mut world, berta, 30).unwrap_err().contains("Manager"));
    assert!(set(&mut world, amina, 0).unwrap_err().contains("days"));
    set(&mut world, amina, 30).unwrap();
    assert!(world.devices[amina].decisions().unwrap().is_empty());
    world.pass(Duration::from_secs(1));
}

#[test]
fn people_are_named_with_their_way_to_a_case_and_an_invite_with_the_inviter() {
    let Two { mut world, amina, carmen, north, south, case, .. } = two_teams(72);
    let until = Timestamp(world.now.wall.0 + 3_600_000);
    let request = ReferRequest { role: Role::Reader, expires: Some(until), ..referral(case, south) };
    world.cut(amina);
    world.on(amina, |device, ambient| device.refer(ambient, &request)).unwrap();
    let pending = &who(&mut world, amina, &case).pending[0];
    assert_eq!((pending.until, pending.name.as_deref()), (Some(until), Some("Samir")));
    assert_eq!(
        (pending.purpose.as_deref(), pending.consent.as_deref()),
        (Some("Medical care"), Some("Form 12 of 3 May"))
    );
    world.connect(amina);
    let team = who(&mut world, amina, &north);
    let berta = team.entries.iter().find(|entry| entry.subject.name.as_deref() == Some("Berta")).unwrap();
    assert_eq!((berta.by_way_of, berta.by.name.as_deref()), ("invite", Some("Amina")));
    for device in [amina, carmen] {
        let view = who(&mut world, device, &case);
        assert_eq!((view.subject.kind, view.subject.name.as_deref()), ("case", Some("Samir")));
        let referred = entry(&view, south).unwrap();
        let person = referred.people.iter().find(|person| person.name.as_deref() == Some("Carmen")).unwrap();
        let through: Vec<_> = person.through.iter().map(|group| group.name.as_deref()).collect();
        assert_eq!((person.role, through), ("reader", vec![Some("South")]));
        assert_eq!(person.by.name.as_deref(), Some("Amina"));
        assert_eq!(person.since, referred.since, "the referral came last");
    }
}

#[test]
fn what_is_erased_is_destroyed_on_every_device_that_held_it() {
    let Two { mut world, amina, berta, case, .. } = two_teams(73);
    let other = world.create_case(berta, json!({"name_first": "Layla"}));
    world.settle();
    world.cut(berta);
    world.edit_case(berta, &case, json!({"set": {"name_last": "Haddad"}}));
    world.on(amina, |device, ambient| device.erase(ambient, &case)).unwrap();
    world.settle();
    world.connect(berta);
    for device in [amina, berta] {
        let left: Vec<_> = world.devices[device].list_cases(None).unwrap().into_iter().map(|line| line.case).collect();
        assert_eq!(left, [other], "device {device}");
        assert!(world.devices[device].show_case(&case).is_err());
        assert_eq!(world.devices[device].epochs_of(&case).1, 0, "device {device} keeps a key");
        assert_eq!(world.devices[device].explain(&case).unwrap().state, "erased");
        assert!(world.devices[device].is_settled(), "device {device}");
    }
}

#[test]
fn whoever_has_a_case_for_a_time_is_told_until_when_he_may_refer_it_and_nothing_is_stored() {
    let Two { mut world, amina, carmen, case, .. } = two_teams(74);
    let (carmen_user, _) = world.devices[carmen].home().unwrap();
    let until = Timestamp(1_790_000_000_000 + 30 * 24 * 3_600_000);
    let request = ReferRequest { role: Role::Manager, expires: Some(until), ..referral(case, carmen_user) };
    world.on(amina, |device, ambient| device.refer(ambient, &request)).unwrap();
    world.settle();
    let later = Timestamp(until.0 + 1);
    for expires in [None, Some(later)] {
        let request = ReferRequest { role: Role::Manager, expires, ..referral(case, carmen_user) };
        let refused = world.on(carmen, |device, ambient| device.refer(ambient, &request)).unwrap_err();
        let said = format!(
            "your own role over {case} ends on 2026-10-21 at 14:13 UTC: you give nobody a role there that lasts"
        );
        assert!(refused.to_string().starts_with(&said), "{refused}");
        assert!(who(&mut world, carmen, &case).pending.is_empty());
    }
    let (to, role) = (carmen_user, Role::Editor);
    let request = AssignRequest { case, to, role, transfer: false, sections: Vec::new() };
    let refused = world.on(carmen, |device, ambient| device.assign(ambient, &request)).unwrap_err();
    assert!(refused.to_string().contains("lasts longer"), "{refused}");
    // Amina, whose role in the team does not end, assigns it.
    world.on(amina, |device, ambient| device.assign(ambient, &request)).unwrap();
    world.settle();
    assert!(who(&mut world, carmen, &case).pending.is_empty());
}
