//! What `acquire` gives out, and what comes back.

use super::control::Control;
use super::probes;
use super::state::State;
use super::trip::Trip;
use crate::refusal::Refusal;
use std::fmt;
use std::time::Duration;

/// The right to make one call, by value. Report what became of it with
/// [`CircuitBreaker::report`](super::CircuitBreaker::report), or [`release`](super::CircuitBreaker::release) it.
///
/// A permit is **used up** by its report or release: who made it says nothing more. It is **void** once the circuit has
/// changed its state, a probe's also once its lease is lost: a report is then dropped.
///
/// - A probe's permit that is used up or void stays so: it names one lease of 2^35 of its slot.
/// - A permit of the closed, disabled or metrics-only state has no identity: reported twice it counts twice, so whoever
///   hands it out guards against that ([`Guard`](super::Guard) and the permits of the bindings do). It becomes valid
///   again when the circuit is in the same state 65 535 transitions later: do not keep one for so long.
/// - An all-zero permit belongs to no call and is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Permit {
    /// Opaque: state, generation, probe slot and nonce.
    pub word: u64,
    /// Clock nanoseconds at which it was acquired; `u64::MAX` where nothing needed it.
    pub started_ns: u64,
}

/// When a call began that is not timed: it has taken no time, whatever the settings have become.
pub(super) const UNTIMED: u64 = u64::MAX;

impl Permit {
    /// The slot of the probe that it holds, below [`probes`](super::BreakerConfig::probes); `None` for a permit of
    /// another state. A slot has one lease at a time: a later permit of the same slot makes this one void.
    #[inline]
    pub fn probe(self) -> Option<u32> {
        let is_probe = Control(self.word).state() == State::HalfOpen;
        is_probe.then(|| probes::slot_of(Control::payload(self.word)))
    }
}

/// A refusal by an open circuit (or by a half-open one whose probes are all taken, or by one that has closed and lets
/// calls back by degrees).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Nanoseconds until a probe may be tried; `u64::MAX` while forced open; a tenth of the ramp while ramping.
    pub retry_after_ns: u64,
    /// What opened it; `None` while forced open.
    pub trip: Option<Trip>,
    /// It is closed again, and this call was not among those that its ramp lets pass.
    pub ramping: bool,
}

impl Rejected {
    /// Time until a probe may be tried; `None` for "never" (forced open).
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_ns != u64::MAX).then(|| Duration::from_nanos(self.retry_after_ns))
    }

    /// As a text that names the circuit; it alone says the same without a name.
    pub fn refusal<'a>(&self, name: impl Into<Option<&'a str>>) -> Refusal<'a> {
        let (calls, failed, slow) = self.trip.map_or((0, 0, 0), |trip| (trip.calls, trip.failed, trip.slow));
        let refusal = Refusal::of_circuit(calls, failed, slow).ramping(self.ramping);
        refusal.named(name.into()).retry_after_ns(self.retry_after_ns)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.refusal(None))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::breaker::{BreakerConfig, CircuitBreaker, Permit};
    use crate::{Clock, ManualClock};
    use std::time::Duration;

    #[test]
    fn a_probes_permit_names_its_slot() {
        let clock = ManualClock::new(0);
        let config = BreakerConfig { consecutive_failures: Some(1), probes: 3, ..BreakerConfig::default() };
        let breaker = CircuitBreaker::with_clock("a", config, Clock::from(&clock)).expect("a breaker");
        let closed = breaker.acquire().expect("closed");
        assert_eq!([closed.probe(), Permit { word: 0, started_ns: 0 }.probe()], [None, None]);
        breaker.report(closed, crate::breaker::Outcome::Failure, None);
        clock.advance(Duration::from_secs(30));
        let probes = [0, 1, 2].map(|_| breaker.acquire().expect("a probe"));
        assert_eq!(probes.map(Permit::probe), [Some(0), Some(1), Some(2)]);
        breaker.release(probes[1]);
        assert_eq!(breaker.acquire().expect("the slot again").probe(), Some(1));
    }
}
