//! Token and leaky bucket: `id:3 | tat:36`, the generic cell rate algorithm (ITU-T I.371) on a table's ticks.

use super::super::cell::{PENALTY, Penalty};
use super::super::time::{Epoch, Now, Present, Ticks, later, latest, unwrap_from};
use super::super::units::{MAX_CAPACITY_BITS, MAX_EPOCH_BITS, Measure, Units};
use super::fills::{Fills, part_down, part_up};
use super::{CellAlgorithm, Charge, Layout, Level, Verdict};
use crate::ConfigError;
use crate::decision::NEVER;
use crate::limit::Algorithm;
use crate::memory::ObjectAllocator;

const TAT_BITS: u32 = 36;
const TAT: u64 = (1 << TAT_BITS) - 1;

/// A state is read from so many ticks before a line's epoch up to 40 × 2^30 after its start: what a charge can put, a
/// full bucket after the epoch's end, lies within.
const BEHIND: u64 = 24 << MAX_EPOCH_BITS;
const AHEAD: u64 = (1 << TAT_BITS) - BEHIND;

/// No quota takes longer to fill: 36 years, and what rounding adds.
const LONGEST_NS: u64 = 1 << 60;

/// The number of no quota: of a state that nobody charged.
const NOBODYS: u64 = 0;

/// A token bucket, or as a queue a leaky one: the same numbers, but whoever is admitted beyond the rate must wait.
#[derive(Debug)]
pub(crate) struct Gcra {
    ticks: Ticks,
    /// An epoch is about what the slowest declared quota takes to come back, which bounds for how long a reading that
    /// is ahead by less than that is believed. So it is no longer where ticks are coarser.
    epoch_bits: u32,
    penalty: Penalty,
    grain: u32,
    present: Present,
    fills: Fills,
    paced: bool,
}

/// What a state says to a quota.
struct Seen {
    /// The tick at which the key is as new.
    full: u64,
    /// That tick in the measure of this quota, which is judged by it.
    tat: u64,
    /// The number of the quota of whose part that is: this one's, but for a time that this one leaves as it is and that
    /// may be more than it takes to fill.
    of: u64,
    /// How long the quota takes to fill that put it, where that is less: the key comes back by that one until this
    /// admits.
    by: Option<u64>,
    /// Whether a denial stores it so: from then on the key comes back by this quota.
    heal: bool,
}

impl Seen {
    fn plain(of: u64, tat: u64) -> Self {
        Self { full: tat, tat, of, by: None, heal: false }
    }
}

impl Gcra {
    /// Two parts.
    pub(crate) fn in_room(
        room: &mut ObjectAllocator,
        Measure { ticks, epoch_bits }: Measure,
        fastest_token: u64,
        paced: bool,
        present: Present,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            ticks,
            epoch_bits,
            penalty: Penalty::new(ticks.shift(), ticks.ns(1 << MAX_CAPACITY_BITS).min(LONGEST_NS)),
            // A quarter of a token: a key waits that much longer for its cell to be reused.
            grain: fastest_token.max(4).ilog2() - 2,
            present,
            fills: Fills::in_room(room)?,
            paced,
        })
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.ticks
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        if self.paced { Algorithm::LeakyBucket } else { Algorithm::TokenBucket }
    }

    /// How long its quotas take to fill: to be told of every one before it is used.
    pub(crate) fn fills(&self) -> &Fills {
        &self.fills
    }

    /// What `state` says to a quota, whoever put it.
    ///
    /// A key that changes its quota keeps the *part that is used*: who has used half of five a minute has used half of
    /// sixty a second. (The time to full, clipped to the new burst, is no measure for it: what two quotas take by turns
    /// would be clipped each time, and neither would limit anything.) Of that part `u`, and of the shortest time `F` in
    /// which a quota of the key fills: an admission of `n` by a quota of burst `b` adds `n / b` and leaves `u` at most
    /// 1; a change of quota never lowers `u`; time lowers it by at most its length / `F`. So no order of quotas admits
    /// more at one moment than the largest burst, or over time more than the largest burst per `F`.
    ///
    /// A change to a quota that fills sooner is stored by the first decision, for the caller's sake: what is used comes
    /// back as fast from then on. One to a quota that fills later is stored by an admission only: it is rounded up by a
    /// tick, and calls that are denied in turns must not round a key up faster than it comes back.
    #[inline]
    fn seen(&self, units: &Units, state: u64, now: Now) -> Seen {
        match self.own(units, state, now) {
            Some(tat) => Seen::plain(units.id, tat),
            None => self.seen_other(units, state, [now.ns, now.tick, now.near, now.latest_ns]),
        }
    }

    /// The theoretical arrival time in a state that this quota put, or one that fills in the same time.
    /// `None`: another, nobody, a penalty, or further ahead than this quota puts it.
    #[inline]
    fn own(&self, units: &Units, state: u64, now: Now) -> Option<u64> {
        let tat = time(state, now);
        (state >> TAT_BITS == units.id && tat.wrapping_sub(now.tick) as i64 <= units.capacity as i64).then_some(tat)
    }

    /// Of a moment only its numbers: one that is handed on as such lies in memory, for every decision.
    #[cold]
    #[inline(never)]
    fn seen_other(&self, units: &Units, state: u64, [ns, tick, near, latest_ns]: [u64; 4]) -> Seen {
        let now = Now { ns, tick, near, latest_ns };
        if let Some(end_ns) = self.penalty.end(state, now) {
            return Seen::plain(units.id, self.after_penalty(end_ns, now.ns, now.tick, units.capacity));
        }
        let (id, tat) = (state >> TAT_BITS, time(state, now));
        if id == NOBODYS {
            let within = tat.wrapping_sub(now.tick) as i64 <= self.fill(units) as i64;
            return Seen::plain(if within { units.id } else { NOBODYS }, tat);
        }
        // Nobody in this epoch or before puts one beyond the next, nor one of a quota that is not known, and no more is
        // kept of what a bad reading's line held: foreign bytes do.
        let next = Epoch::of(now.near, self.epoch_bits).end().wrapping_add(1 << self.epoch_bits);
        let last = next.wrapping_add(self.refill());
        match self.fills.of(id) {
            Some(_) if id == units.id && !later(tat, last) => Seen::plain(id, tat),
            Some(fill) if !later(tat, last) => self.converted(units, tat, (id, fill), now),
            _ => self.used_up_by(units, tat, now),
        }
    }

    /// What another quota put, of this number, which takes `fill` to fill.
    fn converted(&self, units: &Units, tat: u64, (id, fill): (u64, u64), now: Now) -> Seen {
        let own = self.fill(units);
        let sooner = own < fill;
        // In a queue a time that was told to one is not told to another: it gets no shorter. Who gives something back
        // leaves it the other's part: of this quota it may be more than all.
        if sooner && self.paced {
            return Seen::plain(id, tat);
        }
        // The part is that of the moment of the change, never before it was charged: so an old reading finds no more
        // than all of it used. What comes back sooner from now on does so from the present on, which is after whoever
        // put the state read the clock; what comes back later was used as of this reading at the latest.
        let mut moment = latest(now.tick, tat.wrapping_sub(fill));
        if sooner {
            moment = latest(moment, self.ticks.at(self.present.ns(now.ns)));
        }
        let left = tat.wrapping_sub(moment);
        if left as i64 <= 0 {
            return Seen::plain(units.id, tat);
        }
        let fitted = moment.wrapping_add(part_up(left, own, fill));
        if sooner {
            // No less than what can be put there, or a late thread would be told of another time than is stored.
            let fitted = latest(fitted, Epoch::of(now.near, self.epoch_bits).back(self.back()).start);
            Seen { heal: true, ..Seen::plain(units.id, fitted) }
        } else {
            Seen { full: tat, by: Some(fill), ..Seen::plain(units.id, fitted) }
        }
    }

    /// What foreign bytes say: all is used as of the present, unless they say less.
    fn used_up_by(&self, units: &Units, tat: u64, now: Now) -> Seen {
        let most = self.ticks.at(self.present.ns(now.ns)).wrapping_add(units.capacity);
        // Nor less than what can be put there.
        let most = latest(most, Epoch::of(now.near, self.epoch_bits).back(self.back()).start);
        if later(tat, most) { Seen { heal: true, ..Seen::plain(units.id, most) } } else { Seen::plain(units.id, tat) }
    }

    /// [`judge`](CellAlgorithm::judge) where the state is not this quota's [own](Self::own).
    #[cold]
    #[inline(never)]
    fn judge_other(&self, units: &Units, state: u64, n: u32, [ns, tick, near, latest_ns]: [u64; 4]) -> Verdict {
        let now = Now { ns, tick, near, latest_ns };
        if state >> TAT_BITS == NOBODYS {
            return self.judge_plain(units, time(state, now), now, n);
        }
        // A bucket under a penalty is one that is empty at its end; a queue opens then.
        if self.paced
            && let Some(left) = self.penalty.left(state, now)
        {
            return if n > units.burst { Verdict::NEVER } else { Verdict::Deny { retry_after_ns: left, heal: None } };
        }
        let seen = self.seen(units, state, now);
        let cost = units.span.wrapping_mul(n.into());
        let new = latest(seen.tat, now.tick).wrapping_add(cost);
        if n <= units.burst && new.wrapping_sub(now.tick) <= units.capacity {
            return self.admit(units, new, latest(seen.full, now.tick), now);
        }
        let retry_after_ns = match seen.by {
            _ if n > units.burst => NEVER,
            None => self.ticks.until(new.wrapping_sub(units.capacity), now),
            Some(fill) => {
                let room = part_down(units.capacity - cost, fill, self.fill(units));
                self.ticks.until(seen.full.wrapping_sub(room), now)
            }
        };
        Verdict::Deny { retry_after_ns, heal: seen.heal.then(|| pack(units.id, seen.tat)) }
    }

    /// The verdict where what was there before is counted as this quota counts it.
    #[inline(always)]
    fn judge_plain(&self, units: &Units, tat: u64, now: Now, n: u32) -> Verdict {
        let base = latest(tat, now.tick);
        let new = base.wrapping_add(units.span.wrapping_mul(n.into()));
        if n <= units.burst && new.wrapping_sub(now.tick) <= units.capacity {
            return self.admit(units, new, base, now);
        }
        let retry_after_ns =
            if n > units.burst { NEVER } else { self.ticks.until(new.wrapping_sub(units.capacity), now) };
        Verdict::Deny { retry_after_ns, heal: None }
    }

    /// `from`: when what was there before is over.
    #[inline(always)]
    fn admit(&self, units: &Units, tat: u64, from: u64, now: Now) -> Verdict {
        let delay_ns = if self.paced { self.ticks.until(from, now) } else { 0 };
        Verdict::Admit { state: pack(units.id, tat), delay_ns }
    }

    /// How long the number of this quota stands for, whatever part of its warm-up it is in.
    fn fill(&self, units: &Units) -> u64 {
        self.fills.of(units.id).unwrap_or(units.capacity)
    }

    /// What comes back to a key in so many ticks at most, whichever quotas it has meanwhile.
    fn back_at_most(&self, units: &Units, ticks: u64) -> u64 {
        let own = self.fill(units);
        part_up(ticks, own, self.fills.shortest(own))
    }

    /// What is used, in ticks of this quota.
    fn deficit(&self, units: &Units, state: u64, now: Now) -> (Seen, u64) {
        let seen = self.seen(units, state, now);
        let deficit = latest(seen.tat, now.tick).wrapping_sub(now.tick);
        (seen, deficit)
    }

    /// From the end of a penalty on a bucket refills from empty, a queue is empty.
    #[cold]
    fn after_penalty(&self, end_ns: u64, ns: u64, tick: u64, capacity: u64) -> u64 {
        let end = self.ticks.near(end_ns, ns, tick);
        if self.paced { end } else { end.wrapping_add(capacity) }
    }
}

/// A state of the quota of this number.
fn pack(id: u64, tat: u64) -> u64 {
    id << TAT_BITS | tat & TAT
}

/// The theoretical arrival time in a state.
#[inline]
fn time(state: u64, now: Now) -> u64 {
    unwrap_from(state & TAT, TAT_BITS, now.near.wrapping_sub(BEHIND))
}

impl Layout for Gcra {
    #[inline]
    fn now(&self, ns: u64) -> Now {
        let tick = self.ticks.at(ns);
        Now::new(ns, tick)
    }

    fn ns(&self, ticks: u64) -> u64 {
        self.ticks.whole_ns(ticks)
    }

    fn time_bits(&self) -> u32 {
        TAT_BITS
    }

    #[inline]
    fn epoch_bits(&self) -> u32 {
        self.epoch_bits
    }

    fn back(&self) -> u64 {
        (BEHIND >> self.epoch_bits) - 2
    }

    fn last_free(&self, epoch: Epoch) -> u64 {
        epoch.start.wrapping_add(AHEAD - 1)
    }

    fn life_bits(&self) -> u32 {
        MAX_CAPACITY_BITS
    }

    fn refill(&self) -> u64 {
        self.fills.longest()
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
            Some(end_ns) => self.after_penalty(end_ns, now.ns, now.tick, self.fills.longest()),
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
        if !later(at, now.tick) || !later(bt, now.tick) {
            return if latest(at, bt) == at { a } else { b };
        }
        // Of what two quotas put, the later time in the measure of the one that fills sooner: in that it is most.
        let fill = |state: u64| self.fills.of(state >> TAT_BITS).unwrap_or(u64::MAX);
        let by = if fill(a) <= fill(b) { a } else { b };
        by & !TAT | latest(at, bt) & TAT
    }
}

impl CellAlgorithm for Gcra {
    #[inline]
    fn judge(&self, units: &Units, state: u64, now: Now, n: u32) -> Verdict {
        let Some(tat) = self.own(units, state, now) else {
            return self.judge_other(units, state, n, [now.ns, now.tick, now.near, now.latest_ns]);
        };
        self.judge_plain(units, tat, now, n)
    }

    fn level(&self, units: &Units, state: u64, now: Now) -> Level {
        if let Some(left) = self.penalty.left(state, now) {
            let fill = if self.paced { 0 } else { self.ticks.ns(units.capacity) };
            return Level { remaining: 0, reset_after_ns: left.saturating_add(fill) };
        }
        let (seen, deficit) = self.deficit(units, state, now);
        let tokens = units.capacity.saturating_sub(deficit) / units.span.max(1);
        Level {
            remaining: u32::try_from(tokens).unwrap_or(u32::MAX).min(units.burst),
            reset_after_ns: self.ticks.until(seen.full, now),
        }
    }

    fn refund(&self, units: &Units, state: u64, now: Now, n: u32) -> Option<u64> {
        let (seen, deficit) = self.deficit(units, state, now);
        let back = units.span.saturating_mul(n.into()).min(deficit);
        (back > 0).then(|| pack(seen.of, seen.tat.wrapping_sub(back)))
    }

    fn claim(&self, units: &Units, state: u64, now: Now) -> Option<u64> {
        let Seen { tat, heal, .. } = self.seen(units, state, now);
        heal.then(|| pack(units.id, tat))
    }

    fn undo(&self, units: &Units, state: u64, now: Now, charge: Charge) -> Option<u64> {
        // Who booked in a queue after this charge was told to wait behind it: only the last in it may step out, as in
        // Go's x/time/rate. Else its place stays empty, or two would be told the same one.
        if self.paced && state != charge.own {
            return None;
        }
        // Its own `tat - now` is too much where others were given something back since: their units lay before its own.
        // What has come back since the charge is the most that it can have lost, by whichever quota.
        let since = latest(now.tick, charge.at.tick).wrapping_sub(charge.at.tick);
        let lost = if state == charge.own { since } else { self.back_at_most(units, since) };
        let held = units.span.saturating_mul(charge.n.into()).saturating_sub(lost);
        let (seen, deficit) = self.deficit(units, state, now);
        let back = held.min(deficit);
        (back > 0).then(|| pack(seen.of, seen.tat.wrapping_sub(back)))
    }

    fn counted_for(&self, state: u64, now: Now) -> u64 {
        if state & PENALTY != 0 {
            return 0;
        }
        // After a penalty a bucket refills from empty, which is no more than it holds, but for a late reading; a queue
        // has nobody in it.
        let tat = time(state, now);
        let held = !self.paced && tat.wrapping_sub(now.tick) as i64 <= self.refill() as i64;
        if held { 0 } else { self.ticks.until(tat, now) }
    }

    #[inline]
    fn penalties(&self) -> Penalty {
        self.penalty
    }
}

// From an epoch after the end of an epoch on, with what a warm-up rounds up.
const _: () = assert!((1 << MAX_CAPACITY_BITS) + (1 << MAX_EPOCH_BITS) <= AHEAD - (3 << MAX_EPOCH_BITS));
