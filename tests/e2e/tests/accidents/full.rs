//! Disks without room, of a device and of a relay.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use vereda_e2e::world::{Names, Relay, Worker, create_case, found, history, quit, sync};

/// A small disk of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder).output();
        assert!(
            mounted.is_ok_and(|output| output.status.success()),
            "this test mounts a disk of 4 MB, which needs the right to mount: run it as root, or as \
             `unshare --user --map-root-user --mount cargo xtask test`"
        );
        Self(folder.to_owned())
    }

    /// Fills it up, but for so many bytes.
    fn fill(&self, but: usize) {
        let ballast = self.0.join("ballast");
        let page = vec![0; 4_096];
        let mut file = fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &page).is_ok() {}
        let len = file.metadata().unwrap().len();
        file.set_len(len.saturating_sub(but as u64)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still runs on it has files open there: detached, it goes when they are closed.
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

/// Edits until refused; returns the refusal and what was acknowledged.
fn edit_until_refused(session: &mut vereda_e2e::process::Session, case: &str) -> (Value, Vec<Value>) {
    let mut acknowledged = vec![json!("first")];
    for number in 0..20_000 {
        let value = json!(format!("value {number}"));
        let id = session.send(json!({"do": "case.edit", "case": case, "set": {"name_first": value}})).unwrap();
        let answer = session.answer(id).unwrap();
        if answer["ok"] != true {
            return (answer, acknowledged);
        }
        acknowledged.push(value);
    }
    panic!("the disk does not get full");
}

#[test]
fn a_device_whose_disk_is_full_says_so_keeps_what_it_acknowledged_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join("disk"));
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let amina = Worker::arrive(&disk.0.join("amina"), "amina", "passphrase of amina").unwrap();
    let mut session = amina.start_with("off", &[]).unwrap();
    found(&mut session, &relay.founding_link(relay.address()).unwrap(), Names::default()).unwrap();
    let case = create_case(&mut session, &json!({"name_first": "first"})).unwrap();
    sync(&mut session).unwrap();
    session.call(json!({"do": "disconnect"})).unwrap();
    disk.fill(64 << 10);
    let (refusal, acknowledged) = edit_until_refused(&mut session, &case);
    assert_eq!(refusal["code"], "failed");
    let sentence = refusal["error"].as_str().unwrap();
    assert!(sentence.contains("the disk is full: free some space"), "{sentence}");
    // Reading goes on, and nothing of the refused edit is there.
    assert_eq!(history(&mut session, &case, "name_first").unwrap(), acknowledged);
    session.kill().unwrap();
    // On the full disk the vault still opens to read.
    let shown = amina.command(&["--json", "case", "show", &case]).unwrap();
    assert_eq!(shown.code, Some(0), "{shown:?}");
    disk.make_room();
    let mut session = amina.open().unwrap();
    assert_eq!(history(&mut session, &case, "name_first").unwrap(), acknowledged);
    session.call(json!({"do": "case.edit", "case": case, "set": {"name_first": "room again"}})).unwrap();
    session.call(json!({"do": "connect"})).unwrap();
    sync(&mut session).unwrap();
    quit(session).unwrap();
}

#[test]
fn a_relay_whose_disk_is_full_says_so_loses_nothing_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join("disk"));
    let relay = Relay::start(&disk.0.join("relay")).unwrap();
    let amina = Worker::arrive(&folder.path().join("amina"), "amina", "passphrase of amina").unwrap();
    let mut session = amina.open().unwrap();
    found(&mut session, &relay.founding_link(relay.address()).unwrap(), Names::default()).unwrap();
    let case = create_case(&mut session, &json!({"name_first": "first"})).unwrap();
    sync(&mut session).unwrap();
    disk.fill(32 << 10);
    let full = "cannot store at present: what waits here is sent once whoever runs it has made room";
    let is_told = |event: &Value| {
        event["event"] == "disconnected" && event["reason"].as_str().is_some_and(|reason| reason.contains(full))
    };
    let mut acknowledged = vec![json!("first")];
    while !session.events().iter().any(is_told) {
        let value = json!(format!("value {}", acknowledged.len()));
        session.call(json!({"do": "case.edit", "case": case, "set": {"name_first": value}})).unwrap();
        acknowledged.push(value);
        assert!(acknowledged.len() < 5_000, "the relay's disk does not get full");
    }
    assert_eq!(relay.health().unwrap()["storage"], "failing");
    let explained = session.call(json!({"do": "explain", "document": case})).unwrap();
    assert_eq!(explained["state"], "saved", "{explained}");
    disk.make_room();
    session.call(json!({"do": "connect"})).unwrap();
    sync(&mut session).unwrap();
    assert_eq!(relay.health().unwrap()["storage"], "ok");
    assert_eq!(history(&mut session, &case, "name_first").unwrap(), acknowledged);
    quit(session).unwrap();
}
