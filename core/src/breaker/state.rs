//! Where a breaker stands, and the look at its window.

use super::trip::Trip;

/// Where a breaker stands. The names are Resilience4j's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum State {
    /// Calls pass and are counted.
    Closed = 0,
    /// Calls are refused until the cooldown ends.
    Open = 1,
    /// A few probes pass.
    HalfOpen = 2,
    /// Open by hand, until reset.
    ForcedOpen = 3,
    /// Switched off: calls pass and are not counted.
    Disabled = 4,
    /// Calls pass and are counted, the circuit never opens.
    MetricsOnly = 5,
}

impl State {
    /// All of them, by number.
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::MetricsOnly];

    /// The name in every language: `"closed"`, `"half_open"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

/// A look at a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerStats {
    /// Where it stands.
    pub state: State,
    /// Closed, and calls come back by degrees: until somebody asks for one after the ramp's end.
    pub ramping: bool,
    /// Calls in the window.
    pub calls: u32,
    /// Failed calls in the window.
    pub failed: u32,
    /// Slow calls in the window.
    pub slow: u32,
    /// `failed / calls`, 0 without calls.
    pub failure_rate: f64,
    /// `slow / calls`, 0 without calls.
    pub slow_call_rate: f64,
    /// Calls refused since the breaker was made.
    pub rejected: u64,
    /// How often it opened by itself since it was made.
    pub opened: u64,
    /// Nanoseconds until a probe may be tried; 0 when not open, `NEVER` while forced open.
    pub retry_after_ns: u64,
    /// What last opened it by itself: the window above begins empty with every state. `None`: it never did.
    pub last_trip: Option<Trip>,
}

impl BreakerStats {
    /// Of a breaker of which nothing is known yet.
    pub(super) const NEW: Self = Self {
        state: State::Closed,
        ramping: false,
        calls: 0,
        failed: 0,
        slow: 0,
        failure_rate: 0.0,
        slow_call_rate: 0.0,
        rejected: 0,
        opened: 0,
        retry_after_ns: 0,
        last_trip: None,
    };
}
