//! Permits that cannot be forgotten, and the form that runs a closure.

use super::CircuitBreaker;
use super::permit::{Permit, Rejected};
use crate::outcome::{Classified, Outcome};
use std::fmt;
use std::time::Duration;

/// A permit bound to its breaker: reported at most once, and released when it is dropped unreported.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once is a call that was never made"]
pub struct Guard<'a> {
    breaker: &'a CircuitBreaker,
    permit: Permit,
    if_dropped: Outcome,
}

impl Guard<'_> {
    /// The call worked. Its duration is the time since it was acquired.
    #[inline]
    pub fn success(self) {
        self.report(Outcome::Success, None);
    }

    /// The call failed. Its duration is the time since it was acquired.
    #[inline]
    pub fn failure(self) {
        self.report(Outcome::Failure, None);
    }

    /// The call says nothing about the dependency.
    pub fn ignore(self) {
        self.report(Outcome::Ignore, None);
    }

    /// The call never reached the dependency.
    pub fn unreached(self) {
        self.report(Outcome::Unreached, None);
    }

    /// Reports with the call's own duration; `None` is the time since it was acquired.
    #[inline]
    pub fn report(self, outcome: Outcome, duration: Option<Duration>) {
        self.breaker.report(self.permit, outcome, duration);
        std::mem::forget(self);
    }

    /// Reports as a classifier says. Its duration is the time since it was acquired.
    pub fn classified(self, classified: Classified) {
        self.report_classified(classified, None);
    }

    /// Reports as a classifier says, with the call's own duration; `None` is the time since it was acquired.
    pub fn report_classified(self, classified: Classified, duration: Option<Duration>) {
        self.breaker.report_classified(self.permit, classified, duration);
        std::mem::forget(self);
    }

    /// The call failed and the server named a Retry-After; see [`CircuitBreaker::report_retry_after`].
    pub fn retry_after(self, retry_after: Duration) {
        self.breaker.report_retry_after(self.permit, retry_after);
        std::mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.breaker.report(self.permit, self.if_dropped, None);
    }
}

impl CircuitBreaker {
    /// Asks for one call, as [`acquire`](Self::acquire) does, and binds the permit to this breaker.
    ///
    /// ```
    /// use tidegate::{BreakerConfig, CircuitBreaker};
    ///
    /// let breaker = CircuitBreaker::new("payments", BreakerConfig::default())?;
    /// if let Ok(call) = breaker.enter() {
    ///     // … talk to the payment provider …
    ///     call.success();
    /// }
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[inline]
    pub fn enter(&self) -> Result<Guard<'_>, Rejected> {
        let permit = self.acquire()?;
        Ok(Guard { breaker: self, permit, if_dropped: Outcome::Ignore })
    }

    /// Runs `f` under a permit, and reports what `classify` says of its end: a value may be a failure (half of the
    /// data), and an error none. A panic in `f` or `classify` is a failure and goes on.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use tidegate::http::Answer;
    /// use tidegate::outcome::{MAX_RETRY_AFTER, Outcome};
    /// use tidegate::{BreakerConfig, CircuitBreaker};
    ///
    /// let breaker = CircuitBreaker::new("payments", BreakerConfig::default())?;
    /// let fetch = || Ok::<_, std::io::Error>(503);
    /// let status = breaker.call_as(fetch, |end| match *end {
    ///     Err(_) => Outcome::Failure.into(),
    ///     Ok(status) => {
    ///         Answer { status, ..Answer::default() }.classified(SystemTime::now(), MAX_RETRY_AFTER)
    ///     }
    /// });
    /// assert_eq!(status.ok(), Some(503));
    /// assert_eq!(breaker.stats().failed, 1);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn call_as<T, E, C: Into<Classified>>(
        &self,
        f: impl FnOnce() -> Result<T, E>,
        classify: impl FnOnce(&Result<T, E>) -> C,
    ) -> Result<T, CallError<E>> {
        let mut guard = match self.enter() {
            Ok(guard) => guard,
            Err(rejected) => return Err(CallError::Rejected(rejected)),
        };
        guard.if_dropped = Outcome::Failure;
        let end = f();
        guard.classified(classify(&end).into());
        end.map_err(CallError::Failed)
    }

    /// Runs `f` under a permit: `Ok` is a success, `Err` a failure; a panic in `f` is a failure and goes on.
    #[inline]
    pub fn call<T, E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        // Not `?` on a mapped error: the refusal is large, and moving it would cost every call that passes.
        let mut guard = match self.enter() {
            Ok(guard) => guard,
            Err(rejected) => return Err(CallError::Rejected(rejected)),
        };
        guard.if_dropped = Outcome::Failure;
        match f() {
            Ok(value) => {
                guard.success();
                Ok(value)
            }
            Err(error) => {
                guard.failure();
                Err(CallError::Failed(error))
            }
        }
    }
}

/// Why [`CircuitBreaker::call`] gave no value; with another `R`, the same of another policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<E, R = Rejected> {
    /// The circuit, or the policy, refused: nothing was called.
    Rejected(R),
    /// The call itself failed.
    Failed(E),
}

impl<E, R> CallError<E, R> {
    /// What this end says of the dependency to the next policy around: a refusal of this program's own says nothing,
    /// and is nothing to retry; of a call that failed it is what `of` says.
    ///
    /// ```
    /// use tidegate::breaker::Outcome;
    /// use tidegate::{BreakerConfig, CircuitBreaker};
    ///
    /// let host = CircuitBreaker::new("bank/eu-1", BreakerConfig::default())?;
    /// let bank = CircuitBreaker::new("bank", BreakerConfig::default())?;
    /// host.force_open();
    /// let answer = bank.call_as(
    ///     || host.call(|| Ok::<_, std::io::Error>(200)),
    ///     |end| match end {
    ///         Ok(_) => Outcome::Success.into(),
    ///         Err(error) => error.classified(|error| Outcome::from(error)),
    ///     },
    /// );
    /// assert!(answer.is_err());
    /// assert_eq!(bank.stats().calls, 0, "the bank was not asked");
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn classified<C: Into<Classified>>(&self, of: impl FnOnce(&E) -> C) -> Classified {
        match self {
            Self::Rejected(_) => Outcome::Ignore.into(),
            Self::Failed(error) => of(error).into(),
        }
    }
}

impl<E: fmt::Display, R: fmt::Display> fmt::Display for CallError<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static, R: fmt::Debug + fmt::Display> std::error::Error for CallError<E, R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(_) => None,
            Self::Failed(error) => Some(error),
        }
    }
}
