//! Random numbers from 0 up to, but not including, 1: for waits and odds that must differ between clients.

use super::{generation, watch};
use std::cell::RefCell;

thread_local! {
    /// Of which process it is: a child of fork has the same bytes as its parent and its siblings, and would draw the
    /// same.
    static DRAWS: RefCell<(u32, fastrand::Rng)> =
        const { RefCell::new((0, fastrand::Rng::with_seed(0))) };
}

/// Another number from 0 up to, but not including, 1, from a generator of the calling thread. Not cryptographic: who
/// guesses it learns when a retry comes.
pub fn draw() -> f64 {
    let draw = DRAWS.try_with(|draws| {
        let (process, random) = &mut *draws.borrow_mut();
        if *process != generation() {
            watch();
            (*process, *random) = (generation(), seeded());
        }
        random.f64()
    });
    // A thread that is past its destructors.
    draw.unwrap_or_else(|_| seeded().f64())
}

#[cold]
fn seeded() -> fastrand::Rng {
    // What siblings of a fork have alike, and what they do not: the process and the moment.
    let own = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    fastrand::Rng::with_seed(fastrand::u64(..) ^ own ^ now.rotate_left(17))
}
