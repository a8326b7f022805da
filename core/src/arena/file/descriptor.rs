//! Descriptors that are no standard stream's.
#![allow(unsafe_code)] // A descriptor from its number.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const LAST_STREAM: i32 = 2;

/// What `opened` opens, with a number above 2. A service that closed its standard streams gets those numbers for the
/// next files that it opens, and whatever it prints from then on is written into them.
pub(super) fn above_streams(opened: impl FnOnce() -> nix::Result<OwnedFd>) -> nix::Result<OwnedFd> {
    let _occupied = occupy()?;
    let descriptor = opened()?;
    if descriptor.as_raw_fd() > LAST_STREAM {
        return Ok(descriptor);
    }
    // Another thread closed a stream just now.
    let number = fcntl(&descriptor, FcntlArg::F_DUPFD_CLOEXEC(LAST_STREAM + 1))?;
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Something that takes no bytes in the place of each stream that is closed.
fn occupy() -> nix::Result<Vec<OwnedFd>> {
    let mut occupied = Vec::new();
    // SAFETY: only asked whether it is open, so nothing comes of it if it is closed.
    let closed = |number| unsafe { fcntl(BorrowedFd::borrow_raw(number), FcntlArg::F_GETFD) } == Err(Errno::EBADF);
    while (0..=LAST_STREAM).any(closed) {
        let descriptor = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        if descriptor.as_raw_fd() > LAST_STREAM {
            break;
        }
        occupied.push(descriptor);
    }
    Ok(occupied)
}
