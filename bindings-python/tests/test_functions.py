"""The user's own functions: key, cost, skip, when, limit, refund_on, on_refused, sync and async, in the middleware and
in routes. Each may raise, give rubbish or never return: one error to the framework's handler, and no charge left
behind.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from conftest import run
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.routing import Route
from test_asgi import app as bare
from test_asgi import call
from tidegate import ConfigError, LimitSet, RateLimiter, Tier, TokenBucket, _limit, starlette
from tidegate.asgi import Refusal, Rule, TidegateMiddleware
from tidegate.fastapi import Charge, RateLimit, RouteLimitedError, install_exception_handlers, limit
from tidegate.keys import header

Function = Callable[..., Any]


class Ours(Exception):
    """What the user's function raises."""


def broken(*_: Any) -> Any:
    raise Ours


async def broken_later(*_: Any) -> Any:
    await asyncio.sleep(0)
    raise Ours


def later(function: Function) -> Function:
    async def asynchronous(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        return function(*arguments)

    return asynchronous


def in_middleware(limiter: Any, handled: list[Any], **options: Any) -> Any:
    app = FastAPI()
    app.get("/")(lambda: "ok")
    app.add_exception_handler(Exception, handler(handled))
    when = options.pop("when", None)
    if when is None:
        app.add_middleware(TidegateMiddleware, limit=limiter, **options)
    else:
        app.add_middleware(TidegateMiddleware, rules=[Rule("GET", "/", limit=limiter, when=when, **options)])
    return app


def in_fastapi(limiter: Any, handled: list[Any], **options: Any) -> Any:
    app = FastAPI()

    @app.get("/")
    @limit(limiter, **options)
    async def route() -> str:
        return "ok"

    app.add_exception_handler(Exception, handler(handled))
    return app


def in_starlette(limiter: Any, handled: list[Any], **options: Any) -> Any:
    @starlette.limit(limiter, **options)
    def endpoint(request: Any) -> Any:
        return JSONResponse("ok")

    return Starlette(routes=[Route("/", endpoint)], exception_handlers={Exception: handler(handled)})


def handler(handled: list[Any]) -> Any:
    def handle(request: Any, error: Exception) -> Any:
        handled.append(error)
        return JSONResponse("ours", 500)

    return handle


def dispatch(apps: list[Any]) -> Any:
    """Several applications on one server: the first is behind /0, as its own root."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        at, _, rest = scope["path"][1:].partition("/")
        await apps[int(at)]({**scope, "path": "/" + rest}, receive, send)

    return app


RUBBISH: list[tuple[str, Any, type[Exception]]] = [
    ("key", lambda scope: 5, TypeError),
    ("key", lambda scope: ["a"], TypeError),
    ("cost", lambda scope: "many", TypeError),
    ("cost", lambda scope: None, TypeError),
    ("cost", lambda scope: True, TypeError),
    ("cost", lambda scope: 1.5, TypeError),
    ("cost", lambda scope: -1, ConfigError),
    ("cost", lambda scope: 1 << 40, ConfigError),
]
BROKEN = [(name, function, Ours) for name in ("key", "cost", "skip") for function in (broken, broken_later)]
CASES = BROKEN + RUBBISH + [(name, later(function), error) for name, function, error in RUBBISH]


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
def test_a_function_that_fails_is_one_error_and_no_charge(make: Any) -> None:
    made = [(RateLimiter("5/hour", max_keys=100), list[Any]()) for _ in CASES]
    apps = [make(*each, **{name: function}) for each, (name, function, _) in zip(made, CASES, strict=True)]
    with served(dispatch(apps)) as url:
        assert statuses(ask(url, *(f"/{at}" for at in range(len(apps))))) == [500] * len(apps)
    for (limiter, handled), (name, _, error) in zip(made, CASES, strict=True):
        assert [type(known) for known in handled] == [error], name
        if error is not Ours:
            assert str(handled[0]).startswith(f"{name}: ")
        assert limiter.stats().admitted == limiter.stats().denied == 0


@pytest.mark.parametrize("when", [broken, broken_later])
def test_a_condition_that_fails(when: Any) -> None:
    limiter, handled = RateLimiter("5/hour"), list[Any]()
    with served(in_middleware(limiter, handled, when=when)) as url:
        assert statuses(ask(url, "/")) == [500]
    assert [type(known) for known in handled] == [Ours] and limiter.stats().admitted == 0


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
def test_functions_that_fail_together_are_one_error(make: Any) -> None:
    limiter, handled = RateLimiter("1/hour"), list[Any]()
    both = {"key": broken_later, "cost": broken, "on_refused": broken}
    with served(make(limiter, handled, **both)) as url:
        assert statuses(ask(url, "/", "/")) == [500, 500]
    assert [type(known) for known in handled] == [Ours, Ours] and limiter.stats().admitted == 0


def test_a_function_that_never_returns_holds_nothing() -> None:
    limiter, entered = RateLimiter("1/hour"), asyncio.Event()

    async def hangs(scope: Any) -> str:
        if scope["path"] == "/hang":
            entered.set()
            await asyncio.Event().wait()
        return "k"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse("ok")(scope, receive, send)

    async def scene() -> None:
        guarded = TidegateMiddleware(app, limiter, key=hangs)

        async def call(path: str) -> list[int]:
            sent: list[int] = []

            async def send(message: Any) -> None:
                if "status" in message:
                    sent.append(message["status"])

            scope = {"type": "http", "path": path, "method": "GET", "headers": [], "client": ("192.0.2.1", 5)}
            await guarded(scope, None, send)  # type: ignore[arg-type]
            return sent

        hanging = asyncio.ensure_future(call("/hang"))
        await entered.wait()
        assert await call("/") == [200], "others go on, and nothing was taken by the one that hangs"
        hanging.cancel()
        assert isinstance((await asyncio.gather(hanging, return_exceptions=True))[0], asyncio.CancelledError)
        assert limiter.stats().admitted == 1

    run(scene())


@pytest.mark.parametrize("refund_on", [broken, broken_later])
def test_a_refund_that_fails_keeps_the_charge(refund_on: Any, caplog: pytest.LogCaptureFixture) -> None:
    limiter, handled = RateLimiter("5/hour"), list[Any]()
    app = in_middleware(limiter, handled, refund_on=refund_on, key=lambda scope: "k")

    @app.get("/fails")
    async def fails() -> None:
        raise ZeroDivisionError

    with served(app) as url, caplog.at_level(logging.ERROR, logger="tidegate"):
        assert statuses(ask(url, "/")) == [500] and [type(known) for known in handled] == [Ours]
        assert statuses(ask(url, "/fails")) == [500]
    assert [type(known) for known in handled] == [Ours, ZeroDivisionError], "the request has its own error"
    assert "its charge is kept" in caplog.text
    assert limiter.peek("k").remaining == 3


def test_an_async_refund() -> None:
    limiter = RateLimiter("1/hour")
    app = in_middleware(limiter, [], refund_on=later(lambda status: status == 200), key=lambda scope: "k")
    with served(app) as url:
        assert statuses(ask(url, *["/"] * 3)) == [200] * 3


async def told(scope: Any, refusal: Refusal) -> Any:
    await asyncio.sleep(0)
    return {"error": "slow down", "again": refusal.retry_after, "path": scope["path"], "by": refusal.policies}


ANSWERS: list[tuple[Any, str, bytes]] = [
    (lambda scope, refusal: "too many", "text/plain; charset=utf-8", b"too many"),
    (lambda scope, refusal: b"\x00", "application/octet-stream", b"\x00"),
    (told, "application/json", b'{"error":"slow down","again":3600,"path":"/","by":["mine"]}'),
    (lambda scope, refusal: JSONResponse([1], 420, {"Retry-After": "7"}), "application/json", b"[1]"),
]


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
def test_an_answer_of_one_s_own(make: Any) -> None:
    apps = [make(RateLimiter("1/hour"), [], on_refused=on_refused, name="mine") for on_refused, _, _ in ANSWERS]
    for app in apps:
        install_exception_handlers(app)
    with served(dispatch(apps)) as url:
        for at, (_, content, body) in enumerate(ANSWERS):
            own_answer(*ask(url, f"/{at}", f"/{at}"), content, body)


def own_answer(admitted: Any, refused: Any, content: str, body: bytes) -> None:
    assert admitted.status == 200 and refused.status == (420 if body == b"[1]" else 429)
    assert refused.headers.getall("content-type") == [content] and refused.body == body
    assert refused.headers.getall("retry-after") == ["7" if body == b"[1]" else "3600"]
    assert refused.headers["ratelimit"].startswith('"mine";r=0;t=')
    assert refused.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
def test_an_answer_that_fails(make: Any) -> None:
    rubbish = [{1, 2}, object(), [math.nan]]
    answers = [broken, broken_later, *(lambda scope, refusal, body=body: body for body in rubbish)]
    each: list[list[Any]] = [[] for _ in answers]
    apps = [
        make(RateLimiter("1/hour"), handled, on_refused=answer) for handled, answer in zip(each, answers, strict=True)
    ]
    for app in apps:
        install_exception_handlers(app)
    with served(dispatch(apps)) as url:
        for at in range(len(apps)):
            assert statuses(ask(url, f"/{at}", f"/{at}")) == [200, 500]
    kinds = [[type(known) for known in handled] for handled in each]
    assert kinds == [[Ours], [Ours], [TypeError], [TypeError], [TypeError]]
    assert all(str(handled[0]).startswith("on_refused: expected") for handled in each[2:])


def test_an_answer_without_handlers_is_the_detail() -> None:
    with served(in_fastapi(RateLimiter("1/hour"), [], on_refused=lambda scope, refusal: {"again": "later"})) as url:
        refused = ask(url, "/", "/")[1]
    assert refused.status == 429 and refused.json() == {"detail": {"again": "later"}}


plans = RateLimiter("2/hour", fastest="100/hour")
PLANS: dict[str, Tier] = {"pro": plans.tier("3/hour"), "big": plans.tier("100/hour")}
partner = LimitSet(each=RateLimiter("1/hour"), all=TokenBucket("100/hour"))


def plan(scope: Any) -> Any:
    name = dict(scope["headers"]).get(b"x-plan", b"").decode()
    return {"": plans, "none": None, "text": "1/hour;5/day", "set": partner}.get(name, PLANS.get(name))


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
@pytest.mark.parametrize("choose", [plan, later(plan)])
def test_a_limit_for_each_plan(make: Any, choose: Any) -> None:
    plans.reset_all()
    for member in partner.limits.values():
        member.reset_all() if isinstance(member, RateLimiter) else member.reset()
    with served(make(choose, [], key=header("x-user"), name="plan")) as url:

        def answers(who: str, plan: str, n: int) -> Any:
            return ask(url, *["/"] * n, headers={"X-User": who, "X-Plan": plan})

        assert statuses(answers("ann", "", 3)) == [200, 200, 429]
        pro = answers("ben", "pro", 4)
        assert statuses(pro) == [200, 200, 200, 429]
        assert pro[0].headers["ratelimit-policy"] == '"plan";q=3;w=3600', "the plan's own quota"
        assert pro[0].headers["ratelimit"].startswith('"plan";r=2;')
        assert statuses(answers("cem", "none", 9)) == [200] * 9
        assert statuses(answers("dov", "text", 2)) == [200, 429] and statuses(answers("eve", "text", 1)) == [200]
        assert statuses(answers("fay", "set", 2)) == [200, 429] and statuses(answers("gus", "set", 1)) == [200]


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
def test_a_choice_that_fails(make: Any) -> None:
    cases: list[tuple[Any, type[Exception]]] = [
        (broken, Ours), (broken_later, Ours), (lambda scope: 5, TypeError), (lambda scope: RateLimiter, TypeError),
        (lambda scope: "often", ConfigError),
    ]  # fmt: skip
    each: list[list[Any]] = [[] for _ in cases]
    apps = [make(choose, handled) for (choose, _), handled in zip(cases, each, strict=True)]
    with served(dispatch(apps)) as url:
        assert statuses(ask(url, *(f"/{at}" for at in range(len(apps))))) == [500] * len(apps)
    assert [[type(known) for known in handled] for handled in each] == [[error] for _, error in cases]


GIVEN: list[tuple[Any, dict[str, Any], str]] = [
    ("5/minutee", {}, r"limit: .*chosen\(\) gave '5/minutee': rate: "),
    ("", {}, r"limit: .*chosen\(\) gave '': rate: "),
    ("0/minute", {}, r"limit: .*chosen\(\) gave '0/minute': .*"),
    ("5/minute;often", {}, r"limit: .*chosen\(\) gave '5/minute;often': rate: "),
    ("5/minute;5/minute", {}, r"limit: .*chosen\(\) gave '5/minute;5/minute': limit: "),
    ("2/minute", {"cost": 3}, r"limit: .*chosen\(\) gave '2/minute': cost: "),
    ("x" * 1000, {}, r"limit: .*chosen\(\) gave 'x{80}': rate: "),
    (["5/minute"], {}, r"limit: expected .*chosen\(\) to give a limit, .*, got a list"),
    (5, {}, r"limit: expected .*chosen\(\) to give a limit, .*, got a int"),
    (False, {}, r"limit: expected .*chosen\(\) to give a limit, .*, got a bool"),
    (RateLimiter, {}, r"limit: expected .*chosen\(\) to give a limit, .*, got the class RateLimiter"),
]


@pytest.mark.parametrize("scope", [None, "process:given"])
@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
def test_a_limit_that_cannot_be_is_one_logged_error_that_names_who_gave_it(
    make: Any, scope: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    for found, options, text in GIVEN:

        def chosen(scope: Any, found: Any = found) -> Any:
            return found

        caplog.clear()
        app = make(chosen, [], key=header("x-user"), scope=scope, name="plan", **options)
        app.exception_handlers.clear()
        with served(app, log_level="warning", log_config=None) as url:
            assert statuses(ask(url, "/", "/")) == [500, 500], found
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 2, found
        assert all(record.exc_info and re.match(text, str(record.exc_info[1])) for record in errors), errors[0].exc_text


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
@pytest.mark.parametrize(
    ("place", "text"),
    [
        ({"name": "a name", "scope": "process:given"}, "name: .* is not an object's name"),
        ({"name": "x" * 64, "scope": "host:given"}, "name: .* is not an object's name"),
        ({"name": "", "scope": "host:given"}, "name: .* is not an object's name"),
        ({"scope": "host:given"}, "name: the scope .* needs a name"),
        ({"name": "plan", "scope": "given"}, "scope: .* is not a scope"),
        ({"name": "plan", "on_conflict": "often"}, "on_conflict: "),
        ({"name": "\u00fc"}, "name: must be printable ASCII"),
        ({"name": ""}, "name: must have 1 to 128"),
        ({"name": "plan", "jitter": 2}, "jitter: "),
    ],
)
def test_where_chosen_limits_stand_is_checked_at_the_start(make: Any, place: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{text}"):
        # As a server does when it starts.
        make(plan, [], key=header("x-user"), **place).build_middleware_stack()


def test_a_chosen_limit_s_name_has_room_in_any_scope(host: str) -> None:
    for name in ("x" * 63, "y" * 50):
        for text in ("5/minute", "12345/minute;67890/hour"):
            app = in_middleware(lambda scope, text=text: text, [], key=header("x-user"), scope=host, name=name)
            with served(app) as url:
                assert statuses(ask(url, "/")) == [200]


def test_a_limit_made_for_each_request_is_an_error_and_not_no_limit() -> None:
    handled: list[Any] = []
    with served(in_middleware(lambda scope: TokenBucket("1/hour"), handled)) as url:
        assert statuses(ask(url, "/", "/")) == [500, 500]
    assert str(handled[0]).startswith("limit: the function has made a TokenBucket for this request; it must choose")
    kept: list[TokenBucket] = []

    def one_more(scope: Any) -> TokenBucket:
        kept.append(TokenBucket("1/hour"))
        return kept[-1]

    with served(in_middleware(one_more, handled)) as url:
        assert statuses(ask(url, *["/"] * 101))[-1] == 500
    assert str(handled[-1]).startswith("limit: the function has given 100 different limits; it must choose among")


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
@pytest.mark.parametrize("wrap", [lambda function: function, later])
def test_a_tier_made_for_each_request_is_the_tier_that_it_equals(
    make: Any, wrap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_limit, "_MOST_CHOICES", 3)
    plans = RateLimiter("60/hour", fastest="600/minute")
    handled: list[Any] = []

    def choose(scope: Any) -> Tier:
        return plans.tier(dict(scope["headers"]).get(b"x-plan", b"3/hour").decode())

    with served(make(wrap(choose), handled, key=header("x-user"))) as url:
        ann = statuses(ask(url, *["/"] * 5, headers={"X-User": "ann"}))
        # More of them than are kept.
        for n in range(5, 12):
            plan = {"X-User": f"user {n}", "X-Plan": f"{n}/hour"}
            assert statuses(ask(url, "/", headers=plan)) == [200]
        assert statuses(ask(url, "/", headers={"X-User": "ann"})) == [429]
    assert ann == [200, 200, 200, 429, 429] and not handled


class Checks:
    """A limit of somebody else's that has ``check`` alone."""

    def __init__(self) -> None:
        self.bucket = TokenBucket("9/hour")

    def check(self, n: int = 1) -> Any:
        return self.bucket.check(n)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("dependency", [False, True])
def test_a_limit_that_cannot_give_back_is_stacked(first: bool, dependency: bool) -> None:
    checks, last = Checks(), TokenBucket("2/hour")
    app = FastAPI()
    inner: Any = lambda: "ok"  # noqa: E731
    if dependency:
        app.get("/", dependencies=[Depends(RateLimit(checks))])(limit(last)(inner))
    else:
        app.get("/")(limit(checks)(limit(last)(inner)) if first else limit(last)(limit(checks)(inner)))
    with served(app) as url:
        assert statuses(ask(url, *["/"] * 4)) == [200, 200, 429, 429]
    # In one stack it is asked last; a dependency's charge is kept.
    assert checks.bucket.peek().remaining == (5 if dependency else 7)


def test_a_limit_that_cannot_give_back_is_no_limit_to_give_back_to() -> None:
    with pytest.raises(TypeError, match=r"^refund_on: the limit Checks has no refund\(n\)"):
        Rule("GET", "/", limit=Checks(), refund_on=lambda status: True)
    with pytest.raises(TypeError, match=r"^refund_on: the limit Checks has no refund\(n\)"):
        TidegateMiddleware(bare, Checks(), refund_on=lambda status: True)
    app, errors = FastAPI(), []

    @app.get("/")
    async def route(charge: Charge = Depends(RateLimit(Checks()))) -> str:
        try:
            charge.refund()
        except TypeError as error:
            errors.append(str(error))
        return "ok"

    with served(app) as url:
        assert statuses(ask(url, "/")) == [200]
    assert errors and errors[0].startswith("refund: the limit Checks has no refund(n)")


@pytest.mark.parametrize("make", [in_middleware, in_fastapi, in_starlette])
@pytest.mark.parametrize("wrap", [lambda function: function, later])
def test_skipping(make: Any, wrap: Callable[[Function], Function]) -> None:
    limiter = RateLimiter("1/hour")
    skip = wrap(lambda scope: (b"x-internal", b"1") in scope["headers"])
    with served(make(limiter, [], skip=skip, key=lambda scope: "k")) as url:
        passed = ask(url, *["/"] * 3, headers={"X-Internal": "1"})
        assert statuses(passed) == [200] * 3 and "ratelimit" not in passed[0].headers
        assert statuses(ask(url, "/", "/")) == [200, 429]


def test_a_skipped_rule_and_a_skipped_dependency() -> None:
    app = FastAPI()
    inner = RateLimit("1/hour", skip=lambda scope: True)

    @app.get("/route")
    async def route(charge: Charge = Depends(inner)) -> list[Any]:
        charge.refund()
        return [charge.admitted, charge.decision.allowed, charge.keys]

    rules = [Rule("GET", "/rule", limit="1/hour", skip=lambda scope: b"skip" in scope["query_string"])]
    app.add_middleware(TidegateMiddleware, rules=rules)
    with served(app) as url:
        assert ask(url, "/route", "/route")[1].json() == [True, True, None]
        assert statuses(ask(url, "/rule?skip", "/rule?skip", "/rule", "/rule")) == [404, 404, 404, 429]


def test_stacked_limits_are_all_or_nothing() -> None:
    everybody, each = TokenBucket("10/hour"), RateLimiter("2/hour")
    costly: dict[str, Any] = {"name": "each", "key": header("x-user")}
    app = FastAPI()
    for path, more in (("/set", {}), ("/costs", {"cost": lambda scope: 1}), ("/skip", {"skip": lambda scope: False})):
        everybody.reset()
        route: Any = limit(each, **costly, **more)(lambda: "ok")
        app.get(path)(limit(everybody, name="everybody")(route))
    with served(app) as url:
        for path in ("/set", "/costs", "/skip"):
            everybody.reset()
            each.reset_all()
            answers = ask(url, *[path] * 4, headers={"X-User": "ann"})
            assert statuses(answers) == [200, 200, 429, 429], path
            assert everybody.peek().remaining == 8, "what the inner limit refuses takes nothing of the outer"
            assert answers[3].headers["ratelimit"].startswith('"everybody";r=8;t='), path
            assert ', "each";r=0;t=' in answers[3].headers["ratelimit"], path


@pytest.mark.parametrize("refusing", [0, 1, 2])
def test_limits_without_names_are_told_apart_where_one_refuses(refusing: int) -> None:
    """By one step and one by one, whichever refuses: each policy has a name of its own."""
    app = FastAPI()
    for path, more in (("/set", {}), ("/costs", {"cost": lambda scope: 1})):
        route: Any = lambda: "ok"  # noqa: E731
        for at in reversed(range(3)):
            route = limit(TokenBucket("1/hour" if at == refusing else "9/hour"), **more)(route)
        app.get(path)(route)
    with served(app) as url:
        for path in ("/set", "/costs"):
            for answer in ask(url, path, path):
                for field in ("ratelimit", "ratelimit-policy"):
                    names = sorted(policy.split(";")[0] for policy in answer.headers[field].split(", "))
                    assert names == ['"default"', '"default-2"', '"default-3"'], (path, answer.status)
        assert answer.status == 429


@pytest.mark.parametrize("outside", [False, True])
def test_a_limit_that_stands_in_a_route_twice_is_asked_once(outside: bool) -> None:
    twice, last = TokenBucket("10/hour"), TokenBucket("2/hour")
    app = FastAPI()
    for path, more in (("/set", {}), ("/costs", {"cost": lambda scope: 1})):
        app.get(path)(limit(twice, **more)(limit(twice, **more)(limit(last, **more)(lambda: "ok"))))
    if outside:
        app.add_middleware(TidegateMiddleware, limit=twice)
    with served(app) as url:
        for path in ("/set", "/costs"):
            twice.reset(), last.reset()
            answers = ask(url, path, path, path)
            assert statuses(answers) == [200, 200, 429], path
            # The middleware's own charge stays.
            assert twice.peek().remaining == (7 if outside else 8)
            for answer in answers:
                told = ", ".join(answer.headers.getall("ratelimit-policy"))
                assert told.count("q=10;") == 1 and told.count("q=2;") == 1, (path, told)



@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("inner", ["decorator", "dependency", "sync"])
def test_what_an_inner_limit_refuses_takes_nothing_of_a_dependency(inner: str, middleware: bool) -> None:
    router, first, last, all_of_it = (TokenBucket(f"{n}/hour") for n in (30, 20, 2, 40))
    app = FastAPI(dependencies=[Depends(RateLimit(router, name="router"))])
    before = [Depends(RateLimit(first, name="first"))]
    if inner == "dependency":
        app.get("/", dependencies=[*before, Depends(RateLimit(last))])(lambda: "ok")
    elif inner == "sync":
        app.get("/", dependencies=before)(limit(last)(lambda: "ok"))
    else:

        @app.get("/", dependencies=before)
        @limit(last)
        async def route() -> str:
            return "ok"

    if middleware:
        app.add_middleware(TidegateMiddleware, limit=all_of_it, name="all")
    with served(app) as url:
        answers = ask(url, *["/"] * 5)
        assert statuses(answers) == [200, 200, 429, 429, 429]
    assert (router.peek().remaining, first.peek().remaining) == (28, 18)
    if middleware:
        told = ", ".join(answers[4].headers.getall("ratelimit"))
        assert '"router";r=28;' in told and '"first";r=18;' in told and told.count(";r=") == 4
        assert all_of_it.peek().remaining == 35, "the middleware's stays, for the request was there"


@pytest.mark.parametrize("is_async", [True, False])
def test_what_stands_between_starlette_s_limits_changes_nothing_of_that(is_async: bool) -> None:
    first, last = TokenBucket("20/hour"), TokenBucket("2/hour")

    def checked(route: Any) -> Any:
        return (lambda request: route(request)) if not is_async else functools.partial(route)

    def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def endpoint_async(request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    innermost = starlette.limit(last)(endpoint_async if is_async else endpoint)
    between = functools.update_wrapper(checked(innermost), innermost)
    with served(Starlette(routes=[Route("/", starlette.limit(first)(between))])) as url:
        assert statuses(ask(url, *["/"] * 5)) == [200, 200, 429, 429, 429]
    assert first.peek().remaining == 18


def test_who_catches_a_refusal_and_serves_keeps_what_was_taken() -> None:
    first, last = TokenBucket("20/hour"), TokenBucket("2/hour")
    inner = RateLimit(last)

    async def perhaps(request: Request, response: Response) -> bool:
        try:
            await inner(request, response)
        except RouteLimitedError:
            return False
        return True

    app = FastAPI()

    @app.get("/", dependencies=[Depends(RateLimit(first))])
    async def route(fast: bool = Depends(perhaps)) -> bool:
        return fast

    with served(app) as url:
        assert [answer.json() for answer in ask(url, *["/"] * 4)] == [True, True, False, False]
    assert first.peek().remaining == 16


@pytest.mark.parametrize("answer", ["no", 1, 0, None, [], "False"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_condition_is_true_or_false_and_nothing_else(answer: Any, asynchronous: bool) -> None:
    def says(_: Any) -> Any:
        return answer

    function = later(says) if asynchronous else says
    for name in ("skip", "when"):
        rule = Rule("GET", "/", limit="1/hour", **{name: function})
        with pytest.raises(TypeError, match=f"{name}: expected .*(says|asynchronous) to give True or False, got "):
            call(TidegateMiddleware(bare, rules=[rule]), "/")
    with pytest.raises(TypeError, match="skip: expected"):
        call(TidegateMiddleware(bare, limit="1/hour", skip=function), "/")
    with pytest.raises(TypeError, match="refund_on: expected"):
        call(TidegateMiddleware(bare, limit="1/hour", refund_on=function), "/")
    with served(in_fastapi(RateLimiter("1/hour"), [], skip=function)) as url:
        assert statuses(ask(url, "/")) == [500]
