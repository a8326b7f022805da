//! Where a config puts its object.

use super::tg_arena;
use crate::clock::{clock_or_monotonic, tg_clock};
use crate::handle::In;
use crate::status::Failure;
use crate::status::tg_status::{TG_CONFLICT, TG_OUT_OF_RANGE, TG_UNKNOWN_VALUE};
use std::ffi::c_char;
use std::sync::Arc;
use tidegate_core::{Arena, Clock, OnConflict};

/// What to do when an arena has an object of this name that was last declared with other settings (rate, burst,
/// thresholds) than mine. What tg_bucket_set_quota() and its like changed is not compared: it survives the restart of a
/// process that declares what it did before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_on_conflict {
    /// TG_ARENA_SETTINGS, with a sentence that names both.
    TG_ON_CONFLICT_ERROR = 0,
    /// Take the object as it is.
    TG_ON_CONFLICT_KEEP = 1,
    /// Change it to mine, for everybody.
    TG_ON_CONFLICT_APPLY = 2,
}

/// Where an object's state lives.
pub(crate) enum Place<'a> {
    /// In memory of its own, on this clock.
    Private(Clock),
    /// In an arena, under a name.
    Arena(&'a Arc<Arena>, &'a str, OnConflict),
}

/// The place that a config's fields say.
pub(crate) fn place<'a>(
    arena: &'a In<tg_arena>,
    name: &'a In<c_char>,
    on_conflict: i32,
    clock: &In<tg_clock>,
) -> Result<Place<'a>, Failure> {
    let on_conflict = match on_conflict {
        0 => OnConflict::Error,
        1 => OnConflict::Keep,
        2 => OnConflict::Apply,
        other => {
            let message = format!(
                "on_conflict: {other} is none of TG_ON_CONFLICT_ERROR (0), TG_ON_CONFLICT_KEEP (1) and \
                 TG_ON_CONFLICT_APPLY (2)"
            );
            return Err(Failure::new(TG_UNKNOWN_VALUE, message));
        }
    };
    let name = name.text("name")?;
    let Some(arena) = arena.get_or_none() else { return Ok(Place::Private(clock_or_monotonic(clock))) };
    if !clock.is_null() {
        let message = "clock: set beside arena, which has a clock of its own (tg_arena_clock()); leave it NULL";
        return Err(Failure::new(TG_CONFLICT, message));
    }
    let Some(name) = name else {
        let message = "name: not set; an object in an arena needs one, so that others find it";
        return Err(Failure::new(TG_CONFLICT, message));
    };
    Ok(Place::Arena(&arena.0, name, on_conflict))
}

/// A field that later versions may use.
pub(crate) fn unused(reserved: u32) -> Result<(), Failure> {
    if reserved == 0 {
        return Ok(());
    }
    Err(Failure::new(TG_OUT_OF_RANGE, "reserved: is not 0; start from the config's INIT macro"))
}
