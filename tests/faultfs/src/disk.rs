//! What was written since the last sync, and what becomes of it when the power goes.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

const SECTOR_BYTES: usize = 512;

/// A change to a file that was not synced yet.
#[derive(Debug)]
pub(crate) enum Change {
    Write { offset: u64, old: Vec<u8>, new: Vec<u8>, old_len: u64 },
    Truncate { len: u64, old_tail: Vec<u8>, old_len: u64 },
}

/// The disk behind one layer.
#[derive(Debug)]
pub(crate) struct Disk {
    unsynced: BTreeMap<PathBuf, Vec<Change>>,
    dark: bool,
    generation: u64,
    countdown: Option<u64>,
    ignores_syncs: bool,
    operations: u64,
    random: u64,
}

impl Disk {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            unsynced: BTreeMap::new(),
            dark: false,
            generation: 0,
            countdown: None,
            ignores_syncs: false,
            operations: 0,
            random: seed,
        }
    }

    pub(crate) const fn lose_power_after(&mut self, operations: u64) {
        self.countdown = Some(operations);
    }

    pub(crate) const fn is_dark(&self) -> bool {
        self.dark
    }

    pub(crate) const fn ignore_syncs(&mut self, ignore: bool) {
        self.ignores_syncs = ignore;
    }

    pub(crate) const fn operations(&self) -> u64 {
        self.operations
    }

    /// Tells which handles live: those opened in the present generation while there is power.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn lives(&self, generation: u64) -> bool {
        !self.dark && self.generation == generation
    }

    pub(crate) const fn restore_power(&mut self) {
        self.dark = false;
        self.countdown = None;
        self.generation += 1;
    }

    /// Counts an operation that is about to be made; false if the power goes before it.
    pub(crate) fn begin(&mut self, generation: u64) -> bool {
        if !self.lives(generation) {
            return false;
        }
        match &mut self.countdown {
            Some(0) => {
                self.lose_power();
                return false;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.operations += 1;
        true
    }

    pub(crate) fn note(&mut self, path: &Path, change: Change) {
        self.unsynced.entry(path.to_owned()).or_default().push(change);
    }

    pub(crate) fn synced(&mut self, path: &Path) {
        if !self.ignores_syncs {
            self.unsynced.remove(path);
        }
    }

    pub(crate) fn deleted(&mut self, path: &Path) {
        self.unsynced.remove(path);
    }

    /// Leaves of every file what was synced and, of what was not, what chance keeps.
    pub(crate) fn lose_power(&mut self) {
        self.dark = true;
        for (path, changes) in std::mem::take(&mut self.unsynced) {
            // A file that is gone has nothing to lose.
            if let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) {
                let done = undo(&mut file, &changes).and_then(|()| self.keep_some(&mut file, &changes));
                assert!(done.is_ok(), "the real disk failed: {done:?}");
            }
        }
    }

    fn keep_some(&mut self, file: &mut File, changes: &[Change]) -> io::Result<()> {
        for change in changes {
            match (change, self.chance(4)) {
                (_, 0) => {}
                (Change::Truncate { .. }, 1) => {}
                (Change::Truncate { len, .. }, _) => file.set_len(*len)?,
                (Change::Write { offset, new, .. }, 1) => self.tear(file, *offset, new)?,
                (Change::Write { offset, new, .. }, _) => write_at(file, *offset, new)?,
            }
        }
        Ok(())
    }

    /// Keeps some of a write's sectors.
    fn tear(&mut self, file: &mut File, offset: u64, new: &[u8]) -> io::Result<()> {
        let mut at = offset;
        for sector in new.chunks(SECTOR_BYTES) {
            if self.chance(2) == 0 {
                write_at(file, at, sector)?;
            }
            at += sector.len() as u64;
        }
        Ok(())
    }

    /// Draws below `bound` (SplitMix64; Steele, Lea and Flood 2014).
    const fn chance(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn undo(file: &mut File, changes: &[Change]) -> io::Result<()> {
    for change in changes.iter().rev() {
        match change {
            Change::Write { offset, old, old_len, .. } => {
                write_at(file, *offset, old)?;
                file.set_len(*old_len)?;
            }
            Change::Truncate { len, old_tail, old_len } => {
                file.set_len(*old_len)?;
                write_at(file, *len, old_tail)?;
            }
        }
    }
    Ok(())
}

fn write_at(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Reads a whole file, to compare.
#[cfg(test)]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(disk: &mut Disk, path: &Path, offset: u64, new: &[u8]) {
        let before = read(path);
        let start = (offset as usize).min(before.len());
        let end = (offset as usize + new.len()).min(before.len());
        let change =
            Change::Write { offset, old: before[start..end].to_vec(), new: new.to_vec(), old_len: before.len() as u64 };
        write_at(&mut OpenOptions::new().write(true).open(path).unwrap(), offset, new).unwrap();
        disk.note(path, change);
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_go_in_any_combination() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..60 {
            std::fs::write(&path, b"").unwrap();
            let mut disk = Disk::new(seed);
            written(&mut disk, &path, 0, b"synced");
            disk.synced(&path);
            written(&mut disk, &path, 6, b"+one");
            written(&mut disk, &path, 10, b"+two");
            disk.lose_power();
            let bytes = read(&path);
            assert!(bytes.starts_with(b"synced"));
            outcomes.insert(bytes);
        }
        let expected: [&[u8]; 4] = [b"synced", b"synced+one", b"synced+one+two", b"synced\0\0\0\0+two"];
        assert_eq!(outcomes, expected.into_iter().map(<[u8]>::to_vec).collect());
    }

    #[test]
    fn the_power_goes_after_the_operations_asked_for_and_old_handles_stay_dead() {
        let mut disk = Disk::new(1);
        let old = disk.generation();
        disk.lose_power_after(2);
        assert!(disk.begin(old) && disk.begin(old));
        assert!(!disk.begin(old) && disk.is_dark());
        disk.restore_power();
        assert!(!disk.begin(old));
        assert!(disk.begin(disk.generation()));
    }
}
