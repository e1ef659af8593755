//! What is decided and not final, as it is shown.

use std::collections::BTreeMap;

use serde::Serialize;
use vereda_base::{ChainId, Timestamp, decode, limits::MAX_SEALED_TEXT_BYTES};
use vereda_policy::{Body, Role};
use vereda_sync::device::DeviceStore;

use super::{About, decisions::StoredDecision, open_text, refer::Purpose};
use crate::{
    device::{Device, DeviceError},
    words,
};

/// How a decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionState {
    /// Stored here; it becomes final when the relay is reached.
    Pending,
    /// It will not come to be.
    Failed,
}

/// Why a removal is put off.
const BUSY: &str = "the relay found again and again that more was done meanwhile by those whom it concerns; it is tried again by itself";

/// A decision of this device that is not final, or failed.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionView {
    /// Names it on this device.
    pub decision: u64,
    /// Where: a case, a section, a team or the agency.
    pub chain: ChainId,
    /// Its name, if it has one that is known.
    pub name: Option<String>,
    /// What is done, in one word: `grant`, `revoke`, `lower`, `assign`, `cancel_invite`, `set_retention`, `erase`, `adopt`,
    /// `discard`.
    pub action: &'static str,
    /// Whom it concerns.
    pub subject: Option<ChainId>,
    /// The name of that, if known.
    pub subject_name: Option<String>,
    /// The role given or left.
    pub role: Option<&'static str>,
    /// Until when a role is given, in milliseconds since 1970 by the relay's clock.
    pub until: Option<Timestamp>,
    /// Why a role is given, where something was said that can be read here.
    pub purpose: Option<String>,
    /// Where the consent to it is recorded.
    pub consent: Option<String>,
    /// When it was made, in milliseconds since 1970 by this device's clock.
    pub stated: Timestamp,
    /// How it stands.
    pub state: DecisionState,
    /// Why it failed.
    pub reason: Option<String>,
    /// Why it is put off, if it is.
    pub waits: Option<&'static str>,
}

impl<S: DeviceStore> Device<S> {
    /// Lists the decisions of this device that are not final, or failed and were not put away; oldest first.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn decisions(&self) -> Result<Vec<DecisionView>, DeviceError> {
        let stored = self.stored_decisions()?;
        Ok(stored.into_iter().map(|(row, is_pending)| self.view_decision(row, is_pending)).collect())
    }

    /// Counts the decisions that failed and were not put away.
    pub(crate) fn count_failed_decisions(&self) -> Result<usize, DeviceError> {
        Ok(self.stored_decisions()?.iter().filter(|(_, is_pending)| !is_pending).count())
    }

    fn open_purpose(&self, chain: &ChainId, sealed: Option<&[u8]>) -> Option<Purpose> {
        let bytes = open_text(&self.keyring, &*self.chain(chain)?, About::Purpose, sealed?)?;
        decode(&bytes, MAX_SEALED_TEXT_BYTES).ok()
    }

    /// Lists the documents in review that were decided on here and not finally yet, each with what was decided.
    pub(crate) fn reviews_decided(&self) -> Result<BTreeMap<ChainId, &'static str>, DeviceError> {
        let mut decided = BTreeMap::new();
        for (row, is_pending) in self.stored_decisions()? {
            let documents: Vec<ChainId> = match &row.body {
                Body::Adopt(adopt) => adopt.documents.iter().map(|adopted| adopted.document).collect(),
                Body::Discard(discard) => discard.documents.clone(),
                _ => continue,
            };
            let (action, ..) = describe(&row.body);
            if is_pending {
                let one = documents.is_empty().then_some(row.chain);
                decided.extend(documents.into_iter().chain(one).map(|document| (document, action)));
            }
        }
        Ok(decided)
    }

    fn view_decision(&self, row: StoredDecision, is_pending: bool) -> DecisionView {
        let (action, subject, role) = describe(&row.body);
        let put_off = self.machine.as_ref().is_some_and(|machine| machine.waits_for_frontier(row.intent).is_some());
        let lost = || "it is not in the chain, and why was not noted".to_owned();
        let (until, purpose) = match &row.body {
            Body::Grant(grant) => (grant.expires, self.open_purpose(&row.chain, grant.sealed_purpose.as_deref())),
            _ => (None, None),
        };
        DecisionView {
            until,
            purpose: purpose.as_ref().and_then(|purpose| purpose.purpose.clone()),
            consent: purpose.and_then(|purpose| purpose.consent),
            decision: row.intent.0,
            chain: row.chain,
            name: self.place_name(&row.chain),
            action,
            subject,
            subject_name: subject.and_then(|subject| self.name_of(&subject).map(str::to_owned)),
            role: role.map(words::role),
            stated: row.stated,
            state: if is_pending { DecisionState::Pending } else { DecisionState::Failed },
            reason: (!is_pending).then(|| row.failure.unwrap_or_else(lost)),
            waits: put_off.then_some(BUSY),
        }
    }
}

/// Tells what a body does, to whom, and which role it gives or leaves.
fn describe(body: &Body) -> (&'static str, Option<ChainId>, Option<Role>) {
    match body {
        Body::Grant(grant) => ("grant", Some(grant.subject), Some(grant.role)),
        Body::Revoke(revoke) if revoke.keeps.is_some() => ("lower", Some(revoke.subject), revoke.keeps),
        Body::Revoke(revoke) => ("revoke", Some(revoke.subject), None),
        Body::Assign(assign) => {
            let to = assign.gives.first();
            ("assign", to.map(|member| member.subject), to.map(|member| member.role))
        }
        Body::CancelInvite(_) => ("cancel_invite", None, None),
        Body::SetRetention(_) => ("set_retention", None, None),
        Body::Erase => ("erase", None, None),
        Body::Adopt(_) => ("adopt", None, None),
        Body::Discard(_) => ("discard", None, None),
        _ => ("other", None, None),
    }
}
