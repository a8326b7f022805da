//! What the end of a call says of what was called: one word for breakers, retries, throttles and clients, so that they
//! agree.

use std::time::Duration;

/// The longest that a server's Retry-After should be taken for, where the caller has no view of its own.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It worked. Slow when its duration reached `slow_call_duration`.
    Success,
    /// It failed. It can be slow as well.
    Failure,
    /// It says nothing about the dependency (a wrong argument, a local refusal): not counted; a probe slot is given
    /// back.
    Ignore,
    /// It never reached the dependency (no connection of the pool was free): a failure while closed, for calls do fail.
    /// Of a probe it says nothing, and the slot is given back.
    Unreached,
}

/// What the end of a call says of the dependency. Whoever knows its results makes it once, for every policy that the
/// call is under; [`Answer::classified`](crate::http::Answer::classified) is that of HTTP.
///
/// How long the call took is not in it: a breaker measures that, and has its own `slow_call_duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What became of it.
    pub outcome: Outcome,
    /// Of a failure: how long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Classified {
    /// Whether the call failed: what a retry tries again, and a client throttle counts as refused.
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failure | Outcome::Unreached)
    }

    /// What a [`ClientThrottle`](crate::ClientThrottle) is told; `None`: nothing.
    pub fn accepted(&self) -> Option<bool> {
        (self.outcome != Outcome::Ignore).then(|| !self.failed())
    }
}

impl From<Outcome> for Classified {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, retry_after: None }
    }
}
