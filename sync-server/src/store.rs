//! The relay's store in SQLite: one file, write-ahead log, full synchronisation, one writer.

mod chunks;
mod names;
mod packed;
mod review;
mod row;
mod schema;

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId};
use vereda_protocol::{OfferedLeaf, Position};
use vereda_sync::relay::{
    RelayStore, StoreError,
    store::{
        About, Entry, Founding, Head, Naming, NewEntry, ReviewLoad, ReviewStanding, Reviewed, ReviewedDocument, Scope,
        StoredChain, StoredOp,
    },
};

pub use schema::{OpenError, SCHEMA_VERSION};

use chunks::Recent;
use names::Names;
use packed::Name;
use row::{RawHead, Row, page_of, read_head, to_id, to_u64};

/// A relay's database. One connection, used by one thread.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    /// Whether a transaction is open.
    open: bool,
    /// The log's last position, the open transaction included.
    end: Position,
    names: Names,
    recent: Recent,
}

impl SqliteStore {
    /// Opens a database, or makes one; brings an older one forward by numbered steps.
    ///
    /// # Errors
    /// [`OpenError`]; a database newer than this program is left untouched.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_on(path, None)
    }

    /// Opens a database on another file system layer of SQLite, to test what a power cut leaves.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on_vfs(path: &Path, vfs: &str) -> Result<Self, OpenError> {
        Self::open_on(path, Some(vfs))
    }

    fn open_on(path: &Path, vfs: Option<&str>) -> Result<Self, OpenError> {
        let connection = schema::open(path, vfs)?;
        let mut store =
            Self { connection, open: false, end: Position(0), names: Names::default(), recent: Recent::default() };
        store.end = store.read_end().map_err(OpenError::Store)?;
        Ok(store)
    }

    /// Writes what the write-ahead log holds into the database file.
    ///
    /// # Errors
    /// [`StoreError`] by cause; nothing is lost then, the next opening does it.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let truncate = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        truncate.map_err(|error| fault(&error, "log"))
    }

    /// Says whether anything waits for the next commit.
    pub const fn has_uncommitted(&self) -> bool {
        self.open
    }

    /// Bounds the database's size, in pages: what a full disk does, for tests of it.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let set = self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
        set.map_err(|error| fault(&error, "log"))
    }

    /// Counts the database's pages.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn page_count(&self) -> Result<u32, StoreError> {
        let count = self.connection.query_row("PRAGMA page_count", [], |row| row.get(0));
        count.map_err(|error| fault(&error, "log"))
    }

    fn read_end(&self) -> Result<Position, StoreError> {
        let sql = "SELECT coalesce(max(position), 0) FROM log";
        let end = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        end.map(|end| Position(to_u64(end))).map_err(|error| fault(&error, "log"))
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if self.open && self.connection.is_autocommit() {
            // SQLite gave the transaction up when a statement failed: what follows must not stand alone.
            return Err(StoreError::Failed { code: rusqlite::ffi::SQLITE_ABORT });
        }
        if !self.open {
            self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| fault(&error, "log"))?;
            self.open = true;
        }
        Ok(())
    }

    fn execute(&self, table: &'static str, sql: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| fault(&error, table))?;
        statement.execute(params).map(|_| ()).map_err(|error| fault(&error, table))
    }

    fn one<T>(
        &self,
        table: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| fault(&error, table))?;
        statement.query_row(params, read).optional().map_err(|error| fault(&error, table))
    }

    fn many<T>(
        &self,
        table: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| fault(&error, table))?;
        let rows = statement.query_map(params, read).map_err(|error| fault(&error, table))?;
        rows.collect::<Result<_, _>>().map_err(|error| fault(&error, table))
    }

    fn append_row(&mut self, row: &Row, party: Option<i64>) -> Result<Position, StoreError> {
        self.begin()?;
        let chain = self.make_name(row.chain.as_bytes())?;
        let position = Position(self.end.0.saturating_add(1));
        let bytes = i64::try_from(row.data.len()).unwrap_or(i64::MAX);
        self.execute(
            "log",
            "INSERT INTO log (position, kind, chain, party, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![position.0.cast_signed(), row.kind, chain, party, bytes],
        )?;
        self.execute(
            "data",
            "INSERT INTO data (position, content) VALUES (?1, ?2)",
            params![position.0.cast_signed(), row.data],
        )?;
        self.end = position;
        Ok(position)
    }

    /// Reads what a row of the log says, its party by name.
    fn head_of(&self, raw: RawHead) -> Result<Head, StoreError> {
        let chain = ChainId(self.id(raw.chain)?);
        let party = raw.party.ok_or(StoreError::Damaged { table: "log" });
        let about = match raw.kind {
            row::OP => About::Op { chain },
            row::WRAP => About::Wrap { chain, recipient: Digest(self.id(party?)?) },
            row::FRONTIER => About::Frontier { chain },
            row::REVIEW => About::Review { document: chain },
            row::REVIEW_DOCUMENT => About::ReviewDocument { document: chain },
            _ => {
                let (device, incarnation) = self.author_of(party?)?;
                About::Chunk { document: chain, device, incarnation }
            }
        };
        Ok(Head { position: raw.position, bytes: raw.bytes, about })
    }
}

impl RelayStore for SqliteStore {
    fn relay_epoch(&self) -> Result<Option<u64>, StoreError> {
        let epoch = self.one("meta", "SELECT relay_epoch FROM meta", [], |row| row.get::<_, i64>(0))?;
        Ok(epoch.map(i64::cast_unsigned))
    }

    fn set_relay_epoch(&mut self, epoch: u64) -> Result<(), StoreError> {
        self.begin()?;
        self.execute(
            "meta",
            "INSERT INTO meta (one, relay_epoch) VALUES (1, ?1)
             ON CONFLICT (one) DO UPDATE SET relay_epoch = excluded.relay_epoch",
            [epoch.cast_signed()],
        )
    }

    fn end(&self) -> Result<Position, StoreError> {
        Ok(self.end)
    }

    fn append(&mut self, entry: &NewEntry<'_>) -> Result<Position, StoreError> {
        match entry {
            NewEntry::Op { op, receipt } => {
                let row = row::encode_op(op, receipt);
                let position = self.append_row(&row, None)?;
                let chain = self.make_name(row.chain.as_bytes())?;
                self.execute("chain", "INSERT INTO chain (chain) VALUES (?1) ON CONFLICT DO NOTHING", [chain])?;
                self.note_written(&op.value().device, chain, op.value().seq, position)?;
                Ok(position)
            }
            NewEntry::Wrap { chain, op, wrap, proof } => {
                let party = self.make_name(&wrap.recipient.0)?;
                self.append_row(&row::encode_wrap(chain, op, wrap, proof), Some(party))
            }
            NewEntry::Chunk(accepted) => self.append_chunk(accepted),
            NewEntry::Frontier { chain, removal, leaves } => {
                self.append_frontier(&row::encode_frontier(chain, removal, leaves), leaves)
            }
            NewEntry::Review { chunk, received } => self.append_review(chunk, *received),
            NewEntry::ReviewDocument { create, wraps, received } => {
                self.append_review_document(create, wraps, *received)
            }
        }
    }

    fn heads(&self, scope: Scope, after: Position, upto: Position, limit: usize) -> Result<Vec<Head>, StoreError> {
        let bound = |position: Position| i64::try_from(position.0).unwrap_or(i64::MAX);
        let (after, upto, limit) = (bound(after), bound(upto), i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = page_of(scope);
        let raw = match scope {
            Scope::Policy | Scope::Content => self.many("log", sql, params![after, upto, limit], read_head)?,
            Scope::Chain(chain) | Scope::ChainPolicy(chain) => {
                let Some(chain) = self.name(chain.as_bytes())? else { return Ok(Vec::new()) };
                self.many("log", sql, params![after, upto, limit, chain], read_head)?
            }
        };
        raw.into_iter().map(|raw| self.head_of(raw)).collect()
    }

    fn entry(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        let found = self.one(
            "data",
            "SELECT log.kind, log.chain, log.party, data.content FROM log JOIN data ON data.position = log.position
             WHERE log.position = ?1",
            [position.0.cast_signed()],
            |row| {
                let party: Option<i64> = row.get(2)?;
                Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)?, party, row.get_ref(3)?.as_blob()?.to_vec()))
            },
        )?;
        let Some((kind, chain, party, content)) = found else { return Ok(None) };
        let chain = ChainId(self.id(chain)?);
        if kind == row::CHUNK {
            return packed::unpack(&content, self.place(chain, party)?, self).map(Entry::Chunk).map(Some);
        }
        row::decode_policy(kind, chain, &content).map(Some)
    }

    fn chain(&self, chain: &ChainId) -> Result<Option<StoredChain>, StoreError> {
        let Some(number) = self.name(chain.as_bytes())? else { return Ok(None) };
        let sql = "SELECT name.value FROM chain LEFT JOIN name ON name.id = chain.agency WHERE chain.chain = ?1";
        let Some(agency) = self.one("chain", sql, [number], |row| row.get::<_, Option<[u8; 32]>>(0))? else {
            return Ok(None);
        };
        let rows = self.many(
            "log",
            "SELECT log.position, data.content FROM log INDEXED BY log_op JOIN data ON data.position = log.position
             WHERE log.chain = ?1 AND log.kind = 0 ORDER BY log.position",
            [number],
            |row| Ok((Position(to_u64(row.get(0)?)), row.get_ref(1)?.as_blob()?.to_vec())),
        )?;
        let stored = |(position, content): (Position, Vec<u8>)| match row::decode_policy(row::OP, *chain, &content)? {
            Entry::Op { op, receipt } => Ok(StoredOp { position, op, receipt }),
            _ => Err(StoreError::Damaged { table: "log" }),
        };
        let ops = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
        Ok(Some(StoredChain { agency: agency.map(ChainId), ops }))
    }

    fn set_agency(&mut self, chain: &ChainId, agency: &ChainId) -> Result<(), StoreError> {
        let (chain, agency) = (self.make_name(chain.as_bytes())?, self.make_name(agency.as_bytes())?);
        self.execute("chain", "UPDATE chain SET agency = ?2 WHERE chain = ?1", [chain, agency])
    }

    fn note_member(&mut self, subject: &Digest, of: Naming, chain: &ChainId) -> Result<(), StoreError> {
        let (subject, chain) = (self.make_name(&subject.0)?, self.make_name(chain.as_bytes())?);
        self.execute(
            "member",
            "INSERT INTO member (subject, naming, chain) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![subject, row::code_of_naming(of), chain],
        )
    }

    fn naming(&self, subject: &Digest, of: Naming) -> Result<Vec<ChainId>, StoreError> {
        let Some(subject) = self.name(&subject.0)? else { return Ok(Vec::new()) };
        self.many(
            "member",
            "SELECT name.value FROM member JOIN name ON name.id = member.chain
             WHERE member.subject = ?1 AND member.naming = ?2 ORDER BY name.value",
            params![subject, row::code_of_naming(of)],
            |row| Ok(ChainId(to_id(row, 0)?)),
        )
    }

    fn chunk_at(&self, document: &ChainId, link: &Link) -> Result<Option<Position>, StoreError> {
        self.find_chunk(document, link)
    }

    fn version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<(u64, Link)>, StoreError> {
        self.newest_chunk(device, incarnation, document)
    }

    fn places(&self, device: &DeviceId, within: Option<&ChainId>) -> Result<Vec<OfferedLeaf>, StoreError> {
        self.places_of(device, within)
    }

    fn frontiers_naming(&self, chain: &ChainId) -> Result<Vec<Position>, StoreError> {
        self.frontiers_in(chain)
    }

    fn reviewed(&self, link: &Link) -> Result<Option<Reviewed>, StoreError> {
        self.find_reviewed(link)
    }

    fn reviewed_version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<Reviewed>, StoreError> {
        self.newest_reviewed(device, incarnation, document)
    }

    fn awaits_decision(&self, document: &ChainId, position: Position) -> Result<bool, StoreError> {
        self.is_in_review(document, position)
    }

    fn reviewing(&self) -> Result<Vec<ChainId>, StoreError> {
        self.list_reviewing()
    }

    fn in_review(&self, document: &ChainId) -> Result<Vec<Reviewed>, StoreError> {
        self.list_review(document)
    }

    fn reviewed_document(&self, document: &ChainId) -> Result<Option<ReviewedDocument>, StoreError> {
        self.find_reviewed_document(document)
    }

    fn review_load(&self, device: &DeviceId) -> Result<ReviewLoad, StoreError> {
        self.load_of(device)
    }

    fn decide(&mut self, link: &Link, standing: ReviewStanding) -> Result<(), StoreError> {
        self.decide_chunk(link, standing)
    }

    fn decide_document(&mut self, document: &ChainId, standing: ReviewStanding) -> Result<(), StoreError> {
        self.decide_create(document, standing)
    }

    fn held(&self, device: &DeviceId, incarnation: Incarnation) -> Result<u64, StoreError> {
        let Some(author) = self.author(device, incarnation)? else { return Ok(0) };
        let sql = "SELECT coalesce(sum(seq + 1), 0) FROM version WHERE author = ?1";
        Ok(to_u64(self.one("version", sql, [author], |row| row.get(0))?.unwrap_or_default()))
    }

    fn cited(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<u64>, StoreError> {
        let (device, chain) = (self.name(device.as_bytes())?, self.name(chain.as_bytes())?);
        let Some((device, chain)) = device.zip(chain) else { return Ok(None) };
        let sql = "SELECT seq FROM cited WHERE device = ?1 AND chain = ?2";
        self.one("cited", sql, [device, chain], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
    }

    fn set_cited(&mut self, device: &DeviceId, chain: &ChainId, seq: u64) -> Result<(), StoreError> {
        let (device, chain) = (self.make_name(device.as_bytes())?, self.make_name(chain.as_bytes())?);
        self.execute(
            "cited",
            "INSERT INTO cited (device, chain, seq) VALUES (?1, ?2, ?3)
             ON CONFLICT (device, chain) DO UPDATE SET seq = excluded.seq",
            params![device, chain, seq.cast_signed()],
        )
    }

    fn founding(&self, secret: &Digest) -> Result<Option<Founding>, StoreError> {
        let sql = "SELECT device, agency FROM founding WHERE secret = ?1";
        self.one("founding", sql, [secret.0], |row| {
            let (device, agency): (Option<[u8; 32]>, Option<[u8; 32]>) = (row.get(0)?, row.get(1)?);
            Ok(match (device, agency) {
                (_, Some(agency)) => Founding::Spent(ChainId(agency)),
                (Some(device), None) => Founding::Claimed(DeviceId(device)),
                (None, None) => Founding::Open,
            })
        })
    }

    fn set_founding(&mut self, secret: &Digest, founding: &Founding) -> Result<(), StoreError> {
        self.begin()?;
        let (device, agency) = match founding {
            Founding::Open => (None, None),
            Founding::Claimed(device) => (Some(device.0), None),
            Founding::Spent(agency) => (None, Some(agency.0)),
        };
        self.execute(
            "founding",
            "INSERT INTO founding (secret, device, agency) VALUES (?1, ?2, ?3)
             ON CONFLICT (secret) DO UPDATE SET device = excluded.device, agency = excluded.agency",
            params![secret.0, device, agency],
        )
    }

    fn guests(&self, invite: &OpId) -> Result<u64, StoreError> {
        let users = self.one("guest", "SELECT users FROM guest WHERE invite = ?1", [invite.0], |row| row.get(0))?;
        Ok(users.map(to_u64).unwrap_or_default())
    }

    fn set_guests(&mut self, invite: &OpId, count: u64) -> Result<(), StoreError> {
        self.begin()?;
        if count == 0 {
            return self.execute("guest", "DELETE FROM guest WHERE invite = ?1", [invite.0]);
        }
        self.execute(
            "guest",
            "INSERT INTO guest (invite, users) VALUES (?1, ?2)
             ON CONFLICT (invite) DO UPDATE SET users = excluded.users",
            params![invite.0, count.cast_signed()],
        )
    }

    fn founding_of(&self, device: &DeviceId) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT secret FROM founding WHERE device = ?1 AND agency IS NULL";
        self.one("founding", sql, [device.0], |row| Ok(Digest(to_id(row, 0)?)))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if !self.open {
            return Ok(());
        }
        let done = self.connection.execute_batch("COMMIT").map_err(|error| fault(&error, "log"));
        match done {
            Ok(()) => self.open = false,
            Err(_) => self.rollback(),
        }
        done
    }

    fn rollback(&mut self) {
        if std::mem::take(&mut self.open) && !self.connection.is_autocommit() {
            // SQLite rolls back by itself after most failures; then there is nothing left to do.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.names.clear();
        self.recent.clear();
        if let Ok(end) = self.read_end() {
            self.end = end;
        }
    }
}

/// What a failure of SQLite is for the engine. Keeps the code, not the message, which may quote what is stored.
pub(crate) fn fault(error: &rusqlite::Error, table: &'static str) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return StoreError::Damaged { table } };
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged { table },
        _ => StoreError::Failed { code: failure.extended_code },
    }
}

#[cfg(test)]
mod tests;
