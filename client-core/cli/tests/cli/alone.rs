//! What one device does without any relay.

use serde_json::json;

use super::home::Home;

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A home whose person founded an agency with a team and the starter configuration, offline.
fn founded() -> Home {
    let home = Home::with_vault("amina");
    let link = format!("vereda://found?relay=ws://127.0.0.1:9/sync&key={KEY}&secret={KEY}");
    home.ok(&["agency", "create", "--founding", &link, "--name", "Child Aid", "--person", "Amina"]);
    home.ok(&["team", "create", "North"]);
    home.ok(&["config", "apply", "--starter"]);
    home
}

#[test]
fn an_import_is_tried_without_a_vault_and_accounts_for_what_it_found() {
    let home = Home::new();
    let export = json!({"Lookup": [{"unique_id": "lookup-x", "name_i18n": {"en": "X"}, "lookup_values_i18n": [
        {"id": "a", "display_text": {"en": "A"}},
    ]}], "Mystery": [1]});
    let file = home.write("export.json", &export.to_string());
    let account = home.json(&["import", "primero", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(account["lookups"], 1);
    for key in ["forms", "fields", "lookups", "roles", "losses"] {
        assert!(account.get(key).is_some(), "{account}");
    }
    let losses = account["losses"].as_array().unwrap();
    assert!(losses.iter().all(|loss| loss["path"].is_string() && loss["reason"].is_string()));
    assert!(losses.iter().any(|loss| loss["path"].as_str().unwrap().contains("Mystery")), "{account}");
    let broken = home.write("broken.json", "{\"Lookup\": [");
    let error = home.fails(&["import", "primero", broken.to_str().unwrap(), "--dry-run"], 6);
    assert!(error.contains("nothing was taken"), "{error}");
}

#[test]
fn a_case_is_registered_changed_shown_and_listed() {
    let home = founded();
    let case = home.json(&["case", "create", "--set", "name_first=Samir", "--set", "sex=male"]);
    let id = case["case"].as_str().unwrap()[..6].to_owned();
    home.ok(&[
        "case",
        "edit",
        &id,
        "--set",
        "protection_concerns=unaccompanied, separated",
        "--set",
        "date_of_birth_estimated=yes",
        "--add",
        r#"family_members={"member_name":"Omar","member_age":40}"#,
        "--append",
        "consent_conditions=Only by day.",
    ]);
    let shown = home.json(&["case", "show", &id]);
    assert_eq!(shown["fields"]["name_first"], "Samir");
    assert_eq!(shown["fields"]["protection_concerns"], json!(["separated", "unaccompanied"]));
    assert_eq!(shown["fields"]["date_of_birth_estimated"], true);
    assert_eq!(shown["fields"]["consent_conditions"], "Only by day.");
    let entry = shown["fields"]["family_members"][0]["id"].as_str().unwrap()[..4].to_owned();
    home.ok(&["case", "edit", &id, "--set", &format!("family_members[{entry}]/member_age=41"), "--clear", "sex"]);
    let shown = home.json(&["case", "show", &id]);
    assert_eq!(shown["fields"]["family_members"][0]["fields"]["member_age"], 41);
    assert_eq!(shown["fields"]["sex"], json!(null));
    assert_eq!(shown["sync"]["state"], "saved");

    let text = home.ok(&["case", "show", &id]);
    assert!(text.contains("Identification") && text.contains("Samir"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let list = home.json(&["case", "list", "--filter", "samir"]);
    assert_eq!(list["cases"][0]["title"], "Samir");
    assert_eq!(home.json(&["case", "list", "--filter", "nobody"])["cases"], json!([]));
    let history = home.json(&["case", "history", &id, "sex"]);
    let values: Vec<_> = history["history"].as_array().unwrap().iter().map(|entry| entry["value"].clone()).collect();
    assert_eq!(values, [json!("male"), json!(null)]);
    assert_eq!(history["history"][0]["author"]["name"], "Amina");
    let error = home.fails(&["case", "edit", &id, "--set", "perpetrator_count=many"], 6);
    assert!(error.contains("perpetrator_count") && !error.contains("many"), "{error}");
}

#[test]
fn a_case_is_read_from_a_file_as_it_was_shown() {
    let home = founded();
    let first = home.json(&["case", "create", "--set", "name_first=Samir", "--set", "sex=male"]);
    let shown = home.ok(&["case", "show", first["case"].as_str().unwrap(), "--json"]);
    let file = home.write("case.json", &shown);
    let second = home.json(&["case", "create", "--from", file.to_str().unwrap(), "--team", "north"]);
    let again = home.json(&["case", "show", second["case"].as_str().unwrap()]);
    assert_eq!(again["fields"]["name_first"], "Samir");
    assert_ne!(first["case"], second["case"]);
}

#[test]
fn the_configuration_is_shown_exported_and_applied_again() {
    let home = founded();
    let shown = home.json(&["config", "show"]);
    assert_eq!(shown["version"], 1);
    let whole = home.ok(&["config", "show", "--full"]);
    let file = home.write("configuration.json", &whole);
    let applied = home.json(&["config", "apply", file.to_str().unwrap()]);
    assert_eq!(applied["version"], 2);
    assert_eq!(applied["fields"], shown["fields"]);
    let fields = home.ok(&["config", "show", "--form", "identification"]);
    assert!(fields.contains("name_first") && fields.lines().all(|line| line.chars().count() <= 80), "{fields}");
}

#[test]
fn what_a_session_acknowledged_is_there_after_kill() {
    let home = founded();
    let mut session = home.session();
    let case = session.ok(json!({"do": "case.create", "fields": {"name_first": "A"}}))["case"].clone();
    for value in ["B", "A", "B", "A"] {
        session.ok(json!({"do": "case.edit", "case": case, "set": {"name_first": value}}));
    }
    session.kill();
    let mut session = home.session();
    let history = session.ok(json!({"do": "case.history", "case": case, "field": "name_first"}));
    let values: Vec<_> =
        history["history"].as_array().unwrap().iter().map(|entry| entry["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["A", "B", "A", "B", "A"]);
    assert!(session.end());
}

#[test]
fn a_session_refuses_what_it_does_not_understand_and_goes_on() {
    let home = founded();
    let mut session = home.session();
    for (request, code) in [
        (json!({"do": "dance"}), "usage"),
        (json!({"do": "case.list", "unknown": 1}), "usage"),
        (json!({"do": "case.show", "case": "0123456"}), "not_found"),
        (json!({"do": "case.create", "fields": {"no_such_field": "Amina"}}), "unusable"),
        (json!({"do": "invite", "chain": "North", "role": "king", "hours": 1}), "usage"),
    ] {
        let answer = session.ask(request.clone());
        assert_eq!(answer["ok"], json!(false), "{request}");
        assert_eq!(answer["code"], code, "{request}: {answer}");
        assert!(!answer["error"].as_str().unwrap().contains("Amina"));
    }
    let status = session.ok(json!({"do": "status"}));
    assert_eq!(status["membership"], "pending");
    session.ok(json!({"do": "quit"}));
}

#[test]
fn two_processes_do_not_open_one_vault() {
    let home = founded();
    let session = home.session();
    let error = home.fails(&["status"], 1);
    assert!(error.contains("in use"), "{error}");
    assert!(session.end());
    home.ok(&["status"]);
}
