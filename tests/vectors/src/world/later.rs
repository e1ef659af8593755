//! What happens after the case was begun, in chains of its own: one operation at least of every other body.

use anyhow::{Context as _, Result};
use vereda_base::{ChainId, Digest, Link, Timestamp};
use vereda_crypto::{DeviceKey, DocumentEpochKey, GroupEpochSecret, Key32, WrapInfo, WrapKeyPair, seal_for_group};
use vereda_policy::{
    AddDevice, Adopt, AdoptedDocument, Assign, BadRotate, Beacon, Body, CancelInvite, Chains, Cite, Create, DeviceKind,
    Discard, DocumentKind, Epoch, EpochFault, Expire, Frontier, FrontierTree, Grant, Invite, Leaf, Member, Parent,
    ParentAuthority, Place, RemoveDevice, Retention, Revoke, Role, Rotate, SectionFate, SetRetention, Wrap, WrappedKey,
    hash_previous, wrap_list,
};

use super::{Founding, Person, START, epoch_scope, manager};

impl Founding {
    pub(super) fn go_on(
        &mut self,
        (amina, chipo): (&Person, &Person),
        agency: ChainId,
        team: ChainId,
        secret: &GroupEpochSecret,
    ) -> Result<()> {
        self.remove_devices()?;
        self.state(amina, agency)?;
        let document = self.second_case((amina, chipo), team, secret)?;
        self.decide(amina, team, document)?;
        self.end_roles(amina, document)?;
        self.append("erase", "the document is erased", amina, document, Body::Erase, vec![])?;
        Ok(())
    }

    /// A third person gets a printed key and takes it back.
    fn remove_devices(&mut self) -> Result<()> {
        let dina = self.join(4, "create third user", "a user who belongs to nothing")?;
        let printed = DeviceKey::from_seed(&[5; 32]);
        let wrapping = WrapKeyPair::from_seed(&Key32::new([0x15; 32]));
        let add = AddDevice::with_key(dina.user, &printed, wrapping.public().clone(), DeviceKind::Recovery);
        let about = "a recovery key of the user, proven by itself";
        self.append("add recovery key", about, &dina, dina.user, Body::AddDevice(add), vec![])?;
        let remove = RemoveDevice { device: printed.device_id(), frontier: frontier(dina.user, &printed) };
        let about = "the key is taken from the user; one operation of it stands";
        self.append("remove device", about, &dina, dina.user, Body::RemoveDevice(remove), vec![])?;
        Ok(())
    }

    /// What an agency's Manager states.
    fn state(&mut self, amina: &Person, agency: ChainId) -> Result<()> {
        let key = DeviceKey::from_seed(&[6; 32]).device_id();
        let invite = Invite { key, role: Role::Reader, expires: Timestamp(START.0 + 3_600_000) };
        let about = "an offer that is not taken up";
        let invite = self.append("second invite", about, amina, agency, Body::Invite(invite), vec![])?;
        let cancel = Body::CancelInvite(CancelInvite { invite });
        self.append("cancel invite", "the offer is withdrawn", amina, agency, cancel, vec![])?;
        let head = self.chains.chain(&amina.user).context("no such chain")?.head();
        let beacon = Beacon { time: START, heads: vec![Cite { chain: amina.user, head }] };
        self.append("beacon", "heads and time as a Manager knew them", amina, agency, Body::Beacon(beacon), vec![])?;
        for (name, what, days) in [("set review time", Retention::Review, 30), ("set beacon age", Retention::Beacon, 7)]
        {
            let set = Body::SetRetention(SetRetention { what, days });
            self.append(name, "a number of days", amina, agency, set, vec![])?;
        }
        Ok(())
    }

    /// A document whose key is renewed, called bad, and renewed again.
    fn second_case(
        &mut self,
        (amina, chipo): (&Person, &Person),
        team: ChainId,
        secret: &GroupEpochSecret,
    ) -> Result<ChainId> {
        let first = DocumentEpochKey::from_key(Key32::new([0x53; 32]));
        let (epoch, wraps) = self.document_epoch((amina, &first), team, (amina, secret));
        let parents = vec![Parent { chain: team, authority: ParentAuthority::Full }];
        let create = Create::document(DocumentKind::Incident, [0x63; 16], parents, vec![manager(team)], epoch);
        let about = "an incident, held by the team";
        let document = self.create("create incident", about, &amina.key, create, wraps)?;
        let [second, third] = [0x54, 0x55].map(|seed| DocumentEpochKey::from_key(Key32::new([seed; 32])));
        let bad = |epoch, fault| Body::BadRotate(BadRotate { epoch, fault });
        let about = "a member's wrap did not open";
        self.append("first bad rotate", about, chipo, document, bad(0, EpochFault::Wrap), vec![])?;
        let (epoch, wraps) = self.next_epoch((amina, &second, 1), document, &[(0, &first)], (team, secret));
        let about = "a new key for the team; it holds the first one sealed";
        let body = Body::Rotate(Rotate { epoch, follows: 0, carries: vec![] });
        self.append("rotate", about, amina, document, body, wraps)?;
        let about = "a member found the new key wrong";
        self.append("bad rotate", about, chipo, document, bad(1, EpochFault::Previous), vec![])?;
        let held = [(0, &first), (1, &second)];
        let (epoch, wraps) = self.next_epoch((amina, &third, 2), document, &held, (team, secret));
        let about = "a new key for the team; it holds the first one sealed, and the one that was passed over";
        let body = Body::Rotate(Rotate { epoch, follows: 0, carries: vec![1] });
        self.append("rotate again", about, amina, document, body, wraps)?;
        Ok(document)
    }

    /// Makes an epoch of a document that is sealed to the team and holds these earlier keys, first the one it follows.
    fn next_epoch(
        &mut self,
        (author, key, number): (&Person, &DocumentEpochKey, u64),
        document: ChainId,
        held: &[(u64, &DocumentEpochKey)],
        (team, secret): (ChainId, &GroupEpochSecret),
    ) -> (Epoch, super::Wraps) {
        let (commitment, founder) = (key.commitment(), author.key.device_id());
        let chain = epoch_scope(&founder, &commitment);
        let info = |recipient: ChainId, recipient_epoch| WrapInfo {
            chain,
            epoch: number,
            recipient: recipient.0,
            recipient_epoch,
        };
        let team_key = secret.derive_wrap_key(epoch_scope(&founder, &secret.commitment()), 0);
        let to_team = seal_for_group(&team_key, &info(team, 0), key.key(), &mut self.rng);
        let seal = key.derive_previous_key_seal(chain, number);
        let wrap = |recipient: ChainId, recipient_epoch, sealed| Wrap {
            recipient: Digest(recipient.0),
            recipient_epoch,
            key: WrappedKey::Group(sealed),
        };
        let (mut wraps, mut previous) = (vec![wrap(team, 0, to_team)], None);
        for (earlier, key) in held {
            let sealed = seal_for_group(&seal, &info(document, *earlier), key.key(), &mut self.rng);
            previous.get_or_insert_with(|| hash_previous(&sealed));
            wraps.push(wrap(document, *earlier, sealed));
        }
        let (list, wraps) = wrap_list(wraps);
        let targets = vec![Some(0)];
        (Epoch { public_key: None, commitment, wraps: list, previous, targets }, wraps)
    }

    fn decide(&mut self, amina: &Person, team: ChainId, document: ChainId) -> Result<()> {
        let adopt = Adopt { chunks: vec![Link([0x71; 32]), Link([0x72; 32])], documents: vec![] };
        let about = "two chunks in review are taken in";
        self.append("adopt chunks", about, amina, document, Body::Adopt(adopt), vec![])?;
        let adopted = AdoptedDocument {
            document: ChainId([0x74; 32]),
            holders: vec![manager(team)],
            chunks: vec![Link([0x75; 32])],
        };
        let about = "a document in review is taken in, for new holders";
        let adopt = Body::Adopt(Adopt { chunks: vec![], documents: vec![adopted] });
        self.append("adopt document", about, amina, team, adopt, vec![])?;
        let discard = Discard { chunks: vec![Link([0x73; 32])], documents: vec![], sealed_reason: vec![0x5f; 40] };
        let about = "a chunk in review is turned away, for a sealed reason";
        self.append("discard chunks", about, amina, document, Body::Discard(discard), vec![])?;
        let documents = vec![ChainId([0x75; 32])];
        let discard = Body::Discard(Discard { chunks: vec![], documents, sealed_reason: vec![] });
        self.append("discard document", "a document in review is turned away", amina, team, discard, vec![])?;
        Ok(())
    }

    fn end_roles(&mut self, amina: &Person, document: ChainId) -> Result<()> {
        let parents = self.chains.chain(&document).context("no such chain")?.parents().copied().collect();
        let assign = Assign {
            gives: vec![Member { subject: amina.user, role: Role::Manager }],
            takes: vec![],
            parents: Some(parents),
            sections: vec![SectionFate { section: ChainId([0x76; 32]), goes: true }],
            frontier: frontier(document, &amina.key),
        };
        self.append("assign", "the document gets a holder more", amina, document, Body::Assign(assign), vec![])?;
        let lower = |keeps, successor| {
            Body::Revoke(Revoke { subject: amina.user, keeps, successor, frontier: frontier(document, &amina.key) })
        };
        let body = lower(Some(Role::Reader), None);
        self.append("revoke in part", "a Manager becomes Reader", amina, document, body, vec![])?;
        let about = "the Reader has no role any more";
        self.append("revoke", about, amina, document, lower(None, None), vec![])?;
        // The relay appends one operation in a second.
        let next = i64::try_from(self.events.len())? + 1;
        let expires = Some(Timestamp(START.0 + 1_000 * next));
        let grant = Grant { subject: amina.user, role: Role::Reader, expires, sealed_purpose: None };
        let about = "a role for one second";
        self.append("grant for a time", about, amina, document, Body::Grant(grant), vec![])?;
        let expire = Expire { subject: amina.user, frontier: frontier(document, &amina.key) };
        self.append("expire", "the second has passed", amina, document, Body::Expire(expire), vec![])?;
        Ok(())
    }
}

/// One operation of a device in a chain stands.
fn frontier(chain: ChainId, key: &DeviceKey) -> Frontier {
    let place = Place::Ops { chain, device: key.device_id() };
    FrontierTree::new([Leaf { key: place.key(), seq: 1, id: Digest([0x77; 32]) }]).frontier()
}
