//! What a keyed limit is made from.

use super::units::MAX_BURST;
use crate::limit::{Algorithm, Mode, WarmUp, algorithm, warm_up};
use crate::quota::{BURST, PERIOD, RATE, YEAR_NS};
use crate::setting::{Field, Kind, Preset, Table, of_name};
use crate::{ConfigError, ConfigErrorKind, Quota};
use std::time::Duration;

const SPAN: Kind = Kind::Span { min_ns: 1, max_ns: YEAR_NS };

pub(super) const QUEUE: Field = Field::new(
    "queue",
    Kind::Count { min: 0, max: MAX_BURST as u64 - 1 },
    Preset::Unset,
    "of a leaky bucket: how many calls may wait; left out, the rate's count less one",
);
pub(in super::super) const MAX_KEYS: Field = Field::new(
    "max_keys",
    Kind::Count { min: 1, max: 100_000_000 },
    Preset::Count(100_000),
    "how many live keys have a cell of their own; more share a sketch, which may deny early and never admits extra",
);
const FASTEST: Field = Field::new(
    "fastest",
    Kind::Rate,
    Preset::Unset,
    "the fastest (or largest) quota that any key will ever have; left out, the rate",
);
const AFTER: Field = Field::new(
    "block_after",
    Kind::Count { min: 1, max: 255 },
    Preset::Unset,
    "which denial of a key blocks it; left out, none does",
);
const WITHIN: Field =
    Field::new("block_within", SPAN, Preset::Unset, "the time, from the first of them, in which denials count");
const DURATION: Field = Field::new("block_duration", SPAN, Preset::Unset, "how long the first block lasts");
const GROWTH: Field = Field::new(
    "block_growth",
    Kind::Real { min: 1.0, from_min: true, max: f64::MAX },
    Preset::Real(2.0),
    "the factor from one block of a key to its next",
);
const MAX: Field = Field::new(
    "block_max",
    SPAN,
    Preset::Unset,
    "no block is longer; at least the first; left out, 64 times that and at most a year",
);
const HUGE_PAGES: Field = Field::new(
    "huge_pages",
    Kind::Flag,
    Preset::Flag(false),
    "asks the kernel for huge pages under the table: fewer misses with millions of keys",
);

/// The settings of a limit per key.
pub static SETTINGS: Table = Table {
    object: "limiter",
    fields: &[
        RATE,
        PERIOD,
        Field { kind: Kind::Count { min: 1, max: MAX_BURST as u64 }, ..BURST },
        QUEUE,
        algorithm::ALGORITHM,
        MAX_KEYS,
        FASTEST,
        AFTER,
        WITHIN,
        DURATION,
        GROWTH,
        MAX,
        warm_up::PERIOD,
        warm_up::FROM,
        HUGE_PAGES,
    ],
};

/// Settings of a [`RateLimiter`](super::RateLimiter). Start from [`LimiterConfig::new`].
#[derive(Clone, Copy, Debug)]
pub struct LimiterConfig {
    /// How it counts.
    pub algorithm: Algorithm,
    /// The default quota. Its burst is the limit of a window, and one more than the queue of a leaky bucket.
    pub quota: Quota,
    /// How many live keys have a cell of their own; more share an overflow sketch. 1 to 100 million; default 100,000.
    pub max_keys: usize,
    /// The fastest (or largest) quota that any key will ever have here; it decides the resolution of time and count.
    pub fastest: Option<Quota>,
    /// Blocks keys that go on after being denied.
    pub block: Option<Block>,
    /// A new limiter's ramp.
    pub warm_up: Option<WarmUp>,
    /// Off, or only watching.
    pub mode: Mode,
    /// Asks the kernel for huge pages under the table: fewer misses with millions of keys.
    pub huge_pages: bool,
}

impl LimiterConfig {
    /// `quota` for each of up to 100,000 keys.
    pub fn new(algorithm: Algorithm, quota: Quota) -> Self {
        Self {
            algorithm,
            quota,
            max_keys: MAX_KEYS.count() as usize,
            fastest: None,
            block: None,
            warm_up: None,
            mode: Mode::default(),
            huge_pages: HUGE_PAGES.flag(),
        }
    }

    /// With the quotas as the algorithm counts by them: everything else in this module sees these.
    pub(super) fn resolved(self) -> Result<Self, ConfigError> {
        let fastest = self.fastest.map(|fastest| counted(self.algorithm, fastest)).transpose()?;
        Ok(Self { quota: counted(self.algorithm, self.quota)?, fastest, ..self })
    }
}

/// A quota as an algorithm counts by it.
pub(super) fn counted(algorithm: Algorithm, quota: Quota) -> Result<Quota, ConfigError> {
    if algorithm.is_window() { quota.in_window() } else { Ok(quota) }
}

/// Blocks a key for a time after repeated denials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub(crate) after: u32,
    pub(crate) within_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) growth: f64,
    pub(crate) max_ns: u64,
}

impl Block {
    /// Its growth where a binding's caller says none: each block of a key is twice as long as the one before.
    pub const GROWTH: f64 = GROWTH.real();

    /// The `after`-th denial of a key `within` that time (from the first of them) blocks it for `duration`, times
    /// `growth` for each block before that is not yet forgotten, at most `max`. A key is forgotten when it has been
    /// neither blocked nor denied for the longer of `within` and twice its last block. Denials during a block do not
    /// count.
    ///
    /// Errors: `block_after` outside 1 to 255; `block_within`, `block_duration`, `block_max` when zero or above a
    /// year, or the most below the first; `block_growth` below 1 or not finite.
    pub fn new(
        after: u32,
        within: Duration,
        duration: Duration,
        growth: f64,
        max: Option<Duration>,
    ) -> Result<Self, ConfigError> {
        AFTER.check_count(after.into(), "; the number of denials")?;
        let most = Duration::from_nanos(YEAR_NS).min(duration.saturating_mul(64));
        WITHIN.check_span(within, "")?;
        DURATION.check_span(duration, "")?;
        let max = max.unwrap_or(most);
        MAX.check_span(max, "")?;
        if max < duration {
            let message =
                format!("is shorter than {}, the first block; lengthen it or leave it out", of_name(&DURATION));
            return Err(MAX.error(ConfigErrorKind::OutOfRange, message));
        }
        GROWTH.check_real(growth, "; the factor from one block to the next")?;
        let ns = |time: Duration| time.as_nanos() as u64;
        Ok(Self { after, within_ns: ns(within), duration_ns: ns(duration), growth, max_ns: ns(max) })
    }
}
