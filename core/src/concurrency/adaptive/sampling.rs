//! Which calls are measured: all of them, up to some thousands a window; beyond that one in 2, 4, 8 … at random, so
//! that a busy limit costs no clock readings. A measured call then counts for as many.

/// All are measured up to so many in a window.
const ALL_UP_TO: u64 = 2_048;
/// One in so many at least.
const MOST: u64 = 1_024;

/// One in how many is to be measured when a window has `calls` already; a power of two.
pub(super) fn stride_for(calls: u64) -> u64 {
    (calls / ALL_UP_TO).max(1).next_power_of_two().min(MOST)
}

/// Whether this call is one.
#[cfg(not(loom))]
#[inline]
pub(super) fn is_chosen(stride: u64) -> bool {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x853c_49e6_748f_ea9b) };
    }
    // D. Knuth's MMIX; its high bits are the good ones.
    let next = STATE.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    STATE.set(next);
    (next >> 40) & (stride - 1) == 0
}

#[cfg(loom)]
pub(super) fn is_chosen(_stride: u64) -> bool {
    true
}

/// A number from 0 to 1 that follows from two.
pub(super) fn draw(seed: u64, number: u64) -> f64 {
    // Steele, Lea, Flood: SplitMix64.
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ z >> 31) as f64 / u64::MAX as f64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_busier_the_fewer() {
        let strides = [0, 2_047, 4_095, 4_096, 8_192, 1 << 20, u64::MAX].map(stride_for);
        assert_eq!(strides, [1, 1, 1, 2, 4, 512, 1_024]);
    }

    #[test]
    fn as_many_are_chosen_as_are_to_be() {
        for stride in [1, 2, 64] {
            let chosen = (0..64_000).filter(|_| is_chosen(stride)).count() as f64;
            let share = chosen * stride as f64 / 64_000.0;
            assert!((0.8..1.2).contains(&share), "one in {stride}: {chosen}");
        }
    }
}
