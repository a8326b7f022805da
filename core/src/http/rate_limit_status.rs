//! A decision in the whole seconds of HTTP.

use crate::decision::{Decision, NEVER};

/// What a client is told to wait, in seconds, where the answer is "never" or "when somebody resets it".
pub const LONGEST_RETRY_AFTER: u64 = 3600;

const NS_PER_S: u64 = 1_000_000_000;

/// What is left out of a reset, on admission: a limit per key keeps its ends in ticks, so that a window of a minute
/// ends some nanoseconds after its minute. Nobody waits for a reset but those who are refused, and what they are told
/// is not shortened.
const TOLERANCE_NS: u64 = 999_999;

/// The value of `Retry-After` (RFC 9110 section 10.2.3, delay-seconds) for a wait in nanoseconds: rounded up, at least
/// 1.
///
/// [`NEVER`] reads as [`LONGEST_RETRY_AFTER`]: a number must be said, and an hour keeps a client that asks for more
/// than a limit can ever give from asking often. A wait that is known is told in full, however long.
pub fn retry_after_seconds(ns: u64) -> u64 {
    if ns == NEVER { LONGEST_RETRY_AFTER } else { ns.div_ceil(NS_PER_S).max(1) }
}

/// What a client is told of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
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

impl RateLimitStatus {
    /// The decision, each time rounded up to whole seconds; a reset that is told with an admission may be early by less
    /// than a millisecond.
    pub fn of(decision: &Decision) -> Self {
        let tolerance = if decision.allowed { TOLERANCE_NS.min(decision.reset_after_ns.saturating_sub(1)) } else { 0 };
        let reset = (decision.reset_after_ns - tolerance).div_ceil(NS_PER_S);
        let retry_after = if decision.allowed { 0 } else { retry_after_seconds(decision.retry_after_ns) };
        let (allowed, limit, remaining) = (decision.allowed, decision.limit, decision.remaining);
        let reset = if allowed { reset } else { reset.min(retry_after) };
        Self { allowed, limit, remaining, reset, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, RateLimiter, TokenBucket};

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
        let told = RateLimitStatus::of(&decision(true, 0, 1_500_000_000));
        assert_eq!(told, RateLimitStatus { allowed: true, limit: 10, remaining: 10, reset: 2, retry_after: 0 });
        assert_eq!(RateLimitStatus::of(&decision(true, 0, 0)).reset, 0);
    }

    #[test]
    fn ticks_of_a_window_make_no_whole_second_more() {
        let reset = |allowed, ns| RateLimitStatus::of(&decision(allowed, if allowed { 0 } else { ns }, ns)).reset;
        assert_eq!([60_000_000_003, 60_000_999_999, 60_001_000_000].map(|ns| reset(true, ns)), [60, 60, 61]);
        assert_eq!([0, 1, 999_999, 1_000_000].map(|ns| reset(true, ns)), [0, 1, 1, 1]);
        assert_eq!(reset(false, 60_000_000_003), 61, "waiting as long as told is enough");
        for (rate, told) in [("5/minute", 60), ("1000/s", 1), ("1000/hour", 3600)] {
            let limiter =
                RateLimiter::new(Algorithm::FixedWindow, rate.parse().expect("a rate"), 100).expect("a limiter");
            for at in [1, 3, 123_456_789_123_457] {
                assert_eq!(
                    RateLimitStatus::of(&limiter.check_at(at, &at.to_le_bytes(), 1)).reset,
                    told,
                    "{rate} at {at}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_never_tells_a_reset_after_its_retry() {
        let told = RateLimitStatus::of(&decision(false, 200_000_000, 60_000_000_000));
        assert_eq!((told.reset, told.retry_after), (1, 1));
        let told = RateLimitStatus::of(&decision(false, NEVER, 86_400_000_000_000));
        assert_eq!((told.reset, told.retry_after), (LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER));
        assert_eq!(RateLimitStatus::of(&decision(false, NEVER, 0)).reset, 0);
    }
}
