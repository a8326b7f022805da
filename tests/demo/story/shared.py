"""One limit, six processes: four uvicorn workers and two Nest processes at the same door."""

import queue
import shutil
import subprocess
import threading
from collections import Counter

from . import services
from .load import Load
from .plan import BURST, OUT, RATE, SHARED
from .screen import HEADER, Screen

_SUMS = ("offered", "accepted", "limited", "unavailable", "failed", "timeouts", "dropped")


def share(screen: Screen, loads: dict[str, Load]) -> None:
    rate = sum(phase.rate for phase in SHARED)
    screen.say(
        f"\n4. One limit, six processes: 4 uvicorn workers and 2 Nest processes, each of which says {RATE}/s, burst"
        f" {BURST},\n   scope host:sale. {rate:,} orders a second reach them; without a shared limit they would let"
        " through six times as many."
    )
    screen.say(HEADER)
    shutil.rmtree(OUT / "arenas", ignore_errors=True)
    doors = [services.shared_uvicorn(), *(services.shared_nest(phase.key) for phase in SHARED[1:])]
    for phase, door in zip(SHARED, doors, strict=True):
        loads[phase.key] = Load(phase, door.address)
    _watch(screen, [loads[phase.key] for phase in SHARED])
    screen.say(f"\n{_look_inside()}")
    for door in doors:
        door.stop()


def _watch(screen: Screen, loads: list[Load]) -> None:
    """A line a second for all of them together."""
    told = queue.Queue()
    failures = []

    def read(load: Load) -> None:
        try:
            for line in load:
                told.put(line)
        except Exception as failure:  # told below, by the thread that may end the demo
            failures.append(failure)
        told.put(None)

    for load in loads:
        threading.Thread(target=read, args=(load,), daemon=True).start()
    seconds: dict[int, list[dict]] = {}
    ended = 0
    while ended < len(loads):
        if (line := told.get()) is None:
            ended += 1
            continue
        together = seconds.setdefault(line["second"], [])
        together.append(line)
        if len(together) == len(loads):
            merged = {name: sum(each[name] for each in together) for name in _SUMS}
            slowest = max((each["p99_ms"] for each in together if each["p99_ms"] is not None), default=None)
            screen.second(loads[0].phase.title, merged | {"second": line["second"], "p99_ms": slowest}, None)
    if failures:
        raise failures[0]


def _look_inside() -> str:
    """What an operator sees, while they run."""
    command = [OUT / "venv/bin/tidegate", "show", "sale", "--path", OUT / "arenas"]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=20)
    lines = (seen.stdout or seen.stderr).rstrip().splitlines()
    return "\n".join(["   $ tidegate show sale", *(f"   {line}" for line in lines)])


def admitted(loads: dict[str, Load]) -> list[tuple[float, int]]:
    """When each order was accepted, in seconds since 1970, and by which process."""
    return sorted(
        (load.started_epoch + answer.done, answer.process)
        for load in (loads[phase.key] for phase in SHARED)
        for answer in load.answers
        if answer.accepted
    )


def first_sent(loads: dict[str, Load]) -> float:
    return min(loads[phase.key].started_epoch for phase in SHARED)


def last_sent(loads: dict[str, Load]) -> float:
    return max(loads[phase.key].started_epoch + phase.seconds for phase in SHARED)


def shares(loads: dict[str, Load]) -> str:
    """Each process's part, and the sum beside what the limit allows."""
    rows = []
    for phase in SHARED:
        each = Counter(answer.process for answer in loads[phase.key].answers if answer.accepted)
        kind = "uvicorn worker" if phase is SHARED[0] else "Nest process"
        rows += [(f"{kind} {pid}", count) for pid, count in sorted(each.items())]
    total = sum(count for _, count in rows)
    allowed = BURST + RATE * (last_sent(loads) - first_sent(loads))
    lines = [f"{name:<28} {count:>7,}   {count / max(1, total):>6.1%}" for name, count in rows]
    share_of = f"{total / allowed:>6.1%} of {BURST} + {RATE}/s × time = {allowed:,.0f}"
    lines += ["-" * 46, f"{'together':<28} {total:>7,}   {share_of}"]
    return "\n".join(lines)
