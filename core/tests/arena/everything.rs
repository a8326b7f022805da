//! One object of each kind in an arena, and every operation of each. For tests of hostile bytes, and their fuzz target.

use std::sync::Arc;
use std::time::Duration;
use tidegate::arena::ArenaError;
use tidegate::breaker::{Outcome, Window};
use tidegate::concurrency::{self, AdaptiveConfig};
use tidegate::lease::{ClusterConfig, OnUnreachable};
use tidegate::limit::{
    Algorithm, Block, BucketConfig, LimiterConfig, Member, Mode, RateLimiter, Reservation, Tier, WarmUp,
};
use tidegate::shed::{Priority, Signal, SignalKind};
use tidegate::{
    Arena, BreakerConfig, BreakerRegistry, CircuitBreaker, ClientThrottle, ClientThrottleConfig, ClusterLimit,
    ConcurrencyConfig, ConcurrencyLimiter, LimitSet, LoadShedder, OnConflict, Quota, RegistryConfig, RetryBudget,
    RetryBudgetConfig, ShedderConfig, TokenBucket,
};

/// The bytes that the objects fit into.
pub(crate) const CAPACITY: usize = 1 << 20;

/// What could be opened.
pub(crate) struct Everything {
    arena: Arc<Arena>,
    buckets: Vec<Arc<TokenBucket>>,
    limiters: Vec<(Arc<RateLimiter>, Option<Tier>)>,
    breakers: Vec<CircuitBreaker>,
    permits: Vec<ConcurrencyLimiter>,
    budgets: Vec<RetryBudget>,
    throttles: Vec<ClientThrottle>,
    registries: Vec<BreakerRegistry>,
    shedders: Vec<LoadShedder>,
    clusters: Vec<ClusterLimit>,
    set: Option<LimitSet>,
}

impl Everything {
    /// Opens all, each whether or not another could be; returns the errors as well.
    pub(crate) fn open(arena: &Arc<Arena>, on_conflict: OnConflict) -> (Self, Vec<ArenaError>) {
        let mut errors = Vec::new();
        let mut all = Self {
            arena: arena.clone(),
            buckets: Vec::new(),
            limiters: Vec::new(),
            breakers: Vec::new(),
            permits: Vec::new(),
            budgets: Vec::new(),
            throttles: Vec::new(),
            registries: Vec::new(),
            shedders: Vec::new(),
            clusters: Vec::new(),
            set: None,
        };
        for (name, options) in [("bucket", plain()), ("striped", striped())] {
            match TokenBucket::in_arena(arena, name, quota("400/s"), options, on_conflict) {
                Ok(bucket) => all.buckets.push(Arc::new(bucket)),
                Err(error) => errors.push(error),
            }
        }
        for algorithm in Algorithm::ALL {
            for blocks in [false, true] {
                let name = format!("{algorithm:?}-{blocks}");
                match RateLimiter::in_arena(arena, &name, limiter(algorithm, blocks), on_conflict) {
                    Ok(limiter) => {
                        let tier = limiter.tier(quota("9/s")).ok();
                        all.limiters.push((Arc::new(limiter), tier));
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        for (name, window) in [("calls", Window::Calls(50)), ("span", Window::Duration(Duration::from_secs(10)))] {
            match CircuitBreaker::in_arena(arena, name, breaker(window), on_conflict) {
                Ok(breaker) => all.breakers.push(breaker),
                Err(error) => errors.push(error),
            }
        }
        for (name, config) in [("permits", permits()), ("adaptive", adaptive())] {
            match ConcurrencyLimiter::in_arena(arena, name, config, on_conflict) {
                Ok(permits) => all.permits.push(permits),
                Err(error) => errors.push(error),
            }
        }
        for (name, min_per_second) in [("budget", 10.0), ("timeless-budget", 0.0)] {
            match RetryBudget::in_arena(arena, name, budget(min_per_second), on_conflict) {
                Ok(budget) => all.budgets.push(budget),
                Err(error) => errors.push(error),
            }
        }
        match BreakerRegistry::in_arena(arena, "registry", registry(), on_conflict) {
            Ok(registry) => all.registries.push(registry),
            Err(error) => errors.push(error),
        }
        match ClientThrottle::in_arena(arena, "throttle", throttle(), on_conflict) {
            Ok(throttle) => all.throttles.push(throttle),
            Err(error) => errors.push(error),
        }
        match LoadShedder::in_arena(arena, "shedder", shedder(), on_conflict) {
            Ok(shedder) => all.shedders.push(shedder),
            Err(error) => errors.push(error),
        }
        match ClusterLimit::in_arena(arena, "cluster", cluster(), on_conflict) {
            Ok(limit) => all.clusters.push(limit),
            Err(error) => errors.push(error),
        }
        let mut members: Vec<(String, Member)> = Vec::new();
        members.extend(all.buckets.first().map(|bucket| ("bucket".to_owned(), bucket.clone().into())));
        members.extend(
            all.limiters.iter().map(|(limiter, _)| (format!("{:?}", limiter.algorithm()), limiter.clone().into())),
        );
        members.dedup_by(|one, other| one.0 == other.0);
        all.set = LimitSet::new(members).ok();
        (all, errors)
    }

    /// How many objects could be opened.
    pub(crate) fn len(&self) -> usize {
        let (limits, calls) = (self.buckets.len() + self.limiters.len(), self.breakers.len() + self.permits.len());
        limits
            + calls
            + self.budgets.len()
            + self.throttles.len()
            + self.registries.len()
            + self.shedders.len()
            + self.clusters.len()
    }

    /// Every operation of every object once, with numbers that `next` gives.
    pub(crate) fn operate(&self, next: &mut dyn FnMut() -> u64) {
        self.buckets.iter().for_each(|bucket| use_bucket(bucket, next));
        self.limiters.iter().for_each(|(limiter, tier)| use_limiter(limiter, tier.as_ref(), next));
        self.breakers.iter().for_each(|breaker| use_breaker(breaker, next));
        self.permits.iter().for_each(|permits| use_permits(permits, next));
        self.budgets.iter().for_each(|budget| use_budget(budget, next));
        self.throttles.iter().for_each(|throttle| use_throttle(throttle, next));
        self.registries.iter().for_each(|registry| use_registry(registry, next));
        self.shedders.iter().for_each(|shedder| use_shedder(shedder, next));
        self.clusters.iter().for_each(|limit| use_cluster(limit, next));
        if let Some(set) = &self.set {
            let key = key(next);
            let keyed = set.members().filter(|(_, member)| matches!(member, Member::Keyed(_))).count();
            let keys = vec![&key[..]; keyed];
            let _ = (set.check(&keys, cost(next)), set.peek(&keys, cost(next)), set.refund(&keys, cost(next)));
        }
        let _ = (self.arena.objects(), self.arena.members(), self.arena.clock().now());
        let _ = self.arena.remove("no such name");
    }
}

fn quota(text: &str) -> Quota {
    text.parse().expect("a quota")
}

fn plain() -> BucketConfig {
    BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() }
}

fn striped() -> BucketConfig {
    BucketConfig { stripes: 4, warm_up: WarmUp::new(Duration::from_secs(9), 0.5).ok(), ..plain() }
}

fn limiter(algorithm: Algorithm, blocks: bool) -> LimiterConfig {
    let mut config = LimiterConfig::new(algorithm, quota("40/s"));
    config.max_keys = 50;
    config.mode = Mode::Enforce;
    config.fastest = (algorithm != Algorithm::SlidingLog).then(|| quota("100/s"));
    if blocks {
        config.block = Block::new(3, Duration::from_secs(1), Duration::from_millis(10), 2.0, None).ok();
        config.warm_up = WarmUp::new(Duration::from_secs(9), 0.5).ok();
    }
    config
}

fn breaker(window: Window) -> BreakerConfig {
    BreakerConfig {
        window,
        min_calls: 2,
        slow_call_duration: Some(Duration::from_millis(5)),
        consecutive_failures: Some(5),
        cooldown: Duration::from_millis(1),
        probes: 3,
        ..BreakerConfig::default()
    }
}

fn adaptive() -> ConcurrencyConfig {
    let quick = Duration::from_millis(10);
    let adaptive =
        AdaptiveConfig { window: quick, max_window: quick, samples: 1, min_samples: 1, ..AdaptiveConfig::default() };
    let adaptive = adaptive.within(Some(1), Some(3), Some(70));
    ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(adaptive) }
}

fn permits() -> ConcurrencyConfig {
    ConcurrencyConfig { max_limit: 70, mode: Mode::Enforce, ..ConcurrencyConfig::new(3) }
}

fn budget(min_per_second: f64) -> RetryBudgetConfig {
    RetryBudgetConfig { min_per_second, mode: Mode::Enforce, ..RetryBudgetConfig::default() }
}

fn registry() -> RegistryConfig {
    let defaults = breaker(Window::Calls(20));
    RegistryConfig { max_breakers: 3, defaults, ..RegistryConfig::default() }
}

fn cluster() -> ClusterConfig {
    let mut config = ClusterConfig::new(quota("2000/s"));
    config.on_unreachable = OnUnreachable::Local { hosts: 3, fallback_for: Duration::from_secs(9) };
    config.mode = Mode::Enforce;
    config
}

fn throttle() -> ClientThrottleConfig {
    ClientThrottleConfig { mode: Mode::Enforce, ..ClientThrottleConfig::default() }
}

fn shedder() -> ShedderConfig {
    let [gauge, cpu] = [SignalKind::Gauge, SignalKind::Cpu].map(|kind| Signal::new(kind).range(0.5, 0.9));
    ShedderConfig { mode: Mode::Enforce, interval: Duration::from_millis(10), ..ShedderConfig::new(vec![gauge, cpu]) }
}

fn cost(next: &mut dyn FnMut() -> u64) -> u32 {
    // Mostly small: of costs above the burst there is little to see.
    match next() % 8 {
        0 => next() as u32,
        small => small as u32,
    }
}

fn span(next: &mut dyn FnMut() -> u64) -> Duration {
    Duration::from_nanos(next() >> (next() % 64))
}

fn key(next: &mut dyn FnMut() -> u64) -> [u8; 1] {
    [next() as u8]
}

fn use_bucket(bucket: &TokenBucket, next: &mut dyn FnMut() -> u64) {
    let _ = (bucket.try_acquire(cost(next)), bucket.check(cost(next)), bucket.peek(), bucket.quota(), bucket.stats());
    if let Reservation::Booked { ticket, .. } = bucket.reserve(cost(next), Some(span(next))) {
        let _ = bucket.cancel(ticket);
    }
    bucket.refund(cost(next));
    match next() % 16 {
        0 => bucket.penalize(span(next)),
        1 => bucket.reset(),
        2 => drop(bucket.set_quota(quota("77/s"))),
        _ => {}
    }
}

fn use_limiter(limiter: &RateLimiter, tier: Option<&Tier>, next: &mut dyn FnMut() -> u64) {
    for _ in 0..4 {
        let key = key(next);
        let _ = (limiter.try_acquire(&key, cost(next)), limiter.check(&key, cost(next)), limiter.peek(&key, tier));
        if let Some(tier) = tier {
            let _ = (limiter.check_tier(&key, cost(next), tier), limiter.try_acquire_tier(&key, cost(next), tier));
        }
        let _ = (limiter.hit(&key, cost(next)), limiter.windows(&key), limiter.stats(), limiter.quota());
        limiter.refund(&key, cost(next), tier);
        match next() % 16 {
            0 => drop(limiter.penalize(&key, span(next))),
            1 => limiter.reset(&key),
            2 => limiter.reset_all(),
            3 => drop(limiter.set_quota(quota("30/s"))),
            4 => drop(limiter.len()),
            _ => {}
        }
    }
}

fn use_breaker(breaker: &CircuitBreaker, next: &mut dyn FnMut() -> u64) {
    for _ in 0..6 {
        if let Ok(permit) = breaker.acquire() {
            let took = Some(span(next));
            match next() % 8 {
                0 => breaker.release(permit),
                1 => breaker.report(permit, Outcome::Ignore, took),
                2 => breaker.report_retry_after(permit, span(next)),
                3 | 4 => breaker.report(permit, Outcome::Failure, took),
                // Twice.
                5 => (0..2).for_each(|_| breaker.report(permit, Outcome::Success, None)),
                _ => breaker.report(permit, Outcome::Success, took),
            }
        }
        let _ = (breaker.state(), breaker.retry_after_ns(), breaker.stats(), breaker.events_since(next()));
    }
    match next() % 32 {
        0 => breaker.force_open(),
        1 => breaker.disable(),
        2 => breaker.metrics_only(),
        3..8 => breaker.reset(),
        _ => {}
    }
}

fn use_permits(permits: &ConcurrencyLimiter, next: &mut dyn FnMut() -> u64) {
    let held: Vec<_> = (0..next() % 6).map_while(|_| permits.try_acquire()).collect();
    let _ = (permits.limit(), permits.in_use(), permits.stats(), permits.holders());
    for permit in held {
        let outcome = concurrency::Outcome::ALL[(next() % 3) as usize];
        let _ = match next() % 3 {
            0 => permits.release(permit),
            1 => permits.report(permit, outcome),
            _ => permits.report_latency(permit, outcome, Duration::from_nanos(next())),
        };
        let _ = (permits.release(permit), permits.explain());
    }
    match next() % 32 {
        0 => drop(permits.set_limit(1 + (next() % 70) as u32)),
        1 => {
            let permit = permits.acquire(Some(Duration::from_millis(2)));
            let _ = permit.map(|permit| permits.release(permit));
        }
        _ => {}
    }
}

fn use_budget(budget: &RetryBudget, next: &mut dyn FnMut() -> u64) {
    for _ in 0..next() % 8 {
        budget.deposit();
        budget.deposit_at(next());
    }
    let _ = (budget.try_withdraw(), budget.try_withdraw_at(next()), budget.balance(), budget.balance_at(next()));
    let _ = (budget.retry_after_ns(), budget.retry_after_ns_at(next()), budget.stats());
}

fn use_registry(registry: &BreakerRegistry, next: &mut dyn FnMut() -> u64) {
    let held = registry.get(b"held");
    for _ in 0..next() % 8 {
        let key = [next() as u8 % 8];
        let breaker = registry.get_at(next(), &key);
        use_breaker(&breaker, next);
        use_breaker(&held, next);
        let _ = (registry.peek(&key), registry.items().len(), registry.stats());
        if next().is_multiple_of(4) {
            let _ = registry.remove(&key);
        }
        if next().is_multiple_of(16) {
            let _ = registry.update_config(&key, |config| config.min_calls = 3);
        }
    }
}

fn use_shedder(shedder: &LoadShedder, next: &mut dyn FnMut() -> u64) {
    for _ in 0..next() % 8 {
        let (now, level) = (next() >> (next() % 64), next() as u8);
        let priority = Priority::ALL[(next() % 4) as usize];
        let _ = shedder.tell("gauge", f64::from_bits(next()));
        let _ = (shedder.admit(priority, level), shedder.check(priority, level), shedder.pressure());
        let _ = (
            shedder.check_at(now, priority, level, f64::from_bits(next())),
            shedder.retry_after_ns_at(now, priority, level),
        );
        shedder.sample_at(now);
        let _ = (shedder.stats_at(now), shedder.signals_at(now), shedder.explain_at(now));
    }
}

fn use_cluster(limit: &ClusterLimit, next: &mut dyn FnMut() -> u64) {
    let (lease, now) = (limit.lease(), next());
    let _ = (limit.try_acquire(cost(next)), limit.check(cost(next)), limit.peek(), limit.member_id());
    // As a refiller does.
    let (deadline, tokens) = (next(), next() as u32);
    let _ =
        (lease.lower_at(now, tokens), lease.grant_at(now, deadline, tokens, next().is_multiple_of(2)), lease.kept());
    let stats = limit.stats();
    assert!(stats.health.fault.is_none_or(|fault| fault.bytes().all(|byte| matches!(byte, b' '..=b'~' | 0x80..))));
    limit.set_health(&limit.health());
    if next().is_multiple_of(8) {
        limit.close();
    }
}

fn use_throttle(throttle: &ClientThrottle, next: &mut dyn FnMut() -> u64) {
    for _ in 0..next() % 8 {
        let now = next();
        throttle.report_at(now, next().is_multiple_of(2));
        throttle.refused();
        let _ = (throttle.try_acquire(0.5), throttle.try_acquire_at(now, f64::from_bits(next())));
        let _ = (throttle.probability_at(now), throttle.retry_after_ns_at(now), throttle.stats());
    }
}
