//! A retry policy's settings.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::handle::{Settings, versioned};
use crate::status::Failure;
use crate::status::tg_status::TG_UNKNOWN_VALUE;
use std::mem::size_of;
use std::time::Duration;
use tidegate_core::retry::{Jitter, RetryConfig, RetryPolicy};

/// How waits are spread, so that clients that failed together do not come back together; tg_backoff_delay() has the
/// formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_jitter {
    /// Not at all.
    TG_JITTER_NONE = 0,
    /// From nothing up to the whole wait. The default.
    TG_JITTER_FULL = 1,
    /// Half of the wait, and up to the other half.
    TG_JITTER_EQUAL = 2,
    /// From the base up to three times the wait before.
    TG_JITTER_DECORRELATED = 3,
    /// A smooth spread without peaks.
    TG_JITTER_SMOOTH = 4,
}

/// Settings of retries: plain numbers, kept by the program. Start from TG_RETRY_CONFIG_INIT, which holds the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_retry_config {
    /// sizeof(tg_retry_config)
    pub struct_size: usize,
    /// The wait that grows.
    pub base_ns: u64,
    /// No wait is longer, but for a server's own word.
    pub max_delay_ns: u64,
    /// All attempts and waits together: a wait that would reach its end is not begun. 0: none.
    pub deadline_ns: u64,
    /// A server's Retry-After counts up to so much.
    pub max_retry_after_ns: u64,
    /// What each retry multiplies the wait by, >= 1.
    pub factor: f64,
    /// How often the call is made at most, the first time included.
    pub attempts: u32,
    /// One of tg_jitter.
    pub jitter: i32,
}

versioned!(
    tg_retry_config,
    first = 56,
    fields = [base_ns, max_delay_ns, deadline_ns, max_retry_after_ns, factor, attempts, jitter]
);
// SAFETY: numbers only.
unsafe impl Settings for tg_retry_config {}

impl Default for tg_retry_config {
    fn default() -> Self {
        let core = RetryConfig::default();
        let ns = |span: Duration| span.as_nanos() as u64;
        Self {
            struct_size: size_of::<Self>(),
            base_ns: ns(core.base),
            max_delay_ns: ns(core.max_delay),
            deadline_ns: 0,
            max_retry_after_ns: ns(core.max_retry_after),
            factor: core.factor,
            attempts: core.attempts,
            jitter: core.jitter as i32,
        }
    }
}

impl tg_retry_config {
    pub(super) fn checked(&self) -> Result<RetryPolicy, Failure> {
        let jitter = usize::try_from(self.jitter).ok().and_then(|number| Jitter::ALL.get(number));
        let Some(&jitter) = jitter else {
            let message = format!("jitter: {} is none of tg_jitter, 0 to 4", self.jitter);
            return Err(Failure::new(TG_UNKNOWN_VALUE, message));
        };
        let policy = RetryPolicy::new(RetryConfig {
            attempts: self.attempts,
            base: Duration::from_nanos(self.base_ns),
            factor: self.factor,
            max_delay: Duration::from_nanos(self.max_delay_ns),
            jitter,
            deadline: (self.deadline_ns != 0).then(|| Duration::from_nanos(self.deadline_ns)),
            max_retry_after: Duration::from_nanos(self.max_retry_after_ns),
        });
        Ok(policy?)
    }
}

const _: () = {
    assert!(tg_jitter::TG_JITTER_NONE as i32 == Jitter::None as i32);
    assert!(tg_jitter::TG_JITTER_FULL as i32 == Jitter::Full as i32);
    assert!(tg_jitter::TG_JITTER_EQUAL as i32 == Jitter::Equal as i32);
    assert!(tg_jitter::TG_JITTER_DECORRELATED as i32 == Jitter::Decorrelated as i32);
    assert!(tg_jitter::TG_JITTER_SMOOTH as i32 == Jitter::Smooth as i32);
};
