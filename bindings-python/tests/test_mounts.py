"""What is mounted or added to an application, before and after its first request."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from conftest import run
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Host, Mount, Route, Router
from tidegate import BoundedQueue, CircuitBreaker, QueueFullError, _log, starlette
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import RateLimit, install_exception_handlers, limit
from tidegate.keys import path


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_log, "_said", {})


def refuses(url: str, prefix: str, **headers: str) -> None:
    answers = ask(url, *(prefix + path for path in ("/full", "/open", "/limited", "/limited")), headers=headers)
    assert statuses(answers) == [503, 503, 200, 429], prefix
    assert {answer.headers["content-type"] for answer in answers if answer.status != 200} == {
        "application/problem+json"
    }


@pytest.fixture
def refusing() -> Callable[[Any], Any]:
    full: BoundedQueue[int] = BoundedQueue(1)
    full.push(1)
    circuit = CircuitBreaker("down", cooldown=60)
    circuit.force_open()

    def routes(app: Any) -> Any:
        app.get("/full")(lambda: full.push(2, timeout=0))
        app.get("/open")(lambda: circuit.acquire())
        app.get("/limited", dependencies=[Depends(RateLimit("1/hour"))])(lambda: "ok")
        return app

    return routes


def test_refusals_below_what_is_mounted_while_requests_come(refusing: Callable[[Any], Any]) -> None:
    app, known = FastAPI(), refusing(FastAPI())
    install_exception_handlers(app)
    app.get("/")(lambda: "ok")
    app.mount("/known", known)

    class Plain:
        # Middleware names what it stands round `app` by custom, and not always.
        def __init__(self, app: Any) -> None:
            self.inside = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.inside(scope, receive, send)

    def enclosing(app: Any) -> Any:
        async def call(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        return call

    with served(app) as url:
        assert statuses(ask(url, "/")) == [200]
        app.mount("/sub", refusing(FastAPI()))
        refuses(url, "/sub")
        app.include_router(refusing(APIRouter()), prefix="/router")
        refuses(url, "/router")
        known.mount("/deep", refusing(FastAPI()))
        refuses(url, "/known/deep")
        # In an included router, in a router that has no application, behind a host.
        late = APIRouter()
        late.mount("/sub", refusing(FastAPI()))
        app.include_router(late, prefix="/late")
        refuses(url, "/late/sub")
        inner = Router()
        app.mount("/inner", inner)
        inner.mount("/sub", Starlette(routes=[Mount("/deep", refusing(FastAPI()))]))
        refuses(url, "/inner/sub/deep")
        app.router.routes.insert(0, Host("other.example", refusing(FastAPI())))
        refuses(url, "", host="other.example")
        # As many routes as before.
        app.router.routes[0] = Mount("/exchanged", refusing(FastAPI()))
        refuses(url, "/exchanged")
        wraps = {"tide": lambda app: TidegateMiddleware(app, limit="100/s"), "plain": Plain, "enclosing": enclosing}
        for name, wrap in wraps.items():
            app.mount(f"/{name}", wrap(refusing(FastAPI())))
            refuses(url, f"/{name}")


def test_handlers_that_are_installed_at_the_start_or_later(refusing: Callable[[Any], Any]) -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        install_exception_handlers(app)
        yield

    app = refusing(FastAPI(lifespan=lifespan))
    with served(app) as url:
        refuses(url, "")
    app = refusing(FastAPI())
    with served(app) as url:
        assert statuses(ask(url, "/full")) == [500]
        install_exception_handlers(app)
        refuses(url, "")
    with pytest.raises(TypeError, match="app: expected a Starlette or FastAPI application, got APIRouter"):
        install_exception_handlers(APIRouter())  # type: ignore[arg-type]


def test_what_is_mounted_keeps_its_own_handlers_and_limits(refusing: Callable[[Any], Any]) -> None:
    sub = refusing(FastAPI())
    sub.add_middleware(TidegateMiddleware, limit="3/hour")
    sub.exception_handler(QueueFullError)(lambda request, error: PlainTextResponse("own", 507))
    app = FastAPI()
    install_exception_handlers(app)
    app.get("/")(lambda: "ok")
    # It has started before it is mounted.
    with served(sub) as url:
        assert statuses(ask(url, "/full", "/open")) == [507, 500]
    with served(app) as url:
        assert statuses(ask(url, "/")) == [200]
        app.mount("/sub", sub)
        assert statuses(ask(url, "/sub/full", "/sub/open")) == [507, 429], "its middleware counted on"
    other = FastAPI()
    install_exception_handlers(other, overload_status=529)
    sub = refusing(FastAPI())
    for outer in (app, other):
        outer.mount("/both", sub)
    with served(app) as url:
        assert statuses(ask(url, "/both/full")) == [503]
    with served(other) as url:
        assert statuses(ask(url, "/both/full")) == [503], "those of who came first"


def test_a_route_s_path_as_a_key_has_the_prefix_that_it_is_reached_by() -> None:
    seen: list[str] = []

    def declared(scope: Any) -> str:
        seen.append(path(scope))
        return seen[-1]

    router = APIRouter(prefix="/v1")
    each = Depends(RateLimit("1/hour", key=declared))
    router.get("/items/{id}", dependencies=[each])(lambda: "ok")
    router.add_route("/plain/{id}", starlette.limit("1/hour", key=declared)(lambda request: PlainTextResponse("ok")))

    @router.websocket("/feed/{id}", dependencies=[each])
    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()

    app, sub, outer = FastAPI(), FastAPI(), APIRouter()
    sub.include_router(router, prefix="/in")
    sub.get("/items/{id}", dependencies=[each])(lambda: "ok")
    for prefix in ("/a", "/b/{tenant}"):
        app.include_router(router, prefix=prefix)
        outer.mount(prefix, sub)
    app.include_router(outer, prefix="/outer")
    app.mount("/m", sub)
    app.mount("/t/{tenant:int}", sub)
    app.get("/items/{id}", dependencies=[each])(lambda: "ok")

    async def behind_a_proxy(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/proxy"}, receive, send)

    paths = {
        "/items/1": "/items/{id}",
        "/a/v1/items/1": "/a/v1/items/{id}",
        "/a/plain/1": "/a/plain/{id}",
        "/b/7/v1/items/1": "/b/{tenant}/v1/items/{id}",
        "/m/items/1": "/m/items/{id}",
        "/m/in/v1/items/1": "/m/in/v1/items/{id}",
        "/outer/a/items/1": "/outer/a/items/{id}",
        "/outer/b/7/items/1": "/outer/b/{tenant}/items/{id}",
        "/t/5/items/5": "/t/{tenant}/items/{id}",
        "/t/5/in/plain/5": "/t/{tenant}/in/plain/{id}",
    }
    with served(behind_a_proxy) as url:
        for asked, key in paths.items():
            assert statuses(ask(url, "/proxy" + asked)) == [200] and seen.pop() == key, asked
        assert statuses(ask(url, "/proxy/t/6/items/9")) == [429]

        async def scene() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(url + "/proxy/b/7/v1/feed/1"):
                assert seen.pop() == "/b/{tenant}/v1/feed/{id}"

        run(scene())


@pytest.mark.filterwarnings("ignore:The `root_path`")
@pytest.mark.parametrize("outside", [False, True])
def test_an_application_s_own_root_path_is_no_way_round_a_rule(outside: bool) -> None:
    app: Any = FastAPI(root_path="/own")
    app.get("/login")(lambda: "ok")
    app.get("/healthz")(lambda: "ok")
    options: Any = {"rules": [Rule("GET", "/login", limit="3/hour"), Rule("*", "/*", limit="1/hour")]}
    if outside:
        # As another middleware stands between.
        def between(scope: Any, receive: Any, send: Any) -> Any:
            return app(scope, receive, send)

        between.app = app  # type: ignore[attr-defined]
        served_app: Any = TidegateMiddleware(between, **options)
    else:
        app.add_middleware(TidegateMiddleware, **options)
        served_app = app
    with served(served_app) as url:
        paths = ["/login", "/own/login"] * 3
        assert statuses(ask(url, *paths)) == [200, 200, 200, 429, 429, 429]
        assert statuses(ask(url, *["/healthz", "/own/healthz"] * 3)) == [200] * 6


def test_the_usual_paths_are_the_whole_application_s() -> None:
    """Whoever serves ``/search`` takes ``/search/healthz`` for a search."""

    def counted(**options: Any) -> Any:
        return [Middleware(TidegateMiddleware, limit="1/hour", **options)]

    search = Starlette(routes=[Route("/{text}", lambda request: PlainTextResponse("found"))], middleware=counted())
    own = Starlette(
        routes=[Route("/{text}", lambda request: PlainTextResponse("own"))], middleware=counted(exempt=("/readyz",))
    )
    users = FastAPI()
    users.get("/{user}")(lambda user: user)
    users.add_middleware(TidegateMiddleware, limit="1/hour")
    app = Starlette(
        routes=[
            Mount("/search", search),
            Mount("/own", own),
            Mount("/users", users),
            Mount("/more", routes=[Route("/{text}", lambda request: PlainTextResponse("more"))], middleware=counted()),
        ]
    )
    with served(app) as url:
        for path in ("/search/healthz", "/own/healthz", "/users/readyz", "/more/livez"):
            assert statuses(ask(url, path, path)) == [200, 429], path
        assert statuses(ask(url, "/own/readyz", "/own/readyz")) == [200, 200]


@pytest.mark.filterwarnings("ignore:The `root_path`")
def test_a_root_path_that_ends_in_a_slash_is_no_way_round_a_rule() -> None:
    app: Any = FastAPI(root_path="/own/")
    app.get("/own/login")(lambda: "ok")
    with served(TidegateMiddleware(app, rules=[Rule("GET", "/own/login", limit="2/hour")])) as url:
        assert statuses(ask(url, *["/own/login"] * 4)) == [200, 200, 429, 429]


def test_no_way_to_write_a_mount_s_parameter_is_a_key_of_its_own() -> None:
    app, outer, sub = FastAPI(), FastAPI(), FastAPI()
    each = Depends(RateLimit("1/hour", key=path))
    sub.get("/items/{id}", dependencies=[each])(lambda: "ok")
    same = {
        "/t/{tenant}": ["/t/ann", "/t/t", "/t/ben", "/t/{tenant}", "/t/items"],
        "/n/{tenant:int}": ["/n/7", "/n/007", "/n/8"],
        "/f/{tenant:float}": ["/f/1.5", "/f/01.50", "/f/7"],
        "/u/{tenant:uuid}": [f"/u/{UUID(int=10)}", f"/u/{10:032x}", f"/u/{10:032X}", f"/u/{11:032x}"],
        "/p/{tenant:path}/v1": ["/p/a/v1", "/p/a/b/v1", "/p/v1/v1", "/p/p/p/v1"],
        "/o/{tenant}/v1": ["/o/ann/v1", "/o/o/v1", "/o/v1/v1"],
    }
    for prefix in same:
        app.mount(prefix, sub)
    outer.mount("/{region}", app)
    with served(outer) as url:
        for prefix, prefixes in same.items():
            asked = [f"/{region}{written}/items/1" for written in prefixes for region in ("eu", "v1", "t")]
            assert statuses(ask(url, *asked)) == [200] + [429] * (len(asked) - 1), prefix


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and record.name == "tidegate"
    ]


def test_a_limit_above_a_route_of_a_router_and_one_that_comes_later(caplog: pytest.LogCaptureFixture) -> None:
    app, router = FastAPI(), APIRouter()
    install_exception_handlers(app)

    @limit("1/hour")
    @router.get("/included")
    async def included() -> str:
        return "ok"

    app.include_router(router, prefix="/api")
    with served(app) as url:
        ask(url, "/api/included")
        assert ["included: the route is not limited" in text for text in said(caplog)] == [True]

        @limit("1/hour")
        @app.get("/later")
        async def later() -> str:
            return "ok"

        ask(url, "/later", "/later")
        assert ["later: the route is not limited" in text for text in said(caplog)] == [False, True]
    assert included and later
