//! Figures: every family well formed, each series once, and as many as there are names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tidegate::breaker::{Outcome, Permit, State};
use tidegate::concurrency::AdaptiveConfig;
use tidegate::gate::Request;
use tidegate::lease::ClusterConfig;
use tidegate::limit::Mode;
use tidegate::metrics::{Family, FamilyType, Metrics, MetricsFormat};
use tidegate::retry::RetryBudgetConfig;
use tidegate::shed::{Signal, SignalKind};
use tidegate::throttle::ClientThrottleConfig;
use tidegate::{
    Algorithm, Arena, BoundedQueue, BreakerConfig, BreakerRegistry, CircuitBreaker, ClientThrottle, Clock,
    ClusterLimit, ConcurrencyLimiter, Gate, GateConfig, LoadShedder, ManualClock, OnConflict, QueueConfig, Quota,
    RateLimiter, RegistryConfig, RetryBudget, ShedderConfig, TokenBucket,
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
    for (name, mode) in [("orders", Mode::Enforce), ("search", Mode::DryRun)] {
        let concurrency = Arc::new(ConcurrencyLimiter::new(1).expect("a limit"));
        let config = GateConfig { concurrency: Some(("database".into(), concurrency)), mode, ..GateConfig::new(name) };
        let gate = Gate::new(config).expect("a gate");
        let held = [gate.admit(&Request::default()), gate.admit(&Request::default())].map(|it| it.expect("an answer"));
        assert_eq!(held.map(|it| it.is_allowed()), [true, mode == Mode::DryRun]);
        metrics.add(name, &gate).expect("a name");
    }
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
    let arena = Arena::process("figures").expect("an arena");
    let config = ClusterConfig::new(quota("2000/s"));
    let shared = ClusterLimit::in_arena(&arena, "shared", config, OnConflict::Keep).expect("a limit");
    metrics.add("shared", &shared).expect("a name");
    assert!(metrics.add_policy("0123456789abcdef", 1, 0));
    assert!(!metrics.add_policy("another", 9, 9), "one a page");
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
    for (name, expected) in [("orders", [1.0, 1.0, 0.0]), ("search", [1.0, 0.0, 1.0])] {
        let counts = ["admitted", "denied", "would_deny"].map(|decision| decided("gate", name, decision));
        assert_eq!(counts, expected, "{name}");
    }
    let of = |name: &str, more: &str| value(name, &format!(r#"scope="process",{more}}}"#));
    assert_eq!(of("tidegate_gate_denied_total", r#"name="orders",part="concurrency""#), 1.0);
    assert_eq!(of("tidegate_gate_denied_total", r#"name="orders",part="limit""#), 0.0);
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

/// `tidegate_calls_total` of `name`, or its transitions: the label's values and what they count, without zeros.
fn counted(metrics: &Metrics, family: &str, name: &str) -> BTreeMap<String, f64> {
    let found = parsed(&text(metrics));
    let of_name = found[family].iter().filter(|(labels, count)| labels.contains(name) && **count > 0.0);
    of_name.map(|(labels, count)| (labels.split('"').rev().nth(1).expect("a value").to_owned(), *count)).collect()
}

#[test]
fn each_call_of_a_breaker_is_counted_once_by_what_became_of_it() {
    let clock = ManualClock::new(0);
    let config = BreakerConfig {
        consecutive_failures: Some(3),
        cooldown: Duration::from_secs(5),
        slow_call_duration: Some(Duration::from_secs(1)),
        ..BreakerConfig::default()
    };
    let breaker = CircuitBreaker::with_clock("payment", config, Clock::from(&clock)).expect("a breaker");
    let acquire = || breaker.acquire().expect("closed");
    let report = |outcome, seconds| breaker.report(acquire(), outcome, Some(Duration::from_secs(seconds)));
    for _ in 0..100 {
        report(Outcome::Success, 0);
    }
    report(Outcome::Success, 2);
    report(Outcome::Slow, 0);
    report(Outcome::Ignore, 0);
    breaker.release(acquire());
    report(Outcome::Unreached, 0);
    let late = acquire();
    report(Outcome::Failure, 0);
    report(Outcome::Failure, 2);
    assert!(breaker.acquire().is_err());
    breaker.report(late, Outcome::Success, None);
    breaker.report(Permit { word: 0, started_ns: 0 }, Outcome::Success, None);
    clock.advance(Duration::from_secs(5));
    // A probe that says nothing, its permit once more, and those that close the circuit.
    let probe = acquire();
    breaker.release(probe);
    breaker.report(probe, Outcome::Failure, None);
    while breaker.state() != State::Closed {
        report(Outcome::Success, 0);
    }
    breaker.disable();
    report(Outcome::Failure, 0);
    let probes = f64::from(breaker.config().probes);
    let mut metrics = Metrics::new();
    metrics.add("payment", &breaker).expect("a name");
    let expected = [
        ("success", 100.0 + probes),
        ("slow", 2.0),
        ("ignored", 3.0),
        ("unreached", 1.0),
        ("failure", 3.0),
        ("rejected", 1.0),
        ("late", 2.0),
    ];
    let expected = expected.map(|(outcome, count)| (outcome.to_owned(), count));
    assert_eq!(counted(&metrics, "tidegate_calls_total", "payment"), BTreeMap::from(expected));
    let expected = ["open", "half_open", "closed", "disabled"].map(|state| (state.to_owned(), 1.0));
    assert_eq!(counted(&metrics, "tidegate_transitions_total", "payment"), BTreeMap::from(expected));
}

#[test]
fn calls_of_many_threads_are_all_counted() {
    let arena = Arena::process("counted").expect("an arena");
    let breaker = CircuitBreaker::in_arena(&arena, "payment", BreakerConfig::default(), OnConflict::Error);
    let breaker = breaker.expect("a breaker");
    breaker.metrics_only();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for call in 0..10_000 {
                    let outcome = if call % 10 == 0 { Outcome::Failure } else { Outcome::Success };
                    breaker.report(breaker.acquire().expect("passes"), outcome, None);
                }
            });
        }
    });
    let mut metrics = Metrics::new();
    metrics.add_arena(&arena);
    let expected = [("success", 72_000.0), ("failure", 8_000.0)].map(|(outcome, count)| (outcome.to_owned(), count));
    assert_eq!(counted(&metrics, "tidegate_calls_total", "payment"), BTreeMap::from(expected));
}

#[test]
fn the_dashboard_and_the_alert_rules_read_what_is_exported() {
    let found = parsed(&text(&everything()));
    // What the scraper adds.
    let of_the_scraper = ["job", "instance"];
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    for (file, at_least) in [(include_str!("../../docs/grafana.json"), 16), (include_str!("../../docs/alerts.yml"), 9)]
    {
        let mut read = 0;
        for (at, _) in file.match_indices("tidegate_") {
            let rest = &file[at..];
            let (name, rest) = rest.split_at(rest.find(|c| !is_of_name(c)).unwrap_or(rest.len()));
            // Of the bindings of Kafka; and a name in a text for people.
            if name == "tidegate_kafka_lag" {
                continue;
            }
            let series = found.get(name).unwrap_or_else(|| panic!("{name} is not exported"));
            read += 1;
            let Some((matchers, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { continue };
            for matcher in matchers.split(',') {
                let label = matcher.trim().split(|c| !is_of_name(c)).next().expect("a label");
                let is_there = series.keys().all(|labels| labels.contains(&format!("{label}=\"")));
                assert!(is_there || of_the_scraper.contains(&label), "{name} has no {label}");
            }
        }
        assert!(read >= at_least, "{read}");
    }
}
