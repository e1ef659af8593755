//! Whoever is at the keyboard.

use serde_json::json;
use vereda_e2e::world::run_to_end;

use super::stage::{Stage, assert_says};

#[test]
fn a_wrong_passphrase_opens_nothing_is_not_echoed_and_slows_down_from_the_fourth_on() {
    let stage = Stage::build();
    let mut stranger = stage.amina.clone();
    stranger.passphrase = "open sesame".into();
    for _ in 0..3 {
        let ended = stranger.command(&["case", "list"]).unwrap();
        assert_says(&ended, 3, &["vereda: wrong passphrase"]);
        assert!(!ended.said.contains("sesame") && ended.printed.is_empty());
    }
    let ended = stranger.command(&["case", "list"]).unwrap();
    assert_says(&ended, 3, &["too many wrong attempts", "try again in", " s"]);
    // The right one waits too, and then opens everything.
    let waits = |ended: &vereda_e2e::world::Ended| ended.code == Some(3) && ended.said.contains("too many");
    let mut ended = stage.amina.command(&["status"]).unwrap();
    while waits(&ended) {
        ended = stage.amina.command(&["status"]).unwrap();
    }
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.nothing_is_lost();
}

#[test]
fn another_persons_vault_on_the_same_device_stays_closed_and_is_not_touched() {
    let stage = Stage::build();
    let home = stage.amina.home().display().to_string();
    let vereda = |passphrase: &str, words: &[&str]| {
        let args: Vec<&str> = ["--home", &home].into_iter().chain(words.iter().copied()).collect();
        let program = vereda_e2e::process::binary("vereda").unwrap();
        run_to_end(&program, &args, &[("VEREDA_PASSPHRASE", passphrase.as_ref())]).unwrap()
    };
    assert_eq!(vereda("of berta", &["vault", "new", "berta", "--fast"]).code, Some(0));
    assert_says(&vereda("of berta", &["case", "list"]), 2, &["several vaults here", "--vault NAME"]);
    assert_says(&vereda("of berta", &["--vault", "amina", "case", "list"]), 3, &["wrong passphrase"]);
    assert_says(
        &vereda("of berta", &["--vault", "carlos", "case", "list"]),
        4,
        &["no vault of this name", "vault list"],
    );
    let listed = vereda("of berta", &["--vault", "berta", "--json", "case", "list"]);
    assert_eq!((listed.code, listed.printed.contains(&stage.case)), (Some(0), false));
    let listed = vereda("correct horse", &["--vault", "amina", "--json", "case", "list"]);
    assert_eq!((listed.code, listed.printed.contains(&stage.case)), (Some(0), true));
}

#[test]
fn a_vault_that_another_process_has_open_is_left_to_it() {
    let stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    let ended = stage.amina.command(&["case", "list"]).unwrap();
    assert_says(&ended, 1, &["in use by another process", "close it there first"]);
    session.call(json!({"do": "status"})).unwrap();
    stage.nothing_is_lost_in(&mut session);
}
