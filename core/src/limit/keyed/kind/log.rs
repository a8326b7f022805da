//! Sliding log: the stamps of a key's admissions beside the table, in its cell `nonce:12 | free:27`.
//!
//! An admission first writes its stamps over ones that are too old to count, then exchanges the cell, whose nonce changes
//! each time: of two threads that judged by the same cell one wins, and the other takes its stamps back. A thread killed in
//! between leaves stamps that count until they are too old: it denies early and admits nothing extra.

use super::super::cell::{PENALTY, Penalty};
use super::super::time::{Now, Ticks, latest, unwrap};
use super::super::units::Units;
use super::{Charge, Kind, Layout, Level, Place, Verdict};
use crate::ConfigError;
use crate::memory::{Cells, Room};
use crate::sync::{AtomicU64, Ordering};

const FREE_BITS: u32 = 27;
const FREE: u64 = (1 << FREE_BITS) - 1;
const NONCE: u64 = 1 << FREE_BITS;
const NONCES: u64 = ((1 << 12) - 1) << FREE_BITS;

/// The largest limit: a decision looks at every stamp.
pub(crate) const MAX_LOG: u32 = 4_096;

/// At most `burst` in any span of `period_ns`, exactly.
#[derive(Debug)]
pub(crate) struct Log {
    period: u64,
    ticks: Ticks,
    penalty: Penalty,
    /// Nanoseconds since the epoch plus one; 0 is none. `limit` of them for each place.
    stamps: Cells<AtomicU64>,
    limit: usize,
}

impl Log {
    /// One part.
    pub(crate) fn in_room(room: &mut Room, limit: u32, period_ns: u64, places: usize) -> Result<Self, ConfigError> {
        let shift = (0..63).find(|&shift| u128::from(period_ns) <= 1 << (FREE_BITS - 2 + shift)).unwrap_or(63);
        let stamps = room.cells(places.saturating_mul(limit as usize))?;
        Ok(Self {
            period: period_ns.max(1),
            ticks: Ticks::new(shift as i32),
            penalty: Penalty::new(0, period_ns),
            stamps,
            limit: limit as usize,
        })
    }

    pub(crate) fn period(&self) -> u64 {
        self.period
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit as u32
    }

    pub(crate) fn memory(&self) -> usize {
        self.stamps.len() * size_of::<AtomicU64>()
    }

    fn of(&self, place: Place) -> &[AtomicU64] {
        &self.stamps[place.0 * self.limit..][..self.limit]
    }

    fn counts(&self, stamp: u64, now: Now) -> bool {
        stamp != 0 && stamp.saturating_add(self.period) > now.ns + 1
    }

    /// The stamps that count at `now`. Relaxed: published by the exchange of the cell (release) that was read (acquire) before.
    fn live(&self, place: Place, now: Now) -> impl Iterator<Item = u64> {
        self.of(place).iter().map(|slot| slot.load(Ordering::Relaxed)).filter(move |&stamp| self.counts(stamp, now))
    }

    /// The `rank`-th oldest of the stamps that count.
    fn oldest(&self, place: Place, now: Now, rank: usize) -> Option<u64> {
        let mut from = self.live(place, now).min()?;
        if rank == 1 {
            return Some(from);
        }
        // By halves: nothing to sort, nothing to allocate.
        let mut to = self.live(place, now).max()?;
        while from < to {
            let middle = from + (to - from) / 2;
            if self.live(place, now).filter(|&stamp| stamp <= middle).count() >= rank {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        Some(from)
    }

    /// Nanoseconds until `stamp` is too old.
    fn until_old(&self, stamp: u64, now: Now) -> u64 {
        stamp.saturating_add(self.period).saturating_sub(now.ns + 1)
    }

    fn free(&self, state: u64, now: Now) -> u64 {
        unwrap(state & FREE, FREE_BITS, now.near)
    }
}

impl Layout for Log {
    const ELSEWHERE: bool = true;

    fn now(&self, ns: u64) -> Now {
        // A stamp is one more than its time.
        let tick = self.ticks.at(ns);
        Now::new(ns.min(u64::MAX - 1), tick)
    }

    fn begin(&self, tick: u64, now: Now) -> Now {
        self.now(now.ns.saturating_add(self.ticks.until(tick, now)))
    }

    fn time_bits(&self) -> u32 {
        FREE_BITS
    }

    fn coarse(&self, now: Now) -> u64 {
        self.ticks.coarse(now, (self.ticks.count(self.period.into(), 1) / 16).max(1).ilog2())
    }

    fn free_at(&self, state: u64, now: Now) -> u64 {
        match self.penalty.end(state, now) {
            Some(end) => self.ticks.at(end).wrapping_add(1),
            None => self.free(state, now),
        }
    }

    fn fresh(&self, at: u64) -> u64 {
        at & FREE
    }

    fn renew(&self, state: u64, at: u64) -> u64 {
        // Another nonce, so that whoever claimed stamps before loses its exchange.
        state.wrapping_add(NONCE) & NONCES | at & FREE
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        let newer = a & PENALTY != 0 || latest(self.free(a, now), self.free(b, now)) == self.free(a, now);
        if newer { a } else { a & !FREE | b & FREE }
    }

    fn carry(&self, from: Place, to: Place, now: Now) {
        for (from, to) in self.of(from).iter().zip(self.of(to)) {
            // Relaxed, all three: published by the exchange that makes the cell the key's (release), or by the next one.
            let (stamp, old) = (from.load(Ordering::Relaxed), to.load(Ordering::Relaxed));
            if self.counts(stamp, now) && !self.counts(old, now) {
                let _ = to.compare_exchange(old, stamp, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    fn wipe(&self, place: Place) {
        for slot in self.of(place) {
            // Relaxed: as `unclaim`.
            slot.store(0, Ordering::Relaxed);
        }
    }
}

impl Kind for Log {
    fn judge(&self, units: &Units, place: Place, state: u64, now: Now, n: u32) -> Verdict {
        // No more than there are slots, whatever the quota's word says.
        let burst = (units.burst as usize).min(self.limit);
        if n as usize > burst {
            return Verdict::NEVER;
        }
        if let Some(left) = self.penalty.left(state, now) {
            return Verdict::Deny { retry_after_ns: left, heal: None };
        }
        let live = self.live(place, now).count();
        if live + n as usize <= burst {
            let free = self.ticks.at(now.ns.saturating_add(self.period)).wrapping_add(1);
            let free = if state & PENALTY != 0 { free } else { latest(free, self.free(state, now)) };
            let nonce = state.wrapping_add(NONCE) & NONCES;
            return Verdict::Admit { state: nonce | free & FREE, delay_ns: 0 };
        }
        // So many of the oldest must go first.
        let must_go = (live + n as usize - burst).min(live);
        let retry_after_ns = self.oldest(place, now, must_go).map_or(0, |stamp| self.until_old(stamp, now));
        Verdict::Deny { retry_after_ns, heal: None }
    }

    fn level(&self, units: &Units, place: Place, _state: u64, now: Now, taken: u32) -> Level {
        let (mut live, mut newest) = (taken, if taken > 0 { now.ns + 1 } else { 0 });
        for stamp in self.live(place, now) {
            live = live.saturating_add(1);
            newest = newest.max(stamp);
        }
        let reset_after_ns = if newest == 0 { 0 } else { self.until_old(newest, now) };
        Level { remaining: units.burst.saturating_sub(live), reset_after_ns }
    }

    fn claim(&self, place: Place, now: Now, n: u32) -> bool {
        let mut claimed = 0;
        for slot in self.of(place) {
            if claimed == n {
                break;
            }
            // Relaxed: a first guess for the exchange.
            let old = slot.load(Ordering::Relaxed);
            // Relaxed: published by the exchange of the cell that follows (release).
            let take = || slot.compare_exchange(old, now.ns + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if !self.counts(old, now) && take() {
                claimed += 1;
            }
        }
        if claimed < n {
            self.unclaim(place, now, claimed);
        }
        claimed == n
    }

    fn unclaim(&self, place: Place, stamp: Now, n: u32) {
        let mut left = n;
        for slot in self.of(place) {
            // Relaxed: equal stamps are as good as each other, and one that others still count only denies early.
            if left > 0 && slot.compare_exchange(stamp.ns + 1, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                left -= 1;
            }
        }
    }

    fn forget(&self, place: Place, now: Now, n: u32) {
        for _ in 0..n.min(self.limit as u32) {
            let Some(newest) = self.live(place, now).max() else { break };
            self.unclaim(place, Now { ns: newest - 1, ..now }, 1);
        }
    }

    fn refund(&self, _units: &Units, _state: u64, _now: Now, _n: u32) -> Option<u64> {
        // The stamps go, by `forget`; the cell stays.
        None
    }

    fn undo(&self, _units: &Units, _state: u64, _now: Now, _charge: Charge) -> Option<u64> {
        // The stamps go, by `unclaim`; the cell stays.
        None
    }

    fn counted_for(&self, place: Place, _state: u64, now: Now) -> u64 {
        self.live(place, now).max().map_or(0, |newest| self.until_old(newest, now))
    }

    #[inline]
    fn penalties(&self) -> Penalty {
        self.penalty
    }
}
