//! What a client is told of a limit: RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10. Every
//! answer carries them, and here they cost a tenth of what they cost in Python.

use super::client::ClientAddress;
use super::taken::Taken;
use crate::args::Cost;
use crate::errors::from_core;
use crate::limit::bucket::TokenBucket;
use crate::limit::decision::Decision;
use crate::limit::key::Key;
use crate::limit::keyed::{RateLimiter, Tier};
use crate::limit::set::LimitSet;
use crate::python::Function;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate::Quota;
use tidegate::http::fields::Policy;
use tidegate::http::{Jitter, RateLimitStatus};

/// A field's name, made once.
macro_rules! name {
    ($py:expr, $name:literal) => {{
        static NAME: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();
        NAME.get_or_init($py, || PyBytes::new($py, $name).unbind()).bind($py)
    }};
}

/// How a limit presents itself to clients.
///
/// Args:
///     limit: a TokenBucket, a RateLimiter, a Tier of one or a LimitSet, whose quotas RateLimit-Policy tells; of
///     another limit, or
///         None, there is only RateLimit.
///     name: the policy's name; the limits of a LimitSet have their own.
///     legacy: X-RateLimit-Limit, -Remaining and -Reset (seconds from now, as Retry-After) as well.
///     unit: what costs are counted in, such as `"content-bytes"`; default: requests.
///     jitter: up to this fraction longer are the times that clients are told, so that they do not return together.
///
/// Raises ConfigError for a name or unit that is not printable ASCII or longer than 128 characters, or a jitter outside
/// 0 to 1. Immutable, so safe on any thread.
#[pyclass(frozen, module = "tidegate.headers")]
#[derive(Debug)]
pub(crate) struct Policies {
    limit: Py<PyAny>,
    /// Of a set the empty one.
    name: Py<PyString>,
    members: Box<[Member]>,
    legacy: bool,
    jitter: Jitter,
}

#[derive(Debug)]
struct Member {
    name: Py<PyString>,
    policy: Policy,
    limit: Limit,
    /// RateLimit-Policy as it was last told, and of what.
    line: Mutex<Option<(Quota, u32, Py<PyBytes>)>>,
}

#[derive(Debug)]
enum Limit {
    Bucket(Arc<tidegate::TokenBucket>),
    Keyed(Arc<tidegate::RateLimiter>),
    Tier(Arc<tidegate::RateLimiter>, tidegate::limit::Tier, Quota),
    Unknown,
}

impl Member {
    fn new(name: &Bound<'_, PyString>, unit: Option<&str>, limit: &Bound<'_, PyAny>) -> PyResult<Self> {
        let policy = Policy::new(&name.to_string_lossy()).and_then(|policy| match unit {
            Some(unit) => policy.with_unit(unit),
            None => Ok(policy),
        });
        let policy = policy.map_err(|error| from_core(name.py(), &error))?;
        let limit = if let Ok(bucket) = limit.cast::<TokenBucket>() {
            Limit::Bucket(Arc::clone(&bucket.get().core))
        } else if let Ok(limiter) = limit.cast::<RateLimiter>() {
            Limit::Keyed(Arc::clone(&limiter.get().core))
        } else if let Ok(tier) = limit.cast::<Tier>() {
            let tier = tier.get();
            Limit::Tier(Arc::clone(&tier.limiter.get().core), tier.core, tier.quota)
        } else {
            Limit::Unknown
        };
        Ok(Self { name: name.clone().unbind(), policy, limit, line: Mutex::new(None) })
    }

    /// Read anew: `set_quota` may have changed it.
    fn quota(&self) -> Option<Quota> {
        match &self.limit {
            Limit::Bucket(bucket) => Some(bucket.quota()),
            Limit::Keyed(limiter) => Some(limiter.quota()),
            Limit::Tier(_, _, quota) => Some(*quota),
            Limit::Unknown => None,
        }
    }

    /// The time in which all of the quota is back.
    fn window(&self, quota: &Quota) -> Duration {
        match &self.limit {
            Limit::Keyed(limiter) | Limit::Tier(limiter, ..) if limiter.algorithm().is_window() => quota.period(),
            _ => quota.fill_time(),
        }
    }

    /// This limit alone in RateLimit-Policy, written again only when it has changed.
    fn line<'py>(&self, py: Python<'py>, told: &RateLimitStatus) -> Option<Bound<'py, PyBytes>> {
        let quota = self.quota()?;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, limit, known)) = &*line
            && (*of, *limit) == (quota, told.limit)
        {
            return Some(known.bind(py).clone());
        }
        let mut text = String::with_capacity(48);
        self.policy.write_quota(&mut text, told.limit, Some(self.window(&quota)), None);
        let bytes = PyBytes::new(py, text.as_bytes());
        *line = Some((quota, told.limit, bytes.clone().unbind()));
        Some(bytes)
    }

    /// Adds this limit to both fields.
    fn write(&self, quota: &mut String, state: &mut String, told: &RateLimitStatus) {
        if let Some(of) = self.quota() {
            self.policy.write_quota(quota, told.limit, Some(self.window(&of)), None);
        }
        self.policy.write_limit(state, told, None);
    }
}

#[pymethods]
impl Policies {
    #[new]
    #[pyo3(signature = (limit = None, name = None, *, legacy = false, unit = None, jitter = 0.0),
           text_signature = "(limit=None, name='default', *, legacy=False, unit=None, jitter=0.0)")]
    fn new(
        py: Python<'_>,
        limit: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyString>>,
        legacy: bool,
        unit: Option<&str>,
        jitter: f64,
    ) -> PyResult<Self> {
        let (name, nothing) = (name.unwrap_or(intern!(py, "default")), py.None().into_bound(py));
        let limit = limit.unwrap_or(&nothing);
        let members = if limit.is_instance_of::<LimitSet>() {
            let limits = limit.getattr(intern!(py, "limits"))?.cast_into::<PyDict>()?;
            limits.iter().map(|(name, limit)| Member::new(name.cast()?, unit, &limit)).collect::<PyResult<_>>()?
        } else {
            [Member::new(name, unit, limit)?].into()
        };
        let name = if limit.is_instance_of::<LimitSet>() { intern!(py, "") } else { name };
        let jitter = Jitter::new(jitter).map_err(|error| from_core(py, &error))?;
        // A tier is a quota of its limiter, which is what was charged.
        let limit = match limit.cast::<Tier>() {
            Ok(tier) => tier.get().limiter.clone_ref(py).into_any(),
            Err(_) => limit.clone().unbind(),
        };
        Ok(Self { limit, name: name.clone().unbind(), members, legacy, jitter })
    }

    /// The fields of an answer, and the seconds of its Retry-After (0 when admitted: it has none).
    ///
    /// `decision` is the answer of the limit; for a LimitSet `each` are the answers of its limits by name, as
    /// `check_each` gives them. Without them only the limit that denied is told of.
    #[pyo3(signature = (decision, each = None))]
    fn tell<'py>(
        &self,
        decision: &Bound<'py, Decision>,
        each: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(Bound<'py, PyList>, u64)> {
        let (py, draw) = (decision.py(), self.jitter.draw());
        let lengthen = |decision: &Decision| self.jitter.lengthen(RateLimitStatus::of(&decision.into()), draw);
        let told = lengthen(decision.get());
        let (mut quota, mut state) = (String::new(), String::new());
        match (&*self.members, each) {
            ([member], None) => member.write(&mut quota, &mut state, &told),
            (members, None) => {
                let denied = decision.get().denied_by.as_deref();
                if let Some(member) = members.iter().find(|member| denied == Some(member.policy.name())) {
                    member.write(&mut quota, &mut state, &told);
                }
            }
            (members, Some(each)) => {
                for member in members {
                    if let Some(own) = each.get_item(&member.name)? {
                        member.write(&mut quota, &mut state, &lengthen(own.cast::<Decision>()?.get()));
                    }
                }
            }
        }
        let quota = (!quota.is_empty()).then(|| PyBytes::new(py, quota.as_bytes()));
        Ok((self.fields(py, quota, &state, &told)?, told.retry_after))
    }

    /// What the client is told of a LimitSet as it stands, and the seconds of Retry-After where taking `n` would be
    /// refused, else 0; takes nothing.
    fn look<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>, n: Cost) -> PyResult<(Bound<'py, PyList>, u64)> {
        let (decision, each) = self.limit.bind(py).cast::<LimitSet>()?.get().look(py, Some(keys), n.0)?;
        let draw = self.jitter.draw();
        let lengthen = |decision| self.jitter.lengthen(RateLimitStatus::of(decision), draw);
        let (mut quota, mut state) = (String::new(), String::new());
        for (member, own) in self.members.iter().zip(&each) {
            member.write(&mut quota, &mut state, &lengthen(own));
        }
        let told = lengthen(&decision);
        let quota = (!quota.is_empty()).then(|| PyBytes::new(py, quota.as_bytes()));
        Ok((self.fields(py, quota, &state, &told)?, told.retry_after))
    }

    /// Takes `n` of the bucket, or of the key's in the limiter, and tells of it: `check` and `tell` in one. The limit
    /// must be one of the two; with `show` False the client is told nothing but when to come back.
    #[pyo3(signature = (keys, n, show = true))]
    fn take(&self, py: Python<'_>, keys: Option<&Bound<'_, PyAny>>, n: Cost, show: bool) -> PyResult<Taken> {
        let decision = match (&*self.members, keys) {
            ([Member { limit: Limit::Bucket(bucket), .. }], None) => bucket.check(n.0),
            ([Member { limit: Limit::Keyed(limiter), .. }], Some(key)) => limiter.check(Key::of(key)?.bytes(), n.0),
            ([Member { limit: Limit::Tier(limiter, tier, _), .. }], Some(key)) => {
                limiter.check_tier(Key::of(key)?.bytes(), n.0, tier)
            }
            _ => {
                return Err(PyTypeError::new_err(
                    "limit: take() is for a TokenBucket without and a RateLimiter with a key",
                ));
            }
        };
        self.taken(py, keys, n.0, &decision, show)
    }

    /// [`take`](Self::take) for a request that nothing has been counted for yet, in one call: finds the key, which is
    /// the socket's peer as a ClientAddress reads it, or the header of that name (None where the limit is not keyed),
    /// and leaves in the scope what was taken and what the client is told. `client` reads the peer of a request without
    /// that header; without it, and where something was counted before, the answer is None and nothing is done.
    fn serve<'py>(
        &self,
        n: Cost,
        source: Option<&Bound<'py, PyAny>>,
        client: Option<&Bound<'py, ClientAddress>>,
        show: bool,
        scope: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, Taken>>> {
        let py = scope.py();
        let counted = intern!(py, "tidegate.counted");
        if scope.contains(counted)? {
            return Ok(None);
        }
        let key = match source {
            Some(source) => match key_of(scope, source, client)? {
                Some(key) => Some(key),
                None => return Ok(None),
            },
            None => None,
        };
        let taken = self.take(py, key.as_ref().map(Bound::as_any), n, show)?;
        let taken = Bound::new(py, taken)?;
        scope.set_item(counted, PyList::new(py, [&taken])?)?;
        scope.set_item(intern!(py, "tidegate.fields"), taken.get().fields(py))?;
        Ok(Some(taken))
    }
}

/// The key of a request: the peer's, or the header's value. Who has none is known by the peer's address behind a NUL,
/// which no header can hold, so that nobody can name it; None where only somebody else can read that address.
fn key_of<'py>(
    scope: &Bound<'py, PyDict>,
    source: &Bound<'py, PyAny>,
    client: Option<&Bound<'py, ClientAddress>>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    let py = scope.py();
    if let Ok(client) = source.cast::<ClientAddress>() {
        let key = peer_of(scope, client)?;
        return Ok(Some(if key.is_truthy()? { key } else { nobody(py)? }));
    }
    if let Some(key) = header_of(scope, source.cast::<PyBytes>()?.as_bytes())? {
        return Ok(Some(key));
    }
    let Some(client) = client else { return Ok(None) };
    let peer = peer_of(scope, client)?;
    Ok(Some(if peer.is_truthy()? { PyString::new(py, &format!("\0{}", peer.to_string_lossy())) } else { nobody(py)? }))
}

/// The key of who has neither a key nor an address; the log says once that these are one client.
#[cold]
fn nobody(py: Python<'_>) -> PyResult<Bound<'_, PyString>> {
    static NO_ADDRESS: Function = Function::new("tidegate._notices", "no_address");
    NO_ADDRESS.call(py, ())?;
    Ok(intern!(py, "\0").clone())
}

fn peer_of<'py>(scope: &Bound<'py, PyDict>, client: &Bound<'py, ClientAddress>) -> PyResult<Bound<'py, PyString>> {
    let py = scope.py();
    let peer = match scope.get_item(intern!(py, "client"))? {
        Some(pair) if !pair.is_none() => pair.get_item(0)?.cast_into::<PyString>()?,
        _ => intern!(py, "").clone(),
    };
    Ok(client.get().peer(&peer))
}

/// A header's value, unless it is empty.
fn header_of<'py>(scope: &Bound<'py, PyDict>, wanted: &[u8]) -> PyResult<Option<Bound<'py, PyString>>> {
    let Some(headers) = scope.get_item(intern!(scope.py(), "headers"))? else { return Ok(None) };
    // A list of tuples, as servers make them, without an object for each step.
    if let Ok(lines) = headers.cast::<PyList>() {
        for line in lines.iter() {
            if let Some(key) = value_of(&line, wanted)? {
                return Ok(key.is_truthy()?.then_some(key));
            }
        }
        return Ok(None);
    }
    for line in headers.try_iter()? {
        if let Some(key) = value_of(&line?, wanted)? {
            return Ok(key.is_truthy()?.then_some(key));
        }
    }
    Ok(None)
}

/// The value of a header's line, if it has that name.
fn value_of<'py>(line: &Bound<'py, PyAny>, wanted: &[u8]) -> PyResult<Option<Bound<'py, PyString>>> {
    let (name, value) = match line.cast::<PyTuple>() {
        Ok(pair) if pair.len() == 2 => (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?),
        _ => return value_of(PyTuple::new(line.py(), [line.get_item(0)?, line.get_item(1)?])?.as_any(), wanted),
    };
    if name.cast::<PyBytes>()?.as_bytes() != wanted {
        return Ok(None);
    }
    let value = value.cast::<PyBytes>()?;
    let value = value.as_bytes();
    // As latin-1, which is how HTTP's bytes are read in Python.
    Ok(Some(match std::str::from_utf8(value) {
        Ok(ascii) if value.is_ascii() => PyString::new(line.py(), ascii),
        _ => PyString::new(line.py(), &value.iter().map(|&byte| char::from(byte)).collect::<String>()),
    }))
}

impl Policies {
    fn taken(
        &self,
        py: Python<'_>,
        keys: Option<&Bound<'_, PyAny>>,
        n: u32,
        decision: &tidegate::Decision,
        show: bool,
    ) -> PyResult<Taken> {
        let told = self.jitter.lengthen(RateLimitStatus::of(decision), self.jitter.draw());
        let fields = if show {
            let member = &self.members[0];
            let mut state = String::with_capacity(48);
            member.policy.write_limit(&mut state, &told, None);
            self.fields(py, member.line(py, &told), &state, &told)?
        } else {
            PyList::empty(py)
        };
        let keys = keys.map_or_else(|| py.None(), |keys| keys.clone().unbind());
        let (limit, fields) = (self.limit.clone_ref(py), fields.unbind());
        let name = self.name.clone_ref(py);
        Ok(Taken::of(limit, keys, n, (*decision).into(), fields, told.retry_after, name))
    }
}

impl Policies {
    fn fields<'py>(
        &self,
        py: Python<'py>,
        quota: Option<Bound<'py, PyBytes>>,
        state: &str,
        told: &RateLimitStatus,
    ) -> PyResult<Bound<'py, PyList>> {
        let pair = |name: &Bound<'py, PyBytes>, value| PyTuple::new(py, [name.clone(), value]);
        let state = (!state.is_empty()).then(|| PyBytes::new(py, state.as_bytes()));
        let state = state.map(|state| pair(name!(py, b"ratelimit"), state)).transpose()?;
        let fields = match (quota, state) {
            (Some(quota), Some(state)) => PyList::new(py, [pair(name!(py, b"ratelimit-policy"), quota)?, state])?,
            (_, state) => PyList::new(py, state)?,
        };
        if self.legacy {
            let number = |number: u64| PyBytes::new(py, number.to_string().as_bytes());
            fields.append((name!(py, b"x-ratelimit-limit"), number(told.limit.into())))?;
            fields.append((name!(py, b"x-ratelimit-remaining"), number(told.remaining.into())))?;
            fields.append((name!(py, b"x-ratelimit-reset"), number(told.reset)))?;
        }
        Ok(fields)
    }
}
