//! Netflix's `AIMDLimit`, for those who migrate: one more while calls succeed, a tenth less when one is dropped or too
//! slow. It knows of an overload only when calls fail.
//!
//! Source: `AIMDLimit.java` of Netflix/concurrency-limits.

use super::window::Window;

#[derive(Clone, Copy, Debug)]
pub(super) struct Aimd {
    pub(super) min_limit: u32,
    pub(super) initial_limit: u32,
    pub(super) max_limit: u32,
    pub(super) backoff_ratio: f64,
    /// A latency above it is a drop, ns.
    pub(super) timeout: u64,
}

impl Aimd {
    /// The limit after a window.
    pub(super) fn next(&self, limit: u32, window: &Window) -> u32 {
        let next = if window.dropped > 0 || window.mean > self.timeout {
            (f64::from(limit) * self.backoff_ratio) as u32
        } else if u64::from(window.most) * 2 >= u64::from(limit) {
            limit.saturating_add(1)
        } else {
            limit
        };
        next.max(self.min_limit).min(self.max_limit)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    //! The numbers of `AIMDLimitTest.java`.

    use super::*;

    fn aimd(initial_limit: u32, min_limit: u32, max_limit: u32) -> Aimd {
        Aimd { min_limit, initial_limit, max_limit, backoff_ratio: 0.9, timeout: 5_000_000_000 }
    }

    fn window(mean: u64, most: u32, dropped: u64) -> Window {
        Window { mean, most, dropped, ..Window::default() }
    }

    #[test]
    fn moves_as_netflix_does() {
        assert_eq!(aimd(20, 20, 200).next(20, &window(1_000_000, 10, 0)), 21);
        assert_eq!(aimd(30, 20, 200).next(30, &window(0, 0, 1)), 27);
        assert_eq!(aimd(21, 0, 21).next(21, &window(1_000_000, 10, 0)), 21);
        assert_eq!(aimd(30, 20, 200).next(30, &window(5_000_000_001, 30, 0)), 27);
        assert_eq!(aimd(30, 20, 200).next(30, &window(1_000_000, 14, 0)), 30);
    }
}
