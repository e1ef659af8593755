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

#[test]
fn devices_are_listed_and_named_and_what_they_let_in_is_shown() {
    let relay = Relay::start();
    let (amina, berta, _) = two(&relay);
    let tablet = link(&amina, "Tablet");
    tablet.json(&["invite", "North", "--role", "manager"]);
    amina.ok(&["sync"]);
    let listed = amina.json(&["device", "list"]);
    let devices = listed["devices"].as_array().unwrap();
    let names: Vec<_> = devices.iter().map(|device| (&device["name"], &device["is_this"])).collect();
    assert_eq!(names, [(&json!(null), &json!(true)), (&json!("Tablet"), &json!(false))]);
    let all = amina.json(&["device", "list", "--all"]);
    assert_eq!(all["devices"].as_array().unwrap().len(), 3);
    let own = devices[0]["device"].as_str().unwrap();
    amina.ok(&["device", "name", own, "Old phone"]);
    assert!(amina.ok(&["device", "list"]).contains("Old phone"));
    let error = berta.fails(&["device", "remove", "Tablet"], 4);
    assert!(error.contains("no device"), "{error}");
    let made = tablet.ok(&["device", "made", "Tablet"]);
    assert!(made.contains("invite") && made.contains("North") && made.contains("open"), "{made}");
    let error = berta.fails(&["device", "remove", berta.json(&["status"])["device"].as_str().unwrap()], 1);
    assert!(error.contains("last device"), "{error}");
}

#[test]
fn a_removed_device_is_out_and_what_it_let_in_is_shown() {
    let relay = Relay::start();
    let (amina, _, _) = two(&relay);
    let tablet = link(&amina, "Tablet");
    tablet.json(&["invite", "North", "--role", "manager"]);
    amina.ok(&["sync"]);
    let own = amina.json(&["status"])["device"].as_str().unwrap().to_owned();
    let removed = amina.json(&["device", "remove", "tablet"]);
    assert_eq!((&removed["removed"], &removed["made"]["invites"][0]["state"]), (&json!(true), &json!("open")));
    let made = amina.ok(&["device", "made", "Tablet"]);
    assert!(made.contains("invite") && made.contains("North") && made.contains("open"), "{made}");
    assert_eq!(amina.json(&["device", "list"])["devices"].as_array().unwrap().len(), 1);
    let with_removed = amina.json(&["device", "list", "--removed"]);
    assert_eq!(with_removed["devices"][1]["is_removed"], json!(true));
    amina.fails(&["device", "remove", "Tablet"], 4);
    let error = amina.fails(&["device", "remove", &own], 1);
    assert!(error.contains("last device"), "{error}");
}

#[test]
fn a_recovery_key_is_shown_once_listed_and_brings_a_new_device_in() {
    let relay = Relay::start();
    let amina = Home::with_vault("amina");
    let founding = relay.founding_link();
    amina.ok(&["agency", "create", "--founding", &founding, "--name", "Child Aid", "--person", "Amina"]);
    amina.ok(&["sync"]);
    let made = amina.json(&["device", "recovery", "make"]);
    assert_eq!(made["good"], json!(true));
    let key = made["key"].as_str().unwrap();
    assert_eq!(key.split('-').count(), 9);
    let listed = amina.json(&["device", "list"]);
    assert_eq!(listed["devices"][1]["kind"], "recovery");
    assert!(amina.ok(&["device", "list"]).contains("recovery key"));
    let phone = Home::with_vault("phone");
    let link = made["link"].as_str().unwrap();
    let wrong = phone.write("wrong", &key.replace(&key[..1], if key.starts_with('7') { "8" } else { "7" }));
    let recover = |file: &std::path::Path, code| {
        phone.fails(&["device", "recovery", "recover", link, "--key-file", file.to_str().unwrap(), "--name", "P"], code)
    };
    assert!(recover(&wrong, 6).contains("mistake"));
    phone.fails(&["device", "recovery", "recover", link, "--name", "P"], 2);
    amina.ok(&["sync"]);
    let right = phone.write("right", key);
    let right = right.to_str().unwrap();
    let back = phone.json(&["device", "recovery", "recover", link, "--key-file", right, "--name", "Phone"]);
    assert_eq!(back["membership"], "member");
    let status = phone.json(&["status"]);
    assert_eq!((&status["person"], &status["relay_faults"]), (&json!("Amina"), &json!([])));
    assert_eq!(phone.json(&["device", "list"])["devices"].as_array().unwrap().len(), 3);
}

#[test]
fn a_recovery_key_brings_a_new_device_in_over_a_session() {
    let relay = Relay::start();
    let amina = Home::with_vault("amina");
    let founding = relay.founding_link();
    amina.ok(&["agency", "create", "--founding", &founding, "--name", "Child Aid", "--person", "Amina"]);
    amina.ok(&["sync"]);
    let made = amina.json(&["device", "recovery", "make"]);
    let (link, key) = (made["link"].as_str().unwrap(), made["key"].as_str().unwrap());
    let phone = Home::with_vault("phone");
    let mut session = phone.session();
    let recover = |key: &str| json!({"do": "device.recovery.recover", "link": link, "key": key, "name": "Phone"});
    let wrong = key.replace(&key[..1], if key.starts_with('7') { "8" } else { "7" });
    let refused = session.ask(recover(&wrong));
    assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("unusable")), "{refused}");
    let user = session.ok(recover(key))["user"].clone();
    assert_eq!(user, amina.json(&["status"])["user"]);
    session.ok(json!({"do": "sync"}));
    let status = session.ok(json!({"do": "status"}));
    assert_eq!((&status["membership"], &status["person"]), (&json!("member"), &json!("Amina")));
    let taken = session.ask(recover(key));
    assert_eq!((&taken["ok"], &taken["error"].is_string()), (&json!(false), &true), "{taken}");
    assert_eq!(session.ok(json!({"do": "device.list"}))["devices"].as_array().unwrap().len(), 3);
}
