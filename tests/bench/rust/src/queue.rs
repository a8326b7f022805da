//! Bounded queue beside crossbeam's `ArrayQueue`, of the same capacity.

use crate::harness::{Contender, Plan, Row};
use crossbeam_queue::ArrayQueue;
use std::hint::black_box;
use tidegate::queue::Discipline;
use tidegate::{BoundedQueue, QueueConfig};

const CAPACITY: usize = 1024;

pub fn rows(plan: &Plan) {
    plan.measure(Row {
        work: "queue, push + pop, 1 thread",
        threads: 1,
        floor: None,
        targets: &[("ArrayQueue", 1.15)],
        contenders: vec![tidegate("tidegate", false), array_queue(), tidegate("tidegate with sojourn", true)],
    });
    // Both tell how long an item waited, one of them judges it too.
    plan.measure(Row {
        work: "queue, push + timed pop, disciplines",
        threads: 1,
        floor: None,
        targets: &[("fifo with sojourn", 1.3)],
        contenders: vec![
            timed("codel", QueueConfig { discipline: Discipline::Codel, ..with_sojourn() }),
            timed("fifo with sojourn", with_sojourn()),
            timed("4 lanes", QueueConfig { lanes: 4, ..with_sojourn() }),
            timed("adaptive_lifo", QueueConfig { discipline: Discipline::AdaptiveLifo, ..with_sojourn() }),
        ],
    });
    plan.measure(Row {
        work: "queue, push + pop, 2 threads",
        threads: 2,
        floor: None,
        targets: &[],
        contenders: vec![tidegate("tidegate", false), array_queue()],
    });
}

fn tidegate(name: &'static str, sojourn: bool) -> Contender {
    Contender::new(name, move || {
        let config = QueueConfig { sojourn, ..QueueConfig::new(CAPACITY) };
        assert!(config.high_watermark < 1.0, "watermarks are on");
        let queue = BoundedQueue::new(config).expect("valid settings");
        move || {
            let pushed = black_box(&queue).try_push(black_box(7_u64));
            assert!(pushed.is_ok(), "there is room");
            let _ = black_box(black_box(&queue).try_pop());
        }
    })
}

fn with_sojourn() -> QueueConfig {
    QueueConfig { sojourn: true, ..QueueConfig::new(CAPACITY) }
}

fn timed(name: &'static str, config: QueueConfig) -> Contender {
    Contender::new(name, move || {
        let queue = BoundedQueue::new(config.clone()).expect("valid settings");
        move || {
            let pushed = black_box(&queue).try_push(black_box(7_u64));
            assert!(pushed.is_ok(), "there is room");
            let _ = black_box(black_box(&queue).try_pop_timed());
        }
    })
}

fn array_queue() -> Contender {
    Contender::new("ArrayQueue", || {
        let queue = ArrayQueue::new(CAPACITY);
        move || {
            let pushed = black_box(&queue).push(black_box(7_u64));
            assert!(pushed.is_ok(), "there is room");
            let _ = black_box(black_box(&queue).pop());
        }
    })
}
