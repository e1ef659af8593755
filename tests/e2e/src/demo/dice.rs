//! A small reproducible source of choices (SplitMix64). Not for secrets.

/// Draws choices out of a seed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Makes dice; equal seeds fall alike.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number below a bound; 0 for the bound 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = z ^ (z >> 31);
        ((u128::from(drawn) * bound as u128) >> 64) as usize
    }

    /// Picks one of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Shuffles.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}
