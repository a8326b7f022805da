//! An adaptive `ConcurrencyLimiter` behind the vectors' vocabulary.

use std::collections::HashMap;
use std::time::Duration;
use tidegate::concurrency::{AdaptiveConfig, ConcurrencyPermit};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, ConcurrencyConfig, ConcurrencyLimiter, ManualClock, OnConflict};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::adaptive::{Answer, Config, Op};

/// A limiter in memory of its own, and its permits.
#[derive(Debug)]
pub(crate) struct CoreAdaptive {
    limiter: ConcurrencyLimiter,
    permits: HashMap<String, ConcurrencyPermit>,
    clock: ManualClock,
}

/// The same in an arena.
#[derive(Debug)]
pub(crate) struct InArena(CoreAdaptive);

fn settings(config: &Config) -> ConcurrencyConfig {
    let span = |ns: Ns| Duration::from_nanos(ns.0);
    let adaptive = AdaptiveConfig {
        algorithm: config.algorithm.parse().expect("an algorithm"),
        min_limit: config.min_limit,
        initial_limit: config.initial_limit,
        max_limit: config.max_limit,
        tolerance: config.tolerance,
        window: span(config.window_ns),
        samples: config.samples,
        max_window: span(config.max_window_ns),
        min_samples: config.min_samples,
        probe: config.probe,
        probe_every: span(config.probe_every_ns),
        probe_floor: config.probe_floor,
        max_latency: config.max_latency_ns.map(span),
        base: config.base_ns.map(span),
        timeout: span(config.timeout_ns),
        backoff_ratio: config.backoff_ratio,
    };
    ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(adaptive) }
}

impl Subject for CoreAdaptive {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let limiter = ConcurrencyLimiter::with_config(settings(config), Clock::from(&clock)).expect("sound settings");
        Self { limiter, permits: HashMap::new(), clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let limiter = &self.limiter;
        match op {
            Op::TryAcquire { name } => {
                let permit = limiter.try_acquire();
                if let Some(permit) = permit {
                    self.permits.insert(name.clone(), permit);
                }
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::Report { permit, outcome, latency_ns } => {
                let (permit, outcome) = (self.permits[permit], outcome.parse().expect("an outcome"));
                let released = match latency_ns {
                    Some(ns) => limiter.report_latency(permit, outcome, Duration::from_nanos(ns.0)),
                    None => limiter.report(permit, outcome),
                };
                Answer::Released { released }
            }
            Op::Release { permit } => Answer::Released { released: limiter.release(self.permits[permit]) },
            Op::Limit {} => Answer::Limit { limit: limiter.limit(), in_use: limiter.in_use() },
        }
    }
}

impl Subject for InArena {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let arena = Arena::private("vectors", 1 << 20, Clock::from(&clock)).expect("an arena");
        let limiter = ConcurrencyLimiter::in_arena(&arena, "limiter", settings(config), OnConflict::Error);
        Self(CoreAdaptive { limiter: limiter.expect("sound settings"), permits: HashMap::new(), clock })
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.0.apply(now, op)
    }
}
