//! What a limiter tells of itself.

use super::ConcurrencyLimiter;
use super::wait_queue::{ADMITTED, CANCELLED, REFUSED, TIMED_OUT, WOULD_DENY};
use std::time::Duration;

/// Counts since the limiter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// The limit in force.
    pub limit: u32,
    /// Permits held now.
    pub in_use: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls that got no permit: `refused`, `timed_out` and `cancelled` together.
    pub denied: u64,
    /// Calls refused without a wait.
    pub refused: u64,
    /// Waits that ended at their deadline.
    pub timed_out: u64,
    /// Waits that were given up before: a future dropped, a task cancelled, a signal aborted. In C none can be.
    pub cancelled: u64,
    /// Calls that wait now; in a named scope those of all processes, as each said when it last looked, in the last
    /// second.
    pub waiting: u64,
    /// The longest wait so far, of those that have ended and of those who wait now.
    pub longest_wait: Duration,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// Permits taken back from processes that died (host scope).
    pub reclaimed: u64,
}

/// Who holds permits: a process, by its slot in the arena. A process that is alone is slot 0, incarnation 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyHolder {
    /// The process's slot.
    pub slot: u16,
    /// Which of the processes that had the slot.
    pub incarnation: u32,
    /// Permits it holds.
    pub permits: u32,
}

impl ConcurrencyLimiter {
    /// Permits held now. Those of a dead process count until a denial takes them back.
    pub fn in_use(&self) -> u32 {
        self.shared.places.held()
    }

    /// Counts.
    pub fn stats(&self) -> ConcurrencyStats {
        let shared = &self.shared;
        let [refused, timed_out, cancelled] = [REFUSED, TIMED_OUT, CANCELLED].map(|count| shared.counts.sum(count));
        let (waiting, longest_wait) = shared.waits();
        ConcurrencyStats {
            limit: self.limit(),
            in_use: self.in_use(),
            admitted: shared.counts.sum(ADMITTED),
            denied: refused.saturating_add(timed_out).saturating_add(cancelled),
            refused,
            timed_out,
            cancelled,
            waiting,
            longest_wait,
            would_deny: shared.counts.sum(WOULD_DENY),
            reclaimed: shared.places.reclaimed(),
        }
    }

    /// Who holds permits now, by slot.
    pub fn holders(&self) -> Vec<ConcurrencyHolder> {
        let mut permits = std::collections::BTreeMap::<u64, u32>::new();
        self.shared.places.owners().for_each(|owner| *permits.entry(owner).or_default() += 1);
        let holder = |(owner, permits)| {
            let (slot, incarnation) = super::owners::member(owner);
            ConcurrencyHolder { slot, incarnation, permits }
        };
        permits.into_iter().map(holder).collect()
    }
}
