"""Policy files: one TOML file for all objects of a service, in every language."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from ._forked import renewed
from ._gate import WRITTEN, Written
from ._reload import SECTIONS, Reloaded, Reloading, Watch, change, error_of, is_there
from ._retry import RetryPolicy
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
    RetryBudget,
    TokenBucket,
    policy_load,
    policy_parse,
)
from ._written import arguments, written
from .errors import ConfigError

if TYPE_CHECKING:
    from ._tidegate import ManualClock, Tier

T = TypeVar("T")

# What a breaker of the file may be given by ``bind``, beside ``retry_on`` of its retry.
_OF_BREAKER = ("failure_on", "failure_result", "slow", "ignore", "unreached", "classifier")


class InForce(NamedTuple):
    """Which policy is in force for all who share an arena."""

    #: That of the policy: see ``Policy.hash``.
    hash: str
    #: How many were put in force there.
    generation: int


class Policy:
    """The objects of a policy file: each is made once, when it is asked for first, and everybody who asks for it by its
    name gets the same. ``Policy.load(path)`` reads a file, ``Policy.parse(text)`` a text::

        policy = Policy.load("orders.toml")
        gate = policy.gate("orders")

        with gate.enter({"client": user}) as admission:
            ...

    All mistakes of a file are raised at once, as a PolicyError with ``problems``; of a file with one nothing is made.
    ``TIDEGATE_SCOPE`` wins over the file's scope. In a named scope the file's settings win over those in force, unless
    another process has put another policy in force since this one was read.

    May be used from any thread.
    """

    __slots__ = ("__weakref__", "_bound", "_clock", "_file", "_known", "_lock", "_made", "_read", "_reloading", "scope")

    #: The scope in force: ``"process"``, ``"host:orders"``.
    scope: str

    def __init__(self, read: tuple[Any, ...], clock: ManualClock | None, reloading: Reloading) -> None:
        if len(read) == 2:
            raise error_of(read)
        self._file, settings, text, found, self.scope = read
        # One object, so that nobody sees half of two policies.
        self._read: tuple[dict[str, Any], str, str] = json.loads(settings), text, found
        # What it says, and of names that left it what it said last.
        self._known: dict[str, Any] = self._read[0]
        self._clock = clock
        # Of all names that it ever had: a name is one object for ever, for many hold it.
        self._made: dict[tuple[str, str], Any] = {}
        self._bound: dict[str, dict[str, Any]] = {}
        # A gate asks for its parts.
        self._lock = threading.RLock()
        self._reloading = reloading
        renewed(self)

    def after_fork(self) -> None:
        """In the child: the thread that would give a lock back is not there."""
        self._lock = threading.RLock()
        self._reloading.after_fork()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, clock: ManualClock | None = None) -> Policy:
        """Of a file.

        Args:
            path: the file, UTF-8, at most 1 MiB.
            clock: of all objects in the scope of the process, for tests.

        Raises:
            PolicyError: all that is wrong with it; also where it cannot be read.
        """
        path = os.fspath(path)
        reloading = Reloading(path)
        return cls(policy_load(path), clock, reloading)

    @classmethod
    def parse(cls, text: str, *, clock: ManualClock | None = None) -> Policy:
        """Of a text; all else as for ``load``."""
        if not isinstance(text, str):
            raise TypeError(f"text: expected the text of a policy as a str, got {type(text).__name__}")
        return cls(policy_parse(text), clock, Reloading(None))

    @property
    def text(self) -> str:
        """The same policy as TOML, with all its defaults filled in."""
        return self._read[1]

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that tell what it says from what others do."""
        return self._read[2]

    @property
    def generation(self) -> int:
        """How many reloads of this policy succeeded."""
        made: int = self._file.generation
        return made

    @property
    def failed_reloads(self) -> int:
        """How many reloads of this policy changed nothing, for what was wrong with them."""
        return self._reloading.failed

    @property
    def in_force(self) -> InForce | None:
        """The policy in force in the arena of its objects, which the last process that made or reloaded one has put
        there: all that the arena has follows it, whatever this one's file says. None in the scope of the process, and
        before the first object is made.
        """
        found = self._file.in_force
        return None if found is None else InForce(*found)

    def reload(self, text: str | None = None) -> Reloaded:
        """Reads its file again and changes its objects to what it says now, all or nothing, in place, with their state:
        rates, bursts and queues of limits, tiers, keys; a fixed concurrency limit up to what it was made with; breakers
        as far as they have room; priorities of gates. What is added is made when it is asked for. What is no longer
        there stays as it is for who holds it; a name that comes back is the same object, and changed as one that
        stayed. Calls under way end under what they began with. In a named scope for all processes.

        Args:
            text: of another policy, in place of the file.

        Raises:
            PolicyError: all that is wrong with it; all changes that need a new object; what cannot be changed. Nothing
                is changed then.

        Calls wait for each other. In an event loop that serves others ``watch()`` does it in a thread.
        """
        if text is not None and not isinstance(text, str):
            raise TypeError(f"text: expected a str, got {type(text).__name__}")
        with self._lock:
            return change(self, text)

    def reload_if_changed(self) -> Reloaded | None:
        """``reload()`` where the file is another than it was read last, by its time, number and size; None where it is
        not. For a timer of one's own; ``watch()`` has one.
        """
        with self._lock:
            return self.reload() if self._reloading.is_changed() else None

    def watch(self, interval: float = 2.0, on_reload: Callable[[Reloaded], Any] | None = None) -> Watch:
        """Looks at the file every ``interval`` seconds, in a task of the running event loop, and reloads it when it is
        another and the same at two looks in a row, so that none is read while it is written, in a thread. A file that
        is wrong is logged once, and changes nothing. Where another process has put another policy in force in the
        arena, that is logged once.

        Args:
            interval: 0.01 s to a day.
            on_reload: called in the loop with what each reload did.

        Returns: a handle; ``cancel()`` ends it. RuntimeError where no event loop runs.
        """
        return self._reloading.watch(self, interval, on_reload)

    def reload_on(self, signum: int | None = None, on_reload: Callable[[Reloaded], Any] | None = None) -> Watch:
        """Reloads the file at a signal, by default SIGHUP, in a thread of its own, so that the program goes on. A file
        that is wrong is logged, and changes nothing. Call it in the main thread.

        Args:
            signum: which; what handled it is called no more until ``cancel()``.
            on_reload: called in that thread with what each reload did.
        """
        return self._reloading.reload_on(self, signum, on_reload)

    def metrics(self, format: Literal["prometheus", "openmetrics"] = "prometheus") -> str:
        """The figures of this moment of all that it has made, under the names of the file, and of its reloads; in a
        named scope of all that is in its arena, with the counts of all processes: see ``tidegate.metrics``.
        """
        from .metrics import Metrics

        return Metrics(policy=self).render(format)

    def _counted(self) -> list[tuple[str, Any]]:
        """What is made and counts, by its name."""
        with self._lock:
            settings = self._read[0]
            made = [it for it in self._made.items() if is_there(settings, *it[0])]
        # A retry policy counts nothing, its budget does.
        budgets = [(f"{name}:retries", it._budget) for (section, name), it in made if section == "retries"]
        own = [(name, it) for (section, name), it in made if section != "retries"]
        return own + [(name, budget) for name, budget in budgets if budget is not None]

    def bind(self, name: str, **functions: Any) -> None:
        """Gives functions, which no file can have, to what is made under a name. Before it is asked for.

        Args:
            name: of a breaker, whose ``failure_on``, ``failure_result``, ``slow``, ``ignore``, ``unreached``,
                ``classifier``, and ``retry_on`` of its retry may be given; or of a shedder, whose gauges are read by
                functions of their names.

        Raises ConfigError where there is no such object, no such function of it, or it is made already.
        """
        if not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        with self._lock:
            settings = self._read[0]
            breakers, shedders = settings.get("breakers", {}), settings.get("shedders", {})
            if name in breakers:
                known = _OF_BREAKER + (("retry_on",) if "retry" in breakers[name] else ())
                places = {it: "retries" if it == "retry_on" else "breakers" for it in functions}
            elif name in shedders:
                known = tuple(it["name"] for it in shedders[name]["signals"] if it["kind"] == "gauge")
                places = dict.fromkeys(functions, "shedders")
            else:
                raise ConfigError(_none("breakers] or [shedders", name, {**breakers, **shedders}))
            for function, place in places.items():
                if function not in known:
                    names = ", ".join(known) or "none"
                    raise ConfigError(f"{function}: {name!r} has no such function; there are {names}")
                if place == "shedders" and not callable(functions[function]):
                    got = type(functions[function]).__name__
                    raise TypeError(f"{function}: expected a function that gives a number, got {got}")
                if (place, name) in self._made:
                    raise ConfigError(f"{function}: {name!r} is made already; bind before it is asked for")
            self._bound.setdefault(name, {}).update(functions)

    def limit(self, name: str) -> TokenBucket | RateLimiter:
        """A rate limit: with a ``key`` in the file a RateLimiter, else a TokenBucket.

        Raises ConfigError where there is none of this name, as all that follow.
        """
        return self._get("limits", name, self._limit)

    def tier(self, limit: str, name: str) -> Tier:
        """A tier of a limit per key, for ``check(key, tier=…)``."""
        limiter, tiers = self.limit(limit), self._read[0]["limits"][limit].get("tiers", {})
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
        """A circuit breaker, with the functions that ``bind`` gave it."""
        return self._get("breakers", name, self._breaker)

    def retry(self, name: str) -> RetryPolicy:
        """How calls of a breaker's dependency are made again, as its ``retry`` says, with the budget that all who ask
        share, and the ``retry_on`` that ``bind`` gave it.
        """
        self._given("breakers", name)
        return self._get("retries", name, self._retry)

    def gate(self, name: str) -> Gate:
        """A gate."""
        return self._get("gates", name, self._gate)

    def names(self, section: str) -> list[str]:
        """The names of ``"limits"``, ``"concurrency"``, ``"queues"``, ``"shedders"``, ``"breakers"`` or ``"gates"``."""
        if section not in SECTIONS:
            raise ConfigError(f"section: {section!r} is none of {', '.join(SECTIONS)}")
        return list(self._read[0].get(section, {}))

    def __repr__(self) -> str:
        settings = self._read[0]
        counts = ", ".join(f"{len(settings[it])} {it}" for it in SECTIONS if settings.get(it))
        return f"Policy({counts or 'nothing in it'}; scope={self.scope!r}, hash={self.hash!r})"

    def _given(self, section: str, name: str) -> dict[str, Any]:
        if not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        given = self._read[0].get(section, {})
        if name not in given:
            raise ConfigError(_none(section, name, given))
        found: dict[str, Any] = given[name]
        return found

    def _get(self, section: str, name: str, make: Callable[[str, dict[str, Any]], T]) -> T:
        # Under the lock: what is made while a reload changes it would be made of what no longer holds.
        with self._lock:
            given = self._given("breakers" if section == "retries" else section, name)
            made: T | None = self._made.get((section, name))
            if made is None:
                made = self._made[section, name] = make(name, arguments(given))
            return made

    def _timed(self) -> dict[str, Any]:
        # An arena has a clock of its own.
        return {} if self._clock is None or self.scope != "process" else {"clock": self._clock}

    def _placed(self) -> dict[str, Any]:
        if self.scope == "process":
            return {**self._timed(), "scope": self.scope}
        on_conflict = self._file.on_conflict()
        if isinstance(on_conflict, tuple):
            raise error_of(on_conflict)
        return {"scope": self.scope, "on_conflict": on_conflict}

    def _breaker(self, name: str, given: dict[str, Any]) -> CircuitBreaker:
        given.pop("retry", None)
        functions = {it: own for it, own in self._bound.get(name, {}).items() if it != "retry_on"}
        return CircuitBreaker(name, **given, **functions, **self._placed())

    def _retry(self, name: str, given: dict[str, Any]) -> RetryPolicy:
        if "retry" not in given:
            raise ConfigError(f"name: the breaker {name!r} has no retry in the policy")
        retry = given["retry"]
        budget = retry.pop("budget", None)
        if budget is not None:
            budget = RetryBudget(**budget, **self._placed(), name=f"{name}:retries")
        return RetryPolicy(
            **retry, budget=budget, retry_on=self._bound.get(name, {}).get("retry_on"), **self._timed()
        )

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
        gauges = self._bound.get(name, {})

        def signal(
            kind: Any, start: float, full: float, queue: str = "", concurrency: str = "", name: str | None = None
        ) -> Signal:
            watched: Any = self.queue(queue) if queue else self.concurrency(concurrency) if concurrency else None
            return Signal(kind, gauges.get(name) if name else watched, start=start, full=full, name=name)

        signals = [signal(**it) for it in given.pop("signals")]
        return LoadShedder(signals, **given, **self._placed(), name=name)

    def _gate(self, name: str, given: dict[str, Any]) -> Gate:
        parts, access = given.pop("use", {}), given.pop("access", None)
        given.pop("priority", None)
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
        WRITTEN[gate] = Written(written(self._read[0], name))
        return gate


def _none(section: str, name: str, known: Mapping[str, Any]) -> str:
    if not known:
        return f"name: {name!r} is none; the policy has no [{section}]"
    return f"name: {name!r} is none of [{section}]; there are {', '.join(known)}"
