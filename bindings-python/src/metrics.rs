//! The scrape behind `tidegate/metrics.py`.

use crate::breaker::CircuitBreaker;
use crate::breaker::registry::BreakerRegistry;
use crate::concurrency::ConcurrencyLimiter;
use crate::errors::{from_core, wrong_type};
use crate::gate::Gate;
use crate::limit::bucket::TokenBucket;
use crate::limit::cluster::ClusterLimit;
use crate::limit::keyed::RateLimiter;
use crate::queue::BoundedQueue;
use crate::retry::budget::RetryBudget;
use crate::retry::throttle::ClientThrottle;
use crate::scope;
use crate::shed::LoadShedder;
use pyo3::prelude::*;
use std::borrow::Borrow;
use std::sync::Arc;
use tidegate::Arena;
use tidegate::inspect::Object;
use tidegate::metrics::{Family, Measured, Metrics, MetricsFormat, PRIVATE};

/// An arena, held open for scrapes, or for a look.
#[pyclass(frozen, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct ArenaView(Arc<Arena>);

#[pymethods]
impl ArenaView {
    /// The arena of a scope; None where that is private.
    #[staticmethod]
    fn of(py: Python<'_>, scope: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Self>> {
        Ok(scope::open(py, scope)?.map(Self))
    }

    /// As `of`, to look at: makes no arena, and takes no place in one. None where there is none.
    #[staticmethod]
    fn look(py: Python<'_>, scope: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Self>> {
        Ok(scope::look(py, scope)?.map(Self))
    }

    /// Its limiters per key: each one's name, and for how many keys it was made.
    fn limiters(&self) -> Vec<(String, usize)> {
        let limiter = |name: String| match self.0.to_look(&name) {
            Some(Ok(Object::Limiter(limiter))) => Some((name, limiter.max_keys())),
            _ => None,
        };
        self.0.objects().into_iter().filter_map(|object| limiter(object.name)).collect()
    }
}

/// What is done with an object that counts.
trait Visit {
    type Answer;

    /// `at`: the scope and the name there of one that lives in a named scope.
    fn visit(self, object: &impl Measured, at: Option<(String, String)>) -> Self::Answer;
}

/// Finds out what `object` is.
fn visit<V: Visit>(object: &Bound<'_, PyAny>, visitor: V) -> PyResult<V::Answer> {
    macro_rules! visit {
        ($($class:ident),+) => {$(
            if let Ok(object) = object.cast::<$class>() {
                let place = &object.get().place;
                let at = place.name().map(|name| (place.scope(), name.to_owned())).filter(|(at, _)| at != PRIVATE);
                // The core's object, or one that others hold as well.
                return Ok(visitor.visit(Borrow::<tidegate::$class>::borrow(&object.get().core), at));
            }
        )+};
    }
    visit!(TokenBucket, RateLimiter, CircuitBreaker, ConcurrencyLimiter, LoadShedder);
    visit!(BreakerRegistry, RetryBudget, ClientThrottle, ClusterLimit);
    if let Ok(queue) = object.cast::<BoundedQueue>() {
        return Ok(visitor.visit(&*queue.get().core, None));
    }
    if let Ok(gate) = object.cast::<Gate>() {
        return Ok(visitor.visit(&gate.get().core, None));
    }
    let kinds = "a TokenBucket, RateLimiter, ConcurrencyLimiter, CircuitBreaker, BreakerRegistry, RetryBudget, \
                 ClientThrottle, LoadShedder, ClusterLimit, BoundedQueue or Gate";
    Err(wrong_type("object", kinds, object))
}

/// Kind and scope of an object that can be scraped, and its name there.
#[pyfunction]
pub(crate) fn metrics_name(object: &Bound<'_, PyAny>) -> PyResult<(&'static str, String, Option<String>)> {
    struct Name;
    impl Visit for Name {
        type Answer = (&'static str, String, Option<String>);

        fn visit(self, object: &impl Measured, at: Option<(String, String)>) -> Self::Answer {
            let (scope, name) = at.map_or((PRIVATE.to_owned(), None), |(scope, name)| (scope, Some(name)));
            (object.kind(), scope, name)
        }
    }
    visit(object, Name)
}

/// The text of a scrape.
#[pyfunction]
#[pyo3(signature = (format, arena, objects, policy = None))]
pub(crate) fn metrics_page(
    py: Python<'_>,
    format: &str,
    arena: Option<&Bound<'_, ArenaView>>,
    objects: Vec<(String, Bound<'_, PyAny>)>,
    policy: Option<(String, u64, u64)>,
) -> PyResult<String> {
    struct Read<'a>(&'a mut Metrics, &'a str);
    impl Visit for Read<'_> {
        type Answer = Result<(), tidegate::ConfigError>;

        fn visit(self, object: &impl Measured, at: Option<(String, String)>) -> Self::Answer {
            let Self(metrics, name) = self;
            match at {
                None => metrics.add(name, object),
                Some((scope, name)) => {
                    metrics.add_in(&scope, &name, object);
                    Ok(())
                }
            }
        }
    }
    let format: MetricsFormat = format.parse().map_err(|error| from_core(py, &error))?;
    let mut metrics = Metrics::new();
    for (name, object) in &objects {
        visit(object, Read(&mut metrics, name))?.map_err(|error| from_core(py, &error))?;
    }
    if let Some((hash, reloaded, failed)) = policy {
        metrics.add_policy(&hash, reloaded, failed);
    }
    if let Some(arena) = arena {
        metrics.add_arena(&arena.get().0);
    }
    Ok(metrics.render(format))
}

/// What an HTTP answer of a format says in its Content-Type; by what Accept asks for, its name.
#[pyfunction]
pub(crate) fn metrics_content_type(py: Python<'_>, format: Option<&str>, accept: &str) -> PyResult<(String, String)> {
    let format = match format {
        Some(format) => format.parse::<MetricsFormat>().map_err(|error| from_core(py, &error))?,
        None => MetricsFormat::accepted(accept),
    };
    Ok((format.name().to_owned(), format.content_type().to_owned()))
}

/// All families: name, type and help.
#[pyfunction]
pub(crate) fn metrics_families() -> Vec<(&'static str, &'static str, &'static str)> {
    Family::ALL.iter().map(|family| (family.name(), family.kind().name(), family.help())).collect()
}
