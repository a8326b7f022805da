//! The layer and its service.

use super::future::CallFuture;
use super::policy::{Call, Policy};
use crate::breaker::CallError;
use crate::{CircuitBreaker, ClientThrottle};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a [`Policy`] before a service; see [the module](super).
///
/// `classify` is a function of a call's end, `Fn(&Result<Response, Error>)`, that gives an
/// [`Outcome`](crate::outcome::Outcome) or a [`Classified`](crate::outcome::Classified); before a gate a
/// [`gate::Outcome`](crate::gate::Outcome).
#[derive(Clone, Copy, Debug)]
pub struct PolicyLayer<P, C> {
    policy: P,
    classify: C,
}

/// A circuit breaker before a service: `BreakerLayer::new(breaker, classify)`.
pub type BreakerLayer<C> = PolicyLayer<Arc<CircuitBreaker>, C>;

/// A client throttle before a service: `ThrottleLayer::new(throttle, classify)`.
pub type ThrottleLayer<C> = PolicyLayer<Arc<ClientThrottle>, C>;

impl<P, C> PolicyLayer<P, C> {
    /// A layer with this policy, which all services made by it and their clones share.
    pub fn new(policy: P, classify: C) -> Self {
        Self { policy, classify }
    }
}

impl<S, P: Clone, C: Clone> Layer<S> for PolicyLayer<P, C> {
    type Service = Guarded<S, P, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, policy: self.policy.clone(), classify: self.classify.clone() }
    }
}

/// A service behind a policy.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<S, P, C> {
    inner: S,
    policy: P,
    classify: C,
}

impl<S, P, C> Guarded<S, P, C> {
    /// The service below.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, P, C, K, Request> Service<Request> for Guarded<S, P, C>
where
    S: Service<Request> + Clone,
    P: Policy<Request>,
    C: Fn(&Result<S::Response, S::Error>) -> K + Clone,
    K: Into<<P::Call as Call>::End>,
{
    type Response = S::Response;
    type Error = CallError<S::Error, P::Refusal>;
    type Future = CallFuture<S, Request, P::Call, P::Refusal, C>;

    /// Always ready: there is nothing here to wait for, and nothing is taken before a call.
    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        match self.policy.enter(&request) {
            Ok(call) => CallFuture::passed(request, call, || (self.inner.clone(), self.classify.clone())),
            Err(refusal) => CallFuture::refused(refusal),
        }
    }
}
