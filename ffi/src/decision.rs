//! The answer of a limit.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::handle::{In, Out, Settings, versioned};
use crate::status::{Answer, Failure, tg_status};
use std::mem::size_of;
use tidegate_core::Decision;

/// What a limit decided. Start from TG_DECISION_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_decision {
    /// sizeof(tg_decision)
    pub struct_size: usize,
    /// Whether the cost was taken (from a peek: would be).
    pub allowed: bool,
    /// The most tokens that can be taken at once (the burst).
    pub limit: u32,
    /// Whole tokens left; 0 in debt or under a penalty.
    pub remaining: u32,
    /// Nanoseconds until the same cost could be admitted: 0 when allowed, TG_NEVER when it exceeds the burst.
    pub retry_after_ns: u64,
    /// Nanoseconds until the limit is back at its full burst.
    pub reset_after_ns: u64,
    /// Nanoseconds to wait before acting on an admission: 0 for every algorithm but the leaky bucket.
    pub delay_ns: u64,
}

versioned!(tg_decision, first = 40, fields = [allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns]);

/// A decision that C hands back: its bool may be any byte.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Given {
    struct_size: usize,
    allowed: u8,
    limit: u32,
    remaining: u32,
    retry_after_ns: u64,
    reset_after_ns: u64,
    delay_ns: u64,
}

versioned!(
    Given,
    first = 40,
    fields = [allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns],
    name = "tg_decision"
);
// SAFETY: numbers only.
unsafe impl Settings for Given {}

const _: () = assert!(size_of::<Given>() == size_of::<tg_decision>());

impl tg_decision {
    /// What C hands back.
    pub(crate) fn given(decision: In<Self>) -> Result<Decision, Failure> {
        let given = decision.cast::<Given>().read("decision")?;
        Ok(Decision {
            allowed: given.allowed != 0,
            limit: given.limit,
            remaining: given.remaining,
            retry_after_ns: given.retry_after_ns,
            reset_after_ns: given.reset_after_ns,
            delay_ns: given.delay_ns,
        })
    }
}

impl From<Decision> for tg_decision {
    fn from(decision: Decision) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            allowed: decision.allowed,
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after_ns: decision.retry_after_ns,
            reset_after_ns: decision.reset_after_ns,
            delay_ns: decision.delay_ns,
        }
    }
}

/// Decides only when there is room for the answer, and tells it.
#[inline]
pub(crate) fn answer(out: &Out<tg_decision>, decide: impl FnOnce() -> Decision) -> Answer {
    let room = out.room("decision")?;
    let decision = decide();
    out.fill(room, decision.into());
    Ok(allowed(decision.allowed))
}

/// A yes or no as a status.
#[inline]
pub(crate) fn allowed(yes: bool) -> tg_status {
    if yes { tg_status::TG_OK } else { tg_status::TG_DENIED }
}
