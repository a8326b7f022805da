//! What a killed thread may leave behind, and bytes that nobody wrote.

use super::*;

const SEEN: Control = Control::FIRST;

fn window(calls: u32) -> (CountWindow, AtomicU64) {
    let thresholds = Thresholds { failure_rate: 0.5, slow_rate: 1.0, min_calls: calls };
    (
        CountWindow::in_room(&mut ObjectAllocator::of_process(false), calls, thresholds).expect("memory"),
        AtomicU64::new(SEEN.0),
    )
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
        let (window, control) = window(1);
        for at in 0..CHUNK {
            record_and_die(&window, 0, at == fatal);
        }
        // A success would not be judged by itself: a window of one call is failed only as of the dead reporter's.
        let trips = Recorded::Trips(Tally { calls: 1, failed: 1, slow: 0 });
        assert_eq!(window.record(&control, SEEN, false, false), trips, "outcome {fatal}");
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
    let next = SEEN.next(crate::breaker::State::Closed, 0, 0);
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
