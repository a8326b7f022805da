//! Time as an argument: where the plain forms of every operation read it from.

mod manual;
mod os;
#[cfg(not(loom))]
mod shared;
mod tsc;

pub use manual::ManualClock;
#[cfg(not(loom))]
pub(crate) use shared::{SharedClock, TOLERANCE};
#[cfg(not(loom))]
pub(crate) use tsc::Pair;
pub(crate) use tsc::{Tsc, ticks};

/// A source of monotonic nanoseconds. Cheap to clone; clones read the same time.
///
/// Thread safety: may be read from any thread at any time; takes no lock and makes no system call where the kernel
/// offers its clock through the vDSO.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Tsc(&'static Tsc),
    Os,
    Boot,
    Manual(ManualClock),
    #[cfg(not(loom))]
    Shared(std::sync::Arc<SharedClock>),
}

impl Clock {
    /// The machine's monotonic clock: a calibrated TSC where the kernel itself trusts it, `CLOCK_MONOTONIC` elsewhere.
    /// The first call in a process takes 5 ms where there is a TSC to calibrate.
    pub fn monotonic() -> Self {
        Self(Tsc::get().map_or(Source::Os, Source::Tsc))
    }

    /// The monotonic clock that counts on while the machine sleeps (`CLOCK_BOOTTIME` on Linux; elsewhere the system's
    /// monotonic one), for what others count on too: leases.
    pub fn boottime() -> Self {
        Self(Source::Boot)
    }

    /// The system's monotonic clock, whatever counter there is.
    #[cfg(not(loom))]
    pub(crate) fn of_system() -> Self {
        Self(Source::Os)
    }

    /// Nanoseconds since an arbitrary, fixed moment.
    #[inline]
    pub fn now(&self) -> u64 {
        // One branch for the common clock, where a match would jump through a table and make its callers larger.
        if let Source::Tsc(tsc) = &self.0 { tsc.now() } else { self.now_otherwise() }
    }

    #[inline(never)]
    fn now_otherwise(&self) -> u64 {
        #[cfg(not(loom))]
        if let Source::Shared(clock) = &self.0 {
            return clock.now();
        }
        match &self.0 {
            Source::Manual(clock) => clock.now(),
            Source::Boot => os::boottime(),
            _ => os::monotonic(),
        }
    }

    /// Whether both read the same time: the machine's, one arena's, or one [`ManualClock`]'s.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::Tsc(_), Source::Tsc(_)) | (Source::Os, Source::Os) | (Source::Boot, Source::Boot) => true,
            (Source::Manual(one), Source::Manual(two)) => one.is_same(two),
            #[cfg(not(loom))]
            (Source::Shared(one), Source::Shared(two)) => one.is_same(two),
            _ => false,
        }
    }

    /// The counter behind this clock, for operations that convert ticks to their own unit in one multiplication.
    pub(crate) fn tsc(&self) -> Option<&Tsc> {
        match &self.0 {
            Source::Tsc(tsc) => Some(tsc),
            #[cfg(not(loom))]
            Source::Shared(clock) => clock.tsc(),
            _ => None,
        }
    }

    /// The counter now, to be converted by the numbers of [`tsc`](Self::tsc); `None`: there is none, or this clock goes
    /// by it no more.
    #[inline]
    pub(crate) fn ticks(&self) -> Option<u64> {
        match &self.0 {
            Source::Tsc(_) => Some(ticks()),
            #[cfg(not(loom))]
            Source::Shared(clock) => clock.ticks(),
            _ => None,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::monotonic()
    }
}

#[cfg(not(loom))]
impl From<SharedClock> for Clock {
    fn from(clock: SharedClock) -> Self {
        Self(Source::Shared(std::sync::Arc::new(clock)))
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        clock.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_monotonic_clock_moves_at_the_speed_of_time() {
        let clock = Clock::monotonic();
        let (start, real) = (clock.now(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (ours, theirs) = (clock.now() - start, real.elapsed().as_nanos() as u64);
        assert!(ours.abs_diff(theirs) < theirs / 100, "{ours} ns against {theirs} ns");
    }

    #[test]
    fn the_clock_that_counts_sleep_moves_at_the_speed_of_time() {
        let clock = Clock::boottime();
        let (start, monotonic) = (clock.now(), os::monotonic());
        std::thread::sleep(Duration::from_millis(20));
        assert!((clock.now() - start).abs_diff(os::monotonic() - monotonic) < 5_000_000);
        assert!(clock.is_same(&Clock::boottime()) && !clock.is_same(&Clock::monotonic()));
    }

    #[test]
    fn clones_of_a_manual_clock_share_its_time() {
        let manual = ManualClock::new(5);
        let clock = Clock::from(&manual);
        manual.advance(Duration::from_nanos(7));
        assert_eq!((clock.now(), clock.clone().now()), (12, 12));
        manual.set(1);
        assert_eq!(clock.now(), 1);
        manual.advance(Duration::MAX);
        assert_eq!(clock.now(), u64::MAX);
    }

    #[test]
    fn clocks_are_the_same_when_they_read_one_time() {
        let manual = ManualClock::new(5);
        assert!(Clock::from(&manual).is_same(&manual.clone().into()));
        assert!(!Clock::from(&manual).is_same(&ManualClock::new(5).into()));
        assert!(Clock::monotonic().is_same(&Clock::default()));
        assert!(!Clock::monotonic().is_same(&manual.into()));
    }
}
