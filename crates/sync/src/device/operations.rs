//! Operations that come: verified, evaluated, stored with their effect, or without.

use std::ops::ControlFlow;

use vereda_base::{ChainId, OpId, Timestamp};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{
    AppendContext, Authorized, Body, ChainKind, Chains, ForkProof, Op, OpRefusal, Place, Receipt, authorize, chain_of,
    check_receipt, op_id_of_bytes, verify_op,
};
use vereda_protocol::Logged;

use super::{
    cutting::is_removal,
    effect::{Disconnect, Event},
    frontiers::Reliant,
    machine::{DeviceMachine, Halt},
    owners::awaited_owner,
    shelf::ChainView,
    store::{DeviceStore, StoreError},
    tables::{Awaited, CHAINS, Evidence, Held, OPS, OpRow, REMOVED, WAITING_OPS, load, place_key, save},
};

/// What effect an operation has.
enum Effectual {
    Full(Box<Authorized<Op>>),
    /// It keeps its place, and that is all.
    Void,
    /// It is not known yet.
    Waits(Awaited),
    /// It has no place at all.
    Forbidden,
    /// It follows another operation than the one that is known at the place before.
    Branches,
}

impl DeviceMachine {
    /// Verifies, evaluates and stores an operation with its receipt; one that relies on what is not here yet waits.
    pub(super) fn take_op(
        &mut self,
        op: Signed<Op>,
        receipt: Signed<Receipt>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let held = self.note_handed(&*store)?;
        self.take_handed_op(op, receipt, held, store)
    }

    /// As [`Self::take_op`], of one that has been here since.
    pub(super) fn take_handed_op(
        &mut self,
        op: Signed<Op>,
        receipt: Signed<Receipt>,
        held: Held,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let receipt = receipt.verify().map_err(|_| Halt::Violation)?;
        let (chain, seq) = (receipt.value().chain, receipt.value().seq);
        let row = OpRow { held: Some(held), ..OpRow::new(op.clone(), Some(receipt.signed().clone())) };
        let op = match verify_op(op) {
            Ok(op) => op,
            Err(error) if error.needs_update() => {
                // Kept for the version that will understand it; what follows in the chain waits behind it.
                self.await_op(chain.as_bytes(), &place_key(&chain, seq), &row, store)?;
                self.tell(Event::UpdateNeeded { chain });
                return Ok(());
            }
            Err(_) => return Err(Halt::Violation),
        };
        if chain_of(op.value()) != chain || op.value().seq != seq {
            return Err(Halt::Violation);
        }
        self.note_logged(Logged::Op { chain, op: op_id_of_bytes(op.bytes()) }, &*store)?;
        self.judge_op(op, &receipt, row, store)
    }

    fn judge_op(
        &mut self,
        op: Verified<Op>,
        receipt: &Verified<Receipt>,
        row: OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (chain, seq) = (receipt.value().chain, receipt.value().seq);
        let view = self.shelf.view(&*store);
        let state = view.chain(&chain);
        let standing = state.as_ref().and_then(|state| state.op(seq).copied());
        let checked = check_receipt(&self.config.relay, receipt, &op, state.as_deref());
        let judged = match (&standing, checked) {
            (_, Err(_)) => {
                view.finish()?;
                return Err(Halt::Violation);
            }
            (Some(_), Ok(_)) => None,
            (None, Ok(checked)) => {
                let found = self.find_effect(&view, &*store, &op, &AppendContext::device(&checked))?;
                Some((found, checked.time()))
            }
        };
        view.finish()?;
        let key = place_key(&chain, seq);
        match judged {
            None => self.take_known(&op, receipt, row, store),
            Some((Effectual::Full(authorized), time)) => {
                self.keep_op(&authorized, op_id_of_bytes(op.bytes()), Some(time), row, store)
            }
            Some((Effectual::Void, time)) => {
                let id = op_id_of_bytes(op.bytes());
                self.shelf.apply_void(&*store, op.value(), id, Some(time))?;
                save(store, OPS, chain.as_bytes(), &key, &OpRow { is_void: true, ..row })?;
                self.note_chain(chain, store)?;
                self.tell(Event::OpVoid { chain, seq });
                self.take_standing(id, store)
            }
            Some((Effectual::Waits(awaited), _)) => {
                if let Awaited::Leaf { chain: of, removal, .. } = awaited {
                    let place = Place::Ops { chain, device: op.value().device };
                    self.want_leaf(of, removal, place, store)?;
                }
                self.await_op(awaited.bytes(), &key, &row, store)
            }
            Some((Effectual::Forbidden, _)) => {
                // Author and relay agree on what policy forbids: kept as evidence, and the chain stops here.
                self.keep_evidence(&chain, &key, &Evidence::Op { row }, store)?;
                self.tell(Event::OpQuarantined { chain, seq });
                Ok(())
            }
            Some((Effectual::Branches, _)) => self.note_branch(chain, seq, row, store),
        }
    }

    /// The relay let an operation follow another than the one it had given a receipt for: two stories.
    fn note_branch(&mut self, chain: ChainId, seq: u64, row: OpRow, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let key = place_key(&chain, seq);
        let before = load::<OpRow>(&*store, OPS, &place_key(&chain, seq.saturating_sub(1)))?;
        let Some(known) = before.and_then(|before| before.receipt) else {
            self.keep_evidence(&chain, &key, &Evidence::Op { row }, store)?;
            self.tell(Event::OpQuarantined { chain, seq });
            return Ok(());
        };
        self.keep_evidence(&chain, &key, &Evidence::Branch { row, known }, store)?;
        self.tell(Event::RelayForked { chain, seq });
        self.disconnect(Disconnect::RelayForked);
        Ok(())
    }

    /// Finds what effect an operation has by its author's rights, and by the frontiers that concern him.
    fn find_effect(
        &self,
        view: &ChainView<'_>,
        store: &dyn DeviceStore,
        op: &Verified<Op>,
        context: &AppendContext,
    ) -> Result<Effectual, StoreError> {
        // With a relay's help anybody begins an agency. What rests on one that is not known here waits, without effect.
        if is_another_agency(op.value(), &self.config.agency) {
            return Ok(Effectual::Forbidden);
        }
        let authorized = match authorize(view, op, context) {
            Ok(authorized) => authorized,
            Err(OpRefusal::Waiting { chain, .. }) => return Ok(Effectual::Waits(Awaited::Policy(chain))),
            Err(OpRefusal::HeadMoved { seq, .. }) if op.value().seq == seq.saturating_add(1) => {
                return Ok(Effectual::Branches);
            }
            Err(OpRefusal::HeadMoved { .. } | OpRefusal::Known { .. } | OpRefusal::Place { .. }) => {
                return Ok(Effectual::Forbidden);
            }
            Err(_) if rests_on_void(view, op.value()) => return Ok(Effectual::Void),
            Err(_) => return Ok(Effectual::Forbidden),
        };
        if authorized.adopted().is_some() {
            return Ok(Effectual::Full(Box::new(authorized)));
        }
        Ok(match self.judge_op_reliance(view, store, op, context, None)? {
            Reliant::Stands | Reliant::Held(_) => Effectual::Full(Box::new(authorized)),
            Reliant::Beyond(_) if let Some(owner) = awaited_owner(view, store, op.value())? => {
                Effectual::Waits(Awaited::Policy(owner))
            }
            // A chain whose first operation has no effect has never been.
            Reliant::Beyond(_) if op.value().seq == 0 => Effectual::Forbidden,
            Reliant::Beyond(_) => Effectual::Void,
            Reliant::Waits(awaited) => Effectual::Waits(awaited),
        })
    }

    /// Stores an operation that has its effect, with everything that follows from it.
    fn keep_op(
        &mut self,
        op: &Authorized<Op>,
        id: OpId,
        time: Option<Timestamp>,
        row: OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (chain, seq, body) = (op.chain(), op.value().seq, &op.value().body);
        let changes = is_removal(body) || store.get(REMOVED, chain.as_bytes())?.is_some();
        let before = if changes { self.standing_in(&chain, &*store)? } else { None };
        self.shelf.apply(&*store, op, time)?;
        let row = OpRow { adopted: op.adopted().cloned(), ..row };
        save(store, OPS, chain.as_bytes(), &place_key(&chain, seq), &row)?;
        self.note_chain(chain, store)?;
        if changes {
            self.note_standing(&chain, seq, before, store)?;
        }
        match body {
            body if is_removal(body) => {
                self.unsettled.removals.insert((chain, seq));
            }
            Body::Adopt(_) | Body::Discard(_) => {
                if let Some(state) = self.shelf.find(&*store, &chain)? {
                    self.take_decisions(&state, body, seq, store)?;
                }
            }
            Body::Create(_) if op.adopted().is_some() => self.close_document(&chain, true, store)?,
            Body::Create(_) => self.forget_document_review(&chain, store)?,
            Body::Beacon(_) => self.beacons_changed = true,
            _ => {}
        }
        self.take_standing(id, store)
    }

    /// Works off an operation for a place that is taken: the same again, or a second story.
    fn take_known(
        &mut self,
        op: &Verified<Op>,
        receipt: &Verified<Receipt>,
        row: OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (chain, seq) = (receipt.value().chain, receipt.value().seq);
        let key = place_key(&chain, seq);
        let id = op_id_of_bytes(op.bytes());
        let Some(known) = load::<OpRow>(store, OPS, &key)? else {
            return Err(Halt::Violation);
        };
        if op_id_of_bytes(known.op.bytes()) == id {
            if known.receipt.is_none() {
                save(store, OPS, chain.as_bytes(), &key, &row)?;
                self.shelf.note_receipt_time(&chain, seq, receipt.value().time);
                self.tell(Event::PolicyChanged { chain });
                self.note_adoption(&chain, store)?;
            }
            return self.take_standing(id, store);
        }
        let Some(Ok(first)) = known.receipt.map(Signed::verify) else {
            return Err(Halt::Violation);
        };
        let proof: Option<ForkProof> = vereda_policy::detect_relay_fork(&first, receipt);
        let Some(proof) = proof else {
            return Err(Halt::Violation);
        };
        self.keep_evidence(&chain, &key, &Evidence::Fork { proof }, store)?;
        self.tell(Event::RelayForked { chain, seq });
        self.disconnect(Disconnect::RelayForked);
        Ok(())
    }

    /// Notes that a chain grew.
    pub(super) fn note_chain(&mut self, chain: ChainId, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        if store.get(CHAINS, chain.as_bytes())?.is_none() {
            let kind = self.shelf.find(&*store, &chain)?.map_or(ChainKind::Document, |state| state.kind());
            store.put(CHAINS, &[kind as u8], chain.as_bytes(), &[])?;
        }
        self.woken.insert(Awaited::Policy(chain));
        self.tell(Event::PolicyChanged { chain });
        Ok(())
    }
}

/// Says whether an operation of a chain waits for policy.
pub(super) fn op_waits(store: &dyn DeviceStore, chain: &ChainId) -> Result<bool, StoreError> {
    let mut found = false;
    store.scan(WAITING_OPS, None, &mut |key, _| {
        found = key.starts_with(chain.as_bytes());
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// Says whether an operation begins an agency other than this one.
fn is_another_agency(op: &Op, agency: &ChainId) -> bool {
    matches!(&op.body, Body::Create(create) if create.kind == ChainKind::Agency) && chain_of(op) != *agency
}

/// Says whether something that an operation's author may have relied on has no effect.
fn rests_on_void(view: &dyn Chains, op: &Op) -> bool {
    let chains = op.cites.iter().map(|cite| cite.chain).chain(op.chain);
    let has_void = |chain: ChainId| view.chain(&chain).is_some_and(|state| state.ops().iter().any(|op| op.is_void));
    op.seq > 0 && chains.into_iter().any(has_void)
}
