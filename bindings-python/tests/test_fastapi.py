"""Real FastAPI on real uvicorn over real HTTP: middleware, dependencies, exception handlers, CORS."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

import aiohttp
import pytest
from conftest import run
from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from served import Answer, ask, served, statuses
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimitError,
    ConfigError,
    Decision,
    LimitSet,
    OverloadedError,
    RetryBudgetExceededError,
    ThrottledError,
    Permit,
    QueueFullError,
    RateLimitedError,
    RateLimiter,
    Timeout,
    TimeoutExceededError,
    TokenBucket,
)
from tidegate.asgi import TidegateMiddleware
from tidegate.fastapi import RateLimit, RouteLimitedError, breaker, install_exception_handlers, limit
from tidegate.keys import client_ip


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_flash_sale_over_real_http(http: str) -> None:
    app = FastAPI()
    app.add_middleware(TidegateMiddleware, limit=TokenBucket("1/hour", burst=40))

    @app.post("/orders", status_code=202)
    async def order(body: dict[str, int]) -> dict[str, int]:
        return body

    async def sale(url: str) -> list[Answer]:
        async with aiohttp.ClientSession() as session:

            async def post(n: int) -> Answer:
                async with session.post(url + "/orders", json={"n": n}) as response:
                    return Answer(response.status, response.headers, await response.read())

            return await asyncio.gather(*(post(n) for n in range(100)))

    with served(app, http) as url:
        answers = run(sale(url))
    assert sorted(statuses(answers)) == [202] * 40 + [429] * 60
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers["content-type"] == "application/problem+json"
    # 40 an hour fill the bucket in 40 hours; one token comes back within the hour.
    assert 3500 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit-policy"] == '"default";q=40;w=144000'
    assert refused.json()["status"] == 429
    assert all("ratelimit" in answer.headers for answer in answers)


def cors_app(limiter_last: bool) -> FastAPI:
    app = FastAPI()
    cors = {"allow_origins": ["https://shop.example"], "expose_headers": ["Retry-After", "RateLimit"]}
    limit = {"limit": TokenBucket("1/hour")}
    if limiter_last:
        app.add_middleware(CORSMiddleware, **cors)
        app.add_middleware(TidegateMiddleware, **limit)
    else:
        app.add_middleware(TidegateMiddleware, **limit)
        app.add_middleware(CORSMiddleware, **cors)
    app.get("/")(lambda: {"ok": True})
    return app


def test_inside_cors_a_browser_can_read_the_refusal() -> None:
    origin = {"Origin": "https://shop.example"}
    with served(cors_app(limiter_last=False)) as url:
        first, refused = ask(url, "/", "/", headers=origin)
        (preflight,) = ask(url, "/", method="OPTIONS", headers={**origin, "Access-Control-Request-Method": "GET"})
    assert (first.status, refused.status, preflight.status) == (200, 429, 200)
    for answer in (first, refused):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
    with served(cors_app(limiter_last=True)) as url:
        _, outside = ask(url, "/", "/", headers=origin)
    assert outside.status == 429 and "access-control-allow-origin" not in outside.headers, "as the README warns"


def test_route_limits_without_handlers_are_429_too() -> None:
    for handlers in (False, True):
        app = FastAPI()
        if handlers:
            install_exception_handlers(app)
        app.get("/login", dependencies=[Depends(RateLimit("2/hour", name="login"))])(lambda: {"ok": True})
        app.get("/heavy", dependencies=[Depends(RateLimit(TokenBucket("10/hour"), cost=6))])(lambda: {"ok": True})
        app.get("/free")(lambda: {"ok": True})
        with served(app) as url:
            answers = ask(url, *["/login"] * 3, "/heavy", "/heavy", "/free")
        assert statuses(answers) == [200, 200, 429, 200, 429, 200]
        refused = answers[2]
        assert 1700 <= int(refused.headers["retry-after"]) <= 1800
        assert refused.headers["ratelimit-policy"] == '"login";q=2;w=3600'
        assert refused.headers["ratelimit"].startswith('"login";r=0;t=')
        if handlers:
            assert refused.json()["violated-policies"] == ["login"]
            assert refused.headers["content-type"] == "application/problem+json"
        else:
            detail = refused.json()["detail"]
            assert detail.startswith('bucket "login" (2/hour) refused 1 token: try again in 17')


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
@pytest.mark.parametrize("own", [False, True])
def test_a_group_of_refusals_is_answered_as_one(own: bool) -> None:
    app = FastAPI()
    install_exception_handlers(app)
    if own:

        @app.exception_handler(CircuitOpenError)
        def on_open(request: Request, error: CircuitOpenError) -> PlainTextResponse:
            return PlainTextResponse(f"again in {error.retry_after:.0f} s", 418)

    inner = FastAPI()
    app.mount("/inner", inner)

    @app.get("/{what}")
    @inner.get("/{what}")
    async def route(what: str) -> None:
        errors: list[Exception] = [OverloadedError(retry_after=2)]
        if what != "shed":
            errors += [RateLimitedError("no", 5.0), CircuitOpenError("bank", 7.0)]
        if what == "bug":
            errors.append(KeyError("bank"))
        if what == "late":
            errors = [TimeoutExceededError(), TimeoutExceededError()]

        async def fail(error: Exception) -> None:
            raise error

        async with asyncio.TaskGroup() as group:
            for error in errors:
                group.create_task(fail(error))

    with served(app) as url:
        answers = ask(url, "/shed", "/several", "/inner/several", "/bug", "/late")
    assert statuses(answers) == [503, *([418] if own else [503]), 503, 500, 504]
    assert answers[0].headers["retry-after"] == "2" and answers[2].headers["retry-after"] == "7"
    assert answers[1].body == b"again in 7 s" if own else answers[1].headers["retry-after"] == "7"


@pytest.mark.parametrize("overload_status", [503, 429])
def test_what_routes_raise_is_never_a_500(overload_status: int) -> None:
    app = FastAPI()
    install_exception_handlers(app, overload_status=overload_status)
    full: BoundedQueue[int] = BoundedQueue(1, retry_after=4.2)
    full.push(1)
    closed: BoundedQueue[int] = BoundedQueue(1)
    closed.close()
    circuit = CircuitBreaker("payment", cooldown=120)
    circuit.force_open()
    bucket = TokenBucket("1/hour")
    bucket.acquire()

    @app.get("/{what}")
    async def route(what: str) -> None:
        if what == "full":
            full.push(2, timeout=0)
        elif what == "closed":
            closed.push(2)
        elif what == "empty":
            await BoundedQueue[int](1).pop_async(timeout=0)
        elif what == "open":
            circuit.acquire()
        elif what == "limited":
            await bucket.acquire_async(timeout=0)
        elif what == "shed":
            raise OverloadedError(retry_after=2)
        elif what == "busy":
            raise ConcurrencyLimitError(retry_after=0.2)
        elif what == "throttled":
            raise ThrottledError(retry_after=3)
        elif what == "spent":
            raise RetryBudgetExceededError(retry_after=4)

    paths = ["/full", "/closed", "/empty", "/open", "/limited", "/shed", "/busy", "/throttled", "/spent"]
    with served(app) as url:
        answers = ask(url, *paths)
    assert statuses(answers) == [overload_status] * 4 + [429] + [overload_status] * 4
    retry = [int(answer.headers["retry-after"]) for answer in answers]
    assert retry[0] == 5 and retry[3] == 3600 and 3500 < retry[4] <= 3600 and retry[5:] == [2, 1, 3, 4]
    for answer in answers:
        problem = answer.json()
        assert problem["status"] == answer.status and problem["title"] and "Traceback" not in answer.body.decode()


def test_a_timeout_is_a_gateway_timeout() -> None:
    app, own, mounted, handling = FastAPI(), FastAPI(), FastAPI(), FastAPI()

    async def handled(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse("own", 599)

    async def slow() -> None:
        await Timeout(total=0.01).call_async(lambda: asyncio.sleep(60))

    async def told() -> None:
        raise TimeoutExceededError("later", 2.5)

    own.add_exception_handler(TimeoutError, handled)
    handling.add_exception_handler(TimeoutError, handled)
    for one in (app, own, mounted, handling):
        one.add_api_route("/slow", slow)
        one.add_api_route("/told", told)
    app.mount("/mounted", mounted)
    app.mount("/handling", handling)
    for one in (app, own):
        install_exception_handlers(one)
    with served(app) as url:
        answers = ask(url, "/slow", "/told", "/mounted/slow", "/handling/slow")
    assert statuses(answers) == [504, 504, 504, 599]
    assert [answer.headers.get("retry-after") for answer in answers] == [None, "3", None, None]
    problem = {"type": "about:blank", "title": "Gateway Timeout", "status": 504}
    assert problem.items() <= answers[0].json().items()
    with served(own) as url:
        assert statuses(ask(url, "/slow")) == [599], "the application answers timeouts by itself"


def test_a_breaker_guards_a_route() -> None:
    app = FastAPI()
    install_exception_handlers(app)
    guard = breaker(CircuitBreaker("orders", consecutive_failures=2, cooldown=60))

    @app.get("/pay/{how}", dependencies=[Depends(guard)])
    async def pay(how: str) -> dict[str, bool]:
        if how == "missing":
            raise HTTPException(404)
        if how == "bad-gateway":
            raise HTTPException(502)
        return {"paid": True}

    @app.get("/degraded")
    async def degraded(permit: Permit = Depends(guard)) -> dict[str, bool]:
        permit.failure()
        return {"paid": False}

    @app.get("/number/{n}", dependencies=[Depends(guard)])
    async def number(n: int) -> int:
        return n

    with served(app) as url:
        first = ask(url, "/pay/ok", "/pay/missing", "/number/x", "/pay/missing", "/number/y")
        assert statuses(first) == [200, 404, 422, 404, 422]
        assert (guard.breaker.state, guard.breaker.stats().calls) == ("closed", 1)
        second = ask(url, "/pay/bad-gateway", "/degraded", "/pay/ok")
    assert statuses(second) == [502, 200, 503]
    assert 50 <= int(second[2].headers["retry-after"]) <= 60
    assert guard.breaker.state == "open"


def test_websocket_routes_are_refused_at_the_handshake() -> None:
    app = FastAPI()
    install_exception_handlers(app)

    @app.websocket("/ws", dependencies=[Depends(RateLimit("1/hour"))])
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    async def scene(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url + "/ws") as socket:
                assert await socket.receive_str() == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url + "/ws")
            assert caught.value.status == 429 and caught.value.headers and "retry-after" in caught.value.headers

    with served(app) as url:
        run(scene(url))


def test_the_middleware_refuses_websockets_over_the_wire() -> None:
    app = FastAPI()
    app.add_middleware(TidegateMiddleware, limit="1/hour")

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    async def scene(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url + "/ws"):
                pass
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url + "/ws")
            assert caught.value.status == 429

    with served(app) as url:
        run(scene(url))


def test_one_name_is_one_breaker() -> None:
    first = breaker("stock", cooldown=5).breaker
    assert breaker("stock").breaker is first
    assert breaker("stock", cooldown=5).breaker is first
    with pytest.raises(ConfigError, match="'stock': already made with other settings"):
        breaker("stock", cooldown=6)
    with pytest.raises(ConfigError, match="already has its settings"):
        breaker(first, cooldown=5)
    with pytest.raises(TypeError, match="expected a name or a CircuitBreaker"):
        breaker(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: RateLimit(TokenBucket("5/s"), key=lambda scope: "x"),
            ConfigError,
            "key: this limit is one for everybody",
        ),
        (lambda: RateLimit("5/minute", cost=6), ConfigError, "cost: must be 1 to the burst"),
        (lambda: RateLimit("5/minute", cost=0), ConfigError, "cost: must be 1"),
        (
            lambda: RateLimit("5/minute", cost=True),
            TypeError,
            "cost: expected an int or a function of the ASGI scope, got",
        ),
        (lambda: RateLimit("often"), ConfigError, "rate: "),
        (lambda: RateLimit(5), TypeError, "limit: expected a rate"),
        (lambda: RateLimit(TokenBucket("5/s"), burst=3), ConfigError, "burst: the TokenBucket already has one"),
    ],
)
def test_wrong_arguments_say_what_would_do(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_route_errors_pickle() -> None:
    import pickle

    error = RouteLimitedError(12.5, [(b"ratelimit", b'"x";r=0;t=1')], "x")
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.retry_after, twin.headers, twin.status_code) == (12.5, error.headers, 429)
    assert isinstance(twin, RateLimitedError) and str(twin) == 'limit "x" refused the request: try again in 12.5 s'
    assert not isinstance(twin, QueueFullError)
    told = RouteLimitedError(1.5, policy="x", refusal='limiter "x" (2/s) refused 1 token')
    assert str(pickle.loads(pickle.dumps(told))) == 'limiter "x" (2/s) refused 1 token: try again in 1.5 s'
    assert told.detail == "Too many requests", "a client that is told no policy is told none here"


class Foreign:
    """A limit of somebody else's, of which nothing is known but its answers."""

    def __init__(self) -> None:
        self._bucket = TokenBucket("2/hour")

    def check(self, n: int = 1) -> Decision:
        return self._bucket.check(n)


plans = RateLimiter("2/hour", fastest="9/hour")


@pytest.mark.parametrize("own_first", [False, True])
def test_the_application_s_own_handlers_stay(own_first: bool) -> None:
    app = FastAPI()

    async def own(request: Request, error: Exception) -> Response:
        return Response("own", 429)

    if own_first:
        app.add_exception_handler(RateLimitedError, own)
    install_exception_handlers(app, overload_status=500)
    install_exception_handlers(app, overload_status=502)
    if not own_first:
        app.add_exception_handler(RateLimitedError, own)
    app.get("/", dependencies=[Depends(RateLimit("1/hour"))])(lambda: None)

    @app.get("/full")
    async def full() -> None:
        raise QueueFullError

    with served(app) as url:
        answers = ask(url, "/", "/", "/full")
    assert statuses(answers) == [200, 429, 502] and answers[1].body == b"own"


async def two(scope: Any) -> int:
    return 2


@pytest.mark.parametrize(
    ("limited", "options", "text"),
    [
        ("2/hour", {"name": "login"}, 'bucket "login" (2/hour) refused 2 tokens'),
        ("2/hour", {"key": client_ip}, 'limiter "default" (2/hour) refused 2 tokens'),
        (plans.tier("1/hour", burst=3), {}, 'limiter "default" (1/hour, burst 3) refused 2 tokens'),
        (LimitSet(all=TokenBucket("2/hour"), each=RateLimiter("9/s")), {}, 'bucket "all" (2/hour) refused 2 tokens'),
        (Foreign(), {"name": "own"}, 'limit "own" refused the request'),
    ],
)
def test_refusals_of_routes_name_the_limit_and_its_quota(limited: Any, options: Any, text: str) -> None:
    seen: list[str] = []
    app = FastAPI()

    @app.exception_handler(RouteLimitedError)
    async def remember(request: Request, error: Exception) -> Response:
        seen.append(str(error))
        return Response(status_code=429)

    @app.get("/")
    @limit(limited, cost=two, **options)
    async def route() -> None: ...

    with served(app) as url:
        assert statuses(ask(url, "/", "/")) == [200, 429]
    assert seen[0].startswith(text + ": try again in "), seen


def test_dependencies_have_types_for_annotations() -> None:
    """FastAPI before 0.121 reads no texts at an object that it calls: the connection would be a parameter of the query.
    """
    limited = inspect.signature(limit("1/s")(lambda: "ok")).parameters["tidegate_limit"]
    stacked = limited.default.dependency
    for dependency in (RateLimit("1/s"), stacked, breaker("typed")):
        for parameter in inspect.signature(dependency).parameters.values():
            assert not isinstance(parameter.annotation, str), (dependency, parameter)
