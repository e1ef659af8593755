//! Removals and review in the database: where devices wrote, leaves, and what awaits a decision.

use rusqlite::params;
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{Op, Place, Wrap, WrapProof, op_id_of_bytes};
use vereda_protocol::{OfferedLeaf, Position};
use vereda_sync::relay::{
    AcceptedChunk, StoreError,
    store::{Entry, ReviewLoad, ReviewStanding, Reviewed, ReviewedDocument},
};

use super::{
    SqliteStore,
    packed::Name,
    row::{self, code_of_standing, standing_of_code, to_id, to_u64},
};

/// A row of the table of chunks in review, ids as numbers.
struct RawReviewed {
    link: Link,
    document: i64,
    author: i64,
    seq: u64,
    position: Position,
    standing: ReviewStanding,
}

const COLUMNS: &str = "SELECT link, document, author, seq, position, standing FROM review";

fn read_reviewed(row: &rusqlite::Row<'_>) -> rusqlite::Result<RawReviewed> {
    Ok(RawReviewed {
        link: Link(to_id(row, 0)?),
        document: row.get(1)?,
        author: row.get(2)?,
        seq: row.get::<_, i64>(3)?.cast_unsigned(),
        position: Position(to_u64(row.get(4)?)),
        standing: standing_of_code(row.get(5)?),
    })
}

impl SqliteStore {
    pub(super) fn places_of(
        &self,
        device: &DeviceId,
        within: Option<&ChainId>,
    ) -> Result<Vec<OfferedLeaf>, StoreError> {
        let Some(number) = self.name(device.as_bytes())? else { return Ok(Vec::new()) };
        let within = match within {
            Some(chain) => match self.name(chain.as_bytes())? {
                Some(chain) => Some(chain),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let mut places = self.places_of_chunks(*device, number, within)?;
        places.extend(self.places_of_ops(*device, number, within)?);
        Ok(places)
    }

    fn places_of_chunks(
        &self,
        device: DeviceId,
        number: i64,
        within: Option<i64>,
    ) -> Result<Vec<OfferedLeaf>, StoreError> {
        let sql = "SELECT author.incarnation, version.document, version.seq, version.position FROM author
             JOIN version ON version.author = author.id
             WHERE author.device = ?1 AND (?2 IS NULL OR version.document = ?2)";
        let read = |row: &rusqlite::Row<'_>| {
            let incarnation = Incarnation(row.get::<_, i64>(0)?.cast_unsigned());
            let seq = row.get::<_, i64>(2)?.cast_unsigned();
            Ok((incarnation, row.get::<_, i64>(1)?, seq, Position(to_u64(row.get(3)?))))
        };
        let rows = self.many("version", sql, params![number, within], read)?;
        let place = |(incarnation, document, seq, position)| {
            let document = ChainId(self.id(document)?);
            let id = Digest(self.link_at(document, position)?.0);
            Ok(OfferedLeaf { place: Place::Content { document, device, incarnation }, seq, id })
        };
        rows.into_iter().map(place).collect()
    }

    fn places_of_ops(
        &self,
        device: DeviceId,
        number: i64,
        within: Option<i64>,
    ) -> Result<Vec<OfferedLeaf>, StoreError> {
        let sql = "SELECT written.chain, written.seq, data.content FROM written
             JOIN data ON data.position = written.position
             WHERE written.device = ?1 AND (?2 IS NULL OR written.chain = ?2)";
        let read = |row: &rusqlite::Row<'_>| {
            let seq = row.get::<_, i64>(1)?.cast_unsigned();
            Ok((row.get::<_, i64>(0)?, seq, row.get_ref(2)?.as_blob()?.to_vec()))
        };
        let rows = self.many("written", sql, params![number, within], read)?;
        let place = |(chain, seq, content): (i64, u64, Vec<u8>)| {
            let chain = ChainId(self.id(chain)?);
            let Entry::Op { op, .. } = row::decode_policy(row::OP, chain, &content)? else {
                return Err(StoreError::Damaged { table: "data" });
            };
            Ok(OfferedLeaf { place: Place::Ops { chain, device }, seq, id: Digest(op_id_of_bytes(op.bytes()).0) })
        };
        rows.into_iter().map(place).collect()
    }

    pub(super) fn note_written(
        &mut self,
        device: &DeviceId,
        chain: i64,
        seq: u64,
        position: Position,
    ) -> Result<(), StoreError> {
        let device = self.make_name(device.as_bytes())?;
        self.execute(
            "written",
            "INSERT INTO written (device, chain, seq, position) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device, chain) DO UPDATE SET seq = excluded.seq, position = excluded.position",
            params![device, chain, seq.cast_signed(), position.0.cast_signed()],
        )
    }

    pub(super) fn append_frontier(&mut self, row: &row::Row, leaves: &[OfferedLeaf]) -> Result<Position, StoreError> {
        let position = self.append_row(row, None)?;
        for leaf in leaves {
            let chain = self.make_name(leaf.place.chain().as_bytes())?;
            let sql = "INSERT INTO frontier (chain, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            self.execute("frontier", sql, [chain, position.0.cast_signed()])?;
        }
        Ok(position)
    }

    pub(super) fn frontiers_in(&self, chain: &ChainId) -> Result<Vec<Position>, StoreError> {
        let Some(chain) = self.name(chain.as_bytes())? else { return Ok(Vec::new()) };
        let sql = "SELECT position FROM frontier WHERE chain = ?1 ORDER BY position";
        self.many("frontier", sql, [chain], |row| Ok(Position(to_u64(row.get(0)?))))
    }

    pub(super) fn append_review(
        &mut self,
        accepted: &AcceptedChunk,
        received: Timestamp,
    ) -> Result<Position, StoreError> {
        let (header, link) = (accepted.header(), accepted.link());
        let author = self.make_author(&header.device, header.incarnation)?;
        let document = self.make_name(header.document.as_bytes())?;
        let row = row::encode_review(accepted, received);
        let position = self.append_row(&row, Some(author))?;
        let bytes = i64::try_from(row.data.len()).unwrap_or(i64::MAX);
        self.execute(
            "review",
            "INSERT INTO review (link, document, author, seq, position, bytes, standing)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
            params![link.0, document, author, header.seq.cast_signed(), position.0.cast_signed(), bytes],
        )?;
        Ok(position)
    }

    pub(super) fn append_review_document(
        &mut self,
        create: &Verified<Op>,
        wraps: &[(Wrap, WrapProof)],
        received: Timestamp,
    ) -> Result<Position, StoreError> {
        let document = ChainId(op_id_of_bytes(create.bytes()).0);
        let device = self.make_name(create.value().device.as_bytes())?;
        let row = row::encode_review_document(document, create, wraps, received);
        let position = self.append_row(&row, None)?;
        let document = self.make_name(document.as_bytes())?;
        let bytes = i64::try_from(row.data.len()).unwrap_or(i64::MAX);
        self.execute(
            "review_create",
            "INSERT INTO review_create (document, device, position, bytes, standing) VALUES (?1, ?2, ?3, ?4, 0)",
            params![document, device, position.0.cast_signed(), bytes],
        )?;
        Ok(position)
    }

    pub(super) fn find_reviewed(&self, link: &Link) -> Result<Option<Reviewed>, StoreError> {
        let raw = self.one("review", &format!("{COLUMNS} WHERE link = ?1"), [link.0], read_reviewed)?;
        raw.map(|raw| self.reviewed_of(raw)).transpose()
    }

    pub(super) fn newest_reviewed(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<Reviewed>, StoreError> {
        let (author, document) = (self.author(device, incarnation)?, self.name(document.as_bytes())?);
        let Some((author, document)) = author.zip(document) else { return Ok(None) };
        let sql = format!("{COLUMNS} WHERE author = ?1 AND document = ?2 AND standing <> 2 ORDER BY seq DESC LIMIT 1");
        let raw = self.one("review", &sql, [author, document], read_reviewed)?;
        raw.map(|raw| self.reviewed_of(raw)).transpose()
    }

    pub(super) fn list_review(&self, document: &ChainId) -> Result<Vec<Reviewed>, StoreError> {
        let Some(document) = self.name(document.as_bytes())? else { return Ok(Vec::new()) };
        let sql = format!("{COLUMNS} WHERE document = ?1 AND standing = 0 ORDER BY position");
        let raw = self.many("review", &sql, [document], read_reviewed)?;
        raw.into_iter().map(|raw| self.reviewed_of(raw)).collect()
    }

    pub(super) fn is_in_review(&self, document: &ChainId, position: Position) -> Result<bool, StoreError> {
        let Some(document) = self.name(document.as_bytes())? else { return Ok(false) };
        let sql = "SELECT 1 FROM review INDEXED BY review_document
             WHERE document = ?1 AND position = ?2 AND standing = 0";
        let found = self.one("review", sql, [document, position.0.cast_signed()], |_| Ok(()))?;
        Ok(found.is_some())
    }

    pub(super) fn list_reviewing(&self) -> Result<Vec<ChainId>, StoreError> {
        let sql = "SELECT document FROM review WHERE standing = 0
             UNION SELECT document FROM review_create WHERE standing = 0";
        let numbers = self.many("review", sql, [], |row| row.get::<_, i64>(0))?;
        let mut found: Vec<ChainId> =
            numbers.into_iter().map(|number| Ok(ChainId(self.id(number)?))).collect::<Result<_, StoreError>>()?;
        found.sort_unstable();
        Ok(found)
    }

    fn reviewed_of(&self, raw: RawReviewed) -> Result<Reviewed, StoreError> {
        let RawReviewed { link, document, author, seq, position, standing } = raw;
        let (device, incarnation) = self.author_of(author)?;
        Ok(Reviewed { link, document: ChainId(self.id(document)?), device, incarnation, seq, position, standing })
    }

    pub(super) fn find_reviewed_document(&self, document: &ChainId) -> Result<Option<ReviewedDocument>, StoreError> {
        let Some(document) = self.name(document.as_bytes())? else { return Ok(None) };
        let sql = "SELECT device, position, standing FROM review_create WHERE document = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0)?, Position(to_u64(row.get(1)?)), standing_of_code(row.get(2)?)))
        };
        let Some((device, position, standing)) = self.one("review_create", sql, [document], read)? else {
            return Ok(None);
        };
        Ok(Some(ReviewedDocument { device: DeviceId(self.id(device)?), position, standing }))
    }

    pub(super) fn load_of(&self, device: &DeviceId) -> Result<ReviewLoad, StoreError> {
        let Some(device) = self.name(device.as_bytes())? else { return Ok(ReviewLoad::default()) };
        let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM (
                SELECT review.bytes FROM author JOIN review ON review.author = author.id
                WHERE author.device = ?1 AND review.standing = 0
                UNION ALL
                SELECT bytes FROM review_create WHERE device = ?1 AND standing = 0
            )";
        let read = |row: &rusqlite::Row<'_>| Ok(ReviewLoad { count: to_u64(row.get(0)?), bytes: to_u64(row.get(1)?) });
        Ok(self.one("review", sql, [device], read)?.unwrap_or_default())
    }

    pub(super) fn decide_chunk(&mut self, link: &Link, standing: ReviewStanding) -> Result<(), StoreError> {
        self.begin()?;
        let code = code_of_standing(standing);
        self.execute("review", "UPDATE review SET standing = ?2 WHERE link = ?1", params![link.0, code])?;
        let sql = "DELETE FROM data WHERE position = (SELECT position FROM review WHERE link = ?1)";
        self.execute("data", sql, [link.0])
    }

    pub(super) fn decide_create(&mut self, document: &ChainId, standing: ReviewStanding) -> Result<(), StoreError> {
        let document = self.make_name(document.as_bytes())?;
        let sql = "UPDATE review_create SET standing = ?2 WHERE document = ?1";
        self.execute("review_create", sql, params![document, code_of_standing(standing)])?;
        let sql = "DELETE FROM data WHERE position = (SELECT position FROM review_create WHERE document = ?1)";
        self.execute("data", sql, [document])
    }
}
