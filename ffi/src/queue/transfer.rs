//! Items in, items out.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::{Item, tg_queue};
use crate::handle::{In, Out};
use crate::panic::{guard, guard_system};
use crate::quota::bound;
use crate::status::{Failure, tg_status};
use std::ffi::c_void;
use tg_status::{TG_CLOSED, TG_EMPTY, TG_FULL, TG_OK};
use tidegate_core::BoundedQueue;
use tidegate_core::queue::{OnFull, PopError, PushError, PushErrorKind};

/// Puts an item in without waiting: TG_OK, TG_FULL or TG_CLOSED. With TG_DROP_OLDEST, *dropped is the item that had to
/// go, or NULL; otherwise dropped may be NULL.
///
/// Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
/// Thread safety: does not wait for room.
/// Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_push(queue: In<tg_queue>, item: Out<c_void>, dropped: Out<*mut c_void>) -> tg_status {
    guard(|| {
        let (queue, item) = pushable(&queue, &item, &dropped)?;
        Ok(pushed(queue.try_push(item), &dropped))
    })
}

/// tg_queue_try_push() at now_ns nanoseconds of the queue's clock.
///
/// Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
/// Thread safety: does not wait for room.
/// Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_push_at(
    queue: In<tg_queue>,
    now_ns: u64,
    item: Out<c_void>,
    dropped: Out<*mut c_void>,
) -> tg_status {
    guard(|| {
        let (queue, item) = pushable(&queue, &item, &dropped)?;
        Ok(pushed(queue.try_push_at(now_ns, item), &dropped))
    })
}

/// Puts an item in, waiting up to timeout_ns for room (0: not at all, TG_NEVER: for ever): TG_OK, TG_FULL (still full
/// at the deadline) or TG_CLOSED. dropped as in tg_queue_try_push().
///
/// Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
/// Thread safety: blocks up to timeout_ns.
/// Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_push(
    queue: In<tg_queue>,
    item: Out<c_void>,
    timeout_ns: u64,
    dropped: Out<*mut c_void>,
) -> tg_status {
    guard_system(|| {
        let (queue, item) = pushable(&queue, &item, &dropped)?;
        Ok(pushed(queue.push(item, bound(timeout_ns)), &dropped))
    })
}

fn pushable<'a>(
    queue: &'a In<tg_queue>,
    item: &Out<c_void>,
    dropped: &Out<*mut c_void>,
) -> Result<(&'a BoundedQueue<Item>, Item), Failure> {
    let queue = &queue.get("queue")?.0;
    item.require("item")?;
    if queue.config().on_full == OnFull::DropOldest {
        dropped.require("dropped")?;
    }
    Ok((queue, Item(item.address())))
}

fn pushed(answer: Result<Option<Item>, PushError<Item>>, dropped: &Out<*mut c_void>) -> tg_status {
    let (oldest, status) = match answer {
        Ok(oldest) => (oldest, TG_OK),
        Err(PushError { kind: PushErrorKind::Full, .. }) => (None, TG_FULL),
        Err(PushError { kind: PushErrorKind::Closed, .. }) => (None, TG_CLOSED),
    };
    dropped.set(oldest.map_or(std::ptr::null_mut(), |item| item.0));
    status
}

/// Takes the oldest item without waiting: TG_OK, TG_EMPTY, or TG_CLOSED when the queue is closed and everything
/// accepted has been taken out.
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: does not wait for an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_pop(queue: In<tg_queue>, item: Out<*mut c_void>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        Ok(popped(queue.try_pop(), &item))
    })
}

/// tg_queue_try_pop() that also tells how many nanoseconds the item waited (0 unless sojourn is on).
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: does not wait for an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_pop_timed(
    queue: In<tg_queue>,
    item: Out<*mut c_void>,
    sojourn_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        sojourn_ns.require("sojourn_ns")?;
        let answer = queue.try_pop_timed();
        sojourn_ns.set(answer.as_ref().map_or(0, |(_, waited)| *waited));
        Ok(popped(answer.map(|(taken, _)| taken), &item))
    })
}

/// tg_queue_try_pop_timed() at now_ns nanoseconds of the queue's clock.
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: does not wait for an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_pop_timed_at(
    queue: In<tg_queue>,
    now_ns: u64,
    item: Out<*mut c_void>,
    sojourn_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        sojourn_ns.require("sojourn_ns")?;
        let answer = queue.try_pop_timed_at(now_ns);
        sojourn_ns.set(answer.as_ref().map_or(0, |(_, waited)| *waited));
        Ok(popped(answer.map(|(taken, _)| taken), &item))
    })
}

/// Takes the oldest item, waiting up to timeout_ns for one (0: not at all, TG_NEVER: for ever): TG_OK, TG_EMPTY (still
/// empty at the deadline), or TG_CLOSED when the queue is closed and everything accepted has been taken out.
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: blocks up to timeout_ns.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_pop(queue: In<tg_queue>, timeout_ns: u64, item: Out<*mut c_void>) -> tg_status {
    guard_system(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        Ok(popped(queue.pop(bound(timeout_ns)), &item))
    })
}

/// Closes the queue and takes the oldest item out: TG_OK, or TG_CLOSED when nothing is left. Loop until TG_CLOSED:
/// `while (tg_queue_drain(queue, &item) == TG_OK) free(item);`
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: waits only for a push that is half done.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_drain(queue: In<tg_queue>, item: Out<*mut c_void>) -> tg_status {
    guard_system(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        queue.close();
        // A push that won its race against the close may not be there yet, so this waits for it; a closed queue never
        // waits for anything else.
        Ok(popped(queue.pop(None), &item))
    })
}

fn popped(answer: Result<Item, PopError>, item: &Out<*mut c_void>) -> tg_status {
    let (taken, status) = match answer {
        Ok(taken) => (taken.0, TG_OK),
        Err(PopError::Empty) => (std::ptr::null_mut(), TG_EMPTY),
        Err(PopError::Closed) => (std::ptr::null_mut(), TG_CLOSED),
    };
    item.set(taken);
    status
}
