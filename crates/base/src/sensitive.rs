//! Values that cannot be logged by accident, and the marker of those that may be.

use std::fmt;

use zeroize::Zeroize;

/// Marks types that may stand in logs, errors and metrics: ids, sizes, counts, times. Never a field's value, a name or
/// a key.
pub trait LogSafe: fmt::Debug {}

impl LogSafe for u32 {}
impl LogSafe for u64 {}
impl LogSafe for usize {}

/// Holds a value whose `Debug` shows nothing. Wiped from memory when dropped. Not comparable: comparing secrets takes
/// constant time and belongs to `crypto`.
#[derive(Clone)]
pub struct Sensitive<T: Zeroize>(T);

impl<T: Zeroize> Sensitive<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Borrows the value; the name is meant to be seen in review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sensitive(…)")
    }
}

impl<T: Zeroize> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Zeroize> Drop for Sensitive<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_sensitive_value_shows_nothing_of_it() {
        let text = format!("{:?}", Sensitive::new(String::from("Amina")));
        assert_eq!(text, "Sensitive(…)");
    }
}
