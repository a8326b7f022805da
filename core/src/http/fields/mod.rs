//! `RateLimit` and `RateLimit-Policy`, written and parsed: structured fields (RFC 9651) of
//! draft-ietf-httpapi-ratelimit-headers-10; and the numbers of `X-RateLimit-*` beside them.
//!
//! Nothing that a client or a key says can end a field or begin another: names and units are checked when a [`Policy`]
//! is made, a partition key is written in base64, all else is digits.

mod parse;
mod structured;

pub use parse::{QuotaPolicy, ServiceLimit, parse_policies, parse_service_limits};

use super::RateLimitStatus;
use crate::ConfigError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// The field that says what a limit is.
pub const RATE_LIMIT_POLICY: &str = "RateLimit-Policy";
/// The field that says what is left of it.
pub const RATE_LIMIT: &str = "RateLimit";
/// For old clients: the most that can be taken at once.
pub const X_RATE_LIMIT_LIMIT: &str = "X-RateLimit-Limit";
/// For old clients: what is left.
pub const X_RATE_LIMIT_REMAINING: &str = "X-RateLimit-Remaining";
/// For old clients: seconds from now, as in `Retry-After`, until [`RateLimitStatus::reset`].
pub const X_RATE_LIMIT_RESET: &str = "X-RateLimit-Reset";

/// A partition key longer than this is not sent: the parameter is optional, and fields have little room.
pub const LONGEST_PARTITION_KEY: usize = 64;

const LONGEST_TEXT: usize = 128;

/// How a limit presents itself: its name, and the unit of its costs.
///
/// ```
/// use tidegate::http::{RateLimitStatus, fields::Policy};
/// let bucket = tidegate::TokenBucket::new("100/min".parse()?);
/// let policy = Policy::new("per-user")?;
/// let (mut quota, mut left) = (String::new(), String::new());
/// policy.write_quota(&mut quota, 100, Some(bucket.quota().fill_time()), None);
/// policy.write_limit(&mut left, &RateLimitStatus::of(&bucket.check(1)), None);
/// assert_eq!((&*quota, &*left), (r#""per-user";q=100;w=60"#, r#""per-user";r=99;t=1"#));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: String,
    quoted: String,
    unit: Option<Unit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    name: String,
    parameter: String,
}

impl Policy {
    /// A policy of that name, counted in requests.
    ///
    /// Errors: `name` when it is empty, longer than 128 bytes or not printable ASCII (it stands in a header).
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        Ok(Self { name: name.to_owned(), quoted: quoted("name", name)?, unit: None })
    }

    /// The same with costs in another unit: `content-bytes`, `concurrent-requests`, or one of your own. `requests` is
    /// the default and is not written.
    ///
    /// Errors: `unit`, as for the name.
    pub fn with_unit(mut self, unit: &str) -> Result<Self, ConfigError> {
        let parameter = format!(";qu={}", quoted("unit", unit)?);
        self.unit = (unit != "requests").then(|| Unit { name: unit.to_owned(), parameter });
        Ok(self)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The unit of costs.
    pub fn unit(&self) -> &str {
        self.unit.as_ref().map_or("requests", |unit| &unit.name)
    }

    /// Adds this policy to a `RateLimit-Policy` field's value: `q` the most at once, `w` the window in whole seconds,
    /// rounded up, at least 1.
    ///
    /// A window is the time in which all of `quota` comes back: [`fill_time`](crate::Quota::fill_time) of a token or
    /// leaky bucket, [`period`](crate::Quota::period) of a window or log. A partition key is what the quota is counted
    /// per, given only where clients may see it; one longer than [`LONGEST_PARTITION_KEY`] bytes is left out. Several
    /// policies go into one value by several calls.
    pub fn write_quota(&self, value: &mut String, quota: u32, window: Option<Duration>, partition_key: Option<&[u8]>) {
        self.begin(value);
        push_number(value, ";q=", quota.into());
        if let Some(unit) = &self.unit {
            value.push_str(&unit.parameter);
        }
        if let Some(window) = window {
            let seconds = window.as_secs().saturating_add((window.subsec_nanos() > 0).into());
            push_number(value, ";w=", seconds.clamp(1, structured::MAX_INTEGER));
        }
        push_partition_key(value, partition_key);
    }

    /// Adds this policy's state to a `RateLimit` field's value: `r` what is left, `t` the seconds of
    /// [`RateLimitStatus::reset`].
    pub fn write_limit(&self, value: &mut String, told: &RateLimitStatus, partition_key: Option<&[u8]>) {
        self.begin(value);
        push_number(value, ";r=", told.remaining.into());
        push_number(value, ";t=", told.reset.min(structured::MAX_INTEGER));
        push_partition_key(value, partition_key);
    }

    fn begin(&self, value: &mut String) {
        if !value.is_empty() {
            value.push_str(", ");
        }
        value.push_str(&self.quoted);
    }
}

/// A structured field's string (RFC 9651 section 3.3.3).
fn quoted(field: &'static str, text: &str) -> Result<String, ConfigError> {
    let message = if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        format!("must be printable ASCII (it stands in a header), got {text:?}")
    } else if text.is_empty() || text.len() > LONGEST_TEXT {
        format!("must have 1 to {LONGEST_TEXT} characters (it stands in a header), got {}", text.len())
    } else {
        return Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    };
    Err(ConfigError::syntax(field, message))
}

fn push_number(value: &mut String, parameter: &str, number: u64) {
    value.push_str(parameter);
    value.push_str(itoa::Buffer::new().format(number));
}

fn push_partition_key(value: &mut String, key: Option<&[u8]>) {
    if let Some(key) = key.filter(|key| key.len() <= LONGEST_PARTITION_KEY) {
        value.push_str(";pk=:");
        STANDARD.encode_string(key, value);
        value.push(':');
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
