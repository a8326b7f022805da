//! Bounded queue of pointers.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for a struct of plain numbers, `unsafe impl Send` and `Sync` for an
// item.
#![allow(unsafe_code)]

pub mod transfer;

use crate::clock::{clock_or_monotonic, tg_clock};
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::c_void;
use std::mem::size_of;
use tg_status::{TG_OK, TG_UNKNOWN_VALUE};
use tidegate_core::queue::OnFull;
use tidegate_core::{BoundedQueue, QueueConfig};

/// A bounded first-in-first-out queue of pointers, for any number of producers and consumers, with watermarks.
#[derive(Debug)]
pub struct tg_queue(BoundedQueue<Item>);

impl Handle for tg_queue {}

/// A pointer that is kept and given back, never followed.
#[derive(Clone, Copy, Debug)]
struct Item(*mut c_void);

// SAFETY: tidegate never follows the pointer; what it points to changes threads by the caller's own wish.
unsafe impl Send for Item {}

// SAFETY: as above; a shared reference to it gives nothing but the number.
unsafe impl Sync for Item {}

/// What a push onto a full queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_on_full {
    /// Refuses the new item; also from the high watermark on, until the depth falls below the low one.
    TG_REJECT = 0,
    /// Takes the new item and hands the oldest back; watermarks then only steer tg_queue_is_accepting().
    TG_DROP_OLDEST = 1,
}

const _: () = {
    assert!(tg_on_full::TG_REJECT as i32 == OnFull::Reject as i32);
    assert!(tg_on_full::TG_DROP_OLDEST as i32 == OnFull::DropOldest as i32);
};

/// Settings of a queue. Start from TG_QUEUE_CONFIG_INIT and set capacity.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_queue_config {
    /// sizeof(tg_queue_config)
    pub struct_size: usize,
    /// For sojourn times; NULL: the machine's monotonic clock. Waiting always uses the machine's. Borrowed during the
    /// call.
    pub clock: In<tg_clock>,
    /// The most items held, 1 .. 2^24. Must be set.
    pub capacity: usize,
    /// Fraction of the capacity at which pushes start to be refused, low < high <= 1; 1.0 turns watermarks off.
    pub high_watermark: f64,
    /// Fraction below which pushes are accepted again.
    pub low_watermark: f64,
    /// One of tg_on_full.
    pub on_full: i32,
    /// Not 0: items carry the time of their push, so that tg_queue_try_pop_timed() can tell how long they waited.
    pub sojourn: u32,
}

versioned!(tg_queue_config, first = 48, fields = [clock, capacity, high_watermark, low_watermark, on_full, sojourn]);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_queue_config {}

impl Default for tg_queue_config {
    fn default() -> Self {
        let core = QueueConfig::new(0);
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            capacity: core.capacity,
            high_watermark: core.high_watermark,
            low_watermark: core.low_watermark,
            on_full: core.on_full as i32,
            sojourn: core.sojourn.into(),
        }
    }
}

impl tg_queue_config {
    fn checked(&self) -> Result<QueueConfig, Failure> {
        let on_full = match self.on_full {
            0 => OnFull::Reject,
            1 => OnFull::DropOldest,
            other => {
                let message = format!("on_full: {other} is neither TG_REJECT (0) nor TG_DROP_OLDEST (1)");
                return Err(Failure::new(TG_UNKNOWN_VALUE, message));
            }
        };
        let (high_watermark, low_watermark) = (self.high_watermark, self.low_watermark);
        let capacity = self.capacity;
        Ok(QueueConfig { capacity, high_watermark, low_watermark, on_full, sojourn: self.sojourn != 0 })
    }
}

/// A look at a queue. Start from TG_QUEUE_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_queue_snapshot {
    /// sizeof(tg_queue_snapshot)
    pub struct_size: usize,
    /// Items held now.
    pub depth: usize,
    /// Whether pushes are accepted now.
    pub accepting: bool,
    /// Items accepted.
    pub pushed: u64,
    /// Items popped or drained.
    pub popped: u64,
    /// Pushes refused.
    pub rejected: u64,
    /// Items handed back by TG_DROP_OLDEST.
    pub dropped: u64,
}

versioned!(tg_queue_snapshot, first = 56, fields = [depth, accepting, pushed, popped, rejected, dropped]);

/// Makes an empty queue.
///
/// Errors: TG_OUT_OF_RANGE (capacity 0, a watermark outside 0 .. 1, ...), TG_NO_MEMORY, TG_CONFLICT (low not below
/// high), TG_UNKNOWN_VALUE (on_full).
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_new(config: In<tg_queue_config>, queue: Out<*mut tg_queue>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        queue.require("queue")?;
        let clock = clock_or_monotonic(&config.clock);
        queue.give(tg_queue(BoundedQueue::with_clock(config.checked()?, clock)?));
        Ok(TG_OK)
    })
}

/// Frees a queue; NULL is fine. Close it, join whoever waits on it and tg_queue_drain() it first: items still inside
/// are forgotten, for tidegate does not know how to free them.
///
/// Ownership: takes queue, not the items.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_free(queue: Out<tg_queue>) {
    guard_system(|| {
        queue.free();
        Ok(TG_OK)
    });
}

/// Refuses pushes from now on and wakes all who wait; what was accepted can still be popped. Closing twice is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_close(queue: In<tg_queue>) -> tg_status {
    guard_system(|| {
        queue.get("queue")?.0.close();
        Ok(TG_OK)
    })
}

/// Tells whether the queue was closed.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_is_closed(queue: In<tg_queue>, closed: Out<bool>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        closed.require("closed")?;
        closed.set(queue.is_closed());
        Ok(TG_OK)
    })
}

/// Tells whether a push would be accepted: not closed, not full, not above the watermark.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_is_accepting(queue: In<tg_queue>, accepting: Out<bool>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        accepting.require("accepting")?;
        accepting.set(queue.is_accepting());
        Ok(TG_OK)
    })
}

/// Tells how many items it holds now.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_depth(queue: In<tg_queue>, depth: Out<usize>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        depth.require("depth")?;
        depth.set(queue.depth());
        Ok(TG_OK)
    })
}

/// Tells the depth and the counts since the queue was made.
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_stats(queue: In<tg_queue>, snapshot: Out<tg_queue_snapshot>) -> tg_status {
    guard(|| {
        let queue = &queue.get("queue")?.0;
        let room = snapshot.room("snapshot")?;
        let now = queue.stats();
        let (depth, accepting) = (now.depth, now.accepting);
        let struct_size = size_of::<tg_queue_snapshot>();
        let (pushed, popped, rejected, dropped) = (now.pushed, now.popped, now.rejected, now.dropped);
        snapshot.fill(room, tg_queue_snapshot { struct_size, depth, accepting, pushed, popped, rejected, dropped });
        Ok(TG_OK)
    })
}
