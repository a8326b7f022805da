//! `LimitSet`: the parts that do not wait.

use super::bucket::TokenBucket;
use super::decision::Decision;
use super::key::Key;
use super::keyed::RateLimiter;
use crate::args::Cost;
use crate::clock::ManualClock;
use crate::errors::{config, from_core, wrong_type};
use crate::python::Function;
use crate::refusal::refused;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;
use tidegate::limit::{self, Member, SetDecision};
use tidegate::refusal::Refusal;

static ACQUIRE: Function = Function::new("tidegate._waiting", "acquire_set");
static ACQUIRE_ASYNC: Function = Function::new("tidegate._waiting", "acquire_set_async");

/// Several limits decided as one, all or nothing: a denied call leaves nothing consumed anywhere.
///
/// `LimitSet(user=RateLimiter("100/min"), ip=RateLimiter("20/s"), everyone=TokenBucket("5000/s"))`, then
/// `limits.check(user="u1", ip="192.0.2.7", n=1)` or `limits.check({"user": "u1", "ip": "192.0.2.7"}, n=1)`.
///
/// Args:
///     limits: 1 to 16 limits by name, as a mapping or as keywords. A RateLimiter takes a key under its name, a
///         TokenBucket none. All on one clock. `n` is the cost and cannot be a name.
///
/// Raises:
///     ConfigError: no limit, too many, `n` as a name, or different clocks. TypeError: a limit of another kind; at a
///     call, a key that is missing, unknown or of a wrong type.
///
/// All methods may be called from any thread and any event loop at the same time; none but `acquire` blocks. While
/// calls race for the last tokens one of them may be denied that could have passed; never is one admitted too many.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct LimitSet {
    pub(crate) core: Arc<limit::LimitSet>,
    members: Box<[Named]>,
    keyed: usize,
    clock: Option<Py<ManualClock>>,
}

#[derive(Debug)]
struct Named {
    name: Py<PyString>,
    text: Arc<str>,
    limit: Py<PyAny>,
    keyed: bool,
}

/// What will be told.
const NOTHING: tidegate::Decision =
    tidegate::Decision { allowed: false, limit: 0, remaining: 0, retry_after_ns: 0, reset_after_ns: 0, delay_ns: 0 };

impl LimitSet {
    /// The keys of the keyed members in their order, from a mapping; how many. There is room for all.
    #[inline]
    pub(crate) fn keys_in<'py>(
        &self,
        py: Python<'py>,
        mapping: Option<&Bound<'py, PyAny>>,
        keys: &mut [Option<Bound<'py, PyAny>>],
    ) -> PyResult<usize> {
        let Some(Ok(given)) = mapping.map(|mapping| mapping.cast_exact::<PyDict>()) else {
            let found = self.keys(py, mapping, None)?;
            let count = found.len();
            keys.iter_mut().zip(found).for_each(|(place, key)| *place = Some(key));
            return Ok(count);
        };
        let mut count = 0;
        for member in self.members.iter().filter(|member| member.keyed) {
            let key = given.get_item(member.name.bind(py))?;
            keys[count] = Some(key.ok_or_else(|| self.wrong_keys(&format!("{:?} is missing", member.text)))?);
            count += 1;
        }
        if given.len() != count {
            return Err(self.wrong_keys(&format!("{} were given", given.len())));
        }
        Ok(count)
    }

    /// The keys of the keyed members in their order.
    fn keys<'py>(
        &self,
        py: Python<'py>,
        mapping: Option<&Bound<'py, PyAny>>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mapping = mapping.filter(|mapping| !mapping.is_none());
        if let Some(mapping) = mapping
            && mapping.cast::<PyDict>().is_err()
            && mapping.cast::<PyMapping>().is_err()
        {
            return Err(wrong_type("keys", "a mapping of names to keys, or keywords", mapping));
        }
        let mut keys = Vec::with_capacity(self.keyed);
        for member in self.members.iter().filter(|member| member.keyed) {
            let name = member.name.bind(py);
            let key = match named.map(|named| named.get_item(name)).transpose()?.flatten() {
                Some(key) => Some(key),
                None => match mapping {
                    Some(mapping) if mapping.contains(name)? => Some(mapping.get_item(name)?),
                    _ => None,
                },
            };
            keys.push(key.ok_or_else(|| self.wrong_keys(&format!("{:?} is missing", member.text)))?);
        }
        let given = named.map_or(0, |named| named.len()) + mapping.map_or(Ok(0), |mapping| mapping.len())?;
        if given != self.keyed {
            return Err(self.wrong_keys(&format!("{given} were given")));
        }
        Ok(keys)
    }

    #[cold]
    fn wrong_keys(&self, wrong: &str) -> PyErr {
        let wanted: Vec<_> = self.members.iter().filter(|member| member.keyed).map(|member| &*member.text).collect();
        PyTypeError::new_err(match wanted.as_slice() {
            [] => format!("keys: {wrong}; no limit of this set takes one"),
            wanted => format!("keys: {wrong}; this set takes one for each of {}", wanted.join(", ")),
        })
    }

    /// Runs `decide` with the keys as bytes.
    fn with<T>(
        &self,
        keys: &[Bound<'_, PyAny>],
        decide: impl FnOnce(&[&[u8]]) -> Result<T, tidegate::ConfigError>,
        py: Python<'_>,
    ) -> PyResult<T> {
        let keys = keys.iter().map(Key::of).collect::<PyResult<Vec<_>>>()?;
        let bytes: Vec<&[u8]> = keys.iter().map(Key::bytes).collect();
        decide(&bytes).map_err(|error| from_core(py, &error))
    }

    /// What taking `n` would be told, with each limit's own in their order; takes nothing.
    pub(crate) fn look<'py>(
        &self,
        py: Python<'py>,
        keys: Option<&Bound<'py, PyAny>>,
        n: u32,
    ) -> PyResult<(tidegate::Decision, [tidegate::Decision; limit::LimitSet::MAX_MEMBERS])> {
        let keys = self.keys(py, keys, None)?;
        let mut each = [NOTHING; limit::LimitSet::MAX_MEMBERS];
        let told = self.with(&keys, |keys| self.core.peek_each(keys, n, &mut each), py)?;
        Ok((told.decision, each))
    }

    fn decision(&self, core: SetDecision) -> Decision {
        Decision { denied_by: core.denied_by.map(|at| self.members[at].text.clone()), ..core.decision.into() }
    }
}

#[pymethods]
impl LimitSet {
    #[new]
    #[pyo3(signature = (limits = None, /, **named), text_signature = "(limits=None, /, **named)")]
    pub(crate) fn new(
        py: Python<'_>,
        limits: Option<&Bound<'_, PyAny>>,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let all = PyDict::new(py);
        if let Some(limits) = limits {
            let limits = limits.cast::<PyMapping>().map_err(|_| {
                wrong_type("limits", "a mapping of names to limits, or keywords: LimitSet(user=RateLimiter(…))", limits)
            })?;
            all.update(limits)?;
        }
        if let Some(named) = named {
            all.update(named.as_mapping())?;
        }
        let (mut members, mut core) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
        let mut clock: Option<Option<Py<ManualClock>>> = None;
        for (name, limit) in &all {
            let name = name
                .cast_into::<PyString>()
                .map_err(|error| wrong_type("limits", "names as str", error.into_inner().as_any()))?;
            let text = name.to_string_lossy().into_owned();
            if text == "n" {
                return Err(config(py, "limits: \"n\" is the cost of a call and cannot be a limit's name"));
            }
            let (member, on, keyed) = if let Ok(limiter) = limit.cast::<RateLimiter>() {
                (Member::Keyed(Arc::clone(&limiter.get().core)), &limiter.get().clock, true)
            } else if let Ok(bucket) = limit.cast::<TokenBucket>() {
                (Member::Bucket(Arc::clone(&bucket.get().core)), &bucket.get().clock, false)
            } else {
                return Err(wrong_type(&text, "a RateLimiter or a TokenBucket", &limit));
            };
            clock.get_or_insert_with(|| on.as_ref().map(|clock| clock.clone_ref(py)));
            core.push((text.clone(), member));
            members.push(Named { name: name.unbind(), text: text.into(), limit: limit.unbind(), keyed });
        }
        let core = limit::LimitSet::new(core).map_err(|error| from_core(py, &error))?;
        let keyed = members.iter().filter(|member| member.keyed).count();
        Ok(Self { core: Arc::new(core), members: members.into(), keyed, clock: clock.flatten() })
    }

    /// Takes `n` from every limit, or nothing from any, and tells what is left: allowed, of the limit with the fewest
    /// left; denied, of the one with the longest wait, whose name is `denied_by`.
    #[pyo3(signature = (keys = None, /, n = Cost(1), **named), text_signature = "($self, keys=None, /, n=1, **named)")]
    fn check(
        &self,
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        n: Cost,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Decision> {
        let keys = self.keys(py, keys, named)?;
        self.with(&keys, |keys| self.core.check(keys, n.0), py).map(|core| self.decision(core))
    }

    /// As `check`, yes or no; True only when no limit wants a delay.
    #[pyo3(signature = (keys = None, /, n = Cost(1), **named), text_signature = "($self, keys=None, /, n=1, **named)")]
    fn try_acquire(
        &self,
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        n: Cost,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<bool> {
        let keys = self.keys(py, keys, named)?;
        self.with(
            &keys,
            |keys| {
                // A delay is no "now": look first, and give back what a race made wait.
                let ahead = self.core.peek(keys, n.0)?;
                if !ahead.decision.allowed || ahead.decision.delay_ns > 0 {
                    return Ok(false);
                }
                let taken = self.core.check(keys, n.0)?;
                if taken.decision.allowed && taken.decision.delay_ns > 0 {
                    self.core.refund(keys, n.0)?;
                    return Ok(false);
                }
                Ok(taken.decision.allowed)
            },
            py,
        )
    }

    /// As `check`, with each limit's own decision beside the answer, by name: for headers that tell of all of them.
    #[pyo3(signature = (keys = None, /, n = Cost(1), **named), text_signature = "($self, keys=None, /, n=1, **named)")]
    fn check_each<'py>(
        &self,
        py: Python<'py>,
        keys: Option<&Bound<'py, PyAny>>,
        n: Cost,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(Decision, Bound<'py, PyDict>)> {
        let keys = self.keys(py, keys, named)?;
        let mut each = vec![NOTHING; self.members.len()];
        let decision = self.with(&keys, |keys| self.core.check_each(keys, n.0, &mut each), py)?;
        let by_name = PyDict::new(py);
        for (member, own) in self.members.iter().zip(each) {
            by_name.set_item(member.name.bind(py), Decision::from(own))?;
        }
        Ok((self.decision(decision), by_name))
    }

    /// What `check` would answer; takes nothing.
    #[pyo3(signature = (keys = None, /, n = Cost(1), **named), text_signature = "($self, keys=None, /, n=1, **named)")]
    fn peek(
        &self,
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        n: Cost,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Decision> {
        let keys = self.keys(py, keys, named)?;
        self.with(&keys, |keys| self.core.peek(keys, n.0), py).map(|core| self.decision(core))
    }

    /// Gives `n` back to every limit, never above full.
    #[pyo3(signature = (keys = None, /, n = Cost(1), **named), text_signature = "($self, keys=None, /, n=1, **named)")]
    fn refund(
        &self,
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        n: Cost,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let keys = self.keys(py, keys, named)?;
        self.with(&keys, |keys| self.core.refund(keys, n.0), py)
    }

    /// Takes `n` from every limit, blocking this thread until all have it.
    ///
    /// Raises RateLimitedError at once, with `retry_after` and `denied_by`, when the wait would exceed `timeout`
    /// seconds; Ctrl-C leaves nothing taken. `timeout` is no name for a limit whose keys come as keywords here.
    #[pyo3(signature = (keys = None, /, n = None, timeout = None, **named),
           text_signature = "($self, keys=None, /, n=1, timeout=None, **named)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        keys: Option<Bound<'py, PyAny>>,
        n: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        named: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ACQUIRE.call(slf.py(), (slf, keys, n, timeout, named))
    }

    /// Takes `n` from every limit, suspending this task until all have it; cancelling it leaves nothing taken.
    ///
    /// Raises RateLimitedError at once when the wait would exceed `timeout` seconds, as `acquire` does.
    #[pyo3(signature = (keys = None, /, n = None, timeout = None, **named),
           text_signature = "($self, keys=None, /, n=1, timeout=None, **named)")]
    fn acquire_async<'py>(
        slf: &Bound<'py, Self>,
        keys: Option<Bound<'py, PyAny>>,
        n: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        named: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ACQUIRE_ASYNC.call(slf.py(), (slf, keys, n, timeout, named))
    }

    /// What RateLimitedError says of `n` tokens that were refused, by the limit of that name if it was one alone.
    fn _refused(&self, n: u32, retry_after: f64, timeout: Option<f64>, denied_by: Option<&str>) -> String {
        let denied_by = self.core.members().find(|(name, _)| Some(*name) == denied_by);
        let names: Vec<&str> = self.core.names().collect();
        let refusal = match denied_by {
            Some((name, Member::Keyed(limiter))) => Refusal::of_limiter(limiter.quota(), n).named(Some(name)),
            Some((name, Member::Bucket(bucket))) => Refusal::of_bucket(bucket.quota(), n).named(Some(name)),
            None => Refusal::of_limits(&names, n),
        };
        refused(refusal, retry_after, timeout)
    }

    /// The limits by name, in order.
    #[getter]
    fn limits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let limits = PyDict::new(py);
        for member in &self.members {
            limits.set_item(member.name.bind(py), member.limit.bind(py))?;
        }
        Ok(limits)
    }

    /// The `ManualClock` that its limits were made with, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (class, py) = (slf.get_type().name()?, slf.py());
        let members: PyResult<Vec<_>> =
            slf.get().members.iter().map(|m| Ok(format!("{}={}", m.text, m.limit.bind(py).repr()?))).collect();
        Ok(format!("{class}({})", members?.join(", ")))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.members.iter().try_for_each(|member| visit.call(&member.limit))
    }
}
