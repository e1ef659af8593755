//! What follows from removals: what was made by whom they concern is judged again.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, limits};
use vereda_policy::{
    Body, ChainKind, ChainState, Chains, Cite, Evaluator, Heads, Op, Place, ReplayedOp, Role, cite_content,
    content_reliance, membership,
};
use vereda_protocol::{Header, Logged};

use super::{
    effect::Event,
    exclusion::Standing,
    frontiers::{Made, Reliant, Said},
    machine::{DeviceMachine, Halt},
    shelf::ChainView,
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, Cause, DOCUMENTS, DocumentRow, Held, LINKS, LinkRow, OPS, OpRow, REMOVED, load, load_all, place_key,
        read, save,
    },
};

/// What is to be judged again before the transaction is over.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// Removals that came: chain and seq.
    pub(super) removals: BTreeSet<(ChainId, u64)>,
    /// Places of which a leaf became known.
    pub(super) places: BTreeSet<Place>,
}

impl Unsettled {
    pub(super) fn is_empty(&self) -> bool {
        self.removals.is_empty() && self.places.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.removals.clear();
        self.places.clear();
    }
}

/// A removal, whom it concerns and where.
struct Concern {
    chain: ChainId,
    removal: vereda_policy::Removal,
    devices: BTreeSet<DeviceId>,
    /// The document; `None` for everything.
    scope: Option<ChainId>,
}

/// Which chunks of a document are judged again.
pub(super) type Authors = BTreeSet<(DeviceId, Incarnation)>;

impl DeviceMachine {
    /// Judges again what came to be in doubt; tells whether there was any.
    pub(super) fn work_unsettled(&mut self, store: &mut dyn DeviceStore) -> Result<bool, Halt> {
        if self.unsettled.is_empty() {
            return Ok(false);
        }
        let Unsettled { removals, mut places } = std::mem::take(&mut self.unsettled);
        if !removals.is_empty() {
            self.survey(&removals, &mut places, store)?;
        }
        let mut documents: BTreeMap<ChainId, Authors> = BTreeMap::new();
        let mut ops = BTreeSet::new();
        for place in places {
            match place {
                Place::Content { document, device, incarnation } => {
                    documents.entry(document).or_default().insert((device, incarnation));
                }
                Place::Ops { chain, device } => {
                    ops.insert((chain, device));
                }
            }
        }
        // Operations first: on them rests who might write at all.
        if !ops.is_empty() && self.has_new_void(&ops, store)? {
            self.evaluate_anew(store)?;
        }
        for (document, authors) in documents {
            self.judge_again(&document, Some(&authors), store)?;
        }
        Ok(true)
    }

    /// Looks through what is stored for places that the removals concern: of which the leaf is known to end short, they are
    /// to be judged again; of which it is unknown, it is asked for.
    fn survey(
        &mut self,
        removals: &BTreeSet<(ChainId, u64)>,
        places: &mut BTreeSet<Place>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let mut concerns = Vec::new();
        for (chain, seq) in removals {
            concerns.extend(self.concern(chain, *seq, &*store)?);
        }
        let mut last: Vec<Made> = Vec::new();
        for (key, row) in load_all::<DocumentRow>(&*store, DOCUMENTS, None)? {
            let document = ChainId(key.try_into().unwrap_or([0; 32]));
            last.extend(row.authors.iter().filter_map(|author| {
                let place = Place::Content { document, device: author.device, incarnation: author.incarnation };
                Some(Made { place, seq: author.next_seq.saturating_sub(1), id: Digest(author.last?.0), held: None })
            }));
        }
        last.extend(last_ops(&*store, None)?);
        for Concern { chain, removal, devices, scope } in concerns {
            let in_scope = |place: &Place| scope.is_none_or(|document| place.chain() == document);
            let concerned = last.iter().filter(|made| devices.contains(&made.place.device()) && in_scope(&made.place));
            for made in concerned {
                match self.said(&*store, &removal.op, Some(&removal.frontier), &made.place.key())? {
                    Said::Unknown => self.want_leaf(chain, removal.op, made.place, store)?,
                    said if said.reaches(made.seq, made.id) == Some(true) => {}
                    _ => {
                        places.insert(made.place);
                    }
                }
            }
        }
        Ok(())
    }

    fn concern(&self, chain: &ChainId, seq: u64, store: &dyn DeviceStore) -> Result<Option<Concern>, StoreError> {
        let Some(state) = self.shelf.find(store, chain)? else {
            return Ok(None);
        };
        let (Some(removal), Some(row)) = (state.removal(seq), load::<OpRow>(store, OPS, &place_key(chain, seq))?)
        else {
            return Ok(None);
        };
        let op: Op = read(OPS, row.op.bytes())?;
        let view = self.shelf.view(store);
        let ended = state.all_parents().iter().filter(|parent| parent.until_seq == Some(seq));
        let devices = devices_ever(&view, &op.body, ended.map(|standing| standing.parent.chain).collect());
        view.finish()?;
        let scope = (state.kind() == ChainKind::Document).then_some(*chain);
        Ok(Some(Concern { chain: *chain, removal: *removal, devices, scope }))
    }

    /// Judges stored chunks of a document again: of these authors by the frontiers; of all, where none are named, by their
    /// rights too.
    pub(super) fn judge_again(
        &mut self,
        document: &ChainId,
        authors: Option<&Authors>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(row) = load::<DocumentRow>(&*store, DOCUMENTS, document.as_bytes())? else {
            return Ok(());
        };
        let mut concerned = Vec::new();
        self.scan_standing(&*store, document, &row, &mut |standing| {
            let author = (standing.header.device, standing.header.incarnation);
            if authors.is_none_or(|authors| authors.contains(&author)) {
                concerned.push(standing);
            }
        })?;
        let (mut causes, mut wanted, mut asked) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut severed = BTreeMap::new();
        let is_member = self.standing_in(document, &*store)?.is_some();
        let view = self.shelf.view(&*store);
        for Standing { link, header, .. } in &concerned {
            // What was made here and is on its way, or in review, is for the relay to say. So is that it was taken in, where
            // this device is not handed the decision.
            let is_said = |row: LinkRow| !row.at_relay || (!is_member && row.taken_in == Some(true));
            let own = header.device == self.device;
            let row = load::<LinkRow>(&*store, LINKS, link.as_bytes())?;
            let held = row.as_ref().and_then(|row| row.held);
            if own && row.is_some_and(is_said) {
                continue;
            }
            let judged = self.judge_rights(&view, &*store, header, held, authors.is_none())?;
            if let Some(removal) = judged.severing() {
                severed.entry(removal).or_insert(*link);
            }
            match judged {
                Reliant::Stands | Reliant::Held(_) => {}
                // It was taken in before this device heard of the removal, or the relay lost it.
                Reliant::Beyond(_) if own && !is_member => asked.push(*link),
                Reliant::Beyond(_) => {
                    causes.insert(*link, Cause::Rights);
                }
                Reliant::Waits(Awaited::Leaf { chain, removal, .. }) => {
                    wanted.push((chain, removal, place_of(header)));
                }
                Reliant::Waits(_) => {}
            }
        }
        view.finish()?;
        for (chain, removal, place) in wanted {
            self.want_leaf(chain, removal, place, store)?;
        }
        for (removal, link) in severed {
            self.note_severed(&removal, Logged::Chunk { document: *document, link }, store)?;
        }
        self.ask_of_own(document, &asked, store)?;
        if causes.is_empty() { Ok(()) } else { self.exclude(document, &causes, store) }
    }

    /// Judges a stored chunk by its author's rights: by the frontiers alone, or wholly.
    pub(super) fn judge_rights(
        &self,
        view: &ChainView<'_>,
        store: &dyn DeviceStore,
        header: &Header,
        held: Option<Held>,
        wholly: bool,
    ) -> Result<Reliant, StoreError> {
        let link = header.link();
        let state = view.chain(&header.document);
        if state.as_ref().is_some_and(|state| state.is_adopted(&link) && !state.is_erased()) {
            return Ok(Reliant::Stands);
        }
        if wholly {
            if state.is_none() {
                return Ok(Reliant::Beyond(None));
            }
            // Form and signature held when it was stored.
            match Heads::cited(view, &header.cites, None) {
                Ok(cited) => {
                    let role = Evaluator::new(view, header.device, &cited).role(&header.document);
                    if role < Some(Role::Editor) {
                        return Ok(Reliant::Beyond(None));
                    }
                }
                Err(waiting) => return Ok(Reliant::Waits(Awaited::Policy(waiting.chain))),
            }
        }
        match content_reliance(view, header) {
            Ok(relies) if relies.is_empty() => Ok(Reliant::Stands),
            Ok(relies) => {
                let made = Made { place: place_of(header), seq: header.seq, id: Digest(link.0), held };
                self.reliant(view, store, &relies, &made)
            }
            Err(waiting) => Ok(Reliant::Waits(Awaited::Policy(waiting.chain))),
        }
    }

    /// Notes whether an operation ended this device's standing in a chain, or gave it back.
    pub(super) fn note_standing(
        &mut self,
        chain: &ChainId,
        seq: u64,
        before: Option<Role>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let after = self.standing_in(chain, &*store)?;
        if before.is_some() && after.is_none() {
            save(store, REMOVED, &[], chain.as_bytes(), &seq)?;
            self.tell(Event::Removed { chain: *chain });
        }
        if before.is_none() && after.is_some() {
            store.delete(REMOVED, chain.as_bytes())?;
        }
        Ok(())
    }

    /// Tells what this device is in a chain by membership, at the newest heads.
    pub(super) fn standing_in(&self, chain: &ChainId, store: &dyn DeviceStore) -> Result<Option<Role>, StoreError> {
        let view = self.shelf.view(store);
        let found = membership(&view, &self.device, chain, &Heads::newest(None));
        view.finish()?;
        Ok(found)
    }

    /// Finds the policy heads that this device cites for what it still seals after its removal: as they were just before
    /// it. `None` where it might not write then either.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn parting_cites(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<Option<Vec<Cite>>, StoreError> {
        let mut earlier = BTreeMap::new();
        for (key, seq) in load_all::<u64>(store, REMOVED, None)? {
            let chain = ChainId(key.try_into().unwrap_or([0; 32]));
            if let Some(state) = replay_before(store, &chain, seq)? {
                earlier.insert(chain, std::sync::Arc::new(state));
            }
        }
        let view = self.shelf.view(store);
        let before = Before { view: &view, earlier };
        let cites = cite_content(&before, &self.device, document, Role::Editor, None);
        view.finish()?;
        Ok(cites)
    }
}

/// The chains as they are, some of them as they were earlier.
struct Before<'a> {
    view: &'a ChainView<'a>,
    earlier: BTreeMap<ChainId, std::sync::Arc<ChainState>>,
}

impl Chains for Before<'_> {
    fn chain(&self, id: &ChainId) -> Option<std::sync::Arc<ChainState>> {
        self.earlier.get(id).cloned().or_else(|| self.view.chain(id))
    }
}

fn replay_before(store: &dyn DeviceStore, chain: &ChainId, seq: u64) -> Result<Option<ChainState>, StoreError> {
    let (mut ops, mut adopted) = (Vec::new(), None);
    for (_, row) in load_all::<OpRow>(store, OPS, Some(chain.as_bytes()))? {
        let op: Op = read(OPS, row.op.bytes())?;
        adopted = adopted.or(row.adopted);
        if op.seq < seq {
            ops.push(ReplayedOp { op, time: None, is_void: row.is_void });
        }
    }
    Ok(ChainState::replay(ops, adopted.as_ref()).ok())
}

/// Names the place of a chunk.
pub(super) const fn place_of(header: &Header) -> Place {
    Place::Content { document: header.document, device: header.device, incarnation: header.incarnation }
}

/// Lists the last operation of each device in each chain, or in one: of those that the relay has, and that have effect.
pub(super) fn last_ops(store: &dyn DeviceStore, chain: Option<&ChainId>) -> Result<Vec<Made>, StoreError> {
    let mut last = BTreeMap::new();
    for (_, row) in load_all::<OpRow>(store, OPS, chain.map(|chain| chain.as_bytes().as_slice()))? {
        if row.is_void || row.receipt.is_none() {
            continue;
        }
        let op: Op = vereda_base::decode(row.op.bytes(), limits::MAX_OP_BYTES)
            .map_err(|_| StoreError::Unknown { table: OPS.0 })?;
        let place = Place::Ops { chain: vereda_policy::chain_of(&op), device: op.device };
        let id = Digest(vereda_policy::op_id_of_bytes(row.op.bytes()).0);
        let made = Made { place, seq: op.seq, id, held: row.held };
        let known = last.entry(place).or_insert(made);
        if known.seq < made.seq {
            *known = made;
        }
    }
    Ok(last.into_values().collect())
}

/// Lists the devices of subjects, and of Managers of parents that a removal ended: of all that ever were, as those that
/// stood before it are among them.
fn devices_ever(view: &dyn Chains, body: &Body, ended: Vec<ChainId>) -> BTreeSet<DeviceId> {
    let (mut devices, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    // Managers of a parent's parents act by it too.
    let mut above = ended;
    while let Some(id) = above.pop() {
        let Some(state) = view.chain(&id).filter(|_| !open.contains(&id)) else { continue };
        open.push(id);
        above.extend(state.all_parents().iter().map(|standing| standing.parent.chain));
    }
    match body {
        Body::RemoveDevice(remove) => {
            devices.insert(remove.device);
        }
        Body::Revoke(revoke) => open.push(revoke.subject),
        Body::Expire(expire) => open.push(expire.subject),
        Body::Assign(assign) => open.extend(&assign.takes),
        _ => {}
    }
    while let Some(id) = open.pop() {
        let Some(state) = view.chain(&id).filter(|_| seen.insert(id)) else { continue };
        devices.extend(state.devices().iter().map(|device| device.device));
        open.extend(state.members().iter().map(|held| held.subject));
    }
    devices
}
