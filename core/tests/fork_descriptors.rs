//! Which descriptors an arena has, and what a child of fork does that got none.
//!
//! Every arena here is opened in a child: what others have open in this process would change which descriptors are
//! free.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Descriptors and limits of this process.

#[path = "children/arenas.rs"]
mod arenas;
#[allow(dead_code, reason = "shared with other tests of forks")]
mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use arenas::{bucket, living};
use children::{child, ends_well};
use std::time::Duration;
use support::Place;
use tidegate::limit::Mode;
use tidegate::{Arena, ConcurrencyConfig, ConcurrencyLimiter, OnConflict};

/// What a child that has no descriptor of its own must do, told by who holds both permits: nothing that needs to know
/// who lives, and say so.
fn owns_and_reclaims_nothing(place: &Place, before_fork: impl FnOnce(), in_child: impl FnOnce()) {
    let options = place.options("fork");
    ends_well(child(|| {
        let arena = Arena::open(&options).expect("an arena");
        let shared = bucket(&arena, "shared");
        let two = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(2) };
        let permits = ConcurrencyLimiter::in_arena(&arena, "two", two, OnConflict::Error).expect("permits");
        let held = [permits.try_acquire().expect("one"), permits.try_acquire().expect("two")];
        let me = std::process::id();
        before_fork();
        ends_well(child(|| {
            in_child();
            // Past the 10 ms in which the dead are looked for once.
            let denied = (0..3).all(|_| {
                std::thread::sleep(Duration::from_millis(12));
                permits.try_acquire().is_none()
            });
            let parent_lives = living(&arena).contains(&me) && permits.stats().reclaimed == 0 && permits.in_use() == 2;
            let quota = shared.set_quota("1/day".parse().expect("a quota"));
            let said = quota.is_err_and(|error| error.to_string().contains("descriptor"));
            assert!(denied && parent_lives && said && shared.try_acquire(1), "{denied} {parent_lives} {said}");
            held.iter().all(|&permit| !permits.release(permit))
        }));
        assert_eq!((permits.stats().reclaimed, permits.in_use(), living(&arena)), (0, 2, vec![me]));
        assert!(permits.try_acquire().is_none(), "two, and no third");
        held.into_iter().all(|permit| permits.release(permit))
    }));
}

#[test]
fn a_child_without_a_free_descriptor_owns_and_reclaims_nothing() {
    let place = Place::new();
    let copies = std::cell::RefCell::new(Vec::new());
    let no_more = || {
        let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
        // SAFETY: a limit of this process alone, and copies of a descriptor that stay open.
        unsafe {
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
            copies.replace((0..64).map(|_| libc::dup(2)).take_while(|&number| number >= 0).collect());
        }
    };
    owns_and_reclaims_nothing(&place, no_more, || {});
    let again = || {
        // Room again: opened after that, the arena is as good as any, beside the one that is lost.
        // SAFETY: the copies made above.
        copies.take().iter().for_each(|&number| assert_eq!(unsafe { libc::close(number) }, 0));
        let arena = Arena::open(&place.options("fork")).expect("opened anew");
        assert!(arena.members().iter().any(|member| member.pid == std::process::id() && member.alive));
    };
    owns_and_reclaims_nothing(&place, no_more, again);
}

#[test]
fn a_child_where_there_is_no_proc_owns_and_reclaims_nothing() {
    if !support::is_root() {
        return;
    }
    let (place, root) = (Place::new(), Place::new());
    std::fs::create_dir(root.path()).expect("an empty root");
    let path = std::ffi::CString::new(root.path().to_str().expect("a path")).expect("a path");
    // SAFETY: a path that ends in zero.
    owns_and_reclaims_nothing(&place, || assert_eq!(unsafe { libc::chroot(path.as_ptr()) }, 0), || {});
}

/// A service closed its standard streams; what it prints goes nowhere, and not into the arena.
#[test]
fn no_descriptor_is_a_standard_streams() {
    let place = Place::new();
    let options = place.options("closed");
    for streams in [&[0][..], &[1], &[2], &[0, 1, 2]] {
        ends_well(child(|| {
            // SAFETY: closes, prints, and asks what is open.
            unsafe {
                streams.iter().for_each(|&stream| assert_eq!(libc::close(stream), 0));
                let arena = Arena::open(&options).expect("an arena");
                let again = Arena::inspect(&options).expect("an arena");
                let shared = bucket(&arena, "shared");
                let printed = streams.iter().any(|&stream| libc::write(stream, b"hello".as_ptr().cast(), 5) >= 0);
                let open = streams.iter().any(|&stream| libc::fcntl(stream, libc::F_GETFD) >= 0);
                drop(again);
                shared.try_acquire(1) && !printed && !open
            }
        }));
        drop(Arena::open(&options).expect("its header is whole"));
        Arena::unlink(&options).expect("removed").expect("it was there");
    }
}
