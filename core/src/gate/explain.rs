//! What every part says of a call, by a look.

use super::pause::Pause;
use super::{Gate, Part, Request};
use crate::ConfigError;
use crate::decision::NEVER;
use crate::http::Verdict;
use crate::mode::Mode;
use crate::refusal::Again;
use std::fmt;

/// What a part says of a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PartVerdict {
    /// Which part.
    pub part: Part,
    /// Its name.
    pub name: String,
    /// Whether it would let the call in. Of a shedder that refuses some of such calls: whether it lets any in.
    pub allowed: bool,
    /// Nanoseconds until another try makes sense, [`NEVER`] for none; 0 where it is allowed.
    pub retry_after_ns: u64,
    /// How it stands, in words: for people, and the text may change.
    pub detail: String,
}

impl fmt::Display for PartVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, name, allowed, retry_after_ns, detail } = self;
        let verdict = if *allowed { "allows" } else { "refuses" };
        write!(f, "{} {name:?} {verdict}", part.kind().name())?;
        if !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        if !allowed {
            write!(f, "; {}", Again(*retry_after_ns))?;
        }
        Ok(())
    }
}

impl Gate {
    /// What each part says of such a call now, in the order in which they are looked at; takes and counts nothing.
    /// Nothing of a gate that is switched off. A part after one that would refuse at once is asked all the same.
    ///
    /// Errors: as [`admit`](Self::admit).
    pub fn explain(&self, request: &Request<'_>) -> Result<Vec<PartVerdict>, ConfigError> {
        self.explain_at(self.clock.now(), request)
    }

    /// [`explain`](Self::explain) at `now` of the gate's clock.
    pub fn explain_at(&self, now: u64, request: &Request<'_>) -> Result<Vec<PartVerdict>, ConfigError> {
        let keys = self.limits.as_ref().map(|limits| limits.keys_of(request.keys)).transpose()?;
        self.check_partition(request.partition)?;
        if self.mode == Mode::Disabled {
            return Ok(Vec::new());
        }
        let mut said = Vec::new();
        let mut say = |part, wait: Option<u64>, detail: String| {
            let (allowed, retry_after_ns) = (wait.is_none(), wait.unwrap_or(0));
            said.push(PartVerdict { part, name: self.name_of(part).to_owned(), allowed, retry_after_ns, detail });
        };
        if let Some(list) = &self.access {
            let verdict = super::look::verdict(list, request);
            let lists = match verdict {
                Verdict::Allow => "on the allow list: no other part is asked",
                Verdict::Deny => "on the deny list",
                Verdict::Limit => "on neither list",
            };
            say(Part::Access, (verdict == Verdict::Deny).then_some(NEVER), lists.to_owned());
        }
        if let Some(left) = request.deadline {
            let delay = self.delay();
            let late = left.as_nanos() <= u128::from(delay);
            say(
                Part::Deadline,
                late.then_some(delay),
                format!("{left:?} are left, calls wait {} ms", delay / 1_000_000),
            );
        }
        if let Some(shedder) = &self.shedder {
            let (it, now) = (&shedder.part, shedder.at(now));
            let part = it.shed_part_at(now, request.priority, request.level);
            let wait = (part >= 1.0).then(|| it.retry_after_ns_at(now, request.priority, request.level));
            let detail = format!("pressure {:.3}, sheds {:.1} % of such calls", it.pressure_at(now), part * 100.0);
            say(Part::Shedder, wait, detail);
        }
        if let Some((queue, _)) = &self.queue {
            let wait = (!queue.part.is_accepting()).then(Pause::least_ns);
            say(Part::Queue, wait, format!("{} of {} places taken", queue.part.depth(), queue.part.capacity()));
        }
        for place in request.dependencies.places(self.dependencies.len()) {
            let breaker = &self.dependencies[place];
            let rejected = breaker.part.refusal_at(breaker.at(now));
            let state = breaker.part.state().name().to_owned();
            say(Part::Breaker(place), rejected.map(|rejected| rejected.retry_after_ns), state);
        }
        if let Some((concurrency, _)) = &self.concurrency {
            let it = &concurrency.part;
            let wait = it.is_full(request.partition).then(Pause::least_ns);
            say(Part::Concurrency, wait, format!("{} of {} permits held", it.in_use(), it.limit()));
        }
        if let (Some(limits), Some(keys)) = (&self.limits, keys) {
            let looked = limits.look_at(now, &keys, request.cost);
            for (place, (_, decision)) in limits.each(&looked).enumerate() {
                let wait = (!decision.allowed).then_some(decision.retry_after_ns);
                let detail = format!("{} of {} left", decision.remaining, decision.limit);
                say(Part::Limit(place), wait, detail);
            }
        }
        Ok(said)
    }
}
