//! The operations of `BoundedQueue` in `lib/queue.cjs`.
//!
//! The items stay in JavaScript, in the order in which the core accepted them; the core holds units and decides.

use crate::clock::{self, Entry};
use crate::convert::ms;
use crate::raw::{Kind, Reply};
use crate::settings::whole;
use crate::table::Table;
use std::rc::Rc;
use tidegate::queue::{OnFull, PopError, PushError, PushErrorKind, SETTINGS};
use tidegate::refusal::Refusal;
use tidegate::{BoundedQueue, QueueConfig};

/// What a push or pop came to; the numbers stand in `lib/queue.cjs` too.
const OK: u32 = 0;
const OK_DROPPED_OLDEST: u32 = 1;
const FULL: u32 = 2;
const CLOSED: u32 = 3;
const EMPTY: u32 = 4;

/// Exports the operations; their outcome is word 1.
pub(crate) fn export(kind: &Kind<BoundedQueue<()>>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |queues, io, call| {
        let config = QueueConfig {
            capacity: whole(io, 0, SETTINGS.field("capacity"))? as usize,
            high_watermark: io.get(1),
            low_watermark: io.get(2),
            on_full: if io.get(3) == 0.0 { OnFull::Reject } else { OnFull::DropOldest },
            sojourn: io.get(4) != 0.0,
        };
        // One sequence number a slot, and the time of its push where sojourn is on.
        let weight = config.capacity * if config.sojourn { 16 } else { 8 };
        call.adopt(queues, io, BoundedQueue::with_clock(config, clock::chosen(&clocks, io)?)?, weight)
    })?
    .operation("tryPush", |queues, io, _| {
        io.set_word(1, outcome(queues.with(io, |queue| queue.try_push(()))?));
        Ok(Reply::Nothing)
    })?
    // Of a push that waits, and so looks again: a full queue is not counted as a rejection.
    .operation("lookPush", |queues, io, _| {
        io.set_word(1, outcome(queues.with(io, |queue| queue.look_push(()))?));
        Ok(Reply::Nothing)
    })?
    .operation("tryPop", |queues, io, _| {
        let outcome = match queues.with(io, BoundedQueue::try_pop_timed)? {
            Ok(((), sojourn_ns)) => {
                io.set([ms(sojourn_ns)]);
                OK
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
        queues.with(io, BoundedQueue::close)?;
        Ok(Reply::Nothing)
    })?
    .operation("drain", |queues, io, _| {
        let drained = queues.with(io, BoundedQueue::drain)?;
        io.set([drained.len() as f64]);
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
    .operation("stats", |queues, io, _| {
        let stats = queues.with(io, BoundedQueue::stats)?;
        io.answer(stats.accepting);
        let counts = [stats.pushed, stats.popped, stats.rejected, stats.dropped].map(|count| count as f64);
        let [pushed, popped, rejected, dropped] = counts;
        io.set([stats.depth as f64, pushed, popped, rejected, dropped]);
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

const fn outcome(pushed: Result<Option<()>, PushError<()>>) -> u32 {
    match pushed {
        Ok(None) => OK,
        Ok(Some(())) => OK_DROPPED_OLDEST,
        Err(PushError { kind: PushErrorKind::Closed, .. }) => CLOSED,
        Err(_) => FULL,
    }
}
