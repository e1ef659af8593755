//! Wrong use, wrong passphrases, wrong files: a plain sentence and an exit code each.

use super::home::{Home, text};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn every_command_explains_itself_with_an_example() {
    let home = Home::new();
    let help = home.ok(&["--help"]);
    assert!(help.contains("Exit codes"), "{help}");
    for args in [
        &["vault", "new"][..],
        &["vault", "list"],
        &["unlock"],
        &["agency", "create"],
        &["team", "create"],
        &["people"],
        &["invite"],
        &["invites"],
        &["invites", "cancel"],
        &["policy", "show"],
        &["policy", "pending"],
        &["policy", "dismiss"],
        &["policy", "retention"],
        &["refer"],
        &["withdraw"],
        &["assign"],
        &["revoke"],
        &["leave"],
        &["section", "create"],
        &["section", "list"],
        &["section", "show"],
        &["section", "edit"],
        &["review", "list"],
        &["review", "adopt"],
        &["review", "discard"],
        &["review", "own"],
        &["case", "erase"],
        &["join"],
        &["import", "primero"],
        &["config", "apply"],
        &["config", "show"],
        &["case", "create"],
        &["case", "edit"],
        &["case", "show"],
        &["case", "list"],
        &["case", "history"],
        &["case", "conflicts"],
        &["case", "resolve"],
        &["sync"],
        &["status"],
        &["digest"],
        &["session"],
    ] {
        let help = home.ok(&[args, &["--help"]].concat());
        assert!(help.contains("Example"), "{args:?}: {help}");
    }
}

#[test]
fn each_kind_of_failure_has_its_exit_code_and_a_sentence() {
    let home = Home::new();
    let check = |args: &[&str], code, sentence: &str| {
        let error = home.fails(args, code);
        assert!(error.contains(sentence), "{args:?}: {error}");
    };
    check(&["no-such-command"], 2, "unrecognized subcommand");
    check(&["status"], 4, "no vault here yet");
    home.ok(&["vault", "new", "amina", "--fast"]);
    check(&["vault", "new", "amina", "--fast"], 6, "already");
    check(&["status", "--vault", "nobody"], 4, "no vault of this name");
    check(&["case", "list", "--filter"], 2, "a value is required");
    check(&["case", "show", "0123"], 4, "no case");
    check(&["case", "create", "--set", "name"], 2, "path=value");
    check(&["case", "create"], 4, "belongs to a team");
    check(&["team", "create", "North"], 1, "no agency");
    check(&["join", "https://example.org", "--name", "A"], 6, "vereda://join?");
    check(&["agency", "create", "--founding", "vereda://found?key=x", "--name", "A", "--person", "B"], 6, "relay");
    check(&["config", "apply"], 2, "required");
    check(&["config", "apply", "/no/such/file"], 6, "/no/such/file");
    check(&["session"], 2, "--stdio");
    home.ok(&["vault", "new", "berta", "--fast"]);
    check(&["status"], 2, "several vaults");
}

#[test]
fn a_wrong_passphrase_opens_nothing_and_is_not_echoed() {
    let home = Home::with_vault("amina");
    let wrong = home.write("passphrase", "wrong battery\nsecond line");
    let error = home.fails(&["unlock", "--passphrase-file", wrong.to_str().unwrap()], 3);
    assert!(error.contains("wrong passphrase") && !error.contains("battery"), "{error}");
    let right = home.write("passphrase", "correct horse\n");
    let shown = home.ok(&["unlock", "--passphrase-file", right.to_str().unwrap()]);
    assert!(shown.contains("The passphrase is right"), "{shown}");
}

#[test]
fn without_a_terminal_the_passphrase_is_not_asked_for() {
    let home = Home::with_vault("amina");
    let output = home.command(&["status"]).env_remove("VEREDA_PASSPHRASE").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("--passphrase-file"));
}

#[test]
fn a_passphrase_is_changed_and_the_old_one_is_worthless() {
    let home = Home::with_vault("amina");
    let new = home.write("new", "another one");
    home.ok(&["vault", "passphrase", "--new-passphrase-file", new.to_str().unwrap()]);
    home.fails(&["unlock"], 3);
    home.ok(&["unlock", "--passphrase-file", new.to_str().unwrap()]);
}

#[test]
fn a_relay_without_tls_on_another_machine_is_refused_unless_that_is_allowed() {
    let home = Home::with_vault("amina");
    let link = format!("vereda://found?relay=ws://192.0.2.1:9/sync&key={KEY}&secret={KEY}");
    let found = ["agency", "create", "--founding", &link, "--name", "Child Aid", "--person", "Amina"];
    let error = home.fails(&found, 6);
    assert!(error.contains("wss://") && error.contains("--allow-plain"), "{error}");
    let invite = format!(
        "vereda://join?relay=ws://192.0.2.1:9/sync&key={KEY}&agency={KEY}&chain={KEY}&invite={KEY}&expires=1&heads=&secret={KEY}"
    );
    let error = home.fails(&["join", &invite, "--name", "Berta"], 6);
    assert!(error.contains("wss://"), "{error}");
    assert_eq!(home.json(&["status"])["agency"], serde_json::Value::Null, "nothing was begun");
    home.ok(&[&found[..], &["--allow-plain"]].concat());
    // The transport refuses as well: what was allowed once is not allowed for ever.
    let error = home.fails(&["sync"], 5);
    assert!(error.contains("wss://") && !error.contains(KEY), "{error}");
}

#[test]
fn a_link_is_read_from_a_file_or_standard_input_and_from_one_place_only() {
    let link = format!("vereda://found?relay=ws://127.0.0.1:9/sync&key={KEY}&secret={KEY}");
    let names = ["--name", "Child Aid", "--person", "Amina"];
    let home = Home::with_vault("amina");
    let file = home.write("link", &format!("{link}\n"));
    let file = file.to_str().unwrap();
    home.fails(&[&["agency", "create"], &names[..]].concat(), 2);
    home.fails(&[&["agency", "create", "--founding", &link, "--link-file", file], &names[..]].concat(), 2);
    let error = home.fails(&[&["agency", "create", "--link-file", "/no/such/file"], &names[..]].concat(), 6);
    assert!(error.contains("/no/such/file"), "{error}");
    home.ok(&[&["agency", "create", "--link-file", file], &names[..]].concat());
    for from in [&["--founding", "-"][..], &["--link-file", "-"]] {
        let home = Home::with_vault("amina");
        let mut command = home.command(&[&["agency", "create"], from, &names[..]].concat());
        let output = command.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
        assert!(output.status.success(), "{from:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_relay_that_is_not_there_leaves_everything_stored_and_says_so() {
    let home = Home::with_vault("amina");
    let link = format!("vereda://found?relay=ws://127.0.0.1:9/sync&key={KEY}&secret={KEY}");
    home.ok(&["agency", "create", "--founding", &link, "--name", "Child Aid", "--person", "Amina"]);
    home.ok(&["team", "create", "North"]);
    let error = home.fails(&["sync"], 5);
    assert!(error.contains("not reached"), "{error}");
    let error = home.fails(&["invite", "North"], 5);
    assert!(error.contains("not reached"), "{error}");
    let invites = home.json(&["invites"]);
    assert_eq!(invites["invites"][0]["state"], "pending");
    assert_eq!(home.json(&["status"])["pending_operations"], 5);
}

#[test]
fn the_log_at_its_loudest_holds_no_name_and_no_value() {
    let home = Home::with_vault("amina");
    let link = format!("vereda://found?relay=ws://127.0.0.1:9/sync&key={KEY}&secret={KEY}");
    let mut logged = String::new();
    for args in [
        &["agency", "create", "--founding", &link, "--name", "Plantedagency", "--person", "Plantedperson"][..],
        &["team", "create", "Plantedteam"],
        &["config", "apply", "--starter"],
        &["case", "create", "--set", "name_first=Plantedvalue"],
        &["case", "create", "--set", "sex=Plantedcode"],
        &["sync"],
    ] {
        let output = home.run(&[args, &["--log", "trace"]].concat());
        logged.push_str(&text(&output.stderr));
    }
    assert!(logged.contains("DEBUG") || logged.contains("TRACE"), "{logged}");
    assert!(!logged.contains("Planted"), "{logged}");
}
