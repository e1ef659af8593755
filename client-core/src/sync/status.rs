//! This device at a glance.

use std::collections::BTreeSet;

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{ChainKind, ChainState};
use vereda_sync::device::{DeviceStore, OutboxItem};

use super::RelayFaultView;
use crate::{
    access::SubjectView,
    device::{Device, DeviceError},
    directory::AuthorView,
};

/// This device at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct StatusView {
    /// The device.
    pub device: DeviceId,
    /// Its person; none before founding or joining.
    pub user: Option<ChainId>,
    /// The person's name, as far as it is known here.
    pub person: Option<String>,
    /// The agency.
    pub agency: Option<ChainId>,
    /// The agency's name, if known.
    pub agency_name: Option<String>,
    /// The relay's address.
    pub relay: Option<String>,
    /// The connection.
    pub connection: ConnectionView,
    /// One word for where the person stands: `none`, `pending`, `waiting_for_key`, `member`, `removed`.
    pub membership: &'static str,
    /// Cases here.
    pub cases: usize,
    /// Documents whose key is not here yet.
    pub locked: usize,
    /// Documents part of which is not shown, as its key is not here: it is on its way, or was called bad.
    pub partly_locked: usize,
    /// Documents with edits that are not at the relay yet.
    pub pending_documents: usize,
    /// Decisions about people that wait for the relay: teams begun, grants, invites, acceptances.
    pub pending_operations: usize,
    /// Decisions of this device that came too late or were refused, and that nobody put away yet.
    pub failed_operations: usize,
    /// Who ended this person's access, or removed this device, and when; `None` while there is access to anything.
    pub ended: Option<EndedView>,
    /// Documents with work of this device that a Manager decides on.
    pub in_review: usize,
    /// Documents with work of this device that was in review and was taken in.
    pub adopted: usize,
    /// Documents with work of this device that was in review and was turned away.
    pub turned_away: usize,
    /// Documents on which this person may decide: work of others that came after their rights had ended.
    pub to_decide: usize,
    /// What speaks against the relay; empty where nothing does.
    pub relay_faults: Vec<RelayFaultView>,
    /// Everything the relay had is here and opened, and everything made here is there.
    pub settled: bool,
}

/// The end of a person's access.
#[derive(Debug, Clone, Serialize)]
pub struct EndedView {
    /// `device` where this device was removed, `left` where the person left, `role` where somebody ended it.
    pub what: &'static str,
    /// The team or agency whose role was the last; none for a device.
    pub of: Option<SubjectView>,
    /// Who did it: proven.
    pub by: AuthorView,
    /// When, in milliseconds since 1970 by the relay's clock.
    pub time: Option<Timestamp>,
}

/// The connection to the relay.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectionView {
    /// `online`, `connecting` or `offline`.
    pub state: &'static str,
    /// Why there is none, if there was one or an attempt.
    pub reason: Option<String>,
}

impl<S: DeviceStore> Device<S> {
    /// Shows this device at a glance.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn status(&self) -> Result<StatusView, DeviceError> {
        let home = self.home();
        let (user, agency) = (home.map(|(user, _)| user), home.map(|(_, agency)| agency));
        let outbox = self.outbox()?;
        let is_decision = |item: &&OutboxItem| match item {
            OutboxItem::Chunk { .. } => false,
            OutboxItem::Op { op, .. } => self.document_begun(op).is_none(),
            OutboxItem::Intent { .. } => true,
        };
        let operations = outbox.iter().filter(is_decision).count();
        let pending_name = self.membership.as_ref().map(|membership| membership.person.clone());
        let person = user.and_then(|user| self.name_of(&user).map(str::to_owned));
        let (adopted, turned_away) = self.count_decided_on_own()?;
        Ok(StatusView {
            device: self.id(),
            user,
            person: person.or(pending_name.filter(|name| !name.is_empty())),
            agency,
            agency_name: agency.and_then(|agency| self.name_of(&agency).map(str::to_owned)),
            relay: home.map(|_| self.relay_url().to_owned()),
            connection: self.connection(),
            membership: self.standing(),
            cases: self.count_cases()?,
            locked: self.locked_count(),
            partly_locked: self.partly_locked_count(),
            pending_documents: self.pending_documents()?.len(),
            pending_operations: operations,
            failed_operations: self.count_failed_decisions()?,
            ended: user.filter(|user| self.was_removed(user)).and_then(|user| self.view_end(&user)),
            adopted,
            turned_away,
            in_review: self.count_in_review()?,
            to_decide: self.count_to_decide()?,
            relay_faults: self.relay_faults()?,
            settled: self.is_settled(),
        })
    }

    /// Lists the documents with edits that are not at the relay yet.
    pub(crate) fn pending_documents(&self) -> Result<BTreeSet<ChainId>, DeviceError> {
        let mut pending = self.unsealed.clone();
        for item in self.outbox()? {
            match item {
                OutboxItem::Chunk { link } => pending.extend(self.document_of(&link)?),
                OutboxItem::Op { op, .. } => pending.extend(self.document_begun(&op)),
                OutboxItem::Intent { .. } => {}
            }
        }
        Ok(pending)
    }

    fn connection(&self) -> ConnectionView {
        let contact = &self.contact;
        let state = match (contact.is_live, contact.is_wanted) {
            (true, _) => "online",
            (false, true) => "connecting",
            (false, false) => "offline",
        };
        let deceived = contact.is_deceived.then(|| {
            "the relay does not hold what the invite or link promised: it was set back, or deceives; ask whoever invited you"
                .to_owned()
        });
        let reason = contact.last_loss.map(|reason| reason.to_string()).filter(|_| !contact.is_live);
        ConnectionView { state, reason: deceived.or(reason) }
    }

    fn standing(&self) -> &'static str {
        let Some((user, agency)) = self.home() else { return "none" };
        let is_member = self.view(|view, device| {
            vereda_policy::membership(view, &device, &agency, &vereda_policy::Heads::newest(None)).is_some()
        });
        let has_user = self.chain(&user).is_some_and(|state| state.last_time().is_some());
        if self.was_removed(&user) {
            return "removed";
        }
        match (is_member, self.chain(&agency)) {
            (true, Some(state)) if self.keyring.holds_newest(&state) && has_user => "member",
            (true, Some(state)) if !self.keyring.holds_newest(&state) => "waiting_for_key",
            _ => "pending",
        }
    }

    /// Says whether this device, or its person, was in the agency and is no more.
    pub(crate) fn was_removed(&self, user: &ChainId) -> bool {
        let Some(state) = self.chain(user) else { return false };
        if state.device(&self.id()).is_some_and(|own| own.until_seq.is_some()) {
            return true;
        }
        let groups = [ChainKind::Team, ChainKind::Agency].into_iter().filter_map(|kind| self.list_chains(kind).ok());
        let (mut left, mut stands) = (false, false);
        for group in groups.flatten().filter_map(|group| self.chain(&group)) {
            for held in group.members().iter().filter(|held| held.subject == *user) {
                left |= held.until_seq.is_some();
                stands |= held.until_seq.is_none();
            }
        }
        left && !stands
    }

    /// Says whether this device's person was put out of everything: the relay takes late work of him and nothing else.
    pub(crate) fn is_put_out(&self) -> bool {
        let reads = || {
            self.machine
                .as_ref()
                .is_some_and(|machine| machine.documents(&self.store).map_or(true, |documents| !documents.is_empty()))
        };
        self.home().is_some_and(|(user, _)| self.was_removed(&user)) && !reads()
    }

    /// Finds what ended last of all by which this person had access, or this device.
    fn view_end(&self, user: &ChainId) -> Option<EndedView> {
        let state = self.chain(user)?;
        if let Some(seq) = state.device(&self.id()).and_then(|own| own.until_seq) {
            return self.ended_by(&state, seq, "device");
        }
        let groups = [ChainKind::Team, ChainKind::Agency].into_iter().filter_map(|kind| self.list_chains(kind).ok());
        let groups = groups.flatten().filter_map(|group| self.chain(&group));
        let ends = groups.filter_map(|group| {
            let own = group.members().iter().filter(|held| held.subject == *user);
            let seq = own.filter_map(|held| held.until_seq).max()?;
            Some((group.op(seq).and_then(|record| record.time), seq, group))
        });
        let (_, seq, group) = ends.max_by_key(|(time, seq, group)| (*time, group.id(), *seq))?;
        self.ended_by(&group, seq, "role")
    }

    fn ended_by(&self, state: &ChainState, seq: u64, what: &'static str) -> Option<EndedView> {
        let op = self.machine.as_ref()?.operations(&self.store, &state.id()).ok()?;
        let op = op.into_iter().nth(usize::try_from(seq).ok()?)?;
        let by = self.author_view(Some(op.device));
        let has_left = what == "role" && by.user == self.home().map(|(user, _)| user);
        Some(EndedView {
            what: if has_left { "left" } else { what },
            of: (state.kind() != ChainKind::User).then(|| self.subject_view(&state.id())),
            by,
            time: state.op(seq).and_then(|record| record.time),
        })
    }

    fn count_in_review(&self) -> Result<usize, DeviceError> {
        let Some(machine) = &self.machine else { return Ok(0) };
        let own = machine.own_in_review(&self.store)?.into_iter().map(|(document, _)| document);
        Ok(own.collect::<BTreeSet<ChainId>>().len())
    }

    fn count_to_decide(&self) -> Result<usize, DeviceError> {
        let Some(machine) = &self.machine else { return Ok(0) };
        let mut documents: BTreeSet<ChainId> =
            machine.reviews(&self.store)?.into_iter().map(|review| review.document).collect();
        let begun = machine.review_documents(&self.store)?;
        documents.extend(begun.iter().map(|begun| ChainId(vereda_policy::op_id_of_bytes(begun.create.bytes()).0)));
        // What was decided on here is on its way.
        let decided = self.reviews_decided()?;
        Ok(documents.iter().filter(|document| !decided.contains_key(document)).count())
    }
}
