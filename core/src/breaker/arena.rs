//! A breaker that processes share.

use super::CircuitBreaker;
use super::config::{BreakerConfig, Window};
use super::layout::Layout;
use super::words::{self, words};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings, damaged};
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;

impl CircuitBreaker {
    /// The breaker `name` of an arena, opened or made: one state, one window and one set of probes for all who share
    /// the arena, on its clock. The probes of a process that dies come back at the first denial 10 ms or more after its
    /// death.
    ///
    /// Settings are shared as well: [`OnConflict::Apply`] and [`set_config`](Self::set_config) change them for all, and
    /// what was changed at run time stays when a worker that declares the same as before opens it again.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: a window of the other kind or, unless `on_conflict` says
    /// otherwise, other settings under the name.
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

    fn basis(config: &BreakerConfig) -> [u64; 8] {
        let [kind, size, probes, lease_shift] = Layout::of(config).words();
        [kind, size, probes, lease_shift, 0, 0, 0, 0]
    }

    fn config(context: &OpenContext, _: Option<&BreakerConfig>) -> Result<BreakerConfig, ConfigError> {
        let words = &context.settings.words;
        let config = words::config(words.first_chunk().expect("as many words as there are settings"));
        config.validate()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &BreakerConfig) -> Result<Self, ConfigError> {
        let [kind, size, probes, lease_shift, ..] = context.basis;
        let layout = Layout::from_words([kind, size, probes, lease_shift]).ok_or_else(|| damaged("window_calls"))?;
        let (name, clock) = (context.name.clone(), context.arena.clock().clone());
        Self::in_room(&mut context.room, name, config, layout, context.born_ns, clock)
    }

    fn apply(&self, _: &OpenContext, _: &BreakerConfig, own: &BreakerConfig) -> Result<(), ConfigError> {
        self.change(self.clock.now(), own)
    }
}

pub(super) fn shape(config: &BreakerConfig) -> String {
    let window = match config.window {
        Window::Calls(_) => "calls",
        Window::Duration(_) => "time",
    };
    format!("a window of {window}")
}

/// What differs from the defaults, and what everybody asks for.
pub(super) fn text(config: &BreakerConfig) -> String {
    let usual = BreakerConfig::default();
    let window = match config.window {
        Window::Calls(calls) => format!("the last {calls} calls"),
        Window::Duration(span) => format!("the calls of the last {span:?}"),
    };
    let probes = if config.probes == 1 { "1 probe".to_owned() } else { format!("{} probes", config.probes) };
    let mut text = format!(
        "failure rate {} of at least {} of {window}, cooldown {:?}, {probes}",
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
    use std::time::Duration;

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
            assert_eq!(words::config(&words(&config)), config);
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
        let timed = BreakerConfig { window: Window::Duration(Duration::from_secs(10)), ..BreakerConfig::default() };
        let error = open(&arena, timed, OnConflict::Apply).expect_err("another window");
        assert_eq!(error.kind(), crate::arena::ArenaErrorKind::Shape);
        assert!(error.message().contains("of calls") && error.message().contains("of time"), "{error}");
        let huge = BreakerConfig { window: Window::Calls(993), ..BreakerConfig::default() };
        let error = open(&arena, huge, OnConflict::Apply).expect_err("no room");
        assert!(error.message().contains("993 is not within 1 to 992"), "{error}");
        let strict = BreakerConfig { failure_rate_threshold: 0.1, ..BreakerConfig::default() };
        let error = open(&arena, strict.clone(), OnConflict::Error).expect_err("another threshold");
        assert_eq!(error.kind(), crate::arena::ArenaErrorKind::Settings);
        assert!(
            error.message().contains("failure rate 0.5") && error.message().contains("failure rate 0.1"),
            "{error}"
        );
        let kept = open(&arena, strict.clone(), OnConflict::Keep).expect("kept");
        assert_eq!(kept.config(), BreakerConfig::default());
        let applied = open(&arena, strict.clone(), OnConflict::Apply).expect("applied");
        assert_eq!((applied.config(), kept.config()), (strict.clone(), strict.clone()), "for all who have it open");
        assert_eq!(open(&arena, strict.clone(), OnConflict::Error).expect("the same").config(), strict);
        // What is changed at run time is not declared, and stays.
        let wide = BreakerConfig { window: Window::Calls(50), ..BreakerConfig::default() };
        kept.set_config(&wide).expect("room");
        assert_eq!(open(&arena, strict, OnConflict::Error).expect("as declared").config(), wide);
    }
}
