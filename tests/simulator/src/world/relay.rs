//! The relay's process.

use std::time::Duration;

use vereda_base::{Monotonic, Now, Timestamp};
use vereda_protocol::Chunk;
use vereda_sync::relay::{
    Effect, Input, RelayConfig, RelayMachine, RelayStore, founding_digest,
    store::{Entry, Founding},
};

use super::{Happening, START_MS, World, note};
use crate::{
    breach::Checker,
    mutation::Mutation,
    network::{ConnectionId, Parcel},
};

impl World {
    pub(crate) const fn relay_now(&self) -> Now {
        let wall = Timestamp(START_MS.saturating_add_unsigned(self.now));
        Now { monotonic: Monotonic(Duration::from_millis(self.now)), wall }
    }

    /// The relay's process starts over what its disk holds.
    pub(super) fn begin_relay(&mut self) {
        let secret = founding_digest(&self.founding);
        let mut config = RelayConfig::default();
        if self.plan.seed.is_multiple_of(3) {
            // Slow readers fall back to being served from the log.
            config.max_unwritten_bytes = 2 << 10;
        }
        let disk = &mut self.relay_disk;
        let known = disk.founding(&secret);
        if known == Ok(None) && disk.set_founding(&secret, &Founding::Open).and_then(|()| disk.commit()).is_err() {
            self.after(200, Happening::RelayBoots(self.acting));
            return;
        }
        match RelayMachine::open(self.relay_key.clone(), config, disk, self.relay_draw.rng()) {
            Ok(machine) => {
                self.relay = Some(machine);
                note!(self, "the relay starts");
            }
            Err(_) => {
                self.relay_disk.crash();
                self.after(200, Happening::RelayBoots(self.acting));
            }
        }
    }

    /// The relay's process dies, and comes back later.
    pub(crate) fn crash_relay(&mut self) {
        if self.relay.take().is_none() {
            return;
        }
        self.counts.crashes += 1;
        self.relay_disk.crash();
        note!(self, "the relay dies, {} entries were committed", self.model.log.len());
        self.relay_alarm = None;
        for id in self.network.ids() {
            let keep = self.draw.index(3);
            let notices = self.draw.chance(800);
            let acting = self.acting;
            let Some(connection) = self.network.get(id).filter(|connection| connection.branch == acting) else {
                continue;
            };
            connection.session = None;
            connection.is_broken = true;
            connection.up.clear();
            connection.down.truncate(keep);
            let at = self.now.max(connection.down_due) + 1;
            if notices {
                self.at(at, Happening::ClosesAtDevice(id));
            }
        }
        self.network.forget_ended();
        crate::check::agreement::check_relay_kept(self);
        let pause = self.draw.between(100, 30_000);
        self.after(pause, Happening::RelayBoots(self.acting));
    }

    /// Hands the relay an input; it commits now or with those that follow.
    pub(crate) fn relay_input(&mut self, input: Input) {
        let mut now = self.relay_now();
        now.wall = Timestamp(now.wall.0.saturating_sub_unsigned(self.crook.dates_back_ms));
        let Some(machine) = &mut self.relay else { return };
        machine.handle_input(now, input, &mut self.relay_disk, self.relay_draw.rng());
        if self.is_commit_due {
            return;
        }
        if self.draw.chance(400) {
            self.is_commit_due = true;
            let delay = self.draw.between(1, 25);
            self.after(delay, Happening::RelayCommits(self.acting));
        } else {
            self.commit_relay();
        }
    }

    pub(super) fn commit_relay(&mut self) {
        let now = self.relay_now();
        let Some(machine) = &mut self.relay else { return };
        let more = machine.serve(now, &self.relay_disk);
        let committed = machine.commit(&mut self.relay_disk);
        if self.relay_disk.is_dead() {
            // A commit may have been written whose effects nobody will see.
            self.relay_disk.crash();
            self.note_log();
            self.crash_relay();
            return;
        }
        match &committed.failure {
            None => self.note_log(),
            Some(error) => {
                self.counts.full_disks += 1;
                note!(self, "the relay's commit failed: {error}");
            }
        }
        for effect in committed.effects {
            match effect {
                Effect::Send(session, frame) => self.send_down(session, Parcel::Frame(frame)),
                Effect::Close(session) => self.send_down(session, Parcel::End),
            }
        }
        if more && !self.is_commit_due {
            self.is_commit_due = true;
            self.after(1, Happening::RelayCommits(self.acting));
        }
        self.set_relay_alarm();
    }

    /// Takes over what the relay committed.
    fn note_log(&mut self) {
        let (before, now) = (self.model.log.len(), self.relay_now().wall);
        self.model.note_log(&self.relay_disk, now);
        self.note_removals(before);
        for entry in self.model.log.iter().skip(before).flatten() {
            if let Entry::Op { op, receipt } = entry
                && let (Ok(op), Ok(receipt)) = (op.clone().verify(), receipt.clone().verify())
            {
                let (op, receipt) = (op.value(), receipt.value());
                note!(self, "the relay appends {} to {} at {}", op.body.code(), receipt.chain, receipt.seq);
            }
        }
    }

    fn set_relay_alarm(&mut self) {
        let due = self.relay.as_ref().and_then(RelayMachine::poll_timeout);
        let Some(due) = due.and_then(|(at, _)| u64::try_from(at.0.as_millis()).ok()) else { return };
        if self.relay_alarm.is_none_or(|alarm| alarm > due || alarm <= self.now) {
            self.relay_alarm = Some(due);
            self.at(due.max(self.now + 1), Happening::WakesRelay(self.acting));
        }
    }

    pub(super) fn wake_relay(&mut self) {
        self.relay_alarm = None;
        if self.relay.is_some() {
            self.relay_input(Input::Timeout);
        }
    }

    /// Chunks of cases that a connection's device may not read, for the mutation that filters nothing.
    pub(super) fn chunks_not_for(&mut self, id: ConnectionId) -> Vec<Chunk> {
        if self.plan.mutation != Some(Mutation::ContentFilterOff) {
            return Vec::new();
        }
        let Some(who) = self.network.get(id).map(|connection| connection.who) else { return Vec::new() };
        let Some(device) = self.people.get(who).and_then(|person| person.id) else { return Vec::new() };
        let foreign = self.model.cases().into_iter().filter(|case| !self.model.ever_read(case, &device));
        let chunks = foreign.filter_map(|case| self.model.chunks.get(&case)).flatten();
        chunks.take(2).map(|logged| logged.chunk.clone()).collect()
    }

    /// Checks that what a device is told to be durable was committed.
    pub(crate) fn note_promise(&mut self, document: vereda_base::ChainId, link: vereda_base::Link) {
        if self.plan.malice.is_some() {
            // What such a relay says is worth nothing.
            return;
        }
        if !self.model.links.contains(&link) {
            self.breach(Checker::Agreement, format!("chunk {link} was acknowledged and is not committed at the relay"));
        }
        self.model.promised.insert((document, link));
    }
}
