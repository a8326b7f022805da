//! Locks that the kernel releases at death: open-file-description locks on bytes far beyond a file's end.
//!
//! They belong to an open file description, not to a process (POSIX locks go with any close of the file in the process)
//! nor to a thread (robust futexes); they mean the same in every pid namespace, and they go when the last copy of the
//! descriptor does, after the last instruction of the last thread of a killed process.
#![allow(unsafe_code)] // Calls in a child of fork must be async-signal-safe: plain libc.

use super::fork::{ChildHook, generation};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, fallocate, fcntl};
use nix::sys::stat::fstat;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A descriptor on a file that carries locks of this process alone. A child of fork finds it opened anew, without
/// locks; where that could not be done it has none.
///
/// Invariant: every call on the descriptor goes through [`own`](Self::own). While a process shares its parent's
/// description its parent's locks do not show and can be taken, so whatever it were told of them would be wrong: "not
/// locked" would read as "dead".
#[derive(Debug)]
pub(crate) struct LockFile {
    kept: ManuallyDrop<Kept>,
    file: ManuallyDrop<OwnedFd>,
}

impl LockFile {
    /// `file`: opened for this, to read and write (or, to ask only, to read), close-on-exec; no copy of another
    /// descriptor.
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        // SAFETY: an open descriptor. A number that is no standard stream's.
        unsafe { park(file.as_raw_fd()) };
        let kept = Kept::new(&file)?;
        Ok(Self { kept: ManuallyDrop::new(kept), file: ManuallyDrop::new(file) })
    }

    /// The descriptor, if it is this process's own.
    ///
    /// Errors: `EBADF` when it was closed behind our back, or was the parent's and could not be opened anew in a child
    /// of fork.
    fn own(&self) -> io::Result<&OwnedFd> {
        if self.is_whole() { Ok(&self.file) } else { Err(Errno::EBADF.into()) }
    }

    /// Takes the byte unless another holds it.
    pub(crate) fn try_lock(&self, byte: u64) -> io::Result<bool> {
        match fcntl(self.own()?, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, byte)?)) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the filesystem give `at..end` its space now. What has it already is left as it is.
    pub(crate) fn reserve(&self, at: usize, end: usize) -> io::Result<()> {
        Ok(reserve(self.own()?, at, end)?)
    }

    /// The same file, to read.
    pub(crate) fn to_read(&self) -> io::Result<std::fs::File> {
        Ok(self.own()?.try_clone()?.into())
    }

    pub(crate) fn unlock(&self, byte: u64) -> io::Result<()> {
        fcntl(self.own()?, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, byte)?))?;
        Ok(())
    }

    /// Whether another holds the byte.
    pub(crate) fn is_locked(&self, byte: u64) -> io::Result<bool> {
        let mut range = range(libc::F_WRLCK, byte)?;
        fcntl(self.own()?, FcntlArg::F_OFD_GETLK(&mut range))?;
        Ok(range.l_type != libc::F_UNLCK as libc::c_short)
    }

    /// Whether the descriptor is still what it was: not closed by a sweep over all descriptors, not lost in a fork.
    pub(crate) fn is_whole(&self) -> bool {
        let entry = self.kept.entry();
        entry.is_own() && entry.is(self.file.as_raw_fd())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        let whole = self.is_whole();
        // SAFETY: each is dropped once and not used after this. The entry goes first: once the descriptor is closed its
        // number may be somebody else's, and then it is not ours to close.
        unsafe {
            ManuallyDrop::drop(&mut self.kept);
            if whole {
                ManuallyDrop::drop(&mut self.file);
            }
        }
    }
}

/// Moves the descriptor's position to the furthest that the filesystem knows: what a stray `write` to its number would
/// put there is refused, so it cannot overwrite the file. Locks and mappings have positions of their own.
///
/// # Safety
/// `descriptor` is open. async-signal-safe.
unsafe fn park(descriptor: RawFd) {
    // SAFETY: only moves a position; what it refuses moves nothing.
    let reaches = |position: i64| unsafe { libc::lseek64(descriptor, position, libc::SEEK_SET) == position };
    if reaches(i64::MAX) {
        return;
    }
    let (mut reached, mut refused) = (0, i64::MAX);
    while refused - reached > 1 {
        let middle = reached + (refused - reached) / 2;
        if reaches(middle) { reached = middle } else { refused = middle }
    }
}

/// Has the filesystem give these bytes of a file their space; what has it already is left as it is.
///
/// Errors: those of fallocate(2). Where the filesystem cannot do it, `ENOSPC` unless the whole file has its space: the
/// library's emulation would write to bytes that others change at that moment.
pub(crate) fn reserve(file: impl AsFd, at: usize, end: usize) -> nix::Result<()> {
    loop {
        let (start, length) = (at as libc::off_t, end.saturating_sub(at).max(1) as libc::off_t);
        match fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, start, length) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                let stat = fstat(&file)?;
                let whole = stat.st_blocks.saturating_mul(512) >= stat.st_size;
                return if whole { Ok(()) } else { Err(Errno::ENOSPC) };
            }
            Err(why) => return Err(why),
        }
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

/// Arenas that a process can have open at once, and directories that it has locked.
pub(crate) const ENTRIES: usize = 64;

/// Which descriptors a child opens anew.
static TABLE: [Entry; ENTRIES] = [const { Entry::free() }; ENTRIES];

struct Entry {
    /// 0: free; 1: being written; else the descriptor + 2.
    state: AtomicU64,
    device: AtomicU64,
    inode: AtomicU64,
    /// The generation of the process whose description it is.
    generation: AtomicU32,
}

const FREE: u64 = 0;
const CLAIMED: u64 = 1;

impl Entry {
    const fn free() -> Self {
        Self {
            state: AtomicU64::new(FREE),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            generation: AtomicU32::new(0),
        }
    }

    /// Whether the description is this process's, not one that it inherited.
    fn is_own(&self) -> bool {
        // Relaxed: changes only while the entry is being written, or in a child with a single thread.
        self.generation.load(Ordering::Relaxed) == generation()
    }

    /// Whether `descriptor` is of the file that was entered: a number may have been closed behind our back and given
    /// out again.
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
pub(crate) struct Kept(usize);

impl Kept {
    pub(crate) fn new(file: &OwnedFd) -> io::Result<Self> {
        REOPEN.register();
        let stat = fstat(file)?;
        // Acquire: what its owner before wrote to it is over.
        let claimed =
            |entry: &Entry| entry.state.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let index = TABLE.iter().position(claimed).ok_or(Errno::EMFILE)?;
        let entry = &TABLE[index];
        // Relaxed, all: published by `state`.
        entry.device.store(stat.st_dev, Ordering::Relaxed);
        entry.inode.store(stat.st_ino, Ordering::Relaxed);
        entry.generation.store(generation(), Ordering::Relaxed);
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

static REOPEN: ChildHook = ChildHook(reopen_all);

/// In a child of fork: new descriptions behind the same numbers.
fn reopen_all(before: u32, own: u32) {
    for entry in &TABLE {
        // Acquire: pairs with the release of `Kept::new`.
        match entry.state.load(Ordering::Acquire) {
            FREE => {}
            // Relaxed: the child has one thread; the one that was at it is not in it.
            CLAIMED => entry.state.store(FREE, Ordering::Relaxed),
            state => {
                let descriptor = (state - 2) as RawFd;
                // Relaxed, here and below: one thread. What the parent had lost itself is nobody's.
                let was_own = entry.generation.load(Ordering::Relaxed) == before;
                if was_own && entry.is(descriptor) && reopen(descriptor) {
                    entry.generation.store(own, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Puts a new description of the same file in the descriptor's place. False: the child may not, or cannot (no
/// descriptor is free, `/proc` is not there); then the number is closed and never used again. Either way the parent's
/// description is let go of.
fn reopen(descriptor: RawFd) -> bool {
    let path = own_path(descriptor);
    // SAFETY: the path ends in a zero byte; `descriptor` is ours to replace (`Entry::is`), `new` is opened here.
    // async-signal-safe.
    unsafe {
        let new = libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC);
        let replaced = new >= 0 && libc::dup3(new, descriptor, libc::O_CLOEXEC) >= 0;
        if replaced {
            park(descriptor);
        } else {
            libc::close(descriptor);
        }
        if new >= 0 {
            libc::close(new);
        }
        replaced
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
                while !two.try_lock(7).unwrap() {
                    std::thread::yield_now();
                }
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
        assert!(reopen(one.file.as_raw_fd()));
        assert!(one.is_whole() && two.try_lock(7).unwrap() && !one.try_lock(7).unwrap());
    }

    #[test]
    fn a_stray_write_to_its_number_is_refused() {
        let one = file();
        for stray in [one.file.as_raw_fd(), again(&one).file.as_raw_fd()] {
            // SAFETY: a byte.
            assert_eq!(unsafe { libc::write(stray, b"x".as_ptr().cast(), 1) }, -1);
        }
        assert!(reopen(one.file.as_raw_fd()));
        // SAFETY: as above.
        assert_eq!(unsafe { libc::write(one.file.as_raw_fd(), b"x".as_ptr().cast(), 1) }, -1);
        assert_eq!(nix::sys::stat::fstat(&*one.file).unwrap().st_size, 0);
    }

    #[test]
    fn what_shares_another_process_s_description_knows_nothing() {
        let one = file();
        let two = again(&one);
        assert!(two.try_lock(7).unwrap() && one.is_locked(7).unwrap());
        // As in a child that could not open it anew.
        // Relaxed: one thread.
        one.kept.entry().generation.store(generation().wrapping_add(1), Ordering::Relaxed);
        assert!(!one.is_whole());
        for answer in [one.is_locked(7), one.try_lock(8), one.unlock(8).map(|()| true)] {
            assert_eq!(answer.map_err(|error| error.raw_os_error()), Err(Some(libc::EBADF)));
        }
        let descriptor = one.file.as_raw_fd();
        drop(one);
        // SAFETY: only asks; then closed here, as the drop left it alone.
        unsafe {
            assert!(libc::fcntl(descriptor, libc::F_GETFD) >= 0, "somebody else's by now, perhaps");
            libc::close(descriptor);
        }
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
