//! Sliding window counter: `window:b | prev:c | cur:c`, b + 2c = 39. Two windows, the earlier weighted by the part of
//! it that still counts. Source: Cloudflare, "How we built rate limiting capable of scaling to millions of domains"
//! (2017).

use super::super::Windows;
use super::super::cache_line::EPOCH_NUMBER_BITS;
use super::super::cell::{OWN_BITS, PENALTY, Penalty};
use super::super::time::{Epoch, Now, Present, later, unwrap};
use super::super::units::Units;
use super::{CellAlgorithm, Charge, Layout, Level, Verdict};

/// At most `burst` in any window, by the weighted estimate. A tick is a window here, aligned to the epoch.
#[derive(Debug)]
pub(crate) struct Sliding {
    period: u64,
    penalty: Penalty,
    count_bits: u32,
    /// Bits of a window that are read: no more than come round with the numbers of epochs.
    read_bits: u32,
    present: Present,
}

#[derive(Clone, Copy)]
struct Counts {
    prev: u64,
    cur: u64,
}

impl Sliding {
    /// For counts of up to `limit` (at most 2^18 - 1) in windows of `period_ns`.
    pub(crate) fn new(limit: u32, period_ns: u64, present: Present) -> Self {
        let made = Self {
            period: period_ns.max(1),
            penalty: Penalty::new(0, period_ns.saturating_mul(2)),
            count_bits: limit.max(1).ilog2() + 1,
            read_bits: 0,
            present,
        };
        // Four windows of one epoch are more than the two that anything counts.
        let penalty = made.penalty.across(period_ns.saturating_mul(1 << made.epoch_bits()));
        Self { penalty, read_bits: made.time_bits().min(made.epoch_bits() + EPOCH_NUMBER_BITS), ..made }
    }

    /// The largest count.
    pub(crate) fn most(&self) -> u64 {
        (1 << self.count_bits) - 1
    }

    pub(crate) fn period(&self) -> u64 {
        self.period
    }

    /// The moment as of which a state is judged: never before its own window. What an older reading would see of an
    /// earlier window is lost (that window may have been full), so it is told the start of the state's own, where all
    /// that is counted still counts: it may deny early, and its charge goes to the window that it was judged by. A
    /// window that the clock [has not come to](Self::is_ahead) was begun by a reading ahead, and admits nobody.
    fn as_of(&self, state: u64, now: Now) -> Now {
        let window = self.window(state, now);
        if state & PENALTY == 0 && later(window, now.tick) {
            Now { ns: window.wrapping_mul(self.period), tick: window, ..now }
        } else {
            now
        }
    }

    /// Whether the clock has not come to the moment either as of which a state is judged, which is after the reading.
    #[cold]
    #[inline(never)]
    fn is_ahead(&self, then_ns: u64, now_ns: u64) -> bool {
        self.present.ns(now_ns) < then_ns
    }

    /// The counts of the window of `now` and the one before it, as an older state leaves them. `now`:
    /// [`as_of`](Self::as_of).
    fn counts(&self, state: u64, now: Now) -> Counts {
        if state & PENALTY != 0 {
            return Counts { prev: 0, cur: 0 };
        }
        let (prev, cur) = (state >> self.count_bits & self.most(), state & self.most());
        match now.tick.wrapping_sub(self.window(state, now)) {
            0 => Counts { prev, cur },
            1 => Counts { prev: cur, cur: 0 },
            _ => Counts { prev: 0, cur: 0 },
        }
    }

    fn window(&self, state: u64, now: Now) -> u64 {
        // The largest limits leave three bits: windows are looked for from six before now to one after it.
        let ahead = 1 << (self.read_bits - 2);
        unwrap(state >> (2 * self.count_bits), self.read_bits, now.near.wrapping_sub(ahead))
    }

    fn pack(&self, window: u64, counts: Counts) -> u64 {
        let (prev, cur) = (counts.prev.min(self.most()), counts.cur.min(self.most()));
        (window & ((1 << self.time_bits()) - 1)) << (2 * self.count_bits) | prev << self.count_bits | cur
    }

    /// Nanoseconds into the window.
    fn elapsed(&self, now: Now) -> u64 {
        now.ns.wrapping_sub(now.tick.wrapping_mul(self.period)).min(self.period)
    }

    /// Used, in counts times nanoseconds.
    fn used(&self, counts: Counts, now: Now) -> u128 {
        let left = u128::from(self.period - self.elapsed(now));
        u128::from(counts.prev) * left + u128::from(counts.cur) * u128::from(self.period)
    }

    /// Both counts as they stand at `now`, and what is left of the present window; a penalty reads as none.
    pub(crate) fn windows(&self, state: u64, now: Now) -> Windows {
        let now = self.as_of(state, now);
        let Counts { prev, cur } = self.counts(state, now);
        Windows { previous: prev as u32, current: cur as u32, left_ns: self.period - self.elapsed(now) }
    }

    /// Nanoseconds until nothing is counted.
    fn over_in(&self, counts: Counts, now: Now) -> u64 {
        let left = self.period - self.elapsed(now);
        match counts {
            Counts { cur: 1.., .. } => left.saturating_add(self.period),
            Counts { prev: 1.., .. } => left,
            _ => 0,
        }
    }

    fn retry(&self, counts: Counts, limit: u64, n: u64, now: Now) -> u64 {
        let (period, elapsed) = (u128::from(self.period), u128::from(self.elapsed(now)));
        // The moment in a window at which `before` counts of the window before it leave `room`.
        let moment = |room: u64, before: u64| match u128::from(before) {
            0 => 0,
            before => period.saturating_sub(u128::from(room) * period / before),
        };
        let wait = if counts.cur + n <= limit {
            moment(limit - counts.cur - n, counts.prev).saturating_sub(elapsed)
        } else {
            period - elapsed + moment(limit - n, counts.cur)
        };
        wait as u64
    }
}

/// How far an older reading is from the moment that it is judged by: a caller waits from its own reading on.
fn ahead(then: Now, now: Now) -> u64 {
    then.ns.saturating_sub(now.ns)
}

impl Layout for Sliding {
    #[inline]
    fn now(&self, ns: u64) -> Now {
        let tick = ns / self.period;
        Now::new(ns, tick)
    }

    fn ns(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(self.period)
    }

    fn time_bits(&self) -> u32 {
        OWN_BITS - 2 * self.count_bits
    }

    fn epoch_bits(&self) -> u32 {
        // A reading that is ahead by less than an epoch is believed: no more than four windows.
        (self.time_bits() - 3).min(2)
    }

    fn last_free(&self, epoch: Epoch) -> u64 {
        // A window is over two after it.
        epoch.start.wrapping_add((1 << (self.read_bits - 2)) + 1)
    }

    fn refill(&self) -> u64 {
        2
    }

    fn coarse(&self, now: Now) -> u64 {
        now.tick.wrapping_mul(self.period)
    }

    fn free_at(&self, state: u64, now: Now) -> u64 {
        match self.penalty.end(state, now) {
            Some(end) => end.div_ceil(self.period),
            None => self.window(state, now).wrapping_add(2),
        }
    }

    fn fresh(&self, at: u64) -> u64 {
        self.pack(at.wrapping_sub(2), Counts { prev: self.most(), cur: self.most() })
    }

    fn raise(&self, state: u64, at: u64) -> u64 {
        // Not even the last window of a penalty fades.
        self.fresh(if state & PENALTY != 0 { at.wrapping_add(1) } else { at })
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        if a & PENALTY != 0 {
            return a;
        }
        let (wa, wb) = (self.window(a, now), self.window(b, now));
        let window = if later(wa, wb) { wa } else { wb };
        let at = Now { tick: window, ns: window.wrapping_mul(self.period), ..now };
        let (ca, cb) = (self.counts(a, at), self.counts(b, at));
        self.pack(window, Counts { prev: ca.prev.max(cb.prev), cur: ca.cur.max(cb.cur) })
    }
}

impl CellAlgorithm for Sliding {
    fn judge(&self, units: &Units, state: u64, now: Now, n: u32) -> Verdict {
        if n > units.burst {
            return Verdict::NEVER;
        }
        if let Some(left) = self.penalty.left(state, now) {
            return Verdict::Deny { retry_after_ns: left, heal: None };
        }
        let then = self.as_of(state, now);
        let counts = self.counts(state, then);
        let taken = Counts { cur: counts.cur + u64::from(n), ..counts };
        if self.used(taken, then) <= u128::from(units.burst) * u128::from(self.period) {
            if then.tick != now.tick && self.is_ahead(then.ns, now.ns) {
                return Verdict::Deny { retry_after_ns: ahead(then, now), heal: None };
            }
            return Verdict::Admit { state: self.pack(then.tick, taken), delay_ns: 0 };
        }
        let wait = self.retry(counts, units.burst.into(), n.into(), then);
        Verdict::Deny { retry_after_ns: wait.saturating_add(ahead(then, now)), heal: None }
    }

    fn level(&self, units: &Units, state: u64, now: Now) -> Level {
        let then = self.as_of(state, now);
        let counts = self.counts(state, then);
        let whole = u128::from(units.burst) * u128::from(self.period);
        let remaining = whole.saturating_sub(self.used(counts, then)) / u128::from(self.period);
        let reset_after_ns = match self.over_in(counts, then) {
            0 => 0,
            over => over.saturating_add(ahead(then, now)),
        };
        Level { remaining: remaining as u32, reset_after_ns }
    }

    #[cold]
    fn is_closed(&self, state: u64, now: Now) -> bool {
        let then = self.as_of(state, now);
        then.tick != now.tick && self.is_ahead(then.ns, now.ns)
    }

    fn refund(&self, _units: &Units, state: u64, now: Now, n: u32) -> Option<u64> {
        let now = self.as_of(state, now);
        let counts = self.counts(state, now);
        let cur = counts.cur.saturating_sub(n.into());
        (cur < counts.cur).then(|| self.pack(now.tick, Counts { cur, ..counts }))
    }

    fn undo(&self, _units: &Units, state: u64, now: Now, charge: Charge) -> Option<u64> {
        let charged = self.window(charge.own, charge.at);
        let now = self.as_of(state, now);
        let Counts { prev, cur } = self.counts(state, now);
        let less = |count: u64| count.saturating_sub(charge.n.into());
        let back = match now.tick.wrapping_sub(charged) {
            0 => Counts { prev, cur: less(cur) },
            1 => Counts { prev: less(prev), cur },
            _ => return None,
        };
        Some(self.pack(now.tick, back))
    }

    fn counted_for(&self, state: u64, now: Now) -> u64 {
        let then = self.as_of(state, now);
        self.over_in(self.counts(state, then), then).saturating_add(ahead(then, now))
    }

    #[inline]
    fn penalties(&self) -> Penalty {
        self.penalty
    }
}
