//! What may stand before a service.

use crate::breaker::{Permit, Rejected};
use crate::outcome::{Classified, Outcome};
use crate::refusal::Again;
use crate::retry::draw;
use crate::{CircuitBreaker, ClientThrottle};
use std::fmt;
use std::sync::Arc;

/// Decides on calls: an `Arc` of a [`CircuitBreaker`] or of a [`ClientThrottle`], a
/// [`GatePolicy`](super::GatePolicy), or [`ForRequest`].
pub trait Policy<Request> {
    /// A call that passes.
    type Call: Call;
    /// A call that does not.
    type Refusal;

    /// Asks for one call. Does not wait.
    fn enter(&self, request: &Request) -> Result<Self::Call, Self::Refusal>;
}

/// A call that passed. One of the two is called, once.
pub trait Call {
    /// What its end says.
    type End;

    /// It has ended.
    fn end(&mut self, end: Self::End);

    /// It was dropped before its end: cancelled, or by a panic, which is a failure.
    fn dropped(&mut self, by_panic: bool);
}

fn of_dropped(by_panic: bool) -> Classified {
    if by_panic { Outcome::Failure.into() } else { Outcome::Ignore.into() }
}

impl<Request> Policy<Request> for Arc<CircuitBreaker> {
    type Call = BreakerCall;
    type Refusal = Rejected;

    #[inline]
    fn enter(&self, _: &Request) -> Result<BreakerCall, Rejected> {
        let permit = self.acquire()?;
        Ok(BreakerCall { breaker: Arc::clone(self), permit })
    }
}

/// A call that a circuit breaker let pass.
#[derive(Debug)]
pub struct BreakerCall {
    breaker: Arc<CircuitBreaker>,
    permit: Permit,
}

impl Call for BreakerCall {
    type End = Classified;

    #[inline]
    fn dropped(&mut self, by_panic: bool) {
        self.end(of_dropped(by_panic));
    }

    #[inline]
    fn end(&mut self, end: Classified) {
        self.breaker.report_classified(self.permit, end, None);
    }
}

impl<Request> Policy<Request> for Arc<ClientThrottle> {
    type Call = ThrottleCall;
    type Refusal = Throttled;

    #[inline]
    fn enter(&self, _: &Request) -> Result<ThrottleCall, Throttled> {
        match self.try_acquire(draw()) {
            true => Ok(ThrottleCall { throttle: Arc::clone(self) }),
            false => Err(Throttled { retry_after_ns: self.retry_after_ns() }),
        }
    }
}

/// A call that a client throttle let pass.
#[derive(Debug)]
pub struct ThrottleCall {
    throttle: Arc<ClientThrottle>,
}

impl Call for ThrottleCall {
    type End = Classified;

    #[inline]
    fn dropped(&mut self, by_panic: bool) {
        self.end(of_dropped(by_panic));
    }

    #[inline]
    fn end(&mut self, end: Classified) {
        match end.accepted() {
            Some(true) => self.throttle.accepted(),
            Some(false) => self.throttle.refused(),
            None => {}
        }
    }
}

/// A client throttle rejected a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// Nanoseconds until the next call that passes in any case.
    pub retry_after_ns: u64,
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "throttled: {}", Again(self.retry_after_ns))
    }
}

impl std::error::Error for Throttled {}

/// The policy that a function chooses for each request, by its host for example; `None`: the call passes.
#[derive(Clone, Copy, Debug)]
pub struct ForRequest<F>(pub F);

impl<F, P, Request> Policy<Request> for ForRequest<F>
where
    F: Fn(&Request) -> Option<P>,
    P: Policy<Request>,
{
    type Call = Option<P::Call>;
    type Refusal = P::Refusal;

    #[inline]
    fn enter(&self, request: &Request) -> Result<Option<P::Call>, P::Refusal> {
        self.0(request).map(|policy| policy.enter(request)).transpose()
    }
}

impl<C: Call> Call for Option<C> {
    type End = C::End;

    #[inline]
    fn end(&mut self, end: C::End) {
        if let Some(call) = self {
            call.end(end);
        }
    }

    #[inline]
    fn dropped(&mut self, by_panic: bool) {
        if let Some(call) = self {
            call.dropped(by_panic);
        }
    }
}
