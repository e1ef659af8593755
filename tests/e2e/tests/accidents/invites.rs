//! Links that are used up, too old, altered, or lead elsewhere.

use std::time::Duration;

use serde_json::json;
use vereda_base::DeviceId;
use vereda_client_core::{
    identity::{CreateAgency, InviteRequest},
    link::{FoundingLink, InviteLink},
    sync_machine::MemoryStore,
};
use vereda_e2e::{
    insider::Insider,
    world::{invite, join, quit},
};
use vereda_policy::Role;

use super::stage::{Stage, assert_says};

#[test]
fn an_invite_is_good_for_one_person_and_the_second_is_told() {
    let stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    let link = invite(&mut session, &stage.team).unwrap();
    let mut first = stage.somebody("berta").open().unwrap();
    join(&mut first, &link, "Berta").unwrap();
    let second = stage.somebody("mallory");
    let ended = second.command(&["join", &link, "--name", "Mallory"]).unwrap();
    assert_says(&ended, 5, &["invite is expired or already used", "ask for a new one"]);
    // A new one is all it takes.
    let link = invite(&mut session, &stage.team).unwrap();
    let third = stage.somebody("carlos");
    assert_eq!(third.command(&["join", &link, "--name", "Carlos"]).unwrap().code, Some(0));
    stage.nothing_is_lost_in(&mut session);
    quit(session).unwrap();
}

#[test]
fn an_expired_invite_is_refused_by_the_device_and_where_its_clock_is_wrong_by_the_relay() {
    let stage = Stage::build();
    let mut founder = Insider::new(MemoryStore::new()).unwrap();
    let link: FoundingLink = stage.relay.founding_link(stage.relay.address()).unwrap().parse().unwrap();
    let request = CreateAgency { link, name: "Other".into(), person: "Fatima".into() };
    let (team, invite) = founder
        .with(|device, ambient| {
            device.create_agency(ambient, &request).unwrap();
            let chain = device.create_team(ambient, "South").unwrap();
            let request = InviteRequest { chain, role: Role::Editor, open_for: Duration::from_millis(1_500) };
            (chain, device.invite(ambient, &request).unwrap())
        })
        .unwrap();
    founder.exchange().unwrap();
    let views = founder.with(|device, ambient| device.invites(ambient.now.wall).unwrap()).unwrap();
    let view = views.into_iter().find(|view| view.invite == invite).unwrap();
    let link: InviteLink = view.link.expect("the invite took longer than it is open").parse().unwrap();
    assert_eq!(link.chain, team);
    let late = stage.somebody("late");
    // Waits as long as the invite is open.
    let mut session = late.open().unwrap();
    session.listen_for(Duration::from_millis(1_600));
    quit(session).unwrap();
    let ended = late.command(&["join", &link.expose(), "--name", "Late"]).unwrap();
    assert_says(&ended, 6, &["the invite's time is over", "ask for a new one"]);
    // A device whose clock is behind believes that there is time; the relay does not.
    let believed = InviteLink { expires: link.expires.saturating_add(Duration::from_secs(3_600)), ..link };
    let ended = late.command(&["join", &believed.expose(), "--name", "Late"]).unwrap();
    assert_says(&ended, 5, &["invite is expired or already used", "ask for a new one"]);
}

#[test]
fn a_link_that_is_none_or_was_altered_changes_nothing() {
    let stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    let link = invite(&mut session, &stage.team).unwrap();
    let newcomer = stage.somebody("newcomer");
    let check = |link: &str, code: i32, parts: &[&str]| {
        let ended = newcomer.command(&["join", link, "--name", "New"]).unwrap();
        assert_says(&ended, code, parts);
        let status = newcomer.command(&["--json", "status"]).unwrap();
        let status: serde_json::Value = serde_json::from_str(&status.printed).unwrap();
        assert_eq!(status["membership"], "none");
    };
    check("https://example.org", 6, &["vereda://join?"]);
    check(&link[..link.len() - 30], 6, &["link"]);
    check(&stage.relay.founding_link(stage.relay.address()).unwrap(), 6, &["vereda://join?"]);
    join(&mut newcomer.open().unwrap(), &link, "New").unwrap();
    stage.nothing_is_lost_in(&mut session);
}

#[test]
fn a_founding_link_founds_one_agency() {
    let stage = Stage::build();
    let link = stage.relay.founding_link(stage.relay.address()).unwrap();
    let mut outcomes = Vec::new();
    for name in ["first", "second"] {
        let founder = stage.somebody(name);
        let found =
            founder.command(&["agency", "create", "--founding", &link, "--name", name, "--person", name]).unwrap();
        assert_eq!(found.code, Some(0), "founding works without a network: {found:?}");
        outcomes.push(founder.command(&["sync"]).unwrap());
    }
    assert_eq!(outcomes[0].code, Some(0), "{outcomes:?}");
    assert_says(&outcomes[1], 5, &["founding secret is wrong or already used", "new link"]);
}

#[test]
fn a_link_with_another_relays_key_connects_to_nothing() {
    let stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    let mut link: InviteLink = invite(&mut session, &stage.team).unwrap().parse().unwrap();
    let key = std::mem::replace(&mut link.relay.key, DeviceId([7; 32]));
    let newcomer = stage.somebody("newcomer");
    let ended = newcomer.command(&["join", &link.expose(), "--name", "New"]).unwrap();
    assert_says(&ended, 5, &["not the relay that was agreed on", "its key differs", "until you know why"]);
    assert_ne!(key, link.relay.key);
    session.call(json!({"do": "status"})).unwrap();
    stage.nothing_is_lost_in(&mut session);
}
