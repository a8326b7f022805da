//! The wait before another attempt.

use crate::ConfigError;
use std::fmt;
use std::str::FromStr;

/// How the wait is spread, so that clients that failed together do not come back together.
///
/// | | wait before retry n, from 0 | source |
/// |---|---|---|
/// | `None` | d = min(max_delay, base · factorⁿ) | |
/// | `Full` | U(0, d) | M. Brooker, "Exponential Backoff And Jitter", AWS |
/// | `Equal` | d/2 + U(0, d/2) | the same |
/// | `Decorrelated` | min(max_delay, U(base, 3 · the wait before)) | the same |
/// | `Smooth` | (f(t) − f(t before)) · base / 1.4, f(t) = 2ᵗ · tanh √(4t), t = n + U(0, 1) | Polly, `RetryHelper.cs` |
///
/// `Decorrelated` and `Smooth` have a growth of their own and do not look at the factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// No jitter: every client waits alike.
    None,
    /// Anything up to the whole wait.
    #[default]
    Full,
    /// Half of the wait, and anything up to the other half.
    Equal,
    /// Anything from the base up to three times the wait before.
    Decorrelated,
    /// A smooth spread without peaks, of which a half of the clients wait about as long as without jitter.
    Smooth,
}

impl Jitter {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Full, Self::Equal, Self::Decorrelated, Self::Smooth];
    pub(super) const NAMES: [&'static str; 5] = ["none", "full", "equal", "decorrelated", "smooth"];

    /// Its name, as every language writes it.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Jitter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let found = Self::ALL.into_iter().find(|jitter| jitter.name() == text);
        found.ok_or_else(|| super::settings::JITTER.none_of(format!("{text:?}")))
    }
}

/// The wait before another attempt. Made by [`RetryConfig::backoff`](super::RetryConfig::backoff), which checks its
/// numbers.
///
/// No draw, number or state overflows or panics: what grows beyond all numbers is `max_delay`.
///
/// ```
/// use std::time::Duration;
/// use tidegate::retry::{Jitter, RetryConfig};
///
/// let backoff = RetryConfig { jitter: Jitter::Equal, ..RetryConfig::default() }.backoff()?;
/// let mut previous = 0.0;
/// assert_eq!(backoff.delay(3, 0.5, &mut previous), Duration::from_millis(600));
/// assert_eq!(backoff.delay(u64::MAX, 0.5, &mut previous), Duration::from_millis(3750));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    pub(super) base_ns: u64,
    pub(super) factor: f64,
    pub(super) max_ns: u64,
    pub(super) jitter: Jitter,
}

/// Polly's: the median of the first wait is about the base.
const SMOOTH_SCALE: f64 = 1.0 / 1.4;

impl Backoff {
    /// The wait before retry `n`, the first of which is 0.
    ///
    /// `draw` is a random number from 0 up to, but not including, 1; anything else counts as 1. `previous` is what the
    /// delay before has left there, 0 before the first: two kinds of jitter go on from it, the others leave it alone.
    pub fn delay(&self, n: u64, draw: f64, previous: &mut f64) -> std::time::Duration {
        std::time::Duration::from_nanos(self.delay_ns(n, draw, previous))
    }

    /// [`delay`](Self::delay) in nanoseconds.
    pub fn delay_ns(&self, n: u64, draw: f64, previous: &mut f64) -> u64 {
        let draw = if (0.0..=1.0).contains(&draw) { draw } else { 1.0 };
        match self.jitter {
            Jitter::None => self.capped(self.curve(n)),
            Jitter::Full => self.capped(draw * self.curve(n).min(self.max_ns as f64)),
            Jitter::Equal => self.capped((0.5 + 0.5 * draw) * self.curve(n).min(self.max_ns as f64)),
            Jitter::Decorrelated => self.decorrelated(draw, previous),
            Jitter::Smooth => self.smooth(n, draw, previous),
        }
    }

    /// base · factorⁿ, which may be infinite but is a number.
    fn curve(&self, n: u64) -> f64 {
        // Without the branch: 0 times infinity.
        if self.base_ns == 0 { 0.0 } else { self.base_ns as f64 * self.factor.powf(n as f64) }
    }

    /// Whole nanoseconds, `max_delay` for what is beyond it or no number.
    fn capped(&self, ns: f64) -> u64 {
        if ns < self.max_ns as f64 { ns as u64 } else { self.max_ns }
    }

    /// `previous`: the wait before, in nanoseconds.
    fn decorrelated(&self, draw: f64, previous: &mut f64) -> u64 {
        let base = self.base_ns as f64;
        // `max` takes the base where a foreign value is no number.
        let most = (3.0 * *previous).max(3.0 * base).min(f64::MAX);
        let ns = self.capped(base + draw * (most - base));
        // At least the base, also where `max_delay` is below it: the next draw is from the base on.
        *previous = (ns as f64).max(base);
        ns
    }

    /// `previous`: f(t) of the delay before.
    fn smooth(&self, n: u64, draw: f64, previous: &mut f64) -> u64 {
        let t = n as f64 + draw;
        let f = t.exp2() * (4.0 * t).sqrt().tanh();
        let before = if previous.is_nan() { 0.0 } else { *previous };
        *previous = f;
        // Infinity less infinity is no number, and no number is `max_delay`.
        let rise = (f - before) * SMOOTH_SCALE;
        if self.base_ns == 0 {
            return 0;
        }
        self.capped(if rise.is_nan() { f64::INFINITY } else { (rise * self.base_ns as f64).max(0.0) })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::RetryConfig;
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn backoff(jitter: Jitter) -> Backoff {
        RetryConfig { jitter, ..RetryConfig::default() }.backoff().expect("sound")
    }

    #[test]
    fn names_are_read_and_written() {
        for jitter in Jitter::ALL {
            assert_eq!(jitter.to_string().parse(), Ok(jitter));
        }
        let error = "fuller".parse::<Jitter>().expect_err("no jitter");
        let want = "jitter: \"fuller\" is not \"none\", \"full\", \"equal\", \"decorrelated\" or \"smooth\"";
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn doubles_up_to_the_longest() {
        let mut previous = 0.0;
        let ms = [0, 1, 2, 5, 6, 1_000, 1 << 32, u64::MAX]
            .map(|n| backoff(Jitter::None).delay(n, 0.9, &mut previous).as_millis());
        assert_eq!(ms, [100, 200, 400, 3_200, 5_000, 5_000, 5_000, 5_000]);
        assert_eq!(previous, 0.0);
    }

    /// The median of the first wait is about the base, as in Polly.
    #[test]
    fn smooth_spreads_around_the_curve() {
        let median = (0..1001)
            .map(|i| backoff(Jitter::Smooth).delay_ns(0, f64::from(i) / 1001.0, &mut 0.0))
            .nth(500)
            .expect("a draw");
        assert!((85_000_000..115_000_000).contains(&median), "{median}");
    }

    #[test]
    fn a_base_of_zero_never_waits() {
        for jitter in Jitter::ALL {
            let none = RetryConfig { jitter, base: Duration::ZERO, ..RetryConfig::default() }.backoff().expect("sound");
            let mut previous = 0.0;
            for n in [0, 1, 70, 1 << 32, u64::MAX] {
                assert_eq!(none.delay_ns(n, 0.999, &mut previous), 0, "{jitter} {n}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_beyond_the_longest_and_never_lost(
            jitter in prop::sample::select(Jitter::ALL.to_vec()),
            base in 0..10_000_000_000_u64,
            max in 0..10_000_000_000_u64,
            factor in prop_oneof![1.0..10.0, Just(1.0), Just(f64::MAX)],
            steps in prop::collection::vec(
                (any::<u64>(), any::<f64>(), prop::option::weighted(0.1, any::<f64>())),
                1..20,
            ),
        ) {
            let config = RetryConfig {
                jitter,
                factor,
                base: Duration::from_nanos(base),
                max_delay: Duration::from_nanos(max),
                ..RetryConfig::default()
            };
            let (backoff, mut previous) = (config.backoff().expect("sound"), 0.0);
            for (n, draw, foreign) in steps {
                previous = foreign.unwrap_or(previous);
                let ns = backoff.delay_ns(n >> (draw.to_bits() % 64), draw, &mut previous);
                prop_assert!(ns <= max, "{ns} > {max}");
                if jitter == Jitter::Equal {
                    prop_assert!(ns + 1 >= base.min(max) / 2);
                }
                if jitter == Jitter::Decorrelated {
                    prop_assert!(ns >= base.min(max));
                }
            }
        }
    }
}
