//! Joining a team or agency by an invite link.

use minicbor::bytes::ByteArray;
use vereda_base::{ChainId, Timestamp};
use vereda_crypto::DeviceKey;
use vereda_policy::{Accept, Body, ChainMap, Create, Draft, chain_of};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Ambient, Device, DeviceError, draw_nonce},
    directory,
    facts::{Introduction, Membership},
    keyring::make_user_epoch,
    link::InviteLink,
};

/// Why nobody joined; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The device has a user already.
    #[error("this vault belongs to somebody in an agency already: make another vault")]
    Taken,
    /// The name is empty or too long.
    #[error("a name is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Name,
    /// The invite's time is over by this device's clock.
    #[error("the invite's time is over: ask for a new one, or set this device's clock right")]
    Expired {
        /// Until when it was open.
        expires: Timestamp,
    },
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Makes this device's user and states that he takes the invite up: final when the relay is reached, readable when a
    /// colleague's device has passed the key on.
    ///
    /// # Errors
    /// [`JoinError`] by cause; nothing is kept then.
    pub fn join(&mut self, ambient: &mut Ambient<'_>, link: &InviteLink, person: &str) -> Result<ChainId, JoinError> {
        if self.membership.is_some() {
            return Err(JoinError::Taken);
        }
        if !directory::is_name(person) {
            return Err(JoinError::Name);
        }
        if link.expires <= ambient.now.wall {
            return Err(JoinError::Expired { expires: link.expires });
        }
        let joined = self.begin_joining(ambient, link, person);
        if joined.is_err() {
            self.roll_back();
            self.membership = None;
            self.machine = None;
        }
        Ok(joined?)
    }

    fn begin_joining(
        &mut self,
        ambient: &mut Ambient<'_>,
        link: &InviteLink,
        person: &str,
    ) -> Result<ChainId, DeviceError> {
        let made = make_user_epoch(&self.id(), self.keys.wrapping.public(), ambient.rng)?;
        let create = Create::user(draw_nonce(ambient.rng), self.keys.wrapping.public().clone(), made.epoch);
        let draft = ChainMap::new();
        let op = Draft::new(&draft, self.id(), Some(ambient.now.wall)).sign_create(&self.keys.signing, create)?;
        let user = chain_of(op.value());
        let invite_key = DeviceKey::from_seed(link.secret.expose());
        let membership = Membership {
            user,
            agency: link.agency,
            relay_url: link.relay.url.clone(),
            relay_key: link.relay.key,
            introduction: Introduction::Invite {
                chain: link.chain,
                invite: link.invite,
                seed: ByteArray::from(*link.secret.expose()),
            },
            heads: link.heads.clone(),
            person: person.trim().to_owned(),
        };
        membership.save(&mut self.store)?;
        self.begin_machine(membership)?;
        self.enqueue_create(&op, made.wraps)?;
        self.keyring.keep(&mut self.store, user, 0, made.key)?;
        let accept = Accept::with_key(link.invite, user, self.id(), &invite_key);
        self.intend(link.chain, Body::Accept(accept), Vec::new())?;
        self.commit()?;
        Ok(user)
    }
}
