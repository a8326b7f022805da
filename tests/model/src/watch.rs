//! When a time that lies impossibly far ahead of the clock's readings is taken for a bad reading's.

/// Beyond the longest wait there can be, one minute may be a late thread's.
pub(crate) const SLACK_NS: u64 = 60_000_000_000;
/// How long readings must go on behind such a time.
const HEAL_AFTER_NS: u64 = 60_000_000_000;

/// The earliest reading since which each has found the time impossibly far ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch(Option<u64>);

impl Watch {
    /// A reading found the time plausible.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// A reading found it impossibly far ahead. Whether it has been so for long enough: if not, an earlier reading than
    /// the noted one begins again.
    pub(crate) fn lasted(&mut self, now: u64) -> bool {
        let lasted = self.wait(now) == 0;
        if !lasted {
            self.0 = Some(self.0.map_or(now, |first| first.min(now)));
        }
        lasted
    }

    /// Nanoseconds from `now` until it has been so for long enough.
    pub(crate) fn wait(&self, now: u64) -> u64 {
        HEAL_AFTER_NS.saturating_sub(now - self.0.map_or(now, |first| first.min(now)))
    }
}
