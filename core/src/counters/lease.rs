//! Who owns which stripe: a word for each, 0 or its owner's mark.
#![cfg_attr(loom, allow(dead_code, reason = "only the models use it"))]

use crate::sync::{AtomicU64, Ordering};

/// Takes a stripe that nobody has; else one whose owner is gone for good, as `is_gone` says of its mark. `None`: all
/// are in use.
pub(super) fn claim(owners: &[AtomicU64], mine: u64, is_gone: impl Fn(u64) -> bool) -> Option<usize> {
    let take = |owner: &AtomicU64, found: u64| {
        // Acquire: pairs with the release of who gave it back, so that the first load of the stripe sees the last store
        // to it. What a dead owner stored is ordered by `is_gone`.
        owner.compare_exchange(found, mine, Ordering::Acquire, Ordering::Relaxed).is_ok()
    };
    owners.iter().position(|owner| take(owner, 0)).or_else(|| {
        owners.iter().position(|owner| {
            // Relaxed: only a guess for the exchange.
            let found = owner.load(Ordering::Relaxed);
            found != 0 && is_gone(found) && take(owner, found)
        })
    })
}

/// Gives a stripe back. Nothing happens if it is somebody else's by now.
pub(super) fn give_back(owner: &AtomicU64, mine: u64) {
    // Release: pairs with `claim`.
    let _ = owner.compare_exchange(mine, 0, Ordering::Release, Ordering::Relaxed);
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::thread;
    use std::sync::Arc;

    struct World {
        owner: [AtomicU64; 1],
        stripe: AtomicU64,
        shared: AtomicU64,
        dead: AtomicU64,
    }

    const DEAD: u64 = 9;

    fn world(owner: u64) -> Arc<World> {
        Arc::new(World {
            owner: [AtomicU64::new(owner)],
            stripe: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            dead: AtomicU64::new(0),
        })
    }

    impl World {
        /// As `Striped::add` in an owned stripe.
        fn add_owned(&self) {
            // Relaxed, both: what is modelled.
            self.stripe.store(self.stripe.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }

        fn live(&self, mine: u64) {
            // Acquire: as a process slot's state.
            let is_gone = |mark| mark == DEAD && self.dead.load(Ordering::Acquire) == 1;
            match claim(&self.owner, mine, is_gone) {
                Some(index) => {
                    self.add_owned();
                    give_back(&self.owner[index], mine);
                }
                None => {
                    // Relaxed: what is modelled.
                    self.shared.fetch_add(1, Ordering::Relaxed);
                }
            }
        }

        fn sum(&self) -> u64 {
            // Relaxed: the threads were joined.
            self.stripe.load(Ordering::Relaxed) + self.shared.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_stripe_changes_hands_without_a_lost_count() {
        loom::model(|| {
            let world = world(0);
            let threads = [1, 2].map(|mine| {
                let world = world.clone();
                thread::spawn(move || world.live(mine))
            });
            world.live(3);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(world.sum(), 3);
        });
    }

    #[test]
    fn what_a_dead_owner_counted_stays() {
        loom::model(|| {
            let world = world(DEAD);
            let dying = {
                let world = world.clone();
                thread::spawn(move || {
                    world.add_owned();
                    // Release: the kernel gives up a dead one's lock after its last instruction.
                    world.dead.store(1, Ordering::Release);
                })
            };
            let heir = {
                let world = world.clone();
                thread::spawn(move || world.live(1))
            };
            world.live(2);
            dying.join().unwrap();
            heir.join().unwrap();
            assert_eq!(world.sum(), 3);
        });
    }
}
