//! Who waits. Locks are taken here only: by those who wait, and by those who have somebody to wake.

use super::gate::Gate;
use crate::sync::Arc;
use std::collections::BTreeMap;
use std::task::Waker;

/// What a [`Listener`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Room for a push (or the close).
    Push,
    /// An item to pop (or the close).
    Pop,
}

/// The registered wakers by order of arrival, and the process in which each was registered.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next_id: u64,
    lists: [BTreeMap<u64, (u32, Waker)>; 2],
}

impl Waiters {
    pub(super) fn add(&mut self, interest: Interest, waker: Waker) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.lists[interest as usize].insert(id, (process(), waker));
        id
    }

    pub(super) fn remove(&mut self, interest: Interest, id: u64) -> Option<Waker> {
        self.lists[interest as usize].remove(&id).map(|(_, waker)| waker)
    }

    /// The longest waiting, taken out. After a fork the child's copy of the list names threads that exist in the parent
    /// only: they are forgotten (not dropped: that could reach into what those threads held), or they would swallow wake-ups.
    pub(super) fn next(&mut self, interest: Interest) -> Option<Waker> {
        let here = process();
        while let Some((_, (registered, waker))) = self.lists[interest as usize].pop_first() {
            if registered == here {
                return Some(waker);
            }
            std::mem::forget(waker);
        }
        None
    }

    /// Puts `waker` in the place of the registered one, which comes back, or itself if the waiter has been notified.
    fn replace(&mut self, interest: Interest, id: u64, waker: Waker) -> Result<Waker, Waker> {
        match self.lists[interest as usize].get_mut(&id) {
            Some((_, old)) => Ok(std::mem::replace(old, waker)),
            None => Err(waker),
        }
    }

    fn contains(&self, interest: Interest, id: u64) -> bool {
        self.lists[interest as usize].contains_key(&id)
    }

    pub(super) fn is_empty(&self, interest: Interest) -> bool {
        self.lists[interest as usize].is_empty()
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

/// A registered waiter: its waker is called once when the interest may be satisfied. Dropping it takes the
/// registration back (it owns what it needs of the queue), and passes a wake-up that it already consumed on to the next waiter, so none is lost.
///
/// Thread safety: may be sent to and used from any thread.
#[derive(Debug)]
#[must_use = "dropping a listener takes its registration back"]
pub struct Listener {
    gate: Arc<Gate>,
    interest: Interest,
    /// `None`: there was nothing to wait for.
    id: Option<u64>,
}

impl Listener {
    /// Registers; in a listener without registration the waker has not been called.
    pub(super) fn new(gate: &Arc<Gate>, interest: Interest, waker: &Waker) -> Self {
        let id = gate.register(interest, waker.clone());
        Self { gate: gate.clone(), interest, id }
    }

    /// Whether the waker has been called.
    pub fn is_notified(&self) -> bool {
        self.id.is_none_or(|id| !self.gate.waiters().contains(self.interest, id))
    }

    /// Whether there was nothing to wait for when it registered.
    pub(super) fn was_satisfied(&self) -> bool {
        self.id.is_none()
    }

    /// Waits on with another waker; false: it has been notified, and the new waker has no part in it.
    pub(super) fn rearm(&self, waker: &Waker) -> bool {
        let Some(id) = self.id else { return false };
        // Cloned before and dropped after the lock is held: both may run foreign code.
        let waker = waker.clone();
        let replaced = self.gate.waiters().replace(self.interest, id, waker);
        replaced.is_ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(id) = self.id
            && !self.gate.withdraw(self.interest, id)
        {
            self.gate.pass_on(self.interest);
        }
    }
}
