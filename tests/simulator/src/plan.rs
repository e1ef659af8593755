//! What kind of world a seed asks for.

use crate::{draw::Draw, malice::Malice, mutation::Mutation};

/// From this seed on people decide on access too.
pub const ACCESS_FROM: u64 = 10_000;
/// From this seed on the relay lies too.
pub const MALICE_FROM: u64 = 20_000;
/// From this seed on it does not, and all faults are rough.
pub const MALICE_UPTO: u64 = 30_000;

/// From this seed on there is everything that came later: the acts and the lies of [`Plan::is_wide`]. No lies yet.
pub const WIDE_FROM: u64 = 40_000;
/// From this seed on with a relay that lies.
pub const WIDE_MALICE_FROM: u64 = 50_000;

/// A world to be.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Everything in the world is drawn from it.
    pub seed: u64,
    /// People, each with one device; the first founds the agency.
    pub people: usize,
    /// Cases that are made at most.
    pub cases: usize,
    /// What all people together do: edits mostly.
    pub actions: u32,
    /// Faults of the network in a thousand chances to have one.
    pub network: u64,
    /// Crashes, as above.
    pub crashes: u64,
    /// Commits that fail, as above.
    pub full_disks: u64,
    /// Clocks that jump, as above.
    pub clocks: u64,
    /// People who go offline, as above.
    pub offline: u64,
    /// Decisions about access in a thousand things that people do.
    pub access: u64,
    /// People do, and a relay that lies does, also what earlier worlds know nothing of: seeds of those keep their worlds.
    pub is_wide: bool,
    /// How the relay lies, if it does.
    pub malice: Option<Malice>,
    /// What is done wrong, if anything.
    pub mutation: Option<Mutation>,
}

impl Plan {
    /// Draws the plan of a seed. One kind of fault is stronger in some worlds than in others, and absent in some.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 1);
        // The first thousand worlds are mild, the first ten thousand with decisions, those with lies, and wide ones; all others
        // rough.
        let is_mild = seed < 1_000 || (ACCESS_FROM..MALICE_UPTO).contains(&seed) || seed >= WIDE_FROM;
        let levels = if is_mild { [0, 40, 120, 300] } else { [0, 100, 300, 600] };
        let mut level = || draw.pick(&levels).copied().unwrap_or(0);
        let (network, crashes, full_disks, clocks, offline) = (level(), level(), level() / 2, level(), level());
        Self {
            seed,
            people: usize::try_from(draw.between(3, 5)).unwrap_or(3),
            cases: usize::try_from(draw.between(2, 6)).unwrap_or(2),
            actions: u32::try_from(draw.between(30, 110)).unwrap_or(30),
            network,
            crashes,
            full_disks,
            clocks,
            offline,
            access: if seed < ACCESS_FROM { 0 } else { draw.pick(&[40, 80, 160, 300]).copied().unwrap_or(0) },
            is_wide: seed >= WIDE_FROM,
            malice: match seed {
                MALICE_FROM..MALICE_UPTO => Some(Malice::of(seed)),
                WIDE_MALICE_FROM.. => Some(Malice::of_wide(seed)),
                _ => None,
            },
            mutation: None,
        }
    }

    /// The same world with a relay that lies, as it does in worlds of such seeds.
    #[must_use]
    pub fn with_malice(self, malice: Malice) -> Self {
        Self { malice: Some(malice), ..self.with_access() }
    }

    /// The same world with everything that came later.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { is_wide: true, ..self }
    }

    /// The same world with every kind of fault, and with decisions on access.
    #[must_use]
    pub fn with_access(self) -> Self {
        let least = |level: u64| level.max(60);
        Self {
            network: least(self.network),
            crashes: least(self.crashes),
            offline: least(self.offline),
            actions: self.actions.max(60),
            access: self.access.max(200),
            ..self
        }
    }

    /// The same world with something done wrong. Every kind of fault occurs in it.
    #[must_use]
    pub fn with(self, mutation: Mutation) -> Self {
        let least = |level: u64| level.max(60);
        Self {
            mutation: Some(mutation),
            network: least(self.network),
            crashes: least(self.crashes),
            offline: least(self.offline),
            actions: self.actions.max(60),
            access: self.access.max(if mutation.concerns_access() { 200 } else { 0 }),
            ..self
        }
    }
}
