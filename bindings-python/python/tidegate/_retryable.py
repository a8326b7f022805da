"""Which errors are worth another attempt, and what they tell about when."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from ._classify import CancelledError, answer_of, failed, is_answered, is_mistaken, told
from ._functions import close_unawaited, function
from ._tidegate import Classifier
from .errors import (
    CircuitOpenError,
    ConfigError,
    RetryBudgetExceededError,
    ThrottledError,
    TidegateError,
    TimeoutExceededError,
)

# A class, a function of the exception, a classifier, or a tuple of these.
Filter: TypeAlias = type[BaseException] | Callable[[Exception], object] | Classifier | tuple[Any, ...]

# Refused on this side, by what knows that another call makes no sense now; and a cancelled future.
_NEVER = (CancelledError, CircuitOpenError, ConfigError, RetryBudgetExceededError, ThrottledError)
# The same call will fail again: a mistake of the program, not of the moment.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
)
# Python 3.10 has none of its own, but a package that anyio brings.
_GROUPS: Any = builtins
if not hasattr(builtins, "BaseExceptionGroup"):
    with contextlib.suppress(ImportError):
        _GROUPS = importlib.import_module("exceptiongroup")
_GROUP: Any = getattr(_GROUPS, "BaseExceptionGroup", None)
EXCEPTION_GROUP: Any = getattr(_GROUPS, "ExceptionGroup", None)
# What a Classifier says, and by which of it a call has failed.
Verdict: TypeAlias = tuple[str, float | None]
_FAILED = ("failure", "unreached")
_EXPECTED = "an exception class, a function of the exception, a Classifier, or a tuple or list of these"


def filter_of(name: str, value: Any) -> Filter:
    """A checked filter; TypeError for what is none."""
    if isinstance(value, (tuple, list)):
        return tuple(filter_of(name, one) for one in value)
    if isinstance(value, Classifier):
        return value
    if not isinstance(value, type) and callable(value):
        return function(name, value, "the exception")  # type: ignore[no-any-return]
    if isinstance(value, type) and issubclass(value, BaseException):
        return value
    found = value.__name__ if isinstance(value, type) else type(value).__name__
    raise TypeError(f"{name}: expected {_EXPECTED}, got {found}")


def matches(name: str, chosen: Filter, error: Exception) -> bool | Verdict:
    """Whether a filter names this error, by a Classifier what that said of it. What a predicate raises is raised.

    A group that it does not name is named where all of its members are.
    """
    verdict = _matches(name, chosen, error)
    if verdict or not is_group(error):
        return verdict
    return all(_matches(name, chosen, one) for one in members(error))


def _matches(name: str, chosen: Filter, error: BaseException) -> bool | Verdict:
    if isinstance(chosen, tuple):
        for one in chosen:
            if verdict := _matches(name, one, error):
                return verdict
        return False
    if isinstance(chosen, type):
        return isinstance(error, chosen)
    if isinstance(chosen, Classifier):
        # Whatever a breaker by the same classifier counts as a failure of the call.
        verdict = chosen.error(error)
        return verdict[0] in _FAILED and verdict
    answer = chosen(error)  # type: ignore[arg-type]
    if close_unawaited(answer):
        raise TypeError(f"{name}: a function of the exception cannot be async")
    return bool(answer)


def readers_of(chosen: Filter | None) -> tuple[Classifier, ...]:
    """The classifiers of a filter, which judge results as well."""
    if isinstance(chosen, tuple):
        return tuple(reader for one in chosen for reader in readers_of(one))
    return (chosen,) if isinstance(chosen, Classifier) else ()


def failed_result(readers: tuple[Classifier, ...], result: object) -> Verdict | None:
    """What the first classifier says that counts this result as a failure."""
    for reader in readers:
        verdict = reader.result(result)
        if verdict[0] in _FAILED:
            return verdict
    return None


def abandon(result: object) -> None:
    """Closes an answer that nobody gets, since another attempt follows: what is not read holds its connection."""
    if answer_of(result) is not None:
        with contextlib.suppress(Exception):
            closing = result.close()  # type: ignore[attr-defined]
            close_unawaited(closing)


async def abandon_async(result: object) -> None:
    """As ``abandon``, by the ``aclose`` of httpx where there is one: its ``close`` is for threads alone."""
    if not callable(getattr(result, "aclose", None)):
        abandon(result)
    elif answer_of(result) is not None:
        with contextlib.suppress(Exception):
            await result.aclose()  # type: ignore[attr-defined]


def is_group(error: BaseException) -> bool:
    """Whether it stands for several."""
    return _GROUP is not None and isinstance(error, _GROUP)


def members(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group and of the groups in it, in no order; of what is no group, itself alone."""
    if not is_group(error):
        return (error,)
    found: list[BaseException] = []
    groups: list[Any] = [error]
    while groups:
        for one in groups.pop().exceptions:
            (groups if isinstance(one, _GROUP) else found).append(one)
    return tuple(found)


def is_own(error: BaseException) -> bool:
    """Of this package, and no word on what was called: all but a timeout that ended a call which was under way.

    A group is that where all of its members are.
    """
    return all(map(_is_own, members(error)))


def _is_own(error: BaseException) -> bool:
    return isinstance(error, TidegateError) and not (isinstance(error, TimeoutExceededError) and error._begun)


def is_transient(error: BaseException) -> bool:
    """Whether the dependency failed: what is retried unless ``retry_on`` says otherwise.

    An HTTP status of 429 or from 500 on, a timeout, a lost connection, and what is not known; not another status, not
    an answer to this program's own client, not tidegate's own refusals, not what a program's mistake looks like. A
    group is, where all of its members are: what the others fail by will come again.
    """
    return all(map(_is_transient, members(error)))


def _is_transient(error: BaseException) -> bool:
    if _is_own(error) or is_mistaken(error) or is_answered(error):
        return False
    answer = answer_of(error)
    if answer is not None:
        return failed(answer)
    return not isinstance(error, _MISTAKES)


def is_retried(chosen: Filter | None, error: Exception) -> bool | Verdict:
    """Whether another attempt may follow. One member of a group that forbids it is enough."""
    if any(isinstance(one, _NEVER) or is_wrong_call(one) for one in members(error)):
        return False
    return is_transient(error) if chosen is None else matches("retry_on", chosen, error)


def is_wrong_call(error: BaseException) -> bool:
    """A TypeError of the call itself, from no frame but this package's: wrong arguments."""
    if not isinstance(error, TypeError):
        return False
    traceback = error.__traceback__
    while traceback is not None:
        if not str(traceback.tb_frame.f_globals.get("__name__")).startswith("tidegate."):
            return False
        traceback = traceback.tb_next
    return True


def retry_after(error: object, most: float, now: float | None = None) -> float | None:
    """Seconds, at most ``most``, until the server, or another part of this program, wants the next call.

    None where it says nothing, or nonsense. ``now`` is the time of day in seconds, for tests.
    """
    if isinstance(error, BaseException):
        waits = [_retry_after(one, most, now) for one in members(error)]
        return max((wait for wait in waits if wait is not None), default=None)
    return _retry_after(error, most, now)


def _retry_after(error: object, most: float, now: float | None) -> float | None:
    try:
        own = getattr(error, "retry_after", None)
        if isinstance(own, timedelta):
            own = own.total_seconds()
        if isinstance(own, (int, float)) and not isinstance(own, bool):
            return None if math.isnan(own) else float(max(0.0, min(own, most)))
        answer = answer_of(error)
        return None if answer is None else told(answer, most, now)
    except Exception:
        # Whatever a property or a headers object does: it tells nothing.
        return None
