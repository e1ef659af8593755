//! Decisions on what is in review: taking in, turning away.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Link, Timestamp};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{AppendContext, Body, Op, admitted_holders, adopt_content, authorize, receipt_time};
use vereda_protocol::{Chunk, Header, Position, RefusalCode};

use super::{
    admit::AcceptedChunk,
    append::{self, Appended, Passed, Signer},
    chains::{ChainCache, View},
    review::{Begun, read_create},
    sight::owners,
    store::{Entry, NewEntry, RelayStore, ReviewStanding, Reviewed, StoreError},
};

/// What a decision led to.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// Documents that were taken in, with their wraps.
    pub(super) documents: Vec<(Appended, Vec<vereda_policy::Wrap>)>,
    /// Chunks that were taken in.
    pub(super) chunks: Vec<(AcceptedChunk, Position)>,
    /// Whose chunks were decided on, and how.
    pub(super) told: Vec<(DeviceId, Link, ReviewStanding)>,
}

/// Chunks of documents that a team is about to take in: what their authors were entitled to is seen best before it does.
#[derive(Debug, Default)]
pub(super) struct Prepared(Vec<(ChainId, Vec<AcceptedChunk>)>);

/// Checks that what a decision names is in review, and that it leaves nothing out that it builds on. Reads only.
pub(super) fn check(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    op: &Op,
    chain: &ChainId,
) -> Result<Result<Prepared, RefusalCode>, StoreError> {
    let (chunks, documents): (&[Link], Vec<(ChainId, &[Link])>) = match &op.body {
        Body::Adopt(adopt) => {
            let documents = adopt.documents.iter().map(|adopted| (adopted.document, adopted.chunks.as_slice()));
            (&adopt.chunks, documents.collect())
        }
        Body::Discard(discard) => {
            (&discard.chunks, discard.documents.iter().map(|document| (*document, [].as_slice())).collect())
        }
        _ => return Ok(Ok(Prepared::default())),
    };
    let is_adoption = matches!(op.body, Body::Adopt(_));
    let named: BTreeSet<Link> = chunks.iter().copied().collect();
    for link in chunks {
        let row = match store.reviewed(link)?.filter(|row| row.document == *chain) {
            Some(row) if row.standing == ReviewStanding::Awaits => row,
            Some(_) => return Ok(Err(RefusalCode::Repeated)),
            None if store.chunk_at(chain, link)?.is_some() => return Ok(Err(RefusalCode::Repeated)),
            None => return Ok(Err(RefusalCode::MissingDeps)),
        };
        if is_adoption && !is_complete(store, &row, &named)? {
            return Ok(Err(RefusalCode::MissingDeps));
        }
    }
    let mut prepared = Prepared::default();
    for (document, chunks) in documents {
        let row = match store.reviewed_document(&document)? {
            Some(row) if row.standing == ReviewStanding::Awaits => row,
            Some(_) => return Ok(Err(RefusalCode::Repeated)),
            None => return Ok(Err(RefusalCode::MissingDeps)),
        };
        let (create, _) = read_create(store, &row)?;
        let view = chains.view(store);
        let is_owner = owners(&view, create.value()).contains(chain);
        let is_admissible = is_admissible(&view, op, chain, create.value(), &document);
        let (is_owner, is_admissible) = view.finish((is_owner, is_admissible))?;
        if !is_owner {
            return Ok(Err(RefusalCode::NotAuthorized));
        }
        if chains.load(store, &document)?.is_some() {
            return Ok(Err(RefusalCode::Repeated));
        }
        if !is_admissible {
            return Ok(Err(RefusalCode::NobodyLeft));
        }
        if is_adoption {
            match read_chunks(chains, store, &document, &create, chunks)? {
                Some(chunks) => prepared.0.push((document, chunks)),
                None => return Ok(Err(RefusalCode::MissingDeps)),
            }
        }
    }
    Ok(Ok(prepared))
}

/// Says whether somebody whom an adoption in `owner` names may hold the document.
fn is_admissible(view: &View<'_>, op: &Op, owner: &ChainId, create: &Op, document: &ChainId) -> bool {
    let (Body::Adopt(adopt), Body::Create(create)) = (&op.body, &create.body) else { return true };
    let named = adopt.documents.iter().find(|adopted| adopted.document == *document);
    named.is_some_and(|adopted| !admitted_holders(view, create, owner, &adopted.holders).is_empty())
}

/// Says whether everything that a chunk builds on stands, or is named with it.
fn is_complete(store: &dyn RelayStore, row: &Reviewed, named: &BTreeSet<Link>) -> Result<bool, StoreError> {
    let (header, _) = read_chunk(store, row)?;
    for dep in header.value().deps.iter().chain(&header.value().prev) {
        if !named.contains(dep) && store.chunk_at(&row.document, dep)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads these chunks of a document in review; `None` where one is not there, or builds on one that is left out.
fn read_chunks(
    chains: &mut ChainCache,
    store: &dyn RelayStore,
    document: &ChainId,
    create: &Verified<Op>,
    named: &[Link],
) -> Result<Option<Vec<AcceptedChunk>>, StoreError> {
    let view = chains.view(store);
    let begun = Begun::new(&view, create)?;
    let links: BTreeSet<Link> = named.iter().copied().collect();
    let mut chunks = Vec::new();
    for row in store.in_review(document)?.into_iter().filter(|row| links.contains(&row.link)) {
        if !is_complete(store, &row, &links)? {
            return Ok(None);
        }
        let (header, chunk) = read_chunk(store, &row)?;
        chunks.push(AcceptedChunk::new(begun.authorize(&header)?, chunk));
    }
    let is_whole = chunks.len() == links.len();
    view.finish(is_whole.then_some(chunks))
}

fn read_chunk(store: &dyn RelayStore, row: &Reviewed) -> Result<(Verified<Header>, Chunk), StoreError> {
    let damaged = StoreError::Damaged { table: "log" };
    match store.entry(row.position)? {
        Some(Entry::Review { chunk, .. }) => Ok((chunk.header.clone().verify().map_err(|_| damaged)?, chunk)),
        _ => Err(damaged),
    }
}

/// Carries out a decision that was appended in `chain`, in the same transaction.
pub(super) fn carry_out(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    signer: &Signer,
    body: &Body,
    chain: &ChainId,
    prepared: Prepared,
    now: Timestamp,
) -> Result<Decided, StoreError> {
    let mut decided = Decided::default();
    match body {
        Body::Adopt(adopt) => {
            adopt_chunks(chains, store, chain, &adopt.chunks, &mut decided)?;
            for (document, chunks) in prepared.0 {
                adopt_document(chains, store, signer, &document, chunks, now, &mut decided)?;
            }
        }
        Body::Discard(discard) => {
            discard_chunks(store, chain, discard.chunks.iter().copied().collect(), &mut decided)?;
            for document in &discard.documents {
                store.decide_document(document, ReviewStanding::Discarded)?;
                discard_all(store, document, &mut decided)?;
            }
        }
        // Nothing stands in an erased document any more, nor will.
        Body::Erase => discard_all(store, chain, &mut decided)?,
        _ => {}
    }
    Ok(decided)
}

fn adopt_chunks(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    document: &ChainId,
    links: &[Link],
    decided: &mut Decided,
) -> Result<(), StoreError> {
    // In order of arrival: what is built on comes first.
    let mut rows = store.in_review(document)?;
    rows.retain(|row| links.binary_search(&row.link).is_ok());
    for row in rows {
        let (header, chunk) = read_chunk(store, &row)?;
        let view = chains.view(store);
        let adopted = adopt_content(&view, &header, &row.link);
        let adopted = view.finish(adopted)?.map_err(|_| StoreError::Damaged { table: "log" })?;
        take_in(store, AcceptedChunk::new(adopted, chunk), decided)?;
    }
    Ok(())
}

fn take_in(store: &mut dyn RelayStore, chunk: AcceptedChunk, decided: &mut Decided) -> Result<(), StoreError> {
    let position = store.append(&NewEntry::Chunk(&chunk))?;
    store.decide(&chunk.link(), ReviewStanding::Adopted)?;
    decided.told.push((chunk.header().device, chunk.link(), ReviewStanding::Adopted));
    decided.chunks.push((chunk, position));
    Ok(())
}

fn adopt_document(
    chains: &mut ChainCache,
    store: &mut dyn RelayStore,
    signer: &Signer,
    document: &ChainId,
    chunks: Vec<AcceptedChunk>,
    now: Timestamp,
    decided: &mut Decided,
) -> Result<(), StoreError> {
    let damaged = StoreError::Damaged { table: "log" };
    let row = store.reviewed_document(document)?.ok_or_else(|| damaged.clone())?;
    let (create, wraps) = read_create(store, &row)?;
    let time = receipt_time(None, now);
    let view = chains.view(store);
    let op = authorize(&view, &create, &AppendContext::relay(time));
    let agency = owners(&view, create.value()).iter().find_map(|owner| view.known(owner)?.agency);
    let op = view.finish(op)?.map_err(|_| damaged.clone())?;
    let (wraps, proofs): (Vec<_>, Vec<_>) = wraps.into_iter().unzip();
    let passed = Passed::new(op, signer, time, proofs, agency).ok_or(damaged)?;
    let appended = append::append_adopted(chains, store, &passed, &wraps)?;
    store.decide_document(document, ReviewStanding::Adopted)?;
    decided.documents.push((appended, wraps));
    chunks.into_iter().try_for_each(|chunk| take_in(store, chunk, decided))
}

/// Turns chunks away, and everything in review that builds on them.
fn discard_chunks(
    store: &mut dyn RelayStore,
    document: &ChainId,
    mut links: BTreeSet<Link>,
    decided: &mut Decided,
) -> Result<(), StoreError> {
    for row in store.in_review(document)? {
        let (header, _) = read_chunk(store, &row)?;
        let mut built_on = header.value().deps.iter().chain(&header.value().prev);
        if built_on.any(|dep| links.contains(dep)) {
            links.insert(row.link);
        }
        if links.contains(&row.link) {
            discard(store, &row, decided)?;
        }
    }
    Ok(())
}

fn discard_all(store: &mut dyn RelayStore, document: &ChainId, decided: &mut Decided) -> Result<(), StoreError> {
    store.in_review(document)?.iter().try_for_each(|row| discard(store, row, decided))
}

fn discard(store: &mut dyn RelayStore, row: &Reviewed, decided: &mut Decided) -> Result<(), StoreError> {
    store.decide(&row.link, ReviewStanding::Discarded)?;
    decided.told.push((row.device, row.link, ReviewStanding::Discarded));
    Ok(())
}

/// Names the document that a `Create` begins.
pub(super) fn document_of(create: &Signed<Op>) -> ChainId {
    ChainId(vereda_policy::op_id_of_bytes(create.bytes()).0)
}
