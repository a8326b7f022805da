//! The operations of `ClusterLimit` in `lib/cluster.cjs`.

use crate::clock::Entry;
use crate::convert::answer;
use crate::failure::Failure;
use crate::quota::{mode, quota};
use crate::raw::{Kind, Reply};
use crate::scope;
use crate::settings::{span, whole};
use crate::stats;
use crate::table::Table;
use std::rc::Rc;
use tidegate::lease::{ClusterConfig, FALLBACK_FOR, NO_ARENA, OnUnreachable, SETTINGS};
use tidegate::limit::{BUCKET_SETTINGS, Mode};
use tidegate::{ClusterLimit, ConfigError};

/// Where the settings stand among the numbers; `lib/cluster.cjs` has the same list.
const MODE: usize = 3;
const SYNC: usize = 5;
const LEASE: usize = 6;
const TIMEOUT: usize = 7;
const MAX_OUTSTANDING: usize = 8;
const HOSTS: usize = 9;
const FALLBACK: usize = 10;

/// Exports the operations; the number of tokens is word 1. Own texts of a creation: the rate, and what is done without
/// the store.
pub(crate) fn export(kind: &Kind<ClusterLimit>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |limits, io, call| {
        let [rate, alone] = call.texts(scope::OWN)?;
        let span_of = |at: usize, name| io.option(at).map(|_| span(io, at, SETTINGS.field(name))).transpose();
        let whole_of = |at: usize, name| io.option(at).map(|_| whole(io, at, SETTINGS.field(name))).transpose();
        let mut config = ClusterConfig::new(quota(&BUCKET_SETTINGS, io, 0, rate)?);
        (config.mode, config.sync, config.lease) = (mode(io, MODE), span_of(SYNC, "sync")?, span_of(LEASE, "lease")?);
        if let Some(timeout) = span_of(TIMEOUT, "timeout")? {
            config.timeout = timeout;
        }
        let most = whole_of(MAX_OUTSTANDING, "max_outstanding")?;
        config.max_outstanding = most.map(|most| most as u32);
        let hosts = whole_of(HOSTS, "hosts")?.map(|hosts| hosts as u32);
        let fallback_for = span_of(FALLBACK, "fallback_for")?.unwrap_or(FALLBACK_FOR);
        config.on_unreachable = OnUnreachable::of(alone.as_deref().unwrap_or("deny"), hosts, fallback_for)?;
        config.check()?;
        let (limit, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| ClusterLimit::in_arena(at.arena, at.name, config, at.on_conflict),
            |_| Err(Failure::from(ConfigError::out_of_range("scope", NO_ARENA))),
        )?;
        call.adopt(limits, io, limit, 0)?;
        lives.told(call)
    })?
    .operation("tryAcquire", |limits, io, _| {
        limits.with(io, |limit| io.answer(limit.try_acquire(io.word(1))))?;
        Ok(Reply::Nothing)
    })?
    .operation("check", |limits, io, _| {
        limits.with(io, |limit| answer(io, &limit.check(io.word(1))))?;
        Ok(Reply::Nothing)
    })?
    .operation("peek", |limits, io, _| {
        limits.with(io, |limit| answer(io, &limit.peek()))?;
        Ok(Reply::Nothing)
    })?
    // Whether it refuses what is too much: it is neither switched off nor a dry run.
    .operation("refuses", |limits, io, _| {
        limits.with(io, |limit| io.answer(limit.mode() == Mode::Enforce))?;
        Ok(Reply::Nothing)
    })?
    // Number 3: the part of the rate that can be used.
    .operation("quota", |limits, io, _| {
        let (quota, used) = limits.with(io, |limit| (limit.quota(), limit.terms().utilisation()))?;
        let period_ms = quota.period().as_nanos() as f64 / 1e6;
        io.set([quota.count() as f64, period_ms, f64::from(quota.burst()), used]);
        Ok(Reply::Nothing)
    })?
    .operation("memberId", |limits, io, call| call.string(&limits.with(io, ClusterLimit::member_id)?))?
    // The fault as text, nothing where there is none.
    .operation("stats", |limits, io, call| {
        let stats = limits.with(io, ClusterLimit::stats)?;
        io.set(stats::cluster_limit(&stats));
        stats.health.fault.map_or(Ok(Reply::Nothing), |fault| call.string(&fault))
    })?;
    Ok(())
}
