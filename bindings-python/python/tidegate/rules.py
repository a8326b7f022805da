"""Which requests a limit is for: rules for TidegateMiddleware, the first one that fits decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ._functions import optional
from ._guard import Condition, Cost, Fastest, Guard, Keys, OnRefused
from ._limit import check_limit, check_rate, check_refund
from ._partition import PartitionOf, partition_option
from ._routes import Paths, fits, methods_of, path_of, route_path
from ._tidegate import ConcurrencyLimiter, HostScope, ProcessScope
from .errors import ConfigError

if TYPE_CHECKING:
    from ._tidegate import _OnConflict as OnConflict

__all__ = ["Condition", "Paths", "Rule", "route_path"]

Scope: TypeAlias = MutableMapping[str, Any]
Judge: TypeAlias = Callable[[int], "bool | Awaitable[bool]"]

_NOTHING: Any = object()


class Rule:
    """Requests with a method and a path have a limit of their own, in place of the middleware's.

    Args:
        method: "GET" (HEAD is one too, or it would be the way round), several of them, or "*" for all.
        path: "/login" itself; "/users/{id}" with anything but a slash in place of the braces; "/api/*" and all below.
            Starlette's convertors say what a part may be: "{id:int}", "{p:path}" (slashes too), those that the
            application registered before.
        limit: as TidegateMiddleware's; None exempts. To hold the middleware's limit as well, put both into a LimitSet.
        burst, fastest, key, cost, name, scope, on_conflict, on_refused, dry_run: as TidegateMiddleware's; without a
            name the fields show the path.
        skip: a function of the scope, sync or async, that gives a bool: what is True passes this rule's limit
            uncounted.
        when: a further condition, a function of the scope, sync or async, that gives a bool; where it is False the next
            rule is asked.
        refund_on: given the status of an answer, whether its cost is given back: ``lambda status: status < 400`` lets
            failed logins count alone. An exception that leaves the application is a 500.
        concurrency: a ConcurrencyLimiter for these requests, in place of the middleware's. With one, ``limit`` may be
            left out, and there is none.
        partition: where these requests belong among the partitions of ``concurrency``, or of the middleware's where the
            rule has none of its own: a name, or a function of the scope as the middleware's. ``limit`` may be left out
            here too.

    ``Rule("POST", "/login", limit="5/minute", key=client_ip)``
    """

    __slots__ = (
        "_exact",
        "_methods",
        "_options",
        "_pattern",
        "concurrency",
        "limit",
        "method",
        "partition",
        "path",
        "refund_on",
        "when",
    )

    def __init__(
        self,
        method: str | Iterable[str],
        path: str,
        *,
        limit: Any = _NOTHING,
        burst: int | None = None,
        fastest: Fastest | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        skip: Condition | None = None,
        name: str | None = None,
        scope: str | HostScope | ProcessScope | None = None,
        on_conflict: OnConflict | None = None,
        on_refused: OnRefused | None = None,
        when: Condition | None = None,
        refund_on: Judge | None = None,
        dry_run: bool = False,
        concurrency: ConcurrencyLimiter | None = None,
        partition: PartitionOf | None = None,
    ) -> None:
        if concurrency is not None and not isinstance(concurrency, ConcurrencyLimiter):
            raise TypeError(f"concurrency: expected a ConcurrencyLimiter, got {type(concurrency).__name__}")
        if limit is _NOTHING:
            if concurrency is None and partition is None:
                raise TypeError(
                    'Rule() needs a limit, such as limit="5/minute", a concurrency or a partition; limit=None exempts'
                )
            limit = None
        if limit is None:
            options = {
                "burst": burst, "fastest": fastest, "key": key, "skip": skip, "name": name, "scope": scope,
                "on_conflict": on_conflict, "on_refused": on_refused, "refund_on": refund_on,
                "cost": None if cost == 1 else cost, "dry_run": None if dry_run is False else dry_run,
            }  # fmt: skip
            given = ", ".join(name for name, value in options.items() if value is not None)
            if given:
                raise ConfigError(f"{given}: without a limit there is nothing to say it of; this rule has none")
        self.concurrency = concurrency
        # Without a limiter of its own the middleware knows the names.
        self.partition = partition if concurrency is None else partition_option(partition, concurrency)
        self.path, self.limit, self.when, self.refund_on = path, limit, when, refund_on
        if not isinstance(method, (str, Iterable)):
            raise ConfigError(
                f'method: expected "POST", several as a tuple such as ("PUT", "PATCH"), or "*"; got {method!r}'
            )
        if limit is not None:
            check_limit(limit)
        if isinstance(limit, str):
            check_rate(limit, burst)
        if refund_on is not None:
            check_refund("refund_on", limit)
        self.method = method if isinstance(method, str) else tuple(method)
        self._methods = methods_of(self.method)
        self._exact, self._pattern = path_of("path", path)
        self._options: dict[str, Any] = {
            "burst": burst, "fastest": fastest, "key": key, "cost": cost, "skip": skip, "name": name, "scope": scope,
            "on_conflict": on_conflict, "dry_run": dry_run, "called": path,
        }  # fmt: skip
        if on_refused is not None:
            self._options["on_refused"] = on_refused
        optional("when", when)
        optional("refund_on", refund_on, "a status")

    def __repr__(self) -> str:
        default = {"cost": 1, "dry_run": False, "called": self.path}
        options = [f"{name}={value!r}" for name, value in self._options.items() if value != default.get(name)]
        named = ("when", "refund_on", "concurrency", "partition")
        own = [f"{name}={value!r}" for name in named if (value := getattr(self, name)) is not None]
        return f"Rule({', '.join([repr(self.method), repr(self.path), f'limit={self.limit!r}', *options, *own])})"

    def fits(self, method: str, path: str) -> bool:
        """Whether the rule is for such a request (and ``when`` has the last word)."""
        if self._methods is not None and method not in self._methods:
            return False
        return fits(self._exact, self._pattern, path)

    def guard(self, called: str | None = None, **told: Any) -> Guard | None:
        """The limit made ready, with what clients are told; None exempts."""
        own = {} if called is None else {"called": called}
        return None if self.limit is None else Guard(self.limit, **{**told, **self._options, **own})
