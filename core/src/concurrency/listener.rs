//! One who waits.

use super::partition::Partition;
use super::wait_queue::{ADMITTED, CANCELLED, REFUSED, Shared, TIMED_OUT, Ticket};
use super::{ConcurrencyPermit, lending};
use crate::sync::Arc;
use std::fmt;
use std::task::Waker;
use std::time::Duration;

/// A place in the line for a permit: its waker is called once when the permit is there to be [taken](Self::take).
/// Dropping it leaves the line and counts as cancelled, unless the permit was taken; a permit that was given meanwhile
/// goes to the next, so none is lost. It owns what it needs of the limiter. In a named scope it [takes](Self::take)
/// again after every [`retry_in`](Self::retry_in): others' releases wake nobody here, and a place may be left to others
/// whose turn it is.
///
/// Thread safety: may be sent to and used from any thread.
#[must_use = "dropping a listener leaves the line"]
pub struct ConcurrencyListener {
    shared: Arc<Shared>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// There was nothing to wait for.
    Granted(ConcurrencyPermit),
    Waiting(Ticket),
    /// The permit has been taken, or there is none to wait for.
    Done,
    /// As many waited as may.
    Refused,
}

impl ConcurrencyListener {
    pub(super) fn granted(shared: &Arc<Shared>, permit: ConcurrencyPermit) -> Self {
        Self { shared: shared.clone(), stage: Stage::Granted(permit) }
    }

    pub(super) fn waiting(shared: &Arc<Shared>, waker: &Waker, deaf: bool, partition: Partition) -> Self {
        let stage = match shared.enqueue(waker.clone(), deaf, partition) {
            Some(ticket) => Stage::Waiting(ticket),
            None => {
                shared.counts.add(REFUSED, 1);
                shared.count_in(lending::DENIED, partition);
                Stage::Refused
            }
        };
        Self { shared: shared.clone(), stage }
    }

    /// Whether it does not wait, because [`max_waiting`](super::ConcurrencyConfig::max_waiting) others do: it is
    /// counted as refused, and there will be no permit.
    pub fn is_refused(&self) -> bool {
        matches!(self.stage, Stage::Refused)
    }

    /// The permit, if it is there; once. In a named scope this also looks for what other processes have given back or
    /// left behind, and with partitions for what is not kept any more.
    pub fn take(&mut self) -> Option<ConcurrencyPermit> {
        let (permit, ticket) = match self.stage {
            Stage::Granted(permit) => (permit, None),
            Stage::Waiting(ticket) => {
                let permit = self.look(ticket.id)?;
                (self.shared.stamped(permit, self.shared.asked_at(ticket.since)), Some(ticket))
            }
            Stage::Done | Stage::Refused => return None,
        };
        self.stage = Stage::Done;
        // One that was to be had at once has been counted.
        if let Some(ticket) = ticket {
            self.end(ticket, ADMITTED);
        }
        Some(permit)
    }

    fn end(&self, ticket: Ticket, how: usize) {
        self.shared.counts.add(how, 1);
        let of_partition = if how == ADMITTED { lending::ADMITTED } else { lending::DENIED };
        self.shared.count_in(of_partition, ticket.partition);
        self.shared.note_wait(ticket);
    }

    /// Gives up because the time for it is over: as dropping it, but counted as timed out.
    pub fn time_out(mut self) {
        self.leave(TIMED_OUT);
    }

    fn leave(&mut self, how: usize) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Granted(permit) => {
                self.shared.give_back(permit);
            }
            Stage::Waiting(ticket) => {
                self.end(ticket, how);
                self.shared.withdraw(ticket.id);
            }
            Stage::Done | Stage::Refused => {}
        }
    }

    fn look(&self, id: u64) -> Option<ConcurrencyPermit> {
        if let Some(permit) = self.shared.fetch(id) {
            return Some(permit);
        }
        if !self.shared.is_looked_at() {
            return None;
        }
        self.shared.reclaim();
        self.shared.serve();
        self.shared.fetch(id)
    }

    /// When to [`take`](Self::take) again if the waker has not been called by then: in a named scope every 1 to 10 ms
    /// for the first in the line, the oftener the sooner the line moved last, and more seldom behind it, because
    /// another process's release wakes nobody here. With partitions every 100 ms, because nobody is woken when a place
    /// is not kept any more. `None`: the waker is enough.
    pub fn retry_in(&mut self) -> Option<Duration> {
        match self.stage {
            Stage::Waiting(ticket) if self.shared.is_looked_at() => Some(self.shared.pause(ticket)),
            _ => None,
        }
    }

    /// Calls `waker` instead of the one before, which may have been called already: [`take`](Self::take) afterwards.
    pub fn rearm(&self, waker: &Waker) {
        if let Stage::Waiting(ticket) = self.stage {
            self.shared.rearm(ticket.id, waker);
        }
    }
}

impl Drop for ConcurrencyListener {
    fn drop(&mut self) {
        self.leave(CANCELLED);
    }
}

impl fmt::Debug for ConcurrencyListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyListener").field("stage", &self.stage).finish_non_exhaustive()
    }
}
