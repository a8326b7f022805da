//! Settings of the bounded queue.

use super::marks::{CLOSED, Marks, REJECTING};
use crate::ConfigError;
use crate::config::name;

/// The largest capacity.
const MAX_CAPACITY: usize = 1 << 24;

/// What a push onto a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OnFull {
    /// Refuses the new item (also while the queue is above its high watermark and has not yet fallen below the low one).
    #[default]
    Reject = 0,
    /// Takes the new item and hands back the oldest; watermarks then only steer `is_accepting`.
    DropOldest = 1,
}

/// Settings of a [`BoundedQueue`](super::BoundedQueue).
#[derive(Clone, Debug, PartialEq)]
pub struct QueueConfig {
    /// The most items held, 1 ..= 2^24.
    pub capacity: usize,
    /// Fraction of the capacity at which pushes start to be refused, low < high ≤ 1; 1.0 turns watermarks off. Default 0.8.
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
        Self { capacity, high_watermark: 0.8, low_watermark: 0.5, on_full: OnFull::Reject, sojourn: false }
    }

    /// The marks in items, or what is wrong.
    pub(super) fn marks(&self) -> Result<Marks, ConfigError> {
        let Self { capacity, high_watermark: high, low_watermark: low, .. } = *self;
        if capacity == 0 {
            return Err(ConfigError::out_of_range(
                "capacity",
                "is 0, so nothing could ever be pushed; give the most items to hold, 1 to 16777216",
            ));
        }
        if capacity > MAX_CAPACITY {
            return Err(ConfigError::out_of_range(
                "capacity",
                format!("is {capacity}, above the largest, 16777216 (2^24); use a smaller queue, or several"),
            ));
        }
        if !(high > 0.0 && high <= 1.0) {
            return Err(ConfigError::out_of_range(
                "high_watermark",
                format!("is {high}; give a fraction of the capacity above 0 and up to 1 (1 turns watermarks off)"),
            ));
        }
        if !(0.0..1.0).contains(&low) {
            return Err(ConfigError::out_of_range(
                "low_watermark",
                format!(
                    "is {low}; give a fraction of the capacity from 0 up to, but not including, the high watermark"
                ),
            ));
        }
        if low >= high {
            return Err(ConfigError::new(
                crate::ConfigErrorKind::Conflict,
                "low_watermark",
                format!(
                    "is {low}, not below the high watermark {high}; lower it, or raise {}, so that there is a gap",
                    name("high_watermark")
                ),
            ));
        }
        // The small term keeps 0.8 * 10 at 8 items: the product of a decimal fraction may come out a hair too large.
        let items = |fraction: f64| ((fraction * capacity as f64 - 1e-9).ceil() as u64).max(1);
        let high = if high == 1.0 { u64::MAX } else { items(high) };
        let capacity = capacity as u64;
        let drop_oldest = self.on_full == OnFull::DropOldest;
        let refuse = if drop_oldest { CLOSED } else { CLOSED | REJECTING };
        Ok(Marks { capacity, high, low: items(low), brake: high.min(capacity + 1), drop_oldest, refuse })
    }
}
