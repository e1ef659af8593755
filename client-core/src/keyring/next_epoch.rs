//! Later epochs: a fresh key, wrapped to the members as they stand, with the key before it sealed under it, and those that
//! were passed over.

use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Digest, Timestamp, limits};
use vereda_crypto::{GroupEpochSecret, Key32, WrapError, commitment, seal_for_group};
use vereda_policy::{
    ChainKind, ChainState, Chains, Epoch, Rotate, Subject, Wrap, WrappedKey, epoch_targets, hash_previous, is_key_held,
    wrap_list,
};

use super::{Keyring, epoch::later_scope, opening::previous_info, wrap_for};

/// A later epoch in the making.
pub(crate) struct NextEpoch {
    /// What the chain says.
    pub(crate) rotate: Rotate,
    /// The wraps beside it, in the list's order.
    pub(crate) wraps: Vec<Wrap>,
    /// The key or secret itself.
    pub(crate) key: Key32,
}

/// Why no later epoch was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NextEpochError {
    /// The chain is unknown here.
    #[error("chain {chain} is not known here")]
    Unknown {
        /// The chain.
        chain: ChainId,
    },
    /// The key of the epoch that it would follow is not held here, and by others.
    #[error("the key of chain {chain} that the next one would follow is not here")]
    NoKey {
        /// The chain.
        chain: ChainId,
    },
    /// The library refuses a member's key.
    #[error(transparent)]
    Wrap(#[from] WrapError),
}

/// Makes the epoch that follows a chain's newest good one, wrapped to whom `epoch_targets` names. Where nobody who stands in
/// a group has that one's key any more, the new one begins without it.
///
/// # Errors
/// [`NextEpochError`] by cause.
pub(crate) fn make_next_epoch(
    keyring: &Keyring,
    view: &dyn Chains,
    chain: &ChainId,
    now: Option<Timestamp>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<NextEpoch, NextEpochError> {
    let state = view.chain(chain).ok_or(NextEpochError::Unknown { chain: *chain })?;
    let followed = state.epoch_to_follow().ok_or(NextEpochError::Unknown { chain: *chain })?.number;
    let is_group = state.kind() != ChainKind::Document;
    let previous = keyring.key(chain, followed);
    if previous.is_none() && (!is_group || is_key_held(view, chain, followed, now)) {
        return Err(NextEpochError::NoKey { chain: *chain });
    }
    let (number, key) = (state.epochs().len() as u64, Key32::make(rng));
    let scope = later_scope(chain, &keyring.device, &commitment(&key));
    let targets = epoch_targets(view, chain, now);
    let mut wraps = Vec::new();
    for (recipient, target) in state.recipients().iter().zip(&targets) {
        let Some(target) = target else { continue };
        let member = (subject(&state, recipient), *target);
        wraps.extend(wrap_for(keyring, view, (scope, number, &key), member, Some(chain), !is_group, rng)?);
    }
    let secret = GroupEpochSecret::from_key(key.clone());
    let seal = secret.derive_previous_key_seal(*chain, number);
    let room = limits::MAX_LIST.saturating_sub(wraps.len()).saturating_sub(1).min(limits::MAX_CARRIED);
    // What somebody called bad and yet opened here to what it commits to is closed to nobody who comes later.
    let mut carried: Vec<(u64, &Key32)> =
        state.epochs_to_carry().into_iter().filter_map(|epoch| Some((epoch, keyring.key(chain, epoch)?))).collect();
    carried.drain(..carried.len().saturating_sub(room));
    let mut seal_earlier = |epoch: u64, earlier: &Key32| {
        let sealed = seal_for_group(&seal, &previous_info(chain, number, epoch), earlier, rng);
        let hash = hash_previous(&sealed);
        wraps.push(Wrap { recipient: Digest(chain.0), recipient_epoch: epoch, key: WrappedKey::Group(sealed) });
        hash
    };
    let previous = previous.map(|previous| seal_earlier(followed, previous));
    for (epoch, earlier) in &carried {
        seal_earlier(*epoch, earlier);
    }
    let carries = carried.into_iter().map(|(epoch, _)| epoch).collect();
    let public_key = is_group.then(|| secret.derive_wrap_key_pair(scope, number).public().clone());
    let (list, wraps) = wrap_list(wraps);
    let epoch = Epoch { public_key, commitment: commitment(&key), wraps: list, previous, targets };
    let wraps = wraps.into_iter().map(|(wrap, _)| wrap).collect();
    Ok(NextEpoch { rotate: Rotate { epoch, follows: followed, carries }, wraps, key })
}

fn subject(state: &ChainState, recipient: &Digest) -> Subject {
    match state.kind() {
        ChainKind::User => Subject::Device(DeviceId(recipient.0)),
        _ => Subject::Chain(ChainId(recipient.0)),
    }
}
