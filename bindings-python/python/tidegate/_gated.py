"""A gate as requests meet it: whose keys, what cost, which priority, and what the client is told. Framework-free."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict

from . import _notices
from ._deadline import Deadline, check_name
from ._functions import function, optional
from ._gate import WRITTEN
from ._guard import Cost, Keys, OnRefused, Refusal, check_burst, cost_of, key_of, keys_option, told_option
from ._limit import check_cost
from ._partition import PartitionOf, partition_of, partition_option
from ._routes import ByRoute
from ._shed import Priority, UserOf, level_of, priority_of, priority_option
from ._tidegate import Gate
from .errors import ConfigError
from .headers import HeaderList, Policies, Problem
from .keys import ClientIP, client_ip, written

if TYPE_CHECKING:
    from ._tidegate import Admission, ConcurrencyLimiter

__all__ = ["DEADLINES", "GateOptions", "Gated", "Refused", "admitted_by"]

Scope: TypeAlias = MutableMapping[str, Any]
Dependencies: TypeAlias = (
    Sequence[str] | Mapping[str, Sequence[str]] | Callable[[Scope], "Sequence[str] | Awaitable[Sequence[str]]"]
)
CostOf: TypeAlias = Cost | Mapping[str, int]
Left: TypeAlias = float | timedelta | Deadline | None
PartitionsOf: TypeAlias = PartitionOf | Mapping[str, str]
DeadlineOf: TypeAlias = str | Iterable[str] | Callable[[Scope], "Left | Awaitable[Left]"]

# Where a request's scope has its admissions, the outermost gate's first.
ADMISSIONS = "tidegate.admissions"
# The headers that say how long a caller waits, unless the application names others.
DEADLINES = ("grpc-timeout", "x-request-timeout-ms")
TIMES = ("body", "headers")


class GateOptions(TypedDict, total=False):
    """How a gate is asked for a request."""

    key: Keys | None
    cost: CostOf
    priority: Priority | None
    user: UserOf | None
    dependencies: Dependencies
    partition: PartitionsOf | None
    deadline: DeadlineOf | None
    client: ClientIP
    headers: bool
    legacy_headers: bool
    jitter: float
    on_refused: OnRefused | None


class Refused(NamedTuple):
    """A refusal as it is told."""

    problem: Problem
    # Of Retry-After, whole seconds; None: it is not sent.
    retry_after: int | None
    fields: HeaderList


class Gated:
    """A gate and the functions that say how it is asked. All of them have spoken before anything is taken, so that
    whatever goes wrong in them leaves nothing behind.
    """

    __slots__ = (
        "_burst",
        "_client",
        "_cost",
        "_deadline",
        "_dependencies",
        "_jitter",
        "_partition",
        "_keys",
        "_lists",
        "_own",
        "_policies",
        "_priority",
        "_problems",
        "_shedder",
        "_tells",
        "_told",
        "_told_by",
        "_user",
        "_written",
        "clock",
        "gate",
        "on_refused",
    )

    def __init__(
        self,
        gate: Gate,
        *,
        key: Keys | None = None,
        cost: CostOf = 1,
        priority: Priority | None = None,
        user: UserOf | None = None,
        dependencies: Dependencies = (),
        partition: PartitionsOf | None = None,
        deadline: DeadlineOf | None = DEADLINES,
        client: ClientIP = client_ip,
        headers: bool = True,
        legacy_headers: bool = False,
        jitter: float = 0.0,
        on_refused: OnRefused | None = None,
    ) -> None:
        if not isinstance(gate, Gate):
            raise TypeError(f"gate: expected a Gate, got {type(gate).__name__}")
        function("client", client)
        if gate.access is not None and not callable(getattr(client, "address", None)):
            raise TypeError(f"client: expected a ClientIP, got {type(client).__name__}")
        told_option(headers, legacy_headers)
        limits = gate.limits
        if limits is None and key is not None:
            raise ConfigError("key: no limit of this gate is keyed; leave key out")
        self.gate, self._client = gate, client
        self._lists, self._shedder = gate.access is not None, gate.shedder
        # By which a leaky bucket's delay is waited for.
        self.clock = None if gate.limits is None else gate.limits.clock
        # What is None here is as the file of the gate's policy says.
        self._own = key, priority
        self._written = WRITTEN.get(gate)
        self._read()
        members = () if limits is None else tuple(limits.limits.items())
        self._cost = _costs(cost, [member for _, member in members] if gate._refuses else ())
        # A cost that a function gives is checked with each request.
        self._burst = members if callable(cost) and gate._refuses else ()
        if user is not None and gate.shedder is None:
            raise ConfigError("user: it is whose level a shedder asks; give the gate one")
        if limits is None:
            options = {"cost": cost != 1, "legacy_headers": legacy_headers, "jitter": jitter != 0}
            given = ", ".join(name for name, is_given in options.items() if is_given)
            if given:
                raise ConfigError(f"{given}: without a limit there is nothing to say it of; give the gate one")
        self._user = optional("user", user)
        self._dependencies = _dependencies(dependencies, gate)
        self._partition = _partitions(partition, gate.concurrency)
        self._deadline, self._told_by = _deadline(deadline)
        policies = None if limits is None else Policies(limits, legacy=legacy_headers, jitter=jitter)
        self._policies: Policies | None = policies
        # A dry run tells nobody.
        self._tells = headers and gate._refuses
        self._jitter = policies is not None and jitter > 0
        self.on_refused = optional("on_refused", on_refused, "the ASGI scope and a Refusal", 2)
        self._problems: dict[tuple[str, str], Problem] = {}

    def _read(self) -> None:
        """Keys and priorities, as they were given, else as the file says now."""
        told = None if self._written is None else self._written.told
        (key, priority), limits, client = self._own, self.gate.limits, self._client
        if told is not None:
            if key is None:
                key = {name: written(text, client) for name, text in told.keys.items()} or None
            priority = told.priority if priority is None else priority
        self._keys = None if limits is None else keys_option(key, limits, client)
        _notices.forwarded(self._keys or ())
        self._priority = priority_option("normal" if priority is None else priority)
        # Last: whoever finds it finds the others.
        self._told = told

    async def admit(self, scope: Scope, root: str = "") -> tuple[Admission, Refused | HeaderList]:
        """The gate's answer, and what the client is told: of a refusal all, else the fields of the limits."""
        gate = self.gate
        if self._written is not None and self._written.told is not self._told:
            self._read()
        keys = {name: await key_of(one, scope, self._client) for name, one in self._keys or ()}
        cost = self._cost
        if isinstance(cost, ByRoute):
            cost = cost.of(scope, 1, root)
        elif cost.__class__ is not int:
            cost = await cost_of(cost, scope)
            if self._burst:
                check_burst(cost, self._burst)
        priority = await priority_of(self._priority, scope, root)
        shedder = self._shedder
        level = 0 if shedder is None else await level_of(shedder, self._user, self._client, scope)
        admission = gate.admit(
            keys,
            priority,
            cost,
            await self._left(scope),
            await self._needed(scope, root),
            address=self._client.address(scope) or "" if self._lists else None,
            level=level,
            partition=await self._partition_of(scope, root) if self._partition is not None else None,
        )
        known = scope.get(ADMISSIONS)
        if known is None:
            scope[ADMISSIONS] = [admission]
        else:
            known.append(admission)
        return admission, self._fields(admission, keys) if admission else self._refused(admission, keys, cost)

    def _fields(self, admission: Admission, keys: Mapping[str, Any]) -> HeaderList:
        # No limit was asked where the client is on a list, or the deadline was over.
        if self._policies is None or not self._tells or not admission.limit:
            return []
        return self._policies.look(keys, 0)[0]

    def _refused(self, admission: Admission, keys: Mapping[str, Any], cost: int) -> Refused:
        kind, name = admission.kind or "access", admission.denied_by or ""
        problem = self._problems.get((kind, name))
        if problem is None:
            problem = self._problems[kind, name] = Problem.of(kind, name)
        if kind != "limit" or self._policies is None:
            return Refused(problem, admission._retry_after, self._fields(admission, keys))
        fields, wait = self._policies.look(keys, cost)
        # Jitter lengthens both; what has come back since the decision is no reason to tell less.
        seconds = wait if wait and self._jitter else admission._retry_after
        return Refused(problem, seconds, fields if self._tells else [])

    async def said(self, scope: Scope, admission: Admission, refused: Refused) -> Any:
        """What ``on_refused`` says in place of the problem body; None where it says nothing."""
        if self.on_refused is None:
            return None
        problem, wait = refused.problem, refused.retry_after
        policies = (admission.denied_by or "",)
        said = self.on_refused(scope, Refusal(problem.status, wait, policies, admission, problem.body))
        return await said if inspect.isawaitable(said) else said

    async def _left(self, scope: Scope) -> Any:
        """How long the caller still waits; None: without an end."""
        if self._deadline is not None:
            given = self._deadline(scope)
            return await given if inspect.isawaitable(given) else given
        told_by = self._told_by
        if told_by and any(name in told_by for name, _ in scope["headers"]):
            return Deadline.from_headers(scope["headers"], [name.decode() for name in told_by])
        return None

    async def _needed(self, scope: Scope, root: str) -> Any:
        """The names of what the call depends on."""
        dependencies = self._dependencies
        if dependencies.__class__ is tuple:
            return dependencies
        if isinstance(dependencies, ByRoute):
            return dependencies.of(scope, (), root)
        given = dependencies(scope)
        return await given if inspect.isawaitable(given) else given

    async def _partition_of(self, scope: Scope, root: str) -> Any:
        partition = self._partition
        if isinstance(partition, ByRoute):
            return partition.of(scope, None, root)
        return await partition_of(partition, scope)

    def __repr__(self) -> str:
        return f"Gated({self.gate!r})"


def admitted_by(scope: Scope, gate: Gate | str | None) -> Admission | None:
    """The admission of a request by this gate, or the one of that name; None: the innermost of all."""
    for admission in reversed(scope.get(ADMISSIONS) or ()):
        if gate is None or admission.gate is gate or admission.gate.name == gate:
            found: Admission = admission
            return found
    return None


def not_asked(gate: Gate | str | None) -> str:
    """What an error says of a request that has no admission."""
    name = "gate" if gate is None else f"gate {(gate if isinstance(gate, str) else gate.name)!r}"
    return (
        f"no {name} was asked for this request: put TidegateMiddleware(app, gate=…) around the application; what it "
        "exempts or skips has no admission"
    )


def outcome_at_option(outcome_at: Any) -> bool:
    """Whether the answer's end is that of its body."""
    if outcome_at not in TIMES:
        raise ConfigError(f'outcome_at: expected "body" or "headers", got {outcome_at!r}')
    return bool(outcome_at == "body")


def _costs(given: Any, members: Sequence[Any]) -> Any:
    if not isinstance(given, Mapping):
        return check_cost(given, members)
    for route, cost in given.items():
        if callable(cost):
            raise TypeError(f"cost[{route!r}]: expected an int, got a function; give one function for all routes")
        check_cost(cost, members, f"cost[{route!r}]")
    return ByRoute("cost", given)


def _partitions(given: Any, limiter: ConcurrencyLimiter | None) -> Any:
    if not isinstance(given, Mapping):
        return partition_option(given, limiter)
    for route, name in given.items():
        if not isinstance(name, str):
            raise TypeError(f"partition[{route!r}]: expected the name of a partition, got {type(name).__name__}")
        partition_option(name, limiter)
    return ByRoute("partition", given)


def _dependencies(given: Any, gate: Gate) -> Any:
    known = gate.dependencies
    if callable(given):
        return function("dependencies", given)
    if isinstance(given, Mapping):
        for route, names in given.items():
            _names(f"dependencies[{route!r}]", names, known)
        return ByRoute("dependencies", {route: tuple(names) for route, names in given.items()})
    return _names("dependencies", given, known)


def _names(argument: str, given: Any, known: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f'{argument}: expected several names, such as ("payment",), got {type(given).__name__}')
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{argument}: expected names as texts, got one that is {type(name).__name__}")
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it was made without dependencies"
            raise ConfigError(f"{argument}: {name!r} is no dependency of this gate; {has}")
    return names


def _deadline(given: Any) -> tuple[Any, frozenset[bytes]]:
    """A function, and the names of headers where there is none."""
    if given is None:
        return None, frozenset()
    if callable(given):
        return function("deadline", given), frozenset()
    names = [given] if isinstance(given, str) else given
    if isinstance(names, bytes) or not isinstance(names, Iterable):
        raise TypeError(
            "deadline: expected the name of a header, several of them, or a function of the ASGI scope, got "
            f"{type(given).__name__}"
        )
    names = list(names)
    for name in names:
        check_name("deadline", name)
    return None, frozenset(name.lower().encode() for name in names)
