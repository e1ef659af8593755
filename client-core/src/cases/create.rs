//! Registering a case.

use vereda_base::ChainId;
use vereda_policy::{DocumentKind, Member, Parent, ParentAuthority, Role};
use vereda_records::{Edit, Record, RecordType};
use vereda_sync::device::DeviceStore;

use super::edit::{EditCaseError, apply_edits, check_edits};
use crate::{
    cases::plain::{PlainEdit, ReadEditError},
    device::{Ambient, Device, DeviceError},
};

/// What registering takes.
#[derive(Debug, Clone, Default)]
pub struct CreateCase {
    /// The team that holds the case; may be left out where this person is in one team only.
    pub team: Option<ChainId>,
    /// First answers.
    pub answers: PlainEdit,
}

/// Why no case was registered; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum CreateCaseError {
    /// In no team.
    #[error("a case belongs to a team: make one, or join one")]
    NoTeam,
    /// In several teams.
    #[error("this person is in several teams: say which one holds the case")]
    SeveralTeams,
    /// Not a team of this person's, or not one to write in.
    #[error("not a team in which this person may register cases")]
    NotThisTeam,
    /// The team's key is not here yet.
    #[error("the team's key is on its way from a colleague's device: sync, and try again")]
    NoKey,
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
    /// Registers a case; durable when this returns.
    ///
    /// # Errors
    /// [`CreateCaseError`] by cause; nothing is kept then.
    pub fn create_case(&mut self, ambient: &mut Ambient<'_>, request: &CreateCase) -> Result<ChainId, CreateCaseError> {
        let team = self.choose_team(request.team, ambient)?;
        let empty = Record::new(RecordType::Case);
        let edits = request.answers.read(&self.books.configuration, &empty, ambient.rng)?;
        let after = apply_edits(&empty, &edits).map_err(EditCaseError::from)?;
        check_edits(&self.books.configuration, &empty, &after, &edits, ambient.now.wall)?;
        let case = self.register(ambient, team, &empty, &after, &edits);
        if case.is_err() {
            self.roll_back();
        }
        Ok(case?)
    }

    fn register(
        &mut self,
        ambient: &mut Ambient<'_>,
        team: ChainId,
        before: &Record,
        after: &Record,
        edits: &[Edit],
    ) -> Result<ChainId, DeviceError> {
        let parents = vec![Parent { chain: team, authority: ParentAuthority::Full }];
        let members = vec![Member { subject: team, role: Role::Editor }];
        let case = self.begin_document(ambient, DocumentKind::Case, RecordType::Case, parents, members)?;
        if !edits.is_empty() {
            let after = self.with_versions(after, edits);
            self.write_record(ambient, &case, before, &after)?;
        }
        self.write_line(&case)?;
        self.commit()?;
        Ok(case)
    }

    fn choose_team(&self, asked: Option<ChainId>, ambient: &Ambient<'_>) -> Result<ChainId, CreateCaseError> {
        let now = ambient.now.wall;
        let teams = self.own_teams(now)?;
        let team = match (asked, teams.as_slice()) {
            (Some(asked), teams) if teams.contains(&asked) => asked,
            (Some(_), _) => return Err(CreateCaseError::NotThisTeam),
            (None, []) => return Err(CreateCaseError::NoTeam),
            (None, [only]) => *only,
            (None, _) => return Err(CreateCaseError::SeveralTeams),
        };
        if self.content_role(&team, now) < Some(Role::Editor) {
            return Err(CreateCaseError::NotThisTeam);
        }
        let holds = self.chain(&team).is_some_and(|state| self.keyring.holds_newest(&state));
        if holds { Ok(team) } else { Err(CreateCaseError::NoKey) }
    }
}
