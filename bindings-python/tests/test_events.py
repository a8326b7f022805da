"""Listening to a breaker: told of everything in order, by one timer of each loop, which stands only while it must."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import tidegate._events as events_of
from conftest import PATIENCE, Thread, run
from tidegate import CircuitBreaker, ConfigError, Event, ManualClock


class Circuit(CircuitBreaker):
    """One that a failure opens."""

    def __new__(cls, name: str = "bank", clock: ManualClock | None = None) -> Circuit:
        return super().__new__(cls, name, consecutive_failures=1, cooldown=1, clock=clock)

    def fail(self) -> None:
        self.acquire().failure()


class Loop(asyncio.SelectorEventLoop):
    """Counts the timers of pollers."""

    def __init__(self) -> None:
        super().__init__()
        self.made = self.standing = 0

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        if isinstance(getattr(callback, "__self__", None), events_of._Poller):
            self.made += 1
            self.standing += 1
            return super().call_later(delay, self._fire, callback, context=context)
        return super().call_later(delay, callback, *args, context=context)

    def _fire(self, callback: Callable[[], object]) -> None:
        self.standing -= 1
        callback()


def run_in(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
    return loop.run_until_complete(asyncio.wait_for(coroutine, PATIENCE))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def some_ticks() -> None:
    """Long enough for every poller to have looked again."""
    await asyncio.sleep(3 * events_of.EVERY)


def test_a_listener_hears_what_is_new_in_order_until_it_is_closed(clock: ManualClock) -> None:
    async def main() -> None:
        breaker = Circuit(clock=clock)
        breaker.force_open()
        breaker.reset()
        heard: list[Event] = []
        opened: list[int] = []
        listening = breaker.on_event(heard.append)
        with breaker.on_event(lambda event: opened.append(event.seq), kinds="opened"):
            breaker.fail()
            clock.advance(1)
            breaker.acquire().success()
            await until(lambda: len(heard) == 4 and len(opened) == 1)
        assert [event.kind for event in heard] == ["opened", "half_opened", "probe_succeeded", "closed"]
        assert heard == breaker.events(2) and heard[0].trip is not None
        listening.close()
        listening.close()
        breaker.fail()
        await some_ticks()
        assert (len(heard), opened) == (4, [2]) and breaker._listeners == []

    run(main())


def test_one_timer_serves_all_breakers_and_ends_with_the_last() -> None:
    loop = Loop()

    async def main() -> None:
        breakers = [Circuit(str(at)) for at in range(20)]
        heard: list[str] = []
        listening = [breaker.on_event(lambda event: heard.append(event.kind)) for breaker in breakers * 2]
        streams = [asyncio.create_task(anext(breaker.events_async())) for breaker in breakers]
        await asyncio.sleep(0)
        assert (loop.made, loop.standing) == (1, 1)
        for breaker in breakers:
            breaker.fail()
        assert [event.kind for event in await asyncio.gather(*streams)] == ["opened"] * 20
        await until(lambda: len(heard) == 40)
        assert loop.standing == 1
        for one in listening:
            one.close()
        await until(lambda: loop.standing == 0)
        made = loop.made
        await some_ticks()
        assert loop.made == made, "nobody listens"
        breakers[0].on_event(heard.append)
        assert loop.standing == 1

    run_in(loop, main())
    loop.close()


def test_a_stream_gives_what_comes_and_what_was(clock: ManualClock) -> None:
    async def main() -> None:
        breaker = Circuit(clock=clock)
        breaker.force_open()
        stream = breaker.events_async()
        breaker.reset()
        breaker.fail()
        assert [(await anext(stream)).kind for _ in range(2)] == ["closed", "opened"]
        waiting = asyncio.create_task(anext(stream))
        await some_ticks()
        assert not waiting.done()
        breaker.disable()
        assert (await waiting).kind == "disabled"
        assert [(await anext(breaker.events_async(since=1))).seq, (await anext(breaker.events_async(0))).seq] == [1, 0]

    run(main())


def test_a_stream_ends_when_it_is_closed_and_a_task_when_it_is_cancelled() -> None:
    async def main() -> None:
        breaker, heard = Circuit(), []
        stream = breaker.events_async()

        async def follow() -> None:
            async for event in stream:
                heard.append(event.kind)

        tasks = [asyncio.create_task(follow()) for _ in range(2)]
        breaker.fail()
        await until(lambda: bool(heard))
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert tasks[1].cancelled()
        breaker.reset()
        await until(lambda: len(heard) == 2)
        await stream.aclose()
        await tasks[0]
        breaker.fail()
        assert [event async for event in stream] == [] and heard == ["opened", "closed"]

    run(main())


def test_a_stream_ends_with_its_breaker() -> None:
    async def main() -> None:
        breaker: Circuit | None = Circuit()
        assert breaker is not None
        stream = breaker.events_async()

        async def follow() -> list[Event]:
            return [event async for event in stream]

        task = asyncio.create_task(follow())
        await asyncio.sleep(0)
        breaker = None
        gc.collect()
        assert await task == []
        assert [event async for event in Circuit().events_async()] == []

    run(main())


def test_listeners_that_name_their_breaker_go_with_it() -> None:
    async def main() -> None:
        gone = []

        def listened() -> None:
            breaker = Circuit()
            breaker.on_event(lambda event: breaker.state)
            gone.append(weakref.ref(breaker))

        for _ in range(50):
            listened()
        await some_ticks()
        gc.collect()
        assert [ref() for ref in gone] == [None] * 50
        await some_ticks()
        assert not events_of._poller(asyncio.get_running_loop())._watchers

    run(main())


def test_what_a_listener_raises_is_logged_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        breaker, heard = Circuit(), []

        def raises(event: Event) -> None:
            raise OSError("no pager")

        async def raises_later(event: Event) -> None:
            await asyncio.sleep(0)
            raise OSError("no mail")

        async def hears(event: Event) -> None:
            await asyncio.sleep(0)
            heard.append(event.kind)

        for listener in (raises, raises_later, hears):
            breaker.on_event(listener)
        breaker.fail()
        await until(lambda: len(heard) == 1 and len(caplog.records) == 2)
        breaker.reset()
        await until(lambda: len(heard) == 2 and len(caplog.records) == 4)
        assert breaker.state == "closed"

    run(main())
    assert {record.getMessage() for record in caplog.records} == {
        "a listener of 'opened' failed",
        "a listener of 'closed' failed",
    }
    assert {str(record.exc_info[1]) for record in caplog.records if record.exc_info} == {"no pager", "no mail"}


def test_an_interrupt_in_a_listener_ends_the_run_and_not_the_listening() -> None:
    loop, breaker, heard = Loop(), Circuit(), []

    def interrupted(event: Event) -> None:
        heard.append(event.kind)
        if event.kind == "opened":
            raise KeyboardInterrupt

    breaker.on_event(interrupted, loop=loop)
    breaker.fail()
    with pytest.raises(KeyboardInterrupt):
        run_in(loop, asyncio.sleep(PATIENCE / 2))
    breaker.reset()
    run_in(loop, until(lambda: heard == ["opened", "closed"]))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    run_in(loop, asyncio.sleep(0))
    loop.close()


def test_listeners_may_come_and_go_while_they_are_told() -> None:
    async def main() -> None:
        breaker, heard = Circuit(), []

        def first(event: Event) -> None:
            heard.append("first")
            second.close()
            breaker.on_event(lambda event: heard.append("new"))

        breaker.on_event(first)
        second = breaker.on_event(lambda event: heard.append("second"))
        breaker.fail()
        await until(lambda: bool(heard))
        await some_ticks()
        assert heard == ["first"]
        breaker.reset()
        await until(lambda: len(heard) == 3)
        assert heard == ["first", "first", "new"] or heard == ["first", "new", "first"]

    run(main())


def test_listeners_are_called_in_the_context_in_which_they_came() -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")

    async def main() -> None:
        breaker, seen = Circuit(), []

        def listen(name: str | None) -> None:
            if name:
                request.set(name)
            breaker.on_event(lambda event: seen.append(request.get()))

        async def later(event: Event) -> None:
            seen.append(f"later {request.get()}")

        contextvars.copy_context().run(listen, "request 1")
        listen(None)
        context = contextvars.copy_context()
        context.run(request.set, "request 2")
        context.run(breaker.on_event, later)
        breaker.fail()
        await until(lambda: len(seen) == 3)
        assert sorted(seen) == ["later request 2", "none", "request 1"]

    run(main())


def test_a_logger_gets_a_line_for_each(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        breaker = Circuit(clock=clock)
        breaker.on_event(logger=logging.getLogger("shop.circuits"))
        breaker.on_event(kinds=["closed"], logger=logging.LoggerAdapter(logging.getLogger("shop.closed"), {}))
        breaker.fail()
        clock.advance(1)
        breaker.acquire().success()
        await until(lambda: len(caplog.records) == 5)

    with caplog.at_level(logging.DEBUG, "shop"):
        run(main())
    lines = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert sorted(lines, key=lambda line: line[0] == "shop.closed") == [
        ("shop.circuits", "WARNING", "circuit 'bank': opened (of 1 calls 1 failed, 0 slow)"),
        ("shop.circuits", "INFO", "circuit 'bank': half_opened"),
        ("shop.circuits", "DEBUG", "circuit 'bank': probe_succeeded"),
        ("shop.circuits", "INFO", "circuit 'bank': closed"),
        ("shop.closed", "INFO", "circuit 'bank': closed"),
    ]


def test_a_loop_of_another_thread_tells_its_own(loop: asyncio.AbstractEventLoop) -> None:
    breaker, heard, threads = Circuit(), [], set()

    def listener(event: Event) -> None:
        threads.add(threading.get_ident())
        heard.append(event.kind)

    # Before it runs, and while it runs.
    breaker.on_event(listener, loop=loop)
    thread = Thread(loop.run_forever)
    breaker.on_event(listener, loop=loop)
    breaker.fail()
    end = time.monotonic() + PATIENCE
    while len(heard) < 2:
        assert time.monotonic() < end
        time.sleep(0.001)
    assert heard == ["opened", "opened"] and threads == {thread.ident}
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()
    # Nobody hears any more; who listens next takes those away whose loop is closed.
    breaker.reset()
    assert len(breaker._listeners) == 2

    async def next_loop() -> None:
        more: list[str] = []
        breaker.on_event(lambda event: more.append(event.kind))
        assert len(breaker._listeners) == 1
        breaker.fail()
        await until(lambda: more == ["opened"])

    run(next_loop())
    assert heard == ["opened", "opened"]


def test_a_loop_is_not_kept_by_who_listened_in_it() -> None:
    breaker = Circuit()
    loop = asyncio.new_event_loop()
    gone = weakref.ref(loop)

    async def main() -> None:
        breaker.on_event(lambda event: None)
        stream = asyncio.create_task(anext(breaker.events_async()))
        await asyncio.sleep(0)
        stream.cancel()

    with contextlib.closing(loop):
        loop.run_until_complete(main())
    del loop
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_hears_in_a_loop_of_its_own() -> None:
    breaker, heard = Circuit(), []

    async def child() -> bool:
        mine: list[str] = []
        breaker.on_event(lambda event: mine.append(event.kind))
        stream = breaker.events_async()
        breaker.fail()
        kind = (await anext(stream)).kind
        await until(lambda: bool(mine))
        return (kind, mine, heard) == ("opened", ["opened"], [])

    async def main() -> None:
        breaker.on_event(lambda event: heard.append(event.kind))
        pid = await asyncio.to_thread(fork)
        assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1]) == 0
        await some_ticks()
        assert heard == [], "the child's breaker is a copy"
        breaker.fail()
        await until(lambda: heard == ["opened"])

    def fork() -> int:
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if run(child()) else 1)
            finally:
                os._exit(2)
        return pid

    run(main())


def test_listeners_are_called_by_no_thread_of_ours() -> None:
    async def main() -> None:
        before = threading.active_count()
        breaker, threads = Circuit(), []
        breaker.on_event(lambda event: threads.append(threading.get_ident()))
        breaker.fail()
        assert threads == [], "never under the decision"
        await until(lambda: bool(threads))
        assert threads == [threading.get_ident()] and threading.active_count() == before

    run(main())


def test_wrong_arguments() -> None:
    breaker = Circuit()
    with pytest.raises(RuntimeError, match=r"on_event: no event loop runs here.*loop="):
        breaker.on_event(print)
    closed = asyncio.new_event_loop()
    closed.close()
    with pytest.raises(RuntimeError, match=r"loop: it is closed"):
        breaker.on_event(print, loop=closed)

    async def main() -> None:
        with pytest.raises(TypeError, match=r"on_event\(\) needs a callback or logger="):
            breaker.on_event()
        with pytest.raises(TypeError, match=r"callback: expected a function of an event, got str"):
            breaker.on_event("opened")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"logger: expected a logging.Logger, got str"):
            breaker.on_event(logger="shop")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"loop: expected an event loop of asyncio, got int"):
            breaker.on_event(print, loop=1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"kinds: expected a kind of event, or several, got int"):
            breaker.on_event(print, kinds=1)  # type: ignore[arg-type]
        for kinds in ("open", ["opened", "open"], [1]):
            with pytest.raises(ConfigError, match=r"kinds: expected some of closed, opened.*; got ('open'|1)"):
                breaker.on_event(print, kinds=kinds)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"kinds: expected at least one"):
            breaker.on_event(print, kinds=())
        with pytest.raises((TypeError, OverflowError)):
            breaker.events_async(since=-1)
        assert breaker._listeners == []

    run(main())
