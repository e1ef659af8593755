//! A worker who was away: taken off a case meanwhile, his work is not lost, and stands under his name and time once it was
//! taken in. Real programs, driven by commands as people type them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use serde_json::{Value, json};
use vereda_e2e::world::{Names, Relay, Worker, create_case, found, invite, join, quit, sync};

/// Runs a command with `--json`, expecting success.
fn json_of(worker: &Worker, words: &[&str]) -> Value {
    let ended = worker.command(&[words, &["--json"]].concat()).unwrap();
    assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.said);
    serde_json::from_str(&ended.printed).unwrap()
}

/// The newest entry of a case's history at a place.
fn newest_at(worker: &Worker, case: &str, place: &str) -> Value {
    let history = json_of(worker, &["case", "history", case, place]);
    history["history"].as_array().unwrap().last().unwrap().clone()
}

#[test]
fn edits_of_a_worker_who_was_taken_off_the_case_while_away_are_reviewed_adopted_and_stand_under_his_name_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start_with(&folder.path().join("relay"), "info").unwrap();
    let arrive = |name: &str| Worker::arrive(&folder.path().join(name), name, "correct horse battery").unwrap();
    let (amina, omar) = (arrive("amina"), arrive("omar"));
    let mut manager = amina.open().unwrap();
    found(&mut manager, &relay.founding_link(relay.address()).unwrap(), Names::default()).unwrap();
    let case = create_case(&mut manager, &json!({"name_first": "Samir", "sex": "male"})).unwrap();
    manager.call(json!({"do": "team.create", "name": "South"})).unwrap();
    let link = invite(&mut manager, "North").unwrap();
    let mut worker = omar.open().unwrap();
    join(&mut worker, &link, "Omar").unwrap();
    for session in [&mut manager, &mut worker] {
        sync(session).unwrap();
    }
    worker
        .until(&json!({"do": "case.list"}), |list| list["cases"].as_array().is_some_and(|cases| cases.len() == 1))
        .unwrap();
    quit(worker).unwrap();
    quit(manager).unwrap();

    // Away: no network is used by what he writes.
    json_of(&omar, &["case", "edit", &case, "--set", "name_last=Haddad"]);
    json_of(&omar, &["case", "edit", &case, "--set", "name_first=Samira"]);
    let written = ["name_last", "name_first"].map(|place| (place, newest_at(&omar, &case, place)));

    // Meanwhile the case goes to another team.
    let moved = json_of(&amina, &["assign", &case, "South", "--transfer", "--wait", "60"]);
    assert_eq!(moved["state"], "final", "{moved}");

    // Back: what he wrote waits, and nothing of it stands yet.
    json_of(&omar, &["sync"]);
    let own = json_of(&omar, &["review", "own"]);
    assert_eq!(own["own"][0]["state"], "in_review", "{own}");
    json_of(&amina, &["sync"]);
    assert_eq!(json_of(&amina, &["case", "show", &case])["fields"]["name_first"], "Samir");
    let reviews = json_of(&amina, &["review", "list"]);
    let works = reviews["reviews"][0]["works"].as_array().unwrap();
    assert!(works.iter().all(|work| work["author"]["name"] == "Omar"), "{works:?}");
    let received = works[0]["received"].as_i64().unwrap();
    let adopted = json_of(&amina, &["review", "adopt", &case, "--wait", "60"]);
    assert_eq!(adopted["state"], "final", "{adopted}");
    for (place, own) in written {
        let entry = newest_at(&amina, &case, place);
        assert_eq!((&entry["author"]["name"], &entry["value"]), (&json!("Omar"), &own["value"]));
        assert_eq!(entry["time"], own["time"], "as his own device noted it");
        assert!(entry["time"].as_i64().unwrap() <= received, "{place}");
    }
    assert_eq!(json_of(&amina, &["case", "show", &case])["fields"]["name_first"], "Samira");
    json_of(&omar, &["sync"]);
    let own = json_of(&omar, &["review", "own"]);
    assert_eq!(own["own"][0]["state"], "adopted", "{own}");
}
