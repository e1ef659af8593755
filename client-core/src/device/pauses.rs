//! Pauses after epochs and repairs that came to nothing: they are tried again when something changed, else more and more
//! seldom. A device that was not told why the relay refuses it would ask without end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use vereda_base::{ChainId, Monotonic};
use vereda_sync::device::IntentId;

/// After the second failure; the first may be no more than that another device was first. It doubles with each.
const SHORTEST: Duration = Duration::from_secs(8);
const LONGEST: Duration = Duration::from_secs(3_600);

/// In which chains this device waits before it begins an epoch, or passes a key on, again.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    intents: BTreeMap<IntentId, ChainId>,
    /// Where something failed since the last step of work.
    failed: BTreeSet<ChainId>,
    chains: BTreeMap<ChainId, Pause>,
}

/// How often something failed one after another in a chain that did not change, and until when that is left alone.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    failures: u32,
    until: Option<Monotonic>,
}

impl Pauses {
    /// Notes what was asked for.
    pub(super) fn note_intent(&mut self, id: IntentId, chain: ChainId) {
        self.intents.insert(id, chain);
    }

    /// Notes what became of something.
    pub(super) fn note_fate(&mut self, id: IntentId, has_failed: bool) {
        self.failed.extend(self.intents.remove(&id).filter(|_| has_failed));
    }

    /// Ends the pause in a chain that changed.
    pub(super) fn end(&mut self, chain: &ChainId) {
        self.chains.remove(chain);
    }

    /// Ends all pauses: what any of them waits for may have come.
    pub(super) fn end_all(&mut self) {
        self.chains.clear();
    }

    /// Begins the pauses after what failed, and ends those whose time has come: says whether there were such.
    pub(super) fn pass(&mut self, now: Monotonic) -> bool {
        for chain in std::mem::take(&mut self.failed) {
            let pause = self.chains.entry(chain).or_default();
            pause.until = wait_after(pause.failures).map(|wait| now.saturating_add(wait));
            pause.failures = pause.failures.saturating_add(1);
        }
        let mut ended = false;
        for pause in self.chains.values_mut().filter(|pause| pause.until.is_some_and(|until| until <= now)) {
            pause.until = None;
            ended = true;
        }
        ended
    }

    /// Says whether a chain is left alone.
    pub(super) fn holds(&self, chain: &ChainId) -> bool {
        self.chains.get(chain).is_some_and(|pause| pause.until.is_some())
    }

    /// Tells when the next pause ends.
    pub(super) fn due(&self) -> Option<Monotonic> {
        self.chains.values().filter_map(|pause| pause.until).min()
    }
}

/// How long to wait when something failed that had failed so often before.
fn wait_after(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(1)?;
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    Some(SHORTEST.saturating_mul(factor).min(LONGEST))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour_and_end_with_any_change() {
        let (chain, other) = (ChainId([1; 32]), ChainId([2; 32]));
        let mut pauses = Pauses::default();
        let mut now = Monotonic(Duration::from_secs(5));
        let fail = |pauses: &mut Pauses, now: Monotonic| {
            pauses.note_intent(IntentId(1), chain);
            pauses.note_fate(IntentId(1), true);
            assert!(!pauses.pass(now));
        };
        let mut waits = Vec::new();
        fail(&mut pauses, now);
        assert_eq!((pauses.due(), pauses.holds(&chain)), (None, false), "another device may have been first");
        for _ in 0..12 {
            fail(&mut pauses, now);
            let until = pauses.due().unwrap();
            assert!(pauses.holds(&chain) && !pauses.holds(&other));
            waits.push(until.0.saturating_sub(now.0).as_secs());
            now = until;
            assert!(pauses.pass(now));
            assert!(!pauses.holds(&chain));
        }
        assert_eq!(waits, [8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600, 3_600]);
        fail(&mut pauses, now);
        pauses.end(&other);
        assert!(pauses.holds(&chain));
        pauses.end(&chain);
        assert!(!pauses.holds(&chain));
        fail(&mut pauses, now);
        assert_eq!(pauses.due(), None, "what changed is tried at once");
    }
}
