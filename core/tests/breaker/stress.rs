//! Real threads. What each thread may rely on is checked afterwards, never by time.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::scope;

const THREADS: u32 = 4;

/// However failures interleave, exactly the threshold's number of them is let through: the rest come late.
#[test]
fn the_trip_is_never_late() {
    for round in 0..300 {
        // All fail: the window trips at exactly `min_calls` outcomes, so nobody gets a permit once they are all
        // counted.
        let config = BreakerConfig { min_calls: 40, ..last(64) };
        let (breaker, _) = breaker(config);
        let reported = AtomicU32::new(0);
        scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    while let Ok(permit) = breaker.acquire() {
                        report(&breaker, permit, 'f');
                        reported.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let reported = reported.load(Ordering::Relaxed);
        assert_eq!(breaker.stats().opened, 1, "round {round}");
        // Each other thread may have one call under way when the trip comes.
        assert!((40..40 + THREADS).contains(&reported), "round {round}: {reported}");
    }
}

/// One failure below the threshold never trips, however the calls interleave.
#[test]
fn never_trips_below_the_threshold() {
    let config = BreakerConfig { failure_rate_threshold: 0.5, min_calls: 64, ..last(64) };
    let (breaker, _) = breaker(config);
    // Each thread reports s, s, f in turn: any 64 in a row hold at most (64 + 2 * THREADS) / 3 + THREADS failures.
    scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                for _ in 0..20_000 {
                    run(&breaker, "ssf");
                }
            });
        }
    });
    let stats = breaker.stats();
    assert_eq!((stats.state, stats.calls, stats.opened), (State::Closed, 64, 0));
}

/// Every outcome is counted once: nothing is lost while chunks roll over.
#[test]
fn counts_every_outcome_once() {
    for window in [Window::Calls(65_536), Window::Duration(Duration::from_secs(60))] {
        let config = BreakerConfig { window, slow_call_duration: Some(ms(1)), ..BreakerConfig::default() };
        let (breaker, _) = breaker(config);
        breaker.metrics_only();
        scope(|threads| {
            for thread in 0..THREADS {
                let breaker = &breaker;
                threads.spawn(move || {
                    for step in 0..16_000 / u64::from(THREADS) {
                        let outcome = if thread % 2 == 0 { Outcome::Failure } else { Outcome::Success };
                        breaker.report(permit(breaker), outcome, Some(ms(step % 2)));
                    }
                });
            }
        });
        let stats = breaker.stats();
        assert_eq!((stats.calls, stats.failed, stats.slow), (16_000, 8_000, 8_000));
    }
}

/// In a time window as well, while slices come and go.
#[test]
fn a_moving_time_window_loses_nothing() {
    let window = Window::Duration(Duration::from_secs(10));
    let (breaker, clock) = breaker(BreakerConfig { window, ..BreakerConfig::default() });
    breaker.metrics_only();
    scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                for step in 0..4_000 {
                    run(&breaker, "sf");
                    if step % 2_000 == 0 {
                        clock.advance(ms(1_000));
                    }
                }
            });
        }
    });
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed), (THREADS * 8_000, THREADS * 4_000), "eight slices of ten");
}

/// Probes are capped, and every cycle ends in a state from which the next one starts, whatever becomes of the probes.
#[test]
fn half_open_neither_leaks_probes_nor_sticks() {
    let config = BreakerConfig { min_calls: 2, probes: 3, cooldown: ms(1), probe_timeout: ms(50), ..last(4) };
    let (breaker, clock) = breaker(config);
    let at_once = AtomicU32::new(0);
    scope(|threads| {
        for thread in 0..THREADS as usize {
            let (breaker, clock, at_once) = (&breaker, &clock, &at_once);
            threads.spawn(move || {
                let letters: Vec<char> = "fsrifsfffssssi".chars().collect();
                for step in 0..20_000 {
                    clock.advance(Duration::from_micros(50));
                    let Ok(permit) = breaker.acquire() else { continue };
                    if breaker.state() == State::HalfOpen {
                        at_once.fetch_max(1, Ordering::Relaxed);
                    }
                    // Every 13th permit is forgotten.
                    if step % 13 != 0 {
                        report(breaker, permit, letters[(step + thread) % letters.len()]);
                    }
                }
            });
        }
    });
    assert_eq!(at_once.load(Ordering::Relaxed), 1, "the run saw half-open states");
    let stats = breaker.stats();
    assert!(stats.opened > 10, "it went round: {stats:?}");
    // From wherever it stands it finds its way back: lost probes are reclaimed, good ones close it.
    for _ in 0..100 {
        if breaker.state() == State::Closed {
            return;
        }
        clock.advance(ms(100));
        if let Ok(permit) = breaker.acquire() {
            report(&breaker, permit, 's');
        }
    }
    panic!("stuck: {:?}", breaker.stats());
}

/// Switches, resets and reports at once: no outcome of an earlier generation shows up in a later one.
#[test]
fn resets_race_with_reports() {
    let (breaker, _) = breaker(BreakerConfig { min_calls: 20, consecutive_failures: Some(1_000), ..last(40) });
    scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for _ in 0..30_000 {
                    if let Ok(permit) = breaker.acquire() {
                        report(&breaker, permit, 'f');
                    }
                }
            });
        }
        threads.spawn(|| {
            for _ in 0..10_000 {
                breaker.reset();
                // The window of a generation is never larger than what was reported since the reset.
                assert!(breaker.stats().calls <= 40);
            }
        });
    });
    breaker.reset();
    assert_eq!(breaker.stats().calls, 0);
    run(&breaker, &"f".repeat(19));
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open);
}

/// Each event is seen once and in the order of its number.
#[test]
fn events_keep_their_order_under_races() {
    let (breaker, _) = breaker(last(20));
    let (mut seen, mut next) = (0, 0);
    scope(|threads| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                threads.spawn(|| {
                    for _ in 0..5_000 {
                        breaker.force_open();
                        breaker.disable();
                    }
                })
            })
            .collect();
        loop {
            let finished = writers.iter().all(|writer| writer.is_finished());
            for event in breaker.events_since(next) {
                assert!(event.seq >= next, "{event:?} after {next}");
                next = event.seq + 1;
                seen += 1;
            }
            if finished {
                break;
            }
        }
    });
    let last = breaker.events_since(0);
    assert_eq!(last.len(), 64, "a full ring");
    assert!(last.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "without holes");
    assert!(seen >= 64 && next == last[63].seq + 1, "{seen} seen, the next is {next}");
}
