//! Client throttling: a client that rejects its own calls by chance when the backend refuses too many of them.
//!
//! | file | idea |
//! |---|---|
//! | `window.rs` | requests and accepts of the last span, in ten slices of a word each |
//! | `forced.rs` | one call a second passes whatever the odds |
//! | `config.rs` | settings |
//! | `arena.rs` | a throttle that processes share |

#[cfg(not(loom))]
mod arena;
mod config;
mod forced;
#[cfg(all(test, loom))]
mod loom_tests;
mod window;

pub use config::{ClientThrottleConfig, SETTINGS};

use crate::counters::Striped;
use crate::memory::ObjectAllocator;
use crate::mode::Mode;
use crate::{Clock, ConfigError};
use forced::Forced;
use window::{Tally, Window};

/// Rejects calls by chance, the more of them the fewer the backend accepts: with probability
/// `(requests − k · accepts) / (requests + 1)` over the last `window`, at most `max_rejection`, and one call each
/// `force_pass` passes in any case. An alternative to a circuit breaker for a backend that is overloaded and not dead:
/// it finds the share of calls that the backend can take.
///
/// Own rejections count as requests: that is what makes it right for a backend with a capacity. It is also why without
/// `max_rejection` and a short window it does not come back from an outage: at 200 calls a second against a backend
/// that was dead for 120 s, the formula alone over 120 s had not come back after 400 s, with the cap after 200 s, and
/// over 30 s after 51 s.
///
/// A call that passes reports once, [`accepted`](Self::accepted) or [`refused`](Self::refused) by the backend; a call
/// that was cancelled or said nothing about the backend reports nothing.
///
/// A clock that steps back by up to a minute is counted on as if it stood; by more, counting begins anew. An own
/// rejection stores to the window that decisions read, because it counts there.
///
/// Source: "Site Reliability Engineering" (Google), chapter 21, "Client-Side Throttling"; the cap from failsafe-go's
/// `adaptivethrottler`, the forced pass from go-zero's `googlebreaker`.
///
/// Thread safety: all methods may be called from any thread at any time; no lock, no system call.
///
/// ```
/// use tidegate::throttle::{ClientThrottle, ClientThrottleConfig};
///
/// let throttle = ClientThrottle::new(ClientThrottleConfig::default())?;
/// assert!(throttle.try_acquire(0.0), "nothing is known yet");
/// (0..20).for_each(|_| throttle.refused());
/// assert!(throttle.try_acquire(0.0), "one a second passes");
/// assert!(!throttle.try_acquire(0.0));
/// assert!(throttle.try_acquire(0.9), "a tenth passes");
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ClientThrottle {
    window: Window,
    forced: Forced,
    counts: Striped<5>,
    config: ClientThrottleConfig,
    clock: Clock,
}

/// Counts since the throttle was made, and what its window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ClientThrottleStats {
    /// Calls that the backend accepted.
    pub accepted: u64,
    /// Calls that the backend refused.
    pub refused: u64,
    /// Calls rejected here.
    pub rejected: u64,
    /// Calls that a dry run let through and that would have been rejected.
    pub would_reject: u64,
    /// Calls that passed because one each `force_pass` does.
    pub forced: u64,
    /// Requests in the window, own rejections among them.
    pub window_requests: u64,
    /// Of these, accepted.
    pub window_accepts: u64,
    /// The probability of a rejection now.
    pub probability: f64,
}

const ACCEPTED: usize = 0;
const REFUSED: usize = 1;
const REJECTED: usize = 2;
const WOULD_REJECT: usize = 3;
const FORCED: usize = 4;

impl ClientThrottle {
    /// A throttle on the monotonic clock.
    ///
    /// Errors: a setting outside its range.
    pub fn new(config: ClientThrottleConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::monotonic())
    }

    /// [`new`](Self::new) on `clock`.
    ///
    /// Errors: as [`new`](Self::new).
    pub fn with_clock(config: ClientThrottleConfig, clock: Clock) -> Result<Self, ConfigError> {
        let now = clock.now();
        Self::in_room(&mut ObjectAllocator::of_process(false), config, now, clock)
    }

    fn in_room(
        room: &mut ObjectAllocator,
        config: ClientThrottleConfig,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let window = Window::in_room(room, config.window, epoch_ns)?;
        let forced = Forced::in_room(room, config.force_pass, epoch_ns)?;
        Ok(Self { window, forced, counts: Striped::in_room(room)?, config, clock })
    }

    /// Whether a call may be made. `draw` is a random number from 0 up to, but not including, 1; the call is rejected
    /// when it is below the probability, or no number.
    #[inline]
    pub fn try_acquire(&self, draw: f64) -> bool {
        self.try_acquire_at(self.clock.now(), draw)
    }

    /// [`try_acquire`](Self::try_acquire) at `now` nanoseconds of this throttle's clock.
    pub fn try_acquire_at(&self, now: u64, draw: f64) -> bool {
        if self.config.mode == Mode::Disabled {
            return true;
        }
        let probability = self.probability_of(self.window.sum(now));
        // The other way round, no number would pass.
        if probability == 0.0 || draw >= probability { true } else { self.rejects(now) }
    }

    #[cold]
    fn rejects(&self, now: u64) -> bool {
        if self.forced.try_pass(now, &self.clock) {
            self.counts.add(FORCED, 1);
            return true;
        }
        if self.config.mode == Mode::DryRun {
            // The call is made all the same, and reports.
            self.counts.add(WOULD_REJECT, 1);
            return true;
        }
        self.window.add(now, Tally { requests: 1, accepts: 0 });
        self.counts.add(REJECTED, 1);
        false
    }

    /// The backend accepted a call.
    #[inline]
    pub fn accepted(&self) {
        self.report_at(self.clock.now(), true);
    }

    /// The backend refused a call: overloaded, out of time, not there.
    #[inline]
    pub fn refused(&self) {
        self.report_at(self.clock.now(), false);
    }

    /// [`accepted`](Self::accepted) or [`refused`](Self::refused) at `now`.
    pub fn report_at(&self, now: u64, accepted: bool) {
        if self.config.mode != Mode::Disabled {
            self.window.add(now, Tally { requests: 1, accepts: accepted.into() });
            self.counts.add(if accepted { ACCEPTED } else { REFUSED }, 1);
        }
    }

    /// The probability with which a call would be rejected now.
    pub fn probability(&self) -> f64 {
        self.probability_at(self.clock.now())
    }

    /// [`probability`](Self::probability) at `now`.
    pub fn probability_at(&self, now: u64) -> f64 {
        if self.config.mode == Mode::Disabled { 0.0 } else { self.probability_of(self.window.sum(now)) }
    }

    #[inline]
    fn probability_of(&self, tally: Tally) -> f64 {
        let requests = tally.requests as f64;
        let excess = requests - self.config.k * tally.accepts as f64;
        if tally.requests < self.config.min_calls.into() || excess <= 0.0 {
            return 0.0;
        }
        (excess / (requests + 1.0)).min(self.config.max_rejection)
    }

    /// Nanoseconds until the next call that passes in any case.
    pub fn retry_after_ns(&self) -> u64 {
        self.retry_after_ns_at(self.clock.now())
    }

    /// [`retry_after_ns`](Self::retry_after_ns) at `now`.
    pub fn retry_after_ns_at(&self, now: u64) -> u64 {
        self.forced.wait(now)
    }

    /// What it did, and what its window holds.
    pub fn stats(&self) -> ClientThrottleStats {
        self.stats_at(self.clock.now())
    }

    /// [`stats`](Self::stats) at `now`.
    pub fn stats_at(&self, now: u64) -> ClientThrottleStats {
        let tally = self.window.sum(now);
        ClientThrottleStats {
            accepted: self.counts.sum(ACCEPTED),
            refused: self.counts.sum(REFUSED),
            rejected: self.counts.sum(REJECTED),
            would_reject: self.counts.sum(WOULD_REJECT),
            forced: self.counts.sum(FORCED),
            window_requests: tally.requests,
            window_accepts: tally.accepts,
            probability: self.probability_of(tally),
        }
    }

    /// Its settings.
    pub fn config(&self) -> &ClientThrottleConfig {
        &self.config
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}
