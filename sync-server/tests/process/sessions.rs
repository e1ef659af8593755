//! What a stranger, a hostile device and an honest one get from the process, and that it goes on.

use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use vereda_base::limits::MAX_FRAME_BYTES;
use vereda_policy::Role;
use vereda_protocol::{ChunkOutcome, Credential, Down, Goodbye, OpOutcome, Position, Up, founding_credential};
use vereda_sync::people::{Person, link_of};

use super::{
    relay::{RelayProcess, data, founding_secret},
    wire::{Wire, found},
};

#[tokio::test]
async fn whoever_is_not_let_in_gets_a_plain_goodbye_and_the_relay_goes_on() {
    let (_parent, data) = data();
    let relay = RelayProcess::start(&data);
    let secret = founding_secret(&relay, &data);
    let (person, _wire, _) = found(&relay.url, secret).await;
    let stranger = Person::new(9);

    let mut wire = Wire::open(&relay.url).await;
    wire.send_raw(Message::Binary(vec![0xfb; 300].into())).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::Violation), "garbage");

    let mut wire = Wire::open(&relay.url).await;
    wire.send_raw(Message::Text("hello".into())).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::Violation), "text");

    let mut wire = Wire::member(&relay.url, &person).await;
    wire.send_raw(Message::Binary(vec![3; MAX_FRAME_BYTES + 1].into())).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::Violation), "too long");

    let mut wire = Wire::open(&relay.url).await;
    wire.send(Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] }).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::Violation), "no proof");

    let mut wire = Wire::open(&relay.url).await;
    let mut auth = person.auth(&wire.opening, Credential::Member);
    auth.versions = vec![2, 3];
    wire.send(Up::Auth(auth)).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::NoCommonVersion));

    let mut wire = Wire::open(&relay.url).await;
    wire.send(Up::Auth(stranger.auth(&wire.opening, Credential::Member))).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::UnknownDevice));

    let mut wire = Wire::open(&relay.url).await;
    let mut auth = person.auth(&wire.opening, Credential::Member);
    auth.incarnation.0 ^= 1;
    wire.send(Up::Auth(auth)).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::BadAuth), "altered");

    let (first, mut second) = (Wire::open(&relay.url).await, Wire::open(&relay.url).await);
    second.send(Up::Auth(person.auth(&first.opening, Credential::Member))).await;
    assert_eq!(second.goodbye().await, Some(Goodbye::BadAuth), "replayed from another connection");

    let mut wire = Wire::open(&relay.url).await;
    wire.send(Up::Auth(stranger.auth(&wire.opening, founding_credential(&wire.opening, &stranger.device(), &secret))))
        .await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::FoundingSpent));

    let mut wire = Wire::member(&relay.url, &person).await;
    assert!(wire.pull().await.len() >= 2, "the relay goes on");
    assert_eq!(relay.health()["storage"], "ok");
}

#[tokio::test]
async fn an_invite_is_good_for_one() {
    let (_parent, data) = data();
    let relay = RelayProcess::start(&data);
    let (mut manager, mut wire, _) = found(&relay.url, founding_secret(&relay, &data)).await;
    let agency = manager.chains.iter().find(|state| state.kind() == vereda_policy::ChainKind::Agency).unwrap().id();
    let expires = vereda_base::Timestamp(i64::MAX);
    let invite = manager.invite(agency, Role::Editor, 5, expires);
    assert!(matches!(wire.put(&invite).await, OpOutcome::Appended(_)));
    let mut guest = Person::new(5);
    guest.chains = manager.chains.clone();
    let mut joining = Wire::open(&relay.url).await;
    let credential = guest.credential(&joining.opening, agency, invite.id(), 5);
    joining.authenticate(&guest, credential).await;
    for put in [guest.create_user(), guest.accept(agency, invite.id(), 5)] {
        assert!(matches!(joining.put(&put).await, OpOutcome::Appended(_)));
    }
    let late = Person::new(6);
    let mut wire = Wire::open(&relay.url).await;
    let credential = late.credential(&wire.opening, agency, invite.id(), 5);
    wire.send(Up::Auth(late.auth(&wire.opening, credential))).await;
    assert_eq!(wire.goodbye().await, Some(Goodbye::InviteSpent));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_process_was_killed() {
    let (_parent, data) = data();
    let relay = RelayProcess::start(&data);
    let (mut person, mut wire, case) = found(&relay.url, founding_secret(&relay, &data)).await;
    let mut prev = None;
    let mut acknowledged = 0;
    for seq in 0..20 {
        let chunk = person.chunk(case, seq, prev, prev.as_slice(), 2_000);
        prev = Some(link_of(&chunk));
        assert_eq!(wire.put_chunk(&chunk).await, ChunkOutcome::Durable);
        acknowledged += 1;
    }
    relay.kill();
    let relay = RelayProcess::start(&data);
    let mut wire = Wire::open(&relay.url).await;
    assert_eq!(wire.authenticate(&person, Credential::Member).await, acknowledged);
    let next = person.chunk(case, 20, prev, prev.as_slice(), 2_000);
    assert_eq!(wire.put_chunk(&next).await, ChunkOutcome::Durable);
}

#[tokio::test]
async fn a_stop_says_goodbye_and_ends_with_success() {
    let (_parent, data) = data();
    let relay = RelayProcess::start(&data);
    let (_, mut wire, _) = found(&relay.url, founding_secret(&relay, &data)).await;
    let unproven = Wire::open(&relay.url).await;
    let mut half = tokio::net::TcpStream::connect(&relay.address).await.unwrap();
    half.write_all(b"GET /sync HTTP/1.1\r\n").await.unwrap();
    let stopping = tokio::task::spawn_blocking(move || relay.stop());
    assert_eq!(wire.goodbye().await, Some(Goodbye::ShuttingDown));
    drop(unproven);
    assert_eq!(stopping.await.unwrap().code(), Some(0));
    let wal = std::fs::metadata(data.join("relay.db-wal")).map_or(0, |file| file.len());
    assert_eq!(wal, 0, "the database is whole in one file");
}

#[tokio::test]
async fn edits_travel_from_device_to_device_and_health_counts_nobody() {
    let (_parent, data) = data();
    let relay = RelayProcess::start(&data);
    let (mut person, mut wire, case) = found(&relay.url, founding_secret(&relay, &data)).await;
    let mut other = person.clone();
    other.key = vereda_crypto::DeviceKey::from_seed(&[33; 32]);
    let pair = vereda_crypto::WrapKeyPair::from_seed(&vereda_crypto::Key32::new([33; 32]));
    let add = vereda_policy::AddDevice::with_key(
        person.user(),
        &other.key,
        pair.public().clone(),
        vereda_policy::DeviceKind::Full,
    );
    let add = person.append(person.user(), vereda_policy::Body::AddDevice(add));
    assert!(matches!(wire.put(&add).await, OpOutcome::Appended(_)));
    let mut listening = Wire::member(&relay.url, &other).await;
    listening.pull().await;
    let chunk = person.chunk(case, 0, None, &[], 500);
    assert_eq!(wire.put_chunk(&chunk).await, ChunkOutcome::Durable);
    let down = listening.next().await;
    assert!(matches!(&down, Some(Down::Content { chunks, .. }) if chunks == &[chunk]), "{down:?}");
    assert_eq!(relay.health(), serde_json::json!({ "storage": "ok" }), "whoever asks is told no more");
}
