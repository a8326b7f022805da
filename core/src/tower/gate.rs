//! A gate before a service.

use super::layer::PolicyLayer;
use super::policy::{Call, Policy};
use crate::breaker::CallError;
use crate::error::ConfigErrorKind;
use crate::gate::{Gate, Outcome, Refused, Request, Ticket};
use crate::limit::Member;
use crate::{Algorithm, ConfigError};
use std::fmt;
use std::sync::Arc;

/// A gate before a service: `GateLayer::new(GatePolicy::new(gate, ask)?, classify)`, where `classify` gives a gate's
/// [`Outcome`]; [`Outcome::of_status`] is that of HTTP.
pub type GateLayer<F, C> = PolicyLayer<GatePolicy<F>, C>;

/// Why a gate let a call not pass: it was refused, or (`Failed`) the gate was asked in a wrong way.
pub type GateRefusal = CallError<ConfigError, Refused>;

/// A gate, and how it is asked for a request: `ask` is `Fn(Asking<'_>, &Request) -> Result<GateCall, GateRefusal>`.
#[derive(Clone)]
pub struct GatePolicy<F> {
    gate: Arc<Gate>,
    ask: F,
}

impl<F> GatePolicy<F> {
    /// Of this gate. `ask` reads keys, address, priority and deadline of a request, and asks with them; a panic in it
    /// goes to who called the service, and nothing is held.
    ///
    /// Errors: `limits` when one is a leaky bucket, for whose delay nobody would wait here.
    pub fn new(gate: Arc<Gate>, ask: F) -> Result<Self, ConfigError> {
        let is_paced =
            |member: &Member| matches!(member, Member::Keyed(it) if it.algorithm() == Algorithm::LeakyBucket);
        let paced = gate.limits().and_then(|limits| limits.members().find(|(_, member)| is_paced(member)));
        if let Some((name, _)) = paced {
            let message = format!(
                "{name:?} is a leaky bucket, and a layer has no timer to wait for its delay; give another algorithm"
            );
            return Err(ConfigError::new(ConfigErrorKind::Conflict, "limits", message));
        }
        Ok(Self { gate, ask })
    }
}

impl<F> fmt::Debug for GatePolicy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatePolicy").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl<F, R> Policy<R> for GatePolicy<F>
where
    F: Fn(Asking<'_>, &R) -> Result<GateCall, GateRefusal>,
{
    type Call = GateCall;
    type Refusal = GateRefusal;

    #[inline]
    fn enter(&self, request: &R) -> Result<GateCall, GateRefusal> {
        (self.ask)(Asking { gate: &self.gate }, request)
    }
}

/// The one question that a request has for its gate.
#[derive(Debug)]
#[must_use = "without an answer there is no call"]
pub struct Asking<'g> {
    gate: &'g Arc<Gate>,
}

impl Asking<'_> {
    /// Asks for the call.
    ///
    /// Errors: the refusal; as `Failed` what [`Gate::admit`] says of the arguments.
    #[inline]
    pub fn admit(self, request: &Request<'_>) -> Result<GateCall, GateRefusal> {
        let (answer, ticket) = self.gate.decide(request).map_err(CallError::Failed)?;
        match answer.allowed {
            true => Ok(GateCall { gate: Arc::clone(self.gate), ticket }),
            false => Err(CallError::Rejected(self.gate.refused(&answer, request.cost))),
        }
    }

    /// Lets the call pass without asking: a path of a health check.
    ///
    /// Errors: none; so that it stands where [`admit`](Self::admit) does.
    pub fn exempt(self) -> Result<GateCall, GateRefusal> {
        Ok(GateCall { gate: Arc::clone(self.gate), ticket: Ticket::default() })
    }
}

/// A call that a gate let pass; dropped, it was cancelled.
#[derive(Debug)]
#[must_use = "what a call holds is given back when it is dropped"]
pub struct GateCall {
    gate: Arc<Gate>,
    ticket: Ticket,
}

impl Call for GateCall {
    type End = Outcome;

    #[inline]
    fn end(&mut self, end: Outcome) {
        self.gate.finish(&mut self.ticket, end);
    }

    #[inline]
    fn dropped(&mut self, by_panic: bool) {
        self.end(if by_panic { Outcome::Failure } else { Outcome::Cancelled });
    }
}

impl Drop for GateCall {
    #[inline]
    fn drop(&mut self) {
        if !self.ticket.is_blank() {
            self.dropped(std::thread::panicking());
        }
    }
}
