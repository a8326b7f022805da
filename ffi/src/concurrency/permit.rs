//! Permits out, permits back.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_concurrency;
use crate::handle::{In, Out};
use crate::panic::{guard, guard_system};
use crate::quota::bound;
use crate::status::tg_status;
use tg_status::{TG_DENIED, TG_NOT_HELD, TG_OK};
use tidegate_core::concurrency::ConcurrencyPermit;

/// The right to run one call, by value. What is in it is tidegate's; all zero is nobody's. Give it back once.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_concurrency_permit {
    /// Opaque.
    pub word: u64,
    /// Opaque.
    pub cell: u64,
}

/// Takes a permit without waiting. TG_OK: *permit is filled in, to be given back with tg_concurrency_release().
/// TG_DENIED: as many calls are under way as may be, and *permit is all zero.
///
/// Thread safety: does not wait for a permit.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_try_acquire(
    concurrency: In<tg_concurrency>,
    permit: Out<tg_concurrency_permit>,
) -> tg_status {
    guard(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permit.require("permit")?;
        Ok(granted(concurrency.try_acquire(), &permit))
    })
}

/// tg_concurrency_try_acquire() for who waits without holding a thread (an event loop, a coroutine) and looks again
/// after some milliseconds: a look in vain does not count as denied, and those who wait in tg_concurrency_acquire()
/// come first. When you give up, let tg_concurrency_try_acquire() look last, so that the wait counts once.
///
/// Thread safety: does not wait for a permit.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_poll(
    concurrency: In<tg_concurrency>,
    permit: Out<tg_concurrency_permit>,
) -> tg_status {
    guard_system(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permit.require("permit")?;
        Ok(granted(concurrency.poll(), &permit))
    })
}

/// Takes a permit, waiting up to timeout_ns for one (0: not at all, TG_NEVER: for ever), in the config's order among
/// the threads of this process, and among processes by which has waited longest, 10 ms give or take: TG_OK, or
/// TG_DENIED (none at the deadline, or at once where max_waiting others wait) and *permit is all zero.
///
/// Thread safety: blocks up to timeout_ns.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_acquire(
    concurrency: In<tg_concurrency>,
    timeout_ns: u64,
    permit: Out<tg_concurrency_permit>,
) -> tg_status {
    guard_system(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        permit.require("permit")?;
        Ok(granted(concurrency.acquire(bound(timeout_ns)), &permit))
    })
}

pub(super) fn granted(answer: Option<ConcurrencyPermit>, permit: &Out<tg_concurrency_permit>) -> tg_status {
    let given = answer.map(|ConcurrencyPermit { word, cell }| tg_concurrency_permit { word, cell });
    permit.set(given.unwrap_or_default());
    if given.is_some() { TG_OK } else { TG_DENIED }
}

/// Gives a permit back: TG_OK, or TG_NOT_HELD and nothing happens when it was given back before, was taken back from a
/// dead process, belongs to another process (the parent of a fork), or is nobody's: all zero, as a disabled limit and a
/// dry run beyond its limit give them out.
///
/// Thread safety: not only the one that took it.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_release(concurrency: In<tg_concurrency>, permit: tg_concurrency_permit) -> tg_status {
    guard(|| {
        let tg_concurrency_permit { word, cell } = permit;
        let returned = concurrency.get("concurrency")?.0.release(ConcurrencyPermit { word, cell });
        Ok(if returned { TG_OK } else { TG_NOT_HELD })
    })
}
