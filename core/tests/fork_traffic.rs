//! Forks amid traffic: a child waits for no thread of its parent, whatever that was at.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "shared with other tests of forks")]
mod children;
#[path = "arena/everything.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod everything;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, kill};
use everything::{CAPACITY, Everything};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::Place;
use tidegate::queue::{BoundedQueue, OnFull, QueueConfig};
use tidegate::{Arena, Clock, OnConflict};

/// Forks `children` times while `threads` threads do `traffic`; each child must end with `in_child` true.
fn amid_traffic(threads: usize, traffic: impl Fn(usize) + Sync, children: usize, in_child: impl Fn() -> bool) {
    let stop = AtomicBool::new(false);
    let failed = std::thread::scope(|scope| {
        for thread in 0..threads {
            let (stop, traffic) = (&stop, &traffic);
            scope.spawn(move || {
                // Relaxed: only an end.
                while !stop.load(Ordering::Relaxed) {
                    traffic(thread);
                }
            });
        }
        let failed = (0..children).find_map(|round| {
            // Wherever the threads are just then.
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..500)));
            let end = ends(child(&in_child));
            (end != Some(0))
                .then(|| format!("child {round}: {}", end.map_or("stuck".to_owned(), |end| end.to_string())))
        });
        // Relaxed: only an end.
        stop.store(true, Ordering::Relaxed);
        failed
    });
    assert_eq!(failed, None);
}

/// Its exit status; `None`: it is stuck, and was killed.
#[allow(unsafe_code)] // waitpid
fn ends(pid: libc::pid_t) -> Option<libc::c_int> {
    let (start, mut status) = (Instant::now(), -1);
    // SAFETY: `status` is a valid place for the result.
    while unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == 0 {
        if start.elapsed() > GENEROUS / 2 {
            kill(pid);
            return None;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Some(status)
}

/// Each thread pushes its own numbers in order, and pops what there is. A child has what was in the queue: numbers of
/// each thread in order, no more than fit, none twice; and its copy works.
fn queue_amid_traffic(config: QueueConfig) {
    const THREADS: usize = 3;
    let queue = BoundedQueue::<(usize, u64)>::new(config.clone()).expect("a queue");
    let next: [std::sync::atomic::AtomicU64; THREADS] = Default::default();
    let traffic = |thread: usize| {
        // Relaxed: one thread each.
        let number = next[thread].fetch_add(1, Ordering::Relaxed);
        let _ = queue.try_push((thread, number));
        if !number.is_multiple_of(3) {
            let _ = queue.try_pop();
        }
    };
    let in_child = || {
        let depth = queue.depth();
        assert!(depth <= config.capacity && queue.stats().depth == depth);
        let popped = queue.try_pop().ok();
        assert_eq!(popped.is_some(), depth > 0);
        assert!(queue.try_push((THREADS, 0)).is_ok() || !queue.is_accepting());
        let waited = queue.pop(Some(Duration::from_millis(1))).ok();
        let rest = queue.drain();
        assert!(queue.is_closed() && queue.depth() == 0 && queue.try_pop().is_err());
        for thread in 0..THREADS {
            let of_thread = popped.iter().chain(&waited).chain(&rest).filter(|item| item.0 == thread);
            assert!(of_thread.map(|item| item.1).is_sorted_by(|one, two| one < two), "{rest:?}");
        }
        true
    };
    amid_traffic(THREADS, traffic, 100, in_child);
    while queue.try_pop().is_ok() {}
    assert_eq!((queue.depth(), queue.try_push((0, 0)).is_ok()), (0, true), "the parent's is as ever");
}

#[test]
fn a_queue_that_rejects() {
    queue_amid_traffic(QueueConfig::new(4));
    queue_amid_traffic(QueueConfig { sojourn: true, high_watermark: 1.0, ..QueueConfig::new(100) });
}

#[test]
fn a_queue_that_drops_the_oldest() {
    for capacity in [1, 3, 8] {
        queue_amid_traffic(QueueConfig { on_full: OnFull::DropOldest, ..QueueConfig::new(capacity) });
    }
}

/// The same with a listener in the parent, and waiting in the child.
#[test]
fn a_queue_that_is_waited_for() {
    let queue = BoundedQueue::<u64>::new(QueueConfig::new(2)).expect("a queue");
    let traffic = |thread: usize| {
        let patience = Some(Duration::from_millis(1));
        if thread == 0 {
            let _ = queue.push(7, patience);
        } else {
            let _ = queue.pop(patience);
        }
    };
    let in_child = || {
        while queue.try_pop().is_ok() {}
        std::thread::scope(|scope| {
            let popper = scope.spawn(|| queue.pop(Some(GENEROUS)));
            queue.push(8, Some(GENEROUS)).expect("room");
            popper.join().expect("no panic") == Ok(8)
        })
    };
    amid_traffic(4, traffic, 60, in_child);
}

/// One of everything: buckets, limits of every algorithm, sets, breakers, permits.
fn all_amid_traffic(arena: &Arc<Arena>) {
    let (all, errors) = Everything::open(arena, OnConflict::Error);
    assert!(errors.is_empty(), "{errors:?}");
    let operate = || all.operate(&mut || fastrand::u64(..));
    let in_child = || {
        (0..10).for_each(|_| operate());
        let (again, errors) = Everything::open(arena, OnConflict::Apply);
        again.operate(&mut || fastrand::u64(..));
        errors.is_empty()
    };
    amid_traffic(3, |_| operate(), 60, in_child);
}

#[test]
fn everything_of_a_process() {
    all_amid_traffic(&Arena::private("everything", CAPACITY, Clock::monotonic()).expect("an arena"));
}

#[test]
fn everything_of_the_machine() {
    let place = Place::new();
    let mut options = place.options("everything");
    options.capacity = Some(CAPACITY);
    all_amid_traffic(&Arena::open(&options).expect("an arena"));
}
