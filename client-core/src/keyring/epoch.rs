//! First epochs: a fresh key, what the chain says of it, and its wraps.

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Digest};
use vereda_crypto::{
    DocumentEpochKey, GroupEpochSecret, Key32, WrapError, WrapInfo, WrapPublicKey, context, hash, wrap,
};
use vereda_policy::{ChainState, Chains, Epoch, EpochState, Wrap, WrappedKey, wrap_list};

use super::{Keyring, wrap_for};

/// An epoch in the making.
pub(crate) struct NewEpoch {
    /// What the chain says.
    pub(crate) epoch: Epoch,
    /// The wraps beside it, in the list's order.
    pub(crate) wraps: Vec<Wrap>,
    /// The key or secret itself.
    pub(crate) key: Key32,
}

/// Names a chain's first epoch in what its keys are bound to. A chain's id is the hash of its first operation, which holds
/// the epoch's public key and wraps, so that they cannot be bound to that id; the device that signed it and the commitment
/// stand for it instead. Without the device, whoever copies another chain's epoch and wraps into one of his own would
/// have its members keep the other's key as the key of his, and pass it on to whom he lets in.
pub(crate) fn scope(creator: &DeviceId, commitment: &Digest) -> ChainId {
    ChainId(hash(context::EPOCH_SCOPE, &[creator.as_bytes(), commitment.as_bytes()]))
}

/// Names any epoch of a chain in what its keys are bound to. The first as [`scope`]; a later one also by the chain's id,
/// which exists by then.
pub(crate) fn scope_of(state: &ChainState, epoch: &EpochState) -> ChainId {
    match epoch.number {
        0 => scope(&epoch.creator, &epoch.commitment),
        _ => later_scope(&state.id(), &epoch.creator, &epoch.commitment),
    }
}

/// See [`scope_of`].
pub(super) fn later_scope(chain: &ChainId, creator: &DeviceId, commitment: &Digest) -> ChainId {
    ChainId(hash(context::EPOCH_SCOPE, &[chain.as_bytes(), creator.as_bytes(), commitment.as_bytes()]))
}

/// Makes the first epoch of a user, wrapped to his first device.
///
/// # Errors
/// [`WrapError`] if the library refuses the device's key.
pub(crate) fn make_user_epoch(
    device: &DeviceId,
    key: &WrapPublicKey,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<NewEpoch, WrapError> {
    let secret = GroupEpochSecret::make(rng);
    let info =
        WrapInfo { chain: scope(device, &secret.commitment()), epoch: 0, recipient: device.0, recipient_epoch: 0 };
    let wrapped = WrappedKey::Hpke(wrap(key, &info, secret.key(), rng)?);
    let wraps = vec![Wrap { recipient: Digest(device.0), recipient_epoch: 0, key: wrapped }];
    Ok(group_epoch(device, &secret, wraps, vec![Some(0)]))
}

/// Makes the first epoch of a team or agency, wrapped to its first members; those unknown here are left out.
///
/// # Errors
/// [`WrapError`] if the library refuses a member's key.
pub(crate) fn make_group_epoch(
    keyring: &Keyring,
    view: &dyn Chains,
    members: &[ChainId],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<NewEpoch, WrapError> {
    let secret = GroupEpochSecret::make(rng);
    let scope = scope(&keyring.device, &secret.commitment());
    let wraps = wrap_to(keyring, view, members, scope, secret.key(), false, rng)?;
    let targets = targets_of(members, &wraps);
    Ok(group_epoch(&keyring.device, &secret, wraps, targets))
}

/// Makes the first epoch of a document, sealed to those of its first members whose secret is held, wrapped to the others.
///
/// # Errors
/// [`WrapError`] if the library refuses a member's key.
pub(crate) fn make_document_epoch(
    keyring: &Keyring,
    view: &dyn Chains,
    members: &[ChainId],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<NewEpoch, WrapError> {
    let key = DocumentEpochKey::make(rng);
    let scope = scope(&keyring.device, &key.commitment());
    let wraps = wrap_to(keyring, view, members, scope, key.key(), true, rng)?;
    let targets = targets_of(members, &wraps);
    let (list, wraps) = wrap_list(wraps);
    let epoch = Epoch { public_key: None, commitment: key.commitment(), wraps: list, previous: None, targets };
    Ok(NewEpoch { epoch, wraps: wraps.into_iter().map(|(wrap, _)| wrap).collect(), key: key.key().clone() })
}

fn wrap_to(
    keyring: &Keyring,
    view: &dyn Chains,
    members: &[ChainId],
    scope: ChainId,
    key: &Key32,
    is_document: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<Wrap>, WrapError> {
    let mut wraps = Vec::new();
    for member in members {
        let subject = vereda_policy::Subject::Chain(*member);
        let Some(epoch) = view.chain(member).and_then(|state| Some(state.newest_epoch()?.number)) else { continue };
        wraps.extend(wrap_for(keyring, view, (scope, 0, key), (subject, epoch), None, is_document, rng)?);
    }
    Ok(wraps)
}

/// Tells the epochs that members were wrapped to, in the order in which a chain lists them.
fn targets_of(members: &[ChainId], wraps: &[Wrap]) -> Vec<Option<u64>> {
    let sorted: BTreeSet<&ChainId> = members.iter().collect();
    let wrapped = |member: &&ChainId| wraps.iter().find(|wrap| wrap.recipient.0 == member.0);
    sorted.iter().map(|member| wrapped(member).map(|wrap| wrap.recipient_epoch)).collect()
}

fn group_epoch(creator: &DeviceId, secret: &GroupEpochSecret, wraps: Vec<Wrap>, targets: Vec<Option<u64>>) -> NewEpoch {
    let commitment = secret.commitment();
    let public_key = Some(secret.derive_wrap_key_pair(scope(creator, &commitment), 0).public().clone());
    let (list, wraps) = wrap_list(wraps);
    NewEpoch {
        epoch: Epoch { public_key, commitment, wraps: list, previous: None, targets },
        wraps: wraps.into_iter().map(|(wrap, _)| wrap).collect(),
        key: secret.key().clone(),
    }
}
