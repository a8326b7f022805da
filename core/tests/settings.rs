//! `tests/settings.json`: whatever a setting refuses, the error names it with its whole range.

use serde_json::Value;
use std::time::Duration;
use tidegate::breaker::Window;
use tidegate::concurrency::{AdaptiveAlgorithm, AdaptiveConfig, Partitions};
use tidegate::lease::{ClusterConfig, OnUnreachable};
use tidegate::limit::{Block, BucketConfig, LimiterConfig, WarmUp};
use tidegate::retry::{Jitter, RetryBudgetConfig, RetryConfig, RetryPolicy};
use tidegate::shed::{ShedderConfig, Signal, SignalKind};
use tidegate::{
    Algorithm, BoundedQueue, BreakerConfig, BreakerRegistry, CircuitBreaker, ClientThrottle, ClientThrottleConfig,
    Clock, ConcurrencyConfig, ConcurrencyLimiter, ConfigError, LoadShedder, QueueConfig, Quota, RateLimiter,
    RegistryConfig, RetryBudget, TokenBucket,
};

/// What making the object says, as `null` where a language's types leave nothing to refuse.
fn refusal(object: &str, field: &str, value: &Value) -> Option<ConfigError> {
    let count = value.as_u64().unwrap_or_default();
    let (small, real, span) = (count as u32, value.as_f64().unwrap_or_default(), Duration::from_nanos(count));
    let second = Duration::from_secs(1);
    let clock = Clock::monotonic;
    let rate = |text: &str| text.parse::<Quota>().expect("a rate");
    if matches!(field, "min_calls" | "consecutive_failures") && count > u64::from(u32::MAX) {
        return None;
    }
    match field {
        "rate" => return Quota::from_f64(real, 1.0).err(),
        "period" => return Quota::new(5, span).err(),
        "warm_up" => return WarmUp::new(span, 0.5).err(),
        "warm_up_from" => return WarmUp::new(second, real).err(),
        "block_after" => return Block::new(small, second, second, 1.0, None).err(),
        "block_within" => return Block::new(1, span, second, 1.0, None).err(),
        "block_duration" => return Block::new(1, second, span, 1.0, None).err(),
        "block_growth" => return Block::new(1, second, second, real, None).err(),
        "block_max" => return Block::new(1, second, second, 1.0, Some(span)).err(),
        "algorithm" if object == "adaptive" => return value.as_str()?.parse::<AdaptiveAlgorithm>().err(),
        "algorithm" => return value.as_str()?.parse::<Algorithm>().err(),
        "on_full" => return value.as_str()?.parse::<tidegate::queue::OnFull>().err(),
        "discipline" => return value.as_str()?.parse::<tidegate::queue::Discipline>().err(),
        _ => {}
    }
    match object {
        "bucket" => match field {
            "burst" => rate("5/s").with_burst(count).err(),
            "stripes" => {
                let options = BucketConfig { stripes: small, ..BucketConfig::default() };
                TokenBucket::with_options(rate("500/s"), options, clock()).err()
            }
            _ => panic!("{object}.{field} is new: refuse its values here"),
        },
        "limiter" => {
            let mut config = LimiterConfig::new(Algorithm::TokenBucket, rate("1000/s"));
            match field {
                "burst" => match config.quota.with_burst(count) {
                    Ok(quota) => config.quota = quota,
                    // A quota by itself takes what a bucket takes.
                    Err(_) => return None,
                },
                // Rust says it with the burst, and the fastest as a quota that is one already.
                "queue" | "fastest" | "huge_pages" => return None,
                "max_keys" => config.max_keys = count as usize,
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            RateLimiter::with_config(config, clock()).err()
        }
        "registry" => {
            let config = match field {
                "max_breakers" => RegistryConfig { max_breakers: small, ..RegistryConfig::default() },
                _ => panic!("{object}.{field} is new: refuse its values here"),
            };
            BreakerRegistry::new(config).err()
        }
        "breaker" => {
            let mut config = BreakerConfig::default();
            match field {
                "window_calls" => config.window = Window::Calls(small),
                "window_duration" => config.window = Window::Duration(span),
                "failure_rate_threshold" => config.failure_rate_threshold = real,
                "slow_call_duration" => config.slow_call_duration = Some(span),
                "slow_call_rate_threshold" => config.slow_call_rate_threshold = real,
                "consecutive_failures" => config.consecutive_failures = Some(small),
                "min_calls" => config.min_calls = small,
                "cooldown" => config.cooldown = span,
                "cooldown_backoff" => config.cooldown_backoff = real,
                "max_cooldown" => config.max_cooldown = Some(span),
                "cooldown_jitter" => config.cooldown_jitter = real,
                "probes" => config.probes = small,
                "probe_timeout" => config.probe_timeout = span,
                "probe_failure_rate_threshold" => config.probe_failure_rate_threshold = Some(real),
                "probes_at_once" => config.probes_at_once = Some(small),
                "healthy_after" => config.healthy_after = Some(span),
                "ramp" => config.ramp = Some(span),
                "ramp_from" => config.ramp_from = real,
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            CircuitBreaker::new("it", config).err()
        }
        "queue" => {
            let mut config = QueueConfig::new(10);
            match field {
                "capacity" => config.capacity = count as usize,
                "high_watermark" => config.high_watermark = real,
                "low_watermark" => config.low_watermark = real,
                "sojourn" | "discipline" => return None,
                "target" => config.target = span,
                "interval" => config.interval = span,
                "lanes" => config.lanes = count as usize,
                "max_age" => config.max_age = Some(span),
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            BoundedQueue::<u8>::new(config).err()
        }
        "concurrency" => {
            let mut config = ConcurrencyConfig::new(4);
            match field {
                "limit" => config = ConcurrencyConfig::new(small),
                "max_limit" => config.max_limit = small,
                "max_waiting" => config.max_waiting = Some(small),
                "order" => return value.as_str()?.parse::<tidegate::concurrency::WaitOrder>().err(),
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            ConcurrencyLimiter::with_config(config, clock()).err()
        }
        "adaptive" => {
            let mut config = AdaptiveConfig::default();
            match field {
                "min_limit" => config.min_limit = small,
                "initial_limit" => config.initial_limit = small,
                "max_limit" => config.max_limit = small,
                "tolerance" => config.tolerance = real,
                "window" => config.window = span,
                "samples" => config.samples = small,
                "max_window" => config.max_window = span,
                "min_samples" => config.min_samples = small,
                "probe" => return None,
                "probe_every" => config.probe_every = span,
                "probe_floor" => config.probe_floor = Some(small),
                "max_latency" => config.max_latency = Some(span),
                "base" => config.base = Some(span),
                "timeout" => config.timeout = span,
                "backoff_ratio" => config.backoff_ratio = real,
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            ConcurrencyLimiter::adaptive(config).err()
        }
        "retry" => {
            let mut config = RetryConfig::default();
            match field {
                "attempts" => config.attempts = u32::try_from(count).ok()?,
                "base" => config.base = span,
                "factor" => config.factor = real,
                "max_delay" => config.max_delay = span,
                "jitter" => return value.as_str()?.parse::<Jitter>().err(),
                "deadline" => config.deadline = Some(span),
                "max_retry_after" => config.max_retry_after = span,
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            RetryPolicy::new(config).err()
        }
        "retry_budget" => {
            let mut config = RetryBudgetConfig::default();
            match field {
                "ratio" => config.ratio = real,
                "min_per_second" => config.min_per_second = real,
                "ttl" => config.ttl = span,
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            RetryBudget::new(config).err()
        }
        "throttle" => {
            let mut config = ClientThrottleConfig::default();
            match field {
                "k" => config.k = real,
                "window" => config.window = span,
                "min_calls" => config.min_calls = small,
                "max_rejection" => config.max_rejection = real,
                "force_pass" => config.force_pass = span,
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            ClientThrottle::new(config).err()
        }
        "shedder" => {
            let mut config = ShedderConfig::new(vec![Signal::new(SignalKind::LoopLag)]);
            match field {
                "rise" => config.rise = real,
                "fall" => config.fall = real,
                "min_admit" => config.min_admit = real,
                "critical_at" => config.critical_at = real,
                "critical_after" => config.critical_after = span,
                "cool_off" => config.cool_off = span,
                "interval" => config.interval = span,
                "cpu_limit" => config.cpu_limit = Some(real),
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            LoadShedder::new(config).err()
        }
        "cluster_limit" => {
            let mut config = ClusterConfig::new(rate("2000/s"));
            let local = |hosts, fallback_for| OnUnreachable::Local { hosts, fallback_for };
            match field {
                "sync" => config.sync = Some(span),
                "lease" => config.lease = Some(span),
                "timeout" => config.timeout = span,
                "max_outstanding" => config.max_outstanding = Some(small),
                "on_unreachable" => return OnUnreachable::of(value.as_str()?, None, second).err(),
                // A u32 cannot hold more than its most.
                "hosts" if count > u64::from(u32::MAX) => return None,
                "hosts" => config.on_unreachable = local(small, second),
                "fallback_for" => config.on_unreachable = local(1, span),
                _ => panic!("{object}.{field} is new: refuse its values here"),
            }
            config.check().err()
        }
        _ => panic!("{object} is new: refuse its values here"),
    }
}

fn table() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/settings.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the table")).expect("JSON")
}

#[test]
fn whatever_is_refused_is_named_with_its_whole_range() {
    let mut refused = 0;
    for case in table() {
        if case["kind"] == "partitions" {
            continue;
        }
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (object, field) = (text(&case["object"]), text(&case["field"]));
        let (name, range) = (text(&case["names"]["rust"]), text(&case["ranges"]["rust"]));
        for value in case["outside"].as_array().expect("values") {
            if let Some(error) = refusal(&object, &field, value) {
                let said = error.to_string();
                assert!(
                    said.starts_with(&format!("{name}: ")) && said.contains(&range),
                    "{object}.{field} = {value}: {said}"
                );
                assert_eq!(error.field(), field);
                refused += 1;
            }
        }
    }
    assert!(refused >= 80, "{refused}");
}

#[test]
fn partitions_are_taken_or_refused_as_the_table_says() {
    let mut played = 0;
    for case in table().iter().filter(|case| case["kind"] == "partitions") {
        let with = |partitions| match case["object"].as_str() {
            Some("adaptive") => {
                ConcurrencyConfig { partitions, ..ConcurrencyConfig::adaptive(AdaptiveConfig::default()) }
            }
            _ => ConcurrencyConfig { partitions, ..ConcurrencyConfig::new(4) },
        };
        for list in case["lists"].as_array().expect("lists") {
            let share = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok()).expect("a share");
            let pairs = list["partitions"].as_array().expect("pairs").iter();
            let pairs = pairs.map(|pair| (pair[0].as_str().expect("a name"), share(&pair[1])));
            let first = list["priority"].as_array().expect("names").iter().map(|name| name.as_str().expect("a name"));
            let made = Partitions::new(pairs.clone()).and_then(|all| all.with_priority(first));
            let made = made.and_then(|all| ConcurrencyLimiter::with_config(with(all), Clock::monotonic()));
            let counts = made.as_ref().map(|limiter| limiter.partition_stats().len());
            assert_eq!(made.as_ref().err().map(ToString::to_string).as_deref(), list["says"].as_str(), "{list}");
            assert!(counts.is_err() || counts == Ok(pairs.len()), "{list}");
            played += 1;
        }
    }
    assert!(played >= 50, "{played}");
}
