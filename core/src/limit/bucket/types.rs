//! What goes into a bucket's constructor, and what its operations answer.

use crate::limit::{Mode, WarmUp, warm_up};
use crate::quota::{BURST, PERIOD, RATE};
use crate::setting::{Field, Kind, Preset, Table};

// More stripes would leave too few bits of a ticket for the number of its booking.
pub(super) const STRIPES: Field = Field::new(
    "stripes",
    Kind::Count { min: 1, max: 64 },
    Preset::Count(1),
    "words that rate and burst are split over, so that many threads get in each other's way less",
);

/// The settings of a token bucket.
pub static SETTINGS: Table =
    Table { object: "bucket", fields: &[RATE, PERIOD, BURST, STRIPES, warm_up::PERIOD, warm_up::FROM] };

/// Options of [`TokenBucket::with_options`](super::TokenBucket::with_options).
///
/// ```
/// use tidegate::{Clock, TokenBucket, limit::{BucketConfig, Mode}};
///
/// let watching = BucketConfig { mode: Mode::DryRun, ..BucketConfig::default() };
/// let bucket = TokenBucket::with_options("1/hour".parse()?, watching, Clock::monotonic())?;
/// assert!(bucket.try_acquire(1) && bucket.try_acquire(1));
/// assert_eq!(bucket.stats().would_deny, 1);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketConfig {
    /// Words that rate and burst are split over, 1 to 64; 1 by default. See
    /// [`TokenBucket::striped`](super::TokenBucket::striped).
    pub stripes: u32,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
    /// The ramp of a new bucket; none by default. With stripes, each share ramps by itself.
    pub warm_up: Option<WarmUp>,
}

impl Default for BucketConfig {
    fn default() -> Self {
        Self { stripes: STRIPES.count() as u32, mode: Mode::default(), warm_up: None }
    }
}

/// A booking made by [`TokenBucket::reserve`](super::TokenBucket::reserve), by value: hand it back to
/// [`TokenBucket::cancel`](super::TokenBucket::cancel) or drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ticket {
    /// Opaque.
    pub word: u64,
    /// Opaque.
    pub booking: u64,
}

/// What [`TokenBucket::reserve`](super::TokenBucket::reserve) answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reservation {
    /// Booked: act after `wait_ns` nanoseconds (0 = now).
    Booked {
        /// Nanoseconds until the tokens are there.
        wait_ns: u64,
        /// For [`TokenBucket::cancel`](super::TokenBucket::cancel).
        ticket: Ticket,
    },
    /// Nothing was booked: the wait would have been longer than `max_wait`.
    Denied {
        /// The wait it would have taken, in nanoseconds; [`NEVER`](crate::decision::NEVER) when the cost exceeds the
        /// burst.
        retry_after_ns: u64,
    },
}

/// Counts since the bucket was made. A call that waited counts once, as its booking was answered; `peek` never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketStats {
    /// Calls admitted, without those of `would_deny`.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls that a dry run admitted and that would have been denied.
    pub would_deny: u64,
}
