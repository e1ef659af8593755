//! Signed policy chains: operations, roles, authority. Pure and total: no clock, no entropy, no storage.

pub mod op;
pub mod role;

pub use op::{
    Accept, AddDevice, Body, Cite, Create, Epoch, Grant, Invite, Member, Op, Parent, Receipt, Repair, SUITE, Wrap,
    WrapList, WrappedKey,
};
pub use role::{ChainKind, DocumentKind, ParentAuthority, Role};
