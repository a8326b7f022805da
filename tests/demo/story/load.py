"""Runs the load generator and reads what it tells."""

import csv
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .plan import OUT, ROOT, TIMEOUT_MS, Phase


@dataclass(frozen=True)
class Answer:
    """What became of one request; times in seconds of the phase."""

    order: str
    outcome: str  # a status, or timeout, dropped, not_sent
    sent: float
    done: float
    latency: float
    retry_after: bool
    process: int  # who answered, where it says so

    @property
    def accepted(self) -> bool:
        return self.outcome in ("201", "202")

    @property
    def answered(self) -> bool:
        return self.outcome.isdigit()


def binary() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "tidegate-demo-load"


def _records(phase: Phase) -> Path:
    return OUT / f"requests-{phase.key}.csv"


class Load:
    """One phase of requests. Iterating gives a dict a second while it runs; `answers` are there afterwards."""

    def __init__(self, phase: Phase, address: str):
        self.phase = phase
        self.answers: list[Answer] = []
        log = OUT / f"load-{phase.key}.log"
        log.unlink(missing_ok=True)
        command = [binary(), "--address", address, "--rate", phase.rate, "--seconds", phase.seconds]
        command += ["--timeout-ms", TIMEOUT_MS, "--prefix", phase.key, "--records", _records(phase)]
        self._log = log
        self._process = processes.start(command, log, pipe=True)
        self.started, self.started_epoch = time.monotonic(), time.time()

    def __iter__(self) -> Iterator[dict]:
        for text in self._process.stdout:
            line = json.loads(text)
            self.started_epoch = line["start_us"] / 1e6
            yield line
        if code := self._process.wait():
            raise processes.Failed(f"the load generator failed with {code}: {self._log.read_text()}")
        processes.stop(self._process)
        with open(_records(self.phase), newline="") as file:
            self.answers = [
                Answer(
                    order=f"{self.phase.key}-{int(row['seq']):06}",
                    outcome=row["outcome"],
                    sent=int(row["sent_us"]) / 1e6,
                    done=int(row["done_us"]) / 1e6,
                    latency=int(row["latency_us"]) / 1e6,
                    retry_after=row["retry_after"] == "1",
                    process=int(row["process"]),
                )
                for row in csv.DictReader(file)
            ]

    @property
    def planned(self) -> int:
        return self.phase.rate * self.phase.seconds

    @property
    def offered(self) -> int:
        return sum(answer.outcome != "not_sent" for answer in self.answers)
