//! Bounded queue beside crossbeam's `ArrayQueue`, of the same capacity.

use crate::harness::{Contender, Plan, Row};
use crossbeam_queue::ArrayQueue;
use std::hint::black_box;
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
