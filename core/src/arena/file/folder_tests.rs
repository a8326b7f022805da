#![allow(unsafe_code)] // fork, waitpid and _exit

use super::*;
use std::os::fd::{AsRawFd, FromRawFd};

/// The lock of a killed maker goes with it, although a thread of its had forked meanwhile and the child lives on.
#[test]
fn a_child_of_fork_lets_go_of_the_lock() {
    let mut options = HostConfig::new("orders");
    let path = PathBuf::from(format!("/dev/shm/tidegate-test-lock-{}", std::process::id()));
    options.path = Some(path.clone());
    let folder = Folder::open(&options).expect("a directory");
    let locked = folder.lock().expect("free");
    // SAFETY: the child only sleeps until it is killed.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    }
    // As the kernel closes it at death: without the unlocking that a drop does.
    let descriptor = locked._held.as_raw_fd();
    std::mem::forget(locked);
    // SAFETY: forgotten, so nobody else closes it.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    let start = Instant::now();
    let again = folder.lock();
    // SAFETY: the child was forked here and was not waited for.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    std::fs::remove_dir(&path).expect("empty");
    again.expect("free again");
    assert!(start.elapsed() < PATIENCE / 2, "the child kept it");
}
