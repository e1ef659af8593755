//! Validation, calculation, visibility and the plain JSON form, on the starter configuration.

use jiff::civil::date;
use serde_json::json;
use vereda_base::{Digest, Timestamp};
use vereda_records::{
    Attachment, Configuration, DateRange, Decimal, Edit, Entry, EntryId, FieldPath, Record, RecordType, Rule, Value,
    ValueKind,
    calculation::{calculate, default_answer, sums},
    edit, json, starter, summarize, validate,
    validation::{incomplete, validate_change},
};

const TODAY: jiff::civil::Date = date(2025, 6, 1);

fn configuration() -> &'static Configuration {
    starter::child_protection()
}

fn id(byte: u8) -> EntryId {
    EntryId([byte; 16])
}

/// The smallest valid case.
fn case() -> Record {
    Record::new(RecordType::Case)
        .with("name_first", Value::text("Amina"))
        .with("sex", Value::choice("female"))
        .with("registration_date", Value::Date(TODAY))
        .with("consent_given", Value::choice("yes"))
        .with("status", Value::choice("open"))
}

fn violations(record: &Record) -> Vec<String> {
    validate(configuration(), record, TODAY).iter().map(ToString::to_string).collect()
}

#[test]
fn a_violation_names_the_path_and_never_the_value() {
    assert_eq!(violations(&case()), Vec::<String>::new());
    let check = |field: &str, value: Value, expected: &str| {
        assert_eq!(violations(&case().with(field, value)), [expected], "{field}");
    };
    let long = "x".repeat(1_001);
    let range = DateRange { from: Some(date(2025, 2, 1)), to: Some(date(2025, 1, 1)) };
    check("name_first", Value::Deleted, "identification/name_first: an answer is required");
    check("name_first", Value::text("  "), "identification/name_first: an answer is required");
    check("name_last", Value::text(long), "identification/name_last: longer than 1000");
    check("name_last", Value::text("a\nb"), "identification/name_last: control characters in a one-line text");
    check("name_last", Value::Integer(1), "identification/name_last: a number where a text belongs");
    check("sex", Value::choice("x"), "identification/sex: no such option");
    check("date_of_birth", Value::Date(date(2025, 6, 2)), "identification/date_of_birth: a date after today");
    check("telephone", Value::text("call me"), "identification/telephone: not a telephone number");
    check("location_current", Value::Location("XX".into()), "identification/location_current: no such option");
    check(
        "nationality",
        Value::Choices(["iraqi".into(), "x".into()].into()),
        "identification/nationality: no such option",
    );
    check("household", Value::Tally([("x".into(), 1)].into()), "family/household: no such group");
    check("household", Value::Tally([("girls".into(), -1)].into()), "family/household: a count below zero");
    check("consent_period", Value::DateRange(range), "consent/consent_period: the first day is after the last");
    check("score_care", Value::Integer(5), "assessment/score_care: not above 4");
    check("score_care", Value::Decimal("-0.5".parse().unwrap()), "assessment/score_care: not below 0");
}

#[test]
fn telephone_numbers_of_any_script_are_accepted() {
    for number in ["+964 770 123 4567", "(061) 55-12.34", "٠٧٧٠ ١٢٣ ٤٥٦٧"] {
        assert_eq!(violations(&case().with("telephone", Value::text(number))), Vec::<String>::new(), "{number}");
    }
}

#[test]
fn entries_are_checked_with_their_path() {
    let member = Entry::new(id(7), "1").with("member_name", Value::text("Y")).with("member_age", Value::Integer(131));
    let bad_order = Entry::new(id(8), "0").with("nested", Value::Subform(vec![]));
    let record = case().with("family_members", Value::Subform(vec![member.clone(), bad_order, member]));
    let (seven, eight) = (id(7), id(8));
    let expected = [
        format!("family/family_members[{seven}]/member_age: not above 130"),
        format!("family/family_members[{eight}]: not an order key"),
        format!("family/family_members[{eight}]/nested: subforms do not nest"),
        format!("family/family_members[{seven}]: an entry id twice"),
        format!("family/family_members[{seven}]/member_age: not above 130"),
        format!("family/family_members[{seven}]/member_relation: an answer is required"),
        format!("family/family_members[{eight}]/member_name: an answer is required"),
        format!("family/family_members[{eight}]/member_relation: an answer is required"),
        format!("family/family_members[{seven}]/member_relation: an answer is required"),
    ];
    assert_eq!(violations(&record), expected);
}

#[test]
fn fields_that_are_not_displayed_are_not_required_and_those_that_are_become_so() {
    let closed = case().with("status", Value::choice("closed"));
    let expected = ["closure/closure_date: an answer is required", "closure/closure_reason: an answer is required"];
    assert_eq!(violations(&closed), expected);
    let missing = incomplete(configuration(), &closed);
    let paths: Vec<String> = missing.iter().map(|(form, path)| format!("{form}/{path}")).collect();
    assert!(paths.contains(&"closure/closure_summary".to_owned()));
    assert!(paths.contains(&"identification/date_of_birth".to_owned()));
    assert!(!incomplete(configuration(), &case()).iter().any(|(form, _)| form == "closure"));
}

#[test]
fn answers_to_unknown_fields_are_kept_and_only_their_size_is_checked() {
    assert_eq!(violations(&case().with("gone_field", Value::choice("anything"))), Vec::<String>::new());
    let long = Value::LongText("x".repeat(50_001));
    assert_eq!(violations(&case().with("gone_field", long)), ["gone_field: longer than 50000"]);
}

#[test]
fn attachments_are_counted_over_the_whole_record() {
    let attachment = Attachment {
        content: Digest([1; 32]),
        media_type: "image/jpeg".into(),
        size_bytes: 20 << 20,
        name: "photo".into(),
        attached_at: Timestamp(0),
        note: String::new(),
    };
    let photos = |count: u8| Value::Attachments((0..count).map(|n| (id(n), attachment.clone())).collect());
    assert_eq!(violations(&case().with("photo", photos(50)).with("voice", photos(50))), Vec::<String>::new());
    let record = case().with("photo", photos(50)).with("voice", photos(51));
    assert_eq!(validate(configuration(), &record, TODAY)[0].rule, Rule::TooMany { max: 100 });
    let mut large = attachment;
    large.size_bytes += 1;
    let record = case().with("photo", Value::Attachments([(id(1), large)].into()));
    assert_eq!(validate(configuration(), &record, TODAY)[0].rule, Rule::TooLarge { max: 20 << 20 });
}

#[test]
fn append_only_entries_are_only_added() {
    let visit = |progress: &str| {
        Entry::new(id(1), "1")
            .with("follow_up_date", Value::Date(TODAY))
            .with("follow_up_progress", Value::LongText(progress.into()))
    };
    let before = case().with("follow_ups", Value::Subform(vec![visit("good")]));
    let check = |entries: Vec<Entry>, expected: &[Rule]| {
        let after = case().with("follow_ups", Value::Subform(entries));
        let rules: Vec<Rule> =
            validate_change(configuration(), &before, &after).into_iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, expected);
    };
    check(vec![visit("good"), Entry::new(id(2), "2")], &[]);
    check(vec![visit("better")], &[Rule::AppendOnly]);
    check(vec![], &[Rule::AppendOnly]);

    let note = Entry::new(id(3), "1").with("note_text", Value::LongText("a".into()));
    let before = case().with("notes_written", Value::Subform(vec![note.clone()]));
    let changed =
        case().with("notes_written", Value::Subform(vec![note.with("note_text", Value::LongText("ab".into()))]));
    assert_eq!(validate_change(configuration(), &before, &changed), []);
    assert_eq!(validate_change(configuration(), &before, &case())[0].rule, Rule::Kept);
}

#[test]
fn calculations_follow_the_answers_and_then_rest() {
    let visit = |byte: u8, day: jiff::civil::Date, next: Option<jiff::civil::Date>| {
        let entry = Entry::new(id(byte), "1").with("follow_up_date", Value::Date(day));
        match next {
            Some(next) => entry.with("follow_up_next", Value::Date(next)),
            None => entry,
        }
    };
    let visits = vec![
        visit(1, date(2025, 1, 1), Some(date(2025, 2, 1))),
        visit(2, date(2025, 3, 1), Some(date(2025, 4, 1))),
        visit(3, date(2025, 2, 1), None),
    ];
    let mut record = case()
        .with("date_of_birth", Value::Date(date(2012, 6, 2)))
        .with("household", Value::Tally([("girls".into(), 2), ("women".into(), 1)].into()))
        .with("score_care", Value::Integer(1))
        .with("score_safety", Value::Integer(2))
        .with("follow_ups", Value::Subform(visits));
    let computed = calculate(configuration(), &record, TODAY);
    let expected = [
        ("age", Value::Integer(12)),
        ("follow_up_next_due", Value::Date(date(2025, 4, 1))),
        ("household_total", Value::Integer(3)),
        ("score_mean", Value::Decimal("1.5".parse().unwrap())),
    ];
    let expected = expected.map(|(field, value)| (FieldPath::field(field), value));
    assert_eq!(computed, expected);
    for (path, value) in computed {
        edit::apply(&mut record, &Edit::Set { path, value }).unwrap();
    }
    assert_eq!(calculate(configuration(), &record, TODAY), []);
    assert_eq!(violations(&record), Vec::<String>::new());
    record.fields.insert("date_of_birth".into(), Value::Deleted);
    assert_eq!(calculate(configuration(), &record, TODAY), [(FieldPath::field("age"), Value::Deleted)]);

    let form = configuration().form("family").unwrap();
    assert_eq!(sums(form, &record.fields), [("household".to_owned(), Decimal::from(3))].into());
}

#[test]
fn new_records_begin_with_the_answers_of_their_definition() {
    let default = |name: &str| {
        let (_, field) = configuration().field(RecordType::Case, name).unwrap();
        default_answer(field, TODAY, Timestamp(5))
    };
    assert_eq!(default("status"), Some(Value::choice("open")));
    assert_eq!(default("registration_date"), Some(Value::Date(TODAY)));
    assert_eq!(default("name_first"), None);
}

#[test]
fn the_plain_form_reads_as_scripts_write_it() {
    let json = json!({
        "record_type": "case",
        "fields": {
            "name_first": "Amina", "date_of_birth": "2015-02-03", "nationality": ["iraqi"], "injuries": true,
            "score_care": 2.5, "household": {"girls": 2}, "consent_period": {"from": "2025-01-01"}, "sex": null,
            "family_members": [{"id": "07".repeat(16), "order": "1", "fields": {"member_age": 40}}],
            "gone_field": {"type": "choice", "value": "x"},
        },
    });
    let record = json::read(configuration(), &json).unwrap();
    assert_eq!(record.fields["score_care"], Value::Decimal("2.5".parse().unwrap()));
    assert_eq!(record.fields["sex"], Value::Deleted);
    assert_eq!(record.fields["gone_field"], Value::choice("x"));
    assert_eq!(record.at(&FieldPath::within("family_members", id(7), "member_age")), Some(&Value::Integer(40)));
    let written = json::write(configuration(), &record);
    assert_eq!(written["fields"]["score_care"], json!("2.5"));
    assert_eq!(written["fields"]["household"], json!({"girls": 2}));
    assert_eq!(written["fields"]["family_members"], json["fields"]["family_members"]);
    assert_eq!(json::read(configuration(), &written).unwrap(), record);
}

#[test]
fn what_a_person_types_is_read_by_the_kind_of_the_field() {
    let check = |path: &str, text: &str, expected: Option<Value>| {
        let path: FieldPath = path.parse().unwrap();
        let field = configuration().field_at(RecordType::Case, &path);
        assert_eq!(json::read_text(field, path, text).ok(), expected, "{text}");
    };
    check("name_first", "12", Some(Value::text("12")));
    check("name_first", "", Some(Value::Deleted));
    check("date_of_birth", "2015-02-03", Some(Value::Date(date(2015, 2, 3))));
    check("date_of_birth", "soon", None);
    check("injuries", "true", Some(Value::Boolean(true)));
    check("injuries", "perhaps", None);
    check("nationality", "iraqi, syrian", Some(Value::Choices(["iraqi".into(), "syrian".into()].into())));
    check("household", r#"{"girls": 2}"#, Some(Value::Tally([("girls".into(), 2)].into())));
    check(
        "consent_period",
        r#"{"from": "2025-01-01"}"#,
        Some(Value::DateRange(DateRange { from: Some(date(2025, 1, 1)), to: None })),
    );
    check(&format!("family_members[{}]/member_age", id(1)), "40", Some(Value::Integer(40)));
    check("gone_field", "x", None);
    check("gone_field", r#"{"type": "text", "value": "x"}"#, Some(Value::text("x")));
}

#[test]
fn json_of_another_kind_is_refused_with_its_path() {
    let check = |fields: serde_json::Value, expected: &str| {
        let error = json::read(configuration(), &json!({"record_type": "case", "fields": fields})).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(json!({"date_of_birth": "yesterday"}), "date_of_birth: a date belongs here");
    check(json!({"nothing": 1}), "nothing: no such field");
    check(json!({"family_members": [{"id": 1}]}), "family_members: an entry is an object with id, order and fields");
    check(json!({"household": {"girls": "two"}}), "household: a tally belongs here");
    let error = json::read(configuration(), &json!({"record_type": "case", "fields": {}, "extra": 1})).unwrap_err();
    assert_eq!(error, json::ReadError::UnknownKey);
}

#[test]
fn values_of_every_kind_survive_the_plain_form_even_under_a_foreign_field() {
    let values = [
        Value::text("x"),
        Value::LongText("a\nb".into()),
        Value::Integer(-1),
        Value::Decimal("3".parse().unwrap()),
        Value::Boolean(true),
        Value::Date(TODAY),
        Value::DateTime(Timestamp(1_748_736_000_123)),
        Value::DateTime(Timestamp(i64::MAX)),
        Value::DateRange(DateRange { from: None, to: None }),
        Value::choice("2025-01-01"),
        Value::Choices(["a".into()].into()),
        Value::Tally([("type".into(), 1), ("value".into(), 2)].into()),
        Value::Location("EX".into()),
        Value::Subform(vec![Entry::new(id(1), "1").with("x", Value::Tally([("a".into(), 1)].into()))]),
        Value::Attachments(Default::default()),
        Value::Deleted,
    ];
    for field in ["name_first", "household", "closed_at", "family_members", "score_care", "unknown"] {
        for value in &values {
            let record = Record::new(RecordType::Case).with(field, value.clone());
            let json = json::write(configuration(), &record);
            assert_eq!(json::read(configuration(), &json).as_ref(), Ok(&record), "{json}");
        }
    }
}

#[test]
fn a_list_shows_the_columns_of_the_configuration() {
    let summary = summarize(configuration(), &case().with("name_last", Value::text("Saleh")));
    assert_eq!(summary.title, "Amina Saleh");
    assert_eq!(summary.fields.keys().collect::<Vec<_>>(), ["registration_date", "sex", "status"]);
}

#[test]
fn problems_of_a_configuration_have_their_path() {
    let check = |change: &dyn Fn(&mut Configuration), expected: &str| {
        let mut changed = configuration().clone();
        change(&mut changed);
        let problems: Vec<String> = changed.check().iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem == expected), "{expected}: {problems:?}");
    };
    check(&|c| drop(c.lookups.remove(0)), "forms[identification]/fields[sex]/options: no lookup sex");
    check(&|c| c.forms[0].fields[0].name = "a b".into(), "forms[identification]/fields[a b]: not a well-formed name");
    check(&|c| c.forms.push(c.forms[0].clone()), "forms[identification]: an id twice");
    check(&|c| drop(c.subforms.remove(0)), "forms[family]/fields[family_members]/subform: no subform family_member");
    check(&|c| drop(c.forms[2].fields.remove(3)), "subforms[family_member]: no field uses it");
    check(&|c| c.languages.clear(), "languages: no language");
    check(&|c| c.locations[1].parent = Some("NO".into()), "locations[EX01]/parent: no such location");
    check(
        &|c| c.forms[3].fields[0].name = "name_first".into(),
        "forms[incident]/fields[name_first]/type: the answer is shared with form identification, where its kind is another",
    );
    check(&|c| drop(c.forms[1].fields.remove(0)), "forms[case_plan]/display_if: no field consent_given in a case");
}

#[test]
fn a_configuration_of_another_shape_is_refused_with_its_place() {
    let check = |text: &str, expected: &str| {
        assert_eq!(Configuration::from_json(text.as_bytes()).unwrap_err().to_string(), expected);
    };
    check("{", "not JSON, at line 1, column 1");
    check(r#"{"format":2}"#, "a configuration of format 2, where 1 is the newest known");
    check(r#"{"format":1,"unknown":1}"#, "not a configuration of format 1: unexpected content at line 1, column 21");
}

#[test]
fn kinds_may_be_logged_and_ids_read() {
    assert_eq!(serde_json::to_string(&ValueKind::DateRange).unwrap(), "\"date_range\"");
}
