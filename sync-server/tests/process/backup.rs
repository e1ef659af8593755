//! A backup made while the relay runs, and what devices see of a relay that was restored from it.

use vereda_protocol::{ChunkOutcome, Credential};
use vereda_sync::people::link_of;

use super::{
    relay::{RelayProcess, data, founding_secret, run},
    wire::{Wire, found},
};

#[tokio::test]
async fn a_restored_relay_has_what_the_backup_had_under_its_old_key_and_a_new_epoch() {
    let (parent, data) = data();
    let relay = RelayProcess::start(&data);
    let (mut person, mut wire, case) = found(&relay.url, founding_secret(&relay, &data)).await;
    let first = person.chunk(case, 0, None, &[], 500);
    assert_eq!(wire.put_chunk(&first).await, ChunkOutcome::Durable);
    let backup = parent.path().join("backup.db");
    let running = rusqlite::Connection::open(data.join("relay.db")).unwrap();
    running.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(running);
    let link = link_of(&first);
    let second = person.chunk(case, 1, Some(link), &[link], 500);
    assert_eq!(wire.put_chunk(&second).await, ChunkOutcome::Durable, "after the backup");
    let (before, key) = (wire.opening, relay.key.clone());
    let in_use = run(&["restored", "--data", data.to_str().unwrap()]);
    assert_eq!(in_use.status.code(), Some(1), "not while it serves");
    relay.kill();

    let restored = parent.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::copy(&backup, restored.join("relay.db")).unwrap();
    std::fs::copy(data.join("relay.key"), restored.join("relay.key")).unwrap();
    assert!(run(&["restored", "--data", restored.to_str().unwrap()]).status.success());
    let relay = RelayProcess::start(&restored);
    assert_eq!(relay.key, key);
    let mut wire = Wire::open(&relay.url).await;
    assert_eq!(wire.opening.relay, before.relay);
    // By this a device tells that the relay was restored, and sends it nothing.
    assert_ne!(wire.opening.relay_epoch, before.relay_epoch);
    assert_eq!(wire.authenticate(&person, Credential::Member).await, 1, "what the backup had");
    assert_eq!(wire.put_chunk(&second).await, ChunkOutcome::Durable, "what came after it can be had from its device");
}
