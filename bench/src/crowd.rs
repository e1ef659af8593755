//! A relay's machine over its database in this process, and a crowd of sessions of it, whose frames are counted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use vereda_base::{Monotonic, Now};
use vereda_crypto::DeviceKey;
use vereda_protocol::{
    ChunkOutcome, Credential, Down, OpOutcome, Opening, Packer, Position, Unpacker, Up, decode_down, encode_up,
};
use vereda_relay::{entropy::SystemEntropy, store::SqliteStore};
use vereda_sync::{
    people::{NOW, Person, Put},
    relay::{Effect, Input, RelayConfig, RelayMachine, RelayStore, SessionId, founding_digest, store::Founding},
};

/// The secret by which the crowd's agency is founded.
pub(crate) const FOUNDING: [u8; 32] = [42; 32];

/// Inputs handed in before one commit, while the data is set up.
const GROUP: usize = 64;

/// The relay and its sessions.
pub(crate) struct Crowd {
    machine: RelayMachine,
    store: SqliteStore,
    now: Now,
    sessions: BTreeMap<SessionId, Session>,
    opened: u64,
    uncommitted: usize,
}

/// One end of a session: what it was sent is read only where somebody waits for an answer.
#[derive(Default)]
struct Session {
    packer: Packer,
    unpacker: Unpacker,
    inbox: Vec<Down>,
    counted: Counted,
}

/// Frames and bytes, without the websocket's framing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl Crowd {
    /// Starts a relay over a new database in a folder.
    pub(crate) fn gather(folder: &Path) -> Result<Self> {
        let mut store = SqliteStore::open(&folder.join("relay.db")).context("the relay's database")?;
        store.set_founding(&founding_digest(&FOUNDING), &Founding::Open)?;
        store.commit()?;
        let key = DeviceKey::from_seed(&[200; 32]);
        let machine = RelayMachine::open(key, RelayConfig::default(), &mut store, &mut SystemEntropy)?;
        let now = Now { monotonic: Monotonic(Duration::from_secs(5)), wall: NOW };
        Ok(Self { machine, store, now, sessions: BTreeMap::new(), opened: 0, uncommitted: 0 })
    }

    /// Opens a session of a person, who then has everything that is for him.
    pub(crate) fn enter(
        &mut self,
        person: &Person,
        credential: impl FnOnce(&Opening) -> Credential,
    ) -> Result<SessionId> {
        self.opened += 1;
        let id = SessionId(self.opened);
        self.sessions.insert(id, Session::default());
        self.hand_in(Input::Opened(id))?;
        self.commit()?;
        let Some(Down::Challenge { relay, relay_epoch, challenge, .. }) = self.take(id)?.into_iter().next() else {
            bail!("the relay did not greet")
        };
        let opening = Opening { relay, relay_epoch, challenge: *challenge };
        self.send(id, &Up::Auth(person.auth(&opening, credential(&opening))))?;
        self.send(id, &Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] })?;
        // Whoever has so much to fetch at once is given room for it.
        self.send(id, &Up::Credit(1 << 40))?;
        self.commit()?;
        self.take(id)?;
        Ok(id)
    }

    /// Ends a session.
    pub(crate) fn leave(&mut self, id: SessionId) -> Result<()> {
        self.sessions.remove(&id);
        self.hand_in(Input::Closed(id))?;
        self.commit()
    }

    /// Puts an operation and tells what became of it, once that is durable.
    pub(crate) fn put(&mut self, id: SessionId, put: &Put) -> Result<OpOutcome> {
        self.send(id, &up_of(put))?;
        self.commit()?;
        let mut results = self.take(id)?.into_iter().filter_map(|down| match down {
            Down::OpResult { outcome, .. } => Some(outcome),
            _ => None,
        });
        results.next_back().context("the relay did not answer")
    }

    /// Puts an operation that must be appended.
    pub(crate) fn append(&mut self, id: SessionId, put: &Put) -> Result<()> {
        match self.put(id, put)? {
            OpOutcome::Appended(_) => Ok(()),
            outcome => bail!("the relay did not append an operation: {outcome:?}"),
        }
    }

    /// Puts an operation or a chunk without waiting for the answer: in groups, as the data is set up.
    pub(crate) fn pour(&mut self, id: SessionId, message: &Up) -> Result<()> {
        self.send(id, message)?;
        self.uncommitted += 1;
        if self.uncommitted >= GROUP { self.settle(id) } else { Ok(()) }
    }

    /// Commits what was poured in; fails where any of it was refused.
    pub(crate) fn settle(&mut self, id: SessionId) -> Result<()> {
        self.commit()?;
        self.uncommitted = 0;
        for down in self.take(id)? {
            match down {
                Down::OpResult { outcome: OpOutcome::Appended(_), .. }
                | Down::ChunkResult { outcome: ChunkOutcome::Durable, .. } => {}
                Down::OpResult { outcome, .. } => bail!("the relay refused an operation: {outcome:?}"),
                Down::ChunkResult { outcome, .. } => bail!("the relay refused a chunk: {outcome:?}"),
                Down::Goodbye(why) => bail!("the relay closed: {why}"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Hands a message in; what follows from it comes with the next commit.
    pub(crate) fn send(&mut self, id: SessionId, message: &Up) -> Result<()> {
        let session = self.sessions.get_mut(&id).context("no such session")?;
        let frame = encode_up(message, &mut session.packer)?;
        session.counted.up += frame.len() as u64;
        self.hand_in(Input::Frame(id, frame))
    }

    /// Makes everything durable and hands out what is due.
    pub(crate) fn commit(&mut self) -> Result<()> {
        loop {
            let is_more = self.machine.serve(self.now, &self.store);
            let committed = self.machine.commit(&mut self.store);
            if let Some(error) = committed.failure {
                return Err(error.into());
            }
            let is_quiet = committed.effects.is_empty();
            for effect in committed.effects {
                self.carry_out(effect)?;
            }
            if is_quiet && !is_more {
                return Ok(());
            }
        }
    }

    /// Tells what a session sent and was sent.
    pub(crate) fn counted(&self, id: SessionId) -> Counted {
        self.sessions.get(&id).map(|session| session.counted).unwrap_or_default()
    }

    fn take(&mut self, id: SessionId) -> Result<Vec<Down>> {
        let session = self.sessions.get_mut(&id).context("the relay ended the session")?;
        Ok(std::mem::take(&mut session.inbox))
    }

    fn hand_in(&mut self, input: Input) -> Result<()> {
        self.machine.handle_input(self.now, input, &mut self.store, &mut SystemEntropy);
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Send(id, frame) => {
                let bytes = frame.len();
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.counted.down += bytes as u64;
                    session.inbox.push(decode_down(&frame, &mut session.unpacker)?);
                }
                self.hand_in(Input::Written(id, bytes))
            }
            Effect::Close(id) => {
                self.sessions.remove(&id);
                Ok(())
            }
        }
    }
}

impl Counted {
    /// Tells what came since an earlier count.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self { up: self.up - before.up, down: self.down - before.down }
    }
}

/// The message that puts an operation.
pub(crate) fn up_of(put: &Put) -> Up {
    Up::PutOp { request: 1, op: put.op.signed().clone(), wraps: put.wraps.clone() }
}
