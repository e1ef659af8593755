//! Roles, chain kinds and what a parent's Managers may do.

use minicbor::{Decode, Encode};

/// What a member may do in a chain. Ordered: a higher role includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Reads content.
    #[n(0)]
    Reader,
    /// Reads and writes content.
    #[n(1)]
    Editor,
    /// Also writes operations that change who has access.
    #[n(2)]
    Manager,
}

/// What a chain is the policy of. Members of a chain are always chains of a lower kind, so membership has no cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ChainKind {
    /// A person: a group of devices.
    #[n(0)]
    User,
    /// A group of users.
    #[n(1)]
    Team,
    /// Teams and users under one administration.
    #[n(2)]
    Agency,
    /// A document: held by teams, users or an agency.
    #[n(3)]
    Document,
}

/// What a document holds. Visible to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum DocumentKind {
    /// A case.
    #[n(0)]
    Case,
    /// A restricted section of a case, with a key of its own.
    #[n(1)]
    Section,
    /// An incident.
    #[n(2)]
    Incident,
    /// A tracing request.
    #[n(3)]
    TracingRequest,
    /// A family record.
    #[n(4)]
    Family,
    /// A registry record.
    #[n(5)]
    Registry,
    /// An agency's configuration: forms, lookups, locations, roles.
    #[n(6)]
    Configuration,
    /// An agency's directory: the names of its people, teams and devices.
    #[n(7)]
    Directory,
}

/// What the Managers of a parent chain may do in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ParentAuthority {
    /// Nothing.
    #[n(0)]
    None,
    /// Revoke and rotate; of a section also erase.
    #[n(1)]
    RevokeOnly,
    /// Everything a Manager of the chain may do.
    #[n(2)]
    Full,
}
