//! The gate behind the vectors' vocabulary. Goes with `settings.rs`, `set.rs`, `shed.rs` and `breaker.rs`.

use crate::{breaker, set, shed};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate::breaker::{Outcome as CallOutcome, Permit};
use tidegate::concurrency::{ConcurrencyConfig, Partitions};
use tidegate::gate::{Answer as Told, Outcome, Request, Ticket};
use tidegate::http::{AccessList, parse_address};
use tidegate::limit::{Member, Mode};
use tidegate::shed::Priority;
use tidegate::{
    BoundedQueue, CircuitBreaker, Clock, ConcurrencyLimiter, Gate, GateConfig, LoadShedder, ManualClock, QueueConfig,
};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::gate::{Answer, Config, Op, OutcomeName};
use tidegate_model::script::set::Keys;

/// A gate, and what it gave out.
#[derive(Debug)]
pub(crate) struct CoreGate {
    pub(crate) gate: Gate,
    shedder: Option<Arc<LoadShedder>>,
    queue: Option<Arc<BoundedQueue<()>>>,
    concurrency: Option<Arc<ConcurrencyLimiter>>,
    breakers: Vec<(String, Arc<CircuitBreaker>)>,
    held: HashMap<String, Ticket>,
    permits: HashMap<String, Permit>,
    clock: ManualClock,
}

pub(crate) const DRAW: f64 = 0.5;

fn outcome(name: OutcomeName) -> Outcome {
    Outcome::ALL[name as usize]
}

impl CoreGate {
    /// The keys of the keyed members, in order.
    fn keys(&self, keys: &Keys) -> Vec<Vec<u8>> {
        let members = self.gate.limits().into_iter().flat_map(|limits| limits.members());
        members.filter(|(_, it)| matches!(it, Member::Keyed(_))).map(|(name, _)| keys[name].bytes()).collect()
    }

    fn breaker(&self, name: &str) -> &Arc<CircuitBreaker> {
        self.gate.breaker(name).expect("a dependency")
    }

    fn told(&self, told: &Told) -> Answer {
        Answer::Admission {
            allowed: told.allowed,
            denied_by: told.denied_by.map(|part| self.gate.name_of(part).to_owned()),
            kind: told.kind().map(tidegate::gate::Kind::name),
            status: told.status(),
            retry_after_ns: Ns(told.retry_after_ns),
            limit: told.limit,
            remaining: told.remaining,
            pressure: told.pressure,
        }
    }
}

impl Subject for CoreGate {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let time = || Clock::from(&clock);
        let partitions = Partitions::new(config.partitions.iter().map(|(name, share)| (name, *share)));
        let partitions = partitions.expect("sound shares");
        let enforce = |limit| ConcurrencyConfig { mode: Mode::Enforce, partitions, ..ConcurrencyConfig::new(limit) };
        let shedder = config
            .shedder
            .as_ref()
            .map(|config| Arc::new(LoadShedder::with_clock(shed::settings(config), time()).expect("sound settings")));
        let queue = config.queue.map(|capacity| {
            let config = QueueConfig { high_watermark: 1.0, ..QueueConfig::new(capacity) };
            Arc::new(BoundedQueue::with_clock(config, time()).expect("sound settings"))
        });
        let concurrency = config
            .concurrency
            .map(|limit| Arc::new(ConcurrencyLimiter::with_config(enforce(limit), time()).expect("a sound limit")));
        let breakers: Vec<_> = config
            .dependencies
            .iter()
            .map(|it| {
                let breaker = CircuitBreaker::with_clock(&*it.name, breaker::settings(&it.breaker), time());
                (it.name.clone(), Arc::new(breaker.expect("sound settings")))
            })
            .collect();
        let texts = |list: &'_ [String]| list.to_vec();
        let gate = Gate::new(GateConfig {
            access: config.access.as_ref().map(|it| {
                let (allow, deny) = (texts(&it.allow), texts(&it.deny));
                AccessList::new(allow.iter().map(String::as_str), deny.iter().map(String::as_str)).expect("entries")
            }),
            shedder: shedder.clone().map(|it| ("main".to_owned(), it)),
            queue: queue.clone().map(|it| ("jobs".to_owned(), it as _)),
            concurrency: concurrency.clone().map(|it| ("database".to_owned(), it)),
            limits: config.limits.as_ref().map(|config| Arc::new(set::Side::new(config, &clock, None).into_set())),
            dependencies: breakers.clone(),
            refund_on: config.refund_on.iter().map(|name| outcome(*name)).collect(),
            mode: Mode::of(Some(config.enabled), config.dry_run),
            ..GateConfig::new("orders")
        });
        let gate = gate.expect("sound parts");
        Self { gate, shedder, queue, concurrency, breakers, held: HashMap::new(), permits: HashMap::new(), clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        match op {
            Op::Admit { name, keys, address, priority, cost, deadline_ns, dependencies, partition } => {
                let keys = self.keys(keys);
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let needs = self.gate.dependencies(dependencies.iter().map(String::as_str)).expect("dependencies");
                let request = Request {
                    address: address.as_ref().and_then(|text| parse_address(text.as_bytes())),
                    priority: Priority::ALL[*priority as usize],
                    cost: *cost,
                    deadline: deadline_ns.map(|ns| std::time::Duration::from_nanos(ns.0)),
                    dependencies: needs,
                    partition: partition
                        .as_ref()
                        .map(|name| self.gate.partition(name).expect("one"))
                        .unwrap_or_default(),
                    ..Request::new(&keys)
                };
                let (told, ticket) = self.gate.decide_at(now, DRAW, &request).expect("a key each");
                // Words and back, as other languages keep it.
                let ticket = Ticket::of_words(&ticket.to_words());
                assert_eq!(ticket.is_blank(), !told.allowed, "who is refused holds nothing");
                if told.allowed {
                    self.held.insert(name.clone(), ticket);
                } else {
                    let refused = self.gate.refused(&told, *cost);
                    assert_eq!(Some(refused.status()), told.status(), "{refused}");
                }
                return self.told(&told);
            }
            Op::Finish { admission, outcome: name } => {
                let ticket = self.held.get_mut(admission).expect("an admission");
                return Answer::Finished { finished: self.gate.finish(ticket, outcome(*name)) };
            }
            Op::Enter { dependency, name, .. } => {
                let permit = self.breaker(dependency).acquire_at(now, 0.0).ok();
                self.permits.extend(permit.map(|permit| (name.clone(), permit)));
                return Answer::Permit { permit: permit.is_some() };
            }
            Op::Report { permit, dependency, failed } => {
                let outcome = if *failed { CallOutcome::Failure } else { CallOutcome::Success };
                self.breaker(dependency).report(self.permits[permit], outcome, None);
            }
            Op::ForceOpen { dependency } => self.breaker(dependency).force_open(),
            Op::Push {} => drop(self.queue.as_ref().expect("a queue").try_push(())),
            Op::Pop {} => drop(self.queue.as_ref().expect("a queue").try_pop()),
            Op::Tell { signal, value } => {
                self.shedder.as_ref().expect("a shedder").tell_at(now, signal, *value).expect("a signal");
            }
            Op::SetLimit { limit } => {
                self.concurrency.as_ref().expect("a concurrency limit").set_limit(*limit).expect("a limit");
            }
            Op::Look { keys } => {
                let members = self.gate.limits().into_iter().flat_map(|limits| limits.members());
                let left: BTreeMap<_, _> = members
                    .map(|(name, it)| {
                        let left = match it {
                            Member::Bucket(bucket) => bucket.peek().remaining,
                            Member::Keyed(limiter) => limiter.peek(&keys[name].bytes(), None).remaining,
                        };
                        (name.to_owned(), left)
                    })
                    .collect();
                return Answer::Parts {
                    left,
                    in_use: self.concurrency.as_ref().map(|it| it.in_use()),
                    depth: self.queue.as_ref().map(|it| it.depth()),
                    circuits: self.breakers.iter().map(|(name, it)| (name.clone(), it.state().name())).collect(),
                };
            }
            Op::Stats {} => {
                let stats = self.gate.stats();
                let (admitted, denied, would_deny) = (stats.admitted, stats.denied, stats.would_deny);
                return Answer::Stats { admitted, denied, would_deny };
            }
        }
        Answer::Nothing {}
    }
}
