//! Every interleaving of two or three threads, up to a bound on preemptions. Chunks hold two outcomes here, so that
//! they fill and their slots come round.

use super::*;
use loom::thread;
use std::time::Duration;

const MS: u64 = 1_000_000;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    explore_bounded(4, model);
}

fn explore_bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn breaker(config: BreakerConfig) -> crate::sync::Arc<CircuitBreaker> {
    let clock = crate::ManualClock::new(0);
    crate::sync::Arc::new(CircuitBreaker::with_clock("modelled", config, clock.into()).expect("valid settings"))
}

/// Trips when the last `calls` all failed.
fn all_of(calls: u32) -> BreakerConfig {
    BreakerConfig {
        window: Window::Calls(calls),
        min_calls: calls,
        failure_rate_threshold: 1.0,
        cooldown: Duration::from_millis(1),
        ..BreakerConfig::default()
    }
}

fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.acquire_at(0, 0.0).expect("a permit")
}

fn report(breaker: &CircuitBreaker, outcome: Outcome) {
    breaker.report_at(0, permit(breaker), outcome, None);
}

fn kinds(breaker: &CircuitBreaker) -> Vec<EventKind> {
    breaker.events_since(0).iter().map(|event| event.kind).collect()
}

/// The outcome that completes the threshold may be either one's, in either chunk.
#[test]
fn loom_two_reporters_race_to_the_trip() {
    for before in 0..3 {
        explore(move || {
            let breaker = breaker(all_of(before + 2));
            (0..before).for_each(|_| report(&breaker, Outcome::Failure));
            let (mine, theirs) = (permit(&breaker), permit(&breaker));
            let other = {
                let breaker = breaker.clone();
                thread::spawn(move || breaker.report_at(0, theirs, Outcome::Failure, None))
            };
            breaker.report_at(0, mine, Outcome::Failure, None);
            other.join().unwrap();
            let stats = breaker.stats_at(0);
            assert_eq!((stats.state, stats.opened, stats.calls), (State::Open, 1, 0));
            assert_eq!(kinds(&breaker), [EventKind::Opened]);
        });
    }
}

/// Three at once, over the border between two chunks: the one who claims the next judges for whoever has not come that
/// far.
#[test]
fn loom_three_reporters_race_to_the_trip() {
    explore_bounded(3, || {
        let breaker = breaker(all_of(3));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (breaker, permit) = (breaker.clone(), permit(&breaker));
                thread::spawn(move || breaker.report_at(0, permit, Outcome::Failure, None))
            })
            .collect();
        let mine = permit(&breaker);
        breaker.report_at(0, mine, Outcome::Failure, None);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((breaker.state(), breaker.stats_at(0).opened), (State::Open, 1));
    });
}

/// A window that never reaches the threshold does not trip: a success stands between any two failures but one pair.
#[test]
fn loom_no_trip_below_the_threshold() {
    explore(|| {
        let breaker = breaker(all_of(3));
        report(&breaker, Outcome::Success);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || {
                report(&breaker, Outcome::Failure);
                report(&breaker, Outcome::Success);
            })
        };
        report(&breaker, Outcome::Failure);
        report(&breaker, Outcome::Success);
        other.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// Nothing is lost or counted twice while chunks are claimed and slots come round.
#[test]
fn loom_chunks_roll_over() {
    for before in 5..9 {
        explore(move || {
            let breaker = breaker(all_of(4));
            breaker.metrics_only_at(0);
            (0..before).for_each(|_| report(&breaker, Outcome::Success));
            let other = {
                let breaker = breaker.clone();
                thread::spawn(move || {
                    report(&breaker, Outcome::Failure);
                    report(&breaker, Outcome::Failure);
                })
            };
            report(&breaker, Outcome::Failure);
            other.join().unwrap();
            let stats = breaker.stats_at(0);
            assert_eq!((stats.calls, stats.failed), (4, 3));
        });
    }
}

#[test]
fn loom_slices_roll_over() {
    explore(|| {
        let breaker = breaker(BreakerConfig { window: Window::Duration(Duration::from_millis(10)), ..all_of(100) });
        breaker.metrics_only_at(0);
        report(&breaker, Outcome::Success);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.report_at(MS, permit(&breaker), Outcome::Failure, None))
        };
        report(&breaker, Outcome::Failure);
        other.join().unwrap();
        let stats = breaker.stats_at(MS);
        assert_eq!((stats.calls, stats.failed), (3, 2));
    });
}

/// In a time window as well the trip is never late, though one reporter seals the slice in which the other counts.
#[test]
fn loom_two_reporters_race_to_the_trip_across_slices() {
    explore(|| {
        let breaker = breaker(BreakerConfig { window: Window::Duration(Duration::from_millis(10)), ..all_of(2) });
        let (mine, theirs) = (permit(&breaker), permit(&breaker));
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.report_at(MS, theirs, Outcome::Failure, None))
        };
        breaker.report_at(0, mine, Outcome::Failure, None);
        other.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn loom_a_run_of_failures_is_counted_exactly() {
    explore(|| {
        let breaker = breaker(BreakerConfig { consecutive_failures: Some(2), ..all_of(20) });
        let (mine, theirs) = (permit(&breaker), permit(&breaker));
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.report_at(0, theirs, Outcome::Failure, None))
        };
        breaker.report_at(0, mine, Outcome::Failure, None);
        other.join().unwrap();
        assert_eq!((breaker.state(), breaker.stats_at(0).opened), (State::Open, 1));
    });
}

/// An outcome of the generation before a reset never shows in the one after, nor does it displace that one's.
#[test]
fn loom_reset_races_with_a_report() {
    for before in 0..3 {
        explore(move || {
            let breaker = breaker(BreakerConfig { consecutive_failures: Some(9), ..all_of(4) });
            (0..before).for_each(|_| report(&breaker, Outcome::Success));
            let late = permit(&breaker);
            let other = {
                let breaker = breaker.clone();
                thread::spawn(move || breaker.report_at(0, late, Outcome::Failure, None))
            };
            breaker.reset_at(0);
            report(&breaker, Outcome::Success);
            report(&breaker, Outcome::Success);
            other.join().unwrap();
            let stats = breaker.stats_at(0);
            assert_eq!((stats.state, stats.calls, stats.failed), (State::Closed, 2, 0));
        });
    }
}

/// The report that trips or the switch comes first; the switch always stands in the end.
#[test]
fn loom_a_switch_races_with_the_trip() {
    explore(|| {
        let breaker = breaker(all_of(1));
        let permit = permit(&breaker);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.report_at(0, permit, Outcome::Failure, None))
        };
        breaker.disable_at(0);
        other.join().unwrap();
        assert_eq!(breaker.state(), State::Disabled);
    });
}

#[test]
fn loom_one_slot_is_leased_once() {
    explore(|| {
        let breaker = breaker(all_of(1));
        report(&breaker, Outcome::Failure);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire_at(MS, 0.0).is_ok())
        };
        let mine = breaker.acquire_at(MS, 0.0).is_ok();
        let theirs = other.join().unwrap();
        assert!(mine ^ theirs, "mine {mine}, theirs {theirs}");
        assert_eq!(breaker.state(), State::HalfOpen);
    });
}

/// One who saw an earlier half-open cycle does not take the slot that a later cycle has leased.
#[test]
fn loom_a_late_acquirer_leaves_the_next_cycle_alone() {
    explore_bounded(2, || {
        let breaker = breaker(all_of(1));
        report(&breaker, Outcome::Failure);
        let first = breaker.acquire_at(MS, 0.0).expect("a probe");
        breaker.release_at(MS, first);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || {
                let _ = breaker.acquire_at(MS, 0.0);
            })
        };
        if let Ok(probe) = breaker.acquire_at(MS, 0.0) {
            breaker.report_at(MS, probe, Outcome::Failure, None);
            if let Ok(probe) = breaker.acquire_at(5 * MS, 0.0) {
                breaker.report_at(5 * MS, probe, Outcome::Success, None);
                assert_eq!(breaker.state(), State::Closed);
            }
        }
        other.join().unwrap();
    });
}

/// Whoever comes last concludes, and only one does.
#[test]
fn loom_two_probes_conclude_once() {
    for (outcome, expected) in [(Outcome::Success, State::Closed), (Outcome::Failure, State::Open)] {
        explore(move || {
            let breaker = breaker(BreakerConfig { probes: 2, ..all_of(1) });
            report(&breaker, Outcome::Failure);
            let probes =
                [breaker.acquire_at(MS, 0.0), breaker.acquire_at(MS, 0.0)].map(|probe| probe.expect("a probe"));
            let other = {
                let breaker = breaker.clone();
                thread::spawn(move || breaker.report_at(MS, probes[0], outcome, None))
            };
            breaker.report_at(MS, probes[1], outcome, None);
            other.join().unwrap();
            assert_eq!(breaker.state(), expected);
            let concluded = match expected {
                State::Closed => EventKind::Closed,
                _ => EventKind::Opened,
            };
            let conclusions = kinds(&breaker).into_iter().skip(2).filter(|&kind| kind == concluded).count();
            assert_eq!(conclusions, 1);
        });
    }
}

/// Either the report counts or the slot is reclaimed, never both, and half-open never sticks.
#[test]
fn loom_a_report_races_with_the_timeout() {
    explore(|| {
        let timeout = Duration::from_millis(5);
        let breaker = breaker(BreakerConfig { probe_timeout: timeout, ..all_of(1) });
        report(&breaker, Outcome::Failure);
        let once = breaker.acquire_at(MS, 0.0).expect("a probe");
        // The first loss gives the slot to the next caller.
        let probe = breaker.acquire_at(6 * MS, 0.0).expect("its slot again");
        breaker.report_at(6 * MS, once, Outcome::Failure, None);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.report_at(11 * MS, probe, Outcome::Success, None))
        };
        let answer = breaker.acquire_at(11 * MS, 0.0);
        other.join().unwrap();
        let lost = kinds(&breaker).iter().filter(|&&kind| kind == EventKind::ProbeLost).count() == 2;
        let expected = if lost { State::Open } else { State::Closed };
        assert_eq!(breaker.state(), expected);
        assert_eq!(answer.is_ok(), !lost, "{answer:?}");
    });
}

/// A slot given back and taken at once by another: two leases of one slot never stand together.
#[test]
fn loom_a_release_races_with_an_acquire() {
    explore(|| {
        let breaker = breaker(all_of(1));
        report(&breaker, Outcome::Failure);
        let probe = breaker.acquire_at(MS, 0.0).expect("a probe");
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.release_at(MS, probe))
        };
        let mine = breaker.acquire_at(MS, 0.0);
        other.join().unwrap();
        // The old permit says nothing any more; mine, if I got one, decides.
        breaker.report_at(MS, probe, Outcome::Failure, None);
        assert_eq!(breaker.state(), State::HalfOpen);
        let mine = mine.or_else(|_| breaker.acquire_at(MS, 0.0)).expect("the slot is free again");
        breaker.report_at(MS, mine, Outcome::Success, None);
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// Two writers and a reader: each entry is seen whole, in order, and none is missing in the end.
#[test]
fn loom_events_leave_no_holes() {
    explore(|| {
        let ring = crate::sync::Arc::new(events::EventRing::blank());
        ring.push(EventKind::Closed, 0);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || {
                ring.push(EventKind::Opened, 1);
                ring.push(EventKind::HalfOpened, 2);
            })
        };
        ring.push(EventKind::Disabled, 3);
        let seen = ring.since(0, |ms| ms);
        assert!(seen.iter().enumerate().all(|(index, event)| event.seq == index as u64), "{seen:?}");
        assert!(seen.len() >= 2, "one's own entry is there: {seen:?}");
        other.join().unwrap();
        let mut times: Vec<_> = ring.since(0, |ms| ms).iter().map(|event| event.at_ns).collect();
        times.sort_unstable();
        assert_eq!(times, [0, 1, 2, 3]);
    });
}

/// One slot more than may be under way: two who ask at once never both get one, and one of them does.
#[test]
fn loom_no_more_probes_than_at_once() {
    explore_bounded(3, || {
        let breaker = breaker(BreakerConfig { probes: 2, probes_at_once: Some(1), ..all_of(1) });
        report(&breaker, Outcome::Failure);
        let first = breaker.acquire_at(MS, 0.0).expect("a probe");
        breaker.release_at(MS, first);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire_at(MS, 0.0).is_ok())
        };
        let mine = breaker.acquire_at(MS, 0.0).is_ok();
        let theirs = other.join().unwrap();
        assert!(mine ^ theirs, "mine {mine}, theirs {theirs}");
    });
}

/// Closed at 2 ms, in a ramp that ends at 3.
fn ramping() -> crate::sync::Arc<CircuitBreaker> {
    let breaker = breaker(BreakerConfig { ramp: Some(Duration::from_millis(1)), ..all_of(2) });
    report(&breaker, Outcome::Failure);
    report(&breaker, Outcome::Failure);
    let probe = breaker.acquire_at(2 * MS, 0.0).expect("a probe");
    breaker.report_at(2 * MS, probe, Outcome::Success, None);
    breaker
}

/// The ramp's end is no reason for an outcome to be lost, nor for a trip.
#[test]
fn loom_the_ramp_ends_while_a_report_trips() {
    explore(|| {
        let breaker = ramping();
        let permits =
            [breaker.acquire_at(2 * MS, 0.0), breaker.acquire_at(2 * MS, 0.0)].map(|permit| permit.expect("low"));
        breaker.report_at(2 * MS, permits[0], Outcome::Failure, None);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire_at(3 * MS, 0.99).is_ok())
        };
        breaker.report_at(3 * MS, permits[1], Outcome::Failure, None);
        // Passed by the whole circuit, or refused by the open one.
        other.join().unwrap();
        assert_eq!((breaker.state(), breaker.stats_at(3 * MS).opened), (State::Open, 2));
    });
}

/// Whoever ends it, it ends once.
#[test]
fn loom_a_ramp_ends_once() {
    explore(|| {
        let breaker = ramping();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire_at(3 * MS, 0.99).is_ok())
        };
        let mine = breaker.acquire_at(3 * MS, 0.99).is_ok();
        assert!(mine && other.join().unwrap());
        let ended = breaker.events_since(0).iter().filter(|event| event.kind == EventKind::RampEnded).count();
        assert_eq!(ended, 1);
    });
}

fn change(breaker: &CircuitBreaker, calls: u32) {
    breaker.set_config_at(0, &all_of(calls)).expect("room");
}

/// A report that races with a change goes by the settings before or by those after, in a full chunk and in one that is
/// not; nothing is lost, and the first failure after it judges by those after.
#[test]
fn loom_a_change_of_settings_races_with_a_report() {
    for (before, after) in [(2, 3), (3, 2), (1, 3)] {
        explore_bounded(3, move || {
            let breaker = breaker(all_of(before));
            (1..before.min(2)).for_each(|_| report(&breaker, Outcome::Failure));
            let mine = permit(&breaker);
            let other = {
                let breaker = breaker.clone();
                thread::spawn(move || change(&breaker, after))
            };
            breaker.report_at(0, mine, Outcome::Failure, None);
            let stats = breaker.stats_at(0);
            let (open, calls) = (stats.state == State::Open, before.min(2));
            // What neither settings say does not happen; what both say does.
            assert!(open || stats.calls == calls.min(breaker.config().min_calls), "{stats:?}");
            other.join().unwrap();
            assert_eq!(breaker.config(), all_of(after));
            if !open {
                (calls..after).for_each(|_| report(&breaker, Outcome::Failure));
            }
            if !open && calls >= after {
                report(&breaker, Outcome::Failure);
            }
            assert_eq!((breaker.state(), breaker.stats_at(0).opened), (State::Open, 1));
            assert_eq!(kinds(&breaker).iter().filter(|&&kind| kind == EventKind::Configured).count(), 1);
        });
    }
}

/// Who claims the next chunk judges nobody by settings that were not theirs: a failure that did not trip when it was
/// reported does not trip later, for calls that are well.
#[test]
fn loom_a_change_of_settings_is_not_for_calls_before_it() {
    explore_bounded(3, || {
        let breaker = breaker(all_of(3));
        report(&breaker, Outcome::Failure);
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || change(&breaker, 1))
        };
        // Fills the chunk, and claims the next: by either settings calls that are well trip nothing.
        report(&breaker, Outcome::Success);
        report(&breaker, Outcome::Success);
        other.join().unwrap();
        report(&breaker, Outcome::Success);
        assert_eq!((breaker.state(), breaker.stats_at(0).calls), (State::Closed, 1));
    });
}

/// Two who change at once: one comes last, whole.
#[test]
fn loom_changes_take_turns() {
    explore_bounded(3, || {
        let breaker = breaker(all_of(1));
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || change(&breaker, 2))
        };
        change(&breaker, 3);
        other.join().unwrap();
        assert!([all_of(2), all_of(3)].contains(&breaker.config()));
        assert_eq!(kinds(&breaker), [EventKind::Configured; 2]);
    });
}
