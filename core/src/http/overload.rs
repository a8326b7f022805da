//! How long a client waits that finds a queue or a concurrency limit full.

use crate::sync::{AtomicU64, Ordering};
use crate::sys::draw;
use std::time::Duration;

/// The span over which the rate is looked at.
const SPAN: Duration = Duration::from_secs(10);
/// Too little to tell a rate from.
const LEAST: Duration = Duration::from_secs(1);
/// Seconds; what is not known yet is told as the least.
const LONGEST: u64 = 60;
/// A fifth of the time on top, at most, so that not all come back at once.
const JITTER: u64 = 5;

/// Whole seconds for `Retry-After`: the time that `depth` calls or items take, where `done` were done in `window`;
/// 1 to 60, and up to a fifth more (in whole seconds, at least one) by `draw`, from 0 up to, but not including, 1.
///
/// A window of less than a second tells no rate: 1. Where nothing was done in ten seconds: 60; in a shorter window
/// that says only that fewer than one were.
///
/// ```
/// use std::time::Duration;
/// use tidegate::http::overload_retry_after;
///
/// let window = Duration::from_secs(10);
/// assert_eq!(overload_retry_after(120, 100, window, 0.0), 12);
/// assert_eq!(overload_retry_after(120, 100, window, 0.9), 15);
/// assert_eq!(overload_retry_after(1, 0, window, 0.0), 60);
/// ```
pub fn overload_retry_after(depth: u64, done: u64, window: Duration, draw: f64) -> u64 {
    if window < LEAST {
        return 1;
    }
    let wait = if done == 0 && window >= SPAN {
        LONGEST
    } else {
        let ns_done = u128::from(depth).saturating_mul(window.as_nanos());
        let wait = ns_done.div_ceil(u128::from(done.max(1)) * 1_000_000_000);
        wait.clamp(1, u128::from(LONGEST)) as u64
    };
    let most = wait.div_ceil(JITTER);
    // A cast of what is no number, or below 0, is 0.
    wait + ((draw * (most + 1) as f64) as u64).min(most)
}

/// What has left a queue or a concurrency limit in the last ten seconds, looked at only when somebody is refused: a
/// sample a second, each in one word, so that no thread waits for another one.
///
/// A clock that steps back makes samples look old: until there are new ones the wait is not known.
///
/// ```
/// use tidegate::http::Outflow;
///
/// let outflow = Outflow::new();
/// assert_eq!(outflow.retry_after(0, 50, 1_000), 1, "not known yet");
/// // 5 s later another 25 have left, and 50 are waiting: 10 s, and up to 2 s more.
/// assert!((10..=12).contains(&outflow.retry_after(5_000_000_000, 50, 1_025)));
/// ```
#[derive(Debug)]
pub struct Outflow {
    /// By second: milliseconds + 1 above, the low half of the count below; 0: none.
    samples: [AtomicU64; Self::SAMPLES],
}

impl Default for Outflow {
    fn default() -> Self {
        Self::new()
    }
}

impl Outflow {
    /// One more than the seconds that a sample counts for.
    const SAMPLES: usize = 12;
    /// So that the oldest of a sample a second is ten seconds old.
    const OLDEST_MS: u32 = 11_000;

    /// Nothing has been seen.
    pub fn new() -> Self {
        Self { samples: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// [`overload_retry_after`] of what is told of now: the clock, the calls or items that are in the way, and how many
    /// have left since the beginning.
    pub fn retry_after(&self, now_ns: u64, depth: u64, left: u64) -> u64 {
        let (done, window) = self.look(now_ns, left);
        overload_retry_after(depth, done, window, draw())
    }

    /// How many have left since the oldest sample, and how long ago that was; keeps this one.
    ///
    /// Two threads in the same second may each write theirs: either is a sample of that second.
    fn look(&self, now_ns: u64, left: u64) -> (u64, Duration) {
        let (ms, left) = ((now_ns / 1_000_000) as u32, left as u32);
        let age = |sample: u64| ms.wrapping_sub(((sample >> 32) as u32).wrapping_sub(1));
        let counts = |sample: u64| sample != 0 && age(sample) <= Self::OLDEST_MS;
        let samples = self.samples.each_ref().map(|slot| slot.load(Ordering::Relaxed));
        let oldest = samples.into_iter().filter(|&sample| counts(sample)).max_by_key(|&sample| age(sample));
        let at = (now_ns / 1_000_000_000) as usize % Self::SAMPLES;
        if !counts(samples[at]) {
            let sample = u64::from(ms.wrapping_add(1)) << 32 | u64::from(left);
            self.samples[at].store(sample, Ordering::Relaxed);
        }
        let Some(oldest) = oldest else { return (0, Duration::ZERO) };
        // Counts are read one after another, and may seem to go back.
        let done = (left.wrapping_sub(oldest as u32) as i32).max(0) as u64;
        (done, Duration::from_millis(age(oldest).into()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn the_last_ten_seconds_count() {
        let outflow = Outflow::new();
        assert_eq!(outflow.look(0, 0), (0, Duration::ZERO));
        for second in 1..=10 {
            assert_eq!(outflow.look(second * S, second * 100), (second * 100, Duration::from_secs(second)));
        }
        // From here on at another rate, which counts for all of it once the other one is too old.
        for second in 11..=21 {
            let (_, window) = outflow.look(second * S, 1_000 + (second - 10));
            assert_eq!(window, Duration::from_secs(11));
        }
        assert_eq!(outflow.look(22 * S, 1_012), (11, Duration::from_secs(11)));
    }

    #[test]
    fn a_pause_is_forgotten() {
        let outflow = Outflow::new();
        outflow.look(5 * S, 7);
        assert_eq!(outflow.look(3_600 * S, 9_000), (0, Duration::ZERO), "an hour tells nothing of now");
        assert_eq!(outflow.look(3_602 * S, 9_010), (10, Duration::from_secs(2)));
    }

    #[test]
    fn counts_and_clocks_that_go_back_or_round_do_no_harm() {
        let outflow = Outflow::new();
        outflow.look(100 * S, 50);
        assert_eq!(outflow.look(102 * S, 40), (0, Duration::from_secs(2)));
        assert_eq!(outflow.look(90 * S, 60), (0, Duration::ZERO));
        let outflow = Outflow::new();
        let end = u64::from(u32::MAX) * 1_000_000;
        outflow.look(end - S, u64::from(u32::MAX) - 4);
        assert_eq!(outflow.look(end + S, u64::from(u32::MAX) + 6), (10, Duration::from_secs(2)));
    }

    proptest! {
        #[test]
        fn within_its_bounds_and_longer_by_draws(
            depth: u64,
            done: u64,
            window_ms in 0..20_000_u64,
            draw in 0.0..1.0,
        ) {
            let window = Duration::from_millis(window_ms);
            let least = overload_retry_after(depth, done, window, 0.0);
            let told = overload_retry_after(depth, done, window, draw);
            prop_assert!((1..=60).contains(&least) && least <= told && told <= least + least.div_ceil(5));
            for draw in [f64::NAN, f64::INFINITY, -1.0, 2.0] {
                let told = overload_retry_after(depth, done, window, draw);
                prop_assert!(least <= told && told <= least + least.div_ceil(5));
            }
        }
    }
}
