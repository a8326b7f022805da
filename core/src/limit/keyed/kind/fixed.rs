//! Fixed window that starts at the first hit: `end:b | count:c`, b + c = 39.
//!
//! What a key is admitted falls into windows of its own, each of which lasts a period or longer and holds no more than
//! the limit: so any period holds twice the limit at most, across one edge. In a word that keys share the first hit may
//! be another key's. So each admission there moves the end to a period after it: a count is only dropped when nobody
//! was admitted for a period. At the limit nobody is, so that it ends a period after the last admission.
//!
//! A window that no quota can have begun as of a reading, nor of the present, was begun by a reading ahead. It does not
//! know what was taken before, so it admits nobody before it. (Who is late is counted in the window that has begun.)

use super::super::cell::{OWN_BITS, PENALTY, Penalty};
use super::super::time::{Now, Present, Ticks, later, latest, unwrap};
use super::super::units::Units;
use super::{CellAlgorithm, Charge, Layout, Level, Verdict};
use crate::ConfigError;
use crate::memory::{ObjectAllocator, One};
use crate::sync::{AtomicU64, Ordering};

/// The largest limit that a table is made for.
const MOST_HITS: u32 = (1 << 20) - 1;

/// At most `burst` in a window of `span` ticks.
#[derive(Debug)]
pub(crate) struct Fixed {
    ticks: Ticks,
    penalty: Penalty,
    count_bits: u32,
    grain: u32,
    /// Ticks of the longest window that was declared.
    window: u64,
    /// And of the longest that any quota has.
    longest: One<AtomicU64>,
    present: Present,
}

/// A window that may still run, or `None` for one that is over.
#[derive(Clone, Copy)]
struct Window {
    end: u64,
    count: u64,
}

impl Fixed {
    /// For counts of up to `limit` (at most 2^20 - 1) in windows of up to `period_ns`.
    /// One part.
    pub(crate) fn in_room(
        room: &mut ObjectAllocator,
        limit: u32,
        period_ns: u64,
        present: Present,
    ) -> Result<Self, ConfigError> {
        // One more than the limit: the count of who is not known.
        let count_bits = (limit.max(1) + 1).ilog2() + 1;
        let bits = OWN_BITS - count_bits - 2;
        let shift = (0..63).find(|&shift| u128::from(period_ns) <= 1 << (bits + shift)).unwrap_or(63);
        let ticks = Ticks::new(shift as i32);
        let window = ticks.count(period_ns.into(), 1);
        let (penalty, grain) = (Penalty::new(0, period_ns), (window / 16).max(1).ilog2());
        Ok(Self { ticks, penalty, count_bits, grain, window, longest: room.one()?, present })
    }

    /// To be told of the window of every quota before it is used.
    pub(crate) fn raise_longest(&self, window: u64) {
        // Relaxed: who sees a state of this quota sees what was done before it was put.
        self.longest.fetch_max(window, Ordering::Relaxed);
    }

    /// Whether another quota than this one began the window, or a reading ahead.
    #[inline]
    fn is_far(units: &Units, end: u64, now: Now) -> bool {
        end.wrapping_sub(now.tick) > units.span + 1
    }

    /// The tick at which a window begins that no quota can have begun as of the reading: it was begun by one ahead, and
    /// does not know what was taken before. `None`: the clock has come there, and the thread is late.
    fn begins_at(&self, end: u64, [ns, tick]: [u64; 2]) -> Option<u64> {
        // Relaxed: as above.
        let begun = end.wrapping_sub(self.longest.load(Ordering::Relaxed)).wrapping_sub(1);
        let present = self.ticks.at(self.present.ns(ns));
        later(begun, latest(tick, present)).then_some(begun)
    }

    /// [`judge`](CellAlgorithm::judge) of a window that [is far](Self::is_far), with what it would hold.
    #[cold]
    #[inline(never)]
    fn judge_far(&self, window: Window, [ns, tick]: [u64; 2]) -> Verdict {
        match self.begins_at(window.end, [ns, tick]) {
            Some(begun) => Verdict::Deny { retry_after_ns: self.ticks.until(begun, Now::new(ns, tick)), heal: None },
            None => Verdict::Admit { state: self.pack(window), delay_ns: 0 },
        }
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.ticks
    }

    /// The longest window that fits, in ticks, and the largest limit.
    pub(crate) fn bounds(&self) -> (u64, u32) {
        (1 << (self.time_bits() - 2), self.most() as u32 - 1)
    }

    /// Where a count of hits stops.
    pub(crate) fn most_hits(&self) -> u32 {
        (self.most() as u32).min(MOST_HITS)
    }

    /// So many or more, or nobody knows.
    fn most(&self) -> u64 {
        (1 << self.count_bits) - 1
    }

    fn window(&self, state: u64, now: Now) -> Option<Window> {
        if state & PENALTY != 0 {
            return None;
        }
        let end = unwrap(state >> self.count_bits & ((1 << self.time_bits()) - 1), self.time_bits(), now.near);
        // However wrong a clock reading was, its window ends within a few periods: further ahead a state cannot say.
        later(end, now.tick).then_some(Window { end, count: state & self.most() })
    }

    /// A window that starts at `now`. It ends at the first tick that is no earlier than a period from now: an earlier
    /// one would put two windows' counts into one period.
    #[inline]
    fn begin(&self, units: &Units, now: Now) -> Window {
        let in_tick = u64::from(self.ticks.is_within(now));
        Window { end: now.tick.wrapping_add(units.span + in_tick), count: 0 }
    }

    fn pack(&self, window: Window) -> u64 {
        (window.end & ((1 << self.time_bits()) - 1)) << self.count_bits | window.count.min(self.most())
    }

    /// Counts `n` whatever the limit; the new state, its count and the nanoseconds to its end. Nothing begins no
    /// window.
    pub(crate) fn hit(&self, units: &Units, state: u64, now: Now, n: u32) -> (u64, u32, u64) {
        let window = match self.window(state, now) {
            Some(window) => window,
            None if n == 0 => return (state, 0, 0),
            None => self.begin(units, now),
        };
        let count = window.count.saturating_add(n.into()).min(self.most_hits().into());
        (self.pack(Window { count, ..window }), count as u32, self.ticks.until(window.end, now))
    }
}

impl Layout for Fixed {
    #[inline]
    fn now(&self, ns: u64) -> Now {
        let tick = self.ticks.at(ns);
        Now::new(ns, tick)
    }

    fn ns(&self, ticks: u64) -> u64 {
        self.ticks.whole_ns(ticks)
    }

    fn time_bits(&self) -> u32 {
        OWN_BITS - self.count_bits
    }

    fn refill(&self) -> u64 {
        // The longest that is taken, from within a tick.
        self.bounds().0 + 1
    }

    fn used_up(&self, at: u64) -> u64 {
        self.fresh(at.wrapping_add(self.window + 1))
    }

    fn coarse(&self, now: Now) -> u64 {
        self.ticks.coarse(now, self.grain)
    }

    fn free_at(&self, state: u64, now: Now) -> u64 {
        match self.penalty.end(state, now) {
            Some(end) => self.ticks.at(end),
            None => unwrap(state >> self.count_bits & ((1 << self.time_bits()) - 1), self.time_bits(), now.near),
        }
    }

    fn fresh(&self, at: u64) -> u64 {
        self.pack(Window { end: at, count: self.most() })
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        if a & PENALTY != 0 {
            return a;
        }
        let (ends, most) = ([a, b].map(|state| self.free_at(state, now)), self.most());
        let runs = ends.map(|end| later(end, now.tick));
        match runs {
            [_, false] => a,
            [false, true] => b,
            [true, true] => self.pack(Window { end: latest(ends[0], ends[1]), count: (a & most).max(b & most) }),
        }
    }
}

impl CellAlgorithm for Fixed {
    const EXTENDS: bool = true;

    fn judge(&self, units: &Units, state: u64, now: Now, n: u32) -> Verdict {
        if n > units.burst {
            return Verdict::NEVER;
        }
        if let Some(left) = self.penalty.left(state, now) {
            return Verdict::Deny { retry_after_ns: left, heal: None };
        }
        let window = self.window(state, now);
        let window = window.unwrap_or_else(|| self.begin(units, now));
        let count = window.count + u64::from(n);
        if count <= units.burst.into() {
            let window = Window { count, ..window };
            if Self::is_far(units, window.end, now) {
                return self.judge_far(window, [now.ns, now.tick]);
            }
            return Verdict::Admit { state: self.pack(window), delay_ns: 0 };
        }
        Verdict::Deny { retry_after_ns: self.ticks.until(window.end, now), heal: None }
    }

    fn extend(&self, units: &Units, state: u64, now: Now) -> u64 {
        match self.window(state, now) {
            Some(Window { end, count }) => self.pack(Window { end: latest(end, self.begin(units, now).end), count }),
            None => state,
        }
    }

    fn level(&self, units: &Units, state: u64, now: Now) -> Level {
        match self.window(state, now) {
            Some(Window { end, count }) if count > 0 => Level {
                remaining: units.burst.saturating_sub(count as u32),
                reset_after_ns: self.ticks.until(end, now),
            },
            _ => Level { remaining: units.burst, reset_after_ns: 0 },
        }
    }

    #[cold]
    fn is_closed(&self, state: u64, now: Now) -> bool {
        self.window(state, now).is_some_and(|window| self.begins_at(window.end, [now.ns, now.tick]).is_some())
    }

    fn refund(&self, _units: &Units, state: u64, now: Now, n: u32) -> Option<u64> {
        // Nothing of a count that is not known: its window is not one of a period, and would end too soon for what is
        // charged.
        let known = |window: &Window| (1..self.most()).contains(&window.count);
        let window = self.window(state, now).filter(|window| known(window) && n > 0)?;
        Some(self.pack(Window { count: window.count.saturating_sub(n.into()), ..window }))
    }

    fn undo(&self, units: &Units, state: u64, now: Now, charge: Charge) -> Option<u64> {
        let same = (state ^ charge.own) >> self.count_bits == 0;
        let back = if same { self.refund(units, state, now, charge.n)? } else { return None };
        // A window that only this charge began has never been: who comes next begins a later one.
        Some(if back & self.most() == 0 { self.fresh(now.tick) } else { back })
    }

    fn counted_for(&self, state: u64, now: Now) -> u64 {
        let window = self.window(state, now).filter(|window| window.count > 0);
        window.map_or(0, |window| self.ticks.until(window.end, now))
    }

    #[inline]
    fn penalties(&self) -> Penalty {
        self.penalty
    }
}
