"""Which errors are worth another attempt, and what they tell about when."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

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

# Refused on this side, by what knows that another call makes no sense now.
_NEVER = (CircuitOpenError, ConfigError, RetryBudgetExceededError, ThrottledError)
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
_EXPECTED = "an exception class, a function of the exception, or a tuple or list of these"


def filter_of(name: str, value: Any) -> Filter:
    """A checked filter; TypeError for what is none."""
    if isinstance(value, (tuple, list)):
        return tuple(filter_of(name, one) for one in value)
    if isinstance(value, Classifier):
        return value
    if issubclass(value, BaseException) if isinstance(value, type) else callable(value):
        return value  # type: ignore[no-any-return]
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
    status = _status(error)
    if status is not None:
        return status == 429 or status >= 500
    return not isinstance(error, _MISTAKES)


def is_retried(chosen: Filter | None, error: Exception) -> bool:
    """Whether another attempt may follow."""
    # A future's CancelledError is an Exception in `concurrent.futures`, which need not be imported for this.
    if isinstance(error, _NEVER) or type(error).__name__ == "CancelledError":
        return False
    # A TypeError of the call itself, from no frame but ours: wrong arguments.
    traceback = error.__traceback__
    if isinstance(error, TypeError) and (traceback is None or traceback.tb_next is None):
        return False
    return is_transient(error) if chosen is None else matches("retry_on", chosen, error)


def _status(error: Exception) -> int | None:
    """The HTTP status of an error of httpx, requests, aiohttp, urllib and their like."""
    for owner in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            status = getattr(owner, name, None)
            if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
                return status
    return None


def retry_after(error: Exception) -> float | None:
    """Seconds until the server, or another part of this program, wants the next call; None where it says nothing."""
    own = getattr(error, "retry_after", None)
    if isinstance(own, timedelta):
        own = own.total_seconds()
    if isinstance(own, (int, float)) and not isinstance(own, bool):
        return None if math.isnan(own) else max(0.0, float(min(own, 1e12)))
    for owner in (error, getattr(error, "response", None)):
        headers = getattr(owner, "headers", None)
        if isinstance(headers, Mapping) or hasattr(headers, "get"):
            told = _told(headers)
            if told is not None:
                return told
    return None


def _told(headers: Any) -> float | None:
    """Retry-After-Ms or Retry-After (seconds, HTTP-date); None where there is none, or nonsense in it."""
    try:
        for name, unit in (("Retry-After-Ms", 1e-3), ("Retry-After", 1.0)):
            # A dict of one's own may have it in small letters only.
            value = headers.get(name) or headers.get(name.lower())
            if value is None:
                continue
            seconds = _number(value)
            if seconds is not None:
                return seconds * unit
            if unit == 1.0:
                return _until(value)
    except Exception:
        # Whatever a headers object does: it tells nothing.
        return None
    return None


def _number(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(seconds) or seconds < 0 else min(seconds, 1e12)


def _until(value: Any) -> float | None:
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, date.timestamp() - time.time())
