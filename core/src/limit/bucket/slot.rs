//! The quota in force, and up to three that were: read by everyone, rewritten only while no word names it.

use super::super::gcra::Moment;
use super::super::scale::Scale;
use crate::Quota;
use crate::clock::Tsc;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// One cache line. All accesses are Relaxed: a slot is written before the word that names it is published (Release),
/// and read after that word was loaded (Acquire); a reader that is overtaken by a rewrite fails its exchange on the
/// word.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Slot {
    /// Units a tick of the CPU's counter, times 2^`TICK_SHIFT`; 0 where the clock has no counter.
    tick_mult: AtomicU64,
    token: AtomicU64,
    capacity: AtomicU64,
    /// 1 where moments are rounded, see [`Moment::inexact`].
    inexact: AtomicU64,
    frac: AtomicU64,
    per_ns: AtomicU32,
    burst: AtomicU32,
    count: AtomicU64,
    period_ns: AtomicU64,
}

impl Slot {
    /// As it stands before the first quota.
    #[cfg(loom)]
    pub(super) fn blank() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            tick_mult: zero(),
            token: zero(),
            capacity: zero(),
            inexact: zero(),
            frac: zero(),
            per_ns: AtomicU32::new(0),
            burst: AtomicU32::new(0),
            count: zero(),
            period_ns: zero(),
        }
    }
}

/// Fraction bits of a tick's units. At most 8 units a nanosecond and 10 ns a tick fit.
const TICK_SHIFT: u32 = 57;

impl Slot {
    /// Only under the quota lock, and only while no word names this slot.
    pub(super) fn write(&self, quota: &Quota, scale: &Scale, tsc: Option<&Tsc>) {
        // Relaxed, all nine: published by the exchange that names this slot (see above).
        self.tick_mult.store(tsc.map_or(0, |tsc| tick_mult(scale, tsc)), Ordering::Relaxed);
        self.token.store(scale.token, Ordering::Relaxed);
        self.capacity.store(scale.capacity, Ordering::Relaxed);
        self.inexact.store(u64::from(scale.frac != 0), Ordering::Relaxed);
        self.frac.store(scale.frac, Ordering::Relaxed);
        self.per_ns.store(scale.per_ns, Ordering::Relaxed);
        self.burst.store(quota.burst(), Ordering::Relaxed);
        self.count.store(quota.count(), Ordering::Relaxed);
        self.period_ns.store(quota.period().as_nanos() as u64, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn scale(&self) -> Scale {
        Scale {
            // Relaxed, all four: ordered by the word (see above).
            per_ns: self.per_ns.load(Ordering::Relaxed),
            frac: self.frac.load(Ordering::Relaxed),
            token: self.token.load(Ordering::Relaxed),
            capacity: self.capacity.load(Ordering::Relaxed),
        }
    }

    /// What a decision by ticks needs; `None` where the clock has no counter.
    #[inline]
    pub(super) fn by_ticks(&self) -> Option<ByTicks> {
        // Relaxed, all four: ordered by the word (see above).
        let mult = self.tick_mult.load(Ordering::Relaxed);
        let token = self.token.load(Ordering::Relaxed);
        let capacity = self.capacity.load(Ordering::Relaxed);
        let inexact = self.inexact.load(Ordering::Relaxed);
        (mult != 0).then_some(ByTicks { mult, token, capacity, inexact })
    }

    #[inline]
    pub(super) fn burst(&self) -> u32 {
        // Relaxed: ordered by the word (see above).
        self.burst.load(Ordering::Relaxed)
    }

    pub(super) fn quota(&self) -> Option<Quota> {
        // Relaxed, both: ordered by the word (see above).
        let (count, period) = (self.count.load(Ordering::Relaxed), self.period_ns.load(Ordering::Relaxed));
        Quota::from_parts(count, period, self.burst())
    }
}

/// A [`Scale`] for time in ticks of the CPU's counter.
pub(super) struct ByTicks {
    mult: u64,
    pub(super) token: u64,
    pub(super) capacity: u64,
    inexact: u64,
}

impl ByTicks {
    /// The moment `ticks` after the epoch: the clock's multiplication and the scale's in one. At 8 units a nanosecond
    /// it wraps after 73 years.
    #[inline]
    pub(super) fn moment(&self, ticks: u64) -> Moment {
        let units = (u128::from(ticks) * u128::from(self.mult)) >> TICK_SHIFT;
        Moment { units: units as u64, inexact: self.inexact }
    }
}

/// Rounded down, so that time in ticks is never ahead of time in nanoseconds.
fn tick_mult(scale: &Scale, tsc: &Tsc) -> u64 {
    let (ns_per_tick, shift) = tsc.ns_per_tick();
    let whole = u128::from(ns_per_tick) * u128::from(scale.per_ns);
    let fraction = (u128::from(ns_per_tick) * u128::from(scale.frac)) >> 64;
    u64::try_from((whole + fraction) >> (shift - TICK_SHIFT)).unwrap_or(0)
}
