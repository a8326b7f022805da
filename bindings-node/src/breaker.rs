//! The operations of `CircuitBreaker` in `lib/breaker.cjs`.

use crate::clock::Entry;
use crate::convert::{duration, ms};
use crate::io::Io;
use crate::raw::{Kind, Reply};
use crate::scope;
use crate::settings::{span, whole};
use crate::table::Table;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate::breaker::overdue::Overdue;
use tidegate::breaker::{Classified, Outcome, Permit, Rejected, SETTINGS, Trip, Window};
use tidegate::{BreakerConfig, CircuitBreaker, ConfigError};

/// A breaker as one JavaScript instance has it.
pub(crate) struct Handle {
    breaker: Arc<CircuitBreaker>,
    /// In an arena: the probes that this instance gave out and nobody has reported, by their slot. A slot has one.
    probes: Option<RefCell<Vec<Option<Permit>>>>,
    /// Of this instance's own calls.
    overdue: Overdue,
}

impl Handle {
    fn new(breaker: CircuitBreaker, is_shared: bool) -> Self {
        Self { breaker: Arc::new(breaker), probes: is_shared.then(RefCell::default), overdue: Overdue::default() }
    }

    /// Of one that others may have as well.
    pub(crate) fn shared(breaker: Arc<CircuitBreaker>) -> Self {
        Self { breaker, probes: Some(RefCell::default()), overdue: Overdue::default() }
    }

    /// Whether its calls count as slow when they become so.
    pub(crate) fn count_overdue(&self, on: bool) {
        self.overdue.switch(on);
    }

    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    pub(crate) fn core(&self) -> Arc<CircuitBreaker> {
        Arc::clone(&self.breaker)
    }

    pub(crate) fn is_of(&self, breaker: &Arc<CircuitBreaker>) -> bool {
        Arc::ptr_eq(&self.breaker, breaker)
    }

    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.breaker) as usize
    }

    #[inline]
    fn acquire(&self) -> Result<Permit, Rejected> {
        self.noted(self.breaker.acquire())
    }

    #[inline]
    fn noted(&self, answer: Result<Permit, Rejected>) -> Result<Permit, Rejected> {
        let permit = answer.inspect_err(|_| self.overdue.refused(&self.breaker))?;
        if let Some(slot) = permit.probe() {
            self.note(slot, Some(permit));
        }
        Ok(self.overdue.begin(&self.breaker, permit))
    }

    /// Reports what became of the permit that the block names, unless it was counted while it was under way.
    #[inline]
    fn report(&self, io: Io, report: impl FnOnce(&CircuitBreaker, Permit)) {
        let [word, started_ns] = io.bits();
        let Some(permit) = self.overdue.end(&self.breaker, Permit { word, started_ns }) else { return };
        if let Some(slot) = permit.probe() {
            self.settled(slot, permit);
        }
        report(&self.breaker, permit);
    }

    #[cold]
    fn note(&self, slot: u32, permit: Option<Permit>) {
        let Some(probes) = &self.probes else { return };
        let (mut probes, slot) = (probes.borrow_mut(), slot as usize);
        if slot >= probes.len() {
            probes.resize(slot + 1, None);
        }
        probes[slot] = permit;
    }

    #[cold]
    fn settled(&self, slot: u32, permit: Permit) {
        let Some(probes) = &self.probes else { return };
        if let Some(held) = probes.borrow_mut().get_mut(slot as usize)
            && *held == Some(permit)
        {
            *held = None;
        }
    }
}

/// A worker thread that ends, or an instance that is collected with its permits, gives back the probes that it held:
/// the kernel speaks for a process that dies, nobody else for a thread, and the circuit would wait for their timeout.
impl Drop for Handle {
    fn drop(&mut self) {
        for permit in self.probes.take().map(RefCell::into_inner).unwrap_or_default().into_iter().flatten() {
            self.breaker.release(permit);
        }
    }
}

/// Every setting is given; NaN where "none" is one. The core's table and `lib/breaker.cjs` have the same order.
pub(crate) fn config(io: Io) -> Result<BreakerConfig, ConfigError> {
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
        probe_failure_rate_threshold: io.option(13),
        probes_at_once: given(14).map(count).transpose()?,
        healthy_after: given(15).map(time).transpose()?,
        ramp: given(16).map(time).transpose()?,
        ramp_from: io.get(17),
    })
}

/// All settings, as [`config`] takes them.
fn numbers(config: &BreakerConfig) -> [f64; 18] {
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    let or_none = |number: Option<f64>| number.unwrap_or(f64::NAN);
    let count = |count: Option<u32>| or_none(count.map(f64::from));
    let time = |span: Option<Duration>| or_none(span.map(ms));
    let (calls, duration) = match config.window {
        Window::Calls(calls) => (Some(calls), None),
        Window::Duration(span) => (None, Some(span)),
    };
    [
        count(calls),
        time(duration),
        config.failure_rate_threshold,
        time(config.slow_call_duration),
        config.slow_call_rate_threshold,
        count(config.consecutive_failures),
        config.min_calls.into(),
        ms(config.cooldown),
        config.cooldown_backoff,
        time(config.max_cooldown),
        config.cooldown_jitter,
        config.probes.into(),
        ms(config.probe_timeout),
        or_none(config.probe_failure_rate_threshold),
        count(config.probes_at_once),
        time(config.healthy_after),
        time(config.ramp),
        config.ramp_from,
    ]
}

/// The settings that are given, by their bits, from `changed` to `config`.
pub(crate) fn change(config: &mut BreakerConfig, changed: &BreakerConfig, given: u64) {
    let is = |at: u32| given >> at & 1 == 1;
    let set = |at: u32, set: &mut dyn FnMut()| {
        if is(at) {
            set();
        }
    };
    set(0, &mut || config.window = changed.window);
    set(1, &mut || config.window = changed.window);
    set(2, &mut || config.failure_rate_threshold = changed.failure_rate_threshold);
    set(3, &mut || config.slow_call_duration = changed.slow_call_duration);
    set(4, &mut || config.slow_call_rate_threshold = changed.slow_call_rate_threshold);
    set(5, &mut || config.consecutive_failures = changed.consecutive_failures);
    set(6, &mut || config.min_calls = changed.min_calls);
    set(7, &mut || config.cooldown = changed.cooldown);
    set(8, &mut || config.cooldown_backoff = changed.cooldown_backoff);
    set(9, &mut || config.max_cooldown = changed.max_cooldown);
    set(10, &mut || config.cooldown_jitter = changed.cooldown_jitter);
    set(11, &mut || config.probes = changed.probes);
    set(12, &mut || config.probe_timeout = changed.probe_timeout);
    set(13, &mut || config.probe_failure_rate_threshold = changed.probe_failure_rate_threshold);
    set(14, &mut || config.probes_at_once = changed.probes_at_once);
    set(15, &mut || config.healthy_after = changed.healthy_after);
    set(16, &mut || config.ramp = changed.ramp);
    set(17, &mut || config.ramp_from = changed.ramp_from);
}

/// Whether there is one, and its calls; `tripAt` in `lib/breaker.cjs` reads them.
fn trip(trip: Option<Trip>) -> [f64; 4] {
    trip.map_or([0.0; 4], |trip| [1, trip.calls, trip.failed, trip.slow].map(f64::from))
}

/// What was acquired: a permit, or the refusal.
#[inline]
fn granted(io: Io, answer: Result<Permit, Rejected>) {
    match answer {
        Ok(permit) => {
            io.set_bits([permit.word, permit.started_ns]);
            io.answer(true);
        }
        Err(rejected) => {
            let [has, calls, failed, slow] = trip(rejected.trip);
            io.set([ms(rejected.retry_after_ns), has, calls, failed, slow, f64::from(rejected.ramping)]);
            io.answer(false);
        }
    }
}

/// Exports the operations; a report's duration is number 0, NaN for "since it was acquired".
pub(crate) fn export(kind: &Kind<Handle>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |breakers, io, call| {
        let [name] = call.texts(scope::OWN)?;
        let config = config(io)?;
        let (breaker, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| Ok(Handle::new(CircuitBreaker::in_arena(at.arena, at.name, config.clone(), at.on_conflict)?, true)),
            |clock| {
                Ok(Handle::new(CircuitBreaker::with_clock(name.unwrap_or_default(), config.clone(), clock)?, false))
            },
        )?;
        call.adopt(breakers, io, breaker, 0)?;
        lives.told(call)
    })?
    .operation("acquire", |breakers, io, _| {
        granted(io, breakers.with(io, Handle::acquire)?);
        Ok(Reply::Nothing)
    })?
    .operation("acquireWith", |breakers, io, _| {
        let draw = io.get(0);
        granted(io, breakers.with(io, |handle| handle.noted(handle.breaker.acquire_with(draw)))?);
        Ok(Reply::Nothing)
    })?
    .operation("acquireTimed", |breakers, io, _| {
        granted(io, breakers.with(io, |handle| handle.noted(handle.breaker.acquire_timed()))?);
        Ok(Reply::Nothing)
    })?
    .operation("took", |breakers, io, _| {
        let [word, started_ns] = io.bits();
        let took =
            breakers.with(io, |handle| handle.breaker.took(handle.overdue.original(Permit { word, started_ns })))?;
        io.set([took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)]);
        Ok(Reply::Nothing)
    })?
    .operation("success", |breakers, io, _| {
        let duration = io.option(0).map(duration);
        breakers.with(io, |handle| {
            handle.report(io, |breaker, permit| breaker.report(permit, Outcome::Success, duration))
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("slow", |breakers, io, _| {
        let duration = io.option(0).map(duration);
        breakers
            .with(io, |handle| handle.report(io, |breaker, permit| breaker.report(permit, Outcome::Slow, duration)))?;
        Ok(Reply::Nothing)
    })?
    .operation("failure", |breakers, io, _| {
        let (took, retry_after) = (io.option(0).map(duration), io.option(1).map(duration));
        let said = Classified { outcome: Outcome::Failure, retry_after };
        breakers.with(io, |handle| {
            handle.report(io, |breaker, permit| breaker.report_classified(permit, said, took));
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("ignore", |breakers, io, _| {
        breakers
            .with(io, |handle| handle.report(io, |breaker, permit| breaker.report(permit, Outcome::Ignore, None)))?;
        Ok(Reply::Nothing)
    })?
    .operation("unreached", |breakers, io, _| {
        let duration = io.option(0).map(duration);
        breakers.with(io, |handle| {
            handle.report(io, |breaker, permit| breaker.report(permit, Outcome::Unreached, duration));
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("release", |breakers, io, _| {
        breakers.with(io, |handle| handle.report(io, |breaker, permit| breaker.release(permit)))?;
        Ok(Reply::Nothing)
    })?
    .operation("state", |breakers, io, _| {
        breakers.with(io, |handle| io.set_word(1, handle.breaker.state() as u32))?;
        Ok(Reply::Nothing)
    })?
    .operation("retryAfter", |breakers, io, _| {
        breakers.with(io, |handle| io.set([ms(handle.breaker.retry_after_ns())]))?;
        Ok(Reply::Nothing)
    })?
    .operation("stats", |breakers, io, _| {
        let stats = breakers.with(io, |handle| handle.breaker.stats())?;
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
            f64::from(stats.ramping),
        ]);
        Ok(Reply::Nothing)
    })?
    .operation("forceOpen", |breakers, io, _| {
        breakers.with(io, |handle| handle.breaker.force_open())?;
        Ok(Reply::Nothing)
    })?
    .operation("disable", |breakers, io, _| {
        breakers.with(io, |handle| handle.breaker.disable())?;
        Ok(Reply::Nothing)
    })?
    .operation("metricsOnly", |breakers, io, _| {
        breakers.with(io, |handle| handle.breaker.metrics_only())?;
        Ok(Reply::Nothing)
    })?
    .operation("reset", |breakers, io, _| {
        breakers.with(io, |handle| handle.breaker.reset())?;
        Ok(Reply::Nothing)
    })?
    .operation("config", |breakers, io, _| {
        breakers.with(io, |handle| {
            io.set(numbers(&handle.breaker.config()));
            io.answer(handle.overdue.is_on());
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("countOverdue", |breakers, io, _| {
        breakers.with(io, |handle| handle.count_overdue(io.get(0) != 0.0))?;
        Ok(Reply::Nothing)
    })?
    .operation("setConfig", |breakers, io, _| {
        let (changed, given) = (config(io)?, io.get(SETTINGS.fields.len()) as u64);
        breakers.with(io, |handle| handle.breaker.update_config(|config| change(config, &changed, given)))??;
        Ok(Reply::Nothing)
    })?
    .operation("events", |breakers, io, call| {
        let events = breakers.with(io, |handle| handle.breaker.events_since(io.get(0) as u64))?;
        let numbers = |event: &tidegate::breaker::Event| {
            let [has_trip, calls, failed, slow] = trip(event.trip);
            [event.seq as f64, event.kind as u8 as f64, ms(event.at_ns), has_trip, calls, failed, slow]
        };
        call.array(&events.iter().flat_map(numbers).collect::<Vec<_>>())
    })?;
    Ok(())
}
