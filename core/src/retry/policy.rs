//! Whether another attempt is made, and when.

use super::backoff::Backoff;
use super::settings::RetryConfig;
use crate::ConfigError;
use std::time::Duration;

/// What follows a failed attempt, by numbers alone: whether the failure is one to retry, and a
/// [`RetryBudget`](super::RetryBudget), are asked by whoever runs the loop.
///
/// The order for every loop: the failure is one to retry; [`next`](Self::next) says to wait; the budget is charged;
/// then the wait, which a cancellation ends; then the attempt. Charged before the wait, because what is counted after
/// it comes too late for all who wait at that time.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tidegate::retry::{Next, draw, RetryBudget, RetryBudgetConfig, RetryConfig, RetryPolicy};
///
/// let policy = RetryPolicy::new(RetryConfig { base: Duration::from_millis(1), ..RetryConfig::default() })?;
/// let budget = RetryBudget::new(RetryBudgetConfig::default())?;
/// let mut ask = { let mut asked = 0; move || { asked += 1; if asked < 3 { Err("busy") } else { Ok(asked) } } };
///
/// budget.deposit();
/// let (start, mut attempts, mut previous) = (Instant::now(), 0, 0.0);
/// let answer = loop {
///     attempts += 1;
///     match ask() {
///         Ok(answer) => break Ok(answer),
///         Err(error) => match policy.next(attempts, draw(), &mut previous, None, start.elapsed()) {
///             Next::Wait(wait) if budget.try_withdraw() => std::thread::sleep(wait),
///             _ => break Err(error),
///         },
///     }
/// };
/// assert_eq!(answer, Ok(3));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    config: RetryConfig,
    backoff: Backoff,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Another attempt after so long.
    Wait(Duration),
    /// That was the last attempt.
    Exhausted,
    /// The wait would have reached the deadline.
    PastDeadline,
}

impl RetryPolicy {
    /// As `config` says.
    ///
    /// Errors: a setting outside its range.
    pub fn new(config: RetryConfig) -> Result<Self, ConfigError> {
        Ok(Self { backoff: config.check()?, config })
    }

    /// Its settings.
    pub fn config(&self) -> &RetryConfig {
        &self.config
    }

    /// The waits alone.
    pub fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// What follows attempt number `attempts` (the first is 1), which failed `elapsed` after the first began;
    /// `retry_after` is what the server told: it wins when it is longer than the wait, as far as `max_retry_after`.
    /// `draw` and `previous` are those of [`Backoff::delay`].
    pub fn next(
        &self,
        attempts: u64,
        draw: f64,
        previous: &mut f64,
        retry_after: Option<Duration>,
        elapsed: Duration,
    ) -> Next {
        if attempts >= self.config.attempts.into() {
            return Next::Exhausted;
        }
        let delay = self.backoff.delay(attempts.saturating_sub(1), draw, previous);
        let told = retry_after.map_or(Duration::ZERO, |told| told.min(self.config.max_retry_after));
        let wait = delay.max(told);
        match self.config.deadline {
            Some(deadline) if elapsed.saturating_add(wait) >= deadline => Next::PastDeadline,
            _ => Next::Wait(wait),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Jitter;
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn policy(config: RetryConfig) -> RetryPolicy {
        RetryPolicy::new(RetryConfig { jitter: Jitter::None, ..config }).expect("sound")
    }

    #[test]
    fn attempts_are_counted_from_the_first() {
        let policy = policy(RetryConfig { attempts: 3, ..RetryConfig::default() });
        let next = |attempts| policy.next(attempts, 0.0, &mut 0.0, None, S);
        assert_eq!(next(1), Next::Wait(S / 10));
        assert_eq!(next(2), Next::Wait(S / 5));
        assert_eq!([next(3), next(4), next(u64::MAX)], [Next::Exhausted; 3]);
        assert_eq!(next(0), Next::Wait(S / 10), "nobody's number, and no overflow");
    }

    #[test]
    fn a_server_that_tells_more_is_obeyed_as_far_as_allowed() {
        let policy = policy(RetryConfig::default());
        let told = |after: Duration| policy.next(1, 0.0, &mut 0.0, Some(after), Duration::ZERO);
        assert_eq!(told(Duration::ZERO), Next::Wait(S / 10));
        assert_eq!(told(S / 20), Next::Wait(S / 10));
        assert_eq!(told(7 * S), Next::Wait(7 * S));
        assert_eq!(told(Duration::MAX), Next::Wait(60 * S));
    }

    #[test]
    fn no_wait_reaches_the_deadline() {
        let policy = policy(RetryConfig { deadline: Some(S), ..RetryConfig::default() });
        let at = |elapsed| policy.next(1, 0.0, &mut 0.0, None, elapsed);
        assert_eq!(at(S * 9 / 10 - Duration::from_nanos(1)), Next::Wait(S / 10));
        assert_eq!(at(S * 9 / 10), Next::PastDeadline);
        assert_eq!(at(Duration::MAX), Next::PastDeadline);
        assert_eq!(policy.next(1, 0.0, &mut 0.0, Some(2 * S), Duration::ZERO), Next::PastDeadline);
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        let usual = RetryConfig::default();
        let field = |config| RetryPolicy::new(config).expect_err("outside").field();
        assert_eq!(field(RetryConfig { attempts: 0, ..usual }), "attempts");
        assert_eq!(field(RetryConfig { factor: 0.5, ..usual }), "factor");
        assert_eq!(field(RetryConfig { factor: f64::NAN, ..usual }), "factor");
        assert_eq!(field(RetryConfig { base: Duration::MAX, ..usual }), "base");
        assert_eq!(field(RetryConfig { max_delay: Duration::MAX, ..usual }), "max_delay");
        assert_eq!(field(RetryConfig { deadline: Some(Duration::ZERO), ..usual }), "deadline");
        assert_eq!(field(RetryConfig { max_retry_after: Duration::MAX, ..usual }), "max_retry_after");
    }
}
