"""Fixtures, and one rule: a test that needs time moves a ManualClock or waits for a condition."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from tidegate import ManualClock

# Far more than any wait here needs, so that only a hang reaches it.
PATIENCE = 30.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5_000_000_000_000)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine in a loop of its own, and fails instead of hanging."""

    async def guarded() -> Any:
        return await asyncio.wait_for(coroutine, PATIENCE)

    return asyncio.run(guarded())


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.001)


class Thread(threading.Thread):
    """A thread whose exception and result are not lost."""

    def __init__(self, target: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = target
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error

    def finish(self) -> Any:
        self.join(PATIENCE)
        assert not self.is_alive(), "the thread hangs"
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own answer to SIGINT, which a test run started in the background would ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
