//! The CPU's time stamp counter as a clock, where the kernel itself trusts it.
//!
//! A calibrated counter read costs less than half of a vDSO `clock_gettime`. It is used only when the kernel's own
//! clocksource is the TSC: elsewhere it may stop, differ between cores or change its speed (governor issue 299).
#![allow(unsafe_code)] // Reading the counter is an intrinsic.

use super::os;
use std::sync::OnceLock;
use std::time::Duration;

/// How long the counter is compared with the kernel's clock, once a process. Each end is read to about 20 ns, so the
/// speed is good to some 10 parts in a million; the law of the core allows 100.
const CALIBRATION: Duration = Duration::from_millis(5);

/// Counter ticks to kernel nanoseconds: `ns = ns0 + (ticks - ticks0) * mult / 2^SHIFT`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tsc {
    ticks0: u64,
    ns0: u64,
    mult: u64,
}

/// Fraction bits of [`Tsc::mult`]: counters from 0.1 to 100 GHz fit.
const SHIFT: u32 = 58;

impl Tsc {
    /// The process's calibration; `None` where the counter is not to be trusted. The first call takes 5 ms.
    pub(crate) fn get() -> Option<&'static Self> {
        static TSC: OnceLock<Option<Tsc>> = OnceLock::new();
        TSC.get_or_init(|| if kernel_trusts_it() { Self::calibrate() } else { None }).as_ref()
    }

    pub(crate) fn calibrate() -> Option<Self> {
        let start = Pair::read();
        std::thread::sleep(CALIBRATION);
        let end = Pair::read();
        let ticks = end.ticks.checked_sub(start.ticks).filter(|&ticks| ticks > 0)?;
        let mult = u128::from(end.os_ns.checked_sub(start.os_ns)?) << SHIFT;
        Self::of_parts(start.ticks, start.os_ns, u64::try_from(mult / u128::from(ticks)).ok()?)
    }

    /// A calibration that somebody else made. `None`: no counter runs like that.
    pub(crate) fn of_parts(ticks0: u64, ns0: u64, mult: u64) -> Option<Self> {
        (mult > 0).then_some(Self { ticks0, ns0, mult })
    }

    /// `ticks0`, `ns0`, `mult`.
    #[cfg(not(loom))]
    pub(crate) fn parts(&self) -> (u64, u64, u64) {
        (self.ticks0, self.ns0, self.mult)
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.ns_of(ticks())
    }

    #[inline]
    pub(crate) fn ns_of(&self, ticks: u64) -> u64 {
        // A core whose counter lags a little behind the calibrating one reads as the start.
        let since = ticks.saturating_sub(self.ticks0);
        self.ns0.wrapping_add(((u128::from(since) * u128::from(self.mult)) >> SHIFT) as u64)
    }

    /// The counter's reading at clock time `ns`, rounded up (never earlier than `ns`).
    pub(crate) fn ticks_at(&self, ns: u64) -> u64 {
        let since = u128::from(ns.saturating_sub(self.ns0)) << SHIFT;
        let since = since.div_ceil(u128::from(self.mult));
        self.ticks0.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// How long so many ticks are, in nanoseconds.
    #[cfg(not(loom))]
    pub(crate) fn ns_in(&self, ticks: u64) -> u64 {
        u64::try_from((u128::from(ticks) * u128::from(self.mult)) >> SHIFT).unwrap_or(u64::MAX)
    }

    /// How many ticks so many nanoseconds are, at least 1.
    #[cfg(not(loom))]
    pub(crate) fn ticks_in(&self, ns: u64) -> u64 {
        u64::try_from((u128::from(ns) << SHIFT) / u128::from(self.mult)).map_or(u64::MAX / 2, |ticks| ticks.max(1))
    }

    /// Nanoseconds a tick, times 2^58.
    pub(crate) fn ns_per_tick(&self) -> (u64, u32) {
        (self.mult, SHIFT)
    }
}

/// The counter now. Not ordered against other instructions: a reading a few nanoseconds early only denies early.
#[inline]
pub(crate) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has RDTSC, and `Tsc::get` is `None` where the system forbids it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Counter and kernel clock read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) ticks: u64,
    pub(crate) os_ns: u64,
    /// Ticks within which the two were read.
    pub(crate) width: u64,
}

impl Pair {
    /// The tightest of some tries.
    pub(crate) fn read() -> Self {
        let mut best = Self { ticks: 0, os_ns: 0, width: u64::MAX };
        for _ in 0..32 {
            let before = ticks();
            let os_ns = os::monotonic();
            let width = ticks().wrapping_sub(before);
            if width < best.width {
                best = Self { ticks: before.wrapping_add(width / 2), os_ns, width };
            }
        }
        best
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn kernel_trusts_it() -> bool {
    std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        .is_ok_and(|name| name.trim() == "tsc")
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn kernel_trusts_it() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_kernel_where_it_is_used() {
        let Some(tsc) = Tsc::get() else { return };
        for _ in 0..100 {
            let before = os::monotonic();
            let now = tsc.now();
            let after = os::monotonic();
            // 100 µs: far above the calibration's error over the life of a test, far below any wrong formula's.
            assert!(now + 100_000 > before && now < after + 100_000, "{before} {now} {after}");
        }
    }

    #[test]
    fn ticks_at_is_the_inverse_rounded_up() {
        let tsc = Tsc { ticks0: 1_000, ns0: 500, mult: (1 << SHIFT) / 3 };
        for ns in [500, 501, 1_000, 123_456_789] {
            assert!(tsc.ns_of(tsc.ticks_at(ns)) + 1 >= ns);
            assert!(tsc.ns_of(tsc.ticks_at(ns) - 1) <= ns);
        }
    }
}
