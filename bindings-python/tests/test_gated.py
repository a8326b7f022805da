"""A gate before an ASGI application and its routes: what is asked, what is told, and that all comes back once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from conftest import PATIENCE, run, wait_until
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from served import ask, served
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from test_asgi import app as plain
from test_asgi import call, headers
from test_gate import Parts
from tidegate import (
    AccessList,
    Admission,
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConfigError,
    Deadline,
    Gate,
    ManualClock,
    Policy,
    RateLimiter,
    TokenBucket,
)
from tidegate.asgi import Refusal, Rule, TidegateMiddleware, admission
from tidegate.fastapi import RateLimit, admitted, install_exception_handlers
from tidegate.keys import header
from tidegate.wsgi import TidegateMiddleware as WSGIMiddleware


@pytest.fixture
def parts() -> Parts:
    return Parts()


def by_user(app: Any, parts: Parts, **options: Any) -> TidegateMiddleware:
    return TidegateMiddleware(app, gate=parts.gate, key={"client": header("x-user")}, **options)


# Of an address that is on no list.
ANN = {"headers": [(b"x-user", b"ann")], "client": ("198.51.100.1", 5)}

# What a gate decides itself.
BESIDE: dict[str, Any] = {
    "limit": "5/s",
    "rules": [Rule("*", "/*", limit="5/s")],
    "queue": BoundedQueue(1),
    "concurrency": ConcurrencyLimiter(1),
    "allow": ["192.0.2.1"],
    "deny": ["192.0.2.1"],
    "refund_on": lambda status: True,
    "dry_run": True,
    "overload_status": 529,
    "burst": 5,
    "fastest": "5/s",
    "name": "door",
    "scope": "process:orders",
    "on_conflict": "keep",
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_gate_takes_no_parts_beside_it(parts: Parts, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^gate: .* takes no {name} beside it"):
        TidegateMiddleware(plain, gate=parts.gate, **{name: BESIDE[name]})


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"gate": "orders"}, TypeError, "gate: expected a Gate, got str"),
        ({"limit": "5/s", "dependencies": ["payment"]}, ConfigError, "dependencies: only a gate is asked so"),
        ({"limit": "5/s", "deadline": None}, ConfigError, "deadline: only a gate is asked so"),
        ({"limit": "5/s", "outcome_at": "headers"}, ConfigError, "outcome_at: only a gate is asked so"),
        ({"outcome_at": "end"}, ConfigError, 'outcome_at: expected "body" or "headers", got \'end\''),
        ({"dependencies": "payment"}, TypeError, "dependencies: expected several names"),
        ({"dependencies": [7]}, TypeError, "dependencies: expected names as texts"),
        ({"dependencies": {"POST": ["payment"]}}, ConfigError, "dependencies: a route is a method"),
        ({"dependencies": {"POST /": ["bank"]}}, ConfigError, r"dependencies\['POST /'\]: 'bank' is no dependency"),
        ({"priority": {"/orders": "high"}}, ConfigError, "priority: a route is a method, or a star for all, a space"),
        ({"priority": {"GET orders": "high"}}, ConfigError, "priority: must begin with a slash"),
        ({"priority": {"GET /:id": "high"}}, ConfigError, "priority: ':id' would only fit itself"),
        ({"priority": {7: "high"}}, TypeError, "priority: expected routes as texts"),
        ({"priority": {"GET /": 7}}, TypeError, r"priority\['GET /'\]: expected a str"),
        ({"deadline": 5}, TypeError, "deadline: expected the name of a header"),
        ({"deadline": [""]}, ConfigError, "deadline: the name of a header cannot be empty"),
        ({"key": {"user": header("x-user")}}, ConfigError, "key: this set takes a function for each of client; got"),
        ({"cost": 4}, ConfigError, r"cost: must be 1 to the burst \(3\)"),
        ({"jitter": 2.0}, ConfigError, "jitter"),
        ({"headers": 1}, TypeError, "headers: expected True or False"),
        ({"client": lambda scope: "a"}, TypeError, "client: expected a ClientIP"),
    ],
)
def test_mistakes_are_errors_when_it_is_made(
    parts: Parts, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    gate = {} if "gate" in options or "limit" in options else {"gate": parts.gate}
    with pytest.raises(error, match=f"^{text}"):
        TidegateMiddleware(plain, **gate, **options)


@pytest.mark.parametrize("adapter", [TidegateMiddleware, WSGIMiddleware, lambda app, gate, **o: admitted(gate, **o)])
def test_a_gate_without_a_shedder_takes_no_user(parts: Parts, adapter: Any) -> None:
    with pytest.raises(ConfigError, match="^user: it is whose level a shedder asks; give the gate one"):
        adapter(plain, gate=Gate("orders", concurrency=parts.database), user=header("x-user"))
    adapter(plain, gate=parts.gate, user=header("x-user"))


def test_a_gate_without_limits_takes_no_key() -> None:
    gate = Gate("orders", concurrency=ConcurrencyLimiter(1))
    with pytest.raises(ConfigError, match="^key: no limit of this gate is keyed"):
        TidegateMiddleware(plain, gate=gate, key=header("x-user"))


def test_fields_of_all_limits_and_the_body_that_names_the_part(parts: Parts) -> None:
    guarded = by_user(plain, parts, legacy_headers=True)
    start, _ = call(guarded, **ANN)
    assert headers(start) == {
        "x-app": "1",
        "ratelimit-policy": '"client";q=3;w=60, "everyone";q=100;w=1',
        "ratelimit": '"client";r=2;t=20, "everyone";r=99;t=1',
        "x-ratelimit-limit": "3",
        "x-ratelimit-remaining": "2",
        "x-ratelimit-reset": "20",
    }
    call(guarded, **ANN), call(guarded, **ANN)
    start, body = call(guarded, **ANN)
    told = headers(start)
    assert start["status"] == 429 and told["retry-after"] == "20"
    # The draft wants a Retry-After that is never earlier than t.
    assert told["ratelimit"] == '"client";r=0;t=20, "everyone";r=97;t=1'
    problem = json.loads(body["body"])
    assert problem["violated-policies"] == ["client"] and problem["type"].endswith("#quota-exceeded")
    assert parts.gate.stats().denied_limit == 1 and parts.database.in_use == 0
    assert "ratelimit" not in headers(call(by_user(plain, Parts(), headers=False), **ANN)[0])


def test_jitter_lengthens_what_a_limit_tells(clock: ManualClock) -> None:
    gate = Gate("orders", limits={"everyone": TokenBucket("1/hour", clock=clock)})
    guarded = TidegateMiddleware(plain, gate=gate, jitter=1.0)
    call(guarded)
    waits = {int(headers(call(guarded)[0])["retry-after"]) for _ in range(50)}
    assert min(waits) >= 3600 and max(waits) <= 7200 and len(waits) > 1


def test_who_is_on_a_list_is_not_asked_for_more(parts: Parts) -> None:
    guarded = by_user(plain, parts)
    start, body = call(guarded, **{**ANN, "client": ("192.0.2.7", 1)})
    assert start["status"] == 403 and "retry-after" not in headers(start) and "ratelimit" not in headers(start)
    assert json.loads(body["body"])["violated-policies"] == ["access"]
    assert call(guarded, headers=[(b"x-user", b"monitoring")], client=("198.51.100.1", 1))[0]["status"] == 200
    assert parts.left() == 3


@pytest.fixture
def allowed() -> Iterator[Parts]:
    """Nobody on a list: the tests' own address is on that of ``Parts``."""
    parts = Parts(permits=1, refund_on=["failure"])
    parts.gate = Gate(
        "orders",
        limits={"client": parts.client},
        concurrency={"database": parts.database},
        dependencies={"payment": parts.payment},
        refund_on=["failure"],
    )
    yield parts
    assert parts.database.in_use == 0


def test_the_deadline_of_a_header_or_a_function(allowed: Parts) -> None:
    late = {"headers": [(b"x-request-timeout-ms", b"0")]}
    assert call(TidegateMiddleware(plain, gate=allowed.gate), **late)[0]["status"] == 504
    assert call(TidegateMiddleware(plain, gate=allowed.gate, deadline=None), **late)[0]["status"] == 200
    own = TidegateMiddleware(plain, gate=allowed.gate, deadline="X-Left")
    assert call(own, headers=[(b"x-left", b"0")])[0]["status"] == 504 and call(own, **late)[0]["status"] == 200

    async def left(scope: Any) -> Any:
        return {"/none": None, "/seconds": 0, "/deadline": Deadline.after(0)}[scope["path"]]

    asked = TidegateMiddleware(plain, gate=allowed.gate, deadline=left)
    found = [call(asked, path)[0]["status"] for path in ("/none", "/seconds", "/deadline")]
    assert found == [200, 504, 504] and allowed.left("192.0.2.1") == 0


def test_on_refused_and_degrade(parts: Parts) -> None:
    seen: list[Refusal] = []

    def said(scope: Any, refusal: Refusal) -> Any:
        seen.append(refusal)
        return {"come": "later"} if refusal.status == 429 else None

    guarded = by_user(plain, parts, on_refused=said, degrade=lambda scope: "from the cache")
    for _ in range(3):
        call(guarded, **ANN)
    start, body = call(guarded, **ANN)
    assert (start["status"], body["body"]) == (429, b'{"come":"later"}') and "ratelimit" in headers(start)
    assert isinstance(seen[0].decision, Admission) and seen[0].policies == ("client",) and seen[0].retry_after == 20
    assert call(guarded, **{**ANN, "client": ("192.0.2.7", 1)})[0]["status"] == 403
    assert seen[1].retry_after is None and seen[1].policies == ("access",)
    parts.queue.try_push(1)
    start, body = call(guarded, **{**ANN, "headers": [(b"x-user", b"ben")]})
    assert (start["status"], body["body"]) == (200, b"from the cache") and len(seen) == 2


def test_a_dry_run_and_a_switch_tell_nobody() -> None:
    for options, counted in (({"dry_run": True}, 1), ({"enabled": False}, 0)):
        parts = Parts(**options)
        guarded = by_user(plain, parts)
        for _ in range(4):
            start, _ = call(guarded, **ANN)
            assert start["status"] == 200 and headers(start) == {"x-app": "1"}
        assert parts.gate.stats().would_deny == counted and parts.database.in_use == 0


def test_a_gate_that_stands_twice_in_the_way_is_asked_once(parts: Parts) -> None:
    start, _ = call(by_user(by_user(plain, parts), parts), **ANN)
    assert parts.left() == 2 and headers(start)["ratelimit"].startswith('"client";r=2')


def test_what_a_middleware_admitted_is_the_route_s() -> None:
    inner = Gate("inner", concurrency=ConcurrencyLimiter(1))
    outer = Gate("outer", dependencies={"payment": CircuitBreaker("payment")})
    found: list[str] = []

    async def route(scope: Any, receive: Any, send: Any) -> None:
        found.append("".join(admission(scope, gate).gate.name for gate in (None, "outer", inner)))
        with admission(scope, outer).breaker("payment"):
            await plain(scope, receive, send)
        with pytest.raises(LookupError, match="no gate 'other' was asked"):
            admission(scope, "other")

    call(TidegateMiddleware(TidegateMiddleware(route, gate=inner), gate=outer))
    assert found == ["innerouterinner"]
    with pytest.raises(LookupError, match="no gate was asked for this request"):
        admission({"type": "http"})


def test_a_policy_s_gate_counts_by_the_keys_of_its_file() -> None:
    policy = Policy.parse("""
        version = 1
        [limits]
        client = { rate = "3/hour", key = "first_of(user, header:x-api-key, client_ip)" }
        path = { rate = "9/hour", key = "route" }
        everyone = { rate = "100/hour" }
        [gates.orders]
        use = { limits = ["client", "path", "everyone"] }
    """)
    guarded = TidegateMiddleware(plain, gate=policy.gate("orders"))
    start, _ = call(guarded, "/a", headers=[(b"x-api-key", b"ann")])
    assert headers(start)["ratelimit"].startswith('"client";r=2') and '"path";r=8' in headers(start)["ratelimit"]
    start, _ = call(guarded, "/a", client=("198.51.100.1", 5))
    assert headers(start)["ratelimit"].startswith('"client";r=2') and '"path";r=7' in headers(start)["ratelimit"]
    client, route = policy.limit("client"), policy.limit("path")
    assert isinstance(client, RateLimiter) and isinstance(route, RateLimiter)
    assert [client.peek(key).remaining for key in ("ann", "198.51.100.1")] == [2, 2] and route.peek("/a").remaining == 7
    own = TidegateMiddleware(plain, gate=policy.gate("orders"), key=lambda scope: "one")
    call(own, "/a")
    assert client.peek("one").remaining == 2


def test_a_request_belongs_to_a_partition() -> None:
    database = ConcurrencyLimiter(2, partitions={"live": 0.5, "batch": 0.5})
    gate = Gate("orders", concurrency={"database": database})
    held = [database.acquire(partition="batch"), database.acquire(partition="batch")]
    assert database.try_acquire("live") is None
    held.pop().release()
    by_route = TidegateMiddleware(plain, gate=gate, partition={"GET /live": "live", "* /jobs/*": "batch"})
    by_header = TidegateMiddleware(plain, gate=gate, partition=header("x-partition"))
    for guarded, asked, status in (
        (by_route, {"path": "/jobs/7"}, 503),
        (by_route, {"path": "/live"}, 200),
        (by_header, {"headers": [(b"x-partition", b"batch")]}, 503),
        (by_header, {"headers": [(b"x-partition", b"live")]}, 200),
        (TidegateMiddleware(plain, gate=gate, partition="live"), {}, 200),
    ):
        assert call(guarded, **asked)[0]["status"] == status, asked
    for wrong, error, text in (
        ("urgent", ConfigError, '"urgent" is none of "live", "batch"'),
        ({"GET /": "urgent"}, ConfigError, '"urgent" is none of'),
        ({"GET /": 7}, TypeError, "expected the name of a partition"),
    ):
        with pytest.raises(error, match=f"^partition.*: {text}"):
            TidegateMiddleware(plain, gate=gate, partition=wrong)
    with pytest.raises(ConfigError, match="^partition: it is one of a concurrency limiter"):
        TidegateMiddleware(plain, gate=Gate("orders"), partition="live")
    held.pop().release()


def test_a_leaky_bucket_s_turn_is_waited_for(clock: ManualClock) -> None:
    gate = Gate("orders", limits={"all": RateLimiter("1/s", queue=2, algorithm="leaky_bucket", clock=clock)})
    guarded = TidegateMiddleware(plain, gate=gate, key=lambda scope: "all")
    call(guarded)

    async def scene() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": None}
        task = asyncio.create_task(guarded(scope, None, send))  # type: ignore[arg-type]
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not sent
        clock.advance(1)
        await task
        assert sent[0]["status"] == 200

    run(scene())


# The outcomes, by the application's answer: each is given back where the gate refunds that one.
ENDS: dict[str, tuple[Any, str]] = {
    "200": (200, "success"),
    "404": (404, "success"),
    "429": (429, "failure"),
    "500": (500, "failure"),
    "503": (503, "dropped"),
    "504": (504, "dropped"),
    "an error": (ValueError("broken"), "failure"),
    "a timeout": (TimeoutError(), "dropped"),
    "no answer": (None, "cancelled"),
    "cancelled": (asyncio.CancelledError(), "cancelled"),
    "gone": ("gone", "cancelled"),
    "cut": (ConnectionResetError("cut"), "cancelled"),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("outcome", ["success", "failure", "dropped", "cancelled"])
def test_what_became_of_a_request(how: str, outcome: Any, clock: ManualClock) -> None:
    does, expected = ENDS[how]
    everyone, database = TokenBucket("5/hour", clock=clock), ConcurrencyLimiter(1)
    gate = Gate("orders", limits={"everyone": everyone}, concurrency=database, refund_on=[outcome])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert database.in_use == 1
        if isinstance(does, ConnectionResetError):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if isinstance(does, BaseException):
            raise does
        if does == "gone":
            assert (await receive())["type"] == "http.disconnect"
        if does is not None:
            await send({"type": "http.response.start", "status": 200 if does == "gone" else does, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if how == "cut":
            raise does

    async def scene() -> None:
        scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": None}
        await TidegateMiddleware(app, gate=gate)(scope, receive, send)

    if isinstance(does, BaseException):
        with pytest.raises(type(does)):
            run(scene())
    else:
        run(scene())
    assert database.in_use == 0 and everyone.peek().remaining == (5 if outcome == expected else 4)
    assert gate.stats().admitted == 1


@pytest.mark.parametrize(
    ("does", "status", "expected"),
    [("websocket.accept", None, "success"), ("websocket.close", None, "success"),
     ("websocket.http.response.start", 503, "dropped"), (None, None, "cancelled")],
)  # fmt: skip
@pytest.mark.parametrize("outcome", ["success", "dropped", "cancelled"])
def test_a_websocket_holds_its_permit_until_the_handshake_is_answered(
    does: str | None, status: int | None, expected: str, outcome: Any, clock: ManualClock
) -> None:
    everyone, database = TokenBucket("5/hour", clock=clock), ConcurrencyLimiter(1)
    gate = Gate("orders", limits={"everyone": everyone}, concurrency=database, refund_on=[outcome])
    held: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        held.append(database.in_use)
        if does is not None:
            await send({"type": does} if status is None else {"type": does, "status": status, "headers": []})
            held.append(database.in_use)

    call(TidegateMiddleware(app, gate=gate), kind="websocket")
    assert held == ([1] if does is None else [1, 0]) and database.in_use == 0
    assert everyone.peek().remaining == (5 if outcome == expected else 4)


def rubbish(scope: Any) -> Any:
    return object()


def broken(scope: Any) -> Any:
    raise RuntimeError("broken")


FUNCTIONS: dict[str, Any] = {
    "key": lambda say: {"key": {"client": say}},
    "cost": lambda say: {"cost": say},
    "priority": lambda say: {"priority": say},
    "user": lambda say: {"user": say},
    "dependencies": lambda say: {"dependencies": say},
    "deadline": lambda say: {"deadline": say},
    "skip": lambda say: {"skip": say},
}


@pytest.mark.parametrize("said", [rubbish, broken])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_raises_or_gives_rubbish_is_one_500_and_takes_nothing(name: str, said: Any) -> None:
    parts = Parts()
    gate = Gate(
        "orders",
        limits={"client": parts.client},
        concurrency={"database": parts.database},
        dependencies={"payment": parts.payment},
        shedder={"main": parts.shedder},
    )
    errors: list[Exception] = []

    async def note(request: Request, error: Exception) -> Any:
        errors.append(error)
        return PlainTextResponse("sorry", status_code=500)

    async def page(request: Request) -> Any:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", page)], exception_handlers={500: note})
    app.add_middleware(TidegateMiddleware, gate=gate, **FUNCTIONS[name](said))
    with served(app) as url:
        assert [answer.status for answer in ask(url, "/", "/healthz")] == [500, 404]
    assert len(errors) == 1 and (said is rubbish or str(errors[0]) == "broken")
    # The mistake is told by the argument's name.
    assert said is broken or str(errors[0]).startswith(f"{name}:"), errors
    assert parts.client.peek("127.0.0.1").remaining == 3 and parts.database.in_use == 0
    assert gate.stats().admitted == gate.stats().denied == 0


def test_on_refused_that_raises_is_an_error_and_holds_nothing(allowed: Parts) -> None:
    def said(scope: Any, refusal: Any) -> Any:
        raise RuntimeError("broken")

    guarded = TidegateMiddleware(plain, gate=allowed.gate, on_refused=said)
    for _ in range(3):
        call(guarded)
    with pytest.raises(RuntimeError, match="broken"):
        call(guarded)


def test_a_function_that_hangs_holds_nothing(allowed: Parts) -> None:
    async def scene() -> None:
        asked = asyncio.Event()

        async def key(scope: Any) -> str:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        guarded = TidegateMiddleware(plain, gate=allowed.gate, key={"client": key})
        scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": None}
        task = asyncio.create_task(guarded(scope, None, None))  # type: ignore[arg-type]
        await asyncio.wait_for(asked.wait(), PATIENCE)
        assert allowed.database.in_use == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scene())
    assert allowed.gate.stats().admitted == 0


async def read(url: str, path: str, gate: Any) -> tuple[int, bytes]:
    """Whatever comes; ``gate`` is awaited after the head."""
    async with aiohttp.ClientSession() as session, session.get(url + path) as response:
        await gate(response)
        return response.status, await response.read()


def streams(database: ConcurrencyLimiter, go_on: asyncio.Event, held: list[int]) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        held.append(database.in_use)
        yield b"one"
        await go_on.wait()
        held.append(database.in_use)
        yield b"two"

    async def after() -> None:
        # The piece that says that there are no more is out, too.
        held.append(database.in_use)

    async def page(request: Request) -> Any:
        return StreamingResponse(pieces(), background=BackgroundTask(after))

    async def more(request: Request) -> Any:
        go_on.set()
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/", page), Route("/healthz", more)])


@pytest.mark.parametrize(("outcome_at", "expected"), [("body", [1, 1, 0]), ("headers", [0, 0, 0])])
def test_the_permit_is_held_until_the_body_or_the_headers_are_out(
    allowed: Parts, outcome_at: Any, expected: list[int]
) -> None:
    held: list[int] = []
    app = streams(allowed.database, asyncio.Event(), held)
    app.add_middleware(TidegateMiddleware, gate=allowed.gate, outcome_at=outcome_at)
    with served(app) as url:

        async def scene() -> None:
            async def halfway(response: Any) -> None:
                assert await response.content.readany() == b"one"
                # The first piece is sent by now, and nothing waits but the second.
                assert allowed.database.in_use == expected[1]
                async with aiohttp.ClientSession() as session, session.get(url + "/healthz") as other:
                    assert other.status == 200

            assert await read(url, "/", halfway) == (200, b"two")

        run(scene())
        wait_until(lambda: len(held) == 3)
    # Starlette asks for the first piece before the head is out where it may.
    assert held[1:] == expected[1:]


def test_a_hint_is_not_the_headers(clock: ManualClock) -> None:
    everyone, database = TokenBucket("5/hour", clock=clock), ConcurrencyLimiter(1)
    gate = Gate("orders", limits={"everyone": everyone}, concurrency=database, refund_on=["dropped"])
    held: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (
            {"type": "http.response.early_hint", "links": []},
            {"type": "http.response.start", "status": 503, "headers": []},
            {"type": "http.response.body", "body": b""},
        ):
            await send(message)
            held.append(database.in_use)

    call(TidegateMiddleware(app, gate=gate, outcome_at="headers"))
    assert held == [1, 0, 0] and everyone.peek().remaining == 5


def test_all_of_a_client_that_has_gone_comes_back_once(allowed: Parts) -> None:
    gate = Gate(
        "orders", limits={"client": allowed.client}, concurrency={"database": allowed.database}, refund_on=["cancelled"]
    )
    app = streams(allowed.database, asyncio.Event(), [])
    app.add_middleware(TidegateMiddleware, gate=gate)
    with served(app) as url:

        async def scene() -> None:
            for _ in range(5):
                async with aiohttp.ClientSession() as session:
                    response = await session.get(url + "/")
                    assert await response.content.readany() == b"one"
                    assert (response.status, allowed.database.in_use) == (200, 1)
                    response.close()
                while allowed.database.in_use or allowed.left("127.0.0.1") < 3:
                    await asyncio.sleep(0.001)

        run(scene())
    assert gate.stats().admitted == 5


def shop(gate: Gate, dependency: Any, **options: Any) -> FastAPI:
    app, database = FastAPI(), gate.concurrency
    app.state.seen = []
    assert database is not None

    def seen() -> None:
        app.state.seen.append(database.in_use)

    @app.get("/pay")
    async def pay(tasks: BackgroundTasks, admission: Admission = dependency) -> dict[str, int]:
        seen()
        with admission.breaker("payment"):
            tasks.add_task(seen)
            return {"left": admission.remaining}

    @app.get("/raise/{status}")
    async def fail(status: int, admission: Admission = dependency) -> None:
        raise HTTPException(status)

    @app.get("/broken")
    async def broken(admission: Admission = dependency) -> None:
        raise ValueError("broken")

    @app.get("/stream")
    def stream(admission: Admission = dependency) -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            seen()
            yield b"ok"

        return StreamingResponse(pieces())

    @app.get("/plain", dependencies=[dependency])
    def in_a_thread() -> Any:
        return JSONResponse("ok")

    install_exception_handlers(app, **options)
    return app


def test_a_route_has_what_the_middleware_was_given(allowed: Parts) -> None:
    app = shop(allowed.gate, Depends(admitted("orders")))
    app.add_middleware(TidegateMiddleware, gate=allowed.gate)
    with served(app) as url:
        answers = ask(url, "/pay")
        wait_until(lambda: len(app.state.seen) == 2)
        answers += ask(url, "/stream")
        assert [answer.status for answer in answers] == [200, 200] and answers[0].json() == {"left": 2}
        assert answers[1].headers.getall("ratelimit") == ['"client";r=1;t=40']
    # Held while the body is sent, and not in what comes after the answer.
    assert app.state.seen == [1, 0, 1] and allowed.left("127.0.0.1") == 1
    assert (allowed.payment.stats().calls, allowed.payment.stats().failed) == (1, 0)


def test_a_route_asks_a_gate_of_its_own(allowed: Parts) -> None:
    app = shop(allowed.gate, Depends(admitted(allowed.gate, key={"client": header("x-user")}, cost=3)))
    with served(app) as url:
        answer = ask(url, "/pay", headers={"x-user": "ann"})[0]
        wait_until(lambda: len(app.state.seen) == 2)
        assert answer.status == 200 and answer.headers["ratelimit"] == '"client";r=0;t=60'
        assert ask(url, "/stream", headers={"x-user": "ben"})[0].status == 200
        # Held until the route has returned: not in background tasks, and not while a body is streamed.
        assert app.state.seen == [1, 0, 0]
        answer = ask(url, "/plain", headers={"x-user": "ann"})[0]
        assert answer.status == 429 and answer.headers["retry-after"] == "60"
        assert answer.headers["ratelimit"] == '"client";r=0;t=60'
        assert answer.json()["violated-policies"] == ["client"]
        # What failed costs nothing: 500 does, 404 is an answer, 503 a drop.
        ends = [("/broken", "c", 500, 3), ("/raise/404", "d", 404, 0), ("/raise/500", "e", 500, 3)]
        for path, user, status, left in [*ends, ("/raise/503", "f", 503, 0)]:
            assert ask(url, path, headers={"x-user": user})[0].status == status
            wait_until(lambda: allowed.database.in_use == 0)
            assert allowed.left(user) == left, path


def test_a_route_s_refusal_is_the_part_s_own(parts: Parts) -> None:
    gate = Gate(
        "orders",
        limits={"client": parts.client},
        concurrency={"database": ConcurrencyLimiter(1)},
        queue={"jobs": parts.queue},
        dependencies={"payment": parts.payment},
        access=AccessList(deny=["key:eve"]),
    )
    options: dict[str, Any] = {"key": {"client": header("x-user")}, "dependencies": {"GET /pay": ["payment"]}}
    app = shop(gate, Depends(admitted(gate, **options)), overload_status=529)
    assert isinstance(gate.concurrency, ConcurrencyLimiter)

    def refused(url: str, path: str = "/plain", **fields: str) -> tuple[int, str | None, Any]:
        answer = ask(url, path, headers={"x-user": "ann", **fields})[0]
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status, answer.headers.get("retry-after"), answer.json()["violated-policies"]

    with served(app) as url:
        assert refused(url, **{"x-user": "eve"}) == (403, None, ["access"])
        assert refused(url, **{"x-request-timeout-ms": "0"}) == (504, None, ["deadline"])
        parts.payment.acquire().failure()
        assert refused(url, "/pay") == (529, "30", ["payment"])
        with gate.concurrency.acquire():
            assert refused(url) == (529, "1", ["database"])
        parts.queue.try_push(1)
        assert refused(url) == (529, "1", ["jobs"])
        parts.queue.try_pop()
        assert [answer.status for answer in ask(url, *["/plain"] * 3, headers={"x-user": "ann"})] == [200] * 3
        assert refused(url) == (429, "20", ["client"])


def test_a_gate_s_fields_stand_beside_those_of_other_limits(allowed: Parts) -> None:
    app = FastAPI()
    limit = Depends(RateLimit("5/hour", name="route"))

    @app.get("/", dependencies=[Depends(admitted(allowed.gate)), limit])
    async def route() -> str:
        return "ok"

    with served(app) as url:
        answer = ask(url, "/")[0]
        assert "client" in answer.headers["ratelimit"] + str(answer.headers.getall("ratelimit"))
        assert "route" in str(answer.headers.getall("ratelimit"))


def test_mistakes_of_a_dependency(allowed: Parts) -> None:
    with pytest.raises(ConfigError, match="^cost: the middleware asks gate 'orders'"):
        admitted("orders", cost=2)
    with pytest.raises(TypeError, match="^gate: expected a Gate, got int"):
        admitted(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^admitted\(\) has no option 'keys'"):
        admitted(allowed.gate, keys={})  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="a dependency stands in Depends"):
        FastAPI(dependencies=[admitted("orders")]).get("/")(lambda: None)  # type: ignore[list-item]
    app = shop(allowed.gate, Depends(admitted("orders")))
    with served(app) as url:
        # Nobody was asked: the application's mistake.
        assert ask(url, "/plain")[0].status == 500


def test_below_a_mount_routes_are_the_application_s_own(parts: Parts) -> None:
    gate = Gate("orders", dependencies={"payment": parts.payment})
    parts.payment.acquire().failure()

    async def page(request: Request) -> Any:
        return PlainTextResponse("ok")

    inner = TidegateMiddleware(
        Starlette(routes=[Route("/orders", page), Route("/list", page)]),
        gate=gate,
        dependencies={"GET /orders": ["payment"]},
    )
    with served(Starlette(routes=[Mount("/shop", inner)])) as url:
        assert [answer.status for answer in ask(url, "/shop/orders", "/shop/list")] == [503, 200]
