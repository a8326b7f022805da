//! The bounded queue under real threads: nothing lost, nothing doubled, order kept.
//!
//! Only the paths without a lock, so that ThreadSanitizer can judge them: it does not see into the precompiled `std`,
//! whose contended `Mutex` the waiting forms use (`queue_waiting.rs`). Threads are joined by name for the same reason.

mod queue_load;

use queue_load::{EACH, Item, PRODUCERS, check, configs, queue, run};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use tidegate::QueueConfig;
use tidegate::queue::{BoundedQueue, OnFull, PopError, PushErrorKind};

/// The next item, `None` once closed and empty.
fn pop(q: &BoundedQueue<Item>) -> Option<Item> {
    loop {
        match q.try_pop() {
            Ok(item) => return Some(item),
            Err(PopError::Closed) => return None,
            Err(PopError::Empty) => thread::yield_now(),
        }
    }
}

#[test]
fn many_producers_and_consumers_that_try() {
    for config in configs() {
        let high = config.capacity;
        let q = queue(config);
        let seen = run(
            |item| {
                while let Err(error) = q.try_push(item) {
                    assert_eq!(error.kind, PushErrorKind::Full);
                    thread::yield_now();
                }
                assert!(q.depth() <= high);
            },
            || pop(&q),
            || q.close(),
        );
        check(&seen);
        let stats = q.stats();
        let all = (PRODUCERS * EACH) as u64;
        assert_eq!((stats.depth, stats.pushed, stats.popped, stats.dropped), (0, all, all, 0));
    }
}

#[test]
fn drop_oldest_loses_nothing_but_what_it_hands_back() {
    for capacity in [1, 2, 7] {
        let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..QueueConfig::new(capacity) });
        let dropped = queue(QueueConfig { high_watermark: 1.0, ..QueueConfig::new(PRODUCERS * EACH) });
        let mut seen = run(
            |item| {
                let oldest = q.try_push(item).expect("not closed");
                assert!(q.depth() <= capacity);
                if let Some(oldest) = oldest {
                    dropped.try_push(oldest).unwrap();
                }
            },
            || pop(&q),
            || q.close(),
        );
        let mut dropped = dropped.drain();
        assert_eq!(q.stats().dropped, dropped.len() as u64);
        assert_eq!(q.stats().popped, (PRODUCERS * EACH - dropped.len()) as u64);
        // They were noted in whatever order the pushers came back.
        dropped.sort_unstable();
        seen.push(dropped);
        check(&seen);
    }
}

#[test]
fn a_push_that_races_a_close_is_refused_or_drained() {
    for round in 0..2_000 {
        let on_full = if round % 2 == 0 { OnFull::Reject } else { OnFull::DropOldest };
        let q = queue(QueueConfig { on_full, ..QueueConfig::new(64) });
        let (accepted, drained) = thread::scope(|scope| {
            let pushers = [0, 1].map(|pusher| {
                let q = &q;
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for number in 0.. {
                        match q.try_push((pusher, number)) {
                            Ok(oldest) => {
                                kept.push((pusher, number));
                                kept.extend(oldest.map(|(p, n)| (p + 2, n)));
                            }
                            Err(error) if error.kind == PushErrorKind::Closed => return kept,
                            Err(_) => thread::yield_now(),
                        }
                    }
                    unreachable!()
                })
            });
            let popper = scope.spawn(|| std::iter::from_fn(|| q.try_pop().ok()).take(round % 50).collect::<Vec<_>>());
            (0..round % 97).for_each(|_| std::hint::spin_loop());
            let mut drained = q.drain();
            assert_eq!(q.try_pop(), Err(PopError::Closed), "landed after the drain");
            drained.extend(popper.join().unwrap());
            (pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()).collect::<Vec<_>>(), drained)
        });
        // Marked with 2: handed back by drop-oldest.
        let mut out = drained;
        out.extend(accepted.iter().filter(|(p, _)| *p >= 2).map(|(p, n)| (p - 2, *n)));
        let mut accepted: Vec<_> = accepted.into_iter().filter(|(p, _)| *p < 2).collect();
        accepted.sort_unstable();
        out.sort_unstable();
        assert_eq!(out, accepted, "round {round}");
        assert_eq!(q.depth(), 0);
    }
}

#[test]
fn every_item_is_dropped_once() {
    struct Counted<'a>(&'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (made, dropped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for on_full in [OnFull::Reject, OnFull::DropOldest] {
        let q = queue(QueueConfig { on_full, ..QueueConfig::new(6) });
        thread::scope(|scope| {
            let push = || {
                for _ in 0..EACH {
                    made.fetch_add(1, SeqCst);
                    drop(q.try_push(Counted(&dropped)));
                }
            };
            let pushers = [scope.spawn(push), scope.spawn(push)];
            (0..EACH).for_each(|_| drop(q.try_pop()));
            pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        });
        drop(q);
        assert_eq!(made.load(SeqCst), dropped.load(SeqCst));
    }
}
