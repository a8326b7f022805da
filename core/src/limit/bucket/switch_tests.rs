//! Modes and warm-up.

use super::*;
use crate::ManualClock;
use crate::decision::NEVER;

const S: u64 = 1_000_000_000;

fn bucket(rate: &str, options: BucketConfig) -> TokenBucket {
    TokenBucket::with_options(rate.parse().unwrap(), options, ManualClock::new(0).into()).unwrap()
}

fn in_mode(rate: &str, mode: Mode) -> TokenBucket {
    bucket(rate, BucketConfig { mode, ..BucketConfig::default() })
}

fn warming(rate: &str, stripes: u32) -> TokenBucket {
    let warm_up = Some(WarmUp::new(Duration::from_secs(10), 0.2).unwrap());
    bucket(rate, BucketConfig { mode: Mode::Enforce, stripes, warm_up })
}

fn drained(bucket: &TokenBucket, now: u64) -> usize {
    (0..1_000).take_while(|_| bucket.try_acquire_at(now, 1)).count()
}

#[test]
fn a_dry_run_decides_charges_and_refuses_nothing() {
    let bucket = in_mode("10/s", Mode::DryRun);
    assert_eq!((bucket.check_at(0, 4).remaining, bucket.check_at(0, 4).remaining), (6, 2));
    let would = bucket.check_at(0, 4);
    assert_eq!((would.allowed, would.remaining, would.retry_after_ns), (true, 2, 0));
    assert!(bucket.try_acquire_at(0, 11) && bucket.try_acquire(11));
    assert!(bucket.peek_at(0).allowed);
    assert_eq!(bucket.stats(), BucketStats { admitted: 2, denied: 0, would_deny: 3 });
    assert_eq!(bucket.peek_at(S / 2).remaining, 7, "what it would have denied was not charged");
}

#[test]
fn a_dry_run_books_and_never_waits() {
    let bucket = in_mode("10/s", Mode::DryRun);
    assert!(bucket.try_acquire_at(0, 10));
    let Reservation::Booked { wait_ns: 0, ticket } = bucket.reserve_at(0, 5, None) else { panic!("waits") };
    assert_eq!(bucket.peek_at(0).reset_after_ns, 3 * S / 2);
    assert!(bucket.cancel_at(0, ticket));
    let refused = bucket.reserve_at(0, 5, Some(Duration::from_millis(1)));
    let Reservation::Booked { wait_ns: 0, ticket } = refused else { panic!("{refused:?}") };
    assert!(!bucket.cancel_at(0, ticket), "nothing was booked");
    assert_eq!(bucket.stats(), BucketStats { admitted: 2, denied: 0, would_deny: 1 });
}

#[test]
fn a_disabled_bucket_admits_everything_and_touches_nothing() {
    for stripes in [1, 4] {
        let bucket = bucket("10/s", BucketConfig { mode: Mode::Disabled, stripes, warm_up: None });
        bucket.penalize_at(0, Duration::from_secs(9));
        assert!(bucket.try_acquire(u32::MAX) && bucket.try_acquire_at(0, u32::MAX));
        let all =
            Decision { allowed: true, limit: 10, remaining: 10, retry_after_ns: 0, reset_after_ns: 0, delay_ns: 0 };
        assert_eq!((bucket.check_at(0, 11), bucket.peek_at(0)), (all, all));
        let Reservation::Booked { wait_ns: 0, ticket } = bucket.reserve_at(0, 99, Some(Duration::ZERO)) else {
            panic!()
        };
        assert!(!bucket.cancel_at(0, ticket));
        assert_eq!(bucket.stats(), BucketStats::default());
        bucket.set_quota_at(0, "20/s".parse().unwrap()).unwrap();
        assert_eq!((bucket.peek_at(0).remaining, bucket.quota().burst()), (20, 20));
    }
}

#[test]
fn a_mode_holds_on_the_machine_s_clock_and_after_set_quota() {
    for (mode, third, would_deny) in [(Mode::Enforce, false, 0), (Mode::DryRun, true, 2), (Mode::Disabled, true, 0)] {
        let options = BucketConfig { mode, ..BucketConfig::default() };
        let bucket = TokenBucket::with_options("2/h".parse().unwrap(), options, Clock::monotonic()).unwrap();
        assert!(bucket.try_acquire(1) && bucket.try_acquire(1));
        assert_eq!(bucket.try_acquire(1), third, "{mode:?}");
        bucket.set_quota("3/h".parse().unwrap()).unwrap();
        assert!(bucket.try_acquire(1) || mode == Mode::Enforce);
        bucket.reset();
        assert!(bucket.try_acquire(3));
        assert_eq!((bucket.try_acquire(1), bucket.mode()), (third, mode));
        assert!(bucket.stats().would_deny >= would_deny, "{mode:?}");
    }
}

#[test]
fn a_warm_up_grows_burst_and_rate_in_a_straight_line() {
    // 20 % of 10 at the start, 60 % in the middle, all after 10 s.
    let bucket = warming("10/s", 1);
    assert_eq!((bucket.peek_at(0).limit, drained(&bucket, 0)), (2, 2));
    assert_eq!(bucket.check_at(0, 1).retry_after_ns, S / 2, "two a second");
    assert_eq!((bucket.peek_at(5 * S).limit, drained(&bucket, 5 * S)), (6, 6));
    assert_eq!(drained(&bucket, 5 * S + S / 2 + 2), 3, "six a second, rounded by 2 ns");
    assert_eq!((bucket.peek_at(10 * S).limit, drained(&bucket, 10 * S)), (10, 10));
    assert_eq!(drained(&bucket, 10 * S + S / 2), 5);
}

#[test]
fn waiting_as_long_as_told_is_enough_while_it_warms() {
    let bucket = warming("100/s", 1);
    let mut now = 0;
    for n in (1..=20).cycle().take(400) {
        let told = bucket.check_at(now, n);
        now += told.retry_after_ns;
        assert!(told.allowed || bucket.check_at(now, n).allowed, "{n} at {now}: {told:?}");
    }
    assert!(now > 10 * S);
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Never is for what is more than the whole burst.
#[test]
fn what_is_not_open_yet_can_be_had_once_it_is() {
    for stripes in [1, 2] {
        let new = || {
            let warm_up = WarmUp::new(10 * HOUR, 0.5).ok();
            bucket("8/h", BucketConfig { stripes, mode: Mode::Enforce, warm_up })
        };
        let (most, half) = (8 / stripes, 4 / stripes);
        for n in half + 1..=most {
            let bucket = new();
            let told = bucket.check_at(0, n);
            assert!(!told.allowed && told.retry_after_ns <= 10 * 3_600 * S, "{told:?}");
            assert!(!bucket.check_at(told.retry_after_ns - 1, n).allowed, "{n}");
            assert!(bucket.check_at(told.retry_after_ns, n).allowed, "{n}");
        }
        let bucket = new();
        assert_eq!(bucket.check_at(0, most + 1).retry_after_ns, NEVER);
        assert_eq!(drained(&bucket, 9 * 3_600 * S), if stripes == 1 { 7 } else { 6 });
        let told = bucket.check_at(9 * 3_600 * S, most);
        assert!(bucket.check_at(9 * 3_600 * S + told.retry_after_ns, most).allowed, "{told:?}");
    }
}

/// A booking of more than is open waits until it is, and for what its tokens cost now.
#[test]
fn more_than_is_open_is_booked_for_when_it_is() {
    let options = BucketConfig { mode: Mode::Enforce, stripes: 1, warm_up: WarmUp::new(HOUR, 0.5).ok() };
    let (bucket, hour) = (bucket("4/h", options), 3_600 * S);
    assert_eq!(bucket.reserve_at(0, 5, None), Reservation::Denied { retry_after_ns: NEVER });
    let denied = bucket.reserve_at(0, 4, Some(Duration::from_nanos(hour - 1)));
    assert_eq!(denied, Reservation::Denied { retry_after_ns: hour });
    // Two are open, and two an hour come back.
    assert!(matches!(bucket.reserve_at(0, 4, None), Reservation::Booked { wait_ns, .. } if wait_ns == hour));
    assert!(!bucket.try_acquire_at(hour, 1) && bucket.try_acquire_at(hour + hour / 4, 1));
}

#[test]
fn set_quota_and_reset_go_on_with_the_ramp() {
    let bucket = warming("10/s", 1);
    assert!(bucket.try_acquire_at(0, 1));
    bucket.set_quota_at(0, "100/s".parse().unwrap()).unwrap();
    assert_eq!((bucket.peek_at(0).limit, bucket.peek_at(0).remaining), (20, 1), "the one that was left");
    bucket.reset_at(0);
    assert_eq!(drained(&bucket, 0), 20);
    assert_eq!(bucket.quota().burst(), 100);
}

#[test]
fn the_machine_s_clock_follows_the_ramp_to_its_end() {
    let warm_up = Some(WarmUp::new(Duration::from_millis(300), 0.25).unwrap());
    let options = BucketConfig { mode: Mode::Enforce, stripes: 1, warm_up };
    let bucket = TokenBucket::with_options("4/year".parse().unwrap(), options, Clock::monotonic()).unwrap();
    let start = std::time::Instant::now();
    let first = (0..4).filter(|_| bucket.try_acquire(1)).count();
    // A thread that was held up for so long sees more of the ramp.
    assert!(first == 1 || start.elapsed() > Duration::from_millis(100), "{first}");
    bucket.reset();
    while bucket.peek().limit < 4 {
        assert!(start.elapsed() < Duration::from_secs(60), "still warming after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(1));
    assert_eq!((0..9).filter(|_| bucket.try_acquire(1)).count(), 4);
}

#[test]
fn stripes_warm_up_each_by_itself() {
    let bucket = warming("100/s", 4);
    assert_eq!((bucket.peek_at(0).limit, drained(&bucket, 0)), (20, 20));
    assert_eq!((bucket.peek_at(10 * S).limit, drained(&bucket, 10 * S)), (100, 100));
    assert_eq!(bucket.set_quota_at(0, "16/s".parse().unwrap()).unwrap_err().field(), "stripes");
    let warm_up = Some(WarmUp::new(Duration::from_secs(1), 0.01).unwrap());
    let options = BucketConfig { mode: Mode::Enforce, stripes: 4, warm_up };
    let error = TokenBucket::with_options("100/s".parse().unwrap(), options, Clock::default()).unwrap_err();
    assert_eq!(error.field(), "stripes");
    assert!(error.message().contains("less than one token"), "{error}");
}
