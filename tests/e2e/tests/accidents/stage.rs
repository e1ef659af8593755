//! One person with a case, and a relay that has it.

use std::path::{Path, PathBuf};

use serde_json::json;
use vereda_e2e::{
    process::Session,
    world::{Ended, Names, Relay, Worker, create_case, found, history, quit, run_to_end},
};

pub struct Stage {
    pub relay: Relay,
    pub amina: Worker,
    pub team: String,
    pub case: String,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Founds an agency and registers a case, which is at the relay. Nobody has the vault open.
    pub fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Relay::start(&folder.path().join("relay")).unwrap();
        let amina = Worker::arrive(&folder.path().join("amina"), "amina", "correct horse").unwrap();
        let mut session = amina.open().unwrap();
        let link = relay.founding_link(relay.address()).unwrap();
        let team = found(&mut session, &link, Names::default()).unwrap();
        let case = create_case(&mut session, &json!({"name_first": "Samir"})).unwrap();
        vereda_e2e::world::sync(&mut session).unwrap();
        quit(session).unwrap();
        Self { relay, amina, team, case, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another person with an empty vault.
    pub fn somebody(&self, name: &str) -> Worker {
        Worker::arrive(&self.folder().join(name), name, &format!("passphrase of {name}")).unwrap()
    }

    pub fn database(&self) -> PathBuf {
        self.amina.vault().unwrap().join("store.sqlite3")
    }

    /// The case is there, can be edited, and the edit reaches the relay.
    pub fn nothing_is_lost(&self) {
        let mut session = self.amina.open().unwrap();
        self.nothing_is_lost_in(&mut session);
        quit(session).unwrap();
    }

    pub fn nothing_is_lost_in(&self, session: &mut Session) {
        let names = history(session, &self.case, "name_first").unwrap();
        assert_eq!(names.first(), Some(&json!("Samir")));
        let edit =
            json!({"do": "case.edit", "case": self.case, "set": {"name_first": format!("{} times", names.len())}});
        session.call(edit).unwrap();
        session.call(json!({"do": "connect"})).unwrap();
        vereda_e2e::world::sync(session).unwrap();
        let explained = session.call(json!({"do": "explain", "document": self.case})).unwrap();
        assert_eq!(explained["state"], "synced");
    }
}

/// It ended with this exit code, nothing on standard output, and one sentence that holds each of these.
pub fn assert_says(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let sentence = ended.said.lines().last().unwrap_or_default();
    for part in parts {
        assert!(sentence.contains(part), "not {part:?}: {sentence}");
    }
    assert!(!ended.said.contains("a defect of the program") && !ended.said.contains("panicked"), "{ended:?}");
}

/// Runs the relay's program to its end.
pub fn relay_ends(folder: &Path, words: &[&str]) -> Ended {
    let data = folder.display().to_string();
    let mut args = vec!["--log", "off"];
    args.extend(words);
    args.extend(["--data", &data]);
    run_to_end(&vereda_e2e::process::binary("vereda-relay").unwrap(), &args, &[]).unwrap()
}
