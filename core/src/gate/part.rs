//! What can refuse a call at a gate.

/// What kind of part refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The access list: the client is on its deny list.
    Access = 0,
    /// The call's own time is over, or shorter than calls wait behind the gate.
    Deadline = 1,
    /// The load shedder.
    Shedder = 2,
    /// The queue takes nothing now.
    Queue = 3,
    /// The circuit of a dependency is open.
    Breaker = 4,
    /// The concurrency limit is reached.
    Concurrency = 5,
    /// A rate limit.
    Limit = 6,
}

impl Kind {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 7] =
        [Self::Access, Self::Deadline, Self::Shedder, Self::Queue, Self::Breaker, Self::Concurrency, Self::Limit];

    /// Its name in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Deadline => "deadline",
            Self::Shedder => "shedder",
            Self::Queue => "queue",
            Self::Breaker => "breaker",
            Self::Concurrency => "concurrency",
            Self::Limit => "limit",
        }
    }

    /// The HTTP status of such a refusal.
    pub const fn status(self) -> u16 {
        match self {
            Self::Access => 403,
            Self::Deadline => 504,
            Self::Shedder | Self::Queue | Self::Breaker | Self::Concurrency => 503,
            Self::Limit => 429,
        }
    }

    /// The value of a `Retry-After` of such a refusal, in whole seconds; `None`: send none, for another try makes no
    /// sense, or is no matter of time.
    #[cfg(feature = "http")]
    pub fn retry_after_seconds(self, retry_after_ns: u64) -> Option<u64> {
        match self {
            Self::Access => None,
            Self::Deadline if retry_after_ns == 0 => None,
            _ => Some(crate::http::retry_after_seconds(retry_after_ns)),
        }
    }

    /// The problem type of the body that goes with it.
    #[cfg(feature = "http")]
    pub const fn problem(self) -> crate::http::problem::ProblemType {
        use crate::http::problem::ProblemType;
        match self {
            Self::Access => ProblemType::Forbidden,
            Self::Deadline => ProblemType::Timeout,
            Self::Shedder | Self::Queue | Self::Breaker | Self::Concurrency => ProblemType::TemporaryReducedCapacity,
            Self::Limit => ProblemType::QuotaExceeded,
        }
    }
}

/// A part of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The access list.
    Access,
    /// The call's own deadline.
    Deadline,
    /// The load shedder.
    Shedder,
    /// The queue.
    Queue,
    /// The breaker of a dependency, by its place.
    Breaker(usize),
    /// The concurrency limit.
    Concurrency,
    /// A rate limit, by its place in the set.
    Limit(usize),
}

impl Part {
    /// Its kind.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Access => Kind::Access,
            Self::Deadline => Kind::Deadline,
            Self::Shedder => Kind::Shedder,
            Self::Queue => Kind::Queue,
            Self::Breaker(_) => Kind::Breaker,
            Self::Concurrency => Kind::Concurrency,
            Self::Limit(_) => Kind::Limit,
        }
    }

    /// Its place among those of its kind, 0 where there is one alone.
    pub const fn place(self) -> usize {
        match self {
            Self::Breaker(place) | Self::Limit(place) => place,
            _ => 0,
        }
    }
}
