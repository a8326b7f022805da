"""The two services, started as one starts them in production, each on a port the system picks."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.error import URLError
from urllib.request import Request, urlopen

from . import processes
from .plan import DEMO, OUT, WORKERS

# The generator shares this machine with what it measures; it would have its own. So the services yield to it.
POLITELY = ["nice", "-n", "5"]
_ADDRESS = re.compile(rb"http://(127\.0\.0\.1:\d+)")


class Service:
    def __init__(self, name: str, command: list, log: Path, **options):
        self.log = log
        log.unlink(missing_ok=True)
        self.process: Popen = processes.start(POLITELY + command, log, **options)
        self.address = self._wait(name)

    def _wait(self, name: str, patience: float = 60) -> str:
        """Its address, from its log, once it answers."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise processes.Failed(f"{name} ended at once; its log is {self.log}:\n{self.log.read_text()[-2000:]}")
            if found := _ADDRESS.search(self.log.read_bytes()):
                address = found[1].decode()
                try:
                    with urlopen(f"http://{address}/healthz", timeout=1):
                        return address
                except (URLError, OSError):
                    pass
            time.sleep(0.05)
        raise processes.Failed(f"{name} did not answer within {patience:.0f} s; its log is {self.log}")

    def post(self, path: str, body: dict) -> None:
        request = Request(
            f"http://{self.address}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urlopen(request, timeout=5):
            pass

    def stop(self) -> None:
        processes.stop(self.process)


def payments(key: str, *, protected: bool) -> Service:
    ledger(key).unlink(missing_ok=True)
    env = {"LEDGER": str(ledger(key)), "PROTECTED": "yes" if protected else "no"}
    return Service("payments", ["node", "dist/main.js"], OUT / f"payments-{key}.log", cwd=OUT / "payments", env=env)


def orders(key: str, payments: Service, *, protected: bool) -> Service:
    app = "orders.with_tidegate:app" if protected else "orders.without_tidegate:app"
    command = [OUT / "venv/bin/uvicorn", app, "--port", "0", "--no-access-log"]
    env = {"PAYMENTS_URL": f"http://{payments.address}"}
    return Service("orders", command, OUT / f"orders-{key}.log", cwd=DEMO, env=env)


def arenas() -> dict:
    """Where processes meet. In production this is /dev/shm by default; the demo leaves nothing there."""
    return {"TIDEGATE_DIR": str(OUT / "arenas")}


def shared_uvicorn() -> Service:
    command = [OUT / "venv/bin/uvicorn", "orders.in_many_processes:app", "--port", "0", "--no-access-log"]
    command += ["--workers", WORKERS]
    return Service("orders", command, OUT / "shared-uvicorn.log", cwd=DEMO, env=arenas())


def shared_nest(key: str) -> Service:
    return Service("orders", ["node", "dist/orders/main.js"], OUT / f"{key}.log", cwd=OUT / "payments", env=arenas())


def ledger(key: str) -> Path:
    """Where the store writes what is paid."""
    return OUT / f"ledger-{key}.txt"


@dataclass(frozen=True)
class Paid:
    """One line of a ledger."""

    order: str
    at: float  # seconds since 1970


def paid(key: str) -> list[Paid]:
    """What stands in a ledger, in order, as often as it stands there."""
    lines = (line.split() for line in ledger(key).read_text().splitlines())
    return [Paid(order, int(at) / 1000) for order, _, at in lines]
