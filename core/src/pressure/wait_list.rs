//! Wakers of those who wait, first come first served.

use std::collections::BTreeMap;
use std::task::Waker;

/// The registered wakers by order of arrival, and the process in which each was registered.
#[derive(Debug, Default)]
pub(super) struct WaitList {
    next_id: u64,
    wakers: BTreeMap<u64, (u32, Waker)>,
}

impl WaitList {
    pub(super) fn add(&mut self, waker: Waker) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.wakers.insert(id, (process(), waker));
        id
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Waker> {
        self.wakers.remove(&id).map(|(_, waker)| waker)
    }

    /// The longest waiting, taken out. After a fork the child's copy of the list names threads that exist in the parent
    /// only: they are forgotten (not dropped: that could reach into what those threads held), or they would swallow wake-ups.
    pub(super) fn next(&mut self) -> Option<(u64, Waker)> {
        let here = process();
        while let Some((id, (registered, waker))) = self.wakers.pop_first() {
            if registered == here {
                return Some((id, waker));
            }
            std::mem::forget(waker);
        }
        None
    }

    /// Puts `waker` in the place of the registered one, which comes back, or itself if the waiter has been notified.
    pub(super) fn replace(&mut self, id: u64, waker: Waker) -> Result<Waker, Waker> {
        match self.wakers.get_mut(&id) {
            Some((_, old)) => Ok(std::mem::replace(old, waker)),
            None => Err(waker),
        }
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.wakers.contains_key(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

#[cfg(unix)]
fn process() -> u32 {
    std::process::id()
}

#[cfg(not(unix))]
fn process() -> u32 {
    0
}
