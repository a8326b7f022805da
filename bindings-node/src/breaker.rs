//! The operations of `CircuitBreaker` in `lib/breaker.cjs`.

use crate::clock::Entry;
use crate::convert::{duration, ms};
use crate::io::Io;
use crate::raw::{Kind, Reply};
use crate::scope;
use crate::settings::{span, whole};
use crate::stats;
use crate::table::Table;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::breaker::overdue::Overdue;
use tidegate::breaker::{Classified, Outcome, Permit, Rejected, SETTINGS, Trip};
use tidegate::config::{Kind as SettingKind, Preset, Value};
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
    let mut config = BreakerConfig::default();
    let by_time = io.option(1).is_some();
    for (at, field) in SETTINGS.fields.iter().enumerate() {
        if at == 0 && by_time || field.default == Preset::Unset && io.option(at).is_none() {
            continue;
        }
        let value = match field.kind {
            SettingKind::Count { .. } => Value::Count(whole(io, at, field)?),
            SettingKind::Real { .. } => Value::Real(io.get(at)),
            _ => Value::Span(span(io, at, field)?),
        };
        config.set(field, Some(value));
    }
    Ok(config)
}

/// All settings, as [`config`] takes them.
fn numbers(config: &BreakerConfig) -> [f64; SETTINGS.fields.len()] {
    let mut numbers = [f64::NAN; SETTINGS.fields.len()];
    for (number, field) in numbers.iter_mut().zip(SETTINGS.fields) {
        match config.get(field) {
            Some(Value::Count(count)) => *number = count as f64,
            Some(Value::Real(real)) => *number = real,
            Some(Value::Span(span)) => *number = span.as_secs_f64() * 1e3,
            _ => {}
        }
    }
    numbers
}

/// The settings that are given, by their bits, from `changed` to `config`.
pub(crate) fn change(config: &mut BreakerConfig, changed: &BreakerConfig, given: u64) {
    if given & 3 != 0 {
        // One of the two windows, and `changed` has it.
        config.window = changed.window;
    }
    for (at, field) in SETTINGS.fields.iter().enumerate().skip(2) {
        if given >> at & 1 == 1 {
            config.set(field, changed.get(field));
        }
    }
}

/// Whether there is one, and its calls; `lib/trip.cjs` reads them.
pub(crate) fn trip(trip: Option<Trip>) -> [f64; 4] {
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
        io.set(stats::breaker(&breakers.with(io, |handle| handle.breaker.stats())?));
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
