//! Devices of one person, each a process of its own.

use serde_json::json;

use super::{
    home::Home,
    with_relay::{Relay, two},
};

/// Links a new home to a person's.
fn link(old: &Home, name: &str) -> Home {
    let offer = old.json(&["device", "link"]);
    let new = Home::with_vault("new");
    let answer = new.json(&["device", "answer", offer["offer"].as_str().unwrap(), "--name", name]);
    let code = answer["code"].as_str().unwrap();
    let confirmed = old.json(&["device", "confirm", answer["answer"].as_str().unwrap(), "--code", code]);
    assert_eq!(confirmed["added"], json!(true));
    let joined = new.json(&["device", "confirm", "--code", &code.to_lowercase()]);
    assert_ne!(joined["membership"], "pending");
    old.ok(&["sync"]);
    new.ok(&["sync"]);
    new
}

#[test]
fn a_second_device_is_linked_and_both_edit_as_one_person() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    let tablet = link(&amina, "Tablet");
    assert_eq!(tablet.json(&["status"])["person"], "Amina");
    tablet.ok(&["case", "edit", &case, "--set", "name_last=Hassan"]);
    for home in [&tablet, &amina, &berta] {
        home.ok(&["sync"]);
    }
    assert_eq!(berta.json(&["case", "show", &case])["fields"]["name_last"], "Hassan");
    assert_eq!(amina.json(&["digest"]), tablet.json(&["digest"]));
}

#[test]
fn a_wrong_code_links_nothing_and_nothing_is_asked_without_a_terminal() {
    let relay = Relay::start();
    let amina = Home::with_vault("amina");
    let founding = relay.founding_link();
    amina.ok(&["agency", "create", "--founding", &founding, "--name", "Child Aid", "--person", "Amina"]);
    amina.ok(&["sync"]);
    let offer = amina.json(&["device", "link"]);
    let offer = offer["offer"].as_str().unwrap();
    let tablet = Home::with_vault("new");
    let answer = tablet.json(&["device", "answer", offer, "--name", "Tablet"]);
    let answer = answer["answer"].as_str().unwrap();
    let error = amina.fails(&["device", "confirm", answer], 2);
    assert!(error.contains("--code"), "{error}");
    let error = amina.fails(&["device", "confirm", answer, "--code", "0000-0000-0000"], 1);
    assert!(error.contains("differ"), "{error}");
    amina.fails(&["device", "confirm", answer, "--code", "0000-0000-0000"], 4);
    amina.fails(&["device", "confirm", "vereda://linked?device=AA"], 6);
    amina.fails(&["device", "answer", offer, "--name", "Phone"], 1);
    let other = Home::with_vault("other");
    other.fails(&["device", "confirm", "--code", "0000-0000-0000"], 4);
}
