//! Two histories of a relay that forks. One of them is in the world's own fields at any time: that of whoever something
//! happens to.

use std::mem::swap;

use vereda_sync::relay::RelayMachine;

use super::{Happening, World, note};
use crate::{draw::Draw, model::Model, network::Parcel, relay_disk::RelayDisk};

/// The history that is not in the world's own fields.
pub(crate) struct Branch {
    relay: Option<RelayMachine>,
    disk: RelayDisk,
    draw: Draw,
    alarm: Option<u64>,
    is_commit_due: bool,
    model: Model,
}

impl World {
    /// Names the history that something belongs to.
    pub(super) fn branch_of(&mut self, happening: Happening) -> u8 {
        if self.other.is_none() {
            return 0;
        }
        match happening {
            Happening::RelayCommits(branch) | Happening::WakesRelay(branch) | Happening::RelayBoots(branch) => branch,
            Happening::Act(who) | Happening::WakesDevice(who, _) | Happening::Boots(who) => {
                self.people.get(who).map_or(0, |person| person.branch)
            }
            Happening::Opens(id)
            | Happening::ClosesAtDevice(id)
            | Happening::ClosesAtRelay(id)
            | Happening::ArrivesUp(id)
            | Happening::ArrivesDown(id)
            | Happening::Written(id, _)
            | Happening::Echo(id) => self.network.get(id).map_or(0, |connection| connection.branch),
            Happening::Fault | Happening::Lie => 0,
        }
    }

    /// Brings a history into the world's own fields.
    pub(super) fn enter(&mut self, branch: u8) {
        let Some(other) = self.other.as_mut().filter(|_| self.acting != branch) else { return };
        self.acting = branch;
        swap(&mut self.relay, &mut other.relay);
        swap(&mut self.relay_disk, &mut other.disk);
        swap(&mut self.relay_draw, &mut other.draw);
        swap(&mut self.relay_alarm, &mut other.alarm);
        swap(&mut self.is_commit_due, &mut other.is_commit_due);
        swap(&mut self.model, &mut other.model);
        self.model.swap_story(&mut other.model);
    }

    /// Lets the relay have two histories from here on, and serve some people the second; says whether it did.
    pub(super) fn fork(&mut self, second: &[usize]) -> bool {
        let Some(disk) = self.relay_disk.copy() else { return false };
        if self.is_commit_due || self.other.is_some() {
            return false;
        }
        let (draw, model) = (Draw::new(self.plan.seed, 4), self.model.clone());
        let branch = Branch { relay: None, disk, draw, alarm: None, is_commit_due: false, model };
        for who in second {
            self.drop_connection(*who);
            if let Some(person) = self.people.get_mut(*who) {
                person.branch = 1;
            }
        }
        self.other = Some(branch);
        self.enter(1);
        self.begin_relay();
        self.enter(0);
        note!(self, "the relay forks: {second:?} are served another history");
        true
    }

    /// Ends the fork: everybody is served one of the two from here on.
    pub(super) fn meet(&mut self, survivor: u8) {
        if self.other.is_none() {
            return;
        }
        let left: Vec<usize> = (0..self.people.len())
            .filter(|who| self.people.get(*who).is_some_and(|one| one.branch != survivor))
            .collect();
        for who in &left {
            let branch = self.people.get(*who).map_or(0, |person| person.branch);
            self.enter(branch);
            self.drop_connection(*who);
        }
        self.enter(survivor);
        if let Some(branch) = self.other.take() {
            self.crook.ended.push(branch.model);
        }
        // What is under way for the relay carries the survivor's number, which is 0 from here on.
        if self.acting != 0 {
            self.acting = 0;
            self.relay_alarm = None;
            if self.is_commit_due || self.relay.is_some() {
                self.is_commit_due = true;
                self.after(1, Happening::RelayCommits(0));
            } else {
                self.after(1, Happening::RelayBoots(0));
            }
        }
        for person in &mut self.people {
            person.branch = 0;
        }
        for id in self.network.ids() {
            if let Some(connection) = self.network.get(id) {
                connection.branch = 0;
            }
        }
        note!(self, "the relay's two histories meet in number {survivor}; {left:?} were served the other");
    }

    /// Lets the relay go back to an earlier disk.
    pub(super) fn roll_back(&mut self, disk: RelayDisk, mut model: Model) {
        model.swap_story(&mut self.model);
        note!(self, "the relay goes back from {} entries to {}", self.model.log.len(), model.log.len());
        self.crash_relay();
        self.relay_disk = disk;
        let ended = std::mem::replace(&mut self.model, model);
        self.crook.ended.push(ended);
    }

    /// Ends a person's connection: both ends learn of it.
    pub(super) fn drop_connection(&mut self, who: usize) {
        let Some(id) = self.people.get(who).and_then(|person| person.connection) else { return };
        let Some(connection) = self.network.get(id) else { return };
        connection.is_broken = true;
        connection.down.clear();
        connection.down.push_back(Parcel::End);
        self.closes_at_relay(id);
        let at = self.now + 1;
        self.at(at, Happening::ClosesAtDevice(id));
    }
}
