//! The shared words of an adaptive limit: the window's counts, and the state that follows from them.
//!
//! The control word, `number:40 | record:4 | 0:3 | probe:1 | limit:16`, says which window it is and what is in force.
//! Who finds a window over counts its number up by an exchange, and so is the only one to do what follows: it takes the
//! counts out, writes the next state to a record of its own, and publishes record and limit by another exchange. One
//! killed between the two leaves what was in force and loses a window; one that was stopped for long finds the number
//! changed and publishes nothing. A record carries a checksum: one that a late writer has spoilt, or foreign bytes, is
//! as none, and the algorithm begins anew from the limit in force.

use super::histogram::Histogram;
use super::rule::{Rule, State, WORDS, Words};
use super::sampling::{draw, is_chosen, stride_for};
use super::window::Window;
use super::{AdaptiveConfig, Outcome};
use crate::concurrency::permit_slots::PermitSlots;
use crate::memory::{ObjectAllocator, One, SharedSlice};
use crate::sync::{AtomicU64, Ordering, in_order};
use crate::{Clock, ConfigError};

const LIMIT: u64 = (1 << 16) - 1;
const PROBE: u64 = 1 << 16;
const RECORD_AT: u32 = 20;
const NUMBER_AT: u32 = 24;

const RECORDS: u64 = 16;
/// A state and its checksum, in whole lines.
const RECORD_WORDS: usize = 16;
const _: () = assert!(WORDS < RECORD_WORDS);

/// Read by every call, written once in a window.
const CONTROL: usize = 0;
const START: usize = 1;
/// One in how many calls is measured.
const STRIDE: usize = 2;
/// The latency of an unloaded call, ns, for those who report.
const BASE: usize = 3;
const SEED: usize = 4;
/// Written by every measured call: a line further on.
const CALLS: usize = 16;
const DROPPED: usize = 17;
const SUM: usize = 18;
const MOST: usize = 19;
const SATURATED: usize = 20;
const HEAD: usize = 32;

/// How often the limit in force is put right where others change it at the same time.
const TRIES: usize = 16;

/// Times in permits: 48 bits of nanoseconds, plus one; 0: the call is not measured.
const TIME: u64 = (1 << 48) - 1;

#[derive(Debug)]
pub(in super::super) struct Estimate {
    head: One<[AtomicU64; HEAD]>,
    records: SharedSlice<AtomicU64>,
    latencies: Histogram,
    rule: Rule,
    pub(super) config: AdaptiveConfig,
}

/// What the control word says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    pub(super) number: u64,
    record: u64,
    pub(super) is_probe: bool,
    pub(super) limit: u32,
}

impl Control {
    fn unpack(word: u64) -> Self {
        Self {
            number: word >> NUMBER_AT,
            record: word >> RECORD_AT & (RECORDS - 1),
            is_probe: word & PROBE != 0,
            limit: (word & LIMIT) as u32,
        }
    }

    fn pack(self) -> u64 {
        let probe = if self.is_probe { PROBE } else { 0 };
        self.number << NUMBER_AT | self.record << RECORD_AT | probe | u64::from(self.limit) & LIMIT
    }
}

/// What a permit remembers of the time at which it was asked for.
#[inline]
pub(in super::super) fn stamp(ns: u64) -> u64 {
    // The one moment in three days that would read as "not measured" is a nanosecond later.
    (ns.wrapping_add(1) & TIME).max(1)
}

/// How long ago that was; `None`: the clock has stepped back behind it.
fn age(stamp: u64, now: u64) -> Option<u64> {
    let age = now.wrapping_add(1).wrapping_sub(stamp) & TIME;
    // Half of what the bits hold is the past.
    (age <= TIME / 2).then_some(age)
}

impl Estimate {
    /// The next parts of `room`.
    pub(in super::super) fn in_room(
        room: &mut ObjectAllocator,
        config: &AdaptiveConfig,
        clock: &Clock,
    ) -> Result<Self, ConfigError> {
        let estimate = Self {
            head: room.one()?,
            records: room.cells(RECORDS as usize * RECORD_WORDS)?,
            latencies: Histogram::in_room(room)?,
            rule: Rule::of(config),
            config: *config,
        };
        if room.is_fresh() {
            let now = clock.now();
            let state = estimate.rule.start(draw(now, 0));
            estimate.write(0, state);
            let control = Control { number: 0, record: 0, is_probe: false, limit: state.limit() };
            let words = [(START, now), (SEED, now), (STRIDE, 1), (CONTROL, control.pack())];
            // Relaxed: published with the object.
            words.into_iter().for_each(|(word, value)| estimate.head[word].store(value, Ordering::Relaxed));
        }
        Ok(estimate)
    }

    fn read(&self, word: usize) -> u64 {
        // Relaxed: an old value costs an early or late window.
        self.head[word].load(Ordering::Relaxed)
    }

    pub(super) fn control(&self) -> Control {
        Control::unpack(in_order(&self.head[CONTROL]))
    }

    /// Whether this call is to be measured.
    #[inline]
    pub(in super::super) fn measures(&self) -> bool {
        let stride = self.read(STRIDE);
        stride <= 1 || is_chosen(stride)
    }

    /// A measured call has been admitted.
    #[inline(never)]
    pub(in super::super) fn admitted(&self, places: &PermitSlots) {
        // Who was refused found all places taken.
        if self.read(SATURATED) == 0 {
            let held = u64::from(places.held_below_limit());
            if held > self.read(MOST) {
                // Relaxed: read when the window ends.
                self.head[MOST].fetch_max(held, Ordering::Relaxed);
            }
        }
    }

    /// Somebody was refused, or waits.
    pub(in super::super) fn mark_saturated(&self) {
        if self.read(SATURATED) == 0 {
            // Relaxed: read when the window ends.
            self.head[SATURATED].store(1, Ordering::Relaxed);
        }
    }

    /// The same, if they found the limit reached; a probe that no report ends does not keep them out for long. Whether
    /// another limit is in force.
    pub(in super::super) fn saturated(&self, places: &PermitSlots, clock: &Clock, is_full: bool) -> bool {
        if is_full {
            self.mark_saturated();
        }
        self.control().is_probe && self.end_window_if_due(places, clock.now(), self.read(CALLS))
    }

    /// What became of the call that a permit, now given back, was stamped for; `latency`: as its caller has it, in ns.
    /// Whether another limit is in force.
    pub(in super::super) fn report(
        &self,
        places: &PermitSlots,
        clock: &Clock,
        stamp: u64,
        outcome: Outcome,
        latency: Option<u64>,
    ) -> bool {
        if stamp == 0 || outcome == Outcome::Ignore {
            return false;
        }
        let now = clock.now();
        // A clock that has stepped back says nothing of how long it took.
        let Some(age) = age(stamp, now) else { return self.end_window_if_due(places, now, 0) };
        let latency = latency.unwrap_or(age);
        let is_dropped = outcome == Outcome::Dropped;
        let is_late = self.control().is_probe && now.saturating_sub(age) < self.read(START);
        let calls = if !is_late && self.rule.counts(latency) { self.count(latency, is_dropped) } else { 0 };
        self.end_window_if_due(places, now, calls)
    }

    /// Counts a sample; how many the window has.
    fn count(&self, latency: u64, is_dropped: bool) -> u64 {
        // Foreign bytes do not make a count jump.
        let weight = self.read(STRIDE).clamp(1, 1 << 10);
        if self.rule.is_gradient() {
            // A quick refusal says nothing of how fast an unloaded call is.
            let least = if is_dropped { self.read(BASE) } else { 0 };
            self.latencies.add(latency.max(least), weight);
        } else {
            // Relaxed, this and the next: read when the window ends.
            self.head[SUM].fetch_add(latency, Ordering::Relaxed);
        }
        if is_dropped {
            self.head[DROPPED].fetch_add(weight, Ordering::Relaxed);
        }
        // Relaxed: as above.
        let calls = self.head[CALLS].fetch_add(weight, Ordering::Relaxed).wrapping_add(weight);
        if self.rule.is_gradient() && stride_for(calls) > weight {
            self.head[STRIDE].store(stride_for(calls), Ordering::Relaxed);
        }
        calls
    }

    fn end_window_if_due(&self, places: &PermitSlots, now: u64, calls: u64) -> bool {
        let start = self.read(START);
        let word = in_order(&self.head[CONTROL]);
        let control = Control::unpack(word);
        // A start so far ahead is from before the clock stepped back: the window begins anew.
        let is_behind = start.saturating_sub(now) > self.rule.longest();
        if !is_behind && !self.rule.ends(control.number, control.is_probe, now.saturating_sub(start), calls) {
            return false;
        }
        let claimed = Control { number: control.number + 1, ..control };
        // SeqCst: only one ends it, and what was published for it is seen. Relaxed on failure: it is another's.
        let exchange = self.head[CONTROL].compare_exchange(word, claimed.pack(), Ordering::SeqCst, Ordering::Relaxed);
        exchange.is_ok() && self.end_window(places, claimed, now, is_behind)
    }

    /// By the only one who has counted the number up to `claimed`'s.
    #[cold]
    fn end_window(&self, places: &PermitSlots, claimed: Control, now: u64, is_behind: bool) -> bool {
        let window = self.take_window(now);
        let before = self.state(claimed);
        let state = if is_behind { before } else { self.rule.next(before, &window, self.draw(claimed, before)) };
        let limit = state.limit().clamp(1, self.config.max_limit);
        let record = claimed.number % RECORDS;
        self.write(record, state);
        // Relaxed: advice to those who report.
        self.head[BASE].store(state.base().unwrap_or(0.0) as u64, Ordering::Relaxed);
        let next = Control { record, is_probe: state.is_probe(), limit, ..claimed };
        // SeqCst: after the record, before the limit that is put in force. Relaxed on failure: others have gone on.
        let exchange =
            self.head[CONTROL].compare_exchange(claimed.pack(), next.pack(), Ordering::SeqCst, Ordering::Relaxed);
        exchange.is_ok() && self.put_in_force(places)
    }

    /// Whoever sets the limit last looks at the control word after it, and finds the newest there. Whether there was
    /// one to set.
    fn put_in_force(&self, places: &PermitSlots) -> bool {
        (0..TRIES).any(|tried| {
            let limit = self.control().limit.clamp(1, self.config.max_limit);
            if places.limit() == limit {
                return tried > 0;
            }
            places.set_limit(limit);
            false
        })
    }

    /// Takes the window's counts out, and begins the next.
    fn take_window(&self, now: u64) -> Window {
        // Relaxed, all: what is counted meanwhile is the next window's.
        let take = |word: usize| self.head[word].swap(0, Ordering::Relaxed);
        let start = self.head[START].swap(now, Ordering::Relaxed);
        let [calls, dropped, sum, most, saturated] = [CALLS, DROPPED, SUM, MOST, SATURATED].map(take);
        let stride = self.read(STRIDE);
        if stride > 1 {
            self.head[STRIDE].store(stride / 2, Ordering::Relaxed);
        }
        let counts = self.latencies.take();
        // Of one moment with the median, where there is one.
        let calls = if self.rule.is_gradient() { counts.total() } else { calls };
        Window {
            now,
            span: now.saturating_sub(start),
            calls,
            dropped: dropped.min(calls),
            median: counts.median(),
            mean: sum.checked_div(calls).unwrap_or(0),
            // Who was refused found all places taken.
            most: if saturated != 0 { self.config.max_limit } else { u32::try_from(most).unwrap_or(u32::MAX) },
            saturated: saturated != 0,
        }
    }

    /// A number from 0 to 1 that stays until the next probe.
    fn draw(&self, control: Control, state: State) -> f64 {
        let number = if let State::Gradient(state) = state { state.probes } else { control.number };
        draw(self.read(SEED), number)
    }

    /// Which window it is, and the limit that it says is in force.
    #[cfg(all(test, loom))]
    pub(in super::super) fn published(&self) -> (u64, u32) {
        let Control { number, limit, .. } = self.control();
        (number, limit)
    }

    /// What the last window has left.
    pub(super) fn state(&self, control: Control) -> State {
        let at = control.record as usize * RECORD_WORDS;
        let record = self.records.get(at..at + WORDS + 1).unwrap_or_default();
        let mut words = [0; WORDS];
        // Relaxed: after the control word that published them.
        let mut values = record.iter().map(|word| word.load(Ordering::Relaxed));
        words.iter_mut().zip(&mut values).for_each(|(word, value)| *word = value);
        if values.next() == Some(checksum(control.record, &words)) {
            return self.rule.state_of(words);
        }
        self.rule.start(draw(self.read(SEED), 0)).with_limit(control.limit)
    }

    fn write(&self, record: u64, state: State) {
        let words = state.to_words();
        let at = record as usize * RECORD_WORDS;
        let places = self.records.get(at..).unwrap_or_default();
        // Relaxed: published by the control word.
        let store = |(place, value): (&AtomicU64, u64)| place.store(value, Ordering::Relaxed);
        places.iter().zip(words.into_iter().chain([checksum(record, &words)])).for_each(store);
    }
}

/// Of a record; never that of zeros.
fn checksum(record: u64, words: &Words) -> u64 {
    let mix = |sum: u64, &word: &u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    words.iter().fold(record + 1, mix)
}
