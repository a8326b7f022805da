"""Draws what was seen: four rows over one time axis, a column for each phase."""

import itertools
from collections import defaultdict

from .phases import Told
from .plan import (
    BURST,
    CAPACITY,
    FAILS_AT,
    OPEN_BELOW,
    OUTAGE,
    PHASES,
    RATE,
    RETURNS_AT,
    SHUT_AT,
    WITH,
    WITHOUT,
    WRITES_PER_SECOND,
)
from .svg import FAINT, GRID, INK, Plot, area, box, curve, line, text
from .table import percentile

WIDTH, LEFT, RIGHT, GAP = 1180, 84, 24, 22
TAIL = 2.0  # seconds drawn after a phase's last request, while its answers still come
BIN = 0.25

FATES = (  # name, colour, which outcomes
    ("accepted (202; 201 without)", "#2f9e6e", lambda o: o in ("201", "202")),
    ("refused: rate (429)", "#f2b84b", lambda o: o == "429"),
    ("refused: queue full (503)", "#3b82c4", lambda o: o == "503"),
    ("failed (other 5xx)", "#d64545", lambda o: o.isdigit() and o not in ("201", "202", "429", "503")),
    ("no answer within 2 s", "#4a3b5c", lambda o: not o.isdigit()),
)
GREEN, AMBER, BLUE, RED = (colour for _, colour, _ in FATES[:4])
PURPLE = "#8b5cb5"
CIRCUIT = {"closed": GREEN, "open": RED, "half_open": AMBER}
HEADINGS = {
    WITHOUT.key: f"1  Without tidegate · {WITHOUT.rate:,}/s",
    WITH.key: f"2  The same sale with tidegate · {WITH.rate:,}/s",
    OUTAGE.key: f"3  After the sale payment fails, and returns · {OUTAGE.rate}/s",
}

ANSWERS = Plot(top=150, height=210, low=0, high=5_500)
MONEY = Plot(top=410, height=110, low=0, high=1_000)
LATENCY = Plot(top=570, height=120, low=0.001, high=3, logarithmic=True)
QUEUE = Plot(top=740, height=140, low=0, high=CAPACITY * 1.08)
STRIPS = {"circuit": 892, "door": 912}
HEIGHT = 970

SCALE = (WIDTH - LEFT - RIGHT - GAP * (len(PHASES) - 1)) / sum(phase.seconds + TAIL for phase in PHASES)


class Column:
    """Where a phase stands on the time axis."""

    def __init__(self, index: int):
        before = PHASES[:index]
        self.phase = PHASES[index]
        self.left = LEFT + sum((phase.seconds + TAIL) * SCALE + GAP for phase in before)
        self.seconds = self.phase.seconds + TAIL
        self.right = self.left + self.seconds * SCALE

    def x(self, second: float) -> float:
        return self.left + min(max(second, 0), self.seconds) * SCALE


COLUMNS = {phase.key: Column(index) for index, phase in enumerate(PHASES)}


def chart(told: Told) -> str:
    parts = [box(0, 0, WIDTH, HEIGHT, fill="#ffffff"), *_frame()]
    for key, column in COLUMNS.items():
        load = told.loads[key]
        parts += _answers(column, load) + _latency(column, load)
        parts += _money(column, load, told.paid_without if key == WITHOUT.key else told.paid_with)
        parts += _no_queue(column, load) if key == WITHOUT.key else _queue(column, load, told.looks)
    parts += _outage(told)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="Inter, Helvetica, Arial, sans-serif">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _frame() -> list[str]:
    """Title, legend, headings, axes."""
    parts = [
        text(LEFT, 34, "A flash sale, without tidegate and with it", size=22, weight="bold"),
        text(
            LEFT, 56,
            f"5,000 orders a second at a service whose store takes {WRITES_PER_SECOND} writes a second. "
            f"Door: {RATE}/s, burst {BURST}. Cooldown 5 s (demo value). One measured run.",
            size=13, colour=FAINT,
        ),
    ]  # fmt: skip
    x = LEFT
    for name, colour, _ in FATES:
        parts += [box(x, 72, 12, 12, fill=colour, radius=2), text(x + 18, 82, name)]
        x += 42 + len(name) * 6.4
    for key, column in COLUMNS.items():
        parts += [box(column.left, 98, column.right - column.left, 24, fill="#eef2f6", radius=4)]
        parts += [text(column.left + 8, 114, HEADINGS[key], weight="bold")]
        for second in range(0, column.phase.seconds + 1, 5):
            parts.append(text(column.x(second), STRIPS["door"] + 34, f"{second} s", anchor="middle", colour=FAINT))
    rows = (
        (
            ANSWERS,
            "Fate of the orders, per second (by the moment they were sent)",
            [(v, f"{v:,}") for v in range(0, 5_001, 1_000)],
        ),
        (
            MONEY,
            "Accepted, paid, and refused for a full queue, per second",
            [(0, "0"), (RATE, f"{RATE}"), (800, "800")],
        ),
        (
            LATENCY,
            "Latency, p99 (no answer counts as 2 s)",
            [(0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1, "1 s")],
        ),
        (
            QUEUE,
            "Queue depth, and the circuit to payment",
            [(0, "0"), (OPEN_BELOW, "500"), (SHUT_AT, "800"), (CAPACITY, "1,000")],
        ),
    )
    for plot, name, ticks in rows:
        parts.append(text(LEFT, plot.top - 10, name, size=13, weight="bold"))
        for value, label in ticks:
            parts.append(text(LEFT - 8, plot.y(value) + 4, label, anchor="end", colour=FAINT))
            parts += [line(c.left, plot.y(value), c.right, plot.y(value)) for c in COLUMNS.values()]
    parts += [text(LEFT - 8, top + 11, name, anchor="end", colour=FAINT) for name, top in STRIPS.items()]
    return parts


def _bins(load, moment) -> dict[int, list]:
    bins = defaultdict(list)
    for answer in load.answers:
        bins[int(moment(answer) / BIN)].append(answer)
    return bins


def _answers(column: Column, load) -> list[str]:
    bins = _bins(load, lambda answer: answer.sent)
    count = int(load.phase.seconds / BIN)
    lower = [0.0] * count
    parts = []
    for _, colour, is_it in FATES:
        upper = [low + sum(is_it(a.outcome) for a in bins.get(i, ())) / BIN for i, low in enumerate(lower)]
        if upper != lower:
            parts.append(area(_steps(column, ANSWERS, upper), _steps(column, ANSWERS, lower), fill=colour))
        lower = upper
    return parts


def _steps(column: Column, plot: Plot, values: list[float]) -> list[tuple]:
    """A staircase: each bin's value from its beginning to its end."""
    return [
        point
        for i, value in enumerate(values)
        for point in ((column.x(i * BIN), plot.y(value)), (column.x((i + 1) * BIN), plot.y(value)))
    ]


def _latency(column: Column, load) -> list[str]:
    bins = _bins(load, lambda answer: answer.sent)
    points = [
        (column.x((i + 0.5) * BIN), LATENCY.y(percentile([answer.latency for answer in bins[i]], 99)))
        for i in sorted(bins)
        if i < load.phase.seconds / BIN
    ]
    return [curve(points, colour=INK)]


def _money(column: Column, load, paid: list) -> list[str]:
    """Counted over half a second, so that a timer's jitter does not look like a rate."""
    width = 0.5
    accepted, refused, booked = defaultdict(int), defaultdict(int), defaultdict(int)
    for answer in load.answers:
        if answer.accepted:
            accepted[int(answer.done / width)] += 1
        if answer.outcome == "503":
            refused[int(answer.done / width)] += 1
    for entry in paid:
        booked[int((entry.at - load.started_epoch) // width)] += 1

    def points(counts):
        return [(column.x((i + 0.5) * width), MONEY.y(counts[i] / width)) for i in range(int(column.seconds / width))]

    parts = [curve(points(refused), colour=BLUE)] if refused else []
    parts += [curve(points(accepted), colour=GREEN), curve(points(booked), colour=PURPLE)]
    if load.phase is WITHOUT:
        for row, (words, colour) in enumerate((("accepted", GREEN), ("paid", PURPLE), ("503", BLUE))):
            parts.append(
                text(column.right - 4, MONEY.top + 10 + 15 * row, words, anchor="end", colour=colour, weight="bold")
            )
    return parts


def _no_queue(column: Column, load) -> list[str]:
    """There is no queue to draw: what waits, waits inside the service. Counted from the requests themselves."""
    moves = sorted([(a.sent, 1) for a in load.answers] + [(a.done, -1) for a in load.answers])
    waiting = most = 0
    for _, move in moves:
        waiting += move
        most = max(most, waiting)
    x = (column.left + column.right) / 2
    return [
        text(x, QUEUE.y(680), "no queue, no circuit:", anchor="middle", colour=FAINT),
        text(x, QUEUE.y(680) + 17, f"up to {most:,} requests waiting at once", anchor="middle", colour=FAINT),
    ]


def _queue(column: Column, load, looks: list) -> list[str]:
    seen = [(look.at - load.started, look) for look in looks if 0 <= look.at - load.started <= column.seconds]
    if not seen:
        return []
    depth = [(column.x(at), QUEUE.y(look.depth)) for at, look in seen]
    floor = [(x, QUEUE.bottom) for x, _ in depth]
    parts = [area(depth, floor, fill=BLUE, opacity=0.25), curve(depth, colour=BLUE)]
    for value, label in ((SHUT_AT, "door shuts at 800"), (OPEN_BELOW, "door opens below 500")):
        parts.append(line(column.left, QUEUE.y(value), column.right, QUEUE.y(value), colour=FAINT, dash="5 4"))
        parts.append(text(column.right - 4, QUEUE.y(value) - 4, label, size=11, anchor="end", colour=FAINT, halo=True))
    parts += _strip(
        column, "circuit", [(at, look.circuit.replace("_", "-"), CIRCUIT.get(look.circuit, GRID)) for at, look in seen]
    )
    parts += _strip(
        column, "door", [(at, *(("open", GREEN) if look.accepting else ("503", BLUE))) for at, look in seen]
    )
    return parts


def _strip(column: Column, name: str, states: list[tuple]) -> list[str]:
    """One bar for each stretch of time in which the state stayed the same."""
    starts = [states[0], *(new for old, new in itertools.pairwise(states) if new[1] != old[1])]
    ends = [at for at, *_ in starts[1:]] + [states[-1][0]]
    parts = []
    for (at, words, colour), end in zip(starts, ends):
        width = column.x(end) - column.x(at)
        parts.append(box(column.x(at), STRIPS[name], width, 14, fill=colour))
        if width > 8 * len(words):
            parts.append(text(column.x(at) + 5, STRIPS[name] + 11, words, size=10, colour="#ffffff", weight="bold"))
    return parts


def _outage(told: Told) -> list[str]:
    column = COLUMNS[OUTAGE.key]
    parts = [
        text(
            column.left + 8, ANSWERS.y(900), f"the sale is over: {OUTAGE.rate} orders a second", colour=FAINT, halo=True
        )
    ]
    start = told.loads[OUTAGE.key].started
    shut = [look.at - start for look in told.looks if look.at > start and look.circuit in ("open", "half_open")]
    marks = [(FAILS_AT, "payment fails", RED), (RETURNS_AT, "payment returns", GREEN)]
    if shut and column.seconds > max(shut):
        marks.append((max(shut), "one probe, circuit closes", GREEN))
    for row, (second, words, colour) in enumerate(marks):
        x = column.x(second)
        parts.append(line(x, ANSWERS.top - 6, x, STRIPS["door"] + 14, colour=colour, dash="2 3", width=1.2))
        parts.append(text(x + 4, ANSWERS.top + 14 + 16 * row, words, size=11, colour=colour, halo=True))
    return parts
