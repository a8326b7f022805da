//! A key that nobody used for long is as new, however long: a cell's time has few bits and must not come round.

use super::{S, limiter};
use tidegate::limit::Algorithm;

/// `count` in `period_ns`: limits that leave many bits of time, and ones that leave few.
const LIMITS: [(u32, u64); 4] = [(5, S), (100, 60 * S), (4_000, 3_600 * S), (200_000, S)];

#[test]
fn any_idle_time_leaves_a_key_as_new() {
    for algorithm in Algorithm::ALL {
        for (count, period) in LIMITS {
            if algorithm == Algorithm::SlidingLog && count > 4_096 {
                continue;
            }
            let limiter = limiter(algorithm, count.into(), period, count.into(), 4);
            let mut now = 0;
            // Few keys in few lines: each visit sweeps for others as well.
            for step in 0..4_000_u64 {
                let key = [b'a' + (step % 3) as u8];
                let seen = limiter.peek_at(now, &key, None);
                assert_eq!(
                    (seen.remaining, seen.reset_after_ns),
                    (count, 0),
                    "{algorithm} {count} step {step} at {now}"
                );
                let taken = limiter.check_at(now, &key, 1 + step as u32 % count.min(7));
                assert!(taken.allowed, "{algorithm} {count} step {step} at {now}");
                // From just idle to many times the reach of any state, never a round number of anything. (A line that
                // nobody looks at for days may be taken for one that was just swept, once in a thousand times.)
                let pause =
                    taken.reset_after_ns.max(2 * period) * (1 + step % 11) + step * step * (period / 1_000) + step;
                now += pause;
                if now > 100 * 365 * 86_400 * S {
                    break;
                }
            }
        }
    }
}

/// Invariant: a time of long ago is over. It is known by its own bits and those of its line's epoch, and these must
/// come round together: a window of sixty weeks ago would be one of next month.
#[test]
fn what_was_used_weeks_ago_is_over() {
    for algorithm in Algorithm::ALL {
        for (count, period) in [(7, S / 200), (65, S / 100), (121, S), (300, S / 10), (500, S), (1_000, S)] {
            let limiter = limiter(algorithm, count.into(), period, count.into(), 1);
            let mut now = 0;
            for step in 1..1_000_u64 {
                assert!(limiter.check_at(now, b"ann", count).allowed, "{algorithm} {count} at {now}");
                // 65,536 epochs of four windows, and half of that.
                now += step * (1 << 17) * period + 3 * period;
                if now > 50 * 365 * 86_400 * S {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_penalty_ends_once() {
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, 5, S, 5, 4);
        let year = 365 * 86_400 * S;
        assert!(limiter.penalize_at(0, b"ann", std::time::Duration::from_secs(60)));
        assert!(!limiter.check_at(59 * S, b"ann", 1).allowed);
        for years in 1..12 {
            assert!(limiter.peek_at(years * year, b"ann", None).allowed, "{algorithm} after {years} years");
        }
    }
}

/// The finest ticks come round in a hundred days.
#[test]
fn a_fast_limiter_wakes_up() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket] {
        let limiter = limiter(algorithm, 100_000_000, S, 1_000, 100);
        let mut now = 0;
        for days in 1..200_u64 {
            for key in 0..20_u64 {
                let key = (days * 100 + key).to_le_bytes();
                assert_eq!(limiter.peek_at(now, &key, None).reset_after_ns, 0, "{algorithm} after {days} days");
                assert!(limiter.check_at(now, &key, 1_000).allowed, "{algorithm} after {days} days");
                now += 777_777;
            }
            now += days * 86_400 * S;
        }
    }
}

/// Nor is a penalty lost, or kept, when it outlasts them.
#[test]
fn a_fast_limiter_keeps_a_long_penalty() {
    let (day, year) = (86_400 * S, 365 * 86_400 * S);
    let limiter = limiter(Algorithm::TokenBucket, 100_000_000, S, 1_000, 7);
    assert!(limiter.penalize_at(day, b"ann", std::time::Duration::MAX));
    for days in 1..365 {
        let now = (days + 1) * day;
        // Strangers sweep the line and look for room in it.
        for key in 0..40_u64 {
            let _ = limiter.check_at(now, &(days * 100 + key).to_le_bytes(), 1);
        }
        let denied = limiter.check_at(now, b"ann", 0);
        assert!(!denied.allowed, "after {days} days");
        assert!(now + denied.retry_after_ns - (day + year) < 2_000_000, "after {days} days: {denied:?}");
    }
    for days in [0, 1, 40, 60, 100, 110, 200, 400] {
        let now = year + (2 + days) * day;
        assert_eq!(limiter.peek_at(now, b"ann", None).remaining, 1_000, "{days} days after its end");
    }
}
