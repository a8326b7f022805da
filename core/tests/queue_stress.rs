//! The bounded queue under real threads: nothing lost, nothing doubled, order kept, nobody left asleep.
//!
//! Under ThreadSanitizer (nightly features of the stable compiler):
//! `RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" cargo test -p tidegate
//! --target x86_64-unknown-linux-gnu --test queue_stress`

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use tidegate::QueueConfig;
use tidegate::pressure::{BoundedQueue, Interest, OnFull, PopError, PushErrorKind};

/// Each item knows who pushed it, and its number there.
type Item = (usize, usize);

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 2;
const EACH: usize = 4_000;

/// Long enough for the slowest machine; only a failing test waits for it.
const GENEROUS: Option<Duration> = Some(Duration::from_secs(120));

fn queue<T>(config: QueueConfig) -> BoundedQueue<T> {
    BoundedQueue::new(config).unwrap()
}

fn configs() -> [QueueConfig; 4] {
    let full = |capacity| QueueConfig { high_watermark: 1.0, ..QueueConfig::new(capacity) };
    [full(1), full(5), QueueConfig::new(16), QueueConfig { sojourn: true, ..QueueConfig::new(100) }]
}

/// Every item of every producer once; each consumer saw each producer's items in order.
fn check(seen: &[Vec<Item>]) {
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
fn run(push: impl Fn(Item) + Sync, pop: impl Fn() -> Option<Item> + Sync, close: impl Fn() + Sync) -> Vec<Vec<Item>> {
    let left = AtomicUsize::new(PRODUCERS);
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (push, close, left) = (&push, &close, &left);
            scope.spawn(move || {
                (0..EACH).for_each(|number| push((producer, number)));
                if left.fetch_sub(1, SeqCst) == 1 {
                    close();
                }
            });
        }
        let consumers: Vec<_> =
            (0..CONSUMERS).map(|_| scope.spawn(|| std::iter::from_fn(&pop).collect::<Vec<_>>())).collect();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
    })
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
            || loop {
                match q.try_pop() {
                    Ok(item) => return Some(item),
                    Err(PopError::Closed) => return None,
                    Err(PopError::Empty) => thread::yield_now(),
                }
            },
            || q.close(),
        );
        check(&seen);
        let stats = q.stats();
        let all = (PRODUCERS * EACH) as u64;
        assert_eq!((stats.depth, stats.pushed, stats.popped, stats.dropped), (0, all, all, 0));
    }
}

#[test]
fn many_producers_and_consumers_that_wait() {
    for config in configs() {
        let q = queue(config);
        let seen = run(
            |item| assert!(q.push(item, GENEROUS).is_ok(), "left asleep"),
            || match q.pop(GENEROUS) {
                Ok(item) => Some(item),
                Err(error) => {
                    assert_eq!(error, PopError::Closed, "left asleep");
                    None
                }
            },
            || q.close(),
        );
        check(&seen);
        assert_eq!(q.stats().rejected, 0);
    }
}

/// Parks the thread until the future is done; fails if that takes for ever.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(120));
    }
    panic!("woken a million times for nothing");
}

#[test]
fn threads_and_futures_at_once_with_cancellations() {
    let q = queue(QueueConfig::new(4));
    let calls = AtomicUsize::new(0);
    let seen = run(
        |item| {
            let pushed = if item.1 % 2 == 0 { q.push(item, GENEROUS) } else { block_on(q.push_async(item)) };
            assert!(pushed.is_ok());
        },
        || {
            // A future that is polled once and dropped, and one or the other that goes on.
            if calls.fetch_add(1, SeqCst).is_multiple_of(3)
                && let Poll::Ready(done) = pin!(q.pop_async()).poll(&mut Context::from_waker(Waker::noop()))
            {
                return done.ok();
            }
            if calls.load(SeqCst).is_multiple_of(2) { q.pop(GENEROUS).ok() } else { block_on(q.pop_async()).ok() }
        },
        || q.close(),
    );
    check(&seen);
}

#[test]
fn short_deadlines_lose_nothing() {
    let q = queue(QueueConfig { high_watermark: 1.0, ..QueueConfig::new(2) });
    let seen = run(
        |item| while q.push(item, Some(Duration::from_micros(20))).is_err() {},
        || loop {
            match q.pop(Some(Duration::from_micros(20))) {
                Ok(item) => return Some(item),
                Err(PopError::Closed) => return None,
                Err(PopError::Empty) => {}
            }
        },
        || q.close(),
    );
    check(&seen);
}

#[test]
fn drop_oldest_loses_nothing_but_what_it_hands_back() {
    for capacity in [1, 2, 7] {
        let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..QueueConfig::new(capacity) });
        let dropped = std::sync::Mutex::new(Vec::new());
        let mut seen = run(
            |item| {
                let oldest = q.try_push(item).expect("not closed");
                assert!(q.depth() <= capacity);
                dropped.lock().unwrap().extend(oldest);
            },
            || q.pop(GENEROUS).ok(),
            || q.close(),
        );
        let mut dropped = dropped.into_inner().unwrap();
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
fn a_close_wakes_everybody_however_it_falls() {
    for round in 0..200 {
        let (full, empty) = (queue(QueueConfig::new(1)), queue::<()>(QueueConfig::new(1)));
        full.try_push(()).unwrap();
        thread::scope(|scope| {
            let pusher = scope.spawn(|| full.push((), GENEROUS).unwrap_err().kind);
            let popper = scope.spawn(|| empty.pop(GENEROUS).unwrap_err());
            (0..round).for_each(|_| std::hint::spin_loop());
            full.close();
            empty.close();
            assert_eq!((pusher.join().unwrap(), popper.join().unwrap()), (PushErrorKind::Closed, PopError::Closed));
        });
    }
}

#[test]
fn listeners_come_and_go_without_losing_a_wake_up() {
    let q = queue(QueueConfig::new(8));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for interest in [Interest::Push, Interest::Pop] {
            let (q, over) = (&q, &over);
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    drop(q.listen(interest, Waker::noop()));
                }
            });
        }
        let popper = scope.spawn(|| (0..EACH).all(|n| q.pop(GENEROUS) == Ok(n)));
        let pushed = (0..EACH).all(|n| q.push(n, GENEROUS).is_ok());
        let popped = popper.join();
        over.store(true, SeqCst);
        assert!(pushed && popped.unwrap());
    });
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
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        made.fetch_add(1, SeqCst);
                        drop(q.try_push(Counted(&dropped)));
                    }
                });
            }
            scope.spawn(|| (0..EACH).for_each(|_| drop(q.try_pop())));
        });
        drop(q);
        assert_eq!(made.load(SeqCst), dropped.load(SeqCst));
    }
}
