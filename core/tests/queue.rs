//! What the bounded queue promises, rule by rule.

mod counting_waker;

use counting_waker::CountingWaker;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use tidegate::queue::{BoundedQueue, Interest, Listener, OnFull, PopError, PushError, PushErrorKind, QueueConfig};
use tidegate::{ConfigErrorKind, ManualClock};

/// Long enough for the slowest machine; only a failing test waits for it.
const GENEROUS: Option<Duration> = Some(Duration::from_secs(60));

fn plain(capacity: usize) -> QueueConfig {
    QueueConfig { high_watermark: 1.0, ..QueueConfig::new(capacity) }
}

fn queue<T>(config: QueueConfig) -> BoundedQueue<T> {
    BoundedQueue::with_clock(config, ManualClock::new(0).into()).unwrap()
}

fn refused<T>(result: Result<Option<T>, PushError<T>>) -> (PushErrorKind, T) {
    let error = result.err().expect("should have been refused");
    (error.kind, error.item)
}

#[test]
fn first_in_first_out_up_to_the_capacity() {
    for capacity in [1, 2, 3, 4, 7, 8, 1000] {
        let q = queue(plain(capacity));
        for lap in 0..3 {
            for n in 0..capacity {
                assert!(q.is_accepting());
                assert_eq!(q.try_push(lap * capacity + n), Ok(None));
            }
            assert!(!q.is_accepting());
            assert_eq!(q.depth(), capacity);
            assert_eq!(refused(q.try_push(7)), (PushErrorKind::Full, 7));
            for n in 0..capacity {
                assert_eq!(q.try_pop(), Ok(lap * capacity + n));
            }
            assert_eq!(q.try_pop(), Err(PopError::Empty));
        }
    }
}

#[test]
fn shuts_at_the_high_mark_and_opens_below_the_low_one() {
    let q = queue(QueueConfig::new(1000));
    for n in 0..800 {
        assert!(q.is_accepting(), "at {n}");
        q.try_push(n).unwrap();
    }
    assert!(!q.is_accepting());
    assert_eq!(refused(q.try_push(0)).0, PushErrorKind::Full);
    for n in 0..300 {
        assert_eq!(q.try_pop(), Ok(n));
        assert!(!q.is_accepting(), "at depth {}", q.depth());
        assert_eq!(refused(q.try_push(0)).0, PushErrorKind::Full);
    }
    assert_eq!(q.depth(), 500);
    q.try_pop().unwrap();
    assert!(q.is_accepting());
    q.try_push(0).unwrap();
    assert_eq!(q.depth(), 500);
    assert!(q.is_accepting(), "it was open already, so 500 is no mark");
}

#[test]
fn marks_of_small_queues() {
    // capacity, high, low: the depth at which it shuts, the depth below which it opens
    for (capacity, high, low, shuts, opens) in [
        (1, 0.8, 0.5, 1, 1),
        (2, 0.8, 0.5, 2, 1),
        (3, 0.8, 0.5, 3, 2),
        (10, 0.8, 0.5, 8, 5),
        (10, 0.3, 0.0, 3, 1),
        (5, 0.01, 0.0, 1, 1),
    ] {
        let q = queue(QueueConfig { high_watermark: high, low_watermark: low, ..QueueConfig::new(capacity) });
        (0..shuts).for_each(|n| assert!(q.try_push(n).is_ok(), "{capacity} {n}"));
        assert!(!q.is_accepting());
        while q.depth() > opens {
            q.try_pop().unwrap();
            assert!(!q.is_accepting(), "{capacity} at {}", q.depth());
        }
        q.try_pop().unwrap();
        assert!(q.is_accepting(), "{capacity} at {}", q.depth());
    }
}

#[test]
fn drop_oldest_hands_back_the_oldest() {
    let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..plain(3) });
    (0..3).for_each(|n| assert_eq!(q.try_push(n), Ok(None)));
    for n in 3..20 {
        assert_eq!(q.try_push(n), Ok(Some(n - 3)));
        assert_eq!(q.depth(), 3);
    }
    let stats = q.stats();
    assert_eq!((stats.pushed, stats.popped, stats.dropped, stats.rejected), (20, 0, 17, 0));
    assert_eq!(q.drain(), [17, 18, 19]);
    assert_eq!(refused(q.try_push(9)), (PushErrorKind::Closed, 9));
}

#[test]
fn drop_oldest_marks_only_steer_is_accepting() {
    let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..QueueConfig::new(10) });
    for n in 0..12 {
        assert_eq!(q.is_accepting(), n < 8, "at {n}");
        assert!(q.try_push(n).is_ok());
    }
    while q.depth() > 5 {
        q.try_pop().unwrap();
        assert!(!q.is_accepting());
    }
    q.try_pop().unwrap();
    assert!(q.is_accepting());
}

#[test]
fn drop_oldest_of_one() {
    let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..QueueConfig::new(1) });
    assert_eq!(q.try_push(1), Ok(None));
    assert_eq!(q.try_push(2), Ok(Some(1)));
    assert_eq!(q.try_pop(), Ok(2));
    assert_eq!(q.try_pop(), Err(PopError::Empty));
}

#[test]
fn close_refuses_pushes_and_lets_pops_finish() {
    let q = queue(plain(4));
    q.try_push(1).unwrap();
    q.try_push(2).unwrap();
    assert!(!q.is_closed());
    q.close();
    q.close();
    assert!(q.is_closed() && !q.is_accepting());
    assert_eq!(refused(q.try_push(3)), (PushErrorKind::Closed, 3));
    assert_eq!(refused(q.push(3, None)), (PushErrorKind::Closed, 3));
    assert_eq!(q.try_pop(), Ok(1));
    assert_eq!(q.pop(None), Ok(2));
    assert_eq!(q.try_pop(), Err(PopError::Closed));
    assert_eq!(q.pop(None), Err(PopError::Closed));
}

#[test]
fn a_full_queue_that_is_closed_says_closed() {
    for config in [plain(1), QueueConfig::new(1)] {
        let q = queue(config);
        q.try_push(1).unwrap();
        q.close();
        assert_eq!(refused(q.try_push(2)).0, PushErrorKind::Closed);
    }
}

#[test]
fn drain_closes_and_gives_everything_in_order() {
    let q = queue(plain(10));
    (0..7).for_each(|n| assert!(q.try_push(n).is_ok()));
    q.try_pop().unwrap();
    assert_eq!(q.drain(), [1, 2, 3, 4, 5, 6]);
    assert!(q.is_closed());
    assert!(q.drain().is_empty());
    assert_eq!(q.try_pop(), Err(PopError::Closed));
    assert_eq!(q.stats().popped, 7);
}

#[test]
fn sojourn_is_the_time_between_push_and_pop() {
    let clock = ManualClock::new(1_000);
    let q = BoundedQueue::with_clock(QueueConfig { sojourn: true, ..plain(4) }, clock.clone().into()).unwrap();
    q.try_push('a').unwrap();
    clock.advance(Duration::from_nanos(250));
    q.push('b', None).unwrap();
    clock.advance(Duration::from_nanos(50));
    assert_eq!(q.try_pop_timed(), Ok(('a', 300)));
    assert_eq!(q.try_pop_timed(), Ok(('b', 50)));
    q.try_push_at(5_000, 'c').unwrap();
    assert_eq!(q.try_pop_timed_at(4_000), Ok(('c', 0)), "a clock that steps back gives 0");
    q.try_push_at(5_000, 'd').unwrap();
    assert_eq!(q.try_pop_timed_at(5_007), Ok(('d', 7)));

    let off = queue(plain(4));
    off.try_push_at(1, 'e').unwrap();
    assert_eq!(off.try_pop_timed_at(9), Ok(('e', 0)));
}

#[test]
fn stats_count_every_way_in_and_out() {
    let q = queue(plain(2));
    q.try_push(1).unwrap();
    q.push(2, None).unwrap();
    q.try_push(3).unwrap_err();
    q.push(3, Some(Duration::ZERO)).unwrap_err();
    q.push(3, Some(Duration::from_millis(1))).unwrap_err();
    q.try_pop().unwrap();
    q.close();
    q.try_push(4).unwrap_err();
    let stats = q.stats();
    assert_eq!((stats.depth, stats.accepting), (1, false));
    assert_eq!((stats.pushed, stats.popped, stats.rejected, stats.dropped), (2, 1, 4, 0));
}

#[test]
fn waiting_forms_give_up_at_the_deadline() {
    let q = queue(plain(1));
    assert_eq!(q.pop(Some(Duration::ZERO)), Err(PopError::Empty));
    assert_eq!(q.pop(Some(Duration::from_millis(2))), Err(PopError::Empty));
    q.try_push(1).unwrap();
    assert_eq!(refused(q.push(2, Some(Duration::from_millis(2)))), (PushErrorKind::Full, 2));
    assert_eq!(q.pop(Some(Duration::MAX)), Ok(1), "a deadline beyond the end of time is none");
}

#[test]
fn a_blocked_pop_gets_what_is_pushed() {
    let q = queue(plain(4));
    thread::scope(|scope| {
        let popper = scope.spawn(|| q.pop(GENEROUS));
        q.try_push(5).unwrap();
        assert_eq!(popper.join().unwrap(), Ok(5));
    });
}

#[test]
fn a_blocked_push_goes_on_below_the_low_mark() {
    let q = queue(QueueConfig::new(10));
    (0..8).for_each(|n| assert!(q.try_push(n).is_ok()));
    thread::scope(|scope| {
        let pusher = scope.spawn(|| q.push(8, GENEROUS));
        (0..3).for_each(|n| assert_eq!(q.try_pop(), Ok(n)));
        assert!(!pusher.is_finished());
        assert_eq!(q.try_pop(), Ok(3));
        assert_eq!(pusher.join().unwrap(), Ok(None));
    });
    assert_eq!(q.drain(), [4, 5, 6, 7, 8]);
}

#[test]
fn close_wakes_all_who_wait() {
    let (full, empty) = (queue(plain(1)), queue::<u8>(plain(1)));
    full.try_push(0).unwrap();
    thread::scope(|scope| {
        let pushers: Vec<_> = (1..4)
            .map(|n| {
                scope.spawn({
                    let full = &full;
                    move || full.push(n, None)
                })
            })
            .collect();
        let poppers: Vec<_> = (0..3).map(|_| scope.spawn(|| empty.pop(None))).collect();
        full.close();
        empty.close();
        pushers.into_iter().for_each(|p| assert_eq!(refused(p.join().unwrap()).0, PushErrorKind::Closed));
        poppers.into_iter().for_each(|p| assert_eq!(p.join().unwrap(), Err(PopError::Closed)));
    });
}

#[test]
fn a_listener_is_woken_once_and_at_once_if_there_is_nothing_to_wait_for() {
    let q = queue(plain(1));
    let (bell, waker) = CountingWaker::new();
    let listener = q.listen(Interest::Push, &waker);
    assert!(listener.is_notified());
    assert_eq!(bell.rung(), 1);
    drop(listener);

    let listener = q.listen(Interest::Pop, &waker);
    assert!(!listener.is_notified());
    q.try_push(1).unwrap();
    assert!(listener.is_notified());
    q.try_pop().unwrap();
    q.try_push(2).unwrap();
    assert_eq!(bell.rung(), 2);
    drop(listener);

    let listener = q.listen(Interest::Push, &waker);
    assert!(!listener.is_notified());
    q.close();
    assert!(listener.is_notified());
    assert_eq!(bell.rung(), 3);
}

#[test]
fn drop_oldest_never_waits_to_push() {
    let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..plain(1) });
    assert_eq!(q.push(1, None), Ok(None));
    assert_eq!(q.push(2, None), Ok(Some(1)));
    assert!(q.listen(Interest::Push, Waker::noop()).is_notified());
}

#[test]
fn a_notified_listener_that_goes_passes_the_wake_up_on() {
    let q = queue(plain(4));
    let bells: Vec<_> = (0..3).map(|_| CountingWaker::new()).collect();
    let rung = || bells.iter().map(|(bell, _)| bell.rung()).collect::<Vec<_>>();
    let mut listeners: Vec<_> = bells.iter().map(|(_, waker)| Some(q.listen(Interest::Pop, waker))).collect();
    q.try_push(1).unwrap();
    assert_eq!(rung(), [1, 0, 0], "the longest waiting");
    listeners[0] = None;
    assert_eq!(rung(), [1, 1, 0], "the item is still there");
    q.try_pop().unwrap();
    listeners[1] = None;
    assert_eq!(rung(), [1, 1, 0], "nothing left to pass on");
    q.try_push(2).unwrap();
    assert_eq!(rung(), [1, 1, 1]);
}

#[test]
fn a_listener_that_goes_before_its_turn_takes_its_place_with_it() {
    let q = queue(plain(1));
    q.try_push(1).unwrap();
    let (first, second) = (CountingWaker::new(), CountingWaker::new());
    let early = q.listen(Interest::Push, &first.1);
    let late = q.listen(Interest::Push, &second.1);
    drop(early);
    q.try_pop().unwrap();
    assert!(late.is_notified());
    assert_eq!((first.0.rung(), second.0.rung()), (0, 1));
}

#[test]
fn opening_wakes_as_many_as_there_is_room_for() {
    let q = queue(QueueConfig::new(10));
    (0..8).for_each(|n| assert!(q.try_push(n).is_ok()));
    let (bell, waker) = CountingWaker::new();
    let listeners: Vec<Listener> = (0..6).map(|_| q.listen(Interest::Push, &waker)).collect();
    for depth in (5..8).rev() {
        q.try_pop().unwrap();
        assert_eq!((q.depth(), bell.rung()), (depth, 0));
    }
    q.try_pop().unwrap();
    assert_eq!(bell.rung(), 4, "from depth 4 to the high mark");
    q.try_pop().unwrap();
    assert_eq!(bell.rung(), 5);
    assert_eq!(listeners.iter().filter(|listener| listener.is_notified()).count(), 5);
}

#[test]
fn a_listener_may_outlive_its_queue() {
    let q = queue::<u8>(plain(1));
    let listener = q.listen(Interest::Pop, Waker::noop());
    drop(q);
    assert!(!listener.is_notified());
}

#[test]
fn futures_wait_and_finish() {
    let q = queue(plain(1));
    let (bell, waker) = CountingWaker::new();
    let mut context = Context::from_waker(&waker);
    let mut pop = pin!(q.pop_async());
    assert_eq!(pop.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(pop.as_mut().poll(&mut context), Poll::Pending);
    q.try_push(1).unwrap();
    assert_eq!(bell.rung(), 1);
    {
        let mut push = pin!(q.push_async(2));
        assert_eq!(push.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(pop.as_mut().poll(&mut context), Poll::Ready(Ok(1)));
        assert_eq!(bell.rung(), 2);
        assert_eq!(push.as_mut().poll(&mut context), Poll::Ready(Ok(None)));
    }
    assert_eq!(q.stats().rejected, 0);
    assert_eq!(q.drain(), [2]);
}

#[test]
fn a_future_wakes_the_waker_of_its_last_poll() {
    let q = queue::<u8>(plain(1));
    let (first, second) = (CountingWaker::new(), CountingWaker::new());
    let mut pop = pin!(q.pop_async());
    assert!(pop.as_mut().poll(&mut Context::from_waker(&first.1)).is_pending());
    assert!(pop.as_mut().poll(&mut Context::from_waker(&second.1)).is_pending());
    q.try_push(1).unwrap();
    assert_eq!((first.0.rung(), second.0.rung()), (0, 1));
}

#[test]
fn a_cancelled_future_loses_neither_items_nor_wake_ups() {
    let q = queue(plain(1));
    let item = Arc::new(());
    q.try_push(item.clone()).unwrap();
    let (bell, waker) = CountingWaker::new();
    {
        let mut push = pin!(q.push_async(item.clone()));
        assert!(push.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(Arc::strong_count(&item), 3);
    }
    assert_eq!(Arc::strong_count(&item), 2, "not accepted, so dropped with the future");
    q.try_pop().unwrap();

    let mut second = pin!(q.pop_async());
    {
        let mut first = pin!(q.pop_async());
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        q.try_push(item.clone()).unwrap();
        assert_eq!(bell.rung(), 0);
    }
    assert_eq!(bell.rung(), 1, "the cancelled pop had been woken");
    assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
}

/// Counts its drops, and panics in the one it is told to.
struct Dropping<'a>(&'a AtomicUsize, bool);

impl Drop for Dropping<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        assert!(!self.1, "told to");
    }
}

#[test]
fn the_queue_drops_what_it_holds_each_once() {
    let drops = AtomicUsize::new(0);
    let q = queue(QueueConfig { on_full: OnFull::DropOldest, ..plain(5) });
    for _ in 0..9 {
        let _ = q.try_push(Dropping(&drops, false));
    }
    assert_eq!(drops.load(SeqCst), 4);
    drop(q.try_pop());
    assert_eq!(drops.load(SeqCst), 5);
    drop(q);
    assert_eq!(drops.load(SeqCst), 9);
}

#[test]
fn a_panic_in_an_items_drop_leaves_the_rest_dropped() {
    let drops = AtomicUsize::new(0);
    let q = queue(plain(5));
    for n in 0..5 {
        assert!(q.try_push(Dropping(&drops, n == 1)).is_ok());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(q))).is_err());
    assert_eq!(drops.load(SeqCst), 5);
}

#[test]
fn items_without_size_work() {
    let q = queue(plain(3));
    (0..3).for_each(|_| assert!(q.try_push(()).is_ok()));
    assert_eq!(q.drain().len(), 3);
}

#[test]
fn bad_settings_are_named_and_mended() {
    let d = QueueConfig::new(10);
    let cases = [
        (QueueConfig::new(0), "capacity", "0 is not within 1 to 16777216"),
        (QueueConfig::new((1 << 24) + 1), "capacity", "16777217 is not within 1 to 16777216"),
        (QueueConfig { high_watermark: f64::NAN, ..d.clone() }, "high_watermark", "NaN is not above 0 and up to 1"),
        (QueueConfig { low_watermark: f64::NAN, ..d.clone() }, "low_watermark", "NaN is not within 0 to 1"),
        (QueueConfig { high_watermark: 1.1, ..d.clone() }, "high_watermark", "1.1 is not"),
        (QueueConfig { high_watermark: f64::INFINITY, ..d.clone() }, "high_watermark", "inf is not"),
        (QueueConfig { high_watermark: 0.0, ..d.clone() }, "high_watermark", "0 is not"),
        (QueueConfig { high_watermark: -0.5, ..d.clone() }, "high_watermark", "-0.5 is not"),
        (QueueConfig { low_watermark: -0.1, ..d.clone() }, "low_watermark", "-0.1 is not"),
        (QueueConfig { low_watermark: 1.0, ..d.clone() }, "low_watermark", "1 is not below 0.8, high_watermark"),
        (QueueConfig { low_watermark: 0.8, ..d.clone() }, "low_watermark", "0.8 is not below 0.8, high_watermark"),
        (QueueConfig { low_watermark: 0.9, ..d }, "low_watermark", "0.9 is not below 0.8, high_watermark"),
    ];
    for (config, field, says) in cases {
        let error = BoundedQueue::<u8>::new(config.clone()).expect_err("should be refused");
        assert_eq!(error.field(), field, "{config:?}");
        assert!(error.message().starts_with(says), "{config:?}: {error}");
        let conflict = says.contains("not below");
        assert_eq!(error.kind(), if conflict { ConfigErrorKind::Conflict } else { ConfigErrorKind::OutOfRange });
    }
    assert!(BoundedQueue::<u8>::new(QueueConfig::new(1 << 16)).is_ok());
    assert!(BoundedQueue::<u8>::new(QueueConfig { low_watermark: 0.0, ..QueueConfig::new(1) }).is_ok());
}

#[test]
fn errors_and_queues_print() {
    let q = queue(plain(1));
    q.try_push(Waker::noop().clone()).unwrap();
    let error = q.try_push(Waker::noop().clone()).unwrap_err();
    assert_eq!(error.to_string(), "the queue is full");
    assert_eq!(format!("{error:?}"), "PushError { kind: Full, .. }");
    assert!(format!("{q:?}").contains("capacity: 1"));
    assert_eq!(PopError::Closed.to_string(), "the queue is closed and empty");
}
