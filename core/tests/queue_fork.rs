//! The queue in a forked child.
#![cfg(unix)]

#[allow(dead_code, reason = "shared with other tests of forks")]
mod children;
mod counting_waker;

use children::{child, ends_well};
use counting_waker::CountingWaker;
use tidegate::QueueConfig;
use tidegate::queue::{BoundedQueue, Interest};

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
