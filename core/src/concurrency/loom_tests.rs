//! Interleavings of the concurrency limiter, all of them up to a number of preemptions.
//!
//! Its SeqCst accesses, which loom takes for AcqRel, are read-modify-writes under loom; see `in_order`.

use super::{
    AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyConfig, ConcurrencyLimiter, ConcurrencyPermit, Outcome, Partition,
    Partitions, WaitOrder,
};
use crate::ManualClock;
use crate::mode::Mode;
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;
use std::task::Waker;
use std::time::Duration;

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn limiter(limit: u32, max_limit: u32) -> Arc<ConcurrencyLimiter> {
    limiter_of(ConcurrencyConfig { max_limit, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) })
}

fn limiter_waiting(max_waiting: u32) -> Arc<ConcurrencyLimiter> {
    let max_waiting = Some(max_waiting);
    limiter_of(ConcurrencyConfig { max_waiting, mode: Mode::Enforce, ..ConcurrencyConfig::new(1) })
}

fn limiter_of(config: ConcurrencyConfig) -> Arc<ConcurrencyLimiter> {
    Arc::new(ConcurrencyLimiter::with_config(config, ManualClock::new(0).into()).unwrap())
}

#[test]
fn loom_no_more_than_the_limit() {
    explore(3, || {
        let l = limiter(2, 2);
        let others = [0, 1].map(|_| {
            let l = l.clone();
            thread::spawn(move || l.try_acquire())
        });
        let here = l.try_acquire();
        let held: Vec<ConcurrencyPermit> =
            others.into_iter().filter_map(|other| other.join().unwrap()).chain(here).collect();
        assert!(held.len() <= 2 && !held.is_empty());
        assert_eq!(l.in_use() as usize, held.len());
        assert!(held.into_iter().all(|permit| l.release(permit)));
        assert_eq!(l.in_use(), 0);
    });
}

#[test]
fn loom_given_back_once() {
    explore(3, || {
        let l = limiter(1, 1);
        let permit = l.try_acquire().unwrap();
        let other = thread::spawn({
            let l = l.clone();
            move || (l.release(permit), l.try_acquire())
        });
        let here = l.release(permit);
        let (there, taken) = other.join().unwrap();
        assert!(here != there, "given back by exactly one");
        assert_eq!(l.in_use(), 1);
        assert!(taken.is_some_and(|permit| l.release(permit)));
    });
}

#[test]
fn loom_a_lowered_limit_against_takers() {
    explore(2, || {
        let l = limiter(2, 2);
        let first = l.try_acquire().unwrap();
        let taker = thread::spawn({
            let l = l.clone();
            move || l.try_acquire()
        });
        let setter = thread::spawn({
            let l = l.clone();
            move || l.set_limit(1).unwrap()
        });
        setter.join().unwrap();
        // From here on the limit is 1: whoever is admitted now finds nobody.
        let given = l.release(first);
        let late = l.try_acquire();
        let early = taker.join().unwrap();
        assert!(given);
        assert!(late.is_none() || early.is_none(), "two at once after the limit was lowered to one");
    });
}

#[test]
fn loom_a_release_wakes_who_waits() {
    explore(3, || {
        let l = limiter(1, 1);
        let permit = l.try_acquire().unwrap();
        let waits = thread::spawn({
            let l = l.clone();
            move || block_on(l.acquire_async())
        });
        assert!(l.release(permit));
        let permit = waits.join().unwrap().unwrap();
        assert!(l.release(permit));
        assert_eq!(l.in_use(), 0);
    });
}

#[test]
fn loom_two_releases_let_two_in() {
    explore(2, || {
        let l = limiter(2, 2);
        let permits = [l.try_acquire().unwrap(), l.try_acquire().unwrap()];
        let (mut first, mut second) = (l.listen(Waker::noop()), l.listen(Waker::noop()));
        let others = permits.map(|permit| {
            let l = l.clone();
            thread::spawn(move || assert!(l.release(permit)))
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(first.take().is_some() && second.take().is_some());
        assert_eq!(l.in_use(), 2);
    });
}

#[test]
fn loom_who_gives_up_passes_its_grant_on() {
    explore(2, || {
        let l = limiter(1, 1);
        let permit = l.try_acquire().unwrap();
        let gives_up = l.listen(Waker::noop());
        let waits = thread::spawn({
            let l = l.clone();
            move || block_on(l.acquire_async())
        });
        let releases = thread::spawn({
            let l = l.clone();
            move || assert!(l.release(permit))
        });
        drop(gives_up);
        releases.join().unwrap();
        assert!(l.release(waits.join().unwrap().unwrap()));
    });
}

fn newest_first(limit: u32) -> Arc<ConcurrencyLimiter> {
    let order = WaitOrder::Lifo;
    limiter_of(ConcurrencyConfig { order, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) })
}

/// The newest is given the place or leaves before it: the older one gets it then.
#[test]
fn loom_the_newest_who_gives_up_passes_its_grant_back() {
    explore(2, || {
        let l = newest_first(1);
        let permit = l.try_acquire().unwrap();
        let waits = l.listen(Waker::noop());
        let gives_up = thread::spawn({
            let l = l.clone();
            move || l.listen(Waker::noop()).time_out()
        });
        let releases = thread::spawn({
            let l = l.clone();
            move || assert!(l.release(permit))
        });
        gives_up.join().unwrap();
        releases.join().unwrap();
        let mut waits = waits;
        assert!(l.release(waits.take().expect("nobody else is left")));
        assert_eq!((l.in_use(), l.stats().waiting), (0, 0));
    });
}

#[test]
fn loom_the_newest_is_woken_and_then_the_other() {
    explore(2, || {
        let l = newest_first(1);
        let permit = l.try_acquire().unwrap();
        let waiters = [0, 1].map(|_| {
            let l = l.clone();
            thread::spawn(move || assert!(l.release(block_on(l.acquire_async()).unwrap())))
        });
        assert!(l.release(permit));
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!((l.in_use(), l.stats().waiting), (0, 0));
    });
}

/// Of two who come for the one place in the queue one is refused, unless the other has left it.
#[test]
fn loom_one_waits_at_most_and_who_leaves_frees_its_place() {
    explore(2, || {
        let l = limiter_waiting(1);
        let permit = l.try_acquire().unwrap();
        let leaves = thread::spawn({
            let l = l.clone();
            move || l.listen(Waker::noop()).is_refused()
        });
        let releases = thread::spawn({
            let l = l.clone();
            move || assert!(l.release(permit))
        });
        let mut waits = l.listen(Waker::noop());
        let is_refused = waits.is_refused();
        assert!(!(leaves.join().unwrap() && is_refused), "both refused");
        releases.join().unwrap();
        // The other has left, and passed on what it was given.
        let permit = if is_refused { l.listen(Waker::noop()).take() } else { waits.take() };
        assert!(l.release(permit.expect("a place is free")));
        assert_eq!((l.in_use(), l.stats().waiting), (0, 0));
    });
}

#[test]
fn loom_a_raised_limit_wakes_who_waits() {
    explore(3, || {
        let l = limiter(1, 2);
        let _held = l.try_acquire().unwrap();
        let waits = thread::spawn({
            let l = l.clone();
            move || block_on(l.acquire_async())
        });
        l.set_limit(2).unwrap();
        assert!(l.release(waits.join().unwrap().unwrap()));
    });
}

/// Who takes a place for a moment and leaves again must not leave a waiter asleep.
#[test]
fn loom_a_place_taken_for_a_moment_is_not_lost_to_a_waiter() {
    explore(2, || {
        let l = limiter(2, 2);
        let permit = l.try_acquire().unwrap();
        let tries = thread::spawn({
            let l = l.clone();
            move || l.try_acquire().is_some_and(|permit| l.release(permit))
        });
        let waits = thread::spawn({
            let l = l.clone();
            move || block_on(l.acquire_async())
        });
        l.set_limit(1).unwrap();
        assert!(l.release(permit));
        assert!(l.release(waits.join().unwrap().unwrap()));
        tries.join().unwrap();
        assert_eq!(l.in_use(), 0);
    });
}

/// What is said of a full limit outlives no release: whoever asks after it is given the place. Of two places, as all
/// look at the first without asking; refused once before, as that sweeps and so takes back what is said.
fn refused_against(free: impl Fn(&ConcurrencyLimiter, ConcurrencyPermit) + Copy + Send + Sync + 'static) {
    explore(3, move || {
        let l = limiter(2, 3);
        let first = l.try_acquire().unwrap();
        let second = l.try_acquire().unwrap();
        assert!(l.try_acquire().is_none());
        let releases = thread::spawn({
            let l = l.clone();
            move || free(&l, second)
        });
        let refused = thread::spawn({
            let l = l.clone();
            move || l.try_acquire()
        });
        releases.join().unwrap();
        let taken = refused.join().unwrap();
        let late = l.try_acquire();
        assert!(taken.is_some() != late.is_some(), "{taken:?}, {late:?}");
        assert!(l.release(first) && l.release(taken.or(late).unwrap()));
    });
}

#[test]
fn loom_a_refusal_against_a_release() {
    refused_against(|l, permit| assert!(l.release(permit)));
}

#[test]
fn loom_a_refusal_against_a_raised_limit() {
    refused_against(|l, _| l.set_limit(3).unwrap());
}

/// A process stopped between the two steps of a release: whoever is refused by what it has not taken back doubts it,
/// and then there is the place.
#[test]
fn loom_a_release_stopped_before_it_says_so_is_found_by_a_doubt() {
    explore(3, || {
        let l = limiter(2, 3);
        let first = l.try_acquire().unwrap();
        let second = l.try_acquire().unwrap();
        assert!(l.try_acquire().is_none());
        let stopped = thread::spawn({
            let l = l.clone();
            move || assert!(l.shared.places.free(second))
        });
        let refused = thread::spawn({
            let l = l.clone();
            move || l.try_acquire()
        });
        stopped.join().unwrap();
        let taken = refused.join().unwrap();
        let is_to_be_had = l.shared.places.doubt_full();
        assert!(!(is_to_be_had && taken.is_some()), "found free what is taken");
        let late = l.try_acquire();
        assert!(taken.is_some() != late.is_some(), "{taken:?}, {late:?}");
        assert!(l.release(first) && l.release(taken.or(late).unwrap()));
    });
}

/// Who waits without a line asks no word.
#[test]
fn loom_a_release_stopped_before_it_says_so_keeps_no_poll_waiting() {
    explore(3, || {
        let l = limiter(2, 3);
        let first = l.try_acquire().unwrap();
        let second = l.try_acquire().unwrap();
        assert!(l.try_acquire().is_none());
        let stopped = thread::spawn({
            let l = l.clone();
            move || assert!(l.shared.places.free(second))
        });
        let refused = thread::spawn({
            let l = l.clone();
            move || l.try_acquire()
        });
        stopped.join().unwrap();
        let taken = refused.join().unwrap();
        let late = l.poll();
        assert!(taken.is_some() != late.is_some(), "{taken:?}, {late:?}");
        assert!(l.release(first) && l.release(taken.or(late).unwrap()));
    });
}

#[test]
fn loom_two_refusals_against_a_release() {
    explore(2, || {
        let l = limiter(2, 2);
        let first = l.try_acquire().unwrap();
        let second = l.try_acquire().unwrap();
        assert!(l.try_acquire().is_none());
        let others = [0, 1].map(|_| {
            let l = l.clone();
            thread::spawn(move || l.try_acquire())
        });
        assert!(l.release(second));
        let taken: Vec<_> = others.into_iter().filter_map(|other| other.join().unwrap()).collect();
        let late = l.try_acquire();
        assert_eq!(taken.len() + usize::from(late.is_some()), 1);
        assert!(l.release(first));
    });
}

/// As reaping does it: a sweep against the owner's own release and a taker.
#[test]
fn loom_a_sweep_frees_a_place_once() {
    explore(3, || {
        let l = limiter(1, 1);
        let permit = l.try_acquire().unwrap();
        let sweeps = thread::spawn({
            let l = l.clone();
            move || {
                let freed = l.shared.places.sweep(|_| true);
                l.shared.notify_waiters();
                freed
            }
        });
        let given = l.release(permit);
        let taken = l.try_acquire();
        let freed = sweeps.join().unwrap();
        // By one of them; whoever came after that may have been swept away as well.
        assert!(given || freed > 0);
        let left = taken.is_some_and(|permit| l.release(permit));
        assert_eq!(u64::from(given) + u64::from(left) + freed, 1 + u64::from(taken.is_some()));
        assert_eq!(l.in_use(), 0);
    });
}

/// An adaptive limit of 2 that a window of slow calls lowers to 1, and two permits of slow calls.
fn adaptive() -> (Arc<ConcurrencyLimiter>, [ConcurrencyPermit; 2]) {
    let clock = ManualClock::new(0);
    // The default's histogram is too large for a model.
    let adaptive = AdaptiveConfig {
        samples: 1,
        timeout: Duration::from_millis(1),
        ..AdaptiveConfig::new(AdaptiveAlgorithm::Aimd)
    };
    let config = ConcurrencyConfig {
        mode: Mode::Enforce,
        ..ConcurrencyConfig::adaptive(adaptive.within(Some(1), Some(2), Some(2)))
    };
    let l = ConcurrencyLimiter::with_config(config, (&clock).into()).unwrap();
    let permits = [l.try_acquire().unwrap(), l.try_acquire().unwrap()];
    clock.set(1_000_000_000);
    (Arc::new(l), permits)
}

#[test]
fn loom_a_window_is_ended_by_one() {
    explore(2, || {
        let (l, [one, two]) = adaptive();
        let other = thread::spawn({
            let l = l.clone();
            move || l.report(one, Outcome::Success)
        });
        assert!(l.report(two, Outcome::Success) && other.join().unwrap());
        let (number, limit) = l.shared.estimate.as_ref().unwrap().published();
        // The other's sample is in the first window or in the next, which is not over.
        assert_eq!((number, limit, l.limit(), l.in_use()), (1, 1, 1, 0));
    });
}

#[test]
fn loom_an_adaptive_limit_lowered_against_a_release() {
    explore(2, || {
        let (l, [one, two]) = adaptive();
        let lowers = thread::spawn({
            let l = l.clone();
            move || assert!(l.report(one, Outcome::Success))
        });
        assert!(l.release(two));
        let early = l.try_acquire();
        lowers.join().unwrap();
        // From here on the limit is 1.
        let late = l.try_acquire();
        assert_eq!(l.limit(), 1);
        assert!(early.is_none() || late.is_none(), "two at once after the limit was lowered to one");
        assert!(early.or(late).is_some_and(|permit| l.release(permit)));
    });
}

/// Two places, half of them guaranteed to each of two partitions; batch holds both.
fn lent() -> (Arc<ConcurrencyLimiter>, [Partition; 2], [ConcurrencyPermit; 2]) {
    let partitions = Partitions::new([("live", 0.5), ("batch", 0.5)]).unwrap();
    let l = limiter_of(ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::new(2) });
    let of = ["live", "batch"].map(|name| l.partition(name).unwrap());
    let lent = [(); 2].map(|()| l.try_acquire_in(of[1]).unwrap());
    (l, of, lent)
}

#[test]
fn loom_what_was_lent_and_called_back_goes_to_no_borrower() {
    explore(2, || {
        let (l, [live, batch], [one, _]) = lent();
        let owner = thread::spawn({
            let l = l.clone();
            move || l.try_acquire_in(live).is_some()
        });
        let borrows = thread::spawn({
            let l = l.clone();
            move || {
                assert!(l.release(one));
                l.try_acquire_in(batch).is_some()
            }
        });
        let (first, borrowed) = (owner.join().unwrap(), borrows.join().unwrap());
        assert!(!(first && borrowed), "three of two");
        // If it was refused before the release, the place is its own; if after, somebody had borrowed it meanwhile.
        if !first && !borrowed {
            assert!(l.try_acquire_in(batch).is_none(), "kept for its owner");
            assert!(l.try_acquire_in(live).is_some());
        }
    });
}

/// From the refusal on, whatever the others do at once.
#[test]
fn loom_after_its_refusal_the_first_release_is_the_owners() {
    explore(2, || {
        let (l, [live, batch], [one, _]) = lent();
        assert!(l.try_acquire_in(live).is_none());
        let borrows = [(); 2].map(|()| {
            let l = l.clone();
            thread::spawn(move || l.try_acquire_in(batch).is_some())
        });
        assert!(l.release(one));
        let owned = l.try_acquire_in(live).is_some();
        for borrows in borrows {
            assert!(!borrows.join().unwrap(), "lent again");
        }
        // A borrower may have stood in the place for a moment.
        assert!(owned || l.try_acquire_in(live).is_some());
    });
}

#[test]
fn loom_a_waiting_owner_is_served_whoever_comes_in_between() {
    explore(2, || {
        let (l, [live, batch], [one, _]) = lent();
        let waits = l.listen_in(live, Waker::noop());
        let borrows = thread::spawn({
            let l = l.clone();
            move || l.try_acquire_in(batch).is_some()
        });
        assert!(l.release(one));
        assert!(!borrows.join().unwrap(), "lent again");
        let mut waits = waits;
        assert!(waits.take().is_some());
    });
}

/// Of two calls of one owner and one of another, at two places that are theirs, none borrows.
#[test]
fn loom_two_owners_have_their_shares() {
    explore(2, || {
        let (l, [live, batch], lent) = lent();
        assert!(l.try_acquire_in(live).is_none());
        assert!(lent.into_iter().all(|permit| l.release(permit)));
        let others = [live, batch].map(|of| {
            let l = l.clone();
            thread::spawn(move || l.try_acquire_in(of).is_some())
        });
        let borrowed = l.try_acquire_in(batch).is_some();
        let [own, other] = others.map(|other| other.join().unwrap());
        assert!(!(borrowed && other), "batch has both");
        assert!(own || l.try_acquire_in(live).is_some());
        assert!(l.in_use() <= 2);
    });
}

#[test]
fn loom_a_limit_lowered_against_a_release_of_what_was_lent() {
    explore(2, || {
        let (l, [live, batch], [one, two]) = lent();
        assert!(l.try_acquire_in(live).is_none());
        let lowers = thread::spawn({
            let l = l.clone();
            move || l.set_limit(1).unwrap()
        });
        let early = thread::spawn({
            let l = l.clone();
            move || l.try_acquire_in(batch).is_some()
        });
        assert!(l.release(one));
        lowers.join().unwrap();
        // From here on the limit is 1, and nobody is guaranteed any of it.
        let late = l.try_acquire_in(live);
        assert!(late.is_none(), "the other is held still");
        let early = early.join().unwrap();
        assert!(!early, "lent again");
        assert!(l.release(two));
        assert!(l.try_acquire_in(live).is_some() && l.try_acquire_in(batch).is_none());
    });
}
