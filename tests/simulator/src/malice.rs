//! How a relay lies, alone or together with a member.

/// What a malicious relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malice {
    /// It withholds removals from some devices, for a while or for good: the removal alone, or its chain from there on.
    Withholds,
    /// It hands on what a removed device goes on to write beyond the frontier, as if that stood, and what others build on it.
    BackDates,
    /// Two histories from one point on: each group of devices is served one, until they meet.
    Forks,
    /// It goes back to an earlier disk.
    RollsBack,
    /// It swaps or withholds wraps, and lies about the leaves of frontiers.
    Falsifies,
    /// It offers frontiers for removals that leave places out, or everything, and dates receipts back.
    Severs,
    /// As [`Self::Forks`], between two devices of one person.
    Parts,
}

impl Malice {
    /// The first of them, in the order of the seeds that ask for them.
    pub const FIRST: [Self; 5] = [Self::Withholds, Self::BackDates, Self::Forks, Self::RollsBack, Self::Falsifies];
    /// All of them, in the order of the seeds of wide worlds.
    pub const ALL: [Self; 7] =
        [Self::Withholds, Self::BackDates, Self::Forks, Self::RollsBack, Self::Falsifies, Self::Severs, Self::Parts];

    /// The one that a seed asks for: by its rest when divided by their number.
    pub fn of(seed: u64) -> Self {
        pick(&Self::FIRST, seed)
    }

    /// The same of a wide world.
    pub fn of_wide(seed: u64) -> Self {
        pick(&Self::ALL, seed)
    }
}

fn pick(among: &[Malice], seed: u64) -> Malice {
    let at = usize::try_from(seed % among.len().max(1) as u64).unwrap_or(0);
    among.get(at).copied().unwrap_or(Malice::Withholds)
}
