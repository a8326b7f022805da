"""Which calls have paid into a retry budget: each once, however many policies and clients there are one in another."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._tidegate import RetryBudget


class Paid:
    """A call that pays into a budget, unless one around it has; in it nobody else does."""

    __slots__ = ("_around", "_budget", "_is_open")

    def __init__(self, budget: RetryBudget) -> None:
        self._budget, self._is_open = budget, True

    def __enter__(self) -> None:
        self._around = _innermost.get()
        pay(self._budget)
        _innermost.set(self)

    def __exit__(self, *exc: object) -> None:
        # What goes on after it, such as a task that it started, is no part of it any more.
        self._is_open = False
        _innermost.set(self._around)


_innermost: ContextVar[Paid | None] = ContextVar("tidegate.paid", default=None)


def pay(budget: RetryBudget) -> None:
    """Pays in for a call, unless one around it has."""
    call = _innermost.get()
    while call is not None:
        if call._is_open and call._budget is budget:
            return
        call = call._around
    budget.deposit()
