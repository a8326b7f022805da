//! The calls of the last T as a log of chunks, each of one tenth (a slice) of the T that the breaker was made with.
//! Over how many slices the rates are taken is the judge's to say.
//!
//! A chunk is two words. `what: generation:16 | round:16 | slice:32` is written once, by the claim; generation 0 was
//! never written. `counts: round:16 | sealed:1 | (spare:2) | calls:15 | failed:15 | slow:15` counts; while its round is
//! still the one before, nothing was counted yet.
//!
//! The tail is sealed before its successor is claimed, when time moves on, when the generation ends or when it is full,
//! and a sealed chunk does not change until its slot comes round again. So the word that a reporter wrote and the
//! sealed chunks before it are the window as of its own outcome, as in `count_window`. A thread killed between sealing,
//! claiming and counting leaves the next step to anyone.
//!
//! A reading that is behind the tail counts in the tail's slice, so that a late thread ends no window. One that is
//! behind by more than a minute may mean that the tail is a bad reading's: after readings of a minute, none of which
//! found it plausible, the log goes on at the present one, with an empty window ([`Watch`]).
//!
//! Ten slices as in Hystrix's rolling buckets; Resilience4j takes one a second. Full chunks follow one another within a
//! slice, so the window is exact up to a million calls in ten slices; beyond, it holds the newest two million.

mod chunk;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::breaker::control::Control;
use crate::breaker::memory::{ControlLine, Words};
use crate::breaker::ring::{Place, Ring};
use crate::breaker::rules::{Judge, SLACK_NS};
use crate::breaker::tally::{Recorded, Tally};
use crate::memory::Watch;
use crate::sync::{AtomicU64, Ordering};
use chunk::{Counts, What};

/// Slices in the window that a breaker is made with.
const SLICES: u32 = 10;
/// The fewest that a window can be changed to.
const FEWEST: u32 = 5;
/// The most slices, one to claim while others read, and room for crowded ones.
const CHUNKS: usize = if cfg!(loom) { 4 } else { 64 };
/// Calls in a chunk. loom gets small ones, to see chunks fill.
const MAX_CALLS: u32 = if cfg!(loom) { 2 } else { (1 << 15) - 1 };
const ROUND_BITS: u32 = 16;

const HINT: usize = 0;
const FIRST_CHUNK: usize = 2;
/// Lost races after which an outcome is dropped: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

#[derive(Debug)]
pub(super) struct TimeWindow {
    words: Words,
    ring: Ring,
    slice_ns: u64,
    /// How many slices the tail can be ahead of a sound reading.
    slack: u64,
}

impl TimeWindow {
    /// How many words a window needs.
    pub(super) const WORDS: usize = FIRST_CHUNK + 2 * CHUNKS;

    /// In [`WORDS`](Self::WORDS) of its own.
    pub(super) fn over(words: Words, slice_ns: u64) -> Self {
        let slack = SLACK_NS.div_ceil(slice_ns);
        Self { words, ring: Ring::new(CHUNKS, ROUND_BITS), slice_ns, slack }
    }

    /// The most slices that a window can be changed to.
    pub(super) const MOST: u32 = 50;

    /// The slice of a window made for this time.
    pub(super) fn slice_ns(duration_ns: u64) -> u64 {
        duration_ns.div_ceil(u64::from(SLICES))
    }

    /// The shortest and the longest time that a window with such slices can be changed to.
    pub(super) fn spans(slice_ns: u64) -> (u64, u64) {
        (slice_ns.saturating_mul(FEWEST.into()), slice_ns.saturating_mul(Self::MOST.into()))
    }

    /// How many slices make this time, rounded up; whatever it is, as many as there is room for.
    pub(super) fn slices(duration_ns: u64, slice_ns: u64) -> u32 {
        duration_ns.div_ceil(slice_ns).clamp(1, Self::MOST.into()) as u32
    }

    fn what_word(&self, slot: usize) -> &AtomicU64 {
        self.words.at(FIRST_CHUNK + 2 * slot)
    }

    fn counts_word(&self, slot: usize) -> &AtomicU64 {
        self.words.at(FIRST_CHUNK + 2 * slot + 1)
    }

    fn what(&self, slot: usize) -> What {
        // Acquire: pairs with the claim, so that the chunk before this one is seen sealed.
        What(self.what_word(slot).load(Ordering::Acquire))
    }

    /// The counts of round `round`; `None` when the slot has gone on to a later one.
    fn counts(&self, slot: usize, round: u32) -> Option<(u64, Counts)> {
        // Acquire: pairs with the release of whoever counted or sealed, so that what it had seen is seen here.
        let raw = self.counts_word(slot).load(Ordering::Acquire);
        let counts = Counts(raw);
        if counts.round() == round {
            Some((raw, counts))
        } else if counts.round() == self.ring.lap_before(round) {
            Some((raw, Counts::start(round)))
        } else {
            None
        }
    }

    fn swap_counts(&self, slot: usize, old: u64, new: Counts) -> bool {
        // AcqRel: who reads `new` also sees the sealed chunks that this thread saw before it; a failure is followed by
        // a fresh load.
        self.counts_word(slot).compare_exchange(old, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn hint(&self) -> usize {
        // Relaxed: a hint, checked against the chunk itself.
        self.ring.slot(self.words.at(HINT).load(Ordering::Relaxed))
    }

    fn set_hint(&self, slot: usize) {
        // Relaxed: a hint; a lag costs steps, nothing else.
        self.words.at(HINT).store(slot as u64, Ordering::Relaxed);
    }

    fn slice(&self, since_epoch_ns: u64) -> u32 {
        // Wraps after 2^32 slices, five days of a one-millisecond window.
        (since_epoch_ns / self.slice_ns) as u32
    }

    /// The common case of `record`: a fast success in the slice of the tail, which alone holds enough calls, so that
    /// there is nothing to judge.
    #[inline]
    pub(super) fn record_quickly(
        &self,
        control: &ControlLine,
        seen: Control,
        since_epoch_ns: u64,
        min_calls: u32,
    ) -> bool {
        let slot = self.hint();
        let what = self.what(slot);
        let Some((raw, counts)) = self.counts(slot, what.round()) else { return false };
        what.generation() == seen.generation()
            && what.slice() == self.slice(since_epoch_ns)
            && counts.tally().calls >= min_calls
            && !counts.is_closed()
            && !control.window_watch.is_set()
            && self.swap_counts(slot, raw, counts.push(false, false))
    }

    /// Counts an outcome in the generation of `seen` and judges the window as of it.
    pub(super) fn record(
        &self,
        control: &ControlLine,
        seen: Control,
        since_epoch_ns: u64,
        failed: bool,
        slow: bool,
        by: &Judge,
    ) -> Recorded {
        let (generation, slice) = (seen.generation(), self.slice(since_epoch_ns));
        let ControlLine { word: control, window_watch: watch, .. } = control;
        let mut slot = self.hint();
        for _ in 0..PATIENCE {
            let what = self.what(slot);
            let Some((raw, counts)) = self.counts(slot, what.round()) else {
                slot = self.hint();
                continue;
            };
            let takes = what.generation() == generation && self.takes(watch, what, since_epoch_ns);
            if !counts.is_closed() {
                if takes {
                    let next = counts.push(failed, slow);
                    if !self.swap_counts(slot, raw, next) {
                        continue;
                    }
                    return self.judge(seen, slot, what, next, failed || slow, by);
                }
                if what.generation() != generation && is_late(control, seen) {
                    return Recorded::Late;
                }
                if !self.swap_counts(slot, raw, counts.seal()) {
                    continue;
                }
            }
            if is_late(control, seen) {
                return Recorded::Late;
            }
            // Slices never step back within a log: a full chunk goes on in its own, and one that was sealed although it
            // would have taken this outcome was sealed by a later time than this thread has read.
            let moves_on = u32::from(!counts.is_full());
            let next = if takes { what.slice().wrapping_add(moves_on) } else { slice };
            slot = self.next_chunk(slot, what, generation, next);
        }
        Recorded::Late
    }

    /// Whether an outcome read at `ns` counts in the slice of `what`, the tail of its generation: not in an earlier one
    /// than its own, and not in one that a bad reading began.
    fn takes(&self, watch: &Watch, what: What, ns: u64) -> bool {
        let ahead = i64::from(what.ahead_of(self.slice(ns)));
        // A note goes after the claim that healed, if one did: who comes late goes on behind that, not behind what was
        // healed.
        let bad = watch.judge(ahead <= self.slack.cast_signed(), ns);
        ahead >= 0 && !bad
    }

    /// The slot after a closed chunk, claimed for `generation` and `slice` unless somebody has claimed it already.
    fn next_chunk(&self, slot: usize, what: What, generation: u16, slice: u32) -> usize {
        let next = self.ring.after(Place { slot, round: what.round() });
        let head = self.what(next.slot);
        if head.is_blank() || head.round() == self.ring.lap_before(next.round) {
            let claim = What::new(generation, next.round, slice);
            // Release: who reads the claim sees the chunk before it sealed. A failure means that somebody else has
            // claimed it.
            let _ = self.what_word(next.slot).compare_exchange(head.0, claim.0, Ordering::AcqRel, Ordering::Relaxed);
        } else if head.round() != next.round {
            // The log went on by a whole round since `what` was read.
            return self.hint();
        }
        self.set_hint(next.slot);
        next.slot
    }

    fn judge(&self, seen: Control, slot: usize, what: What, counts: Counts, troubled: bool, by: &Judge) -> Recorded {
        // A fast success cannot raise a rate, only complete `min_calls`; not so when this chunk alone holds more.
        if !seen.can_trip() || (!troubled && counts.tally().calls > by.thresholds.min_calls) {
            return Recorded::Counted;
        }
        match self.window(slot, what, counts, what.slice(), by.window) {
            Some(tally) if (troubled || tally.calls == by.thresholds.min_calls) && by.thresholds.trips(tally) => {
                Recorded::Trips(tally)
            }
            _ => Recorded::Counted,
        }
    }

    /// The calls of so many slices up to `slice`, as of `counts`; `None` when older chunks were overwritten meanwhile.
    fn window(&self, slot: usize, what: What, counts: Counts, slice: u32, slices: u32) -> Option<Tally> {
        let mut tally = counts.tally();
        let mut place = Place { slot, round: what.round() };
        // The slot after the tail may be claimed already, so it is not part of any window.
        for _ in 0..CHUNKS - 2 {
            place = self.ring.before(place);
            let older = self.what(place.slot);
            let same_round = older.round() == place.round;
            if older.is_blank()
                || (same_round && (older.generation() != what.generation() || !older.within(slice, slices)))
            {
                return Some(tally);
            }
            let (_, older) = same_round.then(|| self.counts(place.slot, place.round))??;
            tally.add(older.tally());
        }
        Some(tally)
    }

    /// The window of so many slices at a time.
    pub(super) fn tally(&self, generation: u16, since_epoch_ns: u64, slices: u32) -> Tally {
        let slice = self.slice(since_epoch_ns);
        let mut slot = self.hint();
        for _ in 0..PATIENCE {
            let what = self.what(slot);
            let next = self.ring.after(Place { slot, round: what.round() });
            let head = self.what(next.slot);
            if !head.is_blank() && head.round() == next.round {
                slot = next.slot;
                continue;
            }
            let Some((_, counts)) = self.counts(slot, what.round()) else {
                slot = self.hint();
                continue;
            };
            // A reading behind the tail sees the window as of the tail.
            let slice = if what.ahead_of(slice) > 0 { what.slice() } else { slice };
            if what.generation() != generation || !what.within(slice, slices) {
                return Tally::default();
            }
            if let Some(tally) = self.window(slot, what, counts, slice, slices) {
                return tally;
            }
        }
        Tally::default()
    }
}

/// Whether the generation of `seen` has ended. Called after a chunk was read: a chunk of a later generation was written
/// by one who had seen that generation in the control word, so it is seen here too; another generation is then an older
/// one.
fn is_late(control: &AtomicU64, seen: Control) -> bool {
    // Acquire: stays after the load of the chunk's word in this thread's view of the control word.
    seen.has_ended(control.load(Ordering::Acquire))
}
