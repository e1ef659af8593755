//! Erasing a case or a section.

use std::collections::BTreeSet;

use serde::Serialize;
use vereda_base::{ChainId, Timestamp};
use vereda_policy::{Body, ChainKind, ChainState, DocumentKind, Parent, ParentAuthority, Role};
use vereda_sync::device::DeviceStore;

use super::{DecideError, Hindrance, SubjectView};
use crate::{
    device::{Ambient, Device, DeviceError},
    sections::NamedSection,
};

/// Why nothing was erased; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Not something that is erased.
    #[error("{chain} is no case and no section: only those are erased")]
    NotErasable {
        /// What was named.
        chain: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

/// What is erased, and what is not although it is, or may be, of the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// What is erased: the sections first, then the case.
    pub erased: Vec<SubjectView>,
    /// Sections of the case that stay.
    pub left: Vec<LeftSection>,
    /// Sections closed to this person of which it is not known here whose they are, under the teams and agencies that govern
    /// the case: those who hold them know whether they are of this case.
    pub unplaced: Vec<LeftSection>,
}

/// A section that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftSection {
    /// The section.
    #[serde(flatten)]
    pub section: SubjectView,
    /// Why it stays.
    pub why: WhyLeft,
    /// Whose Managers, or who by himself, can erase it, as far as is known here.
    pub erasable_by: Vec<SubjectView>,
}

/// Why a section stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyLeft {
    /// This person has no such right in it.
    NotAllowed,
    /// It is closed to this person, and somebody else than its beginner says in the case that it is of it: it may be another's.
    Uncertain,
    /// Nothing of it is known on this device.
    Unknown,
}

impl<S: DeviceStore> Device<S> {
    /// Erases a case with the sections of it that are known here, or a section by itself: once the relay is reached,
    /// nothing stands in it any more, and every holder deletes it. Cannot be undone. A section that this person may not erase,
    /// or of which it is not certain that it is of this case, stays and is listed; the case is erased all the same.
    ///
    /// # Errors
    /// [`EraseError`] by cause; nothing is kept then.
    pub fn erase(&mut self, ambient: &mut Ambient<'_>, document: &ChainId) -> Result<Erasure, EraseError> {
        let state = self.chain(document).ok_or(Hindrance::Unknown { chain: *document }).map_err(DecideError::from)?;
        let is_book = matches!(state.document_kind(), Some(DocumentKind::Configuration | DocumentKind::Directory));
        if state.kind() != ChainKind::Document || is_book {
            return Err(EraseError::NotErasable { chain: *document });
        }
        let now = ambient.now.wall;
        self.check_decision(document, &Body::Erase, now).map_err(DecideError::from)?;
        let (mut chains, left) = self.sort_sections(document, &state, now).map_err(DecideError::from)?;
        let spoken_of: BTreeSet<ChainId> =
            chains.iter().copied().chain(left.iter().map(|left| left.section.id)).collect();
        let unplaced = self.unplaced_sections(&state, &spoken_of, now).map_err(DecideError::from)?;
        chains.push(*document);
        // Names are known only as long as the keys are.
        let erased = chains.iter().map(|chain| self.subject_view(chain)).collect();
        self.decide(ambient, chains.into_iter().map(|chain| (chain, Body::Erase)).collect())?;
        Ok(Erasure { erased, left, unplaced })
    }

    /// Finds which sections go with a case, and which stay.
    fn sort_sections(
        &mut self,
        case: &ChainId,
        state: &ChainState,
        now: Timestamp,
    ) -> Result<(Vec<ChainId>, Vec<LeftSection>), DeviceError> {
        let certain = self.sections_of(case)?;
        let named = self.sections_ever_named_in(case)?;
        let named = named.into_iter().filter(|named| !certain.contains(&named.section)).collect::<Vec<_>>();
        let read_here =
            certain.into_iter().map(|section| NamedSection { section, title: None, is_beginners_word: true });
        let (mut goes, mut left) = (Vec::new(), Vec::new());
        for NamedSection { section, title, is_beginners_word } in read_here.chain(named) {
            if self.chain(&section).is_some_and(|state| state.is_erased()) {
                continue;
            }
            let why = match self.check_decision(&section, &Body::Erase, now) {
                Ok(()) if is_beginners_word => {
                    goes.push(section);
                    continue;
                }
                Ok(()) => WhyLeft::Uncertain,
                Err(Hindrance::Unknown { .. }) => WhyLeft::Unknown,
                Err(_) => WhyLeft::NotAllowed,
            };
            let mut view = self.subject_view(&section);
            view.kind = "section";
            view.name = view.name.or(title);
            let erasable_by = match self.chain(&section) {
                Some(section) => self.erasers(&section, now),
                // Whoever begins a section puts it before those who govern the case.
                None => self.governors_of(state),
            };
            left.push(LeftSection { section: view, why, erasable_by });
        }
        Ok((goes, left))
    }

    /// Lists the sections closed here, under those that govern a case, of which it is not known whose they are.
    fn unplaced_sections(
        &self,
        case: &ChainState,
        spoken_of: &BTreeSet<ChainId>,
        now: Timestamp,
    ) -> Result<Vec<LeftSection>, DeviceError> {
        if case.document_kind() != Some(DocumentKind::Case) {
            return Ok(Vec::new());
        }
        let mut found = BTreeSet::new();
        for parent in case.parents().filter(|parent| parent.authority != ParentAuthority::None) {
            found.extend(self.sections_governed_by(&parent.chain)?.into_iter().map(|section| section.id));
        }
        let mut unplaced = Vec::new();
        for section in found.difference(spoken_of) {
            let Some(state) = self.chain(section).filter(|state| !state.is_erased()) else { continue };
            if self.may_be_section_of(section, &case.id())? {
                let (section, erasable_by) = (self.subject_view(section), self.erasers(&state, now));
                unplaced.push(LeftSection { section, why: WhyLeft::Uncertain, erasable_by });
            }
        }
        Ok(unplaced)
    }

    /// Lists who can erase a section: the Managers of those that govern it, and who is Manager of it.
    fn erasers(&self, section: &ChainState, now: Timestamp) -> Vec<SubjectView> {
        let head = section.head_seq();
        let held = section.members().iter().filter(|held| held.stands_at(head, Some(now)));
        let managers: BTreeSet<ChainId> =
            held.filter(|held| held.role == Role::Manager).map(|held| held.subject).collect();
        let mut found = self.governors_of(section);
        let named: BTreeSet<ChainId> = found.iter().map(|subject| subject.id).collect();
        found.extend(managers.difference(&named).map(|manager| self.subject_view(manager)));
        found
    }

    fn governors_of(&self, document: &ChainState) -> Vec<SubjectView> {
        let governs = |parent: &&Parent| parent.authority != ParentAuthority::None;
        document.parents().filter(governs).map(|parent| self.subject_view(&parent.chain)).collect()
    }
}
