//! A rate and a ramp as Python writes them.

use crate::args::{brief, flag, is_int, real, span_of, whole};
use crate::errors::{config, from_core};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::time::Duration;
use tidegate::config::Table;
use tidegate::limit::{LIMITER_SETTINGS, Mode, WarmUp};
use tidegate::{Algorithm, ConfigError, Quota};

/// The rate as `"400/s"`, or as a number of tokens per `per` seconds; the burst defaults to the count.
pub(crate) fn quota(
    table: &'static Table,
    rate: &Bound<'_, PyAny>,
    per: Option<&Bound<'_, PyAny>>,
    burst: Option<&Bound<'_, PyAny>>,
) -> PyResult<Quota> {
    let py = rate.py();
    let core = |error: ConfigError| from_core(py, &error);
    let quota = if let Ok(text) = rate.cast::<PyString>() {
        if per.is_some() {
            return Err(config(
                py,
                "per: the rate already names its period; leave per out, or pass the rate as a number",
            ));
        }
        one(py, &text.to_string_lossy())?
    } else {
        let field = table.field("rate");
        let per = per.map_or(Ok(Duration::from_secs(1)), |per| span_of(table.field("period"), per))?;
        let outside = || from_core(py, &field.outside(brief(rate), ""));
        if is_int(rate) {
            Quota::new(rate.extract().map_err(|_| outside())?, per).map_err(core)?
        } else {
            Quota::from_f64(real(field, rate)?, per.as_secs_f64()).map_err(core)?
        }
    };
    match burst {
        Some(burst) => quota.with_burst(whole(table.field("burst"), burst)?).map_err(core),
        None => Ok(quota),
    }
}

fn one(py: Python<'_>, text: &str) -> PyResult<Quota> {
    text.parse::<Quota>().map_err(|error| match Quota::parse_many(text) {
        Ok(many) => config(
            py,
            format!(
                "rate: {text:?} holds {} rates and a limit has one; make one limit of each and combine them: \
                 LimitSet(a=RateLimiter(…), b=RateLimiter(…))",
                many.len()
            ),
        ),
        Err(_) => from_core(py, &error),
    })
}

/// The quota of a keyed limit: windows have no burst, and a leaky bucket has a `queue` instead of one.
pub(crate) fn keyed(
    algorithm: Algorithm,
    rate: &Bound<'_, PyAny>,
    per: Option<&Bound<'_, PyAny>>,
    burst: Option<&Bound<'_, PyAny>>,
    queue: Option<&Bound<'_, PyAny>>,
) -> PyResult<Quota> {
    let py = rate.py();
    if algorithm != Algorithm::LeakyBucket && queue.is_some() {
        let message = format!("queue: only a leaky bucket makes calls wait, and this is a {algorithm}; leave it out");
        return Err(config(py, message));
    }
    if burst.is_some() && algorithm.is_window() {
        let message = format!("burst: a {algorithm} admits its whole limit at once and has no burst; leave it out");
        return Err(config(py, message));
    }
    if burst.is_some() && algorithm == Algorithm::LeakyBucket {
        return Err(config(py, "burst: a leaky bucket paces; say with queue= how many calls may wait"));
    }
    let quota = quota(&LIMITER_SETTINGS, rate, per, burst)?;
    match queue {
        Some(queue) => {
            let waiting = whole(LIMITER_SETTINGS.field("queue"), queue)?;
            quota.with_burst(waiting + 1).map_err(|error| from_core(py, &error))
        }
        None => Ok(quota),
    }
}

/// `warm_up=` and `warm_up_from=` of a limit.
pub(crate) fn warm_up(
    py: Python<'_>,
    period: Option<&Bound<'_, PyAny>>,
    from: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<WarmUp>> {
    let Some(period) = period else {
        return match from {
            None => Ok(None),
            Some(_) => Err(config(py, "warm_up_from: only with warm_up, the seconds that the ramp takes")),
        };
    };
    let field = |name| LIMITER_SETTINGS.field(name);
    let from = from.map_or(Ok(WarmUp::FROM), |from| real(field("warm_up_from"), from))?;
    WarmUp::new(span_of(field("warm_up"), period)?, from).map(Some).map_err(|error| from_core(py, &error))
}

/// `enabled=` and `dry_run=` of a limit.
pub(crate) fn mode(enabled: Option<&Bound<'_, PyAny>>, dry_run: Option<&Bound<'_, PyAny>>) -> PyResult<Mode> {
    Ok(Mode::of(flag("enabled", enabled)?, flag("dry_run", dry_run)?.unwrap_or(false)))
}
