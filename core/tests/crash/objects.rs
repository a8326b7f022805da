//! What all processes of the test use: one object of each kind in one arena.

use std::sync::Arc;
use std::time::Duration;
use tidegate::arena::HostConfig;
use tidegate::breaker::{Outcome, Window};
use tidegate::limit::{Algorithm, BucketConfig, LimiterConfig, Mode};
use tidegate::shed::{Priority, Signal, SignalKind};
use tidegate::{
    Arena, BreakerConfig, BreakerRegistry, CircuitBreaker, ClientThrottle, ClientThrottleConfig, ConcurrencyConfig,
    ConcurrencyLimiter, LoadShedder, OnConflict, Quota, RateLimiter, RegistryConfig, RetryBudget, RetryBudgetConfig,
    ShedderConfig, TokenBucket,
};

pub(crate) const RATE: u64 = 20_000;
pub(crate) const BURST: u64 = 100;
pub(crate) const KEYS: [&[u8]; 4] = [b"ada", b"bob", b"eve", b"joe"];
pub(crate) const KEY_RATE: u64 = 1_000;
pub(crate) const KEY_BURST: u64 = 10;
/// More than the blocks of the log's only line, so that they take each other's and share one.
pub(crate) const LOG_KEYS: [&[u8]; 9] = [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"];
pub(crate) const LOG_LIMIT: u64 = 10;
/// What each call takes of the log; stats count calls.
pub(crate) const LOG_EACH: u32 = 2;
pub(crate) const LOG_PERIOD: Duration = Duration::from_millis(20);
pub(crate) const PERMITS: u32 = 5;
pub(crate) const BUDGET_RATE: u64 = 1_000;
pub(crate) const BUDGET_SPAN: Duration = Duration::from_millis(20);
/// Calls that pay for a retry.
pub(crate) const CALLS_A_RETRY: u64 = 5;
pub(crate) const COOLDOWN: Duration = Duration::from_millis(1);

/// Steps at each of which a process can be killed.
pub(crate) const SHED_INTERVAL: Duration = Duration::from_millis(10);

/// Fewer than there are keys, so that they make room for each other all the time.
pub(crate) const BREAKERS: u32 = 4;
/// Open all the while.
pub(crate) const OPEN: &[u8] = b"open";

/// Of which settings change at run time: of no key's that is used.
pub(crate) const PATTERNS: [&[u8]; 2] = [b"changes*", b"changes-too*"];

pub(crate) struct Objects {
    pub(crate) arena: Arc<Arena>,
    pub(crate) bucket: TokenBucket,
    pub(crate) limiter: RateLimiter,
    pub(crate) log: RateLimiter,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) permits: ConcurrencyLimiter,
    pub(crate) budget: RetryBudget,
    pub(crate) throttle: ClientThrottle,
    pub(crate) registry: BreakerRegistry,
    pub(crate) shedder: LoadShedder,
    /// Its quota changes all the time.
    pub(crate) changing: TokenBucket,
    /// Its settings change all the time; see [`nth`].
    pub(crate) configured: CircuitBreaker,
}

/// Settings number `n`: in all of them the number is seen, so that a mixture is none of them.
pub(crate) fn nth(n: u32) -> BreakerConfig {
    let span = Duration::from_millis(n.into());
    let window = Window::Calls(100 + n);
    BreakerConfig { window, min_calls: n, cooldown: span, probe_timeout: span, ..BreakerConfig::default() }
}

pub(crate) fn quota(count: u64, burst: u64) -> Quota {
    Quota::new(count, Duration::from_secs(1)).and_then(|quota| quota.with_burst(burst)).expect("a quota")
}

pub(crate) fn bucket(arena: &Arc<Arena>, name: &str, quota: Quota, on_conflict: OnConflict) -> TokenBucket {
    let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
    TokenBucket::in_arena(arena, name, quota, options, on_conflict).expect("a bucket")
}

/// A bucket in which one worker counts its rounds.
pub(crate) fn pulse(arena: &Arc<Arena>, worker: usize) -> TokenBucket {
    bucket(arena, &format!("pulse-{worker}"), quota(1, 1), OnConflict::Error)
}

impl Objects {
    pub(crate) fn open(options: &HostConfig) -> Self {
        let arena = Arena::open(options).expect("an arena");
        let limiter = |name, algorithm, quota, max_keys| {
            let limits = LimiterConfig { mode: Mode::Enforce, max_keys, ..LimiterConfig::new(algorithm, quota) };
            RateLimiter::in_arena(&arena, name, limits, OnConflict::Error).expect("a limiter")
        };
        let in_log = Quota::new(LOG_LIMIT, LOG_PERIOD).expect("a quota");
        let log = limiter("log", Algorithm::SlidingLog, in_log, 1);
        let limiter = limiter("limiter", Algorithm::TokenBucket, quota(KEY_RATE, KEY_BURST), 100);
        let rules = BreakerConfig {
            window: Window::Calls(20),
            cooldown: COOLDOWN,
            probes: 3,
            // Far longer than the test: a dead one's probe comes back by its death alone.
            probe_timeout: Duration::from_secs(3600),
            ..BreakerConfig::default()
        };
        let breaker = CircuitBreaker::in_arena(&arena, "breaker", rules.clone(), OnConflict::Error).expect("a breaker");
        let places = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(PERMITS) };
        let permits = ConcurrencyLimiter::in_arena(&arena, "permits", places, OnConflict::Error).expect("permits");
        let savings = RetryBudgetConfig {
            ratio: 1.0 / CALLS_A_RETRY as f64,
            min_per_second: BUDGET_RATE as f64,
            ttl: BUDGET_SPAN,
            mode: Mode::Enforce,
        };
        let budget = RetryBudget::in_arena(&arena, "budget", savings, OnConflict::Error).expect("a budget");
        let odds = ClientThrottleConfig { mode: Mode::Enforce, ..ClientThrottleConfig::default() };
        let throttle = ClientThrottle::in_arena(&arena, "throttle", odds, OnConflict::Error).expect("a throttle");
        let config = RegistryConfig {
            max_breakers: BREAKERS,
            defaults: BreakerConfig { consecutive_failures: Some(1), ..rules },
            ..RegistryConfig::default()
        };
        let registry = BreakerRegistry::in_arena(&arena, "registry", config, OnConflict::Error).expect("a registry");
        let pressed = ShedderConfig {
            mode: Mode::Enforce,
            interval: SHED_INTERVAL,
            ..ShedderConfig::new(vec![Signal::new(SignalKind::Gauge).range(0.0, 1.0), Signal::new(SignalKind::Cpu)])
        };
        let shedder = LoadShedder::in_arena(&arena, "shedder", pressed, OnConflict::Error).expect("a shedder");
        Self {
            shedder,
            registry,
            budget,
            throttle,
            bucket: bucket(&arena, "bucket", quota(RATE, BURST), OnConflict::Error),
            configured: CircuitBreaker::in_arena(&arena, "configured", nth(1), OnConflict::Keep).expect("a breaker"),
            changing: bucket(&arena, "changing", quota(10, 10), OnConflict::Keep),
            arena,
            limiter,
            log,
            breaker,
            permits,
        }
    }

    /// One round of everything; what is taken is held for a moment.
    pub(crate) fn round(&self, random: &mut fastrand::Rng) {
        let held = self.permits.try_acquire();
        let call = self.breaker.enter();
        for _ in 0..random.u32(1..20) {
            self.bucket.try_acquire(1);
            self.limiter.try_acquire(KEYS[random.usize(..KEYS.len())], 1);
            let key = LOG_KEYS[random.usize(..LOG_KEYS.len())];
            self.log.try_acquire(key, LOG_EACH);
            let key = KEYS[random.usize(..KEYS.len())];
            let call = self.registry.get(key);
            assert!(call.name().as_bytes() == key || call.name().starts_with('('), "{}", call.name());
            if let Ok(permit) = call.acquire() {
                let outcome = if random.u32(..8) == 0 { Outcome::Failure } else { Outcome::Success };
                call.report(permit, outcome, None);
            }
            if random.u32(..32) == 0 {
                self.registry.remove(key).expect("its lock");
            }
            if random.u32(..16) == 0 {
                // Both tell of the same change, so that half of one would show.
                let seconds = random.u64(1..1_000);
                let change = |config: &mut BreakerConfig| {
                    config.cooldown = Duration::from_secs(seconds);
                    config.probe_timeout = Duration::from_secs(seconds);
                };
                self.registry.update_config(PATTERNS[random.usize(..PATTERNS.len())], change).expect("room");
            }
            self.shedder.tell("gauge", random.f64() * 1.5).expect("a gauge");
            self.shedder.check(Priority::ALL[random.usize(..4)], random.u8(..128));
            self.budget.deposit();
            self.budget.try_withdraw();
            if self.throttle.try_acquire(random.f64()) {
                self.throttle.report_at(self.throttle.clock().now(), random.bool());
            }
        }
        if random.u32(..64) == 0 {
            self.log.penalize(LOG_KEYS[random.usize(..LOG_KEYS.len())], LOG_PERIOD);
        }
        if random.u32(..8) == 0 {
            let count = random.u64(1..100);
            self.changing.set_quota(quota(count, 10)).expect("changed");
        }
        if random.u32(..8) == 0 {
            self.configured.set_config(&nth(random.u32(1..100))).expect("changed");
            let held = self.configured.config();
            assert_eq!(held, nth(held.min_calls), "settings of one change");
        }
        if let Ok(call) = self.configured.enter() {
            if random.u32(..4) == 0 { call.failure() } else { call.success() }
        }
        if random.u32(..16) == 0 {
            drop(bucket(&self.arena, "changing", quota(random.u64(1..100), 10), OnConflict::Apply));
        }
        if let Ok(call) = call {
            if random.bool() { call.failure() } else { call.success() }
        }
        if let Some(permit) = held {
            assert!(self.permits.release(permit), "one's own permit");
        }
    }
}
