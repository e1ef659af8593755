//! The shim between SQLite and its default file system layer.
//!
//! SQLite hands every call a pointer to a structure that this module laid out. Each function below runs only on
//! structures that [`open`] filled in, and only until [`close`], which SQLite calls exactly once.

#![allow(unsafe_code, reason = "a file system layer of SQLite is a table of C functions")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "the one invariant stands at the head of the module")]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::ffi;

use crate::disk::{Change, Disk};

/// What all files of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    name: CString,
    disk: Mutex<Disk>,
    /// SQLite's default layer, which lives as long as the process.
    real: *mut ffi::sqlite3_vfs,
}

// The default layer is a static of SQLite whose functions may be called from any thread.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open file: SQLite's part first, then ours.
#[repr(C)]
struct FaultFile {
    base: ffi::sqlite3_file,
    inner: *mut Inner,
}

struct Inner {
    shared: Arc<Shared>,
    /// Memory of the default layer's file.
    real: Vec<u64>,
    /// `None` for a temporary file, of which nothing is expected to survive.
    path: Option<PathBuf>,
    generation: u64,
}

impl Inner {
    fn real(&mut self) -> *mut ffi::sqlite3_file {
        self.real.as_mut_ptr().cast()
    }

    fn lives(&self) -> bool {
        self.shared.disk().lives(self.generation)
    }
}

/// Registers a layer. Leaks it: SQLite keeps the pointer.
pub(crate) fn register(name: &str, seed: u64) -> Arc<Shared> {
    let name = CString::new(name.replace('\0', "")).unwrap_or_default();
    let real = unsafe {
        ffi::sqlite3_initialize();
        ffi::sqlite3_vfs_find(ptr::null())
    };
    assert!(!real.is_null(), "SQLite has no default file system layer");
    let taken = unsafe { ffi::sqlite3_vfs_find(name.as_ptr()) };
    assert!(taken.is_null(), "there is a layer of that name");
    let shared = Arc::new(Shared { name, disk: Mutex::new(Disk::new(seed)), real });
    let mut vfs = unsafe { *real };
    vfs.iVersion = 2;
    vfs.szOsFile = size_of::<FaultFile>() as c_int;
    vfs.pNext = ptr::null_mut();
    vfs.zName = shared.name.as_ptr();
    vfs.pAppData = Arc::into_raw(shared.clone()).cast_mut().cast();
    vfs.xOpen = Some(open);
    vfs.xDelete = Some(delete);
    vfs.xAccess = Some(access);
    vfs.xFullPathname = Some(full_pathname);
    // The rest, clock, randomness and libraries, does not look at the structure and stays the default's.
    let registered = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
    assert_eq!(registered, ffi::SQLITE_OK, "SQLite refused the layer");
    shared
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without version 3: no memory-mapped reads past us.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Borrows what `register` leaked a reference of.
unsafe fn shared<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Shared {
    unsafe { &*(*vfs).pAppData.cast_const().cast::<Shared>() }
}

/// Takes a reference of one's own.
unsafe fn share(vfs: *mut ffi::sqlite3_vfs) -> Arc<Shared> {
    unsafe {
        let raw: *const Shared = (*vfs).pAppData.cast_const().cast();
        Arc::increment_strong_count(raw);
        Arc::from_raw(raw)
    }
}

unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Some(Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned())
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    unsafe {
        (*file).pMethods = ptr::null();
        let shared = share(vfs);
        if shared.disk().is_dark() {
            return ffi::SQLITE_CANTOPEN;
        }
        let words = (*shared.real).szOsFile as usize / size_of::<u64>() + 1;
        let generation = shared.disk().generation();
        let path = path_of(name);
        let mut inner = Box::new(Inner { shared: shared.clone(), real: vec![0; words], path, generation });
        let Some(real_open) = (*shared.real).xOpen else { return ffi::SQLITE_ERROR };
        let opened = real_open(shared.real, name, inner.real(), flags, out_flags);
        if opened != ffi::SQLITE_OK {
            if !(*inner.real()).pMethods.is_null() {
                real_close(&mut inner);
            }
            return opened;
        }
        let ours: *mut FaultFile = file.cast();
        (*ours).inner = Box::into_raw(inner);
        (*ours).base.pMethods = &raw const METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    unsafe {
        let shared = shared(vfs);
        {
            let mut disk = shared.disk();
            let generation = disk.generation();
            if !disk.begin(generation) {
                return ffi::SQLITE_IOERR_DELETE;
            }
            if let Some(path) = path_of(name) {
                disk.deleted(&path);
            }
        }
        (*shared.real).xDelete.map_or(ffi::SQLITE_ERROR, |delete| delete(shared.real, name, sync_folder))
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    unsafe {
        let real = shared(vfs).real;
        (*real).xAccess.map_or(ffi::SQLITE_ERROR, |access| access(real, name, flags, result))
    }
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    unsafe {
        let real = shared(vfs).real;
        (*real).xFullPathname.map_or(ffi::SQLITE_ERROR, |full| full(real, name, bytes, out))
    }
}

unsafe fn inner<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Inner {
    unsafe { &mut *(*file.cast::<FaultFile>()).inner }
}

/// Calls a function of the default layer on its own file.
macro_rules! real {
    ($inner:expr, $method:ident $(, $argument:expr)*) => {{
        let file = $inner.real();
        match (*(*file).pMethods).$method {
            Some(method) => method(file $(, $argument)*),
            None => ffi::SQLITE_ERROR,
        }
    }};
}

unsafe fn real_close(inner: &mut Inner) -> c_int {
    unsafe { real!(inner, xClose) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let ours: *mut FaultFile = file.cast();
        let mut inner = Box::from_raw((*ours).inner);
        (*ours).inner = ptr::null_mut();
        (*ours).base.pMethods = ptr::null();
        real_close(&mut inner)
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, bytes: c_int, offset: i64) -> c_int {
    unsafe {
        let inner = inner(file);
        if inner.lives() { real!(inner, xRead, to, bytes, offset) } else { ffi::SQLITE_IOERR_READ }
    }
}

/// Reads what is there of a range, through the default layer: opening the file a second time would drop its locks.
unsafe fn present(inner: &mut Inner, offset: u64, bytes: u64) -> Option<(Vec<u8>, u64)> {
    unsafe {
        let mut len = 0;
        if real!(inner, xFileSize, &raw mut len) != ffi::SQLITE_OK {
            return None;
        }
        let len = u64::try_from(len).ok()?;
        let there = len.saturating_sub(offset).min(bytes);
        let mut old = vec![0u8; usize::try_from(there).ok()?];
        if there > 0 {
            let (to, offset) = (old.as_mut_ptr().cast(), i64::try_from(offset).ok()?);
            if real!(inner, xRead, to, c_int::try_from(there).ok()?, offset) != ffi::SQLITE_OK {
                return None;
            }
        }
        Some((old, len))
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, bytes: c_int, offset: i64) -> c_int {
    unsafe {
        let inner = inner(file);
        if !inner.shared.disk().begin(inner.generation) {
            return ffi::SQLITE_IOERR_WRITE;
        }
        let count = usize::try_from(bytes).unwrap_or(0);
        let Some((old, old_len)) = present(inner, offset.unsigned_abs(), count as u64) else {
            return ffi::SQLITE_IOERR_WRITE;
        };
        let written = real!(inner, xWrite, from, bytes, offset);
        if let Some(path) = inner.path.as_deref().filter(|_| written == ffi::SQLITE_OK) {
            let new = std::slice::from_raw_parts(from.cast::<u8>(), count).to_vec();
            inner.shared.disk().note(path, Change::Write { offset: offset.unsigned_abs(), old, new, old_len });
        }
        written
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    unsafe {
        let inner = inner(file);
        if !inner.shared.disk().begin(inner.generation) {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        let Some((old_tail, old_len)) = present(inner, len.unsigned_abs(), u64::from(u32::MAX >> 1)) else {
            return ffi::SQLITE_IOERR_TRUNCATE;
        };
        let truncated = real!(inner, xTruncate, len);
        if let Some(path) = inner.path.as_deref().filter(|_| truncated == ffi::SQLITE_OK) {
            inner.shared.disk().note(path, Change::Truncate { len: len.unsigned_abs(), old_tail, old_len });
        }
        truncated
    }
}

/// Counts the file as durable. The real disk is not asked: the power does not really go.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    unsafe {
        let inner = inner(file);
        let mut disk = inner.shared.disk();
        if !disk.begin(inner.generation) {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if let Some(path) = inner.path.as_deref() {
            disk.synced(path);
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    unsafe {
        let inner = inner(file);
        if inner.lives() { real!(inner, xFileSize, size) } else { ffi::SQLITE_IOERR_FSTAT }
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { real!(inner(file), xLock, level) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { real!(inner(file), xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, result: *mut c_int) -> c_int {
    unsafe { real!(inner(file), xCheckReservedLock, result) }
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, op: c_int, argument: *mut c_void) -> c_int {
    // Growing the file ahead of writes would go past the record of changes.
    if op == ffi::SQLITE_FCNTL_SIZE_HINT || op == ffi::SQLITE_FCNTL_CHUNK_SIZE {
        return ffi::SQLITE_NOTFOUND;
    }
    unsafe { real!(inner(file), xFileControl, op, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { real!(inner(file), xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { real!(inner(file), xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    unsafe { real!(inner(file), xShmMap, page, bytes, extend, out) }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    unsafe { real!(inner(file), xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe {
        let file = inner(file).real();
        if let Some(barrier) = (*(*file).pMethods).xShmBarrier {
            barrier(file);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    unsafe { real!(inner(file), xShmUnmap, delete) }
}
