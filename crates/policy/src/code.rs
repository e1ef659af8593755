//! Codes of operation bodies, those to come included.

use std::fmt;

use vereda_base::LogSafe;

use crate::Body;

/// The code that an operation's body carries in its encoding. A released code keeps its meaning for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BodyCode(pub u32);

impl BodyCode {
    /// [`Body::Create`].
    pub const CREATE: Self = Self(0);
    /// [`Body::AddDevice`].
    pub const ADD_DEVICE: Self = Self(1);
    /// [`Body::RemoveDevice`].
    pub const REMOVE_DEVICE: Self = Self(2);
    /// [`Body::Grant`].
    pub const GRANT: Self = Self(3);
    /// [`Body::Revoke`].
    pub const REVOKE: Self = Self(4);
    /// [`Body::Assign`].
    pub const ASSIGN: Self = Self(5);
    /// [`Body::Expire`].
    pub const EXPIRE: Self = Self(6);
    /// [`Body::Invite`].
    pub const INVITE: Self = Self(7);
    /// [`Body::Accept`].
    pub const ACCEPT: Self = Self(8);
    /// [`Body::CancelInvite`].
    pub const CANCEL_INVITE: Self = Self(9);
    /// [`Body::Rotate`].
    pub const ROTATE: Self = Self(10);
    /// [`Body::Repair`].
    pub const REPAIR: Self = Self(11);
    /// [`Body::BadRotate`].
    pub const BAD_ROTATE: Self = Self(12);
    /// [`Body::Adopt`].
    pub const ADOPT: Self = Self(13);
    /// [`Body::Discard`].
    pub const DISCARD: Self = Self(14);
    /// [`Body::Beacon`].
    pub const BEACON: Self = Self(15);
    /// [`Body::SetRetention`].
    pub const SET_RETENTION: Self = Self(16);
    /// [`Body::Erase`].
    pub const ERASE: Self = Self(17);
    /// Reserved: lets a restored relay serve again.
    pub const RESUME: Self = Self(18);
}

impl Body {
    /// Names the body's code.
    pub const fn code(&self) -> BodyCode {
        match self {
            Self::Create(_) => BodyCode::CREATE,
            Self::AddDevice(_) => BodyCode::ADD_DEVICE,
            Self::Grant(_) => BodyCode::GRANT,
            Self::Invite(_) => BodyCode::INVITE,
            Self::Accept(_) => BodyCode::ACCEPT,
            Self::Repair(_) => BodyCode::REPAIR,
            Self::RemoveDevice(_) => BodyCode::REMOVE_DEVICE,
            Self::Revoke(_) => BodyCode::REVOKE,
            Self::Assign(_) => BodyCode::ASSIGN,
            Self::Expire(_) => BodyCode::EXPIRE,
            Self::CancelInvite(_) => BodyCode::CANCEL_INVITE,
            Self::Rotate(_) => BodyCode::ROTATE,
            Self::BadRotate(_) => BodyCode::BAD_ROTATE,
            Self::Adopt(_) => BodyCode::ADOPT,
            Self::Discard(_) => BodyCode::DISCARD,
            Self::Beacon(_) => BodyCode::BEACON,
            Self::SetRetention(_) => BodyCode::SET_RETENTION,
            Self::Erase => BodyCode::ERASE,
        }
    }
}

impl fmt::Display for BodyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::CREATE => "Create",
            Self::ADD_DEVICE => "AddDevice",
            Self::REMOVE_DEVICE => "RemoveDevice",
            Self::GRANT => "Grant",
            Self::REVOKE => "Revoke",
            Self::ASSIGN => "Assign",
            Self::EXPIRE => "Expire",
            Self::INVITE => "Invite",
            Self::ACCEPT => "Accept",
            Self::CANCEL_INVITE => "CancelInvite",
            Self::ROTATE => "Rotate",
            Self::REPAIR => "Repair",
            Self::BAD_ROTATE => "BadRotate",
            Self::ADOPT => "Adopt",
            Self::DISCARD => "Discard",
            Self::BEACON => "Beacon",
            Self::SET_RETENTION => "SetRetention",
            Self::ERASE => "Erase",
            Self::RESUME => "Resume",
            Self(code) => return write!(f, "body {code}"),
        };
        f.write_str(name)
    }
}

impl LogSafe for BodyCode {}
