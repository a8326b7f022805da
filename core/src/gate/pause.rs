//! When a call that found a queue or a concurrency limit full should come again.

use crate::http::Outflow;
use crate::sync::{AtomicU64, Ordering};

/// For so long what was found is told again: refusals come by the thousand, and looking is not cheap.
const KEPT_MS: u64 = 100;
/// Bits of the seconds in the word; a wait is at most 72.
const SECONDS: u32 = 8;
const S: u64 = 1_000_000_000;

/// What was last told: `until:56 | seconds:8`, in milliseconds of the clock. Read and written by refused calls alone.
#[derive(Debug, Default)]
pub(super) struct Pause {
    told: AtomicU64,
    outflow: Outflow,
}

impl Pause {
    /// Nanoseconds; `in_the_way` gives how many are, and how many have left since the beginning.
    pub(super) fn ns(&self, now: u64, in_the_way: impl FnOnce() -> (u64, u64)) -> u64 {
        let now_ms = now / 1_000_000;
        // Relaxed: whatever was told lately is as good.
        let told = self.told.load(Ordering::Relaxed);
        let left_ms = (told >> SECONDS).wrapping_sub(now_ms);
        // A clock that has stepped back finds it too far ahead.
        if (1..=KEPT_MS).contains(&left_ms) {
            return (told & ((1 << SECONDS) - 1)) * S;
        }
        let (depth, left) = in_the_way();
        let seconds = self.outflow.retry_after(now, depth, left).min((1 << SECONDS) - 1);
        self.told.store((now_ms + KEPT_MS) << SECONDS | seconds, Ordering::Relaxed);
        seconds * S
    }

    /// What [`ns`](Self::ns) would say if it were not told again, keeping nothing: at least a second.
    pub(super) fn least_ns() -> u64 {
        S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_told_again_for_a_tenth_of_a_second() {
        let pause = Pause::default();
        assert_eq!(pause.ns(0, || (10, 0)), S);
        assert_eq!(pause.ns(99_999_999, || unreachable!()), S);
        // Ten seconds later: one a second has left.
        let ns = pause.ns(10 * S, || (20, 10));
        assert!((20 * S..=24 * S).contains(&ns) && ns % S == 0, "{ns}");
        assert_eq!(pause.ns(10 * S + 50_000_000, || unreachable!()), ns);
        // A clock that steps back asks anew.
        let mut asked = false;
        pause.ns(9 * S, || {
            asked = true;
            (1, 10)
        });
        assert!(asked);
    }
}
