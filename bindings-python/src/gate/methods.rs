//! `Gate`: what is called of it.

use super::admission::Admission;
use super::object::{Asked, Gate};
use super::verdict::PartVerdict;
use crate::args::{self, object, seconds};
use crate::breaker::CircuitBreaker;
use crate::concurrency::ConcurrencyLimiter;
use crate::errors::{config, from_core, wrong_type};
use crate::http::access::AccessList;
use crate::limit::quota::mode;
use crate::limit::set::LimitSet;
use crate::python::Function;
use crate::queue::BoundedQueue;
use crate::shed::LoadShedder;
use crate::stats::GateStats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyTypeCheck, PyVisit};
use std::sync::Arc;
use tidegate::gate::{GateConfig, Outcome, Outcomes};
use tidegate::limit::Mode;

static CALL: Function = Function::new("tidegate._gate", "call");
static CALL_ASYNC: Function = Function::new("tidegate._gate", "call_async");

/// A part, or a dict of its name and it; without a name that which it has, else its kind.
fn part<'py, T: PyTypeCheck>(
    argument: &str,
    class: &str,
    given: Option<&Bound<'py, PyAny>>,
    own_name: impl FnOnce(&Bound<'py, T>) -> Option<String>,
) -> PyResult<Option<(String, Bound<'py, T>)>> {
    let Some(given) = given else { return Ok(None) };
    let expected = format!("a {class}, or a dict of its name and it");
    let Ok(named) = given.cast::<PyDict>() else {
        let it = object::<T>(argument, &expected, given)?.clone();
        let name = own_name(&it).unwrap_or_else(|| argument.to_owned());
        return Ok(Some((name, it)));
    };
    if named.len() != 1 {
        let message = format!("{argument}: {} given; a gate has one, so give a dict of one name", named.len());
        return Err(config(given.py(), message));
    }
    let (name, it) = named.iter().next().expect("there is one");
    Ok(Some((name_of(argument, &name)?, object::<T>(argument, &expected, &it)?.clone())))
}

fn name_of(argument: &str, name: &Bound<'_, PyAny>) -> PyResult<String> {
    let name = name.cast::<PyString>().map_err(|_| wrong_type(argument, "names as str", name))?;
    Ok(name.to_string_lossy().into_owned())
}

fn refund_on(given: Option<&Bound<'_, PyAny>>) -> PyResult<Outcomes> {
    let Some(given) = given else { return Ok(Outcomes::NONE) };
    let expected = "a list of \"success\", \"failure\", \"dropped\" and \"cancelled\"";
    if given.is_instance_of::<PyString>() {
        return Err(wrong_type("refund_on", expected, given));
    }
    let items = given.try_iter().map_err(|_| wrong_type("refund_on", expected, given))?;
    let mut outcomes = Outcomes::NONE;
    for item in items {
        let item = item?;
        let text = item.cast::<PyString>().map_err(|_| wrong_type("refund_on", expected, &item))?.to_string_lossy();
        let found = Outcome::ALL.into_iter().find(|outcome| outcome.name() == text);
        let found = found.ok_or_else(|| config(item.py(), format!("refund_on: {text:?} is none of {expected}")))?;
        outcomes = outcomes.with(found);
    }
    Ok(outcomes)
}

fn cost_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<u32> {
    let Some(given) = given else { return Ok(1) };
    args::count("cost", given, u64::from(u32::MAX)).map(|cost| cost as u32)
}

#[pymethods]
impl Gate {
    #[new]
    #[classmethod]
    #[pyo3(signature = (name, *, limits = None, concurrency = None, shedder = None, queue = None, dependencies = None,
                        access = None, refund_on = None, enabled = None, dry_run = None, **unknown),
           text_signature = "(name, *, limits=None, concurrency=None, shedder=None, queue=None, dependencies=None, \
access=None, refund_on=(), enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        name: &Bound<'_, PyAny>,
        limits: Option<&Bound<'_, PyAny>>,
        concurrency: Option<&Bound<'_, PyAny>>,
        shedder: Option<&Bound<'_, PyAny>>,
        queue: Option<&Bound<'_, PyAny>>,
        dependencies: Option<&Bound<'_, PyAny>>,
        access: Option<&Bound<'_, PyAny>>,
        refund_on: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let py = cls.py();
        let name = args::text("name", Some(name))?.unwrap_or_default();
        let limits = match limits {
            None => None,
            Some(given) => Some(match given.cast::<LimitSet>() {
                Ok(set) => set.clone(),
                Err(_) => {
                    let named = given.cast::<PyMapping>();
                    let named = named.map_err(|_| wrong_type("limits", "limits by name, or a LimitSet", given))?;
                    Bound::new(py, LimitSet::new(py, Some(named.as_any()), None)?)?
                }
            }),
        };
        let concurrency =
            part("concurrency", "ConcurrencyLimiter", concurrency, |it: &Bound<'_, ConcurrencyLimiter>| {
                it.get().name_given().map(str::to_owned)
            })?;
        let shedder = part("shedder", "LoadShedder", shedder, |it: &Bound<'_, LoadShedder>| {
            it.get().name_given().map(str::to_owned)
        })?;
        let queue = part("queue", "BoundedQueue", queue, |_: &Bound<'_, BoundedQueue>| None)?;
        let access = access.map(|list| object::<AccessList>("access", "an AccessList", list)).transpose()?;
        let mut breakers = Vec::new();
        if let Some(given) = dependencies {
            let named = given
                .cast::<PyDict>()
                .map_err(|_| wrong_type("dependencies", "a dict of names and CircuitBreakers", given))?;
            for (name, breaker) in named {
                let breaker = object::<CircuitBreaker>("dependencies", "CircuitBreakers by name", &breaker)?;
                breakers.push((name_of("dependencies", &name)?, breaker.clone().unbind()));
            }
        }
        let core = GateConfig {
            access: access.map(|list| list.get().core.clone()),
            shedder: shedder.as_ref().map(|(name, it)| (name.clone(), Arc::clone(&it.get().core))),
            queue: queue.as_ref().map(|(name, it)| (name.clone(), Arc::clone(&it.get().core) as _)),
            concurrency: concurrency.as_ref().map(|(name, it)| (name.clone(), Arc::clone(&it.get().core))),
            limits: limits.as_ref().map(|set| Arc::clone(&set.get().core)),
            dependencies: breakers.iter().map(|(name, it)| (name.clone(), Arc::clone(&it.get().core))).collect(),
            refund_on: self::refund_on(refund_on)?,
            mode: mode(enabled, dry_run)?,
            ..GateConfig::new(name)
        };
        let core = tidegate::Gate::new(core).map_err(|error| from_core(py, &error))?;
        let parts = PyDict::new(py);
        parts.set_item("limits", &limits)?;
        parts.set_item("concurrency", concurrency.map(|(_, it)| it))?;
        parts.set_item("shedder", shedder.map(|(_, it)| it))?;
        parts.set_item("queue", queue.map(|(_, it)| it))?;
        parts.set_item("access", access)?;
        let parts = parts.unbind();
        Ok(Self { core, limits: limits.map(Bound::unbind), breakers, parts })
    }

    /// Asks for a call: first a look at all parts without a write, then the taking. The answer names the part with the
    /// longest wait; nothing is raised, and a refused call holds nothing.
    ///
    /// Args:
    ///     keys: a key for each RateLimiter among the limits, by its name; an access list looks at them too.
    ///     priority: "critical", "high", "normal" or "sheddable", for the shedder.
    ///     cost: what it takes of each limit.
    ///     deadline: how long its caller still waits: seconds, a timedelta or a Deadline; None: without an end. What is
    ///         over, or shorter than calls wait in the queue, is refused.
    ///     dependencies: the names of those that it will call: it is refused while the circuit of one is open.
    ///     address: the client's, for an access list.
    ///     level: its place within its class, 0 to 127: that of its user, `shedder.level_of(user)`.
    ///     partition: the name of its partition of the concurrency limit; None: of none.
    #[pyo3(signature = (keys = None, priority = None, cost = None, deadline = None, dependencies = None, *,
                        address = None, level = None, partition = None),
           text_signature = "($self, keys=None, priority='normal', cost=1, deadline=None, dependencies=(), *, \
address=None, level=0, partition=None)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn admit(
        slf: &Bound<'_, Self>,
        keys: Option<&Bound<'_, PyAny>>,
        priority: Option<&Bound<'_, PyAny>>,
        cost: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
        dependencies: Option<&Bound<'_, PyAny>>,
        address: Option<&Bound<'_, PyAny>>,
        level: Option<&Bound<'_, PyAny>>,
        partition: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Admission> {
        let cost = cost_of(cost)?;
        let asked = Asked { keys, priority, cost, deadline, dependencies, address, level, partition };
        let told = slf.get().decide(slf.py(), asked)?;
        Ok(Admission::new(slf.clone().unbind(), told, cost))
    }

    /// As `admit`; a refusal raises the part's own error: RateLimitedError, CircuitOpenError, ConcurrencyLimitError,
    /// QueueFullError, OverloadedError, TimeoutExceededError (its time is over) or AccessDeniedError.
    #[pyo3(signature = (keys = None, priority = None, cost = None, deadline = None, dependencies = None, *,
                        address = None, level = None, partition = None),
           text_signature = "($self, keys=None, priority='normal', cost=1, deadline=None, dependencies=(), *, \
address=None, level=0, partition=None)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn enter<'py>(
        slf: &Bound<'py, Self>,
        keys: Option<&Bound<'py, PyAny>>,
        priority: Option<&Bound<'py, PyAny>>,
        cost: Option<&Bound<'py, PyAny>>,
        deadline: Option<&Bound<'py, PyAny>>,
        dependencies: Option<&Bound<'py, PyAny>>,
        address: Option<&Bound<'py, PyAny>>,
        level: Option<&Bound<'py, PyAny>>,
        partition: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Admission>> {
        let admission = Self::admit(slf, keys, priority, cost, deadline, dependencies, address, level, partition)?;
        let admission = Bound::new(slf.py(), admission)?;
        if admission.get().is_allowed() { Ok(admission) } else { Err(Admission::error(&admission)) }
    }

    /// What each part says of such a call now, in the order in which they are looked at; takes and counts nothing.
    #[pyo3(signature = (keys = None, priority = None, cost = None, deadline = None, dependencies = None, *,
                        address = None, level = None, partition = None),
           text_signature = "($self, keys=None, priority='normal', cost=1, deadline=None, dependencies=(), *, \
address=None, level=0, partition=None)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn explain(
        &self,
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        priority: Option<&Bound<'_, PyAny>>,
        cost: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
        dependencies: Option<&Bound<'_, PyAny>>,
        address: Option<&Bound<'_, PyAny>>,
        level: Option<&Bound<'_, PyAny>>,
        partition: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<PartVerdict>> {
        let cost = cost_of(cost)?;
        let asked = Asked { keys, priority, cost, deadline, dependencies, address, level, partition };
        let said = self.with(py, asked, tidegate::Gate::explain)?;
        let told = said.into_iter().map(|it| PartVerdict {
            kind: it.part.kind().name().to_owned(),
            name: it.name,
            allowed: it.allowed,
            retry_after: seconds(it.retry_after_ns),
            detail: it.detail,
        });
        Ok(told.collect())
    }

    /// `function(admission)` if the call is let in, with its result; what it raises is raised. `fallback` stands in
    /// where it is not, or fails: a value, a function of the error, or a Fallback. All else as for `enter`.
    #[pyo3(signature = (function, /, *args, fallback = None, **kwargs),
           text_signature = "($self, function, /, keys=None, priority='normal', cost=1, deadline=None, \
dependencies=(), *, address=None, level=0, partition=None, fallback=None)")]
    fn call<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        fallback: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        CALL.call(slf.py(), (slf, function, args, fallback, kwargs))
    }

    /// As `call`, of an async function.
    #[pyo3(signature = (function, /, *args, fallback = None, **kwargs),
           text_signature = "($self, function, /, keys=None, priority='normal', cost=1, deadline=None, \
dependencies=(), *, address=None, level=0, partition=None, fallback=None)")]
    fn call_async<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        fallback: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        CALL_ASYNC.call(slf.py(), (slf, function, args, fallback, kwargs))
    }

    /// Counts since the gate was made, of this process.
    fn stats(&self) -> GateStats {
        self.core.stats().into()
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.core.name()
    }

    /// Whether it refuses: it is neither switched off nor a dry run.
    #[getter]
    fn _refuses(&self) -> bool {
        self.core.mode() == Mode::Enforce
    }

    /// Its limits, a LimitSet, or None.
    #[getter]
    fn limits(&self, py: Python<'_>) -> Option<Py<LimitSet>> {
        self.limits.as_ref().map(|limits| limits.clone_ref(py))
    }

    /// Its concurrency limit, or None.
    #[getter]
    fn concurrency<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, "concurrency")
    }

    /// Its load shedder, or None.
    #[getter]
    fn shedder<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, "shedder")
    }

    /// Its queue, or None.
    #[getter]
    fn queue<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, "queue")
    }

    /// Its access list, or None.
    #[getter]
    fn access<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.part(py, "access")
    }

    /// Its circuit breakers by name.
    #[getter]
    fn dependencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, breaker) in &self.breakers {
            all.set_item(name, breaker)?;
        }
        Ok(all)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let parts: Vec<_> =
            slf.get().core.parts().map(|(part, name)| format!("{} {name:?}", part.kind().name())).collect();
        Ok(format!("{}({:?}, {})", slf.get_type().name()?, slf.get().core.name(), parts.join(", ")))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.parts)?;
        self.limits.iter().try_for_each(|limits| visit.call(limits))?;
        self.breakers.iter().try_for_each(|(_, breaker)| visit.call(breaker))
    }
}
