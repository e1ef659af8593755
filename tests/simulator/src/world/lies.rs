//! A relay that lies: what devices hear of it in place of what an honest one would say.

use std::collections::BTreeSet;

use vereda_base::{ChainId, OpId, decode};
use vereda_policy::{Body, LeafAnswer, Op, WrappedKey, chain_of, op_id_of_bytes};
use vereda_protocol::{ChunkOutcome, Down, Header, Leaves, PolicyEntry, Position, Up};
use vereda_sync::{
    device::{Event, tables},
    relay::store::Entry,
};

use super::{
    Happening, World,
    crook::{Smuggled, Withholding},
    note,
};
use crate::{
    check::rows,
    knowledge::{Readers, Sealing},
    malice::Malice,
    model::ledger::AsOf,
    network::ConnectionId,
};

const MAX_BYTES: usize = 1 << 20;
/// Entries handed over in one frame, of those that were held back.
const AT_ONCE: usize = 64;

impl World {
    fn is(&self, malice: Malice) -> bool {
        self.plan.malice == Some(malice)
    }

    /// Forks, meets, saves a disk or goes back to one, where the relay is of that kind.
    pub(super) fn lie(&mut self) {
        if self.is_calm {
            return;
        }
        let pause = self.crook.draw.between(500, 4_000);
        self.after(pause, Happening::Lie);
        let done = self.plan.actions - self.actions;
        if done < self.plan.actions / 4 || !self.crook.draw.chance(250) {
            return;
        }
        match self.plan.malice {
            Some(Malice::Forks | Malice::Parts) => self.fork_or_meet(),
            Some(Malice::RollsBack) => self.save_or_go_back(),
            Some(Malice::Severs) => self.sever_or_not(),
            // Only so is there somebody to go on with.
            Some(Malice::BackDates) if self.plan.is_wide && self.crook.accomplices.is_empty() => self.have_put_out(0),
            _ => {}
        }
    }

    /// Has frontiers leave places out from here on, or not, and receipts dated back.
    fn sever_or_not(&mut self) {
        let draw = &mut self.crook.draw;
        let leaves_out = if draw.chance(700) { draw.between(1, 2) } else { 0 };
        self.crook.dates_back_ms = if draw.chance(500) { draw.between(1_000, 60_000) } else { 0 };
        note!(self, "the relay severs: {leaves_out}, dating back by {} ms", self.crook.dates_back_ms);
        self.relay_disk.leave_out(leaves_out);
    }

    fn fork_or_meet(&mut self) {
        if self.other.is_some() {
            let survivor = u8::from(self.crook.draw.chance(400));
            if self.crook.draw.chance(300) {
                self.meet(survivor);
            }
            return;
        }
        let all = self.people.len();
        let mut second: Vec<usize> = (0..all).filter(|_| self.crook.draw.chance(500)).collect();
        if self.is(Malice::Parts) {
            let twins: Vec<usize> = (0..all).filter(|who| self.owner_of(*who) != *who).collect();
            let Some(twin) = self.crook.draw.pick(&twins).copied() else { return };
            let owner = self.owner_of(twin);
            second.retain(|who| *who != owner && *who != twin);
            second.push(twin);
        }
        if !self.crook.is_done && !second.is_empty() && second.len() < all && self.fork(&second) {
            self.crook.is_done = true;
            self.counts.lies += 1;
        }
    }

    fn save_or_go_back(&mut self) {
        let Some((disk, model)) = self.crook.saved.take() else {
            if !self.crook.is_done && !self.is_commit_due {
                let copied = self.relay_disk.copy().filter(|_| self.relay.is_some());
                self.crook.saved = copied.map(|disk| (disk, self.model.clone()));
            }
            return;
        };
        let grown = self.model.log.len() - model.log.len();
        if grown < 4 || self.relay.is_none() {
            self.crook.saved = Some((disk, model));
            return;
        }
        self.crook.is_done = true;
        self.counts.lies += 1;
        self.roll_back(disk, model);
    }

    /// The lies end, where they do: everybody is handed what was held back.
    pub(super) fn end_lies(&mut self) {
        let survivor = u8::from(self.crook.draw.chance(400));
        self.meet(survivor);
        self.crook.is_over = self.crook.ends;
        self.crook.dates_back_ms = 0;
        self.relay_disk.leave_out(0);
        // Every device is to catch up once more: some of what speaks against a relay shows then.
        for who in 0..self.people.len() {
            self.drop_connection(who);
        }
    }

    /// Notes what the relay committed: who reads what, and who was put out.
    pub(super) fn note_removals(&mut self, before: usize) {
        if self.plan.malice.is_none() {
            return;
        }
        let ops: Vec<Op> = self.model.log.iter().skip(before).flatten().filter_map(op_of_entry).collect();
        if ops.is_empty() {
            return;
        }
        let documents: Vec<ChainId> = self.model.documents.keys().copied().collect();
        for document in &documents {
            for group in self.model.ledger.holders(document) {
                self.crook.last_held_ms.insert((*document, group), self.now);
            }
        }
        let groups: Vec<ChainId> = self.model.ledger.groups().collect();
        for chain in documents.into_iter().chain(groups) {
            for device in self.model.ledger.readers(&chain, AsOf::Ever).into_keys() {
                self.crook.last_read_ms.insert((chain, device), self.now);
            }
        }
        if self.is(Malice::BackDates) && ops.iter().any(|op| is_removal(&op.body)) {
            self.find_accomplices();
        }
    }

    /// Whoever was put out altogether may go on with the relay's help.
    fn find_accomplices(&mut self) {
        for who in 1..self.people.len() {
            if self.crook.accomplices.len() < 2
                && !self.crook.accomplices.contains(&who)
                && self.is_out(who)
                && self.people.get(who).is_some_and(|person| person.device.is_some())
                && self.crook.draw.chance(900)
            {
                note!(self, "person {who} and the relay go on together");
                self.crook.accomplices.insert(who);
                let is_wide = self.plan.is_wide;
                if let Some(person) = self.people.get_mut(who) {
                    // Whoever is away comes back at once.
                    person.offline_for = person.offline_for.min(u32::from(is_wide));
                }
            }
        }
    }

    /// Passes a frame of the relay: as it is, otherwise, several or none.
    pub(super) fn lie_down(&mut self, id: ConnectionId, frame: Vec<u8>) -> Vec<Vec<u8>> {
        if self.plan.malice.is_none() {
            return vec![frame];
        }
        let Some(connection) = self.network.get(id) else { return Vec::new() };
        let who = connection.who;
        let Some(message) = connection.proxy.read_down(&frame) else { return vec![frame] };
        let mut messages = Vec::new();
        if matches!(message, Down::Policy { .. } | Down::Content { .. } | Down::CaughtUp { .. }) {
            self.hand_over_late(who, &mut messages);
            self.smuggle(who, id, &mut messages);
        }
        messages.extend(self.twist(who, message));
        let Some(connection) = self.network.get(id) else { return Vec::new() };
        messages.iter().filter_map(|message| connection.proxy.write_down(message)).collect()
    }

    /// Hands over what was held back, once its time has come.
    fn hand_over_late(&mut self, who: usize, messages: &mut Vec<Down>) {
        let now = self.now;
        let crook = &mut self.crook;
        let is_due =
            crook.is_over || crook.withheld.values().filter(|one| one.from.contains(&who)).all(|one| one.until <= now);
        if !is_due {
            return;
        }
        let Some(kept) = crook.kept.remove(&who) else { return };
        crook.lacking.retain(|(lacks, _)| *lacks != who);
        for entries in kept.chunks(AT_ONCE) {
            messages.push(Down::Policy { entries: entries.to_vec(), cursor: Position(0) });
        }
        note!(self, "device {who} is handed {} entries that were held back", kept.len());
    }

    /// Hands on what accomplices wrote, once a connection.
    fn smuggle(&mut self, who: usize, id: ConnectionId, messages: &mut Vec<Down>) {
        if self.crook.accomplices.contains(&who) {
            return;
        }
        let Some(device) = self.people.get(who).and_then(|person| person.id) else { return };
        let mut chunks = Vec::new();
        for link in self.crook.order.clone() {
            let Some(smuggled) = self.crook.smuggled.get(&link) else { continue };
            let header = &smuggled.header;
            if header.device == device || !self.reads(who, &header.document) {
                continue;
            }
            if self.crook.told.insert((who, id.0, link)) {
                chunks.push(smuggled.chunk.clone());
            }
        }
        if !chunks.is_empty() {
            self.counts.lies += chunks.len() as u64;
            messages.push(Down::Content { chunks, cursor: Position(0) });
        }
    }

    /// Changes what the relay says to a device.
    fn twist(&mut self, who: usize, message: Down) -> Option<Down> {
        if self.crook.is_over {
            return Some(message);
        }
        let is_accomplice = self.crook.accomplices.contains(&who);
        match message {
            Down::Policy { .. } | Down::Content { .. } if is_accomplice => None,
            Down::Policy { entries, cursor } => {
                let entries = self.twist_entries(who, entries);
                (!entries.is_empty()).then_some(Down::Policy { entries, cursor })
            }
            Down::BackfillPart { document, entries, chunks, cursor } => {
                let entries = if is_accomplice { Vec::new() } else { self.twist_entries(who, entries) };
                Some(Down::BackfillPart { document, entries, chunks, cursor })
            }
            Down::Leaves { chain, removal, mut answers } if self.is(Malice::Falsifies) => {
                if self.crook.draw.chance(300) {
                    self.counts.lies += 1;
                    for (_, answer) in &mut answers {
                        if let LeafAnswer::Present(proven) = answer {
                            proven.leaf.seq += 1;
                        }
                    }
                }
                Some(Down::Leaves { chain, removal, answers })
            }
            message => Some(message),
        }
    }

    fn twist_entries(&mut self, who: usize, entries: Vec<PolicyEntry>) -> Vec<PolicyEntry> {
        let mut passed = Vec::new();
        for entry in entries {
            let is_kept_back = match self.plan.malice {
                Some(Malice::Withholds) => self.withholds(who, &entry),
                Some(Malice::BackDates) => self.withholds(who, &entry),
                Some(Malice::Falsifies) => self.withholds_part(who, &entry),
                _ => false,
            };
            if is_kept_back {
                self.counts.lies += 1;
                self.crook.kept.entry(who).or_default().push(entry);
            } else {
                passed.push(self.falsify(entry));
            }
        }
        passed
    }

    /// Says whether an entry is withheld from a device; decides on removals that are seen for the first time.
    fn withholds(&mut self, who: usize, entry: &PolicyEntry) -> bool {
        let (op, id) = match entry {
            PolicyEntry::Op { op, .. } => match decode::<Op>(op.bytes(), MAX_BYTES) {
                Ok(body) => (body, op_id_of_bytes(op.bytes())),
                Err(_) => return false,
            },
            PolicyEntry::Frontier { removal: op, .. } | PolicyEntry::Wrap { op, .. } => {
                return self.crook.lacking.contains(&(who, *op));
            }
            _ => return false,
        };
        let chain = chain_of(&op);
        if is_removal(&op.body) && !self.crook.withheld.contains_key(&id) {
            self.decide_on(id, chain, &op);
        }
        let now = self.now;
        let concerns = |one: &Withholding| {
            one.from.contains(&who)
                && one.until > now
                && one.chain == chain
                && (one.seq == op.seq || (one.is_tail && one.seq < op.seq))
        };
        // What follows something that is held back comes with it, if it is held back for its sake.
        let is_withheld = self.crook.withheld.values().any(concerns);
        if is_withheld {
            self.crook.lacking.insert((who, id));
        }
        is_withheld
    }

    fn decide_on(&mut self, id: OpId, chain: ChainId, op: &Op) {
        let now = self.now;
        let author = self.people.iter().position(|person| person.id == Some(op.device));
        // Whoever is not to know of it builds on what is back-dated.
        let is_told_late = self.is(Malice::BackDates) && self.plan.is_wide;
        let most = if self.is(Malice::BackDates) { 750 } else { 500 };
        let draw = &mut self.crook.draw;
        let takes_part = draw.chance(if is_told_late { 1_000 } else { 800 });
        let mut from: BTreeSet<usize> = (0..self.people.len()).filter(|_| draw.chance(most)).collect();
        from.retain(|who| Some(*who) != author && takes_part);
        let is_for_good = draw.chance(350) && self.plan.malice == Some(Malice::Withholds);
        let until = if is_for_good { u64::MAX } else { now + draw.between(2_000, 90_000) };
        let is_tail = draw.chance(500);
        if !from.is_empty() {
            note!(self, "the relay withholds {} in {chain} at {} from {from:?}", op.body.code(), op.seq);
        }
        self.crook.withheld.insert(id, Withholding { chain, seq: op.seq, from, until, is_tail });
    }

    /// Says whether a wrap or leaves are withheld.
    fn withholds_part(&mut self, _who: usize, entry: &PolicyEntry) -> bool {
        matches!(entry, PolicyEntry::Wrap { .. } | PolicyEntry::Frontier { .. }) && self.crook.draw.chance(80)
    }

    /// Swaps a wrap, or says of a place what its frontier does not.
    fn falsify(&mut self, entry: PolicyEntry) -> PolicyEntry {
        if !self.is(Malice::Falsifies) || !self.crook.draw.chance(60) {
            return entry;
        }
        match entry {
            PolicyEntry::Wrap { chain, op, mut wrap, proof } => {
                self.counts.lies += 1;
                let (WrappedKey::Hpke(bytes) | WrappedKey::Group(bytes)) = &mut wrap.key;
                if let Some(byte) = bytes.first_mut() {
                    *byte ^= 1;
                }
                PolicyEntry::Wrap { chain, op, wrap, proof }
            }
            PolicyEntry::Frontier { chain, removal, leaves } => {
                self.counts.lies += 1;
                let leaves = match leaves {
                    Leaves::All(mut leaves) => {
                        if leaves.pop().is_none() {
                            return PolicyEntry::Frontier { chain, removal, leaves: Leaves::All(leaves) };
                        }
                        Leaves::All(leaves)
                    }
                    Leaves::Some(mut leaves) => {
                        if let Some(proven) = leaves.first_mut() {
                            proven.leaf.seq += 1;
                        }
                        Leaves::Some(leaves)
                    }
                    Leaves::Range(mut range) => {
                        range.leaves.pop();
                        Leaves::Range(range)
                    }
                };
                PolicyEntry::Frontier { chain, removal, leaves }
            }
            entry => entry,
        }
    }

    /// Passes a frame of a device to the relay, or keeps it from its honest part.
    pub(super) fn lie_up(&mut self, who: usize, id: ConnectionId, frame: Vec<u8>) -> Option<Vec<u8>> {
        if self.plan.malice.is_none() {
            return Some(frame);
        }
        let connection = self.network.get(id)?;
        let Some(message) = connection.proxy.read_up(&frame) else { return Some(frame) };
        let is_accomplice = self.crook.accomplices.contains(&who);
        let taken = match &message {
            Up::PutChunk(chunk) => {
                let header = decode::<Header>(chunk.header.bytes(), MAX_BYTES).ok();
                header.filter(|header| is_accomplice || self.crook.is_tainted(header)).map(|header| (header, chunk))
            }
            _ => None,
        };
        if let Some((header, chunk)) = taken {
            let link = header.link();
            if !self.crook.smuggled.contains_key(&link) {
                note!(self, "the relay takes chunk {} of device {who} in {} in", header.seq, header.document);
                self.crook.order.push(link);
            }
            self.crook.smuggled.insert(link, Smuggled { header, chunk: chunk.clone() });
            let answer = Down::ChunkResult { link, outcome: ChunkOutcome::Durable };
            let connection = self.network.get(id)?;
            let answer = connection.proxy.write_down(&answer)?;
            self.send_parcel(id, crate::network::Parcel::Frame(answer), Some(0));
            return None;
        }
        if is_accomplice && matches!(message, Up::PutOp { .. }) {
            return None;
        }
        let message = match message {
            // It claims to have in its log what it made up.
            Up::Pull { policy, content, .. } if self.is(Malice::BackDates) => {
                Up::Pull { policy, content, lasts: vec![] }
            }
            message => message,
        };
        self.network.get(id)?.proxy.write_up(&message)
    }

    /// Takes over what a device sealed, and what it knew before.
    pub(super) fn note_sealings(&mut self, who: usize) {
        if self.plan.malice.is_none() {
            return;
        }
        let Some(person) = self.people.get_mut(who) else { return };
        let noted = person.hand.take_noted();
        let Some(id) = person.id else { return };
        let own: Vec<Header> = noted.headers.into_iter().filter(|header| header.device == id).collect();
        let before: Vec<_> = own.iter().map(|header| person.knowledge.readers(&header.document)).collect();
        if !person.knowledge.take(&noted.ops)
            && let Some(device) = &person.device
        {
            let disk = device.store();
            let chains = rows::list(disk, tables::CHAINS, None);
            let chains = chains.into_iter().filter_map(|(key, _)| key.try_into().ok().map(ChainId));
            person.knowledge.rebuild(chains.map(|chain| rows::ops(disk, &chain)).collect());
        }
        for (header, before) in own.into_iter().zip(before) {
            let document = header.document;
            let known = before.or_else(|| self.people.get(who)?.knowledge.readers(&document));
            let now = self.people.get(who).and_then(|person| person.knowledge.readers(&document));
            let writes = self.people.get(who).and_then(|person| person.knowledge.writes(&id, &document));
            let is_late = writes == Some(false);
            let mut readers = known.unwrap_or_default();
            // Who was let in by what came in the same moment reads what was sealed in it.
            readers.extend(now.unwrap_or_default());
            readers.extend(Readers::of(&self.model.ledger, &document));
            let commitment = self.model.epoch(&document, header.epoch).map(|epoch| epoch.commitment);
            let person = self.people.get(who);
            let known = person.map(|person| person.knowledge.ever_readers(&document)).unwrap_or_default();
            let known_groups = person.map(|person| person.knowledge.ever_holders(&document)).unwrap_or_default();
            let at_ms = self.now;
            self.sealings.push(Sealing { who, header, at_ms, readers, is_late, commitment, known, known_groups });
        }
    }

    /// Notes what a device says where the relay lies.
    pub(super) fn note_event_under_lies(&mut self, who: usize, event: &Event) {
        let said = match event {
            Event::Quarantined { .. } => "quarantined",
            Event::OpQuarantined { .. } => "operation quarantined",
            Event::Excluded { .. } => "excluded",
            Event::OpVoid { .. } => "void",
            Event::RelayForked { .. } => "forked",
            Event::RelayWithholds { .. } => "withholds",
            Event::RelaySevers { .. } => "severs",
            Event::StoreRestored { .. } => "store restored",
            Event::Disconnected { .. } => "disconnected",
            Event::ChunkInReview { .. } => {
                self.counts.reviewed += 1;
                "in review"
            }
            Event::ChunkRefused { .. }
            | Event::OpRefused { .. }
            | Event::IntentFailed { .. }
            | Event::Remake { .. } => "refused",
            _ => return,
        };
        self.crook.events.entry(who).or_default().insert(said);
        note!(self, "device {who} was told {event:?}");
    }
}

fn op_of_entry(entry: &Entry) -> Option<Op> {
    match entry {
        Entry::Op { op, .. } => decode(op.bytes(), MAX_BYTES).ok(),
        _ => None,
    }
}

/// Says whether an operation is a removal.
pub(crate) const fn is_removal(body: &Body) -> bool {
    matches!(body, Body::RemoveDevice(_) | Body::Revoke(_) | Body::Assign(_) | Body::Expire(_))
}
