//! How a relay lies, alone or together with a member.

/// What a malicious relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malice {
    /// It withholds removals from some devices, for a while or for good: the removal alone, or its chain from there on.
    Withholds,
    /// It hands on what a removed device goes on to write, as if that stood, and twins of what stands, which the device
    /// signs for it.
    BackDates,
    /// Two histories from one point on: each group of devices is served one, until they meet.
    Forks,
    /// It goes back to an earlier disk.
    RollsBack,
    /// It swaps or withholds wraps, and lies about the leaves of frontiers.
    Falsifies,
}

impl Malice {
    /// All of them, in the order of the seeds that ask for them.
    pub const ALL: [Self; 5] = [Self::Withholds, Self::BackDates, Self::Forks, Self::RollsBack, Self::Falsifies];

    /// The one that a seed asks for: by its rest when divided by their number.
    pub fn of(seed: u64) -> Self {
        let at = usize::try_from(seed % Self::ALL.len() as u64).unwrap_or(0);
        Self::ALL.get(at).copied().unwrap_or(Self::Withholds)
    }
}
