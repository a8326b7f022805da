//! Threads that meet on a line that was left alone for epochs: who sweeps it late must free nobody who was charged
//! meanwhile.

use super::{S, limiter};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tidegate::limit::Algorithm;

const KEYS: u64 = 7;
const ROUNDS: u64 = 4_000;

/// Each key is drained whole at one instant, by one of the two.
#[test]
fn no_key_is_drained_twice_after_its_line_was_swept() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        // One line for all.
        let limiter = limiter(algorithm, 100, S, 100, 1);
        let (start, drained) = (Barrier::new(2), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..2 {
                let (limiter, start, drained) = (&limiter, &start, &drained);
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        // Longer than four epochs of any of them.
                        let now = round * 200 * S;
                        start.wait();
                        for key in 0..KEYS {
                            // One from the front and one from the back: they meet in the middle of the sweep.
                            let key = if thread == 0 { key } else { KEYS - 1 - key };
                            let taken = limiter.try_acquire_at(now, &key.to_le_bytes(), 100);
                            // Relaxed: read after the barrier.
                            drained.fetch_add(u64::from(taken), Ordering::Relaxed);
                        }
                        start.wait();
                        assert!(drained.load(Ordering::Relaxed) <= round * KEYS, "{algorithm} round {round}");
                    }
                });
            }
        });
        assert!(drained.into_inner() > ROUNDS * KEYS / 2, "{algorithm}: keys come back");
    }
}
