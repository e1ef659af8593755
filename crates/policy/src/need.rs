//! Who may write which operation: the one table.

use crate::{BodyCode, ChainKind, Role};

/// What an author must be to write an operation, or content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What the chain that is begun asks for (see [`crate::authorize`]).
    Founding,
    /// The secret of an open invite, and a device of the user who joins.
    Invitation,
    /// At least this role on a path of members.
    Member(Role),
    /// At least this role, by membership or as a Manager of a parent with full authority.
    Authority(Role),
    /// A member, whose role is at least this when authority from above is counted: what content asks for.
    Content(Role),
}

/// Tells what writing a body in a chain of this kind needs; `None` where no such body has a place.
pub const fn need(body: BodyCode, kind: ChainKind) -> Option<Need> {
    match (body, kind) {
        (BodyCode::CREATE, _) => Some(Need::Founding),
        (BodyCode::ADD_DEVICE, ChainKind::User) => Some(Need::Member(Role::Manager)),
        (BodyCode::GRANT | BodyCode::INVITE, ChainKind::Team | ChainKind::Agency | ChainKind::Document) => {
            Some(Need::Authority(Role::Manager))
        }
        (BodyCode::ACCEPT, ChainKind::Team | ChainKind::Agency | ChainKind::Document) => Some(Need::Invitation),
        (BodyCode::REPAIR, _) => Some(Need::Member(Role::Reader)),
        _ => None,
    }
}
