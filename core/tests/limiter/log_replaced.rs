//! Invariant: what is done to a key of a sliding log touches that key's admissions only, also when its block goes to
//! another.

use super::{MS, limiter};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tidegate::limit::Algorithm;

/// A large limit: whoever forgets a key's stamps one by one takes long enough for others to come between.
const LIMIT: u32 = 4_096;
const IDLE: u64 = 7;
const ROUNDS: u64 = if cfg!(debug_assertions) { 60 } else { 600 };

/// Seven idle keys have all blocks of the only line. One thread penalises, resets or refunds them while two others use
/// up new keys.
#[test]
fn nobody_forgets_the_admissions_of_a_key_that_took_the_block() {
    for act in 0..3 {
        let (limiter, start) = (limiter(Algorithm::SlidingLog, LIMIT.into(), MS, LIMIT.into(), 1), Barrier::new(3));
        let admitted = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..3 {
                let (limiter, start, admitted) = (&limiter, &start, &admitted);
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        let now = round * 10_000 * MS;
                        if thread == 0 {
                            for key in 0..IDLE {
                                assert!(limiter.try_acquire_at(now, &(round * 100 + key).to_le_bytes(), 1));
                            }
                        }
                        start.wait();
                        let later = now + 1_000 * MS;
                        if thread == 0 {
                            for key in 0..IDLE {
                                let key = (round * 100 + key).to_le_bytes();
                                match act {
                                    0 => drop(limiter.penalize_at(later, &key, Duration::from_millis(2))),
                                    1 => limiter.reset_at(later, &key),
                                    _ => limiter.refund_at(later, &key, 2, None),
                                }
                            }
                        } else {
                            let new = (round * 100 + 50).to_le_bytes();
                            for _ in 0..6 {
                                let half = LIMIT / 2;
                                let taken = limiter.try_acquire_at(later, &new, half);
                                admitted.fetch_add(if taken { half.into() } else { 0 }, Ordering::Relaxed);
                            }
                        }
                        start.wait();
                        if thread == 0 {
                            let all = admitted.swap(0, Ordering::Relaxed);
                            assert!(all <= LIMIT.into(), "{all} of {LIMIT} in round {round}");
                        }
                        start.wait();
                    }
                });
            }
        });
    }
}
