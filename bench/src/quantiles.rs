//! The middle and the end of a sample.

use serde::{Deserialize, Serialize};

/// Of a sample of durations, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Quantiles {
    /// Computes them; zeros of an empty sample.
    pub(crate) fn of(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        let at = |per_hundred: usize| {
            let index = sample.len().saturating_mul(per_hundred) / 100;
            sample.get(index.min(sample.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self { median: at(50), p99: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_end_of_a_sample_whatever_its_order() {
        let check = |sample: &[f64], median, p99| {
            assert_eq!(Quantiles::of(sample.to_vec()), Quantiles { median, p99 });
        };
        check(&[], 0.0, 0.0);
        check(&[3.0], 3.0, 3.0);
        check(&[5.0, 1.0, 3.0], 3.0, 5.0);
    }
}
