//! The operations of `RetryPolicy`, `RetryBudget` and `ClientThrottle` in `lib/retry.cjs` and `lib/throttle.cjs`.

use crate::clock::Entry;
use crate::convert::{duration, ms};
use crate::io::Io;
use crate::quota::mode;
use crate::raw::{Kind, Reply};
use crate::scope;
use crate::settings::{span, whole};
use crate::stats;
use crate::table::Table;
use std::rc::Rc;
use tidegate::retry::{BUDGET_SETTINGS, Jitter, Next, SETTINGS, draw};
use tidegate::throttle::SETTINGS as THROTTLE_SETTINGS;
use tidegate::{
    ClientThrottle, ClientThrottleConfig, ConfigError, RetryBudget, RetryBudgetConfig, RetryConfig, RetryPolicy,
};

/// Numbers in the order of the core's table; the jitter as its place among the texts, NaN for no deadline.
fn policy(io: Io) -> Result<RetryPolicy, ConfigError> {
    let time = |at: usize| span(io, at, &SETTINGS.fields[at]);
    RetryPolicy::new(RetryConfig {
        attempts: whole(io, 0, &SETTINGS.fields[0])? as u32,
        base: time(1)?,
        factor: io.get(2),
        max_delay: time(3)?,
        jitter: Jitter::ALL.get(io.get(4) as usize).copied().unwrap_or_default(),
        deadline: io.option(5).map(|_| time(5)).transpose()?,
        max_retry_after: time(6)?,
    })
}

/// A random number that was given, or the thread's next.
fn random(io: Io, at: usize) -> f64 {
    io.option(at).unwrap_or_else(draw)
}

/// Exports `create`, `next` and `delay` of a policy. Numbers of `next`: attempts, previous, what the server told,
/// elapsed, draw; answers: the wait (word 1: whether there is one), previous. Of `delay`: n, previous, draw; the same.
pub(crate) fn export_policies(kind: &Kind<RetryPolicy>) -> napi::Result<()> {
    kind.operation("create", |policies, io, call| {
        call.adopt(policies, io, policy(io)?, 0)?;
        Ok(Reply::Nothing)
    })?
    .operation("next", |policies, io, _| {
        let (attempts, mut previous) = (io.get(0) as u64, io.get(1));
        let (told, elapsed, random) = (duration(io.get(2)), duration(io.get(3)), random(io, 4));
        let next = policies.with(io, |policy| policy.next(attempts, random, &mut previous, Some(told), elapsed))?;
        let wait = match next {
            Next::Wait(wait) => Some(ms(wait.as_nanos() as u64)),
            Next::Exhausted | Next::PastDeadline => None,
        };
        io.set([wait.unwrap_or_default(), previous]);
        io.answer(wait.is_some());
        Ok(Reply::Nothing)
    })?
    .operation("delay", |policies, io, _| {
        let (n, mut previous, random) = (io.get(0) as u64, io.get(1), random(io, 2));
        let wait = policies.with(io, |policy| policy.backoff().delay_ns(n, random, &mut previous))?;
        io.set([ms(wait), previous]);
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

/// Exports a budget's operations. Numbers of a creation: the settings in the core's order, then the mode.
pub(crate) fn export_budgets(kind: &Kind<RetryBudget>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |budgets, io, call| {
        let config = RetryBudgetConfig {
            ratio: io.get(0),
            min_per_second: io.get(1),
            ttl: span(io, 2, &BUDGET_SETTINGS.fields[2])?,
            mode: mode(io, 3),
        };
        let (budget, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| RetryBudget::in_arena(at.arena, at.name, config, at.on_conflict),
            |clock| Ok(RetryBudget::with_clock(config, clock)?),
        )?;
        call.adopt(budgets, io, budget, 0)?;
        lives.told(call)
    })?
    .operation("deposit", |budgets, io, _| {
        budgets.with(io, RetryBudget::deposit)?;
        Ok(Reply::Nothing)
    })?
    .operation("tryWithdraw", |budgets, io, _| {
        io.answer(budgets.with(io, RetryBudget::try_withdraw)?);
        Ok(Reply::Nothing)
    })?
    .operation("retryAfter", |budgets, io, _| {
        io.set([ms(budgets.with(io, RetryBudget::retry_after_ns)?)]);
        Ok(Reply::Nothing)
    })?
    .operation("stats", |budgets, io, _| {
        io.set(stats::retry_budget(&budgets.with(io, RetryBudget::stats)?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

/// Exports a throttle's operations. Numbers of a creation: the settings in the core's order, then the mode.
pub(crate) fn export_throttles(kind: &Kind<ClientThrottle>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |throttles, io, call| {
        let fields = THROTTLE_SETTINGS.fields;
        let config = ClientThrottleConfig {
            k: io.get(0),
            window: span(io, 1, &fields[1])?,
            min_calls: whole(io, 2, &fields[2])? as u32,
            max_rejection: io.get(3),
            force_pass: span(io, 4, &fields[4])?,
            mode: mode(io, 5),
        };
        let (throttle, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| ClientThrottle::in_arena(at.arena, at.name, config, at.on_conflict),
            |clock| Ok(ClientThrottle::with_clock(config, clock)?),
        )?;
        call.adopt(throttles, io, throttle, 0)?;
        lives.told(call)
    })?
    // Number 0: the draw, NaN for the thread's next.
    .operation("tryAcquire", |throttles, io, _| {
        let random = random(io, 0);
        io.answer(throttles.with(io, |throttle| throttle.try_acquire(random))?);
        Ok(Reply::Nothing)
    })?
    // Word 1: whether it was accepted.
    .operation("report", |throttles, io, _| {
        throttles.with(io, |throttle| if io.word(1) == 1 { throttle.accepted() } else { throttle.refused() })?;
        Ok(Reply::Nothing)
    })?
    .operation("retryAfter", |throttles, io, _| {
        io.set([ms(throttles.with(io, ClientThrottle::retry_after_ns)?)]);
        Ok(Reply::Nothing)
    })?
    .operation("stats", |throttles, io, _| {
        io.set(stats::throttle(&throttles.with(io, ClientThrottle::stats)?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
