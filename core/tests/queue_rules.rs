//! Lanes, deadlines, ages and disciplines of the bounded queue, rule by rule; what becomes of dropped items.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tidegate::queue::{
    BoundedQueue, Discipline, DropReason, Interest, OnFull, PopError, PushErrorKind, PushOptions, QueueConfig, Taken,
};
use tidegate::{Clock, ManualClock};

const MS: u64 = 1_000_000;

fn plain(capacity: usize) -> QueueConfig {
    QueueConfig { high_watermark: 1.0, ..QueueConfig::new(capacity) }
}

type Dropped = Arc<Mutex<Vec<(u32, DropReason)>>>;

/// A queue, its clock, and what it dropped.
fn queue(config: QueueConfig) -> (BoundedQueue<u32>, ManualClock, Dropped) {
    let (clock, dropped) = (ManualClock::new(1_000 * MS), Dropped::default());
    let told = dropped.clone();
    let q = BoundedQueue::with_clock(config, Clock::from(&clock)).unwrap();
    (q.on_drop(move |item, reason| told.lock().unwrap().push((item, reason))), clock, dropped)
}

fn aged(config: QueueConfig) -> QueueConfig {
    QueueConfig { max_age: Some(Duration::from_millis(10)), ..config }
}

#[test]
fn what_is_dropped_goes_to_its_owner_with_the_reason() {
    for lanes in [1, 2] {
        let (q, clock, dropped) = queue(aged(QueueConfig { lanes, on_full: OnFull::DropOldest, ..plain(3) }));
        for item in 1..5 {
            assert_eq!(q.try_push(item), Ok(None), "with somebody to tell nothing comes back");
        }
        q.try_pop().unwrap();
        let deadline = Some(Duration::from_millis(1));
        q.try_push_with(5, PushOptions { deadline, ..PushOptions::default() }).unwrap();
        clock.advance(Duration::from_millis(5));
        q.try_push(6).unwrap();
        clock.advance(Duration::from_millis(6));
        assert_eq!(q.try_pop(), Ok(6));
        q.try_push(7).unwrap();
        assert_eq!(q.discard(), 1);
        assert_eq!(q.try_pop(), Err(PopError::Closed));
        use DropReason::{Age, Closed, Deadline, Oldest};
        let expected = [(1, Oldest), (3, Oldest), (4, Age), (5, Deadline), (7, Closed)];
        assert_eq!(*dropped.lock().unwrap(), expected, "{lanes} lanes");
        let stats = q.stats();
        assert_eq!((stats.pushed, stats.popped, stats.dropped, stats.depth), (7, 2, 5, 0));
        assert_eq!(stats.dropped_by, [2, 1, 0, 1, 1]);
    }
}

#[test]
fn without_an_owner_items_are_dropped_as_values_are() {
    let clock = ManualClock::new(0);
    let q = BoundedQueue::with_clock(aged(plain(4)), Clock::from(&clock)).unwrap();
    let item = Arc::new(());
    q.try_push(item.clone()).unwrap();
    clock.advance(Duration::from_millis(11));
    assert_eq!(q.try_pop(), Err(PopError::Empty));
    assert_eq!(Arc::strong_count(&item), 1);
}

/// What is called may panic, push, pop and close: it is called when all is in order, and no item is on its way out.
#[test]
fn an_owner_that_panics_loses_nothing_else() {
    for lanes in [1, 2] {
        let clock = ManualClock::new(0);
        let q = BoundedQueue::with_clock(aged(QueueConfig { lanes, ..plain(4) }), Clock::from(&clock)).unwrap();
        let q = q.on_drop(|item, _| assert!(item != 1, "no room in the log"));
        (0..3).for_each(|item| assert!(q.try_push(item).is_ok()));
        clock.advance(Duration::from_millis(11));
        q.try_push(3).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| q.try_pop())).is_err());
        assert_eq!(q.try_pop(), Ok(3));
        let stats = q.stats();
        assert_eq!((stats.pushed, stats.popped, stats.dropped), (4, 1, 3));
    }
}

#[test]
fn an_owner_may_use_the_queue() {
    for lanes in [1, 2] {
        let clock = ManualClock::new(0);
        let slot: Arc<Mutex<Option<Arc<BoundedQueue<u32>>>>> = Arc::default();
        let own = slot.clone();
        let q = BoundedQueue::with_clock(aged(QueueConfig { lanes, ..plain(4) }), Clock::from(&clock)).unwrap();
        let q = Arc::new(q.on_drop(move |item, _| {
            let q = own.lock().unwrap().clone().expect("set before the first drop");
            q.try_push(item + 10).unwrap();
        }));
        *slot.lock().unwrap() = Some(q.clone());
        (0..2).for_each(|item| assert!(q.try_push(item).is_ok()));
        clock.advance(Duration::from_millis(11));
        assert_eq!([q.try_pop(), q.try_pop()], [Ok(10), Ok(11)]);
        *slot.lock().unwrap() = None;
    }
}

#[test]
fn a_lane_that_is_not_there_is_an_error() {
    for lanes in [1, 3] {
        let (q, ..) = queue(QueueConfig { lanes, ..plain(4) });
        let refused = q.try_push_with(1, PushOptions { lane: lanes, deadline: None }).unwrap_err();
        assert_eq!((refused.item, refused.kind), (1, PushErrorKind::NoLane));
        let refused = q.push_with(1, PushOptions { lane: 8, deadline: None }, None).unwrap_err();
        assert_eq!(refused.kind, PushErrorKind::NoLane, "it does not wait for one");
        assert_eq!(q.depth(), 0);
    }
}

/// A queue that is full of items past their age: a pop drops them, finds none, and lets in who waits for room.
#[test]
fn drops_let_waiting_pushers_in() {
    for lanes in [1, 2] {
        let (q, clock, dropped) = queue(aged(QueueConfig { lanes, ..plain(2) }));
        (0..2).for_each(|item| assert!(q.try_push(item).is_ok()));
        clock.advance(Duration::from_millis(11));
        thread::scope(|scope| {
            let pusher = scope.spawn(|| q.push(9, Some(Duration::from_secs(60))).is_ok());
            assert_eq!(q.pop(Some(Duration::from_secs(60))), Ok(9));
            assert!(pusher.join().unwrap());
        });
        assert_eq!(dropped.lock().unwrap().len(), 2);
    }
}

#[test]
fn a_wait_for_an_item_goes_on_after_a_drop() {
    let (q, clock, dropped) = queue(aged(plain(4)));
    q.try_push(1).unwrap();
    clock.advance(Duration::from_millis(11));
    assert_eq!(q.pop(Some(Duration::from_millis(1))), Err(PopError::Empty));
    assert_eq!(*dropped.lock().unwrap(), [(1, DropReason::Age)]);
    assert_eq!(q.take_within(Some(Duration::ZERO)), Err(PopError::Empty));
}

/// What a load shedder reads.
#[test]
fn fill_and_the_least_delay_of_an_interval() {
    for (discipline, lanes) in [(Discipline::Codel, 1), (Discipline::Codel, 2), (Discipline::AdaptiveLifo, 1)] {
        let (q, clock, _) = queue(QueueConfig { discipline, lanes, ..plain(10) });
        assert_eq!((q.fill(), q.least_delay(), q.is_overloaded()), (0.0, None, false));
        (0..4).for_each(|item| assert!(q.try_push(item).is_ok()));
        assert_eq!(q.fill(), 0.4);
        clock.advance(Duration::from_millis(7));
        (0..2).for_each(|_| assert!(q.try_pop().is_ok()));
        assert_eq!((q.least_delay(), q.is_overloaded()), (Some(Duration::from_millis(7)), true));
        (0..2).for_each(|_| assert!(q.try_pop().is_ok()));
        assert_eq!((q.least_delay(), q.is_overloaded()), (Some(Duration::ZERO), false), "nobody waits");
    }
    let (q, ..) = queue(plain(4));
    q.try_push(1).unwrap();
    q.try_pop().unwrap();
    assert_eq!((q.stats().least_delay, q.stats().overloaded), (None, false));
}

#[test]
fn items_left_in_a_queue_are_dropped_with_it() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let configs =
        [QueueConfig { lanes: 3, ..plain(5) }, QueueConfig { discipline: Discipline::AdaptiveLifo, ..plain(5) }];
    for config in configs {
        let q = BoundedQueue::new(config).unwrap();
        (0..4).for_each(|_| assert!(q.try_push(Counted(count.clone())).is_ok()));
        drop(q.try_pop());
    }
    assert_eq!(count.load(SeqCst), 8);
}

#[test]
fn a_listener_of_lanes_is_told() {
    let (q, ..) = queue(QueueConfig { lanes: 2, ..plain(1) });
    let listener = q.listen(Interest::Pop, std::task::Waker::noop());
    assert!(!listener.is_notified());
    q.try_push_with(1, PushOptions { lane: 1, deadline: None }).unwrap();
    assert!(listener.is_notified());
    assert_eq!(q.take(), Ok(Taken::Item(1, 0)));
}
