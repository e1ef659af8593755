//! What speaks against the relay, for people.

use serde::Serialize;
use vereda_base::ChainId;
use vereda_sync::device::{DeviceStore, RelayFault};

use crate::device::{Device, DeviceError};

/// Something that speaks against the relay. What it rests on is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayFaultView {
    /// One word: `forked`, `withholds`, `rolled_back`, `cuts_off`, `invents`, `severs`.
    pub fault: &'static str,
    /// The chain that it shows in.
    pub chain: Option<ChainId>,
    /// The name of that, if known.
    pub name: Option<String>,
    /// What it means and what to do, in one sentence without a full stop.
    pub sentence: &'static str,
}

impl<S: DeviceStore> Device<S> {
    /// Lists what speaks against the relay.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn relay_faults(&self) -> Result<Vec<RelayFaultView>, DeviceError> {
        let mut found = Vec::new();
        if self.contact.is_deceived {
            found.push(self.view_fault(
                "withholds",
                None,
                "the relay does not hold what an invite or a device's link promised: it was set back, or deceives; nothing \
                 is sent to it, ask whoever gave you the link",
            ));
        }
        let faults = match &self.machine {
            Some(machine) => machine.relay_faults(&self.store)?,
            None => Vec::new(),
        };
        found.extend(faults.into_iter().map(|fault| match fault {
            RelayFault::Forked { chain, .. } => self.view_fault(
                "forked",
                Some(chain),
                "the relay gave two different accounts of one decision: nothing is sent to it; the proof is kept, tell whoever \
                 answers for the agency",
            ),
            RelayFault::Withholds { chain, .. } => self.view_fault(
                "withholds",
                Some(chain),
                "the relay withholds decisions that a colleague's device knows: access may have changed without this device \
                 learning of it; ask your colleagues, and tell whoever runs the relay",
            ),
            RelayFault::LogShorter { .. } => self.view_fault(
                "rolled_back",
                None,
                "the relay was set back: its records end before what it had handed over; tell whoever runs it",
            ),
            RelayFault::Lost { .. } => self.view_fault(
                "rolled_back",
                None,
                "the relay was set back: it lacks work of this device that it had confirmed, which is kept here; tell whoever \
                 runs it",
            ),
            RelayFault::Forgot { chain } => self.view_fault(
                "rolled_back",
                Some(chain),
                "the relay was set back, or tells another story than before: it lacks what it had handed over; tell whoever \
                 runs it",
            ),
            RelayFault::CutsOff { chain } => self.view_fault(
                "cuts_off",
                Some(chain),
                "the relay would have had a removal cut off work that it had confirmed: it was not signed; tell whoever \
                 runs the relay",
            ),
            RelayFault::Severs { chain } => self.view_fault(
                "severs",
                Some(chain),
                "the relay handed over a removal that does not name work that it had handed over before: it withheld the removal, \
                 or has it cut work off; what came here before it is kept; ask whoever is said to have removed somebody, and \
                 tell whoever answers for the agency",
            ),
            RelayFault::Invents { chain } => self.view_fault(
                "invents",
                Some(chain),
                "the relay would have a removal let work stand that it never handed over: it is not signed so, and waits; tell \
                 whoever runs the relay",
            ),
        }));
        found.dedup();
        Ok(found)
    }

    fn view_fault(&self, fault: &'static str, chain: Option<ChainId>, sentence: &'static str) -> RelayFaultView {
        let name = chain.and_then(|chain| self.name_of(&chain).map(str::to_owned));
        RelayFaultView { fault, chain, name, sentence }
    }
}
