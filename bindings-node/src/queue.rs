//! The operations of `BoundedQueue` in `lib/queue.cjs`.
//!
//! The items stay in JavaScript, each at a place of its own; the core holds their places and decides.

use crate::clock::{self, Entry};
use crate::convert::{duration, ms};
use crate::io::Io;
use crate::raw::{Kind, Reply};
use crate::settings::whole;
use crate::stats;
use crate::table::Table;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::queue::{
    Discipline, DropReason, OnFull, Place, PopError, PushError, PushErrorKind, PushOptions, SETTINGS, Taken,
};
use tidegate::refusal::Refusal;
use tidegate::{BoundedQueue, QueueConfig};

/// What a push or pop came to; the numbers stand in `lib/queue.cjs` too.
const OK: u32 = 0;
const OK_DROPPED_OLDEST: u32 = 1;
const FULL: u32 = 2;
const CLOSED: u32 = 3;
const EMPTY: u32 = 4;
const DROPPED: u32 = 5;

/// In the word of the lane: the first opaque word is a deadline.
const HAS_DEADLINE: u32 = 1 << 31;

/// Exports the operations. Their outcome is word 1, an item's place word 2, in and out; word 3 is a lane, in, or the
/// number of the reason of a drop.
pub(crate) fn export(kind: &Kind<Arc<BoundedQueue<u32>>>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |queues, io, call| {
        let config = QueueConfig {
            capacity: whole(io, 0, SETTINGS.field("capacity"))? as usize,
            high_watermark: io.get(1),
            low_watermark: io.get(2),
            on_full: if io.get(3) == 0.0 { OnFull::Reject } else { OnFull::DropOldest },
            sojourn: io.get(4) != 0.0,
            discipline: match io.get(5) {
                1.0 => Discipline::Codel,
                2.0 => Discipline::AdaptiveLifo,
                _ => Discipline::Fifo,
            },
            target: duration(io.get(6)),
            interval: duration(io.get(7)),
            lanes: whole(io, 8, SETTINGS.field("lanes"))? as usize,
            max_age: io.option(9).map(duration),
        };
        // A number and an item's place a slot, and the time of its push where it is asked for.
        let weight = config.capacity * if config.sojourn { 24 } else { 16 };
        let queue = BoundedQueue::with_clock(config, clock::chosen(&clocks, io)?)?;
        call.adopt(queues, io, Arc::new(queue), weight)
    })?
    .operation("tryPush", |queues, io, _| {
        pushed(io, queues.with(io, |queue| queue.try_push(io.word(2)))?);
        Ok(Reply::Nothing)
    })?
    .operation("tryPushIn", |queues, io, _| {
        pushed(io, queues.with(io, |queue| queue.try_push_in(io.word(2), place(io)))?);
        Ok(Reply::Nothing)
    })?
    // Of a push that waits, and so looks again: a full queue is not counted as a rejection.
    .operation("lookPush", |queues, io, _| {
        pushed(io, queues.with(io, |queue| queue.look_push(io.word(2), place(io)))?);
        Ok(Reply::Nothing)
    })?
    // A deadline in ms from now as the moment that a push takes.
    .operation("due", |queues, io, _| {
        let options = PushOptions { deadline: Some(duration(io.get(0))), ..PushOptions::default() };
        let due = queues.with(io, |queue| options.place(|| queue.clock().now()).due)?;
        io.set_bits([due, 0]);
        Ok(Reply::Nothing)
    })?
    .operation("tryPop", |queues, io, _| {
        let outcome = match queues.with(io, |queue| queue.take())? {
            Ok(Taken::Item(at, sojourn_ns)) => {
                io.set([ms(sojourn_ns)]);
                io.set_word(2, at);
                OK
            }
            Ok(Taken::Dropped(at, reason)) => {
                io.set_word(2, at);
                io.set_word(3, reason as u32);
                DROPPED
            }
            Err(PopError::Empty) => EMPTY,
            Err(PopError::Closed) => CLOSED,
        };
        io.set_word(1, outcome);
        Ok(Reply::Nothing)
    })?
    // What QueueFullError says.
    .operation("refused", |queues, io, call| {
        let (depth, capacity) = queues.with(io, |queue| (queue.depth(), queue.config().capacity))?;
        call.string(&Refusal::of_queue(depth, capacity).subject().to_string())
    })?
    .operation("close", |queues, io, _| {
        queues.with(io, |queue| queue.close())?;
        Ok(Reply::Nothing)
    })?
    // One item of a closed queue; as one that is dropped because of that.
    .operation("drainNext", |queues, io, _| {
        rest(io, queues.with(io, |queue| queue.take_first().ok())?);
        Ok(Reply::Nothing)
    })?
    .operation("discardNext", |queues, io, _| {
        rest(io, queues.with(io, |queue| queue.discard_next())?);
        io.set_word(3, DropReason::Closed as u32);
        Ok(Reply::Nothing)
    })?
    .operation("isAccepting", |queues, io, _| {
        queues.with(io, |queue| io.answer(queue.is_accepting()))?;
        Ok(Reply::Nothing)
    })?
    .operation("isClosed", |queues, io, _| {
        queues.with(io, |queue| io.answer(queue.is_closed()))?;
        Ok(Reply::Nothing)
    })?
    .operation("depth", |queues, io, _| {
        queues.with(io, |queue| io.set([queue.depth() as f64]))?;
        Ok(Reply::Nothing)
    })?
    .operation("fill", |queues, io, _| {
        queues.with(io, |queue| io.set([queue.fill()]))?;
        Ok(Reply::Nothing)
    })?
    .operation("load", |queues, io, _| {
        let (least, overloaded) = queues.with(io, |queue| (queue.least_delay(), queue.is_overloaded()))?;
        io.answer(overloaded);
        io.set([least.map_or(f64::NAN, |least| ms(least.as_nanos() as u64))]);
        Ok(Reply::Nothing)
    })?
    .operation("stats", |queues, io, _| {
        io.set(stats::queue(&queues.with(io, |queue| queue.stats())?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

fn place(io: Io) -> Place {
    let word = io.word(3);
    let lane = (word & !HAS_DEADLINE) as usize;
    let [due, _] = io.bits();
    Place { lane, due: if word & HAS_DEADLINE == 0 { Place::default().due } else { due } }
}

fn pushed(io: Io, answer: Result<Option<u32>, PushError<u32>>) {
    let outcome = match answer {
        Ok(None) => OK,
        Ok(Some(oldest)) => {
            io.set_word(2, oldest);
            OK_DROPPED_OLDEST
        }
        Err(PushError { kind: PushErrorKind::Closed, .. }) => CLOSED,
        Err(_) => FULL,
    };
    io.set_word(1, outcome);
}

fn rest(io: Io, next: Option<u32>) {
    io.set_word(1, if next.is_some() { OK } else { CLOSED });
    io.set_word(2, next.unwrap_or_default());
}
