//! Adaptive limits: what counts, what does not, and the guards.

use std::task::Waker;
use std::time::Duration;
use tidegate::concurrency::{AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyPermit, Outcome};
use tidegate::limit::Mode;
use tidegate::{Arena, ConcurrencyConfig, ConcurrencyLimiter, ManualClock, OnConflict};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

fn limiter(config: AdaptiveConfig, clock: &ManualClock) -> ConcurrencyLimiter {
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(config) };
    ConcurrencyLimiter::with_config(config, clock.into()).expect("sound settings")
}

fn made(config: AdaptiveConfig) -> (ConcurrencyLimiter, ManualClock) {
    let clock = ManualClock::new(1_000 * S);
    (limiter(config, &clock), clock)
}

/// For `ns` as many calls at once as the limit lets, `latency` each; somebody is refused each time.
fn saturate(limiter: &ConcurrencyLimiter, clock: &ManualClock, ns: u64, latency: impl Fn(u32) -> u64) {
    let end = clock.now() + ns;
    while clock.now() < end {
        let permits: Vec<_> = std::iter::from_fn(|| limiter.try_acquire()).collect();
        clock.set(clock.now() + latency(permits.len() as u32));
        assert!(permits.into_iter().all(|permit| limiter.report(permit, Outcome::Success)));
    }
}

fn permits(limiter: &ConcurrencyLimiter, count: usize) -> Vec<ConcurrencyPermit> {
    (0..count).map(|_| limiter.try_acquire().expect("a permit")).collect()
}

#[test]
fn it_grows_while_calls_are_as_fast_as_without_a_queue() {
    let (limiter, clock) = made(AdaptiveConfig { probe: false, ..AdaptiveConfig::default() });
    saturate(&limiter, &clock, 600 * MS, |_| 20 * MS);
    assert_eq!(limiter.limit(), 40, "slow start doubles");
    saturate(&limiter, &clock, 20 * S, |_| 20 * MS);
    assert_eq!(limiter.limit(), 1_000);
}

#[test]
fn it_falls_to_what_the_server_can_do() {
    let (limiter, clock) = made(AdaptiveConfig::default());
    // Four at once, each 20 ms: more wait for each other.
    saturate(&limiter, &clock, 120 * S, |at_once| 20 * MS * u64::from(at_once.div_ceil(4)));
    assert!((4..=12).contains(&limiter.limit()), "{}", limiter.limit());
}

#[test]
fn a_permit_counts_once_or_never() {
    let (limiter, clock) = made(AdaptiveConfig { probe: false, ..AdaptiveConfig::default() });
    // Given back without a word, ignored, or reported again: twenty of each are no sample.
    for _ in 0..20 {
        let [silent, ignored, twice] = [(); 3].map(|()| limiter.try_acquire().unwrap());
        clock.advance(Duration::from_millis(20));
        assert!(limiter.release(silent) && !limiter.report(silent, Outcome::Success));
        assert!(limiter.report(ignored, Outcome::Ignore) && !limiter.report(ignored, Outcome::Success));
        assert!(limiter.release(twice) && !limiter.report(twice, Outcome::Dropped));
    }
    clock.advance(Duration::from_secs(10));
    let held = permits(&limiter, 20);
    assert!(limiter.try_acquire().is_none(), "saturated");
    assert_eq!(limiter.limit(), 20);
    let dropped = limiter.guard(held[0]);
    drop(dropped);
    assert!(!limiter.report(held[0], Outcome::Success), "a dropped guard has given it back");
    assert!(limiter.guard(held[1]).success() && !limiter.release(held[1]));
    assert!(limiter.explain()[0].contains("after 1 windows"), "{:?}", limiter.explain());
    assert_eq!(limiter.limit(), 20, "one sample is no step");
}

#[test]
fn nobodys_permit_counts_for_nothing() {
    for mode in [Mode::DryRun, Mode::Disabled] {
        let clock = ManualClock::new(S);
        let adaptive = AdaptiveConfig::default().within(None, Some(1), None);
        let config = ConcurrencyConfig { mode, ..ConcurrencyConfig::adaptive(adaptive) };
        let limiter = ConcurrencyLimiter::with_config(config, (&clock).into()).unwrap();
        let all = permits(&limiter, 3);
        clock.advance(Duration::from_secs(1));
        let counted = all.into_iter().filter(|&permit| limiter.report(permit, Outcome::Success)).count();
        assert_eq!(counted, usize::from(mode == Mode::DryRun));
    }
}

#[test]
fn a_clock_that_steps_back_stops_nothing() {
    let (limiter, clock) = made(AdaptiveConfig { probe: false, ..AdaptiveConfig::default() });
    saturate(&limiter, &clock, 600 * MS, |_| 20 * MS);
    assert_eq!(limiter.limit(), 40);
    let held = permits(&limiter, 40);
    clock.set(clock.now() - 500 * S);
    assert!(held.into_iter().all(|permit| limiter.report(permit, Outcome::Success)));
    assert_eq!(limiter.limit(), 40, "what ended before it began says nothing");
    saturate(&limiter, &clock, 1_100 * MS, |_| 20 * MS);
    assert!(limiter.limit() > 40, "a window began anew");
    // Forward by a year: one window, and calls that took as long.
    let held = permits(&limiter, 40);
    clock.set(clock.now() + 31_536_000 * S);
    assert!(held.into_iter().all(|permit| limiter.report(permit, Outcome::Success)));
    assert!((1..=1_000).contains(&limiter.limit()));
    saturate(&limiter, &clock, 5 * S, |_| 20 * MS);
    assert!(limiter.limit() > 80);
}

#[test]
fn no_latency_and_every_latency_is_counted() {
    for latency in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let (limiter, clock) = made(AdaptiveConfig { probe: false, ..AdaptiveConfig::default() });
        for _ in 0..2 {
            let held = permits(&limiter, 20);
            assert!(limiter.try_acquire().is_none());
            clock.advance(Duration::from_millis(250));
            held.into_iter().for_each(|permit| assert!(limiter.report_latency(permit, Outcome::Success, latency)));
        }
        assert_eq!(limiter.limit(), 40, "{latency:?}");
    }
}

/// The limit falls to half of what is in flight without a queue, and only calls begun since count.
#[test]
fn a_probe_looks_at_an_unloaded_server() {
    let (limiter, clock) = made(AdaptiveConfig::default());
    let early = permits(&limiter, 20);
    assert!(limiter.try_acquire().is_none());
    clock.advance(Duration::from_millis(500));
    early.into_iter().for_each(|permit| assert!(limiter.report(permit, Outcome::Success)));
    // 20 calls in 500 ms of 500 ms each: 20 in flight, and half of that.
    assert_eq!(limiter.limit(), 10);
    assert!(limiter.explain().iter().any(|line| line.starts_with("probe: under way")), "{:?}", limiter.explain());
    for _ in 0..4 {
        assert_eq!(limiter.limit(), 10);
        let held = permits(&limiter, 10);
        assert!(limiter.try_acquire().is_none());
        clock.advance(Duration::from_millis(20));
        held.into_iter().for_each(|permit| assert!(limiter.report(permit, Outcome::Success)));
    }
    assert_eq!(limiter.limit(), 20);
    assert!(limiter.explain().iter().any(|line| line.starts_with("base: 19.9")), "{:?}", limiter.explain());
}

#[test]
fn a_probe_ends_though_nobody_reports() {
    let (limiter, clock) = made(AdaptiveConfig::default());
    let held = permits(&limiter, 20);
    assert!(limiter.try_acquire().is_none());
    clock.advance(Duration::from_millis(500));
    held.into_iter().for_each(|permit| assert!(limiter.report(permit, Outcome::Success)));
    let hanging = permits(&limiter, 10);
    clock.advance(Duration::from_secs(20));
    assert!(limiter.try_acquire().is_none());
    assert_eq!(limiter.limit(), 10);
    clock.advance(Duration::from_nanos(1));
    assert!(limiter.try_acquire().is_none(), "this one's refusal ends it");
    assert_eq!((limiter.limit(), permits(&limiter, 10).len()), (20, 10));
    drop(hanging);
}

#[test]
fn a_lowered_limit_lets_the_present_finish() {
    let config = AdaptiveConfig { probe: false, base: Some(Duration::from_millis(1)), ..AdaptiveConfig::default() };
    let (limiter, clock) = made(config);
    let held = permits(&limiter, 20);
    clock.advance(Duration::from_millis(500));
    held[..10].iter().for_each(|&permit| assert!(limiter.report(permit, Outcome::Success)));
    assert_eq!(limiter.limit(), 20, "too few");
    clock.advance(Duration::from_secs(5));
    assert!(limiter.report(held[10], Outcome::Success));
    // 20/2 + (20 · 0.5 + 1)/2.
    assert_eq!((limiter.limit(), limiter.in_use()), (15, 9));
    assert_eq!(permits(&limiter, 6).len(), 6);
    assert!(limiter.try_acquire().is_none());
}

#[test]
fn waiting_for_the_permit_counts() {
    let config = AdaptiveConfig { max_latency: Some(Duration::from_millis(50)), ..AdaptiveConfig::default() };
    let (limiter, clock) = made(config.within(None, Some(10), None));
    let held = permits(&limiter, 10);
    let mut waits: Vec<_> = (0..10).map(|_| limiter.listen(Waker::noop())).collect();
    clock.advance(Duration::from_millis(500));
    held.into_iter().for_each(|permit| assert!(limiter.release(permit)));
    for _ in 0..2 {
        let granted: Vec<_> = waits.iter_mut().map(|wait| wait.take().expect("a place is free")).collect();
        clock.advance(Duration::from_millis(1));
        waits = (0..10).map(|_| limiter.listen(Waker::noop())).collect();
        granted.into_iter().for_each(|permit| assert!(limiter.report(permit, Outcome::Success)));
    }
    clock.advance(Duration::from_millis(500));
    waits.iter_mut().for_each(|wait| {
        let permit = wait.take().expect("a place is free");
        assert!(limiter.report(permit, Outcome::Success));
    });
    // Calls of 1 ms after 500 ms in the line are calls of 501 ms.
    assert_eq!(limiter.limit(), 7, "{:?}", limiter.explain());
}

#[test]
fn a_latency_above_the_most_lowers_the_limit_and_teaches_nothing() {
    let config = AdaptiveConfig { max_latency: Some(Duration::from_millis(100)), ..AdaptiveConfig::default() };
    let (limiter, clock) = made(config);
    saturate(&limiter, &clock, 100 * S, |_| 150 * MS);
    assert_eq!(limiter.limit(), 1);
    assert!(limiter.explain().contains(&"max latency: above 100ms the limit falls and the base stays".to_owned()));
    assert!(limiter.explain().iter().any(|line| line.starts_with("probe: 0 so far")), "{:?}", limiter.explain());
}

#[test]
fn a_fixed_base_is_not_measured() {
    let base = Some(Duration::from_millis(30));
    let (limiter, clock) = made(AdaptiveConfig { base, ..AdaptiveConfig::default() });
    saturate(&limiter, &clock, 60 * S, |at_once| 20 * MS + MS * u64::from(at_once));
    // 40 at once take the 60 ms that are allowed.
    assert!((25..=55).contains(&limiter.limit()), "{}", limiter.limit());
    assert!(limiter.explain().contains(&"base: 30ms, fixed".to_owned()));
}

#[test]
fn quick_refusals_downstream_are_no_fast_calls() {
    let (limiter, clock) = made(AdaptiveConfig { probe: false, ..AdaptiveConfig::default() });
    saturate(&limiter, &clock, 600 * MS, |_| 20 * MS);
    assert_eq!(limiter.limit(), 40);
    for _ in 0..600 {
        let held = permits(&limiter, limiter.limit() as usize);
        clock.advance(Duration::from_millis(1));
        held.into_iter().for_each(|permit| assert!(limiter.report(permit, Outcome::Dropped)));
    }
    assert!(limiter.limit() < 40, "a tenth less each window");
    let base = &limiter.explain()[2];
    assert!(base.starts_with("base: 19.") || base.starts_with("base: 2"), "{base}");
}

#[test]
fn a_busy_limit_measures_some_and_moves_the_same() {
    let config = AdaptiveConfig { probe: false, ..AdaptiveConfig::default() };
    let (limiter, clock) = made(config.within(None, None, Some(300)));
    // 30,000 calls a window.
    saturate(&limiter, &clock, 3 * S, |_| 5 * MS);
    assert_eq!(limiter.limit(), 300);
    saturate(&limiter, &clock, 5 * S, |at_once| 5 * MS * u64::from(at_once.div_ceil(50)));
    assert!((50..=200).contains(&limiter.limit()), "{}", limiter.limit());
}

#[test]
fn handles_of_one_name_feed_one_estimate_and_obey_one_limit() {
    let clock = ManualClock::new(S);
    let arena = Arena::private("adaptive", 1 << 20, (&clock).into()).unwrap();
    let adaptive = AdaptiveConfig { probe: false, ..AdaptiveConfig::default() };
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(adaptive) };
    let open = |config| ConcurrencyLimiter::in_arena(&arena, "service", config, OnConflict::Error);
    let (one, other) = (open(config).unwrap(), open(config).unwrap());
    let (here, there) = (permits(&one, 10), permits(&other, 10));
    assert!(one.try_acquire().is_none() && other.try_acquire().is_none());
    clock.advance(Duration::from_millis(500));
    // Neither has the 20 samples alone.
    here.into_iter().for_each(|permit| assert!(other.report(permit, Outcome::Success)));
    there.into_iter().for_each(|permit| assert!(one.report(permit, Outcome::Success)));
    assert_eq!((one.limit(), other.limit()), (40, 40));
    assert_eq!(one.explain(), other.explain());
    let looser = AdaptiveConfig { tolerance: 3.0, ..adaptive };
    let error = open(ConcurrencyConfig { adaptive: Some(looser), ..config }).unwrap_err();
    assert_eq!(error.kind(), tidegate::arena::ArenaErrorKind::Settings);
    let fixed = open(ConcurrencyConfig { max_limit: 1_000, mode: Mode::Enforce, ..ConcurrencyConfig::new(20) });
    assert_eq!(fixed.unwrap_err().kind(), tidegate::arena::ArenaErrorKind::Shape);
}

#[test]
fn wrong_settings_are_named() {
    let base = AdaptiveConfig::default;
    let wrong = [
        (AdaptiveConfig { min_limit: 0, ..base() }, "min_limit"),
        (AdaptiveConfig { min_limit: 2_000, ..base() }, "min_limit"),
        (AdaptiveConfig { initial_limit: 1_001, ..base() }, "initial_limit"),
        (AdaptiveConfig { initial_limit: 5, min_limit: 6, ..base() }, "initial_limit"),
        (AdaptiveConfig { max_limit: 5_000, ..base() }, "max_limit"),
        (AdaptiveConfig { tolerance: f64::NAN, ..base() }, "tolerance"),
        (AdaptiveConfig { tolerance: 0.9, ..base() }, "tolerance"),
        (AdaptiveConfig { window: Duration::ZERO, ..base() }, "window"),
        (AdaptiveConfig { max_window: Duration::from_millis(100), ..base() }, "max_window"),
        (AdaptiveConfig { samples: 0, ..base() }, "samples"),
        (AdaptiveConfig { max_latency: Some(Duration::ZERO), ..base() }, "max_latency"),
        (AdaptiveConfig { base: Some(Duration::ZERO), ..base() }, "base"),
        (AdaptiveConfig { backoff_ratio: 1.0, ..base() }, "backoff_ratio"),
    ];
    for (config, field) in wrong {
        assert_eq!(ConcurrencyLimiter::adaptive(config).unwrap_err().field(), field, "{config:?}");
    }
    let (limiter, _) = made(base());
    assert_eq!(limiter.set_limit(5).unwrap_err().field(), "limit");
    assert_eq!("median".parse::<AdaptiveAlgorithm>().unwrap_err().field(), "algorithm");
    assert_eq!("failed".parse::<Outcome>().unwrap_err().field(), "outcome");
    for it in Outcome::ALL {
        assert_eq!(it.name().parse::<Outcome>().unwrap(), it);
    }
    assert_eq!(base().within(None, None, Some(10)).initial_limit, 10);
    assert_eq!(
        base().within(Some(2_000), None, None),
        AdaptiveConfig { min_limit: 2_000, initial_limit: 2_000, max_limit: 2_000, ..base() }
    );
}

/// Whatever moves the limit, no more are in flight than the highest that it has been since the first of them came.
#[test]
fn threads_are_never_more_than_the_limit() {
    use std::sync::atomic::{AtomicU32, Ordering};

    let config = AdaptiveConfig { window: Duration::from_millis(10), ..AdaptiveConfig::default() };
    let config = config.within(Some(1), Some(4), Some(8));
    let limiter = ConcurrencyLimiter::adaptive(config).unwrap();
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let (limiter, inside, most) = (&limiter, &inside, &most);
            scope.spawn(move || {
                for call in 0..2_000 {
                    let Some(permit) = limiter.try_acquire() else {
                        std::thread::yield_now();
                        continue;
                    };
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let outcome = Outcome::ALL[(thread + call) % 3];
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(limiter.report(permit, outcome));
                }
            });
        }
    });
    assert!(most.into_inner() <= 8 && limiter.in_use() == 0);
    assert!((1..=8).contains(&limiter.limit()));
}
