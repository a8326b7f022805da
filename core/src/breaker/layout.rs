//! What a breaker is made with for good, in private memory: sizes, units, and where its words' time begins.

use super::config::{BreakerConfig, Window};
use super::count_window::CountWindow;
use super::rules::nanos;
use super::time_window::TimeWindow;
use crate::ConfigError;
use std::hash::{BuildHasher, RandomState};

/// Probes that every breaker has room for, so that their number can be raised.
const LEAST_PROBES: u32 = if cfg!(loom) { 1 } else { 16 };

/// What kind of window, and how large it can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WindowRoom {
    /// Chunks in the log.
    Calls { chunks: usize },
    /// The length of a slice.
    Duration { slice_ns: u64 },
}

/// Sizes and units: all who open a breaker have them from who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) window: WindowRoom,
    /// The largest window: calls, or slices.
    pub(super) most_window: u32,
    /// Slots for probes.
    pub(super) probes: u32,
    /// Leases of probes end at multiples of 2^this milliseconds.
    pub(super) lease_shift: u32,
}

impl Layout {
    /// For a new breaker with these settings.
    pub(super) fn of(config: &BreakerConfig) -> Self {
        let window = match config.window {
            Window::Calls(calls) => WindowRoom::Calls { chunks: CountWindow::chunks(calls) },
            Window::Duration(span) => WindowRoom::Duration { slice_ns: TimeWindow::slice_ns(nanos(span)) },
        };
        let (probes, lease_shift) = (config.probes.max(LEAST_PROBES), super::rules::lease_shift(config.probe_timeout));
        Self::with(window, probes, lease_shift)
    }

    fn with(window: WindowRoom, probes: u32, lease_shift: u32) -> Self {
        let most_window = match window {
            WindowRoom::Calls { chunks } => CountWindow::most_calls(chunks),
            WindowRoom::Duration { .. } => TimeWindow::MOST,
        };
        Self { window, most_window, probes, lease_shift }
    }

    #[inline]
    pub(super) fn counts_calls(&self) -> bool {
        matches!(self.window, WindowRoom::Calls { .. })
    }

    /// The size of a window of this breaker: calls, or slices.
    pub(super) fn size(&self, window: Window) -> u32 {
        match (self.window, window) {
            (WindowRoom::Duration { slice_ns }, Window::Duration(span)) => TimeWindow::slices(nanos(span), slice_ns),
            (_, Window::Calls(calls)) => calls,
            (WindowRoom::Calls { .. }, Window::Duration(_)) => 0,
        }
    }

    #[cfg(not(loom))]
    pub(super) fn words(&self) -> [u64; 4] {
        let (kind, size) = match self.window {
            WindowRoom::Calls { chunks } => (0, chunks as u64),
            WindowRoom::Duration { slice_ns } => (1, slice_ns),
        };
        [kind, size, self.probes.into(), self.lease_shift.into()]
    }

    /// What [`words`](Self::words) says, from an arena: whatever it says, it is a layout that can be.
    #[cfg(not(loom))]
    pub(super) fn from_words([kind, size, probes, lease_shift]: [u64; 4]) -> Option<Self> {
        let (probes, lease_shift) = (u32::try_from(probes).ok()?, u32::try_from(lease_shift).ok()?);
        let window = match kind {
            0 => WindowRoom::Calls { chunks: usize::try_from(size).ok()? },
            _ => WindowRoom::Duration { slice_ns: size },
        };
        let fits = match window {
            WindowRoom::Calls { chunks } => chunks.is_power_of_two() && (4..=8_192).contains(&chunks),
            WindowRoom::Duration { slice_ns } => slice_ns > 0,
        };
        (fits && (1..=1_024).contains(&probes) && lease_shift <= 32).then(|| Self::with(window, probes, lease_shift))
    }

    /// Whether settings that are sound have room here.
    pub(super) fn check(&self, config: &BreakerConfig) -> Result<(), ConfigError> {
        use super::config as fields;
        match (self.window, config.window) {
            (WindowRoom::Calls { chunks }, Window::Calls(calls)) => {
                fields::fits_calls(calls, CountWindow::most_calls(chunks))?;
            }
            (WindowRoom::Duration { slice_ns }, Window::Duration(span)) => {
                fields::fits_span(span, TimeWindow::spans(slice_ns))?;
            }
            (room, _) => return Err(fields::other_window(matches!(room, WindowRoom::Calls { .. }))),
        }
        fields::fits_probes(config.probes, self.probes)?;
        fields::fits_leases(config.probe_timeout, self.lease_shift)
    }
}

/// Where the time of a breaker's words begins, and a seed of this handle's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// When it was made; the words count milliseconds from here.
    pub(super) epoch_ns: u64,
    pub(super) seed: u64,
    pub(super) lease_shift: u32,
}

impl Origin {
    pub(super) fn new(layout: &Layout, epoch_ns: u64) -> Self {
        Self { epoch_ns, seed: RandomState::new().hash_one(epoch_ns), lease_shift: layout.lease_shift }
    }
}
