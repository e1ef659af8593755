//! Digests of replicas, to see whether two devices hold the same.

use serde::Serialize;
use vereda_base::{ChainId, Digest};
use vereda_crypto::{context, hash};
use vereda_sync::device::DeviceStore;

use crate::device::{Device, DeviceError};

/// Why no digest was made.
pub type DigestError = DeviceError;

/// A digest over replicas: equal where the same changes are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReplicaDigest {
    /// The digest.
    pub digest: Digest,
    /// Over how many cases.
    pub cases: usize,
}

impl<S: DeviceStore> Device<S> {
    /// Computes the digest of one case: over its heads, which name every change, and its record as it reads here.
    ///
    /// # Errors
    /// [`DigestError`] by cause.
    pub fn case_digest(&mut self, case: &ChainId) -> Result<Digest, DigestError> {
        let record = self.record(case)?;
        let heads = self.created_document(case)?.replica.heads();
        // Maps have text keys and nothing is a float: writing into memory cannot fail.
        let content = serde_json::to_vec(&record).unwrap_or_default();
        Ok(Digest(hash(context::REPLICA_DIGEST, &[case.as_bytes(), heads.as_flattened(), &content])))
    }

    /// Computes the digest over all cases that are here, in the order of their ids.
    ///
    /// # Errors
    /// [`DigestError`] by cause.
    pub fn digest(&mut self) -> Result<ReplicaDigest, DigestError> {
        let mut cases: Vec<ChainId> = self.lines()?.into_iter().map(|(case, _)| case).collect();
        cases.sort_unstable();
        let digests: Vec<Digest> = cases.iter().map(|case| self.case_digest(case)).collect::<Result<_, _>>()?;
        let parts: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
        Ok(ReplicaDigest { digest: Digest(hash(context::REPLICA_DIGEST, &parts)), cases: cases.len() })
    }
}
