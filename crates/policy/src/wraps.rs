//! Lists of wraps: committed to in the chain, lying beside it.

use vereda_base::{Digest, limits};
use vereda_crypto::{
    context, hash,
    merkle::{self, Proof, Tree},
};

use crate::{Body, ChainState, Op, Target, Wrap, WrapList, WrappedKey};

/// Commits to wraps: sorts them by recipient and its epoch, and gives the list with each wrap's proof. Of more than
/// [`limits::MAX_LIST`] make several lists.
pub fn wrap_list(mut wraps: Vec<Wrap>) -> (WrapList, Vec<(Wrap, WrapProof)>) {
    wraps.sort_by_key(|wrap| (wrap.recipient, wrap.recipient_epoch));
    let tree = Tree::new(wraps.iter().map(leaf).collect());
    let list = WrapList { root: tree.root(), count: u32::try_from(wraps.len()).unwrap_or(u32::MAX) };
    let prove = |(index, wrap)| {
        let path = tree.prove(index)?;
        Some((wrap, WrapProof { index: index as u64, path }))
    };
    (list, wraps.into_iter().enumerate().filter_map(prove).collect())
}

/// Proves each wrap of a list that was handed over whole, in its order.
///
/// # Errors
/// [`WrapRefusal`] if they are not the list's wraps, are out of bounds or not sorted, or name a recipient twice.
pub fn check_wraps(list: &WrapList, wraps: &[Wrap]) -> Result<Vec<WrapProof>, WrapRefusal> {
    if wraps.len() > limits::MAX_LIST || wraps.len() as u64 != u64::from(list.count) {
        return Err(WrapRefusal::Count { expected: list.count, found: wraps.len() });
    }
    wraps.iter().try_for_each(check_bounds)?;
    let key = |wrap: &Wrap| (wrap.recipient, wrap.recipient_epoch);
    if !wraps.is_sorted_by(|a, b| key(a) < key(b)) {
        return Err(WrapRefusal::NotSorted);
    }
    let tree = Tree::new(wraps.iter().map(leaf).collect());
    if tree.root() != list.root {
        return Err(WrapRefusal::OtherList);
    }
    let prove = |index: usize| tree.prove(index).map(|path| WrapProof { index: index as u64, path });
    Ok((0..wraps.len()).filter_map(prove).collect())
}

/// Checks that a wrap stands in a list.
///
/// # Errors
/// [`WrapRefusal`] if it is out of bounds or does not stand there.
pub fn verify_wrap(list: &WrapList, wrap: &Wrap, proof: &WrapProof) -> Result<(), WrapRefusal> {
    check_bounds(wrap)?;
    if merkle::verify(&list.root, &leaf(wrap), proof.index, u64::from(list.count), &proof.path) {
        return Ok(());
    }
    Err(WrapRefusal::OtherList)
}

/// Lists whom the wraps of an operation must be for, sorted: what it says itself, of the members as they stand before it
/// (`state`; `None` for a `Create`). For a `Rotate` also the chain itself, with the numbers of the epochs that it carries,
/// and of the one that it follows where it holds the key of that.
pub fn targets_of(op: &Op, state: Option<&ChainState>) -> Vec<Target> {
    let wrapped = |recipients: Vec<Digest>, epochs: &[Option<u64>]| -> Vec<Target> {
        let pairs = recipients.into_iter().zip(epochs);
        pairs.filter_map(|(recipient, epoch)| Some(Target { recipient, epoch: (*epoch)? })).collect()
    };
    let mut targets = match (&op.body, state) {
        (Body::Create(create), _) if create.wrapping_key.is_some() => {
            wrapped(vec![Digest(op.device.0)], &create.epoch.targets)
        }
        (Body::Create(create), _) => {
            let members = create.members.iter().map(|member| Digest(member.subject.0)).collect();
            wrapped(members, &create.epoch.targets)
        }
        (Body::Rotate(rotate), Some(state)) => {
            let mut targets = wrapped(state.recipients(), &rotate.epoch.targets);
            let followed = rotate.epoch.previous.map(|_| &rotate.follows);
            let held = rotate.carries.iter().chain(followed);
            targets.extend(held.map(|epoch| Target { recipient: Digest(state.id().0), epoch: *epoch }));
            targets
        }
        (Body::Repair(repair), _) => repair.targets.clone(),
        _ => Vec::new(),
    };
    targets.sort_unstable();
    targets
}

/// Hashes a sealed previous key, as [`crate::Epoch::previous`] holds it.
pub fn hash_previous(sealed: &[u8]) -> Digest {
    Digest(hash(context::WRAP_LIST, &[sealed]))
}

/// A wrap's place in its list, and the path that proves it.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct WrapProof {
    /// Its index, from 0.
    #[n(0)]
    pub index: u64,
    /// The siblings on the way to the root.
    #[n(1)]
    pub path: Proof,
}

/// Why wraps were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapRefusal {
    /// More or fewer than the list says, or than allowed.
    #[error("{found} wraps for a list of {expected}")]
    Count {
        /// The list's count.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// A wrapped key is longer than any may be.
    #[error("wrapped key of {found} bytes where at most {max} are allowed")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// Not sorted by recipient and its epoch, or one twice.
    #[error("wraps not sorted by recipient, or one twice")]
    NotSorted,
    /// Not what the list commits to.
    #[error("wrap does not stand in the list")]
    OtherList,
}

fn leaf(wrap: &Wrap) -> vereda_base::Digest {
    merkle::leaf(&vereda_base::encode(wrap))
}

const fn check_bounds(wrap: &Wrap) -> Result<(), WrapRefusal> {
    let (WrappedKey::Hpke(bytes) | WrappedKey::Group(bytes)) = &wrap.key;
    if bytes.len() > limits::MAX_WRAP_BYTES {
        return Err(WrapRefusal::TooLong { found: bytes.len(), max: limits::MAX_WRAP_BYTES });
    }
    Ok(())
}
