//! What the concurrency limiter promises, rule by rule.

mod counting_waker;

use counting_waker::CountingWaker;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidegate::arena::ArenaErrorKind;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyHolder, ConcurrencyLimiter, ConcurrencyPermit, WaitOrder};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, ConfigErrorKind, ManualClock, OnConflict};

fn config(limit: u32, max_limit: u32) -> ConcurrencyConfig {
    ConcurrencyConfig { max_limit, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) }
}

/// In both places where state can live.
fn limiters(config: ConcurrencyConfig) -> [ConcurrencyLimiter; 2] {
    let clock = || Clock::from(ManualClock::new(0));
    let arena = Arena::private("tests", 1 << 20, clock()).unwrap();
    [
        ConcurrencyLimiter::with_config(config, clock()).unwrap(),
        ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).unwrap(),
    ]
}

/// All that are to be had.
fn exhaust(limiter: &ConcurrencyLimiter) -> Vec<ConcurrencyPermit> {
    std::iter::from_fn(|| limiter.try_acquire()).collect()
}

#[test]
fn exactly_the_limit() {
    for limit in [1, 2, 63, 64, 65, 4_096] {
        for limiter in limiters(config(limit, limit)) {
            let permits = exhaust(&limiter);
            assert_eq!((permits.len(), limiter.in_use()), (limit as usize, limit));
            for permit in &permits {
                assert!(limiter.release(*permit));
                let again = limiter.try_acquire().expect("one is free");
                assert!(limiter.try_acquire().is_none());
                assert!(limiter.release(again));
                assert!(!limiter.release(*permit), "a second time");
                assert!(limiter.try_acquire().is_some());
            }
            let stats = limiter.stats();
            assert_eq!((stats.in_use, stats.limit, stats.reclaimed), (limit, limit, 0));
            assert_eq!((stats.admitted, stats.denied), (3 * u64::from(limit), 1 + u64::from(limit)));
        }
    }
}

#[test]
fn a_late_release_frees_nobody_elses_place() {
    for limiter in limiters(config(1, 1)) {
        let first = limiter.try_acquire().unwrap();
        assert!(limiter.release(first));
        let second = limiter.try_acquire().unwrap();
        assert!(!limiter.release(first));
        assert_eq!(limiter.in_use(), 1);
        assert!(limiter.release(second));
        // Nobody's, and forged ones.
        assert!(!limiter.release(ConcurrencyPermit::default()));
        for (word, cell) in [(1, 0), (u64::MAX, 0), (second.word, u64::MAX), (second.word, 64), (second.word + 1, 0)] {
            assert!(!limiter.release(ConcurrencyPermit { word, cell }));
        }
        assert_eq!(limiter.in_use(), 0);
    }
}

#[test]
fn a_lowered_limit_holds_wherever_the_permits_stand() {
    for limiter in limiters(config(6, 8)) {
        let mut permits = exhaust(&limiter);
        assert_eq!(permits.len(), 6);
        limiter.set_limit(3).unwrap();
        // Whatever places become free first, nobody is admitted before fewer than three are held.
        while permits.len() > 2 {
            assert!(limiter.try_acquire().is_none(), "{} of 3 held", permits.len());
            assert!(limiter.release(permits.remove(0)));
        }
        permits.extend(exhaust(&limiter));
        assert_eq!((permits.len(), limiter.in_use()), (3, 3));
        permits.drain(..).for_each(|permit| assert!(limiter.release(permit)));
        assert_eq!(exhaust(&limiter).len(), 3);
        limiter.set_limit(8).unwrap();
        assert_eq!(exhaust(&limiter).len(), 5);
        assert_eq!((limiter.limit(), limiter.in_use()), (8, 8));
    }
}

#[test]
fn wrong_settings_say_what_is_allowed() {
    for (limit, max_limit, field, kind, text) in [
        (0, 8, "limit", ConfigErrorKind::OutOfRange, "0 is not within 1 to 4096"),
        (0, 0, "limit", ConfigErrorKind::OutOfRange, "1 to 4096"),
        (9, 8, "limit", ConfigErrorKind::Conflict, "above max_limit, 8"),
        (5_000, 8, "limit", ConfigErrorKind::OutOfRange, "1 to 4096"),
        (4_097, 4_097, "limit", ConfigErrorKind::OutOfRange, "1 to 4096"),
    ] {
        let error = ConcurrencyLimiter::with_config(config(limit, max_limit), Clock::monotonic()).unwrap_err();
        assert_eq!((error.field(), error.kind()), (field, kind));
        assert!(error.message().contains(text), "{error}");
    }
    let limiter = ConcurrencyLimiter::new(4).unwrap();
    assert!(limiter.set_limit(5).unwrap_err().message().contains("1 to 4"));
    assert!(limiter.set_limit(0).is_err());
    assert_eq!(limiter.limit(), 4);
}

#[test]
fn off_touches_nothing_and_a_dry_run_refuses_nothing() {
    for limiter in limiters(ConcurrencyConfig { mode: Mode::Disabled, ..config(1, 1) }) {
        let permits = [limiter.try_acquire(), limiter.acquire(None), limiter.listen(Waker::noop()).take()];
        assert_eq!(permits, [Some(ConcurrencyPermit::default()); 3]);
        let stats = limiter.stats();
        assert_eq!((stats.in_use, stats.admitted, stats.denied, stats.would_deny), (0, 0, 0, 0));
    }
    for limiter in limiters(ConcurrencyConfig { mode: Mode::DryRun, ..config(1, 1) }) {
        let first = limiter.try_acquire().unwrap();
        assert_ne!(first, ConcurrencyPermit::default());
        let beyond = [limiter.try_acquire(), limiter.acquire(None), limiter.listen(Waker::noop()).take()];
        assert_eq!(beyond, [Some(ConcurrencyPermit::default()); 3]);
        assert!(!limiter.release(ConcurrencyPermit::default()) && limiter.release(first));
        let stats = limiter.stats();
        assert_eq!((stats.in_use, stats.admitted, stats.denied, stats.would_deny), (0, 1, 0, 3));
    }
}

#[test]
fn a_guard_gives_back_also_when_its_call_panics() {
    let limiter = ConcurrencyLimiter::with_config(config(1, 1), Clock::monotonic()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = limiter.try_enter().unwrap();
        panic!("the call");
    }));
    assert!(panicked.is_err());
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn first_come_first_served() {
    for limiter in limiters(config(2, 2)) {
        let held = exhaust(&limiter);
        let mut line: Vec<_> = (0..3)
            .map(|_| {
                let (bell, waker) = CountingWaker::new();
                (bell, limiter.listen(&waker))
            })
            .collect();
        assert!(line.iter_mut().all(|(_, listener)| listener.take().is_none()));
        limiter.release(held[0]);
        assert_eq!(line.iter().map(|(bell, _)| bell.rung()).collect::<Vec<_>>(), [1, 0, 0]);
        // Given, and not taken yet: nobody gets in between.
        assert!(limiter.try_acquire().is_none() && limiter.at_once().is_none());
        let first = line[0].1.take().expect("granted");
        assert_eq!(line[0].1.take(), None, "once");
        limiter.release(first);
        limiter.release(held[1]);
        let both = [1, 2].map(|n: usize| line[n].1.take().expect("granted"));
        assert!(both.into_iter().all(|permit| limiter.release(permit)));
        drop(line);
        let stats = limiter.stats();
        assert_eq!((stats.in_use, stats.admitted, stats.denied), (0, 5, 2));
    }
}

#[test]
fn last_come_first_served() {
    for limiter in limiters(ConcurrencyConfig { order: WaitOrder::Lifo, ..config(1, 1) }) {
        let held = limiter.try_acquire().unwrap();
        let mut line = [(); 4].map(|()| limiter.listen(Waker::noop()));
        assert!(limiter.release(held));
        let newest = line[3].take().expect("who came last");
        assert!(line[..3].iter_mut().all(|listener| listener.take().is_none()));
        // Who comes now is the newest; one that is given a place and leaves passes it on to the next.
        let late = limiter.listen(Waker::noop());
        assert!(limiter.release(newest));
        drop(late);
        let [first, second, third, _] = line;
        third.time_out();
        let mut second = second;
        let permit = second.take().expect("the newest of those who are left");
        drop(first);
        assert!(limiter.release(permit));
        let stats = limiter.stats();
        assert_eq!((stats.in_use, stats.waiting, stats.admitted), (0, 0, 3));
        assert_eq!((stats.refused, stats.timed_out, stats.cancelled), (0, 1, 2));
    }
}

#[test]
fn who_gives_up_passes_the_grant_on() {
    for limiter in limiters(config(1, 1)) {
        let held = limiter.try_acquire().unwrap();
        let ((one, waker_one), (two, waker_two), (three, waker_three)) =
            (CountingWaker::new(), CountingWaker::new(), CountingWaker::new());
        let (first, second) = (limiter.listen(&waker_one), limiter.listen(&waker_two));
        let mut third = limiter.listen(&waker_three);
        drop(second);
        limiter.release(held);
        assert_eq!((one.rung(), two.rung(), three.rung()), (1, 0, 0));
        drop(first);
        assert_eq!(three.rung(), 1);
        let permit = third.take().expect("passed on");
        assert!(limiter.release(permit));
        assert_eq!((limiter.in_use(), limiter.stats().denied), (0, 2));
    }
}

#[test]
fn a_raised_limit_lets_waiters_in() {
    for limiter in limiters(config(1, 4)) {
        let _held = exhaust(&limiter);
        let mut line = [limiter.listen(Waker::noop()), limiter.listen(Waker::noop())];
        limiter.set_limit(3).unwrap();
        assert!(line.iter_mut().all(|listener| listener.take().is_some()));
        assert_eq!(limiter.in_use(), 3);
    }
}

#[test]
fn futures_wait_and_finish() {
    for limiter in limiters(config(1, 1)) {
        let held = limiter.try_acquire().unwrap();
        let (bell, waker) = CountingWaker::new();
        let mut context = Context::from_waker(&waker);
        let mut cancelled = Box::pin(limiter.acquire_async());
        let mut waits = pin!(limiter.acquire_async());
        assert_eq!(cancelled.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Pending);
        limiter.release(held);
        assert_eq!(bell.rung(), 1);
        drop(cancelled);
        assert_eq!(bell.rung(), 2);
        let Poll::Ready(Some(permit)) = waits.as_mut().poll(&mut context) else { panic!("granted") };
        assert!(limiter.release(permit));
        assert!(pin!(limiter.acquire_async()).poll(&mut context).is_ready());
    }
}

#[test]
fn futures_in_a_named_scope_look_again_by_themselves() {
    let clock = ManualClock::new(0);
    let arena = Arena::private("tests", 1 << 20, Clock::from(&clock)).unwrap();
    let alone = ConcurrencyLimiter::with_config(config(1, 1), Clock::from(&clock)).unwrap();
    let shared = ConcurrencyLimiter::in_arena(&arena, "places", config(1, 1), OnConflict::Error).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for (limiter, expected) in [(alone, &[][..]), (shared, &[1, 2, 4, 6, 8, 10, 10])] {
        let _held = limiter.try_acquire().unwrap();
        let naps = std::cell::RefCell::new(Vec::new());
        // Timers that are over when they are asked for, except every seventh.
        let mut waits = pin!(limiter.acquire_async_with(|nap| {
            naps.borrow_mut().push(nap.as_millis());
            clock.advance(Duration::from_millis(16));
            let over = naps.borrow().len() % 7 != 0;
            std::future::poll_fn(move |_| if over { Poll::Ready(()) } else { Poll::Pending })
        }));
        assert_eq!(waits.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(*naps.borrow(), expected);
    }
}

/// Two handles of one name have lines of their own, as two processes have.
fn two_lines(clock: &ManualClock, limit: u32) -> [ConcurrencyLimiter; 2] {
    two_lines_of(clock, config(limit, limit))
}

fn two_lines_of(clock: &ManualClock, config: ConcurrencyConfig) -> [ConcurrencyLimiter; 2] {
    let arena = Arena::private("tests", 1 << 20, Clock::from(clock)).unwrap();
    [(); 2].map(|()| ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).unwrap())
}

/// In each line is one whom newer ones keep from being served for ever: it does not get its line all places.
#[test]
fn lines_that_serve_the_newest_share_evenly() {
    let clock = ManualClock::new(1_000_000_000);
    let lines = two_lines_of(&clock, ConcurrencyConfig { order: WaitOrder::Lifo, ..config(1, 1) });
    let mut held = lines[0].try_acquire().map(|permit| (0, permit));
    let oldest = lines[1].listen(Waker::noop());
    clock.advance(Duration::from_millis(500));
    let younger = lines[0].listen(Waker::noop());
    let mut served = [0, 0];
    let mut waiting = lines.each_ref().map(|_| Vec::new());
    for _ in 0..400 {
        for (limiter, waiting) in lines.iter().zip(&mut waiting) {
            waiting.push(limiter.listen(Waker::noop()));
        }
        clock.advance(Duration::from_millis(4));
        if let Some((line, permit)) = held.take() {
            assert!(lines[line].release(permit));
        }
        for (line, waiting) in waiting.iter_mut().enumerate() {
            if let Some(at) = waiting.iter_mut().position(|listener| match listener.take() {
                Some(permit) => held.replace((line, permit)).is_none(),
                None => false,
            }) {
                served[line] += 1;
                drop(waiting.remove(at));
            }
        }
        waiting.iter_mut().for_each(|waiting| drop(waiting.drain(..waiting.len().saturating_sub(5))));
    }
    let all = served[0] + served[1];
    assert!(all > 200 && served.iter().all(|&line| line * 5 > all * 2), "{served:?}");
    drop((oldest, younger));
}

#[test]
fn a_place_is_left_to_the_line_that_has_waited_longer() {
    let clock = ManualClock::new(1_000_000_000);
    let [here, there] = two_lines(&clock, 1);
    let held = here.try_acquire().unwrap();
    let mut theirs = there.listen(Waker::noop());
    clock.advance(Duration::from_millis(20));
    let mut ours = here.listen(Waker::noop());
    assert!(here.release(held));
    // Free, and for the other line; also for those who come now.
    assert_eq!((here.in_use(), ours.take(), here.at_once()), (0, None, None));
    let permit = theirs.take().expect("its turn");
    // Nobody else waits there.
    assert!(there.release(permit) && ours.take().is_some());
}

#[test]
fn a_line_that_does_not_look_keeps_no_place() {
    let clock = ManualClock::new(1_000_000_000);
    let [here, there] = two_lines(&clock, 1);
    let held = here.try_acquire().unwrap();
    let _theirs = there.listen(Waker::noop());
    clock.advance(Duration::from_millis(20));
    let mut ours = here.listen(Waker::noop());
    assert!(here.release(held));
    assert!(ours.take().is_none());
    clock.advance(Duration::from_millis(8));
    assert!(ours.take().is_some());
}

#[test]
fn each_line_ahead_is_left_one_place() {
    let clock = ManualClock::new(1_000_000_000);
    let [here, there] = two_lines(&clock, 3);
    let held = exhaust(&here);
    let mut theirs = [there.listen(Waker::noop()), there.listen(Waker::noop())];
    clock.advance(Duration::from_millis(20));
    let mut ours = [here.listen(Waker::noop()), here.listen(Waker::noop())];
    assert!(held.into_iter().all(|permit| here.release(permit)));
    assert_eq!(ours.iter_mut().filter_map(|listener| listener.take()).count(), 2);
    assert_eq!(theirs.iter_mut().filter_map(|listener| listener.take()).count(), 1);
}

/// Who waits for its waker alone would sleep for ever if a release here left the place to another line.
#[test]
fn who_does_not_look_by_itself_gets_what_its_own_process_frees() {
    let clock = ManualClock::new(1_000_000_000);
    let [here, there] = two_lines(&clock, 1);
    let held = here.try_acquire().unwrap();
    let mut theirs = there.listen(Waker::noop());
    clock.advance(Duration::from_millis(20));
    let (bell, waker) = CountingWaker::new();
    let mut context = Context::from_waker(&waker);
    let mut ours = pin!(here.acquire_async());
    assert!(ours.as_mut().poll(&mut context).is_pending() && theirs.take().is_none());
    assert!(here.release(held));
    assert_eq!(bell.rung(), 1);
    assert!(ours.poll(&mut context).is_ready());
}

#[test]
fn waits_are_told_apart() {
    let clock = ManualClock::new(1_000_000_000);
    let arena = Arena::private("tests", 1 << 20, Clock::from(&clock)).unwrap();
    let alone = ConcurrencyLimiter::with_config(config(1, 1), Clock::from(&clock)).unwrap();
    let shared = ConcurrencyLimiter::in_arena(&arena, "places", config(1, 1), OnConflict::Error).unwrap();
    for limiter in [alone, shared] {
        let ms = Duration::from_millis;
        let held = limiter.try_acquire().unwrap();
        assert!(limiter.try_acquire().is_none());
        let [cancelled, timed_out, mut granted] = [(); 3].map(|()| limiter.listen(Waker::noop()));
        clock.advance(Duration::from_millis(30));
        let seen = limiter.stats();
        // In a seat of the arena times are kept in units of 16 microseconds.
        assert!((29_900..=30_100).contains(&seen.longest_wait.as_micros()), "{seen:?}");
        assert_eq!((seen.waiting, seen.refused, seen.timed_out, seen.cancelled, seen.denied), (3, 1, 0, 0, 1));
        drop(cancelled);
        clock.advance(Duration::from_millis(10));
        timed_out.time_out();
        limiter.release(held);
        let permit = granted.take().expect("its turn");
        clock.advance(Duration::from_millis(50));
        limiter.release(permit);
        let seen = limiter.stats();
        assert_eq!((seen.waiting, seen.longest_wait), (0, ms(40)));
        assert_eq!((seen.refused, seen.timed_out, seen.cancelled, seen.denied), (1, 1, 1, 3));
        assert_eq!((seen.admitted, seen.in_use), (2, 0));
    }
}

#[test]
fn only_so_many_wait() {
    for limiter in limiters(ConcurrencyConfig { max_waiting: Some(2), ..config(1, 1) }) {
        let held = limiter.try_acquire().unwrap();
        let [first, mut second, third] = [(); 3].map(|()| limiter.listen(Waker::noop()));
        assert_eq!([first.is_refused(), second.is_refused(), third.is_refused()], [false, false, true]);
        drop(third);
        // All forms that wait, at once.
        assert_eq!(limiter.acquire(None), None);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pin!(limiter.acquire_async()).poll(&mut context), Poll::Ready(None));
        let seen = limiter.stats();
        assert_eq!((seen.waiting, seen.refused, seen.timed_out, seen.cancelled, seen.denied), (2, 3, 0, 0, 3));
        // Who leaves has left its place: cancelled, out of time, and with its permit.
        drop(first);
        let timed_out = limiter.listen(Waker::noop());
        assert!(!timed_out.is_refused() && limiter.listen(Waker::noop()).is_refused());
        timed_out.time_out();
        assert!(limiter.release(held));
        let [mut fourth, mut fifth] = [(); 2].map(|()| limiter.listen(Waker::noop()));
        assert!(!fourth.is_refused() && !fifth.is_refused());
        for listener in [&mut second, &mut fourth, &mut fifth] {
            let permit = listener.take().expect("its turn");
            assert!(limiter.release(permit));
        }
        assert_eq!((limiter.in_use(), limiter.stats().waiting), (0, 0));
    }
    let none = ConcurrencyConfig { max_waiting: Some(0), ..config(1, 1) };
    let error = ConcurrencyLimiter::with_config(none, Clock::monotonic()).unwrap_err();
    assert!(error.to_string().starts_with("max_waiting: "), "{error}");
}

#[test]
fn threads_wait_up_to_their_deadline() {
    for limiter in limiters(config(1, 1)) {
        let held = limiter.acquire(None).unwrap();
        assert_eq!(limiter.acquire(Some(Duration::ZERO)), None);
        assert_eq!(limiter.acquire(Some(Duration::from_millis(20))), None);
        let seen = limiter.stats();
        assert_eq!((seen.denied, seen.refused, seen.timed_out, seen.cancelled), (2, 1, 1, 0));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| limiter.acquire(Some(Duration::from_secs(60))));
            limiter.release(held);
            assert!(waits.join().unwrap().is_some());
        });
        assert_eq!((limiter.in_use(), limiter.stats().admitted), (1, 2));
    }
}

#[test]
fn two_handles_of_one_name_are_one_limit() {
    let arena = Arena::private("tests", 1 << 20, Clock::monotonic()).unwrap();
    let open = |config, on_conflict| ConcurrencyLimiter::in_arena(&arena, "pool", config, on_conflict);
    let (one, two) = (open(config(2, 8), OnConflict::Error).unwrap(), open(config(2, 8), OnConflict::Error).unwrap());
    let permit = one.try_acquire().unwrap();
    assert!(two.try_acquire().is_some() && two.try_acquire().is_none());
    // A release through the other wakes nobody here, so who waits looks again by itself.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| two.acquire(Some(Duration::from_secs(60))));
        assert!(one.release(permit));
        assert!(waits.join().unwrap().is_some());
    });
    let holders = two.holders();
    assert_eq!(holders.iter().map(|ConcurrencyHolder { permits, .. }| permits).sum::<u32>(), 2);

    // A limit set at run time stays; another declared one is a conflict, another shape an error.
    one.set_limit(5).unwrap();
    assert_eq!(open(config(2, 8), OnConflict::Error).unwrap().limit(), 5);
    let conflict = open(config(3, 8), OnConflict::Error).unwrap_err();
    assert_eq!(conflict.kind(), ArenaErrorKind::Settings);
    assert!(conflict.message().contains("limit 2") && conflict.message().contains("limit 3"), "{conflict}");
    assert_eq!(open(config(3, 8), OnConflict::Keep).unwrap().limit(), 5);
    assert_eq!(open(config(3, 8), OnConflict::Apply).unwrap().limit(), 3);
    assert_eq!(one.limit(), 3);
    assert_eq!(open(config(3, 65), OnConflict::Apply).unwrap_err().kind(), ArenaErrorKind::Shape);
}
