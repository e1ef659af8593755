//! Vaults as their users and their finders meet them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tempfile::TempDir;
use vereda_sync::device::store::{DeviceStore, Table};

use super::*;

const CASES: Table = Table("cases");
const NOW: Timestamp = Timestamp(1_000_000);

struct Device {
    folder: TempDir,
    rng: ChaCha20Rng,
}

impl Device {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), rng: ChaCha20Rng::seed_from_u64(1) }
    }

    fn home(&self) -> VaultHome {
        VaultHome::new(self.folder.path().join("vaults"), self.folder.path().join("state"))
    }

    fn folder_of(&self, id: &VaultId) -> PathBuf {
        self.folder.path().join("vaults").join(id.to_string())
    }

    fn create(&mut self, secret: &UnlockSecret) -> Vault {
        self.home().create(secret, KdfParams::FLOOR, None, &mut self.rng).unwrap()
    }

    fn unlock(&mut self, id: VaultId, secret: &UnlockSecret, now: Timestamp) -> Result<Vault, UnlockVaultError> {
        self.home().unlock(id, secret, now, &mut self.rng)
    }
}

fn right() -> UnlockSecret {
    UnlockSecret::Key(Key32::new([1; 32]))
}

fn wrong() -> UnlockSecret {
    UnlockSecret::Key(Key32::new([2; 32]))
}

fn note(vault: &mut Vault, value: &[u8]) {
    vault.store_mut().put(CASES, b"", b"note", value).unwrap();
    vault.store_mut().commit().unwrap();
}

fn noted(vault: &Vault) -> Option<Vec<u8>> {
    vault.store().get(CASES, b"note").unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_passphrase_unlocks_what_it_made_however_it_is_spelled() {
    let mut device = Device::new();
    let mut vault = device.create(&UnlockSecret::passphrase("caf\u{e9} de nuit"));
    let id = vault.id();
    note(&mut vault, b"kept");
    vault.lock(&mut device.rng).unwrap();
    let vault = device.unlock(id, &UnlockSecret::passphrase("cafe\u{301} de nuit"), NOW).unwrap();
    assert_eq!(noted(&vault), Some(b"kept".to_vec()));
    drop(vault);
    let refused = device.unlock(id, &UnlockSecret::passphrase("cafe de nuit"), NOW).unwrap_err();
    assert!(matches!(refused, UnlockVaultError::WrongSecret { wrong: 1 }));
    let refused = device.unlock(id, &right(), NOW).unwrap_err();
    assert!(matches!(refused, UnlockVaultError::WrongSecret { wrong: 2 }));
}

#[test]
fn what_is_not_committed_is_gone_when_the_vault_is_locked() {
    let mut device = Device::new();
    let mut vault = device.create(&right());
    let id = vault.id();
    note(&mut vault, b"kept");
    vault.store_mut().put(CASES, b"", b"note", b"lost").unwrap();
    vault.lock(&mut device.rng).unwrap();
    assert_eq!(noted(&device.unlock(id, &right(), NOW).unwrap()), Some(b"kept".to_vec()));
}

#[test]
fn a_second_opener_is_told_that_the_vault_is_in_use() {
    let mut device = Device::new();
    let vault = device.create(&right());
    let id = vault.id();
    let refused = device.unlock(id, &right(), NOW).unwrap_err();
    assert!(matches!(refused, UnlockVaultError::InUse { id: found } if found == id));
    assert!(refused.to_string().contains("in use"));
    drop(vault);
    device.unlock(id, &right(), NOW).unwrap();
}

#[test]
fn several_users_have_vaults_that_share_nothing_and_are_listed_without_unlocking() {
    let mut device = Device::new();
    let mut one = device.create(&right());
    one.change_label(Some("night shift".into())).unwrap();
    note(&mut one, b"one");
    let two = device.create(&UnlockSecret::passphrase("another"));
    assert_eq!(noted(&two), None);
    let mut expected = vec![
        VaultListing { id: one.id(), label: Some("night shift".into()), takes_passphrase: false },
        VaultListing { id: two.id(), label: None, takes_passphrase: true },
    ];
    expected.sort_by_key(|listing| listing.id);
    assert_eq!(device.home().list().unwrap(), expected);
    let (first, second) = (one.id(), two.id());
    drop((one, two));
    assert!(device.unlock(second, &right(), NOW).is_err());
    assert_eq!(device.unlock(first, &right(), NOW).unwrap().label(), Some("night shift"));
    assert_eq!(Device::new().home().list().unwrap(), []);
}

#[test]
fn wrong_attempts_slow_down_across_restarts() {
    let mut device = Device::new();
    let id = device.create(&right()).id();
    for attempt in 1..=3 {
        let refused = device.unlock(id, &wrong(), NOW).unwrap_err();
        assert!(matches!(refused, UnlockVaultError::WrongSecret { wrong } if wrong == attempt));
    }
    // Even the right one has to wait now; setting the clock back does not help.
    for now in [NOW, Timestamp(NOW.0 - 500_000)] {
        let refused = device.unlock(id, &right(), now).unwrap_err();
        let expected = Timestamp(now.0 + 1_000);
        assert!(matches!(refused, UnlockVaultError::TooSoon { allowed_at } if allowed_at == expected));
    }
    device.unlock(id, &right(), Timestamp(NOW.0 + 1_000)).unwrap();
    let refused = device.unlock(id, &wrong(), NOW).unwrap_err();
    assert!(matches!(refused, UnlockVaultError::WrongSecret { wrong: 1 }));
}

#[test]
fn a_changed_passphrase_replaces_the_old_one() {
    let mut device = Device::new();
    let mut vault = device.create(&right());
    let id = vault.id();
    note(&mut vault, b"kept");
    let new = UnlockSecret::passphrase("a new one");
    vault.change_secret(&new, KdfParams::FLOOR, &mut device.rng).unwrap();
    drop(vault);
    assert!(matches!(device.unlock(id, &right(), NOW), Err(UnlockVaultError::WrongSecret { .. })));
    assert_eq!(noted(&device.unlock(id, &new, NOW).unwrap()), Some(b"kept".to_vec()));
}

#[test]
fn the_incarnation_stays_over_locking_and_killing() {
    let mut device = Device::new();
    let vault = device.create(&right());
    let (id, incarnation) = (vault.id(), vault.incarnation());
    assert!(vault.is_new_incarnation());
    // Killed rather than locked.
    drop(vault);
    for _ in 0..3 {
        let vault = device.unlock(id, &right(), NOW).unwrap();
        assert_eq!((vault.incarnation(), vault.is_new_incarnation()), (incarnation, false));
        vault.lock(&mut device.rng).unwrap();
    }
}

#[test]
fn a_vault_put_back_from_a_copy_gets_a_new_incarnation() {
    let mut device = Device::new();
    let vault = device.create(&right());
    let (id, incarnation) = (vault.id(), vault.incarnation());
    vault.lock(&mut device.rng).unwrap();
    let (folder, backup) = (device.folder_of(&id), device.folder.path().join("backup"));
    copy(&folder, &backup);
    device.unlock(id, &right(), NOW).unwrap().lock(&mut device.rng).unwrap();
    // In place: same file, older value.
    copy(&backup, &folder);
    let vault = device.unlock(id, &right(), NOW).unwrap();
    assert!(vault.is_new_incarnation());
    assert_ne!(vault.incarnation(), incarnation);
}

#[test]
fn a_copied_folder_gets_a_new_incarnation_here_and_on_another_device() {
    let mut device = Device::new();
    let vault = device.create(&right());
    let (id, incarnation) = (vault.id(), vault.incarnation());
    vault.lock(&mut device.rng).unwrap();
    let folder = device.folder_of(&id);

    let mut other = Device::new();
    other.rng = ChaCha20Rng::seed_from_u64(2);
    copy(&folder, &other.folder_of(&id));
    let copied = other.unlock(id, &right(), NOW).unwrap();
    assert!(copied.is_new_incarnation() && copied.incarnation() != incarnation);

    // The same value outside, but another file.
    let aside = device.folder.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    copy(&aside, &folder);
    let vault = device.unlock(id, &right(), NOW).unwrap();
    assert!(vault.is_new_incarnation() && vault.incarnation() != incarnation);
    assert_ne!(vault.incarnation(), copied.incarnation());
}

#[test]
fn a_new_incarnation_can_be_opened_on_demand_and_stays() {
    let mut device = Device::new();
    let mut vault = device.create(&right());
    let (id, before) = (vault.id(), vault.incarnation());
    let opened = vault.open_incarnation(&mut device.rng).unwrap();
    assert_ne!(opened, before);
    drop(vault);
    let vault = device.unlock(id, &right(), NOW).unwrap();
    assert_eq!((vault.incarnation(), vault.is_new_incarnation()), (opened, false));
}

#[test]
fn what_a_crash_left_of_a_vault_in_the_making_is_swept_and_never_listed() {
    let mut device = Device::new();
    let vaults = device.folder.path().join("vaults");
    let unfinished = vaults.join("unfinished-00112233445566778899aabbccddeeff");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("vault.cbor"), b"half").unwrap();
    assert_eq!(device.home().list().unwrap(), []);
    let vault = device.create(&right());
    assert!(!unfinished.exists());
    assert_eq!(device.home().list().unwrap().len(), 1);
    drop(vault);
}

#[test]
fn damage_and_newer_versions_are_said_plainly_and_touch_nothing() {
    let mut device = Device::new();
    let id = device.create(&right()).id();
    let header = device.folder_of(&id).join("vault.cbor");
    let good = fs::read(&header).unwrap();
    let mut check = |bytes: &[u8], expected: &str| {
        fs::write(&header, bytes).unwrap();
        let error = device.unlock(id, &right(), NOW).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read(&header).unwrap(), bytes);
    };
    check(&[], "damaged");
    check(&good[..good.len() - 1], "damaged");
    check(&[0x82, 0x19, 0x03, 0x84, 0x00], "update the program");
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    check(&flipped, "wrong passphrase or key");
    fs::write(&header, good).unwrap();
    device.unlock(id, &right(), NOW).unwrap();
}

#[test]
fn a_vault_that_is_not_there_is_named() {
    let mut device = Device::new();
    let id: VaultId = "00112233445566778899aabbccddeeff".parse().unwrap();
    assert_eq!(device.unlock(id, &right(), NOW).unwrap_err().to_string(), format!("there is no vault {id}"));
    assert_eq!("00".parse::<VaultId>(), Err(ParseVaultIdError { found: 2 }));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look_at_a_vaults_files() {
    use std::os::unix::fs::PermissionsExt;
    let mut device = Device::new();
    let vault = device.create(&right());
    let folder = device.folder_of(&vault.id());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&folder), 0);
    for entry in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0);
    }
}
