use super::*;
use crate::memory::Mapping;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 3 ticks a nanosecond, from tick 3,000 at 1,000 ns.
fn three_ghz() -> Tsc {
    Tsc::of_parts(3_000, 1_000, (1 << 58) / 3 + 1).unwrap()
}

/// A pair read within 30 ticks, that is 10 ns.
fn pair(ticks: u64, os_ns: u64) -> Pair {
    Pair { ticks, os_ns, width: 30 }
}

const SECOND: u64 = 1_000_000_000;
/// The system's clock of these tests is 7 s ahead of the arena's.
const AHEAD: u64 = 7 * SECOND;

/// Both clocks a second apart, the counter `off` nanoseconds away from where it should be.
fn a_second_later(off: i64) -> (Tsc, Pair, Pair) {
    let (tsc, at) = (three_ghz(), 10 * SECOND);
    let before = pair(3 * at, at + AHEAD);
    let now = pair(3 * (at + SECOND).wrapping_add_signed(off), at + SECOND + AHEAD);
    (tsc, before, now)
}

#[test]
fn up_to_200_ppm_apart_is_steady() {
    for off in [0, 50_000, -50_000, 199_000, -199_000] {
        let (tsc, before, now) = a_second_later(off);
        assert_eq!(pace(&tsc, &before, &now), Pace::Steady, "{off}");
    }
}

#[test]
fn further_apart_continues_from_the_highest_reading() {
    let right = 11 * SECOND;
    for (off, highest) in [
        (203_000, right + 203_000),
        (-203_000, right),
        // Set back, and put forward an hour.
        (-10_000_000_000, right),
        (3_600_000_000_000, right + 3600 * SECOND),
    ] {
        let (tsc, before, now) = a_second_later(off);
        let Pace::Apart { offset } = pace(&tsc, &before, &now) else { panic!("steady at {off}") };
        let continued = now.os_ns.wrapping_add(offset);
        assert!(continued.abs_diff(highest) < 100, "{off}: {continued}, not {highest}");
    }
}

#[test]
fn a_preempted_reading_proves_nothing() {
    let (tsc, before, now) = a_second_later(400_000);
    assert_ne!(pace(&tsc, &before, &now), Pace::Steady);
    let wide = Pair { width: 3 * 300_000, ..now };
    assert_eq!(pace(&tsc, &before, &wide), Pace::Steady);
}

/// One process finds that the counter runs 2 % too fast by the arena's numbers: all go on by the system's clock.
#[test]
fn who_finds_the_clock_drifting_moves_all() {
    let (ticks0, ns0, mult) = Tsc::calibrate().unwrap().parts();
    let tsc = Tsc::of_parts(ticks0, ns0, mult + mult / 50).unwrap();
    let mapping = Arc::new(Mapping::private(4096).unwrap());
    let clock = |every_ns| {
        let moved = One::at(&mapping, 64).unwrap();
        SharedClock::new(tsc, moved, Pair::read(), every_ns)
    };
    let (finder, other) = (clock(20_000_000), clock(3_600 * SECOND));
    let (mut last, start) = (0, Instant::now());
    while finder.ticks().is_some() {
        let now = other.now();
        assert!(now >= last);
        last = now;
        assert!(start.elapsed() < Duration::from_secs(60), "never noticed");
    }
    assert_eq!((other.ticks(), other.tsc().map(Tsc::parts)), (None, None));
    // Continued: at most the moment of the move is lost.
    assert!(other.now() + 100_000 > last, "{} {last}", other.now());
    // Relaxed: one thread.
    let offset = finder.moved.load(Ordering::Relaxed) - 1;
    for clock in [&finder, &other] {
        let before = os::monotonic().wrapping_add(offset);
        let now = clock.now();
        assert!(before <= now && now <= os::monotonic().wrapping_add(offset));
    }
}

#[test]
fn whatever_is_written_over_the_flag_the_clock_answers() {
    let tsc = Tsc::calibrate().unwrap();
    let (mapping, at) = (Arc::new(Mapping::private(4096).unwrap()), 64);
    let clock = SharedClock::new(tsc, One::at(&mapping, at).unwrap(), Pair::read(), SECOND);
    let word = mapping.value::<AtomicU64>(at).unwrap();
    for value in [1, 2, u64::MAX, u64::MAX / 2, 0] {
        // Relaxed: one thread.
        word.store(value, Ordering::Relaxed);
        let _ = (clock.now(), clock.by_os());
    }
    assert!(clock.ticks().is_some());
}
