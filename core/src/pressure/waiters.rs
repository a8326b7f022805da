//! Who waits at a queue. Locks are taken here only: by those who wait, and by those who have somebody to wake.

use super::gate::Gate;
use super::wait_list::WaitList;
use crate::sync::Arc;
use std::task::Waker;

/// What a [`Listener`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Room for a push (or the close).
    Push,
    /// An item to pop (or the close).
    Pop,
}

/// Those who wait to push, and those who wait to pop.
#[derive(Debug, Default)]
pub(super) struct Waiters([WaitList; 2]);

impl Waiters {
    pub(super) fn of(&mut self, interest: Interest) -> &mut WaitList {
        &mut self.0[interest as usize]
    }
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
        self.id.is_none_or(|id| !self.gate.waiters().of(self.interest).contains(id))
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
        let replaced = self.gate.waiters().of(self.interest).replace(id, waker);
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
