//! A real relay on a loopback port, its store a file, and people of an agency with lines to it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use vereda_base::{ChainId, DeviceId, Link, OpId};
use vereda_policy::{AppendContext, Body, ChainMap, DeviceKind, Frontier, Leaf, Revoke, Role};
use vereda_protocol::{
    Chunk, ChunkOutcome, Credential, Goodbye, OfferedLeaf, OpOutcome, RefusalCode, founding_credential,
};
use vereda_relay::{Folder, Limits, Relay, RelayOptions};
use vereda_sync::people::{NOW, Person, Put};

use crate::{forge, line::Line};

/// A person, connected.
pub struct Member {
    /// The person.
    pub person: Person,
    /// Its line.
    pub line: Line,
    /// The first operation of its user.
    pub begun: Put,
}

impl Member {
    /// Waits until the relay has worked off all that came before: it answers, whatever it says, for an operation that it
    /// has long appended; or has closed.
    pub fn fence(&mut self) {
        let begun = self.begun.clone();
        self.line.drain(&begun);
    }
}

/// A relay with an agency and one team, a Manager of both.
pub struct Office {
    runtime: Arc<Runtime>,
    relay: Option<Relay>,
    folder: TempDir,
    address: SocketAddr,
    key: DeviceId,
    /// All that was appended here through [`Office::put`].
    pub chains: ChainMap,
    /// Manager of agency and team.
    pub manager: Member,
    /// The agency.
    pub agency: ChainId,
    /// The team.
    pub team: ChainId,
    seeds: u8,
}

impl Office {
    /// Starts a relay and founds an agency.
    pub fn open() -> Self {
        Self::open_with(1)
    }

    /// As [`Self::open`], with people of their own: their seeds begin at `seed`.
    pub fn open_with(seed: u8) -> Self {
        let runtime =
            Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let relay = start(&runtime, &folder);
        let (address, key) = (relay.address(), relay.key());
        let secret = *Folder::new(folder.path()).make_founding_secret().unwrap().expose();
        let mut line = Line::open(&runtime, address);
        let mut person = Person::new(seed);
        let credential = founding_credential(&line.opening, &person.device(), &secret);
        line.enter(&person, credential).unwrap();
        line.pull();
        let begun = person.create_user();
        assert_appended(&line.put(&begun));
        let agency = person.create_agency();
        assert_appended(&line.put(&agency));
        let team = person.create_team(agency.chain(), &[(person.user(), Role::Manager)]);
        assert_appended(&line.put(&team));
        let chains = person.chains.clone();
        let manager = Member { person, line, begun };
        let (agency, team) = (agency.chain(), team.chain());
        Self { runtime, relay: Some(relay), folder, address, key, chains, manager, agency, team, seeds: seed }
    }

    /// Names the relay.
    pub const fn key(&self) -> DeviceId {
        self.key
    }

    /// Opens a line.
    pub fn line(&self) -> Line {
        Line::open(&self.runtime, self.address)
    }

    /// Makes a person whom the relay does not know.
    pub fn stranger(&mut self) -> Person {
        Person::new(self.stranger_seed())
    }

    /// Stops the relay and starts it again over the same files. All lines are dead then.
    pub fn restart(&mut self) {
        if let Some(relay) = self.relay.take() {
            self.runtime.block_on(relay.stop());
        }
        let relay = start(&self.runtime, &self.folder);
        self.address = relay.address();
        self.relay = Some(relay);
    }

    /// Tells a member all that was appended.
    pub fn brief(&self, member: &mut Member) {
        member.person.chains = self.chains.clone();
    }

    /// Takes an operation that was appended into what is known here.
    pub fn learn(&mut self, put: &Put) {
        let _ = self.chains.append(&put.op, &AppendContext::relay(NOW));
        self.manager.person.chains = self.chains.clone();
    }

    /// Puts an operation of a member's that must be appended.
    pub fn put(&mut self, member: &mut Member, put: &Put) {
        assert_appended(&member.line.put(put));
        self.learn(put);
        self.brief(member);
    }

    /// Puts an operation of the Manager's that must be appended.
    pub fn put_as_manager(&mut self, put: &Put) {
        assert_appended(&self.manager.line.put(put));
        self.learn(put);
    }

    /// Invites a person by the key of its own seed. Gives the invite.
    pub fn invite(&mut self, chain: ChainId, role: Role, seed: u8) -> OpId {
        let invite = self.manager.person.invite(chain, role, seed, NOW.saturating_add(Duration::from_secs(3_600)));
        self.put_as_manager(&invite);
        invite.id()
    }

    /// Lets a new person join a chain, caught up.
    pub fn join(&mut self, chain: ChainId, role: Role) -> Member {
        let person = self.stranger();
        let seed = self.seeds;
        let invite = self.invite(chain, role, seed);
        self.join_by(person, chain, invite, seed).unwrap()
    }

    /// Lets a person join by the invite of a seed.
    ///
    /// # Errors
    /// How the relay closed.
    pub fn join_by(&mut self, mut person: Person, chain: ChainId, invite: OpId, seed: u8) -> Result<Member, Goodbye> {
        let mut line = self.line();
        let credential = person.credential(&line.opening, chain, invite, seed);
        line.enter(&person, credential)?;
        line.pull();
        person.chains = self.chains.clone();
        let begun = person.create_user();
        let mut member = Member { person, line, begun: begun.clone() };
        self.put(&mut member, &begun);
        let accept = member.person.accept(chain, invite, seed);
        self.put(&mut member, &accept);
        Ok(member)
    }

    /// Adds a device to a member's user, and connects it, caught up.
    pub fn add_device(&mut self, member: &mut Member, kind: DeviceKind) -> Member {
        self.brief(member);
        let seed = self.stranger_seed();
        let person = forge::second_device(&member.person, seed);
        let add = forge::add_device(&member.person, &person.key, kind);
        self.put(member, &add);
        let mut device = Member { line: self.line(), begun: member.begun.clone(), person };
        self.reconnect(&mut device);
        self.brief(&mut device);
        device
    }

    fn stranger_seed(&mut self) -> u8 {
        self.seeds += 1;
        self.seeds
    }

    /// Connects a member anew, caught up.
    pub fn reconnect(&self, member: &mut Member) {
        member.line = self.line();
        member.line.enter(&member.person, Credential::Member).unwrap();
        member.line.pull();
    }

    /// The Manager makes another team, of which he alone is a member.
    pub fn other_team(&mut self) -> ChainId {
        let members = [(self.manager.person.user(), Role::Manager)];
        let team = self.manager.person.create_team(self.agency, &members);
        self.put_as_manager(&team);
        team.chain()
    }

    /// Draws a secret with which an agency can be founded.
    pub fn founding_secret(&self) -> [u8; 32] {
        *Folder::new(self.folder.path()).make_founding_secret().unwrap().expose()
    }

    /// A stranger founds an agency of its own on the same relay.
    pub fn found_another(&mut self) -> (Member, ChainId) {
        let mut person = self.stranger();
        let secret = self.founding_secret();
        let mut line = self.line();
        let credential = founding_credential(&line.opening, &person.device(), &secret);
        line.enter(&person, credential).unwrap();
        line.pull();
        let begun = person.create_user();
        assert_appended(&line.put(&begun));
        let agency = person.create_agency();
        assert_appended(&line.put(&agency));
        (Member { person, line, begun }, agency.chain())
    }

    /// Ends roles or takes a device: signs what the relay offers, whatever that is. Gives what was appended.
    ///
    /// # Errors
    /// What the relay answered instead.
    pub fn remove(
        &mut self,
        by: &mut Member,
        chain: ChainId,
        cites: &[ChainId],
        body: impl Fn(Frontier) -> Body,
    ) -> Result<(Put, Vec<Leaf>), OpOutcome> {
        let mut leaves: Vec<Leaf> = Vec::new();
        for _ in 0..2 {
            let cites = forge::cites(&by.person, cites);
            let put = forge::op(&by.person, chain, cites, body(forge::frontier(&leaves)));
            match by.line.put(&put) {
                OpOutcome::Appended(_) => {
                    self.learn(&put);
                    self.brief(by);
                    return Ok((put, leaves));
                }
                OpOutcome::FrontierMoved(offer) => leaves = offer.iter().map(OfferedLeaf::leaf).collect(),
                other => return Err(other),
            }
        }
        panic!("the relay does not take the frontier that it offered itself");
    }

    /// As [`Self::remove`], by the Manager.
    ///
    /// # Errors
    /// As there.
    pub fn remove_as_manager(
        &mut self,
        chain: ChainId,
        cites: &[ChainId],
        body: impl Fn(Frontier) -> Body,
    ) -> Result<(Put, Vec<Leaf>), OpOutcome> {
        // Its line is lent out for the while.
        let spare =
            Member { person: self.manager.person.clone(), line: self.line(), begun: self.manager.begun.clone() };
        let mut manager = std::mem::replace(&mut self.manager, spare);
        let removed = self.remove(&mut manager, chain, cites, body);
        manager.person.chains = self.chains.clone();
        self.manager = manager;
        removed
    }

    /// The Manager ends a user's role in a chain, or lowers it. Gives the removal and its leaves.
    pub fn revoke(&mut self, chain: ChainId, subject: ChainId, keeps: Option<Role>) -> (Put, Vec<Leaf>) {
        let path = [self.agency, self.team, self.manager.person.user()];
        let path: Vec<ChainId> = path.into_iter().filter(|of| *of != chain).collect();
        let revoke = |frontier| Body::Revoke(Revoke { subject, keeps, successor: None, frontier });
        self.remove_as_manager(chain, &path, revoke).unwrap()
    }

    /// The Manager begins a new epoch of each of these chains.
    pub fn rotate(&mut self, chains: &[ChainId]) {
        for chain in chains {
            if !vereda_policy::is_stale(&self.manager.person.chains, chain, Some(vereda_sync::people::NOW)) {
                continue;
            }
            let rotate = forge::rotate(&self.manager.person, *chain);
            self.put_as_manager(&rotate);
        }
    }

    /// The Manager writes after all that he wrote into a case before; it must be taken.
    pub fn write(&mut self, case: ChainId, seq: u64, prev: Option<Link>) -> Chunk {
        let chunk = self.manager.person.chunk(case, seq, prev, prev.as_slice(), 300);
        assert_eq!(self.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
        chunk
    }

    /// The Manager begins a case of a team's or user's.
    pub fn case(&mut self, holder: ChainId) -> ChainId {
        let case = self.manager.person.create_case(holder);
        self.put_as_manager(&case);
        case.chain()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        // A line that nobody reads would keep the relay waiting for its farewell to be heard.
        self.manager.line.hang_up();
        if let Some(relay) = self.relay.take() {
            self.runtime.block_on(relay.stop());
        }
    }
}

fn start(runtime: &Runtime, folder: &TempDir) -> Relay {
    let options = RelayOptions {
        folder: Folder::new(folder.path()),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        limits: Limits::default(),
    };
    runtime.block_on(Relay::start(options)).unwrap()
}

/// Fails unless the operation was appended.
pub fn assert_appended(outcome: &OpOutcome) {
    assert!(matches!(outcome, OpOutcome::Appended(_)), "{outcome:?}");
}

/// The outcome of an operation refused for this reason.
pub const fn op_refused(code: RefusalCode) -> OpOutcome {
    OpOutcome::Refused(code)
}

/// The outcome of a chunk refused for this reason.
pub const fn refused(code: RefusalCode) -> ChunkOutcome {
    ChunkOutcome::Refused(code)
}
