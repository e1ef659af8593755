//! What speaks against the relay: two accounts of one thing, a log cut short, news held back.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, OpId, limits};
use vereda_crypto::Signed;
use vereda_policy::{
    ChainKind, Chains, Cite, ForkProof, Op, Receipt, chain_of, detect_relay_fork, membership, op_id_of_bytes,
};
use vereda_protocol::{Chunk, Header, Logged, PolicyEntry, Position};

use super::{
    effect::{Disconnect, Event},
    machine::{DeviceMachine, Halt},
    outbox::OutboxItem,
    sending::Queued,
    session::Phase,
    shelf,
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, BACKFILL, DOCUMENTS, DocumentRow, EVIDENCE, Evidence, LINKS, LinkRow, OPS, OpRow, WAITING_CHUNKS,
        WAITING_OPS, WITHHELD, WaitingChunk, load, load_all, place_key, read, save,
    },
};

/// Something that speaks against the relay. What it rests on is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelayFault {
    /// It signed two receipts for one place: proof for anybody.
    Forked {
        /// The chain.
        chain: ChainId,
        /// The place.
        seq: u64,
    },
    /// Others know a head that it did not hand over.
    Withholds {
        /// The chain.
        chain: ChainId,
        /// The head.
        head: OpId,
    },
    /// Its log ended before what it had said to have handed over.
    LogShorter {
        /// Where it ended.
        end: Position,
        /// Where this device had been told that it was.
        told: Position,
    },
    /// It held less of this device's own work than it had confirmed.
    Lost {
        /// How many chunks it held.
        held: u64,
        /// How many it had confirmed.
        confirmed: u64,
    },
    /// Its log lacked what it had handed over or confirmed last: it was set back, or tells another story.
    Forgot {
        /// The chain or document.
        chain: ChainId,
    },
    /// It would have had a removal cut off work that is held here.
    CutsOff {
        /// The removal's chain.
        chain: ChainId,
    },
    /// It would have had a removal name work that it never handed over: whoever is removed could make that later.
    Invents {
        /// The removal's chain.
        chain: ChainId,
    },
    /// A removal that it gave a receipt for does not name what it had handed over before that came here: it withheld the
    /// removal, or let it cut that off.
    Severs {
        /// The removal's chain.
        chain: ChainId,
    },
}

/// A head that others know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct WithheldRow {
    #[n(0)]
    head: OpId,
}

impl DeviceMachine {
    /// Lists what speaks against the relay, as far as it is kept; sorted, none twice.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn relay_faults(&self, store: &dyn DeviceStore) -> Result<Vec<RelayFault>, StoreError> {
        let mut faults = Vec::new();
        for (key, evidence) in load_all::<Evidence>(store, EVIDENCE, None)? {
            let (chain, seq) = place_of(&key);
            match evidence {
                Evidence::Fork { .. } | Evidence::Branch { .. } => faults.push(RelayFault::Forked { chain, seq }),
                Evidence::Lost { held, confirmed } => faults.push(RelayFault::Lost { held, confirmed }),
                Evidence::Claim { .. } => faults.push(RelayFault::Invents { chain }),
                Evidence::Severed { .. } => faults.push(RelayFault::Severs { chain }),
                Evidence::Offer { .. } => faults.push(RelayFault::CutsOff { chain }),
                Evidence::Forgotten { last: Logged::Op { chain, .. } | Logged::Chunk { document: chain, .. } } => {
                    faults.push(RelayFault::Forgot { chain });
                }
                Evidence::LogShorter { end, told } => faults.push(RelayFault::LogShorter { end, told }),
                Evidence::Op { .. } | Evidence::Create { .. } => {}
            }
        }
        for (key, WithheldRow { head }) in load_all::<WithheldRow>(store, WITHHELD, None)? {
            faults.push(RelayFault::Withholds { chain: place_of(&key).0, head });
        }
        faults.sort_unstable();
        faults.dedup();
        Ok(faults)
    }

    /// Compares a receipt that somebody else was given with what this device was given for the same place. Two that exclude
    /// one another are kept as proof, and the relay is not spoken to any more. Tells whether they do.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    pub fn compare_receipt(
        &mut self,
        store: &mut dyn DeviceStore,
        receipt: &Signed<Receipt>,
    ) -> Result<bool, StoreError> {
        let Ok(theirs) = receipt.clone().verify() else {
            return Ok(false);
        };
        let (chain, seq) = (theirs.value().chain, theirs.value().seq);
        let key = place_key(&chain, seq);
        let known = load::<OpRow>(&*store, OPS, &key)?.and_then(|row| row.receipt);
        let Some(Ok(ours)) = known.map(Signed::verify) else {
            return Ok(false);
        };
        if theirs.value().relay != self.config.relay {
            return Ok(false);
        }
        let Some(proof) = detect_relay_fork(&ours, &theirs) else {
            return Ok(false);
        };
        self.touch();
        self.keep_evidence(&chain, &key, &Evidence::Fork { proof }, store)?;
        self.tell(Event::RelayForked { chain, seq });
        self.disconnect(Disconnect::RelayForked);
        Ok(true)
    }

    /// Says whether proof is kept that the relay, as it is since `relay_epoch`, gave two accounts of one thing.
    pub(super) fn is_convicted(&self, relay_epoch: u64, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let speaks = |receipt: &Signed<Receipt>| {
            let receipt = receipt.clone().verify();
            receipt.is_ok_and(|receipt| {
                receipt.value().relay == self.config.relay && receipt.value().relay_epoch == relay_epoch
            })
        };
        let evidence = load_all::<Evidence>(store, EVIDENCE, None)?;
        Ok(evidence.iter().any(|(_, evidence)| match evidence {
            Evidence::Fork { proof: ForkProof::Relay { a, b } } => speaks(a) || speaks(b),
            Evidence::Branch { known, .. } => speaks(known),
            _ => false,
        }))
    }

    /// Compares heads that others know, from an invite, a linking code or a peer, with what the relay handed over. What is
    /// missing is among [`Self::relay_faults`] until it comes. To be called when everything visible is stored.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    pub fn compare_heads(&mut self, store: &mut dyn DeviceStore, heads: &[Cite]) -> Result<(), StoreError> {
        self.touch();
        for cite in heads {
            if self.lacks_head(cite, &*store)? {
                self.note_withheld(cite, store)?;
            }
        }
        Ok(())
    }

    /// Notes that the relay's log ended before what this device had been told to have stored.
    pub(super) fn note_shorter_log(
        &mut self,
        end: Position,
        told: Position,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let nowhere = ChainId([0; 32]);
        let evidence = Evidence::LogShorter { end, told };
        self.keep_evidence(&nowhere, &place_key(&nowhere, told.0), &evidence, store)
    }

    /// Notes what the relay handed over or confirmed last.
    pub(super) fn note_logged(&mut self, logged: Logged, store: &dyn DeviceStore) -> Result<(), StoreError> {
        self.cache(store)?.meta.last = Some(logged);
        Ok(())
    }

    /// Notes the last operation that the relay hands over in the order of its log: what comes after it may be older, content, and
    /// documents that became visible.
    pub(super) fn note_logged_policy(
        &mut self,
        entries: &[PolicyEntry],
        store: &dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let last = entries.iter().rev().find_map(|entry| match entry {
            PolicyEntry::Op { op, .. } => vereda_base::decode::<Op>(op.bytes(), limits::MAX_OP_BYTES)
                .ok()
                .map(|value| Logged::Op { chain: chain_of(&value), op: op_id_of_bytes(op.bytes()) }),
            _ => None,
        });
        let known = &mut self.cache(store)?.meta.last_policy;
        *known = last.or(*known);
        Ok(())
    }

    /// The relay lacks what it handed over last: everything is asked for anew, once, and own work is handed in again.
    pub(super) fn take_forgotten(&mut self, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        let meta = &mut self.cache(store)?.meta;
        let (last, told) = (meta.lasts().first().copied(), meta.policy.max(meta.content));
        (meta.last, meta.last_policy, meta.last_content, meta.last_visible) = (None, None, None, None);
        (meta.policy, meta.content) = (Position(0), Position(0));
        if let Some(last) = last {
            meta.confirmed = Some(0);
            let nowhere = ChainId([0; 32]);
            self.keep_evidence(&nowhere, &place_key(&nowhere, told.0), &Evidence::Forgotten { last }, store)?;
            self.queue_lost(store)?;
        }
        self.disconnect(Disconnect::LogShorter);
        Ok(())
    }

    /// Notes that the relay holds less of this device's own work than it had confirmed.
    pub(super) fn note_lost(
        &mut self,
        held: u64,
        confirmed: u64,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let nowhere = ChainId([0; 32]);
        let evidence = Evidence::Lost { held, confirmed };
        self.keep_evidence(&nowhere, &place_key(&nowhere, confirmed), &evidence, store)
    }

    /// Queues own chunks of this incarnation that the relay had confirmed again, in order: which of them it lost it does not
    /// say, and those that it has it confirms once more.
    pub(super) fn queue_lost(&mut self, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        let own = (self.device, self.config.incarnation);
        for (key, row) in load_all::<DocumentRow>(&*store, DOCUMENTS, None)? {
            if !row.authors.iter().any(|author| (author.device, author.incarnation) == own) {
                continue;
            }
            let (document, mut links) = (ChainId(key.try_into().unwrap_or([0; 32])), Vec::new());
            self.scan_standing(&*store, &document, &row, &mut |standing| {
                if (standing.header.device, standing.header.incarnation) == own {
                    links.push(standing.link);
                }
            })?;
            for link in links {
                let found = load::<LinkRow>(&*store, LINKS, link.as_bytes())?;
                // What was taken in after this device's rights had ended it cannot hand in as its own again.
                let Some(row) = found.filter(|row| row.at_relay && row.taken_in.is_none()) else { continue };
                save(store, LINKS, document.as_bytes(), link.as_bytes(), &LinkRow { at_relay: false, ..row })?;
                self.enqueue(store, &document, &OutboxItem::Chunk { link }, Queued::Chunk { link })?;
            }
        }
        Ok(())
    }

    /// Looks, once everything visible is stored, whether something waits for policy that the relay must have had when it
    /// took that in: it follows, or cites, what never came.
    pub(super) fn check_waiting(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut cites = BTreeSet::new();
        let mut first: BTreeMap<ChainId, (u64, OpId)> = BTreeMap::new();
        for (key, row) in load_all::<OpRow>(&*store, WAITING_OPS, None)? {
            let (chain, seq) = place_of(&key);
            // What this version does not understand says nothing here.
            let Ok(op) = vereda_base::decode::<Op>(row.op.bytes(), limits::MAX_FRAME_BYTES) else { continue };
            cites.extend(op.cites);
            if let Some(prev) = op.prev {
                let found = first.entry(chain).or_insert((seq, prev));
                *found = (*found).min((seq, prev));
            }
        }
        for (_, row) in load_all::<WaitingChunk>(&*store, WAITING_CHUNKS, None)? {
            let Awaited::Policy(chain) = row.awaited else { continue };
            let chunk: Chunk = read(WAITING_CHUNKS, &row.chunk)?;
            let header = vereda_base::decode::<Header>(chunk.header.bytes(), limits::MAX_HEADER_BYTES);
            cites.extend(header.into_iter().flat_map(|header| header.cites).filter(|cite| cite.chain == chain));
        }
        cites.extend(first.into_iter().map(|(chain, (_, head))| Cite { chain, head }));
        for cite in cites {
            if self.lacks_head(&cite, &*store)? {
                self.note_withheld(&cite, store)?;
            }
        }
        Ok(())
    }

    /// Looks, once everything visible is stored, whether beacons name what is not here, and whether what was missing came.
    pub(super) fn check_heads(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        if !matches!(&self.phase, Phase::Session(session) if session.caught_up) {
            return Ok(());
        }
        for (key, row) in load_all::<WithheldRow>(&*store, WITHHELD, None)? {
            let (chain, _) = place_of(&key);
            if !self.lacks_head(&Cite { chain, head: row.head }, &*store)? {
                store.delete(WITHHELD, &key)?;
            }
        }
        if !std::mem::take(&mut self.beacons_changed) {
            return Ok(());
        }
        for agency in shelf::list(&*store, ChainKind::Agency)? {
            let Some(state) = self.shelf.find(&*store, &agency)? else { continue };
            for cite in state.beacons().iter().flat_map(|beacon| &beacon.heads) {
                if self.lacks_head(cite, &*store)? {
                    self.note_withheld(cite, store)?;
                }
            }
        }
        Ok(())
    }

    /// Says whether a head is missing of a chain whose news this device should be handed: of groups, and of documents that
    /// it may read and holds from the beginning.
    fn lacks_head(&self, cite: &Cite, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let view = self.shelf.view(store);
        let state = view.chain(&cite.chain).filter(|state| {
            // A role that has passed by the relay's clock is served no news, also before an operation ended it.
            let newest = vereda_policy::Heads::newest(self.relay_time(self.now.monotonic));
            let readable = || membership(&view, &self.device, &cite.chain, &newest).is_some();
            state.seq_of(&cite.head).is_none() && (state.kind() != ChainKind::Document || readable())
        });
        view.finish()?;
        let Some(next) = state.map(|state| state.head_seq().saturating_add(1)) else { return Ok(false) };
        if store.get(BACKFILL, cite.chain.as_bytes())?.is_some() {
            return Ok(false);
        }
        // It may be here and not be understood, or lie behind what policy forbids.
        let mut is_stuck = false;
        store.scan(EVIDENCE, Some(cite.chain.as_bytes()), &mut |_, _| {
            is_stuck = true;
            ControlFlow::Break(())
        })?;
        store.scan(WAITING_OPS, None, &mut |key, _| {
            // What waits beyond a hole in its chain waits for what never came.
            let (chain, seq) = place_of(key);
            is_stuck |= chain == cite.chain && seq <= next;
            if is_stuck { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(!is_stuck)
    }

    fn note_withheld(&mut self, cite: &Cite, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        let known = store.get(WITHHELD, cite.chain.as_bytes())?;
        if known.map(|row| read::<WithheldRow>(WITHHELD, &row)).transpose()?.is_none() {
            self.tell(Event::RelayWithholds { chain: cite.chain });
        }
        save(store, WITHHELD, &[], cite.chain.as_bytes(), &WithheldRow { head: cite.head })
    }
}

fn place_of(key: &[u8]) -> (ChainId, u64) {
    let chain = key.first_chunk::<32>().map_or([0; 32], |chain| *chain);
    let seq = key.get(32..).and_then(|seq| seq.first_chunk::<8>()).map_or(0, |seq| u64::from_be_bytes(*seq));
    (ChainId(chain), seq)
}
