//! Wraps opened.

use vereda_base::{ChainId, Digest};
use vereda_crypto::{GroupEpochSecret, Key32, WrapError, WrapInfo, commits_to, open_from_group, unwrap_secret};
use vereda_policy::{ChainState, Chains, EpochFault, Op, Wrap, WrappedKey, hash_previous};

use super::{Keyring, scope, scope_of};

impl Keyring {
    /// Opens a wrap of a chain's epoch; `None` where it is for nobody whose key is held.
    ///
    /// # Errors
    /// [`EpochFault`] if it does not open, or to another key than the chain commits to.
    pub(crate) fn open(
        &self,
        view: &dyn Chains,
        chain: &ChainId,
        epoch: u64,
        wrap: &Wrap,
    ) -> Option<Result<Key32, EpochFault>> {
        let state = view.chain(chain)?;
        let standing = state.epoch(epoch)?;
        let scope = scope_of(&state, standing);
        let opened = check(self.open_wrap(view, scope, epoch, wrap)?, &standing.commitment);
        // What others wrap to the group must open with the secret that its members hold.
        let fits = |key: &Key32| {
            let pair = || GroupEpochSecret::from_key(key.clone()).derive_wrap_key_pair(scope, epoch);
            standing.public_key.as_ref().is_none_or(|public| pair().public() == public)
        };
        Some(opened.and_then(|key| if fits(&key) { Ok(key) } else { Err(EpochFault::Commitment) }))
    }

    /// Opens a wrap of the first epoch of a chain that is not taken in yet, from its `Create`.
    pub(crate) fn open_first(&self, view: &dyn Chains, create: &Op, wrap: &Wrap) -> Option<Key32> {
        let vereda_policy::Body::Create(body) = &create.body else { return None };
        let commitment = body.epoch.commitment;
        let opened = self.open_wrap(view, scope(&create.device, &commitment), 0, wrap)?;
        check(opened, &commitment).ok()
    }

    /// Opens the key that an epoch holds of one that it follows or carries: a wrap whose recipient is the chain itself. Gives that
    /// epoch's number with its key; `None` while the key that it is sealed under is not held.
    ///
    /// # Errors
    /// [`EpochFault::Previous`] if it is not what the epoch names, does not open, or to another key than the earlier
    /// epoch commits to.
    pub(crate) fn open_previous(
        &self,
        state: &ChainState,
        epoch: u64,
        wrap: &Wrap,
    ) -> Option<Result<(u64, Key32), EpochFault>> {
        let key = self.group_secret(&state.id(), epoch)?;
        let (standing, number) = (state.epoch(epoch)?, wrap.recipient_epoch);
        let earlier = state.epoch(number)?;
        let is_named = |sealed: &[u8]| match standing.follows {
            Some(follows) if follows == number => standing.previous == Some(hash_previous(sealed)),
            _ => standing.carries.contains(&number),
        };
        let opened = match &wrap.key {
            WrappedKey::Group(sealed) if is_named(sealed) => {
                // Derived alike for documents and groups.
                let seal = key.derive_previous_key_seal(state.id(), epoch);
                open_from_group(&seal, &previous_info(&state.id(), epoch, number), sealed)
            }
            _ => Err(WrapError::Refused),
        };
        let checked = opened.ok().filter(|key| commits_to(&earlier.commitment, key));
        Some(checked.map(|key| (number, key)).ok_or(EpochFault::Previous))
    }

    fn open_wrap(
        &self,
        view: &dyn Chains,
        scope: ChainId,
        epoch: u64,
        wrap: &Wrap,
    ) -> Option<Result<Key32, WrapError>> {
        let info = WrapInfo { chain: scope, epoch, recipient: wrap.recipient.0, recipient_epoch: wrap.recipient_epoch };
        if wrap.recipient == Digest(self.device.0) {
            return Some(match &wrap.key {
                WrappedKey::Hpke(bytes) => unwrap_secret(&self.pair, &info, bytes),
                WrappedKey::Group(_) => Err(WrapError::Refused),
            });
        }
        let group = ChainId(wrap.recipient.0);
        let secret: GroupEpochSecret = self.group_secret(&group, wrap.recipient_epoch)?;
        let state = view.chain(&group)?;
        let scope = scope_of(&state, state.epoch(wrap.recipient_epoch)?);
        Some(match &wrap.key {
            WrappedKey::Hpke(bytes) => {
                unwrap_secret(&secret.derive_wrap_key_pair(scope, wrap.recipient_epoch), &info, bytes)
            }
            WrappedKey::Group(bytes) => {
                open_from_group(&secret.derive_wrap_key(scope, wrap.recipient_epoch), &info, bytes)
            }
        })
    }
}

/// What a sealed previous key is bound to.
pub(super) const fn previous_info(chain: &ChainId, epoch: u64, follows: u64) -> WrapInfo {
    WrapInfo { chain: *chain, epoch, recipient: chain.0, recipient_epoch: follows }
}

fn check(opened: Result<Key32, WrapError>, commitment: &Digest) -> Result<Key32, EpochFault> {
    let key = opened.map_err(|_| EpochFault::Wrap)?;
    if commits_to(commitment, &key) { Ok(key) } else { Err(EpochFault::Commitment) }
}
