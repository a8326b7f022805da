//! The load shedder: who samples, functions that fail, and what is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tidegate::limit::Mode;
use tidegate::shed::{LEVELS, Priority, ShedderConfig, Signal, SignalKind};
use tidegate::{Arena, BoundedQueue, Clock, ConcurrencyLimiter, LoadShedder, ManualClock, OnConflict, QueueConfig};

const EACH: Duration = Duration::from_millis(250);

fn config(signals: Vec<Signal>) -> ShedderConfig {
    ShedderConfig { mode: Mode::Enforce, ..ShedderConfig::new(signals) }
}

fn shedder(signals: Vec<Signal>) -> (LoadShedder, ManualClock) {
    let clock = ManualClock::new(1_000_000_000);
    (LoadShedder::with_clock(config(signals), Clock::from(&clock)).expect("a shedder"), clock)
}

/// Intervals in which somebody asks, at one level of each class.
fn intervals(shedder: &LoadShedder, clock: &ManualClock, count: u32) {
    for _ in 0..count {
        for _ in 0..8 {
            Priority::ALL.iter().for_each(|priority| _ = shedder.admit(*priority, 64));
            clock.advance(EACH / 8);
        }
    }
}

#[test]
fn a_database_bound_server_sheds_while_its_cpu_is_idle() {
    let limiter = Arc::new(ConcurrencyLimiter::new(10).expect("a limiter"));
    let (shedder, clock) = shedder(vec![Signal::new(SignalKind::Cpu), Signal::in_flight(limiter.clone())]);
    intervals(&shedder, &clock, 8);
    assert_eq!((shedder.pressure(), shedder.stats().shed), (0.0, [0; 4]));
    let held: Vec<_> = (0..10).map_while(|_| limiter.try_acquire()).collect();
    intervals(&shedder, &clock, 40);
    let shed = shedder.check(Priority::Sheddable, 127);
    assert_eq!((shed.signal, shed.pressure), (Some("in_flight"), 1.0));
    let [critical, high, normal, sheddable] = shedder.stats().shed;
    assert!(sheddable > normal && normal > 0 && high <= normal && critical <= high, "{:?}", shedder.stats());
    held.into_iter().for_each(|permit| assert!(limiter.release(permit)));
    intervals(&shedder, &clock, 80);
    assert_eq!(shedder.pressure(), 0.0);
    assert!(shedder.admit_at(clock.now(), Priority::Sheddable, 127, 0.999), "{:#?}", shedder.explain());
}

#[test]
fn a_queue_and_its_delay() {
    let queue = Arc::new(BoundedQueue::new(QueueConfig::new(10)).expect("a queue"));
    let (shedder, clock) = shedder(vec![Signal::queue_fill(queue.clone()), Signal::new(SignalKind::QueueDelay)]);
    intervals(&shedder, &clock, 3);
    (0..7).for_each(|n| assert!(queue.try_push(n).is_ok()));
    intervals(&shedder, &clock, 3);
    assert!((shedder.pressure() - 2.0 / 3.0).abs() < 1e-5, "{:#?}", shedder.explain());
    // The least of an interval: one item that came through at once says that there is no queue.
    drop(queue.drain());
    for waited in [0.5, 0.001, 0.4] {
        shedder.tell("queue_delay", waited).expect("told");
    }
    intervals(&shedder, &clock, 3);
    assert_eq!(shedder.pressure(), 0.0);
    for _ in 0..4 {
        [0.5, 0.02, 0.4].iter().for_each(|waited| shedder.tell("queue_delay", *waited).expect("told"));
        intervals(&shedder, &clock, 1);
    }
    assert_eq!(shedder.check(Priority::High, 0).signal, Some("queue_delay"));
}

#[test]
fn functions_that_fail_are_off_and_hold_nobody_up() {
    let number = Arc::new(AtomicU64::new(0));
    let read = number.clone();
    let (shedder, clock) = shedder(vec![
        Signal::gauge("nan", 0.0, 1.0, || f64::NAN),
        Signal::gauge("panics", 0.0, 1.0, || panic!("as asked")),
        Signal::gauge("fine", 0.0, 10.0, move || read.load(Ordering::Relaxed) as f64),
    ]);
    number.store(5, Ordering::Relaxed);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    intervals(&shedder, &clock, 4);
    std::panic::set_hook(hook);
    assert_eq!(shedder.pressure(), 0.5);
    let off: Vec<_> = shedder.signals().into_iter().map(|it| it.off).collect();
    assert_eq!(off, [Some("its function gave no number".to_owned()), Some("its function panicked".to_owned()), None]);
    assert!(shedder.explain().iter().any(|line| line == "panics: off, its function panicked"));
}

/// A call that came when something was to be read read it, and the threshold stood still for ever.
#[test]
fn calls_rarer_than_the_interval_move_the_threshold_too() {
    let (shedder, clock) = shedder(vec![Signal::gauge("full", 0.0, 1.0, || 2.0)]);
    for _ in 0..100 {
        shedder.admit(Priority::Sheddable, 127);
        clock.advance(EACH * 3 / 2);
    }
    assert_eq!(shedder.pressure(), 1.0, "{:#?}", shedder.explain());
    assert!(!shedder.admit_at(clock.now(), Priority::Sheddable, 127, 0.999));
}

#[test]
fn numbers_beyond_the_range_are_its_ends() {
    for (value, pressure) in [(f64::INFINITY, 1.0), (1e308, 1.0), (-5.0, 0.0), (f64::NEG_INFINITY, 0.0), (0.5, 0.5)] {
        let (shedder, clock) = shedder(vec![Signal::gauge("odd", 0.0, 1.0, move || value)]);
        intervals(&shedder, &clock, 4);
        assert_eq!(shedder.pressure(), pressure, "{value}");
    }
}

#[test]
fn a_function_that_blocks_holds_up_the_one_who_called_it() {
    let (enter, entered) = mpsc::sync_channel(1);
    let (leave, left) = mpsc::sync_channel::<()>(0);
    let left = std::sync::Mutex::new(left);
    let (shedder, clock) = shedder(vec![
        Signal::gauge("blocks", 0.0, 1.0, move || {
            enter.send(()).expect("somebody waits");
            let _ = left.lock().expect("once at a time").recv();
            1.0
        }),
        Signal::new(SignalKind::Gauge).named("told").range(0.0, 1.0),
    ]);
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| shedder.admit(Priority::High, 0));
        entered.recv().expect("it blocks");
        for _ in 0..3 {
            shedder.tell("told", 0.25).expect("told");
            intervals(&shedder, &clock, 1);
        }
        assert_eq!(shedder.pressure(), 0.25);
        assert!(shedder.explain().iter().any(|line| line.contains("blocks: off") && line.contains("still at work")));
        drop(leave);
        assert!(stuck.join().expect("it goes on"));
    });
}

#[test]
fn what_cannot_be_told_says_why() {
    let (shedder, clock) = shedder(vec![
        Signal::new(SignalKind::Cpu),
        Signal::gauge("own", 0.0, 1.0, || 0.0),
        Signal::new(SignalKind::InFlight),
    ]);
    let said = |name: &str| shedder.tell(name, 1.0).expect_err("wrong").to_string();
    assert!(said("cpu").contains("read by the shedder itself") && said("own").contains("itself"));
    assert_eq!(said("other"), "signal: \"other\" is none of this shedder's: \"cpu\", \"own\", \"in_flight\"");
    shedder.tell("in_flight", f64::NAN).expect("no number is no value");
    intervals(&shedder, &clock, 2);
    assert_eq!(shedder.signals()[2].off.as_deref(), Some("it was told what is no number"));
    shedder.tell("in_flight", f64::INFINITY).expect("told");
    intervals(&shedder, &clock, 2);
    assert_eq!(shedder.pressure(), 1.0);
}

#[test]
fn a_loop_that_comes_late() {
    let (shedder, clock) = shedder(vec![Signal::new(SignalKind::LoopLag)]);
    assert_eq!(shedder.loop_lag(), None);
    let tick = |late: u64| shedder.tell_lag(Duration::from_millis(late), Duration::from_millis(20));
    for _ in 0..4 {
        (0..12).for_each(|_| tick(1));
        intervals(&shedder, &clock, 1);
    }
    assert_eq!(shedder.pressure(), 0.0);
    tick(250);
    intervals(&shedder, &clock, 2);
    assert_eq!(shedder.check(Priority::Normal, 0).signal, Some("loop_lag"));
    assert_eq!((shedder.pressure(), shedder.loop_lag().map(|lag| lag.max_ns)), (1.0, Some(250_000_000)));
    // Nobody ticks any more: it says nothing.
    intervals(&shedder, &clock, 100);
    assert_eq!((shedder.pressure(), shedder.loop_lag()), (0.0, None));
}

#[test]
fn levels_are_even_keyed_and_change_by_the_hour() {
    let of_key = |key: &str| {
        let config = ShedderConfig { level_key: key.to_owned(), ..config(vec![Signal::new(SignalKind::LoopLag)]) };
        LoadShedder::new(config).expect("a shedder")
    };
    let (one, same, other) = (of_key("k"), of_key("k"), of_key("other"));
    let users: Vec<_> = (0..12_800).map(|n| format!("user {n}")).collect();
    let level = |shedder: &LoadShedder, user: &str, hour: u64| shedder.level_of_at(user.as_bytes(), hour * 3600 + 7);
    let mut counts = [0; LEVELS as usize];
    users.iter().for_each(|user| counts[level(&one, user, 5) as usize] += 1);
    assert!(counts.iter().all(|count| (50..160).contains(count)), "{counts:?}");
    assert!(users.iter().all(|user| level(&one, user, 5) == level(&same, user, 5)));
    let differing = |f: &dyn Fn(&str) -> bool| users.iter().filter(|user| f(user)).count();
    assert!(differing(&|user| level(&one, user, 5) != level(&other, user, 5)) > 12_500);
    assert!(differing(&|user| level(&one, user, 5) != level(&one, user, 6)) > 12_500);
    assert_eq!(one.level_of_at(b"u", 3599), one.level_of_at(b"u", 0));
    // The same in every build and language: who calls another service finds the same fate there.
    assert_eq!(["", "a", "user 7"].map(|user| of_key("").level_of_at(user.as_bytes(), 1_700_000_000)), LEVELS_OF);
}

/// Of the key "" at 1,700,000,000 s; the bindings' tests have the same numbers.
const LEVELS_OF: [u8; 3] = [90, 88, 69];

#[test]
fn calls_that_do_not_look_at_the_clock_are_counted() {
    let clock = ManualClock::new(0);
    let shedder = LoadShedder::with_clock(config(vec![Signal::new(SignalKind::LoopLag)]), Clock::from(&clock));
    let shedder = shedder.expect("a shedder");
    // So many in an interval that only each 64th looks.
    for _ in 0..10 {
        (0..100_000).for_each(|_| assert!(shedder.admit(Priority::Normal, 5)));
        clock.advance(EACH);
    }
    assert_eq!(shedder.stats().admitted, 1_000_000);
}

#[test]
fn signals_of_all_who_share_it() {
    let clock = ManualClock::new(0);
    let arena = Arena::private("shed", 1 << 20, Clock::from(&clock)).expect("an arena");
    let signals = || vec![Signal::new(SignalKind::Gauge).range(0.0, 1.0), Signal::new(SignalKind::LoopLag)];
    let open = |config: ShedderConfig, how| LoadShedder::in_arena(&arena, "api", config, how);
    let [one, two] = [(); 2].map(|()| open(config(signals()), OnConflict::Error).expect("a shedder"));
    for _ in 0..20 {
        one.tell("gauge", 0.2).expect("told");
        two.tell("gauge", 1.5).expect("told");
        intervals(&one, &clock, 1);
    }
    assert_eq!((one.pressure(), two.pressure()), (1.0, 1.0), "the largest counts");
    assert!(!two.admit_at(clock.now(), Priority::Sheddable, 64, 0.5), "what one has stepped, both obey");
    let other = config(vec![Signal::new(SignalKind::LoopLag)]);
    assert!(open(other, OnConflict::Apply).expect_err("another shape").to_string().contains("signals"));
    let slower = ShedderConfig { rise: 0.5, ..config(signals()) };
    assert!(open(slower.clone(), OnConflict::Error).is_err());
    assert_eq!(open(slower.clone(), OnConflict::Keep).expect("kept").config().rise, 0.05);
    assert_eq!(open(slower, OnConflict::Apply).expect("changed").config().rise, 0.5);
    assert_eq!(open(config(signals()), OnConflict::Keep).expect("kept").config().rise, 0.5);
}
