//! What people decide on access, and on what is in review.

use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_client_core::{
    access::{AssignRequest, LowerRequest, ReferRequest, RevokeRequest, WithdrawRequest},
    review::DiscardRequest,
    sections::{CreateSection, Noted, SectionLine, SectionState},
};
use vereda_policy::{Member, Role};

use super::{Entry, START_MS, World, note};
use crate::intent::Intent;

/// Devices in a world at most: people who were put out come back with new ones.
const MAX_DEVICES: usize = 9;
/// The kind of decision that is erasing: beyond those that are drawn.
const ERASE: u64 = 100;

impl World {
    /// A person decides something about access, where the device lets him.
    pub(super) fn decide_something(&mut self, who: usize) {
        // Managers decide more than others do; the founder is one of everything.
        let who = if self.draw.chance(400) { 0 } else { who };
        let kind = self.draw.below(100);
        let erases = self.plan.is_wide && self.draw.chance(60);
        let kind = if erases { ERASE } else { kind };
        let (mut by, mut done) = (who, self.decide_by(who, kind));
        if done.is_none() && who != 0 {
            (by, done) = (0, self.decide_by(0, kind));
        }
        let who = by;
        if done.is_some() {
            self.counts.decisions += 1;
            note!(self, "person {who} {}", done.unwrap_or_default());
        }
        self.note_stored(who);
        self.carry_out(who);
    }

    /// Takes a decision of a kind; tells which, where there was one to take and the device let him.
    fn decide_by(&mut self, who: usize, kind: u64) -> Option<&'static str> {
        let (what, done) = match kind {
            0..20 => ("refers a case", self.refer(who)),
            20..30 => ("withdraws a case", self.withdraw(who)),
            30..46 => ("puts somebody out", self.put_out(who)),
            46..54 => ("lowers somebody", self.lower(who)),
            54..66 => ("assigns a case", self.assign(who)),
            66..70 => ("leaves", self.leave(who)),
            70..79 => ("removes a device", self.remove_device(who)),
            79..82 => ("cancels an invite", self.cancel_invite(who)),
            82..92 => ("begins a section", self.begin_section(who)),
            ERASE => ("erases a case", self.erase(who)),
            _ => ("links a device", self.link_device(who)),
        };
        done.map(|()| what)
    }

    /// Draws somebody to take something from: rather one who is offline, since his work then comes too late.
    fn draw_victim(&mut self) -> usize {
        let offline: Vec<usize> = (1..self.people.len())
            .filter(|who| self.people.get(*who).is_some_and(|person| person.offline_for > 0))
            .collect();
        let any = 1 + self.draw.index(self.people.len() - 1);
        if self.draw.chance(700) { self.draw.pick(&offline).copied().unwrap_or(any) } else { any }
    }

    /// A Manager looks at what is in review, and takes it in or turns it away.
    pub(super) fn decide_review(&mut self, who: usize, may_discard: bool) {
        let found = self.call(who, |device, _| device.reviews().ok()).flatten().unwrap_or_default();
        let documents: Vec<ChainId> = found.into_iter().map(|view| view.document).collect();
        let Some(document) = self.draw.pick(&documents).copied() else { return };
        let (turns_away, takes_all) = (may_discard && self.draw.chance(120), self.draw.chance(500));
        let done = if turns_away {
            let request = DiscardRequest { document, reason: self.pen.text() };
            self.call(who, |device, ambient| device.discard_review(ambient, &request).is_ok())
        } else if takes_all {
            self.call(who, |device, ambient| device.adopt_all_reviews(ambient).is_ok())
        } else {
            self.call(who, |device, ambient| device.adopt_review(ambient, &document).is_ok())
        };
        if done == Some(true) {
            self.counts.decisions += 1;
            note!(
                self,
                "person {who} {} what is in review of {document}",
                if turns_away { "turns away" } else { "takes in" }
            );
        }
        self.carry_out(who);
    }

    /// Draws a case or section that a device shows.
    fn draw_document(&mut self, who: usize) -> Option<ChainId> {
        let mut documents = self.shown(who);
        documents.sort_unstable();
        self.draw.pick(&documents).copied()
    }

    /// Lists the cases and sections that a device shows.
    pub(super) fn shown(&mut self, who: usize) -> Vec<ChainId> {
        let mut documents = self.listed(who);
        for case in documents.clone() {
            documents.extend(self.sections_shown(who, &case));
        }
        documents
    }

    fn sections_shown(&mut self, who: usize, case: &ChainId) -> Vec<ChainId> {
        let listed = self.call(who, |device, ambient| device.list_sections(case, ambient.now.wall).ok());
        let open = |line: &SectionLine| line.state == SectionState::Open;
        listed.flatten().into_iter().flatten().filter(open).map(|line| line.section).collect()
    }

    /// Draws sections of a case that go where it goes.
    fn draw_sections(&mut self, who: usize, case: &ChainId) -> Vec<ChainId> {
        if !self.plan.is_wide {
            return Vec::new();
        }
        let mut sections = self.sections_shown(who, case);
        sections.sort_unstable();
        sections.retain(|_| self.draw.chance(600));
        sections
    }

    /// Draws another person or a team.
    fn draw_subject(&mut self, who: usize) -> Option<ChainId> {
        if self.draw.chance(400) {
            return self.draw.pick(&self.teams).copied();
        }
        self.draw_user(who)
    }

    fn draw_user(&mut self, who: usize) -> Option<ChainId> {
        let users: Vec<ChainId> =
            (0..self.people.len()).filter(|other| *other != who).filter_map(|other| self.user_of(other)).collect();
        self.draw.pick(&users).copied()
    }

    /// Names the user of a person, once there is one.
    pub(crate) fn user_of(&self, who: usize) -> Option<ChainId> {
        Some(self.people.get(who)?.device.as_ref()?.home()?.0)
    }

    fn refer(&mut self, who: usize) -> Option<()> {
        let document = self.draw_document(who)?;
        let to = self.draw_subject(who)?;
        let role = *self.draw.pick(&[Role::Reader, Role::Editor, Role::Editor, Role::Manager])?;
        let lasts = if self.draw.chance(400) { None } else { Some(self.draw.between(4_000, 90_000)) };
        let expires = lasts.map(|lasts| Timestamp(START_MS.saturating_add_unsigned(self.now + lasts)));
        let purpose = self.draw.chance(300).then(|| self.pen.text());
        let sections = self.draw_sections(who, &document);
        let request = ReferRequest { document, to, role, expires, purpose, consent: None, sections };
        self.call(who, |device, ambient| device.refer(ambient, &request).ok()).flatten()
    }

    fn withdraw(&mut self, who: usize) -> Option<()> {
        let document = self.draw_document(who)?;
        let from = self.draw_subject(who)?;
        let request = WithdrawRequest { document, from };
        self.call(who, |device, ambient| device.withdraw(ambient, request).ok()).flatten()
    }

    /// A person puts somebody out, where the device lets him.
    pub(super) fn have_put_out(&mut self, who: usize) {
        if self.put_out(who).is_some() {
            self.counts.decisions += 1;
            note!(self, "person {who} puts somebody out");
        }
        self.carry_out(who);
    }

    fn put_out(&mut self, who: usize) -> Option<()> {
        let other = self.draw_victim();
        let (subject, team) = (self.user_of(other)?, self.people.get(other)?.team);
        let request = RevokeRequest { chain: *self.teams.get(team)?, subject, successor: None };
        self.call(who, |device, ambient| device.revoke(ambient, request).ok()).flatten()
    }

    fn lower(&mut self, who: usize) -> Option<()> {
        let other = self.draw_victim();
        let subject = self.user_of(other)?;
        let team = *self.teams.get(self.people.get(other)?.team)?;
        let chain = if self.draw.chance(500) { team } else { self.draw_document(who)? };
        let to = if self.draw.chance(700) { Role::Reader } else { Role::Editor };
        self.call(who, |device, ambient| device.lower(ambient, LowerRequest { chain, subject, to }).ok()).flatten()
    }

    fn assign(&mut self, who: usize) -> Option<()> {
        let case = self.draw_document(who)?;
        let transfer = self.draw.chance(400);
        let to = if transfer { *self.draw.pick(&self.teams)? } else { self.draw_subject(who)? };
        let role = if self.draw.chance(200) { Role::Manager } else { Role::Editor };
        let sections = self.draw_sections(who, &case);
        let request = AssignRequest { case, to, role, transfer, sections };
        self.call(who, |device, ambient| device.assign(ambient, &request).ok()).flatten()
    }

    fn erase(&mut self, who: usize) -> Option<()> {
        let document = self.draw_document(who)?;
        self.call(who, |device, ambient| device.erase(ambient, &document).ok()).flatten().map(|_| ())
    }

    fn leave(&mut self, who: usize) -> Option<()> {
        let team = self.people.get(who)?.team;
        let chain = if who == 0 || self.draw.chance(600) { self.draw_document(who)? } else { *self.teams.get(team)? };
        self.call(who, |device, ambient| device.leave(ambient, &chain, None).ok()).flatten()
    }

    fn remove_device(&mut self, who: usize) -> Option<()> {
        let own: Vec<usize> = (1..self.people.len()).filter(|other| self.owner_of(*other) == who).collect();
        let other = if who == 0 || own.is_empty() { self.draw_victim() } else { *self.draw.pick(&own)? };
        let device = self.people.get(other)?.id?;
        self.call(who, |remover, ambient| remover.remove_device(ambient, &device).ok()).flatten()
    }

    fn cancel_invite(&mut self, who: usize) -> Option<()> {
        let open = |(other, person): (usize, &super::Person)| match person.entry {
            Entry::Invited(invite) => Some((other, invite)),
            _ => None,
        };
        let invited: Vec<(usize, DeviceId)> = self.people.iter().enumerate().filter_map(open).collect();
        let (other, invite) = *self.draw.pick(&invited)?;
        self.call(who, |device, ambient| device.cancel_invite(ambient, &invite).ok()).flatten()?;
        self.people.get_mut(other)?.entry = Entry::Stranger;
        Some(())
    }

    fn begin_section(&mut self, who: usize) -> Option<()> {
        let case = self.draw_document(who)?;
        let members = match self.draw_user(who) {
            Some(subject) if self.draw.chance(600) => vec![Member { subject, role: Role::Editor }],
            _ => Vec::new(),
        };
        let noted = *self.draw.pick(&[Noted::Nothing, Noted::Existence, Noted::Title])?;
        let Intent { edit, expected } = self.pen.first_answers();
        let request = CreateSection { case, title: self.pen.text(), members, noted, answers: edit };
        let before = self.changes_of(who, &case);
        let section = self.call(who, |device, ambient| device.create_section(ambient, &request).ok()).flatten()?;
        self.note_stored(who);
        self.people.get_mut(who)?.made.insert(section);
        self.acknowledge(who, section, expected);
        if self.changes_of(who, &case) > before {
            note!(self, "person {who} notes the section in its case");
        }
        Some(())
    }

    fn changes_of(&self, who: usize, case: &ChainId) -> usize {
        let incarnation = self.people.get(who).map(|person| person.hand.incarnation());
        let made = incarnation.and_then(|incarnation| self.model.durable.get(&(who, incarnation, *case)));
        made.map_or(0, Vec::len)
    }

    /// Whose device a device is: the place of that person's first.
    pub(crate) fn owner_of(&self, who: usize) -> usize {
        self.people.get(who).and_then(|person| person.of).unwrap_or(who)
    }

    /// A person takes a further device into use.
    fn link_device(&mut self, who: usize) -> Option<()> {
        let person = self.people.get(who)?;
        if self.people.len() >= MAX_DEVICES || !matches!(person.entry, Entry::Joined | Entry::Founder(4)) {
            return None;
        }
        let (owner, team) = (self.owner_of(who), person.team);
        let offer = self.call(who, |device, ambient| device.offer_link(ambient).ok()).flatten()?;
        let new = self.people.len();
        self.add_person(new);
        let person = self.people.get_mut(new)?;
        (person.of, person.team, person.entry) = (Some(owner), team, Entry::Spare);
        let name = self.pen.text();
        let shown = self.call(new, |device, ambient| device.answer_link(ambient, &offer, &name).ok()).flatten()?;
        let answer = shown.answer.parse().ok()?;
        let added = self.call(who, |device, ambient| device.confirm_answer(ambient, &answer, shown.code).ok());
        let added = added.flatten()?;
        let person = self.people.get_mut(new)?;
        person.id = Some(added);
        self.call(new, |device, _| device.confirm_offer(shown.code).ok()).flatten()?;
        self.people.get_mut(new)?.entry = Entry::Joined;
        note!(self, "device {new} is a further one of person {owner}");
        self.call(new, |device, ambient| device.go_online(ambient));
        self.carry_out(new);
        Some(())
    }

    /// Whoever was put out may come back: with the same device by a new invite, or, where it was removed, with a new one.
    pub(super) fn bring_back(&mut self) {
        let out: Vec<usize> = (1..self.people.len()).filter(|who| self.is_out(*who)).collect();
        let Some(who) = self.draw.pick(&out).copied() else { return };
        if !self.draw.chance(250) {
            return;
        }
        // What he asked for before is on its way.
        let waits = self.call(who, |device, _| device.status().is_ok_and(|status| status.pending_operations > 0));
        if waits == Some(true) {
            return;
        }
        let stands = self.user_of(who).zip(self.people.get(who).and_then(|person| person.id));
        let stands = stands.is_some_and(|(user, device)| self.model.ledger.stands(&user, &device));
        let new = self.people.len();
        let Some(person) = self.people.get_mut(who) else { return };
        if stands {
            note!(self, "person {who} is to come back");
            person.entry = Entry::Stranger;
            return;
        }
        if new < MAX_DEVICES {
            note!(self, "person {who} is to come back with device {new}");
            person.is_replaced = true;
            let team = person.team;
            self.add_person(new);
            if let Some(person) = self.people.get_mut(new) {
                (person.team, person.arrives) = (team, 0);
            }
        }
    }

    /// Says whether a person joined and is in the team no more.
    pub(crate) fn is_out(&self, who: usize) -> bool {
        let Some(person) = self.people.get(who) else { return false };
        let team = self.teams.get(person.team);
        person.entry == Entry::Joined
            && !self.crook.accomplices.contains(&who)
            && person.of.is_none()
            && !person.is_replaced
            && self.user_of(who).zip(team).is_some_and(|(user, team)| self.model.ledger.has_joined(team, &user))
            && team.is_some_and(|team| !self.reads(who, team))
    }
}
