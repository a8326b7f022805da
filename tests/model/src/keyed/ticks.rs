//! The unit of time of a limiter: 2^s nanoseconds, chosen from the quotas that it is made with.

use super::{Algorithm, Quota, Settings, WarmUp, YEAR_NS};

/// A token of a quota that is declared takes at least 2^14 ticks, so that rounding one up makes a rate slower by less
/// than 0.01 %; of any other at least 2^7: by less than 1 %.
const TOKEN_BITS: i32 = 14;
const LEAST_TOKEN_BITS: i32 = 7;
/// A whole burst fits 2^35 ticks.
const FILL_BITS: i32 = 35;
/// One of a quota that is declared fits 2^30, where a token can.
const DECLARED_BITS: i32 = 30;
/// Ticks are coarser than that by so many bits, for what takes longer, but where the declared tokens would have less
/// than two bits more than they need, or what is [exact] would not be.
const SPARE_BITS: i32 = 7;
/// A fixed window's end and count share 39 bits; there is one count more than the limit.
const WINDOW_BITS: i32 = 39;

/// The quota of one decision, in the units of the limiter and after the warm-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) burst: u32,
    /// Ticks that one token costs.
    pub(super) token: i128,
    /// Ticks of the whole burst.
    pub(super) capacity: i128,
    /// Ticks of a window.
    pub(super) window: i128,
    /// The window where it is exact.
    pub(super) period_ns: u64,
    /// Tells one quota from another.
    pub(super) quota: Option<Quota>,
    pub(super) warm_up: Option<WarmUp>,
    pub(super) ticks: Ticks,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    algorithm: Algorithm,
    s: i32,
    largest: u32,
    period_ns: u64,
}

impl Limit {
    /// How long the whole quota takes to fill, whatever part of its warm-up it is in.
    pub(super) fn fill(&self) -> i128 {
        self.quota.map_or(self.capacity, |quota| self.ticks.limit(&quota, None, 0).capacity)
    }
}

impl Ticks {
    /// `None` where no unit fits.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let algorithm = settings.algorithm;
        let quotas = || [Some(settings.quota), settings.fastest].into_iter().flatten();
        let largest = quotas().map(|quota| quota.burst).max().expect("there is a quota");
        let period_ns = quotas().map(|quota| quota.period_ns).max().expect("there is a quota");
        let s = match algorithm {
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                let coarse = (-30..64).rev().find(|s| quotas().all(|quota| spans(&quota, TOKEN_BITS + s)))?;
                let fine = (-30..64).find(|s| quotas().all(|quota| !exceeds(&quota, DECLARED_BITS + s)))?;
                let finest = fine.max(0).min(coarse);
                let most = quotas().map(|quota| exact(&quota)).chain([coarse - 2]).min()?;
                finest + (most - finest).clamp(0, SPARE_BITS)
            }
            Algorithm::FixedWindow => {
                let end_bits = WINDOW_BITS - bits(largest + 1);
                (0..64).find(|s| u128::from(period_ns) <= 1 << (end_bits - 2 + s))?
            }
            Algorithm::SlidingWindow | Algorithm::SlidingLog => 0,
        };
        let ticks = Self { algorithm, s, largest, period_ns };
        quotas().all(|quota| ticks.fits(&quota)).then_some(ticks)
    }

    /// Whether a limiter made like this takes `quota`.
    pub(super) fn fits(&self, quota: &Quota) -> bool {
        match self.algorithm {
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                let token = self.token(quota);
                quota.burst <= 1 << 20
                    && token >= 1 << LEAST_TOKEN_BITS
                    && token * i128::from(quota.burst) <= 1 << FILL_BITS
            }
            Algorithm::FixedWindow => {
                let end_bits = WINDOW_BITS - bits(self.largest + 1);
                quota.burst < 1 << 20
                    && bits(quota.burst + 1) <= bits(self.largest + 1)
                    && self.ticks(quota.period_ns) <= 1 << (end_bits - 2)
            }
            Algorithm::SlidingWindow => {
                quota.burst < 1 << 18 && bits(quota.burst) <= bits(self.largest) && quota.period_ns == self.period_ns
            }
            Algorithm::SlidingLog => quota.burst <= self.largest.min(4096) && quota.period_ns == self.period_ns,
        }
    }

    /// The tick that `ns` after the epoch lies in.
    pub(super) fn tick(&self, ns: u64) -> i128 {
        shifted(ns.into(), -self.s)
    }

    /// The first whole nanosecond of a tick.
    pub(super) fn start(&self, tick: i128) -> u64 {
        u64::try_from(-shifted(-tick, self.s)).unwrap_or(u64::MAX)
    }

    /// When a penalty from `now` ends: a whole number of about milliseconds, or of more where what is counted lasts
    /// longer than a year.
    pub(super) fn penalty_end(&self, now: u64, wait_ns: u64) -> u64 {
        let (least, counted) = match self.algorithm {
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                (self.s.max(20), shifted(1 << FILL_BITS, self.s).min(1 << 60))
            }
            Algorithm::SlidingWindow => (20, i128::from(self.period_ns) * 2),
            _ => (20, self.period_ns.into()),
        };
        let longest = counted.max(YEAR_NS.into());
        let bits = (least..63).find(|bits| longest >> bits < 1 << 35).expect("penalties of centuries");
        (now + wait_ns).next_multiple_of(1 << bits)
    }

    pub(super) fn limit(&self, quota: &Quota, warm_up: Option<WarmUp>, now: u64) -> Limit {
        let burst = warm_up.map_or(quota.burst, |ramp| ramp.burst(now, quota.burst));
        // The same time fills a smaller burst: a token costs more.
        let fill = i128::from(quota.burst) * self.token(quota);
        let token = -(-fill).div_euclid(burst.into());
        let capacity = i128::from(burst) * token;
        Limit {
            burst,
            token,
            capacity,
            window: self.ticks(quota.period_ns),
            period_ns: quota.period_ns,
            quota: Some(*quota),
            warm_up,
            ticks: *self,
        }
    }

    /// The interval of a token in ticks, rounded up: towards the slower rate.
    fn token(&self, quota: &Quota) -> i128 {
        let (tokens, ns) = (i128::from(quota.count), i128::from(quota.period_ns));
        if self.s < 0 { -(-(ns << -self.s)).div_euclid(tokens) } else { -(-ns).div_euclid(tokens << self.s) }
    }

    /// So many nanoseconds in ticks, rounded up.
    pub(super) fn ticks(&self, ns: u64) -> i128 {
        -shifted(-i128::from(ns), -self.s)
    }
}

/// `value` × 2^by, rounded down.
fn shifted(value: i128, by: i32) -> i128 {
    if by < 0 { value >> -by } else { value << by }
}

fn bits(number: u32) -> i32 {
    32 - number.leading_zeros() as i32
}

/// The coarsest unit with which an interval of whole nanoseconds is one of whole ticks, and others add less than half a
/// millisecond to a whole burst.
fn exact(quota: &Quota) -> i32 {
    let (count, period_ns) = (quota.count, quota.period_ns);
    if period_ns % count == 0 { (period_ns / count).trailing_zeros() as i32 } else { 19 - bits(quota.burst) }
}

/// Whether one interval is at least 2^`bits` ns.
fn spans(quota: &Quota, bits: i32) -> bool {
    let (tokens, ns) = (u128::from(quota.count), u128::from(quota.period_ns));
    // Beyond these a shift would leave 128 bits; an interval has 64.
    bits < 64 && if bits < 0 { tokens <= ns << -bits } else { tokens << bits <= ns }
}

/// Whether the whole burst takes more than 2^`bits` ns.
fn exceeds(quota: &Quota, bits: i32) -> bool {
    let (tokens, ns) = (u128::from(quota.count), u128::from(quota.period_ns) * u128::from(quota.burst));
    bits < 64 && if bits < 0 { tokens < ns << -bits } else { tokens << bits < ns }
}
