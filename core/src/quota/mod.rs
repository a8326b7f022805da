//! How much per how long: `"100/min"`, a burst, and exact intervals.

mod decimal;
mod parse;

use crate::ConfigError;
use crate::setting::{Field, Kind, Preset, RUST};
use decimal::Decimal;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

const NS_PER_S: u64 = 1_000_000_000;
pub(crate) const YEAR_NS: u64 = 365 * 86_400 * NS_PER_S;
/// The longest time a full bucket may take to fill.
const MAX_FILL_NS: u128 = 36 * YEAR_NS as u128;
/// The shortest interval between tokens: 100 million a second.
const MIN_INTERVAL_NS: u64 = 10;

pub(crate) const RATE: Field =
    Field::new("rate", Kind::Rate, Preset::Required, "how many tokens come back in which time, such as \"100/min\"");
pub(crate) const PERIOD: Field = Field::new(
    "period",
    Kind::Span { min_ns: 1, max_ns: MAX_FILL_NS as u64 },
    Preset::Unset,
    "the time of a rate that is a number of tokens",
);
pub(crate) const BURST: Field = Field::new(
    "burst",
    Kind::Count { min: 1, max: u32::MAX as u64 },
    Preset::Unset,
    "the most tokens at once; left out, the rate's count",
);

/// A rate and the burst above it: `count` tokens every `period`, at most `burst` at once.
///
/// The period is the one that was written: 10 per 1.5 s stays that, for every algorithm and in every field that is
/// sent. Only a count that is not whole makes it longer, until the count is: 0.5/s is 1 per 2 s and 2.5/s is 5 per 2 s,
/// which is what a window counts; a bucket's burst is the count as written, rounded up.
///
/// Any rate from 1 per year (slower with a small burst: the burst must come back within 36 years) to 100 million per
/// second; month is 30 days, year 365. Written as text it is a superset of what Python's `limits` and slowapi accept.
///
/// ```
/// use tidegate::Quota;
/// let quota: Quota = "5 per 15 minutes".parse()?;
/// assert_eq!((quota.count(), quota.period().as_secs(), quota.burst()), (5, 900, 5));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    count: u64,
    period_ns: u64,
    burst: u32,
    /// The burst was left to the rate: then a window holds `count`, where a bucket may hold less of a count that was
    /// not whole.
    of_rate: bool,
}

impl PartialEq for Quota {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

/// What a number of seconds is rounded up to, so that less is told as a rate that is too fast.
const LEAST: Duration = Duration::from_nanos(1);

impl Eq for Quota {}

impl Hash for Quota {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Quota {
    /// The slowest quota of all: what is read where there is none.
    pub(crate) const SLOWEST: Self = Self { count: 1, period_ns: YEAR_NS, burst: 1, of_rate: false };

    /// `count` tokens per `period`, with a burst of `count`.
    ///
    /// Errors: `rate` when the count or the period is zero or the rate is outside the range above.
    pub fn new(count: u64, period: Duration) -> Result<Self, ConfigError> {
        PERIOD.check_span(period, "")?;
        Self::of_ratio(count.into(), period.as_nanos(), None)
    }

    /// A rate as numbers: `count` tokens (any positive number, taken at its shortest decimal form, so that 0.1 is a
    /// tenth) per `period_secs` seconds (to the nearest nanosecond); the burst is `count` rounded up.
    ///
    /// Errors: `rate` or `period` when a number is not finite or not positive, or the rate is outside the range above.
    pub fn from_f64(count: f64, period_secs: f64) -> Result<Self, ConfigError> {
        let count = Decimal::from_f64(&RATE, count)?;
        let period = Decimal::from_f64(&PERIOD, period_secs)?;
        PERIOD.check_span(Duration::try_from_secs_f64(period_secs).unwrap_or(Duration::MAX).max(LEAST), "")?;
        Self::of_decimals(count, period, NS_PER_S)
    }

    /// The same rate with another burst.
    ///
    /// Errors: `burst` when it is zero, above `u32::MAX`, or would take more than 36 years to come back.
    pub fn with_burst(self, burst: u64) -> Result<Self, ConfigError> {
        Self::of_ratio(self.count.into(), self.period_ns.into(), Some(burst))
    }

    /// Several rates joined by `;`, `,` or `|`, as `limits` and slowapi write them.
    ///
    /// Errors: `rate`, as for a single one.
    pub fn parse_many(text: &str) -> Result<Vec<Self>, ConfigError> {
        text.split([';', ',', '|']).map(str::parse).collect()
    }

    /// Tokens per [`period`](Self::period).
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time in which [`count`](Self::count) tokens come back.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.period_ns)
    }

    /// The most tokens that can be taken at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The rate as it is written, `"100/s"` or `"5 per 15 min"`, with the burst where it is another number.
    pub fn brief(&self) -> impl fmt::Display {
        Brief(*self)
    }

    /// The time in which an empty bucket fills up, rounded up to nanoseconds.
    pub fn fill_time(&self) -> Duration {
        let ns = (u128::from(self.burst) * u128::from(self.period_ns)).div_ceil(self.count.into());
        Duration::from_nanos(ns as u64) // at most MAX_FILL_NS
    }

    /// A `k`-th of this rate with its own burst: one stripe's share.
    pub(crate) fn share(&self, k: u32, burst: u32) -> Result<Self, ConfigError> {
        Self::of_ratio(self.count.into(), u128::from(self.period_ns) * u128::from(k), Some(burst.into()))
    }

    /// A quota from what [`count`](Self::count), [`period`](Self::period) and [`burst`](Self::burst) said of one.
    pub(crate) fn from_parts(count: u64, period_ns: u64, burst: u32) -> Option<Self> {
        Self::of_ratio(count.into(), period_ns.into(), Some(burst.into())).ok()
    }

    /// What a window counts by it: where no burst was given, its count.
    pub(crate) fn in_window(&self) -> Result<Self, ConfigError> {
        if self.of_rate { self.with_burst(self.count) } else { Ok(*self) }
    }

    fn parts(&self) -> (u64, u64, u32) {
        (self.count, self.period_ns, self.burst)
    }

    /// `count` per `period` units of `unit_ns` nanoseconds. A fraction of the count makes the period longer; nothing
    /// else does.
    fn of_decimals(count: Decimal, period: Decimal, unit_ns: u64) -> Result<Self, ConfigError> {
        let burst = count.ceil().max(1);
        let (tokens, periods) = count.fraction();
        let period_ns = period.ns(unit_ns).ok_or_else(too_slow)?;
        if period_ns == 0 && period.digits > 0 && tokens > 0 {
            return Err(too_fast());
        }
        let time = period_ns.checked_mul(periods).ok_or_else(too_slow)?;
        let quota = Self::of_ratio(tokens, time, Some(burst))?;
        Ok(Self { of_rate: true, ..quota })
    }

    fn of_ratio(count: u128, period_ns: u128, burst: Option<u64>) -> Result<Self, ConfigError> {
        if count == 0 || period_ns == 0 {
            let message =
                "a rate of zero admits nothing, and one of no time everything; give one like \"100/minute\", ";
            return Err(ConfigError::out_of_range(RATE.name, format!("{message}{}", RATE.range(&RUST))));
        }
        if period_ns < count.saturating_mul(MIN_INTERVAL_NS.into()) {
            return Err(too_fast());
        }
        let (count, period_ns) = into_u64(count, period_ns).ok_or_else(too_slow)?;
        let burst = burst.unwrap_or(count);
        BURST.check_count(burst, "")?;
        let fill = u128::from(burst) * u128::from(period_ns) / u128::from(count);
        if fill > MAX_FILL_NS {
            let most = (MAX_FILL_NS * u128::from(count) / u128::from(period_ns)).min(u32::MAX.into());
            return Err(if most == 0 {
                too_slow()
            } else {
                BURST.outside_of(burst, most as u64, ": it would take more than 36 years to come back at this rate")
            });
        }
        Ok(Self { count, period_ns, burst: burst as u32, of_rate: false })
    }
}

impl FromStr for Quota {
    type Err = ConfigError;

    /// `"100/minute"`, `"100 per minute"`, `"5 per 15 minutes"`, `"400/s"`, `"100/min"`, `"0.5/s"`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (count, multiple, unit_ns) = parse::rate(text)?;
        Self::of_decimals(count, multiple, unit_ns)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}, burst {}", self.count, self.period(), self.burst)
    }
}

struct Brief(Quota);

/// Longest first; a day is 86,400 s.
const UNITS: [(&str, u64); 6] =
    [("year", 31_536_000), ("week", 604_800), ("day", 86_400), ("hour", 3_600), ("min", 60), ("s", 1)];

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quota { count, period_ns, burst, .. } = self.0;
        let unit = UNITS.iter().map(|&(name, secs)| (name, secs * NS_PER_S)).find(|(_, ns)| period_ns % ns == 0);
        match unit {
            Some((name, ns)) if period_ns == ns => write!(f, "{count}/{name}")?,
            Some((name, ns)) => write!(f, "{count} per {} {name}", period_ns / ns)?,
            None => {
                let secs = format!("{}.{:09}", period_ns / NS_PER_S, period_ns % NS_PER_S);
                write!(f, "{count} per {} s", secs.trim_end_matches('0'))?;
            }
        }
        if u64::from(burst) == count { Ok(()) } else { write!(f, ", burst {burst}") }
    }
}

/// As given where it fits, else in lowest terms, else rounded towards the slower rate by less than one in a million.
fn into_u64(count: u128, period_ns: u128) -> Option<(u64, u64)> {
    let fit = |count, period| Some((u64::try_from(count).ok()?, u64::try_from(period).ok()?));
    let divisor = gcd(count, period_ns);
    let (t, p) = (count / divisor, period_ns / divisor);
    let excess = 64_u32.saturating_sub(p.leading_zeros());
    fit(count, period_ns)
        .or_else(|| fit(t, p))
        .or_else(|| fit(t >> excess, (p >> excess) + 1).filter(|&(count, _)| count >= 1_000_000))
}

pub(crate) fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn too_fast() -> ConfigError {
    RATE.beyond("faster than 100,000,000 per second, which no limit can resolve")
}

fn too_slow() -> ConfigError {
    RATE.beyond("slower than 1 token in 36 years")
}

#[cfg(test)]
mod tests;
