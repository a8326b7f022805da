//! Every interleaving of a few threads on one bucket. Run: `RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib
//! --profile loom loom_`.

use super::*;
use crate::ManualClock;
use loom::sync::Arc;
use loom::thread;

fn bucket(burst: u64) -> Arc<TokenBucket> {
    let quota = "1/s".parse::<Quota>().unwrap().with_burst(burst).unwrap();
    Arc::new(TokenBucket::with_clock(quota, ManualClock::new(0).into()))
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn loom_racing_acquisitions_take_each_token_once() {
    model(|| {
        let bucket = bucket(2);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let bucket = bucket.clone();
                thread::spawn(move || (0..2).filter(|_| bucket.try_acquire_at(0, 1)).count())
            })
            .collect();
        let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(taken, 2);
    });
}

#[test]
fn loom_set_quota_is_one_moment() {
    model(|| {
        let bucket = bucket(4);
        let setter = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.set_quota_at(0, "7/min".parse::<Quota>().unwrap().with_burst(2).unwrap()))
        };
        let taken = (0..4).filter(|_| bucket.try_acquire_at(0, 1)).count();
        setter.join().unwrap().unwrap();
        let after = (0..4).filter(|_| bucket.try_acquire_at(0, 1)).count();
        // Whatever was taken before the change, at most two are left after it, and none is minted.
        assert!(taken + after <= 4 && after <= 2, "{taken} + {after}");
    });
}

#[test]
fn loom_reset_voids_a_ticket_or_comes_after_it() {
    model(|| {
        let bucket = bucket(1);
        assert!(bucket.try_acquire_at(0, 1));
        let Reservation::Booked { ticket, .. } = bucket.reserve_at(0, 1, None) else { unreachable!() };
        let resetter = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.reset_at(0))
        };
        let cancelled = bucket.cancel_at(0, ticket);
        resetter.join().unwrap();
        // Full, neither more nor less, whether or not the cancel came first.
        assert_eq!((0..3).filter(|_| bucket.try_acquire_at(0, 1)).count(), 1, "{cancelled}");
    });
}

#[test]
fn loom_a_penalty_is_never_shortened_by_a_refund() {
    model(|| {
        let bucket = bucket(1);
        assert!(bucket.try_acquire_at(0, 1));
        let refunder = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.refund_at(0, 1))
        };
        bucket.penalize_at(0, Duration::from_secs(10));
        refunder.join().unwrap();
        assert!(!bucket.try_acquire_at(10_999_999_999, 1));
        assert!(bucket.try_acquire_at(11_000_000_000, 1));
    });
}

const S: u64 = 1_000_000_000;

/// A bucket whose word was put by a bad reading: the next reading, of `now`, heals it.
fn far_ahead(burst: u64, now: u64) -> Arc<TokenBucket> {
    let bucket = bucket(burst);
    assert!(bucket.try_acquire_at(1_000_000 * S, burst as u32));
    assert!(!bucket.try_acquire_at(now - 61 * S, 1));
    bucket
}

fn book(bucket: &TokenBucket, now: u64) -> Ticket {
    let Reservation::Booked { ticket, .. } = bucket.reserve_at(now, 1, None) else { unreachable!() };
    ticket
}

/// What is noted of bookings outlasts a thread that heals late a word which another has healed.
#[test]
fn loom_who_heals_late_hides_no_booking() {
    model(|| {
        let now = 100 * S;
        let bucket = far_ahead(2, now);
        let late = {
            let bucket = bucket.clone();
            thread::spawn(move || assert!(!bucket.try_acquire_at(now, 1)))
        };
        assert!(!bucket.try_acquire_at(now, 1));
        let (first, _last) = (book(&bucket, now), book(&bucket, now));
        bucket.refund_at(now, 1);
        assert!(!bucket.cancel_at(now, first), "the last lies beyond the word");
        late.join().unwrap();
        assert!(!bucket.cancel_at(now, first), "the last lies beyond the word");
    });
}

/// Nor a change of quota that has erased it and not yet changed anything.
#[test]
fn loom_a_change_hides_no_booking() {
    model(|| {
        let bucket = bucket(2);
        assert!(bucket.try_acquire_at(0, 2));
        let booker = {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let (first, _last) = (book(&bucket, 0), book(&bucket, 0));
                bucket.refund_at(0, 1);
                assert!(!bucket.cancel_at(0, first), "the last lies beyond the word");
                first
            })
        };
        bucket.set_quota_at(0, "1/s".parse::<Quota>().unwrap().with_burst(2).unwrap()).unwrap();
        let first = booker.join().unwrap();
        assert!(!bucket.cancel_at(0, first), "the last lies beyond the word");
    });
}

#[test]
fn loom_a_void_ticket_stays_void() {
    model(|| {
        let bookings = Arc::new(super::bookings::Bookings::blank());
        let other = {
            let bookings = bookings.clone();
            thread::spawn(move || bookings.voiding(|| {}))
        };
        let ticket = bookings.number();
        bookings.voiding(|| {});
        assert!(bookings.is_void(ticket));
        other.join().unwrap();
        assert!(bookings.is_void(ticket));
    });
}

/// Where a booking left the word says nothing of a word that a reset put there.
#[test]
fn loom_a_reset_hides_no_charge_behind_a_booking() {
    model(|| {
        let bucket = bucket(1);
        assert!(bucket.try_acquire_at(0, 1));
        let booker = {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let _ = bucket.reserve_at(0, 1, None);
            })
        };
        bucket.reset_at(0);
        booker.join().unwrap();
        if bucket.try_acquire_at(0, 1) {
            let tat = super::word::Word::unpack(bucket.state.load()).tat;
            assert!(bucket.state.was_due(tat) >= tat, "a charge that waited for nothing");
        }
    });
}

/// A penalty that comes while a reset forgets what was told: it is gone, or is known to be one.
#[test]
fn loom_a_reset_forgets_no_penalty_that_comes_after_it() {
    model(|| {
        let bucket = bucket(1);
        bucket.penalize_at(0, Duration::from_secs(300));
        let resetter = {
            let bucket = bucket.clone();
            thread::spawn(move || bucket.reset_at(0))
        };
        bucket.penalize_at(0, Duration::from_secs(200));
        resetter.join().unwrap();
        let was_reset = bucket.try_acquire_at(0, 1);
        // As long as a bad reading needs to heal, twice.
        assert!(was_reset || ![1, 62, 63, 124, 125, 199].iter().any(|&second| bucket.try_acquire_at(second * S, 1)));
    });
}

/// Who books while a bad reading heals, and with it what that noted, keeps its time when another comes and goes.
#[test]
fn loom_who_books_while_another_heals_keeps_its_time() {
    model(|| {
        let now = 100 * S;
        let bucket = bucket(1);
        assert!(bucket.try_acquire_at(1_000_000 * S, 1));
        let _ = book(&bucket, 1_000_000 * S);
        assert!(!bucket.try_acquire_at(now - 61 * S, 1));
        let booker = {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let (mut last, wait) = (0, |bucket: &TokenBucket| match bucket.reserve_at(now, 1, None) {
                    Reservation::Booked { wait_ns, .. } => wait_ns,
                    Reservation::Denied { .. } => unreachable!(),
                });
                for _ in 0..2 {
                    last = wait(&bucket);
                }
                last
            })
        };
        assert!(!bucket.try_acquire_at(now, 1));
        let told = now + booker.join().unwrap();
        assert!(bucket.try_acquire_at(5_000_000 * S, 1));
        let mut at = now;
        while at < told.min(now + 200 * S) {
            assert!(!bucket.try_acquire_at(at, 1), "{at} of {told}");
            at += 61 * S;
        }
        assert!(!bucket.try_acquire_at(told, 1));
    });
}
