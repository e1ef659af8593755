//! Primero's real configuration, and exports of our own for what it lacks.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use vereda_interchange::primero::{Import, ImportError, import};
use vereda_records::{
    Condition, Configuration, Field, FieldType, OptionSource, RecordType, Value,
    field::{DefaultAnswer, Link},
    sample::{Generator, LATEST_DAY},
    validate,
};

/// Returns a file of third-party data beside the workspace. Its absence fails the test, unless
/// `VEREDA_WITHOUT_SHARED_DATA=1` says that it is known, and never where `CI=true`.
fn shared_data(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if file.is_file() {
        return Some(file);
    }
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    assert!(
        is("VEREDA_WITHOUT_SHARED_DATA", "1") && !is("CI", "true"),
        "this test reads {}, which is missing; set VEREDA_WITHOUT_SHARED_DATA=1 to go on without it",
        file.display()
    );
    eprintln!("DID NOT RUN: {} is missing", file.display());
    None
}

fn real() -> Option<Import> {
    shared_data("primero/configuration_2.15.json").map(|file| import(&std::fs::read(file).unwrap()).unwrap())
}

#[test]
fn the_real_configuration_is_accounted_for() {
    let Some(Import { configuration, report }) = real() else { return };
    for loss in &report.losses {
        println!("{}: {}", loss.path, loss.reason);
    }
    assert_eq!((report.forms, report.fields, report.lookups, report.roles), (64, 476, 60, 12));
    assert_eq!((report.agencies, report.user_groups, report.reports, report.contacts), (1, 3, 13, 1));
    assert_eq!(configuration.forms.len() + configuration.subforms.len(), 64);
    let forms = configuration.forms.iter().chain(&configuration.subforms);
    assert_eq!(forms.map(|form| form.fields.len()).sum::<usize>(), 476);
    assert_eq!(configuration.languages, ["en"]);
    assert_eq!(Configuration::from_json(&configuration.to_json()).unwrap(), configuration);
}

#[test]
fn the_dirt_of_the_real_configuration_is_named() {
    let Some(Import { configuration, report }) = real() else { return };
    let check = |path: &str, part: &str| {
        let found = report.losses.iter().any(|loss| loss.path.contains(path) && loss.reason.contains(part));
        assert!(found, "{path}: {part}: {:#?}", report.losses);
    };
    check("option_strings_source", "no lookup lookup-legitimate-basis");
    check("subforms[tracing_actions_section]", "no field uses it");
    check("FormSection[family_details_section].collapsed_field_names", "relation_is_caregiver'");
    check("Lookup[lookup-separation-cause].lookup_values_i18n", "the code poverty is there already");
    check("Agency[UNICEF].logo_enabled", "logos are files");
    assert!(report.losses.len() < 40, "{:#?}", report.losses);
    // What the import leaves is consistent but for what it named.
    for problem in configuration.check() {
        check(&problem.path, &problem.reason);
    }
}

#[test]
fn no_key_of_the_real_configuration_is_dropped_in_silence() {
    let Some(file) = shared_data("primero/configuration_2.15.json") else { return };
    let json: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    // A key beside each known one, at every object that is not a map by language, role, form or tag, must be named.
    let mut planted = 0;
    let mut marked = json;
    plant(&mut marked, "", &mut planted);
    let report = import(&serde_json::to_vec(&marked).unwrap()).unwrap().report;
    let named = report.losses.iter().filter(|loss| loss.path.ends_with("planted_key")).count();
    assert!(planted > 1_000);
    assert_eq!(named, planted);
}

#[test]
fn a_change_of_any_value_changes_what_is_taken_or_what_is_listed() {
    let Some(file) = shared_data("primero/configuration_2.15.json") else { return };
    let mut json: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let data = json["data"].as_object_mut().unwrap();
    let wanted = ["services", "services_section"];
    data["FormSection"].as_array_mut().unwrap().retain(|form| wanted.contains(&form["unique_id"].as_str().unwrap()));
    for key in ["Lookup", "Role", "UserGroup", "Report"] {
        data[key].as_array_mut().unwrap().truncate(1);
    }
    let before = import(&serde_json::to_vec(&json).unwrap()).unwrap();
    let mut pointers = Vec::new();
    leaves(&json["data"], "/data".into(), &mut pointers);
    assert!(pointers.len() > 700, "{}", pointers.len());
    // Order decides only among neighbours; the rest says how Primero's own screens and rows work.
    let without_meaning = ["order", "form_group_keyed", "link_to_path_external"];
    for pointer in pointers {
        let key = pointer.rsplit('/').next().unwrap();
        if without_meaning.contains(&key) {
            continue;
        }
        let mut changed = json.clone();
        let leaf = changed.pointer_mut(&pointer).unwrap();
        *leaf = match leaf {
            Json::Bool(flag) => Json::from(!*flag),
            Json::Number(number) => Json::from(number.as_i64().unwrap() + 1),
            Json::String(text) => Json::from(format!("{text}x")),
            _ => continue,
        };
        let same = import(&serde_json::to_vec(&changed).unwrap()).as_ref() == Ok(&before);
        assert!(!same, "{pointer}");
    }
}

fn leaves(json: &Json, pointer: String, found: &mut Vec<String>) {
    match json {
        Json::Object(map) => map.iter().for_each(|(key, json)| leaves(json, format!("{pointer}/{key}"), found)),
        Json::Array(list) => {
            list.iter().enumerate().for_each(|(index, json)| leaves(json, format!("{pointer}/{index}"), found));
        }
        _ => found.push(pointer),
    }
}

fn plant(json: &mut Json, key: &str, planted: &mut usize) {
    match json {
        Json::Object(map) => {
            map.iter_mut().for_each(|(key, json)| plant(json, key, planted));
            let by_name = key.ends_with("_i18n")
                || ["display_text", "permissions", "objects", "form_section_read_write"].contains(&key);
            if !by_name {
                map.insert("planted_key".into(), Json::from(format!("planted {planted}")));
                *planted += 1;
            }
        }
        Json::Array(list) => {
            let key = if key.ends_with("_i18n") { "" } else { key };
            list.iter_mut().for_each(|json| plant(json, key, planted));
        }
        _ => {}
    }
}

#[test]
fn the_real_configuration_can_be_worked_with() {
    let Some(Import { configuration, .. }) = real() else { return };
    let mut generator = Generator::new(5);
    for _ in 0..10 {
        let case = generator.case(&configuration);
        assert_eq!(validate(&configuration, &case, LATEST_DAY), []);
        assert!(case.fields.len() > 30 && !case.entries("notes_section").is_empty(), "{}", case.fields.len());
        assert!(!case.entries("family_details_section").is_empty() && !case.entries("services_section").is_empty());
    }
    let (form, status) = configuration.field(RecordType::Case, "status").unwrap();
    assert_eq!(form.id, "basic_identity");
    assert_eq!(status.default, Some(DefaultAnswer::Value(vereda_records::condition::Literal::Text("open".into()))));
    assert!(configuration.form_groups.iter().any(|group| group.id == "identification_registration"));
}

#[test]
fn modules_and_locations_are_read_from_a_file_of_their_own() {
    let Some(file) = shared_data("primero/modules_locations_2.15.json") else { return };
    let Import { configuration, report } = import(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!((configuration.modules.len(), configuration.locations.len()), (1, 4));
    assert_eq!(configuration.modules[0].field_map.len(), 31);
    assert_eq!(configuration.locations.iter().filter_map(|location| location.parent.as_deref()).count(), 3);
    let lost = |path: &str| report.losses.iter().any(|loss| loss.path == path);
    assert!(lost("SystemSettings") && lost("ExportConfiguration"), "{:?}", report.losses);
}

/// An export with one form of the given fields, and a nested one.
fn export(fields: Json) -> Json {
    json!({"name": "ours", "data": {
        "FormSection": [
            {"unique_id": "main", "parent_form": "case", "name_i18n": {"en": "Main", "ar": "أساسي"}, "mobile_form": true,
             "display_conditions": {"eq": {"sex": "female"}}, "fields_attributes": fields},
            {"unique_id": "entries", "parent_form": "case", "name_i18n": {"en": "Entries"}, "is_nested": true,
             "visible": false, "subform_append_only": true, "subform_prevent_item_removal": true, "initial_subforms": 2,
             "collapsed_field_names": ["score"], "fields_attributes": [
                {"name": "score", "type": "numeric_field", "display_name_i18n": {"en": "Score"}},
                {"name": "day", "type": "date_field", "display_name_i18n": {"en": "Day"},
                 "display_conditions_subform": {"ge": {"score": 3}}},
            ]},
            {"unique_id": "holder", "parent_form": "case", "name_i18n": {"en": "Holder"}, "fields_attributes": [
                {"name": "sex", "type": "radio_button", "display_name_i18n": {"en": "Sex"},
                 "option_strings_source": "lookup lookup-sex"},
                {"name": "entries", "type": "subform", "display_name_i18n": {"en": "Entries"},
                 "subform_unique_id": "entries", "subform_section_configuration": {
                    "subform_sort_by": "day", "subform_group_by": "score", "fields": ["score", "day"],
                    "display_conditions": {"gt": {"score": 0}}}},
            ]},
        ],
        "Lookup": [{"unique_id": "lookup-sex", "name_i18n": {"en": "Sex", "uk": "Стать"}, "lookup_values_i18n": [
            {"id": "female", "display_text": {"en": "Female", "uk": "Жіноча"}, "tags": ["a"]},
            {"id": "male", "display_text": {"en": "Male"}, "disabled": true},
        ]}],
    }})
}

fn read(export: &Json) -> Import {
    import(&serde_json::to_vec(export).unwrap()).unwrap()
}

/// Reads an export with one field in its main form; the field must be taken without a loss.
fn field(attributes: Json) -> Field {
    let import = read(&export(json!([attributes])));
    assert_eq!(import.report.losses, []);
    assert_eq!(import.configuration.check(), []);
    import.configuration.form("main").unwrap().fields[0].clone()
}

#[test]
fn what_the_real_configuration_lacks_is_read() {
    let import = read(&export(json!([])));
    assert_eq!(import.report.losses, []);
    let configuration = &import.configuration;
    assert_eq!(configuration.languages, ["en", "ar", "uk"]);
    assert_eq!(configuration.form("main").unwrap().display_if, Some(Condition::eq("sex", "female")));
    let rules = &configuration.subform("entries").unwrap().entries;
    assert!(rules.append_only && rules.keep && rules.initial == 2 && rules.title_fields == ["score"]);
    let usage = configuration.form("holder").unwrap().fields[1].subform.clone().unwrap();
    assert_eq!(
        (usage.sort_by.as_deref(), usage.group_by.as_deref(), usage.fields.len()),
        (Some("day"), Some("score"), 2)
    );
    assert!(
        usage.entries_if.is_some() && configuration.subform("entries").unwrap().fields[1].display_if_entry.is_some()
    );
    let sex = configuration.lookup("lookup-sex").unwrap();
    assert!(sex.choices[1].disabled && sex.choices[0].tags == ["a"] && sex.choices[0].label.0["uk"] == "Жіноча");
}

#[test]
fn every_field_type_of_primero_is_read() {
    let check = |kind: &str, several: bool, expected: FieldType| {
        let tally = json!([{"id": "boys", "display_text": {"en": "Boys"}}]);
        let found = field(json!({
            "name": "x", "type": kind, "multi_select": several, "display_name_i18n": {"en": "X"},
            "tally_i18n": if kind == "tally_field" { tally } else { Json::Null },
            "calculation": if kind == "calculated" { json!({"expression": {"sum": ["x_other"]}}) } else { json!({}) },
            "option_strings_source": if expected.has_options() { json!("lookup lookup-sex") } else { Json::Null },
            "subform_unique_id": if kind == "subform" { json!("entries") } else { Json::Null },
            "link_to_form": if kind == "link_to_form" { json!("holder") } else { Json::Null },
        }));
        assert_eq!(found.field_type, expected, "{kind}");
    };
    check("text_field", false, FieldType::Text);
    check("textarea", false, FieldType::LongText);
    check("radio_button", false, FieldType::Radio);
    check("select_box", false, FieldType::SelectOne);
    check("select_box", true, FieldType::SelectMany);
    check("numeric_field", false, FieldType::Number);
    check("photo_upload_box", false, FieldType::Photo);
    check("audio_upload_box", false, FieldType::Audio);
    check("document_upload_box", false, FieldType::Document);
    check("date_field", false, FieldType::Date);
    check("date_range", false, FieldType::DateRange);
    check("subform", false, FieldType::Subform);
    check("separator", false, FieldType::Separator);
    check("tick_box", false, FieldType::TickBox);
    check("tally_field", false, FieldType::Tally);
    check("signature", false, FieldType::Signature);
    check("link_to_form", false, FieldType::LinkToForm);
}

#[test]
fn attributes_that_carry_meaning_are_read() {
    let found = field(json!({
        "name": "when", "type": "date_field", "display_name_i18n": {"en": "When", "es": "Cuándo", "ar": ""},
        "help_text_i18n": {"en": "Help"}, "guiding_questions_i18n": {"en": "Ask"}, "date_include_time": true,
        "date_validation": "not_future_date", "selected_value": "now", "required": true, "visible": true,
        "mandatory_for_completion": true, "mobile_visible": false, "hide_on_view_page": true, "matchable": true,
        "show_on_minify_form": true, "hidden_text_field": true, "disabled": true, "editable": false,
        "display_conditions_record": {"or": [{"eq": {"sex": "male"}}, {"in": {"sex": ["female"]}}]},
    }));
    assert!(found.with_time && found.not_in_future && found.required && found.mandatory_for_completion);
    assert!(!found.mobile_visible && found.hide_on_view && found.matchable && found.show_in_brief);
    assert!(found.hidden_text && found.disabled && !found.editable);
    assert_eq!(found.default, Some(DefaultAnswer::Now));
    assert_eq!(found.label.0.keys().collect::<Vec<_>>(), ["en", "es"]);
    assert!(matches!(found.display_if_record, Some(Condition::Or(list)) if list.len() == 2));

    let found = field(json!({
        "name": "place", "type": "select_box", "display_name_i18n": {"en": "Place"},
        "option_strings_source": "lookup lookup-sex", "option_strings_condition": {"a": {"eq": {"sex": "male"}}},
    }));
    assert_eq!(found.option_conditions.len(), 1);

    let found = field(json!({
        "name": "boys", "type": "tally_field", "display_name_i18n": {"en": "Children"}, "autosum_total": true,
        "autosum_group": "children", "tally_i18n": {"en": [{"id": "b", "display_text": "Boys"}], "uk": [{"id": "b", "display_text": "Хлопці"}]},
    }));
    assert!(found.sum_total && found.sum_group.as_deref() == Some("children"));
    assert_eq!(found.groups[0].label.0.len(), 2);

    let found = field(json!({
        "name": "last", "type": "numeric_field", "display_name_i18n": {"en": "Last"}, "subform_summary": {
            "subform_field_name": "entries", "first": {"field_name": "score", "order_by": "day", "order": "desc"}},
    }));
    assert!(found.summary.unwrap().descending);

    let found = field(json!({
        "name": "case_age", "type": "numeric_field", "display_name_i18n": {"en": "Age"}, "link_to_path": "tracing_request",
    }));
    assert_eq!(found.maximum.unwrap().as_str(), "130");
    assert_eq!(found.link, Some(Link::Record(RecordType::TracingRequest)));

    let found = field(json!({
        "name": "where", "type": "select_box", "display_name_i18n": {"en": "Where"}, "option_strings_source": "Location",
    }));
    assert_eq!(found.options, Some(OptionSource::Locations));
}

#[test]
fn a_calculation_is_read_and_computes() {
    let fields = json!([
        {"name": "a", "type": "numeric_field", "display_name_i18n": {"en": "A"}},
        {"name": "b", "type": "numeric_field", "display_name_i18n": {"en": "B"}},
        {"name": "mean", "type": "calculated", "display_name_i18n": {"en": "Mean"},
         "calculation": {"expression": {"avg": {"data": ["a", "b"], "extra": {"decimalPlaces": 1}}}}},
    ]);
    let Import { configuration, report } = read(&export(fields));
    assert_eq!(report.losses, []);
    let record =
        vereda_records::Record::new(RecordType::Case).with("a", Value::Integer(1)).with("b", Value::Integer(2));
    let computed = vereda_records::calculation::calculate(&configuration, &record, LATEST_DAY);
    assert_eq!(computed[0].1, Value::Decimal("1.5".parse().unwrap()));
}

#[test]
fn what_cannot_be_taken_is_a_loss_with_its_path() {
    let check = |attributes: Json, path: &str, reason: &str| {
        let mut field = json!({"name": "x", "type": "text_field", "display_name_i18n": {"en": "X"}});
        field.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        let losses = read(&export(json!([field]))).report.losses;
        let found = losses.iter().any(|loss| loss.path == path && loss.reason.contains(reason));
        assert!(found, "{path}: {reason}: {losses:?}");
    };
    let at = |key: &str| format!("FormSection[main].fields_attributes[x]{key}");
    check(json!({"type": "custom"}), &at(".type"), "not taken");
    check(json!({"name": "it's"}), "FormSection[main].fields_attributes[it's].name", "not taken");
    check(json!({"custom_template": "x.erb"}), &at(".custom_template"), "templates");
    check(json!({"unheard_of": 1}), &at(".unheard_of"), "not read");
    check(json!({"unheard_of": false}), &at(".unheard_of"), "not read");
    check(json!({"date_validation": "not_future_date"}), &at(".date_validation"), "no date");
    check(
        json!({"display_conditions_record": {"like": {"a": {}}}}),
        &at(".display_conditions_record"),
        "always displayed",
    );
    check(
        json!({"display_conditions_record": {"disabled": true, "eq": {"a": 1}}}),
        &at(".display_conditions_record"),
        "off",
    );
    check(json!({"type": "select_box"}), &at(""), "no options");
    check(
        json!({"type": "select_box", "option_strings_source": "violations"}),
        &at(".option_strings_source"),
        "any code",
    );
    check(
        json!({"type": "calculated", "calculation": {"expression": {"root": ["a"]}}}),
        &at(".calculation"),
        "stays empty",
    );
    check(json!({"type": "subform"}), "forms[main]/fields[x]/subform", "no subform");
    check(
        json!({"display_conditions_record": {"eq": {"nothing": 1}}}),
        "forms[main]/fields[x]/display_if_record",
        "no field nothing",
    );
    check(
        json!({"collapsed_field_for_subform_unique_id": "other"}),
        &at(".collapsed_field_for_subform_unique_id"),
        "another form",
    );
}

#[test]
fn a_broken_file_is_a_plain_error_with_its_place() {
    let check = |bytes: &[u8], expected: &str| assert_eq!(import(bytes).unwrap_err().to_string(), expected);
    check(b"", "not JSON, at line 1, column 0");
    check(b"{\"data\": {\"FormSection\": [", "not JSON, at line 1, column 26");
    check(b"[]", ": an object belongs here");
    check(b"{}", "data: an object belongs here");
    check(b"{\"data\": []}", "data: an object belongs here");
    check(br#"{"data": {"FormSection": {}}}"#, "FormSection: a list belongs here");
    check(br#"{"data": {"FormSection": [1]}}"#, "FormSection[0]: an object belongs here");
    check(br#"{"data": {"FormSection": [{}]}}"#, "FormSection[0].unique_id: a text belongs here");
    check(
        br#"{"data": {"FormSection": [{"unique_id": "a", "visible": "yes"}]}}"#,
        "FormSection[a].visible: true or false belongs here",
    );
    check(
        br#"{"data": {"FormSection": [{"unique_id": "a", "fields_attributes": [{"name": "b"}]}]}}"#,
        "FormSection[a].fields_attributes[b].type: a text belongs here",
    );
    check(
        br#"{"data": {"Lookup": [{"unique_id": "a", "name_i18n": {"en": 1}}]}}"#,
        "Lookup[a].name_i18n.en: a text by language belongs here",
    );
    check(br#"{"data": {"Lookup": [], "Lookup": []}}"#, "a key twice in one object, at line 1, column 32");
    check(&[b'['; 1_000], "not JSON, at line 1, column 128");
    assert!(matches!(import(&vec![b' '; (32 << 20) + 1]), Err(ImportError::TooLong { .. })));
}

#[test]
fn the_report_is_the_object_that_scripts_read() {
    let report = read(&export(json!([{"name": "x", "type": "custom"}]))).report;
    let expected = json!({
        "forms": 3, "fields": 4, "lookups": 1, "roles": 0, "agencies": 0, "user_groups": 0, "reports": 0, "contacts": 0,
        "losses": [{
            "path": "FormSection[main].fields_attributes[x].type",
            "reason": "no field type of this version; the field is not taken",
        }],
    });
    assert_eq!(serde_json::to_value(report).unwrap(), expected);
}
