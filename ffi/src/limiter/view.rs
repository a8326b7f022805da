//! What a keyed limit tells about itself.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_limiter;
use crate::handle::{In, Out, versioned};
use crate::panic::guard;
use crate::quota::tg_quota;
use crate::status::tg_status;
use tg_status::TG_OK;

/// Counts since a keyed limit was made. Start from TG_LIMITER_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_limiter_snapshot {
    /// sizeof(tg_limiter_snapshot)
    pub struct_size: usize,
    // <stats limiter>
    /// Calls admitted.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// Idle keys that made room for others.
    pub evictions: u64,
    /// Calls that were decided by the shared sketch, because their key found no room.
    pub overflowed: u64,
    /// Blocks of keys that went on after being denied.
    pub blocked: u64,
    // </stats>
}

versioned!(tg_limiter_snapshot, first = 56, fields = [admitted, denied, would_deny, evictions, overflowed, blocked]);

/// Tells the counts since the limiter was made.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_stats(limiter: In<tg_limiter>, snapshot: Out<tg_limiter_snapshot>) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, limiter.stats().into());
        Ok(TG_OK)
    })
}

/// Tells how many keys are live (not idle) now and have a cell of their own; those in the sketch do not count. May
/// exceed max_keys: the table has nearly four cells for each of these, because keys do not spread evenly, and turns
/// nobody away who finds one free. Takes time in proportion to max_keys.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_len(limiter: In<tg_limiter>, keys: Out<usize>) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        keys.require("keys")?;
        keys.set(limiter.len());
        Ok(TG_OK)
    })
}

/// tg_limiter_len() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_len_at(limiter: In<tg_limiter>, now_ns: u64, keys: Out<usize>) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        keys.require("keys")?;
        keys.set(limiter.len_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells how many bytes it holds: the table, the sketch, and all else that grows with max_keys. It never changes.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_memory(limiter: In<tg_limiter>, bytes: Out<usize>) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        bytes.require("bytes")?;
        bytes.set(limiter.memory());
        Ok(TG_OK)
    })
}

/// Tells the quota of the keys that have no tier.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_quota(limiter: In<tg_limiter>, quota: Out<tg_quota>) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        let room = quota.room("quota")?;
        quota.fill(room, limiter.quota().into());
        Ok(TG_OK)
    })
}
