//! The operations of `CircuitBreaker` in `lib/breaker.cjs`.

use crate::clock::Entry;
use crate::convert::{duration, ms};
use crate::io::Io;
use crate::raw::{Kind, Reply};
use crate::scope;
use crate::settings::{span, whole};
use crate::table::Table;
use std::rc::Rc;
use tidegate::breaker::{Outcome, Permit, SETTINGS, Trip, Window};
use tidegate::{BreakerConfig, CircuitBreaker, ConfigError};

/// Every setting is given; NaN where "none" is one. The core's table and `lib/breaker.cjs` have the same order.
fn config(io: Io) -> Result<BreakerConfig, ConfigError> {
    let count = |at: usize| Ok(whole(io, at, &SETTINGS.fields[at])? as u32);
    let time = |at: usize| span(io, at, &SETTINGS.fields[at]);
    let given = |at: usize| io.option(at).map(|_| at);
    Ok(BreakerConfig {
        window: match given(1) {
            Some(at) => Window::Duration(time(at)?),
            None => Window::Calls(count(0)?),
        },
        failure_rate_threshold: io.get(2),
        slow_call_duration: given(3).map(time).transpose()?,
        slow_call_rate_threshold: io.get(4),
        consecutive_failures: given(5).map(count).transpose()?,
        min_calls: count(6)?,
        cooldown: time(7)?,
        cooldown_backoff: io.get(8),
        max_cooldown: given(9).map(time).transpose()?,
        cooldown_jitter: io.get(10),
        probes: count(11)?,
        probe_timeout: time(12)?,
    })
}

/// Whether there is one, and its calls; `tripAt` in `lib/breaker.cjs` reads them.
fn trip(trip: Option<Trip>) -> [f64; 4] {
    trip.map_or([0.0; 4], |trip| [1, trip.calls, trip.failed, trip.slow].map(f64::from))
}

fn permit(io: Io) -> Permit {
    let [word, started_ns] = io.bits();
    Permit { word, started_ns }
}

/// Exports the operations; a report's duration is number 0, NaN for "since it was acquired".
pub(crate) fn export(kind: &Kind<CircuitBreaker>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |breakers, io, call| {
        let [name] = call.texts(scope::OWN)?;
        let config = config(io)?;
        let (breaker, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| CircuitBreaker::in_arena(at.arena, at.name, config.clone(), at.on_conflict),
            |clock| Ok(CircuitBreaker::with_clock(name.unwrap_or_default(), config.clone(), clock)?),
        )?;
        call.adopt(breakers, io, breaker, 0)?;
        lives.told(call)
    })?
    .operation("acquire", |breakers, io, _| {
        match breakers.with(io, CircuitBreaker::acquire)? {
            Ok(permit) => {
                io.set_bits([permit.word, permit.started_ns]);
                io.answer(true);
            }
            Err(rejected) => {
                let [has, calls, failed, slow] = trip(rejected.trip);
                io.set([ms(rejected.retry_after_ns), has, calls, failed, slow]);
                io.answer(false);
            }
        }
        Ok(Reply::Nothing)
    })?
    .operation("success", |breakers, io, _| {
        let duration = io.option(0).map(duration);
        breakers.with(io, |breaker| breaker.report(permit(io), Outcome::Success, duration))?;
        Ok(Reply::Nothing)
    })?
    .operation("failure", |breakers, io, _| {
        let duration = io.option(0).map(duration);
        breakers.with(io, |breaker| breaker.report(permit(io), Outcome::Failure, duration))?;
        Ok(Reply::Nothing)
    })?
    .operation("failureRetryAfter", |breakers, io, _| {
        breakers.with(io, |breaker| breaker.report_retry_after(permit(io), duration(io.get(0))))?;
        Ok(Reply::Nothing)
    })?
    .operation("ignore", |breakers, io, _| {
        breakers.with(io, |breaker| breaker.report(permit(io), Outcome::Ignore, None))?;
        Ok(Reply::Nothing)
    })?
    .operation("release", |breakers, io, _| {
        breakers.with(io, |breaker| breaker.release(permit(io)))?;
        Ok(Reply::Nothing)
    })?
    .operation("state", |breakers, io, _| {
        breakers.with(io, |breaker| io.set_word(1, breaker.state() as u32))?;
        Ok(Reply::Nothing)
    })?
    .operation("retryAfter", |breakers, io, _| {
        breakers.with(io, |breaker| io.set([ms(breaker.retry_after_ns())]))?;
        Ok(Reply::Nothing)
    })?
    .operation("stats", |breakers, io, _| {
        let stats = breakers.with(io, CircuitBreaker::stats)?;
        io.set_word(1, stats.state as u32);
        let [calls, failed, slow] = [stats.calls, stats.failed, stats.slow].map(f64::from);
        let (rejected, opened) = (stats.rejected as f64, stats.opened as f64);
        let retry_after = ms(stats.retry_after_ns);
        let (failure_rate, slow_rate) = (stats.failure_rate, stats.slow_call_rate);
        let [has_trip, trip_calls, trip_failed, trip_slow] = trip(stats.last_trip);
        io.set([
            calls,
            failed,
            slow,
            failure_rate,
            slow_rate,
            rejected,
            opened,
            retry_after,
            has_trip,
            trip_calls,
            trip_failed,
            trip_slow,
        ]);
        Ok(Reply::Nothing)
    })?
    .operation("forceOpen", |breakers, io, _| {
        breakers.with(io, CircuitBreaker::force_open)?;
        Ok(Reply::Nothing)
    })?
    .operation("disable", |breakers, io, _| {
        breakers.with(io, CircuitBreaker::disable)?;
        Ok(Reply::Nothing)
    })?
    .operation("metricsOnly", |breakers, io, _| {
        breakers.with(io, CircuitBreaker::metrics_only)?;
        Ok(Reply::Nothing)
    })?
    .operation("reset", |breakers, io, _| {
        breakers.with(io, CircuitBreaker::reset)?;
        Ok(Reply::Nothing)
    })?
    .operation("events", |breakers, io, call| {
        let events = breakers.with(io, |breaker| breaker.events_since(io.get(0) as u64))?;
        let numbers = |event: &tidegate::breaker::Event| {
            let [has_trip, calls, failed, slow] = trip(event.trip);
            [event.seq as f64, event.kind as u8 as f64, ms(event.at_ns), has_trip, calls, failed, slow]
        };
        call.array(&events.iter().flat_map(numbers).collect::<Vec<_>>())
    })?;
    Ok(())
}
