//! An adaptive limit's settings.

use crate::setting::{Field, Kind, Preset, Table, of_name};
use crate::{ConfigError, ConfigErrorKind};
use std::str::FromStr;
use std::time::Duration;

/// How a limit follows what calls report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdaptiveAlgorithm {
    /// The median against the latency of an unloaded call, which is probed for. The one to take.
    #[default]
    Gradient,
    /// Netflix's `Gradient2Limit`, for those who migrate. Under a lasting overload it drifts to its maximum.
    Gradient2,
    /// Netflix's `VegasLimit`, for those who migrate. Under a lasting overload it drifts upwards.
    Vegas,
    /// Netflix's `AIMDLimit`, for those who migrate. It reacts to failures only.
    Aimd,
}

impl AdaptiveAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gradient, Self::Gradient2, Self::Vegas, Self::Aimd];

    /// As every language writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::Gradient2 => "gradient2",
            Self::Vegas => "vegas",
            Self::Aimd => "aimd",
        }
    }

    pub(super) fn is_netflixs(self) -> bool {
        self != Self::Gradient
    }
}

impl FromStr for AdaptiveAlgorithm {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| ALGORITHM.none_of(format_args!("{text:?}")))
    }
}

/// Settings of an adaptive limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConfig {
    /// How the limit moves. Default [`Gradient`](AdaptiveAlgorithm::Gradient).
    pub algorithm: AdaptiveAlgorithm,
    /// It never falls below, but for a probe with a `probe_floor`. Default 1; 20 for `gradient2` and `aimd`.
    pub min_limit: u32,
    /// Where it begins. Default 20.
    pub initial_limit: u32,
    /// It never rises above, at most 4,096: a place for each is kept. Default 1,000; 200 for `gradient2` and `aimd`.
    pub max_limit: u32,
    /// How many times the latency of an unloaded call the median may be, 1 to 100. Default 2; 1.5 for `gradient2`.
    pub tolerance: f64,
    /// The limit moves once in so long, 10 ms to 1 hour. Default 500 ms; 1 s for Netflix's.
    pub window: Duration,
    /// And when a window has so many samples. Default 20; 10 for Netflix's, whose window is lost with fewer.
    pub samples: u32,
    /// A window with fewer samples ends after so long. Default 5 s.
    pub max_window: Duration,
    /// And changes nothing if it has fewer than this. Default 5.
    pub min_samples: u32,
    /// Whether the latency of an unloaded call is probed for. Default true.
    pub probe: bool,
    /// After so long without an unloaded look, up to 15 % more, a saturated limit probes. Default 60 s.
    pub probe_every: Duration,
    /// A probe's least limit; `None`: `min_limit`. Default `None`.
    pub probe_floor: Option<u32>,
    /// A median above it always lowers the limit, and teaches nothing. Default `None`.
    pub max_latency: Option<Duration>,
    /// The latency of an unloaded call, if it is known: it is not measured then. Default `None`.
    pub base: Option<Duration>,
    /// `aimd`: a mean above it is a drop. Default 5 s.
    pub timeout: Duration,
    /// `aimd`: what a drop leaves of the limit, 0.5 to below 1. Default 0.9.
    pub backoff_ratio: f64,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self::new(AdaptiveAlgorithm::default())
    }
}

impl AdaptiveConfig {
    /// An algorithm with its defaults.
    pub fn new(algorithm: AdaptiveAlgorithm) -> Self {
        let (min_limit, max_limit) = match algorithm {
            AdaptiveAlgorithm::Gradient | AdaptiveAlgorithm::Vegas => {
                (MIN_LIMIT.count() as u32, MAX_LIMIT.count() as u32)
            }
            AdaptiveAlgorithm::Gradient2 | AdaptiveAlgorithm::Aimd => (20, 200),
        };
        let netflixs = algorithm.is_netflixs();
        Self {
            algorithm,
            min_limit,
            initial_limit: INITIAL_LIMIT.count() as u32,
            max_limit,
            tolerance: if algorithm == AdaptiveAlgorithm::Gradient2 { 1.5 } else { TOLERANCE.real() },
            window: if netflixs { Duration::from_secs(1) } else { WINDOW.span() },
            samples: if netflixs { 10 } else { SAMPLES.count() as u32 },
            max_window: MAX_WINDOW.span(),
            min_samples: MIN_SAMPLES.count() as u32,
            probe: PROBE.flag(),
            probe_every: PROBE_EVERY.span(),
            probe_floor: None,
            max_latency: None,
            base: None,
            timeout: TIMEOUT.span(),
            backoff_ratio: BACKOFF_RATIO.real(),
        }
    }

    /// The same with these limits; without an initial one it begins at its default, or at the bound next to that.
    #[must_use]
    pub fn within(self, min_limit: Option<u32>, initial_limit: Option<u32>, max_limit: Option<u32>) -> Self {
        let min = min_limit.unwrap_or_else(|| self.min_limit.min(max_limit.unwrap_or(u32::MAX)));
        let max = max_limit.unwrap_or_else(|| self.max_limit.max(min_limit.unwrap_or(0)));
        let initial = initial_limit.unwrap_or_else(|| self.initial_limit.min(max).max(min));
        Self { min_limit: min, initial_limit: initial, max_limit: max, ..self }
    }

    pub(in super::super) fn check(&self) -> Result<(), ConfigError> {
        MIN_LIMIT.check_count(self.min_limit.into(), "")?;
        MAX_LIMIT.check_count(self.max_limit.into(), "")?;
        INITIAL_LIMIT.check_count(self.initial_limit.into(), "")?;
        let conflict = |field: &Field, value: u32, of: &Field, bound: u32, how| {
            let message = format!("{value} is {how} {}, {bound}", of_name(of));
            Err(field.error(ConfigErrorKind::Conflict, message))
        };
        if self.min_limit > self.max_limit {
            return conflict(&MIN_LIMIT, self.min_limit, &MAX_LIMIT, self.max_limit, "above");
        }
        if self.initial_limit > self.max_limit {
            return conflict(&INITIAL_LIMIT, self.initial_limit, &MAX_LIMIT, self.max_limit, "above");
        }
        if self.initial_limit < self.min_limit {
            return conflict(&INITIAL_LIMIT, self.initial_limit, &MIN_LIMIT, self.min_limit, "below");
        }
        TOLERANCE.check_real(self.tolerance, "; 2 lets calls take twice as long as without a queue")?;
        WINDOW.check_span(self.window, "")?;
        SAMPLES.check_count(self.samples.into(), "")?;
        MAX_WINDOW.check_span(self.max_window, "")?;
        if self.max_window < self.window {
            let message = format!("it is shorter than {}", of_name(&WINDOW));
            return Err(MAX_WINDOW.error(ConfigErrorKind::Conflict, message));
        }
        MIN_SAMPLES.check_count(self.min_samples.into(), "")?;
        PROBE_EVERY.check_span(self.probe_every, "")?;
        if let Some(floor) = self.probe_floor {
            PROBE_FLOOR.check_count(floor.into(), "")?;
        }
        if let Some(most) = self.max_latency {
            MAX_LATENCY.check_span(most, "")?;
        }
        if let Some(base) = self.base {
            BASE.check_span(base, "")?;
        }
        TIMEOUT.check_span(self.timeout, "")?;
        BACKOFF_RATIO.check_real(self.backoff_ratio, "")
    }

    /// For an arena's record.
    pub(in super::super) fn to_words(self) -> [u64; WORDS] {
        let ns = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let option = |span: Option<Duration>| span.map_or(0, ns);
        [
            self.algorithm as u64,
            self.min_limit.into(),
            self.initial_limit.into(),
            self.max_limit.into(),
            self.tolerance.to_bits(),
            ns(self.window),
            self.samples.into(),
            ns(self.max_window),
            self.min_samples.into(),
            self.probe.into(),
            ns(self.probe_every),
            self.probe_floor.unwrap_or(0).into(),
            option(self.max_latency),
            option(self.base),
            ns(self.timeout),
            self.backoff_ratio.to_bits(),
        ]
    }

    /// As [`to_words`](Self::to_words) wrote it; to be checked.
    pub(in super::super) fn of_words(words: [u64; WORDS]) -> Self {
        let [algorithm, min, initial, max, tolerance, window, samples, max_window, min_samples, probe, rest @ ..] =
            words;
        let [probe_every, probe_floor, max_latency, base, timeout, backoff_ratio] = rest;
        let small = |word: u64| u32::try_from(word).unwrap_or(u32::MAX);
        let option = |word: u64| (word != 0).then(|| Duration::from_nanos(word));
        Self {
            algorithm: AdaptiveAlgorithm::ALL.get(algorithm as usize).copied().unwrap_or_default(),
            min_limit: small(min),
            initial_limit: small(initial),
            max_limit: small(max),
            tolerance: f64::from_bits(tolerance),
            window: Duration::from_nanos(window),
            samples: small(samples),
            max_window: Duration::from_nanos(max_window),
            min_samples: small(min_samples),
            probe: probe != 0,
            probe_every: Duration::from_nanos(probe_every),
            probe_floor: (probe_floor != 0).then(|| small(probe_floor)),
            max_latency: option(max_latency),
            base: option(base),
            timeout: Duration::from_nanos(timeout),
            backoff_ratio: f64::from_bits(backoff_ratio),
        }
    }
}

pub(in super::super) const WORDS: usize = 16;

const MS: u64 = 1_000_000;
const HOUR: u64 = 3600 * 1000 * MS;
const LIMITS: Kind = Kind::Count { min: 1, max: 4_096 };
const MANY: Kind = Kind::Count { min: 1, max: 1_000_000 };

const ALGORITHM: Field = Field::new(
    "algorithm",
    Kind::Choice(&["gradient", "gradient2", "vegas", "aimd"]),
    Preset::Choice("gradient"),
    "how the limit moves; the others are Netflix's, for those who migrate, with Netflix's defaults",
);
const MIN_LIMIT: Field = Field::new(
    "min_limit",
    LIMITS,
    Preset::Count(1),
    "the limit never falls below; 20 by default with gradient2 and aimd",
);
const INITIAL_LIMIT: Field = Field::new("initial_limit", LIMITS, Preset::Count(20), "where the limit begins");
const MAX_LIMIT: Field = Field::new(
    "max_limit",
    LIMITS,
    Preset::Count(1_000),
    "the limit never rises above; 200 by default with gradient2 and aimd",
);
const TOLERANCE: Field = Field::new(
    "tolerance",
    Kind::Real { min: 1.0, from_min: true, max: 100.0 },
    Preset::Real(2.0),
    "how many times the latency of an unloaded call the median may be; 1.5 by default with gradient2",
);
const WINDOW: Field = Field::new(
    "window",
    Kind::Span { min_ns: 10 * MS, max_ns: HOUR },
    Preset::Span(500 * MS),
    "the limit moves once in so long; 1 s by default with Netflix's",
);
const SAMPLES: Field = Field::new(
    "samples",
    MANY,
    Preset::Count(20),
    "and when a window has so many samples; 10 by default with Netflix's",
);
const MAX_WINDOW: Field = Field::new(
    "max_window",
    Kind::Span { min_ns: 10 * MS, max_ns: HOUR },
    Preset::Span(5_000 * MS),
    "a window with fewer samples ends after so long",
);
const MIN_SAMPLES: Field =
    Field::new("min_samples", MANY, Preset::Count(5), "a window with fewer samples changes nothing");
const PROBE: Field =
    Field::new("probe", Kind::Flag, Preset::Flag(true), "whether the latency of an unloaded call is probed for");
const PROBE_EVERY: Field = Field::new(
    "probe_every",
    Kind::Span { min_ns: 5_000 * MS, max_ns: 24 * HOUR },
    Preset::Span(60_000 * MS),
    "after so long without an unloaded look a saturated limit probes, up to 15 % later",
);
const PROBE_FLOOR: Field =
    Field::new("probe_floor", LIMITS, Preset::Unset, "the least limit of a probe; left out, min_limit");
const MAX_LATENCY: Field = Field::new(
    "max_latency",
    Kind::Span { min_ns: MS, max_ns: HOUR },
    Preset::Unset,
    "a median above it always lowers the limit and teaches nothing",
);
const BASE: Field = Field::new(
    "base",
    Kind::Span { min_ns: 1_000, max_ns: HOUR },
    Preset::Unset,
    "the latency of an unloaded call, where it is known: it is not measured then",
);
const TIMEOUT: Field = Field::new(
    "timeout",
    Kind::Span { min_ns: MS, max_ns: HOUR },
    Preset::Span(5_000 * MS),
    "aimd: a mean latency above it is a drop",
);
const BACKOFF_RATIO: Field = Field::new(
    "backoff_ratio",
    Kind::Real { min: 0.5, from_min: true, max: 0.999 },
    Preset::Real(0.9),
    "aimd: what a drop leaves of the limit",
);

/// The settings of an adaptive limit.
pub static SETTINGS: Table = Table {
    object: "adaptive",
    fields: &[
        ALGORITHM,
        MIN_LIMIT,
        INITIAL_LIMIT,
        MAX_LIMIT,
        TOLERANCE,
        WINDOW,
        SAMPLES,
        MAX_WINDOW,
        MIN_SAMPLES,
        PROBE,
        PROBE_EVERY,
        PROBE_FLOOR,
        MAX_LATENCY,
        BASE,
        TIMEOUT,
        BACKOFF_RATIO,
    ],
};
