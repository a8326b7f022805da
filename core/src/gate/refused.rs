//! A refusal as an error that tells who it was.

use super::{Answer, Gate, Kind, Part};
use crate::decision::NEVER;
use crate::limit::Member;
use crate::refusal::Refusal;
use std::fmt;
use std::time::Duration;

/// A gate refused a call: which part, and when another try makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    kind: Kind,
    name: String,
    retry_after_ns: u64,
    text: String,
}

impl Refused {
    /// What kind of part refused.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name.
    pub fn denied_by(&self) -> &str {
        &self.name
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// Nanoseconds until another try makes sense, [`NEVER`] for none.
    pub fn retry_after_ns(&self) -> u64 {
        self.retry_after_ns
    }

    /// Time until another try makes sense: `None` for "never".
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_ns != NEVER).then(|| Duration::from_nanos(self.retry_after_ns))
    }
}

#[cfg(feature = "http")]
impl Refused {
    /// The value of a `Retry-After`, in whole seconds; `None`: send none, for another try makes no sense, or is no
    /// matter of time.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.kind.retry_after_seconds(self.retry_after_ns)
    }

    /// The body of the HTTP answer, [`problem::CONTENT_TYPE`](crate::http::problem::CONTENT_TYPE): its
    /// `violated-policies` names the part.
    pub fn problem_body(&self) -> String {
        let problem = self.kind.problem();
        crate::http::problem::body(problem, self.status(), problem.detail(), &[&self.name])
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

impl Gate {
    /// The parts that it has, with their names.
    pub fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        let limits = self.limits.iter().flat_map(|limits| (0..limits.names().count()).map(Part::Limit));
        let parts = [
            self.access.as_ref().map(|_| Part::Access),
            self.shedder.as_ref().map(|_| Part::Shedder),
            self.queue.as_ref().map(|_| Part::Queue),
        ];
        let breakers = (0..self.dependencies.len()).map(Part::Breaker);
        let concurrency = self.concurrency.as_ref().map(|_| Part::Concurrency);
        let all = parts.into_iter().flatten().chain(breakers).chain(concurrency).chain(limits);
        all.map(|part| (part, self.name_of(part)))
    }

    /// The name of a part: that which it was given, else its kind.
    pub fn name_of(&self, part: Part) -> &str {
        let given = match part {
            Part::Access | Part::Deadline => None,
            Part::Shedder => self.shedder.as_ref().map(|it| it.name.as_str()),
            Part::Queue => self.queue.as_ref().map(|(it, _)| it.name.as_str()),
            Part::Concurrency => self.concurrency.as_ref().map(|(it, _)| it.name.as_str()),
            Part::Breaker(place) => self.dependencies.get(place).map(|it| it.name.as_str()),
            Part::Limit(place) => self.limits.as_ref().and_then(|limits| Some(limits.member(place)?.0)),
        };
        given.unwrap_or(part.kind().name())
    }

    /// The refusal of an answer to a call of that cost, in words.
    pub fn refused(&self, answer: &Answer, cost: u32) -> Refused {
        let part = answer.denied_by.unwrap_or(Part::Deadline);
        let text = self.with_refusal(answer, cost, |refusal| refusal.to_string());
        Refused { kind: part.kind(), name: self.name_of(part).to_owned(), retry_after_ns: answer.retry_after_ns, text }
    }

    /// Calls `f` with who refused what; `answer` is a refusal.
    pub fn with_refusal<T>(&self, answer: &Answer, cost: u32, f: impl FnOnce(Refusal<'_>) -> T) -> T {
        let part = answer.denied_by.unwrap_or(Part::Deadline);
        let name = self.name_of(part);
        let refusal = match part {
            Part::Access => Refusal::of_access().named(Some(&self.name)),
            Part::Deadline => Refusal::of_deadline(answer.retry_after_ns).named(Some(&self.name)),
            Part::Shedder => {
                let signal = self.shedder.as_ref().and_then(|it| it.part.leader_at(it.part.clock().now()).0);
                Refusal::of_shedder(signal, answer.pressure).named(Some(name))
            }
            Part::Queue => {
                let queue = self.queue.as_ref().map(|(it, _)| &it.part);
                let (depth, capacity) = queue.map_or((0, 0), |it| (it.depth(), it.capacity()));
                Refusal::of_queue(depth, capacity).named(Some(name))
            }
            Part::Breaker(place) => {
                let trip = self.dependencies.get(place).and_then(|it| it.part.stats().last_trip);
                let (calls, failed, slow) = trip.map_or((0, 0, 0), |trip| (trip.calls, trip.failed, trip.slow));
                Refusal::of_circuit(calls, failed, slow).named(Some(name))
            }
            Part::Concurrency => {
                let limit = self.concurrency.as_ref().map_or(0, |(it, _)| it.part.limit());
                Refusal::of_concurrency(limit).named(Some(name))
            }
            Part::Limit(place) => match self.limits.as_ref().and_then(|limits| limits.member(place)) {
                Some((name, Member::Keyed(limiter))) => Refusal::of_limiter(limiter.quota(), cost).named(Some(name)),
                Some((name, Member::Bucket(bucket))) => Refusal::of_bucket(bucket.quota(), cost).named(Some(name)),
                None => Refusal::of_limits(&[], cost),
            },
        };
        f(refusal.retry_after_ns(answer.retry_after_ns))
    }
}
