//! Texts that stand sealed in operations: why somebody was granted access, why work was turned away.
//!
//! Canonical CBOR of [`SealedText`]: the epoch whose name key seals it, the nonce, and the padded text under that key; the
//! associated data names what the text is about, the chain and the epoch.

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use vereda_base::{ChainId, decode, encode, limits::MAX_SEALED_TEXT_BYTES};
use vereda_crypto::{DocumentEpochKey, GroupEpochSecret, Key32, Nonce24, PadError, open, pad, seal, unpad};
use vereda_policy::{ChainKind, ChainState};

use crate::keyring::Keyring;

/// The longest text that is sealed, in bytes of UTF-8; padding and the seal take the rest of the room that there is.
pub const MAX_TEXT_BYTES: usize = 1_900;

/// What a sealed text is about: one of one kind does not open as one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Why a role was granted.
    Purpose,
    /// Why work in review was turned away.
    Reason,
}

/// Why a text was not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealTextError {
    /// No key of it is here.
    #[error("the newest key of {chain} is not here, so nothing can be sealed for those who read it")]
    NoKey {
        /// The case, section or team.
        chain: ChainId,
    },
    /// The text is too long.
    #[error("a text of {found} bytes where at most {} are allowed", MAX_TEXT_BYTES)]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct SealedText {
    /// The epoch of the chain whose name key seals it.
    #[n(0)]
    epoch: u64,
    #[n(1)]
    nonce: Nonce24,
    #[cbor(n(2), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

/// Seals the canonical bytes of a text under the name key of one epoch of a chain.
///
/// # Errors
/// [`SealTextError::TooLong`] where it is longer than [`MAX_TEXT_BYTES`].
pub fn seal_text_under(
    name_key: &Key32,
    (chain, epoch): (&ChainId, u64),
    about: About,
    text: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealTextError> {
    let too_long = || SealTextError::TooLong { found: text.len() };
    if text.len() > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    let padded = pad(text).map_err(|_: PadError| too_long())?;
    let nonce = Nonce24::make(rng);
    let sealed = seal(name_key, &nonce, &associated_data(about, chain, epoch), &padded);
    let bytes = encode(&SealedText { epoch, nonce, sealed });
    if bytes.len() > MAX_SEALED_TEXT_BYTES { Err(too_long()) } else { Ok(bytes) }
}

/// Opens a sealed text of a chain with the name key of the epoch that it names; `None` where there is no such key, or it is
/// no sealed text.
pub fn open_text_under(
    name_key: impl FnOnce(u64) -> Option<Key32>,
    chain: &ChainId,
    about: About,
    bytes: &[u8],
) -> Option<Vec<u8>> {
    let text = decode::<SealedText>(bytes, MAX_SEALED_TEXT_BYTES).ok()?;
    let key = name_key(text.epoch)?;
    let padded = open(&key, &text.nonce, &associated_data(about, chain, text.epoch), &text.sealed).ok()?;
    unpad(&padded).ok().map(<[u8]>::to_vec)
}

/// Seals a text under the newest epoch of a chain.
///
/// # Errors
/// [`SealTextError`] by cause.
pub(crate) fn seal_text(
    keyring: &Keyring,
    state: &ChainState,
    about: About,
    text: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealTextError> {
    let chain = state.id();
    let no_key = || SealTextError::NoKey { chain };
    let epoch = state.newest_epoch().ok_or_else(no_key)?.number;
    let key = name_key(keyring, state, epoch).ok_or_else(no_key)?;
    seal_text_under(&key, (&chain, epoch), about, text, rng)
}

/// Opens a sealed text; `None` where its key is not here, or it is none.
pub(crate) fn open_text(keyring: &Keyring, state: &ChainState, about: About, bytes: &[u8]) -> Option<Vec<u8>> {
    open_text_under(|epoch| name_key(keyring, state, epoch), &state.id(), about, bytes)
}

fn name_key(keyring: &Keyring, state: &ChainState, epoch: u64) -> Option<Key32> {
    let chain = state.id();
    Some(match state.kind() {
        ChainKind::Document => {
            let key: DocumentEpochKey = keyring.document_key(&chain, epoch)?;
            key.derive_name_key(chain, epoch)
        }
        ChainKind::User | ChainKind::Team | ChainKind::Agency => {
            let secret: GroupEpochSecret = keyring.group_secret(&chain, epoch)?;
            secret.derive_name_key(chain, epoch)
        }
    })
}

fn associated_data(about: About, chain: &ChainId, epoch: u64) -> Vec<u8> {
    let about: &[u8] = match about {
        About::Purpose => b"purpose",
        About::Reason => b"reason",
    };
    [about, chain.as_bytes(), &epoch.to_le_bytes()].concat()
}
