//! `BoundedQueue` behind the vectors' vocabulary.

use tidegate::queue::{OnFull, PopError, PushErrorKind};
use tidegate::{BoundedQueue, Clock, ManualClock, QueueConfig};
use tidegate_model::format::Subject;
use tidegate_model::script::queue::{Answer, Config, OnFull as Policy, Op};

/// A queue and its clock.
#[derive(Debug)]
pub(crate) struct CoreQueue {
    queue: BoundedQueue<i64>,
    clock: ManualClock,
    sojourn: bool,
}

impl Subject for CoreQueue {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let settings = QueueConfig {
            high_watermark: config.high_watermark,
            low_watermark: config.low_watermark,
            on_full: match config.on_full {
                Policy::Reject => OnFull::Reject,
                Policy::DropOldest => OnFull::DropOldest,
            },
            sojourn: config.sojourn,
            ..QueueConfig::new(config.capacity)
        };
        let queue = BoundedQueue::with_clock(settings, Clock::from(&clock)).expect("sound settings");
        Self { queue, clock, sojourn: config.sojourn }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let queue = &self.queue;
        match op {
            Op::TryPush { item } => match queue.try_push(*item) {
                Ok(dropped) => Answer::pushed(dropped),
                Err(refusal) => {
                    assert_eq!(refusal.item, *item, "a refused item comes back");
                    Answer::refused(match refusal.kind {
                        PushErrorKind::Full => "full",
                        PushErrorKind::Closed => "closed",
                    })
                }
            },
            Op::TryPop {} => match queue.try_pop_timed() {
                Ok((item, sojourn)) => {
                    assert!(self.sojourn || sojourn == 0, "a sojourn that nobody asked for");
                    Answer::popped(item, self.sojourn.then_some(sojourn))
                }
                Err(PopError::Empty) => Answer::nothing_to_pop("empty"),
                Err(PopError::Closed) => Answer::nothing_to_pop("closed"),
            },
            Op::Depth {} => Answer::Depth { depth: queue.depth() },
            Op::IsAccepting {} => Answer::Accepting { accepting: queue.is_accepting() },
            Op::Close {} => {
                queue.close();
                Answer::Nothing {}
            }
            Op::Drain {} => Answer::Items { items: queue.drain() },
        }
    }
}
