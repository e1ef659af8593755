//! Operations in the making: fills in place and cites, so that an author says only what is to be done.

use std::collections::BTreeSet;

use minicbor::bytes::ByteArray;
use vereda_base::{ChainId, DeviceId, Timestamp, limits};
use vereda_crypto::{DeviceKey, SignError, Verified, WrapPublicKey};

use crate::{
    Body, BodyCode, ChainKind, ChainState, Chains, Cite, Create, DeviceKind, DocumentKind, Epoch, Member, Need, Op,
    Parent, ParentAuthority, Role, SUITE,
    append::{is_book, need_in_parent, need_in_parents},
    cite_governing, cite_path,
    inviting::is_group_with_a_say,
    need,
    path::cite_all,
    term::term_given,
};

/// Drafts operations of one device over what it knows.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    view: &'a dyn Chains,
    device: DeviceId,
    now: Option<Timestamp>,
    groups: &'a [ChainId],
}

impl<'a> Draft<'a> {
    /// Begins drafting for a device. With `now`, no path is used on which a role has expired.
    pub const fn new(view: &'a dyn Chains, device: DeviceId, now: Option<Timestamp>) -> Self {
        Self { view, device, now, groups: &[] }
    }

    /// Names agencies and teams by which the author may govern users that he is not: needed to remove their devices.
    #[must_use]
    pub const fn with_groups(self, groups: &'a [ChainId]) -> Self {
        Self { groups, ..self }
    }

    /// Drafts the first operation of a chain.
    ///
    /// # Errors
    /// [`DraftError::NoPath`] where the author lacks what the chain asks for, [`DraftError::TooManyCites`] where proving
    /// it takes too many chains.
    pub fn create(&self, create: Create) -> Result<Op, DraftError> {
        let cites = self.cites_of_create(&create)?;
        Ok(Op { suite: SUITE, chain: None, seq: 0, prev: None, device: self.device, cites, body: Body::Create(create) })
    }

    /// Drafts an operation that follows the newest head of `chain`.
    ///
    /// # Errors
    /// [`DraftError`], as for [`Self::create`]; also where the chain is unknown or has no place for the body.
    pub fn append(&self, chain: &ChainId, body: Body) -> Result<Op, DraftError> {
        let state = self.view.chain(chain).ok_or(DraftError::UnknownChain { chain: *chain })?;
        let code = body.code();
        let (kind, no_path) = (state.kind(), DraftError::NoPath { body: code, chain: *chain });
        let cites = match need(code, kind).ok_or(DraftError::NotHere { body: code, kind })? {
            Need::Founding => return Err(DraftError::NotHere { body: code, kind }),
            Need::Invitation => self.cites_of_accept(&body).ok_or(no_path)?,
            role => {
                // Whoever gives a role cites what lasts as long; where he has no such thing, it is for others to say so.
                let parents: Vec<Parent> = state.parents().copied().collect();
                let lasting = term_given(&body, &parents).map(|term| {
                    let last = term.last();
                    Self { now: Some(self.now.map_or(last, |now| now.max(last))), ..*self }
                });
                let found = lasting.and_then(|draft| draft.cites_by_role(&state, &body, role));
                found.or_else(|| self.cites_by_role(&state, &body, role)).ok_or(no_path)?
            }
        };
        let (seq, prev) = (state.head_seq().saturating_add(1), Some(state.head()));
        let cites = bounded(cites)?;
        Ok(Op { suite: SUITE, chain: Some(*chain), seq, prev, device: self.device, cites, body })
    }

    /// Finds the cites of what takes a role in the chain, and perhaps in others.
    fn cites_by_role(&self, state: &ChainState, body: &Body, role: Need) -> Option<Vec<Cite>> {
        let (chain, parents) = (state.id(), state.parents().copied().collect::<Vec<Parent>>());
        let found = cite_path(self.view, &self.device, &chain, role, self.now);
        let found = found.or_else(|| self.cites_otherwise(&chain, body, role))?;
        let mut chains: BTreeSet<ChainId> = found.iter().map(|cite| cite.chain).collect();
        for subject in put_before(body, state.kind()) {
            chains.extend(self.cover(&parents, &subject)?);
        }
        if matches!(body, Body::Invite(_)) {
            chains.extend(self.cite_inviting(state)?);
        }
        for parent in freed(body, state) {
            let path = cite_path(self.view, &self.device, &parent, Need::Authority(Role::Manager), self.now)?;
            chains.extend(path.iter().map(|cite| cite.chain).chain([parent]));
        }
        chains.extend(self.raise(body, state)?);
        Some(cite_all(self.view, chains).unwrap_or_default())
    }

    /// Drafts the first operation of a chain and signs it.
    ///
    /// # Errors
    /// As [`Self::create`]; [`DraftError::Sign`] if the key is another device's.
    pub fn sign_create(&self, key: &DeviceKey, create: Create) -> Result<Verified<Op>, DraftError> {
        Ok(Verified::sign(key, self.create(create)?)?)
    }

    /// Drafts an operation that follows the newest head of `chain` and signs it.
    ///
    /// # Errors
    /// As [`Self::append`]; [`DraftError::Sign`] if the key is another device's.
    pub fn sign_append(&self, key: &DeviceKey, chain: &ChainId, body: Body) -> Result<Verified<Op>, DraftError> {
        Ok(Verified::sign(key, self.append(chain, body)?)?)
    }

    fn cites_of_create(&self, create: &Create) -> Result<Vec<Cite>, DraftError> {
        let mut chains = BTreeSet::new();
        let no_path = |chain: &ChainId| DraftError::NoPath { body: BodyCode::CREATE, chain: *chain };
        match create.kind {
            ChainKind::User => {}
            ChainKind::Agency => {
                let managers = create.members.iter().filter(|member| member.role == Role::Manager);
                let own = managers.map(|member| member.subject).find(|user| self.is_own_user(user));
                chains.insert(own.ok_or(DraftError::NoFounder { device: self.device })?);
            }
            ChainKind::Team | ChainKind::Document => {
                let need = match create.kind {
                    ChainKind::Team => Need::Authority(Role::Manager),
                    _ => need_in_parents(create),
                };
                let prove = |parent: &ChainId| cite_path(self.view, &self.device, parent, need, self.now);
                let mut full =
                    create.parents.iter().filter(|parent| parent.authority == ParentAuthority::Full).peekable();
                if full.peek().is_none() {
                    let any = create.parents.iter().find_map(|parent| Some((parent.chain, prove(&parent.chain)?)));
                    let first = create.parents.first().map_or(ChainId([0; 32]), |parent| parent.chain);
                    let (parent, path) = any.ok_or_else(|| no_path(&first))?;
                    chains.insert(parent);
                    chains.extend(path.iter().map(|cite| cite.chain));
                }
                for parent in full {
                    chains.insert(parent.chain);
                    let path = prove(&parent.chain).ok_or_else(|| no_path(&parent.chain))?;
                    chains.extend(path.iter().map(|cite| cite.chain));
                }
                for parent in create.parents.iter().filter(|parent| parent.authority == ParentAuthority::RevokeOnly) {
                    let path = self.prove_in(parent, Need::Authority(Role::Reader));
                    chains.extend(path.ok_or_else(|| no_path(&parent.chain))?);
                }
                if create.kind == ChainKind::Document {
                    for member in &create.members {
                        let cover = self.cover(&create.parents, &member.subject);
                        chains.extend(cover.ok_or_else(|| no_path(&member.subject))?);
                    }
                }
            }
        }
        bounded(cite_all(self.view, chains).unwrap_or_default())
    }

    /// Finds the chains that prove that the author may put a document with these parents before a member.
    fn cover(&self, parents: &[Parent], subject: &ChainId) -> Option<Vec<ChainId>> {
        if self.is_own_user(subject) {
            return Some(vec![*subject]);
        }
        let mut with_a_say = parents.iter().filter(|parent| parent.authority != ParentAuthority::None);
        let holder = with_a_say.find(|parent| parent.chain == *subject);
        let held = holder.and_then(|parent| self.prove_in(parent, Need::Content(Role::Editor)));
        held.or_else(|| self.group_above(parents))
    }

    /// Finds what an invite rests on beside the author's own role: in a document a group above it; elsewhere whatever else
    /// makes him Manager, so that the invite holds as long as one of these does.
    fn cite_inviting(&self, state: &ChainState) -> Option<Vec<ChainId>> {
        let parents: Vec<Parent> = state.parents().copied().collect();
        if state.kind() == ChainKind::Document {
            return self.group_above(&parents);
        }
        let full = parents.iter().filter(|parent| parent.authority == ParentAuthority::Full);
        Some(full.filter_map(|parent| self.prove_in(parent, Need::Authority(Role::Manager))).flatten().collect())
    }

    /// Finds the chains that prove that the author may give a document the parents that a body gives it, or more to say:
    /// a group above it; or where nobody has a say but his own users, these and what he has in the new parents.
    fn raise(&self, body: &Body, state: &ChainState) -> Option<Vec<ChainId>> {
        let Body::Assign(assign) = body else { return Some(Vec::new()) };
        let parents: Vec<Parent> = state.parents().copied().collect();
        let raised = assign.raised_parents(&parents);
        if raised.is_empty() {
            return Some(Vec::new());
        }
        let own = || {
            let with_a_say = parents.iter().filter(|parent| parent.authority != ParentAuthority::None);
            let chains: Vec<ChainId> = with_a_say.map(|parent| parent.chain).collect();
            chains.iter().all(|chain| self.is_own_user(chain)).then_some(chains)
        };
        let mut chains = match self.group_above(&parents) {
            Some(group) if !is_book(state.document_kind()) => return Some(group),
            Some(group) => group,
            None => own()?,
        };
        for parent in &raised {
            chains.extend(self.prove_in(parent, need_in_parent(state.document_kind(), parent.authority))?);
        }
        Some(chains)
    }

    /// Finds the chains that prove that the author is Manager of a team or agency among the parents that has a say.
    fn group_above(&self, parents: &[Parent]) -> Option<Vec<ChainId>> {
        let mut groups = parents.iter().filter(|parent| is_group_with_a_say(self.view, parent));
        groups.find_map(|parent| self.prove_in(parent, Need::Authority(Role::Manager)))
    }

    /// Finds the chains that prove what the author has in a parent, itself among them.
    fn prove_in(&self, parent: &Parent, need: Need) -> Option<Vec<ChainId>> {
        let cites = cite_path(self.view, &self.device, &parent.chain, need, self.now)?;
        Some(cites.iter().map(|cite| cite.chain).chain([parent.chain]).collect())
    }

    /// Finds the cites of what takes no role in the chain: of a Manager who governs the user, and of one who leaves.
    fn cites_otherwise(&self, chain: &ChainId, body: &Body, need: Need) -> Option<Vec<Cite>> {
        match body {
            Body::RemoveDevice(_) if need == Need::Removing => {
                cite_governing(self.view, &self.device, chain, self.groups, self.now)
            }
            Body::Revoke(revoke) => self.is_own_user(&revoke.subject).then(|| cite_all(self.view, [revoke.subject]))?,
            _ => None,
        }
    }

    fn cites_of_accept(&self, body: &Body) -> Option<Vec<Cite>> {
        let Body::Accept(accept) = body else { return None };
        self.is_own_user(&accept.user).then(|| cite_all(self.view, [accept.user]))?
    }

    fn is_own_user(&self, user: &ChainId) -> bool {
        let standing = |state: std::sync::Arc<crate::ChainState>| {
            let head = state.head_seq();
            let is_full = |device: &crate::DeviceStanding| device.kind == DeviceKind::Full && device.stands_at(head);
            state.kind() == ChainKind::User && state.device(&self.device).is_some_and(is_full)
        };
        self.view.chain(user).is_some_and(standing)
    }
}

/// Lists the parents of which a body takes authority over the chain.
fn freed(body: &Body, state: &crate::ChainState) -> Vec<ChainId> {
    match body {
        Body::Assign(assign) => assign.lowered_parents(state.parents()),
        _ => Vec::new(),
    }
}

/// Lists before whom a body puts a document.
fn put_before(body: &Body, kind: ChainKind) -> Vec<ChainId> {
    match body {
        Body::Grant(grant) if kind == ChainKind::Document => vec![grant.subject],
        Body::Assign(assign) => assign.gives.iter().map(|member| member.subject).collect(),
        _ => Vec::new(),
    }
}

impl Create {
    /// Describes a user whose first device has this wrapping key.
    pub fn user(nonce: [u8; 16], wrapping_key: WrapPublicKey, epoch: Epoch) -> Self {
        let nonce = ByteArray::from(nonce);
        let (parents, members) = (Vec::new(), Vec::new());
        Self { kind: ChainKind::User, document: None, nonce, parents, members, wrapping_key: Some(wrapping_key), epoch }
    }

    /// Describes a team of an agency.
    pub fn team(nonce: [u8; 16], agency: ChainId, members: Vec<Member>, epoch: Epoch) -> Self {
        let parents = vec![Parent { chain: agency, authority: ParentAuthority::Full }];
        Self::group(ChainKind::Team, nonce, parents, members, epoch)
    }

    /// Describes an agency.
    pub fn agency(nonce: [u8; 16], members: Vec<Member>, epoch: Epoch) -> Self {
        Self::group(ChainKind::Agency, nonce, Vec::new(), members, epoch)
    }

    /// Describes a document.
    pub fn document(
        kind: DocumentKind,
        nonce: [u8; 16],
        parents: Vec<Parent>,
        members: Vec<Member>,
        epoch: Epoch,
    ) -> Self {
        Self { document: Some(kind), ..Self::group(ChainKind::Document, nonce, parents, members, epoch) }
    }

    fn group(
        kind: ChainKind,
        nonce: [u8; 16],
        mut parents: Vec<Parent>,
        mut members: Vec<Member>,
        epoch: Epoch,
    ) -> Self {
        parents.sort_unstable();
        members.sort_unstable();
        Self { kind, document: None, nonce: ByteArray::from(nonce), parents, members, wrapping_key: None, epoch }
    }
}

/// Why an operation was not drafted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The chain is unknown here.
    #[error("chain {chain} is unknown")]
    UnknownChain {
        /// The chain.
        chain: ChainId,
    },
    /// No such body has a place in a chain of this kind.
    #[error("{body} has no place in a {kind:?} chain")]
    NotHere {
        /// The body.
        body: BodyCode,
        /// The kind of chain.
        kind: ChainKind,
    },
    /// No path gives the author what the body needs.
    #[error("{body} needs more than the author has in chain {chain}")]
    NoPath {
        /// The body.
        body: BodyCode,
        /// The chain that the role is asked in.
        chain: ChainId,
    },
    /// No member of the new agency is a user of the author's, as Manager.
    #[error("no user of device {device} is Manager of the agency it begins")]
    NoFounder {
        /// The author.
        device: DeviceId,
    },
    /// The proof takes more cites than an operation may carry.
    #[error("{found} cites where at most {} are allowed", limits::MAX_CITES)]
    TooManyCites {
        /// How many it takes.
        found: usize,
    },
    /// The operation was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

fn bounded(cites: Vec<Cite>) -> Result<Vec<Cite>, DraftError> {
    if cites.len() > limits::MAX_CITES { Err(DraftError::TooManyCites { found: cites.len() }) } else { Ok(cites) }
}
