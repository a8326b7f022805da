//! The queue in a forked child.
#![cfg(unix)]
#![allow(unsafe_code)] // fork, waitpid and _exit

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};
use tidegate::QueueConfig;
use tidegate::queue::{BoundedQueue, Interest};

#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counting() -> (Arc<CountingWaker>, Waker) {
    let bell = Arc::new(CountingWaker::default());
    (bell.clone(), bell.into())
}

/// A fork copies the list of waiters, but not the threads in it: the copy must not swallow a wake-up of the child.
#[test]
fn after_a_fork_the_parents_waiters_are_forgotten() {
    let q = BoundedQueue::<u8>::new(QueueConfig::new(4)).unwrap();
    let (bell, waker) = counting();
    let parents = q.listen(Interest::Pop, &waker);
    // SAFETY: the child calls nothing but the queue and _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let (own, waker) = counting();
        let listener = q.listen(Interest::Pop, &waker);
        let pushed = q.try_push(1).is_ok();
        let right = pushed && own.0.load(SeqCst) == 1 && bell.0.load(SeqCst) == 0 && listener.is_notified();
        // SAFETY: ends the child without running the test harness's exit handlers.
        unsafe { libc::_exit(if right { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: `status` is a valid place for the result.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "exit status of the child");
    assert!(!parents.is_notified(), "the parent's queue is its own");
    q.try_push(1).unwrap();
    assert_eq!(bell.0.load(SeqCst), 1);
}
