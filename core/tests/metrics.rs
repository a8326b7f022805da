//! Figures: every family well formed, each series once, and as many as there are names.

use std::collections::{BTreeMap, BTreeSet};
use tidegate::concurrency::AdaptiveConfig;
use tidegate::metrics::{Family, FamilyType, Metrics, MetricsFormat};
use tidegate::retry::RetryBudgetConfig;
use tidegate::shed::{Signal, SignalKind};
use tidegate::throttle::ClientThrottleConfig;
use tidegate::{
    Algorithm, Arena, BoundedQueue, BreakerConfig, BreakerRegistry, CircuitBreaker, ClientThrottle, Clock,
    ConcurrencyLimiter, LoadShedder, OnConflict, QueueConfig, Quota, RateLimiter, RegistryConfig, RetryBudget,
    ShedderConfig, TokenBucket,
};

/// Label pairs and value of each sample, by its name; checks the form of all lines.
fn parsed(page: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut found: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    let mut described = BTreeSet::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().expect("a name");
            assert!(described.insert(name.to_owned()), "{name} is described twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').expect("labels");
            let value = value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let before = found.entry(name.to_owned()).or_default().insert(labels.to_owned(), value);
            assert_eq!(before, None, "{series} stands twice");
            assert!(described.contains(name) || described.contains(name.trim_end_matches("_total")), "{line}");
        }
    }
    found
}

fn text(metrics: &Metrics) -> String {
    metrics.render(MetricsFormat::Prometheus)
}

/// One of each kind, with something to tell.
fn everything() -> Metrics {
    let quota = |text: &str| text.parse::<Quota>().expect("a quota");
    let mut metrics = Metrics::new();
    let bucket = TokenBucket::new(quota("1/hour"));
    let passed = [bucket.try_acquire(1), bucket.try_acquire(1)];
    assert_eq!(passed, [true, false]);
    metrics.add("everyone", &bucket).expect("a name");
    let limiter = RateLimiter::new(Algorithm::TokenBucket, quota("1/hour"), 1_000).expect("a limiter");
    assert!(limiter.try_acquire(b"ada", 1) && !limiter.try_acquire(b"ada", 1));
    metrics.add("client", &limiter).expect("a name");
    let concurrency = ConcurrencyLimiter::new(1).expect("a limit");
    let permit = concurrency.try_acquire();
    assert!(permit.is_some() && concurrency.try_acquire().is_none());
    metrics.add("database", &concurrency).expect("a name");
    let adaptive = ConcurrencyLimiter::adaptive(AdaptiveConfig::default()).expect("a limit");
    metrics.add("search", &adaptive).expect("a name");
    let breaker = CircuitBreaker::new("payment", BreakerConfig::default()).expect("a breaker");
    breaker.force_open();
    metrics.add("payment", &breaker).expect("a name");
    let registry = BreakerRegistry::new(RegistryConfig::default()).expect("a registry");
    let _ = registry.get(b"one");
    metrics.add("hosts", &registry).expect("a name");
    let budget = RetryBudget::new(RetryBudgetConfig::default()).expect("a budget");
    budget.deposit();
    assert!(budget.try_withdraw());
    metrics.add("payment", &budget).expect("another kind's name");
    let throttle = ClientThrottle::new(ClientThrottleConfig::default()).expect("a throttle");
    throttle.accepted();
    metrics.add("payment", &throttle).expect("another kind's name");
    let gauge = Signal::new(SignalKind::Gauge).named("backlog").range(0.0, 10.0);
    let shedder = LoadShedder::new(ShedderConfig::new(vec![gauge])).expect("a shedder");
    shedder.tell("backlog", 5.0).expect("a signal");
    metrics.add("main", &shedder).expect("a name");
    let queue = BoundedQueue::<u8>::new(QueueConfig::new(2)).expect("a queue");
    assert!(queue.try_push(1).is_ok());
    metrics.add("orders", &queue).expect("a name");
    metrics
}

#[test]
fn each_kind_tells_what_it_counted() {
    let page = text(&everything());
    let found = parsed(&page);
    let value = |name: &str, labels: &str| {
        let all = found.get(name).unwrap_or_else(|| panic!("no {name} in\n{page}"));
        *all.get(labels).unwrap_or_else(|| panic!("no {labels} in {all:?}"))
    };
    let decided = |kind: &str, name: &str, decision: &str| {
        let labels = format!(r#"scope="process",kind="{kind}",name="{name}",decision="{decision}"}}"#);
        value("tidegate_decisions_total", &labels)
    };
    for (kind, name) in [("token_bucket", "everyone"), ("rate_limiter", "client"), ("concurrency_limiter", "database")]
    {
        let counts = ["admitted", "denied", "would_deny"].map(|decision| decided(kind, name, decision));
        assert_eq!(counts, [1.0, 1.0, 0.0], "{kind}");
    }
    let of = |name: &str, more: &str| value(name, &format!(r#"scope="process",{more}}}"#));
    assert_eq!(of("tidegate_keys", r#"name="client""#), 1.0);
    assert_eq!(of("tidegate_concurrency_in_flight", r#"name="database""#), 1.0);
    assert_eq!(of("tidegate_breaker_state", r#"name="payment",state="forced_open""#), 1.0);
    assert_eq!(of("tidegate_breaker_state", r#"name="payment",state="closed""#), 0.0);
    assert_eq!(of("tidegate_registry_breakers", r#"name="hosts",state="closed""#), 1.0);
    assert_eq!(of("tidegate_retries_total", r#"name="payment",result="retried""#), 1.0);
    assert_eq!(of("tidegate_throttle_calls_total", r#"name="payment",outcome="accepted""#), 1.0);
    assert_eq!(of("tidegate_pressure", r#"name="main",signal="backlog""#), 0.5);
    assert_eq!(of("tidegate_queue_depth", r#"queue="orders""#), 1.0);
    assert_eq!(of("tidegate_dropped_total", r#"queue="orders",reason="codel""#), 0.0);
}

#[test]
fn every_family_is_written_by_some_kind() {
    let found = parsed(&text(&everything()));
    for family in Family::ALL {
        let suffix = if family.kind() == FamilyType::Counter { "_total" } else { "" };
        assert!(found.contains_key(&format!("{}{suffix}", family.name())), "nothing writes {}", family.name());
    }
}

#[test]
fn open_metrics_names_counters_without_their_suffix_and_ends() {
    let page = everything().render(MetricsFormat::OpenMetrics);
    parsed(&page);
    assert!(page.contains("# TYPE tidegate_decisions counter\n"), "{page}");
    assert!(page.contains("tidegate_decisions_total{") && page.ends_with("\n# EOF\n"), "{page}");
}

#[test]
fn two_of_one_kind_and_name_are_an_error_and_names_are_escaped() {
    let (one, other) = (TokenBucket::new("1/s".parse().unwrap()), TokenBucket::new("1/s".parse().unwrap()));
    let mut metrics = Metrics::new();
    metrics.add("a\\b\"c\nd", &one).expect("a name");
    let error = metrics.add("a\\b\"c\nd", &other).expect_err("the same name");
    assert_eq!(error.field(), "name");
    assert_eq!(metrics.add("", &other).expect_err("no name").field(), "name");
    let page = text(&metrics);
    assert!(page.contains(r#"name="a\\b\"c\nd""#), "{page}");
    let json = metrics.render(MetricsFormat::Json);
    assert!(json.contains(r#""name":"a\\b\"c\u000ad""#), "{json}");
}

#[test]
fn formats_are_found_by_their_names_and_by_accept() {
    for format in MetricsFormat::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert!("xml".parse::<MetricsFormat>().is_err());
    let asked = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*";
    assert_eq!(MetricsFormat::accepted(asked), MetricsFormat::OpenMetrics);
    assert_eq!(MetricsFormat::accepted("text/plain;version=0.0.4"), MetricsFormat::Prometheus);
}

#[test]
fn keys_make_no_series() {
    let limiter = RateLimiter::new(Algorithm::TokenBucket, "10/s".parse().unwrap(), 10_000).expect("a limiter");
    let registry = BreakerRegistry::new(RegistryConfig { max_breakers: 64, ..RegistryConfig::default() }).unwrap();
    let series = || {
        let mut metrics = Metrics::new();
        metrics.add("client", &limiter).expect("a name");
        metrics.add("hosts", &registry).expect("a name");
        text(&metrics).lines().count()
    };
    let before = series();
    for key in 0..1_000_000u32 {
        limiter.try_acquire(&key.to_le_bytes(), 1);
        if key % 1_000 == 0 {
            let _ = registry.get(&key.to_le_bytes());
        }
    }
    assert_eq!(series(), before);
}

#[test]
fn an_arena_tells_of_all_who_use_it_and_each_object_once() {
    let arena = Arena::private("metrics", 1 << 20, Clock::monotonic()).expect("an arena");
    let open =
        || TokenBucket::in_arena(&arena, "orders", "1/hour".parse().unwrap(), Default::default(), OnConflict::Error);
    let (one, other) = (open().expect("a bucket"), open().expect("the same"));
    assert!(one.try_acquire(1) && !other.try_acquire(1));
    let mut metrics = Metrics::new();
    metrics.add_arena(&arena);
    assert!(!metrics.add_in("process:metrics", "orders", &other), "read already");
    metrics.add_arena(&arena);
    let found = parsed(&text(&metrics));
    let decisions = &found["tidegate_decisions_total"];
    let labels =
        |decision| format!(r#"scope="process:metrics",kind="token_bucket",name="orders",decision="{decision}"}}"#);
    assert_eq!((decisions[&labels("admitted")], decisions[&labels("denied")]), (1.0, 1.0), "{decisions:?}");
    assert_eq!(decisions.len(), 3);
}

#[test]
fn signals_of_an_arena_have_the_names_that_were_declared() {
    let arena = Arena::private("signals", 1 << 20, Clock::monotonic()).expect("an arena");
    let backlog = Signal::new(SignalKind::Gauge).named("backlog").range(0.0, 10.0);
    let config = ShedderConfig::new(vec![Signal::new(SignalKind::LoopLag), backlog]);
    let shedder = LoadShedder::in_arena(&arena, "main", config, OnConflict::Error).expect("a shedder");
    let mut metrics = Metrics::new();
    metrics.add_arena(&arena);
    let mut own = Metrics::new();
    assert!(own.add_in("process:signals", "main", &shedder));
    assert_eq!(text(&metrics), text(&own));
    assert!(text(&own).contains(r#"signal="loop_lag""#) && text(&own).contains(r#"signal="backlog""#));
}
