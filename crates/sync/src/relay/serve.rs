//! Serving from the log: what a device has not stored yet.

use std::ops::Bound;

use vereda_base::{ChainId, Now, Timestamp};
use vereda_crypto::Signed;
use vereda_policy::{Op, Wrap, WrapProof};
use vereda_protocol::{Chunk, Down, Leaves, PolicyEntry, Position};

use super::{
    chains::View,
    machine::RelayMachine,
    reach::newly_visible,
    session::{Backfill, Open, Session, SessionId},
    sight::Sight,
    store::{About, Entry, Head, RelayStore, Scope, StoreError},
};

/// Entries looked at in one page.
const PAGE: usize = 256;
/// Bytes read for one frame, as they are stored.
const FRAME_BYTES: usize = 48 << 10;
/// What looking through one page of leaves counts for, in bytes, whatever is served of it.
const LOOK_BYTES: usize = 16 << 10;
/// Bytes served to one session before the next has its turn.
const ROUND_BYTES: usize = 128 << 10;
/// Sessions served in one round: what they get waits in memory for the commit.
const ROUND_SESSIONS: usize = 64;

impl RelayMachine {
    /// Serves the sessions that lag for one bounded round, in turn. Says whether there is more to do at once.
    pub fn serve(&mut self, now: Now, store: &dyn RelayStore) -> bool {
        if !self.has_failed()
            && let Err(error) = self.refresh_expired(now.wall, store)
        {
            self.fail(error);
        }
        let last = self.served_last;
        let after = self.lagging.range((Bound::Excluded(last), Bound::Unbounded));
        let round: Vec<SessionId> = after.chain(self.lagging.range(..=last)).copied().take(ROUND_SESSIONS).collect();
        for id in round {
            self.served_last = id;
            if self.has_failed() {
                return false;
            }
            if let Err(error) = self.serve_session(id, now.wall, store) {
                self.fail(error);
            }
        }
        !self.has_failed() && !self.lagging.is_empty()
    }

    /// Notes a session for serving if it lags and has room.
    pub(super) fn consider(&mut self, id: SessionId) {
        if self.can_be_served(id) {
            self.lagging.insert(id);
        } else {
            self.lagging.remove(&id);
        }
    }

    fn can_be_served(&self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get(&id) else { return false };
        let room = session.unwritten < self.config.max_unwritten_bytes;
        session.open().is_some_and(|open| {
            let stream = &open.stream;
            room && open.down_credit > 0 && stream.pulled && (!stream.live || !stream.backfills.is_empty())
        })
    }

    fn serve_session(&mut self, id: SessionId, now: Timestamp, store: &dyn RelayStore) -> Result<(), StoreError> {
        self.flush(id);
        self.dirty.remove(&id);
        let mut served = 0;
        while served < ROUND_BYTES && self.can_be_served(id) {
            served += self.serve_page(id, now, store)?.max(1);
        }
        self.consider(id);
        Ok(())
    }

    /// Serves one page of the first lane that has something. Gives the bytes read.
    fn serve_page(&mut self, id: SessionId, now: Timestamp, store: &dyn RelayStore) -> Result<usize, StoreError> {
        let end = self.end(store)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        let (policy, content) = (open.stream.policy, open.stream.content);
        if !open.stream.live && policy < end {
            return self.serve_policy(id, policy, end, now, store);
        }
        if !open.stream.live && content < end {
            return self.serve_content(id, content, end, now, store);
        }
        if !open.stream.live {
            open.stream.live = true;
            open.stream.own.clear();
            let given = open.stream.given;
            let cursor = open.cursor(end, given.0.min(given.1));
            self.send(id, &Down::CaughtUp { cursor });
            return Ok(0);
        }
        match open.stream.backfills.front().copied() {
            Some(backfill) => self.serve_backfill(id, backfill, now, store),
            None => Ok(0),
        }
    }

    fn serve_policy(
        &mut self,
        id: SessionId,
        after: Position,
        end: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<usize, StoreError> {
        let heads = store.heads(Scope::Policy, after, end, PAGE)?;
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(0) };
        let view = self.chains.view(store);
        let page = read_policy(&view, open, &heads, end, now)?;
        let page = view.finish(page)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        open.stream.policy = page.cursor;
        open.stream.within = page.within;
        let cursor = open.cursor(page.cursor, open.stream.given.0);
        let before = open.cursor(after, open.stream.given.0);
        self.send_policy(id, page.entries, before, cursor);
        Ok(page.bytes)
    }

    fn serve_content(
        &mut self,
        id: SessionId,
        after: Position,
        end: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<usize, StoreError> {
        let heads = store.heads(Scope::Content, after, end, PAGE)?;
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(0) };
        let view = self.chains.view(store);
        let page = read_content(&view, open, &heads, end, now)?;
        let page = view.finish(page)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        open.stream.content = page.cursor;
        let cursor = open.cursor(page.cursor, open.stream.given.1);
        if !page.chunks.is_empty() {
            self.send_stream(id, &Down::Content { chunks: page.chunks, cursor });
        }
        Ok(page.bytes)
    }

    fn serve_backfill(
        &mut self,
        id: SessionId,
        backfill: Backfill,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<usize, StoreError> {
        let Backfill { chain, after, upto, .. } = backfill;
        let heads = store.heads(Scope::Chain(chain), after, upto, PAGE)?;
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(0) };
        let view = self.chains.view(store);
        let sight = Sight::asked(&view, open, now);
        let mut page = read_page(&view, open, &heads, (upto, backfill.within), sight, |_| true)?;
        if !backfill.has_leaves {
            page.entries.splice(0..0, read_leaves(&view, open, &chain, upto, now)?);
        }
        let page = view.finish(page)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        let ends = page.cursor >= upto;
        match open.stream.backfills.front_mut() {
            Some(front) if !ends => {
                front.after = page.cursor;
                front.within = page.within;
                front.has_leaves = true;
            }
            _ => {
                open.stream.backfills.pop_front();
            }
        }
        let (mut entries, chunks, cursor) = (page.entries, page.chunks, page.cursor);
        while let Some(rest) = split_frame(&mut entries) {
            let part = std::mem::replace(&mut entries, rest);
            self.send_stream(
                id,
                &Down::BackfillPart { document: chain, entries: part, chunks: Vec::new(), cursor: after },
            );
        }
        if ends || !entries.is_empty() || !chunks.is_empty() {
            self.send_stream(id, &Down::BackfillPart { document: chain, entries, chunks, cursor });
        }
        Ok(page.bytes)
    }
}

/// What a page of the log holds for a device.
#[derive(Debug, Default)]
struct Page {
    entries: Vec<PolicyEntry>,
    chunks: Vec<Chunk>,
    /// Everything up to here was looked at.
    cursor: Position,
    /// Leaves looked at of the frontier that stands next.
    within: usize,
    bytes: usize,
}

fn read_policy(
    view: &View<'_>,
    open: &Open,
    heads: &[Head],
    end: Position,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let foreign = |head: &Head| !open.stream.own.contains(&head.position);
    let sight = || Sight::new(view, open, now);
    let mut page = read_page(view, open, heads, (end, open.stream.within), sight(), foreign)?;
    let (mut visible, mut sight) = (Vec::new(), sight());
    for head in heads.iter().take_while(|head| head.position <= page.cursor) {
        let About::Op { chain } = head.about else { continue };
        let Some(known) = view.known(&chain).filter(|_| sight.sees_op(&chain, head.position)) else { continue };
        visible.extend(newly_visible(view, open, &known, head.position, now)?);
    }
    page.entries.extend(visible);
    Ok(page)
}

fn read_content(
    view: &View<'_>,
    open: &Open,
    heads: &[Head],
    end: Position,
    now: Timestamp,
) -> Result<Page, StoreError> {
    read_page(view, open, heads, (end, 0), Sight::new(view, open, now), |_| true)
}

/// Reads the entries that a device may see now, up to the size of a frame: of a frontier that stands first, those beyond
/// the leaves `within` that were looked at already.
fn read_page(
    view: &View<'_>,
    open: &Open,
    heads: &[Head],
    (end, mut within): (Position, usize),
    mut sight: Sight<'_, '_>,
    wanted: impl Fn(&Head) -> bool,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    for head in heads {
        if page.bytes >= FRAME_BYTES {
            return Ok(page);
        }
        // It counts for the first alone.
        let within = std::mem::take(&mut within);
        if wanted(head) && sight.sees(head)? {
            if matches!(head.about, About::Frontier { .. }) {
                let leaves = view.frontier(head.position)?.ok_or(StoreError::Damaged { table: "log" })?;
                let (entries, rest) = sight.leaves(&leaves, within);
                page.bytes += LOOK_BYTES + entries.iter().map(size_of_entry).sum::<usize>();
                page.entries.extend(entries);
                if let Some(rest) = rest {
                    page.cursor = Position(head.position.0.saturating_sub(1));
                    page.within = rest;
                    return Ok(page);
                }
                page.cursor = head.position;
                continue;
            }
            page.bytes += head.bytes;
            match view.store().entry(head.position)? {
                Some(Entry::Op { op, receipt }) => page.entries.push(PolicyEntry::Op { op, receipt }),
                Some(Entry::Wrap { chain, op, wrap, proof }) => {
                    page.entries.push(PolicyEntry::Wrap { chain, op, wrap, proof });
                }
                Some(Entry::Chunk(chunk)) => page.chunks.push(chunk),
                Some(Entry::Review { chunk, received }) => page.entries.push(PolicyEntry::Review { chunk, received }),
                Some(Entry::ReviewDocument { create, wraps, received }) => {
                    page.entries.push(document_entry(open, create, wraps, received));
                }
                Some(Entry::Frontier { .. }) | None => return Err(StoreError::Damaged { table: "log" }),
            }
        }
        page.cursor = head.position;
    }
    if heads.len() < PAGE {
        page.cursor = end;
    }
    Ok(page)
}

/// Makes the entry of a document in review: of its wraps, those for the device.
pub(super) fn document_entry(
    open: &Open,
    create: Signed<Op>,
    mut wraps: Vec<(Wrap, WrapProof)>,
    received: Timestamp,
) -> PolicyEntry {
    wraps.retain(|(wrap, _)| open.is_recipient(&wrap.recipient));
    PolicyEntry::ReviewDocument { create, wraps, received }
}

/// Reads what the removals up to `upto` say of places in a document.
fn read_leaves(
    view: &View<'_>,
    open: &Open,
    document: &ChainId,
    upto: Position,
    now: Timestamp,
) -> Result<Vec<PolicyEntry>, StoreError> {
    let mut entries = Vec::new();
    if !Sight::asked(view, open, now).sees_chain(document) {
        return Ok(entries);
    }
    for position in view.store().frontiers_naming(document)? {
        if position <= upto {
            let leaves = view.frontier(position)?.ok_or(StoreError::Damaged { table: "log" })?;
            entries.extend(leaves.entries_in(document));
        }
    }
    Ok(entries)
}

/// Splits off what is more than fits well in one frame.
pub(super) fn split_frame(entries: &mut Vec<PolicyEntry>) -> Option<Vec<PolicyEntry>> {
    const MAX_ENTRIES: usize = 4_096;
    const MAX_BYTES: usize = 512 << 10;
    let mut bytes = 0;
    for (index, entry) in entries.iter().enumerate() {
        bytes += size_of_entry(entry);
        if index > 0 && (index >= MAX_ENTRIES || bytes > MAX_BYTES) {
            return Some(entries.split_off(index));
        }
    }
    None
}

/// Estimates the size of an entry in a frame, in bytes.
pub(super) fn size_of_entry(entry: &PolicyEntry) -> usize {
    match entry {
        PolicyEntry::Op { op, receipt } => op.bytes().len() + receipt.bytes().len() + 128,
        PolicyEntry::Wrap { .. } => 1_500,
        PolicyEntry::Visible { .. } => 64,
        PolicyEntry::Frontier { leaves: Leaves::All(leaves), .. } => 64 + leaves.len() * 80,
        PolicyEntry::Frontier { leaves: Leaves::Some(leaves), .. } => 64 + leaves.len() * 720,
        PolicyEntry::Frontier { leaves: Leaves::Range(range), .. } => 1_500 + range.leaves.len() * 80,
        PolicyEntry::Review { chunk, .. } => chunk.header.bytes().len() + chunk.ciphertext.len() + 128,
        PolicyEntry::ReviewDocument { create, wraps, .. } => create.bytes().len() + 128 + wraps.len() * 1_500,
    }
}
