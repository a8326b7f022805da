//! What a concurrency limit tells about itself, and its limit changed.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_concurrency;
use crate::handle::{In, Out, versioned};
use crate::panic::{guard, guard_system};
use crate::status::tg_status;
use tg_status::TG_OK;

/// A look at a concurrency limit. Start from TG_CONCURRENCY_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_concurrency_snapshot {
    /// sizeof(tg_concurrency_snapshot)
    pub struct_size: usize,
    // <stats concurrency>
    /// The limit in force.
    pub limit: u32,
    /// Permits held now.
    pub in_use: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls that got no permit: refused, timed_out and cancelled together.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// Permits taken back from processes that died (host scope).
    pub reclaimed: u64,
    /// Calls refused without a wait.
    pub refused: u64,
    /// Waits that ended at their deadline.
    pub timed_out: u64,
    /// Waits that were given up before: a future dropped, a task cancelled, a signal aborted. In C none can be.
    pub cancelled: u64,
    /// Calls that wait now; in a named scope those of all processes, as each said when it last looked, in the last
    /// second.
    pub waiting: u64,
    /// The longest wait so far, of those that have ended and of those who wait now. In nanoseconds.
    pub longest_wait_ns: u64,
    // </stats>
}

versioned!(
    tg_concurrency_snapshot,
    first = 48,
    fields = [
        limit,
        in_use,
        admitted,
        denied,
        would_deny,
        reclaimed,
        refused,
        timed_out,
        cancelled,
        waiting,
        longest_wait_ns
    ]
);

/// Tells the limit in force.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_limit(concurrency: In<tg_concurrency>, limit: Out<u32>) -> tg_status {
    guard(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        limit.require("limit")?;
        limit.set(concurrency.limit());
        Ok(TG_OK)
    })
}

/// Changes the limit, for all who share it: 1 up to the config's max_limit. Permits above a lower one stay until they
/// are given back.
///
/// Thread safety: may wait for another tg_concurrency_set_limit().
/// Errors: TG_OUT_OF_RANGE.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_set_limit(concurrency: In<tg_concurrency>, limit: u32) -> tg_status {
    guard_system(|| {
        concurrency.get("concurrency")?.0.set_limit(limit)?;
        Ok(TG_OK)
    })
}

/// Tells how many permits are held now.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_in_use(concurrency: In<tg_concurrency>, permits: Out<u32>) -> tg_status {
    guard(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permits.require("permits")?;
        permits.set(concurrency.in_use());
        Ok(TG_OK)
    })
}

/// Tells the permits held now and the counts since the limit was made.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_stats(
    concurrency: In<tg_concurrency>,
    snapshot: Out<tg_concurrency_snapshot>,
) -> tg_status {
    guard(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, concurrency.stats().into());
        Ok(TG_OK)
    })
}
