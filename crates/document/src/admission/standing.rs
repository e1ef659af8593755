//! Checks one change against the history that it builds on.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ChangeHash, ObjId, ObjType, ReadDoc};
use vereda_base::ActorBytes;

use super::{ParsedChange, Refusal, resolve};
use crate::{
    anatomy::{Action, Anatomy, Key, OpRef, Operation},
    shape::{ROOTS, Root, Roots, actor_id},
};

type OpId = (ActorBytes, u64);

/// An object as operations of a change may act on it.
#[derive(Clone)]
enum Object {
    Root(Root),
    Text,
}

/// One change against the document before it.
pub(crate) struct Standing<'a> {
    document: &'a Automerge,
    roots: Option<&'a Roots>,
    anatomy: &'a Anatomy,
    index: usize,
    deps: Vec<ChangeHash>,
    /// Changes that the author had not seen; none where he had seen all that the document holds.
    unseen: Option<BTreeSet<[u8; 32]>>,
    /// Objects that this change made before the operation at hand.
    made: BTreeMap<u64, Object>,
    /// What stands by object and key since this change acted on it.
    stands: BTreeMap<(OpId, String), OpId>,
    /// Earlier changes whose elements this one refers to.
    earlier: BTreeMap<[u8; 32], Option<Anatomy>>,
}

impl<'a> Standing<'a> {
    /// Checks a change; `document` must hold its dependencies, `roots` are none before the creating change.
    pub(crate) fn check(
        document: &'a Automerge,
        roots: Option<&'a Roots>,
        change: &'a ParsedChange,
        index: usize,
    ) -> Result<(), Refusal> {
        let anatomy = &change.anatomy;
        let deps: Vec<ChangeHash> = anatomy.deps.iter().map(|dep| ChangeHash(*dep)).collect();
        check_history(document, anatomy, &deps, index)?;
        if roots.is_some() == deps.is_empty() {
            return Err(Refusal::Roots { index });
        }
        let unseen = if document.get_heads() == deps {
            None
        } else {
            Some(document.get_changes_meta(&deps).into_iter().map(|meta| meta.hash.0).collect())
        };
        let (made, stands, earlier) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut standing = Self { document, roots, anatomy, index, deps, unseen, made, stands, earlier };
        for (position, (operation, counter)) in anatomy.operations.iter().zip(anatomy.start_op..).enumerate() {
            standing.operation(position, operation, counter)?;
        }
        Ok(())
    }

    fn operation(&mut self, position: usize, operation: &Operation, counter: u64) -> Result<(), Refusal> {
        let object_refused = Refusal::Object { index: self.index, operation: position };
        let references_refused = Refusal::References { index: self.index, operation: position };
        let Some(reference) = operation.object else {
            // Only the creating change acts on the root; that it makes the fixed maps in order was checked before.
            let root = ROOTS.get(position).copied().ok_or(object_refused)?;
            self.made.insert(counter, Object::Root(root));
            return Ok(());
        };
        let object_id = resolve(self.anatomy, reference).ok_or(object_refused)?;
        let object = self.object(object_id).ok_or(object_refused)?;
        let fits = match (&object, operation.action) {
            (Object::Root(root), Action::Put | Action::Delete) => {
                *root != Root::Texts && matches!(operation.key, Key::Map(_))
            }
            (Object::Root(root), Action::MakeText) => *root == Root::Texts,
            (Object::Text, Action::Put | Action::Delete) => !matches!(operation.key, Key::Map(_)),
            _ => false,
        };
        if !fits {
            return Err(object_refused);
        }
        match &operation.key {
            Key::Map(key) => {
                let standing = self.stands_after(object_id, key, operation, (self.anatomy.actor, counter));
                self.stands.insert((object_id, key.to_string()), standing.ok_or(references_refused)?);
            }
            Key::Head => {}
            Key::Element(element) => {
                if !self.is_element(*element, object_id) {
                    return Err(references_refused);
                }
            }
        }
        if operation.action == Action::MakeText {
            self.made.insert(counter, Object::Text);
        }
        Ok(())
    }

    /// Finds an object that the author could act on.
    fn object(&self, (actor, counter): OpId) -> Option<Object> {
        if actor == self.anatomy.actor && counter >= self.anatomy.start_op {
            return self.made.get(&counter).cloned();
        }
        let id = ObjId::Id(counter, actor_id(actor), 0);
        if let Some(root) = self.roots.and_then(|roots| roots.find(&id)) {
            return Some(Object::Root(root));
        }
        let is_text = self.document.object_type(&id).is_ok_and(|kind| kind == ObjType::Text);
        (is_text && self.seen_by_author(&id)).then_some(Object::Text)
    }

    fn seen_by_author(&self, id: &ObjId) -> bool {
        self.document
            .hash_for_opid(id)
            .is_some_and(|hash| self.unseen.as_ref().is_none_or(|unseen| !unseen.contains(&hash.0)))
    }

    /// Tells whether an element belongs to a text and is of this change or was seen by its author. Automerge panics
    /// where it does not belong.
    fn is_element(&mut self, element: OpRef, text: OpId) -> bool {
        let Some((actor, counter)) = resolve(self.anatomy, element) else { return false };
        // That it precedes the operation was checked when the change was read.
        if actor == self.anatomy.actor && counter >= self.anatomy.start_op {
            return inserts(self.anatomy, counter, text);
        }
        let Some(hash) = self.document.hash_for_opid(&ObjId::Id(counter, actor_id(actor), 0)) else { return false };
        if self.unseen.as_ref().is_some_and(|unseen| unseen.contains(&hash.0)) {
            return false;
        }
        let document = self.document;
        let earlier = self.earlier.entry(hash.0).or_insert_with(|| {
            document.get_change_by_hash(&hash).and_then(|change| Anatomy::read(change.raw_bytes()).ok())
        });
        earlier.as_ref().is_some_and(|earlier| inserts(earlier, counter, text))
    }

    /// Returns what stands at a key after an operation; none where it does not overwrite exactly what stood there in
    /// the author's eyes, for no honest one does otherwise. A deletion leaves the winner of a conflict.
    fn stands_after(&self, object: OpId, key: &str, operation: &Operation, own: OpId) -> Option<OpId> {
        let mut found = BTreeSet::new();
        for reference in &operation.replaces {
            let (actor, counter) = resolve(self.anatomy, *reference)?;
            if !found.insert((counter, actor.0)) {
                return None;
            }
        }
        let mut stood = self.stood(object, key)?;
        let after = if operation.action == Action::Delete {
            let (counter, actor) = stood.pop_last()?;
            (ActorBytes(actor), counter)
        } else {
            own
        };
        (stood == found).then_some(after)
    }

    /// Lists what stood at a key in the author's eyes, by counter and actor: the last is the winner.
    fn stood(&self, object: OpId, key: &str) -> Option<BTreeSet<(u64, [u8; 16])>> {
        if let Some((actor, counter)) = self.stands.get(&(object, key.to_owned())) {
            return Some(BTreeSet::from([(*counter, actor.0)]));
        }
        if object.0 == self.anatomy.actor && object.1 >= self.anatomy.start_op {
            return Some(BTreeSet::new());
        }
        let id = ObjId::Id(object.1, actor_id(object.0), 0);
        let stood = match self.unseen {
            None => self.document.get_all(&id, key),
            Some(_) => self.document.get_all_at(&id, key, &self.deps),
        };
        let operation_id = |id: &ObjId| match id {
            ObjId::Id(counter, actor, _) => Some((*counter, actor.to_bytes().try_into().ok()?)),
            ObjId::Root => None,
        };
        stood.ok()?.iter().map(|(_, id)| operation_id(id)).collect()
    }
}

/// Tells whether a change inserts an element into a text at a counter.
fn inserts(change: &Anatomy, counter: u64, text: OpId) -> bool {
    let index = counter.checked_sub(change.start_op).and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| change.operations.get(index)).is_some_and(|operation| {
        operation.insert && operation.object.and_then(|object| resolve(change, object)) == Some(text)
    })
}

/// Checks dependencies, the author's own chain and the first counter.
fn check_history(document: &Automerge, anatomy: &Anatomy, deps: &[ChangeHash], index: usize) -> Result<(), Refusal> {
    let mut largest = 0;
    let mut own_seq = 0;
    for dep in deps {
        let meta = document.get_change_meta_by_hash(dep).ok_or(Refusal::MissingDependency { index })?;
        largest = largest.max(meta.max_op);
        if meta.actor.to_bytes() == anatomy.actor.0 {
            own_seq = own_seq.max(meta.seq);
        }
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
