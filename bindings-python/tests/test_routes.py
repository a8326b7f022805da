"""Limits of single routes over real HTTP: FastAPI's dependency and decorator, Starlette's decorator, and the
middleware.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Annotated, Any

import aiohttp
import pytest
from conftest import run
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from tidegate import CircuitBreaker, Gate, LimitSet, LoadShedder, Permit, RateLimiter, TokenBucket
from tidegate import starlette as plain
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import Charge, RateLimit, Shedding, admitted, breaker, install_exception_handlers, limit
from tidegate.keys import client_ip, first_of, header, user

ANN, BEN = ({"headers": {"X-User": name}} for name in ("ann", "ben"))
by_user = header("x-user")


def test_a_dependency_limits_by_key_and_tells_on_success() -> None:
    app = FastAPI()
    app.get("/", dependencies=[Depends(RateLimit("2/hour", key=by_user, name="each"))])(lambda: {"ok": True})
    with served(app) as url:
        ann, ben = ask(url, "/", "/", "/", **ANN), ask(url, "/", **BEN)
    assert statuses(ann) == [200, 200, 429] and statuses(ben) == [200]
    assert [answer.headers["ratelimit"][:12] for answer in ann] == ['"each";r=1;t', '"each";r=0;t', '"each";r=0;t']
    assert ben[0].headers["ratelimit-policy"] == '"each";q=2;w=3600'


def test_one_limiter_for_several_routes_and_sets() -> None:
    app, shared = FastAPI(), RateLimiter("2/hour")
    install_exception_handlers(app)
    both = LimitSet(user=shared, everyone=TokenBucket("100/hour"))
    app.get("/a", dependencies=[Depends(RateLimit(shared, key=by_user))])(lambda: 1)
    app.get("/b", dependencies=[Depends(RateLimit(both, key=by_user))])(lambda: 1)
    with served(app) as url:
        answers = ask(url, "/a", "/b", "/a", "/b", **ANN)
    assert statuses(answers) == [200, 200, 429, 429]
    assert (
        answers[1].headers["ratelimit"].startswith('"user";r=0;t=')
        and '"everyone";r=99' in answers[1].headers["ratelimit"]
    )
    assert answers[3].json()["violated-policies"] == ["user"]


def test_a_user_known_by_a_dependency() -> None:
    app = FastAPI()

    async def current_user(request: Request) -> str:
        if "x-user" not in request.headers:
            raise HTTPException(401)
        request.state.user = request.headers["x-user"]
        return request.headers["x-user"]

    # Dependencies run in the order in which they stand.
    limited = RateLimit("1/hour", key=lambda scope: scope["state"]["user"])

    @app.get("/", dependencies=[Depends(current_user), Depends(limited)])
    async def route() -> str:
        return "ok"

    with served(app) as url:
        assert statuses(ask(url, "/", "/", **ANN)) == [200, 429]
        assert statuses(ask(url, "/", "/")) == [401, 401], "who is nobody counts nowhere"
        assert statuses(ask(url, "/", **BEN)) == [200]


def decorated() -> FastAPI:
    app = FastAPI()

    async def slow_key(scope: Any) -> str | None:
        await asyncio.sleep(0)
        return by_user(scope)  # type: ignore[return-value]

    @app.get("/async/{n}")
    @limit("2/hour", key=slow_key)
    async def asynchronous(n: int, q: str = "x") -> dict[str, Any]:
        """Its own words."""
        return {"n": n, "q": q}

    @app.get("/sync")
    @limit("2/hour", key=slow_key, name="sync")
    def synchronous(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.method)

    @app.get("/both")
    @limit("3/hour", key=by_user, name="outer")
    @limit("2/hour", key=by_user, name="inner")
    async def both() -> str:
        return "both"

    @app.websocket("/ws")
    @limit("1/hour")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    return app


def test_the_decorator_needs_no_request() -> None:
    app = decorated()
    with served(app) as url:
        asynchronous, synchronous = ask(url, *["/async/7?q=y"] * 3, **ANN), ask(url, *["/sync"] * 3, **ANN)
        both = ask(url, *["/both"] * 3, **ANN)
        assert statuses(ask(url, "/async/1", "/sync", "/both", **BEN)) == [200] * 3
        assert statuses(ask(url, "/async/seven", **BEN)) == [422]
        schema = ask(url, "/openapi.json")[0].json()
    assert statuses(asynchronous) == statuses(synchronous) == statuses(both) == [200, 200, 429]
    assert asynchronous[0].json() == {"n": 7, "q": "y"} and synchronous[0].body == b"GET"
    assert asynchronous[0].headers["ratelimit"].startswith('"default";r=1')
    assert synchronous[1].headers["ratelimit"].startswith('"sync";r=0'), "a Response of the route's own tells too"
    assert len(synchronous[1].headers.getall("ratelimit")) == 1
    (told,) = both[0].headers.getall("ratelimit")
    assert told.startswith('"outer";r=2;t=') and ', "inner";r=1;t=' in told
    operation = schema["paths"]["/async/{n}"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["n", "q"]
    assert operation["description"] == "Its own words.", "the schema knows nothing of the limit"


def test_the_decorator_on_a_websocket() -> None:
    async def scene(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url + "/ws") as socket:
                assert await socket.receive_str() == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url + "/ws")
            assert caught.value.status in (403, 429)

    app = decorated()
    install_exception_handlers(app)
    with served(app) as url:
        run(scene(url))


def test_a_decorated_route_outside_of_a_route() -> None:
    @limit("1/hour")
    async def route() -> str:
        return "ok"

    with pytest.raises(RuntimeError, match=r"not called by FastAPI.*__wrapped__"):
        run(route())
    assert run(route.__wrapped__()) == "ok"  # type: ignore[attr-defined]


def test_a_charge_is_given_back_by_the_route() -> None:
    app = FastAPI()

    @app.post("/login/{word}")
    async def login(word: str, charge: Annotated[Charge, Depends(RateLimit("2/hour", key=client_ip))]) -> str:
        if word != "right":
            raise HTTPException(401)
        charge.refund()
        return "in"

    with served(app) as url:
        words = ["wrong", "right", "right", "wrong", "right"]
        assert statuses(ask(url, *[f"/login/{word}" for word in words], method="POST")) == [401, 200, 200, 401, 429]


@pytest.mark.parametrize("outer", ["middleware", "rule"])
def test_counted_once_where_middleware_and_route_both_apply(outer: str) -> None:
    app, shared = FastAPI(), RateLimiter("3/hour")
    if outer == "rule":
        app.add_middleware(TidegateMiddleware, rules=[Rule("GET", "/*", limit=shared, name="default")])
    else:
        app.add_middleware(TidegateMiddleware, limit=shared)
    app.get("/depends", dependencies=[Depends(RateLimit(shared))])(lambda: 1)
    app.get("/decorated")(limit(shared)(lambda: 1))
    with served(app) as url:
        answers = ask(url, "/depends", "/decorated", "/depends", "/decorated")
    assert statuses(answers) == [200, 200, 200, 429]
    assert [answer.headers.getall("ratelimit") for answer in answers[:1]] == [['"default";r=2;t=1200']]


def test_a_route_that_is_stricter_than_what_stands_around_it() -> None:
    plans, bucket = RateLimiter("60/hour", fastest="600/hour"), TokenBucket("20/hour")
    strict = plans.tier("2/hour")
    app = FastAPI()
    app.get("/tier")(limit(strict, key=client_ip)(lambda: 1))
    app.get("/stacked")(limit(plans, key=by_user)(limit(strict, key=by_user)(lambda: 1)))
    app.get("/cost", dependencies=[Depends(RateLimit(bucket, cost=10))])(lambda: 1)
    app.add_middleware(TidegateMiddleware, limit=plans, key=client_ip)
    app.add_middleware(TidegateMiddleware, limit=bucket)
    with served(app) as url:
        assert statuses(ask(url, "/cost", "/cost", "/cost")) == [200, 200, 429]
        bucket.reset()
        plans.reset_all()
        assert statuses(ask(url, "/tier", "/tier", "/tier")) == [200, 200, 429]
        bucket.reset()
        plans.reset_all()
        assert statuses(ask(url, "/stacked", "/stacked", "/stacked", **ANN)) == [200, 200, 429]


def test_what_clients_do_opens_no_circuit() -> None:
    bank = CircuitBreaker("clients", consecutive_failures=2)
    app = FastAPI()

    @app.get("/missing", dependencies=[Depends(breaker(bank))])
    async def missing() -> None:
        raise StarletteHTTPException(404)

    @app.websocket("/talk")
    async def talk(websocket: WebSocket, permit: Permit = Depends(breaker(bank))) -> None:
        await websocket.accept()
        await websocket.receive_text()

    async def hang_up(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.ws_connect(f"{url}/talk"):
                    pass

    with served(app) as url:
        assert statuses(ask(url, *["/missing"] * 4)) == [404] * 4
        run(hang_up(url))
        assert statuses(ask(url, "/missing")) == [404]
    assert (bank.state, bank.stats().failed) == ("closed", 0)


def test_fields_of_a_route_reach_every_answer_through_the_middleware() -> None:
    app = FastAPI()
    app.add_middleware(TidegateMiddleware, limit="100/hour")
    own = Depends(RateLimit("5/hour", key=client_ip, name="own"))

    @app.get("/stream", dependencies=[own])
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for n in range(3):
                yield b"%d" % n

        return StreamingResponse(parts())

    @app.get("/missing", dependencies=[own])
    async def missing() -> None:
        raise HTTPException(404)

    with served(app) as url:
        answers = ask(url, "/stream", "/missing")
    assert statuses(answers) == [200, 404] and answers[0].body == b"012"
    for answer in answers:
        assert [field[:9] for field in answer.headers.getall("ratelimit")] == [
            '"default"',
            '"own";r=4' if answer is answers[0] else '"own";r=3',
        ]


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> Any:
        name = conn.headers.get("x-user")
        return (AuthCredentials(), SimpleUser(name)) if name else None


@pytest.mark.parametrize("inside", [True, False])
def test_order_relative_to_authentication(inside: bool) -> None:
    async def home(request: Any) -> JSONResponse:
        return JSONResponse(1)

    app = Starlette(routes=[Route("/", home)])
    order: list[Any] = [
        (TidegateMiddleware, {"limit": "1/hour", "key": first_of(user, client_ip)}),
        (AuthenticationMiddleware, {"backend": ByHeader()}),
    ]
    # What is added last stands outermost.
    for middleware, options in order if inside else reversed(order):
        app.add_middleware(middleware, **options)
    with served(app) as url:
        answers = [*ask(url, "/", **ANN), *ask(url, "/", **BEN), *ask(url, "/", **ANN)]
    assert statuses(answers) == ([200, 200, 429] if inside else [200, 429, 429]), (
        "outside there is no user, only an address"
    )


def test_starlette_endpoints() -> None:
    @plain.limit("2/hour", key=by_user, name="async")
    async def asynchronous(request: Any) -> JSONResponse:
        return JSONResponse(1)

    async def slow_key(scope: Any) -> str | None:
        await asyncio.sleep(0)
        return by_user(scope)  # type: ignore[return-value]

    @plain.limit("2/hour", key=slow_key)
    def synchronous(request: Any) -> JSONResponse:
        return JSONResponse(2)

    @plain.limit("1/hour")
    async def talk(socket: Any) -> None:
        await socket.accept()
        await socket.close()

    app = Starlette(routes=[Route("/a", asynchronous), Route("/s", synchronous), WebSocketRoute("/ws", talk)])
    plain.install_exception_handlers(app)
    with served(app) as url:
        for path in ("/a", "/s"):
            answers = ask(url, path, path, path, **ANN)
            assert statuses(answers) == [200, 200, 429] and statuses(ask(url, path, **BEN)) == [200]
            assert "r=1;t=" in answers[0].headers["ratelimit"] and answers[2].json()["status"] == 429

        async def scene() -> None:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(url + "/ws"):
                    pass
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await session.ws_connect(url + "/ws")
                assert caught.value.status == 429

        run(scene())
    with pytest.raises(RuntimeError, match="called without a request"):
        run(asynchronous("no request"))


def legacy(answer: Any) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in answer.headers.items() if name.lower().startswith("x-ratelimit-")]


@pytest.mark.parametrize("kind", ["decorator", "dependencies", "response", "stack"])
def test_old_clients_are_told_of_one_limit(kind: str) -> None:
    """X-RateLimit-* given twice would be one value, "10, 2", to a client: of several limits the one with the least left
    is told.
    """
    old: Any = {"legacy_headers": True}
    app = FastAPI()
    install_exception_handlers(app)
    app.add_middleware(TidegateMiddleware, limit="9/hour", **old)
    app.add_middleware(TidegateMiddleware, limit="10/hour", name="outer", **old)
    if kind == "decorator":
        app.get("/")(limit("2/hour", **old)(lambda: "ok"))
    elif kind == "dependencies":
        app.get("/", dependencies=[Depends(RateLimit(rate, **old)) for rate in ("2/hour", "8/hour")])(lambda: "ok")
    elif kind == "response":
        app.get("/")(limit("2/hour", **old)(lambda: PlainTextResponse("ok", headers={"X-RateLimit-Limit": "99"})))
    else:
        # With a cost of its own each: asked one after the other.
        one, two = limit("4/hour", cost=2, **old), limit("8/hour", cost=lambda scope: 1, **old)
        app.get("/")(two(one(lambda: "ok")))
    with served(app) as url:
        answers = ask(url, *["/"] * 3)
    assert statuses(answers) == [200, 200, 429]
    most, cost = ("4", 2) if kind == "stack" else ("2", 1)
    for answer, left in zip(answers, (cost, 0, 0), strict=True):
        told = legacy(answer)
        assert (
            len(told) == 3 and ("x-ratelimit-limit", most) in told and ("x-ratelimit-remaining", str(left)) in told
        ), told


def test_old_clients_are_told_of_the_limit_that_refused() -> None:
    old: Any = {"legacy_headers": True}
    app = FastAPI()
    install_exception_handlers(app)
    app.add_middleware(TidegateMiddleware, limit="2/hour", **old)
    one, two = limit("6/hour", cost=4, **old), limit("3/hour", cost=lambda scope: 1, **old)
    app.get("/")(two(one(lambda: "ok")))
    with served(app) as url:
        refused = ask(url, "/", "/")[1]
    assert refused.status == 429 and ("x-ratelimit-limit", "6") in legacy(refused) and len(legacy(refused)) == 3
    assert ("x-ratelimit-remaining", "2") in legacy(refused), "too few for it, and more than the others have left"


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_what_stands_between_two_limits_stays_there(framework: str, kind: str) -> None:
    """A check of who asks has the attributes of the route that it decorates, those of a limit among them."""
    decorator: Any = limit if framework == "fastapi" else plain.limit
    circuit, asked = CircuitBreaker("between"), []

    def checked(route: Any) -> Any:
        @functools.wraps(route)
        async def check(*args: Any, **kwargs: Any) -> Any:
            asked.append("async")
            return await route(*args, **kwargs)

        @functools.wraps(route)
        def check_sync(*args: Any, **kwargs: Any) -> Any:
            asked.append("sync")
            return route(*args, **kwargs)

        return check if kind == "async" else check_sync

    if kind == "async":

        async def route(request: Request) -> PlainTextResponse:
            return PlainTextResponse("ok")
    else:

        def route(request: Request) -> PlainTextResponse:  # type: ignore[misc]
            return PlainTextResponse("ok")

    outer, inner = RateLimiter("5/hour"), RateLimiter("3/hour")
    limited = decorator(outer, name="outer")(checked(circuit(decorator(inner, name="inner")(route))))
    app: Any
    if framework == "fastapi":
        app = FastAPI()
        app.get("/")(limited)
    else:
        app = Starlette(routes=[Route("/", limited)])
    with served(app) as url:
        answers = ask(url, *["/"] * 6)
    assert statuses(answers) == [200] * 3 + [429] * 3
    assert {kind} == set(asked) and len(asked) >= 3 and circuit.stats().calls == 3
    told = ", ".join(answers[0].headers.getall("ratelimit"))
    assert '"outer";r=4' in told and '"inner";r=2' in told
    assert outer.peek("127.0.0.1").remaining == 2, "what the inner one refuses takes nothing of the outer"
    assert all("inner" in answer.headers["ratelimit-policy"] for answer in answers[3:])


async def _answered(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def _answered_sync(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def _raises(scope: Any) -> str:
    raise RuntimeError("the database is down")


def _stranger(scope: Any) -> str:
    raise HTTPException(401)


def _rubbish(scope: Any) -> Any:
    return 42


@pytest.mark.parametrize("way", ["dependencies", "router", "starlette", "starlette sync", "gate", "shedder"])
@pytest.mark.parametrize("wrong", [_raises, _stranger, _rubbish])
def test_what_another_limit_fails_for_takes_nothing(wrong: Any, way: str) -> None:
    """What a function of one limit raises, or should not give, is the request's error, and no charge of the others."""
    first, second = RateLimiter("3/day"), RateLimiter("3/day")
    app: Any = FastAPI()
    if way.startswith("starlette"):
        if way == "starlette":

            @functools.wraps(_answered)
            async def inner(request: Request) -> Any:
                return await plain.limit(second, key=wrong)(_answered)(request)
        else:

            @functools.wraps(_answered_sync)
            def inner(request: Request) -> Any:
                return plain.limit(second, key=wrong)(_answered_sync)(request)

        app = Starlette(routes=[Route("/", plain.limit(first)(inner))])
    else:
        others: Any = {
            "dependencies": lambda: [Depends(RateLimit(second, key=wrong))],
            "gate": lambda: [Depends(admitted(Gate("g", limits={"second": second}), key=wrong))],
            "shedder": lambda: [Depends(Shedding(LoadShedder(), wrong))],
            "router": list,
        }
        router = APIRouter(dependencies=[Depends(RateLimit(first)), *others[way]()])
        router.get("/")(limit(second, key=wrong)(_answered) if way == "router" else _answered)
        app.include_router(router)
    install_exception_handlers(app)
    with served(app) as url:
        assert statuses(ask(url, *["/"] * 5)) == [401 if wrong is _stranger else 500] * 5
    assert first.peek("127.0.0.1").remaining == second.peek("127.0.0.1").remaining == 3


def test_what_the_route_fails_for_stays_counted() -> None:
    """Else who guesses passwords would be free to."""
    first, second = RateLimiter("3/day"), RateLimiter("3/day")
    app = FastAPI()
    install_exception_handlers(app)

    @app.get("/", dependencies=[Depends(RateLimit(first)), Depends(RateLimit(second))])
    async def refuse() -> None:
        raise HTTPException(401)

    with served(app) as url:
        assert statuses(ask(url, *["/"] * 5)) == [401] * 3 + [429] * 2
