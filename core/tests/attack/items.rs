//! Invariant: of a queue that is closed and drained amid pushes, pops and waits given up, every item that was accepted
//! comes out once, whoever waited is woken, and nothing is accepted after the drain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;
use tidegate::queue::{BoundedQueue, Interest, OnFull, QueueConfig};

#[test]
fn items_of_a_queue_that_is_drained_amid_waits() {
    for round in 0..150 {
        let capacity = [1, 2, 3, 8][round % 4];
        let on_full = if round % 3 == 0 { OnFull::DropOldest } else { OnFull::Reject };
        let queue = BoundedQueue::new(QueueConfig { on_full, high_watermark: 1.0, ..QueueConfig::new(capacity) });
        let queue = queue.expect("a queue");
        let (accepted, sum, out, sum_out) = Default::default();
        let [accepted, sum, out, sum_out]: [&AtomicU64; 4] = [&accepted, &sum, &out, &sum_out];
        let took = |item: u64| {
            out.fetch_add(1, Ordering::Relaxed);
            sum_out.fetch_add(item, Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            for thread in 0..2_u64 {
                let (queue, took) = (&queue, &took);
                scope.spawn(move || {
                    for number in 0.. {
                        let item = number * 2 + thread;
                        let wait = [None, Some(Duration::ZERO), Some(Duration::from_micros(50))];
                        let wait = wait[fastrand::usize(..3)];
                        match queue.push(item, wait) {
                            Ok(dropped) => {
                                accepted.fetch_add(1, Ordering::Relaxed);
                                sum.fetch_add(item, Ordering::Relaxed);
                                dropped.into_iter().for_each(took);
                            }
                            Err(_) if queue.is_closed() => break,
                            Err(_) => {}
                        }
                    }
                });
                scope.spawn(move || {
                    loop {
                        let wait = [None, Some(Duration::ZERO), Some(Duration::from_micros(50))];
                        drop(queue.listen(Interest::Pop, Waker::noop()));
                        drop(queue.listen(Interest::Push, Waker::noop()));
                        match queue.pop(wait[fastrand::usize(..3)]) {
                            Ok(item) => took(item),
                            Err(tidegate::queue::PopError::Closed) => break,
                            Err(_) => {}
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_micros(fastrand::u64(..4_000)));
            queue.drain().into_iter().for_each(took);
            assert!(queue.try_push(1).is_err() && queue.try_pop().is_err());
        });
        assert_eq!(queue.depth(), 0);
        assert_eq!(
            (accepted.load(Ordering::Relaxed), sum.load(Ordering::Relaxed)),
            (out.load(Ordering::Relaxed), sum_out.load(Ordering::Relaxed)),
            "round {round}"
        );
    }
}
