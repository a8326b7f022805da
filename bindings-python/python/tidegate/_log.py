"""What the package logs: each text once."""

from __future__ import annotations

import logging
import sys

log = logging.getLogger("tidegate")

_said: dict[str, object] = {}


def say(about: str, text: str, *args: object, stack_info: bool = False) -> None:
    """Logs a warning, unless it was said ``about`` the same before."""
    # No lock, which a child of fork might find taken: `setdefault` is one step.
    mine = object()
    if _said.setdefault(about, mine) is mine:
        log.warning(text, *args, stack_info=stack_info)


def blocks() -> None:
    """A thread is about to wait. If it is one that runs an event loop, all tasks of the loop wait as well, perhaps
    those that it waits for among them.
    """
    # Not imported for this: where a loop runs, it is there.
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    if running is not None and running() is not None:
        text = (
            "a waiting call without `_async` blocks the event loop, and with it every task, perhaps the one that would "
            "end the wait; write `await ….acquire_async(…)` (`push_async`, `pop_async`). It was called here:"
        )
        say("blocks", text, stack_info=True)
