//! The ids that travelled lately, as both ends know them.

/// How many there are: one byte names a slot, two of its values mean something else.
pub(crate) const SLOTS: usize = 254;

/// A ring of 32-byte values: the oldest gives way.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<[u8; 32]>,
    next: usize,
}

impl Table {
    /// Finds a value's slot.
    pub(crate) fn find(&self, value: &[u8; 32]) -> Option<u8> {
        self.slots.iter().position(|slot| slot == value).and_then(|slot| u8::try_from(slot).ok())
    }

    /// Says whether nothing travelled yet.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.capacity() == 0
    }

    /// Looks into a slot.
    pub(crate) fn at(&self, slot: u8) -> Option<[u8; 32]> {
        self.slots.get(usize::from(slot)).copied()
    }

    /// Remembers a value, unless it is there.
    pub(crate) fn note(&mut self, value: [u8; 32]) {
        if self.find(&value).is_some() {
            return;
        }
        match self.slots.get_mut(self.next) {
            Some(slot) => *slot = value,
            None => self.slots.push(value),
        }
        self.next = (self.next + 1) % SLOTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_value_gives_way_and_a_known_one_takes_no_second_slot() {
        let value = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            bytes
        };
        let mut table = Table::default();
        (0..SLOTS).for_each(|n| table.note(value(n)));
        table.note(value(5));
        assert_eq!(table.find(&value(0)), Some(0));
        table.note(value(SLOTS));
        assert_eq!((table.find(&value(0)), table.find(&value(SLOTS))), (None, Some(0)));
        assert_eq!(table.at(0), Some(value(SLOTS)));
        assert_eq!(table.at(255), None);
    }
}
