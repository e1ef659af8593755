//! Devices: added without their will, removed by whom they do not concern, used after removal; recovery keys.

use vereda_adversary::{
    Member, Office, forge,
    office::{op_refused, refused},
};
use vereda_base::ChainId;
use vereda_policy::{AddDevice, Body, DeviceKind, Frontier, JoinProof, RemoveDevice, Role};
use vereda_protocol::{ChunkOutcome, RefusalCode, Up};
use vereda_sync::people::link_of;

fn removal(device: vereda_base::DeviceId) -> impl Fn(Frontier) -> Body {
    move |frontier| Body::RemoveDevice(RemoveDevice { device, frontier })
}

/// A worker of the team with a second device, both connected.
fn worker_with_two(office: &mut Office, role: Role) -> (Member, Member) {
    let mut first = office.join(office.team, role);
    let second = office.add_device(&mut first, DeviceKind::Full);
    (first, second)
}

#[test]
fn a_device_that_did_not_agree_is_not_added() {
    let mut office = Office::open();
    let mut member = office.join(office.team, Role::Editor);
    let (own, new) = (member.person.user(), office.stranger());
    let proof =
        JoinProof { user: own, device: new.device(), wrapping_key: forge::wrapping_key(77), kind: DeviceKind::Full };
    // Signed by the old device in the new one's place, and a proof for another user.
    let forged = [
        proof.sign(&member.person.key),
        JoinProof { user: office.manager.person.user(), ..proof.clone() }.sign(&new.key),
        JoinProof { kind: DeviceKind::Recovery, ..proof.clone() }.sign(&new.key),
    ];
    for signature in forged {
        let add = AddDevice {
            device: new.device(),
            wrapping_key: proof.wrapping_key.clone(),
            proof: signature,
            kind: DeviceKind::Full,
        };
        let put = member.person.draft(own, Body::AddDevice(add));
        assert_eq!(member.line.put(&put), op_refused(RefusalCode::BadSignature));
    }
    let put = forge::add_device(&member.person, &new.key, DeviceKind::Full);
    office.put(&mut member, &put);
}

#[test]
fn nobody_adds_a_device_to_the_user_of_another_not_even_a_manager_of_the_agency() {
    let mut office = Office::open();
    let mut member = office.join(office.team, Role::Editor);
    let (user, new) = (member.person.user(), office.stranger());
    let add = AddDevice::with_key(user, &new.key, forge::wrapping_key(77), DeviceKind::Full);
    let path = [office.agency, office.team, office.manager.person.user()];
    let manager = &office.manager.person;
    let forged = forge::op(manager, user, forge::cites(manager, &path), Body::AddDevice(add.clone()));
    assert_eq!(office.manager.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
    let put = member.person.draft(user, Body::AddDevice(add));
    office.put(&mut member, &put);
}

#[test]
fn a_device_belongs_to_one_user() {
    let mut office = Office::open();
    let (mut first, second) = worker_with_two(&mut office, Role::Editor);
    let mut other = office.join(office.team, Role::Editor);
    office.brief(&mut other);
    let taken = forge::add_device(&other.person, &second.person.key, DeviceKind::Full);
    assert_eq!(other.line.put(&taken), op_refused(RefusalCode::NotAuthorized));
    let new = office.stranger();
    let put = forge::add_device(&first.person, &new.key, DeviceKind::Full);
    office.put(&mut first, &put);
}

#[test]
fn a_removed_device_signs_nothing_more_and_the_users_other_device_does() {
    let mut office = Office::open();
    let (mut first, mut second) = worker_with_two(&mut office, Role::Manager);
    let (team, user) = (office.team, first.person.user());
    let lost = second.person.device();
    office.remove(&mut first, user, &[], removal(lost)).unwrap();
    office.brief(&mut second);
    let colleague = office.manager.person.user();
    let grant = |by: &Member| {
        forge::op(&by.person, team, forge::cites(&by.person, &[user]), forge::grant(colleague, Role::Editor))
    };
    let forged = grant(&second);
    second.line.say(&Up::PutOp { request: 77, op: forged.op.signed().clone(), wraps: Vec::new() });
    assert!(second.line.is_refused(77), "{:?}", second.line.heard.last());
    let honest = grant(&first);
    office.put(&mut first, &honest);
}

#[test]
fn a_manager_of_a_team_removes_nobodys_device_and_one_of_the_agency_does() {
    let mut office = Office::open();
    let mut leader = office.join(office.team, Role::Manager);
    let (_, second) = worker_with_two(&mut office, Role::Editor);
    let (user, device) = (second.person.user(), second.person.device());
    office.brief(&mut leader);
    let groups = [office.agency, office.team, leader.person.user()];
    let refusal = office.remove(&mut leader, user, &groups, removal(device)).unwrap_err();
    assert_eq!(refusal, op_refused(RefusalCode::NotAuthorized));
    let groups = [office.agency, office.team, office.manager.person.user()];
    office.remove_as_manager(user, &groups, removal(device)).unwrap();
}

#[test]
fn a_manager_removes_no_device_of_somebody_of_another_agency() {
    let mut office = Office::open();
    let (mut founder, agency) = office.found_another();
    // He knows all there is to know of the other agency's people.
    let own = founder.person.user();
    let (_, second) = worker_with_two(&mut office, Role::Editor);
    let (user, device) = (second.person.user(), second.person.device());
    for state in office.chains.iter() {
        founder.person.chains.insert(state.as_ref().clone());
    }
    for groups in [vec![agency, own], vec![agency, office.team, own], vec![office.agency, office.team, own]] {
        let cites = forge::cites(&founder.person, &groups);
        let put = forge::op(&founder.person, user, cites, removal(device)(forge::frontier(&[])));
        assert_eq!(founder.line.put(&put), op_refused(RefusalCode::NotAuthorized));
    }
    let groups: [ChainId; 3] = [office.agency, office.team, office.manager.person.user()];
    office.remove_as_manager(user, &groups, removal(device)).unwrap();
}

#[test]
fn nobody_removes_his_own_last_device_and_one_of_two_he_does() {
    let mut office = Office::open();
    let (mut first, second) = worker_with_two(&mut office, Role::Editor);
    let (user, devices) = (first.person.user(), [first.person.device(), second.person.device()]);
    office.remove(&mut first, user, &[], removal(devices[1])).unwrap();
    let refusal = office.remove(&mut first, user, &[], removal(devices[0])).unwrap_err();
    assert_eq!(refusal, op_refused(RefusalCode::NobodyLeft));
}

#[test]
fn a_recovery_key_reads_no_case_and_writes_none_but_adds_a_device() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Manager);
    let case = office.case(office.team);
    let chunk = office.manager.person.chunk(case, 0, None, &[], 300);
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
    let mut paper = office.add_device(&mut worker, DeviceKind::Recovery);
    paper.fence();
    assert!(!paper.line.heard_of(&case) && paper.line.links().is_empty());
    let user = paper.person.user();
    let cites = forge::cites(&paper.person, &[case, office.team, user]);
    let mut header = paper.person.header(case, 0, None, &[], 300);
    header.cites.clone_from(&cites);
    assert_eq!(paper.line.put_chunk(&paper.person.seal(&header, 300)), refused(RefusalCode::NotAuthorized));
    let grant = forge::grant(user, Role::Editor);
    let grant = forge::op(&paper.person, office.team, forge::cites(&paper.person, &[user]), grant);
    assert_eq!(paper.line.put(&grant), op_refused(RefusalCode::NotAuthorized));

    let mut phone = office.stranger();
    phone.user = Some(user);
    let add = forge::add_device(&paper.person, &phone.key, DeviceKind::Full);
    office.put(&mut paper, &add);
    let mut phone = Member { person: phone, line: office.line(), begun: worker.begun.clone() };
    office.brief(&mut phone);
    office.reconnect(&mut phone);
    phone.line.hear_chunk(&chunk);
    let written = phone.person.chunk(case, 0, None, &[link_of(&chunk)], 300);
    assert_eq!(phone.line.put_chunk(&written), ChunkOutcome::Durable);
}
