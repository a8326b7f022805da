use super::*;
use tidegate::{ConfigError, ConfigErrorKind};

fn refuse(config: BreakerConfig) -> ConfigError {
    CircuitBreaker::new("payments", config).expect_err("a wrong setting")
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let breaker = CircuitBreaker::with_clock("p", BreakerConfig::default(), ManualClock::new(0).into()).expect("valid");
    assert_eq!(breaker.name(), "p");
    assert_eq!(breaker.config(), BreakerConfig::default());
    assert_eq!((breaker.state(), breaker.clock().now()), (State::Closed, 0));
    assert!(format!("{breaker:?}").contains("Closed"));
}

#[test]
fn an_empty_name_is_refused() {
    let error = CircuitBreaker::new("", BreakerConfig::default()).expect_err("no name");
    assert_eq!((error.kind(), error.field()), (ConfigErrorKind::Syntax, "name"));
}

#[test]
fn a_rate_outside_0_to_1_asks_what_was_meant() {
    for (rate, meant) in
        [(50.0, "0.5"), (30.0, "0.3"), (1.5, "0.015"), (0.0, "0.5"), (-1.0, "0.5"), (f64::NAN, "0.5"), (1e9, "0.5")]
    {
        let error = refuse(BreakerConfig { failure_rate_threshold: rate, ..BreakerConfig::default() });
        assert_eq!((error.kind(), error.field()), (ConfigErrorKind::OutOfRange, "failure_rate_threshold"));
        assert!(error.message().ends_with(&format!("did you mean {meant}?")), "{error}");
        let error = refuse(BreakerConfig { slow_call_rate_threshold: rate, ..BreakerConfig::default() });
        assert_eq!(error.field(), "slow_call_rate_threshold");
    }
}

#[test]
fn every_setting_has_its_bounds() {
    let zero = Duration::ZERO;
    let year = Duration::from_secs(365 * 86_400);
    let defaults = BreakerConfig::default;
    let wrong = [
        ("window_calls", BreakerConfig { window: Window::Calls(0), ..defaults() }),
        ("window_calls", BreakerConfig { window: Window::Calls(65_537), ..defaults() }),
        ("window_duration", BreakerConfig { window: Window::Duration(zero), ..defaults() }),
        ("window_duration", BreakerConfig { window: Window::Duration(year + ms(1)), ..defaults() }),
        ("slow_call_duration", BreakerConfig { slow_call_duration: Some(zero), ..defaults() }),
        ("consecutive_failures", BreakerConfig { consecutive_failures: Some(0), ..defaults() }),
        ("min_calls", BreakerConfig { min_calls: 0, ..defaults() }),
        ("min_calls", BreakerConfig { min_calls: 50, ..defaults() }),
        ("min_calls", BreakerConfig { min_calls: 6, window: Window::Calls(5), ..defaults() }),
        ("cooldown", BreakerConfig { cooldown: zero, ..defaults() }),
        ("cooldown", BreakerConfig { cooldown: Duration::MAX, ..defaults() }),
        ("cooldown_backoff", BreakerConfig { cooldown_backoff: 0.5, ..defaults() }),
        ("cooldown_backoff", BreakerConfig { cooldown_backoff: f64::NAN, ..defaults() }),
        ("cooldown_backoff", BreakerConfig { cooldown_backoff: f64::INFINITY, ..defaults() }),
        ("max_cooldown", BreakerConfig { max_cooldown: Some(ms(29_999)), ..defaults() }),
        ("max_cooldown", BreakerConfig { max_cooldown: Some(Duration::MAX), ..defaults() }),
        ("cooldown_jitter", BreakerConfig { cooldown_jitter: -0.1, ..defaults() }),
        ("cooldown_jitter", BreakerConfig { cooldown_jitter: 1.1, ..defaults() }),
        ("cooldown_jitter", BreakerConfig { cooldown_jitter: f64::NAN, ..defaults() }),
        ("probes", BreakerConfig { probes: 0, ..defaults() }),
        ("probes", BreakerConfig { probes: 1_025, ..defaults() }),
        ("probe_timeout", BreakerConfig { probe_timeout: zero, ..defaults() }),
        ("probe_failure_rate_threshold", BreakerConfig { probe_failure_rate_threshold: Some(0.0), ..defaults() }),
        ("probe_failure_rate_threshold", BreakerConfig { probe_failure_rate_threshold: Some(f64::NAN), ..defaults() }),
        ("probes_at_once", BreakerConfig { probes_at_once: Some(0), ..defaults() }),
        ("probes_at_once", BreakerConfig { probes_at_once: Some(3), probes: 2, ..defaults() }),
        ("healthy_after", BreakerConfig { healthy_after: Some(zero), ..defaults() }),
        ("healthy_after", BreakerConfig { healthy_after: Some(Duration::MAX), ..defaults() }),
        ("ramp", BreakerConfig { ramp: Some(zero), ..defaults() }),
        ("ramp", BreakerConfig { ramp: Some(year + ms(1)), ..defaults() }),
        ("ramp_from", BreakerConfig { ramp_from: 0.0, ..defaults() }),
        ("ramp_from", BreakerConfig { ramp_from: 1.1, ..defaults() }),
        ("ramp_from", BreakerConfig { ramp_from: f64::NAN, ..defaults() }),
    ];
    for (field, config) in wrong {
        let error = refuse(config);
        assert_eq!(error.field(), field, "{error}");
        assert!(
            error.to_string().starts_with(if field.starts_with("window") { "window: " } else { field })
                && error.message().len() > 20,
            "{error}"
        );
    }
    assert_eq!(
        refuse(BreakerConfig { max_cooldown: Some(ms(1)), ..BreakerConfig::default() }).kind(),
        ConfigErrorKind::Conflict
    );
}

#[test]
fn the_bounds_themselves_are_allowed() {
    let year = Duration::from_secs(365 * 86_400);
    let widest = BreakerConfig {
        window: Window::Calls(65_536),
        failure_rate_threshold: 1.0,
        slow_call_duration: Some(Duration::MAX),
        slow_call_rate_threshold: f64::MIN_POSITIVE,
        consecutive_failures: Some(u32::MAX),
        min_calls: 65_536,
        cooldown: year,
        cooldown_backoff: f64::MAX,
        max_cooldown: Some(year),
        cooldown_jitter: 1.0,
        probes: 1_024,
        probe_timeout: year,
        probe_failure_rate_threshold: Some(1.0),
        probes_at_once: Some(1_024),
        healthy_after: Some(year),
        ramp: Some(year),
        ramp_from: 1.0,
    };
    let narrowest = BreakerConfig {
        window: Window::Duration(ms(1)),
        cooldown: ms(1),
        probe_timeout: ms(1),
        probe_failure_rate_threshold: Some(f64::MIN_POSITIVE),
        probes_at_once: Some(1),
        healthy_after: Some(ms(1)),
        ramp: Some(ms(1)),
        ramp_from: f64::MIN_POSITIVE,
        min_calls: 1,
        consecutive_failures: Some(1),
        ..BreakerConfig::default()
    };
    let trips_at_once = BreakerConfig { min_calls: 1, ..widest.clone() };
    CircuitBreaker::with_clock("p", widest, ManualClock::new(u64::MAX).into()).expect("valid");
    for config in [trips_at_once, narrowest] {
        let (breaker, clock) = breaker(config);
        breaker.force_open();
        breaker.reset();
        while breaker.state() == State::Closed {
            run(&breaker, "f");
        }
        cool(&breaker, &clock);
        permit(&breaker);
    }
}
