"""Flask's ``@limit``: the same meaning as FastAPI's, over a real server."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest
import requests
from flask import Blueprint, Flask, Response, abort
from flask.views import MethodView
from served import served_wsgi
from test_unserved import full, held, opened

from tidegate import CircuitOpenError, ConfigError, LimitSet, RateLimitedError, RateLimiter, TokenBucket, _log
from tidegate.flask import RouteLimitedError, install_error_handlers, limit
from tidegate.keys import client_ip, header


@pytest.fixture(autouse=True)
def nothing_is_held() -> Any:
    yield
    while held:
        held.pop().release()


def shop(*guards: Any, installs: bool = True, view: Any = None, **options: Any) -> Flask:
    """One view, with the first guard outermost."""
    app = Flask("shop")
    if installs:
        install_error_handlers(app)
    guarded = view or (lambda: "served")
    for guard in reversed(guards):
        guarded = guard(guarded)
    methods = ["GET", "POST", "OPTIONS"]
    app.add_url_rule("/", "view", guarded, methods=methods, provide_automatic_options=False, **options)
    return app


def ask(app: Flask, *users: str, method: str = "GET") -> list[Any]:
    client = app.test_client()
    return [client.open("/", method=method, headers={"x-user": user}) for user in users]


def statuses(app: Flask, *users: str, **more: Any) -> list[int]:
    return [answer.status_code for answer in ask(app, *users, **more)]


@pytest.mark.parametrize("installs", [True, False])
def test_a_refusal_is_a_429_with_its_fields(installs: bool) -> None:
    app = shop(limit("2/hour", key=header("x-user"), name="door", legacy_headers=True), installs=installs)
    with served_wsgi(app) as url:
        answers = [requests.get(url, headers={"x-user": user}, timeout=30) for user in ("ann", "ann", "ann", "ben")]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
    assert answers[0].headers["RateLimit"] == '"door";r=1;t=1800'
    assert answers[0].headers["RateLimit-Policy"] == '"door";q=2;w=3600'
    refused = answers[2]
    assert refused.headers["RateLimit"].startswith('"door";r=0') and int(refused.headers["Retry-After"]) in (1799, 1800)
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert len(refused.raw.headers.getlist("X-RateLimit-Limit")) == 1
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["violated-policies"] == ["door"]


def test_whose_limit_it_is() -> None:
    everybody = shop(limit("2/hour"))
    assert statuses(everybody, "ann", "ben", "cleo") == [200, 200, 429]
    by_address = shop(limit(RateLimiter("1/hour")))
    assert statuses(by_address, "ann", "ben") == [200, 429]
    tiers = RateLimiter("1/hour")
    paid = tiers.tier("3/hour")

    def tier(scope: Any) -> Any:
        return paid if scope["environ"]["HTTP_X_USER"] == "ann" else tiers

    chosen = shop(limit(tier, key=header("x-user")))
    assert statuses(chosen, "ann", "ann", "ann", "ann", "ben", "ben") == [200, 200, 200, 429, 200, 429]
    both = LimitSet(user=RateLimiter("1/hour"), ip=RateLimiter("2/hour"))
    keyed = shop(limit(both, key={"user": header("x-user"), "ip": client_ip}))
    assert statuses(keyed, "ann", "ann", "ben", "cleo") == [200, 429, 200, 429]


def test_costs_conditions_and_dry_runs() -> None:
    bucket = TokenBucket("10/hour")
    app = shop(limit(bucket, cost=lambda scope: 4, skip=lambda scope: (b"x-user", b"ann") in scope["headers"]))
    assert statuses(app, "ann", "ben", "ben", "ben", "ann") == [200, 200, 200, 429, 200]
    assert statuses(app, "ben", method="OPTIONS") == [200] and bucket.peek().remaining == 2
    dry = shop(limit("1/hour", dry_run=True))
    assert statuses(dry, "a", "a") == [200, 200] and "RateLimit" not in ask(dry, "a")[0].headers


def test_several_hold_together_or_not_at_all() -> None:
    narrow, wide = RateLimiter("1/hour"), TokenBucket("5/hour")
    for guards in (
        (limit(wide, name="wide"), limit(narrow, name="narrow", key=header("x-user"))),
        (limit(wide, name="wide"), lambda view: view, limit(narrow, key=header("x-user"), name="narrow", headers=True)),
    ):
        narrow.reset("ann"), wide.reset()
        answers = ask(shop(*guards), "ann", "ann", "ann")
        assert [answer.status_code for answer in answers] == [200, 429, 429] and wide.peek().remaining == 4
        assert answers[1].json["violated-policies"] == ["narrow"]
        assert '"wide";r=4' in answers[1].headers["RateLimit"], "what was given back is told"
        assert all(f'"{name}"' in ",".join(answers[0].headers.getlist("RateLimit")) for name in ("wide", "narrow"))


def test_a_check_between_two_stays_there() -> None:
    inner, outer = TokenBucket("5/hour"), TokenBucket("5/hour")

    def check(view: Any) -> Any:
        def checked() -> Any:
            abort(401)

        return checked

    assert statuses(shop(limit(outer), check, limit(inner)), "ann") == [401]
    assert (outer.peek().remaining, inner.peek().remaining) == (4, 5)

    def passes(view: Any) -> Any:
        return lambda: view()

    refusing = TokenBucket("1/hour")
    app = shop(limit(outer, name="outer"), passes, limit(refusing, name="inner"))
    answers = ask(app, "ann", "ann")
    assert [answer.status_code for answer in answers] == [200, 429] and outer.peek().remaining == 3
    told = answers[1].headers.getlist("RateLimit")
    assert any('"outer";r=3' in line for line in told) and any('"inner";r=0' in line for line in told)


@pytest.mark.parametrize("guard", [opened, full])
def test_what_another_guard_refuses_takes_nothing(guard: Any) -> None:
    bucket = TokenBucket("5/hour")
    answers = ask(shop(limit(bucket), guard()), "ann", "ann")
    assert [answer.status_code for answer in answers] == [503, 503] and bucket.peek().remaining == 5
    assert '"default";r=5' in answers[0].headers["RateLimit"]

    def view() -> str:
        raise CircuitOpenError("it", 1)

    assert statuses(shop(limit(bucket), view=view), "ann") == [503] and bucket.peek().remaining == 4, "it has run"


def test_a_function_that_fails_is_a_500_and_leaves_no_charge() -> None:
    bucket, limiter = TokenBucket("5/hour"), RateLimiter("5/hour")

    def broken(scope: Any) -> Any:
        raise ValueError("broken")

    async def waits(scope: Any) -> Any:
        import asyncio

        await asyncio.sleep(0)

    for key in (broken, waits, lambda scope: 5):
        app = shop(limit(bucket), lambda view: lambda: view(), limit(limiter, key=key))  # type: ignore[arg-type]
        assert statuses(app, "ann") == [500] and bucket.peek().remaining == 5


def test_a_leaky_bucket_paces_and_async_views_wait() -> None:
    pacing = RateLimiter("10/s", queue=3, algorithm="leaky_bucket")
    app = shop(limit(pacing, key=header("x-user")))
    start = time.monotonic()
    assert statuses(app, "ann", "ann", "ann") == [200, 200, 200] and time.monotonic() - start >= 0.19

    async def view() -> str:
        return "served"

    async def user(scope: Any) -> Any:
        import asyncio

        await asyncio.sleep(0)
        return dict(scope["headers"])[b"x-user"]

    later = shop(limit(RateLimiter("10/s", queue=3, algorithm="leaky_bucket"), key=user), view=view)
    start = time.monotonic()
    assert statuses(later, "ann", "ann", "ann") == [200, 200, 200] and time.monotonic() - start >= 0.19


def test_classes_of_views_blueprints_and_a_limit_that_is_shared() -> None:
    shared = TokenBucket("3/hour")

    class Orders(MethodView):
        decorators = [limit(shared)]

        @limit(shared)
        def get(self) -> str:
            return "served"

    blueprint = Blueprint("more", __name__)

    @blueprint.get("/more")
    @limit(shared)
    def more() -> str:
        return "served"

    app = shop()
    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert client.get("/orders").status_code == 200 and shared.peek().remaining == 2, "once for a request"
    assert [client.get("/more").status_code for _ in range(3)] == [200, 200, 429]


def test_on_refused_and_handlers_of_one_s_own() -> None:
    for said, body in (("later", b"later"), ({"a": 1}, b'{"a":1}'), (Response("page", 420), b"page")):
        app = shop(limit("1/hour", on_refused=lambda scope, refusal, said=said: said))
        answer = ask(app, "ann", "ann")[1]
        assert answer.data == body and answer.status_code == (420 if isinstance(said, Response) else 429)
        assert answer.headers["Retry-After"] and '"default";r=0' in answer.headers["RateLimit"]
    assert statuses(shop(limit("1/hour", on_refused=lambda scope, refusal: object())), "a", "a") == [200, 500]
    for kind in (429, RateLimitedError, RouteLimitedError):
        app = shop(limit("1/hour"), installs=False)
        app.register_error_handler(kind, lambda error: (error.policy, 418))
        assert [answer.text for answer in ask(app, "a", "a")] == ["served", "default"]


def test_streams_and_errors_are_told_of_too() -> None:
    assert "RateLimit" in ask(shop(limit("9/hour"), view=lambda: (part for part in ["a", "b"])), "ann")[0].headers

    def broken() -> str:
        raise ValueError("broken")

    answer = ask(shop(limit("9/hour"), view=broken), "ann")[0]
    assert answer.status_code == 500 and '"default";r=8' in answer.headers["RateLimit"]


def test_mistakes() -> None:
    with pytest.raises(TypeError, match=r"limit\(\) has no option 'keys'"):
        limit("1/hour", keys=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="rate: "):
        limit("x")
    with pytest.raises(TypeError, match="limit: decorates a function, got the class"):
        limit("1/hour")(MethodView)

    @limit("1/hour")
    def view() -> str:
        return "served"

    with pytest.raises(RuntimeError, match="called without a request, .* call .*view.__wrapped__"):
        view()
    assert view.__wrapped__() == "served"  # type: ignore[attr-defined]
    error = pickle.loads(pickle.dumps(RouteLimitedError(3, "door", "door", None, "no")))
    assert str(error) == "no: try again in 3 s" and error.policy == "door" and error.code == 429


@pytest.mark.parametrize("place", ["app", "blueprint"])
def test_a_limit_above_the_route_is_said_at_the_first_request(
    place: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_said", {})
    app = Flask("shop")
    holder: Any = app if place == "app" else Blueprint("parts", "parts")

    @limit("1/hour")
    @holder.get("/above")
    def above() -> str:
        return "served"

    @holder.get("/below")
    @limit("1/hour")
    def below() -> str:
        return "served"

    def twice() -> str:
        return "served"

    # Limited at one of its places, by intent.
    holder.get("/free", endpoint="free")(twice)
    holder.get("/twice", endpoint="twice")(limit("1/hour")(twice))
    if place == "blueprint":
        app.register_blueprint(holder)
    client = app.test_client()
    for _ in range(2):
        client.get("/free")
    said = [record.getMessage() for record in caplog.records if record.name == "tidegate"]
    assert len(said) == 1 and "above: the route is not limited, because @limit stands above" in said[0], said
    assert [client.get("/below").status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("answer", [None, {"error": "later"}, Response("later", 429)])
def test_a_refusal_s_fields_and_body_are_those_of_its_answer(answer: Any) -> None:
    """A handler of one's own takes either."""
    error = RouteLimitedError(59.2, "door", "door", answer, "no")
    whole = error.get_response({})
    fields = dict(error.get_headers({}))
    assert fields["Retry-After"] == "60" == whole.headers["Retry-After"]
    assert fields == {name: value for name, value in whole.headers if name != "Content-Length"}
    assert error.get_body({}) == whole.get_data(as_text=True)
