//! Children of fork, for tests.
#![allow(unsafe_code)] // fork, kill, waitpid, _exit and mmap

use std::time::{Duration, Instant};

/// Only a failing test waits for it.
pub(crate) const GENEROUS: Duration = Duration::from_secs(60);

/// Runs `body` in a child of fork, which ends with whether it was true.
pub(crate) fn child(body: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child runs `body` and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false);
        // SAFETY: ends the child without running the test harness's exit handlers.
        unsafe { libc::_exit(if right { 0 } else { 1 }) };
    }
    pid
}

/// A zeroed page that parent and children see alike, for ever.
///
/// # Safety
/// All of `T` is atomics, which zero is good for.
#[allow(dead_code, reason = "not every test shares memory with its children")]
pub(crate) unsafe fn page<T>() -> &'static T {
    const { assert!(size_of::<T>() <= 4096) };
    // SAFETY: fresh zeroed memory of its own, never unmapped; the rest is the caller's promise.
    unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let at = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert!(at != libc::MAP_FAILED);
        &*at.cast()
    }
}

/// Its exit status, once it has ended.
pub(crate) fn wait(pid: libc::pid_t) -> libc::c_int {
    let mut status = -1;
    // SAFETY: `status` is a valid place for the result.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

#[allow(dead_code, reason = "not every test cares for the status alone")]
pub(crate) fn ends_well(pid: libc::pid_t) {
    assert_eq!(wait(pid), 0, "exit status of the child");
}

/// A signal to a child that has not been waited for.
#[allow(dead_code, reason = "not every test sends others than kill -9")]
pub(crate) fn send(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// kill -9.
pub(crate) fn kill(pid: libc::pid_t) {
    send(pid, libc::SIGKILL);
    wait(pid);
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < GENEROUS, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
