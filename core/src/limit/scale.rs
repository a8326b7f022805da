//! Nanoseconds to units and back: what makes every rate exact.
//!
//! A unit is chosen for each quota so that both a nanosecond and a token are whole or nearly whole numbers of it:
//! - `T` tokens per `P` ns in lowest terms with `T` ≤ 8: a nanosecond is `T` units, a token `P`. Nothing is rounded,
//!   ever.
//! - else, up to some 8,000/s: a nanosecond is 1 to 8 units, a token is rounded up, and the rate is low by at most one
//!   in a million.
//! - else a token is a power of two, and a nanosecond 1 to 2 units with a 64-bit fraction: the rate is exact to 2^-64,
//!   and each moment is rounded against the caller by less than a nanosecond.
//!
//! Time is converted absolutely, never added up, so nothing drifts. A word has room for 2^60 units beside what a full
//! bucket holds, which at 8 units a nanosecond are 4.6 years. So the units of a bucket that comes near that are made
//! coarser, once: at most one a nanosecond ([`Scale::lasting`]), which lasts for 36 years from the bucket's making at
//! least, and for 73 where it fills in days. Those are within one in a million of the rate too, and never fast.
//!
//! Whole units let a burst drain one by one at any instant, and the next token come at its nanosecond and not one
//! before: a fixed power of two for every token loses the last one of a burst that is drained at a fractional moment.

use super::gcra::Moment;
use crate::Quota;
use crate::quota::gcd;

/// `tat` has this many units of room.
pub(super) const MAX_UNITS: u64 = (1 << 61) - 1;
/// Units from which on a moment is late: see [`Scale::lasting`].
const LATE_BITS: u32 = 60;
/// What a full bucket may hold, so that the end of its time is late. More than 36 years of nanoseconds.
const MAX_CAPACITY: u128 = (1 << 60) - (1 << 32);
/// Most units a nanosecond with a whole number of them.
const MAX_WHOLE: u128 = 8;
/// Units of a token that was rounded up, at least: the rate is low by no more than one in so many.
const LEAST_ROUNDED: u128 = 1_000_000;

/// The units of one quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// Whole units a nanosecond.
    pub(super) per_ns: u32,
    /// 2^64ths of a unit a nanosecond, on top.
    pub(super) frac: u64,
    /// Units a token, at least 1.
    pub(super) token: u64,
    /// Units of a full bucket.
    pub(super) capacity: u64,
}

impl Scale {
    pub(super) fn of(quota: &Quota) -> Self {
        let rate @ (t, p, burst) = in_lowest_terms(quota);
        if t <= MAX_WHOLE && burst * p <= MAX_CAPACITY {
            return Self::whole(t, p, burst);
        }
        for per_ns in [8, 4, 2, 1] {
            let token = (p * per_ns).div_ceil(t);
            if token >= LEAST_ROUNDED && burst * token <= MAX_CAPACITY {
                return Self::whole(per_ns, token, burst);
            }
        }
        // At most 2 units a nanosecond.
        Self::power(rate, (p / t).ilog2() + 1)
    }

    /// The same of at most one unit a nanosecond, for a bucket that is old.
    pub(super) fn lasting(quota: &Quota) -> Self {
        let rate @ (t, p, burst) = in_lowest_terms(quota);
        let token = p.div_ceil(t);
        if (t == 1 || token >= LEAST_ROUNDED) && burst * token <= MAX_CAPACITY {
            return Self::whole(1, token, burst);
        }
        Self::power(rate, (p / t).ilog2())
    }

    /// Of a bucket that was made `dt` nanoseconds ago.
    pub(super) fn at_age(quota: &Quota, dt: u64) -> Self {
        let scale = Self::of(quota);
        if Self::is_late(scale.moment(dt)) { Self::lasting(quota) } else { scale }
    }

    /// Whether finer units than [`lasting`](Self::lasting) ones come to their end.
    #[inline]
    pub(super) fn is_late(moment: Moment) -> bool {
        moment.units >> LATE_BITS != 0
    }

    /// At most one unit a nanosecond.
    pub(super) fn is_lasting(&self) -> bool {
        self.per_ns == 0 || self.per_ns == 1 && self.frac == 0
    }

    fn whole(per_ns: u128, token: u128, burst: u128) -> Self {
        Self { per_ns: per_ns as u32, frac: 0, token: token as u64, capacity: (burst * token) as u64 }
    }

    /// 2^f units a token, f at most `f` and so that a full bucket fits.
    fn power((t, p, burst): (u128, u128, u128), mut f: u32) -> Self {
        while burst << f > MAX_CAPACITY {
            f -= 1;
        }
        let scaled = t << f;
        Self {
            per_ns: (scaled / p) as u32,
            frac: (((scaled % p) << 64) / p) as u64,
            token: 1 << f,
            capacity: (burst << f) as u64,
        }
    }

    /// The moment `dt` nanoseconds after the epoch. Time stands still at the end of the range (36 years at least, where
    /// units are [lasting](Self::lasting)).
    #[inline]
    pub(super) fn moment(&self, dt: u64) -> Moment {
        let fraction = u128::from(dt) * u128::from(self.frac);
        let units = u128::from(dt) * u128::from(self.per_ns) + (fraction >> 64);
        let end = MAX_UNITS.saturating_sub(self.capacity.saturating_add(1));
        let units = u64::try_from(units).unwrap_or(u64::MAX).min(end);
        Moment { units, inexact: u64::from(fraction as u64 != 0) }
    }

    /// Nanoseconds after which `units` have passed, rounded up.
    pub(super) fn ns(&self, units: u64) -> u64 {
        if self.frac == 0 {
            return units.div_ceil(u64::from(self.per_ns).max(1));
        }
        // Ceiling of units * 2^64 / speed; speed >= 2^63 or so, so the quotient fits.
        let speed = (u128::from(self.per_ns) << 64) | u128::from(self.frac);
        u64::try_from((u128::from(units) << 64).div_ceil(speed)).unwrap_or(u64::MAX)
    }

    /// Nanoseconds in which a full bucket fills, rounded down.
    pub(super) fn fill_ns(&self) -> u64 {
        self.ns(self.capacity).saturating_sub(1)
    }

    /// Units that pass in `ns`, rounded up.
    pub(super) fn units(&self, ns: u64) -> u64 {
        let moment = self.moment(ns);
        moment.units + moment.inexact
    }

    /// The cost of `n` tokens, saturating (and then above any capacity).
    #[inline]
    pub(super) fn cost(&self, n: u32) -> u64 {
        self.token.saturating_mul(u64::from(n))
    }
}

/// Tokens, the nanoseconds in which they come, and the burst.
fn in_lowest_terms(quota: &Quota) -> (u128, u128, u128) {
    let (count, period) = (u128::from(quota.count()), quota.period().as_nanos());
    let divisor = gcd(count, period);
    (count / divisor, period / divisor, quota.burst().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(text: &str) -> Scale {
        Scale::of(&text.parse().unwrap())
    }

    #[test]
    fn common_rates_are_whole() {
        assert_eq!(of("400/s"), Scale { per_ns: 1, frac: 0, token: 2_500_000, capacity: 1_000_000_000 });
        assert_eq!(of("3/s"), Scale { per_ns: 3, frac: 0, token: 1_000_000_000, capacity: 3_000_000_000 });
        assert_eq!(of("100000000/s").token, 10);
        assert_eq!(of("70000000/s").per_ns, 7);
    }

    #[test]
    fn every_rate_is_exact_to_a_millionth_and_never_fast() {
        for (count, period_s) in [
            (1, 365 * 86_400),
            (7, 60),
            (11, 1),
            (17, 60),
            (999, 1),
            (7_919, 1),
            (12_345, 1),
            (1_234_567, 1),
            (69_999_999, 1),
            (99_999_989, 1),
            (100_000_000, 1),
            (1_000_003, 3_600),
        ] {
            for burst in [1, 3, 1_000_000, u64::from(u32::MAX)] {
                let quota = Quota::new(count, Duration::from_secs(period_s)).unwrap();
                let Ok(quota) = quota.with_burst(burst) else { continue };
                for scale in [Scale::of(&quota), Scale::lasting(&quota)] {
                    let speed = (u128::from(scale.per_ns) << 64) | u128::from(scale.frac);
                    // tokens a period = speed * period / token, against count; times 2^64.
                    let tokens = |exact: u128| exact * u128::from(scale.token);
                    let got = speed >> 20;
                    let got = got * u128::from(period_s) * 1_000_000_000 / u128::from(scale.token);
                    let want = (u128::from(count) << 64) >> 20;
                    assert!(got <= want, "{quota} is fast: {scale:?}");
                    assert!(want - got <= want / 999_000 + 1, "{quota} is slow: {scale:?} {got} {want}");
                    assert!(tokens(u128::from(quota.burst())) == u128::from(scale.capacity));
                }
            }
        }
    }

    #[test]
    fn waiting_as_long_as_told_is_enough() {
        for text in ["400/s", "3/s", "12345/s", "69999999/s", "1/year", "11/s"] {
            let quota = text.parse().unwrap();
            for scale in [Scale::of(&quota), Scale::lasting(&quota)] {
                for units in [0, 1, 2, scale.token - 1, scale.token, scale.token * 3 + 1] {
                    for start in [0, 1, 5, 1_000_003, 86_400_000_000_000] {
                        let end = scale.moment(start + scale.ns(units));
                        assert!(end.units >= scale.moment(start).units + units, "{text} {units} {start}");
                    }
                }
            }
        }
    }
}
