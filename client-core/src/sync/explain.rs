//! Why is this document not synced yet: one answer.

use serde::Serialize;
use vereda_base::ChainId;
use vereda_sync::device::{DeviceStore, SyncState};

use crate::device::{Device, DeviceError};

/// One answer per document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// One word, for scripts.
    pub state: &'static str,
    /// One sentence, for people.
    pub sentence: String,
}

impl<S: DeviceStore> Device<S> {
    /// Tells how far a document is synced, and why not further.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn explain(&self, document: &ChainId) -> Result<Explanation, DeviceError> {
        if self.chain(document).is_none() {
            return Ok(explanation("unknown", "Nothing of it is known on this device."));
        }
        if self.keyring.key(document, 0).is_none() {
            return Ok(explanation(
                "waiting_for_key",
                "It cannot be opened yet: its key is on its way from a colleague's device.",
            ));
        }
        let state = self.sync_state(document)?;
        let has_edits = self.unsealed.contains(document);
        Ok(match state {
            SyncState::Acknowledged | SyncState::Unknown if has_edits && self.is_live() => {
                explanation("saved", "Saved on this device; it is being sent.")
            }
            SyncState::Acknowledged | SyncState::Unknown | SyncState::Offline { .. } | SyncState::NotSent { .. }
                if has_edits =>
            {
                explanation("saved", "Saved on this device; it is sent when the relay is reached.")
            }
            state => of_state(state),
        })
    }
}

fn explanation(state: &'static str, sentence: impl Into<String>) -> Explanation {
    Explanation { state, sentence: sentence.into() }
}

fn of_state(state: SyncState) -> Explanation {
    match state {
        SyncState::Acknowledged => {
            explanation("synced", "Everything of it is at the relay, and everything the relay had is here.")
        }
        SyncState::Quarantined { chunks, .. } => explanation(
            "quarantined",
            format!(
                "{chunks} of its chunks break a rule and were set aside as evidence: tell whoever runs your agency."
            ),
        ),
        SyncState::Refused { chunks, code } => explanation(
            "refused",
            format!("The relay refused {chunks} of its chunks made here: {code}. They are kept on this device."),
        ),
        SyncState::InReview { .. } => explanation(
            "in_review",
            "It came after your rights had ended: a Manager decides whether it counts. It is kept on this device.",
        ),
        SyncState::OpRefused { code } => {
            explanation("refused", format!("The relay refused the document: {code}. It is kept on this device."))
        }
        SyncState::WaitingForPolicy { .. } => {
            explanation("waiting", "Something of it waits for news about who may do what.")
        }
        SyncState::WaitingForChunks { .. } => {
            explanation("waiting", "Something of it waits for an earlier part that is on its way.")
        }
        SyncState::Overfull { .. } => explanation(
            "waiting",
            "More of it waits for what is missing than this device keeps; it is fetched again once that has come.",
        ),
        SyncState::Backfilling { .. } => explanation("fetching", "Its earlier history is being fetched."),
        SyncState::Offline { reason, .. } => {
            explanation("saved", format!("Saved on this device; it is sent when the relay is reached ({reason})."))
        }
        SyncState::NotSent { .. } => explanation("saved", "Saved on this device; it is about to be sent."),
        SyncState::Sent { .. } => explanation("sent", "Sent; the relay has not confirmed it yet."),
        SyncState::Unknown => explanation("unknown", "Nothing of it is known on this device."),
        // States to come are told by their nature: something is still under way.
        #[allow(unreachable_patterns, reason = "the machine may learn further states")]
        _ => explanation("waiting", "Something of it is still under way."),
    }
}
