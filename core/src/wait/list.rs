//! Wakers of those who wait, in the order of their arrival.

use crate::sys::generation;
use std::collections::BTreeMap;
use std::task::Waker;

/// The registered wakers by order of arrival.
#[derive(Debug)]
pub(crate) struct WaitList {
    next_id: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Default for WaitList {
    fn default() -> Self {
        // Others than a parent's before a fork: what it left waiting must not be taken for one's own.
        Self { next_id: u64::from(generation()) << 32, wakers: BTreeMap::new() }
    }
}

impl WaitList {
    pub(crate) fn add(&mut self, waker: Waker) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.wakers.insert(id, waker);
        id
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Waker> {
        self.wakers.remove(&id)
    }

    /// The longest waiting, taken out.
    pub(crate) fn next(&mut self) -> Option<(u64, Waker)> {
        self.wakers.pop_first()
    }

    /// The last to have come.
    pub(crate) fn last(&self) -> Option<u64> {
        self.wakers.last_key_value().map(|(&id, _)| id)
    }

    /// Puts `waker` in the place of the registered one, which comes back, or itself if the waiter has been notified.
    pub(crate) fn replace(&mut self, id: u64, waker: Waker) -> Result<Waker, Waker> {
        match self.wakers.get_mut(&id) {
            Some(old) => Ok(std::mem::replace(old, waker)),
            None => Err(waker),
        }
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.wakers.contains_key(&id)
    }

    /// The longest waiting.
    pub(crate) fn first(&self) -> Option<u64> {
        self.wakers.first_key_value().map(|(&id, _)| id)
    }

    /// How many came before, at most `most`.
    pub(crate) fn position(&self, id: u64, most: usize) -> usize {
        self.wakers.range(..id).take(most).count()
    }

    /// How many came after, at most `most`.
    pub(crate) fn position_from_last(&self, id: u64, most: usize) -> usize {
        self.wakers.range(id..).skip(1).take(most).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}
