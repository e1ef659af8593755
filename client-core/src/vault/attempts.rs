//! Wrong attempts slow down.
//!
//! An attempt is counted, durably, before it is made and forgotten when it succeeds, so that killing the program does
//! not help. Setting the clock back only starts the wait anew. This slows whoever tries at the keyboard; against a
//! copy of the files only Argon2id and the passphrase help.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use minicbor::{Decode, Encode};
use vereda_base::Timestamp;

use super::{AllowedAt, file::replace};

const FREE_ATTEMPTS: u32 = 3;
const LONGEST: Duration = Duration::from_secs(3_600);

/// Tells how long to wait after so many wrong attempts: nothing after three, then 1 s, doubled each time, an hour at
/// most.
pub fn delay_after(wrong: u32) -> Duration {
    let Some(beyond) = wrong.checked_sub(FREE_ATTEMPTS) else { return Duration::ZERO };
    Duration::from_secs(1u64.checked_shl(beyond).filter(|_| beyond < 12).unwrap_or(u64::MAX)).min(LONGEST)
}

/// The count of one vault.
#[derive(Debug)]
pub(super) struct Attempts {
    path: PathBuf,
    count: Count,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Count {
    #[n(0)]
    wrong: u32,
    #[n(1)]
    last: Timestamp,
}

impl Attempts {
    /// Reads the count. A file that is no count counts as many attempts: who damages it gains nothing.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join("attempts.cbor");
        let count = match fs::read(&path) {
            Ok(bytes) => vereda_base::decode(&bytes, 64).unwrap_or(Count { wrong: 10, last: Timestamp(i64::MAX) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Count::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, count })
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

    /// Writes the count. Where there is no room for a second file, in place: a torn count counts as many attempts.
    fn write(&self) -> io::Result<()> {
        let bytes = vereda_base::encode(&self.count);
        replace(&self.path, &bytes).or_else(|_| {
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            file.write_all(&bytes)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_all()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for _ in 0..4 {
            Attempts::read(folder.path()).unwrap().begin(at(100)).unwrap().ok();
        }
        let mut attempts = Attempts::read(folder.path()).unwrap();
        assert_eq!(attempts.begin(at(100)).unwrap(), Err(at(101)));
        assert_eq!(attempts.begin(at(101)).unwrap(), Ok(()));
        assert_eq!(attempts.begin(at(102)).unwrap(), Err(at(103)));
        attempts.forget().unwrap();
        assert_eq!(Attempts::read(folder.path()).unwrap().wrong(), 0);
    }

    #[test]
    fn a_clock_set_back_only_starts_the_wait_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut attempts = Attempts::read(folder.path()).unwrap();
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
        let mut attempts = Attempts::read(folder.path()).unwrap();
        attempts.begin(at(100)).unwrap().unwrap();
        fs::create_dir(folder.path().join("attempts.new")).unwrap();
        attempts.begin(at(100)).unwrap().unwrap();
        assert_eq!(Attempts::read(folder.path()).unwrap().wrong(), 2);
        attempts.forget().unwrap();
        assert_eq!(Attempts::read(folder.path()).unwrap().wrong(), 0);
    }

    #[test]
    fn a_damaged_count_is_no_way_around_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("attempts.cbor"), b"nonsense").unwrap();
        let mut attempts = Attempts::read(folder.path()).unwrap();
        assert_eq!(attempts.begin(at(1_000)).unwrap(), Err(at(1_128)));
    }
}
