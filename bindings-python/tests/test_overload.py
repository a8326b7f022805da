"""Overload over HTTP: readiness, pages that stand in for a refusal, limits on concurrency of single routes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from conftest import Thread, run, wait_until
from fastapi import FastAPI, Response, WebSocket
from served import ask, served, statuses
from starlette.responses import HTMLResponse, PlainTextResponse
from tidegate import (
    BoundedQueue,
    ConcurrencyLimiter,
    ConfigError,
    Gate,
    LoadShedder,
    ManualClock,
    Signal,
    TokenBucket,
)
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.readiness import Readiness
from tidegate.wsgi import TidegateMiddleware as WSGIMiddleware


class Source:
    pressure: Any = 0.0


# Readiness


def test_not_ready_only_after_lasting_pressure(clock: ManualClock) -> None:
    source = Source()
    ready = Readiness(source, clock=clock)
    ready._after_ns = 5_000_000_000
    assert ready.is_ready
    source.pressure = 1
    for seconds in (0, 2, 2.9):
        clock.advance(seconds)
        assert ready.is_ready
    # A moment below 1 begins it anew.
    source.pressure = 0.99
    assert ready.is_ready
    source.pressure = 1.0
    assert ready.is_ready
    clock.advance(4.9)
    assert ready.is_ready
    clock.advance(0.1)
    assert not ready.is_ready and repr(ready) == "Readiness(after=5, ready=False)"
    source.pressure = 0.5
    assert ready.is_ready
    source.pressure = 1.0
    assert ready.is_ready
    # A clock that steps back begins it anew, too.
    clock.set_ns(0)
    assert ready.is_ready
    clock.advance(5)
    assert not ready.is_ready
    ready.stop()
    source.pressure = 0
    assert not ready.is_ready


def test_a_fleet_does_not_go_at_once(clock: ManualClock) -> None:
    fleet = [Readiness(lambda: 1.0, clock=clock) for _ in range(40)]
    assert all(one.is_ready for one in fleet)
    gone = []
    for _ in range(30):
        clock.advance(0.1)
        gone.append(sum(not one.is_ready for one in fleet))
    assert gone[-1] == 0
    for _ in range(50):
        clock.advance(0.1)
        gone.append(sum(not one.is_ready for one in fleet))
    # None before 5 s, all by 7.5 s, and not all in one step between.
    assert gone[48] == 0 and gone[-1] == 40 and any(0 < count < 40 for count in gone)


def fails() -> float:
    raise OSError


@pytest.mark.parametrize("source", [fails, lambda: float("nan"), lambda: "1", lambda: None, lambda: True])
def test_a_source_that_fails_counts_as_ready(source: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert Readiness(source, after=0).is_ready
    assert "the source of a Readiness failed" in caplog.text


def test_a_shedder_that_nobody_else_asks_is_sampled(clock: ManualClock) -> None:
    backlog = [100.0]
    signal = Signal("gauge", lambda: backlog[0], start=0, full=10, name="backlog")
    ready = Readiness(LoadShedder([signal], clock=clock), after=2, clock=clock)
    ready._after_ns = 2_000_000_000

    def asked(times: int) -> bool:
        for _ in range(times):
            clock.advance(0.3)
            is_ready = ready.is_ready
        return is_ready

    assert (asked(4), asked(10)) == (True, False)
    backlog[0] = 0.0
    assert asked(4)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((5,), TypeError, "source: expected an object with a pressure, or a function, got int"),
        ((Source,), TypeError, "source: "),
        ((lambda scope: 1,), TypeError, "source: expected a function of nothing"),
        ((Source(), -1), ConfigError, "after: "),
        ((Source(), float("inf")), ConfigError, "after: must be finite"),
    ],
)
def test_arguments_of_readiness(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Readiness(*arguments)


def test_readyz_over_http() -> None:
    source = Source()
    ready = Readiness(source, after=0)
    app = FastAPI()
    app.mount("/readyz", ready)
    app.get("/mine")(lambda: Response(status_code=200 if ready.is_ready else 503))
    full: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
    full.try_push(1)
    app.add_middleware(TidegateMiddleware, queue=full, exempt=("/readyz", "/readyz/*", "/mine"))
    with served(app) as url:
        [answer, mine] = ask(url, "/readyz", "/mine")
        assert (answer.status, answer.json(), mine.status) == (200, {"ready": True}, 200)
        source.pressure = 1
        [answer, mine, head] = [*ask(url, "/readyz", "/mine"), *ask(url, "/readyz", method="HEAD")]
        assert (answer.status, answer.json(), mine.status, head.status) == (503, {"ready": False}, 503, 503)
        assert answer.headers["cache-control"] == "no-store"
        # Everything else is refused meanwhile.
        assert statuses(ask(url, "/else")) == [503]


def test_health_and_readiness_are_exempt_from_the_start() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await Response("ok")(scope, receive, send)

    full: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
    full.try_push(1)
    with served(TidegateMiddleware(app, queue=full)) as url:
        assert statuses(ask(url, "/healthz", "/livez", "/readyz", "/")) == [200, 200, 200, 503]
        assert statuses(ask(url, "/", method="OPTIONS")) == [200]


# Brown-out


async def page_async(scope: Any) -> str:
    return "cached " + scope["path"]


def silent(scope: Any) -> None: ...


def application(scope: Any) -> Any:
    return HTMLResponse("<p>cached", headers={"age": "30"})


@pytest.mark.parametrize(
    ("degrade", "status", "kind", "body"),
    [
        (lambda scope: "cached", 200, "text/plain; charset=utf-8", b"cached"),
        (page_async, 200, "text/plain; charset=utf-8", b"cached /page"),
        (lambda scope: {"items": []}, 200, "application/json", b'{"items":[]}'),
        (lambda scope: b"x", 200, "application/octet-stream", b"x"),
        (application, 200, "text/html; charset=utf-8", b"<p>cached"),
        (silent, 503, "application/problem+json", None),
        (lambda scope: 1 / 0, 503, "application/problem+json", None),
        (lambda scope: object(), 503, "application/problem+json", None),
    ],
)
def test_a_page_stands_in_for_a_refusal(
    degrade: Any, status: int, kind: str, body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    full: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
    app = FastAPI()
    app.get("/page")(lambda: "fresh")
    app.add_middleware(TidegateMiddleware, limit="100/hour", queue=full, degrade=degrade)
    with served(app) as url:
        assert ask(url, "/page")[0].json() == "fresh"
        full.try_push(1)
        [answer] = ask(url, "/page")
        assert (answer.status, answer.headers["content-type"]) == (status, kind)
        assert answer.body == body if body is not None else answer.headers["retry-after"] == "1"
        assert "ratelimit" in answer.headers
        assert ask(url, "/page", method="HEAD")[0].status in (status, 405)
    # What raises, or gives what cannot be sent, is said; None is an answer.
    assert ("degrade: " in caplog.text) == (body is None and degrade is not silent)


def shedding(clock: ManualClock) -> LoadShedder:
    """One that sheds all that it may."""
    shedder = LoadShedder([Signal("gauge", name="full", start=0, full=1)], clock=clock, min_admit=0.0)
    for _ in range(400):
        shedder.tell("full", 1.0)
        for _ in range(40):
            shedder.admit("sheddable")
        clock.advance(0.25)
        shedder.sample()
    assert not shedder.admit("sheddable")
    return shedder


def test_a_page_stands_in_for_what_is_shed(clock: ManualClock) -> None:
    shedder = shedding(clock)

    async def fresh(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("fresh")(scope, receive, send)

    # `pages` has what is asked for often.
    pages = {"/list": "cached"}
    options: dict[str, Any] = {"priority": "sheddable", "degrade": lambda scope: pages.get(scope["path"])}
    gate = Gate("web", shedder=shedder)
    for app in (
        TidegateMiddleware(fresh, shedder=shedder, **options),
        TidegateMiddleware(fresh, gate=gate, **options),
    ):
        with served(app, lifespan="off") as url:
            cached, refused = ask(url, "/list", "/other")
            assert (cached.status, cached.body, "retry-after" in cached.headers) == (200, b"cached", False)
            assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
    behind = WSGIMiddleware(lambda environ, start: [], gate=gate, **options)
    for path, status in (("/list", "200 OK"), ("/other", "503 Service Unavailable")):
        told: list[Any] = []
        body = b"".join(behind({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *said: told.append(said)))
        assert told[0][0] == status and (body == b"cached") == (path == "/list")


def test_a_wrong_degrade_is_refused_at_the_start() -> None:
    for wrong, text in ((5, "degrade: expected a function"), (lambda: 1, "degrade: expected a function")):
        with pytest.raises(TypeError, match=text):
            TidegateMiddleware(application, queue=BoundedQueue(1), degrade=wrong)  # type: ignore[arg-type]


# Single routes


@pytest.fixture
def gates() -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = {}
    yield made
    # Of a loop that has ended the gate is of no use.
    with contextlib.suppress(RuntimeError, KeyError):
        made["loop"].call_soon_threadsafe(made["open"].set)


def test_a_rule_has_a_concurrency_of_its_own(gates: dict[str, Any]) -> None:
    chart, rest = ConcurrencyLimiter(1), ConcurrencyLimiter(1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] in ("/chart", "/slow"):
            gates.setdefault("loop", asyncio.get_running_loop())
            await gates.setdefault("open", asyncio.Event()).wait()
        await Response("ok")(scope, receive, send)

    rules = [Rule("GET", "/chart", concurrency=chart)]
    with served(TidegateMiddleware(app, rules=rules, concurrency=rest)) as url:
        first = Thread(lambda: ask(url, "/chart"))
        wait_until(lambda: chart.in_use == 1)
        # Its own limit is reached, that of the others is not; and the other way round.
        assert statuses(ask(url, "/chart", "/page")) == [503, 200] and rest.in_use == 0
        second = Thread(lambda: ask(url, "/slow"))
        wait_until(lambda: rest.in_use == 1)
        assert statuses(ask(url, "/page", "/chart")) == [503, 503]
        gates["loop"].call_soon_threadsafe(gates["open"].set)
        assert [statuses(thread.finish()) for thread in (first, second)] == [[200], [200]]
        wait_until(lambda: chart.in_use + rest.in_use == 0)
    with pytest.raises(TypeError, match="needs a limit"):
        Rule("GET", "/x")
    with pytest.raises(TypeError, match="concurrency: expected a ConcurrencyLimiter, got int"):
        Rule("GET", "/x", concurrency=5)  # type: ignore[arg-type]
    assert repr(rules[0]).startswith("Rule('GET', '/chart', limit=None, concurrency=ConcurrencyLimiter(")


@pytest.mark.parametrize(("status", "falls"), [(503, True), (200, False)])
def test_an_adaptive_limit_of_a_rule_learns(status: int, falls: bool, clock: ManualClock) -> None:
    options: dict[str, Any] = {"initial_limit": 10, "probe": False, "samples": 10, "clock": clock}
    learning = ConcurrencyLimiter.adaptive(**options)

    async def main() -> None:
        gate = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await gate.wait()
            await Response("end", status)(scope, receive, send)

        async def send(message: Any) -> None: ...

        guarded = TidegateMiddleware(app, rules=[Rule("GET", "/", concurrency=learning)])
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        calls = [asyncio.ensure_future(guarded(dict(scope), send, send)) for _ in range(10)]  # type: ignore[arg-type]
        while learning.in_use < 10:
            await asyncio.sleep(0)
        assert learning.try_acquire() is None
        clock.advance(0.5)
        gate.set()
        await asyncio.gather(*calls)

    run(main())
    assert learning.in_use == 0 and (learning.limit < 10) == falls


def test_nobody_needs_a_loop_to_ask() -> None:
    async def look() -> bool:
        return Readiness(lambda: 0.2).is_ready

    assert run(look())


def test_websockets_hold_no_permit() -> None:
    limiter = ConcurrencyLimiter(1)
    app = FastAPI()

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(limiter.in_use)
        await socket.receive_text()

    @app.get("/")
    async def root() -> str:
        return "ok"

    async def scene(url: str) -> list[int]:
        async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                socket = await stack.enter_async_context(session.ws_connect(url + "/live"))
                assert await socket.receive_json() == 0
            seen = []
            for _ in range(2):
                async with session.get(url) as answer:
                    seen.append(answer.status)
            return seen

    with served(TidegateMiddleware(app, concurrency=limiter)) as url:
        assert run(scene(url)) == [200, 200]
    assert limiter.in_use == 0


BOTH = {"live": 0.5, "batch": 0.5}


async def plain(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await Response("ok")(scope, receive, send)


async def partition_later(scope: Any) -> str:
    await asyncio.sleep(0)
    return "live"


@pytest.mark.parametrize("partition", ["live", lambda scope: "live", partition_later])
def test_a_rule_says_which_partition_of_the_middlewares_limit(partition: Any) -> None:
    limiter = ConcurrencyLimiter(2, partitions=BOTH)
    seen: list[dict[str, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append({name: part.in_use for name, part in limiter.partition_stats().items()})

    rules = [
        Rule("*", "/page", partition=partition),
        Rule("*", "/free", limit="9/s"),
        Rule("*", "/own", concurrency=ConcurrencyLimiter(1)),
    ]
    guarded = TidegateMiddleware(app, rules=rules, concurrency=limiter, partition=lambda scope: "batch")

    async def nobody(message: Any = None) -> None: ...

    async def main() -> None:
        for path in ("/page", "/free", "/other", "/own"):
            scope = {"type": "http", "method": "GET", "path": path, "headers": []}
            await guarded(scope, nobody, nobody)  # type: ignore[arg-type]

    run(main())
    assert [(at["live"], at["batch"]) for at in seen] == [(1, 0), (0, 1), (0, 1), (0, 0)]
    assert limiter.in_use == 0


def test_a_rule_has_a_partition_of_its_own_limit() -> None:
    own = ConcurrencyLimiter(2, partitions={"live": 1.0})
    assert "partition='live'" in repr(Rule("*", "/", concurrency=own, partition="live"))
    other = ConcurrencyLimiter(2, partitions={"other": 1.0})
    TidegateMiddleware(plain, rules=[Rule("*", "/", concurrency=own, partition="live")], concurrency=other)


def broken(scope: Any) -> str:
    raise ValueError("no idea")


@pytest.mark.parametrize("partition", [broken, lambda scope: "urgent", lambda scope: 7])
def test_a_partition_function_at_fault_is_an_error_and_costs_nothing(partition: Any) -> None:
    limiter, bucket = ConcurrencyLimiter(2, partitions=BOTH), TokenBucket("3/hour")
    guarded = TidegateMiddleware(plain, bucket, concurrency=limiter, partition=partition)

    async def scene(url: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status

    with served(guarded) as url:
        assert run(scene(url)) == 500
    assert limiter.in_use == 0 and bucket.peek().remaining == 3


def test_partitions_that_are_none_are_said_at_the_start() -> None:
    limiter = ConcurrencyLimiter(2, partitions=BOTH)
    unknown = '^partition: "urgent" is none of "live", "batch"$'
    with pytest.raises(ConfigError, match=unknown):
        TidegateMiddleware(plain, concurrency=limiter, partition="urgent")
    with pytest.raises(ConfigError, match=unknown):
        TidegateMiddleware(plain, concurrency=limiter, rules=[Rule("*", "/", partition="urgent")])
    with pytest.raises(ConfigError, match=unknown):
        Rule("*", "/", concurrency=limiter, partition="urgent")
    for given in (
        lambda: TidegateMiddleware(plain, "5/s", partition="live"),
        lambda: TidegateMiddleware(plain, rules=[Rule("*", "/", partition="live")]),
    ):
        with pytest.raises(ConfigError, match="^partition: it is one of a concurrency limiter; give concurrency"):
            given()
    with pytest.raises(TypeError, match="^partition: "):
        TidegateMiddleware(plain, concurrency=limiter, partition=5)  # type: ignore[arg-type]
