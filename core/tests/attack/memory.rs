//! Invariant: where the system has no memory for what a setting asks for, making an object is an error that names the
//! setting, whatever the object; nothing is made, and nothing panics or ends.

use crate::children::{child, ends_well};
use crate::support::Place;
use std::time::Duration;
use tidegate::arena::ArenaErrorKind;
use tidegate::breaker::Window;
use tidegate::concurrency::{AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyConfig, ConcurrencyLimiter};
use tidegate::limit::{Algorithm, Block, LimiterConfig, Mode};
use tidegate::policy::{Policy, PolicyConfig};
use tidegate::queue::{BoundedQueue, QueueConfig};
use tidegate::{
    Arena, BreakerConfig, BreakerRegistry, CircuitBreaker, Clock, ConfigError, ConfigErrorKind, OnConflict, Quota,
    RateLimiter, RegistryConfig,
};

/// Of what is left; the largest objects take more, and errors less.
const BLOCK: usize = 16 << 10;

/// The system gives a mebibyte more.
#[allow(unsafe_code)] // setrlimit
fn leave_little() {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("this process");
    let pages: u64 = pages.split(' ').next().and_then(|pages| pages.parse().ok()).expect("its size");
    let most = pages * 4096 + (1 << 20);
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a valid place, and this process's own limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

/// Takes what the system would still give, but for small pieces.
fn exhaust() -> Vec<Vec<u8>> {
    leave_little();
    let block = || {
        let mut block = Vec::new();
        block.try_reserve_exact(BLOCK).is_ok().then_some(block)
    };
    std::iter::from_fn(block).collect()
}

fn limiter(algorithm: Algorithm, max_keys: usize) -> Result<RateLimiter, ConfigError> {
    let quota: Quota = "5/s".parse().expect("a rate");
    RateLimiter::with_config(LimiterConfig { max_keys, ..LimiterConfig::new(algorithm, quota) }, Clock::monotonic())
}

fn concurrency(config: ConcurrencyConfig) -> Result<(), ConfigError> {
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..config };
    ConcurrencyLimiter::with_config(config, Clock::monotonic()).map(drop)
}

fn queue(config: QueueConfig) -> Result<(), ConfigError> {
    BoundedQueue::<u64>::new(config).map(drop)
}

/// Whether it is told so, by the setting's name.
fn is_told(setting: &str, made: Result<(), ConfigError>) -> bool {
    let told = made.as_ref().is_err_and(|error| {
        let message = error.message();
        error.kind() == ConfigErrorKind::NoMemory
            && error.field() == setting
            && message.starts_with("no memory for ")
            && message.ends_with("; give a smaller one, or the process more memory")
    });
    if !told {
        eprintln!("{setting}: {made:?}");
    }
    told
}

#[test]
fn what_asks_for_too_much_is_named() {
    ends_well(child(|| {
        let _taken = exhaust();
        let many = 100_000;
        let blocks = Block::new(3, Duration::from_secs(1), Duration::from_secs(9), 1.0, None).expect("a block");
        let quota: Quota = "5/s".parse().expect("a rate");
        let blocking =
            LimiterConfig { max_keys: many, block: Some(blocks), ..LimiterConfig::new(Algorithm::FixedWindow, quota) };
        let adaptive = AdaptiveConfig::new(AdaptiveAlgorithm::Aimd).within(Some(1), Some(10), Some(4_096));
        let registry = RegistryConfig { max_breakers: 4_096, ..RegistryConfig::default() };
        let breaker = BreakerConfig { window: Window::Calls(65_536), ..BreakerConfig::default() };
        let made = [
            ("max_keys", limiter(Algorithm::TokenBucket, many).map(drop)),
            ("max_keys", limiter(Algorithm::SlidingWindow, many).map(drop)),
            ("max_keys", limiter(Algorithm::SlidingLog, many).map(drop)),
            ("max_keys", RateLimiter::with_config(blocking, Clock::monotonic()).map(drop)),
            ("limit", concurrency(ConcurrencyConfig::new(4_096))),
            ("max_limit", concurrency(ConcurrencyConfig { max_limit: 4_096, ..ConcurrencyConfig::new(10) })),
            ("max_limit", concurrency(ConcurrencyConfig::adaptive(adaptive))),
            ("max_breakers", BreakerRegistry::new(registry).map(drop)),
            ("window_calls", CircuitBreaker::with_clock("it", breaker, Clock::monotonic()).map(drop)),
            ("capacity", queue(QueueConfig::new(1 << 20))),
            ("capacity", queue(QueueConfig { lanes: 3, ..QueueConfig::new(1 << 20) })),
        ];
        // All of them, so that each that is wrong is seen.
        made.into_iter().map(|(setting, made)| is_told(setting, made)).filter(|told| !told).count() == 0
    }));
}

#[test]
fn an_arena_that_asks_for_too_much_says_what_to_make_smaller() {
    let place = Place::new();
    let mut options = place.options("orders");
    options.capacity = Some(64 << 20);
    ends_well(child(|| {
        leave_little();
        let made = [Arena::open(&options), Arena::private("orders", 64 << 20, Clock::monotonic())];
        made.into_iter().all(|made| {
            let told = made.as_ref().is_err_and(|error| {
                error.kind() == ArenaErrorKind::NoSpace
                    && error.message().contains("memory")
                    && error.message().contains("TIDEGATE_CAPACITY")
            });
            if !told {
                eprintln!("{made:?}");
            }
            told
        })
    }));
}

/// Of an arena the same: what does not fit names the setting, beside the arena's own capacity.
#[test]
fn what_asks_for_too_much_of_an_arena_is_named() {
    let arena = Arena::private("orders", 1 << 20, Clock::monotonic()).expect("made");
    let quota: Quota = "5/s".parse().expect("a rate");
    let limiter = LimiterConfig { max_keys: 100_000, ..LimiterConfig::new(Algorithm::TokenBucket, quota) };
    let registry = RegistryConfig { max_breakers: 10_000, ..RegistryConfig::default() };
    let made = [
        ("max_keys", RateLimiter::in_arena(&arena, "keys", limiter, OnConflict::Error).map(drop)),
        ("max_breakers", BreakerRegistry::in_arena(&arena, "breakers", registry, OnConflict::Error).map(drop)),
    ];
    for (setting, made) in made {
        let error = made.expect_err(setting);
        assert_eq!(error.kind(), ArenaErrorKind::Full, "{error}");
        assert!(error.message().contains(&format!(", ask for a smaller {setting}, or use another arena")), "{error}");
    }
}

#[test]
fn a_policy_that_asks_for_too_much_says_where() {
    ends_well(child(|| {
        let _taken = exhaust();
        let whole = [
            ("limits.client", "max_keys", "[limits]\nclient = { rate = \"1/s\", key = \"user\", max_keys = 100_000 }"),
            ("concurrency.database", "max_limit", "[concurrency]\ndatabase = { limit = 10, max_limit = 4_096 }"),
            ("breakers.payment", "window_calls", "[breakers]\npayment = { window_calls = 65_536 }"),
        ];
        whole.into_iter().all(|(path, setting, text)| {
            let config = PolicyConfig::parse(&format!("version = 1\n{text}\n")).expect("nothing is wrong with it");
            let error = Policy::new(config, Clock::monotonic()).expect_err("no memory for it");
            let problem = &error.problems()[0];
            let is_told = problem.message.starts_with(&format!("{setting}: no memory for "));
            if !is_told || problem.path != path || problem.line != 3 || !error.is_no_memory() {
                eprintln!("{error:?}");
                return false;
            }
            true
        })
    }));
    let wrong = PolicyConfig::parse("version = 1\n[limits]\na = { rate = \"often\" }\n").expect_err("no rate");
    assert!(!wrong.is_no_memory());
}
