//! Several hundred planted values, and none of them in a byte of what a relay holds, what the network carries, what a
//! locked device keeps or what any of them logs. A control, in which nothing is sealed or compressed, finds every one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vereda_base::ChainId;
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    identity::CreateAgency,
    link::InviteLink,
    store::SealedStore,
};
use vereda_document::{
    Replica,
    frame::{Compression, encode},
};
use vereda_e2e::{
    canary::{Canaries, Find},
    frames::payloads,
    insider::{Content, Insider, Sealing},
    process::Session,
    proxy::{Line, Proxy},
    world::{Names, Relay, Worker, create_case, found, invite, join, quit, sync},
};
use vereda_records::starter::child_protection;

/// Cases, with six values each.
const CASES: usize = 60;

/// First names, in the scripts that people write in.
const FIRST: [&str; 10] = ["Amina", "Ñusta", "Zoë", "ليلى", "فاطمة", "አበበ", "गीता", "明美", "Оксана", "শিরিন"];
/// Family names.
const LAST: [&str; 10] = ["Warsame", "Quispe", "Öztürk", "حسن", "الهاشمي", "ተስፋዬ", "शर्मा", "山田", "Коваль", "বেগম"];

/// What is planted: each text once, and nowhere else.
struct Planted {
    agency: String,
    team: String,
    people: [String; 2],
    passphrases: [String; 2],
    cases: Vec<[String; 6]>,
}

impl Planted {
    fn new() -> Self {
        let cases = (0..CASES).map(|number| {
            let (first, last) = (FIRST[number % 10], LAST[(number / 10 + number) % 10]);
            [
                format!("{first} {number:03}a"),
                format!("{last} {number:03}b"),
                format!("+252 61 {:07}", 3_141_592 + number * 7_919),
                format!("{last} {number:03} seen at the well with {first}; ask again"),
                format!("{first} {last} {number:03}d"),
                format!("passport {number:03} of {last}"),
            ]
        });
        Self {
            agency: "Agencia Única para la Niñez 7731".into(),
            team: "فريق الشمال 4402".into(),
            people: ["Fadumo Ñandú 9913".into(), "अनीता Berger 9914".into()],
            passphrases: ["ten slow camels by the ocean 5".into(), "sieben Zwetschgen über Nacht 6".into()],
            cases: cases.collect(),
        }
    }

    /// What is sealed on its way and at rest.
    fn sealed(&self) -> Vec<String> {
        let names = [&self.agency, &self.team].into_iter().chain(&self.people);
        names.chain(self.cases.iter().flatten()).cloned().collect()
    }

    /// The answers of a case, in one of two parts: what is there at first, and what an edit adds.
    fn answers([first, last, phone, note, relative, document]: &[String; 6]) -> (Value, Value) {
        let fields = json!({"name_first": first, "name_last": last, "document_number": document});
        let edit = json!({"add": {
            "family_members": {"member_name": relative, "member_telephone": phone},
            "notes_written": {"note_text": note},
        }});
        (fields, edit)
    }
}

/// Searches everything that passed a proxy: as it passed, and with the masks of websockets taken off.
fn search_traffic(canaries: &Canaries, proxy: &Proxy) -> (Vec<Find>, usize) {
    let mut finds = Vec::new();
    let mut bytes = 0;
    for recording in proxy.recordings() {
        for stream in [recording.up, recording.down] {
            finds.extend(canaries.search_bytes("traffic", &stream));
            let carried = payloads(&stream);
            finds.extend(canaries.search_bytes("traffic, masks off", &carried));
            bytes += carried.len();
        }
    }
    (finds, bytes)
}

fn assert_nothing(canaries: &Canaries, folder: &Path, at_least: u64) {
    let (finds, bytes) = canaries.search_folder(folder).unwrap();
    assert!(bytes >= at_least, "{}: only {bytes} bytes were searched", folder.display());
    assert_eq!(finds, [], "in {}", folder.display());
}

fn assert_nothing_in_log(canaries: &Canaries, log: &Path, told: &str) {
    let text = std::fs::read(log).unwrap();
    // The right log, and at its most talkative.
    let shown = String::from_utf8_lossy(&text);
    assert!(shown.contains("DEBUG") && shown.contains(told), "{} tells too little", log.display());
    assert_eq!(canaries.search_bytes(&log.display().to_string(), &text), []);
}

/// Two people work: cases, edits, reading, history, conflicts.
fn work(planted: &Planted, sessions: &mut [Session; 2]) -> Vec<String> {
    let mut cases = Vec::new();
    for (number, values) in planted.cases.iter().enumerate() {
        let (fields, mut edit) = Planted::answers(values);
        let session = &mut sessions[number % 2];
        let case = create_case(session, &fields).unwrap();
        edit["do"] = json!("case.edit");
        edit["case"] = json!(case);
        session.call(edit).unwrap();
        cases.push(case);
    }
    for session in &mut *sessions {
        sync(session).unwrap();
    }
    let [one, other] = sessions;
    for (number, case) in cases.iter().enumerate() {
        let (own, theirs) = if number % 2 == 0 { (&mut *one, &mut *other) } else { (&mut *other, &mut *one) };
        let is_whole = |shown: &Value| shown["fields"]["notes_written"][0].is_object();
        theirs.until(&json!({"do": "case.show", "case": case}), is_whole).unwrap();
        let swap = json!({"name_first": planted.cases[(number + 2) % CASES][0]});
        theirs.call(json!({"do": "case.edit", "case": case, "set": swap})).unwrap();
        own.call(json!({"do": "case.history", "case": case})).unwrap();
    }
    for session in [one, other] {
        session.call(json!({"do": "case.list", "filter": FIRST[0]})).unwrap();
        session.call(json!({"do": "case.conflicts"})).unwrap();
        session.call(json!({"do": "people"})).unwrap();
        sync(session).unwrap();
    }
    cases
}

#[test]
fn no_planted_value_is_in_the_relay_the_traffic_a_locked_device_or_any_log() {
    let planted = Planted::new();
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start_with(&folder.path().join("relay"), "trace").unwrap();
    let proxy = Proxy::start(relay.address(), Line::default(), true).unwrap();
    let workers = [0, 1].map(|number| {
        let name = ["one", "two"][number];
        Worker::arrive(&folder.path().join(name), name, &planted.passphrases[number]).unwrap()
    });
    let mut sessions = workers.each_ref().map(|worker| worker.open().unwrap());
    let link = relay.founding_link(proxy.address()).unwrap();
    let names = Names { agency: &planted.agency, team: &planted.team, person: &planted.people[0] };
    let team = found(&mut sessions[0], &link, names).unwrap();
    let invite_link = invite(&mut sessions[0], &team).unwrap();
    join(&mut sessions[1], &invite_link, &planted.people[1]).unwrap();
    let secret = *invite_link.parse::<InviteLink>().unwrap().secret.expose();
    let cases = work(&planted, &mut sessions);

    let mut values = planted.sealed();
    values.extend(planted.passphrases.clone());
    assert!(values.len() > 300);
    let canaries = Canaries::with_secrets(&values, &[secret]).unwrap();
    // Unlocked, but what lies on the disk is what somebody finds who takes the device.
    for worker in &workers {
        assert_nothing(&canaries, &worker.home(), 300_000);
    }
    let [one, mut two] = sessions;
    quit(one).unwrap();
    two.kill().unwrap();
    for worker in &workers {
        assert_nothing(&canaries, &worker.home(), 300_000);
        assert_nothing_in_log(&canaries, &worker.log(), &cases[0][..8]);
    }
    assert_nothing(&canaries, &relay.data(), 100_000);
    relay.terminate().unwrap();
    assert_nothing(&canaries, &relay.data(), 100_000);
    assert_nothing_in_log(&canaries, &relay.log(), "session begins");
    let (finds, bytes) = search_traffic(&canaries, &proxy);
    assert!(bytes > 100_000, "only {bytes} bytes passed");
    assert_eq!(finds, []);
}

/// Makes unsealed, uncompressed chunks of all edits that wait, one a document.
fn push_unsealed(founder: &mut Insider<SealedStore>) {
    let push = |below: &mut vereda_e2e::insider::Below<'_, SealedStore>| {
        let mut documents: BTreeMap<ChainId, Vec<Vec<u8>>> = BTreeMap::new();
        for (document, _, raw) in below.take_edits()? {
            documents.entry(document).or_default().push(raw);
        }
        for (document, changes) in documents {
            let actor = below.actor(&document);
            let context = Replica::empty(actor).context(actor, 1);
            let body = encode(&changes, &context, Compression::Stored)?;
            let hashes = changes.iter().map(|raw| Sha256::digest(&raw[8..]).into()).collect();
            below.push(&document, &Content { body, first_change: 1, hashes }, Sealing::Identity, |_| {})?;
        }
        Ok(())
    };
    founder.below(push).unwrap();
}

fn values_found(finds: &[Find]) -> BTreeSet<usize> {
    finds.iter().map(|find| find.value).collect()
}

#[test]
fn with_nothing_sealed_every_planted_value_is_found_in_the_relay_the_traffic_and_the_device() {
    let planted = Planted::new();
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let proxy = Proxy::start(relay.address(), Line::default(), true).unwrap();
    let store_folder = folder.path().join("device");
    std::fs::create_dir(&store_folder).unwrap();
    let store = SealedStore::open_unsealed_for_control(&store_folder.join("store.sqlite3")).unwrap();
    let mut founder = Insider::new(store).unwrap();
    let link = relay.founding_link(proxy.address()).unwrap().parse().unwrap();
    let request = CreateAgency { link, name: planted.agency.clone(), person: planted.people[0].clone() };
    founder
        .with(|device, ambient| {
            device.create_agency(ambient, &request).unwrap();
            device.create_team(ambient, &planted.team).unwrap();
            device.apply_configuration(ambient, child_protection().clone()).unwrap();
            for values in &planted.cases {
                let (fields, edit) = Planted::answers(values);
                let plain = |edit: Value| -> PlainEdit { serde_json::from_value(edit).unwrap() };
                let answers = plain(json!({"set": fields}));
                let case = device.create_case(ambient, &CreateCase { team: None, answers }).unwrap();
                device.edit_case(ambient, &case, &plain(edit)).unwrap();
            }
        })
        .unwrap();
    // One person only is here, and one value is planted nowhere: a search that finds everything is worth nothing.
    let mut values = planted.sealed();
    values.retain(|value| *value != planted.people[1]);
    let expected: BTreeSet<usize> = (0..values.len()).collect();
    values.push("planted nowhere at all 8842".into());
    let canaries = Canaries::new(&values).unwrap();
    let in_device = canaries.search_folder(&store_folder).unwrap().0;
    push_unsealed(&mut founder);
    founder.exchange().unwrap();
    relay.terminate().unwrap();
    let in_relay = canaries.search_folder(&relay.data()).unwrap().0;
    let (in_traffic, _) = search_traffic(&canaries, &proxy);
    for (place, finds) in [("device", in_device), ("relay", in_relay), ("traffic", in_traffic)] {
        let missing: Vec<&String> = expected.difference(&values_found(&finds)).map(|index| &values[*index]).collect();
        assert!(missing.is_empty(), "{place}: the search misses {missing:?}");
        assert_eq!(values_found(&finds), expected, "{place}");
    }
}
