"""Which calls have paid into a retry budget: each once, however many policies and clients there are one in another."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._tidegate import RetryBudget


class Paid:
    """A call that pays into a budget, unless one around it has; in it nobody else does."""

    __slots__ = ("_around", "_budget", "_is_open")

    def __init__(self, budget: RetryBudget) -> None:
        self._budget, self._is_open = budget, True

    def is_open(self) -> bool:
        return self._is_open

    def __enter__(self) -> None:
        pay(self._budget)
        self._enter()

    def _enter(self) -> None:
        self._around = _open(_innermost.get())
        _innermost.set(self)

    def __exit__(self, *exc: object) -> None:
        # What goes on after it, such as a task that it started, is no part of it any more.
        self._is_open = False
        # A coroutine that nobody ends is closed in whatever context meets it, where another call may be under way.
        if _innermost.get() is self:
            _innermost.set(self._around)


class Attempt(Paid):
    """One attempt of a call whose loop is another's: the first pays in, and in none of them anybody else does."""

    __slots__ = ("_is_first", "_is_under_way")

    def __init__(self, budget: RetryBudget, is_first: bool, is_under_way: Callable[[], bool] | None = None) -> None:
        super().__init__(budget)
        self._is_first, self._is_under_way = is_first, is_under_way

    def is_open(self) -> bool:
        return self._is_open and (self._is_under_way is None or self._is_under_way())

    def __enter__(self) -> None:
        if self._is_first:
            pay(self._budget)
        self._enter()


_innermost: ContextVar[Paid | None] = ContextVar("tidegate.paid", default=None)


def _open(call: Paid | None) -> Paid | None:
    """The innermost that is not over, of those alike.

    A call that has what starts the next hands on its context: without this, each would keep all that were before.
    What is over stays so, so that threads may do this together.
    """
    while call is not None and not call.is_open():
        call = call._around
    within = call
    while within is not None:
        around = within._around
        while around is not None and not around.is_open():
            around = around._around
        within._around = around
        within = around
    return call


def pay(budget: RetryBudget) -> None:
    """Pays in for a call, unless one around it has."""
    call = _innermost.get()
    while call is not None:
        if call.is_open() and call._budget is budget:
            return
        call = call._around
    budget.deposit()
