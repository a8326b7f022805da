//! The waiting forms of the bounded queue under real threads: nothing lost, nobody left asleep.

mod queue_load;

use queue_load::{EACH, check, configs, queue, run};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use tidegate::QueueConfig;
use tidegate::queue::{Interest, PopError, PushErrorKind};

/// Long enough for the slowest machine; only a failing test waits for it.
const GENEROUS: Option<Duration> = Some(Duration::from_secs(120));

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
