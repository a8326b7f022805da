//! Times told a little longer than they are, each client another one, so that not all of them come back at once.

use super::RateLimitStatus;
use crate::sys::draw;
use crate::{ConfigError, Decision};

/// How much longer a client may be told to wait: a fraction of the time, drawn anew for each answer.
///
/// Jitter only ever lengthens, so that a client that obeys finds its quota there
/// (draft-ietf-httpapi-ratelimit-headers-10 section 8.5 asks for it; full jitter above a floor as in AWS's "Exponential
/// Backoff and Jitter"). It is drawn from a generator per thread that is not cryptographic and need not be: whoever
/// guesses it learns when to come back, no more.
///
/// ```
/// use tidegate::http::Jitter;
/// let jitter = Jitter::new(0.2)?;
/// let bucket = tidegate::TokenBucket::new("1/min".parse()?);
/// assert!(bucket.try_acquire(1));
/// let told = jitter.tell(&bucket.check(1));
/// assert!((60..=72).contains(&told.retry_after) && told.reset <= told.retry_after);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Jitter {
    fraction: f64,
}

impl Jitter {
    /// No jitter: what is told is what is.
    pub const OFF: Self = Self { fraction: 0.0 };

    /// Up to `fraction` (0 to 1) of the time on top of it, in whole seconds, rounded up: 0.1 makes 60 s into 60 to 66
    /// s.
    ///
    /// Errors: `jitter` when it is outside 0 to 1 or not a number.
    pub fn new(fraction: f64) -> Result<Self, ConfigError> {
        if (0.0..=1.0).contains(&fraction) {
            return Ok(Self { fraction });
        }
        let message = format!("must be a fraction from 0 (none) to 1 (up to twice the time), got {fraction}");
        Err(ConfigError::out_of_range("jitter", message))
    }

    /// The fraction it was made with.
    pub fn fraction(&self) -> f64 {
        self.fraction
    }

    /// What the client is told of this decision. One draw serves both times, so that they keep their order.
    pub fn tell(&self, decision: &Decision) -> RateLimitStatus {
        self.lengthen(RateLimitStatus::of(decision), self.draw())
    }

    /// A draw for [`lengthen`](Self::lengthen), from 0 up to, but not including, 1. An answer about several limits
    /// takes one for all of them.
    pub fn draw(&self) -> f64 {
        if self.fraction == 0.0 { 0.0 } else { draw() }
    }

    /// The times made longer by as much as the draw says.
    pub fn lengthen(&self, told: RateLimitStatus, draw: f64) -> RateLimitStatus {
        RateLimitStatus {
            reset: self.longer(told.reset, draw),
            retry_after: self.longer(told.retry_after, draw),
            ..told
        }
    }

    /// Whole seconds: a jitter below one second would be lost, or be a second for all, when rounded up after it.
    fn longer(&self, seconds: u64, draw: f64) -> u64 {
        let most = (seconds as f64 * self.fraction).ceil();
        if most == 0.0 { seconds } else { seconds.saturating_add((draw * (most + 1.0)) as u64) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(reset: u64, retry_after: u64) -> RateLimitStatus {
        RateLimitStatus { allowed: retry_after == 0, limit: 9, remaining: 0, reset, retry_after }
    }

    #[test]
    fn a_short_time_is_spread_as_well() {
        let jitter = Jitter::new(0.1).expect("in range");
        let spread = |draw| jitter.lengthen(told(1, 1), draw).retry_after;
        assert_eq!([0.0, 0.49, 0.5, 0.99].map(spread), [1, 1, 2, 2]);
    }

    #[test]
    fn no_wait_stays_none() {
        assert_eq!(Jitter::new(1.0).expect("in range").lengthen(told(0, 0), 0.99), told(0, 0));
        assert_eq!(Jitter::OFF.lengthen(told(7, 9), 0.99), told(7, 9));
    }

    #[test]
    fn a_fraction_out_of_range_is_refused() {
        for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Jitter::new(fraction).expect_err("out of range").field(), "jitter");
        }
    }

    proptest! {
        #[test]
        fn only_lengthens_and_keeps_the_order(
            fraction in 0.0..=1.0,
            draw in 0.0..1.0,
            reset in 0..2_000_000_000_u64,
            more in 0..2_000_000_000_u64,
        ) {
            let (before, jitter) = (told(reset, reset + more), Jitter::new(fraction).expect("in range"));
            let after = jitter.lengthen(before, draw);
            prop_assert!(after.reset >= before.reset && after.retry_after >= before.retry_after);
            prop_assert!(after.retry_after >= after.reset);
            prop_assert!(after.retry_after <= before.retry_after * 2);
        }
    }
}
