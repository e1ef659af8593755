//! A small reproducible source of numbers (SplitMix64, Steele, Lea and Flood 2014). Not for secrets.

/// Draws numbers out of a seed.
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below a bound; 0 for the bound 0.
    pub(super) const fn below(&mut self, bound: usize) -> usize {
        let product = (self.next() as u128).wrapping_mul(bound as u128);
        (product >> 64) as usize
    }

    /// Draws a number from a range, both ends included.
    pub(super) const fn between(&mut self, low: usize, high: usize) -> usize {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    pub(super) fn bytes(&mut self) -> [u8; 16] {
        let (high, low) = (u128::from(self.next()), u128::from(self.next()));
        (high << 64 | low).to_be_bytes()
    }
}
