//! Signed policy chains (protocol.md §§2–4, 6): operations, roles, authority. Pure and total: no clock, no entropy, no
//! storage.
//!
//! An operation goes through [`decode_op`] (signature) and [`authorize`] (form, place, cites, authority) and is then
//! applied to its [`ChainState`]; the chains known stand behind [`Chains`]. [`Draft`] makes operations, [`ChainMap`]
//! holds chains in memory. Content is judged by [`authorize_content`].

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod adoption;
pub mod append;
pub mod authority;
pub mod chain;
pub mod chains;
pub mod code;
pub mod content;
pub mod decode;
pub mod draft;
pub mod fork;
pub mod frontier;
pub mod heads;
pub mod held;
pub mod id;
pub mod inviting;
pub mod ledger;
pub mod need;
pub mod op;
pub mod path;
pub mod proof;
pub mod readers;
pub mod receipt;
pub mod reliance;
pub mod removed;
pub mod role;
pub mod stale;
pub mod term;
pub mod wraps;

pub use adoption::{admitted_holders, find_adoption, owners};
pub use append::{AppendContext, MAX_DEVICES, MAX_MEMBERS, MAX_PURPOSE_BYTES, Moment, OpRefusal, Part, authorize};
pub use authority::{Evaluator, authority, membership, role};
pub use chain::{
    ApplyError, BeaconState, ChainState, DecidedDocument, Decision, Denial, DeviceStanding, EpochState, EpochWraps,
    InviteEnd, InviteState, Membership, OpRecord, ParentStanding, Removal, ReplayedOp,
};
pub use chains::{ChainMap, Chains};
pub use code::BodyCode;
pub use content::{Content, ContentRefusal, adopt_content, authorize_content};
pub use decode::{OpDecodeError, decode_op, verify_op};
pub use draft::{Draft, DraftError};
pub use fork::{ForkProof, Forker, NoFork, detect_device_fork, detect_relay_fork};
pub use frontier::{FrontierTree, Leaf, LeafAnswer, LeafRange, LeafRefusal, Place, ProvenLeaf, verify_all_leaves};
pub use heads::{Heads, Waiting};
pub use held::{has_left_since, is_key_held, leads_back};
pub use id::{chain_of, op_id, op_id_of_bytes};
pub use inviting::{invites_now, invites_still};
pub use ledger::{CiteLedger, CiteRegress, LedgerError, check_cites_advance};
pub use need::{Need, need};
pub use op::{
    Accept, AddDevice, Adopt, AdoptedDocument, Assign, BadRotate, Beacon, Body, CancelInvite, Cite, Create, DeviceKind,
    Discard, Epoch, EpochFault, Expire, Frontier, Grant, Invite, Member, Op, Parent, Receipt, RemoveDevice, Repair,
    Retention, Revoke, Rotate, SUITE, SectionFate, SetRetention, Target, Wrap, WrapList, WrappedKey,
};
pub use path::{cite_content, cite_governing, cite_path};
pub use proof::{Authorized, InviteProof, JoinProof};
pub use readers::{
    Subject, entitled, governs_section, lacking_wraps, may_read, members_of, needed_chains, reading_devices,
};
pub use receipt::{CheckedReceipt, ReceiptRefusal, check_receipt, receipt_time};
pub use reliance::{Reliance, content_ended, content_reliance, op_ended, op_reliance};
pub use removed::removed_devices;
pub use role::{ChainKind, DocumentKind, ParentAuthority, Role};
pub use stale::{FoundOfGroups, Staleness, epoch_targets, expired_members, is_stale, rotations_due};
pub use term::Term;
pub use wraps::{WrapProof, WrapRefusal, check_wraps, hash_previous, targets_of, verify_wrap, wrap_list};
