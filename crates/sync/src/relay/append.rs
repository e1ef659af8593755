//! Whether an operation is appended, and its appending: policy's judgement, and what only a relay asks.

use std::sync::Arc;

use vereda_base::{ChainId, Digest, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Signed, Verified};
use vereda_policy::{
    AppendContext, Authorized, Body, ChainKind, DocumentKind, Moment, Op, OpDecodeError, OpRefusal, Receipt, Wrap,
    WrapProof, authorize, chain_of, op_ended, op_id_of_bytes, op_reliance, receipt_time, verify_op,
};
use vereda_protocol::{OfferedLeaf, OpOutcome, Position, RefusalCode};

use super::{
    admit::{Home, check_cites, note_cites, of_late},
    agency::find_agency,
    chains::{ChainCache, Known},
    decision::{self, Prepared},
    effect::RelayConfig,
    removal::{self, StoredFrontier},
    review,
    session::{Admission, Open},
    sight::Sight,
    store::{Entry, Founding, Naming, NewEntry, RelayStore, ReviewStanding, StoreError},
    wrapping::check_wrapping,
};

/// With what a relay signs.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    pub(super) key: DeviceKey,
    pub(super) relay_epoch: u64,
}

/// An operation that passed every check.
#[derive(Debug)]
pub(super) struct Passed {
    op: Authorized<Op>,
    receipt: Verified<Receipt>,
    proofs: Vec<WrapProof>,
    agency: Option<ChainId>,
    /// Of a removal: what stands, as its frontier says.
    leaves: Option<Vec<OfferedLeaf>>,
    /// Of an adoption.
    pub(super) prepared: Prepared,
}

impl Passed {
    /// Gives an operation its receipt.
    pub(super) fn new(
        op: Authorized<Op>,
        signer: &Signer,
        time: Timestamp,
        proofs: Vec<WrapProof>,
        agency: Option<ChainId>,
    ) -> Option<Self> {
        let receipt = Receipt::for_op(&op, signer.key.device_id(), signer.relay_epoch, time);
        // The relay's own key signs a receipt of bounded size: it cannot fail, and if it did nothing was written.
        let receipt = Verified::sign(&signer.key, receipt).ok()?;
        Some(Self { op, receipt, proofs, agency, leaves: None, prepared: Prepared::default() })
    }

    /// Borrows the operation's body.
    pub(super) const fn body(&self) -> &Body {
        &self.op.value().body
    }
}

/// What the checks found.
#[derive(Debug)]
pub(super) enum Verdict {
    Append(Box<Passed>),
    /// A document whose author's rights have ended: to be put into review.
    Review(Box<Verified<Op>>, Vec<WrapProof>),
    Answer(OpOutcome),
    /// The head of its chain is another by now.
    Moved(ChainId, OpId),
    /// A removal that does not name what is committed: this is.
    Offer(Vec<OfferedLeaf>),
}

/// Where an operation and its wraps came to stand.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) op: Signed<Op>,
    pub(super) receipt: Signed<Receipt>,
    pub(super) known: Arc<Known>,
    pub(super) position: Position,
    pub(super) wraps: Vec<(Position, WrapProof)>,
    /// It takes up an invite or calls one off, or puts out whoever may have made some.
    pub(super) ends_invites: bool,
    /// The leaves of a removal.
    pub(super) frontier: Option<(Position, Arc<StoredFrontier>)>,
}

/// Checks an operation that a device hands over with its wraps. Reads only.
pub(super) fn check_op(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    (open, signer, config): (&Open, &Signer, &RelayConfig),
    op: Signed<Op>,
    wraps: &[Wrap],
    now: Timestamp,
) -> Result<Verdict, StoreError> {
    let refused = |code| Ok(Verdict::Answer(OpOutcome::Refused(code)));
    let op = match verify_op(op) {
        Ok(op) => op,
        Err(error) => return refused(code_of_decode(&error)),
    };
    let begins = begins(op.value());
    let begins_document = begins == Some(ChainKind::Document);
    if op.value().device != open.device {
        return refused(RefusalCode::NotAuthorized);
    }
    if open.admission == Admission::Removed && !begins_document {
        return answer_removed(chains, store, &op).map(Verdict::Answer);
    }
    let state = op.value().chain.map(|chain| chains.load(store, &chain)).transpose()?.flatten();
    let state = state.as_ref().map(|known| known.state.as_ref());
    let time = receipt_time(state, now);
    let context = AppendContext::relay(time);
    let agency = find_agency(chains, store, open, op.value())?;
    let home = Home::of_op(begins, agency.unwrap_or_default());
    let view = chains.view(store);
    let authorized = authorize(&view, &op, &context);
    let relies = authorized.is_ok() && !op_reliance(&view, &op, &context).is_ok_and(|removals| removals.is_empty());
    let ledger = check_cites(&view, &open.device, home, &op.value().cites)?;
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    let view = chains.view(store);
    let proofs = check_wrapping(&view, op.value(), state, wraps, time);
    let proofs = view.finish(proofs)?;
    let authorized = match authorized {
        Ok(_) if relies && !begins_document => return refused(RefusalCode::CiteRegressed),
        // It rests on no group, so nobody could decide on it; by what he holds alone nobody lets himself in.
        Ok(_) if !relies && begins_document && !open.is_let_in() => return refused(RefusalCode::NotAuthorized),
        Ok(authorized) if !relies => authorized,
        Err(refusal) if !(begins_document && has_ended(&refusal)) => {
            return turn_down(chains, store, open, &op, &refusal, now);
        }
        _ => {
            return match of_late(ledger).and(agency).and_then(|agency| Ok((agency, proofs?))) {
                Ok((agency, proofs)) => check_review(chains, store, config, agency, op, (wraps, proofs), now),
                Err(code) => refused(code),
            };
        }
    };
    let decision = decision::check(chains, store, op.value(), &authorized.chain())?;
    let (agency, proofs, prepared) = match proofs.and_then(|proofs| Ok((ledger.and(agency)?, proofs, decision?))) {
        Ok(found) => found,
        Err(code) => return refused(code),
    };
    let mut leaves = None;
    if let Some(frontier) = removal::frontier_of(&op.value().body) {
        let view = chains.view(store);
        let committed = removal::committed(&view, op.value())?;
        let committed = view.finish(committed)?;
        if !removal::is_exact(frontier, &committed) {
            return Ok(Verdict::Offer(committed));
        }
        leaves = Some(committed);
    }
    match Passed::new(authorized, signer, time, proofs, agency) {
        Some(passed) => Ok(Verdict::Append(Box::new(Passed { leaves, prepared, ..passed }))),
        None => refused(RefusalCode::Malformed),
    }
}

/// What kind of chain an operation begins, if it begins one.
const fn begins(op: &Op) -> Option<ChainKind> {
    match &op.body {
        Body::Create(create) => Some(create.kind),
        _ => None,
    }
}

/// Says whether a refusal means that the author was entitled at the heads cited, and is not now.
const fn has_ended(refusal: &OpRefusal) -> bool {
    matches!(
        refusal,
        OpRefusal::NoAuthority { moment: Moment::Now, .. }
            | OpRefusal::NotCovered { moment: Moment::Now, .. }
            | OpRefusal::AboveAuthor { moment: Moment::Now, .. }
    )
}

/// Checks a document whose author's rights have ended.
fn check_review(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    config: &RelayConfig,
    agency: Option<ChainId>,
    op: Verified<Op>,
    (wraps, proofs): (&[Wrap], Vec<WrapProof>),
    now: Timestamp,
) -> Result<Verdict, StoreError> {
    let refused = |code| Ok(Verdict::Answer(OpOutcome::Refused(code)));
    match store.reviewed_document(&chain_of(op.value()))?.map(|row| row.standing) {
        Some(ReviewStanding::Discarded) => return refused(RefusalCode::Discarded),
        Some(_) => return Ok(Verdict::Answer(OpOutcome::InReview)),
        None => {}
    }
    let view = chains.view(store);
    let ended = op_ended(&view, &op, &AppendContext::relay(now), now).unwrap_or_default();
    let is_open = review::is_open(&view, agency.as_ref(), ended, now);
    let bytes = op.bytes().len() + wraps.len() * vereda_base::limits::MAX_WRAP_BYTES;
    if !view.finish(is_open)? || !review::has_room(store, config, &op.value().device, bytes)? {
        return refused(RefusalCode::ReviewClosed);
    }
    Ok(Verdict::Review(Box::new(op), proofs))
}

/// Appends an operation, its wraps and its leaves.
pub(super) fn append_op(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    open: &Open,
    passed: &Passed,
    wraps: &[Wrap],
) -> Result<Appended, StoreError> {
    let mut appended = append_adopted(chains, store, passed, wraps)?;
    let begun = appended.known.state.id();
    if store.reviewed_document(&begun)?.is_some_and(|row| row.standing == ReviewStanding::Awaits) {
        // Its author was let in again meanwhile and handed it in once more: there is nothing to decide.
        store.decide_document(&begun, ReviewStanding::Adopted)?;
    }
    note_founding(chains, store, open, passed.op.value(), &appended.known)?;
    note_guest(store, open, passed.op.value())?;
    appended.ends_invites = ends_invites(&passed.op.value().body);
    Ok(appended)
}

/// Appends an operation that no session hands over, its wraps and its leaves.
pub(super) fn append_adopted(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    passed: &Passed,
    wraps: &[Wrap],
) -> Result<Appended, StoreError> {
    let Passed { op, receipt, proofs, agency, leaves, .. } = passed;
    let (chain, id) = (op.chain(), op.id());
    let position = store.append(&NewEntry::Op { op, receipt })?;
    let mut placed = Vec::with_capacity(wraps.len());
    for (wrap, proof) in wraps.iter().zip(proofs) {
        placed.push((store.append(&NewEntry::Wrap { chain: &chain, op: &id, wrap, proof })?, proof.clone()));
    }
    let mut frontier = None;
    if let Some(leaves) = leaves {
        let position = store.append(&NewEntry::Frontier { chain: &chain, removal: &id, leaves })?;
        frontier = Some((position, Arc::new(StoredFrontier::new(chain, id, leaves.clone()))));
    }
    if let (Body::Create(_), Some(agency)) = (&op.value().body, agency) {
        store.set_agency(&chain, agency)?;
    }
    let known = chains.apply(op, receipt.value().time, position, *agency)?;
    note_members(store, op.value(), &known)?;
    note_cites(chains, store, &op.value().device, &op.value().cites)?;
    let (op, receipt) = (op.signed().clone(), receipt.signed().clone());
    Ok(Appended { op, receipt, known, position, wraps: placed, ends_invites: false, frontier })
}

/// Enters new members into the index, and of a section who governs it.
fn note_members(store: &mut dyn RelayStore, op: &Op, known: &Known) -> Result<(), StoreError> {
    let state = &known.state;
    let naming = if state.kind() == ChainKind::Document { Naming::Document } else { Naming::Group };
    for member in state.members().iter().filter(|member| member.from_seq == op.seq) {
        store.note_member(&Digest(member.subject.0), naming, &state.id())?;
    }
    for device in state.devices().iter().filter(|device| device.from_seq == op.seq) {
        store.note_member(&Digest(device.device.0), naming, &state.id())?;
    }
    if state.document_kind() == Some(DocumentKind::Section) {
        for standing in state.all_parents().iter().filter(|standing| standing.from_seq == op.seq) {
            store.note_member(&Digest(standing.parent.chain.0), Naming::Governed, &state.id())?;
        }
    }
    Ok(())
}

/// Counts the users that an invite brought, until one takes it up.
fn note_guest(store: &mut dyn RelayStore, open: &Open, op: &Op) -> Result<(), StoreError> {
    match (&op.body, open.admission) {
        (Body::Accept(accept), _) => store.set_guests(&accept.invite, 0),
        (Body::Create(_), Admission::Invited { invite, .. }) => {
            let guests = store.guests(&invite)?;
            store.set_guests(&invite, guests.saturating_add(1))
        }
        _ => Ok(()),
    }
}

const fn ends_invites(body: &Body) -> bool {
    matches!(
        body,
        Body::Accept(_)
            | Body::CancelInvite(_)
            | Body::Revoke(_)
            | Body::RemoveDevice(_)
            | Body::Expire(_)
            | Body::Assign(_)
    )
}

/// Follows a founding: the user's chain first, then the agency, with which the secret is spent.
fn note_founding(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    open: &Open,
    op: &Op,
    known: &Known,
) -> Result<(), StoreError> {
    let (Admission::Founder { secret }, Body::Create(create)) = (open.admission, &op.body) else { return Ok(()) };
    match create.kind {
        ChainKind::User => store.set_founding(&secret, &Founding::Claimed(open.device)),
        ChainKind::Agency => {
            let agency = known.state.id();
            for member in &create.members {
                if chains.load(store, &member.subject)?.is_some_and(|known| known.agency.is_none()) {
                    store.set_agency(&member.subject, &agency)?;
                    chains.forget(&member.subject);
                }
            }
            store.set_founding(&secret, &Founding::Spent(agency))
        }
        ChainKind::Team | ChainKind::Document => Ok(()),
    }
}

/// What a device is told that belongs nowhere any more: of what was appended before, and the answer lost, the receipt.
fn answer_removed(chains: &mut ChainCache, store: &dyn RelayStore, op: &Verified<Op>) -> Result<OpOutcome, StoreError> {
    let known = chains.load(store, &chain_of(op.value()))?;
    match known.and_then(|known| known.state.seq_of(&op_id_of_bytes(op.bytes()))) {
        Some(seq) => answer(chains, store, op, &OpRefusal::Known { seq }),
        None => Ok(OpOutcome::Refused(RefusalCode::NotAuthorized)),
    }
}

/// What comes of an operation that may not be appended. Whoever neither sees the chain nor has a say there is told that alone,
/// as he is of a chain that is none: what is wrong with a decision tells who is in the chain, and what was decided.
fn turn_down(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    open: &Open,
    op: &Verified<Op>,
    refusal: &OpRefusal,
    now: Timestamp,
) -> Result<Verdict, StoreError> {
    let chain = chain_of(op.value());
    if matches!(refusal, OpRefusal::Known { .. }) || matches!(op.value().body, Body::Create(_)) {
        // His own, which was appended before; or the first of a chain, of which nothing is known yet.
        return answer(chains, store, op, refusal).map(Verdict::Answer);
    }
    // Whoever joins follows the newest head, whether he sees the chain or not; he knows one of its invites.
    if let Body::Accept(accept) = &op.value().body
        && chains.load(store, &chain)?.is_some_and(|known| known.state.invite(&accept.invite).is_some())
    {
        return answer(chains, store, op, refusal).map(Verdict::Answer);
    }
    let view = chains.view(store);
    let sees = Sight::asked(&view, open, now).sees_chain(&chain);
    if !view.finish(sees)? {
        return Ok(Verdict::Answer(OpOutcome::Refused(RefusalCode::NotAuthorized)));
    }
    match refusal {
        OpRefusal::HeadMoved { head, .. } => Ok(Verdict::Moved(chain, *head)),
        _ => answer(chains, store, op, refusal).map(Verdict::Answer),
    }
}

/// What a device is told instead of a receipt; for a retry, the receipt that was given before.
fn answer(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    op: &Verified<Op>,
    refusal: &OpRefusal,
) -> Result<OpOutcome, StoreError> {
    let known = match refusal {
        OpRefusal::Known { seq } => {
            let chain = vereda_policy::chain_of(op.value());
            chains.load(store, &chain)?.and_then(|known| known.position(*seq))
        }
        OpRefusal::HeadMoved { head, .. } => return Ok(OpOutcome::HeadMoved(*head)),
        _ => return Ok(OpOutcome::Refused(code_of(refusal))),
    };
    match known.map(|position| store.entry(position)).transpose()?.flatten() {
        Some(Entry::Op { receipt, .. }) => Ok(OpOutcome::Appended(receipt)),
        _ => Err(StoreError::Damaged { table: "log" }),
    }
}

const fn code_of_decode(error: &OpDecodeError) -> RefusalCode {
    match error {
        OpDecodeError::UnknownSuite { .. } | OpDecodeError::UnknownBody { .. } => RefusalCode::Unsupported,
        OpDecodeError::Signature { .. } => RefusalCode::BadSignature,
        OpDecodeError::Malformed(_) => RefusalCode::Malformed,
    }
}

const fn code_of(refusal: &OpRefusal) -> RefusalCode {
    match refusal {
        OpRefusal::Waiting { .. } | OpRefusal::UnknownSubject { .. } => RefusalCode::UnknownPolicy,
        OpRefusal::Suite { .. } => RefusalCode::Unsupported,
        OpRefusal::TooLong { .. } => RefusalCode::TooLarge,
        OpRefusal::CiteRegress(_) => RefusalCode::CiteRegressed,
        OpRefusal::Targets { .. }
        | OpRefusal::Follows { .. }
        | OpRefusal::NotStale { .. }
        | OpRefusal::NotPassedOver { .. } => RefusalCode::Outdated,
        OpRefusal::LastManager { .. } | OpRefusal::LastDevice { .. } | OpRefusal::NobodyLeft { .. } => {
            RefusalCode::NobodyLeft
        }
        OpRefusal::Erased { .. } => RefusalCode::Erased,
        OpRefusal::Decided { .. } | OpRefusal::NothingEnds { .. } => RefusalCode::Repeated,
        OpRefusal::NoAuthority { .. }
        | OpRefusal::NotOfUser { .. }
        | OpRefusal::NoFounder { .. }
        | OpRefusal::WrongKind { .. }
        | OpRefusal::AboveAuthor { .. }
        | OpRefusal::NotCovered { .. }
        | OpRefusal::NoGroup { .. }
        | OpRefusal::Outlasts { .. }
        | OpRefusal::OwnEpoch { .. } => RefusalCode::NotAuthorized,
        OpRefusal::Proof { .. } => RefusalCode::BadSignature,
        OpRefusal::NoInvite { .. }
        | OpRefusal::InviteTaken { .. }
        | OpRefusal::InviteCancelled { .. }
        | OpRefusal::InviterGone { .. }
        | OpRefusal::InviteExpired { .. } => RefusalCode::InviteSpent,
        _ => RefusalCode::Malformed,
    }
}
