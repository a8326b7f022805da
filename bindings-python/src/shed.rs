//! `LoadShedder`.

use crate::args::{self, real, seconds, span_of, text};
use crate::clock::ManualClock;
use crate::errors::{config, from_core, wrong_type};
use crate::limit::key::{Key, utf8};
use crate::limit::quota::mode;
use crate::python::{self, Function};
use crate::scope::{Asked, Place};
use crate::stats::ShedderStats;
use crate::stats::class::stats;
use pyo3::exceptions::{PyKeyboardInterrupt, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyType};
use std::sync::Arc;
use std::time::Duration;
use tidegate::shed::{LEVELS, Priority, SETTINGS, ShedderConfig, Signal, SignalKind};

static SIGNALS: Function = Function::new("tidegate._shed", "signals_of");
static OVERLOADED: Function = Function::new("tidegate._shed", "overloaded");
static INTERRUPT: Function = Function::new("_thread", "interrupt_main");
static WATCH: Function = Function::new("tidegate._shed", "watch");

/// Sheds load, the less important first, by as much as signals of too much work ask for. Each signal has a pressure,
/// `(value - start) / (full - start)` from 0 to 1, and the largest counts. At 1 the threshold rises each interval
/// until 5 % fewer of the calls that pass would have, at 0 it falls until 2 % of all more would have.
///
///     shedder = LoadShedder([queue, "cpu", "memory", "loop_lag"])
///
///     if not shedder.admit("high", shedder.level_of(user)): ...
///
/// Args:
///     signals: what tells that there is too much to do: a BoundedQueue (how full it is), a ConcurrencyLimiter (how
///         much of it is in use), "cpu", "memory", "psi_cpu", "psi_memory", "loop_lag", "queue_delay", or a Signal,
///         for another range or a function of one's own. Default: "cpu", "memory", "psi_cpu", "psi_memory" and
///         "loop_lag".
///     rise: at full pressure, the part of those who pass that is shed in addition each interval.
///     fall: at no pressure, the part of all that passes in addition each interval.
///     min_admit: the part of each class that passes in any case.
///     critical_at: from this pressure on, held for `critical_after` seconds, critical calls are shed too.
///     cool_off: for so long after full pressure no more pass than did.
///     interval: how often signals are read and the threshold moves.
///     cpu_limit: how many CPUs there are to use, where the system's files do not say it.
///     level_key: users have the same levels in all services with this key.
///     clock: a ManualClock for tests.
///     scope: where its threshold lives: "process" (private), "process:NAME", "host:NAME" (all processes of this
///         machine), a HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is; stands in errors.
///     on_conflict: when it was last declared there with other settings: "error", "keep" or "apply".
///     enabled: False lets every call pass and counts nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: count (`stats().would_shed`) and refuse nothing.
///
/// Raises:
///     ConfigError: a value outside what is allowed, or signals that go by the CPU alone (a ValueError); TypeError: a
///     wrong type; ArenaError: the scope cannot be used, or holds another object of that name.
///
/// Nothing runs by itself: a call whose turn it is reads one signal. `watch()` measures the running event loop, and
/// samples where calls are rare. Functions of signals are not visible to the cycle collector.
///
/// All methods may be called from any thread and any event loop at the same time; none blocks, unless a function of
/// yours does.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct LoadShedder {
    pub(crate) core: Arc<tidegate::LoadShedder>,
    clock: Option<Py<ManualClock>>,
    pub(crate) place: Place,
}

/// A signal as `tidegate._shed` gives it.
type Given<'py> = (String, Option<String>, Option<f64>, Option<f64>, Option<Bound<'py, PyAny>>);

fn signal((kind, name, start, full, read): Given<'_>) -> Result<Signal, tidegate::ConfigError> {
    let kind: SignalKind = kind.parse()?;
    let mut signal = Signal::new(kind);
    if let Some(name) = name {
        signal = signal.named(&name);
    }
    if start.is_some() || full.is_some() {
        let (low, high) = kind.range().unwrap_or((f64::NAN, f64::NAN));
        signal = signal.range(start.unwrap_or(low), full.unwrap_or(high));
    }
    let Some(read) = read.map(Bound::unbind) else { return Ok(signal) };
    Ok(signal.reading(move || Python::attach(|py| value_of(read.bind(py)))))
}

/// What a function gives: a float whatever happens in it, see `_shed.guarded`, but for Ctrl-C. The call in which that
/// came cannot raise it, so it comes once more.
fn value_of(read: &Bound<'_, PyAny>) -> f64 {
    let py = read.py();
    match python::call1(read, ()).and_then(|value| value.extract()) {
        Ok(value) => value,
        Err(error) => {
            if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                // Of the C API, which looks at no signal itself.
                drop(INTERRUPT.call(py, ()));
            }
            f64::NAN
        }
    }
}

pub(crate) fn priority_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<Priority> {
    let Some(given) = given else { return Ok(Priority::Normal) };
    let Ok(text) = given.cast::<PyString>() else {
        return Err(wrong_type("priority", "\"critical\", \"high\", \"normal\" or \"sheddable\"", given));
    };
    utf8(text)?.parse().map_err(|error| from_core(given.py(), &error))
}

pub(crate) fn level_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<u8> {
    let Some(given) = given else { return Ok(0) };
    if !given.is_instance_of::<PyInt>() || given.is_instance_of::<PyBool>() {
        return Err(wrong_type("level", &format!("an int, 0 to {}", LEVELS - 1), given));
    }
    match given.extract::<u32>() {
        Ok(level) if level < LEVELS => Ok(level as u8),
        _ => {
            let message = format!("level: {} is not within 0 to {}; 0 is shed last", given.str()?, LEVELS - 1);
            Err(config(given.py(), message))
        }
    }
}

impl LoadShedder {
    /// The name it was given.
    pub(crate) fn name_given(&self) -> Option<&str> {
        self.place.name()
    }
}

#[pymethods]
impl LoadShedder {
    #[new]
    #[classmethod]
    #[pyo3(signature = (signals = None, *, rise = None, fall = None, min_admit = None, critical_at = None,
                        critical_after = None, cool_off = None, interval = None, cpu_limit = None, level_key = None,
                        clock = None, scope = None, name = None, on_conflict = None, enabled = None, dry_run = None,
                        _root = None, **unknown),
           text_signature = "(signals=None, *, rise=0.05, fall=0.02, min_admit=0.01, critical_at=1, critical_after=1, \
cool_off=1, interval=0.25, cpu_limit=None, level_key='', clock=None, scope=None, name=None, on_conflict='error', \
enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        signals: Option<&Bound<'_, PyAny>>,
        rise: Option<&Bound<'_, PyAny>>,
        fall: Option<&Bound<'_, PyAny>>,
        min_admit: Option<&Bound<'_, PyAny>>,
        critical_at: Option<&Bound<'_, PyAny>>,
        critical_after: Option<&Bound<'_, PyAny>>,
        cool_off: Option<&Bound<'_, PyAny>>,
        interval: Option<&Bound<'_, PyAny>>,
        cpu_limit: Option<&Bound<'_, PyAny>>,
        level_key: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        _root: Option<std::path::PathBuf>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let (py, field) = (cls.py(), |name| SETTINGS.field(name));
        let given: Vec<Given<'_>> = SIGNALS.call(py, (signals,))?.extract()?;
        let signals = given.into_iter().map(signal).collect::<Result<Vec<_>, _>>();
        let mut config = ShedderConfig::new(signals.map_err(|error| from_core(py, &error))?);
        config.mode = mode(enabled, dry_run)?;
        let numbers = [
            ("rise", rise, &mut config.rise),
            ("fall", fall, &mut config.fall),
            ("min_admit", min_admit, &mut config.min_admit),
            ("critical_at", critical_at, &mut config.critical_at),
        ];
        for (name, given, into) in numbers {
            if let Some(given) = given {
                *into = real(field(name), given)?;
            }
        }
        let spans = [
            ("critical_after", critical_after, &mut config.critical_after),
            ("cool_off", cool_off, &mut config.cool_off),
            ("interval", interval, &mut config.interval),
        ];
        for (name, given, into) in spans {
            if let Some(given) = given {
                *into = span_of(field(name), given)?;
            }
        }
        config.cpu_limit = cpu_limit.map(|limit| real(field("cpu_limit"), limit)).transpose()?;
        config.level_key = text("level_key", level_key)?.unwrap_or_default();
        if let Some(root) = _root {
            config.root = root;
        }
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let clock = asked.clock();
        let own = config.clone();
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| tidegate::LoadShedder::in_arena(arena, name, config, on_conflict),
            |clock| tidegate::LoadShedder::with_clock(own, clock),
        )?;
        Ok(Self { core: Arc::new(core), clock, place })
    }

    /// Changes where the pressures of its signals begin and are full, and how it answers them; what is left out stays
    /// as it is, None is the default. The threshold goes on from where it is. In a named scope for this process.
    ///
    /// Args:
    ///     ranges: `{"cpu": (0.7, 0.9)}`, by the names of signals; seconds of what is a time.
    ///     changes: rise, fall, min_admit, critical_at, critical_after, cool_off, as for the class.
    #[pyo3(signature = (ranges = None, **changes))]
    fn set_config(
        &self,
        py: Python<'_>,
        ranges: Option<std::collections::HashMap<String, (f64, f64)>>,
        changes: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let mut own = self.core.config_in_force();
        for (name, (start, full)) in ranges.unwrap_or_default() {
            let Some(signal) = own.signals.iter_mut().find(|signal| signal.name() == name) else {
                let names: Vec<_> = own.signals.iter().map(|it| format!("{:?}", it.name())).collect();
                let message = format!("ranges: {name:?} is none of this shedder's signals: {}", names.join(", "));
                return Err(config(py, message));
            };
            *signal = signal.clone().range(start, full);
        }
        let usual = ShedderConfig::new(Vec::new());
        for (name, given) in changes.into_iter().flatten() {
            let name = name.extract::<String>()?;
            let field = || SETTINGS.field(&name);
            let given = Some(&given).filter(|given| !given.is_none());
            let number = |usual: f64| given.map_or(Ok(usual), |given| real(field(), given));
            let time = |usual: Duration| given.map_or(Ok(usual), |given| span_of(field(), given));
            match name.as_str() {
                "rise" => own.rise = number(usual.rise)?,
                "fall" => own.fall = number(usual.fall)?,
                "min_admit" => own.min_admit = number(usual.min_admit)?,
                "critical_at" => own.critical_at = number(usual.critical_at)?,
                "critical_after" => own.critical_after = time(usual.critical_after)?,
                "cool_off" => own.cool_off = time(usual.cool_off)?,
                _ => {
                    let known = "ranges, rise, fall, min_admit, critical_at, critical_after, cool_off";
                    let message = format!("set_config() got an unexpected keyword argument {name:?}; it takes {known}");
                    return Err(PyTypeError::new_err(message));
                }
            }
        }
        self.core.set_config(&own).map_err(|error| from_core(py, &error))
    }

    /// Whether a call may be served. `level` is its place within the class, from 0, the last to be shed, to 127: that
    /// of its user (`level_of`), so that all of a user's calls meet one fate. Where all are of one level they are shed
    /// by chance.
    #[pyo3(signature = (priority = None, level = None), text_signature = "($self, priority='normal', level=0)")]
    fn admit(&self, priority: Option<&Bound<'_, PyAny>>, level: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        Ok(self.core.admit(priority_of(priority)?, level_of(level)?))
    }

    /// As `admit`, by a random number from 0 up to, but not including, 1.
    fn _admit(&self, priority: &Bound<'_, PyAny>, level: &Bound<'_, PyAny>, random: f64) -> PyResult<bool> {
        let now = self.core.clock().now();
        Ok(self.core.admit_at(now, priority_of(Some(priority))?, level_of(Some(level))?, random))
    }

    /// As `admit`, with its reasons.
    #[pyo3(signature = (priority = None, level = None), text_signature = "($self, priority='normal', level=0)")]
    fn check(&self, priority: Option<&Bound<'_, PyAny>>, level: Option<&Bound<'_, PyAny>>) -> PyResult<Shed> {
        Ok(self.core.check(priority_of(priority)?, level_of(level)?).into())
    }

    /// As `check`, by a random number.
    fn _check(&self, priority: &Bound<'_, PyAny>, level: &Bound<'_, PyAny>, random: f64) -> PyResult<Shed> {
        let now = self.core.clock().now();
        Ok(self.core.check_at(now, priority_of(Some(priority))?, level_of(Some(level))?, random).into())
    }

    /// As `admit`; raises OverloadedError where the call is refused.
    #[pyo3(signature = (priority = None, level = None), text_signature = "($self, priority='normal', level=0)")]
    fn enter(
        slf: &Bound<'_, Self>,
        priority: Option<&Bound<'_, PyAny>>,
        level: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let shed = slf.get().check(priority, level)?;
        if !shed.allowed {
            let error = OVERLOADED.call(slf.py(), (slf.get().name(), shed))?;
            return Err(PyErr::from_value(error));
        }
        Ok(())
    }

    /// The level of a user, 0 to 127: a keyed hash of user and hour, the same in all services with that `level_key`.
    #[pyo3(signature = (user, /))]
    fn level_of(&self, user: &Bound<'_, PyAny>) -> PyResult<u8> {
        Ok(self.core.level_of(user_of(user)?.bytes()))
    }

    /// As `level_of`, at so many seconds since 1970.
    fn _level_of(&self, user: &Bound<'_, PyAny>, unix_s: u64) -> PyResult<u8> {
        Ok(self.core.level_of_at(user_of(user)?.bytes(), unix_s))
    }

    /// Tells a signal its value: of "queue_delay" (seconds) the least of an interval counts, of others the largest.
    /// What is
    /// no number is no value. Raises ConfigError where there is no such signal, or the shedder reads it itself.
    #[pyo3(signature = (signal, value, /))]
    fn tell(&self, py: Python<'_>, signal: &str, value: f64) -> PyResult<()> {
        self.core.tell(signal, value).map_err(|error| from_core(py, &error))
    }

    /// A tick of a loop came so many seconds late; they come each `period`.
    fn _tick(&self, late: f64, period: f64) {
        let span = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
        self.core.tell_lag(span(late), span(period));
        self.core.sample();
    }

    /// Reads the next signal, or moves the threshold, if it is time: for a loop, where calls are rare.
    fn sample(&self) {
        self.core.sample();
    }

    /// Watches the running event loop: measures how late it comes, each `period` seconds, and samples. Once for each
    /// loop; another call gives the same. Gives a handle with `cancel()`; it keeps neither loop nor shedder alive.
    #[pyo3(signature = (period = 0.02))]
    fn watch<'py>(slf: &Bound<'py, Self>, period: f64) -> PyResult<Bound<'py, PyAny>> {
        WATCH.call(slf.py(), (slf, period))
    }

    /// The largest pressure of all signals at the last step, 0 to 1.
    #[getter]
    fn pressure(&self) -> f64 {
        self.core.pressure()
    }

    /// How late the event loops of this process come: seconds, p99 and the latest; None: nobody watches one.
    #[getter]
    fn loop_lag(&self) -> Option<(f64, f64)> {
        self.core.loop_lag().map(|lag| (seconds(lag.p99_ns), seconds(lag.max_ns)))
    }

    /// The state in words, a line for each thing that may hold it where it is: signals that are off say why. The text
    /// may change.
    fn explain(&self) -> Vec<String> {
        self.core.explain()
    }

    /// Counts since the shedder was made, and what its last step found.
    fn stats(&self) -> ShedderStats {
        self.core.stats().into()
    }

    /// The clock it was given, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// Where its threshold lives: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// The name it was given, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.place.name()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (class, this) = (slf.get_type().name()?, slf.get());
        let names: Vec<_> = this.core.config().signals.iter().map(|signal| signal.name().to_owned()).collect();
        Ok(format!("{class}({names:?}{}, pressure={})", this.place.shown(), this.pressure()))
    }
}

fn user_of<'a>(user: &'a Bound<'_, PyAny>) -> PyResult<Key<'a>> {
    Key::of(user).map_err(|_| wrong_type("user", "a str or bytes", user))
}

impl From<tidegate::shed::Shed<'_>> for Shed {
    fn from(shed: tidegate::shed::Shed<'_>) -> Self {
        Self {
            allowed: shed.allowed,
            signal: shed.signal.map(str::to_owned),
            pressure: shed.pressure,
            retry_after: seconds(shed.retry_after_ns),
        }
    }
}

stats! {
    /// A decision of a LoadShedder with its reasons.
    Shed {
        /// Whether the call may be served.
        allowed: bool,
        /// The signal with the largest pressure, or None.
        signal: Option<String>,
        /// Its pressure, 0 to 1.
        pressure: f64,
        /// For a refused call: seconds until one like it passes if the pressure falls to 0 now. Else 0.
        retry_after: f64,
    }
}
