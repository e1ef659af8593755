//! The end: no more faults, everybody online, until nothing is left to do.

use vereda_base::ChainId;

use super::{Entry, World, note};
use crate::breach::Checker;

/// Happenings until the world must have come to rest.
const MAX_STEPS: u32 = 60_000;
/// Decisions on what is in review until there must be nothing left to decide on.
const MAX_LAST_DECISIONS: u32 = 60;
/// Time until then, in milliseconds.
const MAX_MS: u64 = 3_600_000;
/// As above, where a relay lies and the world need not come to rest.
const MAX_LIED_MS: u64 = 180_000;
/// As above, for the last that a device may learn.
const MAX_LAST_MS: u64 = 40_000;

impl World {
    /// Ends all faults and brings everybody online. Clocks stay wrong.
    pub(super) fn heal(&mut self) {
        note!(self, "the world heals");
        self.is_calm = true;
        self.actions = 0;
        self.relay_disk.heal();
        if self.plan.malice.is_some() {
            self.end_lies();
        }
        for who in 0..self.people.len() {
            if let Some(person) = self.people.get_mut(who) {
                person.hand.heal();
                person.offline_for = 0;
                person.arrives = 0;
            }
            self.go_online(who);
        }
    }

    fn go_online(&mut self, who: usize) {
        if self.people.get(who).is_some_and(|person| matches!(person.entry, Entry::Founder(_) | Entry::Joined)) {
            self.call(who, |device, ambient| device.go_online(ambient));
            self.carry_out(who);
        }
    }

    /// Waits until the world is at rest.
    pub(super) fn settle(&mut self) {
        if self.plan.malice.is_some() {
            self.settle_under_lies();
            return;
        }
        if self.comes_to_rest(MAX_MS) {
            return;
        }
        let why = self.explain();
        self.breach(Checker::Settling, format!("the world does not come to rest: {why}"));
    }

    /// Waits until the world is at rest, or as long as that is worth waiting for; and once more after everybody caught up
    /// again, since some of what speaks against a relay shows then.
    fn settle_under_lies(&mut self) {
        for wait_ms in [MAX_LIED_MS, MAX_LAST_MS] {
            if !self.comes_to_rest(wait_ms) {
                note!(self, "the world goes on under lies");
            }
            for who in 0..self.people.len() {
                self.drop_connection(who);
            }
        }
        self.comes_to_rest(MAX_LAST_MS);
    }

    fn comes_to_rest(&mut self, wait_ms: u64) -> bool {
        let until = self.now + wait_ms;
        for step in 0..MAX_STEPS {
            if step % 16 == 0 && self.is_at_rest() {
                if self.decide_last_reviews() {
                    continue;
                }
                note!(self, "the world is at rest");
                return true;
            }
            if self.now > until || !self.step() {
                return false;
            }
        }
        false
    }

    /// Managers take in what is left in review; says whether there was anything that they could decide on.
    fn decide_last_reviews(&mut self) -> bool {
        if self.plan.access == 0 || self.last_decisions >= MAX_LAST_DECISIONS {
            return false;
        }
        for who in 0..self.people.len() {
            let found = self.call(who, |device, _| device.reviews().ok()).flatten().unwrap_or_default();
            if found.iter().any(|view| self.can_decide(&view.document)) {
                self.last_decisions += 1;
                self.decide_review(who, false);
                return true;
            }
        }
        false
    }

    fn is_at_rest(&mut self) -> bool {
        let last = self.model.ledger.last_expiry();
        if last.is_some_and(|last| last > self.relay_now().wall) {
            return false;
        }
        let is_settled = |person: &super::Person| person.device.as_ref().is_some_and(|device| device.is_settled());
        let is_everybody_in =
            |person: &super::Person| matches!(person.entry, Entry::Founder(4) | Entry::Joined | Entry::Spare);
        if self.relay.is_none()
            || self.is_commit_due
            || !self.network.is_idle()
            || !self
                .people
                .iter()
                .enumerate()
                .all(|(who, person)| is_everybody_in(person) && (self.is_spare(who) || is_settled(person)))
            || !(0..self.people.len()).all(|who| self.is_connected(who))
        {
            return false;
        }
        (0..self.people.len()).all(|who| self.missing_at(who).is_none())
    }

    /// Says whether a further device was never linked in the end: its person lost the right to, or the device that he had.
    fn is_spare(&self, who: usize) -> bool {
        let Some(person) = self.people.get(who) else { return false };
        let named = || {
            self.user_of(who).zip(person.id).is_some_and(|(user, device)| self.model.ledger.has_named(&user, &device))
        };
        person.of.is_some() && (person.entry == Entry::Spare || !named())
    }

    /// Whether the connection that a device believes in is one.
    fn is_connected(&mut self, who: usize) -> bool {
        if self.is_spare(who) {
            return true;
        }
        let id = self.people.get(who).and_then(|person| person.connection);
        let connection = id.and_then(|id| self.network.get(id));
        connection.is_some_and(|connection| connection.session.is_some() && !connection.is_broken)
    }

    /// A case that a person is entitled to and cannot open.
    fn missing_at(&mut self, who: usize) -> Option<ChainId> {
        let cases = self.model.cases().into_iter();
        // Nobody opens one whose beginning is still in review.
        let has_begun = |case: &ChainId| self.model.chunks.get(case).is_some_and(|chunks| !chunks.is_empty());
        let cases: Vec<ChainId> =
            cases.filter(|case| has_begun(case) && self.reads(who, case) && self.is_key_in_reach(who, case)).collect();
        cases.into_iter().find(|case| !matches!(self.call(who, |device, _| device.case_digest(case)), Some(Ok(_))))
    }

    /// Why the world is not at rest.
    fn explain(&mut self) -> String {
        let mut parts = Vec::new();
        for who in 0..self.people.len() {
            let missing = self.missing_at(who);
            let Some(person) = self.people.get(who) else { continue };
            let entry = match &person.entry {
                Entry::Founder(step) => format!("founder at step {step}"),
                Entry::Stranger => "stranger".into(),
                Entry::Invited(_) => "invited".into(),
                Entry::HasLink(_) => "has a link".into(),
                Entry::Spare => "was not linked".into(),
                Entry::Joined => "joined".into(),
            };
            let Some(device) = &person.device else {
                parts.push(format!("device {who} ({entry}) is off"));
                continue;
            };
            if device.is_settled() && missing.is_none() {
                continue;
            }
            let status = device.status().ok().map(|status| {
                format!(
                    "{} {} {:?}, {} documents and {} operations pending, {} locked",
                    status.membership,
                    status.connection.state,
                    status.connection.reason,
                    status.pending_documents,
                    status.pending_operations,
                    status.locked
                )
            });
            let told = missing.and_then(|case| Some((case, device.explain(&case).ok()?.sentence)));
            parts.push(format!("device {who} ({entry}): {}; {told:?}", status.unwrap_or_default()));
        }
        if self.relay.is_none() {
            parts.push("the relay is off".into());
        }
        parts.join("; ")
    }
}
