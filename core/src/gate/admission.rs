//! A call that was let in, or refused, with its gate.

use super::{Answer, Gate, Outcome, Refused, Request, Ticket};
use crate::ConfigError;
use crate::breaker::{CallError, Guard};
use std::ops::Deref;

/// A gate's answer to a call, and what the call holds: dropped, that goes back, as of a call that was cancelled, or of
/// one that failed where a panic drops it.
#[derive(Debug)]
#[must_use = "what an admission holds is given back when it is dropped"]
pub struct Admission<'g> {
    gate: &'g Gate,
    answer: Answer,
    ticket: Ticket,
    cost: u32,
}

impl Gate {
    /// Asks for a call.
    ///
    /// Errors: `keys` when there are more or fewer than keyed limits, `partition` when it is none of the concurrency
    /// limit's.
    #[inline]
    pub fn admit(&self, request: &Request<'_>) -> Result<Admission<'_>, ConfigError> {
        let (answer, ticket) = self.decide(request)?;
        Ok(Admission { gate: self, answer, ticket, cost: request.cost })
    }

    /// [`admit`](Self::admit) at `now`, by a `draw`: as [`decide_at`](Self::decide_at).
    pub fn admit_at(&self, now: u64, draw: f64, request: &Request<'_>) -> Result<Admission<'_>, ConfigError> {
        let (answer, ticket) = self.decide_at(now, draw, request)?;
        Ok(Admission { gate: self, answer, ticket, cost: request.cost })
    }

    /// [`admit`](Self::admit), with a refusal as an error.
    ///
    /// Errors: the refusal, or what [`admit`](Self::admit) says of the arguments.
    pub fn enter(&self, request: &Request<'_>) -> Result<Admission<'_>, CallError<ConfigError, Refused>> {
        let admission = self.admit(request).map_err(CallError::Failed)?;
        match admission.answer.allowed {
            true => Ok(admission),
            false => Err(CallError::Rejected(self.refused(&admission.answer, request.cost))),
        }
    }

    /// Runs `f` if it is let in: `Ok` is a success, `Err` and a panic a failure.
    ///
    /// Errors: the refusal, or the error of `f`; of a wrong argument, see [`admit`](Self::admit), a refusal by nobody.
    ///
    /// ```
    /// use tidegate::breaker::CallError;
    /// use tidegate::gate::Request;
    /// use tidegate::{Gate, GateConfig};
    ///
    /// let gate = Gate::new(GateConfig::new("orders"))?;
    /// let made = gate.call(&Request::default(), |_| Ok::<_, std::io::Error>(5))?;
    /// assert_eq!(made.unwrap_or(0), 5, "0 is the fallback");
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn call<T, E>(
        &self,
        request: &Request<'_>,
        f: impl FnOnce(&Admission<'_>) -> Result<T, E>,
    ) -> Result<Result<T, CallError<E, Refused>>, ConfigError> {
        let admission = self.admit(request)?;
        if !admission.allowed {
            return Ok(Err(CallError::Rejected(self.refused(&admission.answer, request.cost))));
        }
        let end = f(&admission);
        admission.finish(if end.is_ok() { Outcome::Success } else { Outcome::Failure });
        Ok(end.map_err(CallError::Failed))
    }
}

impl Admission<'_> {
    /// Whether the call may be served.
    pub fn is_allowed(&self) -> bool {
        self.answer.allowed
    }

    /// What the gate decided.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The name of the part that refused; in a dry run that would have.
    pub fn denied_by(&self) -> Option<&str> {
        self.answer.denied_by.map(|part| self.gate.name_of(part))
    }

    /// The refusal as an error; `None`: there was none.
    pub fn refused(&self) -> Option<Refused> {
        (!self.answer.allowed).then(|| self.gate.refused(&self.answer, self.cost))
    }

    /// The call's own permit of a dependency's breaker, each time another: for one attempt. Report it; dropped, it says
    /// nothing of the dependency.
    ///
    /// Errors: the circuit refuses; the gate has no such dependency.
    pub fn breaker(&self, dependency: &str) -> Result<Guard<'_>, CallError<ConfigError>> {
        let breaker = self
            .gate
            .breaker(dependency)
            .ok_or_else(|| CallError::Failed(super::config::no_dependency(dependency, self.gate.dependency_names())))?;
        breaker.enter().map_err(CallError::Rejected)
    }

    /// The call has ended. False, and nothing happens: it was refused, or belongs to the parent of this process.
    pub fn finish(mut self, outcome: Outcome) -> bool {
        self.gate.finish(&mut self.ticket, outcome)
    }
}

impl Deref for Admission<'_> {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.answer
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if !self.ticket.is_blank() {
            let outcome = if std::thread::panicking() { Outcome::Failure } else { Outcome::Cancelled };
            self.gate.finish(&mut self.ticket, outcome);
        }
    }
}
