//! What a concurrency limiter counts.

use crate::stats::stats;
use tidegate::concurrency;

stats! {
    /// Counts since a concurrency limiter was made.
    ConcurrencyStats {
        /// The limit in force.
        limit: u32,
        /// Permits held now.
        in_use: u32,
        /// Calls admitted.
        admitted: u64,
        /// Calls that got no permit: refused, timed_out and cancelled together.
        denied: u64,
        /// Calls that a dry run admitted and would have denied.
        would_deny: u64,
        /// Permits taken back from processes that died.
        reclaimed: u64,
        /// Calls refused without a wait.
        refused: u64,
        /// Waits that ended at their timeout.
        timed_out: u64,
        /// Waits that were given up before: a task cancelled, Ctrl-C.
        cancelled: u64,
        /// Calls that wait now, in all processes of its scope.
        waiting: u64,
        /// Seconds of the longest wait so far, of those that have ended and of those who wait now.
        longest_wait: f64,
    }
}

impl From<concurrency::ConcurrencyStats> for ConcurrencyStats {
    fn from(core: concurrency::ConcurrencyStats) -> Self {
        Self {
            limit: core.limit,
            in_use: core.in_use,
            admitted: core.admitted,
            denied: core.denied,
            would_deny: core.would_deny,
            reclaimed: core.reclaimed,
            refused: core.refused,
            timed_out: core.timed_out,
            cancelled: core.cancelled,
            waiting: core.waiting,
            longest_wait: core.longest_wait.as_secs_f64(),
        }
    }
}
