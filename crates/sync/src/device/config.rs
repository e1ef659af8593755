//! What a device machine is told when it is made.

use std::time::Duration;

use vereda_base::{ChainId, DeviceId, Incarnation, OpId, Sensitive};
use vereda_crypto::DeviceKey;

/// Identity, relay and bounds of one device.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// The device's signing key.
    pub key: DeviceKey,
    /// The present incarnation of its store.
    pub incarnation: Incarnation,
    /// The user the device belongs to.
    pub user: ChainId,
    /// The agency that the device founded, or that the link named by which it joined. No other has an effect here.
    pub agency: ChainId,
    /// The relay's key, as it came by link or invite. Another key is never spoken to.
    pub relay: DeviceId,
    /// Why the relay should listen.
    pub credential: DeviceCredential,
    /// Bounds and delays.
    pub limits: DeviceLimits,
}

/// Why a relay should listen to a device. Once the relay answered `Welcome` and holds the user's chain, the machine
/// goes on as [`DeviceCredential::Member`].
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum DeviceCredential {
    /// It stands in a user chain the relay knows.
    Member,
    /// It founds an agency.
    Founding(Sensitive<[u8; 32]>),
    /// It joins by an invite.
    Invite {
        /// Chain of the invite.
        chain: ChainId,
        /// The `Invite` operation.
        invite: OpId,
        /// The invite's one-time key.
        key: DeviceKey,
    },
}

/// Bounds and delays of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Outbox bytes sent and not yet answered.
    pub window_bytes: u64,
    /// Silence after which the connection is probed.
    pub keepalive: Duration,
    /// Silence after a probe, a connection attempt or a first flight after which the connection counts as lost.
    pub answer: Duration,
    /// Least delay before a new attempt.
    pub backoff_floor: Duration,
    /// Most delay before a new attempt.
    pub backoff_ceiling: Duration,
    /// What others can make the device keep that is of no use yet, or never.
    pub keep: KeepLimits,
}

/// Bounds on what others can make a device keep that does not stand: a device with little room must not be filled by
/// a hostile relay or member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepLimits {
    /// Chunks that wait, by document and in all.
    pub waiting_chunks: Bound,
    /// Operations that wait.
    pub waiting_ops: Bound,
    /// Wraps that wait.
    pub waiting_wraps: Bound,
    /// Chunks set aside as evidence, by document and in all.
    pub quarantine: Bound,
    /// Operations and receipts set aside as evidence.
    pub evidence: Bound,
    /// Chunks in review that this device's user may decide on, by document and in all; and such documents.
    pub reviews: Bound,
    /// Leaves of frontiers, by removal and in all.
    pub leaves: Bound,
    /// Documents to be fetched.
    pub backfills: usize,
}

/// How much of one table may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// In one group: of one document.
    pub group: Option<Amount>,
    /// In all.
    pub whole: Amount,
}

/// A number of rows, and the bytes of their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Default for KeepLimits {
    fn default() -> Self {
        let amount = |rows, mebibytes: u64| Amount { rows, bytes: mebibytes << 20 };
        Self {
            waiting_chunks: Bound { group: Some(amount(512, 4)), whole: amount(16_384, 32) },
            waiting_ops: Bound { group: None, whole: amount(8_192, 16) },
            waiting_wraps: Bound { group: None, whole: amount(8_192, 16) },
            quarantine: Bound { group: Some(amount(16, 4)), whole: amount(256, 16) },
            evidence: Bound { group: None, whole: amount(256, 4) },
            reviews: Bound { group: Some(amount(1_024, 8)), whole: amount(16_384, 64) },
            leaves: Bound { group: Some(amount(262_144, 64)), whole: amount(1 << 20, 256) },
            backfills: 65_536,
        }
    }
}

impl Default for DeviceLimits {
    fn default() -> Self {
        Self {
            window_bytes: 256 << 10,
            keepalive: Duration::from_secs(30),
            answer: Duration::from_secs(45),
            backoff_floor: Duration::from_secs(1),
            backoff_ceiling: Duration::from_secs(300),
            keep: KeepLimits::default(),
        }
    }
}
