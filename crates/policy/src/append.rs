//! Whether an operation may be appended to its chain (protocol.md §3): form, place, cites, and its author's authority.

mod body;
mod create;
mod form;
mod refusal;

use std::sync::Arc;

use vereda_base::{OpId, Timestamp};
use vereda_crypto::Verified;

pub(crate) use create::need_in_parents;
pub use form::{MAX_DEVICES, MAX_PURPOSE_BYTES};
pub use refusal::{Moment, OpRefusal, Part};

use crate::{
    Authorized, Body, ChainState, Chains, CheckedReceipt, Evaluator, Heads, Need, Op,
    id::verified_op_id,
    ledger::{LedgerError, check_cites_advance},
    need,
};

/// Who asks whether an operation may be appended, and the time of its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendContext {
    time: Option<Timestamp>,
    receipt_of: Option<OpId>,
    also_now: bool,
}

impl AppendContext {
    /// A relay about to append, at the time that its receipt will say (see [`crate::receipt_time`]); also a device that
    /// looks whether the relay would append what it is about to send. Asks for authority at the heads cited *and* now,
    /// and that every chain named is known and of a fitting kind.
    pub const fn relay(time: Timestamp) -> Self {
        Self { time: Some(time), receipt_of: None, also_now: true }
    }

    /// A device that was handed an operation with its receipt. Asks for authority at the heads cited.
    pub const fn device(receipt: &CheckedReceipt) -> Self {
        Self { time: Some(receipt.time()), receipt_of: Some(receipt.op()), also_now: false }
    }

    /// A device without a receipt: good for a `Create` only, which is complete offline.
    pub const fn unreceipted() -> Self {
        Self { time: None, receipt_of: None, also_now: false }
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
/// Manager) in every parent with full authority, or in one parent where there is none such. A document's first members
/// are parents of it, or get no more than the author's own lowest role in those parents.
///
/// Whoever a document is put before, by its `Create` or a `Grant`, is a user of the author's, or a parent with a say (full
/// or revoke-only) of which the author is Editor; or the author has authority as Manager in a team or agency that is such
/// a parent.
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
    let append = Append { view, op: op.value(), cited: &cited, context };
    match (&op.value().body, state.as_deref()) {
        (Body::Create(create), _) => append.check_create(create)?,
        (_, Some(state)) => append.check_body(state)?,
        (_, None) => return Err(OpRefusal::Place { seq: op.value().seq }),
    }
    Ok(Authorized::new(op.clone()))
}

/// One decision in the making.
struct Append<'a> {
    view: &'a dyn Chains,
    op: &'a Op,
    cited: &'a Heads,
    context: &'a AppendContext,
}

impl Append<'_> {
    /// Asks `check` at the heads cited and, where the context says so, at the newest ones.
    fn at_each_moment(
        &self,
        mut check: impl FnMut(&mut Evaluator<'_>, Moment) -> Result<(), OpRefusal>,
    ) -> Result<(), OpRefusal> {
        check(&mut Evaluator::new(self.view, self.op.device, self.cited), Moment::Cited)?;
        if self.context.also_now {
            let newest = Heads::newest(self.context.time);
            check(&mut Evaluator::new(self.view, self.op.device, &newest), Moment::Now)?;
        }
        Ok(())
    }

    /// Checks the author's role in an existing chain against the table.
    fn check_role(&self, state: &ChainState) -> Result<(), OpRefusal> {
        let body = self.op.body.code();
        let need = need(body, state.kind()).ok_or(OpRefusal::NotHere { body, kind: state.kind() })?;
        let (Need::Member(least) | Need::Authority(least) | Need::Content(least)) = need else { return Ok(()) };
        self.at_each_moment(|evaluator, moment| {
            let found = evaluator.role_for(&state.id(), need);
            if found >= Some(least) {
                return Ok(());
            }
            Err(OpRefusal::NoAuthority { body, chain: state.id(), least, found, moment })
        })
    }
}

/// Finds the state that the operation follows; none for a new `Create`.
fn find_place(view: &dyn Chains, op: &Op, id: OpId) -> Result<Option<Arc<ChainState>>, OpRefusal> {
    let (Some(chain), Some(prev)) = (op.chain, op.prev) else {
        let known = view.chain(&vereda_base::ChainId(id.0)).is_some();
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
