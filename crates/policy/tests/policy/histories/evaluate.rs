//! Operations offered and taken in, as a relay or a device does.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Verified};
use vereda_policy::{
    AppendContext, Authorized, Body, ChainMap, Chains, CheckedReceipt, Op, OpRefusal, Place, Receipt, Reliance,
    authorize, chain_of, check_receipt, op_id, op_reliance, removed_devices,
};

use super::{Arrived, World, agree};
use crate::{
    oracle::{By, Removal},
    world::key,
};

const RELAY: u8 = 99;

impl World {
    /// Offers an operation to the relay; says whether it was taken.
    pub(super) fn offer(&mut self, key: &DeviceKey, op: Op) -> bool {
        self.offer_to(By::Relay, key, op, None).is_ok()
    }

    /// Signs and appends, as a relay does, or as a device does whom a colluding relay hands it; the oracle must say the
    /// same, and learns what was taken.
    pub(super) fn offer_to(
        &mut self,
        by: By,
        key: &DeviceKey,
        op: Op,
        tampered: Option<&'static str>,
    ) -> Result<OpId, Option<OpRefusal>> {
        self.time += 1;
        let time = self.now();
        let (id, code) = (op_id(&op), op.body.code());
        let chain = op.chain.unwrap_or(ChainId(id.0));
        let expected = self.oracle.takes(ChainId(id.0), &op, time, by);
        let signed = Verified::sign(key, op).unwrap();
        let receipt = self.lies.then(|| self.receipt(&signed, chain, id, time));
        let context = match (by, &receipt) {
            (By::Device, Some(receipt)) => AppendContext::device(receipt),
            _ => AppendContext::relay(time),
        };
        let authorized = authorize(&self.chains, &signed, &context);
        let found = authorized.as_ref().map(|_| ()).map_err(Clone::clone);
        agree!(found.is_ok(), expected, "{found:?} for {:?}", signed.value());
        let authorized = match authorized {
            Ok(authorized) => authorized,
            Err(refusal) => {
                self.tally.note(code, tampered, false);
                return Err(Some(refusal));
            }
        };
        let arrived = Arrived { op: signed, id, time, receipt };
        let (relies, is_named) = self.judge(&authorized, &context, chain);
        if by == By::Device && relies {
            if is_named { self.tally.late.0 += 1 } else { self.tally.late.1 += 1 }
        }
        let (relay_refuses, never_was) = (by == By::Relay && relies, !is_named && arrived.op.value().seq == 0);
        if relay_refuses || never_was {
            self.tally.note(code, tampered, false);
            return Err(None);
        }
        self.tally.note(code, tampered, true);
        if !is_named {
            take_void(&mut self.chains, chain, &arrived);
            self.oracle.take_void(id, arrived.op.value(), time);
            self.arrived.push(arrived);
            return Err(None);
        }
        let body = arrived.op.value().body.clone();
        let concerned = removed_devices(&self.chains, &chain, &body);
        agree!(concerned, self.oracle.concerns(chain, &body), "whom {body:?} concerns");
        self.chains.apply(&authorized, Some(time)).unwrap();
        self.oracle.take(id, arrived.op.value(), time);
        self.arrived.push(arrived);
        if !concerned.is_empty() {
            self.follow_removal(&concerned, &body);
        }
        Ok(id)
    }

    fn receipt(&self, op: &Verified<Op>, chain: ChainId, id: OpId, time: Timestamp) -> CheckedReceipt {
        let relay = key(RELAY);
        let seq = op.value().seq;
        let receipt = Receipt { suite: 1, relay: relay.device_id(), relay_epoch: 1, chain, seq, op: id, time };
        let receipt = Verified::sign(&relay, receipt).unwrap();
        check_receipt(&relay.device_id(), &receipt, op, None).unwrap()
    }

    /// Says whether an operation that its author was entitled to relies on removals, and whether all of these name it.
    fn judge(&self, op: &Authorized<Op>, context: &AppendContext, chain: ChainId) -> (bool, bool) {
        if op.adopted().is_some() {
            return (false, true);
        }
        let relied = op_reliance(&self.chains, op.verified(), context).unwrap();
        let expected = self.oracle.op_relies(op.value());
        agree!(places(&relied), expected, "what {:?} relies on", op.value());
        let (place, id) = (Place::Ops { chain, device: op.value().device }, Digest(op.id().0));
        let is_named = self.is_named(&self.chains, &relied, &place, op.value().seq, id);
        agree!(is_named, self.oracle.is_named(&expected, &place, op.value().seq, id), "whether {op:?} is named");
        (!relied.is_empty(), is_named)
    }

    /// Says whether all of these removals name what stands at a place, by proofs as a relay gives them.
    pub(super) fn is_named(&self, view: &dyn Chains, relied: &[Reliance], place: &Place, seq: u64, id: Digest) -> bool {
        relied.iter().all(|one| {
            let frontier = one.frontier(view).unwrap();
            let leaf = self.trees[&frontier.root].prove(&place.key()).verify(&frontier, &place.key()).unwrap();
            leaf.is_some_and(|leaf| seq < leaf.seq || (seq == leaf.seq && leaf.id == id))
        })
    }

    /// Judges again what stands by those whom a removal concerns; where it cuts something off, everything.
    fn follow_removal(&mut self, concerned: &BTreeSet<DeviceId>, body: &Body) {
        let is_honest = self.is_honest(body);
        if is_honest && self.below(8) > 0 {
            return;
        }
        let found = self.find_beyond(&self.chains, Some(concerned));
        let entries = self.oracle.chains.iter().flat_map(|(chain, ops)| ops.iter().map(move |op| (chain, op)));
        let beyond = entries.filter(|(chain, entry)| self.oracle.is_beyond(**chain, entry));
        let expected: BTreeSet<OpId> = beyond.map(|(_, entry)| entry.id).collect();
        agree!(found, expected, "what {body:?} cuts off");
        if is_honest {
            assert!(found.is_empty(), "what names everything cuts off nothing");
            self.tally.honest += 1;
        }
        if !found.is_empty() {
            self.evaluate_anew();
        }
    }

    /// Lists what has an effect and lies beyond a frontier, of some devices or of all.
    fn find_beyond(&self, view: &ChainMap, of: Option<&BTreeSet<DeviceId>>) -> BTreeSet<OpId> {
        let mut beyond = BTreeSet::new();
        for one in &self.arrived {
            let op = one.op.value();
            let (chain, id) = (chain_of(op), Digest(one.id.0));
            let Some(state) = view.chain(&chain) else { continue };
            let is_adopted = op.seq == 0 && state.epochs()[0].is_adopted;
            if of.is_some_and(|of| !of.contains(&op.device)) || state.op(op.seq).unwrap().is_void || is_adopted {
                continue;
            }
            let relied = op_reliance(view, &one.op, &AppendContext::relay(one.time)).unwrap();
            let place = Place::Ops { chain, device: op.device };
            if !self.is_named(view, &relied, &place, op.seq, id) {
                beyond.insert(one.id);
            }
        }
        beyond
    }

    /// Takes all that ever came once more, in order of arrival, until nothing that has an effect is beyond a frontier.
    fn evaluate_anew(&mut self) {
        self.tally.anew += 1;
        let mut beyond = BTreeSet::new();
        let chains = loop {
            let anew = self.evaluate(&beyond);
            let before = beyond.len();
            beyond.extend(self.find_beyond(&anew, None));
            if beyond.len() == before {
                break anew;
            }
        };
        let arrived: Vec<_> = self.arrived.iter().map(|one| (one.id, one.op.value().clone(), one.time)).collect();
        self.oracle = self.oracle.evaluate_anew(&arrived);
        let found: Vec<_> = chains
            .iter()
            .map(|state| (state.id(), state.ops().iter().map(|op| (op.id, op.is_void)).collect::<Vec<_>>()))
            .collect();
        let of_oracle = self.oracle.chains.iter();
        let expected: Vec<_> = of_oracle
            .map(|(chain, ops)| (*chain, ops.iter().map(|entry| (entry.id, entry.is_void)).collect::<Vec<_>>()))
            .collect();
        agree!(found, expected, "what stands of everything");
        self.chains = chains;
        self.forget_what_never_was();
    }

    fn evaluate(&self, beyond: &BTreeSet<OpId>) -> ChainMap {
        let mut chains = ChainMap::new();
        for one in &self.arrived {
            let chain = chain_of(one.op.value());
            let seq = one.op.value().seq;
            if seq > 0 && chains.chain(&chain).is_none() {
                continue;
            }
            let context = AppendContext::device(one.receipt.as_ref().unwrap());
            let authorized = authorize(&chains, &one.op, &context).ok().filter(|_| !beyond.contains(&one.id));
            let authorized = authorized.filter(|op| {
                let relied = op_reliance(&chains, &one.op, &context).unwrap();
                let place = Place::Ops { chain, device: one.op.value().device };
                op.adopted().is_some() || self.is_named(&chains, &relied, &place, seq, Digest(one.id.0))
            });
            match authorized {
                Some(op) => chains.apply(&op, Some(one.time)).unwrap(),
                None if seq > 0 => take_void(&mut chains, chain, one),
                None => {}
            }
        }
        chains
    }

    fn forget_what_never_was(&mut self) {
        let before = self.documents.len();
        let chains = &self.chains;
        self.documents.retain(|chain| chains.chain(chain).is_some());
        self.tally.dropped += before - self.documents.len();
        self.invites.retain(|(chain, _)| chains.chain(chain).is_some());
        self.arrived.retain(|one| chains.chain(&chain_of(one.op.value())).is_some());
        self.written.retain(|one| one.header.cites.iter().all(|cite| chains.chain(&cite.chain).is_some()));
    }

    /// Counts what is counted at the end.
    pub(super) fn note_end(&mut self) {
        let entries = || self.oracle.chains.values().flatten();
        self.tally.void += entries().filter(|entry| entry.is_void).count();
        self.tally.adopted += entries().filter(|entry| entry.op.seq == 0 && entry.state.epochs[0].is_foreign).count();
    }
}

pub fn places(relied: &[Reliance]) -> BTreeSet<Removal> {
    relied.iter().map(|one| (one.chain, one.seq)).collect()
}

fn take_void(chains: &mut ChainMap, chain: ChainId, one: &Arrived) {
    let mut state = (*chains.chain(&chain).unwrap()).clone();
    state.apply_void(one.op.value(), one.id, Some(one.time)).unwrap();
    chains.insert(state);
}
