//! What a killed thread may leave behind, and bytes that nobody wrote.

use super::*;
use crate::breaker::layout::{Layout, Origin, WindowRoom};
use crate::breaker::memory::Head;
use crate::breaker::settings::first_set;
use crate::breaker::tally::Thresholds;
use crate::breaker::{BreakerConfig, Window};
use crate::memory::{ObjectAllocator, One};

const SEEN: Control = Control::FIRST;

fn window(calls: u32) -> (CountWindow, One<Head>, Judge) {
    let room = &mut ObjectAllocator::of_process(false);
    let head = room.one::<Head>().expect("memory");
    head.control.word.store(SEEN.0, Ordering::Relaxed);
    // As few chunks as hold the window.
    let chunks = (calls.div_ceil(CHUNK) as usize + 2).next_power_of_two();
    let config = BreakerConfig { window: Window::Calls(calls), min_calls: calls, ..BreakerConfig::default() };
    let layout = Layout { window: WindowRoom::Calls { chunks }, ..Layout::of(&config) };
    let set = first_set(&config, &layout, Origin::new(&layout, 0));
    let rules = Judge::of(|at| set[at], 0, &layout);
    let words = Words::in_room(room, CountWindow::words(chunks)).expect("memory");
    (CountWindow::over(words, chunks), head, rules)
}

fn with(rules: &Judge, change: impl FnOnce(&mut Judge)) -> Judge {
    let mut changed = *rules;
    change(&mut changed);
    changed
}

/// What a reporter leaves that is killed right after its outcome stands in the log.
fn record_and_die(window: &CountWindow, slot: usize, failed: bool) {
    let chunk = window.chunk(slot);
    assert!(window.swap(slot, chunk, Chunk::start(SEEN.generation(), chunk.round()).max(chunk).push(failed, false)));
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
        let (window, head, rules) = window(1);
        for at in 0..CHUNK {
            record_and_die(&window, 0, at == fatal);
        }
        // A success would not be judged by itself: a window of one call is failed only as of the dead reporter's.
        let trips = Recorded::Trips(Tally { calls: 1, failed: 1, slow: 0 });
        assert_eq!(window.record(&head.control, SEEN, false, false, &rules), trips, "outcome {fatal}");
        assert!(window.chunk(1).is_blank(), "nothing is recorded after the trip");
    }
}

#[test]
fn a_claim_whose_hint_was_never_stored_is_found() {
    let (window, head, rules) = window(100);
    for _ in 0..CHUNK {
        record_and_die(&window, 0, false);
    }
    let claim = Chunk::start(SEEN.generation(), 0).push(false, false);
    assert!(window.swap(1, window.chunk(1), claim));
    assert_eq!(window.record(&head.control, SEEN, false, false, &rules), Recorded::Counted);
    assert_eq!(window.tally(SEEN.generation(), rules.window).calls, CHUNK + 2);
}

#[test]
fn a_window_that_was_overwritten_is_not_judged() {
    let (window, head, rules) = window(20);
    for _ in 0..20 {
        window.record(&head.control, SEEN, false, false, &rules);
    }
    let (slot, stale) = (1, window.chunk(1));
    assert_eq!(window.window(slot, stale, 4, 20).map(|tally| tally.calls), Some(20));
    for _ in 0..4 * CHUNK {
        window.record(&head.control, SEEN, false, false, &rules);
    }
    assert_eq!(window.window(slot, stale, 4, 20), None);
}

#[test]
fn a_late_outcome_leaves_the_next_generation_alone() {
    let (window, head, rules) = window(20);
    let next = SEEN.next(crate::breaker::State::Closed, 0, 0);
    head.control.word.store(next.0, Ordering::Relaxed);
    assert_eq!(window.record(&head.control, next, false, false, &rules), Recorded::Counted);
    assert_eq!(window.record(&head.control, SEEN, true, false, &rules), Recorded::Late);
    let tally = window.tally(next.generation(), rules.window);
    assert_eq!((tally.calls, tally.failed), (1, 0));
}

/// Slots that come round hundreds of times, and a window that changes its size within what there is room for.
#[test]
fn the_window_is_the_newest_calls_whatever_its_size_was() {
    let (window, head, rules) = window(32);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut outcomes = std::collections::VecDeque::new();
    for _ in 0..20_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (failed, slow, size) = (random & 7 == 0, random & 56 == 0, (random >> 20) as u32 % 32 + 1);
        // Rates that nothing reaches, so that everything is recorded.
        let thresholds = Thresholds { failure_rate: 2.0, slow_rate: 2.0, min_calls: 1 };
        let rules = with(&rules, |rules| {
            rules.window = size;
            rules.thresholds = thresholds
        });
        assert_eq!(window.record(&head.control, SEEN, failed, slow, &rules), Recorded::Counted);
        outcomes.push_front((failed, slow));
        outcomes.truncate(32);
        let newest = || outcomes.iter().take(size as usize);
        let count = |which: fn(&(bool, bool)) -> bool| newest().filter(|call| which(call)).count() as u32;
        let expected =
            Tally { calls: newest().count() as u32, failed: count(|call| call.0), slow: count(|call| call.1) };
        assert_eq!(window.tally(SEEN.generation(), size), expected);
    }
}

/// What was recorded under other settings has been judged by them: not even a claimer judges it by the present ones.
#[test]
fn a_claimer_judges_only_what_is_its_settings_concern() {
    for before in 0..=CHUNK {
        let (window, head, rules) = window(1);
        (0..before).for_each(|_| record_and_die(&window, 0, true));
        let rules = with(&rules, |rules| rules.mark = window.mark());
        (before..CHUNK).for_each(|_| record_and_die(&window, 0, false));
        assert_eq!(window.record(&head.control, SEEN, false, false, &rules), Recorded::Counted, "after {before}");
    }
    let (window, head, rules) = window(1);
    (0..3).for_each(|_| record_and_die(&window, 0, false));
    let rules = with(&rules, |rules| rules.mark = window.mark());
    (3..CHUNK).for_each(|_| record_and_die(&window, 0, true));
    assert!(matches!(window.record(&head.control, SEEN, false, false, &rules), Recorded::Trips(_)));
}

/// A claimer whose settings are not in force any more judges nobody by them, and records nothing.
#[test]
fn a_claimer_with_old_settings_begins_again() {
    let (window, head, rules) = window(1);
    (0..CHUNK).for_each(|_| record_and_die(&window, 0, true));
    let old = with(&rules, |rules| rules.version += 1);
    assert_eq!(window.record(&head.control, SEEN, false, false, &old), Recorded::Changed);
    assert!(window.chunk(1).is_blank());
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
        let (window, head, rules) = window(calls);
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
                window.record(&head.control, SEEN, next() & 1 == 1, next() & 1 == 1, &rules);
                let tally = window.tally(SEEN.generation(), rules.window);
                assert!(tally.calls <= calls && tally.failed <= calls && tally.slow <= calls);
            }
        }
    }
}

/// The quick way leaves to `record` the call with which `min_calls` is reached, in each generation, and those that
/// claim a chunk; once it is reached no others.
#[test]
fn the_quick_way_passes_by_no_call_that_must_be_judged() {
    for min_calls in [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 50, 64] {
        let (window, head, rules) = window(64);
        let mut seen = SEEN;
        for calls in [3, 10 * CHUNK, 2 * CHUNK + 5, 12 * CHUNK + 1] {
            for n in 1..=calls {
                let is_quick = window.record_quickly(seen, min_calls);
                let may_complete = n <= min_calls && n % CHUNK == min_calls % CHUNK;
                assert_eq!(is_quick, !may_complete && n % CHUNK != 1, "call {n}, min_calls {min_calls}");
                if !is_quick {
                    assert_eq!(window.record(&head.control, seen, false, false, &rules), Recorded::Counted);
                }
            }
            seen = seen.next(crate::breaker::State::Closed, 0, 0);
            head.control.word.store(seen.0, Ordering::Relaxed);
        }
    }
}
