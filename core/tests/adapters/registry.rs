//! `BreakerRegistry` behind the vectors' vocabulary.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate::breaker::{Outcome, Permit};
use tidegate::{Arena, BreakerConfig, BreakerRegistry, CircuitBreaker, Clock, ManualClock, OnConflict, RegistryConfig};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::registry::{Answer, Config, Op, Override};

/// A registry of the process, and one in an arena that two handles use in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreRegistry {
    own: One,
    shared: One,
    clock: ManualClock,
}

/// One registry by several handles, and what it gave out.
#[derive(Debug)]
struct One {
    handles: Vec<BreakerRegistry>,
    held: HashMap<String, Arc<CircuitBreaker>>,
    permits: HashMap<String, (Arc<CircuitBreaker>, Permit)>,
}

impl Subject for CoreRegistry {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let defaults = BreakerConfig {
            consecutive_failures: Some(config.consecutive_failures),
            cooldown: Duration::from_nanos(config.cooldown_ns.0),
            ..BreakerConfig::default()
        };
        let of = |it: &Override| {
            let cooldown = Duration::from_nanos(it.cooldown_ns.0);
            (it.pattern.clone().into_bytes(), BreakerConfig { cooldown, ..defaults.clone() })
        };
        let overrides = config.overrides.iter().map(of).collect();
        let config = RegistryConfig { max_breakers: config.max_breakers, defaults, overrides };
        let arena = Arena::private("subject", 1 << 20, Clock::from(&clock)).expect("an arena");
        let open =
            || BreakerRegistry::in_arena(&arena, "it", config.clone(), OnConflict::Error).expect("sound settings");
        let shared = One::of(vec![open(), open()]);
        let own = BreakerRegistry::with_clock(config.clone(), Clock::from(&clock)).expect("sound settings");
        Self { own: One::of(vec![own]), shared, clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let (own, shared) = (self.own.answer(op), self.shared.answer(op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

impl One {
    fn of(handles: Vec<BreakerRegistry>) -> Self {
        Self { handles, held: HashMap::new(), permits: HashMap::new() }
    }

    fn answer(&mut self, op: &Op) -> Answer {
        self.handles.rotate_left(1);
        let registry = &self.handles[0];
        match op {
            Op::Call { key, failed } => call(&registry.get(key.as_bytes()), *failed),
            Op::Hold { key, name } => {
                let breaker = registry.get(key.as_bytes());
                let answer = Answer::Breaker { breaker: breaker.name().to_owned() };
                self.held.insert(name.clone(), breaker);
                answer
            }
            Op::CallHeld { held, failed } => call(&self.held[held], *failed),
            Op::AcquireHeld { held, name } => match self.held[held].acquire() {
                Ok(permit) => {
                    self.permits.insert(name.clone(), (self.held[held].clone(), permit));
                    Answer::Permit { permit: true }
                }
                Err(refusal) => Answer::Rejected { permit: false, retry_after_ns: Ns(refusal.retry_after_ns) },
            },
            Op::Report { permit, failed } => {
                let (breaker, permit) = &self.permits[permit];
                breaker.report(*permit, outcome(*failed), None);
                Answer::Nothing {}
            }
            Op::Peek { key } => Answer::State { state: registry.peek(key.as_bytes()).map(|it| it.state().name()) },
            Op::Remove { key } => Answer::Removed { removed: registry.remove(key.as_bytes()).expect("its lock") },
            Op::ForceOpen { key } => {
                registry.get(key.as_bytes()).force_open();
                Answer::Nothing {}
            }
            Op::Reset { key } => {
                registry.get(key.as_bytes()).reset();
                Answer::Nothing {}
            }
            Op::SetConfig { pattern, cooldown_ns, consecutive_failures } => {
                let change = |config: &mut BreakerConfig| {
                    config.cooldown = cooldown_ns.map_or(config.cooldown, |it| Duration::from_nanos(it.0));
                    config.consecutive_failures = consecutive_failures.or(config.consecutive_failures);
                };
                registry.update_config(pattern.as_bytes(), change).expect("sound settings");
                Answer::Nothing {}
            }
            Op::Items {} => {
                let text = |key| String::from_utf8(key).expect("a text");
                Answer::Keys { keys: registry.items().into_iter().map(|item| text(item.key)).collect() }
            }
            Op::Stats {} => {
                let stats = self.handles[0].stats();
                let (breakers, evicted, overflowed) = (stats.breakers, stats.evicted, stats.overflowed);
                Answer::Stats { breakers, evicted, overflowed }
            }
        }
    }
}

fn outcome(failed: bool) -> Outcome {
    if failed { Outcome::Failure } else { Outcome::Success }
}

fn call(breaker: &CircuitBreaker, failed: bool) -> Answer {
    match breaker.acquire() {
        Ok(permit) => {
            breaker.report(permit, outcome(failed), None);
            Answer::Permit { permit: true }
        }
        Err(refusal) => Answer::Rejected { permit: false, retry_after_ns: Ns(refusal.retry_after_ns) },
    }
}
