//! Invariant: what is done to a key of a sliding log touches that key's admissions only, also when its block goes to
//! another.

use super::{MS, limiter};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tidegate::limit::{Algorithm, RateLimiter};

/// A large limit: whoever forgets a key's stamps one by one takes long enough for others to come between.
const LIMIT: u32 = 4_096;
const IDLE: u64 = 7;
const CHARGED: u32 = 20;
/// When idle keys are idle.
const LATER: u64 = 1_000 * MS;
const ROUNDS: u64 = if cfg!(debug_assertions) { 15 } else { 300 };

/// One thread does `act` to the idle keys while two others use up a new one; what was admitted of the new one at most.
/// Nothing is asserted in a thread, for which the others would wait for ever.
fn admitted_at_most(act: impl Fn(&RateLimiter, u64, &[u8]) + Sync) -> u64 {
    let (limiter, start) = (limiter(Algorithm::SlidingLog, LIMIT.into(), MS, LIMIT.into(), 1), Barrier::new(3));
    let (acted, most, admitted) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for thread in 0..3 {
            let (limiter, start, act, acted, most, admitted) = (&limiter, &start, &act, &acted, &most, &admitted);
            scope.spawn(move || {
                for round in 1..=ROUNDS {
                    let before = round * 10_000 * MS;
                    let idle = (0..IDLE).map(|key| (round * 100 + key).to_le_bytes());
                    if thread == 0 {
                        // Relaxed, all: the barriers order them.
                        most.fetch_max(admitted.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                        for key in idle.clone() {
                            limiter.try_acquire_at(before, &key, CHARGED);
                        }
                    }
                    start.wait();
                    if thread == 0 {
                        idle.for_each(|key| act(limiter, before, &key));
                        acted.store(round, Ordering::Relaxed);
                    } else {
                        let new = (round * 100 + 50).to_le_bytes();
                        let take = |n| if limiter.try_acquire_at(before + LATER, &new, n) { u64::from(n) } else { 0 };
                        let mut taken: u64 = (0..3).map(|_| take(LIMIT / 2)).sum();
                        while acted.load(Ordering::Relaxed) < round {
                            taken += take(1);
                        }
                        admitted.fetch_add(taken + take(1), Ordering::Relaxed);
                    }
                    start.wait();
                }
            });
        }
    });
    most.into_inner().max(admitted.into_inner())
}

/// Seven idle keys have all blocks of the only line, so that a new key takes that of one of them.
#[test]
fn nobody_forgets_the_admissions_of_a_key_that_took_the_block() {
    let penalised = admitted_at_most(|limiter, before, key| {
        limiter.penalize_at(before + LATER, key, Duration::from_millis(2));
    });
    let reset = admitted_at_most(|limiter, before, key| limiter.reset_at(before + LATER, key));
    // By a late reading, to which what was charged before is live: one stamp after the other.
    let refunded = admitted_at_most(|limiter, before, key| limiter.refund_at(before, key, 2 * CHARGED, None));
    assert_eq!([penalised, reset, refunded], [u64::from(LIMIT); 3], "penalised, reset, refunded");
}
