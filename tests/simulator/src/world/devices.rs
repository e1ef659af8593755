//! The devices' processes, driven as the native driver drives them.

use std::time::Duration;

use vereda_base::{ChainId, Incarnation, Monotonic, Now, Timestamp};
use vereda_client_core::device::{Ambient, Device, DeviceError};
use vereda_protocol::{Goodbye, RefusalCode};
use vereda_sync::device::{Disconnect, Effect, Event, Input, IntentFailure};

use super::{Entry, Happening, Person, START_MS, World, note};
use crate::{
    breach::Checker,
    disk::{Disk, Hand},
    draw::Draw,
    knowledge::Knowledge,
};

/// Rounds of work after one input, beyond which a device is taken to spin.
const MAX_ROUNDS: usize = 500;

impl World {
    pub(super) fn add_person(&mut self, who: usize) {
        let mut draw = Draw::new(self.plan.seed, 16 + who as u64);
        let incarnation = Incarnation(rand_core::Rng::next_u64(draw.rng()));
        let arrives = match who {
            0..=1 => 0,
            _ if self.draw.chance(400) => u32::try_from(self.draw.below(u64::from(self.plan.actions))).unwrap_or(0),
            _ => 0,
        };
        let hand = Hand::new(incarnation);
        if self.plan.malice.is_some() {
            hand.watch();
        }
        self.people.push(Person {
            device: None,
            hand,
            id: None,
            of: None,
            is_replaced: false,
            made: std::collections::BTreeSet::new(),
            team: who % 2,
            entry: if who == 0 { Entry::Founder(0) } else { Entry::Stranger },
            arrives,
            connection: None,
            alarm: 0,
            booted_at: 0,
            clock_error: 0,
            draw,
            offline_for: 0,
            wraps_sent: std::collections::BTreeSet::new(),
            last_written: None,
            put_off: Vec::new(),
            branch: self.acting,
            knowledge: Knowledge::default(),
        });
        self.boot(who);
        self.after(50 + who as u64, Happening::Act(who));
    }

    /// A device's process starts over what its disk holds.
    pub(super) fn boot(&mut self, who: usize) {
        let (now, mutation) = (self.now, self.plan.mutation);
        let Some(person) = self.people.get_mut(who).filter(|person| person.device.is_none()) else { return };
        let disk = person.hand.start(mutation);
        person.booted_at = now;
        person.alarm += 1;
        let at = person.now(now);
        let opened = Device::open(disk, &mut Ambient { now: at, rng: person.draw.rng() });
        match opened {
            Ok(device) => {
                let id = device.id();
                person.id = Some(id);
                let wants_online = device.home().is_some() && person.offline_for == 0;
                person.device = Some(device);
                note!(self, "device {who} starts");
                if self.plan.malice.is_none() {
                    crate::check::cursors::check_device(self, who);
                }
                if wants_online {
                    self.call(who, |device, ambient| device.go_online(ambient));
                }
                self.carry_out(who);
            }
            Err(DeviceError::Store(error)) => {
                note!(self, "device {who} does not open: {error}");
                self.after(300, Happening::Boots(who));
            }
            Err(error) => self.breach(Checker::Honesty, format!("device {who} does not open: {error}")),
        }
    }

    /// Calls a device; `None` where it is off or dies of it after the call failed.
    pub(crate) fn call<T>(
        &mut self,
        who: usize,
        call: impl FnOnce(&mut Device<Disk>, &mut Ambient<'_>) -> T,
    ) -> Option<T> {
        let now = self.now;
        let person = self.people.get_mut(who)?;
        let at = person.now(now);
        let device = person.device.as_mut()?;
        let answer = call(device, &mut Ambient { now: at, rng: person.draw.rng() });
        if person.hand.is_dead() {
            self.bury(who);
        }
        Some(answer)
    }

    /// A device's process dies, and comes back later.
    pub(crate) fn bury(&mut self, who: usize) {
        let Some(person) = self.people.get_mut(who) else { return };
        let Some(device) = person.device.take() else { return };
        drop(device);
        self.counts.crashes += 1;
        note!(self, "device {who} dies");
        self.note_stored(who);
        self.abandon(who);
        let pause = if self.is_calm { 100 } else { self.draw.between(100, 40_000) };
        self.after(pause, Happening::Boots(who));
    }

    /// Takes over what a device's disk made durable.
    pub(crate) fn note_stored(&mut self, who: usize) -> Vec<crate::disk::StoredEdit> {
        let Some(person) = self.people.get_mut(who) else { return Vec::new() };
        let stored = person.hand.take_stored();
        if let Some(edit) = stored.last() {
            person.last_written = Some(edit.bytes.clone());
        }
        self.model.note_durable(who, &stored);
        self.note_sealings(who);
        stored
    }

    /// Hands inputs to a device before one commit, then does what follows.
    pub(crate) fn device_inputs(&mut self, who: usize, inputs: Vec<Input>) {
        let handled = self.call(who, |device, ambient| {
            for input in inputs {
                device.handle(ambient, input)?;
            }
            device.commit()
        });
        if let Some(Err(error)) = handled {
            self.note_failure(who, &error);
        }
        self.carry_out(who);
    }

    /// Carries out what a device asked for and lets it work, until nothing is left to do.
    pub(crate) fn carry_out(&mut self, who: usize) {
        for round in 0.. {
            let worked = self.call(who, |device, ambient| {
                let renewed = device.renew_if_restored(ambient);
                let step = renewed.and_then(|renewed| Ok((renewed, device.work(ambient)?)));
                (device.take_effects(), step)
            });
            let Some((effects, step)) = worked else { return };
            self.note_stored(who);
            if self.people.get(who).is_none_or(|person| person.device.is_none()) {
                return;
            }
            let is_quiet = effects.is_empty();
            let last = effects.last().map(|effect| format!("{effect:.60?}"));
            for effect in effects {
                self.effect(who, effect);
            }
            match step {
                Ok((true, _)) => {
                    self.counts.remade += 1;
                    note!(self, "device {who} makes edits again under a new incarnation");
                }
                Ok((false, step)) if is_quiet && !step.is_more => break,
                Ok(_) => {}
                Err(error) => {
                    self.note_failure(who, &error);
                    break;
                }
            }
            if round > MAX_ROUNDS {
                self.breach(Checker::Settling, format!("device {who} works without end: {last:?}"));
                break;
            }
        }
        self.set_alarm(who);
    }

    fn note_failure(&mut self, who: usize, error: &DeviceError) {
        let is_off = self.people.get(who).is_none_or(|person| person.device.is_none());
        if is_off || matches!(error, DeviceError::Store(_)) {
            self.counts.full_disks += 1;
            note!(self, "device {who}: {error}");
        } else {
            self.breach(Checker::Honesty, format!("device {who} cannot do its work: {error}"));
        }
    }

    fn effect(&mut self, who: usize, effect: Effect) {
        match effect {
            Effect::Connect => self.connect(who),
            Effect::Send(frame) => self.send_up(who, frame),
            Effect::Probe => {
                let delay = self.delay();
                if let Some(id) = self.people.get(who).and_then(|person| person.connection) {
                    self.after(delay * 2, Happening::Echo(id));
                }
            }
            Effect::Close => self.abandon(who),
            Effect::Event(event) => self.event(who, &event),
        }
    }

    fn event(&mut self, who: usize, event: &Event) {
        if self.plan.malice.is_some() {
            self.note_event_under_lies(who, event);
            return;
        }
        match event {
            Event::Acknowledged { link, document } => self.note_promise(*document, *link),
            Event::Decided { link, document, adopted: true } => self.note_promise(*document, *link),
            Event::ChunkInReview { .. } | Event::OpInReview { .. } | Event::Remake { .. } | Event::Excluded { .. }
                if self.was_lowered(who) =>
            {
                self.counts.reviewed += u64::from(matches!(event, Event::ChunkInReview { .. }));
                note!(self, "device {who} was told {event:?}");
            }
            Event::ChunkRefused { code: RefusalCode::Discarded, .. } if self.was_lowered(who) => {
                note!(self, "device {who} was told {event:?}");
            }
            Event::OpRefused { op, code: RefusalCode::Discarded }
                if self.model.ledger.discarded_documents.contains(&ChainId(op.0)) =>
            {
                note!(self, "device {who} was told {event:?}");
            }
            Event::ChunkRefused { document, .. } | Event::Excluded { document } | Event::Remake { document }
                if self.model.is_erased(document) =>
            {
                note!(self, "device {who} was told {event:?}");
            }
            Event::ChunkRefused { .. }
            | Event::ChunkInReview { .. }
            | Event::OpInReview { .. }
            | Event::Remake { .. }
            | Event::Excluded { .. }
            | Event::OpRefused { .. }
            | Event::OpVoid { .. }
            | Event::Quarantined { .. }
            | Event::OpQuarantined { .. }
            | Event::RelayForked { .. }
            | Event::RelayWithholds { .. }
            | Event::RelaySevers { .. }
            | Event::StoreRestored { .. }
            | Event::UpdateNeeded { .. }
            | Event::IntentFailed { reason: IntentFailure::CutsOff, .. } => {
                self.breach(Checker::Honesty, format!("device {who} was told {event:?}"));
            }
            Event::Disconnected { reason, retry_at } => {
                note!(self, "device {who} is disconnected: {reason}");
                let is_accused = matches!(
                    reason,
                    Disconnect::RelayIdentity
                        | Disconnect::RelayRestored
                        | Disconnect::RelayForked
                        | Disconnect::Version
                        | Disconnect::Violation
                        | Disconnect::StoreRestored
                ) || matches!(
                    (reason, retry_at),
                    (Disconnect::Goodbye(Goodbye::Violation | Goodbye::Superseded | Goodbye::BadAuth), _)
                        | (Disconnect::Goodbye(Goodbye::TooLate), None)
                );
                if is_accused {
                    self.breach(Checker::Honesty, format!("device {who} was disconnected: {reason}"));
                }
            }
            Event::IntentFailed { .. } => note!(self, "device {who}: {event:?}"),
            _ => {}
        }
    }

    /// Says whether some role of a device was ended or lowered, or can end by itself: what it writes may come too late.
    fn was_lowered(&self, who: usize) -> bool {
        let device = self.people.get(who).and_then(|person| person.id);
        device.is_some_and(|device| self.model.ledger.was_lowered(&device))
    }

    fn set_alarm(&mut self, who: usize) {
        let now = self.now;
        let Some(person) = self.people.get_mut(who) else { return };
        let Some(device) = &person.device else { return };
        let due = device.poll_timeout().into_iter().chain(device.poll_work()).min();
        let Some(due) = due.and_then(|due| u64::try_from(due.0.as_millis()).ok()) else { return };
        person.alarm += 1;
        let (alarm, at) = (person.alarm, person.booted_at.saturating_add(due).saturating_add(1).max(now + 1));
        self.at(at, Happening::WakesDevice(who, alarm));
    }

    pub(super) fn wakes_device(&mut self, who: usize, alarm: u64) {
        if self.people.get(who).is_some_and(|person| person.alarm == alarm) {
            self.device_inputs(who, vec![Input::Timeout]);
        }
    }
}

impl Person {
    /// Both clocks of the person's device.
    pub(crate) const fn now(&self, world_ms: u64) -> Now {
        let monotonic = Monotonic(Duration::from_millis(world_ms.saturating_sub(self.booted_at)));
        let wall = Timestamp(START_MS.saturating_add_unsigned(world_ms).saturating_add(self.clock_error));
        Now { monotonic, wall }
    }
}
