"""Fixtures, and one rule: a test that needs time moves a ManualClock or waits for a condition."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tidegate import ManualClock

# Far more than any wait here needs, so that only a hang reaches it.
PATIENCE = 30.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5_000_000_000_000)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that the test runs by hand, and may close."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


@pytest.fixture(autouse=True, scope="session")
def loops_are_known() -> Iterator[None]:
    made = asyncio.BaseEventLoop.__init__

    def init(self: asyncio.BaseEventLoop) -> None:
        made(self)
        _loops.add(self)

    asyncio.BaseEventLoop.__init__ = init  # type: ignore[method-assign]
    yield
    asyncio.BaseEventLoop.__init__ = made  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def loops_are_closed(loops_are_known: None) -> Iterator[None]:
    """A loop that is left open is collected in some later test, which would fail for it."""
    yield
    end = time.monotonic() + 5
    while left := [loop for loop in list(_loops) if not loop.is_closed() and not loop.is_running()]:
        # A thread may be about to run or to close its own.
        if time.monotonic() > end:
            for loop in left:
                loop.close()
            pytest.fail("the test left event loops open")
        time.sleep(0.001)


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


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The scope of an arena that only this test, and the processes that it starts, know."""
    monkeypatch.setenv("TIDEGATE_DIR", str(tmp_path))
    return f"host:{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def kafka() -> Iterator[Any]:
    """A real broker, for all tests that need one."""
    from brokers import start_broker

    yield from start_broker()


class Script:
    """Another process that runs Python lines one after the other: ``ask`` evaluates an expression there.

    It has imported all of tidegate, and the names it was given.
    """

    def __init__(self, **names: Any) -> None:
        lines = "import os, sys, time\nfrom tidegate import *\n"
        lines += "".join(f"{name} = {value!r}\n" for name, value in names.items())
        lines += (
            "for line in sys.stdin:\n"
            "    kind, code = line[0], eval(line[1:])\n"
            "    if kind == '!': exec(code)\n"
            "    else: print(repr(eval(code)), flush=True)\n"
        )
        command = [sys.executable, "-W", "error", "-c", lines]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, code: str) -> None:
        """Runs statements, without waiting for their end."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"!{textwrap.dedent(code)!r}\n")
        self.process.stdin.flush()

    def send(self, expression: str) -> None:
        """Asks, and leaves the answer to ``answer``."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"?{expression!r}\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait(PATIENCE)}"
        return eval(line, {"inf": float("inf")})

    def ask(self, expression: str) -> Any:
        self.send(expression)
        return self.answer()

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
