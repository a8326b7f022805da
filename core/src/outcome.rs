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
    /// It worked, and was slow, whatever its duration: of a breaker without `slow_call_duration` as well.
    Slow,
}

impl Outcome {
    /// Whether it counts as failed.
    #[inline]
    pub fn failed(self) -> bool {
        matches!(self, Self::Failure | Self::Unreached)
    }
}

/// What the end of a call says of the dependency. Whoever knows its results makes it once, for every policy that the
/// call is under; [`Answer::classified`](crate::http::Answer::classified) is that of HTTP.
///
/// How long the call took is not in it: a breaker measures that, and has its own `slow_call_duration`.
/// [`slow_from`](Self::slow_from) judges by another one, whatever the breaker's, and [`slow_if`](Self::slow_if) by what
/// the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What became of it.
    pub outcome: Outcome,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Classified {
    /// Whether the call failed: what a retry tries again, and a client throttle counts as refused. A slow call has not.
    pub fn failed(&self) -> bool {
        self.outcome.failed()
    }

    /// The same of a call that took `took`: a success of at least `limit` is [`Outcome::Slow`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate::outcome::{Classified, Outcome};
    ///
    /// let of = |outcome: Outcome, ms| {
    ///     Classified::from(outcome).slow_from(Duration::from_secs(2), Duration::from_millis(ms)).outcome
    /// };
    /// assert_eq!((of(Outcome::Success, 1_999), of(Outcome::Success, 2_000)), (Outcome::Success, Outcome::Slow));
    /// assert_eq!(of(Outcome::Failure, 2_000), Outcome::Failure);
    /// ```
    #[must_use]
    pub fn slow_from(self, limit: Duration, took: Duration) -> Self {
        self.slow_if(took >= limit)
    }

    /// The same of a call of which the caller says whether it was slow, by its result for instance: a success that was
    /// is [`Outcome::Slow`].
    ///
    /// ```
    /// use tidegate::outcome::{Classified, Outcome};
    ///
    /// let of = |from_replica: bool| Classified::from(Outcome::Success).slow_if(from_replica).outcome;
    /// assert_eq!((of(false), of(true)), (Outcome::Success, Outcome::Slow));
    /// assert_eq!(Classified::from(Outcome::Failure).slow_if(true).outcome, Outcome::Failure);
    /// ```
    #[must_use]
    pub fn slow_if(mut self, is_slow: bool) -> Self {
        if self.outcome == Outcome::Success && is_slow {
            self.outcome = Outcome::Slow;
        }
        self
    }

    /// What a [`ClientThrottle`](crate::ClientThrottle) is told; `None`: nothing.
    pub fn accepted(&self) -> Option<bool> {
        (self.outcome != Outcome::Ignore).then(|| !self.failed())
    }
}

impl From<&std::io::Error> for Outcome {
    /// Of a call that got no answer: no socket or port of this machine was free, so it never left; the caller's own
    /// mistake counts neither way; anything else is a failure. A connection that was refused or timed out is that: of a
    /// host that is dead it is all there is to learn.
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::AddrNotAvailable => Self::Unreached,
            ErrorKind::InvalidInput => Self::Ignore,
            _ if error.raw_os_error().is_some_and(|number| NO_SOCKET.contains(&number)) => Self::Unreached,
            _ => Self::Failure,
        }
    }
}

/// Too many open files, of the process and of the machine.
#[cfg(unix)]
const NO_SOCKET: [i32; 2] = [libc::EMFILE, libc::ENFILE];
#[cfg(windows)]
const NO_SOCKET: [i32; 1] = [10_024]; // WSAEMFILE
#[cfg(not(any(unix, windows)))]
const NO_SOCKET: [i32; 0] = [];

impl From<Outcome> for Classified {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, retry_after: None }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn an_error_of_the_system_says_whether_the_call_left() {
        for (error, expected) in [
            (Error::from(ErrorKind::ConnectionRefused), Outcome::Failure),
            (Error::from(ErrorKind::TimedOut), Outcome::Failure),
            (Error::from(ErrorKind::AddrNotAvailable), Outcome::Unreached),
            (Error::from(ErrorKind::InvalidInput), Outcome::Ignore),
            (Error::other("mine"), Outcome::Failure),
        ] {
            assert_eq!(Outcome::from(&error), expected, "{error:?}");
        }
        for number in NO_SOCKET {
            assert_eq!(Outcome::from(&Error::from_raw_os_error(number)), Outcome::Unreached);
        }
    }

    #[test]
    fn slow_is_no_failure() {
        let slow = Classified::from(Outcome::Slow);
        assert_eq!((slow.failed(), slow.accepted()), (false, Some(true)));
        let unreached = Classified::from(Outcome::Unreached);
        assert_eq!((unreached.failed(), unreached.accepted()), (true, Some(false)));
        assert_eq!(Classified::from(Outcome::Ignore).accepted(), None);
    }
}
