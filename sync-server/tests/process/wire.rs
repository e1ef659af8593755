//! A device's side of the wire, by hand.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use vereda_crypto::context;
use vereda_protocol::{
    Auth, Chunk, ChunkOutcome, Credential, Down, Goodbye, OpOutcome, Opening, Packer, Position, Unpacker, Up,
    WelcomeFields, decode_down, encode_up, founding_credential, welcome_message,
};
use vereda_sync::people::{Person, Put, link_of};

/// Longer than anything takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub struct Wire {
    socket: WebSocketStream<Box<dyn Io>>,
    packer: Packer,
    unpacker: Unpacker,
    pub opening: Opening,
}

impl Wire {
    /// Connects, and takes the challenge.
    pub async fn open(url: &str) -> Self {
        let address = url.trim_start_matches("ws://").trim_end_matches("/sync");
        Self::open_over(url, Box::new(TcpStream::connect(address).await.unwrap())).await
    }

    pub async fn open_over(url: &str, stream: Box<dyn Io>) -> Self {
        let (socket, _) = client_async(url, stream).await.unwrap();
        let opening = Opening { relay: vereda_base::DeviceId([0; 32]), relay_epoch: 0, challenge: [0; 32] };
        let mut wire = Self { socket, packer: Packer::new(), unpacker: Unpacker::new(), opening };
        let Some(Down::Challenge { relay, relay_epoch, challenge, .. }) = wire.next().await else {
            panic!("a challenge comes first")
        };
        wire.opening = Opening { relay, relay_epoch, challenge: *challenge };
        wire
    }

    /// Connects and authenticates as a member.
    pub async fn member(url: &str, person: &Person) -> Self {
        let mut wire = Self::open(url).await;
        wire.authenticate(person, Credential::Member).await;
        wire
    }

    pub async fn authenticate(&mut self, person: &Person, credential: Credential) -> u64 {
        let auth = person.auth(&self.opening, credential);
        self.send(Up::Auth(auth.clone())).await;
        let down = self.next().await;
        self.check_welcome(&auth, &down.expect("a welcome"))
    }

    fn check_welcome(&self, auth: &Auth, down: &Down) -> u64 {
        let Down::Welcome { version, time, held, end, signature } = down else { panic!("{down:?}") };
        let fields = WelcomeFields {
            device: auth.device,
            nonce: *auth.nonce,
            version: *version,
            time: *time,
            held: *held,
            end: *end,
        };
        let message = welcome_message(&self.opening, &fields);
        vereda_crypto::verify(context::WELCOME_SIGNATURE, &self.opening.relay, &message, signature).unwrap();
        *held
    }

    pub async fn send(&mut self, message: Up) {
        let frame = encode_up(&message, &mut self.packer).unwrap();
        self.send_raw(Message::Binary(frame.into())).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        // The relay may have closed meanwhile; what it said is read all the same.
        let _ = self.socket.send(message).await;
    }

    /// The next message; `None` once the relay has closed.
    pub async fn next(&mut self) -> Option<Down> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the relay answers") {
                Some(Ok(Message::Binary(frame))) => return Some(decode_down(&frame, &mut self.unpacker).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads to the end: how the relay ended it.
    pub async fn goodbye(&mut self) -> Option<Goodbye> {
        let mut last = None;
        while let Some(down) = self.next().await {
            last = Some(down);
        }
        match last {
            Some(Down::Goodbye(why)) => Some(why),
            other => panic!("no goodbye but {other:?}"),
        }
    }

    pub async fn put(&mut self, put: &Put) -> OpOutcome {
        self.send(Up::PutOp { request: 7, op: put.op.signed().clone(), wraps: put.wraps.clone() }).await;
        loop {
            match self.next().await.expect("an answer") {
                Down::OpResult { request: 7, outcome } => return outcome,
                Down::Goodbye(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    pub async fn put_chunk(&mut self, chunk: &Chunk) -> ChunkOutcome {
        self.send(Up::PutChunk(chunk.clone())).await;
        self.outcome_of(chunk).await
    }

    pub async fn outcome_of(&mut self, chunk: &Chunk) -> ChunkOutcome {
        loop {
            match self.next().await.expect("an answer") {
                Down::ChunkResult { link, outcome } if link == link_of(chunk) => return outcome,
                Down::Goodbye(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    /// Pulls from the beginning, up to where it is caught up.
    pub async fn pull(&mut self) -> Vec<Down> {
        self.send(Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] }).await;
        let mut downs = Vec::new();
        loop {
            let down = self.next().await.expect("it catches up");
            let ends = matches!(down, Down::CaughtUp { .. });
            downs.push(down);
            if ends {
                return downs;
            }
        }
    }
}

/// Founds an agency with a case of the founder's own: the person, connected, and the case.
pub async fn found(url: &str, secret: [u8; 32]) -> (Person, Wire, vereda_base::ChainId) {
    let mut person = Person::new(1);
    let mut wire = Wire::open(url).await;
    let founding = founding_credential(&wire.opening, &person.device(), &secret);
    wire.authenticate(&person, founding).await;
    let user = person.create_user();
    let agency = person.create_agency();
    let case = person.create_case(agency.chain());
    for put in [user, agency, case.clone()] {
        let outcome = wire.put(&put).await;
        assert!(matches!(outcome, OpOutcome::Appended(_)), "{outcome:?}");
    }
    (person, wire, case.chain())
}
