//! Joining a team or agency by an invite link.

use minicbor::bytes::ByteArray;
use vereda_base::{ChainId, Timestamp};
use vereda_policy::{Accept, Body, ChainMap, Create, Draft, chain_of};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Ambient, Device, DeviceError, draw_nonce},
    directory,
    facts::{Introduction, Membership},
    keyring::make_user_epoch,
    link::{InviteLink, invite_key},
};

/// Why nobody joined; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The device's user is in another agency.
    #[error("this vault belongs to somebody in another agency already: make another vault")]
    Taken,
    /// The device's user is in this team or agency.
    #[error("the person of this vault is in there already")]
    Member,
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
    /// colleague's device has passed the key on. A user who is in the agency already takes it up under the name that he
    /// has there, as for a second team.
    ///
    /// # Errors
    /// [`JoinError`] by cause; nothing is kept then.
    pub fn join(&mut self, ambient: &mut Ambient<'_>, link: &InviteLink, person: &str) -> Result<ChainId, JoinError> {
        if link.expires <= ambient.now.wall {
            return Err(JoinError::Expired { expires: link.expires });
        }
        if let Some((user, agency)) = self.home() {
            return self.join_another(link, user, agency);
        }
        if !directory::is_name(person) {
            return Err(JoinError::Name);
        }
        let joined = self.begin_joining(ambient, link, person);
        if joined.is_err() {
            self.roll_back();
        }
        Ok(joined?)
    }

    fn join_another(&mut self, link: &InviteLink, user: ChainId, agency: ChainId) -> Result<ChainId, JoinError> {
        if link.agency != agency {
            return Err(JoinError::Taken);
        }
        let is_member = self.chain(&link.chain).is_some_and(|state| {
            let standing = state.members().iter().filter(|member| member.until_seq.is_none());
            standing.into_iter().any(|member| member.subject == user)
        });
        if is_member {
            return Err(JoinError::Member);
        }
        let before = self.membership.clone();
        let accepted = self.accept(link, user);
        if accepted.is_err() {
            self.roll_back();
            self.introduce_by(before);
        }
        accepted?;
        Ok(user)
    }

    /// Takes an invite up, and comes in by it where an earlier one has not let the device in: that one may have been used
    /// or its time be over, and then only a new one leads on. So it does where the person was put out of all that he was in.
    fn accept(&mut self, link: &InviteLink, user: ChainId) -> Result<(), DeviceError> {
        let is_waiting = |one: &Membership| matches!(one.introduction, Introduction::Invite { .. });
        let waiting = self.membership.clone().filter(|one| is_waiting(one) || self.was_removed(&user));
        if let Some(membership) = waiting {
            let membership =
                Membership { introduction: introduction_by(link), heads: link.heads.clone(), ..membership };
            membership.save(&mut self.store)?;
            self.introduce_by(Some(membership));
        }
        let accept = Accept::with_key(link.invite, user, self.id(), &invite_key(link.secret.expose()));
        self.intend(link.chain, Body::Accept(accept), Vec::new())?;
        self.commit()
    }

    fn introduce_by(&mut self, membership: Option<Membership>) {
        if let (Some(membership), Some(machine)) = (&membership, &mut self.machine) {
            machine.set_credential(membership.credential());
        }
        self.membership = membership;
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
        let invite_key = invite_key(link.secret.expose());
        let membership = Membership {
            user,
            agency: link.agency,
            relay_url: link.relay.url.clone(),
            relay_key: link.relay.key,
            introduction: introduction_by(link),
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

fn introduction_by(link: &InviteLink) -> Introduction {
    Introduction::Invite { chain: link.chain, invite: link.invite, seed: ByteArray::from(*link.secret.expose()) }
}
