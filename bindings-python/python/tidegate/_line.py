"""Tasks that wait for the same tokens stand in a line: the first of them asks the limit, the others are woken one by
one.

If all of them asked, each would wake for each token, and the loop would be late for the tokens themselves.
Who comes while there is a token takes it, and stands in no line.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

# The lines of each event loop; one that is empty is not here. Only tasks of the loop itself touch it.
_lines: dict[tuple[Any, Hashable], deque[asyncio.Future[None]]] = {}


class Line:
    """A task's place in the line for ``tokens``."""

    __slots__ = ("_at", "_is_first")

    def __init__(self, tokens: Hashable) -> None:
        import asyncio

        self._at = (asyncio.get_running_loop(), tokens)
        self._is_first = False

    async def until_first(self, seconds: float | None) -> None:
        """Waits until those before have what they came for, or the time is up."""
        line = _lines.get(self._at)
        if line is None:
            _lines[self._at] = deque()
            self._is_first = True
            return
        import asyncio

        woken: asyncio.Future[None] = self._at[0].create_future()
        line.append(woken)
        try:
            # Leaves the future alone, whatever happens: whether it was woken is seen by it.
            await asyncio.wait((woken,), timeout=seconds)
        finally:
            self._is_first = woken.done()
            if not self._is_first and woken in line:
                line.remove(woken)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exc: object) -> None:
        """Leaves, and wakes the next if this one was the first."""
        if not self._is_first:
            return
        self._is_first = False
        line = _lines.get(self._at)
        while line:
            # A loop that was closed over its tasks wakes nobody: then the line ends here.
            with contextlib.suppress(RuntimeError):
                line.popleft().set_result(None)
                return
        _lines.pop(self._at, None)
