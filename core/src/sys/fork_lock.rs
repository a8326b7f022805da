//! A lock that forks cannot leave held.
#![allow(unsafe_code)] // A lock's cell.

use super::fork::{generation, watch};
use crate::sync::{AtomicU32, Ordering};
use crossbeam_utils::Backoff;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

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
        // Release: the next holder sees what this one wrote. Fails when a child took over what its parent's thread
        // held.
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
