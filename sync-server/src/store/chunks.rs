//! Chunks in the database: appended, and found by link or as the newest of their author.

use std::{cell::RefCell, collections::BTreeMap};

use rusqlite::params;
use vereda_base::{ChainId, DeviceId, Incarnation, Link};
use vereda_protocol::Position;
use vereda_sync::relay::{AcceptedChunk, StoreError};

use super::{
    SqliteStore,
    packed::{self, Place},
    row::{CHUNK, Row, to_u64},
};

/// Links kept in memory.
const MAX_RECENT: usize = 16_384;

/// The chunks that were appended or asked for lately: what is built next is built on them.
#[derive(Debug, Default)]
pub(super) struct Recent(RefCell<Links>);

#[derive(Debug, Default)]
struct Links {
    positions: BTreeMap<(Link, ChainId), Position>,
    links: BTreeMap<Position, Link>,
}

impl Recent {
    pub(super) fn clear(&self) {
        *self.0.borrow_mut() = Links::default();
    }

    fn keep(&self, document: ChainId, link: Link, position: Position) {
        let mut links = self.0.borrow_mut();
        if links.links.len() >= MAX_RECENT {
            *links = Links::default();
        }
        links.positions.insert((link, document), position);
        links.links.insert(position, link);
    }

    fn position(&self, document: &ChainId, link: &Link) -> Option<Position> {
        self.0.borrow().positions.get(&(*link, *document)).copied()
    }

    fn link(&self, position: Position) -> Option<Link> {
        self.0.borrow().links.get(&position).copied()
    }
}

impl SqliteStore {
    pub(super) fn append_chunk(&mut self, accepted: &AcceptedChunk) -> Result<Position, StoreError> {
        self.begin()?;
        let (header, link) = (accepted.header(), accepted.link());
        let author = self.make_author(&header.device, header.incarnation)?;
        let data = packed::pack(accepted, self)?;
        let position = self.append_row(&Row { kind: CHUNK, chain: header.document, data }, Some(author))?;
        let document = self.make_name(header.document.as_bytes())?;
        let place = position.0.cast_signed();
        self.execute(
            "link",
            "INSERT INTO link (document, beginning, position) VALUES (?1, ?2, ?3)",
            params![document, beginning(&link), place],
        )?;
        self.execute(
            "version",
            "INSERT INTO version (author, document, seq, position) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (author, document) DO UPDATE SET seq = excluded.seq, position = excluded.position",
            params![author, document, header.seq.cast_signed(), place],
        )?;
        self.recent.keep(header.document, link, position);
        Ok(position)
    }

    pub(super) fn find_chunk(&self, document: &ChainId, link: &Link) -> Result<Option<Position>, StoreError> {
        if let Some(position) = self.recent.position(document, link) {
            return Ok(Some(position));
        }
        let Some(number) = self.name(document.as_bytes())? else { return Ok(None) };
        let sql = "SELECT position FROM link WHERE document = ?1 AND beginning = ?2";
        let read = |row: &rusqlite::Row<'_>| Ok(Position(to_u64(row.get(0)?)));
        for position in self.many("link", sql, params![number, beginning(link)], read)? {
            if self.link_at(*document, position)? == *link {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    pub(super) fn newest_chunk(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<(u64, Link)>, StoreError> {
        let (author, number) = (self.author(device, incarnation)?, self.name(document.as_bytes())?);
        let Some((author, number)) = author.zip(number) else { return Ok(None) };
        let sql = "SELECT seq, position FROM version WHERE author = ?1 AND document = ?2";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), Position(to_u64(row.get(1)?))));
        let Some((seq, position)) = self.one("version", sql, [author, number], read)? else { return Ok(None) };
        Ok(Some((seq, self.link_at(*document, position)?)))
    }

    /// Tells whose chunk stands where, by what the log says.
    pub(super) fn place(&self, document: ChainId, party: Option<i64>) -> Result<Place, StoreError> {
        let (device, incarnation) = self.author_of(party.ok_or(StoreError::Damaged { table: "log" })?)?;
        Ok(Place { document, device, incarnation })
    }

    /// Reads the link of the chunk at a position.
    pub(super) fn link_at(&self, document: ChainId, position: Position) -> Result<Link, StoreError> {
        if let Some(link) = self.recent.link(position) {
            return Ok(link);
        }
        let sql = "SELECT log.party, data.content FROM log JOIN data ON data.position = log.position
             WHERE log.position = ?1 AND log.kind = 2";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get_ref(1)?.as_blob()?.to_vec()));
        let found = self.one("data", sql, [position.0.cast_signed()], read)?;
        let (party, content) = found.ok_or(StoreError::Damaged { table: "link" })?;
        let link = packed::link_of(&content, self.place(document, party)?, self)?;
        self.recent.keep(document, link, position);
        Ok(link)
    }
}

/// The first 48 bits of a link.
fn beginning(link: &Link) -> i64 {
    link.0.iter().take(6).fold(0, |number, byte| number << 8 | i64::from(*byte))
}
