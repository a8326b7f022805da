//! What is done by who has the turn: a signal is read, or the threshold moves.

use super::config::ShedderConfig;
use super::host::{Found, Host, Job, jobs};
use super::lag::Lag;
use super::report::Report;
use super::shedder::{LoadShedder, MS};
use super::signal::{Signal, SignalKind, pressure_of};
use super::threshold::{CRITICAL, TOP, Word, fallen, risen, share};
use super::turn::Turn;
use crate::memory::{ObjectAllocator, One};
use crate::sync::{AtomicU64, Ordering, load_for_cas};
use crate::sys::ForkLock;
use crate::{ConfigError, ConfigErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What only this process has: its readers, and what it was told.
pub(super) struct Sources {
    each: Vec<Source>,
    /// Signals that are read here, one after the other.
    own: Vec<usize>,
    turn: One<Turn>,
    /// What is read from the system's files, by one of all processes.
    jobs: Vec<Job>,
    pub(super) host: Host,
    pub(super) lag: Lag,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("own", &self.own).field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

/// Of one signal.
#[derive(Default)]
struct Source {
    /// Held while its function is at work.
    at_work: ForkLock<()>,
    /// Why it has no value; empty: it has.
    off: ForkLock<String>,
    /// The least of what was told in this interval, plus one in the bits of a number; 0: nothing.
    least: AtomicU64,
    /// What this process last put in the signal's cell.
    told: AtomicU64,
}

impl Source {
    fn off(&self, why: &str) {
        if let Some(mut off) = self.off.try_lock()
            && *off != why
        {
            why.clone_into(&mut off);
        }
    }

    /// Numbers from 0 on are in the order of their bits.
    fn tell_least(&self, value: f64) {
        let bits = value.max(0.0).to_bits() + 1;
        // Relaxed, all: the number is all that the word says.
        let _ = self
            .least
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| (word == 0 || bits < word).then_some(bits));
    }

    fn take_least(&self) -> Option<f64> {
        // Relaxed: as above.
        self.least.swap(0, Ordering::Relaxed).checked_sub(1).map(f64::from_bits)
    }
}

const NO_NUMBER: &str = "its function gave no number";
const PANICKED: &str = "its function panicked";
const AT_WORK: &str = "its function is still at work since an earlier time";
const TOLD_NO_NUMBER: &str = "it was told what is no number";

impl Sources {
    pub(super) fn new(config: &ShedderConfig) -> Result<Self, ConfigError> {
        let is_own = |signal: &Signal| {
            signal.read.is_some() || matches!(signal.kind, SignalKind::QueueDelay | SignalKind::LoopLag)
        };
        let signals = &config.signals;
        let turn = ObjectAllocator::of_process(false).one()?;
        Ok(Self {
            each: signals.iter().map(|_| Source::default()).collect(),
            own: (0..signals.len()).filter(|&at| is_own(&signals[at])).collect(),
            turn,
            jobs: jobs(signals.iter().map(|signal| signal.kind)),
            host: Host::new(config),
            lag: Lag::new(),
        })
    }

    /// Why a signal has no value.
    pub(super) fn why_off(&self, at: usize) -> String {
        match self.each[at].off.try_lock().map(|off| off.clone()) {
            Some(why) if !why.is_empty() => why,
            _ => "nobody has told it of late".to_owned(),
        }
    }
}

impl LoadShedder {
    /// What there is to do at `now` nanoseconds since the epoch, if it is the caller's turn: one of what all processes
    /// do together, and one of what this one reads: both, or calls that come seldom would only ever read.
    #[inline]
    pub(super) fn take_turn(&self, mut now: u64) {
        let sources = &self.sources;
        let count = sources.own.len() as u64;
        if count > 0
            && let Some(number) = sources.turn.take(now, self.interval_ns() / count, count)
        {
            let begun = self.clock.now();
            self.read(sources.own[number as usize], now);
            // A function may take long, and a step of a moment that is long past would undo those since.
            now = now.saturating_add(self.clock.now().saturating_sub(begun));
        }
        let count = sources.jobs.len() as u64 + 1;
        if let Some(number) = self.turn.take(now, self.interval_ns() / count, count) {
            match sources.jobs.get(number as usize) {
                Some(job) => self.run(*job, now),
                None => self.step(now),
            }
        }
    }

    fn interval_of(&self, now: u64) -> u64 {
        // From 1 on: see `cells`.
        now / self.interval_ns() + 1
    }

    /// A signal of this process.
    #[cold]
    fn read(&self, at: usize, now: u64) {
        let (signal, source) = (&self.config.signals[at], &self.sources.each[at]);
        let value = match (&signal.read, signal.kind) {
            (Some(read), _) => {
                let Some(_busy) = source.at_work.try_lock() else { return source.off(AT_WORK) };
                match catch_unwind(AssertUnwindSafe(|| read())) {
                    Ok(value) if value.is_nan() => return source.off(NO_NUMBER),
                    Ok(value) => Some(value),
                    Err(_) => return source.off(PANICKED),
                }
            }
            (None, SignalKind::LoopLag) => {
                let seen = self.sources.lag.seen();
                self.sources.lag.age();
                seen.map(|seen| seen.p99 as f64 / 1e9)
            }
            (None, _) => source.take_least(),
        };
        if let Some(value) = value {
            source.off("");
            self.cells[at].tell(self.interval_of(now), value, &source.told);
        }
    }

    /// What the system's files say.
    #[cold]
    fn run(&self, job: Job, now: u64) {
        let kind = match job {
            Job::Cpu => SignalKind::Cpu,
            Job::Cache | Job::Memory => SignalKind::Memory,
            Job::PsiCpu => SignalKind::PsiCpu,
            Job::PsiMemory => SignalKind::PsiMemory,
            Job::Limits => return drop(self.sources.host.run(job)),
        };
        let value = match self.sources.host.run(job) {
            Ok(Found::Nothing) => None,
            Ok(Found::Value(_, value)) => Some(value),
            Ok(Found::Cpu { usage, limit }) => self.cpu.next(usage, limit, now / MS),
            Err(why) => {
                return self.each_of(kind, |at| {
                    self.sources.each[at].off(&why);
                    self.cells[at].take_away();
                });
            }
        };
        if let Some(value) = value {
            self.each_of(kind, |at| {
                self.sources.each[at].off("");
                self.cells[at].put(self.interval_of(now), value);
            });
        }
    }

    fn each_of(&self, kind: SignalKind, act: impl Fn(usize)) {
        (0..self.config.signals.len()).filter(|&at| self.config.signals[at].kind == kind).for_each(act);
    }

    /// Tells a signal its value: of a gauge, a queue's fill or calls under way the largest of an interval counts, of a
    /// queue's delay (seconds) the least. For loop lag see [`tell_lag`](Self::tell_lag).
    ///
    /// What is no number is no value. Errors: there is no such signal, or it is read elsewhere.
    pub fn tell(&self, signal: &str, value: f64) -> Result<(), ConfigError> {
        self.tell_at(self.clock.now(), signal, value)
    }

    /// [`tell`](Self::tell) at `now`.
    pub fn tell_at(&self, now: u64, signal: &str, value: f64) -> Result<(), ConfigError> {
        let error = |message: String| Err(ConfigError::new(ConfigErrorKind::Conflict, "signal", message));
        let Some(at) = self.config.signals.iter().position(|it| it.name == signal) else {
            let names: Vec<_> = self.config.signals.iter().map(|it| format!("{:?}", it.name)).collect();
            return error(format!("{signal:?} is none of this shedder's: {}", names.join(", ")));
        };
        let it = &self.config.signals[at];
        if it.kind.is_of_host() || it.read.is_some() {
            return error(format!("{signal:?} is read by the shedder itself, and cannot be told"));
        }
        let source = &self.sources.each[at];
        if value.is_nan() {
            source.off(TOLD_NO_NUMBER);
            return Ok(());
        }
        match it.kind {
            SignalKind::QueueDelay => source.tell_least(value),
            SignalKind::LoopLag => {
                self.tell_lag(Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX), Duration::MAX)
            }
            _ => {
                source.off("");
                self.cells[at].tell(self.interval_of(self.since_epoch(now)), value, &source.told);
            }
        }
        Ok(())
    }

    /// A tick of an event loop came so late; they come each `period`. It goes to the signals of loop lag that have no
    /// function of their own.
    pub fn tell_lag(&self, late: Duration, period: Duration) {
        let ns = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.sources.lag.tell(ns(late), ns(period));
    }

    /// The threshold moves.
    #[cold]
    fn step(&self, now: u64) {
        let now_ms = now / MS;
        let (seen, asked) = self.levels.take();
        let (mut pressure, mut leader) = (0.0, None);
        let tuning = self.tuning.load();
        for (at, &(start, full)) in tuning.ranges.iter().enumerate() {
            let value = self.cells[at].value(self.interval_of(now));
            if let Some(own) = value.and_then(|value| pressure_of(value, start, full))
                && own > pressure
            {
                (pressure, leader) = (own, Some(at));
            }
        }
        let word = load_for_cas(&self.control.word);
        let before = Word::unpack(word);
        let threshold = before.in_force(now_ms, self.lasts_ms());
        let since_step = before.age_ms(now_ms, self.lasts_ms());
        let most = if self.critical_may_go(pressure, now_ms, since_step) { TOP } else { CRITICAL };
        let threshold = if pressure >= 1.0 {
            // Relaxed: only steps read it, and they are intervals apart.
            self.progress.hot_until.store(now_ms.saturating_add(self.cool_off_ms()), Ordering::Relaxed);
            risen(&seen, threshold, tuning.rise, most)
        } else if pressure <= 0.0 && self.cool_off_left_ms(now_ms) == 0 {
            fallen(&seen, threshold, tuning.fall)
        } else {
            threshold
        };
        let threshold = threshold.min(most);
        let new = Word { threshold, shift: Word::shift_for(asked), expires_ms: now_ms.saturating_add(self.lasts_ms()) };
        // Relaxed, both: see `admit`. Of two who overlap one has stepped.
        let done = self.control.word.compare_exchange(word, new.pack(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if done {
            let report = Report { pressure, leader, share: share(&seen, threshold) };
            // Relaxed: it is told, and decides nothing.
            self.progress.report.store(report.pack(), Ordering::Relaxed);
        }
    }

    /// Whether the pressure has been where critical calls are shed for long enough. Between two steps so much counts as
    /// a signal's value lasts: of the rest nobody knows. Where the last is no longer in force it begins anew.
    fn critical_may_go(&self, pressure: f64, now_ms: u64, since_step: Option<u64>) -> bool {
        let since = &self.progress.critical_since;
        // Relaxed, all: only steps come here, and they are intervals apart.
        let tuning = self.tuning.load();
        if pressure < tuning.critical_at {
            since.store(0, Ordering::Relaxed);
            return false;
        }
        // 0 is "not yet": the first millisecond passes for the second.
        let now_ms = now_ms.max(1);
        let begun = match (since.load(Ordering::Relaxed), since_step) {
            (0, _) | (_, None) => now_ms,
            (begun, Some(span)) => begun.saturating_add(span.saturating_sub(2 * self.interval_ns() / MS)),
        };
        let begun = if begun > now_ms { now_ms } else { begun };
        since.store(begun, Ordering::Relaxed);
        u128::from(now_ms - begun) >= tuning.critical_after.as_millis()
    }

    fn cool_off_ms(&self) -> u64 {
        self.tuning.load().cool_off.as_millis() as u64
    }

    /// One further ahead than a step could have put it is a bad reading's.
    pub(super) fn cool_off_left_ms(&self, now_ms: u64) -> u64 {
        // Relaxed: as above.
        let left = self.progress.hot_until.load(Ordering::Relaxed).saturating_sub(now_ms);
        if left > self.cool_off_ms() { 0 } else { left }
    }
}
