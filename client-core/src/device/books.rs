//! What a device keeps at hand of its documents: the configuration, the names, the lines of lists. All of it can be
//! rebuilt from the documents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{ChainKind, ChainState, DocumentKind, Parent, ParentAuthority};
use vereda_records::{Configuration, Summary, Translated, summarize};
use vereda_sync::device::{DeviceStore, StoreError};

use super::{Device, DeviceError};
use crate::{
    configuration,
    directory::{self, Bearer},
    facts::load_farewell,
    tables::{FACTS, PROJECTIONS},
};

const CASES: &[u8] = b"case";
const OTHERS: &[u8] = b"other";

/// What is kept at hand.
#[derive(Debug)]
pub(crate) struct Books {
    /// The configuration in force.
    pub(crate) configuration: Configuration,
    /// Hash of its lists' columns.
    columns: u64,
    /// They are others than before: some lines may not show them.
    pub(super) has_new_columns: bool,
    /// The document that holds it.
    pub(crate) configuration_document: Option<ChainId>,
    /// The document that holds names.
    pub(crate) directory_document: Option<ChainId>,
    /// Names of people, teams and the agency.
    pub(crate) names: BTreeMap<ChainId, String>,
    /// Of these, the ones that only former Managers wrote.
    pub(crate) names_of_former: BTreeSet<ChainId>,
    /// Names of devices.
    pub(crate) device_names: BTreeMap<DeviceId, String>,
}

impl Default for Books {
    fn default() -> Self {
        let configuration = Configuration::new(Translated::default(), vec!["en".into()]);
        Self {
            columns: hash_columns(&configuration),
            configuration,
            has_new_columns: false,
            configuration_document: None,
            directory_document: None,
            names: BTreeMap::new(),
            names_of_former: BTreeSet::new(),
            device_names: BTreeMap::new(),
        }
    }
}

/// What a list shows of a record, and how far it was read for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Chunk rows of the document that it shows.
    pub(crate) taken: u64,
    /// Hash of the columns that it was made for; lines of earlier versions do not tell.
    pub(crate) columns: Option<u64>,
    /// Fields of the list; none for documents that no list shows.
    pub(crate) summary: Option<Summary>,
    /// Places in conflict.
    pub(crate) conflicts: usize,
    /// When the newest change was made, by its author's clock.
    pub(crate) changed: Timestamp,
    /// Changes in the replica: more of them is news.
    pub(crate) changes: usize,
}

/// What bringing a document up to date came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// Its key is not here.
    Locked,
    /// Nothing was new.
    Same,
    /// Changes were new.
    News,
}

impl<S: DeviceStore> Device<S> {
    /// Lists the lines of all cases, in the order in which they came to this device.
    pub(crate) fn lines(&self) -> Result<Vec<(ChainId, Line)>, StoreError> {
        self.scan_lines(Some(CASES))
    }

    /// Drops all lines and writes them anew as the documents stand; in steps, by [`Self::work`].
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn rebuild_lists(&mut self) -> Result<(), DeviceError> {
        for (document, _) in self.scan_lines(None)? {
            self.store.delete(PROJECTIONS, document.as_bytes())?;
        }
        self.commit()?;
        Ok(self.find_stale()?)
    }

    fn scan_lines(&self, group: Option<&[u8]>) -> Result<Vec<(ChainId, Line)>, StoreError> {
        let mut lines = Vec::new();
        self.store.scan(PROJECTIONS, group, &mut |key, row| {
            // A line that does not read is one to be rebuilt.
            if let (Ok(id), Ok(line)) = (key.try_into(), serde_json::from_slice(row)) {
                lines.push((ChainId(id), line));
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(lines)
    }

    /// Finds the documents whose lines do not show all that is stored.
    pub(super) fn find_stale(&mut self) -> Result<(), StoreError> {
        self.books.has_new_columns = false;
        let shown = self.scan_shown()?;
        let counts = self.chunk_counts()?.into_iter().filter(|(_, count)| *count > 0);
        let without_chunks = self.unsealed.iter().map(|document| (*document, 0));
        for (document, count) in counts.chain(without_chunks).collect::<Vec<_>>() {
            let is_shown = shown.get(&document).is_some_and(|taken| *taken >= count);
            if !is_shown && !self.locked.contains(&document) {
                self.stale.insert(document);
            }
        }
        Ok(())
    }

    /// Reads of all lines how many chunk rows they show, and nothing else of them; of those that do not show the columns
    /// of the configuration in force, nothing.
    fn scan_shown(&self) -> Result<BTreeMap<ChainId, u64>, StoreError> {
        #[derive(Deserialize)]
        struct Shown {
            taken: u64,
            columns: Option<u64>,
        }
        let mut shown = BTreeMap::new();
        self.store.scan(PROJECTIONS, None, &mut |key, row| {
            if let (Ok(id), Ok(line)) = (key.try_into(), serde_json::from_slice::<Shown>(row))
                && line.columns == Some(self.books.columns)
            {
                shown.insert(ChainId(id), line.taken);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(shown)
    }

    /// Counts the lines of cases.
    pub(crate) fn count_lines(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        self.store.scan(PROJECTIONS, Some(CASES), &mut |_, _| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Takes in what arrived of a document and writes its line; the caller commits.
    pub(super) fn bring_up(&mut self, id: &ChainId) -> Result<Brought, DeviceError> {
        if self.keyring.key(id, 0).is_none() {
            // A key is on its way to those who read it only.
            return Ok(if self.is_read_here(id) { Brought::Locked } else { Brought::Same });
        }
        let kind = self.chain(id).and_then(|state| state.document_kind());
        let document = self.document(id)?;
        let changes = document.change_count();
        if !document.replica.is_created() {
            return Ok(Brought::Same);
        }
        match kind {
            Some(DocumentKind::Configuration) => self.read_configuration(id)?,
            Some(DocumentKind::Directory) => self.read_names(id)?,
            _ => {}
        }
        let is_news = self.line(id)?.is_none_or(|line| line.changes != changes);
        self.write_line(id)?;
        Ok(if is_news { Brought::News } else { Brought::Same })
    }

    fn line(&self, document: &ChainId) -> Result<Option<Line>, StoreError> {
        let row = self.store.get(PROJECTIONS, document.as_bytes())?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    /// The title of a case in lists.
    pub(crate) fn line_title(&self, case: &ChainId) -> Option<String> {
        let title = self.line(case).ok()??.summary?.title;
        (!title.is_empty()).then_some(title)
    }

    /// Notes in a document's line that shows all before them that chunks sealed here are shown by it too; the caller commits.
    pub(super) fn note_shown(&mut self, id: &ChainId, before: u64, taken: u64) -> Result<(), DeviceError> {
        let Some(line) = self.line(id)?.filter(|line| line.taken == before) else { return Ok(()) };
        let group = if line.summary.is_some() { CASES } else { OTHERS };
        let row = serde_json::to_vec(&Line { taken, ..line }).unwrap_or_default();
        Ok(self.store.put(PROJECTIONS, group, id.as_bytes(), &row)?)
    }

    /// Writes the line of a document that is open, and saves its replica where opening it meant replaying; the caller
    /// commits.
    pub(crate) fn write_line(&mut self, id: &ChainId) -> Result<(), DeviceError> {
        let is_case = self.chain(id).and_then(|state| state.document_kind()) == Some(DocumentKind::Case);
        self.note_section(id)?;
        let document = self.document(id)?;
        let (taken, changed, changes) = (document.taken, document.changed(), document.change_count());
        let record = if is_case { document.replica.hydrate().ok() } else { None };
        let conflicts = if is_case { document.replica.conflicts().len() } else { 0 };
        let summary = record.map(|record| summarize(&self.books.configuration, &record));
        let columns = Some(self.books.columns);
        let line = Line { taken, columns, summary, conflicts, changed, changes };
        let group = if is_case { CASES } else { OTHERS };
        // Maps have text keys and nothing is a float: writing into memory cannot fail.
        let row = serde_json::to_vec(&line).unwrap_or_default();
        // What stands there already is not written again: opening a device then writes nothing, and works on a full disk.
        if self.store.get(PROJECTIONS, id.as_bytes())?.as_ref() == Some(&row) {
            return Ok(());
        }
        self.store.put(PROJECTIONS, group, id.as_bytes(), &row)?;
        Ok(self.save_replayed(id)?)
    }

    /// Reads the configuration from its document.
    pub(crate) fn read_configuration(&mut self, id: &ChainId) -> Result<(), DeviceError> {
        if self.books.configuration_document != Some(*id) {
            return Ok(());
        }
        let record = self.document(id)?.replica.hydrate();
        let Some(read) = record.ok().and_then(|record| configuration::content::read(&record)) else { return Ok(()) };
        match read {
            Ok(found) => {
                let columns = hash_columns(&found);
                self.books.has_new_columns |= columns != self.books.columns;
                (self.books.configuration, self.books.columns) = (found, columns);
            }
            // Made by a newer program, or damaged: the one in force stays.
            Err(error) => tracing::warn!(document = %id, %error, "configuration not taken"),
        }
        Ok(())
    }

    /// Reads the names from the directory, those that their bearers or those responsible wrote.
    pub(crate) fn read_names(&mut self, id: &ChainId) -> Result<(), DeviceError> {
        if self.books.directory_document != Some(*id) {
            return Ok(());
        }
        let document = self.document(id)?;
        let written = directory::written(document);
        let users = self.list_chains(ChainKind::User)?;
        let accepted = self.view(|view, _| directory::accept(view, &users, written));
        (self.books.names, self.books.device_names) = (BTreeMap::new(), BTreeMap::new());
        self.books.names_of_former.clear();
        for (bearer, found) in accepted {
            match bearer {
                Bearer::Chain(chain) => {
                    if found.is_of_former {
                        self.books.names_of_former.insert(chain);
                    }
                    self.books.names.insert(chain, found.name);
                }
                Bearer::Device(device) => drop(self.books.device_names.insert(device, found.name)),
            }
        }
        Ok(())
    }

    /// Notes what may be done because a chain has grown: keys may open, others may lack some; names are read anew where it may
    /// have changed who may say them, and what was erased is destroyed.
    pub(super) fn note_policy(&mut self, chain: &ChainId) {
        self.keys_may_open = true;
        self.rotations.groups_changed = true;
        self.note_grown(chain);
        let Some(state) = self.chain(chain) else { return };
        if state.kind() != ChainKind::Document {
            self.stale.extend(self.books.directory_document);
            self.pauses.end_all();
        }
        self.pauses.end(chain);
        self.has_lost |= state.is_erased() && self.keyring.key(chain, 0).is_some();
    }

    /// Finds the agency's configuration and directory among the documents, and reads them.
    pub(super) fn note_books(&mut self) -> Result<(), DeviceError> {
        let Some((_, agency)) = self.home() else { return Ok(()) };
        for (kind, fact) in
            [(DocumentKind::Configuration, &b"configuration"[..]), (DocumentKind::Directory, b"directory")]
        {
            if self.book(kind).is_some() {
                continue;
            }
            let stored = self.store.get(FACTS, fact)?.and_then(|bytes| bytes.try_into().ok().map(ChainId));
            let found = match stored {
                Some(stored) => Some(stored),
                None => self.find_book(kind, &agency)?,
            };
            let Some(found) = found else { continue };
            if stored.is_none() {
                self.store.put(FACTS, &[], fact, found.as_bytes())?;
                self.commit()?;
            }
            match kind {
                DocumentKind::Configuration => self.books.configuration_document = Some(found),
                _ => self.books.directory_document = Some(found),
            }
            self.stale.insert(found);
        }
        Ok(())
    }

    /// Reads configuration and directory as they stand here.
    pub(crate) fn bring_books(&mut self) -> Result<(), DeviceError> {
        self.note_books()?;
        if self.books.names.is_empty() {
            self.books.names = load_farewell(&self.store)?;
        }
        for document in [self.books.configuration_document, self.books.directory_document].into_iter().flatten() {
            self.stale.remove(&document);
            match self.bring_up(&document) {
                Ok(Brought::News | Brought::Same) => {}
                Ok(Brought::Locked) => {
                    self.locked.insert(document);
                }
                Err(DeviceError::Document(error)) => tracing::warn!(%error, "book left aside"),
                Err(error) => return Err(error),
            }
        }
        self.commit()
    }

    const fn book(&self, kind: DocumentKind) -> Option<ChainId> {
        match kind {
            DocumentKind::Configuration => self.books.configuration_document,
            _ => self.books.directory_document,
        }
    }

    /// Of several books of the kind, the one that its agency's relay received first; while none was received, any.
    fn find_book(&self, kind: DocumentKind, agency: &ChainId) -> Result<Option<ChainId>, StoreError> {
        let documents = self.list_chains(ChainKind::Document)?;
        let states = documents.iter().filter_map(|document| self.chain(document));
        let of_agency = states.filter(|state| is_book(state, kind, agency));
        let first = of_agency.min_by_key(|state| {
            let received = state.op(0).and_then(|op| op.time);
            (received.is_none(), received, state.id())
        });
        Ok(first.map(|state| state.id()))
    }
}

/// Says whether a document can be the agency's configuration or directory: one that was begun with the agency as a parent
/// with full authority. Policy lets only a Manager over the agency's content begin such a one, by the heads that he cites,
/// and who began it stays so. What parents it was given since, or lost, says nothing about that; and any member may name the
/// agency as a parent without authority.
fn is_book(state: &ChainState, kind: DocumentKind, agency: &ChainId) -> bool {
    let governs = |parent: &Parent| parent.chain == *agency && parent.authority == ParentAuthority::Full;
    state.document_kind() == Some(kind) && state.parents_at(0).any(governs)
}

/// Tells the columns of lists apart.
fn hash_columns(configuration: &Configuration) -> u64 {
    // Texts in lists: writing them into memory cannot fail.
    let columns = serde_json::to_vec(&configuration.lists).unwrap_or_default();
    let hash = vereda_crypto::hash(vereda_crypto::context::LIST_COLUMNS, &[&columns]);
    hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use vereda_base::{Digest, Timestamp};
    use vereda_crypto::{DeviceKey, Verified, WrapKeyPair, WrapPublicKey};
    use vereda_policy::{
        AppendContext, Assign, Body, ChainMap, Chains, Cite, Create, Draft, Epoch, FrontierTree, Member, Op, OpRefusal,
        Role, SUITE, WrapList, authorize, chain_of,
    };

    use super::*;

    fn epoch(public_key: Option<WrapPublicKey>) -> Epoch {
        let wraps = WrapList { root: Digest([0; 32]), count: 1 };
        Epoch { public_key, commitment: Digest([0; 32]), wraps, previous: None, targets: vec![Some(0)] }
    }

    fn begin(chains: &mut ChainMap, key: &DeviceKey, create: Create) -> Option<ChainId> {
        let op = Draft::new(chains, key.device_id(), None).sign_create(key, create).ok()?;
        chains.append(&op, &AppendContext::unreceipted()).ok()?;
        Some(chain_of(op.value()))
    }

    /// The chains of two users, each with one device, and the public key that all of them wrap to.
    fn two_users() -> (ChainMap, WrapPublicKey, [(DeviceKey, ChainId); 2]) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let public = WrapKeyPair::generate(&mut rng).public().clone();
        let mut chains = ChainMap::new();
        let users = [1, 2].map(|nonce| {
            let key = DeviceKey::generate(&mut rng);
            let create = Create::user([nonce; 16], public.clone(), epoch(Some(public.clone())));
            let user = begin(&mut chains, &key, create).unwrap();
            (key, user)
        });
        (chains, public, users)
    }

    #[test]
    fn a_book_that_a_manager_of_a_team_began_under_his_team_never_becomes_the_agencys() {
        let (mut chains, public, [(amina, amina_user), (mallory, mallory_user)]) = two_users();
        let member = |subject, role| Member { subject, role };
        let members = vec![member(amina_user, Role::Manager)];
        let agency = Create::agency([3; 16], members, epoch(Some(public.clone())));
        let agency = begin(&mut chains, &amina, agency).unwrap();
        let members = vec![member(amina_user, Role::Manager), member(mallory_user, Role::Manager)];
        let team = Epoch { targets: vec![Some(0); 2], ..epoch(Some(public.clone())) };
        let team = Create::team([5; 16], agency, members, team);
        let team =
            Create { epoch: Epoch { wraps: WrapList { root: Digest([0; 32]), count: 2 }, ..team.epoch }, ..team };
        let team = begin(&mut chains, &amina, team).unwrap();
        let full = |chain| Parent { chain, authority: ParentAuthority::Full };
        for kind in [DocumentKind::Configuration, DocumentKind::Directory] {
            let holders = vec![member(team, Role::Reader)];
            let straight = Create::document(kind, [4; 16], vec![full(agency)], holders.clone(), epoch(None));
            assert_eq!(begin(&mut chains, &mallory, straight), None, "he begins none under the agency");
            let fake = Create::document(kind, [6; 16], vec![full(team)], holders, epoch(None));
            let fake = begin(&mut chains, &mallory, fake).unwrap();
            let is_it =
                |chains: &ChainMap| chains.iter().any(|state| state.id() == fake && is_book(state, kind, &agency));
            let mut parents = vec![full(agency), full(team)];
            parents.sort_unstable_by_key(|parent| parent.chain);
            let frontier = FrontierTree::new([]).frontier();
            let assign =
                Assign { gives: Vec::new(), takes: Vec::new(), parents: Some(parents), sections: Vec::new(), frontier };
            let body = Body::Assign(assign);
            let drafted = Draft::new(&chains, mallory.device_id(), None).append(&fake, body.clone());
            assert!(drafted.is_err(), "{drafted:?}");
            // Whatever he cites. A Manager over the agency's content may.
            let (state, by) = (chains.chain(&fake).unwrap(), mallory.device_id());
            let cite = |chain: &ChainId| Cite { chain: *chain, head: chains.chain(chain).unwrap().head() };
            let mut cites = vec![cite(&agency), cite(&team), cite(&mallory_user)];
            cites.sort_unstable();
            let (chain, prev) = (Some(fake), Some(state.head()));
            let op = Op { suite: SUITE, chain, seq: 1, prev, device: by, cites, body: body.clone() };
            let op = Verified::sign(&mallory, op).unwrap();
            let refused = authorize(&chains, &op, &AppendContext::relay(Timestamp(1)));
            assert!(matches!(refused, Err(OpRefusal::NoAuthority { chain, .. }) if chain == agency), "{refused:?}");
            let op = Draft::new(&chains, amina.device_id(), None).sign_append(&amina, &fake, body).unwrap();
            chains.append(&op, &AppendContext::relay(Timestamp(1))).unwrap();
            assert!(!is_it(&chains), "and still it was not begun as the agency's");
        }
    }

    #[test]
    fn a_book_is_one_that_a_manager_of_the_agency_began() {
        let (mut chains, public, [(amina, amina_user), (mallory, mallory_user)]) = two_users();
        let member = |subject, role| Member { subject, role };
        let members = vec![member(amina_user, Role::Manager), member(mallory_user, Role::Editor)];
        let of_agency = Epoch { targets: vec![Some(0), None], ..epoch(Some(public.clone())) };
        let agency = begin(&mut chains, &amina, Create::agency([3; 16], members, of_agency)).unwrap();
        let mut begin_book = |by: &DeviceKey, authority, also: Option<ChainId>, holder| {
            let parents = [(agency, authority)].into_iter().chain(also.map(|user| (user, ParentAuthority::Full)));
            let parents = parents.map(|(chain, authority)| Parent { chain, authority }).collect();
            let kind = DocumentKind::Configuration;
            let create = Create::document(kind, [4; 16], parents, vec![member(holder, Role::Reader)], epoch(None));
            let begun = begin(&mut chains, by, create)?;
            Some(chains.iter().any(|state| state.id() == begun && is_book(state, kind, &agency)))
        };
        assert_eq!(begin_book(&amina, ParentAuthority::Full, None, agency), Some(true));
        assert_eq!(begin_book(&mallory, ParentAuthority::Full, Some(mallory_user), agency), None);
        assert_eq!(begin_book(&mallory, ParentAuthority::None, Some(mallory_user), agency), None);
        // Policy lets him: it is a document of his own. It must not be taken for the agency's.
        assert_eq!(begin_book(&mallory, ParentAuthority::None, Some(mallory_user), mallory_user), Some(false));
    }
}
