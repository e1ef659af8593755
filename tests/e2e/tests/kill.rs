//! Killed with SIGKILL at random instants: a device's process while it edits and syncs, a relay's while two devices push.
//! What was acknowledged is there afterwards, in its order, and everybody ends with the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use std::{collections::BTreeMap, time::Duration};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use vereda_e2e::{
    process::Session,
    world::{Names, Relay, Worker, converge, create_case, digest, found, history, invite, join, quit, sync},
};

/// Kills of a device's process.
const DEVICE_KILLS: u32 = 200;
/// Kills of a relay's process.
const RELAY_KILLS: u32 = 60;
/// Kills after which edits go to a new case, so that no history grows without end.
const KILLS_A_CASE: u32 = 20;

/// Takes the seed from `VEREDA_SEED`, or one that is always the same, and prints it.
fn seeded(what: &str) -> ChaCha20Rng {
    let seed = std::env::var("VEREDA_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(2_026);
    println!("{what}: VEREDA_SEED={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

fn below(rng: &mut ChaCha20Rng, bound: u32) -> u32 {
    rng.next_u32() % bound
}

/// One edit of one field.
#[derive(Debug, Clone, PartialEq)]
struct Edit {
    case: String,
    field: &'static str,
    value: Value,
}

/// What a device was asked to write, and what it said it has.
#[derive(Default)]
struct Book {
    /// What is known to be there, by case and field, in order.
    kept: BTreeMap<(String, &'static str), Vec<Value>>,
    /// What was asked for in this session, with the ids of the requests, in order.
    asked: Vec<(u64, Edit)>,
    count: u32,
}

impl Book {
    /// Sends an edit without waiting for its answer. One field goes from A to B and back to A, again and again; the other
    /// has a new value each time.
    fn ask(&mut self, session: &mut Session, rng: &mut ChaCha20Rng, case: &str) -> bool {
        self.count += 1;
        let flips = below(rng, 3) > 0;
        let field = if flips { "name_first" } else { "name_last" };
        let edit = Edit { case: case.to_owned(), field, value: self.next_value(case, field, flips) };
        let request = json!({"do": "case.edit", "case": case, "set": {field: edit.value}});
        // The process may be gone already.
        let Ok(id) = session.send(request) else { return false };
        self.asked.push((id, edit));
        true
    }

    fn next_value(&self, case: &str, field: &'static str, flips: bool) -> Value {
        if !flips {
            return json!(format!("value {}", self.count));
        }
        let last_asked = self.asked.iter().rev().find(|(_, edit)| edit.case == case && edit.field == field);
        let kept = || self.kept.get(&(case.to_owned(), field)).and_then(|values| values.last());
        let last = last_asked.map(|(_, edit)| &edit.value).or_else(kept);
        if last == Some(&json!("A")) { json!("B") } else { json!("A") }
    }

    /// Compares what is there with what was acknowledged: everything kept before, then of what was asked for a beginning
    /// that holds at least all that was acknowledged.
    fn check(&mut self, session: &mut Session, acknowledged: &[u64]) {
        let asked = std::mem::take(&mut self.asked);
        let must = asked.iter().rposition(|(id, _)| acknowledged.contains(id)).map_or(0, |at| at + 1);
        assert!(asked[..must].iter().all(|(id, _)| acknowledged.contains(id)), "answers in another order");
        let mut found = BTreeMap::new();
        for (_, edit) in &asked {
            let place = (edit.case.clone(), edit.field);
            found.entry(place).or_insert_with(|| history(session, &edit.case, edit.field).unwrap());
        }
        // The edits of one session are durable in their order, over all fields.
        let fits = |done: usize| {
            found.iter().all(|(place, values)| {
                let mut expected = self.kept.get(place).cloned().unwrap_or_default();
                let here = asked[..done].iter().filter(|(_, edit)| (&edit.case, edit.field) == (&place.0, place.1));
                expected.extend(here.map(|(_, edit)| edit.value.clone()));
                expected == *values
            })
        };
        let done = (must..=asked.len()).find(|done| fits(*done));
        assert!(done.is_some(), "of {} edits {must} were acknowledged; there is {found:?}", asked.len());
        for (place, values) in found {
            self.kept.insert(place, values);
        }
    }

    /// Compares everything with what a device shows.
    fn check_all(&self, session: &mut Session) {
        for ((case, field), values) in &self.kept {
            assert_eq!(history(session, case, field).unwrap(), *values, "case {case}, {field}");
        }
    }
}

#[test]
fn a_device_killed_at_200_random_instants_keeps_every_edit_it_acknowledged_and_all_converge() {
    let mut rng = seeded("device");
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let amina = Worker::arrive(&folder.path().join("amina"), "amina", "correct horse").unwrap();
    let berta = Worker::arrive(&folder.path().join("berta"), "berta", "battery staple").unwrap();
    let mut session = amina.open().unwrap();
    let link = relay.founding_link(relay.address()).unwrap();
    let team = found(&mut session, &link, Names::default()).unwrap();
    let mut colleague = berta.open().unwrap();
    join(&mut colleague, &invite(&mut session, &team).unwrap(), "Berta").unwrap();

    let mut book = Book::default();
    let mut case = String::new();
    let (mut in_opening, mut acknowledged_in_all) = (0, 0);
    for kill in 0..DEVICE_KILLS {
        if kill % KILLS_A_CASE == 0 {
            case = create_case(&mut session, &json!({"name_first": "first"})).unwrap();
            book.kept.insert((case.clone(), "name_first"), vec![json!("first")]);
        }
        // The first edits go out at once, the others as the answers come, until the instant.
        let instant = Duration::from_micros(u64::from(below(&mut rng, 60_000)));
        let burst = below(&mut rng, 12);
        for _ in 0..burst {
            book.ask(&mut session, &mut rng, &case);
        }
        session.listen_for(instant);
        let acknowledged = session.kill().unwrap();
        acknowledged_in_all += acknowledged.len();
        // Now and then the next process is killed while it opens the vault. Not thrice in a row: such an attempt counts
        // as a wrong one, and after three the vault lets one wait.
        while below(&mut rng, 6) == 0 && in_opening < 2 {
            in_opening += 1;
            let mut opening = amina.start(&[]).unwrap();
            opening.listen_for(Duration::from_micros(u64::from(below(&mut rng, 120_000))));
            opening.kill().unwrap();
        }
        in_opening = 0;
        session = amina.open().unwrap();
        book.check(&mut session, &acknowledged);
    }
    println!("{acknowledged_in_all} edits acknowledged before a kill, {} asked for", book.count);
    assert!(acknowledged_in_all > DEVICE_KILLS as usize, "too few edits to prove anything");
    converge(&mut session, &mut colleague).unwrap();
    book.check_all(&mut session);
    book.check_all(&mut colleague);
    quit(session).unwrap();
    quit(colleague).unwrap();
}

fn log_position(relay: &Relay) -> u64 {
    relay.log_position().unwrap()
}

/// Says whether everything of a case is at the relay, as its device knows it.
fn is_at_relay(session: &mut Session, case: &str) -> bool {
    session.call(json!({"do": "explain", "document": case})).unwrap()["state"] == "synced"
}

#[test]
fn a_relay_killed_at_60_random_instants_keeps_everything_it_acknowledged_and_all_converge() {
    let mut rng = seeded("relay");
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let workers =
        ["amina", "berta"].map(|name| Worker::arrive(&folder.path().join(name), name, "passphrase of both").unwrap());
    let mut sessions = workers.each_ref().map(|worker| worker.open().unwrap());
    let link = relay.founding_link(relay.address()).unwrap();
    let team = found(&mut sessions[0], &link, Names::default()).unwrap();
    let link = invite(&mut sessions[0], &team).unwrap();
    join(&mut sessions[1], &link, "Berta").unwrap();

    let mut books = [Book::default(), Book::default()];
    let mut cases = [String::new(), String::new()];
    let mut kills_with_all_at_relay = 0;
    for kill in 0..RELAY_KILLS {
        for (device, session) in sessions.iter_mut().enumerate() {
            if kill % 10 == 0 {
                cases[device] = create_case(session, &json!({"name_first": "first"})).unwrap();
                books[device].kept.insert((cases[device].clone(), "name_first"), vec![json!("first")]);
            }
            session.call(json!({"do": "connect"})).unwrap();
            for _ in 0..1 + below(&mut rng, 6) {
                books[device].ask(session, &mut rng, &cases[device]);
            }
        }
        let instant = Duration::from_micros(u64::from(below(&mut rng, 250_000)));
        sessions[0].listen_for(instant);
        let before = log_position(&relay);
        relay.kill().unwrap();
        for (device, session) in sessions.iter_mut().enumerate() {
            let all: Vec<u64> = books[device].asked.iter().map(|(id, _)| *id).collect();
            for id in &all {
                assert_eq!(session.answer(*id).unwrap()["ok"], true);
            }
            books[device].check(session, &all);
            kills_with_all_at_relay += u32::from(is_at_relay(session, &cases[device]));
        }
        relay.restart().unwrap();
        assert!(log_position(&relay) >= before, "the relay's log is shorter after kill {kill}");
    }
    assert!(kills_with_all_at_relay > 5, "too little was at the relay before a kill to prove anything");
    let [mut one, mut other] = sessions;
    for session in [&mut one, &mut other] {
        session.call(json!({"do": "connect"})).unwrap();
    }
    converge(&mut one, &mut other).unwrap();
    newcomer_has_all(&mut one, &mut other, &team, &books, &folder.path().join("carlos"));
}

/// Lets a third device join that has everything from the relay alone, and compares.
fn newcomer_has_all(one: &mut Session, other: &mut Session, team: &str, books: &[Book], folder: &std::path::Path) {
    let link = invite(one, team).unwrap();
    let mut newcomer = Worker::arrive(folder, "carlos", "passphrase of carlos").unwrap().open().unwrap();
    join(&mut newcomer, &link, "Carlos").unwrap();
    sync(&mut newcomer).unwrap();
    for book in books {
        for session in [&mut *one, &mut *other, &mut newcomer] {
            book.check_all(session);
        }
    }
    assert_eq!(digest(&mut newcomer).unwrap(), digest(one).unwrap());
}
