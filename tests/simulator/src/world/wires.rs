//! The network: parcels on their way, connections made and ended.

use std::mem;

use vereda_sync::{device::Input, relay};

use super::{Happening, World, note};
use crate::{
    breach::Checker,
    network::{ConnectionId, Parcel},
    proxy::Proxy,
};

impl World {
    /// How long a parcel takes.
    pub(crate) fn delay(&mut self) -> u64 {
        if self.strikes(self.plan.network / 8) {
            // Sent again and again underneath: far longer than the device waits for an answer, at times.
            return self.draw.between(1_000, 70_000);
        }
        self.draw.between(2, 60)
    }

    /// A device asks for a connection.
    pub(crate) fn connect(&mut self, who: usize) {
        let id = self.network.begin(who, self.acting, Proxy::new(self.plan.mutation));
        self.abandon(who);
        if let Some(person) = self.people.get_mut(who) {
            person.connection = Some(id);
        }
        note!(self, "device {who} asks for connection {}", id.0);
        let delay = self.delay();
        if self.relay.is_none() || self.strikes(self.plan.network / 2) {
            self.after(delay, Happening::ClosesAtDevice(id));
        } else {
            self.after(delay, Happening::Opens(id));
        }
    }

    /// A device lets go of its connection; what it sent may still arrive, however late.
    pub(crate) fn abandon(&mut self, who: usize) {
        let Some(id) = self.people.get_mut(who).and_then(|person| person.connection.take()) else { return };
        let late = if self.strikes(self.plan.network) { self.draw.between(500, 90_000) } else { 0 };
        let Some(connection) = self.network.get(id) else { return };
        connection.is_abandoned = true;
        if connection.session.is_some() && !connection.is_broken {
            connection.up.push_back(Parcel::End);
            connection.up_due = connection.up_due.max(self.now + late + 1);
            let due = connection.up_due;
            self.at(due, Happening::ArrivesUp(id));
        }
        self.network.forget_ended();
    }

    /// A connection stops working, in both directions; an end may learn of it late, or by silence only.
    pub(crate) fn cut(&mut self, id: ConnectionId) {
        self.counts.cuts += 1;
        let (keep_up, keep_down) = (self.draw.index(4), self.draw.index(4));
        let Some(connection) = self.network.get(id) else { return };
        connection.is_broken = true;
        connection.up.truncate(keep_up);
        connection.down.truncate(keep_down);
        let (who, up_due, down_due) = (connection.who, connection.up_due, connection.down_due);
        note!(self, "connection {} of device {who} is cut, {keep_up} up and {keep_down} down at most arrive", id.0);
        if self.draw.chance(700) {
            let at = self.now.max(down_due) + self.draw.between(0, 20_000);
            self.at(at, Happening::ClosesAtDevice(id));
        }
        let at = self.now.max(up_due) + self.draw.between(0, 100_000);
        self.at(at, Happening::ClosesAtRelay(id));
    }

    /// A device sends a frame.
    pub(crate) fn send_up(&mut self, who: usize, frame: Vec<u8>) {
        let Some(person) = self.people.get(who) else { return };
        let (Some(id), bare) = (person.connection, person.last_written.clone()) else { return };
        let delay = self.delay();
        let (now, late) = (self.now, self.strikes(self.plan.network / 10));
        let Some(connection) = self.network.get(id).filter(|connection| !connection.is_broken) else { return };
        let frame = connection.proxy.up(frame, bare.as_deref());
        let Some(frame) = self.lie_up(who, id, frame) else { return };
        let Some(connection) = self.network.get(id) else { return };
        connection.up_due = connection.up_due.max(now + delay + if late { 30_000 } else { 0 });
        let due = connection.up_due;
        self.look_into(&frame, "sent by a device");
        if let Some(connection) = self.network.get(id) {
            connection.up.push_back(Parcel::Frame(frame));
        }
        self.at(due, Happening::ArrivesUp(id));
    }

    /// The relay sends a frame, or closes.
    pub(crate) fn send_down(&mut self, session: relay::SessionId, parcel: Parcel) {
        let Some(id) = self.network.of_session(session) else { return };
        let others = self.chunks_not_for(id);
        let Some(connection) = self.network.get(id) else { return };
        match parcel {
            Parcel::Frame(frame) => {
                let frame = connection.proxy.down(frame, &others);
                let written = frame.len();
                let frames = self.lie_down(id, frame);
                if frames.is_empty() {
                    self.after(1, Happening::Written(id, written));
                }
                for (at, frame) in frames.into_iter().enumerate() {
                    // The relay's honest part is told of its own frame once.
                    self.send_parcel(id, Parcel::Frame(frame), Some(if at == 0 { written } else { 0 }));
                }
            }
            Parcel::End => {
                connection.session = None;
                self.send_parcel(id, Parcel::End, None);
            }
        }
    }

    /// Lets a parcel go down; `written` is what the relay is told that it wrote.
    pub(super) fn send_parcel(&mut self, id: ConnectionId, parcel: Parcel, written: Option<usize>) {
        let delay = self.delay();
        let now = self.now;
        let Some(connection) = self.network.get(id) else { return };
        if connection.is_broken || connection.is_abandoned {
            self.network.forget_ended();
            return;
        }
        let (who, wraps) = (connection.who, connection.proxy.take_wraps());
        connection.down_due = connection.down_due.max(now + delay);
        let due = connection.down_due;
        if let Some(person) = self.people.get_mut(who) {
            person.wraps_sent.extend(wraps);
        }
        if let Parcel::Frame(frame) = &parcel {
            self.look_into(frame, "sent by the relay");
            self.at(due, Happening::Written(id, written.unwrap_or(frame.len())));
        }
        if let Some(connection) = self.network.get(id) {
            connection.down.push_back(parcel);
        }
        self.at(due, Happening::ArrivesDown(id));
    }

    /// Looks for planted text in what travels.
    pub(crate) fn look_into(&mut self, bytes: &[u8], what: &str) {
        self.counts.frames += 1;
        if crate::check::secrecy::bears(bytes, self.pen.mark()) && self.breaches.len() < 8 {
            self.breach(Checker::Secrecy, format!("planted text in a frame of {} bytes {what}", bytes.len()));
        }
    }

    pub(super) fn opens(&mut self, id: ConnectionId) {
        if self.relay.is_none() {
            self.closes_at_device(id);
            return;
        }
        self.next_session += 1;
        let session = relay::SessionId(self.next_session);
        let Some(connection) = self.network.get(id) else { return };
        connection.session = Some(session);
        let (who, is_abandoned) = (connection.who, connection.is_abandoned);
        if is_abandoned {
            connection.up.push_back(Parcel::End);
            self.after(1, Happening::ArrivesUp(id));
        }
        self.relay_input(relay::Input::Opened(session));
        if self.people.get(who).is_some_and(|person| person.connection == Some(id)) {
            self.device_inputs(who, vec![Input::Connected]);
        }
    }

    pub(super) fn closes_at_device(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.get(id) else { return };
        connection.is_broken = true;
        let who = connection.who;
        if self.people.get(who).is_some_and(|person| person.connection == Some(id)) {
            note!(self, "device {who} learns that connection {} ended", id.0);
            self.abandon(who);
            self.device_inputs(who, vec![Input::Closed]);
        }
    }

    pub(super) fn closes_at_relay(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.get(id) else { return };
        connection.is_broken = true;
        let session = connection.session.take();
        connection.up.clear();
        if let Some(session) = session {
            self.relay_input(relay::Input::Closed(session));
        }
        self.network.forget_ended();
    }

    pub(super) fn arrives_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.get(id) else { return };
        let Some(parcel) = connection.up.pop_front() else { return };
        let session = connection.session;
        match (parcel, session) {
            (Parcel::Frame(frame), Some(session)) => self.relay_input(relay::Input::Frame(session, frame)),
            (Parcel::End, Some(_)) => self.closes_at_relay(id),
            (_, None) => {}
        }
    }

    pub(super) fn arrives_down(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.get(id) else { return };
        let who = connection.who;
        let mut parcels = mem::take(&mut connection.down);
        if self.people.get(who).is_none_or(|person| person.connection != Some(id)) {
            return;
        }
        // Frames that wait together are handled before one commit, at times.
        let mut inputs = Vec::new();
        let mut ends = false;
        while let Some(parcel) = parcels.pop_front() {
            match parcel {
                Parcel::Frame(frame) => inputs.push(Input::Frame(frame)),
                Parcel::End => ends = true,
            }
            if ends || !self.draw.chance(400) {
                break;
            }
        }
        if let Some(connection) = self.network.get(id) {
            connection.down = parcels;
        }
        if !inputs.is_empty() {
            self.device_inputs(who, inputs);
        }
        if ends {
            self.closes_at_device(id);
        }
    }

    pub(super) fn written(&mut self, id: ConnectionId, bytes: usize) {
        let session = self.network.get(id).filter(|connection| !connection.is_broken);
        if let Some(session) = session.and_then(|connection| connection.session) {
            self.relay_input(relay::Input::Written(session, bytes));
        }
    }

    pub(super) fn echo(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.get(id).filter(|connection| !connection.is_broken) else { return };
        let who = connection.who;
        if connection.session.is_some() && self.people.get(who).is_some_and(|person| person.connection == Some(id)) {
            self.device_inputs(who, vec![Input::Alive]);
        }
    }
}
