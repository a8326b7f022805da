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
use std::sync::Arc;
use std::time::Duration;
use tg_status::{TG_OK, TG_UNKNOWN_VALUE};
use tidegate_core::queue::{Discipline, DropReason, OnFull};
use tidegate_core::{BoundedQueue, QueueConfig};

/// A bounded queue of pointers, for any number of producers and consumers, with watermarks, lanes and disciplines.
#[derive(Debug)]
pub struct tg_queue(pub(crate) Arc<BoundedQueue<Item>>);

impl Handle for tg_queue {}

/// A pointer that is kept and given back, never followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item(*mut c_void);

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

/// The order of a lane, and what overload does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_discipline {
    /// First in, first out.
    TG_FIFO = 0,
    /// First in, first out. Once nobody of an interval waited less than the target, whoever waited longer than twice
    /// the target is dropped, until somebody waits less.
    TG_CODEL = 1,
    /// As TG_CODEL, judged by the oldest item, and the newest is served first meanwhile.
    TG_ADAPTIVE_LIFO = 2,
}

/// Why an accepted item was not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_drop_reason {
    /// It had to make room for a newer one, by TG_DROP_OLDEST.
    TG_DROPPED_OLDEST = 0,
    /// It waited longer than max_age_ns.
    TG_DROPPED_AGE = 1,
    /// The queue is overloaded, and it waited longer than twice the target.
    TG_DROPPED_CODEL = 2,
    /// Its own deadline had passed.
    TG_DROPPED_DEADLINE = 3,
    /// The queue was closed, by tg_queue_discard().
    TG_DROPPED_CLOSED = 4,
}

const _: () = {
    assert!(tg_discipline::TG_ADAPTIVE_LIFO as i32 == Discipline::AdaptiveLifo as i32);
    assert!(tg_discipline::TG_CODEL as i32 == Discipline::Codel as i32);
    assert!(tg_drop_reason::TG_DROPPED_AGE as i32 == DropReason::Age as i32);
    assert!(tg_drop_reason::TG_DROPPED_CODEL as i32 == DropReason::Codel as i32);
    assert!(tg_drop_reason::TG_DROPPED_DEADLINE as i32 == DropReason::Deadline as i32);
    assert!(tg_drop_reason::TG_DROPPED_CLOSED as i32 == DropReason::Closed as i32);
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
    /// One of tg_discipline. With another than TG_FIFO, pops may answer TG_DROPPED.
    pub discipline: i32,
    /// Lanes by urgency, 1 .. 8: lane 0 goes first, but one pop of 20 is of the others in turn.
    pub lanes: u32,
    /// The least delay that is overload where a whole interval has none below it; below interval_ns.
    pub target_ns: u64,
    /// How often overload is judged.
    pub interval_ns: u64,
    /// What waited longer is dropped when it comes to the front; 0: nothing is. Pops may answer TG_DROPPED.
    pub max_age_ns: u64,
}

versioned!(
    tg_queue_config,
    first = 48,
    fields = [
        clock,
        capacity,
        high_watermark,
        low_watermark,
        on_full,
        sojourn,
        discipline,
        lanes,
        target_ns,
        interval_ns,
        max_age_ns
    ]
);
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
            discipline: core.discipline as i32,
            lanes: core.lanes as u32,
            target_ns: core.target.as_nanos() as u64,
            interval_ns: core.interval.as_nanos() as u64,
            max_age_ns: 0,
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
        let discipline = match self.discipline {
            0 => Discipline::Fifo,
            1 => Discipline::Codel,
            2 => Discipline::AdaptiveLifo,
            other => {
                let message =
                    format!("discipline: {other} is neither TG_FIFO (0) nor TG_CODEL (1) nor TG_ADAPTIVE_LIFO (2)");
                return Err(Failure::new(TG_UNKNOWN_VALUE, message));
            }
        };
        Ok(QueueConfig {
            capacity: self.capacity,
            high_watermark: self.high_watermark,
            low_watermark: self.low_watermark,
            on_full,
            sojourn: self.sojourn != 0,
            discipline,
            target: Duration::from_nanos(self.target_ns),
            interval: Duration::from_nanos(self.interval_ns),
            lanes: self.lanes as usize,
            max_age: (self.max_age_ns != 0).then(|| Duration::from_nanos(self.max_age_ns)),
        })
    }
}

/// A look at a queue. Start from TG_QUEUE_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_queue_snapshot {
    /// sizeof(tg_queue_snapshot)
    pub struct_size: usize,
    // <stats queue>
    /// Items held now.
    pub depth: usize,
    /// Whether pushes are accepted now.
    pub accepting: bool,
    /// Items accepted.
    pub pushed: u64,
    /// Items popped or drained.
    pub popped: u64,
    /// Pushes refused, full or closed; a waiting form counts once, at its deadline.
    pub rejected: u64,
    /// Items dropped, for whatever reason: pushed is popped, dropped and depth, at any moment.
    pub dropped: u64,
    /// Of these, by their reasons: oldest. It had to make room for a newer one, as on_full says.
    pub dropped_oldest: u64,
    /// Of these, by their reasons: age. It waited longer than max_age_ns.
    pub dropped_age: u64,
    /// Of these, by their reasons: codel. The queue is overloaded, and it waited longer than twice the target.
    pub dropped_codel: u64,
    /// Of these, by their reasons: deadline. Its own deadline had passed.
    pub dropped_deadline: u64,
    /// Of these, by their reasons: closed. The queue was closed by discard.
    pub dropped_closed: u64,
    /// The least delay of the interval that ended last, of the lane where it is the longest; TG_NEVER without a
    /// discipline that measures it, and before the first. In nanoseconds.
    pub least_delay_ns: u64,
    /// 1 or 0. Whether that is overload.
    pub overloaded: u64,
    // </stats>
}

versioned!(
    tg_queue_snapshot,
    first = 56,
    fields = [
        depth,
        accepting,
        pushed,
        popped,
        rejected,
        dropped,
        dropped_oldest,
        dropped_age,
        dropped_codel,
        dropped_deadline,
        dropped_closed,
        least_delay_ns,
        overloaded
    ]
);

/// Makes an empty queue.
///
/// Errors: TG_OUT_OF_RANGE (capacity 0, a watermark outside 0 .. 1, ...), TG_NO_MEMORY (for capacity), TG_CONFLICT (low
/// not below high, target_ns not below interval_ns), TG_UNKNOWN_VALUE (on_full, discipline).
#[unsafe(no_mangle)]
pub extern "C" fn tg_queue_new(config: In<tg_queue_config>, queue: Out<*mut tg_queue>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        queue.require("queue")?;
        let clock = clock_or_monotonic(&config.clock);
        queue.give(tg_queue(Arc::new(BoundedQueue::with_clock(config.checked()?, clock)?)));
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
        snapshot.fill(room, queue.stats().into());
        Ok(TG_OK)
    })
}
