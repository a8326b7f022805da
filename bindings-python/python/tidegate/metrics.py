"""Figures for Prometheus and its kin: what limits, breakers, queues and shedders count. Needs no framework.

    metrics = Metrics(scope="host:orders")              # all that lives there, of all processes
    metrics.add(bank, name="payments")                  # and what is private to this process

    app.mount("/metrics", metrics)
"""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol, TypedDict

from ._answer import Receive, Scope, Send, tell
from ._tidegate import (
    ArenaView,
    BoundedQueue,
    BreakerRegistry,
    CircuitBreaker,
    ClientThrottle,
    ClusterLimit,
    ConcurrencyLimiter,
    Gate,
    HostScope,
    LoadShedder,
    ProcessScope,
    RateLimiter,
    RetryBudget,
    TokenBucket,
    metrics_content_type,
    metrics_name,
    metrics_page,
)
from .errors import ConfigError

__all__ = ["Family", "Metrics", "Sample"]

Counted = (
    TokenBucket
    | RateLimiter
    | ConcurrencyLimiter
    | CircuitBreaker
    | BreakerRegistry
    | RetryBudget
    | ClientThrottle
    | LoadShedder
    | ClusterLimit
    | BoundedQueue[Any]
    | Gate
)


class MadeByPolicy(Protocol):
    """A Policy, of which this module knows no more: it knows this one."""

    scope: str

    @property
    def hash(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def failed_reloads(self) -> int: ...
    def _counted(self) -> list[tuple[str, Any]]: ...


class Sample(TypedDict):
    """One value: its labels, and the number."""

    labels: dict[str, str]
    value: float


class Family(TypedDict):
    """Values of one meaning. A counter's name is without ``_total``."""

    name: str
    type: Literal["counter", "gauge"]
    help: str
    samples: list[Sample]


class Metrics:
    """What objects count, as a scrape reads it: an ASGI application for ``/metrics``, and ``render()`` for a route.

    Args:
        scope: a named scope whose objects are all told of, with the counts of all their processes, so that any
            worker's page is the whole host's: "host:NAME", "process:NAME", a HostScope or a ProcessScope; default:
            that of the policy, else what TIDEGATE_SCOPE says, else none.
        policy: a Policy of which all that is made is told of, as it is at each scrape, under the names of its file, and
            its reloads.

    Labels are names of objects, states, priorities and reasons, never keys: there are as many series as there are
    names. An object that was added and lives in the scope is told of once.

    Raises:
        ArenaError: the scope cannot be used.

    May be used from any thread and any event loop.
    """

    __slots__ = ("_arena", "_objects", "_policy")

    def __init__(
        self, *, scope: str | HostScope | ProcessScope | None = None, policy: MadeByPolicy | None = None
    ) -> None:
        if policy is not None:
            if isinstance(policy, type) or not hasattr(policy, "_counted"):
                raise TypeError(f"policy: expected a Policy, got {type(policy).__name__}")
            scope = policy.scope if scope is None else scope
        self._policy = policy
        self._arena = ArenaView.of(scope)
        self._objects: dict[tuple[str, str, str], tuple[str, Counted]] = {}

    def add(self, object: Counted, *, name: str | None = None) -> None:
        """Tells of ``object`` from now on, which is kept.

        Args:
            object: what counts.
            name: its label; default: its own ``name``. Names of one kind differ.

        Raises:
            ConfigError: it has no name, or another object of its kind has it. TypeError: nothing that counts.
        """
        kind, scope, own = metrics_name(object)
        label = own if own is not None else name if name is not None else getattr(object, "name", None)
        if label is None:
            raise ConfigError(f"name: this {kind} has none for its label; give it one")
        if not isinstance(label, str):
            raise TypeError(f"name: expected a str, got {type(label).__name__}")
        if not label or any("\ud800" <= letter <= "\udfff" for letter in label):
            # An empty label is none to Prometheus, and half a surrogate pair would be the error of every scrape.
            raise ConfigError(f"name: expected a text that UTF-8 can say, and not an empty one, got {label!r}")
        place = (scope, kind, label)
        known = self._objects.get(place)
        # What lives in a named scope is one object, however many opened it.
        if known is not None and known[1] is not object and own is None:
            raise ConfigError(f"name: {label!r} is the name of another {kind} here; each needs one of its own")
        self._objects[place] = (label, object)

    def render(self, format: Literal["prometheus", "openmetrics"] = "prometheus") -> str:
        """The page of this moment.

        Args:
            format: "prometheus" (its text, 0.0.4) or "openmetrics" (1.0).
        """
        return self._page(format)

    def _page(self, format: str) -> str:
        policy = self._policy
        if policy is None:
            return metrics_page(format, self._arena, list(self._objects.values()))
        objects = dict(self._objects)
        for name, it in policy._counted():
            kind, scope, own = metrics_name(it)
            objects[scope, kind, own or name] = (name, it)
        told = policy.hash, policy.generation, policy.failed_reloads
        return metrics_page(format, self._arena, list(objects.values()), told)

    def content_type(self, format: Literal["prometheus", "openmetrics"] = "prometheus") -> str:
        """The Content-Type of such a page."""
        return metrics_content_type(format, "")[1]

    def families(self) -> list[Family]:
        """The values of this moment, for bindings to other libraries."""
        families: list[Family] = json.loads(self._page("json"))
        return families

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers GET and HEAD with the page, in the format that Accept asks for."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            return await tell(scope, receive, send, 405, "text/plain", b"", [(b"allow", b"GET, HEAD")])
        accept = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept").decode("latin-1")
        format, content = metrics_content_type(None, accept)
        body = self._page(format).encode()
        await tell(scope, receive, send, 200, content, body)

    def __repr__(self) -> str:
        names = ", ".join(f"{kind} {name!r}" for _, kind, name in self._objects)
        return f"{type(self).__name__}({names})"
