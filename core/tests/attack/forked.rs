//! Invariant: what a parent holds of an object without a scope keeps nothing from its child, and the other way round.

use crate::children::{GENEROUS, child, ends_well};
use std::time::Duration;
use tidegate::breaker::{State, Window};
use tidegate::queue::{BoundedQueue, QueueConfig};
use tidegate::{BreakerConfig, CircuitBreaker, ManualClock};

#[test]
fn probes_of_a_parent() {
    let clock = ManualClock::new(1_000_000_000);
    let config = BreakerConfig {
        window: Window::Calls(10),
        min_calls: 2,
        cooldown: Duration::from_secs(1),
        probes: 2,
        probe_timeout: Duration::from_secs(3_600),
        ..BreakerConfig::default()
    };
    let breaker = CircuitBreaker::with_clock("it", config, (&clock).into()).expect("a breaker");
    while breaker.state() == State::Closed {
        breaker.enter().expect("closed").failure();
    }
    clock.set(3_000_000_000);
    let held: Vec<_> = (0..2).map(|_| breaker.enter().expect("a probe")).collect();
    assert!(breaker.enter().is_err());
    ends_well(child(|| {
        clock.set(3_100_000_000);
        let own: Vec<_> = (0..2).map_while(|_| breaker.enter().ok()).collect();
        let all = own.len() == 2;
        own.into_iter().for_each(tidegate::breaker::Guard::success);
        if !all || breaker.state() != State::Closed {
            eprintln!("{all} {:?} {:?}", breaker.state(), breaker.stats());
        }
        all && breaker.state() == State::Closed
    }));
    held.into_iter().for_each(tidegate::breaker::Guard::success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_full_queue_with_waiters() {
    let queue = BoundedQueue::new(QueueConfig { high_watermark: 1.0, ..QueueConfig::new(2) }).expect("a queue");
    assert!(queue.try_push(1).is_ok() && queue.try_push(2).is_ok());
    std::thread::scope(|scope| {
        let queue = &queue;
        let waiting: Vec<_> = (3..6).map(|item| scope.spawn(move || queue.push(item, Some(GENEROUS)))).collect();
        std::thread::sleep(Duration::from_millis(10));
        ends_well(child(|| {
            let popped = [queue.pop(Some(GENEROUS / 12)), queue.pop(Some(GENEROUS / 12))];
            let none = queue.pop(Some(Duration::from_millis(1))).is_err();
            let pushed = queue.push(9, Some(GENEROUS / 12)).is_ok() && queue.push(10, Some(GENEROUS / 12)).is_ok();
            popped == [Ok(1), Ok(2)] && none && pushed && queue.drain() == [9, 10]
        }));
        let all: Vec<_> = (0..5).map(|_| queue.pop(Some(GENEROUS)).expect("an item")).collect();
        assert_eq!((all[..2].to_vec(), all.len()), (vec![1, 2], 5));
        waiting.into_iter().for_each(|pusher| assert!(pusher.join().expect("no panic").is_ok()));
    });
}
