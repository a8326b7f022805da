//! A set's decisions.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_limit_set;
use crate::bytes::tg_bytes;
use crate::decision::{allowed, tg_decision};
use crate::handle::{In, Out};
use crate::panic::guard;
use crate::status::{Answer, Failure, tg_status};
use tg_status::{TG_CONFLICT, TG_OK};
use tidegate_core::limit::SetDecision;
use tidegate_core::{ConfigError, Decision};

/// The most members of a set, and so the most keys.
const MOST: usize = 16;

/// Calls `decide` with the keys as the core takes them.
fn with_keys<T>(
    keys: &In<tg_bytes>,
    key_count: usize,
    decide: impl FnOnce(&[&[u8]]) -> Result<T, ConfigError>,
) -> Result<T, Failure> {
    let given = keys.array(key_count, "keys")?;
    let mut keys = [&[][..]; MOST];
    let Some(taken) = keys.get_mut(..given.len()) else {
        let message =
            format!("keys: {key_count} is more than a set can take ({MOST}); give one for each limiter in it");
        return Err(Failure::new(TG_CONFLICT, message));
    };
    for (key, given) in taken.iter_mut().zip(given) {
        *key = given.get("keys")?;
    }
    Ok(decide(taken)?)
}

/// Decides only when there is room for the answer, and tells it.
fn answer(
    decision: &Out<tg_decision>,
    denied_by: &Out<i32>,
    decide: impl FnOnce() -> Result<SetDecision, Failure>,
) -> Answer {
    let room = decision.room("decision")?;
    let answer = decide()?;
    decision.fill(room, answer.decision.into());
    denied_by.set(answer.denied_by.map_or(-1, |place| place as i32)); // at most 16 members
    Ok(allowed(answer.decision.allowed))
}

/// `answer` that also tells each member's own.
fn answer_each(
    decision: &Out<tg_decision>,
    denied_by: &Out<i32>,
    (each, each_count): (&Out<tg_decision>, usize),
    decide: impl FnOnce(&mut [Decision]) -> Result<SetDecision, Failure>,
) -> Answer {
    const NOTHING: Decision =
        Decision { allowed: false, limit: 0, remaining: 0, retry_after_ns: 0, reset_after_ns: 0, delay_ns: 0 };
    let room = each.rooms(each_count, "each")?;
    let mut decisions = [NOTHING; MOST];
    let told = each_count.min(MOST);
    let status = answer(decision, denied_by, || decide(&mut decisions[..told]))?;
    for (place, &one) in decisions[..told].iter().enumerate() {
        each.nth(room, place).fill(room, one.into());
    }
    Ok(status)
}

/// Takes n from every member, or nothing from any: TG_OK or TG_DENIED. keys: one for each limiter of the set, in order;
/// buckets take none. Allowed: decision is that of the member with the fewest left, with the longest delay_ns. Denied:
/// that of the member with the longest wait, and *denied_by (may be NULL) is its place, for tg_limit_set_name(); -1
/// otherwise.
///
/// Thread safety: while one call is being denied it may make another deny; never does it let one more through.
/// Errors: TG_CONFLICT (more or fewer keys than limiters), TG_OUT_OF_RANGE (a length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_check(
    set: In<tg_limit_set>,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
    decision: Out<tg_decision>,
    denied_by: Out<i32>,
) -> tg_status {
    guard(|| {
        let set = &set.get("set")?.set;
        answer(&decision, &denied_by, || with_keys(&keys, key_count, |keys| set.check(keys, n)))
    })
}

/// tg_limit_set_check() at now_ns nanoseconds of the members' clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_check_at(
    set: In<tg_limit_set>,
    now_ns: u64,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
    decision: Out<tg_decision>,
    denied_by: Out<i32>,
) -> tg_status {
    guard(|| {
        let set = &set.get("set")?.set;
        answer(&decision, &denied_by, || with_keys(&keys, key_count, |keys| set.check_at(now_ns, keys, n)))
    })
}

/// tg_limit_set_check() that also tells each member's own decision, in order: an array of each_count structs, every one
/// started from TG_DECISION_INIT; with fewer than members, the first of them.
///
/// Errors: as tg_limit_set_check(); TG_STRUCT_SIZE also for one of each.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_check_each(
    set: In<tg_limit_set>,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
    decision: Out<tg_decision>,
    denied_by: Out<i32>,
    each: Out<tg_decision>,
    each_count: usize,
) -> tg_status {
    guard(|| {
        let set = set.get("set")?;
        answer_each(&decision, &denied_by, (&each, each_count.min(set.names.len())), |each| {
            with_keys(&keys, key_count, |keys| set.set.check_each(keys, n, each))
        })
    })
}

/// tg_limit_set_check_each() at now_ns nanoseconds of the members' clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_check_each_at(
    set: In<tg_limit_set>,
    now_ns: u64,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
    decision: Out<tg_decision>,
    denied_by: Out<i32>,
    each: Out<tg_decision>,
    each_count: usize,
) -> tg_status {
    guard(|| {
        let set = set.get("set")?;
        answer_each(&decision, &denied_by, (&each, each_count.min(set.names.len())), |each| {
            with_keys(&keys, key_count, |keys| set.set.check_each_at(now_ns, keys, n, each))
        })
    })
}

/// Tells what tg_limit_set_check() would say, and takes nothing: TG_OK or TG_DENIED.
///
/// Errors: as tg_limit_set_check().
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_peek(
    set: In<tg_limit_set>,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
    decision: Out<tg_decision>,
    denied_by: Out<i32>,
) -> tg_status {
    guard(|| {
        let set = &set.get("set")?.set;
        answer(&decision, &denied_by, || with_keys(&keys, key_count, |keys| set.peek(keys, n)))
    })
}

/// tg_limit_set_peek() at now_ns nanoseconds of the members' clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_peek_at(
    set: In<tg_limit_set>,
    now_ns: u64,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
    decision: Out<tg_decision>,
    denied_by: Out<i32>,
) -> tg_status {
    guard(|| {
        let set = &set.get("set")?.set;
        answer(&decision, &denied_by, || with_keys(&keys, key_count, |keys| set.peek_at(now_ns, keys, n)))
    })
}

/// Gives n back to every member, never above full.
///
/// Errors: TG_CONFLICT (more or fewer keys than limiters), TG_OUT_OF_RANGE (a length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_refund(
    set: In<tg_limit_set>,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
) -> tg_status {
    guard(|| {
        let set = &set.get("set")?.set;
        with_keys(&keys, key_count, |keys| set.refund(keys, n))?;
        Ok(TG_OK)
    })
}

/// tg_limit_set_refund() at now_ns nanoseconds of the members' clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limit_set_refund_at(
    set: In<tg_limit_set>,
    now_ns: u64,
    keys: In<tg_bytes>,
    key_count: usize,
    n: u32,
) -> tg_status {
    guard(|| {
        let set = &set.get("set")?.set;
        with_keys(&keys, key_count, |keys| set.refund_at(now_ns, keys, n))?;
        Ok(TG_OK)
    })
}
