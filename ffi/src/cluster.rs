//! A rate that many machines share.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::arena::place::{Place, place, unused};
use crate::arena::tg_arena;
use crate::decision::{answer, tg_decision};
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::mode::mode;
use crate::panic::{guard, guard_system};
use crate::quota::{TG_BURST_OF_RATE, tg_quota};
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tg_status::{TG_CONFLICT, TG_DENIED, TG_OK, TG_UNKNOWN_VALUE};
use tidegate_core::lease::{ClusterConfig, FALLBACK_FOR, OnUnreachable};
use tidegate_core::{ClusterLimit, Quota};

/// A rate that many machines share. The processes of this one spend what its agent (`tidegate agent --store redis://…
/// --arena NAME`) has leased from Redis or Valkey: a decision asks nobody. Over any span of time all machines admit no
/// more than burst + rate * time, whatever happens to machines, store and network. Without an agent it denies, and
/// tg_cluster_limit_fault() says so.
#[derive(Debug)]
pub struct tg_cluster_limit(pub(crate) ClusterLimit);

impl Handle for tg_cluster_limit {}

/// What a machine does when its lease has ended and the store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_on_unreachable {
    /// It denies.
    TG_ON_UNREACHABLE_DENY = 0,
    /// It admits its share, rate / hosts, for fallback_for_ns.
    TG_ON_UNREACHABLE_LOCAL = 1,
}

/// Settings of a cluster limit. Start from TG_CLUSTER_LIMIT_CONFIG_INIT; set arena, name, and rate or count and
/// period_ns. All but the quota and the mode must be the same on all machines.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_cluster_limit_config {
    /// sizeof(tg_cluster_limit_config)
    pub struct_size: usize,
    /// What all machines together may admit: "400/s", "5 per 15 minutes"; NULL: see count. Borrowed during the call.
    pub rate: In<c_char>,
    /// Tokens ...
    pub count: u64,
    /// ... per this many nanoseconds. 0 both when rate is set.
    pub period_ns: u64,
    /// The most tokens at once, at least 2; TG_BURST_OF_RATE: the count of the rate.
    pub burst: u64,
    /// The arena of this machine, in which its agent finds the limit. Shared.
    pub arena: In<tg_arena>,
    /// Which limit it is; the same name is the same limit, on all machines. Borrowed during the call.
    pub name: In<c_char>,
    /// From one question to the store to the next; 0: burst / rate / 4, within 10 to 100 ms.
    pub sync_ns: u64,
    /// How long a machine may spend what it leased without hearing from the store; 0: 5 * sync_ns.
    pub lease_ns: u64,
    /// How long to wait for the store.
    pub timeout_ns: u64,
    /// For TG_ON_UNREACHABLE_LOCAL: how long a machine goes on with its share.
    pub fallback_for_ns: u64,
    /// The most tokens that all machines hold at once; 0: half of the burst.
    pub max_outstanding: u32,
    /// One of tg_on_unreachable.
    pub on_unreachable: i32,
    /// For TG_ON_UNREACHABLE_LOCAL: an upper bound of how many machines there are; else 0.
    pub hosts: u32,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict.
    pub on_conflict: i32,
    /// 0.
    pub reserved: u32,
}

versioned!(
    tg_cluster_limit_config,
    first = 112,
    fields = [
        rate,
        count,
        period_ns,
        burst,
        arena,
        name,
        sync_ns,
        lease_ns,
        timeout_ns,
        fallback_for_ns,
        max_outstanding,
        on_unreachable,
        hosts,
        mode,
        on_conflict,
        reserved
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_cluster_limit_config {}

impl Default for tg_cluster_limit_config {
    fn default() -> Self {
        let timeout = ClusterConfig::new(Quota::new(1, Duration::from_secs(1)).expect("a quota")).timeout;
        Self {
            struct_size: size_of::<Self>(),
            rate: In::default(),
            count: 0,
            period_ns: 0,
            burst: TG_BURST_OF_RATE,
            arena: In::default(),
            name: In::default(),
            sync_ns: 0,
            lease_ns: 0,
            timeout_ns: timeout.as_nanos() as u64,
            fallback_for_ns: FALLBACK_FOR.as_nanos() as u64,
            max_outstanding: 0,
            on_unreachable: 0,
            hosts: 0,
            mode: 0,
            on_conflict: 0,
            reserved: 0,
        }
    }
}

impl tg_cluster_limit_config {
    fn checked(&self) -> Result<ClusterConfig, Failure> {
        unused(self.reserved)?;
        let (rate, count, period_ns, burst) = (self.rate, self.count, self.period_ns, self.burst);
        let span = |ns: u64| (ns > 0).then(|| Duration::from_nanos(ns));
        let mut config =
            ClusterConfig::new(tg_quota { rate, count, period_ns, burst, ..Default::default() }.checked()?);
        (config.mode, config.sync, config.lease) = (mode(self.mode)?, span(self.sync_ns), span(self.lease_ns));
        config.timeout = Duration::from_nanos(self.timeout_ns);
        config.max_outstanding = (self.max_outstanding > 0).then_some(self.max_outstanding);
        let hosts = (self.hosts > 0).then_some(self.hosts);
        let alone = match self.on_unreachable {
            0 => "deny",
            1 => "local",
            other => {
                let message = format!(
                    "on_unreachable: {other} is neither TG_ON_UNREACHABLE_DENY (0) nor TG_ON_UNREACHABLE_LOCAL (1)"
                );
                return Err(Failure::new(TG_UNKNOWN_VALUE, message));
            }
        };
        config.on_unreachable = OnUnreachable::of(alone, hosts, Duration::from_nanos(self.fallback_for_ns))?;
        config.check()?;
        Ok(config)
    }
}

/// A look at a cluster limit. Start from TG_CLUSTER_LIMIT_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_cluster_limit_snapshot {
    /// sizeof(tg_cluster_limit_snapshot)
    pub struct_size: usize,
    // <stats cluster_limit>
    /// Calls admitted, by all processes of this machine.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls that a dry run let through and that would have been denied.
    pub would_deny: u64,
    /// Tokens that this machine may spend now.
    pub tokens: u64,
    /// Nanoseconds until they are lost unless the store answers again; 0: they are, or there are none.
    pub expires_in_ns: u64,
    /// What the store had left for all machines, by its latest answer.
    pub level: u64,
    /// Tokens granted to this machine.
    pub granted: u64,
    /// Questions to the store.
    pub syncs: u64,
    /// Questions without an answer.
    pub errors: u64,
    /// Questions that ran too late, or when the store's clock had leapt.
    pub late: u64,
    /// Times that the store was another one, or had forgotten.
    pub epochs: u64,
    /// How long the latest answer took. In nanoseconds.
    pub round_trip_ns: u64,
    /// 1 or 0. Whether an agent keeps the lease.
    pub refilled: u64,
    // </stats>
}

versioned!(
    tg_cluster_limit_snapshot,
    first = 112,
    fields = [
        admitted,
        denied,
        would_deny,
        tokens,
        expires_in_ns,
        level,
        granted,
        syncs,
        errors,
        late,
        epochs,
        round_trip_ns,
        refilled
    ]
);

/// Makes a cluster limit in an arena, or opens the one of that name.
///
/// Errors: TG_UTF8; TG_SYNTAX (rate); TG_OUT_OF_RANGE (a rate or burst that cannot be had, sync_ns, lease_ns,
/// timeout_ns, max_outstanding, hosts, fallback_for_ns, reserved); TG_CONFLICT (no arena, an arena without a name,
/// neither or both of rate and count, hosts without TG_ON_UNREACHABLE_LOCAL or the other way, a lease of less than two
/// syncs); TG_UNKNOWN_VALUE (on_unreachable, mode, on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE,
/// TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_cluster_limit_new(
    config: In<tg_cluster_limit_config>,
    limit: Out<*mut tg_cluster_limit>,
) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        limit.require("limit")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &In::default())? {
            Place::Private(_) => {
                let message =
                    "arena: not set; a cluster limit lives in an arena of the machine, where its agent finds it";
                return Err(Failure::new(TG_CONFLICT, message));
            }
            Place::Arena(arena, name, on_conflict) => ClusterLimit::in_arena(arena, name, settings, on_conflict)?,
        };
        limit.give(tg_cluster_limit(made));
        Ok(TG_OK)
    })
}

/// Frees a cluster limit; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_cluster_limit_free(limit: Out<tg_cluster_limit>) {
    guard_system(|| {
        limit.free();
        Ok(TG_OK)
    });
}

/// Takes n tokens of what is leased (TG_OK), or nothing (TG_DENIED).
#[unsafe(no_mangle)]
pub extern "C" fn tg_cluster_limit_try_acquire(limit: In<tg_cluster_limit>, n: u32) -> tg_status {
    guard(|| Ok(if limit.get("limit")?.0.try_acquire(n) { TG_OK } else { TG_DENIED }))
}

/// Takes n tokens (TG_OK), or nothing (TG_DENIED), and tells what this machine has left. retry_after_ns is the earliest
/// that the store's next answer could bring them.
#[unsafe(no_mangle)]
pub extern "C" fn tg_cluster_limit_check(limit: In<tg_cluster_limit>, n: u32, decision: Out<tg_decision>) -> tg_status {
    guard(|| {
        let it = &limit.get("limit")?.0;
        answer(&decision, || it.check(n))
    })
}

/// Tells what all processes of this machine decided, and how it goes with the store. Some system calls.
#[unsafe(no_mangle)]
pub extern "C" fn tg_cluster_limit_stats(
    limit: In<tg_cluster_limit>,
    snapshot: Out<tg_cluster_limit_snapshot>,
) -> tg_status {
    guard_system(|| {
        let it = &limit.get("limit")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats().into());
        Ok(TG_OK)
    })
}

/// Writes what is wrong, and a NUL, into the size bytes of buffer: an empty text where nothing is. Never the store's
/// URL. *length (may be NULL): without the NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_cluster_limit_fault(
    limit: In<tg_cluster_limit>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| {
        let fault = limit.get("limit")?.0.stats().health.fault;
        buffer.fill_text(size, &length, fault.as_deref().unwrap_or_default())
    })
}
