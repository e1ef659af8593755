//! Beginning a restricted section of a case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vereda_base::ChainId;
use vereda_policy::{DocumentKind, DraftError, Member, Parent, ParentAuthority, Role};
use vereda_records::{Record, RecordType};
use vereda_sync::device::DeviceStore;

use super::records::{with_case, with_section};
use crate::{
    access::Hindrance,
    cases::{
        EditCaseError, apply_edits, check_edits,
        plain::{PlainEdit, ReadEditError},
    },
    device::{Ambient, Device, DeviceError},
    directory,
};

/// What the case's record says of a section. Whoever reads the case reads that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noted {
    /// Nothing: only those who read the section know that there is one.
    #[default]
    Nothing,
    /// That there is one.
    Existence,
    /// That there is one, and its title.
    Title,
}

/// What beginning a section takes.
#[derive(Debug, Clone)]
pub struct CreateSection {
    /// The case.
    pub case: ChainId,
    /// The title; sealed in the section.
    pub title: String,
    /// Who reads it beside this device's person: people, or teams.
    pub members: Vec<Member>,
    /// What the case's record says of it.
    pub noted: Noted,
    /// First answers, to fields of the case's forms.
    pub answers: PlainEdit,
}

/// Why no section was begun; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum CreateSectionError {
    /// Not a case.
    #[error("{chain} is no case of this device's: sections belong to cases")]
    NotACase {
        /// What was named.
        chain: ChainId,
    },
    /// The title is empty or too long.
    #[error("a title is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Title,
    /// Only readers in the owning team.
    #[error("only an Editor of the team that owns the case may begin a section of it")]
    NotAllowed,
    /// Policy, as far as it is known here.
    #[error(transparent)]
    Hindered(#[from] Hindrance),
    /// The answers do not read.
    #[error(transparent)]
    Read(#[from] ReadEditError),
    /// The answers break a rule.
    #[error(transparent)]
    Edit(#[from] EditCaseError),
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Begins a restricted section of a case; complete offline. The Managers of the owning team may end roles in it, and
    /// do not read it unless they are members. This device's person gets the role that he has in the team: where that is
    /// Editor, nobody can be let in later, only put out.
    ///
    /// # Errors
    /// [`CreateSectionError`] by cause; nothing is kept then.
    pub fn create_section(
        &mut self,
        ambient: &mut Ambient<'_>,
        request: &CreateSection,
    ) -> Result<ChainId, CreateSectionError> {
        if !directory::is_name(&request.title) {
            return Err(CreateSectionError::Title);
        }
        let before = self.record(&request.case)?;
        let (parents, members) = self.place_section(ambient, request)?;
        let empty = Record::new(RecordType::Case);
        let edits = request.answers.read(&self.books.configuration, &empty, ambient.rng)?;
        let after = apply_edits(&empty, &edits).map_err(EditCaseError::from)?;
        check_edits(&self.books.configuration, &empty, &after, &edits, ambient.now.wall)?;
        let after = with_case(self.with_versions(&after, &edits), &request.case, request.title.trim());
        let begun = self.begin_section(ambient, request, (parents, members), &before, &after);
        if begun.is_err() {
            self.roll_back();
        }
        begun.map_err(|error| match error {
            DeviceError::Draft(error @ (DraftError::NoPath { .. } | DraftError::UnknownChain { .. })) => {
                Hindrance::from(error).into()
            }
            DeviceError::Enqueue(vereda_sync::device::EnqueueError::Op(refusal)) => Hindrance::from(refusal).into(),
            error => error.into(),
        })
    }

    /// Finds who governs and who holds the new section.
    fn place_section(
        &self,
        ambient: &Ambient<'_>,
        request: &CreateSection,
    ) -> Result<(Vec<Parent>, Vec<Member>), CreateSectionError> {
        let not_a_case = CreateSectionError::NotACase { chain: request.case };
        let (Some(state), Some((user, _))) = (self.chain(&request.case), self.home()) else { return Err(not_a_case) };
        if state.document_kind() != Some(DocumentKind::Case) {
            return Err(not_a_case);
        }
        let owners = state.parents().filter(|parent| parent.authority == ParentAuthority::Full);
        let mut parents: Vec<Parent> =
            owners.map(|parent| Parent { authority: ParentAuthority::RevokeOnly, ..*parent }).collect();
        let now = ambient.now.wall;
        // Nobody puts a section before those of a group that he does not belong to.
        parents.retain(|parent| self.content_role(&parent.chain, now).is_some());
        let own = parents.iter().filter_map(|parent| self.content_role(&parent.chain, now)).max();
        let own = own.filter(|role| *role >= Role::Editor).ok_or(CreateSectionError::NotAllowed)?;
        let mut members: BTreeMap<ChainId, Role> = BTreeMap::from([(user, own)]);
        for member in &request.members {
            let role = members.entry(member.subject).or_insert(member.role);
            *role = (*role).max(member.role);
        }
        Ok((parents, members.into_iter().map(|(subject, role)| Member { subject, role }).collect()))
    }

    fn begin_section(
        &mut self,
        ambient: &mut Ambient<'_>,
        request: &CreateSection,
        (parents, members): (Vec<Parent>, Vec<Member>),
        case: &Record,
        after: &Record,
    ) -> Result<ChainId, DeviceError> {
        let kind = RecordType::Case;
        let section = self.begin_document(ambient, DocumentKind::Section, kind, parents, members)?;
        self.write_record(ambient, &section, &Record::new(kind), after)?;
        self.write_line(&section)?;
        let title = match request.noted {
            Noted::Nothing => None,
            Noted::Existence => Some(None),
            Noted::Title => Some(Some(request.title.trim())),
        };
        if let Some(title) = title {
            let noted = with_section(case.clone(), &section, title);
            self.write_record(ambient, &request.case, case, &noted)?;
            self.write_line(&request.case)?;
        }
        self.commit()?;
        Ok(section)
    }
}
