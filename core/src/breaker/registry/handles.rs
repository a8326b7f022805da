//! The handles of this process: for each place the latest one, found without a lock.
//!
//! A handle is replaced while others read it, so its memory must outlive who reads: `arc_swap` keeps it for them
//! without a lock, and without a wait of either side.

use super::shelf::Shelf;
use super::{Place, config};
use crate::ConfigError;
use crate::breaker::CircuitBreaker;
use crate::memory::boxed;
use std::fmt;
use std::sync::Arc;

/// A handle that stays while this is held, whatever is put in its place.
#[cfg(not(loom))]
pub(super) struct Lent<T = CircuitBreaker>(arc_swap::Guard<Option<Arc<T>>>);

#[cfg(not(loom))]
impl<T> Lent<T> {
    #[inline]
    pub(super) fn get(&self) -> &Arc<T> {
        self.0.as_ref().expect("only of one that was found")
    }
}

/// A handle, or another thing, that changes.
#[cfg(not(loom))]
pub(super) struct HandleCell<T = CircuitBreaker>(arc_swap::ArcSwapOption<T>);

#[cfg(not(loom))]
impl<T> HandleCell<T> {
    pub(super) fn new(first: Option<Arc<T>>) -> Self {
        Self(arc_swap::ArcSwapOption::new(first))
    }

    /// The handle, if it is what `is_it` says.
    #[inline]
    pub(super) fn find(&self, is_it: impl FnOnce(&T) -> bool) -> Option<Arc<T>> {
        self.lend(is_it).map(|lent| lent.get().clone())
    }

    /// The same, not counted: whoever counts a handle writes to the line that all readers of it want.
    #[inline]
    pub(super) fn lend(&self, is_it: impl FnOnce(&T) -> bool) -> Option<Lent<T>> {
        let handle = self.0.load();
        handle.as_ref().is_some_and(|found| is_it(found)).then(|| Lent(handle))
    }

    pub(super) fn put(&self, handle: Arc<T>) {
        self.0.store(Some(handle));
    }

    /// The one that is there, if it is what `is_it` says; else this one, from now on.
    pub(super) fn find_or_put(&self, handle: &Arc<T>, is_it: impl Fn(&T) -> bool) -> Arc<T> {
        loop {
            let seen = self.0.load();
            if let Some(found) = seen.as_ref().filter(|found| is_it(found)) {
                return found.clone();
            }
            let before = self.0.compare_and_swap(&*seen, Some(handle.clone()));
            if before.as_ref().map(Arc::as_ptr) == seen.as_ref().map(Arc::as_ptr) {
                return handle.clone();
            }
        }
    }
}

#[cfg(loom)]
pub(super) struct Lent<T = CircuitBreaker>(Arc<T>);

#[cfg(loom)]
impl<T> Lent<T> {
    pub(super) fn get(&self) -> &Arc<T> {
        &self.0
    }
}

/// The library is its own; the models are about what is shared.
#[cfg(loom)]
pub(super) struct HandleCell<T = CircuitBreaker>(std::sync::Mutex<Option<Arc<T>>>);

#[cfg(loom)]
impl<T> HandleCell<T> {
    pub(super) fn new(first: Option<Arc<T>>) -> Self {
        Self(std::sync::Mutex::new(first))
    }

    pub(super) fn find(&self, is_it: impl FnOnce(&T) -> bool) -> Option<Arc<T>> {
        let handle = self.0.lock().expect("no panic under it").clone();
        handle.filter(|handle| is_it(handle))
    }

    pub(super) fn lend(&self, is_it: impl FnOnce(&T) -> bool) -> Option<Lent<T>> {
        self.find(is_it).map(Lent)
    }

    pub(super) fn put(&self, handle: Arc<T>) {
        *self.0.lock().expect("no panic under it") = Some(handle);
    }

    pub(super) fn find_or_put(&self, handle: &Arc<T>, is_it: impl Fn(&T) -> bool) -> Arc<T> {
        let mut it = self.0.lock().expect("no panic under it");
        if let Some(found) = it.as_ref().filter(|found| is_it(found)) {
            return found.clone();
        }
        *it = Some(handle.clone());
        handle.clone()
    }
}

impl<T> Default for HandleCell<T> {
    fn default() -> Self {
        Self::new(None)
    }
}

impl<T> fmt::Debug for HandleCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleCell")
    }
}

#[derive(Debug)]
pub(super) struct Handles(Box<[HandleCell]>);

impl Handles {
    /// For so many places. Errors: no memory for them.
    pub(super) fn new(places: usize) -> Result<Self, ConfigError> {
        boxed(&config::MAX, places as u64, |_| HandleCell::default()).map(Self)
    }

    /// The handle of a key, where this process has had one since the key has its place. Neither locks nor allocates.
    #[inline]
    pub(super) fn find(&self, shelf: &Shelf, hash: u64, key: &[u8]) -> Option<Arc<CircuitBreaker>> {
        self.lend(shelf, hash, key).map(|lent| lent.get().clone())
    }

    /// The same, not counted.
    #[inline]
    pub(super) fn lend(&self, shelf: &Shelf, hash: u64, key: &[u8]) -> Option<Lent> {
        shelf.search(hash, |entry| {
            let is_it = |place: &Place| entry.is_of(place.incarnation()) && place.key().is(key, || shelf.key(key));
            self.0.get(entry.place())?.lend(|handle| handle.place.as_ref().is_some_and(is_it))
        })
    }

    /// The one handle of this process for what this one stands for: itself, where there is none yet.
    pub(super) fn keep(&self, handle: Arc<CircuitBreaker>) -> Arc<CircuitBreaker> {
        let Some(place) = handle.place.as_ref() else { return handle };
        let Some(cell) = self.0.get(place.number()) else { return handle };
        let is_same = |it: &CircuitBreaker| it.place.as_ref().is_some_and(|it| it.is_as(place));
        cell.find_or_put(&handle, is_same)
    }
}
