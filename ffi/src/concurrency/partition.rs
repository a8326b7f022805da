//! Partitions of a concurrency limit.

// `#[unsafe(no_mangle)]`, `unsafe impl Plain` for a struct of a pointer and a number.
#![allow(unsafe_code)]

use super::permit::granted;
use super::{tg_concurrency, tg_concurrency_permit};
use crate::handle::{In, Out, Plain, versioned};
use crate::panic::{guard, guard_system};
use crate::quota::bound;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use tg_status::TG_OK;
use tidegate_core::ConcurrencyLimiter;
use tidegate_core::concurrency::{Partition, Partitions};

/// A partition of a concurrency limit. It is guaranteed share * limit places, rounded down. What it leaves unused is
/// lent to whoever asks, and called back when a call within the guarantee is refused: from then on what becomes free is
/// kept for it, for 5 s, less and less.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_partition {
    /// 1 to 32 bytes, no other partition's. Copied.
    pub name: In<c_char>,
    /// Above 0, at most 1; of all partitions together at most 1.
    pub share: f64,
}

// SAFETY: a pointer, NULL or good by the header's law, and a number.
unsafe impl Plain for tg_partition {}

/// As the two arrays say.
pub(super) fn partitions(
    all: &In<tg_partition>,
    count: usize,
    priority: &In<In<c_char>>,
    ranked: usize,
) -> Result<Partitions, Failure> {
    let all = all.array(count, "partitions")?.iter().map(|of| {
        let name = of.name.text("partitions")?.ok_or_else(|| Failure::null("partitions"))?;
        Ok((name, of.share))
    });
    let all: Vec<(&str, f64)> = all.collect::<Result<_, Failure>>()?;
    Ok(Partitions::new(all)?.with_priority(priority.texts(ranked, "priority")?)?)
}

/// A look at a partition. Start from TG_PARTITION_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_partition_snapshot {
    /// sizeof(tg_partition_snapshot)
    pub struct_size: usize,
    // <stats partition>
    /// Its share of the limit.
    pub share: f64,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls that got no permit, at once or after a wait.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// The places that it is guaranteed of the limit in force.
    pub guaranteed: u32,
    /// Permits that it holds now.
    pub in_use: u32,
    /// Places beside those that are kept for it now, as calls of it have been refused: nobody else has more of what is
    /// free.
    pub called_back: u32,
    /// 0.
    pub reserved: u32,
    // </stats>
}

versioned!(
    tg_partition_snapshot,
    first = 56,
    fields = [share, admitted, denied, would_deny, guaranteed, in_use, called_back, reserved]
);

/// The number of the partition of a name: its place in the config's array, counted from 1. The numbers hold as long as
/// the limit does.
///
/// Errors: TG_UTF8; TG_OUT_OF_RANGE (there is none of that name).
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_partition(
    concurrency: In<tg_concurrency>,
    partition: In<c_char>,
    number: Out<u32>,
) -> tg_status {
    guard_system(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        let name = partition.text("partition")?.ok_or_else(|| Failure::null("partition"))?;
        number.require("number")?;
        number.set(concurrency.partition(name)?.number());
        Ok(TG_OK)
    })
}

#[inline]
fn of(concurrency: &ConcurrencyLimiter, number: u32) -> Result<Partition, Failure> {
    Ok(concurrency.partition_numbered(number)?)
}

/// tg_concurrency_try_acquire() for a call of a partition, by its number; 0: of none, which is guaranteed nothing.
/// Within the guarantee it is denied only while others hold what was lent to them; what is given back after that is
/// kept for the partition.
///
/// Thread safety: does not wait for a permit.
/// Errors: TG_OUT_OF_RANGE (partition).
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_try_acquire_in(
    concurrency: In<tg_concurrency>,
    partition: u32,
    permit: Out<tg_concurrency_permit>,
) -> tg_status {
    guard(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permit.require("permit")?;
        Ok(granted(concurrency.try_acquire_in(of(concurrency, partition)?), &permit))
    })
}

/// tg_concurrency_poll() for a call of a partition. Within the guarantee only those who wait for the same partition
/// come first.
///
/// Thread safety: does not wait for a permit.
/// Errors: TG_OUT_OF_RANGE (partition).
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_poll_in(
    concurrency: In<tg_concurrency>,
    partition: u32,
    permit: Out<tg_concurrency_permit>,
) -> tg_status {
    guard_system(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permit.require("permit")?;
        Ok(granted(concurrency.poll_in(of(concurrency, partition)?), &permit))
    })
}

/// tg_concurrency_acquire() for a call of a partition. Each partition has an order of its own, and max_waiting of its
/// own; within the guarantee nobody waits for another partition's turn.
///
/// Thread safety: blocks up to timeout_ns.
/// Errors: TG_OUT_OF_RANGE (partition).
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_acquire_in(
    concurrency: In<tg_concurrency>,
    partition: u32,
    timeout_ns: u64,
    permit: Out<tg_concurrency_permit>,
) -> tg_status {
    guard_system(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permit.require("permit")?;
        Ok(granted(concurrency.acquire_in(of(concurrency, partition)?, bound(timeout_ns)), &permit))
    })
}

/// Tells what a partition has now, and its counts since the limit was made.
///
/// Errors: TG_OUT_OF_RANGE (partition: 0 is none).
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_partition_stats(
    concurrency: In<tg_concurrency>,
    partition: u32,
    snapshot: Out<tg_partition_snapshot>,
) -> tg_status {
    guard_system(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        let room = snapshot.room("snapshot")?;
        let mut all = concurrency.partition_stats();
        let index = of(concurrency, partition)?.number().checked_sub(1);
        let Some(now) = index.map(|index| all.swap_remove(index as usize)) else {
            let message = "partition: 0 is a call without one, which has no counts of its own".to_owned();
            return Err(Failure::new(tg_status::TG_OUT_OF_RANGE, message));
        };
        snapshot.fill(room, now.into());
        Ok(TG_OK)
    })
}
