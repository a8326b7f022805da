//! Charges that are taken back.

use super::*;
use crate::ManualClock;

const S: u64 = 1_000_000_000;

fn bucket(rate: &str, stripes: u32) -> TokenBucket {
    let options = BucketConfig { stripes, ..BucketConfig::default() };
    TokenBucket::with_options(rate.parse().unwrap(), options, ManualClock::new(0).into()).unwrap()
}

fn charge(bucket: &TokenBucket, now: u64, n: u32) -> Receipt {
    bucket.charge(now, n).unwrap().1.unwrap()
}

#[test]
fn a_charge_comes_back_whole_at_once() {
    for stripes in [1, 3] {
        let bucket = bucket("12/s", stripes);
        assert!(bucket.try_acquire_at(0, 2));
        let receipt = charge(&bucket, 0, 2);
        assert_eq!(bucket.peek_at(0).remaining, 8);
        bucket.undo(0, receipt);
        assert_eq!(bucket.peek_at(0).remaining, 10);
    }
}

#[test]
fn what_has_refilled_since_does_not_come_back() {
    let bucket = bucket("10/s", 1);
    let receipt = charge(&bucket, 0, 4);
    assert!(bucket.try_acquire_at(3 * S / 10, 6), "it holds one of its four");
    bucket.undo(3 * S / 10, receipt);
    assert_eq!(bucket.peek_at(3 * S / 10).remaining, 4);
    let receipt = charge(&bucket, 10 * S, 4);
    assert!(bucket.try_acquire_at(20 * S, 6), "it has been full since");
    bucket.undo(20 * S, receipt);
    assert_eq!(bucket.peek_at(20 * S).remaining, 4);
}

#[test]
fn an_old_reading_is_not_taken_for_now() {
    let clock = ManualClock::new(0);
    let bucket = TokenBucket::with_clock("10/s".parse().unwrap(), (&clock).into());
    let receipt = charge(&bucket, 0, 4);
    clock.set(S);
    assert!(bucket.try_acquire(6), "full again");
    bucket.undo(0, receipt);
    assert_eq!(bucket.peek().remaining, 4);
}

#[test]
fn nothing_comes_back_after_a_reset_a_change_or_a_penalty() {
    type Act = fn(&TokenBucket);
    let acts: [(Act, u32); 4] = [
        (|bucket| bucket.reset_at(0), 10),
        (|bucket| bucket.set_quota_at(0, "10/s".parse().unwrap()).unwrap(), 6),
        (|bucket| bucket.penalize_at(0, Duration::from_secs(1)), 0),
        // Over by now, but it left the bucket empty whatever was charged before.
        (|bucket| bucket.penalize_at(0, Duration::ZERO), 0),
    ];
    for (number, (act, remaining)) in acts.into_iter().enumerate() {
        let bucket = bucket("10/s", 1);
        let receipt = charge(&bucket, 0, 4);
        act(&bucket);
        bucket.undo(0, receipt);
        assert_eq!(bucket.peek_at(0).remaining, remaining, "{number}");
    }
}

#[test]
fn probe_says_what_check_would() {
    for stripes in [1, 4] {
        let bucket = bucket("10/s", stripes);
        for n in [0, 1, 2, 3, 2, 1, 11] {
            let (before, probe, check) = (bucket.peek_at(5), bucket.probe(5, n), bucket.check_at(5, n));
            assert_eq!((probe.remaining, probe.reset_after_ns), (before.remaining, before.reset_after_ns));
            assert_eq!(
                (probe.allowed, probe.retry_after_ns),
                (check.allowed, check.retry_after_ns),
                "{n} of {stripes}"
            );
        }
    }
}
