//! Operations of policy chains (protocol.md §3) and the receipts a relay gives for them.

mod agency;
mod create;
mod epoch;
mod joining;
mod receipt;
mod removal;
mod review;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, OpId, limits};
use vereda_crypto::{Context, Signable, context};

pub use agency::{Beacon, Retention, SetRetention};
pub use create::{Create, Member, Parent};
pub use epoch::{BadRotate, Epoch, EpochFault, Repair, Rotate, Target, Wrap, WrapList, WrappedKey};
pub use joining::{Accept, AddDevice, CancelInvite, DeviceKind, Grant, Invite};
pub use receipt::Receipt;
pub use removal::{Assign, Expire, Frontier, RemoveDevice, Revoke, SectionFate};
pub use review::{Adopt, AdoptedDocument, Discard};

/// The only suite there is: Ed25519, X-Wing HPKE, XChaCha20-Poly1305, BLAKE3.
pub const SUITE: u8 = 1;

/// The head of another chain that an author knew and relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Cite {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// The id of its newest operation known to the author.
    #[n(1)]
    pub head: OpId,
}

/// One operation of a policy chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Op {
    /// [`SUITE`].
    #[n(0)]
    pub suite: u8,
    /// The chain; `None` in a `Create`, whose own id becomes the chain's.
    #[n(1)]
    pub chain: Option<ChainId>,
    /// Position in the chain, from 0.
    #[n(2)]
    pub seq: u64,
    /// The operation before; `None` in a `Create`.
    #[n(3)]
    pub prev: Option<OpId>,
    /// The author.
    #[n(4)]
    pub device: DeviceId,
    /// Heads of the other chains on one path that proves the author's authority, sorted by chain, no chain twice. The
    /// author's own user chain first needs no place here in that user's own chain.
    #[n(5)]
    pub cites: Vec<Cite>,
    /// What is done.
    #[n(6)]
    pub body: Body,
}

/// What an operation does. Code 18 is reserved for `Resume`: see [`crate::BodyCode`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Body {
    /// Begins a chain, with its first members and its first epoch; complete offline.
    #[n(0)]
    Create(#[n(0)] Create),
    /// Adds a device to a user.
    #[n(1)]
    AddDevice(#[n(0)] AddDevice),
    /// Takes a device from a user.
    #[n(2)]
    RemoveDevice(#[n(0)] RemoveDevice),
    /// Gives a user, team or agency a role.
    #[n(3)]
    Grant(#[n(0)] Grant),
    /// Ends a member's roles, or lowers them.
    #[n(4)]
    Revoke(#[n(0)] Revoke),
    /// Moves a document: new holders, old ones no longer.
    #[n(5)]
    Assign(#[n(0)] Assign),
    /// Carries out an expiry that passed by the relay's clock.
    #[n(6)]
    Expire(#[n(0)] Expire),
    /// Offers a role to whoever holds a secret.
    #[n(7)]
    Invite(#[n(0)] Invite),
    /// Takes an invite up.
    #[n(8)]
    Accept(#[n(0)] Accept),
    /// Withdraws an invite.
    #[n(9)]
    CancelInvite(#[n(0)] CancelInvite),
    /// Begins a new epoch; grants nothing.
    #[n(10)]
    Rotate(#[n(0)] Rotate),
    /// Wraps the present epoch for members that lack it; grants nothing.
    #[n(11)]
    Repair(#[n(0)] Repair),
    /// Says that an epoch is not what it claims: the next one follows the last good one.
    #[n(12)]
    BadRotate(#[n(0)] BadRotate),
    /// Takes in what waits in review.
    #[n(13)]
    Adopt(#[n(0)] Adopt),
    /// Turns away what waits in review.
    #[n(14)]
    Discard(#[n(0)] Discard),
    /// States what a Manager's device knew, and when by its clock.
    #[n(15)]
    Beacon(#[n(0)] Beacon),
    /// Sets how long something is kept or may wait.
    #[n(16)]
    SetRetention(#[n(0)] SetRetention),
    /// Erases a document: nothing stands in it any more, and every holder deletes it.
    #[n(17)]
    Erase,
}

impl Signable for Op {
    const CONTEXT: Context = context::OP_SIGNATURE;
    const MAX_BYTES: usize = limits::MAX_OP_BYTES;

    fn signer(&self) -> DeviceId {
        self.device
    }
}
