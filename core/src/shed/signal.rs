//! What tells that a service has too much to do.

use crate::concurrency::ConcurrencyLimiter;
use crate::queue::BoundedQueue;
use crate::{ConfigError, ConfigErrorKind};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most signals of a shedder.
pub const MOST_SIGNALS: usize = 16;

/// What a signal measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum SignalKind {
    /// Depth of a queue / capacity.
    QueueFill = 0,
    /// Seconds that items waited in a queue, of an interval the least.
    QueueDelay = 1,
    /// Calls under way / limit.
    InFlight = 2,
    /// CPU time / what the cgroup may use; smoothed.
    Cpu = 3,
    /// Memory in use, without pages that can be dropped / what the cgroup may use.
    Memory = 4,
    /// `some avg10` of the kernel's CPU pressure, in percent of the time.
    PsiCpu = 5,
    /// `full avg10` of the kernel's memory pressure, in percent of the time.
    PsiMemory = 6,
    /// Seconds that an event loop comes late, p99.
    LoopLag = 7,
    /// A number of one's own.
    Gauge = 8,
}

impl SignalKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::QueueFill,
        Self::QueueDelay,
        Self::InFlight,
        Self::Cpu,
        Self::Memory,
        Self::PsiCpu,
        Self::PsiMemory,
        Self::LoopLag,
        Self::Gauge,
    ];

    /// Its name in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFill => "queue_fill",
            Self::QueueDelay => "queue_delay",
            Self::InFlight => "in_flight",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::PsiCpu => "psi_cpu",
            Self::PsiMemory => "psi_memory",
            Self::LoopLag => "loop_lag",
            Self::Gauge => "gauge",
        }
    }

    /// Where its pressure begins and where it is full, if nothing is said.
    pub const fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::QueueFill => Some((0.5, 0.8)),
            Self::QueueDelay => Some((0.005, 0.02)),
            Self::InFlight => Some((0.9, 1.0)),
            Self::Cpu => Some((0.8, 0.95)),
            Self::Memory => Some((0.85, 0.95)),
            Self::PsiCpu => Some((20.0, 60.0)),
            Self::PsiMemory => Some((1.0, 10.0)),
            Self::LoopLag => Some((0.02, 0.2)),
            Self::Gauge => None,
        }
    }

    /// Whether it is read from the system's files, by one of all who share the shedder.
    pub const fn is_of_host(self) -> bool {
        matches!(self, Self::Cpu | Self::Memory | Self::PsiCpu | Self::PsiMemory)
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignalKind {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.map(|kind| format!("{:?}", kind.name())).to_vec();
            ConfigError::syntax("signals", format!("{text:?} is none; there are {}", names.join(", ")))
        })
    }
}

/// Reads a signal's value; what is no number has none for now.
pub(super) type Reader = Arc<dyn Fn() -> f64 + Send + Sync>;

/// A signal: `clamp((value − start) / (full − start), 0, 1)` is its pressure.
#[derive(Clone)]
pub struct Signal {
    pub(super) kind: SignalKind,
    pub(super) name: String,
    pub(super) start: f64,
    pub(super) full: f64,
    pub(super) read: Option<Reader>,
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} to {})", self.name, self.kind, self.start, self.full)
    }
}

impl Signal {
    /// A signal of `kind` under its own name, in its usual range (a gauge has none: see [`range`](Self::range)). What
    /// is not read from the system's files is told with [`tell`](super::LoadShedder::tell), or read by
    /// [`reading`](Self::reading).
    pub fn new(kind: SignalKind) -> Self {
        let (start, full) = kind.range().unwrap_or((f64::NAN, f64::NAN));
        Self { kind, name: kind.name().to_owned(), start, full, read: None }
    }

    /// How full `queue` is.
    pub fn queue_fill<T: Send + 'static>(queue: Arc<BoundedQueue<T>>) -> Self {
        Self::new(SignalKind::QueueFill).reading(move || queue.depth() as f64 / queue.config().capacity as f64)
    }

    /// How long everybody waits in `queue` at least; without a discipline that measures it there is no value.
    pub fn queue_delay<T: Send + 'static>(queue: Arc<BoundedQueue<T>>) -> Self {
        let least = move || queue.least_delay().map_or(f64::NAN, |least| least.as_secs_f64());
        Self::new(SignalKind::QueueDelay).reading(least)
    }

    /// How much of `limiter` is in use.
    pub fn in_flight(limiter: Arc<ConcurrencyLimiter>) -> Self {
        Self::new(SignalKind::InFlight).reading(move || f64::from(limiter.in_use()) / f64::from(limiter.limit()))
    }

    /// A number of one's own.
    pub fn gauge(name: &str, start: f64, full: f64, read: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self::new(SignalKind::Gauge).named(name).range(start, full).reading(read)
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Pressure begins at `start` and is full at `full`.
    #[must_use]
    pub fn range(mut self, start: f64, full: f64) -> Self {
        (self.start, self.full) = (start, full);
        self
    }

    /// Read by a function, once an interval, by a caller whose turn it is. One that gives no number, or panics, or is
    /// still at work since the last time, has no value for that time.
    #[must_use]
    pub fn reading(mut self, read: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.read = Some(Arc::new(read));
        self
    }

    /// What it measures.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let error = |kind, message: String| Err(ConfigError::new(kind, "signals", format!("{}: {message}", self.name)));
        let Self { name, start, full, .. } = self;
        if name.is_empty() || name.len() > 64 || name.contains(|c: char| c.is_control() || c == ',') {
            return error(ConfigErrorKind::Syntax, "a name has 1 to 64 bytes, and no comma".to_owned());
        }
        if start.is_nan() && full.is_nan() && self.kind == SignalKind::Gauge {
            let message = "a gauge needs start and full: no range is usual".to_owned();
            return error(ConfigErrorKind::Conflict, message);
        }
        if !(start.is_finite() && full.is_finite() && start < full) {
            return error(
                ConfigErrorKind::OutOfRange,
                format!("start {start} and full {full} are no range; give two numbers, the lower one first"),
            );
        }
        if self.kind.is_of_host() && self.read.is_some() {
            let message = "is read from the system's files; a function of yours is a gauge".to_owned();
            return error(ConfigErrorKind::Conflict, message);
        }
        Ok(())
    }
}

/// `clamp((value − start) / (full − start), 0, 1)`; what is no number has none.
pub fn pressure_of(value: f64, start: f64, full: f64) -> Option<f64> {
    let pressure = (value - start) / (full - start);
    (!pressure.is_nan()).then(|| pressure.clamp(0.0, 1.0))
}

/// Signals of a shedder: at least one, at most [`MOST_SIGNALS`], no name twice, and none that hangs on the CPU alone.
pub(super) fn check_all(signals: &[Signal]) -> Result<(), ConfigError> {
    let error = |kind, message: &str| Err(ConfigError::new(kind, "signals", message));
    if signals.is_empty() {
        return error(ConfigErrorKind::Conflict, "give at least one, such as \"queue_fill\" or \"loop_lag\"");
    }
    if signals.len() > MOST_SIGNALS {
        return error(ConfigErrorKind::OutOfRange, &format!("{} are more than {MOST_SIGNALS}", signals.len()));
    }
    for (at, signal) in signals.iter().enumerate() {
        signal.check()?;
        if signals[..at].iter().any(|other| other.name == signal.name) {
            let message = format!("{:?} stands there twice; give one of them another name", signal.name);
            return error(ConfigErrorKind::Conflict, &message);
        }
    }
    // A server that waits for its database has an idle CPU and a growing queue: what goes by the CPU alone never sees
    // that it is overloaded. Memory and what the kernel tells of both are no better.
    let of_cpu = signals.iter().any(|signal| matches!(signal.kind, SignalKind::Cpu | SignalKind::PsiCpu));
    if of_cpu && signals.iter().all(|signal| signal.kind.is_of_host()) {
        return error(
            ConfigErrorKind::Conflict,
            "the CPU alone does not tell that a server is overloaded which waits for its database; give one that does \
             beside it: \"queue_fill\", \"queue_delay\", \"in_flight\", \"loop_lag\" or a gauge",
        );
    }
    Ok(())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_clamped_and_no_number_has_none() {
        let of = |value| pressure_of(value, 20.0, 60.0);
        assert_eq!(
            [f64::NEG_INFINITY, 0.0, 20.0, 30.0, 60.0, 61.0, f64::INFINITY].map(of),
            [0.0, 0.0, 0.0, 0.25, 1.0, 1.0, 1.0].map(Some)
        );
        assert_eq!(of(f64::NAN), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |signals: &[Signal]| check_all(signals).expect_err("wrong").to_string();
        let (cpu, lag) = (|| Signal::new(SignalKind::Cpu), || Signal::new(SignalKind::LoopLag));
        assert!(said(&[]).contains("at least one"));
        assert!(said(&[cpu()]).contains("waits for its database"));
        assert!(said(&[cpu(), Signal::new(SignalKind::Memory)]).contains("waits for its database"));
        assert!(check_all(&[cpu(), lag()]).is_ok() && check_all(&[Signal::new(SignalKind::Memory)]).is_ok());
        assert!(said(&[lag(), lag()]).contains("twice"));
        assert!(check_all(&[lag(), lag().named("other")]).is_ok());
        assert!(said(&[lag().range(1.0, 1.0)]).contains("no range"));
        assert!(said(&[lag().range(f64::NAN, 1.0)]).contains("no range"));
        assert!(said(&[lag().range(0.0, f64::INFINITY)]).contains("no range"));
        assert!(said(&[Signal::new(SignalKind::Gauge)]).contains("needs start and full"));
        assert!(said(&[lag().named("")]).contains("1 to 64 bytes"));
        assert!(said(&[cpu().reading(|| 0.0), lag()]).contains("system's files"));
        assert!(said(&(0..17).map(|n| lag().named(&n.to_string())).collect::<Vec<_>>()).contains("more than 16"));
    }
}
