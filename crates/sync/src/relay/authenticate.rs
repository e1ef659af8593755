//! Who may have a session.

use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::context;
use vereda_policy::invites_now;
use vereda_protocol::{
    Auth, Credential, Goodbye, Opening, auth_message, founding_auth_message, founding_key, invite_auth_message,
    negotiate,
};

use super::{
    chains::ChainCache,
    reach::{Reach, once_belonged},
    session::{Admission, Open},
    store::{Founding, RelayStore, StoreError},
};

/// Derives from a founding secret what the store keeps of it: the public half of its key.
pub fn founding_digest(secret: &[u8; 32]) -> Digest {
    Digest(founding_key(secret).device_id().0)
}

/// Checks a device's proof of identity and why the relay should listen to it: the version and the session, or why not.
pub(super) fn authenticate(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    opening: &Opening,
    auth: &Auth,
    now: Timestamp,
) -> Result<Result<(u16, Open), Goodbye>, StoreError> {
    let Ok(version) = negotiate(&auth.versions) else { return Ok(Err(Goodbye::NoCommonVersion)) };
    let message = auth_message(opening, auth);
    if vereda_crypto::verify(context::AUTH_SIGNATURE, &auth.device, &message, &auth.signature).is_err() {
        return Ok(Err(Goodbye::BadAuth));
    }
    let view = chains.view(store);
    let reach = Reach::find(&view, &auth.device, now)?;
    let reach = view.finish(reach)?;
    let admission = match admit(chains, store, opening, auth, &reach, now)? {
        Ok(admission) => admission,
        Err(goodbye) => return Ok(Err(goodbye)),
    };
    let mut open = Open::new(auth.device, auth.incarnation, admission);
    (open.until, open.is_by_documents) = (reach.until, reach.is_by_documents);
    open.agencies = match admission {
        Admission::Invited { agency, chain, invite } => {
            let until = invite_until(chains, store, &chain, &invite, now)?;
            open.until = open.until.into_iter().chain(until).min();
            [agency].into()
        }
        _ => reach.agencies,
    };
    open.reach = reach.groups;
    Ok(Ok((version, open)))
}

/// Tells what a device may do. One that belongs to a team or agency, or reads a document, is a member whatever it says: an answer
/// to its founding or its acceptance may have been lost. So is one removed that once belonged there: by an invite that it took up
/// itself it learns what came after.
fn admit(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    opening: &Opening,
    auth: &Auth,
    reach: &Reach,
    now: Timestamp,
) -> Result<Result<Admission, Goodbye>, StoreError> {
    if !reach.agencies.is_empty() {
        return Ok(Ok(if reach.is_recovery { Admission::Recovery } else { Admission::Member }));
    }
    match &auth.credential {
        Credential::Member => pending(store, &auth.device, reach),
        Credential::Founding { key, proof } => {
            let message = founding_auth_message(opening, &auth.device);
            if vereda_crypto::verify(context::FOUNDING_AUTH_SIGNATURE, key, &message, proof).is_err() {
                return Ok(Err(Goodbye::BadAuth));
            }
            let secret = Digest(key.0);
            Ok(match store.founding(&secret)? {
                Some(Founding::Open | Founding::Claimed(_)) => Ok(Admission::Founder { secret }),
                Some(Founding::Spent(_)) | None => Err(Goodbye::FoundingSpent),
            })
        }
        Credential::Invite { chain, invite, proof } => {
            let message = invite_auth_message(opening, &auth.device, chain, invite);
            let Some(known) = chains.load(store, chain)? else { return Ok(Err(Goodbye::InviteSpent)) };
            let Some(state) = known.state.invite(invite) else { return Ok(Err(Goodbye::InviteSpent)) };
            let verified = vereda_crypto::verify(context::INVITE_AUTH_SIGNATURE, &state.key, &message, proof).is_ok();
            let open = invite_until(chains, store, chain, invite, now)?.is_some_and(|until| until > now);
            Ok(match known.agency {
                _ if !verified => Err(Goodbye::BadAuth),
                Some(agency) if open => Ok(Admission::Invited { agency, chain: *chain, invite: *invite }),
                _ if once_belonged(store, &auth.device)? => Ok(Admission::Removed),
                _ => Err(Goodbye::InviteSpent),
            })
        }
    }
}

/// Until when an invite is open; `None` where there is no such invite, or none any more, or whoever made it may invite no
/// longer.
pub(super) fn invite_until(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    chain: &ChainId,
    invite: &OpId,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let known = chains.load(store, chain)?;
    let Some(known) = known else { return Ok(None) };
    let Some(open) = known.state.invite(invite).filter(|open| open.end.is_none()) else { return Ok(None) };
    let view = chains.view(store);
    let still = invites_now(&view, &known.state, open, now);
    Ok(view.finish(still)?.then_some(open.expires))
}

/// A device that belongs nowhere: whose user chain stands, and nothing above it, since it was cut off between its first two
/// operations; or that was removed.
fn pending(store: &dyn RelayStore, device: &DeviceId, reach: &Reach) -> Result<Result<Admission, Goodbye>, StoreError> {
    if once_belonged(store, device)? {
        return Ok(Ok(Admission::Removed));
    }
    if reach.groups.is_empty() {
        return Ok(Err(Goodbye::UnknownDevice));
    }
    Ok(Ok(match store.founding_of(device)? {
        Some(secret) => Admission::Founder { secret },
        None => Admission::Pending,
    }))
}
