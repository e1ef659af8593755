//! Operations that have no effect, and what rested on them: everything held is evaluated anew, in order of arrival.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{
    AdoptedDocument, AppendContext, Authorized, Body, ChainMap, ChainState, Chains, Op, Place, authorize, chain_of,
    check_receipt, op_id_of_bytes, op_reliance,
};
use vereda_protocol::Logged;

use super::{
    effect::Event,
    frontiers::{Made, Reliant},
    holding::UNBOUNDED,
    machine::{DeviceMachine, Halt},
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, CHAINS, Cause, DOCUMENTS, DocumentRow, EVIDENCE, EXCLUDED, Evidence, ExcludedRow, Held, OPS, OpRow,
        load_all, place_key, read, save,
    },
    tally::Kept,
};

/// Rounds after which an evaluation stands as it is: it changes in the third only where removals void one another.
const MAX_ROUNDS: usize = 8;

/// A stored operation in the order of arrival.
struct Arrived {
    chain: ChainId,
    id: OpId,
    op: Verified<Op>,
    row: OpRow,
    context: AppendContext,
}

/// What an evaluation makes of everything.
struct Evaluation {
    chains: ChainMap,
    /// Operations without effect.
    void: BTreeSet<OpId>,
    /// Chains that have never been.
    dropped: BTreeSet<ChainId>,
    adopted: BTreeMap<OpId, AdoptedDocument>,
}

impl DeviceMachine {
    /// Judges by the frontiers whether an operation that its author was entitled to has an effect.
    pub(super) fn judge_op_reliance(
        &self,
        view: &dyn Chains,
        store: &dyn DeviceStore,
        op: &Verified<Op>,
        context: &AppendContext,
        held: Option<Held>,
    ) -> Result<Reliant, StoreError> {
        let relies = match op_reliance(view, op, context) {
            Ok(relies) => relies,
            Err(waiting) => return Ok(Reliant::Waits(Awaited::Policy(waiting.chain))),
        };
        // What this device began itself the relay has by a decision that only those who read it are handed.
        let is_own = op.value().seq == 0 && op.value().device == self.device;
        if relies.is_empty() || (is_own && self.standing_in(&chain_of(op.value()), store)?.is_none()) {
            return Ok(Reliant::Stands);
        }
        let (chain, id) = (chain_of(op.value()), op_id_of_bytes(op.bytes()));
        let place = Place::Ops { chain, device: op.value().device };
        self.reliant(view, store, &relies, &Made { place, seq: op.value().seq, id: Digest(id.0), held })
    }

    /// Says whether an operation of these devices in these chains has an effect and lies beyond a frontier. Notes where the
    /// relay had handed one over before the removal.
    pub(super) fn has_new_void(
        &mut self,
        places: &BTreeSet<(ChainId, DeviceId)>,
        store: &mut dyn DeviceStore,
    ) -> Result<bool, StoreError> {
        let chains: BTreeSet<ChainId> = places.iter().map(|(chain, _)| *chain).collect();
        let (mut found, mut severed) = (false, BTreeMap::new());
        let view = self.shelf.view(&*store);
        for chain in chains {
            for (_, row) in load_all::<OpRow>(&*store, OPS, Some(chain.as_bytes()))? {
                // How a document was taken in is asked where everything is evaluated.
                if row.is_void || row.receipt.is_none() {
                    continue;
                }
                let is_adopted = row.adopted.is_some();
                let arrived = self.arrive(row)?;
                if places.contains(&(chain, arrived.op.value().device)) {
                    let judged = self.judge_arrived(&view, &*store, &arrived)?;
                    found |= judged.is_beyond();
                    if let Some(removal) = judged.severing().filter(|_| !is_adopted) {
                        severed.entry(removal).or_insert(Logged::Op { chain, op: arrived.id });
                    }
                }
            }
        }
        view.finish()?;
        for (removal, what) in severed {
            self.note_severed(&removal, what, store)?;
        }
        Ok(found)
    }

    fn judge_arrived(&self, view: &dyn Chains, store: &dyn DeviceStore, one: &Arrived) -> Result<Reliant, StoreError> {
        self.judge_op_reliance(view, store, &one.op, &one.context, one.row.held)
    }

    /// Evaluates all operations that are held anew, in order of arrival, and then all content.
    pub(super) fn evaluate_anew(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let rows = load_all::<OpRow>(&*store, OPS, None)?;
        let arrived: Vec<Arrived> =
            rows.into_iter().map(|(_, row)| self.arrive(row)).collect::<Result<_, StoreError>>()?;
        let mut beyond: BTreeSet<OpId> = BTreeSet::new();
        let mut evaluation = self.evaluate(&arrived, &beyond, &*store)?;
        for _ in 0..MAX_ROUNDS {
            let now = self.find_beyond(&arrived, &evaluation.chains, &*store)?;
            if now == beyond {
                break;
            }
            beyond = now;
            evaluation = self.evaluate(&arrived, &beyond, &*store)?;
        }
        self.take_evaluation(&arrived, &evaluation, store)
    }

    fn arrive(&self, row: OpRow) -> Result<Arrived, StoreError> {
        let damaged = || StoreError::Unknown { table: OPS.0 };
        let op = row.op.clone().verify().map_err(|_| damaged())?;
        let context = match row.receipt.clone().map(Signed::verify) {
            None => AppendContext::unreceipted(),
            Some(receipt) => {
                let receipt = receipt.map_err(|_| damaged())?;
                let checked = check_receipt(&self.config.relay, &receipt, &op, None).map_err(|_| damaged())?;
                AppendContext::device(&checked)
            }
        };
        let (chain, id) = (chain_of(op.value()), op_id_of_bytes(op.bytes()));
        Ok(Arrived { chain, id, op, row, context })
    }

    /// Evaluates the operations one after another, where some are known to lie beyond a frontier.
    fn evaluate(
        &self,
        arrived: &[Arrived],
        beyond: &BTreeSet<OpId>,
        store: &dyn DeviceStore,
    ) -> Result<Evaluation, StoreError> {
        let mut evaluation = Evaluation {
            chains: ChainMap::new(),
            void: BTreeSet::new(),
            dropped: BTreeSet::new(),
            adopted: BTreeMap::new(),
        };
        for one in arrived {
            if evaluation.dropped.contains(&one.chain) {
                continue;
            }
            let authorized =
                if beyond.contains(&one.id) { None } else { authorize(&evaluation.chains, &one.op, &one.context).ok() };
            let stands = match &authorized {
                None => false,
                // What only this device knows, and what was adopted, relies on nothing.
                Some(op) if one.row.receipt.is_none() || op.adopted().is_some() => true,
                Some(_) => !self.judge_arrived(&evaluation.chains, store, one)?.is_beyond(),
            };
            evaluation.take(one, authorized.filter(|_| stands))?;
        }
        Ok(evaluation)
    }

    /// Lists the operations that lie beyond a frontier, seen from the end.
    fn find_beyond(
        &self,
        arrived: &[Arrived],
        chains: &ChainMap,
        store: &dyn DeviceStore,
    ) -> Result<BTreeSet<OpId>, StoreError> {
        let mut beyond = BTreeSet::new();
        for one in arrived {
            let is_adopted = one.row.adopted.is_some();
            if one.row.receipt.is_some() && !is_adopted && self.judge_arrived(chains, store, one)?.is_beyond() {
                beyond.insert(one.id);
            }
        }
        Ok(beyond)
    }

    /// Stores what an evaluation came to.
    fn take_evaluation(
        &mut self,
        arrived: &[Arrived],
        evaluation: &Evaluation,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let mut changed: BTreeMap<ChainId, Option<vereda_policy::Role>> = BTreeMap::new();
        for one in arrived {
            let (is_void, is_dropped) = (evaluation.void.contains(&one.id), evaluation.dropped.contains(&one.chain));
            let adopted = evaluation.adopted.get(&one.id).cloned();
            if !is_dropped && is_void == one.row.is_void && adopted == one.row.adopted {
                continue;
            }
            if let Entry::Vacant(place) = changed.entry(one.chain) {
                place.insert(self.standing_in(&one.chain, &*store)?);
            }
        }
        for one in arrived.iter().filter(|one| changed.contains_key(&one.chain)) {
            let seq = one.op.value().seq;
            let key = place_key(&one.chain, seq);
            if evaluation.dropped.contains(&one.chain) {
                store.delete(OPS, &key)?;
                // It was stored and stood: it is kept, whatever there is room for.
                let value = vereda_base::encode(&Evidence::Create { row: one.row.clone() });
                let kept = Kept { table: EVIDENCE, group: one.chain.as_bytes(), key: &key, value: &value };
                self.keep_within(&kept, UNBOUNDED, store)?;
                if seq == 0 {
                    store.delete(CHAINS, one.chain.as_bytes())?;
                    self.tell(Event::OpQuarantined { chain: one.chain, seq });
                }
                continue;
            }
            let is_void = evaluation.void.contains(&one.id);
            let adopted = evaluation.adopted.get(&one.id).cloned();
            if is_void && !one.row.is_void {
                self.tell(Event::OpVoid { chain: one.chain, seq });
            }
            let row = OpRow { is_void, adopted, ..one.row.clone() };
            save(store, OPS, one.chain.as_bytes(), &key, &row)?;
        }
        self.shelf.clear();
        self.shelf.load_groups(&*store)?;
        for (chain, before) in changed {
            let head = self.shelf.find(&*store, &chain)?.map_or(0, |state| state.head_seq());
            self.note_standing(&chain, head, before, store)?;
            self.woken.insert(Awaited::Policy(chain));
            self.tell(Event::PolicyChanged { chain });
        }
        self.forget_void_wants(store)?;
        self.judge_everything_again(store)
    }

    /// Judges all content again: what rested on void operations stands no more, and what only they forbade stands.
    fn judge_everything_again(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        for (key, _) in load_all::<DocumentRow>(&*store, DOCUMENTS, None)? {
            self.judge_again(&ChainId(key.try_into().unwrap_or([0; 32])), None, store)?;
        }
        let mut stands_again = Vec::new();
        let view = self.shelf.view(&*store);
        for (key, row) in load_all::<ExcludedRow>(&*store, EXCLUDED, None)? {
            let (Cause::Rights, Some(position)) = (row.cause, row.position) else { continue };
            let Some(chunk) = super::content::load_chunk(&*store, &row.document, position)? else { continue };
            let header = read(super::tables::CHUNKS, chunk.header.bytes())?;
            if self.judge_rights(&view, &*store, &header, row.held, true)?.stands() {
                stands_again.push((row.document, position, vereda_base::Link(key.try_into().unwrap_or([0; 32]))));
            }
        }
        view.finish()?;
        let documents: BTreeSet<ChainId> = stands_again.iter().map(|(document, _, _)| *document).collect();
        for document in &documents {
            self.open_authors(document, true, store)?;
        }
        stands_again.sort_by_key(|(_, position, _)| *position);
        for (document, _, link) in stands_again {
            self.reinstate(&document, &link, store)?;
        }
        for document in &documents {
            self.reinstate_followers(document, store)?;
            self.open_authors(document, false, store)?;
        }
        Ok(())
    }

    /// Judges anew what does not stand only because of what it builds on.
    fn reinstate_followers(&mut self, document: &ChainId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut rows = load_all::<ExcludedRow>(&*store, EXCLUDED, Some(document.as_bytes()))?;
        rows.retain(|(_, row)| row.cause == Cause::BuiltOn && row.position.is_some() && row.at_relay);
        rows.sort_by_key(|(_, row)| row.position);
        for (key, _) in rows {
            self.reinstate(document, &vereda_base::Link(key.try_into().unwrap_or([0; 32])), store)?;
        }
        Ok(())
    }
}

impl Evaluation {
    /// Takes an operation in: with its effect, where it was found to stand, or without.
    fn take(&mut self, one: &Arrived, standing: Option<Authorized<Op>>) -> Result<(), StoreError> {
        let damaged = |_| StoreError::Unknown { table: OPS.0 };
        let time = one.context.time();
        if let Some(op) = standing {
            if let Some(adopted) = op.adopted() {
                self.adopted.insert(one.id, adopted.clone());
            }
            return self.chains.apply(&op, time).map_err(damaged);
        }
        match (self.chains.chain(&one.chain), &one.op.value().body) {
            (None, _) | (_, Body::Create(_)) => {
                self.dropped.insert(one.chain);
            }
            (Some(state), _) => {
                let state = voided(&state, one, time).map_err(damaged)?;
                self.chains.insert(state);
                self.void.insert(one.id);
            }
        }
        Ok(())
    }
}

fn voided(
    state: &Arc<ChainState>,
    one: &Arrived,
    time: Option<Timestamp>,
) -> Result<ChainState, vereda_policy::ApplyError> {
    let mut state = (**state).clone();
    state.apply_void(one.op.value(), one.id, time)?;
    Ok(state)
}
