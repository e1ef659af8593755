//! Two devices and a relay, each a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::home::{Home, text};

/// Finds the relay's binary beside this test's; builds it where only this package was built.
fn relay_binary() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_vereda"));
    let binary = own.with_file_name(format!("vereda-relay{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--package", "vereda-relay", "--bins"]).status().unwrap();
        assert!(built.success());
    }
    binary
}

/// A relay on a free loopback port; killed when dropped.
pub struct Relay {
    child: Child,
    data: TempDir,
    url: String,
}

impl Relay {
    pub fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(relay_binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Json = serde_json::from_str(&line).unwrap();
        Self { child, data, url: listening["url"].as_str().unwrap().to_owned() }
    }

    pub fn founding_link(&self) -> String {
        let output = Command::new(relay_binary())
            .args(["founding-link", "--address", &self.url, "--data"])
            .arg(self.data.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Amina's and Berta's homes, in one team, with one case that both have.
pub fn two(relay: &Relay) -> (Home, Home, String) {
    let amina = Home::with_vault("amina");
    let link = relay.founding_link();
    amina.ok(&["agency", "create", "--founding", &link, "--name", "Child Aid", "--person", "Amina"]);
    amina.ok(&["team", "create", "North"]);
    amina.ok(&["config", "apply", "--starter"]);
    let case = amina.json(&["case", "create", "--set", "name_first=Samir", "--set", "sex=male"]);
    let invite = amina.json(&["invite", "North", "--role", "editor"]);
    let berta = Home::with_vault("berta");
    let joined = berta.json(&["join", invite["link"].as_str().unwrap(), "--name", "Berta", "--wait-for-key", "0"]);
    assert_eq!(joined["membership"], "waiting_for_key");
    amina.ok(&["sync"]);
    berta.ok(&["sync"]);
    (amina, berta, case["case"].as_str().unwrap().to_owned())
}

#[test]
fn found_invite_join_edit_on_both_sides_and_settle_the_conflict() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    assert_eq!(berta.json(&["status"])["membership"], "member");
    assert_eq!(berta.json(&["case", "show", &case])["fields"]["name_first"], "Samir");
    amina.ok(&["case", "edit", &case, "--set", "name_first=Samir A.", "--set", "telephone=0770 123456"]);
    berta.ok(&["case", "edit", &case[..8], "--set", "name_first=Samir B.", "--set", "address=Here"]);
    for home in [&amina, &berta, &amina] {
        home.ok(&["sync", "--once"]);
    }
    let conflicts = amina.json(&["case", "conflicts"]);
    let mut values: Vec<_> = conflicts["conflicts"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| (value["author"]["name"].as_str().unwrap().to_owned(), value["value"].clone()))
        .collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(values, [("Amina".to_owned(), json!("Samir A.")), ("Berta".to_owned(), json!("Samir B."))]);
    amina.ok(&["case", "resolve", &case, "name_first", "--value", "Samir B."]);
    amina.ok(&["sync"]);
    berta.ok(&["sync"]);
    assert_eq!(berta.json(&["case", "conflicts"])["conflicts"], json!([]));
    assert_eq!(amina.json(&["digest"]), berta.json(&["digest"]));
    let shown = berta.json(&["case", "show", &case]);
    assert_eq!(
        (&shown["fields"]["name_first"], &shown["fields"]["telephone"], &shown["fields"]["address"]),
        (&json!("Samir B."), &json!("0770 123456"), &json!("Here"))
    );
}

#[test]
fn sessions_stay_connected_and_see_one_anothers_edits_as_they_happen() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    let (mut a, mut b) = (amina.session(), berta.session());
    a.ok(json!({"do": "sync"}));
    b.ok(json!({"do": "sync"}));
    a.ok(json!({"do": "case.edit", "case": case, "set": {"name_first": "Live"}}));
    a.ok(json!({"do": "sync"}));
    while b.ok(json!({"do": "case.show", "case": case}))["fields"]["name_first"] != "Live" {}
    a.ok(json!({"do": "disconnect"}));
    a.ok(json!({"do": "case.edit", "case": case, "set": {"name_last": "Offline"}}));
    let refused = a.ask(json!({"do": "sync", "seconds": 0}));
    assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("pending")));
    a.ok(json!({"do": "connect"}));
    a.ok(json!({"do": "sync"}));
    b.ok(json!({"do": "sync"}));
    while b.ok(json!({"do": "digest"}))["digest"] != a.ok(json!({"do": "digest"}))["digest"] {}
    assert!(a.events.iter().any(|event| event["event"] == "connected"));
    assert!(b.events.iter().any(|event| event["event"] == "changed"));
}

#[test]
fn a_used_invite_is_refused_in_plain_words() {
    let relay = Relay::start();
    let amina = Home::with_vault("amina");
    let link = relay.founding_link();
    amina.ok(&["agency", "create", "--founding", &link, "--name", "Child Aid", "--person", "Amina"]);
    let invite = amina.json(&["invite", "agency"]);
    let link = invite["link"].as_str().unwrap();
    Home::with_vault("berta").ok(&["join", link, "--name", "Berta", "--wait-for-key", "0"]);
    let error = Home::with_vault("mallory").fails(&["join", link, "--name", "Mallory"], 5);
    assert!(error.contains("expired or already used"), "{error}");
}
