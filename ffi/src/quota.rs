//! How much per how long, as C writes it.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::handle::{In, Settings, versioned};
use crate::status::Failure;
use crate::status::tg_status::TG_CONFLICT;
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tidegate_core::Quota;

/// Nanoseconds that mean "never", or as a timeout "for ever".
pub const TG_NEVER: u64 = u64::MAX;

/// As a burst: the count of the rate.
pub const TG_BURST_OF_RATE: u64 = u64::MAX;

/// As the queue of a leaky bucket: one less than the count of the rate.
pub const TG_QUEUE_OF_RATE: u64 = u64::MAX;

/// A rate and a burst. Start from TG_QUOTA_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_quota {
    /// sizeof(tg_quota)
    pub struct_size: usize,
    /// As in tg_bucket_config; NULL when read from tg_bucket_quota() or tg_limiter_quota().
    pub rate: In<c_char>,
    /// Tokens ...
    pub count: u64,
    /// ... per this many nanoseconds. 0 both when rate is set.
    pub period_ns: u64,
    /// The most tokens at once; TG_BURST_OF_RATE: the count of the rate. Of a leaky bucket: one more than may wait.
    /// Windows and logs have none.
    pub burst: u64,
}

versioned!(tg_quota, first = 40, fields = [rate, count, period_ns, burst]);
// SAFETY: pointers and integers only.
unsafe impl Settings for tg_quota {}

impl Default for tg_quota {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>(), rate: In::default(), count: 0, period_ns: 0, burst: TG_BURST_OF_RATE }
    }
}

impl From<Quota> for tg_quota {
    fn from(quota: Quota) -> Self {
        let period_ns = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX);
        Self { count: quota.count(), period_ns, burst: quota.burst().into(), ..Default::default() }
    }
}

impl tg_quota {
    pub(crate) fn checked(&self) -> Result<Quota, Failure> {
        let quota = match self.rate.text("rate")? {
            Some(_) if self.count != 0 || self.period_ns != 0 => {
                let message = "rate: set beside count and period_ns; leave those 0, or rate NULL";
                return Err(Failure::new(TG_CONFLICT, message));
            }
            Some(text) => text.parse::<Quota>()?,
            None if self.count == 0 && self.period_ns == 0 => {
                let message = "rate: not set; set rate (\"400/s\"), or count and period_ns";
                return Err(Failure::new(TG_CONFLICT, message));
            }
            None => Quota::new(self.count, Duration::from_nanos(self.period_ns))?,
        };
        Ok(if self.burst == TG_BURST_OF_RATE { quota } else { quota.with_burst(self.burst)? })
    }
}

/// A wait as C writes it: TG_NEVER is no bound.
pub(crate) fn bound(ns: u64) -> Option<Duration> {
    (ns != TG_NEVER).then(|| Duration::from_nanos(ns))
}
