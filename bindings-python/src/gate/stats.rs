//! What a gate tells of itself.

use crate::stats::stats;

stats! {
    /// Counts since a gate was made, of this process.
    GateStats {
        /// Calls that were let in.
        admitted: u64,
        /// Calls that were refused.
        denied: u64,
        /// Calls that a dry run let in and would have refused.
        would_deny: u64,
        /// Those that were refused, by the kind of the part that the answer named.
        denied_access: u64,
        /// See denied_access.
        denied_deadline: u64,
        /// See denied_access.
        denied_shedder: u64,
        /// See denied_access.
        denied_queue: u64,
        /// See denied_access.
        denied_breaker: u64,
        /// See denied_access.
        denied_concurrency: u64,
        /// See denied_access.
        denied_limit: u64,
    }
}

stats! {
    /// What a part of a gate says of a call.
    PartVerdict {
        /// "access", "deadline", "shedder", "queue", "breaker", "concurrency" or "limit".
        kind: String,
        /// The name of the part.
        name: String,
        /// Whether it would let the call in. Of a shedder that refuses some of such calls: whether it lets any in.
        allowed: bool,
        /// Seconds until another try makes sense, `math.inf` for none; 0 where it is allowed.
        retry_after: f64,
        /// How it stands, in words: for people, and the text may change.
        detail: String,
    }
}
