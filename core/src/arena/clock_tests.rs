use super::*;
use crate::arena::layout::OBJECTS_AT;

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

#[test]
fn an_opener_may_be_a_millisecond_off_and_200_ppm_of_the_age() {
    let parameters =
        ClockParameters { kind: BY_COUNTER, ticks0: 3_000, ns0: 1_000, mult: 1, os_ns0: AHEAD, time_namespace: 0 };
    let at = |age: u64, off: i64| {
        since(&three_ghz(), &parameters, &pair(3_000 + 3 * age, (AHEAD + age).wrapping_add_signed(off)))
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
    let now = Clock::of_system().now();
    let tsc = Tsc::calibrate().unwrap();
    let (ticks0, ns0, mult) = tsc.parts();
    let parameters = ClockParameters {
        kind: BY_COUNTER,
        ticks0,
        ns0,
        mult,
        os_ns0: ns0 - 5 * SECOND,
        time_namespace: time_namespace(),
    };
    let error = parameters.open(&mapping(), "orders").unwrap_err();
    assert_eq!(error.kind(), ArenaErrorKind::Clock);
    let text = error.message();
    assert!(
        text.contains("passed by its clock and 5.") && text.contains("time namespace") && text.contains("orders"),
        "{text}"
    );
    for wrong in [ClockParameters { kind: 2, ..parameters }, ClockParameters { mult: 0, ..parameters }] {
        assert_eq!(wrong.open(&mapping(), "orders").unwrap_err().kind(), ArenaErrorKind::Clock);
    }
    let elsewhere = ClockParameters { kind: BY_OS, os_ns0: now, time_namespace: 77, ..parameters };
    let error = elsewhere.open(&mapping(), "orders").unwrap_err();
    assert!(error.message().contains("time namespace 77"), "{error}");
}

#[test]
fn the_clock_of_a_new_arena_is_read_by_all() {
    let (mapping, parameters) = (mapping(), ClockParameters::choose());
    let [one, two] = [(); 2].map(|()| parameters.open(&mapping, "orders").unwrap());
    assert!(one.is_same(&two));
    let (before, between, after) = (one.now(), two.now(), one.now());
    assert!(before <= between && between <= after, "{before} {between} {after}");
    assert_eq!(one.ticks().is_some(), parameters.kind == BY_COUNTER);
    if parameters.kind == BY_COUNTER {
        assert!(!one.is_same(&Clock::monotonic()));
        assert_eq!(one.tsc().map(Tsc::parts), two.tsc().map(Tsc::parts));
    }
}
