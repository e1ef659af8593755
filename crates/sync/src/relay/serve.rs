//! Serving from the log: what a device has not stored yet.

use std::ops::Bound;

use vereda_base::{Now, Timestamp};
use vereda_policy::{ChainKind, may_read};
use vereda_protocol::{Chunk, Down, PolicyEntry, Position};

use super::{
    chains::View,
    machine::RelayMachine,
    reach::newly_visible,
    session::{Backfill, Open, Session, SessionId},
    store::{About, Entry, Head, RelayStore, Scope, StoreError},
};

/// Entries looked at in one page.
const PAGE: usize = 256;
/// Bytes read for one frame, as they are stored.
const FRAME_BYTES: usize = 48 << 10;
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
        let Backfill { chain, after, upto } = backfill;
        let heads = store.heads(Scope::Chain(chain), after, upto, PAGE)?;
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(0) };
        let view = self.chains.view(store);
        let page = read_page(&view, open, &heads, upto, now, |_| true)?;
        let page = view.finish(page)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        let ends = page.cursor >= upto;
        match open.stream.backfills.front_mut() {
            Some(front) if !ends => front.after = page.cursor,
            _ => {
                open.stream.backfills.pop_front();
            }
        }
        let (entries, chunks, cursor) = (page.entries, page.chunks, page.cursor);
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
    let mut page = read_page(view, open, heads, end, now, foreign)?;
    let mut visible = Vec::new();
    for head in heads.iter().take_while(|head| head.position <= page.cursor) {
        let About::Op { chain } = head.about else { continue };
        let Some(known) = view.known(&chain).filter(|_| may_see(view, open, head, now)) else { continue };
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
    read_page(view, open, heads, end, now, |_| true)
}

/// Reads the entries that a device may see now, up to the size of a frame.
fn read_page(
    view: &View<'_>,
    open: &Open,
    heads: &[Head],
    end: Position,
    now: Timestamp,
    wanted: impl Fn(&Head) -> bool,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    for head in heads {
        if page.bytes >= FRAME_BYTES {
            return Ok(page);
        }
        if wanted(head) && may_see(view, open, head, now) {
            page.bytes += head.bytes;
            match view.store().entry(head.position)? {
                Some(Entry::Op { op, receipt }) => page.entries.push(PolicyEntry::Op { op, receipt }),
                Some(Entry::Wrap { chain, op, wrap, proof }) => {
                    page.entries.push(PolicyEntry::Wrap { chain, op, wrap, proof });
                }
                Some(Entry::Chunk(chunk)) => page.chunks.push(chunk),
                None => return Err(StoreError::Damaged { table: "log" }),
            }
        }
        page.cursor = head.position;
    }
    if heads.len() < PAGE {
        page.cursor = end;
    }
    Ok(page)
}

/// Says whether an entry is for a device, as policy stands now.
fn may_see(view: &View<'_>, open: &Open, head: &Head, now: Timestamp) -> bool {
    match head.about {
        About::Op { chain } => view.known(&chain).is_some_and(|known| {
            if known.state.kind() == ChainKind::Document {
                return open.is_member() && may_read(view, &open.device, &chain, Some(now));
            }
            known.agency.is_some_and(|agency| open.agencies.contains(&agency)) || open.reach.contains(&chain)
        }),
        About::Wrap { recipient, .. } => open.is_recipient(&recipient),
        About::Chunk { document, device, incarnation } => {
            let own = device == open.device && incarnation == open.incarnation;
            !own && open.is_member() && may_read(view, &open.device, &document, Some(now))
        }
    }
}
