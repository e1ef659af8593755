//! A member with a device in this process, whose keys lie open: he seals and signs what no honest program would, and
//! pushes it through a real relay under his own name.

use std::{ops::ControlFlow, sync::Arc};

use anyhow::{Context, Result, ensure};
use minicbor::{Decode, Encode};
use rand_core::{CryptoRng, Rng};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, decode};
use vereda_client_core::{
    device::{Ambient, Device, IncarnatedStore},
    native::{clock::Clock, driver::SharedDevice, entropy::SystemEntropy, tls},
    sync_machine::{
        DeviceConfig, DeviceCredential, DeviceLimits, DeviceMachine, DeviceStore, MemoryStore, StoreError, Table,
        store::EachRow,
    },
};
use vereda_crypto::{
    ChunkKeyScope, DeviceKey, DocumentEpochKey, Key32, Nonce24, Verified, commitment, context, derive_actor,
    derive_chunk_key, hash, open, ops_root, pad, seal, sealed::TAG_BYTES, unpad,
};
use vereda_document::{Expect, ParsedChunk, Replica};
use vereda_protocol::{Chunk, ChunkKind, Header};

use crate::process::PATIENCE;

/// A store with an incarnation.
#[derive(Debug, Clone)]
pub struct OpenStore<S> {
    /// The rows.
    pub rows: S,
    incarnation: Incarnation,
}

impl<S> OpenStore<S> {
    /// Gives a store an incarnation.
    pub fn new(rows: S) -> Self {
        Self { rows, incarnation: Incarnation(SystemEntropy.next_u64()) }
    }
}

impl<S: DeviceStore> DeviceStore for OpenStore<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.rows.put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.rows.delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.rows.scan(table, group, each)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.rows.commit()
    }

    fn rollback(&mut self) {
        self.rows.rollback();
    }
}

impl<S: DeviceStore> IncarnatedStore for OpenStore<S> {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn renew_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, String> {
        self.incarnation = Incarnation(rng.next_u64());
        Ok(self.incarnation)
    }
}

/// The member. By default his rows lie in memory.
pub struct Insider<S: DeviceStore + Send + 'static = MemoryStore> {
    device: Option<Device<OpenStore<S>>>,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
    tls: Arc<tls::ClientConfig>,
}

/// How a body is made unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// As the protocol has it.
    Real,
    /// Not at all: the padded body stands where the ciphertext would.
    Identity,
}

/// What a chunk shall hold.
#[derive(Debug, Clone)]
pub struct Content {
    /// The body, before padding.
    pub body: Vec<u8>,
    /// Seq of the first change, as the header tells it.
    pub first_change: u64,
    /// Hashes of the changes, over which the header's `ops_root` is made.
    pub hashes: Vec<[u8; 32]>,
}

/// The row in which a device keeps its keys.
#[derive(Encode, Decode)]
#[cbor(array)]
struct Seeds {
    #[cbor(n(0), with = "minicbor::bytes")]
    signing: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    wrapping: Vec<u8>,
}

/// The suite that everything here belongs to.
const SUITE: u8 = 1;
const FACTS: Table = Table("client facts");
const KEYS: Table = Table("client keys");
const SUBKEY: &[u8] = b"keys subkey";
const EDITS: Table = Table("client edits");

impl<S: DeviceStore + Send + 'static> Insider<S> {
    /// Opens a new device over a store.
    ///
    /// # Errors
    /// When it does not open.
    pub fn new(rows: S) -> Result<Self> {
        let clock = Clock::start();
        let mut ambient = Ambient { now: clock.now(), rng: &mut SystemEntropy };
        let device = Device::open(OpenStore::new(rows), &mut ambient)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { device: Some(device), clock, runtime, tls: tls::make_client_config(None)? })
    }

    /// Calls the device.
    ///
    /// # Errors
    /// When there is none: an exchange failed before.
    pub fn with<T>(&mut self, call: impl FnOnce(&mut Device<OpenStore<S>>, &mut Ambient<'_>) -> T) -> Result<T> {
        let device = self.device.as_mut().context("the device is gone")?;
        Ok(call(device, &mut Ambient { now: self.clock.now(), rng: &mut SystemEntropy }))
    }

    /// Goes online until something holds and nothing is left to exchange; then offline again.
    ///
    /// # Errors
    /// When that is not so after [`PATIENCE`].
    pub fn exchange_until(&mut self, holds: impl Fn(&mut Device<OpenStore<S>>) -> bool) -> Result<()> {
        let shared = SharedDevice::new(self.device.take().context("the device is gone")?, self.clock);
        shared.with(Device::go_online)?;
        let (driven, tls) = (shared.clone(), Arc::clone(&self.tls));
        let driver = self.runtime.spawn(async move { driven.stay_connected(tls).await });
        let mut steps = shared.steps();
        let waiting = async {
            while !shared.with(|device, _| device.is_settled() && holds(device)) {
                if steps.changed().await.is_err() {
                    break;
                }
            }
        };
        let done = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
        driver.abort();
        // Aborted tasks let go of what they hold once they are joined.
        drop(self.runtime.block_on(driver));
        let status = shared.with(|device, _| device.status())?;
        drop(steps);
        self.device = Some(shared.into_inner().context("the device is still shared")?);
        self.with(Device::go_offline)??;
        ensure!(done.is_ok(), "not all is exchanged: {status:?}");
        Ok(())
    }

    /// Goes online until nothing is left to exchange; then offline again.
    ///
    /// # Errors
    /// When something is left after [`PATIENCE`].
    pub fn exchange(&mut self) -> Result<()> {
        self.exchange_until(|_| true)
    }

    /// Looks at the machine and the store below the device, and changes them; opens the device anew afterwards.
    ///
    /// # Errors
    /// Those of `call`, and when the device does not open again.
    pub fn below<T>(&mut self, call: impl FnOnce(&mut Below<'_, S>) -> Result<T>) -> Result<T> {
        let device = self.device.take().context("the device is gone")?;
        let (user, agency) = device.home().context("the device belongs to no agency")?;
        let mut store = device.into_store();
        let row = store.get(FACTS, b"seeds")?.context("no keys")?;
        let seeds: Seeds = decode(&row, 1_024)?;
        let key = DeviceKey::from_seed(Key32::from_slice(&seeds.signing).context("no key")?.expose());
        let config = DeviceConfig {
            key: key.clone(),
            incarnation: store.incarnation,
            user,
            agency,
            // Nothing is sent from here, so that no relay has to prove itself.
            relay: DeviceId([0; 32]),
            credential: DeviceCredential::Member,
            limits: DeviceLimits::default(),
        };
        let mut machine = DeviceMachine::open(config, &mut store)?;
        let called = call(&mut Below { machine: &mut machine, store: &mut store, key });
        if let Some(failure) = machine.commit(&mut store).failure {
            return Err(failure.into());
        }
        let mut ambient = Ambient { now: self.clock.now(), rng: &mut SystemEntropy };
        self.device = Some(Device::open(store, &mut ambient)?);
        called
    }
}

/// A device without the program over it.
pub struct Below<'a, S> {
    machine: &'a mut DeviceMachine,
    store: &'a mut OpenStore<S>,
    key: DeviceKey,
}

impl<S: DeviceStore> Below<'_, S> {
    /// Names the actor under which this device writes to a document.
    pub fn actor(&self, document: &ChainId) -> vereda_base::ActorBytes {
        derive_actor(self.key.device_id(), self.store.incarnation, *document)
    }

    /// Builds the replica of a document from its chunks.
    ///
    /// # Errors
    /// When one of them does not open.
    pub fn replica(&self, document: &ChainId) -> Result<Replica> {
        let mut replica = Replica::empty(self.actor(document));
        let mut chunks = Vec::new();
        self.machine.chunks_since(self.store, document, 0, &mut |_, chunk| {
            chunks.push(chunk);
            ControlFlow::Continue(())
        })?;
        for chunk in chunks {
            let header = chunk.header.verify()?;
            let header = header.value();
            let chunk_key = derive_chunk_key(&self.document_key(document)?, &scope(header));
            let padded = open(&chunk_key, &Nonce24(*header.nonce), &header.associated_data(), &chunk.ciphertext)?;
            let author = derive_actor(header.device, header.incarnation, *document);
            let context = replica.context(author, header.first_change);
            let (first_seq, count) = (header.first_change, header.change_count);
            let expect = Expect { context, first_seq, count, closure: &|_| true };
            replica.apply(&ParsedChunk::parse(unpad(&padded)?, &expect)?)?;
        }
        Ok(replica)
    }

    /// Lists the raw changes of a document that no chunk holds yet, with the seq of each, and takes them out of the store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn take_edits(&mut self) -> Result<Vec<(ChainId, u64, Vec<u8>)>> {
        let mut edits = Vec::new();
        let mut keys = Vec::new();
        self.store.scan(EDITS, None, &mut |key, value| {
            if let (Some(document), Some(seq)) = (key.first_chunk::<32>(), key.last_chunk::<8>()) {
                edits.push((ChainId(*document), u64::from_be_bytes(*seq), value.to_vec()));
            }
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        for key in keys {
            self.store.delete(EDITS, &key)?;
        }
        Ok(edits)
    }

    /// Seals and signs a chunk as the next of this device, building on all chunks that are here, and puts it into the
    /// outbox. `spoil` may change the header before it is signed.
    ///
    /// # Errors
    /// When the machine does not take it: then nobody would.
    pub fn push(
        &mut self,
        document: &ChainId,
        content: &Content,
        sealing: Sealing,
        spoil: impl FnOnce(&mut Header),
    ) -> Result<()> {
        let place = self.machine.next_place(self.store, document)?;
        let cites = self.machine.cites(self.store, document)?.context("no right to write")?;
        let padded = pad(&content.body)?;
        let nonce = Nonce24::make(&mut SystemEntropy);
        let mut header = Header {
            suite: SUITE,
            kind: ChunkKind::Changes,
            document: *document,
            epoch: 0,
            device: self.key.device_id(),
            incarnation: place.incarnation,
            seq: place.seq,
            prev: place.prev,
            deps: self.machine.heads(self.store, document)?,
            cites,
            first_change: content.first_change,
            change_count: u32::try_from(content.hashes.len())?,
            ciphertext_len: u32::try_from(padded.len() + TAG_BYTES)?,
            ciphertext_hash: Digest([0; 32]),
            commitment: Digest([0; 32]),
            nonce: nonce.0.into(),
            ops_root: ops_root(&self.document_key(document)?, &content.hashes),
        };
        let key = derive_chunk_key(&self.document_key(document)?, &scope(&header));
        header.commitment = commitment(&key);
        spoil(&mut header);
        let ciphertext = match sealing {
            Sealing::Real => seal(&key, &nonce, &header.associated_data(), &padded),
            Sealing::Identity => [padded.as_slice(), &[0; TAG_BYTES]].concat(),
        };
        header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
        let signed = Verified::sign(&self.key, header)?;
        let chunk = Chunk { header: signed.into_signed(), ciphertext };
        self.machine.enqueue_chunk(self.store, &chunk)?;
        Ok(())
    }

    /// Lists what was set aside of a document: the author and the signed bytes of each chunk.
    ///
    /// # Errors
    /// When the store fails, or the evidence proves nothing.
    pub fn evidence(&self, document: &ChainId) -> Result<Vec<(DeviceId, Vec<u8>)>> {
        let rows = self.machine.quarantined(self.store, document)?;
        rows.into_iter()
            .map(|row| {
                let chunk: Chunk = decode(&row.chunk, row.chunk.len())?;
                Ok((chunk.header.verify()?.value().device, row.chunk))
            })
            .collect()
    }

    fn document_key(&self, document: &ChainId) -> Result<DocumentEpochKey> {
        let row = [document.as_bytes().as_slice(), &0_u64.to_be_bytes()].concat();
        let sealed = self.store.get(KEYS, &row)?.context("the document's key is not here")?;
        let subkey = self.store.get(FACTS, SUBKEY)?.context("the subkey is not here")?;
        let subkey = Key32::from_slice(&subkey).context("no subkey")?;
        let (nonce, sealed) = sealed.split_first_chunk().context("no nonce")?;
        let key = open(&subkey, &Nonce24(*nonce), &row, sealed)?;
        Ok(DocumentEpochKey::from_key(Key32::from_slice(&key).context("no key")?))
    }
}

fn scope(header: &Header) -> ChunkKeyScope {
    ChunkKeyScope {
        suite: header.suite,
        kind: 0,
        document: header.document,
        device: header.device,
        incarnation: header.incarnation,
        seq: header.seq,
        epoch: header.epoch,
    }
}
