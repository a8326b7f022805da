//! Items in, items out.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use super::{Item, tg_queue};
use crate::arena::place::unused;
use crate::handle::{In, Out, Settings, versioned};
use crate::panic::{guard, guard_system};
use crate::quota::bound;
use crate::status::{Failure, tg_status};
use std::ffi::c_void;
use std::mem::size_of;
use std::time::Duration;
use tg_status::{TG_CLOSED, TG_DROPPED, TG_EMPTY, TG_FULL, TG_OK, TG_OUT_OF_RANGE};
use tidegate_core::BoundedQueue;
use tidegate_core::queue::{DropReason, OnFull, PopError, PushError, PushErrorKind, PushOptions, Taken};

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

/// What a push says of its item. Start from TG_QUEUE_PUSH_OPTIONS_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_queue_push_options {
    /// sizeof(tg_queue_push_options)
    pub struct_size: usize,
    /// It is dropped when it comes to the front later than so long after the call; TG_NEVER: it has no deadline. After
    /// the first item that has one, pops may answer TG_DROPPED.
    pub deadline_ns: u64,
    /// Its lane, below the queue's lanes: 0 is the most urgent.
    pub lane: u32,
    /// 0.
    pub reserved: u32,
}

versioned!(tg_queue_push_options, first = 24, fields = [deadline_ns, lane, reserved]);
// SAFETY: numbers only.
unsafe impl Settings for tg_queue_push_options {}

impl Default for tg_queue_push_options {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>(), deadline_ns: u64::MAX, lane: 0, reserved: 0 }
    }
}

impl tg_queue_push_options {
    fn checked(self, queue: &BoundedQueue<Item>) -> Result<PushOptions, Failure> {
        unused(self.reserved)?;
        let (lane, lanes) = (self.lane as usize, queue.config().lanes);
        if lane >= lanes {
            let message = format!("lane: {lane} is not within 0 to {}: the queue has {lanes} lanes", lanes - 1);
            return Err(Failure::new(TG_OUT_OF_RANGE, message));
        }
        let deadline = (self.deadline_ns != u64::MAX).then(|| Duration::from_nanos(self.deadline_ns));
        Ok(PushOptions { lane, deadline })
    }
}

/// tg_queue_try_push() into a lane, or with a deadline.
///
/// Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
/// Thread safety: does not wait for room.
/// Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item. TG_OUT_OF_RANGE (lane).
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_push_with(
    queue: In<tg_queue>,
    item: Out<c_void>,
    options: In<tg_queue_push_options>,
    dropped: Out<*mut c_void>,
) -> tg_status {
    guard(|| {
        let (queue, item) = pushable(&queue, &item, &dropped)?;
        let options = options.read("options")?.checked(queue)?;
        Ok(pushed(queue.try_push_with(item, options), &dropped))
    })
}

/// tg_queue_try_push_with() at now_ns nanoseconds of the queue's clock.
///
/// Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
/// Thread safety: does not wait for room.
/// Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item. TG_OUT_OF_RANGE (lane).
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_push_with_at(
    queue: In<tg_queue>,
    now_ns: u64,
    item: Out<c_void>,
    options: In<tg_queue_push_options>,
    dropped: Out<*mut c_void>,
) -> tg_status {
    guard(|| {
        let (queue, item) = pushable(&queue, &item, &dropped)?;
        let options = options.read("options")?.checked(queue)?;
        Ok(pushed(queue.try_push_with_at(now_ns, item, options), &dropped))
    })
}

/// tg_queue_push() into a lane, or with a deadline, which counts from the call.
///
/// Ownership: the item is the queue's after TG_OK and stays the caller's otherwise; *dropped is the caller's.
/// Thread safety: blocks up to timeout_ns.
/// Errors: TG_NULL also for dropped with TG_DROP_OLDEST, where it would lose an item. TG_OUT_OF_RANGE (lane).
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_push_with(
    queue: In<tg_queue>,
    item: Out<c_void>,
    options: In<tg_queue_push_options>,
    timeout_ns: u64,
    dropped: Out<*mut c_void>,
) -> tg_status {
    guard_system(|| {
        let (queue, item) = pushable(&queue, &item, &dropped)?;
        let options = options.read("options")?.checked(queue)?;
        Ok(pushed(queue.push_with(item, options, bound(timeout_ns)), &dropped))
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
        Err(PushError { kind: PushErrorKind::Closed, .. }) => (None, TG_CLOSED),
        // Lanes are checked before.
        Err(PushError { kind: PushErrorKind::Full | PushErrorKind::NoLane, .. }) => (None, TG_FULL),
    };
    dropped.set(oldest.map_or(std::ptr::null_mut(), |item| item.0));
    status
}

/// Takes the next item without waiting: TG_OK, TG_EMPTY, or TG_CLOSED when the queue is closed and everything accepted
/// has been taken out. A queue with a discipline, max_age_ns or deadlines also answers TG_DROPPED: *item is one that it
/// drops, to be freed or told about, and the next call goes on. tg_queue_take() tells the reason too.
///
/// Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
/// Thread safety: does not wait for an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_pop(queue: In<tg_queue>, item: Out<*mut c_void>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        Ok(popped(queue.take(), &item).1)
    })
}

/// tg_queue_try_pop() that also tells how many nanoseconds the item waited (0 unless sojourn is on).
///
/// Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
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
        let (waited, status) = popped(queue.take(), &item);
        sojourn_ns.set(waited);
        Ok(status)
    })
}

/// tg_queue_try_pop_timed() at now_ns nanoseconds of the queue's clock.
///
/// Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
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
        let (waited, status) = popped(queue.take_at(now_ns), &item);
        sojourn_ns.set(waited);
        Ok(status)
    })
}

/// Takes the next item, waiting up to timeout_ns for one (0: not at all, TG_NEVER: for ever): TG_OK, TG_EMPTY (still
/// empty at the deadline), TG_CLOSED when the queue is closed and everything accepted has been taken out, or TG_DROPPED
/// as in tg_queue_try_pop().
///
/// Ownership: *item is the caller's after TG_OK and TG_DROPPED, and NULL otherwise.
/// Thread safety: blocks up to timeout_ns.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_pop(queue: In<tg_queue>, timeout_ns: u64, item: Out<*mut c_void>) -> tg_status {
    guard_system(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        Ok(popped(queue.take_within(bound(timeout_ns)), &item).1)
    })
}

/// What came out of a queue. Start from TG_QUEUE_TAKEN_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_queue_taken {
    /// sizeof(tg_queue_taken)
    pub struct_size: usize,
    /// NULL unless the answer was TG_OK or TG_DROPPED.
    pub item: *mut c_void,
    /// How long an item that is not dropped waited; 0 unless sojourn is on.
    pub sojourn_ns: u64,
    /// Of TG_DROPPED: one of tg_drop_reason. -1 otherwise.
    pub reason: i32,
    /// 0.
    pub reserved: u32,
}

versioned!(tg_queue_taken, first = 32, fields = [item, sojourn_ns, reason, reserved]);

impl Default for tg_queue_taken {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>(), item: std::ptr::null_mut(), sojourn_ns: 0, reason: -1, reserved: 0 }
    }
}

/// tg_queue_pop() that tells sojourn and, of TG_DROPPED, the reason.
///
/// Ownership: taken->item is the caller's after TG_OK and TG_DROPPED.
/// Thread safety: blocks up to timeout_ns.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_take(queue: In<tg_queue>, timeout_ns: u64, taken: Out<tg_queue_taken>) -> tg_status {
    guard_system(|| {
        let queue = &queue.get("queue")?.0;
        let room = taken.room("taken")?;
        let (answer, status) = told(queue.take_within(bound(timeout_ns)));
        taken.fill(room, answer);
        Ok(status)
    })
}

/// tg_queue_take() without waiting, at now_ns nanoseconds of the queue's clock.
///
/// Ownership: taken->item is the caller's after TG_OK and TG_DROPPED.
/// Thread safety: does not wait for an item.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_try_take_at(queue: In<tg_queue>, now_ns: u64, taken: Out<tg_queue_taken>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        let room = taken.room("taken")?;
        let (answer, status) = told(queue.take_at(now_ns));
        taken.fill(room, answer);
        Ok(status)
    })
}

/// Closes the queue and takes the oldest item of the most urgent lane out, whatever its age: TG_OK, or TG_CLOSED when
/// nothing is left. Loop until TG_CLOSED: `while (tg_queue_drain(queue, &item) == TG_OK) free(item);`
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: waits only for a push that is half done.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_drain(queue: In<tg_queue>, item: Out<*mut c_void>) -> tg_status {
    guard_system(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        queue.close();
        Ok(rest(queue.take_first().ok(), &item))
    })
}

/// tg_queue_drain() of items that nobody will handle: they count as dropped, TG_DROPPED_CLOSED, not as popped.
///
/// Ownership: *item is the caller's after TG_OK, and NULL otherwise.
/// Thread safety: waits only for a push that is half done.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_discard(queue: In<tg_queue>, item: Out<*mut c_void>) -> tg_status {
    guard_system(|| {
        let queue = &queue.get("queue")?.0;
        item.require("item")?;
        queue.close();
        Ok(rest(queue.discard_next(), &item))
    })
}

fn rest(next: Option<Item>, item: &Out<*mut c_void>) -> tg_status {
    item.set(next.map_or(std::ptr::null_mut(), |next| next.0));
    if next.is_some() { TG_OK } else { TG_CLOSED }
}

/// The sojourn and the status.
fn popped(answer: Result<Taken<Item>, PopError>, item: &Out<*mut c_void>) -> (u64, tg_status) {
    let (taken, sojourn_ns, _, status) = parts(answer);
    item.set(taken);
    (sojourn_ns, status)
}

fn told(answer: Result<Taken<Item>, PopError>) -> (tg_queue_taken, tg_status) {
    let (item, sojourn_ns, reason, status) = parts(answer);
    let reason = reason.map_or(-1, |reason| reason as i32);
    (tg_queue_taken { item, sojourn_ns, reason, ..tg_queue_taken::default() }, status)
}

fn parts(answer: Result<Taken<Item>, PopError>) -> (*mut c_void, u64, Option<DropReason>, tg_status) {
    match answer {
        Ok(Taken::Item(item, sojourn_ns)) => (item.0, sojourn_ns, None, TG_OK),
        Ok(Taken::Dropped(item, reason)) => (item.0, 0, Some(reason), TG_DROPPED),
        Err(PopError::Empty) => (std::ptr::null_mut(), 0, None, TG_EMPTY),
        Err(PopError::Closed) => (std::ptr::null_mut(), 0, None, TG_CLOSED),
    }
}
