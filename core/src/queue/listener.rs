//! One who waits at a queue.

use super::state::{Interest, QueueState};
use crate::sync::Arc;
use std::task::Waker;

/// A registered waiter: its waker is called once when the interest may be satisfied. Dropping it takes the
/// registration back (it owns what it needs of the queue), and passes a wake-up that it already consumed on to the next
/// waiter, so none is lost.
///
/// Thread safety: may be sent to and used from any thread.
#[derive(Debug)]
#[must_use = "dropping a listener takes its registration back"]
pub struct Listener {
    state: Arc<QueueState>,
    interest: Interest,
    /// `None`: there was nothing to wait for.
    id: Option<u64>,
}

impl Listener {
    /// Registers; in a listener without registration the waker has not been called.
    pub(super) fn new(state: &Arc<QueueState>, interest: Interest, waker: &Waker) -> Self {
        let id = state.register(interest, waker.clone());
        Self { state: state.clone(), interest, id }
    }

    /// Whether the waker has been called.
    pub fn is_notified(&self) -> bool {
        self.id.is_none_or(|id| !self.state.waiters().of(self.interest).contains(id))
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
        let replaced = self.state.waiters().of(self.interest).replace(id, waker);
        replaced.is_ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(id) = self.id
            && !self.state.withdraw(self.interest, id)
        {
            self.state.pass_on(self.interest);
        }
    }
}
