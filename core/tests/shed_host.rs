//! A load shedder in forked children, and of several processes that are killed at any instruction.
//!
//! Some hundred kills; `TIDEGATE_CRASH_KILLS=1000` for more.
#![cfg(target_os = "linux")]

mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, ends_well, kill, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::Place;
use tidegate::limit::Mode;
use tidegate::shed::{Priority, ShedderConfig, Signal, SignalKind};
use tidegate::{Arena, Clock, LoadShedder, ManualClock, OnConflict};

const EACH: Duration = Duration::from_millis(10);
const WORKERS: usize = 3;

fn gauge() -> Signal {
    Signal::new(SignalKind::Gauge).range(0.0, 1.0)
}

fn config(signals: Vec<Signal>) -> ShedderConfig {
    ShedderConfig {
        mode: Mode::Enforce,
        interval: EACH,
        cool_off: Duration::ZERO,
        rise: 0.5,
        fall: 0.5,
        ..ShedderConfig::new(signals)
    }
}

fn host(place: &Place) -> LoadShedder {
    let arena = Arena::open(&place.options("api")).expect("an arena");
    let signals = vec![gauge(), Signal::new(SignalKind::Cpu)];
    LoadShedder::in_arena(&arena, "api", config(signals), OnConflict::Error).expect("a shedder")
}

/// Tells of full pressure; whether the last level is refused by now.
fn refuses(shedder: &LoadShedder) -> bool {
    shedder.tell("gauge", 5.0).expect("a gauge");
    Priority::ALL.iter().for_each(|priority| _ = shedder.admit(*priority, 64));
    // One in a hundred passes, and not this draw.
    !shedder.check_at(shedder.clock().now(), Priority::Sheddable, 127, 0.999).allowed
}

fn admits(shedder: &LoadShedder) -> bool {
    shedder.tell("gauge", 0.0).expect("a gauge");
    shedder.sample();
    shedder.check_at(shedder.clock().now(), Priority::Sheddable, 127, 0.999).allowed
}

#[test]
fn a_child_obeys_its_parents_threshold_and_tells_it_of_its_own_load() {
    let place = Place::new();
    let shedder = host(&place);
    until("it sheds", || refuses(&shedder));
    ends_well(child(|| {
        until("the parent's threshold holds", || refuses(&shedder));
        until("and falls", || admits(&shedder));
        true
    }));
    let presses = child(|| {
        let start = Instant::now();
        while start.elapsed() < GENEROUS {
            refuses(&shedder);
            std::thread::sleep(EACH / 4);
        }
        true
    });
    // The largest of all counts, and this process has told nothing.
    until("the child's load", || {
        shedder.sample();
        shedder.pressure() >= 1.0
    });
    kill(presses);
    until("one that is dead has no load", || admits(&shedder));
}

#[test]
fn a_child_of_fork_has_its_own_copy_and_no_signal_at_work() {
    let clock = ManualClock::new(0);
    let (blocks, entered) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let parent = std::process::id();
    let signal = {
        let (blocks, entered) = (blocks.clone(), entered.clone());
        Signal::gauge("slow", 0.0, 1.0, move || {
            while std::process::id() == parent && blocks.load(Relaxed) {
                entered.store(true, Relaxed);
                std::thread::sleep(Duration::from_micros(100));
            }
            0.25
        })
    };
    let signals = vec![signal, gauge().named("told")];
    let shedder = LoadShedder::with_clock(config(signals), Clock::from(&clock)).expect("a shedder");
    let go = |intervals: u32| {
        for _ in 0..intervals * 4 {
            shedder.admit(Priority::Normal, 3);
            clock.advance(EACH / 4);
        }
    };
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| shedder.admit(Priority::High, 0));
        until("the function is at work", || entered.load(Relaxed));
        for _ in 0..20 {
            ends_well(child(|| {
                go(8);
                // The function that was at work in the parent is nobody's here.
                let own = shedder.pressure() == 0.25 && !shedder.explain().iter().any(|line| line.contains("at work"));
                shedder.tell("told", 1.0).expect("told");
                go(2);
                own && shedder.pressure() == 1.0
            }));
        }
        go(3);
        assert!(shedder.explain().iter().any(|line| line.contains("slow: off") && line.contains("at work")));
        assert_eq!(shedder.pressure(), 0.0, "what a child was told is the child's");
        blocks.store(false, Relaxed);
        assert!(stuck.join().expect("it goes on"));
    });
}

/// Everything that a process does, for as long as it lives.
fn worker(shedder: &LoadShedder, seed: u64) -> libc::pid_t {
    child(|| {
        let (mut random, start) = (fastrand::Rng::with_seed(seed), Instant::now());
        while start.elapsed() < GENEROUS {
            shedder.tell("gauge", random.f64() * 2.0).expect("a gauge");
            for _ in 0..random.u8(..30) {
                shedder.admit(Priority::ALL[random.usize(..4)], random.u8(..128));
            }
            match random.u8(..8) {
                0 => shedder.sample(),
                1 => drop(shedder.explain()),
                2 => std::thread::sleep(Duration::from_micros(random.u64(..500))),
                _ => {}
            }
        }
        true
    })
}

#[test]
fn killed_processes_leave_a_threshold_that_moves() {
    let kills = std::env::var("TIDEGATE_CRASH_KILLS").map_or(200, |text| text.parse().expect("a number"));
    let place = Place::new();
    let shedder = host(&place);
    let mut random = fastrand::Rng::with_seed(11);
    let mut workers: Vec<_> = (0..WORKERS as u64).map(|seed| worker(&shedder, seed)).collect();
    let (mut asked, mut counted) = (0, 0);
    for number in 0..kills {
        std::thread::sleep(Duration::from_micros(random.u64(..4_000)));
        let index = random.usize(..WORKERS);
        kill(workers[index]);
        for _ in 0..10 {
            shedder.admit(Priority::ALL[random.usize(..4)], random.u8(..128));
        }
        asked += 10;
        let stats = shedder.stats();
        assert!((0.0..=1.0).contains(&stats.pressure) && (0.0..=1.0).contains(&stats.shed_share), "{stats:?}");
        let decided = stats.admitted + stats.shed.iter().sum::<u64>();
        assert!(decided >= counted && decided >= asked, "no count goes back: {decided} after {counted}");
        counted = decided;
        if number % 50 == 49 {
            until("the threshold rises", || refuses(&shedder));
        }
        workers[index] = worker(&shedder, number);
    }
    workers.into_iter().for_each(kill);
    until("the threshold rises after all deaths", || refuses(&shedder));
    until("and falls, for the dead have no load", || admits(&shedder));
    // One who was killed with the turn costs one reading: with nobody else it goes on at once.
    let start = Instant::now();
    until("it rises again", || refuses(&shedder));
    assert!(start.elapsed() < GENEROUS / 10, "{:?}", start.elapsed());
}
