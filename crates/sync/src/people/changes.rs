//! What people do to chains that stand: removals, rotations, decisions on what is in review.

use vereda_base::{ChainId, DeviceId, Digest, Link, OpId, Timestamp};
use vereda_policy::{
    AddDevice, Adopt, AdoptedDocument, Assign, Beacon, Body, CancelInvite, ChainKind, Chains, Cite, DeviceKind,
    Discard, Draft, Epoch, Expire, Frontier, FrontierTree, Grant, Leaf, Member, Place, RemoveDevice, Repair, Retention,
    Revoke, Role, Rotate, SetRetention, Target, WrappedKey, epoch_targets, hash_previous, wrap_list,
};

use super::{Person, Put, bug};

/// Makes the frontier of these places, each with the seq and id of the last that stands there.
pub fn frontier(places: &[(Place, u64, Digest)]) -> Frontier {
    let leaf = |(place, seq, id): &(Place, u64, Digest)| Leaf { key: place.key(), seq: *seq, id: *id };
    FrontierTree::new(places.iter().map(leaf)).frontier()
}

/// Makes the frontier that names nothing.
pub fn nothing_stands() -> Frontier {
    frontier(&[])
}

impl Person {
    /// Grants a role until a time.
    pub fn grant_until(&mut self, chain: ChainId, subject: ChainId, role: Role, expires: Timestamp) -> Put {
        self.append(chain, Body::Grant(Grant { subject, role, expires: Some(expires), sealed_purpose: None }))
    }

    /// Ends the roles of a member, down to one that is left.
    pub fn revoke(&mut self, chain: ChainId, subject: ChainId, keeps: Option<Role>, frontier: Frontier) -> Put {
        self.append(chain, Body::Revoke(Revoke { subject, keeps, successor: None, frontier }))
    }

    /// Takes a device from a user: from this person's own, or as a Manager who governs him by these agencies and teams.
    pub fn remove_device(&mut self, user: ChainId, device: DeviceId, groups: &[ChainId], frontier: Frontier) -> Put {
        let put = self.draft_removal(user, device, groups, frontier);
        self.learn(&put.op);
        put
    }

    /// Signs [`Self::remove_device`] without taking it for done.
    pub fn draft_removal(&self, user: ChainId, device: DeviceId, groups: &[ChainId], frontier: Frontier) -> Put {
        let draft = Draft::new(&self.chains, self.device(), None).with_groups(groups);
        let body = Body::RemoveDevice(RemoveDevice { device, frontier });
        let op = draft.sign_append(&self.key, &user, body).unwrap_or_else(|error| bug(error));
        Put { op, wraps: Vec::new() }
    }

    /// Moves a document: gives roles, and ends others'.
    pub fn assign(
        &mut self,
        document: ChainId,
        gives: &[(ChainId, Role)],
        takes: &[ChainId],
        frontier: Frontier,
    ) -> Put {
        let (gives, mut takes) = (members(gives), takes.to_vec());
        takes.sort_unstable();
        self.append(document, Body::Assign(Assign { gives, takes, parents: None, sections: Vec::new(), frontier }))
    }

    /// Carries out that a member's role has expired.
    pub fn expire(&mut self, chain: ChainId, subject: ChainId, frontier: Frontier) -> Put {
        self.append(chain, Body::Expire(Expire { subject, frontier }))
    }

    /// Begins a new epoch, wrapped to whom it is due, with the key before it.
    pub fn rotate(&mut self, chain: ChainId) -> Put {
        let targets = epoch_targets(&self.chains, &chain, Some(self.now));
        self.rotate_to(chain, targets)
    }

    /// Begins a new epoch that is wrapped to these epochs of the members.
    pub fn rotate_to(&mut self, chain: ChainId, targets: Vec<Option<u64>>) -> Put {
        let put = self.draft_rotation(chain, targets);
        self.learn(&put.op);
        put
    }

    /// Signs [`Self::rotate_to`] without taking it for done.
    pub fn draft_rotation(&mut self, chain: ChainId, targets: Vec<Option<u64>>) -> Put {
        self.draft_epoch(chain, targets, true)
    }

    /// As [`Self::draft_rotation`], without the key before it.
    pub fn draft_rotation_anew(&mut self, chain: ChainId, targets: Vec<Option<u64>>) -> Put {
        self.draft_epoch(chain, targets, false)
    }

    fn draft_epoch(&mut self, chain: ChainId, targets: Vec<Option<u64>>, has_previous: bool) -> Put {
        let state = self.chains.chain(&chain).unwrap_or_else(|| bug("the chain is unknown"));
        let follows = state.epoch_to_follow().map_or(0, |epoch| epoch.number);
        let sealed = vec![self.seed; 72];
        let previous = has_previous.then(|| hash_previous(&sealed));
        let wrapped = state.recipients().into_iter().zip(&targets);
        let to = wrapped.filter_map(|(recipient, epoch)| Some(Target { recipient, epoch: (*epoch)? }));
        let own = Target { recipient: Digest(chain.0), epoch: follows };
        let mut wraps: Vec<_> = to.map(|target| self.wrap(&target)).collect();
        if has_previous {
            wraps.push(vereda_policy::Wrap { key: WrappedKey::Group(sealed), ..self.wrap(&own) });
        }
        let (list, wraps) = wrap_list(wraps);
        let public_key = (state.kind() != ChainKind::Document).then(|| self.wrapping_key());
        let epoch = Epoch { public_key, commitment: Digest(self.draw()), wraps: list, previous, targets };
        let put = self.draft(chain, Body::Rotate(Rotate { epoch, follows, carries: Vec::new() }));
        Put { op: put.op, wraps: wraps.into_iter().map(|(wrap, _)| wrap).collect() }
    }

    /// Wraps the newest epoch for these.
    pub fn repair(&mut self, chain: ChainId, targets: &[Target]) -> Put {
        let epoch = self.newest(chain).epoch;
        let mut targets = targets.to_vec();
        targets.sort_unstable();
        let (list, wraps) = wrap_list(targets.iter().map(|target| self.wrap(target)).collect());
        let put = self.append(chain, Body::Repair(Repair { epoch, wraps: list, targets }));
        Put { op: put.op, wraps: wraps.into_iter().map(|(wrap, _)| wrap).collect() }
    }

    /// Takes chunks in that are in review.
    pub fn adopt(&mut self, document: ChainId, chunks: &[Link]) -> Put {
        let chunks = sorted(chunks);
        self.append(document, Body::Adopt(Adopt { chunks, documents: Vec::new() }))
    }

    /// Takes a document in that is in review.
    pub fn adopt_document(
        &mut self,
        team: ChainId,
        document: ChainId,
        holders: &[(ChainId, Role)],
        chunks: &[Link],
    ) -> Put {
        let mut chunks = chunks.to_vec();
        chunks.sort_unstable();
        let documents = vec![AdoptedDocument { document, holders: members(holders), chunks }];
        self.append(team, Body::Adopt(Adopt { chunks: Vec::new(), documents }))
    }

    /// Turns chunks away that are in review.
    pub fn discard(&mut self, document: ChainId, chunks: &[Link]) -> Put {
        let chunks = sorted(chunks);
        self.append(document, Body::Discard(Discard { chunks, documents: Vec::new(), sealed_reason: vec![7; 40] }))
    }

    /// Turns documents away that are in review.
    pub fn discard_documents(&mut self, team: ChainId, documents: &[ChainId]) -> Put {
        let mut documents = documents.to_vec();
        documents.sort_unstable();
        self.append(team, Body::Discard(Discard { chunks: Vec::new(), documents, sealed_reason: vec![7; 40] }))
    }

    /// Withdraws an invite.
    pub fn cancel(&mut self, chain: ChainId, invite: OpId) -> Put {
        self.append(chain, Body::CancelInvite(CancelInvite { invite }))
    }

    /// States what this person knows.
    pub fn beacon(&mut self, agency: ChainId, time: Timestamp) -> Put {
        let groups = self.chains.iter().filter(|state| state.kind() != ChainKind::Document);
        let heads = groups.map(|state| Cite { chain: state.id(), head: state.head() });
        let heads = heads.take(vereda_base::limits::MAX_LIST).collect();
        self.append(agency, Body::Beacon(Beacon { time, heads }))
    }

    /// Sets how long something may wait.
    pub fn set_retention(&mut self, agency: ChainId, what: Retention, days: u32) -> Put {
        self.append(agency, Body::SetRetention(SetRetention { what, days }))
    }

    /// Makes another device of this user, the same for the same seed, and adds it. It knows what this one knows.
    pub fn add_device(&mut self, seed: u8, kind: DeviceKind) -> (Put, Self) {
        let mut other = Self::new(seed);
        let user = self.user();
        let add = AddDevice::with_key(user, &other.key, other.wrapping_key(), kind);
        let put = self.append(user, Body::AddDevice(add));
        other.user = Some(user);
        other.chains = self.chains.clone();
        (put, other)
    }
}

fn members(list: &[(ChainId, Role)]) -> Vec<Member> {
    let mut members: Vec<Member> =
        list.iter().map(|(subject, role)| Member { subject: *subject, role: *role }).collect();
    members.sort_unstable();
    members
}

fn sorted(links: &[Link]) -> Vec<Link> {
    let mut links = links.to_vec();
    links.sort_unstable();
    links
}
