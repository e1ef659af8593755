//! A relay that was put back to an earlier copy of its records, and one that dies in the middle of a review.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};
use vereda_e2e::{
    process::Session,
    world::{Worker, invite_for, join, quit, sync},
};

use super::stage::{Stage, assert_says};

/// The relay's database as it was at some moment, all its files.
struct Copy(Vec<(PathBuf, Vec<u8>)>);

impl Copy {
    /// Takes the copy while the relay does not run.
    fn take(stage: &mut Stage) -> Self {
        stage.relay.terminate().unwrap();
        let files = Self::files(&stage.relay.data());
        let copy = Self(files.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect());
        stage.relay.restart().unwrap();
        copy
    }

    fn files(data: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("relay.db")).collect()
    }

    fn put_back(&self, stage: &mut Stage) {
        stage.relay.terminate().unwrap();
        Self::files(&stage.relay.data()).iter().for_each(|path| fs::remove_file(path).unwrap());
        self.0.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        stage.relay.restart().unwrap();
    }
}

fn status(worker: &Worker) -> (Option<i32>, Json) {
    let ended = worker.command(&["--json", "status"]).unwrap();
    (ended.code, serde_json::from_str(ended.printed.lines().last().unwrap()).unwrap())
}

fn faults(status: &Json) -> Vec<&str> {
    status["relay_faults"].as_array().unwrap().iter().map(|fault| fault["fault"].as_str().unwrap()).collect()
}

fn set_name(session: &mut Session, case: &str, name: &str) {
    session.call(json!({"do": "case.edit", "case": case, "set": {"name_first": name}})).unwrap();
}

/// A colleague of Amina's in her team; her session stays open.
fn colleague(stage: &Stage, session: &mut Session, name: &str) -> Worker {
    let worker = stage.somebody(name);
    let link = invite_for(session, &stage.team, 48).unwrap();
    let mut own = worker.open().unwrap();
    join(&mut own, &link, name).unwrap();
    quit(own).unwrap();
    worker
}

#[test]
fn a_relay_that_was_put_back_is_named_by_status_with_an_exit_code_of_its_own() {
    let mut stage = Stage::build();
    let copy = Copy::take(&mut stage);
    let mut session = stage.amina.open().unwrap();
    set_name(&mut session, &stage.case, "Samira");
    session.call(json!({"do": "connect"})).unwrap();
    sync(&mut session).unwrap();
    quit(session).unwrap();
    let (code, before) = status(&stage.amina);
    assert_eq!((code, faults(&before)), (Some(0), vec![]));

    copy.put_back(&mut stage);
    let ended = stage.amina.command(&["sync", "--wait", "20"]).unwrap();
    assert_says(&ended, 7, &["the relay was set back"]);
    let (code, after) = status(&stage.amina);
    assert_eq!((code, faults(&after)), (Some(7), vec!["rolled_back"]));
    let spoken = stage.amina.command(&["status"]).unwrap();
    assert_eq!(spoken.code, Some(7));
    assert!(spoken.printed.contains("Beware"), "{spoken:?}");
    // The work is where it was made.
    let shown = stage.amina.command(&["--json", "case", "show", &stage.case]).unwrap();
    assert!(shown.code == Some(0) && shown.printed.contains("Samira"), "{shown:?}");
}

#[test]
fn a_relay_that_gives_two_accounts_of_one_decision_is_named_by_status_and_nothing_is_sent_to_it() {
    let mut stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    session.call(json!({"do": "connect"})).unwrap();
    let link = session.call(json!({"do": "invite", "chain": stage.team, "role": "manager", "hours": 48})).unwrap();
    let invite = link["invite"].clone();
    let own = |answer: &Json| {
        let views = answer["invites"].as_array()?;
        let view = views.iter().find(|view| view["invite"] == invite)?;
        view["link"].as_str().map(str::to_owned)
    };
    let answer = session.until(&json!({"do": "invites"}), |answer| own(answer).is_some()).unwrap();
    let berta = stage.somebody("berta");
    let mut other = berta.open().unwrap();
    join(&mut other, &own(&answer).unwrap(), "Berta").unwrap();
    sync(&mut session).unwrap();
    quit(other).unwrap();
    quit(session).unwrap();
    let copy = Copy::take(&mut stage);
    // Amina decides on something in the team, and is told that it stands.
    let mut session = stage.amina.open().unwrap();
    session.call(json!({"do": "connect"})).unwrap();
    invite_for(&mut session, &stage.team, 48).unwrap();
    quit(session).unwrap();
    // At the same place of the same chain the relay takes Berta's decision.
    copy.put_back(&mut stage);
    let mut other = berta.open().unwrap();
    other.call(json!({"do": "connect"})).unwrap();
    invite_for(&mut other, &stage.team, 24).unwrap();
    quit(other).unwrap();
    assert_eq!(status(&berta).0, Some(0), "Berta knows of one account alone");

    // What it lacks shows first; then everything is asked for anew, and the other account comes.
    for what in ["the relay was set back", "two different accounts"] {
        let ended = stage.amina.command(&["sync", "--wait", "20"]).unwrap();
        assert_says(&ended, 7, &[what]);
    }
    let (code, after) = status(&stage.amina);
    assert_eq!((code, faults(&after)), (Some(7), vec!["forked", "rolled_back"]));
    let mut session = stage.amina.open().unwrap();
    set_name(&mut session, &stage.case, "Samira");
    session.call(json!({"do": "connect"})).unwrap();
    // Nothing is sent to it, by a program that was started anew either.
    let gave_up = |status: &Json| {
        let reason = status["connection"]["reason"].as_str();
        reason.is_some_and(|reason| reason.contains("two different accounts"))
    };
    let offline = session.until(&json!({"do": "status"}), gave_up).unwrap();
    // Her edit waits, beside what the relay lacked and would be handed in again.
    assert_eq!(offline["settled"], json!(false));
    assert!(offline["pending_documents"].as_u64() >= Some(1), "{offline}");
    let explained = session.call(json!({"do": "explain", "document": stage.case})).unwrap();
    assert_ne!(explained["state"], "synced", "{explained}");
    quit(session).unwrap();
    let spoken = stage.amina.command(&["status"]).unwrap();
    assert!(spoken.printed.contains("two different accounts of one decision"), "{spoken:?}");
}

#[test]
fn work_in_review_outlives_a_kill_of_the_relay_and_is_taken_in_under_its_authors_name() {
    let mut stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    session.call(json!({"do": "connect"})).unwrap();
    let berta = colleague(&stage, &mut session, "Berta");
    sync(&mut session).unwrap();
    quit(session).unwrap();
    // Berta works without a network and is put out meanwhile.
    let mut other = berta.open().unwrap();
    set_name(&mut other, &stage.case, "Samira");
    quit(other).unwrap();
    let revoked = stage.amina.command(&["revoke", &stage.team, "Berta", "--wait", "20"]).unwrap();
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    berta.command(&["sync", "--wait", "20"]).unwrap();
    let (_, hers) = status(&berta);
    assert_eq!(hers["in_review"], 1, "{hers}");
    let list = |stage: &Stage| {
        stage.amina.command(&["sync", "--wait", "20"]).unwrap();
        let ended = stage.amina.command(&["--json", "review", "list"]).unwrap();
        serde_json::from_str::<Json>(ended.printed.lines().last().unwrap()).unwrap()["reviews"].clone()
    };

    stage.relay.kill().unwrap();
    stage.relay.restart().unwrap();
    let found = list(&stage);
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert!(found.to_string().contains("Samira"), "{found}");
    // It dies again before the decision reaches it.
    stage.relay.kill().unwrap();
    let adopted = stage.amina.command(&["review", "adopt", &stage.case]).unwrap();
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    stage.relay.restart().unwrap();
    assert_eq!(list(&stage), json!([]));
    let history = stage.amina.command(&["--json", "case", "history", &stage.case]).unwrap();
    assert!(history.printed.contains("Samira") && history.printed.contains("Berta"), "{history:?}");
    berta.command(&["sync", "--wait", "20"]).unwrap();
    let (_, hers) = status(&berta);
    assert_eq!((&hers["in_review"], &hers["adopted"]), (&json!(0), &json!(1)), "{hers}");
}
