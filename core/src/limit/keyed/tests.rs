use super::*;
use crate::ManualClock;

const MS: u64 = 1_000_000;

fn limiter(algorithm: Algorithm, rate: &str) -> RateLimiter {
    let config = LimiterConfig { max_keys: 100, ..LimiterConfig::new(algorithm, rate.parse().unwrap()) };
    RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap()
}

fn admitted(limiter: &RateLimiter, at: u64, tries: usize) -> usize {
    (0..tries).filter(|_| limiter.try_acquire_at(at, b"key", 1)).count()
}

#[test]
fn every_algorithm_admits_its_limit_at_once_and_no_more() {
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, "10/min");
        // What paces takes one at once, the others wait.
        let at_once = if algorithm == Algorithm::LeakyBucket { 1 } else { 10 };
        assert_eq!(admitted(&limiter, 7 * MS, 30), at_once, "{algorithm}");
        assert!(limiter.try_acquire_at(7 * MS, b"other", 1), "{algorithm}");
        assert_eq!(limiter.len_at(8 * MS), 2, "{algorithm}");
    }
}

#[test]
fn waiting_as_long_as_told_is_enough_and_less_is_not() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::SlidingLog] {
        let limiter = limiter(algorithm, "10/min");
        assert_eq!(admitted(&limiter, 7 * MS, 10), 10);
        let denied = limiter.check_at(8 * MS, b"key", 3);
        assert!(!denied.allowed && denied.remaining == 0, "{algorithm} {denied:?}");
        let then = 8 * MS + denied.retry_after_ns;
        assert!(!limiter.check_at(then - 1_000, b"key", 3).allowed, "{algorithm} {denied:?}");
        assert!(limiter.check_at(then, b"key", 3).allowed, "{algorithm} {denied:?}");
    }
}

#[test]
fn a_leaky_bucket_paces() {
    let limiter = limiter(Algorithm::LeakyBucket, "4/s");
    let delays: Vec<_> = (0..5).map(|_| limiter.check_at(0, b"key", 1)).collect();
    assert_eq!(delays.iter().map(|d| d.delay_ns / MS).collect::<Vec<_>>(), [0, 250, 500, 750, 0]);
    assert!(!delays[4].allowed);
    assert_eq!(delays[4].retry_after_ns, 250 * MS);
}

#[test]
fn memory_is_at_most_forty_bytes_a_key() {
    let quota = "100/min".parse().unwrap();
    let limiter = RateLimiter::new(Algorithm::TokenBucket, quota, 100_000).unwrap();
    assert!(limiter.memory() <= 40 * 100_000, "{}", limiter.memory());
}

#[test]
fn a_full_table_still_decides_and_gives_keys_their_own_cell() {
    let limiter = limiter(Algorithm::TokenBucket, "10/min");
    for key in 0_u32..100 {
        assert!(limiter.try_acquire_at(0, &key.to_le_bytes(), 10));
    }
    for key in 0_u32..100 {
        assert!(!limiter.try_acquire_at(0, &key.to_le_bytes(), 1));
    }
    // A flood of others takes nothing from them.
    let others = (1000_u32..21_000).filter(|key| limiter.try_acquire_at(0, &key.to_le_bytes(), 10)).count();
    assert!(others < 700, "{others}");
    for key in 0_u32..100 {
        assert!(!limiter.try_acquire_at(0, &key.to_le_bytes(), 1));
    }
    assert!(limiter.stats().overflowed > 19_000, "{:?}", limiter.stats());
    // A minute later all of them are idle.
    let later = 61_000 * MS;
    assert_eq!(limiter.len_at(later), 0);
    for key in 0_u32..50 {
        assert!(limiter.try_acquire_at(later, &(key + 50_000).to_le_bytes(), 10));
    }
    assert!(limiter.stats().evictions >= 40, "{:?}", limiter.stats());
}

#[test]
fn blocks_grow() {
    let block = Block::new(3, Duration::from_secs(60), Duration::from_secs(10), 2.0, None).unwrap();
    let config =
        LimiterConfig { block: Some(block), ..LimiterConfig::new(Algorithm::TokenBucket, "1/s".parse().unwrap()) };
    let limiter = RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap();
    assert_eq!(admitted(&limiter, 0, 4), 1);
    let blocked = limiter.check_at(0, b"key", 1);
    assert!((11_000..11_010).contains(&(blocked.retry_after_ns / MS)), "{blocked:?}");
    // Empty at the end of the block, so one more second until it passes.
    let after = blocked.retry_after_ns;
    assert!(!limiter.peek_at(after - 1, b"key", None).allowed);
    assert_eq!(admitted(&limiter, after, 4), 1);
    let again = limiter.check_at(after, b"key", 1);
    assert!((21_000..21_010).contains(&(again.retry_after_ns / MS)), "{again:?}");
    assert_eq!(limiter.stats().blocked, 2);
}

#[test]
fn years_of_silence_are_not_taken_for_the_future() {
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, "10/min");
        let mut at = 0;
        for step in [1, 59, 61, 3_600, 16_000, 20_000, 86_400, 7 * 86_400, 365 * 86_400, 17 * 86_400 + 11] {
            at += step * 1_000 * MS;
            if step > 121 {
                let at_once = if algorithm == Algorithm::LeakyBucket { 1 } else { 10 };
                assert_eq!(admitted(&limiter, at, 12), at_once, "{algorithm} after {step} s");
            }
        }
    }
}

#[test]
fn both_windows_of_a_sliding_counter_can_be_seen() {
    let limiter = limiter(Algorithm::SlidingWindow, "10/s");
    let seen = |at: u64| limiter.windows_at(at, b"key").map(|w| (w.previous, w.current, w.left_ns));
    assert_eq!(seen(0), Ok((0, 0, 1_000 * MS)));
    assert_eq!(admitted(&limiter, 200 * MS, 4), 4);
    assert_eq!(seen(250 * MS), Ok((0, 4, 750 * MS)));
    assert_eq!(admitted(&limiter, 1_100 * MS, 2), 2);
    assert_eq!(seen(1_100 * MS), Ok((4, 2, 900 * MS)));
    assert_eq!(seen(3_000 * MS), Ok((0, 0, 1_000 * MS)));
    assert_eq!(self::limiter(Algorithm::FixedWindow, "10/s").windows(b"key").unwrap_err().field(), "algorithm");
}

#[test]
fn a_short_block_is_no_pardon() {
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, "5 per 15 minutes");
        while limiter.check_at(0, b"key", 1).allowed {}
        assert!(limiter.penalize_at(0, b"key", Duration::from_secs(1)));
        let in_an_hour = (0..=3_600).filter(|s| limiter.check_at(s * 1_000 * MS, b"key", 1).allowed).count();
        assert!(in_an_hour <= 20, "{algorithm}: {in_an_hour} in an hour");
    }
}

#[test]
fn a_sliding_window_judges_an_older_reading_by_its_own_window() {
    let (s, limiter) = (1_000 * MS, limiter(Algorithm::SlidingWindow, "100/s"));
    assert_eq!(admitted(&limiter, 2 * s - 1, 90), 90);
    assert_eq!(admitted(&limiter, 2 * s, 100), 10);
    // The window before may have been full: what an older reading would see of it is lost.
    assert_eq!(admitted(&limiter, 2 * s - 1, 100), 0);
}

#[test]
fn a_penalty_that_lasts_until_years_of_counts_are_over_is_none_less() {
    let year = 365 * 86_400 * 1_000 * MS;
    for (algorithm, count, years) in [
        (Algorithm::LeakyBucket, 3, 1),
        (Algorithm::FixedWindow, 3, 3),
        (Algorithm::SlidingWindow, 3, 3),
        (Algorithm::SlidingLog, 3, 3),
    ] {
        let count_of_period = if algorithm == Algorithm::LeakyBucket { 1 } else { count };
        let quota = Quota::new(count_of_period, Duration::from_nanos(years * year)).unwrap().with_burst(count).unwrap();
        let config = LimiterConfig { max_keys: 100, ..LimiterConfig::new(algorithm, quota) };
        let limiter = RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap();
        assert!((0..3).all(|_| limiter.check_at(7, b"key", 1).allowed), "{algorithm}");
        assert!(limiter.penalize_at(7, b"key", Duration::from_secs(60)));
        for at in [7, 61_000 * MS, year, 2 * year] {
            assert!(!limiter.check_at(at, b"key", 1).allowed, "{algorithm} at {at}");
        }
    }
}

/// A window that ends on an earlier tick puts two windows' counts into one period: at a day and a large limit, a second
/// early.
#[test]
fn a_fixed_window_never_ends_before_its_period() {
    for (count, period) in [(5, 86_400_u64), (1_000_000, 86_400), (1_000_000, 3_600), (262_143, 30 * 86_400)] {
        let quota = Quota::new(count, Duration::from_secs(period)).unwrap();
        let config = LimiterConfig { max_keys: 64, ..LimiterConfig::new(Algorithm::FixedWindow, quota) };
        for start in (0..50).map(|n| 1_000_000_007 * (n + 1) * 97) {
            let limiter = RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap();
            assert!(limiter.try_acquire_at(start, b"a", quota.burst()));
            let end = start + period * 1_000_000_000;
            assert!(!limiter.try_acquire_at(end - 1, b"a", 1), "{quota} from {start}");
        }
    }
}

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow];

/// A limiter of one line, so that whatever sweeps it sweeps the key.
fn line(algorithm: Algorithm, quota: Quota) -> RateLimiter {
    let config = LimiterConfig { max_keys: 1, ..LimiterConfig::new(algorithm, quota) };
    RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap()
}

/// Takes all that there is at once, however late each call is told to be.
fn drain(limiter: &RateLimiter, at: u64, key: &[u8]) -> usize {
    (0..3_000).take_while(|_| limiter.check_at(at, key, 1).allowed).count()
}

#[test]
fn a_late_thread_mints_nothing_however_late() {
    let s = 1_000 * MS;
    for algorithm in ALGORITHMS {
        for (rate, burst) in [("10/s", 10), ("1000000/s", 2_000), ("10000000/s", 1_000), ("10/min", 10), ("5/day", 5)] {
            let quota = rate.parse::<Quota>().unwrap().with_burst(burst).unwrap();
            let limiter = line(algorithm, quota);
            let at = 40 * 365 * 86_400 * s + 77;
            assert_eq!(drain(&limiter, at, b"key"), burst as usize, "{algorithm} {rate}");
            for late in [0, 1, 200 * MS, 1_500 * MS, 40 * s, 61 * s, 62 * s, 600 * s, 9_000 * s, 86_400 * s] {
                assert_eq!(drain(&limiter, at - late, b"key"), 0, "{algorithm} {rate} {late} late");
                assert_eq!(drain(&limiter, at, b"key"), 0, "{algorithm} {rate} after one {late} late");
            }
        }
    }
}

/// The largest capacity that a state can say: 32 epochs ahead, swept in each.
#[test]
fn the_largest_burst_comes_back_exactly_and_mints_nothing() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket] {
        for rate in ["1048576/s", "1048576/month", "1048576/year", "65537/ms"] {
            let quota = rate.parse::<Quota>().unwrap().with_burst(1 << 20).unwrap();
            let limiter = line(algorithm, quota);
            let (at, fill) = (1_000_000_000_000_000_077, quota.fill_time().as_nanos() as u64);
            let left = |at: u64| limiter.peek_at(at, b"key", None).remaining;
            assert!(limiter.check_at(at, b"key", 1 << 20).allowed, "{algorithm} {rate}");
            assert_eq!(left(at), 0);
            for late in (0..100).map(|step| fill / 40 * step) {
                assert!(!limiter.check_at(at - late, b"key", 1 << 16).allowed, "{algorithm} {rate} {late} late");
                assert_eq!(left(at), 0, "{algorithm} {rate} after one {late} late");
            }
            for step in 1..=64 {
                let part = f64::from(left(at + fill / 64 * step)) / f64::from(1 << 20);
                let wanted = step as f64 / 64.0;
                assert!(part <= wanted && part > wanted * 0.999, "{algorithm} {rate} {step}: {part}");
                // Another key sweeps the line.
                assert!(limiter.check_at(at + fill / 64 * step, &step.to_le_bytes(), 1).allowed);
            }
            assert!(limiter.check_at(at + fill + fill / 1_000, b"key", 1 << 20).allowed, "{algorithm} {rate}");
        }
    }
}

/// A charge that a set takes back may have come back since by a quota that fills sooner than its own.
#[test]
fn what_is_taken_back_has_come_back_by_no_quota() {
    let s = 1_000 * MS;
    let [slow, fast] = ["5/min", "60/s"].map(|rate| rate.parse::<Quota>().unwrap());
    let config = LimiterConfig { fastest: Some(fast), ..LimiterConfig::new(Algorithm::TokenBucket, slow) };
    let limiter = RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap();
    let (tier, key) = (limiter.tier(fast).unwrap(), limiter.hash(b"key"));
    let (_, receipt) = limiter.charge_at(s, key, 4).unwrap();
    // All of it comes back in a second, and all is taken again.
    assert!(limiter.check_tier_at(s, b"key", 1, &tier).allowed);
    assert!(limiter.check_tier_at(3 * s, b"key", 60, &tier).allowed);
    limiter.undo_at(3 * s, receipt);
    assert!(!limiter.check_tier_at(3 * s, b"key", 1, &tier).allowed);
    // At once it comes back whole, under another quota too.
    let (_, receipt) = limiter.charge_at(9 * s, key, 4).unwrap();
    assert!(limiter.check_tier_at(9 * s, b"key", 6, &tier).allowed);
    limiter.undo_at(9 * s, receipt);
    let left = limiter.peek_at(9 * s, b"key", Some(&tier)).remaining;
    assert!((53..=54).contains(&left), "{left}");
}

/// Whatever two quotas put of one key, in a cell and in a word of the sketch, the one state of both admits no more than
/// each.
#[test]
fn merged_states_admit_no_more_than_each() {
    use super::kind::{CellAlgorithm, Gcra, Layout, Verdict};
    use super::units::{bucket_measure, bucket_units};
    let quotas = ["5/min", "60/s", "7 per 3 s", "100 per 20 s"].map(|rate| rate.parse::<Quota>().unwrap());
    let measure = bucket_measure(&quotas).unwrap();
    let room = &mut ObjectAllocator::of_process(false);
    let kind = Gcra::in_room(room, measure, 1 << 14, false, Present::new(ManualClock::new(0).into(), 0)).unwrap();
    let units = quotas.map(|quota| {
        let units = bucket_units(measure.ticks, &quota).unwrap();
        kind.fills().raise(&units);
        kind.fills().add(&units).unwrap()
    });
    let mut rng = fastrand::Rng::with_seed(0x6d65_7267);
    let start = 1_000_000_000 * MS;
    for _ in 0..20_000 {
        let mut put = || {
            let (by, at) = (rng.choice(&units).unwrap(), start + rng.u64(..70_000 * MS));
            let fresh = kind.fresh(kind.now(start - rng.u64(..2_000 * MS)).tick);
            match kind.judge(by, fresh, kind.now(at), rng.u32(1..=by.burst)) {
                Verdict::Admit { state, .. } if rng.u8(..8) > 0 => state,
                _ => fresh,
            }
        };
        let (a, b) = (put(), put());
        let now = kind.now(start + 70_000 * MS + rng.u64(..2_000 * MS) - rng.u64(..60_000 * MS));
        let merged = kind.merge(a, b, now);
        for later in [0, 10, 1_000, 9_000] {
            let now = kind.now(now.ns + later * MS);
            for quota in &units {
                let left = |state| kind.level(quota, state, now).remaining;
                assert!(left(merged) <= left(a).min(left(b)), "{a:x} {b:x} {now:?} {quota:?}");
            }
        }
    }
}

#[test]
fn a_line_is_not_swept_for_a_thread_that_is_many_epochs_late() {
    let s = 1_000 * MS;
    for algorithm in ALGORITHMS {
        let limiter = line(algorithm, "10/s".parse().unwrap());
        let at = 1_000_000 * s;
        assert_eq!(drain(&limiter, at, b"key"), 10);
        for late in (1..200).map(|epochs| epochs * 17 * s / 4) {
            assert!(!limiter.try_acquire_at(at - late, b"key", 1), "{algorithm} {late} late");
            assert!(!limiter.try_acquire_at(at, b"key", 1), "{algorithm} after one {late} late");
        }
    }
}

#[test]
fn a_late_penalty_is_no_pardon() {
    let s = 1_000 * MS;
    for algorithm in ALGORITHMS {
        let limiter = line(algorithm, "10/min".parse().unwrap());
        let at = 100_000 * s;
        assert_eq!(drain(&limiter, at, b"key"), 10);
        assert!(limiter.penalize_at(at - 5_000 * s, b"key", Duration::from_millis(1)));
        assert_eq!(drain(&limiter, at - 4_000 * s, b"key"), 0, "{algorithm}");
        assert_eq!(drain(&limiter, at, b"key"), 0, "{algorithm}");
    }
}

#[test]
fn a_bad_reading_heals_in_a_minute_and_what_it_touched_in_a_refill_more() {
    let s = 1_000 * MS;
    for algorithm in ALGORITHMS {
        for ahead in [3_600 * s, 86_400 * s] {
            let limiter = limiter(algorithm, "10/min");
            let old: Vec<_> = (0_u32..50).map(|key| key.to_le_bytes()).collect();
            let start = 100_000 * s;
            let all = |at: u64| old.iter().filter(|key| limiter.check_at(at, *key, 10).allowed).count();
            assert_eq!(all(start), 50);
            assert_eq!(drain(&limiter, start + ahead, b"bad"), 10);
            // New keys may have to wait, and can be penalised; old ones go on, but for those of the line that was
            // touched.
            let _ = limiter.check_at(start + s, b"new", 11);
            assert!(limiter.penalize_at(start + s, b"penalised", Duration::from_secs(70)));
            let going_on = old.iter().filter(|key| limiter.check_at(start + 50 * s, *key, 5).allowed).count();
            let wanted = if matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket) { 43 } else { 0 };
            assert!(going_on >= wanted, "{algorithm} {going_on}");
            let healed = start + 62 * s;
            assert_eq!(drain(&limiter, healed, b"new"), 10, "{algorithm}");
            assert_eq!(drain(&limiter, healed, b"penalised"), 0, "{algorithm}");
            // Used up, for two windows at most.
            assert_eq!(drain(&limiter, healed, b"bad"), 0, "{algorithm}");
            assert_eq!(drain(&limiter, healed + 121 * s, b"bad"), 10, "{algorithm}");
            assert_eq!(all(healed + 200 * s), 50, "{algorithm}");
        }
    }
}

#[test]
fn readings_that_go_on_beside_a_late_thread_heal_nothing() {
    let s = 1_000 * MS;
    for algorithm in ALGORITHMS {
        let limiter = line(algorithm, "10/h".parse().unwrap());
        let start = 1_000_000 * s;
        assert_eq!(drain(&limiter, start, b"key"), 10);
        for step in (1..200).map(|step| step * s) {
            // New keys all the time, of a thread that is late and of one that is not.
            let _ = limiter.check_at(start - 3_000 * s + step, &(step + 1).to_le_bytes(), 1);
            let _ = limiter.check_at(start + step, &step.to_le_bytes(), 1);
            assert!(!limiter.check_at(start - 3_000 * s + step, b"key", 1).allowed, "{algorithm}");
            assert!(!limiter.check_at(start + step, b"key", 1).allowed, "{algorithm}");
        }
    }
}

#[test]
fn a_sliding_window_tells_a_late_thread_a_wait_that_is_enough() {
    let (s, limiter) = (1_000 * MS, limiter(Algorithm::SlidingWindow, "100/s"));
    assert_eq!(admitted(&limiter, 5 * s, 100), 100);
    for late in [1, 300 * MS, s, 2 * s + 7] {
        let denied = limiter.check_at(5 * s - late, b"key", 1);
        assert!(!denied.allowed && denied.reset_after_ns >= late + s, "{denied:?}");
        let then = 5 * s - late + denied.retry_after_ns;
        assert!(!limiter.peek_at(then - 1, b"key", None).allowed && limiter.peek_at(then, b"key", None).allowed);
    }
}
