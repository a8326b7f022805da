//! A value that a child of fork finds whole, though a thread of its parent was changing it.
#![allow(unsafe_code)] // A value behind an atomic pointer.

use super::{ForkGuard, ForkLock};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value under a lock that forks cannot leave held. Who changes it changes a copy, which takes its place when the
/// guard ends: a child of fork finds what was there before the change or after it. Not for decisions: see [`ForkLock`].
pub(crate) struct Whole<T> {
    turn: ForkLock<()>,
    /// From `Box::into_raw`, and whole at every moment: it is exchanged, never written to.
    now: AtomicPtr<T>,
    _owned: PhantomData<T>,
}

/// The holder's access: what there is, until it is to be changed; then a copy.
pub(crate) struct WholeGuard<'a, T: Clone> {
    of: &'a Whole<T>,
    copy: Option<Box<T>>,
    /// Dropped last.
    _turn: ForkGuard<'a, ()>,
}

impl<T> Whole<T> {
    pub(crate) fn new(value: T) -> Self {
        let now = AtomicPtr::new(Box::into_raw(Box::new(value)));
        Self { turn: ForkLock::new(()), now, _owned: PhantomData }
    }
}

impl<T: Clone> Whole<T> {
    /// Waits until no thread of this process holds it. Not twice in a thread.
    pub(crate) fn lock(&self) -> WholeGuard<'_, T> {
        WholeGuard { _turn: self.turn.lock(), of: self, copy: None }
    }
}

impl<T> Drop for Whole<T> {
    fn drop(&mut self) {
        // SAFETY: from `into_raw`, and nobody else has it any more.
        drop(unsafe { Box::from_raw(*self.now.get_mut()) });
    }
}

impl<T: fmt::Debug + Clone> fmt::Debug for Whole<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.lock(), f)
    }
}

impl<T: Clone> Deref for WholeGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.copy {
            Some(copy) => copy,
            // Acquire: a child takes the turn without its holder having given it back.
            // SAFETY: whole; only who has the turn exchanges it, and that needs this guard's end.
            None => unsafe { &*self.of.now.load(Ordering::Acquire) },
        }
    }
}

impl<T: Clone> DerefMut for WholeGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        if self.copy.is_none() {
            self.copy = Some(Box::new(T::clone(self)));
        }
        self.copy.as_mut().expect("made above")
    }
}

impl<T: Clone> Drop for WholeGuard<'_, T> {
    fn drop(&mut self) {
        if let Some(copy) = self.copy.take() {
            // AcqRel: who finds it finds all of it.
            let before = self.of.now.swap(Box::into_raw(copy), Ordering::AcqRel);
            // SAFETY: from `into_raw`; who reads it needs the turn, which this guard has.
            drop(unsafe { Box::from_raw(before) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_there_for_the_next_and_a_change_under_way_for_nobody() {
        let value = Whole::new(vec![1]);
        value.lock().push(2);
        assert_eq!(*value.lock(), [1, 2]);
        let mut held = value.lock();
        held.push(3);
        // SAFETY: whole.
        assert_eq!(unsafe { &*value.now.load(Ordering::Acquire) }, &[1, 2]);
        drop(held);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| value.lock().push(0)));
            }
        });
        assert_eq!(value.lock().len(), 403);
    }
}
