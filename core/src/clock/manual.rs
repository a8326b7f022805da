//! A clock for tests.

use crate::sync::{Arc, AtomicU64, Ordering};
use std::time::Duration;

/// A clock that moves only when told to, for tests. Clones share one time.
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
