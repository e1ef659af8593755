//! Hostile content from a member with rights and real keys, through a real relay: refused with its evidence by devices
//! that go on working.
//!
//! That each attack does harm where the check is missing is shown beside the check, in
//! `crates/document/tests/hostile.rs`: an extreme first counter makes the next edit panic, a repeated seq fails a whole
//! batch, a missing dependency is parked in silence and saved as an orphan, a malformed tail is swallowed, a foreign actor
//! writes under another name, and so on. What only the signed header gives away, content that is not what was signed, is
//! shown here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vereda_base::{ChainId, Digest, Timestamp};
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    device::Device,
    identity::{CreateAgency, InviteRequest},
    link::InviteLink,
    sync_machine::MemoryStore,
};
use vereda_document::{
    Edit, Expect, ParsedChunk, Replica,
    frame::{Compression, encode},
    hostile_examples::{ATTACKS, Attack, attack},
};
use vereda_e2e::{
    insider::{Content, Insider, OpenStore, Sealing},
    process::Session,
    world::{Relay, Worker, digest, sync},
};
use vereda_policy::Role;
use vereda_records::{Configuration, FieldPath};

type Member = Device<OpenStore<MemoryStore>>;

/// The fields that attacks are made for.
fn configuration() -> Configuration {
    let configuration = json!({
        "format": 1,
        "version": 1,
        "name": {"en": "Three fields"},
        "languages": ["en"],
        "modules": [{"id": "m", "name": {"en": "M"}, "record_types": ["case"], "forms": ["f"]}],
        "forms": [{
            "id": "f", "record_type": "case", "modules": ["m"], "name": {"en": "F"}, "order": 1,
            "fields": [
                {"name": "name", "type": "text", "label": {"en": "Name"}, "show_in_brief": true},
                {"name": "notes", "type": "long_text", "label": {"en": "Notes"}},
                {"name": "other_notes", "type": "long_text", "label": {"en": "Other notes"}}
            ]
        }]
    });
    Configuration::from_json(configuration.to_string().as_bytes()).unwrap()
}

fn plain(edit: Value) -> PlainEdit {
    serde_json::from_value(edit).unwrap()
}

/// A relay, an honest founder, an attacker who is an Editor of the team, and a victim in a process of its own.
struct Stage {
    _folder: tempfile::TempDir,
    relay: Relay,
    founder: Insider,
    attacker: Insider,
    victim: Worker,
    session: Session,
}

impl Stage {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Relay::start(&folder.path().join("relay")).unwrap();
        let mut founder = Insider::new(MemoryStore::new()).unwrap();
        let link = relay.founding_link(relay.address()).unwrap().parse().unwrap();
        let request = CreateAgency { link, name: "Child Aid".into(), person: "Fatima".into() };
        let team = founder
            .with(|device, ambient| {
                device.create_agency(ambient, &request).unwrap();
                let team = device.create_team(ambient, "North").unwrap();
                device.apply_configuration(ambient, configuration()).unwrap();
                team
            })
            .unwrap();
        founder.exchange().unwrap();
        let mut attacker = Insider::new(MemoryStore::new()).unwrap();
        let link = invite(&mut founder, team);
        attacker.with(|device, ambient| device.join(ambient, &link, "Mallory").unwrap()).unwrap();
        attacker.exchange().unwrap();
        founder.exchange().unwrap();
        attacker.exchange_until(is_member).unwrap();
        let victim = Worker::arrive(&folder.path().join("victim"), "vera", "passphrase of vera").unwrap();
        let mut session = victim.open().unwrap();
        let link = invite(&mut founder, team).expose();
        session.call(json!({"do": "join", "link": link, "name": "Vera"})).unwrap();
        let is_waiting = |status: &Value| status["membership"] == "waiting_for_key";
        session.until(&json!({"do": "status"}), is_waiting).unwrap();
        founder.exchange().unwrap();
        join_is_done(&mut session);
        Self { _folder: folder, relay, founder, attacker, victim, session }
    }

    fn create_case(&mut self) -> ChainId {
        let answers = plain(json!({"set": {"name": "Amina", "notes": "seen at the gate", "other_notes": "else"}}));
        let request = CreateCase { team: None, answers };
        self.founder.with(|device, ambient| device.create_case(ambient, &request).unwrap()).unwrap()
    }

    fn name(&mut self, case: &ChainId) -> Value {
        self.session.call(json!({"do": "case.show", "case": case})).unwrap()["fields"]["name"].clone()
    }
}

fn is_member(device: &mut Member) -> bool {
    device.status().is_ok_and(|status| status.membership == "member")
}

fn join_is_done(session: &mut Session) {
    let is_in = |status: &Value| status["membership"] == "member" && status["settled"] == true && status["locked"] == 0;
    session.until(&json!({"do": "status"}), is_in).unwrap();
}

fn invite(founder: &mut Insider, team: ChainId) -> InviteLink {
    let request = InviteRequest { chain: team, role: Role::Editor, open_for: Duration::from_secs(3_600) };
    let invite = founder.with(|device, ambient| device.invite(ambient, &request).unwrap()).unwrap();
    founder.exchange().unwrap();
    let invites = founder.with(|device, ambient| device.invites(ambient.now.wall).unwrap()).unwrap();
    let view = invites.into_iter().find(|view| view.invite == invite).unwrap();
    view.link.unwrap().parse().unwrap()
}

/// Hash of a change: of its kind, length and content.
fn change_hash(raw: &[u8]) -> [u8; 32] {
    Sha256::digest(&raw[8..]).into()
}

/// An honest edit, as the attacker's program would make it.
fn honest(replica: &Replica, value: &str) -> Content {
    let mut own = replica.clone();
    let context = own.context(own.actor(), 1);
    let edit = Edit::Set { path: FieldPath::field("name"), value: vereda_records::Value::text(value) };
    let change = own.edit(&[edit], Timestamp(1_000)).unwrap().pop().unwrap();
    let body = encode(&[&change.bytes], &context, Compression::default()).unwrap();
    Content { body, first_change: 1, hashes: vec![change.hash] }
}

/// Says whether the changes of a chunk would be applied by a replica that did not look at the signed header.
fn would_be_applied(replica: &Replica, author: vereda_base::ActorBytes, content: &Content) -> bool {
    let mut victim = replica.clone();
    let context = victim.context(author, 1);
    let count = u32::try_from(content.hashes.len()).unwrap();
    let expect = Expect { context, first_seq: 1, count, closure: &|_| true };
    ParsedChunk::parse(&content.body, &expect).is_ok_and(|parsed| victim.apply(&parsed).is_ok())
}

/// What is sent: an attack of the document's, or content that is not what was signed.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Attack(Attack),
    OtherThanSigned,
}

fn push(attacker: &mut Insider, case: &ChainId, sent: Sent) {
    attacker
        .below(|below| {
            let replica = below.replica(case)?;
            let actor = below.actor(case);
            match sent {
                Sent::Attack(kind) => {
                    let hostile = attack(kind, &replica, actor).expect("the document is prepared");
                    let hashes = hostile.changes.iter().map(|raw| change_hash(raw)).collect();
                    let content = Content { body: hostile.body(), first_change: hostile.first_seq, hashes };
                    assert!(!would_be_applied(&replica, actor, &content), "{kind:?} is no attack any more");
                    below.push(case, &content, Sealing::Real, |_| {})
                }
                Sent::OtherThanSigned => {
                    let content = honest(&replica, "other than signed");
                    assert!(would_be_applied(&replica, actor, &content));
                    below.push(case, &content, Sealing::Real, |header| header.ops_root = Digest([7; 32]))
                }
            }
        })
        .unwrap();
}

#[test]
fn every_attack_signed_and_sealed_by_a_member_is_refused_with_its_evidence_and_devices_go_on_working() {
    let mut stage = Stage::build();
    let attacks: Vec<Sent> = ATTACKS.into_iter().map(Sent::Attack).chain([Sent::OtherThanSigned]).collect();
    let cases: Vec<ChainId> = attacks.iter().map(|_| stage.create_case()).collect();
    let untouched = stage.create_case();
    stage.founder.exchange().unwrap();
    stage.attacker.exchange().unwrap();
    sync(&mut stage.session).unwrap();

    for (case, sent) in cases.iter().zip(&attacks) {
        push(&mut stage.attacker, case, *sent);
    }
    // His next edit of another case is honest.
    stage
        .attacker
        .below(|below| {
            let content = honest(&below.replica(&untouched)?, "honest");
            below.push(&untouched, &content, Sealing::Real, |_| {})
        })
        .unwrap();
    stage.attacker.exchange().unwrap();
    stage.founder.exchange().unwrap();

    for (case, sent) in cases.iter().zip(&attacks) {
        let is_of_case = |event: &Value| event["event"] == "quarantined" && event["document"] == json!(case);
        stage.session.event(is_of_case).unwrap_or_else(|error| panic!("{sent:?}: {error}"));
        let explained = stage.session.call(json!({"do": "explain", "document": case})).unwrap();
        assert_eq!(explained["state"], "quarantined", "{sent:?}");
        let sentence = explained["sentence"].as_str().unwrap();
        assert!(sentence.contains("set aside as evidence") && sentence.contains("tell whoever runs"), "{sentence}");
        assert_eq!(stage.name(case), "Amina", "{sent:?}");
    }
    let attacker = stage.attacker.with(|device, _| device.id()).unwrap();
    let evidence = |case| stage.founder.below(|below| below.evidence(case)).unwrap();
    let evidence: Vec<Vec<_>> = cases.iter().map(evidence).collect();
    assert!(evidence.iter().all(|rows| rows.len() == 1 && rows[0].0 == attacker), "signed by {attacker}");

    goes_on_working(&mut stage, &cases, &untouched);
    let log = std::fs::read_to_string(stage.victim.log()).unwrap();
    assert!(!log.contains("a defect of the program"), "the victim's program panicked");
    stage.relay.terminate().unwrap();
}

/// Edits of the victim reach the founder and back, in attacked cases too; also after a restart.
fn goes_on_working(stage: &mut Stage, cases: &[ChainId], untouched: &ChainId) {
    let shows = |session: &mut Session, case: &ChainId, name: &str| {
        let is_shown = |shown: &Value| shown["fields"]["name"] == name;
        session.until(&json!({"do": "case.show", "case": case}), is_shown).unwrap();
    };
    shows(&mut stage.session, untouched, "honest");
    for case in cases {
        stage.session.call(json!({"do": "case.edit", "case": case, "set": {"name": "of the victim"}})).unwrap();
    }
    sync(&mut stage.session).unwrap();
    for case in cases {
        let edit = plain(json!({"append": {"notes": " and again"}, "set": {"name": "of the founder"}}));
        stage.founder.exchange().unwrap();
        let shown = stage.founder.with(|device, _| device.show_case(case).unwrap()).unwrap();
        assert_eq!(shown.fields["name"], "of the victim");
        stage.founder.with(|device, ambient| device.edit_case(ambient, case, &edit).unwrap()).unwrap();
    }
    stage.founder.exchange().unwrap();
    stage.session.kill().unwrap();
    stage.session = stage.victim.open().unwrap();
    for case in cases {
        shows(&mut stage.session, case, "of the founder");
    }
    sync(&mut stage.session).unwrap();
    let expected = stage.founder.with(|device, _| device.digest().unwrap().digest.to_string()).unwrap();
    assert_eq!(digest(&mut stage.session).unwrap().0, expected);
    let case = stage.session.call(json!({"do": "case.create", "fields": {"name": "new"}})).unwrap();
    assert!(case["case"].is_string());
    sync(&mut stage.session).unwrap();
}
