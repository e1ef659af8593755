//! The reference beside the system: what was acknowledged to people, what the relay committed.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use vereda_base::{ChainId, DeviceId, Link};
use vereda_policy::{Body, ChainKind, DocumentKind};
use vereda_protocol::{Chunk, Header, Position};
use vereda_sync::relay::{RelayStore, store::Entry};

use crate::{disk::StoredEdit, intent::Expected, relay_disk::RelayDisk};

/// One edit that a device acknowledged.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Who made it.
    pub who: usize,
    /// In which case.
    pub case: ChainId,
    /// Its change; `None` where the disk shows no change that was made durable with it.
    pub change: Option<[u8; 32]>,
    /// What it wrote.
    pub expected: Expected,
}

/// A document as the relay's log has it.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// Where its first operation stands.
    pub position: Position,
    /// What it is.
    pub kind: DocumentKind,
    /// The team or agency that holds it.
    pub holder: ChainId,
}

/// A chunk in the relay's log.
#[derive(Debug, Clone)]
pub struct LoggedChunk {
    /// Where.
    pub position: Position,
    /// Its header.
    pub header: Header,
    /// The chunk.
    pub chunk: Chunk,
}

/// What must hold in the end.
#[derive(Debug, Default)]
pub struct Model {
    /// Everything acknowledged, in order.
    pub acknowledged: Vec<Acknowledged>,
    /// Changes made durable by each person in each document, in order; also those whose acknowledgement was lost.
    pub durable: BTreeMap<(usize, ChainId), Vec<[u8; 32]>>,
    /// What was committed at the relay, in order.
    pub log: Vec<Entry>,
    /// Documents in the log.
    pub documents: BTreeMap<ChainId, Document>,
    /// Chunks in the log, by document, in order.
    pub chunks: BTreeMap<ChainId, Vec<LoggedChunk>>,
    /// Links of these.
    pub links: BTreeSet<Link>,
    /// Where each device's acceptance into a team stands.
    pub accepted: BTreeMap<(DeviceId, ChainId), Position>,
    /// Links that some device was told to be durable at the relay.
    pub promised: BTreeSet<(ChainId, Link)>,
}

impl Model {
    /// Notes changes that a device's disk made durable.
    pub fn note_durable(&mut self, who: usize, edits: &[StoredEdit]) {
        for edit in edits {
            self.durable.entry((who, edit.document)).or_default().push(change_hash(&edit.bytes));
        }
    }

    /// Takes over what the relay's disk committed beyond what is known.
    pub fn note_log(&mut self, disk: &RelayDisk) {
        let Ok(end) = disk.end() else { return };
        for position in self.log.len() as u64 + 1..=end.0 {
            let position = Position(position);
            let Ok(Some(entry)) = disk.entry(position) else { return };
            self.index(position, &entry);
            self.log.push(entry);
        }
    }

    fn index(&mut self, position: Position, entry: &Entry) {
        match entry {
            Entry::Op { op, receipt } => {
                let (Ok(op), Ok(receipt)) = (op.clone().verify(), receipt.clone().verify()) else { return };
                let chain = receipt.value().chain;
                match &op.value().body {
                    Body::Create(create) if create.kind == ChainKind::Document => {
                        if let (Some(kind), Some(member)) = (create.document, create.members.first()) {
                            self.documents.insert(chain, Document { position, kind, holder: member.subject });
                        }
                    }
                    Body::Accept(_) => {
                        self.accepted.insert((op.value().device, chain), position);
                    }
                    _ => {}
                }
            }
            Entry::Chunk(chunk) => {
                let Ok(header) = chunk.header.clone().verify() else { return };
                let header = header.into_value();
                self.links.insert(header.link());
                let logged = LoggedChunk { position, header, chunk: chunk.clone() };
                self.chunks.entry(logged.header.document).or_default().push(logged);
            }
            Entry::Wrap { .. } => {}
        }
    }

    /// Lists the cases in the log.
    pub fn cases(&self) -> Vec<(ChainId, Document)> {
        let cases = self.documents.iter().filter(|(_, document)| document.kind == DocumentKind::Case);
        cases.map(|(id, document)| (*id, *document)).collect()
    }
}

/// Hashes a change from its raw bytes, as Automerge does: everything behind magic and checksum.
pub fn change_hash(raw: &[u8]) -> [u8; 32] {
    Sha256::digest(raw.get(8..).unwrap_or_default()).into()
}
