//! Host scope in children of fork: shared state, and nothing of the parent's own.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Pipes, and the end of a child's child.

#[path = "children/arenas.rs"]
mod arenas;
mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use arenas::{bucket, living};
use children::{GENEROUS, child, ends_well, kill, until};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::Place;
use tidegate::http::Jitter;
use tidegate::limit::Mode;
use tidegate::{Arena, ClientThrottle, ClientThrottleConfig, OnConflict, RetryBudget, RetryBudgetConfig, TokenBucket};

#[test]
fn a_child_has_a_slot_of_its_own_and_the_same_level() {
    let place = Place::new();
    let arena = Arena::open(&place.options("fork")).expect("an arena");
    let shared = bucket(&arena, "shared");
    assert!(shared.try_acquire(10));
    let (me, before) = (std::process::id(), shared.peek().remaining);
    ends_well(child(|| {
        let as_parent = shared.peek().remaining == before && living(&arena) == [me];
        let took = shared.try_acquire(10);
        // Counting registered it.
        let mut both = [me, std::process::id()];
        both.sort_unstable();
        as_parent && took && living(&arena) == both
    }));
    assert!(shared.peek().remaining <= before - 9);
    assert_eq!(shared.stats().admitted, 2);
    until("the child's slot is a dead one's", || living(&arena) == [me]);
}

/// The child's copies of descriptor and mapping must not keep the parent's lock alive.
#[test]
fn a_child_that_lives_on_does_not_make_its_parent_look_alive() {
    let place = Place::new();
    let options = place.options("fork");
    let arena = Arena::open(&options).expect("an arena");
    let (mut ends, mut told) = ([0; 2], [0_u8; 4]);
    // SAFETY: a place for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // A parent that dies, whose child goes on.
    let parent = child(|| {
        let arena = Arena::open(&options).expect("an arena");
        assert!(bucket(&arena, "shared").try_acquire(1));
        let heir = child(|| {
            assert!(bucket(&arena, "shared").try_acquire(1));
            loop {
                std::thread::sleep(GENEROUS);
            }
        });
        until("the heir is in", || living(&arena).contains(&(heir as u32)));
        // SAFETY: four bytes.
        unsafe { libc::write(ends[1], heir.to_ne_bytes().as_ptr().cast(), 4) };
        loop {
            std::thread::sleep(GENEROUS);
        }
    });
    // SAFETY: room for four bytes.
    assert_eq!(unsafe { libc::read(ends[0], told.as_mut_ptr().cast(), 4) }, 4);
    let heir = u32::from_ne_bytes(told);
    assert!(living(&arena).contains(&(parent as u32)));
    kill(parent);
    let pids = living(&arena);
    // SAFETY: the heir, which is no child of this process; nobody waits for it but the system.
    assert_eq!(unsafe { libc::kill(heir as libc::pid_t, libc::SIGKILL) }, 0);
    assert!(pids.contains(&heir) && !pids.contains(&(parent as u32)), "{pids:?}: parent {parent}, heir {heir}");
    until("the heir dies", || !living(&arena).contains(&heir));
}

/// Another thread of the parent opens arenas and changes quotas at the moment of the fork: the child must not wait for
/// it.
#[test]
fn a_child_waits_for_no_thread_of_its_parent() {
    let place = Place::new();
    let options = place.options("fork");
    let arena = Arena::open(&options).expect("an arena");
    let (shared, stop) = (bucket(&arena, "shared"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for other in ["one", "two"] {
            let (stop, shared, options) = (&stop, &shared, place.options(other));
            scope.spawn(move || {
                // Relaxed: only an end.
                while !stop.load(Ordering::Relaxed) {
                    drop(Arena::open(&options).expect("an arena"));
                    drop(Arena::process(&options.name).expect("an arena"));
                    shared.set_quota("1000/day".parse().expect("a quota")).expect("changed");
                }
            });
        }
        for _ in 0..100 {
            let pid = child(|| {
                let again = Arena::open(&options).expect("an arena");
                drop(Arena::process("one").expect("an arena"));
                shared.set_quota("1000/day".parse().expect("a quota")).expect("changed");
                bucket(&again, "shared").try_acquire(1)
            });
            let start = Instant::now();
            let mut status = -1;
            // SAFETY: `status` is a valid place for the result.
            while unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == 0 {
                if start.elapsed() > GENEROUS {
                    kill(pid);
                    // Relaxed: only an end.
                    stop.store(true, Ordering::Relaxed);
                    panic!("the child is stuck");
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            if status != 0 {
                // Relaxed: only an end.
                stop.store(true, Ordering::Relaxed);
            }
            assert_eq!(status, 0, "exit status of the child");
        }
        // Relaxed: only an end.
        stop.store(true, Ordering::Relaxed);
    });
}

/// Counts of parent, child and grandchild, with threads, some of which end and some of which a fork leaves behind.
#[test]
fn counts_of_a_line_of_forks_add_up() {
    let place = Place::new();
    let arena = Arena::open(&place.options("fork")).expect("an arena");
    let shared = bucket(&arena, "shared");
    let count = |shared: &TokenBucket| {
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        shared.try_acquire(0);
                    }
                });
            }
        });
        for _ in 0..500 {
            shared.try_acquire(0);
        }
    };
    count(&shared);
    let pid = child(|| {
        count(&shared);
        let pid = child(|| {
            count(&shared);
            true
        });
        count(&shared);
        ends_well(pid);
        true
    });
    count(&shared);
    ends_well(pid);
    assert_eq!(shared.stats().admitted, 5 * 6 * 500);
}

/// Something closed every descriptor, and the number is something else now: the child must leave that alone.
#[test]
fn a_descriptor_that_was_closed_is_not_touched() {
    let place = Place::new();
    let options = place.options("fork");
    ends_well(child(|| {
        let arena = Arena::open(&options).expect("an arena");
        let shared = bucket(&arena, "shared");
        let mut ends = [0; 2];
        // SAFETY: closes what this child inherited or opened, as daemons do; then a place for two descriptors.
        unsafe {
            assert_eq!(libc::close_range(3, libc::c_uint::MAX, 0), 0);
            while ends[1] < 32 {
                assert_eq!(libc::pipe2(ends.as_mut_ptr(), 0), 0);
            }
        }
        ends_well(child(|| {
            let decided = shared.try_acquire(1);
            let refused = shared.set_quota("1/day".parse().expect("a quota"));
            let byte = [7_u8];
            let mut back = [0_u8];
            // SAFETY: a byte there and back.
            let piped = unsafe {
                libc::write(ends[1], byte.as_ptr().cast(), 1) == 1
                    && libc::read(ends[0], back.as_mut_ptr().cast(), 1) == 1
            };
            // Decisions go on, what needs the lock says why it does not.
            decided && piped && back == byte && refused.is_err_and(|error| error.to_string().contains("descriptor"))
        }));
        true
    }));
}

/// Children that a server forks must not all wait for the same time before a retry, nor tell their clients the same.
#[test]
fn children_draw_other_numbers() {
    let jitter = Jitter::new(0.5).expect("a fraction");
    let sources: [(&str, &dyn Fn() -> f64); 2] = [("a retry", &tidegate::retry::draw), ("jitter", &|| jitter.draw())];
    for (source, draw) in sources {
        // SAFETY: atomics, which zero is good for.
        let drawn: &[AtomicU64; 4] = unsafe { children::page() };
        let _ = draw();
        for place in &drawn[1..] {
            // Relaxed: the child has ended when it is read.
            ends_well(child(|| (place.store(draw().to_bits(), Ordering::Relaxed), true).1));
        }
        drawn[0].store(draw().to_bits(), Ordering::Relaxed);
        let numbers = drawn.each_ref().map(|place| f64::from_bits(place.load(Ordering::Relaxed)));
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)), "{source}");
        for (index, number) in numbers.iter().enumerate() {
            assert!(!numbers[..index].contains(number), "{source}: {numbers:?}");
        }
    }
}

/// One budget and one throttle for parent and child in host scope; copies that part in process scope.
#[test]
fn a_child_spends_of_the_shared_budget_and_of_its_own_copy() {
    let place = Place::new();
    let arena = Arena::open(&place.options("retries")).expect("an arena");
    let config = RetryBudgetConfig { min_per_second: 0.001, mode: Mode::Enforce, ..RetryBudgetConfig::default() };
    let shared = RetryBudget::in_arena(&arena, "bank", config, OnConflict::Error).expect("a budget");
    let own = RetryBudget::new(config).expect("a budget");
    let odds = ClientThrottleConfig { mode: Mode::Enforce, ..ClientThrottleConfig::default() };
    let throttle = ClientThrottle::in_arena(&arena, "search", odds, OnConflict::Error).expect("a throttle");
    let pay = |budget: &RetryBudget| (0..6).for_each(|_| budget.deposit());
    pay(&shared);
    pay(&own);
    ends_well(child(|| {
        (0..20).for_each(|_| throttle.refused());
        shared.try_withdraw() && own.try_withdraw() && !shared.try_withdraw() && !own.try_withdraw()
    }));
    assert!(!shared.try_withdraw(), "the child has spent it");
    assert!(own.try_withdraw(), "the child has spent its copy");
    assert_eq!(throttle.stats().window_requests, 20);
    // One that is killed with a retry in hand has made one retry less, and nobody waits for it.
    pay(&shared);
    let dying = child(|| {
        assert!(shared.try_withdraw());
        loop {
            std::thread::sleep(GENEROUS);
        }
    });
    until("the child has withdrawn", || shared.stats().withdrawn == 2);
    kill(dying);
    assert!(!shared.try_withdraw());
    pay(&shared);
    assert!(shared.try_withdraw());
}

#[test]
fn a_child_spends_nothing_of_its_parents_lease() {
    let lease = tidegate::lease::Lease::new();
    let now = lease.clock().now();
    lease.grant_at(now, now + 60_000_000_000, 2, true);
    ends_well(child(|| !lease.try_acquire(1) && !lease.try_acquire(0)));
    assert!(lease.try_acquire(2));
}
