//! The operator's switch, and a new limit's ramp.

use crate::status::Failure;
use crate::status::tg_status::{TG_CONFLICT, TG_UNKNOWN_VALUE};
use std::time::Duration;
use tidegate_core::limit::{Mode, WarmUp};

/// What a limit does with its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_mode {
    /// Decides; off where the environment says TIDEGATE_DISABLED=1 (or true, yes, on) when the limit is made.
    TG_MODE_ENFORCE = 0,
    /// Decides, charges and counts, but refuses nothing: what it would have denied is in the snapshot's would_deny.
    /// TIDEGATE_DISABLED switches it off as well.
    TG_MODE_DRY_RUN = 1,
    /// Admits everything and touches nothing.
    TG_MODE_DISABLED = 2,
}

/// The mode of a config, one of tg_mode.
pub(crate) fn mode(value: i32) -> Result<Mode, Failure> {
    match value {
        0 => Ok(Mode::of(None, false)),
        1 => Ok(Mode::of(None, true)),
        2 => Ok(Mode::Disabled),
        other => {
            let message =
                format!("mode: {other} is none of TG_MODE_ENFORCE (0), TG_MODE_DRY_RUN (1) and TG_MODE_DISABLED (2)");
            Err(Failure::new(TG_UNKNOWN_VALUE, message))
        }
    }
}

/// The ramp of a config: none when both are 0.
pub(crate) fn warm_up(period_ns: u64, from: f64) -> Result<Option<WarmUp>, Failure> {
    if period_ns == 0 && from == 0.0 {
        return Ok(None);
    }
    if period_ns == 0 || from == 0.0 {
        let message = "warm_up_ns: a ramp needs its time (warm_up_ns) and the fraction that it starts from \
                       (warm_up_from, above 0 up to 1); set both, or leave both 0";
        return Err(Failure::new(TG_CONFLICT, message));
    }
    Ok(Some(WarmUp::new(Duration::from_nanos(period_ns), from)?))
}
