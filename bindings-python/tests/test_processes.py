"""One state for many processes: started, forked and killed ones."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Script, Thread, wait_until
from tidegate import CircuitBreaker, ConcurrencyLimiter, RateLimiter, TokenBucket

WORKERS = 4


def run_script(code: str, **names: Any) -> str:
    """A program of its own, for what forks: the test's process has threads."""
    lines = "import os, signal, sys, time\nfrom tidegate import *\n"
    lines += "".join(f"{name} = {value!r}\n" for name, value in names.items()) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", lines], capture_output=True, text=True, timeout=2 * PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_processes_share_a_bucket(host: str) -> None:
    bucket = TokenBucket("1/hour", burst=100, scope=host, name="door")
    workers = [Script(scope=host) for _ in range(WORKERS)]
    for worker in workers:
        worker.run('b = TokenBucket("1/hour", burst=100, scope=scope, name="door")')
        worker.send("sum(b.try_acquire() for _ in range(60))")
    admitted = [worker.answer() for worker in workers]
    assert sum(admitted) == 100 and max(admitted) <= 60
    # What threads of other processes have counted is seen.
    assert (bucket.stats().admitted, bucket.stats().denied) == (100, 60 * WORKERS - 100)
    workers[0].run('b.set_quota("50/hour")')
    assert workers[0].ask("b.burst") == 50
    assert workers[1].ask("b.burst") == bucket.burst == 50
    # A worker that starts again declares what it did before, and takes nothing back.
    with Script(scope=host) as again:
        assert again.ask('TokenBucket("1/hour", burst=100, scope=scope, name="door").burst') == 50
    for worker in workers:
        with worker:
            pass
    assert not bucket.try_acquire()


def test_processes_share_keys(host: str) -> None:
    make = 'RateLimiter("5/hour", max_keys=1_000, algorithm={!r}, scope=scope, name={!r})'
    workers = [Script(scope=host) for _ in range(3)]
    for algorithm in ("token_bucket", "fixed_window", "sliding_window", "sliding_log"):
        for worker in workers:
            worker.run(f"l = {make.format(algorithm, algorithm)}")
            worker.send("[sum(l.try_acquire(f'user-{n}') for _ in range(3)) for n in range(50)]")
        admitted = [worker.answer() for worker in workers]
        assert [sum(shares) for shares in zip(*admitted, strict=True)] == [5] * 50, algorithm
    for worker in workers:
        with worker:
            pass


def test_one_process_trips_the_breaker_and_another_probes(host: str) -> None:
    here = CircuitBreaker("bank", consecutive_failures=3, cooldown=0.05, probe_timeout=PATIENCE, scope=host)
    with Script(scope=host) as there:
        there.run(
            f"b = CircuitBreaker('bank', consecutive_failures=3, cooldown=0.05, probe_timeout={PATIENCE}, scope=scope)"
        )
        there.run("for _ in range(3): b.acquire().failure()")
        assert there.ask("b.state") == "open"
        assert here.state == "open" and here.stats().opened == 1
        assert [event.kind for event in here.events()] == ["opened"]
        there.run("while (probe := b.try_acquire()) is None: time.sleep(0.001)")
        assert there.ask("b.state") == "half_open"
        assert here.try_acquire() is None, "the only probe is the other's"
        there.run("probe.success()")
        assert there.ask("b.state") == here.state == "closed"


def test_the_probe_of_a_killed_process_comes_back(host: str) -> None:
    settings: dict[str, Any] = {"consecutive_failures": 1, "cooldown": 0.05, "probe_timeout": 3600.0}
    here = CircuitBreaker("bank", **settings, scope=host)
    with Script(scope=host, settings=settings) as there:
        there.run("b = CircuitBreaker('bank', **settings, scope=scope); b.acquire().failure()")
        there.run("while (probe := b.try_acquire()) is None: time.sleep(0.001)")
        assert there.ask("b.state") == "half_open" and here.try_acquire() is None
        there.kill()

    def closed() -> bool:
        permit = here.try_acquire()
        if permit is not None:
            permit.success()
        return here.state == "closed"

    wait_until(closed)


def test_permits_of_a_killed_process_come_back(host: str) -> None:
    limiter = ConcurrencyLimiter(3, scope=host, name="database")
    own = limiter.acquire()
    with Script(scope=host) as worker:
        worker.run("l = ConcurrencyLimiter(3, scope=scope, name='database'); held = [l.acquire() for _ in range(2)]")
        assert worker.ask("l.in_use") == limiter.in_use == 3
        assert limiter.try_acquire() is None and worker.ask("l.try_acquire()") is None
        worker.kill()
    with limiter.acquire(timeout=PATIENCE), limiter.acquire(timeout=PATIENCE):
        assert limiter.in_use == 3 and limiter.try_acquire() is None
    assert limiter.stats().reclaimed == 2 and own.release() and limiter.in_use == 0


def test_who_waits_sees_what_another_process_gives_back(host: str) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=PATIENCE, scope=host, name="database")
    with Script(scope=host) as worker:
        worker.run("l = ConcurrencyLimiter(1, scope=scope, name='database', max_wait=None); held = l.acquire()")
        assert worker.ask("l.in_use") == 1
        waiting = Thread(limiter.acquire)
        assert worker.ask("held.release()") is True
        permit = waiting.finish()
        worker.send("l.acquire().release()")
        assert permit.release() and worker.answer() is True


FORK = """
def in_child(work):
    # What a child says; it ends without the interpreter's own end, as a crash would.
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(theirs, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    said = b""
    while part := os.read(ours, 4096):
        said += part
    os.close(ours)
    os.waitpid(child, 0)
    return eval(said)
"""


def test_forked_children_share_limits(host: str) -> None:
    code = (
        FORK
        + """
    shared = TokenBucket("1/hour", burst=10, scope=scope, name="door")
    users = RateLimiter("2/hour", max_keys=1_000, scope=scope, name="users")
    alone = TokenBucket("1/hour", burst=10, scope="process")
    assert shared.try_acquire() and users.try_acquire("ann") and alone.try_acquire()
    def work():
        own = sum(alone.try_acquire() for _ in range(20))
        return sum(shared.try_acquire() for _ in range(4)), users.try_acquire("ann"), own
    assert [in_child(work) for _ in range(4)] == [(4, True, 9), (4, False, 9), (1, False, 9), (0, False, 9)]
    assert not shared.try_acquire() and alone.peek().remaining == 9
    """
    )
    run_script(textwrap.dedent(code), scope=host)


def test_forked_children_own_nothing_of_their_parent_s(host: str) -> None:
    code = (
        FORK
        + """
    limiter = ConcurrencyLimiter(2, scope=scope, name="database")
    held = limiter.acquire()
    # The copy does nothing, whether it is given back, dropped or left by `with`; and warns of nothing (-W error).
    assert in_child(lambda: (held.release(), held.__exit__(None, None, None), limiter.in_use)) == (False, False, 1)
    def drop():
        global held
        del held
        return limiter.in_use
    assert in_child(drop) == 1 and limiter.in_use == 1
    # What a child takes is its own, and comes back when it ends.
    def take():
        mine = limiter.acquire()
        assert limiter.try_acquire() is None
        globals()["kept"] = mine
        return limiter.in_use
    assert in_child(take) == 2
    with limiter.acquire(timeout=30):
        assert limiter.in_use == 2
    assert held.release() and limiter.in_use == 0 and limiter.stats().reclaimed == 1
    """
    )
    run_script(textwrap.dedent(code), scope=host)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_child_waits_behind_none_of_its_parent_s(host: str, is_shared: bool) -> None:
    """A thread and a task wait in the parent: its line is not the child's, who gets what is given back in turn."""
    code = (
        FORK
        + """
    import asyncio, threading, warnings
    warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
    limiter = ConcurrencyLimiter(1, scope=scope, name="database" if scope else None)
    held, served = limiter.acquire(), []

    def wait():
        with limiter.acquire(60):
            served.append("thread")

    async def task():
        with await limiter.acquire_async(60):
            served.append("task")

    waiters = [threading.Thread(target=wait), threading.Thread(target=lambda: asyncio.run(task()))]
    for number, waiter in enumerate(waiters, 1):
        waiter.start()
        while limiter.stats().waiting < number:
            time.sleep(0.001)

    async def both():
        with await limiter.acquire_async(60):
            pass
        return "served"

    def work():
        if scope is None:
            with limiter.acquire(60):
                assert limiter.try_acquire() is None
            return asyncio.run(both())
        # The one place is the parent's: nobody here gets it, and the wait ends.
        try:
            limiter.acquire(0.05)
        except ConcurrencyLimitError:
            return "refused"

    assert in_child(work) == ("served" if scope is None else "refused")
    assert limiter.in_use == 1 and limiter.stats().waiting == 2
    held.release()
    for waiter in waiters:
        waiter.join()
    assert served == ["thread", "task"] and limiter.in_use == 0
    """
    )
    run_script(textwrap.dedent(code), scope=host if is_shared else None)


def test_a_private_limiter_after_a_fork(host: str) -> None:
    code = (
        FORK
        + """
    limiter = ConcurrencyLimiter(2, scope="process")
    held = limiter.acquire()
    seen = in_child(lambda: (limiter.in_use, limiter.try_acquire() is not None, limiter.try_acquire()))
    assert seen == (1, True, None)
    assert limiter.in_use == 1 and held.release()
    """
    )
    run_script(textwrap.dedent(code))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(host: str, method: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(
        textwrap.dedent("""
        import tidegate

        def work(scope):
            bucket = tidegate.TokenBucket("1/hour", burst=50, scope=scope, name="jobs")
            with tidegate.ConcurrencyLimiter(8, scope=scope, name="under-way").acquire(timeout=30):
                return sum(bucket.try_acquire() for _ in range(20))
        """)
    )
    code = """
    import multiprocessing, jobs
    if __name__ == "__main__":
        with multiprocessing.get_context(method).Pool(4) as pool:
            admitted = pool.map(jobs.work, [scope, HostScope(scope.removeprefix("host:"))] * 3, chunksize=1)
        assert sum(admitted) == 50, admitted
    """
    lines = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom tidegate import *\n"
    lines += f"scope, method = {host!r}, {method!r}\n"
    (tmp_path / "program.py").write_text(lines + textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, timeout=2 * PATIENCE
    )
    assert done.returncode == 0, done.stderr


def test_twenty_processes_open_one_arena_at_the_same_instant(host: str) -> None:
    workers = [Script(scope=host) for _ in range(20)]
    for worker in workers:
        assert worker.ask("1") == 1
    for worker in workers:
        worker.send("sum(TokenBucket('1/hour', burst=30, scope=scope, name='door').try_acquire() for _ in range(3))")
    assert sum(worker.answer() for worker in workers) == 30
    for worker in workers:
        with worker:
            pass


def test_a_killed_process_leaves_its_limits_usable(host: str) -> None:
    """Killed in the middle of a flood of calls, again and again."""
    users = RateLimiter("5/hour", max_keys=1_000, scope=host, name="users")
    limiter = ConcurrencyLimiter(4, max_wait=PATIENCE, scope=host, name="database")
    for _ in range(5):
        with Script(scope=host) as worker:
            worker.run("u = RateLimiter('5/hour', max_keys=1_000, scope=scope, name='users'); n = 0")
            worker.run("l = ConcurrencyLimiter(4, scope=scope, name='database')")
            assert worker.ask("l.limit") == 4
            worker.run(
                "while True: n += 1; permit = l.try_acquire(); u.try_acquire(f'user-{n % 100}'); "
                "permit and permit.release()"
            )
            seen = users.stats().denied
            wait_until(lambda seen=seen: users.stats().denied > seen + 1_000)  # type: ignore[misc]
            worker.kill()
        permits = [limiter.acquire() for _ in range(4)]
        assert limiter.try_acquire() is None
        assert all([permit.release() for permit in permits]) and limiter.in_use == 0
        assert users.peek("fresh").remaining == 5
