//! Everything there is to ask, asked of both.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};
use vereda_crypto::DeviceKey;
use vereda_policy::{
    AdoptedDocument, ChainState, Chains, Cite, DeviceKind, Heads, ReplayedOp, Role, authority, cite_content,
    content_reliance, epoch_targets, is_key_held, is_stale, membership, op_id, reading_devices, role, rotations_due,
};

use super::{World, agree, evaluate::places, frontiers::content_place};
use crate::{
    journeys::Header,
    oracle::{At, Seen, Ways, best},
    world::member,
};

/// Content, and its place.
#[derive(Debug, Clone)]
pub struct Written {
    pub header: Header,
    pub seq: u64,
    pub link: Digest,
}

impl World {
    /// Asks both everything there is to ask of a random chain and device.
    pub(super) fn compare(&mut self) {
        let devices: Vec<DeviceId> = self.devices.iter().map(DeviceKey::device_id).collect();
        let chains: Vec<ChainId> = self.oracle.chains.keys().copied().collect();
        let (device, chain) = (self.draw(&devices), self.draw(&chains));
        let seen = self.draw_seen();
        let cites: Vec<Cite> = seen.iter().map(|(chain, count)| self.cite(chain, *count)).collect();
        let heads = Heads::cited(&self.chains, &cites, None).unwrap();
        let at = At::seen(seen);
        self.agree_on_rights(device, chain, &at, &heads, Ways::are_any);
        self.agree_on_rights(device, chain, &at, &heads.lasting(), Ways::last);
        let now = [None, Some(self.now())][self.below(2)];
        self.agree_on_rights(device, chain, &self.oracle.now(now), &Heads::newest(now), Ways::are_any);
        self.agree_on_state(chain);
        self.check_keys(chain, now);
        self.check_rotations(device, chain, now);
        self.write(device, now);
        self.check_content();
    }

    fn agree_on_rights(&self, device: DeviceId, chain: ChainId, at: &At, heads: &Heads, fits: fn(&Ways) -> bool) {
        let (view, oracle) = (&self.chains, &self.oracle);
        let of_oracle = best(|least| oracle.member(device, chain, least, at), fits);
        agree!(membership(view, &device, &chain, heads), of_oracle, "membership of {device} in {chain}");
        let of_oracle = best(|least| oracle.authority(device, chain, least, at), fits);
        agree!(authority(view, &device, &chain, heads), of_oracle, "authority of {device} in {chain}");
        let of_oracle = best(|least| oracle.content(device, chain, least, at), fits);
        agree!(role(view, &device, &chain, heads), of_oracle, "role of {device} in {chain}");
    }

    fn agree_on_state(&self, chain: ChainId) {
        let (found, expected) = (self.chains.chain(&chain).unwrap(), self.oracle.newest(&chain).unwrap());
        let head = found.head_seq();
        let held: BTreeSet<_> = found
            .members()
            .iter()
            .filter(|held| held.until_seq.is_none())
            .map(|held| (held.from_seq as usize, held.subject, held.role, held.expires))
            .collect();
        let holds: BTreeSet<_> = expected.holds.iter().map(|(key, until)| (key.0, key.1, key.2, *until)).collect();
        agree!(held, holds, "roles in {chain}");
        agree!(found.recipients(), expected.recipients(), "recipients in {chain}");
        agree!(found.parents().copied().collect::<BTreeSet<_>>(), expected.parents, "parents of {chain}");
        agree!(found.is_erased(), expected.is_erased, "whether {chain} is erased");
        let open: BTreeSet<_> = found.invites().iter().filter(|one| one.end.is_none()).map(|one| one.op).collect();
        let invites = expected.invites.iter().filter(|(_, (_, open))| *open).map(|(id, _)| *id);
        agree!(open, invites.collect::<BTreeSet<_>>(), "invites of {chain} at {head}");
        let epochs = (found.epochs().len(), found.epoch_to_follow().map(|epoch| epoch.number));
        agree!(epochs, (expected.epochs.len(), Some(expected.good())), "epochs of {chain}");
        let passed_over: BTreeSet<u64> = found.epochs_to_carry().into_iter().collect();
        agree!(passed_over, expected.passed_over(), "epochs of {chain} that were passed over");
        let decided: BTreeSet<_> = found.all_decided().map(|(chunk, _)| *chunk).collect();
        agree!(decided, expected.chunks, "what was decided in {chain}");
    }

    /// A fresh key is known to nobody but those who stand.
    fn check_keys(&self, chain: ChainId, now: Option<Timestamp>) {
        let (view, oracle) = (&self.chains, &self.oracle);
        let stale = oracle.is_stale(chain, now);
        agree!(is_stale(view, &chain, now), stale, "whether {chain} is stale");
        agree!(epoch_targets(view, &chain, now), oracle.targets_due(chain, now), "whom a key of {chain} goes to");
        for epoch in 0..self.chains.chain(&chain).unwrap().epochs().len() as u64 {
            let held = oracle.is_held(chain, epoch, now);
            agree!(is_key_held(view, &chain, epoch, now), held, "whether somebody has key {epoch} of {chain}");
        }
        let readers = oracle.readers(chain, now);
        agree!(reading_devices(view, &chain, now), readers, "who reads {chain}");
        if stale {
            return;
        }
        let newest = (chain, self.chains.chain(&chain).unwrap().newest_epoch().unwrap().number);
        for device in oracle.devices() {
            let printed = || {
                let kinds =
                    oracle.chains.values().filter_map(|entries| entries.last().unwrap().state.devices.get(&device));
                kinds.into_iter().any(|kind| *kind == DeviceKind::Recovery)
            };
            let may_know = readers.contains(&device) || printed() || !oracle.keys(device).contains(&newest);
            agree!(may_know, true, "{device} comes by the key of {chain}");
        }
    }

    /// What is due is stale, the chain last, and nothing that the device has no key of.
    fn check_rotations(&self, device: DeviceId, chain: ChainId, now: Option<Timestamp>) {
        let due = rotations_due(&self.chains, &device, &chain, now);
        let newest = self.oracle.now(now);
        let is_due = |one: &ChainId| self.oracle.is_stale(*one, now) || self.oracle.is_lost(*one, now);
        for (index, one) in due.iter().enumerate() {
            let is_due =
                is_due(one) && (*one == chain || self.oracle.member(device, *one, Role::Reader, &newest).are_any());
            // Nothing that comes later is wrapped to by what comes before.
            let state = self.oracle.newest(one).unwrap();
            let is_below = |later: &ChainId| {
                // Whose time has passed is given no key.
                let stands = self.oracle.standing(*one, now).contains(&Digest(later.0));
                stands && self.oracle.newest(later).unwrap().kind < state.kind
            };
            let is_in_order = !due[index + 1..].iter().any(is_below);
            agree!((is_due, is_in_order), (true, true), "{one} before {chain} by {device}");
        }
        agree!(due.last() == Some(&chain), is_due(&chain), "whether {chain} is due");
    }

    /// Cites what a device would, where it may write, and keeps it.
    fn write(&mut self, device: DeviceId, now: Option<Timestamp>) {
        let Some(document) = (!self.documents.is_empty()).then(|| self.draw(&self.documents.clone())) else { return };
        let cites = cite_content(&self.chains, &device, &document, Role::Editor, now);
        let writes = self.oracle.content(device, document, Role::Editor, &self.oracle.now(now)).are_any();
        agree!(cites.is_some(), writes, "whether {device} writes in {document}");
        let Some(mut cites) = cites else { return };
        let head = self.chains.chain(&self.groups[1]).unwrap().head();
        if cites.iter().all(|cite| cite.chain != self.groups[1]) {
            cites.push(Cite { chain: self.groups[1], head });
            cites.sort();
        }
        let of_place = |one: &&Written| one.header.document == document && one.header.device == device;
        let seq = self.written.iter().filter(of_place).count() as u64;
        self.fresh += 1;
        let mut link = [3; 32];
        link[..4].copy_from_slice(&self.fresh.to_le_bytes());
        let header = Header { document, device, epoch: 0, cites };
        self.written.push(Written { header, seq, link: Digest(link) });
    }

    /// On what earlier content relies, and whether it stands.
    fn check_content(&mut self) {
        if self.written.is_empty() {
            return;
        }
        let Written { header, seq, link } = self.draw(&self.written.clone());
        let relied = content_reliance(&self.chains, &header).unwrap();
        let seen: Seen = header
            .cites
            .iter()
            .map(|cite| (cite.chain, self.chains.chain(&cite.chain).unwrap().seq_of(&cite.head).unwrap() as usize + 1))
            .collect();
        if !self.oracle.content(header.device, header.document, Role::Editor, &At::seen(seen.clone())).are_any() {
            // It was, until something that it cites turned out void.
            return;
        }
        let expected = self.oracle.content_relies(header.device, header.document, seen);
        agree!(places(&relied), expected, "what {header:?} relies on");
        let place = content_place(header.document, header.device);
        let stands = self.is_named(&self.chains, &relied, &place, seq, link);
        agree!(stands, self.oracle.is_named(&expected, &place, seq, link), "whether {header:?} stands");
        self.tally.relied.0 += usize::from(!relied.is_empty());
        self.tally.relied.1 += usize::from(!stands);
    }

    pub(super) fn check_replay(&self) {
        for (chain, ops) in &self.oracle.chains {
            let adopted = self.adopted(*chain);
            let replayed =
                ops.iter().map(|one| ReplayedOp { op: one.op.clone(), time: Some(one.time), is_void: one.is_void });
            let again = ChainState::replay(replayed, adopted.as_ref()).unwrap();
            agree!(again, *self.chains.chain(chain).unwrap(), "{chain} replayed");
            for entry in ops {
                assert_eq!(op_id(&entry.op), entry.id);
            }
        }
    }

    fn adopted(&self, chain: ChainId) -> Option<AdoptedDocument> {
        let first = &self.oracle.chains[&chain][0].state;
        if !first.epochs[0].is_foreign {
            return None;
        }
        let holders = first.holds.keys().map(|(_, subject, role)| member(*subject, *role)).collect();
        Some(AdoptedDocument { document: chain, holders, chunks: Vec::new() })
    }
}
