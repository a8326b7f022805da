//! Many threads on one budget and one throttle, at injected times: nothing is lost, minted or passed twice.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;
use tidegate::limit::Mode;
use tidegate::{ClientThrottle, ClientThrottleConfig, ManualClock, RetryBudget, RetryBudgetConfig};

const THREADS: u64 = 8;
const S: u64 = 1_000_000_000;

fn on_all_threads<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS as usize);
    let (work, start) = (&work, &start);
    thread::scope(|scope| {
        let run = |thread| {
            start.wait();
            work(thread)
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

fn budget(ratio: f64, min_per_second: f64) -> RetryBudget {
    let ttl = Duration::from_secs(100);
    let config = RetryBudgetConfig { ratio, min_per_second, ttl, mode: Mode::Enforce };
    RetryBudget::with_clock(config, ManualClock::new(0).into()).expect("sound")
}

#[test]
fn racing_withdrawals_take_each_retry_once() {
    let budget = budget(0.2, 10.0);
    let mut expected = 1_000;
    for round in 0..20 {
        let now = round * S;
        let taken: usize =
            on_all_threads(|_| (0..500).filter(|_| budget.try_withdraw_at(now)).count()).into_iter().sum();
        assert_eq!(taken, expected, "round {round}");
        expected = 10;
    }
    assert_eq!(budget.stats_at(0).withdrawn, 1_000 + 19 * 10);
}

#[test]
fn payments_race_with_withdrawals_and_none_is_lost() {
    const CALLS: u64 = 4_000;
    let budget = budget(0.25, 1.0);
    // From empty, and nowhere near full again: every payment counts.
    assert_eq!((0..1_000).filter(|_| budget.try_withdraw_at(0)).count(), 100);
    let taken: u64 = on_all_threads(|thread| {
        let mut taken = 0;
        for call in 0..CALLS / THREADS * 2 {
            if (call + thread) % 2 == 0 {
                budget.deposit_at(0);
            }
            // More tries than payments.
            taken += u64::from(budget.try_withdraw_at(0)) + u64::from(budget.try_withdraw_at(0));
        }
        taken
    })
    .into_iter()
    .sum();
    let left = (0..1_000).filter(|_| budget.try_withdraw_at(0)).count() as u64;
    assert_eq!(taken + left, CALLS / 4);
    assert_eq!(budget.stats_at(0).deposited, CALLS);
}

#[test]
fn a_throttle_counts_every_call_and_forces_one_a_second() {
    let config = ClientThrottleConfig { min_calls: 1, mode: Mode::Enforce, ..ClientThrottleConfig::default() };
    let throttle = ClientThrottle::with_clock(config, ManualClock::new(0).into()).expect("sound");
    for second in 0..6 {
        let now = second * S;
        on_all_threads(|_| (0..500).for_each(|_| throttle.report_at(now, false)));
        let passed: usize =
            on_all_threads(|_| (0..500).filter(|_| throttle.try_acquire_at(now, 0.0)).count()).into_iter().sum();
        assert_eq!(passed, 1, "second {second}");
    }
    let (stats, calls) = (throttle.stats_at(5 * S), 6 * THREADS * 500);
    assert_eq!((stats.refused, stats.forced, stats.rejected), (calls, 6, calls - 6));
    assert_eq!(stats.window_requests, 2 * calls - 6);
}
