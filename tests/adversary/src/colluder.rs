//! A relay of an attacker's making: it holds a relay's key, and says what it likes.

use vereda_base::{ChainId, Timestamp};
use vereda_crypto::{DeviceKey, Signed, context};
use vereda_policy::{AppendContext, ChainMap, Chains, Leaf, Op, Receipt, Role, SUITE, Wrap, wrap_list};
use vereda_protocol::{
    Auth, Down, Leaves, Opening, PolicyEntry, Position, VERSION, VERSIONS, WelcomeFields, welcome_message,
};
use vereda_sync::people::{NOW, Person, Put};

/// A relay that serves what the test tells it to.
#[derive(Clone)]
pub struct Colluder {
    /// The relay's key: the one that devices know, unless a test says otherwise.
    pub key: DeviceKey,
    /// The relay's epoch.
    pub relay_epoch: u64,
    /// What its log holds of policy, as an honest relay would have it.
    pub chains: ChainMap,
    /// The policy lane, as an honest relay would serve it to one who sees all.
    pub entries: Vec<PolicyEntry>,
    /// What its receipts say.
    pub time: Timestamp,
}

impl Colluder {
    /// Begins with an empty log.
    pub fn new() -> Self {
        let key = DeviceKey::from_seed(&[222; 32]);
        Self { key, relay_epoch: 7, chains: ChainMap::new(), entries: Vec::new(), time: NOW }
    }

    /// Appends as an honest relay does. Gives the entries.
    pub fn admit(&mut self, put: &Put) -> Vec<PolicyEntry> {
        self.chains.append(&put.op, &AppendContext::relay(self.time)).unwrap();
        let entries = self.forge(put);
        self.entries.extend(entries.iter().cloned());
        entries
    }

    /// Gives the entries of an operation with a receipt, whatever an honest relay would say. Its log stays as it is.
    pub fn forge(&self, put: &Put) -> Vec<PolicyEntry> {
        let receipt = self.receipt(put);
        let mut entries = vec![PolicyEntry::Op { op: put.op.signed().clone(), receipt }];
        entries.extend(wrap_entries(put));
        entries
    }

    /// Signs a receipt for an operation.
    pub fn receipt(&self, put: &Put) -> Signed<Receipt> {
        self.receipt_with(put, |_| ())
    }

    /// Signs a receipt with something changed.
    pub fn receipt_with(&self, put: &Put, change: impl FnOnce(&mut Receipt)) -> Signed<Receipt> {
        let mut receipt = Receipt {
            suite: SUITE,
            relay: self.key.device_id(),
            relay_epoch: self.relay_epoch,
            chain: put.chain(),
            seq: put.op.value().seq,
            op: put.id(),
            time: self.time,
        };
        change(&mut receipt);
        Signed::sign(&self.key, &receipt).unwrap()
    }

    /// The entry of a removal's leaves.
    pub fn leaves(removal: &Put, leaves: &[Leaf]) -> PolicyEntry {
        let mut leaves = leaves.to_vec();
        leaves.sort_unstable();
        PolicyEntry::Frontier { chain: removal.chain(), removal: removal.id(), leaves: Leaves::All(leaves) }
    }

    /// Opens a session.
    pub fn opening(&self) -> Opening {
        Opening { relay: self.key.device_id(), relay_epoch: self.relay_epoch, challenge: [5; 32] }
    }

    /// The first frame.
    pub fn challenge(&self) -> Down {
        let Opening { relay, relay_epoch, challenge } = self.opening();
        Down::Challenge { versions: VERSIONS.to_vec(), relay, relay_epoch, challenge: challenge.into() }
    }

    /// Proves itself to a device, of whose chunks it has none.
    pub fn welcome(&self, auth: &Auth, end: Position) -> Down {
        self.welcome_with(auth, 0, end)
    }

    /// Proves itself to a device, of whose chunks it holds so many.
    pub fn welcome_with(&self, auth: &Auth, held: u64, end: Position) -> Down {
        let fields = WelcomeFields { device: auth.device, nonce: *auth.nonce, version: VERSION, time: NOW, held, end };
        let signature = self.key.sign(context::WELCOME_SIGNATURE, &welcome_message(&self.opening(), &fields));
        Down::Welcome { version: VERSION, time: NOW, held, end, signature }
    }
}

impl Default for Colluder {
    fn default() -> Self {
        Self::new()
    }
}

/// The entries of an operation's wraps, with their proofs.
pub fn wrap_entries(put: &Put) -> Vec<PolicyEntry> {
    let (chain, op) = (put.chain(), put.id());
    let entry = |(wrap, proof): (Wrap, _)| PolicyEntry::Wrap { chain, op, wrap, proof };
    wrap_list(put.wraps.clone()).1.into_iter().map(entry).collect()
}

/// An agency with one team and three people whose relay colludes. The third, Chipo, has the device under attack.
pub struct Stage {
    /// The relay.
    pub relay: Colluder,
    /// Manager of agency and team.
    pub amina: Person,
    /// Editor of the team: mostly the attacker.
    pub bashir: Person,
    /// Editor of the team: mostly the victim.
    pub chipo: Person,
    /// The agency.
    pub agency: ChainId,
    /// The team.
    pub team: ChainId,
    /// A case that the team holds, begun by Amina.
    pub case: ChainId,
}

impl Stage {
    /// Sets everything up honestly.
    pub fn set() -> Self {
        let people = [1, 2, 3].map(Person::new);
        let nowhere = ChainId([0; 32]);
        let [amina, bashir, chipo] = people;
        let relay = Colluder::new();
        let mut stage = Self { relay, amina, bashir, chipo, agency: nowhere, team: nowhere, case: nowhere };
        let users = [&mut stage.amina, &mut stage.bashir, &mut stage.chipo].map(Person::create_user);
        users.iter().for_each(|user| drop(stage.admit(user)));
        let agency = stage.amina.create_agency();
        stage.admit(&agency);
        stage.agency = agency.chain();
        let members = [
            (stage.amina.user(), Role::Manager),
            (stage.bashir.user(), Role::Editor),
            (stage.chipo.user(), Role::Editor),
        ];
        let team = stage.amina.create_team(stage.agency, &members);
        stage.admit(&team);
        stage.team = team.chain();
        stage.case = stage.begin_case();
        stage
    }

    /// Appends honestly, and lets everybody know. Gives the entries.
    pub fn admit(&mut self, put: &Put) -> Vec<PolicyEntry> {
        let entries = self.relay.admit(put);
        for person in [&mut self.amina, &mut self.bashir, &mut self.chipo] {
            person.chains = self.relay.chains.clone();
        }
        entries
    }

    /// Amina begins a case of the team.
    pub fn begin_case(&mut self) -> ChainId {
        let case = self.amina.create_case(self.team);
        self.admit(&case);
        case.chain()
    }

    /// Names the operations of a chain that an honest device holds: all that the log has.
    pub fn head_seq(&self, chain: &ChainId) -> u64 {
        self.relay.chains.chain(chain).unwrap().head_seq()
    }
}

/// The id of an operation in an entry.
pub fn op_of(entry: &PolicyEntry) -> Option<Signed<Op>> {
    match entry {
        PolicyEntry::Op { op, .. } => Some(op.clone()),
        _ => None,
    }
}
