"""The HTTP manners: the vectors that every binding plays, and what is Python's own about them."""

from __future__ import annotations

import json
import math
import pathlib
from types import SimpleNamespace
from typing import Any

import pytest
from tidegate import ConfigError, Decision, LimitSet, ManualClock, RateLimiter, TokenBucket, http
from tidegate._tidegate import AccessList, ClientAddress, http_answer
from tidegate.headers import Policies, Problem, retry_after_seconds

VECTORS = pathlib.Path(__file__).parents[2] / "tests" / "vectors"


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]]


def refused(case: Any, make: Any) -> bool:
    """Whether the case is about a wrong setting, which it then must be."""
    if "error" in case:
        with pytest.raises(ConfigError, match=f"^{case['error']}: "):
            make()
    return "error" in case


@pytest.mark.parametrize("case", cases("client_address"))
def test_client_address(case: Any) -> None:
    if refused(case, lambda: ClientAddress(**case["config"])):
        return
    clients = ClientAddress(**case["config"])
    for ask in case["asks"]:
        lines = [line.encode("latin-1") for line in ask["lines"]]
        assert clients.key(ask["peer"], lines) == ask["key"], ask


@pytest.mark.parametrize("case", cases("access_list"))
def test_access_list(case: Any) -> None:
    if refused(case, lambda: AccessList(**case["config"])):
        return
    listed = AccessList(**case["config"])
    for ask in case["asks"]:
        assert (listed.verdict(ask["address"], ask["key"]) or "limit") == ask["verdict"], ask
        assert (listed.verdict(ask["address"], ask["key"].encode()) or "limit") == ask["verdict"], ask


def seconds(ns: str) -> float:
    return math.inf if ns == "never" else int(ns) / 1e9


@pytest.mark.parametrize("case", cases("http_answers"))
def test_http_answers(case: Any) -> None:
    most = seconds(case["config"]["max_retry_after_ns"])
    slow = case["config"].get("slow_call_duration_ns")
    classifier = http(max_retry_after=most, slow_call_duration=slow and seconds(slow))
    for ask in case["asks"]:
        fields = (ask.get(name) for name in ("retry_after", "retry_after_ms", "date"))
        failed, wait = http_answer(ask["status"], *fields, int(ask.get("now_ms", 0)) / 1e3, most)
        expected = ask["retry_after_ns"]
        assert failed == (ask["outcome"] == "failure"), ask
        answer = SimpleNamespace(status_code=ask["status"])
        assert classifier.result(answer, seconds(ask.get("duration_ns", "0")))[0] == ask["outcome"], ask
        assert wait == (expected and pytest.approx(seconds(expected))), ask


@pytest.mark.parametrize("case", cases("ratelimit_fields"))
def test_ratelimit_fields(case: Any) -> None:
    config = case["config"]
    if refused(case, lambda: Policies(None, **config)):
        return
    for ask in case["asks"]:
        given = ask["decision"]
        limit: TokenBucket | None = None
        if ask["window_ns"] is not None:
            limit = TokenBucket(given["limit"], per=seconds(ask["window_ns"]))
        decision = Decision(
            given["allowed"], given["limit"], given["remaining"],
            seconds(given["retry_after_ns"]), seconds(given["reset_after_ns"]),
        )  # fmt: skip
        fields, retry_after = Policies(limit, **config).tell(decision)
        # Partition keys are not for this binding, which knows no key that a client may see.
        policy, state = (ask[name].split(";pk=")[0].encode() for name in ("policy", "limit"))
        expected = [] if limit is None else [(b"ratelimit-policy", policy)]
        assert fields == [*expected, (b"ratelimit", state)]
        assert retry_after == int(ask["retry_after"] or 0)


def test_problems() -> None:
    for problem in json.loads((VECTORS / "ratelimit_fields.json").read_text())["problems"]:
        made = Problem(problem["type"], violated=problem["violated"])
        assert (made.status, made.body.decode()) == (problem["status"], problem["body"])
    with pytest.raises(ConfigError, match="quota_exceeded, temporary_reduced_capacity"):
        Problem("unheard_of")  # type: ignore[arg-type]


def test_a_problem_says_its_length_and_when_to_come_back() -> None:
    problem = Problem.limited("user", "ip")
    assert json.loads(problem.body)["violated-policies"] == ["user", "ip"]
    fields = dict(problem.headers(0.2))
    assert fields[b"content-length"] == str(len(problem.body)).encode() and fields[b"retry-after"] == b"1"
    assert b"retry-after" not in dict(Problem.denied().headers())
    assert (Problem.denied().status, Problem.overloaded().status, Problem.overloaded(529).status) == (403, 503, 529)


def test_retry_after_is_whole_seconds() -> None:
    given = [-1.0, math.nan, 0.0, 0.001, 1.0, 1.001, 59.2, 7200.5, math.inf]
    assert [retry_after_seconds(number) for number in given] == [1, 1, 1, 1, 1, 2, 60, 7201, 3600]


def test_a_set_tells_of_each_of_its_limits(clock: ManualClock) -> None:
    limits = LimitSet(user=RateLimiter("10/minute", clock=clock), everyone=TokenBucket("2/s", clock=clock))
    policies = Policies(limits, legacy=True)
    fields, retry_after = policies.tell(*limits.check_each(user="u1"))
    assert retry_after == 0
    assert dict(fields) == {
        b"ratelimit-policy": b'"user";q=10;w=60, "everyone";q=2;w=1',
        b"ratelimit": b'"user";r=9;t=6, "everyone";r=1;t=1',
        b"x-ratelimit-limit": b"2",
        b"x-ratelimit-remaining": b"1",
        b"x-ratelimit-reset": b"1",
    }
    limits.check(user="u2")
    fields, retry_after = policies.tell(limits.check(user="u2"))
    assert retry_after == 1 and dict(fields)[b"ratelimit"] == b'"everyone";r=0;t=1', (
        "who denied, where that is all that is known"
    )
    fields, _ = policies.tell(Decision(True, 2, 1, 0.0, 0.5))
    assert b"ratelimit" not in dict(fields), "nobody knows whose numbers these are"


def test_windows_tell_their_period(clock: ManualClock) -> None:
    limiter = RateLimiter("5/hour", algorithm="fixed_window", clock=clock)
    assert Policies(limiter, "login").tell(limiter.check("u1"))[0][0] == (b"ratelimit-policy", b'"login";q=5;w=3600')


def test_jitter_lengthens_both_times_alike(clock: ManualClock) -> None:
    bucket = TokenBucket("1/minute", clock=clock)
    bucket.try_acquire()
    decision, policies = bucket.check(), Policies(bucket, jitter=0.5)
    told = [policies.tell(decision) for _ in range(200)]
    retries = {retry_after for _, retry_after in told}
    assert retries <= set(range(60, 91)) and len(retries) > 5
    assert all(fields[1] == (b"ratelimit", f'"default";r=0;t={retry_after}'.encode()) for fields, retry_after in told)
    with pytest.raises(ConfigError, match="^jitter: "):
        Policies(bucket, jitter=1.5)


def test_a_key_is_the_text_that_came_where_it_can_be() -> None:
    clients, peer = ClientAddress(), "192.0.2." + "1"
    assert clients.key(peer) is peer
    assert clients.key("\ud800") == "\ud800", "no address, so its own key"
    assert clients.address("::ffff:192.0.2.1") == "192.0.2.1" and clients.address("testclient") is None
    assert clients.header is None and ClientAddress(["unix"], "Forwarded").header == "forwarded"


def test_thousands_of_entries_are_no_work() -> None:
    clients = ClientAddress(["10.0.0.0/8"])
    assert clients.key("10.0.0.1", [b"10.0.0.2, " * 100_000 + b"203.0.113.9"]) == "203.0.113.9"
    assert clients.key("10.0.0.1", [b"203.0.113.9, " + b"10.0.0.2, " * 100_000]) == "10.0.0.2"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClientAddress("10.0.0.0/8"),
        lambda: ClientAddress([b"10.0.0.0/8"]),  # type: ignore[list-item]
        lambda: ClientAddress(["10.0.0.0/8"], ipv6_prefix="64"),  # type: ignore[arg-type]
        lambda: AccessList("10.0.0.0/8"),
        lambda: AccessList().verdict(key=5),  # type: ignore[arg-type]
        lambda: Policies(name=b"x"),  # type: ignore[arg-type]
    ],
)
def test_wrong_types(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize("bits", [-1, 0, 129, 300, 2**40])
def test_prefixes_out_of_range(bits: int) -> None:
    with pytest.raises(ConfigError, match="^ipv6_prefix: "):
        ClientAddress(ipv6_prefix=bits)
