//! Why is this document not synced yet: one answer.

use serde::Serialize;
use vereda_base::ChainId;
use vereda_policy::DocumentKind;
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
        if self.chain(document).is_some_and(|state| state.is_erased()) {
            return Ok(explanation(
                "erased",
                "It was erased: nothing stands in it any more, and it was destroyed here.",
            ));
        }
        let is_member = self.view(|view, device| {
            vereda_policy::membership(view, &device, document, &vereda_policy::Heads::newest(None)).is_some()
        });
        let is_locked = self.keyring.key(document, 0).is_none();
        if is_locked && !is_member && !self.was_read_here(document) {
            return Ok(explanation(
                "closed",
                "It is closed to you: you see who has access and may end that, and nothing of what it says.",
            ));
        }
        if is_locked && !is_member {
            return self.explain_left(document);
        }
        if is_locked {
            return Ok(explanation(
                "waiting_for_key",
                "It cannot be opened yet: its key is on its way from a colleague's device.",
            ));
        }
        if let Some(stuck) = self.stuck.get(document).filter(|_| self.unsealed.contains(document)) {
            let sentence = format!(
                "What was written here last cannot be sent as it stands: {}. It is kept on this device.",
                stuck.reason
            );
            return Ok(explanation("refused", sentence));
        }
        let state = self.sync_state(document)?;
        let has_edits = self.unsealed.contains(document);
        let waits = self.is_live() && matches!(state, SyncState::Acknowledged | SyncState::NeedsResealing { .. });
        if waits
            && self.view(|view, _| vereda_policy::is_stale(view, document, None))
            && (has_edits || !matches!(state, SyncState::Acknowledged))
        {
            return Ok(explanation(
                "waiting_for_new_key",
                "Saved on this device; it is sent under a new key, because somebody who held the old one has left.",
            ));
        }
        Ok(match state {
            SyncState::Acknowledged | SyncState::Unknown if has_edits && self.is_live() => {
                explanation("saved", "Saved on this device; it is being sent.")
            }
            SyncState::Acknowledged | SyncState::Unknown | SyncState::Offline { .. } | SyncState::NotSent { .. }
                if has_edits =>
            {
                explanation("saved", "Saved on this device; it is sent when the relay is reached.")
            }
            SyncState::Acknowledged if let Some(comes) = self.waits_for_part(document) => of_part(comes),
            state => of_state(state),
        })
    }
}

impl<S: DeviceStore> Device<S> {
    /// Says whether anything of a document's content ever came here, or was made here.
    fn was_read_here(&self, document: &ChainId) -> bool {
        let is_section = self.chain(document).and_then(|state| state.document_kind()) == Some(DocumentKind::Section);
        // Where the store fails, the next use of it says so.
        !is_section || self.chunk_count(document).is_ok_and(|count| count > 0)
    }

    /// Tells what became of what was made here in a document that this device may not read any more.
    fn explain_left(&self, document: &ChainId) -> Result<Explanation, DeviceError> {
        Ok(match self.sync_state(document)? {
            SyncState::Acknowledged | SyncState::Unknown => explanation(
                "left",
                "This device may not read it any more: its key and its content were destroyed here.",
            ),
            state => of_state(state),
        })
    }
}

fn explanation(state: &'static str, sentence: impl Into<String>) -> Explanation {
    Explanation { state, sentence: sentence.into() }
}

/// Of a document all of which is here, and of which part does not open.
fn of_part(comes: bool) -> Explanation {
    explanation(
        "waiting_for_key",
        if comes {
            "Part of it cannot be shown yet: its key is on its way from a colleague's device."
        } else {
            "Part of it was written under a key that somebody called bad and that is not here. All else is shown; that part \
             is too once a colleague's device passes the key on."
        },
    )
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
        SyncState::InReview { .. } | SyncState::OpInReview => explanation(
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
        SyncState::NeedsResealing { .. } => {
            explanation("sealing_again", "Saved on this device; it is sealed again under the newest key, and sent.")
        }
        SyncState::NeedsRemaking { .. } => explanation(
            "remaking",
            "Part of what it was built on does not stand; what was written here is put on what does.",
        ),
        SyncState::Excluded { chunks } => explanation(
            "excluded",
            format!("{chunks} of its chunks came from somebody whose rights had ended, and are not shown."),
        ),
        SyncState::WaitingForFrontier { .. } => {
            explanation("waiting", "It is being found out whether part of it came before its author's rights ended.")
        }
        SyncState::NotSent { .. } => explanation("saved", "Saved on this device; it is about to be sent."),
        SyncState::Sent { .. } => explanation("sent", "Sent; the relay has not confirmed it yet."),
        SyncState::Unknown => explanation("unknown", "Nothing of it is known on this device."),
        // States to come are told by their nature: something is still under way.
        #[allow(unreachable_patterns, reason = "the machine may learn further states")]
        _ => explanation("waiting", "Something of it is still under way."),
    }
}
