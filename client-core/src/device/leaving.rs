//! What this device is no member of any more: what is unsent is sealed first, then keys and content are destroyed
//! (protocol.md §4). So they are of what was erased.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use vereda_base::{ChainId, decode, encode, limits::MAX_HEADER_BYTES};
use vereda_policy::{ChainKind, Cite, Evaluator, Heads, Role, is_key_held};
use vereda_sync::device::{DeviceStore, StoreError};

use super::{
    Ambient, Books, Device, DeviceError,
    sealing::{SealedUnder, edit_key},
};
use crate::{
    facts::save_farewell,
    tables::{EDITS, PROJECTIONS, RELIANCES, SECTIONS, SNAPSHOTS},
};

/// Chains looked at in one step.
const LOOKED_AT: usize = 64;

impl<S: DeviceStore> Device<S> {
    /// Notes on what heads the newest edit of a document may rely: a right that ends before it is sent is proven by them.
    pub(super) fn note_reliance(&mut self, document: &ChainId) -> Result<(), StoreError> {
        let Some(cites) = self.cites(document)? else { return Ok(()) };
        let row = encode(&cites);
        if self.store.get(RELIANCES, document.as_bytes())?.as_ref() == Some(&row) {
            return Ok(());
        }
        self.store.put(RELIANCES, &[], document.as_bytes(), &row)
    }

    /// Says at start whether this device stopped being a member of a group whose key it holds, in a process that did not
    /// come to destroying it; notes that documents are to be looked at, which are many.
    pub(super) fn find_lost(&mut self) -> Result<(), StoreError> {
        for kind in [ChainKind::User, ChainKind::Team, ChainKind::Agency] {
            let groups = self.list_chains(kind)?;
            self.has_lost |= self.view(|view, device| {
                let heads = Heads::newest(None);
                let mut evaluator = Evaluator::new(view, device, &heads);
                let holds = |group: &&ChainId| self.keyring.key(group, 0).is_some();
                groups.iter().filter(holds).any(|group| evaluator.membership(group).is_none())
            });
        }
        self.maybe_erased = self.keyring.chains();
        Ok(())
    }

    /// Looks at the next few chains whose keys are held, whether they were erased, with the relay at hand or without; says
    /// whether there are more.
    pub(super) fn find_erased(&mut self) -> bool {
        let next: Vec<ChainId> = std::iter::from_fn(|| self.maybe_erased.pop_first()).take(LOOKED_AT).collect();
        self.has_lost |= next.iter().any(|chain| self.is_erased(chain));
        self.has_lost || !self.maybe_erased.is_empty()
    }

    /// Seals what was not sent of what was lost, then destroys its keys and content; commits both.
    pub(super) fn leave_lost(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        let mut lost = self.lost_chains();
        let documents: Vec<ChainId> = self.unsealed.intersection(&lost).copied().collect();
        for document in documents {
            if self.is_erased(&document) {
                // Nothing stands in it any more, for anybody.
                self.drop_edits(&document)?;
            } else if self.is_stuck(&document)? || !self.seal_late(&document, ambient)? {
                // Better a key too long than work lost.
                tracing::warn!(%document, "edits could not be sealed: their key is kept");
                lost.remove(&document);
            }
        }
        // A key that was passed on to none of those who hold the document now would be lost to all.
        lost.retain(|chain| self.is_erased(chain) || !self.is_last_to_hold(chain));
        self.commit()?;
        self.destroy(&lost, ambient.rng)?;
        self.commit()?;
        self.has_lost = false;
        Ok(())
    }

    /// Lists the chains of which keys are held and that this device is no member of. Those that were found never to have been
    /// are not among them: what spoke against their beginning may be a lie of the relay's.
    fn lost_chains(&self) -> BTreeSet<ChainId> {
        let held = self.keyring.chains();
        self.view(|view, device| {
            let heads = Heads::newest(None);
            let mut evaluator = Evaluator::new(view, device, &heads);
            let is_lost = |chain: &ChainId| {
                let is_known = view.chain(chain).is_some();
                is_known && (evaluator.membership(chain).is_none() || self.is_erased(chain))
            };
            held.into_iter().filter(is_lost).collect()
        })
    }

    fn is_erased(&self, chain: &ChainId) -> bool {
        self.chain(chain).is_some_and(|state| state.is_erased())
    }

    fn drop_edits(&mut self, document: &ChainId) -> Result<(), StoreError> {
        for edit in self.stored_edits(document)? {
            self.store.delete(EDITS, &edit_key(document, edit.seq))?;
        }
        self.unsealed.remove(document);
        self.unsealable.remove(document);
        self.stuck.remove(document);
        Ok(())
    }

    /// Says whether a document is held by others none of whom, down to devices, has its newest key.
    fn is_last_to_hold(&self, chain: &ChainId) -> bool {
        let Some(state) = self.chain(chain).filter(|state| state.kind() == ChainKind::Document) else { return false };
        let newest = state.epoch_to_follow().map(|epoch| epoch.number);
        let is_held = |epoch| self.view(|view, _| is_key_held(view, chain, epoch, None));
        !state.recipients().is_empty() && newest.is_some_and(|epoch| !is_held(epoch))
    }

    /// Seals edits under the newest key that the heads on which they rely know.
    pub(super) fn seal_late(&mut self, document: &ChainId, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        let row = self.store.get(RELIANCES, document.as_bytes())?;
        let Some(cites) = row.and_then(|row| decode::<Vec<Cite>>(&row, MAX_HEADER_BYTES).ok()) else {
            return Ok(false);
        };
        let Some(state) = self.chain(document) else { return Ok(false) };
        let head = cites.iter().find(|cite| cite.chain == *document).and_then(|cite| state.seq_of(&cite.head));
        let Some(head) = head else { return Ok(false) };
        let known = state.epochs().iter().rev().filter(|epoch| epoch.from_seq <= head).map(|epoch| epoch.number);
        let held = known.into_iter().find(|epoch| self.chunk_keys(document, *epoch).is_some());
        let Some(epoch) = held else { return Ok(false) };
        self.seal(document, SealedUnder { epoch, cites }, ambient)
    }

    /// Names that are kept where the directory goes: of this person, of what he was in, and of those to turn to.
    fn names_to_keep(&self) -> BTreeMap<ChainId, String> {
        let Some((user, agency)) = self.home() else { return BTreeMap::new() };
        let mut keep = BTreeSet::from([user, agency]);
        // Where chains cannot be read fewer names are kept.
        for group in self.list_chains(ChainKind::Team).unwrap_or_default().into_iter().chain([agency]) {
            let Some(state) = self.chain(&group) else { continue };
            let was_in = state.members().iter().any(|held| held.subject == user);
            if was_in || group == agency {
                let managers = state.members().iter().filter(|held| held.role == Role::Manager);
                keep.extend(managers.map(|held| held.subject));
                keep.insert(group);
            }
        }
        let named = self.books.names.iter().filter(|(chain, _)| keep.contains(chain));
        named.map(|(chain, name)| (*chain, name.clone())).collect()
    }

    fn destroy(&mut self, lost: &BTreeSet<ChainId>, rng: &mut dyn CryptoRng) -> Result<(), DeviceError> {
        if lost.is_empty() {
            return Ok(());
        }
        tracing::info!(chains = lost.len(), "no member any more: keys and content are destroyed");
        self.keyring.destroy(&mut self.store, lost, rng)?;
        for chain in lost {
            self.close(chain);
            for table in [SNAPSHOTS, PROJECTIONS, RELIANCES, SECTIONS] {
                self.store.delete(table, chain.as_bytes())?;
            }
            self.forget_skipped(chain)?;
            if let Some(machine) = &mut self.machine {
                machine.forget_wraps(&mut self.store, chain)?;
            }
            self.stale.remove(chain);
            self.locked.remove(chain);
            if self.is_erased(chain) {
                self.resealing.retain(|(document, _)| document != chain);
            }
            // What waited for a newer key needs none any more: it is handed in as it was sealed.
            self.unsealable.remove(chain);
        }
        self.keyless.extend(lost);
        let books = [self.books.configuration_document, self.books.directory_document];
        if books.iter().flatten().any(|book| lost.contains(book)) {
            let farewell = self.names_to_keep();
            self.books = Books::default();
            save_farewell(&mut self.store, &farewell)?;
            self.books.names = farewell;
        }
        Ok(())
    }
}
