"""The middleware against bare ASGI: every kind of scope, without a server or a framework."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from conftest import run
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConfigError,
    Decision,
    Gate,
    LoadShedder,
    ManualClock,
    TokenBucket,
)
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import limit
from tidegate.headers import Policies, retry_after_seconds
from tidegate.keys import client_ip, first_of, header


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]})
        await send({"type": "http.response.body", "body": b"ok"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    else:
        await send({"type": scope["type"] + ".passed"})


def call(middleware: Any, path: str = "/", method: str = "GET", kind: str = "http", **scope: Any) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "path": path, "method": method, "headers": [], "client": ("192.0.2.1", 5), **scope}
    run(middleware(scope, receive, send))
    return sent


def headers(message: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in message["headers"]}


def test_admits_with_rate_limit_fields(clock: ManualClock) -> None:
    start, body = call(TidegateMiddleware(app, TokenBucket("10/s", burst=25, clock=clock), legacy_headers=True))
    assert start["status"] == 200 and body["body"] == b"ok"
    assert headers(start) == {
        "x-app": "1",
        "ratelimit-policy": '"default";q=25;w=3',
        "ratelimit": '"default";r=24;t=1',
        "x-ratelimit-limit": "25",
        "x-ratelimit-remaining": "24",
        "x-ratelimit-reset": "1",
    }


def test_refuses_with_429(clock: ManualClock) -> None:
    guarded = TidegateMiddleware(app, TokenBucket("2/minute", burst=1, clock=clock), name="door")
    call(guarded)
    start, body = call(guarded)
    assert start["status"] == 429
    assert headers(start) == {
        "content-type": "application/problem+json",
        "content-length": str(len(body["body"])),
        "retry-after": "30",
        "ratelimit-policy": '"door";q=1;w=30',
        "ratelimit": '"door";r=0;t=30',
    }
    problem = json.loads(body["body"])
    assert problem["status"] == 429 and problem["violated-policies"] == ["door"]
    assert problem["type"].endswith("#quota-exceeded") and problem["title"] and problem["detail"]
    clock.advance(30)
    assert call(guarded)[0]["status"] == 200


def test_retry_after_is_whole_seconds_rounded_up_and_at_least_one() -> None:
    given = [0.0, 0.001, 1.0, 1.001, 59.2, 7200.5, float("inf")]
    assert [retry_after_seconds(seconds) for seconds in given] == [1, 1, 1, 2, 60, 7201, 3600]


def test_refuses_with_503_while_the_queue_takes_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(10, retry_after=2.5)
    guarded = TidegateMiddleware(app, queue=queue)
    assert call(guarded)[0]["status"] == 200
    while queue.try_push(1):
        pass
    start, body = call(guarded)
    assert start["status"] == 503 and headers(start)["retry-after"] == "3"
    assert json.loads(body["body"])["type"].endswith("#temporary-reduced-capacity")
    assert call(TidegateMiddleware(app, queue=queue, overload_status=429))[0]["status"] == 429
    queue.drain()
    assert call(guarded)[0]["status"] == 503, "closed for good"


def test_the_limit_decides_before_the_queue() -> None:
    queue: BoundedQueue[int] = BoundedQueue(10)
    queue.close()
    bucket = TokenBucket("1/hour")
    guarded = TidegateMiddleware(app, bucket, queue=queue)
    # What the queue refuses is not charged.
    assert [call(guarded)[0]["status"] for _ in range(2)] == [503, 503]
    assert bucket.try_acquire()
    assert call(guarded)[0]["status"] == 429


def test_exempt_paths_and_options_and_lifespan_pass() -> None:
    bucket = TokenBucket("1/hour")
    bucket.try_acquire()
    guarded = TidegateMiddleware(app, bucket, exempt=("/healthz", "/ready"))
    assert call(guarded, "/healthz")[0]["status"] == 200
    assert call(guarded, "/ready")[0]["status"] == 200
    assert call(guarded, method="OPTIONS")[0]["status"] == 200
    assert call(guarded, "/healthz/x")[0]["status"] == 429
    assert call(guarded, kind="lifespan") == [{"type": "lifespan.passed"}]
    assert call(guarded, kind="mail") == [{"type": "mail.passed"}]
    assert call(guarded, "/ready", kind="websocket") == [{"type": "websocket.accept"}]


def test_websockets_are_refused_at_the_handshake() -> None:
    guarded = TidegateMiddleware(app, TokenBucket("1/hour"))
    assert call(guarded, kind="websocket") == [{"type": "websocket.accept"}]
    start, body = call(guarded, kind="websocket", extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
    assert "retry-after" in headers(start) and body["type"] == "websocket.http.response.body"
    (close,) = call(guarded, kind="websocket", extensions=None)
    assert close == {"type": "websocket.close", "code": 1013, "reason": "try again later"}


def test_messages_of_the_application_are_not_changed() -> None:
    kept = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}

    async def frugal(scope: Any, receive: Any, send: Any) -> None:
        await send(kept)

    guarded = TidegateMiddleware(frugal, "5/s")
    for _ in range(2):
        assert len(call(guarded)[0]["headers"]) == 3
    assert len(kept["headers"]) == 1


def test_refusals_share_no_state() -> None:
    guarded = TidegateMiddleware(app, TokenBucket("1/hour"))
    call(guarded)
    first = call(guarded)
    first[0]["headers"].append((b"vary", b"origin"))
    first[1]["body"] = b""
    second = call(guarded)
    assert "vary" not in headers(second[0]) and second[1]["body"]


def test_a_changed_quota_is_announced(clock: ManualClock) -> None:
    bucket = TokenBucket("10/s", clock=clock)
    guarded = TidegateMiddleware(app, bucket)
    assert headers(call(guarded)[0])["ratelimit-policy"] == '"default";q=10;w=1'
    bucket.set_quota("10/minute")
    assert headers(call(guarded)[0])["ratelimit-policy"] == '"default";q=10;w=60'


def test_keyed_limits_drop_in() -> None:
    class PerKey:
        keyed = True

        def __init__(self) -> None:
            self.buckets: dict[str, TokenBucket] = {}

        def check(self, key: str) -> Decision:
            return self.buckets.setdefault(key, TokenBucket("1/hour")).check()

    limit = PerKey()
    guarded = TidegateMiddleware(app, limit, key=first_of(header("X-User-Id"), client_ip))
    ann = {"headers": [(b"x-user-id", b"ann")]}
    statuses = [call(guarded, **ann)[0]["status"], call(guarded, **ann)[0]["status"], call(guarded)[0]["status"]]
    assert statuses == [200, 429, 200]
    call(guarded, client=None)
    assert sorted(limit.buckets) == ["\0", "192.0.2.1", "ann"], "no key is an address that nobody can name"


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("testclient", 1), "testclient"),
        (None, None),
        (("", 0), None),
    ],
)
def test_client_ip(client: Any, key: str | None) -> None:
    assert client_ip({"client": client}) == key


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ConfigError, "limit, rules, shedder, queue, concurrency, gate: give at least one"),
        ({"limit": 5}, TypeError, "limit: expected a rate"),
        ({"limit": "x"}, ConfigError, "rate: "),
        ({"limit": TokenBucket}, TypeError, "limit: expected a limit, got the class TokenBucket"),
        ({"limit": CircuitBreaker("b")}, TypeError, "got CircuitBreaker; decorate the function"),
        ({"limit": ConcurrencyLimiter(1)}, TypeError, "got ConcurrencyLimiter; .* concurrency="),
        ({"limit": BoundedQueue(3)}, TypeError, "got BoundedQueue; .* queue="),
        ({"limit": "5/s", "client": "x"}, TypeError, "client: expected a ClientIP, got str"),
        ({"deny": ["10.0.0.1"], "client": lambda scope: "k"}, TypeError, "client: expected a ClientIP, got function"),
        ({"queue": 5}, TypeError, "queue: expected a BoundedQueue"),
        ({"limit": TokenBucket("5/s"), "key": lambda scope: "x"}, ConfigError, "key: this limit is one for everybody"),
        ({"limit": "5/s", "key": "user"}, TypeError, "key: expected a function of the ASGI scope"),
        ({"limit": "5/s;100/min", "burst": 9}, ConfigError, "burst: which of several rates"),
        ({"limit": "5/s", "cost": 6}, ConfigError, "cost: must be 1 to the burst \\(5\\)"),
        ({"limit": "5/s", "skip": True}, TypeError, "skip: expected a function of the ASGI scope"),
        ({"limit": "5/s", "allow": "10.0.0.0/8"}, TypeError, "allow: expected several texts"),
        ({"deny": ["10.0.0.0/40"]}, ConfigError, "deny: "),
        ({"limit": "5/s", "jitter": 2}, ConfigError, "jitter: "),
        ({"rules": ["/login"]}, TypeError, "rules: expected Rule"),
        ({"limit": "5/s", "exempt": "/healthz"}, TypeError, "exempt: expected several texts"),
        ({"limit": "5/s", "overload_status": 200}, ConfigError, "overload_status: must be 400 to 599"),
        ({"limit": "5/s", "overload_status": "503"}, TypeError, "overload_status: expected an int"),
        ({"limit": "5/s", "name": "naïve"}, ConfigError, "name: must be printable ASCII"),
        ({"limit": "5/s", "name": ""}, ConfigError, "name: must have 1 to 128 characters"),
    ],
)
def test_wrong_arguments_say_what_would_do(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        TidegateMiddleware(app, **arguments)


def judge(given: Any) -> Any:
    return True


# Each says something of a part, and what would do.
ALONE: dict[str, tuple[Any, dict[str, Any]]] = {
    "user": (header("x-user"), {"shedder": LoadShedder(["loop_lag"])}),
    "priority": ("high", {"shedder": LoadShedder(["loop_lag"])}),
    "degrade": (judge, {"rules": [Rule("GET", "/", concurrency=ConcurrencyLimiter(1))]}),
    "overload_status": (529, {"shedder": LoadShedder(["loop_lag"])}),
    "partition": ("live", {"concurrency": ConcurrencyLimiter(10, partitions={"live": 0.5})}),
    "key": (client_ip, {"limit": "5/s"}),
    "cost": (2, {"limit": "5/s"}),
    "refund_on": (judge, {"limit": "5/s"}),
    "dry_run": (True, {"limit": "5/s"}),
    "burst": (9, {"limit": "5/s"}),
    "fastest": ("9/s", {"limit": "5/s", "key": client_ip}),
    "name": ("door", {"limit": "5/s"}),
    "scope": ("process:alone", {"limit": "5/s", "name": "alone"}),
    "on_conflict": ("keep", {"limit": "5/s", "name": "kept", "scope": "process:alone"}),
    "on_refused": (lambda scope, refusal: None, {"rules": [Rule("GET", "/", limit="5/s")]}),
    "legacy_headers": (True, {"rules": [Rule("GET", "/", limit="5/s")]}),
    "jitter": (0.5, {"rules": [Rule("GET", "/", limit="5/s")]}),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_is_said_of_a_part_that_there_is_not_is_an_error(name: str) -> None:
    value, beside = ALONE[name]
    for part in ({"deny": ["192.0.2.7"]}, {} if "limit" in beside else {"limit": "5/s"}):
        if "limit" in part and name in ("on_refused", "legacy_headers", "jitter"):
            continue
        with pytest.raises(ConfigError, match=f"^{name}"):
            TidegateMiddleware(app, **{"deny": ["192.0.2.7"], **part, name: value})
    TidegateMiddleware(app, **beside, **{name: value})


def test_fields_of_old_clients_stand_beside_the_others() -> None:
    makes: list[Any] = [
        lambda **told: TidegateMiddleware(app, limit="5/s", **told),
        lambda **told: TidegateMiddleware(app, gate=Gate("door", limits={"all": TokenBucket("5/s")}), **told),
        lambda **told: limit("5/s", **told),
    ]
    for make in makes:
        with pytest.raises(ConfigError, match="^legacy_headers: they stand beside the RateLimit fields"):
            make(headers=False, legacy_headers=True)
        make(headers=False), make(legacy_headers=True)


@pytest.mark.parametrize("name", ["key", "cost", "refund_on", "dry_run", "burst", "name", "on_refused"])
def test_a_rule_without_a_limit_takes_nothing_that_is_said_of_one(name: str) -> None:
    for part in ({"limit": None}, {"concurrency": ConcurrencyLimiter(1)}):
        with pytest.raises(ConfigError, match=f"^{name}: without a limit there is nothing to say it of"):
            Rule("GET", "/", **part, **{name: ALONE[name][0]})


def test_names_are_quoted() -> None:
    bucket = TokenBucket("10/s", burst=1)
    fields = dict(Policies(bucket, 'a"b\\c%d').tell(bucket.check())[0])
    assert fields[b"ratelimit-policy"] == b'"a\\"b\\\\c%d";q=1;w=1'
    assert list(dict(Policies().tell(bucket.check())[0])) == [b"ratelimit"]


def test_needs_no_framework() -> None:
    code = "import sys, tidegate.asgi; sys.exit('starlette' in sys.modules or 'fastapi' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
