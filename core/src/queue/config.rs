//! Settings of the bounded queue.

use super::marks::{CLOSED, Marks, REJECTING};
use crate::setting::{Field, Kind, Preset, Table, of_name, time};
use crate::{ConfigError, ConfigErrorKind};
use std::time::Duration;

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;

pub(super) const CAPACITY: Field =
    Field::new("capacity", Kind::Count { min: 1, max: 1 << 24 }, Preset::Required, "the most items held");
const HIGH: Field = Field::new(
    "high_watermark",
    Kind::Real { min: 0.0, from_min: false, max: 1.0 },
    Preset::Real(0.8),
    "the fraction of the capacity at which pushes start to be refused; 1 turns watermarks off",
);
const LOW: Field = Field::new(
    "low_watermark",
    Kind::Real { min: 0.0, from_min: true, max: 1.0 },
    Preset::Real(0.5),
    "the fraction below which pushes are accepted again; below the high one",
);
const ON_FULL: Field = Field::new(
    "on_full",
    Kind::Choice(&["reject", "drop_oldest"]),
    Preset::Choice("reject"),
    "what a push onto a full queue does: is refused, or takes the place of the oldest item",
);
const SOJOURN: Field = Field::new(
    "sojourn",
    Kind::Flag,
    Preset::Flag(false),
    "items carry the time of their push, so that a pop can tell how long they waited",
);
const DISCIPLINE: Field = Field::new(
    "discipline",
    Kind::Choice(&["fifo", "codel", "adaptive_lifo"]),
    Preset::Choice("fifo"),
    "the order of a lane: first in, first out; the same, and what waited too long is dropped under overload; newest \
     first under overload besides",
);
const TARGET: Field = Field::new(
    "target",
    Kind::Span { min_ns: 1_000, max_ns: HOUR },
    Preset::Span(5 * MS),
    "the least wait of an interval that is overload, not of fifo; below the interval",
);
const INTERVAL: Field = Field::new(
    "interval",
    Kind::Span { min_ns: 1_000, max_ns: HOUR },
    Preset::Span(100 * MS),
    "how often overload is judged, not of fifo",
);
const LANES: Field = Field::new(
    "lanes",
    Kind::Count { min: 1, max: 8 },
    Preset::Count(1),
    "lanes by urgency: 0 goes first, but one pop of 20 is of the others in turn",
);
const MAX_AGE: Field = Field::new(
    "max_age",
    Kind::Span { min_ns: 1_000, max_ns: 24 * 365 * HOUR },
    Preset::Unset,
    "what waited longer is dropped when it comes to the front; none by default",
);

/// The settings of a queue.
pub static SETTINGS: Table = Table {
    object: "queue",
    fields: &[CAPACITY, HIGH, LOW, ON_FULL, SOJOURN, DISCIPLINE, TARGET, INTERVAL, LANES, MAX_AGE],
};

/// The order in which the items of a lane come out, and what overload does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Discipline {
    /// First in, first out.
    #[default]
    Fifo = 0,
    /// First in, first out. Once nobody of an interval waited less than the target, whoever waited longer than twice
    /// the target is dropped, until somebody waits less.
    Codel = 1,
    /// As `Codel`, judged by the oldest item, and the newest is served first meanwhile.
    AdaptiveLifo = 2,
}

impl std::str::FromStr for Discipline {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "fifo" => Ok(Self::Fifo),
            "codel" => Ok(Self::Codel),
            "adaptive_lifo" => Ok(Self::AdaptiveLifo),
            _ => Err(DISCIPLINE.none_of(format_args!("{text:?}"))),
        }
    }
}

/// What a push onto a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OnFull {
    /// Refuses the new item (also while the queue is above its high watermark and has not yet fallen below the low
    /// one).
    #[default]
    Reject = 0,
    /// Takes the new item and hands back the oldest; watermarks then only steer `is_accepting`.
    DropOldest = 1,
}

impl std::str::FromStr for OnFull {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "reject" => Ok(Self::Reject),
            "drop_oldest" => Ok(Self::DropOldest),
            _ => Err(ON_FULL.none_of(format_args!("{text:?}"))),
        }
    }
}

/// Settings of a [`BoundedQueue`](super::BoundedQueue).
#[derive(Clone, Debug, PartialEq)]
pub struct QueueConfig {
    /// The most items held, 1 ..= 2^24.
    pub capacity: usize,
    /// Fraction of the capacity at which pushes start to be refused, low < high ≤ 1; 1.0 turns watermarks off. Default
    /// 0.8.
    pub high_watermark: f64,
    /// Fraction below which pushes are accepted again, 0 ≤ low < high. Default 0.5.
    pub low_watermark: f64,
    /// Default [`OnFull::Reject`].
    pub on_full: OnFull,
    /// Whether items carry the time of their push, so that pops can tell their sojourn. Default false.
    pub sojourn: bool,
    /// Default [`Discipline::Fifo`].
    pub discipline: Discipline,
    /// The least delay that is overload where a whole interval has none below it, above 0 and below `interval`. Default
    /// 5 ms. Of [`Codel`](Discipline::Codel) and [`AdaptiveLifo`](Discipline::AdaptiveLifo), as `interval`.
    pub target: Duration,
    /// How often overload is judged. Default 100 ms.
    pub interval: Duration,
    /// How many lanes by urgency, 1 ..= 8: lane 0 goes first, but one pop of 20 is of the others in turn. Default 1.
    pub lanes: usize,
    /// What waited longer is dropped when it comes to the front. Default: nothing is.
    pub max_age: Option<Duration>,
}

impl QueueConfig {
    /// The defaults for a queue of `capacity` items.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            high_watermark: HIGH.real(),
            low_watermark: LOW.real(),
            on_full: OnFull::default(),
            sojourn: SOJOURN.flag(),
            discipline: Discipline::default(),
            target: TARGET.span(),
            interval: INTERVAL.span(),
            lanes: LANES.count() as usize,
            max_age: None,
        }
    }

    /// Whether a queue can be made of it.
    #[cfg(all(feature = "policy", not(loom)))]
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.marks().map(drop)
    }

    /// The marks in items, or what is wrong.
    pub(super) fn marks(&self) -> Result<Marks, ConfigError> {
        let Self { capacity, high_watermark: high, low_watermark: low, .. } = *self;
        CAPACITY.check_count(capacity as u64, "; the most items to hold")?;
        HIGH.check_real(high, "; a fraction of the capacity, 1 turns watermarks off")?;
        LOW.check_real(low, "; a fraction of the capacity")?;
        if low >= high {
            let message = format!(
                "{low} is not below {high}, {}; lower it or raise that, so that there is a gap",
                of_name(&HIGH)
            );
            return Err(LOW.error(ConfigErrorKind::Conflict, message));
        }
        self.check_rules()?;
        // The small term keeps 0.8 * 10 at 8 items: the product of a decimal fraction may come out a hair too large.
        let items = |fraction: f64| ((fraction * capacity as f64 - 1e-9).ceil() as u64).max(1);
        let high = if high == 1.0 { u64::MAX } else { items(high) };
        let capacity = capacity as u64;
        let drop_oldest = self.on_full == OnFull::DropOldest;
        let refuse = if drop_oldest { CLOSED } else { CLOSED | REJECTING };
        Ok(Marks { capacity, high, low: items(low), slow_path_depth: high.min(capacity + 1), drop_oldest, refuse })
    }

    fn check_rules(&self) -> Result<(), ConfigError> {
        LANES.check_count(self.lanes as u64, "")?;
        TARGET.check_span(self.target, "")?;
        INTERVAL.check_span(self.interval, "")?;
        if self.target >= self.interval {
            let message = format!(
                "{} is not below {} of {}; lower it or raise that",
                time(self.target.as_nanos() as u64),
                of_name(&INTERVAL),
                time(self.interval.as_nanos() as u64)
            );
            return Err(TARGET.error(ConfigErrorKind::Conflict, message));
        }
        self.max_age.map_or(Ok(()), |age| MAX_AGE.check_span(age, ""))
    }

    /// Whether items go on a shelf, not into the ring.
    pub(super) fn needs_shelf(&self) -> bool {
        self.lanes > 1 || self.discipline == Discipline::AdaptiveLifo
    }

    /// Whether a push and a pop are all there is to do.
    pub(super) fn is_plain(&self) -> bool {
        !self.needs_shelf() && !self.judges_age()
    }

    /// Whether items need the time of their push for more than `sojourn`.
    pub(super) fn judges_age(&self) -> bool {
        self.discipline != Discipline::Fifo || self.max_age.is_some()
    }
}
