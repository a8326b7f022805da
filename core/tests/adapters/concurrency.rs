//! `ConcurrencyLimiter` behind the vectors' vocabulary.

use std::collections::HashMap;
use std::task::Waker;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyListener, ConcurrencyPermit};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, ConcurrencyLimiter, ManualClock, OnConflict};
use tidegate_model::format::Subject;
use tidegate_model::script::concurrency::{Answer, Config, Op};

/// A limiter in memory of its own, and its permits.
#[derive(Debug)]
pub(crate) struct CoreLimiter {
    limiter: ConcurrencyLimiter,
    permits: HashMap<String, ConcurrencyPermit>,
    waiters: HashMap<String, ConcurrencyListener>,
}

/// The same in an arena.
#[derive(Debug)]
pub(crate) struct InArena(CoreLimiter);

fn settings(config: &Config) -> ConcurrencyConfig {
    let mode = Mode::of(Some(config.enabled), config.dry_run);
    let order = config.order.parse().expect("an order");
    let &Config { limit, max_limit, max_waiting, .. } = config;
    ConcurrencyConfig { max_limit, max_waiting, order, mode, ..ConcurrencyConfig::new(limit) }
}

impl CoreLimiter {
    fn of(limiter: ConcurrencyLimiter) -> Self {
        Self { limiter, permits: HashMap::new(), waiters: HashMap::new() }
    }
}

impl Subject for CoreLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let limiter = ConcurrencyLimiter::with_config(settings(config), Clock::from(ManualClock::new(start)));
        Self::of(limiter.expect("sound settings"))
    }

    fn apply(&mut self, _now: u64, op: &Op) -> Answer {
        let limiter = &self.limiter;
        match op {
            Op::TryAcquire { name } => {
                let permit = limiter.try_acquire();
                if let Some(permit) = permit {
                    self.permits.insert(name.clone(), permit);
                }
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::Release { permit } => Answer::Released { released: limiter.release(self.permits[permit]) },
            Op::SetLimit { limit } => {
                limiter.set_limit(*limit).expect("a limit up to the highest");
                Answer::Nothing {}
            }
            Op::Wait { name } => {
                let listener = limiter.listen(Waker::noop());
                let waits = !listener.is_refused();
                self.waiters.insert(name.clone(), listener);
                Answer::Waits { waits }
            }
            Op::Take { waiter, name } => {
                let permit = self.waiters.get_mut(waiter).and_then(ConcurrencyListener::take);
                self.permits.extend(permit.map(|permit| (name.clone(), permit)));
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::GiveUp { waiter } => {
                drop(self.waiters.remove(waiter));
                Answer::Nothing {}
            }
            Op::InUse {} => Answer::InUse { in_use: limiter.in_use() },
            Op::Stats {} => {
                let stats = limiter.stats();
                Answer::Stats {
                    limit: stats.limit,
                    in_use: stats.in_use,
                    admitted: stats.admitted,
                    denied: stats.denied,
                    would_deny: stats.would_deny,
                }
            }
        }
    }
}

impl Subject for InArena {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let arena = Arena::private("vectors", 1 << 20, Clock::from(ManualClock::new(start))).expect("an arena");
        let limiter = ConcurrencyLimiter::in_arena(&arena, "limiter", settings(config), OnConflict::Error);
        Self(CoreLimiter::of(limiter.expect("sound settings")))
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.0.apply(now, op)
    }
}
