//! A quota in a table's own units: one word, so that a change of the default quota is one store.

use super::time::Ticks;
use crate::quota::{BURST, RATE, gcd};
use crate::setting::{Field, time};
use crate::{ConfigError, ConfigErrorKind, Quota};

/// `spare:3 | id:3 | burst - 1:20 | span:38`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    /// Ticks of a token (buckets) or of a window (fixed window); 0 where the table has one period for all.
    pub(super) span: u64,
    /// What a full bucket holds in ticks: `span * burst`.
    pub(super) capacity: u64,
    /// The most at once, or in a window.
    pub(super) burst: u32,
    /// Tells quotas of one table apart: the state of a bucket carries it.
    pub(super) id: u64,
}

const SPAN_BITS: u32 = 38;
const BURST_BITS: u32 = 20;

/// Ticks that a full bucket may hold: the most tokens at once that take the shortest time each, and what rounding it to
/// a tick of a power of two adds. So any burst that can be counted can be had at any rate.
pub(super) const MAX_CAPACITY_BITS: u32 = BURST_BITS + MIN_TOKEN_BITS as u32 + 1;
/// Ticks of a token of a declared quota, at least: rounding up costs less than 0.01 %.
pub(super) const MIN_TOKEN_BITS: i32 = 14;
/// And of any other: rounding up makes it slower by less than 1 %.
const LEAST_TOKEN_BITS: i32 = MIN_TOKEN_BITS - SPARE_BITS;
/// The most at once.
pub(super) const MAX_BURST: u32 = 1 << BURST_BITS;
/// Ticks in which the slowest of the declared quotas fills, where ticks are as fine as that and their tokens are not
/// too short: an epoch.
const DECLARED_BITS: i32 = MAX_EPOCH_BITS as i32;
pub(super) const MAX_EPOCH_BITS: u32 = 30;
/// So many times coarser ticks may be, as a power of two, so that a quota that takes longer can be had later, while an
/// epoch stays as long as it is. More would refuse what is faster than the declared quotas by as much as ever.
const SPARE_BITS: i32 = 7;
/// So much shorter, as a power of two, a token may be than those that were declared and lose no more by rounding.
const FASTER_BITS: i32 = 2;

/// How a table of buckets measures time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) ticks: Ticks,
    /// Ticks of an epoch, as a power of two.
    pub(super) epoch_bits: u32,
}

impl Units {
    pub(super) fn new(span: u64, burst: u32) -> Self {
        Self { span, capacity: span.saturating_mul(burst.into()), burst, id: 0 }
    }

    /// Values of the bits that a word has left.
    pub(super) const SPARES: u64 = 8;

    #[inline]
    pub(super) fn pack(self) -> u64 {
        self.id << (SPAN_BITS + BURST_BITS) | u64::from(self.burst - 1) << SPAN_BITS | self.span
    }

    /// [`pack`](Self::pack) with something of its keeper's in the spare bits.
    pub(super) fn pack_with(self, spare: usize) -> u64 {
        (spare as u64 % Self::SPARES) << (SPAN_BITS + BURST_BITS + 3) | self.pack()
    }

    /// What is in a word's spare bits: below [`SPARES`](Self::SPARES).
    pub(super) fn spare(word: u64) -> usize {
        (word >> (SPAN_BITS + BURST_BITS + 3)) as usize
    }

    #[inline]
    pub(super) fn unpack(word: u64) -> Self {
        let burst = (word >> SPAN_BITS & ((1 << BURST_BITS) - 1)) as u32 + 1;
        let span = word & ((1 << SPAN_BITS) - 1);
        let id = word >> (SPAN_BITS + BURST_BITS) & 7;
        Self { id, ..Self::new(span, burst) }
    }

    /// The same quota while only `burst` of it is open: fewer and dearer tokens in the same time, but for what rounding
    /// a token up adds, so that as many fit as are told.
    pub(super) fn warming(self, burst: u32) -> Self {
        Self { id: self.id, ..Self::new(self.capacity.div_ceil(burst.into()), burst) }
    }
}

/// Nanoseconds between tokens as a fraction in lowest terms.
fn interval(quota: &Quota) -> (u128, u128) {
    let (period, count) = (quota.period().as_nanos(), u128::from(quota.count()));
    let divisor = gcd(period, count);
    (period / divisor, count / divisor)
}

/// For a table of buckets: ticks fine enough for its fastest quota and coarse enough for its slowest, with room for
/// others on both sides.
pub(super) fn bucket_measure(quotas: &[Quota]) -> Result<Measure, ConfigError> {
    // The largest shift with 2^(14 + shift) <= the interval, and the smallest with fill <= 2^(30 + shift).
    let coarse = quotas.iter().map(|quota| {
        let (num, den) = interval(quota);
        (-32..=49).rev().find(|&shift| at_least(num, den, MIN_TOKEN_BITS + shift)).unwrap_or(-32)
    });
    let fine = quotas.iter().map(|quota| {
        let (num, den) = interval(quota);
        let fill = num * u128::from(quota.burst());
        (-32..=49).find(|&shift| !more_than(fill, den, DECLARED_BITS + shift)).unwrap_or(49)
    });
    let (coarse, fine) = (coarse.min().unwrap_or(0), fine.max().unwrap_or(0));
    let shift = fine.max(0).min(coarse);
    let exact = quotas.iter().map(exact_shift);
    let most = exact.chain([coarse - FASTER_BITS]).min().unwrap_or(shift);
    let spare = (most - shift).clamp(0, SPARE_BITS);
    let ticks = Ticks::new(shift + spare);
    quotas.iter().try_for_each(|quota| bucket_units(ticks, quota).map(|_| ()))?;
    Ok(Measure { ticks, epoch_bits: MAX_EPOCH_BITS - spare.unsigned_abs() })
}

/// The coarsest shift that tells nobody another second: a token of whole nanoseconds is one of whole ticks, and what
/// rounding others up adds to a full bucket is less than half of the millisecond that
/// [`RateLimitStatus`](crate::http::RateLimitStatus) allows for.
fn exact_shift(quota: &Quota) -> i32 {
    let (num, den) = interval(quota);
    let bits = u32::BITS - quota.burst().leading_zeros();
    if den == 1 { num.trailing_zeros() as i32 } else { 19 - bits as i32 }
}

/// num / den >= 2^exponent.
fn at_least(num: u128, den: u128, exponent: i32) -> bool {
    let shift = exponent.unsigned_abs();
    if exponent >= 0 { num >= den << shift } else { num << shift >= den }
}

/// num / den > 2^exponent.
fn more_than(num: u128, den: u128, exponent: i32) -> bool {
    let shift = exponent.unsigned_abs();
    if exponent >= 0 { num > den << shift } else { num << shift > den }
}

/// A quota of a table of buckets, of at most [`MAX_BURST`].
pub(super) fn bucket_units(ticks: Ticks, quota: &Quota) -> Result<Units, ConfigError> {
    let (num, den) = interval(quota);
    let token = ticks.count(num, den);
    if token < 1 << LEAST_TOKEN_BITS {
        return Err(RATE.error(
            ConfigErrorKind::OutOfRange,
            format!(
                "{} is faster than this limiter was made for; declare the fastest quota that any key will ever have as \
                 `fastest` when it is made",
                quota.brief()
            ),
        ));
    }
    if u128::from(token) * u128::from(quota.burst()) > 1 << MAX_CAPACITY_BITS {
        return Err(too_slow(ticks, quota));
    }
    Ok(Units::new(token, quota.burst()))
}

#[cold]
fn too_slow(ticks: Ticks, quota: &Quota) -> ConfigError {
    let fill = u64::try_from(quota.fill_time().as_nanos()).unwrap_or(u64::MAX);
    let most = ticks.ns(1 << MAX_CAPACITY_BITS);
    let advice = with_less(ticks, quota).map_or_else(String::new, |less| format!("a burst of {}, or ", less.burst()));
    let message = format!(
        "{} fills in {}, and beside the quotas that it was made for this limiter holds what fills in {} or less; give \
         it {advice}a limiter of its own",
        quota.brief(),
        time(fill),
        time(if most > SECOND { most / SECOND * SECOND } else { most })
    );
    of_burst(quota).error(ConfigErrorKind::OutOfRange, message)
}

const SECOND: u64 = 1_000_000_000;

/// What to name where a burst is wrong: the rate, where nobody wrote another burst than its count.
pub(super) fn of_burst(quota: &Quota) -> &'static Field {
    if u64::from(quota.burst()) == quota.count() { &RATE } else { &BURST }
}

/// As much of a quota's burst as a table can hold; `None` where not one token fits, or where all does.
pub(super) fn with_less(ticks: Ticks, quota: &Quota) -> Option<Quota> {
    let (num, den) = interval(quota);
    let most = (1 << MAX_CAPACITY_BITS) / ticks.count(num, den).max(1);
    if most < u64::from(quota.burst()) { quota.with_burst(most).ok() } else { None }
}
