//! Quotas of their own for some keys or calls.

// `#[unsafe(no_mangle)]`, `unsafe impl Plain` for a struct of plain numbers, and a tier's way through C.
#![allow(unsafe_code)]

use super::config::quota_of;
use super::tg_limiter;
use crate::decision::{allowed, answer, tg_decision};
use crate::handle::{In, Out, Plain};
use crate::panic::{guard, guard_system};
use crate::quota::tg_quota;
use crate::status::{Answer, Failure, tg_status};
use std::ffi::c_void;
use std::mem::{MaybeUninit, align_of, size_of};
use std::sync::Arc;
use tg_status::{TG_INVALID, TG_OK};
use tidegate_core::RateLimiter;
use tidegate_core::limit::Tier;

/// A quota made ready for one keyed limit by tg_limiter_tier(), by value: copy it, keep it, nothing needs to be freed.
/// What is in it is tidegate's; all zero is no tier.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_tier {
    /// Opaque.
    pub owner: u64,
    /// Opaque.
    pub word: [MaybeUninit<u64>; 7],
}

// SAFETY: numbers only.
unsafe impl Plain for tg_tier {}

const _: () = assert!(size_of::<Tier>() <= size_of::<[u64; 7]>() && align_of::<Tier>() <= align_of::<u64>());

impl tg_tier {
    fn new(owner: &Arc<RateLimiter>, tier: Tier) -> Self {
        let mut value = Self { owner: mark(owner), word: [MaybeUninit::new(0); 7] };
        // SAFETY: there is room for a `Tier`, asserted above, and a `MaybeUninit` may hold any of its bytes.
        unsafe { value.word.as_mut_ptr().cast::<Tier>().write(tier) };
        value
    }

    /// The core's tier, if it was made by `owner`: for another limiter its numbers mean something else.
    fn of(&self, owner: &Arc<RateLimiter>) -> Result<Tier, Failure> {
        if self.owner != mark(owner) {
            let message = "tier: was not made by tg_limiter_tier() of this limiter; make one tier for each limiter";
            return Err(Failure::new(TG_INVALID, message));
        }
        // SAFETY: of this limiter, so `new` wrote it, or a caller that broke the law made it up; a `Tier` is made of
        // integers, for which any bytes do.
        Ok(unsafe { self.word.as_ptr().cast::<Tier>().read() })
    }
}

/// Never 0, and no two limiters that live at once have the same.
fn mark(owner: &Arc<RateLimiter>) -> u64 {
    Arc::as_ptr(owner) as usize as u64
}

/// Makes a quota ready for keys or calls that have their own (free, pro, internal). Takes a few divisions: make it
/// once, use it for every call. A key whose quota changes keeps the part that it has used. In any order, quotas on one
/// key admit at one moment at most the largest of their bursts, and over time at most that for each of the shortest of
/// their times to fill. A limiter tells seven times to fill apart; a quota with an eighth gets a smaller burst.
///
/// Ownership: the tier is a value, good until limiter is freed.
/// Errors: TG_UTF8, TG_SYNTAX, TG_CONFLICT as tg_limiter_new(); TG_OUT_OF_RANGE also when it is faster or larger than
/// the table was made for (fastest).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_tier(limiter: In<tg_limiter>, quota: In<tg_quota>, tier: Out<tg_tier>) -> tg_status {
    guard_system(|| {
        let limiter = &limiter.get("limiter")?.0;
        let quota = quota_of(limiter.algorithm(), &quota.read("quota")?)?;
        tier.require("tier")?;
        tier.set(tg_tier::new(limiter, limiter.tier(quota)?));
        Ok(TG_OK)
    })
}

/// One key's call by a tier of the limiter.
#[inline]
fn with_tier(
    limiter: In<tg_limiter>,
    (key, key_len): (In<c_void>, usize),
    tier: In<tg_tier>,
    call: impl FnOnce(&RateLimiter, &[u8], &Tier) -> Answer,
) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        call(limiter, key.bytes(key_len, "key")?, &tier.value("tier")?.of(limiter)?)
    })
}

/// tg_limiter_try_acquire() by the quota of a tier. The key keeps one level, whatever tier it is asked by.
///
/// Errors: as tg_limiter_try_acquire(); TG_INVALID (a tier of another limiter, or none).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_try_acquire_tier(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    tier: In<tg_tier>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| Ok(allowed(limiter.try_acquire_tier(key, n, tier))))
}

/// tg_limiter_try_acquire_tier() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_try_acquire_tier_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    tier: In<tg_tier>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| {
        Ok(allowed(limiter.try_acquire_tier_at(now_ns, key, n, tier)))
    })
}

/// tg_limiter_check() by the quota of a tier. The key keeps one level, whatever tier it is asked by.
///
/// Errors: as tg_limiter_check(); TG_INVALID (a tier of another limiter, or none).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_check_tier(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    tier: In<tg_tier>,
    decision: Out<tg_decision>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| {
        answer(&decision, || limiter.check_tier(key, n, tier))
    })
}

/// tg_limiter_check_tier() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_check_tier_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    tier: In<tg_tier>,
    decision: Out<tg_decision>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| {
        answer(&decision, || limiter.check_tier_at(now_ns, key, n, tier))
    })
}

/// tg_limiter_peek() by the quota of a tier.
///
/// Errors: as tg_limiter_peek(); TG_INVALID (a tier of another limiter, or none).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_peek_tier(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    tier: In<tg_tier>,
    decision: Out<tg_decision>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| answer(&decision, || limiter.peek(key, Some(tier))))
}

/// tg_limiter_peek_tier() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_peek_tier_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    tier: In<tg_tier>,
    decision: Out<tg_decision>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| {
        answer(&decision, || limiter.peek_at(now_ns, key, Some(tier)))
    })
}

/// tg_limiter_refund() by the quota of a tier, the one that the key was charged by.
///
/// Errors: as tg_limiter_refund(); TG_INVALID (a tier of another limiter, or none).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_refund_tier(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    tier: In<tg_tier>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| {
        limiter.refund(key, n, Some(tier));
        Ok(TG_OK)
    })
}

/// tg_limiter_refund_tier() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_refund_tier_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    tier: In<tg_tier>,
) -> tg_status {
    with_tier(limiter, (key, key_len), tier, |limiter, key, tier| {
        limiter.refund_at(now_ns, key, n, Some(tier));
        Ok(TG_OK)
    })
}
