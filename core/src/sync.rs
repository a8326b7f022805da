//! The one place that names atomics, so that loom can take their place.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};

#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// `std::cell::UnsafeCell` with the face of loom's, which watches every access.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(not(loom))]
pub(crate) use crossbeam_utils::Backoff;

/// Under loom to wait is to let another thread run.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Backoff;

#[cfg(loom)]
impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn spin(&self) {
        loom::thread::yield_now();
    }

    pub(crate) fn snooze(&self) {
        loom::thread::yield_now();
    }
}

/// A load that a CAS will check. Under loom it is an RMW that changes nothing: loom 0.7 remembers only the last access
/// to an atomic, so a load before the CAS would hide the other threads' loads from it, and the orders that follow from
/// them.
#[inline(always)]
pub(crate) fn load_for_cas(word: &AtomicU64) -> u64 {
    #[cfg(loom)]
    return word.fetch_or(0, Ordering::Acquire);
    // Acquire: what is read after it is no older, so that a verdict without a CAS holds as well.
    #[cfg(not(loom))]
    word.load(Ordering::Acquire)
}

/// A load in the one order that all SeqCst accesses share. loom takes SeqCst for AcqRel, so there it is an RMW that
/// changes nothing: between threads that write and then look elsewhere, that orders as much.
#[inline(always)]
pub(crate) fn in_order(word: &AtomicU64) -> u64 {
    #[cfg(loom)]
    return word.fetch_or(0, Ordering::AcqRel);
    // SeqCst: what this is for; on x86 and ARM it costs what Acquire does.
    #[cfg(not(loom))]
    word.load(Ordering::SeqCst)
}
