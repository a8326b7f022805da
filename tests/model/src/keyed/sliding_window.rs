//! Sliding window counter: two windows aligned to the epoch, the earlier weighted by how much of it still counts.

use super::{Level, Limit};

#[derive(Clone, Debug, Default)]
pub(super) struct SlidingWindow {
    /// The window that `current` belongs to.
    number: u64,
    previous: u32,
    current: u32,
}

impl SlidingWindow {
    /// As of `now`: previous, current, and how far the present window has gone. A clock that steps back stays at the
    /// start of the latest window.
    fn at(&self, now: u64, limit: &Limit) -> (Self, u64) {
        let (number, gone) = (now / limit.period_ns, now % limit.period_ns);
        let (previous, current) = match number.checked_sub(self.number) {
            None => return (self.clone(), 0),
            Some(0) => (self.previous, self.current),
            Some(1) => (self.current, 0),
            Some(_) => (0, 0),
        };
        (Self { number, previous, current }, gone)
    }

    /// How far a clock that stepped back is from the latest window: waits are told from its own time on.
    fn ahead(&self, now: u64, limit: &Limit) -> u64 {
        (self.number * limit.period_ns).saturating_sub(now)
    }
}

impl Level for SlidingWindow {
    fn boxed(&self) -> Box<dyn Level> {
        Box::new(self.clone())
    }

    fn wait(&self, now: u64, n: u32, limit: &Limit) -> u64 {
        let (seen, gone) = self.at(now, limit);
        let [previous, current, n, most] = [seen.previous, seen.current, n, limit.burst].map(i128::from);
        let [window, gone] = [limit.period_ns, gone].map(i128::from);
        if previous * (window - gone) + (current + n) * window <= most * window {
            return 0;
        }
        let wait = if current + n <= most {
            // In this window: the earlier one has to fade.
            window - (most - current - n) * window / previous - gone
        } else {
            // In the next, where this one fades.
            window - gone + (window - (most - n) * window / current).max(0)
        };
        u64::try_from(wait).expect("within two windows") + self.ahead(now, limit)
    }

    fn charge(&mut self, now: u64, n: u32, limit: &Limit) {
        *self = self.at(now, limit).0;
        self.current += n;
    }

    fn remaining(&self, now: u64, limit: &Limit) -> u32 {
        let (seen, gone) = self.at(now, limit);
        let window = i128::from(limit.period_ns);
        let used = i128::from(seen.previous) * (window - i128::from(gone)) + i128::from(seen.current) * window;
        u32::try_from((i128::from(limit.burst) * window - used).div_euclid(window).max(0)).expect("at most the limit")
    }

    fn reset_after(&self, now: u64, limit: &Limit) -> u64 {
        match self.at(now, limit) {
            (Self { current: 1.., .. }, gone) => 2 * limit.period_ns - gone + self.ahead(now, limit),
            (Self { previous: 1.., .. }, gone) => limit.period_ns - gone + self.ahead(now, limit),
            _ => 0,
        }
    }

    fn refund(&mut self, now: u64, n: u32, limit: &Limit) -> bool {
        *self = self.at(now, limit).0;
        let back = n.min(self.current);
        self.current -= back;
        back > 0
    }
}
