//! Threads of all kinds at queues of all kinds: what was accepted comes out once, popped or dropped.
//!
//! Ten million operations in all, pushes and pops; `TIDEGATE_QUEUE_ITEMS` says how many items each of the queues gets.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tidegate::QueueConfig;
use tidegate::queue::{BoundedQueue, Discipline, OnFull, PopError, PushErrorKind, PushOptions, Taken};

const PUSHERS: u64 = 3;
const POPPERS: usize = 3;

/// How often each item came out.
struct Seen(Vec<AtomicU8>);

impl Seen {
    fn note(&self, item: u64) {
        assert_eq!(self.0[item as usize].fetch_add(1, Relaxed), 0, "{item} came out twice");
    }
}

fn run(config: QueueConfig, items: u64) {
    let lanes = config.lanes as u64;
    let q = BoundedQueue::new(config.clone()).unwrap();
    let seen = Seen((0..items).map(|_| AtomicU8::new(0)).collect());
    let (next, accepted, dropped, over) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (q, seen, next, accepted, dropped, over) = (&q, &seen, &next, &accepted, &dropped, &over);
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                scope.spawn(move || {
                    loop {
                        let item = next.fetch_add(1, Relaxed);
                        if item >= items {
                            return;
                        }
                        let lane = (item % lanes) as usize;
                        let deadline = item.is_multiple_of(7).then(|| Duration::from_micros(item % 50));
                        let options = PushOptions { lane, deadline };
                        let pushed = match pusher {
                            // Who waits gives up now and then.
                            0 => q.push_with(item, options, Some(Duration::from_micros(item % 100))),
                            _ => q.try_push_with(item, options),
                        };
                        match pushed {
                            Ok(oldest) => {
                                accepted.fetch_add(1, Relaxed);
                                if let Some(oldest) = oldest {
                                    dropped.fetch_add(1, Relaxed);
                                    seen.note(oldest);
                                }
                            }
                            Err(refused) => {
                                assert_eq!((refused.kind, refused.item), (PushErrorKind::Full, item));
                                thread::yield_now();
                            }
                        }
                    }
                })
            })
            .collect();
        for popper in 0..POPPERS {
            scope.spawn(move || {
                loop {
                    let taken = match popper {
                        0 => q.take_within(Some(Duration::from_micros(50))),
                        _ => q.take(),
                    };
                    match taken {
                        Ok(Taken::Item(item, _)) => seen.note(item),
                        Ok(Taken::Dropped(item, _)) => {
                            dropped.fetch_add(1, Relaxed);
                            seen.note(item);
                        }
                        Err(PopError::Empty) => thread::yield_now(),
                        Err(PopError::Closed) => return,
                    }
                }
            });
        }
        // A reader, to whom no sum may look like more than was accepted so far could be.
        scope.spawn(move || {
            while !over.load(Relaxed) {
                let stats = q.stats();
                assert!(stats.depth <= config.capacity);
                thread::yield_now();
            }
        });
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        q.close();
        over.store(true, Relaxed);
    });
    let stats = q.stats();
    let out = seen.0.iter().map(|seen| u64::from(seen.load(Relaxed))).sum::<u64>();
    assert_eq!(stats.pushed, accepted.load(Relaxed));
    assert_eq!(out, stats.pushed, "lost");
    assert_eq!((stats.dropped, stats.popped, stats.depth), (dropped.load(Relaxed), out - stats.dropped, 0));
}

#[test]
fn nothing_is_lost_or_doubled() {
    let items = std::env::var("TIDEGATE_QUEUE_ITEMS").map_or(420_000, |items| items.parse().expect("a number"));
    for discipline in [Discipline::Fifo, Discipline::Codel, Discipline::AdaptiveLifo] {
        for (lanes, on_full) in
            [(1, OnFull::Reject), (1, OnFull::DropOldest), (4, OnFull::Reject), (4, OnFull::DropOldest)]
        {
            // Times of microseconds, so that all of it happens.
            let config = QueueConfig {
                discipline,
                lanes,
                on_full,
                target: Duration::from_micros(5),
                interval: Duration::from_micros(100),
                max_age: (lanes == 4).then_some(Duration::from_micros(200)),
                ..QueueConfig::new(64)
            };
            run(config, items);
        }
    }
}
