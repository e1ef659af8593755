//! Cites never regress: who once relied on a head never relies on an older one (protocol.md §3).

use std::collections::BTreeMap;

use vereda_base::{ChainId, DeviceId, OpId};

use crate::{Chains, Cite, Waiting};

/// A cite older than an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cites operation {found} of chain {chain}, after {known} had been cited")]
pub struct CiteRegress {
    /// The chain cited.
    pub chain: ChainId,
    /// Seq of the newest head cited before.
    pub known: u64,
    /// Seq of the head cited now.
    pub found: u64,
}

/// Why cites were not taken into a [`CiteLedger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A head is unknown here.
    #[error(transparent)]
    Waiting(#[from] Waiting),
    /// A head is older than one cited before.
    #[error(transparent)]
    Regress(#[from] CiteRegress),
}

/// Compares the cites of two objects, the earlier first: of no chain may the later cite an older head. Chains that only
/// one of them cites do not matter.
///
/// # Errors
/// [`LedgerError::Regress`] for an older head, [`LedgerError::Waiting`] for a head that is unknown here.
pub fn check_cites_advance(view: &dyn Chains, earlier: &[Cite], later: &[Cite]) -> Result<(), LedgerError> {
    for cite in later {
        let Some(before) = earlier.iter().find(|before| before.chain == cite.chain) else { continue };
        let (known, found) = (seq_of(view, before)?, seq_of(view, cite)?);
        if found < known {
            return Err(CiteRegress { chain: cite.chain, known, found }.into());
        }
    }
    Ok(())
}

/// The newest heads that each device has cited. Objects must be taken in the order in which the device made them: its
/// chunks of one document by seq, say. Keep one ledger for each such order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CiteLedger(BTreeMap<DeviceId, BTreeMap<ChainId, u64>>);

impl CiteLedger {
    /// Makes an empty ledger.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Says whether a device may cite these heads after what it cited before.
    ///
    /// # Errors
    /// As [`check_cites_advance`].
    pub fn check(&self, view: &dyn Chains, device: &DeviceId, cites: &[Cite]) -> Result<(), LedgerError> {
        let known = self.0.get(device);
        for cite in cites {
            let found = seq_of(view, cite)?;
            if let Some(known) = known.and_then(|known| known.get(&cite.chain)).filter(|known| found < **known) {
                return Err(CiteRegress { chain: cite.chain, known: *known, found }.into());
            }
        }
        Ok(())
    }

    /// Notes that a device cited these heads, after checking them.
    ///
    /// # Errors
    /// As [`check_cites_advance`]; the ledger is then unchanged.
    pub fn advance(&mut self, view: &dyn Chains, device: &DeviceId, cites: &[Cite]) -> Result<(), LedgerError> {
        self.check(view, device, cites)?;
        let known = self.0.entry(*device).or_default();
        for cite in cites {
            known.insert(cite.chain, seq_of(view, cite)?);
        }
        Ok(())
    }

    /// Tells the seq of the newest head of a chain that a device cited.
    pub fn newest(&self, device: &DeviceId, chain: &ChainId) -> Option<u64> {
        self.0.get(device)?.get(chain).copied()
    }
}

fn seq_of(view: &dyn Chains, cite: &Cite) -> Result<u64, Waiting> {
    let head: OpId = cite.head;
    view.chain(&cite.chain).and_then(|state| state.seq_of(&head)).ok_or(Waiting { chain: cite.chain, head })
}
