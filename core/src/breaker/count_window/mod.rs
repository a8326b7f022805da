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
//! By the settings under which the chunk was filled: what stands before their mark belongs to earlier ones, and a
//! claimer whose own settings are not in force any more begins again.
//!
//! How many calls make a window is the judge's to say: the log keeps as many as there is room for, so that a window
//! that changes its size holds what it would had it always had it.
//!
//! The counts are those of Resilience4j's count-based sliding window; the log is this project's.

mod chunk;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::breaker::control::Control;
use crate::breaker::memory::{ControlLine, Words};
use crate::breaker::ring::{Place, Ring};
use crate::breaker::rules::Judge;
use crate::breaker::tally::{Recorded, Tally};
use crate::sync::{AtomicU64, Ordering};
use chunk::Chunk;

/// Outcomes in a chunk. loom gets small ones, to see chunks fill and slots come round.
const CHUNK: u32 = if cfg!(loom) { 2 } else { 16 };
const ROUND_BITS: u32 = 11;
const LEN_BITS: u32 = 5;
/// Every window has room for some hundred calls, so that it can be made larger.
const LEAST_CHUNKS: usize = if cfg!(loom) { 4 } else { 64 };

/// Which chunk to start from; a lag costs steps, nothing else.
const HINT: usize = 0;
const CHUNKS: usize = 2;
/// Lost races after which an outcome is dropped: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

#[derive(Debug)]
pub(super) struct CountWindow {
    words: Words,
    ring: Ring,
}

impl CountWindow {
    /// How many words so many chunks need.
    pub(super) fn words(chunks: usize) -> usize {
        CHUNKS + chunks
    }

    /// In [`words`](Self::words) of its own.
    pub(super) fn over(words: Words, chunks: usize) -> Self {
        Self { words, ring: Ring::new(chunks, ROUND_BITS) }
    }

    /// How many chunks a window made for so many calls has: the tail, the older chunks of a full window, and one to
    /// claim while somebody still reads those.
    pub(super) fn chunks(calls: u32) -> usize {
        (calls.div_ceil(CHUNK) as usize + 2).next_power_of_two().max(LEAST_CHUNKS)
    }

    /// The largest window that so many chunks hold.
    pub(super) fn most_calls(chunks: usize) -> u32 {
        (chunks as u32 - 2) * CHUNK
    }

    /// Where the log stands, for a change of settings: `generation:16 | round:11 | len:5 | slot:32`.
    pub(super) fn mark(&self) -> u64 {
        let slot = self.tail();
        let chunk = self.chunk(slot);
        chunk.place() << 32 | slot as u64
    }

    /// The outcomes of a chunk, as bits, that stand before the mark.
    fn before_mark(slot: usize, chunk: Chunk, mark: u64) -> u32 {
        let (of, at) = (mark >> 32, mark & u64::from(u32::MAX));
        let is_it = at == slot as u64 && of >> LEN_BITS == chunk.place() >> LEN_BITS;
        if is_it { (1 << (of & ((1 << LEN_BITS) - 1)).min(CHUNK.into())) - 1 } else { 0 }
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
    pub(super) fn record_quickly(&self, seen: Control, min_calls: u32) -> bool {
        let slot = self.hint();
        let chunk = self.chunk(slot);
        let len = chunk.len();
        chunk.generation() == seen.generation()
            && len < CHUNK
            // Not where the generation's calls become `min_calls`.
            && ((len + 1) % CHUNK != min_calls % CHUNK || self.is_past(slot, chunk, min_calls))
            && self.swap(slot, chunk, chunk.push(false, false))
    }

    /// Whether the generation had `min_calls` before `chunk`. It began with a chunk, and all but the tail are full: one
    /// of it so many places before says so.
    fn is_past(&self, slot: usize, chunk: Chunk, min_calls: u32) -> bool {
        let chunks = min_calls.div_ceil(CHUNK) as usize;
        let place = self.ring.back(Place { slot, round: chunk.round() }, chunks);
        let older = self.chunk(place.slot);
        chunks < self.ring.slots() && older.round() == place.round && older.generation() == chunk.generation()
    }

    /// Appends an outcome in the generation of `seen` and judges the window as of it.
    #[inline(never)]
    pub(super) fn record(
        &self,
        ControlLine { word: control, settings, .. }: &ControlLine,
        seen: Control,
        failed: bool,
        slow: bool,
        by: &Judge,
    ) -> Recorded {
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
                    return self.judge_last(seen, slot, next, by);
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
            if seen.can_trip() && chunk.generation() == generation {
                // After the chunk's load: these settings were in force when its last outcome had been recorded.
                if settings.version() != by.version {
                    return Recorded::Changed;
                }
                if let Some(tally) = self.judge_all(slot, chunk, by) {
                    return Recorded::Trips(tally);
                }
            }
            let next = Chunk::start(generation, next_place.round).push(failed, slow);
            if self.swap(next_place.slot, head, next) {
                self.set_hint(next_place.slot);
                return self.judge_last(seen, next_place.slot, next, by);
            }
        }
        Recorded::Late
    }

    /// Judges the window as of the last outcome of `chunk`. A fast success cannot raise a rate, only complete
    /// `min_calls`.
    fn judge_last(&self, seen: Control, slot: usize, chunk: Chunk, by: &Judge) -> Recorded {
        let len = chunk.len();
        let looks = critical(chunk, by) >> (len - 1) & 1 == 1 && seen.can_trip();
        looks.then(|| self.judge(slot, chunk, len, by)).flatten().map_or(Recorded::Counted, Recorded::Trips)
    }

    /// Judges a full chunk as of each of its outcomes that these settings are about.
    fn judge_all(&self, slot: usize, chunk: Chunk, by: &Judge) -> Option<Tally> {
        let mut critical = critical(chunk, by) & !Self::before_mark(slot, chunk, by.mark);
        while critical != 0 {
            let tally = self.judge(slot, chunk, critical.trailing_zeros() + 1, by);
            if tally.is_some() {
                return tally;
            }
            critical &= critical - 1;
        }
        None
    }

    /// The window as of outcome `len` of `chunk`, if it trips. A success is looked at only where it is the
    /// generation's call with number `min_calls`: that the rates are high already may be due to a change of settings,
    /// and the next failure judges them.
    fn judge(&self, slot: usize, chunk: Chunk, len: u32, by: &Judge) -> Option<Tally> {
        let tally = self.window(slot, chunk, len, by.window)?;
        let (least, troubled) = (by.thresholds.min_calls, chunk.troubled() >> (len - 1) & 1 == 1);
        if !by.thresholds.trips(tally) {
            return None;
        }
        let completes = || {
            let all = if tally.calls < by.window { tally } else { self.window(slot, chunk, len, least + 1)? };
            Some(all.calls == least)
        };
        (troubled || completes()?).then_some(tally)
    }

    /// The last N calls up to outcome `len` of `chunk`; `None` when older chunks were overwritten meanwhile, which
    /// happens only after somebody has judged this one.
    fn window(&self, slot: usize, chunk: Chunk, len: u32, calls: u32) -> Option<Tally> {
        let mut tally = chunk.newest(len, calls);
        let mut place = Place { slot, round: chunk.round() };
        while tally.calls < calls {
            place = self.ring.before(place);
            let older = self.chunk(place.slot);
            if older.is_blank() || (older.round() == place.round && older.generation() != chunk.generation()) {
                break;
            }
            if older.round() != place.round || older.len() < CHUNK {
                return None;
            }
            tally.add(older.newest(CHUNK, calls - tally.calls));
        }
        Some(tally)
    }

    /// The slot of the tail.
    fn tail(&self) -> usize {
        let mut slot = self.hint();
        for _ in 0..self.ring.slots() {
            let chunk = self.chunk(slot);
            let next = self.ring.after(Place { slot, round: chunk.round() });
            if chunk.len() < CHUNK {
                break;
            }
            let head = self.chunk(next.slot);
            if head.is_blank() || head.round() != next.round {
                break;
            }
            slot = next.slot;
        }
        slot
    }

    /// The window of so many calls now.
    pub(super) fn tally(&self, generation: u16, calls: u32) -> Tally {
        for _ in 0..PATIENCE {
            let slot = self.tail();
            let chunk = self.chunk(slot);
            if chunk.generation() != generation {
                return Tally::default();
            }
            if let Some(tally) = self.window(slot, chunk, chunk.len(), calls) {
                return tally;
            }
        }
        Tally::default()
    }
}

/// The outcomes of a chunk, as bits, as of which the window can reach a threshold.
fn critical(chunk: Chunk, by: &Judge) -> u32 {
    chunk.troubled() | 1 << ((by.thresholds.min_calls - 1) % CHUNK)
}
