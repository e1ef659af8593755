//! This device at a glance.

use std::collections::BTreeSet;

use serde::Serialize;
use vereda_base::{ChainId, DeviceId};
use vereda_sync::device::{DeviceStore, OutboxItem};

use super::RelayFaultView;
use crate::device::{Device, DeviceError};

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
    /// One word for where the person stands: `none`, `pending`, `waiting_for_key`, `member`.
    pub membership: &'static str,
    /// Cases here.
    pub cases: usize,
    /// Documents whose key is not here yet.
    pub locked: usize,
    /// Documents with edits that are not at the relay yet.
    pub pending_documents: usize,
    /// Decisions about people that wait for the relay: teams begun, grants, invites, acceptances.
    pub pending_operations: usize,
    /// Decisions of this device that came too late or were refused, and that nobody put away yet.
    pub failed_operations: usize,
    /// What speaks against the relay.
    pub relay_faults: Vec<RelayFaultView>,
    /// Everything the relay had is here and opened, and everything made here is there.
    pub settled: bool,
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
            pending_documents: self.pending_documents()?.len(),
            pending_operations: operations,
            failed_operations: self.count_failed_decisions()?,
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
        match (is_member, self.chain(&agency)) {
            (true, Some(state)) if self.keyring.holds_newest(&state) && has_user => "member",
            (true, Some(state)) if !self.keyring.holds_newest(&state) => "waiting_for_key",
            _ => "pending",
        }
    }
}
