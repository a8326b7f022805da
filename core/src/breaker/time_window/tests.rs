//! What a killed thread may leave behind, and bytes that nobody wrote.

use super::*;
use crate::breaker::layout::{Layout, Origin};
use crate::breaker::memory::Head;
use crate::breaker::settings::first_set;
use crate::breaker::{BreakerConfig, Window};
use crate::memory::{ObjectAllocator, One};

const SEEN: Control = Control::FIRST;

fn window() -> (TimeWindow, One<Head>, Judge) {
    let room = &mut ObjectAllocator::of_process(false);
    let head = room.one::<Head>().expect("memory");
    // Relaxed: nobody else has it.
    head.control.word.store(SEEN.0, Ordering::Relaxed);
    let span = std::time::Duration::from_millis(1);
    let config = BreakerConfig { window: Window::Duration(span), min_calls: 2, ..BreakerConfig::default() };
    let layout = Layout::of(&config);
    let set = first_set(&config, &layout, Origin::new(&layout, 0));
    let rules = Judge::of(|at| set[at], 0, &layout);
    (TimeWindow::over(Words::in_room(room, TimeWindow::WORDS).expect("memory"), 10), head, rules)
}

/// A thread may die after each step of going on to the next slice.
#[test]
fn anyone_goes_on_for_the_dead() {
    let (window, head, rules) = window();
    window.record(&head.control, SEEN, 0, false, false, &rules);
    let slot = window.hint();
    let what = window.what(slot);
    let (raw, counts) = window.counts(slot, what.round()).expect("the tail");
    // Sealed, and dead.
    assert!(window.swap_counts(slot, raw, counts.seal()));
    window.record(&head.control, SEEN, 10, false, false, &rules);
    assert_eq!(window.tally(SEEN.generation(), 10, rules.window).calls, 2);
    // Sealed, claimed, and dead before it counted or stored the hint.
    let slot = window.hint();
    let what = window.what(slot);
    let (raw, counts) = window.counts(slot, what.round()).expect("the tail");
    assert!(window.swap_counts(slot, raw, counts.seal()));
    window.next_chunk(slot, what, SEEN.generation(), 2);
    window.set_hint(slot);
    assert_eq!(window.tally(SEEN.generation(), 20, rules.window).calls, 2);
    assert_eq!(window.record(&head.control, SEEN, 30, true, false, &rules), Recorded::Counted, "1 of 3");
    assert_eq!(
        window.record(&head.control, SEEN, 30, true, false, &rules),
        Recorded::Trips(Tally { calls: 4, failed: 2, slow: 0 })
    );
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
    let (window, head, rules) = window();
    for round in 0..100 {
        for index in 0..FIRST_CHUNK + 2 * CHUNKS {
            let word = match round % 4 {
                0 => u64::MAX,
                // Plausible: this generation, the first rounds and slices.
                1 => u64::from(SEEN.generation()) << 48 | (next() & 1) << 32 | next() & 0xf,
                _ => next(),
            };
            window.words.at(index).store(word, Ordering::Relaxed);
        }
        for _ in 0..8 {
            let now = next() >> (next() & 63);
            window.record(&head.control, SEEN, now, next() & 1 == 1, next() & 1 == 1, &rules);
            window.tally(SEEN.generation(), now, rules.window);
        }
    }
}
