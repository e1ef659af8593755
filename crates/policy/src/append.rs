//! Whether an operation may be appended to its chain (protocol.md §3): form, place, cites, and its author's authority.

mod body;
mod create;
mod form;
mod lasting;
mod refusal;
mod rights;

use std::sync::Arc;

use vereda_base::{ChainId, OpId, Timestamp};
use vereda_crypto::Verified;

pub(crate) use create::{is_book, need_in_parent, need_in_parents};
pub use form::{MAX_DEVICES, MAX_MEMBERS, MAX_PURPOSE_BYTES};
pub use refusal::{Moment, OpRefusal, Part};

use crate::{
    Authorized, Body, ChainState, Chains, CheckedReceipt, Evaluator, Heads, Op,
    adoption::find_adoption,
    id::verified_op_id,
    ledger::{LedgerError, check_cites_advance},
};

/// Who asks whether an operation may be appended, and the time of its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendContext {
    time: Option<Timestamp>,
    receipt_of: Option<OpId>,
    also_now: bool,
    names_known: bool,
}

impl AppendContext {
    /// A relay about to append, at the time that its receipt will say (see [`crate::receipt_time`]); also a device that
    /// looks whether the relay would append what it is about to send. Asks for authority at the heads cited *and* now,
    /// and that every chain named is known and of a fitting kind.
    pub const fn relay(time: Timestamp) -> Self {
        Self { time: Some(time), receipt_of: None, also_now: true, names_known: true }
    }

    /// A device that was handed an operation with its receipt. Asks for authority at the heads cited.
    pub const fn device(receipt: &CheckedReceipt) -> Self {
        Self { time: Some(receipt.time()), receipt_of: Some(receipt.op()), also_now: false, names_known: false }
    }

    /// A device without a receipt: good for a `Create` only, which is complete offline.
    pub const fn unreceipted() -> Self {
        Self { time: None, receipt_of: None, also_now: false, names_known: false }
    }

    /// A device that begins a chain offline. As [`Self::unreceipted`], and every chain named must be known and of a fitting
    /// kind: a relay that is handed something else refuses it for good.
    pub const fn beginning() -> Self {
        Self { names_known: true, ..Self::unreceipted() }
    }

    /// Tells the time of receipt.
    pub const fn time(&self) -> Option<Timestamp> {
        self.time
    }
}

/// Decides whether an operation may be appended. Depends on the chains it cites and on its own chain only, so every
/// device that holds them decides alike.
///
/// A `Create` needs: of a user, nothing; of an agency, that a user of the author's is among its members as Manager; of
/// a team, authority as Manager in its agency; of a document, content role Editor (for configuration and directory:
/// Manager) in every parent with full authority, or in one parent where there is none such; and that he is at least Reader
/// by authority in every parent that may revoke. A document's first members
/// are parents of it, or get no more than the author's own lowest role in those parents.
///
/// Whoever a document is put before, by its `Create` or a `Grant`, is a user of the author's, or a parent with a say (full
/// or revoke-only) of which the author is Editor; or the author has authority as Manager in a team or agency that is such
/// a parent. Into a document only such a Manager invites; and an invite is taken up only as long as whoever made it could
/// still invite. He also gives it parents, or one more to say; where nobody has a say there but the author's own users, so
/// does the author, by what a `Create` under these parents needs. A configuration or directory takes that in each of them, whoever gives it.
///
/// Who gives a role, by a `Grant`, an `Invite`, an `Assign` or as a successor, or a parent more to say, has all he needs for
/// that by roles that last as long, to the end or for ever.
///
/// # Errors
/// [`OpRefusal`]; of these, [`OpRefusal::Waiting`] proves nothing against the operation, and [`OpRefusal::Known`] says
/// that it stands already.
pub fn authorize(view: &dyn Chains, op: &Verified<Op>, context: &AppendContext) -> Result<Authorized<Op>, OpRefusal> {
    form::check_form(op.value())?;
    let id = verified_op_id(op);
    let state = find_place(view, op.value(), id)?;
    check_receipt_given(op.value(), id, context)?;
    let own = state.as_deref().map(|state| (state.id(), state.head_seq()));
    let cited = Heads::cited(view, &op.value().cites, own)?;
    if let Some(state) = &state {
        check_cites_advance(view, state.cited(), &op.value().cites).map_err(|error| match error {
            LedgerError::Waiting(waiting) => OpRefusal::from(waiting),
            LedgerError::Regress(regress) => regress.into(),
        })?;
    }
    if let Some(state) = state.as_deref().filter(|state| state.is_erased()) {
        return Err(OpRefusal::Erased { document: state.id() });
    }
    let adopted = find_adoption(view, op.value(), id);
    let holds_now = adopted.is_none();
    let context = &AppendContext {
        also_now: context.also_now && holds_now,
        names_known: context.names_known && holds_now,
        ..*context
    };
    let append = Append { view, op: op.value(), context };
    append.check_sense(state.as_deref())?;
    append.check_rights(state.as_deref(), &mut Evaluator::new(view, op.value().device, &cited), Moment::Cited)?;
    if context.also_now {
        let newest = Heads::newest(context.time);
        append.check_rights(state.as_deref(), &mut Evaluator::new(view, op.value().device, &newest), Moment::Now)?;
        state.as_deref().map_or(Ok(()), |state| append.check_keys(state))?;
    }
    Ok(match adopted {
        Some(adopted) => Authorized::taken_in(op.clone(), adopted),
        None => Authorized::new(op.clone()),
    })
}

/// Says whether the author of an operation had the rights for it at these heads.
pub(crate) fn would_stand_at(view: &dyn Chains, op: &Op, heads: &Heads, context: &AppendContext) -> bool {
    let context = &AppendContext { also_now: false, names_known: false, ..*context };
    let state = op.chain.and_then(|chain| view.chain(&chain));
    let append = Append { view, op, context };
    append.check_rights(state.as_deref(), &mut Evaluator::new(view, op.device, heads), Moment::Cited).is_ok()
}

/// One decision in the making.
struct Append<'a> {
    view: &'a dyn Chains,
    op: &'a Op,
    context: &'a AppendContext,
}

impl Append<'_> {
    /// Checks what the author is entitled to at some heads.
    fn check_rights(
        &self,
        state: Option<&ChainState>,
        evaluator: &mut Evaluator<'_>,
        moment: Moment,
    ) -> Result<(), OpRefusal> {
        match (&self.op.body, state) {
            (Body::Create(create), _) => self.check_create_rights(create, evaluator, moment),
            (_, Some(state)) => {
                self.check_body_rights(state, evaluator, moment)?;
                self.check_lasting(state, evaluator, moment)
            }
            (_, None) => Err(OpRefusal::Place { seq: self.op.seq }),
        }
    }

    /// Checks what does not depend on the author.
    fn check_sense(&self, state: Option<&ChainState>) -> Result<(), OpRefusal> {
        match (&self.op.body, state) {
            (Body::Create(create), _) => self.check_kinds(create),
            (_, Some(state)) => self.check_body_sense(state),
            (_, None) => Err(OpRefusal::Place { seq: self.op.seq }),
        }
    }
}

/// Finds the state that the operation follows; none for a new `Create`.
fn find_place(view: &dyn Chains, op: &Op, id: OpId) -> Result<Option<Arc<ChainState>>, OpRefusal> {
    let (Some(chain), Some(prev)) = (op.chain, op.prev) else {
        let known = view.chain(&ChainId(id.0)).is_some();
        return if known { Err(OpRefusal::Known { seq: 0 }) } else { Ok(None) };
    };
    let waiting = OpRefusal::Waiting { chain, head: prev };
    let Some(state) = view.chain(&chain) else { return Err(waiting) };
    if let Some(record) = state.op(op.seq) {
        return Err(if record.id == id {
            OpRefusal::Known { seq: op.seq }
        } else {
            OpRefusal::HeadMoved { head: state.head(), seq: state.head_seq() }
        });
    }
    if op.seq > state.head_seq().saturating_add(1) {
        return Err(waiting);
    }
    if prev != state.head() {
        return Err(OpRefusal::HeadMoved { head: state.head(), seq: state.head_seq() });
    }
    Ok(Some(state))
}

fn check_receipt_given(op: &Op, id: OpId, context: &AppendContext) -> Result<(), OpRefusal> {
    if context.receipt_of.is_some_and(|of| of != id) {
        return Err(OpRefusal::OtherReceipt { op: id });
    }
    if context.time.is_none() && !matches!(op.body, Body::Create(_)) {
        return Err(OpRefusal::NoReceipt { op: id });
    }
    Ok(())
}
