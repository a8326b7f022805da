"""Policy files: one TOML file for all objects of a service, in every language."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ._gate import WRITTEN_KEYS
from ._shed import Signal
from ._tidegate import (
    AccessList,
    Block,
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    Gate,
    LimitSet,
    LoadShedder,
    RateLimiter,
    TokenBucket,
    policy_load,
    policy_parse,
)
from .errors import ConfigError, PolicyError, Problem

if TYPE_CHECKING:
    from ._tidegate import ManualClock, Tier

T = TypeVar("T")

_SECTIONS = ("limits", "concurrency", "queues", "shedders", "breakers", "gates")


class Policy:
    """The objects of a policy file: each is made once, when it is asked for first, and everybody who asks for it by its
    name gets the same. ``Policy.load(path)`` reads a file, ``Policy.parse(text)`` a text::

        policy = Policy.load("orders.toml")
        gate = policy.gate("orders")

        with gate.enter({"client": user}) as admission:
            ...

    All mistakes of a file are raised at once, as a PolicyError with ``problems``; of a file with one nothing is made.
    ``TIDEGATE_SCOPE`` wins over the file's scope. In a named scope the file's settings win over those in force.

    May be used from any thread.
    """

    __slots__ = ("_clock", "_lock", "_made", "_settings", "hash", "scope", "text")

    #: The scope in force: ``"process"``, ``"host:orders"``.
    scope: str
    #: 16 hexadecimal digits that tell what it says from what others do.
    hash: str
    #: The same policy as TOML, with all its defaults filled in.
    text: str

    def __init__(self, read: tuple[str, ...], clock: ManualClock | None) -> None:
        if len(read) == 2:
            raise PolicyError(read[0], tuple(Problem(**problem) for problem in json.loads(read[1])))
        settings, self.text, self.hash, self.scope = read
        self._settings: dict[str, Any] = json.loads(settings)
        self._clock = clock
        self._made: dict[tuple[str, str], Any] = {}
        # A gate asks for its parts.
        self._lock = threading.RLock()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, clock: ManualClock | None = None) -> Policy:
        """Of a file.

        Args:
            path: the file, UTF-8, at most 1 MiB.
            clock: of all objects in the scope of the process, for tests.

        Raises:
            PolicyError: all that is wrong with it; also where it cannot be read.
        """
        return cls(policy_load(os.fspath(path)), clock)

    @classmethod
    def parse(cls, text: str, *, clock: ManualClock | None = None) -> Policy:
        """Of a text; all else as for ``load``."""
        return cls(policy_parse(text), clock)

    def limit(self, name: str) -> TokenBucket | RateLimiter:
        """A rate limit: with a ``key`` in the file a RateLimiter, else a TokenBucket.

        Raises ConfigError where there is none of this name, as all that follow.
        """
        return self._get("limits", name, self._limit)

    def tier(self, limit: str, name: str) -> Tier:
        """A tier of a limit per key, for ``check(key, tier=…)``."""
        limiter, tiers = self.limit(limit), self._settings["limits"][limit].get("tiers", {})
        if name not in tiers or isinstance(limiter, TokenBucket):
            raise ConfigError(_none(f"limits.{limit}.tiers", name, tiers))
        given = tiers[name]
        return limiter.tier(**given) if isinstance(given, dict) else limiter.tier(given)

    def concurrency(self, name: str) -> ConcurrencyLimiter:
        """A concurrency limit."""
        return self._get("concurrency", name, self._concurrency)

    def queue(self, name: str) -> BoundedQueue[Any]:
        """A queue of this process."""
        return self._get("queues", name, lambda _, given: BoundedQueue(**given, **self._timed()))

    def shedder(self, name: str) -> LoadShedder:
        """A load shedder. Its ``loop_lag`` is told by ``shedder.watch()``."""
        return self._get("shedders", name, self._shedder)

    def breaker(self, name: str) -> CircuitBreaker:
        """A circuit breaker."""
        return self._get("breakers", name, lambda _, given: CircuitBreaker(name, **given, **self._placed()))

    def gate(self, name: str) -> Gate:
        """A gate."""
        return self._get("gates", name, self._gate)

    def names(self, section: str) -> list[str]:
        """The names of ``"limits"``, ``"concurrency"``, ``"queues"``, ``"shedders"``, ``"breakers"`` or ``"gates"``."""
        if section not in _SECTIONS:
            raise ConfigError(f"section: {section!r} is none of {', '.join(_SECTIONS)}")
        return list(self._settings.get(section, {}))

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self._settings[it])} {it}" for it in _SECTIONS if self._settings.get(it))
        return f"Policy({counts or 'nothing in it'}; scope={self.scope!r}, hash={self.hash!r})"

    def _get(self, section: str, name: str, make: Callable[[str, dict[str, Any]], T]) -> T:
        if not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        given = self._settings.get(section, {})
        if name not in given:
            raise ConfigError(_none(section, name, given))
        with self._lock:
            made: T | None = self._made.get((section, name))
            if made is None:
                made = self._made[section, name] = make(name, _arguments(given[name]))
            return made

    def _timed(self) -> dict[str, Any]:
        # An arena has a clock of its own.
        return {} if self._clock is None or self.scope != "process" else {"clock": self._clock}

    def _placed(self) -> dict[str, Any]:
        return {**self._timed(), "scope": self.scope, "on_conflict": "apply"}

    def _limit(self, name: str, given: dict[str, Any]) -> TokenBucket | RateLimiter:
        if given.pop("key", None) is None:
            return TokenBucket(**given, **self._placed(), name=name)
        given.pop("tiers", None)
        block = given.pop("block", None)
        return RateLimiter(**given, block=block and Block(**block), **self._placed(), name=name)

    def _concurrency(self, name: str, given: dict[str, Any]) -> ConcurrencyLimiter:
        placed = {**self._placed(), "name": name}
        if "adaptive" in given:
            return ConcurrencyLimiter.adaptive(given.pop("adaptive"), **given, **placed)
        # A limit that stays where it is has no clock.
        placed.pop("clock", None)
        return ConcurrencyLimiter(**given, **placed)

    def _shedder(self, name: str, given: dict[str, Any]) -> LoadShedder:
        def signal(kind: Any, start: float, full: float, queue: str = "", concurrency: str = "") -> Signal:
            watched: Any = self.queue(queue) if queue else self.concurrency(concurrency) if concurrency else None
            return Signal(kind, watched, start=start, full=full)

        signals = [signal(**it) for it in given.pop("signals")]
        return LoadShedder(signals, **given, **self._placed(), name=name)

    def _gate(self, name: str, given: dict[str, Any]) -> Gate:
        parts, access = given.pop("use", {}), given.pop("access", None)
        limits = {it: self.limit(it) for it in parts.get("limits", ())}
        concurrency, shedder, queue = (parts.get(part) for part in ("concurrency", "shedder", "queue"))
        gate = Gate(
            name,
            limits=LimitSet(limits) if limits else None,
            concurrency=None if concurrency is None else {concurrency: self.concurrency(concurrency)},
            shedder=None if shedder is None else {shedder: self.shedder(shedder)},
            queue=None if queue is None else {queue: self.queue(queue)},
            dependencies={it: self.breaker(it) for it in parts.get("dependencies", ())},
            access=access and AccessList(access.get("allow", ()), access.get("deny", ())),
            **given,
        )
        # For a middleware, which finds the keys of its requests.
        settings = self._settings["limits"] if limits else {}
        WRITTEN_KEYS[gate] = {it: settings[it]["key"] for it in limits if settings[it].get("key") is not None}
        return gate


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the constructors take them: times in seconds, under their own names."""

    def argument(name: str, value: Any) -> tuple[str, Any]:
        if name.endswith("_ns"):
            return name.removesuffix("_ns"), int(value) / 1e9
        return name, _arguments(value) if name == "block" else value

    return dict(argument(name, value) for name, value in given.items())


def _none(section: str, name: str, known: Mapping[str, Any]) -> str:
    if not known:
        return f"name: {name!r} is none; the policy has no [{section}]"
    return f"name: {name!r} is none of [{section}]; there are {', '.join(known)}"
