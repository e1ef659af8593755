//! What a device does by itself: opens keys, introduces itself, repairs, seals, and brings lists up to date.

use vereda_base::ChainId;
use vereda_policy::{ChainKind, ChainState};
use vereda_sync::device::DeviceStore;

use super::{Ambient, Device, DeviceError, DocumentError, books::Brought};
use crate::facts::{Introduction, save_deceived};

/// Documents brought up to date before others get a turn.
const DOCUMENTS: usize = 8;
/// Documents whose edits are sealed in one transaction.
const SEALS: usize = 16;

/// What one step of work came to.
#[derive(Debug, Default)]
pub struct Step {
    /// Documents that others' changes reached.
    pub changed: Vec<ChainId>,
    /// There is more to do at once.
    pub is_more: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Does a bounded part of what is to be done; each part is committed.
    ///
    /// # Errors
    /// [`DeviceError`] by cause; what is left is tried again at the next call.
    pub fn work(&mut self, ambient: &mut Ambient<'_>) -> Result<Step, DeviceError> {
        let mut is_more = self.find_erased();
        if self.has_lost {
            self.leave_lost(ambient)?;
        }
        self.rebuild_excluded()?;
        self.time_rotations(ambient);
        if std::mem::take(&mut self.keys_may_open) {
            self.note_books()?;
            self.open_keys()?;
            self.note_introduced()?;
            self.finish_handovers()?;
            self.unsealable.clear();
        }
        if self.contact.is_caught_up {
            if !self.holds_promised_heads(ambient)? {
                return Ok(Step::default());
            }
            is_more |= self.work_as_member(ambient)?;
        }
        // Not before the relay's welcome: it may know more of this device than the device itself, and then the store was
        // restored from a copy, and no place in a sequence may be used twice.
        if self.contact.is_live && !self.contact.is_deceived && self.may_seal() {
            self.seal_all(ambient, SEALS)?;
            if self.may_seal() {
                // All that was made here is on its way before what others made is looked at.
                return Ok(Step { changed: Vec::new(), is_more: true });
            }
        }
        let changed = self.absorb(DOCUMENTS)?;
        if self.books.has_new_columns {
            self.find_stale()?;
        }
        is_more |= !self.stale.is_empty() || self.keys_may_open || !self.remaking.is_empty();
        Ok(Step { changed, is_more })
    }

    /// Does what is done with the relay at hand and everything of it here; commits. Says whether there is more of it.
    fn work_as_member(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        if self.is_recovery_key() {
            // It is a member nowhere: what it would repair or renew, policy forbids it.
            self.repairing.clear();
            self.unswept.clear();
            return Ok(false);
        }
        match self.enter_names(ambient) {
            // A new incarnation comes first.
            Err(DeviceError::Document(DocumentError::Eclipsed { .. })) => return Ok(true),
            entered => entered?,
        }
        let mut is_more = self.repair(ambient)?;
        is_more |= self.renew_groups(ambient)?;
        is_more |= self.reseal_all(ambient)?;
        self.sign_beacon(ambient)?;
        Ok(is_more)
    }

    fn enter_names(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        self.enter_name(ambient)?;
        self.enter_device_name(ambient)?;
        self.restate_names(ambient)
    }

    /// Brings up to `most` documents and their lines in lists up to date; commits.
    fn absorb(&mut self, most: usize) -> Result<Vec<ChainId>, DeviceError> {
        let documents = self.next_stale(most);
        let mut changed = Vec::new();
        for document in documents.iter().copied() {
            self.stale.remove(&document);
            match self.bring_up(&document) {
                Ok(Brought::News) => changed.push(document),
                Ok(Brought::Same) => {}
                Ok(Brought::Locked) => {
                    self.locked.insert(document);
                }
                Err(DeviceError::Document(error)) if !matches!(error, DocumentError::Store(_)) => {
                    tracing::warn!(%error, "document left aside");
                }
                Err(error) => {
                    self.stale.insert(document);
                    return Err(error);
                }
            }
        }
        if !documents.is_empty() {
            self.commit()?;
        }
        Ok(changed)
    }

    /// Picks what is brought up to date next: the books, since lines show what they say; then what is open already.
    fn next_stale(&self, most: usize) -> Vec<ChainId> {
        let books = [self.books.configuration_document, self.books.directory_document];
        let rank = |document: &ChainId| match books.contains(&Some(*document)) {
            true => 0,
            false if self.open.contains_key(document) => 1,
            false => 2,
        };
        let of_rank = |wanted: u8| self.stale.iter().filter(move |document| rank(document) == wanted);
        of_rank(0).chain(of_rank(1)).chain(of_rank(2)).take(most).copied().collect()
    }

    /// Goes on as a member once the relay holds what made the device one.
    fn note_introduced(&mut self) -> Result<(), DeviceError> {
        let Some(membership) = &self.membership else { return Ok(()) };
        let (user, agency) = (membership.user, membership.agency);
        let has_receipt = |chain: &ChainId| self.chain(chain).is_some_and(|state| state.last_time().is_some());
        let is_known = match &membership.introduction {
            Introduction::Known => return Ok(()),
            Introduction::Linked => {
                let is_standing =
                    |state: &ChainState| state.device(&self.id()).is_some_and(|own| own.stands_at(state.head_seq()));
                self.chain(&user).is_some_and(|state| is_standing(&state))
            }
            Introduction::Founding(_) => has_receipt(&user) && has_receipt(&agency),
            Introduction::Invite { chain, .. } => self.chain(chain).is_some_and(|state| {
                let stands = |member: &vereda_policy::Membership| member.stands_at(state.head_seq(), None);
                state.kind() != ChainKind::User
                    && state.members().iter().any(|member| member.subject == user && stands(member))
            }),
        };
        if !is_known {
            return Ok(());
        }
        if let Some(membership) = &mut self.membership {
            membership.introduction = Introduction::Known;
            membership.save(&mut self.store)?;
            let credential = membership.credential();
            if let Some(machine) = &mut self.machine {
                machine.set_credential(credential);
            }
        }
        self.commit()
    }

    /// Checks what the relay served against the heads that came with the invite: a relay that holds one of them back
    /// serves another past. Then nothing is sent to it, and that it was so outlives a restart; it is asked again whenever
    /// somebody goes online, and forgiven when it serves them.
    fn holds_promised_heads(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        let Some(membership) = &self.membership else { return Ok(true) };
        if membership.heads.is_empty() || !matches!(membership.introduction, Introduction::Known) {
            return Ok(true);
        }
        let missing = self.view(|view, _| {
            let known = |cite: &&vereda_policy::Cite| {
                view.chain(&cite.chain).is_none_or(|state| state.seq_of(&cite.head).is_none())
            };
            membership.heads.iter().find(known).copied()
        });
        if let Some(cite) = missing {
            tracing::error!(chain = %cite.chain, head = %cite.head, "the relay serves another past");
            self.contact.is_deceived = true;
            save_deceived(&mut self.store, true)?;
            self.go_offline(ambient)?;
            return Ok(false);
        }
        if let Some(membership) = &mut self.membership {
            membership.heads.clear();
            membership.save(&mut self.store)?;
        }
        if std::mem::take(&mut self.contact.is_deceived) {
            save_deceived(&mut self.store, false)?;
        }
        self.commit()?;
        Ok(true)
    }
}
