"""Faults that users of other libraries reported in public, played against this one. Each test names its reports."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import limits
import limits.aio.strategies
import pytest
import tidegate.limits
from conftest import run, wait_until
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.routing import Route
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimiter,
    ManualClock,
    RateLimiter,
    TokenBucket,
    _log,
)
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import RateLimit, breaker, install_exception_handlers, limit
from tidegate.keys import ClientIP, client_ip, first_of, header


def test_bodies_in_parts_have_one_head(tmp_path: Path) -> None:
    """slowapi #249, #260: the head of a streamed answer was sent again with each part of its body."""
    (tmp_path / "file.bin").write_bytes(bytes(300_000))
    app = FastAPI()
    app.add_middleware(TidegateMiddleware, limit="100/s", legacy_headers=True)
    app.mount("/static", StaticFiles(directory=tmp_path))

    @app.get("/stream")
    @limit("100/s", legacy_headers=True)
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for n in range(10):
                yield b"part %d\n" % n

        return StreamingResponse(parts(), headers={"content-length": "70"})

    app.get("/file")(lambda: FileResponse(tmp_path / "file.bin"))
    with served(app) as url:
        streamed, file, static = ask(url, "/stream", "/file", "/static/file.bin")
    assert streamed.body == b"".join(b"part %d\n" % n for n in range(10))
    assert len(file.body) == len(static.body) == 300_000
    # slowapi #33: a limit of the middleware and one of the route wrote the fields twice.
    for answer in (streamed, file, static):
        for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"):
            assert len(answer.headers.getall(name)) == 1, name
    assert [line.partition(";")[0] for line in streamed.headers.getall("ratelimit")] == ['"default"', '"default-2"']


def test_routes_may_return_anything_and_take_anything() -> None:
    """slowapi #18, #177: a route had to return a Response, and to have a parameter of a certain name."""
    app = FastAPI()

    @app.get("/data")
    @limit("2/hour", name="data")
    def data(req: Request, n: int = 1) -> dict[str, int]:
        return {"n": n}

    @app.get("/nothing")
    @limit("2/hour", name="nothing")
    async def nothing() -> None: ...

    with served(app) as url:
        answers = ask(url, *["/data?n=3"] * 3, *["/nothing"] * 3)
    assert statuses(answers) == [200, 200, 429] * 2
    assert answers[0].json() == {"n": 3} and answers[0].headers["ratelimit"].startswith('"data";r=1')


def test_routers_and_mounted_applications_are_limited() -> None:
    """slowapi #281, quartz-api #345: routes behind include_router or mount were exempt without a word."""

    def ok() -> dict[str, bool]:
        return {"ok": True}

    inner, outer, mounted = APIRouter(prefix="/inner"), APIRouter(prefix="/outer"), FastAPI()
    inner.get("/plain")(ok)
    inner.get("/own")(limit("1/hour", name="own")(ok))
    outer.include_router(inner)
    mounted.include_router(outer)
    app = FastAPI()
    app.include_router(outer)
    app.mount("/mounted", mounted)
    app.add_middleware(
        TidegateMiddleware,
        limit=RateLimiter("100/hour"),
        rules=[Rule("GET", "/outer/inner/plain", limit="2/hour"), Rule("GET", "/mounted/*", limit="3/hour")],
    )
    install_exception_handlers(app)
    with served(app) as url:
        assert statuses(ask(url, *["/outer/inner/plain"] * 3)) == [200, 200, 429]
        assert statuses(ask(url, *["/outer/inner/own"] * 2)) == [200, 429]
        # The mounted one has the same route and so the same limit, which is used up.
        paths = ["own", *["plain"] * 3]
        assert statuses(ask(url, *(f"/mounted/outer/inner/{path}" for path in paths))) == [429, 200, 200, 429]


@pytest.mark.parametrize("wrong", [["1/second"], ("1/second",), {"rate": "1/s"}, 5, b"1/s"])
def test_a_list_of_rates_is_an_error_at_once(wrong: Any) -> None:
    """slowapi #239: a wrong type of limit was found by the request that it should have refused."""
    made: list[Any] = [
        lambda: limit(wrong),
        lambda: TidegateMiddleware(FastAPI(), limit=wrong),
        lambda: Rule("*", "/", limit=wrong),
    ]
    for make in made:
        with pytest.raises(TypeError, match="limit: (expected a rate|several rates are one text)"):
            make()


def test_several_limits_of_a_route_count_each_request_once() -> None:
    """fastapi-limiter #8, #3: of two limits the first let through less than it said, the second was not asked."""
    app = FastAPI()
    both = [Depends(RateLimit("3/5s", name="burst")), Depends(RateLimit("5/hour", name="hour"))]
    app.get("/")(lambda: None)
    app.get("/both", dependencies=both)(lambda: None)
    with served(app) as url:
        answers = ask(url, *["/both"] * 4)
    assert statuses(answers) == [200, 200, 200, 429]
    assert answers[2].headers.getall("ratelimit")[1].startswith('"hour";r=2')


def test_answers_of_errors_tell_the_limit() -> None:
    """crudauth #51: an error after the charge, such as a later dependency's 401 or a 422, lost the limit's fields."""

    def nobody() -> None:
        raise HTTPException(401, headers={"www-authenticate": "Basic"})

    app = FastAPI()
    install_exception_handlers(app)
    app.get("/later", dependencies=[Depends(RateLimit("9/hour", name="later")), Depends(nobody)])(lambda: None)

    @app.get("/raises")
    @limit("9/hour", name="raises")
    def raises() -> None:
        raise HTTPException(404)

    @app.get("/wrong", dependencies=[Depends(RateLimit("9/hour", name="wrong"))])
    def wrong(number: int) -> None: ...

    with served(app) as url:
        answers = ask(url, "/later", "/raises", "/wrong?number=x")
    assert statuses(answers) == [401, 404, 422]
    assert answers[0].headers["www-authenticate"] == "Basic"
    for answer, name in zip(answers, ("later", "raises", "wrong"), strict=True):
        assert [line[: len(name) + 6] for line in answer.headers.getall("ratelimit")] == [f'"{name}";r=8'], name


def test_handlers_of_the_user_do_not_swallow_the_wait() -> None:
    """pixlstash #1105: a handler for HTTPException that forgets the headers took Retry-After from refusals."""
    app = FastAPI()
    install_exception_handlers(app)

    @app.exception_handler(HTTPException)
    async def forgets(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    app.get("/", dependencies=[Depends(RateLimit("1/hour", name="x"))])(lambda: None)
    with served(app) as url:
        refused = ask(url, "/", "/")[1]
    assert refused.status == 429 and int(refused.headers["retry-after"]) > 3500
    assert refused.json()["violated-policies"] == ["x"]


def test_forged_addresses_are_not_believed(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """fastapi-limiter #9, #10, estonian-mcp #41: a header that anybody can send got each request a limit of its own."""
    app = FastAPI()
    limiter = RateLimiter("2/hour")
    app.add_middleware(TidegateMiddleware, limit=limiter, client=ClientIP(trusted=["10.0.0.0/8"]))
    app.get("/")(lambda: None)

    def from_peer(peer: str | None, forwarded: list[str], app: Any = app) -> list[int]:
        async def behind(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "client": None if peer is None else (peer, 1)}
            await app(scope, receive, send)

        with served(behind) as url:
            return [ask(url, "/", headers={"x-forwarded-for": value})[0].status for value in forwarded]

    assert from_peer("203.0.113.9", ["198.51.100.1", "198.51.100.2", "198.51.100.3"]) == [200, 200, 429]
    # What a trusted proxy has appended counts, and nothing to the left of it.
    assert from_peer("10.0.0.1", ["8.8.8.8, 192.0.2.1", "8.8.4.4, 192.0.2.1", "1.1.1.1, 192.0.2.1"]) == [200, 200, 429]
    # uvicorn #1068: a client on a proxy's own machine.
    assert from_peer("10.0.0.1", ["10.0.0.7", "10.0.0.7", "10.0.0.7", "10.0.0.8"]) == [200, 200, 429, 200]
    # uvicorn #931: a socket of the file system has no address, and nobody is believed for that.
    monkeypatch.setattr(_log, "_said", {})
    plain = Starlette(routes=[Route("/", lambda request: Response())])
    unix = ["192.0.2.5", "192.0.2.6", "192.0.2.7"]
    assert from_peer(None, unix) == [200, 200, 429]
    assert "ClientIP(trusted=['unix'])" in caplog.text
    for key in (client_ip, first_of(header("x-user"), client_ip), header("x-user")):
        caplog.clear()
        monkeypatch.setattr(_log, "_said", {})
        assert from_peer(None, unix, TidegateMiddleware(plain, limit="2/hour", key=key)) == [200, 200, 429]
        assert caplog.text.count("ClientIP(trusted=['unix'])") == 1
    trusting = TidegateMiddleware(plain, limit="2/hour", key=ClientIP(trusted=["unix"]))
    assert from_peer(None, [*unix, *unix[:1], *unix[:1]], trusting) == [200, 200, 200, 200, 429]


async def gone(url: str, path: str) -> None:
    """A client that goes away in the middle of the answer."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await reader.readuntil(b"first")
    writer.transport.abort()


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_middleware_of_starlette_beside_ours(where: str) -> None:
    """starlette #919, #1438, #1678: BaseHTTPMiddleware cancelled background tasks, and what follows the call."""
    app, done = FastAPI(), threading.Event()
    limiter = ConcurrencyLimiter(1)

    async def passes(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    def ours() -> None:
        app.add_middleware(TidegateMiddleware, limit="100/s", concurrency=limiter)

    if where == "inside":
        ours()
    app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
    if where == "outside":
        ours()

    async def later() -> None:
        await asyncio.sleep(0.05)
        done.set()

    @app.get("/task")
    async def task(tasks: BackgroundTasks) -> str:
        tasks.add_task(later)
        return "first"

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"first"
                await asyncio.sleep(0.001)

        return StreamingResponse(parts())

    with served(app) as url:
        run(gone(url, "/task"))
        wait_until(done.is_set)
        wait_until(lambda: limiter.in_use == 0)
        run(gone(url, "/endless"))
        wait_until(lambda: limiter.in_use == 0)
        assert statuses(ask(url, "/task")) == [200]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_cancelled_waiter_takes_no_wake_up_along() -> None:
    """asyncio #270, cpython #90155, anyio #947, #1145: who was woken and cancelled at once left the others asleep."""

    async def scene() -> None:
        limiter = ConcurrencyLimiter(1, max_wait=None)
        for cancel_first in (False, True):
            held = limiter.acquire()
            tasks = [asyncio.ensure_future(limiter.acquire_async()) for _ in range(4)]
            await settle()
            for step in (tasks[0].cancel, held.release)[:: 1 if cancel_first else -1]:
                step()
            # The next in line, although it was woken in the meantime.
            tasks[1].cancel()
            (await tasks[2]).release()
            (await tasks[3]).release()
            assert [task.cancelled() for task in tasks] == [True, True, False, False]
            assert limiter.in_use == 0 and limiter.stats().waiting == 0
        queue: BoundedQueue[int] = BoundedQueue(4, high_watermark=1.0)
        takers = [asyncio.ensure_future(queue.pop_async()) for _ in range(3)]
        await settle()
        queue.try_push(1)
        takers[0].cancel()
        assert await takers[1] == 1
        queue.try_push(2)
        assert await takers[2] == 2

    run(scene())


def test_one_object_outlives_its_event_loops() -> None:
    """aiolimiter #292: waiters of a loop that was closed were woken in the next, which failed."""
    bucket, limiter = TokenBucket("200/s", burst=1), RateLimiter("200/s", burst=1)
    permits, queue = ConcurrencyLimiter(1, max_wait=None), BoundedQueue[int](1, high_watermark=1.0)

    async def hold() -> None:
        with await permits.acquire_async():
            await asyncio.sleep(3600)

    async def abandoned() -> None:
        for make in (bucket.acquire_async, lambda: limiter.acquire_async("k"), hold, queue.pop_async):
            for _ in range(3):
                asyncio.ensure_future(make())
        await settle()

    async def scene() -> None:
        await asyncio.gather(*(bucket.acquire_async() for _ in range(3)))
        await asyncio.gather(*(limiter.acquire_async("k") for _ in range(3)))
        with await permits.acquire_async():
            queue.try_push(1)
            assert await queue.pop_async() == 1

    for _ in range(3):
        # A loop that ends over its tasks, and asyncio's own way, which cancels them.
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(abandoned())
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        run(scene())
        run(abandoned())


def test_who_waits_is_admitted_when_there_is_room_and_not_later(clock: ManualClock) -> None:
    """aiolimiter #217: the wait for n was that for n from empty. PyrateLimiter #125: one each interval was too many."""
    bucket = TokenBucket("3/3s", clock=clock)
    bucket.try_acquire(1)
    assert bucket.reserve(3).wait == 1.0
    for algorithm in ("token_bucket", "fixed_window", "sliding_log", "leaky_bucket"):
        even = RateLimiter(1, per=0.1, algorithm=algorithm, clock=clock)
        for _ in range(50):
            assert even.try_acquire("k"), algorithm
            assert not even.try_acquire("k"), algorithm
            clock.advance(0.1)


def test_the_storage_of_limits(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """limits #277: concurrent hits lost entries. #200: the newest entry's reset was told. #151: a high cost passed."""
    day, two = limits.parse("4/day"), limits.parse("2/minute")

    async def scene() -> None:
        found: Any = storage_from_string("async+tidegate://")
        limiter = limits.aio.strategies.MovingWindowRateLimiter(found)
        hits = await asyncio.gather(*(limiter.hit(day, str(n % 10)) for n in range(1000)))
        assert sum(hits) == 40

    run(scene())
    monkeypatch.setattr(time, "time", lambda: clock.now_ns / 1e9)
    found: Any = tidegate.limits.TidegateStorage("tidegate://", clock=clock)
    limiter = MovingWindowRateLimiter(found)
    begun = time.time()
    for _ in range(2):
        assert limiter.hit(two, "k")
        clock.advance(10)
    assert not limiter.hit(two, "k") and limiter.get_window_stats(two, "k").reset_time == begun + 60
    assert not limiter.hit(two, "other", cost=3) and not limiter.test(two, "other", cost=3)


def test_a_window_ends_although_requests_go_on(clock: ManualClock) -> None:
    """commitpulse #1371: each request moved the end of the window on, so that it never came."""
    for algorithm in ("fixed_window", "sliding_log", "sliding_window"):
        limiter = RateLimiter("5/minute", algorithm=algorithm, clock=clock)
        admitted = 0
        for _ in range(600):
            admitted += limiter.try_acquire("k")
            clock.advance(1)
        assert 40 <= admitted <= 50, (algorithm, admitted)


def fails() -> None:
    raise OSError


def open_circuit(clock: ManualClock, **options: Any) -> CircuitBreaker:
    made = CircuitBreaker("bank", consecutive_failures=1, cooldown=10, clock=clock, **options)
    with pytest.raises(OSError):
        made.call(fails)
    assert made.state == "open"
    return made


def test_half_open_admits_one_probe_and_one_failure_opens(clock: ManualClock) -> None:
    """opossum #119, #276, agri #1405, AirMCP #249: several probes passed, or a failed one left it half-open."""
    bank = open_circuit(clock, min_calls=10)
    for _ in range(3):
        clock.advance(10)
        probe = bank.acquire()
        assert [bank.try_acquire() for _ in range(5)] == [None] * 5
        probe.failure()
        assert bank.state == "open" and bank.retry_after == 10
    clock.advance(10)
    bank.acquire().success()
    assert bank.state == "closed"


def test_late_reports_and_refused_calls_do_not_move_the_cooldown(clock: ManualClock) -> None:
    """aiox #469, trinity #687, deno std #7097, #7306, pybreaker #36: the cooldown began anew, or in the past."""
    bank = CircuitBreaker("bank", consecutive_failures=1, cooldown=10, clock=clock)
    slow, stale = bank.acquire(), bank.acquire()
    clock.advance(8)
    slow.failure()
    # From the failure on, not from the beginning of the call.
    assert bank.retry_after == 10
    for _ in range(9):
        clock.advance(1)
        with pytest.raises(CircuitOpenError):
            bank.acquire()
        stale.failure()
    assert bank.retry_after == 1
    clock.advance(1)
    probe = bank.acquire()
    stale.success()
    assert bank.try_acquire() is None, "still half-open, with its one probe"
    probe.success()
    assert bank.state == "closed"


def test_another_process_that_starts_does_not_prolong_the_cooldown(host: str) -> None:
    """pybreaker #36: each process that declared the breaker moved the time at which it had opened."""
    bank = CircuitBreaker("bank", consecutive_failures=1, cooldown=3600, scope=host)
    bank.acquire().failure()
    before = bank.retry_after
    assert before <= 3600
    for _ in range(3):
        other = CircuitBreaker("bank", consecutive_failures=1, cooldown=3600, scope=host)
        assert other.state == "open" and other.retry_after <= before


def test_a_stream_that_nobody_reads_to_its_end_gives_the_probe_back() -> None:
    """NeMo #2158: an abandoned stream kept the one probe, and the circuit stayed open for ever."""
    bank = CircuitBreaker("bank", consecutive_failures=1, cooldown=0.01, probe_timeout=3600)
    app = FastAPI()

    @app.get("/stream")
    @bank
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"first"
                await asyncio.sleep(0.001)

        return StreamingResponse(parts())

    app.get("/held", dependencies=[Depends(breaker(bank))])(lambda: None)
    install_exception_handlers(app)
    with served(app) as url:
        bank.acquire().failure()
        wait_until(lambda: bank.retry_after == 0)
        run(gone(url, "/stream"))
        wait_until(lambda: ask(url, "/held")[0].status == 200)
    assert bank.state == "closed"
