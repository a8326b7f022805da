//! A clock for tests.

use crate::sync::{Arc, AtomicU64, Ordering};
use std::time::Duration;

/// A clock that moves only when told to, for tests. Clones share one time.
///
/// Hand the same clock to everything under test: limits of a set must share one. Then no test waits, and none depends
/// on how fast it runs:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tidegate::limit::{LimiterConfig, Mode};
/// use tidegate::{Algorithm, LimitSet, ManualClock, RateLimiter, TokenBucket};
///
/// let clock = ManualClock::new(0);
/// // Tests of limits say so, whatever `TIDEGATE_DISABLED` says where they run.
/// let mut config = LimiterConfig::new(Algorithm::FixedWindow, "3/minute".parse()?);
/// config.mode = Mode::Enforce;
/// let user = Arc::new(RateLimiter::with_config(config, (&clock).into())?);
/// let everyone = Arc::new(TokenBucket::with_clock("100/s".parse()?, (&clock).into()));
/// let limits = LimitSet::new([("user", user.clone().into()), ("everyone", everyone.clone().into())])?;
///
/// // The third passes, the fourth does not, and tells when it would.
/// assert!((0..3).all(|_| limits.check(&[b"ada"], 1).unwrap().decision.allowed));
/// let denied = limits.check(&[b"ada"], 1)?.decision;
/// assert_eq!(denied.retry_after(), Some(Duration::from_secs(60)));
///
/// // A nanosecond too early is too early.
/// clock.advance(denied.retry_after().unwrap() - Duration::from_nanos(1));
/// assert!(!limits.check(&[b"ada"], 1)?.decision.allowed);
/// clock.advance(Duration::from_nanos(1));
/// assert!(limits.check(&[b"ada"], 1)?.decision.allowed);
///
/// // Between tests: all keys as new, on the clock as it stands.
/// user.reset_all();
/// everyone.reset();
/// assert_eq!((user.peek(b"ada", None).remaining, everyone.peek().remaining), (3, 100));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
///
/// Where other code holds the limit, pass times instead: every operation has an `_at(now, …)` form.
///
/// Thread safety: every method may be called from any thread at any time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `start_ns` nanoseconds.
    pub fn new(start_ns: u64) -> Self {
        Self(Arc::new(AtomicU64::new(start_ns)))
    }

    /// Whether the two share one time.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The time it stands at, in nanoseconds.
    pub fn now(&self) -> u64 {
        // Acquire: what a thread did before it moved the clock is seen by who reads the new time.
        self.0.load(Ordering::Acquire)
    }

    /// Moves forward by `by`; saturates at the end of time.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // Release: pairs with `now`.
        let _ = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, |now| Some(now.saturating_add(by)));
    }

    /// Jumps to `now_ns`, backwards too: for tests of clocks that misbehave.
    pub fn set(&self, now_ns: u64) {
        // Release: pairs with `now`.
        self.0.store(now_ns, Ordering::Release);
    }
}
