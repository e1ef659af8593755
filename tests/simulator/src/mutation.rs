//! Faults that the checkers must flag: each is a wrapper around a store, a driver or a connection of the simulated world.

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A device's disk says it has committed and commits later: an edit is acknowledged before it is durable.
    DeviceAcksBeforeCommit,
    /// A device's disk drops a row of an edit.
    DeviceDropsEdit,
    /// A device's disk loses sight of a chunk that it stored.
    DeviceHidesChunk,
    /// Two chunks in a device's outbox change places.
    OutboxReorders,
    /// The relay's effects are released before its store has committed.
    RelayEffectsBeforeCommit,
    /// The relay's store loses a chunk that it committed.
    RelayLosesChunk,
    /// Receipts run back in time along a chain.
    ReceiptsRunBack,
    /// The relay hands chunks to devices that may not read them.
    ContentFilterOff,
    /// Every device gets every key that another holds.
    KeysLeak,
    /// Whoever was put out goes on getting every key.
    RemovedKeepUp,
    /// A device takes edits of its own that do not stand to have been made again.
    RemakingSkipped,
    /// The relay's store loses what is taken in of what was in review.
    AdoptedDropped,
    /// What is in review is shown to nobody.
    ReviewHidden,
    /// A device is not told that its work is in review.
    ReviewUntold,
    /// A device takes every frontier to reach everything.
    FrontiersIgnored,
    /// A device forgets what speaks against the relay.
    FaultsForgotten,
    /// A device sends what it wrote as it stands.
    SealingSkipped,
    /// A chunk is left out of a frame whose cursor passes it.
    CursorRunsAhead,
    /// The application writes two edits in another order than it acknowledged them.
    EditsSwapped,
    /// The application acknowledges every edit and writes the last one only.
    EditsCoalesced,
}

impl Mutation {
    /// Says whether it shows only where people decide on access.
    pub const fn concerns_access(self) -> bool {
        matches!(
            self,
            Self::KeysLeak | Self::RemovedKeepUp | Self::AdoptedDropped | Self::ReviewHidden | Self::ReviewUntold
        )
    }
}
