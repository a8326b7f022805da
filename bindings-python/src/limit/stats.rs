//! What limits count.

use crate::stats::stats;
use tidegate::limit;

stats! {
    /// Counts since a bucket was made.
    BucketStats {
        /// Calls admitted.
        admitted: u64,
        /// Calls denied.
        denied: u64,
        /// Calls that a dry run admitted and would have denied.
        would_deny: u64,
    }
}

impl From<limit::BucketStats> for BucketStats {
    fn from(core: limit::BucketStats) -> Self {
        Self { admitted: core.admitted, denied: core.denied, would_deny: core.would_deny }
    }
}

stats! {
    /// Counts since a keyed limit was made.
    LimiterStats {
        /// Calls admitted.
        admitted: u64,
        /// Calls denied.
        denied: u64,
        /// Calls that a dry run admitted and would have denied.
        would_deny: u64,
        /// Idle keys that made room for others.
        evictions: u64,
        /// Calls decided by the shared sketch, because their key found no room.
        overflowed: u64,
        /// Keys blocked (`block=`).
        blocked: u64,
    }
}

impl From<limit::LimiterStats> for LimiterStats {
    fn from(core: limit::LimiterStats) -> Self {
        Self {
            admitted: core.admitted,
            denied: core.denied,
            would_deny: core.would_deny,
            evictions: core.evictions,
            overflowed: core.overflowed,
            blocked: core.blocked,
        }
    }
}
