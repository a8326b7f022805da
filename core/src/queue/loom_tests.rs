//! Interleavings of the bounded queue, all of them up to a number of preemptions.
//!
//! The queue needs no SeqCst, so what loom cannot see (it treats SeqCst accesses as AcqRel) is not there.

use super::{
    BoundedQueue, Discipline, DropReason, Interest, OnFull, PopError, PushErrorKind, PushOptions, QueueConfig, Taken,
};
use crate::ManualClock;
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;
use std::task::Waker;
use std::time::Duration;

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

const MS: u64 = 1_000_000;

fn by_rules(config: QueueConfig) -> Arc<BoundedQueue<u32>> {
    Arc::new(BoundedQueue::with_clock(config, ManualClock::new(0).into()).unwrap())
}

/// A queue in overload, at 30 ms: the newest of its items goes first.
fn overloaded_lifo() -> Arc<BoundedQueue<u32>> {
    let q = by_rules(QueueConfig { discipline: Discipline::AdaptiveLifo, high_watermark: 1.0, ..QueueConfig::new(3) });
    for item in [100, 101] {
        q.try_push_at(1, item).unwrap();
    }
    assert_eq!(q.take_at(20 * MS), Ok(Taken::Item(100, 0)));
    assert_eq!(q.take_at(21 * MS), Ok(Taken::Item(101, 0)));
    assert!(q.judge.is_newest_first(0));
    q
}

fn taken(q: &BoundedQueue<u32>, now: u64) -> Option<u32> {
    match q.take_at(now) {
        Ok(Taken::Item(item, _) | Taken::Dropped(item, _)) => Some(item),
        Err(_) => None,
    }
}

/// All that was accepted came out once, in whatever order.
fn all_out(q: &BoundedQueue<u32>, mut out: Vec<u32>, mut accepted: Vec<u32>) {
    out.extend(q.drain());
    out.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(out, accepted);
    let stats = q.stats();
    assert_eq!(stats.pushed, stats.popped + stats.dropped);
}

// Two threads, not three: loom may let two that wait for a turn's end take turns for ever.

#[test]
fn loom_newest_first_with_a_push_and_two_pops() {
    explore(3, || {
        let q = overloaded_lifo();
        q.try_push_at(30 * MS, 1).unwrap();
        let popper = thread::spawn({
            let q = q.clone();
            move || taken(&q, 31 * MS)
        });
        assert_eq!(q.try_push_at(30 * MS, 2), Ok(None));
        let here = taken(&q, 31 * MS);
        let there = popper.join().unwrap();
        assert!(here.is_some() && there.is_some() && here != there);
        all_out(&q, here.into_iter().chain(there).collect(), vec![1, 2]);
    });
}

#[test]
fn loom_lanes_two_pushes_and_a_pop() {
    explore(3, || {
        let q = by_rules(QueueConfig { lanes: 2, high_watermark: 1.0, ..QueueConfig::new(2) });
        let options = |lane| PushOptions { lane, deadline: None };
        let other = thread::spawn({
            let q = q.clone();
            move || (q.try_push_with(1, options(1)).is_ok(), q.try_pop().ok())
        });
        assert!(q.try_push_with(2, options(0)).is_ok());
        let (pushed, popped) = other.join().unwrap();
        assert!(pushed && popped.is_some());
        all_out(&q, popped.into_iter().collect(), vec![1, 2]);
    });
}

#[test]
fn loom_close_against_a_push_and_a_pop_that_drops() {
    for lanes in [1, 2] {
        explore(2, move || {
            let q = by_rules(QueueConfig { lanes, max_age: Some(Duration::from_millis(1)), ..QueueConfig::new(2) });
            q.try_push_at(0, 1).unwrap();
            let pusher = thread::spawn({
                let q = q.clone();
                move || q.try_push_at(5 * MS, 2).is_ok()
            });
            let popper = thread::spawn({
                let q = q.clone();
                move || q.take_at(5 * MS).ok()
            });
            q.close();
            let accepted = if pusher.join().unwrap() { vec![1, 2] } else { vec![1] };
            let out = match popper.join().unwrap() {
                Some(Taken::Dropped(1, DropReason::Age)) => vec![1],
                other => panic!("{other:?}"),
            };
            all_out(&q, out, accepted);
        });
    }
}

#[test]
fn loom_lanes_drop_the_oldest_against_a_pop() {
    explore(2, || {
        let q = by_rules(QueueConfig { lanes: 2, on_full: OnFull::DropOldest, ..QueueConfig::new(1) });
        q.try_push(1).unwrap();
        let pusher = thread::spawn({
            let q = q.clone();
            move || q.try_push(2).unwrap()
        });
        let popped = q.try_pop().ok();
        let dropped = pusher.join().unwrap();
        assert!(q.depth() <= 1);
        all_out(&q, popped.into_iter().chain(dropped).collect(), vec![1, 2]);
    });
}

#[test]
fn loom_a_push_into_a_lane_wakes_a_popper() {
    explore(2, || {
        let q = by_rules(QueueConfig { lanes: 2, ..QueueConfig::new(1) });
        let popper = thread::spawn({
            let q = q.clone();
            move || block_on(q.pop_async())
        });
        q.try_push(1).unwrap();
        assert_eq!(popper.join().unwrap(), Ok(1));
    });
}

#[test]
fn loom_a_drop_makes_room_for_a_pusher() {
    explore(2, || {
        let q = by_rules(QueueConfig { lanes: 2, max_age: Some(Duration::from_millis(1)), ..QueueConfig::new(1) });
        q.try_push_at(0, 1).unwrap();
        let pusher = thread::spawn({
            let q = q.clone();
            move || block_on(q.push_async(2)).unwrap()
        });
        assert_eq!(q.take_at(5 * MS), Ok(Taken::Dropped(1, DropReason::Age)));
        assert_eq!(pusher.join().unwrap(), None);
        assert_eq!(q.depth(), 1);
    });
}
