//! A websocket to a relay, by hand.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use vereda_base::{ChainId, DeviceId, Link};
use vereda_crypto::{Signed, Verified, context};
use vereda_policy::{Op, Wrap};
use vereda_protocol::{
    Auth, Chunk, ChunkOutcome, Credential, Down, Goodbye, OpOutcome, Opening, Packer, PolicyEntry, Position, Unpacker,
    Up, WelcomeFields, decode_down, encode_up, welcome_message,
};
use vereda_sync::people::{Person, Put};

/// Longer than anything takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection. What was heard and not asked for stays in `heard`.
pub struct Line {
    runtime: Arc<Runtime>,
    socket: WebSocketStream<TcpStream>,
    packer: Packer,
    unpacker: Unpacker,
    requests: u64,
    /// How the relay opened the session.
    pub opening: Opening,
    /// All that the relay said, oldest first.
    pub heard: Vec<Down>,
    /// Every frame that went up, as it travelled.
    pub sent: Vec<Vec<u8>>,
}

impl Line {
    /// Connects and takes the challenge.
    pub fn open(runtime: &Arc<Runtime>, address: SocketAddr) -> Self {
        let socket = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            client_async(format!("ws://{address}/sync"), stream).await.unwrap().0
        });
        let mut line = Self {
            runtime: Arc::clone(runtime),
            socket,
            packer: Packer::new(),
            unpacker: Unpacker::new(),
            requests: 0,
            opening: Opening { relay: DeviceId([0; 32]), relay_epoch: 0, challenge: [0; 32] },
            heard: Vec::new(),
            sent: Vec::new(),
        };
        let Some(Down::Challenge { relay, relay_epoch, challenge, .. }) = line.hear() else {
            panic!("a challenge comes first")
        };
        line.opening = Opening { relay, relay_epoch, challenge: *challenge };
        line
    }

    /// Proves a person's device and waits for the welcome, or for the goodbye.
    ///
    /// # Errors
    /// The goodbye.
    pub fn enter(&mut self, person: &Person, credential: Credential) -> Result<(), Goodbye> {
        self.enter_with(person.auth(&self.opening, credential))
    }

    /// As [`Self::enter`], with a proof that was made elsewhere.
    ///
    /// # Errors
    /// The goodbye.
    pub fn enter_with(&mut self, auth: Auth) -> Result<(), Goodbye> {
        self.say(&Up::Auth(auth.clone()));
        match self.hear() {
            Some(Down::Welcome { version, time, held, end, signature }) => {
                let fields = WelcomeFields { device: auth.device, nonce: *auth.nonce, version, time, held, end };
                let message = welcome_message(&self.opening, &fields);
                vereda_crypto::verify(context::WELCOME_SIGNATURE, &self.opening.relay, &message, &signature).unwrap();
                Ok(())
            }
            Some(Down::Goodbye(why)) => Err(why),
            other => panic!("neither welcome nor goodbye: {other:?}"),
        }
    }

    /// Sends a message.
    pub fn say(&mut self, message: &Up) {
        let frame = encode_up(message, &mut self.packer).unwrap();
        self.say_bytes(frame);
    }

    /// Sends bytes.
    pub fn say_bytes(&mut self, frame: Vec<u8>) {
        self.sent.push(frame.clone());
        // The relay may have closed meanwhile; what it said is read all the same.
        let _ = self.runtime.block_on(self.socket.send(Message::Binary(frame.into())));
    }

    /// Ends the connection.
    pub fn hang_up(&mut self) {
        let _ = self.runtime.block_on(self.socket.close(None));
    }

    /// Hears the next message; `None` once the relay has closed.
    pub fn hear(&mut self) -> Option<Down> {
        let runtime = Arc::clone(&self.runtime);
        let frame = runtime.block_on(async {
            loop {
                match timeout(PATIENCE, self.socket.next()).await.expect("the relay answers") {
                    Some(Ok(Message::Binary(frame))) => return Some(frame),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        })?;
        let down = decode_down(&frame, &mut self.unpacker).unwrap();
        self.heard.push(down.clone());
        Some(down)
    }

    /// Hears on until something comes that `is_it` takes.
    pub fn hear_until<T>(&mut self, is_it: impl Fn(&Down) -> Option<T>) -> T {
        loop {
            let down = self.hear().expect("the session goes on");
            if let Some(found) = is_it(&down) {
                return found;
            }
            if let Down::Goodbye(why) = down {
                panic!("the relay closed: {why}");
            }
        }
    }

    /// Hears to the end, and how the relay ended it.
    pub fn end(&mut self) -> Goodbye {
        while self.hear().is_some() {}
        match self.heard.last() {
            Some(Down::Goodbye(why)) => *why,
            other => panic!("no goodbye but {other:?}"),
        }
    }

    /// Puts an operation and waits for the answer.
    pub fn put(&mut self, put: &Put) -> OpOutcome {
        self.put_signed(put.op.signed().clone(), put.wraps.clone())
    }

    /// Puts whatever claims to be an operation, and waits for the answer.
    pub fn put_signed(&mut self, op: Signed<Op>, wraps: Vec<Wrap>) -> OpOutcome {
        self.requests += 1;
        let request = self.requests;
        self.say(&Up::PutOp { request, op, wraps });
        self.hear_until(|down| match down {
            Down::OpResult { request: of, outcome } if *of == request => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Hears on until a request was refused, or the relay closed instead. Says whether it was either.
    pub fn is_refused(&mut self, request: u64) -> bool {
        while let Some(down) = self.hear() {
            match down {
                Down::OpResult { request: of, outcome } if of == request => {
                    return matches!(outcome, OpOutcome::Refused(_));
                }
                _ => {}
            }
        }
        matches!(self.heard.last(), Some(Down::Goodbye(_)))
    }

    /// Hears on until the relay has answered for this, whatever it says, or has closed.
    pub fn drain(&mut self, put: &Put) {
        self.requests += 1;
        let request = self.requests;
        self.say(&Up::PutOp { request, op: put.op.signed().clone(), wraps: put.wraps.clone() });
        while let Some(down) = self.hear() {
            if matches!(down, Down::OpResult { request: of, .. } if of == request) {
                return;
            }
        }
    }

    /// Says what the relay answered last for a chunk.
    pub fn last_outcome(&self, chunk: &Chunk) -> Option<ChunkOutcome> {
        let link = unverified_link(chunk);
        let outcome = |down: &Down| match down {
            Down::ChunkResult { link: of, outcome } if *of == link => Some(outcome.clone()),
            _ => None,
        };
        self.heard.iter().rev().find_map(outcome)
    }

    /// Lists the links of the chunks in review that were heard.
    pub fn reviews(&self) -> Vec<Link> {
        let review = |entry: &PolicyEntry| match entry {
            PolicyEntry::Review { chunk, .. } => Some(unverified_link(chunk)),
            _ => None,
        };
        self.entries().iter().filter_map(review).collect()
    }

    /// Puts a chunk and waits for the answer.
    pub fn put_chunk(&mut self, chunk: &Chunk) -> ChunkOutcome {
        self.say(&Up::PutChunk(chunk.clone()));
        let link = unverified_link(chunk);
        self.hear_until(|down| match down {
            Down::ChunkResult { link: of, outcome } if *of == link => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Asks for everything from the beginning, up to where it is caught up.
    pub fn pull(&mut self) {
        self.say(&Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
        self.hear_until(|down| matches!(down, Down::CaughtUp { .. }).then_some(()));
    }

    /// Lists the operations that were heard.
    pub fn ops(&self) -> Vec<Verified<Op>> {
        let op = |entry: &PolicyEntry| match entry {
            PolicyEntry::Op { op, .. } => Some(op.clone().verify().unwrap()),
            _ => None,
        };
        self.entries().iter().filter_map(op).collect()
    }

    /// Lists the entries of the policy lane that were heard.
    pub fn entries(&self) -> Vec<PolicyEntry> {
        let of = |down: &Down| match down {
            Down::Policy { entries, .. } | Down::BackfillPart { entries, .. } => entries.clone(),
            _ => Vec::new(),
        };
        self.heard.iter().flat_map(of).collect()
    }

    /// Lists the links of the chunks that were heard, those in review left out.
    pub fn links(&self) -> Vec<Link> {
        let of = |down: &Down| match down {
            Down::Content { chunks, .. } | Down::BackfillPart { chunks, .. } => chunks.clone(),
            _ => Vec::new(),
        };
        self.heard.iter().flat_map(of).map(|chunk| unverified_link(&chunk)).collect()
    }

    /// Waits until a chunk comes.
    pub fn hear_chunk(&mut self, chunk: &Chunk) {
        let link = unverified_link(chunk);
        while !self.links().contains(&link) {
            self.hear().expect("the session goes on");
        }
    }

    /// Says whether anything of a chain was heard: an operation, a wrap, an announcement, a chunk.
    pub fn heard_of(&self, chain: &ChainId) -> bool {
        let is_of = |entry: &PolicyEntry| match entry {
            PolicyEntry::Op { op, .. } => vereda_policy::chain_of(op.clone().verify().unwrap().value()) == *chain,
            PolicyEntry::Wrap { chain: of, .. } | PolicyEntry::Frontier { chain: of, .. } => of == chain,
            PolicyEntry::Visible { document, .. } => document == chain,
            PolicyEntry::Review { chunk, .. } => header_of(chunk).document == *chain,
            PolicyEntry::ReviewDocument { create, .. } => {
                vereda_policy::chain_of(create.clone().verify().unwrap().value()) == *chain
            }
        };
        let has_chunk = |down: &Down| match down {
            Down::Content { chunks, .. } => chunks.iter().any(|chunk| header_of(chunk).document == *chain),
            Down::BackfillPart { document, chunks, entries, .. } => {
                document == chain && !(chunks.is_empty() && entries.is_empty())
            }
            _ => false,
        };
        self.entries().iter().any(is_of) || self.heard.iter().any(has_chunk)
    }
}

/// Reads a chunk's header, whoever signed it.
pub fn header_of(chunk: &Chunk) -> vereda_protocol::Header {
    vereda_base::decode(chunk.header.bytes(), vereda_base::limits::MAX_HEADER_BYTES).unwrap()
}

/// Derives a chunk's link, whoever signed it.
pub fn unverified_link(chunk: &Chunk) -> Link {
    header_of(chunk).link()
}
