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
/// What looking at one entry counts for, in bytes, whether it is served or not.
const LOOK_WORK: usize = 256;
/// What looking through one page of leaves counts for, in bytes, whatever is served of it.
const LEAVES_WORK: usize = 16 << 10;
/// What a page counts for at least, in bytes.
const PAGE_WORK: usize = 4 << 10;
/// Work done for one session before the next has its turn, in bytes.
const TURN_WORK: usize = 128 << 10;
/// Work done in one round, in bytes: whoever hands something in waits for no more than that, whatever others ask for.
const ROUND_WORK: usize = 1 << 20;
/// Sessions served in one round: what they get waits in memory for the commit.
const ROUND_SESSIONS: usize = 64;
/// Positions of the log that one page of the content lane passes over: not all of them hold a chunk.
const CONTENT_SPAN: u64 = 4_096;

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
        let mut work = 0;
        for id in round {
            if self.has_failed() {
                return false;
            }
            if work >= ROUND_WORK {
                break;
            }
            self.served_last = id;
            match self.serve_session(id, now.wall, store) {
                Ok(done) => work += done,
                Err(error) => self.fail(error),
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

    /// Serves one session for its turn. Gives the work done, in bytes.
    fn serve_session(&mut self, id: SessionId, now: Timestamp, store: &dyn RelayStore) -> Result<usize, StoreError> {
        self.flush(id);
        self.dirty.remove(&id);
        let mut work = 0;
        while work < TURN_WORK && self.can_be_served(id) {
            work += self.serve_page(id, now, store)?.max(PAGE_WORK);
        }
        self.consider(id);
        Ok(work)
    }

    /// Serves one page of the first lane that has something. Gives the work done, in bytes.
    fn serve_page(&mut self, id: SessionId, now: Timestamp, store: &dyn RelayStore) -> Result<usize, StoreError> {
        let end = self.end(store)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        let (policy, content) = (open.stream.policy, open.stream.content);
        if !open.stream.live && policy < end {
            return self.serve_policy(id, policy, end, now, store);
        }
        if !open.is_member() {
            // No chunk is for whoever belongs nowhere: none is looked at.
            open.stream.content = open.stream.content.max(end);
        } else if !open.stream.live && content < end {
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
        Ok(page.work)
    }

    fn serve_content(
        &mut self,
        id: SessionId,
        after: Position,
        end: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<usize, StoreError> {
        let upto = end.min(Position(after.0.saturating_add(CONTENT_SPAN)));
        let heads = store.heads(Scope::Content, after, upto, PAGE)?;
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(0) };
        let view = self.chains.view(store);
        let page = read_content(&view, open, &heads, upto, now)?;
        let page = view.finish(page)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(0) };
        open.stream.content = page.cursor;
        let cursor = open.cursor(page.cursor, open.stream.given.1);
        if !page.chunks.is_empty() {
            self.send_stream(id, &Down::Content { chunks: page.chunks, cursor });
        }
        Ok(page.work)
    }
}

/// What a page of the log holds for a device.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: Vec<PolicyEntry>,
    pub(super) chunks: Vec<Chunk>,
    /// Everything up to here was looked at.
    pub(super) cursor: Position,
    /// Leaves looked at of the frontier that stands next.
    pub(super) within: usize,
    /// Bytes of what it holds.
    bytes: usize,
    /// What it took to read it, in bytes: those of what it holds, and what was looked at in vain.
    pub(super) work: usize,
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
    page.work += visible.len() * LOOK_WORK;
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

/// Reads one page of a chain's past for a device that asks for it.
pub(super) fn read_chain(
    view: &View<'_>,
    open: &Open,
    backfill: &Backfill,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let Backfill { chain, after, upto, within, has_leaves } = *backfill;
    let mut sight = Sight::asked(view, open, now);
    if !sight.sees_any(&chain)? {
        return Ok(Page { cursor: upto, ..Page::default() });
    }
    // Whoever does not read a document has no chunk of it looked at.
    let scope = if sight.reads(&chain) { Scope::Chain(chain) } else { Scope::ChainPolicy(chain) };
    let heads = view.store().heads(scope, after, upto, PAGE)?;
    let leaves = if has_leaves || !sight.sees_chain(&chain) { Vec::new() } else { read_leaves(view, &chain, upto)? };
    let mut page = read_page(view, open, &heads, (upto, within), sight, |_| true)?;
    page.work += leaves.iter().map(size_of_entry).sum::<usize>();
    page.entries.splice(0..0, leaves);
    Ok(page)
}

/// Reads what the removals up to `upto` say of places in a document.
fn read_leaves(view: &View<'_>, document: &ChainId, upto: Position) -> Result<Vec<PolicyEntry>, StoreError> {
    let mut entries = Vec::new();
    for position in view.store().frontiers_naming(document)? {
        if position <= upto {
            let leaves = view.frontier(position)?.ok_or(StoreError::Damaged { table: "log" })?;
            entries.extend(leaves.entries_in(document));
        }
    }
    Ok(entries)
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
    let mut page = Page { work: heads.len() * LOOK_WORK, ..Page::default() };
    for head in heads {
        if page.bytes >= FRAME_BYTES {
            return Ok(page);
        }
        // It counts for the first alone.
        let within = std::mem::take(&mut within);
        if wanted(head) && sight.sees(head)? {
            let rest = page.read(view, open, &sight, head, within)?;
            if let Some(rest) = rest {
                page.cursor = Position(head.position.0.saturating_sub(1));
                page.within = rest;
                return Ok(page);
            }
        }
        page.cursor = head.position;
    }
    if heads.len() < PAGE {
        page.cursor = end;
    }
    Ok(page)
}

impl Page {
    /// Reads an entry that is for the device, of a frontier the leaves beyond those `within`. Gives with how many of them to
    /// go on; `None` where nothing is left.
    fn read(
        &mut self,
        view: &View<'_>,
        open: &Open,
        sight: &Sight<'_, '_>,
        head: &Head,
        within: usize,
    ) -> Result<Option<usize>, StoreError> {
        if matches!(head.about, About::Frontier { .. }) {
            let leaves = view.frontier(head.position)?.ok_or(StoreError::Damaged { table: "log" })?;
            let (entries, rest) = sight.leaves(&leaves, within);
            self.count(LEAVES_WORK + entries.iter().map(size_of_entry).sum::<usize>());
            self.entries.extend(entries);
            return Ok(rest);
        }
        self.count(head.bytes);
        match view.store().entry(head.position)? {
            Some(Entry::Op { op, receipt }) => self.entries.push(PolicyEntry::Op { op, receipt }),
            Some(Entry::Wrap { chain, op, wrap, proof }) => {
                self.entries.push(PolicyEntry::Wrap { chain, op, wrap, proof });
            }
            Some(Entry::Chunk(chunk)) => self.chunks.push(chunk),
            Some(Entry::Review { chunk, received }) => self.entries.push(PolicyEntry::Review { chunk, received }),
            Some(Entry::ReviewDocument { create, wraps, received }) => {
                self.entries.push(document_entry(open, create, wraps, received));
            }
            Some(Entry::Frontier { .. }) | None => return Err(StoreError::Damaged { table: "log" }),
        }
        Ok(None)
    }

    const fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.work += bytes;
    }
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
