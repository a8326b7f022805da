//! `BoundedQueue` behind the vectors' vocabulary.

use std::time::Duration;
use tidegate::queue::{Discipline, DropReason, OnFull, PopError, PushError, PushErrorKind, PushOptions, Taken};
use tidegate::{BoundedQueue, Clock, ManualClock, QueueConfig};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::queue::{Answer, Config, Discipline as Order, OnFull as Policy, Op};

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
        let mut settings = QueueConfig {
            high_watermark: config.high_watermark,
            low_watermark: config.low_watermark,
            on_full: match config.on_full {
                Policy::Reject => OnFull::Reject,
                Policy::DropOldest => OnFull::DropOldest,
            },
            sojourn: config.sojourn,
            ..QueueConfig::new(config.capacity)
        };
        if let Some(rules) = &config.rules {
            settings.discipline = match rules.discipline {
                Order::Fifo => Discipline::Fifo,
                Order::Codel => Discipline::Codel,
                Order::AdaptiveLifo => Discipline::AdaptiveLifo,
            };
            settings.target = Duration::from_nanos(rules.target_ns.0);
            settings.interval = Duration::from_nanos(rules.interval_ns.0);
            settings.lanes = rules.lanes;
            settings.max_age = rules.max_age_ns.map(|age| Duration::from_nanos(age.0));
        }
        let queue = BoundedQueue::with_clock(settings, Clock::from(&clock)).expect("sound settings");
        Self { queue, clock, sojourn: config.sojourn }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let queue = &self.queue;
        match op {
            Op::TryPush { item } => pushed(*item, queue.try_push(*item)),
            Op::TryPushWith { item, lane, deadline_ns } => {
                let deadline = deadline_ns.map(|deadline| Duration::from_nanos(deadline.0));
                pushed(*item, queue.try_push_with(*item, PushOptions { lane: *lane, deadline }))
            }
            Op::TryPop {} => {
                let mut drops = Vec::new();
                let answer = loop {
                    match queue.take() {
                        Ok(Taken::Item(item, sojourn)) => {
                            assert!(self.sojourn || sojourn == 0, "a sojourn that nobody asked for");
                            break Answer::popped(item, self.sojourn.then_some(sojourn));
                        }
                        Ok(Taken::Dropped(item, reason)) => drops.push((item, reason.name())),
                        Err(PopError::Empty) => break Answer::nothing_to_pop("empty"),
                        Err(PopError::Closed) => break Answer::nothing_to_pop("closed"),
                    }
                };
                answer.after(drops)
            }
            Op::Load {} => {
                let least_delay_ns = queue.least_delay().map(|least| Ns(least.as_nanos() as u64));
                Answer::Load { least_delay_ns, overloaded: queue.is_overloaded() }
            }
            Op::Counts {} => {
                let stats = queue.stats();
                let [oldest, age, codel, deadline, closed] = stats.dropped_by;
                assert_eq!(stats.pushed, stats.popped + stats.dropped + stats.depth as u64, "accepted");
                Answer::Counts { popped: stats.popped, oldest, age, codel, deadline, closed }
            }
            Op::Discard {} => {
                queue.close();
                let dropped = std::iter::from_fn(|| queue.discard_next());
                Answer::dropped(dropped.map(|item| (item, DropReason::Closed.name())).collect())
            }
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

fn pushed(item: i64, answer: Result<Option<i64>, PushError<i64>>) -> Answer {
    match answer {
        Ok(dropped) => Answer::pushed(dropped),
        Err(refusal) => {
            assert_eq!(refusal.item, item, "a refused item comes back");
            Answer::refused(match refusal.kind {
                PushErrorKind::Full => "full",
                PushErrorKind::Closed => "closed",
                PushErrorKind::NoLane => "no lane",
            })
        }
    }
}
