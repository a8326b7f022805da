//! Decisions.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::cells::Cell;
use super::config::ShedderConfig;
use super::host::CpuBase;
use super::level::LevelKey;
use super::levels::Levels;
use super::priority::Priority;
use super::sampling::Sources;
use super::signal::MOST_SIGNALS;
use super::threshold::{UNIT, Word, shed_at};
use super::turn::Turn;
use crate::counters::Striped;
use crate::memory::{ObjectAllocator, One, SharedSlice, Zeroable};
use crate::mode::Mode;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::draw;
use crate::{Clock, ConfigError, ConfigErrorKind};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// Sheds load, the less important first, by as much as signals of too much work ask for.
///
/// Each signal has a pressure, `clamp((value − start) / (full − start), 0, 1)`, and the largest counts. At 1 the
/// threshold rises each `interval` until 5 % fewer of the calls that pass would have, at 0 it falls until 2 % of all
/// more would have, between it is held; and for `cool_off` after full pressure it does not fall. Calls below it are
/// refused: first the last level of `Sheddable`, last of all `Critical` ones, and these only while the pressure has
/// been at `critical_at` for `critical_after`. Of each class a part of `min_admit` passes in any case.
///
/// Nothing runs by itself: a call whose turn it is reads one signal. Where calls are rare, or block each other, let a
/// loop [`sample`](Self::sample) as well. A threshold that nobody has looked after for eight intervals refuses nobody.
///
/// Thread safety: all methods may be called from any thread at any time. A decision reads one word; while nobody is
/// refused each 64th looks at the clock at most. No lock; who has the turn reads a file, or calls a function of yours.
///
/// Source: levels of users by a hash of the hour, the histogram and its step from WeChat's DAGOR ("Overload Control for
/// Scaling WeChat Microservices", SoCC '18); pressure from Envoy's overload manager; the cool-off from go-zero.
///
/// ```
/// use tidegate::shed::{LoadShedder, Priority, ShedderConfig, Signal, SignalKind};
///
/// let shedder = LoadShedder::new(ShedderConfig::new(vec![
///     Signal::new(SignalKind::QueueDelay),
///     Signal::new(SignalKind::Cpu),
/// ]))?;
/// shedder.tell("queue_delay", 0.001)?;
/// assert!(shedder.admit(Priority::Normal, shedder.level_of(b"user 7")));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct LoadShedder {
    /// The word.
    pub(super) control: One<Control>,
    pub(super) progress: One<Progress>,
    pub(super) turn: One<Turn>,
    pub(super) levels: One<Levels>,
    pub(super) cells: SharedSlice<Cell>,
    pub(super) cpu: One<CpuBase>,
    pub(super) counts: Striped<LANES>,
    /// What only this process has.
    pub(super) sources: Sources,
    pub(super) key: LevelKey,
    /// As made; of what may change since, `tuning` has what holds.
    pub(super) config: ShedderConfig,
    pub(super) tuning: ArcSwap<Tuning>,
    pub(super) clock: Clock,
    pub(super) epoch_ns: u64,
}

/// What may change while it is in use.
#[derive(Debug)]
pub(super) struct Tuning {
    pub(super) rise: f64,
    pub(super) fall: f64,
    pub(super) min_admit: f64,
    pub(super) critical_at: f64,
    pub(super) critical_after: Duration,
    pub(super) cool_off: Duration,
    /// Where the pressure of each signal begins, and where it is full.
    pub(super) ranges: Vec<(f64, f64)>,
}

impl Tuning {
    fn of(config: &ShedderConfig) -> Self {
        let ShedderConfig { rise, fall, min_admit, critical_at, critical_after, cool_off, .. } = *config;
        let ranges = config.signals.iter().map(|signal| (signal.start, signal.full)).collect();
        Self { rise, fall, min_admit, critical_at, critical_after, cool_off, ranges }
    }
}

const STAYS: &str = "stays as the shedder was made with; it needs a new object";

/// What decisions read.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Control {
    pub(super) word: AtomicU64,
}

/// What steps go on from.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Progress {
    /// The threshold does not fall until this millisecond; 0: it may.
    pub(super) hot_until: AtomicU64,
    /// From which millisecond on the pressure has been at `critical_at`; 0: it is not.
    pub(super) critical_since: AtomicU64,
    /// See [`Report`](super::report::Report).
    pub(super) report: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Control {}
// SAFETY: atomics only.
unsafe impl Zeroable for Progress {}

/// A decision with its reasons.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shed<'a> {
    /// Whether the call may be served.
    pub allowed: bool,
    /// The signal with the largest pressure; `None` where none has any.
    pub signal: Option<&'a str>,
    /// Its pressure at the last step, 0 to 1.
    pub pressure: f64,
    /// For a refused call: nanoseconds until one like it passes if the pressure falls to 0 now. Else 0.
    pub retry_after_ns: u64,
}

pub(super) const ADMITTED: usize = 0;
pub(super) const WOULD_SHED: usize = 1;
/// And one for each priority.
pub(super) const SHED: usize = 2;
pub(super) const LANES: usize = 6;

/// While the word is older than so many intervals nobody is refused.
const LASTS: u64 = 8;
pub(super) const MS: u64 = 1_000_000;

impl LoadShedder {
    /// A shedder on the monotonic clock.
    ///
    /// Errors: a setting outside its range; signals that go by the CPU alone.
    pub fn new(config: ShedderConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::monotonic())
    }

    /// [`new`](Self::new) on `clock`.
    ///
    /// Errors: as [`new`](Self::new).
    pub fn with_clock(config: ShedderConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        let now = clock.now();
        Self::in_room(&mut ObjectAllocator::of_process(false), config, now, clock)
    }

    /// The next parts of `room`; `config` was checked.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        config: ShedderConfig,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let (mut control, progress): (One<Control>, One<Progress>) = (room.one()?, room.one()?);
        let (turn, levels) = (room.one()?, room.one()?);
        let (cells, cpu, counts) = (room.cells(MOST_SIGNALS)?, room.one()?, Striped::in_room(room)?);
        if config.mode == Mode::Disabled {
            // A word of its own that stays open: decisions need not ask for the mode.
            control = ObjectAllocator::of_process(false).one()?;
            // Relaxed: nobody else knows it.
            let open = Word { threshold: 0, shift: 15, expires_ms: 0 };
            control.word.store(open.pack(), Ordering::Relaxed);
        }
        let sources = Sources::new(&config)?;
        let key = LevelKey::new(&config.level_key);
        let tuning = ArcSwap::from_pointee(Tuning::of(&config));
        Ok(Self { control, progress, turn, levels, cells, cpu, counts, sources, key, config, tuning, clock, epoch_ns })
    }

    /// Whether a call of this priority may be served. `level` is its place within the class, from 0, the last to be
    /// shed, to 127: [`level_of`](Self::level_of) its user, so that all of a user's calls meet one fate. Where all are
    /// of one level they are shed by chance.
    #[inline]
    pub fn admit(&self, priority: Priority, level: u8) -> bool {
        // Relaxed: the word is all there is to know.
        let word = self.control.word.load(Ordering::Relaxed);
        if Word::is_open(word) {
            // All else is one call at the end, so that this way keeps nothing for after it.
            match self.counts.bump(ADMITTED) {
                Some(count) if count & Word::mask(word) != 0 => return true,
                Some(_) => {}
                None => return self.first(word, priority, level),
            }
        }
        self.look(word, priority, level)
    }

    /// One of a thread that owns no stripe of the counts, while nobody is refused.
    #[inline(never)]
    fn first(&self, word: u64, priority: Priority, level: u8) -> bool {
        self.counts.bump_unowned(ADMITTED) & Word::mask(word) != 0 || self.look(word, priority, level)
    }

    /// One that looks at the clock; where the word is open it is counted already.
    #[inline(never)]
    fn look(&self, word: u64, priority: Priority, level: u8) -> bool {
        if self.config.mode == Mode::Disabled {
            return true;
        }
        let now = self.since_epoch(self.clock.now());
        if Word::is_open(word) {
            self.levels.count(priority.place(level), Word::mask(word) + 1);
            self.take_turn(now);
            return true;
        }
        self.decide(word, now, priority, level, draw())
    }

    /// [`admit`](Self::admit) at `now` nanoseconds of this shedder's clock, by a random number from 0 up to, but not
    /// including, 1: refused where it is not below the part of its level that passes, or is no number.
    pub fn admit_at(&self, now: u64, priority: Priority, level: u8, draw: f64) -> bool {
        if self.config.mode == Mode::Disabled {
            return true;
        }
        // Relaxed: as in `admit`.
        let word = self.control.word.load(Ordering::Relaxed);
        if Word::is_open(word) {
            self.counts.add(ADMITTED, 1);
        }
        self.decide(word, self.since_epoch(now), priority, level, draw)
    }

    fn decide(&self, word: u64, now: u64, priority: Priority, level: u8, draw: f64) -> bool {
        let (place, unpacked) = (priority.place(level), Word::unpack(word));
        self.levels.count(place, 1);
        let threshold = unpacked.in_force(now / MS, self.lasts_ms());
        let shed = shed_at(threshold, place) as f64 / UNIT as f64 * (1.0 - self.tuning.load().min_admit);
        // The other way round, no number would pass.
        let passes = shed == 0.0 || draw < 1.0 - shed;
        let allowed = passes || self.config.mode == Mode::DryRun;
        match (Word::is_open(word), passes, allowed) {
            (true, ..) => {}
            (false, true, _) => self.counts.add(ADMITTED, 1),
            (false, false, true) => self.counts.add(WOULD_SHED, 1),
            (false, false, false) => self.counts.add(SHED + priority as usize, 1),
        }
        self.take_turn(now);
        allowed
    }

    /// [`admit`](Self::admit) with its reasons.
    pub fn check(&self, priority: Priority, level: u8) -> Shed<'_> {
        self.check_at(self.clock.now(), priority, level, draw())
    }

    /// [`check`](Self::check) at `now`, by `draw`.
    pub fn check_at(&self, now: u64, priority: Priority, level: u8, draw: f64) -> Shed<'_> {
        let allowed = self.admit_at(now, priority, level, draw);
        let (signal, pressure) = self.leader_at(now);
        let retry_after_ns = if allowed { 0 } else { self.retry_after_ns_at(now, priority, level) };
        Shed { allowed, signal, pressure, retry_after_ns }
    }

    /// The largest pressure of all signals at the last step, 0 to 1. 0 where nobody has sampled of late.
    pub fn pressure(&self) -> f64 {
        self.pressure_at(self.clock.now())
    }

    /// [`pressure`](Self::pressure) at `now`.
    pub fn pressure_at(&self, now: u64) -> f64 {
        self.leader_at(now).1
    }

    /// Reads the next signal, or moves the threshold, if it is time: for a loop, where calls are rare. Once each 20 ms
    /// is often enough.
    pub fn sample(&self) {
        self.sample_at(self.clock.now());
    }

    /// [`sample`](Self::sample) at `now`.
    pub fn sample_at(&self, now: u64) {
        if self.config.mode != Mode::Disabled {
            self.take_turn(self.since_epoch(now));
        }
    }

    /// The level of a user, from 0 to 127: a keyed hash of user and hour, the same in all services with that key.
    pub fn level_of(&self, user: &[u8]) -> u8 {
        self.key.level(user)
    }

    /// [`level_of`](Self::level_of) at `unix_s` seconds since 1970.
    pub fn level_of_at(&self, user: &[u8], unix_s: u64) -> u8 {
        self.key.level_at(user, unix_s)
    }

    /// Changes what pressures its signals have (their ranges) and how it answers them: `rise`, `fall`, `min_admit`,
    /// `critical_at`, `critical_after` and `cool_off`. The threshold goes on from where it is. In an arena, for this
    /// handle: another process goes by its own.
    ///
    /// Errors: a setting outside its range; other signals than it was made with, or another `interval`, `cpu_limit` or
    /// `level_key`.
    pub fn set_config(&self, config: &ShedderConfig) -> Result<(), ConfigError> {
        self.check_config(config)?;
        self.tuning.store(Arc::new(Tuning::of(config)));
        Ok(())
    }

    /// Whether [`set_config`](Self::set_config) takes it.
    pub(crate) fn check_config(&self, config: &ShedderConfig) -> Result<(), ConfigError> {
        config.check()?;
        let own = &self.config;
        let same = |field, is_same: bool| match is_same {
            true => Ok(()),
            false => Err(ConfigError::new(ConfigErrorKind::Conflict, field, STAYS)),
        };
        let names = |of: &ShedderConfig| of.signals.iter().map(|it| (it.kind, it.name.clone())).collect::<Vec<_>>();
        same("signals", names(own) == names(config))?;
        same("interval", own.interval == config.interval)?;
        same("cpu_limit", own.cpu_limit == config.cpu_limit)?;
        same("level_key", own.level_key == config.level_key)
    }

    /// The same settings as a config: those it was made with, and what holds of what may change.
    pub fn config_in_force(&self) -> ShedderConfig {
        let (mut config, tuning) = (self.config.clone(), self.tuning.load());
        let Tuning { rise, fall, min_admit, critical_at, critical_after, cool_off, .. } = **tuning;
        (config.rise, config.fall, config.min_admit, config.critical_at) = (rise, fall, min_admit, critical_at);
        (config.critical_after, config.cool_off) = (critical_after, cool_off);
        for (signal, range) in config.signals.iter_mut().zip(&tuning.ranges) {
            (signal.start, signal.full) = *range;
        }
        config
    }

    /// Its settings as made.
    pub fn config(&self) -> &ShedderConfig {
        &self.config
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn since_epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.epoch_ns)
    }

    pub(super) fn lasts_ms(&self) -> u64 {
        LASTS * self.interval_ns() / MS
    }

    pub(super) fn interval_ns(&self) -> u64 {
        self.config.interval.as_nanos() as u64
    }
}
