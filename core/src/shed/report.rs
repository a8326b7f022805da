//! What a shedder tells of itself.

use super::priority::{PLACES, Priority, of_place};
use super::shedder::{ADMITTED, LoadShedder, MS, SHED, WOULD_SHED};
use super::signal::{SignalKind, pressure_of};
use super::threshold::{CRITICAL, UNIT, Word, shed_at};
use crate::sync::Ordering;

/// What the last step found, in a word: `pressure:32 | leader:8 | share:16`, the pressure in millionths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) pressure: f64,
    /// The signal with that pressure.
    pub(super) leader: Option<usize>,
    /// Which part of the calls is shed.
    pub(super) share: f64,
}

const NOBODY: u64 = 255;
const SHARES: f64 = 65_535.0;
const MILLION: f64 = 1e6;

impl Report {
    pub(super) fn pack(self) -> u64 {
        let leader = self.leader.map_or(NOBODY, |at| at as u64);
        let share = (self.share * SHARES).ceil() as u64 & 0xffff;
        // Down: what is not full does not look it.
        ((self.pressure * MILLION) as u64) << 32 | leader << 16 | share
    }

    pub(super) fn unpack(word: u64) -> Self {
        let leader = Some(word >> 16 & 0xff).filter(|at| *at != NOBODY).map(|at| at as usize);
        Self { pressure: ((word >> 32) as f64 / MILLION).min(1.0), leader, share: (word & 0xffff) as f64 / SHARES }
    }
}

/// Counts since the shedder was made, of all who share it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ShedderStats {
    /// Calls that were admitted.
    pub admitted: u64,
    /// Calls that were refused, of each priority.
    pub shed: [u64; 4],
    /// Calls that a dry run let through and that would have been refused.
    pub would_shed: u64,
    /// The largest pressure at the last step.
    pub pressure: f64,
    /// The part of the calls that the threshold refuses, by what was asked for of late.
    pub shed_share: f64,
}

/// How late the event loops of this process come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoopLag {
    /// Nanoseconds; 99 of 100 ticks of the last seconds were not later.
    pub p99_ns: u64,
    /// The latest of the last eight intervals.
    pub max_ns: u64,
}

/// A signal at this moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SignalReading {
    /// Its name.
    pub name: String,
    /// What it measures.
    pub kind: SignalKind,
    /// What was told or read of late. `None`: nothing.
    pub value: Option<f64>,
    /// The pressure of that; 0 without a value.
    pub pressure: f64,
    /// Where it begins.
    pub start: f64,
    /// Where it is full.
    pub full: f64,
    /// Why there is no value.
    pub off: Option<String>,
}

impl LoadShedder {
    fn word(&self) -> Word {
        // Relaxed: as in `admit`.
        Word::unpack(self.control.word.load(Ordering::Relaxed))
    }

    /// The last step's report; nothing where that is too long ago.
    fn report_at(&self, now: u64) -> Report {
        let now_ms = self.since_epoch(now) / MS;
        let is_live = Word { threshold: 1, ..self.word() }.in_force(now_ms, self.lasts_ms()) == 1;
        // Relaxed: see `step`.
        match is_live {
            true => Report::unpack(self.progress.report.load(Ordering::Relaxed)),
            false => Report { pressure: 0.0, leader: None, share: 0.0 },
        }
    }

    /// The signal with the largest pressure, and that.
    pub(crate) fn leader_at(&self, now: u64) -> (Option<&str>, f64) {
        let Report { pressure, leader, .. } = self.report_at(now);
        (leader.and_then(|at| self.config.signals.get(at)).map(|signal| signal.name.as_str()), pressure)
    }

    fn threshold_at(&self, now: u64) -> u64 {
        self.word().in_force(self.since_epoch(now) / MS, self.lasts_ms())
    }

    /// The part of the calls of this priority and level that is refused, 0 to 1, by a look.
    pub(crate) fn shed_part_at(&self, now: u64, priority: Priority, level: u8) -> f64 {
        let shed = shed_at(self.threshold_at(now), priority.place(level)) as f64 / UNIT as f64;
        shed * (1.0 - self.tuning.load().min_admit)
    }

    /// Nanoseconds until a call of this priority and level passes if the pressure falls to 0 now; at least an interval,
    /// at most a minute.
    pub fn retry_after_ns(&self, priority: Priority, level: u8) -> u64 {
        self.retry_after_ns_at(self.clock.now(), priority, level)
    }

    /// [`retry_after_ns`](Self::retry_after_ns) at `now`.
    pub fn retry_after_ns_at(&self, now: u64, priority: Priority, level: u8) -> u64 {
        let (threshold, share) = (self.threshold_at(now), self.report_at(now).share);
        let above = threshold.saturating_sub(priority.place(level) as u64 * UNIT);
        // As if what is shed were spread evenly below the threshold.
        let part = if threshold == 0 { 0.0 } else { share * above as f64 / threshold as f64 };
        let steps = ((part / self.tuning.load().fall).ceil() as u64).max(1);
        let cool_off = self.cool_off_left_ms(self.since_epoch(now) / MS) * MS;
        steps.saturating_mul(self.interval_ns()).saturating_add(cool_off).min(60_000 * MS)
    }

    /// What it did.
    pub fn stats(&self) -> ShedderStats {
        self.stats_at(self.clock.now())
    }

    /// [`stats`](Self::stats) at `now`.
    pub fn stats_at(&self, now: u64) -> ShedderStats {
        let Report { pressure, share, .. } = self.report_at(now);
        ShedderStats {
            admitted: self.counts.sum(ADMITTED),
            shed: Priority::ALL.map(|priority| self.counts.sum(SHED + priority as usize)),
            would_shed: self.counts.sum(WOULD_SHED),
            pressure,
            shed_share: share,
        }
    }

    /// All signals, in the order in which they were given.
    pub fn signals(&self) -> Vec<SignalReading> {
        self.signals_at(self.clock.now())
    }

    /// [`signals`](Self::signals) at `now`.
    pub fn signals_at(&self, now: u64) -> Vec<SignalReading> {
        let interval = self.since_epoch(now) / self.interval_ns() + 1;
        let tuning = self.tuning.load();
        let reading = |(at, signal): (usize, &super::Signal)| {
            let (value, (start, full)) = (self.cells[at].value(interval), tuning.ranges[at]);
            SignalReading {
                name: signal.name.clone(),
                kind: signal.kind,
                value,
                pressure: value.and_then(|it| pressure_of(it, start, full)).unwrap_or_default(),
                start,
                full,
                off: value.is_none().then(|| self.sources.why_off(at)),
            }
        };
        self.config.signals.iter().enumerate().map(reading).collect()
    }

    /// How late the event loops of this process come; `None`: nobody has told of late.
    pub fn loop_lag(&self) -> Option<LoopLag> {
        self.sources.lag.seen().map(|seen| LoopLag { p99_ns: seen.p99, max_ns: seen.longest })
    }

    /// The state in words, a line for each thing that may hold it where it is: for people, and the text may change.
    pub fn explain(&self) -> Vec<String> {
        self.explain_at(self.clock.now())
    }

    /// [`explain`](Self::explain) at `now`.
    pub fn explain_at(&self, now: u64) -> Vec<String> {
        let (now_ms, threshold) = (self.since_epoch(now) / MS, self.threshold_at(now));
        let Report { pressure, share, .. } = self.report_at(now);
        let mut lines = vec![match self.leader_at(now).0 {
            Some(leader) => format!("pressure: {pressure:.3}, of {leader}"),
            None => "pressure: 0".to_owned(),
        }];
        lines.push(match threshold {
            0 => "threshold: none, all pass".to_owned(),
            _ => {
                let (priority, level) = of_place(((threshold / UNIT) as usize).min(PLACES - 1));
                format!("threshold: {priority} from level {level} on, {:.1} % of what was asked for", share * 100.0)
            }
        });
        lines.push(match self.cool_off_left_ms(now_ms) {
            0 => "cool-off: over".to_owned(),
            left => format!("cool-off: for {left} ms more it does not fall"),
        });
        if threshold > CRITICAL {
            lines.push("critical: shed too".to_owned());
        }
        for signal in self.signals_at(now) {
            let SignalReading { name, value, pressure, start, full, off, .. } = signal;
            lines.push(match (value, off) {
                (Some(value), _) => format!("{name}: {value:.4}, pressure {pressure:.3} ({start} to {full})"),
                (None, why) => format!("{name}: off, {}", why.unwrap_or_default()),
            });
        }
        if let Some(lag) = self.loop_lag() {
            let ms = |ns: u64| ns as f64 / 1e6;
            lines.push(format!("loop lag: p99 {:.1} ms, longest {:.1} ms", ms(lag.p99_ns), ms(lag.max_ns)));
        }
        if self.config.signals.iter().any(|signal| signal.kind.is_of_host()) {
            lines.extend(self.sources.host.explain());
        }
        lines
    }
}
