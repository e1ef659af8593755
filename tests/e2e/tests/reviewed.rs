//! A worker who was away: taken off a case meanwhile, his work is not lost, and stands under his name and time once it was
//! taken in. Real programs, driven by commands as people type them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]
#![allow(clippy::disallowed_methods, reason = "what is written is dated by this machine's clock")]

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vereda_e2e::world::{Names, Relay, Worker, create_case, found, invite, join, quit, sync};

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Waits until the clock shows a later second: devices note whole seconds.
fn pass_a_second() {
    let second = now_ms() / 1_000;
    while now_ms() / 1_000 == second {
        std::hint::spin_loop();
    }
}

/// Runs a command with `--json`, expecting success.
fn json_of(worker: &Worker, words: &[&str]) -> Value {
    let ended = worker.command(&[words, &["--json"]].concat()).unwrap();
    assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.said);
    serde_json::from_str(&ended.printed).unwrap()
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
    let began = now_ms() / 1_000 * 1_000;
    json_of(&omar, &["case", "edit", &case, "--set", "name_last=Haddad"]);
    json_of(&omar, &["case", "edit", &case, "--set", "name_first=Samira"]);
    let written = now_ms();
    pass_a_second();

    // Meanwhile the case goes to another team.
    let moved = json_of(&amina, &["assign", &case, "South", "--transfer", "--wait", "60"]);
    assert_eq!(moved["state"], "final", "{moved}");
    pass_a_second();

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
    assert!(received > written, "it came after it was written");

    let adopted = json_of(&amina, &["review", "adopt", &case, "--wait", "60"]);
    assert_eq!(adopted["state"], "final", "{adopted}");
    let history = json_of(&amina, &["case", "history", &case]);
    for (place, value) in [("name_last", "Haddad"), ("name_first", "Samira")] {
        let entries = history["history"].as_array().unwrap();
        let entry = entries.iter().rev().find(|entry| entry["place"] == place).unwrap();
        assert_eq!((&entry["value"], &entry["author"]["name"]), (&json!(value), &json!("Omar")));
        let time = entry["time"].as_i64().unwrap();
        assert!((began..=written).contains(&time), "{place}: {time} is not between {began} and {written}");
    }
    assert_eq!(json_of(&amina, &["case", "show", &case])["fields"]["name_first"], "Samira");
    json_of(&omar, &["sync"]);
    let own = json_of(&omar, &["review", "own"]);
    assert_eq!(own["own"][0]["state"], "adopted", "{own}");
}
