//! A thread of a C program may be cancelled (`pthread_cancel`) inside a system call. That unwinds its stack by force,
//! which Rust frames end with an abort of the process. So whatever makes system calls holds cancellation off and lets
//! the request wait: it takes effect at the thread's next cancellation point outside.
#![allow(unsafe_code)] // Two calls of the C library that take and give a number.

use std::marker::PhantomData;

/// Cancellation of the calling thread is off until this is dropped, on the same thread.
#[derive(Debug)]
pub struct CancellationOff {
    before: i32,
    /// It belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

/// Of `pthread.h`: the same number on Linux and the BSDs' libraries that have it; macOS has 0.
#[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
const DISABLE: i32 = 1;
#[cfg(target_vendor = "apple")]
const DISABLE: i32 = 0;

#[cfg(all(unix, not(target_os = "android")))]
unsafe extern "C" {
    /// POSIX: the calling thread's own state; no pointer is kept.
    safe fn pthread_setcancelstate(state: i32, before: &mut i32) -> i32;
}

/// Where threads cannot be cancelled there is nothing to hold off.
#[cfg(not(all(unix, not(target_os = "android"))))]
fn pthread_setcancelstate(_state: i32, _before: &mut i32) -> i32 {
    0
}

#[cfg(not(all(unix, not(target_os = "android"))))]
const DISABLE: i32 = 0;

impl CancellationOff {
    /// Holds it off; nested ones are fine.
    #[allow(clippy::new_without_default)] // It acts.
    pub fn new() -> Self {
        let mut before = 0;
        pthread_setcancelstate(DISABLE, &mut before);
        Self { before, not_send: PhantomData }
    }
}

impl Drop for CancellationOff {
    fn drop(&mut self) {
        pthread_setcancelstate(self.before, &mut 0);
    }
}
