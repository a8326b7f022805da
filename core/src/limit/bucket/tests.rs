use super::*;
use crate::ManualClock;
use crate::decision::NEVER;

const S: u64 = 1_000_000_000;

fn quota(rate: &str, burst: u64) -> Quota {
    rate.parse::<Quota>().unwrap().with_burst(burst).unwrap()
}

fn bucket(rate: &str, burst: u64) -> TokenBucket {
    TokenBucket::with_clock(quota(rate, burst), ManualClock::new(0).into())
}

#[test]
fn starts_full_and_drains_one_by_one_at_any_instant() {
    for rate in ["1/s", "3/s", "7/min", "11/s", "400/s", "70000000/s"] {
        for start in [0, 1, 333_333_333, 10 * S + 7, 86_400 * S + 13] {
            let bucket = bucket(rate, 3);
            let taken = (0..10).filter(|_| bucket.try_acquire_at(start, 1)).count();
            assert_eq!(taken, 3, "{rate} at {start}");
        }
    }
}

#[test]
fn one_interval_is_exactly_one_token() {
    let bucket = bucket("400/s", 1);
    assert!(bucket.try_acquire_at(5, 1));
    assert!(!bucket.try_acquire_at(5 + 2_499_999, 1));
    assert!(bucket.try_acquire_at(5 + 2_500_000, 1));
}

#[test]
fn a_third_of_a_nanosecond_is_not_rounded_away() {
    let bucket = bucket("3/s", 1);
    assert!(bucket.try_acquire_at(5, 1));
    assert!(!bucket.try_acquire_at(5 + 333_333_333, 1));
    assert!(bucket.try_acquire_at(5 + 333_333_334, 1));
}

#[test]
fn check_tells_what_is_left_and_how_long_to_wait() {
    let bucket = bucket("10/s", 20);
    let full = bucket.check_at(S, 5);
    assert_eq!(
        full,
        Decision { allowed: true, limit: 20, remaining: 15, retry_after_ns: 0, reset_after_ns: S / 2, delay_ns: 0 }
    );
    let denied = bucket.check_at(S, 16);
    assert_eq!((denied.allowed, denied.remaining, denied.retry_after_ns), (false, 15, S / 10));
    assert_eq!(bucket.check_at(S, 21).retry_after_ns, NEVER);
    assert_eq!(bucket.check_at(S, 21).retry_after(), None);
    assert_eq!(bucket.peek_at(S).remaining, 15);
    assert_eq!(bucket.stats(), BucketStats { admitted: 1, denied: 3, would_deny: 0 });
}

#[test]
fn a_cost_of_zero_takes_nothing() {
    let bucket = bucket("10/s", 1);
    assert!(bucket.try_acquire_at(0, 0) && bucket.try_acquire_at(0, 1));
    assert!(bucket.try_acquire_at(0, 0) && bucket.check_at(0, 0).allowed);
    assert!(!bucket.peek_at(0).allowed);
    assert_eq!(bucket.peek_at(0).retry_after_ns, S / 10);
    bucket.penalize_at(0, Duration::from_secs(1));
    assert!(!bucket.try_acquire_at(0, 0));
}

#[test]
fn reserve_books_ahead_and_cancel_follows_time_rate() {
    let bucket = bucket("10/s", 10);
    let book = |n| match bucket.reserve_at(0, n, None) {
        Reservation::Booked { wait_ns, ticket } => (wait_ns, ticket),
        Reservation::Denied { .. } => panic!("denied"),
    };
    assert_eq!(book(10).0, 0);
    let (first_wait, first) = book(5);
    let (second_wait, second) = book(2);
    assert_eq!((first_wait, second_wait), (S / 2, 7 * S / 10));
    assert_eq!(
        bucket.reserve_at(0, 1, Some(Duration::from_millis(799))),
        Reservation::Denied { retry_after_ns: 8 * S / 10 }
    );
    assert_eq!(bucket.reserve_at(0, 11, None), Reservation::Denied { retry_after_ns: NEVER });
    // 5 minus the 2 that were booked later.
    assert!(bucket.cancel_at(0, first));
    assert_eq!(book(0).0, 4 * S / 10);
    // The word is now behind the second booking, so nothing says what of it is still held.
    assert!(!bucket.cancel_at(0, second));
    let (_, third) = book(3);
    assert!(!bucket.cancel_at(S, third), "its time has come");
}

#[test]
fn a_cancel_sees_bookings_that_an_earlier_cancel_moved_behind() {
    let bucket = bucket("400/s", 8);
    let book = |n| match bucket.reserve_at(0, n, None) {
        Reservation::Booked { ticket, .. } => ticket,
        Reservation::Denied { .. } => panic!("denied"),
    };
    book(8);
    let (seven, six, _two) = (book(7), book(6), book(2));
    assert!(bucket.cancel_at(0, six), "gives back 6 - 2");
    assert!(!bucket.cancel_at(0, seven), "6 and 2 were booked after it, and the 2 are still out");
    let (three, before) = (book(3), bucket.peek_at(0));
    assert!(bucket.cancel_at(0, book(1)) && bucket.peek_at(0) == before, "the last booking comes back whole");
    let _ = three;
}

#[test]
fn bookings_come_back_whole_from_the_last_one_back() {
    let bucket = bucket("10/s", 10);
    let book = |n| match bucket.reserve_at(0, n, None) {
        Reservation::Booked { ticket, .. } => ticket,
        Reservation::Denied { .. } => panic!("denied"),
    };
    book(10);
    let empty = bucket.peek_at(0);
    let mut line: Vec<Ticket> = (0..50).map(|n| book(n % 7 + 1)).collect();
    for _ in 0..20 {
        // Some leave and others come meanwhile.
        for _ in 0..7 {
            assert!(bucket.cancel_at(0, line.pop().expect("a ticket")));
        }
        line.extend((0..5).map(|n| book(n % 3 + 1)));
    }
    while let Some(ticket) = line.pop() {
        assert!(bucket.cancel_at(0, ticket));
    }
    assert_eq!(bucket.peek_at(0), empty);
}

/// Why a booking from the middle of the line does not come back whole: who was booked behind it keeps its time.
#[test]
fn a_booking_from_the_middle_makes_no_room_at_the_time_of_another() {
    let bucket = bucket("10/s", 10);
    let book = || match bucket.reserve_at(0, 10, None) {
        Reservation::Booked { wait_ns, ticket } => (wait_ns / S, ticket),
        Reservation::Denied { .. } => panic!("denied"),
    };
    assert_eq!(book().0, 0);
    let ((_, middle), (two, last)) = (book(), book());
    assert_eq!(two, 2);
    // With all 10 back, the next would be told 2 s as well: 20 at once, of a burst of 10.
    assert!(!bucket.cancel_at(0, middle));
    assert_eq!(book().0, 3);
    let _ = last;
}

#[test]
fn refund_stops_at_full() {
    let bucket = bucket("10/s", 10);
    assert!(bucket.try_acquire_at(0, 4));
    bucket.refund_at(0, 3);
    assert_eq!(bucket.peek_at(0).remaining, 9);
    bucket.refund_at(0, u32::MAX);
    assert_eq!(bucket.peek_at(0).remaining, 10);
    assert_eq!((0..20).filter(|_| bucket.try_acquire_at(0, 1)).count(), 10);
}

#[test]
fn a_penalty_holds_and_then_refills_from_empty() {
    let bucket = bucket("10/s", 10);
    bucket.penalize_at(0, Duration::from_secs(5));
    bucket.refund_at(S, 10);
    bucket.penalize_at(S, Duration::from_secs(1));
    assert_eq!(bucket.check_at(S, 1).retry_after_ns, 4 * S + S / 10);
    assert!(!bucket.try_acquire_at(5 * S + S / 10 - 1, 1));
    assert!(bucket.try_acquire_at(5 * S + S / 10, 1));
    bucket.refund_at(5 * S + S / 10, 1);
    assert!(bucket.try_acquire_at(5 * S + S / 10, 1), "an ordinary bucket after its end");
    bucket.penalize_at(6 * S, Duration::MAX);
    assert!(!bucket.try_acquire_at(7 * S, 1));
    bucket.reset_at(7 * S);
    assert_eq!(bucket.peek_at(7 * S).remaining, 10);
}

#[test]
fn reset_voids_tickets() {
    let bucket = bucket("10/s", 10);
    assert!(bucket.try_acquire_at(0, 10));
    let Reservation::Booked { ticket, .. } = bucket.reserve_at(0, 5, None) else { panic!() };
    for _ in 0..5 {
        bucket.reset_at(0);
    }
    assert!(bucket.try_acquire_at(0, 10));
    let Reservation::Booked { .. } = bucket.reserve_at(0, 5, None) else { panic!() };
    assert!(!bucket.cancel_at(0, ticket));
}

#[test]
fn set_quota_keeps_the_level() {
    let bucket = bucket("10/s", 10);
    assert!(bucket.try_acquire_at(0, 4));
    bucket.set_quota_at(0, quota("400/s", 800)).unwrap();
    assert_eq!((bucket.peek_at(0).remaining, bucket.peek_at(0).limit), (6, 800));
    assert_eq!(bucket.peek_at(S).remaining, 406);
    bucket.set_quota_at(S, quota("3/min", 5)).unwrap();
    assert_eq!(bucket.peek_at(S).remaining, 5);
    assert_eq!(bucket.quota(), quota("3/min", 5));
    bucket.penalize_at(S, Duration::from_secs(9));
    bucket.set_quota_at(2 * S, quota("10/s", 10)).unwrap();
    assert!(!bucket.try_acquire_at(10 * S + S / 10 - 1, 1));
    assert!(bucket.try_acquire_at(10 * S + S / 10, 1));
}

#[test]
fn a_clock_that_steps_back_mints_nothing() {
    let bucket = bucket("10/s", 10);
    assert!(bucket.try_acquire_at(100 * S, 10));
    assert!(!bucket.try_acquire_at(50 * S, 1));
    assert!(!bucket.try_acquire_at(100 * S, 1));
    assert!(bucket.try_acquire_at(100 * S + S / 10, 1));
}

#[test]
fn a_bad_reading_heals_a_minute_after_it_was_found() {
    let bucket = bucket("10/s", 10);
    assert!(bucket.try_acquire_at(u64::MAX, 1));
    assert!(!bucket.try_acquire_at(S, 1), "may be a late thread");
    assert!(!bucket.try_acquire_at(61 * S - 1, 1));
    assert!(!bucket.try_acquire_at(61 * S, 1), "reads as empty");
    assert!(bucket.try_acquire_at(61 * S + S / 10, 1), "and refills from there");
}

#[test]
fn a_time_that_was_told_stands_though_a_bad_reading_came_and_went() {
    for bad in [3_600 * S, u64::MAX] {
        let bucket = bucket("1/s", 10);
        assert!(bucket.try_acquire_at(0, 10));
        let Reservation::Booked { wait_ns, .. } = bucket.reserve_at(0, 10, None) else { panic!("booked") };
        let Reservation::Booked { wait_ns: last, .. } = bucket.reserve_at(0, 200, None) else {
            for _ in 0..19 {
                assert!(matches!(bucket.reserve_at(0, 10, None), Reservation::Booked { .. }));
            }
            assert_eq!(wait_ns, 10 * S);
            bucket.set_quota_at(0, quota("1/s", 10)).unwrap();
            assert!(bucket.try_acquire_at(bad, 1));
            let admitted = (1..=200).filter(|&second| bucket.try_acquire_at(second * S, 1)).count();
            assert_eq!(admitted, 0, "all of 200 s were told to others");
            assert!(bucket.try_acquire_at(202 * S, 1));
            continue;
        };
        panic!("more than the burst, after {last}");
    }
}

#[test]
fn a_late_thread_mints_nothing() {
    let bucket = bucket("10/s", 10);
    let now = 1_000 * S;
    assert!(bucket.try_acquire_at(now, 10));
    for late in [62, 100, 70, 300, 61, 62] {
        assert!(!bucket.check_at(now - late * S, 1).allowed);
        bucket.refund_at(now - late * S, 0);
        // Who is in time has seen the word near: that of before says nothing any more.
        assert!(!bucket.try_acquire_at(now, 1), "{late}");
    }
    // Not even of a clock that nobody read in between: the bucket reads its own.
    let clock = ManualClock::new(now);
    let bucket = TokenBucket::with_clock(quota("10/s", 10), (&clock).into());
    assert!(bucket.try_acquire(10));
    for late in [400, 300, 200, 100, 70] {
        assert!(!bucket.try_acquire_at(now - late * S, 1));
    }
    assert!(!bucket.try_acquire(1));
}

#[test]
fn a_penalty_that_a_bad_reading_put_heals_to_one_of_its_length() {
    let bucket = bucket("10/s", 10);
    bucket.penalize_at(100_000 * S, Duration::from_secs(9));
    assert!(!bucket.try_acquire_at(S, 1));
    assert!(!bucket.try_acquire_at(61 * S, 1));
    assert!(!bucket.try_acquire_at(70 * S, 1) && bucket.try_acquire_at(70 * S + S / 10, 1));
}

#[test]
fn a_ticket_counts_once_whatever_was_booked_since() {
    let bucket = bucket("10/s", 10);
    let book = |n| match bucket.reserve_at(0, n, None) {
        Reservation::Booked { ticket, .. } => ticket,
        Reservation::Denied { .. } => panic!("denied"),
    };
    book(10);
    let mut kept = Vec::new();
    for _ in 0..50 {
        let ticket = book(3);
        assert!(bucket.cancel_at(0, ticket));
        kept.push(ticket);
        assert!(!kept.iter().any(|&ticket| bucket.cancel_at(0, ticket)));
    }
    // Another booking takes the place of those that were cancelled.
    let last = book(3);
    assert!(!kept.iter().any(|&ticket| bucket.cancel_at(0, ticket)));
    assert!(bucket.cancel_at(0, last) && !bucket.cancel_at(0, last));
    assert_eq!(bucket.peek_at(0).reset_after_ns, S, "nothing but the first ten");
}

#[test]
fn a_change_that_gave_up_is_an_error() {
    let error = busy(GaveUp);
    assert_eq!((error.kind(), error.field()), (ConfigErrorKind::Busy, "rate"));
}

#[test]
fn the_plain_form_runs_at_the_rate() {
    let bucket = TokenBucket::new(quota("1000/s", 1));
    let (start, mut taken) = (std::time::Instant::now(), 0);
    while taken < 50 {
        assert!(start.elapsed() < Duration::from_secs(60), "{taken} tokens in a minute");
        taken += u64::from(bucket.try_acquire(1));
    }
    // The first was there, the others came one a millisecond; the clocks agree to 0.1 % and more.
    assert!(start.elapsed() > Duration::from_micros(48_950), "{:?}", start.elapsed());
    let stats = bucket.stats();
    assert_eq!(stats.admitted, taken);
    assert!(stats.denied > 0);
}

#[test]
fn the_plain_form_and_the_timed_one_mean_the_same() {
    let bucket = TokenBucket::new(quota("3/h", 3));
    assert!(bucket.try_acquire(1) && bucket.try_acquire_at(bucket.clock().now(), 1) && bucket.check(1).allowed);
    assert!(!bucket.try_acquire(1) && !bucket.check(1).allowed);
    bucket.set_quota(quota("2000000/h", 6)).unwrap();
    assert!(!bucket.try_acquire(6));
    bucket.reset();
    assert!(bucket.try_acquire(6) && !bucket.try_acquire(6));
    bucket.penalize(Duration::from_secs(3600));
    assert!(!bucket.try_acquire(0));
}

#[test]
fn stripes_never_admit_more_than_the_whole() {
    let clock = ManualClock::new(0);
    let bucket = TokenBucket::striped(quota("10/s", 11), 3, (&clock).into()).unwrap();
    assert_eq!((0..100).filter(|_| bucket.try_acquire(1)).count(), 11);
    assert_eq!(bucket.peek().limit, 11);
    clock.advance(Duration::from_secs(1));
    let later = (0..100).filter(|_| bucket.check(1).allowed).count();
    assert!((9..=10).contains(&later), "{later}: a third of 10/s a stripe, each rounded down");
    bucket.refund(4);
    assert_eq!(bucket.peek().remaining, 4);
    bucket.reset();
    assert_eq!(bucket.peek().remaining, 11);
    assert_eq!(bucket.check(5).retry_after_ns, NEVER);
    let Reservation::Booked { ticket, .. } = bucket.reserve(3, None) else { panic!() };
    assert!(!bucket.cancel(ticket), "its time is now");
    bucket.set_quota(quota("10/s", 6)).unwrap();
    assert_eq!(bucket.peek().remaining, 5, "1 of the stripe that gave 3, and 2 each of the others");
    assert_eq!(bucket.set_quota(quota("10/s", 2)).unwrap_err().field(), "burst");
    assert_eq!(TokenBucket::striped(quota("1/s", 1), 0, (&clock).into()).unwrap_err().field(), "stripes");
    assert_eq!(TokenBucket::striped(quota("1/s", 1), 2, (&clock).into()).unwrap_err().field(), "burst");
}

#[test]
fn any_bytes_give_an_answer() {
    let bucket = bucket("10/s", 10);
    let mut seed = 1_u64;
    for _ in 0..10_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bucket.state.scribble(seed);
        let now = seed.rotate_left(17);
        let _ = (bucket.try_acquire_at(now, 1), bucket.check_at(now, 3), bucket.peek_at(now));
        bucket.refund_at(now, 2);
        let Reservation::Booked { ticket, .. } = bucket.reserve_at(now, 1, None) else { continue };
        bucket.cancel_at(now, Ticket { word: ticket.word ^ seed, booking: ticket.booking });
    }
}

#[test]
fn a_late_cancel_of_what_is_due_gives_nothing_back() {
    let clock = ManualClock::new(0);
    let bucket = TokenBucket::with_clock(quota("1/s", 3), (&clock).into());
    assert!(bucket.try_acquire_at(10 * S, 3));
    let Reservation::Booked { ticket, wait_ns } = bucket.reserve_at(10 * S, 2, None) else { panic!("booked") };
    assert_eq!(wait_ns, 2 * S);
    // Full since 15 s: the word stands half a second further than what was booked and taken comes to.
    let now = 15 * S + S / 2;
    clock.set(now);
    assert!(bucket.try_acquire_at(now, 1));
    assert!(!bucket.cancel_at(11 * S, ticket), "a late thread's reading");
    assert!(
        bucket.try_acquire_at(now, 2) && !bucket.try_acquire_at(16 * S, 1) && bucket.try_acquire_at(16 * S + S / 2, 1)
    );
}

/// What a wait once was does not keep a bad reading for as long: nor one that books.
#[test]
fn a_bad_reading_heals_in_a_minute_whatever_was_waited_for_before() {
    const DAY: u64 = 86_400 * S;
    type Before = fn(&TokenBucket);
    let cases: [(&str, Before); 4] = [
        ("a penalty that was reset", |bucket| {
            bucket.penalize_at(0, Duration::from_secs(86_400));
            bucket.reset_at(0);
        }),
        ("a penalty that is over", |bucket| bucket.penalize_at(0, Duration::from_secs(86_400))),
        ("bookings that were reset", |bucket| {
            (0..3_600).for_each(|_| assert!(matches!(bucket.reserve_at(0, 10, None), Reservation::Booked { .. })));
            bucket.reset_at(0);
        }),
        ("nothing", |_| {}),
    ];
    for (what, before) in cases {
        for (ahead, books) in [(3_600 * S, false), (3_600 * S, true), (20 * DAY, true), (20 * DAY, false)] {
            let bucket = bucket("10/s", 10);
            before(&bucket);
            let mut now = 2 * DAY;
            // Once more, for what the first has left.
            for round in 0..3 {
                assert!(bucket.try_acquire_at(now + ahead, 10), "{what}");
                if books {
                    assert!(matches!(bucket.reserve_at(now + ahead, 10, None), Reservation::Booked { .. }), "{what}");
                }
                let healed = (0..1_000).find(|second| bucket.try_acquire_at(now + second * S, 1));
                assert!(healed.is_some_and(|second| second <= 63), "{what}, {ahead}, {books}, {round}: {healed:?}");
                now += 2_000 * S;
            }
        }
    }
}

/// A penalty is kept as a time that was told to somebody is.
#[test]
fn a_penalty_stands_though_a_bad_reading_came_and_went() {
    for bad in [3_600 * S, u64::MAX] {
        let bucket = bucket("10/s", 10);
        bucket.penalize_at(0, Duration::from_secs(200));
        assert!(bucket.try_acquire_at(bad, 1));
        assert_eq!((1..=200).filter(|&second| bucket.try_acquire_at(second * S, 1)).count(), 0);
        assert!(bucket.try_acquire_at(201 * S, 1));
    }
}

/// Rates that need coarser units after some years, and those that do not; bursts that fill at once and in decades.
fn awkward() -> impl Iterator<Item = Quota> {
    const YEAR: u64 = 365 * 86_400;
    let rates: [(u64, u64); 16] = [
        (1, YEAR),
        (2, YEAR),
        (7, YEAR),
        (1, 86_400),
        (5, 900),
        (7, 60),
        (11, 60),
        (3, 1),
        (7, 1),
        (11, 1),
        (999, 1),
        (7_919, 1),
        (12_345, 1),
        (1_000_003, 3_600),
        (69_999_999, 1),
        (70_000_000, 1),
    ];
    rates.into_iter().flat_map(|(count, seconds)| {
        let quota = Quota::new(count, Duration::from_secs(seconds)).unwrap();
        let decades = u128::from(count) * u128::from(30 * YEAR) / u128::from(seconds);
        let bursts = [1, 3, 1_000, u64::from(u32::MAX).min(decades as u64)];
        bursts.into_iter().filter_map(move |burst| quota.with_burst(burst).ok())
    })
}

/// For ever denied is an outage, and in years nobody restarts: every rate goes on for decades, and no faster.
#[test]
fn decades_pass_and_the_rate_stays() {
    const YEAR: u64 = 365 * 86_400 * S;
    for quota in awkward() {
        let (burst, what) = (quota.burst(), quota.to_string());
        let interval = quota.period().as_nanos().div_ceil(quota.count().into()) as u64;
        let made = |from| TokenBucket::with_clock(quota, ManualClock::new(from).into());
        // In one leap, year by year, and by a bucket that only looks.
        for from in [0, 3 * YEAR + 7] {
            for years in [1, 4, 5, 10, 30, 36] {
                let (bucket, at) = (made(from), from + years * YEAR + 12_345);
                assert!(bucket.try_acquire_at(from, burst), "{what}");
                let back = ((at - from) / interval).min(burst.into());
                let there = u64::from(bucket.peek_at(at).remaining);
                // At most one in a million is lost, and a token by rounding.
                assert!(there <= back && there + back / 1_000_000 + 1 >= back, "{what}: {there} of {back} in {years}");
            }
            let bucket = made(from);
            for year in 1..=36 {
                let at = from + year * YEAR;
                bucket.set_quota_at(at, quota).unwrap();
                bucket.reset_at(at);
                assert!(bucket.try_acquire_at(at, burst) && !bucket.try_acquire_at(at, 1), "{what} in year {year}");
                if interval < YEAR / 4 {
                    assert!(!bucket.try_acquire_at(at + interval - 2, 1), "{what} in year {year}");
                    let slow = interval / 1_000_000 + 2;
                    assert!(bucket.try_acquire_at(at + interval + slow, 1), "{what} in year {year}");
                }
            }
        }
    }
}

/// Units that are made coarser give nothing, and take no more than a token of a million; a penalty keeps its end.
#[test]
fn units_that_grow_coarse_mint_nothing() {
    const YEAR: u64 = 365 * 86_400 * S;
    for quota in awkward().filter(|quota| quota.burst() > 2) {
        let (burst, what) = (quota.burst(), quota.to_string());
        let scale = crate::limit::scale::Scale::of(&quota);
        // Just before the moment at which they are, and just after it.
        let late = scale.ns(1 << 60);
        for used in [1, burst / 2, burst] {
            let bucket = TokenBucket::with_clock(quota, ManualClock::new(0).into());
            assert!(bucket.try_acquire_at(late - 2, used), "{what}");
            let before = u64::from(bucket.peek_at(late - 2).remaining);
            let _ = bucket.peek_at(late + YEAR / 1_000);
            let after = u64::from(bucket.peek_at(late - 2).remaining);
            assert!(after <= before && after + before / 1_000_000 + 1 >= before, "{what}: {before} and {after}");
        }
        let bucket = TokenBucket::with_clock(quota, ManualClock::new(0).into());
        bucket.penalize_at(late - 10 * S, Duration::from_secs(20));
        assert!(!bucket.try_acquire_at(late + 10 * S - 1, 1), "{what}");
        bucket.refund_at(late + 9 * S, 3);
        let wait = bucket.peek_at(late).retry_after_ns;
        let token = quota.period().as_nanos().div_ceil(quota.count().into()) as u64;
        let rounded = (quota.fill_time().as_nanos() / 1_000_000) as u64 + 16;
        assert!((10 * S..=10 * S + token + rounded).contains(&wait), "{what}: {wait}");
    }
}

/// What was given out before units changed is void, as after a change of quota.
#[test]
fn a_ticket_of_finer_units_is_void() {
    const YEAR: u64 = 365 * 86_400 * S;
    let bucket = bucket("7/min", 7);
    let before = 4 * YEAR;
    assert!(bucket.try_acquire_at(before, 7));
    let Reservation::Booked { ticket, .. } = bucket.reserve_at(before, 1, None) else { panic!("booked") };
    let _ = bucket.check_at(before + 2 * YEAR, 1);
    assert!(!bucket.cancel_at(before, ticket));
}
