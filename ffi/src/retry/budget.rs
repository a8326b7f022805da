//! Retry budget.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::arena::place::{Place, place};
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::mode::mode;
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tg_status::{TG_DENIED, TG_OK};
use tidegate_core::{RetryBudget, RetryBudgetConfig};

/// Retries that the callers of one dependency can afford: each call pays in a fraction of one, time pays in a little,
/// each retry takes a whole one out. Over any span of t seconds, calls and retries being those within it,
///
///     retries <= max(1, min_per_second * ttl) + ratio * calls + min_per_second * t
///
/// under any interleaving of threads and processes, and any order of clock readings.
#[derive(Debug)]
pub struct tg_retry_budget(pub(crate) RetryBudget);

impl Handle for tg_retry_budget {}

/// Settings of a retry budget. Start from TG_RETRY_BUDGET_CONFIG_INIT, which holds the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_retry_budget_config {
    /// sizeof(tg_retry_budget_config)
    pub struct_size: usize,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena, that of the dependency; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// Retries that each call pays in, 0 .. 1.
    pub ratio: f64,
    /// Retries that each second pays in, 0 .. 10000, for programs with few calls.
    pub min_per_second: f64,
    /// No more than what seconds pay in for so long is saved up, but always one retry.
    pub ttl_ns: u64,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
}

versioned!(
    tg_retry_budget_config,
    first = 64,
    fields = [clock, arena, name, ratio, min_per_second, ttl_ns, mode, on_conflict]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_retry_budget_config {}

impl Default for tg_retry_budget_config {
    fn default() -> Self {
        let core = RetryBudgetConfig::default();
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            arena: In::default(),
            name: In::default(),
            ratio: core.ratio,
            min_per_second: core.min_per_second,
            ttl_ns: core.ttl.as_nanos() as u64,
            mode: 0,
            on_conflict: 0,
        }
    }
}

impl tg_retry_budget_config {
    fn checked(&self) -> Result<RetryBudgetConfig, Failure> {
        let (ratio, min_per_second, ttl) = (self.ratio, self.min_per_second, Duration::from_nanos(self.ttl_ns));
        Ok(RetryBudgetConfig { ratio, min_per_second, ttl, mode: mode(self.mode)? })
    }
}

/// A look at a retry budget. Start from TG_RETRY_BUDGET_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_retry_budget_snapshot {
    /// sizeof(tg_retry_budget_snapshot)
    pub struct_size: usize,
    // <stats retry_budget>
    /// Whole retries that could be withdrawn now.
    pub balance: u64,
    /// Calls paid in.
    pub deposited: u64,
    /// Retries paid for, without those of would_deny.
    pub withdrawn: u64,
    /// Retries refused.
    pub denied: u64,
    /// Retries that a dry run let through and that would have been refused.
    pub would_deny: u64,
    // </stats>
}

versioned!(tg_retry_budget_snapshot, first = 48, fields = [balance, deposited, withdrawn, denied, would_deny]);

/// Makes a retry budget, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8; TG_OUT_OF_RANGE (ratio, min_per_second, ttl_ns); TG_CONFLICT (a clock
/// beside an arena, an arena without a name); TG_UNKNOWN_VALUE (mode, on_conflict); TG_INVALID (a name that is none);
/// TG_ARENA_SHAPE (one of 0 and one of more per second under the name), TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_new(
    config: In<tg_retry_budget_config>,
    budget: Out<*mut tg_retry_budget>,
) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        budget.require("budget")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => RetryBudget::with_clock(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => RetryBudget::in_arena(arena, name, settings, on_conflict)?,
        };
        budget.give(tg_retry_budget(made));
        Ok(TG_OK)
    })
}

/// Frees a retry budget; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_free(budget: Out<tg_retry_budget>) {
    guard_system(|| {
        budget.free();
        Ok(TG_OK)
    });
}

/// A call is made: pays in its fraction of a retry. Once a call, whatever becomes of it and however often it is tried.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_deposit(budget: In<tg_retry_budget>) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        it.deposit_at(it.clock().now());
        Ok(TG_OK)
    })
}

/// tg_retry_budget_deposit() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_deposit_at(budget: In<tg_retry_budget>, now_ns: u64) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        it.deposit_at(now_ns);
        Ok(TG_OK)
    })
}

/// Takes a whole retry out: TG_OK, or TG_DENIED and nothing is taken. When the retry is decided, before the wait for
/// it.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_try_withdraw(budget: In<tg_retry_budget>) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        Ok(if it.try_withdraw_at(it.clock().now()) { TG_OK } else { TG_DENIED })
    })
}

/// tg_retry_budget_try_withdraw() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_try_withdraw_at(budget: In<tg_retry_budget>, now_ns: u64) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        Ok(if it.try_withdraw_at(now_ns) { TG_OK } else { TG_DENIED })
    })
}

/// Tells how many whole retries could be withdrawn now.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_balance(budget: In<tg_retry_budget>, retries: Out<u64>) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        retries.require("retries")?;
        retries.set(it.balance_at(it.clock().now()));
        Ok(TG_OK)
    })
}

/// tg_retry_budget_balance() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_balance_at(budget: In<tg_retry_budget>, now_ns: u64, retries: Out<u64>) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        retries.require("retries")?;
        retries.set(it.balance_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells how long it takes until a retry could be withdrawn if no call paid in before: 0 now, TG_NEVER where time pays
/// nothing in.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_retry_after(budget: In<tg_retry_budget>, ns: Out<u64>) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        ns.require("ns")?;
        ns.set(it.retry_after_ns_at(it.clock().now()));
        Ok(TG_OK)
    })
}

/// tg_retry_budget_retry_after() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_retry_after_at(budget: In<tg_retry_budget>, now_ns: u64, ns: Out<u64>) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        ns.require("ns")?;
        ns.set(it.retry_after_ns_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells the balance and the counts since the budget was made.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_stats(
    budget: In<tg_retry_budget>,
    snapshot: Out<tg_retry_budget_snapshot>,
) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats_at(it.clock().now()).into());
        Ok(TG_OK)
    })
}

/// tg_retry_budget_stats() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_budget_stats_at(
    budget: In<tg_retry_budget>,
    now_ns: u64,
    snapshot: Out<tg_retry_budget_snapshot>,
) -> tg_status {
    guard(|| {
        let it = &budget.get("budget")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats_at(now_ns).into());
        Ok(TG_OK)
    })
}
