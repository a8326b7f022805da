//! Token and leaky bucket: `id:3 | tat:36`, the generic cell rate algorithm (ITU-T I.371) on a table's ticks.

use super::super::cell::{PENALTY, Penalty};
use super::super::time::{Epoch, Now, Present, Ticks, later, latest, unwrap_from};
use super::super::units::{MAX_CAPACITY_BITS, Units};
use super::{Charge, Kind, Layout, Level, Verdict};
use crate::ConfigError;
use crate::decision::NEVER;
use crate::memory::{ObjectAllocator, One};
use crate::sync::{AtomicU64, Ordering};

const TAT_BITS: u32 = 36;
const TAT: u64 = (1 << TAT_BITS) - 1;

/// A 64th of what a time can tell apart: about what the slowest declared quota takes to come back, which bounds for how long a
/// reading that is ahead by less than an epoch is believed.
const EPOCH_BITS: u32 = TAT_BITS - 6;
/// A state is read from so many epochs before a line's own up to 40 after its start: what a charge can put, a full bucket after the
/// epoch's end, lies within.
const BEHIND: u64 = 24;

/// The number of no quota: of a state that nobody charged.
const NOBODYS: u64 = 0;

/// A token bucket, or as a queue a leaky one: the same numbers, but whoever is admitted beyond the rate must wait.
#[derive(Debug)]
pub(crate) struct Gcra {
    ticks: Ticks,
    penalty: Penalty,
    grain: u32,
    present: Present,
    /// The longest that any quota of this table takes to fill, in whatever part of its warm-up.
    longest: One<AtomicU64>,
    paced: bool,
}

impl Gcra {
    /// One part.
    pub(crate) fn in_room(
        room: &mut ObjectAllocator,
        ticks: Ticks,
        fastest_token: u64,
        paced: bool,
        present: Present,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            ticks,
            penalty: Penalty::new(ticks.shift(), ticks.ns(1 << MAX_CAPACITY_BITS)),
            // A quarter of a token: a key waits that much longer for its cell to be reused.
            grain: fastest_token.max(4).ilog2() - 2,
            present,
            longest: room.one()?,
            paced,
        })
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.ticks
    }

    /// To be told of every quota before it is used.
    pub(crate) fn admit(&self, units: &Units) {
        // A token is rounded up while the quota warms up, so that a burst may take a tick more for each of its tokens.
        let most = units.capacity.saturating_add(units.burst.into());
        // Relaxed, both: it only decides how long a penalised cell is kept, and was raised before any state that needs it.
        if self.longest.load(Ordering::Relaxed) < most {
            self.longest.fetch_max(most, Ordering::Relaxed);
        }
    }

    /// The theoretical arrival time, and whether it was clipped and should be stored so.
    #[inline]
    fn tat(&self, units: &Units, state: u64, now: Now) -> (u64, bool) {
        if let Some(end_ns) = self.penalty.end(state, now) {
            return (self.after_penalty(end_ns, now.ns, now.tick, units.capacity), false);
        }
        let tat = time(state, now);
        let ahead = tat.wrapping_sub(now.tick) as i64;
        if ahead <= units.capacity as i64 {
            return (tat, false);
        }
        self.clip(units, state, tat, now.ns, now.near)
    }

    /// A key that is further from full than its burst: it had a larger quota, and keeps no more than fills the present one, or the
    /// reading is an old one, which must lower nothing. Which of the two, the clock says: it is read again, after the state, and so
    /// after whoever put the state read it.
    #[cold]
    fn clip(&self, units: &Units, state: u64, tat: u64, ns: u64, near: u64) -> (u64, bool) {
        let id = state >> TAT_BITS & 7;
        // Nobody in this epoch or before puts such a state: foreign bytes do.
        let epoch = Epoch::of(near, EPOCH_BITS);
        let last = epoch.end().wrapping_add(self.refill());
        if id == units.id && !later(tat, last) || id == NOBODYS {
            return (tat, false);
        }
        // Nor less than what can be put there.
        let most = self.ticks.at(self.present.ns(ns)).wrapping_add(units.capacity);
        let most = latest(most, epoch.back(self.back()).start);
        if later(tat, most) { (most, true) } else { (tat, false) }
    }

    /// From the end of a penalty on a bucket refills from empty, a queue is empty.
    #[cold]
    fn after_penalty(&self, end_ns: u64, ns: u64, tick: u64, capacity: u64) -> u64 {
        let end = self.ticks.near(end_ns, ns, tick);
        if self.paced { end } else { end.wrapping_add(capacity) }
    }

    fn pack(&self, units: &Units, tat: u64) -> u64 {
        units.id << TAT_BITS | tat & TAT
    }
}

/// The theoretical arrival time in a state.
#[inline]
fn time(state: u64, now: Now) -> u64 {
    unwrap_from(state & TAT, TAT_BITS, now.near.wrapping_sub(BEHIND << EPOCH_BITS))
}

impl Layout for Gcra {
    #[inline]
    fn now(&self, ns: u64) -> Now {
        let tick = self.ticks.at(ns);
        Now::new(ns, tick)
    }

    fn time_bits(&self) -> u32 {
        TAT_BITS
    }

    #[inline]
    fn epoch_bits(&self) -> u32 {
        EPOCH_BITS
    }

    fn back(&self) -> u64 {
        BEHIND - 2
    }

    fn life_bits(&self) -> u32 {
        MAX_CAPACITY_BITS
    }

    fn refill(&self) -> u64 {
        // Relaxed: see `admit`.
        self.longest.load(Ordering::Relaxed).min(1 << (MAX_CAPACITY_BITS + 1))
    }

    fn coarse(&self, now: Now) -> u64 {
        self.ticks.coarse(now, self.grain)
    }

    fn most_ns(&self) -> u64 {
        self.ticks.most_ns()
    }

    #[inline]
    fn free_at(&self, state: u64, now: Now) -> u64 {
        match self.penalty.end(state, now) {
            // Relaxed: see `admit`.
            Some(end_ns) => self.after_penalty(end_ns, now.ns, now.tick, self.longest.load(Ordering::Relaxed)),
            None => time(state, now),
        }
    }

    fn raise(&self, state: u64, at: u64) -> u64 {
        if state & PENALTY != 0 { self.fresh(at) } else { state & !TAT | at & TAT }
    }

    fn fresh(&self, at: u64) -> u64 {
        at & TAT
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        if a & PENALTY != 0 {
            return a;
        }
        let (at, bt) = (time(a, now), time(b, now));
        if latest(at, bt) == at { a } else { a & !TAT | b & TAT }
    }
}

impl Kind for Gcra {
    #[inline]
    fn judge(&self, units: &Units, state: u64, now: Now, n: u32) -> Verdict {
        // A bucket under a penalty is one that is empty at its end; a queue opens then.
        if self.paced
            && let Some(left) = self.penalty.left(state, now)
        {
            return if n > units.burst { Verdict::NEVER } else { Verdict::Deny { retry_after_ns: left, heal: None } };
        }
        let (tat, clipped) = self.tat(units, state, now);
        let base = latest(tat, now.tick);
        let new = base.wrapping_add(units.span.wrapping_mul(n.into()));
        if n <= units.burst && new.wrapping_sub(now.tick) <= units.capacity {
            let delay_ns = if self.paced { self.ticks.until(base, now) } else { 0 };
            return Verdict::Admit { state: self.pack(units, new), delay_ns };
        }
        let heal = if clipped { Some(self.pack(units, tat)) } else { self.claimed_by(units, state) };
        let retry_after_ns =
            if n > units.burst { NEVER } else { self.ticks.until(new.wrapping_sub(units.capacity), now) };
        Verdict::Deny { retry_after_ns, heal }
    }

    fn level(&self, units: &Units, state: u64, now: Now) -> Level {
        if let Some(left) = self.penalty.left(state, now) {
            let fill = if self.paced { 0 } else { self.ticks.ns(units.capacity) };
            return Level { remaining: 0, reset_after_ns: left.saturating_add(fill) };
        }
        let (tat, _) = self.tat(units, state, now);
        let deficit = latest(tat, now.tick).wrapping_sub(now.tick);
        let tokens = units.capacity.saturating_sub(deficit) / units.span.max(1);
        Level {
            remaining: u32::try_from(tokens).unwrap_or(u32::MAX).min(units.burst),
            reset_after_ns: self.ticks.until(tat, now),
        }
    }

    fn refund(&self, units: &Units, state: u64, now: Now, n: u32) -> Option<u64> {
        let (tat, _) = self.tat(units, state, now);
        let deficit = latest(tat, now.tick).wrapping_sub(now.tick);
        let back = units.span.saturating_mul(n.into()).min(deficit);
        if back > 0 { Some(self.pack(units, tat.wrapping_sub(back))) } else { self.claimed_by(units, state) }
    }

    fn claimed_by(&self, units: &Units, state: u64) -> Option<u64> {
        let id = state >> TAT_BITS & 7;
        let others = state & PENALTY == 0 && id != units.id && id != NOBODYS;
        others.then(|| self.pack(units, state))
    }

    fn undo(&self, units: &Units, state: u64, now: Now, charge: Charge) -> Option<u64> {
        // Who booked in a queue after this charge was told to wait behind it: only the last in it may step out, as in Go's
        // x/time/rate. Else its place stays empty, or two would be told the same one.
        if self.paced && state != charge.own {
            return None;
        }
        // Its own `tat - now` is too much where others were given something back since: their units lay before its own.
        // What has refilled since the charge is the most that it can have lost.
        let since = latest(now.tick, charge.at.tick).wrapping_sub(charge.at.tick);
        let held = units.span.saturating_mul(charge.n.into()).saturating_sub(since);
        let (tat, _) = self.tat(units, state, now);
        let deficit = latest(tat, now.tick).wrapping_sub(now.tick);
        let back = held.min(deficit);
        (back > 0).then(|| self.pack(units, tat.wrapping_sub(back)))
    }

    fn counted_for(&self, state: u64, now: Now) -> u64 {
        if state & PENALTY != 0 {
            return 0;
        }
        // After a penalty a bucket refills from empty, which is no more than it holds, but for a late reading; a queue has nobody
        // in it.
        let tat = time(state, now);
        let held = !self.paced && tat.wrapping_sub(now.tick) as i64 <= self.refill() as i64;
        if held { 0 } else { self.ticks.until(tat, now) }
    }

    #[inline]
    fn penalties(&self) -> Penalty {
        self.penalty
    }
}

const _: () = assert!(1 << MAX_CAPACITY_BITS <= (64 - BEHIND - 2) << EPOCH_BITS);
