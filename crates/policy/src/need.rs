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
    /// At least this role by authority, or Manager of a parent that may at least revoke; whoever ends his own user's roles
    /// needs neither.
    Ending(Role),
    /// At least this role by authority; of a section also Manager of a parent that may at least revoke: erasing reads no more
    /// than ending roles does.
    Erasing(Role),
    /// A device of the user, a recovery key included.
    OwnDevice,
    /// A device of the user, a recovery key included; or a Manager of an agency that the user belongs to, directly or by
    /// one of its teams.
    Removing,
}

/// Tells what writing a body in a chain of this kind needs; `None` where no such body has a place.
pub const fn need(body: BodyCode, kind: ChainKind) -> Option<Need> {
    use ChainKind::{Agency, Document, Team, User};
    match (body, kind) {
        (BodyCode::CREATE, _) => Some(Need::Founding),
        (BodyCode::ADD_DEVICE, User) => Some(Need::OwnDevice),
        (BodyCode::REMOVE_DEVICE, User) => Some(Need::Removing),
        (BodyCode::GRANT | BodyCode::INVITE | BodyCode::CANCEL_INVITE, Team | Agency | Document) => {
            Some(Need::Authority(Role::Manager))
        }
        (BodyCode::REVOKE, Team | Agency | Document) => Some(Need::Ending(Role::Manager)),
        (BodyCode::EXPIRE, Team | Agency | Document) => Some(Need::Authority(Role::Editor)),
        (BodyCode::ASSIGN, Document) => Some(Need::Authority(Role::Manager)),
        (BodyCode::ERASE, Document) => Some(Need::Erasing(Role::Manager)),
        (BodyCode::ACCEPT, Team | Agency | Document) => Some(Need::Invitation),
        (BodyCode::REPAIR | BodyCode::ROTATE | BodyCode::BAD_ROTATE, _) => Some(Need::Member(Role::Reader)),
        (BodyCode::ADOPT | BodyCode::DISCARD, _) => Some(Need::Content(Role::Manager)),
        (BodyCode::BEACON | BodyCode::SET_RETENTION, Agency) => Some(Need::Member(Role::Manager)),
        _ => None,
    }
}
