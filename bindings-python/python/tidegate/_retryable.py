"""Which errors are worth another attempt, and what they tell about when."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from ._classify import CancelledError, answer_of, failed, told
from ._functions import function
from ._tidegate import Classifier
from .errors import (
    CircuitOpenError,
    ConfigError,
    RetryBudgetExceededError,
    ThrottledError,
    TidegateError,
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


def matches(name: str, chosen: Filter, error: Exception) -> bool:
    """Whether a filter names this error. What a predicate raises is raised."""
    if isinstance(chosen, tuple):
        return any(matches(name, one, error) for one in chosen)
    if isinstance(chosen, type):
        return isinstance(error, chosen)
    if isinstance(chosen, Classifier):
        # Whatever a breaker by the same classifier counts as a failure of the call.
        return chosen.error(error)[0] in ("failure", "unreached")
    answer = chosen(error)
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError(f"{name}: a function of the exception cannot be async")
    return bool(answer)


def is_transient(error: Exception) -> bool:
    """Whether the dependency failed: what is retried unless ``retry_on`` says otherwise.

    An HTTP status of 429 or from 500 on, a timeout, a lost connection, and what is not known; not another status, not
    tidegate's own refusals, not what a program's mistake looks like.
    """
    if isinstance(error, TidegateError):
        return False
    answer = _answer(error)
    if answer is not None:
        return failed(answer)
    return not isinstance(error, _MISTAKES)


def is_retried(chosen: Filter | None, error: Exception) -> bool:
    """Whether another attempt may follow."""
    if isinstance(error, _NEVER):
        return False
    # A TypeError of the call itself, from no frame but ours: wrong arguments.
    traceback = error.__traceback__
    if isinstance(error, TypeError) and (traceback is None or traceback.tb_next is None):
        return False
    return is_transient(error) if chosen is None else matches("retry_on", chosen, error)


def _answer(error: Exception) -> tuple[int, Any] | None:
    """The HTTP status, and the object that has it, for errors of httpx, requests, aiohttp, urllib and their like."""
    return answer_of(error, ("status_code", "status", "code"))


def retry_after(error: Exception, most: float, now: float | None = None) -> float | None:
    """Seconds, at most ``most``, until the server, or another part of this program, wants the next call.

    None where it says nothing, or nonsense. ``now`` is the time of day in seconds, for tests.
    """
    try:
        own = getattr(error, "retry_after", None)
        if isinstance(own, timedelta):
            own = own.total_seconds()
        if isinstance(own, (int, float)) and not isinstance(own, bool):
            return None if math.isnan(own) else float(max(0.0, min(own, most)))
        answer = _answer(error)
        return None if answer is None else told(answer, most, now)
    except Exception:
        # Whatever a property or a headers object does: it tells nothing.
        return None
