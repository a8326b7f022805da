//! What the parts of a gate say.

use crate::stats::class::stats;

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
