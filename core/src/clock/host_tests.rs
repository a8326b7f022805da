use super::*;
use crate::arena::layout::OBJECTS_AT;
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

#[test]
fn an_opener_may_be_a_millisecond_off_and_200_ppm_of_the_age() {
    let origin = Origin { kind: BY_COUNTER, ticks0: 3_000, ns0: 1_000, mult: 1, os_ns0: AHEAD, time_namespace: 0 };
    let at = |age: u64, off: i64| {
        since(&three_ghz(), &origin, &pair(3_000 + 3 * age, (AHEAD + age).wrapping_add_signed(off)))
    };
    for (age, off, fine) in [
        (0, 999_000, true),
        (0, 1_001_000, false),
        (0, -1_001_000, false),
        (100 * SECOND, 20_000_000, true),
        (100 * SECOND, -20_000_000, true),
        (100 * SECOND, 22_000_000, false),
        // A time namespace whose clock began later than the arena's.
        (100 * SECOND, -105_000_000_000, false),
    ] {
        assert_eq!(at(age, off).agree(), fine, "{age} {off}");
    }
}

fn mapping() -> Arc<Mapping> {
    Arc::new(Mapping::private(OBJECTS_AT).unwrap())
}

#[test]
fn a_foreign_clock_is_refused_with_both_readings() {
    let now = os::monotonic();
    let tsc = Tsc::calibrate().unwrap();
    let (ticks0, ns0, mult) = tsc.parts();
    let origin =
        Origin { kind: BY_COUNTER, ticks0, ns0, mult, os_ns0: ns0 - 5 * SECOND, time_namespace: time_namespace() };
    let error = Clock::of_arena(&mapping(), &origin, "orders").unwrap_err();
    assert_eq!(error.kind(), ArenaErrorKind::Clock);
    let text = error.message();
    assert!(
        text.contains("passed by its clock and 5.") && text.contains("time namespace") && text.contains("orders"),
        "{text}"
    );
    for wrong in [Origin { kind: 2, ..origin }, Origin { mult: 0, ..origin }] {
        assert_eq!(Clock::of_arena(&mapping(), &wrong, "orders").unwrap_err().kind(), ArenaErrorKind::Clock);
    }
    let elsewhere = Origin { kind: BY_OS, os_ns0: now, time_namespace: 77, ..origin };
    let error = Clock::of_arena(&mapping(), &elsewhere, "orders").unwrap_err();
    assert!(error.message().contains("time namespace 77"), "{error}");
}

#[test]
fn the_clock_of_a_new_arena_is_read_by_all() {
    let (mapping, origin) = (mapping(), Origin::choose());
    let [one, two] = [(); 2].map(|()| Clock::of_arena(&mapping, &origin, "orders").unwrap());
    assert!(one.is_same(&two));
    let (before, between, after) = (one.now(), two.now(), one.now());
    assert!(before <= between && between <= after, "{before} {between} {after}");
    assert_eq!(one.ticks().is_some(), origin.kind == BY_COUNTER);
    if origin.kind == BY_COUNTER {
        assert!(!one.is_same(&Clock::monotonic()));
        assert_eq!(one.tsc().map(Tsc::parts), two.tsc().map(Tsc::parts));
    }
}

/// One process finds that the counter runs 2 % too fast by the arena's numbers: all go on by the system's clock.
#[test]
fn who_finds_the_clock_drifting_moves_all() {
    let (ticks0, ns0, mult) = Tsc::calibrate().unwrap().parts();
    let tsc = Tsc::of_parts(ticks0, ns0, mult + mult / 50).unwrap();
    let mapping = mapping();
    let clock = |every_ns| {
        let moved = One::at(&mapping, HEADER_AT + offset_of!(Header, clock_moved)).unwrap();
        HostClock::new(tsc, moved, Pair::read(), every_ns)
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
    let mapping = mapping();
    let at = HEADER_AT + offset_of!(Header, clock_moved);
    let clock = HostClock::new(tsc, One::at(&mapping, at).unwrap(), Pair::read(), SECOND);
    let word = mapping.value::<AtomicU64>(at).unwrap();
    for value in [1, 2, u64::MAX, u64::MAX / 2, 0] {
        // Relaxed: one thread.
        word.store(value, Ordering::Relaxed);
        let _ = (clock.now(), clock.by_os());
    }
    assert!(clock.ticks().is_some());
}
