//! Wrong attempts slow down.
//!
//! An attempt is counted, durably, before it is made and forgotten when it succeeds, so that killing the program does
//! not help. Setting the clock back only starts the wait anew. This slows whoever tries at the keyboard; against a
//! copy of the files only Argon2id and the passphrase help.

use std::{fmt, io, time::Duration};

use minicbor::{Decode, Encode};
use vereda_base::Timestamp;

use super::{
    AllowedAt,
    place::{VaultFile, VaultPlace},
};

const FREE_ATTEMPTS: u32 = 3;
const LONGEST: Duration = Duration::from_secs(3_600);

/// Tells how long to wait after so many wrong attempts: nothing after three, then 1 s, doubled each time, an hour at
/// most.
pub fn delay_after(wrong: u32) -> Duration {
    let Some(beyond) = wrong.checked_sub(FREE_ATTEMPTS) else { return Duration::ZERO };
    Duration::from_secs(1u64.checked_shl(beyond).filter(|_| beyond < 12).unwrap_or(u64::MAX)).min(LONGEST)
}

/// The count of one vault.
pub(super) struct Attempts<'a> {
    place: &'a dyn VaultPlace,
    count: Count,
}

impl fmt::Debug for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("count", &self.count).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Count {
    #[n(0)]
    wrong: u32,
    #[n(1)]
    last: Timestamp,
}

impl<'a> Attempts<'a> {
    /// Reads the count. A file that is no count counts as many attempts: who damages it gains nothing.
    pub(super) fn read(place: &'a dyn VaultPlace) -> io::Result<Self> {
        let damaged = Count { wrong: 10, last: Timestamp(i64::MAX) };
        let bytes = place.read(VaultFile::Attempts)?;
        let count = bytes.map(|bytes| vereda_base::decode(&bytes, 64).unwrap_or(damaged)).unwrap_or_default();
        Ok(Self { place, count })
    }

    /// Counts an attempt before it is made, or says when the next one is allowed.
    pub(super) fn begin(&mut self, now: Timestamp) -> io::Result<Result<(), AllowedAt>> {
        let delay = delay_after(self.count.wrong);
        if !delay.is_zero() && now < self.count.last {
            // The clock was set back, or had been ahead: the wait starts anew from here.
            self.count.last = now;
            self.write()?;
        }
        let allowed_at = self.count.last.saturating_add(delay);
        if !delay.is_zero() && now < allowed_at {
            return Ok(Err(allowed_at));
        }
        self.count = Count { wrong: self.count.wrong.saturating_add(1), last: now };
        self.write()?;
        Ok(Ok(()))
    }

    /// Forgets the wrong attempts after a right one. The file stays, so that it can be written when the disk is full.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        let count = std::mem::take(&mut self.count);
        if count == Count::default() { Ok(()) } else { self.write() }
    }

    /// Tells how many attempts were wrong in a row.
    pub(super) const fn wrong(&self) -> u32 {
        self.count.wrong
    }

    fn write(&self) -> io::Result<()> {
        self.place.replace(VaultFile::Attempts, &vereda_base::encode(&self.count))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::vault::{VaultId, folder::VaultFolder, lock::VaultLock};

    fn place(folder: &Path) -> VaultFolder {
        let lock = VaultLock::take(folder).unwrap().unwrap();
        VaultFolder::new(folder.to_owned(), folder, &VaultId([1; 16]), lock)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    #[test]
    fn the_delay_doubles_after_three_wrong_attempts_up_to_an_hour() {
        let check = |wrong, seconds| assert_eq!(delay_after(wrong), Duration::from_secs(seconds), "{wrong}");
        check(0, 0);
        check(2, 0);
        check(3, 1);
        check(4, 2);
        check(8, 32);
        check(14, 2_048);
        check(15, 3_600);
        check(u32::MAX, 3_600);
    }

    #[test]
    fn attempts_are_counted_across_restarts_and_forgotten_after_success() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        for _ in 0..4 {
            Attempts::read(&place).unwrap().begin(at(100)).unwrap().ok();
        }
        let mut attempts = Attempts::read(&place).unwrap();
        assert_eq!(attempts.begin(at(100)).unwrap(), Err(at(101)));
        assert_eq!(attempts.begin(at(101)).unwrap(), Ok(()));
        assert_eq!(attempts.begin(at(102)).unwrap(), Err(at(103)));
        attempts.forget().unwrap();
        assert_eq!(Attempts::read(&place).unwrap().wrong(), 0);
    }

    #[test]
    fn a_clock_set_back_only_starts_the_wait_anew() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let mut attempts = Attempts::read(&place).unwrap();
        for _ in 0..3 {
            attempts.begin(at(1_000)).unwrap().unwrap();
        }
        assert_eq!(attempts.begin(at(10)).unwrap(), Err(at(11)));
        assert_eq!(attempts.begin(at(5)).unwrap(), Err(at(6)));
        assert_eq!(attempts.begin(at(6)).unwrap(), Ok(()));
    }

    #[test]
    fn attempts_are_counted_even_where_no_second_file_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let mut attempts = Attempts::read(&place).unwrap();
        attempts.begin(at(100)).unwrap().unwrap();
        fs::create_dir(folder.path().join("attempts.new")).unwrap();
        attempts.begin(at(100)).unwrap().unwrap();
        assert_eq!(Attempts::read(&place).unwrap().wrong(), 2);
        attempts.forget().unwrap();
        assert_eq!(Attempts::read(&place).unwrap().wrong(), 0);
    }

    #[test]
    fn a_damaged_count_is_no_way_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        fs::write(folder.path().join("attempts.cbor"), b"nonsense").unwrap();
        let mut attempts = Attempts::read(&place).unwrap();
        assert_eq!(attempts.begin(at(1_000)).unwrap(), Err(at(1_128)));
    }
}
