//! The last N calls as a log of chunks: one word holds the outcomes of a few calls in order, and names its own place.
//!
//! `generation:16 | round:11 | len:5 | failed:16 | slow:16`, high to low; generation 0 was never written.
//!
//! A chunk that is not full is the tail: its successor is claimed only once it is full, and a full chunk does not change
//! until its slot comes round again. So the word that a reporter wrote and the full chunks before it are the window as of
//! its own outcome, whatever others do meanwhile, and there is no running total that a killed thread could leave wrong.
//!
//! Who claims the successor first judges the full chunk, outcome by outcome. A reporter that was killed or preempted
//! before it judged its own has thereby been judged for, and one whose window was overwritten need not judge any more.
//!
//! The counts are those of Resilience4j's count-based sliding window; the log is this project's.

use super::control::Control;
use super::memory::Words;
use super::ring::{Place, Ring};
use super::tally::{Recorded, Tally, Thresholds};
use crate::sync::{AtomicU64, Ordering};

/// Outcomes in a chunk. loom gets small ones, to see chunks fill and slots come round.
const CHUNK: u32 = if cfg!(loom) { 2 } else { 16 };
const ROUND_BITS: u32 = 11;

/// Which chunk to start from; a lag costs steps, nothing else.
const HINT: usize = 0;
const CHUNKS: usize = 2;
/// Lost races after which an outcome is dropped: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

#[derive(Debug)]
pub(super) struct CountWindow {
    words: Words,
    ring: Ring,
    calls: u32,
    /// The length of a chunk at which the generation's calls can be `min_calls`.
    reaches_min: u32,
    thresholds: Thresholds,
}

impl CountWindow {
    pub(super) fn new(calls: u32, thresholds: Thresholds) -> Self {
        // The tail, the older chunks of a full window, and one to claim while somebody still reads those.
        let ring = Ring::new((calls.div_ceil(CHUNK) as usize + 2).next_power_of_two(), ROUND_BITS);
        let reaches_min = (thresholds.min_calls - 1) % CHUNK + 1;
        Self { words: Words::zeroed(CHUNKS + ring.slots()), ring, calls, reaches_min, thresholds }
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        self.words.at(CHUNKS + slot)
    }

    fn chunk(&self, slot: usize) -> Chunk {
        // Acquire: pairs with the release of whoever extended this chunk, so that the chunks before it are seen full.
        Chunk(self.word(slot).load(Ordering::Acquire))
    }

    fn swap(&self, slot: usize, old: Chunk, new: Chunk) -> bool {
        // AcqRel: who reads `new` also sees the full chunks that this thread saw before it; a failure is followed by a fresh load.
        self.word(slot).compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn hint(&self) -> usize {
        // Relaxed: a hint, checked against the chunk itself.
        self.ring.slot(self.words.at(HINT).load(Ordering::Relaxed))
    }

    fn set_hint(&self, slot: usize) {
        // Relaxed: a hint.
        self.words.at(HINT).store(slot as u64, Ordering::Relaxed);
    }

    /// The common case of `record`: a fast success that finds the tail at once and needs no judging.
    #[inline]
    pub(super) fn record_quickly(&self, seen: Control) -> bool {
        let slot = self.hint();
        let chunk = self.chunk(slot);
        let len = chunk.len();
        chunk.generation() == seen.generation()
            && len < CHUNK
            && len + 1 != self.reaches_min
            && self.swap(slot, chunk, chunk.push(false, false))
    }

    /// Appends an outcome in the generation of `seen` and judges the window as of it.
    #[inline]
    pub(super) fn record(&self, control: &AtomicU64, seen: Control, failed: bool, slow: bool) -> Recorded {
        if !failed && !slow && self.record_quickly(seen) {
            return Recorded::Counted;
        }
        self.record_with_care(control, seen, failed, slow)
    }

    #[inline(never)]
    fn record_with_care(&self, control: &AtomicU64, seen: Control, failed: bool, slow: bool) -> Recorded {
        let generation = seen.generation();
        let mut slot = self.hint();
        for _ in 0..PATIENCE + self.ring.slots() {
            let chunk = self.chunk(slot);
            // Acquire, after the chunk's: a chunk of a later generation was written by one who had seen that generation in
            // the control word, so this load sees it too, and the outcome is late. Otherwise another generation is an older one.
            if control.load(Ordering::Acquire) != seen.0 {
                return Recorded::Late;
            }
            if chunk.len() < CHUNK {
                let next = if chunk.generation() == generation {
                    chunk.push(failed, slow)
                } else {
                    Chunk::start(generation, chunk.round()).push(failed, slow)
                };
                if self.swap(slot, chunk, next) {
                    return self.judge_last(seen, slot, next);
                }
                continue;
            }
            let next_place = self.ring.after(Place { slot, round: chunk.round() });
            let head = self.chunk(next_place.slot);
            if !head.is_blank() && head.round() == next_place.round {
                slot = next_place.slot;
                // Its claimer may have been killed before it stored the hint.
                self.set_hint(slot);
                continue;
            }
            if !head.is_blank() && head.round() != self.ring.lap_before(next_place.round) {
                // The log went on by a whole round since `chunk` was read.
                slot = self.hint();
                continue;
            }
            if seen.is_closed() && chunk.generation() == generation && self.judge_all(slot, chunk) {
                return Recorded::Trips;
            }
            let next = Chunk::start(generation, next_place.round).push(failed, slow);
            if self.swap(next_place.slot, head, next) {
                self.set_hint(next_place.slot);
                return self.judge_last(seen, next_place.slot, next);
            }
        }
        Recorded::Late
    }

    /// Judges the window as of the last outcome of `chunk`. A fast success cannot raise a rate, only complete `min_calls`.
    fn judge_last(&self, seen: Control, slot: usize, chunk: Chunk) -> Recorded {
        let len = chunk.len();
        let trips = self.critical(chunk) >> (len - 1) & 1 == 1 && seen.is_closed() && self.judge(slot, chunk, len);
        if trips { Recorded::Trips } else { Recorded::Counted }
    }

    /// Judges a full chunk as of each of its outcomes.
    fn judge_all(&self, slot: usize, chunk: Chunk) -> bool {
        let mut critical = self.critical(chunk);
        while critical != 0 {
            if self.judge(slot, chunk, critical.trailing_zeros() + 1) {
                return true;
            }
            critical &= critical - 1;
        }
        false
    }

    /// The outcomes of a chunk, as bits, as of which the window can reach a threshold.
    fn critical(&self, chunk: Chunk) -> u32 {
        chunk.failed() | chunk.slow() | 1 << (self.reaches_min - 1)
    }

    fn judge(&self, slot: usize, chunk: Chunk, len: u32) -> bool {
        self.window(slot, chunk, len).is_some_and(|tally| self.thresholds.trips(tally))
    }

    /// The last N calls up to outcome `len` of `chunk`; `None` when older chunks were overwritten meanwhile, which
    /// happens only after somebody has judged this one.
    fn window(&self, slot: usize, chunk: Chunk, len: u32) -> Option<Tally> {
        let mut tally = chunk.newest(len, self.calls);
        let mut place = Place { slot, round: chunk.round() };
        while tally.calls < self.calls {
            place = self.ring.before(place);
            let older = self.chunk(place.slot);
            if older.is_blank() || (older.round() == place.round && older.generation() != chunk.generation()) {
                break;
            }
            if older.round() != place.round || older.len() < CHUNK {
                return None;
            }
            tally.add(older.newest(CHUNK, self.calls - tally.calls));
        }
        Some(tally)
    }

    /// The window now.
    pub(super) fn tally(&self, generation: u16) -> Tally {
        let mut slot = self.hint();
        for _ in 0..PATIENCE + self.ring.slots() {
            let chunk = self.chunk(slot);
            let next = self.ring.after(Place { slot, round: chunk.round() });
            if chunk.len() >= CHUNK {
                let head = self.chunk(next.slot);
                if !head.is_blank() && head.round() == next.round {
                    slot = next.slot;
                    continue;
                }
            }
            if chunk.generation() != generation {
                return Tally::default();
            }
            if let Some(tally) = self.window(slot, chunk, chunk.len()) {
                return tally;
            }
        }
        Tally::default()
    }
}

const OUTCOMES: u32 = (1 << CHUNK) - 1;
const FAILED_SHIFT: u32 = 16;
const LEN_SHIFT: u32 = 32;
const ROUND_SHIFT: u32 = 37;
const GENERATION_SHIFT: u32 = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk(u64);

impl Chunk {
    fn start(generation: u16, round: u32) -> Self {
        Self(u64::from(generation) << GENERATION_SHIFT | u64::from(round) << ROUND_SHIFT)
    }

    fn is_blank(self) -> bool {
        self.generation() == 0
    }

    fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    fn round(self) -> u32 {
        (self.0 >> ROUND_SHIFT) as u32 & ((1 << ROUND_BITS) - 1)
    }

    /// At most `CHUNK`, whatever the memory says.
    fn len(self) -> u32 {
        ((self.0 >> LEN_SHIFT) as u32 & 0b1_1111).min(CHUNK)
    }

    /// With one outcome more. Only for a chunk that is not full.
    fn push(self, failed: bool, slow: bool) -> Self {
        let at = self.len();
        Self((self.0 + (1 << LEN_SHIFT)) | u64::from(failed) << (FAILED_SHIFT + at) | u64::from(slow) << at)
    }

    /// Outcomes that failed, the oldest in bit 0.
    fn failed(self) -> u32 {
        (self.0 >> FAILED_SHIFT) as u32 & OUTCOMES
    }

    fn slow(self) -> u32 {
        self.0 as u32 & OUTCOMES
    }

    /// The newest `most` of the first `len` outcomes.
    fn newest(self, len: u32, most: u32) -> Tally {
        let calls = len.min(most);
        let mask = ((1_u32 << calls) - 1) << (len - calls);
        Tally { calls, failed: (self.failed() & mask).count_ones(), slow: (self.slow() & mask).count_ones() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SEEN: Control = Control::FIRST;

    fn window(calls: u32) -> (CountWindow, AtomicU64) {
        let thresholds = Thresholds { failure_rate: 0.5, slow_rate: 1.0, min_calls: calls };
        (CountWindow::new(calls, thresholds), AtomicU64::new(SEEN.0))
    }

    /// What a reporter leaves that is killed right after its outcome stands in the log.
    fn record_and_die(window: &CountWindow, slot: usize, failed: bool) {
        let chunk = window.chunk(slot);
        assert!(window.swap(
            slot,
            chunk,
            Chunk::start(SEEN.generation(), chunk.round()).max(chunk).push(failed, false)
        ));
    }

    impl Chunk {
        /// The written one of a blank chunk and its start.
        fn max(self, other: Self) -> Self {
            if other.is_blank() { self } else { other }
        }
    }

    #[test]
    fn who_claims_the_next_chunk_judges_for_the_dead() {
        for fatal in 0..CHUNK {
            let (window, control) = window(1);
            for at in 0..CHUNK {
                record_and_die(&window, 0, at == fatal);
            }
            // A success would not be judged by itself: a window of one call is failed only as of the dead reporter's.
            assert_eq!(window.record(&control, SEEN, false, false), Recorded::Trips, "outcome {fatal}");
            assert!(window.chunk(1).is_blank(), "nothing is recorded after the trip");
        }
    }

    #[test]
    fn a_claim_whose_hint_was_never_stored_is_found() {
        let (window, control) = window(100);
        for _ in 0..CHUNK {
            record_and_die(&window, 0, false);
        }
        let claim = Chunk::start(SEEN.generation(), 0).push(false, false);
        assert!(window.swap(1, window.chunk(1), claim));
        assert_eq!(window.record(&control, SEEN, false, false), Recorded::Counted);
        assert_eq!(window.tally(SEEN.generation()).calls, CHUNK + 2);
    }

    #[test]
    fn a_window_that_was_overwritten_is_not_judged() {
        let (window, control) = window(20);
        for _ in 0..20 {
            window.record(&control, SEEN, false, false);
        }
        let (slot, stale) = (1, window.chunk(1));
        assert_eq!(window.window(slot, stale, 4).map(|tally| tally.calls), Some(20));
        for _ in 0..4 * CHUNK {
            window.record(&control, SEEN, false, false);
        }
        assert_eq!(window.window(slot, stale, 4), None);
    }

    #[test]
    fn a_late_outcome_leaves_the_next_generation_alone() {
        let (window, control) = window(20);
        let next = SEEN.next(super::super::State::Closed, 0, 0);
        control.store(next.0, Ordering::Relaxed);
        assert_eq!(window.record(&control, next, false, false), Recorded::Counted);
        assert_eq!(window.record(&control, SEEN, true, false), Recorded::Late);
        let tally = window.tally(next.generation());
        assert_eq!((tally.calls, tally.failed), (1, 0));
    }

    #[test]
    fn foreign_bytes_neither_hang_nor_panic() {
        let mut random = 0x0123_4567_89ab_cdef_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for calls in [1, 16, 20, 100] {
            let (window, control) = window(calls);
            for round in 0..40 {
                for index in 0..CHUNKS + window.ring.slots() {
                    let word = match round % 4 {
                        0 => u64::MAX,
                        // Plausible: this generation, few rounds.
                        1 => next() >> 16 & !(0x7f << 40) | u64::from(SEEN.generation()) << 48,
                        _ => next(),
                    };
                    window.words.at(index).store(word, Ordering::Relaxed);
                }
                for _ in 0..8 {
                    window.record(&control, SEEN, next() & 1 == 1, next() & 1 == 1);
                    let tally = window.tally(SEEN.generation());
                    assert!(tally.calls <= calls && tally.failed <= calls && tally.slow <= calls);
                }
            }
        }
    }
}
