//! The chains that decide on a document begun by somebody removed meanwhile, as far as this device knows.

use vereda_base::ChainId;
use vereda_policy::{Body, Chains, Create, Op, owners};

use super::{
    machine::DeviceMachine,
    operations::op_waits,
    review::create_in_review,
    store::{DeviceStore, StoreError},
    tables::{OPS, OpRow, load, place_key, read},
};

impl DeviceMachine {
    /// Says whether what a chain decides on a document concerns what is here of it: the chain owns the document, or what it
    /// begins with is not here.
    pub(super) fn may_decide(
        &self,
        chain: &ChainId,
        document: &ChainId,
        store: &dyn DeviceStore,
    ) -> Result<bool, StoreError> {
        let create = match load::<OpRow>(store, OPS, &place_key(document, 0))? {
            Some(first) => Some(first.op),
            None => create_in_review(store, document)?,
        };
        let Some(create) = create else { return Ok(true) };
        let create: Op = read(OPS, create.bytes())?;
        let view = self.shelf.view(store);
        let may = matches!(&create.body, Body::Create(create) if owners(&view, create).contains(chain));
        view.finish()?;
        Ok(may)
    }
}

/// Names the owner of a document in whose chain something waits for policy: it may be what took the document in.
pub(super) fn awaited_owner(
    view: &dyn Chains,
    store: &dyn DeviceStore,
    op: &Op,
) -> Result<Option<ChainId>, StoreError> {
    let Body::Create(create) = &op.body else { return Ok(None) };
    for owner in owners(view, create) {
        if op_waits(store, &owner)? {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

/// Says whether a chain that owns the document has decided on it.
pub(super) fn is_document_decided(view: &dyn Chains, create: &Create, document: &ChainId) -> bool {
    let mut known = owners(view, create).into_iter().filter_map(|owner| view.chain(&owner));
    known.any(|owner| owner.decided_document(document).is_some())
}
