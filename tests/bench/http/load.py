"""Servers that stand side by side, and rounds in which each is loaded in turn."""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

QUICK = "--quick" in sys.argv
ROUNDS = 5 if QUICK else 25
CONNECTIONS = 16
# The servers on the last processor, the load on the others, so that one does not wait for the other.
PROCESSORS = sorted(os.sched_getaffinity(0))


class Server:
    """A server process; `command` gets its port."""

    def __init__(self, name, command, expect, **options):
        self.name, self.expect = name, expect
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log = open(Path(os.environ["BENCH_OUT"]) / f"http-{name.replace(' ', '-')}.log", "wb")
        self.process = subprocess.Popen(
            command(self.port),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, PROCESSORS[-1:]),
            **options,
        )

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.check()
            except (ConnectionError, urllib.error.URLError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    raise
                time.sleep(0.1)
        raise SystemExit(f"{self.name} did not start: see {self.log.name}")

    def check(self):
        """One request: it must give what this server is measured for. The first of a limit of one is admitted."""
        for _ in range(2):
            try:
                with urllib.request.urlopen(self.url, timeout=5) as answer:
                    status, headers = answer.status, answer.headers
            except urllib.error.HTTPError as error:
                status, headers = error.code, error.headers
        if status != self.expect:
            raise SystemExit(f"{self.name}: expected {self.expect}, got {status}")
        return dict(headers)

    def cpu_ns(self):
        """Processor time of all its threads, those that have ended too."""
        # The process's clock, as clock_getcpuclockid(3) makes it; Python has only the thread's.
        return time.clock_gettime_ns((~self.process.pid << 3) | 2)

    def load(self):
        """One second of load: processor nanoseconds a request, and requests a second."""
        for _ in range(5):
            before = self.cpu_ns()
            out = subprocess.run(
                ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "-s", Path(__file__).with_name("users.lua"), self.url],
                capture_output=True,
                text=True,
                check=True,
                preexec_fn=lambda: os.sched_setaffinity(0, PROCESSORS[:-1] or PROCESSORS),
            ).stdout
            after = self.cpu_ns()
            done = int(re.search(r"(\d+) requests in", out)[1])
            refused = int((re.search(r"Non-2xx or 3xx responses: (\d+)", out) or (0, 0))[1])
            if refused != (0 if self.expect == 200 else done):
                raise SystemExit(f"{self.name}: {refused} of {done} answers were not 2xx")
            if done:
                return (after - before) / done, float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
        raise SystemExit(f"{self.name}: no request was answered within a second, five times: this machine is too busy")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@contextmanager
def running(servers):
    try:
        for server in servers:
            server.wait()
        yield
    finally:
        for server in servers:
            server.stop()


def rounds(servers):
    """Processor nanoseconds a request and requests a second of each server, by round."""
    cpu = {server.name: [] for server in servers}
    rate = {server.name: [] for server in servers}
    for server in servers:
        server.load()
    for round_ in range(ROUNDS):
        for turn in range(len(servers)):
            server = servers[(round_ + turn) % len(servers)]
            ns, per_second = server.load()
            cpu[server.name].append(ns)
            rate[server.name].append(per_second)
    return cpu, rate


def share(rate, name, base):
    """The req/s of one server as a part of another's, with the quartiles over the rounds."""
    pairs = [a / b for a, b in zip(rate[name], rate[base])]
    low, middle, high = statistics.quantiles(pairs, n=4)
    return f"{name} {middle:.2f} ({low:.2f}–{high:.2f})"


def added_row(binding, work, cpu, rate, *, bare, floor, peers):
    """Time added per request: processor time of the server with the layer, less that of the bare one in the same round.

    Shown, and judged where it is measured without a server (in_process_rows.py): here it is the small difference of two
    large numbers that vary by more.
    """
    names = ["tidegate", *peers, floor]
    ns = {name: [a - b for a, b in zip(cpu[name], cpu[bare])] for name in names}
    emit(
        binding=binding,
        work=work,
        floor=floor,
        targets=[],
        ns=ns,
        notes=[
            f"{bare}: {statistics.median(cpu[bare]) / 1000:.1f} µs of processor a request, "
            f"{statistics.median(rate[bare]):.0f} req/s",
            "req/s as a part of the bare server's: " + ", ".join(share(rate, name, bare) for name in names),
        ],
    )


def refused_row(binding, work, cpu, rate, *, ours, floor, peers, least):
    """Refusals: processor time each; their rate is its inverse, so a rate of at least x is a time of at most 1/x."""
    names = [ours, *peers, floor]
    emit(
        binding=binding,
        work=work,
        tidegate=ours,
        floor=floor,
        targets=[{"of": floor, "most": 1 / least}],
        ns={name: cpu[name] for name in names},
        notes=[
            "refused req/s: " + ", ".join(f"{name} {statistics.median(rate[name]):.0f}" for name in names),
            "as a part of the bare one's: " + ", ".join(share(rate, name, floor) for name in names[:-1]),
        ],
    )


def emit(*, binding, work, floor, targets, ns, notes, tidegate="tidegate"):
    row = {"binding": binding, "work": work, "tidegate": tidegate}
    row |= {"floor": floor, "floors": [floor], "targets": targets}
    rounded = {name: [round(value, 1) for value in values] for name, values in ns.items()}
    print(json.dumps({**row, "ns": rounded, "notes": notes}, ensure_ascii=False), flush=True)
