"""Objects with a lock of Python's, which another thread may hold while this one forks."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _Renewed(Protocol):
    def after_fork(self) -> None:
        """In the child: the thread that would give the lock back is not there."""


_RENEWED: weakref.WeakSet[_Renewed] = weakref.WeakSet()


def renewed(made: _Renewed) -> None:
    """Calls ``after_fork`` in each child."""
    _RENEWED.add(made)


def _after_fork() -> None:
    for made in list(_RENEWED):
        made.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
