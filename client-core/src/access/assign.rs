//! Assigning a case to a worker or team, and transferring it.

use std::collections::BTreeSet;

use vereda_base::ChainId;
use vereda_policy::{
    Assign, Body, ChainKind, ChainState, DocumentKind, Grant, Member, Parent, ParentAuthority, Role, SectionFate,
};
use vereda_sync::device::DeviceStore;

use super::{DecideError, Hindrance, decisions::open_frontier};
use crate::device::{Ambient, Device, DeviceError};

/// What assigning takes.
#[derive(Debug, Clone)]
pub struct AssignRequest {
    /// The case.
    pub case: ChainId,
    /// The worker or team that holds it from now on.
    pub to: ChainId,
    /// What they may do in it.
    pub role: Role,
    /// The team becomes the owner: its Managers govern the case, those of the team before do not. Only for teams.
    pub transfer: bool,
    /// Sections that go with the case; the others stay with those who hold them.
    pub sections: Vec<ChainId>,
}

/// Why nothing was assigned; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// Not a case.
    #[error("{chain} is no case: only cases are assigned")]
    NotACase {
        /// What was named.
        chain: ChainId,
    },
    /// Nobody to assign to.
    #[error("{chain} is no team and no person that this device knows")]
    Nobody {
        /// What was named.
        chain: ChainId,
    },
    /// A person cannot own a case.
    #[error("a case belongs to a team: it is transferred to a team, and assigned to a person")]
    TransferToPerson,
    /// Not a section of the case.
    #[error("{section} is no section of this case that this device knows")]
    NotASection {
        /// What was named.
        section: ChainId,
    },
    /// Nothing would change.
    #[error("{to} holds the case so already")]
    Nothing {
        /// Who.
        to: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Assigns a case. To a worker: he gets it, and workers who had it by an earlier assignment lose it; the owning team
    /// keeps it. To a team without transfer: it gets it beside the owner. With transfer: the team becomes the owner, and
    /// everybody who had the case without an end loses it. Referrals, which end by themselves, stay. Final when the relay
    /// is reached.
    ///
    /// # Errors
    /// [`AssignError`] by cause; nothing is kept then.
    pub fn assign(&mut self, ambient: &mut Ambient<'_>, request: &AssignRequest) -> Result<(), AssignError> {
        let case = request.case;
        let state = self.chain(&case).ok_or(Hindrance::Unknown { chain: case }).map_err(DecideError::from)?;
        if state.document_kind() != Some(DocumentKind::Case) {
            return Err(AssignError::NotACase { chain: case });
        }
        let kind = self.chain(&request.to).map(|state| state.kind());
        match kind {
            Some(ChainKind::User) if request.transfer => return Err(AssignError::TransferToPerson),
            Some(ChainKind::User | ChainKind::Team) => {}
            _ => return Err(AssignError::Nobody { chain: request.to }),
        }
        let known = self.sections_of(&case).map_err(DeviceError::from).map_err(DecideError::from)?;
        if let Some(section) = request.sections.iter().find(|section| !known.contains(section)) {
            return Err(AssignError::NotASection { section: *section });
        }
        let fate = |section: &ChainId| SectionFate { section: *section, goes: request.sections.contains(section) };
        let fates: BTreeSet<SectionFate> = known.iter().map(fate).collect();
        let to_worker = kind == Some(ChainKind::User);
        let moved = self.move_document(&state, request, to_worker, request.role, fates.into_iter().collect());
        let moved = moved.ok_or(AssignError::Nothing { to: request.to })?;
        let mut moves = Vec::new();
        for section in &request.sections {
            let Some(state) = self.chain(section) else { continue };
            // In a section no Manager governs from above: whoever takes it over gets to decide who reads it.
            let role = if to_worker { request.role } else { Role::Manager };
            let moved = self.move_document(&state, request, to_worker, role, Vec::new());
            moves.extend(moved.map(|body| (*section, role, body)));
        }
        moves.push((case, request.role, moved));
        Ok(self.carry_out(ambient, request, moves)?)
    }

    /// Queues what can be done at once. Who takes a document over from all others needs its key before they lose it: then
    /// he is let in beside them first, and takes over once the key was passed on ([`super::handing_over`]).
    fn carry_out(
        &mut self,
        ambient: &Ambient<'_>,
        request: &AssignRequest,
        moves: Vec<(ChainId, Role, Body)>,
    ) -> Result<(), DecideError> {
        let (mut decisions, mut waiting) = (Vec::new(), Vec::new());
        for (chain, role, body) in moves {
            self.check_decision(&chain, &body, ambient.now.wall)?;
            if request.transfer && !self.has_key_of(&request.to, &chain) {
                let (subject, expires, sealed_purpose) = (request.to, None, None);
                decisions.push((chain, Body::Grant(Grant { subject, role, expires, sealed_purpose })));
                waiting.push((chain, body));
            } else {
                decisions.push((chain, body));
            }
        }
        self.decide_in_turn(ambient, decisions, request.to, waiting)
    }

    /// Says what becomes of one document; `None` where nothing does.
    fn move_document(
        &self,
        state: &ChainState,
        request: &AssignRequest,
        to_worker: bool,
        role: Role,
        sections: Vec<SectionFate>,
    ) -> Option<Body> {
        let head = state.head_seq();
        let held = || state.members().iter().filter(|held| held.stands_at(head, None));
        let has_it = held().any(|held| held.subject == request.to && held.role >= role && held.expires.is_none());
        let is_worker = |subject: &ChainId| self.chain(subject).is_some_and(|state| state.kind() == ChainKind::User);
        let leaves = |subject: &ChainId| {
            let lasts = held().any(|held| held.subject == *subject && held.expires.is_none());
            *subject != request.to && lasts && (request.transfer || (to_worker && is_worker(subject)))
        };
        let is_section = state.document_kind() == Some(DocumentKind::Section);
        // Whoever keeps a section closed is not put out of it because the case got another worker.
        let keeps = is_section && !request.transfer;
        let subjects: BTreeSet<ChainId> = held().map(|held| held.subject).collect();
        let takes: Vec<ChainId> = subjects.into_iter().filter(|subject| !keeps && leaves(subject)).collect();
        let gives = if has_it { Vec::new() } else { vec![Member { subject: request.to, role }] };
        let authority = if is_section { ParentAuthority::RevokeOnly } else { ParentAuthority::Full };
        let parents = request.transfer.then(|| vec![Parent { chain: request.to, authority }]);
        let owns = parents.as_ref().is_none_or(|parents| state.parents().eq(parents.iter()));
        if gives.is_empty() && takes.is_empty() && owns {
            return None;
        }
        Some(Body::Assign(Assign { gives, takes, parents, sections, frontier: open_frontier() }))
    }
}
