//! Who may read what as far as a device knows, and what it sealed knowing that.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest, Timestamp, decode};
use vereda_policy::{Body, ChainKind, Op, Receipt, Role, chain_of, op_id_of_bytes};
use vereda_protocol::Header;

use crate::{
    check::rows::OpRow,
    model::ledger::{AsOf, Ledger},
};

const MAX_BYTES: usize = 1 << 20;

/// What a device wrote to its disk that tells of policy, or that it sealed something.
#[derive(Debug, Default)]
pub struct Noted {
    /// Operations.
    pub ops: Vec<OpRow>,
    /// Headers of chunks.
    pub headers: Vec<Header>,
}

/// A device's knowledge of policy.
#[derive(Debug, Default)]
pub struct Knowledge {
    ledger: Ledger,
    known: BTreeMap<(ChainId, u64), bool>,
    ever: BTreeSet<(ChainId, DeviceId)>,
    ever_held: BTreeSet<(ChainId, ChainId)>,
}

/// A chunk as its author's device sealed it.
#[derive(Debug)]
pub struct Sealing {
    /// Whose device.
    pub who: usize,
    /// Its header.
    pub header: Header,
    /// When, in the world's milliseconds.
    pub at_ms: u64,
    /// Who read the document by all that the device knew before, or by the relay's log.
    pub readers: Readers,
    /// The device knew that itself it wrote to the document no more: it seals for review, under the last key that what its
    /// edits rely on knows.
    pub is_late: bool,
    /// What the key of its epoch answers to, by the history that the device was served.
    pub commitment: Option<Digest>,
    /// Of whom the device ever knew that they read the document, or were in a group.
    pub known: BTreeSet<(ChainId, DeviceId)>,
    /// The groups by which the document was ever read as far as the device knew.
    pub known_groups: BTreeSet<ChainId>,
}

/// Who reads a document. A group's key opens all that was sealed for the group while that key was its newest, also to
/// whoever joins it later.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    /// Devices.
    pub devices: BTreeSet<DeviceId>,
    /// The groups by which they do, and those without anybody.
    pub groups: BTreeSet<ChainId>,
}

impl Readers {
    /// Reads them from a ledger.
    pub fn of(ledger: &Ledger, document: &ChainId) -> Self {
        let devices = ledger.readers(document, AsOf::Ever).into_keys().collect();
        Self { devices, groups: ledger.holders(document) }
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.devices.extend(others.devices);
        self.groups.extend(others.groups);
    }
}

impl Knowledge {
    /// Takes in operations that were stored; false where one changed its effect, so that all is to be read anew.
    pub fn take(&mut self, rows: &[OpRow]) -> bool {
        rows.iter().all(|row| self.take_one(row))
    }

    /// Reads all anew, from the chains that a device stores.
    pub fn rebuild(&mut self, chains: Vec<Vec<OpRow>>) {
        *self = Self::default();
        let mut chains = chains;
        let kind = |rows: &Vec<OpRow>| rows.first().and_then(op_of).map(|op| rank(&op));
        chains.sort_by_key(kind);
        for rows in &chains {
            self.take(rows);
        }
    }

    /// Lists who reads a document; `None` where it is unknown.
    pub fn readers(&self, document: &ChainId) -> Option<Readers> {
        self.ledger.chain(document)?;
        Some(Readers::of(&self.ledger, document))
    }

    /// Says whether a device writes to a document; `None` where that is unknown.
    pub fn writes(&self, device: &DeviceId, document: &ChainId) -> Option<bool> {
        self.ledger.chain(document)?;
        let role = self.ledger.readers(document, AsOf::Ever).get(device).copied();
        Some(role >= Some(Role::Editor))
    }

    /// Lists who reads a document or is in a group, or once was before something that is known too.
    pub fn ever_readers(&self, document: &ChainId) -> BTreeSet<(ChainId, DeviceId)> {
        let groups: BTreeSet<ChainId> = self.ledger.groups().collect();
        self.ever.iter().filter(|(of, _)| of == document || groups.contains(of)).copied().collect()
    }

    /// Lists the groups by which a document is read, or once was before something that is known too.
    pub fn ever_holders(&self, document: &ChainId) -> BTreeSet<ChainId> {
        self.ever_held.iter().filter(|(of, _)| of == document).map(|(_, group)| *group).collect()
    }

    fn note_readers(&mut self) {
        let chains: Vec<ChainId> = self.ledger.all_documents().chain(self.ledger.groups()).collect();
        for chain in chains {
            self.ever_held.extend(self.ledger.holders(&chain).into_iter().map(|group| (chain, group)));
            let readers = self.ledger.readers(&chain, AsOf::Ever).into_keys();
            self.ever.extend(readers.map(|device| (chain, device)));
        }
    }

    fn take_one(&mut self, row: &OpRow) -> bool {
        let Some(op) = op_of(row) else { return true };
        let chain = chain_of(&op);
        match self.known.insert((chain, op.seq), row.is_void) {
            Some(was_void) => return was_void == row.is_void,
            None if row.is_void => return true,
            None => {}
        }
        let receipt = row.receipt.as_ref().and_then(|receipt| decode::<Receipt>(receipt.bytes(), MAX_BYTES).ok());
        let time = receipt.map_or(Timestamp(i64::MAX), |receipt| receipt.time);
        self.ledger.apply(chain, op_id_of_bytes(row.op.bytes()), &op, time);
        self.note_readers();
        true
    }
}

fn op_of(row: &OpRow) -> Option<Op> {
    decode(row.op.bytes(), MAX_BYTES).ok()
}

/// Users come before teams, these before documents.
fn rank(op: &Op) -> u8 {
    match &op.body {
        Body::Create(create) => match create.kind {
            ChainKind::User => 0,
            ChainKind::Team => 2,
            ChainKind::Agency => 1,
            ChainKind::Document => 3,
        },
        _ => 4,
    }
}
