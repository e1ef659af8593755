//! Restricted sections: begun, listed, opened for others, moved with their case.

use serde_json::{Value as Json, json};
use vereda_base::ChainId;
use vereda_client_core::{
    access::{AssignError, AssignRequest, Hindrance, LowerRequest, ReferError, ReferRequest, RevokeRequest},
    cases::plain::PlainEdit,
    sections::{CreateSection, CreateSectionError, Noted, SectionLine, SectionState},
};
use vereda_policy::{Member, Role};
use vereda_records::{FieldPath, Value};

use super::world::{Team, World, edit, team};

fn begin(world: &mut World, device: usize, request: &CreateSection) -> ChainId {
    let section = world.on(device, |device, ambient| device.create_section(ambient, request)).unwrap();
    world.settle();
    section
}

fn health(case: ChainId, noted: Noted) -> CreateSection {
    let answers = edit(json!({"set": {"name_last": "Sami"}}));
    CreateSection { case, title: "Health".into(), members: Vec::new(), noted, answers }
}

fn lines(world: &mut World, device: usize, case: &ChainId) -> Vec<SectionLine> {
    let now = world.now.wall;
    world.devices[device].list_sections(case, now).unwrap()
}

fn answer(world: &mut World, device: usize, section: &ChainId) -> Option<Json> {
    let view = world.devices[device].show_section(section).ok()?;
    view.content.fields.get("name_last").cloned()
}

#[test]
fn a_section_is_read_by_its_members_only_and_known_to_others_as_far_as_the_case_tells() {
    let Team { mut world, amina, berta, case, .. } = team(80);
    let hidden = begin(&mut world, amina, &health(case, Noted::Nothing));
    let existing = begin(&mut world, amina, &CreateSection { title: "Law".into(), ..health(case, Noted::Existence) });
    let titled = begin(&mut world, amina, &CreateSection { title: "School".into(), ..health(case, Noted::Title) });
    let own: Vec<_> = lines(&mut world, amina, &case)
        .into_iter()
        .map(|line| (line.section, line.title, line.state, line.is_noted))
        .collect();
    let open = |section, title: &str, is_noted| (section, Some(title.to_owned()), SectionState::Open, is_noted);
    assert_eq!(own, [open(hidden, "Health", false), open(existing, "Law", true), open(titled, "School", true)]);
    let seen: Vec<_> = lines(&mut world, berta, &case)
        .into_iter()
        .map(|line| (line.section, line.title, line.state, line.role))
        .collect();
    let closed = |section, title: Option<&str>| (section, title.map(str::to_owned), SectionState::Closed, None);
    assert_eq!(seen, [closed(existing, None), closed(titled, Some("School"))]);
    assert_eq!(answer(&mut world, amina, &hidden), Some(json!("Sami")));
    assert_eq!(answer(&mut world, berta, &titled), None);
    // What says how documents belong together is no answer.
    for device in [amina, berta] {
        let view = world.devices[device].show_case(&case).unwrap();
        let fields: Vec<_> = view.fields.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["name_first"]);
    }
    assert_eq!(world.devices[amina].list_cases(None).unwrap().len(), 1, "a section is no case");
}

#[test]
fn a_colleague_who_is_a_member_from_the_beginning_reads_and_edits_the_section() {
    let Team { mut world, amina, berta, case, .. } = team(81);
    let (berta_user, _) = world.devices[berta].home().unwrap();
    let members = vec![Member { subject: berta_user, role: Role::Editor }];
    let section = begin(&mut world, amina, &CreateSection { members, ..health(case, Noted::Nothing) });
    let line = &lines(&mut world, berta, &case)[0];
    assert_eq!(
        (line.section, line.state, line.role, line.is_noted),
        (section, SectionState::Open, Some("editor"), false)
    );
    let request = edit(json!({"set": {"name_last": "Samo"}}));
    world.on(berta, |device, ambient| device.edit_section(ambient, &section, &request)).unwrap();
    world.settle();
    assert_eq!(answer(&mut world, amina, &section), Some(json!("Samo")));
    let view = world.devices[amina].show_section(&section).unwrap();
    assert_eq!((view.of_case, view.title.as_deref()), (Some(case), Some("Health")));
    let reserved = edit(json!({"set": {"vereda_section_title": "Other"}}));
    assert!(world.on(berta, |device, ambient| device.edit_section(ambient, &section, &reserved)).is_err());
    assert!(world.on(berta, |device, ambient| device.edit_section(ambient, &case, &request)).is_err());
}

#[test]
fn a_section_survives_a_crash_and_its_list_a_rebuild() {
    let Team { mut world, amina, case, .. } = team(82);
    let section = begin(&mut world, amina, &health(case, Noted::Existence));
    world.crash(amina);
    assert_eq!(lines(&mut world, amina, &case)[0].section, section);
    assert_eq!(answer(&mut world, amina, &section), Some(json!("Sami")));
    world.devices[amina].rebuild_lists().unwrap();
    world.settle();
    assert_eq!(lines(&mut world, amina, &case).len(), 1);
}

#[test]
fn a_referral_opens_chosen_sections_and_no_others() {
    let Team { mut world, amina, case, .. } = team(83);
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    let carmen = world.join(amina, south, Role::Editor, "Carmen");
    let opened = begin(&mut world, amina, &health(case, Noted::Title));
    let closed = begin(&mut world, amina, &CreateSection { title: "Law".into(), ..health(case, Noted::Title) });
    let request = ReferRequest {
        document: case,
        to: south,
        role: Role::Reader,
        expires: None,
        purpose: Some("Medical care".into()),
        consent: None,
        sections: vec![opened],
    };
    world.on(amina, |device, ambient| device.refer(ambient, &request)).unwrap();
    world.settle();
    let states: Vec<_> = lines(&mut world, carmen, &case).into_iter().map(|line| (line.section, line.state)).collect();
    assert_eq!(states, [(opened, SectionState::Open), (closed, SectionState::Closed)]);
    let now = world.now.wall;
    let view = world.devices[carmen].who_has_access(&case, now).unwrap();
    let [section] = view.sections.as_slice() else { panic!("{:?}", view.sections) };
    assert_eq!(section.governors[0].authority, "revoke_only");
    let referred = section.entries.iter().find(|entry| entry.subject.id == south).unwrap();
    assert_eq!((referred.role, referred.purpose.as_deref()), ("reader", Some("Medical care")));
}

#[test]
fn an_editor_begins_a_section_for_himself_and_lets_nobody_else_in() {
    let Team { mut world, amina, berta, case, .. } = team(84);
    let (amina_user, _) = world.devices[amina].home().unwrap();
    let members = vec![Member { subject: amina_user, role: Role::Reader }];
    let request = CreateSection { members, ..health(case, Noted::Nothing) };
    let refused = world.on(berta, |device, ambient| device.create_section(ambient, &request));
    assert!(matches!(refused, Err(CreateSectionError::Hindered(_))), "{refused:?}");
    let section = begin(&mut world, berta, &health(case, Noted::Existence));
    assert_eq!(lines(&mut world, berta, &case)[0].role, Some("editor"));
    assert_eq!(lines(&mut world, amina, &case)[0].state, SectionState::Closed);
    assert_eq!(answer(&mut world, amina, &section), None);
    let empty = CreateSection { title: " ".into(), ..health(case, Noted::Nothing) };
    let refused = world.on(berta, |device, ambient| device.create_section(ambient, &empty));
    assert!(matches!(refused, Err(CreateSectionError::Title)), "{refused:?}");
}

#[test]
fn a_section_is_begun_for_nobody_whom_this_device_does_not_know() {
    let Team { mut world, amina, case, .. } = team(89);
    let subject = ChainId([1; 32]);
    let request =
        CreateSection { members: vec![Member { subject, role: Role::Editor }], ..health(case, Noted::Existence) };
    let refused = world.on(amina, |device, ambient| device.create_section(ambient, &request));
    let expected = CreateSectionError::Hindered(Hindrance::Unknown { chain: subject });
    assert_eq!(refused.unwrap_err().to_string(), expected.to_string());
    assert!(lines(&mut world, amina, &case).is_empty());
}

#[test]
fn a_manager_sees_who_has_a_section_that_is_closed_to_her_and_ends_that_without_reading_it() {
    let Team { mut world, amina, berta, case, .. } = team(85);
    let noted = begin(&mut world, berta, &health(case, Noted::Title));
    let hidden = begin(&mut world, berta, &CreateSection { title: "Law".into(), ..health(case, Noted::Nothing) });
    let (berta_user, _) = world.devices[berta].home().unwrap();
    let now = world.now.wall;
    let view = world.devices[amina].who_has_access(&case, now).unwrap();
    let [section] = view.sections.as_slice() else { panic!("{:?}", view.sections) };
    assert_eq!((section.subject.id, section.subject.name.as_deref()), (noted, Some("Health")));
    assert!(!section.is_readable);
    assert_eq!(section.entries[0].subject.name.as_deref(), Some("Berta"));
    // Of what the case does not tell, only that it is there.
    let team = view.governors[0].subject.id;
    let governed = world.devices[amina].who_has_access(&team, now).unwrap().governs;
    let mut found: Vec<_> = governed.iter().map(|section| (section.id, section.name.clone())).collect();
    found.sort();
    let mut expected = vec![(noted, None), (hidden, None)];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(world.devices[amina].explain(&hidden).unwrap().state, "closed");
    assert_eq!(world.devices[amina].status().unwrap().locked, 0);

    let (carmen_user, carmen) = {
        let carmen = world.join(amina, team, Role::Editor, "Carmen");
        (world.devices[carmen].home().unwrap().0, carmen)
    };
    let shared = CreateSection {
        title: "School".into(),
        members: vec![Member { subject: carmen_user, role: Role::Editor }],
        ..health(case, Noted::Nothing)
    };
    let refused = world.on(berta, |device, ambient| device.create_section(ambient, &shared));
    assert!(refused.is_err(), "an Editor lets nobody else in");
    let own = begin(&mut world, carmen, &health(case, Noted::Nothing));
    let request = RevokeRequest { chain: own, subject: carmen_user, successor: None };
    let last = world.on(amina, |device, ambient| device.revoke(ambient, request));
    assert!(last.is_err(), "somebody keeps it: {last:?}");
    let members = vec![Member { subject: carmen_user, role: Role::Editor }];
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    let dora = world.join(amina, team, Role::Manager, "Dora");
    let both = begin(&mut world, dora, &CreateSection { members, ..health(case, Noted::Nothing) });
    assert_eq!(answer(&mut world, carmen, &both), Some(json!("Sami")));
    let request = RevokeRequest { chain: both, subject: carmen_user, successor: None };
    world.on(amina, |device, ambient| device.revoke(ambient, request)).unwrap();
    world.settle();
    assert!(world.devices[amina].decisions().unwrap().is_empty());
    assert_eq!(answer(&mut world, carmen, &both), None);
    assert_eq!(answer(&mut world, dora, &both), Some(json!("Sami")));
    assert_eq!(answer(&mut world, amina, &both), None);
    let now = world.now.wall;
    let entries = world.devices[amina].who_has_access(&both, now).unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.subject.name.as_deref()).collect::<Vec<_>>(), [Some("Dora")]);
    // Editors, and Managers of another team, see nothing of it.
    assert!(world.devices[berta].who_has_access(&both, now).is_err());
    let emil = world.join(amina, south, Role::Manager, "Emil");
    assert!(world.devices[emil].who_has_access(&hidden, now).is_err());
    // Whoever becomes a Manager of the team learns of the sections that were there before.
    assert!(world.devices[berta].who_has_access(&own, now).is_err());
    let invite = world.invite(amina, south, Role::Reader);
    world.on(berta, |device, ambient| device.join(ambient, &invite, "Berta")).unwrap();
    world.settle();
    assert!(world.devices[berta].who_has_access(&own, now).is_err());
    let request = LowerRequest { chain: team, subject: berta_user, to: Role::Reader };
    world.on(amina, |device, ambient| device.lower(ambient, request)).unwrap();
    world.settle();
    let fatima = world.join(amina, team, Role::Manager, "Fatima");
    for section in [noted, hidden, own, both] {
        assert!(world.devices[fatima].who_has_access(&section, now).is_ok(), "{section}");
        assert_eq!(answer(&mut world, fatima, &section), None);
    }
}

/// Writes an answer as no program of ours does: into a field that says how documents belong together.
fn write_raw(world: &mut World, device: usize, document: &ChainId, field: &str, value: &str) {
    let set = vereda_records::Edit::Set { path: FieldPath::field(field), value: Value::text(value) };
    let request = PlainEdit { edits: vec![set], ..edit(json!({})) };
    let edited = world.on(device, |device, ambient| device.edit_case(ambient, document, &request)).unwrap();
    assert!(edited.changed);
    world.settle();
}

#[test]
fn a_section_stays_of_the_case_that_it_was_begun_for_whatever_its_editors_write() {
    let Team { mut world, amina, berta, case, .. } = team(86);
    let other = world.create_case(amina, json!({"name_first": "Rana"}));
    let (berta_user, _) = world.devices[berta].home().unwrap();
    let members = vec![Member { subject: berta_user, role: Role::Editor }];
    let section = begin(&mut world, amina, &CreateSection { members, ..health(case, Noted::Title) });
    write_raw(&mut world, berta, &section, "vereda_section_of", &other.to_string());
    let check = |world: &mut World| {
        for device in [amina, berta] {
            let view = world.devices[device].show_section(&section).unwrap();
            assert_eq!(view.of_case, Some(case));
            let of = |world: &mut World, case| {
                lines(world, device, case).iter().map(|line| line.section).collect::<Vec<_>>()
            };
            assert_eq!((of(world, &case), of(world, &other)), (vec![section], vec![]));
        }
    };
    check(&mut world);
    for device in [amina, berta] {
        world.devices[device].rebuild_lists().unwrap();
        world.crash(device);
        world.connect(device);
    }
    world.settle();
    check(&mut world);
    // What happens to the other case does not follow to it; what happens to its own does.
    world.on(amina, |device, ambient| device.erase(ambient, &other)).unwrap();
    world.settle();
    assert_eq!(answer(&mut world, amina, &section), Some(json!("Sami")));
    world.on(amina, |device, ambient| device.erase(ambient, &case)).unwrap();
    world.settle();
    assert_eq!(answer(&mut world, amina, &section), None);
}

#[test]
fn a_case_that_names_a_section_of_another_case_has_no_effect_on_it() {
    let Team { mut world, amina, berta, case, .. } = team(87);
    let other = world.create_case(amina, json!({"name_first": "Rana"}));
    let third = world.create_case(amina, json!({"name_first": "Omar"}));
    let section = begin(&mut world, amina, &health(case, Noted::Title));
    let south = world.on(amina, |device, ambient| device.create_team(ambient, "South")).unwrap();
    let carmen = world.join(amina, south, Role::Editor, "Carmen");
    for named in [section, case] {
        write_raw(&mut world, berta, &other, &format!("vereda_section_{named}"), "Health");
    }
    assert_eq!(lines(&mut world, amina, &other).len(), 0);
    let now = world.now.wall;
    let view = world.devices[amina].who_has_access(&other, now).unwrap();
    assert!(view.sections.is_empty() && view.closed_sections.is_empty(), "{view:?}");
    let sections = vec![section];
    let request = ReferRequest {
        document: other,
        to: south,
        role: Role::Reader,
        expires: None,
        purpose: None,
        consent: None,
        sections: sections.clone(),
    };
    let refused = world.on(amina, |device, ambient| device.refer(ambient, &request));
    assert!(matches!(refused, Err(ReferError::NotASection { .. })), "{refused:?}");
    let (to, role) = (south, Role::Editor);
    let request = AssignRequest { case: other, to, role, transfer: false, sections };
    let refused = world.on(amina, |device, ambient| device.assign(ambient, &request));
    assert!(matches!(refused, Err(AssignError::NotASection { .. })), "{refused:?}");
    let request = AssignRequest { sections: Vec::new(), transfer: true, ..request };
    world.on(amina, |device, ambient| device.assign(ambient, &request)).unwrap();
    world.settle();
    assert_eq!(answer(&mut world, carmen, &section), None);
    write_raw(&mut world, berta, &third, &format!("vereda_section_{section}"), "Health");
    world.on(amina, |device, ambient| device.erase(ambient, &third)).unwrap();
    world.settle();
    assert_eq!(answer(&mut world, amina, &section), Some(json!("Sami")));
}
