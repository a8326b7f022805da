//! Any bytes are a key; no argument makes a limiter panic.

use super::{S, limiter};
use std::time::Duration;
use tidegate::decision::NEVER;
use tidegate::limit::Algorithm;

#[test]
fn any_bytes_are_a_key_of_their_own() {
    let huge = vec![b'a'; 1 << 20];
    let mut other_huge = huge.clone();
    *other_huge.last_mut().expect("not empty") = b'b';
    let longer = vec![b'a'; (1 << 20) + 1];
    let keys: [&[u8]; 14] = [
        b"",
        b"\0",
        b"\0\0",
        b"ann",
        b"ann\0",
        b"\0ann",
        b"ann\0ben",
        b"\xff",
        b"\xff\xfe\x80",
        b"\xed\xa0\x80", // a lone surrogate, as WTF-8 has it
        "\u{fffd}".as_bytes(),
        &huge,
        &other_huge,
        &longer,
    ];
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, 2, S, 2, 1_000);
        for round in 0..2 {
            for key in keys {
                let decision = limiter.check_at(5, key, 1);
                assert!(decision.allowed, "{algorithm} {} bytes", key.len());
                assert_eq!(decision.remaining, 1 - round, "{algorithm} {} bytes", key.len());
            }
        }
        for key in keys {
            assert!(!limiter.check_at(5, key, 1).allowed, "{algorithm} {} bytes", key.len());
            limiter.reset_at(5, key);
            assert!(limiter.check_at(5, key, 2).allowed, "{algorithm} {} bytes", key.len());
        }
        assert_eq!(limiter.len_at(5), keys.len(), "{algorithm}");
    }
}

#[test]
fn any_number_and_any_time_is_answered() {
    let times = [0, 1, 999, S, 1 << 40, 1 << 62, u64::MAX - 1, u64::MAX, 5, 0];
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, 3, 70, 3, 10);
        let tier = limiter.tier(limiter.quota().with_burst(2).expect("a burst")).expect("a tier");
        for now in times {
            for n in [0, 1, 3, 4, 1 << 20, u32::MAX] {
                for key in [&b"a"[..], b"b", b""] {
                    let decision = limiter.check_at(now, key, n);
                    assert_eq!(decision.allowed, decision.retry_after_ns == 0, "{algorithm} {now} {n} {decision:?}");
                    assert!(decision.remaining <= decision.limit, "{algorithm} {decision:?}");
                    assert!(n <= 3 || decision.retry_after_ns == NEVER, "{algorithm} {decision:?}");
                    let decision = limiter.check_tier_at(now, key, n, &tier);
                    assert_eq!(decision.limit, 2);
                    let _ = limiter.try_acquire_at(now, key, n);
                    let _ = limiter.peek_at(now, key, Some(&tier));
                    limiter.refund_at(now, key, n, None);
                }
            }
            for wait in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(3), Duration::MAX] {
                assert!(limiter.penalize_at(now, b"b", wait));
            }
            limiter.reset_at(now, b"b");
            assert!(limiter.len_at(now) <= 3);
            let _ = limiter.hit_at(now, b"a", u32::MAX);
        }
        limiter.reset_all_at(u64::MAX);
    }
}

#[test]
fn hits_are_counted_whatever_the_limit() {
    let windows = limiter(Algorithm::FixedWindow, 5, 10 * S, 1_000_000, 100);
    let none = windows.hit_at(3 * S, b"ann", 0).expect("a fixed window");
    assert_eq!((none.count, none.reset_after_ns), (0, 0), "a look begins no window");
    for count in 1..=7 {
        let hits = windows.hit_at(3 * S, b"ann", 1).expect("a fixed window");
        assert_eq!((hits.count, hits.reset_after_ns / S), (count, 10));
    }
    let hits = windows.hit_at(12 * S, b"ann", 0).expect("a fixed window");
    assert_eq!((hits.count, hits.reset_after_ns / S), (7, 1));
    assert_eq!(windows.hit_at(14 * S, b"ann", 3).expect("a fixed window").count, 3);
    assert_eq!(windows.hit_at(14 * S, b"ben", 1).expect("a fixed window").count, 1);
    // Who was given all back has the window yet.
    windows.refund_at(14 * S, b"ben", 1, None);
    let left = windows.hit_at(14 * S, b"ben", 0).expect("a fixed window");
    assert_eq!((left.count, left.reset_after_ns / S), (0, 10));
    let most = windows.hit_at(14 * S, b"ben", u32::MAX).expect("a fixed window").count;
    assert_eq!(most, (1 << 20) - 1, "that many or more");
    for algorithm in Algorithm::ALL.into_iter().filter(|&algorithm| algorithm != Algorithm::FixedWindow) {
        let error = limiter(algorithm, 5, S, 5, 100).hit_at(0, b"ann", 1).expect_err("no window to count in");
        assert_eq!(error.field(), "algorithm");
    }
}
