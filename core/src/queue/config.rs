//! Settings of the bounded queue.

use super::marks::{CLOSED, Marks, REJECTING};
use crate::setting::{Field, Kind, Preset, Table, of_name};
use crate::{ConfigError, ConfigErrorKind};

const CAPACITY: Field =
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

/// The settings of a queue.
pub static SETTINGS: Table = Table { object: "queue", fields: &[CAPACITY, HIGH, LOW, ON_FULL, SOJOURN] };

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
        }
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
        // The small term keeps 0.8 * 10 at 8 items: the product of a decimal fraction may come out a hair too large.
        let items = |fraction: f64| ((fraction * capacity as f64 - 1e-9).ceil() as u64).max(1);
        let high = if high == 1.0 { u64::MAX } else { items(high) };
        let capacity = capacity as u64;
        let drop_oldest = self.on_full == OnFull::DropOldest;
        let refuse = if drop_oldest { CLOSED } else { CLOSED | REJECTING };
        Ok(Marks { capacity, high, low: items(low), slow_path_depth: high.min(capacity + 1), drop_oldest, refuse })
    }
}
