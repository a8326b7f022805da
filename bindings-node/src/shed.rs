//! The operations of `LoadShedder` in `lib/shed.cjs`.

use crate::clock::Entry;
use crate::convert::ms;
use crate::io::Io;
use crate::quota::mode;
use crate::raw::{Kind, Reply};
use crate::scope;
use crate::settings::span;
use crate::stats;
use crate::table::Table;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate::retry::draw;
use tidegate::shed::{Priority, SETTINGS, Shed, ShedderConfig, Signal, SignalKind};
use tidegate::{ConfigError, LoadShedder};

/// Signals as `lib/shed.cjs` writes them: kind, name, start and full, a line each; an empty one is left out.
fn signals(text: &str) -> Result<Vec<Signal>, ConfigError> {
    let lines: Vec<_> = text.split('\n').collect();
    let one = |fields: &[&str; 4]| {
        let [kind, name, start, full] = fields;
        let kind: SignalKind = kind.parse()?;
        let signal = Signal::new(kind).named(name);
        if start.is_empty() && full.is_empty() {
            return Ok(signal);
        }
        let (low, high) = kind.range().unwrap_or((f64::NAN, f64::NAN));
        Ok(signal.range(start.parse().unwrap_or(low), full.parse().unwrap_or(high)))
    };
    lines.as_chunks::<4>().0.iter().map(one).collect()
}

/// Numbers in the order of the core's table, NaN for no limit of CPUs; then the mode.
fn config(io: Io, [given, level_key]: [Option<String>; 2]) -> Result<ShedderConfig, ConfigError> {
    let time = |at: usize| span(io, at, &SETTINGS.fields[at]);
    Ok(ShedderConfig {
        rise: io.get(0),
        fall: io.get(1),
        min_admit: io.get(2),
        critical_at: io.get(3),
        critical_after: time(4)?,
        cool_off: time(5)?,
        interval: time(6)?,
        cpu_limit: io.option(7),
        level_key: level_key.unwrap_or_default(),
        mode: mode(io, 8),
        ..ShedderConfig::new(signals(&given.unwrap_or_default())?)
    })
}

/// Word 1: the priority, word 2: the level; JavaScript has checked both.
fn class(io: Io) -> (Priority, u8) {
    let priority = Priority::ALL.get(io.word(1) as usize).copied().unwrap_or_default();
    (priority, u8::try_from(io.word(2)).unwrap_or(u8::MAX))
}

/// The answer: word 1 whether it may be served; the place of the signal (-1 for none), its pressure, when to come back.
fn decided(io: Io, shedder: &LoadShedder, shed: Shed<'_>) {
    let place = shed.signal.and_then(|name| shedder.config().signals.iter().position(|it| it.name() == name));
    io.answer(shed.allowed);
    io.set([place.map_or(-1.0, |place| place as f64), shed.pressure, ms(shed.retry_after_ns)]);
}

fn span_of(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1e3).unwrap_or_default()
}

/// Exports a shedder's operations.
pub(crate) fn export(kind: &Kind<Arc<LoadShedder>>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |shedders, io, call| {
        let config = config(io, call.texts(scope::OWN)?)?;
        let own = config.clone();
        let (shedder, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| LoadShedder::in_arena(at.arena, at.name, config, at.on_conflict),
            |clock| Ok(LoadShedder::with_clock(own, clock)?),
        )?;
        call.adopt(shedders, io, Arc::new(shedder), 0)?;
        lives.told(call)
    })?
    .operation("admit", |shedders, io, _| {
        let (priority, level) = class(io);
        io.answer(shedders.with(io, |shedder| shedder.admit(priority, level))?);
        Ok(Reply::Nothing)
    })?
    // Number 0: the draw, NaN for the thread's next.
    .operation("check", |shedders, io, _| {
        let ((priority, level), random) = (class(io), io.option(0).unwrap_or_else(draw));
        shedders.with(io, |shedder| {
            let shed = shedder.check_at(shedder.clock().now(), priority, level, random);
            decided(io, shedder, shed);
        })?;
        Ok(Reply::Nothing)
    })?
    // Number 0: seconds since 1970, NaN for now.
    .keyed("levelOf", |shedders, io, call| {
        let at = io.option(0);
        let level = call.with_key(|user| {
            shedders.with(io, |shedder| match at {
                Some(unix_s) => shedder.level_of_at(user, unix_s as u64),
                None => shedder.level_of(user),
            })
        })?;
        io.set_word(1, level.into());
        Ok(Reply::Nothing)
    })?
    .operation("tell", |shedders, io, call| {
        let (name, value) = (call.text()?.unwrap_or_default(), io.get(0));
        shedders.with(io, |shedder| shedder.tell(&name, value))??;
        Ok(Reply::Nothing)
    })?
    .operation("tick", |shedders, io, _| {
        let (late, period) = (span_of(io.get(0)), span_of(io.get(1)));
        shedders.with(io, |shedder| {
            shedder.tell_lag(late, period);
            shedder.sample();
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("sample", |shedders, io, _| {
        shedders.with(io, |shedder| shedder.sample())?;
        Ok(Reply::Nothing)
    })?
    .operation("pressure", |shedders, io, _| {
        io.set([shedders.with(io, |shedder| shedder.pressure())?]);
        Ok(Reply::Nothing)
    })?
    // Word 1: whether anybody watches a loop.
    .operation("loopLag", |shedders, io, _| {
        let lag = shedders.with(io, |shedder| shedder.loop_lag())?;
        io.answer(lag.is_some());
        io.set(lag.map_or([0.0; 2], |lag| [ms(lag.p99_ns), ms(lag.max_ns)]));
        Ok(Reply::Nothing)
    })?
    // Numbers as for `create`, NaN for what stays; a name, start and full of each range that changes, a line each.
    .operation("setConfig", |shedders, io, call| {
        let ranges = call.text()?.unwrap_or_default();
        let ranges: Vec<_> = ranges.split('\n').collect();
        shedders.with(io, |shedder| {
            let mut own = shedder.config_in_force();
            for [name, start, full] in ranges.as_chunks::<3>().0 {
                // JavaScript has found it.
                if let Some(signal) = own.signals.iter_mut().find(|signal| signal.name() == *name) {
                    let number = |text: &str| text.parse().unwrap_or(f64::NAN);
                    *signal = signal.clone().range(number(start), number(full));
                }
            }
            let reals = [&mut own.rise, &mut own.fall, &mut own.min_admit, &mut own.critical_at];
            for (at, into) in reals.into_iter().enumerate() {
                *into = io.option(at).unwrap_or(*into);
            }
            for (at, into) in [(4, &mut own.critical_after), (5, &mut own.cool_off)] {
                if io.option(at).is_some() {
                    *into = span(io, at, &SETTINGS.fields[at])?;
                }
            }
            shedder.set_config(&own)
        })??;
        Ok(Reply::Nothing)
    })?
    .operation("stats", |shedders, io, _| {
        io.set(stats::shedder(&shedders.with(io, |shedder| shedder.stats())?));
        Ok(Reply::Nothing)
    })?
    .operation("explain", |shedders, io, call| {
        let lines = shedders.with(io, |shedder| shedder.explain())?;
        call.string(&lines.join("\n"))
    })?;
    Ok(())
}
