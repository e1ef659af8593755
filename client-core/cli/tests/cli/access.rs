//! Access on the command line: referrals, sections, invites, erasure; what is pending, final, refused.

use serde_json::{Value as Json, json};

use super::{
    home::{Home, text},
    with_relay::{Relay, two},
};

/// Amina's home with a second team, Berta's in the first, a case of that.
fn with_south(relay: &Relay) -> (Home, Home, String) {
    let (amina, berta, case) = two(relay);
    amina.ok(&["team", "create", "South"]);
    amina.ok(&["sync"]);
    (amina, berta, case)
}

fn entry<'a>(shown: &'a Json, name: &str) -> Option<&'a Json> {
    shown["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == name)
}

#[test]
fn a_referral_is_pending_until_it_is_sent_and_then_shown_with_its_purpose() {
    let relay = Relay::start();
    let (amina, _, case) = with_south(&relay);
    let refer = ["refer", &case[..8], "South", "--days", "30", "--purpose", "Medical care", "--consent", "Form 12"];
    let decided = amina.json(&refer);
    assert_eq!((&decided["state"], &decided["decisions"][0]["action"]), (&json!("pending"), &json!("grant")));
    assert_eq!(amina.json(&["policy", "show", &case])["pending"].as_array().unwrap().len(), 1);
    assert!(amina.ok(&["policy", "pending"]).contains("grant, reader"));
    amina.ok(&["sync"]);
    assert!(amina.ok(&["policy", "pending"]).contains("is final"));
    let shown = amina.json(&["policy", "show", &case]);
    let referred = entry(&shown, "South").unwrap();
    let expected = (&json!("reader"), &json!("Medical care"), &json!("Form 12"), &json!("Amina"));
    let found = (&referred["role"], &referred["purpose"], &referred["consent"], &referred["by"]["name"]);
    assert_eq!(found, expected);
    assert!(referred["since"].is_i64() && referred["until"].is_i64());
    let human = amina.ok(&["policy", "show", &case[..8]]);
    assert!(human.contains("South") && human.contains("Team North governs it"), "{human}");
    assert_eq!(amina.json(&["withdraw", &case, "South", "--wait", "20"])["state"], "final");
    assert!(entry(&amina.json(&["policy", "show", &case]), "South").is_none());
}

#[test]
fn what_is_not_allowed_says_so_before_anything_is_stored() {
    let relay = Relay::start();
    let (amina, berta, case) = with_south(&relay);
    berta.ok(&["sync"]);
    let error = berta.fails(&["refer", &case, "Amina", "--role", "editor"], 1);
    assert!(error.contains("takes a Manager") && error.contains("vereda policy show"), "{error}");
    assert!(berta.ok(&["policy", "pending"]).contains("is final"));
    amina.fails(&["refer", &case, "Nobody"], 4);
    amina.fails(&["refer", "0123", "South"], 4);
    let error = amina.fails(&["refer", &case, "North"], 6);
    assert!(error.contains("already"), "{error}");
    let error = amina.fails(&["leave", "agency"], 1);
    assert!(error.contains("successor"), "{error}");
    let error = amina.fails(&["assign", &case, "Berta", "--transfer"], 6);
    assert!(error.contains("transferred to a team"), "{error}");
    amina.fails(&["revoke", "North", "Berta", "--keep", "reader", "--successor", "Berta"], 2);
    amina.fails(&["policy", "dismiss", "99"], 4);
    amina.fails(&["policy", "retention", "review", "0"], 6);
    let error = amina.fails(&["case", "erase", &case], 2);
    assert!(error.contains("--yes"), "{error}");
}

#[test]
fn a_section_is_begun_shown_edited_and_closed_to_a_colleague() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    let create = ["section", "create", &case, "Health", "--note", "existence", "--set", "name_last=Haddad"];
    let section = amina.json(&create)["section"].as_str().unwrap().to_owned();
    amina.ok(&["section", "edit", &section[..8], "--set", "name_first=Sami"]);
    let shown = amina.json(&["section", "show", &section]);
    assert_eq!((&shown["of_case"], &shown["title"]), (&json!(case), &json!("Health")));
    let fields = json!({"name_last": "Haddad", "name_first": "Sami"});
    assert_eq!(shown["content"]["fields"], fields);
    let human = amina.ok(&["section", "show", &section[..8]]);
    assert!(human.contains("Health") && human.contains("Haddad") && !human.contains("vereda_section"), "{human}");
    amina.ok(&["sync"]);
    berta.ok(&["sync"]);
    let seen = berta.json(&["section", "list", &case]);
    let line = &seen["sections"][0];
    assert_eq!((&line["state"], &line["title"], &line["section"]), (&json!("closed"), &Json::Null, &json!(section)));
    assert!(berta.ok(&["section", "list", &case]).contains("closed to you"));
    berta.fails(&["section", "show", &section], 4);
    amina.fails(&["section", "show", &case], 4);
    assert_eq!(berta.json(&["case", "show", &case])["fields"], json!({"name_first": "Samir", "sex": "male"}));
}

#[test]
fn a_case_is_erased_with_a_section_closed_to_whoever_erases_it_and_what_is_left_is_listed() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    berta.ok(&["sync"]);
    let begin = |title: &str, note: &str| {
        let begun = berta.json(&["section", "create", &case, title, "--note", note]);
        begun["section"].as_str().unwrap().to_owned()
    };
    let (told, hidden) = (begin("Health", "title"), begin("Law", "nothing"));
    berta.ok(&["sync"]);
    amina.ok(&["sync"]);
    let erased = amina.json(&["case", "erase", &case, "--yes"]);
    let ids = |list: &Json| list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids(&erased["erased"]), &erased["left"]), (vec![json!(told), json!(case)], &json!([])));
    assert_eq!(ids(&erased["unplaced"]), [json!(hidden)]);
    assert_eq!(erased["unplaced"][0]["erasable_by"][0]["name"], json!("North"));
    amina.ok(&["sync"]);
    let said = amina.ok(&["case", "erase", &hidden, "--yes", "--wait", "20"]);
    assert!(said.contains("the relay has it"), "{said}");
    berta.ok(&["sync"]);
    for document in [&case, &told, &hidden] {
        berta.fails(&["case", "show", document], 4);
    }
}

#[test]
fn an_invite_is_withdrawn_and_then_good_for_nobody() {
    let relay = Relay::start();
    let (amina, _, _) = two(&relay);
    let invite = amina.json(&["invite", "North"]);
    let id = invite["invite"].as_str().unwrap();
    assert!(amina.ok(&["policy", "show", "North"]).contains(&id[..8]));
    assert_eq!(amina.json(&["invites", "cancel", &id[..8], "--wait", "20"])["state"], "final");
    let carmen = Home::with_vault("carmen");
    let error = carmen.fails(&["join", invite["link"].as_str().unwrap(), "--name", "Carmen"], 5);
    assert!(error.contains("expired or already used"), "{error}");
    amina.fails(&["invites", "cancel", "zzz"], 4);
}

#[test]
fn a_decision_that_comes_too_late_ends_a_command_that_waits_and_is_listed_until_put_away() {
    let relay = Relay::start();
    let (amina, _, case) = with_south(&relay);
    let dora = Home::with_vault("dora");
    let invite = amina.json(&["invite", "North", "--role", "manager"]);
    dora.ok(&["join", invite["link"].as_str().unwrap(), "--name", "Dora", "--wait-for-key", "0"]);
    amina.ok(&["sync"]);
    dora.ok(&["sync"]);
    amina.ok(&["case", "erase", &case, "--yes", "--wait", "20"]);
    let output = dora.run(&["assign", &case, "Dora", "--wait", "20"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("refused"), "{error}");
    let pending = dora.json(&["policy", "pending"]);
    let failed = &pending["decisions"][0];
    assert_eq!((&failed["state"], &failed["action"]), (&json!("failed"), &json!("assign")));
    assert!(dora.ok(&["status"]).contains("vereda policy pending"));
    dora.ok(&["policy", "dismiss", &failed["decision"].to_string()]);
    assert_eq!(dora.json(&["policy", "pending"])["decisions"], json!([]));
}

#[test]
fn without_anything_in_review_that_is_what_review_says() {
    let relay = Relay::start();
    let (amina, _, case) = two(&relay);
    assert!(amina.ok(&["review", "list"]).contains("Nothing awaits"));
    assert!(amina.ok(&["review", "own"]).contains("ever in review"));
    assert_eq!(amina.json(&["review", "list"])["reviews"], json!([]));
    amina.fails(&["review", "adopt", &case], 4);
    amina.fails(&["review", "adopt"], 2);
    amina.fails(&["review", "discard", &case, "--reason", "x"], 4);
}
