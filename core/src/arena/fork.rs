//! What a fork must not hand on: descriptors that carry locks, and locks that a thread of the parent holds.
//!
//! A child of fork has one thread, a copy of all private memory, and the same open file descriptions as its parent. So one
//! handler in the child counts the fork, opens the descriptors anew in place or closes them (a description that the child kept
//! alive would make the parent look alive after its death) and forgets whose counter stripes the thread had. It uses only calls that are
//! async-signal-safe.
#![allow(unsafe_code)] // pthread_atfork, and a lock's cell.

use crate::sync::{AtomicU32, Ordering};
use crossbeam_utils::Backoff;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// 1, and one more in each child of fork; never 0.
static GENERATION: AtomicU32 = AtomicU32::new(1);

/// Which process of a line of forks this is; never 0.
#[inline]
pub(crate) fn generation() -> u32 {
    // Relaxed: it changes only while a child has a single thread.
    GENERATION.load(Ordering::Relaxed)
}

/// Has the handler run in children from now on. Cheap to call again; takes no lock of ours, for a child may call it.
pub(crate) fn watch() {
    static WATCHED: AtomicU32 = AtomicU32::new(0);
    // Acquire: pairs with the release below, so that who returns knows the handler to be in place.
    if WATCHED.load(Ordering::Acquire) == 0 {
        #[cfg(unix)]
        // SAFETY: the handler is a plain function that lives as long as this library; libc forgets it when it is unloaded.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        #[cfg(not(unix))]
        let refused = 0;
        // Only without memory; the next caller tries again. Two callers at once register it twice, which does no harm.
        if refused == 0 {
            // Release: as above.
            WATCHED.store(1, Ordering::Release);
        }
    }
}

#[cfg(unix)]
extern "C" fn in_child() {
    let before = generation();
    let next = before.wrapping_add(1).max(1);
    // Relaxed: the child has one thread, and others that it starts see what was before.
    GENERATION.store(next, Ordering::Relaxed);
    #[cfg(target_os = "linux")]
    super::lock_file::reopen_all(before, next);
    crate::stats::forget();
}

/// A lock that a child of fork can take although a thread of its parent held it. Not for decisions: who waits, sleeps a
/// little and looks again.
#[derive(Debug)]
pub(crate) struct ForkLock<T> {
    /// 0, or the generation of the process of the thread that holds it.
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached only by the holder, one thread at a time.
unsafe impl<T: Send> Send for ForkLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for ForkLock<T> {}

/// The holder's access. Stays on its thread.
#[derive(Debug)]
pub(crate) struct ForkGuard<'a, T> {
    lock: &'a ForkLock<T>,
    generation: u32,
    _thread: PhantomData<*const ()>,
}

impl<T> ForkLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { holder: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }
}

impl<T: Default> Default for ForkLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Default> ForkLock<T> {
    /// Waits until no thread of this process holds it.
    pub(crate) fn lock(&self) -> ForkGuard<'_, T> {
        let backoff = Backoff::new();
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            if backoff.is_completed() {
                std::thread::sleep(Duration::from_micros(200));
            } else {
                backoff.snooze();
            }
        }
    }

    /// `None`: another thread of this process holds it.
    pub(crate) fn try_lock(&self) -> Option<ForkGuard<'_, T>> {
        watch();
        let generation = generation();
        let guard = ForkGuard { lock: self, generation, _thread: PhantomData };
        // Acquire: what the holder before wrote is seen.
        match self.holder.compare_exchange(0, generation, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(guard),
            Err(holder) if holder == generation => {
                std::mem::forget(guard);
                None
            }
            // Its holder is a thread of a process before a fork: it is nowhere in this one.
            // Acquire: as above; only one of several threads takes it over.
            Err(gone) => match self.holder.compare_exchange(gone, generation, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    // SAFETY: held. What that thread may have left half-written is neither read nor dropped.
                    unsafe { self.value.get().write(T::default()) };
                    Some(guard)
                }
                Err(_) => {
                    std::mem::forget(guard);
                    None
                }
            },
        }
    }
}

impl<T> Drop for ForkGuard<'_, T> {
    fn drop(&mut self) {
        // Release: the next holder sees what this one wrote. Fails when a child took over what its parent's thread held.
        let _ = self.lock.holder.compare_exchange(self.generation, 0, Ordering::Release, Ordering::Relaxed);
    }
}

impl<T> Deref for ForkGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for ForkGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: held, by this guard alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns() {
        let lock = ForkLock::new(0_u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| *lock.lock() += 1));
            }
        });
        assert_eq!(*lock.lock(), 4000);
    }

    #[test]
    fn what_a_thread_before_a_fork_held_is_taken_over_as_new() {
        let lock = ForkLock::new(7);
        // Relaxed: one thread.
        lock.holder.store(generation().wrapping_add(5), Ordering::Relaxed);
        assert_eq!(*lock.lock(), 0);
        assert!(lock.try_lock().is_some());
    }
}
