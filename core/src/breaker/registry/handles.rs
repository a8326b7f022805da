//! The handles of this process: for each place the latest one, found without a lock.
//!
//! A handle is replaced while others read it, so its memory must outlive who reads: `arc_swap` keeps it for them
//! without a lock, and without a wait of either side.

use super::Place;
use super::shelf::Shelf;
use crate::breaker::CircuitBreaker;
use std::fmt;
use std::sync::Arc;

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
        let handle = self.0.load();
        let found = handle.as_ref()?;
        is_it(found).then(|| found.clone())
    }

    pub(super) fn put(&self, handle: Arc<T>) {
        self.0.store(Some(handle));
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

    pub(super) fn put(&self, handle: Arc<T>) {
        *self.0.lock().expect("no panic under it") = Some(handle);
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
    /// For so many places.
    pub(super) fn new(places: usize) -> Self {
        Self((0..places).map(|_| HandleCell::default()).collect())
    }

    /// The handle of a key, where this process has had one since the key has its place. Neither locks nor allocates.
    #[inline]
    pub(super) fn find(&self, shelf: &Shelf, hash: u64, key: &[u8]) -> Option<Arc<CircuitBreaker>> {
        shelf.search(hash, |entry| {
            let is_it = |place: &Place| entry.is_of(place.incarnation()) && place.key().is(key, || shelf.key(key));
            self.0.get(entry.place())?.find(|handle| handle.place.as_deref().is_some_and(is_it))
        })
    }

    pub(super) fn keep(&self, handle: &Arc<CircuitBreaker>) {
        let place = handle.place.as_deref().map(Place::number);
        if let Some(cell) = place.and_then(|place| self.0.get(place)) {
            cell.put(handle.clone());
        }
    }
}
