//! The settings in force: shared by all who have the breaker, changed at run time, read without a lock.
//!
//! A set of words holds all of them, and the word that names the set carries what every call asks, see
//! [`Sets`]. A call that needs more than that word takes all it needs in one reading, so it goes by the settings before
//! a change or by those after, never by some of each.

use super::CircuitBreaker;
use super::Outcomes;
use super::config::BreakerConfig;
use super::events::EventKind;
use super::layout::{Layout, Origin};
use super::rules::{Judge, Rules, nanos};
use super::state::State;
use super::words::{self, CONFIG_WORDS};
use crate::ConfigError;
use crate::memory::{Latest, SetWord, Sets};
use crate::sync::Ordering;

#[cfg(not(loom))]
type Word = crate::sync::AtomicU64;
#[cfg(loom)]
type Word = std::sync::atomic::AtomicU64;

/// No cooldown in force can be longer, its jitter included: not one that began under other settings either.
pub(super) const LONGEST_COOLDOWN: usize = CONFIG_WORDS;
/// As that, for the leases of probes.
pub(super) const LONGEST_LEASE: usize = CONFIG_WORDS + 1;
/// Where the log of calls stood when these settings came: what stands before has been judged by those before.
pub(super) const MARK: usize = CONFIG_WORDS + 2;
/// How large the window is: calls, or slices.
pub(super) const SIZE: usize = CONFIG_WORDS + 3;
/// `min_calls`, at most the calls of the window.
pub(super) const LEAST: usize = CONFIG_WORDS + 4;
const SET_WORDS: usize = CONFIG_WORDS + 5;

/// Settings that hold, and some that did.
pub(super) type SettingSets = Sets<SET_WORDS, Word>;

const TIMES_CALLS: u64 = 1 << 32;
const COUNTS_RUNS: u64 = 1 << 33;

/// What every call asks of the settings: `counts runs:1 | times calls:1 | min_calls:32`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brief(u64);

impl Brief {
    /// Whether a permit must know when its call began.
    #[inline]
    pub(super) fn times_calls(self) -> bool {
        self.0 & TIMES_CALLS != 0
    }

    #[inline]
    pub(super) fn counts_runs(self) -> bool {
        self.0 & COUNTS_RUNS != 0
    }

    /// A success is nothing but an entry in the log.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        self.0 & (TIMES_CALLS | COUNTS_RUNS) == 0
    }

    #[inline]
    pub(super) fn min_calls(self) -> u32 {
        self.0 as u32
    }

    fn of(rules: &Judge) -> u64 {
        let flag = |is: bool, bit| if is { bit } else { 0 };
        u64::from(rules.thresholds.min_calls)
            | flag(rules.times_calls(), TIMES_CALLS)
            | flag(rules.counts_runs(), COUNTS_RUNS)
    }
}

impl CircuitBreaker {
    #[inline]
    fn latest(&self) -> &Latest {
        &self.head.control.settings
    }

    #[inline]
    pub(super) fn brief(&self) -> Brief {
        Brief(self.latest().payload())
    }

    /// What a fast success must know, of one moment: with it the duration from which a call is slow.
    #[inline]
    pub(super) fn brief_and_slow_ns(&self) -> (Brief, u64) {
        self.head.sets.read(self.latest(), |_, brief, set| (Brief(brief), words::or_never(set[words::SLOW_CALL].get())))
    }

    /// What a report asks of the settings of one moment.
    #[inline]
    pub(super) fn judge(&self) -> Judge {
        self.head.sets.read(self.latest(), |version, _, set| Judge::of(|at| set[at].get(), version, &self.layout))
    }

    /// All settings of which `judge` is a part; those in force where they stand nowhere any more.
    pub(super) fn rules_of(&self, judge: &Judge) -> Rules {
        let of = |version, set: &[Word; SET_WORDS]| Rules::of(|at| set[at].get(), version, &self.layout, self.origin);
        self.head.sets.read_version(self.latest(), judge.version, of).unwrap_or_else(|| self.rules())
    }

    /// The settings of one moment, ready for use.
    pub(super) fn rules(&self) -> Rules {
        self.head
            .sets
            .read(self.latest(), |version, _, set| Rules::of(|at| set[at].get(), version, &self.layout, self.origin))
    }

    pub(super) fn longest_cooldown_ns(&self) -> u64 {
        self.head.sets.read(self.latest(), |_, _, set| set[LONGEST_COOLDOWN].get())
    }

    /// Its settings in force.
    pub fn config(&self) -> BreakerConfig {
        // Of a key that has no breaker any more: as one was made that stood in its place.
        self.look(|it, _| it.config_here()).unwrap_or_else(|| self.config_here())
    }

    fn config_here(&self) -> BreakerConfig {
        let set = self.head.sets.read(self.latest(), |_, _, set| std::array::from_fn(|i| set[i].get()));
        words::config(&set)
    }

    /// Changes the settings in force, for all who share the breaker.
    ///
    /// State, generation, permits, probes that are out, the present cooldown and the calls in the window stay. A report
    /// goes by the settings before or by those after, never by some of each. The change judges nothing by itself: the
    /// next call that fails or is slow does, and the one with which `min_calls` is reached.
    ///
    /// - A larger or smaller window holds what it would had it always been so large.
    /// - A half-open cycle ends with as many `probes` as it began with, and each by the `probe_timeout` it was given; a
    ///   cooldown ends when it was to.
    /// - A call that began while none was slow has no time of its own: it is slow only if its report brings a duration.
    /// - Failures in a row count from the change that asks for them.
    ///
    /// Errors: as [`new`](Self::new); kind [`Conflict`](crate::ConfigErrorKind::Conflict) for a window of the other
    /// kind, and [`OutOfRange`](crate::ConfigErrorKind::OutOfRange) for what it has no room for: more calls than the
    /// window it was made with or 992, less than half or more than five times the duration it was made with, more
    /// probes than it was made with or 16, a `probe_timeout` beyond 18 hours unless it was made with one. In an arena,
    /// `arena` when the system refuses its lock. Nothing is changed then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate::{BreakerConfig, CircuitBreaker};
    ///
    /// let breaker = CircuitBreaker::new("payments", BreakerConfig::default())?;
    /// breaker.set_config(&BreakerConfig { cooldown: Duration::from_secs(5), ..breaker.config() })?;
    /// assert_eq!(breaker.config().cooldown, Duration::from_secs(5));
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn set_config(&self, config: &BreakerConfig) -> Result<(), ConfigError> {
        self.set_config_at(self.clock.now(), config)
    }

    /// [`set_config`](Self::set_config) at `now` nanoseconds of this breaker's clock, which the event carries.
    pub fn set_config_at(&self, now: u64, config: &BreakerConfig) -> Result<(), ConfigError> {
        let held = self.changes.lock()?;
        if self.has_gone(self.control()) {
            drop(held);
            return self.successor(now)?.set_config_at(now, config);
        }
        self.change(now, config)
    }

    /// [`set_config`](Self::set_config) with some of the present settings changed, and nobody else's change in between.
    pub fn update_config(&self, update: impl FnOnce(&mut BreakerConfig)) -> Result<(), ConfigError> {
        let held = self.changes.lock()?;
        if self.has_gone(self.control()) {
            drop(held);
            return self.successor(self.clock.now())?.update_config(update);
        }
        let mut config = self.config();
        update(&mut config);
        self.change(self.clock.now(), &config)
    }

    /// Under the lock.
    pub(super) fn change(&self, now: u64, config: &BreakerConfig) -> Result<(), ConfigError> {
        config.validate()?;
        self.layout.check(config)?;
        let before = self.rules();
        if words::words(&self.config()) == words::words(config) {
            return Ok(());
        }
        let seen = self.control();
        let mut set = first_set(config, &self.layout, self.origin);
        // What began under the settings before may last as long as those said.
        if seen.state() == State::Open {
            set[LONGEST_COOLDOWN] = set[LONGEST_COOLDOWN].max(before.longest_cooldown_ns);
        }
        if seen.state() == State::HalfOpen {
            set[LONGEST_LEASE] = set[LONGEST_LEASE].max(before.longest_lease_ns);
        }
        if let Outcomes::Count(window) = &self.outcomes {
            set[MARK] = window.mark();
        }
        if !before.judge.counts_runs() {
            // Relaxed: published with the settings by which it counts.
            self.head.run.store(seen.no_run(), Ordering::Relaxed);
        }
        self.put(set);
        self.emit(EventKind::Configured, now);
        Ok(())
    }

    /// The first settings, before anybody else has the breaker.
    pub(super) fn put_first(&self, config: &BreakerConfig) {
        self.put(first_set(config, &self.layout, self.origin));
    }

    fn put(&self, set: [u64; SET_WORDS]) {
        let brief = Brief::of(&Judge::of(|at| set[at], 0, &self.layout));
        self.head.sets.write(self.latest(), set, brief);
    }
}

pub(super) fn first_set(config: &BreakerConfig, layout: &Layout, origin: Origin) -> [u64; SET_WORDS] {
    let mut set = [0; SET_WORDS];
    set[..CONFIG_WORDS].copy_from_slice(&words::words(config));
    let rules = Rules::of(|at| set[at], 0, layout, origin);
    set[LONGEST_COOLDOWN] = rules.own_longest_cooldown_ns();
    set[LONGEST_LEASE] = nanos(config.probe_timeout);
    let size = layout.size(config.window);
    set[SIZE] = size.into();
    set[LEAST] = if layout.counts_calls() { config.min_calls.min(size) } else { config.min_calls }.into();
    set
}
