//! Linking a further device of the same person: an offer from one of his devices, the answer of the new one, and a code on
//! both screens that people compare before either goes on (protocol, access).

use std::time::Duration;

use minicbor::{Decode, Encode, bytes::ByteArray};
use rand_core::CryptoRng;
use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp, decode, encode};
use vereda_policy::{AddDevice, Body, Cite, DeviceKind, JoinProof};
use vereda_sync::device::{DeviceStore, StoreError};

use super::LinkingCode;
use crate::{
    device::{Ambient, Device, DeviceError, draw_nonce},
    directory,
    facts::{DeviceKeys, Introduction, Membership, save_device_name},
    keyring::Keyring,
    link::{DeviceAnswer, DeviceOffer},
    tables::FACTS,
};

/// How long an offer can be answered.
pub const OFFER_LASTS: Duration = Duration::from_secs(600);

const OFFERED: &[u8] = b"link offered";
const ANSWERED: &[u8] = b"link answered";
const MAX_BYTES: usize = 64 << 10;
/// Heads of teams in an offer: a link is to be shown as a picture.
const MAX_TEAMS: usize = 6;

/// Why a device was not linked; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The vault has a user already.
    #[error("this vault belongs to somebody in an agency already: make another vault")]
    Taken,
    /// The person's chain is not at the relay yet.
    #[error("further devices are linked once this one is a member: sync first")]
    NotMember,
    /// No offer or answer is open on this device.
    #[error("no device is being linked here, or its time is over: begin again")]
    Nothing,
    /// The answer is to another offer.
    #[error("this answers another offer than the newest one made here: begin again")]
    OtherOffer,
    /// The new device's signature does not hold.
    #[error("this link does not come whole from the device that it names: begin again")]
    Proof,
    /// The device is, or was, one of the person's.
    #[error("this device was one of yours already: answer the offer anew, which makes new keys")]
    Known,
    /// The codes of the two screens are not the same.
    #[error("the codes differ: somebody may have exchanged a link on its way; nothing was linked, begin again")]
    CodesDiffer,
    /// The name is empty or too long.
    #[error("a name is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Name,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::Device(error.into())
    }
}

/// A linking that waits for the person of a new device to compare the codes.
#[derive(Debug, Clone, Serialize)]
pub struct LinkingView {
    /// The code.
    #[serde(serialize_with = "crate::words::as_text")]
    pub code: LinkingCode,
    /// The answer, to be shown to the other device.
    pub answer: String,
    /// The device that offered.
    pub by: DeviceId,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Offered {
    #[n(0)]
    offer: DeviceOffer,
    #[n(1)]
    until: Timestamp,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Answered {
    #[n(0)]
    offer: DeviceOffer,
    #[n(1)]
    answer: DeviceAnswer,
    #[n(2)]
    name: String,
}

impl<S: DeviceStore> Device<S> {
    /// Offers to link a further device of this person; takes the place of an earlier offer. It can be answered for
    /// [`OFFER_LASTS`].
    ///
    /// # Errors
    /// [`LinkError`] by cause; nothing is kept then.
    pub fn offer_link(&mut self, ambient: &mut Ambient<'_>) -> Result<DeviceOffer, LinkError> {
        let Some(membership) = &self.membership else { return Err(DeviceError::NoAgency.into()) };
        let (relay, user, agency) = (membership.relay(), membership.user, membership.agency);
        let is_known = matches!(membership.introduction, Introduction::Known);
        let heads = self.promised_heads(user, agency, ambient.now.wall)?;
        if !is_known || heads.is_empty() {
            return Err(LinkError::NotMember);
        }
        let nonce = ByteArray::from(draw_nonce(ambient.rng));
        let offer = DeviceOffer { relay, agency, user, device: self.id(), heads, nonce };
        let row = Offered { offer: offer.clone(), until: ambient.now.wall.saturating_add(OFFER_LASTS) };
        self.keep(|store| store.put(FACTS, &[], OFFERED, &encode(&row)))?;
        Ok(offer)
    }

    /// Answers an offer with fresh keys, on a vault that belongs to nobody; takes the place of an earlier answer. Nothing
    /// further is done before [`Self::confirm_offer`].
    ///
    /// # Errors
    /// [`LinkError`] by cause; nothing is kept then.
    pub fn answer_link(
        &mut self,
        ambient: &mut Ambient<'_>,
        offer: &DeviceOffer,
        name: &str,
    ) -> Result<LinkingView, LinkError> {
        if self.membership.is_some() {
            return Err(LinkError::Taken);
        }
        if !directory::is_name(name) {
            return Err(LinkError::Name);
        }
        // A proof names the person of the offer, and that may be somebody else's until the codes were compared: whatever
        // was signed for an offer that nobody confirmed is signed by keys that are used for nothing else.
        let keys = self.renew_keys(ambient.rng)?;
        let (device, wrapping_key) = (keys.signing.device_id(), keys.wrapping.public().clone());
        let proof = JoinProof { user: offer.user, device, wrapping_key, kind: DeviceKind::Full };
        let signature = proof.sign(&keys.signing);
        let nonce = ByteArray::from(draw_nonce(ambient.rng));
        let answer =
            DeviceAnswer { device, wrapping_key: proof.wrapping_key, proof: signature, offer: offer.nonce, nonce };
        let row = Answered { offer: offer.clone(), answer, name: name.trim().to_owned() };
        self.keep(|store| store.put(FACTS, &[], ANSWERED, &encode(&row)))?;
        Ok(view(&row))
    }

    /// Shows the answer of this new device that waits for its person, if there is one.
    ///
    /// # Errors
    /// [`LinkError`] if the store fails.
    pub fn linking(&self) -> Result<Option<LinkingView>, LinkError> {
        Ok(self.load_fact::<Answered>(ANSWERED)?.as_ref().map(view))
    }

    /// Checks an answer to the newest offer made here, and tells the code to compare.
    ///
    /// # Errors
    /// [`LinkError`] by cause.
    pub fn check_answer(&self, now: Timestamp, answer: &DeviceAnswer) -> Result<LinkingCode, LinkError> {
        let offered = self.load_fact::<Offered>(OFFERED)?.filter(|offered| now < offered.until);
        let Offered { offer, .. } = offered.ok_or(LinkError::Nothing)?;
        if answer.offer != offer.nonce {
            return Err(LinkError::OtherOffer);
        }
        let (device, wrapping_key) = (answer.device, answer.wrapping_key.clone());
        let proof = JoinProof { user: offer.user, device, wrapping_key, kind: DeviceKind::Full };
        if !proof.holds(&answer.proof) {
            return Err(LinkError::Proof);
        }
        if self.chain(&offer.user).is_some_and(|state| state.device(&device).is_some()) {
            return Err(LinkError::Known);
        }
        Ok(LinkingCode::of(&offer, answer))
    }

    /// Adds the new device to this person, whose code is the one given: the person saw it on the new device's screen. The
    /// offer is used up, whatever the code. Final when the relay is reached; the keys follow by themselves.
    ///
    /// # Errors
    /// [`LinkError`] by cause; no device is added then.
    pub fn confirm_answer(
        &mut self,
        ambient: &mut Ambient<'_>,
        answer: &DeviceAnswer,
        code: LinkingCode,
    ) -> Result<DeviceId, LinkError> {
        let expected = self.check_answer(ambient.now.wall, answer)?;
        if expected != code {
            self.drop_linking()?;
            return Err(LinkError::CodesDiffer);
        }
        let (user, _) = self.home().ok_or(DeviceError::NoAgency)?;
        let DeviceAnswer { device, wrapping_key, proof, .. } = answer.clone();
        let body = Body::AddDevice(AddDevice { device, wrapping_key, proof, kind: DeviceKind::Full });
        let added = self.intend(user, body, Vec::new()).and_then(|_| Ok(self.store.delete(FACTS, OFFERED)?));
        if let Err(error) = added.and_then(|()| self.commit()) {
            self.roll_back();
            return Err(error.into());
        }
        Ok(device)
    }

    /// Makes this new device one of the offer's person, whose code is the one given: the person saw it on the other
    /// device's screen. It comes in when that device has added it and the relay is reached.
    ///
    /// # Errors
    /// [`LinkError`] by cause; nothing is kept then.
    pub fn confirm_offer(&mut self, code: LinkingCode) -> Result<ChainId, LinkError> {
        if self.membership.is_some() {
            return Err(LinkError::Taken);
        }
        let answered = self.load_fact::<Answered>(ANSWERED)?.ok_or(LinkError::Nothing)?;
        let Answered { offer, answer, name } = answered;
        if answer.device != self.id() {
            return Err(LinkError::Nothing);
        }
        if LinkingCode::of(&offer, &answer) != code {
            self.drop_linking()?;
            return Err(LinkError::CodesDiffer);
        }
        let user = offer.user;
        let begun = self.begin_linked(offer, &name);
        if let Err(error) = begun {
            self.roll_back();
            return Err(error.into());
        }
        Ok(user)
    }

    /// Forgets an offer or answer: the codes differ, or the person thought better of it.
    ///
    /// # Errors
    /// [`LinkError`] if the store fails.
    pub fn drop_linking(&mut self) -> Result<(), LinkError> {
        self.keep(|store| {
            store.delete(FACTS, OFFERED)?;
            store.delete(FACTS, ANSWERED)
        })
    }

    fn begin_linked(&mut self, offer: DeviceOffer, name: &str) -> Result<(), DeviceError> {
        let membership = Membership {
            user: offer.user,
            agency: offer.agency,
            relay_url: offer.relay.url,
            relay_key: offer.relay.key,
            introduction: Introduction::Linked,
            heads: offer.heads,
            person: String::new(),
        };
        membership.save(&mut self.store)?;
        save_device_name(&mut self.store, name)?;
        self.store.delete(FACTS, ANSWERED)?;
        self.begin_machine(membership)?;
        self.commit()
    }

    /// Lists the heads that a new device shall find at the relay: of the person, the agency, his teams. None before they
    /// are known here.
    pub(super) fn promised_heads(
        &self,
        user: ChainId,
        agency: ChainId,
        now: Timestamp,
    ) -> Result<Vec<Cite>, DeviceError> {
        let teams = self.own_teams(now)?.into_iter().filter(|team| *team != agency).take(MAX_TEAMS);
        let cite = |chain: ChainId| Some(Cite { chain, head: self.chain(&chain)?.head() });
        Ok([user, agency].into_iter().chain(teams).map(cite).collect::<Option<_>>().unwrap_or_default())
    }

    pub(super) fn renew_keys(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<DeviceKeys, LinkError> {
        let mut made = None;
        self.keep(|store| {
            made = Some(DeviceKeys::make(store, rng)?);
            Ok(())
        })?;
        let keys = made.ok_or(LinkError::Nothing)?;
        self.keyring = Keyring::load(keys.signing.device_id(), keys.wrapping.clone(), &self.store)?;
        self.keys = keys.clone();
        Ok(keys)
    }

    /// Writes and commits, or keeps nothing.
    fn keep(&mut self, write: impl FnOnce(&mut S) -> Result<(), StoreError>) -> Result<(), LinkError> {
        let written = write(&mut self.store).map_err(DeviceError::from).and_then(|()| self.commit());
        if written.is_err() {
            self.roll_back();
        }
        Ok(written?)
    }

    fn load_fact<T>(&self, key: &[u8]) -> Result<Option<T>, StoreError>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        // What an earlier version wrote otherwise is a linking to be begun again.
        Ok(self.store.get(FACTS, key)?.and_then(|bytes| decode(&bytes, MAX_BYTES).ok()))
    }
}

fn view(answered: &Answered) -> LinkingView {
    LinkingView {
        code: LinkingCode::of(&answered.offer, &answered.answer),
        answer: answered.answer.text(),
        by: answered.offer.device,
    }
}
