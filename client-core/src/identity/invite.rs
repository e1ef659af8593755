//! Inviting somebody into a team or the agency.

use std::{fmt, time::Duration};

use minicbor::{Decode, Encode, bytes::ByteArray};
use serde::Serialize;
use vereda_base::{ChainId, DeviceId, OpId, Sensitive, Timestamp, decode, encode};
use vereda_crypto::Key32;
use vereda_policy::{Body, ChainKind, Cite, Invite, InviteEnd, Role};
use vereda_sync::device::{DeviceStore, IntentId, OutboxItem, StoreError};

use crate::{
    access::Hindrance,
    device::{Ambient, Device, DeviceError},
    link::{InviteLink, invite_key},
    tables::INVITES,
};

/// The longest that an invite may stay open.
pub const MAX_OPEN: Duration = Duration::from_secs(90 * 24 * 3_600);

/// What inviting takes.
#[derive(Debug, Clone, Copy)]
pub struct InviteRequest {
    /// The team or agency.
    pub chain: ChainId,
    /// The role offered.
    pub role: Role,
    /// How long the invite stays open.
    pub open_for: Duration,
}

/// Why nobody was invited.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Neither a team nor the agency.
    #[error("people are invited into a team or the agency")]
    NotAGroup,
    /// Not by this person.
    #[error("only a Manager of the team or agency may invite into it")]
    NotAllowed,
    /// Open too long, or not at all.
    #[error("an invite stays open for some time, {} days at most", MAX_OPEN.as_secs() / 86_400)]
    Expiry,
    /// An invite gives a role without end, and the person's own ends.
    #[error(transparent)]
    Hindered(#[from] Hindrance),
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// How an invite stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InviteState {
    /// Stored here; the relay was not reached yet.
    Pending,
    /// It can be taken up.
    Open,
    /// Somebody took it up.
    Accepted,
    /// It was not taken up in time, or withdrawn.
    Closed,
    /// The relay or policy refused it.
    Refused,
}

/// An invite made on this device.
#[derive(Clone, Serialize)]
pub struct InviteView {
    /// Names it on this device: its one-time public key.
    pub invite: DeviceId,
    /// The team or agency.
    pub chain: ChainId,
    /// Its name, if known.
    pub name: Option<String>,
    /// The role offered.
    pub role: &'static str,
    /// Until when, in milliseconds since 1970.
    pub expires: Timestamp,
    /// How it stands.
    pub state: InviteState,
    /// The link to pass on, while it can be taken up. Holds the secret.
    pub link: Option<String>,
}

impl fmt::Debug for InviteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invite, chain, name: _, role, expires, state, link } = self;
        let mut shown = f.debug_struct("InviteView");
        shown.field("invite", invite).field("chain", chain).field("role", role);
        shown.field("expires", expires).field("state", state);
        // Whoever reads the link can take it up.
        shown.field("link", &link.as_ref().map(|_| "…")).finish_non_exhaustive()
    }
}

/// What is kept of an invite.
#[derive(Encode, Decode)]
#[cbor(array)]
struct StoredInvite {
    #[n(0)]
    chain: ChainId,
    #[n(1)]
    seed: ByteArray<32>,
    #[n(2)]
    role: Role,
    #[n(3)]
    expires: Timestamp,
    #[n(4)]
    intent: IntentId,
}

impl<S: DeviceStore> Device<S> {
    /// Invites whoever gets the link; there is a link once the relay has the invite (see [`Self::invites`]).
    ///
    /// # Errors
    /// [`InviteError`] by cause; nothing is kept then.
    pub fn invite(&mut self, ambient: &mut Ambient<'_>, request: &InviteRequest) -> Result<DeviceId, InviteError> {
        let state = self.chain(&request.chain).ok_or(InviteError::NotAGroup)?;
        if !matches!(state.kind(), ChainKind::Team | ChainKind::Agency) {
            return Err(InviteError::NotAGroup);
        }
        if request.open_for.is_zero() || request.open_for > MAX_OPEN {
            return Err(InviteError::Expiry);
        }
        if self.role_over(&request.chain, ambient.now.wall) < Some(Role::Manager) {
            return Err(InviteError::NotAllowed);
        }
        let (key, expires) = (self.id(), ambient.now.wall.saturating_add(request.open_for));
        let like_it = Body::Invite(Invite { key, role: request.role, expires });
        let found = self.check_decision(&request.chain, &like_it, ambient.now.wall);
        // What else stands in its way is for the relay to say: this device may not have heard all.
        if let Err(error @ Hindrance::Outlasts { .. }) = found {
            return Err(error.into());
        }
        let made = self.keep_invite(ambient, request);
        if made.is_err() {
            self.roll_back();
        }
        Ok(made?)
    }

    /// Lists the invites made on this device, oldest first.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn invites(&self, now: Timestamp) -> Result<Vec<InviteView>, DeviceError> {
        let mut stored = Vec::new();
        self.store.scan(INVITES, None, &mut |_, row| {
            stored.extend(decode::<StoredInvite>(row, 1 << 10).ok());
            std::ops::ControlFlow::Continue(())
        })?;
        stored.iter().map(|invite| Ok(self.view_invite(invite, now)?)).collect()
    }

    fn keep_invite(&mut self, ambient: &mut Ambient<'_>, request: &InviteRequest) -> Result<DeviceId, DeviceError> {
        let seed = Key32::make(ambient.rng);
        let key = invite_key(seed.expose()).device_id();
        let expires = ambient.now.wall.saturating_add(request.open_for);
        let body = Body::Invite(Invite { key, role: request.role, expires });
        let intent = self.intend(request.chain, body, Vec::new())?;
        let seed = ByteArray::from(*seed.expose());
        let stored = StoredInvite { chain: request.chain, seed, role: request.role, expires, intent };
        self.store.put(INVITES, request.chain.as_bytes(), key.as_bytes(), &encode(&stored))?;
        self.commit()?;
        Ok(key)
    }

    fn view_invite(&self, stored: &StoredInvite, now: Timestamp) -> Result<InviteView, StoreError> {
        let key = invite_key(&stored.seed).device_id();
        let chain = self.chain(&stored.chain);
        let found = chain.as_ref().and_then(|state| state.invites().iter().find(|invite| invite.key == key).cloned());
        let is_queued = |item: &OutboxItem| matches!(item, OutboxItem::Intent { id, .. } if *id == stored.intent);
        let state = match &found {
            None if self.outbox()?.iter().any(is_queued) => InviteState::Pending,
            None => InviteState::Refused,
            Some(invite) => match invite.end {
                Some(InviteEnd::Accepted { .. }) => InviteState::Accepted,
                Some(InviteEnd::Cancelled { .. }) => InviteState::Closed,
                None if stored.expires <= now => InviteState::Closed,
                None => InviteState::Open,
            },
        };
        let link = match (found, state) {
            (Some(invite), InviteState::Open) => self.link_of(stored, invite.op).map(|link| link.expose()),
            _ => None,
        };
        Ok(InviteView {
            invite: key,
            chain: stored.chain,
            name: self.books.names.get(&stored.chain).cloned(),
            role: crate::words::role(stored.role),
            expires: stored.expires,
            state,
            link,
        })
    }

    fn link_of(&self, stored: &StoredInvite, invite: OpId) -> Option<InviteLink> {
        let membership = self.membership.as_ref()?;
        let others = [membership.agency, membership.user].into_iter().filter(|chain| *chain != stored.chain);
        let heads =
            others.map(|chain| Some(Cite { chain, head: self.chain(&chain)?.head() })).collect::<Option<_>>()?;
        Some(InviteLink {
            relay: membership.relay(),
            agency: membership.agency,
            chain: stored.chain,
            invite,
            secret: Sensitive::new(*stored.seed),
            expires: stored.expires,
            heads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_an_invite_does_not_show_its_link() {
        let view = InviteView {
            invite: DeviceId([1; 32]),
            chain: ChainId([2; 32]),
            name: Some("North".into()),
            role: "editor",
            expires: Timestamp(3),
            state: InviteState::Open,
            link: Some("vereda://join?secret=AAAA".into()),
        };
        let shown = format!("{view:?} {view:#?}");
        assert!(!shown.contains("secret") && !shown.contains("AAAA") && !shown.contains("North"), "{shown}");
    }
}
