"""The parts of a Gate that wait or wrap: calls, and what the end of a call says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from ._classify import is_answered, status_raised
from ._deadline import Deadline
from ._fallback import Fallback
from ._functions import not_async, refuse_lazy
from ._outcome import is_cancelled, is_dropped
from ._retryable import members
from ._tidegate import outcome_of_status
from .errors import (
    AccessDeniedError,
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueFullError,
    RateLimitedError,
    TidegateError,
    TimeoutExceededError,
    not_begun,
)

if TYPE_CHECKING:
    from ._tidegate import Admission, Gate, _GateOutcome, _Priority


class Told(NamedTuple):
    """What the file of a policy says of a gate for those who stand before it."""

    #: What its limits count by, by their names.
    keys: Mapping[str, str]
    #: What calls are worth by route; None: the file does not say.
    priority: Mapping[str, _Priority] | None


class Written:
    """What a policy says of a gate now: a reload puts another in its place, so who has read it can tell."""

    __slots__ = ("told",)

    def __init__(self, told: Told) -> None:
        self.told = told


# Of the gates of policies.
WRITTEN: WeakKeyDictionary[Gate, Written] = WeakKeyDictionary()

_ERRORS: dict[str, type[Any]] = {
    "access": AccessDeniedError,
    "shedder": OverloadedError,
    "queue": QueueFullError,
    "concurrency": ConcurrencyLimitError,
}


def refusal(admission: Admission) -> TidegateError:
    """The error of the part that refused."""
    retry_after = admission.retry_after
    circuit = admission._circuit()
    if circuit is not None:
        return CircuitOpenError(admission.denied_by or circuit.name, retry_after, circuit.stats().last_trip)
    text = admission._subject()
    if admission.kind == "limit":
        return RateLimitedError(text, retry_after, admission.denied_by)
    if admission.kind == "deadline":
        return not_begun(TimeoutExceededError(text, retry_after))
    error: TidegateError = _ERRORS[admission.kind or "access"](text, retry_after)
    return error


def outcome_of(error: BaseException) -> _GateOutcome:
    """What a call that raised says: a refusal, a timeout and the answer of one are drops; what a framework makes an
    answer of is that answer, and other errors that are the client's alone say nothing. Of a group the worst counts.
    """
    errors = members(error)
    if any(map(is_dropped, errors)):
        return "dropped"
    said = set(map(_outcome_of_one, errors))
    return "failure" if "failure" in said else "cancelled" if "cancelled" in said else "success"


def _outcome_of_one(error: BaseException) -> _GateOutcome:
    if not isinstance(error, Exception) or is_cancelled(error):
        return "cancelled"
    status = status_raised(error)
    if status is not None:
        return outcome_of_status(status)
    return "cancelled" if is_answered(error) else "failure"


def left(deadline: Any) -> Any:
    """The seconds that are left; anything but a Deadline as it is."""
    return deadline.remaining() if isinstance(deadline, Deadline) else deadline


def call(
    gate: Gate,
    function: Callable[[Admission], Any],
    args: tuple[Any, ...],
    fallback: Any,
    kwargs: dict[str, Any] | None,
) -> Any:
    """Gate.call."""
    asked = kwargs or {}

    def run() -> Any:
        with gate.enter(*args, **asked) as admission:
            result = function(admission)
            refuse_lazy(result)
            return result

    return run() if fallback is None else _standing_in(fallback).call(run).value


async def call_async(
    gate: Gate,
    function: Callable[[Admission], Any],
    args: tuple[Any, ...],
    fallback: Any,
    kwargs: dict[str, Any] | None,
) -> Any:
    """Gate.call_async."""
    asked = kwargs or {}

    async def run() -> Any:
        with gate.enter(*args, **asked) as admission:
            made = function(admission)
            if not hasattr(made, "__await__"):
                raise not_async(made, "gate.call(…)")
            return await made

    return await run() if fallback is None else (await _standing_in(fallback).call_async(run)).value


def _standing_in(fallback: Any) -> Fallback:
    return fallback if isinstance(fallback, Fallback) else Fallback(static=fallback)


async def enter_admission(admission: Admission) -> Admission:
    """Admission.__aenter__."""
    return admission


async def exit_admission(admission: Admission, error: BaseException | None) -> None:
    """Admission.__aexit__."""
    admission.__exit__(None if error is None else type(error), error, None)
