"""Looks at the order service ten times a second, and remembers what it saw."""

import http.client
import json
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    at: float  # time.monotonic()
    depth: int
    accepting: bool
    circuit: str
    pushed: int
    paid: int
    retries: int
    deepest: int
    events: tuple


class Watch:
    def __init__(self, address: str):
        self.looks: list[Look] = []
        self._address = address
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def last(self) -> Look | None:
        return self.looks[-1] if self.looks else None

    def stop(self) -> None:
        self._done.set()
        self._thread.join(5)

    def wait_for(self, condition, patience: float) -> bool:
        """Whether a look satisfied the condition in time."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.last and condition(self.last):
                return True
            time.sleep(0.05)
        return False

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=2)
        while not self._done.wait(0.1):
            try:
                connection.request("GET", "/stats")
                seen = json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException):
                connection.close()  # a look that fails is no look; the next one connects again
                continue
            events = tuple(seen.pop("events"))
            self.looks.append(Look(at=time.monotonic(), events=events, **seen))
        connection.close()
