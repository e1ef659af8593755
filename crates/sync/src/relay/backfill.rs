//! Backfills: what a device asks for of one chain's past.

use vereda_base::{ChainId, Timestamp};
use vereda_protocol::{Down, Goodbye, Position};

use super::{
    machine::RelayMachine,
    serve::{read_chain, split_frame},
    session::{Backfill, Session, SessionId},
    sight::Sight,
    store::{RelayStore, StoreError},
};

impl RelayMachine {
    /// Takes up that a device asks for what a chain holds beyond `after` up to `upto`. Where nothing of it can be for the
    /// device it is told so at once: nobody has the relay look through what he does not see.
    pub(super) fn take_backfill(
        &mut self,
        now: Timestamp,
        id: SessionId,
        (chain, after, upto): (ChainId, Position, Position),
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let upto = upto.min(self.end(store)?);
        let max = self.config.max_backfills;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(()) };
        let waiting = &mut open.stream.backfills;
        // A device asks for one after the other.
        if waiting.len() >= max || waiting.iter().any(|waits| waits.chain == chain) {
            self.end_session(id, Goodbye::Violation);
            return Ok(());
        }
        waiting.push_back(Backfill { chain, after, upto, has_leaves: false, within: 0 });
        let view = self.chains.view(store);
        let sees_any = Sight::asked(&view, open, now).sees_any(&chain)?;
        if !view.finish(sees_any)? {
            open.stream.backfills.pop_back();
            let (entries, chunks) = (Vec::new(), Vec::new());
            self.send_stream(id, &Down::BackfillPart { document: chain, entries, chunks, cursor: upto });
        }
        self.consider(id);
        Ok(())
    }

    /// Serves one page of the backfill that waits first. Gives the work done, in bytes.
    pub(super) fn serve_backfill(
        &mut self,
        id: SessionId,
        backfill: Backfill,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<usize, StoreError> {
        let Backfill { chain, after, upto, .. } = backfill;
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(0) };
        let view = self.chains.view(store);
        let page = read_chain(&view, open, &backfill, now)?;
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
        Ok(page.work)
    }
}
