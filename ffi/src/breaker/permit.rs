//! The right to make one call, and what became of it.

use crate::status::Failure;
use crate::status::tg_status::{TG_NO_PERMIT, TG_UNKNOWN_VALUE};
use tidegate_core::breaker::{Outcome, Permit};

/// The right to make one call, by value. What is in it is tidegate's; all zero is no permit. Report it once: it is then
/// used up. It is void once the circuit has changed its state or its breaker is freed, a probe's also once it is lost:
/// a report is then dropped. A probe's permit that is used up or void stays so. Any other that is reported again counts
/// again, and means something again when the circuit is in the same state 65535 transitions later: forget it once it is
/// reported.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_permit {
    /// Opaque.
    pub word: u64,
    /// Opaque.
    pub started_ns: u64,
}

impl From<Permit> for tg_permit {
    fn from(permit: Permit) -> Self {
        Self { word: permit.word, started_ns: permit.started_ns }
    }
}

impl tg_permit {
    /// The core gives no all-zero permit out.
    pub(crate) fn checked(self) -> Result<Permit, Failure> {
        match self.word {
            0 => Err(Failure::new(TG_NO_PERMIT, "permit: all zero; only an acquire that answered TG_OK gives one")),
            word => Ok(Permit { word, started_ns: self.started_ns }),
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_outcome {
    /// It worked. Slow when its duration reached slow_call_duration_ns.
    TG_SUCCESS = 0,
    /// It failed.
    TG_FAILURE = 1,
    /// It says nothing about the dependency (a wrong argument, a local refusal): not counted; a probe slot is given
    /// back.
    TG_IGNORE = 2,
    /// It never reached the dependency (no connection of the pool was free): a failure while closed; of a probe it says
    /// nothing, and the slot is given back.
    TG_UNREACHED = 3,
    /// It worked, and was slow, whatever its duration.
    TG_SLOW = 4,
}

impl From<Outcome> for tg_outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::TG_SUCCESS,
            Outcome::Failure => Self::TG_FAILURE,
            Outcome::Ignore => Self::TG_IGNORE,
            Outcome::Unreached => Self::TG_UNREACHED,
            Outcome::Slow => Self::TG_SLOW,
        }
    }
}

pub(crate) fn outcome(value: i32) -> Result<Outcome, Failure> {
    match value {
        0 => Ok(Outcome::Success),
        1 => Ok(Outcome::Failure),
        2 => Ok(Outcome::Ignore),
        3 => Ok(Outcome::Unreached),
        4 => Ok(Outcome::Slow),
        _ => {
            let message = format!(
                "outcome: {value} is none of TG_SUCCESS (0), TG_FAILURE (1), TG_IGNORE (2), TG_UNREACHED (3), \
                 TG_SLOW (4)"
            );
            Err(Failure::new(TG_UNKNOWN_VALUE, message))
        }
    }
}
