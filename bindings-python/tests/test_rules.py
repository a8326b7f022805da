"""Rules, keys, lists and refunds of the middleware, against bare ASGI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from conftest import run
from test_asgi import app, call, headers
from tidegate import Block, ConcurrencyLimiter, ConfigError, LimitSet, ManualClock, RateLimiter, TokenBucket
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.keys import ClientIP, api_key, client_ip, each_of, first_of, header, path, user


def statuses(middleware: Any, *paths: str, **scope: Any) -> list[int]:
    return [call(middleware, path, **scope)[0]["status"] for path in paths]


def test_rules_take_the_place_of_the_limit(clock: ManualClock) -> None:
    guarded = TidegateMiddleware(
        app,
        RateLimiter("3/minute", clock=clock),
        rules=[
            Rule("POST", "/login", limit=RateLimiter("1/minute", clock=clock), name="login"),
            Rule("GET", "/users/{id}/photos", limit=RateLimiter("2/minute", clock=clock)),
            Rule(("PUT", "PATCH"), "/users/*", limit=TokenBucket("1/minute", clock=clock)),
            Rule("*", "/static/*", limit=None),
        ],
    )
    assert statuses(guarded, "/login", "/login", method="POST") == [200, 429]
    assert statuses(guarded, "/users/1/photos", "/users/2/photos", "/users/3/photos") == [200, 200, 429]
    assert statuses(guarded, "/users/1", "/users/2", "/users", method="PATCH") == [200, 429, 429]
    assert statuses(guarded, "/static/a.css", "/static", *["/static/b/c.js"] * 5) == [200] * 7
    assert statuses(guarded, "/login", "/users/1/x/photos", "/", "/") == [200, 200, 200, 429], (
        "the others share the limit"
    )
    refused = call(guarded, "/login", method="POST")
    assert headers(refused[0])["ratelimit-policy"] == '"login";q=1;w=60'
    assert json.loads(refused[1]["body"])["violated-policies"] == ["login"]
    assert headers(call(guarded, "/users/3/photos")[0])["ratelimit"].startswith('"/users/{id}/photos";r=0')


def test_a_head_is_a_get_and_a_root_path_no_way_round(clock: ManualClock) -> None:
    guarded = TidegateMiddleware(app, rules=[Rule("GET", "/report", limit=TokenBucket("1/hour", clock=clock))])
    assert statuses(guarded, "/report", method="HEAD") == [200] and statuses(guarded, "/report") == [429]
    assert statuses(guarded, "/v1/report", root_path="/v1") == [429] and statuses(guarded, "/v1/report") == [200]
    websocket = call(guarded, "/report", kind="websocket")
    assert websocket == [{"type": "websocket.close", "code": 1013, "reason": "try again later"}]


def test_conditions(clock: ManualClock) -> None:
    async def internal(scope: Any) -> bool:
        await asyncio.sleep(0)
        return (b"x-internal", b"1") in scope["headers"]

    only = Rule("*", "/*", limit=TokenBucket("1/hour", clock=clock), when=lambda scope: scope["path"] != "/free")
    guarded = TidegateMiddleware(app, rules=[only], skip=internal)
    assert statuses(guarded, "/", "/", "/free") == [200, 429, 200]
    assert statuses(guarded, "/", headers=[(b"x-internal", b"1")]) == [200]


def test_rates_with_a_key_are_one_for_each(clock: ManualClock) -> None:
    for limit in ("2/hour", "2/hour;100/day"):
        each = TidegateMiddleware(app, limit, key=header("x-user"))
        ann, ben = ({"headers": [(b"x-user", name)]} for name in (b"ann", b"ben"))
        assert statuses(each, "/", "/", "/", **ann) == [200, 200, 429] and statuses(each, "/", **ben) == [200]
        everybody = TidegateMiddleware(app, limit)
        assert statuses(everybody, "/", "/", **ann) == [200, 200] and statuses(everybody, "/", **ben) == [429]
    fields = headers(call(each, "/", **ben)[0])
    assert fields["ratelimit-policy"] == '"2/hour";q=2;w=3600, "100/day";q=100;w=86400'
    assert fields["ratelimit"].startswith('"2/hour";r=0;t=')


def test_sets_name_who_refused(clock: ManualClock) -> None:
    limits = LimitSet(user=RateLimiter("1/hour", clock=clock), ip=RateLimiter("5/hour", clock=clock))
    guarded = TidegateMiddleware(app, limits, key={"user": header("x-user"), "ip": client_ip}, legacy_headers=True)
    ann = {"headers": [(b"x-user", b"ann")]}
    admitted, refused = call(guarded, **ann), call(guarded, **ann)
    assert headers(admitted[0])["ratelimit"] == '"user";r=0;t=3600, "ip";r=4;t=720'
    assert refused[0]["status"] == 429 and headers(refused[0])["retry-after"] == "3600"
    assert json.loads(refused[1]["body"])["violated-policies"] == ["user"]
    left = limits.limits["ip"].peek("192.0.2.1").remaining  # type: ignore[call-arg,arg-type]
    assert left == 4, "the refusal took nothing"
    both = TidegateMiddleware(app, limits, key=header("x-user"))
    assert call(both, **ann)[0]["status"] == 429
    with pytest.raises(ConfigError, match="key: this set takes a function for each of user, ip; got user"):
        TidegateMiddleware(app, limits, key={"user": client_ip})
    with pytest.raises(ConfigError, match="key: no limit of this set is keyed"):
        TidegateMiddleware(app, LimitSet(all=TokenBucket("1/s")), key=client_ip)


def key_of(function: Any, **scope: Any) -> Any:
    from tidegate.keys import resolve

    return run(resolve(function, {"type": "http", "path": "/p", "headers": [], "client": ("192.0.2.1", 5), **scope}))


def test_keys_compose() -> None:
    async def session(scope: Any) -> str | None:
        await asyncio.sleep(0)
        return scope.get("session")

    who = first_of(header("X-User"), session, client_ip)
    assert key_of(who) == "192.0.2.1"
    assert key_of(who, session="s1") == "s1"
    assert key_of(who, session="s1", headers=[(b"x-user", b"ann")]) == "ann"
    assert key_of(first_of(session, header("x"))) is None
    both = each_of(session, path)
    assert key_of(both, session="a", path="/b") != key_of(both, session="a/", path="b")
    assert key_of(both, path="/b") == key_of(both, session="", path="/b") == b"0:2:/b"
    assert key_of(api_key(), headers=[(b"x-api-key", b"k")]) == "k"
    assert key_of(api_key(), headers=[(b"authorization", b"bearer tok")]) == "tok"
    assert key_of(api_key("x-token")) is None and key_of(user) is None
    with pytest.raises(TypeError, match="key: expected a function that gives a str, bytes or None, got int"):
        key_of(lambda scope: 5)


def test_async_keys_in_the_middleware(clock: ManualClock) -> None:
    async def tenant(scope: Any) -> bytes:
        await asyncio.sleep(0)
        return bytes(dict(scope["headers"])[b"x-tenant"])

    guarded = TidegateMiddleware(app, RateLimiter("1/hour", clock=clock), key=tenant)
    for name in (b"a", b"b", b"\xff\x00"):
        assert statuses(guarded, "/", "/", headers=[(b"x-tenant", name)]) == [200, 429]


def test_trusted_proxies(clock: ManualClock) -> None:
    behind = ClientIP(trusted=["10.0.0.0/8"], ipv6_prefix=56)
    forwarded = [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.9, 10.0.0.2")]
    assert key_of(behind, headers=forwarded, client=("10.0.0.1", 1)) == "203.0.113.9"
    assert key_of(behind, headers=forwarded) == "192.0.2.1", "not a proxy: its header says nothing"
    assert key_of(client_ip, headers=forwarded, client=("10.0.0.1", 1)) == "10.0.0.1"
    assert key_of(behind, client=("2001:db8:1:2ff::9", 1)) == "2001:db8:1:200::/56"
    rfc7239 = ClientIP(trusted=["private"], header="forwarded")
    assert (
        key_of(rfc7239, headers=[(b"forwarded", b'for="[2001:db8::7]:55"')], client=("10.0.0.1", 1)) == "2001:db8::/64"
    )
    guarded = TidegateMiddleware(app, RateLimiter("1/hour", clock=clock), client=behind)
    for peer in (b"203.0.113.1", b"203.0.113.2"):
        scope = {"headers": [(b"x-forwarded-for", peer)], "client": ("10.0.0.1", 1)}
        assert statuses(guarded, "/", "/", **scope) == [200, 429]
    many = [(b"x-forwarded-for", b"10.0.0.2, " * 5000 + b"203.0.113.77")]
    assert statuses(guarded, "/", "/", headers=many, client=("10.0.0.1", 1)) == [200, 429]
    with pytest.raises(ConfigError, match="trusted: "):
        ClientIP(["*"])
    for wrong in ("10.0.0.0/8", b"10.0.0.0/8", 5, None, [5], ["10.0.0.0/8", None]):
        with pytest.raises(TypeError, match="^trusted: expected .* such as"):
            ClientIP(wrong)  # type: ignore[arg-type]


def test_lists(clock: ManualClock) -> None:
    limiter = RateLimiter("1/hour", clock=clock)
    guarded = TidegateMiddleware(
        app, limiter, key=first_of(header("x-key"), client_ip),
        allow=["10.0.0.0/8", "key:monitoring"], deny=["10.6.6.6", "203.0.113.0/24", "key:stolen"],
    )  # fmt: skip
    assert statuses(guarded, "/", "/", client=("10.0.0.5", 1)) == [200, 200]
    assert statuses(guarded, "/", "/", headers=[(b"x-key", b"monitoring")]) == [200, 200]
    for denied in ({"client": ("10.6.6.6", 1)}, {"client": ("203.0.113.9", 1)}, {"headers": [(b"x-key", b"stolen")]}):
        start, body = call(guarded, **denied)
        assert start["status"] == 403 and "retry-after" not in headers(start)
        assert json.loads(body["body"])["status"] == 403
    assert statuses(guarded, "/", "/") == [200, 429] and len(limiter) == 1, "what is listed is not counted"
    assert statuses(TidegateMiddleware(app, deny=["192.0.2.0/24"]), "/") == [403], "lists alone are enough"
    closed = call(TidegateMiddleware(app, deny=["192.0.2.0/24"]), kind="websocket", extensions=None)
    assert closed[0]["type"] == "websocket.close"


def answering(*answers: Any) -> Any:
    """An application that gives these statuses, or raises."""
    left = list(answers)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        answer = left.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        await send({"type": "http.response.start", "status": answer, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return application


def test_what_succeeds_is_given_back(clock: ManualClock) -> None:
    logins = RateLimiter("3/hour", clock=clock)
    rule = Rule("POST", "/login", limit=logins, refund_on=lambda status: status < 400)
    guarded = TidegateMiddleware(answering(200, 401, 204, 401, 302, 401), rules=[rule])
    assert statuses(guarded, *["/login"] * 7, method="POST") == [200, 401, 204, 401, 302, 401, 429]
    assert logins.stats().admitted == 6


def test_an_exception_is_a_500(clock: ManualClock) -> None:
    limiter = RateLimiter("1/hour", clock=clock)
    guarded = TidegateMiddleware(
        answering(RuntimeError("x"), asyncio.CancelledError(), 200), limiter, refund_on=lambda status: status >= 500
    )
    with pytest.raises(RuntimeError):
        call(guarded)
    assert limiter.peek("192.0.2.1").remaining == 1, "given back"
    with pytest.raises(asyncio.CancelledError):
        call(guarded)
    assert limiter.peek("192.0.2.1").remaining == 0, "a client that went away has had its turn"


def test_a_dry_run_refuses_and_tells_nothing(clock: ManualClock) -> None:
    limiter = RateLimiter("1/hour", clock=clock)
    guarded = TidegateMiddleware(app, limiter, dry_run=True)
    answers = [call(guarded) for _ in range(3)]
    assert [answer[0]["status"] for answer in answers] == [200] * 3
    assert all("ratelimit" not in headers(answer[0]) for answer in answers)
    assert limiter.stats().denied == 2


def test_blocks_reach_the_client(clock: ManualClock) -> None:
    guarded = TidegateMiddleware(app, RateLimiter("1/minute", block=Block(2, 60, 600), clock=clock))
    answers = [call(guarded)[0] for _ in range(4)]
    assert [answer["status"] for answer in answers] == [200, 429, 429, 429]
    # The third answer is the one that blocks; after it the bucket refills from empty.
    assert [int(headers(answer)["retry-after"]) in (660, 661) for answer in answers[2:]] == [True, True]


def test_a_leaky_bucket_delays(clock: ManualClock) -> None:
    limiter = RateLimiter("10/s", algorithm="leaky_bucket", queue=1, clock=clock)
    guarded = TidegateMiddleware(app, limiter)
    order: list[Any] = []

    async def one(name: str) -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                order.append((name, message["status"]))

        scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": ("192.0.2.1", 5)}
        await guarded(scope, None, send)  # type: ignore[arg-type]

    async def scene() -> None:
        await one("first")
        waiting = asyncio.ensure_future(one("second"))
        await asyncio.sleep(0.01)
        await one("third")
        assert order == [("first", 200), ("third", 429)]
        waiting.cancel()
        await asyncio.sleep(0.01)
        again = asyncio.ensure_future(one("fourth"))
        await asyncio.sleep(0.01)
        assert not again.done(), "the place of the cancelled one, and its wait"
        clock.advance(0.1)
        await again

    run(scene())
    assert order[2:] == [("fourth", 200)]


def test_twice_in_the_way_counts_once(clock: ManualClock) -> None:
    limiter, other = RateLimiter("5/hour", clock=clock), RateLimiter("5/hour", clock=clock)
    inner = TidegateMiddleware(app, limiter)
    call(TidegateMiddleware(TidegateMiddleware(inner, other), limiter))
    assert (limiter.peek("192.0.2.1").remaining, other.peek("192.0.2.1").remaining) == (4, 4)
    by_path = TidegateMiddleware(inner, limiter, key=path)
    call(by_path)
    assert (limiter.peek("192.0.2.1").remaining, limiter.peek("/").remaining) == (3, 4), "another key is another count"


def test_costs(clock: ManualClock) -> None:
    limiter = RateLimiter("10/hour", clock=clock)
    guarded = TidegateMiddleware(app, limiter, cost=lambda scope: len(scope["path"]))
    assert statuses(guarded, "/1234567", "/1234", "/1") == [200, 429, 200]


def test_keys_cannot_reach_the_headers(clock: ManualClock) -> None:
    guarded = TidegateMiddleware(
        app, RateLimiter("1/hour", clock=clock), key=lambda scope: "x\r\nset-cookie: a=b\x00\ud800"
    )
    for answer in (call(guarded), call(guarded)):
        assert all(b"\r" not in value and b"set-cookie" not in value for _, value in answer[0]["headers"])
        assert "set-cookie" not in headers(answer[0]) and b"cookie" not in answer[1]["body"]


def test_jitter_spreads_returns(clock: ManualClock) -> None:
    guarded = TidegateMiddleware(app, RateLimiter("1/hour", clock=clock), jitter=0.2)
    call(guarded)
    told = [headers(call(guarded)[0]) for _ in range(50)]
    assert len({fields["retry-after"] for fields in told}) > 5
    assert all(
        3600 <= int(fields["retry-after"]) <= 4320 and fields["ratelimit"].endswith(fields["retry-after"])
        for fields in told
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Rule("GET", "login", limit="5/s"), ConfigError, "path: must begin with a slash"),
        (lambda: Rule("GET", "/a/*/b", limit="5/s"), ConfigError, "path: braces stand for one part"),
        (lambda: Rule("GET", "/a/{b", limit="5/s"), ConfigError, "path: braces stand for one part"),
        (lambda: Rule("", "/a", limit="5/s"), ConfigError, "method: expected"),
        (lambda: Rule((), "/a", limit="5/s"), ConfigError, "method: expected"),
        (lambda: Rule(None, "/a", limit="5/s"), ConfigError, "method: expected"),  # type: ignore[arg-type]
        (lambda: Rule("GET,POST", "/a", limit="5/s"), ConfigError, "method: expected .* got 'GET,POST'"),
        (lambda: Rule("FOO BAR", "/a", limit="5/s"), ConfigError, "method: expected .* got 'FOO BAR'"),
        (lambda: Rule(("GET", "PUT "), "/a", limit="5/s"), ConfigError, "method: expected .* got 'PUT '"),
        (lambda: Rule("GET*", "/a", limit="5/s"), ConfigError, "method: expected"),
        (lambda: Rule("GET", "/a", limit=ConcurrencyLimiter(1)), TypeError, "got ConcurrencyLimiter; .* concurrency="),
        (lambda: Rule("GET", "/a", limit=TokenBucket), TypeError, "limit: expected a limit, got the class TokenBucket"),
        (lambda: Rule("GET", 5, limit="5/s"), TypeError, "path: expected a str"),  # type: ignore[arg-type]
        (
            lambda: Rule("GET", "/a", limit="5/s", when=True),  # type: ignore[arg-type]
            TypeError, "when: expected a function",
        ),
        (lambda: Rule("GET", "/a", limit="5/s", refund_on=200), TypeError, "refund_on: "),  # type: ignore[arg-type]
        (lambda: Rule("GET", "/a", limit=5).guard(), TypeError, "limit: expected a rate"),
        (
            lambda: Rule("GET", "/a", limit=TokenBucket("5/s"), burst=9).guard(),
            ConfigError,
            "burst: the TokenBucket already",
        ),
    ],
)
def test_wrong_rules_say_what_would_do(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_what_is_shown_says_how_it_was_made() -> None:
    for made, text in (
        (client_ip, "ClientIP()"),
        (ClientIP(["10.0.0.0/8"], ipv6_prefix=56), "ClientIP(trusted=['10.0.0.0/8'], ipv6_prefix=56)"),
        (header("X-User"), 'header("x-user")'),
        (first_of(header("x-user"), client_ip), 'first_of(header("x-user"), ClientIP())'),
        (each_of(user, api_key("x-k")), 'each_of(user, api_key("x-k"))'),
    ):
        assert text in repr(made)
    rule = Rule("GET", "/", limit="5/minute", key=first_of(user, header("x-user")))
    assert 'first_of(user, header("x-user"))' in repr(rule)

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    shown = repr(TidegateMiddleware(app, "5/minute", rules=[rule], concurrency=ConcurrencyLimiter(3)))
    assert shown.startswith("TidegateMiddleware(<") and "limit='5/minute', rules=[Rule('GET', '/'" in shown
    assert "concurrency=ConcurrencyLimiter(3" in shown
