//! Checks the changes of a chunk, one after the other, against the history that they build on, without applying them.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ChangeHash, ObjId, ObjType, ReadDoc};
use vereda_base::ActorBytes;

use super::{ParsedChange, Refusal, resolve};
use crate::{
    anatomy::{Action, Anatomy, Key, OpRef, Operation},
    shape::{ROOTS, Root, Roots, actor_id},
};

type OpId = (ActorBytes, u64);
/// As [`OpId`], in the order in which Automerge finds the winner.
type Ranked = (u64, [u8; 16]);

/// An object as operations may act on it.
#[derive(Clone, Copy)]
enum Object {
    Root(Root),
    Text,
}

/// What the chunk did so far at one key.
#[derive(Default)]
struct Overlay {
    /// Values that it overwrote.
    gone: BTreeSet<Ranked>,
    /// Its own last value.
    own: Option<Ranked>,
}

/// A document, and the changes of a chunk on top of it.
pub(crate) struct Standing<'d, 'c> {
    document: &'d Automerge,
    roots: Option<&'d Roots>,
    /// Changes of the chunk so far that the document does not hold.
    changes: Vec<&'c ParsedChange>,
    /// What those build on in the document.
    outside: BTreeSet<[u8; 32]>,
    /// Changes of the document that the author had not seen; none where he had seen all.
    unseen: Option<BTreeSet<[u8; 32]>>,
    /// Objects that the chunk made, by counter.
    made: BTreeMap<u64, Object>,
    overlays: BTreeMap<(OpId, String), Overlay>,
    /// Changes of the document to whose elements the chunk refers.
    earlier: BTreeMap<[u8; 32], Option<Anatomy>>,
}

/// One operation at hand.
struct At<'a> {
    anatomy: &'a Anatomy,
    operation: &'a Operation,
    counter: u64,
}

impl<'d, 'c> Standing<'d, 'c> {
    /// Begins with a document; `roots` are none before the creating change.
    pub(crate) const fn new(document: &'d Automerge, roots: Option<&'d Roots>) -> Self {
        Self {
            document,
            roots,
            changes: Vec::new(),
            outside: BTreeSet::new(),
            unseen: None,
            made: BTreeMap::new(),
            overlays: BTreeMap::new(),
            earlier: BTreeMap::new(),
        }
    }

    /// Returns the checked changes that the document does not hold.
    pub(crate) fn into_changes(self) -> Vec<&'c ParsedChange> {
        self.changes
    }

    /// Checks the next change of the chunk.
    pub(crate) fn check(&mut self, change: &'c ParsedChange, index: usize) -> Result<(), Refusal> {
        let anatomy = &change.anatomy;
        if self.document.get_change_meta_by_hash(&ChangeHash(change.hash)).is_some() {
            return Ok(());
        }
        self.history(anatomy, index)?;
        let created = self.roots.is_some() || !self.made.is_empty();
        if created == anatomy.deps.is_empty() {
            return Err(Refusal::Roots { index });
        }
        for (position, (operation, counter)) in anatomy.operations.iter().zip(anatomy.start_op..).enumerate() {
            self.operation(&At { anatomy, operation, counter }, index, position)?;
        }
        self.changes.push(change);
        Ok(())
    }

    /// Checks dependencies, the author's own chain and the first counter.
    fn history(&mut self, anatomy: &Anatomy, index: usize) -> Result<(), Refusal> {
        let (mut largest, mut own_seq, mut grown) = (0, 0, self.changes.is_empty());
        for dep in &anatomy.deps {
            let within = self.changes.iter().rev().find(|change| change.hash == *dep);
            let (max_op, actor, seq) = if let Some(within) = within {
                (within.anatomy.max_op(), within.anatomy.actor, within.anatomy.seq)
            } else {
                let meta = self.document.get_change_meta_by_hash(&ChangeHash(*dep));
                let meta = meta.ok_or(Refusal::MissingDependency { index })?;
                grown |= self.outside.insert(*dep);
                let actor = meta.actor.to_bytes().try_into().map_err(|_| Refusal::MissingDependency { index })?;
                (meta.max_op, ActorBytes(actor), meta.seq)
            };
            largest = largest.max(max_op);
            if actor == anatomy.actor {
                own_seq = own_seq.max(seq);
            }
        }
        if grown {
            self.look_at_unseen();
        }
        // Automerge always names the author's preceding change, also where another dependency implies it.
        if anatomy.seq != own_seq.saturating_add(1) {
            return Err(Refusal::Detached { index });
        }
        let expected = largest.saturating_add(1);
        if anatomy.start_op != expected {
            return Err(Refusal::StartOp { index, expected, found: anatomy.start_op });
        }
        Ok(())
    }

    fn look_at_unseen(&mut self) {
        let heads = self.document.get_heads();
        self.unseen = if heads.iter().all(|head| self.outside.contains(&head.0)) {
            None
        } else {
            let metas = self.document.get_changes_meta(&self.outside_heads());
            Some(metas.into_iter().map(|meta| meta.hash.0).collect())
        };
    }

    fn outside_heads(&self) -> Vec<ChangeHash> {
        self.outside.iter().map(|dep| ChangeHash(*dep)).collect()
    }

    fn operation(&mut self, at: &At<'_>, index: usize, position: usize) -> Result<(), Refusal> {
        let object_refused = Refusal::Object { index, operation: position };
        let references_refused = Refusal::References { index, operation: position };
        let Some(reference) = at.operation.object else {
            // Only the creating change acts on the root; that it makes the fixed maps in order was checked before.
            let root = ROOTS.get(position).copied().ok_or(object_refused)?;
            self.made.insert(at.counter, Object::Root(root));
            return Ok(());
        };
        let object_id = resolve(at.anatomy, reference).ok_or(object_refused)?;
        let object = self.object(at.anatomy, object_id).ok_or(object_refused)?;
        let on_map = matches!(at.operation.key, Key::Map(_));
        let fits = match (object, at.operation.action) {
            (Object::Root(root), Action::Put | Action::Delete) => root != Root::Texts && on_map,
            (Object::Root(root), Action::MakeText) => root == Root::Texts,
            (Object::Text, Action::Put | Action::Delete) => !on_map,
            _ => false,
        };
        if !fits {
            return Err(object_refused);
        }
        let refers = match &at.operation.key {
            Key::Map(key) => self.overwrite(at, object_id, key),
            Key::Head => true,
            Key::Element(element) => self.is_element(at.anatomy, *element, object_id),
        };
        if !refers {
            return Err(references_refused);
        }
        if at.operation.action == Action::MakeText {
            self.made.insert(at.counter, Object::Text);
        }
        Ok(())
    }

    /// Tells whether an operation is one of the chunk, which the document does not hold.
    fn is_own(&self, anatomy: &Anatomy, (actor, counter): OpId) -> bool {
        let first = self.changes.first().map_or(anatomy.start_op, |change| change.anatomy.start_op);
        actor == anatomy.actor && counter >= first
    }

    /// Finds an object that the author could act on.
    fn object(&self, anatomy: &Anatomy, object: OpId) -> Option<Object> {
        if self.is_own(anatomy, object) {
            return self.made.get(&object.1).copied();
        }
        let id = exid(object);
        if let Some(root) = self.roots.and_then(|roots| roots.find(&id)) {
            return Some(Object::Root(root));
        }
        let is_text = self.document.object_type(&id).is_ok_and(|kind| kind == ObjType::Text);
        (is_text && self.seen(&id).is_some()).then_some(Object::Text)
    }

    /// Finds the change of an operation that the author had seen.
    fn seen(&self, id: &ObjId) -> Option<ChangeHash> {
        let hash = self.document.hash_for_opid(id)?;
        self.unseen.as_ref().is_none_or(|unseen| !unseen.contains(&hash.0)).then_some(hash)
    }

    /// Tells whether an element belongs to a text and is of this chunk or was seen by its author. Automerge panics
    /// where it does not belong.
    fn is_element(&mut self, anatomy: &Anatomy, element: OpRef, text: OpId) -> bool {
        let Some(id) = resolve(anatomy, element) else { return false };
        // That it precedes the operation was checked when the change was read.
        if self.is_own(anatomy, id) {
            let own = self.changes.iter().map(|change| &change.anatomy).chain([anatomy]);
            return own.rev().find(|own| own.start_op <= id.1).is_some_and(|own| inserts(own, id.1, text));
        }
        let Some(hash) = self.seen(&exid(id)) else { return false };
        let document = self.document;
        let earlier = self.earlier.entry(hash.0).or_insert_with(|| {
            document.get_change_by_hash(&hash).and_then(|change| Anatomy::read(change.raw_bytes()).ok())
        });
        earlier.as_ref().is_some_and(|earlier| inserts(earlier, id.1, text))
    }

    /// Notes what an operation overwrites at a key, and tells whether that is exactly what stood there in the author's
    /// eyes: no honest one does otherwise. A deletion leaves the winner of a conflict.
    fn overwrite(&mut self, at: &At<'_>, object: OpId, key: &str) -> bool {
        let found: Option<BTreeSet<Ranked>> = at
            .operation
            .replaces
            .iter()
            .map(|reference| resolve(at.anatomy, *reference).map(|(actor, counter)| (counter, actor.0)))
            .collect();
        let (Some(found), Some(mut stood)) = (found, self.stood(at.anatomy, object, key)) else { return false };
        if at.operation.action == Action::Delete {
            stood.pop_last();
        }
        // A reference given twice is one too many.
        if stood != found || found.len() != at.operation.replaces.len() {
            return false;
        }
        let overlay = self.overlays.entry((object, key.to_owned())).or_default();
        overlay.gone.extend(found);
        if at.operation.action != Action::Delete {
            overlay.own = Some((at.counter, at.anatomy.actor.0));
        }
        true
    }

    /// Lists what stands at a key in the author's eyes; the last is the winner.
    fn stood(&self, anatomy: &Anatomy, object: OpId, key: &str) -> Option<BTreeSet<Ranked>> {
        let mut stood = BTreeSet::new();
        if !self.is_own(anatomy, object) {
            let all = match self.unseen {
                None => self.document.get_all(exid(object), key),
                Some(_) => self.document.get_all_at(exid(object), key, &self.outside_heads()),
            };
            for (_, id) in all.ok()? {
                let ObjId::Id(counter, actor, _) = id else { return None };
                stood.insert((counter, actor.to_bytes().try_into().ok()?));
            }
        }
        if let Some(overlay) = self.overlays.get(&(object, key.to_owned())) {
            stood.extend(overlay.own);
            stood.retain(|id| !overlay.gone.contains(id));
        }
        Some(stood)
    }
}

fn exid((actor, counter): OpId) -> ObjId {
    ObjId::Id(counter, actor_id(actor), 0)
}

/// Tells whether a change inserts an element into a text at a counter.
fn inserts(change: &Anatomy, counter: u64, text: OpId) -> bool {
    let index = counter.checked_sub(change.start_op).and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| change.operations.get(index)).is_some_and(|operation| {
        operation.insert && operation.object.and_then(|object| resolve(change, object)) == Some(text)
    })
}
