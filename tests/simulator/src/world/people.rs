//! What people do: found, invite, join, register cases, edit, go offline and come back.

use std::time::Duration;

use vereda_base::{ChainId, Sensitive};
use vereda_client_core::{
    cases::CreateCase,
    device::{Ambient, Device},
    identity::{CreateAgency, InviteRequest, InviteState, JoinError},
    link::{FoundingLink, InviteLink, RelayAddress},
};
use vereda_policy::Role;

use super::{Entry, Happening, World, note};
use crate::{
    breach::Checker,
    disk::Disk,
    intent::{Expected, Intent},
    model::Acknowledged,
    mutation::Mutation,
};

/// How long invites stay open.
const OPEN_FOR: Duration = Duration::from_secs(60 * 24 * 3_600);

impl World {
    pub(super) fn act(&mut self, who: usize) {
        let pause = match self.draw.below(10) {
            _ if self.is_calm => self.draw.between(300, 1_500),
            0..3 => self.draw.between(20, 400),
            _ => self.draw.between(500, 9_000),
        };
        self.after(pause, Happening::Act(who));
        let Some(person) = self.people.get(who) else { return };
        if person.device.is_none() {
            return;
        }
        match person.entry.clone() {
            Entry::Founder(step) if step < 4 => self.found(who, step),
            Entry::Founder(_) => {
                if self.plan.access > 0 && !self.is_calm {
                    self.bring_back();
                }
                self.invite_somebody();
                self.work(who);
            }
            Entry::HasLink(link) => self.join(who, &link),
            Entry::Joined => self.work(who),
            Entry::Stranger | Entry::Invited(_) | Entry::Spare => {}
        }
    }

    fn found(&mut self, who: usize, step: u8) {
        self.set_clock_right(who);
        let name = self.pen.text();
        let link = FoundingLink {
            relay: RelayAddress { url: "wss://relay.test/v1".into(), key: self.relay_key.device_id() },
            secret: Sensitive::new(self.founding),
        };
        let configuration = (step == 3).then(|| self.pen.configuration());
        let person = self.pen.text();
        let done = match step {
            0 => {
                let request = CreateAgency { link, name, person };
                // Founded before, and the process died before it could say so.
                let found = |device: &mut Device<Disk>, ambient: &mut Ambient<'_>| {
                    device.create_agency(ambient, &request).ok().or(device.home().map(|(_, agency)| agency))
                };
                self.call(who, found).flatten().map(|agency| self.agency = Some(agency))
            }
            1 | 2 => {
                let team = self.call(who, |device, ambient| device.create_team(ambient, &name).ok());
                team.flatten().map(|team| self.teams.push(team))
            }
            _ => {
                let configuration = configuration.unwrap_or_else(|| self.pen.configuration());
                let applied = |device: &mut Device<Disk>, ambient: &mut Ambient<'_>| {
                    device.apply_configuration(ambient, configuration).ok()
                };
                self.call(who, applied).flatten().map(drop)
            }
        };
        if done.is_some() {
            note!(self, "person {who} founds, step {step}");
            if let Some(person) = self.people.get_mut(who) {
                person.entry = Entry::Founder(step + 1);
            }
            if step == 3 {
                self.call(who, |device, ambient| device.go_online(ambient));
            }
        }
        self.carry_out(who);
    }

    fn set_clock_right(&mut self, who: usize) {
        if let Some(person) = self.people.get_mut(who) {
            person.clock_error = 0;
        }
    }

    /// The founder invites whoever is due, and passes on what links there are.
    pub(super) fn invite_somebody(&mut self) {
        let done = self.plan.actions - self.actions;
        for who in 1..self.people.len() {
            let Some(person) = self.people.get(who) else { continue };
            let (entry, arrives, team) = (person.entry.clone(), person.arrives, person.team);
            match entry {
                Entry::Stranger if arrives <= done => {
                    let Some(chain) = self.teams.get(team).copied() else { continue };
                    self.set_clock_right(0);
                    let role = if self.draw.chance(250) { Role::Manager } else { Role::Editor };
                    let request = InviteRequest { chain, role, open_for: OPEN_FOR };
                    let made = self.call(0, |device, ambient| device.invite(ambient, &request).ok()).flatten();
                    if let (Some(invite), Some(person)) = (made, self.people.get_mut(who)) {
                        person.entry = Entry::Invited(invite);
                        note!(self, "person 0 invites person {who}");
                        self.carry_out(0);
                    }
                }
                Entry::Invited(invite) => self.pass_link_on(who, invite),
                _ => {}
            }
        }
    }

    fn pass_link_on(&mut self, who: usize, invite: vereda_base::DeviceId) {
        self.set_clock_right(0);
        let found = self.call(0, |device, ambient| device.invites(ambient.now.wall).ok()).flatten();
        let view = found.into_iter().flatten().find(|view| view.invite == invite);
        let Some(person) = self.people.get_mut(who) else { return };
        match view.map(|view| (view.state, view.link)) {
            Some((InviteState::Open, Some(link))) => person.entry = Entry::HasLink(link),
            Some((InviteState::Refused | InviteState::Closed, _)) => {
                person.entry = Entry::Stranger;
                if self.plan.malice.is_some() {
                    return;
                }
                self.breach(Checker::Honesty, format!("the invite of person {who} was refused"));
            }
            _ => {}
        }
    }

    fn join(&mut self, who: usize, link: &str) {
        let Ok(link) = link.parse::<InviteLink>() else { return };
        let name = self.pen.text();
        match self.call(who, |device, ambient| device.join(ambient, &link, &name)) {
            Some(Ok(_) | Err(JoinError::Taken | JoinError::Member)) => {
                note!(self, "person {who} joins");
                if let Some(person) = self.people.get_mut(who) {
                    person.entry = Entry::Joined;
                }
                self.call(who, |device, ambient| device.go_online(ambient));
            }
            Some(Err(JoinError::Expired { .. })) => self.set_clock_right(who),
            _ => {}
        }
        self.carry_out(who);
    }

    fn work(&mut self, who: usize) {
        if self.actions == 0 {
            return;
        }
        self.actions -= 1;
        self.come_and_go(who);
        if self.plan.access > 0 {
            if self.draw.chance(200) {
                self.decide_review(who, true);
            }
            if self.draw.chance(self.plan.access) {
                self.decide_something(who);
                return;
            }
        }
        let can_create = self.cases.len() < self.plan.cases;
        let bursts = if self.draw.chance(150) { self.draw.between(2, 7) } else { 1 };
        if can_create && (self.cases.is_empty() || self.draw.chance(200)) {
            self.register(who);
        } else {
            self.edit(who, bursts);
        }
        self.carry_out(who);
    }

    fn come_and_go(&mut self, who: usize) {
        let leaves = self.strikes(self.plan.offline);
        let (short, stretch) = (self.draw.chance(500), self.draw.between(1, 12));
        let Some(person) = self.people.get_mut(who) else { return };
        match person.offline_for {
            0 if leaves => {
                person.offline_for = if short { 1 } else { u32::try_from(stretch).unwrap_or(1) };
                note!(self, "person {who} goes offline");
                self.call(who, |device, ambient| device.go_offline(ambient));
            }
            0 => {}
            1 => {
                person.offline_for = 0;
                note!(self, "person {who} comes back");
                self.call(who, |device, ambient| device.go_online(ambient));
            }
            _ => person.offline_for -= 1,
        }
    }

    fn register(&mut self, who: usize) {
        let own = self.teams_of(who);
        let team = self.draw.pick(&own).copied();
        let Intent { edit, expected } = self.pen.first_answers();
        let request = CreateCase { team, answers: edit };
        let made = self.call(who, |device, ambient| device.create_case(ambient, &request).ok()).flatten();
        self.note_stored(who);
        if let Some(case) = made {
            note!(self, "person {who} registers case {case}");
            self.cases.insert(case);
            self.people.get_mut(who).map(|person| person.made.insert(case));
            self.acknowledge(who, case, expected);
        }
    }

    fn edit(&mut self, who: usize, bursts: u64) {
        let mut cases = if self.plan.access > 0 { self.shown(who) } else { self.listed(who) };
        // The list follows the clocks; the draw must not.
        cases.sort_unstable();
        let Some(case) = self.draw.pick(&cases).copied() else { return };
        for _ in 0..bursts {
            let Some(Ok(view)) = self.call(who, |device, _| device.show_case(&case)) else { return };
            let intent = self.pen.edit(&view.record);
            if self.draw.chance(40) && !view.conflicts.is_empty() {
                self.settle_conflict(who, case, &view.conflicts);
            } else {
                self.write(who, case, intent);
            }
        }
    }

    pub(super) fn listed(&mut self, who: usize) -> Vec<ChainId> {
        let lines = self.call(who, |device, _| device.list_cases(None).ok()).flatten();
        lines.map_or_else(Vec::new, |lines| lines.into_iter().map(|line| line.case).collect())
    }

    /// Writes an edit; under some mutations of the application, later or otherwise than it says.
    fn write(&mut self, who: usize, case: ChainId, intent: Intent) {
        let Some(person) = self.people.get_mut(who) else { return };
        match self.plan.mutation {
            Some(Mutation::EditsCoalesced) => {
                person.put_off.push((case, intent.clone()));
                self.acknowledge(who, case, intent.expected);
                self.write_put_off(who);
            }
            Some(Mutation::EditsSwapped) => {
                person.put_off.push((case, intent));
                self.write_put_off(who);
            }
            _ => self.write_now(who, case, &intent),
        }
    }

    /// Writes what was put off: the last of three only, or two in the other order.
    fn write_put_off(&mut self, who: usize) {
        let Some(person) = self.people.get_mut(who) else { return };
        let coalesces = self.plan.mutation == Some(Mutation::EditsCoalesced);
        if person.put_off.len() < if coalesces { 3 } else { 2 } {
            return;
        }
        let mut put_off = std::mem::take(&mut person.put_off);
        if coalesces {
            if let Some((case, intent)) = put_off.pop() {
                self.call(who, |device, ambient| device.edit_case(ambient, &case, &intent.edit).is_ok());
                self.note_stored(who);
            }
            return;
        }
        put_off.reverse();
        let before = self.model.acknowledged.len();
        for (case, intent) in put_off {
            self.write_now(who, case, &intent);
        }
        // The application said it the other way round.
        if let Some(said) = self.model.acknowledged.get_mut(before..) {
            said.reverse();
        }
    }

    fn write_now(&mut self, who: usize, case: ChainId, intent: &Intent) {
        let written = self.call(who, |device, ambient| device.edit_case(ambient, &case, &intent.edit).ok()).flatten();
        self.note_stored(who);
        if written.is_some_and(|edited| edited.changed) {
            self.acknowledge(who, case, intent.expected.clone());
        }
    }

    fn settle_conflict(&mut self, who: usize, case: ChainId, conflicts: &[vereda_client_core::cases::ConflictView]) {
        let Some(conflict) = self.draw.pick(conflicts) else { return };
        let plain = |value: &vereda_client_core::cases::ConflictingValue| value.value.clone();
        let values: Vec<_> = conflict.values.iter().map(plain).filter(|value| !value.is_array()).collect();
        let Some(value) = self.draw.pick(&values).cloned() else { return };
        let place = conflict.place.clone();
        let settled = self.call(who, |device, ambient| device.resolve_conflict(ambient, &case, &place, &value).ok());
        self.note_stored(who);
        if settled.flatten().is_some_and(|edited| edited.changed) {
            self.acknowledge(who, case, Expected::Settled { place, value });
        }
    }

    /// Notes an edit that a person was told is kept: the one that the disk made durable last.
    pub(super) fn acknowledge(&mut self, who: usize, case: ChainId, expected: Expected) {
        let Some(incarnation) = self.people.get(who).map(|person| person.hand.incarnation()) else { return };
        let made = self.model.durable.get(&(who, incarnation, case));
        let change = made.and_then(|changes| changes.last()).copied();
        self.counts.edits += 1;
        note!(self, "person {who} was acknowledged {} in {case}", expected.place());
        self.model.acknowledged.push(Acknowledged { who, case, incarnation, change, expected });
    }
}
