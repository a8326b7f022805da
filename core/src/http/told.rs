//! A decision in the whole seconds of HTTP.

use crate::decision::{Decision, NEVER};

/// What a client is told to wait, in seconds, where the answer is "never" or "when somebody resets it".
pub const LONGEST_RETRY_AFTER: u64 = 3600;

const NS_PER_S: u64 = 1_000_000_000;

/// The value of `Retry-After` (RFC 9110 section 10.2.3, delay-seconds) for a wait in nanoseconds: rounded up, at least 1.
///
/// [`NEVER`] reads as [`LONGEST_RETRY_AFTER`]: a number must be said, and an hour keeps a client that asks for more than
/// a limit can ever give from asking often. A wait that is known is told in full, however long.
pub fn retry_after_seconds(ns: u64) -> u64 {
    if ns == NEVER { LONGEST_RETRY_AFTER } else { ns.div_ceil(NS_PER_S).max(1) }
}

/// What a client is told of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether the request was admitted.
    pub allowed: bool,
    /// The most that can be taken at once (`q`, `X-RateLimit-Limit`).
    pub limit: u32,
    /// What is left (`r`, `X-RateLimit-Remaining`).
    pub remaining: u32,
    /// Seconds (`t`, `X-RateLimit-Reset`): until the limit is full again, but after a refusal not later than
    /// [`retry_after`](Self::retry_after), because the draft wants `Retry-After` never earlier than `t`.
    pub reset: u64,
    /// Seconds for `Retry-After`, at least 1; 0 when admitted: no such field is sent.
    pub retry_after: u64,
}

impl Told {
    /// The decision, each time rounded up to whole seconds.
    pub fn of(decision: &Decision) -> Self {
        let reset = decision.reset_after_ns.div_ceil(NS_PER_S);
        let retry_after = if decision.allowed { 0 } else { retry_after_seconds(decision.retry_after_ns) };
        let (allowed, limit, remaining) = (decision.allowed, decision.limit, decision.remaining);
        let reset = if allowed { reset } else { reset.min(retry_after) };
        Self { allowed, limit, remaining, reset, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenBucket;

    fn decision(allowed: bool, retry_after_ns: u64, reset_after_ns: u64) -> Decision {
        let ten = TokenBucket::new("10/s".parse().expect("a rate")).peek();
        Decision { allowed, retry_after_ns, reset_after_ns, ..ten }
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        let given = [0, 1, NS_PER_S - 1, NS_PER_S, NS_PER_S + 1, 7_200_500_000_000, NEVER - 1, NEVER];
        let told = [1, 1, 1, 1, 2, 7201, 18_446_744_074, LONGEST_RETRY_AFTER];
        assert_eq!(given.map(retry_after_seconds), told);
    }

    #[test]
    fn an_admission_tells_when_all_is_back() {
        let told = Told::of(&decision(true, 0, 1_500_000_000));
        assert_eq!(told, Told { allowed: true, limit: 10, remaining: 10, reset: 2, retry_after: 0 });
        assert_eq!(Told::of(&decision(true, 0, 0)).reset, 0);
    }

    #[test]
    fn a_refusal_never_tells_a_reset_after_its_retry() {
        let told = Told::of(&decision(false, 200_000_000, 60_000_000_000));
        assert_eq!((told.reset, told.retry_after), (1, 1));
        let told = Told::of(&decision(false, NEVER, 86_400_000_000_000));
        assert_eq!((told.reset, told.retry_after), (LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER));
        assert_eq!(Told::of(&decision(false, NEVER, 0)).reset, 0);
    }
}
