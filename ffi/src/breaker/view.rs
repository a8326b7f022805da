//! What a breaker shows: its state, its window, its events.

use crate::handle::versioned;
use std::mem::size_of;
use tidegate_core::breaker::{Event, EventKind, State, Trip};

/// Where a breaker stands. Later versions may add values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_state {
    /// Calls pass and are counted.
    TG_STATE_CLOSED = 0,
    /// Calls are refused until the cooldown ends.
    TG_STATE_OPEN = 1,
    /// A few probes pass.
    TG_STATE_HALF_OPEN = 2,
    /// Open by hand, until reset.
    TG_STATE_FORCED_OPEN = 3,
    /// Switched off: calls pass and are not counted.
    TG_STATE_DISABLED = 4,
    /// Calls pass and are counted, the circuit never opens.
    TG_STATE_METRICS_ONLY = 5,
}

// The numbers are one law with the core's.
const _: () = {
    assert!(tg_state::TG_STATE_CLOSED as i32 == State::Closed as i32);
    assert!(tg_state::TG_STATE_OPEN as i32 == State::Open as i32);
    assert!(tg_state::TG_STATE_HALF_OPEN as i32 == State::HalfOpen as i32);
    assert!(tg_state::TG_STATE_FORCED_OPEN as i32 == State::ForcedOpen as i32);
    assert!(tg_state::TG_STATE_DISABLED as i32 == State::Disabled as i32);
    assert!(tg_state::TG_STATE_METRICS_ONLY as i32 == State::MetricsOnly as i32);
};

/// What an event tells. Later versions may add values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_event_kind {
    /// Now closed.
    TG_EVENT_CLOSED = 0,
    /// Now open.
    TG_EVENT_OPENED = 1,
    /// Now half-open.
    TG_EVENT_HALF_OPENED = 2,
    /// Opened by hand.
    TG_EVENT_FORCED_OPEN = 3,
    /// Switched off.
    TG_EVENT_DISABLED = 4,
    /// Metrics only.
    TG_EVENT_METRICS_ONLY = 5,
    /// A probe succeeded.
    TG_EVENT_PROBE_SUCCEEDED = 6,
    /// A probe failed.
    TG_EVENT_PROBE_FAILED = 7,
    /// A probe did not report within probe_timeout_ns.
    TG_EVENT_PROBE_LOST = 8,
    /// Closed, and calls come back by degrees.
    TG_EVENT_RAMP_STARTED = 9,
    /// All calls pass again: the ramp's time is over, or it was ended by a reset. A trip or another switch tells of
    /// itself.
    TG_EVENT_RAMP_ENDED = 10,
    /// Its settings were changed.
    TG_EVENT_CONFIGURED = 11,
}

const _: () = {
    assert!(tg_event_kind::TG_EVENT_CLOSED as i32 == EventKind::Closed as i32);
    assert!(tg_event_kind::TG_EVENT_OPENED as i32 == EventKind::Opened as i32);
    assert!(tg_event_kind::TG_EVENT_HALF_OPENED as i32 == EventKind::HalfOpened as i32);
    assert!(tg_event_kind::TG_EVENT_FORCED_OPEN as i32 == EventKind::ForcedOpen as i32);
    assert!(tg_event_kind::TG_EVENT_DISABLED as i32 == EventKind::Disabled as i32);
    assert!(tg_event_kind::TG_EVENT_METRICS_ONLY as i32 == EventKind::MetricsOnly as i32);
    assert!(tg_event_kind::TG_EVENT_PROBE_SUCCEEDED as i32 == EventKind::ProbeSucceeded as i32);
    assert!(tg_event_kind::TG_EVENT_PROBE_FAILED as i32 == EventKind::ProbeFailed as i32);
    assert!(tg_event_kind::TG_EVENT_PROBE_LOST as i32 == EventKind::ProbeLost as i32);
    assert!(tg_event_kind::TG_EVENT_RAMP_STARTED as i32 == EventKind::RampStarted as i32);
    assert!(tg_event_kind::TG_EVENT_RAMP_ENDED as i32 == EventKind::RampEnded as i32);
    assert!(tg_event_kind::TG_EVENT_CONFIGURED as i32 == EventKind::Configured as i32);
};

/// A transition, or the outcome of a probe. Start from TG_EVENT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_event {
    /// sizeof(tg_event)
    pub struct_size: usize,
    /// One of tg_event_kind.
    pub kind: i32,
    /// Running number from 0; a gap means that events were overwritten before they were read.
    pub seq: u64,
    /// Clock nanoseconds (millisecond resolution).
    pub at_ns: u64,
    /// Of TG_EVENT_OPENED: 1, and the calls by which it opened. Otherwise 0.
    pub has_trip: u32,
    /// Those calls.
    pub trip_calls: u32,
    /// Those of them that failed.
    pub trip_failed: u32,
    /// Those of them that were slow.
    pub trip_slow: u32,
}

versioned!(tg_event, first = 32, fields = [kind, seq, at_ns, has_trip, trip_calls, trip_failed, trip_slow]);

/// A look at a breaker. Start from TG_BREAKER_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_breaker_snapshot {
    /// sizeof(tg_breaker_snapshot)
    pub struct_size: usize,
    // <stats breaker>
    /// Where it stands. One of tg_state.
    pub state: i32,
    /// Calls in the window.
    pub calls: u32,
    /// Failed calls in the window.
    pub failed: u32,
    /// Slow calls in the window.
    pub slow: u32,
    /// failed / calls, 0 without calls.
    pub failure_rate: f64,
    /// slow / calls, 0 without calls.
    pub slow_call_rate: f64,
    /// Calls refused since the breaker was made.
    pub rejected: u64,
    /// How often it opened by itself since it was made.
    pub opened: u64,
    /// Nanoseconds until a probe may be tried; 0 when not open, TG_NEVER while forced open.
    pub retry_after_ns: u64,
    /// 1 once it has opened by itself: the window above begins empty with every state, the trip_ fields keep what last
    /// opened it.
    pub has_trip: u32,
    /// The calls by which it last opened: its window as of the call that opened it, or the probes that did.
    pub trip_calls: u32,
    /// Those of them that failed.
    pub trip_failed: u32,
    /// Those of them that were slow.
    pub trip_slow: u32,
    /// 1 or 0. Closed, and calls come back by degrees: until somebody asks for one after the ramp's end.
    pub ramping: u32,
    /// 0.
    pub reserved: u32,
    // </stats>
}

versioned!(
    tg_breaker_snapshot,
    first = 64,
    fields = [
        state,
        calls,
        failed,
        slow,
        failure_rate,
        slow_call_rate,
        rejected,
        opened,
        retry_after_ns,
        has_trip,
        trip_calls,
        trip_failed,
        trip_slow,
        ramping,
        reserved
    ]
);

/// The four fields of a trip.
pub(crate) fn trip(trip: Option<Trip>) -> [u32; 4] {
    trip.map_or([0; 4], |trip| [1, trip.calls, trip.failed, trip.slow])
}

impl From<Event> for tg_event {
    fn from(event: Event) -> Self {
        let [has_trip, trip_calls, trip_failed, trip_slow] = trip(event.trip);
        Self {
            struct_size: size_of::<Self>(),
            kind: event.kind as i32,
            seq: event.seq,
            at_ns: event.at_ns,
            has_trip,
            trip_calls,
            trip_failed,
            trip_slow,
        }
    }
}
