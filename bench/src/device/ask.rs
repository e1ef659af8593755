//! What the part of a device is asked, and what it answers.

use serde::{Deserialize, Serialize};
use vereda_base::{ChainId, Digest};

use crate::fixture::Drawn;

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Unlocks the vault, which is made if there is none, and lists the cases. Answer: [`Unlocked`].
    Unlock,
    /// Unlocks a vault that is there, lists the cases and does, without the relay, all that a start leaves to be done in steps;
    /// then locks it again. Answer: [`Started`].
    Start,
    /// Makes a vault under a passphrase, in a folder of its own, and unlocks it. Answer: seconds of unlocking.
    Stretch,
    /// Founds an agency with a team and a configuration. No answer.
    Found { link: String },
    /// Makes an invite into the team; the relay must be reached. Answer: the link.
    Invite,
    /// Takes an invite up. No answer.
    Join { link: String, name: String },
    /// Registers cases. Answer: their ids in the order drawn.
    Fill { cases: usize, drawn: Drawn },
    /// Makes one-field edits in each case. Answer: quantiles of one edit.
    Edit { cases: Vec<ChainId>, edits: usize, seed: u64 },
    /// Connects and stays connected. Answer, once all that is expected is here and all of the device's own is at the
    /// relay: [`Met`].
    Meet { expect: Expected },
    /// Disconnects. No answer.
    Leave,
    /// Opens each case for the first time. Answer: quantiles of one.
    Show { cases: Vec<ChainId> },
    /// Lists the cases that hold a word. Answer: quantiles of one list.
    Filter { words: Vec<String> },
    /// Computes the digest over all cases. Answer: the digest.
    Digest,
    /// Adds up what the store holds. Answer: [`Held`].
    Measure,
}

/// What a device waits for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// Cases that others changed.
    pub(crate) changed: Vec<ChainId>,
    /// How many cases there are.
    pub(crate) cases: usize,
}

/// Seconds, each from the request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Unlocked {
    /// Until the vault was open.
    pub(crate) vault: f64,
    /// Until the device was open.
    pub(crate) device: f64,
    /// Until the cases were listed.
    pub(crate) list: f64,
    pub(crate) cases: usize,
}

/// What a start came to, part by part.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Opening the vault: its header, its file, its lock.
    pub(crate) vault: Spent,
    /// Opening the device: chains, keys, what is yet to be done.
    pub(crate) device: Spent,
    /// Listing the cases.
    pub(crate) list: Spent,
    /// What is left to be done in steps.
    pub(crate) sweep: Spent,
    /// How many steps that took.
    pub(crate) steps: u64,
    /// The longest of them, in seconds: so long somebody may wait who does something meanwhile.
    pub(crate) longest: f64,
}

/// What part of a start took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    /// Bytes read from files, those included that the system had in memory; zero where it does not tell.
    pub(crate) read: f64,
}

/// Seconds, each from going online.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Met {
    /// Until the list showed [`SCREEN`] cases, where cases were waited for.
    pub(crate) list: f64,
    /// Until everything was here, opened, and sent.
    pub(crate) everything: f64,
}

/// Cases that make a list usable: what a screen shows, and a second one.
pub(crate) const SCREEN: usize = 50;

/// What a device's store holds, in bytes before sealing the rows.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Operations with their receipts.
    pub(crate) operations: u64,
    pub(crate) wraps: u64,
    /// Chunks, headers included.
    pub(crate) chunks: u64,
    pub(crate) chunk_count: u64,
}

/// What [`Ask::Digest`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digested {
    pub(crate) digest: Digest,
    pub(crate) cases: usize,
}
