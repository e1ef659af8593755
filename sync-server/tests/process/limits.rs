//! What connections may take: over real sockets, with limits small enough to be reached at once.

use std::{net::SocketAddr, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use vereda_protocol::{Credential, Goodbye, Up};
use vereda_relay::{Folder, Limits, Relay, RelayOptions, TlsFiles};

use super::wire::{Wire, found};

/// Longer than anything takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

async fn relay(limits: Limits, tls: Option<TlsFiles>) -> (TempDir, Folder, Relay) {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::new(parent.path().join("data"));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let relay = Relay::start(RelayOptions { folder: folder.clone(), listen, tls, limits }).await.unwrap();
    (parent, folder, relay)
}

/// Reads until the relay closes.
async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // It may be a reset: then what came before is what there was.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the relay closes");
    bytes
}

/// Opens a websocket by hand, so that nothing answers a ping.
async fn open_by_hand(relay: &Relay) -> TcpStream {
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let request = "GET /sync HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_request_that_never_ends_and_one_for_nothing_are_closed_in_time() {
    let (_parent, _, relay) = relay(Limits { handshake: SHORT, ..Limits::default() }, None).await;
    let mut silent = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, b"", "no request");
    let mut half = TcpStream::connect(relay.address()).await.unwrap();
    half.write_all(b"GET /sync HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut half).await, b"", "half a head");
    let mut kept = TcpStream::connect(relay.address()).await.unwrap();
    kept.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut kept).await.starts_with(b"HTTP/1.1 404"), "kept alive, and asked for no more");
    relay.stop().await;
}

#[tokio::test]
async fn a_tls_handshake_that_never_comes_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let limits = Limits { handshake: SHORT, ..Limits::default() };
    let (_parent, _, relay) = relay(limits, Some(TlsFiles { certificate, key })).await;
    let mut silent = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, b"");
    relay.stop().await;
}

#[tokio::test]
async fn a_websocket_that_proves_nothing_or_asks_for_nothing_is_let_go_and_may_come_again() {
    let (_parent, folder, relay) = relay(Limits { proof: SHORT, ..Limits::default() }, None).await;
    let secret = *folder.make_founding_secret().unwrap().expose();
    let (person, founder, _) = found(&relay.url(), secret).await;
    drop(founder);
    let mut unproven = Wire::open(&relay.url()).await;
    assert_eq!(unproven.goodbye().await, Some(Goodbye::TooLate));
    let mut idle = Wire::member(&relay.url(), &person).await;
    let mut last = None;
    while let Some(down) = idle.next().await {
        last = Some(down);
    }
    assert!(matches!(last, Some(vereda_protocol::Down::Goodbye(Goodbye::TooLate))), "{last:?}");
    let mut again = Wire::member(&relay.url(), &person).await;
    assert!(again.pull().await.len() >= 2);
    drop(again);
    relay.stop().await;
}

#[tokio::test]
async fn a_device_that_answers_no_ping_counts_as_gone_and_one_that_does_stays() {
    let (_parent, folder, relay) = relay(Limits { silence: SHORT, ..Limits::default() }, None).await;
    let secret = *folder.make_founding_secret().unwrap().expose();
    let (_, mut founder, _) = found(&relay.url(), secret).await;
    founder.pull().await;
    let mut silent = open_by_hand(&relay).await;
    let bytes = tokio::select! {
        bytes = read_to_end(&mut silent) => bytes,
        // Reading goes on beside it, so the founder's pings are answered.
        down = founder.next() => panic!("the founder was told {down:?}"),
    };
    assert!(bytes.ends_with(&[0x89, 0]), "the last thing it was sent is a ping");
    let counted = async {
        while relay.health().sessions != 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("the founder alone is left");
    drop(founder);
    relay.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_and_a_place_comes_free_again() {
    let (_parent, _, relay) = relay(Limits { max_connections: 2, ..Limits::default() }, None).await;
    let first = Wire::open(&relay.url()).await;
    let second = Wire::open(&relay.url()).await;
    let mut third = open_by_hand(&relay).await;
    assert_eq!(read_to_end(&mut third).await, b"");
    drop(first);
    let welcome = async {
        loop {
            let mut stream = open_by_hand(&relay).await;
            let mut begin = [0; 12];
            if stream.read_exact(&mut begin).await.is_ok() {
                return begin;
            }
        }
    };
    assert_eq!(&timeout(PATIENCE, welcome).await.expect("a place comes free"), b"HTTP/1.1 101");
    drop(second);
    relay.stop().await;
}

#[tokio::test]
async fn one_address_takes_no_more_than_its_share() {
    let (_parent, _, relay) = relay(Limits { max_per_address: Some(1), ..Limits::default() }, None).await;
    let first = Wire::open(&relay.url()).await;
    let mut second = open_by_hand(&relay).await;
    assert_eq!(read_to_end(&mut second).await, b"");
    drop(first);
    relay.stop().await;
}

#[tokio::test]
async fn of_a_stranger_only_so_much_is_read() {
    let (_parent, _, relay) = relay(Limits { proof: Duration::from_secs(1), ..Limits::default() }, None).await;
    let stream = open_by_hand(&relay).await;
    let (mut read, mut write) = stream.into_split();
    // A frame of 1 MB that is announced and then sent; no more than the network holds is taken.
    let mut frame = vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0];
    frame.resize(1 << 20, 7);
    let sending = tokio::spawn(async move {
        let mut sent = 0u64;
        for _ in 0..64 {
            match write.write_all(&frame).await {
                Ok(()) => sent += frame.len() as u64,
                Err(_) => break,
            }
        }
        sent
    });
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, read.read_to_end(&mut bytes)).await.expect("the relay closes");
    drop(read);
    assert!(sending.await.unwrap() < 32 << 20, "most of it was never taken");
    relay.stop().await;
}

#[tokio::test]
async fn a_device_that_proved_itself_is_read_on() {
    let (_parent, folder, relay) = relay(Limits::default(), None).await;
    let secret = *folder.make_founding_secret().unwrap().expose();
    let (mut person, wire, case) = found(&relay.url(), secret).await;
    drop(wire);
    let mut wire = Wire::open(&relay.url()).await;
    // All in one flight, more than a stranger may send.
    let auth = person.auth(&wire.opening, Credential::Member);
    let chunk = person.chunk(case, 0, None, &[], 600_000);
    wire.send(Up::Auth(auth)).await;
    wire.send(Up::PutChunk(chunk.clone())).await;
    assert_eq!(wire.outcome_of(&chunk).await, vereda_protocol::ChunkOutcome::Durable);
    drop(wire);
    relay.stop().await;
}
