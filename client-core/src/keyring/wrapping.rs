//! One wrap for one member.

use rand_core::CryptoRng;
use vereda_base::ChainId;
use vereda_crypto::{Key32, WrapError, WrapInfo, seal_for_group, wrap};
use vereda_policy::{Chains, Subject, Wrap, WrappedKey};

use super::{Keyring, scope_of};

/// Wraps a key (with the scope and the number of its epoch) for a subject in its own epoch. `chain` is the user whose
/// device the subject is, where it is a device. A document's key is sealed to groups whose secret is held, which takes
/// 72 bytes; everything else is wrapped by HPKE. `None` where the subject's public key is unknown here.
///
/// # Errors
/// [`WrapError`] if the library refuses the subject's key.
pub(crate) fn wrap_for(
    keyring: &Keyring,
    view: &dyn Chains,
    (chain_scope, epoch, key): (ChainId, u64, &Key32),
    (subject, recipient_epoch): (Subject, u64),
    chain: Option<&ChainId>,
    is_document: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Option<Wrap>, WrapError> {
    let recipient = subject.recipient();
    let info = WrapInfo { chain: chain_scope, epoch, recipient: recipient.0, recipient_epoch };
    if let Subject::Chain(group) = &subject
        && is_document
        && let Some(secret) = keyring.group_secret(group, recipient_epoch)
        && let Some(state) = view.chain(group)
        && let Some(standing) = state.epoch(recipient_epoch)
    {
        let wrap_key = secret.derive_wrap_key(scope_of(&state, standing), recipient_epoch);
        let sealed = WrappedKey::Group(seal_for_group(&wrap_key, &info, key, rng));
        return Ok(Some(Wrap { recipient, recipient_epoch, key: sealed }));
    }
    let own = ChainId(recipient.0);
    let Some(public_key) = subject.public_key(view, chain.unwrap_or(&own)) else { return Ok(None) };
    let wrapped = WrappedKey::Hpke(wrap(&public_key, &info, key, rng)?);
    Ok(Some(Wrap { recipient, recipient_epoch, key: wrapped }))
}
