//! How much a host wants.

/// Tokens a second, smoothed: quick to rise, slow to fall.
#[derive(Debug)]
pub(crate) struct Demand {
    a_second: f64,
    asked: u64,
    at_ns: u64,
}

impl Demand {
    /// From `now` on; `asked`: what was asked for before does not count.
    pub(crate) fn since(now: u64, asked: u64) -> Self {
        Self { a_second: 0.0, asked, at_ns: now }
    }

    pub(crate) fn a_second(&self) -> f64 {
        self.a_second
    }

    /// Counts what was asked for since; at most each `span`, but at once where there was none before.
    pub(crate) fn measure(&mut self, now: u64, asked: u64, span_ns: u64) {
        let passed = now.saturating_sub(self.at_ns).max(1);
        // Counters of an arena never fall; what foreign bytes make of them is none.
        let new = asked.saturating_sub(self.asked);
        if passed < span_ns && !(self.a_second == 0.0 && new > 0) {
            return;
        }
        let seen = new as f64 * 1e9 / passed.max(span_ns / 4) as f64;
        self.a_second = if self.a_second == 0.0 {
            seen
        } else if seen > self.a_second {
            0.5 * self.a_second + 0.5 * seen
        } else {
            0.8 * self.a_second + 0.2 * seen
        };
        // The script's numbers are exact up to there.
        self.a_second = if self.a_second < 0.5 { 0.0 } else { self.a_second.min(1e12) };
        (self.asked, self.at_ns) = (asked, now);
    }
}
