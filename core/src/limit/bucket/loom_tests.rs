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
