//! Operations that end or lower access, each with a frontier.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, Digest};

use crate::{Member, Parent, ParentAuthority, Role};

/// See [`crate::Body::RemoveDevice`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RemoveDevice {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Up to where its work stands.
    #[n(1)]
    pub frontier: Frontier,
}

/// See [`crate::Body::Revoke`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Revoke {
    /// Whose roles end.
    #[n(0)]
    pub subject: ChainId,
    /// The role that is left; `None` for none.
    #[n(1)]
    pub keeps: Option<Role>,
    /// Who becomes Manager with it; needed where an agency would be left without one.
    #[n(2)]
    pub successor: Option<ChainId>,
    /// Up to where the work of the subject's devices stands.
    #[n(3)]
    pub frontier: Frontier,
}

/// See [`crate::Body::Assign`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Assign {
    /// Who holds it from now on, beside those who stay; sorted, none twice.
    #[n(0)]
    pub gives: Vec<Member>,
    /// Whose roles end; sorted, none twice.
    #[n(1)]
    pub takes: Vec<ChainId>,
    /// The document's parents from now on; `None` leaves them.
    #[n(2)]
    pub parents: Option<Vec<Parent>>,
    /// What becomes of each section of a case; sorted by section. Each has a chain of its own, in which that is done.
    #[n(3)]
    pub sections: Vec<SectionFate>,
    /// Up to where the work of the devices whose roles end stands.
    #[n(4)]
    pub frontier: Frontier,
}

impl Assign {
    /// Lists the parents, of those that stand, that may do less in the chain afterwards.
    pub fn lowered_parents<'a>(&self, standing: impl IntoIterator<Item = &'a Parent>) -> Vec<ChainId> {
        let Some(parents) = &self.parents else { return Vec::new() };
        let keeps = |old: &&Parent| parents.iter().any(|new| new.chain == old.chain && new.authority >= old.authority);
        let lowered = standing.into_iter().filter(|old| old.authority != ParentAuthority::None && !keeps(old));
        lowered.map(|old| old.chain).collect()
    }

    /// Lists the parents that may do more in the chain afterwards than those that stand; new ones too.
    pub fn raised_parents(&self, standing: &[Parent]) -> Vec<Parent> {
        let before = |chain: &ChainId| standing.iter().find(|old| old.chain == *chain).map(|old| old.authority);
        let rises = |new: &&Parent| new.authority > before(&new.chain).unwrap_or(ParentAuthority::None);
        self.parents.iter().flatten().filter(rises).copied().collect()
    }
}

/// What becomes of a section when its case moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct SectionFate {
    /// The section's chain.
    #[n(0)]
    pub section: ChainId,
    /// Whether it goes with the case; else it stays with those who hold it.
    #[n(1)]
    pub goes: bool,
}

/// See [`crate::Body::Expire`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Expire {
    /// Whose roles have expired. Those that have not stay.
    #[n(0)]
    pub subject: ChainId,
    /// Up to where the work of the subject's devices stands.
    #[n(1)]
    pub frontier: Frontier,
}

/// Up to where the work of the devices that a removal concerns stands: the root of a Merkle tree over
/// [`crate::Leaf`]s, which lie beside the chain. What no leaf names has nothing standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Frontier {
    /// The root.
    #[n(0)]
    pub root: Digest,
    /// How many leaves.
    #[n(1)]
    pub count: u32,
}
