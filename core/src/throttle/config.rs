//! A client throttle's settings.

use crate::ConfigError;
use crate::mode::Mode;
use crate::setting::{Field, Kind, Preset, Table};
use std::time::Duration;

/// Settings of a [`ClientThrottle`](super::ClientThrottle).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientThrottleConfig {
    /// How many requests for each accepted one are tolerated, 1 to 1,000: lower rejects sooner. Default 2.
    pub k: f64,
    /// Over what requests and accepts are counted, 100 ms to 1 day, in ten slices: it forgets a tenth at a time.
    /// Default 30 s.
    pub window: Duration,
    /// Nothing is rejected below so many requests in the window, at least 1. Default 10.
    pub min_calls: u32,
    /// No probability is higher, 0 < p ≤ 1. Default 0.9.
    pub max_rejection: f64,
    /// One call each so long passes in any case, 1 ms to 1 day. Default 1 s.
    pub force_pass: Duration,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
}

impl Default for ClientThrottleConfig {
    fn default() -> Self {
        Self {
            k: K.real(),
            window: WINDOW.span(),
            min_calls: MIN_CALLS.count() as u32,
            max_rejection: MAX_REJECTION.real(),
            force_pass: FORCE_PASS.span(),
            mode: Mode::default(),
        }
    }
}

impl ClientThrottleConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        K.check_real(self.k, "; 2 lets twice as many through as are accepted")?;
        WINDOW.check_span(self.window, "")?;
        MIN_CALLS.check_count(self.min_calls.into(), "")?;
        MAX_REJECTION.check_real(self.max_rejection, "; 0.9 lets one call in ten through at worst")?;
        FORCE_PASS.check_span(self.force_pass, "")
    }
}

const MS: u64 = 1_000_000;
const DAY: u64 = 24 * 3600 * 1000 * MS;

const K: Field = Field::new(
    "k",
    Kind::Real { min: 1.0, from_min: true, max: 1_000.0 },
    Preset::Real(2.0),
    "how many requests for each accepted one are tolerated; lower rejects sooner",
);
const WINDOW: Field = Field::new(
    "window",
    Kind::Span { min_ns: 100 * MS, max_ns: DAY },
    Preset::Span(30_000 * MS),
    "over what requests and accepts are counted",
);
const MIN_CALLS: Field = Field::new(
    "min_calls",
    Kind::Count { min: 1, max: u32::MAX as u64 },
    Preset::Count(10),
    "nothing is rejected below so many requests in the window",
);
const MAX_REJECTION: Field = Field::new(
    "max_rejection",
    Kind::Real { min: 0.0, from_min: false, max: 1.0 },
    Preset::Real(0.9),
    "no probability of a rejection is higher",
);
const FORCE_PASS: Field = Field::new(
    "force_pass",
    Kind::Span { min_ns: MS, max_ns: DAY },
    Preset::Span(1_000 * MS),
    "one call each so long passes in any case",
);

/// The settings of a client throttle.
pub static SETTINGS: Table = Table { object: "throttle", fields: &[K, WINDOW, MIN_CALLS, MAX_REJECTION, FORCE_PASS] };
