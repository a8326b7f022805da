"""Real applications: mounts, prefixes, path convertors, shared and streaming responses, background tasks, the order of
decorators.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from conftest import Script, run, wait_until
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.routing import Mount, Route
from tidegate import (
    ArenaError,
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConfigError,
    HostScope,
    RateLimiter,
    TokenBucket,
    _log,
    starlette,
)
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import RateLimit, breaker, install_exception_handlers, limit
from tidegate.keys import client_ip


async def nothing(scope: Any, receive: Any, send: Any) -> None: ...


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_log, "_said", {})


class Hex(Convertor[int]):
    regex = "0x[0-9a-f]+"

    def convert(self, value: str) -> int:
        return int(value, 16)

    def to_string(self, value: int) -> str:
        return hex(value)


@pytest.mark.parametrize(("name", "path"), [("int", "/u/{id:int}"), ("str", "/u/{id}")])
def test_a_convertor_of_the_application_s_own_under_a_name_of_starlette_s(
    name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONVERTOR_TYPES, name, Hex())
    inner = Starlette(routes=[Route(path, lambda _: PlainTextResponse("ok"))])
    with served(TidegateMiddleware(inner, rules=[Rule("GET", path, limit="1/hour")])) as url:
        assert statuses(ask(url, "/u/0x1f", "/u/0x1e", "/u/7")) == [200, 429, 404]


@pytest.mark.parametrize(
    ("path", "fits", "not_fits"),
    [
        ("/files/{p:path}", ["/files/a", "/files/a/b/c.txt", "/files/", "/files/a%0Ab/c"], ["/file/a"]),
        ("/x/{p:path}/raw", ["/x/a/b/raw"], ["/x/a/b"]),
        ("/n/{n:int}", ["/n/5", "/n/007"], ["/n/5.5", "/n/a"]),
        ("/f/{f:float}", ["/f/5", "/f/5.25"], ["/f/.5"]),
        (
            "/u/{u:uuid}",
            ["/u/8c5e2d7e-1c67-4c2c-9f6f-0a3a0b6a3c11", "/u/8c5e2d7e1c674c2c9f6f0a3a0b6a3c11"],
            ["/u/8c5e"],
        ),
        ("/s/{s:str}", ["/s/a%20b", "/s/a%0A", "/s/%0A", "/s/%0A%0A"], ["/s/a/b"]),
        ("/v-{v}", ["/v-1", "/v-%0A"], ["/v-"]),
        ("/h/{h:hex}", ["/h/0x1f"], ["/h/1f"]),
        ("/{a}-{b:int}", ["/x-5"], ["/x-y"]),
        ("/login", ["/login", "/login%0A"], ["/login/x"]),
    ],
)
def test_a_rule_fits_whatever_the_router_routes(
    path: str, fits: list[str], not_fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONVERTOR_TYPES, "hex", Hex())
    seen: list[str] = []

    async def endpoint(request: Any) -> PlainTextResponse:
        seen.append(request.url.path)
        return PlainTextResponse("ok")

    inner = Starlette(routes=[Route(path, endpoint)])
    with served(TidegateMiddleware(inner, rules=[Rule("GET", path, limit="1/hour")])) as url:
        urls = [aiohttp.client.URL(url + asked, encoded=True) for asked in (*fits, *not_fits)]

        async def scene() -> list[int]:
            async with aiohttp.ClientSession() as session:
                found = []
                for asked in (urls[0], *urls):
                    async with session.get(asked) as response:
                        found.append(response.status)
                return found

        answers = run(scene())
    assert answers == [200] + [429] * len(fits) + [404] * len(not_fits)


@pytest.mark.parametrize(
    "path", ["/a/{p:glob}", "/a/{p:}}", "/a/{p:int:str}", "/a/{}", "/a/{1}", "/a/{b*}", "/*/b", "/{a}*"]
)
def test_a_path_that_no_router_would_take_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="path: "):
        Rule("GET", path, limit="5/s")


def test_a_rule_shows_itself() -> None:
    assert repr(Rule(("PUT", "PATCH"), "/a/*", limit="5/s", name="a", dry_run=True)) == (
        "Rule(('PUT', 'PATCH'), '/a/*', limit='5/s', name='a', dry_run=True)"
    )
    limiter = RateLimiter("5/s", name="each")
    limiter.check("ann")
    shown = repr(Rule("GET", "/", limit=limiter))
    assert "RateLimiter(5, per=1.0, burst=5" in shown and 'name="each", admitted=1, denied=0' in shown
    bucket = TokenBucket("5/hour")
    bucket.check(2)
    assert repr(bucket) == "TokenBucket(5, per=3600.0, burst=5, remaining=3, admitted=1, denied=0)"


def test_exempt_paths_below_a_mount_and_a_root_path() -> None:
    sub = FastAPI()
    sub.add_middleware(TidegateMiddleware, limit="1/hour", exempt=("/healthz", "/metrics/*"))
    for path in ("/healthz", "/metrics/all", "/x"):
        sub.get(path)(lambda: "ok")
    app = FastAPI()
    app.mount("/v1", sub)
    with served(app) as url:
        assert statuses(ask(url, *["/v1/healthz", "/v1/metrics/all"] * 3)) == [200] * 6
        assert statuses(ask(url, "/v1/x", "/v1/x")) == [200, 429]
    outer = FastAPI()
    outer.get("/healthz")(lambda: "ok")
    outer.add_middleware(TidegateMiddleware, limit="1/hour")

    async def prefixed(scope: Any, receive: Any, send: Any) -> None:
        # As uvicorn --root-path has it.
        await outer({**scope, "root_path": "/api"}, receive, send)

    with served(prefixed) as url:
        assert statuses(ask(url, *["/api/healthz"] * 3)) == [200] * 3


def test_refusals_below_mounts_are_answered() -> None:
    full: BoundedQueue[int] = BoundedQueue(1, retry_after=4.2)
    full.push(1)
    circuit = CircuitBreaker("down", cooldown=60)
    circuit.force_open()

    def below() -> FastAPI:
        sub = FastAPI()
        sub.get("/full")(lambda: full.push(2, timeout=0))
        sub.get("/open")(lambda: circuit.acquire())
        sub.get("/limited", dependencies=[Depends(RateLimit("1/hour"))])(lambda: "ok")
        return sub

    middle, app = below(), FastAPI()
    install_exception_handlers(app, overload_status=529)
    # After the handlers, and one below the other.
    middle.mount("/deep", below())
    app.mount("/sub", middle)
    app.router.routes.append(Mount("/plain", routes=[Mount("/deep", app=below())]))
    with served(app) as url:
        for prefix in ("/sub", "/sub/deep", "/plain/deep"):
            answers = ask(url, *(prefix + path for path in ("/full", "/open", "/limited", "/limited")))
            assert statuses(answers) == [529, 529, 200, 429], prefix
            assert answers[0].headers["retry-after"] == "5" and answers[3].json()["violated-policies"] == ["default"]


def test_mistakes_are_a_500_that_is_logged_once_with_its_text() -> None:
    app = FastAPI()
    install_exception_handlers(app)

    @app.get("/arena")
    async def arena() -> None:
        raise ArenaError("the name is another kind of object", "shape")

    @app.get("/config")
    def config() -> None:
        TokenBucket("often")

    records: list[logging.LogRecord] = []
    collector = logging.Handler()
    collector.emit = records.append  # type: ignore[method-assign]
    # The server's own, which the tests' servers silence.
    server = logging.getLogger("uvicorn.error")
    with served(app) as url:
        server.setLevel(logging.ERROR)
        server.disabled = False
        server.addHandler(collector)
        try:
            for path, text in (("/arena", "the name is another kind of object"), ("/config", "rate: ")):
                records.clear()
                assert statuses(ask(url, path)) == [500]
                # The answer comes before the log.
                wait_until(lambda: bool(records))
                assert len(records) == 1 and records[0].exc_info and text in str(records[0].exc_info[1]), path
        finally:
            server.removeHandler(collector)


def test_a_shared_response_stays_as_it_is() -> None:
    shared = PlainTextResponse("ok", headers={"x-own": "1"})
    app, plain = FastAPI(), None

    @app.get("/")
    @limit("1000/s", name="a")
    async def route() -> PlainTextResponse:
        return shared

    @starlette.limit("1000/s", name="b")
    def endpoint(request: Any) -> PlainTextResponse:
        return shared

    plain = Starlette(routes=[Route("/", endpoint)])
    for served_app in (app, plain):
        with served(served_app) as url:
            answers = ask(url, *["/"] * 50)
        assert all(
            len(answer.headers.getall("ratelimit")) == 1 and answer.headers["x-own"] == "1" for answer in answers
        )
    assert len(shared.raw_headers) == 3 and "ratelimit" not in shared.headers


def test_a_breaker_s_dependency_ends_with_its_route() -> None:
    app, circuit = FastAPI(), CircuitBreaker("bank", consecutive_failures=1, cooldown=60)
    running, end = asyncio.Event(), asyncio.Event()

    async def background() -> None:
        running.set()
        await end.wait()
        raise RuntimeError("a mail that was not sent")

    @app.get("/", dependencies=[Depends(breaker(circuit))])
    async def route(tasks: BackgroundTasks) -> str:
        tasks.add_task(background)
        return "ok"

    @app.get("/fails", dependencies=[Depends(breaker(circuit))])
    async def fails() -> None:
        raise RuntimeError

    with served(app) as url:

        async def scene() -> None:
            async with aiohttp.ClientSession() as session, session.get(url + "/") as answer:
                assert answer.status == 200

        run(scene())
        wait_until(running.is_set)
        assert circuit.stats().calls == 1, "reported while the task still runs"
        end._loop.call_soon_threadsafe(end.set)  # type: ignore[attr-defined]
        wait_until(end.is_set)
        assert statuses(ask(url, "/fails")) == [500], "the task's failure opened nothing"
        assert circuit.state == "open" and circuit.stats().opened == 1


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("guard", ["breaker", "concurrency"])
def test_a_decorated_route_that_streams_ends_with_its_body(kind: str, guard: str) -> None:
    circuit, places = CircuitBreaker("stream", consecutive_failures=1), ConcurrencyLimiter(1)
    guarded: Any = circuit if guard == "breaker" else places
    go: dict[str, Any] = {}

    async def body(how: str) -> AsyncIterator[bytes]:
        yield b"first"
        go[how] = asyncio.Event()
        go["loop"] = asyncio.get_running_loop()
        await go[how].wait()
        if how == "fails":
            raise RuntimeError("half a body")
        yield b"last"

    def synchronous(how: str) -> StreamingResponse:
        return StreamingResponse(body(how))

    async def asynchronous(how: str) -> StreamingResponse:
        return StreamingResponse(body(how))

    app = FastAPI()
    app.get("/{how}")(guarded(synchronous if kind == "sync" else asynchronous))

    async def scene(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            for how in ("works", "leaves", "fails"):
                response = await session.get(f"{url}/{how}")
                assert await response.content.readexactly(5) == b"first"
                while how not in go:
                    await asyncio.sleep(0.001)
                if guard == "breaker":
                    before = circuit.stats()
                    assert before.calls == (0 if how == "works" else 1), "not reported before the body's end"
                else:
                    assert places.in_use == 1
                if how == "leaves":
                    response.close()
                    await until(lambda: guard == "breaker" or places.in_use == 0)
                    continue
                go["loop"].call_soon_threadsafe(go[how].set)
                try:
                    await response.read()
                except aiohttp.ClientPayloadError:
                    assert how == "fails"
                if guard == "breaker":
                    await until(lambda: circuit.stats().opened == 1 if how == "fails" else circuit.stats().calls == 1)
                else:
                    await until(lambda: places.in_use == 0)

    with served(app) as url:
        run(scene(url))
    assert guard == "concurrency" or circuit.state == "open"


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def wrong_order() -> FastAPI:
    app = FastAPI()

    @limit("1/hour")
    @app.get("/wrong")
    async def above() -> str:
        return "ok"

    @app.get("/right")
    @limit("5/hour")
    async def below() -> str:
        return "ok"

    def raw() -> str:
        return "ok"

    app.get("/raw")(raw)
    app.get("/limited")(limit("5/hour")(raw))
    app.state.keep = above
    return app


@pytest.mark.parametrize("seen_by", ["handlers", "middleware", "a limit", "its writer"])
def test_a_limit_above_its_route_is_said_at_the_start(seen_by: str, caplog: pytest.LogCaptureFixture) -> None:
    app = wrong_order()
    if seen_by == "handlers":
        install_exception_handlers(app)
    elif seen_by == "middleware":
        app.add_middleware(TidegateMiddleware, limit="100/s")
    with served(app) as url, caplog.at_level(logging.WARNING, logger="tidegate"):
        if seen_by == "a limit":
            ask(url, "/right", "/right")
    said = [record.getMessage() for record in caplog.records if record.name == "tidegate"]
    if seen_by != "a limit":
        with caplog.at_level(logging.WARNING, logger="tidegate"), served(app) as url:
            ask(url, "/raw")
        said = [record.getMessage() for record in caplog.records if record.name == "tidegate"] or said
    assert len(said) == 1 and "above: the route is not limited, because @limit stands above" in said[0], said


def logged(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    return (record.getMessage() for record in caplog.records if record.name == "tidegate")


def test_a_login_limit_without_a_key_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        RateLimit("5/minute", name="login")
        TidegateMiddleware(nothing, rules=[Rule("POST", "/api/login", limit="5/minute")])
    RateLimit("5/minute", name="login", key=client_ip)
    RateLimit(TokenBucket("5/minute"), name="login")
    assert [text.split(" has ")[0] for text in logged(caplog)] == ["limit 'login'", "limit '/api/login'"]


@pytest.mark.parametrize(
    ("argv", "environment", "said"),
    [
        (["uvicorn", "app:app", "--forwarded-allow-ips", "*"], "", True),
        (["uvicorn", "app:app", "--forwarded-allow-ips=*"], "", True),
        (["gunicorn", "app:app"], "10.0.0.1, *", True),
        (["uvicorn", "app:app", "--forwarded-allow-ips", "0.0.0.0/0,::/0"], "", True),
        (["uvicorn", "app:app", "--forwarded-allow-ips", "10.0.0.1, ::/0"], "", True),
        (["gunicorn", "app:app"], "0.0.0.0/1,128.0.0.0/1", True),
        (["uvicorn", "app:app", "--forwarded-allow-ips", "10.0.0.0/8,unix,::1"], "", False),
        (["uvicorn", "app:app", "--forwarded-allow-ips", "10.0.0.1"], "127.0.0.1", False),
        (["uvicorn", "*"], "", False),
    ],
)
def test_a_server_that_believes_everybody_is_said(
    argv: list[str], environment: str, said: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", environment)
    TidegateMiddleware(nothing, limit="5/minute")
    assert not list(logged(caplog)), "no address plays a part"
    TidegateMiddleware(nothing, limit="5/minute", key=client_ip)
    RateLimit(RateLimiter("5/minute"))
    assert ["believes X-Forwarded-For from everybody" in text for text in logged(caplog)] == [True] * said


def declare(kind: str, rate: str, scope: Any, **options: Any) -> Any:
    options |= {"scope": scope, "name": "login", "key": client_ip}
    if kind == "middleware":
        return TidegateMiddleware(nothing, limit=rate, **options)
    if kind == "rule":
        return TidegateMiddleware(nothing, rules=[Rule("GET", "/", limit=rate, **options)])
    if kind == "dependency":
        return RateLimit(rate, **options)
    return (limit if kind == "fastapi" else starlette.limit)(rate, **options)(lambda request: None)


@pytest.mark.parametrize("kind", ["middleware", "rule", "dependency", "fastapi", "starlette"])
def test_a_deploy_that_changes_a_rate_just_works(kind: str, host: str, caplog: pytest.LogCaptureFixture) -> None:
    declare(kind, "5/minute", host)
    for _ in range(2):
        declare(kind, "4/minute", host)
    said = list(logged(caplog))
    assert len(said) == 1 and said[0].startswith("limit 'login' is now 4/minute for every process of its scope"), said
    assert said[0].endswith("here as 4 per 60s, burst 4"), said
    assert RateLimiter("4/minute", scope=host, name="login").burst == 4
    with pytest.raises(ArenaError) as caught:
        declare(kind, "3/minute", host, on_conflict="error")
    assert caught.value.kind == "settings"
    declare(kind, "3/minute", host, on_conflict="keep")
    assert RateLimiter("4/minute", scope=host, name="login").burst == 4
    declare(kind, "3/minute", host, on_conflict="apply")
    assert RateLimiter("3/minute", scope=host, name="login").burst == 3 and len(list(logged(caplog))) == 1
    with pytest.raises(ConfigError, match="on_conflict: the RateLimiter already has its place"):
        RateLimit(RateLimiter("3/minute"), on_conflict="keep")


RATES = ["5/minute", "20/hour", "300/hour", "10/minute"]


@pytest.mark.parametrize(("old", "new"), [(old, new) for old in RATES for new in RATES if old != new])
def test_a_deploy_to_a_slower_or_faster_rate_starts_beside_the_old_version(
    old: str, new: str, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    options: Any = {"key": client_ip, "scope": host, "name": "login"}
    with Script(options={"scope": host, "name": "login"}) as other:
        other.run(f"old = RateLimiter({old!r}, **options)")
        count = int(old.partition("/")[0])
        assert other.ask("sum(old.try_acquire('127.0.0.1') for _ in range(1000))") == count
        routes = [Route("/", lambda request: PlainTextResponse("here"))]
        app = TidegateMiddleware(Starlette(routes=routes), new, **options)
        assert len([text for text in logged(caplog) if f"'login' is now {new} for" in text]) == 1
        # All was used: of the new rate as well, but for what comes back while this runs.
        with served(app) as url:
            assert statuses(ask(url, *["/"] * 6)).count(200) <= 2
        assert other.ask("sum(old.try_acquire('127.0.0.1') for _ in range(1000))") <= 2
        assert other.ask("sum(old.try_acquire('127.0.0.9') for _ in range(1000))") == int(new.partition("/")[0])


def test_what_a_limit_cannot_become_says_what_to_do_where_it_is_declared(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    options: Any = {"key": client_ip, "scope": host, "name": "login"}
    TidegateMiddleware(nothing, limit="10/s", **options)
    # What takes hours to come back has as much of its burst as the first rate's resolution leaves it.
    burst = RateLimit("1000/day", **options).limit.burst
    assert 10 <= burst < 1000
    assert [f"is now 1000/day with a burst of {burst} (" in text for text in logged(caplog)] == [True]
    for declare_it in (TidegateMiddleware, lambda app, **given: Rule("GET", "/", **given).guard()):
        with pytest.raises(ConfigError, match="rate: 1/day .*another name.*`tidegate rm .* login`") as caught:
            declare_it(nothing, limit="1/day", **options)
        assert "burst:" not in str(caught.value)
    # Declared with what it may be later, another starts as all of it.
    options = {**options, "name": "days"}
    for kind in ("10/s", "1/day", "100/s"):
        TidegateMiddleware(nothing, limit=kind, fastest="1/day", **options)
        assert RateLimiter(kind, fastest="1/day", scope=host, name="days").burst == int(kind.partition("/")[0])
        assert RateLimit(kind, fastest="1/day", **options).limit.burst == int(kind.partition("/")[0])


def test_the_fastest_rate_of_a_limit_is_refused_where_it_says_nothing() -> None:
    for options, reason in [
        ({"limit": "5/minute"}, "fastest: a limit for everybody takes any rate later"),
        ({"limit": "5/minute;9/hour", "key": client_ip}, "fastest: which of several rates"),
        ({"limit": RateLimiter("5/minute")}, "fastest: the RateLimiter already has one"),
        ({"limit": lambda scope: "5/minute"}, "fastest: a function gives the limit"),
        ({"limit": "5/minute", "key": client_ip, "fastest": "often"}, "fastest: "),
    ]:
        given: Any = {"fastest": "9/minute", **options}
        for make in (lambda **given: TidegateMiddleware(nothing, **given), RateLimit, limit, starlette.limit):
            with pytest.raises(ConfigError, match=reason):
                make(**given)


def test_a_scope_from_the_environment_moves_what_has_a_name(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SCOPE", host)
    private = [RateLimit("5/minute").limit, TokenBucket("400/s"), ConcurrencyLimiter(4), CircuitBreaker()]
    assert {made.scope for made in private} == {"process"}
    assert RateLimit("5/minute", name="login", key=client_ip).limit.scope == host
    assert CircuitBreaker("payment").scope == host
    with pytest.raises(ConfigError, match="needs a name"):
        TokenBucket("400/s", scope=HostScope(host.removeprefix("host:")))


def test_filters_of_a_breaker_are_lists_and_mixes() -> None:
    class Status(Exception):
        def __init__(self, code: int) -> None:
            self.code = code

    mixed: Any = [OSError, lambda error: getattr(error, "code", 0) >= 500]
    circuit = CircuitBreaker(failure_on=mixed, ignore=[KeyError, lambda error: getattr(error, "code", 0) == 404])
    mixed.clear()

    def fails(error: Exception) -> None:
        raise error

    for error, failed, calls in [
        (OSError(), 1, 1), (Status(503), 2, 2), (Status(400), 2, 3), (Status(404), 2, 3), (KeyError(), 2, 3),
        (ValueError(), 2, 4),
    ]:  # fmt: skip
        with pytest.raises(type(error)):
            circuit.call(fails, error)
        assert (circuit.stats().failed, circuit.stats().calls) == (failed, calls), error

    async def later(error: Exception) -> bool:
        return True

    wrong: Any = [later]
    with pytest.raises(TypeError, match="a function of the outcome cannot be async"):
        CircuitBreaker(failure_on=wrong).call(fails, OSError())
    for filters in ([5], [int], (OSError, "x")):
        with pytest.raises(TypeError, match="failure_on: expected an exception class, a function"):
            CircuitBreaker(failure_on=filters)  # type: ignore[arg-type]
