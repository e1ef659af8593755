//! People, teams and the agency as they are shown, and how they are found by name or shortened id.

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{ChainKind, DocumentKind, Evaluator, Heads, Role};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Device, DeviceError},
    words,
};

/// Who wrote something: the device is proven by a signature, the person by policy; the name is as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorView {
    /// The device.
    pub device: Option<DeviceId>,
    /// The person.
    pub user: Option<ChainId>,
    /// The person's name, if known.
    pub name: Option<String>,
}

/// The agency and its people.
#[derive(Debug, Clone, Serialize)]
pub struct PeopleView {
    /// The agency.
    pub agency: ChainId,
    /// Its name, if known.
    pub name: Option<String>,
    /// People in it directly.
    pub people: Vec<PersonView>,
    /// Its teams.
    pub teams: Vec<TeamView>,
}

/// A team.
#[derive(Debug, Clone, Serialize)]
pub struct TeamView {
    /// The team.
    pub team: ChainId,
    /// Its name, if known.
    pub name: Option<String>,
    /// This device's person is in it.
    pub is_own: bool,
    /// People in it.
    pub people: Vec<PersonView>,
}

/// A person in a team or agency.
#[derive(Debug, Clone, Serialize)]
pub struct PersonView {
    /// The person.
    pub user: ChainId,
    /// The name, if known.
    pub name: Option<String>,
    /// The role there.
    pub role: &'static str,
    /// How many devices.
    pub devices: usize,
}

/// Why something was not found by what a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Nothing fits.
    #[error("there is no {what} of this name or id here")]
    Nothing {
        /// What was looked for.
        what: &'static str,
    },
    /// Several things fit.
    #[error("{found} fit: write more of the id")]
    Several {
        /// How many fit.
        found: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] vereda_sync::device::StoreError),
}

impl<S: DeviceStore> Device<S> {
    /// Shows the agency and its people.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn people(&self) -> Result<PeopleView, DeviceError> {
        let (user, agency) = self.home().ok_or(DeviceError::NoAgency)?;
        let teams = self.list_chains(ChainKind::Team)?.into_iter().map(|team| {
            let people = self.people_of(&team);
            let is_own = people.iter().any(|person| person.user == user);
            TeamView { team, name: self.books.names.get(&team).cloned(), is_own, people }
        });
        Ok(PeopleView {
            agency,
            name: self.books.names.get(&agency).cloned(),
            people: self.people_of(&agency),
            teams: teams.collect(),
        })
    }

    /// Finds a team or the agency: by the word `agency`, by name, or by any beginning of its id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_group(&self, text: &str) -> Result<ChainId, FindError> {
        match self.home() {
            Some((_, agency)) if text == "agency" || self.books.names.get(&agency).is_some_and(|name| name == text) => {
                Ok(agency)
            }
            _ => self.find_team(text),
        }
    }

    /// Finds a team by name or any beginning of its id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_team(&self, text: &str) -> Result<ChainId, FindError> {
        let teams = self.list_chains(ChainKind::Team)?;
        let wanted = text.trim().to_lowercase();
        let is_named = |team: &&ChainId| self.books.names.get(team).is_some_and(|name| name.to_lowercase() == wanted);
        let named: Vec<ChainId> = teams.iter().filter(is_named).copied().collect();
        if named.is_empty() { only_one("team", fitting(teams, &wanted)) } else { only_one("team", named) }
    }

    /// Finds a team, the agency or a person: by name, or by any beginning of its id; teams before people.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_subject(&self, text: &str) -> Result<ChainId, FindError> {
        match self.find_group(text) {
            Err(FindError::Nothing { .. }) => {}
            found => return found,
        }
        let people = self.list_chains(ChainKind::User)?;
        let wanted = text.trim().to_lowercase();
        let is_named = |user: &&ChainId| self.books.names.get(user).is_some_and(|name| name.to_lowercase() == wanted);
        let named: Vec<ChainId> = people.iter().filter(is_named).copied().collect();
        let what = "team or person";
        if named.is_empty() { only_one(what, fitting(people, &wanted)) } else { only_one(what, named) }
    }

    /// Finds a case by any beginning of its id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_case(&self, text: &str) -> Result<ChainId, FindError> {
        if let Ok(full) = text.parse::<ChainId>() {
            return Ok(full);
        }
        let cases = self.lines()?.into_iter().map(|(case, _)| case).collect();
        only_one("case", fitting(cases, &text.to_lowercase()))
    }

    /// Finds any document by any beginning of its id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_document(&self, text: &str) -> Result<ChainId, FindError> {
        only_one("document", fitting(self.list_chains(ChainKind::Document)?, &text.to_lowercase()))
    }

    /// Names a chain, if its name is known.
    pub fn name_of(&self, chain: &ChainId) -> Option<&str> {
        self.books.names.get(chain).map(String::as_str)
    }

    /// Names anything of which it can be decided: people, teams and the agency by their names, cases and sections by the
    /// titles at hand.
    pub(crate) fn place_name(&self, chain: &ChainId) -> Option<String> {
        if let Some(name) = self.name_of(chain) {
            return Some(name.to_owned());
        }
        match self.chain(chain)?.document_kind()? {
            DocumentKind::Case => self.line_title(chain),
            DocumentKind::Section => self.section_title(chain),
            _ => None,
        }
    }

    /// Shows who a device belongs to.
    pub(crate) fn author_view(&self, device: Option<DeviceId>) -> AuthorView {
        let user = device.and_then(|device| self.user_of(&device));
        AuthorView { device, user, name: user.and_then(|user| self.books.names.get(&user).cloned()) }
    }

    /// Lists the teams that this device's person is in.
    pub(crate) fn own_teams(&self, now: Timestamp) -> Result<Vec<ChainId>, DeviceError> {
        let mut teams = self.list_chains(ChainKind::Team)?;
        teams.retain(|team| self.content_role(team, now).is_some());
        Ok(teams)
    }

    /// This device's role over a chain's operations.
    pub(crate) fn role_over(&self, chain: &ChainId, now: Timestamp) -> Option<Role> {
        self.view(|view, device| Evaluator::new(view, device, &Heads::newest(Some(now))).authority(chain))
    }

    /// This device's role over a chain's content.
    pub(crate) fn content_role(&self, chain: &ChainId, now: Timestamp) -> Option<Role> {
        self.view(|view, device| Evaluator::new(view, device, &Heads::newest(Some(now))).role(chain))
    }

    fn user_of(&self, device: &DeviceId) -> Option<ChainId> {
        if *device == self.id() {
            return self.home().map(|(user, _)| user);
        }
        let users = self.list_chains(ChainKind::User).ok()?;
        users.into_iter().find(|user| self.chain(user).is_some_and(|state| state.device(device).is_some()))
    }

    fn people_of(&self, group: &ChainId) -> Vec<PersonView> {
        let Some(state) = self.chain(group) else { return Vec::new() };
        let mut people: Vec<PersonView> = Vec::new();
        for member in state.members().iter().filter(|member| member.until_seq.is_none()) {
            let Some(user) = self.chain(&member.subject).filter(|found| found.kind() == ChainKind::User) else {
                continue;
            };
            people.retain(|person| person.user != member.subject);
            people.push(PersonView {
                user: member.subject,
                name: self.books.names.get(&member.subject).cloned(),
                role: words::role(member.role),
                devices: user.devices().iter().filter(|device| device.until_seq.is_none()).count(),
            });
        }
        people
    }
}

/// Finds the chains whose id begins so.
pub(crate) fn fitting(chains: Vec<ChainId>, beginning: &str) -> Vec<ChainId> {
    let long_enough = beginning.len() >= 3;
    chains.into_iter().filter(|chain| long_enough && chain.to_string().starts_with(beginning)).collect()
}

/// Takes the one that was found.
pub(crate) fn only_one(what: &'static str, found: Vec<ChainId>) -> Result<ChainId, FindError> {
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(FindError::Nothing { what }),
        several => Err(FindError::Several { found: several.len() }),
    }
}
