//! One who waits.

use super::ConcurrencyPermit;
use super::line::{ADMITTED, DENIED, Shared};
use crate::sync::Arc;
use std::fmt;
use std::task::Waker;
use std::time::Duration;

/// The longest pause between two looks.
const LONGEST_PAUSE_MS: u64 = 10;

/// A place in the line for a permit: its waker is called once when the permit is there to be [taken](Self::take).
/// Dropping it leaves the line and counts as denied, unless the permit was taken; a permit that was given meanwhile goes to the next, so
/// none is lost. It owns what it needs of the limiter.
///
/// Thread safety: may be sent to and used from any thread.
#[must_use = "dropping a listener leaves the line"]
pub struct ConcurrencyListener {
    shared: Arc<Shared>,
    stage: Stage,
    /// Before the next look.
    pause_ms: u64,
}

#[derive(Debug)]
enum Stage {
    /// There was nothing to wait for.
    Granted(ConcurrencyPermit),
    Waiting(u64),
    /// The permit has been taken.
    Done,
}

impl ConcurrencyListener {
    pub(super) fn granted(shared: &Arc<Shared>, permit: ConcurrencyPermit) -> Self {
        Self { shared: shared.clone(), stage: Stage::Granted(permit), pause_ms: 1 }
    }

    pub(super) fn waiting(shared: &Arc<Shared>, waker: &Waker) -> Self {
        Self { shared: shared.clone(), stage: Stage::Waiting(shared.enqueue(waker.clone())), pause_ms: 1 }
    }

    /// The permit, if it is there; once. In a named scope this also looks for what other processes have given back or left behind.
    pub fn take(&mut self) -> Option<ConcurrencyPermit> {
        let (permit, is_granted) = match self.stage {
            Stage::Granted(permit) => (permit, true),
            Stage::Waiting(id) => (self.look(id)?, false),
            Stage::Done => return None,
        };
        self.stage = Stage::Done;
        // One that was to be had at once has been counted.
        if !is_granted {
            self.shared.counts.add(ADMITTED, 1);
        }
        Some(permit)
    }

    fn look(&self, id: u64) -> Option<ConcurrencyPermit> {
        if let Some(permit) = self.shared.fetch(id) {
            return Some(permit);
        }
        if !self.shared.owners.is_shared() {
            return None;
        }
        self.shared.reclaim();
        self.shared.serve();
        self.shared.fetch(id)
    }

    /// When to [`take`](Self::take) again if the waker has not been called by then: in a named scope 1, 2, 4, 8, then every 10 ms, because
    /// another process's release wakes nobody here (each call gives the next). `None`: the waker is enough.
    pub fn retry_in(&mut self) -> Option<Duration> {
        if !self.shared.owners.is_shared() {
            return None;
        }
        let pause = Duration::from_millis(self.pause_ms);
        self.pause_ms = (2 * self.pause_ms).min(LONGEST_PAUSE_MS);
        Some(pause)
    }

    /// Calls `waker` instead of the one before, which may have been called already: [`take`](Self::take) afterwards.
    pub fn rearm(&self, waker: &Waker) {
        if let Stage::Waiting(id) = self.stage {
            self.shared.rearm(id, waker);
        }
    }
}

impl Drop for ConcurrencyListener {
    fn drop(&mut self) {
        match self.stage {
            Stage::Granted(permit) => {
                self.shared.give_back(permit);
            }
            Stage::Waiting(id) => {
                self.shared.counts.add(DENIED, 1);
                self.shared.withdraw(id);
            }
            Stage::Done => {}
        }
    }
}

impl fmt::Debug for ConcurrencyListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyListener").field("stage", &self.stage).finish_non_exhaustive()
    }
}
