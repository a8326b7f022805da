//! Figures for Prometheus.

// `#[unsafe(no_mangle)]`.
#![allow(unsafe_code)]

use crate::arena::tg_arena;
use crate::breaker::registry::tg_registry;
use crate::breaker::tg_breaker;
use crate::bucket::tg_bucket;
use crate::concurrency::tg_concurrency;
use crate::gate::tg_gate;
use crate::handle::{Handle, In, Out};
use crate::limiter::tg_limiter;
use crate::panic::guard_system;
use crate::queue::tg_queue;
use crate::retry::budget::tg_retry_budget;
use crate::shedder::tg_shedder;
use crate::status::{Failure, tg_status};
use crate::throttle::tg_throttle;
use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tg_status::{TG_OK, TG_UNKNOWN_VALUE};
use tidegate_core::metrics::{Measured, Metrics, MetricsFormat};

/// A page of figures, as a scrape reads it: objects are read into it at the call that adds them, and it is written.
/// Nothing of it stands on a decision's path.
///
/// Thread safety: calls on one page wait for each other.
#[derive(Debug)]
pub struct tg_metrics(Mutex<Metrics>);

impl Handle for tg_metrics {}

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_metrics_format {
    /// Prometheus' text, "text/plain; version=0.0.4; charset=utf-8".
    TG_METRICS_PROMETHEUS = 0,
    /// OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8".
    TG_METRICS_OPENMETRICS = 1,
    /// An array of families: [{"name", "type", "help", "samples": [{"labels", "value"}]}].
    TG_METRICS_JSON = 2,
}

impl tg_metrics {
    fn page(&self) -> MutexGuard<'_, Metrics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn format_of(format: i32) -> Result<MetricsFormat, Failure> {
    let found = usize::try_from(format).ok().and_then(|place| MetricsFormat::ALL.get(place));
    found.copied().ok_or_else(|| {
        let message =
            format!("format: {format} is none of tg_metrics_format, TG_METRICS_PROMETHEUS (0) to TG_METRICS_JSON (2)");
        Failure::new(TG_UNKNOWN_VALUE, message)
    })
}

/// Makes an empty page: one for each scrape.
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_new(metrics: Out<*mut tg_metrics>) -> tg_status {
    guard_system(|| {
        metrics.require("metrics")?;
        metrics.give(tg_metrics(Mutex::new(Metrics::new())));
        Ok(TG_OK)
    })
}

/// Frees a page; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_free(metrics: Out<tg_metrics>) {
    guard_system(|| {
        metrics.free();
        Ok(TG_OK)
    });
}

/// Reads all objects of an arena, with the counts of all its processes, the dead included: any worker's page is the
/// whole host's. Those that were read already are left out, so is one whose record is damaged.
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_arena(metrics: In<tg_metrics>, arena: In<tg_arena>) -> tg_status {
    guard_system(|| {
        metrics.get("metrics")?.page().add_arena(&arena.get("arena")?.0);
        Ok(TG_OK)
    })
}

fn add(metrics: &In<tg_metrics>, name: &In<c_char>, object: &impl Measured) -> Result<tg_status, Failure> {
    let name = name.text("name")?.ok_or_else(|| Failure::null("name"))?;
    metrics.get("metrics")?.page().add(name, object)?;
    Ok(TG_OK)
}

/// Reads a bucket that lives in memory of its own, under the label name.
///
/// Errors: TG_CONFLICT (another bucket has the name), TG_SYNTAX (an empty one), TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_bucket(metrics: In<tg_metrics>, name: In<c_char>, bucket: In<tg_bucket>) -> tg_status {
    guard_system(|| add(&metrics, &name, &*bucket.get("bucket")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_limiter(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    limiter: In<tg_limiter>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &*limiter.get("limiter")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_concurrency(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    concurrency: In<tg_concurrency>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &*concurrency.get("concurrency")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_breaker(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    breaker: In<tg_breaker>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &breaker.get("breaker")?.0))
}

/// As tg_metrics_add_bucket(). Its breakers are counted by their states.
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_registry(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    registry: In<tg_registry>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &registry.get("registry")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_retry_budget(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    budget: In<tg_retry_budget>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &budget.get("budget")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_throttle(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    throttle: In<tg_throttle>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &throttle.get("throttle")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_shedder(
    metrics: In<tg_metrics>,
    name: In<c_char>,
    shedder: In<tg_shedder>,
) -> tg_status {
    guard_system(|| add(&metrics, &name, &*shedder.get("shedder")?.0))
}

/// As tg_metrics_add_bucket().
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_queue(metrics: In<tg_metrics>, name: In<c_char>, queue: In<tg_queue>) -> tg_status {
    guard_system(|| add(&metrics, &name, &*queue.get("queue")?.0))
}

/// As tg_metrics_add_bucket(). What it counts is this process's.
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_add_gate(metrics: In<tg_metrics>, name: In<c_char>, gate: In<tg_gate>) -> tg_status {
    guard_system(|| add(&metrics, &name, &*gate.get("gate")?.gate))
}

/// Writes the page and a NUL into the size bytes of buffer. format is one of tg_metrics_format; *length (may be NULL):
/// without the NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_UNKNOWN_VALUE (format); TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_metrics_render(
    metrics: In<tg_metrics>,
    format: i32,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| {
        let it = metrics.get("metrics")?;
        let found = format_of(format)?;
        let page = it.page().render(found);
        buffer.fill_text(size, &length, &page)
    })
}
