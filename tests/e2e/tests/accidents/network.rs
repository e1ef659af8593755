//! Frames that are none, relays that are others, relays that are gone.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use vereda_base::limits::MAX_FRAME_BYTES;
use vereda_e2e::world::{Relay, quit};

use super::stage::{Stage, assert_says};

/// Writes a websocket frame of a client.
fn client_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    // A mask of zeros leaves the payload as it is.
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Upgrades a connection to a relay.
fn websocket(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = "GET /sync HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Reads until the relay says that it closes, or is gone; false if it does neither.
fn is_ended(stream: &mut TcpStream) -> bool {
    loop {
        let mut head = [0; 2];
        if let Err(error) = stream.read_exact(&mut head) {
            return error.kind() != std::io::ErrorKind::WouldBlock;
        }
        if head[0] & 0x0f == 8 {
            return true;
        }
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                stream.read_exact(&mut len).unwrap();
                usize::from(u16::from_be_bytes(len))
            }
            short @ 0..126 => usize::from(short),
            _ => panic!("a frame longer than any that a relay begins with"),
        };
        stream.read_exact(&mut vec![0; len]).unwrap();
    }
}

#[test]
fn a_relay_ends_whoever_sends_garbage_or_too_much_and_serves_everybody_else() {
    let stage = Stage::build();
    let mut session = stage.amina.open().unwrap();
    let garbage: Vec<u8> = (0..999_u32).map(|index| ((index * 7_919) >> 3) as u8).collect();
    // Of a longer frame than these, but within what a frame may have, a stranger's bytes are no longer read; his time
    // runs out.
    for payload in [Vec::new(), garbage.clone(), garbage.repeat(60), vec![0x9f; 3 * MAX_FRAME_BYTES]] {
        let mut stream = websocket(stage.relay.address());
        // The relay may end the connection before all of it is written.
        drop(stream.write_all(&client_frame(&payload)));
        assert!(is_ended(&mut stream), "{} bytes of garbage leave the connection open", payload.len());
    }
    // No websocket at all.
    let mut stream = TcpStream::connect(stage.relay.address()).unwrap();
    stream.write_all(&garbage).unwrap();
    assert_eq!(stage.relay.health().unwrap()["storage"], "ok");
    stage.nothing_is_lost_in(&mut session);
    quit(session).unwrap();
}

/// Answers every websocket at a port with the same bytes instead of a relay's first frame.
fn pretend(listener: TcpListener, said: Vec<u8>) {
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
            );
            drop(stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&said)));
            // Held open until the device goes.
            drop(stream.read_to_end(&mut Vec::new()));
        }
    });
}

#[test]
fn a_device_leaves_whoever_sends_garbage_in_a_relays_place_and_loses_nothing() {
    let mut stage = Stage::build();
    stage.relay.terminate().unwrap();
    let listener = TcpListener::bind(stage.relay.address()).unwrap();
    let mut garbage = vec![0x82, 126, 0x03, 0xe8];
    garbage.extend((0..1_000_u32).map(|index| ((index * 7_919) >> 3) as u8));
    pretend(listener, garbage);
    let ended = stage.amina.command(&["sync", "--wait", "30"]).unwrap();
    assert_says(&ended, 5, &["not connected", "the relay broke the protocol"]);
    let shown = stage.amina.command(&["--json", "case", "show", &stage.case]).unwrap();
    assert_eq!((shown.code, shown.printed.contains("Samir")), (Some(0), true));
}

#[test]
fn another_relay_at_the_same_address_is_not_spoken_to_and_the_right_one_is_again() {
    let mut stage = Stage::build();
    stage.relay.terminate().unwrap();
    let folder = stage.folder().join("other");
    let mut other = Relay::start_at(&folder, stage.relay.address()).unwrap();
    let ended = stage.amina.command(&["sync"]).unwrap();
    assert_says(&ended, 5, &["not the relay that was agreed on", "its key differs", "until you know why"]);
    assert_eq!(other.log_position().unwrap(), 0);
    other.terminate().unwrap();
    stage.relay.restart().unwrap();
    stage.nothing_is_lost();
}

#[test]
fn a_relay_that_does_not_know_the_device_is_named_and_work_goes_on_without_it() {
    let mut stage = Stage::build();
    stage.relay.terminate().unwrap();
    // The key of before, and nothing else: a relay that was set up anew.
    for entry in std::fs::read_dir(stage.relay.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("relay.db") {
            std::fs::rename(&path, path.with_extension("gone")).unwrap();
        }
    }
    stage.relay.restart().unwrap();
    let ended = stage.amina.command(&["sync"]).unwrap();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let sentence = &ended.said;
    let is_told = sentence.contains("does not know the device") || sentence.contains("was restored from a copy");
    assert!(is_told && sentence.contains("relay"), "{sentence}");
    let mut session = stage.amina.start(&["--offline"]).unwrap();
    let edit = json!({"do": "case.edit", "case": stage.case, "set": {"name_last": "still here"}});
    session.call(edit).unwrap();
    let shown: Value = session.call(json!({"do": "case.show", "case": stage.case})).unwrap();
    assert_eq!(shown["fields"]["name_first"], "Samir");
}

#[test]
fn a_relay_that_is_gone_leaves_everything_stored() {
    let mut stage = Stage::build();
    stage.relay.terminate().unwrap();
    let ended = stage.amina.command(&["sync"]).unwrap();
    assert_says(&ended, 5, &["the relay is not reached", "127.0.0.1"]);
    stage.relay.restart().unwrap();
    stage.nothing_is_lost();
}
