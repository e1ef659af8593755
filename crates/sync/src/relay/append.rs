//! Whether an operation is appended, and its appending: policy's judgement, and what only a relay asks.

use std::collections::BTreeSet;

use vereda_base::{ChainId, Digest, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Signed, Verified};
use vereda_policy::{
    AppendContext, Authorized, Body, ChainKind, Chains, Create, Op, OpDecodeError, OpRefusal, Receipt, Wrap, WrapList,
    WrapProof, authorize, check_wraps, entitled, receipt_time, verify_op,
};
use vereda_protocol::{OpOutcome, Position, RefusalCode};

use super::{
    admit::{check_cites, note_cites},
    chains::{ChainCache, Known},
    session::{Admission, Open},
    store::{About, Entry, Founding, Naming, NewEntry, RelayStore, Scope, StoreError},
};

/// User chains that may be begun with one invite. One is enough unless a device is lost before it accepts.
const MAX_GUESTS: u64 = 4;

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
}

/// What the checks found.
#[derive(Debug)]
pub(super) enum Verdict {
    Append(Box<Passed>),
    Answer(OpOutcome),
}

/// Where an operation and its wraps came to stand.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) op: Signed<Op>,
    pub(super) receipt: Signed<Receipt>,
    pub(super) known: std::sync::Arc<Known>,
    pub(super) position: Position,
    pub(super) wraps: Vec<(Position, WrapProof)>,
    /// The invite that it took up.
    pub(super) accepted: Option<OpId>,
}

/// Checks an operation that a device hands over with its wraps. Reads only.
pub(super) fn check_op(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    open: &Open,
    signer: &Signer,
    op: Signed<Op>,
    wraps: &[Wrap],
    now: Timestamp,
) -> Result<Verdict, StoreError> {
    let refused = |code| Ok(Verdict::Answer(OpOutcome::Refused(code)));
    let op = match verify_op(op) {
        Ok(op) => op,
        Err(error) => return refused(code_of_decode(&error)),
    };
    if op.value().device != open.device {
        return refused(RefusalCode::NotAuthorized);
    }
    let state = op.value().chain.map(|chain| chains.load(store, &chain)).transpose()?.flatten();
    let time = receipt_time(state.as_ref().map(|known| known.state.as_ref()), now);
    let view = chains.view(store);
    let authorized = authorize(&view, &op, &AppendContext::relay(time));
    let ledger = check_cites(&view, &open.device, &op.value().cites)?;
    let (authorized, ledger) = view.finish((authorized, ledger))?;
    let op = match authorized {
        Ok(op) => op,
        Err(refusal) => return answer(chains, store, &op, &refusal).map(Verdict::Answer),
    };
    let proofs = match list_of(&op.value().body) {
        Some(list) => check_wraps(list, wraps).ok(),
        None => wraps.is_empty().then(Vec::new),
    };
    let Some(proofs) = proofs else { return refused(RefusalCode::Malformed) };
    let view = chains.view(store);
    let concerned = wraps.is_empty() || are_entitled(&view, &op, wraps, time);
    if !view.finish(concerned)? {
        return refused(RefusalCode::NotAuthorized);
    }
    if let (Body::Repair(repair), Some(known)) = (&op.value().body, &state)
        && is_repeated(store, known, repair.epoch, wraps)?
    {
        return refused(RefusalCode::Repeated);
    }
    let agency = find_agency(chains, store, open, &op)?;
    let agency = match ledger.and(agency) {
        Ok(agency) => agency,
        Err(code) => return refused(code),
    };
    let receipt = Receipt::for_op(&op, signer.key.device_id(), signer.relay_epoch, time);
    // The relay's own key signs a receipt of bounded size: it cannot fail, and if it did nothing was written.
    let Ok(receipt) = Verified::sign(&signer.key, receipt) else { return refused(RefusalCode::Malformed) };
    Ok(Verdict::Append(Box::new(Passed { op, receipt, proofs, agency })))
}

/// Appends an operation and its wraps.
pub(super) fn append_op(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    open: &Open,
    passed: &Passed,
    wraps: &[Wrap],
) -> Result<Appended, StoreError> {
    let Passed { op, receipt, proofs, agency } = passed;
    let (chain, id) = (op.chain(), op.id());
    let position = store.append(&NewEntry::Op { op, receipt })?;
    let mut placed = Vec::with_capacity(wraps.len());
    for (wrap, proof) in wraps.iter().zip(proofs) {
        placed.push((store.append(&NewEntry::Wrap { chain: &chain, op: &id, wrap, proof })?, proof.clone()));
    }
    if let (Body::Create(_), Some(agency)) = (&op.value().body, agency) {
        store.set_agency(&chain, agency)?;
    }
    let known = chains.apply(op, receipt.value().time, position, *agency)?;
    note_members(store, op.value(), &known)?;
    note_cites(chains, store, &open.device, &op.value().cites)?;
    note_founding(chains, store, open, op.value(), &known)?;
    let accepted = note_guest(store, open, op.value())?;
    let (op, receipt) = (op.signed().clone(), receipt.signed().clone());
    Ok(Appended { op, receipt, known, position, wraps: placed, accepted })
}

/// Says whether a recipient of a repair was given the epoch's key before. Devices do not see one another's wraps and
/// count them: a second one for the same member would be counted for another, who would then be given none.
fn is_repeated(store: &dyn RelayStore, known: &Known, epoch: u64, wraps: &[Wrap]) -> Result<bool, StoreError> {
    let state = &known.state;
    let Some(epoch) = state.epoch(epoch) else { return Ok(false) };
    let is_new = |wrap: &Wrap| wraps.iter().any(|new| to_whom(new) == to_whom(wrap));
    for head in store.heads(Scope::Chain(state.id()), Position(0), Position(u64::MAX), usize::MAX)? {
        if !matches!(head.about, About::Wrap { .. }) {
            continue;
        }
        if let Some(Entry::Wrap { op, wrap, .. }) = store.entry(head.position)?
            && is_new(&wrap)
            && epoch.wraps.iter().any(|list| list.op == op)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

const fn to_whom(wrap: &Wrap) -> (Digest, u64) {
    (wrap.recipient, wrap.recipient_epoch)
}

/// Enters new members into the index.
fn note_members(store: &mut dyn RelayStore, op: &Op, known: &Known) -> Result<(), StoreError> {
    let state = &known.state;
    let naming = if state.kind() == ChainKind::Document { Naming::Document } else { Naming::Group };
    for member in state.members().iter().filter(|member| member.from_seq == op.seq) {
        store.note_member(&Digest(member.subject.0), naming, &state.id())?;
    }
    for device in state.devices().iter().filter(|device| device.from_seq == op.seq) {
        store.note_member(&Digest(device.device.0), naming, &state.id())?;
    }
    Ok(())
}

/// Counts the users that an invite brought, until one takes it up. Tells which invite that was.
fn note_guest(store: &mut dyn RelayStore, open: &Open, op: &Op) -> Result<Option<OpId>, StoreError> {
    match (&op.body, open.admission) {
        (Body::Accept(accept), _) => {
            store.set_guests(&accept.invite, 0)?;
            Ok(Some(accept.invite))
        }
        (Body::Create(_), Admission::Invited { invite, .. }) => {
            let guests = store.guests(&invite)?;
            store.set_guests(&invite, guests.saturating_add(1))?;
            Ok(None)
        }
        _ => Ok(None),
    }
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

/// Tells which agency the operation's chain belongs to. All that it names must belong there too: one agency never sees
/// another's.
fn find_agency(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    open: &Open,
    op: &Authorized<Op>,
) -> Result<Result<Option<ChainId>, RefusalCode>, StoreError> {
    let refused = Ok(Err(RefusalCode::NotAuthorized));
    let (own, named): (Option<ChainId>, Vec<ChainId>) = match &op.value().body {
        Body::Create(create) => match create.kind {
            ChainKind::User => return agency_of_user(store, open),
            ChainKind::Agency => return agency_of_agency(chains, store, open, op.chain(), create),
            ChainKind::Team | ChainKind::Document => {
                let members = create.members.iter().map(|member| member.subject);
                (None, create.parents.iter().map(|parent| parent.chain).chain(members).collect())
            }
        },
        Body::Grant(grant) => (Some(op.chain()), vec![grant.subject]),
        Body::Accept(accept) => (Some(op.chain()), vec![accept.user]),
        Body::AddDevice(add) => {
            // A device of two users would be a way from one agency to another.
            let known = !store.naming(&Digest(add.device.0), Naming::Group)?.is_empty();
            return if known { refused } else { Ok(Ok(agency(chains, store, &op.chain())?)) };
        }
        Body::Revoke(revoke) => (Some(op.chain()), revoke.successor.into_iter().collect()),
        Body::Assign(assign) => {
            let gives = assign.gives.iter().map(|member| member.subject);
            let parents = assign.parents.iter().flatten().map(|parent| parent.chain);
            (Some(op.chain()), gives.chain(parents).collect())
        }
        Body::Adopt(adopt) => {
            let holders = adopt.documents.iter().flat_map(|adopted| &adopted.holders);
            (Some(op.chain()), holders.map(|member| member.subject).collect())
        }
        Body::RemoveDevice(_)
        | Body::Expire(_)
        | Body::Invite(_)
        | Body::CancelInvite(_)
        | Body::Rotate(_)
        | Body::Repair(_)
        | Body::BadRotate(_)
        | Body::Discard(_)
        | Body::Beacon(_)
        | Body::SetRetention(_)
        | Body::Erase => (Some(op.chain()), Vec::new()),
    };
    let mut agencies = Vec::with_capacity(named.len() + 1);
    for chain in own.into_iter().chain(named) {
        agencies.push(agency(chains, store, &chain)?);
    }
    Ok(match agencies.split_first() {
        Some((Some(first), rest)) if rest.iter().all(|agency| *agency == Some(*first)) => Ok(Some(*first)),
        _ => Err(RefusalCode::NotAuthorized),
    })
}

/// A device makes one user chain, and only where it was let in for that.
fn agency_of_user(store: &dyn RelayStore, open: &Open) -> Result<Result<Option<ChainId>, RefusalCode>, StoreError> {
    if !store.naming(&Digest(open.device.0), Naming::Group)?.is_empty() {
        return Ok(Err(RefusalCode::NotAuthorized));
    }
    Ok(match open.admission {
        // Whoever holds an invite can make devices without end, and must not fill the log with their users.
        Admission::Invited { invite, .. } if store.guests(&invite)? >= MAX_GUESTS => Err(RefusalCode::InviteSpent),
        Admission::Invited { agency, .. } => Ok(Some(agency)),
        Admission::Founder { .. } => Ok(None),
        Admission::Member | Admission::Pending => Err(RefusalCode::NotAuthorized),
    })
}

/// An agency is founded with a secret that is not spent, by users that belong to none.
fn agency_of_agency(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    open: &Open,
    agency: ChainId,
    create: &Create,
) -> Result<Result<Option<ChainId>, RefusalCode>, StoreError> {
    let Admission::Founder { secret } = open.admission else { return Ok(Err(RefusalCode::NotAuthorized)) };
    if !matches!(store.founding(&secret)?, Some(Founding::Open | Founding::Claimed(_))) {
        return Ok(Err(RefusalCode::NotAuthorized));
    }
    for member in &create.members {
        if self::agency(chains, store, &member.subject)?.is_some() {
            return Ok(Err(RefusalCode::NotAuthorized));
        }
    }
    Ok(Ok(Some(agency)))
}

fn agency(chains: &mut ChainCache, store: &dyn RelayStore, id: &ChainId) -> Result<Option<ChainId>, StoreError> {
    Ok(chains.load(store, id)?.and_then(|known| known.agency))
}

/// Says whether wraps are for members of their chain only. A wrap goes to its recipient whether or not he sees the chain:
/// without this anybody could fill the store of any device whose id he knows, of another agency too.
fn are_entitled(view: &dyn Chains, op: &Authorized<Op>, wraps: &[Wrap], now: Timestamp) -> bool {
    let entitled: BTreeSet<Digest> = match &op.value().body {
        Body::Create(create) if create.kind == ChainKind::User => [Digest(op.value().device.0)].into(),
        Body::Create(create) => create.members.iter().map(|member| Digest(member.subject.0)).collect(),
        _ => entitled(view, &op.chain(), Some(now)).iter().map(|(subject, _)| subject.recipient()).collect(),
    };
    wraps.iter().all(|wrap| entitled.contains(&wrap.recipient))
}

/// The list of wraps that a body commits to.
const fn list_of(body: &Body) -> Option<&WrapList> {
    match body {
        Body::Create(create) => Some(&create.epoch.wraps),
        Body::Repair(repair) => Some(&repair.wraps),
        Body::Rotate(rotate) => Some(&rotate.epoch.wraps),
        _ => None,
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
        OpRefusal::Targets { .. } | OpRefusal::Follows { .. } => RefusalCode::Outdated,
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
        | OpRefusal::NotCovered { .. } => RefusalCode::NotAuthorized,
        OpRefusal::Proof { .. } => RefusalCode::BadSignature,
        OpRefusal::NoInvite { .. }
        | OpRefusal::InviteTaken { .. }
        | OpRefusal::InviteCancelled { .. }
        | OpRefusal::InviteExpired { .. } => RefusalCode::InviteSpent,
        _ => RefusalCode::Malformed,
    }
}
