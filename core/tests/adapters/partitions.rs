//! A `ConcurrencyLimiter` with partitions behind the vectors' vocabulary.

use std::collections::HashMap;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyPermit, Partition, Partitions};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, ConcurrencyLimiter, ManualClock, OnConflict};
use tidegate_model::format::Subject;
use tidegate_model::script::partitions::{Answer, Config, Op};

/// A limiter in memory of its own, and its permits.
#[derive(Debug)]
pub(crate) struct CorePartitions {
    limiter: ConcurrencyLimiter,
    permits: HashMap<String, ConcurrencyPermit>,
    clock: ManualClock,
}

/// The same in an arena.
#[derive(Debug)]
pub(crate) struct InArena(CorePartitions);

fn settings(config: &Config) -> ConcurrencyConfig {
    let partitions = Partitions::new(config.partitions.iter().map(|(name, share)| (name, *share)));
    let partitions = partitions.and_then(|all| all.with_priority(&config.priority)).expect("sound shares");
    ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::new(config.limit) }
}

impl CorePartitions {
    fn of(limiter: ConcurrencyLimiter, clock: ManualClock) -> Self {
        Self { limiter, permits: HashMap::new(), clock }
    }
}

impl Subject for CorePartitions {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let limiter = ConcurrencyLimiter::with_config(settings(config), Clock::from(&clock));
        Self::of(limiter.expect("sound settings"), clock)
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let limiter = &self.limiter;
        match op {
            Op::TryAcquire { name, partition } => {
                let of = partition.as_deref().map(|name| limiter.partition(name).expect("one of them"));
                let permit = limiter.try_acquire_in(of.unwrap_or(Partition::default()));
                self.permits.extend(permit.map(|permit| (name.clone(), permit)));
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::Release { permit } => Answer::Released { released: limiter.release(self.permits[permit]) },
            Op::Partition { partition } => {
                let all = limiter.partition_stats();
                let of = all.iter().find(|of| of.name == *partition).expect("one of them");
                Answer::Partition {
                    guaranteed: of.guaranteed,
                    in_use: of.in_use,
                    called_back: of.called_back,
                    admitted: of.admitted,
                    denied: of.denied,
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
        let clock = ManualClock::new(start);
        let arena = Arena::private("vectors", 1 << 20, Clock::from(&clock)).expect("an arena");
        let limiter = ConcurrencyLimiter::in_arena(&arena, "limiter", settings(config), OnConflict::Error);
        Self(CorePartitions::of(limiter.expect("sound settings"), clock))
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.0.apply(now, op)
    }
}
