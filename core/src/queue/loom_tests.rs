//! Interleavings of the bounded queue, all of them up to a number of preemptions.
//!
//! The queue needs no SeqCst, so what loom cannot see (it treats SeqCst accesses as AcqRel) is not there.

use super::{BoundedQueue, Interest, OnFull, PopError, PushErrorKind, QueueConfig};
use crate::ManualClock;
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;
use std::task::Waker;

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn queue(capacity: usize, high: f64, on_full: OnFull) -> Arc<BoundedQueue<u32>> {
    let config = QueueConfig { high_watermark: high, on_full, ..QueueConfig::new(capacity) };
    Arc::new(BoundedQueue::with_clock(config, ManualClock::new(0).into()).unwrap())
}

/// Takes what is there, in order.
fn rest(q: &BoundedQueue<u32>) -> Vec<u32> {
    std::iter::from_fn(|| q.try_pop().ok()).collect()
}

#[test]
fn loom_push_against_pop() {
    explore(2, || {
        let q = queue(2, 1.0, OnFull::Reject);
        let popper = thread::spawn({
            let q = q.clone();
            move || (0..2).filter_map(|_| q.try_pop().ok()).collect::<Vec<u32>>()
        });
        let accepted: Vec<u32> = (1..4).filter(|n| q.try_push(*n).is_ok()).collect();
        let mut out = popper.join().unwrap();
        out.extend(rest(&q));
        assert_eq!(out, accepted);
    });
}

#[test]
fn loom_two_pushers_and_a_popper() {
    explore(2, || {
        let q = queue(2, 1.0, OnFull::Reject);
        let pusher = thread::spawn({
            let q = q.clone();
            move || assert!(q.try_push(1).is_ok())
        });
        let popper = thread::spawn({
            let q = q.clone();
            move || q.try_pop().ok()
        });
        assert!(q.try_push(2).is_ok());
        pusher.join().unwrap();
        let mut out: Vec<u32> = popper.join().unwrap().into_iter().collect();
        out.extend(rest(&q));
        out.sort_unstable();
        assert_eq!(out, [1, 2]);
    });
}

#[test]
fn loom_full_only_when_full() {
    explore(3, || {
        let q = queue(1, 1.0, OnFull::Reject);
        q.try_push(1).unwrap();
        let pusher = thread::spawn({
            let q = q.clone();
            move || q.try_push(2).is_err()
        });
        assert_eq!(q.try_pop(), Ok(1));
        let refused = pusher.join().unwrap();
        assert_eq!(q.depth(), if refused { 0 } else { 1 });
        assert_eq!(q.try_push(3).is_ok(), refused);
    });
}

#[test]
fn loom_push_against_close_and_drain() {
    for on_full in [OnFull::Reject, OnFull::DropOldest] {
        explore(3, move || {
            let q = queue(2, 0.8, on_full);
            let pusher = thread::spawn({
                let q = q.clone();
                move || [1, 2, 3].map(|n| q.try_push(n))
            });
            let drained = q.drain();
            let results = pusher.join().unwrap();
            assert_eq!(q.try_pop(), Err(PopError::Closed), "a push landed after the drain");
            let mut expected: Vec<u32> = (1..4).filter(|n| results[*n as usize - 1].is_ok()).collect();
            for dropped in results.iter().filter_map(|result| result.as_ref().ok().copied().flatten()) {
                assert_eq!(expected.remove(0), dropped, "the oldest");
            }
            assert_eq!(drained, expected);
        });
    }
}

#[test]
fn loom_two_drains_share_what_there_is() {
    explore(2, || {
        let q = queue(2, 1.0, OnFull::Reject);
        q.try_push(1).unwrap();
        let other = thread::spawn({
            let q = q.clone();
            move || (q.try_push(2).is_ok(), q.drain())
        });
        let mut out = q.drain();
        let (accepted, theirs) = other.join().unwrap();
        out.extend(theirs);
        out.sort_unstable();
        assert_eq!(out.len(), 1 + usize::from(accepted));
        assert!(out.iter().eq([1, 2].iter().take(out.len())));
    });
}

#[test]
fn loom_drop_oldest_against_pop() {
    explore(2, || {
        let q = queue(1, 1.0, OnFull::DropOldest);
        q.try_push(1).unwrap();
        let pusher = thread::spawn({
            let q = q.clone();
            move || [2, 3].map(|n| q.try_push(n).unwrap())
        });
        let popped = q.try_pop().ok();
        let dropped = pusher.join().unwrap();
        assert!(q.depth() <= 1);
        let mut out: Vec<u32> = dropped.into_iter().flatten().chain(popped).collect();
        out.extend(rest(&q));
        out.sort_unstable();
        assert_eq!(out, [1, 2, 3]);
    });
}

#[test]
fn loom_two_pushers_drop_the_oldest() {
    explore(2, || {
        let q = queue(1, 1.0, OnFull::DropOldest);
        q.try_push(1).unwrap();
        let pusher = thread::spawn({
            let q = q.clone();
            move || q.try_push(2).unwrap()
        });
        let here = q.try_push(3).unwrap();
        let there = pusher.join().unwrap();
        let last = rest(&q);
        assert_eq!(last.len(), 1);
        // Who came second dropped who came first.
        assert_eq!((here, there), if last == [3] { (Some(2), Some(1)) } else { (Some(1), Some(3)) });
    });
}

#[test]
fn loom_a_push_wakes_a_popper() {
    explore(3, || {
        let q = queue(1, 0.8, OnFull::Reject);
        let popper = thread::spawn({
            let q = q.clone();
            move || block_on(q.pop_async())
        });
        q.try_push(1).unwrap();
        assert_eq!(popper.join().unwrap(), Ok(1));
    });
}

#[test]
fn loom_a_pop_wakes_a_pusher() {
    for high in [0.8, 1.0] {
        explore(3, move || {
            let q = queue(1, high, OnFull::Reject);
            q.try_push(1).unwrap();
            let pusher = thread::spawn({
                let q = q.clone();
                move || block_on(q.push_async(2)).unwrap()
            });
            assert_eq!(q.try_pop(), Ok(1));
            assert_eq!(pusher.join().unwrap(), None);
            assert_eq!(q.try_pop(), Ok(2));
        });
    }
}

#[test]
fn loom_a_close_wakes_both_ends() {
    explore(2, || {
        let q = queue(1, 0.8, OnFull::Reject);
        let popper = thread::spawn({
            let q = q.clone();
            move || block_on(q.pop_async())
        });
        q.close();
        assert_eq!(popper.join().unwrap(), Err(PopError::Closed));
    });
    explore(2, || {
        let q = queue(1, 0.8, OnFull::Reject);
        q.try_push(1).unwrap();
        let pusher = thread::spawn({
            let q = q.clone();
            move || block_on(q.push_async(2)).unwrap_err().kind
        });
        q.close();
        assert_eq!(pusher.join().unwrap(), PushErrorKind::Closed);
    });
}

#[test]
fn loom_a_listener_that_goes_passes_its_wake_up_on() {
    // A listener, not a second popper: loom may let two that wait for a publish take turns for ever.
    explore(2, || {
        let q = queue(2, 1.0, OnFull::Reject);
        let listener = q.listen(Interest::Pop, Waker::noop());
        let waits = thread::spawn({
            let q = q.clone();
            move || block_on(q.pop_async())
        });
        let pusher = thread::spawn({
            let q = q.clone();
            move || assert!(q.try_push(1).is_ok())
        });
        drop(listener);
        pusher.join().unwrap();
        assert_eq!(waits.join().unwrap(), Ok(1));
    });
}

/// Two items in a queue that shuts at 3 and opens below 2: a push that saw both, and came after both had left, sets the
/// rejecting bit late.
fn two_of_three() -> Arc<BoundedQueue<u32>> {
    let q = queue(3, 0.8, OnFull::Reject);
    q.try_push(1).unwrap();
    q.try_push(2).unwrap();
    q
}

#[test]
fn loom_a_late_rejecting_bit_does_not_stick() {
    explore(3, || {
        let q = two_of_three();
        let popper = thread::spawn({
            let q = q.clone();
            move || (q.try_pop(), q.try_pop())
        });
        q.try_push(3).unwrap();
        assert_eq!(popper.join().unwrap(), (Ok(1), Ok(2)));
        assert!(q.is_accepting());
        q.try_push(4).unwrap();
    });
}

#[test]
fn loom_a_late_rejecting_bit_leaves_no_pusher_asleep() {
    explore(2, || {
        let q = two_of_three();
        let waits = thread::spawn({
            let q = q.clone();
            move || q.listen(Interest::Push, Waker::noop())
        });
        let popper = thread::spawn({
            let q = q.clone();
            move || (q.try_pop(), q.try_pop())
        });
        q.try_push(3).unwrap();
        let listener = waits.join().unwrap();
        assert_eq!(popper.join().unwrap(), (Ok(1), Ok(2)));
        assert!(q.is_accepting() && listener.is_notified());
    });
}
