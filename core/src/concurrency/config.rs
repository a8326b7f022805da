//! A concurrency limiter's settings.

use super::{AdaptiveConfig, Partitions};
use crate::mode::Mode;
use crate::setting::{Field, Kind, Preset, Table, of_name};
use crate::{ConfigError, ConfigErrorKind};
use std::str::FromStr;

/// The most that a limit can be: a denial looks at as many places.
const MOST: u32 = 4_096;

/// Places are laid out by so many, so that in a named scope a changed limit seldom is another shape.
#[cfg(not(loom))]
const STEP: usize = 64;
#[cfg(loom)]
const STEP: usize = 1;

/// Who of those that wait is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum WaitOrder {
    /// Who has waited longest.
    #[default]
    Fifo = 0,
    /// Who came last: under a lasting overload those who are served have waited little, and the oldest time out.
    Lifo = 1,
}

impl WaitOrder {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Fifo, Self::Lifo];

    /// As every language writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Lifo => "lifo",
        }
    }
}

impl FromStr for WaitOrder {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| ORDER.none_of(format_args!("{text:?}")))
    }
}

/// Settings of a [`ConcurrencyLimiter`](super::ConcurrencyLimiter).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConcurrencyConfig {
    /// The most at once, 1 to `max_limit`.
    pub limit: u32,
    /// What `set_limit` may raise it to, at most 4,096: a place for each is kept. By default the limit.
    pub max_limit: u32,
    /// Where the limit follows what calls report of themselves: how. `limit` and `max_limit` are its own then.
    pub adaptive: Option<AdaptiveConfig>,
    /// The most that wait at once on this object, 1 or more: who comes then is refused at once. `None`: any number.
    pub max_waiting: Option<u32>,
    /// Whom of those who wait on this object a permit goes to. By default [`WaitOrder::Fifo`].
    pub order: WaitOrder,
    /// Guaranteed shares of the limit, for calls that say where they belong. By default [`Partitions::NONE`]. With
    /// some, `max_waiting` holds for each of them.
    pub partitions: Partitions,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
}

impl ConcurrencyConfig {
    /// At most `limit` at once.
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            max_limit: limit,
            adaptive: None,
            max_waiting: None,
            order: WaitOrder::Fifo,
            partitions: Partitions::NONE,
            mode: Mode::default(),
        }
    }

    /// A limit that follows what calls report of themselves.
    pub fn adaptive(adaptive: AdaptiveConfig) -> Self {
        let AdaptiveConfig { initial_limit: limit, max_limit, .. } = adaptive;
        Self { max_limit, adaptive: Some(adaptive), ..Self::new(limit) }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(adaptive) = &self.adaptive {
            adaptive.check()?;
        }
        if let Some(most) = self.max_waiting {
            MAX_WAITING.check_count(most.into(), "; left out, any number may wait")?;
        }
        self.sized_by().check_count(self.max_limit.into(), WHAT)?;
        LIMIT.check_count(self.limit.into(), WHAT)?;
        if self.limit > self.max_limit {
            let most = of_name(&MAX_LIMIT);
            let message = format!(
                "{} is above {most}, {}; lower it, or give a higher {most} (at most {MOST})",
                self.limit, self.max_limit
            );
            return Err(LIMIT.error(ConfigErrorKind::Conflict, message));
        }
        Ok(())
    }

    pub(super) fn check_limit(&self, limit: u32) -> Result<(), ConfigError> {
        if self.adaptive.is_some() {
            let message = "an adaptive limit moves by itself; give it another min_limit or max_limit when it is made";
            return Err(LIMIT.error(ConfigErrorKind::Conflict, message));
        }
        if (1..=self.max_limit).contains(&limit) {
            return Ok(());
        }
        let (most, made) = (self.max_limit, of_name(&MAX_LIMIT));
        let message = format!("{limit} is not within 1 to {most}; the limiter was made with this {made}");
        Err(ConfigError::out_of_range(LIMIT.name, message))
    }

    /// What the caller wrote that says how many there can ever be.
    pub(super) fn sized_by(&self) -> &'static Field {
        // Where nothing is said of it, it is the limit.
        if self.limit == self.max_limit && self.adaptive.is_none() { &LIMIT } else { &MAX_LIMIT }
    }

    /// How many places it takes.
    pub(super) fn places(&self) -> usize {
        (self.max_limit as usize).next_multiple_of(STEP)
    }
}

const WHAT: &str = "; how many may run at once";
const LIMIT: Field = Field::new(
    "limit",
    Kind::Count { min: 1, max: MOST as u64 },
    Preset::Required,
    "the most at once; at most what it may be raised to",
);
const MAX_LIMIT: Field = Field::new(
    "max_limit",
    Kind::Count { min: 1, max: MOST as u64 },
    Preset::Unset,
    "what the limit may be raised to: a place for each is kept; left out, the limit",
);

const MAX_WAITING: Field = Field::new(
    "max_waiting",
    Kind::Count { min: 1, max: 1_000_000 },
    Preset::Unset,
    "the most that wait at once in a process, who comes then is refused at once; left out, any number",
);

const ORDER: Field = Field::new(
    "order",
    Kind::Choice(&["fifo", "lifo"]),
    Preset::Choice("fifo"),
    "who of those that wait is served first: who has waited longest, or who came last",
);

/// The settings of a concurrency limit; an adaptive one has the last two as well.
pub static SETTINGS: Table = Table { object: "concurrency", fields: &[LIMIT, MAX_LIMIT, MAX_WAITING, ORDER] };
