//! The queue in a forked child.
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests of forks")]
mod children;
mod counting_waker;

use children::{child, ends_well};
use counting_waker::CountingWaker;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tidegate::QueueConfig;
use tidegate::queue::{BoundedQueue, Discipline, Interest, PushOptions};

/// A fork copies the list of waiters, but not the threads in it: the copy must not swallow a wake-up of the child.
#[test]
fn after_a_fork_the_parents_waiters_are_forgotten() {
    let q = BoundedQueue::<u8>::new(QueueConfig::new(4)).unwrap();
    let (bell, waker) = CountingWaker::new();
    let parents = q.listen(Interest::Pop, &waker);
    ends_well(child(|| {
        let (own, waker) = CountingWaker::new();
        let listener = q.listen(Interest::Pop, &waker);
        let pushed = q.try_push(1).is_ok();
        pushed && own.rung() == 1 && bell.rung() == 0 && listener.is_notified()
    }));
    assert!(!parents.is_notified(), "the parent's queue is its own");
    q.try_push(1).unwrap();
    assert_eq!(bell.rung(), 1);
}

/// Forks while threads push and pop: whatever the child finds half done, its copy is a queue that holds each item once
/// and goes on.
#[test]
fn a_child_of_fork_has_lanes_in_order() {
    let configs = [
        QueueConfig { lanes: 3, ..QueueConfig::new(8) },
        QueueConfig { discipline: Discipline::AdaptiveLifo, ..QueueConfig::new(8) },
        QueueConfig { max_age: Some(Duration::from_secs(3_600)), ..QueueConfig::new(8) },
    ];
    for config in configs {
        let lanes = config.lanes;
        let q = BoundedQueue::<u64>::new(config).unwrap();
        let (over, push) = (AtomicBool::new(false), |n: u64| {
            let lane = n as usize % lanes;
            // Some with a deadline, so that a ring has both kinds.
            let deadline = n.is_multiple_of(3).then_some(Duration::from_secs(3_600));
            q.try_push_with(n, PushOptions { lane, deadline }).is_ok()
        });
        std::thread::scope(|scope| {
            let (over, push, q) = (&over, &push, &q);
            scope.spawn(move || {
                for n in (0..).take_while(|_| !over.load(Relaxed)) {
                    let _ = push(n);
                }
            });
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let _ = q.try_pop();
                }
            });
            for _ in 0..40 {
                ends_well(child(|| {
                    let depth = q.depth();
                    let mut items: Vec<u64> = std::iter::from_fn(|| q.try_pop().ok()).collect();
                    let found = items.len();
                    items.sort_unstable();
                    items.dedup();
                    let whole = items.len() == found && found <= depth && q.depth() == 0;
                    whole && push(1) && push(2) && q.drain().len() == 2 && !push(3)
                }));
            }
            over.store(true, Relaxed);
        });
    }
}
