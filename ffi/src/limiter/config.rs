//! A keyed limit's settings.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::arena::place::unused;
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{In, Settings, versioned};
use crate::mode::{mode, warm_up};
use crate::quota::{TG_BURST_OF_RATE, TG_QUEUE_OF_RATE, tg_quota};
use crate::status::Failure;
use crate::status::tg_status::{TG_CONFLICT, TG_UNKNOWN_VALUE};
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tidegate_core::Quota;
use tidegate_core::limit::{Algorithm, Block, LIMITER_SETTINGS, LimiterConfig};

/// How a keyed limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_algorithm {
    /// Refills continuously, holds at most the burst.
    TG_ALGORITHM_TOKEN_BUCKET = 0,
    /// At most the rate's count in a window that starts at the first hit.
    TG_ALGORITHM_FIXED_WINDOW = 1,
    /// Two windows, the earlier one weighted by how much of it still counts.
    TG_ALGORITHM_SLIDING_WINDOW = 2,
    /// Remembers every admission: exact, for small limits such as logins (at most 4096).
    TG_ALGORITHM_SLIDING_LOG = 3,
    /// Paces: admits with a delay (delay_ns of the decision), with a bounded number waiting.
    TG_ALGORITHM_LEAKY_BUCKET = 4,
}

/// The algorithm of a config, one of tg_algorithm.
fn algorithm(value: i32) -> Result<Algorithm, Failure> {
    usize::try_from(value).ok().and_then(|place| Algorithm::ALL.get(place)).copied().ok_or_else(|| {
        let message = format!(
            "algorithm: {value} is none of tg_algorithm, TG_ALGORITHM_TOKEN_BUCKET (0) to TG_ALGORITHM_LEAKY_BUCKET (4)"
        );
        Failure::new(TG_UNKNOWN_VALUE, message)
    })
}

const _: () = {
    assert!(matches!(Algorithm::ALL[tg_algorithm::TG_ALGORITHM_TOKEN_BUCKET as usize], Algorithm::TokenBucket));
    assert!(matches!(Algorithm::ALL[tg_algorithm::TG_ALGORITHM_FIXED_WINDOW as usize], Algorithm::FixedWindow));
    assert!(matches!(Algorithm::ALL[tg_algorithm::TG_ALGORITHM_SLIDING_WINDOW as usize], Algorithm::SlidingWindow));
    assert!(matches!(Algorithm::ALL[tg_algorithm::TG_ALGORITHM_SLIDING_LOG as usize], Algorithm::SlidingLog));
    assert!(matches!(Algorithm::ALL[tg_algorithm::TG_ALGORITHM_LEAKY_BUCKET as usize], Algorithm::LeakyBucket));
};

/// Settings of a keyed limit. Start from TG_LIMITER_CONFIG_INIT; set rate, or count and period_ns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_limiter_config {
    /// sizeof(tg_limiter_config)
    pub struct_size: usize,
    /// "100/min" for each key, as in tg_bucket_config; NULL: see count. Borrowed during the call.
    pub rate: In<c_char>,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// The fastest and largest quota that any key will ever have (a tier, tg_limiter_set_quota()): it decides the
    /// resolution of time. NULL: the rate above. Borrowed during the call.
    pub fastest: In<tg_quota>,
    /// Tokens ...
    pub count: u64,
    /// ... per this many nanoseconds. 0 both when rate is set.
    pub period_ns: u64,
    /// The most tokens at once, 1 .. 1,048,576; TG_BURST_OF_RATE: the count of the rate. Windows and logs have none.
    pub burst: u64,
    /// Leaky bucket only: the most that may wait; TG_QUEUE_OF_RATE: one less than the count of the rate.
    pub queue: u64,
    /// How many live keys have a cell of their own, 1 .. 100 million; more share an overflow sketch, which may deny
    /// early and never admits extra. Memory is fixed by it, whatever keys come.
    pub max_keys: usize,
    /// The block_after-th denial of a key within this time (from the first of them) blocks the key.
    pub block_within_ns: u64,
    /// For so long.
    pub block_duration_ns: u64,
    /// Blocks grow up to this; 0: 64 times block_duration_ns, a year at most.
    pub block_max_ns: u64,
    /// Each block that is not yet forgotten multiplies the next by this, >= 1; 2 by TG_LIMITER_CONFIG_INIT.
    pub block_growth: f64,
    /// A new limiter's ramp: grows to its full limit over this time. 0: no ramp.
    pub warm_up_ns: u64,
    /// The fraction of the limit that the ramp starts from, above 0 up to 1. 0: no ramp.
    pub warm_up_from: f64,
    /// One of tg_algorithm.
    pub algorithm: i32,
    /// One of tg_mode.
    pub mode: i32,
    /// 0: keys are never blocked.
    pub block_after: u32,
    /// Not 0: asks the kernel for huge pages under the table, for millions of keys.
    pub huge_pages: u32,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
    /// 0.
    pub reserved: u32,
}

versioned!(
    tg_limiter_config,
    first = 136,
    fields = [
        rate,
        clock,
        fastest,
        count,
        period_ns,
        burst,
        queue,
        max_keys,
        block_within_ns,
        block_duration_ns,
        block_max_ns,
        block_growth,
        warm_up_ns,
        warm_up_from,
        algorithm,
        mode,
        block_after,
        huge_pages,
        arena,
        name,
        on_conflict,
        reserved
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_limiter_config {}

impl Default for tg_limiter_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            rate: In::default(),
            clock: In::default(),
            fastest: In::default(),
            count: 0,
            period_ns: 0,
            burst: TG_BURST_OF_RATE,
            queue: TG_QUEUE_OF_RATE,
            max_keys: LIMITER_SETTINGS.field("max_keys").count() as usize,
            block_within_ns: 0,
            block_duration_ns: 0,
            block_max_ns: 0,
            block_growth: Block::GROWTH,
            warm_up_ns: 0,
            warm_up_from: 0.0,
            algorithm: tg_algorithm::TG_ALGORITHM_TOKEN_BUCKET as i32,
            mode: 0,
            block_after: 0,
            huge_pages: 0,
            arena: In::default(),
            name: In::default(),
            on_conflict: 0,
            reserved: 0,
        }
    }
}

impl tg_limiter_config {
    pub(crate) fn checked(&self) -> Result<LimiterConfig, Failure> {
        unused(self.reserved)?;
        let algorithm = algorithm(self.algorithm)?;
        let mut burst = self.burst;
        if algorithm == Algorithm::TokenBucket && burst != TG_BURST_OF_RATE {
            LIMITER_SETTINGS.field("burst").check_count(burst, "")?;
        }
        if self.queue != TG_QUEUE_OF_RATE {
            if algorithm != Algorithm::LeakyBucket || burst != TG_BURST_OF_RATE {
                let message =
                    "queue: for TG_ALGORITHM_LEAKY_BUCKET only, and instead of burst; leave it TG_QUEUE_OF_RATE";
                return Err(Failure::new(TG_CONFLICT, message));
            }
            LIMITER_SETTINGS.field("queue").check_count(self.queue, "")?;
            burst = self.queue + 1;
        }
        let (rate, count, period_ns) = (self.rate, self.count, self.period_ns);
        let quota = tg_quota { rate, count, period_ns, burst, ..Default::default() };
        let fastest = if self.fastest.is_null() { None } else { Some(self.fastest.read("fastest")?) };
        Ok(LimiterConfig {
            max_keys: self.max_keys,
            fastest: fastest.map(|fastest| quota_of(algorithm, &fastest)).transpose()?,
            block: self.block()?,
            warm_up: warm_up(self.warm_up_ns, self.warm_up_from)?,
            mode: mode(self.mode)?,
            huge_pages: self.huge_pages != 0,
            ..LimiterConfig::new(algorithm, quota_of(algorithm, &quota)?)
        })
    }

    fn block(&self) -> Result<Option<Block>, Failure> {
        if self.block_after == 0 {
            if self.block_within_ns != 0 || self.block_duration_ns != 0 || self.block_max_ns != 0 {
                let message = "block_after: 0 blocks nobody, but block_within_ns, block_duration_ns or block_max_ns is \
                               set; set the number of denials as well";
                return Err(Failure::new(TG_CONFLICT, message));
            }
            return Ok(None);
        }
        let ns = Duration::from_nanos;
        let max = (self.block_max_ns != 0).then(|| ns(self.block_max_ns));
        let block =
            Block::new(self.block_after, ns(self.block_within_ns), ns(self.block_duration_ns), self.block_growth, max)?;
        Ok(Some(block))
    }
}

/// A quota for `algorithm`: a window's limit is its rate's count and nothing else.
pub(crate) fn quota_of(algorithm: Algorithm, quota: &tg_quota) -> Result<Quota, Failure> {
    if algorithm.is_window() && quota.burst != TG_BURST_OF_RATE {
        let message = format!(
            "burst: {algorithm} counts in windows, which have no burst; leave it TG_BURST_OF_RATE and set the rate"
        );
        return Err(Failure::new(TG_CONFLICT, message));
    }
    quota.checked()
}
