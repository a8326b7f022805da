//! What a reading of a clock that goes back afterwards leaves behind, once the limit is back at the present.

use super::{MS, S};
use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimitSet, LimiterConfig, Member, Mode, RateLimiter};
use tidegate::{ManualClock, Quota};

const LIMIT: u32 = 100;
const HOUR: u64 = 3_600 * S;

/// 100 an hour, and one line, in which all keys meet.
fn one_line(algorithm: Algorithm) -> (ManualClock, RateLimiter) {
    let clock = ManualClock::new(0);
    let quota = Quota::new(LIMIT.into(), Duration::from_nanos(HOUR)).expect("a sound quota");
    let config = LimiterConfig { max_keys: 1, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
    let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
    (clock, limiter)
}

/// A key that lost its cell as of a reading ahead, and what others were charged in the word that it shares since.
#[test]
fn a_word_of_a_later_window_does_not_pardon() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        for ahead in [2 * HOUR, 3 * HOUR, 4 * HOUR, 200 * HOUR] {
            for others in 7..12_u8 {
                let (clock, limiter) = one_line(algorithm);
                let take = |at: u64, key: &[u8]| {
                    clock.set(at);
                    limiter.try_acquire(key, 1)
                };
                while take(S, b"victim") {}
                for other in 0..others {
                    let _ = take(S + ahead, &[other]);
                }
                clock.set(S);
                assert!(limiter.peek(b"victim", None).remaining < 2, "{algorithm}");
                let admitted = (3..60).filter(|&half| take(half * 500 * MS, b"victim")).count();
                assert!(admitted < 2, "{algorithm} {} h ahead, {others} others: {admitted}", ahead / HOUR);
            }
        }
    }
}

/// A penalty that is put while a bad reading is believed lasts for as long as that makes a count last; no such penalty
/// may end as a pardon when the limit heals.
#[test]
fn a_penalty_beside_a_bad_reading_is_no_pardon() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::SlidingLog] {
        for ahead in [2 * HOUR, 200 * HOUR, 20_000 * HOUR] {
            let (clock, limiter) = one_line(algorithm);
            let take = |at: u64, key: &[u8]| {
                clock.set(at);
                limiter.try_acquire(key, 1)
            };
            while take(S, b"victim") {}
            take(S + ahead, b"other");
            clock.set(2 * S);
            limiter.penalize(b"victim", Duration::from_secs(1));
            // What comes back to a bucket in that time, and no more.
            let most = if algorithm == Algorithm::TokenBucket { 200 * u64::from(LIMIT) / 3_600 } else { 0 };
            let admitted = (5..400).filter(|&half| take(half * 500 * MS, b"victim")).count() as u64;
            assert!(admitted <= most, "{algorithm} {} h ahead: {admitted}", ahead / HOUR);
        }
    }
}

/// A penalty that a bad reading put is one of long ago to some readings, and in force to others that are a little ahead
/// of them: by whichever of them the limit heals, it is no pardon.
#[test]
fn a_bad_reading_s_penalty_is_no_pardon_whoever_heals() {
    const YEAR: u64 = 365 * 24 * HOUR;
    for algorithm in ALL {
        for step in 0..24 {
            let (clock, limiter) = one_line(algorithm);
            let now = 5_000 * HOUR;
            clock.set(now);
            while limiter.check(b"victim", 1).allowed {}
            let bad = now + YEAR - HOUR + step * HOUR / 4;
            limiter.penalize_at(bad, b"victim", Duration::from_nanos(YEAR));
            let taken = |at: u64| (0..200).filter(|_| limiter.check_at(at, b"victim", 1).allowed).count();
            assert_eq!(taken(now), 0, "{algorithm} {step}");
            let _ = limiter.peek_at(now + 3 * HOUR / 4, b"victim", None);
            assert_eq!(taken(now), 0, "{algorithm} {step}: healed by a look ahead");
            clock.set(now + 61 * S);
            let most = usize::from(matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket)) * 2;
            assert!(taken(now + 61 * S) <= most, "{algorithm} {step}: healed by the clock");
        }
    }
}

const ALL: [Algorithm; 5] = [
    Algorithm::TokenBucket,
    Algorithm::LeakyBucket,
    Algorithm::FixedWindow,
    Algorithm::SlidingWindow,
    Algorithm::SlidingLog,
];

/// A key whose cell was given away as of a reading ahead has not lost its count when the limit is back.
#[test]
fn a_key_that_lost_its_cell_is_no_new_one() {
    for algorithm in ALL {
        for ahead in [HOUR, 3 * HOUR / 2, 2 * HOUR, 3 * HOUR, 10 * HOUR, 200 * HOUR, 20_000 * HOUR] {
            for others in 7..16_u8 {
                let (clock, limiter) = one_line(algorithm);
                let take = |at: u64, key: &[u8]| {
                    clock.set(at);
                    limiter.check(key, 1).allowed
                };
                while take(S, b"victim") {}
                for other in 0..others {
                    let _ = take(2 * S + ahead, &[other]);
                }
                if others > 11 {
                    let _ = take(2 * S + ahead + 2 * HOUR, b"victim");
                }
                // What comes back to a bucket meanwhile, and no more.
                let bucket = matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket);
                let mut admitted = 0;
                for at in (2..3_600).step_by(7) {
                    admitted += u64::from(take(at * S, b"victim"));
                    let most = if bucket { at * u64::from(LIMIT) / 3_600 } else { 0 };
                    let hours = ahead as f64 / HOUR as f64;
                    assert!(admitted <= most, "{algorithm} {hours} h ahead, {others} others: {admitted} at {at} s");
                }
            }
        }
    }
}

/// The same of a reading that is ahead by too little to be a bad one.
#[test]
fn a_reading_a_little_ahead_makes_no_key_new() {
    for algorithm in ALL {
        let clock = ManualClock::new(0);
        let quota = Quota::new(LIMIT.into(), Duration::from_secs(50)).expect("a sound quota");
        let config = LimiterConfig { max_keys: 1, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
        let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
        let take = |at: u64, key: &[u8]| {
            clock.set(at);
            limiter.check(key, 1).allowed
        };
        while take(S, b"victim") {}
        for other in 0..8 {
            let _ = take(60 * S, &[other]);
        }
        let admitted = (0..100).filter(|_| take(2 * S, b"victim")).count();
        assert!(admitted <= 2, "{algorithm}: {admitted}");
    }
}

/// A line that a reading ahead swept for an epoch which the clock has come into since: what is charged there is of now,
/// though the latest moment, which only other lines raise, is still before that epoch.
#[test]
fn a_look_pardons_nobody_in_an_epoch_that_has_come() {
    let config = LimiterConfig { max_keys: 40, ..LimiterConfig::new(Algorithm::TokenBucket, "20/h".parse().unwrap()) };
    for round in 0..400 {
        let clock = ManualClock::new(0);
        let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
        let start = 100_000 * S + round * 37 * S;
        let take = |at: u64, key: &[u8]| {
            clock.set(at);
            limiter.try_acquire(key, 1)
        };
        take(start, b"key");
        for key in [b"others", &b"key"[..]] {
            let _ = limiter.try_acquire_at(start + 3_725 * S, key, 1);
        }
        for at in [start, start + 61 * S, start + 61 * S] {
            take(at, b"other");
        }
        let at = start + 2 * HOUR;
        let before = (0..40).filter(|_| take(at, b"key")).count();
        for other in 0..200_u8 {
            let _ = limiter.peek(&[other], None);
        }
        let after = (0..40).filter(|_| take(at, b"key")).count();
        assert!(before + after <= 20, "round {round}: {before} and {after}");
    }
}

/// A clock that goes ahead, back, forward into the epoch that it was ahead in, where a key takes all, and back again,
/// where the line is healed: what was taken is not forgotten when the clock is right again.
#[test]
fn a_clock_that_steps_back_twice_mints_nothing() {
    const LIMIT: u64 = 20;
    for (algorithm, fill, lead, asked) in cases() {
        for off in 0..24 {
            for back in [3, fill / 4, fill / 2, fill * 9 / 10] {
                let clock = ManualClock::new(0);
                let quota = Quota::new(LIMIT, Duration::from_secs(fill)).expect("a sound quota");
                let config = LimiterConfig { max_keys: 1, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
                let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
                let take = |at: u64, key: &[u8]| {
                    clock.set(at);
                    (0..2 * LIMIT).take_while(|_| limiter.try_acquire_at(at, key, 1)).count() as u64
                };
                let start = (20 * fill + 600) * S + off * fill * S / 7;
                let there = start + (61 + back) * S;
                let _ = limiter.try_acquire_at(start - 3 * fill * S, b"key", 1);
                clock.set(there + lead * S);
                let _ = limiter.try_acquire(if asked { b"key" } else { b"bad" }, 1);
                clock.set(start);
                for key in [b"oth", b"new"] {
                    let _ = limiter.try_acquire(key, 1);
                }
                if asked {
                    let _ = take(start, b"key");
                }
                let taken = take(there, b"key");
                clock.set(there - back * S);
                for key in [b"oth", b"nxt", b"key"] {
                    let _ = limiter.try_acquire(key, 1);
                }
                let mut sum = taken;
                for step in 1..40 {
                    let at = there + fill * S * step / 40;
                    sum += take(at, b"key");
                    // Of windows that are weighted: what was taken counts whole in its own, and fades over the next.
                    let left = LIMIT - (LIMIT * step / 40);
                    let most = match algorithm {
                        Algorithm::TokenBucket | Algorithm::LeakyBucket => 2 * LIMIT - left,
                        Algorithm::SlidingLog => LIMIT,
                        Algorithm::FixedWindow => 2 * LIMIT,
                        _ if there / (fill * S) == at / (fill * S) => LIMIT,
                        _ => {
                            let left_ns = fill * S - at % (fill * S);
                            taken + LIMIT - (taken * left_ns).div_ceil(fill * S).min(LIMIT)
                        }
                    };
                    assert!(sum <= most + 1, "{algorithm} {fill} s, {off}, {back}, {lead}: {sum} of {most} by {step}");
                }
            }
        }
    }
}

/// Algorithms, the time of the limit, how far ahead the bad reading is, and whether the key had met it.
fn cases() -> impl Iterator<Item = (Algorithm, u64, u64, bool)> {
    ALL.into_iter().flat_map(|algorithm| {
        [(20, 65), (68, 65), (100, 65), (100, 150), (400, 65), (400, 400), (3_600, 150)]
            .into_iter()
            .flat_map(move |(fill, lead)| [false, true].map(|asked| (algorithm, fill, lead, asked)))
    })
}

/// Strangers with a reading an hour ahead that fill the blocks of a line, and the one that it shares: all of it goes
/// back in one minute.
#[test]
fn strangers_ahead_keep_new_keys_of_a_log_out_for_a_minute() {
    for strangers in [7, 8, 30, 200] {
        let clock = ManualClock::new(0);
        let quota = "10/s".parse().expect("a quota");
        let config = LimiterConfig { max_keys: 1, ..LimiterConfig::new(Algorithm::SlidingLog, quota) };
        let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
        for key in 0..strangers {
            let _ = limiter.try_acquire_at(100 * S + HOUR, &[key, 1], 1);
        }
        let admitted = |second: &u64| {
            clock.set((100 + second) * S);
            limiter.try_acquire(b"new", 1)
        };
        let first = (0..1_000).find(admitted);
        // A second more, in which what was put counts as of the present.
        assert!(first.is_some_and(|second| second <= 61), "{strangers}: {first:?}");
    }
}

/// Strangers with two readings ahead, of which the second takes the cells that the first had charged and fills the word
/// that keys share: new keys are denied until both are over, and not once more because nobody asked meanwhile.
#[test]
fn what_keys_share_is_put_in_order_while_the_rest_still_denies() {
    for algorithm in ALL {
        for (seconds, in_a_set) in [20, 400, 3_600].into_iter().flat_map(|seconds| [(seconds, false), (seconds, true)])
        {
            for off in 0..12 {
                let clock = ManualClock::new(0);
                let quota = Quota::new(LIMIT.into(), Duration::from_secs(seconds)).expect("a sound quota");
                let config = LimiterConfig { max_keys: 1, ..LimiterConfig::new(algorithm, quota) };
                let limiter = Arc::new(RateLimiter::with_config(config, (&clock).into()).expect("a limiter"));
                let set = LimitSet::new([("key", Member::Keyed(limiter.clone()))]).expect("a set");
                let fill = seconds * S;
                let start = 1_000 * fill + off * fill / 12;
                for (lead, strangers) in [(200 * fill + HOUR, 7..15_u8), (400 * fill + 2 * HOUR, 50..80)] {
                    for stranger in strangers {
                        while limiter.try_acquire_at(start + lead, &[stranger, 1], 1) {}
                    }
                }
                let admitted = |at: u64| {
                    clock.set(at);
                    if in_a_set {
                        set.check(&[b"new"], 1).expect("a key for each member").decision.allowed
                    } else {
                        limiter.try_acquire(b"new", 1)
                    }
                };
                let soon = (0..150).find(|half| admitted(start + half * S / 2));
                // So much takes three times what a quota takes to come back: of a sliding window that is two periods.
                let end = start + 75 * S + if algorithm == Algorithm::SlidingWindow { 6 } else { 3 } * fill;
                assert!(soon.is_some() || admitted(end), "{algorithm} {seconds} s, {off}, in a set: {in_a_set}");
            }
        }
    }
}

/// The same of a log that a bad reading was noted against before the clock came to where its key took all.
#[test]
fn a_log_forgets_nothing_that_was_taken_after_a_note() {
    let clock = ManualClock::new(0);
    let quota = "20 per 400 s".parse().expect("a quota");
    let config = LimiterConfig { max_keys: 1, ..LimiterConfig::new(Algorithm::SlidingLog, quota) };
    let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
    let take = |second: u64, most: usize| {
        clock.set(second * S);
        (0..most).take_while(|_| limiter.try_acquire(b"key", 1)).count()
    };
    assert_eq!((take(4_000, 30), take(8_000, 1)), (20, 1));
    assert_eq!(take(4_399, 1), 0, "noted: all but one of them counts, and the one ahead");
    assert_eq!(take(4_799, 19), 19);
    assert_eq!(take(4_599, 1), 0);
    assert_eq!(take(5_001, 30), 0, "what was taken at 4,799 counts until 5,199");
    assert!(take(5_199, 30) >= 19);
}
