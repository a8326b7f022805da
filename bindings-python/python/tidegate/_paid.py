"""Which calls have paid into a retry budget: each once, however many policies and clients there are one in another.

A call is a list, which is made and read more quickly than anything else: its budget, the call around it, and whether it
is under way (or a function that says so).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._tidegate import RetryBudget

_Call = list[Any]
BUDGET, AROUND, UNDER_WAY = 0, 1, 2

_innermost: ContextVar[_Call | None] = ContextVar("tidegate.paid", default=None)


def begin(budget: RetryBudget, pays: bool = True, is_under_way: bool | Callable[[], bool] = True) -> _Call:
    """A call that pays into a budget, unless one around it has; until its ``end`` nobody else in it does."""
    around = _innermost.get()
    if around is not None:
        around = _open(around)
        if pays:
            pay(budget)
    elif pays:
        budget.deposit()
    call = [budget, around, is_under_way]
    _innermost.set(call)
    return call


def end(call: _Call) -> None:
    # What goes on after it, such as a task that it started, is no part of it any more.
    call[2] = False
    # A coroutine that nobody ends is closed in whatever context meets it, where another call may be under way.
    if _innermost.get() is call:
        _innermost.set(call[1])


class Attempt:
    """One attempt of a call whose loop is another's: the first pays in, and in none of them anybody else does."""

    __slots__ = ("_budget", "_call", "_is_first")

    def __init__(self, budget: RetryBudget, is_first: bool) -> None:
        self._budget, self._is_first = budget, is_first

    def __enter__(self) -> None:
        self._call = begin(self._budget, self._is_first)

    def __exit__(self, *exc: object) -> None:
        end(self._call)


def _is_open(call: _Call) -> bool:
    under_way = call[UNDER_WAY]
    return under_way if isinstance(under_way, bool) else bool(under_way())


def _open(call: _Call | None) -> _Call | None:
    """The innermost that is not over, of those alike.

    A call that has what starts the next hands on its context: without this, each would keep all that were before.
    What is over stays so, so that threads may do this together.
    """
    while call is not None and not _is_open(call):
        call = call[AROUND]
    within = call
    while within is not None:
        around = within[AROUND]
        while around is not None and not _is_open(around):
            around = around[AROUND]
        within[AROUND] = around
        within = around
    return call


def pay(budget: RetryBudget) -> None:
    """Pays in for a call, unless one around it has."""
    call = _innermost.get()
    while call is not None:
        if call[BUDGET] is budget and _is_open(call):
            return
        call = call[AROUND]
    budget.deposit()
