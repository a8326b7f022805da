//! The situations of the table: 8 workers of 20 ms unless it says otherwise, calls of 500 ms at most.

use crate::server::{Guard, Report, Scenario, run};

/// A share of what is possible, in percent, and the 99th percentile of latency, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) goodput: f64,
    pub(crate) p99: f64,
    /// Calls refused after the first 10 s.
    pub(crate) refused: u32,
}

/// So many times what 8 workers can do, after 30 s at 0.8 times.
pub(crate) fn load(guard: Guard, times: f64, seed: u64) -> Load {
    let offered = 400.0 * times;
    let calm = move |t: f64| if t < 30.0 { offered.min(320.0) } else { offered };
    let scenario = Scenario { looked_at: (40.0, 120.0), ..Scenario::new(120.0, 8, calm) };
    let report = run(guard, &scenario, seed);
    Load {
        goodput: report.good_looked_at as f64 / 80.0 / offered.min(400.0) * 100.0,
        p99: report.quantile(0.99) * 1e3,
        refused: report.refused.iter().skip(10).sum(),
    }
}

/// As [`load`] for ten minutes, where each call waits so many seconds for its permit: goodput and 99th percentile of
/// the last five, and the limit at the end.
pub(crate) fn waits(guard: Guard, times: f64, max_wait: f64, seed: u64) -> (f64, f64, u32) {
    let offered = 400.0 * times;
    let calm = move |t: f64| if t < 30.0 { offered.min(320.0) } else { offered };
    let scenario = Scenario { max_wait, looked_at: (300.0, 599.0), ..Scenario::new(600.0, 8, calm) };
    let report = run(guard, &scenario, seed);
    (report.goodput(300, 599) / offered.min(400.0) * 100.0, report.quantile(0.99) * 1e3, report.limit)
}

/// 4 workers, of which 3 are gone for a minute, at 0.9 of what the 4 can do.
pub(crate) fn fewer_workers() -> Scenario {
    let workers = |t: f64| if (60.0..120.0).contains(&t) { 1 } else { 4 };
    Scenario { workers: Box::new(workers), ..Scenario::new(180.0, 4, |_| 180.0) }
}

/// Goodput while they are gone, from the 5th second on, and in the 20 s after, in percent.
pub(crate) fn drop_and_back(guard: Guard, seed: u64) -> (f64, f64) {
    let report = run(guard, &fewer_workers(), seed);
    (report.goodput(65, 120) / 0.5, report.goodput(120, 140) / 1.8)
}

/// Service times with a heavy tail, at twice what is possible.
pub(crate) fn tail(guard: Guard, seed: u64) -> f64 {
    let rate = |t: f64| if t < 15.0 { 250.0 } else { 734.0 };
    let scenario = Scenario {
        deviation: 2.0,
        tail: Some((0.01, 10.0)),
        looked_at: (20.0, 100.0),
        ..Scenario::new(100.0, 8, rate)
    };
    run(guard, &scenario, seed).good_looked_at as f64 / 80.0 / 3.67
}

/// Every call takes 40 ms more from the 60th second on, which hold no worker.
pub(crate) fn slower() -> Scenario {
    let extra = |t: f64| if t >= 60.0 { 0.04 } else { 0.0 };
    Scenario { extra: Box::new(extra), ..Scenario::new(160.0, 8, |_| 360.0) }
}

/// Goodput from the 10th second after that, in percent.
pub(crate) fn step(guard: Guard, seed: u64) -> f64 {
    run(guard, &slower(), seed).goodput(70, 160) / 3.6
}

/// The first 30 s at 100 workers, in percent.
pub(crate) fn cold(guard: Guard, seed: u64) -> f64 {
    run(guard, &Scenario::new(30.5, 100, |_| 4_500.0), seed).goodput(0, 30) / 45.0
}

/// A twentieth of what 8 workers can do for so many seconds, then twice as much as they can: goodput of the 3 s after,
/// in percent.
pub(crate) fn quiet(guard: Guard, seconds: usize, seed: u64) -> f64 {
    let begin = seconds as f64;
    let rate = move |t: f64| if t < begin { 20.0 } else { 800.0 };
    let report = run(guard, &Scenario::new(begin + 3.5, 8, rate), seed);
    report.goodput(seconds, seconds + 3) / 4.0
}

/// Twice what 4 workers can do, for so many seconds: the limit at the end, and goodput of the last tenth in percent.
pub(crate) fn lasting(guard: Guard, seconds: usize, seed: u64) -> (u32, f64) {
    let rate = |t: f64| if t < 30.0 { 160.0 } else { 400.0 };
    let report: Report = run(guard, &Scenario::new(seconds as f64 + 0.5, 4, rate), seed);
    (report.limit, report.goodput(seconds - seconds / 10, seconds) / 2.0)
}
