//! Rows of a device's disk as they lie there, read without the device.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Link, Timestamp, decode, limits::MAX_HEADER_BYTES};
use vereda_crypto::Signed;
use vereda_policy::{AdoptedDocument, Op, Receipt};
use vereda_protocol::{Chunk, Header, Logged, Position};
use vereda_sync::device::{DeviceStore, Table, tables};

use crate::disk::Disk;

/// Cursors and counters, as the device machine stores them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub struct Meta {
    /// The policy cursor.
    #[n(0)]
    pub policy: Position,
    /// The content cursor.
    #[n(1)]
    pub content: Position,
    #[n(2)]
    relay_epoch: Option<u64>,
    #[n(3)]
    incarnation: u64,
    #[n(4)]
    sealed: u64,
    #[n(5)]
    next_outbox: u64,
    #[n(6)]
    next_intent: u64,
    #[n(7)]
    confirmed: Option<u64>,
    #[n(8)]
    last: Option<Logged>,
    #[n(9)]
    handed: Option<u64>,
    #[n(10)]
    last_policy: Option<Logged>,
    #[n(11)]
    last_content: Option<Logged>,
    #[n(12)]
    last_visible: Option<Logged>,
}

/// An operation with its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct OpRow {
    /// The operation.
    #[n(0)]
    pub op: Signed<Op>,
    /// The receipt.
    #[n(1)]
    pub receipt: Option<Signed<Receipt>>,
    /// It has no effect.
    #[n(2)]
    pub is_void: bool,
    #[n(3)]
    adopted: Option<AdoptedDocument>,
    #[n(4)]
    held: Option<Held>,
}

/// A chunk that does not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ExcludedRow {
    #[n(0)]
    position: Option<u64>,
    #[n(1)]
    cause: u8,
    #[n(2)]
    epoch: u64,
    #[n(3)]
    at_relay: bool,
    #[n(4)]
    own: bool,
    #[n(5)]
    document: ChainId,
    #[n(6)]
    held: Option<Held>,
}

impl ExcludedRow {
    /// As the device stores it whose edits were made again.
    const REMADE: u8 = 4;

    /// Says whether its edits are to be made again: it is the device's own, and lies beyond a frontier or builds on what does.
    pub const fn awaits_remaking(&self) -> bool {
        self.own && self.cause <= 1
    }

    /// Says whether its edits were made again.
    pub const fn is_remade(&self) -> bool {
        self.cause == Self::REMADE
    }

    /// The same as if its edits had been made again.
    #[must_use]
    pub const fn as_remade(self) -> Self {
        Self { cause: Self::REMADE, ..self }
    }
}

/// When the relay handed something over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Held {
    #[n(0)]
    at: Timestamp,
    #[n(1)]
    after: u64,
}

/// A document that is being fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Backfill {
    /// The document.
    #[n(0)]
    pub document: ChainId,
    /// Stored up to here.
    #[n(1)]
    pub after: Position,
    /// The end.
    #[n(2)]
    pub upto: Position,
}

/// Lists the rows of a table, or of one of its groups: keys and values.
pub fn list(disk: &Disk, table: Table, group: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    // A disk without power shows none; it is looked at only while it has some.
    drop(disk.scan(table, group, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    }));
    rows
}

/// Reads the cursors.
pub fn meta(disk: &Disk) -> Option<Meta> {
    decode(&disk.get(tables::META, b"meta").ok()??, 1 << 10).ok()
}

/// Lists the operations of a chain, by seq.
pub fn ops(disk: &Disk, chain: &ChainId) -> Vec<OpRow> {
    let mut rows = list(disk, tables::OPS, Some(chain.as_bytes()));
    rows.sort();
    rows.into_iter().filter_map(|(_, row)| decode(&row, 1 << 20).ok()).collect()
}

/// Lists the chunks of a document, in local order.
pub fn chunks(disk: &Disk, document: &ChainId) -> Vec<Chunk> {
    let mut rows = list(disk, tables::CHUNKS, Some(document.as_bytes()));
    rows.sort();
    rows.into_iter().filter_map(|(_, row)| decode(&row, 2 << 20).ok()).collect()
}

/// Lists the headers of the chunks of a document, in local order.
pub fn headers(disk: &Disk, document: &ChainId) -> Vec<Header> {
    let chunks = chunks(disk, document);
    chunks.iter().filter_map(|chunk| decode(chunk.header.bytes(), MAX_HEADER_BYTES).ok()).collect()
}

/// Lists the chunks of a document that stand on a device and that the relay holds, or should.
pub fn standing(disk: &Disk, document: &ChainId) -> BTreeSet<Link> {
    let group = Some(document.as_bytes().as_slice());
    let kept = keys(disk, tables::LINKS, group);
    let undecided = keys(disk, tables::REFUSED, group);
    kept.difference(&undecided).copied().collect()
}

/// Lists the chunks of a document that do not stand.
pub fn excluded(disk: &Disk, document: &ChainId) -> BTreeMap<Link, ExcludedRow> {
    let rows = list(disk, tables::EXCLUDED, Some(document.as_bytes())).into_iter();
    rows.filter_map(|(key, row)| Some((Link(key.try_into().ok()?), decode(&row, 1 << 10).ok()?))).collect()
}

/// Lists the keys of a table's rows, or of one group's, as links.
pub fn keys(disk: &Disk, table: Table, group: Option<&[u8]>) -> BTreeSet<Link> {
    list(disk, table, group).into_iter().filter_map(|(key, _)| key.try_into().ok().map(Link)).collect()
}

/// Lists the documents that are being fetched.
pub fn backfills(disk: &Disk) -> Vec<Backfill> {
    list(disk, tables::BACKFILL, None).into_iter().filter_map(|(_, row)| decode(&row, 1 << 10).ok()).collect()
}
