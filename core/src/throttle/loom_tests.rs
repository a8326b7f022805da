//! Every interleaving of a few threads on one throttle.

use super::*;
use crate::ManualClock;
use loom::sync::Arc;
use loom::thread;
use std::time::Duration;

const S: u64 = 1_000_000_000;

fn explore(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

fn throttle() -> Arc<ClientThrottle> {
    let config = ClientThrottleConfig {
        window: Duration::from_secs(10),
        min_calls: 1,
        mode: Mode::Enforce,
        ..ClientThrottleConfig::default()
    };
    Arc::new(ClientThrottle::with_clock(config, ManualClock::new(0).into()).unwrap())
}

#[test]
fn loom_no_count_is_lost_where_a_slice_takes_anothers_place() {
    explore(|| {
        let throttle = throttle();
        // Sixteen slices before: the same cell.
        throttle.report_at(0, true);
        let others = [true, false].map(|accepted| {
            let throttle = throttle.clone();
            thread::spawn(move || throttle.report_at(16 * S, accepted))
        });
        throttle.report_at(16 * S, false);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(throttle.window.sum(16 * S), Tally { requests: 3, accepts: 1 });
    });
}

#[test]
fn loom_one_is_forced_through() {
    explore(|| {
        let throttle = throttle();
        throttle.report_at(0, false);
        let other = {
            let throttle = throttle.clone();
            thread::spawn(move || u32::from(throttle.try_acquire_at(0, 0.0)))
        };
        let here = u32::from(throttle.try_acquire_at(0, 0.0));
        assert_eq!(here + other.join().unwrap(), 1);
        // The other one was counted as a request.
        assert_eq!(throttle.window.sum(0), Tally { requests: 2, accepts: 0 });
    });
}
