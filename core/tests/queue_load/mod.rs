//! Producers, consumers and what must hold of them: the load that both stress tests of the queue put on it.
#![allow(missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use tidegate::QueueConfig;
use tidegate::queue::BoundedQueue;

/// Each item knows who pushed it, and its number there.
pub type Item = (usize, usize);

pub const PRODUCERS: usize = 3;
const CONSUMERS: usize = 2;
pub const EACH: usize = 4_000;

pub fn queue<T>(config: QueueConfig) -> BoundedQueue<T> {
    BoundedQueue::new(config).unwrap()
}

pub fn configs() -> [QueueConfig; 4] {
    let full = |capacity| QueueConfig { high_watermark: 1.0, ..QueueConfig::new(capacity) };
    [full(1), full(5), QueueConfig::new(16), QueueConfig { sojourn: true, ..QueueConfig::new(100) }]
}

/// Every item of every producer once; each consumer saw each producer's items in order.
pub fn check(seen: &[Vec<Item>]) {
    for one in seen {
        let mut last = [None; PRODUCERS];
        for &(producer, number) in one {
            assert!(last[producer] < Some(number), "{number} of {producer} after {:?}", last[producer]);
            last[producer] = Some(number);
        }
    }
    let mut all: Vec<Item> = seen.iter().flatten().copied().collect();
    all.sort_unstable();
    assert!(all.into_iter().eq((0..PRODUCERS).flat_map(|p| (0..EACH).map(move |n| (p, n)))), "lost or doubled");
}

/// Producers push all their items and the last one closes; consumers pop to the end.
pub fn run(
    push: impl Fn(Item) + Sync,
    pop: impl Fn() -> Option<Item> + Sync,
    close: impl Fn() + Sync,
) -> Vec<Vec<Item>> {
    let left = AtomicUsize::new(PRODUCERS);
    thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (push, close, left) = (&push, &close, &left);
                scope.spawn(move || {
                    (0..EACH).for_each(|number| push((producer, number)));
                    if left.fetch_sub(1, SeqCst) == 1 {
                        close();
                    }
                })
            })
            .collect();
        let consumers: Vec<_> =
            (0..CONSUMERS).map(|_| scope.spawn(|| std::iter::from_fn(&pop).collect::<Vec<_>>())).collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
    })
}
