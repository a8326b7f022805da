"""The samples of docs/ and README.md, run as they stand; those of applications over real HTTP."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp
import flask
import httpx
import pytest
import tidegate.limits  # noqa: F401  (registers tidegate://)
from brokers import Broker
from confluent_kafka import TopicPartition
from conftest import run, wait_until
from faulty import faulty
from fastapi import FastAPI, Request
from flask_limiter import Limiter as FlaskLimiter
from served import ask, served, served_wsgi, statuses
from shop import Service
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from tidegate import BoundedQueue, CircuitOpenError, ConcurrencyLimitError, Deadline, Decision

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted((DOCS.parents[1] / "docs").glob("*.md"))]
SAMPLES = {
    found["name"]: found["code"]
    for page in PAGES
    for found in re.finditer(r"```python\n# (?P<name>\w+)\.py\n(?P<code>.*?)```", page.read_text(), re.DOTALL)
}
RUN: set[str] = set()


def sample(name: str) -> Any:
    RUN.add(name)
    module = ModuleType(name)
    sys.modules[name] = module
    try:
        with warnings.catch_warnings():
            # What the other libraries do with deprecated parts of asyncio and Flask is theirs.
            warnings.simplefilter("ignore")
            exec(compile(SAMPLES[name], name + ".py", "exec"), module.__dict__)
    finally:
        del sys.modules[name]
    return module


@pytest.mark.filterwarnings("ignore")
def test_slowapi_on_tidegate() -> None:
    with served(sample("slowapi_kept").app) as url:
        answers = ask(url, *["/items"] * 5)
    assert statuses(answers) == [200, 200, 200, 429, 429]
    assert answers[3].json() == {"error": "Rate limit exceeded: 3 per 1 minute"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["slowapi_before", "slowapi_after"])
def test_the_same_limits_before_and_after(name: str) -> None:
    with served(sample(name).app) as url:
        ann, ben = ({"headers": {"x-user-id": who}} for who in ("ann", "ben"))
        items, logins = ask(url, *["/items"] * 4, **ann), ask(url, *["/login"] * 3, method="POST", **ann)
        assert statuses(ask(url, "/items", **ben)) == statuses(ask(url, "/items")) == [200]
        assert statuses(ask(url, *["/healthz"] * 5, **ann)) == [200] * 5
    assert statuses(items) == [200, 200, 200, 429] and statuses(logins) == [200, 200, 429]
    assert [answer.headers["x-ratelimit-limit"] for answer in (items[0], logins[0])] == ["3", "2"]
    assert [answer.headers["x-ratelimit-remaining"] for answer in items] == ["2", "1", "0", "0"]


@pytest.mark.filterwarnings("ignore")
def test_flask_limiter_on_tidegate() -> None:
    with served_wsgi(sample("flask_limiter_kept").app) as url:
        answers = ask(url, *["/items"] * 5)
    assert statuses(answers) == [200, 200, 200, 429, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers[:3]] == ["2", "1", "0"]
    assert 0 <= int(answers[3].headers["Retry-After"]) <= 60


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_every_strategy_under_flask_limiter_and_slowapi(strategy: str) -> None:
    old = flask.Flask(__name__)
    by_user = FlaskLimiter(
        lambda: flask.request.headers["x-user"], app=old, storage_uri="tidegate://", strategy=strategy
    )
    old.get("/")(by_user.limit("2/hour;3/day")(lambda: "ok"))
    fastapi = FastAPI()
    limiter = Limiter(lambda request: request.headers["x-user"], storage_uri="tidegate://", strategy=strategy)
    fastapi.state.limiter = limiter
    fastapi.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]

    async def route(request: Request) -> str:
        return "ok"

    fastapi.get("/")(limiter.limit("2/hour")(route))
    for serve, app in ((served_wsgi, old), (served, fastapi)):
        with serve(app) as url:  # type: ignore[operator]
            assert statuses(ask(url, *["/"] * 4, headers={"x-user": "ann"})) == [200, 200, 429, 429]
            assert statuses(ask(url, "/", headers={"x-user": "ben"})) == [200]
    limiter.reset()
    assert limiter._storage.reset() == 0


def test_limits_on_tidegate_and_after() -> None:
    sample("limits_kept")
    for name in ("limits_before", "limits_after"):
        module = sample(name)
        assert [module.allowed("ann"), module.allowed("ann", 2), module.allowed("ann")] == [True, True, False]
        assert (module.remaining("ann"), module.remaining("ben")) == (0, 3)


def test_samples_for_tests(tmp_path: Path) -> None:
    for name in ("test_limiter_sample", "test_fastapi_sample", "test_frozen_sample", "test_clock_sample"):
        RUN.add(name)
        (tmp_path / f"{name}.py").write_text(SAMPLES[name])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "7 passed" in done.stdout, done.stdout + done.stderr


def test_host_scope(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = sample("shop"), sample("shop")
    with served(one.app) as first, served(two.app) as second:
        assert statuses(ask(first, *["/login"] * 3, method="POST")) == [200] * 3
        answers = ask(second, *["/login"] * 3, method="POST")
        assert statuses(answers) == [200, 200, 429] and statuses(ask(second, "/reports")) == [200]
    one.bank.force_open()
    assert two.bank.state == "forced_open" and one.reports.stats() == two.reports.stats()
    assert sample("many_keys").users.scope == "host:users"


def test_cluster_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_DIR", str(tmp_path / "arenas"))
    monkeypatch.setenv("TIDEGATE_CAPACITY", "1M")
    # Nobody leases here: what an agent changes, test_cluster.py shows.
    with served(sample("one_limit_for_all_machines").app) as url:
        assert statuses(ask(url, "/")) == [429]


def test_concurrency() -> None:
    module = sample("rendering")
    held = [module.renderers.acquire() for _ in range(2)]
    with served(module.app) as url:
        refused = ask(url, "/chart", "/page")
        for permit in held:
            permit.release()
        assert statuses(ask(url, "/chart", "/page")) == [200, 200]
    assert statuses(refused) == [503, 503] and refused[0].headers["retry-after"] == "1"


def test_what_is_lent_comes_back() -> None:
    module = sample("partitions")
    database = module.database
    assert (module.page(), module.export(["a", "", "b"])) == ("drawn", 2)
    held = [database.acquire(partition="batch") for _ in range(10)]
    with pytest.raises(ConcurrencyLimitError):
        module.page()
    assert held.pop().release() and module.export(["a"]) == 0 and module.page() == "drawn"
    assert all(permit.release() for permit in held)


def test_one_decision(capsys: pytest.CaptureFixture[str]) -> None:
    module = sample("one_decision")
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == ["paid, 99 left", "403", "a page from the cache"] and len(printed) > 3
    assert module.order("ben", "198.51.100.8") == "paid, 99 left"


def test_a_gate_before_fastapi() -> None:
    module = sample("gate_fastapi")
    with served(module.app) as url:
        assert [answer.json() for answer in ask(url, "/orders", method="POST")] == [{"left": 99}]
        module.orders.dependencies["payment"].force_open()
        assert [answer.status for answer in ask(url, "/orders", method="POST")] == [503]
        assert [answer.status for answer in ask(url, "/report", "/report", "/report")] == [200, 200, 429]


def test_a_gate_before_flask() -> None:
    module = sample("gate_flask")
    with served_wsgi(module.app) as url:
        answer = ask(url, "/orders", method="POST", headers={"x-api-key": "ann"})[0]
        assert answer.json() == {"left": 99} and answer.headers["ratelimit"].startswith('"client";r=99')
        module.gate.dependencies["payment"].force_open()
        assert ask(url, "/orders", method="POST")[0].status == 503


def test_a_gate_before_django() -> None:
    # Django's settings are a process's own, once: they go no further than this one.
    code = SAMPLES["gate_django"] + textwrap.dedent("""
        import asyncio
        from served import ask, served_wsgi
        with served_wsgi(application) as url:
            print(ask(url, "/orders", method="POST")[0].json(), ask(url, "/orders")[0].json())
    """)
    RUN.add("gate_django")
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path})
    assert done.stdout.strip() == "{'left': 95} {'left': 94}", done.stderr


def test_reloading(capsys: pytest.CaptureFixture[str]) -> None:
    module = sample("reloading")
    assert capsys.readouterr().out == '1 limits.all.rate: "100/s" becomes "200/s"\n'
    assert module.policy.generation == 1 and module.everyone.count == 200


def test_one_policy(capsys: pytest.CaptureFixture[str]) -> None:
    module = sample("one_policy")
    assert capsys.readouterr().out == "8 39 breakers.payment.cooldwon cooldown\n"
    assert module.orders.depth == 1 and module.policy.names("gates") == ["orders"]


def test_the_figures_sample() -> None:
    with served(sample("figures").app) as url:
        [page] = ask(url, "/metrics/")
    line = 'tidegate_decisions_total{scope="process",kind="token_bucket",name="orders",decision="admitted"} 1\n'
    assert page.status == 200 and line in page.body.decode()


def test_an_adaptive_limit() -> None:
    module = sample("searching")
    assert asyncio.run(module.find("a")) == ["a"] and module.find_in_thread("b") == ["b"]
    assert (module.search.in_use, module.search.limit, module.search.stats().admitted) == (0, 20, 2)


def test_rate_limits() -> None:
    module = sample("rate_limits")
    assert [module.admit("ann") for _ in range(100)] == [None] * 100 and 0 < module.admit("ann") <= 0.6
    assert module.admit("ben", paying=True) is None


def test_queue() -> None:
    module = sample("accepted")
    assert [module.accept({"n": n}) for n in range(801)] == [202] * 800 + [503]

    async def scene() -> list[dict[str, int]]:
        done: list[dict[str, int]] = []
        worker = asyncio.create_task(module.worker(done))
        assert await module.accept_or_wait({"n": 800}) == 202
        module.orders.close()
        await worker
        return done

    assert [order["n"] for order in run(scene())] == list(range(801))


def test_processor(tmp_path: Path) -> None:
    module = sample("worked_off")
    with served(module.app) as url:
        answers = [httpx.post(f"{url}/orders{path}", json={"n": n}) for n, path in enumerate(["", "/paid", ""])]
    assert [answer.status_code for answer in answers] == [202, 200, 202]
    # The end of the lifespan has worked off the rest.
    assert sorted(order["n"] for order in module.stored) == [0, 1, 2] and module.kept == []
    paths = [tmp_path / str(size) for size in range(5)]
    for size, path in enumerate(paths):
        path.write_bytes(b"x" * size)
    assert sample("in_threads").resize_all(paths) == [0, 1, 2, 3, 4]


def test_a_queue_by_rules() -> None:
    module = sample("urgent")
    assert module.requests.discard() == 1 and module.late == [("report", "closed")]


def test_overload() -> None:
    module = sample("browned_out")
    with served(module.app) as url:
        assert statuses(ask(url, "/list", "/chart", "/readyz/")) == [200] * 3
        permits = [module.rest.try_acquire() for _ in range(200)] + [module.charts.try_acquire() for _ in range(2)]
        page, chart, ready = ask(url, "/list", "/chart", "/readyz/")
        assert (page.status, page.body, chart.status, ready.status) == (200, b'{"items":[]}', 503, 200)
        for permit in permits:
            permit.release()


def test_overload_in_flask() -> None:
    module = sample("browned_out_flask")
    with served_wsgi(module.app) as url:
        assert statuses(ask(url, "/list", "/chart", "/readyz")) == [200] * 3
        with contextlib.ExitStack() as held:
            for limiter in [module.rest] * 28 + [module.charts] * 2:
                held.enter_context(limiter.acquire())
            assert [answer.status for answer in ask(url, "/list", "/chart", "/readyz")] == [200, 503, 200]
            for _ in range(2):
                held.enter_context(module.rest.acquire())
            page, chart, ready = ask(url, "/list", "/chart", "/readyz")
            assert (page.status, page.body, chart.status, ready.status) == (200, b'{"items":[]}', 503, 200)
            assert int(chart.headers["retry-after"]) >= 1


def test_a_breaker_for_each_host() -> None:
    module = sample("hosts")
    assert module.fetch("db.internal") == "from db.internal"
    assert [key for key, _ in module.hosts.items()] == ["db.internal"] and module.hosts.max_breakers == 1_000


def test_circuit_breaker() -> None:
    module = sample("payment")
    assert module.checkout({}) == "paid" and module.by_hand({})
    assert [module.checkout({"bank": "down"}) for _ in range(6)] == ["failed"] * 5 + ["again in 30 s"]
    module.payment.reset()
    assert module.by_hand({"status": 503}) and module.payment.stats().failed == 1


def test_events(caplog: pytest.LogCaptureFixture) -> None:
    module = sample("watching")

    async def scene() -> int:
        await module.start()
        closed = asyncio.create_task(module.until_it_closes())
        await asyncio.sleep(0)
        for _ in range(5):
            module.bank.acquire().failure()
        module.bank.reset()
        return await closed

    with caplog.at_level("INFO"):
        assert run(scene()) == 0
    assert module.opened == ["bank"]
    assert [record.getMessage() for record in caplog.records if record.name == "circuits"] == [
        "circuit 'bank': opened (of 5 calls 5 failed, 0 slow)",
        "circuit 'bank': closed",
    ]


def test_retry() -> None:
    module = sample("charging")
    answers = iter([ConnectionError(), "paid", ConnectionError(), "paid"])

    def send(order: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send_async(order: str) -> str:
        return send(order)

    assert module.charge("7", send) == run(module.charge_async("7", send_async)) == "paid"
    assert (module.bank.stats().withdrawn, module.bank.stats().deposited) == (2, 2)


def test_resilience() -> None:
    module = sample("bank_calls")
    answers = iter([503, 200, *[503] * 3, 200, *[503] * 4])
    told: list[int] = []

    async def send(order: str, at: str = "first") -> Any:
        told.append(int(Deadline.current().headers()["x-request-timeout-ms"]))
        return SimpleNamespace(status_code=next(answers))

    within = {"x-request-timeout-ms": "20000"}
    ends = [run(module.serve(within, send, "7")) for _ in range(3)]
    assert ends == ["200 from primary", "200 from second", "later"]
    assert module.later.try_pop().args == (send, "7") and module.charge.__name__ == "charge"
    # Two seconds an attempt, and for the fallback what the caller has.
    assert all(0 < left <= 1900 for left in told[:2]) and 1900 < told[5] <= 19000


def test_clients() -> None:
    calling, clients = sample("calling"), sample("clients")
    with faulty() as server:
        server.script.extend([503, 200, "reset", 404])
        assert run(calling.prices(server.url)) == "done" and run(calling.prices(server.url)) is None
        assert len(server.asked) == 4
        server.script.extend([500, "reset", 200])
        assert calling.order(server.url, "7") == 200 and set(calling.breakers) == {server.url[7:]}
        server.script.extend([429, 200, 503, 200])
        assert clients.session.get(server.url).status_code == 200 and run(clients.fetch(server.url)) == 200
    answers = iter([ConnectionError(), "paid", ConnectionError(), "refunded"])

    def send(order: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send_async(order: str) -> str:
        return send(order)

    assert clients.charge(send, "7") == "paid" and run(clients.refund(send_async, "7")) == "refunded"
    assert (clients.budget.stats().deposited, clients.budget.stats().withdrawn) == (4, 4)


def test_payments_go_to_one_provider_and_wait_while_both_are_down() -> None:
    module, first, second = sample("payments"), Service(), Service()

    async def scene(urls: tuple[str, str]) -> None:
        providers = [
            module.Provider(name, url, cooldown=0.1) for name, url in zip(("first", "second"), urls, strict=True)
        ]
        for provider in providers:
            provider.client.timeout = 0.25
        shop, numbers = module.Payments(*providers), iter(range(10_000))
        workers = [asyncio.create_task(shop.work()) for _ in range(5)]

        async def orders(count: int = 12) -> list[str]:
            ends = (shop.accept({"id": f"order {next(numbers)}", "amount": 7}) for _ in range(count))
            return list(await asyncio.gather(*ends))

        assert set(await orders()) == {"paid by first"} and providers[1].breaker.stats().calls == 0
        first.mode = "none"
        assert set(await orders()) == {"declined"} and not second.booked
        for mode in ("lost", "late", "down"):
            # Nobody knows what became of the first ones: they wait for the first provider, not for the second.
            first.mode = mode
            await orders()
            while providers[0].breaker.state != "open":
                await orders(1)
            providers[0].breaker.force_open()
            assert set(await orders()) == {"paid by second"}
            # Then the second as well.
            second.mode = mode
            await orders()
            providers[0].breaker.reset()
            first.mode = second.mode = "ok"
            while shop.waiting.depth:
                await asyncio.sleep(0.01)
        shop.waiting.close()
        await asyncio.gather(*workers)
        declined = {f"order {n}" for n in range(12, 24)}
        every = {f"order {n}" for n in range(next(numbers))} - declined
        assert every == set(first.booked) | set(second.booked), "none is lost"
        assert not set(first.booked) & set(second.booked), "and none is paid by both"
        for provider in providers:
            await provider.client.aclose()

    with served(first) as one, served(second) as two:
        run(scene((one, two)))
    assert {*first.booked.values(), *second.booked.values()} == {1}, "nor twice by one"


def test_a_saga_gives_the_payment_back() -> None:
    module, payments, inventory = sample("saga"), Service(), Service()

    async def scene(one: str, two: str) -> None:
        shop = module.Shop(one, two, cooldown=0.1)
        shop.payments.timeout = shop.inventory.timeout = 0.25
        workers = [asyncio.create_task(shop.work()) for _ in range(3)]
        ends: dict[str, str] = {}

        async def orders(count: int = 8) -> set[str]:
            numbers = [str(len(ends) + n) for n in range(count)]
            ends.update(zip(numbers, await asyncio.gather(*map(shop.order, numbers)), strict=True))
            return {ends[number] for number in numbers}

        assert await orders() == {"ordered"}
        for mode in ("down", "lost", "late", "none"):
            inventory.mode = mode
            assert await orders() == {"given back"}
        # Its circuit is open after payment: nothing is sent there, and the payment is given back all the same.
        inventory.mode, asked = "down", 0
        while asked != inventory.asked:
            asked = inventory.asked
            assert await orders(1) == {"given back"}
        # The payments go, too, and with them what would undo them.
        payments.mode = "lost"
        assert await orders() <= {"not paid", "given back"}
        payments.mode = inventory.mode = "ok"
        while shop.undoing.depth:
            await asyncio.sleep(0.01)
        shop.undoing.close()
        await asyncio.gather(*workers)
        ordered = {number for number, end in ends.items() if end == "ordered"}
        assert payments.held == inventory.held == ordered, "both or none"
        assert len(payments.booked) > len(ordered)
        await shop.payments.aclose()
        await shop.inventory.aclose()

    with served(payments) as one, served(inventory) as two:
        run(scene(one, two))


def test_orders_from_kafka(kafka: Broker) -> None:
    module, topic, found = sample("orders_from_kafka"), kafka.topic(), []
    kafka.send(topic, range(2_000))
    group = {"bootstrap.servers": kafka.address, "group.id": "orders", "auto.offset.reset": "earliest"}

    def until(count: int) -> None:
        module.orders = BoundedQueue(1_000)
        module.consume(group, topic, lambda value: found.append(int(value)), lambda: len(found) < count)

    until(1_000)
    first = len(found)
    until(2_000)
    assert found == list(range(2_000)) and 1_000 <= first < 2_000, "what was done is committed at close"
    assert sample("lag_of_orders").lag_lines(kafka.consumer(), "orders") == []
    consumer = kafka.consumer(group_id="orders")
    consumer.assign([TopicPartition(topic, 0)])
    line = f'tidegate_kafka_lag{{group="orders",topic="{topic}",partition="0"}} 0'
    assert sample("lag_of_orders").lag_lines(consumer, "orders") == [line]
    # 20,000 behind are full pressure, once somebody has asked for them.
    kafka.send(topic, range(20_000))
    lag = tidegate.kafka.Lag(consumer)
    shedder = sample("shed_by_lag").shedder_of(lag)
    assert not any("20000" in text for text in shedder.explain())

    def is_told() -> bool:
        shedder.sample()
        return shedder.pressure == 1 and shedder.check("normal").signal == "lag of orders"

    assert lag() == 20_000
    wait_until(is_told)
    consumer.close()


def test_payments_from_kafka(kafka: Broker) -> None:
    topic, found = kafka.topic(), []
    kafka.send(topic, range(500))
    settings = {"bootstrap_servers": kafka.address, "group_id": "payments", "auto_offset_reset": "earliest"}

    async def handle(value: bytes) -> None:
        found.append(int(value))

    async def scene() -> None:
        consuming = asyncio.create_task(sample("payments_from_kafka").consume(topic, handle, **settings))
        while len(found) < 500:
            await asyncio.sleep(0.01)
        consuming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await consuming

    run(scene())
    assert found == list(range(500))


def test_the_important_first() -> None:
    assert sample("important_first").shedder.admit("critical")


def test_every_sample_was_run() -> None:
    code = "".join(page.read_text() for page in PAGES)
    assert code.count("```python") == len(SAMPLES), "a sample begins with its file's name"
    if not RUN:
        pytest.skip("the other tests of this file were not selected")
    assert RUN == set(SAMPLES)


README = (DOCS.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_s_application() -> None:
    module = ModuleType("readme")
    sys.modules["readme"] = module
    exec(compile(BLOCKS[0], "README.md", "exec"), module.__dict__)
    with served(module.app) as url:
        assert statuses(ask(url, *["/login"] * 6, method="POST")) == [200] * 5 + [429]
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        preflight = ask(url, "/orders", method="OPTIONS", headers={"Origin": "https://shop.example", **asks})
        orders = ask(url, "/orders", method="POST", json={"n": 1}, headers={"Origin": "https://shop.example"})
        reports = ask(url, *["/reports/1"] * 21, headers={"X-Api-Key": "k"})
    assert statuses(preflight) == [200], "a browser asks before it posts JSON"
    assert orders[0].status == 202 and "RateLimit" in orders[0].headers["access-control-expose-headers"]
    assert orders[0].headers["ratelimit-policy"] == '"default";q=800;w=2'
    assert statuses(reports) == [404] * 20 + [429]
    workers_outlive_failures(module)
    del sys.modules["readme"]


def workers_outlive_failures(module: Any) -> None:
    """An application's workers, after more failures of the provider than there are workers. An order that meets an
    open circuit waits, and is not lost.
    """
    tried: list[int] = []

    async def pay(order: dict[str, int]) -> None:
        tried.append(order["n"])
        if order["n"] < 15 and tried.count(order["n"]) < 3:
            raise CircuitOpenError("payment", 0.001)
        raise OSError

    module.orders = BoundedQueue(1_000)
    module.pay = pay
    with served(module.app):
        for n in range(30):
            assert module.orders.try_push({"n": n})
        wait_until(lambda: len(set(tried)) == 30 and len(tried) == 60)
    assert sorted(tried) == sorted([*range(15)] * 3 + [*range(15, 30)])


@pytest.mark.usefixtures("host")
def test_the_readme_s_other_samples() -> None:
    """Each runs as it stands, in one after the other, where a name of the reader's own is what it says."""
    names: dict[str, Any] = {}
    exec("from tidegate import *\nfrom tidegate.asgi import *\nfrom tidegate.asgi import Rule", names)

    async def pay_async(order: Any) -> None:
        return None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    names |= {"pay": lambda order: None, "pay_async": pay_async, "order": {}, "item": 1, "app": app}

    async def scene() -> None:
        for block in BLOCKS[1:]:
            await_or_none = eval(compile(block, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if await_or_none is not None:
                await await_or_none

    run(scene())
    assert isinstance(names["answer"], Decision) and names["answer"].allowed


def root_blocks() -> list[str]:
    found: list[str] = re.findall(r"```python\n(.*?)```", (DOCS.parents[1] / "README.md").read_text(), re.DOTALL)
    return found


@pytest.mark.usefixtures("host")
def test_the_root_readme_s_other_samples() -> None:
    blocks = [block for block in root_blocks() if "FastAPI(" not in block]
    assert blocks
    names: dict[str, Any] = {}
    exec("from tidegate import *", names)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["limit"].scope == "host:orders"


def test_the_root_readme_s_application() -> None:
    (code,) = (block for block in root_blocks() if "FastAPI(" in block)
    module = ModuleType("root_readme")
    sys.modules["root_readme"] = module
    exec(compile(code, "README.md", "exec"), module.__dict__)
    with served(module.app) as url:
        answers = [logins(url, address) for address in ("127.0.0.5", "127.0.0.6")]
        assert ask(url, "/orders", method="POST", json={"n": 1})[0].status == 202
    assert answers == [[200] * 5 + [429]] * 2, "nobody can lock another out"
    workers_outlive_failures(module)
    del sys.modules["root_readme"]


def logins(url: str, address: str) -> list[int]:
    """Six of them, from an address of this machine."""

    async def scene() -> list[int]:
        connector, found = aiohttp.TCPConnector(local_addr=(address, 0)), []
        async with aiohttp.ClientSession(connector=connector) as session:
            for _ in range(6):
                async with session.post(url + "/login") as answer:
                    found.append(answer.status)
        return found

    return run(scene())  # type: ignore[no-any-return]


def test_the_applications_run_with_a_scope_in_the_environment(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SCOPE", host)
    test_the_readme_s_application()
    test_the_root_readme_s_application()
