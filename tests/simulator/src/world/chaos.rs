//! Faults: of the network, of processes, of disks, of clocks.

use super::{Happening, World, note};

const YEAR_MS: u64 = 365 * 24 * 3_600_000;

impl World {
    /// A fault may occur, and the next one later.
    pub(super) fn fault(&mut self) {
        if self.is_calm {
            return;
        }
        let pause = self.draw.between(300, 4_000);
        self.after(pause, Happening::Fault);
        if self.strikes(self.plan.network) {
            let working = self.network.working();
            if let Some(id) = self.draw.pick(&working).copied() {
                self.cut(id);
            }
        }
        if self.strikes(self.plan.crashes) {
            self.crash_somebody();
        }
        if self.strikes(self.plan.full_disks) {
            self.fill_a_disk();
        }
        if self.strikes(self.plan.clocks) {
            self.jump_a_clock();
        }
    }

    /// Lets the power of a device or of the relay go: at once, or at some operation of its disk.
    fn crash_somebody(&mut self) {
        let at_once = self.draw.chance(250);
        let operations = u32::try_from(self.draw.below(60)).unwrap_or(0);
        let who = self.draw.index(self.people.len() + 1);
        let Some(person) = self.people.get(who) else {
            if at_once {
                self.crash_relay();
            } else {
                self.relay_disk.light_fuse(operations);
            }
            return;
        };
        if at_once {
            self.bury(who);
        } else {
            person.hand.light_fuse(operations);
        }
    }

    fn fill_a_disk(&mut self) {
        let who = self.draw.index(self.people.len() + 1);
        let commits = u32::try_from(self.draw.between(1, 3)).unwrap_or(1);
        match self.people.get(who) {
            Some(person) => person.hand.refuse_commits(commits),
            None => self.relay_disk.refuse_commit(),
        }
    }

    fn jump_a_clock(&mut self) {
        let who = self.draw.index(self.people.len());
        let error = match self.draw.below(4) {
            0 => 0,
            1 => self.draw.below(10 * 60_000),
            _ => self.draw.below(YEAR_MS),
        };
        let is_behind = self.draw.chance(500);
        let error = i64::try_from(error).unwrap_or(0) * if is_behind { -1 } else { 1 };
        if let Some(person) = self.people.get_mut(who) {
            person.clock_error = error;
            self.counts.jumps += 1;
            note!(self, "the clock of device {who} is now {} s wrong", error / 1_000);
        }
    }
}
