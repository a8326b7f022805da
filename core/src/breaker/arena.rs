//! A breaker that processes share.

use super::CircuitBreaker;
use super::config::{BreakerConfig, Window};
use super::rules::{lease_shift, nanos};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings};
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;
use std::time::Duration;

impl CircuitBreaker {
    /// The breaker `name` of an arena, opened or made: one state, one window and one set of probes for all who share
    /// the arena, on its clock. The probes of a process that dies come back at the first denial 10 ms or more after its
    /// death.
    ///
    /// Thresholds are read when a breaker is opened: with [`OnConflict::Apply`] processes that have it open go on with
    /// theirs.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: another shape (window, number of probes) or, unless
    /// `on_conflict` says otherwise, other settings under the name.
    ///
    /// ```
    /// use tidegate::{Arena, BreakerConfig, CircuitBreaker, OnConflict};
    ///
    /// let arena = Arena::process("payments")?;
    /// let open = || CircuitBreaker::in_arena(&arena, "stripe", BreakerConfig::default(), OnConflict::Error);
    /// let (one, other) = (open()?, open()?);
    /// one.force_open();
    /// assert!(other.acquire().is_err());
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: BreakerConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.validate()?;
        arena.object(name, &config, on_conflict)
    }
}

impl ArenaObject for CircuitBreaker {
    const KIND: ObjectKind = ObjectKind::CircuitBreaker;
    type Config = BreakerConfig;

    fn shape(config: &BreakerConfig) -> String {
        shape(config)
    }

    fn settings(config: &BreakerConfig) -> Settings {
        Settings::new(&words(config), text(config))
    }

    fn basis(_: &BreakerConfig) -> [u64; 8] {
        [0; 8]
    }

    fn config(context: &OpenContext, _: Option<&BreakerConfig>) -> Result<BreakerConfig, ConfigError> {
        config(&context.settings.words)
    }

    fn open(context: &mut OpenContext, config: &BreakerConfig) -> Result<Self, ConfigError> {
        let (name, clock) = (context.name.clone(), context.arena.clock().clone());
        Self::in_room(&mut context.room, name, config.clone(), context.born_ns, clock)
    }

    /// Thresholds are each handle's own, and this one has been opened with the new ones.
    fn apply(&self, _: &OpenContext, _: &BreakerConfig, _: &BreakerConfig) -> Result<(), ConfigError> {
        Ok(())
    }
}

fn shape(config: &BreakerConfig) -> String {
    let window = match config.window {
        Window::Calls(calls) => format!("the last {calls} calls"),
        Window::Duration(span) => format!("the calls of the last {span:?}"),
    };
    // The unit only where it is not the usual one: it is about the timeout of probes.
    let leases = match lease_shift(config.probe_timeout) {
        0 => String::new(),
        shift => format!(", probe leases in units of {} ms", 1_u64 << shift),
    };
    let probes = if config.probes == 1 { "1 probe".to_owned() } else { format!("{} probes", config.probes) };
    format!("{window}, {probes}{leases}")
}

fn words(config: &BreakerConfig) -> [u64; 18] {
    let (kind, window) = match config.window {
        Window::Calls(calls) => (0, calls.into()),
        Window::Duration(span) => (1, nanos(span)),
    };
    [
        kind,
        window,
        config.failure_rate_threshold.to_bits(),
        config.slow_call_duration.map_or(0, nanos),
        config.slow_call_rate_threshold.to_bits(),
        config.consecutive_failures.unwrap_or(0).into(),
        config.min_calls.into(),
        nanos(config.cooldown),
        config.cooldown_backoff.to_bits(),
        config.max_cooldown.map_or(0, nanos),
        config.cooldown_jitter.to_bits(),
        config.probes.into(),
        nanos(config.probe_timeout),
        config.probe_failure_rate_threshold.map_or(0, f64::to_bits),
        config.probes_at_once.unwrap_or(0).into(),
        config.healthy_after.map_or(0, nanos),
        config.ramp.map_or(0, nanos),
        config.ramp_from.to_bits(),
    ]
}

/// The settings in words from an arena; whatever they are, they are validated as any.
fn config(words: &[u64]) -> Result<BreakerConfig, ConfigError> {
    let small = |word: u64| u32::try_from(word).unwrap_or(u32::MAX);
    let some = |word: u64| (word != 0).then_some(word);
    let window = match words[0] {
        0 => Window::Calls(small(words[1])),
        _ => Window::Duration(Duration::from_nanos(words[1])),
    };
    let config = BreakerConfig {
        window,
        failure_rate_threshold: f64::from_bits(words[2]),
        slow_call_duration: some(words[3]).map(Duration::from_nanos),
        slow_call_rate_threshold: f64::from_bits(words[4]),
        consecutive_failures: some(words[5]).map(small),
        min_calls: small(words[6]),
        cooldown: Duration::from_nanos(words[7]),
        cooldown_backoff: f64::from_bits(words[8]),
        max_cooldown: some(words[9]).map(Duration::from_nanos),
        cooldown_jitter: f64::from_bits(words[10]),
        probes: small(words[11]),
        probe_timeout: Duration::from_nanos(words[12]),
        probe_failure_rate_threshold: some(words[13]).map(f64::from_bits),
        probes_at_once: some(words[14]).map(small),
        healthy_after: some(words[15]).map(Duration::from_nanos),
        ramp: some(words[16]).map(Duration::from_nanos),
        ramp_from: f64::from_bits(words[17]),
    };
    config.validate()?;
    Ok(config)
}

/// What differs from the defaults, and the three that everybody asks for.
fn text(config: &BreakerConfig) -> String {
    let usual = BreakerConfig::default();
    let mut text = format!(
        "failure rate {} of at least {} calls, cooldown {:?}",
        config.failure_rate_threshold, config.min_calls, config.cooldown
    );
    let mut add = |more: String| text.push_str(&more);
    if let Some(slow) = config.slow_call_duration {
        add(format!(", slow from {slow:?} at {}", config.slow_call_rate_threshold));
    }
    if let Some(run) = config.consecutive_failures {
        add(format!(", {run} failures in a row"));
    }
    if config.cooldown_backoff != usual.cooldown_backoff {
        add(format!(", backoff {}", config.cooldown_backoff));
    }
    if let Some(most) = config.max_cooldown {
        add(format!(", at most {most:?}"));
    }
    if config.cooldown_jitter != usual.cooldown_jitter {
        add(format!(", jitter {}", config.cooldown_jitter));
    }
    if config.probe_timeout != usual.probe_timeout {
        add(format!(", probes time out after {:?}", config.probe_timeout));
    }
    if let Some(rate) = config.probe_failure_rate_threshold {
        add(format!(", probes at {rate}"));
    }
    if let Some(at_once) = config.probes_at_once {
        add(format!(", {at_once} at once"));
    }
    if let Some(healthy) = config.healthy_after {
        add(format!(", healthy after {healthy:?}"));
    }
    if let Some(ramp) = config.ramp {
        add(format!(", ramp {ramp:?} from {}", config.ramp_from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn open(arena: &Arc<Arena>, config: BreakerConfig, on_conflict: OnConflict) -> Result<CircuitBreaker, ArenaError> {
        CircuitBreaker::in_arena(arena, "it", config, on_conflict)
    }

    #[test]
    fn settings_come_back_as_they_were() {
        let odd = BreakerConfig {
            window: Window::Duration(Duration::from_secs(7)),
            slow_call_duration: Some(Duration::from_millis(3)),
            consecutive_failures: Some(4),
            max_cooldown: Some(Duration::from_secs(90)),
            cooldown_jitter: 0.25,
            probes: 5,
            probe_failure_rate_threshold: Some(0.75),
            probes_at_once: Some(2),
            healthy_after: Some(Duration::from_secs(11)),
            ramp: Some(Duration::from_secs(13)),
            ramp_from: 0.3,
            ..BreakerConfig::default()
        };
        for config in [BreakerConfig::default(), odd] {
            assert_eq!(super::config(&words(&config)), Ok(config));
        }
    }

    #[test]
    fn two_handles_are_one_breaker() {
        let clock = crate::ManualClock::new(0);
        let arena = Arena::private("breaker", 1 << 20, (&clock).into()).expect("an arena");
        let one = open(&arena, BreakerConfig::default(), OnConflict::Error).expect("made");
        let two = open(&arena, BreakerConfig::default(), OnConflict::Error).expect("opened");
        for breaker in [&one, &two].into_iter().cycle().take(10) {
            let permit = breaker.acquire().expect("closed");
            breaker.report(permit, super::super::Outcome::Failure, None);
        }
        assert_eq!((one.state(), two.state()), (State::Open, State::Open));
        assert!(one.acquire().is_err());
        clock.advance(Duration::from_secs(30));
        let probe = two.acquire().expect("a probe");
        assert!(one.acquire().is_err(), "there is one probe for both");
        one.report(probe, super::super::Outcome::Success, None);
        assert_eq!(two.state(), State::Closed);
        assert_eq!(one.stats().rejected, 2);
    }

    #[test]
    fn another_shape_is_refused_and_other_thresholds_as_told() {
        let arena = Arena::private("breaker", 1 << 20, crate::ManualClock::new(0).into()).expect("an arena");
        open(&arena, BreakerConfig::default(), OnConflict::Error).expect("made");
        let wide = BreakerConfig { window: Window::Calls(50), ..BreakerConfig::default() };
        let error = open(&arena, wide, OnConflict::Apply).expect_err("another window");
        assert_eq!(error.kind(), crate::arena::ArenaErrorKind::Shape);
        assert!(
            error.message().contains("the last 20 calls") && error.message().contains("the last 50 calls"),
            "{error}"
        );
        let strict = BreakerConfig { failure_rate_threshold: 0.1, ..BreakerConfig::default() };
        let error = open(&arena, strict.clone(), OnConflict::Error).expect_err("another threshold");
        assert_eq!(error.kind(), crate::arena::ArenaErrorKind::Settings);
        assert!(
            error.message().contains("failure rate 0.5") && error.message().contains("failure rate 0.1"),
            "{error}"
        );
        let kept = open(&arena, strict.clone(), OnConflict::Keep).expect("kept");
        assert_eq!(*kept.config(), BreakerConfig::default());
        let applied = open(&arena, strict.clone(), OnConflict::Apply).expect("applied");
        assert_eq!(*applied.config(), strict);
        assert_eq!(*open(&arena, strict.clone(), OnConflict::Error).expect("the same").config(), strict);
    }
}
