//! `Gate`: the object, and how it asks the core.

use crate::args::span;
use crate::breaker::CircuitBreaker;
use crate::concurrency::partition::partition_by;
use crate::errors::{config, from_core, wrong_type};
use crate::limit::key::Key;
use crate::limit::set::LimitSet;
use crate::python::Function;
use crate::shed::{level_of, priority_of};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use std::time::Duration;
use tidegate::concurrency::Partition;
use tidegate::gate::{Answer, Dependencies, Request, Ticket};
use tidegate::http::parse_address;

static LEFT: Function = Function::new("tidegate._gate", "left");

/// Access list, load shedder, queue, circuit breakers, concurrency limit and rate limits as one decision: a refused
/// call takes nothing of any of them, an admitted one is charged once.
///
///     gate = Gate(
///         "orders",
///         limits={"everyone": TokenBucket("400/s"), "client": RateLimiter("100/minute")},
///         concurrency={"database": ConcurrencyLimiter(50)},
///         shedder=LoadShedder(),
///         dependencies={"payment": payment},
///     )
///
///     with gate.enter({"client": user}, dependencies=("payment",)) as admission:
///         with admission.breaker("payment"):
///             ...
///
/// Args:
///     name: its name.
///     limits: how many calls may come: limits by name, or a LimitSet. A RateLimiter takes a key under its name.
///     concurrency: how many may be under way: a ConcurrencyLimiter, or a dict of its name and it.
///     shedder: what is not taken when there is too much to do: a LoadShedder, or a dict of its name and it.
///     queue: where calls put what is to be done, a BoundedQueue, or a dict of its name and it: none is let in while it
///         takes nothing.
///     dependencies: the circuit breakers of what calls depend on, by name. A look leases no probe: ask
///         `admission.breaker(name)` for the permit of each call to one.
///     access: an AccessList: who passes without being counted, and who is always refused.
///     refund_on: after which outcomes a call's cost is given back to the limits: "success", "failure", "dropped",
///         "cancelled". Default: none; who gives up a call could otherwise make as many as it likes.
///     enabled: False lets every call in and counts nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: all parts count, none refuses.
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.
///
/// The parts stay in use by themselves, and may stand in several gates. All methods may be called from any thread and
/// any event loop at the same time; none blocks.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
pub(crate) struct Gate {
    pub(crate) core: tidegate::Gate,
    pub(super) limits: Option<Py<LimitSet>>,
    pub(super) breakers: Vec<(String, Py<CircuitBreaker>)>,
    pub(super) parts: Py<PyDict>,
}

/// What a call is asked with.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a, 'py> {
    pub(super) keys: Option<&'a Bound<'py, PyAny>>,
    pub(super) priority: Option<&'a Bound<'py, PyAny>>,
    pub(super) cost: u32,
    pub(super) deadline: Option<&'a Bound<'py, PyAny>>,
    pub(super) dependencies: Option<&'a Bound<'py, PyAny>>,
    pub(super) address: Option<&'a Bound<'py, PyAny>>,
    pub(super) level: Option<&'a Bound<'py, PyAny>>,
    pub(super) partition: Option<&'a Bound<'py, PyAny>>,
}

impl Gate {
    pub(super) fn breaker(&self, py: Python<'_>, dependency: &str) -> PyResult<&Py<CircuitBreaker>> {
        let found = self.breakers.iter().find(|(name, _)| name == dependency).map(|(_, breaker)| breaker);
        found.ok_or_else(|| match self.core.dependencies([dependency]) {
            Err(error) => from_core(py, &error),
            Ok(_) => config(py, "dependencies: there is none of that name"),
        })
    }

    fn needs(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<Dependencies> {
        let Some(given) = given else { return Ok(Dependencies::NONE) };
        let expected = "a tuple or list of names";
        if !given.is_instance_of::<PyTuple>() && !given.is_instance_of::<PyList>() {
            return Err(wrong_type("dependencies", expected, given));
        }
        let mut needs = Dependencies::NONE;
        for name in given.try_iter()? {
            let name = name?;
            let name = name.cast::<PyString>().map_err(|_| wrong_type("dependencies", "names as str", &name))?;
            let name = name.to_string_lossy();
            match self.breakers.iter().position(|(known, _)| *known == name) {
                Some(place) => needs = needs.with(place),
                None => return self.core.dependencies([&*name]).map_err(|error| from_core(given.py(), &error)),
            }
        }
        Ok(needs)
    }

    fn share(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<Partition> {
        partition_by(given, |name| self.core.partition(name))
    }

    /// Runs `ask` with the request as the core takes it.
    #[inline]
    pub(super) fn with<T>(
        &self,
        py: Python<'_>,
        asked: Asked<'_, '_>,
        ask: impl FnOnce(&tidegate::Gate, &Request<'_>) -> Result<T, tidegate::ConfigError>,
    ) -> PyResult<T> {
        const MOST: usize = tidegate::LimitSet::MAX_MEMBERS;
        let mut objects: [Option<Bound<'_, PyAny>>; MOST] = [const { None }; MOST];
        let count = match &self.limits {
            Some(limits) => limits.get().keys_in(py, asked.keys, &mut objects)?,
            None => none_given(asked.keys)?,
        };
        let mut keys: [Option<Key<'_>>; MOST] = [const { None }; MOST];
        for (key, object) in keys.iter_mut().zip(objects.iter().flatten()) {
            *key = Some(Key::of(object)?);
        }
        let mut bytes = [&[][..]; MOST];
        for (bytes, key) in bytes.iter_mut().zip(keys.iter().flatten()) {
            *bytes = key.bytes();
        }
        let request = Request {
            keys: &bytes[..count],
            address: asked.address.map(address).transpose()?.flatten(),
            priority: priority_of(asked.priority)?,
            level: level_of(asked.level)?,
            cost: asked.cost,
            deadline: asked.deadline.map(left).transpose()?.flatten(),
            dependencies: self.needs(asked.dependencies)?,
            partition: self.share(asked.partition)?,
        };
        ask(&self.core, &request).map_err(|error| from_core(py, &error))
    }

    #[inline]
    pub(super) fn decide(&self, py: Python<'_>, asked: Asked<'_, '_>) -> PyResult<(Answer, Ticket)> {
        self.with(py, asked, tidegate::Gate::decide)
    }

    pub(super) fn part<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.parts.bind(py).get_item(name)?.filter(|part| !part.is_none()))
    }
}

fn none_given(keys: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    let Some(keys) = keys else { return Ok(0) };
    match keys.cast::<PyMapping>() {
        Ok(keys) if keys.is_empty()? => Ok(0),
        Ok(_) => Err(wrong_type("keys", "none, for no limit of this gate takes one", keys)),
        Err(_) => Err(wrong_type("keys", "a mapping of names to keys", keys)),
    }
}

fn address(given: &Bound<'_, PyAny>) -> PyResult<Option<std::net::IpAddr>> {
    let text = given.cast::<PyString>().map_err(|_| wrong_type("address", "a str", given))?;
    Ok(parse_address(text.to_string_lossy().as_bytes()))
}

/// Seconds, a timedelta, or a Deadline; `math.inf` is none.
fn left(given: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if given.is_instance_of::<PyFloat>() || given.is_instance_of::<PyInt>() {
        // What is over is over, by however much.
        let is_over = given.extract::<f64>().is_ok_and(|seconds| seconds < 0.0);
        return if is_over { Ok(Some(Duration::ZERO)) } else { span("deadline", given) };
    }
    span("deadline", &LEFT.call(given.py(), (given,))?)
}
