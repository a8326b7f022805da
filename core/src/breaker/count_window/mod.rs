//! The last N calls as a log of chunks: one word holds the outcomes of a few calls in order, and names its own place.
//!
//! `generation:16 | round:11 | len:5 | failed:16 | slow:16`, high to low; generation 0 was never written.
//!
//! A chunk that is not full is the tail: its successor is claimed only once it is full, and a full chunk does not
//! change until its slot comes round again. So the word that a reporter wrote and the full chunks before it are the
//! window as of its own outcome, whatever others do meanwhile, and there is no running total that a killed thread could
//! leave wrong.
//!
//! Who claims the successor first judges the full chunk, outcome by outcome. A reporter that was killed or preempted
//! before it judged its own has thereby been judged for, and one whose window was overwritten need not judge any more.
//!
//! The counts are those of Resilience4j's count-based sliding window; the log is this project's.

mod chunk;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::ConfigError;
use crate::breaker::control::Control;
use crate::breaker::memory::Words;
use crate::breaker::ring::{Place, Ring};
use crate::breaker::tally::{Recorded, Tally, Thresholds};
use crate::memory::ObjectAllocator;
use crate::sync::{AtomicU64, Ordering};
use chunk::Chunk;

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
    /// The next part of `room`.
    pub(super) fn in_room(room: &mut ObjectAllocator, calls: u32, thresholds: Thresholds) -> Result<Self, ConfigError> {
        // The tail, the older chunks of a full window, and one to claim while somebody still reads those.
        let ring = Ring::new((calls.div_ceil(CHUNK) as usize + 2).next_power_of_two(), ROUND_BITS);
        let reaches_min = (thresholds.min_calls - 1) % CHUNK + 1;
        Ok(Self { words: Words::in_room(room, CHUNKS + ring.slots())?, ring, calls, reaches_min, thresholds })
    }

    fn word(&self, slot: usize) -> &AtomicU64 {
        self.words.at(CHUNKS + slot)
    }

    fn chunk(&self, slot: usize) -> Chunk {
        // Acquire: pairs with the release of whoever extended this chunk, so that the chunks before it are seen full.
        Chunk(self.word(slot).load(Ordering::Acquire))
    }

    fn swap(&self, slot: usize, old: Chunk, new: Chunk) -> bool {
        // AcqRel: who reads `new` also sees the full chunks that this thread saw before it; a failure is followed by a
        // fresh load.
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
            // Acquire, after the chunk's: a chunk of a later generation was written by one who had seen that generation
            // in the control word, so this load sees it too, and the outcome is late. Otherwise another generation is
            // an older one.
            if seen.has_ended(control.load(Ordering::Acquire)) {
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
            if seen.can_trip()
                && chunk.generation() == generation
                && let Some(by) = self.judge_all(slot, chunk)
            {
                return Recorded::Trips(by);
            }
            let next = Chunk::start(generation, next_place.round).push(failed, slow);
            if self.swap(next_place.slot, head, next) {
                self.set_hint(next_place.slot);
                return self.judge_last(seen, next_place.slot, next);
            }
        }
        Recorded::Late
    }

    /// Judges the window as of the last outcome of `chunk`. A fast success cannot raise a rate, only complete
    /// `min_calls`.
    fn judge_last(&self, seen: Control, slot: usize, chunk: Chunk) -> Recorded {
        let len = chunk.len();
        let looks = self.critical(chunk) >> (len - 1) & 1 == 1 && seen.can_trip();
        looks.then(|| self.judge(slot, chunk, len)).flatten().map_or(Recorded::Counted, Recorded::Trips)
    }

    /// Judges a full chunk as of each of its outcomes.
    fn judge_all(&self, slot: usize, chunk: Chunk) -> Option<Tally> {
        let mut critical = self.critical(chunk);
        while critical != 0 {
            let by = self.judge(slot, chunk, critical.trailing_zeros() + 1);
            if by.is_some() {
                return by;
            }
            critical &= critical - 1;
        }
        None
    }

    /// The outcomes of a chunk, as bits, as of which the window can reach a threshold.
    fn critical(&self, chunk: Chunk) -> u32 {
        chunk.failed() | chunk.slow() | 1 << (self.reaches_min - 1)
    }

    /// The window as of outcome `len` of `chunk`, if it trips.
    fn judge(&self, slot: usize, chunk: Chunk, len: u32) -> Option<Tally> {
        self.window(slot, chunk, len).filter(|&tally| self.thresholds.trips(tally))
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
