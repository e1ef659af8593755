//! Decisions about access in sessions, with the network cut and brought back; commands that wait; what somebody is told.

use serde_json::{Value as Json, json};

use super::{
    home::{Home, Session},
    with_relay::{Relay, two},
};

fn named<'a>(list: &'a Json, name: &str) -> Option<&'a Json> {
    list.as_array().unwrap().iter().find(|one| one["name"] == name)
}

/// Asks until an answer fits; the other side's news are on their way meanwhile.
fn until(session: &mut Session, request: &Json, fits: impl Fn(&Json) -> bool) -> Json {
    // Each attempt exchanges everything first: where that is nothing it takes no time, and the other side needs some.
    for _ in 0..100_000 {
        let answer = session.ok(request.clone());
        if fits(&answer) {
            return answer;
        }
        session.ok(json!({"do": "sync"}));
    }
    panic!("{request}: no answer fits")
}

#[test]
fn a_referral_an_adoption_and_a_removal_are_driven_over_sessions_alone() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    let (mut a, mut b) = (amina.session(), berta.session());
    a.ok(json!({"do": "sync"}));
    b.ok(json!({"do": "sync"}));
    until(&mut a, &json!({"do": "people"}), |people| people.to_string().contains("Berta"));

    // A section, a referral with it, its withdrawal.
    a.ok(json!({"do": "team.create", "name": "South"}));
    let begun = json!({"do": "section.create", "case": case, "title": "Health", "note": "title",
        "fields": {"name_last": "Haddad"}});
    let section = a.ok(begun)["section"].as_str().unwrap().to_owned();
    let edit = json!({"do": "section.edit", "section": section, "set": {"name_first": "Sami"}});
    assert_eq!(a.ok(edit)["changed"], true);
    let shown = a.ok(json!({"do": "section.show", "section": section}));
    assert_eq!(shown["content"]["fields"], json!({"name_last": "Haddad", "name_first": "Sami"}));
    let refer = json!({"do": "refer", "case": case, "to": "South", "days": 30, "purpose": "Medical care",
        "consent": "Form 12", "sections": [section]});
    let decided = a.ok(refer);
    assert_eq!((&decided["state"], decided["decisions"].as_array().unwrap().len()), (&json!("pending"), 2));
    assert_eq!(decided["decisions"][0]["purpose"], "Medical care");
    a.ok(json!({"do": "sync"}));
    assert_eq!(a.ok(json!({"do": "policy.pending"}))["decisions"], json!([]));
    let view = a.ok(json!({"do": "policy.show", "place": case}));
    assert_eq!(named(&view["entries"], "South").unwrap()["consent"], "Form 12");
    assert!(named(&view["sections"][0]["entries"], "South").is_some());
    let listed = b.ok(json!({"do": "section.list", "case": case}));
    assert!(listed["sections"].as_array().unwrap().is_empty() || listed["sections"][0]["state"] == "closed");
    a.ok(json!({"do": "withdraw", "case": case, "from": "South"}));
    a.ok(json!({"do": "sync"}));
    let view = a.ok(json!({"do": "policy.show", "place": case}));
    assert!(named(&view["entries"], "South").is_none());

    // Lowered while away; what was written then goes to review and is taken in.
    b.ok(json!({"do": "disconnect"}));
    b.ok(json!({"do": "case.edit", "case": case, "set": {"name_first": "Samira"}}));
    assert_eq!(
        a.ok(json!({"do": "revoke", "place": "North", "subject": "Berta", "keep": "reader"}))["state"],
        "pending"
    );
    a.ok(json!({"do": "sync"}));
    b.ok(json!({"do": "connect"}));
    let is_one = |answer: &Json| answer["reviews"].as_array().unwrap().len() == 1;
    let reviews = until(&mut a, &json!({"do": "review.list"}), is_one);
    let work = &reviews["reviews"][0]["works"][0];
    assert_eq!((&work["author"]["name"], &work["is_device_removed"]), (&json!("Berta"), &json!(false)));
    assert_eq!(a.ok(json!({"do": "review.show", "document": &case[..8]}))["reviews"], reviews["reviews"]);
    a.ok(json!({"do": "disconnect"}));
    assert_eq!(a.ok(json!({"do": "review.adopt", "document": case}))["state"], "pending");
    assert_eq!(a.ok(json!({"do": "review.list"}))["reviews"][0]["decided"], "adopt");
    assert_eq!(a.ok(json!({"do": "status"}))["to_decide"], 0);
    let again = a.ask(json!({"do": "review.adopt", "document": case}));
    assert_eq!((&again["ok"], &again["code"]), (&json!(false), &json!("unusable")));
    a.ok(json!({"do": "connect"}));
    a.ok(json!({"do": "sync"}));
    let own = json!({"do": "review.own"});
    until(&mut b, &own, |answer| answer["own"].as_array().unwrap().iter().any(|own| own["state"] == "adopted"));
    let history = a.ok(json!({"do": "case.history", "case": case, "field": "name_first"}));
    let last = history["history"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["value"], &last["author"]["name"]), (&json!("Samira"), &json!("Berta")));

    // Her device is removed.
    let devices = a.ok(json!({"do": "device.list", "all": true}));
    let of_berta = devices["devices"].as_array().unwrap().iter().find(|device| device["person"] == "Berta").unwrap();
    assert_eq!(of_berta["may_remove"], true);
    assert_eq!(a.ok(json!({"do": "device.remove", "device": of_berta["device"]}))["removed"], false);
    a.ok(json!({"do": "sync"}));
    let status = until(&mut b, &json!({"do": "status"}), |status| status["membership"] == "removed");
    assert_eq!((&status["ended"]["what"], &status["ended"]["by"]["name"]), (&json!("device"), &json!("Amina")));
    let left = a.ok(json!({"do": "device.list", "all": true, "removed": true}));
    let of_berta = left["devices"].as_array().unwrap().iter().find(|device| device["person"] == "Berta").unwrap();
    assert_eq!((&of_berta["is_removed"], &of_berta["may_remove"]), (&json!(true), &json!(false)));
}

#[test]
fn further_requests_about_access_and_devices_are_answered_or_refused_in_the_same_shape() {
    let relay = Relay::start();
    let (amina, _, case) = two(&relay);
    amina.ok(&["sync"]);
    let mut a = amina.session();
    let refused = |a: &mut Session, request: Json, code: &str| {
        let answer = a.ask(request.clone());
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(code)), "{request}: {answer}");
    };
    refused(&mut a, json!({"do": "refer", "case": case, "to": "Nobody"}), "not_found");
    refused(&mut a, json!({"do": "refer", "case": case, "to": "Berta", "reason": "x"}), "usage");
    refused(&mut a, json!({"do": "leave", "place": "agency"}), "failed");
    refused(&mut a, json!({"do": "leave", "place": "North", "successor": "Berta"}), "unusable");
    refused(&mut a, json!({"do": "assign", "case": case, "to": "Berta", "transfer": true}), "unusable");
    let both = json!({"do": "revoke", "place": "North", "subject": "Berta", "keep": "reader", "successor": "Berta"});
    refused(&mut a, both, "usage");
    refused(&mut a, json!({"do": "review.adopt"}), "usage");
    refused(&mut a, json!({"do": "review.discard", "document": case, "reason": "x"}), "not_found");
    refused(&mut a, json!({"do": "policy.dismiss", "decision": 99}), "not_found");
    refused(&mut a, json!({"do": "device.remove", "device": "zzz"}), "not_found");
    refused(&mut a, json!({"do": "device.confirm", "code": "x"}), "usage");
    assert_eq!(a.ok(json!({"do": "policy.retention", "what": "beacon", "days": 9}))["state"], "pending");
    assert_eq!(a.ok(json!({"do": "assign", "case": case, "to": "Berta"}))["decisions"][0]["name"], "Samir");
    a.ok(json!({"do": "sync"}));
    assert_eq!(a.ok(json!({"do": "beacon"}))["beacon"]["limit"], 9);
    assert_eq!(a.ok(json!({"do": "relay.faults"}))["relay_faults"], json!([]));
    let invite = a.ok(json!({"do": "invite", "chain": "North", "role": "reader", "hours": 1}))["invite"].clone();
    a.ok(json!({"do": "sync"}));
    a.ok(json!({"do": "invites.cancel", "invite": invite}));
    assert!(a.ok(json!({"do": "device.recovery.make"}))["key"].is_string());
    let own = a.ok(json!({"do": "device.list"}))["devices"][0]["device"].clone();
    assert_eq!(a.ok(json!({"do": "device.name", "device": own, "name": "Laptop"}))["name"], "Laptop");
    assert!(a.ok(json!({"do": "device.made", "device": own}))["invites"].is_array());
    a.ok(json!({"do": "case.erase", "case": case}));
    a.ok(json!({"do": "sync"}));
    assert_eq!(a.ok(json!({"do": "case.list"}))["cases"], json!([]));
}

#[test]
fn a_second_device_is_linked_over_sessions() {
    let relay = Relay::start();
    let (amina, _, case) = two(&relay);
    let tablet = Home::with_vault("tablet");
    let (mut old, mut new) = (amina.session(), tablet.session());
    old.ok(json!({"do": "sync"}));
    let offer = old.ok(json!({"do": "device.link"}))["offer"].clone();
    let answer = new.ok(json!({"do": "device.answer", "link": offer, "name": "Tablet"}));
    old.ok(json!({"do": "device.confirm", "link": answer["answer"], "code": answer["code"]}));
    old.ok(json!({"do": "sync"}));
    new.ok(json!({"do": "device.confirm", "code": answer["code"]}));
    until(&mut new, &json!({"do": "status"}), |status| status["membership"] == "member");
    until(&mut new, &json!({"do": "case.list"}), |list| list["cases"].as_array().unwrap().len() == 1);
    assert_eq!(new.ok(json!({"do": "case.show", "case": case}))["fields"]["name_first"], "Samir");
}

#[test]
fn whoever_is_put_out_learns_by_whom_and_what_became_of_the_work() {
    let relay = Relay::start();
    let (amina, berta, case) = two(&relay);
    amina.ok(&["sync"]);
    berta.ok(&["case", "edit", &case, "--set", "name_last=Haddad"]);
    let waited = amina.run(&["revoke", "North", "Berta", "--wait", "30"]);
    assert!(waited.status.success() && super::home::text(&waited.stderr).is_empty(), "{waited:?}");
    assert_eq!(super::home::text(&waited.stdout), "Done: the relay has it.\n");
    berta.ok(&["sync"]);
    let status = berta.ok(&["status"]);
    assert!(status.contains("your access was ended by Amina: of North"), "{status}");
    assert!(status.contains("1 document waits for a manager's decision: vereda review own"), "{status}");
    amina.ok(&["sync"]);
    assert!(amina.ok(&["status"]).contains("1 document: vereda review list"));
    amina.ok(&["review", "adopt", "--all"]);
    let listed = amina.ok(&["review", "list"]);
    assert!(listed.contains("You decided: taken in"), "{listed}");
    amina.ok(&["sync"]);
    assert!(amina.ok(&["review", "list"]).contains("Nothing awaits"));
    berta.ok(&["sync"]);
    assert!(berta.ok(&["status"]).contains("1 document was taken in"));
    let own = berta.ok(&["review", "own"]);
    assert!(own.contains("taken in"), "{own}");
    let error = amina.fails(&["device", "remove", "Berta"], 4);
    assert!(error.contains("device"), "{error}");
    let listed = amina.json(&["device", "list", "--all"]);
    assert!(listed["devices"].as_array().unwrap().iter().all(|device| device["person"] == "Amina"), "{listed}");
    let left = amina.ok(&["device", "list", "--all", "--removed"]);
    assert!(left.contains("its person has left"), "{left}");
}

#[test]
fn a_command_that_waits_in_vain_says_so_once() {
    let relay = Relay::start();
    let (amina, _, _) = two(&relay);
    amina.ok(&["sync"]);
    drop(relay);
    let output = amina.run(&["revoke", "North", "Berta", "--wait", "3"]);
    assert_eq!(output.status.code(), Some(5));
    let (printed, said) = (super::home::text(&output.stdout), super::home::text(&output.stderr));
    assert!(printed.is_empty() && said.contains("stored, not final yet"), "{printed}{said}");
}

#[test]
fn a_person_in_two_teams_is_told_to_name_one() {
    let relay = Relay::start();
    let (amina, _, _) = two(&relay);
    amina.ok(&["sync"]);
    amina.ok(&["team", "create", "South"]);
    let error = amina.fails(&["case", "create", "--set", "name_first=Layla"], 2);
    assert!(error.contains("--team"), "{error}");
    let error = amina.fails(&["leave", "North", "--successor", "Berta"], 6);
    assert!(error.contains("only where the agency is left"), "{error}");
}
