//! Who is who: founding an agency, teams, inviting people, joining. Everything is begun offline; what policy orders is
//! stated as an intent and becomes final when the relay is reached.

mod create_agency;
mod create_team;
mod enter_name;
mod invite;
mod join;

pub use create_agency::{CreateAgency, CreateAgencyError};
pub use create_team::CreateTeamError;
pub use invite::{InviteError, InviteRequest, InviteState, InviteView};
pub use join::JoinError;
