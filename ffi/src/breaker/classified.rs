//! What the end of a call says of the dependency.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use super::permit::{outcome, tg_outcome};
use crate::arena::place::unused;
use crate::handle::{Settings, versioned};
use crate::quota::TG_NEVER;
use crate::status::Failure;
use std::mem::size_of;
use std::time::Duration;
use tidegate_core::breaker::Classified;

/// What the end of a call says of the dependency, for every policy that it is under: tg_breaker_report_classified();
/// tg_retry_next() takes retry_after_ns, after a TG_FAILURE or TG_UNREACHED; tg_throttle_report() takes whether outcome
/// is neither of these, after anything but TG_IGNORE. Start from TG_CLASSIFIED_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_classified {
    /// sizeof(tg_classified)
    pub struct_size: usize,
    /// How long the server wants to be left alone; 0: it said nothing.
    pub retry_after_ns: u64,
    /// One of tg_outcome.
    pub outcome: i32,
    /// 0.
    pub reserved: u32,
}

versioned!(tg_classified, first = 24, fields = [retry_after_ns, outcome, reserved]);
// SAFETY: numbers only.
unsafe impl Settings for tg_classified {}

impl Default for tg_classified {
    fn default() -> Self {
        let (struct_size, outcome) = (size_of::<Self>(), tg_outcome::TG_SUCCESS as i32);
        Self { struct_size, retry_after_ns: 0, outcome, reserved: 0 }
    }
}

impl From<Classified> for tg_classified {
    fn from(classified: Classified) -> Self {
        let wait = classified.retry_after.unwrap_or_default();
        Self {
            retry_after_ns: u64::try_from(wait.as_nanos()).unwrap_or(TG_NEVER - 1),
            outcome: tg_outcome::from(classified.outcome) as i32,
            ..Self::default()
        }
    }
}

impl tg_classified {
    pub(super) fn checked(&self) -> Result<Classified, Failure> {
        unused(self.reserved)?;
        let retry_after = (self.retry_after_ns != 0).then(|| Duration::from_nanos(self.retry_after_ns));
        Ok(Classified { outcome: outcome(self.outcome)?, retry_after })
    }
}
