//! `ConcurrencyLimiter`: the object.

use crate::scope::Place;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tidegate::http::Outflow;

/// At most so many calls at once: each holds a permit while it runs.
///
///     reports = ConcurrencyLimiter(8, max_wait=2)
///
///     with reports.acquire(): ...                     # in a thread
///     with await reports.acquire_async(): ...         # in a task
///     @reports                                        # or round a function, sync or async
///     async def render(): ...
///
/// Args:
///     limit: the most at once, 1 to `max_limit`.
///     max_wait: seconds (float or timedelta) for which the waiting forms wait; None or `math.inf`: as long
///         as it takes.
///     max_limit: what `set_limit` may raise it to, at most 4,096; default: the limit.
///     max_waiting: the most that wait at once in this process, who comes then is refused at once.
///     order: who of them is served first, "fifo" (who has waited longest) or "lifo" (who came last).
///     partitions: guaranteed shares of the limit by name, `{"live": 0.9, "batch": 0.1}`: above 0, and at most 1
///         together. What a partition leaves unused is lent to whoever asks, and called back when a call within its
///         share is refused: what becomes free after that is kept for it, less and less for 5 s. A call says where it
///         belongs, `acquire(partition="live")`; with partitions `max_waiting` holds for each.
///     priority: names of partitions, the first first: each may starve those behind it, and those that are not named,
///         of all but their guaranteed shares.
///     retry_after: seconds to tell who is refused (ConcurrencyLimitError, Retry-After); by default how long what is
///         under way and waits takes at the rate of the last ten seconds, 1 to 60 and up to a fifth more, and 1 where
///         that is not known yet.
///     scope: where its permits live: "process" (private), "process:NAME", "host:NAME" (all processes of this machine),
///     a
///         HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is; the same name is the same limit.
///     on_conflict: when it was last declared there with another limit: "error", "keep" or "apply".
///     enabled: False admits everything and touches nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: count (`stats().would_deny`) and refuse nothing.
///
/// Who waits is served in that order within the process. In a scope that processes share, a place goes to the process
/// whose first has waited longest (with "lifo": that has waited longest for its turn), 10 ms give or take; each looks
/// every 1 to 10 ms, for others' releases cannot wake it. Permits of a process that dies come back at the first denial
/// 10 ms later.
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///     cannot be used, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time; none but `acquire` blocks.
/// After `os.fork` the child owns none of its parent's permits.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct ConcurrencyLimiter {
    pub(crate) core: Arc<tidegate::ConcurrencyLimiter>,
    /// None: no end.
    pub(super) max_wait: Option<Duration>,
    /// Seconds to tell who is refused; none: by the rate.
    pub(super) retry_after: Option<f64>,
    pub(super) outflow: Outflow,
    pub(crate) place: Place,
}

impl ConcurrencyLimiter {
    /// The name it was given.
    pub(crate) fn name_given(&self) -> Option<&str> {
        self.place.name()
    }
}
