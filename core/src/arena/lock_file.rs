//! Locks that the kernel releases at death: open-file-description locks on bytes far beyond a file's end.
//!
//! They belong to an open file description, not to a process (POSIX locks go with any close of the file in the process) nor to a
//! thread (robust futexes); they mean the same in every pid namespace, and they go when the last copy of the descriptor does,
//! after the last instruction of the last thread of a killed process.
#![allow(unsafe_code)] // Calls in a child of fork must be async-signal-safe: plain libc.

use crate::sync::{AtomicU64, Ordering};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A descriptor on a file that carries locks of this process alone. A child of fork finds it opened anew, without locks.
#[derive(Debug)]
pub(super) struct LockFile {
    // Dropped first: once the descriptor is closed its number may be somebody else's.
    kept: Kept,
    file: OwnedFd,
}

impl LockFile {
    /// `file`: opened for this, to read and write, close-on-exec; no copy of another descriptor.
    pub(super) fn new(file: OwnedFd) -> io::Result<Self> {
        super::fork::watch();
        let kept = Kept::new(&file)?;
        Ok(Self { kept, file })
    }

    /// Takes the byte unless another holds it.
    pub(super) fn try_lock(&self, byte: u64) -> io::Result<bool> {
        match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, byte)?)) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until nobody else holds the byte, and takes it.
    pub(super) fn lock(&self, byte: u64) -> io::Result<()> {
        let range = range(libc::F_WRLCK, byte)?;
        loop {
            match fcntl(&self.file, FcntlArg::F_OFD_SETLKW(&range)) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn unlock(&self, byte: u64) -> io::Result<()> {
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, byte)?))?;
        Ok(())
    }

    /// Whether another holds the byte.
    pub(super) fn is_locked(&self, byte: u64) -> io::Result<bool> {
        let mut range = range(libc::F_WRLCK, byte)?;
        fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut range))?;
        Ok(range.l_type != libc::F_UNLCK as libc::c_short)
    }

    /// Whether the descriptor is still what it was: not closed by a sweep over all descriptors, not lost in a fork.
    pub(super) fn is_whole(&self) -> bool {
        self.kept.entry().is(self.file.as_raw_fd())
    }
}

fn range(kind: libc::c_int, byte: u64) -> io::Result<libc::flock> {
    let start = libc::off_t::try_from(byte).map_err(|_| io::Error::from(Errno::EOVERFLOW))?;
    // SAFETY: a C struct of integers.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = kind as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_start = start;
    range.l_len = 1;
    Ok(range)
}

/// Arenas that a process can have open at once.
const ENTRIES: usize = 64;

/// Which descriptors a child opens anew.
static TABLE: [Entry; ENTRIES] = [const { Entry::free() }; ENTRIES];

struct Entry {
    /// 0: free; 1: being written; else the descriptor + 2.
    state: AtomicU64,
    device: AtomicU64,
    inode: AtomicU64,
}

const FREE: u64 = 0;
const CLAIMED: u64 = 1;

impl Entry {
    const fn free() -> Self {
        Self { state: AtomicU64::new(FREE), device: AtomicU64::new(0), inode: AtomicU64::new(0) }
    }

    /// Whether `descriptor` is of the file that was entered: a number may have been closed behind our back and given out again.
    fn is(&self, descriptor: RawFd) -> bool {
        // SAFETY: a C struct of integers.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `stat` is a valid place for the result; a number that is no descriptor is an error.
        let known = unsafe { libc::fstat(descriptor, &mut stat) } == 0;
        // Relaxed, both: ordered by `state`, which who asks has read or written.
        known && self.device.load(Ordering::Relaxed) == stat.st_dev && self.inode.load(Ordering::Relaxed) == stat.st_ino
    }
}

/// An entry of the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Kept(usize);

impl Kept {
    pub(super) fn new(file: &OwnedFd) -> io::Result<Self> {
        let stat = nix::sys::stat::fstat(file)?;
        // Acquire: what its owner before wrote to it is over.
        let claimed =
            |entry: &Entry| entry.state.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let index = TABLE.iter().position(claimed).ok_or(Errno::EMFILE)?;
        let entry = &TABLE[index];
        // Relaxed, both: published by `state`.
        entry.device.store(stat.st_dev, Ordering::Relaxed);
        entry.inode.store(stat.st_ino, Ordering::Relaxed);
        // Release: a child that sees the descriptor sees of which file it is.
        entry.state.store(file.as_raw_fd() as u64 + 2, Ordering::Release);
        Ok(Self(index))
    }

    fn entry(&self) -> &'static Entry {
        &TABLE[self.0]
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Release: pairs with the claim.
        self.entry().state.store(FREE, Ordering::Release);
    }
}

/// In a child of fork: new descriptions behind the same numbers.
pub(super) fn reopen_all() {
    for entry in &TABLE {
        // Acquire: pairs with the release of `Kept::new`.
        match entry.state.load(Ordering::Acquire) {
            FREE => {}
            // Relaxed: the child has one thread; the one that was at it is not in it.
            CLAIMED => entry.state.store(FREE, Ordering::Relaxed),
            state => {
                let descriptor = (state - 2) as RawFd;
                if entry.is(descriptor) {
                    reopen(descriptor);
                }
            }
        }
    }
}

/// Puts a new description of the same file in the descriptor's place; of nothing, where the child may not open it. Either way the
/// parent's is let go of.
fn reopen(descriptor: RawFd) {
    let path = own_path(descriptor);
    // SAFETY: the path ends in a zero byte. async-signal-safe.
    let mut new = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC) };
    if new < 0 {
        // SAFETY: as above.
        new = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    }
    if new >= 0 {
        // SAFETY: both are descriptors; `descriptor` is ours to replace (`Entry::is`), `new` was opened here. async-signal-safe.
        unsafe {
            libc::dup3(new, descriptor, libc::O_CLOEXEC);
            libc::close(new);
        }
    }
}

/// `/proc/self/fd/N` without an allocation.
fn own_path(descriptor: RawFd) -> [u8; 32] {
    let mut path = [0; 32];
    let start = b"/proc/self/fd/";
    path[..start.len()].copy_from_slice(start);
    let (mut digits, mut at, mut rest) = ([0; 10], 10, descriptor.unsigned_abs());
    while at == 10 || rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    path[start.len()..][..10 - at].copy_from_slice(&digits[at..]);
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::mpsc;
    use std::time::Duration;

    /// The same file once more.
    fn again(file: &LockFile) -> LockFile {
        let path = format!("/proc/self/fd/{}", file.file.as_raw_fd());
        LockFile::new(File::options().read(true).write(true).open(path).unwrap().into()).unwrap()
    }

    fn file() -> LockFile {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        LockFile::new(nix::sys::memfd::memfd_create(c"locks", flags).unwrap()).unwrap()
    }

    #[test]
    fn a_byte_has_one_holder_and_is_free_when_that_is_gone() {
        let one = file();
        let two = again(&one);
        assert!(one.try_lock(7).unwrap() && !two.try_lock(7).unwrap() && two.try_lock(8).unwrap());
        assert!(two.is_locked(7).unwrap() && !two.is_locked(9).unwrap());
        let (done, waited) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                two.lock(7).unwrap();
                done.send(()).unwrap();
            });
            assert!(waited.recv_timeout(Duration::from_millis(5)).is_err());
            drop(one);
            waited.recv().unwrap();
        });
        two.unlock(7).unwrap();
        assert!(again(&two).try_lock(7).unwrap());
    }

    #[test]
    fn opened_anew_in_place_it_holds_nothing() {
        let one = file();
        let two = again(&one);
        assert!(one.try_lock(7).unwrap());
        reopen(one.file.as_raw_fd());
        assert!(one.is_whole() && two.try_lock(7).unwrap() && !one.try_lock(7).unwrap());
    }

    #[test]
    fn paths_of_descriptors() {
        for (descriptor, path) in [(0, "0"), (7, "7"), (1_023, "1023"), (RawFd::MAX, "2147483647")] {
            let bytes = own_path(descriptor);
            let text = std::ffi::CStr::from_bytes_until_nul(&bytes).unwrap().to_str().unwrap();
            assert_eq!(text, format!("/proc/self/fd/{path}"));
        }
    }
}
